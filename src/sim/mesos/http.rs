//! The wire of the simulated Mesos: what masters and agents answer to which path.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::cluster::{Answer, Cluster, Lead, Process};
use super::refusal::{Refused, check_accept, check_head, no_json};
use super::wire::{Call, Machine};

/// No call is larger; an ACCEPT with a task is some kilobytes.
const MAX_REQUEST: usize = 16 << 20;
/// Between two tries to have an agent's port again.
const REBIND: Duration = Duration::from_millis(50);

const STREAM_ID: &str = "Mesos-Stream-Id";

/// What all faces share.
pub(super) struct Shared {
    cluster: Mutex<Cluster>,
    /// Who may be a framework; none: everybody.
    pub login: Option<(String, String)>,
    pub begun: Instant,
}

impl Shared {
    pub(super) fn new(cluster: Cluster, login: Option<(String, String)>) -> Self {
        Self { cluster: Mutex::new(cluster), login, begun: Instant::now() }
    }

    /// The cluster, as of now.
    pub(super) fn cluster(&self) -> MutexGuard<'_, Cluster> {
        // A panic elsewhere leaves the cluster at the end of some step.
        let mut cluster = self.cluster.lock().unwrap_or_else(PoisonError::into_inner);
        cluster.now = self.begun.elapsed();
        cluster
    }
}

/// Who answers.
#[derive(Clone)]
pub(super) enum Face {
    /// The master of this number.
    Master(usize),
    /// The agent of a host.
    Agent(String, watch::Receiver<Process>),
}

