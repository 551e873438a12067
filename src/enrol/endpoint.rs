//! Where agents come to: mutual TLS, reports in, orders out, files out.
//!
//! `POST /agent/report` waits for an order for up to [`WAIT`]; `POST
//! /agent/join` is the one request without a client's certificate; `POST
//! /agent/certificate` gives another one to who has one; `POST /agent/hello` is
//! what a new program of an agent tries; `GET /artefacts/NAME` serves a file.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::artefacts::Shelf;
use super::ca::{Authority, CaError};
use super::desk::{Closed, Counter};
use super::token::Admissions;
use crate::model::order::{Answer, PROTOCOL, Report, common};
use crate::model::unit::Timestamp;
use crate::{clock, tls};

/// How long a request waits for an order: below the minute after which
/// firewalls forget a silent connection.
pub const WAIT: Duration = Duration::from_secs(30);

/// What was just taken over is told with the order that follows from it, when that comes within this time: it is one request
/// for each step, and not two. The agent only lets go of an outcome by it.
const FOLLOWS: Duration = Duration::from_secs(2);

/// Each agent holds one connection, and fetches files over another.
const CONNECTIONS_AT_ONCE: usize = 8_192;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// A report has at most a thousand outcomes of a few hundred bytes.
const LARGEST_REPORT: usize = 4 << 20;

/// Of one connection: its requests come in pieces, however long they are.
const LARGEST_BUFFER: usize = 64 << 10;

const NO_PAPERS: &str = "an agent shows its certificate; join first";

/// Why the endpoint cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The authority did not sign its certificate.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The TLS library refused the settings.
    #[error("TLS for agents cannot be set up: {0}")]
    Tls(String),
    /// The address cannot be had.
    #[error("cannot listen for agents on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// The node that a connection speaks for, by its certificate.
#[derive(Clone, Debug)]
struct Peer(Option<Arc<str>>);

struct Shared {
    authority: Arc<Authority>,
    counter: Counter,
    shelf: Shelf,
    tokens: Admissions,
}

/// Until when the certificate is good with which each node came last.
pub type Papers = watch::Receiver<BTreeMap<Arc<str>, Timestamp>>;

/// The endpoint, bound and not yet serving.
pub struct Endpoint {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    shared: Arc<Shared>,
    papers: watch::Sender<BTreeMap<Arc<str>, Timestamp>>,
}

/// What a host says that joins by a token.
#[derive(Debug, Serialize, Deserialize)]
pub struct Join {
    /// The name it has in the configuration.
    pub node: String,
    /// The token.
    pub token: String,
    /// The request for a certificate, PEM.
    pub request: String,
}

/// What an agent's program says before it takes the place of another one.
#[derive(Debug, Serialize, Deserialize)]
pub struct Hello {
    /// The version of the talk that it speaks.
    pub protocol: u16,
    /// Its release.
    pub release: String,
}

/// What it hears.
#[derive(Debug, Serialize, Deserialize)]
pub struct Welcome {
    /// The version of the talk between the two.
    pub protocol: u16,
}

/// What a node says that wants another certificate in good time.
#[derive(Debug, Serialize, Deserialize)]
pub struct Renew {
    /// The request for a certificate, PEM.
    pub request: String,
}

/// What it gets.
#[derive(Debug, Serialize, Deserialize)]
pub struct Joined {
    /// Its certificate, PEM.
    pub certificate: String,
}

impl Endpoint {
    /// Listens, under names that agents know it by.
    pub async fn bind(
        address: SocketAddr,
        names: &[String],
        authority: Arc<Authority>,
        counter: Counter,
        shelf: Shelf,
        tokens: impl Into<Admissions>,
    ) -> Result<Self, EndpointError> {
        let tls = |error: &dyn std::fmt::Display| EndpointError::Tls(error.to_string());
        let identity = authority.serve_as(names, clock::now())?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate().clone()).map_err(|error| tls(&error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        // A host that joins has no certificate yet; every other path asks for one.
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .allow_unauthenticated()
            .build()
            .map_err(|error| tls(&error))?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| tls(&error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![identity.certificate], identity.key)
            .map_err(|error| tls(&error))?;
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|source| EndpointError::Listen { address, source })?;
        let shared = Shared { authority, counter, shelf, tokens: tokens.into() };
        Ok(Self {
            listener,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            shared: Arc::new(shared),
            papers: watch::Sender::default(),
        })
    }

    /// The address that was bound, for port 0.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// How long the certificates of nodes are good.
    pub fn papers(&self) -> Papers {
        self.papers.subscribe()
    }

