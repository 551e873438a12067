//! Statistics: what is asked of each kind of object, and what came back.
//!
//! One table names every statistic we use with its unit and the kinds of
//! objects it is asked of. Answers are kept as columns of numbers, because a
//! large system has a hundred thousand objects; what was not sent is absent,
//! never zero.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::id::ObjectId;
use super::unit::{Bytes, Window};

/// Kinds of objects that have statistics, by the gateway's type names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum StatKind {
    /// The whole system.
    System,
    /// Protection domains.
    ProtectionDomain,
    /// Storage pools.
    StoragePool,
    /// Storage data servers.
    Sds,
    /// Devices.
    Device,
    /// Storage data clients.
    Sdc,
    /// Volumes and snapshots.
    Volume,
    /// Replication consistency groups.
    ConsistencyGroup,
    /// Replication pairs.
    ReplicationPair,
}

impl StatKind {
    /// Every kind, in the order in which they are asked.
    pub const ALL: [Self; 9] = [
        Self::System,
        Self::ProtectionDomain,
        Self::StoragePool,
        Self::Sds,
        Self::Device,
        Self::Sdc,
        Self::Volume,
        Self::ConsistencyGroup,
        Self::ReplicationPair,
    ];

    /// The gateway's name of the type.
    pub const fn type_name(self) -> &'static str {
        match self {
            Self::System => "System",
            Self::ProtectionDomain => "ProtectionDomain",
            Self::StoragePool => "StoragePool",
            Self::Sds => "Sds",
            Self::Device => "Device",
            Self::Sdc => "Sdc",
            Self::Volume => "Volume",
            Self::ConsistencyGroup => "ReplicationConsistencyGroup",
            Self::ReplicationPair => "ReplicationPair",
        }
    }
}

/// How a statistic is written on the wire, and what it becomes here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatUnit {
    /// KiB, becomes bytes.
    Kib,
    /// MiB, becomes bytes.
    Mib,
    /// A number of things.
    Count,
    /// Microseconds, becomes seconds.
    Micros,
    /// Milliseconds, becomes seconds.
    Millis,
    /// A part of a whole.
    Ratio,
    /// `{numSeconds, totalWeightInKb, numOccured}`: three columns.
    Window,
}

impl StatUnit {
    /// What a number of the wire is multiplied by.
    pub const fn factor(self) -> f64 {
        match self {
            Self::Kib => 1024.0,
            Self::Mib => 1_048_576.0,
            Self::Micros => 1e-6,
            Self::Millis => 1e-3,
            Self::Count | Self::Ratio | Self::Window => 1.0,
        }
    }

    /// Columns it takes in a table.
    pub const fn width(self) -> usize {
        match self {
            Self::Window => 3,
            Self::Kib | Self::Mib | Self::Count | Self::Micros | Self::Millis | Self::Ratio => 1,
        }
    }
}

macro_rules! statistics {
    ($($name:ident = $wire:literal: $unit:ident of $($kind:ident)+;)*) => {
        /// A statistic by the gateway's own name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs)]
        pub enum Stat { $($name),* }

        impl Stat {
            /// Every statistic we know to use.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The gateway's name of it.
            pub const fn wire_name(self) -> &'static str {
                match self { $(Self::$name => $wire),* }
            }

            /// Its unit on the wire.
            pub const fn unit(self) -> StatUnit {
                match self { $(Self::$name => StatUnit::$unit),* }
            }

            /// The kinds of objects it is asked of.
            pub const fn kinds(self) -> &'static [StatKind] {
                match self { $(Self::$name => &[$(StatKind::$kind),+]),* }
            }
        }
    };
}

