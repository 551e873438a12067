//! What will the weekly report say? Books that are kept between two reports:
//! growth of pools, alerts, and how long all was well.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::calendar::last_due;
use super::memory::Memory;
use super::mute::{Seen, View};
use super::policy::Policy;
use super::write;
use crate::model::alerting::{
    Alert, AlertState, Fingerprint, GroupKey, Incident, Kind, Notification, Number, PoolReport, RebuildReport, Refusal,
    Report, Severity,
};
use crate::model::id::SystemId;
use crate::model::picture::Picture;
use crate::model::snapshot::Snapshot;
use crate::model::stats::{Stat, StatKind};
use crate::model::unit::Timestamp;
use crate::watches::Pictures;

/// Incidents that are kept: those that lasted longest.
const INCIDENTS: usize = 30;

/// What is between two looks counts up to so long; a longer gap is time that was not seen.
const LONGEST_STEP: f64 = 120.0;

/// Growth over less than this says nothing of the future.
const SHORTEST_GROWTH: f64 = 86_400.0;

/// The books of one system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Week {
    /// Since when they are kept.
    pub from: Timestamp,
    /// The last look.
    pub last: Timestamp,
    /// Seconds in which it was looked.
    pub looked: f64,
    /// Seconds in which it answered.
    pub answered: f64,
    /// Seconds in which it was known how well data is protected ...
    pub known: f64,
    /// ... and all of it was.
    pub protected: f64,
    /// Seconds in which something was left to rebuild.
    pub rebuilding: f64,
    /// The most that was left.
    pub most_left: f64,
    /// What was in use of each pool when it was first seen, and when.
    pub pools: BTreeMap<String, (Timestamp, f64)>,
    /// Alerts that began: critical, warning, info.
    pub begun: [u32; 3],
    /// What is over.
    pub incidents: Vec<Incident>,
}

impl Week {
    fn new(now: Timestamp) -> Self {
        Self {
            from: now,
            last: now,
            looked: 0.0,
            answered: 0.0,
            known: 0.0,
            protected: 0.0,
            rebuilding: 0.0,
            most_left: 0.0,
            pools: BTreeMap::new(),
            begun: [0; 3],
            incidents: Vec::new(),
        }
    }

    fn look(&mut self, now: Timestamp, picture: &Picture) {
        let step = (now - self.last).as_seconds_f64().clamp(0.0, LONGEST_STEP);
        self.last = now;
        self.looked += step;
        if !picture.health.last_poll_succeeded {
            return;
        }
        self.answered += step;
        let Some(snapshot) = &picture.snapshot else { return };
        if let Some(row) = snapshot.statistics.as_ref().and_then(|part| part.system()) {
            let unprotected = row.sum(&[Stat::FailedCapacityInKb, Stat::DegradedFailedCapacityInKb]).as_f64();
            let left = row.sum(&Stat::REBUILD_LEFT).as_f64();
            self.known += step;
            self.protected += if unprotected > 0.0 { 0.0 } else { step };
            self.rebuilding += if left > 0.0 { step } else { 0.0 };
            self.most_left = self.most_left.max(left);
        }
        for (name, used, _) in pools(snapshot) {
            self.pools.entry(name).or_insert((now, used));
        }
    }

    fn over(&mut self, alert: &Alert) {
        let AlertState::Resolved { resolved_at, .. } = alert.state else { return };
        self.incidents.push(incident(alert, Some(resolved_at)));
        let lasted = |incident: &Incident| incident.to.map(|to| to - incident.from);
        self.incidents.sort_by_key(|incident| std::cmp::Reverse(lasted(incident)));
        self.incidents.truncate(INCIDENTS);
    }
}

fn incident(alert: &Alert, to: Option<Timestamp>) -> Incident {
    let summary = alert.annotations.summary.chars().take(200).collect();
    Incident { summary, severity: alert.severity, from: alert.active_since, to }
}