    /// Serves until told to stop.
    pub async fn serve(self, stop: CancellationToken) {
        let router = Router::new()
            .route("/agent/report", post(report))
            .route("/agent/hello", post(hello))
            .route("/agent/join", post(join))
            .route("/agent/certificate", post(certificate))
            .route("/artefacts/{name}", get(artefact))
            .layer(DefaultBodyLimit::max(LARGEST_REPORT))
            .with_state(Arc::clone(&self.shared));
        let places = Arc::new(Semaphore::new(CONNECTIONS_AT_ONCE));
        let open = GracefulShutdown::new();
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely: waiting gives some back.
                    warn!(%error, "a connection of an agent could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let (router, acceptor, watcher) = (router.clone(), self.acceptor.clone(), open.watcher());
            let (stop, papers) = (stop.clone(), self.papers.clone());
            tokio::spawn(async move {
                let _place = place;
                let shaken = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream));
                let Ok(Ok(stream)) = shaken.await else {
                    debug!("a handshake with an agent failed");
                    return;
                };
                let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
                let peer = Peer(certificate.and_then(|certificate| name_of(certificate)));
                if let (Some(name), Some(until)) = (&peer.0, certificate.and_then(|shown| tls::good_until(shown))) {
                    papers.send_if_modified(|all| all.insert(Arc::clone(name), until) != Some(until));
                }
                // Said with each request: a router of its own for each of a thousand connections would be most of its memory.
                let router = TowerToHyperService::new(router);
                let service = service_fn(move |mut request: Request<Incoming>| {
                    request.extensions_mut().insert(peer.clone());
                    request.extensions_mut().insert(stop.clone());
                    router.call(request)
                });
                let mut builder = http1::Builder::new();
                builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(LARGEST_BUFFER);
                let connection = builder.serve_connection(TokioIo::new(stream), service);
                if let Err(error) = watcher.watch(connection).await {
                    debug!(%error, "a connection of an agent broke");
                }
            });
        }
        drop(self.listener);
        if tokio::time::timeout(LAST_ANSWERS, open.shutdown()).await.is_err() {
            info!("connections of agents were cut at the end");
        }
    }
}

/// The name in a certificate that was found good.
fn name_of(certificate: &[u8]) -> Option<Arc<str>> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    certificate.subject().iter_common_name().next()?.as_str().ok().map(Arc::from)
}

fn refuse(status: StatusCode, why: impl Into<String>) -> Response {
    (status, Json(serde_json::json!({ "error": why.into() }))).into_response()
}

async fn report(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    Extension(stop): Extension<CancellationToken>,
    Json(report): Json<Report>,
) -> Response {
    let Some(node) = peer.0 else {
        return refuse(StatusCode::FORBIDDEN, NO_PAPERS);
    };
    let protocol = match common(PROTOCOL, report.protocol) {
        Ok(version) => version,
        Err(mismatch) => return refuse(StatusCode::CONFLICT, mismatch.to_string()),
    };
    let mut counter = shared.counter.clone();
    let ending = || refuse(StatusCode::SERVICE_UNAVAILABLE, "the controller is ending");
    let known = report.known();
    let Ok(acknowledged) = counter.hand_in(&node, report).await else { return ending() };
    let wait = if acknowledged.is_empty() { WAIT } else { FOLLOWS };
    let order = tokio::select! {
        () = stop.cancelled() => return ending(),
        order = tokio::time::timeout(wait, counter.next(&node, &known)) => order,
    };
    let order = match order {
        Ok(Ok(order)) => order.map(|order| order.as_ref().clone()),
        Ok(Err(Closed)) => return ending(),
        Err(_) => None,
    };
    Json(Answer { protocol, now: clock::now(), acknowledged, order }).into_response()
}

async fn hello(Extension(peer): Extension<Peer>, Json(hello): Json<Hello>) -> Response {
    let Some(node) = peer.0 else { return refuse(StatusCode::FORBIDDEN, NO_PAPERS) };
    match common(PROTOCOL, hello.protocol) {
        Ok(protocol) => {
            info!(%node, release = hello.release, "another program of an agent is tried");
            Json(Welcome { protocol }).into_response()
        }
        Err(mismatch) => refuse(StatusCode::CONFLICT, mismatch.to_string()),
    }
}

async fn certificate(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    Json(renew): Json<Renew>,
) -> Response {
    let Some(node) = peer.0 else { return refuse(StatusCode::FORBIDDEN, NO_PAPERS) };
    match shared.authority.sign(&renew.request, &node, clock::now()) {
        Ok(certificate) => {
            info!(%node, "a node has another certificate");
            Json(Joined { certificate }).into_response()
        }
        Err(why) => refuse(StatusCode::BAD_REQUEST, why.to_string()),
    }
}

async fn join(State(shared): State<Arc<Shared>>, Json(join): Json<Join>) -> Response {
    if let Err(why) = shared.tokens.admit(&join.node, &join.token, clock::now()) {
        warn!(node = join.node, %why, "a host could not join");
        return refuse(StatusCode::FORBIDDEN, why.to_string());
    }
    match shared.authority.sign(&join.request, &join.node, clock::now()) {
        Ok(certificate) => {
            info!(node = join.node, "a host joined by its token");
            Json(Joined { certificate }).into_response()
        }
        Err(why) => refuse(StatusCode::BAD_REQUEST, why.to_string()),
    }
}

async fn artefact(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
) -> Response {
    if peer.0.is_none() {
        return refuse(StatusCode::FORBIDDEN, NO_PAPERS);
    }
    let Some((artefact, path)) = shared.shelf.find(&name) else {
        let goods = shared.shelf.goods();
        let why = goods.coming().get(&name).map(|coming| coming.told(&name));
        let why = why.unwrap_or_else(|| format!("{name:?} is not among the artefacts of the controller"));
        return refuse(StatusCode::NOT_FOUND, why);
    };
    let file = match tokio::fs::File::open(&path).await {
        Ok(file) => file,
        Err(error) => return refuse(StatusCode::INTERNAL_SERVER_ERROR, format!("{name}: {error}")),
    };
    let pieces = futures_util::stream::try_unfold(file, async |mut file| {
        let mut piece = vec![0; 1 << 16];
        let read = file.read(&mut piece).await?;
        piece.truncate(read);
        io::Result::Ok((read > 0).then_some((piece, file)))
    });
    ([(header::CONTENT_LENGTH, artefact.size)], Body::from_stream(pieces)).into_response()
}
