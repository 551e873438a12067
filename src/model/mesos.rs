//! What is said of a Mesos cluster: offers, tasks and their states.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::id::{AgentId, ExecutorId, OfferId, TaskId};
use super::unit::Timestamp;

/// What an agent says of itself; the original framework's way to place nodes.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeValue {
    /// Any text.
    Text(Box<str>),
    /// A number.
    Scalar(f64),
    /// Spans of numbers, both ends included.
    Ranges(Vec<(u64, u64)>),
}

impl fmt::Display for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Scalar(number) => write!(f, "{number}"),
            Self::Ranges(spans) => {
                let spans: Vec<String> = spans.iter().map(|(from, to)| format!("{from}-{to}")).collect();
                write!(f, "[{}]", spans.join(", "))
            }
        }
    }
}

/// A stay away from work that an operator has scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Unavailability {
    /// When it begins, in nanoseconds since 1970.
    pub start: i64,
    /// How long it lasts in nanoseconds; absent: until told otherwise.
    pub duration: Option<i64>,
}

/// A part of what is offered, as it stands there.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// `cpus` or `mem`.
    pub name: Box<str>,
    /// How much.
    pub amount: f64,
    /// What the master says of its reservation, to be said back as it is; none: it is reserved for nobody.
    pub reserved: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Resources of an agent that may be used now.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Offer {
    pub id: OfferId,
    pub agent: AgentId,
    pub hostname: Box<str>,
    /// The address of the agent itself, `host:port`.
    pub address: Option<Box<str>>,
    /// The role it was made to.
    pub role: Option<Box<str>>,
    pub cpus: f64,
    /// In MB, as Mesos counts them.
    pub mem: f64,
    /// What these are made of: what is reserved for us first.
    pub pieces: Vec<Piece>,
    /// An attribute that is given twice has several values.
    pub attributes: BTreeMap<Box<str>, Vec<AttributeValue>>,
    /// Executors of ours that run there.
    pub executors: Vec<ExecutorId>,
    pub unavailability: Option<Unavailability>,
}

/// An operator's wish to have an agent back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct InverseOffer {
    pub id: OfferId,
    pub agent: Option<AgentId>,
    pub unavailability: Option<Unavailability>,
}

/// What Mesos says of a task.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskState {
    /// The agent has it, the executor not yet.
    Staging,
    /// The executor has it.
    Starting,
    /// It runs.
    Running,
    /// It was told to end.
    Killing,
    /// It ended by itself, well.
    Finished,
    /// It ended by itself, not well.
    Failed,
    /// It was told to end, and did.
    Killed,
    /// It could not be launched as it was described.
    Error,
    /// It never reached an executor.
    Dropped,
    /// Its agent is silent; it may come back.
    Unreachable,
    /// Its agent is there without it.
    Gone,
    /// An operator said that its agent will not come back.
    GoneByOperator,
    /// The master never heard of it, or forgot it.
    Unknown,
    /// What older masters say for several of the above, and any master of an agent taken down.
    Lost,
    /// A state that this version does not know.
    Other(Box<str>),
}

const STATES: [(&str, TaskState); 14] = [
    ("TASK_STAGING", TaskState::Staging),
    ("TASK_STARTING", TaskState::Starting),
    ("TASK_RUNNING", TaskState::Running),
    ("TASK_KILLING", TaskState::Killing),
    ("TASK_FINISHED", TaskState::Finished),
    ("TASK_FAILED", TaskState::Failed),
    ("TASK_KILLED", TaskState::Killed),
    ("TASK_ERROR", TaskState::Error),
    ("TASK_DROPPED", TaskState::Dropped),
    ("TASK_UNREACHABLE", TaskState::Unreachable),
    ("TASK_GONE", TaskState::Gone),
    ("TASK_GONE_BY_OPERATOR", TaskState::GoneByOperator),
    ("TASK_UNKNOWN", TaskState::Unknown),
    ("TASK_LOST", TaskState::Lost),
];

/// What a state means for the next launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskFate {
    /// It is there, or about to be.
    Alive,
    /// Nobody can say; it must not be replaced.
    InDoubt,
    /// It is over, and another may take its place.
    Ended,
}

impl TaskState {
    /// Reads the word of the wire.
    pub fn new(word: &str) -> Self {
        let known = STATES.iter().find(|(name, _)| *name == word);
        known.map_or_else(|| Self::Other(word.into()), |(_, state)| state.clone())
    }

    /// The word of the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(word) => word,
            known => STATES.iter().find(|(_, state)| state == known).map_or("", |(name, _)| name),
        }
    }

    /// What it means for the next launch.
    pub const fn fate(&self) -> TaskFate {
        match self {
            Self::Staging | Self::Starting | Self::Running | Self::Killing => TaskFate::Alive,
            Self::Unreachable | Self::Other(_) => TaskFate::InDoubt,
            Self::Finished
            | Self::Failed
            | Self::Killed
            | Self::Error
            | Self::Dropped
            | Self::Gone
            | Self::GoneByOperator
            | Self::Unknown
            | Self::Lost => TaskFate::Ended,
        }
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for TaskState {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for TaskState {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(&String::deserialize(deserializer)?))
    }
}

/// One word about one task.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct TaskStatus {
    pub task: TaskId,
    pub agent: Option<AgentId>,
    pub executor: Option<ExecutorId>,
    pub state: TaskState,
    /// Why, in the words of Mesos (`REASON_...`).
    pub reason: Option<Box<str>>,
    pub message: Option<Box<str>>,
    pub healthy: Option<bool>,
    /// Whoever sends this wants it acknowledged.
    pub uuid: Option<Box<str>>,
    /// Whether the master made it up as an answer to a question of ours.
    pub is_answer: bool,
    /// Whether the task itself said it, not a master or agent in its place.
    pub from_executor: bool,
}

/// What we know of the task that carries the executor of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct NodeTask {
    pub agent: AgentId,
    pub hostname: Box<str>,
    pub task: TaskId,
    pub executor: ExecutorId,
    /// Counts the launches on this agent.
    pub attempt: u32,
    pub phase: TaskPhase,
    /// Launches that failed since the last one that ran.
    pub failures: u32,
    /// Not launched again before this.
    pub retry_at: Option<Timestamp>,
    pub changed_at: Timestamp,
}

/// How far a task has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "phase")]
pub enum TaskPhase {
    /// It was written down that it will be launched; whether it was, Mesos must say.
    Intended,
    /// Mesos said this last.
    Told {
        /// The state.
        state: TaskState,
        /// Why.
        reason: Option<Box<str>>,
        /// The words that came with it.
        message: Option<Box<str>>,
    },
}

impl NodeTask {
    /// What may be done about it.
    pub const fn fate(&self) -> TaskFate {
        match &self.phase {
            TaskPhase::Intended => TaskFate::InDoubt,
            TaskPhase::Told { state, .. } => state.fate(),
        }
    }

    /// The state in Mesos' word; the intention has none of its own there.
    pub fn state(&self) -> &str {
        match &self.phase {
            TaskPhase::Intended => "INTENDED",
            TaskPhase::Told { state, .. } => state.as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_a_state_is_written_as_it_was_read() {
        for word in STATES.iter().map(|(word, _)| *word).chain(["TASK_ASCENDED"]) {
            assert_eq!(TaskState::new(word).as_str(), word);
        }
        assert_eq!(TaskState::new("TASK_ASCENDED").fate(), TaskFate::InDoubt);
    }
}
