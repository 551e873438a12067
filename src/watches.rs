//! What is: the newest picture of every system, for whoever wants to read it
//! or to be woken by a change.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::model::id::SystemId;
use crate::model::picture::Picture;

/// The newest picture of each system.
pub type Pictures = BTreeMap<SystemId, Arc<Picture>>;

/// The writing end: each poller replaces the picture of its own system.
#[derive(Clone, Debug)]
pub struct Gallery(Arc<watch::Sender<Pictures>>);

impl Gallery {
    /// Starts with the pictures of systems not seen yet.
    pub fn new(pictures: impl IntoIterator<Item = Picture>) -> Self {
        let pictures = pictures.into_iter().map(|picture| (picture.system.clone(), Arc::new(picture))).collect();
        Self(Arc::new(watch::Sender::new(pictures)))
    }

    /// Hangs up a newer picture.
    pub fn publish(&self, picture: Picture) {
        self.0.send_modify(|pictures| {
            pictures.insert(picture.system.clone(), Arc::new(picture));
        });
    }

    /// The picture of one system.
    pub fn of(&self, system: &SystemId) -> Option<Arc<Picture>> {
        self.0.borrow().get(system).cloned()
    }

    /// All pictures now.
    pub fn all(&self) -> Pictures {
        self.0.borrow().clone()
    }

    /// A reader that can wait for the next change.
    pub fn subscribe(&self) -> watch::Receiver<Pictures> {
        self.0.subscribe()
    }
}
