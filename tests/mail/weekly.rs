//! Whether the figures of the weekly report are those of what happened: growth, forecasts, shares of time, counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{NaiveTime, TimeDelta};
use scaleio_framework::alert::engine::Verdict;
use scaleio_framework::alert::notify::mute::Seen;
use scaleio_framework::alert::notify::{Memory, Policy, next};
use scaleio_framework::config::{Notify, Weekly};
use scaleio_framework::model::alerting::*;
use scaleio_framework::model::id::SystemId;
use scaleio_framework::model::stats::{Stat, StatKind};
use scaleio_framework::store::State;
use scaleio_framework::watches::Pictures;

use crate::pictures::{Size, World, id, picture_of};
use crate::world::{DOMAIN, Timestamp, alert};

/// Tuesday.
const BEGIN: &str = "2026-11-17T00:00:00Z";

const MINUTES_A_DAY: i64 = 24 * 60;

/// Of Monday, six o'clock.
const REPORT: i64 = 6 * MINUTES_A_DAY + 6 * 60;

const TB: f64 = 1e12;

/// What is said of each minute of the story.
#[derive(Clone, Copy, Default)]
struct Minute {
    silent: bool,
    degraded: bool,
    left: f64,
}

fn minute(at: i64) -> Minute {
    let day = |n: i64, from: i64, to: i64| (n * MINUTES_A_DAY + from..n * MINUTES_A_DAY + to).contains(&at);
    Minute {
        // An hour of Wednesday nobody answered.
        silent: day(1, 600, 660),
        // Two hours of Thursday data had one copy, and for half an hour more something was rebuilt.
        degraded: day(2, 300, 420),
        left: if day(2, 300, 360) {
            2.0 * TB
        } else if day(2, 360, 450) {
            0.5 * TB
        } else {
            0.0
        },
    }
}

struct Week {
    world: World,
    policy: Policy,
    memory: Memory,
    told: Vec<Notification>,
}

impl Week {
    fn new() -> Self {
        let size = Size { domains: 1, pools: 3, fault_sets: 0, sds: 3, devices_per_sds: 1, sdcs: 1, volumes: 1 };
        let mut notify = Notify::default_for(vec!["ops@example.test".to_owned()]);
        let at = NaiveTime::from_hms_opt(6, 0, 0).unwrap();
        notify.report = Some(Weekly { days: [0].into(), at, zone: chrono_tz::UTC });
        let policy = Policy::new(notify, DOMAIN);
        Self { world: World::of(size), policy, memory: Memory::default(), told: Vec::new() }
    }

    fn pool(&mut self, number: usize, limit: f64, spare: f64, used: f64) {
        let id: scaleio_framework::model::id::StoragePoolId = id(3, number);
        for (stat, value) in
            [(Stat::CapacityLimitInKb, limit), (Stat::SpareCapacityInKb, spare), (Stat::CapacityInUseInKb, used)]
        {
            self.world.set(StatKind::StoragePool, id.object(), stat, value);
        }
    }

