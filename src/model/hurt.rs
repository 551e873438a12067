//! Who is hurt when a part of a system is unwell? Volumes that lie on it, the
//! clients that have them mapped, and the workloads that run there.
//!
//! ScaleIO spreads each volume over all devices of its pool, so whatever
//! happens to one device, server or fault set concerns every volume of every
//! pool that has a device there.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::cluster::Volume;
use super::id::{DeviceId, FaultSetId, ProtectionDomainId, SdcId, SdsId, StoragePoolId, VolumeId};
use super::snapshot::{Collector, Keyed, Slot, Snapshot, Table};
use super::workload::Workload;

/// What is unwell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "id")]
#[allow(missing_docs)]
pub enum Suspect {
    ProtectionDomain(ProtectionDomainId),
    FaultSet(FaultSetId),
    StoragePool(StoragePoolId),
    Sds(SdsId),
    Device(DeviceId),
    Volume(VolumeId),
    Sdc(SdcId),
}

/// Why words do not say which thing is meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum NotOne {
    #[error("{kind:?} is no kind of thing that volumes depend on; there is {}", Suspect::KINDS.join(", "))]
    NoSuchKind { kind: Box<str> },
    #[error("there is no {kind} with the id or name {text:?}")]
    NoSuchThing { kind: &'static str, text: Box<str> },
    #[error("more than one {kind} has the name {text:?}; name its id: {}", ids.join(", "))]
    Several { kind: &'static str, text: Box<str>, ids: Vec<String> },
    #[error("nothing is known of {kind} yet")]
    NotKnown { kind: &'static str },
}

/// Who is hurt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hurt {
    /// What it was asked about.
    pub by: Suspect,
    /// Volumes and snapshots that lie on it, by id.
    pub volumes: Vec<HurtVolume>,
    /// Clients that have any of them mapped, by id.
    pub clients: Vec<HurtClient>,
    /// What needs them; absent where no Mesos cluster is configured or its master is not heard.
    pub workloads: Option<Vec<Workload>>,
    /// Why the workloads are not known, where a cluster is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workloads_unknown: Option<Box<str>>,
    /// What was not known, so that there may be more.
    pub unknown: BTreeSet<Collector>,
}

/// A volume that is hurt.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct HurtVolume {
    pub id: VolumeId,
    pub name: Option<Box<str>>,
    pub pool: Option<StoragePoolId>,
    /// Clients that have it mapped.
    pub clients: usize,
}

/// A client that is hurt.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct HurtClient {
    pub id: SdcId,
    pub name: Option<Box<str>>,
    pub address: Option<Box<str>>,
    /// Hurt volumes that it has mapped.
    pub volumes: usize,
}

