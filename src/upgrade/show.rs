//! How is the work on a system told: to people, and to those who explain alerts by it? Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::TimeDelta;

use crate::model::alerting::{Touched, Underway};
use crate::model::hold::ReasonKind;
use crate::model::id::{PlanId, RunId, SystemId};
use crate::model::lifecycle::{
    HoldShown, Lifecycle, Mode, ObligationShown, PlanShown, RunReport, RunShown, StageShown, TaskPlanned, TaskReport,
    TaskShown, UpgradeShown, in_words,
};
use crate::model::plan::{Approval, Plan, Request, Step, Task};
use crate::model::snapshot::Snapshot;
use crate::model::step::{Action, StepKind};
use crate::model::unit::Timestamp;
use crate::model::window::Calendar;
use crate::work::advance::{self, Wait};
use crate::work::book::{Book, PAST, Run, Standing, TaskState};
use crate::work::record::{Duty, End, Record};

/// What comes and goes with every poll is no part of the history.
const LASTING: TimeDelta = TimeDelta::seconds(60);

/// Tasks that a report names: what fits into a mail.
const REPORTED: usize = 100;

/// Since when each task has been held for each reason.
pub type Since = BTreeMap<(u32, ReasonKind), Timestamp>;

/// Keeps the beginning of what still holds, and notes what is new.
pub fn held_since(since: &Since, waits: &[Wait], now: Timestamp) -> Since {
    let all = waits.iter().flat_map(|wait| wait.holds.iter().map(|hold| (wait.task, hold.reason.kind())));
    all.map(|key| (key, since.get(&key).copied().unwrap_or(now))).collect()
}

/// A plan in short: what it is for, how long it takes, what it may cost.
pub fn brief(id: &PlanId, plan: &Plan) -> PlanShown {
    PlanShown {
        id: id.clone(),
        system: plan.system.clone(),
        what: in_words(&plan.request),
        made_at: plan.made_at,
        risk: plan.risk(),
        predicted_seconds: plan.tasks().map(|(_, _, task)| seconds(task)).sum(),
        stages: Vec::new(),
        waves: plan.stages.iter().map(|stage| (stage.name.to_string(), stage.tasks.len())).collect(),
        nodes: BTreeMap::new(),
        unsafe_because: Vec::new(),
        unproven: Vec::new(),
    }
}

fn seconds(task: &Task) -> u64 {
    task.steps.iter().map(|step| u64::from(step.predicted_seconds)).sum()
}

/// A plan as people read it.
pub fn plan(plan: &Plan) -> PlanShown {
    let stages: Vec<StageShown> = plan
        .stages
        .iter()
        .map(|stage| StageShown {
            name: stage.name.to_string(),
            tasks: stage
                .tasks
                .iter()
                .map(|task| TaskPlanned {
                    node: task.node.clone(),
                    steps: task.steps.iter().map(step).collect(),
                    predicted_seconds: seconds(task),
                })
                .collect(),
        })
        .collect();
    PlanShown { stages, ..brief(&plan.id(), plan) }
}

fn step(step: &Step) -> String {
    let components = |all: &[crate::model::step::Component]| {
        all.iter().map(|component| component.as_str()).collect::<Vec<_>>().join(" ")
    };
    match &step.action {
        Action::Stage { version, components: all } => format!("stage {} {version}", components(all)),
        Action::Apply { version, components: all } => format!("install {} {version}", components(all)),
        Action::Rollback { version, components: all } => format!("put back {} {version}", components(all)),
        Action::EnterMaintenance { mode } => format!("enter {mode} maintenance"),
        Action::Soak { seconds } => format!("watch for {seconds} s"),
        Action::Uninstall { components: all } => format!("take away {}", components(all)),
        Action::Evacuate => "move its data away and take it out".to_owned(),
        Action::Handwork => "work by hand".to_owned(),
        Action::Vendor { version } => format!("watch PowerFlex Manager bring all to {version}"),
        action => action.kind().as_str().replace('_', " "),
    }
}

