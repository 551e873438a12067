//! One master, two agents: what happens to the task of an agent, and to ours.

use std::time::Duration;

use scaleio_framework::mesos::operator::Operator;
use scaleio_framework::model::framework::{FrameworkOrder, Registration};
use scaleio_framework::model::id::{AgentId, SystemId};
use scaleio_framework::model::node::AgentState;
use scaleio_framework::model::offer::{Stays, Vote};
use scaleio_framework::store::Disk;
use serde_json::{Value, json};

use crate::controller::{Controller, addresses, executor, launch, mesos};
use crate::site::{Fate, Site, Wanted, until};

/// What an executor of the tests answers when it is asked.
const ANSWER: &[u8] = b"a certificate";

pub(crate) async fn tasks_follow_their_agents_whatever_happens_to_them<S: Site>() {
    let wanted = Wanted { agents: &["", "scaleio-persona:king"], quick_ping: true, login: None };
    let cluster = S::up(21_000..22_000, wanted).await;
    let disk = Disk::new();
    let start = || Controller::start(&disk, mesos(addresses(&[&cluster.master()]), None), executor());
    let controller = start();

    controller.registered().await;
    let first = controller.task("agent1", "TASK_RUNNING").await;
    assert_eq!(first.attempt, 1);
    let refused = until("a verdict on agent2", async || controller.refusal("agent2")).await;
    assert_eq!(refused.as_str(), "bad_attributes");
    assert!(refused.to_string().contains("scaleio-persona is \"king\"; write primary"), "{refused}");
    assert!(controller.task_on("agent2").is_none());
    eprintln!("story: an agent gets its task, and one with bad attributes is told why not");

    let id = controller.id();
    controller.end().await;
    let controller = start();
    controller.registered().await;
    until("every task to be answered", async || (controller.now().unanswered == 0).then_some(())).await;
    assert_eq!(controller.id(), id);
    assert_eq!(controller.task_on("agent1").unwrap().task, first.task);
    assert_eq!(controller.count("before ACCEPT"), 0, "nothing is launched twice");
    eprintln!("story: a controller that starts again finds its tasks");

    cluster.agent(1, Fate::Kill);
    cluster.agent(1, Fate::Start);
    // Until then it waits for its executors, and must not be disturbed.
    let back = async || {
        let agents = cluster.ask(json!({ "type": "GET_AGENTS" })).await;
        let all = agents["get_agents"]["agents"].as_array().cloned().unwrap_or_default();
        let is_back = |agent: &Value| agent["active"] == true && agent["reregistered_time"].is_object();
        all.iter().any(is_back).then_some(())
    };
    until("the agent to be registered again", back).await;
    let same = controller.task("agent1", "TASK_RUNNING").await;
    assert_eq!(same.task, first.task);
    let running = cluster.tasks(&id).await;
    assert_eq!(running, [(first.task.to_string(), "TASK_RUNNING".to_owned())]);
    eprintln!("story: an executor outlives the restart of its agent");

    cluster.agent(1, Fate::Pause);
    controller.task("agent1", "TASK_UNREACHABLE").await;
    cluster.agent(1, Fate::Resume);
    let back = controller.task("agent1", "TASK_RUNNING").await;
    assert_eq!(back.task, first.task);
    eprintln!("story: an agent that was unreachable comes back with its task");

    // While nobody is there to acknowledge the end of its task, it is named.
    controller.end().await;
    let mut operator = Operator::new(&mesos(addresses(&[&cluster.master()]), None)).unwrap();
    let agent = AgentId::new(first.agent.as_str());
    operator.drain(&agent, Duration::from_secs(1)).await.unwrap();
    let blocked = until("the drain to wait for the end of the task", async || {
        let agents = operator.agents().await.unwrap();
        agents.into_iter().find(|seen| seen.id == agent && seen.state != AgentState::Active)
    })
    .await;
    assert_eq!(blocked.state, AgentState::Draining { waits_for: vec!["scaleio".into()] });
    let controller = start();
    let drained = until("the drain to be over", async || {
        let agents = operator.agents().await.unwrap();
        agents.into_iter().find(|seen| seen.id == agent && seen.state == AgentState::Drained)
    });
    drained.await;
    operator.reactivate(&agent).await.unwrap();
    controller.task("agent1", "TASK_RUNNING").await;
    eprintln!("story: a drain waits for a framework that is away, and names it");

    drain(&cluster, &controller, &first.agent.to_string()).await;
    let second = controller.task("agent1", "TASK_RUNNING").await;
    // An agent that has just stopped draining drops what it gets for a moment.
    assert!((2..=3).contains(&second.attempt) && second.failures == 0, "{second:?}");
    eprintln!("story: a drained agent loses its task, and gets one when it is back");

    maintenance(&cluster, &controller, &second.agent.to_string()).await;
    eprintln!("story: an operator's maintenance is seen and voted on");

    cluster.agent(1, Fate::Forget);
    cluster.agent(1, Fate::Start);
    let look = async || controller.task_on("agent1").filter(|task| task.agent != first.agent);
    until("the agent under its new id", look).await;
    let new = controller.task("agent1", "TASK_RUNNING").await;
    assert_ne!(new.agent, first.agent);
    assert!(!controller.now().tasks.contains_key(&first.agent), "the old record went");
    eprintln!("story: an agent that lost its memory gets its task under its new id");

    let removed = controller.id();
    cluster.ask(json!({ "type": "TEARDOWN", "teardown": { "framework_id": { "value": removed } } })).await;
    let look = async || matches!(controller.now().registration, Registration::Removed { .. }).then_some(());
    until("the framework to be known as removed", look).await;
    assert!(controller.now().mend.unwrap().contains("sio framework register-anew"));
    controller.end().await;
    let controller = start();
    let look = async || matches!(controller.now().registration, Registration::Removed { .. }).then_some(());
    until("the removal to be known after a restart", look).await;
    controller.order(FrameworkOrder::RegisterAnew).await;
    controller.registered().await;
    assert_ne!(controller.id(), removed);
    controller.task("agent1", "TASK_RUNNING").await;
    eprintln!("story: a framework that was torn down waits for a person, and then begins anew");
    controller.end().await;
}

