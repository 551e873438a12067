//! Whether each node goes on when it may, stands when it must, and says why.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::super::record::Source;
use super::*;
use crate::model::id::{AgentId, NodeName, SystemId};
use crate::model::node::NodeFacts;
use crate::model::order::{Artefact, Component, HostReport, Install, Order};

mod volumes;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

fn record() -> Record {
    let source = Source {
        agent: Some(AgentId::new("a")),
        address: Some("10.0.0.9".into()),
        attributes: BTreeMap::new(),
        twin: None,
    };
    Record::new(SystemId::new("prod"), NodeName::new("n1"), source, at(0))
}

fn member(seconds: i64) -> Member {
    Member { facts: Some(NodeFacts::bare(at(seconds))), ..Member::new(NodeName::new("n1")) }
}

fn plan() -> Vec<Step> {
    let artefact = Artefact { name: "sdc".into(), sha256: "0".into(), size: 1, url: None };
    let install = Install { component: Component::Sdc, artefact: artefact.clone(), mdms: Vec::new() };
    vec![
        Step { name: StepName::Stage, task: Task::Stage { artefacts: vec![artefact] } },
        Step { name: StepName::InstallSdc, task: Task::Install(install) },
    ]
}

static ADDITIONS: LazyLock<Vec<Addition>> = LazyLock::new(|| {
    vec![
        Addition::Server { node: NodeName::new("n1"), domain: "d".into(), fault_set: None, addresses: Vec::new() },
        Addition::Device { node: NodeName::new("n1"), path: "/dev/sdb".into(), pool: "p".into() },
    ]
});

/// A view in which everything may be done.
fn view(now: i64, member: Option<&Member>) -> View<'_> {
    View {
        now: at(now),
        random: 1.0,
        may_look: Ok(()),
        may_change: Ok(()),
        start: Some(Why::NotOffered),
        in_run: None,
        member,
        is_laying: false,
        is_adding: false,
        own: Vec::new(),
        held: None,
        asked: Some(asked()),
        is_retired: false,
        left_out: Vec::new(),
        notes: Vec::new(),
        steps: Ok(plan()),
        additions: Ok(Vec::new()),
        can_add: Ok(()),
        not_shown: Vec::new(),
        volumes: None,
        at_master: None,
        restart: None,
    }
}

fn asked() -> Preflight {
    Preflight { name: Some("n1".to_owned()), ..Preflight::default() }
}

fn row(name: &str, verdict: Verdict) -> Row {
    Row { name: name.into(), found: "bad".into(), wanted: "good".into(), verdict, mend: "mend it".into() }
}

/// As a good preflight leaves it, and what is found in another.
fn checked(mut record: Record, rows: &[Row], seconds: i64) -> Record {
    record.preflight = Some(Checked { at: at(seconds), about: about(&asked()).into(), rows: rows.into() });
    record
}

fn judged(record: Record, seconds: i64) -> Record {
    let mut record = checked(record, &[row("os", Verdict::Ok)], seconds);
    record.judged = Some(Judged { at: at(seconds), disks: [].into(), boot_id: "".into() });
    record
}

/// A record whose steps are all done.
fn installed(seconds: i64) -> Record {
    let goal = digest(&plan()).into();
    Record { goal, done: 2, ..judged(record(), seconds) }
}

fn step_of(decision: &Decision) -> Option<StepName> {
    match &decision.act {
        Some(Act::Order { step, .. }) => Some(*step),
        _ => None,
    }
}

/// The agent's end of the order that is open.
fn ended(record: &Record, outcome: Outcome, found: &[(&str, &str)], seconds: i64) -> Member {
    let id = record.open.as_ref().unwrap().id.clone();
    let found = found.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    let finished = Finished { id, outcome, at: at(seconds), found };
    Member { outcomes: vec![finished], ..member(seconds) }
}

