//! One HTTP request to one gateway: bounded in time and size, and every
//! failure put into our words.

use std::borrow::Cow;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, StatusCode, redirect};
use tokio::time::Instant;

use super::convert::ParseError;
use super::error::{GatewayError, Message};
use crate::config::{self, GatewayUrl, Secret};
use crate::gateway::wire::{Lenient, Odd, Text};
use crate::tls;

/// Told about every HTTP request that was made; must be cheap.
pub type OnRequest = Arc<dyn Fn(&RequestSeen<'_>) + Send + Sync>;

/// One HTTP request that was made.
#[derive(Clone, Copy, Debug)]
pub struct RequestSeen<'a> {
    /// What was asked, without ids: `types/Sds`, `login`, `querySelectedStatistics`.
    pub endpoint: &'a str,
    /// The status of the answer; none when none came.
    pub status: Option<u16>,
    /// From the first byte sent to the last byte read.
    pub duration: Duration,
}

/// An error page longer than this tells nothing more.
const MAX_ERROR_BYTES: u64 = 64 * 1024;

/// How long an idle connection is kept: longer than the pause between polls,
/// shorter than what balancers in front of gateways allow (often 60 s and more).
const POOL_IDLE: Duration = Duration::from_secs(50);

/// Connections kept for later: as many as calls run at once.
const POOL_SIZE: usize = 4;

/// A question for a gateway.
#[derive(Clone, Debug)]
pub(super) struct Call<'a> {
    /// Its name for people and metrics.
    pub(super) name: &'static str,
    pub(super) method: Method,
    /// Path and query.
    pub(super) path: Cow<'a, str>,
    /// A JSON body.
    pub(super) body: Option<Vec<u8>>,
    /// Whether it changes something, so that it is never sent again by itself.
    pub(super) is_change: bool,
}

impl<'a> Call<'a> {
    pub(super) fn get(name: &'static str, path: impl Into<Cow<'a, str>>) -> Self {
        Self { name, method: Method::GET, path: path.into(), body: None, is_change: false }
    }

    pub(super) fn post(name: &'static str, path: impl Into<Cow<'a, str>>, body: Vec<u8>) -> Self {
        Self { name, method: Method::POST, path: path.into(), body: Some(body), is_change: false }
    }

    /// Something that must not be done twice because an answer was lost.
    pub(super) fn change(name: &'static str, path: impl Into<Cow<'a, str>>, body: Vec<u8>) -> Self {
        Self { is_change: true, ..Self::post(name, path, body) }
    }
}

/// Who asks.
pub(super) enum Auth<'a> {
    Nobody,
    Basic(&'a str, &'a Secret),
    Bearer(&'a Secret),
}

/// An answer of whatever status.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

/// The pool of connections with its limits.
pub(super) struct Http {
    client: Client,
    timeout: Duration,
    max_bytes: u64,
    on_request: OnRequest,
}

