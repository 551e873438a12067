//! Are the promises kept where nodes of several protection domains are worked on at once?

use scaleio_framework::proof::fault::Fault;
use scaleio_framework::proof::simulate::Play;

use crate::seeds::counted;

/// Twenty hosts in two domains.
fn two(seed: u64, only: Option<Vec<Fault>>) -> Play {
    Play { domains: 2, only, ..Play::of(seed, 20, 1000) }
}

#[test]
fn two_domains_are_worked_on_at_once_and_no_third_node() {
    let counts = counted((0..20).map(|seed| two(seed, Some(Vec::new()))));
    for what in ["began beside another domain", "maintenance in two domains", "end: done"] {
        assert!(counts.get(what).is_some_and(|times| *times > 10), "{what}: {counts:#?}");
    }
}

#[test]
fn whatever_goes_wrong_in_two_domains_no_promise_is_broken() {
    let counts = counted((0..200).map(|seed| two(seed, None)));
    for what in ["began beside another domain", "maintenance in two domains", "undone", "end: halted"] {
        assert!(counts.get(what).is_some_and(|times| *times > 10), "{what}: {counts:#?}");
    }
}
