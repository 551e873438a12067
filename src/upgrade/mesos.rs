//! What does Mesos say of the agents, and how are they drained and put back?

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::clock;
use crate::mesos::MesosError;
use crate::mesos::operator::{AgentSeen, Operator};
use crate::model::id::NodeName;
use crate::model::node::{AgentFacts, AgentState};
use crate::model::step::Answer;
use crate::work::record::Effect;
use crate::work::seam::Errand;

/// Agents are asked for as often as systems are.
const BEAT: Duration = Duration::from_secs(10);

/// While one drains they are asked for as often as the next step could use the answer.
const WHILE_DRAINING: Duration = Duration::from_secs(1);

/// Tasks get this long to end by themselves; a framework may allow them less.
const GRACE: Duration = Duration::from_secs(600);

/// What Mesos says of each node's agent, and where it listens.
pub type Agents = Arc<BTreeMap<NodeName, (AgentFacts, Option<Box<str>>)>>;

/// Asks the masters, and has the effects on agents.
pub struct Drainer {
    operator: Operator,
    errands: mpsc::UnboundedReceiver<Errand>,
    seen: watch::Sender<Agents>,
}

impl Drainer {
    /// Takes errands.
    pub const fn new(
        operator: Operator,
        errands: mpsc::UnboundedReceiver<Errand>,
        seen: watch::Sender<Agents>,
    ) -> Self {
        Self { operator, errands, seen }
    }

    /// The loop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut heard = self.look(true).await;
        loop {
            let drains = |(facts, _): &(AgentFacts, _)| matches!(facts.state, AgentState::Draining { .. });
            let pause = if self.seen.borrow().values().any(drains) { WHILE_DRAINING } else { BEAT };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => heard = self.look(heard).await,
                errand = self.errands.recv() => match errand {
                    Some(errand) => {
                        let answer = self.obey(&errand.effect).await;
                        errand.answer(answer);
                        heard = self.look(heard).await;
                    }
                    None => return,
                },
            }
        }
    }

    /// Asks for all agents; who does not answer leaves the last word, which ages.
    async fn look(&mut self, heard: bool) -> bool {
        let begun_at = clock::now();
        match self.operator.agents().await {
            Ok(agents) => {
                let facts = agents.into_iter().map(|seen| {
                    let AgentSeen { id, hostname, address, state, scheduled } = seen;
                    let facts = AgentFacts { begun_at, agent: id, state, scheduled_by_others: scheduled };
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

    async fn obey(&mut self, effect: &Effect) -> Answer {
        let done = match effect {
            Effect::Drain { agent } => self.operator.drain(agent, GRACE).await,
            Effect::Reactivate { agent } => self.operator.reactivate(agent).await,
            _ => return Answer::Refused { why: "not for Mesos".into() },
        };
        match done {
            Ok(()) => Answer::Accepted,
            Err(error @ (MesosError::Refused { .. } | MesosError::Login { .. } | MesosError::Settings { .. })) => {
                Answer::Refused { why: error.to_string().into() }
            }
            Err(error) => Answer::Unknown { why: error.to_string().into() },
        }
    }
}
