//! One node of a healthy system before, in and after its work, for what a gate is asked about it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::TimeDelta;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use scaleio_framework::model::cluster::{MdmAlert, MdmRole, System};
use scaleio_framework::model::hold::{Gate, Reason, ReasonKind};
use scaleio_framework::model::id::{MdmId, NodeName, RunId, StoragePoolId};
use scaleio_framework::model::node::{AgentFacts, AgentState, NodeFacts};
use scaleio_framework::model::permit::{LIFE, Permit};
use scaleio_framework::model::picture::Picture;
use scaleio_framework::model::plan::{Approval, Plan, Request, Task};
use scaleio_framework::model::snapshot::{Keyed, Slot, Snapshot, Table};
use scaleio_framework::model::state::Seen;
use scaleio_framework::model::stats::{Stat, StatKind, StatTable, Statistics};
use scaleio_framework::model::step::{Action, Answer, Component, MaintenanceMode, StepId, StepKind};
use scaleio_framework::model::unit::Timestamp;
use scaleio_framework::proof::controller::Controller;
use scaleio_framework::proof::site::Site;
use scaleio_framework::sim::Release;
use scaleio_framework::sim::world::Upgrade;
use scaleio_framework::upgrade::plan::{Fleet, Habits, plan};
use scaleio_framework::work::book::{Book, Plans, Run};
use scaleio_framework::work::facts::{Facts, Firing, Policy};
use scaleio_framework::work::gate::Ask;
use scaleio_framework::work::record::{Duty, Effect, Obligation, Record};
use scaleio_framework::work::seam::Packages;

static NO_PACKAGES: BTreeMap<NodeName, Arc<Packages>> = BTreeMap::new();

/// What a planner is shown of these facts: nothing is known of packages.
pub(crate) fn fleet<'a>(facts: &Facts<'a>, addresses: &'a BTreeMap<NodeName, BTreeSet<Box<str>>>) -> Fleet<'a> {
    Fleet::of(facts, addresses, &NO_PACKAGES).unwrap()
}

/// All that a gate is shown.
pub(crate) struct Scene {
    pub(crate) picture: Picture,
    pub(crate) nodes: BTreeMap<NodeName, NodeFacts>,
    pub(crate) agents: BTreeMap<NodeName, AgentFacts>,
    pub(crate) addresses: BTreeMap<NodeName, BTreeSet<Box<str>>>,
    pub(crate) firing: Firing,
    pub(crate) book: Book,
    pub(crate) policy: Policy,
    pub(crate) now: Timestamp,
    /// The task that is asked about.
    pub(crate) number: u32,
}

pub(crate) fn run_id() -> RunId {
    RunId::new("run-1")
}

impl Scene {
    /// A healthy system whose MDMs and LIAs are upgraded, with a plan for its SDSs; nothing is begun.
    pub(crate) fn waiting() -> Self {
        let mut site = Site::new(5, Release::V3_6, ChaCha8Rng::seed_from_u64(1), 1);
        let to = site.to.clone();
        for member in &mut site.world.mdm.members {
            member.version = to.to_string();
        }
        for host in site.hosts.values_mut() {
            for component in [Component::Lia, Component::Mdm] {
                if let Some(version) = host.installed.get_mut(&component) {
                    version.clone_from(&to);
                }
            }
            host.staged = [(Component::Sds, [to.clone()].into())].into();
        }
        let mut scene = Self::of(&site, Request::Upgrade { to, only: BTreeSet::new() });
        // Not the host that owns the MDM cluster: that one is asked for more.
        let owner = scene.owner();
        let found = scene.run().each().find(|(_, _, task, _)| task.mdm.as_ref() != Some(&owner)).map(|at| at.0);
        scene.number = found.unwrap();
        scene
    }

    /// A healthy system with a plan that takes its last host out, which is drained.
    pub(crate) fn leaving() -> Self {
        let mut site = Site::new(5, Release::V3_6, ChaCha8Rng::seed_from_u64(1), 1);
        site.free_last();
        let node = site.hosts.keys().next_back().unwrap().clone();
        let mut scene = Self::of(&site, Request::Remove { node });
        scene.begin_and_drain();
        scene
    }

    /// A system whose upgrade is all there but for its end, which a plan is to bring.
    pub(crate) fn finalising() -> Self {
        let mut site = Site::new(5, Release::V3_6, ChaCha8Rng::seed_from_u64(1), 1);
        let from = site.from.to_string();
        site.world.upgrade = Upgrade::Running { from, commands_allowed: false };
        let to = site.from.clone();
        Self::of(&site, Request::Finalise { to })
    }

