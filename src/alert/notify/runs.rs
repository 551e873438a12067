//! What is told when a run is over, and what was it that its steps kept quiet?
//!
//! Alerts that a step explains are told to nobody meanwhile. They are noted here, and go into the one mail at the end of
//! the run. Each run is told once: which was the last one is remembered in the commit that has the mail.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::memory::{self, Memory};
use super::mute::{Mute, View};
use super::policy::Policy;
use super::write;
use crate::model::alerting::{GroupKey, HoldReason, Kind, Notification};
use crate::model::id::SystemId;
use crate::model::lifecycle::RunReport;
use crate::model::unit::Timestamp;

/// The newest run of each system that is over; none: there is none yet.
pub type Over = BTreeMap<SystemId, Option<Arc<RunReport>>>;

/// Alerts of one system that are noted; a mail lists no more.
const NOTED: usize = 100;

/// Notes what the work explains.
pub(super) fn observe(now: Timestamp, view: &View<'_>, memory: &mut Memory) {
    for (fingerprint, mute) in &view.muted {
        let Mute::Explained { why } = mute else { continue };
        let Some((alert, system)) =
            view.firing.get(fingerprint).and_then(|alert| Some((alert, alert.system.as_ref()?)))
        else {
            continue;
        };
        let kept = memory.kept_quiet.entry(system.to_string()).or_default();
        if kept.len() < NOTED && !kept.contains_key(fingerprint) {
            kept.insert(*fingerprint, memory::held(now, alert, HoldReason::Work { what: why.clone() }));
        }
    }
}

/// The mail at the end of a run.
pub(super) fn over(now: Timestamp, over: &Over, policy: &Policy, memory: &mut Memory) -> Option<Notification> {
    for (system, report) in over {
        let run = report.as_ref().map(|report| report.run.to_string()).unwrap_or_default();
        let told = memory.head.runs.insert(system.to_string(), run.clone());
        // What was over before anybody looked for it is no news.
        let Some(report) = report.as_ref().filter(|_| told.is_some_and(|told| told != run)) else { continue };
        let route = policy.notify.routes.last()?;
        let key = GroupKey::new(Some(system.clone()), "work");
        let mut told = write::empty(now, Kind::RunOver(Box::new(RunReport::clone(report))), key, route, memory);
        let kept = memory.kept_quiet.remove(system.as_str()).unwrap_or_default();
        told.held = kept.into_values().collect();
        told.held.sort_by_key(|held| (std::cmp::Reverse(held.severity), held.at));
        return Some(told);
    }
    None
}
