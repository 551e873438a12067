//! What happens next? The one step function: book, facts and a moment come in;
//! records, and effects to be had after those are durable, go out.
//!
//! ```text
//!              gate                                    last step
//!  Waiting ───────────► Working ─────────────────────────────────────► Done
//!                          │ cancel, deadline, failure, danger
//!                          ▼                            last step back
//!                       Undoing ─────────────────────────────────────► Undone
//! ```
//!
//! It may be called at any time and any number of times. What it ordered once
//! it orders again only when the world, seen long enough after, does not show it.

mod late;
mod ours;

use chrono::TimeDelta;

use super::book::{Book, Run, SETTLE, Standing, TaskState};
use super::facts::{Facts, Policy};
use super::gate::{Ask, digest};
use super::mutant;
use super::observe::{Shown, shown, upgraded};
use super::record::{Duty, Effect, End, Obligation, Record};
use super::skew::numbers;
use super::undo::{Cause, is_danger, undo};
use crate::model::cluster::MdmRole;
use crate::model::hold::{Gate, Hold, Reason, ReasonKind};
use crate::model::id::{NodeName, RunId};
use crate::model::permit::{LIFE, Permit};
use crate::model::plan::Step;
use crate::model::state::MdmStatus;
use crate::model::step::{Action, Answer, MaintenanceMode, StepId, StepKind, StepState};
use crate::model::unit::Timestamp;

/// Pause after an order that was refused.
const PAUSE: TimeDelta = TimeDelta::seconds(60);

/// Why a task does not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Wait {
    pub run: RunId,
    pub task: u32,
    pub node: NodeName,
    /// None before it was begun.
    pub step: Option<StepKind>,
    pub holds: Vec<Hold>,
}

/// What comes of one look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// To be written down now.
    pub records: Vec<Record>,
    /// To be done once that is durable.
    pub effects: Vec<(StepId, Effect)>,
}

struct Look<'a> {
    book: &'a Book,
    facts: Facts<'a>,
    policy: &'a Policy,
    epoch: u64,
    turn: Turn,
    /// Why nothing more is done, when that is asked for.
    waits: Option<Vec<Wait>>,
}

/// Looks once and decides.
pub fn step(book: &Book, facts: Facts<'_>, policy: &Policy, epoch: u64) -> Turn {
    look(book, facts, policy, epoch, None).turn
}

/// Why nothing more is done: what a look that decides nothing waits for, with every reason.
pub fn waits(book: &Book, facts: Facts<'_>, policy: &Policy, epoch: u64) -> Vec<Wait> {
    look(book, facts, policy, epoch, Some(Vec::new())).waits.unwrap_or_default()
}

fn look<'a>(book: &'a Book, facts: Facts<'a>, policy: &'a Policy, epoch: u64, waits: Option<Vec<Wait>>) -> Look<'a> {
    let mut look = Look { book, facts, policy, epoch, turn: Turn::default(), waits };
    // A leader that was replaced decides nothing.
    if let Some(run) = book.open_run()
        && epoch >= book.epoch
    {
        look.run(run);
    }
    look
}

impl<'a> Look<'a> {
    fn run(&mut self, run: &'a Run) {
        for (number, _, task, state) in run.those(Standing::in_work) {
            self.task(Ask { facts: self.facts, policy: self.policy, book: self.book, run, number, task }, state);
        }
        if self.turn.records.is_empty() {
            self.begin(run);
        }
        if self.turn.records.is_empty() {
            self.close(run);
        }
    }

    /// Begins one task at most: the next one is judged with this one in the book.
    fn begin(&mut self, run: &'a Run) {
        let stopped = run.cancelled.is_some() || run.halted.is_some() || run.failures >= run.plan.limits.failures;
        if stopped && !mutant::is("admit after stop") {
            return;
        }
        let waiting = || run.those(|standing| *standing == Standing::Waiting);
        let Some((_, stage, _, _)) = waiting().next() else { return };
        for (number, _, task, _) in waiting().take_while(|(_, of, _, _)| *of == stage) {
            let ask = Ask { facts: self.facts, policy: self.policy, book: self.book, run, number, task };
            if ask.is_admitted() {
                self.turn.records.push(Record::Began { run: run.id.clone(), task: number });
                return;
            }
            self.wait(&ask, None, || match ask.admit() {
                Gate::Go => Vec::new(),
                Gate::Hold(holds) => holds,
            });
        }
    }

