//! Is a job due, too late, or in its own way? Pure: what was settled before and a moment come in.
//!
//! A firing and what it asks for are one commit, with the moment up to which
//! the job is settled: whoever starts again goes on from there, so that no
//! firing is had twice, and none is lost without being told.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::cron::CronLine;
use super::unit::Timestamp;
use super::window::{Calendar, Opening};

/// What happens to a firing that nobody was there for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// It is left out, and told.
    #[default]
    Skip,
    /// However many were missed, it is made up for once.
    Once,
}

/// What happens to a firing while the job's last one is not over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is left out, and told.
    #[default]
    Skip,
    /// It comes when the last one is over, once however many came meanwhile.
    Wait,
}

/// When a job fires, and what of it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The name of the job; it decides the jitter.
    pub name: Box<str>,
    /// When it fires.
    pub line: CronLine,
    /// How much later at most, so that not all jobs begin in the same second.
    pub jitter: TimeDelta,
    /// A firing that is later than this was missed.
    pub late: TimeDelta,
    /// What of missed ones.
    pub missed: Missed,
    /// What of those that come while one is in work.
    pub overlap: Overlap,
    /// In a blackout nothing fires. Windows are asked of what a firing begins, task by task.
    pub calendar: Calendar,
}

/// What is kept of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// Firings up to this moment are dealt with.
    pub until: Timestamp,
}

/// Why a firing was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "omitted")]
#[allow(missing_docs)]
pub enum Omitted {
    /// The controller was not there in time, or could not look.
    Missed { times: usize },
    /// The last one is not over.
    Overlapped,
    /// No work is done then.
    Blackout { name: Box<str> },
}

/// What a look at a job says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Verdict {
    /// Nothing until then; for ever if there is no moment.
    Wait { until: Option<Timestamp> },
    /// It fires for this moment; with the request, `settled` is kept.
    Fire { due: Timestamp, settled: Settled },
    /// It is left out; `settled` is kept, and it is told.
    Omit { due: Timestamp, why: Omitted, settled: Settled },
}

impl Schedule {
    /// Looks at it. `settled` is of the store, or the moment at which the job was first seen.
    pub fn look(&self, settled: Settled, in_work: bool, now: Timestamp) -> Verdict {
        // Of a job of every second, days away, the first hundred thousand are as good as all: the rest comes next.
        let due = self.line.after(settled.until).take_while(|at| *at <= now).take(100_000);
        let ripe = due.enumerate().filter(|(_, at)| *at + self.delay(*at) <= now).last();
        let Some((before, newest)) = ripe else {
            return Verdict::Wait { until: self.line.next(settled.until).map(|at| at + self.delay(at)) };
        };
        let times = before + 1;
        let after = Settled { until: newest };
        if let Opening::Blackout { name, .. } = self.calendar.at(newest) {
            return Verdict::Omit { due: newest, why: Omitted::Blackout { name }, settled: after };
        }
        if in_work {
            return match self.overlap {
                Overlap::Skip => Verdict::Omit { due: newest, why: Omitted::Overlapped, settled: after },
                Overlap::Wait => Verdict::Wait { until: None },
            };
        }
        let waited = self.overlap == Overlap::Wait;
        let late = now - (newest + self.delay(newest)) > self.late;
        if late && self.missed == Missed::Skip && !waited {
            return Verdict::Omit { due: newest, why: Omitted::Missed { times }, settled: after };
        }
        Verdict::Fire { due: newest, settled: after }
    }

