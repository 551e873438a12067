//! Is each mistake that the engine could make noticed by the promises that are held against the truth?

use std::fmt::Write as _;

use scaleio_framework::proof::fault::Fault::{
    self, AgentSilent, AlertFires, BrokenPackage, Cancel, Crash, DrainEnds, DrainStuck, ForeignEnter, ForeignExit,
    GatewayDeaf, Loss, MdmFailover, MdmFails, MdmReturns, ModuleMissing, OldKernel, PackagesBusy, Pause, RebuildOff,
    Resume, SdsFails, SdsReturns, SlowHost,
};
use scaleio_framework::proof::simulate::{Outcome, Play};
use scaleio_framework::work::make_mistake;

use crate::crashes::only;

/// Mistakes in the engine itself, and what must go wrong meanwhile for them to show.
const MISTAKES: &[(&str, &[Fault])] = &[
    ("effect before commit", &[Crash]),
    ("no obligation", &[]),
    ("undo nothing", &[Cancel, BrokenPackage]),
    ("order again at once", &[Loss]),
    ("deadline passes", &[ForeignEnter, ForeignExit, MdmFails, SdsFails, DrainStuck, DrainEnds]),
    ("admit after stop", &[Cancel, Pause, Resume]),
    ("observe old", &[Loss, GatewayDeaf, Crash, Cancel, SdsFails, SdsReturns]),
    ("give up at once", &[SlowHost, Loss, Cancel]),
    ("observe settle", &[Loss, Crash, Cancel]),
    ("restart again", &[OldKernel]),
    ("put back blindly", &[Cancel, MdmFails, MdmReturns, MdmReturns]),
    ("keep what others ended", &[ForeignExit, ForeignExit, SlowHost]),
    // Reasons of the gate: those whose loss the truth shows by itself.
    ("NotDrained", &[]),
    ("VolumesOpen", &[]),
    ("NotInMaintenance", &[]),
    ("HostsController", &[]),
    ("NotStaged", &[]),
    ("MdmOwned", &[]),
    ("OrderOfComponents", &[SdsFails, SdsReturns, Cancel]),
    ("Firing", &[AlertFires]),
    ("InWork", &[]),
    ("Paused", &[Pause, Resume]),
    ("NoModule", &[ModuleMissing]),
    ("Stale", &[GatewayDeaf]),
    ("SdsAway", &[SdsFails, SdsReturns]),
    ("MdmNotNormal", &[MdmFails, MdmReturns, MdmFailover]),
    ("RebuildDisabled", &[RebuildOff]),
    ("MaintenanceForeign", &[ForeignEnter, ForeignExit]),
    ("NodeStale", &[AgentSilent, SlowHost]),
];

/// Mistakes that nothing comes of, since the gate says the same; each of its reasons has a situation in gate.txt.
const SECOND: &[(&str, &str)] = &[("admit after stop", "Cancelled and BudgetSpent")];

/// In how many stories at most a mistake must show.
const MANY: u64 = 1000;

/// A story in which the mistake is made.
fn played(mistake: &str, faults: &[Fault], seed: u64) -> Outcome {
    make_mistake(Some(mistake));
    let play =
        if seed.is_multiple_of(2) { only(seed, faults) } else { Play { nodes: 5, events: 1500, ..only(seed, faults) } };
    let outcome = Play { removes: mistake == "leave unseen", ..play }.run();
    make_mistake(None);
    outcome
}

/// The promises that are broken in it, in order.
fn told(mistake: &str, faults: &[Fault], seed: u64) -> Vec<String> {
    // `2026-01-01 00:00:00 UTC I5: ..`
    let promise = |line: &String| Some(line.split(" UTC ").last()?.split(':').next()?.to_owned());
    played(mistake, faults, seed).violations.iter().filter_map(promise).collect()
}

/// For each promise a mistake that breaks it, and what must go wrong meanwhile. Of I1 the MDM takes care in a world of
/// one pool, of I8 the book and every agent; what breaks L2 breaks I9 or I20 before; I17 is not judged (docs/proof.md).
const PROMISES: &[(&str, &str, &[Fault])] = &[
    ("I2", "RebuildDisabled", &[RebuildOff]),
    ("I3", "put back blindly", &[Cancel, MdmFails, MdmReturns, MdmReturns]),
    ("I4", "hand over unseen", &[]),
    ("I5", "give up at once", &[SlowHost, Loss, Cancel]),
    ("I5", "leave at once", &[PackagesBusy, Cancel, SdsFails, SdsReturns]),
    ("I6", "order again at once", &[Loss]),
    ("I7", "effect before commit", &[Crash]),
    ("I9", "no obligation", &[]),
    ("I10", "tell nobody", &[GatewayDeaf, SdsFails, SlowHost]),
    ("I11", "take what others began", &[ForeignEnter, ForeignExit]),
    ("I12", "InWork", &[]),
    ("I13", "Paused", &[Pause, Resume]),
    ("I14", "take for staged", &[Loss, SlowHost]),
    ("I15", "Firing", &[AlertFires]),
    ("I16", "Stale", &[GatewayDeaf, DrainStuck, DrainEnds, SlowHost]),
    ("I18", "leave unseen", &[]),
    ("I19", "read all but the last", &[Crash]),
    ("I20", "take for installed", &[Loss]),
    ("I21", "plan for the controller", &[]),
    ("L1", "undo nothing", &[Cancel, BrokenPackage]),
    ("L3", "explain nothing", &[MdmFailover]),
];

#[test]
fn each_promise_is_broken_by_a_mistake() {
    let unbroken: Vec<&str> = PROMISES
        .iter()
        .filter(|(promise, mistake, faults)| {
            let breaks = |seed: u64| told(mistake, faults, seed).iter().any(|broken| broken == promise);
            !(1..=MANY).any(breaks)
        })
        .map(|(promise, _, _)| *promise)
        .collect();
    assert!(unbroken.is_empty(), "none of {MANY} stories breaks {unbroken:?}");
}

#[test]
fn each_mistake_is_noticed() {
    let mut table = String::from(
        "Mistakes that the engine is told to make, and the promise that notices each first.\n\
         `by the gate's own situations`: other gates or the MDM itself still prevent the harm, so that only\n\
         gate.txt notices it.\n\n",
    );
    let mut unnoticed = Vec::new();
    for (mistake, faults) in MISTAKES {
        let second = SECOND.iter().find(|(name, _)| name == mistake).map(|(_, gate)| *gate);
        let covered = scaleio_framework::model::hold::ReasonKind::ALL.iter().any(|kind| kind.as_str() == *mistake);
        // Some show in few stories, and must show in one.
        let stories = if covered || second.is_some() { 24 } else { MANY };
        let promise = (1..=stories).find_map(|seed| told(mistake, faults, seed).into_iter().next());
        match promise {
            Some(promise) => writeln!(table, "{mistake:<22} {promise}").unwrap(),
            None if second.is_some() => {
                writeln!(table, "{mistake:<22} a second guard: the gate holds for {}", second.unwrap()).unwrap();
            }
            None if covered => writeln!(table, "{mistake:<22} by the gate's own situations").unwrap(),
            None => unnoticed.push(*mistake),
        }
    }
    println!("{table}");
    assert!(unnoticed.is_empty(), "nobody notices {unnoticed:?}");
    crate::kept::same("mistakes.txt", &table);
}
