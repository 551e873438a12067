//! How calls reach the leading master, and events come from it: HTTP with
//! deadlines, one connection for the stream and others for calls.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client, RequestBuilder, StatusCode, redirect};
use serde_json::Value;

use super::MesosError;
use super::master::Finder;
use super::recordio::Decoder;
use super::wire::{self, Call, Event, FrameworkInfo, Malformed};
use crate::config::{Login, MasterUrl, Mesos};
use crate::model::id::FrameworkId;
use crate::tls;

/// TCP and TLS in one data centre.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A master answers at once, with 202 or a reason; one that is paused does not.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest reason that is read.
const MAX_REASON: usize = 2_000;

const STREAM_ID: &str = "Mesos-Stream-Id";
const SCHEDULER: &str = "/api/v1/scheduler";

/// Speaks to the masters of one cluster.
pub struct Master {
    http: Client,
    login: Option<Login>,
    finder: Finder,
}

/// A stream that is open, and what calls of its time must carry.
pub struct Session {
    /// The leading master.
    pub master: MasterUrl,
    stream_id: HeaderValue,
    body: BoxStream<'static, Result<bytes::Bytes, reqwest::Error>>,
    decoder: Decoder,
}

/// What speaks for a session on other connections.
#[derive(Clone)]
pub struct Caller {
    http: Client,
    login: Option<Login>,
    master: MasterUrl,
    stream_id: HeaderValue,
}

/// HTTP as masters and agents want it.
pub(super) fn http(trust: &crate::config::Trust) -> Result<Client, MesosError> {
    let fail = |what: String| MesosError::Settings { what };
    // The library asks the process for its cryptography; that it was set before is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .no_proxy()
        // Where a redirect leads is decided here: it must not take the password elsewhere.
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_keepalive(Duration::from_secs(30))
        .tcp_nodelay(true)
        .no_gzip()
        .user_agent(concat!("scaleio-framework/", env!("CARGO_PKG_VERSION")));
    let tls = tls::client_config(trust, None).map_err(|error| fail(error.to_string()))?;
    builder.tls_backend_preconfigured(tls).build().map_err(|error| fail(error.to_string()))
}

impl Master {
    /// Nothing is asked yet. Reads the CA file.
    pub fn new(settings: &Mesos) -> Result<Self, MesosError> {
        let http = http(&settings.trust)?;
        Ok(Self { http, login: settings.login.clone(), finder: Finder::new(settings.masters.clone()) })
    }

    /// Finds the leader and subscribes there.
    pub async fn subscribe(
        &mut self,
        info: &FrameworkInfo,
        framework: Option<&FrameworkId>,
        is_suppressed: bool,
    ) -> Result<(Session, Caller), MesosError> {
        let body = wire::subscribe(info, framework, is_suppressed);
        loop {
            let master = self.finder.candidate().await?;
            match self.subscribe_at(&master, &body).await {
                Ok(Answer::Session(session)) => {
                    self.finder.found();
                    let caller = Caller {
                        http: self.http.clone(),
                        login: self.login.clone(),
                        master: session.master.clone(),
                        stream_id: session.stream_id.clone(),
                    };
                    return Ok((*session, caller));
                }
                Ok(Answer::Elsewhere(location)) => self.finder.redirected(&master, &location)?,
                Err(error) => {
                    self.finder.failed();
                    return Err(error);
                }
            }
        }
    }

    async fn subscribe_at(&self, master: &MasterUrl, body: &Value) -> Result<Answer, MesosError> {
        let address = master.to_string();
        let request = post(&self.http, master, self.login.as_ref(), SCHEDULER, body);
        // Headers come at once; the body never ends.
        let response = match tokio::time::timeout(CALL_TIMEOUT, request.send()).await {
            Ok(response) => response.map_err(|error| unheard("SUBSCRIBE", &address, error))?,
            Err(_) => return Err(MesosError::Timeout { call: "SUBSCRIBE", address }),
        };
        let header = |name: &str| response.headers().get(name).cloned();
        match response.status() {
            StatusCode::OK => {
                let Some(stream_id) = header(STREAM_ID) else {
                    let text = format!("it sent no {STREAM_ID}; is it a Mesos master?");
                    return Err(MesosError::Refused { call: "SUBSCRIBE", address, status: 200, text });
                };
                Ok(Answer::Session(Box::new(Session {
                    master: master.clone(),
                    stream_id,
                    body: response.bytes_stream().boxed(),
                    decoder: Decoder::new(),
                })))
            }
            StatusCode::TEMPORARY_REDIRECT => {
                let location = header(LOCATION.as_str());
                Ok(Answer::Elsewhere(location.and_then(|to| to.to_str().ok().map(str::to_owned)).unwrap_or_default()))
            }
            status => Err(refused("SUBSCRIBE", address, status, response).await),
        }
    }
}

