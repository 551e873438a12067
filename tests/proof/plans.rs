//! Do check, gate and the simulated MDM agree on plans that chance made worse, in systems that chance made worse?
//!
//! They need not: the check knows no moment, the gate no plan, and the MDM lets through what costs data. What must never
//! be is that check and gate both say yes and data loses a copy that serves, or both.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::TimeDelta;
use rand::seq::SliceRandom as _;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use scaleio_framework::model::hold::Gate;
use scaleio_framework::model::id::{RunId, SdsId};
use scaleio_framework::model::node::{AgentFacts, AgentState, NodeFacts};
use scaleio_framework::model::plan::{Approval, Parallel, Plan, Request, Task};
use scaleio_framework::model::step::{Action, Component, MaintenanceMode, StepKind};
use scaleio_framework::proof::controller::Controller;
use scaleio_framework::proof::fault::{self, Fault};
use scaleio_framework::proof::site::Site;
use scaleio_framework::sim::Release;
use scaleio_framework::sim::world::{Command, Id, Maintenance, MaintenanceCommand, Mode, Reply, Scope};
use scaleio_framework::upgrade::plan::{Fleet, Habits, plan};
use scaleio_framework::work::book::{Before, Book, Plans};
use scaleio_framework::work::check::{self, Unsafe};
use scaleio_framework::work::facts::{Facts, Policy};
use scaleio_framework::work::gate::Ask;
use scaleio_framework::work::record::{Duty, Obligation, Record};

use crate::scene::fleet;

/// So many are tried each time; `PROOF_PLANS` asks for more, `PROOF_FROM` for others.
const PLANS: u64 = 3000;

/// What came of carrying a task out in truth, up to the moment at which its server stops.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Truth {
    /// Nothing was stopped, or what was stopped was spared.
    Spared,
    /// The MDM would not have it.
    Refused(String),
    /// Copies that served are gone, outside of maintenance or on two sides.
    AtRisk,
}

struct Case {
    site: Site,
    controller: Controller,
    nodes: BTreeMap<scaleio_framework::model::id::NodeName, NodeFacts>,
    agents: BTreeMap<scaleio_framework::model::id::NodeName, AgentFacts>,
    book: Book,
    dice: ChaCha8Rng,
}

fn run() -> RunId {
    RunId::new("run-1")
}

/// Makes a plan worse in one way.
fn spoil(plan: &mut Plan, dice: &mut ChaCha8Rng) {
    let at = dice.random_range(0..plan.stages.len());
    let stages = plan.stages.len();
    let stage = &mut plan.stages[at];
    let (one, two) = (dice.random_range(0..stage.tasks.len()), dice.random_range(0..stage.tasks.len()));
    let steps = stage.tasks[one].steps.len();
    if steps == 0 {
        return;
    }
    let (first, second) = (dice.random_range(0..steps), dice.random_range(0..steps));
    match dice.random_range(0..13) {
        0..=2 => {
            stage.tasks[one].steps.remove(first);
        }
        3 => stage.tasks[one].steps.swap(first, second),
        4 => (stage.parallel, stage.most) = (Parallel::All, 3),
        5 => (stage.parallel, stage.most) = (Parallel::FaultSet, 3),
        6 => {
            let other = stage.tasks[two].sds.clone();
            stage.tasks[one].sds = other;
        }
        7 => {
            let Task { sds, domain, fault_set, .. } = stage.tasks[two].clone();
            let task = &mut stage.tasks[one];
            (task.sds, task.domain, task.fault_set) = (sds, domain, fault_set);
        }
        8 => {
            for step in &mut stage.tasks[one].steps {
                if let Action::EnterMaintenance { mode } = &mut step.action {
                    *mode = match mode {
                        MaintenanceMode::Instant => MaintenanceMode::Protected,
                        MaintenanceMode::Protected => MaintenanceMode::Instant,
                    };
                }
            }
        }
        9 => stage.tasks[one].steps[first].predicted_seconds *= 20,
        10 => {
            let again = stage.tasks[one].steps[first].clone();
            stage.tasks[one].steps.insert(second, again);
        }
        11 => stage.tasks[one].sds = None,
        _ => plan.stages.swap(at, dice.random_range(0..stages)),
    }
}

