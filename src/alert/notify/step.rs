//! What is told next? One notification at a time, so that it fits into one
//! commit with the memory after it; none when nothing is due now.

use chrono::TimeDelta;

use super::calendar::{is_quiet, last_due};
use super::collapse::{self, Why};
use super::group::{Due, What};
use super::memory::{self, Memory};
use super::mute::{Seen, View};
use super::observe::observe;
use super::policy::Policy;
use super::route::GroupId;
use super::{runs, week, write};
use crate::config::Route;
use crate::model::alerting::{GroupKey, HoldReason, Kind, Notification, Severity};
use crate::model::unit::Timestamp;
use crate::watches::Pictures;

/// Something critical waits at most so long for others in a storm, or for room in the hour.
const PRESSING: TimeDelta = TimeDelta::minutes(1);

const HOUR: TimeDelta = TimeDelta::hours(1);

/// Takes a look, and decides what is told next; the memory is then what must be stored together with it.
pub fn next(
    now: Timestamp,
    seen: &Seen<'_>,
    pictures: &Pictures,
    policy: &Policy,
    memory: &mut Memory,
) -> Option<Notification> {
    let before = memory.before.clone();
    let view = observe(now, seen, policy, memory);
    week::observe(now, seen, pictures, before.as_ref(), memory);
    let mut told = step(now, &view, policy, memory)
        .or_else(|| runs::over(now, seen.over, policy, memory))
        .or_else(|| week::report(now, &view, pictures, policy, memory))?;
    let system = told.group.system.as_ref();
    told.outlook.days_to_full =
        system.and_then(|system| week::days_to_full(now, system, pictures.get(system)?, memory));
    Some(told)
}

/// Decides what is told next, and changes the memory to what it is after that.
pub fn step(now: Timestamp, view: &View<'_>, policy: &Policy, memory: &mut Memory) -> Option<Notification> {
    for route in &policy.notify.routes {
        let told = of_route(now, view, policy, route, memory);
        if told.is_some() {
            memory.busy(&route.name).sent.push(now);
            return told;
        }
    }
    silence_ends(now, view, policy, memory).or_else(|| heartbeat(now, policy, memory))
}

fn of_route(
    now: Timestamp,
    view: &View<'_>,
    policy: &Policy,
    route: &Route,
    memory: &mut Memory,
) -> Option<Notification> {
    memory.busy(&route.name).sent.retain(|at| now - *at < HOUR);
    let mut due = due(now, view, route, memory);
    // Nobody acknowledged it for long enough: it waits for nothing any more.
    if let Some((id, due)) = due.iter().find(|(_, due)| due.what == What::Escalation) {
        return write::tell(now, id, *due, view, policy, route, memory);
    }
    let quiet = route.quiet.as_ref().is_some_and(|quiet| is_quiet(quiet, now));
    if quiet {
        let (loud, hushed): (Vec<_>, Vec<_>) = due.into_iter().partition(|(_, due)| due.news == Severity::Critical);
        hold(now, &hushed, view, route, memory, &HoldReason::QuietHours);
        memory.busy(&route.name).quiet = true;
        due = loud;
    } else if std::mem::take(&mut memory.busy(&route.name).quiet) {
        let news = due.iter().any(|(_, due)| collapse::is_news(*due));
        if news || !memory.busy(&route.name).held.is_empty() {
            return Some(collapse::tell(now, &due, Why::Morning, view, policy, route, memory));
        }
    }
    let busy = memory.busy(&route.name);
    if due.is_empty() {
        return None;
    }
    let full = busy.sent.len() >= route.mails_an_hour;
    let storm = busy.storm.as_ref().is_some_and(|storm| now - storm.at < route.interval);
    let urgent = due.iter().any(|(_, due)| due.news == Severity::Critical && collapse::is_news(*due));
    let waited = busy.sent.last().is_none_or(|last| now - *last >= PRESSING);
    if (full || storm) && !(urgent && waited) {
        let reason = if full { HoldReason::RateLimit } else { HoldReason::Storm };
        busy.limited |= full;
        hold(now, &due, view, route, memory, &reason);
        return None;
    }
    let lately = busy.sent.iter().filter(|at| now - **at < route.storm_window).count();
    let news = due.iter().filter(|(_, due)| collapse::is_news(*due)).count();
    let limited = full || std::mem::take(&mut busy.limited);
    if news > 1 && (limited || storm || news + lately > route.storm_groups) {
        return Some(collapse::tell(now, &due, Why::Storm, view, policy, route, memory));
    }
    let (id, first) = due.first()?;
    write::tell(now, id, *first, view, policy, route, memory)
}