statistics! {
    // Capacity, raw unless said otherwise.
    MaxCapacityInKb = "maxCapacityInKb": Kib of System ProtectionDomain StoragePool Sds Device;
    CapacityLimitInKb = "capacityLimitInKb": Kib of System ProtectionDomain StoragePool Sds;
    CapacityInUseInKb = "capacityInUseInKb": Kib of System ProtectionDomain StoragePool Sds Device;
    UnusedCapacityInKb = "unusedCapacityInKb": Kib of System ProtectionDomain StoragePool Sds;
    UnreachableUnusedCapacityInKb = "unreachableUnusedCapacityInKb": Kib of System ProtectionDomain StoragePool Sds;
    ThickCapacityInUseInKb = "thickCapacityInUseInKb": Kib of System ProtectionDomain StoragePool Sds;
    ThinCapacityInUseInKb = "thinCapacityInUseInKb": Kib of System ProtectionDomain StoragePool Sds;
    SnapCapacityInUseOccupiedInKb = "snapCapacityInUseOccupiedInKb": Kib of System ProtectionDomain StoragePool Sds;
    SpareCapacityInKb = "spareCapacityInKb": Kib of System ProtectionDomain StoragePool;
    CapacityAvailableForVolumeAllocationInKb = "capacityAvailableForVolumeAllocationInKb": Kib of System ProtectionDomain StoragePool;
    SnapshotCapacityInKb = "snapshotCapacityInKb": Kib of System ProtectionDomain StoragePool;
    ThinUserDataCapacityInKb = "thinUserDataCapacityInKb": Kib of System StoragePool;
    VolumeAddressSpaceInKb = "volumeAddressSpaceInKb": Kib of StoragePool;
    // Data by protection state: written data, and allocated address space.
    ProtectedCapacityInKb = "protectedCapacityInKb": Kib of System ProtectionDomain StoragePool;
    SemiProtectedCapacityInKb = "semiProtectedCapacityInKb": Kib of System ProtectionDomain StoragePool;
    DegradedHealthyCapacityInKb = "degradedHealthyCapacityInKb": Kib of System ProtectionDomain StoragePool;
    DegradedFailedCapacityInKb = "degradedFailedCapacityInKb": Kib of System ProtectionDomain StoragePool;
    FailedCapacityInKb = "failedCapacityInKb": Kib of System ProtectionDomain StoragePool;
    InMaintenanceCapacityInKb = "inMaintenanceCapacityInKb": Kib of System ProtectionDomain StoragePool;
    ProtectedVacInKb = "protectedVacInKb": Kib of Sds;
    SemiProtectedVacInKb = "semiProtectedVacInKb": Kib of Sds;
    DegradedHealthyVacInKb = "degradedHealthyVacInKb": Kib of Sds;
    DegradedFailedVacInKb = "degradedFailedVacInKb": Kib of Sds;
    FailedVacInKb = "failedVacInKb": Kib of Sds;
    InMaintenanceVacInKb = "inMaintenanceVacInKb": Kib of Sds;
    InUseVacInKb = "inUseVacInKb": Kib of Sds;
    // Data still to be moved.
    PendingFwdRebuildCapacityInKb = "pendingFwdRebuildCapacityInKb": Kib of System ProtectionDomain StoragePool;
    ActiveFwdRebuildCapacityInKb = "activeFwdRebuildCapacityInKb": Kib of System ProtectionDomain StoragePool;
    PendingBckRebuildCapacityInKb = "pendingBckRebuildCapacityInKb": Kib of System ProtectionDomain StoragePool;
    ActiveBckRebuildCapacityInKb = "activeBckRebuildCapacityInKb": Kib of System ProtectionDomain StoragePool;
    PendingNormRebuildCapacityInKb = "pendingNormRebuildCapacityInKb": Kib of System ProtectionDomain StoragePool;
    ActiveNormRebuildCapacityInKb = "activeNormRebuildCapacityInKb": Kib of System ProtectionDomain StoragePool;
    PendingRebalanceCapacityInKb = "pendingRebalanceCapacityInKb": Kib of System ProtectionDomain StoragePool;
    ActiveRebalanceCapacityInKb = "activeRebalanceCapacityInKb": Kib of System ProtectionDomain StoragePool;
    PendingEnterProtectedMaintenanceModeCapacityInKb = "pendingEnterProtectedMaintenanceModeCapacityInKb": Kib of System ProtectionDomain StoragePool;
    ActiveEnterProtectedMaintenanceModeCapacityInKb = "activeEnterProtectedMaintenanceModeCapacityInKb": Kib of System ProtectionDomain StoragePool;
    PendingExitProtectedMaintenanceModeCapacityInKb = "pendingExitProtectedMaintenanceModeCapacityInKb": Kib of System ProtectionDomain StoragePool;
    ActiveExitProtectedMaintenanceModeCapacityInKb = "activeExitProtectedMaintenanceModeCapacityInKb": Kib of System ProtectionDomain StoragePool;
    // Bandwidth of background work.
    FwdRebuildReadBwc = "fwdRebuildReadBwc": Window of System ProtectionDomain StoragePool Sds;
    FwdRebuildWriteBwc = "fwdRebuildWriteBwc": Window of System ProtectionDomain StoragePool Sds;
    BckRebuildReadBwc = "bckRebuildReadBwc": Window of System ProtectionDomain StoragePool Sds;
    BckRebuildWriteBwc = "bckRebuildWriteBwc": Window of System ProtectionDomain StoragePool Sds;
    NormRebuildReadBwc = "normRebuildReadBwc": Window of System ProtectionDomain StoragePool Sds;
    NormRebuildWriteBwc = "normRebuildWriteBwc": Window of System ProtectionDomain StoragePool Sds;
    RebalanceReadBwc = "rebalanceReadBwc": Window of System ProtectionDomain StoragePool Sds;
    RebalanceWriteBwc = "rebalanceWriteBwc": Window of System ProtectionDomain StoragePool Sds;
    VolMigrationReadBwc = "volMigrationReadBwc": Window of System ProtectionDomain StoragePool Sds;
    VolMigrationWriteBwc = "volMigrationWriteBwc": Window of System ProtectionDomain StoragePool Sds;
    EnterProtectedMaintenanceModeReadBwc = "enterProtectedMaintenanceModeReadBwc": Window of System ProtectionDomain StoragePool Sds;
    EnterProtectedMaintenanceModeWriteBwc = "enterProtectedMaintenanceModeWriteBwc": Window of System ProtectionDomain StoragePool Sds;
    ExitProtectedMaintenanceModeReadBwc = "exitProtectedMaintenanceModeReadBwc": Window of System ProtectionDomain StoragePool Sds;
    ExitProtectedMaintenanceModeWriteBwc = "exitProtectedMaintenanceModeWriteBwc": Window of System ProtectionDomain StoragePool Sds;
    // Background jobs.
    PendingMovingInFwdRebuildJobs = "pendingMovingInFwdRebuildJobs": Count of System ProtectionDomain StoragePool Sds;
    PendingMovingInBckRebuildJobs = "pendingMovingInBckRebuildJobs": Count of System ProtectionDomain StoragePool Sds;
    PendingMovingInNormRebuildJobs = "pendingMovingInNormRebuildJobs": Count of System ProtectionDomain StoragePool Sds;
    PendingMovingInEnterProtectedMaintenanceModeJobs = "pendingMovingInEnterProtectedMaintenanceModeJobs": Count of System ProtectionDomain StoragePool Sds;
    PendingMovingInExitProtectedMaintenanceModeJobs = "pendingMovingInExitProtectedMaintenanceModeJobs": Count of System ProtectionDomain StoragePool Sds;
    PendingMovingOutFwdRebuildJobs = "pendingMovingOutFwdRebuildJobs": Count of System ProtectionDomain StoragePool Sds;
    PendingMovingOutBckRebuildJobs = "pendingMovingOutBckRebuildJobs": Count of System ProtectionDomain StoragePool Sds;
    PendingMovingOutNormrebuildJobs = "pendingMovingOutNormrebuildJobs": Count of System ProtectionDomain StoragePool Sds;
    PendingMovingRebalanceJobs = "pendingMovingRebalanceJobs": Count of System ProtectionDomain StoragePool Sds;
    PendingMovingOutEnterProtectedMaintenanceModeJobs = "pendingMovingOutEnterProtectedMaintenanceModeJobs": Count of System ProtectionDomain StoragePool Sds;
    PendingMovingOutExitProtectedMaintenanceModeJobs = "pendingMovingOutExitProtectedMaintenanceModeJobs": Count of System ProtectionDomain StoragePool Sds;
    ActiveMovingInFwdRebuildJobs = "activeMovingInFwdRebuildJobs": Count of System ProtectionDomain StoragePool Sds;
    ActiveMovingInBckRebuildJobs = "activeMovingInBckRebuildJobs": Count of System ProtectionDomain StoragePool Sds;
    ActiveMovingInNormRebuildJobs = "activeMovingInNormRebuildJobs": Count of System ProtectionDomain StoragePool Sds;
    ActiveMovingInEnterProtectedMaintenanceModeJobs = "activeMovingInEnterProtectedMaintenanceModeJobs": Count of System ProtectionDomain StoragePool Sds;
    ActiveMovingInExitProtectedMaintenanceModeJobs = "activeMovingInExitProtectedMaintenanceModeJobs": Count of System ProtectionDomain StoragePool Sds;
    ActiveMovingOutFwdRebuildJobs = "activeMovingOutFwdRebuildJobs": Count of System ProtectionDomain StoragePool Sds;
    ActiveMovingOutBckRebuildJobs = "activeMovingOutBckRebuildJobs": Count of System ProtectionDomain StoragePool Sds;
    ActiveMovingOutNormRebuildJobs = "activeMovingOutNormRebuildJobs": Count of System ProtectionDomain StoragePool Sds;
    ActiveMovingRebalanceJobs = "activeMovingRebalanceJobs": Count of System ProtectionDomain StoragePool Sds;
    ActiveMovingOutEnterProtectedMaintenanceModeJobs = "activeMovingOutEnterProtectedMaintenanceModeJobs": Count of System ProtectionDomain StoragePool Sds;
    ActiveMovingOutExitProtectedMaintenanceModeJobs = "activeMovingOutExitProtectedMaintenanceModeJobs": Count of System ProtectionDomain StoragePool Sds;
    // User I/O, and I/O on devices.
    UserDataReadBwc = "userDataReadBwc": Window of System ProtectionDomain StoragePool Sdc Volume;
    UserDataWriteBwc = "userDataWriteBwc": Window of System ProtectionDomain StoragePool Sdc Volume;
    UserDataTrimBwc = "userDataTrimBwc": Window of System ProtectionDomain StoragePool Sdc Volume;
    UserDataSdcReadLatency = "userDataSdcReadLatency": Window of System ProtectionDomain StoragePool Sdc Volume;
    UserDataSdcWriteLatency = "userDataSdcWriteLatency": Window of System ProtectionDomain StoragePool Sdc Volume;
    UserDataSdcTrimLatency = "userDataSdcTrimLatency": Window of System ProtectionDomain StoragePool Sdc Volume;
    TotalReadBwc = "totalReadBwc": Window of System ProtectionDomain StoragePool Sds Device;
    TotalWriteBwc = "totalWriteBwc": Window of System ProtectionDomain StoragePool Sds Device;
    PrimaryReadBwc = "primaryReadBwc": Window of Sds;
    PrimaryWriteBwc = "primaryWriteBwc": Window of Sds;
    SecondaryReadBwc = "secondaryReadBwc": Window of Sds;
    SecondaryWriteBwc = "secondaryWriteBwc": Window of Sds;
    AvgReadLatencyInMicrosec = "avgReadLatencyInMicrosec": Micros of Device;
    AvgWriteLatencyInMicrosec = "avgWriteLatencyInMicrosec": Micros of Device;
    // Counts of objects.
    NumOfProtectionDomains = "numOfProtectionDomains": Count of System;
    NumOfStoragePools = "numOfStoragePools": Count of System;
    NumOfFaultSets = "numOfFaultSets": Count of System;
    NumOfSds = "numOfSds": Count of System;
    NumOfSdc = "numOfSdc": Count of System;
    NumOfSdr = "numOfSdr": Count of System;
    NumOfUnmappedVolumes = "numOfUnmappedVolumes": Count of System;
    NumOfMappedToAllVolumes = "numOfMappedToAllVolumes": Count of System;
    NumOfThickBaseVolumes = "numOfThickBaseVolumes": Count of System;
    NumOfThinBaseVolumes = "numOfThinBaseVolumes": Count of System;
    NumOfVolumesInDeletion = "numOfVolumesInDeletion": Count of System;
    NumOfDevices = "numOfDevices": Count of System StoragePool;
    NumOfVolumes = "numOfVolumes": Count of System StoragePool;
    NumOfSnapshots = "numOfSnapshots": Count of System StoragePool;
    NumOfVtrees = "numOfVtrees": Count of System StoragePool;
    NumOfMappedVolumes = "numOfMappedVolumes": Count of Sdc;
    NumOfMappedSdcs = "numOfMappedSdcs": Count of Volume;
    // Counters and queues.
    NumSdSdcDisconnections = "numSdSdcDisconnections": Count of System;
    NumSdsSdrDisconnections = "numSdsSdrDisconnections": Count of System;
    NumSdrSdcDisconnections = "numSdrSdcDisconnections": Count of System;
    NumSdsReconnections = "numSdsReconnections": Count of System;
    NumDevErrors = "numDevErrors": Count of System;
    NumOscillationCountersPassedThreshold = "numOscillationCountersPassedThreshold": Count of System;
    RebuildWaitSendQLength = "rebuildWaitSendQLength": Count of ProtectionDomain;
    RebalanceWaitSendQLength = "rebalanceWaitSendQLength": Count of ProtectionDomain;
    VtreeMigrationWaitSendQLength = "vtreeMigrationWaitSendQLength": Count of ProtectionDomain;
    ProtectedMaintenanceModeWaitSendQLength = "protectedMaintenanceModeWaitSendQLength": Count of ProtectionDomain;
    // Scanner, compression, cache, replication.
    BackgroundScannedInMB = "BackgroundScannedInMB": Mib of StoragePool;
    BackgroundScanReadErrorCount = "backgroundScanReadErrorCount": Count of StoragePool;
    BackgroundScanCompareErrorCount = "backgroundScanCompareErrorCount": Count of StoragePool;
    BackgroundScanFixedCompareErrorCount = "backgroundScanFixedCompareErrorCount": Count of StoragePool;
    BackgroundScanCompareCount = "BackgroundScanCompareCount": Count of StoragePool;
    BackgroundScanFixedReadErrorCount = "backgroundScanFixedReadErrorCount": Count of StoragePool Device;
    FixedReadErrorCount = "fixedReadErrorCount": Count of StoragePool Device;
    CompressionRatio = "compressionRatio": Ratio of StoragePool;
    RmcacheSizeInUseInKb = "rmcacheSizeInUseInKb": Kib of Sds;
    RplUsedJournalCap = "rplUsedJournalCap": Kib of StoragePool;
    RplTotalJournalCap = "rplTotalJournalCap": Kib of StoragePool;
    RplTransmitBwc = "rplTransmitBwc": Window of System ConsistencyGroup;
    RplReceiveBwc = "rplReceiveBwc": Window of System ConsistencyGroup;
    RplLocalApplyBwc = "rplLocalApplyBwc": Window of System ConsistencyGroup;
    LagAppliedInMillis = "lagAppliedInMillis": Millis of ConsistencyGroup;
    LagPersistentInMillis = "lagPersistentInMillis": Millis of ConsistencyGroup;
    LagReceivedInMillis = "lagReceivedInMillis": Millis of ConsistencyGroup;
    InitialCopyProgress = "initialCopyProgress": Ratio of ReplicationPair;
}

