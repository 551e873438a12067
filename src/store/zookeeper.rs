//! State in ZooKeeper, for a controller that may move to another host: one
//! entry a znode, and each commit one `multi` that checks the version.
//!
//! ```text
//! PATH/meta            {"format", "version", "epoch", "commit"}; its own znode version is the check
//! PATH/lock            ephemeral: one controller at a time
//! PATH/entries/KEY     a value; the slashes of a key are written as colons
//! ```
//!
//! A request whose answer was lost is sent again: the check lets only one of the
//! two happen, and the number in `commit` says whether it was ours. A session
//! that has expired is fatal: another controller may have taken over.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;
use zookeeper_client::{Acls, Client, CreateMode, Error, MultiWriteError, MultiWriter};

use super::{Batch, Epoch, Key, State, Store, StoreError, Version};
use crate::config::StoreInZooKeeper;

const FORMAT: i64 = 1;

/// After this a request is given up; ensembles elect a leader within seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);
/// Beyond the session's timeout, for the server to notice that it is over.
const LOCK_EXTRA: Duration = Duration::from_secs(2);
/// At the end, for the lock to be given back at once and not after the session's timeout.
const FAREWELL: Duration = Duration::from_secs(2);
/// Reads that meet a commit in the middle; with one controller there are none.
const READS: usize = 10;

/// State in ZooKeeper.
pub struct ZooKeeperStore {
    path: String,
    shown: PathBuf,
    acls: Acls<'static>,
    /// The session lives on a thread of its own, between calls too. Both are there until the drop.
    parts: Option<(Runtime, Client)>,
    /// What was last read or written.
    known: Option<Known>,
    closed: bool,
}

