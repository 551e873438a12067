//! Volumes, volume trees and snapshot policies.

use super::{Answer, ParseError, epoch, id, kib, needed, state, table, text, word};
use crate::gateway::wire::data as wire;
use crate::model::cluster::{Mapping, SnapshotPolicy, VTree, Volume};
use crate::model::id::{SdcId, SnapshotPolicyId, StoragePoolId, VTreeId, VolumeId};
use crate::model::snapshot::Table;
use crate::model::unit::Bytes;

/// Reads `types/Volume/instances`.
pub fn volumes(body: &[u8]) -> Result<Answer<Table<Volume>>, ParseError> {
    table(&text(body), "Volume", |wire: wire::Volume<'_>, odd| {
        let mut mappings = Vec::with_capacity(wire.mappings.len());
        for mapping in wire.mappings {
            let Some(sdc) = id(&mapping.sdc, SdcId::new) else {
                odd.malformed += 1;
                continue;
            };
            mappings.push(Mapping {
                sdc,
                // The gateway writes 0 for "no limit".
                limit_iops: mapping.limit_iops.filter(|limit| *limit > 0.0),
                limit_bandwidth: mapping.limit_mib.filter(|limit| *limit > 0.0).map(mib),
                access_mode: word(mapping.access_mode),
            });
        }
        Some(Volume {
            id: id(&wire.id, VolumeId::new)?,
            name: word(wire.name),
            kind: needed(&wire.kind, odd),
            size: kib(wire.size_kib),
            pool: id(&wire.pool, StoragePoolId::new),
            vtree: id(&wire.vtree, VTreeId::new),
            ancestor: id(&wire.ancestor, VolumeId::new),
            created: epoch(wire.created),
            mapped_to_all: wire.mapped_to_all.unwrap_or(false),
            mappings,
        })
    })
}

/// `limitBwInMbps` counts MiB per second.
fn mib(limit: f64) -> Bytes {
    Bytes::new((limit * 1_048_576.0) as u64)
}

/// Reads `types/VTree/instances`.
pub fn vtrees(body: &[u8]) -> Result<Answer<Table<VTree>>, ParseError> {
    table(&text(body), "VTree", |wire: wire::VTree<'_>, odd| {
        Some(VTree {
            id: id(&wire.id, VTreeId::new)?,
            name: word(wire.name),
            base_volume: id(&wire.base_volume, VolumeId::new),
            pool: id(&wire.pool, StoragePoolId::new),
            migration: wire.migration.and_then(|migration| state(&migration.status, odd)),
            in_deletion: wire.in_deletion.unwrap_or(false),
        })
    })
}

/// Reads `types/SnapshotPolicy/instances`.
pub fn policies(body: &[u8]) -> Result<Answer<Table<SnapshotPolicy>>, ParseError> {
    table(&text(body), "SnapshotPolicy", |wire: wire::SnapshotPolicy<'_>, odd| {
        Some(SnapshotPolicy {
            id: id(&wire.id, SnapshotPolicyId::new)?,
            name: word(wire.name),
            state: needed(&wire.state, odd),
            interval_minutes: wire.interval_minutes,
            last_snapshot: epoch(wire.last_snapshot),
            last_failure: epoch(wire.last_failure),
            // NR: no reason.
            last_failure_reason: word(wire.last_failure_reason).filter(|reason| &**reason != "NR"),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_as_numbers_or_text_and_absurd_ones_are_absent() {
        let body = br#"[{"id":"1","sizeInKb":8388608,"creationTime":"1600000000"},
            {"id":"2","sizeInKb":"16777216","creationTime":0},
            {"id":"3","sizeInKb":9223372036854775808},{"id":"4","sizeInKb":-1},{"id":"5","sizeInKb":{"a":1}},
            {"id":"6","sizeInKb":1e30},{"id":"7","sizeInKb":5000000000}]"#;
        let answer = volumes(body).unwrap();
        let sizes: Vec<Option<u64>> = answer.value.iter().map(|volume| volume.size.map(Bytes::get)).collect();
        let gib = 1u64 << 30;
        assert_eq!(sizes, [Some(8 * gib), Some(16 * gib), None, None, None, None, Some(5_000_000_000 * 1024)]);
        assert_eq!(answer.value[0].created.unwrap().timestamp(), 1_600_000_000);
        assert_eq!(answer.value[1].created, None);
        assert_eq!(answer.unknown["Volume"], 4);
    }

    #[test]
    fn a_mapping_without_limits_has_none() {
        let body = br#"[{"id":"1","volumeType":"ThinProvisioned","mappingToAllSdcsEnabled":"TRUE","mappedSdcInfo":[
            {"sdcId":"0a","limitIops":0,"limitBwInMbps":0},{"sdcId":"0b","limitIops":10,"limitBwInMbps":"1"},
            {"sdcIp":"no id"}]}]"#;
        let answer = volumes(body).unwrap();
        let volume = &answer.value[0];
        assert!(volume.mapped_to_all);
        assert_eq!(volume.mappings.len(), 2);
        assert_eq!((volume.mappings[0].limit_iops, volume.mappings[0].limit_bandwidth), (None, None));
        assert_eq!(volume.mappings[1].limit_bandwidth, Some(Bytes::new(1 << 20)));
    }
}
