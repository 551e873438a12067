//! May this step be taken now? The admission predicate, with a reason for each no.
//!
//! Not knowing means no: what was never seen, what is too old, what was asked
//! before our own last change was over, and a state that this version does not
//! know all hold. No time-out passes a gate. Of the inputs, those that a
//! generation does not have are absent by design:
//!
//! | input | absent before | what stands in for it |
//! |---|---|---|
//! | protected maintenance and its counters | 3.5 | instant mode only; the counters are not asked |
//! | `maintenanceType` | 3.5 | the mode in our own obligation |
//! | `Sdt` maintenance | 4.0 | there are no NVMe targets |
//!
//! What clients feel is no input of its own: our rules about latency hold when they fire (`work::alerts`).
//!
//! `storage` asks for the servers and their data, `mdm` for the MDM cluster,
//! `node` for the host and Mesos, `work` for everything that is about the run.

mod mdm;
mod node;
mod storage;
mod work;

use std::collections::BTreeSet;

use super::book::{Book, Run};
use super::facts::{Facts, Policy};
use super::mutant;
use crate::model::hold::{Gate, Hold, Reason};
use crate::model::plan::{Task, hex};
use crate::model::step::{Action, Component};
use crate::model::unit::Timestamp;

/// What the gate is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// What is known.
    pub facts: Facts<'a>,
    /// The operator's limits.
    pub policy: &'a Policy,
    /// What is written down.
    pub book: &'a Book,
    /// The run that asks.
    pub run: &'a Run,
    /// Number of its task.
    pub number: u32,
    /// Its task.
    pub task: &'a Task,
}

/// Reasons, as they are found.
pub(super) struct Holds {
    found: BTreeSet<Hold>,
    seen_at: Option<Timestamp>,
    /// Whether one reason is as good as all.
    one_will_do: bool,
}

impl Holds {
    const fn new() -> Self {
        Self { found: BTreeSet::new(), seen_at: None, one_will_do: false }
    }

    /// Whether one reason is asked for, and was found.
    fn enough(&self, ask: &Ask<'_>) -> bool {
        self.one_will_do && self.found.iter().any(|hold| !ask.lifts(hold))
    }

    /// What follows rests on data of that moment.
    const fn seen(&mut self, at: Option<Timestamp>) {
        self.seen_at = at;
    }

    fn push(&mut self, reason: Reason) {
        if !mutant::forgets(reason.kind().as_str()) {
            self.found.insert(Hold { reason, seen_at: self.seen_at });
        }
    }

    fn gate(self, ask: &Ask<'_>) -> Gate {
        let left: Vec<Hold> = self.found.into_iter().filter(|hold| !ask.lifts(hold)).collect();
        if left.is_empty() { Gate::Go } else { Gate::Hold(left) }
    }
}

