//! Replication on the wire.

use super::Text;
use super::nodes::Address;

wire! {
    /// A replication consistency group.
    ConsistencyGroup {
        id: Text<'de> = "id",
        name: Text<'de> = "name",
        domain: Text<'de> = "protectionDomainId",
        peer: Text<'de> = "peerMdmId",
        direction: Text<'de> = "replicationDirection",
        rpo_seconds: Option<f64> = "rpoInSeconds",
        state: Text<'de> = "abstractState",
        consistency: Text<'de> = "currConsistMode",
        pause_mode: Text<'de> = "pauseMode",
        freeze_state: Text<'de> = "freezeState",
        failover_state: Text<'de> = "failoverState",
    } ignored {
        "activeLocal" "activeRemote" "disasterRecoveryState" "error" "failoverType" "inactiveReason"
        "lastSnapCreationRc" "lastSnapGroupId" "lifetimeState" "links" "localActivityState" "remoteActivityState"
        "remoteDisasterRecoveryState" "remoteId" "remoteMdmId" "remoteProtectionDomainId" "snapCreationInProgress"
        "targetVolumeAccessMode" "type"
    }

    /// A pair of volumes under replication.
    Pair {
        id: Text<'de> = "id",
        name: Text<'de> = "name",
        group: Text<'de> = "replicationConsistencyGroupId",
        local_volume: Text<'de> = "localVolumeId",
        initial_copy: Text<'de> = "initialCopyState",
        lifetime_state: Text<'de> = "lifetimeState",
    } ignored {
        "(allowMultiMap)" "(allowMultipleMappings)" "(compressionMethod)" "(destinationSdcGuid)" "(destinationSdcId)"
        "(destinationStoragePoolId)" "(directBufferMapping)" "(forceAsync)" "(informSdc)" "(useRmcache)"
        "(volumeAccessMode)" "(volumeType)" "allowMultiMap" "allowMultipleMappings" "compressionMethod" "copyType"
        "destinationSdcGuid" "destinationSdcId" "destinationStoragePoolId" "directBufferMapping" "forceAsync"
        "informSdc" "initialCopyPriority" "links" "localActivityState" "peerSystemName" "remoteActivityState"
        "remoteCapacityInMB" "remoteId" "remoteVolumeId" "remoteVolumeName" "useRmcache"
        "userRequestedPauseTransmitInitCopy" "volumeAccessMode" "volumeType"
    }

    /// The MDM cluster at the other end.
    Peer {
        id: Text<'de> = "id",
        name: Text<'de> = "name",
        membership: Text<'de> = "membershipState",
        addresses: Vec<Address<'de>> = "ipList",
        version: Text<'de> = "softwareVersionInfo",
    } ignored {
        "couplingRC" "links" "networkType" "peerSystemId" "perfProfile" "port" "systemId"
    }
}
