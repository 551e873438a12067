//! The REST face of a world: one gateway, as its release speaks.
//!
//! Everything the face knows comes from the world; of its own it has only the
//! tokens it gave out. Requests are dispatched by hand, since half of the
//! grammar lies inside of path segments (`Volume::{id}`).

mod actions;
mod alerts;
mod api;
mod installer;
mod journal;
mod json;
mod kind;
mod manager;
mod objects;
mod refusal;
mod session;
mod statistics;
mod wire;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::fault::Faults;
use super::release::Release;
use super::world::{Command, Id, UserRole, World};
use installer::Installer;
use json::Json;
use objects::Writer;
use refusal::Refused;
use session::{ACCESS_LIFE, Credentials, Pair, REFRESH_LIFE, Sessions};
use statistics::Catalogue;

pub(super) use actions::served;
pub use journal::Exchange;
pub(super) use journal::Journal;
pub(super) use wire::serve;

/// Whose time tokens age by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenClock {
    /// That of the world: it stands still, jumps and runs fast with it.
    World,
    /// The real one.
    Real,
}

/// A name and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Login {
    pub user: String,
    pub password: String,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
struct Caller {
    id: Id,
    role: UserRole,
    /// Nothing is answered to it before it has another password.
    must_change: bool,
}

/// One gateway of a system.
pub(super) struct Gateway {
    /// Which of the system's gateways it is.
    number: usize,
    release: Release,
    world: Arc<Mutex<World>>,
    pub(super) faults: Arc<Faults>,
    sessions: Mutex<Sessions>,
    catalogue: Catalogue,
    writer: Writer,
    clock: TokenClock,
    started: Instant,
    journal: Arc<Journal>,
    installer: Installer,
}

