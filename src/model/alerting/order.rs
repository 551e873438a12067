//! What people ask of the part that tells of alerts, and what it answers.

use serde::{Deserialize, Serialize};

use super::{Acknowledgement, Fingerprint, GroupKey, Labels, Matcher, Severity, Silence, SilenceId, Via};
use crate::model::id::SystemId;
use crate::model::unit::Timestamp;

/// What is acted on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// One alert.
    Alert(Fingerprint),
    /// All that is told together.
    Group(GroupKey),
}

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Which silences are there?
    Silences,
    /// Say nothing of some alerts for a while.
    Silence {
        /// All of them must accept an alert.
        matchers: Vec<Matcher>,
        /// Who answers for it.
        owner: String,
        /// Why.
        reason: String,
        /// For how long.
        seconds: u64,
        /// By which way it was asked.
        via: Via,
    },
    /// End a silence now.
    Expire {
        /// Which one.
        id: SilenceId,
        /// Who.
        by: String,
        /// By which way it was asked.
        via: Via,
    },
    /// Who works on what?
    Acknowledgements,
    /// Somebody works on it.
    Acknowledge {
        /// On what.
        on: Target,
        /// Who.
        by: String,
        /// What he says about it.
        comment: String,
        /// For how long; until it is over when none.
        seconds: Option<u64>,
        /// By which way it was asked.
        via: Via,
    },
    /// What would the link of a mail do?
    Look {
        /// Its token.
        token: String,
    },
    /// Do what the link of a mail does.
    Follow {
        /// Its token.
        token: String,
        /// Who.
        by: String,
    },
    /// What did people do lately?
    Records,
    /// What waits to be sent?
    Queue,
    /// Try everything now.
    Flush,
    /// Write a mail to try the way.
    Test {
        /// To these addresses; to those of the default route when none.
        to: Vec<String>,
        /// Who asked.
        by: String,
    },
    /// Send the report of a system now; once for each time that a job is due, however often it is asked.
    Report {
        /// Of which system.
        system: SystemId,
        /// The job.
        job: String,
        /// When it was due.
        due: Timestamp,
    },
    /// Show the mail of a group that fires, or of an example.
    Preview {
        /// Which group, as the API shows it; an example when none.
        group: Option<String>,
    },
}

/// What is answered. It is shown as it is by the API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Answer {
    /// All silences.
    Silences(Vec<Silence>),
    /// One that was made or ended.
    Silence(Silence),
    /// Who works on what.
    Acknowledgements(Vec<Acknowledged>),
    /// It is noted who works on it.
    Acknowledged(Acknowledged),
    /// What a link does.
    Link(LinkShown),
    /// What people did.
    Records(Vec<Record>),
    /// What waits.
    Queue(Vec<Queued>),
    /// Mails that are tried now.
    Flushed {
        /// How many.
        tried: usize,
    },
    /// The report is stored, and on its way.
    Reported {
        /// Of which system.
        reported: SystemId,
    },
    /// How a mail went.
    Test {
        /// One line for each step.
        steps: Vec<TestStep>,
        /// Whether every recipient has it.
        delivered: bool,
    },
    /// A mail as it would be sent.
    Mail {
        /// The message, headers included.
        message: String,
        /// Its text.
        text: String,
        /// Its HTML.
        html: String,
    },
}

/// Who works on some alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// Who, and since when.
    #[serde(flatten)]
    pub acknowledgement: Acknowledgement,
    /// On which alerts.
    pub alerts: Vec<Fingerprint>,
}

/// What the link of a mail does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkShown {
    /// In a sentence.
    pub what: String,
    /// The alerts that it means and that fire, by their summaries.
    pub alerts: Vec<String>,
    /// Until when it acts.
    pub until: Timestamp,
    /// Who did it already, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<String>,
}

/// What somebody did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// By which way.
    #[serde(flatten)]
    pub via: Via,
    /// What, in a sentence.
    pub what: String,
}

/// A mail that waits, or was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queued {
    /// Its id.
    pub id: String,
    /// Why it is told.
    pub kind: String,
    /// How grave it is.
    pub severity: Severity,
    /// What it is about.
    pub group: String,
    /// Since when it waits.
    pub queued_at: Timestamp,
    /// queued, sending or failed.
    pub state: String,
    /// When it is tried next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_try: Option<Timestamp>,
    /// Tries that did not reach everybody.
    pub failures: u32,
    /// Who still has to get it.
    pub waiting: Vec<String>,
    /// Why the last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// One step of sending a mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestStep {
    /// What.
    pub what: String,
    /// How it went.
    pub outcome: String,
    /// Whether it went well.
    pub well: bool,
}

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Refusal {
    #[error("{0}")]
    Wrong(String),
    #[error("{0}")]
    Missing(String),
    #[error("{0}")]
    Over(String),
    #[error("{0}")]
    Unable(String),
}

/// How an alert stands with people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handled {
    /// Why nobody is told of it: silenced, inhibited, explained, flapping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted: Option<String>,
    /// By what, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Who works on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Acknowledgement>,
}

/// Labels of an alert that a silence names, so that it means this alert and no other.
pub fn exactly(labels: &Labels) -> Vec<Matcher> {
    labels.iter().map(|(name, value)| Matcher::equal(name, value)).collect()
}