#[test]
fn a_node_goes_from_wanted_to_ready_step_by_step() {
    let waiting = decide(&record(), &view(1, None));
    assert_eq!((&waiting.record.phase, &waiting.why[..]), (&NodePhase::Wanted, &[Why::NotOffered][..]));
    let starting = View { start: Some(Why::Starting { state: "TASK_STAGING".into() }), ..view(1, None) };
    assert_eq!(decide(&record(), &starting).record.phase, NodePhase::Launching);

    let mut now = 10;
    let mut record = waiting.record;
    let disk = r#"{"path":"/dev/sdb","size":5,"rotational":true,"not_free":[]}"#;
    let table = serde_json::to_string(&[row("os", Verdict::Ok)]).unwrap();
    for (step, found) in [
        (StepName::Preflight, &[(FOUND, table.as_str())][..]),
        (StepName::JudgeDisks, &[("/dev/sdb", disk), ("/dev/sdc", "nonsense")][..]),
        (StepName::Stage, &[]),
        (StepName::InstallSdc, &[]),
    ] {
        let heard = member(now);
        let decision = decide(&record, &view(now, Some(&heard)));
        assert_eq!(step_of(&decision), Some(step));
        assert_eq!(decision.record.phase, NodePhase::Installing { step: step.as_str().into() });
        record = decision.record;
        // Nothing more is ordered while it is open.
        let order = Order {
            id: record.open.as_ref().unwrap().id.clone(),
            epoch: 0,
            expires: at(99),
            within_s: 1,
            task: Task::Unknown,
            secrets: Default::default(),
        };
        let busy = Member { order: Some(order), ..member(now) };
        assert_eq!(decide(&record, &view(now, Some(&busy))).act, None);
        now += 5;
        let heard = ended(&record, Outcome::Done, found, now);
        let settled = View { may_change: Err(Why::Observed), ..view(now, Some(&heard)) };
        let decision = decide(&record, &settled);
        assert_eq!(decision.settled.map(|settled| (settled.step, settled.is_good)), Some((step, true)));
        record = decision.record;
    }
    assert_eq!(record.judged.as_ref().unwrap().disks.len(), 1, "what cannot be read is no disk");
    let heard = member(now);
    let shown = View { not_shown: vec![Why::WaitsFor { what: "x".into() }], ..view(now, Some(&heard)) };
    assert_eq!(decide(&record, &shown).record.phase, NodePhase::Joining);
    assert_eq!(decide(&record, &view(now, Some(&heard))).record.phase, NodePhase::Ready);
}

#[test]
fn without_a_yes_a_node_is_looked_at_and_not_changed() {
    let heard = member(10);
    let no = || Err(Why::NotApproved { system: SystemId::new("prod") });
    let lacking = || Ok(ADDITIONS.iter().collect());
    let unasked = View { may_change: no(), additions: lacking(), ..view(10, Some(&heard)) };
    let looked = checked(record(), &[row("os", Verdict::Ok)], 1);
    assert_eq!(step_of(&decide(&looked, &unasked)), Some(StepName::JudgeDisks));
    let decision = decide(&judged(record(), 10), &unasked);
    assert_eq!((decision.act, decision.record.phase), (None, NodePhase::Wanted));
    assert!(decision.why[0].to_string().contains("sio rollout approve prod"));
    let observing = View { may_look: Err(Why::Observed), ..view(10, Some(&heard)) };
    assert_eq!(decide(&record(), &observing).act, None, "in mode observe nothing is ordered");
    let ready = View { may_change: no(), ..view(10, Some(&heard)) };
    assert_eq!(decide(&judged(record(), 10), &ready).record.phase, NodePhase::Ready, "by another hand");
}