enum Answer {
    Session(Box<Session>),
    Elsewhere(String),
}

/// What came out of a stream.
pub type Heard = Result<Event, Malformed>;

impl Session {
    /// The next event; one that cannot be read is told as such, and the stream
    /// goes on. May be given up and called again without a loss.
    pub async fn event(&mut self) -> Result<Heard, MesosError> {
        let record = next_record(&mut self.body, &mut self.decoder).await?;
        Ok(Event::read(&record))
    }
}

/// The next record of a stream. Whole records that came before its end are
/// given out first.
pub(super) async fn next_record(
    body: &mut BoxStream<'static, Result<bytes::Bytes, reqwest::Error>>,
    decoder: &mut Decoder,
) -> Result<Vec<u8>, MesosError> {
    loop {
        if let Some(record) = decoder.record()? {
            return Ok(record.to_vec());
        }
        match body.next().await {
            Some(Ok(bytes)) => decoder.feed(&bytes),
            Some(Err(_)) | None => return Err(MesosError::Ended { cut: !decoder.is_between_records() }),
        }
    }
}

impl Caller {
    /// Makes a call. A yes means only that the master understood it.
    pub async fn call(&self, framework: &FrameworkId, call: &Call) -> Result<(), MesosError> {
        let address = self.master.to_string();
        let body = call.body(framework);
        let request = post(&self.http, &self.master, self.login.as_ref(), SCHEDULER, &body)
            .header(STREAM_ID, self.stream_id.clone())
            .timeout(CALL_TIMEOUT);
        let response = request.send().await.map_err(|error| unheard(call.name(), &address, error))?;
        match response.status() {
            status if status.is_success() => Ok(()),
            status => Err(refused(call.name(), address, status, response).await),
        }
    }
}

pub(super) fn post(
    http: &Client,
    master: &MasterUrl,
    login: Option<&Login>,
    path: &str,
    body: &Value,
) -> RequestBuilder {
    let request = http.post(format!("{master}{path}")).headers(json_headers()).body(body.to_string());
    match login {
        Some(login) => request.basic_auth(&login.user, Some(login.password.reveal())),
        None => request,
    }
}

/// Masters and agents take exactly this.
pub(super) fn json_headers() -> HeaderMap {
    let json = || HeaderValue::from_static("application/json");
    HeaderMap::from_iter([(CONTENT_TYPE, json()), (ACCEPT, json())])
}

pub(super) fn unheard(call: &'static str, address: &str, error: reqwest::Error) -> MesosError {
    let address = address.to_owned();
    if error.is_timeout() {
        MesosError::Timeout { call, address }
    } else {
        MesosError::Connect { call, address, source: Box::new(error.without_url()) }
    }
}

pub(super) async fn refused(
    call: &'static str,
    address: String,
    status: StatusCode,
    response: reqwest::Response,
) -> MesosError {
    if status == StatusCode::UNAUTHORIZED {
        return MesosError::Login { call, address };
    }
    let mut text = Vec::new();
    let mut body = response.bytes_stream();
    // The reason helps, but is not worth waiting for.
    let _ = tokio::time::timeout(CALL_TIMEOUT, async {
        while let Some(Ok(bytes)) = body.next().await {
            text.extend_from_slice(&bytes);
            if text.len() >= MAX_REASON {
                break;
            }
        }
    })
    .await;
    text.truncate(MAX_REASON);
    let text: String = String::from_utf8_lossy(&text).chars().filter(|c| !c.is_control()).collect();
    MesosError::Refused { call, address, status: status.as_u16(), text }
}
