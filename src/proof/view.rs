//! What would a poll show of the truth? A snapshot, without the detour over HTTP.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use crate::model::cluster::{
    Device, Mapping, MdmAlert, MdmCluster, MdmMember, MdmRole, ProtectionDomain, Sdc, Sds, SdsAddress, StoragePool,
    System, Volume,
};
use crate::model::id::{ObjectId, SystemId};
use crate::model::snapshot::{Keyed, Part, Snapshot, Table};
use crate::model::state::{Connection, DeviceError, DomainState, Maintenance, Membership, SdsState, Seen};
use crate::model::stats::{Columns, Stat, StatKind, StatTable, Statistics};
use crate::model::unit::{Bytes, Ratio, Timestamp};
use crate::model::version::{Generation, ProductVersion};
use crate::sim::world::{self, Id, World};

pub(super) fn id<T: From<ObjectId>>(id: Id) -> T {
    T::from(ObjectId::from_number(id.0))
}

static OF_DEVICE: LazyLock<Columns> = LazyLock::new(|| Columns::new([Stat::CapacityInUseInKb, Stat::MaxCapacityInKb]));

/// A device of 2.0 says itself how large it is.
static OF_DEVICE_2_0: LazyLock<Columns> = LazyLock::new(|| Columns::new([Stat::CapacityInUseInKb]));

static OF_POOL: LazyLock<Columns> = LazyLock::new(|| Columns::new(POOL));

const POOL: [Stat; 19] = [
    Stat::DegradedHealthyCapacityInKb,
    Stat::DegradedFailedCapacityInKb,
    Stat::FailedCapacityInKb,
    Stat::SemiProtectedCapacityInKb,
    Stat::InMaintenanceCapacityInKb,
    Stat::PendingFwdRebuildCapacityInKb,
    Stat::ActiveFwdRebuildCapacityInKb,
    Stat::PendingBckRebuildCapacityInKb,
    Stat::ActiveBckRebuildCapacityInKb,
    Stat::PendingNormRebuildCapacityInKb,
    Stat::ActiveNormRebuildCapacityInKb,
    Stat::PendingRebalanceCapacityInKb,
    Stat::ActiveRebalanceCapacityInKb,
    Stat::PendingEnterProtectedMaintenanceModeCapacityInKb,
    Stat::ActiveEnterProtectedMaintenanceModeCapacityInKb,
    Stat::PendingExitProtectedMaintenanceModeCapacityInKb,
    Stat::ActiveExitProtectedMaintenanceModeCapacityInKb,
    Stat::CapacityInUseInKb,
    Stat::MaxCapacityInKb,
];

/// The snapshot of this moment. Parts that are as they were before are taken from there: all of them drawn anew would
/// take most of the time of a story.
pub(super) fn snapshot(
    world: &World,
    generation: Generation,
    seq: u64,
    at: Timestamp,
    before: Option<&Snapshot>,
) -> Snapshot {
    let mut snapshot = Snapshot::empty(SystemId::new("sim"), generation, seq, at);
    snapshot.array =
        part(at, before.and_then(|before| before.array.as_ref()), |old| shows_array(old, world), || array(world));
    snapshot.domains = table(at, before.and_then(|at| at.domains.as_ref()), &world.domains, domain, |row, now| {
        row.state == domain_state(now)
    });
    snapshot.pools = table(at, before.and_then(|at| at.pools.as_ref()), &world.pools, pool, |row, now| {
        row.rebuild_enabled == Some(now.rebuild_enabled)
    });
    snapshot.sds = table(at, before.and_then(|at| at.sds.as_ref()), &world.sds, sds, shows_sds);
    snapshot.devices = table(at, before.and_then(|at| at.devices.as_ref()), &world.devices, device, |row, now| {
        row.error == device_error(now)
    });
    snapshot.sdcs = table(at, before.and_then(|at| at.sdcs.as_ref()), &world.sdcs, sdc, |row, now| {
        row.connection == Some(sdc_connection(now))
            && row.version.as_ref().is_some_and(|version| version.as_str() == now.version)
    });
    snapshot.volumes = table(at, before.and_then(|at| at.volumes.as_ref()), &world.volumes, volume, |row, now| {
        row.mappings.len() == now.mapped.len()
    });
    let alerts = || world.alerts().filter(|alert| alert.cleared.is_none());
    let same = |old: &Vec<MdmAlert>| old.iter().map(|alert| &*alert.id).eq(alerts().map(|alert| alert.uuid.as_str()));
    snapshot.alerts = part(at, before.and_then(|at| at.alerts.as_ref()), same, || alerts().map(alert).collect());
    snapshot.statistics = part(at, None, |_| false, || statistics(world, generation));
    snapshot
}

