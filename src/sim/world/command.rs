//! What can be done to a system from outside, and when it refuses.

use super::load::Traffic;
use super::object::{Id, Membership, VTree, Volume, VolumeKind};
use super::{JOINING, Profile, World};

/// Why a command was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Refusal {
    #[error("there is no {kind} {name:?}")]
    NotFound { kind: &'static str, name: String },
    #[error("{kind} {name:?} already is {state}")]
    Already { kind: &'static str, name: String, state: &'static str },
    #[error("the name {name:?} is in use")]
    NameInUse { name: String },
    #[error("volume {name:?} is mapped; unmap it first")]
    Mapped { name: String },
    #[error("pool {pool:?} has no room for that")]
    NoRoom { pool: String },
    #[error("volume {name:?} would be larger than a pebibyte")]
    TooLarge { name: String },
    #[error("volume {name:?} has snapshots; delete them first")]
    HasSnapshots { name: String },
}

/// A volume to be made.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct VolumeRequest {
    pub name: String,
    pub pool: String,
    pub gib: u64,
    pub thick: bool,
    /// Client that shall use it.
    pub sdc: Option<String>,
}

/// Volumes come in multiples of this.
const GRAIN_GIB: u64 = 8;
/// No volume is larger than a pebibyte.
const MAX_GIB: u64 = 1 << 20;

fn not_found(kind: &'static str, name: &str) -> Refusal {
    Refusal::NotFound { kind, name: name.to_owned() }
}

impl World {
    fn device_named(&self, name: &str) -> Result<Id, Refusal> {
        let found = self.devices.values().find(|device| device.name == name || device.id.to_string() == name);
        found.map(|device| device.id).ok_or_else(|| not_found("device", name))
    }

    fn set_device_failed(&mut self, name: &str, failed: bool) -> Result<(), Refusal> {
        let id = self.device_named(name)?;
        let Some(device) = self.devices.get_mut(&id) else { return Err(not_found("device", name)) };
        if device.failed == failed {
            let state = if failed { "failed" } else { "well" };
            return Err(Refusal::Already { kind: "device", name: name.to_owned(), state });
        }
        device.failed = failed;
        if failed {
            self.counters.device_errors += 1;
        }
        self.settle();
        Ok(())
    }

    /// A device stops working.
    pub fn fail_device(&mut self, name: &str) -> Result<(), Refusal> {
        self.set_device_failed(name, true)
    }

    /// A failed device works again, with the data that was on it.
    pub fn return_device(&mut self, name: &str) -> Result<(), Refusal> {
        self.set_device_failed(name, false)
    }

    /// A device is taken out and an empty one put into its place.
    pub fn replace_device(&mut self, name: &str) -> Result<(), Refusal> {
        let id = self.device_named(name)?;
        let Some(device) = self.devices.get_mut(&id) else { return Err(not_found("device", name)) };
        let unit = self.sds.get(&device.sds).map_or(device.sds, super::Sds::fault_unit);
        let left = std::mem::take(&mut device.used_kb);
        device.stale_kb = 0;
        device.failed = false;
        device.serial.push('R');
        if left > 0
            && let Some(pool) = self.pools.get_mut(&device.pool)
        {
            *pool.homeless.entry(unit).or_default() += left;
        }
        self.settle();
        Ok(())
    }

    pub(super) fn sds_named(&mut self, name: &str) -> Result<&mut super::Sds, Refusal> {
        self.sds.values_mut().find(|sds| sds.name == name).ok_or_else(|| not_found("SDS", name))
    }

    /// An SDS goes away with all its devices.
    pub fn fail_sds(&mut self, name: &str) -> Result<(), Refusal> {
        let now = self.now;
        let sds = self.sds_named(name)?;
        if !sds.connected() {
            return Err(Refusal::Already { kind: "SDS", name: name.to_owned(), state: "away" });
        }
        sds.membership = Membership::Decoupled(now);
        self.settle();
        Ok(())
    }

    /// An SDS comes back with the data that was on it.
    pub fn return_sds(&mut self, name: &str) -> Result<(), Refusal> {
        let now = self.now;
        let sds = self.sds_named(name)?;
        if sds.connected() {
            return Err(Refusal::Already { kind: "SDS", name: name.to_owned(), state: "connected" });
        }
        sds.membership = Membership::JoinPending(now + JOINING);
        self.counters.sds_reconnections += 1;
        self.settle();
        Ok(())
    }

    /// The MDM hands over to the next one; nobody answers for a moment.
    pub fn mdm_failover(&mut self) {
        self.mdm.fail_over(self.now);
        self.settle();
    }

    /// An MDM goes away.
    pub fn fail_mdm(&mut self, name: &str) -> Result<(), Refusal> {
        self.mdm.set_up(name, false, self.now).then_some(()).ok_or_else(|| not_found("MDM", name))?;
        self.settle();
        Ok(())
    }

    /// An MDM comes back.
    pub fn return_mdm(&mut self, name: &str) -> Result<(), Refusal> {
        self.mdm.set_up(name, true, self.now).then_some(()).ok_or_else(|| not_found("MDM", name))?;
        self.settle();
        Ok(())
    }

