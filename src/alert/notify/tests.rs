//! Whether people are told what they should be, when, and not more often.

mod clock;

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::handle::{self, Wanted};
use super::memory::Memory;
use super::mute::{Seen, view};
use super::runs::Over;
use super::{Policy, next};
use crate::alert::engine::Verdict;
use crate::config::{Escalate, Notify, Quiet, Route};
use crate::model::alerting::{
    Alert, AlertState, Annotations, Fingerprint, FiringSet, HoldReason, Kind, Matcher, MessageId, Notification,
    Severity, Source, Target, Thread, Via,
};
use crate::model::id::SystemId;
use crate::model::unit::Timestamp;
use crate::store::{Key, State};
use crate::watches::Pictures;

static NO_RUNS: Over = Over::new();

const DOMAIN: &str = "example.test";

/// The begin of every story: Wednesday, 18 November 2026, 11:06:40.
pub(super) fn at(seconds: i64) -> Timestamp {
    chrono::DateTime::from_timestamp(1_795_000_000 + seconds, 0).unwrap()
}

pub(super) fn alert_with(name: &str, severity: Severity, labels: &[(&str, &str)]) -> Alert {
    let mut labels: BTreeMap<String, String> =
        labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    labels.insert("alertname".to_owned(), name.to_owned());
    labels.insert("severity".to_owned(), severity.as_str().to_owned());
    let area = labels.entry("area".to_owned()).or_insert_with(|| "sds".to_owned()).clone();
    Alert {
        name: name.to_owned(),
        system: labels.get("system").map(|system| SystemId::new(system)),
        area,
        severity,
        labels,
        annotations: Annotations { summary: name.to_owned(), ..Annotations::default() },
        reading: None,
        active_since: at(0),
        state: AlertState::Firing { fired_at: at(0) },
        source: Source::Rule,
    }
}

pub(super) fn route(name: &str, matchers: &[&str]) -> Route {
    let matchers = matchers.iter().map(|text| Matcher::parse(text).unwrap()).collect();
    Route { name: name.to_owned(), matchers, ..Route::default_for(vec![format!("{name}@example.test")]) }
}

/// `Name` is critical, `name` is a warning, `name.` is of no gravity; `area/name` is of another area.
fn alert(text: &str) -> Alert {
    let (area, name) = text.split_once('/').unwrap_or(("sds", text));
    let severity = match name {
        name if name.ends_with('.') => Severity::Info,
        name if name.starts_with(char::is_uppercase) => Severity::Critical,
        _ => Severity::Warning,
    };
    alert_with(name, severity, &[("system", "s"), ("area", area)])
}

fn verdict(now: Timestamp, names: &[&str]) -> Verdict {
    let alerts = names.iter().map(|name| alert(name)).map(|alert| (alert.fingerprint(), alert)).collect();
    let set = FiringSet { at: now, based_on: BTreeMap::new(), alerts };
    Verdict { set, resolved: Vec::new(), heartbeats: 0, errors: Vec::new() }
}

/// A controller that tells, second after second, and is started anew now and then.
struct Story {
    policy: Policy,
    memory: Memory,
    now: i64,
    looks: u32,
    told: Vec<Notification>,
    /// The newest mail of each thread, by its root.
    threads: BTreeMap<String, MessageId>,
}

impl Story {
    fn new(change: impl FnOnce(&mut Notify)) -> Self {
        let mut notify = Notify::default_for(vec!["ops@example.test".to_owned()]);
        change(&mut notify);
        let policy = Policy::new(notify, DOMAIN);
        Self { policy, memory: Memory::default(), now: 0, looks: 0, told: Vec::new(), threads: BTreeMap::new() }
    }

