//! What do people see of nodes, runs and jobs? Made of what the rollout, the work on systems, the agents and Mesos tell,
//! and published for the page.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::enrol::crew::{Member, Members};
use crate::model::framework::FrameworkStatus;
use crate::model::hold::ReasonKind;
use crate::model::id::{NodeName, SystemId};
use crate::model::lifecycle::{self, JobResult, Lifecycle};
use crate::model::node::NodePhase;
use crate::model::offer::Verdict;
use crate::model::overview::{HoldShown, JobShown, NodeShown, PlanShown, RunShown, Tone, WaveShown, WorkShown, Works};
use crate::model::rollout::{NodeRollout, RolloutStatus, Why};
use crate::model::unit::Timestamp;

/// The page is looked at once a second.
const BEAT: Duration = Duration::from_secs(1);

/// After so long without a word an agent is silent: it reports every 30 s, and after a restart within a minute.
const SILENT: chrono::TimeDelta = chrono::TimeDelta::seconds(120);

/// What comes and goes with each poll is told when it has lasted for so long.
const LASTING: chrono::TimeDelta = chrono::TimeDelta::seconds(15);

/// What is looked at.
#[derive(Clone, Default)]
pub(super) struct Watched {
    pub(super) members: Option<watch::Receiver<Arc<Members>>>,
    pub(super) rollout: Option<watch::Receiver<Arc<RolloutStatus>>>,
    pub(super) framework: Option<watch::Receiver<Arc<FrameworkStatus>>>,
    pub(super) work: BTreeMap<SystemId, watch::Receiver<Arc<Lifecycle>>>,
}

impl Watched {
    fn works(&self) -> Works {
        let members = self.members.as_ref().map(|members| Arc::clone(&members.borrow())).unwrap_or_default();
        let rollout = self.rollout.as_ref().map(|rollout| Arc::clone(&rollout.borrow())).unwrap_or_default();
        let framework = self.framework.as_ref().map(|framework| Arc::clone(&framework.borrow()));
        let work: Vec<Arc<Lifecycle>> = self.work.values().map(|work| Arc::clone(&work.borrow())).collect();
        works(&members, &rollout, framework.as_deref(), &work, clock::now())
    }
}

/// Lines of what a job found that the page has; `sio jobs` has all of them.
const FOUND: usize = 20;

/// Publishes what is seen until told to stop.
pub(super) async fn publish(watched: Watched, works: watch::Sender<Arc<Works>>, stop: CancellationToken) {
    let mut beat = tokio::time::interval(BEAT);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = beat.tick() => {}
        }
        let now = watched.works();
        works.send_if_modified(|before| {
            let is_news = **before != now;
            if is_news {
                *before = Arc::new(now);
            }
            is_news
        });
    }
}

/// All of it.
pub(super) fn works(
    members: &Members,
    rollout: &RolloutStatus,
    framework: Option<&FrameworkStatus>,
    work: &[Arc<Lifecycle>],
    now: Timestamp,
) -> Works {
    let mut jobs: Vec<JobShown> = work.iter().flat_map(|work| &work.jobs).map(job).collect();
    jobs.sort_by_key(|job| (job.next.is_none(), job.next, job.name.clone()));
    let mut plans: Vec<PlanShown> = work.iter().flat_map(|work| &work.plans).map(plan).collect();
    plans.sort_by_key(|plan| std::cmp::Reverse(plan.made_at));
    Works {
        nodes: nodes(members, rollout, framework, work, now),
        runs: work.iter().filter_map(|work| Some(run(&work.system, work.run.as_ref()?, now))).collect(),
        plans,
        jobs,
    }
}

