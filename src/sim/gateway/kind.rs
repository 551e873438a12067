//! Which types the API knows, since which release, and how they hang together.

use std::collections::BTreeSet;

use crate::sim::release::Release::{self, V2_0, V2_6, V3_0, V3_6, V4_5};
use crate::sim::world::{Device, Id, World};

/// A type of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    System,
    ProtectionDomain,
    FaultSet,
    StoragePool,
    Sds,
    Device,
    Sdc,
    Volume,
    VTree,
    SpSds,
    RfcacheDevice,
    AccelerationPool,
    SnapshotPolicy,
    Sdr,
    PeerMdm,
    ReplicationConsistencyGroup,
    ReplicationPair,
    Sdt,
    Host,
    RemoteSystem,
    User,
    Alert,
}

/// How to reach other objects from one of a type: name, since, until.
type Relation = (&'static str, Release, Option<Release>);

impl Kind {
    pub(super) const ALL: [Self; 22] = [
        Self::System,
        Self::ProtectionDomain,
        Self::FaultSet,
        Self::StoragePool,
        Self::Sds,
        Self::Device,
        Self::Sdc,
        Self::Volume,
        Self::VTree,
        Self::SpSds,
        Self::RfcacheDevice,
        Self::AccelerationPool,
        Self::SnapshotPolicy,
        Self::Sdr,
        Self::PeerMdm,
        Self::ReplicationConsistencyGroup,
        Self::ReplicationPair,
        Self::Sdt,
        Self::Host,
        Self::RemoteSystem,
        Self::User,
        Self::Alert,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::System => "System",
            Self::ProtectionDomain => "ProtectionDomain",
            Self::FaultSet => "FaultSet",
            Self::StoragePool => "StoragePool",
            Self::Sds => "Sds",
            Self::Device => "Device",
            Self::Sdc => "Sdc",
            Self::Volume => "Volume",
            Self::VTree => "VTree",
            Self::SpSds => "SpSds",
            Self::RfcacheDevice => "RfcacheDevice",
            Self::AccelerationPool => "AccelerationPool",
            Self::SnapshotPolicy => "SnapshotPolicy",
            Self::Sdr => "Sdr",
            Self::PeerMdm => "PeerMdm",
            Self::ReplicationConsistencyGroup => "ReplicationConsistencyGroup",
            Self::ReplicationPair => "ReplicationPair",
            Self::Sdt => "Sdt",
            Self::Host => "Host",
            Self::RemoteSystem => "RemoteSystem",
            Self::User => "User",
            Self::Alert => "Alert",
        }
    }

    /// The type of this name, if the release has it.
    pub(super) fn named(name: &str, release: Release) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name && kind.exists(release))
    }

    /// The type of this name, which may also be that of a release long gone.
    pub(super) fn listed(name: &str, release: Release) -> Option<Self> {
        match name {
            "Domain" => Some(Self::ProtectionDomain),
            "Pool" => Some(Self::StoragePool),
            _ => Self::named(name, release),
        }
    }

    pub(super) fn exists(self, release: Release) -> bool {
        match self {
            Self::RfcacheDevice => release < V3_0,
            Self::SpSds | Self::AccelerationPool | Self::SnapshotPolicy => release >= V3_0,
            Self::Sdr | Self::PeerMdm | Self::ReplicationConsistencyGroup | Self::ReplicationPair => release >= V3_6,
            Self::Sdt | Self::Host | Self::RemoteSystem => release >= V4_5,
            Self::Alert => release < V4_5,
            _ => true,
        }
    }

    /// Where `GET /api/instances` lists objects of this type.
    pub(super) const fn list_key(self) -> Option<&'static str> {
        match self {
            Self::ProtectionDomain => Some("protectionDomainList"),
            Self::FaultSet => Some("faultSetList"),
            Self::StoragePool => Some("storagePoolList"),
            Self::Sds => Some("sdsList"),
            Self::Device => Some("deviceList"),
            Self::Sdc => Some("sdcList"),
            Self::Volume => Some("volumeList"),
            Self::VTree => Some("vTreeList"),
            Self::Sdr => Some("sdrList"),
            Self::RfcacheDevice => Some("rfcacheDeviceList"),
            _ => None,
        }
    }

    /// Relations besides the parents, in the order in which `links` shows them.
    pub(super) const fn relations(self) -> &'static [Relation] {
        match self {
            Self::System => &[
                ("Statistics", V2_0, None),
                ("ProtectionDomain", V2_0, None),
                ("Sdc", V2_0, None),
                ("User", V2_0, None),
                ("ScsiInitiator", V2_0, Some(V2_6)),
                ("SnapshotPolicy", V3_0, None),
                ("Sdr", V3_6, None),
                ("PeerMdm", V3_6, None),
                ("Sdt", V4_5, None),
                ("RemoteSystem", V4_5, None),
            ],
            Self::ProtectionDomain => &[
                ("Statistics", V2_0, None),
                ("Sdr", V3_6, None),
                ("AccelerationPool", V3_0, None),
                ("Sdt", V4_5, None),
                ("StoragePool", V2_0, None),
                ("Sds", V2_0, None),
                ("ReplicationConsistencyGroup", V3_6, None),
                ("FaultSet", V2_0, None),
            ],
            Self::Sds => &[
                ("Statistics", V2_0, None),
                ("SpSds", V3_0, None),
                ("Device", V2_0, None),
                ("RfcacheDevice", V2_0, None),
            ],
            Self::StoragePool => &[
                ("Statistics", V2_0, None),
                ("SpSds", V3_0, None),
                ("Volume", V2_0, None),
                ("Device", V2_0, None),
                ("VTree", V2_0, None),
            ],
            Self::FaultSet => &[("Statistics", V2_0, None), ("Sds", V2_0, None)],
            Self::VTree | Self::Sdc => &[("Statistics", V2_0, None), ("Volume", V2_0, None)],
            Self::Host => &[("Volume", V4_5, None), ("NvmeController", V4_5, None)],
            Self::ReplicationConsistencyGroup => &[("Statistics", V3_6, None), ("ReplicationPair", V3_6, None)],
            Self::SpSds => &[("Statistics", V3_0, None), ("Device", V3_0, None)],
            Self::RemoteSystem | Self::User | Self::Alert => &[],
            _ => &[("Statistics", V2_0, None)],
        }
    }

    /// Whether a relation exists in a release.
    pub(super) fn has_relation(self, relation: &str, release: Release) -> bool {
        self.relations().iter().any(|(name, since, until)| {
            *name == relation && release >= *since && until.is_none_or(|until| release <= until)
        })
    }

    /// Ids of all objects of the type.
    pub(super) fn ids(self, world: &World) -> Vec<Id> {
        match self {
            Self::System => vec![world.system.id],
            Self::ProtectionDomain => world.domains.keys().copied().collect(),
            Self::FaultSet => world.fault_sets.keys().copied().collect(),
            Self::StoragePool => world.pools.keys().copied().collect(),
            Self::Sds => world.sds.keys().copied().collect(),
            Self::Device => world.devices.keys().copied().collect(),
            // A 4.x system lists NVMe hosts among its clients too.
            Self::Sdc => world.sdcs.keys().chain(world.hosts.keys()).copied().collect(),
            Self::Volume => world.volumes.keys().copied().collect(),
            Self::VTree => world.vtrees.keys().copied().collect(),
            Self::SnapshotPolicy => world.policies.keys().copied().collect(),
            Self::Sdr => world.sdrs.keys().copied().collect(),
            Self::PeerMdm => world.peers.keys().copied().collect(),
            Self::ReplicationConsistencyGroup => world.groups.keys().copied().collect(),
            Self::ReplicationPair => world.pairs.keys().copied().collect(),
            Self::Sdt => world.sdts.keys().copied().collect(),
            Self::Host => world.hosts.keys().chain(world.sdcs.keys()).copied().collect(),
            Self::AccelerationPool => world.acceleration_pools.keys().copied().collect(),
            Self::RemoteSystem => world.remote_systems.keys().copied().collect(),
            Self::User => world.users.keys().copied().collect(),
            Self::SpSds => sp_sds(world, |_| true),
            // Nobody in the simulated system uses the first, and alerts are no objects of the world.
            Self::RfcacheDevice | Self::Alert => Vec::new(),
        }
    }

    /// Whether an object of this type has that id.
    pub(super) fn contains(self, world: &World, id: Id) -> bool {
        match self {
            Self::System => world.system.id == id,
            Self::ProtectionDomain => world.domains.contains_key(&id),
            Self::FaultSet => world.fault_sets.contains_key(&id),
            Self::StoragePool => world.pools.contains_key(&id),
            Self::Sds => world.sds.contains_key(&id),
            Self::Device => world.devices.contains_key(&id),
            Self::Sdc | Self::Host => world.sdcs.contains_key(&id) || world.hosts.contains_key(&id),
            Self::Volume => world.volumes.contains_key(&id),
            Self::VTree => world.vtrees.contains_key(&id),
            Self::SnapshotPolicy => world.policies.contains_key(&id),
            Self::Sdr => world.sdrs.contains_key(&id),
            Self::PeerMdm => world.peers.contains_key(&id),
            Self::ReplicationConsistencyGroup => world.groups.contains_key(&id),
            Self::ReplicationPair => world.pairs.contains_key(&id),
            Self::Sdt => world.sdts.contains_key(&id),
            Self::AccelerationPool => world.acceleration_pools.contains_key(&id),
            Self::RemoteSystem => world.remote_systems.contains_key(&id),
            Self::User => world.users.contains_key(&id),
            Self::SpSds => world.devices.values().any(|device| device.sp_sds() == id),
            Self::RfcacheDevice | Self::Alert => false,
        }
    }

    /// The name of an object, for `queryIdByKey`.
    pub(super) fn id_named(self, world: &World, name: &str) -> Option<Id> {
        let found = |is: bool, id: Id| is.then_some(id);
        match self {
            Self::System => found(world.system.name == name, world.system.id),
            Self::ProtectionDomain => world.domains.values().find_map(|at| found(at.name == name, at.id)),
            Self::FaultSet => world.fault_sets.values().find_map(|at| found(at.name == name, at.id)),
            Self::StoragePool => world.pools.values().find_map(|at| found(at.name == name, at.id)),
            Self::Sds => world.sds.values().find_map(|at| found(at.name == name, at.id)),
            Self::Device => world.devices.values().find_map(|at| found(at.name == name, at.id)),
            Self::Sdc => world.sdcs.values().find_map(|at| found(at.name.as_deref() == Some(name), at.id)),
            Self::Volume => world.volumes.values().find_map(|at| found(at.name == name, at.id)),
            Self::AccelerationPool => world.acceleration_pools.values().find_map(|at| found(at.name == name, at.id)),
            Self::SnapshotPolicy => world.policies.values().find_map(|at| found(at.name == name, at.id)),
            Self::Sdr => world.sdrs.values().find_map(|at| found(at.name == name, at.id)),
            Self::PeerMdm => world.peers.values().find_map(|at| found(at.name == name, at.id)),
            Self::ReplicationConsistencyGroup => world.groups.values().find_map(|at| found(at.name == name, at.id)),
            Self::ReplicationPair => world.pairs.values().find_map(|at| found(at.name == name, at.id)),
            Self::Sdt => world.sdts.values().find_map(|at| found(at.name == name, at.id)),
            Self::Host => world.hosts.values().find_map(|at| found(at.name == name, at.id)),
            Self::RemoteSystem => world.remote_systems.values().find_map(|at| found(at.name == name, at.id)),
            Self::User => world.users.values().find_map(|at| found(at.name == name, at.id)),
            _ => None,
        }
    }
}

