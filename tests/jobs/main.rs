//! What comes of a job that fires, by mode and approval?

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../proof/scene.rs"]
#[allow(dead_code, reason = "the gate is asked in tests/proof")]
mod scene;

use std::collections::BTreeSet;

use chrono::TimeDelta;
use scaleio_framework::config::{Asks, Job, Standing};
use scaleio_framework::model::chore::Chore;
use scaleio_framework::model::cron::CronLine;
use scaleio_framework::model::id::NodeName;
use scaleio_framework::model::lifecycle::Mode;
use scaleio_framework::model::plan::{Approval, Request, Risk};
use scaleio_framework::model::schedule::{Missed, Overlap, Schedule};
use scaleio_framework::model::step::MaintenanceMode;
use scaleio_framework::model::window::{Calendar, Zone};
use scaleio_framework::upgrade::jobs::{Kept, look};
use scaleio_framework::upgrade::orders::{Desk, Obeyed};
use scaleio_framework::upgrade::plan::Habits;
use scaleio_framework::work::book::Book;
use scaleio_framework::work::check::covers;
use scaleio_framework::work::facts::Policy;
use scaleio_framework::work::record::Record;
use scaleio_framework::work::seam::Surroundings;

use crate::scene::Scene;

fn job(scene: &Scene, standing: Option<Standing>) -> Job {
    let to = scene.task().steps.iter().find_map(|step| match &step.action {
        scaleio_framework::model::step::Action::Apply { version, .. } => Some(version.clone()),
        _ => None,
    });
    let schedule = Schedule {
        name: "nightly".into(),
        line: CronLine::parse("* * * * *", Zone::UTC).unwrap(),
        jitter: TimeDelta::zero(),
        late: TimeDelta::hours(1),
        missed: Missed::Once,
        overlap: Overlap::Skip,
        calendar: Calendar::default(),
    };
    let asks = Asks::Work(Request::Upgrade { to: to.unwrap(), only: BTreeSet::new() });
    Job { system: None, schedule, asks, standing }
}

fn standing(scene: &Scene, modes: &[MaintenanceMode], hours: i64) -> Standing {
    let until = scene.now + TimeDelta::hours(hours);
    Standing {
        by: "ada".into(),
        until,
        modes: modes.iter().copied().collect(),
        max_risk: Risk::Medium,
        accept: BTreeSet::new(),
    }
}

/// Lets a job of this scene fire.
fn fire(scene: &Scene, job: &Job, book: &Book, mode: Mode) -> (Obeyed, String) {
    let around = Surroundings {
        nodes: scene.nodes.clone().into(),
        agents: scene.agents.clone(),
        addresses: scene.addresses.clone(),
        ..Surroundings::default()
    };
    let facts = scene.facts();
    let desk = Desk { book, facts, around: &around, habits: &Habits::default(), mode };
    let kept = Kept::first(scene.now - TimeDelta::minutes(2));
    let looked = look(job, &kept, &desk, &Policy::default()).unwrap();
    (looked.obeyed, looked.kept.last.unwrap().1)
}

#[test]
fn without_a_standing_approval_or_the_mode_act_a_plan_waits_for_a_yes() {
    let scene = Scene::waiting();
    let both = [MaintenanceMode::Instant, MaintenanceMode::Protected];
    for (given, mode) in [
        (None, Mode::Act),
        (Some(standing(&scene, &both, 5)), Mode::Propose),
        (Some(standing(&scene, &both, 5)), Mode::Observe),
    ] {
        let (obeyed, says) = fire(&scene, &job(&scene, given), &Book::default(), mode);
        assert!(obeyed.plan.is_some() && obeyed.records.is_empty(), "{obeyed:?}");
        assert!(says.contains("waits for a yes"), "{says}");
    }
}

#[test]
fn within_a_standing_approval_a_run_begins_and_outside_of_it_the_reason_is_said() {
    let scene = Scene::waiting();
    let both = [MaintenanceMode::Instant, MaintenanceMode::Protected];
    let (obeyed, says) = fire(&scene, &job(&scene, Some(standing(&scene, &both, 5))), &Book::default(), Mode::Act);
    let id = obeyed.plan.unwrap().id();
    let [Record::Opened { plan, approval: Approval::Policy { job: name, by, .. }, .. }] = &obeyed.records[..] else {
        panic!("{:?}", obeyed.records)
    };
    assert_eq!((plan, &**name, &**by), (&id, "nightly", "ada"));
    assert!(says.contains("began a run"), "{says}");

    for (given, why) in [
        (standing(&scene, &[MaintenanceMode::Protected], 5), "does not cover instant"),
        (standing(&scene, &both, 0), "it has run out"),
        (Standing { max_risk: Risk::Low, ..standing(&scene, &both, 5) }, "does not cover this risk"),
    ] {
        let (obeyed, says) = fire(&scene, &job(&scene, Some(given)), &Book::default(), Mode::Act);
        assert!(obeyed.records.is_empty() && obeyed.plan.is_some(), "{obeyed:?}");
        assert!(says.contains("waits for a yes") && says.contains(why), "{says}");
    }
}

