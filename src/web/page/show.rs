//! How are numbers and moments written for people?

use chrono::DateTime;
use maud::{Markup, html};

use crate::model::unit::{Bytes, Timestamp};

/// Bytes per second.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the sign is checked, and more is absurd")]
pub(super) fn rate(value: f64) -> String {
    format!("{}/s", Bytes::new(value.max(0.0) as u64))
}

/// Seconds of an operation.
pub(super) fn seconds(value: f64) -> String {
    match value {
        value if value < 0.001 => format!("{:.0} µs", value * 1e6),
        value if value < 0.1 => format!("{:.1} ms", value * 1e3),
        value if value < 1.0 => format!("{:.0} ms", value * 1e3),
        value => format!("{value:.1} s"),
    }
}

/// Operations per second.
pub(super) fn per_second(value: f64) -> String {
    match value {
        value if value < 10.0 => format!("{value:.1}/s"),
        value if value < 10_000.0 => format!("{value:.0}/s"),
        value if value < 10_000_000.0 => format!("{:.0} k/s", value / 1e3),
        value => format!("{:.0} M/s", value / 1e6),
    }
}

/// The time of day of a second since 1970, also in the reader's zone without the day.
pub(super) fn clock_time(second: i64) -> Markup {
    let at = DateTime::from_timestamp(second, 0).unwrap_or_default();
    html! { time data-clock="" datetime=(at.format("%Y-%m-%dT%H:%M:%SZ")) { (at.format("%H:%M UTC")) } }
}

/// A moment; the day only when it is another one than now. The script writes it in the reader's zone.
pub(super) fn moment(at: Timestamp, now: Timestamp) -> Markup {
    let text = if at.date_naive() == now.date_naive() {
        at.format("%H:%M UTC").to_string()
    } else {
        at.format("%Y-%m-%d %H:%M UTC").to_string()
    };
    html! { time datetime=(at.format("%Y-%m-%dT%H:%M:%SZ")) { (text) } }
}

/// A day.
pub(super) fn day(at: Timestamp) -> Markup {
    html! { time datetime=(at.format("%Y-%m-%d")) { (at.format("%-d %B %Y")) } }
}

/// A word of the MDM as words: `ClusteredNormal` is long for a small place.
pub(super) fn spaced(word: &str) -> String {
    let mut text = String::with_capacity(word.len() + 4);
    let mut after_small = false;
    for letter in word.chars() {
        if after_small && letter.is_ascii_uppercase() {
            text.push(' ');
        }
        after_small = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        text.push(letter);
    }
    text
}

/// A text as the value of a query.
pub(super) fn query(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// A text as one piece of a path.
pub(super) fn path(text: &str) -> String {
    query(text).replace('+', "%20")
}

/// A part of a whole in percent, with a decimal where it matters.
pub(super) fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    if percent > 0.0 && percent < 10.0 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_three_digits() {
        assert_eq!(seconds(0.000_25), "250 µs");
        assert_eq!(seconds(0.012_34), "12.3 ms");
        assert_eq!(seconds(0.25), "250 ms");
        assert_eq!(seconds(2.0), "2.0 s");
        assert_eq!(per_second(3.21), "3.2/s");
        assert_eq!(per_second(120_000.0), "120 k/s");
        assert_eq!(rate(-1.0), "0 B/s");
        assert_eq!((spaced("ClusteredNormal").as_str(), spaced("MDM").as_str()), ("Clustered Normal", "MDM"));
        assert_eq!((query("a b/c"), path("a b/+c")), ("a+b%2Fc".to_owned(), "a%20b%2F%2Bc".to_owned()));
        assert_eq!(percent(0.004), "0.4 %");
        assert_eq!(percent(0.81), "81 %");
    }
}
