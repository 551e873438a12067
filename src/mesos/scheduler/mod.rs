//! What follows from an event? The framework's side of Mesos as a state
//! machine: events and moments go in, stored changes and calls come out, in
//! the order in which they must happen.
//!
//! ```text
//!             SUBSCRIBED                    offer, verdict Accept
//!  (no task) ------------> (no task)  ---------------------------> Intended
//!                                                                    | stored, then ACCEPT
//!    Ended <--- terminal states --- Told{..} <--- UPDATE, reconciliation
//!      |                                             ^
//!      +--- retry_at, then the next offer: attempt+1 +
//! ```
//!
//! What makes a second launch impossible: an agent with a task that is not
//! `Ended` gets no other one, `Intended` counts as not ended, it is stored
//! before the launch, and only an answer of the masters ends it. A call of an
//! earlier stream cannot arrive late: its stream id is refused.

mod memory;
mod update;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::wire::{Call, Event, LaunchTask, Uri};
use crate::backoff::Backoff;
use crate::model::id::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId};
use crate::model::mesos::{NodeTask, Offer, TaskFate, TaskPhase, Unavailability};
use crate::model::offer::{Known, Verdict};
use crate::model::unit::Timestamp;

pub use memory::{FrameworkRecord, Memory, Unreadable, Write};

/// Launches, one after the other, that fail.
const RETRY: Backoff = Backoff { first: Duration::from_secs(10), ceiling: Duration::from_secs(30 * 60) };
/// Questions about tasks that nobody answers: an agent comes back to a new
/// leader within a second or two, or after many minutes.
const ASK: Backoff = Backoff { first: Duration::from_secs(1), ceiling: Duration::from_secs(60) };
/// Every task is asked after now and then, in case an update was lost.
const ASK_ALL: Duration = Duration::from_secs(15 * 60);
/// A revival makes every agent offer again.
const REVIVE_PAUSE: Duration = Duration::from_secs(5);
/// How long an accepted agent's other resources are kept from us.
const REST_REFUSED: Duration = Duration::from_secs(3600);
/// Votes on maintenance are asked for again after this.
const VOTE_AGAIN: Duration = Duration::from_secs(30);
/// A task of an agent that never came back is forgotten after this.
const FORGET: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What must happen next.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// To be durable before anything that follows.
    Save(Vec<Write>),
    /// To be told to the master.
    Call(Call),
    /// To be told to everybody else.
    Tell(Notice),
    /// The master has ended the subscription; what for, nobody may match on. Its stream is to be left even
    /// when it stays open.
    Leave {
        /// The words of the master.
        message: Box<str>,
    },
}

/// What others may want to know.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Notice {
    Judged {
        offer: Box<Offer>,
        verdict: Verdict,
    },
    /// Offers that a master took back.
    Rescinded {
        agent: AgentId,
    },
    /// A task went on.
    Task(NodeTask),
    Message {
        agent: AgentId,
        executor: ExecutorId,
        data: Vec<u8>,
    },
    AgentLost {
        agent: AgentId,
    },
    ExecutorEnded {
        agent: Option<AgentId>,
        executor: ExecutorId,
        status: Option<i64>,
    },
    /// An operator wants the machine.
    Wanted {
        agent: AgentId,
        unavailability: Option<Unavailability>,
        voted: bool,
    },
    /// The masters end this framework for good, or another controller took our place.
    Over(End),
}

/// Why this framework is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Torn down, or away for longer than `failover_timeout`.
    Removed {
        /// The words of the master.
        message: Box<str>,
    },
    /// Another controller subscribed with our id.
    Superseded,
}

/// How an executor is launched.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Template {
    pub command: String,
    pub uris: Vec<Uri>,
    pub environment: Vec<(String, String)>,
    pub cpus: f64,
    pub mem: f64,
    pub grace: Duration,
}

/// What others decide for the scheduler.
pub struct Policy<'a> {
    /// The verdict on each offer.
    pub judge: &'a dyn Fn(&Offer, Known<'_>) -> Verdict,
    /// What is launched.
    pub template: &'a Template,
    /// Agents that may be taken away now.
    pub may_go: &'a BTreeSet<AgentId>,
    /// Between 0 and 1, for pauses.
    pub random: f64,
}

/// The state.
#[derive(Debug)]
pub struct Scheduler {
    framework: Option<FrameworkId>,
    over: Option<End>,
    tasks: BTreeMap<AgentId, NodeTask>,
    /// Offers that the verdict is being made of; a master may take them back.
    offers: BTreeMap<OfferId, AgentId>,
    is_subscribed: bool,
    /// Tasks of which this session has heard nothing yet.
    unanswered: BTreeMap<TaskId, AgentId>,
    asked: u32,
    ask_at: Option<Timestamp>,
    ask_all_at: Option<Timestamp>,
    revived_at: Option<Timestamp>,
    /// Nothing is wanted of any agent.
    wants_nothing: bool,
    /// A person has offers held back.
    held: bool,
    /// Who lets the framework end.
    ending: Option<Box<str>>,
}

