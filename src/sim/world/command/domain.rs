//! Commands to protection domains and fault sets.

use super::{Answer, Reply, fits, next};
use crate::sim::world::code::Code;
use crate::sim::world::object::{Domain, DomainState, FaultSet, Id, Maintenance, Setting};
use crate::sim::world::{TRANSITION, World};

/// A limit is nothing, or more than this.
const LEAST_KBPS: u64 = 5 * 1024;

/// Limits of a domain's SDSs in KiB a second; 0 is none, and what is not
/// given stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct NetworkLimits {
    pub rebuild: Option<u64>,
    pub rebalance: Option<u64>,
    pub migration: Option<u64>,
    pub maintenance: Option<u64>,
    pub overall: Option<u64>,
}

/// A command to a protection domain.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum DomainCommand {
    Rename(String),
    Activate { force: bool },
    Inactivate { force: bool },
    Limits(NetworkLimits),
    Set(Vec<(&'static str, Setting)>),
    Remove,
}

/// A command to a fault set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum FaultSetCommand {
    Rename(String),
    /// Takes its SDSs out of it.
    Clear,
    Remove,
}

impl World {
    pub(super) fn create_domain(&mut self, name: String) -> Answer {
        fits(&name)?;
        self.domain_name_is_free(&name)?;
        let id = next(self.domains.keys(), 0x2d01);
        self.domains.insert(id, Domain { id, name, state: DomainState::Active });
        Ok(Reply::Created(id))
    }

    fn domain_name_is_free(&self, name: &str) -> Result<(), Code> {
        let taken = self.domains.values().any(|domain| domain.name == name);
        if taken { Err(Code::DomainNameInUse) } else { Ok(()) }
    }

    /// A domain that serves its data.
    pub(super) fn active_domain(&self, id: Id) -> Result<&Domain, Code> {
        let domain = self.domains.get(&id).ok_or(Code::DomainNotFound)?;
        if domain.state == DomainState::Active { Ok(domain) } else { Err(Code::DomainNotActive) }
    }

    /// Whether some SDS of a domain is in maintenance.
    pub(super) fn in_maintenance(&self, domain: Id) -> bool {
        self.sds.values().any(|sds| sds.domain == domain && sds.maintenance != Maintenance::None)
    }

    pub(super) fn domain_command(&mut self, id: Id, command: DomainCommand) -> Answer {
        let state = self.domains.get(&id).ok_or(Code::DomainNotFound)?.state;
        let pending = matches!(state, DomainState::ActivePending(_) | DomainState::InactivePending(_));
        let next = match command {
            DomainCommand::Rename(name) => {
                fits(&name)?;
                self.domain_name_is_free(&name)?;
                self.domains.entry(id).and_modify(|domain| domain.name = name);
                return Ok(Reply::Done);
            }
            DomainCommand::Set(settings) => {
                for (name, value) in settings {
                    self.set(id, name, value);
                }
                return Ok(Reply::Done);
            }
            DomainCommand::Limits(limits) => return self.limit_network(id, limits),
            DomainCommand::Remove => return self.remove_domain(id),
            DomainCommand::Activate { .. } | DomainCommand::Inactivate { .. } if pending => {
                return Err(Code::DomainChanging);
            }
            DomainCommand::Activate { force } => {
                if state != DomainState::Inactive {
                    return Err(Code::DomainNotInactive);
                }
                if !force && self.sds.values().any(|sds| sds.domain == id && !sds.connected()) {
                    return Err(Code::SdsNotHealthy);
                }
                DomainState::ActivePending(self.now + TRANSITION)
            }
            DomainCommand::Inactivate { force } => {
                if state != DomainState::Active {
                    return Err(Code::DomainNotActive);
                }
                if !force {
                    self.may_stop(id)?;
                }
                DomainState::InactivePending(self.now + TRANSITION)
            }
        };
        self.domains.entry(id).and_modify(|domain| domain.state = next);
        Ok(Reply::Done)
    }

    fn may_stop(&self, id: Id) -> Result<(), Code> {
        let exposed = self.pools.values().filter(|pool| pool.domain == id).any(|pool| {
            let figures = &pool.figures;
            figures.protection.protected < figures.in_use
                || figures.moving.forward.left_kb + figures.moving.backward.left_kb > 0
        });
        if exposed || self.in_maintenance(id) {
            return Err(Code::NotProtected);
        }
        if self.sds.values().any(|sds| sds.domain == id && !sds.connected()) {
            return Err(Code::SdsNotHealthy);
        }
        let sick = |device: &super::super::Device| {
            device.failed && self.sds.get(&device.sds).is_some_and(|sds| sds.domain == id)
        };
        if self.devices.values().any(sick) { Err(Code::DeviceNotHealthy) } else { Ok(()) }
    }

