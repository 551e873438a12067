//! What Prometheus gets to see of a system, and what it does not.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on ends")]

#[path = "support/exposition.rs"]
mod exposition;
#[path = "support/pictures.rs"]
mod pictures;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use exposition::{Read, Sample, read};
use pictures::{Size, World, event, id, next_poll, poll_time, start};
use scaleio_framework::config;
use scaleio_framework::metrics::{Build, Encoder, Exposition, Format, Own, Scope, Type, families, markdown};
use scaleio_framework::model::framework::{FrameworkStatus, Registration};
use scaleio_framework::model::id::{AgentId, DeviceId, ExecutorId, NodeName, ObjectId, SystemId, TaskId, VolumeId};
use scaleio_framework::model::lifecycle::{JobResult, Lifecycle};
use scaleio_framework::model::mesos::{NodeTask, TaskPhase};
use scaleio_framework::model::node::{NodePhase, Role};
use scaleio_framework::model::observed::Observed;
use scaleio_framework::model::picture::{FailureReason, Picture};
use scaleio_framework::model::rollout::{NodeRollout, RolloutStatus};
use scaleio_framework::model::snapshot::Collector;
use scaleio_framework::model::state::{Maintenance, Seen};
use scaleio_framework::model::stats::{Stat, StatKind};
use scaleio_framework::model::unit::Window;

fn own() -> Own {
    Own::new(Build { version: "0.0.0", revision: "none", rustc: "none" }).unwrap()
}

fn encoder(max_series: usize) -> Encoder {
    Encoder::new(&config::Metrics::all(max_series))
}

fn encode(pictures: &[Arc<Picture>]) -> Arc<Exposition> {
    encoder(usize::MAX).encode(pictures, start())
}

/// The body without what is counted about ourselves.
fn body(exposition: &Exposition, format: Format) -> String {
    let text = full_body(exposition, format, &own());
    let cut = text.find("# HELP process_").unwrap();
    let cut = text[..cut].find("# HELP scaleio_framework_build_info").unwrap_or(cut);
    text[..cut].to_owned()
}

fn full_body(exposition: &Exposition, format: Format, own: &Own) -> String {
    String::from_utf8(exposition.body(format, false, None, own, start()).concat()).unwrap()
}

fn families_of(pictures: &[Arc<Picture>]) -> BTreeMap<String, Read> {
    read(&body(&encode(pictures), Format::Text))
}

fn values(families: &BTreeMap<String, Read>, name: &str) -> Vec<(Vec<String>, f64)> {
    families.get(name).map_or(Vec::new(), |family| {
        family
            .samples
            .iter()
            .map(|sample| (sample.labels.iter().map(|(_, value)| value.clone()).collect(), sample.value))
            .collect()
    })
}

fn unpack(packed: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut out).unwrap();
    out
}

#[test]
fn an_encoder_moves_to_any_thread_and_an_exposition_is_shared_by_all() {
    fn is_send<T: Send>() {}
    fn is_shared<T: Send + Sync>() {}
    is_send::<Encoder>();
    is_shared::<Exposition>();
    is_shared::<Own>();
}

/// A node whose rollout is over.
fn ready() -> RolloutStatus {
    let node = NodeRollout {
        system: SystemId::new("prod"),
        node: NodeName::new("n1"),
        agent: None,
        roles: [Role::Sds].into(),
        phase: NodePhase::Ready,
        since: start(),
        why: Vec::new(),
        disks: [].into(),
        preflight: [].into(),
    };
    RolloutStatus { nodes: [(node.node.clone(), node)].into(), ..RolloutStatus::default() }
}

/// A framework with one task that was launched and of which nothing was heard.
fn registered() -> FrameworkStatus {
    let (agent, name) = (AgentId::new("S1"), "sio-S1-1");
    let task = NodeTask {
        agent: agent.clone(),
        hostname: "node1".into(),
        task: TaskId::new(name),
        executor: ExecutorId::new(name),
        attempt: 1,
        phase: TaskPhase::Intended,
        failures: 0,
        retry_at: None,
        changed_at: start(),
    };
    FrameworkStatus {
        cluster: "mesos".into(),
        framework: None,
        registration: Registration::Registered { master: "http://m:5050".into(), heard_at: start() },
        mend: None,
        is_suppressed: false,
        unanswered: 1,
        tasks: [(agent, task)].into(),
        agents: BTreeMap::new(),
    }
}

