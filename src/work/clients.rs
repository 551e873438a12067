//! Whose client is newer than a release?

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use super::facts::Facts;
use super::observe::sdc_of;
use super::skew::at_least;
use crate::model::cluster::Sdc;
use crate::model::id::{NodeName, SdcId, SdsId};
use crate::model::state::Connection;
use crate::model::step::Component;

/// An agent that says nothing for so long is not about to: words come every few seconds, and restarts take minutes.
pub const SILENT: TimeDelta = TimeDelta::minutes(10);

/// Who has a client.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// A host of ours.
    Node(NodeName),
    /// A host that is not ours, by what the MDM calls its client.
    Other(Box<str>),
}

/// Who has a client that is newer, these nodes with their servers aside. What a host said long ago says nothing of now: the
/// MDM tells of its client, and one that is not there or not connected is newer than nobody. Of a client whose release the
/// MDM does not tell only its host can say.
pub(super) fn newer(facts: &Facts<'_>, release: &str, aside: &BTreeMap<&NodeName, Option<&SdsId>>) -> BTreeSet<Owner> {
    let is_newer = |version: &str| !at_least(release, version);
    let list = facts.snapshot().and_then(|snapshot| snapshot.sdcs.as_ref());
    let mut found = BTreeSet::new();
    let mut nodes: BTreeMap<&SdcId, &NodeName> = BTreeMap::new();
    for (node, host) in facts.nodes {
        let sdc = sdc_of(facts, node, aside.get(node).copied().flatten());
        nodes.extend(sdc.map(|sdc| (&sdc.id, node)));
        let installed = host.installed.get(&Component::Sdc).into_iter().flatten();
        // One whose addresses nobody knows cannot be told from the others that the MDM knows.
        let is_gone = facts.now - host.seen_at > SILENT
            && list.is_some()
            && !host.addresses.is_empty()
            && sdc.is_none_or(is_away);
        if !is_gone && installed.into_iter().any(|version| is_newer(version)) {
            found.insert(Owner::Node(node.clone()));
        }
    }
    let told = list.into_iter().flat_map(|list| list.iter()).filter(|sdc| !is_away(sdc));
    for sdc in told.filter(|sdc| sdc.version.as_ref().is_some_and(|version| is_newer(version.as_str()))) {
        found.insert(match nodes.get(&sdc.id) {
            Some(node) => Owner::Node((*node).clone()),
            None => Owner::Other(sdc.name.clone().unwrap_or_else(|| sdc.id.to_string().into())),
        });
    }
    found.retain(|owner| !matches!(owner, Owner::Node(node) if aside.contains_key(node)));
    found
}

fn is_away(sdc: &Sdc) -> bool {
    sdc.connection.as_ref().is_some_and(|seen| seen.is(Connection::Disconnected))
}
