//! Are the promises kept while everything goes wrong, for seeds that nobody has chosen?

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use scaleio_framework::proof::simulate::{Outcome, Play};

/// What a run of the tests plays. `PROOF_SEEDS` asks for another number, `PROOF_FROM` for another beginning.
const SHARE: u64 = 3000;
const NODES: u32 = 5;
const EVENTS: u32 = 2000;

/// Seeds that once found something, and a few that are always played.
const KNOWN: [u64; 8] = [1, 2, 3, 4, 7, 11, 42, 4711];

/// What must have happened in a share this large, or the proof has become quiet.
const RARE: &[&str] = &[
    "effect: enter",
    "effect: exit",
    "effect: drain",
    "effect: reactivate",
    "effect: switch_mdm",
    "effect: stage",
    "effect: apply",
    "effect: reboot",
    "effect: rollback",
    "end: done",
    "end: cancelled",
    "end: halted",
    "undone",
    "overdue",
    "soak broken",
    "a plan is refused",
    "death: BeforeCommit",
    "death: Torn",
    "death: BeforeEffect",
    "death: AfterEffect",
    "refused: DEGRADED_OR_FAILED_DATA",
    "refused: MM_FAILED_REBUILD_DISABLED_ON_SP",
];

fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

pub(crate) fn kept(outcome: &Outcome, what: &str) {
    let promises = &outcome.violations;
    assert!(promises.is_empty(), "{what}: {promises:#?}\n{}", outcome.story.join("\n"));
}

#[test]
fn promises_are_kept_while_everything_goes_wrong() {
    let fresh = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() << 16;
    let (from, count) = (asked("PROOF_FROM").unwrap_or_else(fresh), asked("PROOF_SEEDS").unwrap_or(SHARE));
    let seeds: Vec<u64> = KNOWN.into_iter().chain(from..from + count).collect();
    println!("seeds {from} to {} and {KNOWN:?}, {NODES} nodes, {EVENTS} events", from + count - 1);
    let (next, counts) = (AtomicU64::new(0), Mutex::new(BTreeMap::<String, u64>::new()));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    let outcome = Play::of(*seed, NODES, EVENTS).run();
                    kept(&outcome, &format!("sio-demo simulate --seed {seed} --nodes {NODES} --events {EVENTS}"));
                    let mut counts = counts.lock().unwrap();
                    for (what, times) in outcome.counts {
                        *counts.entry(what).or_default() += times;
                    }
                }
            });
        }
    });
    let counts = counts.into_inner().unwrap();
    for (what, times) in &counts {
        println!("{times:>9}  {what}");
    }
    if count >= SHARE {
        let quiet: Vec<&&str> = RARE.iter().filter(|what| !counts.contains_key(**what)).collect();
        assert!(quiet.is_empty(), "never happened: {quiet:?}");
    }
}

#[test]
fn the_same_seed_tells_the_same_story() {
    for seed in [7, 8] {
        assert_eq!(Play::of(seed, 5, 600).run().trace, Play::of(seed, 5, 600).run().trace);
    }
    assert_ne!(Play::of(7, 5, 600).run().trace, Play::of(8, 5, 600).run().trace);
}
