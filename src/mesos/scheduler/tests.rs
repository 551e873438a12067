//! Tests of the scheduler, with a store that survives restarts.

use proptest::prelude::*;

use super::*;
use crate::model::mesos::{InverseOffer, TaskState, TaskStatus};
use crate::model::offer::Refusal;

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp_nanos(1_800_000_000_000_000_000 + seconds * 1_000_000_000)
}

pub(super) fn offer(id: &str, agent: &str, hostname: &str) -> Offer {
    Offer {
        id: OfferId::new(id),
        agent: AgentId::new(agent),
        hostname: hostname.into(),
        address: None,
        role: Some("scaleio".into()),
        cpus: 4.0,
        mem: 4096.0,
        pieces: Vec::new(),
        attributes: BTreeMap::new(),
        executors: Vec::new(),
        unavailability: None,
    }
}

pub(super) fn status(task: &str, agent: &str, state: &str) -> TaskStatus {
    TaskStatus {
        task: TaskId::new(task),
        agent: Some(AgentId::new(agent)),
        executor: None,
        state: TaskState::new(state),
        reason: None,
        message: None,
        healthy: None,
        uuid: None,
        is_answer: false,
        from_executor: false,
    }
}

/// As simple as a judge can be: one task an agent.
pub(super) fn judge(_: &Offer, known: Known<'_>) -> Verdict {
    match known.here {
        Some(here) if here.fate() != TaskFate::Ended => {
            Verdict::Decline { reason: Refusal::AlreadyThere { task: here.task.clone() } }
        }
        _ => Verdict::Accept,
    }
}

pub(super) fn template() -> Template {
    Template {
        command: "./sio executor".to_owned(),
        uris: Vec::new(),
        environment: Vec::new(),
        cpus: 0.1,
        mem: 64.0,
        grace: Duration::from_secs(5),
    }
}

/// A scheduler, and the store beneath it.
struct World {
    scheduler: Scheduler,
    stored: BTreeMap<String, Vec<u8>>,
    now: i64,
    /// What each agent was asked to launch, by the calls.
    launched: Vec<(AgentId, TaskId)>,
}

impl World {
    fn new() -> Self {
        let scheduler = Scheduler::new(Memory::default(), false);
        Self { scheduler, stored: BTreeMap::new(), now: 0, launched: Vec::new() }
    }

    fn registered() -> Self {
        let mut world = Self::new();
        world.subscribed("F");
        world
    }

    fn subscribed(&mut self, id: &str) -> Vec<Effect> {
        self.event(Event::Subscribed {
            framework: FrameworkId::new(id),
            heartbeat: Duration::from_secs(15),
            master: None,
        })
    }

    fn event(&mut self, event: Event) -> Vec<Effect> {
        let (template, may_go) = (template(), [AgentId::new("S-free")].into());
        let policy = Policy { judge: &judge, template: &template, may_go: &may_go, random: 1.0 };
        let effects = self.scheduler.on_event(event, at(self.now), &policy);
        self.perform(&effects);
        effects
    }

    fn tick(&mut self, seconds: i64) -> Vec<Effect> {
        self.now += seconds;
        let effects = self.scheduler.on_tick(at(self.now), 1.0);
        self.perform(&effects);
        effects
    }

    fn perform(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Save(writes) => {
                    for write in writes {
                        match write.value().unwrap() {
                            Some(value) => self.stored.insert(write.key(), value),
                            None => self.stored.remove(&write.key()),
                        };
                    }
                }
                Effect::Call(Call::Launch { task, .. }) => {
                    let stored = self.memory();
                    let kept = &stored.tasks[&task.agent];
                    assert_eq!(kept.task, task.task, "a launch must be stored before it is made");
                    self.launched.push((task.agent.clone(), task.task.clone()));
                }
                Effect::Call(_) | Effect::Tell(_) | Effect::Leave { .. } => {}
            }
        }
    }

    fn memory(&self) -> Memory {
        Memory::read(self.stored.iter().map(|(key, value)| (&**key, &**value))).unwrap()
    }

    /// The process is killed and starts again with what was stored.
    fn restart(&mut self) {
        self.scheduler = Scheduler::new(self.memory(), false);
    }

    fn offers(&mut self, offers: Vec<Offer>) -> Vec<Effect> {
        self.event(Event::Offers { offers, unreadable: 0 })
    }

    fn update(&mut self, task: &str, agent: &str, state: &str) -> Vec<Effect> {
        self.event(Event::Update(status(task, agent, state)))
    }
}

