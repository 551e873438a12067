//! Builds the first moment of a system from a layout.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::DateTime;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::alert::Alarms;
use super::figures::{DeviceFigures, PoolFigures, spread};
use super::layout::Layout;
use super::load::{Profile, Traffic};
use super::mdm::{Mdm, MdmCluster, MdmRole};
use super::object::{
    Address, ConsistencyGroup, Device, DeviceState, Domain, DomainState, FaultSet, Id, Maintenance, Membership, Mode,
    NvmeHost, PeerMdm, Pool, ReplicationPair, Sdc, Sdr, Sds, Sdt, SnapshotPolicy, System, VTree, Volume, VolumeKind,
};
use super::upgrade::Upgrade;
use super::{Counters, World};
use crate::sim::release::Release;

/// Volumes come in multiples of this.
const GRAIN_KB: u64 = 8 << 20;
/// Where SDSs listen unless told otherwise.
pub(super) const SDS_PORT: u16 = 7072;
/// Seconds since 1970 at which a world begins until it is told otherwise.
const EPOCH: i64 = 1_750_000_000;

/// Ids of one type: a random high half, and a low half that counts up.
pub(super) struct Ids(u64);

impl Ids {
    fn new(rng: &mut ChaCha8Rng) -> Self {
        Self(u64::from(rng.random_range(0x1000_0000_u32..0xf000_0000)) << 32)
    }

    fn at(&self, index: u32) -> Id {
        // The high half grows a little with the index, as real ids do.
        Id(self.0 + (u64::from(index) << 32) + u64::from(index))
    }

    fn of_device(&self, sds: u32, index: u32) -> Id {
        Id(self.0 + (u64::from(sds) << 32) + (u64::from(sds) << 16) + u64::from(index))
    }
}

pub(super) fn build(layout: &Layout, release: Release, seed: u64) -> World {
    let is_bare = layout.domains == 0;
    let layout = &sensible(layout);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let system = Id(rng.random::<u64>() | 1 << 60);
    let mut world = World {
        release,
        system: System {
            id: system,
            name: "simulated".to_owned(),
            install_id: Id(rng.random::<u64>()),
            version_name: release.system_version_name().to_owned(),
            is_licensed: false,
        },
        mdm: MdmCluster::new(0, Vec::new()),
        domains: BTreeMap::new(),
        fault_sets: BTreeMap::new(),
        pools: BTreeMap::new(),
        sds: BTreeMap::new(),
        devices: BTreeMap::new(),
        sdcs: BTreeMap::new(),
        volumes: BTreeMap::new(),
        vtrees: BTreeMap::new(),
        policies: BTreeMap::new(),
        acceleration_pools: BTreeMap::new(),
        peers: BTreeMap::new(),
        remote_systems: BTreeMap::new(),
        users: BTreeMap::new(),
        sdrs: BTreeMap::new(),
        groups: BTreeMap::new(),
        pairs: BTreeMap::new(),
        sdts: BTreeMap::new(),
        hosts: BTreeMap::new(),
        settings: BTreeMap::new(),
        upgrade: Upgrade::default(),
        cluster_ips: Vec::new(),
        counters: Counters::default(),
        device_kb: layout.device_gib << 20,
        alarms: Alarms::new(seed),
        epoch: DateTime::from_timestamp(EPOCH, 0).unwrap_or_default(),
        now: Duration::ZERO,
        rest: Duration::ZERO,
        load: 1.0,
        move_kib_per_second: layout.move_kib_per_second,
        iops_per_volume: layout.iops_per_volume,
        rng,
        settled: Default::default(),
    };
    if is_bare {
        return world;
    }
    storage(&mut world, layout);
    cluster(&mut world, layout);
    clients(&mut world, layout);
    volumes(&mut world, layout);
    place(&mut world);
    replication(&mut world, layout);
    nvme(&mut world, layout);
    world
}

/// The nearest layout that can exist: one of everything, and room for data.
fn sensible(layout: &Layout) -> Layout {
    Layout {
        domains: layout.domains.max(1),
        racks_per_domain: layout.racks_per_domain.max(1),
        nodes_per_rack: layout.nodes_per_rack.max(1),
        pools_per_domain: layout.pools_per_domain.max(1),
        devices_per_node: layout.devices_per_node.max(layout.pools_per_domain).max(1),
        device_gib: layout.device_gib.max(1),
        fill: layout.fill.clamp(0.0, 0.95),
        spare_percent: layout.spare_percent.min(90),
        iops_per_volume: layout.iops_per_volume.max(0.0),
        ..layout.clone()
    }
}

/// The address of a node in one of the system's networks.
fn ip(network: u8, node: u32) -> String {
    format!("10.{network}.{}.{}", node / 250, node % 250 + 1)
}