    fn close(&mut self, run: &Run) {
        if run.tasks.iter().any(|task| task.standing.in_work()) {
            return;
        }
        let undone = run.each().find_map(|(_, stage, task, state)| match &state.standing {
            Standing::Undone { why } => Some((stage, format!("{}: {why}", task.node))),
            _ => None,
        });
        let first_waiting = run.each().find(|(_, _, _, state)| state.standing == Standing::Waiting);
        let end = if run.cancelled.is_some() {
            Some(End::Cancelled)
        } else if let Some(why) = &run.halted {
            Some(End::Halted { why: why.clone() })
        } else {
            match (undone, first_waiting) {
                // What comes after builds on what failed, and a stage on its canary.
                (Some((failed, why)), Some((_, stage, _, _)))
                    if stage > failed || run.plan.stages.get(stage).is_some_and(|stage| stage.canary) =>
                {
                    Some(End::Halted { why: why.into() })
                }
                (Some((_, why)), None) => Some(End::Halted { why: why.into() }),
                (None, None) => Some(End::Done),
                (_, Some(_)) => None,
            }
        };
        if let Some(end) = end {
            self.turn.records.push(Record::Closed { run: run.id.clone(), end });
        }
    }

    fn task(&mut self, ask: Ask<'a>, state: &'a TaskState) {
        let Some(step) = Run::step_at_hand(ask.task, state) else { return };
        let working = state.standing == Standing::Working;
        if let Some(duty) = self.not_ours(&ask, state, step).or_else(|| self.ended_by_others(&ask, state, step)) {
            self.turn.records.push(Record::Settled { duty });
            return;
        }
        if working
            && let Some(by) = &ask.run.cancelled
            && !self.may_be_obeyed(state, step)
        {
            return self.fail(&ask, state, &format!("cancelled by {by}"), Cause::TakeBack, false);
        }
        if working && self.has_lasted(&ask, state, step) {
            let why = format!("the maintenance of the SDS of {} takes longer than it may", ask.task.node);
            return self.fail(&ask, state, &why, Cause::Blameless, true);
        }
        match &state.step {
            StepState::Pending | StepState::Confirmed { .. } => self.pending(&ask, state, step),
            StepState::Intended { at, attempt } | StepState::Applied { at, attempt } => {
                match shown(&self.facts, ask.task, state, &step.action, *at) {
                    Shown::Done if !self.may_be_obeyed(state, step) && !self.may_be_refused(state, step) => {
                        return self.confirm(&ask, state, step);
                    }
                    // The MDM had taken it: somebody took the server out again, and is not fought with.
                    Shown::NotDone(seen) if seen > *at + SETTLE && working && was_taken(state, step) => {
                        let why = format!("the maintenance of the SDS of {} was ended by somebody else", ask.task.node);
                        return self.fail(&ask, state, &why, Cause::Blameless, true);
                    }
                    // Written down first: whoever comes after a death knows of no look but what is written.
                    Shown::NotDone(seen) if seen > *at + SETTLE || mutant::is("order again at once") => {
                        return self.turn.records.push(Record::Lost { step: step_id(&ask, state, *attempt) });
                    }
                    Shown::Otherwise if working => {
                        let kernels =
                            self.facts.nodes.get(&ask.task.node).map(|host| (&host.kernel, &host.next_kernel));
                        let (kernel, next) = kernels.map_or(("", ""), |(kernel, next)| (&**kernel, &**next));
                        let why =
                            format!("{} came up with the kernel {kernel}, and {next} was to be next", ask.task.node);
                        return self.fail(&ask, state, &why, Cause::Blameless, true);
                    }
                    Shown::Done | Shown::Doing | Shown::NotDone(_) | Shown::NotSeen | Shown::Otherwise => {
                        self.wait(&ask, Some(step), || {
                            let what = format!("{} on {}", step.action.kind(), ask.task.node);
                            effect(what, Some(*at))
                        });
                    }
                }
                self.deadline(&ask, state, step);
            }
        }
    }

