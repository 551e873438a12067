//! Whether the outbox decides as it should: each test is one rule of it.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;

use super::*;
use crate::alert::mail::{Outcome, Reply, Scope, Stage, Trouble};
use crate::model::alerting::*;
use crate::model::unit::Timestamp;
use crate::store::{Batch, Key, MAX_BATCH, MAX_VALUE, State};

const DOMAIN: &str = "sio.example.test";

fn start() -> Timestamp {
    "2026-11-24T13:00:00Z".parse().unwrap()
}

fn minutes(minutes: i64) -> Timestamp {
    start() + TimeDelta::minutes(minutes)
}

fn id(text: &str) -> NotificationId {
    NotificationId::parse(text).unwrap()
}

fn alert(severity: Severity, state: AlertState) -> Alert {
    Alert {
        name: "Some".to_owned(),
        system: None,
        area: "sds".to_owned(),
        severity,
        labels: Labels::new(),
        annotations: Annotations { summary: "Something".to_owned(), ..Annotations::default() },
        reading: None,
        active_since: start(),
        state,
        source: Source::Rule,
    }
}

fn note(name: &str, severity: Severity) -> Notification {
    let alert = alert(severity, AlertState::Firing { fired_at: start() });
    Notification {
        recipients: vec!["a@x.test".to_owned(), "b@x.test".to_owned()],
        items: vec![Item::new(alert)],
        ..Notification::new(id(name), start(), Kind::Firing, GroupKey::new(None, "sds"))
    }
}

fn reply(name: &str, kind: Kind, root: &str) -> Notification {
    let root = MessageId::of(&id(root), DOMAIN);
    let mut note = note(name, Severity::Warning);
    if kind == Kind::Resolved {
        let resolved = AlertState::Resolved { fired_at: start(), resolved_at: minutes(5), ended_by: None };
        note.items[0].alert.state = resolved;
    }
    Notification { kind, thread: Thread::Reply { root: root.clone(), last: root }, ..note }
}

fn limits() -> Limits {
    Limits { entries: 100, bytes: 1 << 20, give_up: TimeDelta::hours(48), domain: DOMAIN.to_owned(), prefix: MAILS }
}

fn trouble(scope: Scope, stage: Stage, code: Option<u16>) -> Trouble {
    let reply = code.map(|code| Reply::read(code, "words"));
    Trouble { host: "mx".to_owned(), stage, reply, what: "trouble".to_owned(), scope }
}

/// An outbox and the store under it.
struct Box {
    outbox: Outbox,
    state: State,
}

impl Box {
    fn new(limits: Limits) -> Self {
        Self { outbox: Outbox::new(limits), state: State::default() }
    }

    fn with(notes: impl IntoIterator<Item = Notification>) -> Self {
        let mut made = Self::new(limits());
        for note in notes {
            made.take(start(), Input::Add(vec![note]));
        }
        made
    }

    /// Decides, stores, takes over.
    fn take(&mut self, now: Timestamp, input: Input) -> Step {
        let step = self.outbox.step(now, input);
        let batch = step.put_into(Batch::new()).unwrap();
        let mut size = 0;
        for (key, value) in batch.changes() {
            size += value.map_or(0, <[u8]>::len) + key.as_str().len() + crate::store::OPERATION_COST;
            match value {
                Some(value) => {
                    assert!(value.len() <= MAX_VALUE, "{key} has {} bytes", value.len());
                    self.state.entries.insert(key.clone(), value.to_vec())
                }
                None => self.state.entries.remove(key),
            };
        }
        assert!(size <= MAX_BATCH, "a batch of {size} bytes");
        self.outbox.apply(&step);
        step
    }

    fn next(&mut self, now: Timestamp) -> Option<String> {
        self.take(now, Input::Next).send.map(|(note, _)| note.id.to_string())
    }

