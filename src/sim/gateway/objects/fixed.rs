//! Which fields of an object never change here, and since which release they
//! are sent. What a release sends and nobody set is null, not missing.

use crate::sim::gateway::kind::Kind;
use crate::sim::release::Release::{self, V2_0, V2_6, V3_0, V3_6, V4_5};

/// A field: its name, its value as JSON, and the releases that send it.
type Field = (&'static str, &'static str, Release, Option<Release>);

const DISCONNECTIONS: &str = r#"{"shortWindow":{"threshold":300,"windowSizeInSec":60},"mediumWindow":{"threshold":500,"windowSizeInSec":3600},"longWindow":{"threshold":700,"windowSizeInSec":86400}}"#;
const SDS_DISCONNECTIONS: &str = r#"{"shortWindow":{"threshold":800,"windowSizeInSec":60},"mediumWindow":{"threshold":4000,"windowSizeInSec":3600},"longWindow":{"threshold":20000,"windowSizeInSec":86400}}"#;
const LONG_OPERATIONS: &str = r#"{"shortWindow":{"threshold":10000,"windowSizeInSec":60},"mediumWindow":{"threshold":100000,"windowSizeInSec":3600},"longWindow":{"threshold":1000000,"windowSizeInSec":86400}}"#;
const BUFFERS: &str = r#"{"shortWindow":{"threshold":20000,"windowSizeInSec":60},"mediumWindow":{"threshold":200000,"windowSizeInSec":3600},"longWindow":{"threshold":2000000,"windowSizeInSec":86400}}"#;
const NO_WINDOWS: &str = r#"{"shortWindow":null,"mediumWindow":null,"longWindow":null}"#;
const CONNECTED: &str = r#"{"clientServerConnectivityStatus":"AllConnected","disconnectedClientId":null,"disconnectedClientName":null,"disconnectedServerId":null,"disconnectedServerName":null,"disconnectedServerIp":null}"#;
const CONNECTED_2_6: &str = r#"{"sdcSdsConnectivityStatus":"AllConnected","disconnectedSdcId":null,"disconnectedSdcName":null,"disconnectedSdsId":null,"disconnectedSdsName":null,"disconnectedSdsIp":null}"#;
const DOMAIN_CONNECTED: &str = r#"{"clientServerConnStatus":"CLIENT_SERVER_CONN_STATUS_ALL_CONNECTED","disconnectedClientId":null,"disconnectedClientName":null,"disconnectedServerId":null,"disconnectedServerName":null,"disconnectedServerIp":null}"#;

const OSCILLATIONS: &str = r#"{"shortWindow":{"threshold":10000,"windowSizeInSec":60,"lastOscillationCount":0,"lastOscillationTime":0,"maxFailuresCount":0},"mediumWindow":{"threshold":100000,"windowSizeInSec":3600,"lastOscillationCount":0,"lastOscillationTime":0,"maxFailuresCount":0},"longWindow":{"threshold":1000000,"windowSizeInSec":86400,"lastOscillationCount":0,"lastOscillationTime":0,"maxFailuresCount":0}}"#;
/// Times are written as OpenSSL prints them.
const CERTIFICATE: &str = r#"{"subject":"/GN=component/CN=simulated/O=Simulation","issuer":"/GN=MDM/CN=CA-simulated/O=Simulation","validFrom":"Oct 14 07:08:27 2025 GMT","validTo":"Oct 13 08:08:27 2035 GMT","thumbprint":"51:4D:55:4C:41:54:45:44:00:01:02:03:04:05:06:07:08:09:0A:0B","validFromAsn1Format":"251014070827Z","validToAsn1Format":"351013080827Z"}"#;

