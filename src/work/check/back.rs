//! May these nodes go back to the release that they had before?

use std::collections::{BTreeMap, BTreeSet};

use super::Unsafe;
use crate::model::plan::{Plan, Request};
use crate::model::state::{Seen, UpgradeState};
use crate::model::step::{Action, Component, StepKind};
use crate::work::book::Before;
use crate::work::clients::{Owner, newer};
use crate::work::facts::Facts;

/// What may be done to a node that goes back, besides what every plan is asked.
const STEPS: [StepKind; 9] = [
    StepKind::Stage,
    StepKind::Drain,
    StepKind::EnterMaintenance,
    StepKind::Rollback,
    StepKind::Verify,
    StepKind::ExitMaintenance,
    StepKind::AwaitResync,
    StepKind::Reactivate,
    StepKind::Soak,
];

/// Nothing goes back that was not asked to, or where the way back is closed or not known.
pub(super) fn judge(plan: &Plan, facts: &Facts<'_>, before: &Before, wrong: &mut BTreeSet<Unsafe>) {
    let Request::Back { to, only } = &plan.request else {
        for (_, _, task) in plan.tasks() {
            for step in task.steps.iter().map(|step| step.action.kind()).filter(|kind| *kind == StepKind::Rollback) {
                wrong.insert(Unsafe::NotAsked { node: task.node.clone(), step });
            }
        }
        return;
    };
    // What goes back, with the releases that are left.
    let mut left: BTreeSet<&str> = BTreeSet::new();
    let mut clients = BTreeMap::new();
    for (_, _, task) in plan.tasks() {
        let node = &task.node;
        for step in &task.steps {
            let kind = step.action.kind();
            if !STEPS.contains(&kind) || !only.contains(node) {
                wrong.insert(Unsafe::NotAsked { node: node.clone(), step: kind });
            }
            let Action::Rollback { version, components } = &step.action else { continue };
            if version != to {
                wrong.insert(Unsafe::Version { node: node.clone() });
            }
            let installed = facts.nodes.get(node).map(|host| &host.installed);
            for component in components.iter().copied() {
                if !matches!(component, Component::Sds | Component::Sdc) {
                    wrong.insert(Unsafe::Foremost { node: node.clone(), component });
                }
                let way = before.get(node).and_then(|all| all.get(&component)).filter(|way| way.from == *to);
                let there = installed.and_then(|all| all.get(&component));
                let fits = way.filter(|way| there.is_some_and(|all| all.len() == 1 && all.contains(&way.to)));
                match fits {
                    Some(way) => drop(left.insert(&way.to)),
                    None => drop(wrong.insert(Unsafe::NotBefore { node: node.clone(), component })),
                }
                if component == Component::Sdc {
                    clients.insert(node, task.sds.as_ref());
                }
                if component == Component::Sds {
                    wrong.extend(newer(facts, to, &clients).into_iter().map(|owner| match owner {
                        Owner::Node(node) => Unsafe::NewerClient { node },
                        Owner::Other(client) => Unsafe::NewerClientElsewhere { client },
                    }));
                }
            }
        }
    }
    if !is_open(facts, &left) {
        wrong.insert(Unsafe::Final);
    }
}

/// Whether the MDM shows an upgrade that is not final, to the very releases that are left.
fn is_open(facts: &Facts<'_>, left: &BTreeSet<&str>) -> bool {
    let array = facts.snapshot().and_then(|snapshot| snapshot.array.as_ref());
    let state = array.and_then(|array| array.upgrade_state.as_ref());
    let is_under_way =
        matches!(state, Some(Seen::Is(UpgradeState::MdmUpgradeInProgress | UpgradeState::UpgradeInProgress)));
    let members = facts.mdm().map(|(cluster, _)| cluster.members.as_slice()).unwrap_or_default();
    let is_there = |version: Option<&str>| version.is_some_and(|version| left.iter().all(|at| *at == version));
    is_under_way && members.iter().all(|member| is_there(member.version.as_ref().map(|version| version.as_str())))
}
