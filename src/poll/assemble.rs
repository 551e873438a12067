//! How do the answers of one poll become the next snapshot and the next picture?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::model::cluster::{
    ConsistencyGroup, Device, FaultSet, MdmAlert, MdmEvent, PeerMdm, ProtectionDomain, ReplicationPair, Sdc, Sdr, Sds,
    Sdt, SnapshotPolicy, StoragePool, System, VTree, Volume,
};
use crate::model::id::ObjectId;
use crate::model::picture::PollError;
use crate::model::snapshot::{Collector, Gap, Part, Snapshot, Table};
use crate::model::state::{Connection, Maintenance};
use crate::model::stats::{Stat, StatKind, Statistics};
use crate::model::unit::Timestamp;

/// Events kept in a snapshot for people to read; the log itself is the gateway's.
const EVENTS_KEPT: usize = 200;

macro_rules! slots {
    ($($collector:ident = $slot:ident: $answer:ty),* $(,)?) => {
        /// What one collector answered.
        #[derive(Debug)]
        #[allow(missing_docs)]
        #[allow(clippy::large_enum_variant, reason = "a handful exist at a time, each moved once")]
        pub enum Reading { $($collector($answer)),* }

        impl Reading {
            fn place(self, snapshot: &mut Snapshot, begun_at: Timestamp, taken_at: Timestamp) {
                match self {
                    $(Self::$collector(value) => {
                        snapshot.$slot = Some(Part { begun_at, taken_at, value: Arc::new(value) });
                    })*
                }
            }
        }

        /// Takes a part out, because its collector does not exist or its answer is too old.
        pub fn drop_part(snapshot: &mut Snapshot, collector: Collector) {
            match collector { $(Collector::$collector => snapshot.$slot = None),* }
        }

        /// Whether a snapshot has a collector's part.
        pub const fn has_part(snapshot: &Snapshot, collector: Collector) -> bool {
            match collector { $(Collector::$collector => snapshot.$slot.is_some()),* }
        }
    };
}

slots! {
    System = array: System,
    ProtectionDomains = domains: Table<ProtectionDomain>,
    FaultSets = fault_sets: Table<FaultSet>,
    StoragePools = pools: Table<StoragePool>,
    Sds = sds: Table<Sds>,
    Alerts = alerts: Vec<MdmAlert>,
    Statistics = statistics: Statistics,
    Devices = devices: Table<Device>,
    Sdcs = sdcs: Table<Sdc>,
    Events = events: Vec<MdmEvent>,
    Volumes = volumes: Table<Volume>,
    VTrees = vtrees: Table<VTree>,
    SnapshotPolicies = policies: Table<SnapshotPolicy>,
    ConsistencyGroups = groups: Table<ConsistencyGroup>,
    ReplicationPairs = pairs: Table<ReplicationPair>,
    PeerMdms = peers: Table<PeerMdm>,
    Sdrs = sdrs: Table<Sdr>,
    Sdts = sdts: Table<Sdt>,
}

/// One run of one collector.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Run {
    pub begun_at: Timestamp,
    pub taken_at: Timestamp,
    pub took: Duration,
    pub outcome: Result<Read, PollError>,
}

/// An answer and what was strange about it.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Read {
    pub reading: Reading,
    pub objects: usize,
    pub unknown: BTreeMap<Box<str>, u64>,
}

/// Puts an answer into its place.
pub fn put(snapshot: &mut Snapshot, reading: Reading, begun_at: Timestamp, taken_at: Timestamp) {
    let reading = match reading {
        Reading::Events(new) => {
            let before = snapshot.events.take().map(|part| Arc::unwrap_or_clone(part.value)).unwrap_or_default();
            Reading::Events(merge_events(before, new))
        }
        Reading::System(system) => {
            snapshot.generation = system.version.generation().unwrap_or(snapshot.generation);
            Reading::System(system)
        }
        other => other,
    };
    reading.place(snapshot, begun_at, taken_at);
}

/// The collectors whose parts a snapshot holds.
pub fn parts(snapshot: &Snapshot) -> BTreeSet<Collector> {
    Collector::ALL.into_iter().filter(|collector| has_part(snapshot, *collector)).collect()
}

