//! What people may tell a run, and what is said when that makes no sense.

use std::collections::BTreeSet;

use super::book::{Book, Standing};
use super::check::{self, Unsafe};
use super::facts::{AlertName, Facts};
use super::record::{Duty, Handed, Obligation, Record};
use crate::model::hold::{Hardness, Override};
use crate::model::id::{NodeName, PlanId, RunId};
use crate::model::plan::{Approval, Plan, Request};
use crate::model::state::Maintenance;
use crate::model::step::{Action, MaintenanceMode};

/// Why a command is not obeyed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum No {
    #[error("run {0} is not over; wait for it, or cancel it")]
    Busy(RunId),
    #[error("there is no run {0} that is not over")]
    NoRun(RunId),
    #[error("no plan with the hash {0} is on file; make one with `sio plan`, and approve the hash that it shows")]
    NoPlan(PlanId),
    #[error("the plan is unsafe: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Unsafe(BTreeSet<Unsafe>),
    #[error("the run is paused by {0} already")]
    Paused(Box<str>),
    #[error("the run is not paused")]
    NotPaused,
    #[error("the run is cancelled already")]
    Cancelled,
    #[error("{0} has no task that could be skipped: it was begun, is over, or is not in the plan")]
    NothingToSkip(NodeName),
    #[error("{run} works on {node}, and ends itself what it began; cancel it to have that sooner")]
    InWork { run: RunId, node: NodeName },
    #[error(
        "the MDM took our order to end the maintenance of {node}, and somebody began another one after it. {run} ends none but its own: end \
         this one by hand (scli --exit_maintenance_mode), and {run} goes on by itself"
    )]
    BegunAgain { run: RunId, node: NodeName },
    #[error("the maintenance of {node} is ours already: {run} ends it")]
    Ours { run: RunId, node: NodeName },
    #[error("nobody can override {0}: {1}")]
    Hard(String, &'static str),
    #[error("an override needs a reason in words, and an end that lies ahead and within a day")]
    NoReason,
}

/// A run of an approved plan. These alerts were there when it was approved.
pub fn open(
    book: &Book,
    facts: &Facts<'_>,
    run: RunId,
    plan: &PlanId,
    approval: Approval,
    baseline: BTreeSet<AlertName>,
) -> Result<Vec<Record>, No> {
    let filed = book.plans.get(plan).ok_or_else(|| No::NoPlan(plan.clone()))?;
    // Without its duty nothing of it is ours to end.
    if let Request::Adopt { .. } = filed.request {
        return Err(No::NoPlan(plan.clone()));
    }
    opened(book, facts, run, filed, approval, baseline)
}

fn opened(
    book: &Book,
    facts: &Facts<'_>,
    run: RunId,
    plan: &Plan,
    approval: Approval,
    baseline: BTreeSet<AlertName>,
) -> Result<Vec<Record>, No> {
    if let Some(open) = book.open_run() {
        return Err(No::Busy(open.id.clone()));
    }
    let mut wrong = check::check(plan, facts, &book.before);
    wrong.extend(check::covers(&approval, plan, facts));
    if !wrong.is_empty() {
        return Err(No::Unsafe(wrong));
    }
    let by = match &approval {
        Approval::Hash { by, .. } | Approval::Policy { by, .. } => by.clone(),
    };
    let mut records = vec![Record::Opened { run, plan: plan.id(), approval, baseline }];
    // Nobody brings it to a node again, by the calendar least of all, until a person frees it.
    records.extend(
        left(plan, book).into_iter().map(|version| Record::Quarantined {
            version,
            why: format!("nodes were sent back from it by {by}").into(),
        }),
    );
    Ok(records)
}

/// The releases that nodes of a plan leave by going back.
fn left(plan: &Plan, book: &Book) -> BTreeSet<Box<str>> {
    let mut left = BTreeSet::new();
    for (_, _, task) in plan.tasks() {
        for step in &task.steps {
            let Action::Rollback { components, .. } = &step.action else { continue };
            let ways = book.before.get(&task.node).into_iter().flatten();
            left.extend(ways.filter(|(component, _)| components.contains(component)).map(|(_, way)| way.to.clone()));
        }
    }
    left
}

