//! Commands to the MDM cluster.

use std::collections::BTreeSet;

use super::{Answer, Reply, fits};
use crate::sim::world::World;
use crate::sim::world::code::Code;
use crate::sim::world::mdm::{CATCHING_UP, Mdm, MdmRole};
use crate::sim::world::object::Id;

/// MDMs that a system may have, those that stand by included.
const MOST: usize = 13;

/// An MDM to stand by.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct NewMdm {
    pub role: MdmRole,
    pub ips: Vec<String>,
    pub management_ips: Vec<String>,
    pub name: Option<String>,
    pub interfaces: Vec<String>,
}

/// Who joins and who leaves the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Membership {
    pub add_managers: Vec<Id>,
    pub add_tie_breakers: Vec<Id>,
    pub remove_managers: Vec<Id>,
    pub remove_tie_breakers: Vec<Id>,
    /// Whether one that is away may leave.
    pub allow_failed: bool,
}

/// A command to the MDM cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ClusterCommand {
    AddStandby(NewMdm),
    RemoveStandby(Id),
    /// To this number of members.
    Switch {
        members: usize,
        change: Membership,
    },
    Replace(Membership),
    ChangeOwnership(Id),
    Rename {
        id: Id,
        name: String,
    },
    ManagementIps {
        id: Id,
        ips: Vec<String>,
    },
    Interfaces {
        id: Id,
        interfaces: Vec<String>,
    },
    VirtualIps(Vec<String>),
}

impl World {
    fn mdm(&self, id: Id) -> Result<&Mdm, Code> {
        self.mdm.members.iter().find(|mdm| mdm.id == id).ok_or(Code::MdmNotFound)
    }

    fn change_mdm(&mut self, id: Id, change: impl FnOnce(&mut Mdm)) {
        if let Some(mdm) = self.mdm.members.iter_mut().find(|mdm| mdm.id == id) {
            change(mdm);
        }
    }

    fn mdm_name_is_free(&self, name: &str) -> Result<(), Code> {
        let taken = self.mdm.members.iter().any(|mdm| mdm.name == name);
        if taken { Err(Code::MdmNameInUse) } else { Ok(()) }
    }

    pub(super) fn cluster_command(&mut self, command: ClusterCommand) -> Answer {
        match command {
            ClusterCommand::AddStandby(new) => return self.add_standby(new),
            ClusterCommand::RemoveStandby(id) => {
                self.cluster_is_open()?;
                if !self.mdm(id)?.standby {
                    return Err(Code::MdmInCluster);
                }
                self.mdm.members.retain(|mdm| mdm.id != id);
            }
            ClusterCommand::Switch { members, change } => self.switch_mode(members, &change)?,
            ClusterCommand::Replace(change) => self.replace(&change)?,
            ClusterCommand::ChangeOwnership(id) => {
                let mdm = self.mdm(id)?;
                if mdm.standby {
                    return Err(Code::MdmNotInCluster);
                }
                if mdm.role == MdmRole::TieBreaker {
                    return Err(Code::MdmIsTieBreaker);
                }
                if self.mdm.master().is_some_and(|master| master.id == id) {
                    return Err(Code::AlreadyMaster);
                }
                if !mdm.up {
                    return Err(Code::MdmNotConnected);
                }
                if !mdm.in_sync(self.now) {
                    return Err(Code::SuccessorOutOfSync);
                }
                self.mdm.hand_over(id, self.now);
            }
            ClusterCommand::Rename { id, name } => {
                self.mdm(id)?;
                fits(&name)?;
                self.mdm_name_is_free(&name)?;
                self.change_mdm(id, |mdm| mdm.name = name);
            }
            ClusterCommand::ManagementIps { id, ips } => {
                self.mdm(id)?;
                self.change_mdm(id, |mdm| mdm.management_ips = ips);
            }
            ClusterCommand::Interfaces { id, interfaces } => {
                if self.mdm(id)?.role == MdmRole::TieBreaker {
                    return Err(Code::MdmIsTieBreaker);
                }
                self.change_mdm(id, |mdm| mdm.interfaces = interfaces);
            }
            ClusterCommand::VirtualIps(ips) => {
                let distinct: BTreeSet<&String> = ips.iter().collect();
                if distinct.len() < ips.len() {
                    return Err(Code::VirtualIpExists);
                }
                self.cluster_ips = ips;
            }
        }
        Ok(Reply::Done)
    }

    fn add_standby(&mut self, new: NewMdm) -> Answer {
        self.cluster_is_open()?;
        if self.mdm.members.len() >= MOST {
            return Err(Code::TooManyMdms);
        }
        if let Some(name) = &new.name {
            fits(name)?;
            self.mdm_name_is_free(name)?;
        }
        if self.mdm.members.iter().any(|mdm| mdm.ips.iter().any(|ip| new.ips.contains(ip))) {
            return Err(Code::MdmIpExists);
        }
        let last = self.mdm.members.iter().map(|mdm| mdm.id.0).max().unwrap_or(0);
        let id = Id((last & !0xf) + 0x11);
        self.mdm.members.push(Mdm {
            id,
            name: new.name.unwrap_or_default(),
            role: new.role,
            management_ips: if new.management_ips.is_empty() { new.ips.clone() } else { new.management_ips },
            ips: new.ips,
            interfaces: new.interfaces,
            up: true,
            standby: true,
            in_sync_at: self.now + CATCHING_UP,
            version: self.mdm.master().map(|mdm| mdm.version.clone()).unwrap_or_default(),
        });
        Ok(Reply::Created(id))
    }

