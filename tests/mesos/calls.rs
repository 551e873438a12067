//! What becomes of each call of a scheduler, and of what operators ask?

use std::time::{Duration, Instant};

use scaleio_framework::mesos::client::{Caller, Master, Session};
use scaleio_framework::mesos::wire::{Call, Event, FrameworkInfo, LaunchTask};
use scaleio_framework::model::id::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId};
use scaleio_framework::model::mesos::{AttributeValue, Offer, TaskState, TaskStatus};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::controller::{addresses, mesos};
use crate::site::{Site, Wanted, try_to_ask, until};

/// Nothing of a master takes longer; what takes longer is not coming.
const PATIENCE: Duration = Duration::from_secs(30);

/// A scheduler by hand.
struct Hand {
    master: Master,
    info: FrameworkInfo,
    framework: Option<FrameworkId>,
    stream: Option<(Session, Caller)>,
    /// Offers that came while something else was waited for.
    open: Vec<Offer>,
}

impl Hand {
    async fn up(master: &str, failover_timeout: Duration) -> Self {
        let settings = mesos(addresses(&[master]), None);
        let info = FrameworkInfo {
            user: "root".to_owned(),
            name: "cases".to_owned(),
            hostname: None,
            principal: None,
            roles: vec!["cases".to_owned()],
            failover_timeout,
            webui_url: None,
        };
        let mut hand =
            Self { master: Master::new(&settings).unwrap(), info, framework: None, stream: None, open: Vec::new() };
        hand.subscribe().await;
        hand
    }

    /// Opens a stream; the first word of the master comes back.
    async fn subscribe(&mut self) -> Event {
        self.open.clear();
        self.stream = Some(self.master.subscribe(&self.info, self.framework.as_ref(), false).await.unwrap());
        let first = self.event(PATIENCE).await.unwrap();
        if let Event::Subscribed { framework, .. } = &first {
            self.framework = Some(framework.clone());
        }
        first
    }

    async fn event(&mut self, patience: Duration) -> Option<Event> {
        let (session, _) = self.stream.as_mut().unwrap();
        let event = tokio::time::timeout(patience, session.event()).await.ok()?;
        let event = event.unwrap().unwrap();
        match &event {
            Event::Offers { offers, unreadable } => {
                assert_eq!(*unreadable, 0);
                self.open.extend(offers.iter().cloned());
            }
            Event::Rescind(id) => self.open.retain(|offer| offer.id != *id),
            _ => {}
        }
        Some(event)
    }

    /// The next thing of a kind; what comes before it is passed over.
    async fn next<T>(&mut self, what: &str, wanted: impl Fn(Event) -> Option<T>) -> T {
        let begun = Instant::now();
        let mut passed = Vec::new();
        while begun.elapsed() < PATIENCE {
            let Some(event) = self.event(PATIENCE).await else { break };
            passed.push(format!("{event:?}"));
            if let Some(found) = wanted(event) {
                return found;
            }
        }
        panic!("{what} did not come: {passed:#?}");
    }

    async fn offers(&mut self, count: usize) -> Vec<Offer> {
        while self.open.len() < count {
            self.next("an offer", |event| matches!(event, Event::Offers { .. }).then_some(())).await;
        }
        let mut offers = std::mem::take(&mut self.open);
        offers.sort_by(|a, b| a.hostname.cmp(&b.hostname));
        offers
    }

    /// The next word about a task.
    async fn update(&mut self, task: &str) -> TaskStatus {
        let about = |event| match event {
            Event::Update(status) if status.task.as_str() == task => Some(status),
            _ => None,
        };
        self.next(&format!("a word about {task}"), about).await
    }

    /// The next state of a task that its executor told; it is acknowledged.
    async fn told(&mut self, task: &str) -> TaskState {
        let status = self.update(task).await;
        self.acknowledge(&status).await;
        status.state
    }

    async fn acknowledge(&self, status: &TaskStatus) {
        let (agent, uuid) = (status.agent.clone().unwrap(), status.uuid.clone().expect("it wants to be acknowledged"));
        self.call(Call::Acknowledge { agent, task: status.task.clone(), uuid }).await;
    }

    async fn call(&self, call: Call) {
        let (_, caller) = self.stream.as_ref().unwrap();
        caller.call(self.framework.as_ref().unwrap(), &call).await.unwrap();
    }

    async fn launch(&self, offer: &Offer, task: &str, cpus: f64) {
        self.launch_with(&offer.id, offer, task, cpus).await;
    }

