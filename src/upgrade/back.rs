//! How does a node get back to the release that it had before?
//!
//! What was upgraded last goes first: the client, then the server. LIA and the MDM stay, since nothing may be newer than
//! they are. Whether there is a way back at all is for the check to say.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::{
    CARRIES_CONTROLLER, Fleet, Habits, Host, Verdict, around, client, has_other, stage, step, task, tell_unknown,
};
use crate::model::id::NodeName;
use crate::model::node::Carries;
use crate::model::plan::{Parallel, Risk, Stage};
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
    tell_unknown(only, fleet, report);
    let other = |host: &Host<'_>, component: Component| has_other(host, component, to);
    let mut wanted: Vec<&Host<'_>> = Vec::new();
    for host in hosts {
        let verdict = if !only.contains(host.name) {
            Verdict::NotAsked
        } else if host.facts.carries.contains(&Carries::Controller) {
            Verdict::Cannot(CARRIES_CONTROLLER.into())
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
    let clients = wanted
        .iter()
        .filter(|host| other(host, Component::Sdc))
        .map(|host| client(host, to, get(Component::Sdc), put(Component::Sdc, Risk::Low), habits));
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
