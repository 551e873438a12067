//! A real Mesos on loopback, and what an operator asks of it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Started by `tests/real-mesos/real-mesos`, ended with the value.
pub(crate) struct Cluster {
    folder: tempfile::TempDir,
    pub(crate) port: u16,
}

impl Cluster {
    /// Starts one and waits until its agents are there.
    pub(crate) fn up(ports: std::ops::Range<u16>, options: &[&str]) -> Self {
        // On the disk: the masters' log wants files that stay.
        let folder = tempfile::tempdir().unwrap();
        let cluster = Self { folder, port: free_ports(ports) };
        let port = cluster.port.to_string();
        let mut arguments = vec!["up", "--port", &port];
        arguments.extend(options);
        cluster.script(&arguments);
        cluster
    }

    /// Runs the script; an error is one of the test.
    pub(crate) fn script(&self, arguments: &[&str]) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let output = Command::new(root.join("tests/real-mesos/real-mesos"))
            .args(arguments)
            .args(["--dir", self.folder.path().to_str().unwrap()])
            .env("REAL_MESOS_DIST", dist())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "real-mesos {arguments:?} failed:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn master(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Asks the operator API of a master.
    pub(crate) async fn ask(&self, call: Value) -> Value {
        ask(&self.master(), call).await
    }

    /// The states of all tasks of a framework that the master has not forgotten, by their ids.
    pub(crate) async fn tasks(&self, framework: &str) -> Vec<(String, String)> {
        tasks(&self.master(), framework).await
    }
}

pub(crate) async fn tasks(master: &str, framework: &str) -> Vec<(String, String)> {
    let answer = ask(master, json!({ "type": "GET_TASKS" })).await;
    let mut found = Vec::new();
    for list in ["tasks", "unreachable_tasks", "pending_tasks"] {
        for task in answer["get_tasks"][list].as_array().into_iter().flatten() {
            if task["framework_id"]["value"] == framework {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                found.push((text(&task["task_id"]["value"]), text(&task["state"])));
            }
        }
    }
    found
}

pub(crate) async fn ask(master: &str, call: Value) -> Value {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let response = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap()
        .post(format!("{master}/api/v1"))
        .header("Content-Type", "application/json")
        .header("Accept", "application/json")
        .body(call.to_string())
        .send()
        .await
        .unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    assert!(status.is_success(), "{call} was refused: {status} {text}");
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The folder goes with it, so that nothing is to be wiped.
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real-mesos/real-mesos");
        let _ = Command::new(script).arg("down").arg("--dir").arg(self.folder.path()).output();
    }
}

/// The programs of Mesos, built once for all clusters.
fn dist() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/mesos/dist")
}

/// A port with free ones around it: masters and ZooKeeper below, agents above.
/// Each test has a range of its own, so that two never choose the same.
fn free_ports(range: std::ops::Range<u16>) -> u16 {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    range
        .step_by(40)
        .map(|begin| begin + 20)
        .find(|port| (port - 20..port + 20).all(is_free))
        .expect("no forty free ports in a row")
}

/// Waits for a condition; what is waited for is told when it does not come.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "waited a minute for: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
