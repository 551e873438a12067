//! Why a gateway gave no answer: which call, at which address, why, and what
//! a person can do. No password, token or body is ever in one.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use super::convert::ParseError;
use crate::model::picture::FailureReason;
use crate::tls::TlsError;

/// Why a call failed.
#[derive(Clone, Debug, Error)]
#[allow(missing_docs)]
pub enum GatewayError {
    /// The configuration cannot be used.
    #[error("`ca_file` {}: {why}; name a PEM file with at least one certificate", path.display())]
    CaFile { path: PathBuf, why: Box<str> },
    /// The HTTP client or its TLS could not be made.
    #[error("cannot make the client for gateways: {why}")]
    Setup { why: Box<str> },
    #[error("{call} at {address}: no answer within {:.1} s; see whether the gateway is overloaded, or raise `request_timeout`", after.as_secs_f64())]
    Timeout { call: &'static str, address: Box<str>, after: Duration },
    #[error("{call} at {address}: {why}; see whether the gateway runs and can be reached")]
    Connect { call: &'static str, address: Box<str>, why: Box<str> },
    #[error("{call} at {address}: {why}")]
    Tls { call: &'static str, address: Box<str>, why: Box<str> },
    #[error(
        "{call} at {address}: the gateway refused the user {user:?} or its password; correct `user` and `password_file`, or unlock the user"
    )]
    Refused { call: &'static str, address: Box<str>, user: Box<str> },
    #[error("{call} at {address}: not asked, because the gateway refused the user {user:?} {refusals} times; the next try is in {} s, so that the user is not locked", wait.as_secs().max(1))]
    Paused { call: &'static str, address: Box<str>, user: Box<str>, refusals: u32, wait: Duration },
    #[error(
        "{call} at {address}: 401 right after a new login; see whether the clock or a proxy in front of the gateway spoils sessions"
    )]
    StillUnauthorized { call: &'static str, address: Box<str> },
    #[error("{call} at {address}: 403, the user {user:?} may not ask this; give it the role Monitor or higher")]
    Forbidden { call: &'static str, address: Box<str>, user: Box<str> },
    /// `code` is the MDM's return code, when the gateway passed one on.
    #[error("{call} at {address}: HTTP {status}{}", mdm_code(*code))]
    Status { call: &'static str, address: Box<str>, status: u16, code: Option<i64>, message: Message },
    #[error(
        "{call} at {address}: the answer is longer than {limit} bytes; raise `max_answer_bytes` if the system is that large"
    )]
    TooLarge { call: &'static str, address: Box<str>, limit: u64 },
    #[error("{call} at {address}: {source}; see whether a gateway answers at this address")]
    Parse { call: &'static str, address: Box<str>, source: ParseError },
    #[error("{call} at {address}: {text:?} is no release that this program knows")]
    Release { call: &'static str, address: Box<str>, text: Box<str> },
}

/// The gateway's own words. Kept for those who must read them, never shown:
/// a gateway may quote what it was sent.
#[derive(Clone, Default)]
pub struct Message(pub(crate) Box<str>);

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "({} bytes)", self.0.len())
    }
}

fn mdm_code(code: Option<i64>) -> String {
    match code {
        Some(code) if code != 0 => format!(" with the MDM's code {code}"),
        _ => String::new(),
    }
}

impl From<TlsError> for GatewayError {
    fn from(error: TlsError) -> Self {
        match error {
            TlsError::File { path, why } => Self::CaFile { path, why: why.into() },
            TlsError::Setup(error) => Self::Setup { why: error.to_string().into() },
        }
    }
}

impl GatewayError {
    /// The kind of failure, for metrics.
    pub const fn reason(&self) -> FailureReason {
        match self {
            Self::Timeout { .. } => FailureReason::Timeout,
            Self::Connect { .. } => FailureReason::Connect,
            Self::CaFile { .. } | Self::Setup { .. } | Self::Tls { .. } => FailureReason::Tls,
            Self::Refused { .. } | Self::Paused { .. } | Self::StillUnauthorized { .. } | Self::Forbidden { .. } => {
                FailureReason::Auth
            }
            Self::Status { .. } => FailureReason::Http,
            Self::TooLarge { .. } => FailureReason::TooLarge,
            Self::Parse { .. } | Self::Release { .. } => FailureReason::Parse,
        }
    }

    /// Whether the same call may succeed later with nobody having changed anything.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Timeout { .. }
            | Self::Connect { .. }
            | Self::Paused { .. }
            | Self::StillUnauthorized { .. }
            | Self::Parse { .. } => true,
            Self::Status { status, .. } => *status >= 500 || matches!(*status, 408 | 429),
            Self::CaFile { .. }
            | Self::Setup { .. }
            | Self::Tls { .. }
            | Self::Refused { .. }
            | Self::Forbidden { .. }
            | Self::TooLarge { .. }
            | Self::Release { .. } => false,
        }
    }

    /// Whether another gateway of the same system may do better.
    pub(crate) const fn try_elsewhere(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Connect { .. } | Self::Tls { .. } => true,
            // 500 with a code is the MDM speaking, which is the same everywhere.
            Self::Status { status, code, .. } => {
                matches!(*status, 502..=504) || (*status == 500 && matches!(code, None | Some(0)))
            }
            _ => false,
        }
    }

    /// The status of the answer, when an answer was the failure.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            Self::Forbidden { .. } => Some(403),
            Self::StillUnauthorized { .. } => Some(401),
            _ => None,
        }
    }

    /// The error with the gateway's own words where it gave some. Only for requests that hold no secret,
    /// since a gateway may quote what it was sent.
    pub fn with_words(&self) -> String {
        match self {
            Self::Status { message, .. } if !message.0.is_empty() => {
                let words: String = message.0.chars().filter(|c| !c.is_control()).take(300).collect();
                format!("{self}: {words}")
            }
            _ => self.to_string(),
        }
    }

    /// What the gateway said to a 400, for who learns from it.
    pub(crate) fn refusal(&self) -> Option<&str> {
        match self {
            Self::Status { status: 400, message, .. } => Some(&message.0),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Trust;
    use crate::tls::client_config;

    #[test]
    fn a_ca_file_that_cannot_be_used_is_named_with_the_mend() {
        let folder = tempfile::tempdir().unwrap();
        for (content, why) in [(None, "cannot be read"), (Some("no pem"), "holds no certificate")] {
            let path = folder.path().join("ca.pem");
            if let Some(content) = content {
                std::fs::write(&path, content).unwrap();
            }
            let error = GatewayError::from(client_config(&Trust::CaFile(path.clone()), None).unwrap_err()).to_string();
            assert!(error.contains(why) && error.contains("ca.pem") && error.contains("PEM file"), "{error}");
        }
    }
}
