//! Whether orders and outcomes survive, and who is told of them.

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::enrol::desk::{self, Counter};
use crate::model::order::{Hidden, Outcome, PROTOCOL, Report, Secrets, Task};
use crate::model::step::Component;
use crate::model::unit::Timestamp;
use crate::store::{Disk, Fault, FaultKind, Faulty, Owner, Store, StoreError};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

fn node(name: &str) -> NodeName {
    NodeName::new(name)
}

fn order(id: &str) -> Order {
    let task = Task::JudgeDisks { paths: Vec::new() };
    Order { id: OrderId::new(id), epoch: 0, expires: at(60), within_s: 60, task, secrets: Secrets::default() }
}

fn done(id: &str) -> Finished {
    Finished { id: OrderId::new(id), outcome: Outcome::Done, at: at(1), found: BTreeMap::new() }
}

fn report(working_on: Option<&str>, finished: &[&str]) -> Report {
    Report {
        protocol: PROTOCOL,
        release: "1".into(),
        program: "00".into(),
        boot_id: "boot-1".into(),
        kernel: "5".into(),
        epoch: 0,
        working_on: working_on.map(OrderId::new),
        finished: finished.iter().map(|id| done(id)).collect(),
        out_of_work: None,
        papers_problem: None,
        host: None,
    }
}

struct Site {
    crew: Crew,
    counter: Counter,
    stop: CancellationToken,
    steward: JoinHandle<Result<(), StoreError>>,
}

impl Site {
    /// A controller on a disk.
    fn start(disk: &Disk) -> Self {
        Self::on(Box::new(disk.open().unwrap()))
    }

    fn on(mut store: Box<dyn Store>) -> Self {
        let state = store.load().unwrap();
        let (owner, desk) = Owner::new(store, &state);
        tokio::spawn(owner.run());
        let (orderer, counter) = desk::open();
        let (steward, crew) = Steward::new(orderer, desk, &state);
        let stop = CancellationToken::new();
        let steward = tokio::spawn(steward.run(stop.clone()));
        Self { crew, counter, stop, steward }
    }

    /// Ends it, as a kill between two commits would.
    async fn end(self) {
        self.stop.cancel();
        self.steward.await.unwrap().unwrap();
        drop((self.crew, self.counter));
        // The store is let go of by a task of its own.
        tokio::task::yield_now().await;
    }

    /// What an agent hears to a report; none: it would wait.
    async fn heard(&mut self, name: &str, report: Report) -> (Vec<String>, Option<String>) {
        let known = report.known();
        let acknowledged = self.counter.hand_in(name, report).await.unwrap();
        let next = tokio::time::timeout(std::time::Duration::from_millis(50), self.counter.next(name, &known)).await;
        let order = next.ok().map(|order| order.unwrap().unwrap().id.to_string());
        (acknowledged.iter().map(ToString::to_string).collect(), order)
    }
}

async fn reopen(disk: &Disk) -> Site {
    for _ in 0..1_000 {
        if let Ok(store) = disk.open() {
            return Site::on(Box::new(store));
        }
        tokio::task::yield_now().await;
    }
    panic!("the store is still in use");
}

#[tokio::test]
async fn an_order_reaches_its_agent_and_its_outcome_whoever_asked() {
    let mut site = Site::start(&Disk::new());
    let crew = site.crew.clone();
    let asked = tokio::spawn(async move { crew.order(&node("n1"), order("a")).await });
    let waiting = site.crew.lay_out(&node("n1"), order("a")).await.unwrap();
    assert_eq!(site.heard("n1", report(None, &[])).await, (vec![], Some("a".into())));
    assert_eq!(site.heard("n1", report(Some("a"), &[])).await, (vec![], None));
    let busy = site.crew.order(&node("n1"), order("b")).await.unwrap_err();
    assert_eq!(busy, NotTaken::Busy { node: node("n1"), with: OrderId::new("a") });
    assert_eq!(site.heard("n1", report(None, &["a"])).await, (vec!["a".into()], None));
    assert_eq!(asked.await.unwrap().unwrap(), done("a"));
    assert_eq!(waiting.outcome().await.unwrap(), done("a"), "both who asked are told");
    let again = site.crew.order(&node("n1"), order("a")).await.unwrap();
    assert_eq!(again, done("a"), "what is over is not done again");
    assert_eq!(site.heard("n1", report(None, &[])).await, (vec![], None));
}

