//! Commands to snapshot policies.

use super::{Answer, Reply, fits, next};
use crate::sim::world::World;
use crate::sim::world::code::Code;
use crate::sim::world::object::{Id, Setting, SnapshotPolicy};
use crate::sim::world::policy::cadence;

/// Minutes between snapshots that a policy may have: five to a week.
const CADENCE: std::ops::RangeInclusive<u64> = 5..=7 * 24 * 60;

/// A command to a snapshot policy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum PolicyCommand {
    Rename(String),
    Modify {
        cadence_minutes: u64,
        retained: Vec<u64>,
    },
    Pause(bool),
    AddVolume(Id),
    /// What it took of the volume is removed with it, or becomes like any other snapshot.
    RemoveVolume {
        volume: Id,
        snapshots: bool,
    },
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
        let policy = SnapshotPolicy {
            id,
            name,
            cadence_minutes,
            retained,
            sources: Vec::new(),
            paused,
            taken: 0,
            last: None,
            next: self.now + cadence(cadence_minutes),
        };
        self.policies.insert(id, policy);
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
                let next = self.now + cadence(cadence_minutes);
                change(self, &|policy| {
                    policy.cadence_minutes = cadence_minutes;
                    policy.next = policy.next.min(next);
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
                self.set(volume, "snplIdOfSourceVolume", Setting::Text(id.to_string()));
                change(self, &|policy| policy.sources.push(volume))
            }
            PolicyCommand::RemoveVolume { volume, snapshots } => {
                if !policy.sources.contains(&volume) {
                    return Err(Code::VolumeNotInPolicy);
                }
                let taken: Vec<Id> = self.taken(id).filter(|at| at.ancestor == Some(volume)).map(|at| at.id).collect();
                if snapshots {
                    self.may_remove(&taken)?;
                }
                for one in taken {
                    if snapshots {
                        self.take_out(one);
                    } else {
                        self.let_go(one);
                    }
                }
                self.settings.entry(volume).or_default().remove("snplIdOfSourceVolume");
                self.count_snapshots(id);
                change(self, &|policy| policy.sources.retain(|source| *source != volume))
            }
            PolicyCommand::Remove => {
                if !policy.sources.is_empty() {
                    return Err(Code::PolicyHasVolumes);
                }
                let left: Vec<Id> = self.taken(id).map(|at| at.id).collect();
                for one in left {
                    self.let_go(one);
                }
                self.policies.remove(&id);
                self.settings.remove(&id);
                Ok(Reply::Done)
            }
        }
    }
}
