//! Who is hurt by what?

#![allow(clippy::unwrap_used)]

#[path = "support/pictures.rs"]
mod pictures;

use std::collections::BTreeSet;

use pictures::{Size, World, id};
use scaleio_framework::model::cluster::Mapping;
use scaleio_framework::model::hurt::{Hurt, NotOne, Suspect, hurt};
use scaleio_framework::model::id::*;
use scaleio_framework::model::mesos::TaskState;
use scaleio_framework::model::snapshot::{Collector, Snapshot};
use scaleio_framework::model::unit::Timestamp;
use scaleio_framework::model::workload::{RunningTask, Workloads, add_workloads};

/// Two domains with one pool each, two servers and two devices in each; four
/// volumes, two a pool; three clients. Volume 0 is mapped to client 0, volume 1
/// to clients 0 and 1, volume 2 to every client, volume 3 to nobody.
fn world() -> World {
    let size = Size { domains: 2, pools: 2, fault_sets: 2, sds: 4, devices_per_sds: 1, sdcs: 3, volumes: 4 };
    let mut world = World::of(size);
    for (number, sds) in world.sds.iter_mut().flatten().enumerate() {
        sds.domain = Some(id(1, number % 2));
        sds.fault_set = Some(id(2, number / 2));
    }
    for (number, device) in world.devices.iter_mut().flatten().enumerate() {
        device.sds = Some(id(4, number));
        device.pool = Some(id(3, number % 2));
    }
    let mapping = |sdc| Mapping { sdc: id(6, sdc), limit_iops: None, limit_bandwidth: None, access_mode: None };
    for (number, volume) in world.volumes.iter_mut().flatten().enumerate() {
        volume.pool = Some(id(3, number / 2));
        volume.mapped_to_all = number == 2;
        volume.mappings = [vec![mapping(0)], vec![mapping(0), mapping(1)], vec![], vec![]][number].clone();
    }
    world
}

fn snapshot(world: &World) -> Snapshot {
    Snapshot::clone(world.picture("prod", 1).snapshot.as_ref().unwrap())
}

fn names(hurt: &Hurt) -> (Vec<String>, Vec<String>) {
    (
        hurt.volumes.iter().map(|volume| volume.id.to_string()).collect(),
        hurt.clients.iter().map(|client| format!("{} x{}", client.id, client.volumes)).collect(),
    )
}

fn volumes(numbers: &[usize]) -> Vec<String> {
    numbers.iter().map(|number| id::<VolumeId>(7, *number).to_string()).collect()
}

fn clients(counts: &[(usize, usize)]) -> Vec<String> {
    counts.iter().map(|(number, count)| format!("{} x{count}", id::<SdcId>(6, *number))).collect()
}

#[test]
fn whatever_happens_to_a_part_of_a_pool_hurts_all_its_volumes_and_their_clients() {
    let snapshot = snapshot(&world());
    let first = (volumes(&[0, 1]), clients(&[(0, 2), (1, 1)]));
    let second = (volumes(&[2, 3]), clients(&[(0, 1), (1, 1), (2, 1)]));
    let both = (volumes(&[0, 1, 2, 3]), clients(&[(0, 3), (1, 2), (2, 1)]));
    for (suspect, wanted) in [
        (Suspect::StoragePool(id(3, 0)), &first),
        (Suspect::ProtectionDomain(id(1, 1)), &second),
        (Suspect::Sds(id(4, 2)), &first),
        (Suspect::Sds(id(4, 3)), &second),
        (Suspect::Device(id(5, 1)), &second),
        (Suspect::FaultSet(id(2, 0)), &both),
    ] {
        let hurt = hurt(&snapshot, suspect.clone());
        assert_eq!(names(&hurt), *wanted, "{suspect:?}");
        assert!(hurt.unknown.is_empty());
        assert_eq!(hurt.workloads, None, "there is no Mesos");
    }
}

#[test]
fn a_volume_hurts_its_clients_and_a_client_only_itself() {
    let snapshot = snapshot(&world());
    let by = |suspect| names(&hurt(&snapshot, suspect));
    assert_eq!(by(Suspect::Volume(id(7, 1))), (volumes(&[1]), clients(&[(0, 1), (1, 1)])));
    assert_eq!(by(Suspect::Volume(id(7, 3))), (volumes(&[3]), clients(&[])));
    assert_eq!(by(Suspect::Sdc(id(6, 1))), (volumes(&[1, 2]), clients(&[(1, 2)])));
}