#[tokio::test]
async fn an_agent_whose_word_is_wanted_does_not_wait_for_an_order() {
    let site = Site::start(&Disk::new());
    let mut counter = site.counter.clone();
    let waits = tokio::spawn(async move { counter.next("n1", &[]).await });
    site.crew.want_word(&node("n2"));
    let pause = || tokio::time::sleep(std::time::Duration::from_millis(20));
    pause().await;
    assert!(!waits.is_finished(), "it was another's");
    // It may not have begun to wait yet.
    while !waits.is_finished() {
        site.crew.want_word(&node("n1"));
        pause().await;
    }
    assert_eq!(waits.await.unwrap(), Ok(None));
    site.end().await;
}

#[tokio::test]
async fn an_order_without_an_answer_and_an_outcome_survive_a_restart() {
    let disk = Disk::new();
    let mut site = Site::start(&disk);
    drop(site.crew.lay_out(&node("n1"), order("a")).await.unwrap());
    drop(site.crew.lay_out(&node("n2"), order("b")).await.unwrap());
    assert_eq!(site.heard("n2", report(None, &["b"])).await.0, ["b"]);
    site.end().await;
    let mut site = reopen(&disk).await;
    assert_eq!(site.heard("n1", report(None, &[])).await.1.as_deref(), Some("a"), "it is laid out again");
    assert_eq!(site.crew.order(&node("n2"), order("b")).await.unwrap(), done("b"));
    let facts = site.crew.member(&node("n2")).unwrap().facts.clone().unwrap();
    assert_eq!(&*facts.boot_id, "boot-1");
}

#[tokio::test]
async fn an_order_with_secrets_waits_after_a_restart_until_they_come_again() {
    let disk = Disk::new();
    let site = Site::start(&disk);
    let secrets = Secrets { lia_token: Some(Hidden::new("hunter2")), ..Secrets::default() };
    let secret = Order { secrets, ..order("a") };
    drop(site.crew.lay_out(&node("n1"), secret.clone()).await.unwrap());
    site.end().await;
    let mut site = reopen(&disk).await;
    let stored = disk_text(&site);
    assert!(!stored.contains("hunter2"), "{stored}");
    assert_eq!(site.heard("n1", report(None, &[])).await.1, None, "without its secrets it would fail");
    drop(site.crew.lay_out(&node("n1"), secret).await.unwrap());
    assert_eq!(site.heard("n1", report(None, &[])).await.1.as_deref(), Some("a"));
}

fn disk_text(site: &Site) -> String {
    format!("{:?}", site.crew.members().borrow())
}

#[tokio::test]
async fn what_was_taken_back_is_not_laid_out_and_what_the_agent_does_all_the_same_is_kept() {
    let mut site = Site::start(&Disk::new());
    let pending = site.crew.lay_out(&node("n1"), order("a")).await.unwrap();
    assert_eq!(site.crew.take_back(&node("n1"), &OrderId::new("x")).await, Ok(false));
    assert_eq!(site.crew.take_back(&node("n1"), &OrderId::new("a")).await, Ok(true));
    assert!(pending.outcome().await.is_err());
    assert_eq!(site.heard("n1", report(Some("a"), &[])).await, (vec![], None));
    let busy = site.crew.order(&node("n1"), order("b")).await.unwrap_err();
    assert!(matches!(busy, NotTaken::Busy { with, .. } if with.as_str() == "a"));
    assert_eq!(site.heard("n1", report(None, &["a"])).await.0, ["a"]);
    assert_eq!(site.crew.member(&node("n1")).unwrap().outcome(&OrderId::new("a")), Some(&done("a")));
}

