//! Families of volumes, snapshots among them, and of snapshot policies.

use std::collections::BTreeMap;

use crate::metrics::encode::{Labels, Lines};
use crate::metrics::view::View;
use crate::model::cluster::Volume;
use crate::model::id::StoragePoolId;
use crate::model::snapshot::Collector;
use crate::model::state::{PolicyState, Seen, VolumeType};
use crate::model::stats::{Stat, StatKind};

use super::shared::labelled;
use super::system::seconds;
use super::{Area, Family, Read, Rule, Sample};

pub(super) fn families() -> Vec<Family> {
    let area = Area::of(Collector::Volumes, &["system", "protection_domain", "storage_pool", "volume"]);
    let policy = Area::of(Collector::SnapshotPolicies, &["system", "policy"]);
    let pool = Area::of(Collector::Volumes, &["system", "protection_domain", "storage_pool"]);
    let stats = |samples| Rule::Stats(StatKind::Volume, samples);
    vec![
        pool.gauge(
            "scaleio_storage_pool_volumes",
            &["mapped"],
            "Volumes and snapshots of the pool by whether any client has them mapped; all of them, with series of their own or not.",
            "Volume.mappedSdcInfo, mappingToAllSdcsEnabled",
            Rule::Whole(by_mapping),
        ),
        area.gauge(
            "scaleio_volume_info",
            &["volume_id", "type", "thin", "vtree_id"],
            "Facts of the volume; always 1.",
            "Volume: id, volumeType, vtreeId",
            Rule::Volume(info),
        ),
        area.gauge(
            "scaleio_volume_size_bytes",
            &[],
            "Provisioned size, net.",
            "Volume.sizeInKb",
            Rule::Volume(|volume, labels, lines| lines.sample(labels, "", volume.size.map(|size| size.as_f64()))),
        ),
        area.gauge(
            "scaleio_volume_mapped_sdcs",
            &[],
            "SDCs the volume is mapped to.",
            "numOfMappedSdcs",
            stats(vec![Sample::plain(Read::Number(Stat::NumOfMappedSdcs))]),
        ),
        area.gauge(
            "scaleio_volume_operations_per_second",
            &["direction"],
            "I/O rate over the MDM's window (read, write; trim only while there is any).",
            "userData{Read,Write,Trim}Bwc: numOccured/numSeconds",
            stats(labelled(
                "direction",
                &[
                    ("read", Read::Operations(Stat::UserDataReadBwc)),
                    ("write", Read::Operations(Stat::UserDataWriteBwc)),
                    ("trim", Read::SomeOperations(Stat::UserDataTrimBwc)),
                ],
            )),
        ),
        area.gauge(
            "scaleio_volume_throughput_bytes_per_second",
            &["direction"],
            "Throughput over the MDM's window (read, write; trim only while there is any).",
            "userData{Read,Write,Trim}Bwc: totalWeightInKb*1024/numSeconds",
            stats(labelled(
                "direction",
                &[
                    ("read", Read::Throughput(Stat::UserDataReadBwc)),
                    ("write", Read::Throughput(Stat::UserDataWriteBwc)),
                    ("trim", Read::SomeThroughput(Stat::UserDataTrimBwc)),
                ],
            )),
        ),
        area.gauge(
            "scaleio_volume_latency_seconds",
            &["direction"],
            "Mean latency over the MDM's window; absent when idle.",
            "userDataSdc{Read,Write,Trim}Latency: totalWeightInKb/numOccured/1e6",
            stats(labelled(
                "direction",
                &[
                    ("read", Read::Latency(Stat::UserDataSdcReadLatency)),
                    ("write", Read::Latency(Stat::UserDataSdcWriteLatency)),
                    ("trim", Read::Latency(Stat::UserDataSdcTrimLatency)),
                ],
            )),
        ),
        area.gauge(
            "scaleio_volume_limit_operations_per_second",
            &["sdc"],
            "QoS limit of the volume at one SDC; absent when unlimited.",
            "Volume.mappedSdcInfo.limitIops",
            Rule::Whole(limits),
        ),
        policy.gauge(
            "scaleio_snapshot_policy_last_success_timestamp_seconds",
            &[],
            "Last snapshot taken by the policy; absent before the first.",
            "SnapshotPolicy.timeOfLastAutoSnapshot",
            Rule::Whole(|view, lines| {
                for policy in view.policies() {
                    lines.sample(policy.labels, "", policy.object.last_snapshot.map(seconds));
                }
            }),
        ),
        policy.gauge(
            "scaleio_snapshot_policy_interval_seconds",
            &[],
            "Cadence of the policy.",
            "SnapshotPolicy.autoSnapshotCreationCadenceInMin",
            Rule::Whole(|view, lines| {
                for policy in view.policies() {
                    lines.sample(policy.labels, "", policy.object.interval_minutes.map(|minutes| minutes * 60.0));
                }
            }),
        ),
        policy.gauge(
            "scaleio_snapshot_policy_paused",
            &[],
            "1 when paused.",
            "SnapshotPolicy.snapshotPolicyState",
            Rule::Whole(|view, lines| {
                for policy in view.policies() {
                    lines.sample(policy.labels, "", Some(f64::from(policy.object.state.is(PolicyState::Paused))));
                }
            }),
        ),
    ]
}

fn by_mapping(view: &View<'_>, lines: &mut Lines<'_>) {
    let mut counts: BTreeMap<&StoragePoolId, [usize; 2]> = BTreeMap::new();
    let Some(volumes) = view.snapshot.and_then(|snapshot| snapshot.volumes.as_deref()) else { return };
    for volume in volumes.iter() {
        if let Some(pool) = &volume.pool {
            let mapped = volume.mapped_to_all || !volume.mappings.is_empty();
            counts.entry(pool).or_default()[usize::from(mapped)] += 1;
        }
    }
    for pool in view.pools() {
        let [unmapped, mapped] = counts.get(&pool.object.id).copied().unwrap_or_default();
        lines.sample(pool.labels, ",mapped=\"true\"", Some(mapped as f64));
        lines.sample(pool.labels, ",mapped=\"false\"", Some(unmapped as f64));
    }
}

fn info(volume: &Volume, labels: Labels<'_>, lines: &mut Lines<'_>) {
    let thin = match &volume.kind {
        Seen::Is(VolumeType::Thick) => "false",
        Seen::Is(VolumeType::Thin | VolumeType::Snapshot | VolumeType::ThinClone) => "true",
        Seen::Other(_) => "",
    };
    let line = lines.line(labels).shown("volume_id", &volume.id).word("type", volume.kind.word()).label("thin", thin);
    match &volume.vtree {
        Some(vtree) => line.shown("vtree_id", vtree),
        None => line.label("vtree_id", ""),
    }
    .is(1.0);
}

fn limits(view: &View<'_>, lines: &mut Lines<'_>) {
    for volume in view.volumes() {
        for mapping in &volume.object.mappings {
            let Some(limit) = mapping.limit_iops.filter(|limit| limit.is_finite()) else { continue };
            let line = lines.line(volume.labels);
            match view.names.sdcs.name(&mapping.sdc) {
                Some(name) => line.label("sdc", name),
                None => line.shown("sdc", &mapping.sdc),
            }
            .is(limit);
        }
    }
}
