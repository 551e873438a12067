//! The objects of a ScaleIO system, in its own words.
//!
//! A field is `Option` when a generation, or a single object, may not have it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::id::{
    AccelerationPoolId, ConsistencyGroupId, DeviceId, FaultSetId, InstalledSystemId, MdmId, PeerMdmId,
    ProtectionDomainId, ReplicationPairId, SdcId, SdrId, SdsId, SdtId, SnapshotPolicyId, StoragePoolId, VTreeId,
    VolumeId,
};
use super::state::{
    ClusterMode, ClusterState, Connection, Connectivity, Consistency, DataLayout, DeviceError, DeviceState,
    DomainState, HostType, InitialCopy, Maintenance, MdmStatus, MediaType, Membership, MigrationStatus, PolicyState,
    ReplicationState, SdsState, Seen, Severity, Smart, UpgradeState, UsageState, VolumeType,
};
use super::unit::{Bytes, Ratio, Timestamp};
use super::version::ProductVersion;

/// The whole system with its MDM cluster.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct System {
    pub id: InstalledSystemId,
    pub name: Option<Box<str>>,
    pub version: ProductVersion,
    pub install_id: Option<Box<str>>,
    pub performance_profile: Option<Box<str>>,
    pub upgrade_state: Option<Seen<UpgradeState>>,
    /// Absent when the licence has no limit.
    pub licensed_capacity: Option<Bytes>,
    /// Absent when the licence does not run out.
    pub license_days_left: Option<f64>,
    /// Whether its licence is the one that it came with, for trials. Absent when it is not told.
    pub has_trial_license: Option<bool>,
    pub connectivity: Vec<PathState>,
    pub restricted_sdc_mode: Option<Box<str>>,
    pub remote_read_only_limit: Option<Box<str>>,
    pub mdm: Option<MdmCluster>,
}

/// Whether the clients of one path reach its servers, and who does not.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct PathState {
    pub path: NetworkPath,
    pub state: Seen<Connectivity>,
    pub client: Option<Box<str>>,
    pub server: Option<Box<str>>,
}

/// Who talks to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum NetworkPath {
    SdcToSds,
    SdrToSds,
    SdcToSdr,
    SdtToSds,
}

/// The MDM cluster.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct MdmCluster {
    pub id: Option<Box<str>>,
    pub name: Option<Box<str>>,
    pub mode: Seen<ClusterMode>,
    pub state: Seen<ClusterState>,
    pub good_nodes: Option<u32>,
    pub good_replicas: Option<u32>,
    pub virtual_ips: Vec<Box<str>>,
    pub members: Vec<MdmMember>,
}

impl MdmCluster {
    /// The member that owns the cluster.
    pub fn primary(&self) -> Option<&MdmMember> {
        self.members.iter().find(|member| member.role == MdmRole::Primary)
    }
}

/// A member of the MDM cluster, or one standing by.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct MdmMember {
    pub id: MdmId,
    pub name: Option<Box<str>>,
    pub role: MdmRole,
    /// ScaleIO 2.x leaves it out for the primary, which answers and so is well.
    pub status: Option<Seen<MdmStatus>>,
    pub version: Option<ProductVersion>,
    pub ips: Vec<Box<str>>,
    pub management_ips: Vec<Box<str>>,
    pub port: Option<u16>,
}

/// What a member of the MDM cluster does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MdmRole {
    /// Owns the cluster (master).
    Primary,
    /// Keeps a replica and can take over (slave).
    Secondary,
    /// Votes only.
    TieBreaker,
    /// A manager outside the cluster that can be taken in.
    StandbyManager,
    /// A tie-breaker outside the cluster that can be taken in.
    StandbyTieBreaker,
}

/// A protection domain.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct ProtectionDomain {
    pub id: ProtectionDomainId,
    pub name: Option<Box<str>>,
    pub state: Seen<DomainState>,
    /// Limits that are switched on, in bytes per second.
    pub throttling: BTreeMap<BackgroundWork, Bytes>,
}

/// Kinds of background work that can be limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum BackgroundWork {
    Rebuild,
    Rebalance,
    VTreeMigration,
    ProtectedMaintenance,
    Overall,
}

