//! Logging in, and staying logged in.
//!
//! Two flows exist. Up to 3.6, `GET /api/login` gives a token that is then the
//! password of Basic authentication. From 4.0 on, `POST /rest/auth/login`
//! gives a bearer token of a few minutes and a refresh token. Which one a
//! gateway has is found by asking, and remembered.
//!
//! ```text
//!            +--------- 401, or about to expire ---------+
//!            v                                           |
//! (none) -> login -> session -> refresh (bearer only) -> session
//!            |                     `- refused -> login
//!            `- refused -> pause, longer each time -> login
//! ```

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::convert::ParseError;
use super::error::GatewayError;
use super::request::{Auth, Call, Http, Reply};
use crate::config::{GatewayUrl, Login, Secret};

/// The pause after the first refusal of a login. Gateways lock a user after a
/// handful of wrong passwords within minutes.
const FIRST_PAUSE: Duration = Duration::from_secs(30);

/// The longest pause: a person who has unlocked the user waits no longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// A token is renewed this long before it expires, or a tenth of its life if
/// that is shorter: clocks differ, and a call takes a while.
const MARGIN: Duration = Duration::from_secs(30);

/// Logging out is a courtesy; ending must not wait for it.
const LOGOUT_TIMEOUT: Duration = Duration::from_secs(5);

/// How a gateway wants to be logged in to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// Up to 3.6; newer ones take it too, but not for everything.
    Basic,
    /// From 4.0 on.
    Bearer,
}

/// What a login gave.
#[derive(Debug)]
pub(super) struct Session {
    /// Tells sessions apart, so that one 401 renews a session once.
    pub(super) serial: u64,
    /// Which address gave it: sessions are not shared between gateways.
    pub(super) place: usize,
    pub(super) flow: Flow,
    token: Secret,
    refresh: Option<Secret>,
    renew_at: Option<Instant>,
}

/// The one session of a client, and what was learned about logging in.
pub(super) struct Sessions {
    login: Login,
    addresses: Vec<GatewayUrl>,
    /// Held while a login runs, on purpose: the queue at this lock is what
    /// makes several calls wait for one login instead of each making its own.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    session: Option<Arc<Session>>,
    serial: u64,
    /// The flow of each address, once it is certain.
    flows: Vec<Option<Flow>>,
    refused: Option<Refused>,
    /// The last login that failed, for those who waited for it.
    failed: Option<(Instant, usize, GatewayError)>,
}

struct Refused {
    times: u32,
    until: Instant,
}

/// The answer to a try of one flow.
enum Try {
    In(Token),
    Refused,
    /// The gateway does not seem to have this flow; here is what it said.
    Missing(GatewayError, Certainty),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Certainty {
    Sure,
    /// It may be a bad moment of a gateway that has the flow.
    Unsure,
}

struct Token {
    token: Secret,
    refresh: Option<Secret>,
    life: Option<Duration>,
}

#[derive(Serialize)]
struct Credentials<'a> {
    username: &'a str,
    password: &'a str,
}

#[derive(Serialize)]
struct Refresh<'a> {
    refresh_token: &'a str,
}

#[derive(Deserialize)]
struct BearerAnswer {
    access_token: String,
    #[serde(default)]
    expires_in: Option<f64>,
    #[serde(default)]
    refresh_token: Option<String>,
}

impl Sessions {
    pub(super) fn new(login: Login, addresses: Vec<GatewayUrl>) -> Self {
        let state = State { flows: vec![None; addresses.len()], ..State::default() };
        Self { login, addresses, state: Mutex::new(state) }
    }

    pub(super) fn user(&self) -> &str {
        &self.login.user
    }

    pub(super) fn auth<'a>(&'a self, session: &'a Session) -> Auth<'a> {
        match session.flow {
            Flow::Basic => Auth::Basic(&self.login.user, &session.token),
            Flow::Bearer => Auth::Bearer(&session.token),
        }
    }

    /// The session at an address; logs in or renews as needed. `stale` is the
    /// serial of a session that was answered with 401.
    pub(super) async fn at(&self, http: &Http, place: usize, stale: Option<u64>) -> Result<Arc<Session>, GatewayError> {
        let asked = Instant::now();
        let mut state = self.state.lock().await;
        let now = Instant::now();
        if let Some(session) = &state.session
            && session.place == place
            && stale != Some(session.serial)
            && session.renew_at.is_none_or(|at| now < at)
        {
            return Ok(session.clone());
        }
        if let Some((at, failed_place, error)) = &state.failed
            && *at >= asked
            && *failed_place == place
        {
            return Err(error.clone());
        }
        let outcome = self.renew(http, place, &mut state).await;
        if let Err(error) = &outcome {
            state.failed = Some((Instant::now(), place, error.clone()));
        }
        outcome
    }

