//! What the outbox does next: all of its decisions.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;

use super::collapse;
use super::entry::{Entry, MAILS, POSTS, Progress, StoredError, key};
use super::fit::fit;
use crate::alert::mail::outcome::{Outcome, Scope, Trouble};
use crate::backoff::Backoff;
use crate::config::Mail;
use crate::model::alerting::{Held, HoldReason, Kind, MessageId, Notification, NotificationId, Severity, Thread};
use crate::model::unit::Timestamp;
use crate::store::{Batch, MAX_BATCH, State, StoreError};

/// Full jitter over a span that doubles from a minute to an hour.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(60), ceiling: Duration::from_secs(3600) };

/// The longest wait between two tries, as [`BACKOFF`] has it and receivers may ask for it.
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(1);

/// Full jitter may say "at once"; a server that just said no gets at least so long.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// What a mail can carry of what was dropped.
const HELD_IN_ONE_MAIL: usize = 50;

/// Bytes that are left free for what a mail says of those that were dropped.
const HELD_ROOM: usize = 8 * 1024;

/// How much may wait, and for how long.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Entries.
    pub entries: usize,
    /// Bytes of all entries together.
    pub bytes: usize,
    /// A mail that waits longer is given up.
    pub give_up: TimeDelta,
    /// The right side of ids of mails.
    pub domain: String,
    /// Where its entries are in the store.
    pub prefix: &'static str,
}

impl Limits {
    /// What the configuration says.
    pub fn new(mail: &Mail) -> Self {
        Self {
            entries: mail.outbox_max,
            bytes: mail.outbox_max_bytes,
            give_up: TimeDelta::from_std(mail.give_up).unwrap_or(TimeDelta::hours(48)),
            domain: mail.domain.clone(),
            prefix: MAILS,
        }
    }

    /// Those of the webhook.
    pub fn posts() -> Self {
        Self {
            entries: 2_000,
            bytes: 16 << 20,
            give_up: TimeDelta::hours(48),
            domain: "webhook".to_owned(),
            prefix: POSTS,
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Something is to be told. At most as much as [`chunks`](super::chunks) puts together.
    Add(Vec<Notification>),
    /// Nothing is being sent: what comes next?
    Next,
    /// A try to send ended.
    Tried {
        /// Which one.
        id: NotificationId,
        /// How.
        outcome: Outcome,
        /// A random number of 0 to 1, to spread the next tries.
        random: f64,
    },
    /// A person wants everything tried now, what was given up included.
    Flush,
    /// A person wants an entry gone.
    Remove(NotificationId),
}

/// Something worth a log line, a metric or an alert of its own.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Event {
    /// A server took it over for these.
    Sent {
        id: NotificationId,
        kind: &'static str,
        severity: Severity,
        host: String,
        accepted: usize,
        waited: TimeDelta,
    },
    /// A recipient will never get it; the others may.
    Refused { id: NotificationId, address: String, why: String },
    /// It did not go, and is tried again.
    Delayed { id: NotificationId, why: String, until: Timestamp },
    /// It is given up and set aside.
    Failed { id: NotificationId, kind: &'static str, severity: Severity, why: String },
    /// It made room for others.
    Dropped { id: NotificationId, severity: Severity },
    /// Critical mails alone are more than the limits.
    OverLimit { entries: usize, bytes: usize },
    /// It began and ended unsent, and is told once.
    Collapsed { id: NotificationId, into: NotificationId },
}

/// What a step decided. Nothing of it is true before its changes are committed and applied.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    prefix: &'static str,
    changes: BTreeMap<NotificationId, Option<Entry>>,
    pause: Option<Pause>,
    /// The mail to hand over once the changes are stored, to these recipients.
    pub send: Option<(Notification, Vec<String>)>,
    /// What is worth telling once the changes are stored.
    pub events: Vec<Event>,
}

impl Step {
    /// Adds the changes to a batch, which then holds them and what caused them.
    pub fn put_into(&self, mut batch: Batch) -> Result<Batch, StoreError> {
        for (id, entry) in &self.changes {
            let key = key(self.prefix, id)?;
            batch = match entry {
                Some(entry) => batch.put(key, entry.to_bytes()),
                None => batch.delete(key),
            };
        }
        Ok(batch)
    }