/// Work in which something waits.
fn at_work() -> Lifecycle {
    let work = serde_json::json!({
        "system": "prod", "mode": "propose", "at": start(),
        "run": {
            "id": "run-0001", "plan": "5f0c", "what": "upgrade to x", "approved_by": "ada", "opened_at": start(),
            "paused_by": null, "cancelled_by": null, "halted": null, "failures": 0, "tasks_done": 0, "tasks_total": 1,
            "predicted_end": start(),
            "tasks": [{
                "number": 0, "stage": "sds", "node": "node-1", "standing": "waiting", "step": null, "since": start(),
                "attempts": 0, "why": null,
                "holds": [{
                    "reason": "device_error", "hardness": "hard", "text": "t", "clears": "c", "since": start(), "seen_at": null,
                }],
            }],
        },
        "upgrade": {
            "from": "w", "to": "x", "state": "running", "active": true, "pending": 1, "running": 0, "done": 0, "failed": 0,
        },
        "last": {
            "system": "prod", "run": "run-0000", "what": "restart node-1", "approved_by": "ada", "opened_at": start(),
            "ended_at": start(), "end": "halted", "why": null, "tasks": [],
        },
        "jobs": [{
            "name": "nightly", "what": "upgrade to x", "line": "0 3 * * * UTC",
            "next": [[start(), null], [start() + TimeDelta::days(1), null]], "last_success": start(), "result": "began",
        }],
    });
    serde_json::from_value(work).unwrap()
}

#[test]
fn each_family_of_the_catalogue_appears_with_exactly_its_labels() {
    let mut encoder = encoder(usize::MAX);
    let world = World::eventful();
    encoder.encode(&[world.picture("prod", 1)], start());
    let exposition = encoder.encode(&[world.picture("prod", 2)], start());
    let own = own();
    let system = SystemId::new("prod");
    own.ran(&system, Collector::Sds, Duration::from_secs(2), Some(FailureReason::Timeout));
    own.requested(&system, "/api/types/{type}/instances", "200", Duration::from_millis(20));
    own.unknown(&system, "sds", 3);
    own.scraped("metrics", Duration::from_millis(3), 1000);
    own.certificate("gateway", "CN=gateway", start());
    own.alerts(&[(["prod", "A", "info", "firing"].map(str::to_owned), 1)].into(), &BTreeMap::new());
    own.rule_failed("scaleio-sds", "A");
    own.notified("mail", "critical", "firing", "sent");
    own.delivered("mail", Duration::from_secs(2));
    own.spool("mail", 1, Some(start()), 0, 0);
    own.rules_loaded(true, 65, start());
    own.evaluated(start(), Duration::from_millis(30), 1000);
    own.told("firing", "critical");
    own.handling(&BTreeMap::new(), 1);
    own.mesos_event("mesos", "heartbeat");
    own.mesos_offer("mesos", "declined", "too_small");
    own.mesos_status(&registered());
    own.work(&at_work());
    own.work(&Lifecycle { at: start() + TimeDelta::seconds(3), ..at_work() });
    own.job_fired(&system, "nightly", JobResult::Began);
    own.job_ran(&system, "nightly", Duration::from_secs(600));
    own.reboot_ordered(&system, "upgrade");
    own.rollout_status(&ready(), [(&NodeName::new("n1"), start())].into_iter());
    own.agents([("current", 1)]);
    own.renewals_failed([(&NodeName::new("n1"), "certificate")].into_iter());
    own.strangers(1);
    own.artefacts(2, 1, ["sds.rpm"].into_iter());
    own.step_ended("stage", true, Duration::from_secs(3));
    let read = read(&full_body(&exposition, Format::Text, &own));

    for family in families() {
        let seen = read.get(&family.name).unwrap_or_else(|| panic!("{} does not appear", family.name));
        assert_eq!((seen.kind.as_str(), &seen.help), (family.kind.as_str(), &family.help), "{}", family.name);
        for sample in &seen.samples {
            let mut labels = sample.label_names();
            if family.kind == Type::Histogram && sample.name.ends_with("_bucket") {
                assert_eq!(labels.pop(), Some("le"));
            }
            assert_eq!(labels, family.labels, "{}", family.name);
        }
    }
    let known: Vec<&String> = families().iter().map(|family| &family.name).collect();
    assert_eq!(read.keys().filter(|name| !known.contains(name)).count(), 0, "nothing is outside of the catalogue");
}

