//! The loop that tells people: what each evaluation says becomes notifications,
//! stored in one commit with the memory of what was told.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::background::Background;
use super::engine::Verdict;
use super::mail::run::Post;
use super::notify::{Route, Told, step};
use super::outbox::fit;
use crate::clock;
use crate::store::{Batch, Key, MAX_VALUE, State, StoreError};
use crate::watches::Gallery;

/// Where the memory of what was told is in the store, in so many pieces: a value holds no more.
const PREFIX: &str = "alert/told/";
const PIECES: usize = 4;
const PIECE: usize = MAX_VALUE - 1024;

/// Waits of groups end between two polls too.
const TICK: Duration = Duration::from_secs(1);

/// Tells people what fires.
pub struct Teller {
    route: Route,
    told: Told,
    post: Post,
    gallery: Gallery,
    background: Background,
}

impl Teller {
    /// Goes on where the last life ended.
    pub fn new(route: Route, post: Post, gallery: Gallery, state: &State) -> Self {
        let pieces = state.entries.iter().filter(|(key, _)| key.as_str().starts_with(PREFIX));
        let bytes: Vec<u8> = pieces.flat_map(|(_, bytes)| bytes.iter().copied()).collect();
        let told = if bytes.is_empty() { Ok(Told::default()) } else { serde_json::from_slice(&bytes) };
        let told = told.unwrap_or_else(|error| {
            error!(%error, "what was told cannot be read; alerts that fire are told anew");
            Told::default()
        });
        Self { route, told, post, gallery, background: Background::default() }
    }

    /// Tells until told to stop. An error means that the disk is in doubt.
    pub async fn run(
        mut self,
        mut verdicts: watch::Receiver<Option<Arc<Verdict>>>,
        stop: CancellationToken,
    ) -> Result<(), StoreError> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                changed = verdicts.changed() => if changed.is_err() { return Ok(()) },
                _ = ticks.tick() => {}
            }
            let Some(verdict) = verdicts.borrow_and_update().clone() else { continue };
            self.background.see(&self.gallery.all());
            match self.tell(&verdict).await {
                Ok(()) => {}
                Err(error) if !error.is_fatal() => warn!(%error, "nothing was told; it is tried again"),
                Err(error) => return Err(error),
            }
        }
    }

    /// One group after the other, each in one commit with the memory of it: after a crash nothing is told twice.
    async fn tell(&mut self, verdict: &Verdict) -> Result<(), StoreError> {
        loop {
            let now = clock::now();
            let (notification, told) = step(now, verdict, &self.told, &self.route);
            if told == self.told {
                return Ok(());
            }
            let Some(mut notification) = notification else {
                // That a group waits is known again at the next start.
                self.told = told;
                return Ok(());
            };
            self.background.fill(&mut notification, &self.gallery.all());
            info!(id = %notification.id, kind = notification.kind.as_str(), group = %notification.group, "people are told");
            let batch = memory(&told)?;
            self.post.add(vec![fit(notification, now)], batch).await?;
            self.told = told;
        }
    }
}

fn memory(told: &Told) -> Result<Batch, StoreError> {
    let bytes = serde_json::to_vec(told).unwrap_or_default();
    if bytes.len() > PIECES * PIECE {
        warn!(bytes = bytes.len(), "too much fires at once to remember over a restart that all of it was told");
        return Ok(Batch::new());
    }
    let mut pieces = bytes.chunks(PIECE);
    let mut batch = Batch::new();
    for number in 0..PIECES {
        let key = Key::new(&format!("{PREFIX}{number}"))?;
        batch = match pieces.next() {
            Some(piece) => batch.put(key, piece),
            None => batch.delete(key),
        };
    }
    Ok(batch)
}
