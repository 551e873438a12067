//! In which order does a system get to another release, and how does a node get through it?
//!
//! LIAs first, for nothing serves through them; then the members of the MDM
//! cluster one by one, its owner last and after it has handed over; then the
//! SDSs, fault set by fault set, the first one alone; clients last. Finalising
//! is a plan of its own, because there is no way back from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::times::Times;
use super::{back, removal, vendor};
use crate::model::cluster::{MdmMember, MdmRole, Sds};
use crate::model::id::{AgentId, NodeName, PlanId};
use crate::model::node::{AgentFacts, Carries, NodeFacts};
use crate::model::plan::{Basis, FIRST_FORM, FORM, Limits, Parallel, Plan, Request, Risk, Stage, Step, Task};
use crate::model::snapshot::Snapshot;
use crate::model::step::{Action, Component, MaintenanceMode};
use crate::model::unit::Timestamp;
use crate::model::version::Generation;
use crate::work::facts::Facts;
use crate::work::makes_mistake;
use crate::work::seam::Packages;

/// What a plan brings to another release. A gateway serves no data and keeps settings of the site's own: a person does that.
const DRIVEN: [Component; 6] =
    [Component::Lia, Component::Mdm, Component::Sds, Component::Sdr, Component::Sdt, Component::Sdc];

/// Data that is copied is given so long: a third copy before protected maintenance, unless more is predicted, and what changed after any.
const LONGEST: u32 = 6 * 3600;

/// The stage that has the packages on the nodes.
const PACKAGES: &str = "packages";

/// How long things take and how careful to be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Habits {
    /// Predicted seconds of a step that installs and restarts.
    pub apply: u32,
    pub reboot: u32,
    /// Of what is copied back after a maintenance.
    pub resync: u32,
    pub drain: u32,
    /// All must be well this long after a node.
    pub soak: u32,
    /// Restart hosts too.
    pub reboots: bool,
    /// Nodes of one fault set at once.
    pub at_once: u32,
    /// Protection domains in which nodes are worked on at once.
    pub domains: u32,
    pub limits: Limits,
    /// How long steps took here, which says more than the guesses above.
    pub times: Times,
}

impl Habits {
    /// How long a step among these takes in all likelihood.
    fn predicted(&self, step: &Step, steps: &[Step], generation: Generation) -> u32 {
        let learned = self.times.predict(&step.action, steps, generation);
        let learned = learned.map(|seconds| seconds.clamp(1, step.deadline_seconds));
        learned.unwrap_or(step.predicted_seconds)
    }
}

impl Default for Habits {
    fn default() -> Self {
        // First guesses, until enough steps of a kind were seen.
        Self {
            apply: 180,
            reboot: 300,
            resync: 300,
            drain: 120,
            soak: 300,
            reboots: false,
            at_once: 1,
            domains: 1,
            limits: Limits::default(),
            times: Times::default(),
        }
    }
}

/// What is known of the fleet.
#[derive(Clone, Copy, Debug)]
pub struct Fleet<'a> {
    /// What the system says.
    pub snapshot: &'a Snapshot,
    /// What each node's agent says.
    pub nodes: &'a BTreeMap<NodeName, NodeFacts>,
    /// What the Mesos master says.
    pub agents: &'a BTreeMap<NodeName, AgentFacts>,
    /// Which addresses a node has.
    pub addresses: &'a BTreeMap<NodeName, BTreeSet<Box<str>>>,
    /// What can be installed on it.
    pub packages: &'a BTreeMap<NodeName, Arc<Packages>>,
}

impl<'a> Fleet<'a> {
    /// What these facts tell of it; none before the system has answered.
    pub fn of(
        facts: &Facts<'a>,
        addresses: &'a BTreeMap<NodeName, BTreeSet<Box<str>>>,
        packages: &'a BTreeMap<NodeName, Arc<Packages>>,
    ) -> Option<Self> {
        Some(Self { snapshot: facts.snapshot()?, nodes: facts.nodes, agents: facts.agents, addresses, packages })
    }
}

/// What the plan has for a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is in the plan; its work is predicted to take so many seconds.
    Planned(u32),
    /// There is nothing to do.
    AlreadySo,
    /// It was not asked for.
    NotAsked,
    /// The vendor's own tool changes it, and it is only watched.
    Watched,
    /// It cannot be planned, for this.
    Cannot(Box<str>),
}