async fn drain<S: Site>(cluster: &S, controller: &Controller, agent: &str) {
    let drain = json!({
        "type": "DRAIN_AGENT",
        "drain_agent": { "agent_id": { "value": agent }, "max_grace_period": { "seconds": 2, "nanos": 0 } },
    });
    cluster.ask(drain).await;
    controller.task("agent1", "TASK_KILLED").await;
    let drained = async || {
        let agents = cluster.ask(json!({ "type": "GET_AGENTS" })).await;
        let all = agents["get_agents"]["agents"].as_array().unwrap().clone();
        all.iter().any(|agent| agent["drain_info"]["state"] == "DRAINED").then_some(())
    };
    until("the agent to be drained, for which our acknowledgement is needed", drained).await;
    cluster.ask(json!({ "type": "REACTIVATE_AGENT", "reactivate_agent": { "agent_id": { "value": agent } } })).await;
}

async fn maintenance<S: Site>(cluster: &S, controller: &Controller, agent: &str) {
    let start = chrono::Utc::now() + chrono::Duration::hours(1);
    let windows = json!([{
        "machine_ids": [{ "hostname": "agent1", "ip": "127.0.0.1" }],
        "unavailability": { "start": { "nanoseconds": start.timestamp_nanos_opt().unwrap() } },
    }]);
    let schedule = |windows: Value| {
        json!({
            "type": "UPDATE_MAINTENANCE_SCHEDULE",
            "update_maintenance_schedule": { "schedule": { "windows": windows } },
        })
    };
    cluster.ask(schedule(windows)).await;
    let seen = async || controller.now().agents.values().find_map(|seen| seen.wanted_from);
    until("the maintenance to be seen", seen).await;
    let vote = async |expected: &str| {
        let look = async || {
            let answer = cluster.ask(json!({ "type": "GET_MAINTENANCE_STATUS" })).await;
            answer.to_string().contains(&format!("\"status\":\"{expected}\"")).then_some(())
        };
        until(&format!("our vote to be {expected}"), look).await;
    };
    vote("DECLINE").await;
    let told = || controller.now().agents.values().find_map(|seen| seen.vote.clone());
    assert_eq!(told(), Some(Vote::Stays { reason: Stays::NotLookedAt }));
    let votes = |vote: &Vote| {
        let agents = controller.now().tasks.keys().filter(|id| id.as_str() == agent).cloned().collect::<Vec<_>>();
        FrameworkOrder::Votes(agents.into_iter().map(|agent| (agent, vote.clone())).collect())
    };
    controller.order(votes(&Vote::MayGo)).await;
    vote("ACCEPT").await;
    until("our vote to be shown", async || (told() == Some(Vote::MayGo)).then_some(())).await;
    // What was a yes may become a no.
    let serves = Vote::Stays { reason: Stays::Serves { system: SystemId::new("prod"), sds: "one".into() } };
    controller.order(votes(&serves)).await;
    vote("DECLINE").await;
    until("our vote to be shown", async || (told().as_ref() == Some(&serves)).then_some(())).await;
    cluster.ask(schedule(json!([]))).await;
}

