//! Whatever runs on a node, and devices, on the wire.

use std::borrow::Cow;

use super::Text;

wire! {
    /// A storage data server.
    Sds {
        id: Text<'de> = "id",
        name: Text<'de> = "name",
        domain: Text<'de> = "protectionDomainId",
        fault_set: Text<'de> = "faultSetId",
        addresses: Vec<Address<'de>> = "ipList",
        port: Option<u64> = "port",
        state: Text<'de> = "sdsState",
        membership: Text<'de> = "membershipState",
        connection: Text<'de> = "mdmConnectionState",
        maintenance: Text<'de> = "maintenanceState",
        maintenance_type: Text<'de> = "maintenanceType",
        version: Text<'de> = "softwareVersionInfo",
        drl_mode: Text<'de> = "drlMode",
        authentication_error: Text<'de> = "authenticationError",
        restarts: Option<u64> = "numRestarts",
        rmcache_on: Option<bool> = "rmcacheEnabled",
        rmcache_kib: Option<u64> = "rmcacheSizeInKb",
        certificate: Option<Certificate<'de>> = "certificateInfo",
        decoupled: Option<Oscillating<'de>> = "sdsDecoupled",
        configuration: Option<Oscillating<'de>> = "sdsConfigurationFailure",
        receive_buffer: Option<Oscillating<'de>> = "sdsReceiveBufferAllocationFailures",
    } ignored {
        "RmcacheMemoryAllocationState" "configuredDrlMode" "fglMetadataCacheSize" "fglMetadataCacheState"
        "fglNumConcurrentWrites" "lastUpgradeTime" "links" "numIoBuffers" "numOfIoBuffers" "onVmWare" "perfProfile"
        "protectionDomainName" "raidControllers" "raid_controllers" "rfcacheEnabled" "rfcacheErrorApiVersionMismatch"
        "rfcacheErrorDeviceDoesNotExist" "rfcacheErrorInconsistentCacheConfiguration"
        "rfcacheErrorInconsistentSourceConfiguration" "rfcacheErrorInvalidDriverPath" "rfcacheErrorLowResources"
        "rmcacheFrozen" "rmcacheMemoryAllocationState" "systemId"
    }

    /// An address and whom it serves.
    Address {
        ip: Text<'de> = "ip",
        role: Text<'de> = "role" | "sdrIpRole",
    } ignored {
        "links"
    }

    /// The certificate of a component.
    Certificate {
        valid_to: Text<'de> = "validTo",
    } ignored {
        "issuer" "links" "subject" "thumbprint" "validFrom" "validFromAsn1Format" "validToAsn1Format"
    }

    /// A counter over three windows.
    Oscillating {
        short: Option<OscillatingWindow<'de>> = "shortWindow",
        medium: Option<OscillatingWindow<'de>> = "mediumWindow",
        long: Option<OscillatingWindow<'de>> = "longWindow",
    } ignored {
        "links"
    }

    /// One window of such a counter.
    OscillatingWindow {
        threshold: Option<f64> = "threshold",
        count: Option<f64> = "lastOscillationCount",
    } ignored {
        "lastOscillationTime" "links" "maxFailuresCount" "maxFailuresTime" "windowSizeInSec"
    }

    /// A device of an SDS.
    Device {
        id: Text<'de> = "id",
        name: Text<'de> = "name",
        sds: Text<'de> = "sdsId",
        pool: Text<'de> = "storagePoolId",
        acceleration_pool: Text<'de> = "accelerationPoolId",
        path: Text<'de> = "deviceCurrentPathName" | "deviceCurrentPathname",
        state: Text<'de> = "deviceState",
        error: Text<'de> = "errorState",
        media: Text<'de> = "mediaType",
        max_kib: Option<u64> = "maxCapacityInKb",
        vendor: Text<'de> = "vendorName",
        model: Text<'de> = "modelName",
        serial: Text<'de> = "serialNumber",
        firmware: Text<'de> = "firmwareVersion",
        temperature: Text<'de> = "temperatureState",
        end_of_life: Text<'de> = "ssdEndOfLifeState",
        smart: Text<'de> = "aggregatedState",
        long_operations: Option<Oscillating<'de>> = "longSuccessfulIos",
    } ignored {
        "AccelerationPoolId" "accelerationProps" "ataSecurityActive" "autoDetectMediaType" "cacheLookAheadActive"
        "capacity" "capacityInMb" "capacityLimitInKb" "deviceGroupid" "deviceOriginalPathName"
        "deviceOriginalPathname" "deviceType" "externalAccelerationType" "fglNvdimmMetadataAmortizationX100"
        "fglNvdimmSizeMb" "fglNvdimmWriteCacheSize" "fglNvdimmWriteCacheState" "ledSetting" "links"
        "logicalCapacityInKb" "logicalSectorSizeInBytes" "mediaFailing" "persistentChecksumState"
        "physicalSectorSizeInBytes" "raidControllerSerialNumber" "rdmaBaseDeviceDeletedSize" "rdmaBaseDeviceMaxSize"
        "rdmaBaseDeviceName" "rfcacheErrorDeviceDoesNotExist" "rfcacheProps" "slotNumber" "spSdsId" "spSdsIp"
        "storageNodeID" "storageProps" "updateConfiguration" "usableCapacityInMb" "writeCacheActive"
    }

    /// A storage data client or an NVMe host.
    Sdc {
        id: Text<'de> = "id",
        name: Text<'de> = "name",
        host_type: Text<'de> = "hostType",
        guid: Text<'de> = "sdcGuid",
        nqn: Text<'de> = "nqn",
        ip: Text<'de> = "sdcIp",
        ips: Vec<Cow<'de, str>> = "sdcIps",
        approved: Option<bool> = "sdcApproved",
        connection: Text<'de> = "mdmConnectionState",
        os: Text<'de> = "osType",
        version: Text<'de> = "softwareVersionInfo",
        installed_version: Text<'de> = "installedSoftwareVersionInfo",
        version_info: Text<'de> = "versionInfo",
        memory: Option<Oscillating<'de>> = "memoryAllocationFailure",
        socket: Option<Oscillating<'de>> = "socketAllocationFailure",
    } ignored {
        "cantConnectToSomeSdss" "certificateInfo" "hostOsFullType" "kernelBuildNumber" "kernelVersion" "links"
        "maxNumPaths" "maxNumSysPorts" "mdmIpAddressesCurrent" "onVmWare" "peerMdmId" "perfProfile" "sdcAgentActive"
        "sdcApprovedIps" "sdcDefaultInitiatorConnectivityState" "sdcType" "sdrId" "sdtId" "systemID" "systemId"
    }

    /// A storage data replicator.
    Sdr {
        id: Text<'de> = "id",
        name: Text<'de> = "name",
        domain: Text<'de> = "protectionDomainId",
        addresses: Vec<Address<'de>> = "ipList",
        membership: Text<'de> = "membershipState",
        connection: Text<'de> = "mdmConnectionState",
        maintenance: Text<'de> = "maintenanceState",
        version: Text<'de> = "softwareVersionInfo",
    } ignored {
        "authenticationError" "certificateInfo" "links" "perfProfile" "port" "sdrState" "systemId"
    }

    /// A storage data target.
    Sdt {
        id: Text<'de> = "id",
        name: Text<'de> = "name",
        domain: Text<'de> = "protectionDomainId",
        fault_set: Text<'de> = "faultSetId",
        addresses: Vec<Address<'de>> = "ipList",
        membership: Text<'de> = "membershipState",
        connection: Text<'de> = "mdmConnectionState",
        maintenance: Text<'de> = "maintenanceState",
        version: Text<'de> = "softwareVersionInfo",
    } ignored {
        "authenticationError" "certificateInfo" "discoveryPort" "links" "nvmePort" "persistentDiscoveryControllersNum"
        "sdtState" "storagePort" "systemId"
    }
}
