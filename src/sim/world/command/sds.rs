//! Commands to SDSs.

use std::collections::BTreeSet;
use std::time::Duration;

use super::device::Test;
use super::{Answer, NewDevice, Reply, fits, next};
use crate::sim::world::build::SDS_PORT;
use crate::sim::world::code::Code;
use crate::sim::world::object::{Address, DeviceState, Id, Maintenance, Membership, Mode, Sds, Setting};
use crate::sim::world::{JOINING, World};

/// No SDS has more addresses.
const MOST_IPS: usize = 8;

/// An SDS to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct NewSds {
    pub domain: Id,
    pub fault_set: Option<Id>,
    pub name: Option<String>,
    pub ips: Vec<Address>,
    pub port: Option<u16>,
    /// Path, pool and name of each.
    pub devices: Vec<(String, Id, Option<String>)>,
    pub settings: Vec<(&'static str, Setting)>,
}

/// A command to an SDS.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SdsCommand {
    Rename(String),
    Port(u16),
    AddIp(Address),
    RemoveIp(String),
    IpRole(Address),
    ActivateDevices,
    ClearErrors,
    Set(Vec<(&'static str, Setting)>),
    Remove { force: bool },
    AbortRemove,
}

/// Whether an SDS with these addresses serves other SDSs, and clients.
fn serves_all(roles: &[&str]) -> bool {
    let serves_servers = roles.iter().any(|role| *role != "sdcOnly");
    // A later release splits what is for servers further, and tells of no more than that.
    let serves_clients = roles.iter().any(|role| matches!(*role, "all" | "sdcOnly" | "sdsSdsOnly"));
    serves_servers && serves_clients
}

/// The roles of all addresses, with another one for one of them, or without it.
fn roles<'a>(sds: &'a Sds, ip: &str, role: Option<&'a str>) -> Vec<&'a str> {
    let others = sds.ips.iter().filter(|own| own.ip != ip).map(|own| own.role.as_str());
    others.chain(role).collect()
}

impl World {
    pub(super) fn create_sds(&mut self, new: NewSds) -> Answer {
        self.active_domain(new.domain)?;
        if let Some(set) = new.fault_set {
            let set = self.fault_sets.get(&set).ok_or(Code::FaultSetNotFound)?;
            if set.domain != new.domain {
                return Err(Code::OtherDomainsFaultSet);
            }
        }
        if self.in_maintenance(new.domain) {
            return Err(Code::DomainInMaintenance);
        }
        if let Some(name) = &new.name {
            fits(name)?;
            self.sds_name_is_free(name)?;
        }
        if new.ips.len() > MOST_IPS {
            return Err(Code::TooManyIps);
        }
        let said: Vec<&str> = new.ips.iter().map(|address| address.role.as_str()).collect();
        if !serves_all(&said) {
            return Err(Code::RoleNeeded);
        }
        let once: BTreeSet<&String> = new.ips.iter().map(|address| &address.ip).collect();
        if once.len() < new.ips.len() {
            return Err(Code::SdsIpExists);
        }
        let port = new.port.unwrap_or(SDS_PORT);
        for address in &new.ips {
            self.address_is_free(None, &address.ip, port)?;
        }
        let id = next(self.sds.keys(), 0x2d04);
        for (path, pool, name) in &new.devices {
            self.device_fits(None, new.domain, path, *pool, name.as_deref())?;
        }
        let paths: BTreeSet<&String> = new.devices.iter().map(|(path, _, _)| path).collect();
        if paths.len() < new.devices.len() {
            return Err(Code::DevicePathInUse);
        }
        let sds = Sds {
            id,
            name: new.name.unwrap_or_default(),
            domain: new.domain,
            fault_set: new.fault_set,
            ips: new.ips,
            port,
            membership: Membership::JoinPending(self.now + JOINING),
            maintenance: Maintenance::None,
            mode: Mode::Instant,
            maintenance_at: Duration::ZERO,
            removing: false,
            version: self.release.component().to_owned(),
        };
        self.sds.insert(id, sds);
        for (name, value) in new.settings {
            self.set(id, name, value);
        }
        for (path, pool, name) in new.devices {
            self.put_device(NewDevice { path, sds: id, pool, name, ssd: None, test: Test::Activate, seconds: None });
        }
        Ok(Reply::Created(id))
    }

    fn sds_name_is_free(&self, name: &str) -> Result<(), Code> {
        let taken = self.sds.values().any(|sds| sds.name == name);
        if taken { Err(Code::SdsNameInUse) } else { Ok(()) }
    }

    fn address_is_free(&self, own: Option<Id>, ip: &str, port: u16) -> Result<(), Code> {
        let taken = self
            .sds
            .values()
            .any(|sds| Some(sds.id) != own && sds.port == port && sds.ips.iter().any(|address| address.ip == ip));
        if taken { Err(Code::AddressInUse) } else { Ok(()) }
    }

    pub(super) fn sds_command(&mut self, id: Id, command: SdsCommand) -> Answer {
        let sds = self.sds.get(&id).ok_or(Code::SdsNotFound)?;
        match command {
            SdsCommand::Rename(name) => {
                fits(&name)?;
                self.sds_name_is_free(&name)?;
                self.sds.entry(id).and_modify(|sds| sds.name = name);
            }
            SdsCommand::Port(port) => {
                if port < 1024 {
                    return Err(Code::InvalidPort);
                }
                for address in &sds.ips {
                    self.address_is_free(Some(id), &address.ip, port)?;
                }
                self.sds.entry(id).and_modify(|sds| sds.port = port);
            }
            SdsCommand::AddIp(address) => {
                if sds.ips.iter().any(|own| own.ip == address.ip) {
                    return Err(Code::SdsIpExists);
                }
                if sds.ips.len() >= MOST_IPS {
                    return Err(Code::TooManyIps);
                }
                self.address_is_free(Some(id), &address.ip, sds.port)?;
                self.sds.entry(id).and_modify(|sds| sds.ips.push(address));
            }
            SdsCommand::RemoveIp(ip) => {
                if !sds.ips.iter().any(|own| own.ip == ip) {
                    return Err(Code::SdsIpNotFound);
                }
                if sds.ips.len() == 1 {
                    return Err(Code::LastIp);
                }
                if !serves_all(&roles(sds, &ip, None)) {
                    return Err(Code::RoleNeeded);
                }
                self.sds.entry(id).and_modify(|sds| sds.ips.retain(|own| own.ip != ip));
            }
            SdsCommand::IpRole(Address { ip, role }) => {
                let own = sds.ips.iter().find(|own| own.ip == ip).ok_or(Code::SdsIpNotFound)?;
                if own.role == role {
                    return Err(Code::RoleAlreadySet);
                }
                if !serves_all(&roles(sds, &ip, Some(&role))) {
                    return Err(Code::RoleNeeded);
                }
                for own in self.sds.get_mut(&id).into_iter().flat_map(|sds| &mut sds.ips).filter(|own| own.ip == ip) {
                    own.role.clone_from(&role);
                }
            }
            SdsCommand::ActivateDevices => {
                for device in self.devices.values_mut().filter(|device| device.sds == id) {
                    if device.state == DeviceState::Tested {
                        device.state = DeviceState::Normal;
                    }
                }
            }
            SdsCommand::ClearErrors => {
                for device in self.devices.values_mut().filter(|device| device.sds == id && !device.broken) {
                    device.failed = false;
                }
            }
            SdsCommand::Set(settings) => {
                for (name, value) in settings {
                    self.set(id, name, value);
                }
            }
            SdsCommand::Remove { force } => return self.remove_sds(id, force),
            SdsCommand::AbortRemove => {
                if !sds.removing {
                    return Err(Code::SdsNotRemoving);
                }
                self.sds.entry(id).and_modify(|sds| sds.removing = false);
                for device in self.devices.values_mut().filter(|device| device.sds == id) {
                    if device.state == DeviceState::Removing {
                        device.state = DeviceState::Normal;
                    }
                }
            }
        }
        Ok(Reply::Done)
    }

    fn remove_sds(&mut self, id: Id, force: bool) -> Answer {
        let sds = self.sds.get(&id).ok_or(Code::SdsNotFound)?;
        if sds.removing {
            return Err(Code::SdsRemoving);
        }
        if sds.maintenance != Maintenance::None {
            return Err(Code::SdsInMaintenance);
        }
        if self.in_maintenance(sds.domain) {
            return Err(Code::DomainInMaintenance);
        }
        let leaving: Vec<Id> = self.devices.values().filter(|at| at.sds == id).map(|at| at.id).collect();
        if !force {
            self.may_leave(&leaving)?;
        }
        self.sds.entry(id).and_modify(|sds| sds.removing = true);
        for device in leaving {
            self.devices.entry(device).and_modify(|device| {
                if device.state.active() {
                    device.state = DeviceState::Removing;
                }
            });
        }
        Ok(Reply::Done)
    }

    /// Whether the rest of the pools can hold what lies on these devices, with
    /// its spare kept.
    pub(super) fn may_leave(&self, leaving: &[Id]) -> Result<(), Code> {
        let pools: BTreeSet<Id> =
            leaving.iter().filter_map(|id| self.devices.get(id)).map(|device| device.pool).collect();
        for pool in pools.iter().filter_map(|id| self.pools.get(id)) {
            let rest: Vec<_> = self
                .devices
                .values()
                .filter(|at| at.pool == pool.id && at.state == DeviceState::Normal && !leaving.contains(&at.id))
                .collect();
            let capacity: u64 = rest.iter().map(|device| device.capacity_kb).sum();
            let usable = capacity - capacity / 100 * pool.spare_percent;
            if pool.figures.in_use > 0 {
                let units: BTreeSet<Id> = rest.iter().map(|device| device.sds).collect();
                if units.len() < 3 {
                    return Err(Code::TooFewSds);
                }
                if pool.figures.in_use > usable {
                    return Err(Code::NoSpares);
                }
            }
        }
        Ok(())
    }
}
