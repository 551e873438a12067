//! Is a maintenance that somebody hands over ended by us, and no other one, whatever goes wrong?

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use scaleio_framework::model::id::{NodeName, RunId};
use scaleio_framework::model::node::Carries;
use scaleio_framework::model::plan::{Approval, Plan, Request};
use scaleio_framework::model::step::{Action, MaintenanceMode, StepKind};
use scaleio_framework::proof::controller::Controller;
use scaleio_framework::proof::fault::Fault::{
    self, Adopt, Cancel, Crash, ForeignEnter, ForeignExit, GatewayDeaf, Loss, NoLoss, SdsFails, SdsReturns,
};
use scaleio_framework::proof::simulate::Play;
use scaleio_framework::proof::site::Site;
use scaleio_framework::sim::Release;
use scaleio_framework::sim::world::{Command, MaintenanceCommand, Mode, Scope};
use scaleio_framework::upgrade::plan::{Habits, plan};
use scaleio_framework::work::advance::step;
use scaleio_framework::work::book::{Before, Book, Plans};
use scaleio_framework::work::check::{Unsafe, check, covers};
use scaleio_framework::work::command::{self, No};
use scaleio_framework::work::facts::Policy;
use scaleio_framework::work::record::{Duty, Effect, Obligation, Record};

use crate::scene::{Scene, fleet, run_id};
use crate::seeds::counted;

/// So often each of these came, in the stories of so many seeds.
fn came(seeds: u64, faults: &[Fault], what: &[&str]) -> Vec<u64> {
    let counts = counted((0..seeds).map(|seed| Play { only: Some(faults.to_vec()), ..Play::of(seed, 5, 1000) }));
    what.iter().map(|what| counts.get(*what).copied().unwrap_or_default()).collect()
}

#[test]
fn what_is_handed_over_is_ended() {
    let over = came(40, &[ForeignEnter, Adopt], &["taken over", "taken over and ended"]);
    assert!(over[0] > 20 && over[1] == over[0], "{over:?}");
}

#[test]
fn whatever_goes_wrong_after_it_was_handed_over_no_promise_is_broken() {
    let faults = [
        ForeignEnter,
        ForeignEnter,
        Adopt,
        Adopt,
        Adopt,
        ForeignExit,
        SdsFails,
        SdsReturns,
        SdsReturns,
        Loss,
        NoLoss,
        Crash,
        Cancel,
        GatewayDeaf,
    ];
    let over = came(300, &faults, &["taken over", "ended by others", "death: AfterEffect"]);
    assert!(over.iter().all(|count| *count > 5), "{over:?}");
}

/// A server that somebody else put into maintenance, and the plan that takes it over.
struct Case {
    site: Site,
    controller: Controller,
    node: NodeName,
    plan: Plan,
}

impl Case {
    fn new(is_inside: bool) -> Self {
        let mut site = Site::new(5, Release::V3_6, ChaCha8Rng::seed_from_u64(1), 1);
        let (node, sds) = site.hosts.values().map(|host| (host.name.clone(), host.sds)).next().unwrap();
        if is_inside {
            let enter = MaintenanceCommand::Enter { scope: Scope::Sds(sds), mode: Mode::Instant, force: false };
            site.world.command(Command::Maintenance(enter)).unwrap();
            site.pass(60);
        }
        let now = site.now();
        let (mut controller, _) = Controller::start(Plans::new(), &mut Vec::new(), 1, Policy::default(), now).unwrap();
        controller.poll(&site);
        let plan = Self::planned(&site, &controller, &node, MaintenanceMode::Instant);
        Self { site, controller, node, plan }
    }

    fn planned(site: &Site, controller: &Controller, node: &NodeName, mode: MaintenanceMode) -> Plan {
        let (now, addresses) = (site.now(), site.addresses());
        let facts = controller.facts(now);
        let request = Request::Adopt { node: node.clone(), mode, because: "a shift ends".into() };
        plan(request, &fleet(&facts, &addresses), &Habits::default(), None, now).plan
    }

