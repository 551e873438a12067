//! The loop between the masters, the store, and everybody who wants to know:
//! it reads events, lets [`Scheduler`] decide, stores, calls and publishes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::offer::{self, Wanted};
use super::status::Board;
use crate::backoff::Backoff;
use crate::clock;
use crate::config::Mesos;
use crate::mesos::MesosError;
use crate::mesos::client::{Caller, Heard, Master, Session};
use crate::mesos::scheduler::{Effect, End, Memory, Notice, Policy, Scheduler, Template, Write};
use crate::mesos::wire::{Call, Event, FrameworkInfo};
use crate::model::framework::{ExecutorMessage, FrameworkOrder, FrameworkStatus, Registration};
use crate::model::id::{AgentId, FrameworkId, SystemId, TaskId};
use crate::model::offer::{Stays, Vote};
use crate::model::workload::Workloads;
use crate::store::{Batch, Desk, Key, State, StoreError};

/// Tries to subscribe. The first one is quick: an election takes moments.
const RECONNECT: Backoff = Backoff { first: Duration::from_millis(500), ceiling: Duration::from_secs(15) };
/// Tries that only a person can make succeed.
const RECONNECT_SLOWLY: Duration = Duration::from_secs(30);
/// Heartbeats that may be missed. A paused master keeps its connections open.
const HEARTBEATS: u32 = 5;
/// What is due is looked for, and what changed is published, this often.
const TICK: Duration = Duration::from_millis(200);
/// Changes in one commit; each is at most about 500 bytes.
const WRITES: usize = 400;
/// A person may hold the store for a moment.
const BUSY_PAUSE: Duration = Duration::from_millis(500);
/// Calls that are under way at once, of those whose order says nothing. A master answers them one after the other, and who
/// has few on their way waits behind all that others ask of it.
const CALLS_AT_ONCE: usize = 32;
/// Orders and messages that wait.
const WAITING: usize = 1024;

/// What happens, for metrics and for tests that end the process at any of these points.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Seen<'a> {
    Event {
        kind: &'static str,
    },
    Malformed,
    Offer {
        action: &'static str,
        reason: &'static str,
    },
    /// An effect is about to happen.
    Before {
        effect: &'a str,
    },
    /// An effect has happened.
    After {
        effect: &'a str,
    },
}

/// The operator API of a master that leads answers within a second or so.
const LOOK_AROUND: Duration = Duration::from_secs(10);