impl Case {
    /// A system in which chance has broken something, or nothing.
    fn new(seed: u64) -> Self {
        let mut dice = ChaCha8Rng::seed_from_u64(seed ^ 0x91a7);
        let releases = [Release::V2_0, Release::V2_6, Release::V3_0, Release::V3_6];
        let release = releases[dice.random_range(0..releases.len())];
        let mut site = Site::new(dice.random_range(3..7), release, ChaCha8Rng::seed_from_u64(seed), seed);
        // Servers come after members and agents: with those done, it is their turn.
        if dice.random_bool(0.8) {
            let to = site.to.to_string();
            site.world.mdm.members.iter_mut().for_each(|member| member.version.clone_from(&to));
            for host in site.hosts.values_mut() {
                for component in [Component::Lia, Component::Mdm] {
                    if let Some(version) = host.installed.get_mut(&component) {
                        *version = to.as_str().into();
                    }
                }
            }
        }
        let now = site.now();
        let (mut controller, _) = Controller::start(Plans::new(), &mut Vec::new(), 1, Policy::default(), now).unwrap();
        for _ in 0..dice.random_range(0..3) {
            fault::happen(Fault::draw(&mut dice), &mut site, &mut controller);
        }
        site.world.advance(Duration::from_secs(dice.random_range(0..40)));
        controller.poll(&site);
        let facts = controller.facts(site.now());
        let (nodes, agents) = (facts.nodes.clone(), facts.agents.clone());
        Self { site, controller, nodes, agents, book: Book::default(), dice }
    }

