//! What the weekly report says of a system.

use serde::{Deserialize, Serialize};

use super::{Number, Severity, Silence};
use crate::model::unit::Timestamp;

/// Capacity and health over a span, a week as a rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Begin of the span.
    pub from: Timestamp,
    /// End of the span.
    pub to: Timestamp,
    /// Every storage pool, the one that is full first at the top.
    pub pools: Vec<PoolReport>,
    /// Number of alerts that began in the span.
    pub critical: u32,
    /// Number of alerts that began in the span.
    pub warning: u32,
    /// Number of alerts that began in the span.
    pub info: u32,
    /// What was wrong longest.
    pub incidents: Vec<Incident>,
    /// Part of the span in which all data had all its copies; none when it was not seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected: Option<Number>,
    /// Part of the span in which the system answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<Number>,
    /// What was rebuilt in the span; none when it was not seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuild: Option<RebuildReport>,
    /// Silences that are in force, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub silences: Vec<Silence>,
    /// What should be done, in sentences, the most urgent first.
    pub advice: Vec<String>,
}

/// One storage pool over the span.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PoolReport {
    /// Its protection domain and name, such as `pd1/ssd`.
    pub name: String,
    /// Part of its usable capacity that is in use.
    pub used: Number,
    /// What is in use, in bytes.
    pub used_bytes: Number,
    /// What can be used, in bytes.
    pub usable_bytes: Number,
    /// Bytes that came in over the span; below zero when it shrank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growth_bytes: Option<Number>,
    /// At this growth; none when it does not grow, or not long enough seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days_to_full: Option<Number>,
}

/// Something that was wrong for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// What it was.
    pub summary: String,
    /// How bad.
    pub severity: Severity,
    /// Begin.
    pub from: Timestamp,
    /// End; none while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
}

/// Rebuilds over the span.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RebuildReport {
    /// Seconds in which something was left to rebuild.
    pub seconds: Number,
    /// The most that was left at a moment, in bytes.
    pub most_bytes: Number,
    /// What is left at the end of the span, in bytes.
    pub left_bytes: Number,
}
