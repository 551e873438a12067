//! What shall be done: a request, the immutable plan made for it, and who said yes to that.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::id::{AgentId, FaultSetId, MdmId, NodeName, PlanId, ProtectionDomainId, SdsId, StoragePoolId, SystemId};
use super::node::Carries;
use super::step::{Action, MaintenanceMode, StepKind};
use super::unit::Timestamp;

/// The newest form of [`Plan`] that this version knows. An older one is read; a newer one is refused by name.
pub const FORM: u16 = 2;

/// The form of a plan that works in one domain at a time: older versions know it too.
pub const FIRST_FORM: u16 = 1;

/// What somebody wants done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "request")]
#[allow(missing_docs)]
pub enum Request {
    /// Make nodes what they shall be.
    Rollout,
    /// Bring all nodes, or only these, to a release.
    Upgrade { to: Box<str>, only: BTreeSet<NodeName> },
    /// Bring these nodes back to the release that they had before, as long as the upgrade is not final.
    Back { to: Box<str>, only: BTreeSet<NodeName> },
    /// Have the packages of a release on all nodes, or on these, and install none.
    Fetch { to: Box<str>, only: BTreeSet<NodeName> },
    /// End an upgrade for good.
    Finalise { to: Box<str> },
    /// Keep a node out of work for so long, and let it back.
    Maintain { node: NodeName, mode: Option<MaintenanceMode>, minutes: u32, purpose: Box<str> },
    /// End a maintenance that somebody else began and handed over. This is the mode it was begun in.
    Adopt { node: NodeName, mode: MaintenanceMode, because: Box<str> },
    /// Restart a node, say for a kernel.
    Reboot { node: NodeName },
    /// Put another node into the place of one that is lost.
    Replace { node: NodeName, by: NodeName },
    /// Take a node out for good.
    Remove { node: NodeName },
    /// Give a pool more devices.
    Expand { pool: StoragePoolId },
    /// Make new passwords.
    RotateSecrets,
}

impl Request {
    /// Its kind in a word.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Rollout => "rollout",
            Self::Upgrade { .. } => "upgrade",
            Self::Back { .. } => "back",
            Self::Fetch { .. } => "fetch",
            Self::Finalise { .. } => "finalise",
            Self::Maintain { .. } => "maintain",
            Self::Adopt { .. } => "adopt",
            Self::Reboot { .. } => "reboot",
            Self::Replace { .. } => "replace",
            Self::Remove { .. } => "remove",
            Self::Expand { .. } => "expand",
            Self::RotateSecrets => "rotate_secrets",
        }
    }
}

/// How much a mistake in a step could cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Nothing that serves is touched.
    None,
    /// Something restarts that others stand in for.
    Low,
    /// Data has one copy less for a while, or the MDM cluster one member less.
    Medium,
    /// It cannot be taken back.
    Irreversible,
}

/// One step of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Step {
    pub action: Action,
    /// After this long the task is halted and undone.
    pub deadline_seconds: u32,
    /// How long it takes in all likelihood (the 95th percentile of the past).
    pub predicted_seconds: u32,
    pub risk: Risk,
}

/// What the steps of one stage do to one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Task {
    pub node: NodeName,
    pub agent: Option<AgentId>,
    /// The SDS on it, whenever there is one: whatever touches the host touches the SDS.
    pub sds: Option<SdsId>,
    pub domain: Option<ProtectionDomainId>,
    pub fault_set: Option<FaultSetId>,
    /// The member of the MDM cluster on it.
    pub mdm: Option<MdmId>,
    pub carries: BTreeSet<Carries>,
    /// The version from before, to go back to.
    pub from: Option<Box<str>>,
    pub steps: Vec<Step>,
}

/// What may be worked on at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parallel {
    /// One task alone.
    One,
    /// Tasks of one fault set.
    FaultSet,
    /// All: the steps touch nothing that serves.
    All,
}

