//! Which addresses of a host are for what? Pure.
//!
//! What a node says by its attributes goes before what a rule of the topology says, and that before what holds for all
//! nodes. A host has one address in each network; where it has more, the one is meant that the server, or the member of the
//! MDM cluster, is found at already.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use crate::config::rollout::{Networks, Roles, Rollout, Topology};
use crate::model::network::Network;

use super::bootstrap::list;
use super::desired::{Address, Host, Refusal, Serves};
use super::filter;

/// Addresses of a host that parts of the system on it are found at already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Its server.
    pub by_server: BTreeSet<Box<str>>,
    /// Its member of the MDM cluster.
    pub by_member: BTreeSet<Box<str>>,
}

/// By which networks the addresses of a server were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// What becomes of the roles of one that is there already.
    pub roles: Roles,
    /// All of them.
    pub networks: Vec<Network>,
}

/// By which networks the addresses of a server are found; none: by no network.
pub fn placed(networks: &Networks) -> Option<Placed> {
    let Networks { data, sds_only, sdc_only, roles, .. } = networks;
    let all = || data.iter().chain(sds_only).chain(sdc_only).copied().collect();
    networks.place_servers().then(|| Placed { roles: *roles, networks: all() })
}

/// The networks of a node.
pub fn of<'a>(rollout: &'a Rollout, host: &Host) -> Cow<'a, Networks> {
    let of_rule = match &rollout.topology {
        Topology::Declared { rules, .. } => {
            rules.iter().find(|rule| filter::selects(rule, host)).and_then(|rule| rule.networks.as_ref())
        }
        Topology::OnePool | Topology::Attributes => None,
    };
    let plain = of_rule.unwrap_or(&rollout.networks);
    let Ok(own) = host.placement.as_ref().map(|placement| &placement.networks) else { return Cow::Borrowed(plain) };
    if !own.place_servers() && own.management.is_empty() {
        return Cow::Borrowed(plain);
    }
    let mut networks = plain.clone();
    if own.place_servers() {
        networks.data.clone_from(&own.data);
        networks.sds_only.clone_from(&own.sds_only);
        networks.sdc_only.clone_from(&own.sdc_only);
    }
    if !own.management.is_empty() {
        networks.management.clone_from(&own.management);
    }
    Cow::Owned(networks)
}

/// The addresses of a node's server.
pub fn of_server(networks: &Networks, host: &Host) -> Result<Vec<Address>, Vec<Refusal>> {
    if !networks.place_servers() {
        return if host.addresses.is_empty() { Err(vec![Refusal::NoAddress]) } else { Ok(host.addresses.clone()) };
    }
    let Networks { data, sds_only, sdc_only, .. } = networks;
    let lists = [(data, Serves::All), (sds_only, Serves::Servers), (sdc_only, Serves::Clients)];
    let all = lists.into_iter().flat_map(|(networks, serves)| networks.iter().map(move |network| (network, serves)));
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    for (network, serves) in all {
        match within(network, host, &host.used.by_server, &host.used.by_member) {
            Ok(ip) => found.push(Address { ip: ip.into(), serves }),
            Err(refusal) => wrong.push(refusal),
        }
    }
    if wrong.is_empty() { Ok(found) } else { Err(wrong) }
}

/// Where the member of an MDM cluster on a node is found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfMember {
    /// By all others.
    pub ips: Vec<IpAddr>,
    /// By people and gateways, where that is elsewhere.
    pub management_ips: Vec<IpAddr>,
    /// Whether somebody said by which networks.
    pub by_networks: bool,
}

impl fmt::Display for OfMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}", list(&self.ips))?;
        if self.management_ips.is_empty() {
            return Ok(());
        }
        write!(f, ", for people and gateways at {}", list(&self.management_ips))
    }
}

/// The addresses of the member of the MDM cluster on a node. A tie-breaker has none for people.
pub fn of_member(networks: &Networks, host: &Host, is_manager: bool) -> Result<OfMember, Refusal> {
    let all = |networks: &[Network]| -> Result<Vec<IpAddr>, Refusal> {
        let texts = networks
            .iter()
            .map(|network| within(network, host, &host.used.by_member, &host.used.by_server))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(texts.into_iter().filter_map(|ip| ip.parse().ok()).collect())
    };
    let of_mdm = networks.of_mdm();
    let known = || host.addresses.iter().filter_map(|address| address.ip.parse().ok()).collect();
    Ok(OfMember {
        ips: if of_mdm.is_empty() { known() } else { all(&of_mdm)? },
        management_ips: if is_manager { all(&networks.management)? } else { Vec::new() },
        by_networks: !of_mdm.is_empty(),
    })
}

