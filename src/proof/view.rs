//! What would a poll show of the truth? A snapshot, without the detour over HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::cluster::{
    Device, Mapping, MdmAlert, MdmCluster, MdmMember, MdmRole, ProtectionDomain, Sdc, Sds, SdsAddress, StoragePool,
    System, Volume,
};
use crate::model::id::{ObjectId, SystemId};
use crate::model::snapshot::{Part, Snapshot, Table};
use crate::model::state::Seen;
use crate::model::stats::{Columns, Stat, StatKind, StatTable, Statistics};
use crate::model::unit::{Ratio, Timestamp};
use crate::model::version::{Generation, ProductVersion};
use crate::sim::world::{self, Id, World};

pub(super) fn id<T: From<ObjectId>>(id: Id) -> T {
    T::from(ObjectId::from_number(id.0))
}

const POOL: [Stat; 17] = [
    Stat::DegradedHealthyCapacityInKb,
    Stat::DegradedFailedCapacityInKb,
    Stat::FailedCapacityInKb,
    Stat::SemiProtectedCapacityInKb,
    Stat::InMaintenanceCapacityInKb,
    Stat::PendingFwdRebuildCapacityInKb,
    Stat::ActiveFwdRebuildCapacityInKb,
    Stat::PendingBckRebuildCapacityInKb,
    Stat::ActiveBckRebuildCapacityInKb,
    Stat::PendingRebalanceCapacityInKb,
    Stat::ActiveRebalanceCapacityInKb,
    Stat::PendingEnterProtectedMaintenanceModeCapacityInKb,
    Stat::ActiveEnterProtectedMaintenanceModeCapacityInKb,
    Stat::PendingExitProtectedMaintenanceModeCapacityInKb,
    Stat::ActiveExitProtectedMaintenanceModeCapacityInKb,
    Stat::CapacityInUseInKb,
    Stat::MaxCapacityInKb,
];

/// The snapshot of this moment.
pub(super) fn snapshot(world: &World, generation: Generation, seq: u64, at: Timestamp) -> Snapshot {
    let mut snapshot = Snapshot::empty(SystemId::new("sim"), generation, seq, at);
    snapshot.array = part(at, array(world));
    snapshot.domains = part(at, Table::new(world.domains.values().map(domain).collect()));
    snapshot.pools = part(at, Table::new(world.pools.values().map(pool).collect()));
    snapshot.sds = part(at, Table::new(world.sds.values().map(sds).collect()));
    snapshot.devices = part(at, Table::new(world.devices.values().map(device).collect()));
    snapshot.sdcs = part(at, Table::new(world.sdcs.values().map(sdc).collect()));
    snapshot.volumes = part(at, Table::new(world.volumes.values().map(volume).collect()));
    snapshot.alerts = part(at, world.alerts().filter(|alert| alert.cleared.is_none()).map(alert).collect());
    snapshot.statistics = part(at, statistics(world));
    snapshot
}

fn part<T>(at: Timestamp, value: T) -> Option<Part<T>> {
    Some(Part { begun_at: at, taken_at: at, value: Arc::new(value) })
}

