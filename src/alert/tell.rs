//! The loop that tells people: what each evaluation says becomes notifications,
//! stored in one commit with the memory of what was told; what people ask is
//! done in between.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::background::Background;
use super::engine::Verdict;
use super::mail::run::Post;
use super::notify::memory::{self, Memory};
use super::notify::mute::{Seen, View};
use super::notify::runs::Over;
use super::notify::{Policy, next, observe, week};
use super::orders::{self, Desktop};
use super::outbox::fit;
use crate::clock;
use crate::metrics::Own;
use crate::model::alerting::{Answer, Fingerprint, Handled, Notification, Order, Refusal, Underway};
use crate::model::id::SystemId;
use crate::model::lifecycle::Lifecycle;
use crate::model::unit::Timestamp;
use crate::model::workload::Workloads;
use crate::store::{Batch, Desk, Key, MAX_BATCH, OPERATION_COST, State, StoreError};
use crate::switchboard::Call;
use crate::watches::Gallery;
use crate::work::seam::UnderwayNow;

/// Waits of groups end between two polls too.
const TICK: Duration = Duration::from_secs(1);

/// What is remembered without being told is written so often: what is held back, what came and went.
const SAVE: Duration = Duration::from_secs(60);

/// Room that a notification takes in a batch, at most.
const MAIL_ROOM: usize = 72 * 1024;

/// How alerts stand with people, for the page and the API.
pub type HandledNow = Arc<BTreeMap<Fingerprint, Handled>>;

/// Tells people what fires.
pub struct Teller {
    policy: Policy,
    memory: Memory,
    /// What the store holds of the memory.
    written: BTreeMap<Key, Vec<u8>>,
    saved: Instant,
    post: Post,
    desk: Desk,
    gallery: Gallery,
    background: Background,
    desktop: Desktop,
    calls: mpsc::Receiver<Call>,
    handled: watch::Sender<HandledNow>,
    own: Arc<Own>,
    /// Steps under way, which explain what they cause.
    underway: watch::Receiver<UnderwayNow>,
    /// The work on systems, whose runs are told when they are over.
    works: BTreeMap<SystemId, watch::Receiver<Arc<Lifecycle>>>,
    /// What runs in the Mesos cluster; none where none is configured.
    workloads: Option<watch::Receiver<Arc<Workloads>>>,
}

