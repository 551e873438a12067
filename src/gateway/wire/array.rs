//! System, MDM cluster, protection domain, fault set and storage pool on the wire.

use std::borrow::Cow;

use super::{Inner, Text};

wire! {
    /// The whole system.
    System {
        id: Text<'de> = "id",
        name: Text<'de> = "name",
        version: Text<'de> = "systemVersionName",
        install_id: Text<'de> = "installId",
        profile: Text<'de> = "perfProfile",
        upgrade: Text<'de> = "upgradeState",
        max_capacity_gib: Option<f64> = "maxCapacityInGb",
        days_left: Option<f64> = "capacityTimeLeftInDays",
        trial: Option<bool> = "isInitialLicense",
        restricted_sdc_mode: Text<'de> = "restrictedSdcMode",
        remote_read_only: Text<'de> = "remoteReadOnlyLimitState",
        cluster: Option<MdmCluster<'de>> = "mdmCluster",
        sdc_sds: Option<PathInfo<'de>> = "sdcSdsConnectivityInfo",
        sdr_sds: Option<PathInfo<'de>> = "sdrSdsConnectivityInfo",
        sdc_sdr: Option<PathInfo<'de>> = "sdcSdrConnectivityInfo",
        sdt_sds: Option<PathInfo<'de>> = "sdtSdsConnectivityInfo",
    } ignored {
        "Sdtids" "Swid" "addressSpaceUsage" "authenticationMethod" "capacityAlertCriticalThresholdPercent"
        "capacityAlertHighThresholdPercent" "cliPasswordAllowed" "daysInstalled" "defaultIsVolumeObfuscated"
        "defragmentationEnabled" "deviceIds" "enterpriseFeaturesEnabled" "hostGroupIds"
        "lastRealignNetPathTime" "lastUpgradeTime" "links" "managementClientSecureCommunicationEnabled"
        "mdmClusterState" "mdmExternalPort" "mdmManagementIpList" "mdmManagementPort" "mdmMode" "mdmSecurityPolicy"
        "mdmToSdsPolicy" "numDevErrors" "numDgsRebuildInProgress" "numOfDeviceGroup" "numOfDevices" "numOfDgwt"
        "numOfHostGroup" "numOfLibsdc" "numOfMappedToAllVolumes" "numOfPds" "numOfProtectionDomains"
        "numOfSnapPolicies" "numOfSnapshots" "numOfStorageNode" "numOfStoragePools" "numOfUnmappedVolumes"
        "numOfUserVolumes" "numOfVolumes" "numOfVolumesInDeletion" "numOfVtrees" "numPdsSdcDisconnections"
        "numPdsSdtDisconnections" "numSmartAttributesPassedThreshold" "numSnapshotsTaken" "primaryMdmActorIpList"
        "primaryMdmActorPort" "realignNetPathInterval" "restrictedSdcModeEnabled" "sdcIds"
        "sdcLongOperationsCounterParameters" "sdcMdmNetworkDisconnectionsCounterParameters"
        "sdcMemoryAllocationFailuresCounterParameters" "sdcSdsNetworkDisconnectionsCounterParameters"
        "sdcSocketAllocationFailuresCounterParameter" "sdcSocketAllocationFailuresCounterParameters"
        "secondaryMdmActorIpList" "secondaryMdmActorPort" "showGuid" "snapPolicyIds" "swid" "systemNqn"
        "tiebreakerMdmActorPort" "tiebreakerMdmIpList" "tlsVersion" "upgradeStartVersion"
    }

    /// The MDM cluster; releases differ in the words for its members.
    MdmCluster {
        id: Text<'de> = "id",
        name: Text<'de> = "name",
        mode: Text<'de> = "clusterMode",
        state: Text<'de> = "clusterState",
        good_nodes: Option<u64> = "goodNodesNum",
        good_replicas: Option<u64> = "goodReplicasNum",
        virtual_ips: Vec<Cow<'de, str>> = "virtualIps",
        primary: Option<MdmMember<'de>> = "master" | "primary" | "Master",
        secondaries: Vec<MdmMember<'de>> = "slaves" | "secondary" | "secondaries" | "Slave" | "worker",
        tie_breakers: Vec<MdmMember<'de>> = "tieBreakers",
        standbys: Vec<MdmMember<'de>> = "standbyMDMs",
        wrapped: Inner<MdmCluster<'de>> = "mdmCluster",
    } ignored {
        "links" "perfProfile"
    }

    /// A member of the MDM cluster.
    MdmMember {
        id: Text<'de> = "id",
        name: Text<'de> = "name",
        port: Option<u64> = "port",
        ips: Vec<Cow<'de, str>> = "ips",
        management_ips: Vec<Cow<'de, str>> = "managementIPs",
        role: Text<'de> = "role",
        status: Text<'de> = "status",
        version: Text<'de> = "versionInfo",
    } ignored {
        "actorId" "links" "opensslVersion" "virtualInterfaces" "voterId"
    }

    /// Whether the clients of a path reach its servers; three spellings are known.
    PathInfo {
        status: Text<'de> = "clientServerConnectivityStatus" | "ClientServerConnectivityStatus" | "sdcSdsConnectivityStatus" | "clientServerConnStatus",
        client_id: Text<'de> = "disconnectedClientId" | "disconnectedSdcId",
        client_name: Text<'de> = "disconnectedClientName" | "disconnectedSdcName",
        server_id: Text<'de> = "disconnectedServerId" | "disconnectedSdsId",
        server_name: Text<'de> = "disconnectedServerName" | "disconnectedSdsName",
        server_ip: Text<'de> = "disconnectedServerIp" | "disconnectedSdsIp",
    } ignored {
        "links"
    }

    /// A protection domain.
    ProtectionDomain {
        id: Text<'de> = "id",
        name: Text<'de> = "name" | "nName",
        state: Text<'de> = "protectionDomainState",
        rebuild_on: Option<bool> = "rebuildNetworkThrottlingEnabled",
        rebuild_kib: Option<u64> = "rebuildNetworkThrottlingInKbps",
        rebalance_on: Option<bool> = "rebalanceNetworkThrottlingEnabled",
        rebalance_kib: Option<u64> = "rebalanceNetworkThrottlingInKbps",
        migration_on: Option<bool> = "vtreeMigrationNetworkThrottlingEnabled",
        migration_kib: Option<u64> = "vtreeMigrationNetworkThrottlingInKbps",
        maintenance_on: Option<bool> = "protectedMaintenanceModeNetworkThrottlingEnabled" | "protectedMaintenanceModeNetworkThrottlingEabled",
        maintenance_kib: Option<u64> = "protectedMaintenanceModeNetworkThrottlingInKbps",
        overall_on: Option<bool> = "overallIoNetworkThrottlingEnabled",
        overall_kib: Option<u64> = "overallIoNetworkThrottlingInKbps",
    } ignored {
        "bandwidthLimitBgDevScanner" "bandwidthLimitDoublyImpactedRebuild" "bandwidthLimitGarbageCollector"
        "bandwidthLimitNodeNetwork" "bandwidthLimitOther" "bandwidthLimitOverallIos" "bandwidthLimitRebalance"
        "connectivityMatrixDgwtAtFaultState" "connectivityMatrixPdsAtFaultState" "connectivityMatrixShouldFailState"
        "connectivityMatrixState" "deviceGroupIds" "dgwtIds" "fglDefaultMetadataCacheSize"
        "fglDefaultNumConcurrentWrites" "fglMetadataCacheEnabled" "genType" "links"
        "mdmSdsNetworkDisconnectionsCounterParameters" "numOfDeviceGroup" "numOfDgwt" "numOfMappedToAllVolumes"
        "numOfPds" "numOfSdt" "numOfSnapshots" "numOfStorageNode" "numOfStoragePools" "numOfUnmappedVolumes"
        "numOfVolumesInDeletion" "overallConcurrentIoLimit" "pdsIds" "protectionDomainGenType"
        "replicationCapacityMaxRatio" "rfcacheAccpId" "rfcacheEnabled" "rfcacheMaxIoSizeKb" "rfcacheOpertionalMode"
        "rfcachePageSizeKb" "rplCapAlertLevel" "sdrSdsConnectivityInfo" "sdsConfigurationFailureCounterParameters"
        "sdsDecoupledCounterParameters" "sdsReceiveBufferAllocationFailuresCounterParameters"
        "sdsSdsNetworkDisconnectionsCounterParameters" "sdtIds" "sdtSdsConnectivityInfo" "storageNodeIds"
        "storagePoolIds" "systemId"
    }

    /// A fault set.
    FaultSet {
        id: Text<'de> = "id",
        name: Text<'de> = "name",
        domain: Text<'de> = "protectionDomainId",
    } ignored {
        "links" "systemId"
    }

    /// A storage pool.
    StoragePool {
        id: Text<'de> = "id",
        name: Text<'de> = "name",
        domain: Text<'de> = "protectionDomainId",
        media: Text<'de> = "mediaType",
        layout: Text<'de> = "dataLayout",
        spare_percent: Option<f64> = "sparePercentage",
        rebuild: Option<bool> = "rebuildEnabled",
        rebalance: Option<bool> = "rebalanceEnabled",
        zero_padding: Option<bool> = "zeroPaddingEnabled",
        checksum: Option<bool> = "checksumEnabled",
        usage: Text<'de> = "capacityUsageState",
        alert_high: Option<f64> = "capacityAlertHighThreshold",
        alert_critical: Option<f64> = "capacityAlertCriticalThreshold",
        rebuild_policy: Text<'de> = "rebuildIoPriorityPolicy",
        rebuild_ios: Option<u64> = "rebuildIoPriorityNumOfConcurrentIosPerDevice",
        rebuild_kbps: Option<u64> = "rebuildIoPriorityBwLimitPerDeviceInKbps",
        rebalance_policy: Text<'de> = "rebalanceIoPriorityPolicy",
        rebalance_ios: Option<u64> = "rebalanceIoPriorityNumOfConcurrentIosPerDevice",
        rebalance_kbps: Option<u64> = "rebalanceIoPriorityBwLimitPerDeviceInKbps",
        parallel_jobs: Option<u64> = "numOfParallelRebuildRebalanceJobsPerDevice",
        rmcache: Option<bool> = "useRmcache",
        rmcache_writes: Text<'de> = "rmcacheWriteHandlingMode",
        scanner: Text<'de> = "backgroundScannerMode",
        scanner_kbps: Option<u64> = "backgroundScannerBWLimitKBps",
    } ignored {
        "addressSpaceUsage" "addressSpaceUsageType" "bgScannerCompareErrorAction" "bgScannerReadErrorAction" "capacityUsageType" "compressionMethod"
        "dataIntegrityScannerCompareErrorAction" "dataIntegrityScannerReadErrorAction" "deviceGroupId"
        "externalAccelerationType" "fglAccpId" "fglExtraCapacity" "fglMaxCompressionRatio" "fglMetadataSizeX100"
        "fglNvdimmMetadataAmortizationX100" "fglNvdimmWriteCacheSizeInMb" "fglOverProvisioningFactor" "fglPerfProfile"
        "fglWriteAtomicitySize" "fragmentationEnabled" "gentype" "links" "mdEfficiency"
        "migrationIoPriorityAppBwPerDeviceThresholdInKbps" "migrationIoPriorityAppIopsPerDeviceThreshold"
        "migrationIoPriorityBwLimitPerDeviceInKbps" "migrationIoPriorityNumOfConcurrentIosPerDevice"
        "migrationIoPriorityQuietPeriodInMsec" "numDataSlices" "numOfMappedToAllVolumes"
        "numOfSnapshots" "numOfUnmappedVolumes" "numOfUserVolumes"
        "numOfVolumes" "numOfVolumesInDeletion" "numOfVtrees" "numProtectionSlices" "overProvisioningFactor"
        "overProvisioningLimit" "persistentChecksumBuilderLimitKb" "persistentChecksumEnabled"
        "persistentChecksumState" "persistentChecksumValidateOnRead" "physicalSizeGB"
        "protectedMaintenanceModeIoPriorityAppBwPerDeviceThresholdInKbps"
        "protectedMaintenanceModeIoPriorityAppIopsPerDeviceThreshold"
        "protectedMaintenanceModeIoPriorityBwLimitPerDeviceInKbps"
        "protectedMaintenanceModeIoPriorityNumOfConcurrentIosPerDevice" "protectedMaintenanceModeIoPriorityPolicy"
        "protectedMaintenanceModeIoPriorityQuietPeriodInMsec" "protectionDomainGenType" "protectionScheme"
        "raidEfficiency" "rawSizeGb" "rebalanceIoPriorityAppBwPerDeviceThresholdInKbps"
        "rebalanceIoPriorityAppIopsPerDeviceThreshold" "rebalanceIoPriorityQuietPeriodInMsec" "rebuildIoPriorityAppBwPerDeviceThresholdInKbps"
        "rebuildIoPriorityAppIopsPerDeviceThreshold" "rebuildIoPriorityQuietPeriodInMsec"
        "replicationCapacityMaxRatio" "spClass" "spHealthState" "useAllAvailableCapacity"
        "useRfcache" "vtreeMigrationIoPriorityAppBwPerDeviceThresholdInKbps"
        "vtreeMigrationIoPriorityAppIopsPerDeviceThreshold" "vtreeMigrationIoPriorityBwLimitPerDeviceInKbps"
        "vtreeMigrationIoPriorityNumOfConcurrentIosPerDevice" "vtreeMigrationIoPriorityPolicy"
        "vtreeMigrationIoPriorityQuietPeriodInMsec" "wrcDeviceGroupId" "wrcEfficiency"
    }
}
