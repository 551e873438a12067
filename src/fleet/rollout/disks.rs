//! Which disk of a node is which, whatever it is called now? Pure.
//!
//! The kernel gives its names anew at each boot: what was `/dev/sdb` may be
//! `/dev/sdc` afterwards, and another disk has its name. So what a
//! configuration says of `/dev/sdb` is about the disk that had that name when
//! the node was looked at first; and which disk a device of the MDM is, is
//! written down when it is added or seen first. A disk is known again by its
//! WWN, or by its model and serial number. One that tells neither goes by its
//! name, as ever.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::record::Judged;
use crate::config::rollout::DeviceNames;
use crate::fleet::desired::Disk;
use crate::fleet::filter::Filtered;
use crate::fleet::shown::Shown;
use crate::model::cluster::Device;
use crate::model::findings;
use crate::model::id::DeviceId;
use crate::model::unit::Bytes;

/// What is remembered of a disk, by its identity.
pub type Known = BTreeMap<Box<str>, Remembered>;

/// What is remembered of one disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// The name it had when it was seen first; none: another disk had that already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named: Option<Box<str>>,
    /// The name by which the MDM was asked to take it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_as: Option<Box<str>>,
    /// The device of the MDM that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
}

/// The identity of each disk that has one of its own, by its present name.
fn identities(disks: &[findings::Disk]) -> BTreeMap<&str, String> {
    let all: Vec<(&str, String)> =
        disks.iter().filter_map(|disk| Some((disk.path.as_str(), disk.identity()?))).collect();
    let is_alone = |identity: &str| all.iter().filter(|(_, other)| other == identity).count() == 1;
    all.iter().filter(|(_, identity)| is_alone(identity)).cloned().collect()
}

/// Whether two disks tell one world wide name: they are two ways to one disk.
fn is_twin(disk: &findings::Disk, disks: &[findings::Disk]) -> bool {
    !disk.wwn.is_empty() && disks.iter().filter(|other| other.wwn == disk.wwn).count() > 1
}

/// What is known after disks were looked at.
pub fn seen(before: &Known, disks: &[findings::Disk]) -> Known {
    let present = identities(disks);
    let here: BTreeSet<&str> = present.values().map(String::as_str).collect();
    // One that is gone and no device has a name that another one may get.
    let mut known: Known = before
        .iter()
        .filter(|(identity, one)| one.device.is_some() || one.added_as.is_some() || here.contains(&***identity))
        .map(|(identity, one)| (identity.clone(), one.clone()))
        .collect();
    let mut taken: BTreeSet<Box<str>> = known.values().filter_map(|one| one.named.clone()).collect();
    for (path, identity) in present {
        let one = known.entry(identity.into()).or_default();
        if one.named.is_none() && taken.insert(path.into()) {
            one.named = Some(path.into());
        }
    }
    known
}

/// What is known when the MDM is about to be asked to take disks by these names.
pub fn adding(before: &Known, disks: &[findings::Disk], paths: &[&str]) -> Known {
    let mut known = before.clone();
    for (now, identity) in identities(disks) {
        let disk = disks.iter().find(|disk| disk.path == now);
        let is_it =
            |path: &&&str| **path == now || disk.is_some_and(|disk| disk.links.iter().any(|link| link == **path));
        if let Some(path) = paths.iter().find(is_it) {
            known.entry(identity.into()).or_default().added_as = Some((*path).into());
        }
    }
    known
}

/// Devices of a node's own server, which is at one of its addresses.
pub fn own<'a>(addresses: &BTreeSet<Box<str>>, shown: &Shown<'a>) -> Vec<&'a Device> {
    shown.servers_of(addresses).into_iter().flat_map(|sds| shown.devices_of(&sds.id)).copied().collect()
}

/// What is known once the MDM shows these devices of the node.
pub fn claimed(before: &Known, disks: &[findings::Disk], own: &[&Device]) -> Known {
    let mut known = before.clone();
    let present = identities(disks);
    for device in own {
        if known.values().any(|one| one.device.as_ref() == Some(&device.id)) {
            continue;
        }
        let Some(path) = device.path.as_deref() else { continue };
        let free = |identity: &&String| known.get(identity.as_str()).is_none_or(|one| one.device.is_none());
        let one_of = |is_it: &dyn Fn(&findings::Disk, &Remembered) -> bool| {
            let none = Remembered::default();
            let mut fit = disks.iter().filter_map(|disk| {
                let identity = present.get(disk.path.as_str()).filter(free)?;
                is_it(disk, known.get(identity.as_str()).unwrap_or(&none)).then(|| identity.clone())
            });
            let first = fit.next()?;
            // Of two nobody knows which.
            fit.next().is_none().then_some(first)
        };
        let links = |disk: &findings::Disk| disk.links.iter().any(|link| link == path);
        let serial = device.serial.as_deref().map(str::trim).filter(|serial| !serial.is_empty());
        // By what the MDM itself read of it; by what it was asked to take; else among the disks that somebody holds.
        let found = serial
            .and_then(|serial| one_of(&|disk, _| disk.serial == serial))
            .or_else(|| one_of(&|_, one| one.added_as.as_deref() == Some(path)))
            .or_else(|| one_of(&|disk, one| one.added_as.is_some() && (disk.path == path || links(disk))))
            .or_else(|| one_of(&|disk, _| !disk.is_free() && links(disk)))
            .or_else(|| {
                let named = |one: &Remembered| one.named.as_deref() == Some(path);
                one_of(&|disk, one| !disk.is_free() && (named(one) || disk.path == path))
            });
        if let Some(identity) = found {
            known.entry(identity.into()).or_default().device = Some(device.id.clone());
        }
    }
    // A device that was taken out is none any more; what the MDM does not show at all is no news.
    if !own.is_empty() {
        for one in known.values_mut() {
            let is_gone = one.device.as_ref().is_some_and(|id| own.iter().all(|device| device.id != *id));
            if is_gone {
                (one.device, one.added_as) = (None, None);
            }
        }
    }
    known
}

