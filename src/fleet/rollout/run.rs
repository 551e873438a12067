//! The loop of the rollout: it looks at agents, Mesos and pictures, decides for
//! each node, writes down, and only then gives orders and adds.

mod adding;
mod asked;
mod cluster;
mod restart;
mod turn;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use adding::{Adding, Asked};

use super::add::Round;
use super::cluster::{ClusterRecord, Newest};
use super::decide::{Act, is_news, retried};
use super::record::{self, FlagState, Flags, NODES, Record, Source};
use super::restart::Answer;
use super::spread::Last;
use super::steps::{Lack, Package, StepName, Wanted};
use super::view;
use crate::clock;
use crate::config::rollout::Rollout as Topology;
use crate::config::{Mode, Secret, StaticNode, System};
use crate::enrol::crew::{Crew, NotTaken};
use crate::fleet::diff::Addition;
use crate::fleet::volumes::Programs;
use crate::gateway::Gateway;
use crate::model::framework::FrameworkStatus;
use crate::model::id::{NodeName, SystemId};
use crate::model::mdm::Change;
use crate::model::node::NodePhase;
use crate::model::order::{Component, Order, OrderId};
use crate::model::places::Places;
use crate::model::rollout::{Approved, NodeRollout, RolloutOrder, RolloutStatus};
use crate::model::unit::Timestamp;
use crate::model::workload::Workloads;
use crate::rest::Rest;
use crate::store::{Batch, Desk, Key, State, StoreError};
use crate::watches::{Additions, Expected, Gallery};
use crate::work::seam::Line;

/// Where records and approvals are kept.
const APPROVALS: &str = "rollout/approved";
const CLUSTERS: &str = "rollout/mdm";
/// Without any news it is looked again: what waits for a moment has come by then.
const TICK: Duration = Duration::from_secs(1);
/// The loop takes at most a twentieth of one core, and looks then at all that has come meanwhile. Of a thousand nodes that
/// join, each turn finds more to do.
const REST: Rest = Rest { times: 20, shortest: Duration::from_millis(20), longest: Duration::from_secs(2) };
/// An order is not begun later than this after it was given: what was decided may be different then.
const EXPIRES: Duration = Duration::from_secs(10 * 60);
/// Bytes of one commit; a store takes half a MiB with its own costs.
const BYTES: usize = 400 * 1024;
/// A person may hold the store for a moment.
const BUSY_PAUSE: Duration = Duration::from_millis(500);

