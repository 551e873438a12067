//! How long does a loop rest whose turn looks at everything? In proportion to what the turn took: one host that comes
//! alone is served at once, and of a thousand that come together all are served who came meanwhile.

use std::time::{Duration, Instant};

/// The rest after a turn. It is taken between two turns only, so that nobody who is being served waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    /// How many times as long as the turn: the loop takes at most one of so many parts of a core, and one.
    pub times: u32,
    /// It rests no less.
    pub shortest: Duration,
    /// It rests no more, however long the turn took.
    pub longest: Duration,
}

impl Rest {
    /// After a turn that took so long.
    pub fn after(&self, took: Duration) -> Duration {
        took.saturating_mul(self.times).clamp(self.shortest, self.longest.max(self.shortest))
    }

    /// After a turn that began then.
    pub fn since(&self, begun: Instant) -> Duration {
        self.after(begun.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_rests_in_proportion_to_its_turn_within_its_bounds() {
        let ms = Duration::from_millis;
        let rest = Rest { times: 4, shortest: ms(2), longest: ms(250) };
        for (took, rests) in [(0, 2), (1, 4), (10, 40), (60, 240), (70, 250), (10_000, 250)] {
            assert_eq!(rest.after(ms(took)), ms(rests), "after {took} ms");
        }
        assert_eq!(rest.after(Duration::MAX), ms(250));
        assert_eq!(Rest { longest: ms(1), ..rest }.after(ms(10)), ms(2), "the shortest counts");
    }
}
