//! What must survive a restart: who we are, and the task of each agent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::id::{AgentId, FrameworkId};
use crate::model::mesos::NodeTask;

/// A stored change.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Write {
    Framework(FrameworkRecord),
    ForgetFramework,
    Task(NodeTask),
    ForgetTask(AgentId),
}

/// Who we are at the masters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameworkRecord {
    /// The id that the masters gave.
    pub id: FrameworkId,
    /// What a master said when it ended this framework for good.
    #[serde(default)]
    pub removed: Option<Box<str>>,
    /// Whether a person has offers held back.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub held: bool,
    /// Who lets it end for good. It is torn down at the next chance, and then `removed` says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Box<str>>,
}

/// What an earlier life knew.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// None before the first registration.
    pub framework: Option<FrameworkRecord>,
    /// By agent.
    pub tasks: BTreeMap<AgentId, NodeTask>,
}

/// Where the framework's record is kept.
const FRAMEWORK: &str = "mesos/framework";
const TASKS: &str = "mesos/task/";

impl Write {
    /// The name of the entry.
    pub fn key(&self) -> String {
        match self {
            Self::Framework(_) | Self::ForgetFramework => FRAMEWORK.to_owned(),
            Self::Task(task) => key_of(&task.agent),
            Self::ForgetTask(agent) => key_of(agent),
        }
    }

    /// What it holds then; none: it is removed.
    pub fn value(&self) -> Result<Option<Vec<u8>>, serde_json::Error> {
        match self {
            Self::Framework(record) => serde_json::to_vec(record).map(Some),
            Self::Task(task) => serde_json::to_vec(task).map(Some),
            Self::ForgetFramework | Self::ForgetTask(_) => Ok(None),
        }
    }
}

/// Ids of agents have capital letters, and the store takes none. What else it
/// does not take is written as its number, so that two ids never share a key.
fn key_of(agent: &AgentId) -> String {
    let mut key = TASKS.to_owned();
    for c in agent.as_str().chars() {
        match c {
            'a'..='z' | '0'..='9' | '-' => key.push(c),
            'A'..='Z' => {
                key.push('_');
                key.push(c.to_ascii_lowercase());
            }
            other => key.push_str(&format!(".{:x}.", u32::from(other))),
        }
    }
    key
}

/// An entry that cannot be read. It stays where it is.
#[derive(Debug, thiserror::Error)]
#[error("the entry {key} cannot be read")]
pub struct Unreadable {
    /// Its name.
    pub key: String,
    /// Why.
    #[source]
    pub source: serde_json::Error,
}

impl Memory {
    /// Reads the entries of a store. One that cannot be read is no reason to
    /// forget who we are: it is an error.
    pub fn read<'a>(entries: impl Iterator<Item = (&'a str, &'a [u8])>) -> Result<Self, Unreadable> {
        let mut memory = Self::default();
        for (key, value) in entries {
            let fail = |source| Unreadable { key: key.to_owned(), source };
            if key == FRAMEWORK {
                memory.framework = Some(serde_json::from_slice(value).map_err(fail)?);
            } else if key.starts_with(TASKS) {
                let task: NodeTask = serde_json::from_slice(value).map_err(fail)?;
                memory.tasks.insert(task.agent.clone(), task);
            }
        }
        Ok(memory)
    }
}
