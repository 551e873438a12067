//! Families of a whole system.

use chrono::Duration;

use crate::metrics::encode::Lines;
use crate::metrics::view::View;
use crate::model::cluster::NetworkPath;
use crate::model::snapshot::Collector;
use crate::model::state::Connectivity;
use crate::model::stats::{Stat, StatKind};
use crate::model::unit::Timestamp;

use super::shared::{self, labelled, own_use, write_used_by};
use super::{Area, Family, Read, Rule, Sample};

pub(super) fn families() -> Vec<Family> {
    let area = Area::of(Collector::System, &["system"]);
    let stats = |samples| Rule::Stats(StatKind::System, samples);
    let mut all = vec![
        area.gauge(
            "scaleio_system_info",
            &["system_id", "name", "version", "performance_profile", "install_id"],
            "Facts of the system; always 1.",
            "System: id, name, systemVersionName, perfProfile, installId",
            Rule::Whole(info),
        ),
        area.gauge(
            "scaleio_system_upgrade_state",
            &["state"],
            "1 for the upgrade state the MDM reports.",
            "System.upgradeState",
            Rule::Whole(upgrade_state),
        ),
        area.gauge(
            "scaleio_system_objects",
            &["kind"],
            "Objects of each kind (protection_domain, storage_pool, fault_set, sds, device, sdc, sdr, volume, snapshot, vtree).",
            "numOfProtectionDomains, numOfStoragePools, numOfFaultSets, numOfSds, numOfDevices, numOfSdc, numOfSdr, numOfVolumes, numOfSnapshots, numOfVtrees",
            stats(labelled("kind", &[
                ("protection_domain", Read::Number(Stat::NumOfProtectionDomains)),
                ("storage_pool", Read::Number(Stat::NumOfStoragePools)),
                ("fault_set", Read::Number(Stat::NumOfFaultSets)),
                ("sds", Read::Number(Stat::NumOfSds)),
                ("device", Read::Number(Stat::NumOfDevices)),
                ("sdc", Read::Number(Stat::NumOfSdc)),
                ("sdr", Read::Number(Stat::NumOfSdr)),
                ("volume", Read::Number(Stat::NumOfVolumes)),
                ("snapshot", Read::Number(Stat::NumOfSnapshots)),
                ("vtree", Read::Number(Stat::NumOfVtrees)),
            ])),
        ),
        area.gauge(
            "scaleio_system_volumes",
            &["state"],
            "Volumes by state (unmapped, mapped_to_all, thick, thin, in_deletion).",
            "numOfUnmappedVolumes, numOfMappedToAllVolumes, numOfThickBaseVolumes, numOfThinBaseVolumes, numOfVolumesInDeletion",
            stats(labelled("state", &[
                ("unmapped", Read::Number(Stat::NumOfUnmappedVolumes)),
                ("mapped_to_all", Read::Number(Stat::NumOfMappedToAllVolumes)),
                ("thick", Read::Number(Stat::NumOfThickBaseVolumes)),
                ("thin", Read::Number(Stat::NumOfThinBaseVolumes)),
                ("in_deletion", Read::Number(Stat::NumOfVolumesInDeletion)),
            ])),
        ),
        area.gauge(
            "scaleio_system_capacity_license_limit_bytes",
            &[],
            "Licensed raw capacity; absent when unlimited.",
            "System.maxCapacityInGb",
            Rule::Whole(license_limit),
        ),
        area.gauge(
            "scaleio_system_license_expiry_timestamp_seconds",
            &[],
            "When the capacity licence runs out; absent when it does not.",
            "System.capacityTimeLeftInDays + time of the answer",
            Rule::Whole(license_expiry),
        ),
        area.counter(
            "scaleio_system_disconnections_total",
            &["link"],
            "Disconnections counted by the MDM (sds_sdc, sds_sdr, sdr_sdc), and reconnections of SDSs (sds_reconnect).",
            "numSdSdcDisconnections, numSdsSdrDisconnections, numSdrSdcDisconnections, numSdsReconnections",
            stats(labelled("link", &[
                ("sds_sdc", Read::Number(Stat::NumSdSdcDisconnections)),
                ("sds_sdr", Read::Number(Stat::NumSdsSdrDisconnections)),
                ("sdr_sdc", Read::Number(Stat::NumSdrSdcDisconnections)),
                ("sds_reconnect", Read::Number(Stat::NumSdsReconnections)),
            ])),
        ),
        area.counter(
            "scaleio_system_device_errors_total",
            &[],
            "Device errors counted by the MDM.",
            "numDevErrors",
            stats(vec![Sample::plain(Read::Number(Stat::NumDevErrors))]),
        ),
        area.gauge(
            "scaleio_system_oscillation_counters_exceeded",
            &[],
            "Oscillating-failure counters over their window threshold.",
            "numOscillationCountersPassedThreshold",
            stats(vec![Sample::plain(Read::Number(Stat::NumOscillationCountersPassedThreshold))]),
        ),
        area.gauge(
            "scaleio_system_connectivity_ok",
            &["path"],
            "1 when all clients reach all servers (sdc_sds, sdr_sds, sdc_sdr, sdt_sds).",
            "System.sdcSdsConnectivityInfo and siblings: clientServerConnectivityStatus (2.6: sdcSdsConnectivityStatus)",
            Rule::Whole(connectivity),
        ),
        shared::used_by_family("system", area, Rule::Whole(used_by)),
    ];
    all.extend(shared::families("system", StatKind::System, area));
    all
}

