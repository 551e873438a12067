//! The controller is killed before and after each effect of the scheduler; the
//! next life brings every agent to one task, and none ever has two by us.

use super::tests::{at, judge, offer, status, template};
use super::*;
use crate::model::mesos::{InverseOffer, TaskStatus};

#[path = "../../../tests/support/effects.rs"]
mod effects;

const AGENTS: [&str; 2] = ["S1", "S-free"];

/// The process is dead.
#[derive(Debug)]
struct Dead;

/// What the masters know.
#[derive(Default)]
struct Master {
    /// Agents by the tasks that live there.
    alive: BTreeMap<TaskId, AgentId>,
    /// Updates that nobody has acknowledged, by their ids.
    unacknowledged: BTreeMap<Box<str>, TaskStatus>,
    /// To be said to the controller.
    says: Vec<Event>,
    updates: u32,
    /// Offers are held back.
    suppressed: bool,
    /// The framework was torn down.
    removed: bool,
}

impl Master {
    fn update(&mut self, task: &TaskId, agent: &AgentId, state: &str) {
        self.updates += 1;
        let uuid: Box<str> = format!("{:08}", self.updates).into();
        let told = TaskStatus { uuid: Some(uuid.clone()), ..status(task.as_str(), agent.as_str(), state) };
        self.unacknowledged.insert(uuid, told.clone());
        self.says.push(Event::Update(told));
    }

    fn hears(&mut self, call: &Call) {
        match call {
            Call::Launch { task, .. } => {
                let others = self.alive.values().filter(|agent| **agent == task.agent).count();
                assert_eq!(others, 0, "a second task on {}", task.agent);
                self.alive.insert(task.task.clone(), task.agent.clone());
                self.update(&task.task, &task.agent, "TASK_RUNNING");
            }
            Call::Reconcile { tasks } => {
                let all = self.alive.iter().map(|(task, agent)| (task.clone(), Some(agent.clone()))).collect();
                for (task, agent) in if tasks.is_empty() { &all } else { tasks } {
                    let state = if self.alive.contains_key(task) { "TASK_RUNNING" } else { "TASK_GONE" };
                    let agent = agent.as_ref().map(ToString::to_string).unwrap_or_default();
                    let told = TaskStatus { is_answer: true, ..status(task.as_str(), &agent, state) };
                    self.says.push(Event::Update(told));
                }
            }
            Call::Acknowledge { uuid, .. } => drop(self.unacknowledged.remove(uuid)),
            Call::Kill { task, .. } => {
                if let Some(agent) = self.alive.remove(task) {
                    self.update(task, &agent, "TASK_KILLED");
                }
            }
            Call::Decline { .. } | Call::AcceptInverse { .. } | Call::DeclineInverse { .. } | Call::Message { .. } => {}
            Call::Suppress => self.suppressed = true,
            Call::Revive => self.suppressed = false,
            Call::Teardown => {
                self.alive.clear();
                self.unacknowledged.clear();
                self.removed = true;
            }
        }
    }
}

/// A controller, its store, and the masters.
struct Play {
    scheduler: Scheduler,
    stored: BTreeMap<String, Vec<u8>>,
    master: Master,
    now: i64,
    offers: u32,
    /// Sides of effects that were passed.
    points: usize,
    /// Those of the steps.
    reached: usize,
    /// It is killed there.
    kill_at: usize,
    passed: BTreeSet<String>,
}

impl Play {
    fn new(kill_at: usize) -> Self {
        Self {
            scheduler: Scheduler::new(Memory::default(), false),
            stored: BTreeMap::new(),
            master: Master::default(),
            now: 0,
            offers: 0,
            points: 0,
            reached: 0,
            kill_at,
            passed: BTreeSet::new(),
        }
    }

    fn point(&mut self) -> Result<(), Dead> {
        self.points += 1;
        if self.points == self.kill_at { Err(Dead) } else { Ok(()) }
    }