/// A fault set.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct FaultSet {
    pub id: FaultSetId,
    pub name: Option<Box<str>>,
    pub domain: Option<ProtectionDomainId>,
}

/// A storage pool.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct StoragePool {
    pub id: StoragePoolId,
    pub name: Option<Box<str>>,
    pub domain: Option<ProtectionDomainId>,
    pub media: Option<Seen<MediaType>>,
    pub layout: Option<Seen<DataLayout>>,
    pub spare: Option<Ratio>,
    pub rebuild_enabled: Option<bool>,
    pub rebalance_enabled: Option<bool>,
    pub zero_padding: Option<bool>,
    pub checksum: Option<bool>,
    pub usage: Option<Seen<UsageState>>,
    pub capacity_alert_high: Option<Ratio>,
    pub capacity_alert_critical: Option<Ratio>,
    pub policies: PoolPolicies,
}

/// How much a pool does beside serving, as the MDM tells; in its words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct PoolPolicies {
    pub rebuild: IoPolicy,
    pub rebalance: IoPolicy,
    /// Jobs of both at once, of one device.
    pub parallel_jobs: Option<u32>,
    pub rmcache: Option<bool>,
    pub rmcache_writes: Option<Box<str>>,
    pub scanner: Option<Box<str>>,
    /// Of one device.
    pub scanner_kbps: Option<u32>,
}

/// How much of a device goes to rebuild or rebalance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct IoPolicy {
    pub policy: Option<Box<str>>,
    /// Operations at once.
    pub ios: Option<u32>,
    pub kbps: Option<u32>,
}

/// A storage data server.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Sds {
    pub id: SdsId,
    pub name: Option<Box<str>>,
    pub domain: Option<ProtectionDomainId>,
    pub fault_set: Option<FaultSetId>,
    pub addresses: Vec<SdsAddress>,
    pub port: Option<u16>,
    pub state: Seen<SdsState>,
    pub membership: Seen<Membership>,
    pub connection: Seen<Connection>,
    pub maintenance: Seen<Maintenance>,
    /// From 3.5 on. The values in instant and protected mode are not known
    /// from any capture, so the MDM's word is kept.
    pub maintenance_type: Option<Box<str>>,
    pub version: Option<ProductVersion>,
    pub drl_mode: Option<Box<str>>,
    /// Absent when the MDM reports none.
    pub authentication_error: Option<Box<str>>,
    pub restarts: Option<u64>,
    pub rmcache: Option<Bytes>,
    pub certificate_expires: Option<Timestamp>,
    pub oscillating: Vec<OscillatingCounter>,
}

impl StoragePool {
    /// One of which nothing is known but that it is there.
    pub fn unknown(id: StoragePoolId) -> Self {
        Self {
            id,
            name: None,
            domain: None,
            media: None,
            layout: None,
            spare: None,
            rebuild_enabled: None,
            rebalance_enabled: None,
            zero_padding: None,
            checksum: None,
            usage: None,
            capacity_alert_high: None,
            capacity_alert_critical: None,
            policies: PoolPolicies::default(),
        }
    }
}

#[cfg(test)]
impl System {
    /// One of which nothing is known but that it is there.
    pub(crate) fn unknown(id: InstalledSystemId) -> Self {
        Self {
            id,
            name: None,
            version: ProductVersion::read(""),
            install_id: None,
            performance_profile: None,
            upgrade_state: None,
            licensed_capacity: None,
            license_days_left: None,
            has_trial_license: None,
            connectivity: Vec::new(),
            restricted_sdc_mode: None,
            remote_read_only_limit: None,
            mdm: None,
        }
    }
}

#[cfg(test)]
impl Sds {
    /// One of which nothing is known but that it is there.
    pub(crate) fn unknown(id: SdsId) -> Self {
        let unknown = || Box::<str>::from("");
        Self {
            id,
            name: None,
            domain: None,
            fault_set: None,
            addresses: Vec::new(),
            port: None,
            state: Seen::Other(unknown()),
            membership: Seen::Other(unknown()),
            connection: Seen::Other(unknown()),
            maintenance: Seen::Other(unknown()),
            maintenance_type: None,
            version: None,
            drl_mode: None,
            authentication_error: None,
            restarts: None,
            rmcache: None,
            certificate_expires: None,
            oscillating: Vec::new(),
        }
    }
}

