//! What a rollout would do, how far each node is, and why it is no further.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::findings::Disk;
use super::id::{AgentId, NodeName, RunId, SystemId};
use super::node::{NodePhase, Role};
use super::preflight::Row;
use super::unit::Timestamp;

/// What would be done now. Nothing of it happens by being looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// What would be added, in this order.
    pub additions: Vec<String>,
    /// What differs from the wishes and is left alone.
    pub drift: Vec<String>,
    /// Nodes that are left out, each with the reasons.
    pub refused: BTreeMap<NodeName, Vec<String>>,
    /// Nodes that would provide storage but give nothing, with the reason.
    pub idle: BTreeMap<NodeName, String>,
    /// Nodes that provide or consume.
    pub nodes: Vec<NodeName>,
    /// Who would carry the MDM cluster; none where it exists already.
    pub mdm: Option<MdmPreview>,
    /// Why nothing can be said of additions, where that is so.
    pub unseen: Option<String>,
    /// How far each node is, and why it is no further.
    #[serde(default)]
    pub progress: BTreeMap<NodeName, String>,
    /// Disks that are left alone, by node, each with the reason.
    #[serde(default)]
    pub left_alone: BTreeMap<NodeName, Vec<String>>,
    /// Who said yes to the rollout of this system; none: nobody has, and it waits for that.
    #[serde(default)]
    pub approved: Option<String>,
}

/// Who would carry the MDM cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MdmPreview {
    /// Seats by node.
    pub seats: BTreeMap<NodeName, String>,
    /// Seats that nobody can take, with the reasons of every node.
    pub missing: Vec<String>,
    /// What is allowed, but should be known.
    pub warnings: Vec<String>,
    /// Commands that would be given and were never seen in use; each waits until a person accepts it by its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unproven: Vec<String>,
    /// Why the cluster is not yet as it shall be, while it is being made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<String>,
}

/// Why a node is no further, or what is to be known of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "why")]
#[allow(missing_docs)]
pub enum Why {
    #[error("lifecycle.mode is observe, so nothing is done")]
    Observed,
    #[error(
        "nobody has said yes to the rollout of {system}; look with `sio plan rollout {system}`, then `sio rollout approve {system}`"
    )]
    NotApproved { system: SystemId },
    #[error("no offer of it was seen yet")]
    NotOffered,
    #[error("its offer went back: {because}")]
    Declined { because: Box<str> },
    #[error("its task at Mesos is {state}, and its agent was not heard yet")]
    Starting { state: Box<str> },
    #[error("it has not joined yet; `sio token {node}` makes a token for it")]
    NotJoined { node: NodeName },
    #[error("its agent was last heard at {seen_at}")]
    Silent { seen_at: Timestamp },
    #[error("its agent takes no orders: {because}")]
    OutOfWork { because: Box<str> },
    #[error("it obeys another controller, of epoch {epoch}, and is given no order until a person says `sio adopt`")]
    Stranger { epoch: u64 },
    #[error("it {because}")]
    LeftOut { because: Box<str> },
    #[error("it gives no storage: {because}")]
    GivesNothing { because: Box<str> },
    #[error("no package: {because}")]
    NoPackage { because: Box<str> },
    #[error("{because}")]
    Unseen { because: Box<str> },
    #[error("the gateway does not tell the addresses of the MDM's managers")]
    NoManagers,
    #[error("systems.{system}.lifecycle is missing, so nothing can be added")]
    NoLogin { system: SystemId },
    #[error("run {run} works on it")]
    InRun { run: RunId },
    #[error("it does another order: {with}")]
    Busy { with: Box<str> },
    #[error("it is in step {step}")]
    InStep { step: Box<str> },
    #[error("it waits for {what}")]
    WaitsFor { what: Box<str> },
    #[error("it waits for the MDM cluster: {because}")]
    NoCluster { because: Box<str> },
    #[error("it cannot carry what it shall: {because}")]
    Unfit { because: Box<str> },
    #[error("to be known: {because}")]
    Doubtful { because: Box<str> },
    #[error("tasks get no volumes there: {because}")]
    NoVolumes { because: Box<str> },
    #[error("{step} failed {tries} times: {because}")]
    Failed { step: Box<str>, because: Box<str>, tries: u32, retry_at: Option<Timestamp> },
    #[error("it must be restarted, since {because}; {how}")]
    Restart { because: Box<str>, how: Box<str>, run: Option<RunId> },
    #[error("left alone: {what}")]
    Drift { what: Box<str> },
}

