//! How `[notify]` is read: who is told of which alerts, how patiently, and what
//! else is written to people by itself.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{NaiveTime, TimeDelta, Weekday};
use chrono_tz::Tz;
use lettre::Address;

use super::section::{Complaint, Found, Section, complain};
use crate::model::alerting::Matcher;

/// `[notify]`
#[derive(Clone, Debug, PartialEq)]
pub struct Notify {
    /// Asked in this order; the last one takes whatever no other took.
    pub routes: Vec<Route>,
    /// Inhibitions besides those that the program brings along.
    pub inhibit: Vec<Inhibit>,
    /// A silence ends at the latest so long after it was made.
    pub longest_silence: TimeDelta,
    /// So long before a silence ends that still keeps something silent, its end is told.
    pub silence_notice: TimeDelta,
    /// An alert that changes so often within the window comes and goes.
    pub flap_changes: u32,
    /// See `flap_changes`; it is calm again after so long without a change.
    pub flap_window: TimeDelta,
    /// When a mail shows that mails arrive.
    pub heartbeat: Option<Weekly>,
    /// When the report of capacity and health is due.
    pub report: Option<Weekly>,
    /// Whether the links of mails act for people who have no login at the page.
    pub act_without_login: bool,
}

/// `[[notify.routes]]`: who is told of some alerts, and how patiently.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Its name, in mails and the state.
    pub name: String,
    /// All of them must accept the labels of an alert.
    pub matchers: Vec<Matcher>,
    /// Whether the routes after it are asked too when it took an alert.
    pub go_on: bool,
    /// Mail addresses.
    pub recipients: Vec<String>,
    /// Labels; alerts that are equal in all of them are told together.
    pub group_by: BTreeSet<String>,
    /// What begins within so long of the first is told with it.
    pub wait: TimeDelta,
    /// Changes of a group are told at most so often.
    pub interval: TimeDelta,
    /// A group that goes on is told again so often.
    pub repeat: TimeDelta,
    /// The same for one with a critical alert.
    pub repeat_critical: TimeDelta,
    /// When only what is critical is told.
    pub quiet: Option<Quiet>,
    /// Who is told of what nobody acknowledges.
    pub escalate: Option<Escalate>,
    /// More groups than this within the window are told in one mail.
    pub storm_groups: usize,
    /// See `storm_groups`.
    pub storm_window: TimeDelta,
    /// Mails within an hour.
    pub mails_an_hour: usize,
}

/// Hours in which only what is critical is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// They begin at this time ...
    pub from: NaiveTime,
    /// ... and end at this one, on the next day when it is earlier.
    pub to: NaiveTime,
    /// On these days they begin.
    pub days: BTreeSet<u32>,
    /// Whose clock.
    pub zone: Tz,
}

/// Who is told of a critical alert that nobody acknowledges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escalate {
    /// So long after it was told.
    pub after: TimeDelta,
    /// Mail addresses.
    pub recipients: Vec<String>,
}

/// `[[notify.inhibit]]`: an alert that makes others no news.
#[derive(Clone, Debug, PartialEq)]
pub struct Inhibit {
    /// What must fire.
    pub source: Vec<Matcher>,
    /// What is not told then.
    pub target: Vec<Matcher>,
    /// Labels in which both must be equal.
    pub equal: Vec<String>,
}

/// Some days at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weekly {
    /// Days, 0 is Monday.
    pub days: BTreeSet<u32>,
    /// On the clock of `zone`.
    pub at: NaiveTime,
    /// Whose clock.
    pub zone: Tz,
}

/// Longer than a shift; who needs more changes the rule.
const LONGEST_SILENCE: TimeDelta = TimeDelta::days(30);

impl Route {
    /// Who gets what no other route takes.
    pub fn default_for(recipients: Vec<String>) -> Self {
        Self {
            name: "default".to_owned(),
            matchers: Vec::new(),
            go_on: false,
            recipients,
            group_by: ["system", "area"].map(str::to_owned).into(),
            wait: TimeDelta::seconds(30),
            interval: TimeDelta::minutes(5),
            repeat: TimeDelta::hours(24),
            repeat_critical: TimeDelta::hours(4),
            quiet: None,
            escalate: None,
            storm_groups: 6,
            storm_window: TimeDelta::minutes(5),
            mails_an_hour: 20,
        }
    }
}

impl Notify {
    /// What holds when nothing is said.
    pub fn default_for(recipients: Vec<String>) -> Self {
        Self {
            routes: vec![Route::default_for(recipients)],
            inhibit: Vec::new(),
            longest_silence: LONGEST_SILENCE,
            silence_notice: TimeDelta::hours(1),
            flap_changes: 4,
            flap_window: TimeDelta::minutes(30),
            heartbeat: None,
            report: None,
            act_without_login: false,
        }
    }
}

