//! Where state lives: a few kilobytes to a few megabytes, all of it in memory,
//! and each change of it durable before anybody acts on it.
//!
//! [`Store`] is as narrow as the narrowest place that must carry it. SQLite is
//! one; ZooKeeper is another, where an entry is a znode below `entries`,
//! version and epoch are the data of one more znode, and a commit is one
//! `multi` that checks and sets that znode and then the entries. So a commit
//! has no queries, and is limited to half of ZooKeeper's 1 MB for a request.
//!
//! Calls block until the disk has answered: the task that owns the store gives
//! it a thread. There is one owner; who else wants to change state asks it.
//!
//! What comes after a failed commit depends on the error, see
//! [`StoreError::is_fatal`]: after most errors nothing was changed; after a
//! fatal one nobody knows, the store refuses every further call, and the
//! process must end and load again. Never is a failed fsync tried again: the
//! kernel has dropped the pages it could not write and would report success.

mod batch;
mod error;
mod fault;
pub mod look;
mod memory;
mod owner;
mod sqlite;
mod zookeeper;

pub use batch::{Batch, Key, MAX_BATCH, MAX_KEY, MAX_VALUE, OPERATION_COST};
pub use error::StoreError;
pub use fault::{Fault, FaultKind, Faulty};
pub use memory::{Disk, MemoryStore};
pub use owner::{Desk, Owner};
pub use sqlite::{APPLICATION_ID, SqliteStore};
pub use zookeeper::ZooKeeperStore;

use std::collections::BTreeMap;
use std::path::Path;

/// Counts commits; each one raises it by one. A new store is at 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64);

impl Version {
    /// The version after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Counts the leaders there were. A commit under a lower epoch than one that
/// was seen comes from a leader that does not know it was replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub u64);

/// All that is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// How many commits made it.
    pub version: Version,
    /// The highest epoch that committed.
    pub epoch: Epoch,
    /// The entries.
    pub entries: BTreeMap<Key, Vec<u8>>,
}

impl State {
    /// Whether a commit may come next.
    fn admit(&self, epoch: Epoch, expected: Version) -> Result<(), StoreError> {
        if epoch < self.epoch {
            return Err(StoreError::Fenced { given: epoch, stored: self.epoch });
        }
        if expected != self.version {
            return Err(StoreError::Conflict { expected, stored: self.version });
        }
        Ok(())
    }
}

/// Durable state.
pub trait Store: Send {
    /// Everything, as of the last commit.
    fn load(&mut self) -> Result<State, StoreError>;

    /// Makes all changes of a batch durable, or none. The answer is the new
    /// version; it comes only after the disk has it. An empty batch claims an epoch.
    fn commit(&mut self, epoch: Epoch, expected: Version, batch: &Batch) -> Result<Version, StoreError>;

    /// A copy of everything, as of the last commit, in an SQLite file that is not there yet. No error of it leaves the
    /// state in doubt.
    fn backup(&mut self, to: &Path) -> Result<(), StoreError> {
        sqlite::export(&self.load()?, to)
    }
}

impl<S: Store + ?Sized> Store for Box<S> {
    fn load(&mut self) -> Result<State, StoreError> {
        (**self).load()
    }

    fn commit(&mut self, epoch: Epoch, expected: Version, batch: &Batch) -> Result<Version, StoreError> {
        (**self).commit(epoch, expected, batch)
    }

    fn backup(&mut self, to: &Path) -> Result<(), StoreError> {
        (**self).backup(to)
    }
}