    fn look(&mut self, at: i64) {
        let now = moment(at);
        let Minute { silent, degraded, left } = minute(at);
        let days = at as f64 / MINUTES_A_DAY as f64;
        // One grows by 1 TB a day, one shrinks, one stays at 85 percent.
        self.pool(0, 20.0 * TB, 2.0 * TB, (4.0 + days) * TB);
        self.pool(1, 20.0 * TB, 0.0, (9.0 - 0.5 * days) * TB);
        self.pool(2, 10.0 * TB, 0.0, 8.5 * TB);
        let system = self.world.array.as_ref().unwrap().id.object().clone();
        for stat in Stat::wanted(StatKind::System).filter(|stat| stat.wire_name().contains("RebuildCapacity")) {
            self.world.set(StatKind::System, &system, stat, 0.0);
        }
        self.world.set(StatKind::System, &system, Stat::PendingFwdRebuildCapacityInKb, left / 2.0);
        self.world.set(StatKind::System, &system, Stat::ActiveBckRebuildCapacityInKb, left / 2.0);
        self.world.set(StatKind::System, &system, Stat::FailedCapacityInKb, 0.0);
        let bytes = if degraded { TB } else { 0.0 };
        self.world.set(StatKind::System, &system, Stat::DegradedFailedCapacityInKb, bytes);
        let mut picture = picture_of(self.world.snapshot("prod", 1), self.world.observed.clone());
        picture.health.last_poll_succeeded = !silent;
        let pictures: Pictures = BTreeMap::from([(SystemId::new("prod"), Arc::new(picture))]);
        let verdict = verdict(at);
        let seen = Seen { verdict: &verdict, underway: &[], over: &BTreeMap::new() };
        while let Some(told) = next(now, &seen, &pictures, &self.policy, &mut self.memory) {
            self.told.push(told);
        }
        if at % 500 == 0 {
            // The controller is started anew within the minute; what fired before is not stored.
            let before = self.memory.before.take();
            let state = State { entries: self.memory.entries().unwrap(), ..State::default() };
            self.memory = Memory::load(&state).0;
            self.memory.before = before;
        }
    }

    fn reports(&self) -> Vec<&Report> {
        let report = |n: &'_ Notification| matches!(n.kind, Kind::Report(_));
        let reports = self.told.iter().filter(|n| report(n)).map(|n| match &n.kind {
            Kind::Report(report) => report.as_ref(),
            other => panic!("{other:?}"),
        });
        reports.collect()
    }
}

fn moment(at: i64) -> Timestamp {
    BEGIN.parse::<Timestamp>().unwrap() + TimeDelta::minutes(at)
}

/// A critical alert for two hours of Thursday and a warning since Friday noon; an info for two minutes each day.
fn verdict(at: i64) -> Verdict {
    let (day, minute) = (at / MINUTES_A_DAY, at % MINUTES_A_DAY);
    let begun = |name: &str, severity, from: i64| {
        let mut alert = alert(name, severity, name);
        alert.active_since = moment(from);
        alert.state = AlertState::Firing { fired_at: moment(from) };
        alert
    };
    let mut firing = Vec::new();
    let mut resolved = Vec::new();
    let critical = 2 * MINUTES_A_DAY + 300;
    if (critical..critical + 120).contains(&at) {
        firing.push(begun("grave", Severity::Critical, critical));
    } else if (critical + 120..critical + 135).contains(&at) {
        let mut over = begun("grave", Severity::Critical, critical);
        let (fired_at, resolved_at) = (moment(critical), moment(critical + 120));
        over.state = AlertState::Resolved { fired_at, resolved_at, ended_by: None };
        resolved.push(over);
    }
    if at >= 3 * MINUTES_A_DAY + 720 {
        firing.push(begun("slow", Severity::Warning, 3 * MINUTES_A_DAY + 720));
    }
    if (100..102).contains(&minute) {
        firing.push(begun("note", Severity::Info, day * MINUTES_A_DAY + 100));
    }
    let alerts = firing.into_iter().map(|alert| (alert.fingerprint(), alert)).collect();
    let set = FiringSet { at: moment(at), based_on: BTreeMap::new(), alerts };
    Verdict { set, resolved, heartbeats: 0, errors: Vec::new() }
}

fn close(got: f64, wanted: f64) {
    assert!((got - wanted).abs() <= 1e-6 * wanted.abs().max(1.0), "{got} instead of {wanted}");
}