    fn tried(&mut self, now: Timestamp, name: &str, outcome: Outcome) -> Vec<Event> {
        self.take(now, Input::Tried { id: id(name), outcome, random: 1.0 }).events
    }

    fn retry(&mut self, now: Timestamp, name: &str, scope: Scope) -> Vec<Event> {
        let stage = if scope == Scope::Server { Stage::Connect } else { Stage::Recipient };
        let why = trouble(scope, stage, None);
        self.tried(now, name, Outcome::Retry { after: None, why, refused: Vec::new() })
    }

    fn sent(&mut self, now: Timestamp, name: &str) {
        let accepted = vec!["a@x.test".to_owned(), "b@x.test".to_owned()];
        let outcome = Outcome::Sent { host: "mx".to_owned(), accepted, refused: Vec::new(), deferred: Vec::new() };
        self.tried(now, name, outcome);
    }

    fn ids(&self) -> Vec<&str> {
        self.outbox.entries().keys().map(NotificationId::as_str).collect()
    }

    fn reload(&self, now: Timestamp) -> Self {
        let (outbox, unreadable) = Outbox::load(limits(), &self.state, now);
        assert!(unreadable.is_empty());
        Self { outbox, state: self.state.clone() }
    }
}

#[test]
fn an_entry_goes_from_queued_over_sending_to_gone() {
    let mut outbox = Box::with([note("a", Severity::Info)]);
    assert_eq!(outbox.outbox.wait(start()), Wait::No);
    let step = outbox.take(start(), Input::Next);
    let (sending, to) = step.send.unwrap();
    assert_eq!((sending.id.as_str(), to.len()), ("a", 2));
    assert!(matches!(outbox.outbox.entries()[&id("a")].progress, Progress::Sending { .. }));
    assert_eq!(outbox.next(start()), None, "it is not sent twice at a time");
    outbox.sent(start(), "a");
    assert_eq!((outbox.ids(), outbox.outbox.wait(start())), (vec![], Wait::ForInput));
    assert!(outbox.state.entries.is_empty());
}

#[test]
fn what_is_stored_is_all_there_is() {
    let mut outbox = Box::with([note("a", Severity::Info), note("b", Severity::Critical)]);
    outbox.take(start(), Input::Next);
    let again = outbox.reload(minutes(1));
    assert_eq!(again.outbox.wait(minutes(1)), Wait::No);
    let mut again = again;
    assert_eq!(again.next(minutes(1)).unwrap(), "b", "what was being sent is sent again, under its id");
}

#[test]
fn an_entry_that_cannot_be_read_is_said_and_stays() {
    let mut state = State::default();
    state.entries.insert(Key::new("outbox/x").unwrap(), b"{}".to_vec());
    state.entries.insert(Key::new("alerts/x").unwrap(), b"{}".to_vec());
    let (outbox, unreadable) = Outbox::load(limits(), &state, start());
    assert!(outbox.entries().is_empty());
    assert_eq!(unreadable.len(), 1);
    assert!(unreadable[0].to_string().contains("outbox/x"));
}

#[test]
fn a_mail_in_trouble_waits_alone_and_longer_each_time() {
    let mut outbox = Box::with([note("a", Severity::Critical), note("b", Severity::Info)]);
    let mut now = start();
    for span in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(outbox.next(now).unwrap(), "a");
        outbox.retry(now, "a", Scope::Mail);
        let Progress::Queued { not_before } = outbox.outbox.entries()[&id("a")].progress else { panic!() };
        assert_eq!(not_before - now, TimeDelta::minutes(span), "the longest wait of full jitter");
        now = not_before;
    }
    let before = now - TimeDelta::seconds(1);
    assert_eq!(outbox.next(before).unwrap(), "b", "others go meanwhile");
}