    async fn launch_with(&self, id: &OfferId, offer: &Offer, task: &str, cpus: f64) {
        let task = LaunchTask {
            task: TaskId::new(task),
            agent: offer.agent.clone(),
            executor: ExecutorId::new(task),
            name: task.to_owned(),
            role: offer.role.clone(),
            cpus,
            mem: 32.0,
            pieces: offer.pieces.clone(),
            command: format!("exec {} executor", env!("CARGO_BIN_EXE_sio")),
            uris: Vec::new(),
            environment: Vec::new(),
            labels: Vec::new(),
            data: Vec::new(),
            grace: Duration::from_secs(2),
        };
        self.call(Call::Launch { offer: id.clone(), task: Box::new(task), refuse: Duration::ZERO }).await;
    }

    async fn running(&mut self, offer: &Offer, task: &str) {
        self.launch(offer, task, 0.1).await;
        assert_eq!(self.told(task).await, TaskState::Starting);
        assert_eq!(self.told(task).await, TaskState::Running);
    }
}

const LONG: Duration = Duration::from_secs(3600);

fn decline(offers: &[Offer], refuse: Duration) -> Call {
    Call::Decline { offers: offers.iter().map(|offer| offer.id.clone()).collect(), refuse }
}

pub(crate) async fn offers_come_and_stay_away_as_they_were_asked_to<S: Site>() {
    let wanted = Wanted { agents: &["rack:special;level:2;r:[1-5,8-9]", ""], ..Wanted::ONE };
    let site = S::up(28_000..29_000, wanted).await;
    let mut hand = Hand::up(&site.master(), LONG).await;
    let offers = hand.offers(2).await;
    let [first, second] = &offers[..] else { panic!("{offers:?}") };
    assert_eq!(
        (&*first.hostname, first.role.as_deref(), first.cpus, first.mem),
        ("agent1", Some("cases"), 4.0, 4096.0)
    );
    assert_eq!(first.attributes["rack"], [AttributeValue::Text("special".into())]);
    assert_eq!(first.attributes["level"], [AttributeValue::Scalar(2.0)]);
    assert_eq!(first.attributes["r"], [AttributeValue::Ranges(vec![(1, 5), (8, 9)])]);
    assert!(first.executors.is_empty() && second.executors.is_empty());
    assert!(first.address.as_deref().is_some_and(|address| address.starts_with("127.0.0.1:")));

    hand.call(decline(&offers[..1], LONG)).await;
    hand.call(decline(&offers[1..], Duration::ZERO)).await;
    let again = hand.offers(1).await;
    assert_eq!(again.iter().map(|offer| &*offer.hostname).collect::<Vec<_>>(), ["agent2"], "only that one is wanted");
    hand.call(decline(&again, LONG)).await;
    // No offer within the span in which two would have come.
    let quiet = async |hand: &mut Hand| loop {
        match hand.event(Duration::from_secs(3)).await {
            None => break true,
            Some(Event::Offers { .. }) => break false,
            Some(_) => {}
        }
    };
    assert!(quiet(&mut hand).await);
    hand.call(Call::Revive).await;
    let all = hand.offers(2).await;
    hand.call(Call::Suppress).await;
    hand.call(decline(&all, Duration::ZERO)).await;
    assert!(quiet(&mut hand).await);
    // What was declined once may be declined again, without a word.
    hand.call(decline(&all, Duration::ZERO)).await;
    hand.call(Call::Revive).await;
    hand.offers(2).await;
    hand.call(Call::Teardown).await;
}

pub(crate) async fn what_cannot_be_launched_is_told_and_questions_are_answered<S: Site>() {
    let site = S::up(29_000..30_000, Wanted::ONE).await;
    let mut hand = Hand::up(&site.master(), LONG).await;
    let [offer] = &hand.offers(1).await[..] else { panic!() };
    let offer = offer.clone();
    hand.running(&offer, "t-1").await;

    hand.launch_with(&offer.id, &offer, "t-stale", 0.1).await;
    let refused = hand.update("t-stale").await;
    let said = |status: &TaskStatus| (status.state.clone(), status.reason.clone().unwrap(), status.uuid.is_some());
    assert_eq!(said(&refused), (TaskState::Dropped, "REASON_INVALID_OFFERS".into(), false));
    let message = format!("Task launched with invalid offers: Offer {} is no longer valid", offer.id);
    assert_eq!(refused.message.as_deref(), Some(&*message));

    for (task, cpus, words) in
        [("t-1", 0.1, "Task has duplicate ID: t-1"), ("t-large", 64.0, "more"), ("bad/id", 0.1, "bad/id")]
    {
        let next = hand.offers(1).await;
        assert_eq!(next[0].executors, [ExecutorId::new("t-1")]);
        hand.launch(&next[0], task, cpus).await;
        let refused = hand.update(task).await;
        assert_eq!(said(&refused), (TaskState::Error, "REASON_TASK_INVALID".into(), false), "{task}");
        assert!(refused.message.as_deref().unwrap().contains(words), "{refused:?}");
    }

    for (task, agent, state) in [
        ("never", None, TaskState::Unknown),
        ("never", Some(offer.agent.clone()), TaskState::Gone),
        ("never", Some(AgentId::new("nobody-S7")), TaskState::Unknown),
        ("t-1", Some(offer.agent.clone()), TaskState::Running),
        ("t-1", None, TaskState::Running),
    ] {
        hand.call(Call::Reconcile { tasks: vec![(TaskId::new(task), agent.clone())] }).await;
        let answer = hand.update(task).await;
        assert_eq!(said(&answer), (state, "REASON_RECONCILIATION".into(), false), "{task} {agent:?}");
        assert!(answer.is_answer && !answer.from_executor);
    }
    hand.call(Call::Reconcile { tasks: Vec::new() }).await;
    assert_eq!(hand.update("t-1").await.state, TaskState::Running);

    // A kill of nothing is answered as a question; a message to nobody is lost without a word.
    hand.call(Call::Kill { task: TaskId::new("never"), agent: None }).await;
    assert_eq!(said(&hand.update("never").await), (TaskState::Unknown, "REASON_RECONCILIATION".into(), false));
    let executor = ExecutorId::new("nobody");
    hand.call(Call::Message { agent: offer.agent.clone(), executor, data: b"hello".to_vec() }).await;
    hand.call(Call::Teardown).await;
}