#[test]
fn both_formats_hold_the_same_samples() {
    let exposition = encode(&[World::eventful().picture("prod", 1)]);
    let text = body(&exposition, Format::Text);
    let open_metrics = body(&exposition, Format::OpenMetrics);
    let samples =
        |text: &str| -> Vec<String> { text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect() };
    assert_eq!(samples(&text), samples(&open_metrics));
    assert!(text.contains("# TYPE scaleio_sds_restarts_total counter\n"));
    assert!(open_metrics.contains("# TYPE scaleio_sds_restarts counter\n"));
    let whole = full_body(&exposition, Format::OpenMetrics, &own());
    assert!(whole.ends_with("\n# EOF\n"));
    assert!(!text.contains("# EOF"));
}

#[test]
fn a_tiny_system_looks_like_this() {
    let text = body(&encode(&[World::eventful().picture("prod", 1)]), Format::Text);
    expected("tests/expected/metrics.txt", &text);
}

#[test]
fn the_documentation_is_that_of_the_catalogue() {
    expected("docs/metrics.md", &markdown());
}

/// Compares with a kept file; `UPDATE_DOCS=1` writes it again.
fn expected(path: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let difference = kept.lines().zip(text.lines()).find(|(kept, new)| kept != new);
    assert!(
        kept == text,
        "{} is out of date, UPDATE_DOCS=1 cargo test --test metrics writes it again; the first difference: {difference:#?}",
        path.display()
    );
}

#[test]
fn hostile_and_equal_names_are_told_apart() {
    let hostile = "a\"},{x=\"y\\\nb\r\u{0}é";
    let mut world = World::of(Size { volumes: 4, pools: 2, sds: 3, ..Size::TINY });
    for volume in world.volumes.as_mut().unwrap() {
        volume.name = Some(hostile.into());
    }
    world.pools.as_mut().unwrap()[1].name = world.pools.as_ref().unwrap()[0].name.clone();
    for sds in world.sds.as_mut().unwrap() {
        sds.name = None;
        sds.addresses[0].ip = "10.0.0.1".into();
    }
    world.sds.as_mut().unwrap()[2].addresses.clear();
    // `read` refuses a series that is there twice.
    let families = families_of(&[world.picture(hostile, 1)]);
    let sizes = &families["scaleio_volume_size_bytes"].samples;
    assert_eq!(sizes.len(), 4);
    assert!(sizes.iter().all(|sample| sample.label("volume").unwrap().starts_with(hostile)));
    assert!(sizes.iter().all(|sample| sample.label("system") == Some(hostile)));
    let names: Vec<&str> =
        families["scaleio_sds_mdm_connected"].samples.iter().map(|sample| sample.label("sds").unwrap()).collect();
    assert_eq!(names, ["10.0.0.1", "10.0.0.1-0000000400000002", "0000000400000003"]);
    let pools: Vec<&str> = families["scaleio_storage_pool_info"]
        .samples
        .iter()
        .map(|sample| sample.label("storage_pool").unwrap())
        .collect();
    assert_eq!(pools, ["pool-1", "pool-1-0000000300000002"]);
}

#[test]
fn a_parent_that_is_missing_is_called_by_its_id_and_no_parent_is_empty() {
    let mut world = World::of(Size::TINY);
    world.pools.as_mut().unwrap().clear();
    world.volumes.as_mut().unwrap()[1].pool = None;
    world.devices.as_mut().unwrap()[0].sds = Some(id(4, 99));
    world.devices.as_mut().unwrap()[0].pool = None;
    let families = families_of(&[world.picture("prod", 1)]);
    let labels = |name: &str| values(&families, name).into_iter().map(|(labels, _)| labels).collect::<Vec<_>>();
    assert_eq!(
        labels("scaleio_volume_size_bytes"),
        [["prod", "", "0000000300000001", "volume-1"], ["prod", "", "", "volume-2"]]
    );
    assert_eq!(labels("scaleio_device_error")[0], ["prod", "", "0000000400000064", "", "/dev/sdb"]);
}