/// Writes down why each missing part is missing. `errors` holds the last
/// failure of each collector that was asked.
pub fn explain_gaps(snapshot: &mut Snapshot, errors: &BTreeMap<Collector, Box<str>>) {
    snapshot.gaps = Collector::ALL
        .into_iter()
        .filter(|collector| !has_part(snapshot, *collector))
        .map(|collector| {
            let gap = if collector.exists_in(snapshot.generation) {
                Gap::Unanswered {
                    error: errors.get(&collector).cloned().unwrap_or_else(|| "it was not asked yet".into()),
                }
            } else {
                Gap::NotInGeneration
            };
            (collector, gap)
        })
        .collect();
}

/// Lists whose objects are not those that the newer statistics speak of, each
/// with a mark of the difference. A list that is refreshed and still differs
/// in the same way is right: some objects have no statistics.
pub fn outdated_lists(snapshot: &Snapshot) -> BTreeMap<Collector, u64> {
    let Some(statistics) = &snapshot.statistics else { return BTreeMap::new() };
    let mut outdated = BTreeMap::new();
    let mut compare = |kind: StatKind, collector: Collector, listed: Option<&mut dyn Iterator<Item = &ObjectId>>| {
        let (Some(table), Some(listed)) = (statistics.table(kind), listed) else { return };
        let mark = difference(table.ids(), listed);
        if mark != 0 {
            outdated.insert(collector, mark);
        }
    };
    let Snapshot { domains, pools, sds, devices, sdcs, volumes, groups, pairs, .. } = snapshot;
    macro_rules! compare {
        ($($kind:ident: $collector:ident = $slot:ident),*) => {$(
            compare(
                StatKind::$kind,
                Collector::$collector,
                $slot.as_ref().map(|part| part.iter().map(|object| object.id.object())).as_mut().map(|ids| ids as _),
            );
        )*};
    }
    compare! {
        ProtectionDomain: ProtectionDomains = domains,
        StoragePool: StoragePools = pools,
        Sds: Sds = sds,
        Device: Devices = devices,
        Sdc: Sdcs = sdcs,
        Volume: Volumes = volumes,
        ConsistencyGroup: ConsistencyGroups = groups,
        ReplicationPair: ReplicationPairs = pairs
    }
    outdated
}

/// 0 when both hold the same ids, else a number that depends on the ids that
/// only one of them holds.
fn difference(left: &[ObjectId], right: &mut dyn Iterator<Item = &ObjectId>) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut mark = DefaultHasher::new();
    let mut differs = false;
    let mut odd = |id: &ObjectId, side: u8| {
        differs = true;
        (id, side).hash(&mut mark);
    };
    let mut left = left.iter().peekable();
    for id in right {
        while let Some(before) = left.next_if(|other| *other < id) {
            odd(before, 0);
        }
        if left.next_if(|other| *other == id).is_none() {
            odd(id, 1);
        }
    }
    left.for_each(|id| odd(id, 0));
    if differs { mark.finish().max(1) } else { 0 }
}

/// Whether data is being moved or a server is away: then devices and clients
/// are worth a closer look.
pub fn is_moving(snapshot: &Snapshot) -> bool {
    const TRACES: [Stat; 5] = [
        Stat::DegradedHealthyCapacityInKb,
        Stat::DegradedFailedCapacityInKb,
        Stat::FailedCapacityInKb,
        Stat::InMaintenanceCapacityInKb,
        Stat::ActiveRebalanceCapacityInKb,
    ];
    let in_statistics = snapshot.statistics.as_ref().and_then(|part| part.system()).is_some_and(|row| {
        TRACES.iter().chain(&Stat::REBUILD_LEFT).any(|stat| row.number(*stat).is_some_and(|value| value > 0.0))
    });
    let in_servers = snapshot.sds.as_ref().is_some_and(|part| {
        part.iter().any(|sds| !sds.connection.is(Connection::Connected) || !sds.maintenance.is(Maintenance::None))
    });
    in_statistics || in_servers
}

/// Adds events that are not there yet, oldest first, and keeps the newest.
fn merge_events(mut kept: Vec<MdmEvent>, new: Vec<MdmEvent>) -> Vec<MdmEvent> {
    let known: BTreeSet<Box<str>> = kept.iter().map(|event| event.id.clone()).collect();
    kept.extend(new.into_iter().filter(|event| !known.contains(&event.id)));
    kept.sort_by_key(|event| event.at);
    let surplus = kept.len().saturating_sub(EVENTS_KEPT);
    kept.drain(..surplus);
    kept
}
