//! Snapshots that are taken, and removed, together.

use std::collections::{BTreeMap, BTreeSet};

use super::{Answer, Refusal, Reply, fits, next};
use crate::sim::release::Release;
use crate::sim::world::World;
use crate::sim::world::code::Code;
use crate::sim::world::load::{Profile, Traffic};
use crate::sim::world::object::{Id, Setting, Volume, VolumeKind};

/// A snapshot to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct NewSnapshot {
    pub of: Id,
    pub name: Option<String>,
    pub settings: Vec<(&'static str, Setting)>,
}

impl World {
    /// Snapshots that one V-Tree may have.
    fn most_snapshots(&self) -> usize {
        if self.release >= Release::V3_0 { 126 } else { 31 }
    }

    fn may_snapshot(&self, wanted: &NewSnapshot) -> Result<(), Code> {
        let volume = self.volumes.get(&wanted.of).ok_or(Code::VolumeNotFound)?;
        if let Some(name) = &wanted.name {
            fits(name)?;
            self.volume_name_is_free(name)?;
        }
        let of_tree = self.volumes.values().filter(|other| other.vtree == volume.vtree).count();
        if of_tree > self.most_snapshots() { Err(Code::TooManySnapshots) } else { Ok(()) }
    }

    pub(in crate::sim::world) fn snapshot_volumes(&mut self, wanted: Vec<NewSnapshot>) -> Result<Reply, Refusal> {
        let mut wrong: Vec<Code> = wanted.iter().filter_map(|one| self.may_snapshot(one).err()).collect();
        let names: Vec<&String> = wanted.iter().filter_map(|one| one.name.as_ref()).collect();
        if names.iter().collect::<BTreeSet<_>>().len() < names.len() {
            wrong.push(Code::VolumeNameInUse);
        }
        if !wrong.is_empty() {
            return Err(Refusal::Several(wrong));
        }
        let last = self.volumes.values().filter_map(|volume| volume.group).max();
        let group = last.map_or(Id(0x2d09 << 48), |last| Id(last.0 + 1));
        let mut volumes = Vec::new();
        for one in wanted {
            let Some(of) = self.volumes.get(&one.of) else { continue };
            let id = next(self.volumes.keys(), 0x2d07);
            let snapshot = Volume {
                id,
                name: one.name.unwrap_or_default(),
                kind: VolumeKind::Snapshot,
                size_kb: of.size_kb,
                allocated_kb: 0,
                pool: of.pool,
                vtree: of.vtree,
                ancestor: Some(of.id),
                mapped: Vec::new(),
                limits: BTreeMap::new(),
                group: Some(group),
                taken_by: None,
                created: self.wall(self.now).timestamp(),
                replicated: false,
                // Nobody uses it until it is mapped and somebody does.
                profile: Profile { iops: 0.0, ..of.profile },
                traffic: Traffic::default(),
            };
            self.volumes.insert(id, snapshot);
            for (name, value) in one.settings {
                self.set(id, name, value);
            }
            volumes.push(id);
        }
        Ok(Reply::Snapshots { group, volumes })
    }

    pub(super) fn remove_snapshot_group(&mut self, group: Id) -> Answer {
        let gone: Vec<Id> = self.volumes.values().filter(|at| at.group == Some(group)).map(|at| at.id).collect();
        if gone.is_empty() {
            return Err(Code::NoSuchSnapshotGroup);
        }
        self.may_remove(&gone)?;
        for id in gone {
            self.take_out(id);
        }
        Ok(Reply::Done)
    }
}
