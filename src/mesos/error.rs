//! Why Mesos was not heard, or said no; and whether it may be asked again.

use super::recordio::RecordError;

/// Why a call or a stream failed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum MesosError {
    /// Nobody there, or the connection broke.
    #[error("{call} at {address} got no answer")]
    Connect {
        call: &'static str,
        address: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer in time.
    #[error("{call} at {address} got no answer in time")]
    Timeout { call: &'static str, address: String },
    /// An HTTP status that says no.
    #[error("{call} at {address} was refused with {status}: {text}")]
    Refused { call: &'static str, address: String, status: u16, text: String },
    /// A yes whose body is none of what was asked for.
    #[error("the answer to {call} cannot be read")]
    Unreadable {
        call: &'static str,
        #[source]
        source: serde_json::Error,
    },
    /// The user or the password is wrong, or is missing.
    #[error("{call} at {address} was refused with 401: the master wants another user or password; see [mesos.login]")]
    Login { call: &'static str, address: String },
    /// Masters that name each other in a circle, or nobody at all.
    #[error("no leading master was found: {why}")]
    NoLeader { why: String },
    /// ZooKeeper did not say who leads.
    #[error("ZooKeeper at {servers} did not say which master leads: {why}")]
    ZooKeeper { servers: String, why: String },
    /// The stream cannot be read on.
    #[error("the stream of events cannot be read on")]
    Record(#[from] RecordError),
    /// The stream ended.
    #[error("the stream of events ended{}", if *.cut { " in the middle of a record" } else { "" })]
    Ended { cut: bool },
    /// The master said in the stream that it is over; the stream itself may stay open.
    #[error("the master ended the subscription: {message}")]
    Dismissed { message: Box<str> },
    /// The stream brought nothing for too long.
    #[error("nothing was heard for {} s", .seconds)]
    Silent { seconds: u64 },
    /// Something in the settings cannot be used.
    #[error("{what}")]
    Settings { what: String },
}

impl MesosError {
    /// Whether the same may succeed later. What is not worth a new try needs a person;
    /// even so the loop goes on trying slowly, since the person may mend the other end.
    pub const fn may_retry_soon(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Timeout { .. }
            | Self::NoLeader { .. }
            | Self::ZooKeeper { .. }
            | Self::Record(_)
            | Self::Ended { .. }
            | Self::Dismissed { .. }
            | Self::Silent { .. } => true,
            // 404 for the first moments of a master, 503 while it recovers.
            Self::Refused { status, .. } => matches!(status, 404 | 500..=599),
            Self::Unreadable { .. } | Self::Login { .. } | Self::Settings { .. } => false,
        }
    }
}