#[test]
fn names_of_parents_stay_when_their_list_could_not_be_had() {
    let mut world = World::of(Size::TINY);
    let mut encoder = encoder(usize::MAX);
    let before = read(&body(&encoder.encode(&[world.picture("prod", 1)], start()), Format::Text));
    world.pools = None;
    let after = read(&body(&encoder.encode(&[world.picture("prod", 2)], start()), Format::Text));
    assert_eq!(values(&before, "scaleio_volume_size_bytes"), values(&after, "scaleio_volume_size_bytes"));
    assert!(!after.contains_key("scaleio_storage_pool_info"));
}

#[test]
fn an_idle_system_has_rates_of_zero_and_no_latency() {
    let mut world = World::of(Size::TINY);
    world.idle();
    let families = families_of(&[world.picture("prod", 1)]);
    let gauges = families.iter().filter(|(_, family)| family.kind == "gauge");
    assert_eq!(gauges.filter(|(name, _)| name.ends_with("latency_seconds")).count(), 0);
    let histogram = &families["scaleio_storage_pool_io_latency_seconds"].samples;
    assert!(histogram.iter().all(|sample| sample.value == 0.0), "a counter that has not begun to count");
    let rates = &families["scaleio_volume_operations_per_second"].samples;
    assert_eq!(rates.len(), 4, "read and write of two volumes; trim only while there is any");
    assert!(rates.iter().all(|sample| sample.value == 0.0));
}

#[test]
fn what_a_generation_does_not_have_is_absent() {
    let mut world = World::of(Size::TINY);
    let pool: ObjectId = id(3, 0);
    world.without(StatKind::StoragePool, Stat::SpareCapacityInKb);
    world.set(StatKind::StoragePool, &pool, Stat::CapacityInUseInKb, f64::NAN);
    let families = families_of(&[world.picture("prod", 1)]);
    for absent in [
        "scaleio_storage_pool_capacity_spare_bytes",
        "scaleio_storage_pool_capacity_in_use_bytes",
        "scaleio_snapshot_policy_paused",
        "scaleio_replication_group_state",
        "scaleio_sds_maintenance",
    ] {
        assert!(!families.contains_key(absent), "{absent}");
    }
    assert!(families.contains_key("scaleio_storage_pool_capacity_max_bytes"));
}

#[test]
fn a_state_that_we_do_not_know_appears_under_its_own_word() {
    let mut world = World::of(Size::TINY);
    world.sds.as_mut().unwrap()[1].maintenance = Seen::Other("HalfIn\"Maintenance".into());
    let families = families_of(&[world.picture("prod", 1)]);
    let labels = ["prod", "domain-1", "sds-2", "half_in_maintenance", ""].map(str::to_owned).to_vec();
    assert_eq!(values(&families, "scaleio_sds_maintenance"), [(labels, 1.0)]);
    let mut known = World::of(Size::TINY);
    known.sds.as_mut().unwrap()[1].maintenance = Seen::Is(Maintenance::None);
    assert!(!families_of(&[known.picture("prod", 1)]).contains_key("scaleio_sds_maintenance"));
}

#[test]
fn several_systems_share_a_family_and_nothing_else() {
    let world = World::of(Size::TINY);
    let mut unheard = Picture::unseen(SystemId::new("c"), start(), Observed::default());
    unheard.health.last_poll_succeeded = false;
    let exposition = encode(&[world.picture("b", 7), world.picture("a", 3), Arc::new(unheard)]);
    // `read` refuses a family in two pieces.
    let families = read(&body(&exposition, Format::Text));
    let up: Vec<f64> = families["scaleio_up"].samples.iter().map(|sample| sample.value).collect();
    assert_eq!(up, [1.0, 1.0, 0.0]);
    assert_eq!(values(&families, "scaleio_snapshot_seq"), [(vec!["a".into()], 3.0), (vec!["b".into()], 7.0)]);
    let of = |system: &str| -> Vec<Sample> {
        families
            .values()
            .flat_map(|family| &family.samples)
            .filter(|s| s.label("system") == Some(system))
            .cloned()
            .collect()
    };
    assert_eq!(of("a").len(), of("b").len());
    assert_eq!(exposition.seq(&SystemId::new("b")), Some(7));
    assert_eq!(exposition.seq(&SystemId::new("c")), None);
    let counted: f64 = families["scaleio_exporter_series"].samples.iter().map(|sample| sample.value).sum();
    assert_eq!(counted as usize, exposition.series());
}

