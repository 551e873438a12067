//! What is due of one group of alerts?
//!
//! ```text
//!                 wait                     interval          nothing left
//!   (none) -> waiting -> Firing -> Update, Reminder, Escalation -> Resolved -> (none)
//! ```

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::flap;
use super::memory::Memory;
use super::mute::View;
use crate::config::Route;
use crate::model::alerting::{Fingerprint, Item, MessageId, Severity};
use crate::model::unit::Timestamp;

/// A thread that is older is not continued: readers have put it away.
const THREAD_AGE: TimeDelta = TimeDelta::days(7);

/// A group of alerts that is being told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// When its first alert was seen to be news.
    pub begun: Timestamp,
    /// The thread; none before the first mail.
    pub thread: Option<Begun>,
    /// Alerts that were told and are not told to be over, with the time of that.
    #[serde(with = "told")]
    pub told: BTreeMap<Fingerprint, Timestamp>,
    /// Some of those, with what must be known to say that they are over.
    pub known: BTreeMap<Fingerprint, Item>,
    /// What is over and not yet told to be.
    pub ended: BTreeMap<Fingerprint, Item>,
    /// Since when further people are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalated: Option<Timestamp>,
}

/// Mails that were made of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// The first one.
    pub root: MessageId,
    /// The newest one.
    pub last: MessageId,
    /// When the first one was made.
    pub since: Timestamp,
    /// When the newest one was made.
    pub at: Timestamp,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Firing,
    Update,
    Resolved,
    Reminder,
    Escalation,
    Flapping,
}

/// What is due, and how grave the news in it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) what: What,
    pub(super) news: Severity,
}

impl Group {
    /// One of which nothing was told yet.
    pub fn new(now: Timestamp) -> Self {
        Self {
            begun: now,
            thread: None,
            told: BTreeMap::new(),
            known: BTreeMap::new(),
            ended: BTreeMap::new(),
            escalated: None,
        }
    }

    /// Whether a mail was made of it.
    pub const fn was_told(&self) -> bool {
        self.thread.is_some()
    }

    /// The thread that goes on, unless it is too old.
    pub(super) fn open_thread(&self, now: Timestamp) -> Option<&Begun> {
        self.thread.as_ref().filter(|thread| now - thread.since < THREAD_AGE)
    }

    /// What came since the last mail.
    pub(super) fn new_alerts<'a>(
        &'a self,
        fires: &'a BTreeSet<Fingerprint>,
        view: &'a View<'_>,
    ) -> impl Iterator<Item = &'a Fingerprint> {
        fires.iter().filter(|fingerprint| view.is_heard(fingerprint) && !self.told.contains_key(*fingerprint))
    }

    /// What was told and is over.
    fn gone<'a>(
        &'a self,
        fires: &'a BTreeSet<Fingerprint>,
        memory: &'a Memory,
    ) -> impl Iterator<Item = &'a Fingerprint> {
        let over =
            |fingerprint: &&Fingerprint| !fires.contains(*fingerprint) && !flap::is_flapping(memory, fingerprint);
        self.told.keys().filter(over)
    }

    pub(super) fn due(
        &self,
        now: Timestamp,
        fires: &BTreeSet<Fingerprint>,
        view: &View<'_>,
        memory: &Memory,
        route: &Route,
    ) -> Option<Due> {
        let gravity = |fingerprint: &Fingerprint| {
            let known = || self.known.get(fingerprint).or_else(|| self.ended.get(fingerprint));
            let alert = view.firing.get(fingerprint).copied().or_else(|| known().map(|item| &item.alert));
            alert.map_or(Severity::Critical, |alert| alert.severity)
        };
        let news = |what, severity| Some(Due { what, news: severity });
        if let Some(severity) = self.flapping(fires, memory).map(gravity).max() {
            return news(What::Flapping, severity);
        }
        let new = self.new_alerts(fires, view).map(gravity).max();
        let Some(thread) = &self.thread else {
            return if now - self.begun >= route.wait { news(What::Firing, new?) } else { None };
        };
        let gone = self.gone(fires, memory).map(gravity).max();
        let since = now - thread.at;
        if let Some(severity) = new.max(gone)
            && since >= route.interval
        {
            let stays = self.told.keys().any(|id| fires.contains(id) || flap::is_flapping(memory, id));
            return news(if stays || new.is_some() { What::Update } else { What::Resolved }, severity);
        }
        let open = || {
            let alerts = self.told.iter().filter(|(id, _)| view.is_heard(id) && fires.contains(id));
            alerts.filter(|(id, _)| memory.acknowledged(id, now).is_none()).map(|(id, at)| (gravity(id), *at))
        };
        if let (Some(escalate), None) = (&route.escalate, self.escalated)
            && open().any(|(severity, at)| severity == Severity::Critical && now - at >= escalate.after)
        {
            return news(What::Escalation, Severity::Critical);
        }
        let repeat = match open().map(|(severity, _)| severity).max()? {
            severity @ Severity::Critical => (severity, route.repeat_critical),
            severity @ Severity::Warning => (severity, route.repeat),
            // Nobody is reminded of what can wait.
            Severity::Info => return None,
        };
        if since >= repeat.1 { news(What::Reminder, repeat.0) } else { None }
    }

    /// What comes and goes without that being told.
    pub(super) fn flapping<'a>(
        &'a self,
        fires: &'a BTreeSet<Fingerprint>,
        memory: &'a Memory,
    ) -> impl Iterator<Item = &'a Fingerprint> {
        let ids = fires.iter().chain(self.told.keys().filter(|id| !fires.contains(id)));
        ids.filter(|id| memory.flaps.get(id).is_some_and(|flap| flap.flapping && !flap.told))
    }
}

/// Moments as seconds: they are many, and the store is small.
mod told {
    use std::collections::BTreeMap;

    use chrono::DateTime;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::model::alerting::Fingerprint;
    use crate::model::unit::Timestamp;

    pub(super) fn serialize<S: Serializer>(
        told: &BTreeMap<Fingerprint, Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(told.iter().map(|(id, at)| (id, at.timestamp())))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Fingerprint, Timestamp>, D::Error> {
        let seconds = BTreeMap::<Fingerprint, i64>::deserialize(deserializer)?;
        Ok(seconds.into_iter().filter_map(|(id, at)| Some((id, DateTime::from_timestamp(at, 0)?))).collect())
    }
}
