//! What may be done to systems without asking, when, and how carefully? The section `lifecycle`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{NaiveDate, NaiveTime};

use super::receiver::{self, AlertGate};
use super::section::{Complaint, Found, Section, complain};
use crate::model::lifecycle::Mode;
use crate::model::window::{Blackout, Calendar, Day, Window, Zone};

/// `[lifecycle]`: upgrades, restarts and maintenances.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    /// What is done at all.
    pub mode: Mode,
    /// When a node may be begun.
    pub calendar: Calendar,
    /// All must be well for so long after a node.
    pub soak: Duration,
    /// Tasks that may fail before a run halts.
    pub failures: u32,
    /// Longest time in maintenance before it is ended and an alert fires.
    pub maintenance: Duration,
    /// Nodes of one fault set that may be worked on at once.
    pub at_once: u32,
    /// Protection domains in which nodes may be worked on at once.
    pub domains_at_once: u32,
    /// Whether hosts are restarted with an upgrade.
    pub reboots: bool,
    /// Free bytes that a pool must have beyond what the loss of a fault unit needs.
    pub margin: u64,
    /// Where the history goes too; none: nowhere.
    pub syslog: Option<Syslog>,
    /// The site's own Alertmanager, whose alerts hold all work; none: only our rules do.
    pub alertmanager: Option<AlertGate>,
}

/// A system log that takes lines of RFC 5424.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Syslog {
    /// A socket on this host, such as `/dev/log`.
    Unix(PathBuf),
    /// `host:port`, one datagram a line.
    Udp(String),
    /// `host:port`, each line after its length.
    Tcp(String),
}

impl std::fmt::Display for Syslog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Udp(address) => write!(f, "udp://{address}"),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

fn syslog_at(text: &str) -> Result<Syslog, Complaint> {
    let mend = r#"write "unix:/dev/log", "udp://log.example.com:514" or "tcp://log.example.com:601""#;
    let wrong = || complain(format!("{text:?} is no place of a system log"), mend);
    if let Some(path) = text.strip_prefix("unix:") {
        let path = PathBuf::from(path);
        return if path.is_absolute() { Ok(Syslog::Unix(path)) } else { Err(wrong()) };
    }
    let (kind, address) = text.split_once("://").ok_or_else(wrong)?;
    let has_port = address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    match kind {
        "udp" if has_port => Ok(Syslog::Udp(address.to_owned())),
        "tcp" if has_port => Ok(Syslog::Tcp(address.to_owned())),
        _ => Err(wrong()),
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            calendar: Calendar::default(),
            soak: Duration::from_secs(300),
            failures: 1,
            // Instant mode is made for less than 30 minutes.
            maintenance: Duration::from_secs(1800),
            at_once: 1,
            domains_at_once: 1,
            reboots: false,
            margin: 0,
            syslog: None,
            alertmanager: None,
        }
    }
}

const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn read(mut section: Section<'_>) -> Lifecycle {
    let default = Lifecycle::default();
    let mode = section.take("mode", |found| match found.text()? {
        "observe" => Ok(Mode::Observe),
        "propose" => Ok(Mode::Propose),
        "act" => Ok(Mode::Act),
        other => Err(complain(
            format!("{other:?} is no way to work"),
            r#"write "observe" (nothing is done), "propose" (what a person approved is done) or "act" (standing approvals too)"#,
        )),
    });
    let span = |found: &Found<'_>| match found.duration()? {
        span if (Duration::from_secs(1)..=DAY).contains(&span) => Ok(span),
        _ => Err(complain("not between 1s and 24h", r#"write "5m""#)),
    };
    let soak = section.take("soak", span);
    let maintenance = section.take("maintenance", span);
    let few = |most: u64| {
        move |found: &Found<'_>| {
            let number = found.number()?;
            u32::try_from(number)
                .ok()
                .filter(|number| (1..=most).contains(&u64::from(*number)))
                .ok_or_else(|| complain(format!("not between 1 and {most}"), "write 1"))
        }
    };
    let failures = section.take("failures", few(1000));
    let at_once = section.take("at_once", few(64));
    let domains_at_once = section.take("domains_at_once", few(64));
    let reboots = section.take("reboots", |found| found.flag());
    let margin = section.take("margin_gib", |found| {
        found.number()?.checked_mul(1 << 30).ok_or_else(|| complain("the number is too large", "write 100"))
    });
    let alertmanager = section.optional_section("alertmanager").and_then(receiver::alert_gate);
    let syslog = section.take("syslog", |found| syslog_at(found.text()?));
    let zone = section.take("time_zone", zone).unwrap_or(Zone::UTC);
    let least = soak.unwrap_or(default.soak);
    let windows =
        section.list_of_sections("window").into_iter().filter_map(|window| self::window(window, zone, least)).collect();
    let blackouts = section
        .list_of_sections("blackout")
        .into_iter()
        .filter_map(|blackout| self::blackout(blackout, zone))
        .collect();
    section.finish();
    Lifecycle {
        mode: mode.unwrap_or(default.mode),
        calendar: Calendar { windows, blackouts },
        soak: soak.unwrap_or(default.soak),
        failures: failures.unwrap_or(default.failures),
        maintenance: maintenance.unwrap_or(default.maintenance),
        at_once: at_once.unwrap_or(default.at_once),
        domains_at_once: domains_at_once.unwrap_or(default.domains_at_once),
        reboots: reboots.unwrap_or(default.reboots),
        margin: margin.unwrap_or(default.margin),
        syslog,
        alertmanager,
    }
}

