//! A controller that has lost its state: it takes its agents back when a person
//! says so, and touches nothing before.

use std::fs;

use scaleio_framework::stage::Disk;
use serde_json::Value;

use crate::cluster::until;
use crate::ready::{OS, devices, host, none, phase, start, tick};
use crate::site::Site;
use crate::staged::at_mesos;

/// The store is gone; the authority was restored from its backup.
fn lose_state(site: &Site) {
    for entry in fs::read_dir(site.folder.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with("state.db") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

async fn because(site: &Site, name: &str, words: &str) -> Value {
    until(&format!("{name} to tell: {words}"), async || {
        let node = site.node(name).await?;
        node["because"].to_string().contains(words).then_some(node)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_lost_its_state_touches_nothing_until_a_person_says_adopt() {
    let mut site = start("act", &["one", "two"]).await;
    let hosts = none(&site);
    let disk = [("/dev/sdb", Disk::Blank)];
    let one = host(&site, &hosts, 1, "one", OS, &disk);
    phase(&site, &hosts, "one", "ready").await;
    let before = {
        let machine = one.machine();
        (machine.node.effects.clone(), machine.deeds.clone())
    };

    site.kill();
    lose_state(&site);
    site.run().await;
    let shown = because(&site, "one", "sio adopt").await;
    assert_eq!(shown["phase"], "wanted", "{shown}");
    assert_eq!(shown["agent"]["stranger"], true, "{shown}");
    let (_, told) = site.sio(&["nodes"]).await;
    assert!(told.contains("obeys another controller, of epoch"), "{told}");
    // A host that nobody had before is none of that business.
    let two = host(&site, &hosts, 2, "two", OS, &disk);
    phase(&site, &hosts, "two", "ready").await;
    assert!(site.text("/metrics").await.contains("scaleio_framework_agents_to_adopt{} 1"));
    // Orders of others are held too, whoever gives them, and nothing was looked at, let alone changed.
    let is_as_before = || {
        let machine = one.machine();
        assert_eq!((&machine.node.effects, &machine.deeds), (&before.0, &before.1));
    };
    is_as_before();

    let (good, told) = site.sio(&["adopt", "--by", "ada"]).await;
    assert!(good && told.contains("taken over: one"), "{told}");
    let (good, told) = site.sio(&["adopt"]).await;
    assert!(!good && told.contains("no agent obeys another controller"), "{told}");
    phase(&site, &hosts, "one", "ready").await;
    assert!(site.text("/metrics").await.contains("scaleio_framework_agents_to_adopt{} 0"));
    // What is so already is not done again.
    is_as_before();
    assert_eq!(devices(&site, "10.9.0.1"), ["/dev/sdb"]);

    // Another life of the controller goes on where this one was.
    site.kill();
    site.run().await;
    tick(&site, &hosts);
    let shown = phase(&site, &hosts, "one", "ready").await;
    assert!(shown["agent"]["stranger"].is_null(), "{shown}");
    assert_eq!(two.machine().node.effects["install"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_the_life_that_is_lost_is_left_where_it_runs_and_none_is_started_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let (mut site, _master, hosts) = at_mesos(folder.path()).await;
    for name in ["agent1", "agent2"] {
        phase(&site, &hosts, name, "ready").await;
    }
    let tasks = async |site: &Site| {
        let all = site.get("/api/v1/workloads").await;
        let all = all["tasks"].as_array().cloned().unwrap_or_default();
        let mut names: Vec<String> = all.iter().map(|task| task["task"].as_str().unwrap().to_owned()).collect();
        names.sort();
        (names.len() == 2).then_some(names)
    };
    let before = until("the master to tell of both tasks", async || tasks(&site).await).await;

    site.kill();
    lose_state(&site);
    site.run().await;
    for name in ["agent1", "agent2"] {
        because(&site, name, "sio adopt").await;
    }
    until("both offers to be judged", async || {
        let offers = site.get("/api/v1/offers").await.to_string();
        (offers.matches("of_another_life").count() >= 2).then_some(())
    })
    .await;
    let (good, told) = site.sio(&["adopt"]).await;
    assert!(good && told.contains("agent1, agent2"), "{told}");
    for name in ["agent1", "agent2"] {
        phase(&site, &hosts, name, "ready").await;
        assert_eq!(hosts.host(name).unwrap().machine().node.effects["install"], 2, "{name}: nothing is done again");
    }
    assert_eq!(until("the master to tell of them again", async || tasks(&site).await).await, before);
}