impl Teller {
    /// Goes on where the last life ended.
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        policy: Policy,
        post: Post,
        desk: Desk,
        desktop: Desktop,
        gallery: Gallery,
        calls: mpsc::Receiver<Call>,
        own: Arc<Own>,
        state: &State,
    ) -> Self {
        let (memory, unreadable) = Memory::load(state);
        for name in unreadable {
            warn!(name, "a part of what was told cannot be read; it is told anew");
        }
        let written = state.entries.iter().filter(|(key, _)| key.as_str().starts_with(memory::PREFIX));
        let written = written.map(|(key, bytes)| (key.clone(), bytes.clone())).collect();
        let handled = watch::Sender::new(Arc::default());
        Self {
            policy,
            memory,
            written,
            saved: Instant::now(),
            post,
            desk,
            gallery,
            background: Background::default(),
            desktop,
            calls,
            handled,
            own,
            underway: watch::channel(UnderwayNow::new()).1,
            works: BTreeMap::new(),
            workloads: None,
        }
    }

    /// What these steps explain is no news.
    #[must_use]
    pub fn explained_by(self, underway: watch::Receiver<UnderwayNow>) -> Self {
        Self { underway, ..self }
    }

    /// Tells how runs ended.
    #[must_use]
    pub fn reporting(self, works: BTreeMap<SystemId, watch::Receiver<Arc<Lifecycle>>>) -> Self {
        Self { works, ..self }
    }

    /// Names what runs in a Mesos cluster to people.
    #[must_use]
    pub fn naming(mut self, workloads: watch::Receiver<Arc<Workloads>>) -> Self {
        self.workloads = Some(workloads);
        self
    }

    /// How alerts stand with people.
    pub fn handled(&self) -> watch::Receiver<HandledNow> {
        self.handled.subscribe()
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
            let mut call = None;
            tokio::select! {
                () = stop.cancelled() => return self.save(Vec::new()).await,
                changed = verdicts.changed() => if changed.is_err() { return Ok(()) },
                Some(some) = self.calls.recv() => call = Some(some),
                _ = ticks.tick() => {}
            }
            let verdict = verdicts.borrow_and_update().clone();
            let done = match (call, &verdict) {
                (Some(call), verdict) => self.obey(call, verdict.as_deref()).await,
                (None, Some(verdict)) => self.tell(verdict).await,
                (None, None) => Ok(()),
            };
            match done {
                Ok(()) => {}
                Err(error) if !error.is_fatal() => warn!(%error, "nothing was told; it is tried again"),
                Err(error) => return Err(error),
            }
        }
    }

    /// One group after the other, each in one commit with the memory of it: after a crash nothing is told twice.
    async fn tell(&mut self, verdict: &Verdict) -> Result<(), StoreError> {
        let pictures = self.gallery.all();
        self.background.see(&pictures);
        loop {
            let now = clock::now();
            let mut memory = self.memory.clone();
            let (underway, over) = (steps(&self.underway), over(&self.works));
            let seen = Seen { verdict, underway: &underway, over: &over };
            let notification = next(now, &seen, &pictures, &self.policy, &mut memory);
            let Some(mut notification) = notification else {
                self.memory = memory;
                self.show(now, verdict);
                if self.saved.elapsed() >= SAVE {
                    self.save(Vec::new()).await?;
                }
                return Ok(());
            };
            let workloads = self.workloads.as_ref().map(|workloads| Arc::clone(&workloads.borrow()));
            self.background.fill(&mut notification, &pictures, workloads.as_deref());
            info!(id = %notification.id, kind = notification.kind.as_str(), group = %notification.group, "people are told");
            self.own.told(notification.kind.as_str(), notification.severity().as_str());
            let before = std::mem::replace(&mut self.memory, memory);
            if let Err(error) = self.save(vec![fit(notification, now)]).await {
                self.memory = before;
                return Err(error);
            }
        }
    }

    /// Stores what changed of the memory, in one commit with what is told.
    async fn save(&mut self, notifications: Vec<Notification>) -> Result<(), StoreError> {
        let wanted = self.memory.entries()?;
        let urgent = !notifications.is_empty();
        let mut changes: Vec<(Key, Option<Vec<u8>>)> = Vec::new();
        for key in self.written.keys().filter(|key| !wanted.contains_key(*key) && memory::is_ours(key)) {
            changes.push((key.clone(), None));
        }
        for (key, value) in wanted.into_iter().filter(|(key, value)| self.written.get(key) != Some(value)) {
            // The books of the week are large, and a minute of them may be lost.
            if !urgent || !memory::is_book(&key) {
                changes.push((key, Some(value)));
            }
        }
        if urgent || self.saved.elapsed() >= SAVE {
            self.saved = Instant::now();
        }
        let mut notifications = Some(notifications).filter(|some| !some.is_empty());
        // Nearly always one batch. When it is more, the mail goes with the first one: none is lost, and after a crash
        // in between one may be told twice.
        while !changes.is_empty() || notifications.is_some() {
            let batch = take(&mut changes);
            let put: Vec<_> = batch.changes().map(|(key, value)| (key.clone(), value.map(<[u8]>::to_vec))).collect();
            match notifications.take() {
                Some(notifications) => self.post.add(notifications, batch).await?,
                None => self.desk.commit(batch).await?,
            }
            for (key, value) in put {
                match value {
                    Some(value) => drop(self.written.insert(key, value)),
                    None => drop(self.written.remove(&key)),
                }
            }
        }
        Ok(())
    }

    /// Does what somebody asks. What changes is stored before it is said to be done.
    async fn obey(&mut self, call: Call, verdict: Option<&Verdict>) -> Result<(), StoreError> {
        let Call { order, answer } = call;
        match order {
            Order::Queue | Order::Flush | Order::Test { .. } => {
                orders::mail(order, answer, &self.post, &self.desktop, &self.policy, clock::now());
                return Ok(());
            }
            Order::Silences
            | Order::Silence { .. }
            | Order::Expire { .. }
            | Order::Acknowledgements
            | Order::Acknowledge { .. }
            | Order::Look { .. }
            | Order::Follow { .. }
            | Order::Records
            | Order::Report { .. }
            | Order::Preview { .. } => {}
        }
        let Some(verdict) = verdict else {
            let why = "the alerts were not judged yet since the start; ask again in a moment";
            let _ = answer.send(Err(Refusal::Unable(why.to_owned())));
            return Ok(());
        };
        let now = clock::now();
        let mut memory = self.memory.clone();
        let (underway, over) = (steps(&self.underway), over(&self.works));
        let seen = Seen { verdict, underway: &underway, over: &over };
        let view = observe(now, &seen, &self.policy, &mut memory);
        let mut told = Vec::new();
        let done = match order {
            Order::Report { system, job, due } => {
                let pictures = self.gallery.all();
                week::asked(now, (&system, &job, due), &view, &pictures, &self.policy, &mut memory).map(|report| {
                    told.extend(report.map(|mut report| {
                        let workloads = self.workloads.as_ref().map(|workloads| Arc::clone(&workloads.borrow()));
                        self.background.fill(&mut report, &pictures, workloads.as_deref());
                        fit(report, now)
                    }));
                    Answer::Reported { reported: system }
                })
            }
            order => orders::obey(now, order, &view, &self.policy, &self.desktop, &mut memory),
        };
        let before = std::mem::replace(&mut self.memory, memory);
        let kept = if done.is_ok() { self.save(told).await } else { Ok(()) };
        let said: Result<Answer, Refusal> = match &kept {
            Ok(()) => done,
            Err(error) => {
                self.memory = before;
                Err(Refusal::Unable(format!("it could not be stored, and so is not done: {error}")))
            }
        };
        // Who asked may be gone; what is stored is done all the same.
        let _ = answer.send(said);
        self.show(now, verdict);
        kept
    }

    /// Shows how alerts stand with people, and counts them.
    fn show(&mut self, now: Timestamp, verdict: &Verdict) {
        let (underway, over) = (steps(&self.underway), over(&self.works));
        let seen = Seen { verdict, underway: &underway, over: &over };
        let view = super::notify::mute::view(now, &seen, &self.policy, &self.memory);
        let handled = handled(now, &view, &self.memory);
        self.own
            .handling(&counts(&handled), self.memory.silences.values().filter(|k| k.silence.is_active(now)).count());
        self.handled.send_if_modified(|shown| {
            let changed = **shown != handled;
            if changed {
                *shown = Arc::new(handled);
            }
            changed
        });
    }
}