const SYSTEM: &[Field] = &[
    ("capacityAlertHighThresholdPercent", "80", V2_0, None),
    ("capacityAlertCriticalThresholdPercent", "90", V2_0, None),
    ("remoteReadOnlyLimitState", "false", V2_0, None),
    ("mdmManagementPort", "6611", V2_0, Some(V3_6)),
    ("mdmManagementPort", "8611", V4_5, None),
    ("mdmExternalPort", "7611", V3_6, None),
    ("sdcMdmNetworkDisconnectionsCounterParameters", DISCONNECTIONS, V2_0, None),
    ("sdcSdsNetworkDisconnectionsCounterParameters", SDS_DISCONNECTIONS, V2_0, None),
    ("sdcMemoryAllocationFailuresCounterParameters", DISCONNECTIONS, V2_0, None),
    ("sdcSocketAllocationFailuresCounterParameters", DISCONNECTIONS, V2_0, None),
    ("sdcLongOperationsCounterParameters", LONG_OPERATIONS, V2_0, None),
    ("cliPasswordAllowed", "true", V2_0, None),
    ("managementClientSecureCommunicationEnabled", "true", V2_0, None),
    ("tlsVersion", "\"TLSv1.2\"", V2_0, None),
    ("showGuid", "true", V2_0, None),
    ("authenticationMethod", "\"Native\"", V2_0, Some(V3_6)),
    ("authenticationMethod", "\"Mno\"", V4_5, None),
    ("mdmToSdsPolicy", "\"None\"", V2_0, Some(V3_0)),
    ("mdmSecurityPolicy", "\"None\"", V3_6, None),
    ("perfProfile", "\"Default\"", V2_0, Some(V2_6)),
    ("perfProfile", "\"HighPerformance\"", V3_0, None),
    ("daysInstalled", "73", V2_0, None),
    ("maxCapacityInGb", "\"Unlimited\"", V2_0, None),
    ("enterpriseFeaturesEnabled", "true", V2_0, None),
    ("defaultIsVolumeObfuscated", "false", V2_0, Some(V2_6)),
    ("restrictedSdcModeEnabled", "false", V2_0, None),
    ("restrictedSdcMode", "\"None\"", V2_6, None),
    ("sdcSdsConnectivityInfo", CONNECTED_2_6, V2_6, Some(V2_6)),
    ("sdcSdsConnectivityInfo", CONNECTED, V3_0, None),
    ("sdcSdrConnectivityInfo", CONNECTED, V3_6, None),
    ("sdrSdsConnectivityInfo", CONNECTED, V3_6, None),
    ("sdtSdsConnectivityInfo", CONNECTED, V4_5, None),
    ("defragmentationEnabled", "true", V3_0, None),
    ("addressSpaceUsage", "\"Normal\"", V3_0, None),
    ("lastUpgradeTime", "0", V3_0, None),
    ("upgradeStartVersion", "null", V3_6, None),
    ("swid", "\"\"", V2_0, None),
];

const DOMAIN: &[Field] = &[
    ("rebuildNetworkThrottlingEnabled", "false", V2_0, None),
    ("rebuildNetworkThrottlingInKbps", "null", V2_0, None),
    ("rebalanceNetworkThrottlingEnabled", "false", V2_0, None),
    ("rebalanceNetworkThrottlingInKbps", "null", V2_0, None),
    ("overallIoNetworkThrottlingEnabled", "false", V2_0, None),
    ("overallIoNetworkThrottlingInKbps", "null", V2_0, None),
    ("vtreeMigrationNetworkThrottlingEnabled", "false", V3_0, None),
    ("vtreeMigrationNetworkThrottlingInKbps", "null", V3_0, None),
    ("protectedMaintenanceModeNetworkThrottlingEnabled", "false", V3_6, None),
    ("protectedMaintenanceModeNetworkThrottlingInKbps", "null", V3_6, None),
    ("sdsDecoupledCounterParameters", DISCONNECTIONS, V2_0, None),
    ("sdsConfigurationFailureCounterParameters", DISCONNECTIONS, V2_0, None),
    ("mdmSdsNetworkDisconnectionsCounterParameters", DISCONNECTIONS, V2_0, None),
    ("sdsSdsNetworkDisconnectionsCounterParameters", DISCONNECTIONS, V2_0, None),
    ("sdsReceiveBufferAllocationFailuresCounterParameters", BUFFERS, V2_0, None),
    ("rfcacheEnabled", "false", V2_0, None),
    ("rfcacheOpertionalMode", "\"WriteMiss\"", V2_0, None),
    ("rfcachePageSizeKb", "64", V2_0, None),
    ("rfcacheMaxIoSizeKb", "128", V2_0, None),
    ("rfcacheAccpId", "null", V3_0, None),
    ("fglDefaultNumConcurrentWrites", "1000", V3_0, None),
    ("fglMetadataCacheEnabled", "false", V3_0, None),
    ("fglDefaultMetadataCacheSize", "0", V3_0, None),
    ("sdrSdsConnectivityInfo", DOMAIN_CONNECTED, V3_6, None),
    ("rplCapAlertLevel", "\"normal\"", V3_6, None),
    ("sdtSdsConnectivityInfo", DOMAIN_CONNECTED, V4_5, None),
];

