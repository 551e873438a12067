//! What the controller did beside watching, for the past of `past.rs`: it stood in a Mesos cluster that grew by two
//! agents, which it made nodes of, told people of what failed, and began an upgrade that a failure holds at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use scaleio_framework::metrics::Own;
use scaleio_framework::model::framework::{FrameworkStatus, Registration};
use scaleio_framework::model::hold::ReasonKind;
use scaleio_framework::model::id::{AgentId, ExecutorId, NodeName, PlanId, RunId, SystemId, TaskId};
use scaleio_framework::model::lifecycle::{
    HoldShown, JobResult, JobShown, Lifecycle, Mode, RunShown, TaskShown, UpgradeShown,
};
use scaleio_framework::model::mesos::{NodeTask, TaskPhase, TaskState};
use scaleio_framework::model::node::{NodePhase, Role};
use scaleio_framework::model::rollout::{NodeRollout, RolloutStatus};

const CLUSTER: &str = "main";

/// Agents there were before the detailed part begins.
const AGENTS: u32 = 10;

/// When each further agent joined, in minutes before the end.
const JOINED: [i64; 2] = [200, 95];

/// Mails by minute before the end: what kind, how grave, and how often the server had said no.
const MAILS: [(i64, &str, &str, u32); 9] = [
    (358, "firing", "critical", 0),
    (356, "firing", "warning", 0),
    (330, "firing", "critical", 0),
    (318, "update", "critical", 0),
    (262, "resolved", "critical", 0),
    (150, "firing", "warning", 3),
    (144, "firing", "critical", 2),
    (100, "resolved", "warning", 0),
    (12, "firing", "critical", 0),
];

/// Tells it all for the moment so many minutes before the end.
pub(crate) fn tell(own: &Own, at: DateTime<Utc>, minutes: i64) {
    let joined: Vec<i64> = JOINED.into_iter().filter(|joined| *joined >= minutes).collect();
    let mut tasks = BTreeMap::new();
    for agent in 0..AGENTS {
        tasks.extend([task(agent, TaskState::Running, at)]);
    }
    for (agent, joined) in (AGENTS..).zip(&joined) {
        let state = if joined - minutes < 4 { TaskState::Starting } else { TaskState::Running };
        tasks.extend([task(agent, state, at)]);
    }
    own.mesos_event(CLUSTER, "HEARTBEAT");
    for (agent, _) in tasks.values().enumerate() {
        if (minutes + agent as i64) % 7 == 0 {
            own.mesos_event(CLUSTER, "OFFERS");
            own.mesos_offer(CLUSTER, "declined", "already_there");
        }
    }
    if JOINED.contains(&minutes) || JOINED.contains(&(minutes + 1)) {
        own.mesos_event(CLUSTER, "OFFERS");
        own.mesos_offer(CLUSTER, "accepted", "wanted");
        own.mesos_event(CLUSTER, "UPDATE");
    }
    own.mesos_status(&FrameworkStatus {
        cluster: CLUSTER.into(),
        framework: None,
        registration: Registration::Registered { master: "10.0.0.1:5050".into(), heard_at: at },
        mend: None,
        is_suppressed: false,
        unanswered: 0,
        tasks,
        agents: BTreeMap::new(),
    });

    for (since, kind, severity, tries) in MAILS {
        // The mail server was away for a quarter of an hour.
        let taken = since - i64::from(tries) * 5;
        if since == minutes || since == minutes + 1 {
            own.told(kind, severity);
        }
        if taken == minutes || taken == minutes + 1 {
            own.notified("mail", severity, kind, "sent");
            own.delivered("mail", Duration::from_millis(400) + Duration::from_secs(u64::from(tries) * 300));
        } else if tries > 0 && (taken..since).contains(&minutes) && minutes % 5 == 0 {
            own.notified("mail", severity, kind, "failed");
        }
    }
    let waiting: Vec<i64> = MAILS
        .into_iter()
        .filter(|(since, _, _, tries)| (since - i64::from(*tries) * 5..*since).contains(&minutes))
        .map(|(since, ..)| since)
        .collect();
    let oldest = waiting.iter().max().map(|since| at - TimeDelta::minutes(since - minutes));
    own.spool("mail", waiting.len(), oldest, 0, 0);
    work(own, at, minutes);
    own.handling(&BTreeMap::from([("explained".to_owned(), 1), ("acknowledged".to_owned(), 1)]), 1);
}

/// When the calendar asked for an upgrade of `prod`, in minutes before the end, and what held it from when to when.
const ASKED: i64 = 345;
const HELD: [(i64, i64, ReasonKind); 3] =
    [(330, 288, ReasonKind::DeviceError), (330, 326, ReasonKind::DataUnprotected), (12, -1, ReasonKind::SdsAway)];
/// When each of its nodes was done.
const DONE: [i64; 4] = [250, 205, 150, 90];
const NODES: usize = 6;

