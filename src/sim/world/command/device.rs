//! Commands to devices.

use std::time::Duration;

use super::{Answer, Reply, fits, next};
use crate::sim::world::World;
use crate::sim::world::code::Code;
use crate::sim::world::figures::DeviceFigures;
use crate::sim::world::object::{Device, DeviceState, Id, Maintenance, Setting};

/// How long a device is tested unless told otherwise.
const TEST: u64 = 10;

/// What happens to a device before it takes data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// It is tested and waits.
    Only,
    /// It takes data at once.
    No,
    /// It is tested and then takes data.
    Activate,
}

/// A device to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct NewDevice {
    pub path: String,
    pub sds: Id,
    pub pool: Id,
    pub name: Option<String>,
    pub ssd: Option<bool>,
    pub test: Test,
    pub seconds: Option<u64>,
}

/// A command to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum DeviceCommand {
    Rename(String),
    Activate,
    ClearError,
    Media {
        ssd: bool,
    },
    /// GiB that it may take.
    CapacityLimit(u64),
    Set(Vec<(&'static str, Setting)>),
    Remove {
        force: bool,
    },
    AbortRemove,
}

impl World {
    pub(super) fn create_device(&mut self, new: NewDevice) -> Answer {
        let sds = self.sds.get(&new.sds).ok_or(Code::SdsNotFound)?;
        if sds.removing {
            return Err(Code::SdsRemoving);
        }
        if sds.maintenance != Maintenance::None {
            return Err(Code::SdsInMaintenance);
        }
        if self.in_maintenance(sds.domain) {
            return Err(Code::DomainInMaintenance);
        }
        if !sds.connected() {
            return Err(Code::SdsDown);
        }
        self.device_fits(Some(new.sds), sds.domain, &new.path, new.pool, new.name.as_deref())?;
        Ok(Reply::Created(self.put_device(new)))
    }

    pub(super) fn device_fits(
        &self,
        sds: Option<Id>,
        domain: Id,
        path: &str,
        pool: Id,
        name: Option<&str>,
    ) -> Result<(), Code> {
        let pool = self.pools.get(&pool).ok_or(Code::PoolNotFound)?;
        if pool.domain != domain {
            return Err(Code::OtherDomainsPool);
        }
        if let Some(name) = name {
            fits(name)?;
        }
        let own = |device: &&Device| Some(device.sds) == sds;
        if self.devices.values().filter(own).any(|device| device.path == path) {
            return Err(Code::DevicePathInUse);
        }
        if self.devices.values().filter(own).any(|device| name == Some(device.name.as_str())) {
            return Err(Code::DeviceNameInUse);
        }
        Ok(())
    }

    /// Adds a device that is known to fit.
    pub(super) fn put_device(&mut self, new: NewDevice) -> Id {
        let id = next(self.devices.keys(), 0x2d05);
        let serial = format!("SIMNEW{:04x}", id.0 & 0xffff);
        let state = match new.test {
            Test::No => DeviceState::Normal,
            Test::Only | Test::Activate => {
                let time = Duration::from_secs(new.seconds.unwrap_or(TEST));
                DeviceState::Testing(self.now + time, new.test == Test::Activate)
            }
        };
        let ssd = new.ssd.or_else(|| self.pools.get(&new.pool).map(|pool| pool.ssd)).unwrap_or(true);
        let device = Device {
            id,
            name: new.name.unwrap_or_default(),
            sds: new.sds,
            pool: new.pool,
            path: new.path,
            serial,
            ssd,
            capacity_kb: self.device_kb,
            used_kb: 0,
            stale_kb: 0,
            covered_kb: 0,
            temp_kb: 0,
            failed: false,
            broken: false,
            state,
            figures: DeviceFigures::default(),
        };
        self.devices.insert(id, device);
        id
    }

    pub(super) fn device_command(&mut self, id: Id, command: DeviceCommand) -> Answer {
        let device = self.devices.get(&id).ok_or(Code::DeviceNotFound)?;
        match command {
            DeviceCommand::Rename(name) => {
                fits(&name)?;
                let sds = device.sds;
                if self.devices.values().any(|other| other.sds == sds && other.name == name) {
                    return Err(Code::DeviceNameInUse);
                }
                self.devices.entry(id).and_modify(|device| device.name = name);
            }
            DeviceCommand::Activate => {
                match device.state {
                    DeviceState::Tested => {}
                    DeviceState::Testing(..) => return Err(Code::DeviceTesting),
                    DeviceState::Normal => return Err(Code::DeviceActive),
                    DeviceState::Removing => return Err(Code::DeviceRemoving),
                }
                self.devices.entry(id).and_modify(|device| device.state = DeviceState::Normal);
            }
            DeviceCommand::ClearError => {
                if !device.failed {
                    return Err(Code::DeviceWell);
                }
                if device.broken {
                    return Err(Code::ErrorStays);
                }
                self.devices.entry(id).and_modify(|device| device.failed = false);
            }
            DeviceCommand::Media { ssd } => {
                self.devices.entry(id).and_modify(|device| device.ssd = ssd);
            }
            DeviceCommand::CapacityLimit(gib) => {
                let kb = gib << 20;
                if gib == 0 || kb > self.device_kb.max(device.capacity_kb) {
                    return Err(Code::OutOfRange);
                }
                if kb < device.used_kb + device.temp_kb {
                    return Err(Code::NoResources);
                }
                let less = device.capacity_kb.saturating_sub(kb);
                let pool = self.pools.get(&device.pool).ok_or(Code::PoolNotFound)?;
                if less > pool.figures.unused {
                    return Err(Code::NoSpares);
                }
                self.devices.entry(id).and_modify(|device| device.capacity_kb = kb);
            }
            DeviceCommand::Set(settings) => {
                for (name, value) in settings {
                    self.set(id, name, value);
                }
            }
            DeviceCommand::Remove { force } => {
                if device.state == DeviceState::Removing {
                    return Err(Code::DeviceRemoving);
                }
                let sds = self.sds.get(&device.sds).ok_or(Code::SdsNotFound)?;
                if sds.maintenance != Maintenance::None {
                    return Err(Code::SdsInMaintenance);
                }
                if self.in_maintenance(sds.domain) {
                    return Err(Code::DomainInMaintenance);
                }
                if !force {
                    self.may_leave(&[id])?;
                }
                self.devices.entry(id).and_modify(|device| device.state = DeviceState::Removing);
            }
            DeviceCommand::AbortRemove => {
                if device.state != DeviceState::Removing {
                    return Err(Code::DeviceNotRemoving);
                }
                self.devices.entry(id).and_modify(|device| device.state = DeviceState::Normal);
            }
        }
        Ok(Reply::Done)
    }
}