/// A plan, and what it has for every node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Proposal {
    pub plan: Plan,
    pub report: BTreeMap<NodeName, Verdict>,
    /// Packages that the plan needs, also for the way back, and that are not there; each with who lacks it.
    pub lacking: BTreeMap<Box<str>, BTreeSet<NodeName>>,
}

/// A host with all that lies on it.
pub(super) struct Host<'a> {
    pub(super) name: &'a NodeName,
    pub(super) facts: &'a NodeFacts,
    pub(super) agent: Option<AgentId>,
    pub(super) sds: Option<&'a Sds>,
    pub(super) mdm: Option<&'a MdmMember>,
}

/// A plan for an upgrade, a restart, a maintenance or the end of an upgrade.
pub fn plan(request: Request, fleet: &Fleet<'_>, habits: &Habits, parent: Option<PlanId>, now: Timestamp) -> Proposal {
    let mut report = BTreeMap::new();
    let servers = servers(fleet);
    let hosts: Vec<Host<'_>> = fleet.nodes.iter().map(|(name, facts)| host(name, facts, fleet, &servers)).collect();
    let generation = fleet.snapshot.generation;
    let mut stages = match &request {
        Request::Upgrade { to, only } if generation >= Generation::V4 => {
            vendor::watch(to, only, &hosts, fleet, habits, &mut report)
        }
        Request::Upgrade { to, only } => upgrade(to, only, &hosts, fleet, habits, &mut report),
        Request::Fetch { .. } | Request::Back { .. } if generation >= Generation::V4 => {
            vendor::fetches(&hosts, &mut report)
        }
        Request::Back { to, only } => back::back(to, only, &hosts, fleet, habits, &mut report),
        Request::Fetch { to, only } => {
            let mut stages = upgrade(to, only, &hosts, fleet, habits, &mut report);
            stages.retain(|stage| &*stage.name == PACKAGES);
            stages
        }
        Request::Reboot { node } => one(&hosts, node, &mut report, |host| {
            let mut steps = vec![];
            around(host, fleet, habits, MaintenanceMode::Instant, vec![reboot(habits)], None, &mut steps);
            steps
        }),
        Request::Maintain { node, mode, minutes, .. } => one(&hosts, node, &mut report, |host| {
            let long = *minutes >= 25 && fleet.snapshot.generation >= Generation::V3_5;
            let mode = mode.unwrap_or(if long { MaintenanceMode::Protected } else { MaintenanceMode::Instant });
            let seconds = minutes.saturating_mul(60);
            let work = step(Action::Handwork, seconds.saturating_add(3600), seconds, Risk::Medium);
            let mut steps = vec![];
            around(host, fleet, habits, mode, vec![work], None, &mut steps);
            steps
        }),
        Request::Adopt { node, mode, .. } => one(&hosts, node, &mut report, |host| {
            let mut steps = vec![];
            leave(host, exit_deadline(*mode), habits, &mut steps);
            steps
        }),
        Request::Remove { node } => removal::removal(&hosts, node, None, fleet, habits, now, &mut report),
        Request::Replace { node, by } => removal::removal(&hosts, node, Some(by), fleet, habits, now, &mut report),
        Request::Finalise { .. } => {
            let owner = hosts.iter().find(|host| host.mdm.is_some_and(|mdm| mdm.role == MdmRole::Primary));
            let steps = vec![step(Action::Finalise, 3600, 60, Risk::Irreversible)];
            owner
                .map(|host| vec![stage("finalise", Parallel::One, 1, false, vec![task(host, steps)])])
                .unwrap_or_default()
        }
        Request::Rollout | Request::Expand { .. } | Request::RotateSecrets => Vec::new(),
    };
    for task in stages.iter_mut().flat_map(|stage| &mut stage.tasks) {
        let seconds: Vec<u32> = task.steps.iter().map(|step| habits.predicted(step, &task.steps, generation)).collect();
        for (step, seconds) in task.steps.iter_mut().zip(seconds) {
            step.predicted_seconds = seconds;
        }
    }
    for (_, task) in stages.iter().flat_map(|stage| stage.tasks.iter().map(move |task| (stage, task))) {
        let seconds: u32 = task.steps.iter().map(|step| step.predicted_seconds).sum();
        match report.entry(task.node.clone()).or_insert(Verdict::Planned(0)) {
            Verdict::Planned(all) => *all += seconds,
            other => *other = Verdict::Planned(seconds),
        }
    }
    let lacking = lacking(&stages, fleet);
    let minutes = match &request {
        Request::Maintain { minutes, .. } => minutes.saturating_mul(60).saturating_add(600),
        _ => habits.limits.maintenance_seconds,
    };
    let limits = Limits { maintenance_seconds: minutes, ..habits.limits.clone() };
    let plan = Plan {
        form: if stages.iter().any(|stage| stage.domains > 1) { FORM } else { FIRST_FORM },
        system: fleet.snapshot.system.clone(),
        request,
        made_at: now,
        parent,
        based_on: basis(fleet.snapshot),
        limits,
        stages,
    };
    Proposal { plan, report, lacking }
}