/// Chooses the package of a component for a node.
pub type ChoosePackage = Arc<dyn Fn(&Wanted<'_>, Component) -> Result<Package, Lack> + Send + Sync>;
/// Told of every step that ended, whether it is so, and how long it took; must be cheap.
pub type OnSettled = Arc<dyn Fn(&str, bool, Duration) + Send + Sync>;

/// A system that is rolled out.
pub struct Part {
    /// How its storage shall look.
    pub rollout: Topology,
    /// The session for changes; none: there is no login for them.
    pub gateway: Option<Arc<Gateway>>,
    /// The password of the MDM's administrator; none: it is not ours to know.
    pub admin: Option<Secret>,
    /// The system as it is configured.
    pub system: System,
}

/// What the rollout is started with.
pub struct Settings {
    /// How much is done without asking.
    pub mode: Mode,
    /// Systems that are rolled out.
    pub parts: BTreeMap<SystemId, Part>,
    /// All configured systems, which agents may name.
    pub systems: BTreeSet<SystemId>,
    /// Hosts outside of Mesos.
    pub static_nodes: BTreeMap<NodeName, StaticNode>,
    /// Where else parts of the whole run.
    pub places: Places,
    /// Chooses packages.
    pub choose: ChoosePackage,
    /// Chooses the release of an MDM cluster that is made.
    pub newest: Arc<Newest>,
    /// Whether a host with these lines of os-release has a package manager.
    pub takes_packages: fn(&str) -> bool,
    /// What there is now by which tasks get volumes.
    pub programs: Arc<dyn Fn() -> Programs + Send + Sync>,
    /// Counts steps.
    pub on_settled: OnSettled,
}

/// What the rollout looks at.
pub struct Watched {
    /// The agents.
    pub crew: Crew,
    /// The framework at Mesos; none without Mesos.
    pub framework: Option<watch::Receiver<Arc<FrameworkStatus>>>,
    /// What runs at Mesos, and by what it is asked for sooner; none without Mesos.
    pub census: Option<(watch::Receiver<Arc<Workloads>>, Arc<Notify>)>,
    /// The systems.
    pub gallery: Gallery,
    /// The work on systems, which nodes are left to while they are in it, and which is asked for restarts.
    pub lines: BTreeMap<SystemId, Line>,
    /// By which the work hears that something is added.
    pub adding: watch::Sender<Additions>,
}

/// How others reach the rollout.
#[derive(Clone, Debug)]
pub struct Handles {
    /// What people tell it, and what is answered.
    pub orders: mpsc::Sender<(RolloutOrder, oneshot::Sender<Result<(), String>>)>,
    /// How far it is.
    pub status: watch::Receiver<Arc<RolloutStatus>>,
}

/// What comes back from what was begun.
enum Came {
    Laid { node: NodeName, id: OrderId, taken: Result<(), NotTaken> },
    Added { system: SystemId, round: Round },
    Planned { node: NodeName, answer: Answer },
}

/// The rollout of all systems.
pub struct Rollout {
    settings: Settings,
    watched: Watched,
    desk: Desk,
    records: BTreeMap<NodeName, Record>,
    approved: BTreeMap<SystemId, Approved>,
    clusters: BTreeMap<SystemId, ClusterRecord>,
    /// Orders that got their secrets in this life.
    told: BTreeSet<OrderId>,
    /// Since when agents are heard.
    since: Timestamp,
    orders: mpsc::Receiver<(RolloutOrder, oneshot::Sender<Result<(), String>>)>,
    published: watch::Sender<Arc<RolloutStatus>>,
    laying: BTreeSet<NodeName>,
    /// Rounds of additions that are open.
    adding: BTreeMap<SystemId, Adding>,
    asked: BTreeMap<SystemId, BTreeMap<Addition, Asked>>,
    /// Whose addresses were changed last, while others lack some.
    moved: BTreeMap<SystemId, Last>,
    /// The node for which something was added last.
    served: BTreeMap<SystemId, NodeName>,
    /// The number of the last addition that the work was told of.
    additions: u64,
    /// Nodes that are none of ours for their name, and why.
    nameless: BTreeMap<NodeName, (SystemId, String)>,
    /// Nodes whose restart is asked for in this moment.
    asking: BTreeSet<NodeName>,
    begun: JoinSet<Came>,
    /// What was decided is to be decided anew at once.
    again: bool,
}

impl Rollout {
    /// Takes up what the store has of it.
    pub fn new(settings: Settings, watched: Watched, desk: Desk, state: &State) -> (Self, Handles) {
        let mut records = BTreeMap::new();
        let mut approved = BTreeMap::new();
        let mut clusters = BTreeMap::new();
        for (key, value) in &state.entries {
            let key = key.as_str();
            let unreadable = |error: serde_json::Error| warn!(key, %error, "an entry of the rollout cannot be read");
            if key.starts_with(&format!("{NODES}/")) {
                match serde_json::from_slice::<Record>(value) {
                    Ok(record) => drop(records.insert(record.node.clone(), record)),
                    Err(error) => unreadable(error),
                }
            } else if key.starts_with(&format!("{CLUSTERS}/")) {
                match serde_json::from_slice::<ClusterRecord>(value) {
                    Ok(record) => drop(clusters.insert(record.system.clone(), record)),
                    Err(error) => unreadable(error),
                }
            } else if let Some(system) = key.strip_prefix(&format!("{APPROVALS}/")) {
                match serde_json::from_slice::<(SystemId, Approved)>(value) {
                    Ok((system, given)) => drop(approved.insert(system, given)),
                    Err(error) => {
                        unreadable(error);
                        warn!(system, "the rollout waits for another yes");
                    }
                }
            }
        }
        let (sender, orders) = mpsc::channel(16);
        let published = watch::Sender::new(Arc::new(RolloutStatus::default()));
        let handles = Handles { orders: sender, status: published.subscribe() };
        let mut rollout = Self {
            settings,
            watched,
            desk,
            records,
            approved,
            clusters,
            told: BTreeSet::new(),
            since: clock::now(),
            orders,
            published,
            laying: BTreeSet::new(),
            adding: BTreeMap::new(),
            asked: BTreeMap::new(),
            moved: BTreeMap::new(),
            served: BTreeMap::new(),
            additions: 0,
            nameless: BTreeMap::new(),
            asking: BTreeSet::new(),
            begun: JoinSet::new(),
            again: false,
        };
        // Before any run goes on.
        let parts: Vec<SystemId> = rollout.settings.parts.keys().cloned().collect();
        for system in parts.iter().filter(|system| rollout.changes_cluster(system)).cloned().collect::<Vec<_>>() {
            rollout.announce(&system, true);
        }
        (rollout, handles)
    }

    /// The loop.
    ///
    /// # Errors
    /// The store failed for good.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), StoreError> {
        let mut members = self.watched.crew.members();
        let mut pictures = self.watched.gallery.subscribe();
        let mut framework = self.watched.framework.clone();
        loop {
            let begun = Instant::now();
            // What comes from here on is news for the next turn.
            members.mark_unchanged();
            pictures.mark_unchanged();
            if let Some(framework) = &mut framework {
                framework.mark_unchanged();
            }
            // All of it: one a turn would be a turn for each order of each node.
            while let Some(came) = self.begun.try_join_next() {
                self.take(came).await?;
            }
            self.turn().await?;
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(REST.since(begun)) => {}
            }
            if std::mem::take(&mut self.again) {
                continue;
            }
            let framework_changed = async {
                match &mut framework {
                    Some(framework) => framework.changed().await.is_ok(),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(TICK) => {}
                _ = members.changed() => {}
                _ = pictures.changed() => {}
                _ = framework_changed => {}
                Some(came) = self.begun.join_next() => self.take(came).await?,
                Some((order, answer)) = self.orders.recv() => {
                    let done = self.obey(order).await?;
                    // Who asked may be gone.
                    let _ = answer.send(done);
                }
            }
        }
    }

    async fn take(&mut self, came: Result<Came, JoinError>) -> Result<(), StoreError> {
        match came {
            Ok(came) => self.came(came).await,
            Err(panic) => {
                warn!(%panic, "a part of the rollout failed");
                Ok(())
            }
        }
    }

    /// Decides once for each node.
    async fn turn(&mut self) -> Result<(), StoreError> {
        let now = clock::now();
        let members = Arc::clone(&self.watched.crew.members().borrow());
        let framework = self.watched.framework.as_ref().map(|framework| Arc::clone(&framework.borrow()));
        let mut changed = self.take_in(framework.as_deref(), now);
        let mut errands = Vec::new();
        let mut take_back = Vec::new();
        let (mut acts, mut adds) = (Vec::new(), Vec::new());
        let mut status = RolloutStatus::default();
        let systems: Vec<SystemId> = self.settings.parts.keys().cloned().collect();
        for system in systems {
            let picture = self.watched.gallery.of(&system);
            let mut cluster = self.cluster(&system, &members, framework.as_deref(), picture.as_deref(), now);
            match &mut cluster {
                Some(decision) if !self.may_change_cluster(&system, decision) => {
                    decision.postpone(self.clusters.get(&system));
                }
                Some(_) => {}
                None => self.tell_of_rounds(&system),
            }
            let snapshot = picture.and_then(|picture| picture.snapshot.clone());
            let turned =
                self.system(&system, &members, framework.as_deref(), snapshot.as_deref(), cluster.as_ref(), now);
            if let Some(decision) = cluster {
                self.keep_cluster(&system, decision.record).await?;
                let part = self.settings.parts.get(&system);
                let orders = decision.orders.iter();
                errands.extend(
                    orders.filter_map(|(node, errand)| Some((node.clone(), self.cluster_order(part?, errand)))),
                );
                take_back.extend(decision.take_back);
            }
            for (record, act) in turned.decided {
                self.again |= self.records.get(&record.node).is_some_and(|before| is_news(before, &record));
                tell(self.records.get(&record.node), &record, turned.nodes.get(&record.node));
                if self.records.get(&record.node) != Some(&record) {
                    changed.insert(record.node.clone());
                    self.records.insert(record.node.clone(), record.clone());
                }
                acts.extend(act.map(|act| (record, act)));
            }
            if turned.is_waiting {
                self.watched.gallery.want(&system, Expected::Additions);
            }
            status.nodes.extend(turned.nodes);
            status.systems.insert(system.clone(), turned.preview);
            adds.push((system, turned.due));
        }
        self.save(&changed).await?;
        for (record, act) in acts {
            self.begin(&record, act);
        }
        for (node, order) in self.without_secrets(&members) {
            self.lay_out(node, order);
        }
        for (node, order) in errands {
            if order.task.name() != Change::Look.name() {
                info!(%node, step = order.task.name(), order = %order.id, "a step for the MDM cluster is ordered");
            }
            self.told.insert(order.id.clone());
            self.lay_out(node, order);
        }
        for (node, id) in take_back {
            self.take_back(node, id);
        }
        self.ask_for_census();
        for (system, due) in adds {
            self.begin_adding(&system, due);
        }
        if **self.published.borrow() != status {
            self.published.send_replace(Arc::new(status));
        }
        Ok(())
    }

    /// Who waits for the master's word on an agent asks for it sooner.
    fn ask_for_census(&self) {
        let Some((census, nudge)) = &self.watched.census else { return };
        let is_waited_for = {
            let census = census.borrow();
            let gives = |record: &&Record| {
                let part = self.settings.parts.get(&record.system);
                part.is_some_and(|part| part.system.volumes.is_some())
            };
            self.records.values().filter(gives).any(|record| match (&record.flags, &record.source.agent) {
                (Some(Flags { state: FlagState::Tried { .. }, .. }), _) => true,
                // One that has just come.
                (None, Some(agent)) => record.phase == NodePhase::Ready && !census.agents.contains_key(agent),
                _ => false,
            })
        };
        if is_waited_for {
            nudge.notify_one();
        }
    }

    /// Takes in nodes that were not seen before, and where they are now.
    fn take_in(&mut self, framework: Option<&FrameworkStatus>, now: Timestamp) -> BTreeSet<NodeName> {
        let rolled: BTreeSet<SystemId> = self.settings.parts.keys().cloned().collect();
        let (mut changed, mut nameless) = (BTreeSet::new(), BTreeMap::new());
        for (node, source) in view::sources(framework, &self.settings.static_nodes) {
            let named = view::system_of(&source, &rolled);
            let Some(system) = named.or_else(|| in_doubt(&source, &self.settings.systems, &rolled)) else { continue };
            if let Err(because) = record::key(node.as_str()) {
                if !self.nameless.contains_key(&node) {
                    warn!(%node, because, "the node is none of ours");
                }
                nameless.insert(node, (system, because));
                continue;
            }
            let record = self
                .records
                .entry(node.clone())
                .or_insert_with(|| Record::new(system.clone(), node.clone(), Source::default(), now));
            if record.source != source || record.system != system {
                record.source = source;
                record.system = system;
                changed.insert(node);
            }
        }
        self.nameless = nameless;
        changed
    }

    /// Does for a node what was decided, once it is written down.
    fn begin(&mut self, record: &Record, act: Act) {
        let node = record.node.clone();
        match act {
            Act::Order { step, task } => {
                let Some(open) = record.open.as_ref() else { return };
                // It is looked again and again, and that changes nothing.
                match step {
                    StepName::JudgeDisks | StepName::Preflight => {
                        debug!(%node, step = step.as_str(), order = %open.id, "the node is to be looked at");
                    }
                    _ => info!(%node, step = step.as_str(), order = %open.id, "a step is ordered"),
                }
                let secrets = self.secrets(&record.system, &task);
                let (id, epoch, expires) = (open.id.clone(), self.watched.crew.epoch(), open.at + EXPIRES);
                let order = Order { id, epoch, expires, within_s: step.within_s(), task, secrets };
                self.told.insert(order.id.clone());
                self.lay_out(node, order);
            }
            Act::TakeBack { id } => self.take_back(node, id),
            Act::Restart => self.ask_for_restart(record),
            // All nodes of a system are added together.
            Act::Add => {}
        }
    }

    fn lay_out(&mut self, node: NodeName, order: Order) {
        let (crew, id) = (self.watched.crew.clone(), order.id.clone());
        self.laying.insert(node.clone());
        self.begun.spawn(async move {
            let taken = crew.lay_out(&node, order).await.map(drop);
            Came::Laid { node, id, taken }
        });
    }

    fn take_back(&mut self, node: NodeName, id: OrderId) {
        info!(%node, order = %id, "the order of a silent agent is taken back");
        let crew = self.watched.crew.clone();
        self.laying.insert(node.clone());
        self.begun.spawn(async move {
            let taken = crew.take_back(&node, &id).await.map(drop);
            Came::Laid { node, id, taken }
        });
    }

    /// Writes down how far a cluster is, when that is news.
    async fn keep_cluster(&mut self, system: &SystemId, record: Option<ClusterRecord>) -> Result<(), StoreError> {
        let Some(record) = record else { return Ok(()) };
        if self.clusters.get(system) == Some(&record) {
            return Ok(());
        }
        // A record is made of maps with text keys and of numbers: writing it down cannot fail.
        let value = serde_json::to_vec(&record).unwrap_or_default();
        self.commit(Batch::new().put(Key::of(CLUSTERS, system.as_str())?, value)).await?;
        self.clusters.insert(system.clone(), record);
        Ok(())
    }

    /// Takes in what came of what was begun.
    async fn came(&mut self, came: Came) -> Result<(), StoreError> {
        match came {
            Came::Laid { node, id, taken } => {
                self.laying.remove(&node);
                if let Err(why) = taken {
                    // It is decided anew: the record's open order is not known to the crew.
                    info!(%node, order = %id, %why, "an order was not taken");
                }
                Ok(())
            }
            Came::Planned { node, answer } => self.planned(node, answer).await,
            Came::Added { system, round } => self.round_is_over(system, round).await,
        }
    }

    /// Does what a person says. The inner error is for that person.
    async fn obey(&mut self, order: RolloutOrder) -> Result<Result<(), String>, StoreError> {
        let key = |system: &SystemId| Key::of(APPROVALS, system.as_str());
        let unknown = |system: &SystemId| format!("system {system} has no section [systems.{system}.rollout]");
        match order {
            RolloutOrder::Approve { system, by } => {
                if !self.settings.parts.contains_key(&system) {
                    return Ok(Err(unknown(&system)));
                }
                let given = Approved { by: by.clone(), at: clock::now() };
                // Texts and moments cannot fail to be written.
                let value = serde_json::to_vec(&(&system, &given)).unwrap_or_default();
                self.commit(Batch::new().put(key(&system)?, value)).await?;
                info!(%system, %by, "the rollout is approved");
                self.approved.insert(system, given);
            }
            RolloutOrder::Withdraw { system, by } => {
                if self.approved.remove(&system).is_none() {
                    return Ok(Err(format!("nobody has approved the rollout of {system}")));
                }
                self.withdraw(&system);
                self.commit(Batch::new().delete(key(&system)?)).await?;
                info!(%system, %by, "the approval of the rollout is taken back; what is under way is ended");
            }
            RolloutOrder::Retry { node } => {
                let Some(before) = self.records.get(&node) else {
                    return Ok(Err(format!("node {node} is not known")));
                };
                let mut cluster = self.clusters.get(&before.system).cloned();
                let failed = cluster.as_mut().and_then(|cluster| cluster.failures.remove(&node));
                let is_stuck =
                    before.flags.as_ref().is_some_and(|flags| flags.state.is_open()) || before.restart.is_some();
                if before.failures.is_none() && failed.is_none() && !is_stuck {
                    return Ok(Err(format!("no step of {node} has failed")));
                }
                let (after, system) = (retried(before), before.system.clone());
                self.records.insert(node.clone(), after);
                self.save(&[node].into()).await?;
                self.keep_cluster(&system, cluster).await?;
            }
            RolloutOrder::GiveUp { node, by } => {
                let Some(record) = self.records.get(&node) else {
                    return Ok(Err(format!("node {node} is not known")));
                };
                let system = record.system.clone();
                match self.without_member(&system, &node, by.clone(), clock::now()) {
                    Ok(record) => {
                        warn!(%system, %node, %by, "a member of the MDM cluster is given up; another node takes its place");
                        self.keep_cluster(&system, Some(record)).await?;
                    }
                    Err(why) => return Ok(Err(why)),
                }
            }
        }
        Ok(Ok(()))
    }

    /// Writes records down.
    async fn save(&self, which: &BTreeSet<NodeName>) -> Result<(), StoreError> {
        let (mut batch, mut size) = (Batch::new(), 0);
        for record in which.iter().filter_map(|node| self.records.get(node)) {
            // A record is made of maps with text keys and of numbers: writing it down cannot fail.
            let value = serde_json::to_vec(record).unwrap_or_default();
            if size + value.len() > BYTES {
                self.commit(std::mem::take(&mut batch)).await?;
                size = 0;
            }
            size += value.len();
            // Nobody is taken in without a key.
            let Ok(key) = record::key(record.node.as_str()) else { continue };
            batch = batch.put(key, value);
        }
        if size > 0 { self.commit(batch).await } else { Ok(()) }
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        loop {
            match self.desk.commit(batch.clone()).await {
                Err(error) if error.may_retry() => tokio::time::sleep(BUSY_PAUSE).await,
                done => return done,
            }
        }
    }
}

/// One line for each change of a node's phase.
fn tell(before: Option<&Record>, after: &Record, shown: Option<&NodeRollout>) {
    let is_same = |before: &Record| std::mem::discriminant(&before.phase) == std::mem::discriminant(&after.phase);
    if before.is_some_and(is_same) {
        return;
    }
    let why: Vec<String> = shown.iter().flat_map(|shown| &shown.why).map(ToString::to_string).collect();
    let (node, phase, why) = (&after.node, after.phase.as_str(), why.join("; "));
    match after.phase {
        NodePhase::Failed { .. } | NodePhase::Lost => warn!(%node, phase, why, "the node has changed"),
        _ => info!(%node, phase, why, "the node has changed"),
    }
}

/// A node that names no system where several are rolled out is shown at the first.
fn in_doubt(source: &Source, systems: &BTreeSet<SystemId>, rolled: &BTreeSet<SystemId>) -> Option<SystemId> {
    match source.attributes.get("scaleio-system") {
        // It works for one that is only watched.
        Some(named) if systems.contains(&SystemId::new(named)) => None,
        _ => rolled.first().cloned(),
    }
}
