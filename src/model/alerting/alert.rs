//! What an alert is, and which ones there are at a moment.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Number;
use crate::model::id::SystemId;
use crate::model::unit::Timestamp;

/// Labels by name. The name of the alert and its severity are among them, as in Prometheus.
pub type Labels = BTreeMap<String, String>;

/// How bad it is. The order is the order of gravity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Look when convenient.
    Info,
    /// Somebody, today.
    Warning,
    /// A person, now.
    Critical,
}

impl Severity {
    /// Every severity, the gravest first.
    pub const ALL: [Self; 3] = [Self::Critical, Self::Warning, Self::Info];

    /// Its name in labels and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which alert, over restarts and controllers: a hash of its labels, the same
/// as Prometheus' and Alertmanager's, so that their pages and ours name the same thing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// FNV-1a over each name and value, each followed by a byte that no UTF-8 text holds.
    pub fn of(labels: &Labels) -> Self {
        const OFFSET: u64 = 14_695_981_039_346_656_037;
        const PRIME: u64 = 1_099_511_628_211;
        let bytes = labels.iter().flat_map(|(name, value)| {
            name.bytes().chain(std::iter::once(255)).chain(value.bytes()).chain(std::iter::once(255))
        });
        Self(bytes.fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME)))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16)
            .map(Self)
            .map_err(|_| serde::de::Error::custom(format_args!("{text:?} is no fingerprint of an alert")))
    }
}

/// One alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Name of the rule, such as `ScaleioSdsDisconnected`, or the MDM's word for its own alert.
    pub name: String,
    /// The system it speaks of; none for the controller itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<SystemId>,
    /// The group of its rule, such as `sds`: what is told together.
    pub area: String,
    /// How bad it is.
    pub severity: Severity,
    /// What makes it different from others of its name.
    pub labels: Labels,
    /// What people read.
    pub annotations: Annotations,
    /// What was measured; none for an alert that is no measurement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<Reading>,
    /// Since when its condition holds.
    pub active_since: Timestamp,
    /// Where it stands.
    pub state: AlertState,
    /// Who says so.
    pub source: Source,
}

impl Alert {
    /// Which alert this is, whatever its state.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.labels)
    }

    /// Whether it fires now.
    pub const fn is_firing(&self) -> bool {
        matches!(self.state, AlertState::Firing { .. })
    }

    /// Whether it fired and is over.
    pub const fn is_resolved(&self) -> bool {
        matches!(self.state, AlertState::Resolved { .. })
    }
}

/// The texts of an alert, with its templates filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotations {
    /// What and where, in one line.
    pub summary: String,
    /// What it means and what to do first.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The page to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook_url: Option<String>,
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The newest value.
    pub value: Number,
    /// The worst value since the alert became active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak: Option<Number>,
    /// The value beyond which the rule fires, when the rule has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Number>,
    /// What it counts.
    pub unit: Unit,
}

/// What a value counts, for people to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A plain number, or a unit that is not known.
    Plain,
    /// An amount of data.
    Bytes,
    /// A transfer rate.
    BytesPerSecond,
    /// Operations or events in a second.
    PerSecond,
    /// A span of time, in seconds.
    Seconds,
    /// A part of a whole, 0 to 1.
    Ratio,
    /// A moment, in seconds since 1970.
    UnixTime,
}

/// Where an alert stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum AlertState {
    /// Its condition holds, but not for long enough yet. Nobody is told.
    Pending,
    /// People are told.
    Firing {
        /// Since when.
        fired_at: Timestamp,
    },
    /// It fired, and its condition holds no more.
    Resolved {
        /// Since when it fired.
        fired_at: Timestamp,
        /// Since when it is over.
        resolved_at: Timestamp,
        /// What ended it, when that is known: "rebuild finished", "the series vanished".
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ended_by: Option<String>,
    },
}

/// Who says that something is wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "snake_case")]
pub enum Source {
    /// One of our rules.
    Rule,
    /// The MDM, by an alert or event of its own.
    Mdm {
        /// The text of the vendor.
        text: String,
        /// What the vendor says to do, when it says something.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        repair: Option<String>,
    },
}

/// Every alert that is pending or firing, and what that is judged from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FiringSet {
    /// When it was judged.
    pub at: Timestamp,
    /// The number of the snapshot of each system that was read. A gate that
    /// reads another snapshot must not rely on this set.
    pub based_on: BTreeMap<SystemId, u64>,
    /// The alerts.
    pub alerts: BTreeMap<Fingerprint, Alert>,
}

impl FiringSet {
    /// The alerts of a system that fire, pending ones left out.
    pub fn firing(&self, system: &SystemId) -> impl Iterator<Item = &Alert> {
        self.alerts.values().filter(move |alert| alert.is_firing() && alert.system.as_ref() == Some(system))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_the_one_of_prometheus() {
        // The values of prometheus/common, model/metric_test.go.
        assert_eq!(Fingerprint::of(&Labels::new()).to_string(), "cbf29ce484222325");
        let labels = [("name", "garland, briggs"), ("fear", "love is not enough")];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(Fingerprint::of(&Labels::from(labels)).0, 5_799_056_148_416_392_346);
    }

    #[test]
    fn gravity_is_ordered() {
        assert!(Severity::Critical > Severity::Warning && Severity::Warning > Severity::Info);
        assert!(Severity::ALL.is_sorted_by(|a, b| a > b));
    }
}
