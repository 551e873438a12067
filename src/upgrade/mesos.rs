//! What does Mesos say of the agents, and how are they drained and put back?

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::hands::Intended;
use crate::clock;
use crate::mesos::MesosError;
use crate::mesos::operator::{AgentSeen, Operator};
use crate::model::id::NodeName;
use crate::model::node::{AgentFacts, AgentState};
use crate::model::step::Answer;
use crate::model::unit::Timestamp;
use crate::store::Desk;
use crate::work::record::Effect;

/// Agents are asked for as often as systems are.
const BEAT: Duration = Duration::from_secs(10);

/// While one drains they are asked for as often as the next step could use the answer.
const WHILE_DRAINING: Duration = Duration::from_secs(1);

/// So many times as long as a look takes nobody is asked, so that to look is a small part of what a master does; but not
/// longer than the beat.
const REST: u32 = 10;

/// Tasks get this long to end by themselves; a framework may allow them less.
const GRACE: Duration = Duration::from_secs(600);

/// What Mesos says of each node's agent, and where it listens.
pub type Agents = Arc<BTreeMap<NodeName, (AgentFacts, Option<Box<str>>)>>;

/// Asks the masters, and has the effects on agents.
pub struct Drainer {
    operator: Operator,
    desk: Desk,
    errands: mpsc::UnboundedReceiver<Intended>,
    seen: watch::Sender<Agents>,
}

impl Drainer {
    /// Takes errands.
    pub const fn new(
        operator: Operator,
        desk: Desk,
        errands: mpsc::UnboundedReceiver<Intended>,
        seen: watch::Sender<Agents>,
    ) -> Self {
        Self { operator, desk, errands, seen }
    }

    /// The loop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut heard = true;
        loop {
            let begun = tokio::time::Instant::now();
            heard = self.look(heard).await;
            let rest = (begun.elapsed() * REST).min(BEAT);
            let drains = |(facts, _): &(AgentFacts, _)| matches!(facts.state, AgentState::Draining { .. });
            let pause = if self.seen.borrow().values().any(drains) { WHILE_DRAINING } else { BEAT };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause.max(rest)) => {}
                intended = self.errands.recv() => match intended {
                    Some(intended) => {
                        let answer = self.obey(&intended, clock::now()).await;
                        intended.errand.answer(answer);
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

    async fn obey(&mut self, intended: &Intended, now: Timestamp) -> Answer {
        // It may have waited for a look that the master was slow to answer.
        if let Some(refusal) = intended.refusal(self.desk.epoch(), now) {
            return refusal;
        }
        let done = match &intended.errand.effect {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{MasterUrl, Masters, Mesos, Trust};
    use crate::model::id::{AgentId, RunId};
    use crate::model::step::StepId;
    use crate::store::{Disk, Owner, State};
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
        let (_owner, desk) = Owner::new(Box::new(Disk::new().open().unwrap()), &State::default());
        let (_errands, orders) = mpsc::unbounded_channel();
        let operator = Operator::new(&settings).unwrap();
        let mut drainer = Drainer::new(operator, desk, orders, watch::Sender::default());
        let (answers, _heard) = mpsc::unbounded_channel();
        let step = StepId { run: RunId::new("r"), task: 0, place: 0, attempt: 0 };
        let at = |second| Timestamp::from_timestamp(second, 0).unwrap();
        let errand = Errand { step, effect: Effect::Drain { agent: AgentId::new("a") }, answers };
        let intended = Intended { errand, at: at(100), epoch: 0 };
        assert!(matches!(drainer.obey(&intended, at(105)).await, Answer::Unknown { .. }), "it was sent");
        assert!(matches!(drainer.obey(&intended, at(300)).await, Answer::Refused { .. }), "it was not");
    }
}