impl Ask<'_> {
    /// Whether a person has lifted this reason.
    fn lifts(&self, hold: &Hold) -> bool {
        self.run.overrides.iter().any(|given| given.lifts(hold, &self.task.node, self.facts.now))
            || (mutant::is("override hard") && self.run.overrides.iter().any(|o| o.reason == hold.reason.kind()))
    }

    /// Whether the task may be begun, and every reason why not.
    pub fn admit(&self) -> Gate {
        let mut holds = Holds::new();
        self.beginning(&mut holds);
        holds.gate(self)
    }

    /// Whether the task may be begun: what [`Self::admit`] says, without looking for a second reason.
    pub fn is_admitted(&self) -> bool {
        let mut holds = Holds { one_will_do: true, ..Holds::new() };
        self.beginning(&mut holds);
        !holds.enough(self)
    }

    fn beginning(&self, holds: &mut Holds) {
        work::may_begin(self, holds);
        if holds.enough(self) {
            return;
        }
        if self.disturbs() {
            work::alerts(self, holds);
            // Its end is what an upgrade that is under way waits for.
            if self.task.steps.iter().any(|step| step.action == Action::Finalise) {
                mdm::may_finalise(self, holds);
            } else {
                mdm::is_well(self, holds);
            }
            mdm::is_quiet(self, holds);
        }
        if holds.enough(self) {
            return;
        }
        if self.task.steps.iter().any(|step| matches!(step.action, Action::Vendor { .. })) {
            storage::all_is_well(self, holds);
        }
        if self.stops_sds() {
            storage::may_enter(self, holds);
        }
        if self.task.steps.iter().any(|step| step.action == Action::Evacuate) {
            storage::may_leave(self, holds);
            storage::nothing_is_mapped(self, holds);
        }
        if self.stops_mdm() {
            mdm::may_stop_soon(self, holds);
        }
        node::may_begin(self, holds);
    }

    /// Whether the effect of a step of it may be had.
    pub fn step(&self, action: &Action) -> Gate {
        let mut holds = Holds::new();
        match action {
            Action::Stage { .. } => node::is_heard(self, &mut holds),
            Action::Drain => {
                self.brings_nothing_bad(&mut holds);
                if self.stops_sds() {
                    storage::may_enter(self, &mut holds);
                }
                work::alerts(self, &mut holds);
                node::may_drain(self, &mut holds);
            }
            Action::SwitchMdm => {
                mdm::is_well(self, &mut holds);
                work::alerts(self, &mut holds);
            }
            Action::EnterMaintenance { mode } => {
                self.brings_nothing_bad(&mut holds);
                mdm::is_well(self, &mut holds);
                storage::may_enter(self, &mut holds);
                storage::mode_fits(self, *mode, &mut holds);
                work::alerts(self, &mut holds);
                node::is_drained(self, &mut holds);
            }
            Action::Apply { version, components } => {
                self.may_stop(components, &mut holds);
                node::is_staged(self, version, components, &mut holds);
                node::order_of_components(self, version, components, &mut holds);
                self.brings_nothing_bad(&mut holds);
            }
            // Asked as long as somebody works there. That the member of the MDM cluster is away is what it was made for.
            Action::Handwork => {
                if self.task.sds.is_some() {
                    storage::may_stop(self, &mut holds);
                }
                work::alerts(self, &mut holds);
            }
            Action::Reboot => {
                let all = [Component::Mdm, Component::Sds, Component::Sdc];
                self.may_stop(&all, &mut holds);
                node::has_module(self, &mut holds);
            }
            // Of a node that goes back all is asked that is asked of one that is upgraded.
            Action::Rollback { version, components } if self.run.goes_back() => {
                self.may_stop(components, &mut holds);
                mdm::is_well(self, &mut holds);
                node::is_staged(self, version, components, &mut holds);
                node::clients_are_back(self, version, components, &mut holds);
            }
            // What was broken is put back also when other things are broken, but no SDS that serves is stopped outside of
            // maintenance, and no MDM that the cluster needs.
            Action::Rollback { components, .. } => {
                if self.task.sds.is_some() && components.contains(&Component::Sds) {
                    storage::may_be_put_back(self, &mut holds);
                }
                let stops_mdm = self.task.mdm.is_some() && components.contains(&Component::Mdm);
                if stops_mdm && !mutant::is("put back blindly") {
                    mdm::may_be_put_back(self, &mut holds);
                }
                node::is_heard(self, &mut holds);
            }
            Action::ExitMaintenance => {
                node::has_ended(self, &mut holds);
                storage::may_exit(self, &mut holds);
            }
            Action::Reactivate => {
                node::has_ended(self, &mut holds);
                node::may_reactivate(self, &mut holds);
            }
            Action::Finalise => {
                mdm::may_finalise(self, &mut holds);
                storage::all_is_well(self, &mut holds);
                work::alerts(self, &mut holds);
            }
            Action::Evacuate => {
                mdm::is_well(self, &mut holds);
                storage::may_leave(self, &mut holds);
                work::alerts(self, &mut holds);
                if self.task.agent.is_some() {
                    node::is_drained(self, &mut holds);
                }
            }
            // That data stays where it is harms nothing.
            Action::KeepSds => storage::is_listed(self, &mut holds),
            Action::Uninstall { components } => {
                if components.contains(&Component::Sds) {
                    storage::is_gone(self, &mut holds);
                }
                if components.contains(&Component::Sdc) {
                    node::is_drained(self, &mut holds);
                    node::volumes_are_closed(self, &mut holds);
                    storage::nothing_is_mapped(self, &mut holds);
                }
                node::is_heard(self, &mut holds);
            }
            Action::RemoveSdc { .. } => {
                storage::nothing_is_mapped(self, &mut holds);
                storage::client_is_away(self, &mut holds);
            }
            // Asked before it is begun elsewhere, and at its end.
            Action::Vendor { .. } => {
                mdm::is_well(self, &mut holds);
                storage::all_is_well(self, &mut holds);
                work::alerts(self, &mut holds);
            }
            Action::Verify { .. } | Action::AwaitResync | Action::Soak { .. } => {}
            Action::AddMember | Action::SwitchClusterMode { .. } | Action::AddSds | Action::AddDevice { .. } => holds
                .push(Reason::WaitsForEffect {
                    what: format!("a driver for {}: this version has none", action.kind()).into(),
                }),
        }
        holds.gate(self)
    }

    /// Why the task is not well while nothing is done to it: the soak.
    pub fn soak(&self) -> Gate {
        let mut holds = Holds::new();
        mdm::is_well(self, &mut holds);
        storage::is_protected(self, &mut holds);
        work::alerts(self, &mut holds);
        node::is_well(self, &mut holds);
        holds.gate(self)
    }

    /// Whether the data of the pools is all protected.
    pub fn resynced(&self) -> Gate {
        let mut holds = Holds::new();
        storage::is_resynced(self, &mut holds);
        holds.gate(self)
    }

    /// No release of the task was found bad, at another node perhaps since it began: nobody is taken out for that.
    fn brings_nothing_bad(&self, holds: &mut Holds) {
        for step in &self.task.steps {
            if let Action::Apply { version, .. } = &step.action
                && self.book.quarantined.contains_key(version)
            {
                holds.push(Reason::Quarantined { version: version.clone() });
            }
        }
    }

    fn may_stop(&self, components: &[Component], holds: &mut Holds) {
        if self.task.mdm.is_some() && components.contains(&Component::Mdm) {
            mdm::is_well(self, holds);
            mdm::may_stop_now(self, holds);
        }
        if self.task.sds.is_some() && components.contains(&Component::Sds) {
            storage::may_stop(self, holds);
        }
        if components.contains(&Component::Sdc) {
            node::is_drained(self, holds);
            node::volumes_are_closed(self, holds);
        }
        work::alerts(self, holds);
        node::is_heard(self, holds);
    }

    /// Whether anything that serves is touched.
    fn disturbs(&self) -> bool {
        self.task
            .steps
            .iter()
            .any(|step| !matches!(step.action, Action::Stage { .. } | Action::Verify { .. } | Action::Soak { .. }))
    }

    fn stops_sds(&self) -> bool {
        self.task.sds.is_some()
            && self.task.steps.iter().any(|step| match &step.action {
                Action::EnterMaintenance { .. } | Action::Reboot | Action::Handwork => true,
                Action::Apply { components, .. } => components.contains(&Component::Sds),
                _ => false,
            })
    }

    fn stops_mdm(&self) -> bool {
        self.task.mdm.is_some()
            && self.task.steps.iter().any(|step| match &step.action {
                Action::Reboot | Action::Handwork => true,
                Action::Apply { components, .. } => components.contains(&Component::Mdm),
                _ => false,
            })
    }

    /// Notes a part that is missing, too old, or from before our last change.
    fn fresh(&self, what: &str, begun_at: Option<Timestamp>, oldest: chrono::TimeDelta, holds: &mut Holds) -> bool {
        let Some(at) = begun_at else {
            holds.push(Reason::Unseen { what: what.into() });
            return false;
        };
        holds.seen(Some(at));
        if self.facts.now - at > oldest {
            holds.push(Reason::Stale { what: what.into(), taken_at: at });
        }
        if self.book.changed_at.is_some_and(|changed| at <= changed) {
            holds.push(Reason::BeforeEffect { what: what.into(), taken_at: at });
        }
        true
    }
}

/// The hash that stands for what a gate said, in records and permits.
pub fn digest(ask: &Ask<'_>, gate: &Gate) -> Box<str> {
    use sha2::{Digest, Sha256};
    let seq = ask.facts.snapshot().map_or(0, |snapshot| snapshot.seq);
    let said = serde_json::to_string(gate).unwrap_or_default();
    let hash = Sha256::digest(format!("{seq} {} {} {said}", ask.task.node, ask.facts.now).as_bytes());
    hex(&hash[..8]).into()
}