fn lacking(stages: &[Stage], fleet: &Fleet<'_>) -> BTreeMap<Box<str>, BTreeSet<NodeName>> {
    let mut lacking: BTreeMap<Box<str>, BTreeSet<NodeName>> = BTreeMap::new();
    for task in stages.iter().flat_map(|stage| &stage.tasks) {
        let Some(packages) = fleet.packages.get(&task.node) else { continue };
        let mut wanted: BTreeSet<(Component, &str)> = BTreeSet::new();
        for step in &task.steps {
            let (version, components, back) = match &step.action {
                Action::Stage { version, components } => (version, components, None),
                Action::Apply { version, components } => (version, components, task.from.as_deref()),
                _ => continue,
            };
            let versions = [Some(&**version), back].into_iter().flatten();
            wanted.extend(versions.flat_map(|version| components.iter().map(move |component| (*component, version))));
        }
        for why in wanted.into_iter().filter_map(|(component, version)| packages.lack(component, version)) {
            lacking.entry(why).or_default().insert(task.node.clone());
        }
    }
    lacking
}

fn basis(snapshot: &Snapshot) -> Basis {
    let version = |seen: Option<&crate::model::version::ProductVersion>| {
        seen.map(|seen| seen.as_str().into()).unwrap_or_default()
    };
    let sds = snapshot.sds.iter().flat_map(|part| part.iter());
    let mdm = snapshot.array.as_ref().and_then(|array| array.mdm.as_ref());
    Basis {
        snapshot_seq: snapshot.seq,
        taken_at: Some(snapshot.taken_at),
        topology: sds
            .map(|sds| (sds.id.clone(), (sds.domain.clone(), sds.fault_set.clone(), version(sds.version.as_ref()))))
            .collect(),
        mdms: mdm.iter().flat_map(|mdm| &mdm.members).map(|at| (at.id.clone(), version(at.version.as_ref()))).collect(),
    }
}

/// Every SDS by its addresses; of two with one address the first.
fn servers<'a>(fleet: &Fleet<'a>) -> BTreeMap<&'a str, &'a Sds> {
    let all = fleet.snapshot.sds.iter().flat_map(|part| part.value.as_slice());
    let named = all.rev().flat_map(|sds| sds.addresses.iter().map(move |address| (&*address.ip, sds)));
    named.collect()
}

fn host<'a>(
    name: &'a NodeName,
    facts: &'a NodeFacts,
    fleet: &Fleet<'a>,
    servers: &BTreeMap<&'a str, &'a Sds>,
) -> Host<'a> {
    let own = fleet.addresses.get(name);
    let here = |ip: &str| own.is_some_and(|own| own.contains(ip));
    let sds = own.into_iter().flatten().find_map(|ip| servers.get(&**ip).copied());
    let array = fleet.snapshot.array.as_ref().and_then(|part| part.value.mdm.as_ref());
    let mdm = array.and_then(|mdm| mdm.members.iter().find(|member| member.ips.iter().any(|ip| here(ip))));
    Host { name, facts, agent: fleet.agents.get(name).map(|agent| agent.agent.clone()), sds, mdm }
}

/// Why the host of the controller is in no plan.
pub(super) const CARRIES_CONTROLLER: &str = "it carries this controller; move that to another host first";

/// Tells of names that are no node's.
pub(super) fn tell_unknown(only: &BTreeSet<NodeName>, fleet: &Fleet<'_>, report: &mut BTreeMap<NodeName, Verdict>) {
    for name in only.iter().filter(|name| !fleet.nodes.contains_key(*name)) {
        report.insert(name.clone(), Verdict::Cannot("there is no node of that name".into()));
    }
}

