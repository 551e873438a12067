//! Which statistics a type has in a release.
//!
//! The lists hold what captures of 2.0, 2.6, 3.5, 3.6 and 4.5 and the 4.5.5
//! description name. Types that no capture of a release shows have what later
//! releases have of the names that release knew.

use std::collections::BTreeSet;

use super::{since_2, since_3};
use crate::sim::gateway::kind::Kind;
use crate::sim::release::Release;

/// A set of types.
type Kinds = u32;

pub(super) const SYSTEM: Kinds = 1 << Kind::System as u32;
pub(super) const DOMAIN: Kinds = 1 << Kind::ProtectionDomain as u32;
pub(super) const FAULT_SET: Kinds = 1 << Kind::FaultSet as u32;
pub(super) const POOL: Kinds = 1 << Kind::StoragePool as u32;
pub(super) const SDS: Kinds = 1 << Kind::Sds as u32;
pub(super) const DEVICE: Kinds = 1 << Kind::Device as u32;
pub(super) const SDC: Kinds = 1 << Kind::Sdc as u32;
pub(super) const VOLUME: Kinds = 1 << Kind::Volume as u32;
pub(super) const VTREE: Kinds = 1 << Kind::VTree as u32;
pub(super) const SP_SDS: Kinds = 1 << Kind::SpSds as u32;
pub(super) const RFCACHE: Kinds = 1 << Kind::RfcacheDevice as u32;
pub(super) const ACCELERATION: Kinds = 1 << Kind::AccelerationPool as u32;
pub(super) const POLICY: Kinds = 1 << Kind::SnapshotPolicy as u32;
pub(super) const SDR: Kinds = 1 << Kind::Sdr as u32;
pub(super) const PEER: Kinds = 1 << Kind::PeerMdm as u32;
pub(super) const GROUP: Kinds = 1 << Kind::ReplicationConsistencyGroup as u32;
pub(super) const PAIR: Kinds = 1 << Kind::ReplicationPair as u32;
pub(super) const SDT: Kinds = 1 << Kind::Sdt as u32;

/// Names that the same types have in the same releases.
#[derive(Debug)]
pub(super) struct Group {
    since: Release,
    until: Option<Release>,
    kinds: Kinds,
    names: &'static str,
}

pub(super) const fn group(since: Release, until: Option<Release>, kinds: Kinds, names: &'static str) -> Group {
    Group { since, until, kinds, names }
}

/// The names of a type in a release, sorted.
pub(super) fn names(kind: Kind, release: Release) -> BTreeSet<&'static str> {
    since_2::NAMES
        .iter()
        .chain(since_3::NAMES)
        .filter(|group| group.kinds & (1 << kind as u32) != 0)
        .filter(|group| release >= group.since && group.until.is_none_or(|until| release <= until))
        .flat_map(|group| group.names.split_whitespace())
        .collect()
}