impl Stat {
    /// What is still to be rebuilt, whatever the kind of rebuild.
    pub const REBUILD_LEFT: [Self; 6] = [
        Self::PendingFwdRebuildCapacityInKb,
        Self::ActiveFwdRebuildCapacityInKb,
        Self::PendingBckRebuildCapacityInKb,
        Self::ActiveBckRebuildCapacityInKb,
        Self::PendingNormRebuildCapacityInKb,
        Self::ActiveNormRebuildCapacityInKb,
    ];

    /// What is asked of one kind of object, if its generation has it.
    pub fn wanted(kind: StatKind) -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(move |stat| stat.kinds().contains(&kind))
    }
}

/// The place of each statistic in the rows of a table. Copies of it are cheap.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns {
    stats: Arc<[Stat]>,
    places: Arc<[Option<u16>]>,
    width: usize,
}

impl Columns {
    /// Columns for these statistics, in this order.
    pub fn new(stats: impl IntoIterator<Item = Stat>) -> Self {
        let stats: Arc<[Stat]> = stats.into_iter().collect();
        let mut places = vec![None; Stat::ALL.len()];
        let mut width = 0;
        for stat in &*stats {
            places[*stat as usize] = u16::try_from(width).ok();
            width += stat.unit().width();
        }
        Self { stats, places: places.into(), width }
    }