/// Serves until told to stop, then ends all connections.
pub(super) async fn serve(listener: TcpListener, face: Face, shared: Arc<Shared>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, or the peer left before we took it.
            tokio::time::sleep(REBIND).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (face, shared) = (face.clone(), Arc::clone(&shared));
        connections.spawn(async move {
            let service = service_fn(move |request| exchange(face.clone(), Arc::clone(&shared), request));
            // Clients break connections as they like; that is no event here.
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
    connections.shutdown().await;
}

/// Serves an agent whenever its process is there; in between its port is closed.
pub(super) async fn serve_agent(
    first: TcpListener,
    host: String,
    mut process: watch::Receiver<Process>,
    shared: Arc<Shared>,
    stop: CancellationToken,
) {
    let Ok(address) = first.local_addr() else { return };
    let mut listener = Some(first);
    loop {
        if *process.borrow_and_update() == Process::Down {
            listener = None;
            tokio::select! {
                () = stop.cancelled() => return,
                changed = process.changed() => if changed.is_err() { return },
            }
            continue;
        }
        let Some(open) = (match listener.take() {
            Some(open) => Some(open),
            None => bind(address, &stop).await,
        }) else {
            return;
        };
        let ended = stop.child_token();
        let serving = serve(open, Face::Agent(host.clone(), process.clone()), Arc::clone(&shared), ended.clone());
        let mut watched = process.clone();
        let down = async { while *watched.borrow_and_update() != Process::Down && watched.changed().await.is_ok() {} };
        tokio::pin!(serving);
        tokio::select! {
            () = &mut serving => {}
            () = down => {
                ended.cancel();
                serving.await;
            }
        }
        if stop.is_cancelled() {
            return;
        }
    }
}

async fn bind(address: SocketAddr, stop: &CancellationToken) -> Option<TcpListener> {
    while !stop.is_cancelled() {
        if let Ok(listener) = TcpListener::bind(address).await {
            return Some(listener);
        }
        tokio::time::sleep(REBIND).await;
    }
    None
}

async fn exchange(face: Face, shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response, Infallible> {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(Body::new(body), MAX_REQUEST).await else {
        return Ok(Refused::bad("the body cannot be read").response());
    };
    let answer = match &face {
        Face::Master(number) => master(&shared, *number, &parts.method, parts.uri.path(), &parts.headers, &body),
        Face::Agent(host, process) => {
            let mut process = process.clone();
            while *process.borrow_and_update() == Process::Paused {
                if process.changed().await.is_err() {
                    break;
                }
            }
            agent(&shared, host, &parts.method, parts.uri.path(), &parts.headers, &body)
        }
    };
    Ok(answer.map_or_else(Refused::response, response))
}

fn response(answer: Answer) -> Response {
    let json = HeaderValue::from_static("application/json");
    match answer {
        Answer::Accepted => status(StatusCode::ACCEPTED),
        Answer::Done => status(StatusCode::OK),
        Answer::Json(value) => {
            let mut response = Response::new(Body::from(value.to_string()));
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            response
        }
        Answer::Stream { id, events } => {
            let records = stream::unfold(events, async |mut events| {
                let record = events.recv().await?;
                Some((Ok::<Bytes, Infallible>(record), events))
            });
            let mut response = Response::new(Body::from_stream(records));
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            if let Some(id) = id.and_then(|id| HeaderValue::from_str(&id).ok()) {
                response.headers_mut().insert(HeaderName::from_static("mesos-stream-id"), id);
            }
            response
        }
    }
}

fn status(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn call(body: &[u8]) -> Result<(Call, Value), Refused> {
    let said: Value = serde_json::from_slice(body).map_err(|error| no_json(body, &error))?;
    let call = serde_json::from_value(said.clone())
        .map_err(|error| Refused::bad(format!("Failed to convert JSON into Call protobuf: {error}")))?;
    Ok((call, said))
}

/// The paths of a master.
fn master(
    shared: &Shared,
    number: usize,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Answer, Refused> {
    let path = path.strip_prefix("/master").unwrap_or(path);
    if path == "/health" {
        return Ok(Answer::Done);
    }
    let mut cluster = shared.cluster();
    match cluster.lead {
        Lead::Master(leader) | Lead::Recovering(leader) if leader != number => {
            let leader = cluster.masters.get(leader).map(ToString::to_string).unwrap_or_default();
            let place = if path == "/redirect" { String::new() } else { format!("/master{path}") };
            let refused = Refused::new(StatusCode::TEMPORARY_REDIRECT, "");
            return Err(refused.with(header::LOCATION, format!("//{leader}{place}")));
        }
        Lead::Nobody => return Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, "No leader elected")),
        Lead::Recovering(_) => {
            return Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, "Master has not finished recovery"));
        }
        Lead::Master(_) => {}
    }
    match path {
        "/api/v1/scheduler" => {
            let principal = login(shared, headers)?;
            check_head(method, headers)?;
            let (call, said) = call(body)?;
            if call.kind.as_deref() == Some("SUBSCRIBE") {
                check_accept(headers)?;
            }
            let stream = headers.get(STREAM_ID).and_then(|value| value.to_str().ok());
            cluster.scheduler(&call, &said, stream, principal.as_deref())
        }
        "/api/v1" => {
            check_head(method, headers)?;
            check_accept(headers)?;
            cluster.operator(&call(body)?.0)
        }
        "/maintenance/schedule" if method == Method::POST => {
            let schedule: Value = serde_json::from_slice(body).map_err(|error| no_json(body, &error))?;
            cluster.schedule(&schedule)?;
            Ok(Answer::Done)
        }
        "/maintenance/schedule" => Ok(Answer::Json(cluster.schedule_json())),
        "/maintenance/status" => Ok(Answer::Json(cluster.maintenance_json())),
        "/machine/down" | "/machine/up" => {
            let machines: Vec<Machine> = serde_json::from_slice(body).map_err(|error| no_json(body, &error))?;
            cluster.move_machines(&machines, path == "/machine/down")?;
            Ok(Answer::Done)
        }
        "/version" => Ok(Answer::Json(json!({ "version": "1.11.0" }))),
        _ => Err(Refused::not_found()),
    }
}

/// Who asks, where masters want to know that.
fn login(shared: &Shared, headers: &HeaderMap) -> Result<Option<String>, Refused> {
    let Some((user, password)) = &shared.login else { return Ok(None) };
    let said = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let right = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    if said == Some(&right) {
        return Ok(Some(user.clone()));
    }
    let refused = Refused::new(StatusCode::UNAUTHORIZED, "401 Unauthorized.");
    Err(refused.with(header::WWW_AUTHENTICATE, "Basic realm=\"mesos-master-scheduler\""))
}

/// The paths of an agent.
fn agent(
    shared: &Shared,
    host: &str,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Answer, Refused> {
    match path.strip_prefix("/slave(1)").unwrap_or(path) {
        "/api/v1/executor" => {
            check_head(method, headers)?;
            let (call, _) = call(body)?;
            check_accept(headers)?;
            shared.cluster().executor(host, &call)
        }
        "/health" => Ok(Answer::Done),
        _ => Err(Refused::not_found()),
    }
}
