//! A framework of somebody else, as small as one can be: it launches tasks that
//! ask for a volume, and hears what becomes of them.

use std::time::{Duration, Instant};

use scaleio_framework::mesos::recordio::Decoder;
use serde_json::{Value, json};

use crate::lab::PATIENCE;

pub(crate) struct Scheduler {
    master: String,
    stream: reqwest::Response,
    id: String,
    decoder: Decoder,
    framework: Value,
    /// Offers by the host they are of; each is used once.
    offers: Vec<Value>,
    client: reqwest::Client,
}

impl Scheduler {
    /// Subscribes at a master.
    pub(crate) async fn subscribe(master: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let info =
            json!({ "user": "root", "name": "somebody", "roles": ["*"], "capabilities": [{ "type": "MULTI_ROLE" }] });
        let body = json!({ "type": "SUBSCRIBE", "subscribe": { "framework_info": info } });
        let begun = Instant::now();
        let stream = loop {
            let request = client.post(format!("{master}/api/v1/scheduler"));
            let request = request.header("Content-Type", "application/json").header("Accept", "application/json");
            match request.body(body.to_string()).send().await {
                Ok(answer) if answer.status().is_success() => break answer,
                other => assert!(begun.elapsed() < PATIENCE, "the master does not answer: {other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let id = stream.headers()["Mesos-Stream-Id"].to_str().unwrap().to_owned();
        let (master, offers) = (master.to_owned(), Vec::new());
        let mut all = Self { master, stream, id, decoder: Decoder::new(), framework: Value::Null, offers, client };
        let event = all.event().await;
        assert_eq!(event["type"], "SUBSCRIBED", "{event}");
        all.framework = event["subscribed"]["framework_id"].clone();
        all
    }

    async fn event(&mut self) -> Value {
        loop {
            if let Some(record) = self.decoder.record().unwrap() {
                return serde_json::from_slice(record).unwrap();
            }
            let piece = tokio::time::timeout(PATIENCE, self.stream.chunk()).await.unwrap().unwrap().unwrap();
            self.decoder.feed(&piece);
        }
    }

    async fn call(&self, mut body: Value) {
        body["framework_id"] = self.framework.clone();
        let request = self.client.post(format!("{}/api/v1/scheduler", self.master));
        let request = request.header("Content-Type", "application/json").header("Mesos-Stream-Id", &self.id);
        let answer = request.body(body.to_string()).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 202, "{body}: {}", answer.text().await.unwrap());
    }

    /// Takes one event in; a state of a task is told.
    async fn step(&mut self) -> Option<(String, String, String)> {
        let event = self.event().await;
        match event["type"].as_str().unwrap() {
            "OFFERS" => self.offers.extend(event["offers"]["offers"].as_array().unwrap().iter().cloned()),
            "RESCIND" => self.offers.retain(|offer| offer["id"] != event["rescind"]["offer_id"]),
            "UPDATE" => {
                let status = &event["update"]["status"];
                if let Some(uuid) = status.get("uuid") {
                    let acknowledge =
                        json!({ "agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": uuid });
                    self.call(json!({ "type": "ACKNOWLEDGE", "acknowledge": acknowledge })).await;
                }
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                return Some((text(&status["task_id"]["value"]), text(&status["state"]), text(&status["message"])));
            }
            _ => {}
        }
        None
    }

    /// Starts a command on a host, with a volume at `data` in its sandbox.
    pub(crate) async fn launch(&mut self, task: &str, host: &str, volume: &str, command: &str) {
        let begun = Instant::now();
        let offer = loop {
            if let Some(at) = self.offers.iter().position(|offer| offer["hostname"] == host) {
                break self.offers.swap_remove(at);
            }
            assert!(begun.elapsed() < PATIENCE, "no offer of {host}");
            self.step().await;
        };
        let scalar = |name: &str, value: f64| json!({ "name": name, "type": "SCALAR", "scalar": { "value": value }, "allocation_info": { "role": "*" } });
        let source = json!({ "type": "DOCKER_VOLUME", "docker_volume": { "driver": "rexray", "name": volume } });
        let info = json!({
            "name": task, "task_id": { "value": task }, "agent_id": offer["agent_id"],
            "resources": [scalar("cpus", 0.1), scalar("mem", 32.0)], "command": { "value": command },
            "container": { "type": "MESOS", "volumes": [{ "container_path": "data", "mode": "RW", "source": source }] },
        });
        let launch = json!([{ "type": "LAUNCH", "launch": { "task_infos": [info] } }]);
        let filters = json!({ "refuse_seconds": 0.1 });
        let accept = json!({ "offer_ids": [offer["id"]], "operations": launch, "filters": filters });
        self.call(json!({ "type": "ACCEPT", "accept": accept })).await;
    }

    pub(crate) async fn kill(&self, task: &str) {
        self.call(json!({ "type": "KILL", "kill": { "task_id": { "value": task } } })).await;
    }

    /// Waits until a task is in one of some states; which, and what was said to it.
    pub(crate) async fn state(&mut self, task: &str, states: &[&str]) -> (String, String) {
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < PATIENCE, "{task} is in none of {states:?}");
            if let Some((of, state, message)) = self.step().await
                && of == task
                && states.contains(&state.as_str())
            {
                return (state, message);
            }
        }
    }
}