/// What the devices that are meant have in common, each once.
fn sp_sds(world: &World, meant: impl Fn(&Device) -> bool) -> Vec<Id> {
    let all: BTreeSet<Id> = world.devices.values().filter(|device| meant(device)).map(Device::sp_sds).collect();
    all.into_iter().collect()
}

/// The objects of one type that belong to an object of another.
pub(super) fn related(world: &World, of: Kind, id: Id, kind: Kind) -> Vec<Id> {
    let pool_in = |pool: Id| match of {
        Kind::System => true,
        Kind::ProtectionDomain => world.pools.get(&pool).is_some_and(|pool| pool.domain == id),
        _ => pool == id,
    };
    let domain_in = |domain: Id| of == Kind::System || domain == id;
    match kind {
        Kind::ProtectionDomain if of == Kind::System => Kind::ProtectionDomain.ids(world),
        Kind::StoragePool => world.pools.values().filter(|at| domain_in(at.domain)).map(|at| at.id).collect(),
        Kind::FaultSet => world.fault_sets.values().filter(|at| domain_in(at.domain)).map(|at| at.id).collect(),
        Kind::Sds => world
            .sds
            .values()
            .filter(|at| if of == Kind::FaultSet { at.fault_set == Some(id) } else { domain_in(at.domain) })
            .map(|at| at.id)
            .collect(),
        Kind::Device => world
            .devices
            .values()
            .filter(|at| match of {
                Kind::Sds => at.sds == id,
                Kind::SpSds => at.sp_sds() == id,
                Kind::FaultSet => world.sds.get(&at.sds).is_some_and(|sds| sds.fault_set == Some(id)),
                _ => pool_in(at.pool),
            })
            .map(|at| at.id)
            .collect(),
        Kind::Volume => match of {
            Kind::Sdc | Kind::Host => {
                let sdc = world.sdcs.get(&id).map(|sdc| &sdc.mapped);
                sdc.or_else(|| world.hosts.get(&id).map(|host| &host.mapped)).cloned().unwrap_or_default()
            }
            Kind::VTree => world.volumes.values().filter(|at| at.vtree == id).map(|at| at.id).collect(),
            _ => world.volumes.values().filter(|at| pool_in(at.pool)).map(|at| at.id).collect(),
        },
        Kind::VTree => world.vtrees.values().filter(|at| pool_in(at.pool)).map(|at| at.id).collect(),
        Kind::SpSds if of == Kind::Sds => sp_sds(world, |at| at.sds == id),
        Kind::SpSds => sp_sds(world, |at| pool_in(at.pool)),
        Kind::AccelerationPool => {
            world.acceleration_pools.values().filter(|at| domain_in(at.domain)).map(|at| at.id).collect()
        }
        Kind::Sdr => world.sdrs.values().filter(|at| domain_in(at.domain)).map(|at| at.id).collect(),
        Kind::Sdt => world.sdts.values().filter(|at| domain_in(at.domain)).map(|at| at.id).collect(),
        Kind::ReplicationConsistencyGroup => {
            world.groups.values().filter(|at| domain_in(at.domain)).map(|at| at.id).collect()
        }
        Kind::ReplicationPair => world.pairs.values().filter(|at| at.group == id).map(|at| at.id).collect(),
        kind if of == Kind::System => kind.ids(world),
        _ => Vec::new(),
    }
}
