//! Commands to other systems that snapshots are copied to (4.5 and later).

use super::{Answer, Reply, fits, next};
use crate::sim::world::World;
use crate::sim::world::code::Code;
use crate::sim::world::object::{Id, RemoteSystem, Setting};

/// A command to a remote system.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum RemoteSystemCommand {
    Add { name: Option<String>, settings: Vec<(&'static str, Setting)> },
    Rename(String),
    Set(Vec<(&'static str, Setting)>),
    Remove,
}

impl World {
    pub(super) fn remote_system_command(&mut self, id: Id, command: RemoteSystemCommand) -> Answer {
        if let RemoteSystemCommand::Add { name, settings } = command {
            return self.add_remote_system(name.unwrap_or_default(), settings);
        }
        if !self.remote_systems.contains_key(&id) {
            return Err(Code::NotFound);
        }
        match command {
            RemoteSystemCommand::Add { .. } => {}
            RemoteSystemCommand::Rename(name) => {
                self.remote_system_may_be(id, &name, None)?;
                self.remote_systems.entry(id).and_modify(|system| system.name = name);
            }
            RemoteSystemCommand::Set(settings) => {
                self.remote_system_may_be(id, "", addresses(&settings))?;
                settings.into_iter().for_each(|(name, value)| self.set(id, name, value));
            }
            RemoteSystemCommand::Remove => {
                self.remote_systems.remove(&id);
                self.settings.remove(&id);
            }
        }
        Ok(Reply::Done)
    }

    fn add_remote_system(&mut self, name: String, settings: Vec<(&'static str, Setting)>) -> Answer {
        let id = next(self.remote_systems.keys(), 0x2d12);
        self.remote_system_may_be(id, &name, addresses(&settings))?;
        self.remote_systems.insert(id, RemoteSystem { id, name });
        settings.into_iter().for_each(|(name, value)| self.set(id, name, value));
        Ok(Reply::Created(id))
    }

    /// A system is there once, by its name and by its addresses. With which code the MDM says so is not known.
    fn remote_system_may_be(&self, id: Id, name: &str, at: Option<&Setting>) -> Result<(), Code> {
        if !name.is_empty() {
            fits(name)?;
        }
        let mut others = self.remote_systems.values().filter(|system| system.id != id);
        let same = |system: &RemoteSystem| {
            (!name.is_empty() && system.name == name) || (at.is_some() && self.setting(system.id, ADDRESSES) == at)
        };
        if others.any(same) { Err(Code::WrongParameters) } else { Ok(()) }
    }
}

const ADDRESSES: &str = "discoveryIps";

fn addresses<'a>(settings: &'a [(&'static str, Setting)]) -> Option<&'a Setting> {
    settings.iter().find(|(name, _)| *name == ADDRESSES).map(|(_, value)| value)
}
