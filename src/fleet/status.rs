//! What is published of the framework: how it stands, each agent that offered,
//! and what became of the offer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;
use tracing::{info, warn};

use crate::clock;
use crate::mesos::scheduler::{Notice, Scheduler};
use crate::model::framework::{FrameworkStatus, Registration, SeenAgent};
use crate::model::id::AgentId;
use crate::model::mesos::{NodeTask, TaskFate, Unavailability};
use crate::model::offer::{Refusal, Verdict, Vote};
use crate::model::unit::Timestamp;

/// Agents are remembered up to this many; a cluster of Mesos has fewer.
const AGENTS: usize = 50_000;

/// Where it is gathered before it is published.
pub(super) struct Board {
    cluster: Box<str>,
    registration: Registration,
    agents: BTreeMap<AgentId, Arc<SeenAgent>>,
    is_changed: bool,
    published: watch::Sender<Arc<FrameworkStatus>>,
}

impl Board {
    pub(super) fn new(cluster: &str, scheduler: &Scheduler) -> (Self, watch::Receiver<Arc<FrameworkStatus>>) {
        let registration = Registration::Disconnected { error: None, failures: 0 };
        let mut board = Self {
            cluster: cluster.into(),
            registration: registration.clone(),
            agents: BTreeMap::new(),
            is_changed: true,
            published: watch::Sender::new(Arc::new(FrameworkStatus {
                cluster: cluster.into(),
                framework: None,
                registration,
                mend: None,
                is_suppressed: false,
                unanswered: 0,
                tasks: BTreeMap::new(),
                agents: BTreeMap::new(),
            })),
        };
        board.publish(scheduler);
        let status = board.published.subscribe();
        (board, status)
    }

    pub(super) fn registration(&mut self, registration: Registration) {
        self.registration = registration;
        self.is_changed = true;
    }

    pub(super) fn heard(&mut self, master: &str) {
        self.registration(Registration::Registered { master: master.into(), heard_at: clock::now() });
    }

    /// Whether a failure is another one than the last that was told.
    pub(super) fn is_other_error(&self, error: Option<&str>) -> bool {
        !matches!(&self.registration, Registration::Disconnected { error: last, .. } if last.as_deref() == error)
    }

    /// Shows everybody what has changed since the last time.
    pub(super) fn publish(&mut self, scheduler: &Scheduler) {
        if !std::mem::take(&mut self.is_changed) {
            return;
        }
        self.published.send_replace(Arc::new(FrameworkStatus {
            cluster: self.cluster.clone(),
            framework: scheduler.framework().cloned(),
            registration: self.registration.clone(),
            mend: self.registration.mend(),
            is_suppressed: scheduler.is_suppressed(),
            unanswered: scheduler.unanswered(),
            tasks: scheduler.tasks().clone(),
            agents: self.agents.clone(),
        }));
    }

    pub(super) fn note(&mut self, notice: Notice, now: Timestamp) {
        self.is_changed = true;
        match notice {
            Notice::Judged { offer, verdict } => {
                let because = match &verdict {
                    Verdict::Accept => None,
                    Verdict::Decline { reason } => Some(reason.to_string()),
                };
                let before = self.agents.get(&offer.agent);
                tell_verdict(&offer.hostname, &offer.agent, &verdict, before.map(|seen| &seen.verdict));
                if before.is_none() && self.agents.len() >= AGENTS {
                    return;
                }
                let wanted_from = offer.unavailability.map(|away| Timestamp::from_timestamp_nanos(away.start));
                let vote = before.and_then(|seen| seen.vote.clone()).filter(|_| wanted_from.is_some());
                let seen = SeenAgent {
                    agent: offer.agent.clone(),
                    hostname: offer.hostname,
                    address: offer.address.as_deref().map(machine),
                    attributes: offer
                        .attributes
                        .into_iter()
                        .map(|(name, values)| {
                            let values: Vec<String> = values.iter().map(ToString::to_string).collect();
                            (name, values.join(" "))
                        })
                        .collect(),
                    cpus: offer.cpus,
                    mem: offer.mem,
                    offered_at: now,
                    verdict,
                    because,
                    wanted_from,
                    vote,
                };
                self.agents.insert(offer.agent, Arc::new(seen));
            }
            Notice::Task(task) => tell_task(&task),
            Notice::AgentLost { agent } => {
                warn!(%agent, "Mesos has lost the agent");
                self.agents.remove(&agent);
            }
            Notice::ExecutorEnded { agent, executor, status } => {
                info!(?agent, %executor, ?status, "an executor has ended");
            }
            Notice::Rescinded { .. } | Notice::Wanted { .. } | Notice::Over(_) | Notice::Message { .. } => {}
        }
    }

    /// An operator wants the machine of an agent, and was told this.
    pub(super) fn wanted(&mut self, agent: &AgentId, unavailability: Option<Unavailability>, vote: Vote) {
        let from = unavailability.map(|away| Timestamp::from_timestamp_nanos(away.start));
        let vote = Some(vote);
        if let Some(seen) = self.agents.get_mut(agent)
            && (seen.wanted_from != from || seen.vote != vote)
        {
            let told = vote.as_ref().map(ToString::to_string).unwrap_or_default();
            info!(node = %seen.hostname, %agent, ?from, told, "an operator wants the machine");
            self.is_changed = true;
            let seen = Arc::make_mut(seen);
            (seen.wanted_from, seen.vote) = (from, vote);
        }
    }
}

/// One line for each change of mind about an agent, not for each offer.
fn tell_verdict(hostname: &str, agent: &AgentId, verdict: &Verdict, before: Option<&Verdict>) {
    let Verdict::Decline { reason } = verdict else {
        info!(node = hostname, %agent, "an executor is launched");
        return;
    };
    let is_same = matches!(before, Some(Verdict::Decline { reason: last }) if last.as_str() == reason.as_str());
    if is_same {
        return;
    }
    match reason {
        Refusal::AlreadyThere { .. } | Refusal::NotSettled { .. } | Refusal::NothingWanted => {}
        Refusal::NameTaken { .. }
        | Refusal::WaitsAfterFailure { .. }
        | Refusal::OfAnotherLife { .. }
        | Refusal::TooSmall { .. }
        | Refusal::Maintenance { .. }
        | Refusal::BadAttributes { .. }
        | Refusal::BadName { .. }
        | Refusal::ForeignRole { .. } => warn!(node = hostname, %agent, reason = %reason, "an offer goes back"),
    }
}

fn tell_task(task: &NodeTask) {
    let (node, state) = (&*task.hostname, task.state());
    match task.fate() {
        TaskFate::Alive => info!(node, task = %task.task, state, "the task went on"),
        TaskFate::InDoubt => info!(node, task = %task.task, state, "the task is in doubt"),
        TaskFate::Ended => warn!(node, task = %task.task, state, phase = ?task.phase, "the task has ended"),
    }
}

/// `192.0.2.1` of `192.0.2.1:5051`: of an agent's address, what others reach its machine by.
fn machine(address: &str) -> Box<str> {
    match address.parse::<SocketAddr>() {
        Ok(address) => address.ip().to_string().into(),
        Err(_) => address.rsplit_once(':').map_or(address, |(host, _)| host).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::machine;

    #[test]
    fn the_port_of_an_agent_is_no_part_of_its_machine_s_address() {
        for (told, machine_s) in [
            ("192.0.2.1:5051", "192.0.2.1"),
            ("[2001:db8::1]:5051", "2001:db8::1"),
            ("node-1.example.com:5051", "node-1.example.com"),
            ("192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(&*machine(told), machine_s);
        }
    }
}
