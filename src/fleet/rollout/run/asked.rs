//! What is a node asked to be good for, before it is touched?

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::super::record::Record;
use super::super::steps;
use super::Part;
use super::turn::wants_lia;
use crate::config::rollout::{Networks, PreflightLimits, VirtualIps};
use crate::fleet::desired::{Desired, Serves};
use crate::fleet::name;
use crate::fleet::shown::Shown;
use crate::model::cluster::Sds;
use crate::model::order::{Component, Preflight};
use crate::model::preflight::{Servers, VirtualIp};
use crate::model::snapshot::Snapshot;
use crate::model::state::Connection;
use crate::model::version::Generation;

/// Where an SDS listens, when the MDM does not tell.
const SDS_PORT: u16 = 7072;

/// The virtual addresses that a node shall be able to carry as a manager of the cluster that is made.
fn virtual_ips(record: &Record, part: &Part, unused: bool) -> Vec<VirtualIp> {
    let moving = part.rollout.mdm.as_ref().and_then(|mdm| mdm.virtual_ips.as_ref());
    let one = |moving: &VirtualIps| {
        let pairs = moving.ips.iter().zip(moving.on(&record.node));
        pairs.map(|(ip, interface)| VirtualIp { ip: *ip, interface: interface.clone(), unused }).collect()
    };
    moving.map(one).unwrap_or_default()
}

/// What a node is to be good for. What the system would have to say is left out until it answers, and then asked once.
pub(super) fn asked(
    record: &Record,
    at: &BTreeSet<Box<str>>,
    part: &Part,
    way: Way<'_>,
    wished: &Desired,
    shown: Option<&Shown<'_>>,
    has_seats: bool,
) -> Option<Preflight> {
    let Way { networks, others } = way;
    let snapshot = shown.map(|shown| shown.snapshot);
    let array = snapshot.and_then(|snapshot| snapshot.array.as_ref());
    let mut components = Vec::new();
    if part.rollout.mdm.is_some() {
        components.push(Component::Mdm);
    }
    // Until its disks were looked at nobody knows whether it gives some.
    let serves = wished.servers.contains_key(&record.node);
    if record.judged.is_none() || serves {
        components.push(Component::Sds);
    }
    components.push(Component::Sdc);
    // Who will have a seat of the MDM cluster is not known before there is one.
    if part.rollout.lia.is_some() && snapshot.is_some_and(|snapshot| wants_lia(at, part, snapshot)) {
        components.push(Component::Lia);
    }
    let generation = snapshot.map(|snapshot| snapshot.generation);
    // Where clients find the MDM changed with 4.x.
    let port = if generation.is_some_and(|generation| generation >= Generation::V4) { 8611 } else { 6611 };
    let managers = array.and_then(|array| array.mdm.as_ref()).map(steps::living).unwrap_or_default();
    let managers_are_none = managers.is_empty();
    let name = name::in_system(&record.node);
    let named = shown.and_then(|shown| shown.server_named(&name));
    let another = named.filter(|sds| !sds.addresses.iter().any(|address| at.contains(&address.ip)));
    let PreflightLimits { mtu, link_mbit, peers } = part.rollout.preflight;
    let taken = another.and_then(|sds| sds.addresses.first()?.ip.parse::<IpAddr>().ok());
    let asked = Preflight {
        components,
        generation,
        reach: managers.into_iter().map(|ip| SocketAddr::new(ip, port).to_string()).collect(),
        mtu,
        link_mbit,
        servers: others.map(|all| servers(&name, at, serves, networks, all, peers.into())).unwrap_or_default(),
        volumes: part.system.volumes.is_some() && record.source.agent.is_some(),
        // Who leads has them from the beginning of a cluster.
        virtual_ips: virtual_ips(record, part, !has_seats && managers_are_none),
        taken: taken.map(|ip| (name.clone(), ip)).into_iter().collect(),
        name: Some(name),
        ..Preflight::default()
    };
    // While the system is silent, a better question was asked before.
    let knew_more = record.preflight.as_ref().is_some_and(|checked| *checked.about != *steps::about(&asked));
    (array.is_some() || !knew_more).then_some(asked)
}

/// By which networks a node comes to others, and to whom.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) networks: &'a Networks,
    pub(super) others: Option<&'a Peers<'a>>,
}

/// Servers that are there and heard, in the order of their names: looked through once, and then asked for each node.
pub(super) struct Peers<'a>(Vec<&'a Sds>);

impl<'a> Peers<'a> {
    /// Of a system. One that is away tells nothing of the way.
    pub(super) fn of(snapshot: &'a Snapshot) -> Self {
        let all = snapshot.sds.iter().flat_map(|sds| sds.iter());
        let mut heard: Vec<&Sds> = all.filter(|sds| sds.connection.is(Connection::Connected)).collect();
        heard.sort_by_key(|sds| (sds.name.as_deref(), &sds.id));
        Self(heard)
    }

    /// Those after a name, then those before it.
    fn after(&self, name: &str) -> impl Iterator<Item = &'a Sds> {
        let first = self.0.partition_point(|sds| sds.name.as_deref().is_none_or(|other| other <= name));
        let (before, after) = self.0.split_at(first);
        after.iter().chain(before).copied()
    }
}