/// All work on a system.
pub fn lifecycle(
    system: &SystemId,
    mode: Mode,
    book: &Book,
    waits: &[Wait],
    since: &Since,
    calendar: &Calendar,
    now: Timestamp,
) -> Lifecycle {
    let used: BTreeSet<_> = book.runs.values().map(|run| &run.plan_id).collect();
    let mut plans: Vec<PlanShown> =
        book.plans.iter().filter(|(id, _)| !used.contains(id)).map(|(id, filed)| brief(id, filed)).collect();
    plans.sort_by_key(|plan| std::cmp::Reverse(plan.made_at));
    let mut over: Vec<&Run> = book.runs.values().map(|run| &**run).filter(|run| run.end.is_some()).collect();
    over.sort_by_key(|run| std::cmp::Reverse(run.opened_at));
    let last = over.first().and_then(|run| report(system, run)).map(Arc::new);
    Lifecycle {
        system: system.clone(),
        mode,
        at: now,
        run: book.open_run().map(|open| run(open, waits, since, calendar, now)),
        past: over.into_iter().map(Run::past).chain(book.past.iter().rev().cloned()).take(PAST).collect(),
        plans,
        held: book.held.clone(),
        retired: book.retired.clone(),
        quarantined: book.quarantined.clone(),
        obligations: book
            .obligations
            .iter()
            .map(|open| ObligationShown {
                what: match &open.duty {
                    Duty::Maintenance { sds } => {
                        let handed = open.handed.as_ref().map(|handed| format!(", {handed}")).unwrap_or_default();
                        format!("SDS {sds} leaves maintenance{handed}")
                    }
                    Duty::Deactivated { agent } => format!("Mesos agent {agent} takes tasks again"),
                },
                duty: match &open.duty {
                    Duty::Maintenance { .. } => "maintenance".to_owned(),
                    Duty::Deactivated { .. } => "drain".to_owned(),
                },
                node: open.node.clone(),
                run: open.run.clone(),
                since: open.since,
                deadline: open.deadline,
                overdue: now >= open.deadline,
            })
            .collect(),
        jobs: Vec::new(),
        times: Vec::new(),
        entries: 0,
        head: String::new(),
        adding: None,
        last,
        upgrade: upgrade(book),
        problems: advance::overdue(book, now).into_iter().map(|(node, why)| format!("{node}: {why}")).collect(),
    }
}

/// The upgrade that is open, else the last one, else one that is planned.
fn upgrade(book: &Book) -> Option<UpgradeShown> {
    let runs = book.runs.values().map(|run| &**run);
    let newest = runs
        .filter(|run| matches!(run.plan.request, Request::Upgrade { .. }))
        .max_by_key(|run| (run.end.is_none(), run.opened_at));
    let plans = book.plans.values().map(|plan| &**plan);
    let planned =
        || plans.filter(|plan| matches!(plan.request, Request::Upgrade { .. })).max_by_key(|plan| plan.made_at);
    let plan = newest.map(|run| &*run.plan).or_else(planned)?;
    let Request::Upgrade { to, .. } = &plan.request else { return None };
    let count = |is: fn(&Standing) -> bool| {
        newest.map_or(0, |run| run.tasks.iter().filter(|state| is(&state.standing)).count())
    };
    let state = match newest.map(|run| (&run.end, run)) {
        None => "planned",
        Some((Some(End::Done), _)) => "done",
        Some((Some(End::Cancelled), _)) => "cancelled",
        Some((Some(End::Halted { .. }), _)) => "failed",
        Some((None, run)) if run.halted.is_some() => "halted",
        Some((None, run)) if run.cancelled.is_some() => "cancelled",
        Some((None, run)) if run.paused.is_some() => "paused",
        Some((None, _)) => "running",
    };
    Some(UpgradeShown {
        from: most_had(plan),
        to: to.clone(),
        state: state.to_owned(),
        active: newest.is_some_and(|run| run.end.is_none()),
        pending: newest.map_or_else(|| plan.tasks().count(), |_| count(|at| *at == Standing::Waiting)),
        running: count(Standing::in_work),
        done: count(|at| matches!(at, Standing::Done | Standing::Skipped)),
        failed: count(|at| matches!(at, Standing::Undone { .. })),
    })
}

/// The version that most servers had, those of the MDM where there are no others.
fn most_had(plan: &Plan) -> Box<str> {
    let servers = plan.based_on.topology.values().map(|spot| &spot.2);
    let mut had: BTreeMap<&str, usize> = BTreeMap::new();
    for version in servers.chain(plan.based_on.mdms.values().filter(|_| plan.based_on.topology.is_empty())) {
        *had.entry(version).or_default() += 1;
    }
    had.into_iter().max_by_key(|(_, count)| *count).map_or_else(Box::default, |(version, _)| version.into())
}

