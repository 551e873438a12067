//! What does the answer to an order say of the task that gave it?

use super::TaskState;
use crate::model::step::{Answer, StepId, StepKind, StepState};
use crate::model::unit::Timestamp;

impl TaskState {
    /// Takes it in, while a step of this kind is at hand; whether it says anything of that one.
    pub(super) fn answered(&mut self, kind: Option<StepKind>, step: &StepId, answer: &Answer, at: Timestamp) -> bool {
        let accepted = matches!(answer, Answer::Accepted | Answer::AlreadySo);
        self.left |= accepted && self.place == step.place && kind == Some(StepKind::ExitMaintenance);
        if self.place != step.place && matches!(answer, Answer::Refused { .. }) {
            self.refused_late(step);
        }
        // An answer to an order that was overtaken says nothing of the step at hand.
        let awaited = self.ordered() == Some(step.attempt);
        if !(self.standing.in_work() && self.place == step.place && awaited) {
            return false;
        }
        // Whoever answers has the order; a second answer is about the same one.
        if matches!(self.step, StepState::Intended { .. })
            && !matches!(answer, Answer::Unknown { .. })
            && let Some(orders) = kind.and_then(|kind| self.adrift.get_mut(&kind))
        {
            *orders = orders.saturating_sub(1);
        }
        match answer {
            Answer::Accepted | Answer::AlreadySo => {
                if let StepState::Intended { at: intended, attempt } = self.step {
                    // Counted from the intention: what is seen from then on may show the effect. What an agent says only
                    // after it took the order, though: before that, its host is as it was.
                    let for_agent = kind.is_some_and(StepKind::is_for_agent);
                    let at = if for_agent { at } else { intended };
                    self.step = StepState::Applied { at, attempt };
                }
            }
            Answer::Refused { .. } | Answer::Failed { .. } => {
                self.step = StepState::Pending;
                self.refused = Some((at, answer.clone()));
            }
            Answer::Unknown { .. } => {}
        }
        true
    }

    /// The last order to begin a maintenance was refused after the task was given up. If none of those before it may arrive
    /// yet, none was obeyed.
    fn refused_late(&mut self, step: &StepId) {
        if self.entering != Some((step.place, step.attempt)) {
            return;
        }
        self.entering = None;
        if let Some(orders) = self.adrift.get_mut(&StepKind::EnterMaintenance) {
            *orders = orders.saturating_sub(1);
            self.left |= *orders == 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::Standing;
    use super::*;
    use crate::model::id::RunId;

    fn step(place: u32, attempt: u32) -> StepId {
        StepId { run: RunId::new("r"), task: 0, place, attempt }
    }

    fn refused() -> Answer {
        Answer::Refused { why: "TGT_ALREADY_IN_MM".into() }
    }

    /// A task that was given up, whose exit from maintenance is at hand; so many orders to begin it may arrive yet, and the
    /// last of them was the third.
    fn given_up(adrift: u32) -> TaskState {
        TaskState {
            standing: Standing::Undoing { why: "it took too long".into() },
            place: 9,
            entering: Some((2, 3)),
            adrift: BTreeMap::from([(StepKind::EnterMaintenance, adrift)]),
            ..TaskState::fresh(Timestamp::UNIX_EPOCH)
        }
    }

    #[test]
    fn whose_last_order_to_begin_a_maintenance_was_refused_late_has_begun_none() {
        let after = |mut state: TaskState, step: &StepId, answer: &Answer| {
            let kind = Some(StepKind::ExitMaintenance);
            assert!(!state.answered(kind, step, answer, Timestamp::UNIX_EPOCH), "it says nothing of the exit");
            state.left
        };
        assert!(after(given_up(1), &step(2, 3), &refused()));
        assert!(!after(given_up(2), &step(2, 3), &refused()), "one before it may have been obeyed");
        assert!(!after(given_up(1), &step(2, 2), &refused()), "the last one may have been obeyed");
        assert!(!after(given_up(1), &step(3, 3), &refused()), "another step");
        for answer in [Answer::Accepted, Answer::Unknown { why: "nobody answered".into() }] {
            assert!(!after(given_up(1), &step(2, 3), &answer), "{answer:?}");
        }
        let confirmed = TaskState { entering: None, ..given_up(1) };
        assert!(!after(confirmed, &step(2, 3), &refused()), "it was seen in it");
    }
}
