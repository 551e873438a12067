//! Does an alert come and go? Then one mail says so, and no more is told of it
//! until it has been stable for a while.

use serde::{Deserialize, Serialize};

use super::inhibit;
use super::memory::Memory;
use super::mute::Seen;
use crate::config::Notify;
use crate::model::alerting::Fingerprint;
use crate::model::unit::Timestamp;

/// Alerts of which changes are counted; a storm of alerts that flap is a storm.
const MOST: usize = 1_000;

/// Changes that are remembered of one alert.
const CHANGES: usize = 100;

/// How an alert changed lately.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Flap {
    /// When it began to fire or ended, the oldest first.
    pub changes: Vec<Timestamp>,
    /// Whether it comes and goes.
    pub flapping: bool,
    /// Whether that was told.
    pub told: bool,
}

/// Whether it comes and goes.
pub(super) fn is_flapping(memory: &Memory, fingerprint: &Fingerprint) -> bool {
    memory.flaps.get(fingerprint).is_some_and(|flap| flap.flapping)
}

/// Takes the changes since the last look into account. What is calm again is told like something new.
pub(super) fn observe(now: Timestamp, seen: &Seen<'_>, notify: &Notify, memory: &mut Memory) {
    let firing: std::collections::BTreeSet<Fingerprint> =
        seen.verdict.set.alerts.iter().filter(|(_, alert)| alert.is_firing()).map(|(id, _)| *id).collect();
    let before = memory.before.take();
    // After a restart nobody knows what changed in between.
    let changed: Vec<Fingerprint> =
        before.iter().flat_map(|before| before.symmetric_difference(&firing)).copied().collect();
    for fingerprint in changed {
        let sacred = seen.verdict.set.alerts.get(&fingerprint).is_some_and(inhibit::is_sacred);
        if sacred || (memory.flaps.len() >= MOST && !memory.flaps.contains_key(&fingerprint)) {
            continue;
        }
        let flap = memory.flaps.entry(fingerprint).or_default();
        flap.changes.push(now);
        if flap.changes.len() > CHANGES {
            flap.changes.remove(0);
        }
        let lately = flap.changes.iter().filter(|at| now - **at <= notify.flap_window).count();
        flap.flapping |= u32::try_from(lately).is_ok_and(|lately| lately >= notify.flap_changes);
    }
    let mut calm = Vec::new();
    memory.flaps.retain(|fingerprint, flap| {
        let stays = flap.changes.last().is_some_and(|last| now - *last < notify.flap_window);
        if !stays && flap.flapping {
            calm.push(*fingerprint);
        }
        stays
    });
    for fingerprint in calm.iter().filter(|fingerprint| firing.contains(fingerprint)) {
        // It was told to come and go; that it fires for good is news.
        for group in memory.groups.values_mut() {
            group.told.remove(fingerprint);
        }
    }
    memory.before = Some(firing);
}
