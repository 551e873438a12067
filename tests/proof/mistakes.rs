//! Is each mistake that the engine could make noticed by the promises that are held against the truth?

use std::fmt::Write as _;

use scaleio_framework::proof::fault::Fault::{
    self, AgentSilent, AlertFires, BrokenPackage, Cancel, Crash, DrainEnds, DrainStuck, ForeignEnter, ForeignExit,
    GatewayDeaf, Loss, MdmFailover, MdmFails, MdmReturns, ModuleMissing, OldKernel, Pause, RebuildOff, Resume,
    SdsFails, SdsReturns, SlowHost,
};
use scaleio_framework::proof::simulate::Play;
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

/// The promise that is broken first in this story, if any is.
fn noticed_by(mistake: &str, faults: &[Fault], seed: u64) -> Option<String> {
    make_mistake(Some(mistake));
    let play =
        if seed.is_multiple_of(2) { only(seed, faults) } else { Play { nodes: 5, events: 1500, ..only(seed, faults) } };
    let outcome = play.run();
    make_mistake(None);
    // `2026-01-01 00:00:00 UTC I5: ..`
    outcome.violations.first()?.split(" UTC ").last()?.split(':').next().map(str::to_owned)
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
        let stories = if covered || second.is_some() { 24 } else { 1000 };
        let promise = (1..=stories).find_map(|seed| noticed_by(mistake, faults, seed));
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
