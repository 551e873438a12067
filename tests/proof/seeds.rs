//! Are the promises kept while everything goes wrong, for seeds that nobody has chosen?

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use scaleio_framework::proof::fault::Fault::{DeviceFails, DeviceReturns, RebuildOff, RebuildOn};
use scaleio_framework::proof::simulate::{Outcome, Play};

/// How long a run of the tests plays fresh seeds. `PROOF_SECONDS` asks for another time; `PROOF_SEEDS` for a number of
/// them instead, which with `PROOF_FROM` makes ranges that can be played one after the other (docs/proof.md).
const SECONDS: u64 = 180;
/// So many show what is rare.
const MANY: usize = 3000;
const NODES: u32 = 5;
const EVENTS: u32 = 2000;

/// Seeds that once found something, and a few that are always played.
const KNOWN: [u64; 23] = [
    1,
    2,
    3,
    4,
    7,
    11,
    42,
    295,
    4711,
    117_702_919_061_777,
    900_000_856,
    900_002_212,
    1_000_002_513,
    1_200_001_614,
    1_200_003_019,
    1_300_000_195,
    1_300_003_989,
    1_300_020_025,
    1_300_032_354,
    1_300_033_248,
    1_700_062_309,
    2_000_027_964,
    2_600_637_191,
];

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
    "death: BeforeCommit",
    "death: Torn",
    "death: BeforeEffect",
    "death: AfterEffect",
    "came to nothing",
    "ended by others",
    "failed: the maintenance",
    "left out",
    "protected mode",
    "began in a window",
    "taken over",
];

fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

pub(crate) fn kept(outcome: &Outcome, what: &str) {
    let promises = &outcome.violations;
    assert!(promises.is_empty(), "{what}: {promises:#?}\n{}", outcome.story.join("\n"));
}

/// So often each thing came in these stories, in which no promise is broken.
pub(crate) fn counted(plays: impl IntoIterator<Item = Play>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for play in plays {
        let outcome = play.run();
        kept(&outcome, &format!("{play:?}"));
        for (what, times) in outcome.counts {
            *counts.entry(what).or_default() += times;
        }
    }
    counts
}

#[test]
fn promises_are_kept_while_everything_goes_wrong() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let from = asked("PROOF_FROM").unwrap_or(now.as_secs() << 16);
    let begun = Instant::now();
    let (count, time) = match asked("PROOF_SEEDS") {
        Some(count) => (count, Duration::MAX),
        None => (u64::MAX - from, Duration::from_secs(asked("PROOF_SECONDS").unwrap_or(SECONDS))),
    };
    let next = Mutex::new(KNOWN.into_iter().chain(from..from + count));
    let another = || next.lock().unwrap().next().filter(|seed| KNOWN.contains(seed) || begun.elapsed() < time);
    let (counts, played) = (Mutex::new(BTreeMap::<String, u64>::new()), AtomicUsize::new(0));
    // Of all traces in whatever order: another engine that tells the same stories has the same.
    let digest = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(seed) = another() {
                    let outcome = Play::of(seed, NODES, EVENTS).run();
                    kept(&outcome, &format!("sio-demo simulate --seed {seed} --nodes {NODES} --events {EVENTS}"));
                    played.fetch_add(1, Ordering::Relaxed);
                    digest.fetch_add(u64::from_str_radix(&outcome.trace[..16], 16).unwrap(), Ordering::Relaxed);
                    let mut counts = counts.lock().unwrap();
                    for (what, times) in outcome.counts {
                        *counts.entry(what).or_default() += times;
                    }
                }
            });
        }
    });
    let (counts, played) = (counts.into_inner().unwrap(), played.into_inner());
    let (fresh, seconds) = (played - KNOWN.len(), begun.elapsed().as_secs_f64());
    let last = from + (fresh as u64).saturating_sub(1);
    println!(
        "{KNOWN:?} and {fresh} seeds from {from} to {last}, {NODES} nodes, {EVENTS} events: no promise was broken; their stories are {:016x}",
        digest.into_inner()
    );
    println!(
        "{:.1} runs a second, {:.1} a second and core",
        played as f64 / seconds,
        played as f64 / seconds / threads as f64
    );
    for (what, times) in &counts {
        println!("{times:>9}  {what}");
    }
    if played >= MANY {
        let quiet: Vec<&&str> = RARE.iter().filter(|what| !counts.contains_key(**what)).collect();
        assert!(quiet.is_empty(), "never happened: {quiet:?}");
    }
}

/// What goes wrong between a look and the order that follows from it is refused by the MDM, and nothing worse comes of it.
#[test]
fn the_mdm_refuses_what_changed_after_the_look() {
    for (faults, wanted) in [
        (vec![DeviceFails, DeviceReturns, DeviceReturns], "refused: DEGRADED_OR_FAILED_DATA"),
        (vec![RebuildOff, RebuildOn, RebuildOn], "refused: MM_FAILED_REBUILD_DISABLED_ON_SP"),
    ] {
        let found = (1..20_000).find(|seed| {
            let outcome = Play { only: Some(faults.clone()), ..Play::of(*seed, NODES, 600) }.run();
            kept(&outcome, &format!("{seed}, only with {faults:?}"));
            outcome.counts.contains_key(wanted)
        });
        println!("{wanted} by seed {found:?}");
        assert!(found.is_some(), "never {wanted}");
    }
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let trace = |seed| Play::of(seed, 5, 600).run().trace;
    let (first, second) = (trace(7), trace(8));
    assert_eq!((trace(7), trace(8)), (first.clone(), second.clone()));
    assert_ne!(first, second);
}

/// A text that changes says that stories of before are others now: what docs/proof.md tells of ranges that were played
/// counts for the engine and the world that played them.
#[test]
fn stories_are_told_as_they_were_kept() {
    let mut table = String::from("seed trace decisions\n");
    for seed in KNOWN.into_iter().chain(100..116) {
        let outcome = Play::of(seed, NODES, EVENTS).run();
        writeln!(table, "{seed} {} {}", outcome.trace, outcome.decisions).unwrap();
    }
    crate::kept::same("stories.txt", &table);
}
