//! When is a restart needed, how is it asked for, and what is never done twice?

use super::*;
use crate::fleet::rollout::record::Source;
use crate::model::id::SystemId;
use crate::model::node::NodeFacts;
use crate::model::order::HostReport;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

fn member(kernel: &str, next: &str, modules: &[&str], runs: bool) -> Member {
    let facts = NodeFacts {
        boot_id: "boot-1".into(),
        kernel: kernel.into(),
        next_kernel: next.into(),
        modules: modules.iter().map(|kernel| (*kernel).into()).collect(),
        installed: [(Component::Sdc, ["3.6-700.103".into()].into())].into(),
        running: runs.then_some(Component::Sdc).into_iter().collect(),
        ..NodeFacts::bare(at(0))
    };
    Member { facts: Some(facts), host: Some(HostReport::default()), ..Member::new(NodeName::new("n1")) }
}

#[test]
fn only_a_restart_that_would_help_is_needed() {
    let because = needed(&member("5.1", "5.2", &["5.2"], false)).unwrap();
    assert!(because.contains("no module for kernel 5.1") && because.contains("one for 5.2"), "{because}");
    for (what, member) in [
        ("the SDC runs", member("5.1", "5.2", &["5.2"], true)),
        ("the module is there", member("5.1", "5.2", &["5.1", "5.2"], false)),
        ("the next kernel has none either", member("5.1", "5.2", &["4.9"], false)),
        ("nobody knows the next kernel", member("5.1", "", &["5.2"], false)),
        ("it is the same kernel", member("5.2", "5.2", &[], false)),
    ] {
        assert_eq!(needed(&member), None, "{what}");
    }
    let mut bare = member("5.1", "5.2", &["5.2"], false);
    bare.facts.as_mut().unwrap().installed.clear();
    assert_eq!(needed(&bare), None, "without an SDC nothing lacks a module");
    let mut stuck = member("5.2", "5.2", &["5.2"], true);
    stuck.host.as_mut().unwrap().module = Some("Live".to_owned());
    assert_eq!(needed(&stuck), None);
    stuck.host.as_mut().unwrap().module = Some("Unloading".to_owned());
    assert!(needed(&stuck).unwrap().contains("stuck in the removal"));
}

struct Scene {
    record: Record,
    view: View,
}

impl Scene {
    fn new() -> Self {
        let record = Record::new(SystemId::new("prod"), NodeName::new("n1"), Source::default(), at(0));
        let view = View {
            because: "of that".into(),
            boot_id: "boot-1".into(),
            run: None,
            plans: Vec::new(),
            before: None,
            is_asking: false,
        };
        Self { record, view }
    }

    /// The phase, the reason, and whether it is asked for.
    fn next(&mut self, seconds: i64) -> (NodePhase, String, bool) {
        let (phase, why, act) = next(&mut self.record, &self.view, at(seconds));
        assert!(matches!(act, None | Some(Act::Restart)), "{act:?}");
        assert_eq!(matches!(phase, NodePhase::Failed { .. }), why[0].needs_a_person(), "{why:?}");
        (phase, why[0].to_string(), act.is_some())
    }

    fn answer(&mut self, answer: Answer) {
        self.record.restart.as_mut().unwrap().answer = answer;
    }
}

fn plan() -> PlanId {
    PlanId::new("0123456789abcdef")
}

#[test]
fn it_is_asked_for_once_and_waits_for_the_yes_of_a_person() {
    let mut scene = Scene::new();
    assert!(scene.next(0).2);
    scene.view.is_asking = true;
    assert!(!scene.next(1).2, "the answer is on its way");
    scene.view.is_asking = false;
    scene.answer(Answer::Proposed { plan: plan(), because: "".into() });
    scene.view.plans.push(plan());
    let (_, why, asks) = scene.next(3600);
    assert_eq!(
        (why.as_str(), asks),
        ("it must be restarted, since of that; approve it: `sio approve 0123456789ab`", false)
    );
    // Somebody approves it, and later it is over.
    scene.view.plans.clear();
    scene.view.run = Some(RunId::new("run-0001"));
    let (phase, why, asks) = scene.next(3700);
    assert!(matches!(phase, NodePhase::Installing { .. }) && why.contains("run run-0001 is open") && !asks);
    scene.view.run = None;
    assert!(scene.next(3710).2, "the boot is the same, so it is asked for again");
    scene.answer(Answer::Proposed { plan: plan(), because: "".into() });
    assert!(!scene.next(3720).2, "not in a hurry");
}

#[test]
fn one_that_did_not_help_is_never_asked_for_again_by_itself() {
    let mut scene = Scene::new();
    assert!(scene.next(0).2);
    scene.answer(Answer::Began { run: RunId::new("run-0001") });
    scene.view.boot_id = "boot-2".into();
    let (_, why, asks) = scene.next(86_400);
    assert!(why.contains("did not help") && why.contains("sio rollout retry") && !asks, "{why}");
    scene.record.restart = None;
    assert!(scene.next(86_401).2, "a person said so");
}

#[test]
fn it_waits_for_other_work_and_other_nodes_and_tries_again_what_was_refused() {
    let mut scene = Scene::new();
    scene.view.run = Some(RunId::new("run-0007"));
    let (_, why, asks) = scene.next(0);
    assert!(why.contains("run run-0007 works on the system") && !asks, "{why}");
    scene.view.run = None;
    scene.view.before = Some(NodeName::new("n2"));
    let (_, why, asks) = scene.next(0);
    assert!(why.contains("n2 is to be restarted first") && !asks, "{why}");
    scene.view.before = None;
    assert!(scene.next(0).2);
    scene.answer(Answer::Refused { because: "the system has not answered yet".into() });
    let (_, why, asks) = scene.next(59);
    assert!(why.contains("cannot be planned now: the system has not answered yet") && !asks, "{why}");
    assert!(scene.next(60).2);
    scene.answer(Answer::Began { run: RunId::new("run-0008") });
    scene.view.run = Some(RunId::new("run-0008"));
    assert!(!scene.next(7200).2, "its run is open, however long");
    scene.view.run = None;
    assert!(scene.next(7200).2, "it ended without it");
    // A life that ended before the answer does not know what came of it.
    scene.view.run = Some(RunId::new("run-0009"));
    assert!(!scene.next(7300).2);
    scene.view.run = None;
    assert!(scene.next(7300).2);
}