    fn wrong(&self) -> Vec<Unsafe> {
        check(&self.plan, &self.controller.facts(self.site.now()), &Before::new()).into_iter().collect()
    }

    fn adopt(&self) -> Result<Vec<Record>, No> {
        let (book, facts) = (self.controller.journal.book(), self.controller.facts(self.site.now()));
        command::adopt(book, &facts, RunId::new("run-1"), &self.plan, "ada", [].into())
    }
}

#[test]
fn who_hands_it_over_and_why_is_written_down_with_the_duty_and_its_end() {
    let case = Case::new(true);
    assert_eq!(case.wrong(), []);
    let Request::Adopt { because, .. } = &case.plan.request else { panic!("{:?}", case.plan.request) };
    assert_eq!(&**because, "a shift ends");
    let records = case.adopt().unwrap();
    let [Record::Opened { approval: Approval::Hash { by, .. }, .. }, Record::Began { .. }, Record::Took { obligation }] =
        &records[..]
    else {
        panic!("{records:?}")
    };
    assert_eq!((&**by, &obligation.node, obligation.mode), ("ada", &case.node, Some(MaintenanceMode::Instant)));
    assert!(matches!(obligation.duty, Duty::Maintenance { .. }));
    assert_eq!(obligation.handed.as_ref().unwrap().to_string(), "handed over by ada: a shift ends");
    assert_eq!((obligation.deadline - obligation.since).num_minutes(), 30);
    // To leave protected mode moves data, and may take as long as the step that does it.
    let mode = MaintenanceMode::Protected;
    let case = Case { plan: Case::planned(&case.site, &case.controller, &case.node, mode), ..case };
    let Some(Record::Took { obligation }) = case.adopt().unwrap().pop() else { panic!("no duty") };
    assert_eq!((obligation.deadline - obligation.since).num_minutes(), 30 + 6 * 60);
}

#[test]
fn only_the_end_of_a_maintenance_that_is_there_is_planned_and_never_under_a_standing_approval() {
    let outside = Case::new(false);
    assert_eq!(outside.wrong(), [Unsafe::NotInside { node: outside.node.clone() }]);
    assert!(matches!(outside.adopt(), Err(No::Unsafe(_))));
    let mut more = Case::new(true);
    let node = more.node.clone();
    let soak = more.plan.stages[0].tasks[0].steps[1].clone();
    more.plan.stages[0].tasks[0]
        .steps
        .insert(0, scaleio_framework::model::plan::Step { action: Action::Reboot, ..soak });
    assert!(
        more.wrong().contains(&Unsafe::NotAsked { node: node.clone(), step: StepKind::Reboot }),
        "{:?}",
        more.wrong()
    );
    // Without what is copied back afterwards it is no end.
    let mut less = Case::new(true);
    less.plan.stages[0].tasks[0].steps.pop();
    let (step, needs) = (StepKind::ExitMaintenance, StepKind::AwaitResync);
    assert_eq!(less.wrong(), [Unsafe::After { node: node.clone(), step, needs }]);
    // Another node than the one that was handed over.
    let mut other = Case::new(true);
    other.plan.request = Request::Adopt {
        node: NodeName::new("node-5"),
        mode: MaintenanceMode::Instant,
        because: "a shift ends".into(),
    };
    assert!(other.wrong().contains(&Unsafe::NotAsked { node, step }), "{:?}", other.wrong());

    let case = Case::new(true);
    let facts = case.controller.facts(case.site.now());
    let standing = Approval::Policy {
        job: "nightly".into(),
        to: "".into(),
        selection: [case.node.clone()].into(),
        modes: [MaintenanceMode::Instant].into(),
        max_risk: scaleio_framework::model::plan::Risk::Medium,
        until: case.site.now() + chrono::TimeDelta::days(1),
        by: "ada".into(),
    };
    assert_eq!(covers(&standing, &case.plan, &facts), [Unsafe::NotCovered("this request".into())].into());
}