    async fn renew(&self, http: &Http, place: usize, state: &mut State) -> Result<Arc<Session>, GatewayError> {
        let before = state.session.take().filter(|session| session.place == place);
        if let Some(refresh) = before.as_ref().and_then(|session| session.refresh.as_ref())
            && let Some(token) = self.refresh(http, place, refresh).await?
        {
            return Ok(self.keep(state, place, Flow::Bearer, token));
        }
        if let Some(refused) = &state.refused {
            let wait = refused.until.saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                return Err(GatewayError::Paused {
                    call: "login",
                    address: self.addresses[place].as_str().into(),
                    user: self.login.user.as_str().into(),
                    refusals: refused.times,
                    wait,
                });
            }
        }
        match self.log_in(http, place, &mut state.flows[place]).await {
            Ok((flow, token)) => {
                state.refused = None;
                Ok(self.keep(state, place, flow, token))
            }
            Err(error) => {
                if matches!(error, GatewayError::Refused { .. }) {
                    let times = state.refused.as_ref().map_or(0, |refused| refused.times) + 1;
                    state.refused = Some(Refused { times, until: Instant::now() + pause(times) });
                }
                Err(error)
            }
        }
    }

    fn keep(&self, state: &mut State, place: usize, flow: Flow, token: Token) -> Arc<Session> {
        state.serial += 1;
        state.failed = None;
        let session = Arc::new(Session {
            serial: state.serial,
            place,
            flow,
            token: token.token,
            refresh: token.refresh,
            renew_at: token.life.map(|life| Instant::now() + life - MARGIN.min(life / 10)),
        });
        state.session = Some(session.clone());
        tracing::debug!(address = %self.addresses[place], ?flow, "session begun");
        session
    }

    /// Logs in by the flow that is known, or finds it out.
    async fn log_in(&self, http: &Http, place: usize, known: &mut Option<Flow>) -> Result<(Flow, Token), GatewayError> {
        let address = &self.addresses[place];
        let refused = || GatewayError::Refused {
            call: "login",
            address: address.as_str().into(),
            user: self.login.user.as_str().into(),
        };
        if *known == Some(Flow::Basic) {
            match self.basic(http, address).await? {
                Try::In(token) => return Ok((Flow::Basic, token)),
                Try::Refused => return Err(refused()),
                Try::Missing(..) => *known = None,
            }
        }
        let sure = match self.bearer(http, address).await? {
            Try::In(token) => {
                *known = Some(Flow::Bearer);
                return Ok((Flow::Bearer, token));
            }
            Try::Refused => return Err(refused()),
            Try::Missing(error, _) if *known == Some(Flow::Bearer) => {
                // It had this flow yesterday: ask both again next time.
                *known = None;
                return Err(error);
            }
            Try::Missing(_, certainty) => certainty == Certainty::Sure,
        };
        match self.basic(http, address).await? {
            Try::In(token) => {
                *known = sure.then_some(Flow::Basic);
                Ok((Flow::Basic, token))
            }
            Try::Refused => Err(refused()),
            Try::Missing(error, _) => Err(error),
        }
    }

    async fn bearer(&self, http: &Http, address: &GatewayUrl) -> Result<Try, GatewayError> {
        const NAME: &str = "auth/login";
        let credentials = Credentials { username: &self.login.user, password: self.login.password.reveal() };
        let call = Call::post(NAME, "/rest/auth/login", json(&credentials)?);
        let reply = http.send(address, &call, &Auth::Nobody).await?;
        let status = reply.status.as_u16();
        Ok(match status {
            200..=299 => match bearer_token(&reply) {
                Some(token) => Try::In(token),
                None => Try::Missing(no_token(NAME, address, &reply), Certainty::Sure),
            },
            401 | 403 => {
                // Gateways up to 3.6 may answer an unknown path like this too.
                let (_, _, legacy) = reply.error();
                if legacy || reply.is_html() || reply.body.is_empty() {
                    Try::Missing(reply.refusal(NAME, address), Certainty::Sure)
                } else {
                    Try::Refused
                }
            }
            429 | 502..=504 => return Err(reply.refusal(NAME, address)),
            500 => Try::Missing(reply.refusal(NAME, address), Certainty::Unsure),
            _ => Try::Missing(reply.refusal(NAME, address), Certainty::Sure),
        })
    }

    async fn basic(&self, http: &Http, address: &GatewayUrl) -> Result<Try, GatewayError> {
        const NAME: &str = "login";
        let auth = Auth::Basic(&self.login.user, &self.login.password);
        let reply = http.send(address, &Call::get(NAME, "/api/login"), &auth).await?;
        let status = reply.status.as_u16();
        Ok(match status {
            200..=299 => match basic_token(&reply.body) {
                Some(token) => Try::In(Token { token, refresh: None, life: None }),
                None => Try::Missing(no_token(NAME, address, &reply), Certainty::Sure),
            },
            401 | 403 => Try::Refused,
            429 | 500..=599 => return Err(reply.refusal(NAME, address)),
            _ => Try::Missing(reply.refusal(NAME, address), Certainty::Sure),
        })
    }

    /// A new token for the refresh token; nothing when the gateway refuses it,
    /// as it does once it has expired or the gateway was restarted.
    async fn refresh(&self, http: &Http, place: usize, refresh: &Secret) -> Result<Option<Token>, GatewayError> {
        let body = json(&Refresh { refresh_token: refresh.reveal() })?;
        let call = Call::post("auth/update-token", "/rest/auth/update-token", body);
        let reply = http.send(&self.addresses[place], &call, &Auth::Nobody).await?;
        Ok(if reply.status.is_success() { bearer_token(&reply) } else { None })
    }

    /// Forgets the session and its flow when that is the old one, although the
    /// gateway is of a release that has the new one.
    pub(super) async fn expect_bearer(&self) {
        let mut state = self.state.lock().await;
        if let Some(session) = state.session.take_if(|session| session.flow == Flow::Basic) {
            state.flows[session.place] = None;
        }
    }

    /// Whether the session is of the old flow without certainty that the
    /// gateway has no other.
    pub(super) async fn is_unsure(&self) -> bool {
        let state = self.state.lock().await;
        state.session.as_ref().is_some_and(|session| state.flows[session.place].is_none())
    }

    /// Ends the session, if there is one. Best effort.
    pub(super) async fn log_out(&self, http: &Http) {
        let Some(session) = self.state.lock().await.session.take() else { return };
        let call = match (session.flow, &session.refresh) {
            (Flow::Basic, _) => Call::get("logout", "/api/logout"),
            (Flow::Bearer, refresh) => {
                let body = refresh.as_ref().map(|token| json(&Refresh { refresh_token: token.reveal() }));
                Call { body: body.and_then(Result::ok), ..Call::post("logout", "/rest/auth/logout", Vec::new()) }
            }
        };
        let address = &self.addresses[session.place];
        let auth = self.auth(&session);
        let limit = LOGOUT_TIMEOUT.min(http.timeout());
        match tokio::time::timeout(limit, http.send(address, &call, &auth)).await {
            Ok(Ok(reply)) if reply.status.is_success() => tracing::debug!(%address, "session ended"),
            // The gateway ends an idle session by itself.
            _ => tracing::debug!(%address, "session left to expire"),
        }
    }
}

