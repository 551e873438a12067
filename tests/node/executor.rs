//! The executor is killed before and after each of its effects; the next one
//! that Mesos starts makes the node's agent run, with papers that are good.
//!
//! A kill is a panic at the effect's side. What reaches the Mesos agent or the
//! controller is killed behind that too: when it has arrived there.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body as Answering, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream::unfold;
use scaleio_framework::agent::executor::{Body, Briefing, Effect, Side, carry};
use scaleio_framework::agent::papers::{Standing, judge};
use scaleio_framework::enrol::ca::{Authority, fingerprint};
use scaleio_framework::mesos::executor::Surroundings;
use scaleio_framework::model::enrolment::{Answer, Ask};
use scaleio_framework::model::id::{ExecutorId, FrameworkId};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};

use super::effects;
use super::simulated::Killed;

const PATIENCE: Duration = Duration::from_secs(30);

/// A Mesos agent with one task, and the controller behind it.
struct Mesos {
    authority: Authority,
    /// What is said to the executor that subscribed last.
    events: Mutex<Option<mpsc::UnboundedSender<Bytes>>>,
    /// States that were heard, the last one at the end; with whether the node's agent is well.
    heard: Mutex<Vec<(String, bool)>>,
    /// Killed when this arrives.
    kill_at: Mutex<Option<(Effect, tokio::task::AbortHandle)>>,
}

impl Mesos {
    fn say(&self, event: &Value) {
        let text = event.to_string();
        if let Some(events) = self.events.lock().unwrap().as_ref() {
            let _ = events.send(Bytes::from(format!("{}\n{text}", text.len())));
        }
    }

    /// Whether the executor died of what it said.
    fn is_killed_by(&self, effect: Effect) -> bool {
        let mut kill_at = self.kill_at.lock().unwrap();
        match kill_at.take_if(|(at, _)| *at == effect) {
            Some((_, handle)) => {
                handle.abort();
                true
            }
            None => false,
        }
    }
}

async fn executor(State(mesos): State<Arc<Mesos>>, body: Bytes) -> Response {
    let call: Value = serde_json::from_slice(&body).unwrap();
    match call["type"].as_str().unwrap() {
        "SUBSCRIBE" => {
            let (events, receiver) = mpsc::unbounded_channel();
            *mesos.events.lock().unwrap() = Some(events);
            mesos.say(&json!({ "type": "SUBSCRIBED", "subscribed": {} }));
            // One that knows of its task was here before.
            if call["subscribe"]["unacknowledged_tasks"].as_array().is_some_and(Vec::is_empty) {
                mesos.say(&json!({ "type": "LAUNCH", "launch": { "task": { "task_id": { "value": "t" } } } }));
            }
            let stream = unfold(receiver, |mut receiver| async {
                receiver.recv().await.map(|bytes| (Ok::<_, std::convert::Infallible>(bytes), receiver))
            });
            return Answering::from_stream(stream).into_response();
        }
        "UPDATE" if !mesos.is_killed_by(Effect::Report) => {
            let status = &call["update"]["status"];
            let state = status["state"].as_str().unwrap().to_owned();
            mesos.heard.lock().unwrap().push((state, status["healthy"] == true));
            let acknowledged = json!({ "task_id": status["task_id"], "uuid": status["uuid"] });
            mesos.say(&json!({ "type": "ACKNOWLEDGED", "acknowledged": acknowledged }));
        }
        "MESSAGE" if !mesos.is_killed_by(Effect::Ask) => {
            let data = STANDARD.decode(call["message"]["data"].as_str().unwrap()).unwrap();
            let Ask::Certificate { request } = serde_json::from_slice(&data).unwrap() else { panic!("{call}") };
            let certificate = mesos.authority.sign(&request, "n1", scaleio_framework::clock::now()).unwrap();
            let authority = mesos.authority.pem().to_owned();
            let answer = Answer::Certificate { node: "n1".to_owned(), certificate, authority };
            let data = STANDARD.encode(serde_json::to_vec(&answer).unwrap());
            mesos.say(&json!({ "type": "MESSAGE", "message": { "data": data } }));
        }
        _ => {}
    }
    StatusCode::ACCEPTED.into_response()
}

/// A host on which an agent would run.
#[derive(Clone, Default)]
struct Host {
    runs: Arc<Mutex<u32>>,
    kill: Option<(Effect, Side)>,
}