    /// A client loses or finds the MDM. Clients go by name, address or id.
    pub fn set_sdc_connected(&mut self, name: &str, connected: bool) -> Result<(), Refusal> {
        let id = self.sdc_named(name)?;
        if let Some(sdc) = self.sdcs.get_mut(&id) {
            if sdc.connected && !connected {
                self.counters.sdc_disconnections += 1;
            }
            sdc.connected = connected;
        }
        self.settle();
        Ok(())
    }

    fn sdc_named(&self, name: &str) -> Result<Id, Refusal> {
        let found = self
            .sdcs
            .values()
            .find(|sdc| sdc.name.as_deref() == Some(name) || sdc.ip == name || sdc.id.to_string() == name);
        found.map(|sdc| sdc.id).ok_or_else(|| not_found("SDC", name))
    }

    /// Changes the load of all users at once; 1 is normal.
    pub const fn set_load(&mut self, factor: f64) {
        self.load = factor;
    }

    /// Makes a volume.
    pub fn create_volume(&mut self, request: &VolumeRequest) -> Result<Id, Refusal> {
        if self.volumes.values().any(|volume| volume.name == request.name) {
            return Err(Refusal::NameInUse { name: request.name.clone() });
        }
        if request.gib > MAX_GIB {
            return Err(Refusal::TooLarge { name: request.name.clone() });
        }
        let pool = self
            .pools
            .values()
            .find(|pool| pool.name == request.pool || pool.id.to_string() == request.pool)
            .map(|pool| pool.id)
            .ok_or_else(|| not_found("pool", &request.pool))?;
        let mapped: Vec<Id> = match &request.sdc {
            Some(sdc) => vec![self.sdc_named(sdc)?],
            None => Vec::new(),
        };
        let size_kb = (request.gib.div_ceil(GRAIN_GIB).max(1) * GRAIN_GIB) << 20;
        let allocated_kb = if request.thick { size_kb } else { 0 };
        let room = self.pool_shelf(pool, |shelf| {
            let enough = shelf.room() >= 2 * allocated_kb;
            if enough {
                shelf.place(2 * allocated_kb);
            }
            enough
        });
        if room != Some(true) {
            return Err(Refusal::NoRoom { pool: request.pool.clone() });
        }
        let id = next(self.volumes.keys());
        let vtree = next(self.vtrees.keys());
        for sdc in &mapped {
            if let Some(sdc) = self.sdcs.get_mut(sdc) {
                sdc.mapped.push(id);
            }
        }
        self.vtrees.insert(vtree, VTree { id: vtree, base: id, pool });
        let volume = Volume {
            id,
            name: request.name.clone(),
            kind: if request.thick { VolumeKind::Thick } else { VolumeKind::Thin },
            size_kb,
            allocated_kb,
            pool,
            vtree,
            ancestor: None,
            mapped,
            created: self.wall(self.now).timestamp(),
            replicated: false,
            profile: Profile::random(&mut self.rng, self.iops_per_volume),
            traffic: Traffic::default(),
        };
        self.volumes.insert(id, volume);
        self.settle();
        Ok(id)
    }

    /// The id of a volume by its name or id.
    pub fn volume_named(&self, name: &str) -> Option<Id> {
        self.volumes
            .values()
            .find(|volume| volume.name == name || volume.id.to_string() == name)
            .map(|volume| volume.id)
    }

    /// Takes a volume away from all clients.
    pub fn unmap_volume(&mut self, name: &str) -> Result<(), Refusal> {
        let id = self.volume_named(name).ok_or_else(|| not_found("volume", name))?;
        if let Some(volume) = self.volumes.get_mut(&id) {
            volume.mapped.clear();
        }
        for sdc in self.sdcs.values_mut() {
            sdc.mapped.retain(|mapped| *mapped != id);
        }
        self.settle();
        Ok(())
    }

    /// Removes a volume or snapshot and its data.
    pub fn delete_volume(&mut self, name: &str) -> Result<(), Refusal> {
        let id = self.volume_named(name).ok_or_else(|| not_found("volume", name))?;
        let Some(volume) = self.volumes.get(&id) else { return Err(not_found("volume", name)) };
        if !volume.mapped.is_empty() {
            return Err(Refusal::Mapped { name: name.to_owned() });
        }
        if self.volumes.values().any(|other| other.ancestor == Some(id)) {
            return Err(Refusal::HasSnapshots { name: name.to_owned() });
        }
        let (pool, vtree, raw) = (volume.pool, volume.vtree, 2 * volume.allocated_kb);
        self.pool_shelf(pool, |shelf| shelf.free(raw));
        self.volumes.remove(&id);
        if self.vtrees.get(&vtree).is_some_and(|tree| tree.base == id) {
            self.vtrees.remove(&vtree);
        }
        self.settle();
        Ok(())
    }

    /// Shows what a command changed at once, without letting time pass.
    fn settle(&mut self) {
        self.draw_up();
        self.raise_alerts();
    }
}

/// The id after the last one: both halves count up.
fn next<'a>(ids: impl DoubleEndedIterator<Item = &'a Id>) -> Id {
    ids.max().map_or(Id(0x1000_0000_0000_0000), |last| Id(last.0.wrapping_add((1 << 32) + 1)))
}