    /// These fire until then.
    fn fires(&mut self, until: i64, names: &[&str]) -> &mut Self {
        while self.now < until {
            let now = at(self.now);
            let verdict = verdict(now, names);
            let seen = Seen { verdict: &verdict, underway: &[], over: &NO_RUNS };
            let nothing = Pictures::new();
            while let Some(n) = next(now, &seen, &nothing, &self.policy, &mut self.memory) {
                self.note(n);
            }
            // Every hundredth look is a restart. What waits to be told, and what fired before, is not stored.
            self.looks += 1;
            if self.looks.is_multiple_of(100) {
                let before = self.memory.before.take();
                let (mut loaded, unreadable) = Memory::load(&stored(&self.memory));
                assert!(unreadable.is_empty(), "{unreadable:?}");
                let waiting = self.memory.groups.iter().filter(|(_, group)| !group.was_told());
                loaded.groups.extend(waiting.map(|(id, group)| (id.clone(), group.clone())));
                assert_eq!(loaded, self.memory, "what is stored is what was known");
                loaded.before = before;
                self.memory = loaded;
            }
            // Hours pass in larger steps.
            self.now += if until - self.now > HOUR { 10 } else { 1 };
        }
        self
    }

    fn note(&mut self, n: Notification) {
        assert!(!self.told.iter().any(|other| other.id == n.id), "an id is used twice");
        let message = MessageId::of(&n.id, DOMAIN);
        let root = match &n.thread {
            Thread::Root => message.as_str().to_owned(),
            Thread::Reply { root, last } => {
                assert!(self.threads.values().any(|known| known == last), "{} answers an unknown mail", n.id);
                root.as_str().to_owned()
            }
        };
        self.threads.insert(root, message);
        assert!(!n.recipients.is_empty());
        self.told.push(n);
    }

    /// `second kind firing -resolved` of each notification since the last call.
    fn told(&mut self) -> Vec<String> {
        let told = std::mem::take(&mut self.told);
        told.iter()
            .map(|n| {
                let names = |resolved: bool| -> String {
                    let items = n.items.iter().filter(|item| item.alert.is_resolved() == resolved);
                    items.map(|item| item.alert.name.as_str()).collect::<Vec<_>>().join(",")
                };
                let second = (n.created_at - at(0)).num_seconds();
                format!("{second} {} {} -{}", n.kind.as_str(), names(false), names(true))
            })
            .collect()
    }