/// The newest run of each system that is over.
fn over(works: &BTreeMap<SystemId, watch::Receiver<Arc<Lifecycle>>>) -> Over {
    works.iter().map(|(system, work)| (system.clone(), work.borrow().last.clone())).collect()
}

/// All that is under way, on any system.
fn steps(underway: &watch::Receiver<UnderwayNow>) -> Vec<Underway> {
    underway.borrow().values().flatten().cloned().collect()
}

fn handled(now: Timestamp, view: &View<'_>, memory: &Memory) -> BTreeMap<Fingerprint, Handled> {
    let all = view.firing.keys().map(|fingerprint| {
        let muted = view.muted.get(fingerprint);
        let handled = Handled {
            muted: muted.map(|mute| mute.as_str().to_owned()),
            by: muted.map(|mute| mute.by()),
            acknowledged: memory.acknowledged(fingerprint, now).cloned(),
        };
        (*fingerprint, handled)
    });
    all.filter(|(_, handled)| *handled != Handled::default()).collect()
}

fn counts(handled: &BTreeMap<Fingerprint, Handled>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for handled in handled.values() {
        let acknowledged = handled.acknowledged.as_ref().map(|_| "acknowledged".to_owned());
        for state in handled.muted.iter().cloned().chain(acknowledged) {
            *counts.entry(state).or_default() += 1;
        }
    }
    counts
}

/// As many changes as fit beside a mail.
fn take(changes: &mut Vec<(Key, Option<Vec<u8>>)>) -> Batch {
    let mut room = MAX_BATCH - MAIL_ROOM;
    let cost = |(key, value): &(Key, Option<Vec<u8>>)| {
        key.as_str().len() + value.as_ref().map_or(0, Vec::len) + OPERATION_COST
    };
    let fits = changes.iter().take_while(|change| {
        let left = room.checked_sub(cost(change));
        room = left.unwrap_or(0);
        left.is_some()
    });
    let count = fits.count();
    changes.drain(..count).fold(Batch::new(), |batch, (key, value)| match value {
        Some(value) => batch.put(key, value),
        None => batch.delete(key),
    })
}
