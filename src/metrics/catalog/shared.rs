//! Families that system, protection domain, storage pool and SDS have alike,
//! each from one declaration. Which of them a kind has follows from the
//! statistics that exist for it.

use crate::metrics::derive::{UsedBy, used_by};
use crate::metrics::encode::{Labels, Lines};
use crate::model::stats::{Stat, StatKind};

use super::{Area, Family, Read, Rule, Sample};

/// All of them for one kind of object, whose names begin with `scaleio_{noun}_`.
pub(super) fn families(noun: &str, kind: StatKind, area: Area) -> Vec<Family> {
    declared()
        .into_iter()
        .filter_map(|(suffix, labels, help, source, samples)| {
            let samples: Vec<Sample> = samples.into_iter().filter(|sample| sample.is_of(kind)).collect();
            (!samples.is_empty()).then(|| {
                area.gauge(format!("scaleio_{noun}_{suffix}"), labels, help, source, Rule::Stats(kind, samples))
            })
        })
        .collect()
}

type Declared = (&'static str, &'static [&'static str], &'static str, &'static str, Vec<Sample>);

fn declared() -> Vec<Declared> {
    let mut all: Vec<Declared> = [
        ("capacity_max_bytes", "Raw capacity.", "maxCapacityInKb", Stat::MaxCapacityInKb),
        (
            "capacity_limit_bytes",
            "Raw capacity usable under the configured limit.",
            "capacityLimitInKb",
            Stat::CapacityLimitInKb,
        ),
        ("capacity_in_use_bytes", "Raw capacity in use, all copies.", "capacityInUseInKb", Stat::CapacityInUseInKb),
        ("capacity_unused_bytes", "Raw capacity unused.", "unusedCapacityInKb", Stat::UnusedCapacityInKb),
        ("capacity_spare_bytes", "Raw capacity reserved as spare.", "spareCapacityInKb", Stat::SpareCapacityInKb),
        (
            "capacity_available_bytes",
            "Net capacity still allocatable to volumes.",
            "capacityAvailableForVolumeAllocationInKb",
            Stat::CapacityAvailableForVolumeAllocationInKb,
        ),
        (
            "capacity_unreachable_unused_bytes",
            "Unused raw capacity on unreachable devices.",
            "unreachableUnusedCapacityInKb",
            Stat::UnreachableUnusedCapacityInKb,
        ),
    ]
    .into_iter()
    .map(|(suffix, help, source, stat)| (suffix, &[][..], help, source, vec![Sample::plain(Read::Number(stat))]))
    .collect();
    all.push((
        "data_bytes",
        &["state"],
        "Raw data by protection state (protected, semi_protected, degraded_healthy, degraded_failed, failed, in_maintenance); the states add up. Of an SDS it is allocated address space: the MDM does not split written data by SDS.",
        "protectedCapacityInKb, semiProtectedCapacityInKb, degradedHealthyCapacityInKb, degradedFailedCapacityInKb, failedCapacityInKb, inMaintenanceCapacityInKb; of an SDS the same of ...VacInKb",
        labelled("state", &[
            ("protected", Read::Number(Stat::ProtectedCapacityInKb)),
            ("semi_protected", Read::Number(Stat::SemiProtectedCapacityInKb)),
            ("degraded_healthy", Read::Number(Stat::DegradedHealthyCapacityInKb)),
            ("degraded_failed", Read::Number(Stat::DegradedFailedCapacityInKb)),
            ("failed", Read::Number(Stat::FailedCapacityInKb)),
            ("in_maintenance", Read::Number(Stat::InMaintenanceCapacityInKb)),
            ("protected", Read::Number(Stat::ProtectedVacInKb)),
            ("semi_protected", Read::Number(Stat::SemiProtectedVacInKb)),
            ("degraded_healthy", Read::Number(Stat::DegradedHealthyVacInKb)),
            ("degraded_failed", Read::Number(Stat::DegradedFailedVacInKb)),
            ("failed", Read::Number(Stat::FailedVacInKb)),
            ("in_maintenance", Read::Number(Stat::InMaintenanceVacInKb)),
        ]),
    ));
    all.push((
        "moving_bytes",
        &["operation", "phase"],
        "Raw data still to be moved, by operation (forward_rebuild, backward_rebuild, normal_rebuild, rebalance, enter_maintenance, exit_maintenance) and phase (pending, active).",
        "pending*/active*{FwdRebuild,BckRebuild,NormRebuild,Rebalance,EnterProtectedMaintenanceMode,ExitProtectedMaintenanceMode}CapacityInKb",
        moving(),
    ));
    all.push((
        "background_bytes_per_second",
        &["operation", "direction"],
        "Bandwidth of background work over the MDM's window (forward_rebuild, backward_rebuild, normal_rebuild, rebalance, migration, enter_maintenance, exit_maintenance).",
        "fwdRebuild*Bwc, bckRebuild*Bwc, normRebuild*Bwc, rebalance*Bwc, volMigration*Bwc, enter/exitProtectedMaintenanceMode*Bwc",
        background(),
    ));
    all.push((
        "background_jobs",
        &["operation", "phase"],
        "Jobs of background work, into and out of the object, by operation and phase (pending, active).",
        "pending/activeMoving{In,Out}*Jobs, pending/activeMovingRebalanceJobs",
        jobs(),
    ));
    let layers = [
        ("user", "read", Stat::UserDataReadBwc),
        ("user", "write", Stat::UserDataWriteBwc),
        ("user", "trim", Stat::UserDataTrimBwc),
        ("primary", "read", Stat::PrimaryReadBwc),
        ("primary", "write", Stat::PrimaryWriteBwc),
        ("secondary", "read", Stat::SecondaryReadBwc),
        ("secondary", "write", Stat::SecondaryWriteBwc),
        ("total", "read", Stat::TotalReadBwc),
        ("total", "write", Stat::TotalWriteBwc),
    ];
    let by_layer = |read: fn(Stat) -> Read| {
        layers
            .iter()
            .map(|(layer, direction, stat)| Sample::with(&[("layer", layer), ("direction", direction)], read(*stat)))
            .collect()
    };
    all.push((
        "operations_per_second",
        &["layer", "direction"],
        "I/O rate over the MDM's window; layer user (as SDCs see it), primary and secondary (copies on an SDS), or total (device side, all copies).",
        "userData*Bwc, primary*Bwc, secondary*Bwc, total*Bwc: numOccured/numSeconds",
        by_layer(Read::Operations),
    ));
    all.push((
        "throughput_bytes_per_second",
        &["layer", "direction"],
        "Throughput over the MDM's window, by the layers of the I/O rate.",
        "userData*Bwc, primary*Bwc, secondary*Bwc, total*Bwc: totalWeightInKb*1024/numSeconds",
        by_layer(Read::Throughput),
    ));
    all.push((
        "latency_seconds",
        &["direction"],
        "Mean latency seen by SDCs over the MDM's window; absent when idle.",
        "userDataSdc{Read,Write,Trim}Latency: totalWeightInKb/numOccured/1e6",
        labelled(
            "direction",
            &[
                ("read", Read::Latency(Stat::UserDataSdcReadLatency)),
                ("write", Read::Latency(Stat::UserDataSdcWriteLatency)),
                ("trim", Read::Latency(Stat::UserDataSdcTrimLatency)),
            ],
        ),
    ));
    all
}

/// Series that differ in the value of one label.
pub(super) fn labelled(label: &str, values: &[(&str, Read)]) -> Vec<Sample> {
    values.iter().map(|(value, read)| Sample::with(&[(label, value)], *read)).collect()
}

fn moving() -> Vec<Sample> {
    use Stat::*;
    [
        ("forward_rebuild", PendingFwdRebuildCapacityInKb, ActiveFwdRebuildCapacityInKb),
        ("backward_rebuild", PendingBckRebuildCapacityInKb, ActiveBckRebuildCapacityInKb),
        ("normal_rebuild", PendingNormRebuildCapacityInKb, ActiveNormRebuildCapacityInKb),
        ("rebalance", PendingRebalanceCapacityInKb, ActiveRebalanceCapacityInKb),
        (
            "enter_maintenance",
            PendingEnterProtectedMaintenanceModeCapacityInKb,
            ActiveEnterProtectedMaintenanceModeCapacityInKb,
        ),
        (
            "exit_maintenance",
            PendingExitProtectedMaintenanceModeCapacityInKb,
            ActiveExitProtectedMaintenanceModeCapacityInKb,
        ),
    ]
    .into_iter()
    .flat_map(|(operation, pending, active)| {
        [("pending", pending), ("active", active)]
            .map(|(phase, stat)| Sample::with(&[("operation", operation), ("phase", phase)], Read::Number(stat)))
    })
    .collect()
}

fn background() -> Vec<Sample> {
    use Stat::*;
    [
        ("forward_rebuild", FwdRebuildReadBwc, FwdRebuildWriteBwc),
        ("backward_rebuild", BckRebuildReadBwc, BckRebuildWriteBwc),
        ("normal_rebuild", NormRebuildReadBwc, NormRebuildWriteBwc),
        ("rebalance", RebalanceReadBwc, RebalanceWriteBwc),
        ("migration", VolMigrationReadBwc, VolMigrationWriteBwc),
        ("enter_maintenance", EnterProtectedMaintenanceModeReadBwc, EnterProtectedMaintenanceModeWriteBwc),
        ("exit_maintenance", ExitProtectedMaintenanceModeReadBwc, ExitProtectedMaintenanceModeWriteBwc),
    ]
    .into_iter()
    .flat_map(|(operation, read, write)| {
        [("read", read), ("write", write)].map(|(direction, stat)| {
            Sample::with(&[("operation", operation), ("direction", direction)], Read::Throughput(stat))
        })
    })
    .collect()
}

fn jobs() -> Vec<Sample> {
    use Stat::*;
    const FORWARD: [&[Stat]; 2] = [
        &[PendingMovingInFwdRebuildJobs, PendingMovingOutFwdRebuildJobs],
        &[ActiveMovingInFwdRebuildJobs, ActiveMovingOutFwdRebuildJobs],
    ];
    const BACKWARD: [&[Stat]; 2] = [
        &[PendingMovingInBckRebuildJobs, PendingMovingOutBckRebuildJobs],
        &[ActiveMovingInBckRebuildJobs, ActiveMovingOutBckRebuildJobs],
    ];
    const NORMAL: [&[Stat]; 2] = [
        &[PendingMovingInNormRebuildJobs, PendingMovingOutNormrebuildJobs],
        &[ActiveMovingInNormRebuildJobs, ActiveMovingOutNormRebuildJobs],
    ];
    const REBALANCE: [&[Stat]; 2] = [&[PendingMovingRebalanceJobs], &[ActiveMovingRebalanceJobs]];
    const ENTER: [&[Stat]; 2] = [
        &[PendingMovingInEnterProtectedMaintenanceModeJobs, PendingMovingOutEnterProtectedMaintenanceModeJobs],
        &[ActiveMovingInEnterProtectedMaintenanceModeJobs, ActiveMovingOutEnterProtectedMaintenanceModeJobs],
    ];
    const EXIT: [&[Stat]; 2] = [
        &[PendingMovingInExitProtectedMaintenanceModeJobs, PendingMovingOutExitProtectedMaintenanceModeJobs],
        &[ActiveMovingInExitProtectedMaintenanceModeJobs, ActiveMovingOutExitProtectedMaintenanceModeJobs],
    ];
    [
        ("forward_rebuild", FORWARD),
        ("backward_rebuild", BACKWARD),
        ("normal_rebuild", NORMAL),
        ("rebalance", REBALANCE),
        ("enter_maintenance", ENTER),
        ("exit_maintenance", EXIT),
    ]
    .into_iter()
    .flat_map(|(operation, [pending, active])| {
        [("pending", pending), ("active", active)]
            .map(|(phase, stats)| Sample::with(&[("operation", operation), ("phase", phase)], Read::Sum(stats)))
    })
    .collect()
}

/// `scaleio_{noun}_capacity_used_by_bytes`, which needs a fallback.
pub(super) fn used_by_family(noun: &str, area: Area, rule: Rule) -> Family {
    area.gauge(
        format!("scaleio_{noun}_capacity_used_by_bytes"),
        &["kind"],
        "Raw capacity in use by kind (thick, thin, snapshot); the kinds add up to the capacity in use, except that releases with persistent checksums (3.6, 4.x) tell user data only, and nothing by SDS.",
        "thickCapacityInUseInKb, thinCapacityInUseInKb, snapCapacityInUseOccupiedInKb; where these are 0 though something is in use thinUserDataCapacityInKb, snapshotCapacityInKb (of a domain: the sum over its pools)",
        rule,
    )
}

/// The lines of one object of that family.
pub(super) fn write_used_by(used: Option<UsedBy>, labels: Labels<'_>, lines: &mut Lines<'_>) {
    let Some(used) = used else { return };
    for (more, value) in
        [(",kind=\"thick\"", used.thick), (",kind=\"thin\"", used.thin), (",kind=\"snapshot\"", used.snapshot)]
    {
        lines.sample(labels, more, Some(value));
    }
}

/// The use of one object from its own statistics.
pub(super) fn own_use(row: Option<crate::model::stats::StatRow<'_>>) -> Option<UsedBy> {
    row.and_then(used_by)
}