#[test]
fn while_a_run_is_open_or_nothing_is_to_be_done_nothing_is_begun() {
    let scene = Scene::waiting();
    let both = [MaintenanceMode::Instant, MaintenanceMode::Protected];
    let asked = job(&scene, Some(standing(&scene, &both, 5)));
    let (obeyed, says) = fire(&scene, &asked, &scene.book, Mode::Act);
    assert_eq!((obeyed, says.as_str()), (Obeyed::default(), "left out: a run was open"));

    let nothing = Job { asks: Asks::Work(Request::Reboot { node: NodeName::new("nobody") }), ..asked };
    let (obeyed, says) = fire(&scene, &nothing, &Book::default(), Mode::Act);
    assert_eq!(
        (obeyed, says.as_str()),
        (Obeyed::default(), "no plan: nobody cannot be planned: there is no node of that name")
    );
}

#[test]
fn a_release_that_nodes_were_sent_back_from_is_begun_by_no_job() {
    let scene = Scene::waiting();
    let job = job(&scene, Some(standing(&scene, &[MaintenanceMode::Instant], 5)));
    let Asks::Work(Request::Upgrade { to, .. }) = &job.asks else { panic!("{:?}", job.asks) };
    let mut book = Book::default();
    let quarantined = Record::Quarantined { version: to.clone(), why: "nodes were sent back from it by ada".into() };
    book.apply(&quarantined, scene.now).unwrap();
    let (obeyed, says) = fire(&scene, &job, &book, Mode::Act);
    assert_eq!(obeyed, Obeyed::default());
    assert!(says.contains("by ada") && says.contains(&format!("sio free {to}")), "{says}");
    book.apply(&Record::Freed { version: to.clone(), by: "ada".into() }, scene.now).unwrap();
    assert!(fire(&scene, &job, &book, Mode::Act).1.contains("began a run"));
}

#[test]
fn a_health_check_says_of_each_node_whether_it_could_be_worked_on_and_what_holds_it() {
    let mut scene = Scene::waiting();
    let asked = Job { asks: Asks::Chore(Chore::HealthCheck), ..job(&scene, None) };
    let (obeyed, says) = fire(&scene, &asked, &Book::default(), Mode::Observe);
    assert_eq!(obeyed, Obeyed::default());
    let all = scene.nodes.len();
    assert_eq!(says, format!("each of {all} nodes could be worked on now"));
    // Windows say when work is wanted, not whether it is safe; a node that is not heard is held alone.
    let first = scene.nodes.keys().next().unwrap().clone();
    scene.nodes.get_mut(&first).unwrap().seen_at = scene.now - TimeDelta::hours(1);
    let (_, says) = fire(&scene, &asked, &Book::default(), Mode::Observe);
    assert_eq!(says, format!("{} of {all} nodes could be worked on now", all - 1));
}

#[test]
fn a_standing_approval_covers_the_nodes_that_the_job_names_and_no_others() {
    let scene = Scene::waiting();
    let both = [MaintenanceMode::Instant, MaintenanceMode::Protected];
    let all = job(&scene, Some(standing(&scene, &both, 5)));
    let Asks::Work(Request::Upgrade { to, .. }) = &all.asks else { panic!("{all:?}") };
    let only = BTreeSet::from([scene.task().node]);
    let some = Job { asks: Asks::Work(Request::Upgrade { to: to.clone(), only: only.clone() }), ..all.clone() };
    let restart = Job { asks: Asks::Work(Request::Reboot { node: scene.task().node }), ..all.clone() };
    for (job, covered) in [(&all, BTreeSet::new()), (&some, only.clone()), (&restart, only)] {
        let (obeyed, says) = fire(&scene, job, &Book::default(), Mode::Act);
        let [Record::Opened { approval, .. }] = &obeyed.records[..] else { panic!("{says}") };
        let Approval::Policy { selection, .. } = approval else { panic!("{approval:?}") };
        assert_eq!(*selection, covered, "{says}");
        // The plan of a whole upgrade has other nodes too.
        let (whole, _) = fire(&scene, &all, &Book::default(), Mode::Propose);
        let refused = covers(approval, &whole.plan.unwrap(), &scene.facts());
        assert_eq!(refused.is_empty(), covered.is_empty(), "{refused:?}");
    }
}

#[test]
fn a_standing_approval_of_a_restart_is_for_its_node_alone_and_none_covers_what_cannot_be_taken_back() {
    let scene = Scene::waiting();
    let both = [MaintenanceMode::Instant, MaintenanceMode::Protected];
    let node = scene.task().node;
    let asked = Job { asks: Asks::Work(Request::Reboot { node }), ..job(&scene, Some(standing(&scene, &both, 5))) };
    let (obeyed, says) = fire(&scene, &asked, &Book::default(), Mode::Act);
    assert!(matches!(obeyed.records[..], [Record::Opened { .. }]), "{says}");
    let to = "R9_9.9.9".into();
    let last = Job { asks: Asks::Work(Request::Finalise { to }), ..asked };
    let (obeyed, says) = fire(&scene, &last, &Book::default(), Mode::Act);
    assert!(obeyed.records.is_empty(), "{says}");
}