#[test]
fn the_report_tells_growth_forecast_shares_and_counts_as_they_were_and_begins_anew() {
    let mut week = Week::new();
    for at in 0..=REPORT {
        week.look(at);
    }
    let reports = week.reports();
    assert_eq!(reports.len(), 1, "at its time, and once");
    let report = reports[0].clone();
    assert_eq!((report.from, report.to), (moment(0), moment(REPORT)));

    let days = REPORT as f64 / MINUTES_A_DAY as f64;
    let pool = |name: &str| report.pools.iter().find(|pool| pool.name == format!("domain-1/{name}")).unwrap();
    let growing = pool("pool-1");
    close(growing.used_bytes.0, (4.0 + days) * TB);
    close(growing.usable_bytes.0, 18.0 * TB);
    close(growing.used.0, (4.0 + days) / 18.0);
    close(growing.growth_bytes.unwrap().0, days * TB);
    close(growing.days_to_full.unwrap().0, 14.0 - days);
    let shrinking = pool("pool-2");
    close(shrinking.growth_bytes.unwrap().0, -0.5 * days * TB);
    assert_eq!(shrinking.days_to_full, None);
    assert_eq!((pool("pool-3").growth_bytes.unwrap().0, pool("pool-3").days_to_full), (0.0, None));
    assert_eq!(report.pools[0].name, "domain-1/pool-1", "the first to be full comes first");

    let minutes = REPORT as f64;
    close(report.answered.unwrap().0, (minutes - 60.0) / minutes);
    close(report.protected.unwrap().0, (minutes - 60.0 - 120.0) / (minutes - 60.0));
    let rebuild = report.rebuild.unwrap();
    close(rebuild.seconds.0, 150.0 * 60.0);
    close(rebuild.most_bytes.0, 2.0 * TB);
    assert_eq!(rebuild.left_bytes.0, 0.0);

    assert_eq!((report.critical, report.warning, report.info), (1, 1, 7));
    let incidents: Vec<_> = report.incidents.iter().map(|i| (i.summary.as_str(), i.from, i.to)).collect();
    let slow = ("slow", moment(3 * MINUTES_A_DAY + 720), None);
    let grave = ("grave", moment(2 * MINUTES_A_DAY + 300), Some(moment(2 * MINUTES_A_DAY + 420)));
    assert_eq!(incidents[..2], [slow, grave], "the longest first");
    let advice = report.advice.join("\n");
    for said in ["domain-1/pool-1: it is full in 8 days", "in domain-1/pool-3: 85% is in use", "since 2 days: slow"] {
        assert!(advice.contains(said), "{said}: {advice}");
    }

    // A day and a half on: its books are those of the new week.
    for at in REPORT + 1..=REPORT + 7 * MINUTES_A_DAY {
        if at % 2 == 0 || at == REPORT + 7 * MINUTES_A_DAY {
            week.look(at);
        }
    }
    let reports = week.reports();
    assert_eq!(reports.len(), 2);
    let second = reports[1];
    assert_eq!((second.from, second.critical, second.warning, second.info), (moment(REPORT), 0, 0, 7));
    close(second.pools[0].growth_bytes.unwrap().0, 7.0 * TB);
    assert_eq!((second.protected.unwrap().0, second.answered.unwrap().0), (1.0, 1.0));
    assert_eq!(second.rebuild.unwrap().seconds.0, 0.0);
}

#[test]
fn a_mail_of_an_alert_says_when_the_first_pool_is_full_once_a_day_of_growth_is_known() {
    let mut week = Week::new();
    for at in 0..=4 * MINUTES_A_DAY {
        week.look(at);
    }
    let firing = |summary: &str| {
        let told = week
            .told
            .iter()
            .find(|n| n.kind == Kind::Firing && n.items.iter().any(|item| item.alert.annotations.summary == summary));
        told.unwrap().clone()
    };
    let days = (3 * MINUTES_A_DAY + 721) as f64 / MINUTES_A_DAY as f64;
    close(firing("slow").outlook.days_to_full.unwrap().0, 14.0 - days);
    assert_eq!(firing("note").outlook.days_to_full, None, "the note came in the second hour");
    let mut note = firing("slow");
    note.status = Some(crate::world::full().status.unwrap());
    let mail = scaleio_framework::alert::mail::render(&note, &crate::world::settings(), note.created_at).unwrap();
    let read = &crate::world::read(&[mail.formatted()])[0];
    assert!(read.text.contains("first pool full in 10 days"), "{}", read.text);
}