fn array(world: &World) -> System {
    let now = world.now();
    let master = world.mdm.master().map(|mdm| mdm.id);
    let members = world.mdm.members.iter().map(|mdm| MdmMember {
        id: id(mdm.id),
        name: Some(mdm.name.as_str().into()),
        role: match (mdm.role, mdm.standby) {
            (world::MdmRole::Manager, true) => MdmRole::StandbyManager,
            (world::MdmRole::TieBreaker, true) => MdmRole::StandbyTieBreaker,
            (world::MdmRole::Manager, false) if Some(mdm.id) == master => MdmRole::Primary,
            (world::MdmRole::Manager, false) => MdmRole::Secondary,
            (world::MdmRole::TieBreaker, false) => MdmRole::TieBreaker,
        },
        status: Some(Seen::read(match (mdm.up, mdm.in_sync(now)) {
            (false, _) => "Disconnected",
            (true, false) => "OutOfSync",
            (true, true) => "Normal",
        })),
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
        upgrade_state: Some(Seen::read("NoUpgrade")),
        licensed_capacity: None,
        license_days_left: None,
        connectivity: Vec::new(),
        restricted_sdc_mode: None,
        remote_read_only_limit: None,
        mdm: Some(cluster),
    }
}

fn domain(domain: &world::Domain) -> ProtectionDomain {
    let state = match domain.state {
        world::DomainState::Active => "Active",
        world::DomainState::ActivePending(_) => "ActivePending",
        world::DomainState::InactivePending(_) => "InactivePending",
        world::DomainState::Inactive => "Inactive",
    };
    ProtectionDomain {
        id: id(domain.id),
        name: Some(domain.name.as_str().into()),
        state: Seen::read(state),
        throttling: BTreeMap::new(),
    }
}

fn pool(pool: &world::Pool) -> StoragePool {
    StoragePool {
        id: id(pool.id),
        name: Some(pool.name.as_str().into()),
        domain: Some(id(pool.domain)),
        media: None,
        layout: None,
        spare: Some(Ratio::from_percent(pool.spare_percent as f64)),
        rebuild_enabled: Some(pool.rebuild_enabled),
        rebalance_enabled: Some(pool.rebalance_enabled),
        zero_padding: None,
        checksum: None,
        usage: None,
        capacity_alert_high: None,
        capacity_alert_critical: None,
    }
}

fn sds(sds: &world::Sds) -> Sds {
    Sds {
        id: id(sds.id),
        name: Some(sds.name.as_str().into()),
        domain: Some(id(sds.domain)),
        fault_set: sds.fault_set.map(id),
        addresses: sds.ips.iter().map(|at| SdsAddress { ip: at.ip.as_str().into(), role: None }).collect(),
        port: None,
        state: Seen::read(if sds.removing { "RemovePending" } else { "Normal" }),
        membership: Seen::read(match sds.membership {
            world::Membership::Joined => "Joined",
            world::Membership::JoinPending(_) => "JoinPending",
            world::Membership::Decoupled(_) => "Decoupled",
        }),
        connection: Seen::read(if sds.connected() { "Connected" } else { "Disconnected" }),
        maintenance: Seen::read(match sds.maintenance {
            world::Maintenance::None => "NoMaintenance",
            world::Maintenance::Entering => "SetMaintenanceInProgress",
            world::Maintenance::In => "InMaintenance",
            world::Maintenance::Exiting => "ExitMaintenanceInProgress",
        }),
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

fn device(device: &world::Device) -> Device {
    Device {
        id: id(device.id),
        name: Some(device.name.as_str().into()),
        sds: Some(id(device.sds)),
        pool: Some(id(device.pool)),
        acceleration_pool: None,
        path: None,
        state: Seen::read("Normal"),
        error: Seen::read(if device.failed { "Error" } else { "None" }),
        media: None,
        size: None,
        vendor: None,
        model: None,
        serial: None,
        firmware: None,
        temperature: None,
        end_of_life: None,
        smart: None,
        long_operations: None,
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

fn sdc(sdc: &world::Sdc) -> Sdc {
    Sdc {
        id: id(sdc.id),
        name: None,
        host_type: None,
        guid: None,
        nqn: None,
        addresses: vec![sdc.ip.as_str().into()],
        approved: None,
        connection: Some(Seen::read(if sdc.connected { "Connected" } else { "Disconnected" })),
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

fn statistics(world: &World) -> Statistics {
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
    let devices: Vec<f64> = world.devices.values().flat_map(|at| [kib(at.used_kb), kib(at.capacity_kb)]).collect();
    Statistics::new(
        [
            (StatKind::StoragePool, StatTable::new(Columns::new(POOL), ids(&mut world.pools.keys().copied()), pools)),
            (
                StatKind::Device,
                StatTable::new(
                    Columns::new([Stat::CapacityInUseInKb, Stat::MaxCapacityInKb]),
                    ids(&mut world.devices.keys().copied()),
                    devices,
                ),
            ),
        ]
        .into(),
    )
}
