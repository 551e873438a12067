//! How does a node leave for good?

use std::collections::{BTreeMap, BTreeSet};

use super::plan::{CARRIES_CONTROLLER, Fleet, Habits, Host, Verdict, stage, step, task};
use crate::model::cluster::{Sdc, Sds};
use crate::model::id::NodeName;
use crate::model::node::Carries;
use crate::model::plan::{Parallel, Risk, Stage};
use crate::model::state::{Connection, Membership};
use crate::model::stats::{Stat, StatKind};
use crate::model::step::{Action, Component};
use crate::model::unit::{Bytes, Timestamp};
use crate::work::clients::SILENT;

/// A node leaves for good: its data first, then what serves, then what is installed. Who takes its place serves already.
pub(super) fn removal(
    hosts: &[Host<'_>],
    node: &NodeName,
    by: Option<&NodeName>,
    fleet: &Fleet<'_>,
    habits: &Habits,
    now: Timestamp,
    report: &mut BTreeMap<NodeName, Verdict>,
) -> Vec<Stage> {
    let mut cannot = |node: &NodeName, why: &str| {
        report.insert(node.clone(), Verdict::Cannot(why.into()));
        Vec::new()
    };
    let Some(host) = hosts.iter().find(|host| host.name == node) else {
        return cannot(node, "there is no node of that name");
    };
    if let Some(by) = by {
        let serves = |host: &&Host<'_>| {
            host.name == by
                && host.sds.is_some_and(|sds| {
                    sds.connection.is(Connection::Connected) && sds.membership.is(Membership::Joined)
                })
        };
        let Some(other) = hosts.iter().find(serves) else {
            return cannot(by, "it does not serve yet; the rollout must have made it ready first, see `sio nodes`");
        };
        if by == node || other.sds.and_then(|sds| sds.domain.clone()) != host.sds.and_then(|sds| sds.domain.clone()) {
            return cannot(by, "it is no other node of the same protection domain");
        }
    }
    if host.facts.carries.contains(&Carries::Controller) {
        return cannot(node, CARRIES_CONTROLLER);
    }
    if !host.facts.carries.is_empty() {
        return cannot(node, "it carries a gateway, a Mesos master or a server of ZooKeeper; move that first");
    }
    if host.mdm.is_some() || host.facts.installed.contains_key(&Component::Mdm) {
        return cannot(node, "it carries an MDM; give its seat to another host first (docs/rollout.md)");
    }
    if host.facts.installed.contains_key(&Component::Sds) && host.sds.is_none() {
        return cannot(node, "an SDS is installed, and no SDS of the system has an address that we know of this node");
    }
    if now - host.facts.seen_at > SILENT {
        let seen_at = host.facts.seen_at.format("%Y-%m-%d %H:%M:%SZ");
        let why = format!(
            "its agent was last heard at {seen_at}, and only it can take away what is installed there: bring the host back, \
             or, when it is gone for good, take its server out by hand (docs/operations.md, \"A host that is gone for good\")"
        );
        return cannot(node, &why);
    }
    let mut steps = Vec::new();
    if host.agent.is_some() {
        steps.push(step(Action::Drain, 1800, habits.drain, Risk::Low));
    }
    if let Some(sds) = host.sds {
        steps.push(step(Action::Evacuate, 86_400, moving(sds, fleet).min(80_000), Risk::Irreversible));
    }
    let removable = [Component::Sdr, Component::Sdt, Component::Sds, Component::Sdc, Component::Lia];
    let components: Vec<Component> =
        removable.into_iter().filter(|component| host.facts.installed.contains_key(component)).collect();
    if !components.is_empty() {
        steps.push(step(Action::Uninstall { components }, 1800, habits.apply, Risk::Irreversible));
    }
    let own = fleet.addresses.get(node);
    let clients = fleet.snapshot.sdcs.iter().flat_map(|part| part.iter());
    let here = |sdc: &&Sdc| {
        let ips = host.sds.iter().flat_map(|sds| sds.addresses.iter().map(|at| &*at.ip));
        let known: BTreeSet<&str> = own.into_iter().flatten().map(|ip| &**ip).chain(ips).collect();
        sdc.addresses.iter().any(|ip| known.contains(&**ip))
    };
    if let Some(sdc) = clients.into_iter().find(here) {
        steps.push(step(Action::RemoveSdc { sdc: sdc.id.clone() }, 1800, 120, Risk::Irreversible));
    }
    if host.agent.is_some() {
        steps.push(step(Action::Reactivate, 600, 10, Risk::None));
    }
    vec![stage("remove", Parallel::One, 1, false, vec![task(host, steps)])]
}

/// Seconds for what lies on a server to be copied elsewhere: a first guess, at the pace of one disk.
pub(super) fn moving(sds: &Sds, fleet: &Fleet<'_>) -> u32 {
    const PACE: u64 = 100 << 20;
    let devices = fleet.snapshot.devices.iter().flat_map(|part| part.iter());
    let used = devices.filter(|device| device.sds.as_ref() == Some(&sds.id)).filter_map(|device| {
        let row = fleet.snapshot.statistics.as_ref()?.row(StatKind::Device, device.id.object())?;
        row.bytes(Stat::CapacityInUseInKb)
    });
    let seconds = used.map(Bytes::get).sum::<u64>() / PACE;
    u32::try_from(seconds).unwrap_or(u32::MAX).max(60)
}
