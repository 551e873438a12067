//! Families of storage pools, with the latency histogram of their volumes.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::metrics::derive::{DIRECTIONS, LATENCY_BOUNDS, data_copies};
use crate::metrics::encode::{Lines, bound};
use crate::metrics::view::View;
use crate::model::id::StoragePoolId;
use crate::model::snapshot::Collector;
use crate::model::state::{DataLayout, VolumeType};
use crate::model::stats::{Stat, StatKind};
use crate::model::unit::Timestamp;

use super::shared::{self, labelled, own_use, write_used_by};
use super::system::seconds;
use super::{Area, Family, Read, Rule, Sample, Type};

pub(super) fn families() -> Vec<Family> {
    let area = Area::of(Collector::StoragePools, &["system", "protection_domain", "storage_pool"]);
    let stats = |samples| Rule::Stats(StatKind::StoragePool, samples);
    let mut all = vec![
        area.gauge(
            "scaleio_storage_pool_info",
            &["storage_pool_id", "media_type", "layout", "zero_padding", "checksum"],
            "Facts of the pool; always 1.",
            "StoragePool: id, mediaType, dataLayout, zeroPaddingEnabled, checksumEnabled",
            Rule::Whole(info),
        ),
        area.gauge(
            "scaleio_storage_pool_capacity_alert_ratio",
            &["level"],
            "Configured capacity alert thresholds (high, critical) as ratios.",
            "StoragePool.capacityAlertHighThreshold, capacityAlertCriticalThreshold",
            Rule::Whole(alert_ratio),
        ),
        area.gauge(
            "scaleio_storage_pool_data_copies",
            &[],
            "Copies kept of each block (2 for mirroring); raw = net times this.",
            "StoragePool.dataLayout",
            Rule::Whole(|view, lines| {
                for pool in view.pools() {
                    lines.sample(pool.labels, "", data_copies(pool.object));
                }
            }),
        ),
        area.gauge(
            "scaleio_storage_pool_provisioned_bytes",
            &[],
            "Net size of all volumes of the pool.",
            "volumeAddressSpaceInKb, or else the sum of Volume.sizeInKb",
            Rule::Whole(provisioned),
        ),
        area.family(
            Type::Histogram,
            "scaleio_storage_pool_io_latency_seconds",
            &["direction"],
            "Latency of user I/O: one observation for each I/O in the windows that were polled, at its volume's mean of the window. 11 bounds, 0.25 ms to 1 s.",
            "Volume userDataSdc{Read,Write,Trim}Latency, weighted by I/O",
            Rule::Whole(latency),
        ),
        area.counter(
            "scaleio_storage_pool_scanned_bytes_total",
            &[],
            "Bytes scanned by the background scanner.",
            "BackgroundScannedInMB",
            stats(vec![Sample::plain(Read::Number(Stat::BackgroundScannedInMB))]),
        ),
        area.counter(
            "scaleio_storage_pool_scan_errors_total",
            &["kind"],
            "Findings of the background scanner (read, read_fixed, compare, compare_fixed).",
            "backgroundScan{ReadError,FixedReadError,CompareError,FixedCompareError}Count",
            stats(labelled("kind", &[
                ("read", Read::Number(Stat::BackgroundScanReadErrorCount)),
                ("read_fixed", Read::Number(Stat::BackgroundScanFixedReadErrorCount)),
                ("compare", Read::Number(Stat::BackgroundScanCompareErrorCount)),
                ("compare_fixed", Read::Number(Stat::BackgroundScanFixedCompareErrorCount)),
            ])),
        ),
        area.gauge(
            "scaleio_storage_pool_compression_ratio",
            &[],
            "Data reduction ratio; only for fine-granularity pools.",
            "compressionRatio",
            Rule::Whole(compression),
        ),
        area.gauge(
            "scaleio_storage_pool_objects",
            &["kind"],
            "Objects in the pool (volume, snapshot, device, vtree).",
            "numOfVolumes, numOfSnapshots, numOfDevices, numOfVtrees",
            stats(labelled("kind", &[
                ("volume", Read::Number(Stat::NumOfVolumes)),
                ("snapshot", Read::Number(Stat::NumOfSnapshots)),
                ("device", Read::Number(Stat::NumOfDevices)),
                ("vtree", Read::Number(Stat::NumOfVtrees)),
            ])),
        ),
        area.gauge(
            "scaleio_storage_pool_oldest_snapshot_timestamp_seconds",
            &[],
            "Creation of the oldest snapshot; absent without snapshots.",
            "Volume.creationTime of volumes of type Snapshot",
            Rule::Whole(oldest_snapshot),
        ),
        area.gauge(
            "scaleio_replication_journal_used_bytes",
            &[],
            "Raw capacity of the replication journal in use.",
            "rplUsedJournalCap",
            stats(vec![Sample::plain(Read::Number(Stat::RplUsedJournalCap))]),
        ),
        area.gauge(
            "scaleio_replication_journal_max_bytes",
            &[],
            "Raw capacity reserved for the replication journal.",
            "rplTotalJournalCap",
            stats(vec![Sample::plain(Read::Number(Stat::RplTotalJournalCap))]),
        ),
        shared::used_by_family("storage_pool", area, Rule::Whole(|view, lines| {
            for pool in view.pools() {
                write_used_by(own_use(pool.row), pool.labels, lines);
            }
        })),
    ];
    all.extend(shared::families("storage_pool", StatKind::StoragePool, area));
    all
}

