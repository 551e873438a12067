//! Families of devices.

use std::collections::BTreeMap;

use crate::metrics::derive::{threshold_ratio, window_name};
use crate::metrics::encode::{Labels, Lines};
use crate::metrics::view::View;
use crate::model::cluster::Device;
use crate::model::id::StoragePoolId;
use crate::model::snapshot::Collector;
use crate::model::state::{Seen, Smart};
use crate::model::stats::{Stat, StatKind};

use super::shared::labelled;
use super::{Area, Family, Read, Rule, Sample};

pub(super) fn families() -> Vec<Family> {
    let area = Area::of(Collector::Devices, &["system", "protection_domain", "sds", "storage_pool", "device"]);
    let pool = Area::of(Collector::Devices, &["system", "protection_domain", "storage_pool"]);
    let stats = |samples| Rule::Stats(StatKind::Device, samples);
    vec![
        pool.gauge(
            "scaleio_storage_pool_devices",
            &["state"],
            "Devices of the pool by state; all of them, with series of their own or not.",
            "Device.deviceState",
            Rule::Whole(by_state),
        ),
        pool.gauge(
            "scaleio_storage_pool_devices_with_error",
            &[],
            "Devices of the pool of which the MDM reports an error; all of them, with series of their own or not.",
            "Device.errorState",
            Rule::Whole(with_error),
        ),
        area.gauge(
            "scaleio_device_info",
            &["device_id", "path", "media_type", "vendor", "model", "serial", "firmware"],
            "Facts of the device; always 1.",
            "Device: id, deviceCurrentPathName, mediaType, vendorName, modelName, serialNumber, firmwareVersion",
            Rule::Device(info),
        ),
        area.gauge(
            "scaleio_device_state",
            &["state"],
            "1 for the current state.",
            "Device.deviceState",
            Rule::Device(|device, labels, lines| lines.line(labels).word("state", device.state.word()).is(1.0)),
        ),
        area.gauge(
            "scaleio_device_error",
            &[],
            "1 when the MDM reports an error of the device, or a state unknown here; notices and warnings are none.",
            "Device.errorState",
            Rule::Device(|device, labels, lines| {
                lines.sample(labels, "", Some(f64::from(device.has_failed())));
            }),
        ),
        area.gauge(
            "scaleio_device_smart_failed",
            &["attribute"],
            "1 when the SMART verdict is FailedNow, 0 when it failed in the past (temperature, end_of_life, aggregated); absent when it never failed.",
            "Device.temperatureState, ssdEndOfLifeState, aggregatedState",
            Rule::Device(smart),
        ),
        area.gauge(
            "scaleio_device_capacity_max_bytes",
            &[],
            "Raw size.",
            "Device.maxCapacityInKb",
            Rule::Device(|device, labels, lines| lines.sample(labels, "", device.size.map(|size| size.as_f64()))),
        ),
        area.gauge(
            "scaleio_device_capacity_in_use_bytes",
            &[],
            "Raw size in use.",
            "capacityInUseInKb",
            stats(vec![Sample::plain(Read::Number(Stat::CapacityInUseInKb))]),
        ),
        area.gauge(
            "scaleio_device_latency_seconds",
            &["direction"],
            "Mean latency of the device over the MDM's window; absent when idle.",
            "avgReadLatencyInMicrosec, avgWriteLatencyInMicrosec",
            stats(labelled("direction", &[
                ("read", Read::Positive(Stat::AvgReadLatencyInMicrosec)),
                ("write", Read::Positive(Stat::AvgWriteLatencyInMicrosec)),
            ])),
        ),
        area.gauge(
            "scaleio_device_operations_per_second",
            &["direction"],
            "I/O rate over the MDM's window.",
            "totalReadBwc, totalWriteBwc: numOccured/numSeconds",
            stats(labelled("direction", &[
                ("read", Read::Operations(Stat::TotalReadBwc)),
                ("write", Read::Operations(Stat::TotalWriteBwc)),
            ])),
        ),
        area.gauge(
            "scaleio_device_throughput_bytes_per_second",
            &["direction"],
            "Throughput over the MDM's window.",
            "totalReadBwc, totalWriteBwc: totalWeightInKb*1024/numSeconds",
            stats(labelled("direction", &[
                ("read", Read::Throughput(Stat::TotalReadBwc)),
                ("write", Read::Throughput(Stat::TotalWriteBwc)),
            ])),
        ),
        area.counter(
            "scaleio_device_read_errors_fixed_total",
            &[],
            "Read errors repaired by the background scanner or on access.",
            "fixedReadErrorCount + backgroundScanFixedReadErrorCount",
            stats(vec![Sample::plain(Read::Sum(&[Stat::FixedReadErrorCount, Stat::BackgroundScanFixedReadErrorCount]))]),
        ),
        area.gauge(
            "scaleio_device_long_operations",
            &["window"],
            "Long successful I/Os in the window (short, medium, long) relative to its threshold (ratio).",
            "Device.longSuccessfulIos",
            Rule::Device(long_operations),
        ),
    ]
}

