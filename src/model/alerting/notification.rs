//! What is to be told, to whom, and where it belongs: complete in itself, so
//! that it can be stored now and rendered and sent whenever the server is back.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Acknowledgement, Alert, Labels, Number, Report, Severity, Silence, Unit};
use crate::model::id::SystemId;
use crate::model::lifecycle::RunReport;
use crate::model::status::SystemStatus;
use crate::model::unit::Timestamp;

/// Why a text is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}")]
pub struct BadId {
    text: String,
    what: &'static str,
}

impl BadId {
    pub(super) fn new(text: &str, what: &'static str) -> Self {
        Self { text: text.chars().take(250).collect(), what }
    }
}

/// Names one notification for good; fixed and stored before the first try to
/// send it. It is part of keys of the store and of `Message-ID`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NotificationId(String);

impl NotificationId {
    /// Longest text of an id.
    pub const MAX: usize = 100;

    /// The id of the `serial`-th notification of a controller, made at that time.
    /// Whoever numbers must store the number with the notification.
    pub fn new(at: Timestamp, serial: u64) -> Self {
        Self(format!("{}-{serial:06}", at.format("%Y%m%dt%H%M%S%3f")))
    }

    /// Takes an id as it was written.
    pub fn parse(text: &str) -> Result<Self, BadId> {
        let tame = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if !text.is_empty() && text.len() <= Self::MAX && text.bytes().all(tame) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadId::new(text, "id of a notification"))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for NotificationId {
    type Error = BadId;

    fn try_from(text: String) -> Result<Self, BadId> {
        Self::parse(&text)
    }
}

impl From<NotificationId> for String {
    fn from(id: NotificationId) -> Self {
        id.0
    }
}

impl fmt::Display for NotificationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NotificationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a mail as its headers carry it, angle brackets included.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MessageId(String);

impl MessageId {
    /// The id that the mail of a notification has under a domain, always the
    /// same: a mail that is sent again is seen to be the same by who reads it.
    pub fn of(id: &NotificationId, domain: &str) -> Self {
        let domain: String = domain.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-')).collect();
        Self(format!("<{id}@{}>", if domain.is_empty() { "localhost" } else { &domain }))
    }

    /// Takes an id as a header carries it.
    pub fn parse(text: &str) -> Result<Self, BadId> {
        let inner = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
        let tame = |c: u8| c.is_ascii_graphic() && !matches!(c, b'<' | b'>');
        match inner {
            Some(inner) if inner.contains('@') && inner.len() <= 250 && inner.bytes().all(tame) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(BadId::new(text, "id of a mail")),
        }
    }

    /// The text with its angle brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for MessageId {
    type Error = BadId;

    fn try_from(text: String) -> Result<Self, BadId> {
        Self::parse(&text)
    }
}

impl From<MessageId> for String {
    fn from(id: MessageId) -> Self {
        id.0
    }
}

/// Where a mail hangs in the readers' threads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "thread", rename_all = "snake_case")]
pub enum Thread {
    /// It begins one.
    Root,
    /// It continues one. The ids are those of mails, stored with the group of alerts.
    Reply {
        /// The mail that began it.
        root: MessageId,
        /// The newest mail before this one.
        last: MessageId,
    },
}

/// What is told together: one system and one area of it, unless its route says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupKey {
    /// The system; none for the controller itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<SystemId>,
    /// The area, such as `sds`; [`GroupKey::SEVERAL`] where a route puts them into one.
    pub area: String,
    /// Other labels that the route groups by.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
}

impl GroupKey {
    /// The area of what belongs to several areas.
    pub const SEVERAL: &'static str = "several areas";

    /// A group of one area, by no other labels.
    pub fn new(system: Option<SystemId>, area: &str) -> Self {
        Self { system, area: area.to_owned(), labels: Labels::new() }
    }
}

impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(system) = &self.system {
            write!(f, "{system}/")?;
        }
        f.write_str(&self.area)?;
        self.labels.iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}

