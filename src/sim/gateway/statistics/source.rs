//! What each statistic means in the world.
//!
//! A name without a meaning here is still answered, as a real idle system
//! would: an empty window, an empty list, `false` or zero.

use std::collections::BTreeMap;

use super::sheet::Sheet;
use crate::sim::release::Release;
use crate::sim::world::{Io, Movement, Moving, Protection};

/// Where the value of a statistic comes from.
#[derive(Clone, Copy)]
pub(super) enum Source {
    Number(fn(&Sheet) -> u64),
    /// Half of a number: what users see of what is stored twice.
    Half(fn(&Sheet) -> u64),
    Window(fn(&Sheet) -> Io),
    /// A window whose weight is microseconds.
    Latency(fn(&Sheet) -> Io),
    Ratio(fn(&Sheet) -> f64),
    Ids(List),
    /// JSON text that never changes.
    Fixed(&'static str),
}

/// A list of ids that belong to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Domains,
    FaultSets,
    Pools,
    Sds,
    SpSds,
    Devices,
    Sdcs,
    Volumes,
    VTrees,
    MappedSdcs,
    Children,
    Descendants,
}

const GRAIN_KB: u64 = 8 << 20;

/// The sources of all names that mean something in a release.
pub(super) fn sources(release: Release) -> BTreeMap<String, Source> {
    let mut all: BTreeMap<String, Source> = BTreeMap::new();
    let mut put = |name: &str, source: Source| {
        all.insert(name.to_owned(), source);
    };
    capacity(release, &mut put);
    protection(&mut put);
    movement(&mut put);
    io(&mut put);
    counts(&mut put);
    // What is named `net…` is half of what its name says without it.
    let net: Vec<(String, Source)> = all
        .iter()
        .filter_map(|(name, source)| match source {
            Source::Number(value) if name.ends_with("InKb") => {
                let mut letters = name.chars();
                let first = letters.next()?.to_ascii_uppercase();
                Some((format!("net{first}{}", letters.as_str()), Source::Half(*value)))
            }
            _ => None,
        })
        .collect();
    all.extend(net);
    all
}

/// The source of a name.
pub(super) fn source(sources: &BTreeMap<String, Source>, name: &str) -> Source {
    if let Some(source) = sources.get(name) {
        return *source;
    }
    if name.ends_with("Bwc") || name.ends_with("Latency") {
        Source::Window(|_| Io::default())
    } else if name.ends_with("Ids") || name == "volumesInDeletion" || name == "registrationKeys" {
        Source::Fixed("[]")
    } else if name.starts_with("is") {
        Source::Fixed("false")
    } else if name.ends_with("Hitrate") || name.ends_with("Progress") || name.ends_with("Percent") {
        Source::Fixed("0.0")
    } else {
        Source::Fixed("0")
    }
}

