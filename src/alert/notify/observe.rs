//! What changed since the last look? Which groups begin to wait, what of them is
//! over, and which words of people have lost their object.

use chrono::TimeDelta;

use super::flap;
use super::group::Group;
use super::memory::Memory;
use super::mute::{self, Seen, View, view};
use super::policy::Policy;
use super::runs;
use crate::model::alerting::{Alert, AlertState, Fingerprint, Item};
use crate::model::unit::Timestamp;

/// Ended silences are listed for so long.
const SILENCES_LISTED: TimeDelta = TimeDelta::days(1);

/// Alerts of a group that are remembered with all that is said when they are over.
const KNOWN: usize = 40;

/// Takes a look at what fires. The view is what [`step`](super::step()) decides from.
pub fn observe<'a>(now: Timestamp, seen: &Seen<'a>, policy: &Policy, memory: &mut Memory) -> View<'a> {
    memory.not_after(now);
    flap::observe(now, seen, &policy.notify, memory);
    memory.silences.retain(|_, kept| now - kept.silence.until < SILENCES_LISTED);
    let view = view(now, seen, policy, memory);
    for (id, fires) in &view.groups {
        if !memory.groups.contains_key(id) && fires.iter().any(|fingerprint| view.is_heard(fingerprint)) {
            memory.groups.insert(id.clone(), Group::new(now));
        }
    }
    runs::observe(now, &view, memory);
    end(now, seen, &view, memory);
    forget(now, &view, memory);
    view
}

/// Notes what was told and is over, with who worked on it, while that is still known.
fn end(now: Timestamp, seen: &Seen<'_>, view: &View<'_>, memory: &mut Memory) {
    let mut groups = std::mem::take(&mut memory.groups);
    for group in groups.values_mut() {
        group.ended.retain(|fingerprint, _| !view.firing.contains_key(fingerprint));
        let gone = |fingerprint: &&Fingerprint| {
            !view.firing.contains_key(*fingerprint)
                && !group.ended.contains_key(*fingerprint)
                && !flap::is_flapping(memory, fingerprint)
        };
        let gone: Vec<Fingerprint> = group.told.keys().filter(gone).copied().collect();
        for fingerprint in gone {
            let resolved = seen.verdict.resolved.iter().find(|alert| alert.fingerprint() == fingerprint).cloned();
            let known = group.known.get(&fingerprint).map(|item| over(&item.alert, now));
            if let Some(alert) = resolved.or(known)
                && group.ended.len() < KNOWN
            {
                group.ended.insert(fingerprint, short(mute::item(alert, &fingerprint, memory, now)));
            }
        }
    }
    memory.groups = groups;
}

/// What nobody needs to remember.
fn forget(now: Timestamp, view: &View<'_>, memory: &mut Memory) {
    // What began and ended before anybody was told.
    memory.groups.retain(|id, group| {
        let fires = view.groups.get(id);
        let heard = fires.is_some_and(|fires| fires.iter().any(|fingerprint| view.is_heard(fingerprint)));
        !group.told.is_empty() || heard
    });
    for acked in memory.acks.values_mut() {
        let flaps = |fingerprint: &Fingerprint| memory.flaps.get(fingerprint).is_some_and(|flap| flap.flapping);
        acked.alerts.retain(|fingerprint| view.firing.contains_key(fingerprint) || flaps(fingerprint));
    }
    memory.acks.retain(|_, acked| !acked.alerts.is_empty() && acked.ack.is_active(now));
}

/// The gravest of these, as far as they are remembered in full.
pub(super) fn known(view: &View<'_>, told: impl Iterator<Item = Fingerprint>) -> Vec<(Fingerprint, Item)> {
    let mut alerts: Vec<_> = told.filter_map(|id| Some((id, *view.firing.get(&id)?))).collect();
    alerts.sort_by_key(|(_, alert)| std::cmp::Reverse(alert.severity));
    alerts.truncate(KNOWN);
    alerts.into_iter().map(|(id, alert)| (id, short(Item::new(alert.clone())))).collect()
}

/// What must be known of an alert to say later that it is over.
fn short(mut item: Item) -> Item {
    item.alert.annotations.description.clear();
    item
}

/// An alert that is gone without a word, such as one whose rule was taken out.
pub(super) fn over(alert: &Alert, now: Timestamp) -> Alert {
    let fired_at = match alert.state {
        AlertState::Firing { fired_at } | AlertState::Resolved { fired_at, .. } => fired_at,
        AlertState::Pending => alert.active_since,
    };
    Alert { state: AlertState::Resolved { fired_at, resolved_at: now, ended_by: None }, ..alert.clone() }
}