/// The one address that a host has in a network: of several its own, else that of the other part of the system there.
fn within<'a>(
    network: &Network,
    host: &'a Host,
    own: &BTreeSet<Box<str>>,
    other: &BTreeSet<Box<str>>,
) -> Result<&'a str, Refusal> {
    let all: Vec<&str> = host.known_at.iter().map(|ip| &**ip).filter(|ip| network.has(ip)).collect();
    let is_known = |ip: &str| host.addresses.iter().any(|address| &*address.ip == ip);
    let used = |by: &BTreeSet<Box<str>>| all.iter().find(|ip| by.contains(**ip));
    let preferred = used(own).or_else(|| used(other)).or_else(|| all.iter().find(|ip| is_known(ip))).copied();
    match (&all[..], preferred) {
        ([], _) => Err(Refusal::NoAddressIn { network: *network, has: host.known_at.iter().cloned().collect() }),
        (_, Some(ip)) => Ok(ip),
        ([ip], None) => Ok(*ip),
        (all, None) => {
            Err(Refusal::SeveralIn { network: *network, addresses: all.iter().map(|ip| (*ip).into()).collect() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::collections::BTreeMap;

    use crate::config::rollout::{DiskFilter, NodeRule};
    use crate::fleet::attributes::Placement;
    use crate::model::id::NodeName;

    fn networks(data: &[&str], sds_only: &[&str], sdc_only: &[&str]) -> Networks {
        let all = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Networks { data: all(data), sds_only: all(sds_only), sdc_only: all(sdc_only), ..Networks::default() }
    }

    /// It is known by the first of its addresses.
    fn host(ips: &[&str]) -> Host {
        let known = ips.first().map(|ip| Address { ip: (*ip).into(), serves: Serves::All });
        Host {
            name: NodeName::new("n1"),
            attributes: BTreeMap::new(),
            placement: Ok(Placement::default()),
            addresses: known.into_iter().collect(),
            known_at: ips.iter().map(|ip| (*ip).into()).collect(),
            used: Used::default(),
            disks: None,
        }
    }

    fn told(networks: &Networks, host: &Host) -> String {
        match of_server(networks, host) {
            Ok(all) => {
                all.iter().map(|one| format!("{}={}", one.ip, one.serves.as_str())).collect::<Vec<_>>().join(" ")
            }
            Err(wrong) => wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        }
    }

    #[test]
    fn a_server_has_one_address_in_each_network_with_its_role() {
        let host = host(&["192.168.0.7", "10.1.0.7", "10.2.0.7", "10.3.0.7"]);
        assert_eq!(told(&Networks::default(), &host), "192.168.0.7=all", "without networks as it is known");
        let two = networks(&["10.1.0.0/24", "10.2.0.0/24"], &[], &[]);
        assert_eq!(told(&two, &host), "10.1.0.7=all 10.2.0.7=all");
        let split = networks(&[], &["10.1.0.0/24"], &["10.2.0.0/24", "10.3.0.0/24"]);
        assert_eq!(told(&split, &host), "10.1.0.7=sdsOnly 10.2.0.7=sdcOnly 10.3.0.7=sdcOnly");
    }

    #[test]
    fn a_network_that_the_host_is_not_in_is_named_with_what_it_has() {
        let wanted = networks(&["10.1.0.0/24", "10.9.0.0/24", "10.8.0.0/24"], &[], &[]);
        let told = told(&wanted, &host(&["192.168.0.7", "10.1.0.7"]));
        assert!(told.contains("has no address in network 10.9.0.0/24; it has 10.1.0.7, 192.168.0.7"), "{told}");
        assert!(told.contains("network 10.8.0.0/24"), "all are told: {told}");
    }

    #[test]
    fn of_several_addresses_in_a_network_the_one_in_use_is_meant_and_else_somebody_must_say() {
        let wanted = networks(&["10.1.0.0/24"], &[], &[]);
        let mut host = host(&["192.168.0.7", "10.1.0.7", "10.1.0.8"]);
        let unclear = told(&wanted, &host);
        assert!(unclear.contains("10.1.0.7, 10.1.0.8") && unclear.contains("scaleio-ip-all"), "{unclear}");
        host.used.by_member = ["10.1.0.8".into()].into();
        assert_eq!(told(&wanted, &host), "10.1.0.8=all");
        host.used = Used::default();
        host.addresses = vec![Address { ip: "10.1.0.7".into(), serves: Serves::All }];
        assert_eq!(told(&wanted, &host), "10.1.0.7=all");
    }

    #[test]
    fn a_server_keeps_its_own_address_and_a_member_of_the_mdm_cluster_its_own() {
        let wanted = networks(&["10.1.0.0/24"], &[], &[]);
        let mut host = host(&["192.168.0.7", "10.1.0.7", "10.1.0.8"]);
        for (server, member) in [("10.1.0.7", "10.1.0.8"), ("10.1.0.8", "10.1.0.7")] {
            host.used = Used { by_server: [server.into()].into(), by_member: [member.into()].into() };
            assert_eq!(told(&wanted, &host), format!("{server}=all"));
            assert_eq!(of_member(&wanted, &host, true).unwrap().ips, [member.parse::<IpAddr>().unwrap()]);
        }
        host.used.by_member.clear();
        assert_eq!(of_member(&wanted, &host, true).unwrap().ips, ["10.1.0.8".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn a_node_s_own_word_goes_before_its_rule_s_and_that_before_what_holds_for_all() {
        let rule = NodeRule {
            name: "fast".into(),
            hosts: vec!["n*".into()],
            attributes: BTreeMap::new(),
            domain: "d".into(),
            pool: "p".into(),
            fault_set: None,
            fault_set_attribute: None,
            disks: DiskFilter::default(),
            networks: Some(networks(&["10.2.0.0/24"], &[], &[])),
        };
        let declared = Topology::Declared { domains: BTreeMap::new(), rules: vec![rule] };
        let mut rollout = Rollout { networks: networks(&["10.1.0.0/24"], &[], &[]), ..Rollout::default() };
        rollout.networks.management = vec!["192.168.0.0/24".parse().unwrap()];
        let mut host = host(&["192.168.0.7"]);
        let data = |rollout: &Rollout, host: &Host| of(rollout, host).data.first().unwrap().to_string();
        assert_eq!(data(&rollout, &host), "10.1.0.0/24");
        rollout.topology = declared;
        assert_eq!(data(&rollout, &host), "10.2.0.0/24");
        host.placement = Ok(Placement { networks: networks(&["10.3.0.9"], &[], &[]), ..Placement::default() });
        assert_eq!(data(&rollout, &host), "10.3.0.9");
        rollout.topology = Topology::OnePool;
        assert_eq!(of(&rollout, &host).management.len(), 1, "of which it says nothing stays");
    }

    #[test]
    fn a_member_of_the_mdm_cluster_is_found_in_all_data_networks_and_its_manager_by_people_elsewhere() {
        let host = host(&["192.168.0.7", "10.1.0.7", "10.2.0.7"]);
        let mut wanted = networks(&["10.1.0.0/24", "10.2.0.0/24"], &[], &[]);
        wanted.management = vec!["192.168.0.0/24".parse().unwrap()];
        let told = |networks: &Networks, is_manager: bool| {
            let member = of_member(networks, &host, is_manager).unwrap();
            let list = |ips: &[IpAddr]| ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            format!("{} {}", list(&member.ips), list(&member.management_ips))
        };
        assert_eq!(told(&wanted, true), "10.1.0.7,10.2.0.7 192.168.0.7");
        assert_eq!(told(&wanted, false), "10.1.0.7,10.2.0.7 ");
        wanted.mdm = vec!["10.2.0.0/24".parse().unwrap()];
        assert_eq!(told(&wanted, true), "10.2.0.7 192.168.0.7");
        assert_eq!(told(&networks(&[], &["10.1.0.0/24"], &["10.2.0.0/24"]), true), "10.2.0.7 ");
        assert_eq!(told(&Networks::default(), true), "192.168.0.7 ");
        wanted.management = vec!["172.16.0.0/24".parse().unwrap()];
        assert!(of_member(&wanted, &host, true).unwrap_err().to_string().contains("172.16.0.0/24"));
        assert!(of_member(&wanted, &host, false).is_ok(), "a tie-breaker needs none");
    }
}