    fn check_joining(&self, ids: &[Id], role: MdmRole) -> Result<(), Code> {
        for id in ids {
            let mdm = self.mdm(*id)?;
            if !mdm.standby {
                return Err(Code::MdmAlreadyInCluster);
            }
            if mdm.role != role {
                return Err(Code::WrongMdmRole);
            }
            if !mdm.up {
                return Err(Code::AddingFailed);
            }
        }
        Ok(())
    }

    fn check_leaving(&self, ids: &[Id], role: MdmRole, allow_failed: bool) -> Result<(), Code> {
        for id in ids {
            let mdm = self.mdm(*id)?;
            if mdm.standby {
                return Err(Code::MdmNotInCluster);
            }
            if mdm.role != role {
                return Err(Code::WrongMdmRole);
            }
            if self.mdm.master().is_some_and(|master| master.id == *id) {
                return Err(Code::CannotRemoveMaster);
            }
            if !mdm.up && !allow_failed {
                return Err(Code::LeavingFailed);
            }
        }
        Ok(())
    }

    /// Members are named once, fit their part, and are what is said of them.
    fn check_change(&self, change: &Membership) -> Result<(), Code> {
        self.check_joining(&change.add_managers, MdmRole::Manager)?;
        self.check_joining(&change.add_tie_breakers, MdmRole::TieBreaker)?;
        self.check_leaving(&change.remove_managers, MdmRole::Manager, change.allow_failed)?;
        self.check_leaving(&change.remove_tie_breakers, MdmRole::TieBreaker, change.allow_failed)?;
        let all =
            [&change.add_managers, &change.add_tie_breakers, &change.remove_managers, &change.remove_tie_breakers];
        let named: Vec<Id> = all.into_iter().flatten().copied().collect();
        let distinct: BTreeSet<Id> = named.iter().copied().collect();
        if distinct.len() < named.len() { Err(Code::WrongNumberOfMdms) } else { Ok(()) }
    }

    /// Every member that stays is there. One that is away may only leave.
    fn rest_is_whole(&self, change: &Membership) -> Result<(), Code> {
        let leaves = |id: Id| change.remove_managers.contains(&id) || change.remove_tie_breakers.contains(&id);
        let whole = self.mdm.voters().filter(|mdm| !leaves(mdm.id)).all(|mdm| mdm.in_sync(self.now));
        if whole { Ok(()) } else { Err(Code::ClusterDegraded) }
    }

    fn apply(&mut self, change: &Membership) {
        let now = self.now;
        for id in change.add_managers.iter().chain(&change.add_tie_breakers) {
            self.change_mdm(*id, |mdm| {
                mdm.standby = false;
                mdm.in_sync_at = now + CATCHING_UP;
            });
        }
        for id in change.remove_managers.iter().chain(&change.remove_tie_breakers) {
            self.change_mdm(*id, |mdm| mdm.standby = true);
        }
    }

    fn switch_mode(&mut self, members: usize, change: &Membership) -> Result<(), Code> {
        self.cluster_is_open()?;
        let present = self.mdm.voters().count();
        let now = match present {
            0 | 1 => 1,
            2 | 3 => 3,
            _ => 5,
        };
        if members == now {
            return Err(Code::SameClusterMode);
        }
        let (adds, removes) = (
            change.add_managers.len() + change.add_tie_breakers.len(),
            change.remove_managers.len() + change.remove_tie_breakers.len(),
        );
        if members > now && removes > 0 {
            return Err(Code::IrrelevantRemove);
        }
        if members < now && adds > 0 {
            return Err(Code::IrrelevantAdd);
        }
        self.check_change(change)?;
        let count = |role| self.mdm.voters().filter(|mdm| mdm.role == role).count();
        let managers = count(MdmRole::Manager) + change.add_managers.len() - change.remove_managers.len();
        let ties = count(MdmRole::TieBreaker) + change.add_tie_breakers.len() - change.remove_tie_breakers.len();
        let wanted = match members {
            1 => (1, 0),
            3 => (2, 1),
            _ => (3, 2),
        };
        if (managers, ties) != wanted {
            return Err(Code::WrongNumberOfMdms);
        }
        self.rest_is_whole(change)?;
        self.apply(change);
        Ok(())
    }

    fn replace(&mut self, change: &Membership) -> Result<(), Code> {
        self.cluster_is_open()?;
        let (adds, removes) = (
            (change.add_managers.len(), change.add_tie_breakers.len()),
            (change.remove_managers.len(), change.remove_tie_breakers.len()),
        );
        if adds != removes || adds == (0, 0) {
            return Err(Code::WrongNumberOfMdms);
        }
        self.check_change(change)?;
        if (removes.0 + removes.1) * 2 > self.mdm.voters().count() {
            return Err(Code::TooManyReplaced);
        }
        self.rest_is_whole(change)?;
        self.apply(change);
        Ok(())
    }
}
