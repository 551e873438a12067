//! What people ask of the work on a system, and what they are shown of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::hold::{Hardness, ReasonKind};
use super::id::{NodeName, PlanId, RunId, SystemId};
use super::plan::{Request, Risk};
use super::unit::Timestamp;

/// What may be done without asking again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nothing is ever done; plans are shown.
    Observe,
    /// What a person approved by its hash is done.
    #[default]
    Propose,
    /// What a standing policy covers is done too.
    Act,
}

impl Mode {
    /// Its word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Propose => "propose",
            Self::Act => "act",
        }
    }
}

/// What a person asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "order")]
#[allow(missing_docs)]
pub enum Order {
    /// Make a plan and show it.
    Plan { request: Request },
    /// Carry out the plan of this hash, or of the only one that begins so.
    Approve { plan: String },
    /// Begin nothing more.
    Pause,
    /// Go on.
    Resume,
    /// Begin nothing more, and undo what is in work.
    Cancel,
    /// Leave a node out that was not begun.
    Skip { node: NodeName },
    /// Leave a node alone, until then.
    Hold { node: NodeName, until: Option<Timestamp> },
    /// End that.
    Release { node: NodeName },
    /// Let a soft reason not hold, for a while.
    Override { reason: ReasonKind, node: Option<NodeName>, seconds: u32, why: String },
    /// Let a version be installed again that failed.
    Free { version: Box<str> },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
#[allow(missing_docs)]
pub enum Answer {
    Plan(Box<PlanShown>),
    Run { run: RunId },
    Done,
}

/// Why it is not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Refusal {
    #[error("{0}")]
    Wrong(String),
    #[error("{0}")]
    Missing(String),
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    Unable(String),
}

/// A plan as people read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct PlanShown {
    pub id: PlanId,
    pub system: SystemId,
    /// What was asked, in words.
    pub what: String,
    pub made_at: Timestamp,
    pub risk: Risk,
    pub predicted_seconds: u64,
    /// What is done to whom; left out in lists.
    #[serde(default)]
    pub stages: Vec<StageShown>,
    /// What it has for every node.
    #[serde(default)]
    pub nodes: BTreeMap<NodeName, String>,
    /// Why it would not be carried out.
    #[serde(default)]
    pub unsafe_because: Vec<String>,
}

/// A stage of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct StageShown {
    pub name: String,
    pub tasks: Vec<TaskPlanned>,
}

/// What is to be done to a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct TaskPlanned {
    pub node: NodeName,
    pub steps: Vec<String>,
    pub predicted_seconds: u64,
}

/// All work on one system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Lifecycle {
    pub system: SystemId,
    pub mode: Mode,
    pub at: Timestamp,
    /// The run that is not over.
    pub run: Option<RunShown>,
    /// Those that are, the newest first.
    #[serde(default)]
    pub past: Vec<RunPast>,
    /// Plans on file that nothing was done for, in short.
    #[serde(default)]
    pub plans: Vec<PlanShown>,
    /// Nodes that a person holds.
    #[serde(default)]
    pub held: BTreeMap<NodeName, Option<Timestamp>>,
    /// Versions that failed.
    #[serde(default)]
    pub quarantined: BTreeMap<Box<str>, Box<str>>,
    /// What must be undone later.
    #[serde(default)]
    pub obligations: Vec<ObligationShown>,
    /// What is begun by the calendar.
    #[serde(default)]
    pub jobs: Vec<JobShown>,
    /// How the newest upgrade goes.
    #[serde(default)]
    pub upgrade: Option<UpgradeShown>,
    /// What is wrong, in sentences.
    #[serde(default)]
    pub problems: Vec<String>,
    /// All that came of the newest run that is over.
    #[serde(default)]
    pub last: Option<Arc<RunReport>>,
}

/// All that came of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct RunReport {
    pub system: SystemId,
    pub run: RunId,
    pub what: String,
    pub approved_by: String,
    pub opened_at: Timestamp,
    pub ended_at: Timestamp,
    /// `done`, `cancelled` or `halted`.
    pub end: String,
    pub why: Option<Box<str>>,
    /// What was done to whom, in the order of the plan; first what went wrong, where there is too much for all.
    pub tasks: Vec<TaskReport>,
    /// Tasks that are not named.
    #[serde(default)]
    pub more: usize,
}

/// What came of one task of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct TaskReport {
    pub stage: String,
    pub node: NodeName,
    /// `waiting`, `done`, `undone` or `skipped`.
    pub standing: String,
    /// How long it took; none: it was not begun.
    pub seconds: Option<i64>,
    pub why: Option<Box<str>>,
}

/// The upgrade that is open, else the last one, else one that is planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct UpgradeShown {
    /// What most servers had when it was planned.
    pub from: Box<str>,
    pub to: Box<str>,
    /// `planned`, `running`, `paused`, `halted`, `done`, `cancelled` or `failed`.
    pub state: String,
    /// Whether it is neither planned nor over.
    pub active: bool,
    /// Tasks that are not begun.
    pub pending: usize,
    pub running: usize,
    pub done: usize,
    /// Tasks that were given up and undone.
    pub failed: usize,
}