/// Why it is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// Something began to fire.
    Firing,
    /// Something joined or left a group that fires.
    Update,
    /// It still fires, and nobody said that he works on it.
    Reminder,
    /// All of it is over.
    Resolved,
    /// It began and ended while no mail could be sent; told once.
    HappenedMeanwhile,
    /// What quiet hours or low gravity held back.
    Digest,
    /// Capacity and health of the last week.
    Report(Box<Report>),
    /// A run is over: an upgrade, a restart, a maintenance.
    RunOver(Box<RunReport>),
    /// Nothing is wrong; this mail shows that mails arrive.
    Heartbeat,
    /// A person asked for it.
    Test {
        /// Who asked.
        by: String,
    },
    /// It comes and goes; more is told when it has been stable.
    Flapping {
        /// Changes so far.
        changes: u32,
        /// Since when they are counted.
        since: Timestamp,
    },
    /// Nobody said that he works on it, and so more people are told.
    Escalation {
        /// Who was told before.
        told: Vec<String>,
        /// Since when it is told.
        since: Timestamp,
    },
    /// A silence is about to end, and what it keeps silent still fires.
    SilenceEnds {
        /// Which one.
        silence: Silence,
    },
    /// Too much at once to tell each.
    Storm {
        /// How many alerts fire, also those that are not listed.
        critical: u32,
        /// How many alerts fire, also those that are not listed.
        warning: u32,
        /// How many alerts fire, also those that are not listed.
        info: u32,
    },
}

impl Kind {
    /// Whether it is about alerts, not about a time, a run or the mails themselves.
    pub const fn tells_of_alerts(&self) -> bool {
        match self {
            Self::Firing
            | Self::Update
            | Self::Reminder
            | Self::Resolved
            | Self::HappenedMeanwhile
            | Self::Flapping { .. }
            | Self::Escalation { .. }
            | Self::SilenceEnds { .. }
            | Self::Storm { .. } => true,
            Self::Digest | Self::Report(_) | Self::RunOver(_) | Self::Heartbeat | Self::Test { .. } => false,
        }
    }

    /// Its name in headers and metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Update => "update",
            Self::Reminder => "reminder",
            Self::Resolved => "resolved",
            Self::HappenedMeanwhile => "happened_meanwhile",
            Self::Digest => "digest",
            Self::Report(_) => "report",
            Self::RunOver(_) => "run_over",
            Self::Heartbeat => "heartbeat",
            Self::Test { .. } => "test",
            Self::Flapping { .. } => "flapping",
            Self::Escalation { .. } => "escalation",
            Self::SilenceEnds { .. } => "silence_ends",
            Self::Storm { .. } => "storm",
        }
    }
}

/// An alert and whom it hurts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// The alert.
    pub alert: Alert,
    /// Whom it hurts, as far as known.
    #[serde(default)]
    pub hurt: Affected,
    /// Who works on it, or worked on it until it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Acknowledgement>,
    /// Silences that mean it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub silences: Vec<Silence>,
}

impl Item {
    /// An alert of which no more is known.
    pub fn new(alert: Alert) -> Self {
        Self { alert, hurt: Affected::default(), acknowledged: None, silences: Vec::new() }
    }
}

/// Who depends on what is broken, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Affected {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apps: Vec<String>,
    /// How many there are that are not named.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_volumes: usize,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_clients: usize,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// Recent values, to be drawn as bars.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chart {
    /// What is shown.
    pub title: String,
    /// What the values count.
    pub unit: Unit,
    /// The time of the first value.
    pub from: Timestamp,
    /// Seconds from one value to the next.
    pub step_seconds: u32,
    /// The values, oldest first; none where nothing was seen.
    pub values: Vec<Option<Number>>,
    /// A line to compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Number>,
}

/// Something that was done or happened lately, and may be the cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// What: "upgrade step: sds3 enters maintenance".
    pub what: String,
}

/// An alert that was not told at its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// When it would have been told.
    pub at: Timestamp,
    /// How bad it is.
    pub severity: Severity,
    /// Its summary.
    pub summary: String,
    /// Why it was not.
    pub reason: HoldReason,
}

/// Why an alert was not told at its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "held_by", rename_all = "snake_case")]
pub enum HoldReason {
    /// More mails than the route takes in an hour.
    RateLimit,
    /// The quiet hours of the route.
    QuietHours,
    /// A maintenance or an upgrade explains it.
    Work {
        /// Which one.
        what: String,
    },
    /// So much at once that it was told in one mail.
    Storm,
    /// It comes and goes.
    Flapping,
    /// The outbox was full.
    OutboxFull,
}