/// Tasks of ours are named so.
const PREFIX: &str = "sio-";

impl Scheduler {
    /// Takes up what an earlier life left. Who wants nothing gets no offers.
    pub fn new(memory: Memory, wants_nothing: bool) -> Self {
        let (id, removed, held, ending) = match memory.framework {
            Some(FrameworkRecord { id, removed, held, ending }) => (Some(id), removed, held, ending),
            None => (None, None, false, None),
        };
        Self {
            framework: id,
            over: removed.map(|message| End::Removed { message }),
            tasks: memory.tasks,
            offers: BTreeMap::new(),
            is_subscribed: false,
            unanswered: BTreeMap::new(),
            asked: 0,
            ask_at: None,
            ask_all_at: None,
            revived_at: None,
            wants_nothing,
            held,
            ending,
        }
    }

    /// The id to subscribe with.
    pub const fn framework(&self) -> Option<&FrameworkId> {
        self.framework.as_ref()
    }

    /// Why nothing is tried any more.
    pub const fn over(&self) -> Option<&End> {
        self.over.as_ref()
    }

    /// Whether offers are held back at the master.
    pub const fn is_suppressed(&self) -> bool {
        self.wants_nothing || self.held
    }

    /// The task of each agent.
    pub const fn tasks(&self) -> &BTreeMap<AgentId, NodeTask> {
        &self.tasks
    }

    /// How many tasks the masters have not spoken of in this session.
    pub fn unanswered(&self) -> usize {
        self.unanswered.len()
    }

    /// The stream is gone, and with it every offer.
    pub fn disconnected(&mut self) {
        self.is_subscribed = false;
        self.offers.clear();
        self.unanswered.clear();
        self.ask_at = None;
        self.ask_all_at = None;
    }

    /// A person lets the framework register anew under another id. What ran
    /// under the old one was ended by the masters.
    pub fn register_anew(&mut self) -> Vec<Effect> {
        let mut writes = vec![Write::ForgetFramework];
        writes.extend(std::mem::take(&mut self.tasks).into_keys().map(Write::ForgetTask));
        self.framework = None;
        self.over = None;
        self.held = false;
        self.ending = None;
        self.disconnected();
        vec![Effect::Save(writes)]
    }

    /// A person has offers held back at the masters, or asked for again. It lasts over restarts.
    pub fn hold(&mut self, hold: bool) -> Vec<Effect> {
        if self.held == hold {
            return Vec::new();
        }
        self.held = hold;
        let mut effects = self.remember();
        if self.is_subscribed && !self.wants_nothing {
            effects.push(Effect::Call(if hold { Call::Suppress } else { Call::Revive }));
        }
        effects
    }

    /// A person lets the framework end for good: the masters kill its tasks. Node agents go on. That it is over is known
    /// when a master says so.
    pub fn tear_down(&mut self, by: &str) -> Vec<Effect> {
        self.ending = Some(by.into());
        let mut effects = self.remember();
        if self.is_subscribed {
            effects.push(Effect::Call(Call::Teardown));
        }
        effects
    }

    /// Who we are, to be stored; nothing before the first registration.
    fn remember(&self) -> Vec<Effect> {
        let id = self.framework.clone();
        let record = |id| FrameworkRecord { id, removed: None, held: self.held, ending: self.ending.clone() };
        id.map(|id| Effect::Save(vec![Write::Framework(record(id))])).into_iter().collect()
    }

    /// What follows from an event.
    pub fn on_event(&mut self, event: Event, now: Timestamp, policy: &Policy<'_>) -> Vec<Effect> {
        match event {
            Event::Subscribed { framework, .. } => self.on_subscribed(framework, now, policy.random),
            Event::Heartbeat | Event::Other(_) => Vec::new(),
            Event::Offers { offers, .. } => self.on_offers(offers, now, policy),
            Event::InverseOffers { offers } => Self::on_inverse(&offers, policy),
            Event::Rescind(id) => {
                let agent = self.offers.remove(&id);
                agent.map(|agent| Effect::Tell(Notice::Rescinded { agent })).into_iter().collect()
            }
            // Votes are asked for anew when the schedule changes.
            Event::RescindInverseOffer(_) => Vec::new(),
            Event::Update(status) => self.on_update(&status, now, policy.random),
            Event::Message { agent, executor, data } => {
                vec![Effect::Tell(Notice::Message { agent, executor, data })]
            }
            // Both are hints: the updates of the tasks say what is so.
            Event::Failure { agent, executor: Some(executor), status } => {
                vec![Effect::Tell(Notice::ExecutorEnded { agent, executor, status })]
            }
            Event::Failure { agent, executor: None, .. } => {
                agent.map(|agent| Effect::Tell(Notice::AgentLost { agent })).into_iter().collect()
            }
            Event::Error(message) => self.on_error(message),
        }
    }

