//! What does the step function make of the ends of tasks, and of steps that only wait? Each from the book that leads to it.

use chrono::TimeDelta;
use scaleio_framework::model::hold::ReasonKind;
use scaleio_framework::model::plan::{Approval, Plan, Risk, Step};
use scaleio_framework::model::step::{Action, Answer, StepId};
use scaleio_framework::work::advance;
use scaleio_framework::work::record::{Effect, End, Record};

use crate::scene::{Scene, run_id};

fn planned(change: impl FnOnce(&mut Plan)) -> Scene {
    let mut scene = Scene::waiting();
    let mut plan = (*scene.run().plan).clone();
    change(&mut plan);
    let approval = Approval::Hash { plan: plan.id(), by: "a person".into(), at: scene.now };
    scene.open(plan, approval);
    scene
}

/// What is decided in this moment.
fn decided(scene: &Scene) -> Vec<Record> {
    advance::step(&scene.book, scene.facts(), &scene.policy, 1).records
}

fn ends(scene: &Scene) -> Option<End> {
    decided(scene).into_iter().find_map(|record| match record {
        Record::Closed { end, .. } => Some(end),
        _ => None,
    })
}

fn is_halted(scene: &Scene) -> bool {
    matches!(ends(scene), Some(End::Halted { .. }))
}

/// A task was begun and given up, and nothing of it has to be undone.
fn give_up(scene: &mut Scene, task: u32, undo: Vec<Step>) {
    scene.write(Record::Began { run: run_id(), task });
    scene.write(Record::Failed { run: run_id(), task, why: "a test".into(), undo, counts: false });
}

fn finish(scene: &mut Scene, task: u32) {
    scene.write(Record::Began { run: run_id(), task });
    let steps = scene.run().plan.task(task).unwrap().2.steps.len() as u32;
    (0..steps).for_each(|place| scene.write(Record::Confirmed { run: run_id(), task, place }));
}

#[test]
fn a_run_goes_on_beside_what_failed_and_halts_where_something_builds_on_it() {
    // One stage of two tasks, or two stages of one.
    let stages = |canary: bool, two: bool| {
        planned(|plan| {
            let stage = &mut plan.stages[0];
            stage.tasks.truncate(2);
            stage.canary = canary;
            if two {
                let last = stage.tasks.pop().unwrap();
                let mut second = stage.clone();
                (second.name, second.tasks, second.canary) = ("second".into(), vec![last], false);
                plan.stages.push(second);
            }
        })
    };
    let after = |mut scene: Scene, failed: &[u32], done: &[u32]| {
        failed.iter().for_each(|task| give_up(&mut scene, *task, Vec::new()));
        done.iter().for_each(|task| finish(&mut scene, *task));
        // What is not begun cannot be.
        scene.nodes.clear();
        scene
    };
    assert_eq!(ends(&after(stages(false, false), &[], &[])), None);
    assert_eq!(ends(&after(stages(false, false), &[0], &[])), None);
    assert!(is_halted(&after(stages(true, false), &[0], &[])));
    assert!(is_halted(&after(stages(false, true), &[0], &[])));
    assert!(is_halted(&after(stages(false, false), &[0], &[1])));
    assert!(is_halted(&after(stages(false, false), &[0, 1], &[])));
    assert_eq!(ends(&after(stages(false, false), &[], &[0, 1])), Some(End::Done));
    // Neither while something is in work.
    let mut scene = stages(false, false);
    scene.write(Record::Began { run: run_id(), task: 0 });
    scene.write(Record::Cancelled { run: run_id(), by: "a person".into() });
    give_up(&mut scene, 1, vec![step(Action::AwaitResync)]);
    assert_eq!(ends(&scene), None);
    let mut scene = stages(false, false);
    scene.write(Record::Cancelled { run: run_id(), by: "a person".into() });
    assert_eq!(ends(&scene), Some(End::Cancelled));
    let mut scene = stages(false, false);
    scene.write(Record::Halted { run: run_id(), why: "enough".into() });
    assert_eq!(ends(&scene), Some(End::Halted { why: "enough".into() }));
}

fn step(action: Action) -> Step {
    Step { action, deadline_seconds: 900, predicted_seconds: 60, risk: Risk::Low }
}

/// A plan of one task with only this step, which was begun.
fn at_step(at: Step) -> Scene {
    let mut scene = planned(|plan| {
        plan.stages.truncate(1);
        plan.stages[0].tasks.truncate(1);
        plan.stages[0].tasks[0].steps = vec![at];
    });
    scene.number = 0;
    scene.write(Record::Began { run: run_id(), task: 0 });
    scene
}

