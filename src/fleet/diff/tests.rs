//! Additions in order, drift that is left alone, and parts that are not seen.

use super::*;

use std::sync::Arc;

use crate::fleet::desired::{Domain, Serves};
use crate::model::cluster::{Device, FaultSet, ProtectionDomain, SdsAddress, StoragePool};
use crate::model::id::{ObjectId, SystemId};
use crate::model::snapshot::{Keyed, Part, Slot, Table};
use crate::model::state::Seen;
use crate::model::unit::Timestamp;
use crate::model::version::Generation;

/// What an MDM would hold after the additions, by their names.
#[derive(Clone, Debug, Default)]
struct Mdm {
    domains: Vec<ProtectionDomain>,
    fault_sets: Vec<FaultSet>,
    pools: Vec<StoragePool>,
    sds: Vec<Sds>,
    devices: Vec<Device>,
    made: u64,
}

impl Mdm {
    fn id<T: From<ObjectId>>(&mut self) -> T {
        self.made += 1;
        ObjectId::from_number(self.made).into()
    }

    fn domain(&self, name: &str) -> Option<ProtectionDomainId> {
        self.domains.iter().find(|one| one.name.as_deref() == Some(name)).map(|one| one.id.clone())
    }

    /// Does it, or says why an MDM would not.
    fn add(&mut self, addition: &Addition) -> Result<(), String> {
        let needs = |what: Option<_>| what.ok_or_else(|| format!("too early: {addition}"));
        match addition {
            Addition::Domain { name } => {
                let id = self.id();
                self.domains.push(ProtectionDomain {
                    id,
                    name: Some(name.clone()),
                    state: Seen::Other("".into()),
                    throttling: BTreeMap::new(),
                });
            }
            Addition::FaultSet { domain, name } => {
                let domain = needs(self.domain(domain))?;
                let id = self.id();
                self.fault_sets.push(FaultSet { id, name: Some(name.clone()), domain: Some(domain) });
            }
            Addition::Pool { domain, name } => {
                let domain = needs(self.domain(domain))?;
                let id = self.id();
                self.pools.push(pool(id, name, domain));
            }
            Addition::Server { node, domain, fault_set, addresses } => {
                let domain = needs(self.domain(domain))?;
                let fault_set = match fault_set {
                    None => None,
                    Some(name) => {
                        let set = self.fault_sets.iter().find(|set| set.name.as_ref() == Some(name));
                        Some(set.ok_or_else(|| format!("too early: {addition}"))?.id.clone())
                    }
                };
                let id = self.id();
                self.sds.push(sds(id, node, domain, fault_set, addresses));
            }
            Addition::Address { node, address } => {
                let sds = self.sds.iter_mut().find(|one| one.name.as_deref() == Some(node.as_str()));
                sds.ok_or_else(|| format!("too early: {addition}"))?.addresses.push(told_as(address));
            }
            Addition::Role { address, .. } => {
                let mut all = self.sds.iter_mut().flat_map(|sds| &mut sds.addresses);
                let own = all.find(|own| own.ip == address.ip);
                *own.ok_or_else(|| format!("too early: {addition}"))? = told_as(address);
            }
            // Another part of the plan tells of it.
            Addition::Setting { .. } => {}
            Addition::Device { node, path, pool } => {
                let server = self.sds.iter().find(|one| one.name.as_deref() == Some(node.as_str()));
                let server = server.ok_or_else(|| format!("too early: {addition}"))?;
                let (server, domain) = (server.id.clone(), server.domain.clone());
                let pool = self.pools.iter().find(|one| one.name.as_ref() == Some(pool) && one.domain == domain);
                let pool = pool.ok_or_else(|| format!("too early: {addition}"))?.id.clone();
                let id = self.id();
                self.devices.push(device(id, server, path, pool));
            }
        }
        Ok(())
    }

    fn snapshot(&self) -> Snapshot {
        fn slot<T: Keyed + Clone>(objects: &[T]) -> Slot<Table<T>> {
            let at = Timestamp::UNIX_EPOCH;
            Some(Part { begun_at: at, taken_at: at, value: Arc::new(Table::new(objects.to_vec())) })
        }
        Snapshot {
            domains: slot(&self.domains),
            fault_sets: slot(&self.fault_sets),
            pools: slot(&self.pools),
            sds: slot(&self.sds),
            devices: slot(&self.devices),
            ..Snapshot::empty(SystemId::new("prod"), Generation::V3_5, 1, Timestamp::UNIX_EPOCH)
        }
    }
}