#[test]
fn a_system_that_is_gone_leaves_nothing() {
    let world = World::of(Size::TINY);
    let mut encoder = encoder(usize::MAX);
    encoder.encode(&[world.picture("a", 1), world.picture("b", 1)], start());
    let left = encoder.encode(&[world.picture("a", 2)], start());
    assert!(!body(&left, Format::Text).contains("system=\"b\""));
}

#[test]
fn latencies_of_volumes_add_up_by_pool_and_none_is_counted_twice() {
    let mut world = World::of(Size::TINY);
    world.idle();
    let (one, two): (VolumeId, VolumeId) = (id(7, 0), id(7, 1));
    // 100 reads of 1 ms, 300 reads of 20 ms.
    let window = |count: f64, micros: f64| Window { seconds: 5.0, weight: count * micros, count };
    world.window(StatKind::Volume, one.object(), Stat::UserDataSdcReadLatency, window(100.0, 1_000.0));
    world.window(StatKind::Volume, two.object(), Stat::UserDataSdcReadLatency, window(300.0, 20_000.0));
    let mut encoder = encoder(usize::MAX);
    let picture = world.picture("prod", 1);
    encoder.encode(&[Arc::clone(&picture)], start());
    encoder.encode(&[picture], start());
    let exposition = encoder.encode(&[world.picture("prod", 2)], start());
    let families = read(&body(&exposition, Format::Text));
    let samples = &families["scaleio_storage_pool_io_latency_seconds"].samples;
    let value = |name: &str, direction: &str, le: Option<&str>| {
        samples
            .iter()
            .find(|s| s.name.ends_with(name) && s.label("direction") == Some(direction) && s.label("le") == le)
            .unwrap_or_else(|| panic!("{name} {direction} {le:?} in {samples:?}"))
            .value
    };
    assert_eq!(value("_bucket", "read", Some("0.0005")), 0.0);
    assert_eq!(value("_bucket", "read", Some("0.001")), 200.0);
    assert_eq!(value("_bucket", "read", Some("0.025")), 800.0);
    assert_eq!(value("_bucket", "read", Some("1.0")), 800.0);
    assert_eq!(value("_bucket", "read", Some("+Inf")), 800.0);
    assert_eq!(value("_count", "read", None), 800.0);
    assert!((value("_sum", "read", None) - 12.2).abs() < 1e-9);
    assert_eq!(value("_count", "write", None), 0.0);
}

#[test]
fn events_are_told_by_severity_as_they_were_counted_and_none_is_zero() {
    let mut world = World::of(Size::TINY);
    world.events = Some(vec![event("1")]);
    world.observed.events = [("MAJOR".to_owned(), 3), ("SOMETHING_NEW".to_owned(), 1)].into();
    let exposition = encoder(usize::MAX).encode(&[world.picture("prod", 1)], start());
    let families = read(&body(&exposition, Format::Text));
    let told: BTreeMap<String, f64> = values(&families, "scaleio_mdm_events_total")
        .into_iter()
        .map(|(labels, value)| (labels[1].to_owned(), value))
        .collect();
    let expected = [("critical", 0.0), ("information", 0.0), ("major", 3.0), ("minor", 0.0), ("something_new", 1.0)];
    assert_eq!(told, expected.map(|(severity, count)| (severity.to_owned(), count)).into());
}