#[test]
fn a_server_in_trouble_pauses_everything_until_it_answers() {
    let mut outbox = Box::with([note("a", Severity::Critical), note("b", Severity::Info)]);
    outbox.next(start());
    let events = outbox.retry(start(), "a", Scope::Server);
    assert!(matches!(&events[..], [Event::Delayed { until, .. }] if *until == minutes(1)), "{events:?}");
    assert_eq!(outbox.outbox.wait(start()), Wait::Until(minutes(1)));
    assert_eq!(outbox.next(start() + TimeDelta::seconds(59)), None);
    assert_eq!(outbox.next(minutes(1)).unwrap(), "a");
    outbox.retry(minutes(1), "a", Scope::Server);
    assert_eq!(outbox.outbox.wait(minutes(1)), Wait::Until(minutes(3)), "twice as long");
    outbox.next(minutes(3));
    outbox.sent(minutes(3), "a");
    assert_eq!(outbox.next(minutes(3)).unwrap(), "b", "a success ends the pause");
}

#[test]
fn jitter_never_means_at_once() {
    let mut outbox = Box::with([note("a", Severity::Info)]);
    outbox.next(start());
    let why = trouble(Scope::Server, Stage::Connect, None);
    let outcome = Outcome::Retry { after: None, why: why.clone(), refused: Vec::new() };
    outbox.take(start(), Input::Tried { id: id("a"), outcome, random: 0.0 });
    assert_eq!(outbox.outbox.wait(start()), Wait::Until(start() + TimeDelta::seconds(1)));
    outbox.next(minutes(1));
    let outcome = Outcome::Retry { after: Some(Duration::from_secs(600)), why, refused: Vec::new() };
    outbox.take(minutes(1), Input::Tried { id: id("a"), outcome, random: 0.0 });
    assert_eq!(outbox.outbox.wait(minutes(1)), Wait::Until(minutes(11)), "what the server asked for counts");
}

#[test]
fn after_two_days_a_mail_is_set_aside_and_told() {
    let mut outbox = Box::with([note("a", Severity::Critical)]);
    outbox.next(start());
    outbox.retry(start(), "a", Scope::Mail);
    let almost = minutes(48 * 60 - 1);
    outbox.next(almost);
    outbox.retry(almost, "a", Scope::Mail);
    assert!(outbox.outbox.entries()[&id("a")].is_open());
    let late = minutes(48 * 60);
    assert_eq!(outbox.outbox.wait(late), Wait::No);
    let step = outbox.take(late, Input::Next);
    assert!(step.send.is_none());
    assert!(matches!(&step.events[..], [Event::Failed { why, .. }] if why.contains("48 h") && why.contains("trouble")));
    assert_eq!(outbox.outbox.wait(late), Wait::ForInput);
    assert_eq!(outbox.reload(late).ids(), ["a"], "it is kept");
}

#[test]
fn giving_up_does_not_wait_for_the_servers() {
    let mut outbox = Box::with([note("a", Severity::Critical)]);
    let late = minutes(48 * 60 - 1);
    outbox.next(late);
    outbox.retry(late, "a", Scope::Server);
    let step = outbox.take(minutes(48 * 60), Input::Next);
    assert!(matches!(&step.events[..], [Event::Failed { .. }]), "{:?}", step.events);
}

#[test]
fn each_recipient_is_settled_once() {
    let mut outbox = Box::with([note("a", Severity::Critical)]);
    outbox.next(start());
    let later = trouble(Scope::Mail, Stage::Recipient, Some(450));
    let events = outbox.tried(
        start(),
        "a",
        Outcome::Sent {
            host: "mx".to_owned(),
            accepted: vec!["a@x.test".to_owned()],
            refused: Vec::new(),
            deferred: vec![("b@x.test".to_owned(), later)],
        },
    );
    assert!(matches!(&events[..], [Event::Sent { accepted: 1, .. }, Event::Delayed { .. }]), "{events:?}");
    let step = outbox.take(minutes(1), Input::Next);
    assert_eq!(step.send.unwrap().1, ["b@x.test"], "who has it does not get it again");
    let no = trouble(Scope::Mail, Stage::Recipient, Some(550));
    let refused = vec![("b@x.test".to_owned(), no.clone())];
    let events = outbox.tried(minutes(1), "a", Outcome::Failed { why: no, refused });
    assert!(matches!(&events[..], [Event::Refused { address, .. }] if address == "b@x.test"), "{events:?}");
    assert!(outbox.ids().is_empty(), "somebody has it, and nobody is left");
}

