//! How did a system go in the last hour, and what changed? Kept in memory for the page. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::figures::Figures;
use crate::model::id::SystemId;
use crate::model::notice::{Noticed, notice};
use crate::model::snapshot::Snapshot;
use crate::model::unit::Timestamp;
use crate::watches::Pictures;

/// Seconds of one value: polls are 15 s apart, in a demo 2 s.
pub(super) const STEP: i64 = 10;

/// An hour of them.
const VALUES: i64 = 360;

/// What changed, remembered for each system; a storm changes more than anybody reads.
const MOST_NOTICED: usize = 100;

/// What is drawn, in this order.
pub(super) const LINES: usize = 6;

/// Means of a step; `None` where nothing was told.
pub(super) type Values = [Option<f32>; LINES];

/// The last hour of one system.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// Means by the number of their step, ascending.
    pub(super) values: VecDeque<(i64, Values)>,
    /// Readings in the newest of them.
    readings: u32,
    /// What changed, the oldest first.
    pub(super) noticed: VecDeque<Noticed>,
    last: Option<Arc<Snapshot>>,
}

/// The last hour of every system.
pub type Pasts = BTreeMap<SystemId, Arc<Past>>;

/// Adds what the newest pictures show.
pub(super) fn see(pasts: &mut Pasts, pictures: &Pictures) {
    pasts.retain(|system, _| pictures.contains_key(system));
    for (system, picture) in pictures {
        if let Some(snapshot) = &picture.snapshot {
            let past = pasts.entry(system.clone()).or_default();
            if !past.last.as_ref().is_some_and(|last| Arc::ptr_eq(last, snapshot)) {
                Arc::make_mut(past).see(snapshot);
            }
        }
    }
}

impl Past {
    fn see(&mut self, snapshot: &Arc<Snapshot>) {
        let figures = Figures::of(snapshot);
        self.note(
            snapshot.taken_at,
            [
                figures.read,
                figures.write,
                figures.read_latency,
                figures.write_latency,
                figures.rebuild,
                figures.rebalance,
            ],
        );
        if let Some(last) = &self.last {
            self.noticed.extend(notice(last, snapshot));
        }
        while self.noticed.len() > MOST_NOTICED {
            self.noticed.pop_front();
        }
        self.last = Some(Arc::clone(snapshot));
    }

    #[allow(clippy::cast_possible_truncation, reason = "a picture shows three digits")]
    fn note(&mut self, at: Timestamp, now: [Option<f64>; LINES]) {
        let step = at.timestamp().div_euclid(STEP);
        let now = now.map(|value| value.filter(|value| value.is_finite()).map(|value| value as f32));
        match self.values.back_mut() {
            // A clock that was set back draws nothing twice.
            Some((newest, _)) if *newest > step => return,
            Some((newest, means)) if *newest == step => {
                self.readings += 1;
                for (mean, value) in means.iter_mut().zip(now) {
                    *mean = match (*mean, value) {
                        (Some(mean), Some(value)) => Some(mean + (value - mean) / self.readings as f32),
                        (mean, value) => value.or(mean),
                    };
                }
            }
            Some(_) | None => {
                self.readings = 1;
                self.values.push_back((step, now));
            }
        }
        while self.values.front().is_some_and(|(oldest, _)| *oldest <= step - VALUES) {
            self.values.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_timestamp(second, 0).unwrap()
    }

    fn one(value: f64) -> [Option<f64>; LINES] {
        let mut values = [None; LINES];
        values[0] = Some(value);
        values
    }

    #[test]
    fn readings_of_one_step_are_a_mean_and_an_hour_is_kept() {
        let mut past = Past::default();
        for (second, value) in [(0, 1.0), (4, 2.0), (9, 6.0), (10, 5.0)] {
            past.note(at(second), one(value));
        }
        let firsts: Vec<_> = past.values.iter().map(|(step, values)| (*step, values[0])).collect();
        assert_eq!(firsts, [(0, Some(3.0)), (1, Some(5.0))]);
        for minute in 1..200 {
            past.note(at(minute * 60), one(1.0));
        }
        assert_eq!(past.values.len(), 60);
        assert!(past.values.iter().all(|(step, _)| *step > (199 * 60) / STEP - VALUES));
    }

    #[test]
    fn a_clock_that_is_set_back_and_a_value_that_is_no_number_draw_nothing() {
        let mut past = Past::default();
        past.note(at(100), one(1.0));
        past.note(at(50), one(9.0));
        past.note(at(101), one(f64::NAN));
        assert_eq!(past.values.len(), 1);
        assert_eq!(past.values[0].1[0], Some(1.0));
    }
}
