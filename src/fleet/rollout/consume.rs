//! What does a node lack that is joined, so that tasks of its Mesos agent get
//! volumes? Pure.
//!
//! ```text
//! consume_volumes -> mesos_volumes, at one agent first -> the master has it again -> the others
//!                        \-> failed, or not seen there in time -> mesos_put_back -> failed; nobody else is begun
//! ```
//!
//! An agent that needs no new flags is not started again, and proves nothing for
//! the others.

use std::collections::BTreeMap;
use std::time::Duration;

use super::decide::{Act, Next, View, failure};
use super::record::{Failures, FlagState, Flags, Progress, Record};
use super::steps::{Step, StepName, digest};
use crate::model::id::NodeName;
use crate::model::node::NodePhase;
use crate::model::order::Task;
use crate::model::rollout::Why;
use crate::model::unit::Timestamp;

/// An agent that was started again registers within seconds, and one with much to recover within a minute.
const REGISTERS: Duration = Duration::from_secs(3 * 60);

/// After the first one, one of so many at once.
const ONE_OF: usize = 20;

/// What a node shall have, so that its tasks get volumes.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The steps.
    pub steps: Vec<Step>,
    /// Whether its Mesos agent may be started again now.
    pub gate: Result<(), Why>,
}

/// How the leading master has an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtMaster {
    /// When it was asked.
    pub asked_at: Timestamp,
    /// When the agent registered last, by the master's clock; none: it is not there, or not connected.
    pub registered: Option<Timestamp>,
}

/// By which one set of flags is told from another.
pub fn about(steps: &[Step]) -> Option<String> {
    let step = steps.iter().find(|step| step.name == StepName::MesosVolumes)?;
    Some(digest(std::slice::from_ref(step)))
}

/// Whether one more Mesos agent may be started again, by how all of them stand.
pub fn gate(node: &NodeName, about: &str, all: &BTreeMap<NodeName, Flags>) -> Result<(), Why> {
    let waits = |what: String| Err(Why::WaitsFor { what: what.into() });
    let of = |other: &&NodeName| *other != node && all.get(*other).is_some_and(|flags| *flags.about == *about);
    let (mut tried, mut is_proven) = (Vec::new(), false);
    for other in all.keys().filter(of) {
        match all.get(other).map(|flags| &flags.state) {
            Some(FlagState::Failed { .. } | FlagState::Back) => {
                return waits(format!(
                    "{other}: its Mesos agent did not come back with new flags; look there, then `sio rollout retry {other}`"
                ));
            }
            Some(FlagState::Ordered { .. } | FlagState::Tried { .. }) => tried.push(other),
            Some(FlagState::Proven) => is_proven = true,
            Some(FlagState::Same) | None => {}
        }
    }
    let most = if is_proven { (all.len() / ONE_OF).max(1) } else { 1 };
    match tried.first() {
        Some(first) if tried.len() >= most && is_proven => waits(format!("{first}: its Mesos agent is started again")),
        Some(first) if tried.len() >= most => waits(format!("{first}: first agent with new flags")),
        _ => Ok(()),
    }
}

/// An order that is nobody's any more has changed nothing.
pub(super) fn forget(record: &mut Record) {
    let is_open = record.open.as_ref().is_some_and(|open| open.step == StepName::MesosVolumes);
    record.flags.take_if(|flags| !is_open && matches!(flags.state, FlagState::Ordered { .. }));
}

/// Takes in what the master tells of an agent that was started again. Nothing is concluded from a silent master.
pub(super) fn look(record: &mut Record, view: &View<'_>) {
    let Some(flags) = &mut record.flags else { return };
    let FlagState::Tried { registered, at } = flags.state else { return };
    let Some(seen) = view.at_master.filter(|seen| seen.asked_at >= at) else { return };
    if seen.registered.is_some_and(|now| Some(now) != registered) {
        flags.state = FlagState::Proven;
    } else if view.now >= at + REGISTERS {
        let because = format!(
            "its Mesos agent did not register again within {} s of its start with new flags",
            REGISTERS.as_secs()
        );
        flags.state = FlagState::Failed { because: because.into() };
    }
}

