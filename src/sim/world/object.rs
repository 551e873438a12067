//! What exists in a simulated system: plain objects, joined by their ids.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::figures::{DeviceFigures, PoolFigures};
use super::load::{Profile, Traffic};

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
}

#[derive(Clone, Debug)]
#[allow(missing_docs)]
/// A protection domain.
pub struct Domain {
    pub id: Id,
    pub name: String,
}

/// A fault set: a rack whose nodes may fail together.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct FaultSet {
    pub id: Id,
    pub name: String,
    pub domain: Id,
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
    /// Copies whose device was taken out before they were rebuilt, by fault unit.
    pub homeless: BTreeMap<Id, u64>,
    /// Whether data is being evened out; starts late and ends early, so that it does not flap.
    pub balancing: bool,
    /// How long a rebuild has not come forward.
    pub stuck_for: Duration,
    /// What the last step left.
    pub figures: PoolFigures,
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

/// Maintenance of an SDS. Only the resting state is entered for now; the
/// arithmetic of `figures` knows the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maintenance {
    /// Not in maintenance.
    None,
    /// Asked for, not yet reached.
    Entering,
    /// Its data is frozen and nothing is rebuilt elsewhere.
    In,
    /// Leaving; changes made meanwhile are copied back.
    Exiting,
}

/// A storage data server.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Sds {
    pub id: Id,
    pub name: String,
    pub domain: Id,
    pub fault_set: Option<Id>,
    pub ips: [String; 2],
    pub membership: Membership,
    pub maintenance: Maintenance,
    pub version: String,
}

impl Sds {
    /// Whether the MDM reaches it.
    pub fn connected(&self) -> bool {
        !matches!(self.membership, Membership::Decoupled(_))
    }

    /// Whether its devices serve.
    pub fn serves(&self) -> bool {
        self.membership == Membership::Joined && matches!(self.maintenance, Maintenance::None | Maintenance::Entering)
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
    pub failed: bool,
    pub figures: DeviceFigures,
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
    /// Seconds since 1970.
    pub created: i64,
    pub replicated: bool,
    pub profile: Profile,
    pub traffic: Traffic,
}

/// A volume with all its snapshots.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct VTree {
    pub id: Id,
    pub base: Id,
    pub pool: Id,
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
}

/// Another system that data is copied to (3.5 and later).
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct PeerMdm {
    pub id: Id,
    pub name: String,
    pub peer_system: Id,
    pub ip: String,
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
    pub ip: String,
    pub version: String,
}

/// A host without an SDC (4.x).
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct NvmeHost {
    pub id: Id,
    pub name: String,
    pub nqn: String,
}