    /// A system in which all hosts have the new release, their clients aside, with a plan that sends a server back.
    pub(crate) fn going_back() -> Self {
        let mut site = Site::new(5, Release::V3_6, ChaCha8Rng::seed_from_u64(1), 1);
        let (from, to) = (site.from.clone(), site.to.clone());
        for host in site.hosts.values_mut() {
            for (_, version) in host.installed.iter_mut().filter(|(component, _)| **component != Component::Sdc) {
                version.clone_from(&to);
            }
            host.staged = [(Component::Sds, [from.clone()].into())].into();
        }
        site.world.sds.values_mut().for_each(|sds| sds.version = to.to_string());
        site.world.mdm.members.iter_mut().for_each(|member| member.version = to.to_string());
        site.world.upgrade = Upgrade::Running { from: from.to_string(), commands_allowed: true };
        let node = site.hosts.values().find(|host| host.mdm.is_none()).unwrap().name.clone();
        Self::of(&site, Request::Back { to: from, only: [node].into() })
    }

    /// A healthy system with a plan that restarts a host.
    pub(crate) fn restarting() -> Self {
        let site = Site::new(5, Release::V3_6, ChaCha8Rng::seed_from_u64(1), 1);
        let node = site.hosts.values().find(|host| host.mdm.is_none()).unwrap().name.clone();
        Self::of(&site, Request::Reboot { node })
    }

    fn of(site: &Site, request: Request) -> Self {
        let now = site.now();
        let (mut controller, _) = Controller::start(Plans::new(), &mut Vec::new(), 1, Policy::default(), now).unwrap();
        controller.poll(site);
        let addresses = site.addresses();
        let facts = controller.facts(now);
        let fleet = fleet(&facts, &addresses);
        let habits = Habits { reboots: true, ..Habits::default() };
        let mut plan = plan(request, &fleet, &habits, None, now).plan;
        plan.stages.retain(|stage| !matches!(&*stage.name, "packages" | "lia" | "mdm" | "sdc"));
        plan.stages[0].canary = false;
        let mut scene = Self {
            picture: facts.picture.clone(),
            nodes: facts.nodes.clone(),
            agents: facts.agents.clone(),
            addresses: addresses.clone(),
            firing: facts.firing.clone(),
            book: Book::default(),
            policy: Policy::default(),
            now,
            number: 0,
        };
        let approval = Approval::Hash { plan: plan.id(), by: "a person".into(), at: now };
        scene.open(plan, approval);
        scene
    }

    /// The member that owns the MDM cluster.
    fn owner(&self) -> MdmId {
        let mdm = self.picture.snapshot.as_ref().unwrap().array.as_ref().unwrap().mdm.as_ref().unwrap();
        mdm.members.iter().find(|member| member.role == MdmRole::Primary).unwrap().id.clone()
    }

    /// A run of this plan is open.
    pub(crate) fn open(&mut self, plan: Plan, approval: Approval) {
        let id = plan.id();
        self.book = Book { plans: [(id.clone(), Arc::new(plan))].into(), ..Book::default() };
        self.write(Record::Opened { run: run_id(), plan: id, approval, baseline: BTreeSet::new() });
    }

    #[allow(clippy::needless_pass_by_value)]
    pub(crate) fn write(&mut self, record: Record) {
        self.book.apply(&record, self.now).unwrap();
    }

    /// Its task is in work, and its agent drained by us.
    pub(crate) fn drained() -> Self {
        let mut scene = Self::waiting();
        scene.begin_and_drain();
        scene
    }

    pub(crate) fn begin_and_drain(&mut self) {
        self.write(Record::Began { run: run_id(), task: self.number });
        let task = self.task();
        self.took(Duty::Deactivated { agent: task.agent.clone().unwrap() });
        self.agents.get_mut(&task.node).unwrap().state = AgentState::Drained;
        self.nodes.get_mut(&task.node).unwrap().open_volumes = 0;
    }

    /// The same, and its SDS is in maintenance by us.
    pub(crate) fn in_maintenance() -> Self {
        let mut scene = Self::drained();
        scene.enter();
        scene
    }

    pub(crate) fn enter(&mut self) {
        let id = self.task().sds.unwrap();
        self.took(Duty::Maintenance { sds: id.clone() });
        self.sds(|sds| {
            if sds.id == id {
                sds.maintenance = Seen::read("InMaintenance");
            }
        });
    }

