//! How does a run begin, and what is left of it when it was put away?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::facts::AlertName;
use super::super::record::End;
use super::{Book, Run, Standing, TaskState};
use crate::model::id::{PlanId, RunId};
use crate::model::lifecycle::{RunPast, in_words};
use crate::model::plan::{Approval, Plan};
use crate::model::step::StepState;
use crate::model::unit::Timestamp;

/// Runs that were put away and of which a line is left.
pub const PAST: usize = 20;

impl TaskState {
    /// Of a task that is not begun.
    pub const fn fresh(at: Timestamp) -> Self {
        Self {
            standing: Standing::Waiting,
            place: 0,
            step: StepState::Pending,
            since: at,
            began_at: None,
            undo: Vec::new(),
            touched: BTreeMap::new(),
            adrift: BTreeMap::new(),
            left: false,
            entering: None,
            boot_id: None,
            well_since: None,
            overdue: None,
            refused: None,
            attempts: 0,
            single_since: None,
            single_seconds: 0,
        }
    }

    /// The number of the order for the step at hand of which it is not known yet what came of it.
    pub(super) const fn ordered(&self) -> Option<u32> {
        match self.step {
            StepState::Intended { attempt, .. } | StepState::Applied { attempt, .. } => Some(attempt),
            StepState::Pending | StepState::Confirmed { .. } => None,
        }
    }

    /// The step at hand is over, of so many that are planned; the next one begins.
    pub(super) fn go_on(&mut self, planned: u32, at: Timestamp) {
        self.place += 1;
        self.step = StepState::Pending;
        self.since = at;
        self.well_since = None;
        self.refused = None;
        self.attempts = 0;
        self.overdue = None;
        self.adrift.retain(|_, orders| *orders > 0);
        match &self.standing {
            Standing::Working if self.place == planned => self.standing = Standing::Done,
            Standing::Undoing { why } if self.place as usize == planned as usize + self.undo.len() => {
                self.standing = Standing::Undone { why: why.clone() };
            }
            _ => {}
        }
    }
}

impl Run {
    /// A run of which nothing is begun.
    pub fn of(
        id: RunId,
        plan: Arc<Plan>,
        plan_id: PlanId,
        approval: Approval,
        baseline: BTreeSet<AlertName>,
        at: Timestamp,
    ) -> Self {
        Self {
            id,
            tasks: plan.tasks().map(|_| TaskState::fresh(at)).collect(),
            plan,
            plan_id,
            approval,
            baseline,
            opened_at: at,
            paused: None,
            cancelled: None,
            halted: None,
            failures: 0,
            overrides: Vec::new(),
            end: None,
            ended_at: None,
        }
    }

    /// It in a line.
    pub fn past(&self) -> RunPast {
        let (end, why) = self.ending();
        RunPast {
            id: self.id.clone(),
            what: in_words(&self.plan.request),
            opened_at: self.opened_at,
            end: end.to_owned(),
            why,
        }
    }

    /// How it ended, in a word, and why.
    pub fn ending(&self) -> (&'static str, Option<Box<str>>) {
        match &self.end {
            Some(End::Done) | None => ("done", None),
            Some(End::Cancelled) => ("cancelled", self.cancelled.clone().map(|by| format!("by {by}").into())),
            Some(End::Halted { why }) => ("halted", Some(why.clone())),
        }
    }
}

impl Book {
    /// How many runs there ever were.
    pub fn runs_ever(&self) -> u64 {
        self.put_away + self.runs.len() as u64
    }

    /// Leaves a line of each of these runs, and gives the plans that no other run is of. One that is not over stays.
    pub(in crate::work) fn put_away(&mut self, runs: &BTreeSet<RunId>) -> Vec<PlanId> {
        let mut gone: Vec<Arc<Run>> = Vec::new();
        self.runs.retain(|id, run| {
            let goes = runs.contains(id) && run.end.is_some();
            if goes {
                gone.push(Arc::clone(run));
            }
            !goes
        });
        gone.sort_by_key(|run| run.opened_at);
        self.put_away += gone.len() as u64;
        self.past.extend(gone.iter().map(|run| run.past()));
        let surplus = self.past.len().saturating_sub(PAST);
        self.past.drain(..surplus);
        let unused: BTreeSet<PlanId> = gone.into_iter().map(|run| run.plan_id.clone()).collect();
        let unused: Vec<PlanId> =
            unused.into_iter().filter(|id| self.runs.values().all(|run| run.plan_id != *id)).collect();
        for id in &unused {
            self.plans.remove(id);
        }
        unused
    }
}
