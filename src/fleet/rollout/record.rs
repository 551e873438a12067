//! What must be known of a node's rollout after a restart?

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::disks::Known;
use super::restart::Asked;
use super::steps::StepName;
use crate::model::findings::Disk;
use crate::model::id::{AgentId, NodeName, SystemId};
use crate::model::node::{FORM, NodePhase};
use crate::model::order::OrderId;
use crate::model::preflight::Row;
use crate::model::unit::Timestamp;
use crate::store::Key;

/// Disks that are written down of one node; a host has fewer.
pub const DISKS: usize = 64;

/// Rows of a preflight that are written down; a host has about twenty.
pub const ROWS: usize = 64;

/// So long the MDM is looked at more often than usual for a node that joins. What takes longer is seen all the same.
const EAGER: Duration = Duration::from_secs(2 * 60);

/// Where records are kept.
pub(super) const NODES: &str = "rollout/node";

/// Under which key the record of a node is kept.
///
/// # Errors
/// No store takes it, and what helps.
pub fn key(node: &str) -> Result<Key, String> {
    let bytes = node.len();
    Key::of(NODES, node).map_err(|_| {
        format!(
            "its host name, of {bytes} bytes, is longer than what can be written down; give it a shorter one, as by \
             --hostname of its Mesos agent"
        )
    })
}

/// Where a node came from, as it was seen last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its Mesos agent; none for hosts that are not in Mesos.
    pub agent: Option<AgentId>,
    /// Its address.
    pub address: Option<Box<str>>,
    /// Its attributes.
    pub attributes: BTreeMap<Box<str>, Box<str>>,
    /// Another machine of its name.
    #[serde(default)]
    pub twin: Option<Box<str>>,
}

/// How its agent judged its disks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// When the judgement arrived.
    pub at: Timestamp,
    /// Each disk, with why it may not be taken. One list for all who show it, however often a turn looks.
    pub disks: Arc<[Disk]>,
    /// The boot of the node in which they had these names; empty: it was not told.
    #[serde(default)]
    pub boot_id: Box<str>,
}

/// What was found of a node before it was touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// When the table arrived.
    pub at: Timestamp,
    /// The hash of what it was asked.
    pub about: Box<str>,
    /// The table.
    pub rows: Arc<[Row]>,
}

/// An order that was given and is not settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// Which.
    pub id: OrderId,
    /// For what.
    pub step: StepName,
    /// Since when.
    pub at: Timestamp,
    /// Of a preflight, the hash of what was asked.
    #[serde(default)]
    pub about: Box<str>,
}

/// The last failures in a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// What failed last.
    pub step: Box<str>,
    /// Why.
    pub because: Box<str>,
    /// How many.
    pub tries: u32,
    /// When it is tried again; none: when a person says so.
    pub retry_at: Option<Timestamp>,
}

/// How many steps of a list are done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The hash of the steps.
    pub goal: Box<str>,
    /// Those that are done.
    pub done: usize,
}

/// How a Mesos agent stands to flags that it shall have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flags {
    /// The hash of what was ordered.
    pub about: Box<str>,
    /// How it stands.
    #[serde(flatten)]
    pub state: FlagState,
}

/// How far an agent is that gets flags. Moments of registration are of the master's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
#[allow(missing_docs)]
pub enum FlagState {
    /// It is ordered to take them; when it had registered before.
    Ordered { registered: Option<Timestamp> },
    /// It had them already.
    Same,
    /// It was started with them; the master has not told yet that it registered again.
    Tried { registered: Option<Timestamp>, at: Timestamp },
    /// It registered again.
    Proven,
    /// It did not come back, and what it had before shall be put back.
    Failed { because: Box<str> },
    /// It has what it had before.
    Back,
}

impl FlagState {
    /// Whether it is on its way, or a person is needed.
    pub const fn is_open(&self) -> bool {
        !matches!(self, Self::Same | Self::Proven)
    }
}

/// All that is written down of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Which form of this record it is.
    pub form: u16,
    /// The system it works for.
    pub system: SystemId,
    /// Its name.
    pub node: NodeName,
    /// Where it came from.
    pub source: Source,
    /// How far it is.
    pub phase: NodePhase,
    /// Since when.
    pub changed_at: Timestamp,
    /// Its disks; none: nobody has asked yet.
    #[serde(default)]
    pub judged: Option<Judged>,
    /// Its disks by what they are known again by, whatever they are called.
    #[serde(default, skip_serializing_if = "Known::is_empty")]
    pub known: Known,
    /// What was found of it; none: nobody has asked yet.
    #[serde(default)]
    pub preflight: Option<Checked>,
    /// The hash of the steps that `done` counts.
    #[serde(default)]
    pub goal: Box<str>,
    /// Steps of the goal that are done.
    #[serde(default)]
    pub done: usize,
    /// How far its tasks get volumes, once it is joined.
    #[serde(default)]
    pub volumes: Progress,
    /// How its Mesos agent stands to the flags that volumes need; none: it was not told of any.
    #[serde(default)]
    pub flags: Option<Flags>,
    /// The restart that it needs and that was asked for.
    #[serde(default)]
    pub restart: Option<Asked>,
    /// The order that is not settled.
    #[serde(default)]
    pub open: Option<Open>,
    /// What failed since something went well.
    #[serde(default)]
    pub failures: Option<Failures>,
}

impl Record {
    /// Of a node that was just seen.
    pub fn new(system: SystemId, node: NodeName, source: Source, now: Timestamp) -> Self {
        Self {
            form: FORM,
            system,
            node,
            source,
            phase: NodePhase::Wanted,
            changed_at: now,
            judged: None,
            known: Known::new(),
            preflight: None,
            goal: "".into(),
            done: 0,
            volumes: Progress::default(),
            flags: None,
            restart: None,
            open: None,
            failures: None,
        }
    }

    /// Puts it into a phase; the moment is that of the change of kind.
    pub fn enter(&mut self, phase: NodePhase, now: Timestamp) {
        if std::mem::discriminant(&self.phase) != std::mem::discriminant(&phase) {
            self.changed_at = now;
        }
        self.phase = phase;
    }

    /// Whether it waits for the MDM to show it, and not for so long that something else must be the matter.
    pub fn is_joining(&self, now: Timestamp) -> bool {
        self.phase == NodePhase::Joining && (now - self.changed_at).to_std().is_ok_and(|span| span < EAGER)
    }
}
