//! What is begun by the calendar? The sections `jobs`.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;

use super::section::{Complaint, Found, Section, complain};
use crate::model::chore::Chore;
use crate::model::cron::CronLine;
use crate::model::id::{NodeName, SystemId};
use crate::model::lifecycle::in_words;
use crate::model::plan::{Request, Risk};
use crate::model::schedule::{Missed, Overlap, Schedule};
use crate::model::step::{MaintenanceMode, StepKind};
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
    pub asks: Asks,
    /// Within what it is carried out without another yes; none: it is only proposed.
    pub standing: Option<Standing>,
}

/// What a job is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Work on a system: a plan, and a run of it.
    Work(Request),
    /// A look, or a copy. Nothing is changed.
    Chore(Chore),
}

impl Asks {
    /// Its kind, as the configuration writes it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Work(Request::Maintain { .. }) => "maintenance",
            Self::Work(request) => request.as_str(),
            Self::Chore(chore) => chore.as_str(),
        }
    }

    /// What it is, in words.
    pub fn in_words(&self) -> String {
        match self {
            Self::Work(request) => in_words(request),
            Self::Chore(chore) => chore.in_words(),
        }
    }
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
    /// Steps that were only concluded and are accepted.
    pub accept: BTreeSet<StepKind>,
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
    let asks = asks(&mut section);
    // What is of the whole controller is kept with the first system.
    let of_all = |asks: &Asks| {
        matches!(
            asks,
            Asks::Chore(Chore::RuleSelfTest | Chore::StateBackup { .. } | Chore::ArtefactPrefetch { to: None, .. })
        )
    };
    let system = match system {
        None if asks.as_ref().is_some_and(of_all) => systems.first().cloned(),
        None if systems.len() > 1 && !section.said("system") => {
            section.note("system", complain("there are several systems", "say which one"));
            None
        }
        system => system,
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
        // What changes nothing is also done while no work may be.
        calendar: match asks {
            Some(Asks::Chore(_)) => Calendar::default(),
            Some(Asks::Work(_)) | None => calendar.clone(),
        },
    };
    Some(Job { system, schedule, asks: asks?, standing })
}

/// The kinds of jobs.
const KINDS: [&str; 10] = [
    "upgrade",
    "reboot",
    "maintenance",
    "finalise",
    "health_check",
    "capacity_report",
    "certificate_check",
    "rule_self_test",
    "artefact_prefetch",
    "state_backup",
];

/// What is asked for by this word is done by hand.
const SECRETS: &str = "secret_rotation";

/// Certificates are renewed by people, who need weeks.
const CERTIFICATE_DAYS: u64 = 30;

/// Two weeks of nights.
const BACKUPS: u64 = 14;

