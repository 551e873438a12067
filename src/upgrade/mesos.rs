//! What does Mesos say of the agents, and how are they drained and put back?

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::hands::Intended;
use crate::clock;
use crate::config::Drain;
use crate::mesos::MesosError;
use crate::mesos::operator::{AgentSeen, Operator};
use crate::mesos::schedule::{Entry, Ours};
use crate::model::id::{AgentId, NodeName};
use crate::model::node::AgentFacts;
use crate::model::step::Answer;
use crate::model::unit::Timestamp;
use crate::store::{Batch, Desk, Key, State, StoreError};
use crate::work::record::Effect;

/// Agents are asked for as often as systems are.
const BEAT: Duration = Duration::from_secs(10);

/// While tasks end on one of them they are asked for as often as the next step could use the answer, unless to answer is work.
const WHILE_ENDING: Duration = Duration::from_secs(1);

/// So seldom nobody is asked.
const LONGEST: Duration = Duration::from_secs(60);

/// So many times as long as a look takes nobody is asked, so that to look is a small part of what a master does.
const REST: u32 = 10;

/// Tasks get this long to end by themselves; a framework may allow them less.
const GRACE: Duration = Duration::from_secs(600);

/// What Mesos says of each node's agent, and where it listens.
pub type Agents = Arc<BTreeMap<NodeName, (AgentFacts, Option<Box<str>>)>>;

/// Asks the masters, and has the effects on agents.
pub struct Drainer {
    operator: Operator,
    way: Drain,
    desk: Desk,
    errands: mpsc::UnboundedReceiver<Intended>,
    seen: watch::Sender<Agents>,
    /// Windows of the maintenance schedule that are ours, as the store has them: written down before they are there, and
    /// forgotten after they are gone.
    ours: Ours,
}

/// Why an agent is not drained, or not put back.
#[derive(Debug, thiserror::Error)]
enum Undone {
    #[error(transparent)]
    Mesos(#[from] MesosError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nothing was sent.
    #[error("{0}")]
    No(String),
    /// It was sent, and is not to be seen.
    #[error("{0}")]
    Unknown(String),
}

impl Drainer {
    /// Takes errands.
    pub fn new(
        operator: Operator,
        way: Drain,
        desk: Desk,
        state: &State,
        errands: mpsc::UnboundedReceiver<Intended>,
        seen: watch::Sender<Agents>,
    ) -> anyhow::Result<Self> {
        let mut ours = Ours::new();
        for (key, value) in state.entries.iter().filter(|(key, _)| key.as_str().starts_with(WINDOWS)) {
            let window: Window = serde_json::from_slice(value)
                .with_context(|| format!("the entry {key} of the store cannot be read"))?;
            ours.insert(window.agent, window.entry);
        }
        Ok(Self { operator, way, desk, errands, seen, ours })
    }

