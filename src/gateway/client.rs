//! The client of one system's gateways: which address is asked, what a 401
//! does, and when another address is tried.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::error::GatewayError;
use super::request::{Call, Http, Reply};
use super::session::Sessions;
use super::statistics::Learned;
use crate::config::{self, GatewayUrl};
use crate::model::id::SystemId;
use crate::model::version::Generation;

pub use super::request::{OnRequest, RequestSeen};

/// Which login is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads only.
    Monitor,
    /// May change things.
    Lifecycle,
}

/// The gateways of one system. May be asked several things at once; all share
/// one session and one pool of connections.
pub struct Gateway {
    system: SystemId,
    addresses: Vec<GatewayUrl>,
    http: Http,
    sessions: Sessions,
    /// The address that is asked first.
    place: AtomicUsize,
    /// The address that answered last; out of range before the first answer.
    answered: AtomicUsize,
    /// Shared by calls that run at once; never held while anything is awaited.
    memory: Mutex<Memory>,
}

/// What holds for one release at one address.
#[derive(Default)]
struct Memory {
    place: usize,
    generation: Option<Generation>,
    learned: Learned,
}

/// An answer and where it came from.
pub(super) struct Answered {
    pub(super) body: Vec<u8>,
    pub(super) address: Box<str>,
}

impl Gateway {
    /// A client that has asked nothing yet. Reads the CA file.
    pub fn new(
        system: SystemId,
        settings: &config::System,
        role: Role,
        on_request: OnRequest,
    ) -> Result<Self, GatewayError> {
        let login = match role {
            Role::Monitor => settings.monitor.clone(),
            Role::Lifecycle => settings.lifecycle.clone().ok_or_else(|| GatewayError::Setup {
                why: format!("system {system} has no login for changes; set `lifecycle`").into(),
            })?,
        };
        if settings.gateways.is_empty() {
            return Err(GatewayError::Setup { why: format!("system {system} has no `gateways`").into() });
        }
        Ok(Self {
            system,
            addresses: settings.gateways.clone(),
            http: Http::new(settings, on_request)?,
            sessions: Sessions::new(login, settings.gateways.clone()),
            place: AtomicUsize::new(0),
            answered: AtomicUsize::new(usize::MAX),
            memory: Mutex::default(),
        })
    }

    /// The address that answered last.
    pub fn current_address(&self) -> Option<Box<str>> {
        self.addresses.get(self.answered.load(Ordering::Relaxed)).map(|address| address.as_str().into())
    }

    /// The longest that one request may take; a call may need several.
    pub const fn request_timeout(&self) -> Duration {
        self.http.timeout()
    }

    /// Ends the session at the gateway. Best effort, takes a few seconds at most.
    pub async fn logout(&self) {
        self.sessions.log_out(&self.http).await;
    }

    /// Asks at the address that works, and once at the next one when that does not. What
    /// changes something is asked once: whether it was done, only a look tells.
    pub(super) async fn call(&self, call: Call<'_>) -> Result<Answered, GatewayError> {
        let first = self.place.load(Ordering::Relaxed);
        match self.call_at(first, &call).await {
            Err(error) if error.try_elsewhere() && self.addresses.len() > 1 && !call.is_change => {
                let next = self.move_on(first, &error);
                self.call_at(next, &call).await
            }
            outcome => outcome,
        }
    }

    /// The address to try after a failure at one: the next in the list, unless
    /// another call has moved on meanwhile.
    fn move_on(&self, from: usize, error: &GatewayError) -> usize {
        let next = (from + 1) % self.addresses.len();
        match self.place.compare_exchange(from, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => {
                tracing::warn!(
                    system = %self.system, from = %self.addresses[from], to = %self.addresses[next], %error,
                    "trying another gateway"
                );
                next
            }
            Err(moved) => moved,
        }
    }

    /// Asks at one address. A 401 renews the session and asks once more.
    async fn call_at(&self, place: usize, call: &Call<'_>) -> Result<Answered, GatewayError> {
        let session = self.sessions.at(&self.http, place, None).await?;
        let address = &self.addresses[place];
        let mut reply = self.http.send(address, call, &self.sessions.auth(&session)).await?;
        if reply.status.as_u16() == 401 {
            let session = self.sessions.at(&self.http, place, Some(session.serial)).await?;
            reply = self.http.send(address, call, &self.sessions.auth(&session)).await?;
        }
        self.judge(place, call.name, reply)
    }

    fn judge(&self, place: usize, call: &'static str, reply: Reply) -> Result<Answered, GatewayError> {
        let address = &self.addresses[place];
        let text = || Box::from(address.as_str());
        match reply.status.as_u16() {
            200..=299 => {
                self.answered.store(place, Ordering::Relaxed);
                Ok(Answered { body: reply.body, address: text() })
            }
            401 => Err(GatewayError::StillUnauthorized { call, address: text() }),
            403 => Err(GatewayError::Forbidden { call, address: text(), user: self.sessions.user().into() }),
            _ => Err(reply.refusal(call, address)),
        }
    }

    /// What is known about statistics here; starts anew at another address.
    pub(super) fn with_learned<T>(&self, work: impl FnOnce(&mut Learned) -> T) -> T {
        let mut memory = self.memory.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let place = self.place.load(Ordering::Relaxed);
        if memory.place != place {
            memory.place = place;
            memory.learned = Learned::default();
        }
        work(&mut memory.learned)
    }

    /// Takes note of the release. Another one than before has other statistics
    /// and perhaps another login.
    pub(super) async fn note_generation(&self, generation: Generation) {
        let changed = {
            let mut memory = self.memory.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let before = memory.generation.replace(generation);
            let changed = before.is_some_and(|before| before != generation);
            if changed {
                memory.learned = Learned::default();
            }
            changed
        };
        if generation >= Generation::V4 && (changed || self.sessions.is_unsure().await) {
            self.sessions.expect_bearer().await;
        }
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("system", &self.system).field("addresses", &self.addresses).finish()
    }
}
