//! What one system said, part by part, each part with its age.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use serde::Serialize;

use super::cluster::{
    ConsistencyGroup, Device, FaultSet, MdmAlert, MdmEvent, PeerMdm, ProtectionDomain, ReplicationPair, Sdc, Sdr, Sds,
    Sdt, SnapshotPolicy, StoragePool, System, VTree, Volume,
};
use super::id::{
    ConsistencyGroupId, DeviceId, FaultSetId, PeerMdmId, ProtectionDomainId, ReplicationPairId, SdcId, SdrId, SdsId,
    SdtId, SnapshotPolicyId, StoragePoolId, SystemId, VTreeId, VolumeId,
};
use super::stats::Statistics;
use super::unit::Timestamp;
use super::version::Generation;

/// One question that is asked of a gateway again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Collector {
    System,
    ProtectionDomains,
    FaultSets,
    StoragePools,
    Sds,
    Alerts,
    Statistics,
    Devices,
    Sdcs,
    Events,
    Volumes,
    VTrees,
    SnapshotPolicies,
    ConsistencyGroups,
    ReplicationPairs,
    PeerMdms,
    Sdrs,
    Sdts,
}

/// How often a collector is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Beat {
    /// Every poll: what a safety gate reads, and statistics.
    Fast,
    /// Devices and clients.
    Middle,
    /// What people create and delete, and what is large.
    Slow,
}

impl Collector {
    /// Every collector, in the order in which they are asked.
    pub const ALL: [Self; 18] = [
        Self::System,
        Self::ProtectionDomains,
        Self::FaultSets,
        Self::StoragePools,
        Self::Sds,
        Self::Alerts,
        Self::Statistics,
        Self::Devices,
        Self::Sdcs,
        Self::Events,
        Self::Volumes,
        Self::VTrees,
        Self::SnapshotPolicies,
        Self::ConsistencyGroups,
        Self::ReplicationPairs,
        Self::PeerMdms,
        Self::Sdrs,
        Self::Sdts,
    ];

    /// Its name in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::ProtectionDomains => "protection_domains",
            Self::FaultSets => "fault_sets",
            Self::StoragePools => "storage_pools",
            Self::Sds => "sds",
            Self::Alerts => "alerts",
            Self::Statistics => "statistics",
            Self::Devices => "devices",
            Self::Sdcs => "sdcs",
            Self::Events => "events",
            Self::Volumes => "volumes",
            Self::VTrees => "vtrees",
            Self::SnapshotPolicies => "snapshot_policies",
            Self::ConsistencyGroups => "consistency_groups",
            Self::ReplicationPairs => "replication_pairs",
            Self::PeerMdms => "peer_mdms",
            Self::Sdrs => "sdrs",
            Self::Sdts => "sdts",
        }
    }

    /// How often it is asked. States that a safety gate reads, and statistics,
    /// are asked every poll.
    pub const fn beat(self) -> Beat {
        match self {
            Self::System
            | Self::ProtectionDomains
            | Self::FaultSets
            | Self::StoragePools
            | Self::Sds
            | Self::Alerts
            | Self::Statistics => Beat::Fast,
            Self::Devices | Self::Sdcs | Self::Events => Beat::Middle,
            Self::Volumes
            | Self::VTrees
            | Self::SnapshotPolicies
            | Self::ConsistencyGroups
            | Self::ReplicationPairs
            | Self::PeerMdms
            | Self::Sdrs
            | Self::Sdts => Beat::Slow,
        }
    }

    /// Whether a generation has what it asks for.
    pub fn exists_in(self, generation: Generation) -> bool {
        match self {
            Self::SnapshotPolicies => generation >= Generation::V3_0,
            Self::ConsistencyGroups | Self::ReplicationPairs | Self::PeerMdms | Self::Sdrs => {
                generation >= Generation::V3_5
            }
            Self::Sdts | Self::Events => generation >= Generation::V4,
            _ => true,
        }
    }
}

impl std::fmt::Display for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An answer with the moments between which it was given.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part<T> {
    /// When the question was sent: nothing in the answer is older.
    pub begun_at: Timestamp,
    /// When the answer was complete.
    pub taken_at: Timestamp,
    /// The answer. Later snapshots share it until it is asked again.
    pub value: Arc<T>,
}

