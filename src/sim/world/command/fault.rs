//! What happens to a system from outside: hardware fails and returns, users
//! work more or less, and volumes are made by the names of a scenario.

use super::volume::{LARGEST_KB, NewVolume, RemoveMode, VolumeCommand};
use super::{Command, Refusal, Reply};
use crate::sim::world::code::Code;
use crate::sim::world::object::{Access, Id, Membership, Sds};
use crate::sim::world::{Component, JOINING, Seated, World};

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
        device.broken = failed;
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

    /// A failed device could work again; its error stays until it is cleared.
    pub fn mend_device(&mut self, name: &str) -> Result<(), Refusal> {
        let id = self.device_named(name)?;
        self.devices.entry(id).and_modify(|device| device.broken = false);
        Ok(())
    }

    /// A device is taken out and an empty one put into its place.
    pub fn replace_device(&mut self, name: &str) -> Result<(), Refusal> {
        let id = self.device_named(name)?;
        let Some(device) = self.devices.get_mut(&id) else { return Err(not_found("device", name)) };
        let unit = self.sds.get(&device.sds).map_or(device.sds, Sds::fault_unit);
        let left = std::mem::take(&mut device.used_kb);
        // Third copies of what was here, and for others, go with it.
        let (covered, temp) = (std::mem::take(&mut device.covered_kb), std::mem::take(&mut device.temp_kb));
        device.stale_kb = 0;
        device.failed = false;
        device.broken = false;
        device.serial.push('R');
        let pool = device.pool;
        self.pool_shelf(pool, |shelf| shelf.forget_third_copies(covered, temp));
        if left > 0
            && let Some(pool) = self.pools.get_mut(&pool)
        {
            *pool.homeless.entry(unit).or_default() += left;
        }
        self.settle();
        Ok(())
    }

    pub(in crate::sim::world) fn sds_named(&mut self, name: &str) -> Result<&mut Sds, Refusal> {
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

    /// The MDM cluster and its name are what the hosts of its members made them.
    pub fn seat_mdms(&mut self, name: Option<&str>, seats: &[Seated]) {
        self.mdm.seat(seats, self.now);
        if let Some(name) = name {
            name.clone_into(&mut self.system.name);
        }
        self.settle();
    }

    /// A client's driver has found the MDM for the first time.
    pub fn client_appears(&mut self, ip: &str, name: &str, version: &str) -> Result<(), Refusal> {
        self.command(Command::ApproveSdc { guid: None, ip: Some(ip.to_owned()), name: Some(name.to_owned()) })?;
        self.install(&Component::Sdc(ip.to_owned()), version)?;
        self.set_sdc_connected(ip, true)
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

    pub(in crate::sim::world) fn sdc_named(&self, name: &str) -> Result<Id, Refusal> {
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

    /// Makes a volume, and maps it.
    pub fn create_volume(&mut self, request: &VolumeRequest) -> Result<Id, Refusal> {
        let pool = self
            .pools
            .values()
            .find(|pool| pool.name == request.pool || pool.id.to_string() == request.pool)
            .map(|pool| pool.id)
            .ok_or_else(|| not_found("pool", &request.pool))?;
        let sdc = request.sdc.as_deref().map(|sdc| self.sdc_named(sdc)).transpose()?;
        let new = NewVolume {
            pool,
            name: Some(request.name.clone()),
            size_kb: request.gib.checked_mul(1 << 20).unwrap_or(LARGEST_KB + 1),
            thick: request.thick,
            settings: Vec::new(),
        };
        let Reply::Created(id) = self.command(Command::CreateVolume(new))? else {
            return Err(Refusal::Mdm(Code::NotFound));
        };
        if let Some(sdc) = sdc {
            let map = VolumeCommand::Map { sdc, multiple: false, access: Access::ReadWrite };
            self.command(Command::Volume(id, map))?;
        }
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
        self.unmap(id, None);
        self.settle();
        Ok(())
    }

    /// Removes a volume or snapshot and its data.
    pub fn delete_volume(&mut self, name: &str) -> Result<(), Refusal> {
        let id = self.volume_named(name).ok_or_else(|| not_found("volume", name))?;
        self.command(Command::Volume(id, VolumeCommand::Remove(RemoveMode::OnlyMe))).map(|_| ())
    }
}
