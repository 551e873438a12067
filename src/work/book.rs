//! All that is known of runs, tasks and obligations: the sum of the records.

mod answered;
mod before;
mod bounds;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::facts::AlertName;
use super::record::{Duty, Effect, End, Obligation, Record};
use crate::model::hold::Override;
use crate::model::id::{NodeName, PlanId, RunId};
use crate::model::lifecycle::RunPast;
use crate::model::plan::{Approval, Plan, Request, Step, Task};
use crate::model::step::{Action, Answer, MaintenanceMode, StepId, StepKind, StepState};
use crate::model::unit::Timestamp;

pub use before::{Before, WayBack};
pub use bounds::PAST;

/// How long after an order it may still arrive: our requests give up after
/// 30 s, and what is in a gateway's or master's queue then is done within as
/// long again. Only what is seen later than this shows that it never was done.
pub const SETTLE: TimeDelta = TimeDelta::seconds(90);

/// Where a task stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "standing")]
#[allow(missing_docs)]
pub enum Standing {
    /// Not begun.
    Waiting,
    /// Its steps are being done.
    Working,
    /// It was given up, and the steps that lead back are being done.
    Undoing { why: Box<str> },
    /// All steps are confirmed.
    Done,
    /// It was given up, and nothing of it is left.
    Undone { why: Box<str> },
    /// A person left it out.
    Skipped,
}

impl Standing {
    /// Whether something of it is under way.
    pub const fn in_work(&self) -> bool {
        matches!(self, Self::Working | Self::Undoing { .. })
    }
}

/// How far a task is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct TaskState {
    pub standing: Standing,
    /// The step at hand, counted through the plan's and then the undoing ones.
    pub place: u32,
    pub step: StepState,
    /// When the step at hand became that.
    pub since: Timestamp,
    /// When the task was begun.
    #[serde(default)]
    pub began_at: Option<Timestamp>,
    /// Steps that lead back.
    pub undo: Vec<Step>,
    /// Kinds of effects that may have happened, with the moment of the last intention.
    pub touched: BTreeMap<StepKind, Timestamp>,
    /// How many orders of each kind may still arrive: they were not answered, or their effect was not seen yet.
    pub adrift: BTreeMap<StepKind, u32>,
    /// The MDM said that it ends the maintenance, or refused the last order to begin it after the task was given up: one
    /// that is seen after that is somebody else's.
    #[serde(default)]
    pub left: bool,
    /// Place and attempt of the last order to begin a maintenance, until that is confirmed.
    #[serde(default)]
    pub entering: Option<(u32, u32)>,
    /// The boot id of the host when the last order was given to its agent.
    pub boot_id: Option<Box<str>>,
    /// Since when all has been well, in a soak.
    pub well_since: Option<Timestamp>,
    pub overdue: Option<Box<str>>,
    /// What the last order came to, if it was not accepted.
    pub refused: Option<(Timestamp, Answer)>,
    /// Orders given for the step at hand.
    pub attempts: u32,
    /// Since when data of the node has had one copy, while that is so by our doing.
    #[serde(default)]
    pub single_since: Option<Timestamp>,
    /// Seconds for which it had.
    #[serde(default)]
    pub single_seconds: i64,
}

/// One execution of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Run {
    pub id: RunId,
    pub plan: Arc<Plan>,
    /// The hash of the plan.
    pub plan_id: PlanId,
    pub approval: Approval,
    pub baseline: BTreeSet<AlertName>,
    pub opened_at: Timestamp,
    pub tasks: Vec<TaskState>,
    pub paused: Option<Box<str>>,
    pub cancelled: Option<Box<str>>,
    pub halted: Option<Box<str>>,
    pub failures: u32,
    pub overrides: Vec<Override>,
    pub end: Option<End>,
    /// When that was.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
}

impl Run {
    /// Whether it sends nodes back to the release that they had.
    pub fn goes_back(&self) -> bool {
        matches!(self.plan.request, Request::Back { .. })
    }

