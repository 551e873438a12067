//! What exists in a simulated system: plain objects, joined by their ids.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::figures::{DeviceFigures, PoolFigures};
use super::load::{Profile, Traffic};
pub use super::setting::{Setting, Settings};

/// The id of an object: sixteen hex digits on the wire. The low half counts up
/// per type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub u64);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What the system says of itself and does not change by itself.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct System {
    pub id: Id,
    pub name: String,
    pub install_id: Id,
    /// What `systemVersionName` answers.
    pub version_name: String,
    /// Somebody has given it a licence in the place of the trial.
    pub is_licensed: bool,
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
/// A protection domain.
pub struct Domain {
    pub id: Id,
    pub name: String,
    pub state: DomainState,
}

/// Whether a domain serves its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DomainState {
    /// It does.
    Active,
    /// It will, from this moment on.
    ActivePending(Duration),
    /// It stops, at this moment.
    InactivePending(Duration),
    /// It does not.
    Inactive,
}

/// A fault set: a rack whose nodes may fail together.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct FaultSet {
    pub id: Id,
    pub name: String,
    pub domain: Id,
}

/// Something that was found out and can be found out again: no part of the truth, and not shown with it.
#[derive(Clone, Copy, Default)]
pub(super) struct Memo<T>(pub(super) T);

impl<T> fmt::Debug for Memo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("_")
    }
}

/// A storage pool.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Pool {
    pub id: Id,
    pub name: String,
    pub domain: Id,
    pub ssd: bool,
    pub spare_percent: u64,
    pub rebuild_enabled: bool,
    pub rebalance_enabled: bool,
    /// Use in percent from which the pool alerts.
    pub high_percent: u64,
    pub critical_percent: u64,
    /// Copies whose device was taken out before they were rebuilt, by fault unit.
    pub homeless: BTreeMap<Id, u64>,
    /// Whether data is being evened out; starts late and ends early, so that it does not flap.
    pub balancing: bool,
    /// How long a rebuild has not come forward.
    pub stuck_for: Duration,
    /// What the last step left.
    pub figures: PoolFigures,
    /// Whether that step changed nothing, and nothing was drawn up since.
    pub(super) settled: Memo<bool>,
    /// User I/O in the last window.
    pub traffic: Traffic,
}

/// Whether an SDS takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// Its devices serve.
    Joined,
    /// It came back and is being let in, until this moment.
    JoinPending(Duration),
    /// It is away since this moment.
    Decoupled(Duration),
}

/// Maintenance of an SDS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maintenance {
    /// Not in maintenance.
    None,
    /// Asked for, not yet reached.
    Entering,
    /// Its data is frozen and nothing is rebuilt elsewhere.
    In,
    /// Leaving. In protected mode changes made meanwhile are copied back
    /// first; in instant mode that is a rebuild afterwards.
    Exiting,
}

/// How the data of an SDS in maintenance is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One copy is left.
    Instant,
    /// A third copy is made first (3.5 and later).
    Protected,
}

/// An address of an SDS, SDR or SDT, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Address {
    pub ip: String,
    pub role: String,
}

/// A storage data server.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Sds {
    pub id: Id,
    pub name: String,
    pub domain: Id,
    pub fault_set: Option<Id>,
    pub ips: Vec<Address>,
    pub port: u16,
    pub membership: Membership,
    pub maintenance: Maintenance,
    pub mode: Mode,
    /// When the present change of maintenance is done at the earliest.
    pub maintenance_at: Duration,
    /// Whether its data moves away so that it can be removed.
    pub removing: bool,
    pub version: String,
}

impl Sds {
    /// Whether the MDM reaches it.
    pub fn connected(&self) -> bool {
        !matches!(self.membership, Membership::Decoupled(_))
    }

    /// Whether its devices serve.
    pub fn serves(&self) -> bool {
        self.membership == Membership::Joined && self.maintenance != Maintenance::In
    }

    /// What fails together with it.
    pub fn fault_unit(&self) -> Id {
        self.fault_set.unwrap_or(self.id)
    }
}

/// A device of an SDS.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Device {
    pub id: Id,
    pub name: String,
    pub sds: Id,
    pub pool: Id,
    pub path: String,
    pub serial: String,
    pub ssd: bool,
    pub capacity_kb: u64,
    /// Copies placed here, also while it is away and they are not yet rebuilt elsewhere.
    pub used_kb: u64,
    /// Of those, copies that missed writes.
    pub stale_kb: u64,
    /// Of those, copies that another device holds for the time of protected maintenance.
    pub covered_kb: u64,
    /// What is held here for others for that time.
    pub temp_kb: u64,
    /// Whether the MDM holds it to be in error.
    pub failed: bool,
    /// Whether it cannot work, whatever the MDM thinks.
    pub broken: bool,
    pub state: DeviceState,
    pub figures: DeviceFigures,
}

impl Device {
    /// What all devices of its SDS in its pool have in common (3.0 and later).
    pub const fn sp_sds(&self) -> Id {
        Id((0x2d13 << 48) | ((self.pool.0 & 0xffff) << 32) | (self.sds.0 & 0xffff_ffff))
    }

