//! Which statistics came with 3.0 and later?

use super::names::*;
use crate::sim::release::Release::{V3_0, V3_6, V4_5};

/// See the module.
pub(super) const NAMES: &[Group] = &[
    group(V3_0, Some(V3_0), SP_SDS, "BackgroundScanCompareCount fixedReadErrorCount"),
    group(V3_0, Some(V3_0), SYSTEM | DOMAIN | FAULT_SET | SDS | DEVICE | SP_SDS, "checksumCapacityInKb"),
    group(V3_0, Some(V3_6), DEVICE, "provisionedAddressesInKb rfcacheFdInlightWrites"),
    group(V3_0, Some(V3_6), POLICY, "expiredButLockedSnapshotsIds numOfExpiredButLockedSnapshots"),
    group(
        V3_0,
        None,
        DEVICE,
        "rfcacheFdAvgReadTime rfcacheFdAvgWriteTime rfcacheFdCacheOverloaded rfcacheFdInlightReads \
         rfcacheFdIoErrors rfcacheFdMonitorErrorStuckIo rfcacheFdReadTimeGreater1Min \
         rfcacheFdReadTimeGreater1Sec rfcacheFdReadTimeGreater500Millis rfcacheFdReadTimeGreater5Sec \
         rfcacheFdReadsReceived rfcacheFdWriteTimeGreater1Min rfcacheFdWriteTimeGreater1Sec \
         rfcacheFdWriteTimeGreater500Millis rfcacheFdWriteTimeGreater5Sec rfcacheFdWritesReceived",
    ),
    group(
        V3_0,
        None,
        DEVICE | SP_SDS,
        "changelogDestageCompletionPercent checksumCalculationCompletionPercent \
         checksumMigrationCompletionPercent currentChecksumMigrationSizeInKB currentChecksumProtectedCombsNum \
         fglMigrationCompletionPercent numChangelogRecordsLeftToDestage totalChangelogRecordsToDestage \
         totalChecksumMigrationSizeInKB totalChecksumProtectedCombsNum",
    ),
    group(V3_0, None, DOMAIN | POOL | FAULT_SET | SP_SDS, "targetOtherLatency targetWriteLatency"),
    group(V3_0, None, DOMAIN | POOL | SP_SDS, "targetReadLatency"),
    group(V3_0, None, SDS, "rmcacheSizeInKb"),
    group(V3_0, None, SDS | ACCELERATION, "accelerationDeviceIds"),
    group(V3_0, None, SDS | SP_SDS, "deviceIds rfacheWriteHit"),
    group(V3_0, None, POLICY, "autoSnapshotVolIds numOfAutoSnapshots numOfSrcVols srcVolIds"),
    group(
        V3_0,
        None,
        SP_SDS,
        "BackgroundScannedInMB activeMovingInBckRebuildJobs activeMovingInFwdRebuildJobs \
         activeMovingInNormRebuildJobs activeMovingInRebalanceJobs activeMovingOutBckRebuildJobs \
         activeMovingOutFwdRebuildJobs activeMovingOutNormRebuildJobs activeMovingRebalanceJobs \
         bckRebuildReadBwc bckRebuildWriteBwc capacityInUseInKb capacityLimitInKb degradedFailedVacInKb \
         degradedHealthyVacInKb failedVacInKb fwdRebuildReadBwc fwdRebuildWriteBwc inMaintenanceVacInKb \
         inUseVacInKb maxCapacityInKb normRebuildReadBwc normRebuildWriteBwc pendingMovingInBckRebuildJobs \
         pendingMovingInFwdRebuildJobs pendingMovingInNormRebuildJobs pendingMovingInRebalanceJobs \
         pendingMovingOutBckRebuildJobs pendingMovingOutFwdRebuildJobs pendingMovingOutNormrebuildJobs \
         pendingMovingRebalanceJobs primaryReadBwc primaryReadFromDevBwc primaryReadFromRmcacheBwc \
         primaryVacInKb primaryWriteBwc protectedVacInKb rebalanceReadBwc rebalanceWriteBwc rfacheReadHit \
         rfcacheAvgReadTime rfcacheAvgWriteTime rfcacheIoErrors rfcacheIosOutstanding rfcacheIosSkipped \
         rfcacheReadMiss rfcacheReadsFromCache rfcacheReadsPending rfcacheReadsReceived rfcacheReadsSkipped \
         rfcacheReadsSkippedAlignedSizeTooLarge rfcacheReadsSkippedHeavyLoad rfcacheReadsSkippedInternalError \
         rfcacheReadsSkippedLockIos rfcacheReadsSkippedLowResources rfcacheReadsSkippedMaxIoSize \
         rfcacheReadsSkippedStuckIo rfcacheSkippedUnlinedWrite rfcacheSourceDeviceReads \
         rfcacheSourceDeviceWrites rfcacheWritePending rfcacheWritesReceived rfcacheWritesSkippedCacheMiss \
         rfcacheWritesSkippedHeavyLoad rfcacheWritesSkippedInternalError rfcacheWritesSkippedLowResources \
         rfcacheWritesSkippedMaxIoSize rfcacheWritesSkippedStuckIo rmPendingAllocatedInKb secondaryReadBwc \
         secondaryReadFromDevBwc secondaryReadFromRmcacheBwc secondaryVacInKb secondaryWriteBwc \
         semiProtectedVacInKb snapCapacityInUseInKb snapCapacityInUseOccupiedInKb thickCapacityInUseInKb \
         thinCapacityAllocatedInKb thinCapacityInUseInKb totalReadBwc totalWriteBwc \
         unreachableUnusedCapacityInKb unusedCapacityInKb",
    ),
    group(
        V3_0,
        None,
        POOL,
        "migratingVolumeIds migratingVtreeIds netThinUserDataCapacityInKb numOfIncomingVtreeMigrations \
         numOfMigratingVolumes numOfMigratingVtrees numOfOutgoingMigrations",
    ),
    group(V3_0, None, POOL | DEVICE | SP_SDS, "currentFglMigrationSizeInKb totalFglMigrationSizeInKb"),
    group(V3_0, None, POOL | SDS, "spSdsIds"),
    group(V3_0, None, POOL | SP_SDS, "exposedCapacityInKb inaccessibleCapacityInKb numOfDeviceAtFaultRebuilds"),
    group(
        V3_0,
        None,
        SYSTEM,
        "numCmatrixPolicyChanges numDevErrors numOfSnapPolicies numOfVtreeMigrationsInSystem \
         numOscillationCountersPassedThreshold numSdSdcDisconnections numSdsReconnections \
         numSmartAttributesPassedThreshold numSnapshotsTaken numVolumeMigrationsPerformed snapPolicyIds",
    ),
    group(V3_0, None, SYSTEM | DOMAIN, "numOfAccelerationPools"),
    group(
        V3_0,
        None,
        SYSTEM | DOMAIN | FAULT_SET | SDS,
        "vtreeMigrationPerReceiveJobNetThrottlingInKbps vtreeMigrationWaitSendQLength",
    ),
    group(V3_0, None, SYSTEM | DOMAIN | POOL, "overallUsageRatio tempCapacityInKb thinAndSnapshotRatio"),
    group(
        V3_0,
        None,
        SYSTEM | DOMAIN | POOL | FAULT_SET | SDS | DEVICE | SP_SDS,
        "capacityInUseNoOverheadInKb fglCompressedDataSizeInKb fglUncompressedDataSizeInKb \
         logWrittenBlocksInKb maxUserDataCapacityInKb metadataOverheadInKb mgUserDdataCcapacityInKb \
         netCapacityInUseInKb netCapacityInUseNoOverheadInKb netFglUncompressedDataSizeInKb \
         netFglUserDataCapacityInKb netMetadataOverheadInKb rmPendingThickInKb snapshotCapacityInKb \
         tempCapacityVacInKb trimmedUserDataCapacityInKb userDataCapacityNoTrimInKb volMigrationReadBwc \
         volMigrationWriteBwc",
    ),
    group(V3_0, None, SYSTEM | DOMAIN | POOL | FAULT_SET | SDS | DEVICE | VTREE, "netUserDataCapacityNoTrimInKb"),
    group(
        V3_0,
        None,
        SYSTEM | DOMAIN | POOL | FAULT_SET | SDS | DEVICE | VTREE | SP_SDS,
        "compressedDataCompressionRatio compressionRatio netFglSparesInKb netMaxUserDataCapacityInKb \
         netProvisionedAddressesInKb netSnapshotCapacityInKb netTrimmedUserDataCapacityInKb \
         netUnusedCapacityInKb netUserDataCapacityInKb",
    ),
    group(V3_0, None, SYSTEM | DOMAIN | POOL | FAULT_SET | SDS | SP_SDS, "provisionedAddressesInKb"),
    group(
        V3_0,
        None,
        SYSTEM | DOMAIN | POOL | SDC | VOLUME,
        "userDataSdcReadLatency userDataSdcTrimLatency userDataSdcWriteLatency userDataTrimBwc",
    ),
    group(V3_0, None, SYSTEM | DOMAIN | POOL | SDS | DEVICE | SP_SDS, "fglSparesInKb fglUserDataCapacityInKb"),
    group(V3_0, None, SYSTEM | DOMAIN | POOL | VTREE, "volumeAddressSpaceInKb vtreeAddresSpaceInKb"),
    group(V3_0, None, SYSTEM | POOL | FAULT_SET | SDS | DEVICE | SP_SDS, "userDataCapacityInKb"),
    group(V3_0, None, SYSTEM | POOL | FAULT_SET | SDS | DEVICE | VTREE | SP_SDS, "netMgUserDataCapacityInKb"),
    group(V3_0, None, SYSTEM | POOL | SDS | DEVICE | SP_SDS, "netFglCompressedDataSizeInKb"),
    group(
        V3_0,
        None,
        VTREE,
        "actualNetCapacityInUseInKb volumesInDeletion volumesTotalDeletionProgress vtreeDeletionProgress \
         vtreeMigrationProgress",
    ),
    group(V3_0, None, VOLUME, "initiatorSdcId registrationKey registrationKeys reservationType"),
    group(V3_6, Some(V3_6), GROUP, "freezeTransmit isInSlimMode rcgRemoteReadBwc rplSasBarriersBacklogSize"),
    group(
        V3_6,
        None,
        PEER,
        "numOfRplCgs numSdrSdrDisconnections rplCgIds rplProtectedCapacityDest rplProtectedCapacitySrc",
    ),
    group(V3_6, None, DOMAIN | PEER, "rcgRemoteReadBwc"),
    group(
        V3_6,
        None,
        DOMAIN | PEER | GROUP,
        "numOfRplPairs rcgLocalReadBwc rcgLocalWriteBwc rcgRemoteWriteBwc rplApplyLatency rplCgRpoCompliance \
         rplLocalApplyBwc rplLocalUserBwc rplReceiveBwc rplReceiveLatency rplRemoteApplyBwc rplRemoteUserBwc \
         rplTransmitBwc rplTransmitLatency",
    ),
    group(V3_6, None, DOMAIN | PEER | GROUP | PAIR, "initialCopyProgress"),
    group(V3_6, None, DOMAIN | GROUP, "rplUsedJournalCapacityDst"),
    group(
        V3_6,
        None,
        DOMAIN | POOL,
        "activeEnterProtectedMaintenanceModeCapacityInKb activeExitProtectedMaintenanceModeCapacityInKb \
         enterProtectedMaintenanceModeCapacityInKb numOfMarkedVolumesForReplication \
         numOfReplicationJournalVolumes pendingEnterProtectedMaintenanceModeCapacityInKb \
         pendingExitProtectedMaintenanceModeCapacityInKb",
    ),
    group(
        V3_6,
        None,
        DOMAIN | POOL | FAULT_SET | SP_SDS,
        "activeMovingInEnterProtectedMaintenanceModeJobs activeMovingInExitProtectedMaintenanceModeJobs \
         enterProtectedMaintenanceModeReadBwc enterProtectedMaintenanceModeWriteBwc \
         exitProtectedMaintenanceModeReadBwc exitProtectedMaintenanceModeWriteBwc \
         pendingMovingInEnterProtectedMaintenanceModeJobs pendingMovingInExitProtectedMaintenanceModeJobs \
         pendingMovingOutEnterProtectedMaintenanceModeJobs",
    ),
    group(
        V3_6,
        None,
        DOMAIN | POOL | SP_SDS,
        "activeMovingOutEnterProtectedMaintenanceModeJobs activeMovingOutExitProtectedMaintenanceModeJobs \
         pendingMovingOutExitProtectedMaintenanceModeJobs",
    ),
    group(V3_6, None, DOMAIN | POOL | VOLUME | SDR, "rplTotalJournalCap rplUsedJournalCap"),
    group(
        V3_6,
        None,
        GROUP,
        "initialCopyApply initialCopyNumPairs initialCopyTransmit lagAppliedInMillis lagAppliedSkew \
         lagPersistentInMillis lagPersistentSkew lagReceivedInMillis lagReceivedSkew lastAppliedBarrierId \
         lastCompletedPeriodicBarrier lastCradBarrierId lastCsadBarrierId lastRadBarrierId lastSadBarrierId \
         nextPlannedCycle notReadyForApply notReadyForTransmit readyForApply readyForTransmit rplPairIds",
    ),
    group(
        V3_6,
        None,
        SDR,
        "journalCapacityMode journalerReadBwc journalerReadLatency journalerWriteBwc journalerWriteLatency \
         numActiveSessions numNeedNewOwnerSessions numRecoverySessions",
    ),
    group(V3_6, None, POOL, "rplJournalCapAllowed"),
    group(V3_6, None, POOL | DEVICE | SP_SDS, "persistentChecksumBuilderProgress"),
    group(V3_6, None, SYSTEM, "netThinUserDataCapacityInKb"),
    group(V3_6, None, SYSTEM | DOMAIN | POOL, "aggregateCompressionLevel"),
    group(
        V3_6,
        None,
        SYSTEM | POOL,
        "backgroundScanCompareErrorCount backgroundScanFixedCompareErrorCount \
         backgroundScanFixedReadErrorCount backgroundScanReadErrorCount persistentChecksumCapacityInKb \
         thinUserDataCapacityInKb",
    ),
    group(V3_6, None, VOLUME | VTREE, "replicationJournalVolume replicationState"),
    group(V4_5, None, DEVICE, "exposedCapacityInKb inaccessibleCapacityInKb numOfDeviceAtFaultRebuilds"),
    group(
        V4_5,
        None,
        DOMAIN,
        "accelerationPoolIds faultSetIds numOfVtreeMigrationsInPd replicationJournalCapacityLevel \
         rplCapacityAlertLevel rplCgIds storagePoolIds",
    ),
    group(V4_5, None, DOMAIN | FAULT_SET, "sdsIds"),
    group(V4_5, None, GROUP, "isInAutomaticPause isInAutomaticSlimMode sasBarriersBacklogSize"),
    group(V4_5, None, SDS, "rfcacheDeviceIds"),
    group(V4_5, None, SDT, "capacityLimitInKb"),
    group(V4_5, None, POLICY, "expiredButLockedSnapshotIds numOfExpiredButLockedSnapshot"),
    group(V4_5, None, SP_SDS, "NetUserDataCapacityNoTrimInKb"),
    group(
        V4_5,
        None,
        POOL,
        "ActualNetCapacityInUseInKb NetThinUserDataCapacityInKb TrimmedCapacityInKb VTreeAddressSpaceInKB \
         changelogDestageCompletionPercent checksumCalculationCompletionPercent \
         checksumMigrationCompletionPercent currentChecksumMigrationSizeInKB currentChecksumProtectedCombsNum \
         fglMigrationCompletionPercent numChangelogRecordsLeftToDestage thinCapacityAllocatedInKm \
         totalChangelogRecordsToDestage totalChecksumMigrationSizeInKB totalChecksumProtectedCombsNum \
         totalMetaDataFullness",
    ),
    group(V4_5, None, POOL | DEVICE | SP_SDS, "numOfFixableFaults"),
    group(
        V4_5,
        None,
        SYSTEM,
        "activeEnterProtectedMaintenanceModeCapacityInKb activeExitProtectedMaintenanceModeCapacityInKb \
         crashPointConfigIds enterProtectedMaintenanceModeCapacityInKb initialCopyProgress libsdcIds \
         movePairsIds numOfCrashPointConfigs numOfLibsdc numOfMarkedVolumesForReplication numOfPeerMdm \
         numOfReplicationJournalVolumes numOfRplPairs numOfSdt numSdrSdcDisconnections \
         numSdsSdrDisconnections peerMdmIds pendingEnterProtectedMaintenanceModeCapacityInKb \
         pendingExitProtectedMaintenanceModeCapacityInKb rcgLocalReadBwc rcgLocalWriteBwc rcgRemoteReadBwc \
         rcgRemoteWriteBwc rplApplyLatency rplCgRpoCompliance rplJournalCapAllowed rplLocalApplyBwc \
         rplLocalUserBwc rplMdmSdrSessionCapacityHighWatermarkMb rplMdmSdrSessionCapacityLowWatermarkMb \
         rplProtectedCapacityDest rplProtectedCapacitySrc rplReceiveBwc rplReceiveLatency rplRemoteApplyBwc \
         rplRemoteUserBwc rplTopPerformingRcgs rplTotalJournalCap rplTransmitBwc rplTransmitLatency \
         rplUsedJournalCap sdtIds spSdsIds",
    ),
    group(
        V4_5,
        None,
        SYSTEM | DOMAIN,
        "currentTickerValue journalerReadBwc journalerReadLatency journalerWriteBwc journalerWriteLatency \
         numOfRplCgs numOfSdr numRpoViolatingRplCgsDest numRpoViolatingRplCgsSrc sdrIds",
    ),
    group(
        V4_5,
        None,
        SYSTEM | DOMAIN | FAULT_SET | SDS,
        "fglMetadataCacheHitrate protectedMaintenanceModePerReceiveJobNetThrottlingInKbps \
         protectedMaintenanceModeWaitSendQLength",
    ),
    group(V4_5, None, SYSTEM | DOMAIN | POOL, "exitProtectedMaintenanceModeCapacityInKb"),
    group(V4_5, None, SYSTEM | DOMAIN | POOL | FAULT_SET | SDS | DEVICE | SP_SDS, "checksumCapacityInKb"),
    group(
        V4_5,
        None,
        SYSTEM | SDS | DEVICE,
        "activeMovingInEnterProtectedMaintenanceModeJobs activeMovingInExitProtectedMaintenanceModeJobs \
         activeMovingOutEnterProtectedMaintenanceModeJobs activeMovingOutExitProtectedMaintenanceModeJobs \
         enterProtectedMaintenanceModeReadBwc enterProtectedMaintenanceModeWriteBwc \
         exitProtectedMaintenanceModeReadBwc exitProtectedMaintenanceModeWriteBwc \
         pendingMovingInEnterProtectedMaintenanceModeJobs pendingMovingInExitProtectedMaintenanceModeJobs \
         pendingMovingOutEnterProtectedMaintenanceModeJobs pendingMovingOutExitProtectedMaintenanceModeJobs \
         targetOtherLatency targetReadLatency targetWriteLatency",
    ),
    group(
        V4_5,
        None,
        SYSTEM | SDT,
        "sdtDataReadBwc sdtDataReadLatency sdtDataTrimBwc sdtDataTrimLatency sdtDataWriteBwc \
         sdtDataWriteLatency sdtHostReadLatency sdtHostTrimLatency sdtHostWriteLatency",
    ),
    group(V4_5, None, SYSTEM | POOL, "totalVolumeAllocationLimitInKb"),
];
