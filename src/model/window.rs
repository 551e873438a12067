//! When work may be done: windows of the week and dates on which nothing happens.
//!
//! Times are those of a place, so a window keeps its hours when clocks change.
//! Where a clock skips an hour, a border in it falls on the first moment after;
//! where it repeats one, on the first of the two.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Weekday};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::unit::Timestamp;

/// A place by its IANA name, such as `Europe/Berlin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone(pub Tz);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(Tz::UTC);

    /// The place of this name, if there is one.
    pub fn named(name: &str) -> Option<Self> {
        name.parse().ok().map(Self)
    }

    /// What the clock on the wall shows there.
    pub fn local(self, at: Timestamp) -> NaiveDateTime {
        at.with_timezone(&self.0).naive_local()
    }

    /// The moment at which the clock on the wall shows this for the first time;
    /// of a time that is skipped, the first moment after the gap.
    pub fn moment(self, local: NaiveDateTime) -> Timestamp {
        if let Some(found) = self.0.from_local_datetime(&local).earliest() {
            return found.to_utc();
        }
        // The gap ends where the offset changes. Two days before, the clock there showed an earlier time than this
        // and two days after a later one, and no zone changes twice within so short a time.
        let seconds = local.and_utc().timestamp();
        let (mut before, mut after) = (seconds - 172_800, seconds + 172_800);
        while after - before > 1 {
            let middle = before.midpoint(after);
            let Some(moment) = Timestamp::from_timestamp(middle, 0) else { break };
            if self.local(moment) < local {
                before = middle;
            } else {
                after = middle;
            }
        }
        Timestamp::from_timestamp(after, 0).unwrap_or(Timestamp::MAX_UTC)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        let unknown = || serde::de::Error::custom(format!("{name:?} is no IANA time zone, such as Europe/Berlin"));
        Self::named(&name).ok_or_else(unknown)
    }
}

/// Hours of the week in which work may begin and must be over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Days on which it opens.
    pub days: BTreeSet<Day>,
    /// When it opens.
    pub from: NaiveTime,
    /// When it closes: on the next day, if that is not after `from`.
    pub until: NaiveTime,
    /// Whose hours these are.
    pub zone: Zone,
}

/// A day of the week, Monday first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl From<Weekday> for Day {
    fn from(day: Weekday) -> Self {
        match day {
            Weekday::Mon => Self::Mon,
            Weekday::Tue => Self::Tue,
            Weekday::Wed => Self::Wed,
            Weekday::Thu => Self::Thu,
            Weekday::Fri => Self::Fri,
            Weekday::Sat => Self::Sat,
            Weekday::Sun => Self::Sun,
        }
    }
}

impl Window {
    /// When it closes, if it is open at this moment.
    pub fn open_until(&self, at: Timestamp) -> Option<Timestamp> {
        let today = self.zone.local(at).date();
        // It may have opened yesterday and run past midnight.
        let around = [today.pred_opt(), Some(today), today.succ_opt()];
        around
            .into_iter()
            .flatten()
            .filter_map(|day| self.on(day))
            .find(|(from, until)| *from <= at && at < *until)
            .map(|(_, until)| until)
    }

    /// When it opens next after this moment.
    pub fn opens_after(&self, at: Timestamp) -> Option<Timestamp> {
        let today = self.zone.local(at).date();
        // A week and two days hold every day of the week, also when borders move.
        let days = today.pred_opt().unwrap_or(today).iter_days().take(10);
        days.filter_map(|day| self.on(day)).map(|(from, _)| from).find(|from| *from > at)
    }

    /// From when to when it is open, if it opens on this day.
    fn on(&self, day: NaiveDate) -> Option<(Timestamp, Timestamp)> {
        if !self.days.contains(&Day::from(day.weekday())) {
            return None;
        }
        let last = if self.until > self.from { day } else { day.succ_opt()? };
        let (from, until) = (self.zone.moment(day.and_time(self.from)), self.zone.moment(last.and_time(self.until)));
        (from < until).then_some((from, until))
    }
}

/// Dates on which nothing is begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blackout {
    /// What people call them.
    pub name: Box<str>,
    /// The first day.
    pub first: NaiveDate,
    /// The last day; it belongs to them.
    pub last: NaiveDate,
    /// Whose days these are.
    pub zone: Zone,
}

impl Blackout {
    /// From when to when nothing is begun.
    pub fn span(&self) -> (Timestamp, Timestamp) {
        let after = self.last.succ_opt().unwrap_or(self.last);
        (self.zone.moment(self.first.and_time(NaiveTime::MIN)), self.zone.moment(after.and_time(NaiveTime::MIN)))
    }
}

/// Windows that are counted; whoever missed so many knows.
const MANY: usize = 100;

/// When work on a system may be done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    /// Work is done in any of these; without one, at any time.
    #[serde(default)]
    pub windows: Vec<Window>,
    /// And never in any of these.
    #[serde(default)]
    pub blackouts: Vec<Blackout>,
}

