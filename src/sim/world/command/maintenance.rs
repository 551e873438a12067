//! Maintenance of SDSs: who may enter and leave it, and how it goes on.
//!
//! ```text
//!          enter            instant: at once                exit
//!  None ─────────► Entering ───────────────────► In ──────────────► Exiting ──► None
//!                           protected: all of its                   instant: joined again
//!                           copies are held twice                   protected: caught up
//! ```

use std::collections::BTreeSet;

use super::{Answer, Reply};
use crate::sim::world::code::Code;
use crate::sim::world::object::{Id, Maintenance, Membership, Mode, Sds};
use crate::sim::world::{TRANSITION, World};

/// Which SDSs a command is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Scope {
    Sds(Id),
    /// All SDSs of it.
    FaultSet(Id),
}

/// A command about maintenance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum MaintenanceCommand {
    /// `force` goes on without the space that a failure meanwhile would need.
    Enter { scope: Scope, mode: Mode, force: bool },
    /// `force` leaves also when the SDS is away.
    Exit { scope: Scope, mode: Mode, force: bool },
}

impl World {
    fn in_scope(&self, scope: Scope) -> Result<Vec<Id>, Code> {
        match scope {
            Scope::Sds(id) if self.sds.contains_key(&id) => Ok(vec![id]),
            Scope::Sds(_) => Err(Code::SdsNotFound),
            Scope::FaultSet(id) if self.fault_sets.contains_key(&id) => {
                Ok(self.sds.values().filter(|sds| sds.fault_set == Some(id)).map(|sds| sds.id).collect())
            }
            Scope::FaultSet(_) => Err(Code::FaultSetNotFound),
        }
    }

    /// Each SDS has its own verdict; that some are refused fails no command.
    pub(super) fn maintenance_command(&mut self, command: MaintenanceCommand) -> Answer {
        let now = self.now;
        let mut verdicts = Vec::new();
        match command {
            MaintenanceCommand::Enter { scope, mode, force } => {
                let all = self.in_scope(scope)?;
                // All are judged by what was before any of them entered.
                for id in &all {
                    verdicts.push((*id, self.may_enter(*id, &all, mode, force).err()));
                }
                for (id, _) in verdicts.iter().filter(|(_, refused)| refused.is_none()) {
                    self.sds.entry(*id).and_modify(|sds| {
                        sds.maintenance = Maintenance::Entering;
                        sds.mode = mode;
                        sds.maintenance_at = now + TRANSITION;
                    });
                }
            }
            MaintenanceCommand::Exit { scope, mode, force } => {
                for id in self.in_scope(scope)? {
                    let refused = self.may_exit(id, mode, force).err();
                    verdicts.push((id, refused));
                    if refused.is_some() {
                        continue;
                    }
                    let Some(sds) = self.sds.get_mut(&id) else { continue };
                    if sds.connected() {
                        sds.maintenance = Maintenance::Exiting;
                        sds.maintenance_at = now + TRANSITION;
                    } else {
                        // Given up: from now on it is away like any other.
                        sds.maintenance = Maintenance::None;
                        sds.membership = Membership::Decoupled(now);
                    }
                }
            }
        }
        Ok(Reply::Verdicts(verdicts))
    }

    fn pools_of(&self, sds: Id) -> BTreeSet<Id> {
        self.devices.values().filter(|device| device.sds == sds).map(|device| device.pool).collect()
    }