impl Suspect {
    /// The kinds, as they are asked for.
    pub const KINDS: [&'static str; 7] = ["domain", "fault_set", "pool", "sds", "device", "volume", "sdc"];

    /// Finds a thing by its id, or else by its name.
    pub fn find(snapshot: &Snapshot, kind: &str, text: &str) -> Result<Self, NotOne> {
        Ok(match kind {
            "domain" => Self::ProtectionDomain(one("domain", &snapshot.domains, |o| o.name.as_deref(), text)?),
            "fault_set" => Self::FaultSet(one("fault_set", &snapshot.fault_sets, |o| o.name.as_deref(), text)?),
            "pool" => Self::StoragePool(one("pool", &snapshot.pools, |o| o.name.as_deref(), text)?),
            "sds" => Self::Sds(one("sds", &snapshot.sds, |o| o.name.as_deref(), text)?),
            "device" => {
                Self::Device(one("device", &snapshot.devices, |o| o.name.as_deref().or(o.path.as_deref()), text)?)
            }
            "volume" => Self::Volume(one("volume", &snapshot.volumes, |o| o.name.as_deref(), text)?),
            "sdc" => Self::Sdc(one(
                "sdc",
                &snapshot.sdcs,
                |o| o.name.as_deref().or_else(|| o.addresses.first().map(|address| &**address)),
                text,
            )?),
            other => return Err(NotOne::NoSuchKind { kind: other.into() }),
        })
    }
}

fn one<T: Keyed<Id: Clone + std::fmt::Display>>(
    kind: &'static str,
    objects: &Slot<Table<T>>,
    name: impl Fn(&T) -> Option<&str>,
    text: &str,
) -> Result<T::Id, NotOne> {
    let Some(objects) = objects else { return Err(NotOne::NotKnown { kind }) };
    if let Some(object) = objects.iter().find(|object| object.id().to_string() == text) {
        return Ok(object.id().clone());
    }
    let named: Vec<&T> = objects.iter().filter(|object| name(object) == Some(text)).collect();
    match named[..] {
        [object] => Ok(object.id().clone()),
        [] => Err(NotOne::NoSuchThing { kind, text: text.into() }),
        _ => {
            let ids = named.iter().map(|object| object.id().to_string()).collect();
            Err(NotOne::Several { kind, text: text.into(), ids })
        }
    }
}

/// Who is hurt when this is unwell.
pub fn hurt(snapshot: &Snapshot, by: Suspect) -> Hurt {
    let mut unknown = BTreeSet::new();
    let concerns = concerned(snapshot, &by, &mut unknown);
    let mut volumes = Vec::new();
    let mut clients: BTreeMap<SdcId, usize> = BTreeMap::new();
    for volume in known(&snapshot.volumes, Collector::Volumes, &mut unknown).iter().filter(|volume| concerns(volume)) {
        let mapped = mapped_to(volume, snapshot, &mut unknown);
        volumes.push(HurtVolume {
            id: volume.id.clone(),
            name: volume.name.clone(),
            pool: volume.pool.clone(),
            clients: mapped.len(),
        });
        for client in mapped {
            *clients.entry(client.clone()).or_default() += 1;
        }
    }
    if let Suspect::Sdc(only) = &by {
        // Others that share its volumes are well.
        clients.retain(|client, _| client == only);
    }
    let clients: Vec<HurtClient> = clients
        .into_iter()
        .map(|(id, volumes)| {
            let sdc = snapshot.sdcs.as_ref().and_then(|sdcs| sdcs.get(&id));
            HurtClient {
                name: sdc.and_then(|sdc| sdc.name.clone()),
                address: sdc.and_then(|sdc| sdc.addresses.first().cloned()),
                id,
                volumes,
            }
        })
        .collect();
    Hurt { by, volumes, clients, workloads: None, workloads_unknown: None, unknown }
}

/// Whether a volume depends on what is unwell.
fn concerned(snapshot: &Snapshot, by: &Suspect, unknown: &mut BTreeSet<Collector>) -> Box<dyn Fn(&Volume) -> bool> {
    let pools: BTreeSet<StoragePoolId> = match by {
        Suspect::Volume(id) => {
            let id = id.clone();
            return Box::new(move |volume| volume.id == id);
        }
        Suspect::Sdc(id) => {
            let id = id.clone();
            return Box::new(move |volume| volume.mapped_to_all || volume.mappings.iter().any(|to| to.sdc == id));
        }
        Suspect::StoragePool(id) => [id.clone()].into(),
        Suspect::ProtectionDomain(id) => known(&snapshot.pools, Collector::StoragePools, unknown)
            .iter()
            .filter(|pool| pool.domain.as_ref() == Some(id))
            .map(|pool| pool.id.clone())
            .collect(),
        Suspect::Device(id) => known(&snapshot.devices, Collector::Devices, unknown)
            .iter()
            .filter(|device| device.id == *id)
            .filter_map(|device| device.pool.clone())
            .collect(),
        Suspect::Sds(id) => pools_of(snapshot, &[id.clone()].into(), unknown),
        Suspect::FaultSet(id) => {
            let servers: BTreeSet<SdsId> = known(&snapshot.sds, Collector::Sds, unknown)
                .iter()
                .filter(|sds| sds.fault_set.as_ref() == Some(id))
                .map(|sds| sds.id.clone())
                .collect();
            pools_of(snapshot, &servers, unknown)
        }
    };
    Box::new(move |volume| volume.pool.as_ref().is_some_and(|pool| pools.contains(pool)))
}

/// The pools that have a device on any of these servers.
fn pools_of(
    snapshot: &Snapshot,
    servers: &BTreeSet<SdsId>,
    unknown: &mut BTreeSet<Collector>,
) -> BTreeSet<StoragePoolId> {
    known(&snapshot.devices, Collector::Devices, unknown)
        .iter()
        .filter(|device| device.sds.as_ref().is_some_and(|sds| servers.contains(sds)))
        .filter_map(|device| device.pool.clone())
        .collect()
}

fn mapped_to<'a>(volume: &'a Volume, snapshot: &'a Snapshot, unknown: &mut BTreeSet<Collector>) -> BTreeSet<&'a SdcId> {
    if volume.mapped_to_all {
        return known(&snapshot.sdcs, Collector::Sdcs, unknown).iter().map(|sdc| &sdc.id).collect();
    }
    volume.mappings.iter().map(|mapping| &mapping.sdc).collect()
}

fn known<'a, T>(slot: &'a Slot<Table<T>>, collector: Collector, unknown: &mut BTreeSet<Collector>) -> &'a [T] {
    match slot {
        Some(part) => part.value.as_slice(),
        None => {
            unknown.insert(collector);
            &[]
        }
    }
}
