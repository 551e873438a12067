//! Whether a mail names how the system stands, who depends on what is unwell,
//! how it went, what changed before, and what ended it.

use std::collections::BTreeMap;
use std::sync::Arc;

use scaleio_framework::alert::background::Background;
use scaleio_framework::model::alerting::*;
use scaleio_framework::model::cluster::Mapping;
use scaleio_framework::model::id::{AgentId, SystemId, TaskId};
use scaleio_framework::model::mesos::TaskState;
use scaleio_framework::model::picture::Picture;
use scaleio_framework::model::state::{Connection, DeviceError, Seen};
use scaleio_framework::model::stats::{Stat, StatKind};
use scaleio_framework::model::workload::{RunningTask, Workloads};
use scaleio_framework::watches::Pictures;

use crate::pictures::{Size, World, id, poll_time};
use crate::world::{alert, item, note};

fn world() -> World {
    let size = Size { domains: 1, pools: 1, fault_sets: 0, sds: 3, devices_per_sds: 1, sdcs: 2, volumes: 60 };
    let mut world = World::of(size);
    let mapping = |sdc| Mapping { sdc: id(6, sdc), limit_iops: None, limit_bandwidth: None, access_mode: None };
    world.volumes.iter_mut().flatten().for_each(|volume| {
        volume.pool = Some(id(3, 0));
        volume.mappings = vec![mapping(0)];
    });
    world.devices.iter_mut().flatten().for_each(|device| device.pool = Some(id(3, 0)));
    degraded(&mut world, 0.0);
    world
}

fn degraded(world: &mut World, bytes: f64) {
    let system = world.array.as_ref().unwrap().id.object().clone();
    world.set(StatKind::System, &system, Stat::DegradedFailedCapacityInKb, bytes);
    world.set(StatKind::System, &system, Stat::FailedCapacityInKb, 0.0);
}

fn pictures(picture: &Arc<Picture>) -> Pictures {
    BTreeMap::from([(SystemId::new("prod"), Arc::clone(picture))])
}