    /// The tasks of the plan, each with its stage and its state.
    pub fn each(&self) -> impl Iterator<Item = (u32, usize, &Task, &TaskState)> {
        let numbered = self.plan.tasks().zip(&self.tasks).zip(0..);
        numbered.map(|(((stage, _, task), state), number)| (number, stage, task, state))
    }

    /// The tasks that stand so.
    pub fn those(&self, stand_so: impl Fn(&Standing) -> bool) -> impl Iterator<Item = (u32, usize, &Task, &TaskState)> {
        let numbered = self.tasks.iter().zip(0..).filter(move |(state, _)| stand_so(&state.standing));
        numbered
            .filter_map(|(state, number)| self.plan.task(number).map(|(stage, _, task)| (number, stage, task, state)))
    }

    /// A task of the plan, with its state.
    pub fn task(&self, number: u32) -> Option<(&Task, &TaskState)> {
        let (_, _, task) = self.plan.task(number)?;
        Some((task, self.tasks.get(number as usize)?))
    }

    /// The step at hand of a task.
    pub fn step_at_hand<'a>(task: &'a Task, state: &'a TaskState) -> Option<&'a Step> {
        let place = state.place as usize;
        task.steps.get(place).filter(|_| !matches!(state.standing, Standing::Undoing { .. })).or_else(|| {
            matches!(state.standing, Standing::Undoing { .. })
                .then(|| state.undo.get(place.checked_sub(task.steps.len())?))
                .flatten()
        })
    }
}

/// Plans by their hash.
pub type Plans = BTreeMap<PlanId, Arc<Plan>>;

/// The sum of all records, and the plans that are on file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Book {
    /// Plans that runs may be of. They are no records: a plan says nothing until a record names its hash.
    pub plans: Plans,
    pub runs: BTreeMap<RunId, Arc<Run>>,
    pub obligations: Vec<Obligation>,
    pub held: BTreeMap<NodeName, Option<Timestamp>>,
    /// Nodes that were taken out for good.
    #[serde(default)]
    pub retired: BTreeSet<NodeName>,
    pub quarantined: BTreeMap<Box<str>, Box<str>>,
    /// What components of nodes were before the release that we gave them, until the upgrade is final.
    #[serde(default)]
    pub before: Before,
    /// When the last order may have changed something: what was seen before says nothing of now.
    pub changed_at: Option<Timestamp>,
    /// The highest epoch that had an effect written down.
    pub epoch: u64,
    /// When the last record was written.
    pub at: Option<Timestamp>,
    /// Runs that are over and of which only the history has all.
    #[serde(default)]
    pub put_away: u64,
    /// The newest of them, the newest last.
    #[serde(default)]
    pub past: Vec<RunPast>,
}

/// Why a record does not fit what is written before it: the journal is damaged, or we have a bug.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Misfit {
    #[error("there is no run {0}")]
    NoRun(RunId),
    #[error("run {0} is there already, or another one is open")]
    RunOpen(RunId),
    #[error("plan {0} is not on file")]
    NoPlan(PlanId),
    #[error("run {run} has no task {task}")]
    NoTask { run: RunId, task: u32 },
    #[error("task {task} of run {run} is {standing:?}, and {what} does not follow that")]
    NotSo { run: RunId, task: u32, standing: Standing, what: &'static str },
    #[error("epoch {given} is older than {seen}")]
    OldEpoch { given: u64, seen: u64 },
    #[error("run {0} cannot end: something of it is in work or not undone")]
    NotOver(RunId),
    #[error("there is no such duty: {0:?}")]
    NoDuty(Duty),
}

impl Book {
    /// The run that is not over, of which there is at most one.
    pub fn open_run(&self) -> Option<&Run> {
        self.runs.values().map(|run| &**run).find(|run| run.end.is_none())
    }

