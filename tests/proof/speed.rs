//! How long does a plan for a thousand nodes take, and a restart in its middle?

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use scaleio_framework::model::plan::{Approval, Request};
use scaleio_framework::proof::controller::Controller;
use scaleio_framework::proof::site::Site;
use scaleio_framework::sim::Release;
use scaleio_framework::upgrade::plan::{Fleet, Habits, plan};
use scaleio_framework::work::book::Plans;
use scaleio_framework::work::check;
use scaleio_framework::work::facts::Policy;
use scaleio_framework::work::journal::Journal;
use scaleio_framework::work::record::Record;

/// The best of some: others work on this machine too.
fn best<T>(mut work: impl FnMut() -> T) -> (Duration, T) {
    let mut timed = || {
        let begun = Instant::now();
        let done = work();
        (begun.elapsed(), done)
    };
    let mut best = timed();
    for _ in 0..6 {
        let next = timed();
        if next.0 < best.0 {
            best = next;
        }
    }
    best
}

#[test]
fn a_plan_of_a_thousand_nodes_takes_less_than_a_tenth_of_a_second_and_a_restart_less_than_one() {
    let site = Site::new(1024, Release::V3_6, ChaCha8Rng::seed_from_u64(1), 1);
    let now = site.now();
    let (mut controller, _) = Controller::start(Plans::new(), &mut Vec::new(), 1, Policy::default(), now).unwrap();
    controller.poll(&site);
    let addresses = site.addresses();
    let facts = controller.facts(now);
    let fleet = Fleet {
        snapshot: facts.snapshot().unwrap(),
        nodes: facts.nodes,
        agents: facts.agents,
        addresses: &addresses,
        packages: &BTreeMap::new(),
    };
    let request = || Request::Upgrade { to: site.to.clone(), only: BTreeSet::new() };
    let (planned, (made, id)) = best(|| {
        let made = plan(request(), &fleet, &Habits::default(), None, now).plan;
        let id = made.id();
        (made, id)
    });
    let (checked, wrong) = best(|| check::check(&made, &facts));
    assert_eq!(wrong, BTreeSet::new());
    let nodes: BTreeSet<_> = made.tasks().map(|(_, _, task)| &task.node).collect();
    println!("{} nodes: planned and hashed in {planned:?}, checked in {checked:?}", nodes.len());
    assert!(nodes.len() > 1000 && planned < Duration::from_millis(100), "{planned:?}");

    let mut journal = Journal::default();
    journal.file(made);
    let run = scaleio_framework::model::id::RunId::new("run-1");
    let approval = Approval::Hash { plan: id.clone(), by: "a person".into(), at: now };
    let mut lines = journal
        .append(&[Record::Opened { run: run.clone(), plan: id, approval, baseline: BTreeSet::new() }], now)
        .unwrap();
    for task in 0..1000 {
        let records =
            [Record::Began { run: run.clone(), task }, Record::Confirmed { run: run.clone(), task, place: 0 }];
        lines.extend(journal.append(&records, now).unwrap());
    }
    let plans = journal.book().plans.clone();
    let (replayed, again) = best(|| Journal::default().replay(plans.clone(), lines.iter().map(Vec::as_slice)).unwrap());
    println!("{} entries replayed in {replayed:?}", lines.len());
    assert!(again.journal == journal && replayed < Duration::from_secs(1), "{replayed:?}");
}
