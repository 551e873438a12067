//! Is a plan safe to carry out at all? Judged from the plan and the system
//! alone, by rules of its own: it knows neither the planner nor the gate.

mod back;

use std::collections::{BTreeMap, BTreeSet};

use super::book::Before;
use super::facts::Facts;
use super::mutant;
use super::skew::at_least;
use crate::model::cluster::MdmRole;
use crate::model::id::NodeName;
use crate::model::node::Carries;
use crate::model::plan::{Approval, FORM, Parallel, Plan, Request, Risk, Step, Task};
use crate::model::state::Maintenance;
use crate::model::step::{Action, Component, MaintenanceMode, StepKind};
use crate::model::version::Generation;

/// Longest time with one copy that instant mode is meant for.
const INSTANT_SECONDS: u64 = 30 * 60;
/// Longest time for which a person may work on a host, with what comes after: two weeks.
const LONGEST_HANDWORK: u32 = 14 * 86_400;

/// Why a plan must not be carried out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[allow(missing_docs)]
pub enum Unsafe {
    #[error("the plan has form {0}, and this version knows forms up to {FORM}")]
    Form(u16),
    #[error("the plan does nothing")]
    Empty,
    #[error("{node}: {step} comes without {needs} before it")]
    Before { node: NodeName, step: StepKind, needs: StepKind },
    #[error("{node}: {step} comes without {needs} after it")]
    After { node: NodeName, step: StepKind, needs: StepKind },
    #[error("{node}: {step} is done twice")]
    Twice { node: NodeName, step: StepKind },
    #[error("{0} is named twice in one stage")]
    NodeTwice(NodeName),
    #[error("stage {stage:?} works on more than one fault set at once")]
    TooParallel { stage: Box<str> },
    #[error("{node} does not carry the SDS that the plan says, or it lies elsewhere")]
    WrongSds { node: NodeName },
    #[error("{node} carries an SDS that the plan does not know of")]
    ForgottenSds { node: NodeName },
    #[error(
        "{node} has the MDM installed, and no member of the cluster is known to be there; see addresses in docs/operations.md"
    )]
    ForgottenMdm { node: NodeName },
    #[error("{node} carries a member of the MDM cluster that is not in it")]
    WrongMdm { node: NodeName },
    #[error("{node} owns the MDM cluster and is not the last of its members, or does not hand over first")]
    Owner { node: NodeName },
    #[error("{node}: {later} is upgraded before every {earlier} was")]
    Order { node: NodeName, earlier: Component, later: Component },
    #[error("{node} has a newer version than is to be installed")]
    Older { node: NodeName },
    #[error("{node}: more than one version is installed, or one that was not asked for")]
    Version { node: NodeName },
    #[error("{node}: nobody knows which version to go back to")]
    NoWayBack { node: NodeName },
    #[error("{node}: {mode} maintenance is not possible for this")]
    Mode { node: NodeName, mode: MaintenanceMode },
    #[error("{0} carries this controller; move it to another host first")]
    Controller(NodeName),
    #[error("{node}: {step} has no deadline, or one of more than a day")]
    Deadline { node: NodeName, step: StepKind },
    #[error(
        "{node}: {step} would take {predicted_seconds} s by all that lies there, and no step may take longer than a day; move data away first, \
         or do this in another mode"
    )]
    TooLong { node: NodeName, step: StepKind, predicted_seconds: u32 },
    #[error("{node}: the request asks for no {step} there")]
    NotAsked { node: NodeName, step: StepKind },
    #[error(
        "the MDM shows no upgrade that is under way: it is final, or it was none of the MDM, and no node goes back"
    )]
    Final,
    #[error("{node}: it is not written down that {component} had this release before the one that it has")]
    NotBefore { node: NodeName, component: Component },
    #[error("{node}: {component} does not go back: nothing may be newer than it")]
    Foremost { node: NodeName, component: Component },
    #[error("the client of {node} would be newer than a server; it goes back first")]
    NewerClient { node: NodeName },
    #[error(
        "the client {client}, which is on no host of ours, would be newer than a server; bring it back by hand first, or end it"
    )]
    NewerClientElsewhere { client: Box<str> },
    #[error("{node} carries no SDS that is in maintenance: there is nothing to take over")]
    NotInside { node: NodeName },
    #[error("{node} carries a part of the MDM cluster; give its seat to another host first")]
    SeatLost { node: NodeName },
    #[error("finalising needs a plan of its own")]
    FinaliseBeside,
    #[error("PowerFlex Manager upgrades systems of 4.x; this controller watches them, and installs nothing there")]
    Vendor,
    #[error("before 4.0 nobody but this controller or a person upgrades a system")]
    NoVendor,
    #[error("the system was not seen")]
    Unseen,
    #[error("the approval is for another plan")]
    OtherPlan,
    #[error("the standing approval does not cover {0}")]
    NotCovered(Box<str>),
}