    /// Whether the order of a step was not answered and may arrive yet.
    fn is_on_its_way(&self, state: &TaskState) -> bool {
        matches!(state.step, StepState::Intended { at, .. } if self.facts.now < at + SETTLE)
            && !mutant::is("give up at once")
    }

    /// Whether an agent may still obey. Nobody can take its order back. Until then the step is not over, even if the host
    /// looks so as it was before, and the task is not given up: what follows would leave maintenance, and the server
    /// would be stopped after that.
    fn may_be_obeyed(&self, state: &TaskState, step: &Step) -> bool {
        step.action.kind().is_for_agent() && self.is_on_its_way(state)
    }

    /// Whether the MDM may still refuse to begin a maintenance: one that it shows until then may be somebody else's.
    fn may_be_refused(&self, state: &TaskState, step: &Step) -> bool {
        step.action.kind() == StepKind::EnterMaintenance && self.is_on_its_way(state)
    }

    fn pending(&mut self, ask: &Ask<'a>, state: &'a TaskState, step: &Step) {
        let working = state.standing == Standing::Working;
        if let Some((at, answer)) = &state.refused {
            let why = match answer {
                Answer::Failed { why } if working => {
                    return self.fail(ask, state, why, Cause::TakeBack, true);
                }
                Answer::Failed { why } | Answer::Refused { why } | Answer::Unknown { why } => why.clone(),
                Answer::Accepted | Answer::AlreadySo => "".into(),
            };
            if self.facts.now - *at < PAUSE {
                self.wait(ask, Some(step), || effect(format!("another try: {why}"), Some(*at)));
                return self.deadline(ask, state, step);
            }
        }
        match &step.action {
            Action::Soak { seconds } => {
                // Whoever comes to the end of it in the look in which it is late is not late.
                if self.soak(ask, state, step, *seconds) {
                    return self.confirm(ask, state, step);
                }
            }
            Action::AwaitResync => match ask.resynced() {
                Gate::Go => return self.confirm(ask, state, step),
                Gate::Hold(holds) => self.wait(ask, Some(step), || holds),
            },
            Action::Verify { .. } => match shown(&self.facts, ask.task, state, &step.action, state.since) {
                Shown::Done => return self.confirm(ask, state, step),
                Shown::Doing | Shown::NotDone(_) | Shown::NotSeen | Shown::Otherwise => {
                    let what = || format!("{} shown by the MDM and its agent", ask.task.node);
                    self.wait(ask, Some(step), || effect(what(), None));
                }
            },
            Action::Vendor { version } => {
                let over = shown(&self.facts, ask.task, state, &step.action, state.since) == Shown::Done;
                match ask.step(&step.action) {
                    Gate::Go if over => return self.confirm(ask, state, step),
                    Gate::Hold(holds) if over => self.wait(ask, Some(step), || holds),
                    Gate::Go | Gate::Hold(_) => {
                        let seen = upgraded(&self.facts, version);
                        self.wait(ask, Some(step), || match &seen {
                            None => effect("the MDM's word of the upgrade".to_owned(), None),
                            Some(seen) => {
                                let ((mdms, of_mdms), (sds, of_sds)) = (seen.mdms, seen.sds);
                                let what = format!(
                                    "PowerFlex Manager, where the upgrade to {version} is begun and done; the MDM says \
                                     {}, and {mdms} of {of_mdms} MDMs and {sds} of {of_sds} SDSs have it",
                                    seen.says
                                );
                                effect(what, Some(seen.at))
                            }
                        });
                    }
                }
            }
            Action::Handwork => {
                // The time that the person asked for; it is not waited for longer, whatever came of it.
                let ends = state.since + TimeDelta::seconds(i64::from(step.predicted_seconds));
                if self.facts.now >= ends {
                    return self.confirm(ask, state, step);
                }
                match ask.step(&step.action) {
                    Gate::Go => {
                        self.wait(ask, Some(step), || effect(format!("whoever works there, until {ends}"), None));
                    }
                    Gate::Hold(holds) => {
                        if let Some(why) = self.danger(ask, state, &holds) {
                            return self.fail(ask, state, &why, Cause::Danger, true);
                        }
                        self.wait(ask, Some(step), || holds);
                    }
                }
            }
            action if self.already(ask, state, action) => return self.confirm(ask, state, step),
            _ => self.order(ask, state, step),
        }
        self.deadline(ask, state, step);
    }

