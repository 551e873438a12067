//! Is it this task's turn: approval, window, limits, and alerts?

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::super::book::Standing;
use super::super::facts::begun;
use super::super::observe::sdc_of;
use super::super::record::Duty;
use super::{Ask, Holds};
use crate::model::cluster::{MdmAlert, Sdc};
use crate::model::hold::Reason;
use crate::model::id::{NodeName, ObjectId};
use crate::model::node::NodeFacts;
use crate::model::plan::{Approval, Parallel, Request, Task};
use crate::model::snapshot::Snapshot;
use crate::model::step::Component;
use crate::model::window::Opening;

/// Alerts of the MDM that nobody may override.
const GRAVE: [&str; 17] = [
    "MDM_NOT_CLUSTERED",
    "MDM_FAILS_OVER_FREQUENTLY",
    "SDS_DISCONNECTED",
    "SDS_DISCONNECTS_FREQUENTLY",
    "DEVICE_FAILED",
    "STORAGE_POOL_HAS_FAILED_CAPACITY",
    "STORAGE_POOL_HAS_DEGRADED_CAPACITY",
    "STORAGE_POOL_HAS_CAPACITY_ERRORS",
    "STORAGE_POOL_HAS_UNREACHABLE_CAPACITY",
    "FWD_REBUILD_STUCK",
    "BKWD_REBUILD_STUCK",
    "PD_INACTIVE",
    "NOT_ENOUGH_FAULT_UNITS_IN_SP",
    "CAPACITY_UTILIZATION_ABOVE_CRITICAL_THRESHOLD",
    "SPARE_CAPACITY_AND_FREE_CAPACITY_SMALLER_THAN_LARGEST_FAULT_UNIT",
    "DEGRADED_CAPACITY",
    "FAILED_CAPACITY",
];

/// Alerts of the MDM that a person may override, and that were none of ours if
/// they were there when the run was approved.
const MILD: [&str; 11] = [
    "CONFIGURED_SPARE_CAPACITY_SMALLER_THAN_LARGEST_FAULT_UNIT",
    "SPARE_CAPACITY_BELOW_THRESHOLD",
    "FAILURE_RECOVERY_CAPACITY_BELOW_THRESHOLD",
    "REBALANCE_STUCK",
    "STORAGE_POOL_UNBALANCED",
    "STORAGE_POOL_EXTREMELY_UNBALANCED",
    "CAPACITY_UTILIZATION_ABOVE_HIGH_THRESHOLD",
    "SDC_DISCONNECTED",
    "SCANNER_COMPARE_ERROR",
    "FIXED_READ_ERROR_COUNT_ABOVE_THRESHOLD",
    "DEVICE_PENDING_ACTIVATION",
];

/// Everything that a task waits for besides the world.
pub(super) fn may_begin(ask: &Ask<'_>, holds: &mut Holds) {
    let now = ask.facts.now;
    holds.seen(Some(now));
    let run = ask.run;
    if let Some(by) = &run.paused {
        holds.push(Reason::Paused { by: by.clone() });
    }
    if run.cancelled.is_some() {
        holds.push(Reason::Cancelled { run: run.id.clone() });
    }
    if run.failures >= ask.run.plan.limits.failures || run.halted.is_some() {
        holds.push(Reason::BudgetSpent { failures: run.failures });
    }
    if let Some(until) = ask.book.held.get(&ask.task.node)
        && until.is_none_or(|until| now < until)
    {
        holds.push(Reason::Held { node: ask.task.node.clone(), until: *until });
    }
    match &run.approval {
        Approval::Hash { plan, .. } if *plan != run.plan_id => {
            holds.push(Reason::NotApproved { risk: run.plan.risk() });
        }
        Approval::Policy { until, .. } if now >= *until => holds.push(Reason::ApprovalOver { at: *until }),
        Approval::Hash { .. } | Approval::Policy { .. } => {}
    }
    if holds.enough(ask) {
        return;
    }
    turn(ask, holds);
    if holds.enough(ask) {
        return;
    }
    calendar(ask, holds);
    if holds.enough(ask) {
        return;
    }
    based_on(ask, holds);
    regressed(ask, holds);
}

/// The system still is what the plan was made for; versions that we changed aside.
fn based_on(ask: &Ask<'_>, holds: &mut Holds) {
    let Some(sds) = ask.facts.snapshot().and_then(|snapshot| snapshot.sds.as_ref()) else { return };
    let basis = &ask.run.plan.based_on.topology;
    let same = sds.len() == basis.len()
        && sds.iter().all(|sds| {
            basis
                .get(&sds.id)
                .is_some_and(|(domain, fault_set, _)| *domain == sds.domain && *fault_set == sds.fault_set)
        });
    let members = ask.facts.mdm().map(|(cluster, _)| &cluster.members);
    let seated = &ask.run.plan.based_on.mdms;
    let same_members = members.is_none_or(|members| {
        members.len() == seated.len() && members.iter().all(|member| seated.contains_key(&member.id))
    });
    holds.seen(Some(sds.begun_at));
    if !same || !same_members {
        holds.push(Reason::Superseded { run: ask.run.id.clone() });
    }
}