    fn perform(&mut self, effects: &[Effect]) -> Result<(), Dead> {
        for effect in effects {
            let name = match effect {
                Effect::Save(_) => "SAVE",
                Effect::Call(call) => call.name(),
                // Words for people.
                Effect::Tell(_) | Effect::Leave { .. } => continue,
            };
            self.point()?;
            match effect {
                Effect::Save(writes) => {
                    for write in writes {
                        match write.value().unwrap() {
                            Some(value) => self.stored.insert(write.key(), value),
                            None => self.stored.remove(&write.key()),
                        };
                    }
                }
                Effect::Call(call) => self.master.hears(call),
                Effect::Tell(_) | Effect::Leave { .. } => {}
            }
            self.point()?;
            self.passed.insert(name.to_owned());
        }
        Ok(())
    }

    fn memory(&self) -> Memory {
        Memory::read(self.stored.iter().map(|(key, value)| (&**key, &**value))).unwrap()
    }

    fn event(&mut self, event: Event) -> Result<(), Dead> {
        let (template, may_go) = (template(), [AgentId::new("S-free")].into());
        let policy = Policy { judge: &judge, template: &template, may_go: &may_go, random: 1.0 };
        let effects = self.scheduler.on_event(event, at(self.now), &policy);
        self.perform(&effects)
    }

    /// All that the masters have to say, and what is due.
    fn quiet(&mut self) -> Result<(), Dead> {
        loop {
            self.now += 1;
            let effects = self.scheduler.on_tick(at(self.now), 1.0);
            self.perform(&effects)?;
            let says = std::mem::take(&mut self.master.says);
            if says.is_empty() {
                return Ok(());
            }
            for event in says {
                self.event(event)?;
            }
        }
    }

    fn subscribe(&mut self) -> Result<(), Dead> {
        if self.master.removed {
            return self.event(Event::Error("Framework has been removed".into()));
        }
        self.master.suppressed = self.scheduler.is_suppressed();
        self.master.says = self.master.unacknowledged.values().cloned().map(Event::Update).collect();
        let framework = FrameworkId::new("F");
        self.event(Event::Subscribed { framework, heartbeat: Duration::from_secs(15), master: None })?;
        self.quiet()
    }

    /// Every agent offers what it has.
    fn offer(&mut self) -> Result<(), Dead> {
        self.now += 60;
        self.quiet()?;
        if self.master.suppressed {
            return Ok(());
        }
        self.offers += 1;
        let number = self.offers;
        let offers = AGENTS.map(|agent| offer(&format!("O{number}-{agent}"), agent, agent)).into();
        self.event(Event::Offers { offers, unreadable: 0 })?;
        self.quiet()
    }

    fn restart(&mut self) {
        self.scheduler = Scheduler::new(self.memory(), false);
        self.master.says.clear();
        self.subscribe().unwrap();
    }

    /// What happens out there, in this order, whatever became of the controller before.
    fn happens(&mut self, step: usize) -> Result<(), Dead> {
        let free = AgentId::new("S-free");
        match step {
            0 => self.subscribe(),
            1 | 2 | 4 => self.offer(),
            // A task fails; it is launched again.
            3 => {
                let failed = self.master.alive.iter().find(|(_, agent)| **agent == free).map(|(task, _)| task.clone());
                if let Some(task) = failed {
                    self.master.alive.remove(&task);
                    self.master.update(&task, &free, "TASK_FAILED");
                }
                self.quiet()
            }
            // It was not dead, and comes back beside the newer one.
            5 => {
                let ghost = TaskId::new("sio-S-free-1");
                if !self.master.alive.contains_key(&ghost) {
                    self.master.alive.insert(ghost.clone(), free.clone());
                    self.master.update(&ghost, &free, "TASK_RUNNING");
                }
                self.quiet()
            }
            6 => {
                let inverse = |agent: &str| InverseOffer {
                    id: OfferId::new(&format!("I-{agent}")),
                    agent: Some(AgentId::new(agent)),
                    unavailability: None,
                };
                self.event(Event::InverseOffers { offers: AGENTS.map(inverse).into() })?;
                self.quiet()
            }
            8 | 9 => {
                let effects = self.scheduler.hold(step == 8);
                self.perform(&effects)?;
                self.quiet()
            }
            _ => {
                let (agent, executor, data) = (free, ExecutorId::new("e"), b"hello".to_vec());
                self.perform(&[Effect::Call(Call::Message { agent, executor, data })])?;
                self.quiet()
            }
        }
    }