fn capacity(release: Release, put: &mut impl FnMut(&str, Source)) {
    use Source::{Fixed, Half, Number, Ratio};
    put("maxCapacityInKb", Number(|s| s.limit));
    put("capacityLimitInKb", Number(|s| s.limit));
    put("capacityInUseInKb", Number(|s| s.in_use));
    put("capacityInUseNoOverheadInKb", Number(|s| s.in_use));
    put("unusedCapacityInKb", Number(|s| s.unused));
    put("unreachableUnusedCapacityInKb", Number(|s| s.unreachable));
    put("spareCapacityInKb", Number(|s| s.spare));
    put("snapCapacityInUseInKb", Number(|s| s.snapshots_kb));
    put("snapshotCapacityInKb", Number(|s| s.snapshots_kb));
    put("thinCapacityAllocatedInKb", Number(|s| s.thin_allocated));
    put("thinCapacityAllocatedInKm", Number(|s| s.thin_allocated));
    put("volumeAddressSpaceInKb", Number(|s| s.size));
    put("vtreeAddresSpaceInKb", Number(|s| s.size));
    put("userDataCapacityInKb", Number(|s| s.in_use));
    put("userDataCapacityNoTrimInKb", Number(|s| s.in_use));
    put("maxUserDataCapacityInKb", Number(|s| s.limit - s.spare));
    put("provisionedAddressesInKb", Number(|s| s.in_use));
    put("mgUserDdataCcapacityInKb", Number(|s| s.in_use));
    put("netMgUserDataCapacityInKb", Half(|s| s.in_use));
    put("atRestCapacityInKb", Half(|s| s.in_use));
    put("actualNetCapacityInUseInKb", Half(|s| s.in_use));
    put("baseNetCapacityInUseInKb", Half(|s| s.in_use - s.snapshots_kb));
    put("snapNetCapacityInUseInKb", Half(|s| s.snapshots_kb));
    put("capacityAvailableForVolumeAllocationInKb", Number(|s| s.unused / 2 / GRAIN_KB * GRAIN_KB));
    put("volumeAllocationLimitInKb", Number(|s| (s.limit - s.spare) * 5 / 2 / GRAIN_KB * GRAIN_KB));
    put("totalVolumeAllocationLimitInKb", Number(|s| (s.limit - s.spare) * 5 / 2 / GRAIN_KB * GRAIN_KB));
    if release >= Release::V3_6 {
        // These three are zero since checksums are persistent; another name carries the use.
        put("thinUserDataCapacityInKb", Number(|s| s.in_use));
        put("persistentChecksumBuilderProgress", Fixed("100.0"));
    } else {
        put("thickCapacityInUseInKb", Number(|s| s.thick));
        put("thinCapacityInUseInKb", Number(|s| s.thin));
        put("snapCapacityInUseOccupiedInKb", Number(|s| s.in_use - (s.thick + s.thin).min(s.in_use)));
    }
    put("compressionRatio", Fixed("1.0"));
    put("compressedDataCompressionRatio", Fixed("0.0"));
    put("aggregateCompressionLevel", Fixed("\"Uncompressed\""));
    // A pool without data divides zero by zero and says so.
    put("thinAndSnapshotRatio", Ratio(|s| 2.0 * s.size as f64 / s.in_use as f64));
    put("overallUsageRatio", Ratio(|s| 2.0 * s.size as f64 / s.in_use as f64));
    put("rplTotalJournalCap", Fixed("8388608"));
    put("rplUsedJournalCap", Fixed("5120"));
    put("journalCapacityMode", Fixed("\"NORMAL\""));
    put("replicationState", Fixed("\"UnmarkedForReplication\""));
    put("replicationJournalVolume", Fixed("false"));
    put("initiatorSdcId", Fixed("null"));
    put("registrationKey", Fixed("null"));
    put("reservationType", Fixed("\"NotReserved\""));
    put("lagAppliedInMillis", Number(|s| s.lag_ms));
    put("lagPersistentInMillis", Number(|s| s.lag_ms / 2));
    put("lagReceivedInMillis", Number(|s| s.lag_ms / 4));
    put("initialCopyProgress", Fixed("1.0"));
    put("initialCopyNumPairs", Fixed("0"));
}

fn protection(put: &mut impl FnMut(&str, Source)) {
    use Source::{Half, Number};
    put("protectedCapacityInKb", Number(|s| s.protection.protected));
    put("degradedHealthyCapacityInKb", Number(|s| s.protection.degraded_healthy));
    put("degradedFailedCapacityInKb", Number(|s| s.protection.degraded_failed));
    put("failedCapacityInKb", Number(|s| s.protection.failed));
    put("inMaintenanceCapacityInKb", Number(|s| s.protection.in_maintenance));
    put("inUseVacInKb", Number(|s| Protection::sum(&s.protection)));
    put("primaryVacInKb", Half(|s| s.protection.sum()));
    put("secondaryVacInKb", Number(|s| s.protection.sum() - s.protection.sum() / 2));
    put("protectedVacInKb", Number(|s| s.protection.protected));
    put("degradedHealthyVacInKb", Number(|s| s.protection.degraded_healthy));
    put("degradedFailedVacInKb", Number(|s| s.protection.degraded_failed));
    put("failedVacInKb", Number(|s| s.protection.failed));
    put("inMaintenanceVacInKb", Number(|s| s.protection.in_maintenance));
}

