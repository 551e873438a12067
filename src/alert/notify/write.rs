//! What does a notification hold? Everything that a mail of it says, but for
//! what only pictures of the systems know.

use super::group::{Due, What};
use super::memory::Memory;
use super::mute::View;
use super::observe::over;
use super::policy::Policy;
use super::route::GroupId;
use crate::config::Route;
use crate::model::alerting::{Fingerprint, GroupKey, Item, Kind, MessageId, Notification, NotificationId, Thread};
use crate::model::unit::Timestamp;

/// Alerts in one notification; of more, their number is told.
const ITEMS: usize = 200;

/// A notification without its alerts.
pub(super) fn empty(now: Timestamp, kind: Kind, group: GroupKey, route: &Route, memory: &mut Memory) -> Notification {
    memory.head.serial += 1;
    let id = NotificationId::new(now, memory.head.serial);
    Notification {
        route: route.name.clone(),
        recipients: route.recipients.clone(),
        ..Notification::new(id, now, kind, group)
    }
}

/// Puts alerts into a notification, the gravest first, and says how many more there are.
pub(super) fn fill(n: &mut Notification, mut items: Vec<Item>, untold: usize) {
    items.sort_by_key(|item| {
        let alert = &item.alert;
        (alert.is_resolved(), std::cmp::Reverse(alert.severity), alert.active_since, alert.name.clone())
    });
    let more = items.len().saturating_sub(ITEMS);
    items.truncate(ITEMS);
    n.items = items;
    if more > 0 {
        n.left_out.push(format!("{more} more alerts are not listed; /api/v1/alerts has all of them."));
    }
    if untold > 0 {
        n.left_out.push(format!("{untold} more alerts are over, of which no more is known."));
    }
}

/// Tells of one group, and remembers that.
pub(super) fn tell(
    now: Timestamp,
    id: &GroupId,
    due: Due,
    view: &View<'_>,
    policy: &Policy,
    route: &Route,
    memory: &mut Memory,
) -> Option<Notification> {
    let (items, untold) = news(now, id, due, view, memory);
    let kind = kind(now, id, due, route, memory);
    let mut n = empty(now, kind, id.key.clone(), route, memory);
    let group = memory.groups.get_mut(id)?;
    if due.what == What::Escalation {
        group.escalated = Some(now);
    }
    if group.escalated.is_some() {
        further(&mut n.recipients, route);
    }
    let message = MessageId::of(&n.id, &policy.domain);
    if let Some(thread) = group.open_thread(now) {
        n.thread = Thread::Reply { root: thread.root.clone(), last: thread.last.clone() };
    }
    remember(now, id, due, view, memory, &n.thread, &message, true);
    fill(&mut n, items, untold);
    lately(&mut n, view, route, memory);
    Some(n)
}

/// Those who are told of what nobody acknowledges.
pub(super) fn further(recipients: &mut Vec<String>, route: &Route) {
    let more = route.escalate.iter().flat_map(|escalate| &escalate.recipients);
    for address in more {
        if !recipients.contains(address) {
            recipients.push(address.clone());
        }
    }
}

fn kind(now: Timestamp, id: &GroupId, due: Due, route: &Route, memory: &Memory) -> Kind {
    match due.what {
        What::Firing => Kind::Firing,
        What::Update => Kind::Update,
        What::Resolved => Kind::Resolved,
        What::Reminder => Kind::Reminder,
        What::Escalation => {
            let since = memory.groups.get(id).and_then(|group| group.told.values().min()).copied();
            Kind::Escalation { told: route.recipients.clone(), since: since.unwrap_or(now) }
        }
        What::Flapping => {
            let flaps = memory.flaps.values().filter(|flap| flap.flapping && !flap.told);
            let busiest = flaps.max_by_key(|flap| flap.changes.len());
            let changes = busiest.map_or(0, |flap| u32::try_from(flap.changes.len()).unwrap_or(u32::MAX));
            let since = busiest.and_then(|flap| flap.changes.first()).copied().unwrap_or(now);
            Kind::Flapping { changes, since }
        }
    }
}

