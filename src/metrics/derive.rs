//! What follows from what the MDM says? Pure arithmetic, and the two things
//! that only add up over polls: the latency histogram and the event counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::cluster::{CounterWindow, MdmCluster, ReplicationPair, StoragePool, WindowLength};
use crate::model::id::StoragePoolId;
use crate::model::snapshot::Snapshot;
use crate::model::state::{ClusterMode, ClusterState, DataLayout, InitialCopy, Maintenance, Seen};
use crate::model::stats::{Stat, StatKind, StatRow, Statistics};

use super::naming::snaked;

/// Raw capacity in use by kind of volume.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct UsedBy {
    pub(crate) thick: f64,
    pub(crate) thin: f64,
    pub(crate) snapshot: f64,
}

impl UsedBy {
    fn sum(self) -> f64 {
        self.thick + self.thin + self.snapshot
    }

    /// Both together.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { thick: self.thick + other.thick, thin: self.thin + other.thin, snapshot: self.snapshot + other.snapshot }
    }
}

/// Use by kind of one object. Releases with persistent checksums (3.6, 4.x)
/// report 0 for all three kinds though something is in use; there the user
/// data stands for thin volumes, where the object has that statistic.
pub(crate) fn used_by(row: StatRow<'_>) -> Option<UsedBy> {
    let reported = UsedBy {
        thick: row.number(Stat::ThickCapacityInUseInKb)?,
        thin: row.number(Stat::ThinCapacityInUseInKb)?,
        snapshot: row.number(Stat::SnapCapacityInUseOccupiedInKb)?,
    };
    if reported.sum() > 0.0 || row.number(Stat::CapacityInUseInKb).is_none_or(|used| used == 0.0) {
        return Some(reported);
    }
    Some(UsedBy {
        thick: 0.0,
        thin: row.number(Stat::ThinUserDataCapacityInKb)?,
        snapshot: row.number(Stat::SnapshotCapacityInKb).unwrap_or(0.0),
    })
}

/// Copies that a pool keeps of each block; nothing for a layout that does not mirror.
pub(crate) fn data_copies(pool: &StoragePool) -> Option<f64> {
    match &pool.layout {
        // Before 3.0 there was one layout, and pools did not tell it.
        None | Some(Seen::Is(DataLayout::MediumGranularity | DataLayout::FineGranularity)) => Some(2.0),
        Some(Seen::Is(DataLayout::ErasureCoding | DataLayout::Invalid) | Seen::Other(_)) => None,
    }
}

/// Members that the mode of an MDM cluster asks for.
pub(crate) fn members_wanted(mode: &Seen<ClusterMode>) -> Option<f64> {
    match mode {
        Seen::Is(ClusterMode::OneNode) => Some(1.0),
        Seen::Is(ClusterMode::ThreeNodes) => Some(3.0),
        Seen::Is(ClusterMode::FiveNodes) => Some(5.0),
        Seen::Is(ClusterMode::Invalid) | Seen::Other(_) => None,
    }
}

/// Whether an MDM cluster is all that it should be. A single MDM that answers is.
pub(crate) fn is_normal(mdm: &MdmCluster) -> bool {
    mdm.state.is(ClusterState::Normal)
        || (mdm.mode.is(ClusterMode::OneNode) && mdm.state.is(ClusterState::NotClustered))
}

/// How near a window of failures is to its threshold.
pub(crate) fn threshold_ratio(window: &CounterWindow) -> Option<f64> {
    (window.threshold > 0.0).then(|| window.count / window.threshold).filter(|ratio| ratio.is_finite())
}

/// The name of a window in labels.
pub(crate) const fn window_name(length: WindowLength) -> &'static str {
    match length {
        WindowLength::Short => "short",
        WindowLength::Medium => "medium",
        WindowLength::Long => "long",
    }
}

/// What kind of maintenance it is: by the MDM's word, of which only the sense is read, since its words are not known from
/// any capture; where the word says only how far it got, as the vendor's description has it, by what was seen.
pub(crate) fn maintenance_type(word: Option<&str>, protected: bool) -> String {
    let word = word.filter(|word| matches!(Seen::<Maintenance>::read(word), Seen::Other(_)));
    let word = snaked(word.unwrap_or(if protected { "protected" } else { "" }));
    for known in ["instant", "protected"] {
        if word.contains(known) {
            return known.to_owned();
        }
    }
    word
}

/// What a replication pair is doing.
pub(crate) fn pair_state(pair: &ReplicationPair) -> String {
    if pair.lifetime_state.as_deref().is_some_and(|state| state.to_ascii_lowercase().contains("error")) {
        return "error".to_owned();
    }
    match &pair.initial_copy {
        Some(Seen::Is(InitialCopy::Done)) => "synced".to_owned(),
        Some(Seen::Is(InitialCopy::Paused | InitialCopy::DuringPause)) => "paused".to_owned(),
        Some(Seen::Is(
            InitialCopy::Uninitialized | InitialCopy::AwaitsConclude | InitialCopy::Queued | InitialCopy::Active,
        )) => "initial_copy".to_owned(),
        Some(Seen::Other(word)) => snaked(word),
        None => "unknown".to_owned(),
    }
}

/// Upper bounds of the latency histogram in seconds.
pub const LATENCY_BOUNDS: [f64; 11] = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];

/// One cumulative histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Histogram {
    /// Observations up to each bound, not cumulated; the last is beyond all bounds.
    pub(crate) counts: [f64; LATENCY_BOUNDS.len() + 1],
    pub(crate) sum: f64,
}

