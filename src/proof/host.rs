//! A simulated host with its agent: packages, kernels, boot ids, and a ledger of steps.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::id::{AgentId, NodeName};
use crate::model::node::{Carries, FORM, NodeFacts};
use crate::model::step::{Action, Answer, Component, StepId};
use crate::model::unit::Timestamp;
use crate::sim::world::Id;

/// Whether Mesos sends tasks to it, in truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Mesos {
    Active,
    /// Until that moment, or for ever.
    Draining(Option<Timestamp>),
    Drained,
}

/// A host.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Host {
    pub name: NodeName,
    pub agent: AgentId,
    pub sds: Id,
    pub sds_name: String,
    pub mdm: Option<String>,
    pub sdc: Id,
    pub boot: u64,
    /// From then on it is up.
    pub up_at: Timestamp,
    pub silent: bool,
    pub kernel: Box<str>,
    pub next_kernel: Box<str>,
    pub modules: BTreeSet<Box<str>>,
    pub installed: BTreeMap<Component, Box<str>>,
    pub staged: BTreeMap<Component, BTreeSet<Box<str>>>,
    pub running: BTreeSet<Component>,
    pub open_volumes: u32,
    pub epoch: u64,
    pub ledger: BTreeMap<StepId, Answer>,
    pub working: Option<(StepId, Action, Timestamp)>,
    pub carries: BTreeSet<Carries>,
    pub mesos: Mesos,
    pub drained_by_us: bool,
    pub drain_stuck: bool,
    /// The next package that is installed does not work.
    pub broken: bool,
    /// The next restart takes that much longer.
    pub slow_seconds: i64,
}

impl Host {
    /// What its agent says, if it can.
    pub fn facts(&self, now: Timestamp) -> Option<NodeFacts> {
        if self.silent || now < self.up_at {
            return None;
        }
        Some(NodeFacts {
            form: FORM,
            seen_at: now,
            boot_id: format!("boot-{}", self.boot).into(),
            kernel: self.kernel.clone(),
            next_kernel: self.next_kernel.clone(),
            modules: self.modules.clone(),
            installed: self.installed.iter().map(|(at, version)| (*at, [version.clone()].into())).collect(),
            staged: self.staged.clone(),
            running: self.running.clone(),
            open_volumes: self.open_volumes,
            epoch: self.epoch,
            working: self.working.as_ref().map(|(step, _, _)| step.clone()),
            carries: self.carries.clone(),
            unready: None,
        })
    }
}
