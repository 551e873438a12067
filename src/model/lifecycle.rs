//! What people ask of the work on a system, and what they are shown of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::hold::{Hardness, ReasonKind};
use super::id::{NodeName, PlanId, RunId, SystemId};
use super::plan::{Request, Risk};
use super::step::{MaintenanceMode, StepKind};
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
    Approve {
        plan: String,
        /// Steps that were only concluded and shall be done all the same.
        #[serde(default)]
        accept: BTreeSet<StepKind>,
    },
    /// Begin nothing more.
    Pause,
    /// Go on.
    Resume,
    /// Begin nothing more, and undo what is in work.
    Cancel,
    /// Leave a node out that was not begun.
    Skip { node: NodeName },
    /// Take over the maintenance that somebody else began on a node, and end it.
    Adopt {
        node: NodeName,
        /// How it was begun, where the MDM does not tell.
        #[serde(default)]
        mode: Option<MaintenanceMode>,
        because: String,
        /// Steps that were only concluded and shall be done all the same.
        #[serde(default)]
        accept: BTreeSet<StepKind>,
    },
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
    /// Its stages in order, with how many nodes each has.
    #[serde(default)]
    pub waves: Vec<(String, usize)>,
    /// What it has for every node.
    #[serde(default)]
    pub nodes: BTreeMap<NodeName, String>,
    /// Why it would not be carried out.
    #[serde(default)]
    pub unsafe_because: Vec<String>,
    /// Steps that were only concluded; who approves it must accept each.
    #[serde(default)]
    pub unproven: Vec<String>,
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
    /// Nodes that were taken out for good; `sio release` lets one come back.
    #[serde(default)]
    pub retired: BTreeSet<NodeName>,
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
    /// How long steps took, the newest of each kind.
    #[serde(default)]
    pub times: Vec<TimesShown>,
    /// Entries that were ever written of it.
    #[serde(default)]
    pub entries: u64,
    /// The SHA-256 of the last one.
    #[serde(default)]
    pub head: String,
    /// What the rollout adds right now, by its number: no task begins meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adding: Option<u64>,
}

/// How long a kind of step took lately, in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct TimesShown {
    pub step: String,
    /// Of which component, where it is about one.
    pub component: Option<String>,
    /// In which mode of maintenance, where it is the way in or out.
    pub mode: Option<String>,
    /// The generation of the system then.
    pub generation: String,
    pub count: usize,
    pub p50: u32,
    pub p95: u32,
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
    /// Seconds for which data of a node had one copy, all nodes together.
    #[serde(default)]
    pub single_copy_seconds: i64,
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
    /// Seconds of it for which data of the node had one copy.
    #[serde(default)]
    pub single_copy_seconds: i64,
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
    /// It was in its own way, or in a blackout.
    LeftOut,
    /// Nobody was there for it in time.
    Missed,
    /// It was looked at, or kept, and all is well.
    Well,
    /// It was looked at, and something is not well; or it could not be done.
    Unwell,
    /// A result that another version wrote.
    #[serde(other)]
    Unknown,
}

impl JobResult {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Began,
        Self::Proposed,
        Self::Nothing,
        Self::Refused,
        Self::LeftOut,
        Self::Missed,
        Self::Well,
        Self::Unwell,
        Self::Unknown,
    ];

    /// As metrics write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Began => "began",
            Self::Proposed => "proposed",
            Self::Nothing => "nothing",
            Self::Refused => "refused",
            Self::LeftOut => "left_out",
            Self::Missed => "missed",
            Self::Well => "well",
            Self::Unwell => "unwell",
            Self::Unknown => "unknown",
        }
    }

    /// Whether the job did what it is for.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Began | Self::Proposed | Self::Nothing | Self::Well)
    }
}

/// What is begun by the calendar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct JobShown {
    pub name: String,
    /// `upgrade`, `reboot`, `health_check` and others, as the configuration writes it.
    #[serde(default)]
    pub kind: String,
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
    /// That in a word.
    #[serde(default)]
    pub result: Option<JobResult>,
    /// What was found, what is not well first.
    #[serde(default)]
    pub found: Vec<String>,
    /// The time for which it is being looked at now.
    #[serde(default)]
    pub looking: Option<Timestamp>,
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
            retired: BTreeSet::new(),
            quarantined: BTreeMap::new(),
            obligations: Vec::new(),
            jobs: Vec::new(),
            upgrade: None,
            problems: Vec::new(),
            last: None,
            times: Vec::new(),
            entries: 0,
            head: String::new(),
            adding: None,
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
    /// Since when nothing was done that is within its time; ahead of now while the step at hand is.
    #[serde(default)]
    pub idle_since: Timestamp,
    /// Windows that came and went since then.
    #[serde(default)]
    pub windows_missed: usize,
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
    /// People work there by hand right now, until the time that they asked for is over.
    #[serde(default)]
    pub by_hand: bool,
    pub since: Timestamp,
    pub attempts: u32,
    /// Why it was given up.
    pub why: Option<Box<str>>,
    /// What takes longer on its way back than it may.
    #[serde(default)]
    pub overdue: Option<Box<str>>,
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
    /// `maintenance` or `drain`.
    #[serde(default)]
    pub duty: String,
    pub node: NodeName,
    pub run: RunId,
    pub since: Timestamp,
    pub deadline: Timestamp,
    pub overdue: bool,
}

fn names(nodes: &BTreeSet<NodeName>) -> String {
    nodes.iter().map(NodeName::as_str).collect::<Vec<_>>().join(", ")
}

/// A request in words.
pub fn in_words(request: &Request) -> String {
    match request {
        Request::Rollout => "make nodes what they shall be".to_owned(),
        Request::Upgrade { to, only } if only.is_empty() => format!("upgrade to {to}"),
        Request::Upgrade { to, only } => format!("upgrade {} to {to}", names(only)),
        Request::Back { to, only } => format!("bring {} back to {to}", names(only)),
        Request::Fetch { to, only } if only.is_empty() => format!("have the packages of {to} on every node"),
        Request::Fetch { to, only } => format!("have the packages of {to} on {}", names(only)),
        Request::Finalise { to } => format!("make the upgrade to {to} final"),
        Request::Maintain { node, minutes, purpose, .. } => {
            format!("keep {node} in maintenance for {minutes} min: {purpose}")
        }
        Request::Adopt { node, because, .. } => {
            format!("end the maintenance of {node} that was handed over: {because}")
        }
        Request::Reboot { node } => format!("restart {node}"),
        Request::Replace { node, by } => format!("replace {node} by {by}"),
        Request::Remove { node } => format!("remove {node}"),
        Request::Expand { pool } => format!("expand pool {pool}"),
        Request::RotateSecrets => "make new passwords".to_owned(),
    }
}