/// Whether a component is installed on a host in another release than this one.
pub(super) fn has_other(host: &Host<'_>, component: Component, release: &str) -> bool {
    host.facts.installed.get(&component).is_some_and(|all| all.iter().any(|version| **version != *release))
}

/// A client gets another package by this step, while nothing uses it.
pub(super) fn client(host: &Host<'_>, to: &str, get: Step, put: Step, habits: &Habits) -> Task {
    let mut steps = vec![get];
    if host.agent.is_some() {
        steps.push(step(Action::Drain, 1800, habits.drain, Risk::Low));
    }
    steps.push(put);
    let seen = Action::Verify { version: Some(to.into()), components: vec![Component::Sdc] };
    steps.push(step(seen, 600, 30, Risk::None));
    if host.agent.is_some() {
        steps.push(step(Action::Reactivate, 600, 10, Risk::None));
    }
    steps.push(soak(habits));
    task(host, steps)
}

fn upgrade(
    to: &str,
    only: &BTreeSet<NodeName>,
    hosts: &[Host<'_>],
    fleet: &Fleet<'_>,
    habits: &Habits,
    report: &mut BTreeMap<NodeName, Verdict>,
) -> Vec<Stage> {
    tell_unknown(only, fleet, report);
    let old = |host: &Host<'_>, component: Component| has_other(host, component, to);
    let unseen = |host: &Host<'_>| {
        host.sds.is_some_and(|sds| sds.version.as_ref().is_none_or(|version| version.as_str() != to))
            && !host.facts.installed.contains_key(&Component::Sds)
    };
    let mut wanted: Vec<&Host<'_>> = Vec::new();
    for host in hosts {
        let verdict = if !only.is_empty() && !only.contains(host.name) {
            Verdict::NotAsked
        } else if host.facts.carries.contains(&Carries::Controller) && !makes_mistake("plan for the controller") {
            Verdict::Cannot(CARRIES_CONTROLLER.into())
        } else if host.facts.installed.values().any(|all| all.len() != 1) {
            Verdict::Cannot("a component is installed in more than one version; mend that first".into())
        } else if host.facts.installed.contains_key(&Component::Sds) && host.sds.is_none() {
            Verdict::Cannot(
                "an SDS is installed, and no SDS of the system has an address that we know of this node; see addresses in \
                 docs/operations.md"
                    .into(),
            )
        } else if unseen(host) {
            let os = fleet.packages.get(host.name).map_or("its operating system", |packages| &packages.os);
            Verdict::Cannot(
                format!(
                    "the system has an SDS at its address, and its agent finds none installed: see whether {os} is one that \
                     this version knows (`sio check node`), and what is installed there"
                )
                .into(),
            )
        } else if DRIVEN.iter().all(|component| !old(host, *component)) {
            Verdict::AlreadySo
        } else {
            wanted.push(host);
            Verdict::Planned(0)
        };
        report.insert(host.name.clone(), verdict);
    }
    // What comes later in the order waits for all of what comes before, also for what nobody asked for or may.
    let names: BTreeSet<&NodeName> = wanted.iter().map(|host| host.name).collect();
    let left_old = |component: Component| hosts.iter().any(|host| old(host, component) && !names.contains(host.name));
    let mdms_first = left_old(Component::Mdm);
    // By the word of the MDM too, which knows servers whose agents have not told yet what became of them.
    let upgraded: BTreeSet<_> =
        wanted.iter().filter(|host| old(host, Component::Sds)).filter_map(|host| Some(&host.sds?.id)).collect();
    let behind = |sds: &Sds| {
        let other = sds.version.as_ref().is_some_and(|version| version.as_str() != to);
        other && !upgraded.contains(&sds.id)
    };
    let servers_first = fleet.snapshot.sds.iter().flat_map(|part| part.value.as_slice()).any(behind);
    let sds_first = mdms_first || left_old(Component::Sds) || servers_first || hosts.iter().any(unseen);
    let apply = |components: Vec<Component>| Action::Apply { version: to.into(), components };
    let get = |host: &Host<'_>| {
        let components = DRIVEN.into_iter().filter(|component| old(host, *component)).collect();
        step(Action::Stage { version: to.into(), components }, 1800, 60, Risk::None)
    };
    let verify =
        |components: Vec<Component>| step(Action::Verify { version: Some(to.into()), components }, 600, 30, Risk::None);
    let staging = wanted.iter().map(|host| task(host, vec![get(host)])).collect();
    let mut stages = vec![stage(PACKAGES, Parallel::All, 16, false, staging)];
    let lia = vec![Component::Lia];
    let lias = wanted.iter().filter(|host| old(host, Component::Lia)).map(|host| {
        task(host, vec![get(host), step(apply(lia.clone()), 600, habits.apply, Risk::None), verify(lia.clone())])
    });
    stages.push(stage("lia", Parallel::All, 8, true, lias.collect()));

    let mut members: Vec<&&Host<'_>> =
        wanted.iter().filter(|host| host.mdm.is_some() && old(host, Component::Mdm)).collect();
    // Who votes only, then who keeps a replica, then who owns the cluster.
    let rank = |host: &&&Host<'_>| match host.mdm.map(|mdm| mdm.role) {
        Some(MdmRole::StandbyManager | MdmRole::StandbyTieBreaker) | None => 0,
        Some(MdmRole::Secondary) => 1,
        Some(MdmRole::TieBreaker) => 2,
        Some(MdmRole::Primary) => 3,
    };
    members.sort_by_key(|host| (rank(host), host.name.clone()));
    let mdms = members.into_iter().map(|host| {
        let mdm = vec![Component::Mdm];
        let mut steps = vec![get(host)];
        hand_over(host, &mut steps);
        steps.push(step(apply(mdm.clone()), 900, habits.apply, Risk::Medium));
        steps.push(verify(mdm));
        steps.push(soak(habits));
        task(host, steps)
    });
    stages.push(stage("mdm", Parallel::One, 1, true, mdms.collect()));

    let mut servers: Vec<&&Host<'_>> =
        wanted.iter().filter(|host| host.sds.is_some() && old(host, Component::Sds) && !mdms_first).collect();
    servers.sort_by_key(|host| host.sds.map(|sds| (sds.domain.clone(), sds.fault_set.clone(), host.name.clone())));
    let sds = |host: &&Host<'_>| {
        let with: Vec<Component> = [Component::Sds, Component::Sdr, Component::Sdt]
            .into_iter()
            .filter(|component| old(host, *component))
            .collect();
        let mut work = vec![step(apply(with.clone()), 900, habits.apply, Risk::Medium)];
        if habits.reboots {
            work.push(reboot(habits));
        }
        let mut steps = vec![get(host)];
        around(host, fleet, habits, MaintenanceMode::Instant, work, Some((to, with)), &mut steps);
        task(host, steps)
    };
    if habits.at_once > 1 || habits.domains > 1 {
        // Members of the MDM cluster are worked on one after the other whatever a fault set or a domain spares.
        let (members, others): (Vec<&&Host<'_>>, Vec<&&Host<'_>>) =
            servers.into_iter().partition(|host| host.mdm.is_some());
        let parallel = if habits.at_once > 1 { Parallel::FaultSet } else { Parallel::One };
        let beside = stage("sds", parallel, habits.at_once, true, others.into_iter().map(sds).collect());
        stages.push(Stage { domains: habits.domains, ..beside });
        stages.push(stage("sds of members", Parallel::One, 1, true, members.into_iter().map(sds).collect()));
    } else {
        stages.push(stage("sds", Parallel::One, 1, true, servers.into_iter().map(sds).collect()));
    }

    let clients = wanted.iter().filter(|host| old(host, Component::Sdc) && !sds_first).map(|host| {
        let put = step(apply(vec![Component::Sdc]), 900, habits.apply, Risk::Low);
        client(host, to, get(host), put, habits)
    });
    stages.push(stage("sdc", Parallel::One, 1, true, clients.collect()));
    stages.retain(|stage| !stage.tasks.is_empty());
    stages
}