    fn act<T>(
        &mut self,
        names: &[&str],
        act: impl FnOnce(Timestamp, &super::mute::View<'_>, &Policy, &mut Memory) -> T,
    ) -> T {
        let now = at(self.now);
        let verdict = verdict(now, names);
        let view = view(now, &Seen { verdict: &verdict, underway: &[], over: &NO_RUNS }, &self.policy, &self.memory);
        act(now, &view, &self.policy, &mut self.memory)
    }

    fn silence(&mut self, matcher: &str, seconds: u64) {
        let wanted = Wanted {
            matchers: vec![Matcher::parse(matcher).unwrap()],
            owner: "anna@example.test".to_owned(),
            reason: "a test".to_owned(),
            seconds,
            via: Via::Cli,
        };
        self.act(&[], |now, _, policy, memory| handle::silence(now, wanted, policy, memory)).unwrap();
    }

    fn acknowledge(&mut self, names: &[&str], name: &str, seconds: Option<u64>) {
        let on = Target::Alert(alert(name).fingerprint());
        self.act(names, |now, view, policy, memory| {
            handle::acknowledge(now, &on, "anna", "", seconds, &Via::Cli, view, policy, memory)
        })
        .unwrap();
    }
}

fn stored(memory: &Memory) -> State {
    let entries: BTreeMap<Key, Vec<u8>> = memory.entries().unwrap();
    assert!(entries.values().all(|value| value.len() <= crate::store::MAX_VALUE));
    State { entries, ..State::default() }
}

const HOUR: i64 = 3600;

#[test]
fn alerts_are_told_together_changes_seldom_and_the_end_in_the_same_thread() {
    let mut story = Story::new(|_| {});
    story.fires(20, &["A"]).fires(60, &["A", "B"]).fires(400, &["B", "C"]).fires(1_000, &[]);
    assert_eq!(story.told(), ["30 firing A,B -", "330 update B,C -A", "630 resolved  -B,C"]);
    assert!(story.memory.groups.is_empty());
    story.fires(1_100, &["A"]);
    assert_eq!(story.told(), ["1030 firing A -"], "a new thread");
}

#[test]
fn what_is_over_before_anybody_was_told_is_not_told() {
    let mut story = Story::new(|_| {});
    story.fires(20, &["A"]).fires(500, &[]);
    assert_eq!(story.told(), [""; 0]);
}

#[test]
fn reminders_come_by_gravity_and_never_of_what_can_wait() {
    let mut story = Story::new(|_| {});
    story.fires(25 * HOUR, &["x/A", "y/b", "z/c."]);
    let told = story.told();
    let of = |name: &str| told.iter().filter(|line| line.contains(&format!("reminder {name} "))).count();
    assert_eq!((of("A"), of("b"), of("c.")), (6, 1, 0), "{told:#?}");
}

#[test]
fn who_acknowledges_is_left_alone_until_it_is_over_or_his_time_is() {
    let mut story = Story::new(|_| {});
    story.fires(100, &["A"]);
    story.acknowledge(&["A"], "A", None);
    story.fires(30 * HOUR, &["A"]).fires(30 * HOUR + 10, &[]);
    let resolved = story.told.last().unwrap().clone();
    assert_eq!(story.told(), ["30 firing A -", "108000 resolved  -A"]);
    assert_eq!(resolved.items[0].acknowledged.as_ref().unwrap().by, "anna");
    assert!(story.memory.acks.is_empty(), "it is forgotten with the alert");

    let mut story = Story::new(|_| {});
    story.fires(100, &["A"]);
    story.acknowledge(&["A"], "A", Some(6 * 3600));
    story.fires(7 * HOUR, &["A"]);
    assert_eq!(story.told(), ["30 firing A -", "21700 reminder A -"]);
}

#[test]
fn what_joins_an_acknowledged_group_is_told_and_reminded_of() {
    let mut story = Story::new(|_| {});
    story.fires(100, &["A"]);
    story.acknowledge(&["A"], "A", None);
    story.fires(5 * HOUR, &["A", "B"]);
    assert_eq!(story.told(), ["30 firing A -", "330 update A,B -", "14730 reminder A,B -"]);
}

#[test]
fn a_silenced_alert_is_told_when_the_silence_ends_and_it_still_fires() {
    let mut story = Story::new(|_| {});
    story.silence("alertname=A", 1_000);
    story.fires(1_100, &["A"]);
    let told = story.told();
    assert_eq!(told, ["500 silence_ends A -", "1030 firing A -"]);
}

#[test]
fn the_end_of_a_told_alert_is_told_though_it_is_silenced_by_then() {
    let mut story = Story::new(|_| {});
    story.fires(100, &["A"]);
    story.silence("alertname=A", 20_000);
    story.fires(400, &["A"]).fires(500, &[]);
    let resolved = story.told.last().unwrap().clone();
    assert_eq!(story.told(), ["30 firing A -", "400 resolved  -A"]);
    assert_eq!(resolved.items[0].silences.len(), 1);
}

#[test]
fn what_was_silent_all_the_time_is_never_mentioned() {
    let mut story = Story::new(|notify| notify.silence_notice = TimeDelta::zero());
    story.silence("alertname=A", 10_000);
    story.fires(5_000, &["A"]).fires(6_000, &[]);
    assert_eq!(story.told(), [""; 0]);
}

#[test]
fn nobody_silences_everything_without_end_or_without_a_name() {
    let mut story = Story::new(|_| {});
    let mut try_it = |matcher: &[&str], owner: &str, reason: &str, seconds: u64| {
        let wanted = Wanted {
            matchers: matcher.iter().map(|text| Matcher::parse(text).unwrap()).collect(),
            owner: owner.to_owned(),
            reason: reason.to_owned(),
            seconds,
            via: Via::Api,
        };
        let made = story.act(&[], |now, _, policy, memory| handle::silence(now, wanted, policy, memory));
        made.err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert!(try_it(&[], "a", "b", 60).contains("every alert"));
    assert!(try_it(&["x=~\".*\""], "a", "b", 60).contains("every alert"));
    assert!(try_it(&["x!=\"a\""], "a", "b", 60).contains("every alert"));
    assert!(try_it(&["x=a"], " ", "b", 60).contains("owner"));
    assert!(try_it(&["x=a"], "a\r\nBcc: b", "b", 60).contains("owner"));
    assert!(try_it(&["x=a"], "a", "", 60).contains("reason"));
    assert!(try_it(&["x=a"], "a", "b", 0).contains("30days"));
    assert!(try_it(&["x=a"], "a", "b", 31 * 86_400).contains("30days"));
    assert!(try_it(&["x=a"], "a", "b", u64::MAX).contains("30days"));
    assert_eq!(try_it(&["x=a"], "a", "b", 60), "");
}

#[test]
fn what_nobody_acknowledges_goes_to_more_people_once_and_they_hear_the_end() {
    let escalate = |notify: &mut Notify| {
        let escalate = Escalate { after: TimeDelta::minutes(30), recipients: vec!["boss@example.test".to_owned()] };
        notify.routes[0].escalate = Some(escalate);
    };
    let mut story = Story::new(escalate);
    story.fires(3 * HOUR, &["A", "b"]).fires(3 * HOUR + 10, &[]);
    let to: Vec<usize> = story.told.iter().map(|n| n.recipients.len()).collect();
    assert_eq!(story.told(), ["30 firing A,b -", "1830 escalation A,b -", "10800 resolved  -A,b"]);
    assert_eq!(to, [1, 2, 2]);
    let mut story = Story::new(escalate);
    story.fires(100, &["A", "b"]);
    story.acknowledge(&["A", "b"], "A", None);
    story.fires(3 * HOUR, &["A", "b"]);
    assert_eq!(story.told(), ["30 firing A,b -"], "a warning alone wakes nobody");
}

/// Quiet from the 10th to the 20th minute of every story.
fn quiet(notify: &mut Notify) {
    let time = |second: i64| at(second).naive_utc().time();
    let (from, to) = (time(600), time(1_200));
    notify.routes[0].quiet = Some(Quiet { from, to, days: (0..7).collect(), zone: chrono_tz::UTC });
}

#[test]
fn in_quiet_hours_only_what_is_critical_is_told_and_the_morning_tells_the_rest() {
    let mut story = Story::new(quiet);
    story.fires(650, &[]).fires(700, &["x/a", "y/b", "Z"]).fires(1_000, &["x/a", "Z"]).fires(1_300, &["x/a", "Z"]);
    let digest = story.told.last().unwrap().clone();
    assert_eq!(story.told(), ["680 firing Z -", "1200 digest a -"]);
    let held: Vec<_> = digest.held.iter().map(|held| (held.summary.as_str(), &held.reason)).collect();
    assert_eq!(held, [("b", &HoldReason::QuietHours)], "what began and ended in the night");
    story.fires(2_000, &[]);
    assert_eq!(story.told(), ["1300 resolved  -Z", "1500 resolved  -a"], "each in its own thread");
}

#[test]
fn a_quiet_night_in_which_nothing_was_makes_no_mail() {
    let mut story = Story::new(quiet);
    story.fires(2_000, &[]);
    assert_eq!(story.told(), [""; 0]);
}

#[test]
fn what_comes_and_goes_is_told_once_and_again_when_it_is_calm() {
    let mut story = Story::new(|_| {});
    story.fires(1, &[]);
    for round in 0..10 {
        story.fires(round * 200 + 100, &["A"]).fires(round * 200 + 200, &[]);
    }
    assert_eq!(story.told(), ["31 firing A -", "300 flapping  -A"], "and nothing else");
    story.fires(2_000 + 2_000, &["A"]);
    let told = story.told();
    assert_eq!(told, ["3800 update A -"], "it stays, and that is news");
    story.fires(5_000, &[]);
    assert_eq!(story.told(), ["4100 resolved  -A"]);
}

#[test]
fn what_says_that_data_is_lost_is_told_however_often_it_changes() {
    let mut story = Story::new(|_| {});
    for round in 0..6 {
        story.fires(round * 1_000 + 500, &["ScaleioDataFailed"]).fires(round * 1_000 + 1_000, &[]);
    }
    let told = story.told();
    assert_eq!(told.iter().filter(|line| line.contains("firing")).count(), 6, "{told:?}");
}

#[test]
fn a_storm_is_one_mail_and_its_end_too() {
    let names: Vec<String> = (0..40).map(|n| format!("area{n}/A{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut story = Story::new(|_| {});
    story.fires(1_000, &names);
    let storm = story.told[0].clone();
    assert_eq!(story.told.len(), 1);
    assert_eq!(storm.kind, Kind::Storm { critical: 40, warning: 0, info: 0 });
    assert_eq!((storm.items.len(), storm.severity()), (40, Severity::Critical));
    story.told.clear();
    story.fires(2_000, &[]);
    assert_eq!(story.told.len(), 1);
    assert_eq!((story.told[0].kind.as_str(), story.told[0].resolved().count()), ("resolved", 0));
    assert_eq!(story.told[0].left_out.len(), 1, "of so many only the number is remembered");
    assert!(matches!(story.told[0].thread, Thread::Reply { .. }));
}

#[test]
fn a_few_groups_at_once_are_no_storm() {
    let mut story = Story::new(|_| {});
    story.fires(100, &["u/A", "v/B", "w/C", "x/d", "y/e", "z/f"]);
    assert_eq!(story.told.len(), 6);
}

#[test]
fn beyond_the_mails_of_an_hour_nothing_is_dropped() {
    let mut story = Story::new(|notify| {
        notify.routes[0].mails_an_hour = 4;
        notify.flap_changes = 1_000;
    });
    // A new alert of its own area every ten minutes, each for five; and one that stays.
    for round in 0..12 {
        let name = format!("area{round}/a{round}");
        story.fires(round * 600 + 300, &["stays/z", &name]).fires(round * 600 + 600, &["stays/z"]);
    }
    for window in story.told.windows(5) {
        assert!(window[4].created_at - window[0].created_at >= TimeDelta::hours(1), "more than 4 in an hour");
    }
    story.fires(20_000, &[]);
    for round in 0..12 {
        let name = format!("a{round}");
        let item = |n: &Notification| n.items.iter().any(|item| item.alert.name == name);
        let held = |n: &Notification| n.held.iter().any(|held| held.summary == name);
        assert!(story.told.iter().any(|n| item(n) || held(n)), "{name} was told nobody");
    }
}

#[test]
fn something_critical_does_not_wait_for_room_in_the_hour() {
    let mut story = Story::new(|notify| notify.routes[0].mails_an_hour = 1);
    story.fires(100, &["x/a"]).fires(200, &["x/a", "y/B"]);
    assert_eq!(story.told(), ["30 firing a -", "130 firing B -"]);
}

#[test]
fn an_alert_of_two_routes_is_told_by_both() {
    let mut story = Story::new(|notify| {
        let mut first = route("first", &["severity=critical"]);
        first.go_on = true;
        notify.routes.splice(0..0, [first, route("second", &["system=s"])]);
    });
    story.fires(100, &["A"]);
    let to: Vec<&str> = story.told.iter().map(|n| n.recipients[0].as_str()).collect();
    assert_eq!(to, ["first@example.test", "second@example.test"]);
}

#[test]
fn work_that_explains_an_alert_keeps_it_silent_until_it_is_late() {
    use crate::model::alerting::{StepKind, Touched, Underway};
    let sds = alert_with(
        "ScaleioSdsDisconnected",
        Severity::Critical,
        &[("system", "s"), ("protection_domain", "pd1"), ("sds", "sds1")],
    );
    let touched = Touched {
        system: SystemId::new("s"),
        sds: [("pd1".to_owned(), "sds1".to_owned())].into(),
        mdms: [].into(),
        sdcs: [].into(),
    };
    let underway = [Underway { step: StepKind::Reboot, touched, until: at(600) }];
    let mut story = Story::new(|_| {});
    let mut told = Vec::new();
    for second in 0..700 {
        let mut verdict = verdict(at(second), &[]);
        verdict.set.alerts.insert(sds.fingerprint(), sds.clone());
        let seen = Seen { verdict: &verdict, underway: &underway, over: &NO_RUNS };
        told.extend(next(at(second), &seen, &Pictures::new(), &story.policy, &mut story.memory).map(|_| second));
    }
    assert_eq!(told, [630]);
}

#[test]
fn a_heartbeat_comes_at_its_time_and_once() {
    use crate::config::Weekly;
    let mut story = Story::new(|notify| {
        let time = at(300).naive_utc().time();
        notify.heartbeat = Some(Weekly { days: (0..7).collect(), at: time, zone: chrono_tz::UTC });
    });
    story.fires(1_000, &[]);
    assert_eq!(story.told(), ["300 heartbeat  -"]);
}

#[test]
fn more_alerts_than_can_be_remembered_are_told_by_their_number() {
    let names: Vec<String> = (0..9_000).map(|n| format!("a{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut story = Story::new(|_| {});
    let now = at(0);
    let verdict = verdict(now, &names);
    let seen = Seen { verdict: &verdict, underway: &[], over: &NO_RUNS };
    let pictures = Pictures::new();
    assert!(next(now, &seen, &pictures, &story.policy, &mut story.memory).is_none());
    let n = next(at(30), &seen, &pictures, &story.policy, &mut story.memory).unwrap();
    assert_eq!(n.items.len(), 200);
    assert_eq!(n.left_out, ["5800 more alerts are not listed; /api/v1/alerts has all of them."]);
    let entries = story.memory.entries().unwrap();
    let size: usize = entries.iter().map(|(key, value)| key.as_str().len() + value.len() + 64).sum();
    assert!(size < crate::store::MAX_BATCH - 72 * 1024, "{size} bytes do not fit into one commit");
}

#[test]
fn fingerprints_of_a_group_come_back_from_the_store() {
    let mut story = Story::new(|_| {});
    story.fires(100, &["A", "b"]);
    let (loaded, _) = Memory::load(&stored(&story.memory));
    let told: Vec<Fingerprint> = loaded.groups.values().flat_map(|group| group.told.keys().copied()).collect();
    assert_eq!(told.len(), 2);
}

#[test]
fn the_end_of_a_run_is_told_once_with_what_its_steps_kept_quiet_and_none_of_before() {
    use std::sync::Arc;

    use crate::model::alerting::{StepKind, Touched, Underway};
    use crate::model::id::RunId;
    use crate::model::lifecycle::RunReport;

    let system = SystemId::new("prod");
    let report = |run: &str| {
        Some(Arc::new(RunReport {
            system: SystemId::new("prod"),
            run: RunId::new(run),
            what: "upgrade".to_owned(),
            approved_by: "ada".to_owned(),
            opened_at: at(0),
            ended_at: at(90),
            end: "done".to_owned(),
            why: None,
            single_copy_seconds: 0,
            tasks: Vec::new(),
            more: 0,
        }))
    };
    let mut story = Story::new(|_| {});
    let mut touched = Touched::nothing(system.clone());
    touched.sds.insert(("pd1".to_owned(), "sds1".to_owned()));
    let underway = [Underway { step: StepKind::Apply, touched, until: at(3600) }];
    let labels = [("system", "prod"), ("protection_domain", "pd1"), ("sds", "sds1")];
    let away = alert_with("ScaleioSdsDisconnected", Severity::Critical, &labels);
    let mut look = |seconds: i64, firing: &[Alert], underway: &[Underway], last: Option<&str>| {
        let mut verdict = verdict(at(seconds), &[]);
        verdict.set.alerts.extend(firing.iter().map(|alert| (alert.fingerprint(), alert.clone())));
        let over: Over = [(system.clone(), last.and_then(report))].into();
        let seen = Seen { verdict: &verdict, underway, over: &over };
        let mut told = Vec::new();
        while let Some(n) = next(at(seconds), &seen, &Pictures::new(), &story.policy, &mut story.memory) {
            told.push(n);
        }
        // Over a restart nothing of it is lost.
        let state = State { entries: story.memory.entries().unwrap(), ..State::default() };
        let before = story.memory.before.take();
        story.memory = Memory { before, ..Memory::load(&state).0 };
        told
    };
    assert!(look(0, &[], &[], Some("run-0001")).is_empty(), "it was over before anybody looked");
    assert!(look(60, std::slice::from_ref(&away), &underway, Some("run-0001")).is_empty(), "a step explains it");
    let told = look(120, &[], &[], Some("run-0002"));
    let [mail] = &told[..] else { panic!("{told:?}") };
    assert!(matches!(&mail.kind, Kind::RunOver(report) if report.run == RunId::new("run-0002")), "{mail:?}");
    assert_eq!(mail.held.len(), 1, "{mail:?}");
    assert!(matches!(&mail.held[0].reason, HoldReason::Work { .. }));
    assert!(look(180, &[], &[], Some("run-0002")).is_empty(), "it is told once");
    let again = look(240, &[], &[], Some("run-0003"));
    assert!(again[0].held.is_empty(), "what was told is not told again");
}
