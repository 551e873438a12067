//! What is begun by the calendar? The sections `jobs`.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;

use super::section::{Found, Section, complain};
use crate::model::cron::CronLine;
use crate::model::id::{NodeName, SystemId};
use crate::model::plan::{Request, Risk};
use crate::model::schedule::{Missed, Overlap, Schedule};
use crate::model::step::MaintenanceMode;
use crate::model::unit::Timestamp;
use crate::model::window::{Calendar, Zone};

/// `[[jobs]]`: what is asked for at its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Which system; none when there is only one.
    pub system: Option<SystemId>,
    /// When.
    pub schedule: Schedule,
    /// What.
    pub request: Request,
    /// Within what it is carried out without another yes; none: it is only proposed.
    pub standing: Option<Standing>,
}

/// `approval`: a yes that was given beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Who gave it.
    pub by: Box<str>,
    /// Until when it holds.
    pub until: Timestamp,
    /// Kinds of maintenance that it allows.
    pub modes: BTreeSet<MaintenanceMode>,
    /// The worst that a step may cost.
    pub max_risk: Risk,
}

/// A job that is later than this was missed.
const LATE: Duration = Duration::from_secs(30 * 60);

/// A delay longer than this is another time.
const LONGEST: Duration = Duration::from_secs(86_400);

pub(super) fn read(root: &mut Section<'_>, calendar: &Calendar, systems: &BTreeSet<SystemId>) -> Vec<Job> {
    let mut names = BTreeSet::new();
    let jobs =
        root.list_of_sections("jobs").into_iter().filter_map(|section| job(section, calendar, systems, &mut names));
    jobs.collect()
}

fn job(
    mut section: Section<'_>,
    calendar: &Calendar,
    systems: &BTreeSet<SystemId>,
    names: &mut BTreeSet<String>,
) -> Option<Job> {
    let name = section.require("name", r#"name it, such as "nightly-upgrade""#, |found| {
        let name = found.text()?;
        let tame = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        if name.is_empty() || name.len() > 63 || !name.chars().all(tame) {
            return Err(complain(format!("{name:?} is no name of a job"), "write a-z, 0-9, - and _, at most 63"));
        }
        Ok(name.to_owned())
    });
    if let Some(name) = &name
        && !names.insert(name.clone())
    {
        section.note("name", complain(format!("the name {name:?} is taken"), "write another one"));
    }
    let zone = section.take("time_zone", |found| {
        let name = found.text()?;
        Zone::named(name).ok_or_else(|| {
            complain(format!("{name:?} is no IANA time zone"), r#"write a place, such as "Europe/Berlin""#)
        })
    });
    let zone = zone.unwrap_or(Zone::UTC);
    let line = section.require("cron", r#"say when, such as cron = "30 2 * * SAT""#, |found| {
        CronLine::parse(found.text()?, zone)
            .map_err(|error| complain(error.to_string(), "see `cron` of [[jobs]] in the example"))
    });
    let system = section.take("system", |found| {
        let system = SystemId::new(found.text()?);
        if systems.contains(&system) {
            return Ok(system);
        }
        let known: Vec<&str> = systems.iter().map(SystemId::as_str).collect();
        Err(complain(format!("no system {system} is configured"), format!("write one of {}", known.join(", "))))
    });
    if system.is_none() && systems.len() > 1 && !section.said("system") {
        section.note("system", complain("there are several systems", "say which one"));
    }
    let span = |found: &Found<'_>| match found.duration()? {
        span if span <= LONGEST => Ok(span),
        _ => Err(complain("longer than a day", r#"write "10m""#)),
    };
    let jitter = section.take("jitter", span).unwrap_or_default();
    let late = section.take("late", span).unwrap_or(LATE);
    let missed = section.take("missed", |found| match found.text()? {
        "skip" => Ok(Missed::Skip),
        "once" => Ok(Missed::Once),
        other => Err(complain(format!("{other:?} is nothing to do about a missed time"), r#"write "skip" or "once""#)),
    });
    let overlap = section.take("overlap", |found| match found.text()? {
        "skip" => Ok(Overlap::Skip),
        "wait" => Ok(Overlap::Wait),
        other => Err(complain(format!("{other:?} is nothing to do while a run is open"), r#"write "skip" or "wait""#)),
    });
    let to = section.take("upgrade_to", |found| found.text().map(str::to_owned));
    let reboot = section.take("reboot", |found| found.text().map(str::to_owned));
    let nodes = section.take("nodes", |found| Ok(found.list()?.into_iter().map(NodeName::new).collect()));
    let request = match (to, reboot) {
        (Some(to), None) => Some(Request::Upgrade { to: to.into(), only: nodes.unwrap_or_default() }),
        (None, Some(node)) => Some(Request::Reboot { node: NodeName::new(&node) }),
        (Some(_), Some(_)) | (None, None) => {
            section
                .note_self(complain("a job asks for one thing", r#"write upgrade_to = "VERSION" or reboot = "NODE""#));
            None
        }
    };
    let standing = section.optional_section("approval").and_then(standing);
    section.finish();
    let delta = |span: Duration| TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX);
    let schedule = Schedule {
        name: name?.into(),
        line: line?,
        jitter: delta(jitter),
        late: delta(late),
        missed: missed.unwrap_or_default(),
        overlap: overlap.unwrap_or_default(),
        calendar: calendar.clone(),
    };
    Some(Job { system, schedule, request: request?, standing })
}

fn standing(mut section: Section<'_>) -> Option<Standing> {
    let by = section.require("by", r#"say who gives it: by = "ada""#, |found| found.text().map(str::to_owned));
    let until = section.require("until", r#"say until when: until = "2027-01-31T00:00:00Z""#, |found| {
        let text = found.text()?;
        text.parse::<Timestamp>()
            .map_err(|_| complain(format!("{text:?} is no moment"), r#"write "2027-01-31T00:00:00Z""#))
    });
    let modes = section.take("modes", |found| {
        let read = |word: &str| match word {
            "instant" => Ok(MaintenanceMode::Instant),
            "protected" => Ok(MaintenanceMode::Protected),
            other => Err(complain(format!("{other:?} is no mode"), r#"write "instant" or "protected""#)),
        };
        found.list()?.into_iter().map(read).collect::<Result<BTreeSet<_>, _>>()
    });
    let risk = section.take("max_risk", |found| match found.text()? {
        "none" => Ok(Risk::None),
        "low" => Ok(Risk::Low),
        "medium" => Ok(Risk::Medium),
        other => Err(complain(
            format!("{other:?} is no risk that may be approved beforehand"),
            r#"write "none", "low" or "medium""#,
        )),
    });
    section.finish();
    let modes = modes.unwrap_or_else(|| [MaintenanceMode::Instant, MaintenanceMode::Protected].into());
    Some(Standing { by: by?.into(), until: until?, modes, max_risk: risk.unwrap_or(Risk::Medium) })
}
