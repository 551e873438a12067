//! The numbers of one object, drawn from the world before any is asked for by name.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use crate::sim::gateway::kind::Kind;
use crate::sim::world::{Device, DeviceState, Id, Io, Moving, Protection, Traffic, VolumeKind, World};

/// Everything countable of an object. Sheets of parts add up to that of the whole.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sheet {
    pub limit: u64,
    pub in_use: u64,
    pub spare: u64,
    pub unused: u64,
    pub unreachable: u64,
    pub temporary: u64,
    pub removing: u64,
    pub thick: u64,
    pub thin: u64,
    pub snapshots_kb: u64,
    pub thin_allocated: u64,
    pub protection: Protection,
    /// What is left to move; only pools and what is made of them know.
    pub moving: Moving,
    pub moved_in: Moving,
    pub moved_out: Moving,
    pub traffic: Traffic,
    pub reads: Io,
    pub writes: Io,
    /// Address space of volumes, one copy.
    pub size: u64,
    pub domains: u64,
    pub fault_sets: u64,
    pub pools: u64,
    pub sds: u64,
    pub devices: u64,
    pub sdcs: u64,
    pub sdrs: u64,
    pub volumes: u64,
    pub snapshots: u64,
    pub vtrees: u64,
    pub unmapped: u64,
    pub thick_volumes: u64,
    pub thin_volumes: u64,
    pub mapped_sdcs: u64,
    pub mapped_volumes: u64,
    pub children: u64,
    pub descendants: u64,
    pub reconnections: u64,
    pub disconnections: u64,
    pub device_errors: u64,
    pub lag_ms: u64,
    pub pairs: u64,
    pub groups: u64,
}

impl AddAssign<&Self> for Sheet {
    fn add_assign(&mut self, other: &Self) {
        self.limit += other.limit;
        self.in_use += other.in_use;
        self.spare += other.spare;
        self.unused += other.unused;
        self.unreachable += other.unreachable;
        self.temporary += other.temporary;
        self.removing += other.removing;
        self.thick += other.thick;
        self.thin += other.thin;
        self.snapshots_kb += other.snapshots_kb;
        self.thin_allocated += other.thin_allocated;
        self.protection += other.protection;
        self.moving += other.moving;
        self.moved_in += other.moved_in;
        self.moved_out += other.moved_out;
        self.traffic += other.traffic;
        self.reads += other.reads;
        self.writes += other.writes;
        self.size += other.size;
        self.devices += other.devices;
        self.volumes += other.volumes;
        self.snapshots += other.snapshots;
        self.vtrees += other.vtrees;
        self.unmapped += other.unmapped;
        self.thick_volumes += other.thick_volumes;
        self.thin_volumes += other.thin_volumes;
    }
}

/// Sheets of what is made of parts, drawn up together because each needs a
/// walk over all devices and volumes.
#[derive(Debug, Default)]
pub(super) struct Sheets {
    system: Sheet,
    domains: BTreeMap<Id, Sheet>,
    fault_sets: BTreeMap<Id, Sheet>,
    pools: BTreeMap<Id, Sheet>,
    sds: BTreeMap<Id, Sheet>,
    sp_sds: BTreeMap<Id, Sheet>,
    devices: BTreeMap<Id, Sheet>,
    children: BTreeMap<Id, Vec<Id>>,
}

impl Sheets {
    pub(super) fn new(world: &World) -> Self {
        let mut sheets = Self { devices: devices(world), ..Self::default() };
        for at in world.devices.values() {
            let sheet = sheets.devices.get(&at.id).copied().unwrap_or_default();
            let of_sds = sheets.sds.entry(at.sds).or_default();
            *of_sds += &sheet;
            *sheets.sp_sds.entry(at.sp_sds()).or_default() += &sheet;
            let pool = sheets.pools.entry(at.pool).or_default();
            pool.devices += 1;
            pool.reads += sheet.reads;
            pool.writes += sheet.writes;
        }
        for (id, sheet) in &sheets.sds {
            let Some(sds) = world.sds.get(id) else { continue };
            if let Some(fault_set) = sds.fault_set {
                let of_set = sheets.fault_sets.entry(fault_set).or_default();
                *of_set += sheet;
                of_set.sds += 1;
            }
        }
        for volume in world.volumes.values() {
            let pool = sheets.pools.entry(volume.pool).or_default();
            pool.volumes += 1;
            pool.size += volume.size_kb;
            pool.unmapped += u64::from(volume.mapped.is_empty());
            match volume.kind {
                VolumeKind::Thick => pool.thick_volumes += 1,
                VolumeKind::Thin => pool.thin_volumes += 1,
                VolumeKind::Snapshot => pool.snapshots += 1,
            }
            if let Some(ancestor) = volume.ancestor {
                sheets.children.entry(ancestor).or_default().push(volume.id);
            }
        }
        for vtree in world.vtrees.values() {
            sheets.pools.entry(vtree.pool).or_default().vtrees += 1;
        }
        for pool in world.pools.values() {
            let sheet = sheets.pools.entry(pool.id).or_default();
            let figures = &pool.figures;
            sheet.limit = figures.limit;
            sheet.in_use = figures.in_use;
            sheet.spare = figures.spare;
            sheet.unused = figures.unused;
            sheet.unreachable = figures.unreachable_unused;
            sheet.temporary = figures.temporary;
            sheet.removing = figures.removing;
            sheet.thick = figures.thick_in_use;
            sheet.thin = figures.thin_in_use;
            sheet.snapshots_kb = figures.snapshots_in_use;
            sheet.thin_allocated = figures.thin_allocated;
            sheet.protection = figures.protection;
            sheet.moving = figures.moving;
            // Within a pool whatever leaves one device arrives at another.
            sheet.moved_in = figures.moving;
            sheet.moved_out = figures.moving;
            sheet.traffic = pool.traffic;
            let domain = sheets.domains.entry(pool.domain).or_default();
            *domain += &*sheet;
            domain.pools += 1;
        }
        for domain in world.domains.values() {
            let sheet = sheets.domains.entry(domain.id).or_default();
            sheet.sds = world.sds.values().filter(|sds| sds.domain == domain.id).count() as u64;
            sheet.fault_sets = world.fault_sets.values().filter(|set| set.domain == domain.id).count() as u64;
            sheets.system += &*sheet;
        }
        let system = &mut sheets.system;
        system.domains = world.domains.len() as u64;
        system.pools = world.pools.len() as u64;
        system.fault_sets = world.fault_sets.len() as u64;
        system.sds = world.sds.len() as u64;
        system.sdcs = world.sdcs.len() as u64;
        system.sdrs = world.sdrs.len() as u64;
        system.pairs = world.pairs.len() as u64;
        system.groups = world.groups.len() as u64;
        system.reconnections = world.counters.sds_reconnections;
        system.disconnections = world.counters.sdc_disconnections;
        system.device_errors = world.counters.device_errors;
        sheets
    }