const SDS: &[Field] = &[
    ("onVmWare", "false", V2_0, None),
    ("numOfIoBuffers", "null", V2_0, Some(V3_6)),
    ("numIoBuffers", "null", V4_5, None),
    ("drlMode", "\"Volatile\"", V2_0, None),
    ("configuredDrlMode", "\"Volatile\"", V3_0, None),
    ("rmcacheEnabled", "true", V2_0, None),
    ("rmcacheSizeInKb", "131072", V2_0, None),
    ("rmcacheFrozen", "false", V2_0, None),
    ("rmcacheMemoryAllocationState", "\"AllocationPending\"", V2_0, None),
    ("rfcacheEnabled", "false", V2_0, None),
    ("sdsDecoupled", "null", V2_0, None),
    ("sdsConfigurationFailure", "null", V2_0, None),
    ("sdsReceiveBufferAllocationFailures", "null", V2_0, None),
    ("rfcacheErrorDeviceDoesNotExist", "false", V2_0, None),
    ("rfcacheErrorLowResources", "false", V2_0, None),
    ("rfcacheErrorApiVersionMismatch", "false", V2_0, None),
    ("rfcacheErrorInconsistentCacheConfiguration", "false", V2_0, None),
    ("rfcacheErrorInconsistentSourceConfiguration", "false", V2_0, None),
    ("rfcacheErrorInvalidDriverPath", "false", V2_0, None),
    ("certificateInfo", "null", V2_0, Some(V3_0)),
    ("certificateInfo", CERTIFICATE, V3_6, None),
    ("authenticationError", "\"None\"", V2_0, None),
    ("perfProfile", "\"Default\"", V2_0, Some(V2_6)),
    ("perfProfile", "\"HighPerformance\"", V3_0, None),
    ("numRestarts", "0", V3_0, None),
    ("lastUpgradeTime", "0", V3_0, None),
    ("fglNumConcurrentWrites", "1000", V3_0, None),
    ("fglMetadataCacheState", "\"Disabled\"", V3_0, None),
    ("fglMetadataCacheSize", "0", V3_0, None),
    ("raidControllers", "null", V3_0, None),
];

const DEVICE: &[Field] = &[
    ("rfcacheErrorDeviceDoesNotExist", "false", V2_0, None),
    ("longSuccessfulIos", NO_WINDOWS, V2_0, Some(V3_6)),
    ("longSuccessfulIos", OSCILLATIONS, V4_5, None),
    ("accelerationPoolId", "null", V3_0, None),
    ("deviceType", "\"Scsi\"", V3_0, None),
    ("vendorName", "\"SIMULATED\"", V3_0, None),
    ("modelName", "\"Simulated disk\"", V3_0, None),
    ("firmwareVersion", "\"1.0\"", V3_0, None),
    ("externalAccelerationType", "\"None\"", V3_0, None),
    ("temperatureState", "\"NeverFailed\"", V3_0, None),
    ("ssdEndOfLifeState", "\"NeverFailed\"", V3_0, None),
    ("ledSetting", "\"Off\"", V3_0, None),
    ("slotNumber", "\"N/A\"", V3_0, None),
    ("raidControllerSerialNumber", "null", V3_0, None),
    ("logicalSectorSizeInBytes", "512", V3_0, None),
    ("physicalSectorSizeInBytes", "4096", V3_0, None),
    ("cacheLookAheadActive", "false", V3_0, None),
    ("writeCacheActive", "false", V3_0, None),
    ("ataSecurityActive", "false", V3_0, None),
    ("mediaFailing", "false", V3_0, None),
    ("storageProps", "null", V3_0, None),
    ("accelerationProps", "null", V3_0, None),
    ("rfcacheProps", "null", V3_0, None),
    ("fglNvdimmSizeMb", "0", V3_0, None),
    ("fglNvdimmWriteCacheState", "\"Disabled\"", V3_0, None),
    ("persistentChecksumState", "\"Protected\"", V3_6, None),
    ("logicalCapacityInKb", "0", V4_5, None),
    ("rdmaBaseDeviceName", "null", V4_5, None),
    ("rdmaBaseDeviceMaxSize", "0", V4_5, None),
    ("rdmaBaseDeviceDeletedSize", "0", V4_5, None),
];

