//! May an operator of Mesos take the machine of a node away? Pure.
//!
//! Mesos asks by an inverse offer and only counts our answer; nothing is stopped by it. So the answer says what is so: yes
//! where nothing of ours is, or where our own maintenance has made the node ready for it, and no for anything else, with the
//! reason.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::cluster::{MdmRole, Sds};
use crate::model::id::{NodeName, SystemId};
use crate::model::lifecycle::Lifecycle;
use crate::model::offer::{Stays, Vote};
use crate::model::snapshot::Snapshot;
use crate::model::state::Maintenance;
use crate::model::unit::Timestamp;

/// What is older says nothing of now: states that gates read are asked every few seconds.
const FRESH: Duration = Duration::from_secs(60);

/// What is known of a system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// What it showed last.
    pub snapshot: Option<&'a Snapshot>,
    /// What the work on it does; none: nobody works on it.
    pub work: Option<&'a Lifecycle>,
}

/// What is said of the machine of a node.
pub fn vote(
    node: &NodeName,
    addresses: &BTreeSet<Box<str>>,
    systems: &BTreeMap<SystemId, Known<'_>>,
    now: Timestamp,
) -> Vote {
    let against = systems.iter().find_map(|(system, known)| stays(node, addresses, system, known, now));
    against.map_or(Vote::MayGo, |reason| Vote::Stays { reason })
}

/// What of one system is against it.
fn stays(
    node: &NodeName,
    addresses: &BTreeSet<Box<str>>,
    system: &SystemId,
    known: &Known<'_>,
    now: Timestamp,
) -> Option<Stays> {
    let unseen = || Some(Stays::Unseen { system: system.clone() });
    let is_fresh = |begun_at: Timestamp| (now - begun_at).to_std().is_ok_and(|age| age <= FRESH);
    let Some(snapshot) = known.snapshot else { return unseen() };
    let (Some(servers), Some(array)) = (&snapshot.sds, &snapshot.array) else { return unseen() };
    if !is_fresh(servers.begun_at) || !is_fresh(array.begun_at) {
        return unseen();
    }
    let is_here = |ip: &str| addresses.contains(ip);
    let own: Vec<&Sds> =
        servers.iter().filter(|sds| sds.addresses.iter().any(|address| is_here(&address.ip))).collect();
    let duties = known.work.into_iter().flat_map(|work| &work.obligations);
    let is_ours = duties.into_iter().any(|duty| duty.node == *node && duty.duty == "maintenance");
    for sds in &own {
        let name = sds.name.clone().unwrap_or_else(|| sds.id.to_string().into());
        if !sds.maintenance.is(Maintenance::In) {
            return Some(Stays::Serves { system: system.clone(), sds: name });
        }
        if !is_ours {
            return Some(Stays::ForeignMaintenance { system: system.clone(), sds: name });
        }
    }
    // Whoever made the node ready looked at its seat of the cluster too.
    let is_ready = !own.is_empty();
    let votes = |role: MdmRole| matches!(role, MdmRole::Primary | MdmRole::Secondary | MdmRole::TieBreaker);
    let mut members = array.mdm.iter().flat_map(|mdm| &mdm.members);
    let is_member = members
        .any(|member| votes(member.role) && member.ips.iter().chain(&member.management_ips).any(|ip| is_here(ip)));
    (is_member && !is_ready).then(|| Stays::Votes { system: system.clone() })
}

#[cfg(test)]
mod tests;
