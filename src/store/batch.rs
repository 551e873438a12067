//! What one commit changes, and how much it may change: limits that the
//! narrowest store can hold, kept by all of them.

use std::collections::BTreeMap;
use std::fmt;

use super::StoreError;

/// The longest key.
pub const MAX_KEY: usize = 200;

/// The largest value.
pub const MAX_VALUE: usize = 64 * 1024;

/// The largest batch: keys, values, and a cost for each change.
pub const MAX_BATCH: usize = 512 * 1024;

/// What a change costs besides its key and value: headers, version and path
/// prefix in ZooKeeper's request.
pub const OPERATION_COST: usize = 64;

/// The name of an entry, such as `observed/prod`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(Box<str>);

impl Key {
    /// Takes a name that every store can hold.
    pub fn new(text: &str) -> Result<Self, StoreError> {
        let tame = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'_' | b'.');
        let parts_are_well =
            text.split('/').all(|part| !part.is_empty() && part != "." && part != ".." && part.bytes().all(tame));
        if parts_are_well && text.len() <= MAX_KEY {
            Ok(Self(text.into()))
        } else {
            Err(StoreError::Key { key: text.chars().take(MAX_KEY).collect() })
        }
    }

    /// The name of an entry for something that others have named. What a key does not take is
    /// written as its number, so that two names never share a key.
    pub fn of(folder: &str, name: &str) -> Result<Self, StoreError> {
        let mut key = format!("{folder}/");
        for c in name.chars() {
            match c {
                'a'..='z' | '0'..='9' | '-' => key.push(c),
                'A'..='Z' => {
                    key.push('_');
                    key.push(c.to_ascii_lowercase());
                }
                other => key.push_str(&format!(".{:x}.", u32::from(other))),
            }
        }
        Self::new(&key)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Changes that happen together or not at all. The last change of a key counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch(BTreeMap<Key, Option<Vec<u8>>>);

impl Batch {
    /// No change.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets an entry.
    #[must_use]
    pub fn put(mut self, key: Key, value: impl Into<Vec<u8>>) -> Self {
        self.0.insert(key, Some(value.into()));
        self
    }

    /// Removes an entry; one that is not there stays so.
    #[must_use]
    pub fn delete(mut self, key: Key) -> Self {
        self.0.insert(key, None);
        self
    }

    /// Each change in the order of keys; none for a removal.
    pub fn changes(&self) -> impl Iterator<Item = (&Key, Option<&[u8]>)> {
        self.0.iter().map(|(key, value)| (key, value.as_deref()))
    }

    /// Refuses what is too large for a store.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let cost = |(key, value): (&Key, Option<&[u8]>)| key.0.len() + value.map_or(0, <[u8]>::len) + OPERATION_COST;
        for (key, value) in self.changes() {
            let size = value.map_or(0, <[u8]>::len);
            if size > MAX_VALUE {
                return Err(StoreError::ValueTooLarge { key: key.to_string(), size });
            }
        }
        let size: usize = self.changes().map(cost).sum();
        if size > MAX_BATCH {
            let largest = self.changes().max_by_key(|change| cost(*change));
            let largest = largest.map(|(key, _)| key.to_string()).unwrap_or_default();
            return Err(StoreError::BatchTooLarge { size, operations: self.0.len(), largest });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_every_store_can_hold() {
        for good in ["a", "observed/prod", "run/2026-11-24t00.00/step_1"] {
            assert_eq!(Key::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "/a", "a/", "a//b", "a/../b", "./a", "A", "a b", "ä", "a\0", &"a".repeat(MAX_KEY + 1)] {
            assert!(Key::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_of_others_become_keys_that_differ() {
        let of = |name| Key::of("node", name).unwrap().to_string();
        assert_eq!(of("host-1.example"), "node/host-1.2e.example");
        assert_eq!(of("Host_1"), "node/_host.5f.1");
        assert_ne!(of("A"), of("_a"));
        assert!(Key::of("node", "").is_err() && Key::of("node", &"ü".repeat(99)).is_err());
    }

    #[test]
    fn the_last_change_of_a_key_counts() {
        let key = || Key::new("a").unwrap();
        let batch = Batch::new().put(key(), "1").delete(key()).put(key(), "2");
        assert_eq!(batch.changes().collect::<Vec<_>>(), [(&key(), Some(&b"2"[..]))]);
    }
}
