//! How our framework stands in a Mesos cluster, and what is asked of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::id::{AgentId, ExecutorId, FrameworkId};
use super::mesos::NodeTask;
use super::offer::{Verdict, Vote};
use super::unit::Timestamp;

/// How it stands with the masters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Registration {
    /// No stream yet, or none any more; it is tried again.
    Disconnected {
        /// What the last try said.
        error: Option<Box<str>>,
        /// Tries that failed in a row.
        failures: u32,
    },
    /// Subscribed.
    Registered {
        /// The leading master.
        master: Box<str>,
        /// The last sign of life.
        heard_at: Timestamp,
    },
    /// The masters have ended this framework for good. A person must say what next.
    Removed {
        /// What the master said.
        error: Box<str>,
    },
    /// Another controller has subscribed with our id. This one keeps quiet.
    Superseded,
}

impl Registration {
    /// What a person must do, where only a person can.
    pub const fn mend(&self) -> Option<&'static str> {
        match self {
            Self::Disconnected { .. } | Self::Registered { .. } => None,
            Self::Removed { .. } => Some(
                "the masters ended every executor of this framework; see whether somebody tore it down on purpose, \
                 then let it register under a new id: sio framework register-anew",
            ),
            Self::Superseded => Some(
                "see which other controller runs on the same state and stop one of the two; then restart the one that stays",
            ),
        }
    }
}

/// An agent as its last offer showed it, and what became of that offer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct SeenAgent {
    pub agent: AgentId,
    pub hostname: Box<str>,
    /// The machine's address, without the port of its agent.
    pub address: Option<Box<str>>,
    pub attributes: BTreeMap<Box<str>, String>,
    pub cpus: f64,
    pub mem: f64,
    pub offered_at: Timestamp,
    /// What became of the last offer.
    pub verdict: Verdict,
    /// The verdict in words, where it is a refusal.
    pub because: Option<String>,
    /// An operator wants the machine from then on.
    pub wanted_from: Option<Timestamp>,
    /// What the operator was told; none: nobody wants it.
    pub vote: Option<Vote>,
}

/// All that is known of our standing in one cluster.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct FrameworkStatus {
    pub cluster: Box<str>,
    pub framework: Option<FrameworkId>,
    pub registration: Registration,
    /// What a person must do, where only a person can.
    pub mend: Option<&'static str>,
    pub is_suppressed: bool,
    /// Tasks that the masters have not spoken of since we subscribed.
    pub unanswered: usize,
    #[serde(skip)]
    pub tasks: BTreeMap<AgentId, NodeTask>,
    #[serde(skip)]
    pub agents: BTreeMap<AgentId, Arc<SeenAgent>>,
}

/// What is asked of the framework.
#[derive(Clone, Debug, PartialEq)]
pub enum FrameworkOrder {
    /// A message for the executor of an agent. It may get lost: repeat it until it is answered.
    Message {
        /// Where.
        agent: AgentId,
        /// To whom.
        executor: ExecutorId,
        /// What.
        data: Vec<u8>,
    },
    /// What operators are told who want the machines of agents back.
    Votes(BTreeMap<AgentId, Vote>),
    /// After a removal: register under a new id.
    RegisterAnew,
    /// Offers are held back at the masters, or asked for again.
    Hold(bool),
    /// It ends for good, and its tasks with it.
    TearDown {
        /// Who says so.
        by: Box<str>,
    },
}

/// What a person asks of the framework.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum FrameworkAsked {
    /// After a removal: register under a new id.
    RegisterAnew,
    /// Offers are held back: no executor is launched.
    Hold,
    /// Offers are asked for again.
    GoOn,
    /// The framework of this id ends for good, and its tasks with it.
    TearDown { framework: FrameworkId, by: Box<str> },
}

/// A message from an executor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ExecutorMessage {
    pub agent: AgentId,
    pub executor: ExecutorId,
    pub data: Vec<u8>,
}