#[test]
fn the_limit_withholds_volumes_before_devices_and_counts_what_it_withholds() {
    let world = World::of(Size::SMALL);
    let all = encode(&[world.picture("prod", 1)]);
    let everything = read(&body(&all, Format::Text));
    let volumes = |families: &BTreeMap<String, Read>| {
        families
            .iter()
            .filter(|(name, _)| name.starts_with("scaleio_volume_"))
            .map(|(_, f)| f.samples.len())
            .sum::<usize>()
    };
    for less in [1, 100, volumes(&everything), volumes(&everything) + 50] {
        let limit = all.series() - less;
        let mut encoder = encoder(limit);
        let mut names = Vec::new();
        for seq in 1..4 {
            let exposition = encoder.encode(&[world.picture("prod", seq)], start());
            assert!(exposition.series() <= limit, "{} of {limit}", exposition.series());
            let families = read(&body(&exposition, Format::Text));
            let dropped: BTreeMap<String, f64> = values(&families, "scaleio_exporter_series_dropped")
                .into_iter()
                .map(|(labels, value)| (labels[1].clone(), value))
                .collect();
            assert_eq!(exposition.series() + dropped.values().sum::<f64>() as usize, all.series());
            assert_eq!(dropped["volumes"] as usize, volumes(&everything) - volumes(&families));
            if dropped["devices"] > 0.0 {
                assert_eq!(volumes(&families), 0, "devices are withheld only when no volume is left");
            }
            assert_eq!(dropped["sdcs"], 0.0);
            let kept = families.get("scaleio_volume_info").map_or(0, |family| family.samples.len());
            names.push(kept);
        }
        assert!(names.iter().all(|kept| *kept == names[0]), "volumes come and go: {names:?}");
    }
}

#[test]
fn a_kind_may_be_left_out_in_part_or_whole_and_what_counts_over_all_of_it_stays() {
    let top = config::Top { busiest: 3, slowest: 0, keep: Duration::from_secs(900) };
    let mut world = World::of(Size::SMALL);
    world.devices.as_mut().unwrap()[7].error = Seen::Other("Broken".into());
    let histogram =
        |families: &BTreeMap<String, Read>| families["scaleio_storage_pool_io_latency_seconds"].samples.len();
    let volumes =
        |families: &BTreeMap<String, Read>| families.get("scaleio_volume_info").map_or(0, |f| f.samples.len());
    let everything = families_of(&[world.picture("prod", 1)]);
    for (export, own_series, exists) in [
        (config::Export::All, 50, true),
        (config::Export::Top(top), 3, true),
        (config::Export::Auto { all_up_to: 50, top }, 50, true),
        (config::Export::Auto { all_up_to: 49, top }, 3, true),
        (config::Export::Aggregate, 0, true),
        (config::Export::Off, 0, false),
    ] {
        let settings = config::Metrics { volumes: export, ..config::Metrics::all(usize::MAX) };
        let mut encoder = Encoder::new(&settings);
        let exposition = encoder.encode(&[world.picture("prod", 1)], start());
        let families = read(&body(&exposition, Format::Text));
        assert_eq!(volumes(&families), own_series, "{export:?}");
        assert_eq!(histogram(&families), histogram(&everything), "{export:?}");
        assert_eq!(families.contains_key("scaleio_storage_pool_volumes"), exists, "{export:?}");
        let objects = values(&families, "scaleio_exporter_objects");
        let told = |exported: &str| {
            let found = objects.iter().find(|(labels, _)| labels[1..] == ["volumes", exported].map(String::from));
            found.unwrap().1 as usize
        };
        assert_eq!((told("true"), told("false")), (own_series, 50 - own_series), "{export:?}");
        // The same again: nothing comes or goes.
        let again = encoder.encode(&[world.picture("prod", 2)], start());
        assert_eq!(again.series(), exposition.series(), "{export:?}");
    }
    let settings = config::Metrics {
        devices: config::Export::Top(config::Top { busiest: 0, ..top }),
        ..config::Metrics::all(usize::MAX)
    };
    let exposition = Encoder::new(&settings).encode(&[world.picture("prod", 1)], start());
    let families = read(&body(&exposition, Format::Text));
    assert_eq!(families["scaleio_device_error"].samples.len(), 1, "what is unwell is always there");
}

