//! Does a death of the controller, at any of its decisions and in any way, change nothing but a pause?

use scaleio_framework::proof::controller::Death;
use scaleio_framework::proof::fault::Fault;
use scaleio_framework::proof::simulate::Play;

use crate::seeds::kept;

/// A play in which nothing goes wrong but what is named.
pub(crate) fn only(seed: u64, faults: &[Fault]) -> Play {
    Play { only: Some(faults.to_vec()), ..Play::of(seed, 3, 500) }
}

#[test]
fn a_death_at_any_decision_changes_nothing_but_a_pause() {
    // Without and with restarts of hosts.
    for seed in [1, 2] {
        let decisions = only(seed, &[]).run().decisions;
        assert!(decisions > 40, "{decisions}");
        for (at, death) in (0..decisions).flat_map(|at| Death::ALL.map(|death| (at, death))) {
            let outcome = Play { die_at: [(at, death)].into(), ..only(seed, &[]) }.run();
            kept(&outcome, &format!("seed {seed}, {death:?} at decision {at}"));
            let done = outcome.counts.contains_key("end: done");
            assert!(done, "seed {seed}, {death:?} at {at}: {}", outcome.story.join("\n"));
        }
    }
}

#[test]
fn a_second_death_while_the_first_is_mended_does_not_matter_either() {
    let decisions = only(2, &[]).run().decisions;
    let pairs = [(Death::AfterEffect, Death::BeforeCommit), (Death::Torn, Death::AfterEffect)];
    for (at, (first, second)) in (0..decisions).step_by(5).flat_map(|at| pairs.map(|pair| (at, pair))) {
        let outcome = Play { die_at: [(at, first), (at + 1, second)].into(), ..only(2, &[]) }.run();
        kept(&outcome, &format!("{first:?} at decision {at}, {second:?} at the next"));
    }
}