/// All that came of a run that is over.
fn report(system: &SystemId, run: &Run) -> Option<RunReport> {
    let ended_at = run.ended_at?;
    let (end, why) = run.ending();
    let mut tasks: Vec<TaskReport> = run
        .each()
        .map(|(number, _, planned, state)| {
            let shown = task(run, number, planned, state, &[], &Since::new());
            let seconds = state.began_at.map(|began| (state.since - began).num_seconds());
            TaskReport {
                stage: shown.stage,
                node: shown.node,
                standing: shown.standing,
                seconds,
                single_copy_seconds: state.single_seconds,
                why: shown.why,
            }
        })
        .collect();
    let more = tasks.len().saturating_sub(REPORTED);
    if more > 0 {
        tasks.sort_by_key(|task| (task.why.is_none(), std::cmp::Reverse(task.seconds)));
        tasks.truncate(REPORTED);
    }
    Some(RunReport {
        system: system.clone(),
        run: run.id.clone(),
        what: in_words(&run.plan.request),
        approved_by: approved_by(&run.approval),
        opened_at: run.opened_at,
        ended_at,
        end: end.to_owned(),
        why,
        single_copy_seconds: run.tasks.iter().map(|task| task.single_seconds).sum(),
        tasks,
        more,
    })
}

fn approved_by(approval: &Approval) -> String {
    match approval {
        Approval::Hash { by, .. } => by.to_string(),
        Approval::Policy { by, job, .. } => format!("{by}, by the policy of job {job}"),
    }
}

/// Since when nothing was done that is within the time predicted for it. Written down, so that it outlives a restart.
fn idle_since(run: &Run) -> Timestamp {
    let until = |(_, _, task, state): (u32, usize, &Task, &TaskState)| {
        let step = if state.standing.in_work() { Run::step_at_hand(task, state) } else { None };
        state.since + TimeDelta::seconds(step.map_or(0, |step| i64::from(step.predicted_seconds)))
    };
    run.each().map(until).fold(run.opened_at, Timestamp::max)
}

/// Windows in which nothing was done. What is in work needs none.
fn windows_missed(run: &Run, calendar: &Calendar, now: Timestamp) -> usize {
    let in_work = run.tasks.iter().any(|state| state.standing.in_work());
    if in_work { 0 } else { calendar.gone_by(idle_since(run), now) }
}

fn run(run: &Run, waits: &[Wait], since: &Since, calendar: &Calendar, now: Timestamp) -> RunShown {
    let over = |state: &TaskState| !state.standing.in_work() && state.standing != Standing::Waiting;
    let left: i64 = run
        .each()
        .filter(|(_, _, _, state)| !over(state))
        .flat_map(|(_, _, task, state)| task.steps.iter().skip(state.place as usize))
        .map(|step| i64::from(step.predicted_seconds))
        .sum();
    RunShown {
        id: run.id.clone(),
        plan: run.plan_id.clone(),
        what: in_words(&run.plan.request),
        approved_by: approved_by(&run.approval),
        opened_at: run.opened_at,
        paused_by: run.paused.clone(),
        cancelled_by: run.cancelled.clone(),
        halted: run.halted.clone(),
        failures: run.failures,
        tasks_done: run.tasks.iter().filter(|state| over(state)).count(),
        tasks_total: run.tasks.len(),
        predicted_end: now + TimeDelta::seconds(left),
        idle_since: idle_since(run),
        windows_missed: windows_missed(run, calendar, now),
        tasks: run.each().map(|(number, _, planned, state)| task(run, number, planned, state, waits, since)).collect(),
    }
}

fn task(run: &Run, number: u32, task: &Task, state: &TaskState, waits: &[Wait], since: &Since) -> TaskShown {
    let stage = run.plan.tasks().nth(number as usize).map(|(_, stage, _)| stage.name.to_string());
    let (standing, why) = match &state.standing {
        Standing::Waiting => ("waiting", None),
        Standing::Working => ("working", None),
        Standing::Undoing { why } => ("undoing", Some(why.clone())),
        Standing::Done => ("done", None),
        Standing::Undone { why } => ("undone", Some(why.clone())),
        Standing::Skipped => ("skipped", None),
    };
    let held = waits.iter().filter(|wait| wait.run == run.id && wait.task == number).flat_map(|wait| &wait.holds);
    let holds = held.map(|hold| {
        let kind = hold.reason.kind();
        HoldShown {
            reason: kind,
            hardness: hold.hardness(),
            text: hold.reason.to_string(),
            clears: kind.clears().to_owned(),
            since: since.get(&(number, kind)).copied().unwrap_or(state.since),
            seen_at: hold.seen_at,
        }
    });
    let at_hand = Run::step_at_hand(task, state);
    TaskShown {
        number,
        stage: stage.unwrap_or_default(),
        node: task.node.clone(),
        standing: standing.to_owned(),
        step: if state.standing.in_work() { at_hand.map(step) } else { None },
        by_hand: state.standing == Standing::Working && at_hand.is_some_and(|step| step.action == Action::Handwork),
        since: state.since,
        attempts: state.attempts,
        why,
        overdue: state.overdue.clone(),
        holds: holds.collect(),
    }
}