#[test]
fn a_mail_that_nobody_takes_is_kept_until_a_person_decides() {
    let mut outbox = Box::with([note("a", Severity::Critical), note("b", Severity::Info)]);
    outbox.next(start());
    let no = trouble(Scope::Mail, Stage::Recipient, Some(550));
    let refused = ["a@x.test", "b@x.test"].map(|address| (address.to_owned(), no.clone())).to_vec();
    let events = outbox.tried(start(), "a", Outcome::Failed { why: no, refused });
    assert!(matches!(&events[..], [Event::Refused { .. }, Event::Refused { .. }, Event::Failed { .. }]), "{events:?}");
    assert_eq!(outbox.next(start()).unwrap(), "b");
    outbox.sent(start(), "b");
    assert_eq!(outbox.outbox.wait(minutes(9)), Wait::ForInput);
    outbox.take(minutes(9), Input::Flush);
    let (_, to) = outbox.take(minutes(9), Input::Next).send.unwrap();
    assert_eq!(to.len(), 2, "the refused ones are asked anew");
    outbox.take(minutes(9), Input::Remove(id("a")));
    assert!(outbox.ids().is_empty());
}

#[test]
fn the_gravest_go_first_and_no_answer_before_what_it_answers() {
    let mut outbox = Box::with([
        note("info", Severity::Info),
        note("root", Severity::Info),
        reply("answer", Kind::Update, "root"),
        note("grave", Severity::Critical),
    ]);
    let mut order = Vec::new();
    while let Some(next) = outbox.next(start()) {
        outbox.sent(start(), &next);
        order.push(next);
    }
    // The thread of the warning is as grave as its gravest mail.
    assert_eq!(order, ["grave", "root", "answer", "info"]);
    let mut outbox = Box::with([note("root", Severity::Info), reply("answer", Kind::Update, "root")]);
    outbox.next(start());
    outbox.retry(start(), "root", Scope::Mail);
    assert_eq!(outbox.next(start()), None, "the answer waits for the root");
}

#[test]
fn what_began_and_ended_unsent_is_told_once() {
    let mut outbox = Box::with([note("root", Severity::Warning), reply("update", Kind::Update, "root")]);
    outbox.next(start());
    outbox.retry(start(), "root", Scope::Server);
    let step = outbox.take(minutes(5), Input::Add(vec![reply("over", Kind::Resolved, "root")]));
    assert_eq!(step.events.len(), 2, "{:?}", step.events);
    assert_eq!(outbox.ids(), ["over"]);
    assert_eq!(outbox.outbox.entries()[&id("over")].notification.kind, Kind::HappenedMeanwhile);
    assert_eq!(outbox.reload(minutes(5)).ids(), ["over"]);
}

#[test]
fn what_somebody_may_know_of_is_not_told_as_new() {
    let over = || Input::Add(vec![reply("over", Kind::Resolved, "root")]);
    let kind = |outbox: &Box| outbox.outbox.entries()[&id("over")].notification.kind.clone();

    let mut untried = Box::with([note("root", Severity::Warning)]);
    untried.take(start(), over());
    assert_eq!((untried.ids().len(), kind(&untried)), (2, Kind::Resolved), "nobody failed to send the root");

    let mut sent = Box::with([note("root", Severity::Warning)]);
    sent.next(start());
    sent.sent(start(), "root");
    sent.take(start(), over());
    assert_eq!(kind(&sent), Kind::Resolved, "the root was sent");

    let mut sending = Box::with([note("root", Severity::Warning)]);
    sending.next(start());
    sending.retry(start(), "root", Scope::Mail);
    sending.next(minutes(2));
    sending.take(minutes(2), over());
    assert_eq!((sending.ids().len(), kind(&sending)), (2, Kind::Resolved), "the root is on its way");

    let mut others = Box::with([note("root", Severity::Warning)]);
    others.next(start());
    others.retry(start(), "root", Scope::Mail);
    let mut over = reply("over", Kind::Resolved, "root");
    over.recipients.pop();
    others.take(start(), Input::Add(vec![over]));
    assert_eq!(kind(&others), Kind::Resolved, "not the same readers");
}

