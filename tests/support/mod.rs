//! A scripted gateway over real TLS: it does to a client whatever a test says,
//! also what no HTTP library would do.

#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use scaleio_framework::config::{GatewayUrl, Login, Secret, System, Trust};
use scaleio_framework::gateway::{Gateway, OnRequest, Role};
use scaleio_framework::model::id::SystemId;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// One fault set.
pub const FAULT_SETS: &str = "/api/types/FaultSet/instances";
pub const ONE: &str = r#"[{"id":"00000000000000aa","name":"rack-1"}]"#;

pub const USER: &str = "monitor";
pub const PASSWORD: &str = "Pa55w0rd-very-secret";

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// With the query.
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Request {
    pub fn is(&self, method: &str, path: &str) -> bool {
        self.method == method && self.path == path
    }

    /// `user:password` of Basic authentication, or the bearer token.
    pub fn credentials(&self) -> Option<String> {
        let value = self.headers.get("authorization")?;
        if let Some(token) = value.strip_prefix("Bearer ") {
            return Some(token.to_owned());
        }
        decode_base64(value.strip_prefix("Basic ")?)
    }
}

/// What the gateway does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    Text {
        status: u16,
        kind: &'static str,
        headers: String,
        body: Vec<u8>,
    },
    /// Promises more bytes than it sends, then hangs up.
    Cut {
        body: Vec<u8>,
        promised: usize,
    },
    /// Never ends sending.
    Endless,
    /// Never begins sending.
    Silence,
    /// Hangs up without a word.
    HangUp,
    /// Answers, and hangs up without having said so.
    ThenHangUp(Box<Reply>),
}

impl Reply {
    pub fn json(body: impl Into<String>) -> Self {
        Self::status(200, body)
    }

    pub fn status(status: u16, body: impl Into<String>) -> Self {
        Self::Text { status, kind: "application/json", headers: String::new(), body: body.into().into_bytes() }
    }

    pub fn html(status: u16) -> Self {
        let body = format!("<html><body>{status}</body></html>").into_bytes();
        Self::Text { status, kind: "text/html", headers: String::new(), body }
    }

    pub fn unauthorized() -> Self {
        Self::status(401, r#"{"message":"Unauthorized","httpStatusCode":401,"errorCode":0}"#)
    }

    pub fn not_found() -> Self {
        Self::status(404, r#"{"message":"Not found","httpStatusCode":404,"errorCode":0}"#)
    }
}

type Handler = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

/// The identity of a test gateway.
pub struct Identity {
    pub pem: String,
    pub sha256: [u8; 32],
    acceptor: TlsAcceptor,
}

impl Identity {
    pub fn self_signed() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "test gateway");
        let certificate = params.self_signed(&key).unwrap();
        Self::new(&certificate, &key)
    }

    /// An authority's PEM, and an identity that it signed for a name.
    pub fn signed(name: &str) -> (String, Self) {
        let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "test authority");
        let authority = rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        (authority.as_ref().pem(), Self::new(&certificate, &key))
    }

    fn new(certificate: &rcgen::Certificate, key: &rcgen::KeyPair) -> Self {
        let key_der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key_der)
            .unwrap();
        Self {
            pem: certificate.pem(),
            sha256: Sha256::digest(certificate.der()).into(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
        }
    }
}

/// A gateway that runs until it is dropped.
pub struct Server {
    pub url: GatewayUrl,
    pub identity: Identity,
    seen: Arc<Mutex<Vec<Request>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub async fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_as(Identity::self_signed(), handler).await
    }

    pub async fn start_as(identity: Identity, handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let url = GatewayUrl::at(listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let handler: Handler = Arc::new(handler);
        let (acceptor, log) = (identity.acceptor.clone(), seen.clone());
        let task = tokio::spawn(async move {
            // Connections end with the server, as they do when one is killed.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, handler, log) = (acceptor.clone(), handler.clone(), log.clone());
                connections.spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, &handler, &log).await;
                    }
                });
            }
        });
        Self { url, identity, seen, task }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    pub fn count(&self, method: &str, path: &str) -> usize {
        self.requests().iter().filter(|request| request.is(method, path)).count()
    }

    pub fn trust(&self) -> Trust {
        Trust::Pin(self.identity.sha256)
    }
}

/// Serves one connection until either side has had enough.
async fn serve(mut stream: TlsStream<TcpStream>, handler: &Handler, log: &Mutex<Vec<Request>>) {
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut buffer).await {
        let reply = handler(&request);
        log.lock().unwrap().push(request);
        if !answer(&mut stream, reply).await {
            return;
        }
    }
}

async fn read_request(stream: &mut TlsStream<TcpStream>, buffer: &mut Vec<u8>) -> Option<Request> {
    let head_end = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(buffer[..head_end].to_vec()).ok()?;
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    while buffer.len() < head_end + 4 + length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8(buffer[head_end + 4..head_end + 4 + length].to_vec()).ok()?;
    buffer.drain(..head_end + 4 + length);
    Some(Request { method, path, headers, body })
}

/// Does what the reply says; gives whether the connection goes on.
async fn answer(stream: &mut TlsStream<TcpStream>, reply: Reply) -> bool {
    match reply {
        Reply::Text { status, kind, headers, body } => {
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n{headers}\r\n",
                body.len()
            );
            stream.write_all(&[head.as_bytes(), &body].concat()).await.is_ok() && stream.flush().await.is_ok()
        }
        Reply::Cut { body, promised } => {
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {promised}\r\n\r\n");
            let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
            let _ = stream.shutdown().await;
            false
        }
        Reply::Endless => {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
            let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
            let mut sent = stream.write_all(head.as_bytes()).await;
            while sent.is_ok() {
                sent = stream.write_all(chunk.as_bytes()).await;
            }
            false
        }
        Reply::Silence => std::future::pending().await,
        Reply::HangUp => false,
        Reply::ThenHangUp(reply) => {
            Box::pin(answer(stream, *reply)).await;
            let _ = stream.shutdown().await;
            false
        }
    }
}

