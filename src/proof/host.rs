//! A simulated host with its agent: packages, kernels, boot ids, and a ledger of steps.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};

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

/// A host. Whoever changes it in whatever way makes it another edition.
#[derive(Clone, Debug)]
pub struct Host {
    inside: Inside,
    edition: u64,
}

impl Deref for Host {
    type Target = Inside;

    fn deref(&self) -> &Inside {
        &self.inside
    }
}

impl DerefMut for Host {
    fn deref_mut(&mut self) -> &mut Inside {
        self.edition += 1;
        &mut self.inside
    }
}

/// What an agent saw of its host.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Looked {
    pub installed: BTreeMap<Component, Box<str>>,
    pub running: BTreeSet<Component>,
}

/// All that is on a host.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Inside {
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
    /// Another program works on the packages until then; the step at hand stops nothing before.
    pub stops_at: Option<Timestamp>,
    /// What was installed and ran when the step at hand was begun. The agent looks again when that is over.
    pub looked: Option<Looked>,
    /// A step that failed, of which the controller was not told yet. Until it is, the step counts as in work.
    pub unheard: Option<StepId>,
    pub carries: BTreeSet<Carries>,
    pub mesos: Mesos,
    pub drained_by_us: bool,
    pub drain_stuck: bool,
    /// The next package that is installed does not work.
    pub broken: bool,
    /// Somebody who works there has switched it off, until then.
    pub is_off: bool,
    /// The next restart comes up with the kernel of before.
    pub boots_old: bool,
    /// The next restart takes that much longer.
    pub slow_seconds: i64,
    /// The next step waits so long for another program.
    pub busy_seconds: i64,
}

impl Host {
    /// A host with this on it.
    pub const fn of(inside: Inside) -> Self {
        Self { inside, edition: 0 }
    }

    /// As long as it is the same, nothing on the host has changed.
    pub const fn edition(&self) -> u64 {
        self.edition
    }

    /// From when on time alone changes something on it.
    pub(super) fn goes_on_at(&self) -> Option<Timestamp> {
        let drained = match self.mesos {
            Mesos::Draining(until) => until,
            Mesos::Active if self.open_volumes == 0 => Some(Timestamp::MIN_UTC),
            Mesos::Active | Mesos::Drained => None,
        };
        let worked = self.working.as_ref().map(|(_, _, until)| *until);
        let switched_on = self.is_off.then_some(self.up_at);
        drained.into_iter().chain(worked).chain(self.stops_at).chain(switched_on).min()
    }

    fn boot_id(&self) -> Box<str> {
        format!("boot-{}", self.boot).into()
    }

    /// Whether its agent can say anything.
    pub(super) fn is_heard(&self, now: Timestamp) -> bool {
        !self.silent && now >= self.up_at
    }

    /// All that its agent says, if it can.
    pub fn facts(&self, now: Timestamp) -> Option<NodeFacts> {
        if !self.is_heard(now) {
            return None;
        }
        let (installed, running) =
            self.looked.as_ref().map_or((&self.installed, &self.running), |at| (&at.installed, &at.running));
        Some(NodeFacts {
            form: FORM,
            seen_at: now,
            boot_id: self.boot_id(),
            kernel: self.kernel.clone(),
            next_kernel: self.next_kernel.clone(),
            modules: self.modules.clone(),
            installed: installed.iter().map(|(at, version)| (*at, [version.clone()].into())).collect(),
            staged: self.staged.clone(),
            running: running.clone(),
            open_volumes: self.open_volumes,
            epoch: self.epoch,
            working: self.working.as_ref().map(|(step, _, _)| step.clone()).or_else(|| self.unheard.clone()),
            carries: self.carries.clone(),
            unready: None,
            addresses: [].into(),
        })
    }
}
