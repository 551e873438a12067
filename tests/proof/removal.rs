//! Does a node leave for good without any data being lost, whatever goes wrong? `tests/upgrade` has one stay after all.

use chrono::TimeDelta;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use scaleio_framework::model::plan::Request;
use scaleio_framework::proof::controller::Controller;
use scaleio_framework::proof::fault::Fault;
use scaleio_framework::proof::simulate::Play;
use scaleio_framework::proof::site::Site;
use scaleio_framework::sim::Release;
use scaleio_framework::upgrade::plan::{Habits, Verdict, plan};
use scaleio_framework::work::book::Plans;
use scaleio_framework::work::facts::Policy;

use crate::scene::fleet;
use crate::seeds::kept;

fn removal(seed: u64, only: Option<Vec<Fault>>, events: u32) -> Play {
    Play { removes: true, only, ..Play::of(seed, 5, events) }
}

#[test]
fn a_node_leaves_in_every_generation_and_the_upgrade_after_it_goes_on_without_it() {
    // Of every third seed the last host carries the controller, and is never taken out.
    for seed in [1, 2, 4, 7] {
        let outcome = removal(seed, Some(Vec::new()), 600).run();
        kept(&outcome, &format!("seed {seed}"));
        for what in ["effect: remove_sds", "effect: uninstall", "effect: remove_sdc", "effect: enter"] {
            assert!(outcome.counts.contains_key(what), "seed {seed}: no {what}\n{}", outcome.story.join("\n"));
        }
    }
}

#[test]
fn whatever_goes_wrong_while_a_node_leaves_no_promise_is_broken() {
    let mut left = 0;
    for seed in 0..200 {
        let outcome = removal(seed, None, 700).run();
        kept(&outcome, &format!("seed {seed}"));
        left += outcome.counts.get("effect: remove_sds").copied().unwrap_or_default();
    }
    assert!(left > 5, "{left} nodes left");
}

#[test]
fn whoever_is_silent_or_sits_in_the_mdm_cluster_is_not_taken_out_and_the_answer_says_what_to_do() {
    let mut site = Site::new(5, Release::V3_6, ChaCha8Rng::seed_from_u64(1), 1);
    site.free_last();
    let now = site.now();
    let (mut controller, _) = Controller::start(Plans::new(), &mut Vec::new(), 1, Policy::default(), now).unwrap();
    controller.poll(&site);
    let addresses = site.addresses();
    let facts = controller.facts(now);
    let fleet = fleet(&facts, &addresses);
    let asked = |request: Request, at| plan(request, &fleet, &Habits::default(), None, at);
    let last = site.hosts.keys().next_back().unwrap().clone();
    let member = site.hosts.values().find(|host| host.mdm.is_some()).unwrap().name.clone();
    let remove = |node: &_| Request::Remove { node: Clone::clone(node) };
    assert_eq!(asked(remove(&last), now).plan.stages.len(), 1, "it is heard, so it can go");

    // Its last word is older than any restart takes: whoever takes its place or not.
    let late = now + TimeDelta::minutes(11);
    for request in [remove(&last), Request::Replace { node: last.clone(), by: member.clone() }] {
        let silent = asked(request, late);
        assert!(silent.plan.stages.is_empty(), "{silent:?}");
        let Verdict::Cannot(why) = &silent.report[&last] else { panic!("{silent:?}") };
        let seen_at = now.format("%Y-%m-%d %H:%M:%SZ").to_string();
        assert!(why.contains(&seen_at) && why.contains("A host that is gone for good"), "{why}");
    }
    let seated = asked(remove(&member), now);
    let Verdict::Cannot(why) = &seated.report[&member] else { panic!("{seated:?}") };
    assert!(seated.plan.stages.is_empty() && why.contains("give its seat to another host first"), "{why}");
}