/// Everything that is wrong with a plan. What nodes had before is what is written down of it.
pub fn check(plan: &Plan, facts: &Facts<'_>, before: &Before) -> BTreeSet<Unsafe> {
    let mut wrong = BTreeSet::new();
    if plan.form > FORM {
        wrong.insert(Unsafe::Form(plan.form));
    }
    if plan.tasks().all(|(_, _, task)| task.steps.is_empty()) {
        wrong.insert(Unsafe::Empty);
    }
    if plan.has(StepKind::Finalise) && plan.tasks().any(|(_, _, task)| task.steps.len() > 1) {
        wrong.insert(Unsafe::FinaliseBeside);
    }
    if facts.snapshot().is_none_or(|snapshot| snapshot.sds.is_none()) {
        wrong.insert(Unsafe::Unseen);
        return wrong;
    }
    let by_vendor = facts.snapshot().is_some_and(|snapshot| snapshot.generation >= Generation::V4);
    let installs = |action: &Action| {
        matches!(action, Action::Stage { .. } | Action::Apply { .. } | Action::Rollback { .. } | Action::Finalise)
    };
    if by_vendor && plan.tasks().flat_map(|(_, _, task)| &task.steps).any(|step| installs(&step.action)) {
        wrong.insert(Unsafe::Vendor);
    }
    if !by_vendor && plan.has(StepKind::Vendor) {
        wrong.insert(Unsafe::NoVendor);
    }
    for stage in &plan.stages {
        let mut names = BTreeSet::new();
        for task in &stage.tasks {
            if !names.insert(&task.node) {
                wrong.insert(Unsafe::NodeTwice(task.node.clone()));
            }
        }
        let stops = stage.tasks.iter().any(|task| !harmless(task));
        let alone = (stage.parallel == Parallel::One || stage.most <= 1) && stage.domains <= 1;
        if stops && !alone && (stage.parallel == Parallel::All || stage.tasks.iter().any(|task| task.mdm.is_some())) {
            wrong.insert(Unsafe::TooParallel { stage: stage.name.clone() });
        }
    }
    for (_, _, task) in plan.tasks() {
        let is_taken_over = matches!(plan.request, Request::Adopt { .. });
        steps(task, is_taken_over, &mut wrong);
        place(task, facts, is_taken_over, &mut wrong);
        versions(plan, task, facts, &mut wrong);
        removal(plan, task, &mut wrong);
        adoption(plan, task, facts, &mut wrong);
        mode(task, facts, &mut wrong);
    }
    back::judge(plan, facts, before, &mut wrong);
    places(plan, &mut wrong);
    order(plan, &mut wrong);
    owner(plan, facts, &mut wrong);
    wrong
}

fn harmless(task: &Task) -> bool {
    task.steps.iter().all(|step| match &step.action {
        Action::Stage { .. } | Action::Verify { .. } | Action::Soak { .. } => true,
        Action::Apply { components, .. } => components.iter().all(|component| *component == Component::Lia),
        _ => false,
    })
}

