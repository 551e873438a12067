//! Replication: consistency groups, pairs, peers.

use super::nodes::ips;
use super::{Answer, ParseError, id, state, table, text, version, word};
use crate::gateway::wire::replication as wire;
use crate::model::cluster::{ConsistencyGroup, PeerMdm, ReplicationPair};
use crate::model::id::{ConsistencyGroupId, PeerMdmId, ProtectionDomainId, ReplicationPairId, VolumeId};
use crate::model::snapshot::Table;

/// Reads `types/ReplicationConsistencyGroup/instances`.
pub fn groups(body: &[u8]) -> Result<Answer<Table<ConsistencyGroup>>, ParseError> {
    table(&text(body), "ReplicationConsistencyGroup", |wire: wire::ConsistencyGroup<'_>, odd| {
        Some(ConsistencyGroup {
            id: id(&wire.id, ConsistencyGroupId::new)?,
            name: word(wire.name),
            domain: id(&wire.domain, ProtectionDomainId::new),
            peer: id(&wire.peer, PeerMdmId::new),
            direction: word(wire.direction),
            rpo_seconds: wire.rpo_seconds,
            state: state(&wire.state, odd),
            consistency: state(&wire.consistency, odd),
            pause_mode: word(wire.pause_mode),
            freeze_state: word(wire.freeze_state),
            failover_state: word(wire.failover_state),
        })
    })
}

/// Reads `types/ReplicationPair/instances`.
pub fn pairs(body: &[u8]) -> Result<Answer<Table<ReplicationPair>>, ParseError> {
    table(&text(body), "ReplicationPair", |wire: wire::Pair<'_>, odd| {
        Some(ReplicationPair {
            id: id(&wire.id, ReplicationPairId::new)?,
            name: word(wire.name),
            group: id(&wire.group, ConsistencyGroupId::new),
            local_volume: id(&wire.local_volume, VolumeId::new),
            initial_copy: state(&wire.initial_copy, odd),
            lifetime_state: word(wire.lifetime_state),
        })
    })
}

/// Reads `types/PeerMdm/instances`.
pub fn peers(body: &[u8]) -> Result<Answer<Table<PeerMdm>>, ParseError> {
    table(&text(body), "PeerMdm", |wire: wire::Peer<'_>, odd| {
        Some(PeerMdm {
            id: id(&wire.id, PeerMdmId::new)?,
            name: word(wire.name),
            membership: state(&wire.membership, odd),
            addresses: ips(wire.addresses),
            version: version(&wire.version),
        })
    })
}