    /// Whether the world is so without an order of this step.
    fn already(&self, ask: &Ask<'_>, state: &TaskState, action: &Action) -> bool {
        match action {
            Action::SwitchMdm if mutant::is("hand over unseen") => true,
            Action::Stage { .. }
            | Action::Apply { .. }
            | Action::Rollback { .. }
            | Action::SwitchMdm
            | Action::ExitMaintenance
            | Action::Evacuate
            | Action::KeepSds
            | Action::Uninstall { .. }
            | Action::RemoveSdc { .. }
            | Action::Reactivate => shown(&self.facts, ask.task, state, action, state.since) == Shown::Done,
            _ => false,
        }
    }

    /// Whether all was well for long enough.
    fn soak(&mut self, ask: &Ask<'a>, state: &TaskState, step: &Step, seconds: u32) -> bool {
        let (run, task) = (ask.run.id.clone(), ask.number);
        match (ask.soak(), state.well_since) {
            (Gate::Go, None) => {
                self.turn.records.push(Record::Well { run, task, since: Some(self.facts.now) });
            }
            (Gate::Go, Some(since)) => {
                let enough = TimeDelta::seconds(i64::from(seconds));
                return self.facts.now - since >= enough || mutant::is("soak short");
            }
            // What was not seen breaks no soak by itself, but none ends without having been seen.
            (Gate::Hold(holds), Some(_)) if holds.iter().any(|hold| !is_ignorance(hold.reason.kind())) => {
                self.turn.records.push(Record::Well { run, task, since: None });
                self.wait(ask, Some(step), || holds);
            }
            (Gate::Hold(holds), _) => self.wait(ask, Some(step), || holds),
        }
        false
    }

    /// Asks the gate, writes down what shall happen, and lets it happen after that.
    fn order(&mut self, ask: &Ask<'a>, state: &'a TaskState, step: &Step) {
        // What is given up in this look is not ordered in it.
        if state.standing == Standing::Working && self.is_late(state, step) {
            return;
        }
        if self.stops_outside(ask, state, step) {
            let why = format!("the maintenance of the SDS of {} was ended by somebody else", ask.task.node);
            if state.standing == Standing::Working {
                return self.fail(ask, state, &why, Cause::Blameless, true);
            }
            if self.runs(ask, state) {
                return self.leave_out(ask, state, &why);
            }
        }
        if self.would_stop_the_owner(ask, state, step) {
            let why = format!(
                "{} owns the MDM cluster by now; to put its MDM back, hand the cluster over first",
                ask.task.node
            );
            return self.leave_out(ask, state, &why);
        }
        let gate = ask.step(&step.action);
        if let Gate::Hold(holds) = gate {
            let danger = self.danger(ask, state, &holds);
            self.wait(ask, Some(step), || holds);
            if let Some(why) = danger {
                self.fail(ask, state, &why, Cause::Danger, true);
            }
            return;
        }
        // One order a turn: the next is judged with this one in the book. The way back need not wait.
        if !self.turn.effects.is_empty() && state.standing == Standing::Working {
            return;
        }
        let id = step_id(ask, state, state.attempts);
        let Some(effect) = self.effect(ask, step, &id, &gate) else {
            let what = || format!("what {} needs", step.action.kind()).into();
            return self
                .wait(ask, Some(step), || vec![Hold { reason: Reason::Unseen { what: what() }, seen_at: None }]);
        };
        if let Some(duty) = duty(&effect)
            && ask.book.obligation(&duty).is_none()
            && !mutant::is("no obligation")
        {
            self.turn.records.push(Record::Took { obligation: self.obligation(ask, duty, &effect) });
        }
        self.turn.records.push(Record::Intended {
            step: id.clone(),
            epoch: self.epoch,
            effect: effect.clone(),
            gate: digest(ask, &gate),
        });
        self.turn.effects.push((id, effect));
    }