    /// Whether there is nothing to store.
    pub fn changes_nothing(&self) -> bool {
        self.changes.is_empty()
    }
}

/// How long nothing is sent at all, since the servers are in trouble.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pause {
    failures: u32,
    until: Option<Timestamp>,
}

/// How long the loop may sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Something can be sent now.
    No,
    /// Something can be sent then.
    Until(Timestamp),
    /// Nothing waits.
    ForInput,
}

/// Everything that waits to be sent.
#[derive(Clone, Debug)]
pub struct Outbox {
    limits: Limits,
    entries: BTreeMap<NotificationId, Entry>,
    sizes: BTreeMap<NotificationId, usize>,
    pause: Pause,
}

impl Outbox {
    /// An empty one.
    pub fn new(limits: Limits) -> Self {
        Self { limits, entries: BTreeMap::new(), sizes: BTreeMap::new(), pause: Pause::default() }
    }

    /// What the last life left behind, and what of it cannot be read. A mail
    /// that was being sent is queued again: a server may have it, or not.
    pub fn load(limits: Limits, state: &State, now: Timestamp) -> (Self, Vec<StoredError>) {
        let mut outbox = Self::new(limits);
        let mut unreadable = Vec::new();
        let prefix = outbox.limits.prefix;
        let ours = state.entries.iter().filter(|(key, _)| key.as_str().starts_with(prefix));
        for (key, bytes) in ours {
            match Entry::from_bytes(key, bytes) {
                Ok(mut entry) => {
                    if matches!(entry.progress, Progress::Sending { .. }) {
                        entry.progress = Progress::Queued { not_before: now };
                    }
                    entry.not_after(now, LONGEST_WAIT);
                    outbox.sizes.insert(entry.notification.id.clone(), bytes.len());
                    outbox.entries.insert(entry.notification.id.clone(), entry);
                }
                Err(error) => unreadable.push(error),
            }
        }
        (outbox, unreadable)
    }

    /// Lets nothing wait longer because the clock was set back by so much.
    pub fn set_back(&mut self, by: TimeDelta) {
        for entry in self.entries.values_mut() {
            entry.queued_at -= by;
            if let Progress::Queued { not_before } = &mut entry.progress {
                *not_before -= by;
            }
        }
        self.pause.until = self.pause.until.map(|until| until - by);
    }

    /// How much may wait in it.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Every entry, by id.
    pub const fn entries(&self) -> &BTreeMap<NotificationId, Entry> {
        &self.entries
    }

    /// Bytes of all entries as they are stored.
    pub fn bytes(&self) -> usize {
        self.sizes.values().sum()
    }

    /// Decides. Nothing changes before [`Outbox::apply`].
    pub fn step(&self, now: Timestamp, input: Input) -> Step {
        let step = match input {
            Input::Add(notifications) => self.add(now, notifications),
            Input::Next => self.next(now),
            Input::Tried { id, outcome, random } => self.tried(now, &id, outcome, random),
            Input::Flush => self.flush(now),
            Input::Remove(id) => {
                let known = self.entries.contains_key(&id);
                Step { changes: known.then_some((id, None)).into_iter().collect(), ..Step::default() }
            }
        };
        Step { prefix: self.limits.prefix, ..step }
    }

    /// Takes over what a step decided, after it was committed.
    pub fn apply(&mut self, step: &Step) {
        for (id, entry) in &step.changes {
            match entry {
                Some(entry) => {
                    self.sizes.insert(id.clone(), entry.to_bytes().len());
                    self.entries.insert(id.clone(), entry.clone());
                }
                None => {
                    self.sizes.remove(id);
                    self.entries.remove(id);
                }
            }
        }
        if let Some(pause) = step.pause {
            self.pause = pause;
        }
    }