/// Settings for a client of these gateways.
pub fn settings(servers: &[&Server]) -> System {
    System {
        gateways: servers.iter().map(|server| server.url.clone()).collect(),
        monitor: Login { user: USER.to_owned(), password: Secret::new(PASSWORD) },
        lifecycle: None,
        trust: servers
            .first()
            .map_or(Trust::Insecure, |server| if servers.len() == 1 { server.trust() } else { Trust::Insecure }),
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(10),
        max_answer_bytes: 1 << 20,
        rollout: None,
        volumes: None,
    }
}

/// Which login a scripted gateway has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    Basic,
    Bearer,
}

/// The accounts of a gateway: logins, tokens, refreshes. Hands everything else
/// to the test, once the token is good.
pub struct Accounts {
    flow: Flow,
    /// Written into every answer to a login.
    pub expires_in: f64,
    state: Mutex<Tokens>,
}

#[derive(Default)]
struct Tokens {
    made: usize,
    good: Option<String>,
    refresh: Option<String>,
    refuses_refresh: bool,
}

impl Accounts {
    pub fn new(flow: Flow) -> Arc<Self> {
        Self::expiring(flow, 300.0)
    }

    pub fn expiring(flow: Flow, expires_in: f64) -> Arc<Self> {
        Arc::new(Self { flow, expires_in, state: Mutex::default() })
    }

    /// Ends the session, as a restart of the gateway does.
    pub fn forget_token(&self) {
        self.state.lock().unwrap().good = None;
    }

    pub fn refuse_refreshes(&self) {
        self.state.lock().unwrap().refuses_refresh = true;
    }

    /// The token that is good now.
    pub fn token(&self) -> Option<String> {
        self.state.lock().unwrap().good.clone()
    }

    pub fn refresh_token(&self) -> Option<String> {
        self.state.lock().unwrap().refresh.clone()
    }

    pub fn serve(&self, request: &Request, then: impl FnOnce(&Request) -> Reply) -> Reply {
        match (self.flow, request.method.as_str(), request.path.as_str()) {
            (Flow::Basic, "GET", "/api/login") => {
                if request.credentials().as_deref() != Some(&format!("{USER}:{PASSWORD}")) {
                    return Reply::unauthorized();
                }
                let (token, _) = self.make();
                Reply::json(format!("\"{token}\""))
            }
            (Flow::Bearer, "POST", "/rest/auth/login") => {
                let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
                if body["username"] != USER || body["password"] != PASSWORD {
                    return Reply::status(
                        401,
                        r#"{"http_status_code":401,"messages":[{"code":"1","severity":"ERROR","message":"no"}]}"#,
                    );
                }
                self.bearer()
            }
            (Flow::Bearer, "POST", "/rest/auth/update-token") => {
                let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
                let good = {
                    let state = self.state.lock().unwrap();
                    !state.refuses_refresh
                        && state.refresh.is_some()
                        && body["refresh_token"].as_str() == state.refresh.as_deref()
                };
                if good { self.bearer() } else { Reply::status(401, r#"{"http_status_code":401,"messages":[]}"#) }
            }
            (_, _, "/rest/auth/login" | "/api/login") => Reply::not_found(),
            _ if self.is_good(request) => then(request),
            _ => Reply::unauthorized(),
        }
    }

    fn is_good(&self, request: &Request) -> bool {
        let Some(token) = self.token() else { return false };
        let expected = match self.flow {
            Flow::Basic => format!("{USER}:{token}"),
            Flow::Bearer => token,
        };
        request.credentials() == Some(expected)
    }

    fn bearer(&self) -> Reply {
        let (access, refresh) = self.make();
        Reply::json(format!(
            r#"{{"access_token":"{access}","expires_in":{},"refresh_expires_in":1800,"refresh_token":"{refresh}",
            "token_type":"Bearer","scope":"openid"}}"#,
            self.expires_in
        ))
    }

    fn make(&self) -> (String, String) {
        let mut state = self.state.lock().unwrap();
        state.made += 1;
        let (token, refresh) = (format!("t0ken-{}-secret", state.made), format!("refr3sh-{}-secret", state.made));
        state.good = Some(token.clone());
        state.refresh = Some(refresh.clone());
        (token, refresh)
    }
}

fn decode_base64(text: &str) -> Option<String> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut held, mut bytes) = (0u32, 0, Vec::new());
    for byte in text.bytes().filter(|byte| *byte != b'=') {
        bits = (bits << 6) | ALPHABET.iter().position(|letter| *letter == byte)? as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    String::from_utf8(bytes).ok()
}

pub fn client(settings: &System) -> Gateway {
    let quiet: OnRequest = Arc::new(|_| {});
    Gateway::new(SystemId::new("prod"), settings, Role::Monitor, quiet).unwrap()
}

/// A gateway with one fault set.
pub async fn plain(flow: Flow) -> (Arc<Accounts>, Server) {
    let accounts = Accounts::new(flow);
    let inner = accounts.clone();
    let server = Server::start(move |request| inner.serve(request, |_| Reply::json(ONE))).await;
    (accounts, server)
}

/// A gateway whose login works and whose every other answer is this.
pub async fn answering(reply: Reply) -> Server {
    let accounts = Accounts::new(Flow::Basic);
    Server::start(move |request| accounts.serve(request, |_| reply.clone())).await
}
