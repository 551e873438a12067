//! State without a disk, for tests and the simulated world: as strict as the
//! others about versions, epochs and limits.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Batch, Epoch, State, Store, StoreError, Version};

/// What survives a crash. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<Durable>>);

#[derive(Debug, Default)]
struct Durable {
    state: State,
    in_use: bool,
}

impl Disk {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the only store that may use it now.
    pub fn open(&self) -> Result<MemoryStore, StoreError> {
        let mut durable = self.durable();
        if durable.in_use {
            return Err(StoreError::InUse { path: PathBuf::from("memory") });
        }
        durable.in_use = true;
        Ok(MemoryStore(self.clone()))
    }

    // Each change is one assignment, so that a panic elsewhere leaves no half.
    fn durable(&self) -> MutexGuard<'_, Durable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A store on a [`Disk`]; dropping it is a crash that loses nothing.
#[derive(Debug)]
pub struct MemoryStore(Disk);

impl Store for MemoryStore {
    fn load(&mut self) -> Result<State, StoreError> {
        Ok(self.0.durable().state.clone())
    }

    fn commit(&mut self, epoch: Epoch, expected: Version, batch: &Batch) -> Result<Version, StoreError> {
        batch.check()?;
        let mut durable = self.0.durable();
        durable.state.admit(epoch, expected)?;
        let mut next = durable.state.clone();
        for (key, value) in batch.changes() {
            match value {
                Some(value) => next.entries.insert(key.clone(), value.to_vec()),
                None => next.entries.remove(key),
            };
        }
        next.version = expected.next();
        next.epoch = epoch;
        durable.state = next;
        Ok(expected.next())
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        self.0.durable().in_use = false;
    }
}
