//! Hosts with agents, as far as the work sees them: packages, services, a ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use scaleio_framework::app::Joined;
use scaleio_framework::clock;
use scaleio_framework::model::id::NodeName;
use scaleio_framework::model::node::{FORM, NodeFacts};
use scaleio_framework::model::permit::Permit;
use scaleio_framework::model::step::{Action, Answer, Component, StepId, StepKind};
use scaleio_framework::sim::Running;
use scaleio_framework::sim::world::Component as Package;
use scaleio_framework::upgrade::hands::Others;
use scaleio_framework::work::record::Effect;
use scaleio_framework::work::seam::{Errand, Surroundings};
use tokio::sync::{mpsc, watch};

/// How often agents report.
const BEAT: Duration = Duration::from_millis(300);

struct Host {
    sds: String,
    installed: Box<str>,
    staged: BTreeSet<Box<str>>,
    running: bool,
    working: Option<StepId>,
    ledger: BTreeMap<StepId, Answer>,
    broken: bool,
    epoch: u64,
}

/// All hosts of a system.
pub(crate) struct Hosts {
    world: Arc<Running>,
    hosts: Mutex<BTreeMap<NodeName, Host>>,
    addresses: BTreeMap<NodeName, BTreeSet<Box<str>>>,
    /// What was really done, in order.
    deeds: Mutex<Vec<(NodeName, StepKind)>>,
    around: watch::Sender<Arc<Surroundings>>,
    /// Hosts live on when their controller is killed.
    runtime: tokio::runtime::Handle,
}

impl Hosts {
    /// A host for each SDS, with the release that it runs.
    pub(crate) fn of(world: &Arc<Running>) -> Arc<Self> {
        let (mut hosts, mut addresses) = (BTreeMap::new(), BTreeMap::new());
        world.world(|world| {
            for (number, sds) in world.sds.values().enumerate() {
                let name = NodeName::new(&format!("node-{}", number + 1));
                let host = Host {
                    sds: sds.name.clone(),
                    installed: sds.version.as_str().into(),
                    staged: BTreeSet::new(),
                    running: true,
                    working: None,
                    ledger: BTreeMap::new(),
                    broken: false,
                    epoch: 0,
                };
                hosts.insert(name.clone(), host);
                addresses.insert(name, sds.ips.iter().map(|at| at.ip.as_str().into()).collect());
            }
        });
        let hosts = Self {
            world: Arc::clone(world),
            hosts: Mutex::new(hosts),
            addresses,
            deeds: Mutex::default(),
            around: watch::Sender::default(),
            runtime: tokio::runtime::Handle::current(),
        };
        hosts.report();
        let hosts = Arc::new(hosts);
        let reporter = Arc::clone(&hosts);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(BEAT).await;
                reporter.report();
            }
        });
        hosts
    }

    /// What a controller is joined to.
    pub(crate) fn join(self: &Arc<Self>) -> Joined {
        let (nodes, mut errands) = mpsc::unbounded_channel::<Errand>();
        let hosts = Arc::clone(self);
        self.runtime.spawn(async move {
            while let Some(errand) = errands.recv().await {
                let hosts = Arc::clone(&hosts);
                tokio::spawn(async move { hosts.obey(errand).await });
            }
        });
        Joined { around: Some(self.around.subscribe()), others: Others { nodes: Some(nodes), mesos: None } }
    }

    /// The next package that is installed on a node does not work.
    pub(crate) fn break_package(&self, node: &str) {
        self.hosts.lock().unwrap().get_mut(&NodeName::new(node)).unwrap().broken = true;
    }

    pub(crate) fn deeds(&self) -> Vec<(NodeName, StepKind)> {
        self.deeds.lock().unwrap().clone()
    }

    pub(crate) fn versions(&self) -> Vec<String> {
        self.hosts.lock().unwrap().values().map(|host| host.installed.to_string()).collect()
    }

    fn report(&self) {
        let now = clock::now();
        let facts = |host: &Host| NodeFacts {
            form: FORM,
            seen_at: now,
            boot_id: "boot-1".into(),
            kernel: "5.14".into(),
            next_kernel: "5.14".into(),
            modules: BTreeSet::new(),
            installed: [(Component::Sds, [host.installed.clone()].into())].into(),
            staged: [(Component::Sds, host.staged.clone())].into(),
            running: if host.running { [Component::Sds].into() } else { BTreeSet::new() },
            open_volumes: 0,
            epoch: host.epoch,
            working: host.working.clone(),
            carries: BTreeSet::new(),
            unready: None,
        };
        let nodes = self.hosts.lock().unwrap().iter().map(|(name, host)| (name.clone(), facts(host))).collect();
        let around = Surroundings { nodes, addresses: self.addresses.clone(), ..Surroundings::default() };
        self.around.send_replace(Arc::new(around));
    }

    async fn obey(&self, errand: Errand) {
        let Effect::Order { permit, .. } = &errand.effect else { return };
        match self.take(permit) {
            Err(answer) => errand.answer(answer),
            Ok(()) => {
                errand.answer(Answer::Accepted);
                self.stop(permit);
                self.report();
                tokio::time::sleep(BEAT).await;
                if let Some(answer) = self.end(permit) {
                    errand.answer(answer);
                }
                self.report();
            }
        }
    }

    /// As an agent judges an order.
    fn take(&self, permit: &Permit) -> Result<(), Answer> {
        let mut hosts = self.hosts.lock().unwrap();
        let host = hosts.get_mut(&permit.node).unwrap();
        if let Some(answer) = host.ledger.get(&permit.step) {
            return Err(answer.clone());
        }
        permit
            .admits(&permit.node, host.epoch, clock::now())
            .map_err(|error| Answer::Refused { why: error.to_string().into() })?;
        host.epoch = permit.epoch;
        host.ledger.insert(permit.step.clone(), Answer::Accepted);
        host.working = Some(permit.step.clone());
        self.deeds.lock().unwrap().push((permit.node.clone(), permit.action.kind()));
        Ok(())
    }

    fn stop(&self, permit: &Permit) {
        if matches!(permit.action, Action::Apply { .. } | Action::Rollback { .. }) {
            let mut hosts = self.hosts.lock().unwrap();
            let host = hosts.get_mut(&permit.node).unwrap();
            host.running = false;
            // What is down already stays down.
            let _ = self.world.world(|world| world.fail_sds(&host.sds));
        }
    }

    fn end(&self, permit: &Permit) -> Option<Answer> {
        let mut hosts = self.hosts.lock().unwrap();
        let host = hosts.get_mut(&permit.node).unwrap();
        host.working = None;
        match &permit.action {
            Action::Stage { version, .. } => {
                host.staged.insert(version.clone());
            }
            Action::Apply { version, .. } | Action::Rollback { version, .. } => {
                host.installed = version.clone();
                if std::mem::take(&mut host.broken) {
                    let answer = Answer::Failed { why: "the service did not start".into() };
                    host.ledger.insert(permit.step.clone(), answer.clone());
                    return Some(answer);
                }
                host.running = true;
                self.world.world(|world| {
                    let _ = world.return_sds(&host.sds);
                    world.install(&Package::Sds(host.sds.clone()), version).unwrap();
                });
            }
            _ => {}
        }
        None
    }
}
