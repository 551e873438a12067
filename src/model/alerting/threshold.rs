//! Which numbers of the alert rules may a site choose?

use std::fmt;

/// What a threshold is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// A part of a whole, 0 to 1.
    Ratio,
    /// A plain number.
    Number,
    /// A time; its value is in seconds.
    Time,
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ratio => "a number between 0 and 1",
            Self::Number => "a number above 0",
            Self::Time => "a time with its unit",
        })
    }
}

/// A number that alert rules compare with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// Its name in the configuration.
    pub key: &'static str,
    /// What it is measured in.
    pub measure: Measure,
    /// What the shipped rules say.
    pub default: f64,
}

const MINUTE: f64 = 60.0;
const HOUR: f64 = 3600.0;
const DAY: f64 = 86_400.0;

const fn ratio(key: &'static str, default: f64) -> Threshold {
    Threshold { key, measure: Measure::Ratio, default }
}

const fn number(key: &'static str, default: f64) -> Threshold {
    Threshold { key, measure: Measure::Number, default }
}

const fn time(key: &'static str, default: f64) -> Threshold {
    Threshold { key, measure: Measure::Time, default }
}

/// Every threshold, in the order of the example configuration.
pub const THRESHOLDS: &[Threshold] = &[
    number("collector_stale", 4.0),
    ratio("collector_slow", 0.8),
    number("mdm_primary_changes", 3.0),
    number("sds_disconnections", 3.0),
    time("protected_maintenance", 4.0 * HOUR),
    time("instant_maintenance", 30.0 * MINUTE),
    ratio("pool_high", 0.8),
    ratio("pool_critical", 0.9),
    ratio("pool_forecast_from", 0.5),
    number("pool_overcommit", 3.0),
    number("fault_sets_differ", 1.25),
    time("rebuild_time", 12.0 * HOUR),
    time("device_latency", 0.02),
    number("device_times_median", 4.0),
    number("device_read_errors", 10.0),
    time("volume_latency", 0.05),
    number("volume_operations", 10.0),
    time("slo_latency", 0.005),
    ratio("slo_slow_share", 0.001),
    time("unusual_latency", 0.002),
    ratio("sdcs_disconnected", 0.1),
    number("sdcs_disconnected_least", 3.0),
    ratio("journal_full", 0.8),
    time("certificate_soon", 30.0 * DAY),
    time("certificate_now", 3.0 * DAY),
    time("sds_certificate", 30.0 * DAY),
    time("license", 30.0 * DAY),
];

impl Threshold {
    /// The threshold of a name.
    pub fn named(key: &str) -> Option<&'static Self> {
        THRESHOLDS.iter().find(|threshold| threshold.key == key)
    }

    /// Whether a value can be meant.
    pub fn takes(&self, value: f64) -> bool {
        value.is_finite() && value > 0.0 && (self.measure != Measure::Ratio || value <= 1.0)
    }
}