    /// The obligation for a duty.
    pub fn obligation(&self, duty: &Duty) -> Option<&Obligation> {
        self.obligations.iter().find(|obligation| obligation.duty == *duty)
    }

    /// Tasks of any run that are in work.
    pub fn in_work(&self) -> impl Iterator<Item = (&Run, u32, &Task, &TaskState)> {
        let open = self.runs.values().map(|run| &**run).filter(|run| run.end.is_none());
        open.flat_map(|run| {
            run.those(Standing::in_work).map(move |(number, _, task, state)| (run, number, task, state))
        })
    }

    /// Orders of which it is not known yet what came of them.
    pub fn awaited(&self) -> impl Iterator<Item = StepId> {
        self.in_work().filter_map(|(run, task, _, state)| {
            Some(StepId { run: run.id.clone(), task, place: state.place, attempt: state.ordered()? })
        })
    }

    /// Obligations that have lasted longer than they may.
    pub fn overdue(&self, now: Timestamp) -> impl Iterator<Item = &Obligation> {
        self.obligations.iter().filter(move |obligation| now >= obligation.deadline)
    }

    fn run(&mut self, id: &RunId) -> Result<&mut Run, Misfit> {
        self.runs
            .get_mut(id)
            .filter(|run| run.end.is_none())
            .map(Arc::make_mut)
            .ok_or_else(|| Misfit::NoRun(id.clone()))
    }

    fn task(
        &mut self,
        id: &RunId,
        task: u32,
        what: &'static str,
        fits: impl Fn(&Standing) -> bool,
    ) -> Result<(u32, &mut TaskState), Misfit> {
        let run = self.run(id)?;
        let planned = run.plan.task(task).map_or(0, |(_, _, task)| task.steps.len() as u32);
        let state = run.tasks.get_mut(task as usize).ok_or_else(|| Misfit::NoTask { run: id.clone(), task })?;
        if fits(&state.standing) {
            Ok((planned, state))
        } else {
            Err(Misfit::NotSo { run: id.clone(), task, standing: state.standing.clone(), what })
        }
    }

    /// A task in work, whose step at hand is this one.
    fn at_place(
        &mut self,
        id: &RunId,
        task: u32,
        place: u32,
        what: &'static str,
    ) -> Result<(u32, &mut TaskState), Misfit> {
        let (planned, state) = self.task(id, task, what, Standing::in_work)?;
        if state.place == place {
            return Ok((planned, state));
        }
        Err(Misfit::NotSo { run: id.clone(), task, standing: state.standing.clone(), what })
    }

    fn action_at_hand(&self, id: &RunId, task: u32) -> Option<Action> {
        let (task, state) = self.runs.get(id)?.task(task)?;
        Some(Run::step_at_hand(task, state)?.action.clone())
    }

    fn kind_at_hand(&self, id: &RunId, task: u32) -> Option<StepKind> {
        let (task, state) = self.runs.get(id)?.task(task)?;
        Some(Run::step_at_hand(task, state)?.action.kind())
    }