#[test]
fn a_full_outbox_drops_the_oldest_of_the_least_grave_and_never_a_critical_one() {
    let mut outbox = Box::new(Limits { entries: 4, ..limits() });
    for (minute, (name, severity)) in [
        ("i1", Severity::Info),
        ("c1", Severity::Critical),
        ("w1", Severity::Warning),
        ("i2", Severity::Info),
        ("w2", Severity::Warning),
        ("c2", Severity::Critical),
        ("c3", Severity::Critical),
        ("c4", Severity::Critical),
    ]
    .into_iter()
    .enumerate()
    {
        outbox.take(minutes(minute as i64), Input::Add(vec![note(name, severity)]));
    }
    assert_eq!(outbox.ids(), ["c1", "c2", "c3", "c4"]);
    let step = outbox.take(minutes(9), Input::Add(vec![note("c5", Severity::Critical)]));
    assert!(matches!(&step.events[..], [Event::OverLimit { entries: 5, .. }]), "{:?}", step.events);
    let held: Vec<&str> =
        outbox.outbox.entries().values().flat_map(|e| &e.notification.held).map(|h| h.summary.as_str()).collect();
    assert_eq!(held.len(), 4, "those that are left tell of those that went");
    let step = outbox.take(minutes(9), Input::Add(vec![note("i3", Severity::Info)]));
    assert!(matches!(&step.events[..], [Event::Dropped { .. }, Event::OverLimit { .. }]), "{:?}", step.events);
    assert!(!outbox.ids().contains(&"i3"), "a new one makes no room for itself by a critical one");
}

#[test]
fn bytes_are_limited_as_well() {
    let mut outbox = Box::new(Limits { bytes: 40_000, ..limits() });
    for n in 0..200 {
        outbox.take(minutes(n), Input::Add(vec![note(&format!("n{n}"), Severity::Info)]));
    }
    assert!(outbox.outbox.bytes() <= 40_000, "{}", outbox.outbox.bytes());
    assert!(outbox.ids().contains(&"n199") && !outbox.ids().contains(&"n0"));
    let stored: usize = outbox.state.entries.values().map(Vec::len).sum();
    assert_eq!(outbox.outbox.bytes(), stored, "what is counted is what is stored");
}

#[test]
fn a_huge_notification_is_cut_and_says_so() {
    let mut huge = note("huge", Severity::Critical);
    huge.items[0].alert.annotations.description = (0..10_000).map(|n| format!("line {n}\n")).collect();
    let cut = fit(huge.clone(), start());
    assert!(cut.left_out[0].contains("1 long texts were cut"), "{:?}", cut.left_out);
    let mut many = note("many", Severity::Critical);
    many.items = vec![many.items[0].clone(); 2_000];
    let cut_many = fit(many, start());
    assert!((20..2_000).contains(&cut_many.items.len()));
    assert!(cut_many.left_out[0].contains("alerts, the least grave ones, were left out"), "{:?}", cut_many.left_out);
    assert_eq!(cut_many.recipients.len(), 2);
    let mut outbox = Box::with([]);
    outbox.take(start(), Input::Add(vec![huge]));
    assert_eq!(fit(note("small", Severity::Info), start()), note("small", Severity::Info));
}