pub(crate) async fn an_executor_is_fetched_checked_and_heard<S: Site>() {
    let cluster = S::up(22_000..23_000, Wanted::ONE).await;
    let program = format!("#!/bin/sh\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_sio"));
    let (address, sum) = serve(program.into_bytes()).await;
    let disk = Disk::new();
    let start = |template| Controller::start(&disk, mesos(addresses(&[&cluster.master()]), None), template);
    let served = |sha256| {
        let program = scaleio_framework::fleet::launch::Program { address: address.clone(), sha256 };
        scaleio_framework::fleet::launch::template(&program, Vec::new(), 0.1, 64.0)
    };

    let controller = start(served([7; 32]));
    let look = async || controller.refusal("agent1").filter(|reason| reason.as_str() == "waits_after_failure");
    until("a program with a wrong hash to be refused", look).await;
    assert_eq!(controller.task_on("agent1").unwrap().state(), "TASK_FAILED");
    controller.end().await;
    eprintln!("story: a program whose hash is wrong does not run");

    let controller = start(served(sum));
    let good = controller.task("agent1", "TASK_RUNNING").await;
    assert!(good.attempt > 1);
    eprintln!("story: a program whose hash is right runs, when the wait is over");

    kill_executor(&cluster);
    let look = async || controller.task_on("agent1").filter(|task| task.attempt > good.attempt);
    until("a new launch after the executor was killed", look).await;
    controller.task("agent1", "TASK_RUNNING").await;
    controller.end().await;
    eprintln!("story: an executor that is killed is launched again");

    let disk = Disk::new();
    let own = std::env::current_exe().unwrap();
    let asker = launch(format!("MESOS_TEST_EXECUTOR=1 exec {} --exact nodes::child_that_asks", own.display()));
    let mut controller = Controller::start(&disk, mesos(addresses(&[&cluster.master()]), None), asker);
    let mut asked = Vec::new();
    // The first one is taken for lost: it must be said again.
    for _ in 0..2 {
        let wait = tokio::time::timeout(Duration::from_secs(60), controller.messages.recv());
        asked.push(wait.await.expect("no message came").unwrap());
    }
    assert!(asked.iter().all(|message| message.data == b"a request"), "{asked:?}");
    let (agent, executor) = (asked[0].agent.clone(), asked[0].executor.clone());
    controller.order(FrameworkOrder::Message { agent, executor, data: ANSWER.to_vec() }).await;
    let done = controller.task("agent1", "TASK_FINISHED").await;
    assert!(format!("{:?}", done.phase).contains("it was answered"), "{done:?}");
    controller.end().await;
    eprintln!("story: a question is repeated until it is answered");
}

/// The executor of the last story; nothing in a usual run.
#[tokio::test]
async fn child_that_asks() {
    use scaleio_framework::mesos::executor::{Happened, Say, Surroundings, run};
    use scaleio_framework::model::mesos::TaskState;

    if std::env::var_os("MESOS_TEST_EXECUTOR").is_none() {
        return;
    }
    let variables: Vec<(String, String)> = std::env::vars().collect();
    let surroundings = Surroundings::read(&variables).unwrap();
    let (happened, mut news) = tokio::sync::mpsc::channel(8);
    let (say, said) = tokio::sync::mpsc::channel(8);
    let program = async move {
        let Some(Happened::Launched { task, .. }) = news.recv().await else { panic!("no task came") };
        let state =
            |state, message: &str| Say::State { task: task.clone(), state, healthy: None, message: message.to_owned() };
        say.send(state(TaskState::Running, "it asks")).await.unwrap();
        say.send(Say::Ask(b"a request".to_vec())).await.unwrap();
        let Some(Happened::Message(answer)) = news.recv().await else { panic!("no answer came") };
        assert_eq!(answer, ANSWER);
        say.send(state(TaskState::Finished, "it was answered")).await.unwrap();
    };
    let (end, ()) = tokio::join!(run(&surroundings, happened, said), program);
    end.unwrap();
}

/// Serves one file on loopback; tells its address and SHA-256.
async fn serve(file: Vec<u8>) -> (String, [u8; 32]) {
    use sha2::Digest;
    let sum = sha2::Sha256::digest(&file).into();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/sio", listener.local_addr().unwrap());
    let router = axum::Router::new().route("/sio", axum::routing::get(async move || file));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, sum)
}

/// Kills the executor of the only agent: the process in whose environment its sandbox stands.
fn kill_executor<S: Site>(cluster: &S) {
    let folder = cluster.path().join("state");
    let wanted = format!("MESOS_SANDBOX={}", folder.display());
    let mut killed = 0;
    for entry in std::fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let is_ours = environment.split(|byte| *byte == 0).any(|line| line.starts_with(wanted.as_bytes()));
        if is_ours && command.ends_with(b"executor\0") {
            assert!(std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
            killed += 1;
        }
    }
    assert_eq!(killed, 1, "one executor runs");
}