/// Reads the section. The default route writes to `to`, by the clock of `zone`.
pub(super) fn read(mut section: Section<'_>, to: Vec<String>, zone: Tz) -> Notify {
    let default = Notify::default_for(to);
    let base = patience(&mut section, &default.routes[0], zone);
    let mut routes: Vec<Route> = Vec::new();
    for mut route in section.list_of_sections("routes") {
        let read = one_route(&mut route, &base, zone);
        if let Some(read) = read {
            if read.name == "default" || routes.iter().any(|other| other.name == read.name) {
                let what = format!("the name {:?} is taken", read.name);
                route.note("name", complain(what, "give each route a name of its own; \"default\" is the last one"));
            }
            routes.push(read);
        }
        route.finish();
    }
    routes.push(base);
    let mut inhibit = Vec::new();
    for mut rule in section.list_of_sections("inhibit") {
        inhibit.extend(one_inhibition(&mut rule));
        rule.finish();
    }
    let mut span =
        |key, default, longest: TimeDelta| section.take(key, |found| span(found, longest)).unwrap_or(default);
    let longest_silence = span("longest_silence", default.longest_silence, TimeDelta::days(366));
    let silence_notice = span("silence_notice", default.silence_notice, TimeDelta::days(7));
    let flap_window = span("flap_window", default.flap_window, TimeDelta::days(1));
    let flap_changes = section.take("flap_changes", |found| number(found, 2, 1_000));
    let heartbeat = section.take("heartbeat", |found| weekly(found.text()?, zone));
    let report = section.take("report", |found| weekly(found.text()?, zone));
    let act_without_login = section.take("act_without_login", |found| found.flag());
    section.finish();
    Notify {
        routes,
        inhibit,
        longest_silence,
        silence_notice,
        flap_changes: flap_changes.and_then(|count| u32::try_from(count).ok()).unwrap_or(default.flap_changes),
        flap_window,
        heartbeat: heartbeat.flatten(),
        report: report.flatten(),
        act_without_login: act_without_login.unwrap_or(default.act_without_login),
    }
}

/// What a route may say for itself, and the section for all of them.
fn patience(section: &mut Section<'_>, before: &Route, zone: Tz) -> Route {
    let week = TimeDelta::days(7);
    let group_by = section.take("group_by", |found| {
        let names: BTreeSet<String> = found.list()?.into_iter().map(str::to_owned).collect();
        match names.iter().find(|name| Matcher::parse(&format!("{name}=x")).is_err()) {
            Some(odd) => Err(complain(format!("{odd:?} is no name of a label"), "write [\"system\", \"area\"]")),
            None => Ok(names),
        }
    });
    let mut span = |key, default| section.take(key, |found| span(found, week)).unwrap_or(default);
    let wait = span("group_wait", before.wait);
    let interval = span("group_interval", before.interval);
    let repeat = span("repeat_interval", before.repeat);
    let repeat_critical = span("repeat_interval_critical", before.repeat_critical);
    let storm_window = span("storm_window", before.storm_window);
    let mut count = |key, default| section.take(key, |found| number(found, 1, 10_000)).unwrap_or(default);
    let storm_groups = count("storm_groups", before.storm_groups);
    let mails_an_hour = count("mails_an_hour", before.mails_an_hour);
    let quiet = section.optional_section("quiet_hours").map(|quiet| quiet_hours(quiet, zone));
    let escalate = section.optional_section("escalate").map(escalation);
    Route {
        group_by: group_by.unwrap_or_else(|| before.group_by.clone()),
        wait,
        interval,
        repeat,
        repeat_critical,
        storm_window,
        storm_groups,
        mails_an_hour,
        quiet: quiet.unwrap_or_else(|| before.quiet.clone()),
        escalate: escalate.unwrap_or_else(|| before.escalate.clone()),
        ..before.clone()
    }
}

fn one_route(section: &mut Section<'_>, base: &Route, zone: Tz) -> Option<Route> {
    let name = section.require("name", "write name = \"storage-night\"", |found| {
        let name = found.text()?;
        let tame = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > 60 || !name.chars().all(tame) {
            return Err(complain(
                format!("{name:?} is no name of a route"),
                "use letters, digits, - and _, at most 60",
            ));
        }
        Ok(name.to_owned())
    });
    let mend = "write match = ['severity=\"critical\"', 'system=~\"prod.*\"']";
    let matchers = section.require("match", mend, matchers);
    let to = section.require("to", "write to = [\"storage-team@example.com\"]", addresses);
    let go_on = section.take("continue", |found| found.flag());
    let route = patience(section, base, zone);
    Some(Route { name: name?, matchers: matchers?, recipients: to?, go_on: go_on.unwrap_or(false), ..route })
}

