//! One turn of the engine, as the product and its proof both take it: decide,
//! and take in what was decided. The caller makes the entries durable, and only
//! then has the effects.

use chrono::TimeDelta;

use super::advance::{self, Turn, Wait};
use super::book::{Book, Run};
use super::facts::{Facts, Policy, begun};
use super::journal::{Broken, Journal};
use super::record::Record;
use crate::model::snapshot::Snapshot;
use crate::model::step::{Answer, StepId, StepKind, StepState};
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

/// What shows later than this is looked for at the poller's beat: that is a small part of the time then.
const IMPATIENT: TimeDelta = TimeDelta::minutes(2);

/// Whether the next picture of the system is worth asking for before its time: something that we changed is not in the one
/// of this moment, or a step waits for what it will show.
pub fn is_impatient(book: &Book, snapshot: Option<&Snapshot>, now: Timestamp) -> bool {
    let Some(snapshot) = snapshot else { return false };
    let gates_read = [
        begun(&snapshot.sds),
        begun(&snapshot.pools),
        begun(&snapshot.domains),
        begun(&snapshot.devices),
        begun(&snapshot.statistics),
        begun(&snapshot.alerts),
    ];
    let oldest = gates_read.into_iter().flatten().min();
    let is_old = book.changed_at.zip(oldest).is_some_and(|(changed, seen)| seen <= changed);
    book.in_work().any(|(_, _, task, state)| {
        let shows = Run::step_at_hand(task, state).is_some_and(|step| match step.action.kind() {
            StepKind::Verify | StepKind::AwaitResync => true,
            kind if kind.is_for_agent() || matches!(kind, StepKind::Drain | StepKind::Reactivate) => false,
            _ => state.step != StepState::Pending,
        });
        (shows || is_old) && now - state.since < IMPATIENT
    })
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