    /// The statistics in order.
    pub fn stats(&self) -> &[Stat] {
        &self.stats
    }

    /// First column of a statistic, if the table has it.
    pub fn place(&self, stat: Stat) -> Option<usize> {
        self.places[stat as usize].map(usize::from)
    }

    /// Numbers in a row.
    pub const fn width(&self) -> usize {
        self.width
    }
}

/// The statistics of all objects of one kind, from one answer.
#[derive(Clone, Debug, PartialEq)]
pub struct StatTable {
    columns: Columns,
    ids: Vec<ObjectId>,
    values: Vec<f64>,
}

impl StatTable {
    /// Builds a table from rows in any order. Each row has the width of the
    /// columns, units already converted, `NaN` where nothing was sent. Of two
    /// rows with one id the later stays.
    pub fn new(columns: Columns, ids: Vec<ObjectId>, values: Vec<f64>) -> Self {
        debug_assert_eq!(ids.len() * columns.width(), values.len(), "a row has the width of the columns");
        if ids.is_sorted_by(|a, b| a < b) {
            return Self { columns, ids, values };
        }
        let order: BTreeMap<&ObjectId, usize> = ids.iter().enumerate().map(|(row, id)| (id, row)).collect();
        let width = columns.width();
        let sorted = order.values().flat_map(|row| &values[row * width..(row + 1) * width]).copied().collect();
        let ids = order.into_keys().cloned().collect();
        Self { columns, ids, values: sorted }
    }

