//! Who is logged in at one gateway, and until when.
//!
//! Up to 3.6 a login gives a token that serves as password; from 4.0 on there
//! are access and refresh tokens besides. A token is known only to the gateway
//! that issued it.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::sim::world::{Id, User};

/// Life of a token of `/api/login`.
const TOKEN_LIFE: Duration = Duration::from_secs(8 * 3600);
/// A token of `/api/login` that nobody used for this long is void.
const TOKEN_IDLE: Duration = Duration::from_secs(10 * 60);
/// Life of an access token of 4.x.
pub(super) const ACCESS_LIFE: Duration = Duration::from_secs(5 * 60);
/// Life of a refresh token of 4.x.
pub(super) const REFRESH_LIFE: Duration = Duration::from_secs(30 * 60);

#[derive(Clone, Debug)]
struct Session {
    user: Id,
    until: Duration,
    /// Life ends this long after the last use.
    idle: Option<Duration>,
    used: Duration,
}

impl Session {
    fn lives(&self, now: Duration) -> bool {
        now < self.until && self.idle.is_none_or(|idle| now < self.used + idle)
    }
}

/// The sessions of one gateway.
#[derive(Debug)]
pub(super) struct Sessions {
    tokens: BTreeMap<String, Session>,
    refresh: BTreeMap<String, (Id, Duration)>,
    rng: ChaCha8Rng,
}

/// A pair of tokens of 4.x.
pub(super) struct Pair {
    pub access: String,
    pub refresh: String,
}

impl Sessions {
    pub(super) fn new(seed: u64) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Self { tokens: BTreeMap::new(), refresh: BTreeMap::new(), rng }
    }

    /// Logs a user in; `wall_millis` is the time that the token tells of its end.
    pub(super) fn login(&mut self, user: &User, now: Duration, wall_millis: i64) -> String {
        self.sweep(now);
        let end = wall_millis + i64::try_from(TOKEN_LIFE.as_millis()).unwrap_or(0);
        let token = STANDARD_NO_PAD.encode(format!("{}:{end}:{:032x}", user.name, self.rng.random::<u128>()));
        let session = Session { user: user.id, until: now + TOKEN_LIFE, idle: Some(TOKEN_IDLE), used: now };
        self.tokens.insert(token.clone(), session);
        token
    }

    /// Logs in at 4.x.
    pub(super) fn login_pair(&mut self, user: Id, now: Duration) -> Pair {
        self.sweep(now);
        self.pair(user, now)
    }

    /// A fresh pair for a refresh token, which is void after that.
    pub(super) fn renew(&mut self, refresh: &str, now: Duration) -> Option<Pair> {
        let (user, until) = self.refresh.remove(refresh)?;
        (now < until).then(|| self.pair(user, now))
    }

    fn pair(&mut self, user: Id, now: Duration) -> Pair {
        let mut token = |kind: &str| {
            let random: [u8; 32] = self.rng.random();
            format!("{kind}.{}", URL_SAFE_NO_PAD.encode(random))
        };
        let (access, refresh) = (token("eyJhY2Nlc3M"), token("eyJyZWZyZXNo"));
        let session = Session { user, until: now + ACCESS_LIFE, idle: None, used: now };
        self.tokens.insert(access.clone(), session);
        self.refresh.insert(refresh.clone(), (user, now + REFRESH_LIFE));
        Pair { access, refresh }
    }

    /// Forgets what is void: clients that come and go must not fill the memory.
    fn sweep(&mut self, now: Duration) {
        self.tokens.retain(|_, session| session.lives(now));
        self.refresh.retain(|_, (_, until)| now < *until);
    }

    /// Whose token that still lives it is; using it keeps it from idling.
    pub(super) fn user(&mut self, token: &str, now: Duration) -> Option<Id> {
        // Some clients keep the quotes around the token and send them back.
        let token = token.trim_matches('"');
        let session = self.tokens.get_mut(token)?;
        if !session.lives(now) {
            self.tokens.remove(token);
            return None;
        }
        session.used = now;
        Some(session.user)
    }

    /// Whose token it is, whether or not it still lives.
    pub(super) fn owner(&self, token: &str) -> Option<Id> {
        Some(self.tokens.get(token.trim_matches('"'))?.user)
    }

    /// Ends a session.
    pub(super) fn logout(&mut self, token: &str) {
        self.tokens.remove(token.trim_matches('"'));
    }

    /// Makes a refresh token void.
    pub(super) fn forget(&mut self, refresh: &str) {
        self.refresh.remove(refresh);
    }

    /// Makes every token void; refresh tokens stay.
    pub(super) fn expire(&mut self) {
        self.tokens.clear();
    }
}

/// What a request says of who sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Credentials {
    Basic { user: String, password: String },
    Bearer(String),
}

impl Credentials {
    /// Reads an `Authorization` header.
    pub(super) fn read(header: &str) -> Option<Self> {
        let (scheme, rest) = header.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Self::Bearer(rest.trim().to_owned()));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let text = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
        let (user, password) = text.split_once(':')?;
        Some(Self::Basic { user: user.to_owned(), password: password.to_owned() })
    }

    /// What may be a token.
    pub(super) fn token(&self) -> &str {
        match self {
            Self::Basic { password, .. } => password,
            Self::Bearer(token) => token,
        }
    }
}
