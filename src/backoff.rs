//! How long to wait before the next try: exponential, with full jitter.
//!
//! Full jitter spreads those who failed together over the whole span, so that
//! a gateway that comes back is not met by all of them at once.

use std::time::Duration;

/// The growing span of waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest wait after the first failure.
    pub first: Duration,
    /// The longest wait ever.
    pub ceiling: Duration,
}

impl Backoff {
    /// The wait after that many failures (1 is the first), for a random number
    /// of 0 to 1: that part of a span which doubles up to the ceiling.
    pub fn wait(&self, failures: u32, random: f64) -> Duration {
        let part = if random.is_finite() { random.clamp(0.0, 1.0) } else { 1.0 };
        let span = self.span(failures);
        // Rounding may lead past the longest duration there is.
        Duration::try_from_secs_f64(span.as_secs_f64() * part).unwrap_or(span).min(span)
    }

    /// The longest wait after that many failures.
    pub fn span(&self, failures: u32) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.saturating_mul(doubled).min(self.ceiling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { first: Duration::from_millis(500), ceiling: Duration::from_secs(60) };

    #[test]
    fn the_span_doubles_up_to_the_ceiling() {
        let spans: Vec<u128> = (1..=9).map(|failures| BACKOFF.span(failures).as_millis()).collect();
        assert_eq!(spans, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    }

    #[test]
    fn any_number_of_failures_waits_at_most_the_ceiling() {
        for failures in [0, 31, 32, 33, 34, 1_000, u32::MAX] {
            assert!(BACKOFF.span(failures) <= BACKOFF.ceiling, "{failures}");
        }
        let wide = Backoff { first: Duration::from_secs(u64::MAX), ceiling: Duration::MAX };
        assert_eq!(wide.wait(u32::MAX, 1.0), Duration::MAX);
    }

    #[test]
    fn the_random_number_picks_from_the_whole_span() {
        assert_eq!(BACKOFF.wait(3, 0.0), Duration::ZERO);
        assert_eq!(BACKOFF.wait(3, 0.25), Duration::from_millis(500));
        assert_eq!(BACKOFF.wait(3, 1.0), Duration::from_secs(2));
    }

    #[test]
    fn a_random_number_out_of_range_waits_within_the_span() {
        assert_eq!(BACKOFF.wait(1, 7.0), Duration::from_millis(500));
        assert_eq!(BACKOFF.wait(1, -1.0), Duration::ZERO);
        assert_eq!(BACKOFF.wait(1, f64::NAN), Duration::from_millis(500));
    }
}