/// The alerts that are told of, and how many are over of which nothing else is known.
pub(super) fn news(now: Timestamp, id: &GroupId, due: Due, view: &View<'_>, memory: &Memory) -> (Vec<Item>, usize) {
    let Some(group) = memory.groups.get(id) else { return (Vec::new(), 0) };
    let none = std::collections::BTreeSet::new();
    let fires = view.groups.get(id).unwrap_or(&none);
    if due.what == What::Flapping {
        let known =
            |id: &Fingerprint| group.known.get(id).map(|item| Item { alert: over(&item.alert, now), ..item.clone() });
        let past = |id: &Fingerprint| group.ended.get(id).cloned().or_else(|| known(id));
        let items = group.flapping(fires, memory).filter_map(|id| view.item(id, memory, now).or_else(|| past(id)));
        return (items.collect(), 0);
    }
    let told = |fingerprint: &&Fingerprint| view.is_heard(fingerprint) || group.told.contains_key(*fingerprint);
    let mut items: Vec<Item> = fires.iter().filter(told).filter_map(|id| view.item(id, memory, now)).collect();
    items.extend(group.ended.values().cloned());
    let over = |fingerprint: &&Fingerprint| {
        let flaps = memory.flaps.get(fingerprint).is_some_and(|flap| flap.flapping);
        !view.firing.contains_key(*fingerprint) && !group.ended.contains_key(*fingerprint) && !flaps
    };
    (items, group.told.keys().filter(over).count())
}

/// Notes that a group was told. `full`: with what must be known to say that it is over.
#[allow(clippy::too_many_arguments)]
pub(super) fn remember(
    now: Timestamp,
    id: &GroupId,
    due: Due,
    view: &View<'_>,
    memory: &mut Memory,
    thread: &Thread,
    message: &MessageId,
    full: bool,
) {
    let none = std::collections::BTreeSet::new();
    let fires = view.groups.get(id).unwrap_or(&none);
    let Some(mut group) = memory.groups.remove(id) else { return };
    let whole = chrono::SubsecRound::trunc_subsecs(now, 0);
    let flapping: Vec<Fingerprint> = group.flapping(fires, memory).copied().collect();
    if due.what == What::Flapping {
        group.told.extend(flapping.iter().map(|id| (*id, whole)));
        for fingerprint in &flapping {
            if let Some(flap) = memory.flaps.get_mut(fingerprint) {
                flap.told = true;
            }
            if let Some(item) = view.item(fingerprint, memory, now) {
                group.known.insert(*fingerprint, item);
            }
        }
    } else {
        let flaps = |fingerprint: &Fingerprint| memory.flaps.get(fingerprint).is_some_and(|flap| flap.flapping);
        group.told.retain(|fingerprint, _| fires.contains(fingerprint) || flaps(fingerprint));
        for fingerprint in fires.iter().filter(|fingerprint| view.is_heard(fingerprint)) {
            group.told.entry(*fingerprint).or_insert(whole);
        }
        group.ended.clear();
    }
    let told = &group.told;
    group.known.retain(|fingerprint, _| told.contains_key(fingerprint) && !view.firing.contains_key(fingerprint));
    if full {
        group.known.extend(super::observe::known(view, group.told.keys().copied()));
    }
    let (root, since) = match (&group.thread, thread) {
        (Some(begun), Thread::Reply { root, .. }) => (root.clone(), begun.since),
        (None, Thread::Reply { root, .. }) => (root.clone(), now),
        (_, Thread::Root) => (message.clone(), now),
    };
    group.thread = Some(super::group::Begun { root, last: message.clone(), since, at: now });
    let busy = memory.busy(&id.route);
    for fingerprint in group.told.keys() {
        busy.held.remove(fingerprint);
    }
    memory.groups.insert(id.clone(), group);
}

/// What was held back and is over: it goes with the next mail of its route.
pub(super) fn lately(n: &mut Notification, view: &View<'_>, route: &Route, memory: &mut Memory) {
    const LISTED: usize = 50;
    let busy = memory.busy(&route.name);
    let over: Vec<Fingerprint> = busy.held.keys().filter(|id| !view.firing.contains_key(id)).copied().collect();
    for fingerprint in over.iter().take(LISTED) {
        n.held.extend(busy.held.remove(fingerprint));
    }
    if std::mem::take(&mut busy.more) {
        n.left_out.push("More alerts were held back than are listed.".to_owned());
    }
}
