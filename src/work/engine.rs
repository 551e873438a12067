//! One turn of the engine, as the product and its proof both take it: decide,
//! and take in what was decided. The caller makes the entries durable, and only
//! then has the effects.

use super::advance::{self, Turn, Wait};
use super::facts::{Facts, Policy};
use super::journal::{Broken, Journal};
use super::record::Record;
use crate::model::step::{Answer, StepId};
use crate::model::unit::Timestamp;

/// A turn, with its records as entries of the journal.
#[derive(Clone, Debug, Default)]
pub struct Decided {
    /// To be made durable before anything else.
    pub entries: Vec<Vec<u8>>,
    /// What was decided.
    pub turn: Turn,
}

/// Decides once. The journal holds the new records afterwards; if they cannot
/// be made durable, the process ends and reads what is.
pub fn turn(journal: &mut Journal, facts: Facts<'_>, policy: &Policy, epoch: u64) -> Result<Decided, Broken> {
    let facts = at_last(journal, facts);
    let turn = advance::step(journal.book(), facts, policy, epoch);
    let entries = journal.append(&turn.records, facts.now)?;
    Ok(Decided { entries, turn })
}

/// Why nothing more is decided, with every reason.
pub fn waits(journal: &Journal, facts: Facts<'_>, policy: &Policy, epoch: u64) -> Vec<Wait> {
    advance::waits(journal.book(), at_last(journal, facts), policy, epoch)
}

/// Time never goes back: what was decided at a moment is not judged by an earlier one.
fn at_last<'a>(journal: &Journal, facts: Facts<'a>) -> Facts<'a> {
    Facts { now: journal.book().at.map_or(facts.now, |last| facts.now.max(last)), ..facts }
}

/// Takes in what came of an order. One of a run that is over says nothing any more.
pub fn answered(journal: &mut Journal, step: StepId, answer: Answer, now: Timestamp) -> Result<Vec<Vec<u8>>, Broken> {
    if journal.book().runs.get(&step.run).is_none_or(|run| run.end.is_some()) {
        return Ok(Vec::new());
    }
    journal.append(&[Record::Answered { step, answer }], now)
}