pub(crate) async fn a_task_is_killed_and_its_last_word_repeated_until_it_is_acknowledged<S: Site>() {
    let site = S::up(30_000..31_000, Wanted::ONE).await;
    let mut hand = Hand::up(&site.master(), LONG).await;
    let offer = hand.offers(1).await.remove(0);
    hand.running(&offer, "t-1").await;
    let kill = |agent: &str| Call::Kill { task: TaskId::new("t-1"), agent: Some(AgentId::new(agent)) };
    hand.call(kill("nobody-S7")).await;
    hand.call(kill(offer.agent.as_str())).await;
    let killed = hand.update("t-1").await;
    assert_eq!((killed.state.clone(), killed.from_executor), (TaskState::Killed, true));
    let begun = Instant::now();
    let again = hand.update("t-1").await;
    assert_eq!(again.uuid, killed.uuid);
    assert!(begun.elapsed() > Duration::from_secs(8), "{:?}", begun.elapsed());
    // A framework that comes back hears it at once.
    hand.subscribe().await;
    let begun = Instant::now();
    let third = hand.update("t-1").await;
    assert_eq!(third.uuid, killed.uuid);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let id = hand.framework.clone().unwrap().to_string();
    assert_eq!(site.tasks(&id).await, [("t-1".to_owned(), "TASK_KILLED".to_owned())]);
    hand.acknowledge(&third).await;
    hand.acknowledge(&third).await;
    until("the master to forget the task", async || site.tasks(&id).await.is_empty().then_some(())).await;
    hand.call(Call::Teardown).await;
}

pub(crate) async fn a_framework_that_stays_away_too_long_is_removed<S: Site>() {
    let site = S::up(31_000..32_000, Wanted::ONE).await;
    let mut hand = Hand::up(&site.master(), Duration::from_secs(1)).await;
    let offer = hand.offers(1).await.remove(0);
    hand.running(&offer, "t-1").await;
    let id = hand.framework.clone().unwrap().to_string();
    hand.stream = None;
    until("its task to be gone", async || site.tasks(&id).await.is_empty().then_some(())).await;
    assert_eq!(hand.subscribe().await, Event::Error("Framework has been removed".into()));
    // An id that this master never saw is taken as it is: that is what makes a new leader work.
    hand.framework = Some(FrameworkId::new("from-another-life-0007"));
    assert!(
        matches!(hand.subscribe().await, Event::Subscribed { framework, .. } if framework.as_str() == "from-another-life-0007")
    );
    hand.call(Call::Teardown).await;
}

