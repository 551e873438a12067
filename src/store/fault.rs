//! What may go wrong, on purpose: any store, with an error or a crash at the
//! n-th call.

use std::path::PathBuf;

use super::{Batch, Epoch, State, Store, StoreError, Version};

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// At which call, counted from 1 over `load` and `commit` together.
    pub call: u64,
    /// What happens there.
    pub kind: FaultKind,
}

/// Kinds of fault. After each one the store is closed, and the caller learns
/// nothing but that it is: what became of a commit, only the next life sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The call fails, and nothing was written.
    ErrorBefore,
    /// The call fails, though everything was written: a lost answer.
    ErrorAfter,
    /// The process is gone before the call did anything.
    CrashBefore,
    /// The process is gone after the call did everything, before the caller heard of it.
    CrashAfter,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::ErrorBefore, Self::ErrorAfter, Self::CrashBefore, Self::CrashAfter];

    /// Whether the call itself is still done.
    const fn is_done(self) -> bool {
        match self {
            Self::ErrorBefore | Self::CrashBefore => false,
            Self::ErrorAfter | Self::CrashAfter => true,
        }
    }

    /// Whether the store below is dropped at once, as by the end of the process.
    const fn is_crash(self) -> bool {
        match self {
            Self::ErrorBefore | Self::ErrorAfter => false,
            Self::CrashBefore | Self::CrashAfter => true,
        }
    }
}

/// A store with at most one fault ahead of it.
#[derive(Debug)]
pub struct Faulty<S> {
    store: Option<S>,
    fault: Option<Fault>,
    calls: u64,
    closed: bool,
}

impl<S: Store> Faulty<S> {
    /// Lays a fault over a store.
    pub fn new(store: S, fault: Option<Fault>) -> Self {
        Self { store: Some(store), fault, calls: 0, closed: false }
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    fn call<T>(
        &mut self,
        operation: &'static str,
        act: impl FnOnce(&mut S) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.calls += 1;
        let Some(store) = self.store.as_mut().filter(|_| !self.closed) else { return Err(StoreError::Closed) };
        let Some(fault) = self.fault.filter(|fault| fault.call == self.calls) else { return act(store) };
        if fault.kind.is_done() {
            act(store)?;
        }
        self.closed = true;
        if fault.kind.is_crash() {
            self.store = None;
        }
        let source = format!("a planned {:?} at call {}", fault.kind, fault.call).into();
        Err(StoreError::Io { operation, path: PathBuf::from("planned fault"), source })
    }
}

impl<S: Store> Store for Faulty<S> {
    fn load(&mut self) -> Result<State, StoreError> {
        self.call("load", S::load)
    }

    fn commit(&mut self, epoch: Epoch, expected: Version, batch: &Batch) -> Result<Version, StoreError> {
        self.call("commit to", |store| store.commit(epoch, expected, batch))
    }
}
