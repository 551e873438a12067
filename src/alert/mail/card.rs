//! What a mail says of one alert, and of whom it hurts.

use chrono_tz::Tz;

use super::page::{Card, Fact, Link, Tag, Tone, fact};
use super::{Settings, show, subject};
use crate::model::alerting::{Affected, Alert, AlertState, Item, Reading, Severity, Silence, Source};
use crate::model::unit::Timestamp;

/// More names than this are told by their number.
const NAMES: usize = 12;

/// Silences of one alert that are told.
const SILENCES: usize = 3;

/// A name of an object may have any length; a mail shows so much of it.
const NAME: usize = 120;

pub(super) fn card(item: &Item, settings: &Settings, at: Timestamp) -> Card {
    let alert = &item.alert;
    let mut facts = Vec::new();
    times(&mut facts, alert, settings, at);
    if let Some(reading) = &alert.reading {
        reading_facts(&mut facts, reading, alert.is_resolved());
    }
    hurt(&mut facts, &item.hurt);
    handling(&mut facts, item, settings);
    if let Source::Mdm { text, repair } = &alert.source {
        facts.push(fact("MDM says", show::line(text, 4000)));
        if let Some(repair) = repair {
            facts.push(fact("MDM advises", show::line(repair, 4000)));
        }
    }
    let labels = labels(alert);
    if !labels.is_empty() {
        facts.push(fact("Labels", labels));
    }
    facts.push(fact("Alert", show::line(&alert.name, NAME)));
    Card {
        tag: tag(alert),
        title: subject::summary(alert),
        // What to do about it helps nobody once it is over.
        text: if alert.is_resolved() { String::new() } else { show::paragraph(&alert.annotations.description) },
        facts,
        links: alert.annotations.runbook_url.iter().filter_map(|url| Link::new("Runbook", url)).collect(),
    }
}

/// One line about an alert, where there is no room for more.
pub(super) fn sentence(alert: &Alert, settings: &Settings, at: Timestamp) -> String {
    let summary = subject::summary(alert);
    let word = tag(alert).word;
    match subject::lasted(alert) {
        Some(span) => format!("{word}: {summary}, after {}", show::span(span)),
        None => format!(
            "{word}: {summary}, since {}, {}",
            show::moment(alert.active_since, settings.time_zone),
            show::span(at - alert.active_since)
        ),
    }
}

pub(super) fn tag(alert: &Alert) -> Tag {
    if alert.is_resolved() {
        Tag { word: format!("RESOLVED ({})", alert.severity), tone: Tone::Good }
    } else {
        severity(alert.severity)
    }
}

pub(super) fn severity(severity: Severity) -> Tag {
    let tone = match severity {
        Severity::Critical => Tone::Critical,
        Severity::Warning => Tone::Warning,
        Severity::Info => Tone::Info,
    };
    Tag { word: severity.as_str().to_uppercase(), tone }
}

fn times(facts: &mut Vec<Fact>, alert: &Alert, settings: &Settings, at: Timestamp) {
    let zone = settings.time_zone;
    let began = show::moment(alert.active_since, zone);
    match &alert.state {
        AlertState::Pending | AlertState::Firing { .. } => {
            facts.push(fact("Started", format!("{began}, {} ago", show::span(at - alert.active_since))));
        }
        AlertState::Resolved { resolved_at, ended_by, .. } => {
            facts.push(fact("Started", began));
            facts.push(fact("Ended", show::moment(*resolved_at, zone)));
            facts.push(fact("Lasted", show::span(*resolved_at - alert.active_since)));
            let cause = ended_by.as_deref().map_or_else(|| "not known".to_owned(), |cause| show::line(cause, 500));
            facts.push(fact("Ended by", cause));
        }
    }
}

fn reading_facts(facts: &mut Vec<Fact>, reading: &Reading, over: bool) {
    let limit = reading.threshold.map(|limit| format!(" (limit {})", show::value(limit, reading.unit)));
    let value = format!("{}{}", show::value(reading.value, reading.unit), limit.unwrap_or_default());
    facts.push(fact(if over { "Last value" } else { "Value" }, value));
    if let Some(peak) = reading.peak {
        facts.push(fact("Peak", show::value(peak, reading.unit)));
    }
}

/// Who depends on it: true whether it is broken already or only close to it.
fn hurt(facts: &mut Vec<Fact>, hurt: &Affected) {
    let kinds = [
        ("Volumes on it", &hurt.volumes, hurt.more_volumes),
        ("Clients", &hurt.clients, hurt.more_clients),
        ("Tasks", &hurt.tasks, 0),
        ("Apps", &hurt.apps, 0),
    ];
    for (kind, names, more) in kinds {
        if !names.is_empty() {
            facts.push(fact(kind, list(names, more)));
        }
    }
}

/// Who works on it, and who said that nobody shall hear of it.
fn handling(facts: &mut Vec<Fact>, item: &Item, settings: &Settings) {
    let zone = settings.time_zone;
    if let Some(by) = &item.acknowledged {
        let mut text = format!("by {} at {}", show::line(&by.by, NAME), show::moment(by.at, zone));
        if let Some(until) = by.until {
            text.push_str(&format!(", until {}", show::moment(until, zone)));
        }
        if !by.comment.is_empty() {
            text.push_str(&format!(": {}", show::line(&by.comment, 500)));
        }
        facts.push(fact("Acknowledged", text));
    }
    facts.extend(item.silences.iter().take(SILENCES).map(|silence| fact("Silenced", silenced(silence, zone))));
}

/// A silence in one sentence.
pub(super) fn silenced(silence: &Silence, zone: Tz) -> String {
    let (owner, reason) = (show::line(&silence.owner, NAME), show::line(&silence.reason, 300));
    format!(
        "by {owner} until {}: {reason} ({}, {})",
        show::moment(silence.until, zone),
        silence.id,
        show::line(&silence.what(), 300)
    )
}

fn list(names: &[String], more: usize) -> String {
    let all = names.len() + more;
    let mut shown: Vec<String> = names.iter().take(NAMES).map(|name| show::line(name, NAME)).collect();
    if let Some(more) = all.checked_sub(NAMES).filter(|more| *more > 0) {
        shown.push(format!("{more} more"));
    }
    format!("{} ({all})", shown.join(", "))
}

/// The labels that say more than name, severity and system do, which stand elsewhere.
fn labels(alert: &Alert) -> String {
    let told = alert.labels.iter().filter(|(name, _)| !matches!(name.as_str(), "alertname" | "severity" | "system"));
    let texts = told.map(|(name, value)| format!("{}={}", show::line(name, NAME), show::line(value, NAME)));
    texts.collect::<Vec<_>>().join(", ")
}