    fn may_enter(&self, id: Id, together: &[Id], mode: Mode, force: bool) -> Result<(), Code> {
        let sds = self.sds.get(&id).ok_or(Code::SdsNotFound)?;
        match sds.maintenance {
            Maintenance::None => {}
            Maintenance::Entering | Maintenance::In => return Err(Code::AlreadyInMaintenance),
            Maintenance::Exiting => return Err(Code::ExitInProgress),
        }
        if sds.removing {
            return Err(Code::SdsRemoving);
        }
        if sds.membership != Membership::Joined {
            return Err(Code::SdsDown);
        }
        self.active_domain(sds.domain)?;
        let pools = self.pools_of(id);
        let conflicts = |other: &Sds| {
            other.fault_unit() != sds.fault_unit()
                && other.maintenance != Maintenance::None
                && !self.pools_of(other.id).is_disjoint(&pools)
        };
        if self.sds.values().any(conflicts) {
            return Err(Code::MaintenanceConflict);
        }
        let healthy = |other: &&Sds| {
            other.domain == sds.domain
                && other.id != id
                && !together.contains(&other.id)
                && other.membership == Membership::Joined
                && other.maintenance == Maintenance::None
                && !other.removing
        };
        if self.sds.values().filter(healthy).count() < 2 {
            return Err(Code::TooFewHealthySds);
        }
        for pool in pools.iter().filter_map(|pool| self.pools.get(pool)) {
            if !pool.rebuild_enabled {
                return Err(Code::RebuildDisabled);
            }
            let protection = &pool.figures.protection;
            if protection.degraded_failed + protection.degraded_healthy + protection.failed > 0 {
                return Err(Code::DegradedData);
            }
        }
        if mode == Mode::Protected || !force {
            self.has_room_without(sds, together, &pools)?;
        }
        Ok(())
    }

    /// Whether the other fault units could take all that lies on this one.
    fn has_room_without(&self, sds: &Sds, together: &[Id], pools: &BTreeSet<Id>) -> Result<(), Code> {
        for pool in pools {
            let (mut held, mut free) = (0, 0);
            for device in self.devices.values().filter(|device| device.pool == *pool) {
                if device.sds == sds.id || together.contains(&device.sds) {
                    held += device.used_kb;
                } else if self.serves(device)
                    && self.sds.get(&device.sds).is_some_and(|other| {
                        other.fault_unit() != sds.fault_unit() && other.maintenance == Maintenance::None
                    })
                {
                    free += device.active_kb().saturating_sub(device.used_kb + device.temp_kb);
                }
            }
            if held > free {
                return Err(Code::NoRoomForMaintenance);
            }
        }
        Ok(())
    }

    fn may_exit(&self, id: Id, mode: Mode, force: bool) -> Result<(), Code> {
        let sds = self.sds.get(&id).ok_or(Code::SdsNotFound)?;
        match sds.maintenance {
            Maintenance::None => return Err(Code::NotInMaintenance),
            Maintenance::Exiting => return Err(Code::ExitInProgress),
            Maintenance::Entering | Maintenance::In => {}
        }
        if sds.mode != mode {
            return Err(Code::NotInMaintenance);
        }
        if !force {
            if !sds.connected() {
                return Err(Code::SdsDown);
            }
            if self.devices.values().any(|device| device.sds == id && device.failed) {
                return Err(Code::DeviceNotHealthy);
            }
        }
        Ok(())
    }

    /// Carries all maintenance on to this moment.
    pub(in crate::sim::world) fn carry_on_maintenance(&mut self) {
        let now = self.now;
        let due: Vec<(Id, Maintenance, Mode)> = self
            .sds
            .values()
            .filter(|sds| !matches!(sds.maintenance, Maintenance::None | Maintenance::In) && now >= sds.maintenance_at)
            .map(|sds| (sds.id, sds.maintenance, sds.mode))
            .collect();
        for (id, state, mode) in due {
            let own = self.devices.values().filter(|device| device.sds == id && !device.failed);
            let ready = match (state, mode) {
                (Maintenance::Entering, Mode::Protected) => own.clone().all(|at| at.covered_kb >= at.used_kb),
                (Maintenance::Exiting, Mode::Protected) => {
                    self.sds.get(&id).is_some_and(|sds| sds.membership == Membership::Joined)
                        && own.clone().all(|device| device.stale_kb == 0)
                }
                (Maintenance::Exiting, Mode::Instant) => {
                    self.sds.get(&id).is_some_and(|sds| sds.membership == Membership::Joined)
                }
                _ => true,
            };
            if !ready {
                continue;
            }
            if state == Maintenance::Exiting && mode == Mode::Protected {
                for pool in self.pools_of(id) {
                    self.pool_shelf(pool, |shelf| shelf.uncover(id));
                }
            }
            self.sds.entry(id).and_modify(|sds| {
                sds.maintenance = if state == Maintenance::Entering { Maintenance::In } else { Maintenance::None };
            });
        }
    }
}