#[test]
fn a_disk_is_added_only_when_it_was_free_within_the_last_minute() {
    let heard = member(100);
    let lacking = || View { additions: Ok(ADDITIONS.iter().collect()), ..view(100, Some(&heard)) };
    let old = decide(&installed(30), &lacking());
    assert_eq!(step_of(&old), Some(StepName::JudgeDisks));
    let fresh = decide(&installed(50), &lacking());
    assert_eq!((fresh.act, &fresh.record.phase), (Some(Act::Add), &NodePhase::Joining));
    let server = View { additions: Ok(ADDITIONS.iter().take(1).collect()), ..view(100, Some(&heard)) };
    assert_eq!(decide(&installed(30), &server).act, Some(Act::Add), "a server has no disk to be judged");
    let adding = View { is_adding: true, ..lacking() };
    assert_eq!(decide(&installed(50), &adding).act, Some(Act::Add), "its round is told that it still shall");
    assert_eq!(decide(&installed(30), &adding).act, Some(Act::Add), "the round itself asks how old that is");
    let run = Err(Why::WaitsFor { what: "run 7 to end".into() });
    let in_run = View { is_adding: true, additions: run, ..lacking() };
    assert_eq!(decide(&installed(50), &in_run).act, None, "and that it shall no more");
    let done = View { is_adding: true, additions: Ok(Vec::new()), ..lacking() };
    let waits = decide(&installed(50), &done);
    assert_eq!((waits.act, waits.record.phase), (None, NodePhase::Joining));
    let without = View { can_add: Err(Why::NoLogin { system: SystemId::new("prod") }), ..lacking() };
    assert!(matches!(decide(&installed(50), &without).record.phase, NodePhase::Failed { retry_at: None, .. }));
    let degraded = View { can_add: Err(Why::NoCluster { because: "degraded".into() }), ..lacking() };
    let waits = decide(&installed(50), &degraded);
    assert_eq!((waits.act, waits.record.phase), (None, NodePhase::Joining), "that passes, and is no failure");
}

#[test]
fn what_fails_is_tried_again_later_and_after_six_times_a_person_is_asked() {
    let mut record = judged(record(), 10);
    let mut now = 10;
    for tries in 1..=6 {
        let heard = member(now);
        let ordered = decide(&record, &view(now, Some(&heard)));
        assert_eq!(step_of(&ordered), Some(StepName::Stage), "try {tries}");
        let heard = ended(&ordered.record, Outcome::Failed { why: "disk full".into() }, &[], now);
        let failed = decide(&ordered.record, &view(now, Some(&heard)));
        let NodePhase::Failed { why, tries: told, retry_at } = &failed.record.phase else { panic!("{failed:?}") };
        assert_eq!((&**why, *told), ("disk full", tries));
        assert_eq!(failed.act, None);
        record = failed.record.clone();
        match retry_at {
            Some(retry_at) => {
                let heard = member(now);
                assert_eq!(decide(&record, &view(now + 1, Some(&heard))).act, None, "it waits");
                now = (*retry_at - at(0)).num_seconds();
                record = judged(record, now);
            }
            None => assert_eq!(tries, 6),
        }
    }
    let heard = member(now + 100_000);
    assert_eq!(decide(&record, &view(now + 100_000, Some(&heard))).act, None);
    let again = decide(&retried(&record), &view(now + 1, Some(&heard)));
    assert_eq!(step_of(&again), Some(StepName::Stage));
}

#[test]
fn the_order_of_a_silent_agent_is_taken_back_unless_it_is_in_it() {
    let heard = member(10);
    let ordered = decide(&judged(record(), 10), &view(10, Some(&heard))).record;
    let id = ordered.open.as_ref().unwrap().id.clone();
    let order = Order {
        id: id.clone(),
        epoch: 0,
        expires: at(99),
        within_s: 1,
        task: Task::Unknown,
        secrets: Default::default(),
    };
    let laid = Member { order: Some(order), ..member(10) };
    let silent = decide(&ordered, &view(200, Some(&laid)));
    assert_eq!((silent.act, silent.record.phase), (Some(Act::TakeBack { id: id.clone() }), NodePhase::Lost));
    let inside = Member { working_on: Some(id), ..laid };
    let silent = decide(&ordered, &view(200, Some(&inside)));
    assert_eq!((silent.act, silent.record.phase), (None, NodePhase::Lost));
}