    /// The reason for which a server in our maintenance is needed back at once, while nothing was installed on its host.
    fn danger(&self, ask: &Ask<'_>, state: &TaskState, holds: &[Hold]) -> Option<String> {
        let touched = [StepKind::Apply, StepKind::Rollback].iter().any(|kind| state.touched.contains_key(kind));
        let untouched = state.standing == Standing::Working && !touched;
        let danger = holds.iter().find(|hold| is_danger(hold.reason.kind()))?;
        (untouched && Self::maintenance(ask).is_some()).then(|| danger.reason.to_string())
    }

    fn obligation(&self, ask: &Ask<'_>, duty: Duty, effect: &Effect) -> Obligation {
        let now = self.facts.now;
        let mode = match effect {
            Effect::Enter { mode, .. } => Some(*mode),
            _ => None,
        };
        let seconds = match duty {
            // Until protected mode is reached two copies serve, and that takes what it takes.
            Duty::Maintenance { .. } => {
                let enters =
                    |step: &&Step| step.action == Action::EnterMaintenance { mode: MaintenanceMode::Protected };
                let entry = ask.task.steps.iter().find(enters).map_or(0, |step| step.deadline_seconds);
                i64::from(ask.run.plan.limits.maintenance_seconds) + i64::from(entry)
            }
            Duty::Deactivated { .. } => ask.task.steps.iter().map(|step| i64::from(step.deadline_seconds)).sum::<i64>(),
        };
        Obligation {
            duty,
            run: ask.run.id.clone(),
            task: ask.number,
            node: ask.task.node.clone(),
            mode,
            since: now,
            deadline: now + TimeDelta::seconds(seconds),
            handed: None,
        }
    }

    fn effect(&self, ask: &Ask<'_>, step: &Step, id: &StepId, gate: &Gate) -> Option<Effect> {
        let task = ask.task;
        Some(match &step.action {
            Action::EnterMaintenance { mode } => Effect::Enter { sds: task.sds.clone()?, mode: *mode },
            Action::ExitMaintenance => {
                let sds = task.sds.clone()?;
                let mode = ask.book.obligation(&Duty::Maintenance { sds: sds.clone() })?.mode?;
                Effect::Exit { sds, mode }
            }
            Action::Drain => Effect::Drain { agent: task.agent.clone()? },
            Action::Reactivate => Effect::Reactivate { agent: task.agent.clone()? },
            Action::Finalise => Effect::Finalise,
            Action::Evacuate => Effect::RemoveSds { sds: task.sds.clone()? },
            Action::KeepSds => Effect::KeepSds { sds: task.sds.clone()? },
            Action::RemoveSdc { sdc } => Effect::RemoveSdc { sdc: sdc.clone() },
            Action::SwitchMdm => {
                let (cluster, _) = self.facts.mdm()?;
                let fit = cluster.members.iter().filter(|member| {
                    member.role == MdmRole::Secondary
                        && Some(&member.id) != task.mdm.as_ref()
                        && member.status.as_ref().is_some_and(|status| status.is(MdmStatus::Normal))
                });
                // Of several the newest, so that an upgraded one owns the cluster for good.
                let newest = fit.max_by_key(|member| member.version.as_ref().map(|version| numbers(version.as_str())));
                Effect::SwitchMdm { to: newest?.id.clone() }
            }
            action => Effect::Order {
                boot_id: self.facts.nodes.get(&task.node)?.boot_id.clone(),
                permit: Permit {
                    node: task.node.clone(),
                    step: id.clone(),
                    action: action.clone(),
                    epoch: self.epoch,
                    gate: digest(ask, gate),
                    expires: self.facts.now + LIFE,
                },
            },
        })
    }

