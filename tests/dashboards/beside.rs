//! What the controller did beside watching, for the past of `past.rs`: it stood in a Mesos cluster that grew by two
//! agents, and told people of what failed.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use scaleio_framework::metrics::Own;
use scaleio_framework::model::framework::{FrameworkStatus, Registration};
use scaleio_framework::model::id::{AgentId, ExecutorId, TaskId};
use scaleio_framework::model::mesos::{NodeTask, TaskPhase, TaskState};

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
    own.handling(&BTreeMap::from([("explained".to_owned(), 1), ("acknowledged".to_owned(), 1)]), 1);
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
