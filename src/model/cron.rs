//! When does a line of cron fire, in a place with its own clock?
//!
//! The crate `cron` finds the times; what people mean differently from it is
//! refused here, with what to write: it wants seconds, counts weekdays from
//! Sunday as 1, and takes a day of the month *and* a weekday together.
//!
//! Times are those of the wall: one that a clock skips falls on the first
//! moment after, one that it shows twice counts the first time.

use std::fmt;
use std::str::FromStr as _;

use chrono::{DateTime, TimeDelta, Utc};

use super::unit::Timestamp;
use super::window::Zone;

/// The 29th of February may be eight years away; what comes in no nine years never comes.
const HORIZON: TimeDelta = TimeDelta::days(9 * 366);

/// Times at which something is begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronLine {
    text: Box<str>,
    zone: Zone,
    times: cron::Schedule,
}

/// Why a line is refused, and what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum CronRefusal {
    #[error(
        "{found} fields stand where five or six are expected: write minute, hour, day, month and weekday, such as \"30 2 * * SAT\""
    )]
    Fields { found: usize },
    #[error("{text:?} is a name that programs read differently; write \"{instead}\"")]
    Shorthand { text: Box<str>, instead: &'static str },
    #[error(
        "{text:?} names weekdays by number, which programs count differently; write names, such as MON-FRI or SAT,SUN"
    )]
    NumberedWeekday { text: Box<str> },
    #[error(
        "a day of the month and a weekday are both given, and programs differ in whether both or either must fit; write two jobs, or one of them as *"
    )]
    DayAndWeekday,
    #[error(
        "{why}; write numbers, `*`, ranges such as 1-5, steps such as */15, lists such as 0,30, and names of months and weekdays"
    )]
    Unreadable { why: String },
    #[error("no day fits, so it never fires; see day and month")]
    Never,
}

impl CronLine {
    /// Reads a line of five fields, or six with seconds first.
    pub fn parse(text: &str, zone: Zone) -> Result<Self, CronRefusal> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        if let [name] = fields[..]
            && name.starts_with('@')
        {
            let instead = match name {
                "@hourly" => "0 * * * *",
                "@weekly" => "0 0 * * SUN",
                "@monthly" => "0 0 1 * *",
                "@yearly" | "@annually" => "0 0 1 1 *",
                _ => "0 0 * * *",
            };
            return Err(CronRefusal::Shorthand { text: name.into(), instead });
        }
        let (seconds, rest) = match &fields[..] {
            rest @ [_, _, _, _, _] => ("0", rest),
            [seconds, rest @ ..] if rest.len() == 5 => (*seconds, rest),
            _ => return Err(CronRefusal::Fields { found: fields.len() }),
        };
        let [minute, hour, day, month, weekday] = rest else {
            return Err(CronRefusal::Fields { found: fields.len() });
        };
        let every = |field: &str| matches!(field, "*" | "?");
        if weekday.contains(|c: char| c.is_ascii_digit()) {
            return Err(CronRefusal::NumberedWeekday { text: (*weekday).into() });
        }
        if !every(day) && !every(weekday) {
            return Err(CronRefusal::DayAndWeekday);
        }
        let weekday = if every(weekday) { "*" } else { weekday };
        let day = if every(day) { "*" } else { day };
        let times = cron::Schedule::from_str(&format!("{seconds} {minute} {hour} {day} {month} {weekday}"));
        let times = times.map_err(|error| CronRefusal::Unreadable { why: first_line(&error.to_string()) })?;
        let line = Self { text: fields.join(" ").into(), zone, times };
        // The crate knows years up to 2100; every date of the calendar comes within this many of any year.
        let probe = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(40 * 366);
        line.after(probe).next().filter(|at| *at - probe < HORIZON).ok_or(CronRefusal::Never)?;
        Ok(line)
    }

    /// The moments after this one at which it fires.
    pub fn after(&self, after: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        // The wall's time as if it were UTC: the crate then never meets a clock that jumps.
        let wall = self.zone.local(after).and_utc();
        let moments = self.times.after(&wall).map(|local| self.zone.moment(local.naive_utc()));
        let mut last = after;
        moments.filter(move |at| {
            // In a repeated hour the wall goes back; of times in a skipped one only one moment is left.
            let later = *at > last;
            if later {
                last = *at;
            }
            later
        })
    }

    /// The next moment at which it fires.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        self.after(after).next()
    }

    /// Whose wall clock it goes by.
    pub const fn zone(&self) -> Zone {
        self.zone
    }
}

fn first_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