/// `true`, `false`, or empty when a generation does not say.
pub(super) const fn yes_no(value: Option<bool>) -> &'static str {
    match value {
        Some(true) => "true",
        Some(false) => "false",
        None => "",
    }
}

fn info(view: &View<'_>, lines: &mut Lines<'_>) {
    for pool in view.pools() {
        lines
            .line(pool.labels)
            .shown("storage_pool_id", &pool.object.id)
            .word("media_type", pool.object.media.as_ref().map_or("", |media| media.word()))
            .word("layout", pool.object.layout.as_ref().map_or("", |layout| layout.word()))
            .label("zero_padding", yes_no(pool.object.zero_padding))
            .label("checksum", yes_no(pool.object.checksum))
            .is(1.0);
    }
}

fn alert_ratio(view: &View<'_>, lines: &mut Lines<'_>) {
    for pool in view.pools() {
        lines.sample(pool.labels, ",level=\"high\"", pool.object.capacity_alert_high.map(|ratio| ratio.get()));
        lines.sample(pool.labels, ",level=\"critical\"", pool.object.capacity_alert_critical.map(|ratio| ratio.get()));
    }
}

fn provisioned(view: &View<'_>, lines: &mut Lines<'_>) {
    let mut sums: Option<BTreeMap<&StoragePoolId, f64>> = None;
    for pool in view.pools() {
        let told = pool.row.and_then(|row| row.number(Stat::VolumeAddressSpaceInKb));
        let value = told.or_else(|| {
            let volumes = view.snapshot?.volumes.as_ref()?;
            let sums = sums.get_or_insert_with(|| {
                let mut sums = BTreeMap::new();
                for volume in volumes.iter() {
                    if let Some(pool) = &volume.pool {
                        *sums.entry(pool).or_default() += volume.size.map_or(0.0, |size| size.as_f64());
                    }
                }
                sums
            });
            Some(sums.get(&pool.object.id).copied().unwrap_or(0.0))
        });
        lines.sample(pool.labels, "", value);
    }
}

fn compression(view: &View<'_>, lines: &mut Lines<'_>) {
    for pool in view.pools() {
        let fine = pool.object.layout.as_ref().is_some_and(|layout| layout.is(DataLayout::FineGranularity));
        let ratio = pool.row.filter(|_| fine).and_then(|row| row.number(Stat::CompressionRatio));
        lines.sample(pool.labels, "", ratio);
    }
}

fn oldest_snapshot(view: &View<'_>, lines: &mut Lines<'_>) {
    let mut oldest: BTreeMap<&StoragePoolId, Timestamp> = BTreeMap::new();
    // All snapshots, also those whose own series a limit withholds.
    let volumes = view.snapshot.and_then(|snapshot| snapshot.volumes.as_deref());
    for volume in volumes.into_iter().flat_map(|table| table.iter()) {
        if let (true, Some(pool), Some(created)) = (volume.kind.is(VolumeType::Snapshot), &volume.pool, volume.created)
        {
            let entry = oldest.entry(pool).or_insert(created);
            *entry = created.min(*entry);
        }
    }
    for pool in view.pools() {
        lines.sample(pool.labels, "", oldest.get(&pool.object.id).copied().map(seconds));
    }
}

fn latency(view: &View<'_>, lines: &mut Lines<'_>) {
    static BOUNDS: LazyLock<Vec<String>> =
        LazyLock::new(|| LATENCY_BOUNDS.iter().copied().chain([f64::INFINITY]).map(bound).collect());
    for pool in view.pools() {
        let Some(histograms) = view.latencies.of(&pool.object.id) else { continue };
        for (histogram, (direction, _)) in histograms.iter().zip(DIRECTIONS) {
            let total: f64 = histogram.counts.iter().sum();
            if direction == "trim" && total == 0.0 {
                continue;
            }
            let mut below = 0.0;
            for (count, le) in histogram.counts.iter().zip(BOUNDS.iter()) {
                below += count;
                lines.line_of(pool.labels, "_bucket").label("direction", direction).label("le", le).is(below);
            }
            lines.line_of(pool.labels, "_sum").label("direction", direction).is(histogram.sum);
            lines.line_of(pool.labels, "_count").label("direction", direction).is(total);
        }
    }
}