const POOL: &[Field] = &[
    ("rebuildIoPriorityPolicy", "\"limitNumOfConcurrentIos\"", V2_0, None),
    ("rebuildIoPriorityNumOfConcurrentIosPerDevice", "1", V2_0, None),
    ("rebuildIoPriorityBwLimitPerDeviceInKbps", "10240", V2_0, None),
    ("rebuildIoPriorityAppIopsPerDeviceThreshold", "null", V2_0, None),
    ("rebuildIoPriorityAppBwPerDeviceThresholdInKbps", "null", V2_0, None),
    ("rebuildIoPriorityQuietPeriodInMsec", "null", V2_0, None),
    ("rebalanceIoPriorityPolicy", "\"favorAppIos\"", V2_0, None),
    ("rebalanceIoPriorityNumOfConcurrentIosPerDevice", "1", V2_0, None),
    ("rebalanceIoPriorityBwLimitPerDeviceInKbps", "10240", V2_0, None),
    ("rebalanceIoPriorityAppIopsPerDeviceThreshold", "null", V2_0, None),
    ("rebalanceIoPriorityAppBwPerDeviceThresholdInKbps", "null", V2_0, None),
    ("rebalanceIoPriorityQuietPeriodInMsec", "null", V2_0, None),
    ("vtreeMigrationIoPriorityPolicy", "\"favorAppIos\"", V3_0, None),
    ("protectedMaintenanceModeIoPriorityPolicy", "\"limitNumOfConcurrentIos\"", V3_6, None),
    ("protectedMaintenanceModeIoPriorityNumOfConcurrentIosPerDevice", "1", V3_6, None),
    ("protectedMaintenanceModeIoPriorityBwLimitPerDeviceInKbps", "10240", V3_6, None),
    ("protectedMaintenanceModeIoPriorityAppIopsPerDeviceThreshold", "null", V3_6, None),
    ("protectedMaintenanceModeIoPriorityAppBwPerDeviceThresholdInKbps", "null", V3_6, None),
    ("protectedMaintenanceModeIoPriorityQuietPeriodInMsec", "null", V3_6, None),
    ("numOfParallelRebuildRebalanceJobsPerDevice", "2", V2_0, None),
    ("zeroPaddingEnabled", "true", V2_0, None),
    ("useRmcache", "false", V2_0, None),
    ("rmcacheWriteHandlingMode", "\"Cached\"", V2_0, None),
    ("useRfcache", "false", V2_0, None),
    ("checksumEnabled", "false", V2_0, None),
    ("backgroundScannerMode", "\"Disabled\"", V2_0, Some(V3_0)),
    ("backgroundScannerMode", "\"DataComparison\"", V3_6, None),
    ("backgroundScannerBWLimitKBps", "0", V2_0, Some(V3_0)),
    ("backgroundScannerBWLimitKBps", "3072", V3_6, None),
    ("capacityUsageType", "\"NetCapacity\"", V3_0, None),
    ("addressSpaceUsage", "\"Normal\"", V3_0, None),
    ("addressSpaceUsageType", "\"DeviceCapacityLimit\"", V3_0, None),
    ("fragmentationEnabled", "true", V3_0, None),
    ("externalAccelerationType", "\"None\"", V3_0, None),
    ("dataLayout", "\"MediumGranularity\"", V3_0, None),
    ("compressionMethod", "\"None\"", V3_0, None),
    ("fglAccpId", "null", V3_0, None),
    ("fglMetadataSizeX100", "null", V3_0, None),
    ("fglExtraCapacity", "null", V3_0, None),
    ("fglOverProvisioningFactor", "null", V3_0, None),
    ("fglWriteAtomicitySize", "null", V3_0, None),
    ("fglNvdimmWriteCacheSizeInMb", "null", V3_0, None),
    ("fglNvdimmMetadataAmortizationX100", "null", V3_0, None),
    ("fglMaxCompressionRatio", "null", V3_0, None),
    ("fglPerfProfile", "null", V3_0, None),
    ("replicationCapacityMaxRatio", "null", V3_6, None),
    ("persistentChecksumEnabled", "true", V3_6, None),
    ("persistentChecksumState", "\"Protected\"", V3_6, None),
    ("persistentChecksumBuilderLimitKb", "3072", V3_6, None),
    ("persistentChecksumValidateOnRead", "false", V3_6, None),
    ("spClass", "\"Default\"", V4_5, None),
];