fn touches(action: &Action, component: Component) -> bool {
    match action {
        Action::Apply { components, .. } | Action::Rollback { components, .. } => components.contains(&component),
        Action::Reboot | Action::Handwork => component != Component::Lia,
        _ => false,
    }
}

/// What must come before and after what. What is taken over was begun by somebody else.
fn steps(task: &Task, is_taken_over: bool, wrong: &mut BTreeSet<Unsafe>) {
    let kinds: Vec<StepKind> = task.steps.iter().map(|step| step.action.kind()).collect();
    let before = |at: usize, kind: StepKind| kinds.iter().take(at).any(|other| *other == kind);
    let after = |at: usize, kind: StepKind| kinds.iter().skip(at + 1).any(|other| *other == kind);
    let mut need = |at: usize, first: &[StepKind], later: &[StepKind]| {
        let Some(step) = kinds.get(at).copied() else { return };
        for needs in first.iter().copied().filter(|kind| !before(at, *kind)) {
            wrong.insert(Unsafe::Before { node: task.node.clone(), step, needs });
        }
        for needs in later.iter().copied().filter(|kind| !after(at, *kind)) {
            wrong.insert(Unsafe::After { node: task.node.clone(), step, needs });
        }
    };
    for (at, step) in task.steps.iter().enumerate() {
        match &step.action {
            Action::EnterMaintenance { .. } => need(at, &[], &[StepKind::ExitMaintenance, StepKind::Soak]),
            Action::ExitMaintenance if is_taken_over => need(at, &[], &[StepKind::AwaitResync]),
            Action::ExitMaintenance => {
                need(at, &[StepKind::EnterMaintenance, StepKind::Verify], &[StepKind::AwaitResync]);
            }
            Action::Drain => need(at, &[], &[StepKind::Reactivate]),
            Action::Reactivate => need(at, &[StepKind::Drain], &[]),
            Action::Apply { .. } | Action::Rollback { .. } => need(at, &[StepKind::Stage], &[StepKind::Verify]),
            Action::Reboot => need(at, &[], &[StepKind::Verify, StepKind::Soak]),
            Action::Uninstall { components } => {
                if task.sds.is_some() && components.contains(&Component::Sds) {
                    need(at, &[StepKind::Evacuate], &[]);
                }
                if task.agent.is_some() && components.contains(&Component::Sdc) {
                    need(at, &[StepKind::Drain], &[StepKind::Reactivate]);
                }
            }
            _ => {}
        }
        if task.sds.is_some() && touches(&step.action, Component::Sds) {
            need(at, &[StepKind::EnterMaintenance], &[StepKind::ExitMaintenance]);
            let left = kinds.iter().take(at).filter(|kind| **kind == StepKind::ExitMaintenance).count();
            if left > 0 {
                need(at, &[StepKind::ExitMaintenance, StepKind::EnterMaintenance], &[StepKind::EnterMaintenance]);
            }
        }
        if task.agent.is_some() && touches(&step.action, Component::Sdc) && step.action != Action::Handwork {
            need(at, &[StepKind::Drain], &[StepKind::Reactivate]);
        }
    }
    for step in &task.steps {
        // People say themselves for how long.
        let longest = if step.action == Action::Handwork { LONGEST_HANDWORK } else { 86_400 };
        if step.predicted_seconds > longest {
            let (step, predicted_seconds) = (step.action.kind(), step.predicted_seconds);
            wrong.insert(Unsafe::TooLong { node: task.node.clone(), step, predicted_seconds });
        }
        if step.deadline_seconds == 0 || step.deadline_seconds > longest {
            wrong.insert(Unsafe::Deadline { node: task.node.clone(), step: step.action.kind() });
        }
    }
    for kind in [StepKind::Drain, StepKind::EnterMaintenance, StepKind::ExitMaintenance, StepKind::Reactivate] {
        if kinds.iter().filter(|other| **other == kind).count() > 1 {
            wrong.insert(Unsafe::Twice { node: task.node.clone(), step: kind });
        }
    }
}

