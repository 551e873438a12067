//! What everybody reads: the newest snapshot of a system, and how well it is heard.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::id::SystemId;
use super::observed::Observed;
use super::snapshot::{Collector, Snapshot};
use super::unit::Timestamp;

/// All that is known of one system at a moment. A failed poll publishes a new
/// picture with the old snapshot in it; the snapshot ages.
#[derive(Clone, Debug)]
pub struct Picture {
    /// When it was put together.
    pub at: Timestamp,
    /// Which system.
    pub system: SystemId,
    /// The newest snapshot; none before the first answer.
    pub snapshot: Option<Arc<Snapshot>>,
    /// How polling goes.
    pub health: PollHealth,
    /// What was noticed between snapshots, kept over restarts.
    pub observed: Arc<Observed>,
}

impl Picture {
    /// The picture of a system that was not asked yet.
    pub fn unseen(system: SystemId, at: Timestamp, observed: Observed) -> Self {
        Self { at, system, snapshot: None, health: PollHealth::default(), observed: Arc::new(observed) }
    }
}

/// How polling of one system goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PollHealth {
    /// Whether every collector that the last poll asked was answered.
    pub last_poll_succeeded: bool,
    /// When the last poll began.
    pub last_poll: Option<Timestamp>,
    /// The address that answers.
    pub gateway: Option<Box<str>>,
    /// Each collector that was asked at least once.
    pub collectors: BTreeMap<Collector, CollectorHealth>,
    /// Fields and states that this version does not know, by kind of object.
    pub unknown: BTreeMap<Box<str>, u64>,
}

/// How one collector goes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct CollectorHealth {
    /// The pause between two runs that is now in force.
    pub interval: Duration,
    pub last_begun: Timestamp,
    pub last_duration: Duration,
    pub last_success: Option<Timestamp>,
    /// Objects of the last answer.
    pub objects: usize,
    /// Runs that failed since the last success.
    pub failures: u32,
    /// Why the last run failed; none when it succeeded.
    pub error: Option<PollError>,
}

/// Why a collector got no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PollError {
    /// The kind of failure, for metrics.
    pub reason: FailureReason,
    /// Which call failed, why, and what may help.
    pub message: Box<str>,
}

/// Kinds of failure of a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// No answer in time.
    Timeout,
    /// Nobody there, or the connection broke.
    Connect,
    /// The certificate was refused.
    Tls,
    /// The login was refused, or the user may not ask this.
    Auth,
    /// An HTTP status that says no.
    Http,
    /// The answer was too large.
    TooLarge,
    /// The answer was not what the API says.
    Parse,
}

impl FailureReason {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::Timeout, Self::Connect, Self::Tls, Self::Auth, Self::Http, Self::TooLarge, Self::Parse];

    /// Its name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Http => "http",
            Self::TooLarge => "too_large",
            Self::Parse => "parse",
        }
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
