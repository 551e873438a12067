//! Does the world show that a step is done? Decided from what was seen after it was ordered, never from an answer.

use std::collections::{BTreeMap, BTreeSet};

use super::book::{SETTLE, TaskState};
use super::facts::{Facts, begun};
use super::mutant;
use crate::model::cluster::{MdmMember, Sdc, Sds};
use crate::model::id::{NodeName, SdsId};
use crate::model::node::{AgentState, NodeFacts};
use crate::model::plan::Task;
use crate::model::state::{ClusterState, Connection, Maintenance, MdmStatus, Membership, SdsState, Seen, UpgradeState};
use crate::model::step::{Action, Component, StepKind};
use crate::model::unit::Timestamp;
use crate::model::version::ProductVersion;

/// What the world shows of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It is done.
    Done,
    /// It is being done.
    Doing,
    /// It is not, as of this moment.
    NotDone(Timestamp),
    /// It was done, and something else came of it than was to come; to do it again would bring the same.
    Otherwise,
    /// Nothing was seen after the given moment.
    NotSeen,
}

/// The SDC that runs on a host, by the addresses of that and of its SDS.
pub(super) fn sdc_of<'a>(facts: &Facts<'a>, node: &NodeName, sds: Option<&SdsId>) -> Option<&'a Sdc> {
    let sds = sds.and_then(|id| facts.sds(id)).map(|(sds, _)| sds);
    let of_sds = sds.into_iter().flat_map(|sds| sds.addresses.iter().map(|at| &at.ip));
    let of_host = facts.nodes.get(node).into_iter().flat_map(|host| &host.addresses);
    let own: BTreeSet<&Box<str>> = of_sds.chain(of_host).collect();
    let sdcs = facts.snapshot()?.sdcs.as_ref()?;
    sdcs.iter().find(|sdc| sdc.addresses.iter().any(|ip| own.contains(ip)))
}

fn told(at: Timestamp, since: Timestamp, done: bool) -> Shown {
    if at <= since && !mutant::is("observe old") {
        Shown::NotSeen
    } else if done {
        Shown::Done
    } else {
        Shown::NotDone(at)
    }
}

