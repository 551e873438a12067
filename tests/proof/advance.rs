//! What does the step function make of the ends of tasks, and of steps that only wait? Each from the book that leads to it.

use chrono::TimeDelta;
use scaleio_framework::model::hold::ReasonKind;
use scaleio_framework::model::plan::{Approval, Plan, Risk, Step};
use scaleio_framework::model::state::Seen;
use scaleio_framework::model::step::{Action, Answer, Component, StepId, StepKind};
use scaleio_framework::work::record::{Duty, Effect, End, Record};
use scaleio_framework::work::{advance, engine};

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

/// Another server of the system is away.
fn loses_another(scene: &mut Scene) {
    let own = scene.task().sds;
    scene.sds(|sds| {
        if Some(&sds.id) != own.as_ref() {
            sds.connection = Seen::read("Disconnected");
        }
    });
}

#[test]
fn whoever_works_on_a_host_has_the_rest_of_the_system_watched() {
    let mut scene = at_step(step(Action::Handwork));
    loses_another(&mut scene);
    assert!(decided(&scene).is_empty(), "it is in no maintenance of ours");
    scene.enter();
    let failed = takes_in(&mut scene);
    let Some(Record::Failed { undo, counts: true, .. }) = failed.first() else { panic!("{failed:?}") };
    let back: Vec<StepKind> = undo.iter().map(|step| step.action.kind()).collect();
    assert_eq!(back, [StepKind::ExitMaintenance, StepKind::AwaitResync]);
}

#[test]
fn a_host_that_comes_up_with_another_kernel_is_not_restarted_again() {
    let mut scene = at_step(step(Action::Reboot));
    scene.order(0, Answer::Accepted);
    scene.later(TimeDelta::seconds(30));
    let host = scene.host();
    (host.boot_id, host.kernel, host.next_kernel) = ("another".into(), "5.10".into(), "6.1".into());
    let why = failure(&scene).unwrap();
    assert!(why.contains("came up with the kernel 5.10, and 6.1 was to be next"), "{why}");
    scene.host().kernel = "6.1".into();
    assert!(confirms(&scene));
}

#[test]
fn a_maintenance_that_lasts_too_long_is_ended_and_the_version_is_not_to_blame() {
    let verify = Action::Verify { version: None, components: vec![Component::Sds] };
    let mut scene = at_step(Step { deadline_seconds: 86_400, ..step(verify) });
    scene.enter();
    scene.host().running.clear();
    scene.now = scene.book.obligations[0].deadline - TimeDelta::seconds(1);
    assert_eq!(failure(&scene), None);
    scene.now += TimeDelta::seconds(1);
    let failed = takes_in(&mut scene);
    let Some(Record::Failed { why, undo, .. }) = failed.first() else { panic!("{failed:?}") };
    assert!(why.contains("takes longer than it may"), "{why}");
    assert!(undo.iter().any(|step| step.action == Action::ExitMaintenance));
    assert!(!failed.iter().any(|record| matches!(record, Record::Quarantined { .. })));
}