    /// What it adds to its pool.
    pub const fn active_kb(&self) -> u64 {
        if self.state.active() { self.capacity_kb } else { 0 }
    }
}

/// What a device is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceState {
    /// Data.
    Normal,
    /// It is tested until this moment, and then takes data if so wished.
    Testing(Duration, bool),
    /// It is tested and waits to be activated.
    Tested,
    /// Its data moves away so that it can be removed.
    Removing,
}

impl DeviceState {
    /// Whether it belongs to its pool.
    pub const fn active(self) -> bool {
        matches!(self, Self::Normal | Self::Removing)
    }
}

/// A client.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Sdc {
    pub id: Id,
    pub name: Option<String>,
    pub guid: String,
    pub ip: String,
    pub connected: bool,
    pub version: String,
    pub mapped: Vec<Id>,
    pub traffic: Traffic,
}

/// How a volume takes its space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VolumeKind {
    /// All of it at once.
    Thick,
    /// As it is written.
    Thin,
    /// What changed since it was taken.
    Snapshot,
}

/// A volume or snapshot.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Volume {
    pub id: Id,
    pub name: String,
    pub kind: VolumeKind,
    pub size_kb: u64,
    /// Space taken, one copy.
    pub allocated_kb: u64,
    pub pool: Id,
    pub vtree: Id,
    pub ancestor: Option<Id>,
    pub mapped: Vec<Id>,
    /// What clients may do, where it is not everything.
    pub limits: BTreeMap<Id, Limits>,
    /// Snapshots that were taken together.
    pub group: Option<Id>,
    /// The policy that took it, if one did.
    pub taken_by: Option<Taken>,
    /// Seconds since 1970.
    pub created: i64,
    pub replicated: bool,
    pub profile: Profile,
    pub traffic: Traffic,
}

/// What a client may do with a volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Limits {
    /// 0 is without limit.
    pub iops: u64,
    pub kbps: u64,
    pub access: Access,
}

/// How a client may use a volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Access {
    #[default]
    ReadWrite,
    ReadOnly,
    NoAccess,
}

/// A volume with all its snapshots.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct VTree {
    pub id: Id,
    pub base: Id,
    pub pool: Id,
    pub migration: Option<Migration>,
}

/// A V-Tree on its way to another pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Migration {
    pub to: Id,
    /// Still to move, one copy.
    pub left_kb: u64,
    pub paused: bool,
}

/// A plan for automatic snapshots (3.0 and later).
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct SnapshotPolicy {
    pub id: Id,
    pub name: String,
    pub cadence_minutes: u64,
    pub retained: Vec<u64>,
    pub sources: Vec<Id>,
    pub paused: bool,
    /// Snapshots it took, as far as they count for the levels.
    pub taken: u64,
    /// When it last took one, and when it takes the next, in world time.
    pub last: Option<Duration>,
    pub next: Duration,
}

/// What a policy knows of a snapshot that it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Taken {
    pub policy: Id,
    /// Which of the policy's levels keeps it.
    pub level: usize,
    /// Stays when it is too old to be kept.
    pub locked: bool,
}

/// Another system that data is copied to (3.5 and later).
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct PeerMdm {
    pub id: Id,
    pub name: String,
    pub peer_system: Id,
    pub ips: Vec<String>,
}

/// Another system that snapshots are copied to (4.5 and later). Where it is stands in its settings.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct RemoteSystem {
    pub id: Id,
    pub name: String,
}

/// Fast devices in front of those of pools (3.0 and later). None has devices here.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct AccelerationPool {
    pub id: Id,
    pub name: String,
    pub domain: Id,
    pub nvdimm: bool,
    pub rfcache: bool,
}

/// A server that sends changes to the other system (3.5 and later).
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Sdr {
    pub id: Id,
    pub name: String,
    pub domain: Id,
    pub ip: String,
    pub version: String,
    pub in_maintenance: bool,
}

/// A replication consistency group (3.5 and later).
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct ConsistencyGroup {
    pub id: Id,
    pub remote_id: Id,
    pub name: String,
    pub domain: Id,
    pub peer: Id,
    pub rpo_seconds: u64,
    /// How far the other side is behind.
    pub lag_ms: u64,
}

/// A volume and its copy on the other system (3.5 and later).
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct ReplicationPair {
    pub id: Id,
    pub remote_id: Id,
    pub name: String,
    pub group: Id,
    pub volume: Id,
    pub remote_volume: Id,
    pub remote_volume_name: String,
}

/// A server that speaks NVMe over TCP to hosts (4.x).
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Sdt {
    pub id: Id,
    pub name: String,
    pub domain: Id,
    pub ips: Vec<Address>,
    pub version: String,
    pub in_maintenance: bool,
}

/// A host without an SDC (4.x).
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct NvmeHost {
    pub id: Id,
    pub name: String,
    pub nqn: String,
    pub mapped: Vec<Id>,
}
