//! How a notification is kept small enough for the store, without hiding that
//! something was left out.

use super::entry::Entry;
use crate::model::alerting::Notification;
use crate::model::unit::Timestamp;
use crate::store::{MAX_BATCH, MAX_VALUE};

/// The largest entry that is added: what is learnt on the way, such as refusals, needs room too.
pub const MAX_ENTRY: usize = MAX_VALUE - 12 * 1024;

/// Long enough for any text that a person reads to its end.
const LONGEST_TEXT: usize = 4_000;

/// Cuts a notification until its entry fits. Recipients, ids and what the
/// subject says are never cut; what is, is said in `left_out`.
pub fn fit(mut n: Notification, now: Timestamp) -> Notification {
    if size(&n, now) <= MAX_ENTRY {
        return n;
    }
    let mut texts = 0_usize;
    for item in &mut n.items {
        texts += usize::from(cut(&mut item.alert.annotations.description, LONGEST_TEXT));
        texts += usize::from(cut(&mut item.alert.annotations.summary, 1_000));
        for value in item.alert.labels.values_mut() {
            // The fingerprint is of the labels: a cut one names no alert, so only absurd ones are cut.
            texts += usize::from(cut(value, 8_192));
        }
    }
    if texts > 0 {
        n.left_out.push(format!("{texts} long texts were cut; /api/v1/alerts shows them whole."));
    }
    drop_half(&mut n, now, "charts", |n| &mut n.charts);
    drop_half(&mut n, now, "changes of the last hour", |n| &mut n.changes);
    drop_half(&mut n, now, "alerts that were not told at their time", |n| &mut n.held);
    drop_half(&mut n, now, "alerts, the least grave ones", |n| &mut n.items);
    n
}

/// Puts notifications into groups that each fit into one batch, with room for the alert changes that caused them.
pub fn chunks(notifications: Vec<Notification>, now: Timestamp) -> Vec<Vec<Notification>> {
    let mut chunks: Vec<Vec<Notification>> = Vec::new();
    let mut room = 0;
    for notification in notifications {
        let notification = fit(notification, now);
        let size = size(&notification, now);
        match chunks.last_mut() {
            Some(chunk) if size <= room => chunk.push(notification),
            Some(_) | None => {
                chunks.push(vec![notification]);
                room = MAX_BATCH / 2;
            }
        }
        room = room.saturating_sub(size);
    }
    chunks
}

fn size(n: &Notification, now: Timestamp) -> usize {
    Entry::new(n.clone(), now).to_bytes().len()
}

/// Shortens a text at a character; tells whether it did.
fn cut(text: &mut String, longest: usize) -> bool {
    if text.len() <= longest {
        return false;
    }
    let end = (0..=longest).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.truncate(end);
    text.push_str(" ... (cut)");
    true
}

/// Halves a list from its end until the whole fits or the list is empty.
fn drop_half<T>(n: &mut Notification, now: Timestamp, what: &str, list: impl Fn(&mut Notification) -> &mut Vec<T>) {
    let before = list(n).len();
    while size(n, now) + 200 > MAX_ENTRY && !list(n).is_empty() {
        let keep = list(n).len() / 2;
        list(n).truncate(keep);
    }
    let left = before - list(n).len();
    if left > 0 {
        n.left_out.push(format!("{left} {what}, were left out to keep this mail small."));
    }
}
