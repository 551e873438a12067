//! Commands to volumes.

use std::collections::{BTreeMap, BTreeSet};

use super::{Answer, Reply, fits, next};
use crate::sim::world::code::Code;
use crate::sim::world::load::Traffic;
use crate::sim::world::object::{Access, DeviceState, Id, Limits, Migration, Setting, VTree, Volume, VolumeKind};
use crate::sim::world::{Profile, World};

/// Volumes come in multiples of this.
const GRAIN_KB: u64 = 8 << 20;
/// No volume is larger than a pebibyte.
pub(super) const LARGEST_KB: u64 = 1 << 40;
/// Thin volumes may promise this much of what a pool can hold, in tenths.
const PROMISE: u64 = 50;

/// A volume to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct NewVolume {
    pub pool: Id,
    pub name: Option<String>,
    pub size_kb: u64,
    pub thick: bool,
    pub settings: Vec<(&'static str, Setting)>,
}

/// What goes with a volume that is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum RemoveMode {
    OnlyMe,
    IncludingDescendants,
    DescendantsOnly,
    WholeVTree,
}

/// A command to a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum VolumeCommand {
    Rename(String),
    /// KiB; volumes only grow.
    Resize(u64),
    Map {
        sdc: Id,
        multiple: bool,
        access: Access,
    },
    MapAll {
        access: Access,
    },
    /// From one client or from all.
    Unmap(Option<Id>),
    Limit {
        sdc: Id,
        iops: Option<u64>,
        kbps: Option<u64>,
    },
    Access {
        sdc: Option<Id>,
        access: Access,
    },
    Overwrite {
        from: Id,
    },
    Migrate {
        to: Id,
    },
    PauseMigration,
    ResumeMigration,
    /// Of a snapshot that a policy took.
    Lock(bool),
    Set(Vec<(&'static str, Setting)>),
    Remove(RemoveMode),
}

impl World {
    pub(super) fn volume_name_is_free(&self, name: &str) -> Result<(), Code> {
        let taken = self.volumes.values().any(|volume| volume.name == name);
        if taken { Err(Code::VolumeNameInUse) } else { Ok(()) }
    }

    /// Whether both copies of new data find their places in a pool.
    fn can_hold_data(&self, pool: Id) -> Result<(), Code> {
        let devices = self.devices.values().filter(|at| at.pool == pool && at.state == DeviceState::Normal);
        let sds: BTreeSet<Id> = devices.map(|device| device.sds).collect();
        if sds.len() < 3 {
            return Err(Code::TooFewSds);
        }
        let sds: Vec<_> = sds.iter().filter_map(|id| self.sds.get(id)).collect();
        let units: BTreeSet<Id> = sds.iter().map(|sds| sds.fault_unit()).collect();
        if sds.iter().any(|sds| sds.fault_set.is_some()) && units.len() < 3 {
            return Err(Code::TooFewFaultSets);
        }
        Ok(())
    }

    /// Whether a pool may promise this much more.
    fn may_promise(&self, pool: Id, kb: u64) -> Result<(), Code> {
        let figures = &self.pools.get(&pool).ok_or(Code::PoolNotFound)?.figures;
        let promised: u64 =
            self.volumes.values().filter(|at| at.pool == pool && at.ancestor.is_none()).map(|at| at.size_kb).sum();
        let most = (figures.limit - figures.spare) / 2 / 10 * PROMISE;
        if promised + kb > most { Err(Code::TooMuchThin) } else { Ok(()) }
    }

    /// Takes room for one copy of so much data, twice.
    fn take_room(&mut self, pool: Id, net_kb: u64) -> Result<(), Code> {
        let taken = self.pool_shelf(pool, |shelf| {
            let enough = shelf.room() >= 2 * net_kb;
            if enough {
                shelf.place(2 * net_kb);
            }
            enough
        });
        if taken == Some(true) { Ok(()) } else { Err(Code::NoResources) }
    }

    pub(super) fn new_volume(&mut self, new: NewVolume) -> Answer {
        let pool = self.pools.get(&new.pool).ok_or(Code::PoolNotFound)?;
        self.active_domain(pool.domain)?;
        if let Some(name) = &new.name {
            fits(name)?;
            self.volume_name_is_free(name)?;
        }
        if new.size_kb == 0 {
            return Err(Code::IllegalSize);
        }
        if new.size_kb > LARGEST_KB {
            return Err(Code::VolumeTooLarge);
        }
        self.can_hold_data(new.pool)?;
        let size_kb = new.size_kb.div_ceil(GRAIN_KB) * GRAIN_KB;
        if new.thick {
            self.take_room(new.pool, size_kb)?;
        } else {
            self.may_promise(new.pool, size_kb)?;
        }
        let id = next(self.volumes.keys(), 0x2d07);
        let vtree = next(self.vtrees.keys(), 0x2d08);
        self.vtrees.insert(vtree, VTree { id: vtree, base: id, pool: new.pool, migration: None });
        let volume = Volume {
            id,
            name: new.name.unwrap_or_default(),
            kind: if new.thick { VolumeKind::Thick } else { VolumeKind::Thin },
            size_kb,
            allocated_kb: if new.thick { size_kb } else { 0 },
            pool: new.pool,
            vtree,
            ancestor: None,
            mapped: Vec::new(),
            limits: BTreeMap::new(),
            group: None,
            taken_by: None,
            created: self.wall(self.now).timestamp(),
            replicated: false,
            profile: Profile::random(&mut self.rng, self.iops_per_volume),
            traffic: Traffic::default(),
        };
        self.volumes.insert(id, volume);
        for (name, value) in new.settings {
            self.set(id, name, value);
        }
        Ok(Reply::Created(id))
    }

    pub(super) fn volume_command(&mut self, id: Id, command: VolumeCommand) -> Answer {
        let volume = self.volumes.get(&id).ok_or(Code::VolumeNotFound)?;
        match command {
            VolumeCommand::Rename(name) => {
                fits(&name)?;
                self.volume_name_is_free(&name)?;
                self.volumes.entry(id).and_modify(|volume| volume.name = name);
            }
            VolumeCommand::Resize(kb) => {
                let kb = kb.div_ceil(GRAIN_KB) * GRAIN_KB;
                if kb <= volume.size_kb {
                    return Err(Code::CannotShrink);
                }
                if kb > LARGEST_KB {
                    return Err(Code::VolumeTooLarge);
                }
                let (pool, more, thick) = (volume.pool, kb - volume.size_kb, volume.kind == VolumeKind::Thick);
                if thick {
                    self.take_room(pool, more)?;
                } else if volume.ancestor.is_none() {
                    self.may_promise(pool, more)?;
                }
                self.volumes.entry(id).and_modify(|volume| {
                    volume.size_kb = kb;
                    if thick {
                        volume.allocated_kb += more;
                    }
                });
            }
            VolumeCommand::Map { sdc, multiple, access } => {
                if !self.is_client(sdc) {
                    return Err(Code::SdcNotFound);
                }
                if volume.mapped.contains(&sdc) {
                    return Err(Code::AlreadyMapped);
                }
                if !volume.mapped.is_empty() && !multiple {
                    return Err(Code::OneMappingOnly);
                }
                self.map(id, sdc, access);
            }
            VolumeCommand::MapAll { access } => {
                let sdcs: Vec<Id> = self.sdcs.keys().filter(|sdc| !volume.mapped.contains(sdc)).copied().collect();
                for sdc in sdcs {
                    self.map(id, sdc, access);
                }
            }
            VolumeCommand::Unmap(from) => {
                if from.is_some_and(|sdc| !self.is_client(sdc)) {
                    return Err(Code::SdcNotFound);
                }
                if volume.mapped.is_empty() || from.is_some_and(|sdc| !volume.mapped.contains(&sdc)) {
                    return Err(Code::NotMapped);
                }
                self.unmap(id, from);
            }
            VolumeCommand::Limit { sdc, iops, kbps } => {
                if !volume.mapped.contains(&sdc) {
                    return Err(Code::NotMapped);
                }
                // Limits of so few operations would stop a client.
                if iops.is_some_and(|iops| iops != 0 && iops <= 10)
                    || kbps.is_some_and(|kbps| !kbps.is_multiple_of(1024))
                {
                    return Err(Code::BadThrottling);
                }
                self.limit(id, sdc, |limits| {
                    limits.iops = iops.unwrap_or(limits.iops);
                    limits.kbps = kbps.unwrap_or(limits.kbps);
                });
            }
            VolumeCommand::Access { sdc, access } => {
                if sdc.is_some_and(|sdc| !volume.mapped.contains(&sdc)) {
                    return Err(Code::NotMapped);
                }
                let sdcs = sdc.map_or_else(|| volume.mapped.clone(), |sdc| vec![sdc]);
                for sdc in sdcs {
                    self.limit(id, sdc, |limits| limits.access = access);
                }
            }
            VolumeCommand::Overwrite { from } => {
                let from = self.volumes.get(&from).ok_or(Code::VolumeNotFound)?;
                if from.vtree != volume.vtree && from.size_kb > volume.size_kb {
                    return Err(Code::IllegalSize);
                }
                if !volume.mapped.is_empty() {
                    return Err(Code::Mapped);
                }
            }
            VolumeCommand::Migrate { to } => {
                let (vtree, from) = (volume.vtree, volume.pool);
                self.start_migration(vtree, from, to)?;
            }
            VolumeCommand::PauseMigration => {
                let vtree = self.vtrees.get_mut(&volume.vtree).ok_or(Code::VolumeNotFound)?;
                vtree.migration.as_mut().ok_or(Code::MigrationNotFound)?.paused = true;
            }
            VolumeCommand::ResumeMigration => {
                let vtree = volume.vtree;
                self.resume_migration(vtree)?;
            }
            VolumeCommand::Lock(lock) => return self.lock_snapshot(id, lock),
            VolumeCommand::Set(settings) => {
                for (name, value) in settings {
                    self.set(id, name, value);
                }
            }
            VolumeCommand::Remove(mode) => return self.remove_volume(id, mode),
        }
        Ok(Reply::Done)
    }

    /// Whether volumes can be mapped to it: an SDC or an NVMe host.
    fn is_client(&self, id: Id) -> bool {
        self.sdcs.contains_key(&id) || self.hosts.contains_key(&id)
    }

    fn map(&mut self, id: Id, sdc: Id, access: Access) {
        let sdcs = self.sdcs.get_mut(&sdc).map(|sdc| &mut sdc.mapped);
        let client = sdcs.or_else(|| self.hosts.get_mut(&sdc).map(|host| &mut host.mapped));
        if let (Some(volume), Some(mapped)) = (self.volumes.get_mut(&id), client) {
            volume.mapped.push(sdc);
            volume.mapped.sort_unstable();
            mapped.push(id);
            if access != Access::ReadWrite {
                volume.limits.entry(sdc).or_default().access = access;
            }
        }
    }

    /// Takes a volume away from one client, or from all.
    pub(super) fn unmap(&mut self, id: Id, from: Option<Id>) {
        let keeps = |sdc: Id| from.is_some_and(|from| from != sdc);
        if let Some(volume) = self.volumes.get_mut(&id) {
            volume.mapped.retain(|sdc| keeps(*sdc));
            volume.limits.retain(|sdc, _| keeps(*sdc));
        }
        for sdc in self.sdcs.values_mut().filter(|sdc| !keeps(sdc.id)) {
            sdc.mapped.retain(|mapped| *mapped != id);
        }
        for host in self.hosts.values_mut().filter(|host| !keeps(host.id)) {
            host.mapped.retain(|mapped| *mapped != id);
        }
    }

    fn limit(&mut self, id: Id, sdc: Id, change: impl FnOnce(&mut Limits)) {
        if let Some(volume) = self.volumes.get_mut(&id) {
            change(volume.limits.entry(sdc).or_default());
        }
    }

    /// All snapshots below a volume.
    fn descendants(&self, id: Id) -> Vec<Id> {
        let mut found: Vec<Id> = Vec::new();
        let mut parents = vec![id];
        while let Some(parent) = parents.pop() {
            let children = self.volumes.values().filter(|at| at.ancestor == Some(parent)).map(|at| at.id);
            for child in children {
                found.push(child);
                parents.push(child);
            }
        }
        found
    }

    fn remove_volume(&mut self, id: Id, mode: RemoveMode) -> Answer {
        let vtree = self.volumes.get(&id).ok_or(Code::VolumeNotFound)?.vtree;
        let gone = match mode {
            RemoveMode::OnlyMe => vec![id],
            RemoveMode::IncludingDescendants => [vec![id], self.descendants(id)].concat(),
            RemoveMode::DescendantsOnly => self.descendants(id),
            RemoveMode::WholeVTree => self.volumes.values().filter(|at| at.vtree == vtree).map(|at| at.id).collect(),
        };
        self.may_remove(&gone)?;
        for id in gone {
            self.take_out(id);
        }
        Ok(Reply::Done)
    }

    pub(in crate::sim::world) fn may_remove(&self, gone: &[Id]) -> Result<(), Code> {
        let volumes = gone.iter().filter_map(|id| self.volumes.get(id));
        if volumes.clone().any(|volume| !volume.mapped.is_empty()) {
            return Err(Code::Mapped);
        }
        if gone.iter().any(|id| self.policies.values().any(|policy| policy.sources.contains(id))) {
            return Err(Code::PolicySource);
        }
        if volumes.clone().any(|volume| self.vtrees.get(&volume.vtree).is_some_and(|tree| tree.migration.is_some())) {
            return Err(Code::MigrationRunning);
        }
        if volumes.clone().any(|volume| volume.replicated) { Err(Code::NotSupported) } else { Ok(()) }
    }

    /// Removes a volume that may be removed, and its data. Snapshots of it stay,
    /// and hang where it hung.
    pub(in crate::sim::world) fn take_out(&mut self, id: Id) {
        let Some(volume) = self.volumes.remove(&id) else { return };
        self.settings.remove(&id);
        self.pool_shelf(volume.pool, |shelf| shelf.free(2 * volume.allocated_kb));
        for child in self.volumes.values_mut().filter(|child| child.ancestor == Some(id)) {
            child.ancestor = volume.ancestor;
        }
        let root = self.volumes.values().find(|at| at.vtree == volume.vtree && at.ancestor.is_none()).map(|at| at.id);
        match (self.vtrees.get_mut(&volume.vtree), root) {
            (Some(vtree), Some(root)) if vtree.base == id => vtree.base = root,
            (Some(_), None) => {
                self.vtrees.remove(&volume.vtree);
            }
            _ => {}
        }
        if let Some(by) = volume.taken_by {
            self.count_snapshots(by.policy);
        }
    }

    fn start_migration(&mut self, vtree: Id, from: Id, to: Id) -> Result<(), Code> {
        let target = self.pools.get(&to).ok_or(Code::PoolNotFound)?;
        self.active_domain(target.domain)?;
        if from == to {
            return Err(Code::SamePool);
        }
        let tree = self.vtrees.get(&vtree).ok_or(Code::VolumeNotFound)?;
        if tree.migration.is_some() {
            return Err(Code::MigrationRunning);
        }
        self.can_hold_data(to)?;
        let members = self.volumes.values().filter(|volume| volume.vtree == vtree);
        let left_kb: u64 = members.map(|volume| volume.allocated_kb).sum();
        if self.pool_shelf(to, |shelf| shelf.room()).is_none_or(|room| room < 2 * left_kb) {
            return Err(Code::NoResources);
        }
        if let Some(tree) = self.vtrees.get_mut(&vtree) {
            tree.migration = Some(Migration { to, left_kb, paused: false });
        }
        Ok(())
    }

    fn resume_migration(&mut self, vtree: Id) -> Result<(), Code> {
        let tree = self.vtrees.get(&vtree).ok_or(Code::VolumeNotFound)?;
        let migration = tree.migration.ok_or(Code::MigrationNotFound)?;
        if !migration.paused {
            return Err(Code::MigrationNotPaused);
        }
        for pool in [tree.pool, migration.to].iter().filter_map(|id| self.pools.get(id)) {
            if self.in_maintenance(pool.domain) {
                return Err(Code::CannotResumeMaintenance);
            }
            if pool.figures.protection.degraded_failed + pool.figures.protection.failed > 0 {
                return Err(Code::CannotResumeDegraded);
            }
        }
        if let Some(migration) = self.vtrees.get_mut(&vtree).and_then(|tree| tree.migration.as_mut()) {
            migration.paused = false;
        }
        Ok(())
    }

    /// Moves V-Trees on; those that arrived change their pool.
    pub(in crate::sim::world) fn migrate(&mut self, seconds: u64) {
        let mut arrived = Vec::new();
        let rate = self.move_kib_per_second * seconds;
        for (id, tree) in &mut self.vtrees {
            let Some(migration) = tree.migration.as_mut().filter(|migration| !migration.paused) else { continue };
            migration.left_kb = migration.left_kb.saturating_sub(rate);
            if migration.left_kb == 0 {
                arrived.push((*id, migration.to));
            }
        }
        if arrived.is_empty() {
            return;
        }
        for (id, to) in arrived {
            let members: Vec<(Id, Id, u64)> = self
                .volumes
                .values()
                .filter(|volume| volume.vtree == id)
                .map(|volume| (volume.id, volume.pool, volume.allocated_kb))
                .collect();
            let net: u64 = members.iter().map(|(_, _, kb)| *kb).sum();
            // The target may have filled up meanwhile; then it waits.
            if self.take_room(to, net).is_err() {
                continue;
            }
            for (volume, from, kb) in members {
                self.pool_shelf(from, |shelf| shelf.free(2 * kb));
                self.volumes.entry(volume).and_modify(|volume| volume.pool = to);
            }
            if let Some(tree) = self.vtrees.get_mut(&id) {
                tree.pool = to;
                tree.migration = None;
            }
        }
        self.sum_up_volumes();
    }
}