fn movement(put: &mut impl FnMut(&str, Source)) {
    use Source::{Number, Window};
    fn all(moving: &Moving, part: fn(&Movement) -> u64) -> u64 {
        moving.each().into_iter().map(part).sum()
    }
    put("movingCapacityInKb", Number(|s| all(&s.moving, |m| m.left_kb)));
    put("activeMovingCapacityInKb", Number(|s| all(&s.moving, |m| m.active_kb)));
    put("pendingMovingCapacityInKb", Number(|s| all(&s.moving, Movement::pending_kb)));
    put("fwdRebuildCapacityInKb", Number(|s| s.moving.forward.left_kb));
    put("activeFwdRebuildCapacityInKb", Number(|s| s.moving.forward.active_kb));
    put("pendingFwdRebuildCapacityInKb", Number(|s| s.moving.forward.pending_kb()));
    put("bckRebuildCapacityInKb", Number(|s| s.moving.backward.left_kb));
    put("activeBckRebuildCapacityInKb", Number(|s| s.moving.backward.active_kb));
    put("pendingBckRebuildCapacityInKb", Number(|s| s.moving.backward.pending_kb()));
    put("normRebuildCapacityInKb", Number(|s| s.moving.normal.left_kb));
    put("activeNormRebuildCapacityInKb", Number(|s| s.moving.normal.active_kb));
    put("pendingNormRebuildCapacityInKb", Number(|s| s.moving.normal.pending_kb()));
    put("enterProtectedMaintenanceModeCapacityInKb", Number(|s| s.moving.enter.left_kb));
    put("activeEnterProtectedMaintenanceModeCapacityInKb", Number(|s| s.moving.enter.active_kb));
    put("pendingEnterProtectedMaintenanceModeCapacityInKb", Number(|s| s.moving.enter.pending_kb()));
    put("exitProtectedMaintenanceModeCapacityInKb", Number(|s| s.moving.exit.left_kb));
    put("activeExitProtectedMaintenanceModeCapacityInKb", Number(|s| s.moving.exit.active_kb));
    put("pendingExitProtectedMaintenanceModeCapacityInKb", Number(|s| s.moving.exit.pending_kb()));
    put("rmPendingAllocatedInKb", Number(|s| s.removing));
    put("tempCapacityInKb", Number(|s| s.temporary));
    put("tempCapacityVacInKb", Number(|s| s.temporary));
    put("normRebuildReadBwc", Window(|s| s.moved_out.normal.window));
    put("normRebuildWriteBwc", Window(|s| s.moved_in.normal.window));
    put("enterProtectedMaintenanceModeReadBwc", Window(|s| s.moved_out.enter.window));
    put("enterProtectedMaintenanceModeWriteBwc", Window(|s| s.moved_in.enter.window));
    put("exitProtectedMaintenanceModeReadBwc", Window(|s| s.moved_out.exit.window));
    put("exitProtectedMaintenanceModeWriteBwc", Window(|s| s.moved_in.exit.window));
    put("rebalanceCapacityInKb", Number(|s| s.moving.rebalance.left_kb));
    put("activeRebalanceCapacityInKb", Number(|s| s.moving.rebalance.active_kb));
    put("pendingRebalanceCapacityInKb", Number(|s| s.moving.rebalance.pending_kb()));
    put("fwdRebuildReadBwc", Window(|s| s.moved_out.forward.window));
    put("fwdRebuildWriteBwc", Window(|s| s.moved_in.forward.window));
    put("bckRebuildReadBwc", Window(|s| s.moved_out.backward.window));
    put("bckRebuildWriteBwc", Window(|s| s.moved_in.backward.window));
    put("rebalanceReadBwc", Window(|s| s.moved_out.rebalance.window));
    put("rebalanceWriteBwc", Window(|s| s.moved_in.rebalance.window));
    fn jobs(movement: &Movement, devices: u64) -> u64 {
        if movement.window.ops > 0 { devices } else { 0 }
    }
    put("activeMovingInFwdRebuildJobs", Number(|s| jobs(&s.moved_in.forward, s.devices)));
    put("activeMovingOutFwdRebuildJobs", Number(|s| jobs(&s.moved_out.forward, s.devices)));
    put("activeMovingInBckRebuildJobs", Number(|s| jobs(&s.moved_in.backward, s.devices)));
    put("activeMovingOutBckRebuildJobs", Number(|s| jobs(&s.moved_out.backward, s.devices)));
    put("activeMovingInRebalanceJobs", Number(|s| jobs(&s.moved_in.rebalance, s.devices)));
    put("activeMovingRebalanceJobs", Number(|s| jobs(&s.moved_in.rebalance, s.devices)));
}