    /// How long nothing can be sent.
    pub fn wait(&self, now: Timestamp) -> Wait {
        let ready = self.threads().into_iter().filter_map(|(entry, _)| match entry.progress {
            // Giving up is due even while the servers are in trouble.
            Progress::Queued { not_before } => {
                let after_pause = self.pause.until.map_or(not_before, |until| not_before.max(until));
                Some(after_pause.min(entry.queued_at + self.limits.give_up))
            }
            Progress::Sending { .. } | Progress::Failed { .. } => None,
        });
        match ready.min() {
            None => Wait::ForInput,
            Some(at) if at <= now => Wait::No,
            Some(at) => Wait::Until(at),
        }
    }

    fn add(&self, now: Timestamp, notifications: Vec<Notification>) -> Step {
        let mut step = Step::default();
        for notification in notifications {
            let mut new = notification;
            let gone = collapse::needless(&self.entries, &new, &self.limits.domain);
            if !gone.is_empty() {
                new.kind = Kind::HappenedMeanwhile;
            }
            for id in gone {
                step.events.push(Event::Collapsed { id: id.clone(), into: new.id.clone() });
                step.changes.insert(id, None);
            }
            let new = Entry::new(fit(new, now), now);
            step.changes.insert(new.notification.id.clone(), Some(new));
        }
        self.make_room(&mut step, now);
        step
    }

    /// Drops the oldest of the least grave, never a critical one nor one that is being sent.
    fn make_room(&self, step: &mut Step, now: Timestamp) {
        let changed = |id: &NotificationId| step.changes.contains_key(id);
        let mut sizes: BTreeMap<NotificationId, usize> =
            self.sizes.iter().filter(|(id, _)| !changed(id)).map(|(id, size)| (id.clone(), *size)).collect();
        let added = step.changes.iter().filter_map(|(id, entry)| Some((id.clone(), entry.as_ref()?.to_bytes().len())));
        sizes.extend(added);
        let mut total: usize = sizes.values().sum();
        if sizes.len() <= self.limits.entries && total <= self.limits.bytes {
            return;
        }
        let stored = self.entries.values().filter(|entry| !changed(&entry.notification.id));
        let new = step.changes.values().flatten();
        let mut candidates: Vec<Entry> = stored
            .chain(new)
            .filter(|entry| !matches!(entry.progress, Progress::Sending { .. }))
            .filter(|entry| entry.notification.severity() < Severity::Critical)
            .cloned()
            .collect();
        candidates.sort_by(|a, b| {
            let grave = |entry: &Entry| entry.notification.severity();
            grave(a).cmp(&grave(b)).then(order(a).cmp(&order(b)))
        });
        let mut held = Vec::new();
        let wanted = self.limits.bytes.saturating_sub(HELD_ROOM);
        for Entry { notification: n, queued_at, .. } in candidates {
            if sizes.len() <= self.limits.entries && total <= wanted {
                break;
            }
            let (severity, id) = (n.severity(), n.id.clone());
            total = total.saturating_sub(sizes.remove(&id).unwrap_or(0));
            step.events.push(Event::Dropped { id: id.clone(), severity });
            let summary = n.items.first().map(|item| item.alert.annotations.summary.clone());
            let summary = summary.unwrap_or_else(|| n.kind.as_str().to_owned());
            // What it would have told of others is not lost with it.
            held.extend(n.held);
            held.push(Held { at: queued_at, severity, summary, reason: HoldReason::OutboxFull });
            if self.entries.contains_key(&id) {
                step.changes.insert(id, None);
            } else {
                step.changes.remove(&id);
            }
        }
        if sizes.len() > self.limits.entries || total > self.limits.bytes {
            step.events.push(Event::OverLimit { entries: sizes.len(), bytes: total });
        }
        // What is left of the new ones tells of what was dropped.
        if let Some(entry) = step.changes.values_mut().flatten().next_back() {
            let room = HELD_IN_ONE_MAIL.saturating_sub(entry.notification.held.len());
            let more = held.len().saturating_sub(room);
            entry.notification.held.extend(held.into_iter().take(room));
            if more > 0 {
                entry.notification.left_out.push(format!("{more} more mails were dropped, since the outbox was full."));
            }
            entry.notification = fit(entry.notification.clone(), now);
        }
    }