fn pool(id: StoragePoolId, name: &str, domain: ProtectionDomainId) -> StoragePool {
    StoragePool { name: Some(name.into()), domain: Some(domain), ..StoragePool::unknown(id) }
}

fn sds(
    id: crate::model::id::SdsId,
    node: &NodeName,
    domain: ProtectionDomainId,
    fault_set: Option<FaultSetId>,
    addresses: &[Address],
) -> Sds {
    let addresses = addresses.iter().map(told_as).collect();
    Sds { name: Some(node.as_str().into()), domain: Some(domain), fault_set, addresses, ..Sds::unknown(id) }
}

fn told_as(address: &Address) -> SdsAddress {
    SdsAddress { ip: address.ip.clone(), role: Some(address.serves.as_str().into()) }
}

fn device(id: crate::model::id::DeviceId, server: crate::model::id::SdsId, path: &str, pool: StoragePoolId) -> Device {
    Device { sds: Some(server), pool: Some(pool), path: Some(path.into()), ..Device::unknown(id) }
}

fn server(domain: &str, fault_set: &str, ips: &[&str], devices: &[(&str, &str)]) -> Server {
    Server {
        domain: domain.into(),
        fault_set: (!fault_set.is_empty()).then(|| fault_set.into()),
        addresses: ips.iter().map(|ip| Address { ip: (*ip).into(), serves: Serves::All }).collect(),
        placed: None,
        known_at: BTreeSet::new(),
        devices: devices.iter().map(|(path, pool)| ((*path).into(), (*pool).into())).collect(),
        aliases: BTreeMap::new(),
    }
}

fn wished(servers: &[(&str, Server)]) -> Desired {
    let mut desired = Desired::default();
    for (name, server) in servers {
        let domain: &mut Domain = desired.domains.entry(server.domain.clone()).or_default();
        domain.fault_sets.extend(server.fault_set.clone());
        domain.pools.extend(server.devices.values().cloned());
        desired.servers.insert(NodeName::new(name), server.clone());
    }
    desired
}

fn two() -> Desired {
    wished(&[
        ("n1", server("d1", "r1", &["10.0.0.1"], &[("/dev/sdb", "p1"), ("/dev/sdc", "p2")])),
        ("n2", server("d1", "r2", &["10.0.0.2"], &[("/dev/sdb", "p1")])),
    ])
}

fn shown(difference: &Difference) -> (Vec<String>, Vec<String>) {
    (
        difference.additions.iter().map(ToString::to_string).collect(),
        difference.drift.iter().map(ToString::to_string).collect(),
    )
}

/// The MDM after everything that was wished was added in the given order.
fn built(desired: &Desired) -> Mdm {
    let mut mdm = Mdm::default();
    for addition in difference(desired, &mdm.snapshot()).unwrap().additions {
        mdm.add(&addition).unwrap();
    }
    mdm
}

#[test]
fn all_is_added_in_the_order_in_which_the_mdm_takes_it_and_then_nothing_is_left() {
    let (additions, drift) = shown(&difference(&two(), &Mdm::default().snapshot()).unwrap());
    assert_eq!(
        additions,
        [
            "add protection domain d1",
            "add fault set r1 to domain d1",
            "add fault set r2 to domain d1",
            "add storage pool p1 to domain d1",
            "add storage pool p2 to domain d1",
            "add n1 as SDS to domain d1, fault set r1",
            "add n2 as SDS to domain d1, fault set r2",
            "add /dev/sdb of n1 to pool p1",
            "add /dev/sdc of n1 to pool p2",
            "add /dev/sdb of n2 to pool p1",
        ]
    );
    assert!(drift.is_empty());
    assert_eq!(difference(&two(), &built(&two()).snapshot()).unwrap(), Difference::default());
}

#[test]
fn an_interrupted_addition_goes_on_where_it_stopped() {
    let all = difference(&two(), &Mdm::default().snapshot()).unwrap().additions;
    for stop in 0..all.len() {
        let mut mdm = Mdm::default();
        for addition in &all[..stop] {
            mdm.add(addition).unwrap();
        }
        assert_eq!(difference(&two(), &mdm.snapshot()).unwrap().additions, all[stop..], "stopped after {stop}");
    }
}

