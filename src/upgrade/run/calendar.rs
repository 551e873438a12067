//! What the calendar asks for is begun, looked at, and written down with what was found.

use tracing::info;

use super::super::jobs::{self, Looked};
use super::super::keep;
use super::{Work, WorkError};
use crate::clock;
use crate::config::Asks;
use crate::model::chore::{Chore, Found};
use crate::store::Batch;
use crate::work::seam::LookAt;

impl Work {
    /// Begins what the calendar says. What a firing asks for and that it is settled are one commit.
    pub(super) async fn jobs(&mut self) -> Result<(), WorkError> {
        for number in 0..self.settings.jobs.len() {
            let Some(job) = self.settings.jobs.get(number).cloned() else { continue };
            let name = job.schedule.name.clone();
            let Some(kept) = self.memory.get(&name).cloned() else {
                self.keep(&name, jobs::Kept::first(clock::now()), Batch::new()).await?;
                continue;
            };
            // What an earlier life was looking at is looked at anew: nothing of it is left.
            if let (Some(_), Asks::Chore(chore)) = (kept.looking, &job.asks)
                && !self.looking.contains_key(&name)
            {
                self.look_at(&name, chore.clone(), &kept);
            }
            let policy = &self.settings.policy;
            let Some(looked) = self.with_desk(|desk| jobs::look(&job, &kept, desk, policy)).flatten() else { continue };
            let chore = looked.chore.clone();
            self.settle(&name, looked).await?;
            if let (Some(chore), Some(kept)) = (chore, self.memory.get(&name).cloned()) {
                self.look_at(&name, chore, &kept);
            }
        }
        Ok(())
    }

    /// What is known of a job now, with what it asked for, in one commit.
    pub(super) async fn settle(&mut self, name: &str, looked: Looked) -> Result<(), WorkError> {
        let Looked { obeyed, kept, .. } = looked;
        let last = kept.last.as_ref().filter(|_| kept.looking.is_none());
        let says = last.map_or("it is being looked at", |(_, says)| says);
        info!(system = %self.settings.system, job = name, says, "a job was due");
        self.file(obeyed.forget, obeyed.plan).await?;
        let (before, first) = (self.opening(&obeyed.records), self.journal.len());
        let entries = self.journal.append(&obeyed.records, clock::now())?;
        let batch = keep::entries(&self.settings.system, first, &entries)?;
        let result = kept.result.filter(|_| kept.looking.is_none());
        self.keep(name, kept, batch).await?;
        self.stored(first, &entries);
        if let Some(before) = before {
            self.put_away(before).await?;
        }
        if let Some(result) = result {
            self.joints.own.job_fired(&self.settings.system, name, result);
        }
        Ok(())
    }

    /// Has somebody look, who says what he found.
    pub(super) fn look_at(&mut self, name: &str, chore: Chore, kept: &jobs::Kept) {
        let due = kept.looking.unwrap_or_else(clock::now);
        let look = LookAt {
            system: self.settings.system.clone(),
            job: name.into(),
            due,
            chore,
            answer: self.answers.found.clone(),
        };
        // Nobody has it when the program is ending; the next life looks again.
        let _ = self.joints.looks.send(look);
        self.looking.insert(name.into(), clock::now());
    }

    /// What a look found.
    pub(super) async fn found(&mut self, name: &str, found: Found) -> Result<(), WorkError> {
        let since = self.looking.remove(name);
        let job = self.settings.jobs.iter().find(|job| &*job.schedule.name == name).cloned();
        let (Some(job), Some(kept)) = (job, self.memory.get(name).cloned()) else { return Ok(()) };
        if let Some(since) = since {
            let took = (clock::now() - since).to_std().unwrap_or_default();
            self.joints.own.job_ran(&self.settings.system, name, took);
        }
        match self.with_desk(|desk| jobs::heard(&job, &kept, found, desk)) {
            Some(looked) => self.settle(name, looked).await,
            None => Ok(()),
        }
    }
}
