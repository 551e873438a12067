//! A host that we look after: what it shall be, how far it is, and what it says of itself.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::id::{AgentId, NodeName, RunId, SdsId, SystemId};
use super::step::{Component, StepId};
use super::unit::Timestamp;

/// The form of [`Node`] and [`NodeFacts`] that this version writes. An older one is read; a newer one is refused by name.
pub const FORM: u16 = 1;

/// What a node does for its system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Keeps the repository of the MDM cluster, or stands by for it.
    Mdm,
    /// Votes in the MDM cluster.
    TieBreaker,
    /// Gives its devices to a pool.
    Sds,
    /// Uses volumes.
    Sdc,
    /// Answers the REST API.
    Gateway,
}

impl Role {
    /// Its word in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mdm => "mdm",
            Self::TieBreaker => "tie_breaker",
            Self::Sds => "sds",
            Self::Sdc => "sdc",
            Self::Gateway => "gateway",
        }
    }
}

/// Where a node stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "phase")]
pub enum NodePhase {
    /// It was decided that it shall take part; nothing was done.
    Wanted,
    /// Mesos was told to start our task on it; nobody has answered yet.
    Launching,
    /// Its agent walks the steps of the installation.
    #[allow(missing_docs)]
    Installing { step: Box<str> },
    /// Its agent says that all is installed; the MDM does not show it yet.
    Joining,
    /// A snapshot shows all of its roles, connected, joined and in the wanted version.
    Ready,
    /// A run works on it.
    #[allow(missing_docs)]
    InMaintenance { run: RunId },
    /// Its tasks or its data leave it, because it shall go.
    Draining,
    /// Neither its agent nor Mesos has heard of it for too long. Nothing is concluded from that.
    Lost,
    /// A step failed. It is tried again at that moment, or when a person says so.
    #[allow(missing_docs)]
    Failed { why: Box<str>, tries: u32, retry_at: Option<Timestamp> },
    /// It takes part no more, and holds nothing of the system.
    Retired,
}

impl NodePhase {
    /// Its word in metrics and logs.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Wanted => "wanted",
            Self::Launching => "launching",
            Self::Installing { .. } => "installing",
            Self::Joining => "joining",
            Self::Ready => "ready",
            Self::InMaintenance { .. } => "in_maintenance",
            Self::Draining => "draining",
            Self::Lost => "lost",
            Self::Failed { .. } => "failed",
            Self::Retired => "retired",
        }
    }
}

/// What a node shall be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// The release of its components.
    pub version: Option<Box<str>>,
    /// Name of its protection domain.
    pub domain: Option<Box<str>>,
    /// Name of the pool of its devices, unless a device says otherwise.
    pub pool: Option<Box<str>>,
    /// Name of its fault set.
    pub fault_set: Option<Box<str>>,
    /// Devices by path, each with the name of its pool.
    #[serde(default)]
    pub devices: BTreeMap<Box<str>, Option<Box<str>>>,
}

/// A host, as the controller has written it down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Node {
    /// Which form of this record it is.
    pub form: u16,
    pub system: SystemId,
    pub name: NodeName,
    /// None for hosts that are not in Mesos.
    pub agent: Option<AgentId>,
    pub roles: BTreeSet<Role>,
    pub want: Want,
    pub phase: NodePhase,
    /// Its SDS, once the MDM has named it.
    pub sds: Option<SdsId>,
    pub changed_at: Timestamp,
    /// When its agent was last heard.
    pub seen_at: Option<Timestamp>,
}

/// Of what else a host carries a part, whose loss would hurt others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Carries {
    /// This controller itself.
    Controller,
    /// A gateway of a system.
    Gateway,
    /// A Mesos master.
    MesosMaster,
    /// A member of ZooKeeper.
    ZooKeeper,
    /// A member of an MDM cluster.
    Mdm,
}

impl Carries {
    /// Its name for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Controller => "this controller",
            Self::Gateway => "a gateway",
            Self::MesosMaster => "a Mesos master",
            Self::ZooKeeper => "a ZooKeeper server",
            Self::Mdm => "a member of the MDM cluster",
        }
    }
}

/// What a node's agent says of its host. Nothing in it is concluded by us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct NodeFacts {
    /// Which form of this record it is.
    pub form: u16,
    /// When the agent looked, by our clock at the moment its word arrived.
    pub seen_at: Timestamp,
    /// Another one after each start of the host.
    pub boot_id: Box<str>,
    pub kernel: Box<str>,
    /// The kernel that the next start will use.
    pub next_kernel: Box<str>,
    /// Kernels for which a module of the SDC is there and signed.
    pub modules: BTreeSet<Box<str>>,
    /// Installed versions of each component. More than one is a half-done installation.
    pub installed: BTreeMap<Component, BTreeSet<Box<str>>>,
    /// Versions whose packages were checked on the node, by component.
    pub staged: BTreeMap<Component, BTreeSet<Box<str>>>,
    /// Components whose services run.
    pub running: BTreeSet<Component>,
    /// Volumes that are open or mounted here.
    pub open_volumes: u32,
    /// The highest epoch the agent has obeyed.
    pub epoch: u64,
    /// The step in work, if any.
    pub working: Option<StepId>,
    /// Of what else it carries a part.
    pub carries: BTreeSet<Carries>,
    /// How far its rollout is, while that has it and is not through.
    #[serde(default)]
    pub unready: Option<Box<str>>,
    /// Where it is found, as far as the controller knows.
    #[serde(default)]
    pub addresses: BTreeSet<Box<str>>,
}

#[cfg(test)]
impl NodeFacts {
    /// A host that was heard, with nothing of ours on it.
    pub(crate) fn bare(seen_at: Timestamp) -> Self {
        Self {
            form: FORM,
            seen_at,
            boot_id: "b".into(),
            kernel: "5".into(),
            next_kernel: "5".into(),
            modules: [].into(),
            installed: BTreeMap::new(),
            staged: BTreeMap::new(),
            running: [].into(),
            open_volumes: 0,
            epoch: 0,
            working: None,
            carries: [].into(),
            unready: None,
            addresses: [].into(),
        }
    }
}

/// Whether Mesos sends tasks to an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum AgentState {
    /// It takes tasks.
    Active,
    /// It gets no offers; its tasks stay.
    Deactivated,
    /// Its tasks end; those that have not are named.
    #[allow(missing_docs)]
    Draining { waits_for: Vec<Box<str>> },
    /// It gets no offers and runs no task.
    Drained,
    /// The master does not hear it.
    Unreachable,
    /// The master has given it up.
    Gone,
}

/// What the Mesos master says of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct AgentFacts {
    /// When the question was sent: nothing in the answer is older.
    pub begun_at: Timestamp,
    pub agent: AgentId,
    pub state: AgentState,
    /// A maintenance schedule of someone else covers its machine.
    pub scheduled_by_others: bool,
}
