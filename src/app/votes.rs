//! Wiring of the votes on maintenance of Mesos: what is on the machines that operators want, and what they are told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::enrol::crew::Members;
use crate::fleet::vote::{Known, vote};
use crate::model::framework::{FrameworkOrder, FrameworkStatus};
use crate::model::id::{AgentId, NodeName, SystemId};
use crate::model::lifecycle::Lifecycle;
use crate::model::offer::Vote;
use crate::watches::Gallery;

/// Masters ask anew about every half minute.
const LOOK: Duration = Duration::from_secs(1);

/// What the votes rest on.
pub(super) struct Ground {
    pub(super) framework: watch::Receiver<Arc<FrameworkStatus>>,
    pub(super) orders: mpsc::Sender<FrameworkOrder>,
    pub(super) members: Option<watch::Receiver<Arc<Members>>>,
    pub(super) works: BTreeMap<SystemId, watch::Receiver<Arc<Lifecycle>>>,
    pub(super) gallery: Gallery,
    /// All systems, also those that were not seen yet.
    pub(super) systems: BTreeSet<SystemId>,
}

impl Ground {
    /// Tells the framework what operators are to be told, whenever that changes.
    pub(super) async fn tell(self, stop: CancellationToken) {
        let mut told = BTreeMap::new();
        let mut tick = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            let votes = self.votes();
            if votes == told {
                continue;
            }
            // The framework has ended, and everything else does.
            if self.orders.send(FrameworkOrder::Votes(votes.clone())).await.is_err() {
                stop.cancelled().await;
                return;
            }
            told = votes;
        }
    }

    /// Of the agents whose machines somebody wants.
    fn votes(&self) -> BTreeMap<AgentId, Vote> {
        let framework = Arc::clone(&self.framework.borrow());
        let wanted: Vec<_> = framework.agents.values().filter(|seen| seen.wanted_from.is_some()).collect();
        if wanted.is_empty() {
            return BTreeMap::new();
        }
        let members = self.members.as_ref().map(|members| Arc::clone(&members.borrow())).unwrap_or_default();
        let works: BTreeMap<&SystemId, Arc<Lifecycle>> =
            self.works.iter().map(|(system, work)| (system, Arc::clone(&work.borrow()))).collect();
        let pictures = self.gallery.all();
        let known = |system: &SystemId| Known {
            snapshot: pictures.get(system).and_then(|picture| picture.snapshot.as_deref()),
            work: works.get(system).map(|work| &**work),
        };
        let systems = self.systems.iter().map(|system| (system.clone(), known(system))).collect();
        let now = clock::now();
        let of = |seen: &crate::model::framework::SeenAgent| {
            let node = NodeName::new(&seen.hostname);
            let member = members.get(&node).map(|member| &**member);
            vote(&node, seen.address.as_deref(), member, &systems, now)
        };
        wanted.into_iter().map(|seen| (seen.agent.clone(), of(seen))).collect()
    }
}
