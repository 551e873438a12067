//! Which steps lead back from a task that is given up? The same for a failure and a cancellation.

use super::book::{Book, TaskState};
use super::mutant;
use super::record::Duty;
use crate::model::hold::ReasonKind;
use crate::model::plan::{Risk, Step, Task};
use crate::model::step::{Action, Component, StepKind};

/// Why a task is given up, as far as the way back depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// What was installed does not work, or a person wants it back.
    TakeBack,
    /// The rest of the system needs this node as it is now.
    Danger,
    /// What was installed is put back and not to blame: somebody else ended the maintenance, or it took too long.
    Blameless,
}

/// Time for a step that leads back, after which a person is told. Nothing else follows from it.
const PATIENCE_SECONDS: u32 = 15 * 60;

fn step(action: Action) -> Step {
    Step { action, deadline_seconds: PATIENCE_SECONDS, predicted_seconds: 60, risk: Risk::Low }
}

/// The way back.
pub fn undo(book: &Book, task: &Task, state: &TaskState, cause: Cause) -> Vec<Step> {
    let mut steps = Vec::new();
    if mutant::is("undo nothing") {
        return steps;
    }
    let sds = task.sds.clone().map(|sds| Duty::Maintenance { sds });
    let in_maintenance = sds.is_some_and(|duty| book.obligation(&duty).is_some());
    let applied = task.steps.iter().find_map(|step| match &step.action {
        Action::Apply { components, .. } if state.touched.contains_key(&StepKind::Apply) => Some(components),
        _ => None,
    });
    // An SDS that serves is not stopped outside of maintenance, also not to put back what was. After an exit that was
    // ordered it served, and that may have happened, or happen still, whatever was seen since. Of one whose maintenance
    // somebody else ended it is asked when its turn comes whether it runs.
    let may = |components: &[Component]| {
        !state.touched.contains_key(&StepKind::ExitMaintenance) || !components.contains(&Component::Sds)
    };
    if let (Some(components), Some(version), Cause::TakeBack | Cause::Blameless) = (applied, &task.from, cause)
        && may(components)
    {
        steps.push(step(Action::Rollback { version: version.clone(), components: components.clone() }));
    }
    // Data that has not left yet stays; an SDS that is gone is gone.
    if state.touched.contains_key(&StepKind::Evacuate) {
        steps.push(step(Action::KeepSds));
    }
    if in_maintenance {
        steps.push(step(Action::ExitMaintenance));
        steps.push(step(Action::AwaitResync));
    }
    let agent = task.agent.clone().map(|agent| Duty::Deactivated { agent });
    if agent.is_some_and(|duty| book.obligation(&duty).is_some()) {
        // No package follows one that was put back and does not work: tasks come back to a client that runs, or a person
        // is told. Of a server the MDM is asked where it leaves maintenance.
        if let Some(components) = client_put_back(task, state) {
            steps.push(step(Action::Verify { version: None, components }));
        }
        steps.push(step(Action::Reactivate));
    }
    steps
}

/// The client that a plan puts back, once that may have begun.
fn client_put_back(task: &Task, state: &TaskState) -> Option<Vec<Component>> {
    let is_planned = task.steps.iter().any(|step| match &step.action {
        Action::Rollback { components, .. } => components.contains(&Component::Sdc),
        _ => false,
    });
    (is_planned && state.touched.contains_key(&StepKind::Rollback)).then(|| vec![Component::Sdc])
}

/// Reasons for which a node in maintenance is needed back at once.
pub(super) const fn is_danger(kind: ReasonKind) -> bool {
    matches!(
        kind,
        ReasonKind::DataUnprotected
            | ReasonKind::Moving
            | ReasonKind::RebuildDisabled
            | ReasonKind::SdsAway
            | ReasonKind::SdsAwayElsewhere
            | ReasonKind::DeviceError
            | ReasonKind::TooFewHealthySds
            | ReasonKind::MaintenanceForeign
            | ReasonKind::MaintenanceElsewhere
            | ReasonKind::MdmNotNormal
            | ReasonKind::MdmMemberBad
            | ReasonKind::MdmAlert
            | ReasonKind::Firing
    )
}