/// Nodes that were done are well still. Whether their SDSs are is asked for all of the domain elsewhere.
fn regressed(ask: &Ask<'_>, holds: &mut Holds) {
    for (_, _, task, _) in ask.run.those(|standing| *standing == Standing::Done) {
        let Some(host) = ask.facts.nodes.get(&task.node) else { continue };
        // A host that another task works on is away for a reason.
        let in_work = || ask.book.in_work().any(|(_, _, other, _)| other.node == task.node);
        if host.installed.keys().any(|component| !host.running.contains(component)) && !in_work() {
            holds.seen(Some(host.seen_at));
            holds.push(Reason::Regressed { node: task.node.clone() });
        }
    }
}

/// Nothing else is in work that must not be at the same time.
fn turn(ask: &Ask<'_>, holds: &mut Holds) {
    let now = ask.facts.now;
    holds.seen(Some(now));
    let Some((stage, at, _)) = ask.run.plan.task(ask.number) else { return };
    let mut beside = 0;
    let mut elsewhere = BTreeSet::new();
    for (run, number, task, _) in ask.book.in_work() {
        if run.id == ask.run.id && number == ask.number {
            continue;
        }
        if at.domains > 1 && apart(task, ask.task) {
            elsewhere.insert(&task.domain);
            if elsewhere.len() >= at.domains as usize {
                holds.push(Reason::InWork { node: task.node.clone() });
            }
            continue;
        }
        beside += 1;
        let together = match at.parallel {
            Parallel::One => false,
            Parallel::All => true,
            Parallel::FaultSet => {
                task.domain == ask.task.domain && task.fault_set == ask.task.fault_set && task.fault_set.is_some()
            }
        };
        if !together || beside >= at.most || task.node == ask.task.node {
            holds.push(Reason::InWork { node: task.node.clone() });
        }
    }
    // Tasks are in the order of their stages.
    let over = |at: &Standing| matches!(at, Standing::Done | Standing::Skipped | Standing::Undone { .. });
    for (_, _, task, _) in ask.run.those(|standing| !over(standing)).take_while(|(_, of, _, _)| *of < stage) {
        holds.push(Reason::InWork { node: task.node.clone() });
    }
    if at.canary {
        // One that a person holds is not waited for: the next one goes first.
        let held = |node: &NodeName| ask.book.held.get(node).is_some_and(|until| until.is_none_or(|until| now < until));
        let first = ask
            .run
            .each()
            .find(|(_, of, task, state)| *of == stage && !(state.standing == Standing::Waiting && held(&task.node)));
        if let Some((number, _, task, state)) = first
            && number != ask.number
            && !matches!(state.standing, Standing::Done | Standing::Skipped)
        {
            holds.push(Reason::InWork { node: task.node.clone() });
        }
    }
}

/// Whether these are servers of two protection domains, and nothing more than that.
fn apart(one: &Task, other: &Task) -> bool {
    let differ = one.domain.is_some() && other.domain.is_some() && one.domain != other.domain;
    differ && one.mdm.is_none() && other.mdm.is_none() && one.node != other.node
}

fn calendar(ask: &Ask<'_>, holds: &mut Holds) {
    let now = ask.facts.now;
    holds.seen(Some(now));
    let seconds: i64 = ask.task.steps.iter().map(|step| i64::from(step.predicted_seconds)).sum();
    match ask.policy.calendar.at(now) {
        Opening::Open { until: None } => {}
        Opening::Open { until: Some(ends) } => {
            let predicted_end = now + TimeDelta::seconds(seconds);
            if predicted_end > ends {
                holds.push(Reason::WindowTooShort { ends, predicted_end });
            }
        }
        Opening::Closed { opens } => holds.push(Reason::OutsideWindow { opens }),
        Opening::Blackout { name, until } => holds.push(Reason::Blackout { name, until }),
    }
}

/// No alert holds: neither of the MDM nor of the rules.
pub(super) fn alerts(ask: &Ask<'_>, holds: &mut Holds) {
    let Some(snapshot) = ask.facts.snapshot() else {
        holds.push(Reason::Unseen { what: "the system".into() });
        return;
    };
    if !ask.fresh("the list of alerts", begun(&snapshot.alerts), ask.policy.fresh, holds) {
        return;
    }
    let mended = to_be_mended(ask);
    for alert in snapshot.alerts.iter().flat_map(|part| part.value.iter()) {
        let object = alert.resource_name.clone().or_else(|| alert.resource_id.clone()).unwrap_or_default();
        let name = alert.name.clone();
        if GRAVE.contains(&&*name) {
            if !by_our_work(ask, alert) {
                holds.push(Reason::MdmAlert { name, object: called(snapshot, alert) });
            }
        } else if MILD.contains(&&*name)
            && !by_our_work(ask, alert)
            && !is_about(&mended, alert)
            && !ask.run.baseline.contains(&(name.clone(), object.clone()))
        {
            holds.push(Reason::MdmAlertMild { name, object: called(snapshot, alert) });
        }
    }
    let firing = ask.facts.firing;
    if firing.seq != snapshot.seq {
        holds.push(Reason::AlertsBehind { seq: snapshot.seq });
    }
    let mut others = None;
    if let Some(seen) = &firing.others {
        if !ask.fresh("the site's Alertmanager", seen.begun_at, ask.policy.fresh_middle, holds) {
            return;
        }
        others = Some(seen);
    }
    let critical = firing.critical.iter().chain(others.iter().flat_map(|others| &others.critical));
    for (name, object) in critical {
        holds.push(Reason::Firing { name: name.clone(), object: object.clone() });
    }
    let mild: BTreeSet<_> = firing.mild.iter().chain(others.iter().flat_map(|others| &others.mild)).cloned().collect();
    let known = |(name, object): &(Box<str>, Box<str>)| {
        &**name == "ScaleioSdcDisconnected" && mended.iter().any(|sdc| is_called(sdc, object))
    };
    for alert in mild.difference(&ask.run.baseline).filter(|alert| !known(alert)) {
        holds.push(Reason::FiringMild { name: alert.0.clone(), object: alert.1.clone() });
    }
}

