//! Does a node leave for good without any data being lost, whatever goes wrong, and stay when somebody thinks better of it?

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
    let (mut left, mut stayed) = (0, 0);
    for seed in 0..if crate::all() { 400 } else { 24 } {
        let outcome = removal(seed, None, 700).run();
        kept(&outcome, &format!("seed {seed}"));
        left += outcome.counts.get("effect: remove_sds").copied().unwrap_or_default();
        stayed += outcome.counts.get("effect: keep_sds").copied().unwrap_or_default();
    }
    assert!(left > 5, "{left} nodes left");
    println!("{left} were told to leave, and {stayed} to stay");
}

#[test]
fn who_cancels_while_data_moves_keeps_the_node() {
    let play = removal(7, Some(Vec::new()), 150);
    let mut stayed = 0;
    for at in 0..play.run().decisions.min(40) {
        let outcome = Play { cancel_at: Some(at), ..play.clone() }.run();
        kept(&outcome, &format!("a cancel at decision {at}"));
        stayed += outcome.counts.get("effect: keep_sds").copied().unwrap_or_default();
    }
    assert!(stayed > 0, "no cancel came while data moved");
}
