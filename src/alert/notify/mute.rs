//! What fires, and what of it is no news?

use std::collections::{BTreeMap, BTreeSet};

use super::memory::Memory;
use super::policy::Policy;
use super::route::{self, GroupId};
use super::runs::Over;
use super::{flap, inhibit};
use crate::alert::engine::Verdict;
use crate::alert::explain::explained_by;
use crate::model::alerting::{Acknowledgement, Alert, Fingerprint, Item, SilenceId, Underway};
use crate::model::unit::Timestamp;

/// Alerts that people are told of at once, at most: the gravest of all that fire. The memory of them fits into one
/// commit, and nobody reads more.
pub const MOST: usize = 6_000;

/// What a step decides from, besides its memory.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// What fires, and what is over.
    pub verdict: &'a Verdict,
    /// The work that explains alerts.
    pub underway: &'a [Underway],
    /// Runs that are over.
    pub over: &'a Over,
}

/// Why an alert is no news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mute {
    /// People want to hear nothing of it.
    Silenced(Vec<SilenceId>),
    /// Another one says more.
    Inhibited {
        /// Its name.
        by: String,
    },
    /// The work under way explains it.
    Explained {
        /// In a sentence without its end.
        why: String,
    },
    /// It comes and goes, and that was told.
    Flapping,
}

impl Mute {
    /// Its name in metrics and the API.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Silenced(_) => "silenced",
            Self::Inhibited { .. } => "inhibited",
            Self::Explained { .. } => "explained",
            Self::Flapping => "flapping",
        }
    }

    /// By what, in words.
    pub fn by(&self) -> String {
        match self {
            Self::Silenced(ids) => ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            Self::Inhibited { by } => by.clone(),
            Self::Explained { why } => why.clone(),
            Self::Flapping => "it comes and goes".to_owned(),
        }
    }
}

/// What fires at a moment.
#[derive(Debug)]
pub struct View<'a> {
    /// All that fires, up to [`MOST`].
    pub firing: BTreeMap<Fingerprint, &'a Alert>,
    /// What of it is no news.
    pub muted: BTreeMap<Fingerprint, Mute>,
    /// What fires, by group.
    pub groups: BTreeMap<GroupId, BTreeSet<Fingerprint>>,
    /// Alerts beyond [`MOST`].
    pub beyond: usize,
}

/// The view of a moment.
pub fn view<'a>(now: Timestamp, seen: &Seen<'a>, policy: &Policy, memory: &Memory) -> View<'a> {
    let (firing, beyond) = firing(seen);
    let mut muted: BTreeMap<Fingerprint, Mute> = BTreeMap::new();
    let inhibited = inhibit::inhibited(&policy.inhibit, &firing);
    for (fingerprint, alert) in &firing {
        let silenced = memory.silenced(&alert.labels, now);
        let mute = if !silenced.is_empty() {
            Some(Mute::Silenced(silenced))
        } else if let Some(explained) = explained_by(seen.underway, &alert.labels, now) {
            Some(Mute::Explained { why: explained.to_string() })
        } else if let Some(by) = inhibited.get(fingerprint) {
            Some(Mute::Inhibited { by: by.clone() })
        } else {
            flap::is_flapping(memory, fingerprint).then_some(Mute::Flapping)
        };
        muted.extend(mute.map(|mute| (*fingerprint, mute)));
    }
    let known = memory.groups.keys().cloned().collect();
    let groups = route::groups(&policy.notify, firing.iter().map(|(id, alert)| (*id, *alert)), &known);
    View { firing, muted, groups, beyond }
}

fn firing<'a>(seen: &Seen<'a>) -> (BTreeMap<Fingerprint, &'a Alert>, usize) {
    let mut alerts: Vec<_> = seen.verdict.set.alerts.iter().filter(|(_, alert)| alert.is_firing()).collect();
    let beyond = alerts.len().saturating_sub(MOST);
    if beyond > 0 {
        alerts.sort_by_key(|(_, alert)| std::cmp::Reverse(alert.severity));
        alerts.truncate(MOST);
    }
    (alerts.into_iter().map(|(fingerprint, alert)| (*fingerprint, alert)).collect(), beyond)
}

impl View<'_> {
    /// Whether it fires and is news.
    pub fn is_heard(&self, fingerprint: &Fingerprint) -> bool {
        self.firing.contains_key(fingerprint) && !self.muted.contains_key(fingerprint)
    }

    /// An alert that fires, with what people did about it.
    pub fn item(&self, fingerprint: &Fingerprint, memory: &Memory, now: Timestamp) -> Option<Item> {
        let alert = (*self.firing.get(fingerprint)?).clone();
        Some(item(alert, fingerprint, memory, now))
    }
}

/// An alert with what people did about it.
pub(super) fn item(alert: Alert, fingerprint: &Fingerprint, memory: &Memory, now: Timestamp) -> Item {
    let acknowledged: Option<Acknowledgement> = memory.acknowledged(fingerprint, now).cloned();
    let silences = memory.silenced(&alert.labels, now);
    let silences = silences.iter().filter_map(|id| memory.silences.get(id)).map(|kept| kept.silence.clone()).collect();
    Item { acknowledged, silences, ..Item::new(alert) }
}