    fn next(&self, now: Timestamp) -> Step {
        let mut step = Step::default();
        let due = |entry: &Entry| now - entry.queued_at >= self.limits.give_up;
        let waits = |entry: &Entry| matches!(entry.progress, Progress::Queued { .. });
        let mut room = MAX_BATCH / 2;
        for entry in self.entries.values().filter(|entry| waits(entry) && due(entry)) {
            let Some(left) = room.checked_sub(self.size(entry)) else { break };
            room = left;
            let last = entry.last.as_ref().map_or_else(|| "it was never tried".to_owned(), ToString::to_string);
            let span = self.limits.give_up.num_hours();
            give_up(&mut step, entry.clone(), now, format!("no server took it for {span} h; the last one: {last}"));
        }
        if self.pause.until.is_some_and(|until| now < until) {
            return step;
        }
        let ready = |entry: &Entry| matches!(entry.progress, Progress::Queued { not_before } if not_before <= now);
        let ready = self.threads().into_iter().filter(|(entry, _)| ready(entry) && !due(entry));
        // The gravest first, the oldest of those first.
        let next =
            ready.min_by(|(a, a_gravest), (b, b_gravest)| b_gravest.cmp(a_gravest).then(order(a).cmp(&order(b))));
        let next = next.map(|(entry, _)| entry);
        if let Some(entry) = next {
            let mut entry = entry.clone();
            entry.progress = Progress::Sending { since: now };
            step.send = Some((entry.notification.clone(), entry.pending()));
            step.changes.insert(entry.notification.id.clone(), Some(entry));
        }
        step
    }

    fn tried(&self, now: Timestamp, id: &NotificationId, outcome: Outcome, random: f64) -> Step {
        let mut step = Step::default();
        let Some(mut entry) = self.entries.get(id).cloned() else { return step };
        match outcome {
            Outcome::Sent { host, accepted, refused, deferred } => {
                step.pause = Some(Pause::default());
                let n = &entry.notification;
                step.events.push(Event::Sent {
                    id: id.clone(),
                    kind: n.kind.as_str(),
                    severity: n.severity(),
                    host,
                    accepted: accepted.len(),
                    waited: now - n.created_at,
                });
                entry.accepted.extend(accepted);
                refuse(&mut step, &mut entry, refused);
                match deferred.into_iter().next_back() {
                    Some((_, why)) => delay(&mut step, entry, now, why, None, random),
                    None => {
                        step.changes.insert(id.clone(), None);
                    }
                }
            }
            Outcome::Retry { after, why, refused } => {
                if why.scope == Scope::Server {
                    let failures = self.pause.failures.saturating_add(1);
                    let until = now + wait(failures, random, after);
                    step.pause = Some(Pause { failures, until: Some(until) });
                }
                refuse(&mut step, &mut entry, refused);
                if entry.pending().is_empty() {
                    give_up(&mut step, entry, now, why.to_string());
                } else if now - entry.queued_at >= self.limits.give_up {
                    entry.last = Some(why.clone());
                    let span = self.limits.give_up.num_hours();
                    give_up(&mut step, entry, now, format!("no server took it for {span} h; the last one: {why}"));
                } else {
                    delay(&mut step, entry, now, why, after, random);
                }
            }
            Outcome::Failed { why, refused } => {
                step.pause = Some(Pause::default());
                refuse(&mut step, &mut entry, refused);
                entry.last = Some(why.clone());
                if entry.accepted.is_empty() {
                    give_up(&mut step, entry, now, why.to_string());
                } else {
                    // Somebody has it; who is left was refused, and that was told.
                    step.changes.insert(id.clone(), None);
                }
            }
        }
        step
    }