/// What the calendar says of a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "calendar")]
#[allow(missing_docs)]
pub enum Opening {
    /// Work may be done, until then if there is an end.
    Open { until: Option<Timestamp> },
    /// No window is open; the next one opens then.
    Closed { opens: Option<Timestamp> },
    /// A blackout of this name lasts until then.
    Blackout { name: Box<str>, until: Timestamp },
}

impl Calendar {
    /// Whether work may be done at this moment, and until when.
    pub fn at(&self, at: Timestamp) -> Opening {
        let spans = self.blackouts.iter().map(|blackout| (blackout, blackout.span()));
        if let Some((blackout, (_, until))) = spans.clone().find(|(_, (from, until))| *from <= at && at < *until) {
            return Opening::Blackout { name: blackout.name.clone(), until };
        }
        let window = self.windows.iter().filter_map(|window| window.open_until(at)).max();
        if window.is_none() && !self.windows.is_empty() {
            return Opening::Closed { opens: self.windows.iter().filter_map(|window| window.opens_after(at)).min() };
        }
        let blackout = spans.map(|(_, (from, _))| from).filter(|from| *from > at).min();
        Opening::Open { until: window.into_iter().chain(blackout).min() }
    }

    /// How many windows opened after a moment and are over now; the one that was open then is none of them.
    pub fn gone_by(&self, after: Timestamp, now: Timestamp) -> usize {
        let (mut at, mut gone) = (after, 0);
        while gone < MANY {
            at = match self.at(at) {
                Opening::Open { until: Some(ends) } if ends <= now => {
                    gone += usize::from(at > after);
                    ends
                }
                Opening::Closed { opens: Some(then) } | Opening::Blackout { until: then, .. } if then < now => then,
                Opening::Open { .. } | Opening::Closed { .. } | Opening::Blackout { .. } => break,
            };
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> Timestamp {
        format!("{text}:00Z").parse().unwrap()
    }

    fn window(days: &[Day], from: &str, until: &str) -> Window {
        let time = |text: &str| text.parse().unwrap();
        let zone = Zone::named("Europe/Berlin").unwrap();
        Window { days: days.iter().copied().collect(), from: time(from), until: time(until), zone }
    }

    #[test]
    fn a_window_past_midnight_belongs_to_the_day_on_which_it_opens() {
        let night = window(&[Day::Sat], "22:00:00", "04:00:00");
        assert_eq!(night.open_until(utc("2026-11-28T20:59")), None);
        assert_eq!(night.open_until(utc("2026-11-28T21:00")), Some(utc("2026-11-29T03:00")));
        assert_eq!(night.open_until(utc("2026-11-29T02:59")), Some(utc("2026-11-29T03:00")));
        assert_eq!(night.open_until(utc("2026-11-29T03:00")), None);
        assert_eq!(night.opens_after(utc("2026-11-29T03:00")), Some(utc("2026-12-05T21:00")));
    }

    #[test]
    fn a_border_in_a_skipped_hour_falls_on_the_first_moment_after() {
        // 2026-03-29 in Berlin: 02:00 is followed by 03:00, which is 01:00 UTC.
        let early = window(&[Day::Sun], "02:30:00", "05:00:00");
        assert_eq!(early.opens_after(utc("2026-03-29T00:00")), Some(utc("2026-03-29T01:00")));
        assert_eq!(window(&[Day::Sun], "02:10:00", "02:50:00").open_until(utc("2026-03-29T01:00")), None);
    }

    #[test]
    fn a_border_in_a_repeated_hour_falls_on_the_first_of_the_two() {
        // 2026-10-25 in Berlin: 03:00 is followed by 02:00 once more.
        let early = window(&[Day::Sun], "01:00:00", "02:30:00");
        assert_eq!(early.open_until(utc("2026-10-24T23:30")), Some(utc("2026-10-25T00:30")));
    }

    #[test]
    fn a_blackout_ends_a_window_and_hides_it() {
        let blackout = Blackout {
            name: "year end".into(),
            first: "2026-12-24".parse().unwrap(),
            last: "2026-12-31".parse().unwrap(),
            zone: Zone::UTC,
        };
        let calendar = Calendar { windows: Vec::new(), blackouts: vec![blackout] };
        assert_eq!(calendar.at(utc("2026-12-23T23:00")), Opening::Open { until: Some(utc("2026-12-24T00:00")) });
        let until = utc("2027-01-01T00:00");
        assert_eq!(calendar.at(utc("2026-12-31T23:59")), Opening::Blackout { name: "year end".into(), until });
        assert_eq!(calendar.at(until), Opening::Open { until: None });
    }

    #[test]
    fn windows_that_came_and_went_are_counted_and_the_one_in_use_is_not() {
        let calendar = Calendar { windows: vec![window(&[Day::Sat], "22:00:00", "04:00:00")], blackouts: Vec::new() };
        let gone = |after, now| calendar.gone_by(utc(after), utc(now));
        // Opened at 21:00 UTC of Saturday, over at 03:00.
        assert_eq!(gone("2026-11-25T12:00", "2026-11-29T02:59"), 0, "it is still open");
        assert_eq!(gone("2026-11-25T12:00", "2026-11-29T03:00"), 1);
        assert_eq!(gone("2026-11-28T22:00", "2026-12-05T20:00"), 0, "something was done in it");
        assert_eq!(gone("2026-11-28T22:00", "2026-12-14T00:00"), 2);
        assert_eq!(gone("2026-11-29T03:00", "2026-11-28T00:00"), 0, "the clock was set back");
        assert_eq!(Calendar::default().gone_by(utc("2026-01-01T00:00"), utc("2027-01-01T00:00")), 0);
        assert_eq!(gone("2020-01-01T00:00", "2026-11-29T03:00"), MANY);
        let away = Blackout {
            name: "year end".into(),
            first: "2026-11-28".parse().unwrap(),
            last: "2026-11-29".parse().unwrap(),
            zone: Zone::UTC,
        };
        let hidden = Calendar { blackouts: vec![away], ..calendar };
        assert_eq!(hidden.gone_by(utc("2026-11-25T12:00"), utc("2026-12-01T00:00")), 0, "nobody could use it");
    }

    #[test]
    fn a_zone_is_written_by_its_name_and_an_unknown_one_is_refused_by_its_name() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        let text = serde_json::to_string(&berlin).unwrap();
        assert_eq!(serde_json::from_str::<Zone>(&text).unwrap(), berlin);
        let error = serde_json::from_str::<Zone>("\"Europe/Bonn\"").unwrap_err().to_string();
        assert!(error.contains("Europe/Bonn"), "{error}");
    }

    #[test]
    fn in_every_zone_a_window_is_open_by_its_own_clock_across_every_change_of_it() {
        use chrono_tz::OffsetComponents as _;
        let time = |hour, minute| NaiveTime::from_hms_opt(hour, minute, 0).unwrap();
        let hours = [(time(1, 30), time(4, 0)), (time(22, 0), time(2, 30)), (time(0, 0), time(0, 0))];
        let begun = utc("2026-01-01T00:00");
        let (mut zones, mut changes) = (0, 0);
        for tz in chrono_tz::TZ_VARIANTS {
            let offset = |at: Timestamp| {
                let offset = tz.offset_from_utc_datetime(&at.naive_utc());
                offset.base_utc_offset() + offset.dst_offset()
            };
            let hour = |hour: i64| begun + chrono::TimeDelta::hours(hour);
            let turns = (0..366 * 24).filter(|at| offset(hour(*at)) != offset(hour(at + 1)));
            let turns: Vec<i64> = turns.collect();
            zones += usize::from(!turns.is_empty());
            changes += turns.len();
            for (turn, (from, until)) in turns.iter().flat_map(|turn| hours.map(|hours| (*turn, hours))) {
                let days = BTreeSet::from([Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri, Day::Sat, Day::Sun]);
                let window = Window { days, from, until, zone: Zone(tz) };
                for quarter in (turn - 30) * 4..(turn + 30) * 4 {
                    let now = begun + chrono::TimeDelta::minutes(quarter * 15);
                    let wall = window.zone.local(now).time();
                    let inside = if from < until { from <= wall && wall < until } else { from <= wall || wall < until };
                    let open = window.open_until(now);
                    // A time that the clock shows twice is the first of both: an hour of the second is no hour of ours
                    // when the window closed in the first, and is when it did not.
                    let doubled =
                        offset(now - chrono::TimeDelta::hours(3)) != offset(now + chrono::TimeDelta::hours(3));
                    assert!(open.is_some() == inside || doubled, "{tz} {now}: {wall} {window:?} {open:?}");
                    match open {
                        Some(ends) => {
                            assert!(ends > now && ends - now <= chrono::TimeDelta::hours(26), "{tz} {now}: {ends}");
                            // It is the same end for the whole of it.
                            let last = ends - chrono::TimeDelta::seconds(1);
                            assert_eq!(window.open_until(last), Some(ends), "{tz} {now}");
                        }
                        None => {
                            let opens = window.opens_after(now).unwrap();
                            assert!(opens > now && opens - now <= chrono::TimeDelta::hours(26), "{tz} {now}: {opens}");
                            assert!(window.open_until(opens).is_some(), "{tz} {now}: {opens}");
                            assert_eq!(window.open_until(opens - chrono::TimeDelta::seconds(1)), None, "{tz} {now}");
                        }
                    }
                }
            }
        }
        assert!(zones > 100 && changes > 250, "{zones} zones with {changes} changes were tried");
    }
}
