//! Who may come in, and as whom? TLS and users of the exporter-toolkit's file, users, tokens and a proxy of the
//! configuration, and the guard before every route.

mod check;
mod limit;
mod origin;
mod session;
mod toolkit;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use rustls::ServerConfig;

use super::api::html;
use super::listener::Peer;
use super::login;
use super::page::sheet;
use super::problem::Problem;
use crate::config::Web;
use crate::model::person::{Door, Person, Role};
use check::{Checker, Word};
pub use check::{HashError, digest_of, hash};
use limit::Limits;
use session::{Session, Sessions};
pub use toolkit::AccessError;
use toolkit::Toolkit;

/// What a route asks of whoever uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// To be somebody of at least this role.
    Role(Role),
}

/// What whoever comes in must bring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// Speak TLS.
    pub tls: bool,
    /// Show a certificate.
    pub client_certificate: bool,
    /// Be one of these users; anybody when there are none.
    pub users: Vec<String>,
}

/// Who may come in.
pub struct Access {
    toolkit: Toolkit,
    web: Option<Web>,
    checker: Checker,
    limits: Limits,
    sessions: Sessions,
}

/// That somebody came by logging in on the page, and may log out there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BySession;

/// Why somebody is not logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotIn {
    /// The user or the password is wrong; which of them is not told.
    Wrong,
    /// Too many wrong ones came from the address; wait so long.
    Wait(Duration),
}

impl Access {
    /// Everybody, without TLS.
    pub fn open() -> Self {
        Self {
            toolkit: Toolkit::none(),
            web: None,
            checker: Checker::new(),
            limits: Limits::new(60),
            sessions: Sessions::default(),
        }
    }

    /// As a file in the exporter-toolkit's format says.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn read(path: &Path) -> Result<Self, AccessError> {
        Ok(Self { toolkit: Toolkit::read(path)?, ..Self::open() })
    }

    /// As the configuration says.
    ///
    /// # Errors
    /// What is wrong with the exporter-toolkit's file.
    pub fn new(web: &Web) -> Result<Self, AccessError> {
        let access = match &web.config_file {
            Some(path) => Self::read(path)?,
            None => Self::open(),
        };
        Ok(Self { web: Some(web.clone()), limits: Limits::new(web.acts_per_minute), ..access })
    }

    /// The TLS settings for the next connection; none when it is plain.
    pub fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.toolkit.tls()
    }

    /// What is asked of whoever comes in.
    pub fn demands(&self) -> Demands {
        let ours = self.web.iter().flat_map(|web| web.users.keys());
        let users: BTreeSet<String> = self.toolkit.users().keys().chain(ours).cloned().collect();
        Demands {
            tls: self.tls().is_some(),
            client_certificate: self.toolkit.client_certificate(),
            users: users.into_iter().collect(),
        }
    }

    /// Whether anybody has to say who they are.
    fn asks(&self) -> bool {
        let ours =
            self.web.as_ref().is_some_and(|web| !web.users.is_empty() || !web.tokens.is_empty() || web.proxy.is_some());
        ours || !self.toolkit.users().is_empty()
    }

    /// Whether there is anybody who could log in on the page.
    pub(super) fn has_users(&self) -> bool {
        !self.demands().users.is_empty()
    }

    /// Opens a session; gives the header that the browser keeps.
    pub(super) async fn log_in(&self, user: &str, password: &str, peer: Option<Peer>) -> Result<String, NotIn> {
        let word = Word::Login { user: user.to_owned(), password: password.to_owned() };
        let claim = self.checker.claim(&word, self.web.as_ref(), &self.toolkit.users());
        if self.checker.remembers(&claim).is_none() {
            if self.checker.knows_as_wrong(&claim) {
                return Err(NotIn::Wrong);
            }
            self.limits.may_try(peer, Instant::now()).map_err(NotIn::Wait)?;
            if self.checker.check(claim).await.is_none() {
                self.limits.failed(peer, Instant::now());
                return Err(NotIn::Wrong);
            }
        }
        let Some((_, hash)) = check::known(user, self.web.as_ref(), &self.toolkit.users()) else {
            return Err(NotIn::Wrong);
        };
        let word = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        self.sessions.open(&word, Session { user: user.to_owned(), hash }, Instant::now());
        tracing::info!(user, "somebody logged in on the page");
        Ok(session::cookie(Some(&word), self.tls().is_some()))
    }

    /// Ends the session of a request, if it has one; gives the header by which the browser forgets it.
    pub(super) fn log_out(&self, headers: &HeaderMap) -> String {
        if let Some(word) = session::word_in(cookies(headers)) {
            self.sessions.end(word);
        }
        session::cookie(None, self.tls().is_some())
    }

    /// Who has a session.
    fn by_session(&self, headers: &HeaderMap) -> Option<Person> {
        let Session { user, hash } = self.sessions.of(session::word_in(cookies(headers))?, Instant::now())?;
        let (role, now) = check::known(&user, self.web.as_ref(), &self.toolkit.users())?;
        (now == hash).then_some(Person { name: Some(user), role, door: Door::Network })
    }

    /// Lets a request through to its route, with the person who sent it, or tells why not.
    pub(super) async fn guard(&self, needs: Needs, request: Request, next: Next) -> Response {
        // The body cannot be shared while a password is checked.
        let (mut parts, body) = request.into_parts();
        let acts = !parts.method.is_safe();
        if acts && origin::is_foreign(&parts.headers) {
            return Problem::new(StatusCode::FORBIDDEN, "a page of another site cannot act here").into_response();
        }
        let peer = parts.extensions.get::<Peer>().copied();
        let person = match needs {
            Needs::Nothing => Person::unnamed(Role::Operator, Door::Network),
            Needs::Role(_) if !self.asks() => Person::unnamed(Role::Admin, Door::Network),
            Needs::Role(needed) => match self.who(&mut parts, peer).await {
                Err(refusal) => return refusal,
                Ok(person) if person.role < needed => {
                    let name = person.name.unwrap_or_default();
                    let detail = format!("this takes the role {needed}, and {name} is {}", person.role);
                    return Problem::new(StatusCode::FORBIDDEN, detail).into_response();
                }
                Ok(person) => person,
            },
        };
        if acts && let Err(wait) = self.limits.acts(person.name.as_deref(), peer, Instant::now()) {
            return too_many(wait, "so many acts in so short a time are no person's");
        }
        parts.extensions.insert(person);
        next.run(Request::from_parts(parts, body)).await
    }

    async fn who(&self, parts: &mut Parts, peer: Option<Peer>) -> Result<Person, Response> {
        if let Some(person) = self.by_proxy(&parts.headers, peer) {
            return Ok(person);
        }
        let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some(word) = authorization.and_then(Word::read) else {
            let Some(person) = self.by_session(&parts.headers) else { return Err(self.turned_away(parts)) };
            parts.extensions.insert(BySession);
            return Ok(person);
        };
        let claim = self.checker.claim(&word, self.web.as_ref(), &self.toolkit.users());
        if let Some(person) = self.checker.remembers(&claim) {
            return Ok(person);
        }
        if self.checker.knows_as_wrong(&claim) {
            return Err(log_in());
        }
        // Asked before the password is looked at: a guess costs us a tenth of a second.
        if let Err(wait) = self.limits.may_try(peer, Instant::now()) {
            return Err(too_many(wait, "too many wrong passwords or tokens came from your address"));
        }
        match self.checker.check(claim).await {
            Some(person) => Ok(person),
            None => {
                self.limits.failed(peer, Instant::now());
                Err(log_in())
            }
        }
    }

    /// Whom a proxy that we trust has let in.
    fn by_proxy(&self, headers: &HeaderMap, peer: Option<Peer>) -> Option<Person> {
        let web = self.web.as_ref()?;
        let proxy = web.proxy.as_ref()?;
        let Peer(address) = peer?;
        if !proxy.addresses.contains(&address.to_canonical()) {
            return None;
        }
        // Of two headers nobody can say which one the proxy wrote.
        let mut names = headers.get_all(proxy.header.as_str()).iter();
        let name = names.next().filter(|_| names.next().is_none())?.to_str().ok()?.trim();
        if name.is_empty() {
            return None;
        }
        let role = web.users.get(name).map_or(proxy.role, |user| user.role);
        Some(Person { name: Some(name.to_owned()), role, door: Door::Network })
    }
}