    /// The loop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut heard = self.look(true).await;
        let mut rest = Duration::ZERO;
        loop {
            let is_ending = self.seen.borrow().values().any(|(facts, _)| facts.state.is_ending());
            let pause = if is_ending { WHILE_ENDING } else { BEAT };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause.max(rest).min(LONGEST)) => {}
                intended = self.errands.recv() => match intended {
                    Some(intended) => {
                        let answer = self.obey(&intended, clock::now()).await;
                        intended.errand.answer(answer);
                    }
                    None => return,
                },
            }
            let begun = tokio::time::Instant::now();
            heard = self.look(heard).await;
            rest = begun.elapsed() * REST;
        }
    }

    /// Asks for all agents; who does not answer leaves the last word, which ages.
    async fn look(&mut self, heard: bool) -> bool {
        let begun_at = clock::now();
        match self.operator.agents(&self.ours).await {
            Ok(agents) => {
                let facts = agents.into_iter().map(|seen| {
                    let AgentSeen { id, hostname, address, state, scheduled_by_others } = seen;
                    let facts = AgentFacts { begun_at, agent: id, state, scheduled_by_others };
                    (NodeName::new(&hostname), (facts, address.map(Into::into)))
                });
                self.seen.send_replace(Arc::new(facts.collect()));
                true
            }
            Err(error) => {
                if heard {
                    warn!(%error, "the Mesos agents are not known; what would drain one waits");
                }
                false
            }
        }
    }

    async fn obey(&mut self, intended: &Intended, now: Timestamp) -> Answer {
        // It may have waited for a look that the master was slow to answer.
        if let Some(refusal) = intended.refusal(self.desk.epoch(), now) {
            return refusal;
        }
        let done = match &intended.errand.effect {
            Effect::Drain { agent } if self.way == Drain::Schedule => self.schedule(agent, now).await,
            Effect::Drain { agent } => self.operator.drain(agent, GRACE).await.map_err(Undone::from),
            // Whichever way it was drained.
            Effect::Reactivate { agent } => match self.ours.get(agent).cloned() {
                Some(entry) => self.unschedule(agent, &entry).await,
                None => self.operator.reactivate(agent).await.map_err(Undone::from),
            },
            _ => return Answer::Refused { why: "not for Mesos".into() },
        };
        match done {
            Ok(()) => Answer::Accepted,
            Err(
                undone @ (Undone::No(_)
                | Undone::Store(_)
                | Undone::Mesos(
                    MesosError::Refused { .. } | MesosError::Login { .. } | MesosError::Settings { .. },
                )),
            ) => Answer::Refused { why: undone.to_string().into() },
            Err(undone) => Answer::Unknown { why: undone.to_string().into() },
        }
    }

    /// Asks the frameworks of an agent to leave. What others have in the schedule stays there; between two calls of ours
    /// somebody else's may be lost all the same, since a master takes whole schedules only.
    async fn schedule(&mut self, agent: &AgentId, now: Timestamp) -> Result<(), Undone> {
        let seen = self.operator.agents(&self.ours).await?;
        let place =
            seen.into_iter().find(|seen| seen.id == *agent).and_then(|seen| Some((seen.hostname, seen.address?)));
        let Some((hostname, ip)) = place else {
            return Err(Undone::No(format!("the master knows no agent {agent} with an address")));
        };
        let before = self.operator.schedule().await?;
        if self.ours.get(agent).is_some_and(|entry| before.has(entry)) {
            return Ok(());
        }
        if before.is_covered_by_others(&hostname, Some(&ip), &self.ours) {
            return Err(Undone::No(format!("the maintenance schedule of others covers {hostname}")));
        }
        let start_nanoseconds = now.timestamp_nanos_opt().unwrap_or_default();
        let entry = Entry { hostname: hostname.into(), ip: ip.into(), start_nanoseconds };
        let window = Window { agent: agent.clone(), entry: entry.clone() };
        let written = serde_json::to_vec(&window).map_err(|error| Undone::No(error.to_string()))?;
        self.desk.commit(Batch::new().put(key(agent)?, written)).await?;
        self.ours.insert(agent.clone(), entry.clone());
        let wanted = before.with(&entry);
        self.operator.set_schedule(&wanted).await?;
        if !self.operator.schedule().await?.holds(&wanted) {
            return Err(Undone::Unknown("somebody else wrote the maintenance schedule at the same moment".to_owned()));
        }
        Ok(())
    }

    /// An agent takes tasks again.
    async fn unschedule(&mut self, agent: &AgentId, entry: &Entry) -> Result<(), Undone> {
        let before = self.operator.schedule().await?;
        if before.has(entry) {
            let wanted = before.without(entry);
            self.operator.set_schedule(&wanted).await?;
            let after = self.operator.schedule().await?;
            if after.has(entry) || !after.holds(&wanted) {
                return Err(Undone::Unknown(
                    "somebody else wrote the maintenance schedule at the same moment".to_owned(),
                ));
            }
        }
        self.desk.commit(Batch::new().delete(key(agent)?)).await?;
        self.ours.remove(agent);
        Ok(())
    }
}

/// Where windows of ours are written down.
const WINDOWS: &str = "mesos-windows/";

#[derive(Serialize, Deserialize)]
struct Window {
    agent: AgentId,
    #[serde(flatten)]
    entry: Entry,
}

fn key(agent: &AgentId) -> Result<Key, StoreError> {
    Key::of(WINDOWS.trim_end_matches('/'), agent.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{MasterUrl, Masters, Mesos, Trust};
    use crate::model::id::RunId;
    use crate::model::step::StepId;
    use crate::store::{Disk, Owner};
    use crate::work::seam::Errand;

    #[tokio::test]
    async fn no_agent_is_drained_for_what_was_decided_long_ago() {
        let settings = Mesos {
            cluster: "test".to_owned(),
            // Nobody listens there: what is sent has no answer.
            masters: Masters::Addresses(vec![MasterUrl { tls: false, address: "127.0.0.1:1".to_owned() }]),
            trust: Trust::SystemRoots,
            login: None,
            name: "scaleio".to_owned(),
            user: "root".to_owned(),
            roles: Vec::new(),
            failover_timeout: Duration::from_secs(3600),
            webui_url: None,
            executor_cpus: 0.1,
            executor_mem: 64.0,
        };
        let state = State::default();
        let (_owner, desk) = Owner::new(Box::new(Disk::new().open().unwrap()), &state);
        let (_errands, orders) = mpsc::unbounded_channel();
        let operator = Operator::new(&settings).unwrap();
        let mut drainer = Drainer::new(operator, Drain::Agent, desk, &state, orders, watch::Sender::default()).unwrap();
        let (answers, _heard) = mpsc::unbounded_channel();
        let step = StepId { run: RunId::new("r"), task: 0, place: 0, attempt: 0 };
        let at = |second| Timestamp::from_timestamp(second, 0).unwrap();
        let errand = Errand { step, effect: Effect::Drain { agent: AgentId::new("a") }, answers };
        let intended = Intended { errand, at: at(100), epoch: 0 };
        assert!(matches!(drainer.obey(&intended, at(105)).await, Answer::Unknown { .. }), "it was sent");
        assert!(matches!(drainer.obey(&intended, at(300)).await, Answer::Refused { .. }), "it was not");
    }
}