/// What has been waited for so long that it is written down, each once.
pub fn lasting(
    since: &Since,
    waits: &[Wait],
    noted: &BTreeSet<(RunId, u32, ReasonKind)>,
    now: Timestamp,
) -> Vec<((RunId, u32, ReasonKind), Record)> {
    let mut found = Vec::new();
    for wait in waits {
        for hold in &wait.holds {
            let kind = hold.reason.kind();
            let key = (wait.run.clone(), wait.task, kind);
            let lasts = since.get(&(wait.task, kind)).is_some_and(|since| now - *since >= LASTING);
            // That one task comes after the other is the plan itself.
            if lasts && kind != ReasonKind::InWork && !noted.contains(&key) {
                let why = hold.reason.to_string().into();
                found.push((key, Record::Waited { run: wait.run.clone(), task: wait.task, why }));
            }
        }
    }
    found
}

/// The steps under way, as far as they may explain alerts.
pub fn underway(book: &Book, snapshot: Option<&Snapshot>, system: &SystemId) -> Vec<Underway> {
    let Some(snapshot) = snapshot else { return Vec::new() };
    let steps = book.in_work().filter_map(|(_, _, task, state)| {
        let step = Run::step_at_hand(task, state)?;
        // The last order's effect lasts into the step that looks for it.
        let kind = step.action.kind();
        let until = state.since + TimeDelta::seconds(i64::from(step.deadline_seconds));
        Some(Underway { step: kind, touched: touched(task, snapshot, system), until })
    });
    steps.filter(|work| work.step != StepKind::Stage).collect()
}