/// A request that has arrived completely.
#[derive(Debug)]
pub(super) struct Asked {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

#[derive(Deserialize)]
struct LoginBody {
    username: String,
    password: String,
}

#[derive(Deserialize)]
struct RefreshBody {
    refresh_token: String,
}

/// JSON of a 200.
fn ok(body: impl Into<Body>) -> Response {
    json_response(StatusCode::OK, body)
}

fn json_response(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

fn body<'a, T: Deserialize<'a>>(asked: &'a Asked) -> Result<T, Refused> {
    serde_json::from_slice(&asked.body).map_err(Refused::malformed)
}

impl Gateway {
    pub(super) fn new(
        world: Arc<Mutex<World>>,
        faults: Arc<Faults>,
        clock: TokenClock,
        (number, seed): (usize, u64),
        journal: Arc<Journal>,
    ) -> Self {
        let release = lock(&world).release;
        // Tokens of one gateway mean nothing to another.
        let sessions = Sessions::new(seed.wrapping_add(number as u64));
        Self {
            number,
            release,
            world,
            faults,
            sessions: Mutex::new(sessions),
            catalogue: Catalogue::new(release),
            writer: Writer::new(release),
            clock,
            started: Instant::now(),
            journal,
            installer: Installer::default(),
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn token_time(&self) -> Duration {
        match self.clock {
            TokenClock::World => self.world().now(),
            TokenClock::Real => self.started.elapsed(),
        }
    }

    /// Makes every token void.
    fn expire_tokens(&self) {
        self.sessions().expire();
    }

    /// Answers a request. Takes as long as the answer is large.
    pub(super) fn answer(&self, asked: &Asked) -> Response {
        let path = asked.uri.path();
        let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        // Clients differ in how they write the prefix.
        let prefix = segments.first().map(|first| first.to_ascii_lowercase()).unwrap_or_default();
        let who = if self.journal.is_on() { self.who(asked) } else { None };
        let rest = segments.get(1..).unwrap_or_default();
        let answer = match prefix.as_str() {
            "api" if rest.first().is_some_and(|first| first.eq_ignore_ascii_case("v1")) => {
                self.manager(asked, rest.get(1..).unwrap_or_default())
            }
            "api" => self.api(asked, rest),
            "rest" if self.release >= Release::V4_5 => self.rest(asked, rest),
            "im" => self.installer(asked, rest),
            _ => Err(Refused::not_found()),
        };
        let mut answer = answer.unwrap_or_else(IntoResponse::into_response);
        let symbol = answer.extensions_mut().remove::<refusal::Symbol>();
        let made = answer.extensions_mut().remove::<journal::Made>();
        self.journal.note(who, &asked.method, &segments, answer.status(), (symbol, made));
        answer
    }

    /// Whose request it is, as far as it says.
    fn who(&self, asked: &Asked) -> Option<String> {
        let credentials = Self::credentials(asked)?;
        let owner = self.sessions().owner(credentials.token());
        let name = owner.and_then(|owner| Some(self.world().users.get(&owner)?.name.clone()));
        match credentials {
            Credentials::Basic { user, .. } => name.or(Some(user).filter(|user| !user.is_empty())),
            Credentials::Bearer(_) => name,
        }
    }

    fn credentials(asked: &Asked) -> Option<Credentials> {
        Credentials::read(asked.headers.get(header::AUTHORIZATION)?.to_str().ok()?)
    }

    fn caller(&self, asked: &Asked) -> Result<Caller, Refused> {
        let credentials = Self::credentials(asked).ok_or_else(Refused::unauthorized)?;
        if matches!(credentials, Credentials::Bearer(_)) && self.release < Release::V4_5 {
            return Err(Refused::unauthorized());
        }
        let now = self.token_time();
        let owner = self.sessions().user(credentials.token(), now).ok_or_else(Refused::unauthorized)?;
        let world = self.world();
        // Whoever is removed is out.
        let user = world.users.get(&owner).ok_or_else(Refused::unauthorized)?;
        Ok(Caller { id: owner, role: user.role, must_change: user.must_change })
    }

    /// The role of whoever sends a password instead of a token.
    fn password_role(&self, asked: &Asked) -> Option<UserRole> {
        let Credentials::Basic { user, password } = Self::credentials(asked)? else { return None };
        self.world().user(&user, &password).map(|user| user.role)
    }

    /// `GET /api/login`: a password for a token.
    fn login(&self, asked: &Asked) -> Result<Response, Refused> {
        let Some(Credentials::Basic { user, password }) = Self::credentials(asked) else {
            return Err(Refused::unauthorized());
        };
        let now = self.token_time();
        let world = self.world();
        let millis = world.wall(world.now()).timestamp_millis();
        let user = world.user(&user, &password).ok_or_else(Refused::unauthorized)?;
        let token = self.sessions().login(user, now, millis);
        Ok(ok(format!("\"{token}\"")))
    }

    fn logout(&self, asked: &Asked) -> Result<Response, Refused> {
        self.caller(asked)?;
        if let Some(credentials) = Self::credentials(asked) {
            self.sessions().logout(credentials.token());
        }
        Ok(ok(""))
    }

    /// What only 4.x has: logins with bearer tokens, alerts and events.
    fn rest(&self, asked: &Asked, path: &[&str]) -> Result<Response, Refused> {
        match (&asked.method, path) {
            (&Method::POST, ["auth", "login"]) => {
                let login: LoginBody = body(asked)?;
                let now = self.token_time();
                let user = self.world().user(&login.username, &login.password).map(|user| user.id);
                let user = user.ok_or_else(Refused::unauthorized)?;
                Ok(ok(tokens(&self.sessions().login_pair(user, now))))
            }
            (&Method::POST, ["auth", "update-token"]) => {
                let refresh: RefreshBody = body(asked)?;
                let now = self.token_time();
                let pair = self.sessions().renew(&refresh.refresh_token, now);
                Ok(ok(tokens(&pair.ok_or_else(Refused::unauthorized)?)))
            }
            (&Method::POST, ["auth", "logout"]) => {
                self.caller(asked)?;
                let refresh: RefreshBody = body(asked)?;
                let mut sessions = self.sessions();
                sessions.forget(&refresh.refresh_token);
                if let Some(credentials) = Self::credentials(asked) {
                    sessions.logout(credentials.token());
                }
                Ok(json_response(StatusCode::NO_CONTENT, ""))
            }
            (&Method::POST, ["v1", "alerts", id, what @ ("acknowledge" | "disacknowledge" | "clear")]) => {
                if self.caller(asked)?.role == UserRole::Monitor {
                    return Err(Refused::forbidden());
                }
                let id = id.parse().map_err(|_| Refused::not_found())?;
                let by = self.who(asked).filter(|_| *what == "acknowledge");
                let command = match *what {
                    "clear" => Command::ClearAlert { id },
                    _ => Command::AcknowledgeAlert { id, by },
                };
                // Here what is not found is 404, as everywhere but in `/api`.
                self.world().command(command).map_err(|_| Refused::not_found())?;
                Ok(json_response(StatusCode::NO_CONTENT, ""))
            }
            (&Method::GET, ["v1", what @ ("alerts" | "events")]) => {
                self.caller(asked)?;
                let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&asked.uri)
                    .map_err(|error| Refused::malformed(error.body_text()))?;
                let page = alerts::Page::read(&query)?;
                let world = self.world();
                let (text, more) =
                    if *what == "alerts" { alerts::alerts(&world, &page) } else { alerts::events(&world, &page) };
                // A page that is not the last is a partial answer.
                let status = if more { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
                Ok(json_response(status, text))
            }
            _ => {
                self.caller(asked)?;
                Err(Refused::not_found())
            }
        }
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    // A panic elsewhere leaves the world at the end of some step.
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tokens(pair: &Pair) -> String {
    let mut json = Json::default();
    json.object(|json| {
        json.key("access_token").string(&pair.access);
        json.key("expires_in").number(ACCESS_LIFE.as_secs());
        json.key("refresh_expires_in").number(REFRESH_LIFE.as_secs());
        json.key("refresh_token").string(&pair.refresh);
        json.key("token_type").string("Bearer");
        json.key("id_token").raw("null");
        json.key("session_state").raw("null");
        json.key("scope").string("openid");
    });
    json.finish()
}
