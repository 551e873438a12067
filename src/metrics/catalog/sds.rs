//! Families of storage data servers.

use crate::metrics::derive::{maintenance_type, threshold_ratio, window_name};
use crate::metrics::encode::Lines;
use crate::metrics::view::View;
use crate::model::cluster::FailureCounter;
use crate::model::snapshot::Collector;
use crate::model::state::{Connection, Maintenance};
use crate::model::stats::{Stat, StatKind};

use super::shared::{self, own_use, write_used_by};
use super::system::seconds;
use super::{Area, Family, Read, Rule, Sample};

pub(super) fn families() -> Vec<Family> {
    let area = Area::of(Collector::Sds, &["system", "protection_domain", "sds"]);
    let mut all = vec![
        area.gauge(
            "scaleio_sds_info",
            &["sds_id", "version", "fault_set", "address", "drl_mode"],
            "Facts of the SDS; always 1.",
            "Sds: id, softwareVersionInfo, faultSetId, ipList, drlMode",
            Rule::Whole(info),
        ),
        area.gauge(
            "scaleio_sds_mdm_connected",
            &[],
            "1 when connected to the MDM.",
            "Sds.mdmConnectionState",
            Rule::Whole(|view, lines| {
                for sds in view.sds() {
                    lines.sample(sds.labels, "", Some(f64::from(sds.object.connection.is(Connection::Connected))));
                }
            }),
        ),
        area.gauge(
            "scaleio_sds_state",
            &["state"],
            "1 for the current state (normal, remove_pending).",
            "Sds.sdsState",
            Rule::Whole(|view, lines| {
                for sds in view.sds() {
                    lines.line(sds.labels).word("state", sds.object.state.word()).is(1.0);
                }
            }),
        ),
        area.gauge(
            "scaleio_sds_membership",
            &["state"],
            "1 for the current membership (joined, join_pending, decoupled).",
            "Sds.membershipState",
            Rule::Whole(|view, lines| {
                for sds in view.sds() {
                    lines.line(sds.labels).word("state", sds.object.membership.word()).is(1.0);
                }
            }),
        ),
        area.gauge(
            "scaleio_sds_maintenance",
            &["state", "type"],
            "1 for the current maintenance state and its type (instant, protected; empty where neither the MDM says it nor third copies were seen to be made on the way in); absent outside maintenance.",
            "Sds.maintenanceState, maintenanceType; pending/activeEnterProtectedMaintenanceModeCapacityInKb of its pools",
            Rule::Whole(maintenance),
        ),
        area.gauge(
            "scaleio_sds_maintenance_start_timestamp_seconds",
            &[],
            "When maintenance was first seen, kept over restarts; absent outside maintenance.",
            "derived",
            Rule::Whole(|view, lines| {
                for sds in view.sds() {
                    let noted = view.picture.observed.sds.get(lines.text(&sds.object.id));
                    lines.sample(sds.labels, "", noted.and_then(|noted| noted.maintenance_since).map(seconds));
                }
            }),
        ),
        area.counter(
            "scaleio_sds_restarts_total",
            &[],
            "Restarts of the SDS counted by the MDM.",
            "Sds.numRestarts",
            Rule::Whole(|view, lines| {
                for sds in view.sds() {
                    lines.sample(sds.labels, "", sds.object.restarts.map(|restarts| restarts as f64));
                }
            }),
        ),
        area.counter(
            "scaleio_sds_disconnections_total",
            &[],
            "Transitions to disconnected that were seen, kept over restarts.",
            "derived",
            Rule::Whole(|view, lines| {
                for sds in view.sds() {
                    let noted = view.picture.observed.sds.get(lines.text(&sds.object.id));
                    lines.sample(sds.labels, "", noted.map(|noted| noted.disconnections as f64));
                }
            }),
        ),
        area.gauge(
            "scaleio_sds_oscillating_failures",
            &["counter", "window"],
            "Failures in the window relative to its threshold (ratio), by counter (sds_decoupled, sds_configuration_failure, receive_buffer_allocation) and window (short, medium, long).",
            "Sds.sdsDecoupled, sdsConfigurationFailure, sdsReceiveBufferAllocationFailures",
            Rule::Whole(oscillating),
        ),
        area.gauge(
            "scaleio_sds_rmcache_size_bytes",
            &[],
            "RAM read cache configured.",
            "Sds.rmcacheSizeInKb",
            Rule::Whole(|view, lines| {
                for sds in view.sds() {
                    lines.sample(sds.labels, "", sds.object.rmcache.map(|size| size.as_f64()));
                }
            }),
        ),
        area.gauge(
            "scaleio_sds_rmcache_used_bytes",
            &[],
            "RAM read cache in use.",
            "rmcacheSizeInUseInKb",
            Rule::Stats(StatKind::Sds, vec![Sample::plain(Read::Number(Stat::RmcacheSizeInUseInKb))]),
        ),
        area.gauge(
            "scaleio_sds_certificate_expiry_timestamp_seconds",
            &[],
            "End of validity of the SDS certificate.",
            "Sds.certificateInfo.validTo",
            Rule::Whole(|view, lines| {
                for sds in view.sds() {
                    lines.sample(sds.labels, "", sds.object.certificate_expires.map(seconds));
                }
            }),
        ),
        area.gauge(
            "scaleio_sds_authentication_error",
            &[],
            "1 when the MDM reports an authentication error.",
            "Sds.authenticationError",
            Rule::Whole(|view, lines| {
                for sds in view.sds() {
                    lines.sample(sds.labels, "", Some(f64::from(sds.object.authentication_error.is_some())));
                }
            }),
        ),
        shared::used_by_family("sds", area, Rule::Whole(|view, lines| {
            for sds in view.sds() {
                write_used_by(own_use(sds.row), sds.labels, lines);
            }
        })),
    ];
    all.extend(shared::families("sds", StatKind::Sds, area));
    all
}