fn io(put: &mut impl FnMut(&str, Source)) {
    use Source::{Latency, Number, Window};
    fn with(mut io: Io, moving: &Moving) -> Io {
        for movement in moving.each() {
            io += movement.window;
        }
        io
    }
    fn mean(total: u64, count: u64) -> u64 {
        total.checked_div(count).unwrap_or(0)
    }
    put("userDataReadBwc", Window(|s| s.traffic.read));
    put("userDataWriteBwc", Window(|s| s.traffic.write));
    put("userDataTrimBwc", Window(|s| s.traffic.trim));
    put("userDataSdcReadLatency", Latency(|s| s.traffic.read));
    put("userDataSdcWriteLatency", Latency(|s| s.traffic.write));
    put("userDataSdcTrimLatency", Latency(|s| s.traffic.trim));
    put("totalReadBwc", Window(|s| with(s.reads, &s.moved_out)));
    put("totalWriteBwc", Window(|s| with(s.writes, &s.moved_in)));
    put("primaryReadBwc", Window(|s| s.reads));
    put("primaryReadFromDevBwc", Window(|s| s.reads));
    put("primaryWriteBwc", Window(|s| s.writes.part(1, 2)));
    put("secondaryWriteBwc", Window(|s| s.writes.part(1, 2)));
    // A disk is faster than what a client sees of it over the network.
    put("avgReadLatencyInMicrosec", Number(|s| mean(s.reads.micros, s.reads.ops) / 2));
    put("avgWriteLatencyInMicrosec", Number(|s| mean(s.writes.micros, s.writes.ops) / 4));
    put("avgReadSizeInBytes", Number(|s| mean(s.reads.kb * 1024, s.reads.ops)));
    put("avgWriteSizeInBytes", Number(|s| mean(s.writes.kb * 1024, s.writes.ops)));
}

fn counts(put: &mut impl FnMut(&str, Source)) {
    use Source::{Fixed, Ids, Number};
    put("numOfProtectionDomains", Number(|s| s.domains));
    put("numOfFaultSets", Number(|s| s.fault_sets));
    put("numOfStoragePools", Number(|s| s.pools));
    put("numOfSds", Number(|s| s.sds));
    put("numOfDevices", Number(|s| s.devices));
    put("numOfSdc", Number(|s| s.sdcs));
    put("numOfSdr", Number(|s| s.sdrs));
    put("numOfVolumes", Number(|s| s.volumes));
    put("numOfSnapshots", Number(|s| s.snapshots));
    put("numOfVtrees", Number(|s| s.vtrees));
    put("numOfUnmappedVolumes", Number(|s| s.unmapped));
    put("numOfThickBaseVolumes", Number(|s| s.thick_volumes));
    put("numOfThinBaseVolumes", Number(|s| s.thin_volumes));
    put("numOfMappedSdcs", Number(|s| s.mapped_sdcs));
    put("numOfMappedVolumes", Number(|s| s.mapped_volumes));
    put("numOfChildVolumes", Number(|s| s.children));
    put("numOfDescendantVolumes", Number(|s| s.descendants));
    put("numSdsReconnections", Number(|s| s.reconnections));
    put("numSdSdcDisconnections", Number(|s| s.disconnections));
    put("numDevErrors", Number(|s| s.device_errors));
    put("numOfRplPairs", Number(|s| s.pairs));
    put("numOfRplCgs", Number(|s| s.groups));
    put("rmcacheSizeInKb", Fixed("131072"));
    put("protectionDomainIds", Ids(List::Domains));
    put("faultSetIds", Ids(List::FaultSets));
    put("storagePoolIds", Ids(List::Pools));
    put("sdsIds", Ids(List::Sds));
    put("spSdsIds", Ids(List::SpSds));
    put("deviceIds", Ids(List::Devices));
    put("sdcIds", Ids(List::Sdcs));
    put("volumeIds", Ids(List::Volumes));
    put("vtreeIds", Ids(List::VTrees));
    put("mappedSdcIds", Ids(List::MappedSdcs));
    put("childVolumeIds", Ids(List::Children));
    put("descendantVolumeIds", Ids(List::Descendants));
}