    /// Takes a record in. One that does not fit changes nothing.
    pub fn apply(&mut self, record: &Record, at: Timestamp) -> Result<(), Misfit> {
        match record {
            Record::Opened { run, plan, approval, baseline } => {
                if self.runs.contains_key(run) || self.open_run().is_some() {
                    return Err(Misfit::RunOpen(run.clone()));
                }
                let plan_id = plan.clone();
                let plan = self.plans.get(plan).ok_or_else(|| Misfit::NoPlan(plan_id.clone()))?;
                let opened = Run::of(run.clone(), Arc::clone(plan), plan_id, approval.clone(), baseline.clone(), at);
                self.runs.insert(run.clone(), Arc::new(opened));
            }
            Record::Accepted { run, .. } => drop(self.run(run)?.id.clone()),
            Record::Began { run, task } => {
                let (_, state) = self.task(run, *task, "a beginning", |at| *at == Standing::Waiting)?;
                state.standing = Standing::Working;
                state.since = at;
                state.began_at = Some(at);
            }
            Record::Took { obligation } => {
                self.task(&obligation.run, obligation.task, "an obligation", Standing::in_work)?;
                if self.obligation(&obligation.duty).is_none() {
                    self.obligations.push(obligation.clone());
                }
            }
            Record::Settled { duty } => {
                let before = self.obligations.len();
                self.obligations.retain(|obligation| obligation.duty != *duty);
                if self.obligations.len() == before {
                    return Err(Misfit::NoDuty(duty.clone()));
                }
            }
            Record::Intended { step, epoch, effect, .. } => {
                if *epoch < self.epoch {
                    return Err(Misfit::OldEpoch { given: *epoch, seen: self.epoch });
                }
                let (_, state) = self.task(&step.run, step.task, "an intention", Standing::in_work)?;
                state.step = StepState::Intended { at, attempt: step.attempt };
                state.attempts = step.attempt + 1;
                state.refused = None;
                state.touched.insert(touched_by(effect), at);
                *state.adrift.entry(touched_by(effect)).or_default() += 1;
                if touched_by(effect) == StepKind::EnterMaintenance {
                    state.entering = Some((step.place, step.attempt));
                }
                if let Effect::Order { boot_id, .. } = effect {
                    state.boot_id = Some(boot_id.clone());
                }
                self.epoch = *epoch;
                self.changed_at = Some(at);
            }
            Record::Answered { step, answer } => {
                let kind = self.kind_at_hand(&step.run, step.task);
                let (_, state) = self.task(&step.run, step.task, "an answer", |_| true)?;
                if state.answered(kind, step, answer, at) {
                    self.changed_at = Some(at);
                }
            }
            Record::Confirmed { run, task, place } => {
                let action = self.action_at_hand(run, *task);
                let (planned, state) = self.at_place(run, *task, *place, "a confirmation")?;
                if let Some(Action::EnterMaintenance { .. }) = &action {
                    state.entering = None;
                }
                match &action {
                    // In instant maintenance what lies on the node is frozen, until it was copied back.
                    Some(Action::EnterMaintenance { mode: MaintenanceMode::Instant }) => {
                        // The order may have been obeyed as soon as it was given.
                        state.single_since = state.touched.get(&StepKind::EnterMaintenance).copied();
                    }
                    Some(Action::AwaitResync) => {
                        if let Some(since) = state.single_since.take() {
                            state.single_seconds += (at - since).num_seconds();
                        }
                    }
                    _ => {}
                }
                state.go_on(planned, at);
                if let Some(action) = action {
                    self.changed(run, *task, action);
                }
            }
            Record::Lost { step } => {
                let kind = self.kind_at_hand(&step.run, step.task);
                let what = "an order that came to nothing";
                let (_, state) = self.at_place(&step.run, step.task, step.place, what)?;
                if state.ordered() != Some(step.attempt) {
                    let (run, standing) = (step.run.clone(), state.standing.clone());
                    return Err(Misfit::NotSo { run, task: step.task, standing, what });
                }
                state.step = StepState::Pending;
                // What was ordered before it cannot arrive any more either.
                kind.and_then(|kind| state.adrift.remove(&kind));
            }
            Record::LeftOut { run, task, place, .. } => {
                let (planned, state) = self.at_place(run, *task, *place, "a step that is left out")?;
                state.go_on(planned, at);
            }
            Record::Well { run, task, since } => {
                self.task(run, *task, "a soak", Standing::in_work)?.1.well_since = *since;
            }
            Record::Failed { run, task, why, undo, counts } => {
                let (planned, state) = self.task(run, *task, "a failure", |at| *at == Standing::Working)?;
                state.undo.clone_from(undo);
                state.place = planned;
                state.step = StepState::Pending;
                state.since = at;
                state.well_since = None;
                state.refused = None;
                state.attempts = 0;
                state.standing = if undo.is_empty() {
                    Standing::Undone { why: why.clone() }
                } else {
                    Standing::Undoing { why: why.clone() }
                };
                if *counts {
                    self.run(run)?.failures += 1;
                }
            }
            Record::Waited { run, task, .. } => {
                self.task(run, *task, "a wait", |_| true)?;
            }
            Record::Overdue { run, task, why } => {
                self.task(run, *task, "a delay", Standing::in_work)?.1.overdue = Some(why.clone());
            }
            Record::Halted { run, why } => self.run(run)?.halted = Some(why.clone()),
            Record::Closed { run, end } => {
                let open = self.obligations.iter().any(|obligation| obligation.run == *run);
                let id = run.clone();
                let run = self.run(run)?;
                if open || run.tasks.iter().any(|task| task.standing.in_work()) {
                    return Err(Misfit::NotOver(id));
                }
                run.end = Some(end.clone());
                run.ended_at = Some(at);
                // Nobody makes it ready again until a person lets it come back.
                if let (End::Done, Request::Remove { node } | Request::Replace { node, .. }) = (end, &run.plan.request)
                {
                    let node = node.clone();
                    self.retired.insert(node);
                }
            }
            Record::Paused { run, by } => self.run(run)?.paused = Some(by.clone()),
            Record::Resumed { run, .. } => self.run(run)?.paused = None,
            Record::Cancelled { run, by } => self.run(run)?.cancelled = Some(by.clone()),
            Record::Skipped { run, task, .. } => {
                self.task(run, *task, "a skip", |at| *at == Standing::Waiting)?.1.standing = Standing::Skipped;
            }
            Record::HeldNode { node, until, .. } => {
                self.held.insert(node.clone(), *until);
            }
            Record::Released { node, .. } => {
                self.held.remove(node);
                self.retired.remove(node);
            }
            Record::Overridden { run, given } => self.run(run)?.overrides.push(given.clone()),
            Record::Quarantined { version, why } => {
                self.quarantined.insert(version.clone(), why.clone());
            }
            Record::Freed { version, .. } => {
                self.quarantined.remove(version);
            }
        }
        self.at = Some(at);
        Ok(())
    }
}