#[test]
fn a_plan_that_takes_over_is_begun_only_with_its_duty() {
    let mut case = Case::new(true);
    case.controller.journal.file(case.plan.clone());
    let (book, facts) = (case.controller.journal.book(), case.controller.facts(case.site.now()));
    let approval = Approval::Hash { plan: case.plan.id(), by: "ada".into(), at: case.site.now() };
    let opened = command::open(book, &facts, RunId::new("run-1"), &case.plan.id(), approval, [].into());
    assert!(matches!(opened, Err(No::NoPlan(_))), "{opened:?}");
}

#[test]
fn a_mode_that_was_said_wrongly_is_put_right_and_the_exit_is_ordered_in_it() {
    let mut case = Case::new(true);
    case.plan = Case::planned(&case.site, &case.controller, &case.node, MaintenanceMode::Protected);
    let (book, now) = (case.controller.journal.book(), case.site.now());
    let correct = |book: &Book, mode| command::correct(book, &case.node, mode, "bob", "it was the other one");
    assert_eq!(correct(book, MaintenanceMode::Instant), None);
    let mut book = book.clone();
    book.plans.insert(case.plan.id(), case.plan.clone().into());
    case.adopt().unwrap().iter().for_each(|record| book.apply(record, now).unwrap());
    assert_eq!(correct(&book, MaintenanceMode::Protected), None);
    let before = book.obligations[0].clone();
    let records = correct(&book, MaintenanceMode::Instant).unwrap();
    records.iter().for_each(|record| book.apply(record, now).unwrap());
    let after = book.obligations[0].clone();
    assert_eq!(after.handed.as_ref().unwrap().to_string(), "handed over by bob: it was the other one");
    let (mode, handed) = (Some(MaintenanceMode::Instant), after.handed.clone());
    assert_eq!(after, Obligation { mode, handed, ..before });
    let facts = case.controller.facts(now);
    let ordered = step(&book, facts, &Policy::default(), 1).effects;
    let exit = |effect: &Effect| matches!(effect, Effect::Exit { mode: MaintenanceMode::Instant, .. });
    assert!(ordered.len() == 1 && exit(&ordered[0].1), "{ordered:?}");
    // What we began ourselves is as it was begun.
    let mut ours = book.clone();
    ours.obligations[0].handed = None;
    assert_eq!(correct(&ours, MaintenanceMode::Protected), None);
}

#[test]
fn what_is_ours_is_not_taken_over_and_what_was_begun_again_is_ended_by_hand() {
    let theirs = |scene: &Scene| command::is_theirs(&scene.book, &scene.facts(), &scene.task().node);
    assert_eq!(theirs(&Scene::waiting()), Ok(()));
    let mut scene = Scene::drained();
    let (run, node) = (run_id(), scene.task().node);
    assert_eq!(theirs(&scene), Err(No::InWork { run: run.clone(), node: node.clone() }));
    scene.enter();
    assert_eq!(theirs(&scene), Err(No::Ours { run: run.clone(), node: node.clone() }));
    // The MDM took our exit, and it is inside once more.
    scene.left_by_the_mdm();
    let again = theirs(&scene).unwrap_err();
    assert_eq!(again, No::BegunAgain { run, node });
    assert!(again.to_string().contains("end this one by hand"), "{again}");
}

#[test]
fn the_host_of_this_controller_may_be_taken_over_and_nothing_else_be_done_there() {
    let mut case = Case::new(true);
    case.plan.stages[0].tasks[0].carries = [Carries::Controller].into();
    assert_eq!(case.wrong(), []);
    let more = case.plan.stages[0].tasks[0].steps[0].clone();
    case.plan.stages[0].tasks[0].steps.push(scaleio_framework::model::plan::Step { action: Action::Reboot, ..more });
    assert!(case.wrong().contains(&Unsafe::Controller(case.node.clone())), "{:?}", case.wrong());
}
