//! What is: the newest picture of every system, for whoever wants to read it
//! or to be woken by a change.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{Notify, watch};

use crate::model::id::SystemId;
use crate::model::picture::Picture;

/// The newest picture of each system.
pub type Pictures = BTreeMap<SystemId, Arc<Picture>>;

/// The systems to which the rollout adds something right now, each time under another number.
pub type Additions = BTreeMap<SystemId, u64>;

/// What somebody waits for to show in the next picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Objects that were added.
    Additions,
    /// All that the gates of the work read.
    Gates,
}

/// Who waits for the next picture of a system.
#[derive(Debug, Default)]
struct Wishes {
    additions: Notify,
    gates: Notify,
}

/// Where the pictures hang: each poller replaces that of its own system, and hears who wants another one soon.
#[derive(Clone, Debug)]
pub struct Gallery {
    pictures: Arc<watch::Sender<Pictures>>,
    wanted: Arc<BTreeMap<SystemId, Wishes>>,
}

impl Gallery {
    /// Starts with the pictures of systems not seen yet.
    pub fn new(pictures: impl IntoIterator<Item = Picture>) -> Self {
        let pictures: Pictures =
            pictures.into_iter().map(|picture| (picture.system.clone(), Arc::new(picture))).collect();
        let wanted = pictures.keys().map(|system| (system.clone(), Wishes::default())).collect();
        Self { pictures: Arc::new(watch::Sender::new(pictures)), wanted: Arc::new(wanted) }
    }

    /// Hangs up a newer picture.
    pub fn publish(&self, picture: Picture) {
        self.pictures.send_modify(|pictures| {
            pictures.insert(picture.system.clone(), Arc::new(picture));
        });
    }

    /// The picture of one system.
    pub fn of(&self, system: &SystemId) -> Option<Arc<Picture>> {
        self.pictures.borrow().get(system).cloned()
    }

    /// All pictures now.
    pub fn all(&self) -> Pictures {
        self.pictures.borrow().clone()
    }

    /// A reader that can wait for the next change.
    pub fn subscribe(&self) -> watch::Receiver<Pictures> {
        self.pictures.subscribe()
    }

    /// Asks for another picture before its time: something was changed in the system, and somebody waits until that
    /// shows. How soon is the poller's to say, and who asks twice asks once.
    pub fn want(&self, system: &SystemId, what: Expected) {
        let Some(wishes) = self.wanted.get(system) else { return };
        match what {
            Expected::Additions => wishes.additions.notify_one(),
            Expected::Gates => wishes.gates.notify_one(),
        }
    }

    /// Waits until somebody wants another picture of a system, and says for what.
    pub async fn wanted(&self, system: &SystemId) -> Expected {
        let Some(wishes) = self.wanted.get(system) else { return std::future::pending().await };
        tokio::select! {
            biased;
            () = wishes.gates.notified() => Expected::Gates,
            () = wishes.additions.notified() => Expected::Additions,
        }
    }
}