    /// The columns.
    pub const fn columns(&self) -> &Columns {
        &self.columns
    }

    /// The objects that have a row, ascending.
    pub fn ids(&self) -> &[ObjectId] {
        &self.ids
    }

    /// The row of an object.
    pub fn row(&self, id: &ObjectId) -> Option<StatRow<'_>> {
        self.ids.binary_search(id).ok().map(|row| self.nth(row))
    }

    /// The only row of a table of one object, such as the system's.
    pub fn single(&self) -> Option<StatRow<'_>> {
        (self.ids.len() == 1).then(|| self.nth(0))
    }

    /// The row at a place in [`Self::ids`].
    pub fn nth(&self, row: usize) -> StatRow<'_> {
        let width = self.columns.width();
        StatRow { columns: &self.columns, values: &self.values[row * width..(row + 1) * width] }
    }
}

/// The statistics of one object.
#[derive(Clone, Copy, Debug)]
pub struct StatRow<'a> {
    columns: &'a Columns,
    values: &'a [f64],
}

impl<'a> StatRow<'a> {
    /// All numbers of the row, at the places that the columns tell; `NaN` where
    /// nothing was sent. For whoever reads one statistic of many rows.
    pub const fn values(&self) -> &'a [f64] {
        self.values
    }

    /// A plain number in base units (bytes, seconds, a count, a ratio); absent
    /// when it was not asked, not sent, or not a number.
    pub fn number(&self, stat: Stat) -> Option<f64> {
        self.columns.place(stat).map(|place| self.values[place]).filter(|value| value.is_finite())
    }

    /// An amount of data.
    pub fn bytes(&self, stat: Stat) -> Option<Bytes> {
        debug_assert!(matches!(stat.unit(), StatUnit::Kib | StatUnit::Mib), "{stat:?} is no amount of data");
        self.number(stat).map(|value| Bytes::new(value as u64))
    }

    /// Several amounts of data together; what was not sent adds nothing.
    pub fn sum(&self, stats: &[Stat]) -> Bytes {
        let told = stats.iter().filter_map(|stat| self.bytes(*stat));
        Bytes::new(told.fold(0, |sum, bytes| sum.saturating_add(bytes.get())))
    }

    /// The last window of an operation.
    pub fn window(&self, stat: Stat) -> Option<Window> {
        debug_assert_eq!(stat.unit(), StatUnit::Window, "{stat:?} is no window");
        let place = self.columns.place(stat)?;
        let window =
            Window { seconds: self.values[place], weight: self.values[place + 1], count: self.values[place + 2] };
        [window.seconds, window.weight, window.count].iter().all(|value| value.is_finite()).then_some(window)
    }
}