    fn limit_network(&mut self, id: Id, limits: NetworkLimits) -> Answer {
        let fields = [
            (limits.rebuild, "rebuildNetworkThrottlingEnabled", "rebuildNetworkThrottlingInKbps"),
            (limits.rebalance, "rebalanceNetworkThrottlingEnabled", "rebalanceNetworkThrottlingInKbps"),
            (limits.migration, "vtreeMigrationNetworkThrottlingEnabled", "vtreeMigrationNetworkThrottlingInKbps"),
            (
                limits.maintenance,
                "protectedMaintenanceModeNetworkThrottlingEnabled",
                "protectedMaintenanceModeNetworkThrottlingInKbps",
            ),
            (limits.overall, "overallIoNetworkThrottlingEnabled", "overallIoNetworkThrottlingInKbps"),
        ];
        let given = fields.iter().filter_map(|(limit, _, _)| *limit);
        if given.clone().any(|limit| limit != 0 && limit <= LEAST_KBPS) {
            return Err(Code::BadThrottling);
        }
        let now = |(limit, _, name): &(Option<u64>, &str, &str)| {
            limit.or_else(|| match self.setting(id, name) {
                Some(Setting::Number(limit)) => Some(*limit),
                _ => None,
            })
        };
        let (parts, overall) = fields.split_at(4);
        let overall = overall.iter().find_map(now).filter(|limit| *limit > 0);
        if overall.is_some_and(|overall| parts.iter().filter_map(now).any(|limit| limit >= overall)) {
            return Err(Code::BadThrottling);
        }
        for (limit, enabled, field) in fields {
            let Some(limit) = limit else { continue };
            self.set(id, enabled, Setting::Bool(limit > 0));
            self.set(id, field, if limit > 0 { Setting::Number(limit) } else { Setting::Null });
        }
        Ok(Reply::Done)
    }

    fn remove_domain(&mut self, id: Id) -> Answer {
        if self.sds.values().any(|sds| sds.domain == id) {
            return Err(Code::DomainHasSds);
        }
        if self.pools.values().any(|pool| pool.domain == id) {
            return Err(Code::DomainHasPools);
        }
        if self.fault_sets.values().any(|set| set.domain == id) {
            return Err(Code::DomainHasFaultSets);
        }
        if self.acceleration_pools.values().any(|pool| pool.domain == id) {
            return Err(Code::DomainHasAccelerationPools);
        }
        self.domains.remove(&id);
        self.settings.remove(&id);
        Ok(Reply::Done)
    }

    pub(super) fn create_fault_set(&mut self, domain: Id, name: String) -> Answer {
        if !self.domains.contains_key(&domain) {
            return Err(Code::DomainNotFound);
        }
        fits(&name)?;
        self.fault_set_name_is_free(&name)?;
        let id = next(self.fault_sets.keys(), 0x2d02);
        self.fault_sets.insert(id, FaultSet { id, name, domain });
        Ok(Reply::Created(id))
    }

    fn fault_set_name_is_free(&self, name: &str) -> Result<(), Code> {
        let taken = self.fault_sets.values().any(|set| set.name == name);
        if taken { Err(Code::FaultSetNameInUse) } else { Ok(()) }
    }

    pub(super) fn fault_set_command(&mut self, id: Id, command: FaultSetCommand) -> Answer {
        if !self.fault_sets.contains_key(&id) {
            return Err(Code::FaultSetNotFound);
        }
        match command {
            FaultSetCommand::Rename(name) => {
                fits(&name)?;
                self.fault_set_name_is_free(&name)?;
                self.fault_sets.entry(id).and_modify(|set| set.name = name);
            }
            FaultSetCommand::Clear => {
                // Data lies where it does because of the fault set.
                let holds = |sds: Id| self.devices.values().any(|device| device.sds == sds && device.used_kb > 0);
                if self.sds.values().any(|sds| sds.fault_set == Some(id) && holds(sds.id)) {
                    return Err(Code::FaultSetHasSds);
                }
                for sds in self.sds.values_mut().filter(|sds| sds.fault_set == Some(id)) {
                    sds.fault_set = None;
                }
            }
            FaultSetCommand::Remove => {
                if self.sds.values().any(|sds| sds.fault_set == Some(id)) {
                    return Err(Code::FaultSetHasSds);
                }
                self.fault_sets.remove(&id);
            }
        }
        Ok(Reply::Done)
    }
}
