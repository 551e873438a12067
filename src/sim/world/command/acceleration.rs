//! Commands to acceleration pools.

use super::{Answer, Reply, fits, next};
use crate::sim::world::World;
use crate::sim::world::code::Code;
use crate::sim::world::object::{AccelerationPool, Id};

/// A command to an acceleration pool.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum AccelerationCommand {
    Create { domain: Id, name: Option<String>, nvdimm: bool, rfcache: bool },
    Rename(String),
    Remove,
}

impl World {
    pub(super) fn acceleration_command(&mut self, id: Id, command: AccelerationCommand) -> Answer {
        match command {
            AccelerationCommand::Create { domain, name, nvdimm, rfcache } => {
                self.active_domain(domain)?;
                let name = name.unwrap_or_default();
                if !name.is_empty() {
                    self.acceleration_name_is_free(domain, &name)?;
                }
                // Flash speeds up reads alone, and that is what rfcache is.
                if !nvdimm && !rfcache {
                    return Err(Code::WrongParameters);
                }
                let id = next(self.acceleration_pools.keys(), 0x2d0f);
                self.acceleration_pools.insert(id, AccelerationPool { id, name, domain, nvdimm, rfcache });
                return Ok(Reply::Created(id));
            }
            AccelerationCommand::Rename(name) => {
                let domain = self.acceleration_pools.get(&id).ok_or(Code::AccelerationPoolNotFound)?.domain;
                self.acceleration_name_is_free(domain, &name)?;
                self.acceleration_pools.entry(id).and_modify(|pool| pool.name = name);
            }
            AccelerationCommand::Remove => {
                self.acceleration_pools.remove(&id).ok_or(Code::AccelerationPoolNotFound)?;
            }
        }
        Ok(Reply::Done)
    }

    fn acceleration_name_is_free(&self, domain: Id, name: &str) -> Result<(), Code> {
        fits(name)?;
        let taken = self.acceleration_pools.values().any(|pool| pool.domain == domain && pool.name == name);
        if taken { Err(Code::AccelerationPoolNameInUse) } else { Ok(()) }
    }
}