impl Access {
    /// What somebody is told who has not said who they are: people are led to the page on which they do, and programs
    /// hear by which ways they may.
    fn turned_away(&self, parts: &Parts) -> Response {
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (mode, site) = (text("sec-fetch-mode"), text("sec-fetch-site"));
        if !self.has_users() {
            return log_in();
        }
        if parts.method == Method::GET && text("accept").contains("text/html") {
            // A link of a mail: the browser keeps the cookie back, and sends it when the page itself asks once more.
            if site == "cross-site" && session::word_in(cookies(&parts.headers)).is_none() {
                return html(StatusCode::UNAUTHORIZED, sheet::again().into_string());
            }
            let to = login::to_login(&parts.uri);
            return match HeaderValue::try_from(to) {
                Ok(to) => (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response(),
                Err(_) => log_in(),
            };
        }
        let mut refusal = log_in();
        // Our own script asks: the browser shall not put its own question before the page.
        if !mode.is_empty() {
            refusal.headers_mut().remove(header::WWW_AUTHENTICATE);
        }
        refusal
    }
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok())
}

fn log_in() -> Response {
    let detail = "log in with a user (Basic, or on /login) or a token (Bearer) of the configuration";
    let mut refusal = Problem::new(StatusCode::UNAUTHORIZED, detail).into_response();
    refusal.headers_mut().insert(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Basic realm=\"scaleio-framework\", charset=\"UTF-8\""),
    );
    refusal
}

fn too_many(wait: Duration, why: &str) -> Response {
    let seconds = wait.as_secs() + 1;
    let mut refusal = Problem::new(StatusCode::TOO_MANY_REQUESTS, format!("{why}; wait {seconds} s")).into_response();
    refusal.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    refusal
}
