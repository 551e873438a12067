//! Where a case is played: what the real Mesos and the simulated one have in common.

use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What a case wants to find.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    /// The attributes of each agent; they are called agent1, agent2 and so on.
    pub(crate) agents: &'static [&'static str],
    /// Whether agents that are silent are noticed after 2 s.
    pub(crate) quick_ping: bool,
    /// Who may be a framework; none: everybody.
    pub(crate) login: Option<(&'static str, &'static str)>,
}

impl Wanted {
    pub(crate) const ONE: Self = Self { agents: &[""], quick_ping: false, login: None };
}

/// What happens to an agent process.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// SIGKILL.
    Kill,
    Start,
    /// SIGSTOP.
    Pause,
    /// SIGCONT.
    Resume,
    /// It ends, and its work directory is wiped.
    Forget,
}

/// A Mesos cluster with one master; it ends with the value.
pub(crate) trait Site: Sized {
    /// Starts it. Tests that run at once have ranges of their own, 40 ports a cluster.
    async fn up(ports: Range<u16>, wanted: Wanted) -> Self;

    /// The base URL of the master.
    fn master(&self) -> String;

    /// In its folder `state` are the sandboxes.
    fn path(&self) -> &Path;

    /// Something happens to an agent process.
    fn agent(&self, number: usize, fate: Fate);

    /// Asks the operator API.
    async fn ask(&self, call: Value) -> Value {
        ask(&self.master(), call).await
    }

    /// The states of all tasks of a framework that the master has not forgotten, by their ids.
    async fn tasks(&self, framework: &str) -> Vec<(String, String)> {
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
    let (status, text) = try_to_ask(master, &call).await;
    assert!((200..300).contains(&status), "{call} was refused: {status} {text}");
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

/// What a call of an operator is answered with, whatever it is.
pub(crate) async fn try_to_ask(master: &str, call: &Value) -> (u16, String) {
    let request = http()
        .post(format!("{master}/api/v1"))
        .header("Content-Type", "application/json")
        .header("Accept", "application/json")
        .body(call.to_string());
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

pub(crate) fn http() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    client.timeout(Duration::from_secs(10)).build().unwrap()
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