const fn exit_deadline(mode: MaintenanceMode) -> u32 {
    if matches!(mode, MaintenanceMode::Instant) { 900 } else { LONGEST }
}

/// Drained and in maintenance before the work, and back after it.
pub(super) fn around(
    host: &Host<'_>,
    fleet: &Fleet<'_>,
    habits: &Habits,
    mode: MaintenanceMode,
    work: Vec<Step>,
    applied: Option<(&str, Vec<Component>)>,
    steps: &mut Vec<Step>,
) {
    let stops_all = work.iter().any(|step| matches!(step.action, Action::Reboot | Action::Handwork));
    let generation = fleet.snapshot.generation;
    let seconds: u32 = work.iter().map(|step| habits.predicted(step, &work, generation)).sum::<u32>() + 120;
    let mode = match mode {
        // Instant mode is made for less than half an hour.
        MaintenanceMode::Instant if seconds >= 1800 && fleet.snapshot.generation >= Generation::V3_5 => {
            MaintenanceMode::Protected
        }
        mode => mode,
    };
    if stops_all {
        hand_over(host, steps);
    }
    let drains = host.agent.is_some();
    if drains {
        steps.push(step(Action::Drain, 1800, habits.drain, Risk::Low));
    }
    // A third copy of all that lies there is made before it, and what changed is copied back after it.
    let exit = exit_deadline(mode);
    if let Some(sds) = host.sds {
        let (enter, seconds) = if mode == MaintenanceMode::Instant {
            (300, 30)
        } else {
            // Twice what one disk takes. What takes longer than a step may at all is for the check to refuse.
            let seconds = removal::moving(sds, fleet);
            (seconds.saturating_mul(2).clamp(LONGEST, 86_400), seconds)
        };
        steps.push(step(Action::EnterMaintenance { mode }, enter, seconds, Risk::Medium));
    }
    steps.extend(work);
    let (version, components) = match applied {
        Some((version, components)) => (Some(version.into()), components),
        None => (None, host.facts.installed.keys().copied().collect()),
    };
    steps.push(step(Action::Verify { version, components }, 900, 30, Risk::None));
    leave(host, exit, habits, steps);
    if drains {
        steps.push(step(Action::Reactivate, 600, 10, Risk::None));
    }
    steps.push(soak(habits));
}