    /// As much as fits into one batch; the caller repeats it until it changes nothing.
    fn flush(&self, now: Timestamp) -> Step {
        let mut step = Step { pause: Some(Pause::default()), ..Step::default() };
        let mut room = MAX_BATCH / 2;
        for (id, entry) in &self.entries {
            let mut entry = entry.clone();
            match entry.progress {
                Progress::Sending { .. } => continue,
                Progress::Queued { not_before } if not_before <= now => continue,
                Progress::Queued { .. } => {}
                Progress::Failed { .. } => {
                    // A person looked at it: refusals and the 48 hours begin anew.
                    entry.queued_at = now;
                    entry.refused.clear();
                    entry.failures = 0;
                }
            }
            let Some(left) = room.checked_sub(self.size(&entry)) else { break };
            room = left;
            entry.progress = Progress::Queued { not_before: now };
            step.changes.insert(id.clone(), Some(entry));
        }
        step
    }

    fn size(&self, entry: &Entry) -> usize {
        self.sizes.get(&entry.notification.id).copied().unwrap_or(0)
    }

    /// For each thread its oldest open entry, since an answer never goes before
    /// what it answers, and the gravest severity of all that wait in it, so that
    /// what is grave does not wait behind the rest.
    fn threads(&self) -> Vec<(&Entry, Severity)> {
        let mut threads: BTreeMap<MessageId, (&Entry, Severity)> = BTreeMap::new();
        for entry in self.entries.values().filter(|entry| entry.is_open()) {
            let severity = entry.notification.severity();
            let (head, gravest) = threads.entry(self.root(entry)).or_insert((entry, severity));
            if order(entry) < order(head) {
                *head = entry;
            }
            *gravest = severity.max(*gravest);
        }
        threads.into_values().collect()
    }

    fn root(&self, entry: &Entry) -> MessageId {
        match &entry.notification.thread {
            Thread::Root => MessageId::of(&entry.notification.id, &self.limits.domain),
            Thread::Reply { root, .. } => root.clone(),
        }
    }
}

/// The order in which entries were decided; those of one moment have the root of a thread first.
fn order(entry: &Entry) -> (Timestamp, Timestamp, bool, &NotificationId) {
    let n = &entry.notification;
    (entry.queued_at, n.created_at, n.thread != Thread::Root, &n.id)
}

fn refuse(step: &mut Step, entry: &mut Entry, refused: Vec<(String, Trouble)>) {
    for (address, why) in refused {
        let why = why.to_string();
        let id = entry.notification.id.clone();
        step.events.push(Event::Refused { id, address: address.clone(), why: why.clone() });
        entry.refused.insert(address, why);
    }
}

fn delay(step: &mut Step, mut entry: Entry, now: Timestamp, why: Trouble, after: Option<Duration>, random: f64) {
    entry.failures = entry.failures.saturating_add(1);
    // When the server is in trouble, the pause is what waits; the mail is tried once it is over.
    let until = match why.scope {
        Scope::Server => now,
        Scope::Mail => now + wait(entry.failures, random, after),
    };
    let id = entry.notification.id.clone();
    let told = step.pause.and_then(|pause| pause.until).unwrap_or(until);
    step.events.push(Event::Delayed { id: id.clone(), why: why.to_string(), until: told });
    entry.progress = Progress::Queued { not_before: until };
    entry.last = Some(why);
    step.changes.insert(id, Some(entry));
}

fn give_up(step: &mut Step, mut entry: Entry, now: Timestamp, why: String) {
    let n = &entry.notification;
    let (id, kind, severity) = (n.id.clone(), n.kind.as_str(), n.severity());
    step.events.push(Event::Failed { id: id.clone(), kind, severity, why: why.clone() });
    entry.progress = Progress::Failed { at: now, why };
    step.changes.insert(id, Some(entry));
}

fn wait(failures: u32, random: f64, after: Option<Duration>) -> TimeDelta {
    let wait = BACKOFF.wait(failures, random).max(SHORTEST_WAIT).max(after.unwrap_or_default());
    TimeDelta::from_std(wait).unwrap_or(TimeDelta::hours(1))
}