fn calls(effects: &[Effect]) -> Vec<&'static str> {
    effects.iter().filter_map(|effect| if let Effect::Call(call) = effect { Some(call.name()) } else { None }).collect()
}

#[test]
fn the_id_is_stored_before_anything_else_and_only_once() {
    let mut world = World::new();
    let effects = world.subscribed("F");
    assert!(matches!(&effects[0], Effect::Save(writes) if writes[0].key() == "mesos/framework"), "{effects:?}");
    assert_eq!(calls(&effects), ["RECONCILE"]);
    world.restart();
    assert_eq!(world.scheduler.framework(), Some(&FrameworkId::new("F")));
    assert!(!world.subscribed("F").iter().any(|effect| matches!(effect, Effect::Save(_))));
}

#[test]
fn an_agent_gets_one_task_and_its_other_offers_go_back() {
    let mut world = World::registered();
    let effects = world.offers(vec![offer("O1", "S1", "a"), offer("O2", "S1", "a"), offer("O3", "S2", "b")]);
    assert_eq!(calls(&effects), ["ACCEPT", "ACCEPT", "DECLINE"]);
    let judged = effects.iter().filter(|effect| matches!(effect, Effect::Tell(Notice::Judged { .. }))).count();
    assert_eq!(judged, 3, "each offer has one verdict");
    assert_eq!(world.scheduler.tasks()[&AgentId::new("S1")].task, TaskId::new("sio-S1-1"));
}

#[test]
fn a_launch_whose_outcome_is_unknown_is_asked_after_until_it_is_answered() {
    let mut world = World::registered();
    world.offers(vec![offer("O1", "S1", "a")]);
    world.restart();
    let effects = world.subscribed("F");
    assert_eq!(calls(&effects), ["RECONCILE", "RECONCILE"], "of this task, and of all");
    assert_eq!(calls(&world.offers(vec![offer("O2", "S1", "a")])), ["DECLINE"]);
    let mut asked = Vec::new();
    for _ in 0..200 {
        if !calls(&world.tick(1)).is_empty() {
            asked.push(world.now);
        }
    }
    assert_eq!(asked, [1, 3, 7, 15, 31, 63, 123, 183]);
    world.event(Event::Update(TaskStatus { is_answer: true, ..status("sio-S1-1", "S1", "TASK_RUNNING") }));
    assert!(world.tick(100).is_empty(), "it was answered");
    assert_eq!(calls(&world.offers(vec![offer("O3", "S1", "a")])), ["DECLINE"]);
    assert_eq!(world.launched.len(), 1);
}

#[test]
fn a_launch_that_never_reached_the_master_is_made_again_under_a_new_name() {
    let mut world = World::registered();
    world.offers(vec![offer("O1", "S1", "a")]);
    world.restart();
    world.subscribed("F");
    world.event(Event::Update(TaskStatus { is_answer: true, ..status("sio-S1-1", "S1", "TASK_GONE") }));
    assert_eq!(calls(&world.tick(1)), ["REVIVE"], "the offer that was sent away is asked for");
    world.offers(vec![offer("O2", "S1", "a")]);
    assert_eq!(world.launched[1].1, TaskId::new("sio-S1-2"));
}

#[test]
fn what_a_task_says_is_stored_before_it_is_acknowledged() {
    let mut world = World::registered();
    world.offers(vec![offer("O1", "S1", "a")]);
    let said = TaskStatus { uuid: Some("dQ==".into()), ..status("sio-S1-1", "S1", "TASK_RUNNING") };
    let effects = world.event(Event::Update(said.clone()));
    assert!(matches!(effects[0], Effect::Save(_)));
    assert!(matches!(effects.last(), Some(Effect::Call(Call::Acknowledge { .. }))));
    let again = world.event(Event::Update(said));
    assert_eq!(calls(&again), ["ACKNOWLEDGE"], "it is acknowledged again, and nothing else happens");
    assert_eq!(again.len(), 1);
}

