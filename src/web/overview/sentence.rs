//! How is everything, in one sentence? The gravest comes first. Pure.

use super::{AlertShown, Sources, SystemShown, counted};
use crate::model::alerting::Severity;
use crate::model::overview::{RunShown, Tone};
use crate::model::unit::{Bytes, Timestamp};

/// The sentence and its tone.
pub(super) fn of(
    systems: &[SystemShown],
    alerts: &[AlertShown],
    sources: &Sources,
    framework: Option<&(Tone, String)>,
) -> (Tone, String) {
    if systems.is_empty() {
        return (Tone::Warn, "No system is configured.".to_owned());
    }
    let unheard: Vec<&str> = names(systems, |system| system.answered_at.is_none());
    let failed = total(systems, |system| system.status.data.as_ref().map_or(0, |data| data.failed_bytes));
    if failed > 0 {
        let at = names(systems, |system| system.status.data.as_ref().is_some_and(|data| data.failed_bytes > 0));
        return (Tone::Bad, format!("{} of data in {} cannot be reached.", Bytes::new(failed), join(&at)));
    }
    if !unheard.is_empty() {
        if sources.now - sources.started_at < chrono::TimeDelta::seconds(30) {
            return (Tone::Busy, format!("{} is being asked for the first time.", join(&unheard)));
        }
        return (Tone::Bad, format!("Nothing is known of {}: it does not answer.", join(&unheard)));
    }
    let silent = names(systems, |system| !system.status.up);
    if !silent.is_empty() {
        return (Tone::Bad, format!("{} does not answer in full; what is shown grows old.", join(&silent)));
    }
    let degraded = total(systems, |system| system.status.data.as_ref().map_or(0, |data| data.degraded_bytes));
    let critical = alerts.iter().filter(|shown| shown.alert.severity == Severity::Critical).count();
    if degraded > 0 {
        let ends = systems.iter().filter_map(|system| system.rebuild_ends).max();
        let tone = if critical > 0 { Tone::Bad } else { Tone::Warn };
        let data = Bytes::new(degraded);
        return (
            tone,
            format!("All data can be read, but {data} of it has one copy only{}.", rebuilt(ends, sources.now)),
        );
    }
    let unwanted = systems.iter().filter(|system| system.wanted_by.is_none());
    let problems: Vec<&String> = unwanted.flat_map(|system| &system.status.problems).collect();
    if let Some(first) = problems.first() {
        let more = match problems.len() - 1 {
            0 => String::new(),
            more => format!(", and {} more", counted(more, "problem")),
        };
        let tone = if critical > 0 { Tone::Bad } else { Tone::Warn };
        return (tone, format!("All data has all its copies, but {first}{more}."));
    }
    if let Some(first) = alerts.iter().find(|shown| is_news(shown)) {
        let tone = if first.alert.severity == Severity::Critical { Tone::Bad } else { Tone::Warn };
        let fire = alerts.iter().filter(|shown| is_news(shown)).count();
        let verb = if fire == 1 { "fires" } else { "fire" };
        return (tone, format!("All data has all its copies; {} {verb}.", counted(fire, "alert")));
    }
    if let Some(problem) = sources.problems.first() {
        return (Tone::Warn, format!("Storage is healthy, but the controller is not: {problem}."));
    }
    if let Some(to) = sources.receivers.iter().find(|to| !to.problems.is_empty()) {
        return (Tone::Warn, format!("Storage is healthy, but alerts may not be heard by {}.", to.name));
    }
    if let Some((Tone::Bad, text)) = framework {
        return (Tone::Warn, format!("Storage is healthy, but Mesos is not: {text}."));
    }
    let who = match systems {
        [one] => format!("{} is healthy", one.status.system),
        all => format!("All {} systems are healthy", all.len()),
    };
    let known = systems.iter().all(|system| system.status.data.is_some());
    let healthy = if known { format!("{who}: all data has all its copies") } else { who };
    let is_shown = |run: &&RunShown| systems.iter().any(|system| run.system.as_deref() == Some(&system.status.system));
    match sources.works.runs.iter().find(is_shown) {
        None => (Tone::Good, format!("{healthy}.")),
        Some(run) => (run.tone.max(Tone::Busy), format!("{healthy}; {}.", under_way(run, systems.len() > 1))),
    }
}

/// `the upgrade to R3_6.1 goes on, 3 of 36 steps are done`.
fn under_way(run: &RunShown, several: bool) -> String {
    let of = run.system.as_ref().filter(|_| several).map(|system| format!(" of {system}")).unwrap_or_default();
    format!("{}{of} {}, {} of {} are done", run.what, run.state, run.done, counted(run.total, "step"))
}

/// Whether people may not know of it yet.
fn is_news(shown: &AlertShown) -> bool {
    let known = shown.handled.as_ref().is_some_and(|handled| handled.muted.is_some() || handled.acknowledged.is_some());
    shown.alert.severity >= Severity::Warning && !known
}

fn names(systems: &[SystemShown], which: impl Fn(&SystemShown) -> bool) -> Vec<&str> {
    systems.iter().filter(|system| which(system)).map(|system| system.status.system.as_str()).collect()
}

fn total(systems: &[SystemShown], of: impl Fn(&SystemShown) -> u64) -> u64 {
    systems.iter().map(of).fold(0, u64::saturating_add)
}

fn join(names: &[&str]) -> String {
    match names {
        [one] => (*one).to_owned(),
        [one, two] => format!("{one} and {two}"),
        [one, two, rest @ ..] => format!("{one}, {two} and {} more", rest.len()),
        [] => String::new(),
    }
}

fn rebuilt(ends: Option<Timestamp>, now: Timestamp) -> String {
    match ends {
        Some(ends) => format!("; at this rate the rebuild ends within {}", span(ends - now)),
        None => "; no rebuild moves it".to_owned(),
    }
}

/// A span as people say it.
fn span(delta: chrono::TimeDelta) -> String {
    match delta.num_seconds() {
        ..=59 => "a minute".to_owned(),
        60..=5_399 => format!("{} minutes", (delta.num_seconds() + 59) / 60),
        5_400..=172_799 => format!("{} hours", (delta.num_minutes() + 30) / 60),
        _ => format!("{} days", (delta.num_hours() + 12) / 24),
    }
}