impl Why {
    /// Its name in metrics and logs.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::NotApproved { .. } => "not_approved",
            Self::NotOffered => "not_offered",
            Self::Declined { .. } => "declined",
            Self::Starting { .. } => "starting",
            Self::NotJoined { .. } => "not_joined",
            Self::Silent { .. } => "silent",
            Self::OutOfWork { .. } => "out_of_work",
            Self::Stranger { .. } => "stranger",
            Self::LeftOut { .. } => "left_out",
            Self::GivesNothing { .. } => "gives_nothing",
            Self::NoPackage { .. } => "no_package",
            Self::Unseen { .. } => "unseen",
            Self::NoManagers => "no_managers",
            Self::NoLogin { .. } => "no_login",
            Self::InRun { .. } => "in_run",
            Self::Busy { .. } => "busy",
            Self::InStep { .. } => "in_step",
            Self::WaitsFor { .. } => "waits_for",
            Self::NoCluster { .. } => "no_cluster",
            Self::Unfit { .. } => "unfit",
            Self::Doubtful { .. } => "doubtful",
            Self::NoVolumes { .. } => "no_volumes",
            Self::Failed { .. } => "failed",
            Self::Restart { .. } => "restart",
            Self::Drift { .. } => "drift",
        }
    }

    /// Whether a person must act before it goes on.
    pub const fn needs_a_person(&self) -> bool {
        match self {
            Self::OutOfWork { .. }
            | Self::Stranger { .. }
            | Self::LeftOut { .. }
            | Self::NoPackage { .. }
            | Self::NoLogin { .. }
            | Self::Unfit { .. } => true,
            Self::Failed { retry_at, .. } => retry_at.is_none(),
            // Its run has it restarted by itself.
            Self::Restart { run, .. } => run.is_none(),
            Self::Observed
            | Self::NotApproved { .. }
            | Self::NotOffered
            | Self::Declined { .. }
            | Self::Starting { .. }
            | Self::NotJoined { .. }
            | Self::Silent { .. }
            | Self::GivesNothing { .. }
            | Self::Unseen { .. }
            | Self::NoManagers
            | Self::InRun { .. }
            | Self::Busy { .. }
            | Self::InStep { .. }
            | Self::WaitsFor { .. }
            | Self::NoCluster { .. }
            | Self::Doubtful { .. }
            | Self::NoVolumes { .. }
            | Self::Drift { .. } => false,
        }
    }
}

/// How far a node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct NodeRollout {
    pub system: SystemId,
    pub node: NodeName,
    /// None for hosts that are not in Mesos.
    pub agent: Option<AgentId>,
    pub roles: BTreeSet<Role>,
    pub phase: NodePhase,
    pub since: Timestamp,
    /// Why it is no further, and what is to be known of it.
    pub why: Vec<Why>,
    /// Its disks as its agent judged them last.
    pub disks: Arc<[Disk]>,
    /// What was found of it before it was touched; empty: nobody has asked yet.
    pub preflight: Arc<[Row]>,
}

/// How far the rollout is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct RolloutStatus {
    pub nodes: BTreeMap<NodeName, NodeRollout>,
    pub systems: BTreeMap<SystemId, Preview>,
}

/// Who said yes to the rollout of a system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Approved {
    pub by: Box<str>,
    pub at: Timestamp,
}

/// What people may tell the rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "order")]
#[allow(missing_docs)]
pub enum RolloutOrder {
    /// Nodes of the system may be changed, now and those that come later.
    Approve { system: SystemId, by: Box<str> },
    /// Nothing more is begun.
    Withdraw { system: SystemId, by: Box<str> },
    /// A node that failed is tried again now.
    Retry { node: NodeName },
    /// A member of the MDM cluster is gone for good; another node takes its seat.
    GiveUp { node: NodeName, by: Box<str> },
}