/// Servers that a node must reach: a few after its own name, so that each is tried by some.
fn servers(
    name: &str,
    at: &BTreeSet<Box<str>>,
    serves: bool,
    networks: &Networks,
    all: &Peers<'_>,
    peers: usize,
) -> Vec<Servers> {
    let is_own = |sds: &&Sds| sds.addresses.iter().any(|address| at.contains(&address.ip));
    // Of each the addresses that this node may use, where they are in a network.
    let found = |is_in: &dyn Fn(&str) -> bool, by: String| {
        let of = |sds: &Sds| -> Vec<String> {
            let port = sds.port.unwrap_or(SDS_PORT);
            let fits = sds.addresses.iter().filter(|address| {
                let role = address.role.as_deref().and_then(Serves::of).unwrap_or(Serves::All);
                is_in(&address.ip) && (serves || role != Serves::Servers)
            });
            let ips = fits.filter_map(|address| address.ip.parse().ok());
            ips.map(|ip| SocketAddr::new(ip, port).to_string()).collect()
        };
        let others = all.after(name).filter(|sds| !is_own(sds));
        let at: Vec<String> = others.map(of).filter(|at| !at.is_empty()).take(peers).flatten().collect();
        Servers { by, at, must_answer: networks.place_servers() }
    };
    let groups = if !networks.place_servers() {
        vec![found(&|_| true, "any network".to_owned())]
    } else if serves {
        let Networks { data, sds_only, sdc_only, .. } = networks;
        let all = data.iter().chain(sds_only).chain(sdc_only);
        all.map(|network| found(&|ip| network.has(ip), network.to_string())).collect()
    } else {
        let Networks { data, sdc_only, .. } = networks;
        let is_for_clients = |ip: &str| data.iter().chain(sdc_only).any(|network| network.has(ip));
        vec![found(&is_for_clients, "a network for clients".to_owned())]
    };
    groups.into_iter().filter(|group| !group.at.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::Arc;

    use crate::model::cluster::SdsAddress;
    use crate::model::id::{ObjectId, SystemId};
    use crate::model::snapshot::{Part as Slot, Table};
    use crate::model::state::Seen;
    use crate::model::unit::Timestamp;

    fn sds(number: u64, name: &str, addresses: Vec<SdsAddress>) -> Sds {
        let connection = if name == "c" { Connection::Disconnected } else { Connection::Connected };
        Sds {
            name: Some(name.into()),
            addresses,
            connection: Seen::Is(connection),
            ..Sds::unknown(ObjectId::from_number(number).into())
        }
    }

    /// Servers a, b, c and d with two data networks and one for servers alone; c is away.
    fn snapshot() -> Snapshot {
        let now = Timestamp::UNIX_EPOCH;
        let all = (1..).zip(["a", "b", "c", "d"]).map(|(number, name)| {
            let roles = [(1, "all"), (2, "all"), (3, "sdsOnly")];
            let address = |(network, role): (u8, &str)| SdsAddress {
                ip: format!("10.{network}.0.{number}").into(),
                role: Some(role.into()),
            };
            sds(number, name, roles.map(address).into())
        });
        let mut snapshot = Snapshot::empty(SystemId::new("prod"), Generation::V3_5, 0, now);
        snapshot.sds = Some(Slot { begun_at: now, taken_at: now, value: Arc::new(Table::new(all.collect())) });
        snapshot
    }

    fn told(name: &str, at: &[&str], serves: bool, networks: &Networks, peers: usize) -> Vec<String> {
        let snapshot = snapshot();
        let at = at.iter().map(|ip| (*ip).into()).collect();
        let groups = servers(name, &at, serves, networks, &Peers::of(&snapshot), peers);
        groups.iter().map(|group| format!("{} {}: {}", group.by, group.must_answer, group.at.join(" "))).collect()
    }

    #[test]
    fn a_server_asks_some_of_the_others_in_each_network_and_a_client_any_of_theirs_for_clients() {
        let networks = Networks {
            data: vec!["10.1.0.0/24".parse().unwrap()],
            sds_only: vec!["10.3.0.0/24".parse().unwrap()],
            ..Networks::default()
        };
        assert_eq!(
            told("b", &["10.1.0.2"], true, &networks, 2),
            ["10.1.0.0/24 true: 10.1.0.4:7072 10.1.0.1:7072", "10.3.0.0/24 true: 10.3.0.4:7072 10.3.0.1:7072"],
            "those after it, without the one that is away"
        );
        assert_eq!(
            told("x", &["10.9.0.9"], false, &networks, 1),
            ["a network for clients true: 10.1.0.1:7072"],
            "never an address that is for servers alone"
        );
        assert_eq!(
            told("x", &["10.9.0.9"], true, &Networks::default(), 1),
            ["any network false: 10.1.0.1:7072 10.2.0.1:7072 10.3.0.1:7072"]
        );
        assert!(told("x", &[], true, &networks, 0).is_empty());
        assert!(told("x", &["10.1.0.1", "10.1.0.2", "10.1.0.4"], true, &networks, 3).is_empty(), "there is no other");
    }
}
