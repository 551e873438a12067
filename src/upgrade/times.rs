//! How long do steps take here? What the last ones of each kind took is kept, and plans predict by it. Pure.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::model::lifecycle::TimesShown;
use crate::model::plan::Step;
use crate::model::step::{Action, Component, MaintenanceMode, StepKind};
use crate::model::unit::Timestamp;
use crate::model::version::Generation;
use crate::work::book::{Book, Run, Standing};
use crate::work::record::Record;

/// Steps of one kind that are kept: what was long ago says little of now.
const KEPT: usize = 64;

/// Fewer than this are chance, and the first guess holds.
const ENOUGH: usize = 5;

/// Which steps are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Alike {
    step: StepKind,
    /// The first of the components, where it is about some.
    component: Option<Component>,
    generation: Generation,
    /// Of the way into maintenance and out of it: a third copy takes hours where an entry takes seconds.
    #[serde(default)]
    mode: Option<MaintenanceMode>,
}

/// In which maintenance a step of these is the way in or out.
fn mode(steps: &[Step], action: &Action) -> Option<MaintenanceMode> {
    if !matches!(action, Action::EnterMaintenance { .. } | Action::ExitMaintenance | Action::AwaitResync) {
        return None;
    }
    steps.iter().find_map(|step| match step.action {
        Action::EnterMaintenance { mode } => Some(mode),
        _ => None,
    })
}

/// What steps took, in seconds, the newest last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times(Vec<(Alike, VecDeque<u32>)>);

const fn component(action: &Action) -> Option<&[Component]> {
    match action {
        Action::Stage { components, .. } | Action::Apply { components, .. } | Action::Rollback { components, .. } => {
            Some(components.as_slice())
        }
        _ => None,
    }
}

/// Steps whose time is what somebody asked for, or until a person comes, predict nothing.
const fn is_measured(action: &Action) -> bool {
    !matches!(action, Action::Handwork | Action::Soak { .. } | Action::Finalise | Action::Vendor { .. })
}

impl Times {
    /// Takes a record that was decided on a book, and says whether it was news.
    pub fn take(&mut self, book: &Book, record: &Record, generation: Generation, now: Timestamp) -> bool {
        let Record::Confirmed { run, task, place } = record else { return false };
        let Some(run) = book.runs.get(run) else { return false };
        let Some((_, _, planned, state)) = run.each().nth(*task as usize) else { return false };
        let Some(step) = Run::step_at_hand(planned, state) else { return false };
        if state.place != *place || state.standing != Standing::Working || !is_measured(&step.action) {
            return false;
        }
        let component = component(&step.action).and_then(|all| all.first().copied());
        let mode = mode(&planned.steps, &step.action);
        let alike = Alike { step: step.action.kind(), component, generation, mode };
        let seconds = u32::try_from((now - state.since).num_seconds().max(0)).unwrap_or(u32::MAX);
        let index = match self.0.iter().position(|(known, _)| *known == alike) {
            Some(index) => index,
            None => {
                self.0.push((alike, VecDeque::new()));
                self.0.sort_by_key(|(known, _)| *known);
                self.0.iter().position(|(known, _)| *known == alike).unwrap_or_default()
            }
        };
        if let Some((_, took)) = self.0.get_mut(index) {
            took.push_back(seconds);
            while took.len() > KEPT {
                took.pop_front();
            }
        }
        true
    }

    /// In how many seconds 95 of 100 such steps, among these others of their task, were over; none: too few were seen.
    pub fn predict(&self, action: &Action, steps: &[Step], generation: Generation) -> Option<u32> {
        if !is_measured(action) {
            return None;
        }
        let kind = action.kind();
        let mode = mode(steps, action);
        let parts: Vec<Option<Component>> = match component(action) {
            Some(all) if !all.is_empty() => all.iter().copied().map(Some).collect(),
            _ => vec![None],
        };
        // Several components are done one after the other, and were kept under the first: the longest is what is known.
        let known = parts.iter().filter_map(|component| {
            let alike = Alike { step: kind, component: *component, generation, mode };
            let (_, took) = self.0.iter().find(|(known, _)| *known == alike)?;
            (took.len() >= ENOUGH).then(|| percentile(took, 95))
        });
        known.max()
    }

    /// As people see it.
    pub fn shown(&self) -> Vec<TimesShown> {
        let each = self.0.iter().map(|(alike, took)| TimesShown {
            step: alike.step.as_str().to_owned(),
            component: alike.component.map(|component| component.as_str().to_owned()),
            mode: alike.mode.map(|mode| mode.as_str().to_owned()),
            generation: alike.generation.as_str().to_owned(),
            count: took.len(),
            p50: percentile(took, 50),
            p95: percentile(took, 95),
        });
        each.collect()
    }
}

/// The smallest of them that so many of a hundred do not exceed.
fn percentile(took: &VecDeque<u32>, part: usize) -> u32 {
    let mut sorted: Vec<u32> = took.iter().copied().collect();
    sorted.sort_unstable();
    let rank = (sorted.len() * part).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(seconds: impl IntoIterator<Item = u32>) -> Times {
        let alike =
            Alike { step: StepKind::Apply, component: Some(Component::Sds), generation: Generation::V3_5, mode: None };
        Times(vec![(alike, seconds.into_iter().collect())])
    }

    #[test]
    fn ninety_five_of_a_hundred_are_within_what_is_predicted_and_few_predict_nothing() {
        let apply = Action::Apply { version: "1".into(), components: vec![Component::Sds] };
        assert_eq!(times(1..=100).predict(&apply, &[], Generation::V3_5), Some(95));
        assert_eq!(times([10, 20, 30, 40, 50]).predict(&apply, &[], Generation::V3_5), Some(50));
        assert_eq!(times([10, 20, 30, 40]).predict(&apply, &[], Generation::V3_5), None);
        assert_eq!(
            times(1..=100).predict(&apply, &[], Generation::V3_0),
            None,
            "another generation is another product"
        );
        let other = Action::Apply { version: "1".into(), components: vec![Component::Sdc] };
        assert_eq!(times(1..=100).predict(&other, &[], Generation::V3_5), None);
        assert_eq!(times(1..=100).predict(&Action::Handwork, &[], Generation::V3_5), None);
        assert_eq!(times(1..=100).shown()[0].p50, 50);
    }

    #[test]
    fn the_two_modes_of_maintenance_are_learned_apart() {
        let of = |mode| Alike { step: StepKind::EnterMaintenance, component: None, generation: Generation::V3_5, mode };
        let (instant, protected) = (MaintenanceMode::Instant, MaintenanceMode::Protected);
        let times = Times(vec![(of(Some(instant)), [9; 5].into()), (of(Some(protected)), [4000; 5].into())]);
        let predict = |mode| {
            let enter = Action::EnterMaintenance { mode };
            let steps = [super::super::plan::step(enter.clone(), 60, 30, crate::model::plan::Risk::Medium)];
            times.predict(&enter, &steps, Generation::V3_5)
        };
        assert_eq!((predict(instant), predict(protected)), (Some(9), Some(4000)));
    }

    #[test]
    fn what_is_kept_is_read_back() {
        let all = times([1, 2]);
        let text = serde_json::to_vec(&all).unwrap();
        assert_eq!(serde_json::from_slice::<Times>(&text).unwrap(), all);
    }
}
