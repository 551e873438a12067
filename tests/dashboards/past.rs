//! A past for Prometheus: two simulated systems live through two weeks of growth and six hours of incidents, and what
//! the product would have exported, recorded and alerted at each moment is written down as OpenMetrics text.
//!
//! All of it is the product's own way: the client asks over HTTPS, the encoder makes the lines, the engine judges
//! them. Only the time is not that of the clock: a picture is moved to the moment it stands for.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use scaleio_framework::alert::engine::{Engine, Seen};
use scaleio_framework::alert::promql::{Bounds, History};
use scaleio_framework::alert::rules;
use scaleio_framework::alert::sample::Sampler;
use scaleio_framework::config::{self, GatewayUrl, Login, Metrics, Poll, Secret, Trust};
use scaleio_framework::gateway::{Gateway, Role};
use scaleio_framework::metrics::{Encoder, Format, Own};
use scaleio_framework::model::cluster::OscillatingCounter;
use scaleio_framework::model::id::{ObjectId, ProtectionDomainId, StoragePoolId, SystemId};
use scaleio_framework::model::observed::Observed;
use scaleio_framework::model::picture::Picture;
use scaleio_framework::model::snapshot::{Beat, Snapshot};
use scaleio_framework::model::stats::{Stat, StatKind};
use scaleio_framework::poll::run::Poller;
use scaleio_framework::sim::world::{
    Command, Layout, MaintenanceCommand, Mode, Reply, Scope, UpgradeCommand, VolumeRequest, World,
};
use scaleio_framework::sim::{Options, Release, Running, Simulation};
use scaleio_framework::watches::Gallery;

use crate::{beside, pictures};

/// How the job and the target are called, as `docs/alerts.md` asks.
const SCRAPE: &str = "instance=\"scaleio\",job=\"scaleio\"";

/// Only these are written for the days that only forecasts and usual ranges look at.
const LONG: [&str; 5] = [
    "scaleio_storage_pool_capacity_",
    "scaleio_storage_pool_provisioned",
    "scaleio_storage_pool_data_copies",
    "scaleio_up",
    "ALERTS",
];

/// One system in the making.
struct Member {
    name: &'static str,
    world: Running,
    poller: Poller,
    observed: Observed,
}

/// Everything that is written down, series by series.
#[derive(Default)]
struct Written(BTreeMap<String, Vec<(i64, String)>>);

impl Written {
    fn add(&mut self, series: String, at: i64, value: &str) {
        self.0.entry(series).or_default().push((at, value.to_owned()));
    }

    fn save(&self, path: &Path, keep: impl Fn(&str) -> bool) {
        let mut text = String::new();
        for (series, samples) in self.0.iter().filter(|(series, _)| keep(series)) {
            for (at, value) in samples {
                writeln!(text, "{series} {value} {at}").unwrap();
            }
        }
        text.push_str("# EOF\n");
        std::fs::write(path, text).unwrap();
    }
}

async fn member(
    name: &'static str,
    layout: Layout,
    release: Release,
    own: &Arc<Own>,
    gallery: &Gallery,
    folder: &Path,
) -> Member {
    let world = Simulation::start(Options::still(layout, release)).await.unwrap();
    let certificate = folder.join(format!("{name}.pem"));
    std::fs::write(&certificate, world.certificate_pem()).unwrap();
    let settings = config::System {
        gateways: world.addresses().iter().map(|address| GatewayUrl::at(*address)).collect(),
        monitor: Login { user: world.monitor().user.clone(), password: Secret::new(&world.monitor().password) },
        lifecycle: None,
        trust: Trust::CaFile(certificate),
        connect_timeout: Duration::from_secs(10),
        request_timeout: Duration::from_secs(30),
        max_answer_bytes: 16 << 20,
        rollout: None,
        volumes: None,
    };
    let (seen, system) = (own.clone(), SystemId::new(name));
    let on_request = Arc::new(move |request: &scaleio_framework::gateway::RequestSeen<'_>| {
        let code = request.status.map_or_else(|| "none".to_owned(), |status| status.to_string());
        seen.requested(&system, request.endpoint, &code, request.duration);
    });
    let gateway = Gateway::new(SystemId::new(name), &settings, Role::Monitor, on_request).unwrap();
    // Everything is asked at each turn.
    let beat = Duration::from_nanos(1);
    let poll = Poll { fast: beat, middle: beat, slow: beat, max_age: Duration::from_secs(3600) };
    let observed = Observed { events_until: Some(DateTime::UNIX_EPOCH), ..Observed::default() };
    let poller = Poller::new(SystemId::new(name), gateway, &poll, gallery.clone(), own.clone(), observed.clone());
    Member { name, world, poller, observed }
}

