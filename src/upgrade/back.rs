//! How does a node get back to the release that it had before?
//!
//! What was upgraded last goes first: the client, then the server. LIA and the MDM stay, since nothing may be newer than
//! they are. Whether there is a way back at all is for the check to say.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::{Fleet, Habits, Host, Verdict, around, soak, stage, step, task};
use crate::model::id::NodeName;
use crate::model::node::Carries;
use crate::model::plan::{Parallel, Risk, Stage, Step};
use crate::model::step::{Action, Component, MaintenanceMode};

/// The stages, one node after the other in each.
pub(super) fn back(
    to: &str,
    only: &BTreeSet<NodeName>,
    hosts: &[Host<'_>],
    fleet: &Fleet<'_>,
    habits: &Habits,
    report: &mut BTreeMap<NodeName, Verdict>,
) -> Vec<Stage> {
    for name in only.iter().filter(|name| !fleet.nodes.contains_key(*name)) {
        report.insert(name.clone(), Verdict::Cannot("there is no node of that name".into()));
    }
    let other = |host: &Host<'_>, component: Component| {
        host.facts.installed.get(&component).is_some_and(|all| all.iter().any(|version| **version != *to))
    };
    let mut wanted: Vec<&Host<'_>> = Vec::new();
    for host in hosts {
        let verdict = if !only.contains(host.name) {
            Verdict::NotAsked
        } else if host.facts.carries.contains(&Carries::Controller) {
            Verdict::Cannot("it carries this controller; move that to another host first".into())
        } else if host.facts.installed.contains_key(&Component::Sds) && host.sds.is_none() {
            Verdict::Cannot(
                "an SDS is installed, and no SDS of the system has an address that we know of this node".into(),
            )
        } else if !other(host, Component::Sdc) && !other(host, Component::Sds) {
            Verdict::AlreadySo
        } else {
            wanted.push(host);
            Verdict::Planned(0)
        };
        report.insert(host.name.clone(), verdict);
    }
    let get = |component| step(Action::Stage { version: to.into(), components: vec![component] }, 1800, 60, Risk::None);
    let put = |component, risk| {
        step(Action::Rollback { version: to.into(), components: vec![component] }, 900, habits.apply, risk)
    };
    let clients = wanted.iter().filter(|host| other(host, Component::Sdc)).map(|host| {
        let mut steps: Vec<Step> = vec![get(Component::Sdc)];
        if host.agent.is_some() {
            steps.push(step(Action::Drain, 1800, habits.drain, Risk::Low));
        }
        steps.push(put(Component::Sdc, Risk::Low));
        let seen = Action::Verify { version: Some(to.into()), components: vec![Component::Sdc] };
        steps.push(step(seen, 600, 30, Risk::None));
        if host.agent.is_some() {
            steps.push(step(Action::Reactivate, 600, 10, Risk::None));
        }
        steps.push(soak(habits));
        task(host, steps)
    });
    let servers = wanted.iter().filter(|host| other(host, Component::Sds)).map(|host| {
        let mut steps = vec![get(Component::Sds)];
        let work = vec![put(Component::Sds, Risk::Medium)];
        let applied = Some((to, vec![Component::Sds]));
        around(host, fleet, habits, MaintenanceMode::Instant, work, applied, &mut steps);
        task(host, steps)
    });
    let mut stages = vec![
        stage("sdc", Parallel::One, 1, true, clients.collect()),
        stage("sds", Parallel::One, 1, true, servers.collect()),
    ];
    stages.retain(|stage| !stage.tasks.is_empty());
    stages
}