fn zone(found: &Found<'_>) -> Result<Zone, Complaint> {
    let name = found.text()?;
    Zone::named(name)
        .ok_or_else(|| complain(format!("{name:?} is no IANA time zone"), r#"write a place, such as "Europe/Berlin""#))
}

fn window(mut section: Section<'_>, zone: Zone, least: Duration) -> Option<Window> {
    let days = section.require("days", r#"write days = ["sat", "sun"]"#, |found| {
        let mut days = BTreeSet::new();
        for word in found.list()? {
            days.insert(match word.to_lowercase().get(..3) {
                Some("mon") => Day::Mon,
                Some("tue") => Day::Tue,
                Some("wed") => Day::Wed,
                Some("thu") => Day::Thu,
                Some("fri") => Day::Fri,
                Some("sat") => Day::Sat,
                Some("sun") => Day::Sun,
                _ => return Err(complain(format!("{word:?} is no day"), r#"write "mon", "tue" and so on"#)),
            });
        }
        if days.is_empty() { Err(complain("a window needs a day", r#"write ["sat"]"#)) } else { Ok(days) }
    });
    let time = |found: &Found<'_>| {
        let text = found.text()?;
        NaiveTime::parse_from_str(text, "%H:%M")
            .map_err(|_| complain(format!("{text:?} is no time of the day"), r#"write "22:00""#))
    };
    let from = section.require("from", r#"write from = "22:00""#, time);
    let until = section.require("until", r#"write until = "04:00""#, time);
    if let (Some(from), Some(until)) = (from, until) {
        // One that ends when it begins is open for a day; one that ends before is open past midnight.
        let length = (until - from).to_std().unwrap_or_else(|_| DAY - (from - until).to_std().unwrap_or_default());
        if !length.is_zero() && length <= least {
            let what = format!(
                "the window is open for {}, and each node is watched for {} after its work, so none could ever be begun",
                humantime::format_duration(length),
                humantime::format_duration(least)
            );
            section.note("until", complain(what, "close it later, or set lifecycle.soak to less"));
        }
    }
    let own = section.take("time_zone", self::zone);
    section.finish();
    Some(Window { days: days?, from: from?, until: until?, zone: own.unwrap_or(zone) })
}

fn blackout(mut section: Section<'_>, zone: Zone) -> Option<Blackout> {
    let name = section.require("name", r#"name it, such as "year end""#, |found| found.text().map(str::to_owned));
    let date = |found: &Found<'_>| {
        let text = found.text()?;
        text.parse::<NaiveDate>().map_err(|_| complain(format!("{text:?} is no date"), r#"write "2026-12-24""#))
    };
    let first = section.require("first", r#"write first = "2026-12-24""#, date);
    let last = section.require("last", r#"write last = "2027-01-02""#, date);
    if let (Some(first), Some(last)) = (first, last)
        && last < first
    {
        section.note("last", complain("the last day is before the first", "write a later date"));
    }
    let own = section.take("time_zone", self::zone);
    section.finish();
    Some(Blackout { name: name?.into(), first: first?, last: last?, zone: own.unwrap_or(zone) })
}
