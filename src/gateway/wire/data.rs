//! Volumes, volume trees and snapshot policies on the wire.

use super::Text;

wire! {
    /// A volume or a snapshot.
    Volume {
        id: Text<'de> = "id",
        name: Text<'de> = "name",
        kind: Text<'de> = "volumeType",
        size_kib: Option<u64> = "sizeInKb",
        pool: Text<'de> = "storagePoolId",
        vtree: Text<'de> = "vtreeId",
        ancestor: Text<'de> = "ancestorVolumeId",
        created: Option<u64> = "creationTime",
        mapped_to_all: Option<bool> = "mappingToAllSdcsEnabled",
        mappings: Vec<Mapping<'de>> = "mappedSdcInfo" | "mappedSdcInfoList",
    } ignored {
        "accessModeLimit" "autoSnapshotGroupId" "childVolumeIds" "compressionMethod" "consistencyGroupId" "dataLayout"
        "genType" "isObfuscated" "isVvol" "links" "lockedAutoSnapshot" "lockedAutoSnapshotMarkedForRemoval"
        "managedBy" "notGenuineSnapshot" "nsid" "numOfChildVolumes" "numOfDescendantVolumes" "numOfMappedSdcs"
        "originalExpiryTime" "pairIds" "registrationKey" "registrationType" "replicationJournalVolume"
        "replicationTimeStamp" "retentionLevels" "secureSnapshotExpTime" "snplIdOfAutoSnapshot" "snplIdOfSourceVolume"
        "timeStampIsAccurate" "useRmcache" "volumeClass" "volumeReplicationState"
    }

    /// One client that a volume is mapped to.
    Mapping {
        sdc: Text<'de> = "sdcId" | "sdcid",
        limit_iops: Option<f64> = "limitIops" | "limitiops",
        limit_mib: Option<f64> = "limitBwInMbps",
        access_mode: Text<'de> = "accessMode" | "acssesMode",
    } ignored {
        "hostType" "isDirectBufferMapping" "links" "nqn" "sdcIp" "sdcName" "sdcip"
    }

    /// A volume with its snapshots.
    VTree {
        id: Text<'de> = "id",
        name: Text<'de> = "name",
        base_volume: Text<'de> = "baseVolumeId",
        pool: Text<'de> = "storagePoolId",
        migration: Option<Migration<'de>> = "vtreeMigrationInfo",
        in_deletion: Option<bool> = "inDeletion",
    } ignored {
        "a7e798d100000000" "compressionMethod" "dataLayout" "links" "numOfVolumes" "rootVolumes"
        "volumesTotalDeletionProgress" "vtreeDeletionProgress"
    }

    /// Whether a volume tree moves.
    Migration {
        status: Text<'de> = "migrationStatus",
    } ignored {
        "DestinationStoragePoolId" "MigrationQueuePosition" "destinationStoragePoolId" "links" "migrationPauseReason"
        "migrationQueuePosition" "sourceStoragePoolId" "thicknessConversionType"
    }

    /// A snapshot policy.
    SnapshotPolicy {
        id: Text<'de> = "id",
        name: Text<'de> = "name",
        state: Text<'de> = "snapshotPolicyState",
        interval_minutes: Option<f64> = "autoSnapshotCreationCadenceInMin",
        last_snapshot: Option<u64> = "timeOfLastAutoSnapshot",
        last_failure: Option<u64> = "timeOfLastAutoSnapshotCreationFailure",
        last_failure_reason: Text<'de> = "lastAutoSnapshotCreationFailureReason",
    } ignored {
        "isLastAutoSnapshotDataTimeAccurate" "lastAutoSnapshotDataTime" "lastAutoSnapshotFailureInFirstLevel" "links"
        "maxVTreeAutoSnapshots" "nextAutoSnapshotCreationTime" "numOfAutoSnapshots" "numOfCreationFailures"
        "numOfExpiredButLockedSnapshots" "numOfLockedSnapshots" "numOfRetainedSnapshotsPerLevel" "numOfSourceVolumes"
        "rcgId" "rcgName" "secureSnapshots" "snapshotAccessMode" "systemId"
    }
}
