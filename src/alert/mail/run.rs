//! The loop between the outbox and the servers: stores, sends, stores what
//! became of it, and tells how it goes.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Duration, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::health::MailHealth;
use super::outcome::{Outcome, Scope, Stage, Trouble};
use super::render::{Settings, addresses, render};
use super::smtp::Mailer;
use crate::alert::outbox::{Event, Input, Limits, Outbox, Step, Wait};
use crate::alert::receiver::webhook::{self, Webhook};
use crate::clock;
use crate::metrics::Own;
use crate::model::alerting::{Notification, NotificationId};
use crate::model::unit::Timestamp;
use crate::store::{Batch, Desk, StoreError};

/// Commands that wait; the engine sends a few with each poll.
const WAITING: usize = 64;

/// A mail that is being handed over gets so long to end when the process does.
const GRACE: Duration = Duration::from_secs(8);

/// A change that the store refused for a moment is tried again so soon.
const STORE_PAUSE: Duration = Duration::from_millis(500);

/// What can be asked of the loop.
#[derive(Debug)]
pub enum Command {
    /// Tell these. Both they and the changes that caused them are stored, or none of it.
    Add {
        /// At most as many as [`chunks`](crate::alert::outbox::chunks) puts together.
        notifications: Vec<Notification>,
        /// The alert changes that caused them.
        with: Batch,
        /// Hears when the disk has it.
        done: oneshot::Sender<Result<(), StoreError>>,
    },
    /// Try everything now, what was given up included.
    Flush {
        /// Hears how many are tried.
        done: oneshot::Sender<usize>,
    },
    /// Throw an entry away.
    Remove {
        /// Which one.
        id: NotificationId,
        /// Hears whether it was there.
        done: oneshot::Sender<bool>,
    },
    /// Show what waits.
    List {
        /// Hears it.
        done: oneshot::Sender<Vec<crate::alert::outbox::Entry>>,
    },
}

/// Speaks to the loop, and to those of other receivers that are told the same.
#[derive(Clone, Debug)]
pub struct Post {
    sender: mpsc::Sender<Command>,
    limits: Limits,
    /// Whether it only hears what is for programs.
    is_program: bool,
    others: Vec<Post>,
}

impl Post {
    /// Has the webhook told too of what is for programs.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.others.push(other);
        self
    }

    /// Has notifications told; when this returns, they and their cause are on disk, for every receiver.
    pub async fn add(&self, notifications: Vec<Notification>, with: Batch) -> Result<(), StoreError> {
        let now = clock::now();
        let mut whole = with;
        let posts: Vec<Notification> = notifications.iter().filter_map(as_post).collect();
        for other in &self.others {
            whole = Outbox::new(other.limits.clone()).step(now, Input::Add(posts.clone())).put_into(whole)?;
        }
        self.add_own(if self.is_program { posts.clone() } else { notifications }, whole).await?;
        for other in &self.others {
            // On disk already: should this fail, they go out after the next start.
            if let Err(error) = other.add_own(posts.clone(), Batch::new()).await {
                if error.is_fatal() {
                    return Err(error);
                }
                warn!(%error, "what the webhook has to hear waits for the next start");
            }
        }
        Ok(())
    }

    async fn add_own(&self, notifications: Vec<Notification>, with: Batch) -> Result<(), StoreError> {
        let (done, answer) = oneshot::channel();
        let command = Command::Add { notifications, with, done };
        self.sender.send(command).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Has everything tried now; tells how many mails that are.
    pub async fn flush(&self) -> Option<usize> {
        let (done, answer) = oneshot::channel();
        self.sender.send(Command::Flush { done }).await.ok()?;
        answer.await.ok()
    }

    /// Throws an entry away; tells whether it was there.
    pub async fn remove(&self, id: NotificationId) -> Option<bool> {
        let (done, answer) = oneshot::channel();
        self.sender.send(Command::Remove { id, done }).await.ok()?;
        answer.await.ok()
    }

    /// What waits or was given up.
    pub async fn list(&self) -> Option<Vec<crate::alert::outbox::Entry>> {
        let (done, answer) = oneshot::channel();
        self.sender.send(Command::List { done }).await.ok()?;
        answer.await.ok()
    }
}