const SDC: &[Field] = &[
    ("sdcApproved", "true", V2_0, None),
    ("sdcApprovedIps", "null", V2_6, None),
    ("osType", "\"Linux\"", V2_6, None),
    ("memoryAllocationFailure", "null", V2_0, None),
    ("socketAllocationFailure", "null", V2_0, None),
    ("kernelVersion", "\"5.10.0\"", V2_6, None),
    ("kernelBuildNumber", "null", V2_6, None),
    ("perfProfile", "\"Default\"", V2_0, Some(V2_6)),
    ("perfProfile", "\"HighPerformance\"", V3_0, None),
    ("sdcType", "\"AppSdc\"", V3_6, None),
    ("sdrId", "null", V3_6, None),
    ("peerMdmId", "null", V3_6, None),
    ("hostType", "\"SdcHost\"", V4_5, None),
    ("nqn", "null", V4_5, None),
    ("maxNumPaths", "null", V4_5, None),
    ("maxNumSysPorts", "null", V4_5, None),
    ("hostOsFullType", "null", V4_5, None),
    ("sdtId", "null", V4_5, None),
    ("sdcAgentActive", "false", V4_5, None),
    ("mdmIpAddressesCurrent", "true", V4_5, None),
    ("certificateInfo", "null", V4_5, None),
];

/// A host without an SDC is listed with the fields of one, all unset.
const HOST: &[Field] = &[
    ("sdcApproved", "null", V4_5, None),
    ("sdcApprovedIps", "null", V4_5, None),
    ("osType", "null", V4_5, None),
    ("memoryAllocationFailure", "null", V4_5, None),
    ("socketAllocationFailure", "null", V4_5, None),
    ("kernelVersion", "null", V4_5, None),
    ("kernelBuildNumber", "null", V4_5, None),
    ("perfProfile", "null", V4_5, None),
    ("sdcType", "null", V4_5, None),
    ("sdrId", "null", V4_5, None),
    ("peerMdmId", "null", V4_5, None),
    ("sdtId", "null", V4_5, None),
    ("sdcAgentActive", "null", V4_5, None),
    ("mdmIpAddressesCurrent", "null", V4_5, None),
    ("mdmConnectionState", "null", V4_5, None),
    ("softwareVersionInfo", "null", V4_5, None),
    ("installedSoftwareVersionInfo", "null", V4_5, None),
    ("versionInfo", "null", V4_5, None),
    ("sdcGuid", "null", V4_5, None),
    ("sdcIp", "null", V4_5, None),
    ("sdcIps", "null", V4_5, None),
    ("hostType", "\"NVMeHost\"", V4_5, None),
    ("maxNumPaths", "4", V4_5, None),
    ("maxNumSysPorts", "10", V4_5, None),
    ("hostOsFullType", "\"Generic\"", V4_5, None),
];