/// What the world shows of this action of a task, seen after a moment.
pub fn shown(facts: &Facts<'_>, task: &Task, state: &TaskState, action: &Action, since: Timestamp) -> Shown {
    let host = |done: &dyn Fn(&NodeFacts) -> bool| match facts.nodes.get(&task.node) {
        None => Shown::NotSeen,
        Some(host) => {
            // What an agent says of its host while a step is in work, be it one that was given up, is from before that step.
            let works = host.working.as_ref().is_some_and(|at| at.place == state.place || !mutant::is("leave at once"));
            if host.seen_at > since && works { Shown::Doing } else { told(host.seen_at, since, done(host)) }
        }
    };
    match action {
        Action::Stage { version, components } => {
            host(&|host| has(&host.staged, components, version) || mutant::is("take for staged"))
        }
        Action::Apply { version, components } | Action::Rollback { version, components } => {
            host(&|host| installed(host, components, version))
        }
        Action::Handwork => Shown::NotSeen,
        Action::Reboot => {
            let restarted = |host: &NodeFacts| state.boot_id.as_ref().is_some_and(|before| *before != host.boot_id);
            // Where nobody can tell which kernel comes next, that it came up again is all that can be seen.
            let as_wanted = |host: &NodeFacts| host.next_kernel.is_empty() || host.kernel == host.next_kernel;
            let up = |host: &&NodeFacts| {
                let otherwise = host.seen_at > since && restarted(host) && !as_wanted(host);
                otherwise && !mutant::is("restart again")
            };
            match facts.nodes.get(&task.node).filter(up) {
                Some(_) => Shown::Otherwise,
                None => host(&|host| restarted(host) && as_wanted(host)),
            }
        }
        Action::Drain => match facts.agents.get(&task.node) {
            None => Shown::NotSeen,
            Some(agent) if agent.begun_at > since && matches!(agent.state, AgentState::Draining { .. }) => Shown::Doing,
            Some(agent) => told(agent.begun_at, since, agent.state == AgentState::Drained),
        },
        Action::Reactivate => match facts.agents.get(&task.node) {
            None => Shown::NotSeen,
            Some(agent) => {
                told(agent.begun_at, after(state, StepKind::Drain, since), agent.state == AgentState::Active)
            }
        },
        Action::SwitchMdm => match facts.mdm() {
            None => Shown::NotSeen,
            Some((cluster, at)) => {
                let elsewhere = cluster.primary().is_some_and(|primary| Some(&primary.id) != task.mdm.as_ref());
                told(at, since, elsewhere && cluster.state.is(ClusterState::Normal))
            }
        },
        // Of one that leaves it, for whoever told it to, is to be seen where it ends.
        Action::EnterMaintenance { .. } => {
            maintenance(facts, task, since, Maintenance::In, &[Maintenance::Entering, Maintenance::Exiting])
        }
        // Whoever was taken out of the system is in no maintenance any more.
        Action::ExitMaintenance if is_gone(facts, task, since) => Shown::Done,
        Action::ExitMaintenance => {
            let since = after(state, StepKind::EnterMaintenance, since);
            maintenance(facts, task, since, Maintenance::None, &[Maintenance::Exiting])
        }
        Action::Verify { version, components } => verified(facts, task, version.as_deref(), components, since),
        Action::Finalise => match facts.snapshot().and_then(|snapshot| snapshot.array.as_ref()) {
            None => Shown::NotSeen,
            Some(array) => match &array.upgrade_state {
                Some(Seen::Is(UpgradeState::PostProcessing)) if array.begun_at > since => Shown::Doing,
                seen => {
                    let over = |state: &Seen<UpgradeState>| {
                        state.is(UpgradeState::NoUpgrade) || state.is(UpgradeState::PostProcessingDone)
                    };
                    told(array.begun_at, since, seen.as_ref().is_none_or(over))
                }
            },
        },
        Action::Vendor { version } => match upgraded(facts, version) {
            None => Shown::NotSeen,
            Some(seen) => told(seen.at, since, seen.is_over()),
        },
        // Decided by a gate, or not to be done by this version.
        Action::AwaitResync
        | Action::Soak { .. }
        | Action::AddMember
        | Action::SwitchClusterMode { .. }
        | Action::AddSds
        | Action::AddDevice { .. } => Shown::NotSeen,
        Action::Evacuate => leaving(facts, task, since, &|sds| match sds {
            None => Leaving::Over,
            Some(_) if mutant::is("leave unseen") => Leaving::Over,
            Some(sds) if sds.state.is(SdsState::RemovePending) => Leaving::UnderWay,
            Some(_) => Leaving::Not,
        }),
        // An order to leave that may still arrive is waited for.
        Action::KeepSds => leaving(facts, task, after(state, StepKind::Evacuate, since), &|sds| match sds {
            Some(sds) if !sds.state.is(SdsState::Normal) => Leaving::Not,
            None | Some(_) => Leaving::Over,
        }),
        Action::Uninstall { components } => host(&|host| {
            let gone =
                |component: &Component| !host.installed.contains_key(component) && !host.running.contains(component);
            components.iter().all(gone)
        }),
        Action::RemoveSdc { sdc } => match facts.snapshot().and_then(|snapshot| snapshot.sdcs.as_ref()) {
            None => Shown::NotSeen,
            Some(part) => told(part.begun_at, since, part.value.get(sdc).is_none()),
        },
    }
}

/// How far the vendor's tool is with a system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Vendor {
    /// When the older of both lists was asked for.
    pub(super) at: Timestamp,
    /// What the MDM says of its upgrade.
    pub(super) says: Box<str>,
    is_quiet: bool,
    /// Members of the MDM cluster and SDSs that have the version, and all.
    pub(super) mdms: (usize, usize),
    pub(super) sds: (usize, usize),
}

impl Vendor {
    fn is_over(&self) -> bool {
        self.is_quiet && self.mdms.0 == self.mdms.1 && self.sds.0 == self.sds.1
    }
}

/// How far a system is on its way to a version, by the MDM's words alone.
pub(super) fn upgraded(facts: &Facts<'_>, version: &str) -> Option<Vendor> {
    let snapshot = facts.snapshot()?;
    let (array, all) = (snapshot.array.as_ref()?, snapshot.sds.as_ref()?);
    let (cluster, _) = facts.mdm()?;
    let has = |seen: Option<&ProductVersion>| seen.is_some_and(|seen| seen.as_str() == version);
    let over =
        |state: &Seen<UpgradeState>| state.is(UpgradeState::NoUpgrade) || state.is(UpgradeState::PostProcessingDone);
    Some(Vendor {
        at: array.begun_at.min(all.begun_at),
        says: array.upgrade_state.as_ref().map_or("nothing of an upgrade", |state| state.word()).into(),
        // What is not told is no end: nobody may go on by it.
        is_quiet: array.upgrade_state.as_ref().is_some_and(over),
        mdms: (cluster.members.iter().filter(|member| has(member.version.as_ref())).count(), cluster.members.len()),
        sds: (all.iter().filter(|sds| has(sds.version.as_ref())).count(), all.len()),
    })
}

/// Whether a list that was asked for after a moment lacks the SDS of a task.
pub(super) fn is_gone(facts: &Facts<'_>, task: &Task, since: Timestamp) -> bool {
    let list = facts.snapshot().and_then(|snapshot| snapshot.sds.as_ref());
    let (Some(list), Some(id)) = (list, &task.sds) else { return false };
    list.begun_at > since && list.value.get(id).is_none()
}