#[test]
fn volumes_come_back_when_there_is_room_again() {
    let mut world = World::of(Size::SMALL);
    let all = encode(&[world.picture("prod", 1)]).series();
    let mut encoder = encoder(all - 50);
    assert!(encoder.encode(&[world.picture("prod", 1)], start()).series() < all);
    world.sdcs = Some(Vec::new());
    world.devices = Some(Vec::new());
    let exposition = encoder.encode(&[world.picture("prod", 2)], start());
    let families = read(&body(&exposition, Format::Text));
    assert_eq!(families["scaleio_volume_info"].samples.len(), 50);
    assert!(values(&families, "scaleio_exporter_series_dropped").iter().all(|(_, value)| *value == 0.0));
}

#[test]
fn a_scraper_may_choose_parts_and_always_learns_which_snapshot_they_are_of() {
    let exposition = encode(&[World::eventful().picture("prod", 1)]);
    let chosen = exposition.body(Format::Text, false, Some(&["volumes", "sdcs"]), &own(), start());
    let families = read(&String::from_utf8(chosen.concat()).unwrap());
    for family in scaleio_framework::metrics::families() {
        let wanted = match family.scope {
            Scope::Always => true,
            Scope::Exporter => false,
            Scope::Of(collector) => matches!(collector, Collector::Volumes | Collector::Sdcs),
        };
        assert_eq!(families.contains_key(&family.name), wanted, "{}", family.name);
    }
}

#[test]
fn the_packed_body_is_the_plain_one_whether_packed_in_advance_or_not() {
    let mut world = World::of(Size::LARGE);
    let mut encoder = encoder(usize::MAX);
    let own = own();
    let same = |exposition: &Exposition, now| {
        for format in [Format::Text, Format::OpenMetrics] {
            let packed = exposition.body(format, true, Some(&["volumes", "devices"]), &own, now);
            let plain = exposition.body(format, false, Some(&["volumes", "devices"]), &own, now);
            assert!(packed.length < plain.length / 4, "{} of {}", packed.length, plain.length);
            assert_eq!(packed.length, packed.concat().len());
            assert_eq!(packed.unpacked_length, plain.length);
            assert!(unpack(&packed.concat()) == plain.concat());
        }
    };
    let mut picture = world.picture("prod", 1);
    for seq in 2..6 {
        // Of an hour later nothing is packed in advance.
        let now = if seq == 4 { poll_time(seq) + TimeDelta::hours(1) } else { poll_time(seq) };
        same(&encoder.encode(&[Arc::clone(&picture)], now), now);
        world.busy(seq);
        picture = next_poll(&world, &picture, seq);
    }
}

#[test]
fn a_body_on_its_way_does_not_change_while_polling_goes_on() {
    let mut world = World::of(Size::LARGE);
    let mut encoder = encoder(usize::MAX);
    let own = own();
    let mut picture = world.picture("prod", 1);
    let first = encoder.encode(&[Arc::clone(&picture)], start());
    let on_its_way = first.body(Format::Text, false, Some(&["volumes"]), &own, start());
    let packed = first.body(Format::Text, true, Some(&["volumes"]), &own, start());
    let text = on_its_way.concat();
    drop(first);
    for seq in 2..6 {
        world.busy(seq);
        picture = next_poll(&world, &picture, seq);
        let exposition = encoder.encode(&[Arc::clone(&picture)], start());
        assert_ne!(exposition.body(Format::Text, false, Some(&["volumes"]), &own, start()).concat(), text);
    }
    assert_eq!(on_its_way.concat(), text);
    assert_eq!(unpack(&packed.concat()), text);
}

#[test]
fn an_encoder_that_remembers_writes_what_a_new_one_writes() {
    let mut world = World::eventful();
    world.events = None;
    world.without(StatKind::Volume, Stat::UserDataSdcReadLatency);
    let mut encoder = encoder(usize::MAX);
    let mut picture = world.picture("prod", 1);
    for seq in 2..12 {
        match seq {
            3 => world.sds.as_mut().unwrap()[0].name = Some("renamed".into()),
            5 => world.pools.as_mut().unwrap()[0].name = Some("renamed".into()),
            7 => world.domains.as_mut().unwrap()[0].name = Some("renamed".into()),
            _ => {}
        }
        world.busy(seq);
        world.without(StatKind::Volume, Stat::UserDataSdcReadLatency);
        picture = if seq == 9 {
            world.devices.as_mut().unwrap()[0].state = Seen::Other("Odd".into());
            world.volumes = None;
            world.picture("prod", seq)
        } else {
            next_poll(&world, &picture, seq)
        };
        let remembered = body(&encoder.encode(&[Arc::clone(&picture)], start()), Format::Text);
        assert_eq!(remembered, body(&encode(&[Arc::clone(&picture)]), Format::Text), "poll {seq}");
    }
}

