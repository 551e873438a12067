//! What becomes of an offer? One verdict for each, with its reason.

use std::collections::BTreeSet;
use std::time::Duration;

use super::attributes;
use super::rollout::record;
use crate::mesos::wire::{TASK_CPUS, TASK_MEM};
use crate::model::id::SystemId;
use crate::model::mesos::{Offer, TaskFate, TaskPhase, TaskState, Unavailability};
use crate::model::offer::{Known, Refusal, Verdict};
use crate::model::unit::Timestamp;

/// A launch shortly before the machine goes would be for nothing.
const BEFORE_MAINTENANCE: Duration = Duration::from_secs(10 * 60);

/// What is wanted of agents.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Whether anything is to be rolled out.
    pub rollout: bool,
    /// For the executor.
    pub cpus: f64,
    /// For the executor, in MB.
    pub mem: f64,
    /// Ours; an offer made to another is none of ours.
    pub roles: BTreeSet<String>,
    /// Systems that an agent may name.
    pub systems: BTreeSet<SystemId>,
}

/// The verdict on an offer.
pub fn judge(offer: &Offer, known: Known<'_>, wanted: &Wanted, now: Timestamp) -> Verdict {
    match refusal(offer, known, wanted, now) {
        Some(reason) => Verdict::Decline { reason },
        None => Verdict::Accept,
    }
}

fn refusal(offer: &Offer, known: Known<'_>, wanted: &Wanted, now: Timestamp) -> Option<Refusal> {
    if let Some(role) = offer.role.as_ref().filter(|role| !wanted.roles.contains(&***role)) {
        return Some(Refusal::ForeignRole { role: role.clone() });
    }
    if let Some(here) = known.here {
        match here.fate() {
            TaskFate::Alive => return Some(Refusal::AlreadyThere { task: here.task.clone() }),
            TaskFate::InDoubt => return Some(Refusal::NotSettled { task: here.task.clone() }),
            TaskFate::Ended => {}
        }
    }
    if !wanted.rollout {
        return Some(Refusal::NothingWanted);
    }
    if let Some(task) = known.of_another_life {
        return Some(Refusal::OfAnotherLife { task: task.clone() });
    }
    if let Some(other) = known.namesake.filter(|other| !gives_way(&other.phase)) {
        return Some(Refusal::NameTaken { task: other.task.clone() });
    }
    if let Some(here) = known.here
        && let Some(until) = here.retry_at.filter(|at| *at > now)
    {
        return Some(Refusal::WaitsAfterFailure { failures: here.failures, until });
    }
    if let Some(start) = offer.unavailability.and_then(|away| begins_soon(&away, now)) {
        return Some(Refusal::Maintenance { start });
    }
    if let Err(because) = record::key(&offer.hostname) {
        return Some(Refusal::BadName { because });
    }
    if let Err(problems) = attributes::read(&offer.attributes, &wanted.systems) {
        return Some(Refusal::BadAttributes { problems });
    }
    let needs = [("cpus", offer.cpus, wanted.cpus + TASK_CPUS), ("mem", offer.mem, wanted.mem + TASK_MEM)];
    // Mesos counts in thousandths.
    let missing = needs.into_iter().find(|(_, offered, needed)| offered + 0.000_5 < *needed);
    missing.map(|(resource, offered, needed)| Refusal::TooSmall { resource, offered, needed })
}

/// Whether an agent of the same host name may be taken for gone: the new agent
/// shows that the host is back under another id.
const fn gives_way(phase: &TaskPhase) -> bool {
    match phase {
        TaskPhase::Intended => false,
        TaskPhase::Told { state: TaskState::Unreachable, .. } => true,
        TaskPhase::Told { state, .. } => matches!(state.fate(), TaskFate::Ended),
    }
}

/// When an absence begins that a launch should not precede: soon, or already.
fn begins_soon(away: &Unavailability, now: Timestamp) -> Option<Timestamp> {
    let start = Timestamp::from_timestamp_nanos(away.start);
    let end = away.duration.map(|span| Timestamp::from_timestamp_nanos(away.start.saturating_add(span)));
    let is_over = end.is_some_and(|end| end <= now);
    (start <= now + BEFORE_MAINTENANCE && !is_over).then_some(start)
}

#[cfg(test)]
mod tests;
