//! A plain HTTP client that logs in as real ones do.

use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use scaleio_framework::sim::world::Layout;
use scaleio_framework::sim::{Login, Options, Release, Running, Simulation};
use serde_json::{Value, json};

/// A client at one gateway.
pub(crate) struct Caller {
    pub(crate) http: Client,
    pub(crate) base: String,
    pub(crate) auth: Auth,
}

#[derive(Clone)]
pub(crate) enum Auth {
    None,
    Basic(String, String),
    Bearer(String),
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: u64) -> String {
        let body = self.json();
        assert_eq!(self.status.as_u16(), status, "{body}");
        assert_eq!(body["httpStatusCode"], json!(status));
        assert_eq!(body["errorCode"], json!(code));
        body["message"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn http() -> Client {
    // Another test may have set it already; it is the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().tls_danger_accept_invalid_certs(true).timeout(Duration::from_secs(30)).build().unwrap()
}

impl Caller {
    pub(crate) fn at(base: &str) -> Self {
        Self { http: http(), base: base.to_owned(), auth: Auth::None }
    }

    pub(crate) fn with(&self, auth: Auth) -> Self {
        Self { http: self.http.clone(), base: self.base.clone(), auth }
    }

    pub(crate) async fn try_ask(&self, method: Method, path: &str, body: Option<Value>) -> reqwest::Result<Answer> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        request = match &self.auth {
            Auth::None => request,
            Auth::Basic(user, password) => request.basic_auth(user, Some(password)),
            Auth::Bearer(token) => request.bearer_auth(token),
        };
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        Ok(Answer { status, text: answer.text().await? })
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.try_ask(Method::GET, path, None).await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.try_ask(Method::POST, path, Some(body)).await.unwrap()
    }

    pub(crate) async fn read(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        answer.json()
    }

    /// Logs in by `/api/login`.
    pub(crate) async fn login(&self, login: &Login) -> Self {
        let answer = self.with(Auth::Basic(login.user.clone(), login.password.clone())).get("/api/login").await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let token = answer.json().as_str().unwrap().to_owned();
        self.with(Auth::Basic(String::new(), token))
    }
}

pub(crate) async fn start(release: Release) -> Running {
    Simulation::start(Options::still(Layout::small(), release)).await.unwrap()
}

pub(crate) async fn started(release: Release) -> (Running, Caller) {
    let running = start(release).await;
    let caller = Caller::at(&running.urls()[0]).login(running.monitor()).await;
    (running, caller)
}
