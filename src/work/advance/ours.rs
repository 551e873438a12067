//! Whose is the maintenance that a server is in, and what follows when somebody else ended ours.

use super::Look;
use crate::model::plan::Step;
use crate::model::step::{Action, Component, StepKind, StepState};
use crate::work::book::TaskState;
use crate::work::gate::Ask;
use crate::work::mutant;
use crate::work::observe::{Shown, shown};
use crate::work::record::{Duty, Record};

impl Look<'_> {
    /// The duty of a task to end the maintenance of its server, while it has it.
    pub(super) fn maintenance(ask: &Ask<'_>) -> Option<Duty> {
        let duty = Duty::Maintenance { sds: ask.task.sds.clone()? };
        let open = ask.book.obligation(&duty)?;
        (open.run == ask.run.id && open.task == ask.number).then_some(duty)
    }

    /// The duty to end a maintenance that is none: every order to begin it was refused, or came to nothing.
    pub(super) fn not_ours(&self, ask: &Ask<'_>, state: &TaskState, step: &Step) -> Option<Duty> {
        let adrift = state.adrift.get(&StepKind::EnterMaintenance).is_some_and(|orders| *orders > 0);
        let at_hand = step.action.kind() == StepKind::EnterMaintenance && state.step == StepState::Pending;
        if at_hand && !adrift && !mutant::is("take what others began") { Self::maintenance(ask) } else { None }
    }

    /// The duty to end a maintenance that somebody else ended: the server was seen in it, and is outside now. Of one that
    /// we ordered to leave the step at hand tells.
    pub(super) fn ended_by_others(&self, ask: &Ask<'_>, state: &TaskState, step: &Step) -> Option<Duty> {
        let kind = step.action.kind();
        // One that was taken over was seen in it before the first step.
        let entered = ask.task.steps.iter().position(|step| step.action.kind() == StepKind::EnterMaintenance);
        if entered.is_some_and(|entered| state.place as usize <= entered)
            || kind == StepKind::ExitMaintenance
            || mutant::is("keep what others ended")
        {
            return None;
        }
        let duty = Self::maintenance(ask)?;
        let outside = shown(&self.facts, ask.task, state, &Action::ExitMaintenance, state.since) == Shown::Done;
        outside.then_some(duty)
    }

    /// Whether a step would stop the server, which is in no maintenance of ours any more: somebody else ended it.
    pub(super) fn stops_outside(&self, ask: &Ask<'_>, state: &TaskState, step: &Step) -> bool {
        let stops = match &step.action {
            Action::Apply { components, .. } | Action::Rollback { components, .. } => {
                components.contains(&Component::Sds)
            }
            Action::Reboot | Action::Handwork => true,
            _ => false,
        };
        stops && state.touched.contains_key(&StepKind::EnterMaintenance) && Self::maintenance(ask).is_none()
    }

    /// Whether the host said, since the step at hand is that, that its server runs. One that was stopped by what is to be
    /// put back does not, and stays down until that is done.
    pub(super) fn runs(&self, ask: &Ask<'_>, state: &TaskState) -> bool {
        let host = self.facts.nodes.get(&ask.task.node);
        host.is_some_and(|host| host.seen_at > state.since && host.running.contains(&Component::Sds))
    }
    /// Whether a step back would stop the MDM that owns the cluster by now.
    pub(super) fn would_stop_the_owner(&self, ask: &Ask<'_>, state: &TaskState, step: &Step) -> bool {
        let Action::Rollback { components, .. } = &step.action else { return false };
        let owner = self.facts.mdm().filter(|(_, at)| *at > state.since).and_then(|(cluster, _)| cluster.primary());
        components.contains(&Component::Mdm) && owner.is_some_and(|owner| Some(&owner.id) == ask.task.mdm.as_ref())
    }

    pub(super) fn leave_out(&mut self, ask: &Ask<'_>, state: &TaskState, why: &str) {
        let (run, task, place) = (ask.run.id.clone(), ask.number, state.place);
        self.turn.records.push(Record::LeftOut { run, task, place, why: why.into() });
    }
}