const VOLUME: &[Field] = &[
    ("mappingToAllSdcsEnabled", "false", V2_0, Some(V3_6)),
    ("isObfuscated", "false", V2_0, Some(V2_6)),
    ("isVvol", "false", V2_0, Some(V2_6)),
    ("useRmcache", "false", V2_0, None),
    ("compressionMethod", "\"None\"", V3_0, Some(V3_6)),
    ("compressionMethod", "\"NotApplicable\"", V4_5, None),
    ("dataLayout", "\"MediumGranularity\"", V3_0, None),
    ("accessModeLimit", "\"ReadWrite\"", V3_0, None),
    ("notGenuineSnapshot", "false", V3_0, None),
    ("snplIdOfAutoSnapshot", "null", V3_0, None),
    ("snplIdOfSourceVolume", "null", V3_0, None),
    ("lockedAutoSnapshot", "false", V3_0, None),
    ("lockedAutoSnapshotMarkedForRemoval", "false", V3_0, None),
    ("autoSnapshotGroupId", "null", V3_0, None),
    ("originalExpiryTime", "0", V3_0, None),
    ("retentionLevels", "[]", V3_0, None),
    ("secureSnapshotExpTime", "0", V3_0, None),
    ("managedBy", "\"ScaleIO\"", V3_0, None),
    ("replicationJournalVolume", "false", V3_6, None),
    ("replicationTimeStamp", "0", V3_6, None),
    ("timeStampIsAccurate", "false", V3_6, None),
    ("pairIds", "null", V4_5, None),
    ("volumeClass", "\"defaultclass\"", V4_5, None),
];

const VTREE: &[Field] = &[
    ("name", "null", V2_0, None),
    ("compressionMethod", "\"None\"", V3_0, None),
    ("dataLayout", "\"MediumGranularity\"", V3_0, None),
    ("inDeletion", "false", V3_0, None),
];

const SDR: &[Field] = &[
    ("sdrState", "\"Normal\"", V3_6, None),
    ("membershipState", "\"Joined\"", V3_6, None),
    ("mdmConnectionState", "\"Connected\"", V3_6, None),
    ("perfProfile", "\"HighPerformance\"", V3_6, None),
    ("certificateInfo", CERTIFICATE, V3_6, None),
    ("authenticationError", "\"None\"", V3_6, None),
    ("port", "11088", V3_6, None),
];

const SDT: &[Field] = &[
    ("sdtState", "\"Normal\"", V4_5, None),
    ("membershipState", "\"Joined\"", V4_5, None),
    ("mdmConnectionState", "\"Connected\"", V4_5, None),
    ("certificateInfo", CERTIFICATE, V4_5, None),
    ("authenticationError", "\"None\"", V4_5, None),
    ("faultSetId", "null", V4_5, None),
    ("persistentDiscoveryControllersNum", "0", V4_5, None),
    ("storagePort", "12200", V4_5, None),
    ("nvmePort", "4420", V4_5, None),
    ("discoveryPort", "8009", V4_5, None),
];

const PEER: &[Field] = &[
    ("port", "7611", V3_6, None),
    ("membershipState", "\"Joined\"", V3_6, None),
    ("perfProfile", "\"HighPerformance\"", V3_6, None),
    ("networkType", "\"External\"", V3_6, None),
    ("couplingRC", "\"SUCCESS\"", V3_6, None),
];