/// What a firing of a job came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobResult {
    /// A run was begun.
    Began,
    /// A plan waits for a yes.
    Proposed,
    /// Nothing was to be done.
    Nothing,
    /// No plan could be made.
    Refused,
    /// It was too late, or in its own way, or in a blackout.
    LeftOut,
}

impl JobResult {
    /// As metrics write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Began => "began",
            Self::Proposed => "proposed",
            Self::Nothing => "nothing",
            Self::Refused => "refused",
            Self::LeftOut => "left_out",
        }
    }

    /// Whether the job did what it is for.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Began | Self::Proposed | Self::Nothing)
    }
}

/// What is begun by the calendar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct JobShown {
    pub name: String,
    /// What it asks for, in words.
    pub what: String,
    /// When it fires, as it was written, and where.
    pub line: String,
    /// When it fires next; each with the blackout in which it will not.
    pub next: Vec<(Timestamp, Option<String>)>,
    /// The last time that was dealt with.
    #[serde(default)]
    pub last_due: Option<Timestamp>,
    /// What came of it.
    #[serde(default)]
    pub last_result: Option<String>,
    /// The last time that something good came of it.
    #[serde(default)]
    pub last_success: Option<Timestamp>,
}

impl Lifecycle {
    /// Nothing was done on this system.
    pub const fn nothing(system: SystemId, mode: Mode, at: Timestamp) -> Self {
        Self {
            system,
            mode,
            at,
            run: None,
            past: Vec::new(),
            plans: Vec::new(),
            held: BTreeMap::new(),
            quarantined: BTreeMap::new(),
            obligations: Vec::new(),
            jobs: Vec::new(),
            upgrade: None,
            problems: Vec::new(),
            last: None,
        }
    }

    /// The run that has a node in work.
    pub fn in_work(&self, node: &NodeName) -> Option<&RunId> {
        let run = self.run.as_ref()?;
        run.in_work().any(|at| at == node).then_some(&run.id)
    }
}

impl RunShown {
    /// Nodes that are in work.
    pub fn in_work(&self) -> impl Iterator<Item = &NodeName> {
        self.tasks_in_work().map(|task| &task.node)
    }

    /// Tasks that are in work.
    pub fn tasks_in_work(&self) -> impl Iterator<Item = &TaskShown> {
        self.tasks.iter().filter(|task| matches!(task.standing.as_str(), "working" | "undoing"))
    }
}

/// A run that is not over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct RunShown {
    pub id: RunId,
    pub plan: PlanId,
    pub what: String,
    pub approved_by: String,
    pub opened_at: Timestamp,
    pub paused_by: Option<Box<str>>,
    pub cancelled_by: Option<Box<str>>,
    pub halted: Option<Box<str>>,
    pub failures: u32,
    pub tasks_done: usize,
    pub tasks_total: usize,
    /// When it would end if nothing held it from now on.
    pub predicted_end: Timestamp,
    pub tasks: Vec<TaskShown>,
}

/// One task of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct TaskShown {
    pub number: u32,
    pub stage: String,
    pub node: NodeName,
    /// `waiting`, `working`, `undoing`, `done`, `undone` or `skipped`.
    pub standing: String,
    pub step: Option<String>,
    pub since: Timestamp,
    pub attempts: u32,
    /// Why it was given up.
    pub why: Option<Box<str>>,
    /// Why nothing more is done now.
    #[serde(default)]
    pub holds: Vec<HoldShown>,
}

/// A reason for waiting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct HoldShown {
    pub reason: ReasonKind,
    pub hardness: Hardness,
    /// In words, with its data.
    pub text: String,
    /// What would clear it.
    pub clears: String,
    /// Since when it has held without a break, as far as this process saw.
    pub since: Timestamp,
    /// When the data it rests on was taken.
    pub seen_at: Option<Timestamp>,
}

/// A run that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct RunPast {
    pub id: RunId,
    pub what: String,
    pub opened_at: Timestamp,
    /// `done`, `cancelled` or `halted`.
    pub end: String,
    pub why: Option<Box<str>>,
}

/// What must be undone later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ObligationShown {
    pub what: String,
    pub node: NodeName,
    pub run: RunId,
    pub since: Timestamp,
    pub deadline: Timestamp,
    pub overdue: bool,
}

/// A request in words.
pub fn in_words(request: &Request) -> String {
    match request {
        Request::Rollout => "make nodes what they shall be".to_owned(),
        Request::Upgrade { to, only } if only.is_empty() => format!("upgrade to {to}"),
        Request::Upgrade { to, only } => {
            let names: Vec<&str> = only.iter().map(NodeName::as_str).collect();
            format!("upgrade {} to {to}", names.join(", "))
        }
        Request::Finalise { to } => format!("make the upgrade to {to} final"),
        Request::Maintain { node, minutes, purpose, .. } => {
            format!("keep {node} in maintenance for {minutes} min: {purpose}")
        }
        Request::Reboot { node } => format!("restart {node}"),
        Request::Replace { node, by } => format!("replace {node} by {by}"),
        Request::Remove { node } => format!("remove {node}"),
        Request::Expand { pool } => format!("expand pool {pool}"),
        Request::RotateSecrets => "make new passwords".to_owned(),
    }
}
