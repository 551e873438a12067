//! Commands to snapshot policies.

use super::{Answer, Reply, fits, next};
use crate::sim::world::World;
use crate::sim::world::code::Code;
use crate::sim::world::object::{Id, SnapshotPolicy};

/// Minutes between snapshots that a policy may have: five to a week.
const CADENCE: std::ops::RangeInclusive<u64> = 5..=7 * 24 * 60;

/// A command to a snapshot policy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum PolicyCommand {
    Rename(String),
    Modify { cadence_minutes: u64, retained: Vec<u64> },
    Pause(bool),
    AddVolume(Id),
    RemoveVolume(Id),
    Remove,
}

impl World {
    pub(super) fn create_policy(
        &mut self,
        name: String,
        cadence_minutes: u64,
        retained: Vec<u64>,
        paused: bool,
    ) -> Answer {
        if !name.is_empty() {
            fits(&name)?;
            self.policy_name_is_free(&name)?;
        }
        if !CADENCE.contains(&cadence_minutes) {
            return Err(Code::PolicyCadence);
        }
        let id = next(self.policies.keys(), 0x2d0a);
        self.policies.insert(id, SnapshotPolicy { id, name, cadence_minutes, retained, sources: Vec::new(), paused });
        Ok(Reply::Created(id))
    }

    fn policy_name_is_free(&self, name: &str) -> Result<(), Code> {
        let taken = self.policies.values().any(|policy| policy.name == name);
        if taken { Err(Code::PolicyNameInUse) } else { Ok(()) }
    }

    pub(super) fn policy_command(&mut self, id: Id, command: PolicyCommand) -> Answer {
        let policy = self.policies.get(&id).ok_or(Code::PolicyNotFound)?;
        let change = |world: &mut Self, change: &dyn Fn(&mut SnapshotPolicy)| {
            world.policies.entry(id).and_modify(|policy| change(policy));
            Ok(Reply::Done)
        };
        match command {
            PolicyCommand::Rename(name) => {
                fits(&name)?;
                self.policy_name_is_free(&name)?;
                change(self, &|policy| policy.name.clone_from(&name))
            }
            PolicyCommand::Modify { cadence_minutes, retained } => {
                if !CADENCE.contains(&cadence_minutes) {
                    return Err(Code::PolicyCadence);
                }
                change(self, &|policy| {
                    policy.cadence_minutes = cadence_minutes;
                    policy.retained.clone_from(&retained);
                })
            }
            PolicyCommand::Pause(paused) => change(self, &|policy| policy.paused = paused),
            PolicyCommand::AddVolume(volume) => {
                if !self.volumes.contains_key(&volume) {
                    return Err(Code::VolumeNotFound);
                }
                if self.policies.values().any(|policy| policy.sources.contains(&volume)) {
                    return Err(Code::VolumeInPolicy);
                }
                change(self, &|policy| policy.sources.push(volume))
            }
            PolicyCommand::RemoveVolume(volume) => {
                if !policy.sources.contains(&volume) {
                    return Err(Code::VolumeNotInPolicy);
                }
                change(self, &|policy| policy.sources.retain(|source| *source != volume))
            }
            PolicyCommand::Remove => {
                if !policy.sources.is_empty() {
                    return Err(Code::PolicyHasVolumes);
                }
                self.policies.remove(&id);
                Ok(Reply::Done)
            }
        }
    }
}
