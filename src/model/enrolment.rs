//! What an executor and the controller say to each other by messages of Mesos.
//!
//! Anybody who may look at a master can read them, and any of them may get
//! lost: there is no secret in them, and who asks repeats it until it is answered.

use serde::{Deserialize, Serialize};

/// The variable with the controllers' addresses, by commas, in the environment of an executor.
pub const CONTROLLERS: &str = "SIO_CONTROLLERS";
/// The variable with the SHA-256 of the authority's certificate.
pub const AUTHORITY: &str = "SIO_CA_SHA256";
/// The variable that puts the agent's folder elsewhere. A Mesos agent that is not the only one of its
/// host sets it for its executors; the node agent is then no service of the host.
pub const FOLDER: &str = "SIO_AGENT_FOLDER";

/// What an executor asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// A certificate for the agent of its node.
    Certificate {
        /// The request, PEM. The name in it is only for people.
        request: String,
    },
    /// Something of another release.
    #[serde(other)]
    Unknown,
}

/// What it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// The certificate.
    Certificate {
        /// The name in it, by which the node is known.
        node: String,
        /// PEM.
        certificate: String,
        /// The authority's own, PEM; its hash must be the one that came with the task.
        authority: String,
    },
    /// It gets none.
    Refused {
        /// Why not, and the mend.
        why: String,
    },
    /// Something of another release.
    #[serde(other)]
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_another_release_are_read_as_such() {
        assert_eq!(serde_json::from_str::<Ask>(r#"{"ask":"tea","milk":true}"#).unwrap(), Ask::Unknown);
        assert_eq!(serde_json::from_str::<Answer>(r#"{"answer":"tea"}"#).unwrap(), Answer::Unknown);
    }
}
