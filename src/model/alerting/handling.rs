//! What people do about an alert: say that they work on it, or that nobody
//! shall hear of it for a while.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{BadId, Labels, Matcher, NotificationId, all_accept};
use crate::model::unit::Timestamp;

/// Names a silence for good.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SilenceId(String);

impl SilenceId {
    const LONGEST: usize = 60;

    /// The id of the `serial`-th silence.
    pub fn new(serial: u64) -> Self {
        Self(format!("s{serial}"))
    }

    /// Takes an id as it was written.
    ///
    /// # Errors
    /// A text that no silence has.
    pub fn parse(text: &str) -> Result<Self, BadId> {
        let tame = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if !text.is_empty() && text.len() <= Self::LONGEST && text.bytes().all(tame) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadId::new(text, "id of a silence"))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SilenceId {
    type Error = BadId;

    fn try_from(text: String) -> Result<Self, BadId> {
        Self::parse(&text)
    }
}

impl From<SilenceId> for String {
    fn from(id: SilenceId) -> Self {
        id.0
    }
}

impl fmt::Display for SilenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// By which way somebody acted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "via", rename_all = "snake_case")]
pub enum Via {
    /// The command line on the controller's host.
    Cli,
    /// The API over the network.
    Api,
    /// The link of a mail. Who has the mail can act; the name is what the page was told.
    Mail {
        /// Which mail.
        mail: NotificationId,
    },
}

/// Nobody hears of what these comparisons mean, until its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Its name.
    pub id: SilenceId,
    /// All of them must accept an alert.
    pub matchers: Vec<Matcher>,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Its begin.
    pub from: Timestamp,
    /// Its end.
    pub until: Timestamp,
    /// By which way it was made.
    #[serde(flatten)]
    pub via: Via,
}

impl Silence {
    /// Whether it is in force at a moment.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }

    /// Whether it means an alert with these labels, at any time.
    pub fn covers(&self, labels: &Labels) -> bool {
        all_accept(&self.matchers, labels)
    }

    /// The comparisons as one text.
    pub fn what(&self) -> String {
        self.matchers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

/// Somebody works on an alert: no reminders and no escalation until it is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Who.
    pub by: String,
    /// Since when.
    pub at: Timestamp,
    /// Reminders begin again then, when the alert still fires; none: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// What he says about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// By which way it was said.
    #[serde(flatten)]
    pub via: Via,
}

impl Acknowledgement {
    /// Whether it counts at a moment.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}