/// By which way notifications go.
pub enum Carrier {
    /// By mail.
    Mail(Box<Mailer>, Box<Settings>),
    /// By a post to a program.
    Webhook(Webhook),
}

impl Carrier {
    async fn carry(&mut self, n: &Notification, recipients: &[String], now: Timestamp) -> Outcome {
        match self {
            Self::Mail(mailer, settings) => hand_over(mailer, n, recipients, settings, now).await,
            Self::Webhook(webhook) => webhook.send(n).await,
        }
    }

    async fn close(&mut self) {
        match self {
            Self::Mail(mailer, _) => mailer.close().await,
            Self::Webhook(_) => {}
        }
    }

    const fn channel(&self) -> &'static str {
        match self {
            Self::Mail(..) => "mail",
            Self::Webhook(_) => webhook::NAME,
        }
    }
}

/// The loop with all it owns.
pub struct Postman {
    outbox: Outbox,
    desk: Desk,
    carrier: Option<Carrier>,
    channel: &'static str,
    own: Option<Arc<Own>>,
    checker: Option<Mailer>,
    commands: mpsc::Receiver<Command>,
    health: watch::Sender<MailHealth>,
    random: fn() -> f64,
    clock: fn() -> Timestamp,
    /// The last look at the clock.
    looked: Timestamp,
}

type Handing = Pin<Box<dyn Future<Output = (Carrier, NotificationId, Outcome)> + Send>>;
type Checking = Pin<Box<dyn Future<Output = Vec<(String, Result<(), Trouble>)>> + Send>>;

impl Postman {
    /// Takes over the outbox. `checker` asks the servers once at the start
    /// whether they would let us in, beside the first mails.
    pub fn new(
        outbox: Outbox,
        desk: Desk,
        carrier: Carrier,
        checker: Option<Mailer>,
    ) -> (Self, Post, watch::Receiver<MailHealth>) {
        let (sender, commands) = mpsc::channel(WAITING);
        let mut health = MailHealth::default();
        health.look(&outbox);
        let (health, receiver) = watch::channel(health);
        let channel = carrier.channel();
        let is_program = matches!(carrier, Carrier::Webhook(_));
        let post = Post { sender, limits: outbox.limits().clone(), is_program, others: Vec::new() };
        let random = rand::random::<f64>;
        let carrier = Some(carrier);
        let (clock, looked): (fn() -> Timestamp, _) = (clock::now, clock::now());
        let own = None;
        let postman = Self { outbox, desk, carrier, channel, own, checker, commands, health, random, clock, looked };
        (postman, post, receiver)
    }