impl Member {
    /// Asks everything once, and moves the answer to this moment.
    async fn picture(&mut self, gallery: &Gallery, at: DateTime<Utc>) -> Arc<Picture> {
        self.poller.turn().await;
        let mut picture = Picture::clone(&gallery.of(&SystemId::new(self.name)).unwrap());
        let mut snapshot = picture.snapshot.as_deref().expect("the simulated gateway answers").clone();
        moved(&mut picture, &mut snapshot, at);
        self.observed = self.observed.after(&snapshot);
        picture.snapshot = Some(Arc::new(snapshot));
        picture.observed = Arc::new(self.observed.clone());
        Arc::new(picture)
    }
}

/// The moments that are looked at, in seconds before the end: every two hours twice, because a rate needs two
/// samples; then every five minutes; and the last six hours every other minute.
fn moments() -> Vec<i64> {
    let mut out = Vec::new();
    for hours in (14..=16 * 12).rev() {
        out.extend([hours * 7200, hours * 7200 - 300]);
    }
    out.extend((72..=26 * 12).rev().map(|step| step * 300));
    out.extend((0..180).rev().map(|step| step * 120));
    out
}

/// Where the detailed part begins, in seconds before the end.
const DETAIL_S: i64 = 6 * 3600;

/// What happens to the larger system, in minutes before the end.
fn events(world: &mut World, minute: i64) {
    let sds = |world: &World, name: &str| world.sds.values().find(|sds| sds.name == name).unwrap().id;
    let maintain = |world: &mut World, command: fn(Scope) -> MaintenanceCommand| {
        let id = sds(world, "sds-2-1");
        let reply = world.command(Command::Maintenance(command(Scope::Sds(id)))).unwrap();
        assert_eq!(reply, Reply::Verdicts(vec![(id, None)]));
    };
    match minute {
        330 => world.fail_device("dev-1-1-1").unwrap(),
        290 => world.replace_device("dev-1-1-1").unwrap(),
        220 => maintain(world, |scope| MaintenanceCommand::Enter { scope, mode: Mode::Protected, force: false }),
        160 => maintain(world, |scope| MaintenanceCommand::Exit { scope, mode: Mode::Protected, force: false }),
        130 => world.mdm_failover(),
        96 => {
            let mapped = world.volumes.values().find_map(|volume| volume.mapped.last().copied());
            let sdc = mapped.expect("a volume is mapped").to_string();
            world.set_sdc_connected(&sdc, false).unwrap();
        }
        12 => world.fail_sds("sds-3-2").unwrap(),
        _ => {}
    }
}

/// What happens to the smaller one: an upgrade is begun and given up.
fn upgrade(world: &mut World, minute: i64) {
    let command = match minute {
        100 => UpgradeCommand::Start,
        70 => UpgradeCommand::Abort,
        _ => return,
    };
    world.command(Command::Upgrade(command)).unwrap();
}