/// Nodes that are rolled out, and those whose agents were heard; whoever is unwell comes first.
fn nodes(
    members: &Members,
    rollout: &RolloutStatus,
    framework: Option<&FrameworkStatus>,
    work: &[Arc<Lifecycle>],
    now: Timestamp,
) -> Vec<NodeShown> {
    let offers: BTreeMap<NodeName, String> = framework
        .iter()
        .flat_map(|framework| framework.agents.values())
        .map(|seen| {
            let said = match &seen.verdict {
                Verdict::Accept => "accepted".to_owned(),
                Verdict::Decline { reason } => {
                    format!("went back: {}", seen.because.clone().unwrap_or_else(|| reason.to_string()))
                }
            };
            (NodeName::new(&seen.hostname), said)
        })
        .collect();
    let names: BTreeSet<&NodeName> = members.keys().chain(rollout.nodes.keys()).collect();
    let mut nodes: Vec<NodeShown> = names
        .into_iter()
        .map(|name| {
            let run = work.iter().find_map(|work| {
                let run = work.run.as_ref()?;
                Some((&work.system, run, run.tasks_in_work().find(|task| task.node == *name)?))
            });
            let shown = match (rollout.nodes.get(name), members.get(name)) {
                (Some(node), _) => of_rollout(node),
                (None, Some(member)) => of_agent(member, now),
                (None, None) => NodeShown { name: name.to_string(), ..NodeShown::default() },
            };
            let shown = match run {
                Some((system, run, task)) => NodeShown {
                    system: Some(system.to_string()),
                    tone: Tone::Busy,
                    phase: "in work".to_owned(),
                    why: vec![format!("{}: {}", run.what, step(task))],
                    since: Some(task.since),
                    ..shown
                },
                None => NodeShown { system: shown.system.clone().or_else(|| of_a_run(work, name)), ..shown },
            };
            NodeShown { offer: offers.get(name).cloned(), ..shown }
        })
        .collect();
    nodes.sort_by_key(|node| (std::cmp::Reverse(node.tone), node.name.clone()));
    nodes
}

/// The system whose open run has tasks for a node.
fn of_a_run(work: &[Arc<Lifecycle>], name: &NodeName) -> Option<String> {
    let has = |work: &&Arc<Lifecycle>| work.run.iter().flat_map(|run| &run.tasks).any(|task| task.node == *name);
    work.iter().find(has).map(|work| work.system.to_string())
}

fn of_rollout(node: &NodeRollout) -> NodeShown {
    let tone = match &node.phase {
        NodePhase::Ready => Tone::Good,
        NodePhase::Failed { .. } => Tone::Bad,
        NodePhase::Lost => Tone::Warn,
        NodePhase::Wanted
        | NodePhase::Launching
        | NodePhase::Installing { .. }
        | NodePhase::Joining
        | NodePhase::InMaintenance { .. }
        | NodePhase::Draining
        | NodePhase::Retired => Tone::Busy,
    };
    // What a person must do comes first.
    let mut why: Vec<&Why> = node.why.iter().collect();
    why.sort_by_key(|why| !why.needs_a_person());
    NodeShown {
        name: node.node.to_string(),
        system: Some(node.system.to_string()),
        tone,
        phase: node.phase.as_str().replace('_', " "),
        why: why.into_iter().map(Why::to_string).collect(),
        since: Some(node.since),
        offer: None,
    }
}

/// A node that is not rolled out by us, and has an agent of ours all the same.
fn of_agent(member: &Member, now: Timestamp) -> NodeShown {
    let heard = member.facts.as_ref().map(|facts| facts.seen_at);
    let (tone, phase) = match (heard, &member.out_of_work) {
        (_, Some(_)) => (Tone::Bad, "takes no orders"),
        (None, None) => (Tone::Warn, "was not heard yet"),
        (Some(at), None) if now - at > SILENT => (Tone::Warn, "silent"),
        (Some(_), None) => (Tone::Good, "answering"),
    };
    NodeShown {
        name: member.node.to_string(),
        tone,
        phase: phase.to_owned(),
        why: member.out_of_work.iter().cloned().collect(),
        // When it was last heard is no news while it is.
        since: heard.filter(|_| tone != Tone::Good),
        ..NodeShown::default()
    }
}