#[test]
fn an_order_that_never_left_is_given_anew_and_one_of_others_is_waited_for() {
    let heard = member(10);
    let ordered = decide(&judged(record(), 10), &view(10, Some(&heard))).record;
    let laying = View { is_laying: true, ..view(11, Some(&heard)) };
    assert_eq!(decide(&ordered, &laying).act, None);
    let again = decide(&ordered, &view(11, Some(&heard)));
    assert_eq!(step_of(&again), Some(StepName::Stage));
    assert_ne!(again.record.open.unwrap().id, ordered.open.unwrap().id, "an id is given once");
    let busy = Member { working_on: Some(OrderId::new("run/1/2/3")), ..member(10) };
    let waits = decide(&judged(record(), 10), &view(11, Some(&busy)));
    assert_eq!((waits.act, &waits.why[..]), (None, &[Why::Busy { with: "run/1/2/3".into() }][..]));
}

#[test]
fn another_goal_and_a_component_that_went_begin_anew() {
    let heard = member(10);
    let mut other = plan();
    other.truncate(1);
    let changed = View { steps: Ok(other), ..view(10, Some(&heard)) };
    let decision = decide(&installed(10), &changed);
    assert_eq!((decision.record.done, step_of(&decision)), (0, Some(StepName::Stage)));
    let gone = Member { host: Some(HostReport::default()), ..member(10) };
    assert_eq!(step_of(&decide(&installed(10), &view(10, Some(&gone)))), Some(StepName::Stage));
    let there = HostReport { installed: [("sdc".to_owned(), [].into())].into(), ..HostReport::default() };
    let there = Member { host: Some(there), ..member(10) };
    assert_eq!(decide(&installed(10), &view(10, Some(&there))).record.phase, NodePhase::Ready);
}

#[test]
fn what_goes_between_two_steps_begins_anew_and_so_does_lia_that_is_down() {
    let heard = |installed: &[&str], running: &[&str]| {
        let host = HostReport {
            installed: installed.iter().map(|word| ((*word).to_owned(), [].into())).collect(),
            running: running.iter().map(|word| (*word).to_owned()).collect(),
            ..HostReport::default()
        };
        Member { host: Some(host), ..member(10) }
    };
    let artefact = Artefact { name: "lia".into(), sha256: "0".into(), size: 1, url: None };
    let install = Install { component: Component::Lia, artefact, mdms: Vec::new() };
    let mut steps = plan();
    steps.push(Step { name: StepName::InstallLia, task: Task::Install(install) });
    let asked = |done: usize, member: &Member| {
        let record = Record { goal: digest(&steps).into(), done, ..installed(10) };
        step_of(&decide(&record, &View { steps: Ok(steps.clone()), ..view(10, Some(member)) }))
    };
    assert_eq!(asked(2, &heard(&["sdc"], &[])), Some(StepName::InstallLia));
    assert_eq!(asked(2, &heard(&[], &[])), Some(StepName::Stage), "the SDC was taken away meanwhile");
    assert_eq!(asked(3, &heard(&["sdc", "lia"], &["lia"])), None);
    assert_eq!(asked(3, &heard(&["sdc", "lia"], &[])), Some(StepName::Stage), "nobody else would tell of it");
}

#[test]
fn after_a_boot_disks_are_looked_at_before_anything_else() {
    let heard = member(10);
    let of = |boot_id: &str| {
        let mut record = installed(10);
        record.judged = record.judged.map(|judged| Judged { boot_id: boot_id.into(), ..judged });
        step_of(&decide(&record, &view(10, Some(&heard))))
    };
    assert_eq!(of("before"), Some(StepName::JudgeDisks));
    assert_eq!((of("b"), of("")), (None, None), "the same boot, and one that an older record does not tell");
}