    /// All steps; tells where it was killed, when it was.
    fn run(&mut self) -> bool {
        let mut is_killed = false;
        for step in 0..10 {
            if self.happens(step).is_err() {
                is_killed = true;
                self.kill_at = usize::MAX;
                self.restart();
                if step >= 8 {
                    // The person had no answer, and says it again.
                    self.happens(step).unwrap();
                }
            }
            assert_eq!(self.master.suppressed, step == 8, "after step {step}");
        }
        // Whatever was lost is made up for when all agents have offered anew.
        self.reached = self.points;
        self.kill_at = usize::MAX;
        for _ in 0..4 {
            self.offer().unwrap();
        }
        is_killed
    }
}

#[test]
fn a_kill_before_or_after_any_effect_leaves_every_agent_with_one_task() {
    let mut whole = Play::new(usize::MAX);
    assert!(!whole.run());
    let test = "a_kill_before_or_after_any_effect_leaves_every_agent_with_one_task";
    assert_eq!(whole.passed, effects::of(test));
    for kill_at in 1..=whole.reached {
        let mut play = Play::new(kill_at);
        assert!(play.run(), "point {kill_at} is not reached");
        let agents: Vec<&AgentId> = play.master.alive.values().collect();
        assert_eq!(agents.len(), AGENTS.len(), "point {kill_at}: {:?}", play.master.alive);
        let kept = play.memory().tasks;
        for (task, agent) in &play.master.alive {
            assert_eq!(kept.get(agent).map(|kept| &kept.task), Some(task), "point {kill_at}");
        }
        assert!(play.master.unacknowledged.is_empty(), "point {kill_at}: all was acknowledged");
    }
}

impl Play {
    /// A person lets it end; the master ends the stream, and says why at the next try.
    fn ends(&mut self) -> Result<(), Dead> {
        let effects = self.scheduler.tear_down("ada");
        self.perform(&effects)?;
        self.scheduler.disconnected();
        self.subscribe()
    }

    /// At work, then torn down; tells whether it was killed at that.
    fn is_torn_down(kill_at: usize) -> (Self, bool) {
        let mut play = Self::new(usize::MAX);
        for step in 0..3 {
            play.happens(step).unwrap();
        }
        (play.points, play.kill_at) = (0, kill_at);
        play.passed.clear();
        let is_killed = play.ends().is_err();
        play.reached = play.points;
        if is_killed {
            play.kill_at = usize::MAX;
            play.restart();
            match (play.scheduler.over().is_some(), play.master.removed) {
                (true, _) => {}
                (false, true) => {
                    play.scheduler.disconnected();
                    play.subscribe().unwrap();
                }
                // The person had no answer, and says it again.
                (false, false) => play.ends().unwrap(),
            }
        }
        (play, is_killed)
    }
}

#[test]
fn a_kill_before_or_after_a_teardown_still_ends_everything() {
    let (mut whole, _) = Play::is_torn_down(usize::MAX);
    whole.passed.remove("SAVE");
    assert_eq!(whole.passed, effects::of("a_kill_before_or_after_a_teardown_still_ends_everything"));
    for kill_at in 1..=whole.reached {
        let (play, is_killed) = Play::is_torn_down(kill_at);
        assert!(is_killed, "point {kill_at} is not reached");
        assert!(play.master.removed && play.master.alive.is_empty(), "point {kill_at}: {:?}", play.master.alive);
        let next = Scheduler::new(play.memory(), false);
        assert!(matches!(next.over(), Some(End::Removed { .. })), "point {kill_at}: {:?}", next.over());
    }
}