/// Out of maintenance, and all data where it belongs.
fn leave(host: &Host<'_>, exit: u32, habits: &Habits, steps: &mut Vec<Step>) {
    if host.sds.is_some() {
        steps.push(step(Action::ExitMaintenance, exit, 30, Risk::Low));
        steps.push(step(Action::AwaitResync, LONGEST, habits.resync, Risk::None));
    }
}

fn one(
    hosts: &[Host<'_>],
    node: &NodeName,
    report: &mut BTreeMap<NodeName, Verdict>,
    steps: impl FnOnce(&Host<'_>) -> Vec<Step>,
) -> Vec<Stage> {
    let Some(host) = hosts.iter().find(|host| host.name == node) else {
        report.insert(node.clone(), Verdict::Cannot("there is no node of that name".into()));
        return Vec::new();
    };
    vec![stage("work", Parallel::One, 1, false, vec![task(host, steps(host))])]
}

/// Whoever owns the MDM cluster by then hands over; for others there is nothing to do.
fn hand_over(host: &Host<'_>, steps: &mut Vec<Step>) {
    if host.mdm.is_some_and(|mdm| matches!(mdm.role, MdmRole::Primary | MdmRole::Secondary)) {
        steps.push(step(Action::SwitchMdm, 300, 30, Risk::Medium));
    }
}

fn reboot(habits: &Habits) -> Step {
    step(Action::Reboot, 1800, habits.reboot, Risk::Medium)
}

pub(super) fn soak(habits: &Habits) -> Step {
    step(Action::Soak { seconds: habits.soak }, habits.soak.saturating_mul(4).max(3600), habits.soak, Risk::None)
}

pub(super) const fn step(action: Action, deadline_seconds: u32, predicted_seconds: u32, risk: Risk) -> Step {
    Step { action, deadline_seconds, predicted_seconds, risk }
}

pub(super) fn stage(name: &str, parallel: Parallel, most: u32, canary: bool, tasks: Vec<Task>) -> Stage {
    Stage { name: name.into(), parallel, most, domains: 1, canary, tasks }
}

pub(super) fn task(host: &Host<'_>, steps: Vec<Step>) -> Task {
    let versions: BTreeSet<&Box<str>> = steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::Apply { components, .. } => Some(components),
            _ => None,
        })
        .flatten()
        .flat_map(|component| host.facts.installed.get(component).into_iter().flatten())
        .collect();
    Task {
        node: host.name.clone(),
        agent: host.agent.clone(),
        sds: host.sds.map(|sds| sds.id.clone()),
        domain: host.sds.and_then(|sds| sds.domain.clone()),
        fault_set: host.sds.and_then(|sds| sds.fault_set.clone()),
        mdm: host.mdm.map(|mdm| mdm.id.clone()),
        carries: host.facts.carries.clone(),
        from: if versions.len() == 1 { versions.into_iter().next().cloned() } else { None },
        steps,
    }
}