/// Each pool with what is in use and what can be used, in bytes, as the rules reckon it.
fn pools(snapshot: &Snapshot) -> Vec<(String, f64, f64)> {
    let (Some(pools), Some(statistics)) = (&snapshot.pools, &snapshot.statistics) else { return Vec::new() };
    let found = pools.iter().filter_map(|pool| {
        let row = statistics.row(StatKind::StoragePool, pool.id.object())?;
        let bytes = |stat| row.bytes(stat).map(|bytes| bytes.as_f64());
        let usable = bytes(Stat::CapacityLimitInKb)? - bytes(Stat::SpareCapacityInKb).unwrap_or(0.0);
        let domain = pool.domain.as_ref().and_then(|id| snapshot.domains.as_ref()?.get(id));
        let domain = domain.and_then(|domain| domain.name.as_deref());
        let name = pool.name.as_deref().map_or_else(|| pool.id.to_string(), str::to_owned);
        let name = domain.map_or_else(|| name.clone(), |domain| format!("{domain}/{name}"));
        (usable > 0.0).then_some((name, bytes(Stat::CapacityInUseInKb)?, usable))
    });
    found.collect()
}

/// Takes a look at all systems. `before` is what fired at the last one.
pub fn observe(
    now: Timestamp,
    seen: &Seen<'_>,
    pictures: &Pictures,
    before: Option<&BTreeSet<Fingerprint>>,
    memory: &mut Memory,
) {
    for (system, picture) in pictures {
        memory.weeks.entry(system.to_string()).or_insert_with(|| Week::new(now)).look(now, picture);
    }
    let Some(before) = before else { return };
    let begun = seen.verdict.set.alerts.iter().filter(|(id, alert)| alert.is_firing() && !before.contains(id));
    for alert in begun.map(|(_, alert)| alert) {
        if let Some(week) = alert.system.as_ref().and_then(|system| memory.weeks.get_mut(system.as_str())) {
            let place = Severity::ALL.iter().position(|severity| *severity == alert.severity);
            if let Some(count) = place.and_then(|place| week.begun.get_mut(place)) {
                *count = count.saturating_add(1);
            }
        }
    }
    for alert in seen.verdict.resolved.iter().filter(|alert| before.contains(&alert.fingerprint())) {
        if let Some(week) = alert.system.as_ref().and_then(|system| memory.weeks.get_mut(system.as_str())) {
            week.over(alert);
        }
    }
}

/// The report of one system, when it is time for it. Its books begin anew. The first one comes when a time for it has
/// passed since the books were opened.
pub fn report(
    now: Timestamp,
    view: &View<'_>,
    pictures: &Pictures,
    policy: &Policy,
    memory: &mut Memory,
) -> Option<Notification> {
    let due = last_due(policy.notify.report.as_ref()?, now)?;
    let route = policy.notify.routes.last()?;
    let (system, picture) =
        pictures.iter().find(|(system, _)| memory.weeks.get(system.as_str()).is_some_and(|week| week.from < due))?;
    let week = memory.weeks.insert(system.to_string(), Week::new(now))?;
    let firing = view.firing.values().filter(|alert| alert.system.as_ref() == Some(system));
    let report = write(now, &week, picture, firing.copied(), memory);
    let key = GroupKey::new(Some(system.clone()), "report");
    Some(write::empty(now, Kind::Report(Box::new(report)), key, route, memory))
}

/// The report of one system because a job asks for it; its books go on. None when it was sent for that time.
///
/// # Errors
/// There is nothing to report of.
pub fn asked(
    now: Timestamp,
    (system, job, due): (&SystemId, &str, Timestamp),
    view: &View<'_>,
    pictures: &Pictures,
    policy: &Policy,
    memory: &mut Memory,
) -> Result<Option<Notification>, Refusal> {
    let name = format!("{system}/{job}");
    if memory.head.reports.get(&name).is_some_and(|sent| *sent >= due) {
        return Ok(None);
    }
    let unseen = || Refusal::Unable(format!("system {system} has not answered yet, so there is nothing to report"));
    let picture = pictures.get(system).filter(|picture| picture.snapshot.is_some()).ok_or_else(unseen)?;
    let nobody = || Refusal::Unable("no route says who gets the report; see [notify]".to_owned());
    let route = policy.notify.routes.last().ok_or_else(nobody)?;
    let week = memory.weeks.get(system.as_str()).cloned().unwrap_or_else(|| Week::new(now));
    let firing = view.firing.values().filter(|alert| alert.system.as_ref() == Some(system));
    let report = write(now, &week, picture, firing.copied(), memory);
    memory.head.reports.insert(name, due);
    let key = GroupKey::new(Some(system.clone()), "report");
    Ok(Some(write::empty(now, Kind::Report(Box::new(report)), key, route, memory)))
}

