//! What is told once when it began and ended while no mail went out.

use std::collections::BTreeMap;

use super::entry::{Entry, Progress};
use crate::model::alerting::{Kind, MessageId, Notification, NotificationId, Thread};

/// Earlier entries that a new notification makes needless: the whole thread
/// that it ends, when not one mail of it reached anybody and sending was tried in vain.
///
/// The new one keeps its own id: a server may have taken an earlier one without
/// our knowing, and readers drop what comes twice under one id.
pub(super) fn needless(
    entries: &BTreeMap<NotificationId, Entry>,
    new: &Notification,
    domain: &str,
) -> Vec<NotificationId> {
    let Thread::Reply { root, .. } = &new.thread else { return Vec::new() };
    if !matches!(new.kind, Kind::Resolved) || new.firing().next().is_some() {
        return Vec::new();
    }
    let of_thread = |entry: &&Entry| match &entry.notification.thread {
        Thread::Root => MessageId::of(&entry.notification.id, domain) == *root,
        Thread::Reply { root: other, .. } => other == root,
    };
    let thread: Vec<&Entry> = entries.values().filter(of_thread).collect();
    let begins = |entry: &&Entry| matches!(entry.notification.thread, Thread::Root);
    let untold = |entry: &&Entry| {
        let waits = matches!(entry.progress, Progress::Queued { .. });
        waits && entry.accepted.is_empty() && entry.notification.recipients == new.recipients
    };
    // The root is gone from the outbox when it was sent: then the readers know, and must hear the end.
    let tried = thread.iter().any(|entry| begins(entry) && entry.failures > 0);
    if tried && thread.iter().all(untold) {
        thread.iter().map(|entry| entry.notification.id.clone()).collect()
    } else {
        Vec::new()
    }
}