struct Known {
    meta: Meta,
    /// The version of the znode, which the next commit checks.
    check: i32,
    /// Entries that are there: a commit must say whether it makes or changes one.
    keys: BTreeSet<Key>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Meta {
    format: i64,
    version: u64,
    epoch: u64,
    /// Names the commit that wrote this.
    commit: u64,
}

impl ZooKeeperStore {
    /// Takes the lock, or makes the store when nothing is there. Blocks: not for async code.
    pub fn open(settings: &StoreInZooKeeper) -> Result<Self, StoreError> {
        let shown = PathBuf::from(format!("zk://{}{}", settings.servers, settings.path));
        let fail = |source: Box<dyn std::error::Error + Send + Sync>| StoreError::Io {
            operation: "open",
            path: shown.clone(),
            source,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("zookeeper")
            .enable_all()
            .build()
            .map_err(|error| fail(error.into()))?;
        let acls = if settings.auth.is_some() { Acls::creator_all() } else { Acls::anyone_all() };
        let begun = Instant::now();
        // An ensemble that starts, or elects, has nobody to answer for some seconds.
        let client = loop {
            let mut connector = Client::connector().with_session_timeout(settings.session_timeout).with_fail_eagerly();
            if let Some(auth) = &settings.auth {
                connector = connector.with_auth("digest", auth.0.reveal().as_bytes());
            }
            let connecting = async { tokio::time::timeout(PATIENCE, connector.connect(&settings.servers)).await };
            let error = match runtime.block_on(connecting) {
                Ok(Ok(client)) => break client,
                Ok(Err(error)) => error,
                Err(_) => Error::Timeout,
            };
            if begun.elapsed() > PATIENCE || error == Error::AuthFailed {
                return Err(fail(error.into()));
            }
            std::thread::sleep(PAUSE);
        };
        let mut store = Self {
            path: settings.path.clone(),
            shown,
            acls,
            parts: Some((runtime, client)),
            known: None,
            closed: false,
        };
        store.make()?;
        store.lock(settings.session_timeout + LOCK_EXTRA)?;
        store.known = Some(store.read()?.1);
        Ok(store)
    }

    fn parts(&self) -> Result<&(Runtime, Client), StoreError> {
        self.parts.as_ref().ok_or(StoreError::Closed)
    }

    /// Asks again while the connection is lost; the session may outlive it.
    fn ask<T, F: Future<Output = Result<T, Error>>>(
        &self,
        operation: &'static str,
        question: impl Fn(Client) -> F,
    ) -> Result<Result<T, Error>, StoreError> {
        let (runtime, client) = self.parts()?;
        let begun = Instant::now();
        loop {
            let answer = runtime.block_on(async { tokio::time::timeout(PATIENCE, question(client.clone())).await });
            let error = match answer {
                Ok(Err(error @ (Error::ConnectionLoss | Error::Throttled | Error::Timeout))) => error,
                Ok(Err(error @ (Error::SessionExpired | Error::ClientClosed | Error::AuthFailed | Error::NoAuth))) => {
                    return Err(self.fail(operation, error));
                }
                Ok(answer) => return Ok(answer),
                Err(_) => Error::Timeout,
            };
            if begun.elapsed() > PATIENCE {
                return Err(self.fail(operation, error));
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn fail(&self, operation: &'static str, error: Error) -> StoreError {
        StoreError::Io { operation, path: self.shown.clone(), source: Box::new(error) }
    }

    fn corrupt(&self, what: String) -> StoreError {
        StoreError::Corrupt { path: self.shown.clone(), what }
    }

    /// Makes the folders and an empty state, each when it is not there.
    fn make(&self) -> Result<(), StoreError> {
        let folder = format!("{}/entries", self.path);
        let options = CreateMode::Persistent.with_acls(self.acls);
        let made = self.ask("make", async |client: Client| client.mkdir(&folder, &options).await)?;
        accept(made, &Error::NodeExists).map_err(|error| self.fail("make", error))?;
        let meta = to_json(&Meta { format: FORMAT, version: 0, epoch: 0, commit: 0 });
        let place = format!("{}/meta", self.path);
        let entries = self.ask("read", async |client: Client| client.list_children(&folder).await)?;
        let is_empty = entries.map_err(|error| self.fail("read", error))?.is_empty();
        let there = self.ask("read", async |client: Client| client.check_stat(&place).await)?;
        if there.map_err(|error| self.fail("read", error))?.is_some() {
            return Ok(());
        }
        if !is_empty {
            return Err(self.corrupt(format!("it has entries, but {place} is missing")));
        }
        let made = self.ask("make", async |client: Client| client.create(&place, &meta, &options).await.map(|_| ()))?;
        accept(made, &Error::NodeExists).map_err(|error| self.fail("make", error))
    }

    /// Waits for the lock of a controller that was killed to end with its session.
    fn lock(&self, patience: Duration) -> Result<(), StoreError> {
        let place = format!("{}/lock", self.path);
        let options = CreateMode::Ephemeral.with_acls(self.acls);
        let session = self.parts()?.1.session_id().0;
        let begun = Instant::now();
        loop {
            let made =
                self.ask("lock", async |client: Client| client.create(&place, b"", &options).await.map(|_| ()))?;
            match made {
                Ok(()) => return Ok(()),
                Err(Error::NodeExists) => {}
                Err(error) => return Err(self.fail("lock", error)),
            }
            // The answer to an earlier try may have been lost.
            let stat = self.ask("lock", async |client: Client| client.check_stat(&place).await)?;
            if stat.ok().flatten().is_some_and(|stat| stat.ephemeral_owner == session) {
                return Ok(());
            }
            if begun.elapsed() > patience {
                return Err(StoreError::InUse { path: self.shown.clone() });
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn meta(&self) -> Result<(Meta, i32), StoreError> {
        let place = format!("{}/meta", self.path);
        // Another server of the ensemble may be behind.
        let synced = self.ask("read", async |client: Client| client.sync(&place).await)?;
        synced.map_err(|error| self.fail("read", error))?;
        let (json, stat) = self
            .ask("read", async |client: Client| client.get_data(&place).await)?
            .map_err(|error| self.fail("read", error))?;
        #[derive(Deserialize)]
        struct Form {
            format: i64,
        }
        let unreadable = |error: serde_json::Error| self.corrupt(format!("{place} cannot be read: {error}"));
        let Form { format: found } = serde_json::from_slice(&json).map_err(unreadable)?;
        if found > FORMAT {
            return Err(StoreError::Newer { path: self.shown.clone(), found, known: FORMAT });
        }
        Ok((serde_json::from_slice(&json).map_err(unreadable)?, stat.version))
    }

    /// All of one commit.
    fn read(&self) -> Result<(State, Known), StoreError> {
        let folder = format!("{}/entries", self.path);
        for _ in 0..READS {
            let (meta, check) = self.meta()?;
            let names = self
                .ask("read", async |client: Client| client.list_children(&folder).await)?
                .map_err(|error| self.fail("read", error))?;
            let mut state =
                State { version: Version(meta.version), epoch: Epoch(meta.epoch), entries: Default::default() };
            let mut is_whole = true;
            for name in names {
                let key = Key::new(&name.replace(':', "/"))
                    .map_err(|_| self.corrupt(format!("{folder}/{name} is no entry of this product")))?;
                let place = format!("{folder}/{name}");
                match self.ask("read", async |client: Client| client.get_data(&place).await)? {
                    Ok((value, _)) => {
                        state.entries.insert(key, value);
                    }
                    Err(Error::NoNode) => is_whole = false,
                    Err(error) => return Err(self.fail("read", error)),
                }
            }
            if is_whole && self.meta()? == (meta.clone(), check) {
                let keys = state.entries.keys().cloned().collect();
                return Ok((state, Known { meta, check, keys }));
            }
        }
        Err(self.corrupt("it changes while it is read, so that another controller must be at work on it".to_owned()))
    }

    fn write(&mut self, epoch: Epoch, expected: Version, batch: &Batch) -> Result<Version, StoreError> {
        let known = match self.known.take() {
            Some(known) => known,
            None => self.read()?.1,
        };
        let admitted = admit(&known.meta, epoch, expected);
        let known = self.known.insert(known);
        admitted?;
        let next = Meta {
            format: FORMAT,
            version: expected.next().0,
            epoch: epoch.0,
            // Never that of the commit before, so that it can be told whose it is.
            commit: rand::random::<u64>() | 1,
        };
        let (check, keys) = (known.check, known.keys.clone());
        let begun = Instant::now();
        loop {
            let answer = self.try_write(&next, check, &keys, batch)?;
            match answer {
                Ok(()) => break,
                Err(Error::ConnectionLoss | Error::Throttled | Error::Timeout) if begun.elapsed() < PATIENCE => {
                    std::thread::sleep(PAUSE);
                }
                Err(Error::BadVersion) => {
                    // Ours, whose answer was lost; or another controller's.
                    let (stored, _) = self.meta()?;
                    if stored == next {
                        break;
                    }
                    self.known = None;
                    admit(&stored, epoch, expected)?;
                    return Err(self.corrupt("its version was changed by hand".to_owned()));
                }
                Err(error) => return Err(self.fail("commit to", error)),
            }
        }
        if let Some(known) = &mut self.known {
            known.meta = next;
            known.check = check.wrapping_add(1);
            for (key, value) in batch.changes() {
                match value {
                    Some(_) => known.keys.insert(key.clone()),
                    None => known.keys.remove(key),
                };
            }
        }
        Ok(expected.next())
    }

    fn try_write(
        &self,
        next: &Meta,
        check: i32,
        keys: &BTreeSet<Key>,
        batch: &Batch,
    ) -> Result<Result<(), Error>, StoreError> {
        let (runtime, client) = self.parts()?;
        let mut writer = client.new_multi_writer();
        let fill = |writer: &mut MultiWriter<'_>| -> Result<(), Error> {
            let options = CreateMode::Persistent.with_acls(self.acls);
            // Refused first of all when anybody else has committed.
            writer.add_set_data(&format!("{}/meta", self.path), &to_json(next), Some(check))?;
            for (key, value) in batch.changes() {
                let place = format!("{}/entries/{}", self.path, key.as_str().replace('/', ":"));
                match (value, keys.contains(key)) {
                    (Some(value), true) => writer.add_set_data(&place, value, None)?,
                    (Some(value), false) => writer.add_create(&place, value, &options)?,
                    (None, true) => writer.add_delete(&place, None)?,
                    (None, false) => {}
                }
            }
            Ok(())
        };
        fill(&mut writer).map_err(|error| self.fail("commit to", error))?;
        Ok(match runtime.block_on(async { tokio::time::timeout(PATIENCE, writer.commit()).await }) {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(MultiWriteError::RequestFailed { source } | MultiWriteError::OperationFailed { source, .. })) => {
                Err(source)
            }
            Err(_) => Err(Error::Timeout),
        })
    }
}

fn accept(answer: Result<(), Error>, as_well: &Error) -> Result<(), Error> {
    match answer {
        Err(error) if error == *as_well => Ok(()),
        other => other,
    }
}

fn admit(meta: &Meta, epoch: Epoch, expected: Version) -> Result<(), StoreError> {
    let stored = State { version: Version(meta.version), epoch: Epoch(meta.epoch), entries: Default::default() };
    stored.admit(epoch, expected)
}

fn to_json(meta: &Meta) -> Vec<u8> {
    // Four numbers.
    serde_json::to_vec(meta).unwrap_or_default()
}

impl Store for ZooKeeperStore {
    fn load(&mut self) -> Result<State, StoreError> {
        if self.closed {
            return Err(StoreError::Closed);
        }
        let (state, known) = self.read().inspect_err(|error| self.closed = error.is_fatal())?;
        self.known = Some(known);
        Ok(state)
    }

    fn commit(&mut self, epoch: Epoch, expected: Version, batch: &Batch) -> Result<Version, StoreError> {
        if self.closed {
            return Err(StoreError::Closed);
        }
        batch.check()?;
        let done = self.write(epoch, expected, batch);
        self.closed = done.as_ref().is_err_and(StoreError::is_fatal);
        done
    }
}

impl Drop for ZooKeeperStore {
    fn drop(&mut self) {
        let Some((runtime, client)) = self.parts.take() else { return };
        // Not here: this may be the thread of an async task, which must not wait.
        std::thread::spawn(move || {
            runtime.block_on(async move {
                let mut ended = client.state_watcher();
                drop(client);
                let _ = tokio::time::timeout(FAREWELL, async {
                    while !ended.state().is_terminated() {
                        ended.changed().await;
                    }
                })
                .await;
            });
            runtime.shutdown_background();
        });
    }
}