    /// The next moments at which it will fire, jitter included; each with the blackout in which it will not.
    pub fn upcoming(&self, now: Timestamp) -> impl Iterator<Item = (Timestamp, Option<Box<str>>)> + '_ {
        self.line.after(now).map(|at| match self.calendar.at(at) {
            Opening::Blackout { name, .. } => (at + self.delay(at), Some(name)),
            Opening::Open { .. } | Opening::Closed { .. } => (at + self.delay(at), None),
        })
    }

    /// How much later it fires: by chance, but for one firing always the same, also after a restart.
    fn delay(&self, due: Timestamp) -> TimeDelta {
        let most = self.jitter.num_seconds();
        if most <= 0 {
            return TimeDelta::zero();
        }
        let hash = Sha256::digest(format!("{} {}", self.name, due.timestamp()).as_bytes());
        let dice = hash.iter().take(6).fold(0_i64, |sum, byte| sum * 256 + i64::from(*byte));
        TimeDelta::seconds(dice % (most + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::window::{Blackout, Zone};
    use proptest::prelude::*;

    fn utc(text: &str) -> Timestamp {
        format!("{text}:00Z").parse().unwrap()
    }

    fn nightly() -> Schedule {
        Schedule {
            name: "nightly".into(),
            line: CronLine::parse("0 2 * * *", Zone::UTC).unwrap(),
            jitter: TimeDelta::zero(),
            late: TimeDelta::minutes(30),
            missed: Missed::Skip,
            overlap: Overlap::Skip,
            calendar: Calendar::default(),
        }
    }

    fn since(text: &str) -> Settled {
        Settled { until: utc(text) }
    }

    #[test]
    fn it_fires_once_at_its_moment_and_waits_for_the_next() {
        let (job, settled) = (nightly(), since("2026-11-24T12:00"));
        let due = utc("2026-11-25T02:00");
        assert_eq!(job.look(settled, false, utc("2026-11-25T01:59")), Verdict::Wait { until: Some(due) });
        let Verdict::Fire { due: at, settled } = job.look(settled, false, due) else { panic!() };
        assert_eq!(at, due);
        // After a restart too, by what was kept.
        let next = Some(utc("2026-11-26T02:00"));
        assert_eq!(job.look(settled, false, utc("2026-11-25T02:00")), Verdict::Wait { until: next });
    }

    #[test]
    fn what_was_missed_is_told_or_made_up_for_once() {
        let (mut job, settled, now) = (nightly(), since("2026-11-20T12:00"), utc("2026-11-24T09:00"));
        let (due, after) = (utc("2026-11-24T02:00"), since("2026-11-24T02:00"));
        let why = Omitted::Missed { times: 4 };
        assert_eq!(job.look(settled, false, now), Verdict::Omit { due, why, settled: after });
        job.missed = Missed::Once;
        assert_eq!(job.look(settled, false, now), Verdict::Fire { due, settled: after });
        // A little late is not missed.
        job.missed = Missed::Skip;
        let fired = job.look(since("2026-11-23T12:00"), false, utc("2026-11-24T02:29"));
        assert_eq!(fired, Verdict::Fire { due, settled: after });
    }

    #[test]
    fn while_the_last_one_is_in_work_it_is_left_out_or_waits() {
        let (mut job, settled, due) = (nightly(), since("2026-11-23T12:00"), utc("2026-11-24T02:00"));
        let after = Settled { until: due };
        assert_eq!(job.look(settled, true, due), Verdict::Omit { due, why: Omitted::Overlapped, settled: after });
        job.overlap = Overlap::Wait;
        assert_eq!(job.look(settled, true, due), Verdict::Wait { until: None });
        assert_eq!(job.look(settled, false, utc("2026-11-24T08:00")), Verdict::Fire { due, settled: after });
    }

    #[test]
    fn in_a_blackout_it_does_not_fire_and_says_so_beforehand() {
        let mut job = nightly();
        let day = |text: &str| text.parse().unwrap();
        let (first, last) = (day("2026-12-24"), day("2026-12-31"));
        job.calendar.blackouts = vec![Blackout { name: "year end".into(), first, last, zone: Zone::UTC }];
        let due = utc("2026-12-24T02:00");
        let why = Omitted::Blackout { name: "year end".into() };
        let settled = Settled { until: due };
        assert_eq!(job.look(since("2026-12-23T12:00"), false, due), Verdict::Omit { due, why, settled });
        let next: Vec<_> = job.upcoming(utc("2026-12-22T12:00")).take(2).map(|(_, blackout)| blackout).collect();
        assert_eq!(next, [None, Some("year end".into())]);
    }

    proptest! {
        /// However often it is looked at, and however long nobody looks, no firing is had twice and none is lost.
        #[test]
        fn each_firing_is_had_once_or_told(
            pauses in prop::collection::vec(1_i64..200_000, 1..60),
            jitter in 0_i64..900,
            missed in any::<bool>(),
        ) {
            let mut job = nightly();
            job.jitter = TimeDelta::seconds(jitter);
            job.missed = if missed { Missed::Once } else { Missed::Skip };
            let begun = utc("2026-03-01T12:00");
            let (mut now, mut settled) = (begun, Settled { until: begun });
            let (mut last, mut had) = (None, 0);
            for pause in pauses {
                now += TimeDelta::seconds(pause);
                for _ in 0..3 {
                    match job.look(settled, false, now) {
                        Verdict::Fire { due, settled: after } => {
                            prop_assert!(last.is_none_or(|last| last < due) && due <= now);
                            prop_assert!(now >= due + job.delay(due));
                            (last, settled, had) = (Some(due), after, had + 1);
                        }
                        Verdict::Omit { due, why: Omitted::Missed { times }, settled: after } => {
                            prop_assert!(!missed && last.is_none_or(|last| last < due) && times > 0);
                            (last, settled) = (Some(due), after);
                        }
                        Verdict::Omit { .. } => prop_assert!(false, "nothing else is in the way"),
                        Verdict::Wait { until } => {
                            // It is never overslept: the moment to look again lies ahead.
                            prop_assert!(until.is_some_and(|until| until > now));
                            break;
                        }
                    }
                }
            }
            let days = (now - begun).num_days();
            prop_assert!(had <= days + 1, "{had} firings in {days} days");
        }
    }
}