/// Whether what a watcher notes (`Observed`) is the same after both.
pub(super) fn notes_stay(before: &Snapshot, now: &Snapshot) -> bool {
    fn same<T>(before: Option<&Part<T>>, now: Option<&Part<T>>) -> bool {
        before.zip(now).is_some_and(|(before, now)| Arc::ptr_eq(&before.value, &now.value))
    }
    let entering = |all: &Part<Table<Sds>>| all.iter().any(|sds| sds.maintenance.is(Maintenance::Entering));
    same(before.array.as_ref(), now.array.as_ref())
        && same(before.sds.as_ref(), now.sds.as_ref())
        && same(before.sdcs.as_ref(), now.sdcs.as_ref())
        && !now.sds.as_ref().is_some_and(entering)
}

/// What is shown now: what was shown before, if it is still so.
fn part<T>(
    at: Timestamp,
    before: Option<&Part<T>>,
    same: impl FnOnce(&T) -> bool,
    draw: impl FnOnce() -> T,
) -> Option<Part<T>> {
    let before = before.filter(|before| same(&before.value)).map(|before| Arc::clone(&before.value));
    Some(Part { begun_at: at, taken_at: at, value: before.unwrap_or_else(|| Arc::new(draw())) })
}

/// The same of many, of which each row is compared with what it shows.
fn table<T: Keyed, W>(
    at: Timestamp,
    before: Option<&Part<Table<T>>>,
    world: &BTreeMap<Id, W>,
    draw: impl Fn(&W) -> T,
    same: impl Fn(&T, &W) -> bool,
) -> Option<Part<Table<T>>>
where
    T::Id: From<ObjectId>,
{
    // Both are in the order of their ids.
    let shows = |rows: &Table<T>| {
        rows.len() == world.len()
            && rows.iter().zip(world).all(|(row, (now, object))| *row.id() == id::<T::Id>(*now) && same(row, object))
    };
    part(at, before, shows, || Table::new(world.values().map(draw).collect()))
}

fn array(world: &World) -> System {
    let now = world.now();
    let members = world.mdm.members.iter().map(|mdm| MdmMember {
        id: id(mdm.id),
        name: Some(mdm.name.as_str().into()),
        role: mdm_role(world, mdm),
        status: Some(Seen::read(mdm_status(world, mdm))),
        version: Some(ProductVersion::read(&mdm.version)),
        ips: mdm.ips.iter().map(|ip| ip.as_str().into()).collect(),
        management_ips: Vec::new(),
        port: None,
    });
    let cluster = MdmCluster {
        id: None,
        name: None,
        mode: Seen::read(world.mdm.mode()),
        state: Seen::read(if world.mdm.normal(now) { "ClusteredNormal" } else { "ClusteredDegraded" }),
        good_nodes: u32::try_from(world.mdm.good_nodes()).ok(),
        good_replicas: u32::try_from(world.mdm.good_replicas(now)).ok(),
        virtual_ips: Vec::new(),
        members: members.collect(),
    };
    System {
        id: id(world.system.id),
        name: None,
        version: ProductVersion::read(&world.system.version_name),
        install_id: None,
        performance_profile: None,
        upgrade_state: Some(Seen::read(upgrade_state(world))),
        licensed_capacity: None,
        license_days_left: None,
        has_trial_license: None,
        connectivity: Vec::new(),
        restricted_sdc_mode: None,
        remote_read_only_limit: None,
        mdm: Some(cluster),
    }
}

fn mdm_role(world: &World, mdm: &world::Mdm) -> MdmRole {
    match (mdm.role, mdm.standby) {
        (world::MdmRole::Manager, true) => MdmRole::StandbyManager,
        (world::MdmRole::TieBreaker, true) => MdmRole::StandbyTieBreaker,
        (world::MdmRole::Manager, false) if world.mdm.master().is_some_and(|master| master.id == mdm.id) => {
            MdmRole::Primary
        }
        (world::MdmRole::Manager, false) => MdmRole::Secondary,
        (world::MdmRole::TieBreaker, false) => MdmRole::TieBreaker,
    }
}

