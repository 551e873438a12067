//! What is known at a moment, and how old it may be.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use crate::model::cluster::{Device, MdmCluster, Sds};
use crate::model::id::{FaultSetId, NodeName, ObjectId, SdsId, StoragePoolId};
use crate::model::node::{AgentFacts, NodeFacts};
use crate::model::picture::Picture;
use crate::model::snapshot::{Part, Slot, Snapshot};
use crate::model::unit::Timestamp;
use crate::model::window::Calendar;

/// Name of an alert and the object it is about.
pub type AlertName = (Box<str>, Box<str>);

/// What our rules say, and a configured Alertmanager. What the work under way
/// explains is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Firing {
    /// The snapshot that the rules were last evaluated on.
    pub seq: u64,
    /// Critical alerts that fire.
    pub critical: BTreeSet<AlertName>,
    /// Others that fire.
    pub mild: BTreeSet<AlertName>,
    /// What the site's own Alertmanager says; none: none is asked.
    pub others: Option<Others>,
}

/// What fires at an Alertmanager that is not ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// When it was asked; none: it never answered.
    pub begun_at: Option<Timestamp>,
    /// Critical alerts that fire.
    pub critical: BTreeSet<AlertName>,
    /// Others that fire.
    pub mild: BTreeSet<AlertName>,
}

/// All that decisions are made of.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The moment.
    pub now: Timestamp,
    /// What the system says.
    pub picture: &'a Picture,
    /// What each node's agent says.
    pub nodes: &'a BTreeMap<NodeName, NodeFacts>,
    /// What the Mesos master says of each node's agent.
    pub agents: &'a BTreeMap<NodeName, AgentFacts>,
    /// What the rules say.
    pub firing: &'a Firing,
}

/// Limits that the operator sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Oldest answer that counts, of what is asked every poll. Two polls.
    pub fresh: TimeDelta,
    /// The same for devices and clients, and for the words of agents and of Mesos.
    pub fresh_middle: TimeDelta,
    /// How long the MDM cluster must not have changed hands.
    pub mdm_quiet: TimeDelta,
    /// Room that must be left in a pool after the loss of a fault unit, in bytes.
    pub margin: u64,
    /// When work may be done.
    pub calendar: Calendar,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            fresh: TimeDelta::seconds(30),
            fresh_middle: TimeDelta::seconds(90),
            // After a fail-over clients reconnect and roles of copies move for minutes.
            mdm_quiet: TimeDelta::minutes(10),
            margin: 0,
            calendar: Calendar::default(),
        }
    }
}

impl<'a> Facts<'a> {
    /// The newest snapshot.
    pub fn snapshot(&self) -> Option<&'a Snapshot> {
        self.picture.snapshot.as_deref()
    }

    /// The MDM cluster, with the moment its question was sent.
    pub fn mdm(&self) -> Option<(&'a MdmCluster, Timestamp)> {
        let array = self.snapshot()?.array.as_ref()?;
        Some((array.value.mdm.as_ref()?, array.begun_at))
    }

    /// An SDS, with the moment its question was sent.
    pub fn sds(&self, id: &SdsId) -> Option<(&'a Sds, Timestamp)> {
        let part = self.snapshot()?.sds.as_ref()?;
        Some((part.value.get(id)?, part.begun_at))
    }

    /// The devices of an SDS.
    pub fn devices_of(&self, sds: &SdsId) -> impl Iterator<Item = &'a Device> {
        let devices = self.snapshot().and_then(|snapshot| snapshot.devices.as_ref());
        let sds = sds.clone();
        devices
            .map(|part| part.value.as_slice())
            .unwrap_or_default()
            .iter()
            .filter(move |device| device.sds.as_ref() == Some(&sds))
    }

    /// The pools that have a device on an SDS.
    pub fn pools_of(&self, sds: &SdsId) -> BTreeSet<StoragePoolId> {
        self.devices_of(sds).filter_map(|device| device.pool.clone()).collect()
    }
}

/// When the question of a part was sent.
pub fn begun<T>(slot: &Slot<T>) -> Option<Timestamp> {
    slot.as_ref().map(|part: &Part<T>| part.begun_at)
}

/// What fails together with an SDS: its fault set, or itself.
pub fn fault_unit(sds: &Sds) -> &ObjectId {
    sds.fault_set.as_ref().map_or_else(|| sds.id.object(), FaultSetId::object)
}