    fn on_subscribed(&mut self, framework: FrameworkId, now: Timestamp, random: f64) -> Vec<Effect> {
        self.disconnected();
        self.is_subscribed = true;
        let mut effects = Vec::new();
        if self.framework.as_ref() != Some(&framework) {
            // Before anything else: without it, the next life would be another framework.
            self.framework = Some(framework);
            effects.extend(self.remember());
        }
        if self.ending.is_some() {
            effects.push(Effect::Call(Call::Teardown));
            return effects;
        }
        self.unanswered = self
            .tasks
            .values()
            .filter(|task| task.fate() != TaskFate::Ended)
            .map(|task| (task.task.clone(), task.agent.clone()))
            .collect();
        self.asked = 0;
        effects.extend(self.ask(now, random));
        // Of tasks that we do not know, as after a backup was restored.
        effects.push(Effect::Call(Call::Reconcile { tasks: Vec::new() }));
        self.ask_all_at = Some(now + ASK_ALL);
        effects
    }

    /// Asks after every task that was not answered, and plans the next time.
    fn ask(&mut self, now: Timestamp, random: f64) -> Option<Effect> {
        if self.unanswered.is_empty() {
            self.ask_at = None;
            return None;
        }
        self.asked = self.asked.saturating_add(1);
        // At least half of the span: to ask in a hurry tells nothing.
        self.ask_at = Some(now + ASK.wait(self.asked, 0.5 + random / 2.0));
        let tasks = self.unanswered.iter().map(|(task, agent)| (task.clone(), Some(agent.clone()))).collect();
        Some(Effect::Call(Call::Reconcile { tasks }))
    }

    /// What is due.
    pub fn on_tick(&mut self, now: Timestamp, random: f64) -> Vec<Effect> {
        let mut effects = Vec::new();
        if !self.is_subscribed {
            return effects;
        }
        if self.ask_all_at.is_some_and(|at| at <= now) {
            self.ask_all_at = Some(now + ASK_ALL);
            let all = self.tasks.values().filter(|task| task.fate() != TaskFate::Ended);
            let tasks: Vec<_> = all.map(|task| (task.task.clone(), Some(task.agent.clone()))).collect();
            if !tasks.is_empty() {
                effects.push(Effect::Call(Call::Reconcile { tasks }));
            }
        }
        if self.ask_at.is_some_and(|at| at <= now) {
            effects.extend(self.ask(now, random));
        }
        if self.is_revival_due(now) {
            self.revived_at = Some(now);
            effects.push(Effect::Call(Call::Revive));
        }
        let old = self.tasks.values().filter(|task| task.fate() == TaskFate::Ended && task.changed_at + FORGET < now);
        let old: Vec<AgentId> = old.map(|task| task.agent.clone()).collect();
        if !old.is_empty() {
            self.tasks.retain(|agent, _| !old.contains(agent));
            effects.push(Effect::Save(old.into_iter().map(Write::ForgetTask).collect()));
        }
        effects
    }

    /// Whether a task may be launched again whose agent's offers we sent away for long.
    fn is_revival_due(&self, now: Timestamp) -> bool {
        let last = self.revived_at;
        !self.is_suppressed()
            && last.is_none_or(|last| last + REVIVE_PAUSE <= now)
            && self
                .tasks
                .values()
                .filter(|task| task.fate() == TaskFate::Ended)
                .filter_map(|task| task.retry_at)
                .any(|at| at <= now && last.is_none_or(|last| last < at))
    }