    /// The snapshots taken directly of a volume.
    pub(super) fn children(&self, volume: Id) -> &[Id] {
        self.children.get(&volume).map_or(&[], Vec::as_slice)
    }

    /// All snapshots below a volume.
    pub(super) fn descendants(&self, volume: Id) -> Vec<Id> {
        let mut found = self.children(volume).to_vec();
        let mut at = 0;
        while let Some(next) = found.get(at).copied() {
            found.extend_from_slice(self.children(next));
            at += 1;
        }
        found
    }

    /// The sheet of an object.
    pub(super) fn sheet(&self, world: &World, kind: Kind, id: Id) -> Sheet {
        let of = |map: &BTreeMap<Id, Sheet>| map.get(&id).copied().unwrap_or_default();
        match kind {
            Kind::System => self.system,
            Kind::ProtectionDomain => of(&self.domains),
            Kind::FaultSet => of(&self.fault_sets),
            Kind::StoragePool => of(&self.pools),
            Kind::Sds => of(&self.sds),
            Kind::SpSds => of(&self.sp_sds),
            Kind::Device => of(&self.devices),
            Kind::Sdc => world.sdcs.get(&id).map_or_else(Sheet::default, |sdc| Sheet {
                traffic: sdc.traffic,
                mapped_volumes: sdc.mapped.len() as u64,
                ..Sheet::default()
            }),
            Kind::Volume => world.volumes.get(&id).map_or_else(Sheet::default, |volume| Sheet {
                traffic: volume.traffic,
                mapped_sdcs: volume.mapped.len() as u64,
                children: self.children(id).len() as u64,
                descendants: if self.children(id).is_empty() { 0 } else { self.descendants(id).len() as u64 },
                ..Sheet::default()
            }),
            Kind::VTree => self.vtree(world, id),
            Kind::ReplicationConsistencyGroup => world.groups.get(&id).map_or_else(Sheet::default, |group| Sheet {
                lag_ms: group.lag_ms,
                pairs: world.pairs.values().filter(|pair| pair.group == id).count() as u64,
                ..Sheet::default()
            }),
            Kind::PeerMdm => {
                Sheet { pairs: world.pairs.len() as u64, groups: world.groups.len() as u64, ..Sheet::default() }
            }
            _ => Sheet::default(),
        }
    }

    fn vtree(&self, world: &World, id: Id) -> Sheet {
        let mut sheet = Sheet::default();
        let Some(vtree) = world.vtrees.get(&id) else { return sheet };
        let mut members = self.descendants(vtree.base);
        members.push(vtree.base);
        for volume in members.iter().filter_map(|id| world.volumes.get(id)) {
            sheet.volumes += 1;
            sheet.size += volume.size_kb;
            sheet.in_use += 2 * volume.allocated_kb;
            match volume.kind {
                VolumeKind::Snapshot => sheet.snapshots_kb += 2 * volume.allocated_kb,
                VolumeKind::Thick => sheet.thick += 2 * volume.allocated_kb,
                VolumeKind::Thin => sheet.thin += 2 * volume.allocated_kb,
            }
        }
        sheet
    }
}

fn devices(world: &World) -> BTreeMap<Id, Sheet> {
    let protection = world.protection_by_device();
    let sheet = |device: &Device| {
        let (reads, writes) = world.users_of(device);
        Sheet {
            limit: device.active_kb(),
            in_use: device.used_kb,
            unused: device.active_kb() - device.used_kb,
            temporary: device.temp_kb,
            removing: if device.state == DeviceState::Removing { device.used_kb } else { 0 },
            thin: device.used_kb,
            thin_allocated: device.used_kb,
            unreachable: if world.serves(device) { 0 } else { device.active_kb() - device.used_kb },
            protection: protection.get(&device.id).copied().unwrap_or_default(),
            moved_in: device.figures.moved_in,
            moved_out: device.figures.moved_out,
            reads,
            writes,
            devices: 1,
            ..Sheet::default()
        }
    };
    world.devices.values().map(|device| (device.id, sheet(device))).collect()
}
