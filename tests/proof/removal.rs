//! Does a node leave for good without any data being lost, whatever goes wrong? `tests/upgrade` has one stay after all.

use scaleio_framework::proof::fault::Fault;
use scaleio_framework::proof::simulate::Play;

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
