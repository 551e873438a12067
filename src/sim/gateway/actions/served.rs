//! Which actions does a gateway serve, and since which release?
//!
//! What is not in this table is answered as unknown. The judges are held to
//! it too: each action here is called by a client that others wrote.

use crate::sim::gateway::kind::Kind;
use crate::sim::release::Release::{self, V2_0, V3_0, V3_6, V4_5};

/// What objects of a type can be told, release by release.
const SERVED: &[(Kind, Release, &[&str])] = &[
    (
        Kind::System,
        V2_0,
        &[
            "snapshotVolumes",
            "removeConsistencyGroupSnapshots",
            "enterMaintenanceMode",
            "exitMaintenanceMode",
            "startUpgrade",
            "allowCommandsDuringUpgrade",
            "finalizeUpgrade",
            "abortUpgrade",
            "approveSdc",
            "setApprovedSdcIps",
            "setRestrictedSdcMode",
            "setMdmPerformanceParameters",
            "setSystemName",
            "setCliPasswordAcceptance",
            "enableDefragmentation",
            "disableDefragmentation",
            "refreshMdmClusterCapabilities",
            "addStandbyMdm",
            "removeStandbyMdm",
            "switchClusterMode",
            "replaceClusterMdm",
            "changeMdmOwnership",
            "renameMdm",
            "setManagementIps",
            "modifyVirtualIpInterfaces",
            "modifyClusterVirtualIPs",
        ],
    ),
    (Kind::System, V3_6, &["enterProtectedMaintenanceMode", "exitProtectedMaintenanceMode"]),
    (
        Kind::ProtectionDomain,
        V2_0,
        &[
            "setProtectionDomainName",
            "activateProtectionDomain",
            "inactivateProtectionDomain",
            "removeProtectionDomain",
            "setSdsNetworkLimits",
            "enableSdsRfcache",
            "disableSdsRfcache",
            "setRfcacheParameters",
        ],
    ),
    (Kind::FaultSet, V2_0, &["setFaultSetName", "clearFaultSet", "removeFaultSet"]),
    (
        Kind::StoragePool,
        V2_0,
        &[
            "setRebuildIoPriorityPolicy",
            "setRebalanceIoPriorityPolicy",
            "setStoragePoolName",
            "removeStoragePool",
            "setSparePercentage",
            "setRebuildEnabled",
            "setRebalanceEnabled",
            "setCapacityAlertThresholds",
            "setRebuildRebalanceParallelism",
            "setZeroPaddingPolicy",
            "setUseRmcache",
            "setChecksumEnabled",
            "enableRfcache",
            "disableRfcache",
            "setExternalAccelerationType",
            "setRmcacheWriteHandlingMode",
            "enableBackgroundDeviceScanner",
            "disableBackgroundDeviceScanner",
        ],
    ),
    (
        Kind::StoragePool,
        V3_0,
        &[
            "setVTreeMigrationIoPriorityPolicy",
            "setMediaType",
            "enableFragmentation",
            "disableFragmentation",
            "modifyCompressionMethod",
        ],
    ),
    (
        Kind::StoragePool,
        V3_6,
        &[
            "setProtectedMaintenanceModeIoPriorityPolicy",
            "setReplicationJournalCapacity",
            "enablePersistentChecksum",
            "modifyPersistentChecksum",
            "disablePersistentChecksum",
        ],
    ),
    (
        Kind::Sds,
        V2_0,
        &[
            "setSdsName",
            "setSdsPort",
            "addSdsIp",
            "removeSdsIp",
            "setSdsIpRole",
            "setDrlMode",
            "setSdsPerformanceParameters",
            "setSdsRmcacheEnabled",
            "setSdsRmcacheSize",
            "enableRfcache",
            "disableRfcache",
            "activateDevices",
            "clearDevicesError",
            "removeSds",
            "abortRemoveSds",
        ],
    ),
    (
        Kind::Device,
        V2_0,
        &[
            "setDeviceName",
            "activateDevice",
            "clearDeviceError",
            "setMediaType",
            "setDeviceCapacityLimit",
            "updateDeviceOriginalPathname",
            "setDeviceLedOn",
            "setDeviceLedOff",
            "removeDevice",
            "abortRemoveDevice",
        ],
    ),
    (Kind::Sdc, V2_0, &["setSdcName", "removeSdc", "setSdcPerformanceParameters"]),
    (Kind::Host, V4_5, &["renameHost", "modifyMaxNumPaths", "modifyMaxNumSysPorts"]),
    (
        Kind::Volume,
        V2_0,
        &[
            "setVolumeName",
            "setVolumeSize",
            "addMappedSdc",
            "removeMappedSdc",
            "setMappedSdcLimits",
            "setVolumeUseRmcache",
            "removeVolume",
        ],
    ),
    (
        Kind::Volume,
        V3_0,
        &[
            "setVolumeMappingAccessMode",
            "setAllVolumeMappingsAccessMode",
            "setVolumeAccessModeLimit",
            "modifyCompressionMethod",
            "setSnapshotSecurity",
            "overwriteVolumeContent",
            "migrateVTree",
            "pauseVTreeMigration",
            "resumeVTreeMigration",
            "lockAutoSnapshot",
            "unlockAutoSnapshot",
        ],
    ),
    (Kind::Volume, V4_5, &["addMappedHost", "removeMappedHost"]),
    (
        Kind::SnapshotPolicy,
        V3_0,
        &[
            "renameSnapshotPolicy",
            "modifySnapshotPolicy",
            "pauseSnapshotPolicy",
            "resumeSnapshotPolicy",
            "addSourceVolumeToSnapshotPolicy",
            "removeSourceVolumeFromSnapshotPolicy",
            "removeSnapshotPolicy",
        ],
    ),
    (
        Kind::ReplicationConsistencyGroup,
        V3_6,
        &[
            "renameReplicationConsistencyGroup",
            "ModifyReplicationConsistencyGroupRpo",
            "removeReplicationConsistencyGroup",
            "createReplicationConsistencyGroupSnapshots",
            "setReplicationConsistencyGroupConsistent",
            "setReplicationConsistencyGroupInconsistent",
            "pauseReplicationConsistencyGroup",
            "resumeReplicationConsistencyGroup",
            "modifyReplicationConsistencyGroupTargetVolumeAccessMode",
            "freezeApplyReplicationConsistencyGroup",
            "unfreezeApplyReplicationConsistencyGroup",
            "failoverReplicationConsistencyGroup",
            "switchoverReplicationConsistencyGroup",
            "restoreReplicationConsistencyGroup",
            "reverseReplicationConsistencyGroup",
            "activateReplicationConsistencyGroup",
            "terminateReplicationConsistencyGroup",
            "syncNowReplicationConsistencyGroup",
        ],
    ),
    (Kind::AccelerationPool, V3_0, &["setAccelerationPoolName", "removeAccelerationPool"]),
    (
        Kind::PeerMdm,
        V3_6,
        &[
            "modifyPeerMdmName",
            "modifyPeerMdmIp",
            "modifyPeerMdmPort",
            "setPeerMdmPerformanceParameters",
            "removePeerMdm",
        ],
    ),
    (Kind::ReplicationPair, V3_6, &["pausePairInitialCopy", "resumePairInitialCopy", "removeReplicationPair"]),
    (Kind::Sdr, V3_6, &["enterSdrMaintenanceMode", "exitSdrMaintenanceMode"]),
    (
        Kind::Sdt,
        V4_5,
        &[
            "renameSdt",
            // Clients say the first, the vendor's description the second.
            "addIp",
            "addSdtIp",
            "removeIp",
            "modifyIpRole",
            "modifyStoragePort",
            "modifyNvmePort",
            "modifyDiscoveryPort",
            "modifyDiscoveryRole",
            "enterMaintenanceMode",
            "exitMaintenanceMode",
            "removeSdt",
        ],
    ),
];

/// Whether a release serves an action of a type.
pub(super) fn is_served(kind: Kind, action: &str, release: Release) -> bool {
    SERVED.iter().any(|(of, since, actions)| *of == kind && *since <= release && actions.contains(&action))
}

/// Type, name and first release of all actions.
pub(in crate::sim) fn served() -> impl Iterator<Item = (&'static str, &'static str, Release)> {
    let named = |(kind, since, actions): &'static (Kind, Release, &[&'static str])| {
        actions.iter().map(|action| (kind.name(), *action, *since))
    };
    SERVED.iter().flat_map(named)
}
