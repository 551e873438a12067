//! Is an agent drained by the maintenance schedule, and is everything of others in it left as it is?

use std::sync::Arc;
use std::time::Duration;

use scaleio_framework::config::Drain;
use scaleio_framework::mesos::operator::Operator;
use scaleio_framework::model::id::{AgentId, NodeName, RunId};
use scaleio_framework::model::node::AgentState;
use scaleio_framework::model::step::{Answer, StepId};
use scaleio_framework::store::{Disk, Owner, Store};
use scaleio_framework::upgrade::hands::Intended;
use scaleio_framework::upgrade::mesos::{Agents, Drainer};
use scaleio_framework::work::record::Effect;
use scaleio_framework::work::seam::Errand;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::controller::{Controller, addresses, executor, mesos};
use crate::site::{Site, Wanted, until};

/// A drainer in this process, on a store that outlives it.
struct Draining {
    errands: mpsc::UnboundedSender<Intended>,
    agents: watch::Receiver<Agents>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Draining {
    fn start<S: Site>(cluster: &S, disk: &Disk, way: Drain) -> Self {
        let mut store = disk.open().unwrap();
        let state = store.load().unwrap();
        let (owner, desk) = Owner::new(Box::new(store), &state);
        let mut settings = mesos(addresses(&[&cluster.master()]), None);
        // Who has tasks on the agents is somebody else.
        settings.name = "another".to_owned();
        let (errands, orders) = mpsc::unbounded_channel();
        let (seen, agents) = watch::channel(Agents::default());
        let operator = Operator::new(&settings).unwrap();
        let drainer = Drainer::new(operator, way, desk, &state, orders, seen).unwrap();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let ((), owner) = tokio::join!(drainer.run(stopped), owner.run());
            owner.unwrap();
        });
        Self { errands, agents, stop, task }
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    async fn answer(&self, effect: Effect) -> Answer {
        let (answers, mut heard) = mpsc::unbounded_channel();
        let step = StepId { run: RunId::new("r"), task: 0, place: 0, attempt: 0 };
        let errand = Errand { step, effect, answers };
        self.errands.send(Intended { errand, at: chrono::Utc::now(), epoch: 0 }).unwrap();
        tokio::time::timeout(Duration::from_secs(60), heard.recv()).await.unwrap().unwrap().1
    }

    async fn agent(&self, what: &str, is: impl Fn(&AgentState) -> bool) -> AgentState {
        let look = async || {
            let agents = Arc::clone(&self.agents.borrow());
            let state = agents.get(&NodeName::new("agent1")).map(|(facts, _)| facts.state.clone());
            state.filter(&is)
        };
        until(what, look).await
    }
}

fn schedule(windows: &Value) -> Value {
    json!({
        "type": "UPDATE_MAINTENANCE_SCHEDULE",
        "update_maintenance_schedule": { "schedule": { "windows": windows } },
    })
}

fn window(hostname: &str, ip: &str) -> Value {
    json!({
        "machine_ids": [{ "hostname": hostname, "ip": ip }],
        "unavailability": { "start": { "nanoseconds": 1_900_000_000_000_000_001_i64 }, "duration": { "nanoseconds": 60 } },
    })
}

pub(crate) async fn an_agent_is_left_by_its_frameworks_and_what_others_scheduled_stays<S: Site>() {
    let cluster = S::up(29_000..30_000, Wanted::ONE).await;
    let windows = async || {
        let answer = cluster.ask(json!({ "type": "GET_MAINTENANCE_SCHEDULE" })).await;
        answer["get_maintenance_schedule"]["schedule"]["windows"].as_array().cloned().unwrap_or_default()
    };
    let disk = Disk::new();
    let controller = Controller::start(&disk, mesos(addresses(&[&cluster.master()]), None), executor());
    let task = controller.task("agent1", "TASK_RUNNING").await;
    let agent = AgentId::new(task.agent.as_str());
    let drain = || Effect::Drain { agent: agent.clone() };
    let reactivate = || Effect::Reactivate { agent: agent.clone() };

    let own = Disk::new();
    let draining = Draining::start(&cluster, &own, Drain::Schedule);
    cluster.ask(schedule(&json!([window("agent1", "127.0.0.1")]))).await;
    let answer = draining.answer(drain()).await;
    assert!(
        matches!(&answer, Answer::Refused { why } if why.contains("the maintenance schedule of others covers agent1"))
    );
    assert_eq!(windows().await.len(), 1);
    eprintln!("story: a machine that others have plans with is left to them");

    cluster.ask(schedule(&json!([window("elsewhere", "10.9.9.9")]))).await;
    let before = windows().await;
    assert_eq!(draining.answer(drain()).await, Answer::Accepted);
    let leaving = draining.agent("the agent to be left", AgentState::is_ending).await;
    assert_eq!(leaving, AgentState::Leaving { waits_for: vec!["scaleio".into()] });
    let now = windows().await;
    assert!(now.len() == 2 && now.contains(&before[0]), "{now:#?}");
    assert_eq!(draining.answer(drain()).await, Answer::Accepted, "once more");
    assert_eq!(windows().await.len(), 2);
    eprintln!("story: frameworks are asked to leave, and who has not is named");

    draining.end().await;
    let draining = Draining::start(&cluster, &own, Drain::Agent);
    draining.agent("the agent to be left still", |state| *state == leaving).await;
    assert_eq!(draining.answer(reactivate()).await, Answer::Accepted);
    draining.agent("the agent to be active", |state| *state == AgentState::Active).await;
    assert_eq!(windows().await, before);
    draining.end().await;
    eprintln!("story: whoever comes after knows which window is ours, and takes it out while a task still runs there");

    let draining = Draining::start(&cluster, &own, Drain::Schedule);
    assert_eq!(draining.answer(drain()).await, Answer::Accepted);
    let framework = controller.id();
    cluster.ask(json!({ "type": "TEARDOWN", "teardown": { "framework_id": { "value": framework } } })).await;
    draining.agent("the agent to be drained", |state| *state == AgentState::Drained).await;
    // Somebody else takes it out of the schedule: that is no drain any more, and to put it back changes nothing.
    cluster.ask(schedule(&json!(before))).await;
    draining.agent("the agent to be active again", |state| *state == AgentState::Active).await;
    assert_eq!(draining.answer(reactivate()).await, Answer::Accepted);
    assert_eq!(windows().await, before);
    eprintln!("story: an agent without tasks of others is drained");
    draining.end().await;

    let by_master = Draining::start(&cluster, &own, Drain::Agent);
    assert_eq!(by_master.answer(drain()).await, Answer::Accepted);
    by_master.agent("the agent to be drained by the master", |state| *state == AgentState::Drained).await;
    assert_eq!(by_master.answer(reactivate()).await, Answer::Accepted);
    by_master.agent("the agent to be active", |state| *state == AgentState::Active).await;
    by_master.end().await;
    controller.end().await;
    eprintln!("story: the master drains it, where that is asked for");
}
