//! How long may a step take, and what follows when it takes longer?

use chrono::TimeDelta;

use super::Look;
use crate::model::plan::Step;
use crate::model::step::{Action, StepKind};
use crate::work::book::{Standing, TaskState};
use crate::work::gate::Ask;
use crate::work::mutant;
use crate::work::record::Record;
use crate::work::undo::Cause;

/// So long a step at least waits for its gate while nothing but tasks of Mesos was stopped for it. Rebuilds take a while, and
/// pass: to give up for one would end a whole run.
const PATIENCE: TimeDelta = TimeDelta::hours(1);

impl Look<'_> {
    /// Whether a step took longer than it may.
    pub(super) fn is_late(&self, state: &TaskState, step: &Step) -> bool {
        self.facts.now >= state.since + longest(state, step)
    }

    /// Whether the maintenance of a task has lasted as long as it may, and is not about to end. What an agent may still obey
    /// is waited for.
    pub(super) fn has_lasted(&self, ask: &Ask<'_>, state: &TaskState, step: &Step) -> bool {
        let over = Self::maintenance(ask)
            .and_then(|duty| ask.book.obligation(&duty))
            .is_some_and(|open| self.facts.now >= open.deadline);
        over && step.action.kind() != StepKind::ExitMaintenance && !self.may_be_obeyed(state, step)
    }

    /// After its time a step is given up and undone. What leads back is never given up: a person is told.
    pub(super) fn deadline(&mut self, ask: &Ask<'_>, state: &TaskState, step: &Step) {
        // What is given up or left out in this look is not late in it.
        let over = |record: &Record| matches!(record, Record::Failed { .. } | Record::LeftOut { .. });
        let ordered = !self.turn.effects.is_empty() || self.turn.records.iter().any(over);
        let working = state.standing == Standing::Working;
        if !self.is_late(state, step) || ordered || (working && self.may_be_obeyed(state, step)) {
            return;
        }
        let why = format!("{} took longer than {} s", step.action.kind(), longest(state, step).num_seconds());
        if mutant::is("deadline passes") && state.standing == Standing::Working {
            return self.confirm(ask, state, step);
        }
        match state.standing {
            Standing::Working => {
                // What was verified is not what keeps the system from being well, or going back would stop it once more.
                let verified = matches!(step.action, Action::AwaitResync | Action::Soak { .. } | Action::Reactivate)
                    || (step.action == Action::ExitMaintenance && state.left);
                let cause = if verified { Cause::Danger } else { Cause::TakeBack };
                self.fail(ask, state, &why, cause, true);
            }
            Standing::Undoing { .. } if state.overdue.is_none() => {
                self.turn.records.push(Record::Overdue { run: ask.run.id.clone(), task: ask.number, why: why.into() });
            }
            _ => {}
        }
    }
}

/// How long a step may take.
fn longest(state: &TaskState, step: &Step) -> TimeDelta {
    let deadline = TimeDelta::seconds(i64::from(step.deadline_seconds));
    // Only its gate keeps it.
    let held = state.standing == Standing::Working && state.attempts == 0 && is_ordered(step) && spares_storage(state);
    if held { deadline.max(PATIENCE) } else { deadline }
}

/// Whether a step is done by an order, and not by waiting.
const fn is_ordered(step: &Step) -> bool {
    let waits = matches!(step.action, Action::Verify { .. } | Action::AwaitResync | Action::Soak { .. });
    !waits && !matches!(step.action, Action::Handwork | Action::Vendor { .. })
}

/// Whether nothing of the storage was touched for a task.
fn spares_storage(state: &TaskState) -> bool {
    state.touched.keys().all(|kind| matches!(kind, StepKind::Stage | StepKind::Drain))
}