/// Everything that one statistics query answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    tables: BTreeMap<StatKind, StatTable>,
}

impl Statistics {
    /// From one table a kind.
    pub const fn new(tables: BTreeMap<StatKind, StatTable>) -> Self {
        Self { tables }
    }

    /// The table of a kind, if the generation has it.
    pub fn table(&self, kind: StatKind) -> Option<&StatTable> {
        self.tables.get(&kind)
    }

    /// The row of one object.
    pub fn row(&self, kind: StatKind, id: &ObjectId) -> Option<StatRow<'_>> {
        self.table(kind)?.row(id)
    }

    /// The row of the whole system.
    pub fn system(&self) -> Option<StatRow<'_>> {
        self.table(StatKind::System)?.single()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> StatTable {
        let columns = Columns::new([Stat::UserDataReadBwc, Stat::MaxCapacityInKb]);
        let ids = vec![ObjectId::from_number(9), ObjectId::from_number(3), ObjectId::from_number(9)];
        StatTable::new(columns, ids, vec![1.0, 1.0, 1.0, 1.0, 5.0, 10.0, 20.0, f64::NAN, 2.0, 2.0, 2.0, 2.0])
    }

    #[test]
    fn rows_are_found_whatever_order_they_came_in_and_the_later_of_a_pair_stays() {
        let table = table();
        assert_eq!(table.ids(), [ObjectId::from_number(3), ObjectId::from_number(9)]);
        let row = table.row(&ObjectId::from_number(9)).unwrap();
        assert_eq!(row.bytes(Stat::MaxCapacityInKb), Some(Bytes::new(2)));
        assert!(table.row(&ObjectId::from_number(4)).is_none());
    }

    #[test]
    fn what_was_not_sent_or_not_asked_is_absent() {
        let table = table();
        let row = table.row(&ObjectId::from_number(3)).unwrap();
        assert_eq!(row.bytes(Stat::MaxCapacityInKb), None);
        assert_eq!(row.number(Stat::NumOfSds), None);
        assert_eq!(row.window(Stat::UserDataReadBwc), Some(Window { seconds: 5.0, weight: 10.0, count: 20.0 }));
    }

    #[test]
    fn every_statistic_has_its_own_wire_name() {
        let mut names: Vec<&str> = Stat::ALL.iter().map(|stat| stat.wire_name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Stat::ALL.len());
    }
}