fn one_inhibition(section: &mut Section<'_>) -> Option<Inhibit> {
    let source = section.require("source", "write source = ['alertname=\"SwitchDown\"']", matchers);
    let target = section.require("target", "write target = ['area=\"sds\"']", matchers);
    let equal = section.take("equal", |found| Ok(found.list()?.into_iter().map(str::to_owned).collect::<Vec<_>>()));
    Some(Inhibit { source: source?, target: target?, equal: equal.unwrap_or_else(|| vec!["system".to_owned()]) })
}

fn quiet_hours(mut section: Section<'_>, zone: Tz) -> Option<Quiet> {
    let from = section.require("from", "write from = \"20:00\"", |found| clock(found.text()?));
    let to = section.require("to", "write to = \"07:00\"", |found| clock(found.text()?));
    if from.is_some() && from == to {
        section.note("to", complain("they would never end", "name another time than in from"));
    }
    let days = section.take("days", |found| days(found.list()?.into_iter()));
    let own_zone = section.take("time_zone", |found| {
        let name = found.text()?;
        let mend = "write a name of the IANA list, such as \"Europe/Berlin\"";
        name.parse::<Tz>().map_err(|_| complain(format!("{name:?} is no time zone"), mend))
    });
    section.finish();
    Some(Quiet { from: from?, to: to?, days: days.unwrap_or_else(|| (0..7).collect()), zone: own_zone.unwrap_or(zone) })
}

fn escalation(mut section: Section<'_>) -> Option<Escalate> {
    let after = section.require("after", "write after = \"30m\"", |found| span(found, TimeDelta::days(7)));
    let to = section.require("to", "write to = [\"manager@example.com\"]", addresses);
    section.finish();
    Some(Escalate { after: after?, recipients: to? })
}

fn addresses(found: &Found<'_>) -> Result<Vec<String>, Complaint> {
    let mut addresses: Vec<String> = Vec::new();
    for text in found.list()? {
        let address = text.trim().parse::<Address>();
        let address = address
            .map_err(|_| complain(format!("{text:?} is no mail address"), "write name@example.com"))?
            .to_string();
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        Err(complain("nobody would get the mail", "name at least one address"))
    } else {
        Ok(addresses)
    }
}

fn matchers(found: &Found<'_>) -> Result<Vec<Matcher>, Complaint> {
    let mend = "write one comparison in each text: 'severity=\"critical\"'";
    let texts = found.list()?;
    if texts.is_empty() {
        return Err(complain("it would mean every alert", mend));
    }
    texts.into_iter().map(|text| Matcher::parse(text).map_err(|error| complain(error.to_string(), mend))).collect()
}

fn span(found: &Found<'_>, longest: TimeDelta) -> Result<TimeDelta, Complaint> {
    let span = TimeDelta::from_std(found.duration()?).ok().filter(|span| *span <= longest);
    span.ok_or_else(|| {
        let longest = humantime::format_duration(longest.to_std().unwrap_or(Duration::ZERO));
        complain(format!("longer than {longest}"), format!("write \"{longest}\" or less"))
    })
}

fn number(found: &Found<'_>, least: usize, most: usize) -> Result<usize, Complaint> {
    let number = usize::try_from(found.number()?).ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| complain("out of bounds", format!("write a number of {least} to {most}")))
}

fn clock(text: &str) -> Result<NaiveTime, Complaint> {
    NaiveTime::parse_from_str(text.trim(), "%H:%M")
        .map_err(|_| complain(format!("{text:?} is no time of day"), "write something like \"07:00\""))
}

/// Days by their English names, from Monday as 0.
fn days<'a>(names: impl Iterator<Item = &'a str>) -> Result<BTreeSet<u32>, Complaint> {
    let day = |name: &str| {
        let mend = "write days such as \"mon\" or \"sunday\"";
        let day = name.trim().parse::<Weekday>().map_err(|_| complain(format!("{name:?} is no day"), mend))?;
        Ok(day.num_days_from_monday())
    };
    let days: BTreeSet<u32> = names.map(day).collect::<Result<_, _>>()?;
    if days.is_empty() { Err(complain("no day is named", "name a day, or leave the key out")) } else { Ok(days) }
}

/// `mon 07:00`, `mon,thu 07:00`, `daily 07:00` or `off`.
fn weekly(text: &str, zone: Tz) -> Result<Option<Weekly>, Complaint> {
    if text.trim() == "off" {
        return Ok(None);
    }
    let mend = "write \"mon 07:00\", \"mon,thu 07:00\", \"daily 07:00\" or \"off\"";
    let (named, time) =
        text.trim().split_once(' ').ok_or_else(|| complain(format!("{text:?} names no days and a time"), mend))?;
    let days = if named == "daily" { (0..7).collect() } else { days(named.split(','))? };
    Ok(Some(Weekly { days, at: clock(time)?, zone }))
}