#[tokio::test]
async fn an_id_is_given_once() {
    let site = Site::start(&Disk::new());
    drop(site.crew.lay_out(&node("n1"), order("a")).await.unwrap());
    let other = Order { task: Task::Reboot { boot_id: "b".into() }, ..order("a") };
    let refused = site.crew.order(&node("n1"), other).await.unwrap_err();
    assert_eq!(refused, NotTaken::Reused { node: node("n1"), id: OrderId::new("a") });
}

#[tokio::test]
async fn what_could_not_be_written_down_is_neither_acknowledged_nor_laid_out() {
    let lost = Fault { call: 2, kind: FaultKind::ErrorBefore };
    let site = Site::on(Box::new(Faulty::new(Disk::new().open().unwrap(), Some(lost))));
    let ended = site.counter.hand_in("n1", report(None, &["a"])).await;
    assert!(ended.is_err(), "{ended:?}");
    assert!(site.steward.await.unwrap().is_err(), "the disk is in doubt, so the process ends");
    assert!(site.crew.member(&node("n1")).is_none());
}

#[test]
fn a_mere_sign_of_life_is_no_news_and_a_record_never_outgrows_the_store() {
    let first = book::hear(None, &node("n1"), report(None, &[]), 1, at(0));
    assert!(first.entry.is_some());
    let second = book::hear(Some(&first.member), &node("n1"), report(None, &[]), 1, at(30));
    assert_eq!(second.entry, None);
    assert_eq!(second.member.facts.as_ref().unwrap().seen_at, at(30));
    let mut member = second.member;
    for number in 0..40 {
        let mut report = report(None, &[]);
        let found = (0..30).map(|disk| (format!("/dev/d{disk}"), "x".repeat(400))).collect();
        report.finished = vec![Finished { found, ..done(&format!("s{number}")) }];
        member = book::hear(Some(&member), &node("n1"), report, 1, at(number)).member;
        assert!(book::entry(&member).len() <= crate::store::MAX_VALUE);
    }
    assert!(member.outcome(&OrderId::new("s39")).is_some() && member.outcome(&OrderId::new("s1")).is_none());
    let mut report = report(None, &[]);
    report.finished = vec![Finished { found: [("a".to_owned(), "x".repeat(99_000))].into(), ..done("huge") }];
    let heard = book::hear(Some(&member), &node("n1"), report, 1, at(99));
    assert!(book::entry(&heard.member).len() <= crate::store::MAX_VALUE);
    assert!(heard.member.outcome(&OrderId::new("huge")).is_some());
}

#[test]
fn what_was_found_is_kept_of_the_newest_orders_only() {
    let mut member = Member::new(node("n1"));
    for number in 0..6 {
        let found = [("a".to_owned(), "x".to_owned())].into();
        let finished = vec![Finished { found, ..done(&format!("s{number}")) }];
        member = book::hear(Some(&member), &node("n1"), Report { finished, ..report(None, &[]) }, 1, at(number)).member;
    }
    let kept = member.outcomes.iter().filter(|over| !over.found.is_empty()).map(|over| over.id.as_str());
    assert_eq!(kept.collect::<Vec<_>>(), ["s2", "s3", "s4", "s5"]);
    assert_eq!(member.outcomes.len(), 6, "how the others ended is known");
}