/// A maintenance of somebody else is handed over: it is our duty to end it from here on, and the run of this plan does.
pub fn adopt(
    book: &Book,
    facts: &Facts<'_>,
    run: RunId,
    plan: &Plan,
    by: &str,
    baseline: BTreeSet<AlertName>,
) -> Result<Vec<Record>, No> {
    let Request::Adopt { mode, because, .. } = &plan.request else { return Err(No::NoPlan(plan.id())) };
    let approval = Approval::Hash { plan: plan.id(), by: by.into(), at: facts.now };
    let mut duties = Vec::new();
    for (task, (_, _, planned)) in (0..).zip(plan.tasks()) {
        let Some(sds) = planned.sds.clone() else { continue };
        let exit = planned.steps.iter().find(|step| step.action == Action::ExitMaintenance);
        // To leave protected mode moves data, and takes what it takes.
        let moves = exit.filter(|_| *mode == MaintenanceMode::Protected).map_or(0, |step| step.deadline_seconds);
        let seconds = i64::from(plan.limits.maintenance_seconds) + i64::from(moves);
        duties.push(Record::Began { run: run.clone(), task });
        duties.push(Record::Took {
            obligation: Obligation {
                duty: Duty::Maintenance { sds },
                run: run.clone(),
                task,
                node: planned.node.clone(),
                mode: Some(*mode),
                since: facts.now,
                deadline: facts.now + chrono::TimeDelta::seconds(seconds),
                handed: Some(Handed { by: by.into(), because: because.clone() }),
            },
        });
    }
    let mut records = opened(book, facts, run, plan, approval, baseline)?;
    records.extend(duties);
    Ok(records)
}

/// Whether the maintenance that a node is in is one that nobody but a person can call ours.
pub fn is_theirs(book: &Book, facts: &Facts<'_>, node: &NodeName) -> Result<(), No> {
    let Some((run, _, task, state)) = book.in_work().find(|(_, _, task, _)| task.node == *node) else { return Ok(()) };
    let (run, node) = (run.id.clone(), node.clone());
    let sds = task.sds.as_ref().and_then(|id| facts.sds(id)).map(|(sds, _)| sds);
    let is_inside = sds.is_some_and(|sds| sds.maintenance.is(Maintenance::In));
    let duty = task.sds.clone().and_then(|sds| book.obligation(&Duty::Maintenance { sds }));
    Err(match duty {
        Some(_) if state.left && is_inside => No::BegunAgain { run, node },
        Some(_) => No::Ours { run, node },
        None => No::InWork { run, node },
    })
}

/// A maintenance that was handed over was begun in another mode than was said then: it is left in this one. Nothing, where
/// none of the node was handed over, or that is its mode already.
pub fn correct(book: &Book, node: &NodeName, mode: MaintenanceMode, by: &str, because: &str) -> Option<Vec<Record>> {
    let (_, _, task, _) = book.in_work().find(|(_, _, task, _)| task.node == *node)?;
    let duty = Duty::Maintenance { sds: task.sds.clone()? };
    let open = book.obligation(&duty).filter(|open| open.handed.is_some() && open.mode != Some(mode))?;
    let handed = Some(Handed { by: by.into(), because: because.into() });
    let obligation = Obligation { mode: Some(mode), handed, ..open.clone() };
    Some(vec![Record::Settled { duty }, Record::Took { obligation }])
}

fn of<'a>(book: &'a Book, run: &RunId) -> Result<&'a super::book::Run, No> {
    book.runs.get(run).map(|run| &**run).filter(|run| run.end.is_none()).ok_or_else(|| No::NoRun(run.clone()))
}

/// Nothing more is begun until it is resumed; what is in work goes on to its end.
pub fn pause(book: &Book, run: &RunId, by: &str) -> Result<Vec<Record>, No> {
    match &of(book, run)?.paused {
        Some(other) => Err(No::Paused(other.clone())),
        None => Ok(vec![Record::Paused { run: run.clone(), by: by.into() }]),
    }
}

/// Work goes on.
pub fn resume(book: &Book, run: &RunId, by: &str) -> Result<Vec<Record>, No> {
    let Some(_) = &of(book, run)?.paused else { return Err(No::NotPaused) };
    Ok(vec![Record::Resumed { run: run.clone(), by: by.into() }])
}

/// Nothing more is begun, and what is in work is undone.
pub fn cancel(book: &Book, run: &RunId, by: &str) -> Result<Vec<Record>, No> {
    if of(book, run)?.cancelled.is_some() {
        return Err(No::Cancelled);
    }
    Ok(vec![Record::Cancelled { run: run.clone(), by: by.into() }])
}

/// The tasks of a node that were not begun are left out.
pub fn skip(book: &Book, run: &RunId, node: &NodeName, by: &str) -> Result<Vec<Record>, No> {
    let waiting =
        of(book, run)?.each().filter(|(_, _, task, state)| task.node == *node && state.standing == Standing::Waiting);
    let records: Vec<Record> =
        waiting.map(|(task, _, _, _)| Record::Skipped { run: run.clone(), task, by: by.into() }).collect();
    if records.is_empty() { Err(No::NothingToSkip(node.clone())) } else { Ok(records) }
}

/// A soft hold shall not hold.
pub fn lift(book: &Book, run: &RunId, given: Override, now: crate::model::unit::Timestamp) -> Result<Vec<Record>, No> {
    of(book, run)?;
    if given.reason.hardness() == Hardness::Hard {
        return Err(No::Hard(format!("{:?}", given.reason), given.reason.clears()));
    }
    if given.why.trim().is_empty() || given.until <= now || given.until - now > chrono::TimeDelta::days(1) {
        return Err(No::NoReason);
    }
    Ok(vec![Record::Overridden { run: run.clone(), given }])
}