/// The work on `prod`, and its nodes.
fn work(own: &Own, at: DateTime<Utc>, minutes: i64) {
    let system = SystemId::new("prod");
    let before = |then: i64| at - TimeDelta::minutes(then - minutes);
    let mut shown = Lifecycle::nothing(system.clone(), Mode::Act, at);
    let last = if minutes <= ASKED { ASKED } else { ASKED + 7 * 24 * 60 };
    shown.jobs = vec![JobShown {
        name: "next-release".to_owned(),
        kind: "upgrade".to_owned(),
        what: "upgrade to R3_6.1".to_owned(),
        line: "0 12 * * 7".to_owned(),
        next: [1, 2].map(|week| (before(last) + TimeDelta::weeks(week), None)).to_vec(),
        last_due: Some(before(last)),
        last_result: None,
        result: None,
        found: Vec::new(),
        looking: None,
        last_success: Some(before(last)),
    }];
    if minutes <= ASKED {
        let done = DONE.iter().filter(|done| **done >= minutes).count();
        let holds: Vec<HoldShown> = HELD
            .into_iter()
            .filter(|(from, until, _)| (*until + 1..=*from).contains(&minutes))
            .map(|(from, _, reason)| HoldShown {
                reason,
                hardness: reason.hardness(),
                text: String::new(),
                clears: reason.clears().to_owned(),
                since: before(from),
                seen_at: None,
            })
            .collect();
        let task = |number: usize| {
            let standing = match number {
                number if number < done => "done",
                number if number == done && holds.is_empty() => "working",
                _ => "waiting",
            };
            TaskShown {
                number: u32::try_from(number).unwrap(),
                stage: "sds".to_owned(),
                node: NodeName::new(&format!("node-{number}")),
                standing: standing.to_owned(),
                step: None,
                by_hand: false,
                since: at,
                attempts: 0,
                why: None,
                overdue: None,
                holds: if standing == "waiting" { holds.clone() } else { Vec::new() },
            }
        };
        let tasks: Vec<TaskShown> = (0..NODES).map(task).collect();
        let count = |standing: &str| tasks.iter().filter(|task| task.standing == standing).count();
        shown.upgrade = Some(UpgradeShown {
            from: "R3_6.0.0".into(),
            to: "R3_6.1.0".into(),
            state: "running".to_owned(),
            active: true,
            pending: count("waiting"),
            running: count("working"),
            done,
            failed: 0,
        });
        let left = i64::try_from(NODES - done).unwrap();
        shown.run = Some(RunShown {
            id: RunId::new("run-0001"),
            plan: PlanId::new("p"),
            what: "upgrade to R3_6.1.0".to_owned(),
            approved_by: "ada".to_owned(),
            opened_at: before(ASKED),
            paused_by: None,
            cancelled_by: None,
            halted: None,
            failures: 0,
            tasks_done: done,
            tasks_total: NODES,
            predicted_end: at + TimeDelta::minutes(50 * left),
            idle_since: at,
            windows_missed: 0,
            tasks,
        });
    }
    own.work(&shown);
    if minutes == ASKED || minutes == ASKED + 1 {
        own.job_fired(&system, "next-release", JobResult::Began);
    }
    own.rollout_status(&nodes(&system, before, minutes), std::iter::empty());
    for joined in JOINED {
        for (later, step) in [(1, "preflight"), (2, "install"), (4, "connect_sdc")] {
            // The past is looked at every other minute.
            if (joined - later..=joined - later + 1).contains(&minutes) {
                own.step_ended(step, true, Duration::from_secs(40));
            }
        }
    }
}

/// Those that were there, and two that joined, of which the last one failed.
fn nodes(system: &SystemId, before: impl Fn(i64) -> DateTime<Utc>, minutes: i64) -> RolloutStatus {
    let node = |name: String, phase: NodePhase, since: DateTime<Utc>| {
        let rollout = NodeRollout {
            system: system.clone(),
            node: NodeName::new(&name),
            agent: None,
            roles: [Role::Sds, Role::Sdc].into(),
            phase,
            since,
            why: Vec::new(),
            disks: [].into(),
            preflight: [].into(),
        };
        (rollout.node.clone(), rollout)
    };
    let mut all: BTreeMap<_, _> =
        (0..NODES).map(|number| node(format!("node-{number}"), NodePhase::Ready, before(ASKED * 9))).collect();
    for (number, joined) in (NODES..).zip(JOINED).filter(|(_, joined)| *joined >= minutes) {
        let (phase, since) = match joined - minutes {
            passed if passed < 8 => (NodePhase::Installing { step: "install".into() }, joined),
            _ if number > NODES => {
                (NodePhase::Failed { why: "a disk answers no more".into(), tries: 5, retry_at: None }, joined - 8)
            }
            _ => (NodePhase::Ready, joined - 8),
        };
        all.extend([node(format!("node-{number}"), phase, before(since))]);
    }
    RolloutStatus { nodes: all, systems: BTreeMap::new() }
}

fn task(agent: u32, state: TaskState, at: DateTime<Utc>) -> (AgentId, NodeTask) {
    let id = AgentId::new(&format!("agent-{agent}"));
    let phase = TaskPhase::Told { state, reason: None, message: None };
    let task = NodeTask {
        agent: id.clone(),
        hostname: format!("node-{agent}").into(),
        task: TaskId::new(&format!("scaleio-{agent}")),
        executor: ExecutorId::new(&format!("scaleio-{agent}")),
        attempt: 1,
        phase,
        failures: 0,
        retry_at: None,
        changed_at: at,
    };
    (id, task)
}
