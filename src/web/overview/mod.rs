//! What does the page say? Everything that is known comes in, and sentences, tones and short lists go out. Pure.

mod cluster;
mod sentence;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;

use super::figures::Figures;
use super::past::{Past, Pasts};
use crate::model::alerting::{Alert, Fingerprint, FiringSet, Handled, Record, Silence};
use crate::model::dependents;
use crate::model::framework::{FrameworkStatus, Registration};
use crate::model::glance;
use crate::model::mesos::{TaskFate, TaskPhase};
use crate::model::notice::named;
use crate::model::offer::Verdict;
use crate::model::overview::{Forecast, NodeShown, RunShown, Tone, Works};
use crate::model::picture::Picture;
use crate::model::snapshot::Snapshot;
use crate::model::state::Maintenance;
use crate::model::stats::{Stat, StatKind};
use crate::model::status::{ReceiverStatus, SystemStatus};
use crate::model::unit::Timestamp;
use crate::model::workload::Workloads;
use crate::watches::Pictures;
pub(super) use cluster::{Domain, FaultSet, Server};

/// What is known, as it is gathered for one page.
pub(super) struct Sources {
    pub(super) now: Timestamp,
    pub(super) pictures: Pictures,
    pub(super) firing: Option<Arc<FiringSet>>,
    pub(super) handled: Arc<BTreeMap<Fingerprint, Handled>>,
    pub(super) silences: Vec<Silence>,
    pub(super) records: Vec<Record>,
    pub(super) pasts: Arc<Pasts>,
    pub(super) forecasts: Arc<Vec<Forecast>>,
    pub(super) works: Arc<Works>,
    pub(super) framework: Option<Arc<FrameworkStatus>>,
    /// What runs in the Mesos cluster; none where none is configured.
    pub(super) workloads: Option<Arc<Workloads>>,
    pub(super) receivers: Vec<ReceiverStatus>,
    /// What is wrong with the controller itself.
    pub(super) problems: Vec<String>,
    pub(super) started_at: Timestamp,
}

/// The page, before it is written.
pub(super) struct Overview {
    pub(super) now: Timestamp,
    pub(super) tone: Tone,
    pub(super) sentence: String,
    pub(super) alerts: Vec<AlertShown>,
    /// Alerts that fire and are not listed.
    pub(super) more_alerts: usize,
    pub(super) silences: Vec<Silence>,
    pub(super) systems: Vec<SystemShown>,
    pub(super) works: Works,
    pub(super) events: Vec<Event>,
    pub(super) framework: Option<(Tone, String)>,
    pub(super) receivers: Vec<ReceiverStatus>,
    pub(super) problems: Vec<String>,
    pub(super) started_at: Timestamp,
    /// Whether alert rules are evaluated here.
    pub(super) judges: bool,
}

/// An alert that fires.
pub(super) struct AlertShown {
    pub(super) fingerprint: Fingerprint,
    pub(super) alert: Alert,
    pub(super) handled: Option<Handled>,
    /// Who depends on what it is about, in a sentence.
    pub(super) hurt: Option<String>,
}

/// A system.
pub(super) struct SystemShown {
    pub(super) status: SystemStatus,
    pub(super) tone: Tone,
    pub(super) word: &'static str,
    pub(super) figures: Option<Figures>,
    pub(super) past: Option<Arc<Past>>,
    pub(super) pools: Vec<Pool>,
    pub(super) domains: Vec<Domain>,
    pub(super) answered_at: Option<Timestamp>,
    pub(super) rebuild_ends: Option<Timestamp>,
    /// What could not be asked: each question with its reason.
    pub(super) unanswered: Vec<String>,
    /// The run that is the reason of all its problems: servers are in maintenance by its will.
    pub(super) wanted_by: Option<RunShown>,
}

/// A storage pool.
pub(super) struct Pool {
    pub(super) name: String,
    pub(super) domain: String,
    pub(super) used: f64,
    /// What may be used: without the spare.
    pub(super) usable: f64,
    pub(super) tone: Tone,
    /// When it is full at its growth; none: it does not grow, or too little is known.
    pub(super) full_at: Option<Timestamp>,
}

impl Pool {
    /// 0 to 1, or more.
    pub(super) fn ratio(&self) -> f64 {
        self.used / self.usable
    }
}

/// Something that happened.
pub(super) struct Event {
    pub(super) at: Timestamp,
    pub(super) what: String,
    pub(super) system: Option<String>,
    pub(super) tone: Tone,
}

/// Alerts that are listed; a storm of more is told by its number.
const ALERTS: usize = 40;

/// Alerts of which it is told who is hurt: it takes a walk over all volumes.
const HURT: usize = 8;

