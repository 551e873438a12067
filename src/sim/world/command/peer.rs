//! Commands to the MDM clusters of other systems, which data is copied to.

use super::{Answer, Reply, fits, next};
use crate::sim::world::World;
use crate::sim::world::code::Code;
use crate::sim::world::object::{Id, PeerMdm, Setting};

/// A command to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum PeerCommand {
    Add { system: Id, ips: Vec<String>, name: Option<String>, port: Option<u64> },
    Rename(String),
    Ips(Vec<String>),
    Set(Vec<(&'static str, Setting)>),
    Remove,
}

impl World {
    pub(super) fn peer_command(&mut self, id: Id, command: PeerCommand) -> Answer {
        if let PeerCommand::Add { system, ips, name, port } = command {
            return self.add_peer(system, ips, name, port);
        }
        let peer = self.peers.get_mut(&id).ok_or(Code::NotFound)?;
        match command {
            PeerCommand::Add { .. } => {}
            PeerCommand::Rename(name) => {
                fits(&name)?;
                peer.name = name;
            }
            PeerCommand::Ips(ips) => peer.ips = ips,
            PeerCommand::Set(settings) => {
                for (name, value) in settings {
                    self.set(id, name, value);
                }
            }
            PeerCommand::Remove => {
                // A group without its peer would be nowhere.
                if self.groups.values().any(|group| group.peer == id) {
                    return Err(Code::NotSupported);
                }
                self.peers.remove(&id);
                self.settings.remove(&id);
            }
        }
        Ok(Reply::Done)
    }

    fn add_peer(&mut self, system: Id, ips: Vec<String>, name: Option<String>, port: Option<u64>) -> Answer {
        let name = name.unwrap_or_default();
        if !name.is_empty() {
            fits(&name)?;
        }
        // A system is not its own peer, and has each other one once.
        if system == self.system.id || self.peers.values().any(|peer| peer.peer_system == system) {
            return Err(Code::PeerMismatch);
        }
        let id = next(self.peers.keys(), 0x2d10);
        self.peers.insert(id, PeerMdm { id, name, peer_system: system, ips });
        if let Some(port) = port {
            self.set(id, "port", Setting::Number(port));
        }
        Ok(Reply::Created(id))
    }
}