    /// How its receiver is called.
    pub const fn channel(&self) -> &'static str {
        self.channel
    }

    /// Counts what becomes of notifications.
    #[must_use]
    pub fn counted_by(mut self, own: Arc<Own>) -> Self {
        self.own = Some(own);
        self.count();
        self
    }

    /// Takes another source of random numbers of 0 to 1, which spread the next tries.
    #[must_use]
    pub fn with_random(mut self, random: fn() -> f64) -> Self {
        self.random = random;
        self
    }

    /// Takes another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: fn() -> Timestamp) -> Self {
        self.clock = clock;
        self.looked = clock();
        self
    }

    /// The time now. When the clock was set back, nothing waits until it has caught up.
    fn now(&mut self) -> Timestamp {
        let now = (self.clock)();
        if now < self.looked {
            self.outbox.set_back(self.looked - now);
        }
        self.looked = now;
        now
    }

    /// Sends until told to stop. An error means that the disk is in doubt.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), StoreError> {
        let mut handing: Option<Handing> = None;
        let mut checking: Option<Checking> =
            self.checker.take().map(|mut checker| Box::pin(async move { checker.verify().await }) as Checking);
        loop {
            let mut pause = None;
            if handing.is_none() && !stop.is_cancelled() {
                let now = self.now();
                match self.outbox.wait(now) {
                    Wait::ForInput => {}
                    Wait::Until(at) => pause = Some((at - now).to_std().unwrap_or_default()),
                    Wait::No => match self.next().await? {
                        Some(begun) => handing = Some(begun),
                        None => pause = Some(STORE_PAUSE),
                    },
                }
            }
            tokio::select! {
                (carrier, id, outcome) = until(&mut handing) => {
                    handing = None;
                    self.carrier = Some(carrier);
                    self.tried(id, outcome).await?;
                }
                answers = until(&mut checking) => {
                    checking = None;
                    self.checked(answers);
                }
                command = self.commands.recv() => match command {
                    Some(command) => self.obey(command).await?,
                    None => break,
                },
                () = nap(pause), if pause.is_some() => {}
                () = stop.cancelled() => break,
            }
        }
        if let Some(handing) = handing {
            // What does not end in time stays "being sent" and goes out again under the same id.
            if let Ok((carrier, id, outcome)) = timeout(GRACE, handing).await {
                self.carrier = Some(carrier);
                self.tried(id, outcome).await?;
            }
        }
        if let Some(mut carrier) = self.carrier.take() {
            carrier.close().await;
        }
        Ok(())
    }

    /// Begins with the next mail; none when the store has no time just now, or nothing was left to send.
    async fn next(&mut self) -> Result<Option<Handing>, StoreError> {
        let now = self.now();
        let step = self.outbox.step(now, Input::Next);
        if !self.keep(&step, Batch::new(), now).await? {
            return Ok(None);
        }
        let Some((notification, recipients)) = step.send else { return Ok(None) };
        let Some(mut carrier) = self.carrier.take() else { return Ok(None) };
        Ok(Some(Box::pin(async move {
            let outcome = carrier.carry(&notification, &recipients, now).await;
            (carrier, notification.id, outcome)
        })))
    }

    async fn tried(&mut self, id: NotificationId, outcome: Outcome) -> Result<(), StoreError> {
        let random = (self.random)();
        loop {
            let now = self.now();
            let step = self.outbox.step(now, Input::Tried { id: id.clone(), outcome: outcome.clone(), random });
            if self.keep(&step, Batch::new(), now).await? {
                return Ok(());
            }
            // Without this the mail would go out again.
            sleep(STORE_PAUSE).await;
        }
    }

    async fn obey(&mut self, command: Command) -> Result<(), StoreError> {
        let now = self.now();
        match command {
            Command::Add { notifications, with, done } => {
                let step = self.outbox.step(now, Input::Add(notifications));
                let kept = match step.put_into(with) {
                    Ok(batch) => self.desk.commit(batch).await,
                    Err(error) => Err(error),
                };
                let fatal = kept.as_ref().is_err_and(StoreError::is_fatal);
                if kept.is_ok() {
                    self.take_over(&step, now);
                }
                // Who asked may be gone; what is stored is told all the same.
                let _ = done.send(kept);
                if fatal {
                    return Err(StoreError::Closed);
                }
            }
            Command::Flush { done } => {
                loop {
                    let step = self.outbox.step(now, Input::Flush);
                    let more = !step.changes_nothing();
                    if !self.keep(&step, Batch::new(), now).await? || !more {
                        break;
                    }
                }
                let _ = done.send(self.health.borrow().waiting);
            }
            Command::Remove { id, done } => {
                let step = self.outbox.step(now, Input::Remove(id));
                let there = !step.changes_nothing();
                let _ = done.send(self.keep(&step, Batch::new(), now).await? && there);
            }
            Command::List { done } => {
                let _ = done.send(self.outbox.entries().values().cloned().collect());
            }
        }
        Ok(())
    }

    /// Stores a step and takes it over; false when the store had no time for it.
    async fn keep(&mut self, step: &Step, with: Batch, now: Timestamp) -> Result<bool, StoreError> {
        if !step.changes_nothing() {
            match self.desk.commit(step.put_into(with)?).await {
                Ok(()) => {}
                Err(error) if error.may_retry() => {
                    warn!(%error, "the outbox was not stored; it is tried again");
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        self.take_over(step, now);
        Ok(true)
    }

    fn take_over(&mut self, step: &Step, now: Timestamp) {
        self.outbox.apply(step);
        step.events.iter().for_each(log);
        self.health.send_modify(|health| {
            step.events.iter().for_each(|event| health.note(event, now));
            health.look(&self.outbox);
        });
        if let Some(own) = &self.own {
            step.events.iter().for_each(|event| count(own, self.channel, event));
        }
        self.count();
    }

    fn count(&self) {
        if let Some(own) = &self.own {
            let health = self.health.borrow();
            own.spool(self.channel, health.waiting, health.oldest, health.failed, health.refused.len());
        }
    }

    fn checked(&self, answers: Vec<(String, Result<(), Trouble>)>) {
        for (host, answer) in &answers {
            match answer {
                Ok(()) => info!(%host, "the mail server lets us in"),
                Err(trouble) => error!(%host, %trouble, "the mail server does not let us in"),
            }
        }
        let refused = answers.into_iter().filter_map(|(host, answer)| Some((host, answer.err()?.to_string())));
        self.health.send_modify(|health| health.refused_at_start = refused.collect());
    }
}

/// Renders a mail and hands it over. What cannot be rendered can never be sent, and fails for good.
async fn hand_over(
    mailer: &mut Mailer,
    notification: &Notification,
    recipients: &[String],
    settings: &Settings,
    now: Timestamp,
) -> Outcome {
    let ours = |what: String| Trouble {
        host: "sio".to_owned(),
        stage: Stage::Recipient,
        reply: None,
        what,
        scope: Scope::Mail,
    };
    let (to, bad) = addresses(recipients);
    let bad = bad.into_iter().map(|text| (text, ours("is no mail address".to_owned()))).collect::<Vec<_>>();
    let mut outcome = match render(notification, settings, now) {
        Ok(_) if to.is_empty() => {
            Outcome::Failed { why: ours("no recipient has a mail address".to_owned()), refused: Vec::new() }
        }
        Ok(message) => mailer.send(&to, &message.formatted()).await,
        Err(error) => {
            let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            Outcome::Failed { why: ours(format!("{error}{source}")), refused: Vec::new() }
        }
    };
    match &mut outcome {
        Outcome::Sent { refused, .. } | Outcome::Retry { refused, .. } | Outcome::Failed { refused, .. } => {
            refused.extend(bad);
        }
    }
    outcome
}

/// What programs hear of a notification; none when it is only for people.
fn as_post(n: &Notification) -> Option<Notification> {
    webhook::is_for_programs(n).then(|| Notification { recipients: vec![webhook::NAME.to_owned()], ..n.clone() })
}

fn count(own: &Own, channel: &str, event: &Event) {
    match event {
        Event::Sent { kind, severity, waited, .. } => {
            own.notified(channel, severity.as_str(), kind, "sent");
            own.delivered(channel, waited.to_std().unwrap_or_default());
        }
        Event::Failed { kind, severity, .. } => own.notified(channel, severity.as_str(), kind, "failed"),
        Event::Dropped { severity, .. } => own.notified(channel, severity.as_str(), "any", "dropped"),
        Event::Refused { .. } | Event::Delayed { .. } | Event::OverLimit { .. } | Event::Collapsed { .. } => {}
    }
}

/// Waits for what is under way, or for ever when nothing is.
async fn until<T>(future: &mut Option<Pin<Box<dyn Future<Output = T> + Send>>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn nap(span: Option<Duration>) {
    sleep(span.unwrap_or_default()).await;
}

fn log(event: &Event) {
    match event {
        Event::Sent { id, kind, host, accepted, waited, .. } => {
            info!(%id, kind, %host, accepted, seconds = waited.num_seconds(), "mail sent");
        }
        Event::Refused { id, address, why } => warn!(%id, %address, %why, "a recipient is refused for good"),
        Event::Delayed { id, why, until } => warn!(%id, %why, %until, "mail not sent; it is tried again"),
        Event::Failed { id, kind, severity, why } => error!(%id, kind, %severity, %why, "mail given up; it is kept"),
        Event::Dropped { id, severity } => error!(%id, %severity, "mail dropped, since the outbox is full"),
        Event::OverLimit { entries, bytes } => error!(entries, bytes, "critical mails alone fill the outbox"),
        Event::Collapsed { id, into } => info!(%id, %into, "began and ended while mail was down; told once"),
    }
}
