//! Families of storage data clients.

use crate::metrics::derive::threshold_ratio;
use crate::metrics::encode::{Labels, Lines};
use crate::metrics::view::View;
use crate::model::cluster::Sdc;
use crate::model::snapshot::Collector;
use crate::model::state::Connection;
use crate::model::stats::{Stat, StatKind};

use super::pool::yes_no;
use super::sds::counter_name;
use super::shared::labelled;
use super::{Area, Family, Read, Rule, Sample};

pub(super) fn families() -> Vec<Family> {
    let area = Area::of(Collector::Sdcs, &["system", "sdc"]);
    let system = Area::of(Collector::Sdcs, &["system"]);
    let stats = |samples| Rule::Stats(StatKind::Sdc, samples);
    vec![
        system.gauge(
            "scaleio_system_sdcs",
            &["connected"],
            "SDCs by whether they are connected to the MDM, NVMe hosts left out; all of them, with series of their own or not.",
            "Sdc.mdmConnectionState",
            Rule::Whole(by_connection),
        ),
        area.gauge(
            "scaleio_sdc_info",
            &["sdc_id", "address", "version", "os", "approved", "host_type"],
            "Facts of the SDC; always 1. Its name falls back to the address, then the id (SDCs often have none).",
            "Sdc: id, sdcIp, versionInfo, osType, sdcApproved, hostType",
            Rule::Sdc(info),
        ),
        area.gauge(
            "scaleio_sdc_mdm_connected",
            &[],
            "1 when connected to the MDM; absent for NVMe hosts.",
            "Sdc.mdmConnectionState",
            Rule::Sdc(|sdc, labels, lines| {
                let connected = sdc.connection.as_ref().map(|state| f64::from(state.is(Connection::Connected)));
                lines.sample(labels, "", connected);
            }),
        ),
        area.counter(
            "scaleio_sdc_disconnections_total",
            &[],
            "Transitions to disconnected that were seen, kept over restarts.",
            "derived",
            Rule::Whole(|view, lines| {
                for sdc in view.sdcs() {
                    let noted = view.picture.observed.sdcs.get(lines.text(&sdc.object.id));
                    lines.sample(sdc.labels, "", noted.map(|noted| noted.disconnections as f64));
                }
            }),
        ),
        area.gauge(
            "scaleio_sdc_mapped_volumes",
            &[],
            "Volumes mapped.",
            "numOfMappedVolumes",
            stats(vec![Sample::plain(Read::Number(Stat::NumOfMappedVolumes))]),
        ),
        area.gauge(
            "scaleio_sdc_operations_per_second",
            &["direction"],
            "I/O rate over the MDM's window (read, write, trim).",
            "userData{Read,Write,Trim}Bwc: numOccured/numSeconds",
            stats(labelled("direction", &[
                ("read", Read::Operations(Stat::UserDataReadBwc)),
                ("write", Read::Operations(Stat::UserDataWriteBwc)),
                ("trim", Read::Operations(Stat::UserDataTrimBwc)),
            ])),
        ),
        area.gauge(
            "scaleio_sdc_throughput_bytes_per_second",
            &["direction"],
            "Throughput over the MDM's window (read, write, trim).",
            "userData{Read,Write,Trim}Bwc: totalWeightInKb*1024/numSeconds",
            stats(labelled("direction", &[
                ("read", Read::Throughput(Stat::UserDataReadBwc)),
                ("write", Read::Throughput(Stat::UserDataWriteBwc)),
                ("trim", Read::Throughput(Stat::UserDataTrimBwc)),
            ])),
        ),
        area.gauge(
            "scaleio_sdc_latency_seconds",
            &["direction"],
            "Mean latency over the MDM's window; absent when idle.",
            "userDataSdc{Read,Write,Trim}Latency: totalWeightInKb/numOccured/1e6",
            stats(labelled("direction", &[
                ("read", Read::Latency(Stat::UserDataSdcReadLatency)),
                ("write", Read::Latency(Stat::UserDataSdcWriteLatency)),
                ("trim", Read::Latency(Stat::UserDataSdcTrimLatency)),
            ])),
        ),
        area.gauge(
            "scaleio_sdc_oscillating_failures",
            &["counter"],
            "Worst window of each counter relative to its threshold (ratio): mdm_network, sds_network, memory, socket, long_operations.",
            "Sdc.memoryAllocationFailure, socketAllocationFailure; System action querySdcOscillatingNetworkCounters",
            Rule::Sdc(oscillating),
        ),
    ]
}

fn by_connection(view: &View<'_>, lines: &mut Lines<'_>) {
    let Some(sdcs) = view.snapshot.and_then(|snapshot| snapshot.sdcs.as_deref()) else { return };
    let mut counts = [0usize; 2];
    for connection in sdcs.iter().filter_map(|sdc| sdc.connection.as_ref()) {
        counts[usize::from(connection.is(Connection::Connected))] += 1;
    }
    lines.sample(view.system(), ",connected=\"true\"", Some(counts[1] as f64));
    lines.sample(view.system(), ",connected=\"false\"", Some(counts[0] as f64));
}

fn info(sdc: &Sdc, labels: Labels<'_>, lines: &mut Lines<'_>) {
    lines
        .line(labels)
        .shown("sdc_id", &sdc.id)
        .maybe("address", sdc.addresses.first().map(|address| &**address))
        .maybe("version", sdc.version.as_ref().map(|version| version.as_str()))
        .word("os", sdc.os.as_deref().unwrap_or(""))
        .label("approved", yes_no(sdc.approved))
        .word("host_type", sdc.host_type.as_ref().map_or("", |host| host.word()))
        .is(1.0);
}

fn oscillating(sdc: &Sdc, labels: Labels<'_>, lines: &mut Lines<'_>) {
    for counter in &sdc.oscillating {
        let worst = counter.windows.iter().filter_map(threshold_ratio).reduce(f64::max);
        if let Some(worst) = worst {
            lines.line(labels).label("counter", counter_name(counter.counter)).is(worst);
        }
    }
}