fn run(system: &SystemId, run: &lifecycle::RunShown, now: Timestamp) -> RunShown {
    let undoing = run.tasks.iter().any(|task| task.standing == "undoing");
    // What was ordered takes its time: that is no waiting.
    let goes_on = |task: &&lifecycle::TaskShown| {
        task.standing == "working" && task.holds.iter().all(|hold| hold.reason == ReasonKind::WaitsForEffect)
    };
    let is_held = !run.tasks.iter().any(|task| goes_on(&task));
    let (tone, state) = match (&run.halted, &run.cancelled_by, &run.paused_by) {
        (Some(why), _, _) => (Tone::Bad, format!("halts: {why}")),
        (None, Some(by), _) => (Tone::Warn, format!("is cancelled by {by}")),
        (None, None, Some(by)) => (Tone::Warn, format!("is paused by {by}")),
        (None, None, None) if undoing => (Tone::Warn, "undoes what failed".to_owned()),
        (None, None, None) if is_held => (Tone::Busy, "waits".to_owned()),
        (None, None, None) => (Tone::Busy, "goes on".to_owned()),
    };
    RunShown {
        id: run.id.to_string(),
        what: run.what.clone(),
        system: Some(system.to_string()),
        tone,
        state,
        done: run.tasks_done,
        total: run.tasks_total,
        waves: waves(run),
        ends_at: Some(run.predicted_end),
        under_way: run
            .tasks_in_work()
            .map(|task| WorkShown {
                node: task.node.to_string(),
                wave: task.stage.clone(),
                step: step(task).to_owned(),
            })
            .collect(),
        holds: holds(run, is_held, now),
    }
}

fn step(task: &lifecycle::TaskShown) -> &str {
    task.step.as_deref().unwrap_or("between two steps")
}

/// The stages of the plan.
fn waves(run: &lifecycle::RunShown) -> Vec<WaveShown> {
    let mut waves: Vec<WaveShown> = Vec::new();
    for task in &run.tasks {
        if waves.last().is_none_or(|wave| wave.name != task.stage) {
            waves.push(WaveShown { name: task.stage.clone(), ..WaveShown::default() });
        }
        let Some(wave) = waves.last_mut() else { continue };
        wave.total += 1;
        wave.done += usize::from(matches!(task.standing.as_str(), "done" | "undone" | "skipped"));
        wave.tone = wave.tone.max(match task.standing.as_str() {
            "undone" | "undoing" => Tone::Bad,
            "waiting" | "working" => Tone::Busy,
            _ => Tone::Good,
        });
    }
    waves
}

/// Whether people are told of a reason. That one node comes after the other is the plan itself, and what every poll brings
/// and takes is none of theirs unless it lasts.
fn is_told(hold: &lifecycle::HoldShown, now: Timestamp) -> bool {
    match hold.reason {
        ReasonKind::InWork => false,
        ReasonKind::WaitsForEffect | ReasonKind::AlertsBehind | ReasonKind::BeforeEffect => now - hold.since >= LASTING,
        _ => true,
    }
}

/// Why it waits, each reason once, with the nodes that wait for it; what people want to hear of comes first.
fn holds(run: &lifecycle::RunShown, is_held: bool, now: Timestamp) -> Vec<HoldShown> {
    // While one node is worked on the others wait for that: it is how the plan goes on.
    let is_beside = |reason: ReasonKind| {
        matches!(reason, ReasonKind::MaintenanceElsewhere | ReasonKind::MdmInWork | ReasonKind::QuorumInWork)
    };
    let is_news = |hold: &&lifecycle::HoldShown| is_held || !is_beside(hold.reason);

    let mut by_text: BTreeMap<&str, (Vec<&NodeName>, &lifecycle::HoldShown)> = BTreeMap::new();
    for task in &run.tasks {
        for hold in task.holds.iter().filter(|hold| is_told(hold, now)).filter(is_news) {
            let (nodes, first) = by_text.entry(&hold.text).or_insert((Vec::new(), hold));
            nodes.push(&task.node);
            if hold.since < first.since {
                *first = hold;
            }
        }
    }
    let mut all: Vec<_> = by_text.into_values().collect();
    all.sort_by_key(|(_, hold)| (hold.reason.matter(), hold.since));
    all.into_iter()
        .map(|(nodes, hold)| HoldShown {
            why: hold.text.clone(),
            whom: match &nodes[..] {
                [one] => one.to_string(),
                all => format!("{} nodes", all.len()),
            },
            clears: Some(hold.clears.clone()),
            since: Some(hold.since),
        })
        .collect()
}