/// The addresses of a node's SDS, with the roles its release gives them.
fn addresses(release: Release, node: u32) -> Vec<Address> {
    let roles = if release >= Release::V4_5 { ["sdsSdsOnly", "sdsOnly"] } else { ["all", "all"] };
    [10, 20]
        .into_iter()
        .zip(roles)
        .map(|(network, role)| Address { ip: ip(network, node), role: role.to_owned() })
        .collect()
}

fn storage(world: &mut World, layout: &Layout) {
    let rng = &mut world.rng;
    let (domains, racks, pools, nodes, devices) =
        (Ids::new(rng), Ids::new(rng), Ids::new(rng), Ids::new(rng), Ids::new(rng));
    for at in 0..layout.domains {
        let domain = domains.at(at);
        world
            .domains
            .insert(domain, Domain { id: domain, name: format!("domain-{}", at + 1), state: DomainState::Active });
        let here: Vec<Id> =
            (0..layout.pools_per_domain).map(|pool| pools.at(at * layout.pools_per_domain + pool)).collect();
        for (pool, id) in here.iter().enumerate() {
            let name = if layout.domains == 1 {
                format!("pool-{}", pool + 1)
            } else {
                format!("pool-{}-{}", at + 1, pool + 1)
            };
            world.pools.insert(
                *id,
                Pool {
                    id: *id,
                    name,
                    domain,
                    ssd: pool % 2 == 0,
                    spare_percent: layout.spare_percent,
                    rebuild_enabled: true,
                    rebalance_enabled: true,
                    high_percent: 80,
                    critical_percent: 90,
                    homeless: BTreeMap::new(),
                    balancing: false,
                    stuck_for: Duration::ZERO,
                    figures: PoolFigures::default(),
                    settled: Default::default(),
                    traffic: Traffic::default(),
                },
            );
        }
        for rack in 0..layout.racks_per_domain {
            let number = at * layout.racks_per_domain + rack;
            let fault_set = racks.at(number);
            world
                .fault_sets
                .insert(fault_set, FaultSet { id: fault_set, name: format!("rack-{}", number + 1), domain });
            for node in 0..layout.nodes_per_rack {
                let index = number * layout.nodes_per_rack + node;
                let id = nodes.at(index);
                world.sds.insert(
                    id,
                    Sds {
                        id,
                        name: format!("sds-{}-{}", number + 1, node + 1),
                        domain,
                        fault_set: Some(fault_set),
                        ips: addresses(world.release, index),
                        port: SDS_PORT,
                        membership: Membership::Joined,
                        maintenance: Maintenance::None,
                        mode: Mode::Instant,
                        maintenance_at: Duration::ZERO,
                        removing: false,
                        version: world.release.component().to_owned(),
                    },
                );
                for slot in 0..layout.devices_per_node {
                    let device = devices.of_device(index, slot);
                    let pool = here[slot as usize % here.len()];
                    let letter = char::from(b'b' + u8::try_from(slot % 24).unwrap_or(0));
                    world.devices.insert(
                        device,
                        Device {
                            id: device,
                            name: format!("dev-{}-{}-{}", number + 1, node + 1, slot + 1),
                            sds: id,
                            pool,
                            path: format!("/dev/sd{letter}"),
                            serial: format!("SIM{index:05}{slot:03}"),
                            ssd: (slot as usize % here.len()).is_multiple_of(2),
                            capacity_kb: layout.device_gib << 20,
                            used_kb: 0,
                            stale_kb: 0,
                            covered_kb: 0,
                            temp_kb: 0,
                            failed: false,
                            broken: false,
                            state: DeviceState::Normal,
                            figures: DeviceFigures::default(),
                        },
                    );
                }
            }
        }
    }
}

fn cluster(world: &mut World, layout: &Layout) {
    // Five members want as many racks as there are; smaller systems have three.
    let (managers, tie_breakers) = if layout.nodes() >= 6 { (3, 2) } else { (2, 1) };
    let roles = (0..managers)
        .map(|_| (MdmRole::Manager, false))
        .chain((0..tie_breakers).map(|_| (MdmRole::TieBreaker, false)))
        .chain((layout.nodes() >= 8).then_some((MdmRole::Manager, true)));
    let members = roles
        .enumerate()
        .map(|(at, (role, standby))| Mdm {
            id: Id(world.rng.random::<u64>() >> 1),
            name: format!("mdm-{}", at + 1),
            role,
            // One in each rack in turn.
            ips: vec![ip(10, spot(u32::try_from(at).unwrap_or(0), layout))],
            management_ips: vec![ip(10, spot(u32::try_from(at).unwrap_or(0), layout))],
            interfaces: Vec::new(),
            up: true,
            in_sync_at: Duration::ZERO,
            standby,
            version: world.release.component().to_owned(),
        })
        .collect();
    world.mdm = MdmCluster::new(world.rng.random::<u64>() >> 1, members);
}