    fn on_offers(&mut self, offers: Vec<Offer>, now: Timestamp, policy: &Policy<'_>) -> Vec<Effect> {
        let mut writes = Vec::new();
        let mut launches = Vec::new();
        let mut declined: BTreeMap<Duration, Vec<OfferId>> = BTreeMap::new();
        let mut notices = Vec::new();
        for offer in offers {
            let known =
                Known { here: self.tasks.get(&offer.agent), namesake: self.namesake(&offer), ..Known::default() };
            let verdict = (policy.judge)(&offer, known);
            match &verdict {
                Verdict::Decline { reason } => {
                    declined.entry(reason.refuse_for()).or_default().push(offer.id.clone());
                }
                Verdict::Accept => {
                    // The new agent is the old host: its old record would only be in the way.
                    let replaced = self.namesake(&offer).map(|task| task.agent.clone());
                    if let Some(replaced) = replaced {
                        self.tasks.remove(&replaced);
                        writes.push(Write::ForgetTask(replaced));
                    }
                    let task = self.intend(&offer, now);
                    writes.push(Write::Task(task.clone()));
                    notices.push(Effect::Tell(Notice::Task(task.clone())));
                    launches.push(Effect::Call(launch(&offer, &task, policy.template)));
                }
            }
            notices.push(Effect::Tell(Notice::Judged { offer: Box::new(offer), verdict }));
        }
        let mut effects = Vec::new();
        if !writes.is_empty() {
            effects.push(Effect::Save(writes));
        }
        effects.extend(launches);
        effects.extend(declined.into_iter().map(|(refuse, offers)| Effect::Call(Call::Decline { offers, refuse })));
        effects.extend(notices);
        effects
    }

    fn namesake(&self, offer: &Offer) -> Option<&NodeTask> {
        self.tasks.values().find(|task| task.agent != offer.agent && task.hostname == offer.hostname)
    }

    fn intend(&mut self, offer: &Offer, now: Timestamp) -> NodeTask {
        let before = self.tasks.get(&offer.agent);
        let attempt = before.map_or(1, |task| task.attempt.saturating_add(1));
        let name = format!("{PREFIX}{}-{attempt}", offer.agent);
        let task = NodeTask {
            agent: offer.agent.clone(),
            hostname: offer.hostname.clone(),
            task: TaskId::new(&name),
            executor: ExecutorId::new(&name),
            attempt,
            phase: TaskPhase::Intended,
            failures: before.map_or(0, |task| task.failures),
            retry_at: None,
            changed_at: now,
        };
        self.tasks.insert(offer.agent.clone(), task.clone());
        task
    }

    fn on_inverse(offers: &[crate::model::mesos::InverseOffer], policy: &Policy<'_>) -> Vec<Effect> {
        let mut effects = Vec::new();
        let (yes, no): (Vec<_>, Vec<_>) =
            offers.iter().partition(|offer| offer.agent.as_ref().is_some_and(|agent| policy.may_go.contains(agent)));
        let ids = |offers: &[&crate::model::mesos::InverseOffer]| offers.iter().map(|offer| offer.id.clone()).collect();
        if !yes.is_empty() {
            effects.push(Effect::Call(Call::AcceptInverse { offers: ids(&yes), refuse: VOTE_AGAIN }));
        }
        if !no.is_empty() {
            effects.push(Effect::Call(Call::DeclineInverse { offers: ids(&no), refuse: VOTE_AGAIN }));
        }
        for offer in offers {
            if let Some(agent) = &offer.agent {
                effects.push(Effect::Tell(Notice::Wanted {
                    agent: agent.clone(),
                    unavailability: offer.unavailability,
                    voted: policy.may_go.contains(agent),
                }));
            }
        }
        effects
    }

    fn on_error(&mut self, message: Box<str>) -> Vec<Effect> {
        self.is_subscribed = false;
        // Mesos has no code for these, only the words; any other is tried again.
        let end = match &*message {
            "Framework has been removed" => End::Removed { message: message.clone() },
            "Framework failed over" => End::Superseded,
            _ => return vec![Effect::Leave { message }],
        };
        let mut effects = Vec::new();
        if let (End::Removed { .. }, Some(id)) = (&end, &self.framework) {
            let record = FrameworkRecord {
                id: id.clone(),
                removed: Some(message),
                held: self.held,
                ending: self.ending.clone(),
            };
            effects.push(Effect::Save(vec![Write::Framework(record)]));
        }
        self.over = Some(end.clone());
        effects.push(Effect::Tell(Notice::Over(end)));
        effects
    }
}

fn launch(offer: &Offer, task: &NodeTask, template: &Template) -> Call {
    let launch = LaunchTask {
        task: task.task.clone(),
        agent: task.agent.clone(),
        executor: task.executor.clone(),
        name: format!("sio executor on {}", task.hostname),
        role: offer.role.clone(),
        cpus: template.cpus,
        mem: template.mem,
        pieces: offer.pieces.clone(),
        command: template.command.clone(),
        uris: template.uris.clone(),
        environment: template.environment.clone(),
        labels: Vec::new(),
        data: Vec::new(),
        grace: template.grace,
    };
    Call::Launch { offer: offer.id.clone(), task: Box::new(launch), refuse: REST_REFUSED }
}

#[cfg(test)]
mod crashes;
#[cfg(test)]
mod tests;
