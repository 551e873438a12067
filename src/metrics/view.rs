//! What does a family see of a system? Objects of a kind beside their labels
//! and their statistics, joined once a poll.

use crate::model::cluster::{
    ConsistencyGroup, Device, FaultSet, ProtectionDomain, Sdc, Sds, SnapshotPolicy, StoragePool, Volume,
};
use crate::model::id::ObjectId;
use crate::model::picture::Picture;
use crate::model::snapshot::{Slot, Snapshot, Table};
use crate::model::stats::{StatKind, StatRow, StatTable};

use super::choose::{Choice, Choices};
use super::derive::{EventCounts, LatencyHistograms};
use super::encode::Labels;
use super::labels::{LabelTable, Labelled, Names};

/// Neither chosen among nor cut.
const EVERY: (Option<&Choice>, usize) = (None, usize::MAX);

/// No statistics for this object.
const NONE: u32 = u32::MAX;

/// Where each object's statistics are.
#[derive(Default)]
pub(crate) struct Rows {
    domains: Vec<u32>,
    pools: Vec<u32>,
    sds: Vec<u32>,
    devices: Vec<u32>,
    sdcs: Vec<u32>,
    volumes: Vec<u32>,
    groups: Vec<u32>,
}

impl Rows {
    /// The place of each volume's statistics, if it has any.
    pub(crate) fn volumes(&self) -> impl Iterator<Item = Option<usize>> + '_ {
        places(&self.volumes)
    }

    /// The place of each device's statistics.
    pub(crate) fn devices(&self) -> impl Iterator<Item = Option<usize>> + '_ {
        places(&self.devices)
    }

    /// The place of each client's statistics.
    pub(crate) fn sdcs(&self) -> impl Iterator<Item = Option<usize>> + '_ {
        places(&self.sdcs)
    }

    /// Finds the rows of a snapshot.
    pub(crate) fn update(&mut self, snapshot: &Snapshot) {
        let table = |kind| snapshot.statistics.as_ref().and_then(|statistics| statistics.table(kind));
        join(&mut self.domains, &snapshot.domains, |o| o.id.object(), table(StatKind::ProtectionDomain));
        join(&mut self.pools, &snapshot.pools, |o| o.id.object(), table(StatKind::StoragePool));
        join(&mut self.sds, &snapshot.sds, |o| o.id.object(), table(StatKind::Sds));
        join(&mut self.devices, &snapshot.devices, |o| o.id.object(), table(StatKind::Device));
        join(&mut self.sdcs, &snapshot.sdcs, |o| o.id.object(), table(StatKind::Sdc));
        join(&mut self.volumes, &snapshot.volumes, |o| o.id.object(), table(StatKind::Volume));
        join(&mut self.groups, &snapshot.groups, |o| o.id.object(), table(StatKind::ConsistencyGroup));
    }
}

fn places(rows: &[u32]) -> impl Iterator<Item = Option<usize>> + '_ {
    rows.iter().map(|row| (*row != NONE).then_some(*row as usize))
}

/// Both sides ascend by id, so one walk over both finds all rows.
fn join<T>(rows: &mut Vec<u32>, objects: &Slot<Table<T>>, id: impl Fn(&T) -> &ObjectId, table: Option<&StatTable>) {
    rows.clear();
    let ids = table.map_or(&[][..], StatTable::ids);
    let mut at = 0;
    for object in objects.iter().flat_map(|part| part.iter()) {
        let id = id(object);
        while ids.get(at).is_some_and(|other| other < id) {
            at += 1;
        }
        let found = ids.get(at).is_some_and(|other| other == id);
        rows.push(if found { u32::try_from(at).unwrap_or(NONE) } else { NONE });
    }
}

/// How many objects of the kinds that a limit may cut are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keep {
    pub(crate) devices: usize,
    pub(crate) sdcs: usize,
    pub(crate) volumes: usize,
}

impl Keep {
    /// All of them.
    pub(crate) const ALL: Self = Self { devices: usize::MAX, sdcs: usize::MAX, volumes: usize::MAX };
}

/// One system, ready to be written.
pub(crate) struct View<'a> {
    pub(crate) picture: &'a Picture,
    pub(crate) snapshot: Option<&'a Snapshot>,
    pub(crate) names: &'a Names,
    pub(crate) rows: &'a Rows,
    pub(crate) choices: &'a Choices,
    pub(crate) keep: Keep,
    pub(crate) latencies: &'a LatencyHistograms,
    pub(crate) events: &'a EventCounts,
}

/// An object of a kind with what is known of it.
pub(crate) struct Entry<'a, T> {
    pub(crate) object: &'a T,
    pub(crate) labels: Labels<'a>,
    pub(crate) row: Option<StatRow<'a>>,
}

