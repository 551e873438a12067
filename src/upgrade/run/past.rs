//! What was done goes into the history, teaches how long steps take, and leaves the store when it is over.

use std::sync::Arc;

use tracing::info;

use super::super::{keep, show};
use super::{Work, WorkError};
use crate::clock;
use crate::model::plan::Plan;
use crate::model::version::Generation;
use crate::work::book::Book;
use crate::work::journal::Journal;
use crate::work::record::Record;

impl Work {
    /// What was made durable goes into the history.
    pub(super) fn stored(&mut self, first: u64, entries: &[Vec<u8>]) {
        self.long.extend((first..).zip(entries).filter_map(|(number, line)| Some((number, keep::pieces(line)?))));
        self.pen.append(entries.to_vec());
    }

    /// Keeps how long the steps took that are confirmed now.
    pub(super) fn learn(&mut self, before: Option<&Book>, records: &[Record], generation: Option<Generation>) {
        let (Some(before), Some(generation)) = (before, generation) else { return };
        let now = self.journal.book().at.unwrap_or_else(clock::now);
        for record in records {
            self.learned |= self.settings.habits.times.take(before, record, generation, now);
        }
    }

    /// Writes down what is waited for so long that it belongs into the history.
    pub(super) async fn note_waits(&mut self) -> Result<(), WorkError> {
        let now = clock::now();
        self.since = show::held_since(&self.since, &self.waits, now);
        let lasting = show::lasting(&self.since, &self.waits, &self.noted, now);
        if lasting.is_empty() {
            return Ok(());
        }
        let (keys, records): (Vec<_>, Vec<Record>) = lasting.into_iter().unzip();
        let first = self.journal.len();
        let entries = self.journal.append(&records, now)?;
        self.commit(first, &entries).await?;
        self.noted.extend(keys);
        Ok(())
    }

    /// When a run is opened, those before the last one are put away: the history has them.
    pub(super) async fn put_away(&mut self, opened: Journal) -> Result<(), WorkError> {
        self.noted.clear();
        let Some(earlier) = self.before.replace(opened) else { return Ok(()) };
        if earlier.book().runs.is_empty() || !self.pen.is_flushed().await {
            return Ok(());
        }
        let system = self.settings.system.clone();
        let filed = self.journal.book().plans.clone();
        let gone = self.journal.put_away(&earlier);
        let plans: Vec<Arc<Plan>> = gone.iter().filter_map(|id| filed.get(id).cloned()).collect();
        let (batches, pieces) = keep::put_away(&system, &earlier, self.first, &self.long, self.pieces, &plans)?;
        self.pieces = pieces;
        for batch in batches {
            self.durable(batch).await?;
        }
        self.first = earlier.len();
        self.long.retain(|number, _| *number >= earlier.len());
        if let Some(before) = &mut self.before {
            before.put_away(&earlier);
        }
        info!(%system, entries = self.first, "runs that are over were put away; `sio history` has them");
        Ok(())
    }
}