fn by_state(view: &View<'_>, lines: &mut Lines<'_>) {
    let mut counts: BTreeMap<(&StoragePoolId, &str), usize> = BTreeMap::new();
    let Some(devices) = view.snapshot.and_then(|snapshot| snapshot.devices.as_deref()) else { return };
    for device in devices.iter() {
        if let Some(pool) = &device.pool {
            *counts.entry((pool, device.state.word())).or_default() += 1;
        }
    }
    for pool in view.pools() {
        let first = (&pool.object.id, "");
        for ((_, state), count) in counts.range(first..).take_while(|((id, _), _)| *id == &pool.object.id) {
            lines.line(pool.labels).word("state", state).is(*count as f64);
        }
    }
}

fn with_error(view: &View<'_>, lines: &mut Lines<'_>) {
    let mut counts: BTreeMap<&StoragePoolId, usize> = BTreeMap::new();
    let Some(devices) = view.snapshot.and_then(|snapshot| snapshot.devices.as_deref()) else { return };
    for device in devices.iter().filter(|device| device.has_failed()) {
        if let Some(pool) = &device.pool {
            *counts.entry(pool).or_default() += 1;
        }
    }
    for pool in view.pools() {
        lines.sample(pool.labels, "", Some(counts.get(&pool.object.id).copied().unwrap_or(0) as f64));
    }
}

fn info(device: &Device, labels: Labels<'_>, lines: &mut Lines<'_>) {
    lines
        .line(labels)
        .shown("device_id", &device.id)
        .maybe("path", device.path.as_deref())
        .word("media_type", device.media.as_ref().map_or("", |media| media.word()))
        .maybe("vendor", device.vendor.as_deref())
        .maybe("model", device.model.as_deref())
        .maybe("serial", device.serial.as_deref())
        .maybe("firmware", device.firmware.as_deref())
        .is(1.0);
}

fn smart(device: &Device, labels: Labels<'_>, lines: &mut Lines<'_>) {
    for (more, verdict) in [
        (",attribute=\"temperature\"", &device.temperature),
        (",attribute=\"end_of_life\"", &device.end_of_life),
        (",attribute=\"aggregated\"", &device.smart),
    ] {
        let value = match verdict {
            Some(Seen::Is(Smart::FailedNow)) => Some(1.0),
            Some(Seen::Is(Smart::FailedPast)) => Some(0.0),
            Some(Seen::Is(Smart::NeverFailed) | Seen::Other(_)) | None => None,
        };
        lines.sample(labels, more, value);
    }
}

fn long_operations(device: &Device, labels: Labels<'_>, lines: &mut Lines<'_>) {
    for window in device.long_operations.iter().flat_map(|counter| &counter.windows) {
        if let Some(ratio) = threshold_ratio(window) {
            lines.line(labels).label("window", window_name(window.length)).is(ratio);
        }
    }
}