/// The name of a failure counter in labels.
pub(super) const fn counter_name(counter: FailureCounter) -> &'static str {
    match counter {
        FailureCounter::SdsDecoupled => "sds_decoupled",
        FailureCounter::SdsConfigurationFailure => "sds_configuration_failure",
        FailureCounter::ReceiveBufferAllocation => "receive_buffer_allocation",
        FailureCounter::LongSuccessfulIo => "long_operations",
        FailureCounter::Memory => "memory",
        FailureCounter::Socket => "socket",
        FailureCounter::MdmNetwork => "mdm_network",
        FailureCounter::SdsNetwork => "sds_network",
    }
}

fn info(view: &View<'_>, lines: &mut Lines<'_>) {
    for sds in view.sds() {
        let line = lines
            .line(sds.labels)
            .shown("sds_id", &sds.object.id)
            .maybe("version", sds.object.version.as_ref().map(|version| version.as_str()));
        let line = match &sds.object.fault_set {
            None => line.label("fault_set", ""),
            Some(id) => match view.names.fault_sets.name(id) {
                Some(name) => line.label("fault_set", name),
                None => line.shown("fault_set", id),
            },
        };
        line.maybe("address", sds.object.addresses.first().map(|address| &*address.ip))
            .word("drl_mode", sds.object.drl_mode.as_deref().unwrap_or(""))
            .is(1.0);
    }
}

fn maintenance(view: &View<'_>, lines: &mut Lines<'_>) {
    for sds in view.sds().filter(|sds| !sds.object.maintenance.is(Maintenance::None)) {
        let noted = view.picture.observed.sds.get(lines.text(&sds.object.id));
        let protected = noted.is_some_and(|noted| noted.protected);
        lines
            .line(sds.labels)
            .word("state", sds.object.maintenance.word())
            .label("type", &maintenance_type(sds.object.maintenance_type.as_deref(), protected))
            .is(1.0);
    }
}

fn oscillating(view: &View<'_>, lines: &mut Lines<'_>) {
    for sds in view.sds() {
        for counter in &sds.object.oscillating {
            for window in &counter.windows {
                if let Some(ratio) = threshold_ratio(window) {
                    lines
                        .line(sds.labels)
                        .label("counter", counter_name(counter.counter))
                        .label("window", window_name(window.length))
                        .is(ratio);
                }
            }
        }
    }
}