#[test]
fn launches_that_fail_wait_longer_and_longer_and_one_that_ran_well_begins_anew() {
    let mut world = World::registered();
    let mut waits = Vec::new();
    for attempt in 1..=5 {
        world.offers(vec![offer("O", "S1", "a")]);
        let name = format!("sio-S1-{attempt}");
        world.update(&name, "S1", "TASK_RUNNING");
        if attempt == 5 {
            world.now += 600;
        }
        world.update(&name, "S1", "TASK_FAILED");
        let task = &world.scheduler.tasks()[&AgentId::new("S1")];
        waits.push((task.failures, (task.retry_at.unwrap() - at(world.now)).num_seconds()));
    }
    assert_eq!(waits, [(1, 10), (2, 20), (3, 40), (4, 80), (1, 10)]);
}

#[test]
fn a_drain_or_a_dead_offer_is_no_failure() {
    let mut world = World::registered();
    world.offers(vec![offer("O1", "S1", "a")]);
    let mut dropped = status("sio-S1-1", "S1", "TASK_DROPPED");
    dropped.reason = Some("REASON_INVALID_OFFERS".into());
    world.event(Event::Update(dropped));
    assert_eq!(world.scheduler.tasks()[&AgentId::new("S1")].failures, 0);
    world.offers(vec![offer("O2", "S1", "a")]);
    world.update("sio-S1-2", "S1", "TASK_RUNNING");
    world.update("sio-S1-2", "S1", "TASK_KILLED");
    assert_eq!(world.scheduler.tasks()[&AgentId::new("S1")].failures, 0);
    assert_eq!(calls(&world.tick(6)), ["REVIVE"]);
    // As an agent does that still drains.
    world.offers(vec![offer("O3", "S1", "a")]);
    let mut dropped = status("sio-S1-3", "S1", "TASK_DROPPED");
    dropped.reason = Some("REASON_AGENT_DRAINING".into());
    world.event(Event::Update(dropped));
    let task = &world.scheduler.tasks()[&AgentId::new("S1")];
    assert_eq!((task.failures, task.retry_at), (0, Some(at(world.now + 10))), "it waits all the same");
}

#[test]
fn a_refusal_that_names_a_living_task_is_not_believed_but_asked_after() {
    let mut world = World::registered();
    world.offers(vec![offer("O1", "S1", "a")]);
    world.update("sio-S1-1", "S1", "TASK_RUNNING");
    assert_eq!(calls(&world.update("sio-S1-1", "S1", "TASK_ERROR")), ["RECONCILE"]);
    assert_eq!(world.scheduler.tasks()[&AgentId::new("S1")].state(), "TASK_RUNNING");
}

#[test]
fn a_task_of_ours_that_the_store_does_not_know_is_taken_in_and_not_doubled() {
    let mut world = World::registered();
    world.update("sio-S1-4", "S1", "TASK_RUNNING");
    assert_eq!(calls(&world.offers(vec![offer("O1", "S1", "a")])), ["DECLINE"]);
    world.update("sio-S1-4", "S1", "TASK_LOST");
    world.offers(vec![offer("O2", "S1", "a")]);
    assert_eq!(world.launched, [(AgentId::new("S1"), TaskId::new("sio-S1-5"))]);
    assert_eq!(calls(&world.update("sio-S1-4", "S1", "TASK_RUNNING")), ["KILL"], "the newer one stays");
    assert!(world.update("somebody-elses", "S1", "TASK_RUNNING").is_empty());
}

#[test]
fn an_agent_that_returns_under_another_id_replaces_its_old_record() {
    let mut world = World::registered();
    world.offers(vec![offer("O1", "S1", "a")]);
    world.update("sio-S1-1", "S1", "TASK_UNREACHABLE");
    world.offers(vec![offer("O2", "S7", "a")]);
    let agents: Vec<_> = world.memory().tasks.into_keys().collect();
    assert_eq!(agents, [AgentId::new("S7")]);
}

#[test]
fn a_removed_framework_stays_removed_over_a_restart_until_a_person_lets_it_register_anew() {
    let mut world = World::registered();
    world.offers(vec![offer("O1", "S1", "a")]);
    let effects = world.event(Event::Error("Framework has been removed".into()));
    assert!(matches!(effects.last(), Some(Effect::Tell(Notice::Over(End::Removed { .. })))));
    world.restart();
    assert!(matches!(world.scheduler.over(), Some(End::Removed { .. })));
    let effects = world.scheduler.register_anew();
    world.perform(&effects);
    world.restart();
    assert!(world.scheduler.over().is_none() && world.scheduler.framework().is_none());
    assert!(world.scheduler.tasks().is_empty(), "the masters have ended them");
}