/// Told about everything that happens; must be cheap.
pub type OnSeen = Arc<dyn Fn(&Seen<'_>) + Send + Sync>;

/// What the framework is started with.
pub struct Settings {
    /// The section of the configuration.
    pub mesos: Mesos,
    /// What is launched on agents; none: nothing is rolled out.
    pub template: Option<Template>,
    /// Systems that an agent may name.
    pub systems: BTreeSet<SystemId>,
    /// How the host is called on the masters' page.
    pub hostname: Option<String>,
}

/// How others reach the framework.
pub struct Handles {
    /// What is asked of it.
    pub orders: mpsc::Sender<FrameworkOrder>,
    /// How it stands.
    pub status: watch::Receiver<Arc<FrameworkStatus>>,
    /// What executors say.
    pub messages: mpsc::Receiver<ExecutorMessage>,
}

/// Our framework at one Mesos cluster.
pub struct Framework {
    master: Master,
    scheduler: Scheduler,
    info: FrameworkInfo,
    wanted: Wanted,
    template: Template,
    votes: BTreeMap<AgentId, Vote>,
    desk: Desk,
    board: Board,
    orders: mpsc::Receiver<FrameworkOrder>,
    messages: mpsc::Sender<ExecutorMessage>,
    on_seen: OnSeen,
    /// What runs on agents, as the master tells it.
    census: Option<watch::Receiver<Arc<Workloads>>>,
}

/// Why the framework cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The settings do not work.
    #[error("the Mesos cluster cannot be used")]
    Mesos(#[from] MesosError),
    /// What is stored about it cannot be read.
    #[error("what is stored about the framework cannot be used")]
    Memory(#[from] crate::mesos::scheduler::Unreadable),
    /// The store failed.
    #[error("the state of the framework cannot be stored")]
    Store(#[from] StoreError),
}

/// Why a session is over.
enum Over {
    /// The stream or a call failed, or the framework has ended.
    Session(Option<MesosError>),
    /// Everything ends.
    Stopped,
    Fatal(FleetError),
}

impl From<FleetError> for Over {
    fn from(error: FleetError) -> Self {
        Self::Fatal(error)
    }
}

impl Framework {
    /// Takes up what the store has of it.
    pub fn new(settings: Settings, desk: Desk, state: &State, on_seen: OnSeen) -> Result<(Self, Handles), FleetError> {
        let Settings { mesos, template, systems, hostname } = settings;
        let memory = Memory::read(state.entries.iter().map(|(key, value)| (key.as_str(), value.as_slice())))?;
        let rollout = template.is_some();
        let scheduler = Scheduler::new(memory, !rollout);
        let (board, status) = Board::new(&mesos.cluster, &scheduler);
        let (orders_in, orders) = mpsc::channel(WAITING);
        let (messages, messages_out) = mpsc::channel(WAITING);
        let info = FrameworkInfo {
            user: mesos.user.clone(),
            name: mesos.name.clone(),
            hostname,
            principal: mesos.login.as_ref().map(|login| login.user.clone()),
            roles: mesos.roles.clone(),
            failover_timeout: mesos.failover_timeout,
            webui_url: mesos.webui_url.clone(),
        };
        let wanted = Wanted {
            rollout,
            cpus: mesos.executor_cpus,
            mem: mesos.executor_mem,
            roles: mesos.roles.iter().cloned().collect(),
            systems,
        };
        let template = template.unwrap_or_else(|| Template {
            command: String::new(),
            uris: Vec::new(),
            environment: Vec::new(),
            cpus: mesos.executor_cpus,
            mem: mesos.executor_mem,
            grace: Duration::ZERO,
        });
        let framework = Self {
            master: Master::new(&mesos)?,
            scheduler,
            info,
            wanted,
            template,
            votes: BTreeMap::new(),
            desk,
            board,
            orders,
            messages,
            on_seen,
            census: None,
        };
        Ok((framework, Handles { orders: orders_in, status, messages: messages_out }))
    }

    /// Starts no task beside one of a life that this store knows nothing of.
    #[must_use]
    pub fn minding(self, census: watch::Receiver<Arc<Workloads>>) -> Self {
        Self { census: Some(census), ..self }
    }

    /// Tasks of frameworks of our name that are none of ours, by agent.
    fn of_another_life(&self) -> BTreeMap<AgentId, TaskId> {
        let Some(census) = &self.census else { return BTreeMap::new() };
        let census = census.borrow();
        let ours: BTreeSet<&TaskId> = self.scheduler.tasks().values().map(|task| &task.task).collect();
        let others = census.tasks.iter().filter(|task| *task.framework == *self.info.name);
        let others = others.filter(|task| !ours.contains(&task.task));
        others.map(|task| (task.agent.clone(), task.task.clone())).collect()
    }

    /// Who registers for the first time must know before what runs already.
    async fn look_around(&mut self) {
        let is_new = self.scheduler.framework().is_none() && self.scheduler.over().is_none();
        let Some(census) = self.census.as_mut().filter(|_| is_new) else { return };
        let told = census.wait_for(|census| census.taken_at.is_some() || census.problem.is_some());
        // A master that does not tell an operator anything registers frameworks all the same.
        if tokio::time::timeout(LOOK_AROUND, told).await.is_err() {
            warn!("the Mesos master does not tell what runs; tasks of an earlier life of this controller are not seen");
        }
    }

    /// The loop.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), FleetError> {
        let mut failures = 0_u32;
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = self.look_around() => {}
        }
        loop {
            if let Some(end) = self.scheduler.over() {
                let end = end.clone();
                if !self.wait_for_person(&end, &stop).await? {
                    return Ok(());
                }
            }
            let over = self.session(&mut failures, &stop).await;
            self.scheduler.disconnected();
            let error = match over {
                Over::Stopped => return Ok(()),
                Over::Fatal(error) => return Err(error),
                Over::Session(error) => error,
            };
            if self.scheduler.over().is_some() {
                continue;
            }
            failures = failures.saturating_add(1);
            let wait = RECONNECT.wait(failures, rand::random());
            let slow = error.as_ref().is_some_and(|error| !error.may_retry_soon());
            let wait = if slow { wait.max(RECONNECT_SLOWLY) } else { wait };
            let told = error.as_ref().map(chain);
            // One line for each change, not for each try.
            if failures == 1 || self.board.is_other_error(told.as_deref()) {
                warn!(
                    failures,
                    error = told.as_deref().unwrap_or("the master ended the stream"),
                    "not registered with Mesos"
                );
            }
            self.board.registration(Registration::Disconnected { error: told.map(Into::into), failures });
            self.board.publish(&self.scheduler);
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Nothing is tried any more until a person says so; monitoring goes on.
    async fn wait_for_person(&mut self, end: &End, stop: &CancellationToken) -> Result<bool, FleetError> {
        let registration = match end {
            End::Removed { message } => Registration::Removed { error: message.clone() },
            End::Superseded => Registration::Superseded,
        };
        error!(mend = registration.mend(), ?end, "the framework is over");
        self.board.registration(registration);
        self.board.publish(&self.scheduler);
        loop {
            let order = tokio::select! {
                () = stop.cancelled() => return Ok(false),
                order = self.orders.recv() => order,
            };
            match order {
                Some(FrameworkOrder::RegisterAnew) if matches!(end, End::Removed { .. }) => {
                    info!("the framework registers anew");
                    let effects = self.scheduler.register_anew();
                    self.perform(effects, None).await?;
                    return Ok(true);
                }
                Some(FrameworkOrder::Votes(votes)) => self.votes = votes,
                // Nobody is there to take a message.
                Some(
                    FrameworkOrder::Message { .. }
                    | FrameworkOrder::RegisterAnew
                    | FrameworkOrder::Hold(_)
                    | FrameworkOrder::TearDown { .. },
                ) => {}
                None => {
                    stop.cancelled().await;
                    return Ok(false);
                }
            }
        }
    }

    /// From one subscription to its end.
    async fn session(&mut self, failures: &mut u32, stop: &CancellationToken) -> Over {
        let framework = self.scheduler.framework().cloned();
        let subscribing = self.master.subscribe(&self.info, framework.as_ref(), self.scheduler.is_suppressed());
        let (mut session, caller) = tokio::select! {
            () = stop.cancelled() => return Over::Stopped,
            answer = subscribing => match answer {
                Ok(opened) => opened,
                Err(error) => return Over::Session(Some(error)),
            }
        };
        match self.listen(&mut session, &caller, failures, stop).await {
            Ok(never) => match never {},
            Err(over) => over,
        }
    }

    async fn listen(
        &mut self,
        session: &mut Session,
        caller: &Caller,
        failures: &mut u32,
        stop: &CancellationToken,
    ) -> Result<std::convert::Infallible, Over> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        let mut patience = HEARTBEATS * Duration::from_secs(15);
        let mut orders_open = true;
        let begun = heard;
        loop {
            // A master that takes us and sends us away at once is not asked ever again without a pause.
            if begun.elapsed() >= RECONNECT.ceiling {
                *failures = 0;
            }
            let effects = tokio::select! {
                () = stop.cancelled() => return Err(Over::Stopped),
                event = session.event() => {
                    heard = Instant::now();
                    let heard = event.map_err(|error| Over::Session(Some(error)))?;
                    if let Ok(event) = &heard {
                        if let Event::Subscribed { heartbeat, .. } = event {
                            patience = *heartbeat * HEARTBEATS;
                            info!(master = %session.master, "registered with Mesos");
                        }
                        self.board.heard(&session.master.to_string());
                    }
                    self.on_heard(heard)
                }
                order = self.orders.recv(), if orders_open => match order {
                    Some(order) => {
                        let mut effects = self.obey(order);
                        while let Ok(more) = self.orders.try_recv() {
                            effects.extend(self.obey(more));
                        }
                        effects
                    }
                    None => {
                        orders_open = false;
                        Vec::new()
                    }
                },
                _ = tick.tick() => {
                    if heard.elapsed() > patience {
                        return Err(Over::Session(Some(MesosError::Silent { seconds: patience.as_secs() })));
                    }
                    self.board.publish(&self.scheduler);
                    self.scheduler.on_tick(clock::now(), rand::random())
                }
            };
            let failed = self.perform(effects, Some(caller)).await?;
            if self.scheduler.over().is_some() {
                return Err(Over::Session(None));
            }
            if let Some(error) = failed {
                return Err(Over::Session(Some(error)));
            }
        }
    }

    /// What follows from a wish of others.
    fn obey(&mut self, order: FrameworkOrder) -> Vec<Effect> {
        match order {
            FrameworkOrder::Message { agent, executor, data } => {
                vec![Effect::Call(Call::Message { agent, executor, data })]
            }
            FrameworkOrder::Votes(votes) => {
                self.votes = votes;
                Vec::new()
            }
            FrameworkOrder::RegisterAnew => Vec::new(),
            FrameworkOrder::Hold(hold) => {
                info!(hold, "offers are held back, or asked for again, as a person said");
                self.scheduler.hold(hold)
            }
            FrameworkOrder::TearDown { by } => {
                warn!(by, "the framework is torn down; its tasks end, and node agents go on");
                self.scheduler.tear_down(&by)
            }
        }
    }

    /// What follows from what was heard.
    fn on_heard(&mut self, heard: Heard) -> Vec<Effect> {
        match heard {
            Ok(event) => self.on_event(event),
            Err(malformed) => {
                (self.on_seen)(&Seen::Malformed);
                warn!(error = %malformed, "an event of the master is left out");
                Vec::new()
            }
        }
    }

    fn on_event(&mut self, event: Event) -> Vec<Effect> {
        (self.on_seen)(&Seen::Event { kind: event.kind() });
        if let Event::Offers { unreadable, .. } = &event
            && *unreadable > 0
        {
            warn!(unreadable, "offers that cannot be read are left out; Mesos takes them back in time");
        }
        let now = clock::now();
        let wanted = &self.wanted;
        let others = if matches!(event, Event::Offers { .. }) { self.of_another_life() } else { BTreeMap::new() };
        let judge = |offer: &crate::model::mesos::Offer, known: crate::model::offer::Known<'_>| {
            let known = crate::model::offer::Known { of_another_life: others.get(&offer.agent), ..known };
            offer::judge(offer, known, wanted, now)
        };
        let may_go =
            self.votes.iter().filter(|(_, vote)| **vote == Vote::MayGo).map(|(agent, _)| agent.clone()).collect();
        let policy = Policy { judge: &judge, template: &self.template, may_go: &may_go, random: rand::random() };
        self.scheduler.on_event(event, now, &policy)
    }

    /// Does what must be done, in its order. A call that fails ends the
    /// session; what is to be stored and told is so all the same.
    async fn perform(
        &mut self,
        effects: Vec<Effect>,
        caller: Option<&Caller>,
    ) -> Result<Option<MesosError>, FleetError> {
        let mut failed = None;
        let mut effects = effects.into_iter().peekable();
        while let Some(effect) = effects.next() {
            match effect {
                Effect::Save(writes) => {
                    (self.on_seen)(&Seen::Before { effect: "SAVE" });
                    self.save(&writes).await?;
                    (self.on_seen)(&Seen::After { effect: "SAVE" });
                }
                Effect::Call(call) => {
                    let mut calls = vec![call];
                    while let Some(Effect::Call(next)) =
                        effects.next_if(|next| matches!(next, Effect::Call(next) if next.may_go_beside(&calls[0])))
                    {
                        calls.push(next);
                    }
                    if let (Some(caller), Some(framework), None) = (caller, self.scheduler.framework(), &failed) {
                        failed = call_all(&self.on_seen, caller, framework, &calls).await.err();
                    }
                }
                Effect::Tell(notice) => self.tell(notice),
                Effect::Leave { message } => failed = Some(MesosError::Dismissed { message }),
            }
        }
        Ok(failed)
    }

    async fn save(&self, writes: &[Write]) -> Result<(), FleetError> {
        for some in writes.chunks(WRITES) {
            loop {
                match self.desk.commit(batch(some)?).await {
                    Ok(()) => break,
                    // Nothing may go on before it is stored; who holds the store lets go soon.
                    Err(error) if error.may_retry() => tokio::time::sleep(BUSY_PAUSE).await,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    fn tell(&mut self, notice: Notice) {
        if let Notice::Judged { verdict, .. } = &notice {
            let (action, reason) = match verdict {
                crate::model::offer::Verdict::Accept => ("accepted", "wanted"),
                crate::model::offer::Verdict::Decline { reason } => ("declined", reason.as_str()),
            };
            (self.on_seen)(&Seen::Offer { action, reason });
        }
        if let Notice::Rescinded { .. } = &notice {
            (self.on_seen)(&Seen::Offer { action: "rescinded", reason: "master" });
        }
        match notice {
            Notice::Message { agent, executor, data } => {
                // Messages may get lost anyway: who sends one repeats it until it is answered.
                if self.messages.try_send(ExecutorMessage { agent, executor, data }).is_err() {
                    warn!("a message of an executor is dropped: nobody takes them");
                }
            }
            Notice::Wanted { agent, unavailability, .. } => {
                let vote = self.votes.get(&agent).cloned().unwrap_or(Vote::Stays { reason: Stays::NotLookedAt });
                let (action, reason) = match &vote {
                    Vote::MayGo => ("let_go", "wanted"),
                    Vote::Stays { reason } => ("kept", reason.as_str()),
                };
                (self.on_seen)(&Seen::Offer { action, reason });
                self.board.wanted(&agent, unavailability, vote);
            }
            other => self.board.note(other, clock::now()),
        }
    }
}

/// Makes calls of which none has to wait for another, some at a time.
async fn call_all(
    on_seen: &OnSeen,
    caller: &Caller,
    framework: &FrameworkId,
    calls: &[Call],
) -> Result<(), MesosError> {
    let all: Vec<_> = calls.iter().map(|call| call_one(on_seen, caller, framework, call)).collect();
    stream::iter(all).buffered(CALLS_AT_ONCE).try_collect().await
}

async fn call_one(on_seen: &OnSeen, caller: &Caller, framework: &FrameworkId, call: &Call) -> Result<(), MesosError> {
    on_seen(&Seen::Before { effect: call.name() });
    let answer = caller.call(framework, call).await;
    on_seen(&Seen::After { effect: call.name() });
    answer
}

fn batch(writes: &[Write]) -> Result<Batch, FleetError> {
    let mut batch = Batch::new();
    for write in writes {
        let name = write.key();
        let value =
            write.value().map_err(|source| crate::mesos::scheduler::Unreadable { key: name.clone(), source })?;
        let key = Key::new(&name)?;
        batch = match value {
            Some(value) => batch.put(key, value),
            None => batch.delete(key),
        };
    }
    Ok(batch)
}

fn chain(error: &MesosError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}
