//! How do the servers of a system stand, by protection domain and fault set? Pure.

use std::collections::BTreeMap;

use crate::model::cluster::Sds;
use crate::model::notice::named;
use crate::model::overview::Tone;
use crate::model::snapshot::Snapshot;
use crate::model::state::{Connection, DomainState, Maintenance, Membership, SdsState};

/// A protection domain.
pub(in crate::web) struct Domain {
    pub(in crate::web) name: String,
    /// Its state, where that is not as it should be.
    pub(in crate::web) unwell: Option<String>,
    pub(in crate::web) sets: Vec<FaultSet>,
}

/// A fault set, or the servers that are in none.
pub(in crate::web) struct FaultSet {
    pub(in crate::web) name: Option<String>,
    pub(in crate::web) servers: Vec<Server>,
}

impl FaultSet {
    /// Servers that are as they should be.
    pub(in crate::web) fn well(&self) -> usize {
        self.servers.iter().filter(|server| server.tone == Tone::Good).count()
    }
}

/// A storage data server.
pub(in crate::web) struct Server {
    pub(in crate::web) name: String,
    pub(in crate::web) tone: Tone,
    /// What is not as it should be.
    pub(in crate::web) word: Option<String>,
}

/// The domains of a snapshot with their servers.
pub(in crate::web) fn domains(snapshot: &Snapshot) -> Vec<Domain> {
    let mut failed: BTreeMap<&crate::model::id::SdsId, usize> = BTreeMap::new();
    for device in snapshot.devices.iter().flat_map(|part| part.iter()).filter(|device| device.has_failed()) {
        if let Some(sds) = &device.sds {
            *failed.entry(sds).or_default() += 1;
        }
    }
    let mut by_domain: BTreeMap<String, BTreeMap<Option<String>, Vec<Server>>> = BTreeMap::new();
    let mut unwell: BTreeMap<String, String> = BTreeMap::new();
    for domain in snapshot.domains.iter().flat_map(|part| part.iter()) {
        let name = named(domain.name.as_deref(), &domain.id);
        if !domain.state.is(DomainState::Active) {
            unwell.insert(name.clone(), domain.state.to_string());
        }
        by_domain.entry(name).or_default();
    }
    for sds in snapshot.sds.iter().flat_map(|part| part.iter()) {
        let domain = sds.domain.as_ref().and_then(|id| snapshot.domains.as_ref()?.get(id));
        let domain = domain.map_or_else(|| "no protection domain".to_owned(), |d| named(d.name.as_deref(), &d.id));
        let set = sds.fault_set.as_ref().and_then(|id| snapshot.fault_sets.as_ref()?.get(id));
        let set = set.map(|set| named(set.name.as_deref(), &set.id));
        let server = server(sds, failed.get(&sds.id).copied().unwrap_or(0));
        by_domain.entry(domain).or_default().entry(set).or_default().push(server);
    }
    let sets = |sets: BTreeMap<Option<String>, Vec<Server>>| {
        let mut sets: Vec<FaultSet> = sets
            .into_iter()
            .map(|(name, mut servers)| {
                servers.sort_by_cached_key(|server| natural(&server.name));
                FaultSet { name, servers }
            })
            .collect();
        sets.sort_by_cached_key(|set| set.name.as_deref().map(natural));
        sets
    };
    let mut domains: Vec<Domain> = by_domain
        .into_iter()
        .map(|(name, within)| Domain { unwell: unwell.remove(&name), name, sets: sets(within) })
        .collect();
    domains.sort_by_cached_key(|domain| natural(&domain.name));
    domains
}

fn server(sds: &Sds, failed_devices: usize) -> Server {
    let (tone, word) = if !sds.maintenance.is(Maintenance::None) {
        (Tone::Busy, Some(sds.maintenance.says()))
    } else if !sds.connection.is(Connection::Connected) {
        (Tone::Bad, Some(sds.connection.to_string()))
    } else if failed_devices > 0 {
        (Tone::Bad, Some(super::counted(failed_devices, "failed device")))
    } else if let Some(error) = &sds.authentication_error {
        (Tone::Warn, Some(error.to_string()))
    } else if !sds.membership.is(Membership::Joined) {
        (Tone::Warn, Some(sds.membership.to_string()))
    } else if !sds.state.is(SdsState::Normal) {
        (Tone::Warn, Some(sds.state.to_string()))
    } else {
        (Tone::Good, None)
    };
    Server { name: named(sds.name.as_deref(), &sds.id), tone, word }
}

/// Text so that `sds-2` comes before `sds-10`.
fn natural(text: &str) -> Vec<(u64, String)> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number = rest[..digits].parse().unwrap_or(if digits > 0 { u64::MAX } else { 0 });
        rest = &rest[digits..];
        let words = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        parts.push((number, rest[..words].to_owned()));
        rest = &rest[words..];
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::natural;

    #[test]
    fn numbers_in_names_are_ordered_as_numbers() {
        let mut names = ["sds-10-1", "sds-2-10", "sds-2-9", "b", "", "99999999999999999999x", "é1"];
        names.sort_by_key(|name| natural(name));
        let place = |name: &str| names.iter().position(|n| *n == name).unwrap();
        assert!(place("sds-2-9") < place("sds-2-10") && place("sds-2-10") < place("sds-10-1"), "{names:?}");
    }
}