const GROUP: &[Field] = &[
    ("replicationDirection", "\"LocalToRemote\"", V3_6, None),
    ("currConsistMode", "\"Consistent\"", V3_6, None),
    ("freezeState", "\"Unfrozen\"", V3_6, None),
    ("pauseMode", "\"None\"", V3_6, None),
    ("lifetimeState", "\"Normal\"", V3_6, None),
    ("snapCreationInProgress", "false", V3_6, None),
    ("lastSnapGroupId", "null", V3_6, None),
    ("type", "\"User\"", V3_6, None),
    ("disasterRecoveryState", "\"None\"", V3_6, None),
    ("remoteDisasterRecoveryState", "\"None\"", V3_6, None),
    ("targetVolumeAccessMode", "\"NoAccess\"", V3_6, None),
    ("failoverType", "\"None\"", V3_6, None),
    ("failoverState", "\"None\"", V3_6, None),
    ("activeLocal", "true", V3_6, None),
    ("activeRemote", "true", V3_6, None),
    ("abstractState", "\"Ok\"", V3_6, None),
    ("error", "65", V3_6, None),
    ("localActivityState", "\"Active\"", V3_6, None),
    ("remoteActivityState", "\"Active\"", V3_6, None),
    ("inactiveReason", "11", V3_6, None),
];

const PAIR: &[Field] = &[
    ("copyType", "\"OnlineCopy\"", V3_6, None),
    ("lifetimeState", "\"Normal\"", V3_6, None),
    ("initialCopyState", "\"Done\"", V3_6, None),
    ("initialCopyPriority", "-1", V3_6, None),
    ("userRequestedPauseTransmitInitCopy", "false", V3_6, None),
    ("localActivityState", "\"RplEnabled\"", V3_6, None),
    ("remoteActivityState", "\"RplEnabled\"", V3_6, None),
];

const POLICY: &[Field] = &[
    ("timeOfLastAutoSnapshotCreationFailure", "0", V3_0, None),
    ("lastAutoSnapshotCreationFailureReason", "\"NR\"", V3_0, None),
    ("lastAutoSnapshotFailureInFirstLevel", "false", V3_0, None),
    ("maxVTreeAutoSnapshots", "31", V3_0, None),
    ("numOfAutoSnapshots", "0", V3_0, None),
    ("numOfLockedSnapshots", "0", V3_0, None),
    ("numOfExpiredButLockedSnapshots", "0", V3_0, None),
    ("numOfCreationFailures", "0", V3_0, None),
    ("snapshotAccessMode", "\"ReadOnly\"", V4_5, None),
    ("secureSnapshots", "false", V4_5, None),
    ("rcgId", "null", V4_5, None),
    ("rcgName", "null", V4_5, None),
];

const SP_SDS: &[Field] = &[
    ("checksumChangelogAmortization", "0", V3_0, None),
    ("fglNvdimmWriteCacheSize", "null", V3_0, None),
    ("fglNvdimmMetadataAmortizationX100", "null", V3_0, None),
];

const REMOTE_SYSTEM: &[Field] = &[
    ("type", "\"POWERFLEX\"", V4_5, None),
    ("transport", "\"TCP\"", V4_5, None),
    ("discoveryIps", "null", V4_5, None),
    ("discoveryPort", "null", V4_5, None),
    ("bwLimitInMbps", "0", V4_5, None),
    ("numCopyTasks", "0", V4_5, None),
    ("description", "null", V4_5, None),
];

const fn fields(kind: Kind) -> &'static [Field] {
    match kind {
        Kind::System => SYSTEM,
        Kind::ProtectionDomain => DOMAIN,
        Kind::StoragePool => POOL,
        Kind::Sds => SDS,
        Kind::Device => DEVICE,
        Kind::Sdc => SDC,
        Kind::Host => HOST,
        Kind::Volume => VOLUME,
        Kind::VTree => VTREE,
        Kind::Sdr => SDR,
        Kind::Sdt => SDT,
        Kind::PeerMdm => PEER,
        Kind::ReplicationConsistencyGroup => GROUP,
        Kind::ReplicationPair => PAIR,
        Kind::SnapshotPolicy => POLICY,
        Kind::SpSds => SP_SDS,
        Kind::RemoteSystem => REMOTE_SYSTEM,
        _ => &[],
    }
}

/// The fixed fields of a type in a release: their names and values.
pub(super) fn sent(kind: Kind, release: Release) -> Vec<(&'static str, &'static str)> {
    fields(kind)
        .iter()
        .filter(|(_, _, since, until)| release >= *since && until.is_none_or(|until| release <= until))
        .map(|(name, value, _, _)| (*name, *value))
        .collect()
}