#[test]
fn what_differs_is_told_and_left_alone() {
    let mdm = built(&two());
    let changed = wished(&[
        ("n1", server("d1", "r2", &["10.0.0.1", "10.0.1.1"], &[("/dev/sdb", "p2")])),
        ("n2", server("d2", "", &["10.0.0.2"], &[("/dev/sdb", "p9")])),
    ]);
    let (additions, drift) = shown(&difference(&changed, &mdm.snapshot()).unwrap());
    assert_eq!(additions, ["add protection domain d2", "add storage pool p9 to domain d2"]);
    assert_eq!(
        drift,
        [
            "n1 is in fault set r1, not in fault set r2",
            "n1 has the addresses 10.0.0.1, not 10.0.0.1, 10.0.1.1",
            "/dev/sdb of n1 is in p1, not in p2",
            "/dev/sdc of n1 is a device that nobody wishes",
            "n2 is in domain d1, not in d2",
        ]
    );
}

#[test]
fn a_server_is_not_added_to_a_fault_set_of_another_domain_nor_a_second_time() {
    let mut mdm = built(&two());
    let elsewhere = wished(&[("n3", server("d2", "r1", &["10.0.0.3"], &[]))]);
    let (additions, drift) = shown(&difference(&elsewhere, &mdm.snapshot()).unwrap());
    assert_eq!(additions, ["add protection domain d2"]);
    assert_eq!(drift, ["fault set r1 is in domain d1, not in d2"]);
    // One host seen as two servers: nobody knows which one is meant.
    mdm.sds[1].addresses = mdm.sds[0].addresses.clone();
    let (additions, drift) = shown(&difference(&two(), &mdm.snapshot()).unwrap());
    assert!(!additions.iter().any(|one| one.contains("n1")), "{additions:?}");
    assert!(drift.contains(&"addresses of n1 belong to several SDSs: n1, n2".to_owned()), "{drift:?}");
}

#[test]
fn a_server_in_a_network_of_its_own_is_known_by_another_address_of_its_host_and_not_asked_for_again() {
    let there = wished(&[("n1", server("d1", "r1", &["192.168.7.1"], &[("/dev/sdb", "p1")]))]);
    let mdm = built(&there);
    let mut ours = server("d1", "r1", &["10.0.0.1"], &[("/dev/sdb", "p1"), ("/dev/sdc", "p1")]);
    let told = |ours: &Server| shown(&difference(&wished(&[("n1", ours.clone())]), &mdm.snapshot()).unwrap());
    assert!(told(&ours).0.contains(&"add n1 as SDS to domain d1, fault set r1".to_owned()), "nobody says whose it is");
    ours.known_at = ["192.168.7.1".into(), "192.168.8.1".into()].into();
    assert_eq!(told(&ours), (vec!["add /dev/sdc of n1 to pool p1".to_owned()], Vec::new()));
    ours.known_at = ["192.168.7.1".into()].into();
    let two = built(&wished(&[("n1", server("d1", "r1", &["192.168.7.1", "192.168.9.1"], &[("/dev/sdb", "p1")]))]));
    let (_, drift) = shown(&difference(&wished(&[("n1", ours)]), &two.snapshot()).unwrap());
    assert_eq!(
        drift,
        ["n1 has the addresses 192.168.7.1, 192.168.9.1, not 10.0.0.1"],
        "one that its host does not say"
    );
}

/// A server whose addresses were said by networks, and one that is there with others.
fn by_networks(is: &[(&str, &str)], wanted: &[(&str, Serves)], roles: Roles) -> (Vec<String>, Vec<String>) {
    let addresses = |serves: &[(&str, Serves)]| -> Vec<Address> {
        serves.iter().map(|(ip, serves)| Address { ip: (*ip).into(), serves: *serves }).collect()
    };
    let there = server("d1", "", &is.iter().map(|(ip, _)| *ip).collect::<Vec<_>>(), &[]);
    let mut mdm = built(&wished(&[("n1", there)]));
    for (own, (_, role)) in mdm.sds[0].addresses.iter_mut().zip(is) {
        own.role = Some((*role).into());
    }
    let known_at = is.iter().map(|(ip, _)| (*ip).into()).collect();
    let networks = ["10.1.0.0/24", "10.2.0.0/24", "10.3.0.0/24"].iter().map(|text| text.parse().unwrap()).collect();
    let placed = Some(Placed { roles, networks });
    let ours = Server { addresses: addresses(wanted), placed, known_at, ..server("d1", "", &[], &[]) };
    let wished = wished(&[("n1", ours)]);
    let found = difference(&wished, &mdm.snapshot()).unwrap();
    for addition in &found.additions {
        mdm.add(addition).unwrap();
    }
    let left = difference(&wished, &mdm.snapshot()).unwrap();
    assert!(left.additions.is_empty() && left.drift == found.drift, "not asked for again: {left:?}");
    shown(&found)
}