#[tokio::test]
async fn orders_that_come_together_are_durable_however_much_they_are() {
    let disk = Disk::new();
    let site = Site::start(&disk);
    let name = |number: usize| node(&format!("n{number}"));
    let ask = |number: usize| {
        // All of them are twice what one commit takes.
        let paths = (0..100).map(|disk| format!("/dev/{}{disk}", "x".repeat(90))).collect();
        let order = Order { task: Task::JudgeDisks { paths }, ..order("a") };
        let (crew, node) = (site.crew.clone(), name(number));
        tokio::spawn(async move { crew.lay_out(&node, order).await.map(drop) })
    };
    for taken in (0..100).map(ask).collect::<Vec<_>>() {
        taken.await.unwrap().unwrap();
    }
    site.end().await;
    let site = reopen(&disk).await;
    assert!((0..100).all(|number| site.crew.member(&name(number)).is_some_and(|member| member.order.is_some())));
}

#[test]
fn an_agent_s_words_become_facts_and_unknown_ones_are_left_out() {
    let mut report = report(Some("run/1/2/3"), &[]);
    let versions = |text: &str| [text.to_owned()].into();
    report.host = Some(HostReport {
        installed: [("sds".to_owned(), versions("3.6-1.2")), ("warp".to_owned(), versions("9"))].into(),
        running: ["sds".to_owned(), "warp".to_owned()].into(),
        ..HostReport::default()
    });
    let facts = book::hear(None, &node("n1"), report, 1, at(0)).member.facts.unwrap();
    assert_eq!(facts.installed.keys().collect::<Vec<_>>(), [&Component::Sds]);
    assert_eq!(facts.running.into_iter().collect::<Vec<_>>(), [Component::Sds]);
    assert_eq!(facts.open_volumes, u32::MAX, "who cannot tell may have some");
    assert_eq!(facts.working.unwrap().to_string(), "run/1/2/3");
}

#[tokio::test]
async fn an_agent_of_another_controller_is_given_nothing_until_a_person_takes_it_over() {
    let disk = Disk::new();
    let site = Site::start(&disk);
    let theirs = Report { epoch: 7, ..report(None, &[]) };
    site.counter.hand_in("n1", theirs.clone()).await.unwrap();
    site.counter.hand_in("n2", report(None, &[])).await.unwrap();
    let told = site.crew.lay_out(&node("n1"), order("a")).await.unwrap_err();
    assert_eq!(told, NotTaken::Stranger { node: node("n1"), theirs: 7 });
    assert!(site.crew.lay_out(&node("n2"), order("a")).await.is_ok(), "others go on");
    site.end().await;

    // It stays so over a restart, until somebody says yes.
    let site = reopen(&disk).await;
    assert!(site.crew.member(&node("n1")).unwrap().stranger);
    let before = site.crew.epoch();
    let adopted = site.crew.adopt().await.unwrap();
    assert_eq!(adopted, Adopted { nodes: vec![node("n1")], epoch: 8 });
    assert_eq!((before, site.crew.epoch()), (0, 8));
    assert!(site.crew.lay_out(&node("n1"), order("a")).await.is_ok());
    site.counter.hand_in("n1", theirs).await.unwrap();
    assert!(!site.crew.member(&node("n1")).unwrap().stranger, "it is ours now");
    site.end().await;
    assert_eq!(reopen(&disk).await.crew.epoch(), 8, "the epoch is durable");
}

#[test]
fn whoever_obeyed_somebody_while_nothing_is_known_of_it_is_a_stranger() {
    let hear = |before: Option<&Member>, theirs: u64, ours: u64| {
        let report = Report { epoch: theirs, ..report(None, &[]) };
        book::hear(before, &node("n1"), report, ours, at(0)).member
    };
    assert!(!hear(None, 0, 1).stranger, "it never obeyed anybody");
    // A store that is lost counts anew, so the same number is no proof.
    let stranger = hear(None, 1, 1);
    assert!(stranger.stranger && hear(Some(&stranger), 1, 1).stranger);
    let known = hear(None, 0, 3);
    assert!(!hear(Some(&known), 3, 3).stranger, "it obeys us");
    assert!(hear(Some(&known), 4, 3).stranger, "somebody was there meanwhile");
}