fn confirms(scene: &Scene) -> bool {
    decided(scene).iter().any(|record| matches!(record, Record::Confirmed { .. }))
}

fn failure(scene: &Scene) -> Option<Box<str>> {
    decided(scene).into_iter().find_map(|record| match record {
        Record::Failed { why, .. } => Some(why),
        _ => None,
    })
}

#[test]
fn handwork_takes_the_time_that_was_asked_for() {
    let mut scene = at_step(step(Action::Handwork));
    let begun = scene.now;
    assert!(decided(&scene).is_empty());
    scene.now = begun + TimeDelta::seconds(59);
    assert!(decided(&scene).is_empty());
    scene.now = begun + TimeDelta::seconds(60);
    assert!(confirms(&scene));
}

#[test]
fn a_soak_is_over_when_all_was_well_for_so_long() {
    let mut scene = at_step(step(Action::Soak { seconds: 60 }));
    let begun = scene.now;
    let well = decided(&scene);
    assert!(matches!(well.as_slice(), [Record::Well { since: Some(since), .. }] if *since == begun), "{well:?}");
    scene.write(well[0].clone());
    for (seconds, is_over) in [(59, false), (60, true), (61, true)] {
        scene.now = begun + TimeDelta::seconds(seconds);
        scene.policy.fresh = TimeDelta::minutes(5);
        assert_eq!(confirms(&scene), is_over, "{seconds}");
        assert_eq!(decided(&scene).is_empty(), !is_over, "{seconds}");
    }
    // What is not well breaks it, and what was not seen does not.
    scene.now = begun + TimeDelta::seconds(60);
    scene.policy.fresh = TimeDelta::seconds(30);
    assert!(decided(&scene).is_empty());
    scene.policy.fresh = TimeDelta::minutes(5);
    scene.firing.critical.insert(("Planted".into(), "somewhere".into()));
    let broken = decided(&scene);
    assert!(matches!(broken.as_slice(), [Record::Well { since: None, .. }]), "{broken:?}");
}

#[test]
fn a_step_is_late_from_its_deadline_on() {
    let mut scene = at_step(step(Action::AwaitResync));
    scene.firing.seq -= 1;
    scene.book.changed_at = Some(scene.now);
    let begun = scene.now;
    scene.now = begun + TimeDelta::seconds(899);
    assert_eq!(failure(&scene), None);
    scene.now = begun + TimeDelta::seconds(900);
    assert!(failure(&scene).unwrap().contains("await_resync took longer than 900 s"));
    // What leads back is never given up; a person is told once.
    let mut scene = at_step(step(Action::Soak { seconds: 60 }));
    let undo = vec![step(Action::AwaitResync)];
    scene.write(Record::Failed { run: run_id(), task: 0, why: "a test".into(), undo, counts: false });
    scene.book.changed_at = Some(scene.now);
    scene.now += TimeDelta::seconds(900);
    let told = decided(&scene);
    assert!(matches!(told.as_slice(), [Record::Overdue { .. }]), "{told:?}");
    scene.write(told[0].clone());
    assert!(decided(&scene).is_empty());
}

#[test]
fn what_an_agent_failed_at_is_given_up_and_what_was_refused_is_tried_again_after_a_pause() {
    let answered = |answer: Answer| {
        let mut scene = at_step(step(Action::Drain));
        let id = StepId { run: run_id(), task: 0, place: 0, attempt: 0 };
        let agent = scene.task().agent.unwrap();
        let effect = Effect::Drain { agent };
        scene.write(Record::Intended { step: id.clone(), epoch: 1, effect, gate: "".into() });
        scene.write(Record::Answered { step: id, answer });
        scene.book.changed_at = None;
        scene
    };
    let why = || "no".into();
    let failed = answered(Answer::Failed { why: why() });
    assert_eq!(failure(&failed).as_deref(), Some("no"));
    let mut refused = answered(Answer::Refused { why: why() });
    assert!(decided(&refused).is_empty());
    let waits = advance::waits(&refused.book, refused.facts(), &refused.policy, 1);
    let kinds: Vec<ReasonKind> = waits.iter().flat_map(|wait| &wait.holds).map(|hold| hold.reason.kind()).collect();
    assert_eq!(kinds, [ReasonKind::WaitsForEffect]);
    let asked = refused.now;
    refused.now = asked + TimeDelta::seconds(59);
    assert!(decided(&refused).is_empty());
    refused.now = asked + TimeDelta::seconds(60);
    refused.policy.fresh = TimeDelta::minutes(5);
    assert!(decided(&refused).iter().any(|record| matches!(record, Record::Intended { .. })));
}