/// Tasks that must all be done before the next stage begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Stage {
    pub name: Box<str>,
    pub parallel: Parallel,
    /// How many tasks may be in work at once in one protection domain.
    pub most: u32,
    /// In how many protection domains at once.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub domains: u32,
    /// The first task goes alone, and the others only after it was well through its soak.
    pub canary: bool,
    pub tasks: Vec<Task>,
}

const fn one() -> u32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "what serde asks with")]
const fn is_one(number: &u32) -> bool {
    *number == 1
}

/// Where an SDS lies and which version it has.
pub type Spot = (Option<ProtectionDomainId>, Option<FaultSetId>, Box<str>);

/// What a plan was made from. A run begins only if it still holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Basis {
    pub snapshot_seq: u64,
    pub taken_at: Option<Timestamp>,
    /// The SDSs there were, each with its domain, fault set and version.
    pub topology: BTreeMap<SdsId, Spot>,
    /// The members of the MDM cluster and their versions.
    pub mdms: BTreeMap<MdmId, Box<str>>,
}

/// Limits that hold while the plan is carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Tasks that may fail before the run halts.
    pub failures: u32,
    /// Longest time in maintenance before it is ended and an alert fires.
    pub maintenance_seconds: u32,
}

impl Default for Limits {
    fn default() -> Self {
        // One failed node is bad luck, two are the release. Instant mode is made for less than 30 minutes.
        Self { failures: 1, maintenance_seconds: 30 * 60 }
    }
}

/// What shall be done, step by step. It never changes; another one takes its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Plan {
    pub form: u16,
    pub system: SystemId,
    pub request: Request,
    pub made_at: Timestamp,
    /// The plan whose place it takes.
    pub parent: Option<PlanId>,
    pub based_on: Basis,
    pub limits: Limits,
    pub stages: Vec<Stage>,
}

impl Plan {
    /// Its name: the hash of all that is in it. An approval binds to it.
    pub fn id(&self) -> PlanId {
        let mut hash = Sha256::new();
        // A plan is made of maps with text keys and of numbers: writing it down cannot fail.
        if let Ok(text) = serde_json::to_vec(self) {
            hash.update(text);
        }
        let digest = hash.finalize();
        PlanId::new(&hex(&digest[..16]))
    }

    /// Every task, counted through all stages, with its stage.
    pub fn tasks(&self) -> impl Iterator<Item = (usize, &Stage, &Task)> {
        self.stages.iter().enumerate().flat_map(|(at, stage)| stage.tasks.iter().map(move |task| (at, stage, task)))
    }

    /// The task of a number, with its stage.
    pub fn task(&self, number: u32) -> Option<(usize, &Stage, &Task)> {
        let mut number = number as usize;
        for (at, stage) in self.stages.iter().enumerate() {
            match stage.tasks.get(number) {
                Some(task) => return Some((at, stage, task)),
                None => number -= stage.tasks.len(),
            }
        }
        None
    }

    /// Whether any step is of this kind.
    pub fn has(&self, kind: StepKind) -> bool {
        self.tasks().any(|(_, _, task)| task.steps.iter().any(|step| step.action.kind() == kind))
    }

    /// The worst that a step of it may cost.
    pub fn risk(&self) -> Risk {
        self.tasks().flat_map(|(_, _, task)| &task.steps).map(|step| step.risk).max().unwrap_or(Risk::None)
    }
}

/// Who said yes to a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "approval")]
#[allow(missing_docs)]
pub enum Approval {
    /// A person said yes to exactly this plan.
    Hash { plan: PlanId, by: Box<str>, at: Timestamp },
    /// A person said yes beforehand to all plans of a job that keep within this. Never to what cannot be taken back.
    Policy {
        job: Box<str>,
        to: Box<str>,
        selection: BTreeSet<NodeName>,
        modes: BTreeSet<MaintenanceMode>,
        max_risk: Risk,
        until: Timestamp,
        by: Box<str>,
    },
}

/// The digits of a hash.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 15)]);
    }
    text
}