/// Clients that a restart is to bring back: the one of its host, and those of hosts that say themselves that theirs does not
/// run. That they are away is why restarts are asked for, and keeps none from being done.
fn to_be_mended<'a>(ask: &Ask<'a>) -> Vec<&'a Sdc> {
    let Request::Reboot { node } = &ask.run.plan.request else { return Vec::new() };
    let down = |host: &NodeFacts| {
        let heard = ask.facts.now - host.seen_at <= ask.policy.fresh;
        heard && host.installed.contains_key(&Component::Sdc) && !host.running.contains(&Component::Sdc)
    };
    let hosts = ask.facts.nodes.iter().filter(|(name, host)| *name == node || down(host));
    let own = |name: &NodeName| if *name == ask.task.node { ask.task.sds.as_ref() } else { None };
    hosts.filter_map(|(name, _)| sdc_of(&ask.facts, name, own(name))).collect()
}

/// Whether the MDM raised an alert because one of these clients is away.
fn is_about(clients: &[&Sdc], alert: &MdmAlert) -> bool {
    let of = |sdc: &&Sdc| alert.resource_id.as_deref() == Some(&*sdc.id.to_string());
    &*alert.name == "SDC_DISCONNECTED" && clients.iter().any(of)
}

/// Whether an alert of our rules about a client, told as `sdc NAME`, is about this one.
fn is_called(sdc: &Sdc, object: &str) -> bool {
    let id = sdc.id.to_string();
    let names = sdc.name.iter().chain(&sdc.addresses).map(|name| &**name).chain([&*id]);
    object.strip_prefix("sdc ").is_some_and(|told| names.into_iter().any(|name| name == told))
}

/// What an alert of the MDM is about, by its name: older releases tell its id alone.
fn called(snapshot: &Snapshot, alert: &MdmAlert) -> Box<str> {
    let id = alert.resource_id.as_deref().unwrap_or_default();
    if let Some(name) = &alert.resource_name {
        return name.clone();
    }
    let object = ObjectId::new(id);
    let names = [
        snapshot.sds.as_ref().and_then(|part| part.get(&object.clone().into())?.name.clone()),
        snapshot.devices.as_ref().and_then(|part| part.get(&object.clone().into())?.name.clone()),
        snapshot.pools.as_ref().and_then(|part| part.get(&object.clone().into())?.name.clone()),
        snapshot.domains.as_ref().and_then(|part| part.get(&object.clone().into())?.name.clone()),
        snapshot.fault_sets.as_ref().and_then(|part| part.get(&object.clone().into())?.name.clone()),
        snapshot.sdcs.as_ref().and_then(|part| part.get(&object.clone().into())?.name.clone()),
        snapshot.volumes.as_ref().and_then(|part| part.get(&object.into())?.name.clone()),
    ];
    names.into_iter().flatten().next().unwrap_or_else(|| id.into())
}

/// That a server or client is away is no news while its host is in work, nor
/// that the MDM cluster misses the member that is.
fn by_our_work(ask: &Ask<'_>, alert: &MdmAlert) -> bool {
    let of = |id: &str| alert.resource_id.as_deref() == Some(id);
    ask.book.in_work().any(|(_, _, task, _)| match &*alert.name {
        "SDS_DISCONNECTED" => task.sds.as_ref().is_some_and(|id| of(&id.to_string())),
        "MDM_NOT_CLUSTERED" => task.mdm.is_some(),
        // What is free on a server in maintenance cannot be used meanwhile.
        "STORAGE_POOL_HAS_UNREACHABLE_CAPACITY" => task.sds.as_ref().is_some_and(|sds| {
            let ours = ask.book.obligation(&Duty::Maintenance { sds: sds.clone() }).is_some();
            ours && ask.facts.pools_of(sds).iter().any(|pool| of(&pool.to_string()))
        }),
        "SDC_DISCONNECTED" => {
            sdc_of(&ask.facts, &task.node, task.sds.as_ref()).is_some_and(|sdc| of(&sdc.id.to_string()))
        }
        _ => false,
    })
}