impl Http {
    pub(super) fn new(settings: &config::System, on_request: OnRequest) -> Result<Self, GatewayError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls::client_config(&settings.trust, None)?)
            .https_only(true)
            // What is asked of a gateway must go to that gateway.
            .no_proxy()
            .redirect(redirect::Policy::custom(same_origin))
            .referer(false)
            .connect_timeout(settings.connect_timeout)
            .pool_max_idle_per_host(POOL_SIZE)
            .pool_idle_timeout(POOL_IDLE)
            .user_agent(concat!("scaleio-framework/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| GatewayError::Setup { why: root(&error).into() })?;
        Ok(Self { client, timeout: settings.request_timeout, max_bytes: settings.max_answer_bytes, on_request })
    }

    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends a request. When the connection breaks before an answer begins, as
    /// a kept one does that the gateway has closed meanwhile, it is sent once
    /// more at once; all we ask may be asked twice, and what changes something is not.
    pub(super) async fn send(
        &self,
        address: &GatewayUrl,
        call: &Call<'_>,
        auth: &Auth<'_>,
    ) -> Result<Reply, GatewayError> {
        match self.once(address, call, auth).await {
            Err(Failure { broken: true, .. }) if !call.is_change => {
                self.once(address, call, auth).await.map_err(|failure| failure.error)
            }
            other => other.map_err(|failure| failure.error),
        }
    }

    async fn once(&self, address: &GatewayUrl, call: &Call<'_>, auth: &Auth<'_>) -> Result<Reply, Failure> {
        let begun = Instant::now();
        let mut status = None;
        let outcome = tokio::time::timeout(self.timeout, self.exchange(address, call, auth, &mut status)).await;
        let duration = begun.elapsed();
        (self.on_request)(&RequestSeen {
            endpoint: call.name,
            status: status.map(|status: StatusCode| status.as_u16()),
            duration,
        });
        let outcome = outcome.unwrap_or_else(|_| Err(Why::Late));
        outcome.map_err(|why| self.fail(why, address, call, status.is_some(), duration))
    }

    async fn exchange(
        &self,
        address: &GatewayUrl,
        call: &Call<'_>,
        auth: &Auth<'_>,
        status: &mut Option<StatusCode>,
    ) -> Result<Reply, Why> {
        let mut request = self
            .client
            .request(call.method.clone(), format!("{address}{}", call.path))
            .header(ACCEPT, HeaderValue::from_static("application/json"));
        request = match auth {
            Auth::Nobody => request,
            Auth::Basic(user, password) => request.basic_auth(user, Some(password.reveal())),
            Auth::Bearer(token) => request.bearer_auth(token.reveal()),
        };
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json")).body(body.clone());
        }
        let mut response = request.send().await.map_err(Why::Reqwest)?;
        *status = Some(response.status());
        let good = response.status().is_success();
        let limit = if good { self.max_bytes } else { MAX_ERROR_BYTES };
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(Why::Reqwest)? {
            // Counted unpacked: a small body may hold a large one.
            if (body.len() + chunk.len()) as u64 > limit {
                if good {
                    return Err(Why::TooLarge);
                }
                break;
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status: response.status(), body })
    }

    fn fail(&self, why: Why, address: &GatewayUrl, call: &Call<'_>, answering: bool, after: Duration) -> Failure {
        let (call, address) = (call.name, Box::from(address.as_str()));
        let mut broken = false;
        let error = match why {
            Why::Late => GatewayError::Timeout { call, address, after },
            Why::TooLarge => GatewayError::TooLarge { call, address, limit: self.max_bytes },
            Why::Reqwest(error) => {
                if let Some(refused) = tls::find::<rustls::Error>(&error) {
                    GatewayError::Tls { call, address, why: tls::explain(refused).into() }
                } else if error.is_connect() {
                    let why = if error.is_timeout() {
                        format!("no connection within {:.1} s", after.as_secs_f64())
                    } else {
                        format!("cannot connect: {}", root(&error))
                    };
                    GatewayError::Connect { call, address, why: why.into() }
                } else if error.is_timeout() {
                    GatewayError::Timeout { call, address, after }
                } else if answering && tls::find::<io::Error>(&error).is_some_and(unpacking) {
                    GatewayError::Parse { call, address, source: ParseError::Packing }
                } else {
                    broken = !answering && error.is_request();
                    let place = if answering { "in the middle of the answer" } else { "before an answer came" };
                    let why = format!("the connection broke {place}: {}", root(&error)).into();
                    GatewayError::Connect { call, address, why }
                }
            }
        };
        Failure { error, broken }
    }
}

enum Why {
    Late,
    TooLarge,
    Reqwest(reqwest::Error),
}

struct Failure {
    error: GatewayError,
    /// The connection broke before an answer began.
    broken: bool,
}

/// A redirect may not lead a session to another server.
fn same_origin(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let same = attempt.previous().first().is_some_and(|first| first.origin() == attempt.url().origin());
    if same && attempt.previous().len() <= 3 { attempt.follow() } else { attempt.stop() }
}

fn unpacking(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)
}

/// The innermost cause. Chains of HTTP clients repeat themselves, and their
/// outer links hold the whole address.
fn root(error: &reqwest::Error) -> String {
    let mut last: &dyn Error = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}

wire! {
    /// An error body, up to 3.6 and from 4.0 on.
    ErrorBody {
        message: Text<'de> = "message",
        code: Option<f64> = "errorCode",
        messages: Vec<ErrorMessage<'de>> = "messages",
        legacy: Text<'de> = "httpStatusCode",
    } ignored {}

    /// One message of the newer form.
    ErrorMessage {
        message: Text<'de> = "message",
    } ignored {}
}

impl Reply {
    /// What an error body says: the message, the MDM's return code, and
    /// whether it has the form used up to 3.6.
    pub(super) fn error(&self) -> (Message, Option<i64>, bool) {
        let mut json = serde_json::Deserializer::from_slice(&self.body);
        let body = Option::<ErrorBody<'_>>::read(&mut json, &mut Odd::default()).ok().flatten().unwrap_or_default();
        let legacy = body.legacy.is_some();
        let message = body.message.or_else(|| body.messages.into_iter().find_map(|message| message.message));
        let message = message.unwrap_or_default().into_owned().into_boxed_str();
        (Message(message), body.code.map(|code| code as i64), legacy)
    }

    /// Whether it is a page for people.
    pub(super) fn is_html(&self) -> bool {
        self.body.trim_ascii_start().starts_with(b"<")
    }

    /// The reply as an error, for a status that says no.
    pub(super) fn refusal(&self, call: &'static str, address: &GatewayUrl) -> GatewayError {
        let (message, code, _) = self.error();
        GatewayError::Status { call, address: address.as_str().into(), status: self.status.as_u16(), code, message }
    }
}
