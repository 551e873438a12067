//! How a node comes to work for the controller: by Mesos, or by a token.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use scaleio_framework::sim::world::Address;
use serde_json::{Value, json};

use crate::cluster::{Cluster, until};
use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn a_mesos_agent_that_offers_becomes_a_node_without_a_hand() {
    let folders = tempfile::tempdir().unwrap();
    let folder = folders.path().join("agent1");
    let variables = format!(r#"{{"SIO_AGENT_FOLDER":"{}","PATH":"/usr/bin:/bin"}}"#, folder.display());
    let flag = format!("executor_environment_variables={variables}");
    let cluster = Cluster::up(30_000..31_000, &["--agents", "1", "--agent-flag", &flag]);
    let more = format!(
        "[systems.prod.rollout]\ntopology = \"one_pool\"\n[mesos]\nmasters = [\"{}\"]\nroles = [\"*\"]\n",
        cluster.master()
    );
    let mut site = Site::start(&more).await;

    let node = until("the agent of the node", async || {
        site.node("agent1").await.filter(|node| node["agent"]["seen_at"].is_string())
    })
    .await;
    assert_eq!(
        node["agent"]["boot_id"].as_str().unwrap(),
        fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim()
    );
    assert!(node["agent"]["host"]["os"].as_str().unwrap().contains("ID="), "{node}");
    let healthy = async || {
        let agents = site.get("/api/v1/agents").await;
        let task = agents[0]["task"].clone();
        (task["phase"]["message"] == "the node agent runs").then_some(task)
    };
    let task = until("the task to tell how the agent is", healthy).await;
    assert_eq!(task["phase"]["state"], "TASK_RUNNING");
    let key = fs::read_to_string(folder.join("agent.key")).unwrap();
    assert!(key.contains("PRIVATE KEY"));

    // The controller is killed and comes back: the same task, the same papers, and its agent is there again.
    let before = fs::read(folder.join("agent.pem")).unwrap();
    site.kill();
    site.run().await;
    until("the agent to report again", async || {
        site.node("agent1").await.filter(|node| node["agent"]["seen_at"].is_string())
    })
    .await;
    let again = until("the task after the restart", async || {
        let agents = site.get("/api/v1/agents").await;
        agents[0]["task"]["task"].as_str().map(str::to_owned)
    })
    .await;
    assert_eq!(again, task["task"].as_str().unwrap());
    assert_eq!(fs::read(folder.join("agent.pem")).unwrap(), before);

    // An operator wants the machine: it may go, until a server of ours is on it.
    let start = (chrono::Utc::now() + chrono::Duration::hours(1)).timestamp_nanos_opt().unwrap();
    let windows = json!([{
        "machine_ids": [{ "hostname": "agent1", "ip": "127.0.0.1" }],
        "unavailability": { "start": { "nanoseconds": start } },
    }]);
    let schedule = json!({
        "type": "UPDATE_MAINTENANCE_SCHEDULE",
        "update_maintenance_schedule": { "schedule": { "windows": windows } },
    });
    ask(&cluster, schedule).await;
    let vote = async |at_mesos: &str, told: &str| {
        until(&format!("our vote to be {at_mesos}"), async || {
            let status = ask(&cluster, json!({ "type": "GET_MAINTENANCE_STATUS" })).await;
            let seen = site.get("/api/v1/offers").await[0]["vote"].to_string();
            (status.contains(&format!("\"status\":\"{at_mesos}\"")) && seen.contains(told)).then_some(())
        })
        .await;
    };
    vote("ACCEPT", "may_go").await;
    site.world.world(|world| {
        let sds = world.sds.values_mut().next().unwrap();
        sds.ips.push(Address { ip: "127.0.0.1".to_owned(), role: "all".to_owned() });
    });
    vote("DECLINE", "serves").await;
    let text = site.text("/metrics").await;
    assert!(text.contains("action=\"let_go\"") && text.contains("action=\"kept\",reason=\"serves\""), "{text}");
}

/// What the master answers an operator.
async fn ask(cluster: &Cluster, call: Value) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let to = format!("{}/api/v1", cluster.master());
    let asked = client.post(to).header("Content-Type", "application/json").header("Accept", "application/json");
    asked.body(call.to_string()).send().await.unwrap().text().await.unwrap()
}

/// A process that ends with the value.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn agent(site: &Site, folder: &Path) -> Agent {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sio"));
    command.args(["agent", "--controller", &site.agents, "--folder"]).arg(folder);
    Agent(command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_outside_of_mesos_joins_by_a_token_that_a_person_asks_for() {
    let more = "[fleet.static.storage9]\naddress = \"192.0.2.9\"\n[systems.prod.rollout]\ntopology = \"one_pool\"\n";
    let site = Site::start(more).await;
    assert!(site.node("storage9").await.is_some_and(|node| node["agent"].is_null()), "it is known before it came");
    let (good, told) = site.sio(&["token", "stranger"]).await;
    assert!(!good && told.contains("[fleet.static.\"stranger\"]"), "{told}");
    let (good, told) = site.sio(&["token", "storage9"]).await;
    assert!(good, "{told}");

    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token"), told.lines().next().unwrap()).unwrap();
    let ca = site.folder.path().join("ca/ca.pem");
    let join = |name: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_sio"))
            .args(["agent", "join", "--controller", &site.agents, "--node", name, "--token-file"])
            .arg(folder.path().join("token"))
            .args(["--ca".as_ref(), ca.as_os_str(), "--folder".as_ref(), folder.path().as_os_str()])
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (good, told) = join("storage8");
    assert!(!good && told.contains("not that of this node"), "{told}");
    let (good, told) = join("storage9");
    assert!(good, "{told}");
    assert!(!join("storage9").0, "a token is good once");
    let _agent = agent(&site, folder.path());
    until("the agent of the host", async || {
        site.node("storage9")
            .await
            .filter(|node| node["agent"]["kernel"].as_str().is_some_and(|kernel| !kernel.is_empty()))
    })
    .await;
}
