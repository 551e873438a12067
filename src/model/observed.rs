//! What only somebody who keeps looking can know: how often a server went
//! away, since when one is in maintenance, how often the primary MDM changed.
//!
//! Nothing here reads a clock or does I/O; the poller stores a changed value,
//! so that counts and beginnings survive a restart.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::cluster::MdmEvent;
use super::id::SdsId;
use super::snapshot::Snapshot;
use super::state::{Connection, Maintenance, Seen};
use super::stats::{Stat, StatKind};
use super::unit::Timestamp;

/// Notes about one system. Keys are ids as text, because they are stored as JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Observed {
    /// The member that owned the MDM cluster last.
    pub primary: Option<String>,
    /// Changes of the owner that were seen.
    pub primary_changes: u64,
    /// When the last of them was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_changed_at: Option<Timestamp>,
    /// Notes about each SDS.
    pub sds: BTreeMap<String, Noted>,
    /// Notes about each SDC.
    pub sdcs: BTreeMap<String, Noted>,
    /// Events of the system's log that were read, by the word of their severity.
    pub events: BTreeMap<String, u64>,
    /// The newest event that was counted.
    pub events_until: Option<Timestamp>,
}

/// Notes about one server or client.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Noted {
    /// Whether it was connected when last seen.
    pub connected: bool,
    /// Times it was seen to go away.
    #[serde(skip_serializing_if = "is_zero")]
    pub disconnections: u64,
    /// Since when it is in maintenance, or on the way into or out of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance_since: Option<Timestamp>,
    /// Whether third copies of its data were seen to be made on the way into maintenance: it is protected.
    #[serde(skip_serializing_if = "is_false")]
    pub protected: bool,
}

impl Observed {
    /// The notes after a look at the next snapshot. Parts that the snapshot
    /// lacks leave their notes as they are; an object that is gone loses its.
    #[must_use]
    pub fn after(&self, snapshot: &Snapshot) -> Self {
        let mut next = self.clone();
        let array = snapshot.array.as_ref();
        if let Some((primary, seen_at)) = array.and_then(|array| Some((array.mdm.as_ref()?.primary()?, array.taken_at)))
        {
            let id = primary.id.to_string();
            if self.primary.as_ref().is_some_and(|before| *before != id) {
                next.primary_changes += 1;
                next.primary_changed_at = Some(seen_at);
            }
            next.primary = Some(id);
        }
        if let Some(sds) = &snapshot.sds {
            next.sds = sds
                .iter()
                .map(|sds| {
                    let id = sds.id.to_string();
                    let before = self.sds.get(&id);
                    let mut noted = Noted::seen(before, sds.connection.is(Connection::Connected));
                    noted.maintenance_since = if sds.maintenance.is(Maintenance::None) {
                        None
                    } else {
                        before.and_then(|before| before.maintenance_since).or(Some(sds_part_time(snapshot)))
                    };
                    noted.protected = match &sds.maintenance {
                        Seen::Is(Maintenance::None) => false,
                        Seen::Is(Maintenance::Entering) => noted.protected || copies_are_made(snapshot, &sds.id),
                        Seen::Is(Maintenance::In | Maintenance::Exiting) | Seen::Other(_) => noted.protected,
                    };
                    (id, noted)
                })
                .collect();
        }
        if let Some(sdcs) = &snapshot.sdcs {
            next.sdcs = sdcs
                .iter()
                .filter_map(|sdc| {
                    let id = sdc.id.to_string();
                    let connected = sdc.connection.as_ref()?.is(Connection::Connected);
                    let noted = Noted::seen(self.sdcs.get(&id), connected);
                    Some((id, noted))
                })
                .collect();
        }
        let new = |event: &&MdmEvent| event.at.is_some() && event.at > self.events_until;
        for event in snapshot.events.iter().flat_map(|part| part.iter()).filter(new) {
            *next.events.entry(event.severity.word().to_owned()).or_default() += 1;
            next.events_until = next.events_until.max(event.at);
        }
        next
    }
}

impl Noted {
    fn seen(before: Option<&Self>, connected: bool) -> Self {
        let mut noted = before.cloned().unwrap_or_default();
        if noted.connected && !connected {
            noted.disconnections += 1;
        }
        noted.connected = connected;
        noted
    }
}

/// Whether a pool of an SDS makes third copies before protected maintenance. The MDM lets only one fault unit of a pool
/// into maintenance, so that they are those of this SDS.
fn copies_are_made(snapshot: &Snapshot, sds: &SdsId) -> bool {
    let (Some(devices), Some(statistics)) = (&snapshot.devices, &snapshot.statistics) else { return false };
    let pools =
        devices.iter().filter(|device| device.sds.as_ref() == Some(sds)).filter_map(|device| device.pool.as_ref());
    let stats =
        [Stat::PendingEnterProtectedMaintenanceModeCapacityInKb, Stat::ActiveEnterProtectedMaintenanceModeCapacityInKb];
    let mut rows = pools.filter_map(|pool| statistics.row(StatKind::StoragePool, pool.object()));
    rows.any(|row| stats.iter().any(|stat| row.bytes(*stat).is_some_and(|bytes| bytes.get() > 0)))
}

#[allow(clippy::trivially_copy_pass_by_ref)]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[allow(clippy::trivially_copy_pass_by_ref)]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn sds_part_time(snapshot: &Snapshot) -> Timestamp {
    snapshot.sds.as_ref().map_or(snapshot.taken_at, |part| part.taken_at)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::id::SystemId;
    use crate::model::snapshot::Part;
    use crate::model::version::Generation;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_timestamp(second, 0).unwrap()
    }

    fn snapshot(events: &[(&str, i64)]) -> Snapshot {
        let events = events.iter().map(|(id, second)| MdmEvent {
            id: (*id).into(),
            name: "MDM_STARTED".into(),
            severity: Seen::read("MAJOR"),
            description: None,
            resource_type: None,
            resource_name: None,
            at: Some(at(*second)),
        });
        let part = Part { begun_at: at(0), taken_at: at(0), value: Arc::new(events.collect()) };
        Snapshot { events: Some(part), ..Snapshot::empty(SystemId::new("prod"), Generation::V4, 1, at(0)) }
    }

    #[test]
    fn an_event_is_counted_once_though_it_is_read_again_and_again() {
        let first = Observed::default().after(&snapshot(&[("a", 1), ("b", 2)]));
        assert_eq!(first.events["MAJOR"], 2);
        let second = first.after(&snapshot(&[("a", 1), ("b", 2), ("c", 3)]));
        assert_eq!(second.events["MAJOR"], 3);
        assert_eq!(second.after(&snapshot(&[("c", 3)])), second);
    }
}