#[test]
fn what_is_not_known_is_said() {
    let mut world = world();
    world.devices = None;
    world.sdcs = None;
    let snapshot = snapshot(&world);
    let by_server = hurt(&snapshot, Suspect::Sds(id(4, 0)));
    assert_eq!(by_server.unknown, BTreeSet::from([Collector::Devices]));
    let by_pool = hurt(&snapshot, Suspect::StoragePool(id(3, 1)));
    assert_eq!(by_pool.unknown, BTreeSet::from([Collector::Sdcs]), "volume 2 is mapped to all of them");
}

#[test]
fn things_are_found_by_id_and_by_a_name_that_only_one_has() {
    let mut world = world();
    for pool in world.pools.iter_mut().flatten() {
        pool.name = Some("ssd".into());
    }
    let snapshot = snapshot(&world);
    let find = |kind: &str, text: &str| Suspect::find(&snapshot, kind, text);
    assert_eq!(find("sds", "sds-2"), Ok(Suspect::Sds(id(4, 1))));
    let second = id::<StoragePoolId>(3, 1);
    assert_eq!(find("pool", &second.to_string()), Ok(Suspect::StoragePool(second.clone())));
    let ids = vec![id::<StoragePoolId>(3, 0).to_string(), second.to_string()];
    assert_eq!(find("pool", "ssd"), Err(NotOne::Several { kind: "pool", text: "ssd".into(), ids }));
    assert_eq!(find("pool", "hdd"), Err(NotOne::NoSuchThing { kind: "pool", text: "hdd".into() }));
    assert_eq!(find("rack", "1"), Err(NotOne::NoSuchKind { kind: "rack".into() }));
}

/// A task on the machine of client 1, which its name or its address tells.
fn task(name: &str, hostname: Option<&str>, address: Option<&str>, volumes: &[&str]) -> RunningTask {
    RunningTask {
        task: TaskId::new(name),
        name: name.into(),
        framework: "marathon".into(),
        application: None,
        agent: AgentId::new("S1"),
        hostname: hostname.map(Into::into),
        address: address.map(Into::into),
        state: TaskState::Running,
        volumes: volumes.iter().map(|volume| (*volume).into()).collect(),
    }
}

#[test]
fn workloads_are_found_by_their_client_and_by_the_volumes_that_they_name() {
    let mut world = world();
    for (number, sdc) in world.sdcs.iter_mut().flatten().enumerate() {
        sdc.name = Some(format!("node-{number}.test").into());
        sdc.addresses = vec![format!("192.0.2.{number}").into()];
    }
    let volume = |world: &World, number: usize| world.volumes.as_ref().unwrap()[number].name.clone().unwrap();
    let (own, other) = (volume(&world, 1), volume(&world, 2));
    let snapshot = snapshot(&world);
    let tasks = vec![
        task("by-address", Some("elsewhere"), Some("192.0.2.1"), &[]),
        task("by-name", Some("NODE-1.test"), None, &[]),
        task("by-volume-anywhere", None, None, &[&own]),
        task("names-another-volume", Some("node-1.test"), None, &[&other]),
        task("on-a-client-that-is-well", Some("node-2.test"), None, &[]),
        task("nowhere", None, None, &[]),
    ];
    let found = |workloads: &Workloads| {
        let mut hurt = hurt(&snapshot, Suspect::Volume(id(7, 1)));
        add_workloads(&mut hurt, &snapshot, workloads);
        hurt
    };
    let workloads = Workloads { taken_at: Some(Timestamp::default()), problem: None, tasks, ..Workloads::default() };
    let hurt = found(&workloads);
    let names: Vec<(&str, bool, usize)> =
        hurt.workloads.as_deref().unwrap().iter().map(|w| (&*w.task, w.client.is_some(), w.volumes.len())).collect();
    assert_eq!(names, [("by-address", true, 0), ("by-name", true, 0), ("by-volume-anywhere", false, 1)]);
    let silent = found(&Workloads { problem: Some("the master is away".into()), ..Workloads::default() });
    assert_eq!((silent.workloads, silent.workloads_unknown.as_deref()), (None, Some("the master is away")));
}
