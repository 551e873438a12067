//! Whether a node that the rollout cannot go on with is restarted by the work: proposed to a person, or by itself where
//! that is allowed, once, and one node at a time.

use std::time::Duration;

use serde_json::Value;

use crate::site::Site;

const ROLLOUT: &str = "[systems.prod.rollout]\ntopology = \"attributes\"\n";

/// A host comes up with a kernel for which its client has no module. There is one for the kernel that starts next.
fn loses_its_module(site: &Site, number: usize) -> String {
    let host = &site.hosts.all()[number];
    let mut machine = host.machine();
    machine.boots_into = Some("3.10.0-1234.el7.x86_64".to_owned());
    machine.lose_power(Duration::from_millis(500));
    host.name.clone()
}

fn is_ready(node: &Value) -> bool {
    node["phase"] == "ready"
}

fn reboots(site: &Site) -> Vec<u32> {
    site.hosts.all().iter().map(|host| host.machine().node.effects.get("reboot").copied().unwrap_or_default()).collect()
}

/// What is shown of a node, once it is as said.
async fn node(site: &Site, name: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let begun = std::time::Instant::now();
    loop {
        let all: Value = serde_json::from_str(&site.get("/api/v1/nodes").await).unwrap();
        let node = all.as_array().unwrap().iter().find(|node| node["node"] == name).cloned();
        match node {
            Some(node) if is_so(&node) => return node,
            other => {
                assert!(begun.elapsed() < Duration::from_secs(300), "{name}: {other:?}\n{:#?}", site.lifecycle().await);
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_only_proposed_unless_it_is_allowed_and_then_the_node_goes_on() {
    let site = Site::with_jobs("act", ROLLOUT).await;
    let names: Vec<String> = site.hosts.all().iter().map(|host| host.name.clone()).collect();
    for name in &names {
        node(&site, name, is_ready).await;
    }
    let name = loses_its_module(&site, 0);
    let shown = node(&site, &name, |node| node["because"].to_string().contains("sio approve")).await;
    assert_eq!(shown["phase"], "failed", "{shown}");
    let because = shown["because"].to_string();
    assert!(
        because.contains("no module for kernel 3.10.0-1234") && because.contains("one for 3.10.0-1160"),
        "{because}"
    );
    let work = site.lifecycle().await;
    let [plan] = &work.plans[..] else { panic!("{work:#?}") };
    assert_eq!(plan.what, format!("restart {name}"));
    assert_eq!(reboots(&site), [0; 4], "nobody has said yes");
    assert_eq!(site.approve(plan).await.0, 200);
    assert_eq!(site.ended().await, ("done".to_owned(), None));
    node(&site, &name, is_ready).await;
    assert_eq!(reboots(&site), [1, 0, 0, 0]);
    assert!(site.is_clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_is_allowed_nodes_are_restarted_one_after_the_other_over_a_kill_of_the_controller() {
    let mut site = Site::with_jobs("act", &format!("{ROLLOUT}restarts = \"act\"\n")).await;
    let names: Vec<String> = site.hosts.all().iter().map(|host| host.name.clone()).collect();
    for name in &names {
        node(&site, name, is_ready).await;
    }
    for number in [1, 2] {
        loses_its_module(&site, number);
    }
    site.eventually("a run", |work, _| work.run.as_ref().map(drop).ok_or_else(String::new)).await;
    site.kill().await;
    site.start().await;
    for name in &names[1..3] {
        node(&site, name, is_ready).await;
    }
    assert_eq!(reboots(&site), [0, 1, 1, 0], "each once");
    let work = site.lifecycle().await;
    let ends: Vec<(&str, &str)> = work.past.iter().map(|run| (run.what.as_str(), run.end.as_str())).collect();
    assert_eq!(ends.len(), 2, "{ends:?}");
    assert!(ends.iter().all(|(what, end)| what.starts_with("restart host-") && *end == "done"), "{ends:?}");
    assert!(site.is_clean());
}