fn spot(at: u32, layout: &Layout) -> u32 {
    let racks = layout.domains * layout.racks_per_domain;
    (at % racks) * layout.nodes_per_rack + at / racks % layout.nodes_per_rack
}

fn clients(world: &mut World, layout: &Layout) {
    let ids = Ids::new(&mut world.rng);
    for at in 0..layout.sdcs {
        let id = ids.at(at);
        let guid: u128 = world.rng.random();
        let hex = format!("{guid:032X}");
        world.sdcs.insert(
            id,
            Sdc {
                id,
                // Clients have no name until somebody gives them one.
                name: (at % 3 != 2).then(|| format!("client-{}", at + 1)),
                guid: format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]),
                ip: ip(30, at),
                connected: true,
                version: world.release.component().to_owned(),
                mapped: Vec::new(),
                traffic: Traffic::default(),
            },
        );
    }
}

fn volumes(world: &mut World, layout: &Layout) {
    let (volumes, vtrees) = (Ids::new(&mut world.rng), Ids::new(&mut world.rng));
    let pools: Vec<Id> = world.pools.keys().copied().collect();
    let sdcs: Vec<Id> = world.sdcs.keys().copied().collect();
    let pool_kb: BTreeMap<Id, u64> = pools
        .iter()
        .map(|id| {
            let raw: u64 =
                world.devices.values().filter(|device| device.pool == *id).map(|device| device.capacity_kb).sum();
            (*id, raw / 100 * (100 - layout.spare_percent) / 2)
        })
        .collect();
    let per_pool = u64::from(layout.volumes).div_ceil(pools.len() as u64).max(1);
    let mut bases: Vec<Id> = Vec::new();
    for at in 0..layout.volumes {
        let id = volumes.at(at);
        let rng = &mut world.rng;
        // Every eighth is a snapshot of an earlier volume.
        let ancestor = (at % 8 == 7).then(|| bases[rng.random_range(0..bases.len())]);
        let (pool, vtree, size_kb) = match ancestor.and_then(|id| world.volumes.get(&id)) {
            Some(base) => (base.pool, base.vtree, base.size_kb),
            None => {
                let pool = pools[at as usize % pools.len()];
                // Together thin volumes promise more than there is.
                let mean = (pool_kb[&pool] * 3 / 2 / per_pool).max(2);
                let size = rng.random_range(mean / 2..mean * 3 / 2).div_ceil(GRAIN_KB).max(1) * GRAIN_KB;
                (pool, vtrees.at(at), size)
            }
        };
        let kind = match ancestor {
            Some(_) => VolumeKind::Snapshot,
            None if at % 10 == 9 => VolumeKind::Thick,
            None => VolumeKind::Thin,
        };
        let mut mapped = Vec::new();
        if ancestor.is_none() && !sdcs.is_empty() && at % 12 != 11 {
            for turn in 0..if at % 5 == 0 { 2 } else { 1 } {
                mapped.push(sdcs[(at as usize + turn) % sdcs.len()]);
            }
        }
        mapped.sort_unstable();
        mapped.dedup();
        for sdc in &mapped {
            if let Some(sdc) = world.sdcs.get_mut(sdc) {
                sdc.mapped.push(id);
            }
        }
        if ancestor.is_none() {
            bases.push(id);
            world.vtrees.insert(vtree, VTree { id: vtree, base: id, pool, migration: None });
        }
        let profile = Profile::random(&mut world.rng, layout.iops_per_volume);
        let age = world.rng.random_range(1..400_i64) * 86_400;
        let name = if ancestor.is_some() { format!("snap-{}", at + 1) } else { format!("vol-{}", at + 1) };
        world.volumes.insert(
            id,
            Volume {
                id,
                name,
                kind,
                size_kb,
                allocated_kb: 0,
                pool,
                vtree,
                ancestor,
                mapped,
                limits: BTreeMap::new(),
                group: None,
                taken_by: None,
                created: EPOCH - age,
                replicated: false,
                profile,
                traffic: Traffic::default(),
            },
        );
    }
    fill(world, layout, &pool_kb);
    let policy = Ids::new(&mut world.rng).at(0);
    let sources = bases.iter().take(3).copied().collect();
    world.policies.insert(
        policy,
        SnapshotPolicy {
            id: policy,
            name: "hourly".to_owned(),
            cadence_minutes: 60,
            retained: vec![24, 7],
            sources,
            paused: false,
            taken: 0,
            last: Some(Duration::ZERO),
            next: Duration::from_secs(3600),
        },
    );
}

