//! How does a number read best? Prometheus' `humanize*`, digit for digit.

use chrono::{DateTime, Utc};

use super::fmt::significant;

const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const BINARY: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];

/// Divides by `base` until the value is small enough, and says how often.
fn scaled(mut value: f64, base: f64, prefixes: &[&'static str]) -> String {
    let mut prefix = "";
    for next in prefixes {
        if value.abs() < base {
            break;
        }
        prefix = next;
        value /= base;
    }
    format!("{}{prefix}", significant(value, 4))
}

fn small(mut value: f64, unit: &str) -> String {
    let mut prefix = "";
    for next in SMALL {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = next;
        value *= 1000.0;
    }
    format!("{}{prefix}{unit}", significant(value, 4))
}

pub(super) fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        significant(value, 4)
    } else if value.abs() >= 1.0 {
        scaled(value, 1000.0, &LARGE)
    } else {
        small(value, "")
    }
}

pub(super) fn humanize1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() { significant(value, 4) } else { scaled(value, 1024.0, &BINARY) }
}

pub(super) fn percentage(value: f64) -> String {
    format!("{}%", significant(value * 100.0, 4))
}

pub(super) fn duration(value: f64) -> String {
    if !value.is_finite() {
        return significant(value, 4);
    }
    if value == 0.0 {
        return "0s".to_owned();
    }
    if value.abs() < 1.0 {
        return small(value, "s");
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let value = value.abs();
    let total = value as i64;
    let (seconds, minutes, hours, days) = (total % 60, total / 60 % 60, total / 3600 % 24, total / 86_400);
    if days != 0 {
        format!("{sign}{days}d {hours}h {minutes}m {seconds}s")
    } else if hours != 0 {
        format!("{sign}{hours}h {minutes}m {seconds}s")
    } else if minutes != 0 {
        format!("{sign}{minutes}m {seconds}s")
    } else {
        format!("{sign}{}s", significant(value, 4))
    }
}

pub(super) fn timestamp(value: f64) -> Result<String, String> {
    if !value.is_finite() {
        return Ok(significant(value, 4));
    }
    let moment = moment(value)?;
    let fraction = moment.timestamp_subsec_millis();
    let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:03}") };
    Ok(format!("{}{} +0000 UTC", moment.format("%Y-%m-%d %H:%M:%S"), fraction.trim_end_matches('0')))
}

/// Prometheus goes by nanoseconds to whole milliseconds and cuts what is left, towards zero.
fn moment(value: f64) -> Result<DateTime<Utc>, String> {
    let millis = (value * 1e9) as i128 / 1_000_000;
    let found = i64::try_from(millis).ok().and_then(DateTime::from_timestamp_millis);
    found.ok_or_else(|| format!("{value} is no time"))
}
