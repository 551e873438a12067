//! The loop between an agent and the program: it subscribes, tells what
//! happens, reports what is said, and outlives a restart of the agent.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::{Happened, Heard, Protocol, Say, Surroundings};
use crate::clock;
use crate::mesos::MesosError;
use crate::mesos::client::{http, json_headers, next_record, refused, unheard};
use crate::mesos::recordio::Decoder;

/// After an agent's restart it waits only two seconds for its executors.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// The agent is on this host.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Messages may get lost on their way; an answer takes moments.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The program has nothing more to say, and the agent has everything.
    Done,
    /// The program has ended, but the agent did not take all it said in time.
    Unheard,
    /// The agent was away for too long, or may not be waited for.
    AgentLost,
    /// The agent does not know this executor any more.
    Unknown,
}

type Body = BoxStream<'static, Result<bytes::Bytes, reqwest::Error>>;

struct Wire<'a> {
    http: Client,
    surroundings: &'a Surroundings,
}

/// Runs until the program closes `said`, or the agent is lost.
pub async fn run(
    surroundings: &Surroundings,
    happened: mpsc::Sender<Happened>,
    mut said: mpsc::Receiver<Say>,
) -> Result<End, MesosError> {
    // The agent is asked without TLS: nobody is to be trusted, and a host may have no authorities.
    let wire = Wire { http: http(&crate::config::Trust::Pin([0; 32]))?, surroundings };
    let mut protocol = Protocol::default();
    let mut asking: Option<Vec<u8>> = None;
    let mut away_since = Instant::now();
    let mut ending: Option<Instant> = None;
    loop {
        if ending.is_some_and(|since| since.elapsed() > surroundings.grace) {
            return Ok(End::Unheard);
        }
        match wire.subscribe(&protocol).await {
            Ok(mut body) => {
                let over =
                    session(&wire, &mut body, &mut protocol, &happened, &mut said, &mut asking, &mut ending).await;
                if let Some(end) = over {
                    return Ok(end);
                }
                away_since = Instant::now();
                info!("the stream of the agent broke");
            }
            Err(MesosError::Refused { status: 400 | 403, text, .. }) => {
                warn!(text, "the agent does not know this executor any more");
                return Ok(End::Unknown);
            }
            Err(error) => tracing::debug!(%error, "the agent does not answer"),
        }
        let patience = if surroundings.checkpoint { surroundings.recovery_timeout } else { Duration::ZERO };
        if away_since.elapsed() >= patience {
            return Ok(End::AgentLost);
        }
        let longest = LONGEST_PAUSE.min(surroundings.backoff_max).max(SHORTEST_PAUSE);
        tokio::time::sleep(SHORTEST_PAUSE + (longest - SHORTEST_PAUSE).mul_f64(rand::random())).await;
    }
}

/// From a subscription to its end. Some: all is over.
async fn session(
    wire: &Wire<'_>,
    body: &mut Body,
    protocol: &mut Protocol,
    happened: &mpsc::Sender<Happened>,
    said: &mut mpsc::Receiver<Say>,
    asking: &mut Option<Vec<u8>>,
    ending: &mut Option<Instant>,
) -> Option<End> {
    let mut decoder = Decoder::new();
    let mut beat = tokio::time::interval(ASK_AGAIN);
    let mut look = tokio::time::interval(SHORTEST_PAUSE);
    loop {
        if let Some(since) = ending {
            if protocol.is_settled() {
                return Some(End::Done);
            }
            if since.elapsed() > wire.surroundings.grace {
                return Some(End::Unheard);
            }
        }
        let call = tokio::select! {
            record = next_record(body, &mut decoder) => {
                match Heard::read(&record.ok()?) {
                    Ok(heard) => {
                        if matches!(heard, Heard::Message(_)) {
                            *asking = None;
                        }
                        if let Some(news) = protocol.heard(heard) {
                            // A program that takes nothing more is about to end.
                            let _ = happened.send(news).await;
                        }
                    }
                    Err(error) => warn!(error, "an event of the agent is left out"),
                }
                continue;
            }
            say = said.recv(), if ending.is_none() => match say {
                Some(Say::State { task, state, healthy, message }) => {
                    protocol.update(&task, &state, healthy, &message, clock::now(), rand::random())
                }
                Some(Say::Message(data)) => message(&data),
                Some(Say::Ask(data)) => {
                    let call = message(&data);
                    // The first beat is at once, for what was asked before this subscription, and would ask this twice.
                    beat.reset();
                    *asking = Some(data);
                    call
                }
                None => {
                    *ending = Some(Instant::now());
                    continue;
                }
            },
            _ = beat.tick() => match asking {
                Some(data) => message(data),
                None => continue,
            },
            _ = look.tick(), if ending.is_some() => continue,
        };
        // What was not taken goes with the next subscription.
        if let Err(error) = wire.call(&call).await {
            warn!(%error, "the agent did not take a call");
            return None;
        }
    }
}

fn message(data: &[u8]) -> Value {
    use base64::Engine;
    json!({ "type": "MESSAGE", "message": { "data": base64::engine::general_purpose::STANDARD.encode(data) } })
}

impl Wire<'_> {
    fn post(&self, call: &Value) -> reqwest::RequestBuilder {
        let mut body = call.clone();
        body["framework_id"] = json!({ "value": self.surroundings.framework.as_str() });
        body["executor_id"] = json!({ "value": self.surroundings.executor.as_str() });
        let request = self
            .http
            .post(format!("http://{}/api/v1/executor", self.surroundings.agent))
            .headers(json_headers())
            .body(body.to_string());
        match &self.surroundings.token {
            Some(token) => request.bearer_auth(token.reveal()),
            None => request,
        }
    }

    async fn subscribe(&self, protocol: &Protocol) -> Result<Body, MesosError> {
        let address = self.surroundings.agent.clone();
        let sending = self.post(&protocol.subscribe()).send();
        let response = match tokio::time::timeout(CALL_TIMEOUT, sending).await {
            Ok(response) => response.map_err(|error| unheard("SUBSCRIBE", &address, error))?,
            Err(_) => return Err(MesosError::Timeout { call: "SUBSCRIBE", address }),
        };
        match response.status() {
            StatusCode::OK => Ok(response.bytes_stream().boxed()),
            status => Err(refused("SUBSCRIBE", address, status, response).await),
        }
    }

    async fn call(&self, call: &Value) -> Result<(), MesosError> {
        let address = self.surroundings.agent.clone();
        let response = self.post(call).timeout(CALL_TIMEOUT).send().await;
        let response = response.map_err(|error| unheard("UPDATE", &address, error))?;
        match response.status() {
            status if status.is_success() => Ok(()),
            status => Err(refused("UPDATE", address, status, response).await),
        }
    }
}