fn plan(plan: &lifecycle::PlanShown) -> PlanShown {
    let wave =
        |(name, total): &(String, usize)| WaveShown { name: name.clone(), tone: Tone::Busy, done: 0, total: *total };
    PlanShown {
        id: plan.id.to_string(),
        what: plan.what.clone(),
        system: plan.system.to_string(),
        made_at: plan.made_at,
        minutes: usize::try_from(plan.predicted_seconds.div_ceil(60)).unwrap_or(usize::MAX),
        waves: plan.waves.iter().map(wave).collect(),
    }
}

fn job(job: &lifecycle::JobShown) -> JobShown {
    JobShown {
        name: job.name.clone(),
        what: job.what.clone(),
        schedule: job.line.clone(),
        next: job.next.iter().find(|(_, blackout)| blackout.is_none()).map(|(at, _)| *at),
        last: job.last_due,
        outcome: job.last_result.clone(),
        found: job.found.iter().take(FOUND).cloned().collect(),
        tone: match job.result {
            Some(
                JobResult::Refused | JobResult::LeftOut | JobResult::Missed | JobResult::Unwell | JobResult::Unknown,
            ) => Tone::Warn,
            None if job.looking.is_some() => Tone::Busy,
            Some(JobResult::Began | JobResult::Proposed | JobResult::Nothing | JobResult::Well) | None => Tone::Good,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::hold::Hardness;
    use crate::model::id::{PlanId, RunId};
    use crate::model::lifecycle::{Mode, TaskShown};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).unwrap()
    }

    fn task(number: u32, stage: &str, node: &str, standing: &str, holds: &[(&str, i64)]) -> TaskShown {
        let hold = |(text, since): &(&str, i64)| lifecycle::HoldShown {
            reason: ReasonKind::Moving,
            hardness: Hardness::Hard,
            text: (*text).to_owned(),
            clears: "its end".to_owned(),
            since: at(*since),
            seen_at: None,
        };
        TaskShown {
            number,
            stage: stage.to_owned(),
            node: NodeName::new(node),
            standing: standing.to_owned(),
            step: None,
            by_hand: false,
            since: at(0),
            attempts: 0,
            why: None,
            overdue: None,
            holds: holds.iter().map(hold).collect(),
        }
    }

    fn work(tasks: Vec<TaskShown>) -> Arc<Lifecycle> {
        let run = lifecycle::RunShown {
            id: RunId::new("run-0001"),
            plan: PlanId::new("p"),
            what: "upgrade to R3_6.1.2".to_owned(),
            approved_by: "ada".to_owned(),
            opened_at: at(0),
            paused_by: None,
            cancelled_by: None,
            halted: None,
            failures: 0,
            tasks_done: 2,
            tasks_total: tasks.len(),
            predicted_end: at(900),
            idle_since: at(0),
            windows_missed: 0,
            tasks,
        };
        Arc::new(Lifecycle { run: Some(run), ..Lifecycle::nothing(SystemId::new("prod"), Mode::Act, at(0)) })
    }

    #[test]
    fn a_run_shows_its_waves_and_each_reason_once_with_who_waits() {
        let held = work(vec![
            task(0, "packages", "n1", "done", &[]),
            task(1, "packages", "n2", "done", &[]),
            task(2, "sds", "n1", "waiting", &[("pool p moves", 50), ("no window is open", 40)]),
            task(3, "sds", "n2", "waiting", &[("pool p moves", 30)]),
        ]);
        let shown = works(&Members::new(), &RolloutStatus::default(), None, &[held], at(100));
        let [run] = &shown.runs[..] else { panic!("{shown:?}") };
        assert_eq!((run.state.as_str(), run.done, run.total, run.ends_at), ("waits", 2, 4, Some(at(900))));
        let waves: Vec<_> =
            run.waves.iter().map(|wave| (wave.name.as_str(), wave.tone, wave.done, wave.total)).collect();
        assert_eq!(waves, [("packages", Tone::Good, 2, 2), ("sds", Tone::Busy, 0, 2)]);
        let holds: Vec<_> = run.holds.iter().map(|hold| (hold.whom.as_str(), hold.why.as_str(), hold.since)).collect();
        assert_eq!(holds, [("2 nodes", "pool p moves", Some(at(30))), ("n1", "no window is open", Some(at(40)))]);
        assert_eq!(run.holds[0].clears.as_deref(), Some("its end"));
    }

    #[test]
    fn a_plan_shows_its_waves_before_anything_is_done() {
        let plan = lifecycle::PlanShown {
            id: PlanId::new("p"),
            system: SystemId::new("prod"),
            what: "restart n1".to_owned(),
            made_at: at(50),
            risk: crate::model::plan::Risk::Low,
            predicted_seconds: 61,
            stages: Vec::new(),
            waves: vec![("sds".to_owned(), 3)],
            nodes: BTreeMap::new(),
            unsafe_because: Vec::new(),
            unproven: Vec::new(),
        };
        let newer = lifecycle::PlanShown { what: "restart n2".to_owned(), made_at: at(60), ..plan.clone() };
        let nothing = Lifecycle::nothing(SystemId::new("prod"), Mode::Act, at(0));
        let filed = Arc::new(Lifecycle { plans: vec![plan, newer], ..nothing });
        let shown = works(&Members::new(), &RolloutStatus::default(), None, &[filed], at(100));
        let seen: Vec<_> = shown.plans.iter().map(|plan| (plan.what.as_str(), plan.minutes)).collect();
        assert_eq!(seen, [("restart n2", 2), ("restart n1", 2)]);
        let wave = WaveShown { name: "sds".to_owned(), tone: Tone::Busy, done: 0, total: 3 };
        assert_eq!(shown.plans[1].waves, [wave]);
    }

    #[test]
    fn what_is_broken_is_told_before_what_it_brings_about() {
        let texts = [("the MDM raises DEVICE_FAILED", 10), ("pool p moves", 20), ("device d has an error", 30)];
        let mut tasks = vec![task(0, "sds", "n1", "waiting", &texts)];
        tasks[0].holds[0].reason = ReasonKind::MdmAlert;
        tasks[0].holds[2].reason = ReasonKind::DeviceError;
        let shown = works(&Members::new(), &RolloutStatus::default(), None, &[work(tasks)], at(100));
        let whys: Vec<&str> = shown.runs[0].holds.iter().map(|hold| hold.why.as_str()).collect();
        assert_eq!(whys, ["device d has an error", "pool p moves", "the MDM raises DEVICE_FAILED"]);
    }

    #[test]
    fn what_the_plan_itself_brings_and_each_poll_takes_away_is_told_to_nobody() {
        let mut tasks = vec![
            task(0, "sds", "n1", "working", &[("it waits for n1 shown by the MDM and its agent", 90)]),
            task(1, "sds", "n2", "waiting", &[("n1 is in work", 10), ("alerts were not evaluated", 95)]),
        ];
        tasks[0].holds[0].reason = ReasonKind::WaitsForEffect;
        tasks[1].holds[0].reason = ReasonKind::InWork;
        tasks[1].holds[1].reason = ReasonKind::AlertsBehind;
        let at_work = work(tasks);
        let look = |seconds| {
            works(&Members::new(), &RolloutStatus::default(), None, std::slice::from_ref(&at_work), at(seconds))
        };
        let run = &look(100).runs[0];
        assert_eq!((run.state.as_str(), run.holds.len()), ("goes on", 0), "{run:?}");
        let whys: Vec<String> = look(120).runs[0].holds.iter().map(|hold| hold.why.clone()).collect();
        assert_eq!(whys, ["alerts were not evaluated", "it waits for n1 shown by the MDM and its agent"]);
        let mut tasks =
            vec![task(0, "sds", "n1", "working", &[]), task(1, "sds", "n2", "waiting", &[("n1 is away", 10)])];
        tasks[1].holds[0].reason = ReasonKind::MaintenanceElsewhere;
        let whole = |tasks: &[TaskShown]| {
            let work = work(tasks.to_vec());
            works(&Members::new(), &RolloutStatus::default(), None, &[work], at(100)).runs[0].holds.len()
        };
        assert_eq!(whole(&tasks), 0, "the next one waits for the one in work");
        tasks[0].standing = "done".to_owned();
        assert_eq!(whole(&tasks), 1);
    }

    #[test]
    fn a_node_in_work_says_so_and_one_without_a_rollout_is_shown_by_its_agent() {
        let node = NodeName::new("n1");
        let member =
            Arc::new(Member { out_of_work: Some("the ledger is damaged".into()), ..Member::new(node.clone()) });
        let other = Arc::new(Member::new(NodeName::new("n2")));
        let members: Members = [(node, member), (NodeName::new("n2"), other)].into();
        let quiet = works(&members, &RolloutStatus::default(), None, &[], at(0));
        let said: Vec<_> = quiet.nodes.iter().map(|node| (node.name.as_str(), node.phase.as_str())).collect();
        assert_eq!(said, [("n1", "takes no orders"), ("n2", "was not heard yet")]);
        let busy = work(vec![task(0, "sds", "n2", "working", &[])]);
        let shown = works(&members, &RolloutStatus::default(), None, &[busy], at(0));
        assert_eq!(shown.nodes[1].phase, "in work");
        assert_eq!(shown.runs[0].state, "goes on");
    }

    #[test]
    fn the_job_that_runs_next_comes_first_and_a_time_in_a_blackout_is_none() {
        let line = |name: &str, next: Vec<(Timestamp, Option<String>)>, last: Option<&str>| lifecycle::JobShown {
            name: name.to_owned(),
            what: "upgrade".to_owned(),
            line: "0 2 * * SAT".to_owned(),
            next,
            last_due: None,
            last_result: last.map(str::to_owned),
            result: last.map(|says| if says.starts_with("missed") { JobResult::Missed } else { JobResult::Began }),
            last_success: None,
            kind: "upgrade".to_owned(),
            found: Vec::new(),
            looking: None,
        };
        let jobs = vec![
            line("never", Vec::new(), Some("missed: the controller was not there in time")),
            line("late", vec![(at(10), Some("year end".to_owned())), (at(90), None)], None),
            line("soon", vec![(at(20), None)], Some("began a run of plan p")),
        ];
        let work = Lifecycle { jobs, ..Lifecycle::nothing(SystemId::new("prod"), Mode::Act, at(0)) };
        let shown = works(&Members::new(), &RolloutStatus::default(), None, &[Arc::new(work)], at(0));
        let said: Vec<_> = shown.jobs.iter().map(|job| (job.name.as_str(), job.next, job.tone)).collect();
        assert_eq!(
            said,
            [("soon", Some(at(20)), Tone::Good), ("late", Some(at(90)), Tone::Good), ("never", None, Tone::Warn)]
        );
    }
}