/// An alert about an object, in a mail of the poll with this number.
fn told(seq: u64, area: &str, labels: &[(&str, &str)], state: AlertState) -> Notification {
    let mut alert = alert("Some", Severity::Critical, "Something is wrong.");
    alert.area = area.to_owned();
    alert.labels.extend(labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    alert.state = state;
    let mut note = note("n-1", Kind::Firing, vec![item(alert)]);
    note.created_at = poll_time(seq);
    note.group.area = area.to_owned();
    note
}

fn firing(seq: u64) -> AlertState {
    AlertState::Firing { fired_at: poll_time(seq) }
}

fn resolved(seq: u64) -> AlertState {
    AlertState::Resolved { fired_at: poll_time(1), resolved_at: poll_time(seq), ended_by: None }
}

/// Three polls: all is well; a device fails and an SDS is away; both are back.
fn story() -> (Background, Vec<Arc<Picture>>) {
    let mut world = world();
    let mut seen = Background::default();
    let mut shown = vec![world.picture("prod", 1)];
    world.devices.as_mut().unwrap()[0].error = Seen::read("DeviceIoError");
    world.sds.as_mut().unwrap()[1].connection = Seen::Is(Connection::Disconnected);
    degraded(&mut world, 3e9);
    shown.push(world.picture("prod", 2));
    world.devices.as_mut().unwrap()[0].error = Seen::Is(DeviceError::None);
    world.sds.as_mut().unwrap()[1].connection = Seen::Is(Connection::Connected);
    degraded(&mut world, 0.0);
    shown.push(world.picture("prod", 3));
    for picture in &shown {
        seen.see(&pictures(picture));
        // The same once more adds nothing.
        seen.see(&pictures(picture));
    }
    (seen, shown)
}

#[test]
fn who_depends_on_it_is_named_with_the_number_of_all() {
    let (seen, shown) = story();
    for labels in [
        &[("storage_pool", "pool-1"), ("protection_domain", "domain-1")][..],
        &[("sds", "sds-1"), ("protection_domain", "domain-1")],
        &[("device", "x"), ("sds", "sds-1"), ("storage_pool", "pool-1")],
        &[("protection_domain", "domain-1")],
    ] {
        let mut note = told(2, "sds", labels, firing(2));
        seen.fill(&mut note, &pictures(&shown[1]), None);
        let hurt = &note.items[0].hurt;
        assert_eq!((hurt.volumes.len(), hurt.more_volumes), (40, 20), "{labels:?}");
        assert_eq!(hurt.clients, ["10.1.0.0"], "{labels:?}");
    }
    let only = |labels: &[(&str, &str)]| {
        let mut note = told(2, "sds", labels, firing(2));
        seen.fill(&mut note, &pictures(&shown[1]), None);
        note.items.remove(0).hurt
    };
    assert_eq!(only(&[("volume", "volume-7"), ("storage_pool", "pool-1")]).volumes, ["volume-7"]);
    assert_eq!(only(&[]), Affected::default(), "a label that names nothing hurts nobody");
    assert_eq!(only(&[("sds", "unknown")]), Affected::default());
}

#[test]
fn what_runs_on_it_in_mesos_is_named_with_its_application() {
    let (seen, shown) = story();
    let task = |name: &str, address: &str| RunningTask {
        task: TaskId::new(name),
        name: name.into(),
        framework: "marathon".into(),
        application: Some("/shop/cart".into()),
        agent: AgentId::new("S1"),
        hostname: None,
        address: Some(address.into()),
        state: TaskState::Running,
        volumes: [].into(),
    };
    let tasks = vec![task("cart-1", "10.1.0.0"), task("cart-2", "10.1.0.0"), task("elsewhere", "192.0.2.9")];
    let workloads = Workloads { taken_at: Some(poll_time(2)), problem: None, tasks, ..Workloads::default() };
    let mut note = told(2, "sds", &[("storage_pool", "pool-1"), ("protection_domain", "domain-1")], firing(2));
    seen.fill(&mut note, &pictures(&shown[1]), Some(&workloads));
    let hurt = &note.items[0].hurt;
    assert_eq!(hurt.tasks, ["cart-1", "cart-2"]);
    assert_eq!(hurt.apps, ["/shop/cart"]);
}

#[test]
fn the_state_of_the_system_the_figures_and_the_changes_are_those_of_the_moment() {
    let (seen, shown) = story();
    let mut note = told(2, "sds", &[("sds", "sds-2")], firing(2));
    seen.fill(&mut note, &pictures(&shown[1]), None);
    let status = note.status.unwrap();
    assert_eq!((status.sds.unwrap().connected, status.data.unwrap().degraded_bytes), (2, 3_000_000_000));
    let chart = &note.charts[0];
    assert_eq!((chart.values.len(), chart.values[23]), (24, Some(Number(3e9))));
    assert_eq!(chart.values[22], None, "what was not seen is no zero");
    let changes: Vec<&str> = note.changes.iter().map(|change| change.what.as_str()).collect();
    for change in ["2.8 GiB of data lost a copy", "SDS sds-2 became Disconnected", "of SDS sds-1 failed"] {
        assert!(changes.iter().any(|what| what.contains(change)), "{change}: {changes:?}");
    }
    let mut later = told(2, "sds", &[], firing(2));
    later.created_at = poll_time(2) + chrono::TimeDelta::hours(2);
    seen.fill(&mut later, &pictures(&shown[1]), None);
    assert_eq!(later.changes, [], "what changed long ago is no news");
    let mut report = told(2, "sds", &[], firing(2));
    report.kind = Kind::Heartbeat;
    seen.fill(&mut report, &pictures(&shown[1]), None);
    assert!(report.charts.is_empty() && report.changes.is_empty() && report.status.is_some());
}

#[test]
fn what_ended_an_alert_is_what_became_well_of_its_own_object() {
    let (seen, shown) = story();
    let ended = |area: &str, labels: &[(&str, &str)], known: Option<&str>| {
        let mut state = resolved(3);
        if let AlertState::Resolved { ended_by, .. } = &mut state {
            *ended_by = known.map(str::to_owned);
        }
        let mut note = told(3, area, labels, state);
        seen.fill(&mut note, &pictures(&shown[2]), None);
        let AlertState::Resolved { ended_by, .. } = note.items.remove(0).alert.state else { panic!() };
        ended_by.unwrap()
    };
    assert_eq!(ended("sds", &[("sds", "sds-2")], None), "SDS sds-2 connected again");
    assert_eq!(ended("protection", &[], None), "all data has all its copies again");
    assert_eq!(ended("sds", &[("sds", "sds-3")], None), "its condition holds no more", "another SDS ended nothing");
    assert_eq!(ended("sds", &[("sds", "sds-2")], Some("a person")), "a person");
}