pub(crate) async fn operators_see_and_move_agents<S: Site>() {
    let site = S::up(32_000..33_000, Wanted { agents: &["rack:r1"], ..Wanted::ONE }).await;
    let master = site.master();
    let mut hand = Hand::up(&master, LONG).await;
    let offer = hand.offers(1).await.remove(0);
    hand.running(&offer, "t-1").await;
    let agent = async || {
        let said = site.ask(json!({ "type": "GET_AGENTS" })).await;
        said["get_agents"]["agents"][0].clone()
    };
    let seen = agent().await;
    assert_eq!(seen["agent_info"]["hostname"], "agent1");
    assert_eq!(seen["agent_info"]["id"]["value"], offer.agent.as_str());
    assert_eq!(
        seen["agent_info"]["attributes"],
        json!([{ "name": "rack", "type": "TEXT", "text": { "value": "r1" } }])
    );
    assert_eq!(
        (&seen["active"], &seen["deactivated"], &seen["version"]),
        (&json!(true), &json!(false), &json!("1.11.0"))
    );
    let pid = format!("slave(1)@{}", offer.address.as_deref().unwrap());
    assert_eq!(seen["pid"], *pid);
    let frameworks = site.ask(json!({ "type": "GET_FRAMEWORKS" })).await;
    assert_eq!(frameworks["get_frameworks"]["frameworks"][0]["framework_info"]["name"], "cases");
    let tasks = site.ask(json!({ "type": "GET_TASKS" })).await;
    let task = &tasks["get_tasks"]["tasks"][0];
    assert_eq!((&task["executor_id"]["value"], &task["state"]), (&json!("t-1"), &json!("TASK_RUNNING")));

    let machine = json!({ "hostname": "agent1", "ip": "127.0.0.1" });
    let early = json!({ "type": "START_MAINTENANCE", "start_maintenance": { "machines": [machine] } });
    let (status, text) = try_to_ask(&master, &early).await;
    assert_eq!(status, 400);
    assert!(text.ends_with("is not in DRAINING mode and cannot be brought down"), "{text}");

    let of = |kind: &str, mut part: Value| {
        part["agent_id"] = json!({ "value": offer.agent.as_str() });
        json!({ "type": kind, kind.to_lowercase(): part })
    };
    site.ask(of("DEACTIVATE_AGENT", json!({}))).await;
    assert_eq!(agent().await["deactivated"], json!(true));
    site.ask(of("REACTIVATE_AGENT", json!({}))).await;
    assert_eq!(agent().await["deactivated"], json!(false));

    site.ask(of("DRAIN_AGENT", json!({ "max_grace_period": { "seconds": 2 } }))).await;
    let killed = hand.update("t-1").await;
    assert_eq!((killed.state.clone(), killed.reason.as_deref()), (TaskState::Killed, Some("REASON_AGENT_DRAINING")));
    assert_eq!(agent().await["drain_info"]["state"], "DRAINING", "until the last word is acknowledged");
    assert_eq!(try_to_ask(&master, &of("REACTIVATE_AGENT", json!({}))).await.0, 400);
    hand.acknowledge(&killed).await;
    let drained = async || (agent().await["drain_info"]["state"] == "DRAINED").then_some(());
    until("the agent to be drained", drained).await;
    site.ask(of("REACTIVATE_AGENT", json!({}))).await;
    hand.call(Call::Revive).await;
    let last = running_at_last(&mut hand).await;

    site.ask(of("MARK_AGENT_GONE", json!({}))).await;
    let gone = hand.update(&last).await;
    assert_eq!(gone.state, TaskState::GoneByOperator);
    assert_eq!(gone.reason.as_deref(), Some("REASON_AGENT_REMOVED_BY_OPERATOR"));
    let lost = |event| match event {
        Event::Failure { agent, executor: None, .. } => agent,
        _ => None,
    };
    assert_eq!(hand.next("the loss of the agent", lost).await, offer.agent);
    hand.call(Call::Teardown).await;
}

/// A task that runs. An agent that has just stopped draining drops what it gets for a moment.
async fn running_at_last(hand: &mut Hand) -> String {
    for attempt in 2..20 {
        let task = format!("t-{attempt}");
        let offer = hand.offers(1).await.remove(0);
        hand.launch(&offer, &task, 0.1).await;
        let first = hand.update(&task).await;
        if first.uuid.is_some() {
            hand.acknowledge(&first).await;
        }
        if first.state == TaskState::Starting {
            assert_eq!(hand.told(&task).await, TaskState::Running);
            return task;
        }
        assert_eq!((first.state, first.reason.as_deref()), (TaskState::Dropped, Some("REASON_AGENT_DRAINING")));
    }
    panic!("the agent drops everything");
}

/// At the real one alone: the simulated one plays no reservations.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_reserved_for_us_is_taken_as_it_is_and_what_is_for_others_is_not() {
    let resources = "cpus:0.05;mem:40;cpus(cases):1;mem(cases):128;cpus(others):2;mem(others):512;disk:1024";
    let cluster = Cluster::with(34_000..35_000, &["--agents", "1", "--resources", resources]);
    let mut hand = Hand::up(&cluster.master(), LONG).await;
    let offer = hand.offers(1).await.remove(0);
    assert_eq!((offer.cpus, offer.mem), (1.05, 168.0), "{offer:?}");
    assert_eq!(offer.pieces.iter().filter(|piece| piece.reserved.is_some()).count(), 2, "{offer:?}");
    // Of the cpus more than is reserved for us; of neither enough for nobody.
    hand.launch(&offer, "t-1", 1.03).await;
    assert_eq!(hand.told("t-1").await, TaskState::Starting);
    assert_eq!(hand.told("t-1").await, TaskState::Running);
    hand.call(Call::Teardown).await;
}
