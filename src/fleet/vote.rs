//! May an operator of Mesos take the machine of a node away? Pure.
//!
//! Mesos asks by an inverse offer and only counts our answer; nothing is stopped by it. So the answer says what is so: yes
//! where nothing of ours is, or where somebody asked us for a maintenance to work there by hand and has it now, and no for
//! anything else, with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::enrol::crew::{Member, addresses};
use crate::model::cluster::{MdmRole, Sds};
use crate::model::id::{NodeName, SystemId};
use crate::model::lifecycle::Lifecycle;
use crate::model::offer::{Stays, Vote};
use crate::model::snapshot::Snapshot;
use crate::model::state::{ClusterState, Maintenance};
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

/// What is said of the machine of a node: Mesos knows it by an address, and our agent there, if it has one, by all.
pub fn vote(
    node: &NodeName,
    known_at: Option<&str>,
    member: Option<&Member>,
    systems: &BTreeMap<SystemId, Known<'_>>,
    now: Timestamp,
) -> Vote {
    // By the address of Mesos alone, which may be of another network or a name, nothing can be ruled out.
    let said = member.and_then(|member| member.facts.as_ref());
    if said.is_none_or(|said| said.addresses.is_empty()) {
        return Vote::Stays { reason: Stays::Unheard };
    }
    // What several hosts say they have counts here for each of them: it may be theirs.
    let addresses = addresses::own(known_at, member, &BTreeSet::new());
    let against = systems.iter().find_map(|(system, known)| stays(node, &addresses, system, known, now));
    against.map_or(Vote::MayGo, |reason| Vote::Stays { reason })
}

/// Whether somebody asked for a maintenance of a node and works there now. One inside an upgrade or a restart is over within
/// minutes, and one that was handed over is only ended.
fn is_by_hand(node: &NodeName, work: &Lifecycle) -> bool {
    let Some(run) = &work.run else { return false };
    let mut duties = work.obligations.iter();
    let is_ours = duties.any(|duty| duty.node == *node && duty.duty == "maintenance" && duty.run == run.id);
    is_ours && run.tasks_in_work().any(|task| task.node == *node && task.by_hand)
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
    let is_by_hand = known.work.is_some_and(|work| is_by_hand(node, work));
    for sds in &own {
        let name = sds.name.clone().unwrap_or_else(|| sds.id.to_string().into());
        if !sds.maintenance.is(Maintenance::In) {
            return Some(Stays::Serves { system: system.clone(), sds: name });
        }
        if !is_by_hand {
            return Some(Stays::ForeignMaintenance { system: system.clone(), sds: name });
        }
    }
    let votes = |role: MdmRole| matches!(role, MdmRole::Primary | MdmRole::Secondary | MdmRole::TieBreaker);
    let mut members = array.mdm.iter().flat_map(|mdm| &mdm.members);
    let is_member = members
        .any(|member| votes(member.role) && member.ips.iter().chain(&member.management_ips).any(|ip| is_here(ip)));
    let is_whole = array.mdm.as_ref().is_some_and(|mdm| mdm.state.is(ClusterState::Normal));
    match (is_member, own.is_empty()) {
        (false, _) => None,
        (true, true) => Some(Stays::Votes { system: system.clone() }),
        (true, false) => (!is_whole).then(|| Stays::ClusterNotWell { system: system.clone() }),
    }
}

#[cfg(test)]
mod tests;