#[test]
fn a_system_that_does_not_answer_makes_no_ready_node_unready() {
    let heard = member(10);
    let unseen = || Why::Unseen { because: "nothing".into() };
    let silent = View { additions: Err(unseen()), not_shown: vec![unseen()], ..view(10, Some(&heard)) };
    let ready = Record { phase: NodePhase::Ready, ..installed(10) };
    let decision = decide(&ready, &silent);
    assert_eq!((decision.record.phase, &decision.why[..]), (NodePhase::Ready, &[unseen()][..]));
    assert_eq!(decide(&installed(10), &silent).record.phase, NodePhase::Joining);
}

#[test]
fn what_only_a_person_can_mend_is_a_failure_that_says_so() {
    let heard = member(10);
    let reasons: [fn(&mut View<'_>); 2] = [
        |view| view.left_out = vec![Why::LeftOut { because: "provides to two domains".into() }],
        |view| view.steps = Err(vec![Why::NoPackage { because: "no file for it".into() }]),
    ];
    for reason in reasons {
        let mut bad = view(10, Some(&heard));
        reason(&mut bad);
        let decision = decide(&judged(record(), 10), &bad);
        assert!(matches!(decision.record.phase, NodePhase::Failed { tries: 0, retry_at: None, .. }), "{decision:?}");
        assert!(decision.why.iter().all(Why::needs_a_person));
    }
    let out = Member { out_of_work: Some("the ledger is damaged".into()), ..member(10) };
    assert!(matches!(decide(&record(), &view(10, Some(&out))).record.phase, NodePhase::Failed { .. }));
    let passing = View { steps: Err(vec![Why::NoManagers]), ..view(10, Some(&heard)) };
    assert!(!matches!(decide(&judged(record(), 10), &passing).record.phase, NodePhase::Failed { .. }));
}

#[test]
fn a_red_row_holds_a_node_until_it_is_mended_and_a_yellow_one_is_told() {
    let heard = member(10);
    let view = view(10, Some(&heard));
    let red = checked(judged(record(), 5), &[row("port 7072", Verdict::Fail), row("clock", Verdict::Warn)], 5);
    let held = decide(&red, &view);
    assert!(matches!(held.record.phase, NodePhase::Failed { tries: 0, .. }), "{:?}", held.record.phase);
    let told: Vec<String> = held.why.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["it cannot carry what it shall: port 7072: bad (mend it)", "to be known: clock: bad"]);
    // It is looked at again, though nobody said so, and goes on once it is mended.
    let later = member(70);
    let again = decide(&red, &View { now: at(70), member: Some(&later), ..self::view(70, None) });
    assert_eq!(step_of(&again), Some(StepName::Preflight));
    let table = serde_json::to_string(&[row("port 7072", Verdict::Ok)]).unwrap();
    let mended = ended(&again.record, Outcome::Done, &[(FOUND, &table)], 71);
    let on = decide(&again.record, &self::view(71, Some(&mended)));
    assert_eq!(step_of(&on), Some(StepName::Stage), "{:?}", on.why);
}

#[test]
fn a_red_table_is_no_failed_step_and_another_question_is_asked_anew() {
    let heard = member(10);
    let first = decide(&record(), &view(10, Some(&heard)));
    assert_eq!(step_of(&first), Some(StepName::Preflight), "it comes before anything else");
    let table = serde_json::to_string(&[row("memory", Verdict::Fail)]).unwrap();
    let refused = ended(&first.record, Outcome::Refused { why: "memory: bad".to_owned() }, &[(FOUND, &table)], 11);
    let next = decide(&first.record, &view(11, Some(&refused)));
    assert_eq!((next.record.failures.clone(), step_of(&next)), (None, Some(StepName::JudgeDisks)));
    let other = Preflight { reach: vec!["192.0.2.1:6611".to_owned()], ..asked() };
    let heard = member(12);
    let good = judged(record(), 11);
    let asked_more = decide(&good, &View { asked: Some(other), ..view(12, Some(&heard)) });
    assert_eq!(step_of(&asked_more), Some(StepName::Preflight));
    let unsure = decide(&good, &View { asked: None, ..view(12, Some(&heard)) });
    assert_eq!(step_of(&unsure), Some(StepName::Stage), "nothing is asked when nobody can say what");
}