/// What a job asks for. Without a kind, `upgrade_to` and `reboot` say it themselves.
fn asks(section: &mut Section<'_>) -> Option<Asks> {
    let kind = section.take("kind", |found| {
        let kind = found.text()?;
        if kind == SECRETS {
            return Err(complain(
                "secrets are changed by a person, not by the calendar",
                "see \"Change secrets\" in docs/operations.md; a job of kind certificate_check tells what ends by itself",
            ));
        }
        KINDS.into_iter().find(|known| *known == kind).ok_or_else(|| {
            complain(format!("{kind:?} is no kind of job"), format!("write one of {}", KINDS.join(", ")))
        })
    });
    let kind = match kind {
        Some(kind) => kind,
        None if section.said("kind") => return None,
        None if section.has("upgrade_to") && !section.has("reboot") => "upgrade",
        None if section.has("reboot") && !section.has("upgrade_to") => "reboot",
        None => {
            let mend = r#"write kind = "health_check", or upgrade_to = "VERSION", or reboot = "NODE""#;
            section.note_self(complain("a job asks for one thing", mend));
            return None;
        }
    };
    let text = |found: &Found<'_>| match found.text()? {
        "" => Err(complain("nothing is said", "write a text")),
        text => Ok(text.to_owned()),
    };
    let nodes = |section: &mut Section<'_>| {
        section.take("nodes", |found| Ok(found.list()?.into_iter().map(NodeName::new).collect())).unwrap_or_default()
    };
    let node = r#"write node = "node-1""#;
    Some(match kind {
        "upgrade" => {
            let to = section.require("upgrade_to", r#"write upgrade_to = "R3_6.700.103""#, text);
            let only = nodes(section);
            Asks::Work(Request::Upgrade { to: to?.into(), only })
        }
        "finalise" => {
            let to = section.require("upgrade_to", r#"write upgrade_to = "R3_6.700.103""#, text);
            Asks::Work(Request::Finalise { to: to?.into() })
        }
        "reboot" => {
            let node = section.require("reboot", r#"write reboot = "node-1""#, text);
            Asks::Work(Request::Reboot { node: NodeName::new(&node?) })
        }
        "maintenance" => {
            let node = section.require("node", node, text);
            let time = section.require("time", r#"say for how long: time = "20m""#, |found| found.duration());
            let purpose = section.require("why", r#"say what for: why = "firmware""#, text);
            let mode = section.take("mode", |found| mode(found.text()?));
            let minutes = u32::try_from(time?.as_secs().div_ceil(60)).unwrap_or(u32::MAX);
            Asks::Work(Request::Maintain { node: NodeName::new(&node?), mode, minutes, purpose: purpose?.into() })
        }
        "capacity_report" => Asks::Chore(Chore::CapacityReport),
        "certificate_check" => {
            let days = section.take("days", |found| match found.number()? {
                days @ 1..=3650 => Ok(days),
                _ => Err(complain("that is no number of days before an end", "write 1 to 3650")),
            });
            let days = u32::try_from(days.unwrap_or(CERTIFICATE_DAYS)).unwrap_or(u32::MAX);
            Asks::Chore(Chore::CertificateCheck { days })
        }
        "rule_self_test" => Asks::Chore(Chore::RuleSelfTest),
        "artefact_prefetch" => {
            let to = section.take("upgrade_to", text);
            let only = nodes(section);
            Asks::Chore(Chore::ArtefactPrefetch { to: to.map(Into::into), only })
        }
        "state_backup" => {
            let folder = section.require("folder", r#"say where to: folder = "/backup/sio""#, |found| found.path());
            let keep = section.take("keep", |found| match found.number()? {
                keep @ 1..=1000 => Ok(keep),
                _ => Err(complain("that is no number of copies to keep", "write 1 to 1000")),
            });
            let keep = usize::try_from(keep.unwrap_or(BACKUPS)).unwrap_or(usize::MAX);
            Asks::Chore(Chore::StateBackup { folder: folder?, keep })
        }
        _ => Asks::Chore(Chore::HealthCheck),
    })
}

fn mode(word: &str) -> Result<MaintenanceMode, Complaint> {
    MaintenanceMode::named(word)
        .ok_or_else(|| complain(format!("{word:?} is no mode"), r#"write "instant" or "protected""#))
}

fn standing(mut section: Section<'_>) -> Option<Standing> {
    let by = section.require("by", r#"say who gives it: by = "ada""#, |found| found.text().map(str::to_owned));
    let until = section.require("until", r#"say until when: until = "2027-01-31T00:00:00Z""#, |found| {
        let text = found.text()?;
        text.parse::<Timestamp>()
            .map_err(|_| complain(format!("{text:?} is no moment"), r#"write "2027-01-31T00:00:00Z""#))
    });
    let modes = section.take("modes", |found| found.list()?.into_iter().map(mode).collect::<Result<BTreeSet<_>, _>>());
    let risk = section.take("max_risk", |found| match found.text()? {
        "none" => Ok(Risk::None),
        "low" => Ok(Risk::Low),
        "medium" => Ok(Risk::Medium),
        other => Err(complain(
            format!("{other:?} is no risk that may be approved beforehand"),
            r#"write "none", "low" or "medium""#,
        )),
    });
    let accept = section.take("accept_unproven", |found| {
        let read = |word: &str| {
            let known = StepKind::ALL.into_iter().find(|step| step.as_str() == word);
            known.ok_or_else(|| complain(format!("{word:?} is no step"), r#"write "enter_maintenance""#))
        };
        found.list()?.into_iter().map(read).collect::<Result<BTreeSet<_>, _>>()
    });
    section.finish();
    let modes = modes.unwrap_or_else(|| [MaintenanceMode::Instant, MaintenanceMode::Protected].into());
    Some(Standing {
        by: by?.into(),
        until: until?,
        modes,
        max_risk: risk.unwrap_or(Risk::Medium),
        accept: accept.unwrap_or_default(),
    })
}