    fn facts(&self) -> Facts<'_> {
        let facts = self.controller.facts(self.site.now());
        Facts { nodes: &self.nodes, agents: &self.agents, ..facts }
    }

    /// The planner's plan for it, perhaps made worse.
    fn plan(&mut self) -> Option<Plan> {
        let addresses = self.site.addresses();
        let facts = self.facts();
        let packages = BTreeMap::new();
        let fleet = Fleet::of(&facts, &addresses, &packages)?;
        let reboots = self.site.hosts.len().is_multiple_of(2);
        let request = Request::Upgrade { to: self.site.to.clone(), only: BTreeSet::new() };
        let habits = Habits { reboots, at_once: 1 + u32::from(reboots), ..Habits::default() };
        let mut made = plan(request, &fleet, &habits, None, facts.now).plan;
        if made.stages.is_empty() {
            return None;
        }
        for _ in 0..self.dice.random_range(0..3) {
            spoil(&mut made, &mut self.dice);
        }
        Some(made)
    }

    fn write(&mut self, record: &Record) {
        let now = self.site.now();
        self.book.apply(record, now).unwrap();
    }

    fn took(&mut self, number: u32, task: &Task, duty: Duty) {
        let (since, deadline) = (self.site.now(), self.site.now() + TimeDelta::minutes(30));
        let obligation = Obligation {
            duty,
            run: run(),
            task: number,
            node: task.node.clone(),
            mode: None,
            since,
            deadline,
            handed: None,
        };
        self.write(&Record::Took { obligation });
    }

    fn asked(&self, number: u32, task: &Task, of: impl FnOnce(&Ask<'_>) -> Gate) -> bool {
        let policy = Policy::default();
        let run = self.book.runs.get(&run()).unwrap();
        of(&Ask { facts: self.facts(), policy: &policy, book: &self.book, run, number, task }) == Gate::Go
    }

    /// Asks the MDM, and waits until it is so.
    fn enter(&mut self, number: u32, task: &Task, sds: &SdsId, mode: MaintenanceMode) -> Result<(), String> {
        let of = |id: &Id| format!("{:016x}", id.0) == sds.to_string();
        let at = self.site.world.sds.keys().copied().find(|id| of(id)).ok_or("no such SDS")?;
        let mode = match mode {
            MaintenanceMode::Instant => Mode::Instant,
            MaintenanceMode::Protected => Mode::Protected,
        };
        let command = MaintenanceCommand::Enter { scope: Scope::Sds(at), mode, force: false };
        match self.site.world.command(Command::Maintenance(command)) {
            Ok(Reply::Verdicts(verdicts)) => {
                if let Some((_, Some(code))) = verdicts.first() {
                    return Err(code.symbol().to_owned());
                }
            }
            Ok(_) => {}
            Err(refusal) => return Err(refusal.to_string()),
        }
        let now = self.site.now();
        self.site.ours.insert(at, now);
        self.took(number, task, Duty::Maintenance { sds: sds.clone() });
        for _ in 0..60 {
            if self.site.world.sds.get(&at).is_some_and(|sds| sds.maintenance == Maintenance::In) {
                return Ok(());
            }
            self.site.world.advance(Duration::from_secs(5));
        }
        Err("it never gets there".to_owned())
    }

    /// Looks again; drained and staged is what the steps before have done.
    fn look(&mut self, task: &Task) {
        self.site.world.advance(Duration::from_secs(10));
        self.controller.poll(&self.site);
        let facts = self.controller.facts(self.site.now());
        let (mut nodes, mut agents) = (facts.nodes.clone(), facts.agents.clone());
        for step in &task.steps {
            if let (Action::Stage { version, components }, Some(host)) = (&step.action, nodes.get_mut(&task.node)) {
                for component in components {
                    host.staged.entry(*component).or_default().insert(version.clone());
                }
            }
        }
        let drained =
            |duty: &Duty| task.agent.as_ref().is_some_and(|at| *duty == Duty::Deactivated { agent: at.clone() });
        if self.book.obligations.iter().any(|open| drained(&open.duty)) {
            nodes.entry(task.node.clone()).and_modify(|host| host.open_volumes = 0);
            agents.entry(task.node.clone()).and_modify(|agent| agent.state = AgentState::Drained);
        }
        (self.nodes, self.agents) = (nodes, agents);
    }

    fn unprotected(&self) -> u64 {
        let pools = self.site.world.pools.values().map(|pool| pool.figures.protection);
        pools.map(|at| at.degraded_failed + at.failed).sum()
    }

    /// Begins a task and goes on until its server stops, without minding the gate. What the gate says on the way is noted.
    fn carry_out(&mut self, number: u32, task: &Task) -> (bool, Truth) {
        let mut gate = self.asked(number, task, |ask| ask.admit());
        self.write(&Record::Began { run: run(), task: number });
        for step in &task.steps {
            let touches = match &step.action {
                Action::Apply { components, .. } => components.contains(&Component::Sds),
                Action::Reboot => true,
                _ => false,
            };
            match (&step.action, &task.sds) {
                (Action::Drain, _) => {
                    if let Some(agent) = task.agent.clone()
                        && self.book.obligation(&Duty::Deactivated { agent: agent.clone() }).is_none()
                    {
                        self.took(number, task, Duty::Deactivated { agent });
                    }
                }
                (Action::EnterMaintenance { mode }, Some(sds)) => {
                    self.look(task);
                    gate &= self.asked(number, task, |ask| ask.step(&step.action));
                    if let Err(why) = self.enter(number, task, sds, *mode) {
                        return (gate, Truth::Refused(why));
                    }
                }
                _ if touches => {
                    self.look(task);
                    gate &= self.asked(number, task, |ask| ask.step(&step.action));
                    // What stops is what lies on the host, whatever the plan believes.
                    let before = self.unprotected();
                    let name = self.site.hosts.get(&task.node).unwrap().sds_name.clone();
                    let there = self.site.world.sds.values().any(|sds| sds.name == name && sds.connected());
                    let _ = self.site.world.fail_sds(&name);
                    self.site.world.advance(Duration::from_secs(1));
                    let worse = there && self.unprotected() > before;
                    return (gate, if worse { Truth::AtRisk } else { Truth::Spared });
                }
                _ => {}
            }
        }
        (gate, Truth::Spared)
    }
}