    /// The MDM takes our order to end the maintenance, and shows one after that.
    pub(crate) fn left_by_the_mdm(&mut self) {
        let (task, run) = (self.number, run_id());
        let steps = self.task().steps;
        let exit = steps.iter().position(|step| step.action == Action::ExitMaintenance).unwrap() as u32;
        for place in 0..exit {
            self.write(Record::Confirmed { run: run.clone(), task, place });
        }
        let step = StepId { run, task, place: exit, attempt: 0 };
        let effect = Effect::Exit { sds: self.task().sds.unwrap(), mode: MaintenanceMode::Instant };
        self.write(Record::Intended { step: step.clone(), epoch: 1, effect, gate: "".into() });
        self.write(Record::Answered { step, answer: Answer::Accepted });
    }

    /// The step at hand was ordered, and answered so.
    pub(crate) fn order(&mut self, place: u32, answer: Answer) {
        let step = StepId { run: run_id(), task: self.number, place, attempt: 0 };
        let (task, gate): (Task, Box<str>) = (self.task(), "".into());
        let effect = match task.steps[place as usize].action.clone() {
            Action::EnterMaintenance { mode } => Effect::Enter { sds: task.sds.unwrap(), mode },
            action => Effect::Order {
                boot_id: self.nodes[&task.node].boot_id.clone(),
                permit: Permit {
                    node: task.node,
                    step: step.clone(),
                    action,
                    epoch: 1,
                    gate,
                    expires: self.now + LIFE,
                },
            },
        };
        self.write(Record::Intended { step: step.clone(), epoch: 1, effect, gate: "".into() });
        self.write(Record::Answered { step, answer });
    }

    pub(crate) fn took_maintenance(&mut self) {
        let sds = self.task().sds.unwrap();
        self.took(Duty::Maintenance { sds });
    }

    /// So long after, and everybody was asked again.
    pub(crate) fn later(&mut self, time: TimeDelta) {
        self.now += time;
        self.snapshot().seq += 1;
        self.firing.seq = self.snapshot().seq;
        self.seen(self.now, self.now);
    }

    /// When everything was seen last: what is asked at the fast beat, and the rest.
    pub(crate) fn seen(&mut self, fast: Timestamp, middle: Timestamp) {
        let snapshot = self.snapshot();
        snapshot.array.iter_mut().for_each(|part| part.begun_at = fast);
        snapshot.domains.iter_mut().for_each(|part| part.begun_at = fast);
        snapshot.pools.iter_mut().for_each(|part| part.begun_at = fast);
        snapshot.sds.iter_mut().for_each(|part| part.begun_at = fast);
        snapshot.alerts.iter_mut().for_each(|part| part.begun_at = fast);
        snapshot.statistics.iter_mut().for_each(|part| part.begun_at = fast);
        snapshot.devices.iter_mut().for_each(|part| part.begun_at = middle);
        snapshot.sdcs.iter_mut().for_each(|part| part.begun_at = middle);
        self.nodes.values_mut().for_each(|host| host.seen_at = middle);
        self.agents.values_mut().for_each(|agent| agent.begun_at = middle);
    }

    fn took(&mut self, duty: Duty) {
        let node = self.task().node;
        let (since, deadline) = (self.now, self.now + TimeDelta::minutes(30));
        let obligation =
            Obligation { duty, run: run_id(), task: self.number, node, mode: None, since, deadline, handed: None };
        self.write(Record::Took { obligation });
    }

    /// The task on the host that owns the MDM cluster.
    pub(crate) fn at_the_owner(mut self) -> Self {
        let owner = self.owner();
        let found = self.run().each().find(|(_, _, task, _)| task.mdm.as_ref() == Some(&owner)).map(|at| at.0);
        self.number = found.unwrap();
        self
    }

    pub(crate) fn run(&self) -> &Run {
        self.book.runs.get(&run_id()).unwrap()
    }

    pub(crate) fn task(&self) -> Task {
        self.run().plan.tasks().nth(self.number as usize).unwrap().2.clone()
    }

    /// Another task of the same plan.
    pub(crate) fn other(&self) -> (u32, Task) {
        let number = u32::from(self.number == 0);
        (number, self.run().plan.tasks().nth(number as usize).unwrap().2.clone())
    }

    pub(crate) fn host(&mut self) -> &mut NodeFacts {
        let node = self.task().node;
        self.nodes.get_mut(&node).unwrap()
    }

    pub(crate) fn agent(&mut self) -> &mut AgentFacts {
        let node = self.task().node;
        self.agents.get_mut(&node).unwrap()
    }

    pub(crate) fn snapshot(&mut self) -> &mut Snapshot {
        Arc::make_mut(self.picture.snapshot.as_mut().unwrap())
    }

    pub(crate) fn sds(&mut self, change: impl FnMut(&mut scaleio_framework::model::cluster::Sds)) {
        each(&mut self.snapshot().sds, change);
    }

    pub(crate) fn array(&mut self, change: impl FnOnce(&mut System)) {
        change(Arc::make_mut(&mut self.snapshot().array.as_mut().unwrap().value));
    }