/// What is to be expected of the system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// Seconds until the rebuild is done, at its present rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuild_seconds: Option<Number>,
    /// Days until the first pool is full, at its present growth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days_to_full: Option<Number>,
}

/// Where to look and act. Links to acknowledge and silence are made when the mail is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Links {
    /// The dashboard with its time range and variables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dashboard: Option<String>,
    /// The page of our own that shows the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
}

/// One thing to be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// Fixed before the first try.
    pub id: NotificationId,
    /// When it was decided.
    pub created_at: Timestamp,
    /// Why it is told.
    #[serde(flatten)]
    pub kind: Kind,
    /// What it is about.
    pub group: GroupKey,
    /// Where it hangs in the readers' threads.
    #[serde(flatten)]
    pub thread: Thread,
    /// Name of the route that chose the recipients.
    pub route: String,
    /// Addresses. None is told twice.
    pub recipients: Vec<String>,
    /// The alerts, the gravest first.
    #[serde(default)]
    pub items: Vec<Item>,
    /// Recent values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charts: Vec<Chart>,
    /// What changed in the last hour.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// What was not told at its time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Held>,
    /// How the system stood when this was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<SystemStatus>,
    /// What is to be expected of it.
    #[serde(default)]
    pub outlook: Outlook,
    /// Where to look.
    #[serde(default)]
    pub links: Links,
    /// Command lines to copy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// What was left out to keep it small, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

impl Notification {
    /// One that tells of nothing yet, and nobody.
    pub fn new(id: NotificationId, created_at: Timestamp, kind: Kind, group: GroupKey) -> Self {
        Self {
            id,
            created_at,
            kind,
            group,
            thread: Thread::Root,
            route: "default".to_owned(),
            recipients: Vec::new(),
            items: Vec::new(),
            charts: Vec::new(),
            changes: Vec::new(),
            held: Vec::new(),
            status: None,
            outlook: Outlook::default(),
            links: Links::default(),
            commands: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// The gravest severity among what it tells, resolved alerts included.
    pub fn severity(&self) -> Severity {
        let storm = match &self.kind {
            Kind::Storm { critical: 1.., .. } => Some(Severity::Critical),
            Kind::Storm { warning: 1.., .. } => Some(Severity::Warning),
            Kind::RunOver(report) if report.end == "halted" => Some(Severity::Warning),
            Kind::Storm { .. }
            | Kind::RunOver(_)
            | Kind::Firing
            | Kind::Update
            | Kind::Reminder
            | Kind::Resolved
            | Kind::HappenedMeanwhile
            | Kind::Digest
            | Kind::Report(_)
            | Kind::Heartbeat
            | Kind::Test { .. }
            | Kind::Flapping { .. }
            | Kind::Escalation { .. }
            | Kind::SilenceEnds { .. } => None,
        };
        let alerts = self.items.iter().map(|item| item.alert.severity);
        alerts.chain(storm).max().unwrap_or(Severity::Info)
    }

    /// The alerts that fire.
    pub fn firing(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| !item.alert.is_resolved())
    }

    /// The alerts that are over.
    pub fn resolved(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.alert.is_resolved())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_fits_a_key_and_a_header_and_orders_by_time() {
        let at = chrono::DateTime::from_timestamp(1_795_000_000, 7_000_000).unwrap();
        let id = NotificationId::new(at, 12);
        assert_eq!(id.as_str(), "20261118t110640007-000012");
        assert_eq!(NotificationId::parse(id.as_str()).unwrap(), id);
    }

    #[test]
    fn no_id_breaks_out_of_its_header() {
        for bad in ["", "a b", "a\r\nBcc: x", "ä", "A", &"x".repeat(101)] {
            assert!(NotificationId::parse(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "a@b", "<a>", "<a@b>\r\nBcc: x", "<a@b> <c@d>", "<a @b>", "<a<@b>"] {
            assert!(MessageId::parse(bad).is_err(), "{bad:?}");
        }
        let id = NotificationId::parse("n-1").unwrap();
        assert_eq!(MessageId::of(&id, "sio.example\r\nBcc: x").as_str(), "<n-1@sio.exampleBccx>");
        assert!(MessageId::parse(MessageId::of(&id, "sio.example").as_str()).is_ok());
    }
}