impl Histogram {
    fn observe(&mut self, value: f64, times: f64) {
        self.counts[LATENCY_BOUNDS.partition_point(|bound| *bound < value)] += times;
        self.sum += value * times;
    }
}

/// Directions of user I/O.
pub(crate) const DIRECTIONS: [(&str, Stat); 3] = [
    ("read", Stat::UserDataSdcReadLatency),
    ("write", Stat::UserDataSdcWriteLatency),
    ("trim", Stat::UserDataSdcTrimLatency),
];

/// Latency of user I/O by pool and direction, each I/O counted once at the
/// mean of its volume's window. The MDM shows windows of a few seconds, so
/// what happens between two polls is not in it: it is a sample, weighted
/// rightly, and its rates are those of the sample.
#[derive(Default)]
pub(crate) struct LatencyHistograms {
    pools: BTreeMap<StoragePoolId, [Histogram; 3]>,
    /// The statistics that were counted last; none are counted twice.
    counted: Option<Arc<Statistics>>,
}

impl LatencyHistograms {
    /// Counts the windows of a snapshot, if they are new. `rows` are the places
    /// of the volumes' statistics.
    pub(crate) fn update(&mut self, snapshot: &Snapshot, rows: impl Iterator<Item = Option<usize>>) {
        if let Some(pools) = &snapshot.pools {
            self.pools.retain(|id, _| pools.get(id).is_some());
        }
        let (Some(statistics), Some(volumes)) = (&snapshot.statistics, &snapshot.volumes) else { return };
        if self.counted.as_ref().is_some_and(|counted| Arc::ptr_eq(counted, &statistics.value)) {
            return;
        }
        self.counted = Some(Arc::clone(&statistics.value));
        let Some(table) = statistics.table(StatKind::Volume) else { return };
        if table.columns().place(Stat::UserDataSdcReadLatency).is_none() {
            return;
        }
        for (volume, row) in volumes.iter().zip(rows) {
            let (Some(pool), Some(row)) = (&volume.pool, row.map(|row| table.nth(row))) else { continue };
            let histograms = match self.pools.get_mut(pool) {
                Some(histograms) => histograms,
                None => self.pools.entry(pool.clone()).or_default(),
            };
            for (histogram, (_, stat)) in histograms.iter_mut().zip(DIRECTIONS) {
                if let Some(window) = row.window(stat)
                    && let Some(mean) = window.mean_seconds()
                {
                    histogram.observe(mean, window.count);
                }
            }
        }
    }

    /// The histograms of a pool by direction.
    pub(crate) fn of(&self, pool: &StoragePoolId) -> Option<&[Histogram; 3]> {
        self.pools.get(pool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::ObjectId;
    use crate::model::stats::{Columns, StatTable};

    fn used(columns: &[Stat], values: &[f64]) -> Option<UsedBy> {
        let table = StatTable::new(Columns::new(columns.to_vec()), vec![ObjectId::from_number(1)], values.to_vec());
        used_by(table.single().unwrap())
    }

    #[test]
    fn use_by_kind_is_as_reported_and_falls_back_to_user_data_where_it_reports_nothing() {
        use Stat::{
            CapacityInUseInKb, SnapCapacityInUseOccupiedInKb, SnapshotCapacityInKb, ThickCapacityInUseInKb,
            ThinCapacityInUseInKb, ThinUserDataCapacityInKb,
        };
        let three = [ThickCapacityInUseInKb, ThinCapacityInUseInKb, SnapCapacityInUseOccupiedInKb, CapacityInUseInKb];
        let all = [&three[..], &[ThinUserDataCapacityInKb, SnapshotCapacityInKb]].concat();
        assert_eq!(used(&three, &[1.0, 2.0, 3.0, 6.0]), Some(UsedBy { thick: 1.0, thin: 2.0, snapshot: 3.0 }));
        assert_eq!(used(&all, &[0.0, 0.0, 0.0, 6.0, 5.0, 1.0]), Some(UsedBy { thick: 0.0, thin: 5.0, snapshot: 1.0 }));
        assert_eq!(used(&all, &[0.0, 0.0, 0.0, 0.0, 5.0, 1.0]), Some(UsedBy::default()), "nothing is in use");
        assert_eq!(used(&three, &[0.0, 0.0, 0.0, 6.0]), None, "an SDS has no user data to fall back to");
    }

    #[test]
    fn an_observation_falls_under_the_first_bound_that_holds_it() {
        let mut histogram = Histogram::default();
        histogram.observe(0.005, 10.0);
        histogram.observe(0.005_1, 1.0);
        histogram.observe(3.0, 2.0);
        assert_eq!(histogram.counts[4], 10.0);
        assert_eq!(histogram.counts[5], 1.0);
        assert_eq!(histogram.counts[11], 2.0);
        assert!((histogram.sum - 6.0551).abs() < 1e-9);
    }

    #[test]
    fn the_kind_of_maintenance_is_read_from_whatever_word_there_is() {
        for (word, wanted) in [
            (Some("InstantMaintenance"), "instant"),
            (Some("PROTECTED"), "protected"),
            (Some("NewKind"), "new_kind"),
            (Some("InMaintenance"), ""),
            (None, ""),
        ] {
            assert_eq!(maintenance_type(word, false), wanted);
        }
        for word in [Some("SetMaintenanceInProgress"), Some("InMaintenance"), None, Some("Protected")] {
            assert_eq!(maintenance_type(word, true), "protected");
        }
        assert_eq!(maintenance_type(Some("InstantMaintenance"), true), "instant", "what the MDM says counts");
    }
}
