//! What changed from one snapshot to the next, in sentences?

use std::collections::BTreeMap;
use std::sync::Arc;

use super::alerting::Labels;
use super::cluster::Device;
use super::overview::Tone;
use super::snapshot::{Keyed, Slot, Snapshot, Table};
use super::state::{ClusterState, Connection, DomainState, Maintenance};
use super::stats::Stat;
use super::unit::{Bytes, Timestamp};

/// Something that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noticed {
    /// When the snapshot that shows it was taken.
    pub at: Timestamp,
    /// What, as a sentence without its end.
    pub what: String,
    /// How good that is.
    pub tone: Tone,
    /// What it is about.
    object: Object,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Object {
    /// The label by which alerts name it, and its name.
    Named(&'static str, String),
    /// The data of the system.
    Data,
    /// The MDM cluster as a whole.
    Cluster,
}

impl Noticed {
    /// Whether it is about what an alert with these labels, of this area, is about.
    pub fn is_about(&self, labels: &Labels, area: &str) -> bool {
        match &self.object {
            Object::Named(label, name) => labels.get(*label) == Some(name),
            Object::Data => area == "protection",
            Object::Cluster => area == "mdm",
        }
    }
}

/// The tone of what is well again, or is not any more.
const fn well(is_good: bool) -> Tone {
    if is_good { Tone::Good } else { Tone::Warn }
}

/// Everything that changed. Objects of which nothing was known before are no change.
pub fn notice(before: &Snapshot, after: &Snapshot) -> Vec<Noticed> {
    let mut found = Found { at: after.taken_at, noticed: Vec::new() };
    found.data(before, after);
    found.cluster(before, after);
    for (old, new) in pairs(&before.domains, &after.domains) {
        if old.state != new.state {
            let name = named(new.name.as_deref(), &new.id);
            let what = format!("protection domain {name} became {}", new.state);
            found.add(what, well(new.state.is(DomainState::Active)), "protection_domain", name);
        }
    }
    for (old, new) in pairs(&before.sds, &after.sds) {
        let name = named(new.name.as_deref(), &new.id);
        if old.connection != new.connection {
            let good = new.connection.is(Connection::Connected);
            let what = if good {
                format!("SDS {name} connected again")
            } else {
                format!("SDS {name} became {}", new.connection)
            };
            // In maintenance a server is stopped and started.
            let meant = !good && new.maintenance.is(Maintenance::In);
            found.add(what, if meant { Tone::Busy } else { well(good) }, "sds", name.clone());
        }
        if old.maintenance != new.maintenance {
            let good = new.maintenance.is(Maintenance::None);
            let what = if good {
                format!("SDS {name} left maintenance")
            } else {
                format!("SDS {name} {}", new.maintenance.says())
            };
            // Somebody wants it so.
            found.add(what, if good { Tone::Good } else { Tone::Busy }, "sds", name.clone());
        }
        if let (Some(was), Some(is)) = (&old.version, &new.version)
            && was != is
        {
            found.add(format!("SDS {name} went from {was} to {is}"), Tone::Good, "sds", name);
        }
    }
    found.devices(before, after);
    for (old, new) in pairs(&before.sdcs, &after.sdcs) {
        if let (Some(was), Some(is)) = (&old.connection, &new.connection)
            && was != is
        {
            let name = new.name.as_deref().or_else(|| new.addresses.first().map(|address| &**address));
            let name = named(name, &new.id);
            let good = is.is(Connection::Connected);
            let what = if good { format!("SDC {name} connected again") } else { format!("SDC {name} became {is}") };
            found.add(what, well(good), "sdc", name);
        }
    }
    found.noticed
}

struct Found {
    at: Timestamp,
    noticed: Vec<Noticed>,
}

impl Found {
    fn add(&mut self, what: String, tone: Tone, label: &'static str, name: String) {
        self.noticed.push(Noticed { at: self.at, what, tone, object: Object::Named(label, name) });
    }

    fn data(&mut self, before: &Snapshot, after: &Snapshot) {
        let (Some(was), Some(is)) = (unprotected(before), unprotected(after)) else { return };
        let what = match (was > 0, is > 0) {
            (true, false) => "all data has all its copies again".to_owned(),
            (false, true) => format!("{} of data lost a copy", Bytes::new(is)),
            (true, true) | (false, false) => return,
        };
        self.noticed.push(Noticed { at: self.at, what, tone: well(is == 0), object: Object::Data });
    }

    fn cluster(&mut self, before: &Snapshot, after: &Snapshot) {
        let cluster = |snapshot: &Snapshot| snapshot.array.as_ref().and_then(|array| array.mdm.clone());
        let (Some(was), Some(is)) = (cluster(before), cluster(after)) else { return };
        let name = |member: &super::cluster::MdmMember| named(member.name.as_deref(), &member.id);
        if let (Some(old), Some(new)) = (was.primary(), is.primary())
            && old.id != new.id
        {
            self.add(
                format!("the primary MDM moved from {} to {}", name(old), name(new)),
                Tone::Good,
                "mdm",
                name(new),
            );
        }
        if was.state != is.state {
            let good = is.state.is(ClusterState::Normal);
            let what = format!("the MDM cluster became {}", is.state);
            self.noticed.push(Noticed { at: self.at, what, tone: well(good), object: Object::Cluster });
        }
    }

    fn devices(&mut self, before: &Snapshot, after: &Snapshot) {
        let (Some(was), Some(is)) = (&before.devices, &after.devices) else { return };
        if Arc::ptr_eq(&was.value, &is.value) {
            return;
        }
        let host = |device: &Device| {
            let sds = device.sds.as_ref().and_then(|id| after.sds.as_ref()?.get(id));
            sds.map_or_else(String::new, |sds| format!(" of SDS {}", named(sds.name.as_deref(), &sds.id)))
        };
        let name = |device: &Device| named(device.name.as_deref().or(device.path.as_deref()), &device.id);
        let old: BTreeMap<_, _> = was.iter().map(|device| (&device.id, device)).collect();
        let new: BTreeMap<_, _> = is.iter().map(|device| (&device.id, device)).collect();
        for device in is.iter() {
            let text = format!("device {}{}", name(device), host(device));
            match old.get(&device.id) {
                None => self.add(format!("{text} was added"), Tone::Good, "device", name(device)),
                Some(before) if before.has_failed() != device.has_failed() => {
                    let good = !device.has_failed();
                    let word = if good { "is well again" } else { "failed" };
                    self.add(format!("{text} {word}"), well(good), "device", name(device));
                }
                Some(_) => {}
            }
        }
        for device in was.iter().filter(|device| !new.contains_key(&device.id)) {
            self.add(
                format!("device {}{} was removed", name(device), host(device)),
                Tone::Good,
                "device",
                name(device),
            );
        }
    }
}

/// Bytes that lack a copy or cannot be reached.
pub fn unprotected(snapshot: &Snapshot) -> Option<u64> {
    let row = snapshot.statistics.as_ref()?.system()?;
    let degraded = row.bytes(Stat::DegradedFailedCapacityInKb)?;
    let failed = row.bytes(Stat::FailedCapacityInKb).unwrap_or(Bytes::ZERO);
    Some(degraded.get().saturating_add(failed.get()))
}

/// Objects that are in both, when the two were not shared.
fn pairs<'a, T: Keyed>(before: &'a Slot<Table<T>>, after: &'a Slot<Table<T>>) -> Vec<(&'a T, &'a T)> {
    match (before, after) {
        (Some(before), Some(after)) if !Arc::ptr_eq(&before.value, &after.value) => {
            after.iter().filter_map(|new| Some((before.get(new.id())?, new))).collect()
        }
        _ => Vec::new(),
    }
}

/// The name, or else the id.
pub fn named(name: Option<&str>, id: &dyn std::fmt::Display) -> String {
    name.map_or_else(|| id.to_string(), str::to_owned)
}
