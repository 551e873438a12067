//! Whether nodes become ready: alone, late, beside one that fails, and while
//! the controller is killed.

use std::fs;
use std::time::Duration;

use scaleio_framework::sim::Running;
use scaleio_framework::sim::world::{Id, Sdc};
use serde_json::Value;

use crate::cluster::until;
use crate::node::{Disk, Node};
use crate::site::Site;

const OS: (&str, &str) = ("centos", "7");

/// A configuration that takes small disks and knows these hosts: 10.9.0.1, 10.9.0.2 and so on.
fn more(mode: &str, hosts: &[&str]) -> String {
    let hosts: String = hosts
        .iter()
        .enumerate()
        .map(|(at, name)| format!("[fleet.static.{name}]\naddress = \"10.9.0.{}\"\n", at + 1))
        .collect();
    format!(
        "[systems.prod.rollout]\ntopology = \"one_pool\"\ndomain = \"bare\"\npool = \"spinning\"\n\
         [lifecycle]\nmode = \"{mode}\"\n{hosts}"
    )
}

/// Stub packages that the simulated node understands.
fn packages(site: &Site) {
    for (word, unit) in [("sds", "sds"), ("sdc", "scini")] {
        let name = format!("EMC-ScaleIO-{word}-3.6-0.105.el7.x86_64.rpm");
        let text = format!("name=EMC-ScaleIO-{word}\nversion=3.6-0.105.el7\nunit={unit}\n");
        fs::write(site.folder.path().join("packages").join(name), text).unwrap();
    }
}

async fn start(mode: &str, hosts: &[&str]) -> Site {
    let mut site = Site::start(&more(mode, hosts)).await;
    // Packages are read at the start.
    packages(&site);
    site.kill();
    site.run().await;
    site
}

/// What a machine's services do to the system, once a test looks: a client whose
/// driver knows the MDM is connected, and a disk that is a device is held.
fn tick(world: &Running, nodes: &[(&str, &Node)]) {
    world.advance(Duration::from_secs(1));
    for (at, (name, node)) in nodes.iter().enumerate() {
        let address = format!("10.9.0.{}", at + 1);
        // A machine in a step is looked at the next time.
        let Ok(machine) = node.machine.try_lock() else { continue };
        let is_client = machine.node.running.contains_key("scini") && !machine.node.mdms.is_empty();
        world.world(|world| {
            if is_client && !world.sdcs.values().any(|sdc| sdc.ip == address) {
                let like = world.sdcs.values().next().unwrap().clone();
                let id = Id(0x9900 + at as u64);
                let sdc = Sdc {
                    id,
                    name: Some((*name).to_owned()),
                    guid: format!("{at}"),
                    ip: address.clone(),
                    mapped: Vec::new(),
                    ..like
                };
                world.sdcs.insert(id, sdc);
            }
            let own: Vec<Id> =
                world.sds.values().filter(|sds| sds.ips.iter().any(|ip| ip.ip == address)).map(|sds| sds.id).collect();
            let paths =
                world.devices.values().filter(|device| own.contains(&device.sds)).map(|device| device.path.clone());
            node.taken.lock().unwrap().extend(paths);
        });
    }
}

async fn phase(site: &Site, nodes: &[(&str, &Node)], name: &str, wanted: &str) -> Value {
    until(&format!("{name} to be {wanted}"), async || {
        tick(&site.world, nodes);
        let node = site.node(name).await?;
        (node["phase"] == wanted).then_some(node)
    })
    .await
}

