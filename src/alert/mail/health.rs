//! How mail goes: what metrics, the page and `sio notify queue` show, and what
//! is wrong in sentences.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::Serialize;

use super::show;
use crate::alert::outbox::{Event, Outbox, Progress};
use crate::model::alerting::Severity;
use crate::model::status::ReceiverStatus;
use crate::model::unit::Timestamp;

/// A mail that waits longer means that nobody hears of alerts.
const LONG: TimeDelta = TimeDelta::minutes(15);

/// How mail goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MailHealth {
    /// Mails that wait or are being sent.
    pub waiting: usize,
    /// Since when the oldest of them waits.
    pub oldest: Option<Timestamp>,
    /// Mails that were given up and are kept.
    pub failed: usize,
    /// Bytes of all of them.
    pub bytes: usize,
    /// When a server last took a mail.
    pub last_sent: Option<Timestamp>,
    /// From the decision to the server's yes, of the last mail.
    pub last_wait_seconds: Option<f64>,
    /// Why the last try did not succeed; none after a success.
    pub trouble: Option<String>,
    /// What each server said at the start; none of it when all let us in.
    pub refused_at_start: BTreeMap<String, String>,
    /// Recipients that servers refused for good, with the newest reason.
    pub refused: BTreeMap<String, String>,
    /// How many, by severity, kind and result since the start.
    #[serde(skip)]
    pub counts: BTreeMap<(Severity, &'static str, &'static str), u64>,
}

impl MailHealth {
    /// Takes over how full the outbox is.
    pub(super) fn look(&mut self, outbox: &Outbox) {
        let open = || outbox.entries().values().filter(|entry| entry.is_open());
        self.waiting = open().count();
        self.oldest = open().map(|entry| entry.queued_at).min();
        self.failed = outbox.entries().values().filter(|e| matches!(e.progress, Progress::Failed { .. })).count();
        self.bytes = outbox.bytes();
    }

    /// Takes an event into account.
    pub(super) fn note(&mut self, event: &Event, now: Timestamp) {
        let mut count = |severity, kind, result| *self.counts.entry((severity, kind, result)).or_default() += 1;
        match event {
            Event::Sent { kind, severity, waited, .. } => {
                count(*severity, kind, "sent");
                self.last_sent = Some(now);
                self.last_wait_seconds = Some(waited.as_seconds_f64());
                self.trouble = None;
            }
            Event::Refused { address, why, .. } => {
                self.refused.insert(address.clone(), why.clone());
            }
            Event::Delayed { why, .. } => self.trouble = Some(why.clone()),
            Event::Failed { kind, severity, why, .. } => {
                count(*severity, kind, "failed");
                self.trouble = Some(why.clone());
            }
            Event::Dropped { severity, .. } => count(*severity, "any", "dropped"),
            Event::Collapsed { .. } | Event::OverLimit { .. } => {}
        }
    }

    /// As the API and the page show it.
    pub fn status(&self, name: &str, now: Timestamp) -> ReceiverStatus {
        ReceiverStatus {
            name: name.to_owned(),
            waiting: self.waiting,
            oldest: self.oldest,
            failed: self.failed,
            last_sent: self.last_sent,
            problems: self.problems(now),
        }
    }

    /// What is wrong, in sentences; empty when all is well.
    pub fn problems(&self, now: Timestamp) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(oldest) = self.oldest.filter(|oldest| now - *oldest > LONG) {
            let why = self.trouble.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            let mails = show::count(self.waiting, "message waits", "messages wait");
            problems.push(format!("{mails}, the oldest for {}{why}", show::span(now - oldest)));
        }
        if self.failed > 0 {
            let mails = show::count(self.failed, "message was", "messages were");
            let why = self.trouble.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
            problems.push(format!("{mails} given up{why}; they are kept in the store; mend the cause"));
        }
        for (address, why) in &self.refused {
            problems.push(format!("{address} is refused: {why}"));
        }
        for (host, why) in &self.refused_at_start {
            problems.push(format!("the mail server {host} did not let us in at the start: {why}"));
        }
        problems
    }
}