/// Events that are listed.
const EVENTS: usize = 25;

/// Beyond this a date means nothing.
const FARTHEST_DAYS: f64 = 3.0 * 365.0;

/// Everything, or one system of it.
pub(super) fn overview(sources: &Sources, only: Option<&str>) -> Overview {
    let chosen = |picture: &&Arc<Picture>| only.is_none_or(|only| picture.system.as_str() == only);
    let systems: Vec<SystemShown> =
        sources.pictures.values().filter(chosen).map(|picture| system(sources, picture)).collect();
    let (alerts, more_alerts) = alerts(sources, only);
    let framework = sources.framework.as_deref().map(registration);
    let works = Works { nodes: nodes(sources), ..Works::clone(&sources.works) };
    let (tone, sentence) = sentence::of(&systems, &alerts, sources, framework.as_ref());
    let mut silences: Vec<Silence> =
        sources.silences.iter().filter(|silence| silence.is_active(sources.now)).cloned().collect();
    silences.sort_by_key(|silence| silence.until);
    Overview {
        now: sources.now,
        tone,
        sentence,
        alerts,
        more_alerts,
        silences,
        systems,
        works,
        events: events(sources, only),
        framework,
        receivers: sources.receivers.clone(),
        problems: sources.problems.clone(),
        started_at: sources.started_at,
        judges: sources.firing.is_some(),
    }
}

fn system(sources: &Sources, picture: &Picture) -> SystemShown {
    let status = glance::system(picture, sources.now);
    let snapshot = picture.snapshot.as_deref();
    let data = status.data.as_ref();
    let servers = snapshot.iter().filter_map(|snapshot| snapshot.sds.as_ref()).flat_map(|part| part.iter());
    let in_maintenance = servers.filter(|sds| !sds.maintenance.is(Maintenance::None)).count();
    let run = sources.works.runs.iter().find(|run| run.system.as_deref() == Some(picture.system.as_str()));
    let wanted_by = run.filter(|_| in_maintenance > 0 && status.problems.len() == in_maintenance);
    let (tone, word) = match (snapshot.is_some(), status.up) {
        (false, _) => (Tone::Bad, "not heard yet"),
        (true, false) => (Tone::Bad, "does not answer in full"),
        (true, true) if data.is_some_and(|data| data.failed_bytes > 0) => (Tone::Bad, "data cannot be reached"),
        (true, true) if data.is_some_and(|data| data.degraded_bytes > 0) => {
            let moves = status.rebuild.as_ref().is_some_and(|rebuild| rebuild.left_bytes > 0);
            (Tone::Warn, if moves { "data is being rebuilt" } else { "data has one copy only" })
        }
        (true, true) if wanted_by.is_some() => (Tone::Busy, "in maintenance, as planned"),
        (true, true) if !status.problems.is_empty() => (Tone::Warn, "needs attention"),
        (true, true) => (Tone::Good, "healthy"),
    };
    let rebuild = status.rebuild.as_ref();
    let rebuild_ends = rebuild.filter(|rebuild| rebuild.left_bytes > 0).and_then(|rebuild| {
        let rate = rebuild.bytes_per_second.filter(|rate| *rate >= 1.0)?;
        after(sources.now, rebuild.left_bytes as f64 / rate)
    });
    SystemShown {
        tone,
        word,
        figures: snapshot.map(Figures::of),
        past: sources.pasts.get(&picture.system).cloned(),
        pools: snapshot.map(|snapshot| pools(sources, &status.system, snapshot)).unwrap_or_default(),
        domains: snapshot.map(cluster::domains).unwrap_or_default(),
        answered_at: snapshot.map(|snapshot| snapshot.taken_at),
        rebuild_ends,
        unanswered: picture
            .health
            .collectors
            .iter()
            .filter_map(|(collector, health)| Some(format!("{collector}: {}", health.error.as_ref()?.message)))
            .collect(),
        wanted_by: wanted_by.cloned(),
        status,
    }
}

fn after(now: Timestamp, seconds: f64) -> Option<Timestamp> {
    #[allow(clippy::cast_possible_truncation, reason = "the range is checked")]
    let whole = (0.0..3e8).contains(&seconds).then(|| TimeDelta::seconds(seconds as i64))?;
    now.checked_add_signed(whole)
}