/// Whether the plan knows what lies on the host.
fn place(task: &Task, facts: &Facts<'_>, is_taken_over: bool, wrong: &mut BTreeSet<Unsafe>) {
    let host = facts.nodes.get(&task.node);
    if let Some(id) = &task.sds {
        let fits = facts.sds(id).is_some_and(|(sds, _)| sds.domain == task.domain && sds.fault_set == task.fault_set);
        if !fits {
            wrong.insert(Unsafe::WrongSds { node: task.node.clone() });
        }
    } else if host.is_some_and(|host| host.installed.contains_key(&Component::Sds)) {
        wrong.insert(Unsafe::ForgottenSds { node: task.node.clone() });
    }
    let stops_mdm = || task.steps.iter().any(|step| touches(&step.action, Component::Mdm));
    if task.mdm.is_none() && host.is_some_and(|host| host.installed.contains_key(&Component::Mdm)) && stops_mdm() {
        wrong.insert(Unsafe::ForgottenMdm { node: task.node.clone() });
    }
    if let Some(id) = &task.mdm
        && !facts.mdm().is_some_and(|(cluster, _)| cluster.members.iter().any(|member| member.id == *id))
    {
        wrong.insert(Unsafe::WrongMdm { node: task.node.clone() });
    }
    let controller = task.carries.contains(&Carries::Controller)
        || host.is_some_and(|host| host.carries.contains(&Carries::Controller));
    // To end a maintenance stops nothing.
    let ends = |step: &Step| matches!(step.action, Action::ExitMaintenance | Action::AwaitResync);
    let spares = harmless(task) || (is_taken_over && task.steps.iter().all(ends));
    if controller && !spares && !mutant::is("plan for the controller") {
        wrong.insert(Unsafe::Controller(task.node.clone()));
    }
}

/// A host carries one SDS and one member in all of its tasks, and no two hosts the same. Otherwise one server would be
/// spared, and another one stopped.
fn places(plan: &Plan, wrong: &mut BTreeSet<Unsafe>) {
    let (mut sds_of, mut nodes_of, mut hosts_of) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for (_, _, task) in plan.tasks() {
        let node = &task.node;
        let same = *sds_of.entry(node).or_insert(&task.sds) == &task.sds;
        if !same || task.sds.as_ref().is_some_and(|sds| *nodes_of.entry(sds).or_insert(node) != node) {
            wrong.insert(Unsafe::WrongSds { node: node.clone() });
        }
        if task.mdm.as_ref().is_some_and(|mdm| *hosts_of.entry(mdm).or_insert(node) != node) {
            wrong.insert(Unsafe::WrongMdm { node: node.clone() });
        }
    }
}

fn versions(plan: &Plan, task: &Task, facts: &Facts<'_>, wrong: &mut BTreeSet<Unsafe>) {
    let installed = facts.nodes.get(&task.node).map(|host| &host.installed);
    let only = if let Request::Upgrade { only, .. } = &plan.request { Some(only) } else { None };
    for step in &task.steps {
        if let Action::Apply { version, components } = &step.action {
            let there = components.iter().filter_map(|component| installed?.get(component)).flatten();
            if there.into_iter().any(|seen| seen != version && at_least(seen, version)) {
                wrong.insert(Unsafe::Older { node: task.node.clone() });
            }
            if only.is_some_and(|only| !only.is_empty() && !only.contains(&task.node)) {
                wrong.insert(Unsafe::NotAsked { node: task.node.clone(), step: step.action.kind() });
            }
        }
        let (Action::Apply { version, .. } | Action::Vendor { version }) = &step.action else { continue };
        if !matches!(&plan.request, Request::Upgrade { to, .. } if to == version) {
            wrong.insert(Unsafe::Version { node: task.node.clone() });
        }
        if task.from.is_none() && step.action.kind() == StepKind::Apply {
            wrong.insert(Unsafe::NoWayBack { node: task.node.clone() });
        }
    }
}

