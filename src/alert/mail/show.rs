//! How values, spans and moments are written for people.

use chrono::TimeDelta;
use chrono_tz::Tz;

use crate::model::alerting::{Number, Unit};
use crate::model::unit::{Bytes, Timestamp};

/// A value with its unit.
pub(super) fn value(number: Number, unit: Unit) -> String {
    let n = number.0;
    if n.is_nan() {
        return "no value".to_owned();
    }
    if n.is_infinite() {
        return if n > 0.0 { "without bound".to_owned() } else { "below any bound".to_owned() };
    }
    match unit {
        Unit::Plain => plain(n),
        Unit::Bytes => bytes(n),
        Unit::BytesPerSecond => format!("{}/s", bytes(n)),
        Unit::PerSecond => format!("{}/s", plain(n)),
        Unit::Seconds if n.abs() < 1.0 => format!("{} ms", plain(n * 1000.0)),
        Unit::Seconds => span_of_seconds(n),
        Unit::Ratio => format!("{} %", plain(n * 100.0)),
        Unit::UnixTime => match chrono::DateTime::from_timestamp(n as i64, 0) {
            Some(at) => utc(at),
            None => plain(n),
        },
    }
}

fn bytes(n: f64) -> String {
    // Beyond 2^64 the cast stays at the largest amount.
    let amount = Bytes::new(n.abs().round() as u64).to_string();
    if n < 0.0 { format!("-{amount}") } else { amount }
}

/// At most one digit after the point for numbers of ten and more, three significant ones below.
fn plain(n: f64) -> String {
    let digits = match n.abs() {
        whole if whole.fract() == 0.0 => 0,
        large if large >= 10.0 => 1,
        middle if middle >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{n:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn span_of_seconds(seconds: f64) -> String {
    let whole = TimeDelta::try_seconds(seconds.abs().min(1e12) as i64).unwrap_or(TimeDelta::MAX);
    if seconds < 0.0 { format!("{} ago", span(whole)) } else { span(whole) }
}

/// A span in its two largest units: `12 min`, `4 h 5 min`, `3 d`.
pub(super) fn span(span: TimeDelta) -> String {
    let seconds = span.num_seconds().max(0);
    let parts = [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(3);
    let shown = parts.iter().skip(first).take(2).filter(|(count, _)| *count > 0);
    let text: Vec<String> = shown.map(|(count, unit)| format!("{count} {unit}")).collect();
    if text.is_empty() { "0 s".to_owned() } else { text.join(" ") }
}

/// A span in its largest unit alone, for subjects: `4 h`.
pub(super) fn short_span(delta: TimeDelta) -> String {
    let text = span(delta);
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// A moment by the readers' clock and by UTC: `2026-11-24 14:03 CET (13:03 UTC)`.
pub(super) fn moment(at: Timestamp, zone: Tz) -> String {
    let local = at.with_timezone(&zone);
    if zone == Tz::UTC {
        return utc(at);
    }
    let other_day = local.date_naive() != at.date_naive();
    let there = if other_day { at.format("%Y-%m-%d %H:%M UTC") } else { at.format("%H:%M UTC") };
    format!("{} ({there})", local.format("%Y-%m-%d %H:%M %Z"))
}

fn utc(at: Timestamp) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// A moment within the day at hand: `14:03`.
pub(super) fn clock(at: Timestamp, zone: Tz) -> String {
    at.with_timezone(&zone).format("%H:%M").to_string()
}

/// A day for subjects: `22 Nov`.
pub(super) fn day(at: Timestamp, zone: Tz) -> String {
    at.with_timezone(&zone).format("%-d %b").to_string()
}

/// One or several of something.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

/// A text on one line, without characters that steer terminals, mail readers or
/// the direction of writing, and no longer than `longest` characters.
pub(super) fn line(text: &str, longest: usize) -> String {
    let tame = tame(text);
    let mut words = tame.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() > longest {
        words = words.chars().take(longest.saturating_sub(3)).collect();
        words.truncate(words.trim_end().len());
        words.push_str("...");
    }
    words
}

/// A text whose lines stay lines, and whose other control characters are gone.
pub(super) fn paragraph(text: &str) -> String {
    text.lines().map(|line| tame(line).trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn tame(text: &str) -> String {
    // U+202A..202E and U+2066..2069 turn the direction of what follows, U+200B..200F and U+FEFF are not seen.
    let hidden =
        |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    text.chars()
        .filter(|c| !hidden(*c))
        .map(|c| if c.is_control() || c == '\u{2028}' || c == '\u{2029}' { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_people_write_them() {
        let cases = [
            (0.0, Unit::Plain, "0"),
            (3.0, Unit::Plain, "3"),
            (0.123_456, Unit::Plain, "0.123"),
            (2.5, Unit::Plain, "2.5"),
            (1536.0, Unit::Bytes, "1.5 KiB"),
            (-1536.0, Unit::Bytes, "-1.5 KiB"),
            (0.8612, Unit::Ratio, "86.1 %"),
            (1.0, Unit::Ratio, "100 %"),
            (0.0042, Unit::Seconds, "4.2 ms"),
            (90.0, Unit::Seconds, "1 min 30 s"),
            (-90.0, Unit::Seconds, "1 min 30 s ago"),
            (1e30, Unit::Seconds, "11574074 d 1 h"),
            (1_795_000_000.0, Unit::UnixTime, "2026-11-18 11:06 UTC"),
            (f64::NAN, Unit::Bytes, "no value"),
            (f64::INFINITY, Unit::Ratio, "without bound"),
            (120.25, Unit::PerSecond, "120.2/s"),
        ];
        for (number, unit, text) in cases {
            assert_eq!(value(Number(number), unit), text, "{number} {unit:?}");
        }
    }

    #[test]
    fn spans_have_two_units_and_skip_empty_ones() {
        let cases =
            [(0, "0 s"), (59, "59 s"), (720, "12 min"), (14_700, "4 h 5 min"), (86_400, "1 d"), (90_060, "1 d 1 h")];
        for (seconds, text) in cases {
            assert_eq!(span(TimeDelta::seconds(seconds)), text);
        }
        assert_eq!(short_span(TimeDelta::seconds(14_700)), "4 h");
    }

    #[test]
    fn a_moment_is_told_by_both_clocks() {
        let at = "2026-11-24T23:30:00Z".parse().unwrap();
        assert_eq!(moment(at, Tz::Europe__Berlin), "2026-11-25 00:30 CET (2026-11-24 23:30 UTC)");
        assert_eq!(moment(at, Tz::UTC), "2026-11-24 23:30 UTC");
        assert_eq!(clock(at, Tz::Europe__Berlin), "00:30");
    }

    #[test]
    fn a_name_cannot_steer_what_shows_it() {
        assert_eq!(line("a\r\nBcc: x\u{1b}[2J\u{202e}gpj", 100), "a Bcc: x [2Jgpj");
        assert_eq!(line(&"x".repeat(10_000), 78).chars().count(), 78);
        assert_eq!(paragraph("a\r\nb\tc\n\nd"), "a\nb c\n\nd");
    }
}
