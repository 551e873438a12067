//! Three masters over ZooKeeper: who leads may change.

use scaleio_framework::config::{Masters, MastersInZooKeeper};
use scaleio_framework::model::framework::Registration;
use scaleio_framework::store::Disk;

use crate::cluster::Cluster;
use crate::controller::{Controller, addresses, executor, mesos};
use crate::site::{tasks, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_leader_is_found_and_the_tasks_with_it() {
    let cluster = Cluster::with(23_000..24_000, &["--masters", "3", "--agents", "1"]);
    let place = |path: &str| {
        let servers = format!("127.0.0.1:{}", cluster.port - 10);
        Masters::ZooKeeper(MastersInZooKeeper { servers, path: path.to_owned(), auth: None, tls: false })
    };

    let lost = Controller::start(&Disk::new(), mesos(place("/nowhere"), None), executor());
    let told = async || match &lost.now().registration {
        Registration::Disconnected { error: Some(error), .. } => Some(error.to_string()),
        _ => None,
    };
    let told = until("a wrong path to be told", told).await;
    assert!(told.contains("/nowhere is not there; see the path in mesos.masters"), "{told}");
    lost.end().await;
    eprintln!("story: a wrong path in ZooKeeper is told with its mend");

    let list: Vec<String> = (0..3).map(|n| format!("http://127.0.0.1:{}", cluster.port - n)).collect();
    let disk = Disk::new();
    // Whichever of them leads, two of these begin at one that does not.
    let mut id = None;
    for first in &list {
        let controller = Controller::start(&disk, mesos(addresses(&[first]), None), executor());
        controller.registered().await;
        let known = id.get_or_insert_with(|| controller.id()).clone();
        assert_eq!(controller.id(), known);
        controller.task("agent1", "TASK_RUNNING").await;
        controller.end().await;
    }
    eprintln!("story: any master of the list tells who leads");

    let controller = Controller::start(&disk, mesos(place("/mesos"), None), executor());
    controller.registered().await;
    let task = controller.task("agent1", "TASK_RUNNING").await;
    let leader = |controller: &Controller| match &controller.now().registration {
        Registration::Registered { master, .. } => Some(master.to_string()),
        _ => None,
    };
    let first = leader(&controller).unwrap();
    let number = list.iter().position(|address| *address == first).unwrap() + 1;
    cluster.script(&["kill", "master", &number.to_string()]);
    let look = async || leader(&controller).filter(|now| *now != first);
    let second = until("another master to lead", look).await;
    until("the task to be answered by it", async || (controller.now().unanswered == 0).then_some(())).await;
    assert_eq!(controller.task_on("agent1").unwrap().task, task.task);
    let there = async || {
        let there = tasks(&second, &controller.id()).await;
        (there == [(task.task.to_string(), "TASK_RUNNING".to_owned())]).then_some(())
    };
    until("the new leader to know the task", there).await;
    assert_eq!(controller.count("before ACCEPT"), 0, "nothing is launched twice");
    eprintln!("story: a leader dies, and the next one has us and our task");

    cluster.script(&["stop", "zk", "1"]);
    let look = async || matches!(controller.now().registration, Registration::Disconnected { .. }).then_some(());
    until("the leader to end without ZooKeeper", look).await;
    cluster.script(&["start", "zk", "1"]);
    for k in ["1", "2", "3"] {
        cluster.script(&["start", "master", k]);
    }
    controller.registered().await;
    until("the task to be answered", async || (controller.now().unanswered == 0).then_some(())).await;
    assert_eq!(controller.task("agent1", "TASK_RUNNING").await.task, task.task);
    eprintln!("story: ZooKeeper goes and comes back, and with it everything");
    controller.end().await;
}
