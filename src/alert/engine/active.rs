//! Where does one alert stand, and what changes that?

use crate::alert::promql::Bound;
use crate::alert::rules::AlertRule;
use crate::model::alerting::{
    Alert, AlertState, Annotations, Fingerprint, Labels, Number, Reading, Severity, Source, Unit,
};
use crate::model::id::SystemId;

use super::{RESOLVED_MS, Seen, moment};

/// One alert of a rule. Moments are milliseconds since 1970.
#[derive(Clone, Debug)]
pub(super) struct Active {
    pub(super) labels: Labels,
    /// None after a restart, until the rule is evaluated.
    pub(super) annotations: Option<Annotations>,
    pub(super) value: f64,
    pub(super) peak: f64,
    pub(super) active_at: i64,
    pub(super) phase: Phase,
}

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its condition holds, but not for long enough.
    Pending,
    /// It fires.
    Firing {
        fired_at: i64,
        /// Since when only `keep_firing_for` keeps it.
        kept_since: Option<i64>,
    },
    /// It fired, and is over.
    Resolved { fired_at: i64, resolved_at: i64 },
}

impl Active {
    pub(super) fn new(labels: Labels, annotations: Annotations, value: f64, at: i64) -> Self {
        let annotations = Some(annotations);
        Self { labels, annotations, value, peak: value, active_at: at, phase: Phase::Pending }
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.labels)
    }

    /// Its condition holds as before, with a newer value.
    pub(super) fn seen_again(&mut self, new: &Self, bound: Option<&Bound>) {
        self.value = new.value;
        self.annotations.clone_from(&new.annotations);
        let worse = match bound {
            Some(bound) if !bound.above => new.value < self.peak,
            Some(_) | None => new.value > self.peak,
        };
        if worse || self.peak.is_nan() {
            self.peak = new.value;
        }
    }

    /// Takes back what lies after the moment: the clock was wrong, and was set back. A wait begins anew.
    pub(super) fn not_after(&mut self, at: i64) {
        self.active_at = self.active_at.min(at);
        match &mut self.phase {
            Phase::Pending => {}
            Phase::Firing { fired_at, kept_since } => {
                *fired_at = (*fired_at).min(at);
                *kept_since = kept_since.map(|since| since.min(at));
            }
            Phase::Resolved { fired_at, resolved_at } => {
                *fired_at = (*fired_at).min(at);
                *resolved_at = (*resolved_at).min(at);
            }
        }
    }

    /// Moves on at a moment when its condition holds or does not; whether it is still to be known.
    pub(super) fn judge(&mut self, at: i64, holds: bool, rule: &AlertRule) -> bool {
        match (&mut self.phase, holds) {
            (Phase::Pending, false) => return false,
            (Phase::Pending, true) => {
                if at - self.active_at >= rule.hold_ms {
                    self.phase = Phase::Firing { fired_at: at, kept_since: None };
                }
            }
            (Phase::Firing { kept_since, .. }, true) => *kept_since = None,
            (Phase::Firing { fired_at, kept_since }, false) => {
                let since = *kept_since.get_or_insert(at);
                if at - since >= rule.keep_firing_ms {
                    self.phase = Phase::Resolved { fired_at: *fired_at, resolved_at: at };
                }
            }
            (Phase::Resolved { resolved_at, .. }, _) => return at - *resolved_at <= RESOLVED_MS,
        }
        true
    }

    /// As people are told of it.
    pub(super) fn alert(&self, rule: &AlertRule, severity: Severity, seen: &Seen) -> Alert {
        let label = |name: &str| self.labels.get(name).cloned();
        let group = rule.name.group.strip_prefix("scaleio-").unwrap_or(&rule.name.group);
        let system = label("system");
        let vendor = system.clone().zip(label("alert")).and_then(|key| seen.vendor.get(&key));
        let bound = rule.query.bound();
        Alert {
            name: rule.name.rule.clone(),
            system: system.as_deref().map(SystemId::new),
            area: label("area").unwrap_or_else(|| group.to_owned()),
            severity,
            labels: self.labels.clone(),
            annotations: self.annotations.clone().unwrap_or_default(),
            reading: Some(Reading {
                value: Number(self.value),
                peak: Some(Number(self.peak)),
                threshold: bound.as_ref().map(|bound| Number(bound.value)),
                unit: bound.as_ref().and_then(|bound| bound.metric.as_deref()).map_or(Unit::Plain, unit_of),
            }),
            active_since: moment(self.active_at),
            state: match self.phase {
                Phase::Pending => AlertState::Pending,
                Phase::Firing { fired_at, .. } => AlertState::Firing { fired_at: moment(fired_at) },
                Phase::Resolved { fired_at, resolved_at } => AlertState::Resolved {
                    fired_at: moment(fired_at),
                    resolved_at: moment(resolved_at),
                    ended_by: None,
                },
            },
            source: match vendor {
                Some(vendor) => Source::Mdm { text: vendor.text.clone(), repair: vendor.repair.clone() },
                None => Source::Rule,
            },
        }
    }
}

/// The unit that a metric's name ends in.
fn unit_of(metric: &str) -> Unit {
    let endings = [
        ("_timestamp_seconds", Unit::UnixTime),
        ("_bytes_per_second", Unit::BytesPerSecond),
        ("_per_second", Unit::PerSecond),
        ("_bytes", Unit::Bytes),
        ("_seconds", Unit::Seconds),
        ("ratio", Unit::Ratio),
    ];
    endings.into_iter().find(|(ending, _)| metric.ends_with(ending)).map_or(Unit::Plain, |(_, unit)| unit)
}
