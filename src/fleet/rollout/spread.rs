//! May it be changed now where a server is found, and by whom? Pure.
//!
//! A network that does not carry what was said of it is seen at the first server that is found in it: that one goes alone,
//! and the others follow when the system has been as well since as it was before. What takes an address away from somebody
//! goes one server after the other, and only while all is well.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::fleet::diff::Addition;
use crate::model::cluster::NetworkPath;
use crate::model::id::NodeName;
use crate::model::snapshot::Snapshot;
use crate::model::state::{Connection, Connectivity, Maintenance};
use crate::model::stats::Stat;
use crate::model::unit::Timestamp;

/// Clients and servers that lose each other are told by the MDM within some beats of ten seconds: what it says earlier is
/// of before.
const SETTLES: Duration = Duration::from_secs(30);
/// What is older says nothing of now: all of it is asked at the fast beat.
const FRESH: Duration = Duration::from_secs(60);

/// What was changed last in a system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Last {
    /// Of which node.
    pub node: NodeName,
    /// When.
    pub at: Timestamp,
    /// What was not well before.
    pub before: BTreeSet<String>,
    /// Whether the MDM took any of it.
    pub is_taken: bool,
}

/// How changes of where servers are found go on, in one turn.
#[derive(Debug)]
pub struct Spread {
    /// What is not well now, or why nobody knows.
    unwell: Result<BTreeSet<String>, String>,
    last: Option<Last>,
    is_settled: bool,
    /// Nodes of the round that is open.
    open: BTreeSet<NodeName>,
    /// Whether a server lacks an address, or one of them serves too few.
    lacks: bool,
    /// Who goes alone.
    first: Option<NodeName>,
}

impl Spread {
    /// Looks at a system and at what it lacks.
    pub fn of<'a>(
        additions: impl IntoIterator<Item = &'a Addition>,
        snapshot: &Snapshot,
        last: Option<&Last>,
        open: BTreeSet<NodeName>,
        now: Timestamp,
    ) -> Self {
        let since = last.map(|last| last.at + SETTLES);
        Self {
            unwell: unwell(snapshot, now),
            is_settled: since.is_none_or(|since| seen_at(snapshot).is_some_and(|at| at >= since)),
            last: last.cloned(),
            open,
            lacks: additions.into_iter().any(|one| one.is_about_addresses() && !one.is_narrower()),
            first: None,
        }
    }

    /// What is not well now, as far as it is known.
    pub fn unwell(&self) -> BTreeSet<String> {
        self.unwell.clone().unwrap_or_default()
    }

    /// Whether it may be changed now where the server of a node is found.
    ///
    /// # Errors
    /// What it waits for.
    pub fn may(&self, node: &NodeName, is_narrower: bool) -> Result<(), String> {
        if self.open.contains(node) {
            return Ok(());
        }
        if !self.open.is_empty() {
            return Err("its turn".to_owned());
        }
        let unwell = self.unwell.as_ref().map_err(Clone::clone)?;
        if let Some(last) = self.last.as_ref().filter(|last| last.node != *node) {
            if !self.is_settled {
                return Err(format!("what becomes of {}, whose addresses were changed just now", last.node));
            }
            let new: Vec<&str> = unwell.difference(&last.before).map(String::as_str).collect();
            if !new.is_empty() {
                let new = new.join(", ");
                return Err(format!(
                    "this to be mended, which is so since the addresses of {} were changed: {new}",
                    last.node
                ));
            }
        }
        if is_narrower && self.lacks {
            return Err("all servers to have their addresses; then whom they serve is made less".to_owned());
        }
        if is_narrower && !unwell.is_empty() {
            let unwell: Vec<&str> = unwell.iter().map(String::as_str).collect();
            return Err(format!("the end of this, before its addresses serve less: {}", unwell.join(", ")));
        }
        let is_alone = is_narrower || !self.last.as_ref().is_some_and(|last| last.is_taken);
        match &self.first {
            Some(first) if is_alone && first != node => Err(format!("its turn: the addresses of {first} come first")),
            Some(_) | None => Ok(()),
        }
    }

    /// That of a node is changed now.
    pub fn goes(&mut self, node: &NodeName) {
        self.first.get_or_insert_with(|| node.clone());
    }
}

/// Since when what counts here is known: the oldest of it.
fn seen_at(snapshot: &Snapshot) -> Option<Timestamp> {
    let begun = [
        snapshot.array.as_ref().map(|part| part.begun_at),
        snapshot.sds.as_ref().map(|part| part.begun_at),
        snapshot.statistics.as_ref().map(|part| part.begun_at),
    ];
    begun.into_iter().collect::<Option<Vec<_>>>()?.into_iter().min()
}

/// What of a system is not as it is while all is well.
fn unwell(snapshot: &Snapshot, now: Timestamp) -> Result<BTreeSet<String>, String> {
    let is_fresh = |at: Timestamp| (now - at).to_std().is_ok_and(|age| age <= FRESH);
    let Some(statistics) = snapshot.statistics.as_ref().filter(|_| seen_at(snapshot).is_some_and(is_fresh)) else {
        return Err("the system to tell how it is".to_owned());
    };
    let Some(row) = statistics.value.system() else { return Err("the statistics of the system".to_owned()) };
    let mut found = of_servers(snapshot);
    let lost = [Stat::DegradedHealthyCapacityInKb, Stat::DegradedFailedCapacityInKb, Stat::FailedCapacityInKb];
    let Some(lost) = lost.into_iter().map(|stat| row.bytes(stat)).collect::<Option<Vec<_>>>() else {
        return Err("the system to tell whether data lacks a copy".to_owned());
    };
    if lost.iter().any(|bytes| bytes.get() > 0) {
        found.insert("data lacks a copy".to_owned());
    }
    if row.sum(&Stat::REBUILD_LEFT).get() > 0 {
        found.insert("data is rebuilt".to_owned());
    }
    Ok(found)
}

/// The part of it that a look at the servers and the system itself tells.
pub fn of_servers(snapshot: &Snapshot) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in snapshot.array.iter().flat_map(|array| &array.connectivity) {
        if path.state.is(Connectivity::AllConnected) {
            continue;
        }
        let way = match path.path {
            NetworkPath::SdcToSds => "from clients to servers",
            NetworkPath::SdrToSds => "from replicators to servers",
            NetworkPath::SdcToSdr => "from clients to replicators",
            NetworkPath::SdtToSds => "from targets to servers",
        };
        let whom = |kind: &str, name: &Option<Box<str>>| {
            name.as_ref().map(|name| format!(", {kind} {name}")).unwrap_or_default()
        };
        let (client, server) = (whom("client", &path.client), whom("server", &path.server));
        found.insert(format!("the way {way} is {}{client}{server}", path.state.word()));
    }
    for sds in snapshot.sds.iter().flat_map(|sds| sds.iter()) {
        let name = || sds.name.clone().unwrap_or_else(|| sds.id.to_string().into());
        if !sds.maintenance.is(Maintenance::None) {
            found.insert(format!("SDS {} is in maintenance ({})", name(), sds.maintenance.word()));
        }
        if !sds.connection.is(Connection::Connected) {
            found.insert(format!("SDS {} is {}", name(), sds.connection.word()));
        }
    }
    found
}

#[cfg(test)]
mod tests;
