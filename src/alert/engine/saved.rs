//! What of an alert survives a restart? Who it is and since when; its texts and
//! values are made again.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::alert::rules::RuleName;
use crate::model::alerting::{Labels, Number};
use crate::model::unit::Timestamp;
use crate::store::{Key, MAX_VALUE, State, StoreError};

use super::active::{Active, Phase};
use super::moment;

/// Where alerts are in the store.
pub const PREFIX: &str = "alert/state/";

/// Enough that ten thousand alerts fit below the limit of a value.
const SHARDS: u64 = 64;

/// After an outage longer than this, a condition that was pending counts as new: nobody knows what was between.
const LONGEST_OUTAGE: TimeDelta = TimeDelta::hours(1);

/// One alert, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    group: String,
    rule: String,
    labels: Labels,
    peak: Number,
    active_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fired_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kept_since: Option<Timestamp>,
    /// For a pending alert: the newest moment at which its condition held, to about a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held_until: Option<Timestamp>,
}

impl Saved {
    pub(super) fn of(rule: &RuleName, alert: &Active, now: Timestamp) -> Option<Self> {
        let (fired_at, kept_since, held_until) = match alert.phase {
            // Whole minutes: else it would be written again at every poll.
            Phase::Pending => (None, None, moment(now.timestamp() / 60 * 60_000).into()),
            Phase::Firing { fired_at, kept_since } => (Some(moment(fired_at)), kept_since.map(moment), None),
            Phase::Resolved { .. } => return None,
        };
        Some(Self {
            group: rule.group.clone(),
            rule: rule.rule.clone(),
            labels: alert.labels.clone(),
            peak: Number(alert.peak),
            active_at: moment(alert.active_at),
            fired_at,
            kept_since,
            held_until,
        })
    }

    pub(super) fn is_of(&self, rule: &RuleName) -> bool {
        self.group == rule.group && self.rule == rule.rule
    }

    /// The alert as it goes on. A condition counts as held only as long as somebody looked.
    pub(super) fn restored(&self, now: Timestamp) -> Active {
        let ms = |at: Timestamp| at.timestamp_millis();
        let phase = match self.fired_at {
            Some(fired_at) => Phase::Firing { fired_at: ms(fired_at), kept_since: self.kept_since.map(ms) },
            None => Phase::Pending,
        };
        let active_at = match self.held_until {
            Some(until) => {
                let until = until.max(self.active_at);
                let outage = (now - until).max(TimeDelta::zero());
                if outage > LONGEST_OUTAGE { now } else { self.active_at + outage }
            }
            None => self.active_at,
        };
        Active {
            labels: self.labels.clone(),
            annotations: None,
            value: self.peak.0,
            peak: self.peak.0,
            active_at: ms(active_at),
            phase,
        }
    }

    fn shard(&self) -> u64 {
        crate::model::alerting::Fingerprint::of(&self.labels).0 % SHARDS
    }
}

/// The entries of the store that hold these alerts, and how many did not fit. Alerts that fire come first.
///
/// # Errors
/// A key that the store refuses, which is a bug.
pub(in crate::alert) fn entries(saved: &[Saved]) -> Result<(BTreeMap<Key, Vec<u8>>, usize), StoreError> {
    let mut shards: BTreeMap<u64, Vec<&Saved>> = BTreeMap::new();
    for alert in saved {
        shards.entry(alert.shard()).or_default().push(alert);
    }
    let (mut entries, mut left_out) = (BTreeMap::new(), 0);
    for (number, mut alerts) in shards {
        alerts.sort_by_key(|alert| alert.fired_at.is_none());
        let mut bytes = b"[".to_vec();
        for alert in alerts {
            let json = serde_json::to_vec(alert).unwrap_or_default();
            if bytes.len() + json.len() + 2 > MAX_VALUE {
                left_out += 1;
                continue;
            }
            if bytes.len() > 1 {
                bytes.push(b',');
            }
            bytes.extend(json);
        }
        bytes.push(b']');
        entries.insert(Key::new(&format!("{PREFIX}{number:02}"))?, bytes);
    }
    Ok((entries, left_out))
}

/// What the last life left behind, and the keys of what cannot be read.
pub fn load(state: &State) -> (Vec<Saved>, Vec<Key>) {
    let (mut saved, mut unreadable) = (Vec::new(), Vec::new());
    for (key, bytes) in state.entries.iter().filter(|(key, _)| key.as_str().starts_with(PREFIX)) {
        match serde_json::from_slice::<Vec<Saved>>(bytes) {
            Ok(alerts) => saved.extend(alerts),
            Err(_) => unreadable.push(key.clone()),
        }
    }
    (saved, unreadable)
}
