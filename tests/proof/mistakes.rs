//! Is each mistake that the engine could make noticed by the promises that are held against the truth?

use std::fmt::Write as _;

use scaleio_framework::proof::fault::Fault::{
    self, AgentSilent, AlertFires, BrokenPackage, Cancel, Crash, DrainEnds, DrainStuck, ForeignEnter, ForeignExit,
    GatewayDeaf, Loss, MdmFailover, MdmFails, MdmReturns, ModuleMissing, Pause, RebuildOff, Resume, SdsFails,
    SdsReturns, SlowHost,
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
    ("observe old", &[Loss, GatewayDeaf, Crash]),
    ("observe settle", &[Loss, Crash]),
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

#[test]
fn each_mistake_is_noticed() {
    let mut table = String::from(
        "Mistakes that the engine is told to make, and the promise that notices each first.\n\
         `by the gate's own situations`: other gates or the MDM itself still prevent the harm, so that only\n\
         gate.txt notices it.\n\n",
    );
    let mut unnoticed = Vec::new();
    for (mistake, faults) in MISTAKES {
        let promise = (1..=24).find_map(|seed| {
            make_mistake(Some(mistake));
            let play =
                if seed % 2 == 0 { only(seed, faults) } else { Play { nodes: 5, events: 1500, ..only(seed, faults) } };
            let outcome = play.run();
            make_mistake(None);
            let first = outcome.violations.first()?.clone();
            // `2026-01-01 00:00:00 UTC I5: ..`
            first.split(" UTC ").last()?.split(':').next().map(str::to_owned)
        });
        let covered = scaleio_framework::model::hold::ReasonKind::ALL.iter().any(|kind| kind.as_str() == *mistake);
        match promise {
            Some(promise) => writeln!(table, "{mistake:<22} {promise}").unwrap(),
            None if covered => writeln!(table, "{mistake:<22} by the gate's own situations").unwrap(),
            None => unnoticed.push(*mistake),
        }
    }
    println!("{table}");
    assert!(unnoticed.is_empty(), "nobody notices {unnoticed:?}");
    crate::kept::same("mistakes.txt", &table);
}