const fn touched_by(effect: &Effect) -> StepKind {
    match effect {
        Effect::Enter { .. } => StepKind::EnterMaintenance,
        Effect::Exit { .. } => StepKind::ExitMaintenance,
        Effect::SwitchMdm { .. } => StepKind::SwitchMdm,
        Effect::RemoveSds { .. } => StepKind::Evacuate,
        Effect::KeepSds { .. } => StepKind::KeepSds,
        Effect::RemoveSdc { .. } => StepKind::RemoveSdc,
        Effect::Finalise => StepKind::Finalise,
        Effect::Drain { .. } => StepKind::Drain,
        Effect::Reactivate { .. } => StepKind::Reactivate,
        Effect::Order { permit, .. } => permit.action.kind(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::{SdsId, SystemId};
    use crate::model::plan::{Basis, Limits, Parallel, Request, Risk, Stage};
    use crate::model::step::{Action, MaintenanceMode};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_timestamp(second, 0).unwrap()
    }

    fn plan() -> Plan {
        let mode = MaintenanceMode::Instant;
        let step = |action| Step { action, deadline_seconds: 60, predicted_seconds: 60, risk: Risk::None };
        let task = Task {
            node: NodeName::new("a"),
            agent: None,
            sds: Some(SdsId::new("1")),
            domain: None,
            fault_set: None,
            mdm: None,
            carries: BTreeSet::new(),
            from: None,
            steps: vec![step(Action::EnterMaintenance { mode }), step(Action::ExitMaintenance)],
        };
        let stage = Stage {
            name: "sds".into(),
            parallel: Parallel::All,
            most: 1,
            domains: 1,
            canary: false,
            tasks: vec![task],
        };
        Plan {
            form: crate::model::plan::FORM,
            system: SystemId::new("prod"),
            request: Request::Rollout,
            made_at: at(0),
            parent: None,
            based_on: Basis::default(),
            limits: Limits::default(),
            stages: vec![stage],
        }
    }

    /// What may still arrive after these attempts, each with the answer that was heard, and after the effect was seen.
    fn adrift(attempts: &[Option<Answer>]) -> BTreeMap<StepKind, u32> {
        let plan = Arc::new(plan());
        let (run, id) = (RunId::new("r"), plan.id());
        let mut book = Book { plans: [(id.clone(), Arc::clone(&plan))].into(), ..Book::default() };
        let approval = Approval::Hash { plan: id.clone(), by: "me".into(), at: at(0) };
        let opened = Record::Opened { run: run.clone(), plan: id, approval, baseline: BTreeSet::new() };
        book.apply(&opened, at(1)).unwrap();
        book.apply(&Record::Began { run: run.clone(), task: 0 }, at(1)).unwrap();
        for (attempt, answer) in (0..).zip(attempts) {
            let step = StepId { run: run.clone(), task: 0, place: 0, attempt };
            let effect = Effect::Enter { sds: SdsId::new("1"), mode: MaintenanceMode::Instant };
            let intended = Record::Intended { step: step.clone(), epoch: 1, effect, gate: "".into() };
            book.apply(&intended, at(2)).unwrap();
            if let Some(answer) = answer {
                for _ in 0..2 {
                    book.apply(&Record::Answered { step: step.clone(), answer: answer.clone() }, at(3)).unwrap();
                }
            }
        }
        book.apply(&Record::Confirmed { run: run.clone(), task: 0, place: 0 }, at(4)).unwrap();
        book.runs[&run].tasks[0].adrift.clone()
    }

    #[test]
    fn an_order_that_was_not_answered_may_still_arrive_whatever_came_of_the_next_one() {
        let one = BTreeMap::from([(StepKind::EnterMaintenance, 1)]);
        let unknown = Answer::Unknown { why: "cut off".into() };
        let refused = Answer::Refused { why: "busy".into() };
        assert_eq!(adrift(&[Some(Answer::Accepted)]), BTreeMap::new());
        assert_eq!(adrift(&[None]), one);
        assert_eq!(adrift(&[Some(unknown)]), one);
        assert_eq!(adrift(&[None, Some(Answer::Accepted)]), one);
        assert_eq!(adrift(&[Some(refused), Some(Answer::Accepted)]), BTreeMap::new());
    }

    #[test]
    fn an_order_is_awaited_until_it_is_known_what_came_of_it() {
        let plan = Arc::new(plan());
        let (run, id) = (RunId::new("r"), plan.id());
        let mut book = Book { plans: [(id.clone(), Arc::clone(&plan))].into(), ..Book::default() };
        let approval = Approval::Hash { plan: id.clone(), by: "me".into(), at: at(0) };
        let step = StepId { run: run.clone(), task: 0, place: 0, attempt: 2 };
        let effect = Effect::Enter { sds: SdsId::new("1"), mode: MaintenanceMode::Instant };
        let mut awaited = |record: Record| {
            book.apply(&record, at(1)).unwrap();
            book.awaited().collect::<Vec<_>>()
        };
        awaited(Record::Opened { run: run.clone(), plan: id, approval, baseline: BTreeSet::new() });
        assert_eq!(awaited(Record::Began { run, task: 0 }), []);
        let intended = Record::Intended { step: step.clone(), epoch: 1, effect, gate: "".into() };
        let one = vec![step.clone()];
        assert_eq!(awaited(intended.clone()), one);
        assert_eq!(awaited(Record::Answered { step: step.clone(), answer: Answer::Accepted }), one);
        let failed = Answer::Failed { why: "no space".into() };
        assert_eq!(awaited(Record::Answered { step: step.clone(), answer: failed }), []);
        assert_eq!(awaited(intended), one);
        assert_eq!(awaited(Record::Lost { step }), []);
    }
}