impl Body for Host {
    fn seen(&mut self, side: Side, effect: Effect) {
        if self.kill == Some((effect, side)) {
            std::panic::panic_any(Killed);
        }
    }

    async fn settle(&mut self, _: &Briefing, _: bool) -> Result<(), String> {
        *self.runs.lock().unwrap() += 1;
        Ok(())
    }

    async fn health(&mut self, _: &Briefing) -> Result<(), String> {
        if *self.runs.lock().unwrap() > 0 { Ok(()) } else { Err("no agent runs".to_owned()) }
    }

    fn ends_with_us(&self) -> bool {
        false
    }
}

fn surroundings(address: &str) -> Surroundings {
    Surroundings {
        framework: FrameworkId::new("f"),
        executor: ExecutorId::new("e"),
        agent: address.to_owned(),
        checkpoint: true,
        recovery_timeout: PATIENCE,
        backoff_max: Duration::from_millis(100),
        grace: Duration::from_secs(1),
        token: None,
    }
}

/// The executor dies at a side of an effect, or when that has arrived; and another one is started.
async fn killed(effect: Effect, side: Side, on_arrival: bool) {
    let place = tempfile::tempdir().unwrap();
    let authority = Authority::open(&place.path().join("ca"), scaleio_framework::clock::now()).unwrap();
    let hash = fingerprint(&pem(authority.pem()));
    let mesos =
        Arc::new(Mesos { authority, events: Mutex::default(), heard: Mutex::default(), kill_at: Mutex::default() });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let router = Router::new().route("/api/v1/executor", post(executor)).with_state(mesos.clone());
    let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let folder = place.path().join("agent");
    std::fs::create_dir(&folder).unwrap();
    let briefing = Briefing { controllers: vec![], authority: hash.clone(), folder: Some(folder.clone()) };
    let host = Host { kill: (!on_arrival).then_some((effect, side)), ..Host::default() };

    // Nobody lives before it is said who dies.
    let gate = Arc::new(Semaphore::new(0));
    let life = |host: Host| {
        let (surroundings, briefing, gate) = (surroundings(&address), briefing.clone(), gate.clone());
        tokio::spawn(async move {
            let _open = gate.acquire().await.unwrap();
            carry(&surroundings, Some(briefing), host).await.map(|_| ())
        })
    };
    let first = life(host.clone());
    if on_arrival {
        *mesos.kill_at.lock().unwrap() = Some((effect, first.abort_handle()));
    }
    gate.add_permits(2);
    let ended = tokio::time::timeout(PATIENCE, first).await.unwrap().unwrap_err();
    let is_ours = ended.is_cancelled() == on_arrival && (on_arrival || ended.into_panic().is::<Killed>());
    assert!(is_ours, "{effect:?} {side:?}: it ended of something else");
    mesos.heard.lock().unwrap().clear();

    let second = life(Host { kill: None, ..host.clone() });
    let begun = Instant::now();
    while mesos.heard.lock().unwrap().last() != Some(&("TASK_RUNNING".to_owned(), true)) {
        assert!(begun.elapsed() < PATIENCE, "{effect:?} {side:?}: {:?}", mesos.heard.lock().unwrap());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    second.abort();
    serving.abort();
    let runs = *host.runs.lock().unwrap();
    assert!((1..=2).contains(&runs), "{effect:?} {side:?}: made to run {runs} times");
    assert_eq!(judge(&folder, &hash, scaleio_framework::clock::now()), Standing::Good, "{effect:?} {side:?}");
    assert_eq!(names(&folder), ["agent.key", "agent.pem", "ca.pem"], "{effect:?} {side:?}");
}

fn pem(text: &str) -> Vec<u8> {
    let base64: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(base64).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_is_killed_at_any_effect_is_followed_by_one_that_ends_the_work() {
    let mut at = BTreeSet::new();
    for effect in Effect::ALL {
        for side in [Side::Before, Side::After] {
            killed(effect, side, false).await;
        }
        // What others hear of is seen from their side too.
        if matches!(effect, Effect::Report | Effect::Ask) {
            killed(effect, Side::After, true).await;
        }
        at.insert(effect.as_str().to_owned());
    }
    let test = "an_executor_that_is_killed_at_any_effect_is_followed_by_one_that_ends_the_work";
    assert_eq!(at, effects::of(test));
}