#[test]
fn many_notifications_fit_into_batches_with_room_for_their_cause() {
    let mut big = note("big", Severity::Info);
    big.items[0].alert.annotations.description = "x".repeat(30_000);
    let notes: Vec<Notification> = (0..40).map(|n| Notification { id: id(&format!("n{n}")), ..big.clone() }).collect();
    let parts = chunks(notes, start());
    assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), 40);
    let mut outbox = Box::with([]);
    for part in parts {
        let step = outbox.outbox.step(start(), Input::Add(part));
        let batch = step.put_into(Batch::new()).unwrap();
        let size: usize = batch.changes().map(|(_, value)| value.map_or(0, <[u8]>::len)).sum();
        assert!(size <= MAX_BATCH / 2, "{size}");
        outbox.outbox.apply(&step);
    }
}

#[test]
fn flushing_and_giving_up_thousands_goes_in_batches_that_fit() {
    let mut outbox = Box::new(Limits { entries: 5_000, bytes: 1 << 30, ..limits() });
    let mut big = note("big", Severity::Info);
    big.items[0].alert.annotations.description = "x".repeat(10_000);
    for n in 0..200 {
        outbox.take(start(), Input::Add(vec![Notification { id: id(&format!("n{n}")), ..big.clone() }]));
    }
    let late = minutes(49 * 60);
    let mut steps = 0;
    while !outbox.take(late, Input::Next).changes_nothing() {
        steps += 1;
    }
    assert!(steps > 5 && outbox.outbox.entries().values().all(|entry| !entry.is_open()));
    while !outbox.take(late, Input::Flush).changes_nothing() {}
    assert!(outbox.outbox.entries().values().all(Entry::is_open));
}

#[test]
fn every_key_fits_the_store() {
    let longest = "x".repeat(NotificationId::MAX);
    assert!(key(MAILS, &id(&longest)).is_ok());
    assert!(key(MAILS, &NotificationId::new(start(), u64::MAX)).is_ok());
}

#[test]
fn a_step_that_was_not_stored_changed_nothing() {
    let outbox = Box::with([note("a", Severity::Info)]);
    let before: BTreeMap<_, _> = outbox.outbox.entries().clone();
    let step = outbox.outbox.step(start(), Input::Next);
    assert!(step.send.is_some());
    assert_eq!(*outbox.outbox.entries(), before);
    assert_eq!(outbox.outbox.wait(start()), Wait::No);
}

#[test]
fn a_clock_that_is_set_back_lets_no_mail_wait_longer_than_it_was_to() {
    let day = |n: i64| start() + TimeDelta::days(n);
    let mut made = Box::with([note("n-1", Severity::Warning)]);
    assert_eq!(made.next(day(0)).as_deref(), Some("n-1"));
    made.retry(day(0), "n-1", Scope::Server);
    let Wait::Until(at) = made.outbox.wait(day(0)) else { panic!("it waits") };
    let waits = at - day(0);
    // The same process sees the clock go back, and counts from there.
    made.outbox.set_back(TimeDelta::days(365));
    assert_eq!(made.outbox.wait(day(-365)), Wait::Until(day(-365) + waits));
    assert_eq!(made.next(day(-365) + waits).as_deref(), Some("n-1"));
    made.retry(day(-365) + waits, "n-1", Scope::Mail);
    // A restart with a clock that was set back meanwhile: an hour at most, and the 48 hours begin then.
    let (mut outbox, _) = Outbox::load(limits(), &made.state, day(-800));
    match outbox.wait(day(-800)) {
        Wait::No => {}
        Wait::Until(at) => assert!(at <= day(-800) + TimeDelta::hours(1), "{at}"),
        Wait::ForInput => panic!("it is lost"),
    }
    let step = outbox.step(day(-798) + TimeDelta::hours(1), Input::Next);
    outbox.apply(&step);
    assert!(step.events.iter().any(|event| matches!(event, Event::Failed { .. })), "{:?}", step.events);
}