fn devices(site: &Site, address: &str) -> Vec<String> {
    site.world.world(|world| {
        let sds: Vec<Id> =
            world.sds.values().filter(|sds| sds.ips.iter().any(|ip| ip.ip == address)).map(|sds| sds.id).collect();
        assert!(sds.len() <= 1, "{address} was added twice");
        world.devices.values().filter(|device| sds.contains(&device.sds)).map(|device| device.path.clone()).collect()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn bare_hosts_become_ready_a_late_one_too_and_a_disk_with_data_is_left_alone() {
    let site = start("act", &["one", "two"]).await;
    let one = Node::start(&site, "one", OS, &[("/dev/sdb", Disk::Blank), ("/dev/sdc", Disk::Data)]);
    let shown = phase(&site, &[("one", &one)], "one", "ready").await;
    assert_eq!(devices(&site, "10.9.0.1"), ["/dev/sdb"], "{shown}");
    assert_eq!(shown["roles"], serde_json::json!(["sds", "sdc"]));
    let disks = shown["disks"].as_array().unwrap();
    let data = disks.iter().find(|disk| disk["path"] == "/dev/sdc").unwrap();
    assert!(data["not_free"].to_string().contains("xfs"), "{data}");
    let (good, told) = site.sio(&["plan", "rollout", "prod"]).await;
    assert!(good && told.contains("one /dev/sdc: ") && told.contains("one is ready"), "{told}");

    let two = Node::start(&site, "two", OS, &[("/dev/sdb", Disk::Blank)]);
    phase(&site, &[("one", &one), ("two", &two)], "two", "ready").await;
    assert_eq!(devices(&site, "10.9.0.2"), ["/dev/sdb"]);
    for node in [&one, &two] {
        let machine = node.machine.lock().unwrap();
        assert_eq!(machine.node.effects["install"], 2, "SDS and SDC, each once");
        assert!(machine.node.seen.iter().any(|variable| variable.starts_with("MDM_IP=")), "{:?}", machine.node.seen);
    }
    let text = site.text("/metrics").await;
    for line in [
        "scaleio_framework_nodes{system=\"prod\",state=\"ready\"} 2",
        "scaleio_framework_node_state{system=\"prod\",node=\"one\",role=\"sds\",state=\"ready\"} 1",
        "scaleio_framework_steps_total{step=\"install_sds\",result=\"ok\"} 2",
        "scaleio_framework_agent_last_seen_timestamp_seconds{system=\"prod\",node=\"two\"}",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_changed_before_a_person_says_yes_and_one_that_fails_stops_no_other() {
    let mut site = start("propose", &["good", "strange", "broken"]).await;
    let good = Node::start(&site, "good", OS, &[("/dev/sdb", Disk::Blank)]);
    // An operating system without packages, and one whose package has a failing script.
    let strange = Node::start(&site, "strange", ("rocky", "9.2"), &[("/dev/sdb", Disk::Blank)]);
    let nodes = [("good", &good), ("strange", &strange)];
    let shown = until("the disks to be looked at", async || {
        tick(&site.world, &nodes);
        site.node("good").await.filter(|node| node["disks"].as_array().is_some_and(|disks| !disks.is_empty()))
    })
    .await;
    let asked = until("the yes to be asked for", async || {
        let node = site.node("good").await?;
        node["because"].to_string().contains("sio rollout approve prod").then_some(node)
    })
    .await;
    assert_eq!(asked["phase"], "wanted", "{shown}");
    // The first answer of the system may come after that of the node.
    until("the plan to tell of additions", async || {
        let (_, told) = site.sio(&["plan", "rollout", "prod"]).await;
        let whole =
            told.contains("add protection domain bare") && told.contains("add /dev/sdb of good to pool spinning");
        whole.then_some(())
    })
    .await;
    assert_eq!(good.machine.lock().unwrap().node.effects.get("install"), None);
    assert!(good.begun.lock().unwrap().iter().all(|task| task == "judge_disks"), "{:?}", good.begun);

    let (well, told) = site.sio(&["rollout", "approve", "other"]).await;
    assert!(!well && told.contains("systems.other.rollout"), "{told}");
    let (well, told) = site.sio(&["rollout", "approve", "prod", "--by", "ada"]).await;
    assert!(well, "{told}");
    phase(&site, &nodes, "good", "ready").await;
    let failed = phase(&site, &nodes, "strange", "failed").await;
    assert!(failed["because"].to_string().contains("artefacts.folder has none of sds"), "{failed}");
    let (_, told) = site.sio(&["nodes"]).await;
    assert!(told.contains("strange  failed") && told.contains("good  ready"), "{told}");
    let (_, told) = site.sio(&["plan", "rollout", "prod"]).await;
    assert!(told.contains("approved by ada"), "{told}");

    site.kill();
    site.run().await;
    phase(&site, &nodes, "good", "ready").await;
    let (_, told) = site.sio(&["plan", "rollout", "prod"]).await;
    assert!(told.contains("approved by ada"), "a yes lasts over a restart: {told}");
    let (well, told) = site.sio(&["rollout", "withdraw", "prod", "--by", "ada"]).await;
    assert!(well, "{told}");
    let (well, told) = site.sio(&["rollout", "withdraw", "prod"]).await;
    assert!(!well && told.contains("nobody has approved"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_is_killed_again_and_again_does_nothing_twice() {
    let mut site = start("act", &["one", "two", "three"]).await;
    let disks = [("/dev/sdb", Disk::Blank), ("/dev/sdc", Disk::Blank)];
    let one = Node::start(&site, "one", OS, &disks);
    let two = Node::start(&site, "two", OS, &disks);
    let three = Node::start(&site, "three", OS, &disks);
    let nodes = [("one", &one), ("two", &two), ("three", &three)];
    for kill in 0..6 {
        // At another moment of the rollout each time: after the next step was begun anywhere.
        let begun = || nodes.iter().map(|(_, node)| node.begun.lock().unwrap().len()).sum::<usize>();
        let before = begun();
        until("a step to begin, or all to be ready", async || {
            tick(&site.world, &nodes);
            let mut ready = 0;
            for (name, _) in &nodes {
                ready += usize::from(site.node(name).await.is_some_and(|node| node["phase"] == "ready"));
            }
            (begun() > before || ready == nodes.len()).then_some(())
        })
        .await;
        site.kill();
        if kill % 2 == 0 {
            tick(&site.world, &nodes);
        }
        site.run().await;
    }
    for (at, (name, node)) in nodes.iter().enumerate() {
        phase(&site, &nodes, name, "ready").await;
        assert_eq!(devices(&site, &format!("10.9.0.{}", at + 1)), ["/dev/sdb", "/dev/sdc"]);
        let machine = node.machine.lock().unwrap();
        assert_eq!(machine.node.effects["install"], 2, "{name}: SDS and SDC, each once");
        assert_eq!(machine.node.effects["add_mdm"], 1, "{name}: the SDC was told once");
    }
    let domains = site.world.world(|world| world.domains.values().filter(|domain| domain.name == "bare").count());
    assert_eq!(domains, 1);
}