impl<'a> View<'a> {
    /// The labels of the system alone.
    pub(crate) fn system(&self) -> Labels<'a> {
        Labels::new(&self.names.system)
    }

    /// Statistics of the system.
    pub(crate) fn system_row(&self) -> Option<StatRow<'a>> {
        self.snapshot?.statistics.as_ref()?.system()
    }

    /// Statistics of all objects of a kind.
    pub(crate) fn table(&self, kind: StatKind) -> Option<&'a StatTable> {
        self.snapshot?.statistics.as_ref()?.table(kind)
    }

    /// Protection domains.
    pub(crate) fn domains(&self) -> impl Iterator<Item = Entry<'a, ProtectionDomain>> + use<'a> {
        let objects = self.snapshot.and_then(|s| s.domains.as_deref());
        self.entries(objects, &self.names.domains, &self.rows.domains, StatKind::ProtectionDomain, EVERY)
    }

    /// Fault sets.
    pub(crate) fn fault_sets(&self) -> impl Iterator<Item = Entry<'a, FaultSet>> + use<'a> {
        let objects = self.snapshot.and_then(|s| s.fault_sets.as_deref());
        self.entries(objects, &self.names.fault_sets, &[], StatKind::System, EVERY)
    }

    /// Storage pools.
    pub(crate) fn pools(&self) -> impl Iterator<Item = Entry<'a, StoragePool>> + use<'a> {
        let objects = self.snapshot.and_then(|s| s.pools.as_deref());
        self.entries(objects, &self.names.pools, &self.rows.pools, StatKind::StoragePool, EVERY)
    }

    /// Storage data servers.
    pub(crate) fn sds(&self) -> impl Iterator<Item = Entry<'a, Sds>> + use<'a> {
        let objects = self.snapshot.and_then(|s| s.sds.as_deref());
        self.entries(objects, &self.names.sds, &self.rows.sds, StatKind::Sds, EVERY)
    }

    /// Devices that have series of their own.
    pub(crate) fn devices(&self) -> impl Iterator<Item = Entry<'a, Device>> + use<'a> {
        let objects = self.snapshot.and_then(|s| s.devices.as_deref());
        self.entries(
            objects,
            &self.names.devices,
            &self.rows.devices,
            StatKind::Device,
            (Some(&self.choices.devices), self.keep.devices),
        )
    }

    /// Storage data clients that have series of their own.
    pub(crate) fn sdcs(&self) -> impl Iterator<Item = Entry<'a, Sdc>> + use<'a> {
        let objects = self.snapshot.and_then(|s| s.sdcs.as_deref());
        self.entries(
            objects,
            &self.names.sdcs,
            &self.rows.sdcs,
            StatKind::Sdc,
            (Some(&self.choices.sdcs), self.keep.sdcs),
        )
    }

    /// Volumes and snapshots that have series of their own.
    pub(crate) fn volumes(&self) -> impl Iterator<Item = Entry<'a, Volume>> + use<'a> {
        let objects = self.snapshot.and_then(|s| s.volumes.as_deref());
        self.entries(
            objects,
            &self.names.volumes,
            &self.rows.volumes,
            StatKind::Volume,
            (Some(&self.choices.volumes), self.keep.volumes),
        )
    }

    /// Snapshot policies.
    pub(crate) fn policies(&self) -> impl Iterator<Item = Entry<'a, SnapshotPolicy>> + use<'a> {
        let objects = self.snapshot.and_then(|s| s.policies.as_deref());
        self.entries(objects, &self.names.policies, &[], StatKind::System, EVERY)
    }

    /// Replication consistency groups.
    pub(crate) fn groups(&self) -> impl Iterator<Item = Entry<'a, ConsistencyGroup>> + use<'a> {
        let objects = self.snapshot.and_then(|s| s.groups.as_deref());
        self.entries(objects, &self.names.groups, &self.rows.groups, StatKind::ConsistencyGroup, EVERY)
    }

    fn entries<T: Labelled>(
        &self,
        objects: Option<&'a Table<T>>,
        names: &'a LabelTable<T>,
        rows: &'a [u32],
        kind: StatKind,
        (choice, keep): (Option<&'a Choice>, usize),
    ) -> impl Iterator<Item = Entry<'a, T>> + use<'a, T> {
        let table = self.table(kind);
        let objects = objects.into_iter().flat_map(|table| table.iter()).enumerate();
        let chosen = objects.filter(move |(place, _)| choice.is_none_or(|choice| choice.has(*place))).enumerate();
        chosen.map(move |(rank, (place, object))| Entry {
            object,
            labels: Labels { withheld: rank >= keep, ..names.nth(place) },
            row: table.zip(rows.get(place).filter(|row| **row != NONE)).map(|(table, row)| table.nth(*row as usize)),
        })
    }
}