/// An address of an SDS and whom it serves.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct SdsAddress {
    pub ip: Box<str>,
    pub role: Option<Box<str>>,
}

/// Failures that come and go, counted by the MDM over three windows.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct OscillatingCounter {
    pub counter: FailureCounter,
    pub windows: Vec<CounterWindow>,
}

/// What an oscillating counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum FailureCounter {
    SdsDecoupled,
    SdsConfigurationFailure,
    ReceiveBufferAllocation,
    LongSuccessfulIo,
    Memory,
    Socket,
    MdmNetwork,
    SdsNetwork,
}

/// One window of an oscillating counter.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct CounterWindow {
    pub length: WindowLength,
    pub threshold: f64,
    pub count: f64,
}

/// The three windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum WindowLength {
    Short,
    Medium,
    Long,
}

/// A device of an SDS.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Device {
    pub id: DeviceId,
    pub name: Option<Box<str>>,
    pub sds: Option<SdsId>,
    pub pool: Option<StoragePoolId>,
    pub acceleration_pool: Option<AccelerationPoolId>,
    pub path: Option<Box<str>>,
    pub state: Seen<DeviceState>,
    pub error: Seen<DeviceError>,
    pub media: Option<Seen<MediaType>>,
    pub size: Option<Bytes>,
    pub vendor: Option<Box<str>>,
    pub model: Option<Box<str>>,
    pub serial: Option<Box<str>>,
    pub firmware: Option<Box<str>>,
    pub temperature: Option<Seen<Smart>>,
    pub end_of_life: Option<Seen<Smart>>,
    pub smart: Option<Seen<Smart>>,
    pub long_operations: Option<OscillatingCounter>,
}

impl Device {
    /// One of which nothing is known but that it is there.
    pub fn unknown(id: DeviceId) -> Self {
        Self {
            id,
            name: None,
            sds: None,
            pool: None,
            acceleration_pool: None,
            path: None,
            state: Seen::Other("".into()),
            error: Seen::Other("".into()),
            media: None,
            size: None,
            vendor: None,
            model: None,
            serial: None,
            firmware: None,
            temperature: None,
            end_of_life: None,
            smart: None,
            long_operations: None,
        }
    }

    /// Whether the MDM reports an error that takes the device, or its cache,
    /// out of use. A word we do not know counts as one.
    pub const fn has_failed(&self) -> bool {
        match self.error {
            Seen::Is(DeviceError::None | DeviceError::Notice | DeviceError::Info | DeviceError::Warning) => false,
            Seen::Is(DeviceError::Error | DeviceError::Acceleration | DeviceError::Unrecoverable) | Seen::Other(_) => {
                true
            }
        }
    }
}

/// A storage data client, or from 4.x on an NVMe host.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Sdc {
    pub id: SdcId,
    pub name: Option<Box<str>>,
    pub host_type: Option<Seen<HostType>>,
    pub guid: Option<Box<str>>,
    pub nqn: Option<Box<str>>,
    pub addresses: Vec<Box<str>>,
    pub approved: Option<bool>,
    /// Absent for NVMe hosts.
    pub connection: Option<Seen<Connection>>,
    pub os: Option<Box<str>>,
    pub version: Option<ProductVersion>,
    pub oscillating: Vec<OscillatingCounter>,
}

/// A volume or a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Volume {
    pub id: VolumeId,
    pub name: Option<Box<str>>,
    pub kind: Seen<VolumeType>,
    pub size: Option<Bytes>,
    pub pool: Option<StoragePoolId>,
    pub vtree: Option<VTreeId>,
    pub ancestor: Option<VolumeId>,
    pub created: Option<Timestamp>,
    pub mapped_to_all: bool,
    pub mappings: Vec<Mapping>,
}

/// One client that a volume is mapped to.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Mapping {
    pub sdc: SdcId,
    /// Absent when unlimited.
    pub limit_iops: Option<f64>,
    /// Absent when unlimited.
    pub limit_bandwidth: Option<Bytes>,
    pub access_mode: Option<Box<str>>,
}

