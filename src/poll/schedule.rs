//! When is which collector asked next?
//!
//! Everything here counts in time since the process began, so a step of the
//! wall clock neither stops polling nor makes a storm of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::config::Poll;
use crate::model::snapshot::{Beat, Collector};

/// A collector may keep its gateway busy for at most this part of the time:
/// a slow answer is asked for less often.
const LARGEST_SHARE_OF_TIME: u32 = 4;

/// However slow a gateway is, a collector is asked at least every this many of
/// its beats: data that gates read would otherwise never be fresh again.
const LONGEST_STRETCH: u32 = 4;

/// Polls that somebody wants before their time are at most so close to the one before.
const SHORTEST_REST: Duration = Duration::from_millis(500);

/// They take at most this part of the time, with what everybody makes of their answers, which is about as much again.
const WANTED_SHARE_OF_TIME: u32 = 20;

/// A system that does not answer is asked less often, but still so often that
/// its return is noticed within a few beats.
const LONGEST_PAUSE: u32 = 4;

/// What the schedule remembers of one collector.
#[derive(Clone, Debug)]
struct Ran {
    begun: Duration,
    took: Duration,
}

/// The times of one system's polls. Pure: `now` comes in.
#[derive(Clone, Debug)]
pub struct Schedule {
    beats: Poll,
    ran: BTreeMap<Collector, Ran>,
    failed_polls: u32,
    moving: bool,
    /// When the last poll ended, and how long it took.
    last: Option<(Duration, Duration)>,
}

impl Schedule {
    /// Everything is due at once.
    pub const fn new(beats: Poll) -> Self {
        Self { beats, ran: BTreeMap::new(), failed_polls: 0, moving: false, last: None }
    }

    /// The collectors that a poll at `now` asks. One that would fall due before
    /// the poll after it is asked now.
    pub fn due(&self, now: Duration, asked: impl IntoIterator<Item = Collector>) -> BTreeSet<Collector> {
        asked
            .into_iter()
            .filter(|collector| {
                self.ran
                    .get(collector)
                    .is_none_or(|ran| now + self.beats.fast / 2 >= ran.begun + self.interval(*collector))
            })
            .collect()
    }

    /// The pause between two runs of a collector that is now in force.
    pub fn interval(&self, collector: Collector) -> Duration {
        let beat = match collector.beat() {
            Beat::Fast => self.beats.fast,
            // While data moves or a server is away, devices and clients matter as much as pools.
            Beat::Middle if self.moving => self.beats.fast,
            Beat::Middle => self.beats.middle,
            Beat::Slow => self.beats.slow,
        };
        let bearable = self.ran.get(&collector).map_or(Duration::ZERO, |ran| ran.took * LARGEST_SHARE_OF_TIME);
        bearable.clamp(beat, beat * LONGEST_STRETCH)
    }

    /// Whether a list may be asked out of turn because statistics show that it
    /// is no longer true.
    pub fn may_refresh(&self, collector: Collector, now: Duration) -> bool {
        self.ran
            .get(&collector)
            .is_none_or(|ran| now >= ran.begun + self.beats.fast.max(ran.took * LARGEST_SHARE_OF_TIME))
    }

    /// Notes that a collector was asked.
    pub fn ran(&mut self, collector: Collector, begun: Duration, took: Duration) {
        self.ran.insert(collector, Ran { begun, took });
    }

    /// Notes how a whole poll went: whether the system answered at all, and
    /// whether data moves in it.
    pub const fn polled(&mut self, answered: bool, moving: bool) {
        self.failed_polls = if answered { 0 } else { self.failed_polls.saturating_add(1) };
        self.moving = moving;
    }

    /// Notes when a poll began and ended.
    pub fn ended(&mut self, begun: Duration, now: Duration) {
        self.last = Some((now, now.saturating_sub(begun)));
    }

    /// How long to wait at `now` until a poll that somebody wants; none: who is silent is asked in its own time.
    pub fn wanted(&self, now: Duration) -> Option<Duration> {
        let (ended, took) = self.last.filter(|_| self.failed_polls == 0)?;
        let rest = SHORTEST_REST.max(took * WANTED_SHARE_OF_TIME);
        Some((ended + rest).saturating_sub(now))
    }

