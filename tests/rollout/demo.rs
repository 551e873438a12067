//! Whether the demo shows bare hosts becoming a system, to people and to programs.

use std::fs;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::cluster::until;

struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn get(url: &str) -> Option<String> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.get(url).send().await.ok()?.text().await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_makes_a_system_of_bare_hosts_and_leaves_a_disk_with_data_alone() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let file = fs::File::create(&log).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sio-demo"));
    command.args(["--port", "0", "--mail-port", "0", "--seconds", "240"]).stdin(Stdio::null());
    let _demo = Demo(command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap());
    let said = || fs::read_to_string(&log).unwrap();
    until("the late host to be ready", async || said().contains("new-4 is ready").then_some(())).await;
    let told = said();
    for line in [
        "three bare hosts join Mesos",
        "MDM cluster of new: create new-1",
        "MDM cluster of new: switch 3",
        "new-1 is ready",
        "new-4 joins Mesos, late",
        "new-4: a disk is left alone, /dev/sdc: lsblk sees xfs on it",
    ] {
        assert!(told.contains(line), "{line} is not in\n{told}");
    }
    let page = told.lines().find_map(|line| line.trim().strip_prefix("page ")).unwrap();
    let page = page.split_whitespace().next().unwrap().to_owned();
    let nodes: Value = serde_json::from_str(&get(&format!("{page}api/v1/nodes")).await.unwrap()).unwrap();
    let late = nodes.as_array().unwrap().iter().find(|node| node["node"] == "new-4").unwrap();
    assert_eq!((&late["phase"], &late["system"]), (&"ready".into(), &"new".into()), "{late}");
    // What the MDM tells is in the metrics: one disk of each host is a device, and the other one of the late host is not.
    let is_device = |text: &str, sds: &str, path: &str| {
        let of = |label: &str, value: &str| format!("{label}=\"{value}\"");
        let about = |line: &&str| line.starts_with("scaleio_device_") && line.contains(&of("system", "new"));
        text.lines().filter(about).any(|line| line.contains(&of("sds", sds)) && line.contains(path))
    };
    let text = until("the devices in the metrics", async || {
        get(&format!("{page}metrics")).await.filter(|text| is_device(text, "new-4", "/dev/sdb"))
    })
    .await;
    assert!(is_device(&text, "new-1", "/dev/sdc") && !is_device(&text, "new-4", "/dev/sdc"), "{text}");
    let shown = get(&page).await.unwrap();
    assert!(shown.contains("new-4"), "{shown}");
}