/// A volume tree: a volume with its snapshots.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct VTree {
    pub id: VTreeId,
    pub name: Option<Box<str>>,
    pub base_volume: Option<VolumeId>,
    pub pool: Option<StoragePoolId>,
    pub migration: Option<Seen<MigrationStatus>>,
    pub in_deletion: bool,
}

/// A snapshot policy (from 3.0 on).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct SnapshotPolicy {
    pub id: SnapshotPolicyId,
    pub name: Option<Box<str>>,
    pub state: Seen<PolicyState>,
    pub interval_minutes: Option<f64>,
    pub last_snapshot: Option<Timestamp>,
    pub last_failure: Option<Timestamp>,
    pub last_failure_reason: Option<Box<str>>,
}

/// A replication consistency group (from 3.5 on).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct ConsistencyGroup {
    pub id: ConsistencyGroupId,
    pub name: Option<Box<str>>,
    pub domain: Option<ProtectionDomainId>,
    pub peer: Option<PeerMdmId>,
    pub direction: Option<Box<str>>,
    pub rpo_seconds: Option<f64>,
    pub state: Option<Seen<ReplicationState>>,
    pub consistency: Option<Seen<Consistency>>,
    pub pause_mode: Option<Box<str>>,
    pub freeze_state: Option<Box<str>>,
    pub failover_state: Option<Box<str>>,
}

/// A pair of volumes under replication.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct ReplicationPair {
    pub id: ReplicationPairId,
    pub name: Option<Box<str>>,
    pub group: Option<ConsistencyGroupId>,
    pub local_volume: Option<VolumeId>,
    pub initial_copy: Option<Seen<InitialCopy>>,
    pub lifetime_state: Option<Box<str>>,
}

/// The MDM cluster at the other end of a replication.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct PeerMdm {
    pub id: PeerMdmId,
    pub name: Option<Box<str>>,
    pub membership: Option<Seen<Membership>>,
    pub addresses: Vec<Box<str>>,
    pub version: Option<ProductVersion>,
}

/// A storage data replicator (from 3.5 on).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Sdr {
    pub id: SdrId,
    pub name: Option<Box<str>>,
    pub domain: Option<ProtectionDomainId>,
    pub membership: Option<Seen<Membership>>,
    pub connection: Option<Seen<Connection>>,
    pub maintenance: Option<Seen<Maintenance>>,
    pub addresses: Vec<Box<str>>,
    pub version: Option<ProductVersion>,
}

/// A storage data target, which serves volumes as NVMe over TCP (from 4.x on).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Sdt {
    pub id: SdtId,
    pub name: Option<Box<str>>,
    pub domain: Option<ProtectionDomainId>,
    pub fault_set: Option<FaultSetId>,
    pub membership: Option<Seen<Membership>>,
    pub connection: Option<Seen<Connection>>,
    pub maintenance: Option<Seen<Maintenance>>,
    pub addresses: Vec<Box<str>>,
    pub version: Option<ProductVersion>,
}

/// An alert that the MDM, or from 4.x on PowerFlex Manager, has raised and not cleared.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct MdmAlert {
    pub id: Box<str>,
    /// `SDS_DISCONNECTED` and the like; types we do not know pass through.
    pub name: Box<str>,
    pub severity: Seen<Severity>,
    pub description: Option<Box<str>>,
    pub repair: Option<Box<str>>,
    /// Kind of the object it is about, in the gateway's words.
    pub resource_type: Option<Box<str>>,
    pub resource_name: Option<Box<str>>,
    pub resource_id: Option<Box<str>>,
    pub started: Option<Timestamp>,
    pub last_seen: Option<Timestamp>,
    pub acknowledged: bool,
}

/// An entry of the event log (from 4.x on).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct MdmEvent {
    pub id: Box<str>,
    pub name: Box<str>,
    pub severity: Seen<Severity>,
    pub description: Option<Box<str>>,
    pub resource_type: Option<Box<str>>,
    pub resource_name: Option<Box<str>>,
    pub at: Option<Timestamp>,
}