/// A third system, made up, for what the simulator never does: failures that come and go, limits of volumes,
/// replication that moves data, failing SMART.
fn made_up() -> pictures::World {
    let mut world = pictures::World::eventful();
    let worst = |counters: &mut [OscillatingCounter]| {
        for counter in counters {
            counter.windows[0].count = 1.5 * counter.windows[0].threshold;
        }
    };
    worst(&mut world.sds.as_mut().unwrap()[0].oscillating);
    worst(&mut world.sdcs.as_mut().unwrap()[0].oscillating);
    worst(world.devices.as_mut().unwrap()[0].long_operations.as_mut_slice());
    world.busy(3);
    let tib = 2_f64.powi(40);
    for (kind, object) in [
        (StatKind::System, ObjectId::from_number(1)),
        (StatKind::ProtectionDomain, pictures::id::<ProtectionDomainId>(1, 0).object().clone()),
        (StatKind::StoragePool, pictures::id::<StoragePoolId>(3, 0).object().clone()),
    ] {
        for (stat, share) in [
            (Stat::MaxCapacityInKb, 4.0),
            (Stat::CapacityLimitInKb, 4.0),
            (Stat::CapacityInUseInKb, 1.5),
            (Stat::UnusedCapacityInKb, 1.7),
            (Stat::SpareCapacityInKb, 0.8),
            (Stat::FailedCapacityInKb, 0.0),
            (Stat::DegradedFailedCapacityInKb, 0.0),
        ] {
            world.set(kind, &object, stat, share * tib);
        }
    }
    world
}

/// Its picture at this moment.
fn made_up_picture(world: &mut pictures::World, poll: u64, at: DateTime<Utc>) -> Arc<Picture> {
    world.events = Some((0..poll / 7).map(|number| pictures::event(&number.to_string())).collect());
    world.observed.events.insert("major".to_owned(), poll / 7);
    world.policies.as_mut().unwrap()[0].last_snapshot = Some(at - TimeDelta::minutes(40));
    let mut picture = Picture::clone(&world.picture("made-up", poll));
    let mut snapshot = picture.snapshot.as_deref().unwrap().clone();
    moved(&mut picture, &mut snapshot, at);
    picture.snapshot = Some(Arc::new(snapshot));
    Arc::new(picture)
}

/// Moves a picture and its snapshot to a moment.
fn moved(picture: &mut Picture, snapshot: &mut Snapshot, at: DateTime<Utc>) {
    snapshot.begun_at = at;
    snapshot.taken_at = at;
    if let Some(sds) = &mut snapshot.sds {
        sds.taken_at = at;
    }
    picture.at = at;
    picture.health.last_poll = Some(at);
    for (collector, health) in &mut picture.health.collectors {
        health.last_begun = at;
        health.last_success = health.last_success.map(|_| at);
        health.interval = match collector.beat() {
            Beat::Fast => Duration::from_secs(15),
            Beat::Middle => Duration::from_secs(60),
            Beat::Slow => Duration::from_secs(300),
        };
    }
}