    /// The pause until the next poll. `random` is in 0..1 and spreads the polls
    /// of many systems, and of many of us, by a tenth.
    pub fn pause(&self, random: f64) -> Duration {
        let beat = self.interval(Collector::System);
        // Not `if n > 1 { n.min(4) } else { 1 }`: rustc 1.95.0 makes `n.min(4)` of that
        // when it optimises, and a system that answers would be polled without a pause.
        let stretch = self.failed_polls.clamp(1, LONGEST_PAUSE);
        (beat * stretch).mul_f64(0.9 + 0.2 * random.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn schedule() -> Schedule {
        Schedule::new(Poll { fast: SECOND * 10, middle: SECOND * 60, slow: SECOND * 300, max_age: SECOND * 900 })
    }

    fn poll(schedule: &mut Schedule, now: Duration, took: Duration) -> BTreeSet<Collector> {
        let due = schedule.due(now, Collector::ALL);
        for collector in &due {
            schedule.ran(*collector, now, took);
        }
        due
    }

    #[test]
    fn the_first_poll_asks_everything_and_each_collector_keeps_its_beat_after() {
        let mut schedule = schedule();
        assert_eq!(poll(&mut schedule, Duration::ZERO, SECOND).len(), Collector::ALL.len());
        let mut runs: BTreeMap<Collector, u32> = BTreeMap::new();
        for turn in 1..=30 {
            for collector in poll(&mut schedule, SECOND * 10 * turn, SECOND) {
                *runs.entry(collector).or_default() += 1;
            }
        }
        assert_eq!(runs[&Collector::Statistics], 30);
        assert_eq!(runs[&Collector::Sds], 30);
        assert_eq!(runs[&Collector::Devices], 5);
        assert_eq!(runs[&Collector::Volumes], 1);
    }

    #[test]
    fn devices_are_asked_at_the_fast_beat_while_data_moves() {
        let mut schedule = schedule();
        poll(&mut schedule, Duration::ZERO, SECOND);
        schedule.polled(true, true);
        assert!(poll(&mut schedule, SECOND * 10, SECOND).contains(&Collector::Devices));
        schedule.polled(true, false);
        assert!(!poll(&mut schedule, SECOND * 20, SECOND).contains(&Collector::Devices));
    }

    #[test]
    fn a_slow_answer_is_asked_for_less_often_but_never_given_up() {
        let mut schedule = schedule();
        schedule.ran(Collector::Statistics, Duration::ZERO, SECOND * 5);
        assert_eq!(schedule.interval(Collector::Statistics), SECOND * 20);
        schedule.ran(Collector::Statistics, Duration::ZERO, SECOND * 500);
        assert_eq!(schedule.interval(Collector::Statistics), SECOND * 40);
    }

    #[test]
    fn a_silent_system_is_asked_less_often_and_at_once_normally_when_it_is_back() {
        let mut schedule = schedule();
        let pauses: Vec<u64> = (0..6)
            .map(|_| {
                schedule.polled(false, false);
                schedule.pause(0.5).as_secs()
            })
            .collect();
        assert_eq!(pauses, [10, 20, 30, 40, 40, 40]);
        schedule.polled(true, false);
        assert_eq!(schedule.pause(0.5).as_secs(), 10);
    }

    #[test]
    fn what_somebody_wants_before_its_time_comes_soon_but_not_in_a_row_and_not_of_who_is_silent() {
        let mut schedule = schedule();
        assert_eq!(schedule.wanted(Duration::ZERO), None, "nothing was asked yet");
        schedule.ended(SECOND, SECOND + Duration::from_millis(10));
        assert_eq!(schedule.wanted(SECOND + Duration::from_millis(110)), Some(Duration::from_millis(400)));
        assert_eq!(schedule.wanted(SECOND * 5), Some(Duration::ZERO));
        schedule.ended(SECOND * 5, SECOND * 6);
        assert_eq!(schedule.wanted(SECOND * 7), Some(SECOND * 19), "who takes long is asked less often");
        schedule.polled(false, false);
        assert_eq!(schedule.wanted(SECOND * 100), None);
    }

    #[test]
    fn pauses_are_spread_by_a_tenth_either_way() {
        let schedule = schedule();
        assert_eq!(schedule.pause(0.0), SECOND * 9);
        assert_eq!(schedule.pause(1.0), SECOND * 11);
    }

    #[test]
    fn a_list_is_not_refreshed_out_of_turn_more_often_than_it_can_be_borne() {
        let mut schedule = schedule();
        schedule.ran(Collector::Volumes, SECOND * 100, SECOND * 10);
        assert!(!schedule.may_refresh(Collector::Volumes, SECOND * 120));
        assert!(schedule.may_refresh(Collector::Volumes, SECOND * 140));
    }
}
