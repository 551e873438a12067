//! Which hours are quiet, and when was something weekly due last? By the clock
//! of the readers, summer time included.

use chrono::{Datelike, Days, LocalResult, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use crate::config::{Quiet, Weekly};
use crate::model::unit::Timestamp;

/// Whether these hours are quiet at a moment.
pub fn is_quiet(quiet: &Quiet, now: Timestamp) -> bool {
    let local = now.with_timezone(&quiet.zone).naive_local();
    let today = local.weekday().num_days_from_monday();
    let begins = |day: u32| quiet.days.contains(&day);
    if quiet.from < quiet.to {
        begins(today) && (quiet.from..quiet.to).contains(&local.time())
    } else {
        (begins(today) && local.time() >= quiet.from) || (begins((today + 6) % 7) && local.time() < quiet.to)
    }
}

/// The newest moment, now or before, at which it was due.
pub fn last_due(weekly: &Weekly, now: Timestamp) -> Option<Timestamp> {
    let today = now.with_timezone(&weekly.zone).date_naive();
    (0..=7).find_map(|back| {
        let day = today.checked_sub_days(Days::new(back))?;
        let due = weekly.days.contains(&day.weekday().num_days_from_monday());
        let at = due.then(|| moment(weekly.zone, day.and_time(weekly.at)))??;
        (at <= now).then_some(at)
    })
}

/// A time on a clock on the wall. One that the clock skips is an hour later; of one that comes twice, the first.
fn moment(zone: Tz, wall: NaiveDateTime) -> Option<Timestamp> {
    let found = match zone.from_local_datetime(&wall) {
        LocalResult::None => zone.from_local_datetime(&(wall + TimeDelta::hours(1))).earliest(),
        found @ (LocalResult::Single(_) | LocalResult::Ambiguous(..)) => found.earliest(),
    };
    found.map(|at| at.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use chrono::NaiveTime;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn time(text: &str) -> NaiveTime {
        NaiveTime::parse_from_str(text, "%H:%M").unwrap()
    }

    fn quiet(from: &str, to: &str, days: &[u32]) -> Quiet {
        let (from, to, zone) = (time(from), time(to), chrono_tz::Europe::Berlin);
        Quiet { from, to, days: days.iter().copied().collect(), zone }
    }

    #[test]
    fn a_night_goes_over_midnight_and_belongs_to_the_day_it_begins_on() {
        // The 23rd of November 2026 is a Monday; Berlin is an hour ahead.
        let night = quiet("20:00", "07:00", &[0]);
        for (moment, expected) in [
            ("2026-11-23T18:59:59Z", false),
            ("2026-11-23T19:00:00Z", true),
            ("2026-11-24T05:59:59Z", true),
            ("2026-11-24T06:00:00Z", false),
            ("2026-11-24T19:00:00Z", false),
            ("2026-11-23T01:00:00Z", false),
        ] {
            assert_eq!(is_quiet(&night, at(moment)), expected, "{moment}");
        }
        let noon = quiet("12:00", "13:00", &[0, 1]);
        assert!(is_quiet(&noon, at("2026-11-24T11:30:00Z")) && !is_quiet(&noon, at("2026-11-25T11:30:00Z")));
    }

    #[test]
    fn something_weekly_was_due_at_its_time_on_the_wall() {
        let weekly = |days: &[u32], at: &str| {
            let zone = chrono_tz::Europe::Berlin;
            Weekly { days: days.iter().copied().collect(), at: time(at), zone }
        };
        let monday = weekly(&[0], "07:00");
        assert_eq!(last_due(&monday, at("2026-11-24T12:00:00Z")), Some(at("2026-11-23T06:00:00Z")));
        assert_eq!(last_due(&monday, at("2026-11-23T06:00:00Z")), Some(at("2026-11-23T06:00:00Z")));
        assert_eq!(last_due(&monday, at("2026-11-23T05:59:59Z")), Some(at("2026-11-16T06:00:00Z")));
        // In the night of the 28th of March 2027 the clock goes from 2 to 3; in that of the 25th of October 2026 back.
        let night = weekly(&[6], "02:30");
        assert_eq!(last_due(&night, at("2027-03-28T12:00:00Z")), Some(at("2027-03-28T01:30:00Z")));
        assert_eq!(last_due(&night, at("2026-10-25T12:00:00Z")), Some(at("2026-10-25T00:30:00Z")));
    }
}