/// How far an SDS is from where it shall be.
enum Leaving {
    Over,
    UnderWay,
    Not,
}

/// What the list of SDSs shows of the one of a task.
fn leaving(facts: &Facts<'_>, task: &Task, since: Timestamp, judge: &dyn Fn(Option<&Sds>) -> Leaving) -> Shown {
    let list = facts.snapshot().and_then(|snapshot| snapshot.sds.as_ref());
    let (Some(list), Some(id)) = (list, &task.sds) else { return Shown::NotSeen };
    match judge(list.value.get(id)) {
        Leaving::UnderWay if list.begun_at > since => Shown::Doing,
        Leaving::UnderWay => Shown::NotSeen,
        Leaving::Over => told(list.begun_at, since, true),
        Leaving::Not => told(list.begun_at, since, false),
    }
}

/// An order that was given may arrive for a while; only what is seen after that tells that its effect is gone. One that
/// was answered, and whose effect was seen, cannot arrive any more.
fn after(state: &TaskState, kind: StepKind, since: Timestamp) -> Timestamp {
    if !state.adrift.contains_key(&kind) {
        return since;
    }
    let settle = if mutant::is("observe settle") { chrono::TimeDelta::zero() } else { SETTLE };
    state.touched.get(&kind).map_or(since, |ordered| since.max(*ordered + settle))
}

fn maintenance(
    facts: &Facts<'_>,
    task: &Task,
    since: Timestamp,
    wanted: Maintenance,
    on_the_way: &[Maintenance],
) -> Shown {
    let Some((sds, at)) = task.sds.as_ref().and_then(|id| facts.sds(id)) else { return Shown::NotSeen };
    if at > since && on_the_way.iter().any(|state| sds.maintenance.is(*state)) {
        return Shown::Doing;
    }
    told(at, since, sds.maintenance.is(wanted))
}

fn has(versions: &BTreeMap<Component, BTreeSet<Box<str>>>, components: &[Component], version: &str) -> bool {
    components.iter().all(|component| versions.get(component).is_some_and(|all| all.contains(version)))
}

fn installed(host: &NodeFacts, components: &[Component], version: &str) -> bool {
    if mutant::is("take for installed") {
        return true;
    }
    components.iter().all(|component| {
        let only = host.installed.get(component).is_some_and(|all| all.len() == 1 && all.contains(version));
        only && host.running.contains(component)
    })
}

/// Both the MDM and the agent must show it.
fn verified(
    facts: &Facts<'_>,
    task: &Task,
    version: Option<&str>,
    components: &[Component],
    since: Timestamp,
) -> Shown {
    let (Some(host), Some(snapshot)) = (facts.nodes.get(&task.node), facts.snapshot()) else { return Shown::NotSeen };
    let version = version.filter(|_| !mutant::is("take for installed"));
    let as_wanted =
        |seen: Option<&ProductVersion>| version.is_none_or(|wanted| seen.is_some_and(|seen| seen.as_str() == wanted));
    let mut seen_at = host.seen_at;
    let mut good = version.is_none_or(|version| installed(host, components, version))
        && components.iter().all(|component| host.running.contains(component));
    if let Some(id) = &task.sds {
        let (Some(at), Some((sds, _))) = (begun(&snapshot.sds), facts.sds(id)) else { return Shown::NotSeen };
        seen_at = seen_at.min(at);
        good &= sds.connection.is(Connection::Connected) && sds.membership.is(Membership::Joined);
        good &= !components.contains(&Component::Sds) || as_wanted(sds.version.as_ref());
    }
    if let Some(id) = &task.mdm {
        let Some((cluster, at)) = facts.mdm() else { return Shown::NotSeen };
        seen_at = seen_at.min(at);
        let member = cluster.members.iter().find(|member| member.id == *id);
        // The rest of the cluster is for the soak: that another member is away is no fault of this one.
        let in_sync = |member: &MdmMember| match &member.status {
            Some(status) => status.is(MdmStatus::Normal),
            None => cluster.state.is(ClusterState::Normal),
        };
        good &= member.is_some_and(|member| {
            in_sync(member) && (!components.contains(&Component::Mdm) || as_wanted(member.version.as_ref()))
        });
    }
    if let (true, Some(sdc)) = (components.contains(&Component::Sdc), sdc_of(facts, &task.node, task.sds.as_ref())) {
        seen_at = seen_at.min(begun(&snapshot.sdcs).unwrap_or(seen_at));
        good &= sdc.connection.as_ref().is_some_and(|seen| seen.is(Connection::Connected))
            && as_wanted(sdc.version.as_ref());
    }
    told(seen_at, since, good)
}