/// Days until the first pool of a system is full, at its growth since its book was begun.
pub fn days_to_full(now: Timestamp, system: &SystemId, picture: &Picture, memory: &Memory) -> Option<Number> {
    let week = memory.weeks.get(system.as_str())?;
    let pools = pools(picture.snapshot.as_ref()?);
    let days = pools.iter().filter_map(|(name, used, usable)| full_in(now, week.pools.get(name), *used, *usable));
    days.min_by(f64::total_cmp).map(Number)
}

/// Days until a pool is full, when it grew since `before`.
fn full_in(now: Timestamp, before: Option<&(Timestamp, f64)>, used: f64, usable: f64) -> Option<f64> {
    let (at, before) = before?;
    let (seconds, growth) = ((now - *at).as_seconds_f64(), used - before);
    (growth > 0.0 && seconds >= SHORTEST_GROWTH).then(|| (usable - used).max(0.0) / (growth / seconds) / 86_400.0)
}

fn write<'a>(
    now: Timestamp,
    week: &Week,
    picture: &Picture,
    firing: impl Iterator<Item = &'a Alert>,
    memory: &Memory,
) -> Report {
    let mut pools: Vec<PoolReport> = Vec::new();
    for (name, used, usable) in picture.snapshot.iter().flat_map(|snapshot| self::pools(snapshot)) {
        let before = week.pools.get(&name);
        let growth = before.map(|(_, before)| used - before);
        let days = full_in(now, before, used, usable);
        pools.push(PoolReport {
            name,
            used: Number(used / usable),
            used_bytes: Number(used),
            usable_bytes: Number(usable),
            growth_bytes: growth.map(Number),
            days_to_full: days.map(Number),
        });
    }
    let first = |pool: &PoolReport| (pool.days_to_full.map_or(f64::INFINITY, |days| days.0), -pool.used.0);
    pools.sort_by(|a, b| first(a).partial_cmp(&first(b)).unwrap_or(std::cmp::Ordering::Equal));
    let mut incidents: Vec<Incident> = firing.map(|alert| incident(alert, None)).collect();
    incidents.extend(week.incidents.iter().cloned());
    incidents.sort_by_key(|incident| std::cmp::Reverse(incident.to.unwrap_or(now) - incident.from));
    incidents.truncate(INCIDENTS);
    let left = picture.snapshot.as_ref().and_then(|snapshot| {
        snapshot.statistics.as_ref().and_then(|part| part.system()).map(|row| row.sum(&Stat::REBUILD_LEFT).as_f64())
    });
    let part = |of: f64, whole: f64| (whole > 0.0).then(|| Number(of / whole));
    let [critical, warning, info] = week.begun;
    let mut silences: Vec<_> = memory.silences.values().map(|kept| kept.silence.clone()).collect();
    silences.retain(|silence| silence.is_active(now));
    silences.sort_by_key(|silence| silence.from);
    silences.truncate(10);
    let rebuild = left.map(|left| RebuildReport {
        seconds: Number(week.rebuilding),
        most_bytes: Number(week.most_left),
        left_bytes: Number(left),
    });
    let advice = advice(now, &pools, &incidents);
    Report {
        from: week.from,
        to: now,
        pools,
        critical,
        warning,
        info,
        incidents,
        protected: part(week.protected, week.known),
        answered: part(week.answered, week.looked),
        rebuild,
        silences,
        advice,
    }
}

/// What should be done, the most urgent first.
fn advice(now: Timestamp, pools: &[PoolReport], incidents: &[Incident]) -> Vec<String> {
    /// To order and build in a shelf takes weeks.
    const ORDER_DAYS: f64 = 60.0;
    let mut advice = Vec::new();
    for pool in pools {
        match pool.days_to_full {
            Some(Number(days)) if days < ORDER_DAYS => {
                advice.push(format!("Order capacity for {}: it is full in {days:.0} days at this growth.", pool.name));
            }
            _ if pool.used.0 >= 0.8 => {
                advice.push(format!("Free or add capacity in {}: {:.0}% is in use.", pool.name, pool.used.0 * 100.0));
            }
            Some(_) | None => {}
        }
    }
    let long = incidents.iter().filter(|incident| incident.to.is_none() && (now - incident.from).num_hours() >= 24);
    for incident in long.take(5) {
        let days = (now - incident.from).num_days();
        advice.push(format!("Mend what is wrong since {days} days: {}", incident.summary));
    }
    advice
}
