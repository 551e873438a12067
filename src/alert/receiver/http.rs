//! How is something posted to a receiver, and what became of it?

use std::error::Error;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Client, redirect};
use url::Url;

use crate::alert::mail::outcome::{Reply, Scope, Stage, Trouble};
use crate::config::{Credentials, HttpWay};
use crate::tls::{self, TlsError};

/// What is kept of an answer that says no.
const SHOWN: usize = 300;

/// A server may ask for any wait; more than this is no longer an alert.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Why a receiver cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Trust or certificates.
    #[error("TLS to {url} cannot be set up")]
    Tls {
        /// The receiver.
        url: Box<Url>,
        /// Why not.
        source: TlsError,
    },
    /// The HTTP client.
    #[error("a client for {url} cannot be made")]
    Client {
        /// The receiver.
        url: Box<Url>,
        /// Why not.
        source: reqwest::Error,
    },
}

/// An address that takes JSON.
#[derive(Clone, Debug)]
pub struct Target {
    url: Url,
    client: Client,
    credentials: Credentials,
}

/// Why something was not taken.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) why: Trouble,
    /// Whether a later try may succeed.
    pub(super) may_retry: bool,
    /// Not before.
    pub(super) after: Option<Duration>,
}

impl Target {
    /// Takes the settings; connects to nobody.
    pub fn new(url: Url, way: &HttpWay) -> Result<Self, SetupError> {
        let fail = |source| SetupError::Tls { url: Box::new(url.clone()), source };
        let tls = tls::client_config(&way.trust, None).map_err(fail)?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            // A token must not follow to somebody else.
            .redirect(redirect::Policy::none())
            .timeout(way.timeout)
            .user_agent(concat!("scaleio-framework/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|source| SetupError::Client { url: Box::new(url.clone()), source })?;
        Ok(Self { url, client, credentials: way.credentials.clone() })
    }

    /// How it is called in logs and metrics: never with what may be secret in a path.
    pub(super) fn name(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Posts a JSON text; `id` lets a receiver drop what comes twice.
    pub(super) async fn post(&self, json: Vec<u8>, id: Option<&str>) -> Result<(), Refusal> {
        let mut request = self.client.post(self.url.clone()).body(json);
        request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(id) = id {
            request = request.header("X-Scaleio-Notification", id);
        }
        request = match &self.credentials {
            Credentials::None => request,
            Credentials::Login(login) => request.basic_auth(&login.user, Some(login.password.reveal())),
            Credentials::Token(token) => request.bearer_auth(token.reveal()),
        };
        let mut answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return Err(self.broken(&error)),
        };
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let after = after.map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT));
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = answer.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() > SHOWN {
                break;
            }
        }
        let code = status.as_u16();
        let text = String::from_utf8_lossy(&body).into_owned();
        let reply = Reply { text: Reply::read(code, &text).text, code, enhanced: String::new() };
        let mend = match code {
            401 | 403 => "; mend its login or token in the configuration",
            404 | 405 => "; look whether the address is the right one",
            _ => "",
        };
        let what = format!("answered {reply}{mend}");
        // A server in trouble, one that is asked too much, and one that wants another login or takes it later.
        let server = status.is_server_error() || matches!(code, 401 | 403 | 404 | 405 | 408 | 429);
        let scope = if server { Scope::Server } else { Scope::Mail };
        let why = Trouble { host: self.name(), stage: Stage::Final, reply: Some(reply), what, scope };
        Err(Refusal { why, may_retry: server, after })
    }

    fn broken(&self, error: &reqwest::Error) -> Refusal {
        let mut cause: &dyn Error = error;
        while let Some(next) = cause.source() {
            cause = next;
        }
        let refused = tls::find::<rustls::Error>(error).map(tls::explain);
        let (stage, what) = match refused {
            Some(why) => (Stage::Tls, why),
            None if error.is_connect() => (Stage::Connect, format!("cannot be reached: {cause}")),
            None if error.is_timeout() => (Stage::Final, "did not answer in time".to_owned()),
            None => (Stage::Final, format!("broke off: {cause}")),
        };
        let why = Trouble { host: self.name(), stage, reply: None, what, scope: Scope::Server };
        Refusal { why, may_retry: true, after: None }
    }
}
