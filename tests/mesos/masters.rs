//! Masters that do not lead, recover, or lose the lead, told to by a test: a
//! real one does that only with ZooKeeper (see `failover`), and never on time.

use std::time::Duration;

use scaleio_framework::model::framework::Registration;
use scaleio_framework::sim::mesos::{Host, Options, SimMesos, processes};
use scaleio_framework::store::Disk;
use serde_json::json;

use crate::controller::{Controller, addresses, executor, mesos};
use crate::site::{ask, http, try_to_ask, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_does_not_lead_names_the_one_that_does() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new(processes(), folder.path().join("state")).masters(3);
    let simulated = SimMesos::start(options).await.unwrap();
    simulated.join(&Host::new("agent1", "")).await.unwrap();
    let masters = simulated.masters();
    let leader = masters[0].trim_start_matches("http://");
    for (path, place) in [
        ("/api/v1/scheduler", format!("//{leader}/master/api/v1/scheduler")),
        ("/state", format!("//{leader}/master/state")),
        ("/redirect", format!("//{leader}")),
    ] {
        let response = http().get(format!("{}{path}", masters[1])).send().await.unwrap();
        let location = response.headers()["Location"].to_str().unwrap();
        assert_eq!((response.status().as_u16(), location), (307, &*place), "{path}");
    }

    let disk = Disk::new();
    let list: Vec<&str> = masters.iter().map(String::as_str).collect();
    let controller = Controller::start(&disk, mesos(addresses(&list[1..]), None), executor());
    controller.registered().await;
    let task = controller.task("agent1", "TASK_RUNNING").await;
    let id = controller.id();

    simulated.lead(2);
    let leads = async || match &controller.now().registration {
        Registration::Registered { master, .. } => (**master == *masters[2]).then_some(()),
        _ => None,
    };
    until("the new leader to have us", leads).await;
    until("the task to be answered", async || (controller.now().unanswered == 0).then_some(())).await;
    assert_eq!((controller.id(), controller.task("agent1", "TASK_RUNNING").await.task), (id, task.task));
    assert_eq!(controller.count("before ACCEPT"), 1, "nothing is launched twice");

    for (lose, text) in [
        (SimMesos::lose_leader as fn(&SimMesos), "No leader elected"),
        (SimMesos::recover_leader, "Master has not finished recovery"),
    ] {
        lose(&simulated);
        let told = async || match &controller.now().registration {
            Registration::Disconnected { error: Some(error), .. } => error.contains(text).then_some(()),
            _ => None,
        };
        until(text, told).await;
        assert_eq!(try_to_ask(&masters[0], &json!({ "type": "GET_AGENTS" })).await, (503, text.to_owned()));
    }
    simulated.lead(0);
    controller.registered().await;
    controller.task("agent1", "TASK_RUNNING").await;
    controller.end().await;

    until("the agent to be registered", async || {
        let agents = ask(&masters[0], json!({ "type": "GET_AGENTS" })).await;
        (agents["get_agents"]["agents"].as_array().unwrap().len() == 1).then_some(())
    })
    .await;
    tokio::time::timeout(Duration::from_secs(5), simulated.stop()).await.expect("it ends");
}

/// No real master can be made to do it: its streams end with an error.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_ends_the_subscription_though_the_stream_stays_open() {
    let folder = tempfile::tempdir().unwrap();
    let simulated = SimMesos::start(Options::new(processes(), folder.path().join("state"))).await.unwrap();
    simulated.join(&Host::new("agent1", "")).await.unwrap();
    let master = simulated.masters()[0].clone();
    let controller = Controller::start(&Disk::new(), mesos(addresses(&[&master]), None), executor());
    let task = controller.task("agent1", "TASK_RUNNING").await;
    let id = controller.id();

    for times in 1..=3_usize {
        simulated.say_error("Something is wrong with you");
        let again = async || (controller.count("event subscribed") == times + 1).then_some(());
        until("another subscription", again).await;
        controller.registered().await;
        until("the task to be answered", async || (controller.now().unanswered == 0).then_some(())).await;
    }
    assert_eq!((controller.id(), controller.task("agent1", "TASK_RUNNING").await.task), (id, task.task));
    assert_eq!(controller.count("before ACCEPT"), 1, "nothing is launched twice");
    simulated.join(&Host::new("agent2", "")).await.unwrap();
    controller.task("agent2", "TASK_RUNNING").await;

    simulated.say_error("Framework has been removed");
    let removed = async || matches!(controller.now().registration, Registration::Removed { .. }).then_some(());
    until("the end", removed).await;
    assert_eq!(controller.count("event subscribed"), 4, "that one is final");
    controller.end().await;
    simulated.stop().await;
}
