//! One notification in the outbox, as it is stored.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::alert::mail::Trouble;
use crate::model::alerting::{Notification, NotificationId};
use crate::model::unit::Timestamp;
use crate::store::{Key, StoreError};

/// Begin of every key of the outbox of mails.
pub const MAILS: &str = "outbox/";

/// Begin of every key of the outbox of the webhook.
pub const POSTS: &str = "webhook/";

/// The key of a notification in an outbox.
pub fn key(prefix: &str, id: &NotificationId) -> Result<Key, StoreError> {
    Key::new(&format!("{prefix}{id}"))
}

/// A notification on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// What is told.
    pub notification: Notification,
    /// Since when it waits; the 48 hours are counted from here.
    pub queued_at: Timestamp,
    /// Where it stands.
    pub progress: Progress,
    /// Tries that did not reach everybody.
    #[serde(default)]
    pub failures: u32,
    /// Who has it already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<String>,
    /// Who will never get it, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, String>,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Trouble>,
}

/// Where an entry stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "progress", rename_all = "snake_case")]
pub enum Progress {
    /// It waits.
    Queued {
        /// Not tried before.
        not_before: Timestamp,
    },
    /// It is being handed over, or was when the process ended: a server may have it.
    Sending {
        /// Since when.
        since: Timestamp,
    },
    /// It was given up. It stays until somebody sends it again or removes it.
    Failed {
        /// When.
        at: Timestamp,
        /// Why.
        why: String,
    },
}

/// Why an entry of the store is none of ours.
#[derive(Debug, thiserror::Error)]
#[error("the stored mail {key} cannot be read; it stays in the store and is not sent")]
pub struct StoredError {
    /// Its key.
    pub key: String,
    /// What is wrong with it.
    #[source]
    pub source: serde_json::Error,
}

impl Entry {
    /// A notification that nobody tried to send yet.
    pub(super) fn new(notification: Notification, now: Timestamp) -> Self {
        Self {
            notification,
            queued_at: now,
            progress: Progress::Queued { not_before: now },
            failures: 0,
            accepted: Vec::new(),
            refused: BTreeMap::new(),
            last: None,
        }
    }

    /// Takes back moments that cannot be, because the clock was set back meanwhile.
    pub(super) fn not_after(&mut self, now: Timestamp, longest_wait: TimeDelta) {
        self.queued_at = self.queued_at.min(now);
        if let Progress::Queued { not_before } = &mut self.progress {
            *not_before = (*not_before).min(now + longest_wait);
        }
    }

    /// Who still has to get it.
    pub fn pending(&self) -> Vec<String> {
        let open = |address: &&String| !self.accepted.contains(address) && !self.refused.contains_key(*address);
        self.notification.recipients.iter().filter(open).cloned().collect()
    }

    /// Whether it waits or is being sent, rather than given up.
    pub const fn is_open(&self) -> bool {
        !matches!(self.progress, Progress::Failed { .. })
    }

    /// Reads what [`Entry::to_bytes`] wrote.
    pub fn from_bytes(key: &Key, bytes: &[u8]) -> Result<Self, StoredError> {
        serde_json::from_slice(bytes).map_err(|source| StoredError { key: key.to_string(), source })
    }

    /// As it is stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Texts, numbers and maps with text keys cannot fail to be written.
        serde_json::to_vec(self).unwrap_or_default()
    }
}
