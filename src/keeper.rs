//! What was observed, kept over restarts.
//!
//! Notes about thousands of clients do not fit into one entry, so each system
//! has a head and a fixed number of shards; only what changed is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::model::id::SystemId;
use crate::model::observed::{Noted, Observed};
use crate::model::unit::Timestamp;
use crate::store::{Batch, Desk, Key, State, StoreError};
use crate::watches::{Gallery, Pictures};

/// Enough that ten thousand clients fit well below the limit of a value.
const SHARDS: usize = 32;

/// Entries written together; well below the limit of a batch.
const ENTRIES_A_BATCH: usize = 4;

/// Entries of the store as they are on disk.
type Entries = BTreeMap<Key, Vec<u8>>;

#[derive(Serialize, Deserialize)]
struct Head {
    primary: Option<String>,
    primary_changes: u64,
    events: BTreeMap<String, u64>,
    events_until: Option<Timestamp>,
}

/// What is written down about each system. Counts are shown from here: one
/// that was shown before it was written would go back after a crash.
pub type Kept = BTreeMap<SystemId, Arc<Observed>>;

/// Writes changed notes down until told to stop. An error that leaves the disk
/// in doubt ends the loop, and with it the process.
pub struct Keeper {
    desk: Desk,
    written: Entries,
    /// Whether the store holds the notes that are told.
    in_step: bool,
}

impl Keeper {
    /// Goes on from what was loaded.
    pub fn new(desk: Desk, state: &State) -> Self {
        Self { desk, written: state.entries.clone(), in_step: false }
    }

    /// The loop. Tells what is written.
    pub async fn run(
        mut self,
        gallery: Gallery,
        kept: watch::Sender<Kept>,
        stop: CancellationToken,
    ) -> Result<(), StoreError> {
        let mut pictures = gallery.subscribe();
        loop {
            let stopping = tokio::select! {
                () = stop.cancelled() => true,
                changed = pictures.changed() => changed.is_err(),
            };
            let now = pictures.borrow_and_update().clone();
            // Most pictures bring no new notes, and thousands of them cost time to compare as text.
            if !same(&notes(&now), &kept.borrow()) || !self.in_step {
                match self.write(&now).await {
                    Ok(()) => {
                        self.in_step = true;
                        let notes = notes(&now);
                        kept.send_if_modified(|kept| {
                            let same = same(kept, &notes);
                            *kept = notes;
                            !same
                        });
                    }
                    Err(error) if !error.is_fatal() => {
                        self.in_step = false;
                        warn!(%error, "notes were not written; the next picture tries again");
                    }
                    Err(error) => return Err(error),
                }
            }
            if stopping {
                return Ok(());
            }
        }
    }

    /// Writes what differs from the store.
    async fn write(&mut self, pictures: &Pictures) -> Result<(), StoreError> {
        let wanted = wanted(pictures)?;
        for changes in changes(&self.written, &wanted).chunks(ENTRIES_A_BATCH) {
            let batch = changes.iter().fold(Batch::new(), |batch, (key, value)| match value {
                Some(value) => batch.put(key.clone(), value.clone()),
                None => batch.delete(key.clone()),
            });
            self.desk.commit(batch).await?;
            for (key, value) in changes {
                match value {
                    Some(value) => self.written.insert(key.clone(), value.clone()),
                    None => self.written.remove(key),
                };
            }
        }
        Ok(())
    }
}

/// Whether these are the very same notes; equal ones may count as others.
fn same(some: &Kept, others: &Kept) -> bool {
    some.len() == others.len() && some.iter().zip(others).all(|(a, b)| a.0 == b.0 && Arc::ptr_eq(a.1, b.1))
}

/// The notes of pictures.
pub fn notes(pictures: &Pictures) -> Kept {
    pictures.iter().map(|(system, picture)| (system.clone(), Arc::clone(&picture.observed))).collect()
}

fn wanted(pictures: &Pictures) -> Result<Entries, StoreError> {
    let mut wanted = Entries::new();
    for (system, picture) in pictures {
        wanted.extend(entries(system, &picture.observed)?);
    }
    Ok(wanted)
}

/// Changes of observed entries, in the order of their keys. Entries of other
/// kinds, and those of systems that are not configured now, stay as they are.
fn changes(written: &Entries, wanted: &Entries) -> Vec<(Key, Option<Vec<u8>>)> {
    let systems: std::collections::BTreeSet<&str> = wanted.keys().filter_map(system_of).collect();
    let gone = written.keys().filter(|key| system_of(key).is_some_and(|system| systems.contains(system)));
    let gone = gone.filter(|key| !wanted.contains_key(*key)).map(|key| (key.clone(), None));
    let new = wanted.iter().filter(|(key, value)| written.get(*key) != Some(*value));
    gone.chain(new.map(|(key, value)| (key.clone(), Some(value.clone())))).collect()
}