fn upgrade_state(world: &World) -> &'static str {
    match world.upgrade {
        world::Upgrade::None => "NoUpgrade",
        world::Upgrade::Running { .. } => "UpgradeInProgress",
        world::Upgrade::PostProcessing { .. } => "UpgradePostProcessingInProgress",
        world::Upgrade::Finished => "UpgradePostProcessingDone",
    }
}

fn mdm_status(world: &World, mdm: &world::Mdm) -> &'static str {
    match (mdm.up, mdm.in_sync(world.now())) {
        (false, _) => "Disconnected",
        (true, false) => "OutOfSync",
        (true, true) => "Normal",
    }
}

/// Whether the system is shown as it is. Nobody changes its members here; who they are, they stay.
fn shows_array(shown: &System, world: &World) -> bool {
    let Some(cluster) = &shown.mdm else { return false };
    let now = world.now();
    // State, mode and what is good of the cluster follow from its members.
    shown.upgrade_state.as_ref().is_some_and(|state| state.word() == upgrade_state(world))
        && cluster.good_nodes == u32::try_from(world.mdm.good_nodes()).ok()
        && cluster.good_replicas == u32::try_from(world.mdm.good_replicas(now)).ok()
        && cluster.members.len() == world.mdm.members.len()
        && cluster.members.iter().zip(&world.mdm.members).all(|(member, mdm)| {
            member.role == mdm_role(world, mdm)
                && member.status.as_ref().is_some_and(|status| status.word() == mdm_status(world, mdm))
                && member.version.as_ref().is_some_and(|version| version.as_str() == mdm.version)
        })
}

fn domain_state(domain: &world::Domain) -> Seen<DomainState> {
    Seen::Is(match domain.state {
        world::DomainState::Active => DomainState::Active,
        world::DomainState::ActivePending(_) => DomainState::ActivePending,
        world::DomainState::InactivePending(_) => DomainState::InactivePending,
        world::DomainState::Inactive => DomainState::Inactive,
    })
}

fn domain(domain: &world::Domain) -> ProtectionDomain {
    ProtectionDomain {
        id: id(domain.id),
        name: Some(domain.name.as_str().into()),
        state: domain_state(domain),
        throttling: BTreeMap::new(),
    }
}

fn pool(pool: &world::Pool) -> StoragePool {
    StoragePool {
        name: Some(pool.name.as_str().into()),
        domain: Some(id(pool.domain)),
        spare: Some(Ratio::from_percent(pool.spare_percent as f64)),
        rebuild_enabled: Some(pool.rebuild_enabled),
        rebalance_enabled: Some(pool.rebalance_enabled),
        ..StoragePool::unknown(id(pool.id))
    }
}

fn sds_states(sds: &world::Sds) -> (Seen<SdsState>, Seen<Membership>, Seen<Connection>, Seen<Maintenance>) {
    (
        Seen::Is(if sds.removing { SdsState::RemovePending } else { SdsState::Normal }),
        Seen::Is(match sds.membership {
            world::Membership::Joined => Membership::Joined,
            world::Membership::JoinPending(_) => Membership::JoinPending,
            world::Membership::Decoupled(_) => Membership::Decoupled,
        }),
        Seen::Is(if sds.connected() { Connection::Connected } else { Connection::Disconnected }),
        Seen::Is(match sds.maintenance {
            world::Maintenance::None => Maintenance::None,
            world::Maintenance::Entering => Maintenance::Entering,
            world::Maintenance::In => Maintenance::In,
            world::Maintenance::Exiting => Maintenance::Exiting,
        }),
    )
}

fn shows_sds(row: &Sds, now: &world::Sds) -> bool {
    let (state, membership, connection, maintenance) = sds_states(now);
    row.state == state
        && row.membership == membership
        && row.connection == connection
        && row.maintenance == maintenance
        && row.version.as_ref().is_some_and(|version| version.as_str() == now.version)
}

fn sds(sds: &world::Sds) -> Sds {
    let (state, membership, connection, maintenance) = sds_states(sds);
    Sds {
        id: id(sds.id),
        name: Some(sds.name.as_str().into()),
        domain: Some(id(sds.domain)),
        fault_set: sds.fault_set.map(id),
        addresses: sds.ips.iter().map(|at| SdsAddress { ip: at.ip.as_str().into(), role: None }).collect(),
        port: None,
        state,
        membership,
        connection,
        maintenance,
        maintenance_type: None,
        version: Some(ProductVersion::read(&sds.version)),
        drl_mode: None,
        authentication_error: None,
        restarts: None,
        rmcache: None,
        certificate_expires: None,
        oscillating: Vec::new(),
    }
}

