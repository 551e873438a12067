//! The one task that owns the store: who wants to change state asks it, and
//! hears when the disk has the change.

use std::path::PathBuf;

use tokio::sync::{mpsc, oneshot};

use super::{Batch, Epoch, State, Store, StoreError, Version};

/// Changes that wait for the disk; who has more to say waits with it.
const WAITING: usize = 64;

/// Takes changes of state.
#[derive(Clone, Debug)]
pub struct Desk(mpsc::Sender<Request>);

#[derive(Debug)]
struct Request {
    what: What,
    done: oneshot::Sender<Result<(), StoreError>>,
}

#[derive(Debug)]
enum What {
    Commit(Batch),
    Backup(PathBuf),
}

/// Owns the store until all desks are gone or an error leaves the disk in doubt.
pub struct Owner {
    store: Box<dyn Store>,
    epoch: Epoch,
    version: Version,
    requests: mpsc::Receiver<Request>,
}

impl Desk {
    /// Makes changes durable. An error that is fatal ends the owner, and with it the process.
    pub async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.ask(What::Commit(batch)).await
    }

    /// Makes a copy of everything that is durable now, in an SQLite file that is not there yet. An error of it is of the
    /// copy alone.
    pub async fn backup(&self, to: PathBuf) -> Result<(), StoreError> {
        self.ask(What::Backup(to)).await
    }

    async fn ask(&self, what: What) -> Result<(), StoreError> {
        let (done, answer) = oneshot::channel();
        self.0.send(Request { what, done }).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }
}

impl Owner {
    /// Takes a store over with what was loaded from it.
    pub fn new(store: Box<dyn Store>, state: &State) -> (Self, Desk) {
        let (sender, requests) = mpsc::channel(WAITING);
        (Self { store, epoch: state.epoch, version: state.version, requests }, Desk(sender))
    }

    /// The loop.
    pub async fn run(mut self) -> Result<(), StoreError> {
        while let Some(Request { what, done }) = self.requests.recv().await {
            let (owner, answer) = tokio::task::spawn_blocking(move || {
                let answer = match what {
                    What::Commit(batch) => self.store.commit(self.epoch, self.version, &batch),
                    What::Backup(to) => {
                        // Who asked may be gone; the copy is there all the same.
                        let _ = done.send(self.store.backup(&to));
                        return (self, None);
                    }
                };
                (self, Some((answer, done)))
            })
            .await
            // The thread panicked or the runtime ends: what became of the commit is not known.
            .map_err(|_| StoreError::Closed)?;
            self = owner;
            let Some((answer, done)) = answer else { continue };
            match answer {
                Ok(version) => {
                    self.version = version;
                    // Who asked may be gone; the change is kept all the same.
                    let _ = done.send(Ok(()));
                }
                Err(error) if error.is_fatal() => {
                    let _ = done.send(Err(StoreError::Closed));
                    return Err(error);
                }
                Err(error) => {
                    let _ = done.send(Err(error));
                }
            }
        }
        Ok(())
    }
}