    pub(crate) fn alert(&mut self, name: &str) {
        self.alert_of(name, None);
    }

    pub(crate) fn alert_of(&mut self, name: &str, id: Option<&str>) {
        let alert = MdmAlert {
            id: "a".into(),
            name: name.into(),
            severity: Seen::read("MAJOR"),
            description: None,
            repair: None,
            resource_type: None,
            resource_name: Some("somewhere".into()),
            resource_id: id.map(Into::into),
            started: None,
            last_seen: None,
            acknowledged: false,
        };
        Arc::make_mut(&mut self.snapshot().alerts.as_mut().unwrap().value).push(alert);
    }

    /// A statistic of every pool.
    pub(crate) fn pool_statistic(&mut self, stat: Stat, value: f64) {
        let ids: Vec<StoragePoolId> =
            self.snapshot().pools.as_ref().unwrap().iter().map(|pool| pool.id.clone()).collect();
        let part = self.snapshot().statistics.as_mut().unwrap();
        let mut tables = BTreeMap::new();
        for kind in [StatKind::StoragePool, StatKind::Device] {
            let table = part.value.table(kind).unwrap();
            let mut values: Vec<f64> =
                (0..table.ids().len()).flat_map(|row| table.nth(row).values().to_vec()).collect();
            if kind == StatKind::StoragePool {
                let place = table.columns().place(stat).unwrap();
                for (row, id) in table.ids().iter().enumerate() {
                    if ids.iter().any(|pool| pool.object() == id) {
                        values[row * table.columns().width() + place] = value;
                    }
                }
            }
            tables.insert(kind, StatTable::new(table.columns().clone(), table.ids().to_vec(), values));
        }
        part.value = Arc::new(Statistics::new(tables));
    }

    pub(crate) fn facts(&self) -> Facts<'_> {
        Facts { now: self.now, picture: &self.picture, nodes: &self.nodes, agents: &self.agents, firing: &self.firing }
    }

    /// Asks the gate, and gives what it holds for.
    pub(crate) fn ask(&self, asked: &Asked) -> Vec<Reason> {
        let (task, facts) = (self.task(), self.facts());
        let ask =
            Ask { facts, policy: &self.policy, book: &self.book, run: self.run(), number: self.number, task: &task };
        let gate = match asked {
            Asked::Admit => ask.admit(),
            Asked::Soak => ask.soak(),
            Asked::Resynced => ask.resynced(),
            Asked::Step(kind) => ask.step(&action(&task, *kind)),
            Asked::PutBackMdm => ask.step(&Action::Rollback { version: "1".into(), components: vec![Component::Mdm] }),
        };
        match gate {
            Gate::Go => Vec::new(),
            Gate::Hold(holds) => holds.into_iter().map(|hold| hold.reason).collect(),
        }
    }

    /// Whether the task may begin, where one reason will do.
    pub(crate) fn is_admitted(&self) -> bool {
        let (task, facts) = (self.task(), self.facts());
        Ask { facts, policy: &self.policy, book: &self.book, run: self.run(), number: self.number, task: &task }
            .is_admitted()
    }

    /// The kinds of reasons it holds for.
    pub(crate) fn kinds(&self, asked: &Asked) -> BTreeSet<ReasonKind> {
        self.ask(asked).iter().map(Reason::kind).collect()
    }
}

/// What the gate is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Admit,
    Soak,
    Resynced,
    Step(StepKind),
    /// The rollback of a member of the MDM cluster.
    PutBackMdm,
}

fn action(task: &Task, kind: StepKind) -> Action {
    match kind {
        StepKind::Finalise => Action::Finalise,
        StepKind::Evacuate => Action::Evacuate,
        StepKind::AddSds => Action::AddSds,
        StepKind::KeepSds => Action::KeepSds,
        StepKind::Uninstall => Action::Uninstall { components: vec![Component::Sds, Component::Sdc] },
        StepKind::RemoveSdc => task.steps.iter().find(|step| step.action.kind() == kind).unwrap().action.clone(),
        StepKind::Rollback if task.from.is_some() => {
            Action::Rollback { version: task.from.clone().unwrap(), components: vec![Component::Sds] }
        }
        kind => task.steps.iter().find(|step| step.action.kind() == kind).unwrap().action.clone(),
    }
}

/// Changes every object of a list.
pub(crate) fn each<T: Keyed + Clone>(slot: &mut Slot<Table<T>>, mut change: impl FnMut(&mut T)) {
    let part = slot.as_mut().unwrap();
    let mut rows = part.value.as_slice().to_vec();
    rows.iter_mut().for_each(&mut change);
    part.value = Arc::new(Table::new(rows));
}