#[test]
fn a_node_of_the_mdm_cluster_waits_while_that_is_made_by_way_of_it() {
    let heard = member(10);
    let held = Why::InStep { step: "mdm_create".into() };
    let waits = decide(&judged(record(), 9), &View { held: Some(held.clone()), ..view(10, Some(&heard)) });
    assert_eq!((waits.act, waits.why), (None, vec![held.clone()]));
    assert_eq!(waits.record.phase, NodePhase::Installing { step: "mdm_create".into() });
    let ready = Record { phase: NodePhase::Ready, ..installed(9) };
    let still = decide(&ready, &View { held: Some(held), ..view(10, Some(&heard)) });
    assert_eq!(still.record.phase, NodePhase::Ready, "to look at the cluster takes no node out");
}

#[test]
fn a_node_that_a_run_works_on_is_left_to_it_and_an_order_that_is_open_is_ended_first() {
    let heard = member(10);
    let run = RunId::new("run-0001");
    let held = View { in_run: Some(run.clone()), ..view(10, Some(&heard)) };
    for before in [judged(record(), 10), installed(10)] {
        let decision = decide(&before, &held);
        assert_eq!(decision.record.phase, NodePhase::InMaintenance { run: run.clone() });
        assert_eq!((decision.act, &decision.why[..]), (None, &[Why::InRun { run: run.clone() }][..]));
    }
    // Its host restarts in the run: that is no loss.
    let silent = View { in_run: Some(run.clone()), ..view(1000, Some(&heard)) };
    assert_eq!(decide(&installed(10), &silent).record.phase, NodePhase::InMaintenance { run: run.clone() });
    let ordered = decide(&judged(record(), 10), &view(10, Some(&heard))).record;
    let laying = View { is_laying: true, in_run: Some(run), ..view(11, Some(&heard)) };
    assert!(matches!(decide(&ordered, &laying).record.phase, NodePhase::Installing { .. }));
}

#[test]
fn a_node_that_was_taken_out_for_good_is_not_made_ready_again() {
    let heard = member(10);
    for before in [judged(record(), 10), installed(10)] {
        let decision = decide(&before, &View { is_retired: true, ..view(10, Some(&heard)) });
        assert_eq!((decision.record.phase, decision.act), (NodePhase::Retired, None));
        assert!(decision.why[0].to_string().contains("sio release"), "{:?}", decision.why);
    }
}

#[test]
fn a_node_that_must_be_restarted_is_not_tried_again_and_is_left_alone_once_it_need_not() {
    let heard = member(10);
    let because = Failures { step: "install_sdc".into(), because: "no".into(), tries: 1, retry_at: Some(at(5)) };
    let failed = Record { failures: Some(because), done: 1, ..installed(1) };
    let restart = || {
        let (because, boot_id) = ("of the kernel".into(), "boot-1".into());
        Some(restart::View { because, boot_id, run: None, plans: Vec::new(), before: None, is_asking: false })
    };
    let needed = View { restart: restart(), ..view(10, Some(&heard)) };
    let decision = decide(&failed, &needed);
    assert_eq!(decision.act, Some(Act::Restart), "and no other try of what cannot succeed");
    assert!(decision.record.restart.is_some() && decision.why[0].needs_a_person(), "{decision:?}");
    let unasked = View { restart: restart(), may_change: Err(Why::Observed), ..view(10, Some(&heard)) };
    assert_eq!(decide(&installed(1), &unasked).act, None, "nobody has let it be changed");
    let in_run = View { restart: restart(), in_run: Some(RunId::new("run-0001")), ..view(10, Some(&heard)) };
    assert!(matches!(decide(&decision.record, &in_run).record.phase, NodePhase::InMaintenance { .. }));
    let over = decide(&decision.record, &view(20, Some(&heard)));
    assert!(over.record.restart.is_none() && step_of(&over).is_some(), "it goes on: {over:?}");
}