#[test]
fn a_step_that_only_its_gate_keeps_waits_for_an_hour() {
    let mut scene = at_step(step(Action::Drain));
    let begun = scene.now;
    loses_another(&mut scene);
    for (seconds, is_over) in [(900, false), (3599, false), (3600, true)] {
        scene.now = begun + TimeDelta::seconds(seconds);
        scene.seen(scene.now, scene.now);
        assert_eq!(failure(&scene).is_some(), is_over, "{seconds}");
    }
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

/// Its server was seen in our maintenance, with its packages to be installed next; then it is outside, without an order of ours.
fn ended_by_others() -> Scene {
    let mut scene = Scene::in_maintenance();
    let task = scene.task();
    let install = task.steps.iter().position(|step| step.action.kind() == StepKind::Apply).unwrap() as u32;
    for place in 0..install {
        if task.steps[place as usize].action.kind() == StepKind::EnterMaintenance {
            scene.order(place, Answer::Accepted);
        }
        scene.write(Record::Confirmed { run: run_id(), task: scene.number, place });
    }
    scene
}

fn goes_outside(scene: &mut Scene) {
    scene.later(TimeDelta::seconds(10));
    let own = scene.task().sds;
    scene.sds(|sds| {
        if Some(&sds.id) == own.as_ref() {
            sds.maintenance = Seen::read("NoMaintenance");
        }
    });
}

fn takes_in(scene: &mut Scene) -> Vec<Record> {
    let records = decided(scene);
    records.iter().for_each(|record| scene.write(record.clone()));
    records
}

#[test]
fn a_maintenance_that_somebody_else_ended_is_no_duty_any_more_and_its_server_is_not_stopped() {
    let mut scene = ended_by_others();
    assert!(!decided(&scene).iter().any(|record| matches!(record, Record::Settled { .. })));
    goes_outside(&mut scene);
    let settled = takes_in(&mut scene);
    assert!(matches!(settled[0], Record::Settled { duty: Duty::Maintenance { .. } }), "{settled:?}");
    let failed = takes_in(&mut scene);
    let Some(Record::Failed { why, undo, .. }) = failed.first() else { panic!("{failed:?}") };
    assert!(why.contains("ended by somebody else"), "{why}");
    let back: Vec<StepKind> = undo.iter().map(|step| step.action.kind()).collect();
    assert_eq!(back, [StepKind::Reactivate]);
    assert!(!failed.iter().any(|record| matches!(record, Record::Quarantined { .. })), "the version is not to blame");
}

#[test]
fn a_way_back_leaves_out_what_would_stop_a_server_that_somebody_else_took_out_of_maintenance() {
    let mut scene = ended_by_others();
    let undo = [Action::Rollback { version: "1".into(), components: vec![Component::Sds] }, Action::ExitMaintenance];
    let undo = undo.map(step).into();
    let failed = Record::Failed { run: run_id(), task: scene.number, why: "a test".into(), undo, counts: false };
    scene.write(failed);
    goes_outside(&mut scene);
    let settled = takes_in(&mut scene);
    assert!(matches!(settled[0], Record::Settled { duty: Duty::Maintenance { .. } }), "{settled:?}");
    let left_out = takes_in(&mut scene);
    assert!(matches!(&left_out[..], [Record::LeftOut { .. }]), "{left_out:?}");
    // Out is where it was to go. That of somebody who comes after that is not ended.
    let mut again = Scene { book: scene.book.clone(), ..ended_by_others() };
    again.later(TimeDelta::seconds(20));
    assert_eq!(takes_in(&mut again), []);
    let waits = advance::waits(&again.book, again.facts(), &again.policy, 1);
    assert!(waits[0].holds.iter().any(|hold| hold.reason.kind() == ReasonKind::MaintenanceForeign), "{waits:?}");
    scene.later(TimeDelta::seconds(10));
    assert!(confirms(&scene));
}

/// What its package did to the server before somebody else ended the maintenance.
fn broken_outside(running: bool, connection: &str) -> Scene {
    let mut scene = ended_by_others();
    let install = scene.task().steps.iter().position(|step| step.action.kind() == StepKind::Apply).unwrap() as u32;
    scene.order(install, Answer::Failed { why: "the service did not start".into() });
    let failed = takes_in(&mut scene);
    let Some(Record::Failed { undo, .. }) = failed.first() else { panic!("{failed:?}") };
    assert_eq!(undo[0].action.kind(), StepKind::Rollback);
    goes_outside(&mut scene);
    let (node, own) = (scene.task().node, scene.task().sds);
    let host = scene.nodes.get_mut(&node).unwrap();
    host.running.clear();
    host.running.extend(running.then_some(Component::Sds));
    host.installed.insert(Component::Sds, ["2".into()].into());
    scene.sds(|sds| {
        if Some(&sds.id) == own.as_ref() {
            sds.connection = Seen::read(connection);
        }
    });
    let settled = takes_in(&mut scene);
    assert!(matches!(settled[0], Record::Settled { duty: Duty::Maintenance { .. } }), "{settled:?}");
    scene
}

#[test]
fn a_server_that_a_package_stopped_is_put_back_also_when_somebody_else_ended_its_maintenance() {
    let put_back = takes_in(&mut broken_outside(false, "Disconnected"));
    let [Record::Intended { effect: Effect::Order { permit, .. }, .. }] = &put_back[..] else { panic!("{put_back:?}") };
    assert_eq!(permit.action.kind(), StepKind::Rollback);
    // Also when it is late: what is left out is told to nobody.
    let mut late = broken_outside(true, "Connected");
    late.later(TimeDelta::hours(1));
    let left_out = takes_in(&mut late);
    assert!(matches!(&left_out[..], [Record::LeftOut { .. }]), "{left_out:?}");
    let left_out = takes_in(&mut broken_outside(true, "Connected"));
    assert!(matches!(&left_out[..], [Record::LeftOut { .. }]), "it runs: {left_out:?}");
    let mut unsure = broken_outside(false, "Connected");
    assert_eq!(takes_in(&mut unsure), [], "the MDM has it still");
    let waits = advance::waits(&unsure.book, unsure.facts(), &unsure.policy, 1);
    assert!(waits[0].holds.iter().any(|hold| hold.reason.kind() == ReasonKind::NotInMaintenance), "{waits:?}");
}

#[test]
fn an_order_of_which_nothing_came_is_written_down_and_one_that_the_mdm_took_is_not_given_again() {
    let at_entry = |answer: Option<Answer>| {
        let mut scene = Scene::drained();
        let entry = scene.task().steps.iter().position(|step| step.action.kind() == StepKind::EnterMaintenance);
        for place in 0..entry.unwrap() as u32 {
            scene.write(Record::Confirmed { run: run_id(), task: scene.number, place });
        }
        scene.took_maintenance();
        match answer {
            Some(answer) => scene.order(entry.unwrap() as u32, answer),
            None => scene.order(entry.unwrap() as u32, Answer::Unknown { why: "cut off".into() }),
        }
        scene.later(TimeDelta::seconds(90));
        assert_eq!(decided(&scene), [], "it may arrive yet");
        scene.later(TimeDelta::seconds(1));
        scene
    };
    let mut lost = at_entry(None);
    assert!(matches!(&takes_in(&mut lost)[..], [Record::Lost { step }] if step.attempt == 0));
    let settled = takes_in(&mut lost);
    assert!(
        matches!(settled[0], Record::Settled { duty: Duty::Maintenance { .. } }),
        "nothing is to be ended: {settled:?}"
    );
    let again = takes_in(&mut lost);
    assert!(
        again.iter().any(|record| matches!(record, Record::Intended { step, .. } if step.attempt == 1)),
        "{again:?}"
    );
    let taken = at_entry(Some(Answer::Accepted));
    assert!(failure(&taken).unwrap().contains("ended by somebody else"));
}

#[test]
fn the_system_is_asked_out_of_turn_while_a_step_waits_for_what_it_shows_and_not_for_long() {
    let is_impatient = |scene: &Scene| engine::is_impatient(&scene.book, scene.picture.snapshot.as_deref(), scene.now);
    let mut scene = Scene::waiting();
    assert!(!is_impatient(&scene), "nothing is in work");
    scene.begin_and_drain();
    let task = scene.task();
    let place = |kind| task.steps.iter().position(|step| step.action.kind() == kind).unwrap() as u32;
    for number in 0..place(StepKind::EnterMaintenance) {
        scene.write(Record::Confirmed { run: run_id(), task: scene.number, place: number });
    }
    assert!(!is_impatient(&scene), "what is to be done next shows nothing yet");
    scene.took_maintenance();
    scene.order(place(StepKind::EnterMaintenance), Answer::Accepted);
    assert!(is_impatient(&scene), "the picture is from before the order");
    scene.later(TimeDelta::seconds(119));
    assert!(is_impatient(&scene), "the maintenance is waited for");
    scene.later(TimeDelta::seconds(1));
    assert!(!is_impatient(&scene), "what takes that long is found at the beat");
    scene.write(Record::Confirmed { run: run_id(), task: scene.number, place: place(StepKind::EnterMaintenance) });
    assert!(!is_impatient(&scene), "the next step is its agent's");
    // One list that gates read is as old as the order was.
    let ordered_at = scene.book.changed_at.unwrap();
    scene.snapshot().devices.as_mut().unwrap().begun_at = ordered_at;
    assert!(is_impatient(&scene));
    scene.snapshot().devices.as_mut().unwrap().begun_at = ordered_at + TimeDelta::milliseconds(1);
    assert!(!is_impatient(&scene));
    for number in place(StepKind::Apply)..place(StepKind::AwaitResync) {
        scene.write(Record::Confirmed { run: run_id(), task: scene.number, place: number });
    }
    assert!(is_impatient(&scene), "the resync shows in the system alone");
}