/// Writes two files; gives them and the moment at which they end.
pub(crate) async fn write(folder: &Path) -> ([PathBuf; 2], i64) {
    let own = Arc::new(Own::new(scaleio_framework::BUILD).unwrap());
    let gallery = Gallery::new([]);
    let small = Layout { nodes_per_rack: 2, devices_per_node: 3, volumes: 24, sdcs: 8, ..Layout::small() };
    let tiny =
        Layout { nodes_per_rack: 1, devices_per_node: 2, volumes: 8, sdcs: 3, pools_per_domain: 1, ..Layout::small() };
    let mut members = [
        member("prod", small, Release::V3_6, &own, &gallery, folder).await,
        member("edge", tiny, Release::V4_5, &own, &gallery, folder).await,
    ];
    let mut lab = made_up();
    let mut encoder = Encoder::new(&Metrics::all(1_000_000));
    let beats = Poll {
        fast: Duration::from_secs(15),
        middle: Duration::from_secs(60),
        slow: Duration::from_secs(300),
        max_age: Duration::from_secs(600),
    };
    let rules = Arc::new(rules::load(&config::Alerts::default(), &beats).unwrap());
    let mut sampler = Sampler::new(rules.metrics.clone());
    let recorded: Vec<String> = rules.recordings.iter().map(|rule| rule.name.rule.clone()).collect();
    let end = DateTime::from_timestamp(Utc::now().timestamp() / 60 * 60, 0).unwrap();
    let first = end - TimeDelta::seconds(moments()[0]);
    let mut engine = Engine::new(rules, History::new(Bounds::default()), &[], first);
    own.certificate("web", "CN=sio.example.com", end + TimeDelta::days(20));
    own.certificate("gateway", "CN=gateway.example.com", end + TimeDelta::days(300));
    let (mut long, mut detail) = (Written::default(), Written::default());
    let mut counts = BTreeMap::new();
    let mut last = moments()[0];
    for (poll, before) in moments().into_iter().enumerate() {
        let at = end - TimeDelta::seconds(before);
        for member in &mut members {
            // A day of work, and quiet nights.
            let hour = (at.timestamp() % 86_400) as f64 / 3600.0;
            let load = 1.0 + 0.5 * ((hour - 8.0) / 24.0 * std::f64::consts::TAU).sin();
            let passed = (last - before).clamp(0, 120);
            member.world.advance(Duration::from_secs(u64::try_from(passed).unwrap()));
            member.world.world(|world| {
                world.set_load(load);
                match member.name {
                    "prod" => events(world, before / 60),
                    _ => upgrade(world, before / 60),
                }
                if before % 86_400 == 0 && before > 0 {
                    let (pool, name) = ("pool-1".to_owned(), format!("grown-{}", before / 86_400));
                    world
                        .create_volume(&VolumeRequest {
                            name,
                            pool,
                            gib: if member.name == "prod" { 16 } else { 8 },
                            thick: true,
                            sdc: None,
                        })
                        .unwrap();
                }
                let now = world.now();
                world.set_epoch(at - TimeDelta::from_std(now).unwrap());
            });
        }
        last = before;
        let mut pictures = Vec::new();
        for member in &mut members {
            pictures.push(member.picture(&gallery, at).await);
        }
        pictures.push(made_up_picture(&mut lab, poll as u64, at));
        let exposition = encoder.encode(&pictures, at);
        beside::tell(&own, at, before / 60);
        let begun = Instant::now();
        let mut latest = sampler.samples(&exposition, &own, at.timestamp_millis());
        let verdict = engine.step(&mut latest, &Seen { based_on: exposition.seqs().clone(), ..Seen::default() });
        assert_eq!(verdict.errors, [], "the engine failed");
        own.evaluated(at, begun.elapsed(), engine.history().stats().bytes);
        let now = count(&engine);
        own.alerts(&now, &counts);
        counts = now;

        let seconds = at.timestamp();
        let written = if before >= DETAIL_S { &mut long } else { &mut detail };
        let begun = Instant::now();
        let body = exposition.body(Format::OpenMetrics, false, None, &own, at);
        own.scraped("metrics", begun.elapsed(), body.unpacked_length);
        let text = String::from_utf8(body.concat()).unwrap();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            if before < DETAIL_S || LONG.iter().any(|name| series.starts_with(name)) {
                written.add(scraped(series), seconds, value);
            }
        }
        for name in &recorded {
            for (labels, value) in latest.family(name) {
                written.add(series(name, labels.iter()), seconds, &value.to_string());
            }
        }
        for (labels, fires) in engine.states() {
            let state = ("alertstate", if fires { "firing" } else { "pending" });
            let labels = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain([state]);
            written.add(series("ALERTS", labels), seconds, "1");
        }
        written.add(format!("up{{{SCRAPE}}}"), seconds, "1");
    }
    for member in members {
        member.world.stop().await;
    }
    let files = [folder.join("long.om"), folder.join("detail.om")];
    long.save(&files[0], |_| true);
    detail.save(&files[1], |_| true);
    (files, end.timestamp())
}

fn count(engine: &Engine) -> BTreeMap<[String; 4], u64> {
    let mut counts = BTreeMap::new();
    for (labels, fires) in engine.states() {
        let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
        let state = if fires { "firing" } else { "pending" };
        *counts.entry([label("system"), label("alertname"), label("severity"), state.to_owned()]).or_default() += 1;
    }
    counts
}

/// The line of a scrape with the labels that Prometheus adds.
fn scraped(series: &str) -> String {
    match series.strip_suffix('}') {
        Some(open) if open.ends_with('{') => format!("{open}{SCRAPE}}}"),
        Some(open) => format!("{open},{SCRAPE}}}"),
        None => format!("{series}{{{SCRAPE}}}"),
    }
}

fn series<'a>(name: &str, labels: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let labels = labels.filter(|(label, _)| *label != "__name__");
    let labels: Vec<String> = labels.map(|(label, value)| format!("{label}={value:?}")).collect();
    format!("{name}{{{}}}", labels.join(","))
}