fn touched(task: &Task, snapshot: &Snapshot, system: &SystemId) -> Touched {
    let mut touched = Touched::nothing(system.clone());
    let name = |name: Option<&str>, id: String| name.map_or(id, str::to_owned);
    let sds = task.sds.as_ref().and_then(|id| snapshot.sds.as_ref()?.get(id));
    if let Some(sds) = sds {
        let domain = sds.domain.as_ref().and_then(|id| snapshot.domains.as_ref()?.get(id));
        let domain = domain.map(|domain| name(domain.name.as_deref(), domain.id.to_string())).unwrap_or_default();
        touched.sds.insert((domain, name(sds.name.as_deref(), sds.id.to_string())));
        let here = |ip: &str| sds.addresses.iter().any(|own| *own.ip == *ip);
        let clients = snapshot.sdcs.iter().flat_map(|part| part.iter());
        for sdc in clients.filter(|sdc| sdc.addresses.iter().any(|ip| here(ip))) {
            touched.sdcs.insert(name(sdc.name.as_deref(), sdc.id.to_string()));
        }
    }
    let members = snapshot.array.iter().flat_map(|array| array.mdm.iter()).flat_map(|mdm| &mdm.members);
    for member in members.filter(|member| task.mdm.as_ref() == Some(&member.id)) {
        touched.mdms.insert(name(member.name.as_deref(), member.id.to_string()));
    }
    touched
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::{NodeName, SdsId};
    use crate::model::plan::{Basis, FORM, Limits, Parallel, Risk, Stage};
    use crate::model::step::MaintenanceMode;
    use crate::model::window::{Day, Window, Zone};
    use crate::work::record::Obligation;

    fn at(hour: i64) -> Timestamp {
        // A Monday.
        let monday: Timestamp = "2026-11-30T00:00:00Z".parse().unwrap();
        monday + TimeDelta::hours(hour)
    }

    /// A run of one task, opened on Monday at noon.
    fn book() -> (Book, RunId) {
        book_of(Action::EnterMaintenance { mode: MaintenanceMode::Instant })
    }

    fn book_of(action: Action) -> (Book, RunId) {
        let step = Step { action, deadline_seconds: 7200, predicted_seconds: 3600, risk: Risk::None };
        let task = Task {
            node: NodeName::new("a"),
            agent: None,
            sds: Some(SdsId::new("1")),
            domain: None,
            fault_set: None,
            mdm: None,
            carries: BTreeSet::new(),
            from: None,
            steps: vec![step],
        };
        let stage = Stage {
            name: "sds".into(),
            parallel: Parallel::One,
            most: 1,
            domains: 1,
            canary: false,
            tasks: vec![task],
        };
        let plan = Plan {
            form: FORM,
            system: SystemId::new("prod"),
            request: Request::Rollout,
            made_at: at(0),
            parent: None,
            based_on: Basis::default(),
            limits: Limits::default(),
            stages: vec![stage],
        };
        let (id, run) = (plan.id(), RunId::new("r"));
        let mut book = Book { plans: [(id.clone(), Arc::new(plan))].into(), ..Book::default() };
        let approval = Approval::Hash { plan: id.clone(), by: "ada".into(), at: at(12) };
        let opened = Record::Opened { run: run.clone(), plan: id, approval, baseline: BTreeSet::new() };
        book.apply(&opened, at(12)).unwrap();
        (book, run)
    }

    /// Open on Tuesday and Thursday from 01:00 to 05:00.
    fn calendar() -> Calendar {
        let time = |text: &str| text.parse().unwrap();
        let days = [Day::Tue, Day::Thu].into();
        let window = Window { days, from: time("01:00:00"), until: time("05:00:00"), zone: Zone::UTC };
        Calendar { windows: vec![window], blackouts: Vec::new() }
    }

    fn shown(book: &Book, hour: i64) -> RunShown {
        let system = SystemId::new("prod");
        lifecycle(&system, Mode::Act, book, &[], &Since::new(), &calendar(), at(hour)).run.unwrap()
    }

    #[test]
    fn a_run_that_does_nothing_tells_since_when_and_the_windows_that_went_by() {
        let (mut book, run) = book();
        let seen = |book: &Book, hour| {
            let run = shown(book, hour);
            (run.idle_since, run.windows_missed)
        };
        assert_eq!(seen(&book, 28), (at(12), 0), "the first window is open");
        assert_eq!(seen(&book, 29), (at(12), 1));
        assert_eq!(seen(&book, 77), (at(12), 2));
        // What is in work has the time that was predicted for it, and needs no window.
        book.apply(&Record::Began { run, task: 0 }, at(78)).unwrap();
        assert_eq!(seen(&book, 400), (at(79), 0));
    }

    #[test]
    fn work_by_hand_is_told_from_its_beginning_until_it_is_cancelled() {
        let is_by_hand = |book: &Book| shown(book, 14).tasks[0].by_hand;
        let (mut book, run) = book_of(Action::Handwork);
        assert!(!is_by_hand(&book), "it is not begun");
        book.apply(&Record::Began { run: run.clone(), task: 0 }, at(13)).unwrap();
        assert!(is_by_hand(&book));
        let undo = vec![book.runs[&run].plan.stages[0].tasks[0].steps[0].clone()];
        let why = "cancelled".into();
        book.apply(&Record::Failed { run, task: 0, why, undo, counts: false }, at(13)).unwrap();
        assert!(!is_by_hand(&book), "it is taken back");
        let (mut other, run) = self::book();
        other.apply(&Record::Began { run, task: 0 }, at(13)).unwrap();
        assert!(!is_by_hand(&other), "the way into maintenance is not by hand");
    }

    #[test]
    fn a_plan_that_waits_for_a_yes_tells_its_stages_in_short() {
        let (with_run, _) = book();
        let book = Book { plans: with_run.plans, ..Book::default() };
        let system = SystemId::new("prod");
        let seen = lifecycle(&system, Mode::Act, &book, &[], &Since::new(), &calendar(), at(14));
        assert_eq!(seen.plans[0].waves, [("sds".to_owned(), 1)]);
        assert!(seen.plans[0].stages.is_empty());
    }

    #[test]
    fn what_must_be_undone_is_told_by_its_kind() {
        let (mut book, run) = book();
        book.apply(&Record::Began { run: run.clone(), task: 0 }, at(13)).unwrap();
        for duty in [
            Duty::Maintenance { sds: SdsId::new("1") },
            Duty::Deactivated { agent: crate::model::id::AgentId::new("x") },
        ] {
            let node = NodeName::new("a");
            let obligation = Obligation {
                duty,
                run: run.clone(),
                task: 0,
                node,
                mode: None,
                since: at(13),
                deadline: at(14),
                handed: None,
            };
            book.apply(&Record::Took { obligation }, at(13)).unwrap();
        }
        let why = "exit_maintenance took longer than 900 s".into();
        book.apply(&Record::Overdue { run, task: 0, why }, at(14)).unwrap();
        let system = SystemId::new("prod");
        let seen = lifecycle(&system, Mode::Act, &book, &[], &Since::new(), &calendar(), at(14));
        let open: Vec<_> = seen.obligations.iter().map(|open| (open.duty.as_str(), open.overdue)).collect();
        assert_eq!(open, [("maintenance", true), ("drain", true)]);
        assert!(seen.run.unwrap().tasks[0].overdue.is_some());
    }
}
