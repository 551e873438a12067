//! Whether nodes become ready: alone, late, beside one that fails, and while
//! the controller is killed.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use scaleio_framework::agent::recipes::os::Books;
use scaleio_framework::clock;
use scaleio_framework::enrol::ca::Authority;
use scaleio_framework::model::order::Component;
use scaleio_framework::sim::world::Id;
use scaleio_framework::stage::{Disk, Host, Hosts, Spec, package};
use serde_json::Value;

use crate::cluster::until;
use crate::site::Site;

pub(crate) const OS: (&str, &str) = ("centos", "7");

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

/// Stub packages that simulated machines understand.
pub(crate) fn packages(site: &Site) {
    for component in [Component::Mdm, Component::Sds, Component::Sdc] {
        let (name, text) = package(component, "3.6-0.105", Books::Rpm);
        fs::write(site.folder.path().join("packages").join(name), text).unwrap();
    }
}

pub(crate) async fn start(mode: &str, hosts: &[&str]) -> Site {
    let mut site = Site::start(&more(mode, hosts)).await;
    // Packages are read at the start.
    packages(&site);
    site.kill();
    site.run().await;
    site
}

/// A host of the configuration, with its agent at work.
pub(crate) fn host(
    site: &Site,
    hosts: &Hosts,
    number: u8,
    name: &str,
    os: (&str, &str),
    disks: &[(&str, Disk)],
) -> Arc<Host> {
    let spec = Spec::new(name, &format!("10.9.0.{number}")).os(os.0, os.1);
    let spec = disks.iter().fold(spec, |spec, (path, disk)| spec.disk(path, *disk));
    let host = hosts.add(&spec).unwrap();
    at_work(site, &host);
    host
}

/// Gives a host its papers and starts its agent.
pub(crate) fn at_work(site: &Site, host: &Host) {
    host.enrol(&Authority::open(&site.folder.path().join("ca"), clock::now()).unwrap()).unwrap();
    host.start_agent(vec![site.agents.clone()]);
}

pub(crate) fn none(site: &Site) -> Hosts {
    Hosts::none(&site.world, &site.folder.path().join("hosts"))
}

/// A second passes, and the services of machines show.
pub(crate) fn tick(site: &Site, hosts: &Hosts) {
    site.world.advance(Duration::from_secs(1));
    hosts.look();
}

pub(crate) async fn phase(site: &Site, hosts: &Hosts, name: &str, wanted: &str) -> Value {
    until(&format!("{name} to be {wanted}"), async || {
        tick(site, hosts);
        let node = site.node(name).await?;
        (node["phase"] == wanted).then_some(node)
    })
    .await
}

pub(crate) fn devices(site: &Site, address: &str) -> Vec<String> {
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
    let hosts = none(&site);
    let one = host(&site, &hosts, 1, "one", OS, &[("/dev/sdb", Disk::Blank), ("/dev/sdc", Disk::Data)]);
    let shown = phase(&site, &hosts, "one", "ready").await;
    assert_eq!(devices(&site, "10.9.0.1"), ["/dev/sdb"], "{shown}");
    assert_eq!(shown["roles"], serde_json::json!(["sds", "sdc"]));
    let disks = shown["disks"].as_array().unwrap();
    let data = disks.iter().find(|disk| disk["path"] == "/dev/sdc").unwrap();
    assert!(data["not_free"].to_string().contains("xfs"), "{data}");
    let (good, told) = site.sio(&["plan", "rollout", "prod"]).await;
    assert!(good && told.contains("one /dev/sdc: ") && told.contains("one is ready"), "{told}");

    let two = host(&site, &hosts, 2, "two", OS, &[("/dev/sdb", Disk::Blank)]);
    phase(&site, &hosts, "two", "ready").await;
    assert_eq!(devices(&site, "10.9.0.2"), ["/dev/sdb"]);
    for node in [&one, &two] {
        let machine = node.machine();
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
    let hosts = none(&site);
    let good = host(&site, &hosts, 1, "good", OS, &[("/dev/sdb", Disk::Blank)]);
    // An operating system without packages.
    let _strange = host(&site, &hosts, 2, "strange", ("rocky", "9.2"), &[("/dev/sdb", Disk::Blank)]);
    let shown = until("the disks to be looked at", async || {
        tick(&site, &hosts);
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
    assert_eq!(good.machine().node.effects.get("install"), None);
    assert_eq!(good.machine().deeds, [] as [&str; 0]);

    let (well, told) = site.sio(&["rollout", "approve", "other"]).await;
    assert!(!well && told.contains("systems.other.rollout"), "{told}");
    let (well, told) = site.sio(&["rollout", "approve", "prod", "--by", "ada"]).await;
    assert!(well, "{told}");
    phase(&site, &hosts, "good", "ready").await;
    let failed = phase(&site, &hosts, "strange", "failed").await;
    assert!(failed["because"].to_string().contains("artefacts.folder has none of sds"), "{failed}");
    let (_, told) = site.sio(&["nodes"]).await;
    assert!(told.contains("strange  failed") && told.contains("good  ready"), "{told}");
    let (_, told) = site.sio(&["plan", "rollout", "prod"]).await;
    assert!(told.contains("approved by ada"), "{told}");

    site.kill();
    site.run().await;
    phase(&site, &hosts, "good", "ready").await;
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
    let hosts = none(&site);
    let names = ["one", "two", "three"];
    let nodes: Vec<Arc<Host>> =
        (1..).zip(names).map(|(number, name)| host(&site, &hosts, number, name, OS, &disks)).collect();
    for kill in 0..6 {
        // At another moment of the rollout each time: after the next change anywhere.
        let changed = || nodes.iter().map(|node| node.machine().deeds.len()).sum::<usize>();
        let before = changed();
        until("a change, or all to be ready", async || {
            tick(&site, &hosts);
            let mut ready = 0;
            for name in names {
                ready += usize::from(site.node(name).await.is_some_and(|node| node["phase"] == "ready"));
            }
            (changed() > before || ready == nodes.len()).then_some(())
        })
        .await;
        site.kill();
        if kill % 2 == 0 {
            tick(&site, &hosts);
        }
        site.run().await;
    }
    for (at, node) in nodes.iter().enumerate() {
        let name = &node.name;
        phase(&site, &hosts, name, "ready").await;
        assert_eq!(devices(&site, &format!("10.9.0.{}", at + 1)), ["/dev/sdb", "/dev/sdc"]);
        let machine = node.machine();
        assert_eq!(machine.node.effects["install"], 2, "{name}: SDS and SDC, each once");
        assert_eq!(machine.node.effects["add_mdm"], 1, "{name}: the SDC was told once");
    }
    let domains = site.world.world(|world| world.domains.values().filter(|domain| domain.name == "bare").count());
    assert_eq!(domains, 1);
}