/// How long to wait after so many refusals in a row.
fn pause(times: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << times.saturating_sub(1).min(16)).min(LONGEST_PAUSE)
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, GatewayError> {
    serde_json::to_vec(value).map_err(|_| GatewayError::Setup { why: "a login cannot be written as JSON".into() })
}

fn bearer_token(reply: &Reply) -> Option<Token> {
    let answer: BearerAnswer = serde_json::from_slice(&reply.body).ok()?;
    let life = answer.expires_in.filter(|seconds| *seconds > 0.0 && *seconds < 1e9).map(Duration::from_secs_f64);
    Some(Token {
        token: usable(&answer.access_token)?,
        refresh: answer.refresh_token.as_deref().and_then(usable),
        life,
    })
}

/// The token of the old flow: text in quotes. The quotes are not part of it.
fn basic_token(body: &[u8]) -> Option<Secret> {
    match serde_json::from_slice::<String>(body) {
        Ok(token) => usable(&token),
        Err(_) => usable(std::str::from_utf8(body).ok()?.trim().trim_matches('"')),
    }
}

/// A token that can be sent back in a header, and is none of the things that
/// are sent in its place.
fn usable(token: &str) -> Option<Secret> {
    let good = !token.is_empty() && token.len() <= 16 * 1024 && token.bytes().all(|byte| byte.is_ascii_graphic());
    (good && !token.starts_with(['<', '{', '['])).then(|| Secret::new(token))
}

fn no_token(call: &'static str, address: &GatewayUrl, reply: &Reply) -> GatewayError {
    let source = if reply.is_html() { ParseError::Html } else { ParseError::Shape { expected: "token" } };
    GatewayError::Parse { call, address: address.as_str().into(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_out_of_its_quotes_and_a_page_is_no_token() {
        for (body, token) in [
            ("\"YWRtaW46MTY\"", Some("YWRtaW46MTY")),
            (" \"abc\"\n", Some("abc")),
            ("abc", Some("abc")),
            ("<html>", None),
            ("{\"message\":\"x\"}", None),
            ("", None),
            ("\"\"", None),
            ("\"a b\"", None),
        ] {
            let read = basic_token(body.as_bytes());
            assert_eq!(read.as_ref().map(Secret::reveal), token, "{body:?}");
        }
    }

    #[test]
    fn pauses_grow_and_end_growing() {
        let pauses: Vec<u64> = (1..=7).map(|times| pause(times).as_secs()).collect();
        assert_eq!(pauses, [30, 60, 120, 240, 480, 900, 900]);
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
    }
}