/// What check and gate say of a plan, and what is true.
fn tried(seed: u64) -> Option<(bool, bool, Truth)> {
    let mut case = Case::new(seed);
    let made = case.plan()?;
    let safe = check::check(&made, &case.facts(), &Before::new()).is_empty();
    let id = made.id();
    let approval = Approval::Hash { plan: id.clone(), by: "a person".into(), at: case.site.now() };
    case.book.plans.insert(id.clone(), std::sync::Arc::new(made.clone()));
    case.write(&Record::Opened { run: run(), plan: id, approval, baseline: BTreeSet::new() });
    // Servers are what it is about.
    let all: Vec<(u32, Task)> = (0..).zip(made.tasks().map(|(_, _, task)| task.clone())).collect();
    let mut servers: Vec<&(u32, Task)> = all.iter().filter(|(_, task)| task.sds.is_some()).collect();
    servers.shuffle(&mut case.dice);
    let (number, task) = servers.first()?;
    // Stages before its own are over.
    let stage = made.tasks().nth(*number as usize).unwrap().0;
    for (before, _) in all.iter().filter(|(at, _)| made.tasks().nth(*at as usize).unwrap().0 < stage) {
        case.write(&Record::Skipped { run: run(), task: *before, by: "a person".into() });
    }
    // Another one may be in work already.
    if let Some((other, beside)) = servers.get(1)
        && case.dice.random_bool(0.3)
        && made.tasks().nth(*other as usize).unwrap().0 == stage
    {
        case.write(&Record::Began { run: run(), task: *other });
        let _ = case.enter(*other, beside, beside.sds.as_ref().unwrap(), MaintenanceMode::Instant);
        case.look(beside);
    }
    let (gate, truth) = case.carry_out(*number, task);
    let obligations = &case.book.obligations;
    assert!(
        !(safe && gate && truth == Truth::AtRisk),
        "plan {seed}: check and gate say yes, and data is at risk: task {number}, {task:#?}, {obligations:#?}"
    );
    Some((safe, gate, truth))
}

#[test]
fn what_check_and_gate_both_allow_puts_no_data_at_risk() {
    let asked = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (from, count) = (asked("PROOF_FROM").unwrap_or(1), asked("PROOF_PLANS").unwrap_or(PLANS));
    let mut table: BTreeMap<(bool, bool, Truth), u64> = BTreeMap::new();
    for seed in from..from + count {
        let Some(said) = tried(seed) else { continue };
        *table.entry(said).or_default() += 1;
    }
    let word = |yes: &bool| if *yes { "yes" } else { "no" };
    println!("{count} plans from {from}: check  gate  in truth");
    for ((safe, gate, truth), times) in &table {
        println!("{times:>9}  {:<5}  {:<4}  {truth:?}", word(safe), word(gate));
    }
    let seen = |wanted: fn(&(bool, bool, Truth)) -> bool| {
        table.iter().filter(|(said, _)| wanted(said)).map(|(_, n)| n).sum::<u64>()
    };
    // Both answers of both must come, and harm must be near enough to be missed.
    assert!(seen(|(safe, gate, truth)| *safe && *gate && *truth == Truth::Spared) * 50 > count, "{table:?}");
    assert!(
        seen(|(safe, gate, truth)| !safe && *gate && *truth == Truth::AtRisk)
            + seen(|(_, gate, truth)| !gate && *truth == Truth::AtRisk)
            > 0
    );
}

#[test]
fn on_a_system_of_4_x_nothing_is_installed_and_a_host_may_still_be_maintained() {
    let mut case = Case::new(1);
    case.site = Site::new(5, Release::V4_5, ChaCha8Rng::seed_from_u64(1), 1);
    let now = case.site.now();
    (case.controller, _) = Controller::start(Plans::new(), &mut Vec::new(), 1, Policy::default(), now).unwrap();
    case.controller.poll(&case.site);
    let facts = case.controller.facts(now);
    let addresses = case.site.addresses();
    let fleet = fleet(&facts, &addresses);
    let planned = |request| plan(request, &fleet, &Habits::default(), None, now).plan;
    let mut upgrade = planned(Request::Upgrade { to: "R4_5.4000.1".into(), only: BTreeSet::new() });
    let kinds: Vec<StepKind> =
        upgrade.tasks().flat_map(|(_, _, task)| task.steps.iter().map(|step| step.action.kind())).collect();
    assert_eq!(kinds, [StepKind::Vendor, StepKind::Soak]);
    assert_eq!(check::check(&upgrade, &facts, &Before::new()), BTreeSet::new());
    let node = case.site.hosts.keys().next().unwrap().clone();
    let purpose = "a fan".into();
    for request in [
        Request::Reboot { node: node.clone() },
        Request::Maintain { node, mode: Some(MaintenanceMode::Instant), minutes: 20, purpose },
    ] {
        assert_eq!(check::check(&planned(request), &facts, &Before::new()), BTreeSet::new());
    }
    // Whoever planned it otherwise.
    let step = upgrade.stages[0].tasks[0].steps.first_mut().unwrap();
    step.action = Action::Stage { version: "R4_5.4000.1".into(), components: vec![Component::Sds] };
    assert_eq!(check::check(&upgrade, &facts, &Before::new()), BTreeSet::from([Unsafe::Vendor]));
}
