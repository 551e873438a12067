//! Commands to what replicates to another system, and to what speaks NVMe.

use super::{Answer, Reply, fits, next};
use crate::sim::world::World;
use crate::sim::world::code::Code;
use crate::sim::world::object::{Address, ConsistencyGroup, Id, NvmeHost, ReplicationPair, Sdt, Setting};

/// A replication consistency group to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct NewGroup {
    pub name: Option<String>,
    pub rpo_seconds: u64,
    pub domain: Id,
    pub peer: Option<Id>,
}

/// A command to a replication consistency group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum GroupCommand {
    Rename(String),
    Rpo(u64),
    /// Says what the group is in now.
    State(Vec<(&'static str, Setting)>),
    Snapshot,
    Remove,
}

/// A command to a replication pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum PairCommand {
    PauseInitialCopy(bool),
    Remove,
}

/// A command to an SDT.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SdtCommand {
    Create { name: String, domain: Id, ips: Vec<Address>, settings: Vec<(&'static str, Setting)> },
    Rename(String),
    AddIp(Address),
    RemoveIp(String),
    IpRole(Address),
    Set(Vec<(&'static str, Setting)>),
    Maintenance(bool),
    Remove,
}

impl World {
    pub(super) fn create_group(&mut self, new: NewGroup) -> Answer {
        self.active_domain(new.domain)?;
        let peer = match new.peer {
            Some(peer) => self.peers.get(&peer).ok_or(Code::NotFound)?.id,
            None => self.peers.keys().next().copied().ok_or(Code::NotFound)?,
        };
        let name = new.name.unwrap_or_default();
        if !name.is_empty() {
            fits(&name)?;
        }
        // A quarter of a minute is the least that was ever offered.
        if !(15..=3600).contains(&new.rpo_seconds) {
            return Err(Code::OutOfRange);
        }
        let id = next(self.groups.keys(), 0x2d0b);
        let group = ConsistencyGroup {
            id,
            remote_id: Id(id.0 ^ 0xffff),
            name,
            domain: new.domain,
            peer,
            rpo_seconds: new.rpo_seconds,
            lag_ms: 0,
        };
        self.groups.insert(id, group);
        Ok(Reply::Created(id))
    }

    pub(super) fn group_command(&mut self, id: Id, command: GroupCommand) -> Answer {
        if !self.groups.contains_key(&id) {
            return Err(Code::NotFound);
        }
        match command {
            GroupCommand::Rename(name) => {
                fits(&name)?;
                self.groups.entry(id).and_modify(|group| group.name = name);
            }
            GroupCommand::Rpo(seconds) => {
                if !(15..=3600).contains(&seconds) {
                    return Err(Code::OutOfRange);
                }
                self.groups.entry(id).and_modify(|group| group.rpo_seconds = seconds);
            }
            GroupCommand::State(settings) => {
                for (name, value) in settings {
                    self.set(id, name, value);
                }
            }
            GroupCommand::Snapshot => {}
            GroupCommand::Remove => {
                let pairs: Vec<Id> = self.pairs.values().filter(|pair| pair.group == id).map(|pair| pair.id).collect();
                for pair in pairs {
                    self.remove_pair(pair);
                }
                self.groups.remove(&id);
                self.settings.remove(&id);
            }
        }
        Ok(Reply::Done)
    }

    pub(super) fn create_pair(&mut self, group: Id, name: Option<String>, volume: Id, remote_volume: Id) -> Answer {
        if !self.groups.contains_key(&group) {
            return Err(Code::NotFound);
        }
        let local = self.volumes.get(&volume).ok_or(Code::VolumeNotFound)?;
        if local.replicated {
            return Err(Code::WrongParameters);
        }
        let name = name.unwrap_or_default();
        if !name.is_empty() {
            fits(&name)?;
        }
        let id = next(self.pairs.keys(), 0x2d0c);
        let remote_volume_name = format!("{}-copy", local.name);
        let remote_id = Id(id.0 ^ 0xffff);
        self.pairs
            .insert(id, ReplicationPair { id, remote_id, name, group, volume, remote_volume, remote_volume_name });
        self.volumes.entry(volume).and_modify(|volume| volume.replicated = true);
        Ok(Reply::Created(id))
    }

    pub(super) fn pair_command(&mut self, id: Id, command: PairCommand) -> Answer {
        if !self.pairs.contains_key(&id) {
            return Err(Code::NotFound);
        }
        match command {
            PairCommand::PauseInitialCopy(paused) => {
                self.set(id, "userRequestedPauseTransmitInitCopy", Setting::Bool(paused));
            }
            PairCommand::Remove => self.remove_pair(id),
        }
        Ok(Reply::Done)
    }

    fn remove_pair(&mut self, id: Id) {
        if let Some(pair) = self.pairs.remove(&id) {
            self.volumes.entry(pair.volume).and_modify(|volume| volume.replicated = false);
        }
        self.settings.remove(&id);
    }

    pub(super) fn sdr_maintenance(&mut self, id: Id, enter: bool) -> Answer {
        let sdr = self.sdrs.get_mut(&id).ok_or(Code::NotFound)?;
        if sdr.in_maintenance == enter {
            return Err(if enter { Code::AlreadyInMaintenance } else { Code::NotInMaintenance });
        }
        sdr.in_maintenance = enter;
        Ok(Reply::Done)
    }

    pub(super) fn sdt_command(&mut self, id: Id, command: SdtCommand) -> Answer {
        if let SdtCommand::Create { name, domain, ips, settings } = command {
            self.active_domain(domain)?;
            fits(&name)?;
            let taken = |at: &Sdt| at.ips.iter().any(|own| ips.iter().any(|new| new.ip == own.ip));
            if ips.is_empty() || self.sdts.values().any(taken) {
                return Err(Code::SdsIpExists);
            }
            let id = next(self.sdts.keys(), 0x2d0d);
            let version = self.release.component().to_owned();
            self.sdts.insert(id, Sdt { id, name, domain, ips, version, in_maintenance: false });
            for (name, value) in settings {
                self.set(id, name, value);
            }
            return Ok(Reply::Created(id));
        }
        let sdt = self.sdts.get_mut(&id).ok_or(Code::NotFound)?;
        match command {
            SdtCommand::Create { .. } => {}
            SdtCommand::Rename(name) => {
                fits(&name)?;
                sdt.name = name;
            }
            SdtCommand::AddIp(address) => {
                if sdt.ips.iter().any(|own| own.ip == address.ip) {
                    return Err(Code::SdsIpExists);
                }
                sdt.ips.push(address);
            }
            SdtCommand::RemoveIp(ip) => {
                if !sdt.ips.iter().any(|own| own.ip == ip) {
                    return Err(Code::SdsIpNotFound);
                }
                if sdt.ips.len() == 1 {
                    return Err(Code::LastIp);
                }
                sdt.ips.retain(|own| own.ip != ip);
            }
            SdtCommand::IpRole(Address { ip, role }) => {
                let own = sdt.ips.iter_mut().find(|own| own.ip == ip).ok_or(Code::SdsIpNotFound)?;
                if own.role == role {
                    return Err(Code::RoleAlreadySet);
                }
                own.role = role;
            }
            SdtCommand::Set(settings) => {
                for (name, value) in settings {
                    self.set(id, name, value);
                }
            }
            SdtCommand::Maintenance(enter) => {
                if sdt.in_maintenance == enter {
                    return Err(if enter { Code::AlreadyInMaintenance } else { Code::NotInMaintenance });
                }
                let domain = sdt.domain;
                // Hosts need one that answers.
                if enter && self.sdts.values().any(|at| at.domain == domain && at.id != id && at.in_maintenance) {
                    return Err(Code::MaintenanceConflict);
                }
                self.sdts.entry(id).and_modify(|sdt| sdt.in_maintenance = enter);
            }
            SdtCommand::Remove => {
                self.sdts.remove(&id);
                self.settings.remove(&id);
            }
        }
        Ok(Reply::Done)
    }

    pub(super) fn create_host(&mut self, name: Option<String>, nqn: String) -> Answer {
        let name = name.unwrap_or_default();
        if !name.is_empty() {
            fits(&name)?;
        }
        if self.hosts.values().any(|host| host.nqn == nqn) {
            return Err(Code::SdcNameInUse);
        }
        let id = next(self.hosts.keys(), 0x2d0e);
        self.hosts.insert(id, NvmeHost { id, name, nqn, mapped: Vec::new() });
        Ok(Reply::Created(id))
    }
}