fn pools(sources: &Sources, system: &str, snapshot: &Snapshot) -> Vec<Pool> {
    let mut pools: Vec<Pool> = Vec::new();
    for pool in snapshot.pools.iter().flat_map(|part| part.iter()) {
        let row = snapshot.statistics.as_ref().and_then(|part| part.row(StatKind::StoragePool, pool.id.object()));
        let bytes = |stat| row.and_then(|row| row.bytes(stat)).map(|bytes| bytes.as_f64());
        let (Some(used), Some(limit), Some(spare)) =
            (bytes(Stat::CapacityInUseInKb), bytes(Stat::CapacityLimitInKb), bytes(Stat::SpareCapacityInKb))
        else {
            continue;
        };
        let usable = limit - spare;
        if usable <= 0.0 {
            continue;
        }
        let domain = pool.domain.as_ref().and_then(|id| snapshot.domains.as_ref()?.get(id));
        let domain = domain.map_or_else(String::new, |domain| named(domain.name.as_deref(), &domain.id));
        let name = named(pool.name.as_deref(), &pool.id);
        let ratio = used / usable;
        let high = pool.capacity_alert_high.map_or(0.8, |ratio| ratio.get());
        let critical = pool.capacity_alert_critical.map_or(0.9, |ratio| ratio.get());
        let tone = if ratio >= critical {
            Tone::Bad
        } else if ratio >= high {
            Tone::Warn
        } else {
            Tone::Good
        };
        let forecast = sources.forecasts.iter().find(|f| f.system == system && f.domain == domain && f.pool == name);
        let full_at = forecast.filter(|f| f.days <= FARTHEST_DAYS).and_then(|f| after(sources.now, f.days * 86_400.0));
        pools.push(Pool { name, domain, used, usable, tone, full_at });
    }
    // The one that is full first is looked at first.
    pools.sort_by(|a, b| b.ratio().total_cmp(&a.ratio()));
    pools
}

fn alerts(sources: &Sources, only: Option<&str>) -> (Vec<AlertShown>, usize) {
    let all = sources.firing.iter().flat_map(|firing| firing.alerts.iter());
    let of_it = |alert: &Alert| only.is_none_or(|only| alert.system.as_ref().is_none_or(|of| of.as_str() == only));
    let mut fires: Vec<(&Fingerprint, &Alert)> = all.filter(|(_, alert)| alert.is_firing() && of_it(alert)).collect();
    let is_muted = |fingerprint: &Fingerprint| {
        sources
            .handled
            .get(fingerprint)
            .is_some_and(|handled| handled.muted.is_some() || handled.acknowledged.is_some())
    };
    fires.sort_by_key(|(fingerprint, alert)| {
        (is_muted(fingerprint), std::cmp::Reverse(alert.severity), alert.active_since, **fingerprint)
    });
    let more = fires.len().saturating_sub(ALERTS);
    let shown = fires.into_iter().take(ALERTS).enumerate().map(|(place, (fingerprint, alert))| AlertShown {
        fingerprint: *fingerprint,
        alert: alert.clone(),
        handled: sources.handled.get(fingerprint).cloned(),
        hurt: if place < HURT { hurt(sources, alert) } else { None },
    });
    (shown.collect(), more)
}

/// Who depends on what an alert is about.
pub(super) fn hurt(sources: &Sources, alert: &Alert) -> Option<String> {
    let picture = sources.pictures.get(alert.system.as_ref()?)?;
    let found = dependents::of(picture.snapshot.as_deref()?, &alert.labels, sources.workloads.as_deref());
    let (volumes, clients) = (found.volumes.len() + found.more_volumes, found.clients.len() + found.more_clients);
    if volumes == 0 && clients == 0 {
        return None;
    }
    let some = |names: &[String], all: usize| {
        let first: Vec<&str> = names.iter().take(3).map(String::as_str).collect();
        let dots = if all > first.len() { ", …" } else { "" };
        format!("{}{dots}", first.join(", "))
    };
    let mut text = format!("{} ({})", counted(volumes, "volume"), some(&found.volumes, volumes));
    if clients > 0 {
        text.push_str(&format!(" on {} ({})", counted(clients, "client"), some(&found.clients, clients)));
    }
    if !found.apps.is_empty() {
        text.push_str(&format!("; applications {}", some(&found.apps, found.apps.len())));
    } else if !found.tasks.is_empty() {
        text.push_str(&format!("; tasks {}", some(&found.tasks, found.tasks.len())));
    }
    Some(text)
}