/// Gives volumes their data: thick ones all of it, thin ones what is left of the fill.
fn fill(world: &mut World, layout: &Layout, pool_kb: &BTreeMap<Id, u64>) {
    for (pool, net_kb) in pool_kb {
        let target = (*net_kb as f64 * layout.fill) as u64;
        let mut thick = 0;
        for volume in world.volumes.values_mut().filter(|volume| volume.pool == *pool) {
            if volume.kind == VolumeKind::Thick {
                if thick + volume.size_kb <= target {
                    volume.allocated_kb = volume.size_kb;
                    thick += volume.size_kb;
                } else {
                    volume.kind = VolumeKind::Thin;
                }
            }
        }
        let mut thin: Vec<&mut Volume> = world
            .volumes
            .values_mut()
            .filter(|volume| volume.pool == *pool && volume.kind != VolumeKind::Thick)
            .collect();
        let weights: Vec<u64> = thin
            .iter()
            .map(|volume| if volume.kind == VolumeKind::Snapshot { volume.size_kb / 20 } else { volume.size_kb })
            .collect();
        let whole = (target - thick).min(weights.iter().sum());
        for (volume, kb) in thin.iter_mut().zip(spread(whole, weights)) {
            volume.allocated_kb = kb;
        }
    }
}

/// Lays both copies of all data on the devices, evenly.
fn place(world: &mut World) {
    let pools: Vec<Id> = world.pools.keys().copied().collect();
    for pool in pools {
        let raw: u64 =
            world.volumes.values().filter(|volume| volume.pool == pool).map(|volume| 2 * volume.allocated_kb).sum();
        let mut devices: Vec<&mut Device> = world.devices.values_mut().filter(|device| device.pool == pool).collect();
        let weights: Vec<u64> = devices.iter().map(|device| device.capacity_kb).collect();
        for (device, part) in devices.iter_mut().zip(spread(raw, weights)) {
            device.used_kb = part;
        }
    }
}

fn replication(world: &mut World, layout: &Layout) {
    if !layout.replication || world.release < Release::V3_6 {
        return;
    }
    let rng = &mut world.rng;
    let (peers, sdrs, groups, pairs) = (Ids::new(rng), Ids::new(rng), Ids::new(rng), Ids::new(rng));
    let peer = peers.at(0);
    let peer_system = Id(rng.random::<u64>() | 1 << 60);
    world.peers.insert(peer, PeerMdm { id: peer, name: "far-site".to_owned(), peer_system, ips: vec![ip(90, 0)] });
    let Some(domain) = world.domains.keys().next().copied() else { return };
    for at in 0..2 {
        let id = sdrs.at(at);
        let version = world.release.component().to_owned();
        world.sdrs.insert(
            id,
            Sdr { id, name: format!("sdr-{}", at + 1), domain, ip: ip(40, at), version, in_maintenance: false },
        );
    }
    let group = groups.at(0);
    world.groups.insert(
        group,
        ConsistencyGroup {
            id: group,
            remote_id: Id(world.rng.random()),
            name: "orders".to_owned(),
            domain,
            peer,
            rpo_seconds: 60,
            lag_ms: 900,
        },
    );
    let local: Vec<Id> =
        world.volumes.values().filter(|volume| volume.ancestor.is_none()).take(2).map(|v| v.id).collect();
    for (at, volume) in (0_u32..).zip(local) {
        let id = pairs.at(at);
        let remote_id = Id(world.rng.random());
        let remote_volume = Id(world.rng.random());
        if let Some(volume) = world.volumes.get_mut(&volume) {
            volume.replicated = true;
            let remote_volume_name = format!("{}-copy", volume.name);
            let name = format!("pair-{}", at + 1);
            world.pairs.insert(
                id,
                ReplicationPair { id, remote_id, name, group, volume: volume.id, remote_volume, remote_volume_name },
            );
        }
    }
}

fn nvme(world: &mut World, layout: &Layout) {
    if !layout.nvme || world.release < Release::V4_5 {
        return;
    }
    let (sdts, hosts) = (Ids::new(&mut world.rng), Ids::new(&mut world.rng));
    let Some(domain) = world.domains.keys().next().copied() else { return };
    for at in 0..2 {
        let (id, host) = (sdts.at(at), hosts.at(at));
        let version = world.release.component().to_owned();
        let ips = vec![Address { ip: ip(50, at), role: "StorageAndHost".to_owned() }];
        let name = format!("sdt-{}", at + 1);
        world.sdts.insert(id, Sdt { id, name, domain, ips, version, in_maintenance: false });
        let uuid: u128 = world.rng.random();
        let hex = format!("{uuid:032x}");
        let nqn = format!(
            "nqn.2014-08.org.nvmexpress:uuid:{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        );
        world.hosts.insert(host, NvmeHost { id: host, name: format!("host-{}", at + 1), nqn, mapped: Vec::new() });
    }
}