/// What is due of a route, the gravest first.
fn due(now: Timestamp, view: &View<'_>, route: &Route, memory: &Memory) -> Vec<(GroupId, Due)> {
    let none = std::collections::BTreeSet::new();
    let groups = memory.groups.iter().filter(|(id, _)| id.route == route.name);
    let mut due: Vec<(Timestamp, GroupId, Due)> = groups
        .filter_map(|(id, group)| {
            let fires = view.groups.get(id).unwrap_or(&none);
            Some((group.begun, id.clone(), group.due(now, fires, view, memory, route)?))
        })
        .collect();
    due.sort_by_key(|(begun, _, due)| (std::cmp::Reverse(due.news), *begun));
    due.into_iter().map(|(_, id, due)| (id, due)).collect()
}

/// Remembers what is due and is not told now.
fn hold(
    now: Timestamp,
    due: &[(GroupId, Due)],
    view: &View<'_>,
    route: &Route,
    memory: &mut Memory,
    reason: &HoldReason,
) {
    let none = std::collections::BTreeSet::new();
    for (id, _) in due {
        let fires = view.groups.get(id).unwrap_or(&none);
        let Some(group) = memory.groups.get(id) else { continue };
        let new: Vec<_> = group.new_alerts(fires, view).copied().collect();
        for fingerprint in new {
            if let Some(alert) = view.firing.get(&fingerprint) {
                memory.hold(&route.name, fingerprint, || memory::held(now, alert, reason.clone()));
            }
        }
    }
}

/// A silence that is about to end while it keeps something silent.
fn silence_ends(now: Timestamp, view: &View<'_>, policy: &Policy, memory: &mut Memory) -> Option<Notification> {
    let ending = memory.silences.values().find(|kept| {
        let silence = &kept.silence;
        // One that is shorter than the notice is told of at its half.
        let notice = policy.notify.silence_notice.min((silence.until - silence.from) / 2);
        !kept.end_told
            && silence.is_active(now)
            && silence.until - now <= notice
            && view.firing.values().any(|alert| silence.covers(&alert.labels))
    })?;
    let silence = ending.silence.clone();
    memory.silences.get_mut(&silence.id)?.end_told = true;
    let route = policy.notify.routes.last()?;
    let fires = view.firing.iter().filter(|(_, alert)| silence.covers(&alert.labels));
    let items = fires.filter_map(|(id, _)| view.item(id, memory, now)).collect::<Vec<_>>();
    let owner = silence.owner.clone();
    let mut n = write::empty(now, Kind::SilenceEnds { silence }, GroupKey::new(None, GroupKey::SEVERAL), route, memory);
    // Who answers for it is asked first, where an address was given.
    if owner.parse::<lettre::Address>().is_ok() && !n.recipients.contains(&owner) {
        n.recipients.push(owner);
    }
    write::fill(&mut n, items, 0);
    Some(n)
}

/// The mail that shows that mails arrive. The first one comes at its time, not at the first start.
fn heartbeat(now: Timestamp, policy: &Policy, memory: &mut Memory) -> Option<Notification> {
    let due = last_due(policy.notify.heartbeat.as_ref()?, now)?;
    let before = memory.head.heartbeat.replace(due);
    if before.is_none_or(|before| before >= due) {
        return None;
    }
    let route = policy.notify.routes.last()?;
    Some(write::empty(now, Kind::Heartbeat, GroupKey::new(None, "heartbeat"), route, memory))
}
