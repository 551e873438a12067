//! A controller that has lost its state: it takes its agents back when a person
//! says so, and touches nothing before.

use std::fs;

use scaleio_framework::stage::Disk;
use serde_json::Value;

use crate::cluster::until;
use crate::ready::{OS, devices, host, none, phase, start, tick};
use crate::site::Site;

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
    let (effects, deeds) = (one.machine().node.effects.clone(), one.machine().deeds.clone());

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
    assert!(site.text("/metrics").await.contains("scaleio_framework_agents_to_adopt 1"));
    // Orders of others are held too, whoever gives them, and nothing was looked at, let alone changed.
    assert_eq!(one.machine().deeds, deeds);
    assert_eq!(one.machine().node.effects, effects);

    let (good, told) = site.sio(&["adopt", "--by", "ada"]).await;
    assert!(good && told.contains("taken over: one"), "{told}");
    let (good, told) = site.sio(&["adopt"]).await;
    assert!(!good && told.contains("no agent obeys another controller"), "{told}");
    phase(&site, &hosts, "one", "ready").await;
    assert!(site.text("/metrics").await.contains("scaleio_framework_agents_to_adopt 0"));
    assert_eq!(one.machine().deeds, deeds, "what is so already is not done again");
    assert_eq!(devices(&site, "10.9.0.1"), ["/dev/sdb"]);

    // Another life of the controller goes on where this one was.
    site.kill();
    site.run().await;
    tick(&site, &hosts);
    let shown = phase(&site, &hosts, "one", "ready").await;
    assert!(shown["agent"]["stranger"].is_null(), "{shown}");
    assert_eq!(two.machine().node.effects["install"], 2);
}