#[test]
fn devices_that_are_gone_are_gone_after_one_poll() {
    let mut world = World::of(Size::TINY);
    let mut encoder = encoder(usize::MAX);
    encoder.encode(&[world.picture("prod", 1)], start());
    let gone: DeviceId = world.devices.as_mut().unwrap().remove(0).id;
    let text = body(&encoder.encode(&[world.picture("prod", 2)], start()), Format::Text);
    assert!(!text.contains(&gone.to_string()));
    world.devices = None;
    let text = body(&encoder.encode(&[world.picture("prod", 3)], start()), Format::Text);
    assert!(!text.contains("scaleio_device_"));
}

#[test]
fn bytes_and_rates_are_those_of_the_mdm() {
    let mut world = World::of(Size::TINY);
    let pool: ObjectId = id(3, 0);
    let volume: ObjectId = id(7, 0);
    world.set(StatKind::StoragePool, &pool, Stat::MaxCapacityInKb, 3.0 * 2f64.powi(60));
    let window = Window { seconds: 5.0, weight: 10.0, count: 2_500.0 };
    world.window(StatKind::Volume, &volume, Stat::UserDataReadBwc, window);
    world.window(StatKind::Volume, &volume, Stat::UserDataSdcReadLatency, Window { weight: 500_000.0, ..window });
    let families = families_of(&[world.picture("prod", 1)]);
    let read = |name: &str| families[name].samples.iter().find(|s| s.label("direction") == Some("read")).unwrap().value;
    assert_eq!(values(&families, "scaleio_storage_pool_capacity_max_bytes")[0].1, 3.0 * 2f64.powi(60));
    assert_eq!(read("scaleio_volume_operations_per_second"), 500.0);
    assert_eq!(read("scaleio_volume_throughput_bytes_per_second"), 2_048.0);
    assert_eq!(read("scaleio_volume_latency_seconds"), 0.000_2);
}

mod names {
    use proptest::prelude::*;

    use super::*;

    fn name() -> impl Strategy<Value = Option<Box<str>>> {
        // Few letters, so that names are equal often and look like escapes and ids.
        proptest::option::of("[a\\\\\"\n{},= 0-]{0,3}|a-000000070000000[1-4]|\\PC{0,4}")
            .prop_map(|name| name.map(Into::into))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn whatever_objects_are_called_each_has_its_own_series(
            volumes in proptest::collection::vec((name(), 0..3_usize), 0..6),
            pools in proptest::collection::vec(name(), 2),
            sds in proptest::collection::vec(name(), 3),
            devices in proptest::collection::vec(name(), 3),
        ) {
            let mut world = World::of(Size { pools: 2, sds: 3, volumes: volumes.len(), ..Size::TINY });
            for (volume, (name, pool)) in world.volumes.iter_mut().flatten().zip(&volumes) {
                volume.name.clone_from(name);
                // The third pool is in no list.
                volume.pool = Some(id(3, *pool));
            }
            for (pool, name) in world.pools.iter_mut().flatten().zip(pools) {
                pool.name = name;
            }
            for (sds, name) in world.sds.iter_mut().flatten().zip(sds) {
                sds.name = name;
            }
            for (device, name) in world.devices.iter_mut().flatten().zip(devices) {
                device.path = name;
            }
            // `read` refuses what does not parse, and a series that is there twice.
            let families = families_of(&[world.picture("prod", 1)]);
            let count = |name: &str| families.get(name).map_or(0, |family| family.samples.len());
            prop_assert_eq!(count("scaleio_volume_size_bytes"), volumes.len());
            prop_assert_eq!(count("scaleio_storage_pool_info"), 2);
            prop_assert_eq!(count("scaleio_sds_mdm_connected"), 3);
            prop_assert_eq!(count("scaleio_device_error"), 3);
        }
    }
}