fn system_of(key: &Key) -> Option<&str> {
    key.as_str().strip_prefix("observed/")?.split('/').next()
}

/// The entries that hold one system's notes.
fn entries(system: &SystemId, observed: &Observed) -> Result<Entries, StoreError> {
    let mut entries = Entries::new();
    let head = Head {
        primary: observed.primary.clone(),
        primary_changes: observed.primary_changes,
        events: observed.events.clone(),
        events_until: observed.events_until,
    };
    entries.insert(Key::new(&format!("observed/{system}/head"))?, json(&head));
    for (kind, noted) in [("sds", &observed.sds), ("sdcs", &observed.sdcs)] {
        let mut shards: BTreeMap<usize, BTreeMap<&String, &Noted>> = BTreeMap::new();
        for (id, noted) in noted {
            shards.entry(shard(id)).or_default().insert(id, noted);
        }
        for (number, shard) in shards {
            entries.insert(Key::new(&format!("observed/{system}/{kind}/{number:02}"))?, json(&shard));
        }
    }
    Ok(entries)
}

/// The notes about one system, as far as they can be read. What cannot be read
/// is said and counts as never seen: notes are a help, not a condition.
pub fn observed(state: &State, system: &SystemId) -> Observed {
    let mut observed = Observed::default();
    let prefix = format!("observed/{system}/");
    for (key, value) in &state.entries {
        let Some(place) = key.as_str().strip_prefix(&prefix) else { continue };
        let read = match place.split('/').next() {
            Some("head") => serde_json::from_slice::<Head>(value).map(|head| {
                observed.primary = head.primary;
                observed.primary_changes = head.primary_changes;
                observed.events = head.events;
                observed.events_until = head.events_until;
            }),
            Some("sds") => {
                serde_json::from_slice(value).map(|noted: BTreeMap<String, Noted>| observed.sds.extend(noted))
            }
            Some("sdcs") => {
                serde_json::from_slice(value).map(|noted: BTreeMap<String, Noted>| observed.sdcs.extend(noted))
            }
            _ => Ok(()),
        };
        if let Err(error) = read {
            warn!(%key, %error, "a stored note cannot be read; it counts as never seen");
        }
    }
    observed
}

fn shard(id: &str) -> usize {
    id.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte))) % SHARDS
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // Maps with text keys and plain numbers cannot fail to be written.
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::picture::Picture;
    use crate::store::{Disk, Owner, Store as _};
    use std::sync::Arc;

    fn many(disconnections: u64) -> Observed {
        let noted = |n: u64| {
            (format!("{n:016x}"), Noted { connected: n.is_multiple_of(2), disconnections, ..Noted::default() })
        };
        Observed {
            primary: Some("1".to_owned()),
            primary_changes: 3,
            sds: (0..200).map(noted).collect(),
            sdcs: (0..10_000).map(noted).collect(),
            ..Observed::default()
        }
    }

    fn pictures(observed: Observed) -> Pictures {
        let system = SystemId::new("prod");
        let picture = Picture::unseen(system.clone(), chrono::DateTime::UNIX_EPOCH, observed);
        [(system, Arc::new(picture))].into()
    }

    #[tokio::test]
    async fn notes_about_ten_thousand_clients_come_back_as_they_were() {
        let disk = Disk::new();
        let mut store = disk.open().unwrap();
        let state = store.load().unwrap();
        let (owner, desk) = Owner::new(Box::new(store), &state);
        let mut keeper = Keeper::new(desk, &state);
        let owner = tokio::spawn(owner.run());
        keeper.write(&pictures(many(7))).await.unwrap();
        drop(keeper);
        owner.await.unwrap().unwrap();
        let state = disk.open().unwrap().load().unwrap();
        assert_eq!(observed(&state, &SystemId::new("prod")), many(7));
        assert_eq!(observed(&state, &SystemId::new("lab")), Observed::default());
    }

    #[test]
    fn only_the_changed_entry_is_written() {
        let mut next = many(7);
        next.sdcs.get_mut("0000000000000001").unwrap().disconnections = 8;
        let system = SystemId::new("prod");
        let (before, after) = (entries(&system, &many(7)).unwrap(), entries(&system, &next).unwrap());
        assert_eq!(changes(&before, &after).len(), 1);
        assert_eq!(changes(&after, &after), []);
    }

    #[test]
    fn notes_of_a_system_that_is_not_configured_now_are_kept() {
        let written = entries(&SystemId::new("lab"), &many(1)).unwrap();
        let wanted = entries(&SystemId::new("prod"), &Observed::default()).unwrap();
        assert!(changes(&written, &wanted).iter().all(|(key, _)| system_of(key) == Some("prod")));
    }
}