#[test]
fn another_controller_with_our_id_is_not_fought() {
    let mut world = World::registered();
    world.event(Event::Error("Framework failed over".into()));
    assert_eq!(world.scheduler.over(), Some(&End::Superseded));
    let mut world = World::registered();
    let effects = world.event(Event::Error("Role 'x' is not valid".into()));
    assert!(matches!(effects[..], [Effect::Leave { .. }]), "the stream may stay open: {effects:?}");
    assert_eq!(world.scheduler.over(), None, "what else a master says may be mended there");
}

#[test]
fn votes_on_maintenance_say_yes_only_for_agents_that_may_go() {
    let mut world = World::registered();
    let inverse = |id: &str, agent: &str| InverseOffer {
        id: OfferId::new(id),
        agent: Some(AgentId::new(agent)),
        unavailability: None,
    };
    let effects = world.event(Event::InverseOffers { offers: vec![inverse("I1", "S-free"), inverse("I2", "S2")] });
    assert_eq!(calls(&effects), ["ACCEPT_INVERSE_OFFERS", "DECLINE_INVERSE_OFFERS"]);
}

#[test]
fn a_thousand_agents_are_answered_in_one_write_and_each_with_its_verdict() {
    let mut world = World::registered();
    let offers = (0..1000).map(|n| offer(&format!("O{n}"), &format!("S{n}"), &format!("h{n}"))).collect();
    let effects = world.offers(offers);
    assert_eq!(effects.iter().filter(|effect| matches!(effect, Effect::Save(_))).count(), 1);
    assert_eq!(calls(&effects).len(), 1000);
    assert_eq!(calls(&world.tick(1)).len(), 0);
}

#[derive(Clone, Debug)]
enum Happening {
    Offer(usize, usize),
    Update(usize, u32, usize, bool),
    Restart,
    Reconnect,
    Tick(i64),
    Rescind,
}

const STATES: [&str; 9] = [
    "TASK_STAGING",
    "TASK_RUNNING",
    "TASK_UNREACHABLE",
    "TASK_LOST",
    "TASK_FAILED",
    "TASK_KILLED",
    "TASK_GONE",
    "TASK_ERROR",
    "TASK_NEW_IN_MESOS_2",
];

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (0..3_usize, 0..3_usize).prop_map(|(agent, host)| Happening::Offer(agent, host)),
        4 => (0..3_usize, 1..6_u32, 0..STATES.len(), any::<bool>())
            .prop_map(|(agent, attempt, state, answer)| Happening::Update(agent, attempt, state, answer)),
        1 => Just(Happening::Restart),
        1 => Just(Happening::Reconnect),
        2 => (0..100_i64).prop_map(Happening::Tick),
        1 => Just(Happening::Rescind),
    ]
}

proptest! {
    /// Whatever happens, no agent gets a task while its last one was not told to have ended, no
    /// name is used twice, and what a restart finds is what was known.
    #[test]
    fn no_agent_ever_gets_a_second_living_task(story in prop::collection::vec(happening(), 1..60)) {
        let mut world = World::registered();
        let mut launches = 0;
        for happening in story {
            let before = world.scheduler.tasks().clone();
            match happening {
                Happening::Offer(agent, host) => {
                    world.offers(vec![offer("O", &format!("S{agent}"), &format!("h{host}"))]);
                }
                Happening::Update(agent, attempt, state, is_answer) => {
                    let name = format!("sio-S{agent}-{attempt}");
                    let said = TaskStatus { is_answer, ..status(&name, &format!("S{agent}"), STATES[state]) };
                    world.event(Event::Update(said));
                }
                Happening::Restart => {
                    world.restart();
                    prop_assert_eq!(world.scheduler.tasks(), &before);
                    world.subscribed("F");
                }
                Happening::Reconnect => {
                    world.scheduler.disconnected();
                    world.subscribed("F");
                }
                Happening::Tick(seconds) => {
                    world.tick(seconds);
                }
                Happening::Rescind => {
                    world.event(Event::Rescind(OfferId::new("O")));
                }
            }
            for (agent, _) in &world.launched[launches..] {
                prop_assert!(before.get(agent).is_none_or(|task| task.fate() == TaskFate::Ended));
            }
            launches = world.launched.len();
            prop_assert_eq!(&world.memory().tasks, world.scheduler.tasks());
        }
    }
}