fn info(view: &View<'_>, lines: &mut Lines<'_>) {
    let Some(array) = view.snapshot.and_then(|snapshot| snapshot.array.as_ref()) else { return };
    lines
        .line(view.system())
        .shown("system_id", &array.id)
        .maybe("name", array.name.as_deref())
        .label("version", array.version.as_str())
        .maybe("performance_profile", array.performance_profile.as_deref())
        .maybe("install_id", array.install_id.as_deref())
        .is(1.0);
}

fn upgrade_state(view: &View<'_>, lines: &mut Lines<'_>) {
    if let Some(state) = view.snapshot.and_then(|snapshot| snapshot.array.as_ref()?.upgrade_state.as_ref()) {
        lines.line(view.system()).word("state", state.word()).is(1.0);
    }
}

fn license_limit(view: &View<'_>, lines: &mut Lines<'_>) {
    let limit = view.snapshot.and_then(|snapshot| snapshot.array.as_ref()?.licensed_capacity);
    lines.sample(view.system(), "", limit.map(|limit| limit.as_f64()));
}

fn license_expiry(view: &View<'_>, lines: &mut Lines<'_>) {
    let expiry = view.snapshot.and_then(|snapshot| {
        let array = snapshot.array.as_ref()?;
        let left = Duration::try_milliseconds((array.license_days_left? * 86_400_000.0) as i64)?;
        array.taken_at.checked_add_signed(left)
    });
    lines.sample(view.system(), "", expiry.map(seconds));
}

fn connectivity(view: &View<'_>, lines: &mut Lines<'_>) {
    let Some(array) = view.snapshot.and_then(|snapshot| snapshot.array.as_ref()) else { return };
    for path in &array.connectivity {
        let name = match path.path {
            NetworkPath::SdcToSds => "sdc_sds",
            NetworkPath::SdrToSds => "sdr_sds",
            NetworkPath::SdcToSdr => "sdc_sdr",
            NetworkPath::SdtToSds => "sdt_sds",
        };
        lines.line(view.system()).label("path", name).is(f64::from(path.state.is(Connectivity::AllConnected)));
    }
}

fn used_by(view: &View<'_>, lines: &mut Lines<'_>) {
    write_used_by(own_use(view.system_row()), view.system(), lines);
}

/// A moment as metrics carry it.
pub(super) fn seconds(at: Timestamp) -> f64 {
    at.timestamp_millis() as f64 / 1000.0
}
