//! Which statistics does each type have since 2.x?

use super::names::*;
use crate::sim::release::Release::{V2_0, V2_6, V3_0, V3_6};

/// See the module.
pub(super) const NAMES: &[Group] = &[
    group(
        V2_0,
        Some(V2_6),
        RFCACHE,
        "rfcacheFdAvgReadTime rfcacheFdAvgWriteTime rfcacheFdCacheOverloaded rfcacheFdInlightReads \
         rfcacheFdInlightWrites rfcacheFdIoErrors rfcacheFdMonitorErrorStuckIo rfcacheFdReadTimeGreater1Min \
         rfcacheFdReadTimeGreater1Sec rfcacheFdReadTimeGreater500Millis rfcacheFdReadTimeGreater5Sec \
         rfcacheFdReadsReceived rfcacheFdWriteTimeGreater1Min rfcacheFdWriteTimeGreater1Sec \
         rfcacheFdWriteTimeGreater500Millis rfcacheFdWriteTimeGreater5Sec rfcacheFdWritesReceived",
    ),
    group(V2_0, Some(V2_6), SDS, "maintenanceModeState"),
    group(V2_0, Some(V2_6), POOL, "BackgroundScanCompareCount fixedReadErrorCount thinCapacityAllocatedInKm"),
    group(V2_0, Some(V2_6), SYSTEM, "numOfScsiInitiators scsiInitiatorIds"),
    group(V2_0, Some(V2_6), VOLUME, "numOfMappedScsiInitiators"),
    group(
        V2_0,
        Some(V3_0),
        SYSTEM | DOMAIN | FAULT_SET | SDS | DEVICE,
        "BackgroundScanCompareCount fixedReadErrorCount",
    ),
    group(V2_0, Some(V3_6), DEVICE, "unusedCapacityInKb"),
    group(V2_0, Some(V3_6), SDS, "rfcacheFdReadTimeGreater500Millis"),
    group(V2_0, Some(V3_6), SDS | DEVICE, "thinCapacityAllocatedInKm"),
    group(
        V2_0,
        None,
        DEVICE,
        "avgReadLatencyInMicrosec avgReadSizeInBytes avgWriteLatencyInMicrosec avgWriteSizeInBytes",
    ),
    group(V2_0, None, SDC, "numOfMappedVolumes"),
    group(V2_0, None, SDC | VTREE, "volumeIds"),
    group(
        V2_0,
        None,
        SDS,
        "rfcachePoolContinuosMem rfcachePoolMaxIoSize rfcachePoolNumOfDriverTheads rfcachePoolOpmode \
         rfcachePoolPageSize rfcachePoolSuspendedIosMax",
    ),
    group(V2_0, None, SYSTEM, "numOfProtectionDomains numOfSdc protectionDomainIds sdcIds thinCapacityAllocatedInKm"),
    group(
        V2_0,
        None,
        SYSTEM | FAULT_SET | SDS,
        "rfcacheFdReadsReceived rfcacheFdWriteTimeGreater5Sec rfcachePoolWritePendingG1Sec \
         rmcache32kbEntryCount",
    ),
    group(V2_0, None, SYSTEM | DOMAIN, "numOfFaultSets numOfStoragePools"),
    group(
        V2_0,
        None,
        SYSTEM | DOMAIN | FAULT_SET,
        "numOfSds rfacheWriteHit rfcacheFdReadTimeGreater500Millis rmcacheSizeInKb",
    ),
    group(
        V2_0,
        None,
        SYSTEM | DOMAIN | FAULT_SET | SDS,
        "rebalancePerReceiveJobNetThrottlingInKbps rebalanceWaitSendQLength \
         rebuildPerReceiveJobNetThrottlingInKbps rebuildWaitSendQLength rfcacheFdAvgReadTime \
         rfcacheFdAvgWriteTime rfcacheFdCacheOverloaded rfcacheFdInlightReads rfcacheFdInlightWrites \
         rfcacheFdIoErrors rfcacheFdMonitorErrorStuckIo rfcacheFdReadTimeGreater1Min \
         rfcacheFdReadTimeGreater1Sec rfcacheFdReadTimeGreater5Sec rfcacheFdWriteTimeGreater1Min \
         rfcacheFdWriteTimeGreater500Millis rfcacheFdWritesReceived rfcachePooIosOutstanding \
         rfcachePoolCachePages rfcachePoolEvictions rfcachePoolInLowMemoryCondition \
         rfcachePoolIoTimeGreater1Min rfcachePoolLockTimeGreater1Sec \
         rfcachePoolLowResourcesInitiatedPassthroughMode rfcachePoolNumCacheDevs rfcachePoolNumSrcDevs \
         rfcachePoolPagesInuse rfcachePoolReadHit rfcachePoolReadMiss rfcachePoolReadPendingG10Millis \
         rfcachePoolReadPendingG1Millis rfcachePoolReadPendingG1Sec rfcachePoolReadPendingG500Micro \
         rfcachePoolReadsPending rfcachePoolSize rfcachePoolSuspendedPequestsRedundantSearchs \
         rfcachePoolWriteHit rfcachePoolWritePending rfcachePoolWritePendingG1Millis \
         rfcachePoolWritePendingG500Micro rmcache128kbEntryCount rmcache16kbEntryCount rmcache4kbEntryCount \
         rmcache64kbEntryCount rmcache8kbEntryCount rmcacheBigBlockEvictionCount \
         rmcacheBigBlockEvictionSizeCountInKb rmcacheCurrNumOf128kbEntries rmcacheCurrNumOf16kbEntries \
         rmcacheCurrNumOf32kbEntries rmcacheCurrNumOf4kbEntries rmcacheCurrNumOf64kbEntries \
         rmcacheCurrNumOf8kbEntries rmcacheEntryEvictionCount rmcacheEntryEvictionSizeCountInKb \
         rmcacheNoEvictionCount rmcacheSizeInUseInKb rmcacheSkipCountCacheAllBusy \
         rmcacheSkipCountUnaligned4kbIo",
    ),
    group(V2_0, None, SYSTEM | DOMAIN | SDC | VOLUME, "userDataReadBwc userDataWriteBwc"),
    group(
        V2_0,
        None,
        SYSTEM | DOMAIN | SDS,
        "rfcacheFdWriteTimeGreater1Sec rfcachePoolSourceIdMismatch rfcachePoolSuspendedIos \
         rfcachePoolWritePendingG10Millis rmcacheSkipCountLargeIo",
    ),
    group(
        V2_0,
        None,
        SYSTEM | DOMAIN | POOL,
        "activeBckRebuildCapacityInKb activeFwdRebuildCapacityInKb activeMovingCapacityInKb \
         activeNormRebuildCapacityInKb activeRebalanceCapacityInKb atRestCapacityInKb bckRebuildCapacityInKb \
         capacityAvailableForVolumeAllocationInKb degradedFailedCapacityInKb degradedHealthyCapacityInKb \
         failedCapacityInKb fwdRebuildCapacityInKb inMaintenanceCapacityInKb movingCapacityInKb \
         normRebuildCapacityInKb numOfSnapshots numOfThickBaseVolumes numOfThinBaseVolumes \
         numOfUnmappedVolumes numOfVolumesInDeletion pendingBckRebuildCapacityInKb \
         pendingFwdRebuildCapacityInKb pendingMovingCapacityInKb pendingNormRebuildCapacityInKb \
         pendingRebalanceCapacityInKb protectedCapacityInKb rebalanceCapacityInKb semiProtectedCapacityInKb \
         spareCapacityInKb",
    ),
    group(V2_0, None, SYSTEM | DOMAIN | POOL | FAULT_SET | SDS, "capacityLimitInKb maxCapacityInKb unusedCapacityInKb"),
    group(
        V2_0,
        None,
        SYSTEM | DOMAIN | POOL | FAULT_SET | SDS | DEVICE,
        "BackgroundScannedInMB activeMovingInBckRebuildJobs activeMovingInFwdRebuildJobs \
         activeMovingInNormRebuildJobs activeMovingInRebalanceJobs activeMovingOutBckRebuildJobs \
         activeMovingOutFwdRebuildJobs activeMovingOutNormRebuildJobs activeMovingRebalanceJobs \
         bckRebuildReadBwc capacityInUseInKb degradedFailedVacInKb degradedHealthyVacInKb failedVacInKb \
         fwdRebuildReadBwc fwdRebuildWriteBwc inUseVacInKb normRebuildWriteBwc pendingMovingInBckRebuildJobs \
         pendingMovingInFwdRebuildJobs pendingMovingInRebalanceJobs pendingMovingOutBckRebuildJobs \
         pendingMovingOutFwdRebuildJobs pendingMovingOutNormrebuildJobs pendingMovingRebalanceJobs \
         primaryReadBwc primaryReadFromDevBwc primaryReadFromRmcacheBwc primaryVacInKb primaryWriteBwc \
         protectedVacInKb rebalanceReadBwc rebalanceWriteBwc rfacheReadHit rfcacheAvgReadTime \
         rfcacheAvgWriteTime rfcacheIoErrors rfcacheIosOutstanding rfcacheIosSkipped rfcacheReadMiss \
         rfcacheReadsFromCache rfcacheReadsReceived rfcacheReadsSkipped \
         rfcacheReadsSkippedAlignedSizeTooLarge rfcacheReadsSkippedHeavyLoad rfcacheReadsSkippedInternalError \
         rfcacheReadsSkippedLockIos rfcacheReadsSkippedLowResources rfcacheReadsSkippedMaxIoSize \
         rfcacheReadsSkippedStuckIo rfcacheSkippedUnlinedWrite rfcacheSourceDeviceReads \
         rfcacheSourceDeviceWrites rfcacheWriteMiss rfcacheWritePending rfcacheWritesReceived \
         rfcacheWritesSkippedCacheMiss rfcacheWritesSkippedHeavyLoad rfcacheWritesSkippedInternalError \
         rfcacheWritesSkippedMaxIoSize rmPendingAllocatedInKb secondaryReadBwc secondaryReadFromRmcacheBwc \
         secondaryVacInKb secondaryWriteBwc semiProtectedVacInKb snapCapacityInUseInKb \
         snapCapacityInUseOccupiedInKb thickCapacityInUseInKb thinCapacityInUseInKb totalReadBwc \
         totalWriteBwc unreachableUnusedCapacityInKb",
    ),
    group(
        V2_0,
        None,
        SYSTEM | DOMAIN | POOL | SDS | DEVICE,
        "bckRebuildWriteBwc normRebuildReadBwc pendingMovingInNormRebuildJobs rfcacheReadsPending \
         rfcacheWritesSkippedStuckIo secondaryReadFromDevBwc",
    ),
    group(V2_0, None, SYSTEM | SDS, "numOfRfcacheDevices rfcachePoolWriteMiss"),
    group(V2_0, None, SYSTEM | POOL, "numOfMappedToAllVolumes numOfVtrees"),
    group(
        V2_0,
        None,
        SYSTEM | POOL | FAULT_SET | SDS | DEVICE,
        "inMaintenanceVacInKb rfcacheWritesSkippedLowResources",
    ),
    group(V2_0, None, SYSTEM | POOL | SDS, "numOfDevices"),
    group(V2_0, None, SYSTEM | POOL | VTREE, "numOfVolumes"),
    group(V2_0, None, VTREE, "netCapacityInUseInKb snapNetCapacityInUseInKb trimmedCapacityInKb"),
    group(
        V2_0,
        None,
        VOLUME,
        "childVolumeIds descendantVolumeIds mappedSdcIds numOfChildVolumes numOfDescendantVolumes \
         numOfMappedSdcs",
    ),
    group(V2_6, Some(V3_6), DEVICE, "rfacheWriteHit"),
    group(V2_6, None, DEVICE, "capacityLimitInKb maxCapacityInKb"),
    group(V2_6, None, POOL, "deviceIds rfacheWriteHit userDataReadBwc userDataWriteBwc volumeIds vtreeIds"),
    group(V2_6, None, SYSTEM | DOMAIN | POOL, "volumeAllocationLimitInKb"),
    group(V2_6, None, SYSTEM | DOMAIN | POOL | FAULT_SET | SDS | DEVICE, "thinCapacityAllocatedInKb"),
];