    fn confirm(&mut self, ask: &Ask<'_>, state: &TaskState, step: &Step) {
        let closed = match &step.action {
            Action::ExitMaintenance => ask.task.sds.clone().map(|sds| Duty::Maintenance { sds }),
            Action::Reactivate => ask.task.agent.clone().map(|agent| Duty::Deactivated { agent }),
            _ => None,
        };
        if let Some(duty) = closed.filter(|duty| ask.book.obligation(duty).is_some()) {
            self.turn.records.push(Record::Settled { duty });
        }
        self.turn.records.push(Record::Confirmed { run: ask.run.id.clone(), task: ask.number, place: state.place });
    }

    fn fail(&mut self, ask: &Ask<'_>, state: &TaskState, why: &str, cause: Cause, counts: bool) {
        let run = &ask.run.id;
        let broken = counts && cause == Cause::TakeBack && state.touched.contains_key(&StepKind::Apply);
        let version = ask.task.steps.iter().find_map(|step| match &step.action {
            Action::Apply { version, .. } if broken => Some(version.clone()),
            _ => None,
        });
        self.turn.records.push(Record::Failed {
            run: run.clone(),
            task: ask.number,
            why: why.into(),
            undo: undo(ask.book, ask.task, state, cause),
            counts,
        });
        if let Some(version) = version {
            self.turn.records.push(Record::Quarantined { version, why: format!("{}: {why}", ask.task.node).into() });
        }
        if counts && ask.run.failures + 1 >= ask.run.plan.limits.failures && ask.run.halted.is_none() {
            let why = format!("{}: {why}", ask.task.node).into();
            self.turn.records.push(Record::Halted { run: run.clone(), why });
        }
    }

    fn wait(&mut self, ask: &Ask<'_>, step: Option<&Step>, holds: impl FnOnce() -> Vec<Hold>) {
        if let Some(waits) = &mut self.waits
            && !mutant::is("explain nothing")
        {
            waits.push(Wait {
                run: ask.run.id.clone(),
                task: ask.number,
                node: ask.task.node.clone(),
                step: step.map(|step| step.action.kind()),
                holds: holds(),
            });
        }
    }
}

/// Whether the MDM said that it begins the maintenance.
fn was_taken(state: &TaskState, step: &Step) -> bool {
    step.action.kind() == StepKind::EnterMaintenance && matches!(state.step, StepState::Applied { .. })
}

fn step_id(ask: &Ask<'_>, state: &TaskState, attempt: u32) -> StepId {
    StepId { run: ask.run.id.clone(), task: ask.number, place: state.place, attempt }
}

/// Something that the world does not show yet.
fn effect(what: String, seen_at: Option<Timestamp>) -> Vec<Hold> {
    vec![Hold { reason: Reason::WaitsForEffect { what: what.into() }, seen_at }]
}

fn duty(effect: &Effect) -> Option<Duty> {
    match effect {
        Effect::Enter { sds, .. } => Some(Duty::Maintenance { sds: sds.clone() }),
        Effect::Drain { agent } => Some(Duty::Deactivated { agent: agent.clone() }),
        _ => None,
    }
}

/// Reasons that say only that something was not seen.
const fn is_ignorance(kind: ReasonKind) -> bool {
    matches!(
        kind,
        ReasonKind::Unseen
            | ReasonKind::Stale
            | ReasonKind::BeforeEffect
            | ReasonKind::AlertsBehind
            | ReasonKind::NodeStale
            | ReasonKind::NodeUnseen
    )
}

/// Everything that alerts must be told of: what lasts longer than it may.
pub fn overdue(book: &Book, now: Timestamp) -> Vec<(NodeName, Box<str>)> {
    if mutant::is("tell nobody") {
        return Vec::new();
    }
    let mut late: Vec<(NodeName, Box<str>)> = book
        .overdue(now)
        .map(|open| (open.node.clone(), format!("{:?} since {}", open.duty, open.since).into()))
        .collect();
    for (_, _, task, state) in book.in_work() {
        if let Some(why) = &state.overdue {
            late.push((task.node.clone(), why.clone()));
        }
    }
    late
}