fn device_error(device: &world::Device) -> Seen<DeviceError> {
    Seen::Is(if device.failed { DeviceError::Error } else { DeviceError::None })
}

fn device(device: &world::Device) -> Device {
    Device {
        name: Some(device.name.as_str().into()),
        sds: Some(id(device.sds)),
        pool: Some(id(device.pool)),
        state: Seen::read("Normal"),
        error: device_error(device),
        size: Some(Bytes::from_kib(device.capacity_kb)),
        ..Device::unknown(id(device.id))
    }
}

fn volume(volume: &world::Volume) -> Volume {
    let mapping = |sdc: &Id| Mapping { sdc: id(*sdc), limit_iops: None, limit_bandwidth: None, access_mode: None };
    Volume {
        id: id(volume.id),
        name: None,
        kind: Seen::read("ThickProvisioned"),
        size: None,
        pool: Some(id(volume.pool)),
        vtree: None,
        ancestor: None,
        created: None,
        mapped_to_all: false,
        mappings: volume.mapped.iter().map(mapping).collect(),
    }
}

fn sdc_connection(sdc: &world::Sdc) -> Seen<Connection> {
    Seen::Is(if sdc.connected { Connection::Connected } else { Connection::Disconnected })
}

fn sdc(sdc: &world::Sdc) -> Sdc {
    Sdc {
        id: id(sdc.id),
        name: None,
        host_type: None,
        guid: None,
        nqn: None,
        addresses: vec![sdc.ip.as_str().into()],
        approved: None,
        connection: Some(sdc_connection(sdc)),
        os: None,
        version: Some(ProductVersion::read(&sdc.version)),
        oscillating: Vec::new(),
    }
}

fn alert(alert: &world::Alert) -> MdmAlert {
    MdmAlert {
        id: alert.uuid.as_str().into(),
        name: alert.kind.name().into(),
        severity: Seen::read("MAJOR"),
        description: None,
        repair: None,
        resource_type: None,
        resource_name: Some(alert.subject.name.as_str().into()),
        resource_id: Some(alert.subject.id.to_string().into()),
        started: None,
        last_seen: None,
        acknowledged: false,
    }
}

fn statistics(world: &World, generation: Generation) -> Statistics {
    let kib = |kb: u64| (kb * 1024) as f64;
    let mut pools = Vec::new();
    for pool in world.pools.values() {
        let (at, moving) = (&pool.figures.protection, &pool.figures.moving);
        pools.extend([
            kib(at.degraded_healthy),
            kib(at.degraded_failed),
            kib(at.failed),
            0.0,
            kib(at.in_maintenance),
            kib(moving.forward.pending_kb()),
            kib(moving.forward.active_kb),
            kib(moving.backward.pending_kb()),
            kib(moving.backward.active_kb),
            kib(moving.normal.pending_kb()),
            kib(moving.normal.active_kb),
            kib(moving.rebalance.pending_kb()),
            kib(moving.rebalance.active_kb),
            kib(moving.enter.pending_kb()),
            kib(moving.enter.active_kb),
            kib(moving.exit.pending_kb()),
            kib(moving.exit.active_kb),
            kib(pool.figures.in_use),
            kib(pool.figures.limit),
        ]);
    }
    let ids = |all: &mut dyn Iterator<Item = Id>| all.map(|id| ObjectId::from_number(id.0)).collect::<Vec<_>>();
    let of_device = if generation == Generation::V2_0 { &*OF_DEVICE_2_0 } else { &*OF_DEVICE };
    let figures = of_device.width();
    let devices =
        world.devices.values().flat_map(|at| [kib(at.used_kb), kib(at.capacity_kb)].into_iter().take(figures));
    let devices: Vec<f64> = devices.collect();
    Statistics::new(
        [
            (StatKind::StoragePool, StatTable::new(OF_POOL.clone(), ids(&mut world.pools.keys().copied()), pools)),
            (StatKind::Device, StatTable::new(of_device.clone(), ids(&mut world.devices.keys().copied()), devices)),
        ]
        .into(),
    )
}