/// Only who is asked to go goes, and nobody who sits in the MDM cluster.
fn removal(plan: &Plan, task: &Task, wrong: &mut BTreeSet<Unsafe>) {
    const LEAVES: [StepKind; 3] = [StepKind::Evacuate, StepKind::Uninstall, StepKind::RemoveSdc];
    let leaves: Vec<StepKind> =
        task.steps.iter().map(|step| step.action.kind()).filter(|kind| LEAVES.contains(kind)).collect();
    let asked = match &plan.request {
        Request::Remove { node } | Request::Replace { node, .. } => *node == task.node,
        _ => false,
    };
    for step in leaves.iter().copied().filter(|_| !asked) {
        wrong.insert(Unsafe::NotAsked { node: task.node.clone(), step });
    }
    if !leaves.is_empty() && task.mdm.is_some() {
        wrong.insert(Unsafe::SeatLost { node: task.node.clone() });
    }
}

/// A maintenance of somebody else is there, and nothing is done but to end it.
fn adoption(plan: &Plan, task: &Task, facts: &Facts<'_>, wrong: &mut BTreeSet<Unsafe>) {
    let Request::Adopt { node, .. } = &plan.request else { return };
    let ends = |kind: StepKind| matches!(kind, StepKind::ExitMaintenance | StepKind::AwaitResync);
    for step in task.steps.iter().map(|step| step.action.kind()).filter(|kind| !ends(*kind) || task.node != *node) {
        wrong.insert(Unsafe::NotAsked { node: task.node.clone(), step });
    }
    let sds = task.sds.as_ref().and_then(|id| facts.sds(id));
    if sds.is_none_or(|(sds, _)| !sds.maintenance.is(Maintenance::In)) {
        wrong.insert(Unsafe::NotInside { node: task.node.clone() });
    }
}

fn mode(task: &Task, facts: &Facts<'_>, wrong: &mut BTreeSet<Unsafe>) {
    let generation = facts.snapshot().map(|snapshot| snapshot.generation);
    let entered = task.steps.iter().position(|step| step.action.kind() == StepKind::EnterMaintenance);
    let left = task.steps.iter().position(|step| step.action.kind() == StepKind::ExitMaintenance);
    let (Some(entered), Some(left)) = (entered, left) else { return };
    let Some(Action::EnterMaintenance { mode }) = task.steps.get(entered).map(|step| step.action.clone()) else {
        return;
    };
    let seconds: u64 =
        task.steps.iter().take(left + 1).skip(entered).map(|step| u64::from(step.predicted_seconds)).sum();
    let possible = match mode {
        MaintenanceMode::Instant => seconds < INSTANT_SECONDS,
        MaintenanceMode::Protected => generation.is_some_and(|generation| generation >= Generation::V3_5),
    };
    if !possible {
        wrong.insert(Unsafe::Mode { node: task.node.clone(), mode });
    }
}

/// Every LIA before the MDM of its node, every MDM before any SDS, every SDS before an SDC elsewhere.
fn order(plan: &Plan, wrong: &mut BTreeSet<Unsafe>) {
    const ORDER: [Component; 3] = [Component::Mdm, Component::Sds, Component::Sdc];
    let mut seen: BTreeSet<Component> = BTreeSet::new();
    for stage in &plan.stages {
        let applied: Vec<(&NodeName, Component)> = stage
            .tasks
            .iter()
            .flat_map(|task| task.steps.iter().map(move |step| (&task.node, &step.action)))
            .filter_map(|(node, action)| match action {
                Action::Apply { components, .. } => Some(components.iter().map(move |component| (node, *component))),
                _ => None,
            })
            .flatten()
            .collect();
        for (node, component) in &applied {
            for later in ORDER.iter().filter(|later| *later > component && ORDER.contains(component)) {
                let beside = applied.iter().any(|(other, at)| at == later && other != node && later != &Component::Sdc);
                if seen.contains(later) || beside {
                    let (earlier, later) = (*component, *later);
                    wrong.insert(Unsafe::Order { node: (*node).clone(), earlier, later });
                }
            }
        }
        seen.extend(applied.into_iter().map(|(_, component)| component));
    }
}

