//! Which alert rules are evaluated, with which numbers, and for which objects
//! with others? The section `alerts`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::problem::Place;
use super::section::{Complaint, Found, Section, complain};
use crate::model::alerting::{Measure, Severity, THRESHOLDS, Threshold};

/// `[alerts]`: which rules are evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Alerts {
    /// Whether rules are evaluated here at all; not where a Prometheus does it.
    pub enabled: bool,
    /// Whether the rules that the program brings along are among them.
    pub shipped: bool,
    /// More rule files, in Prometheus' format. One with the name of a shipped file replaces it.
    pub files: Vec<PathBuf>,
    /// Every threshold by its name; times are in seconds.
    pub thresholds: BTreeMap<&'static str, f64>,
    /// Changes to single alerts, for some objects or for all.
    pub overrides: Vec<Override>,
}

impl Default for Alerts {
    fn default() -> Self {
        let thresholds = THRESHOLDS.iter().map(|threshold| (threshold.key, threshold.default)).collect();
        Self { enabled: true, shipped: true, files: Vec::new(), thresholds, overrides: Vec::new() }
    }
}

/// `[[alerts.override]]`: one alert as it is for some objects.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// The name of the alert.
    pub alert: String,
    /// Labels of the objects; none for all of them.
    pub matches: BTreeMap<String, String>,
    /// Whether the alert is left out.
    pub off: bool,
    /// What it compares with.
    pub threshold: Option<Limit>,
    /// How long its condition must hold.
    pub hold: Option<Duration>,
    /// How bad it is.
    pub severity: Option<Severity>,
    /// Where it was said.
    pub place: Place,
}

/// A threshold before it is known what it is measured in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// A number without a unit.
    Number(f64),
    /// A time.
    Time(Duration),
}

impl Limit {
    /// Its value for this threshold, which tells the unit; none when it does not fit.
    pub fn of(self, threshold: &Threshold) -> Option<f64> {
        let value = match (self, threshold.measure) {
            (Self::Number(value), Measure::Ratio | Measure::Number) => value,
            (Self::Time(time), Measure::Time) => time.as_secs_f64(),
            _ => return None,
        };
        Some(value).filter(|value| threshold.takes(*value))
    }
}

pub(super) fn read(mut section: Section<'_>) -> Alerts {
    let default = Alerts::default();
    let enabled = section.take("enabled", |found| found.flag());
    let shipped = section.take("shipped", |found| found.flag());
    let files = section.take("files", |found| found.paths());
    let thresholds = thresholds(section.section("thresholds"));
    let overrides = section.list_of_sections("override").into_iter().filter_map(an_override).collect();
    section.finish();
    Alerts {
        enabled: enabled.unwrap_or(default.enabled),
        shipped: shipped.unwrap_or(default.shipped),
        files: files.unwrap_or(default.files),
        thresholds,
        overrides,
    }
}

fn thresholds(mut section: Section<'_>) -> BTreeMap<&'static str, f64> {
    let mut values = BTreeMap::new();
    for threshold in THRESHOLDS {
        let value = section.take(threshold.key, |found| {
            let value = limit(found)?.of(threshold);
            value.ok_or_else(|| complain(format!("{} is expected", threshold.measure), example(threshold)))
        });
        values.insert(threshold.key, value.unwrap_or(threshold.default));
    }
    section.finish();
    values
}

fn example(threshold: &Threshold) -> String {
    match threshold.measure {
        Measure::Ratio | Measure::Number => format!("write {}", threshold.default),
        Measure::Time => {
            let time = Duration::from_secs_f64(threshold.default);
            format!("write {:?}", humantime::format_duration(time).to_string())
        }
    }
}

fn limit(found: &Found<'_>) -> Result<Limit, Complaint> {
    if let Ok(number) = found.decimal() {
        return Ok(Limit::Number(number));
    }
    found
        .duration()
        .map(Limit::Time)
        .map_err(|_| complain("a number, or a time with its unit, is expected", r#"write 0.85, or "50ms" in quotes"#))
}

fn an_override(mut section: Section<'_>) -> Option<Override> {
    let place = section.place();
    let alert = section.require("alert", "name the alert, such as \"ScaleioVolumeLatencyHigh\"", |found| {
        found.text().map(str::to_owned)
    });
    let matches = section.optional_section("match").map(Section::texts).unwrap_or_default();
    let off = section.take("off", |found| found.flag()).unwrap_or(false);
    let threshold = section.take("threshold", limit);
    let hold = section.take("for", |found| match found.text()? {
        "0" | "0s" => Ok(Duration::ZERO),
        _ => found.duration(),
    });
    let severity = section.take("severity", |found| {
        let text = found.text()?;
        Severity::ALL
            .into_iter()
            .find(|severity| severity.as_str() == text)
            .ok_or_else(|| complain(format!("{text:?} is no severity"), r#"write "critical", "warning" or "info""#))
    });
    let said = ["threshold", "for", "severity"].into_iter().any(|key| section.said(key));
    if off && said {
        section.note("off", complain("an alert that is off has nothing else", "remove the other keys, or `off`"));
    }
    if !off && !said {
        section.note_self(complain("the override changes nothing", "say threshold, for, severity or off = true"));
    }
    section.finish();
    Some(Override { alert: alert?, matches, off, threshold, hold, severity, place })
}