impl<T> Deref for Part<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// An object that has an id of its own.
pub trait Keyed {
    /// The kind of id.
    type Id: Ord;

    /// Its id.
    fn id(&self) -> &Self::Id;
}

macro_rules! keyed {
    ($($object:ty: $id:ty),* $(,)?) => {$(
        impl Keyed for $object {
            type Id = $id;

            fn id(&self) -> &$id {
                &self.id
            }
        }
    )*};
}

keyed! {
    ProtectionDomain: ProtectionDomainId,
    FaultSet: FaultSetId,
    StoragePool: StoragePoolId,
    Sds: SdsId,
    Device: DeviceId,
    Sdc: SdcId,
    Volume: VolumeId,
    VTree: VTreeId,
    SnapshotPolicy: SnapshotPolicyId,
    ConsistencyGroup: ConsistencyGroupId,
    ReplicationPair: ReplicationPairId,
    PeerMdm: PeerMdmId,
    Sdr: SdrId,
    Sdt: SdtId,
}

/// Objects of one kind, ascending by id.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Table<T>(Vec<T>);

impl<T: Keyed> Table<T> {
    /// Takes objects in any order; of two with one id the first stays.
    pub fn new(mut objects: Vec<T>) -> Self {
        objects.sort_by(|a, b| a.id().cmp(b.id()));
        objects.dedup_by(|later, first| later.id() == first.id());
        Self(objects)
    }

    /// The object with this id.
    pub fn get(&self, id: &T::Id) -> Option<&T> {
        self.0.binary_search_by(|object| object.id().cmp(id)).ok().map(|place| &self.0[place])
    }
}

impl<T> Table<T> {
    /// All objects, ascending by id.
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }
}

impl<T> Deref for Table<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

/// A part that is there, or is not for a reason that the snapshot's gaps tell.
pub type Slot<T> = Option<Part<T>>;

/// What a system said. Immutable; parts that could not be had are gaps, never zeros.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Snapshot {
    /// Counts up by one with every snapshot of this system in this process.
    pub seq: u64,
    pub system: SystemId,
    /// When the poll that made it began: a part asked in this poll is no older.
    pub begun_at: Timestamp,
    pub taken_at: Timestamp,
    pub generation: Generation,
    pub array: Slot<System>,
    pub domains: Slot<Table<ProtectionDomain>>,
    pub fault_sets: Slot<Table<FaultSet>>,
    pub pools: Slot<Table<StoragePool>>,
    pub sds: Slot<Table<Sds>>,
    pub devices: Slot<Table<Device>>,
    pub sdcs: Slot<Table<Sdc>>,
    pub volumes: Slot<Table<Volume>>,
    pub vtrees: Slot<Table<VTree>>,
    pub policies: Slot<Table<SnapshotPolicy>>,
    pub groups: Slot<Table<ConsistencyGroup>>,
    pub pairs: Slot<Table<ReplicationPair>>,
    pub peers: Slot<Table<PeerMdm>>,
    pub sdrs: Slot<Table<Sdr>>,
    pub sdts: Slot<Table<Sdt>>,
    pub alerts: Slot<Vec<MdmAlert>>,
    pub events: Slot<Vec<MdmEvent>>,
    pub statistics: Slot<Statistics>,
    /// Why each missing part is missing.
    pub gaps: BTreeMap<Collector, Gap>,
}

/// Why a part is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum Gap {
    /// The generation has no such thing.
    NotInGeneration,
    /// It was switched off in the configuration.
    SwitchedOff,
    /// It was never answered, or so long ago that its last answer says nothing any more.
    Unanswered {
        /// What went wrong last.
        error: Box<str>,
    },
}

impl Snapshot {
    /// A snapshot without any part.
    pub fn empty(system: SystemId, generation: Generation, seq: u64, begun_at: Timestamp) -> Self {
        Self {
            seq,
            system,
            begun_at,
            taken_at: begun_at,
            generation,
            array: None,
            domains: None,
            fault_sets: None,
            pools: None,
            sds: None,
            devices: None,
            sdcs: None,
            volumes: None,
            vtrees: None,
            policies: None,
            groups: None,
            pairs: None,
            peers: None,
            sdrs: None,
            sdts: None,
            alerts: None,
            events: None,
            statistics: None,
            gaps: BTreeMap::new(),
        }
    }
}