/// `1 volume`, `2 volumes`.
pub(super) fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn events(sources: &Sources, only: Option<&str>) -> Vec<Event> {
    let chosen = |system: &str| only.is_none_or(|only| only == system);
    let noticed = sources.pasts.iter().filter(|(system, _)| chosen(system.as_str())).flat_map(|(system, past)| {
        past.noticed.iter().map(move |noticed| Event {
            at: noticed.at,
            what: noticed.what.clone(),
            system: Some(system.to_string()),
            tone: noticed.tone,
        })
    });
    let told = sources.pictures.values().filter(|picture| chosen(picture.system.as_str())).flat_map(|picture| {
        let events = picture.snapshot.iter().filter_map(|snapshot| snapshot.events.as_ref());
        events.flat_map(|part| part.iter()).filter_map(|event| {
            let about = event.resource_name.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
            Some(Event {
                at: event.at?,
                what: format!("the MDM says: {}{about}", event.description.as_deref().unwrap_or(&event.name)),
                system: Some(picture.system.to_string()),
                tone: Tone::Busy,
            })
        })
    });
    let done = sources.records.iter().map(|record| Event {
        at: record.at,
        what: format!("{}: {}", record.by, record.what),
        system: None,
        tone: Tone::Busy,
    });
    let mut events: Vec<Event> = noticed.chain(told.take(200)).chain(done).collect();
    events.sort_by_key(|event| std::cmp::Reverse(event.at));
    events.truncate(EVENTS);
    events
}

fn registration(status: &FrameworkStatus) -> (Tone, String) {
    let cluster = &status.cluster;
    let (tone, text) = match &status.registration {
        Registration::Registered { master, .. } => (Tone::Good, format!("registered at {master} ({cluster})")),
        Registration::Disconnected { error: None, .. } => (Tone::Busy, format!("not connected yet to {cluster}")),
        Registration::Disconnected { error: Some(error), failures } => (
            Tone::Bad,
            format!(
                "not connected to {cluster} after {}: {error}",
                counted(*failures as usize, "try").replace("trys", "tries")
            ),
        ),
        Registration::Removed { error } => (Tone::Bad, format!("removed by the masters of {cluster}: {error}")),
        Registration::Superseded => (Tone::Bad, format!("another controller took its place at {cluster}")),
    };
    match status.mend {
        Some(mend) => (tone, format!("{text}; {mend}")),
        None => (tone, text),
    }
}

/// Nodes; those that are unwell come first. Whoever rolls out says more of a node than Mesos does.
pub(super) fn nodes(sources: &Sources) -> Vec<NodeShown> {
    match sources.framework.as_deref() {
        Some(status) if sources.works.nodes.is_empty() => in_mesos(status),
        _ => sources.works.nodes.clone(),
    }
}

/// Agents as Mesos tells of them.
fn in_mesos(status: &FrameworkStatus) -> Vec<NodeShown> {
    let ids = status.agents.keys().chain(status.tasks.keys()).collect::<std::collections::BTreeSet<_>>();
    let mut nodes: Vec<NodeShown> = ids
        .into_iter()
        .map(|id| {
            let (seen, task) = (status.agents.get(id), status.tasks.get(id));
            let name = seen.map(|seen| &seen.hostname).or(task.map(|task| &task.hostname));
            let (tone, phase) = match task.map(|task| (task.fate(), &task.phase)) {
                None => (Tone::Busy, "no task of ours".to_owned()),
                Some((_, TaskPhase::Intended)) => (Tone::Busy, "is being launched".to_owned()),
                Some((TaskFate::Alive, TaskPhase::Told { state, .. })) => (Tone::Good, word(state.as_str())),
                Some((TaskFate::InDoubt, TaskPhase::Told { state, .. })) => (Tone::Warn, word(state.as_str())),
                Some((TaskFate::Ended, TaskPhase::Told { state, .. })) => (Tone::Bad, word(state.as_str())),
            };
            let why = task.and_then(|task| match &task.phase {
                TaskPhase::Told { message: Some(message), .. } if task.fate() != TaskFate::Alive => {
                    Some(message.to_string())
                }
                TaskPhase::Told { .. } | TaskPhase::Intended => None,
            });
            let why = why.into_iter().collect();
            let offer = seen.map(|seen| match &seen.verdict {
                Verdict::Accept => "accepted".to_owned(),
                Verdict::Decline { reason } => {
                    format!("went back: {}", seen.because.clone().unwrap_or_else(|| reason.to_string()))
                }
            });
            NodeShown {
                name: name.map_or_else(|| id.to_string(), ToString::to_string),
                system: seen.and_then(|seen| seen.attributes.get("scaleio-system").cloned()),
                tone,
                phase,
                why,
                since: task.map(|task| task.changed_at),
                offer,
            }
        })
        .collect();
    nodes.sort_by(|a, b| (std::cmp::Reverse(a.tone), &a.name).cmp(&(std::cmp::Reverse(b.tone), &b.name)));
    nodes
}

/// `TASK_RUNNING` as people write it.
fn word(state: &str) -> String {
    state.trim_start_matches("TASK_").to_ascii_lowercase().replace('_', " ")
}

#[cfg(test)]
mod tests;