/// What was tried and must not stay so.
pub(super) fn back(record: &Record) -> Option<Act> {
    let is_failed = record.flags.as_ref().is_some_and(|flags| matches!(flags.state, FlagState::Failed { .. }));
    is_failed.then_some(Act::Order { step: StepName::MesosPutBack, task: Task::MesosPutBack })
}

fn is_tried(record: &Record) -> bool {
    record.flags.as_ref().is_some_and(|flags| matches!(flags.state, FlagState::Tried { .. }))
}

/// Its Mesos agent was started again, and the master has not told of it.
fn unseen() -> Next {
    let why = Why::WaitsFor { what: "the Mesos master to see its agent again".into() };
    (NodePhase::Installing { step: StepName::MesosVolumes.as_str().into() }, vec![why], None)
}

/// What comes next at a node that is joined.
pub(super) fn next(record: &mut Record, view: &View<'_>) -> Next {
    let wanted = match &view.volumes {
        None => return (NodePhase::Ready, Vec::new(), None),
        Some(Err(_)) if is_tried(record) => return unseen(),
        Some(Err(why)) => return (NodePhase::Ready, vec![why.clone()], None),
        Some(Ok(wanted)) => wanted,
    };
    let goal = digest(&wanted.steps);
    if *record.volumes.goal != *goal {
        record.volumes = Progress { goal: goal.into(), done: 0 };
    }
    let Some(step) = wanted.steps.get(record.volumes.done) else {
        return if is_tried(record) { unseen() } else { (NodePhase::Ready, Vec::new(), None) };
    };
    if step.name == StepName::MesosVolumes {
        if let Err(why) = &wanted.gate {
            return (NodePhase::Ready, vec![why.clone()], None);
        }
        let Some(seen) = view.at_master else {
            let why = Why::WaitsFor { what: "the Mesos master to tell of its agent".into() };
            return (NodePhase::Ready, vec![why], None);
        };
        let about = about(&wanted.steps).unwrap_or_default().into();
        record.flags = Some(Flags { about, state: FlagState::Ordered { registered: seen.registered } });
    }
    let why = vec![Why::InStep { step: step.name.as_str().into() }];
    let act = Act::Order { step: step.name, task: step.task.clone() };
    (NodePhase::Installing { step: step.name.as_str().into() }, why, Some(act))
}

/// A step of these was done, and whether it changed anything.
pub(super) fn done(record: &mut Record, step: StepName, changed: bool, view: &View<'_>) {
    // The list cannot have changed while its step was open.
    if step != StepName::MesosPutBack {
        record.volumes.done += 1;
    }
    let Some(flags) = &mut record.flags else { return };
    match (flags.state.clone(), step) {
        (FlagState::Ordered { registered }, StepName::MesosVolumes) if changed => {
            flags.state = FlagState::Tried { registered, at: view.now };
        }
        (FlagState::Ordered { .. }, StepName::MesosVolumes) => flags.state = FlagState::Same,
        (FlagState::Failed { because }, StepName::MesosPutBack) if changed => {
            flags.state = FlagState::Back;
            let because = format!("{because}; its old flags are back").into();
            let step = StepName::MesosVolumes.as_str().into();
            // A Mesos agent that went away once is not started again before somebody looked.
            record.failures = Some(Failures { step, because, tries: 1, retry_at: None });
        }
        // Nothing had been changed: it may be tried again.
        (FlagState::Failed { because }, StepName::MesosPutBack) => {
            let step = StepName::MesosVolumes.as_str();
            record.failures = Some(failure(record.failures.as_ref(), step, &because, view.now, view.random));
            record.flags = None;
        }
        _ => {}
    }
}

/// New flags were not taken. What was begun is put back; a refusal began nothing.
pub(super) fn failed(record: &mut Record, because: &str, is_begun: bool) {
    match &mut record.flags {
        Some(flags) if is_begun => flags.state = FlagState::Failed { because: because.into() },
        _ => record.flags = None,
    }
}