/// The device that a disk is, by what is known or, of one without an identity, by its present name.
fn device_of<'a>(
    disk: &findings::Disk,
    identity: Option<&String>,
    known: &Known,
    own: &[&'a Device],
) -> Option<&'a Device> {
    let by_path = |device: &&&Device| device.path.as_deref().is_some_and(|path| path == disk.path);
    let Some(identity) = identity else { return own.iter().find(by_path).copied() };
    let one = known.get(identity.as_str());
    if let Some(id) = one.and_then(|one| one.device.as_ref()) {
        return own.iter().find(|device| device.id == *id).copied();
    }
    // Not yet claimed: the name counts, where it is nobody else's.
    let others: BTreeSet<&DeviceId> = known.values().filter_map(|one| one.device.as_ref()).collect();
    let is_own_name = one.is_none_or(|one| one.named.as_deref() == Some(&*disk.path));
    own.iter().find(|device| is_own_name && by_path(device) && !others.contains(&device.id)).copied()
}

/// Present names of disks that are devices of the node's own server.
pub fn devices(judged: &Judged, known: &Known, own: &[&Device]) -> BTreeSet<Box<str>> {
    let present = identities(&judged.disks);
    let is_ours = |disk: &&findings::Disk| device_of(disk, present.get(disk.path.as_str()), known, own).is_some();
    judged.disks.iter().filter(is_ours).map(|disk| disk.path.as_str().into()).collect()
}

/// The disks of a node as a configuration means them: those that are free, and those that are devices already.
pub fn meant(judged: &Judged, known: &Known, own: &[&Device], names: DeviceNames) -> Vec<Disk> {
    let present = identities(&judged.disks);
    let shown: BTreeSet<&str> = own.iter().filter_map(|device| device.path.as_deref()).collect();
    let mut shown_as: BTreeSet<&DeviceId> = BTreeSet::new();
    let mut all: Vec<Disk> = Vec::new();
    for disk in judged.disks.iter() {
        let identity = present.get(disk.path.as_str());
        let named = match identity {
            Some(identity) => known.get(identity.as_str()).and_then(|one| one.named.clone()),
            // Whose name it was first is another one's, even while that is away.
            None => {
                let is_taken = known.values().any(|one| one.named.as_deref() == Some(disk.path.as_str()));
                (!is_taken).then(|| disk.path.as_str().into())
            }
        };
        let aliases = named.iter().cloned().chain(disk.links.iter().map(|link| link.as_str().into()));
        let mut one = Disk {
            path: disk.path.as_str().into(),
            aliases: aliases.collect(),
            now: (!shown.contains(disk.path.as_str())).then(|| disk.path.as_str().into()),
            size: Bytes::new(disk.size.unwrap_or_default()),
            rotational: disk.rotational.unwrap_or(false),
            is_device: false,
            held: None,
        };
        if let Some(device) = device_of(disk, identity, known, own) {
            // By the name that the MDM has for it, whatever the kernel calls it now.
            one.path = device.path.clone().unwrap_or(one.path);
            one.is_device = true;
            shown_as.insert(&device.id);
            all.push(one);
            continue;
        }
        if !disk.is_free() {
            continue;
        }
        let stable = disk.links.first().map(|link| Box::<str>::from(link.as_str()));
        let is_moved = named.as_deref() != Some(disk.path.as_str()) || shown.contains(disk.path.as_str());
        one.held = match (is_twin(disk, &judged.disks), &stable) {
            (true, _) => Some(Filtered::Twin),
            (false, None) if names == DeviceNames::ById => Some(Filtered::NoStableName),
            (false, None) if is_moved => Some(Filtered::Moved),
            (false, _) => None,
        };
        if let Some(stable) = stable.filter(|_| is_moved || names == DeviceNames::ById) {
            one.path = stable;
        }
        all.push(one);
    }
    for device in own.iter().filter(|device| !shown_as.contains(&device.id)) {
        if let Some(path) = &device.path {
            let (size, aliases) = (device.size.unwrap_or(Bytes::new(0)), BTreeSet::new());
            let (rotational, is_device) = (false, true);
            all.push(Disk { path: path.clone(), aliases, now: None, size, rotational, is_device, held: None });
        }
    }
    // What is a device comes first: where two have one name, it is meant.
    all.sort_by(|one, other| (!one.is_device, &one.path).cmp(&(!other.is_device, &other.path)));
    all
}

#[cfg(test)]
mod tests;
