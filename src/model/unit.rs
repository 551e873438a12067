//! Quantities. The wire's KiB, GiB and microseconds become these once, where
//! data enters; nothing behind the gateway adapter multiplies by 1024.

use chrono::{DateTime, Utc};
use serde::Serialize;

/// A moment by the wall clock.
pub type Timestamp = DateTime<Utc>;

/// An amount of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Bytes(u64);

impl Bytes {
    /// No data.
    pub const ZERO: Self = Self(0);

    /// That many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// From kibibytes; an absurd amount becomes the largest one.
    pub const fn from_kib(kib: u64) -> Self {
        Self(kib.saturating_mul(1024))
    }

    /// From gibibytes; an absurd amount becomes the largest one.
    pub const fn from_gib(gib: u64) -> Self {
        Self(gib.saturating_mul(1 << 30))
    }

    /// The number of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number of bytes as metrics carry it.
    pub const fn as_f64(self) -> f64 {
        self.0 as f64
    }
}

impl std::fmt::Display for Bytes {
    /// In the largest binary unit that leaves at least one before the point.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        let mut value = self.as_f64();
        let mut unit = 0;
        while value >= 1024.0 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        if unit == 0 { write!(f, "{} B", self.0) } else { write!(f, "{value:.1} {}", UNITS[unit]) }
    }
}

/// A part of a whole, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Ratio(f64);

impl Ratio {
    /// From a percentage, 0 to 100.
    pub fn from_percent(percent: f64) -> Self {
        Self(percent / 100.0)
    }

    /// `part / whole`; nothing when there is no whole.
    pub fn of(part: f64, whole: f64) -> Option<Self> {
        let ratio = part / whole;
        (whole > 0.0 && ratio.is_finite()).then_some(Self(ratio))
    }

    /// The ratio as metrics carry it.
    pub const fn get(self) -> f64 {
        self.0
    }
}

/// What the MDM counted over its last window of a few seconds: how many
/// operations, and what they weighed (KiB for bandwidth, microseconds for
/// latency). It is no counter since start: between two polls most windows are
/// never seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Window {
    /// Length of the window; an idle system sends 0.
    pub seconds: f64,
    /// Sum of the weights of all operations in the window.
    pub weight: f64,
    /// Number of operations in the window.
    pub count: f64,
}

impl Window {
    /// Operations per second. A window of no length is idle when it counted
    /// nothing, and cannot be read when it did.
    pub fn per_second(&self) -> Option<f64> {
        self.over_time(self.count)
    }

    /// Bytes per second, of a window that weighs KiB.
    pub fn bytes_per_second(&self) -> Option<f64> {
        self.over_time(self.weight * 1024.0)
    }

    /// Mean duration of an operation in seconds, of a window that weighs
    /// microseconds; nothing when there was no operation.
    pub fn mean_seconds(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.weight / self.count / 1e6).filter(|mean| mean.is_finite())
    }

    fn over_time(&self, amount: f64) -> Option<f64> {
        if self.seconds > 0.0 {
            Some(amount / self.seconds).filter(|rate| rate.is_finite())
        } else {
            (amount == 0.0).then_some(0.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_window_is_a_rate_of_zero_and_no_latency() {
        let idle = Window { seconds: 0.0, weight: 0.0, count: 0.0 };
        assert_eq!(idle.per_second(), Some(0.0));
        assert_eq!(idle.bytes_per_second(), Some(0.0));
        assert_eq!(idle.mean_seconds(), None);
    }

    #[test]
    fn a_window_without_length_that_counted_something_has_no_rate() {
        let odd = Window { seconds: 0.0, weight: 8.0, count: 2.0 };
        assert_eq!(odd.per_second(), None);
        assert_eq!(odd.bytes_per_second(), None);
    }

    #[test]
    fn rates_are_per_second_and_latencies_per_operation() {
        let busy = Window { seconds: 5.0, weight: 10_000.0, count: 2_500.0 };
        assert_eq!(busy.per_second(), Some(500.0));
        assert_eq!(busy.bytes_per_second(), Some(2_048_000.0));
        assert_eq!(busy.mean_seconds(), Some(4e-6));
    }

    #[test]
    fn amounts_past_64_bits_stay_at_the_largest() {
        assert_eq!(Bytes::from_kib(u64::MAX).get(), u64::MAX);
    }

    #[test]
    fn bytes_are_shown_in_the_unit_that_fits() {
        assert_eq!(Bytes::new(17).to_string(), "17 B");
        assert_eq!(Bytes::from_kib(1536).to_string(), "1.5 MiB");
        assert_eq!(Bytes::from_gib(2048).to_string(), "2.0 TiB");
    }
}