#[test]
fn a_server_that_is_there_gets_the_addresses_that_it_lacks_and_none_is_taken_away() {
    let both = [("10.1.0.1", Serves::All), ("10.2.0.1", Serves::Clients)];
    let (additions, drift) = by_networks(&[("10.0.0.1", "all"), ("10.1.0.1", "all")], &both, Roles::Widen);
    assert_eq!(additions, ["add 10.2.0.1 for clients alone to the SDS of n1"]);
    assert_eq!(drift, ["10.0.0.1 of the SDS of n1 is in none of its networks"]);
    let (_, drift) =
        by_networks(&[("10.1.0.1", "all"), ("10.1.0.9", "all"), ("10.2.0.1", "sdcOnly")], &both, Roles::Exact);
    assert_eq!(drift, [""; 0], "a second one in a network is none too many");
    assert_eq!(by_networks(&[("10.1.0.1", "all"), ("10.2.0.1", "sdcOnly")], &both, Roles::Exact), Default::default());
}

#[test]
fn an_address_serves_more_by_itself_and_fewer_only_when_a_person_says_so() {
    let is = [("10.1.0.1", "all"), ("10.2.0.1", "sdcOnly"), ("10.3.0.1", "all")];
    let wanted = [("10.1.0.1", Serves::Servers), ("10.2.0.1", Serves::All), ("10.3.0.1", Serves::All)];
    let wider = "let 10.2.0.1 of the SDS of n1 serve all";
    let (additions, drift) = by_networks(&is, &wanted, Roles::Widen);
    assert_eq!(additions, [wider]);
    assert_eq!(drift.len(), 1);
    assert!(
        drift[0].contains("10.1.0.1 of the SDS of n1 serves all, not servers alone; with networks.roles"),
        "{drift:?}"
    );
    let (additions, drift) = by_networks(&is, &wanted, Roles::Exact);
    assert_eq!(
        additions,
        [wider, "let 10.1.0.1 of the SDS of n1 serve servers alone"],
        "who is served by none would be last"
    );
    assert!(drift.is_empty(), "{drift:?}");
    // A role of another release is left alone.
    let (additions, drift) = by_networks(&[("10.1.0.1", "sdsSdsOnly")], &[("10.1.0.1", Serves::All)], Roles::Exact);
    assert!(additions.is_empty() && drift[0].contains("serves sdsSdsOnly, not all"), "{additions:?} {drift:?}");
}

#[test]
fn a_new_server_is_shown_with_its_addresses_where_there_is_more_to_say_than_one_for_all() {
    let mut ours = server("d1", "r1", &["10.1.0.1"], &[]);
    let told = |ours: &Server| {
        let additions = shown(&difference(&wished(&[("n1", ours.clone())]), &Mdm::default().snapshot()).unwrap()).0;
        additions.last().unwrap().clone()
    };
    assert_eq!(told(&ours), "add n1 as SDS to domain d1, fault set r1");
    ours.addresses.push(Address { ip: "10.2.0.1".into(), serves: Serves::Clients });
    assert_eq!(told(&ours), "add n1 as SDS to domain d1, fault set r1, at 10.1.0.1, 10.2.0.1 for clients alone");
}

#[test]
fn nothing_is_added_while_a_part_is_not_seen() {
    let mut snapshot = Mdm::default().snapshot();
    snapshot.devices = None;
    snapshot.pools = None;
    let unseen = difference(&two(), &snapshot).unwrap_err();
    assert_eq!(
        unseen.to_string(),
        "the gateway has not answered for storage_pools, devices; nothing is added until it does"
    );
}