impl fmt::Display for CronLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{NaiveDateTime, TimeZone as _};

    fn utc(text: &str) -> Timestamp {
        format!("{text}:00Z").parse().unwrap()
    }

    fn berlin(text: &str) -> CronLine {
        CronLine::parse(text, Zone::named("Europe/Berlin").unwrap()).unwrap()
    }

    fn fires(line: &CronLine, after: &str, times: usize) -> Vec<String> {
        line.after(utc(after)).take(times).map(|at| at.format("%FT%H:%M").to_string()).collect()
    }

    #[test]
    fn lines_of_five_and_of_six_fields_are_read() {
        assert_eq!(fires(&berlin("30 2 * * SAT"), "2026-11-24T00:00", 2), ["2026-11-28T01:30", "2026-12-05T01:30"]);
        assert_eq!(fires(&berlin("15 30 2 * * SAT"), "2026-11-24T00:00", 1), ["2026-11-28T01:30"]);
        assert_eq!(fires(&berlin("0 0 * * mon-fri"), "2026-11-27T12:00", 1), ["2026-11-29T23:00"]);
        assert_eq!(fires(&berlin("*/30 8 1 JAN ?"), "2026-11-24T00:00", 2), ["2027-01-01T07:00", "2027-01-01T07:30"]);
        assert_eq!(fires(&berlin("0 0 29 2 *"), "2026-11-24T00:00", 1), ["2028-02-28T23:00"]);
    }

    #[test]
    fn what_people_and_programs_read_differently_is_refused_with_what_to_write() {
        for (text, says) in [
            ("", "0 fields stand where five or six"),
            ("0 2 * *", "4 fields"),
            ("0 0 2 * * SAT 2027", "7 fields"),
            ("0 2 * * 1-5", "write names, such as MON-FRI"),
            ("0 2 * * */2", "write names"),
            ("0 2 13 * FRI", "write two jobs"),
            ("@daily", "write \"0 0 * * *\""),
            ("@weekly", "write \"0 0 * * SUN\""),
            ("61 2 * * *", "write numbers"),
            ("0 2 * * FREITAG", "write numbers"),
            ("0 2 * * MON-", "write numbers"),
            ("0 0 30 2 *", "never fires"),
            ("0 0 31 4,6,9,11 *", "never fires"),
        ] {
            let refusal = CronLine::parse(text, Zone::UTC).unwrap_err().to_string();
            assert!(refusal.contains(says) && !refusal.contains('\n'), "{text:?}: {refusal}");
        }
    }

    #[test]
    fn a_time_that_the_clock_skips_falls_on_the_first_moment_after_and_one_shown_twice_counts_once() {
        // 2026-03-29 in Berlin: 02:00 is followed by 03:00, which is 01:00 UTC.
        assert_eq!(
            fires(&berlin("30 2 * * *"), "2026-03-28T00:00", 3),
            ["2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30"]
        );
        assert_eq!(fires(&berlin("*/20 2 29 3 *"), "2026-03-28T00:00", 1), ["2026-03-29T01:00"]);
        // 2026-10-25 in Berlin: 03:00 is followed by 02:00 once more.
        assert_eq!(fires(&berlin("30 2 * * *"), "2026-10-24T12:00", 2), ["2026-10-25T00:30", "2026-10-26T01:30"]);
        assert_eq!(fires(&berlin("30 2 * * *"), "2026-10-25T01:10", 1), ["2026-10-26T01:30"]);
    }

    /// Every change of every zone's clock from 2024 to 2037, as the moment before it.
    fn changes(zone: chrono_tz::Tz) -> Vec<Timestamp> {
        use chrono_tz::OffsetComponents as _;
        let offset = |at: i64| {
            let offset = zone.offset_from_utc_datetime(&Timestamp::from_timestamp(at, 0).unwrap().naive_utc());
            offset.base_utc_offset() + offset.dst_offset()
        };
        let (mut from, until, step) = (1_704_067_200_i64, 2_145_916_800_i64, 7 * 86_400);
        let mut found = Vec::new();
        while from < until {
            if offset(from) != offset(from + step) {
                let (mut low, mut high) = (from, from + step);
                while high - low > 1 {
                    let middle = low.midpoint(high);
                    if offset(middle) == offset(from) { low = middle } else { high = middle }
                }
                found.push(Timestamp::from_timestamp(low, 0).unwrap());
            }
            from += step;
        }
        found
    }

    #[test]
    fn in_every_zone_a_daily_line_fires_once_a_day_of_the_wall_across_every_change_of_its_clock() {
        let (mut zones, mut seen) = (0, 0);
        for tz in chrono_tz::TZ_VARIANTS {
            let all = changes(tz);
            // The first, the last and a few between: rules repeat from year to year.
            let some: Vec<Timestamp> = all.iter().take(4).chain(all.iter().rev().take(2)).copied().collect();
            zones += usize::from(!some.is_empty());
            for change in some {
                seen += 1;
                for (minute, hour) in [(30, 2), (0, 0), (59, 23), (30, 1), (0, 3)] {
                    let zone = Zone(tz);
                    let line = CronLine::parse(&format!("{minute} {hour} * * *"), zone).unwrap();
                    let from = change - TimeDelta::hours(60);
                    let fired: Vec<Timestamp> = line.after(from).take(5).collect();
                    assert!(fired.is_sorted_by(|a, b| a < b), "{tz} {change}");
                    for at in &fired {
                        let wall: NaiveDateTime = zone.local(*at);
                        let wanted = wall.date().and_hms_opt(hour, minute, 0).unwrap();
                        if wall != wanted {
                            // The wanted time was skipped: the clock jumps to this moment, over it.
                            let before = zone.local(*at - TimeDelta::seconds(1));
                            let over = before + TimeDelta::seconds(1) <= wanted || before.date() < wall.date();
                            assert!(over && wall >= wanted || before.date() < wall.date(), "{tz}: {wall} for {wanted}");
                        }
                        // Asked from any moment before, the next one is this one: nothing is missed or doubled.
                        assert_eq!(line.next(*at - TimeDelta::seconds(1)), Some(*at), "{tz} {at}");
                    }
                    for pair in fired.windows(2) {
                        let days = (zone.local(pair[1]).date() - zone.local(pair[0]).date()).num_days();
                        assert!((0..=2).contains(&days), "{tz}: {} then {}", pair[0], pair[1]);
                        assert!(pair[1] - pair[0] < TimeDelta::hours(50), "{tz}: {} then {}", pair[0], pair[1]);
                    }
                }
            }
        }
        assert!(zones > 100 && seen > 500, "{zones} zones with {seen} changes were tried");
    }
}