/// Who may own the MDM cluster hands over before it is stopped, and who owns it now is upgraded last.
fn owner(plan: &Plan, facts: &Facts<'_>, wrong: &mut BTreeSet<Unsafe>) {
    let Some((cluster, _)) = facts.mdm() else { return };
    let manager = |role: MdmRole| matches!(role, MdmRole::Primary | MdmRole::Secondary);
    let managers: BTreeSet<_> = cluster.members.iter().filter(|at| manager(at.role)).map(|at| &at.id).collect();
    // A cluster of one manager has nobody to hand over to.
    if managers.len() < 2 {
        return;
    }
    for (_, _, task) in plan.tasks().filter(|(_, _, task)| task.mdm.as_ref().is_some_and(|id| managers.contains(id))) {
        let Some(stop) = task.steps.iter().position(|step| touches(&step.action, Component::Mdm)) else { continue };
        if !task.steps.iter().take(stop).any(|step| step.action == Action::SwitchMdm) {
            wrong.insert(Unsafe::Owner { node: task.node.clone() });
        }
    }
    let applies = |task: &Task| {
        task.steps.iter().any(|step| match &step.action {
            Action::Apply { components, .. } => components.contains(&Component::Mdm),
            _ => false,
        })
    };
    let upgraded: Vec<&Task> = plan.tasks().map(|(_, _, task)| task).filter(|task| applies(task)).collect();
    let primary = cluster.primary().map(|primary| &primary.id);
    for task in upgraded.iter().rev().skip(1).filter(|task| task.mdm.is_some() && task.mdm.as_ref() == primary) {
        wrong.insert(Unsafe::Owner { node: task.node.clone() });
    }
}

/// Whether an approval is one of this plan, now.
pub fn covers(approval: &Approval, plan: &Plan, facts: &Facts<'_>) -> BTreeSet<Unsafe> {
    let mut wrong = BTreeSet::new();
    let mut not = |what: &str| {
        wrong.insert(Unsafe::NotCovered(what.into()));
    };
    match approval {
        Approval::Hash { plan: id, .. } => {
            if *id != plan.id() {
                wrong.insert(Unsafe::OtherPlan);
            }
        }
        Approval::Policy { to, selection, modes, max_risk, until, .. } => {
            if facts.now >= *until {
                not("this moment: it has run out");
            }
            let is_asked = match &plan.request {
                Request::Upgrade { to: wanted, .. } | Request::Fetch { to: wanted, .. } => wanted == to,
                // The node is in the selection.
                Request::Reboot { .. } | Request::Maintain { .. } => to.is_empty() && !selection.is_empty(),
                Request::Rollout
                | Request::Finalise { .. }
                | Request::Adopt { .. }
                | Request::Back { .. }
                | Request::Replace { .. }
                | Request::Remove { .. }
                | Request::Expand { .. }
                | Request::RotateSecrets => false,
            };
            if !is_asked {
                not("this request");
            }
            if plan.risk() > *max_risk || plan.risk() == Risk::Irreversible {
                not("this risk");
            }
            for (_, _, task) in plan.tasks() {
                if !selection.is_empty() && !selection.contains(&task.node) {
                    not(task.node.as_str());
                }
                for step in &task.steps {
                    match &step.action {
                        Action::EnterMaintenance { mode } if !modes.contains(mode) => not(mode.as_str()),
                        Action::Finalise
                        | Action::Evacuate
                        | Action::Uninstall { .. }
                        | Action::RemoveSdc { .. }
                        | Action::AddMember
                        | Action::SwitchClusterMode { .. } => {
                            not(step.action.kind().as_str());
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    wrong
}
