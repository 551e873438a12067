//! What shall be, from each topology and each contradiction.

use super::*;

use crate::config::rollout::{DeclaredDomain, Roles};
use crate::model::id::SystemId;
use crate::model::mesos::AttributeValue;

use super::super::attributes;

fn host(name: &str, said: &[(&str, &str)], disks: &[&str]) -> Host {
    let mut values: BTreeMap<Box<str>, Vec<AttributeValue>> = BTreeMap::new();
    for (key, value) in said {
        values.entry((*key).into()).or_default().push(AttributeValue::Text((*value).into()));
    }
    Host {
        name: NodeName::new(name),
        attributes: said.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        placement: attributes::read(&values, &[SystemId::new("prod")].into()),
        addresses: vec![Address { ip: format!("10.0.0.{name}").into(), serves: Serves::All }],
        known_at: BTreeSet::new(),
        used: Used::default(),
        disks: Some(disks.iter().map(|path| disk(path)).collect()),
    }
}

fn disk(path: &str) -> Disk {
    Disk {
        path: path.into(),
        aliases: BTreeSet::new(),
        now: None,
        size: Bytes::from_gib(500),
        rotational: false,
        is_device: false,
        held: None,
    }
}

/// One line for each node.
fn told(desired: &Desired) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, server) in &desired.servers {
        let set = server.fault_set.as_deref().unwrap_or("-");
        let devices: Vec<String> = server.devices.iter().map(|(path, pool)| format!("{path}>{pool}")).collect();
        lines.push(format!("{name} {}/{set} {}", server.domain, devices.join(" ")));
    }
    lines.extend(
        desired.refused.iter().flat_map(|(name, all)| all.iter().map(move |why| format!("{name} refused: {why}"))),
    );
    lines.extend(desired.idle.iter().map(|(name, why)| format!("{name} idle: {why}")));
    lines
}

fn rollout(topology: Topology) -> Rollout {
    Rollout { topology, ..Rollout::default() }
}

#[test]
fn a_disk_that_is_named_by_a_name_that_stays_is_given_by_that_one_and_one_that_is_held_by_none() {
    let link: Box<str> = "/dev/disk/by-id/wwn-1".into();
    let with = |said: &str, change: &dyn Fn(&mut Disk)| {
        let mut host =
            host("1", &[("scaleio-sds-domains", "d1"), ("scaleio-sds-d1", "p1"), ("scaleio-sds-p1", said)], &[]);
        let mut one = Disk { aliases: [link.clone(), "/dev/sdb".into()].into(), ..disk("/dev/sdb") };
        one.now = Some("/dev/sdb".into());
        change(&mut one);
        host.disks = Some(vec![one]);
        desired(&rollout(Topology::Attributes), &[host])
    };
    let by_link = with(&link, &|_| ());
    assert_eq!(told(&by_link), ["1 d1/- /dev/disk/by-id/wwn-1>p1"]);
    let server = by_link.servers.values().next().unwrap();
    assert_eq!(
        (server.path_of("/dev/sdb"), server.path_of("/dev/sdz")),
        (&*link, "/dev/sdz"),
        "as the MDM may show it"
    );
    assert_eq!(told(&with("/dev/sdb", &|_| ())), ["1 d1/- /dev/sdb>p1"]);
    assert_eq!(told(&with(&link, &|disk| disk.is_device = true)), ["1 d1/- /dev/sdb>p1"], "the MDM knows it already");
    let held = with("/dev/sdb", &|disk| disk.held = Some(Filtered::Moved));
    assert!(told(&held)[0].contains("names /dev/sdb, which has not the name that it was seen with first"), "{held:?}");
}

#[test]
fn one_pool_takes_every_free_disk_of_every_node() {
    let mut late = host("3", &[], &[]);
    late.disks = None;
    let hosts = [
        host("1", &[("scaleio-fault-set", "fs1")], &["/dev/sdb", "/dev/sdc"]),
        host("2", &[], &["/dev/sda"]),
        late,
        host("4", &[], &[]),
    ];
    let desired = desired(&rollout(Topology::OnePool), &hosts);
    assert_eq!(
        told(&desired),
        [
            "1 default/fs1 /dev/sdb>default /dev/sdc>default",
            "2 default/- /dev/sda>default",
            "3 idle: its agent has not yet said what disks there are",
            "4 idle: it has no free disk",
        ]
    );
    assert_eq!(desired.domains["default"].fault_sets, ["fs1".into()].into());
    // Every node consumes, those without disks too.
    assert_eq!(desired.clients.len(), 4);
}

#[test]
fn attributes_are_obeyed_and_consumers_never_become_servers() {
    let provides = [
        ("scaleio-sds-domains", "d1"),
        ("scaleio-sds-d1", "p1,p2"),
        ("scaleio-sds-p1", "/dev/sdb"),
        ("scaleio-sds-p2", "/dev/sdc"),
    ];
    let hosts = [
        host("1", &provides, &["/dev/sdb", "/dev/sdc", "/dev/sdd"]),
        host("2", &[("scaleio-sdc-domains", "d1"), ("scaleio-sdc-d1", "p1")], &["/dev/sdb"]),
        host("3", &[], &["/dev/sdb"]),
        host("4", &provides, &["/dev/sdb"]),
        host("5", &[("scaleio-sds-domains", "d1,d2")], &["/dev/sdb"]),
        host("6", &[("scaleio-persona", "king")], &["/dev/sdb"]),
    ];
    let desired = desired(&rollout(Topology::Attributes), &hosts);
    assert_eq!(
        told(&desired),
        [
            "1 d1/- /dev/sdb>p1 /dev/sdc>p2",
            "3 default/- /dev/sdb>default",
            "4 refused: names /dev/sdc, which it does not have or which is not free; `sio check node` tells which",
            "5 refused: provides to the domains d1, d2, but one server serves one domain; keep one of them",
            "6 refused: has wrong attributes: attribute scaleio-persona is \"king\"; write primary, secondary, tiebreaker or data",
        ]
    );
    let clients: Vec<&str> = desired.clients.iter().map(NodeName::as_str).collect();
    assert_eq!(clients, ["1", "2", "3"]);
}

fn rule(name: &str, hosts: &[&str], attributes: &[(&str, &str)]) -> NodeRule {
    NodeRule {
        name: name.into(),
        hosts: hosts.iter().map(|pattern| (*pattern).into()).collect(),
        attributes: attributes.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        domain: "d1".into(),
        pool: "p1".into(),
        fault_set: None,
        fault_set_attribute: Some("rack".into()),
        disks: DiskFilter { deny: vec!["/dev/sda".into()], ..DiskFilter::default() },
        networks: None,
    }
}

#[test]
fn declared_rules_select_by_name_and_attribute_and_contradictions_are_refused() {
    let domains = [("d1".into(), DeclaredDomain { pools: [("p1".into(), Default::default())].into() })].into();
    let rules = vec![rule("fast", &["1*"], &[("kind", "storage")]), rule("all-11", &["11"], &[])];
    let racked = |name: &str, rack: &str| host(name, &[("kind", "storage"), ("rack", rack)], &["/dev/sda", "/dev/sdb"]);
    let hosts = [
        racked("10", "r1"),
        racked("11", "r1"),
        host("12", &[("kind", "compute")], &["/dev/sdb"]),
        host("13", &[("kind", "storage")], &["/dev/sdb"]),
        host("14", &[("kind", "storage"), ("rack", "r2")], &["/dev/sda"]),
        racked("20", "r1"),
    ];
    let desired = desired(&rollout(Topology::Declared { domains, rules }), &hosts);
    assert_eq!(
        told(&desired),
        [
            "10 d1/r1 /dev/sdb>p1",
            "11 refused: is selected by the rules fast, all-11; change their selectors so that one fits",
            "13 refused: rule fast takes the fault set from attribute rack, which the node has not; set it",
            "14 idle: no disk passes the filter: /dev/sda is denied",
        ]
    );
    assert!(desired.clients.contains(&NodeName::new("12")) && desired.clients.contains(&NodeName::new("20")));
    assert!(!desired.clients.contains(&NodeName::new("11")));
}

#[test]
fn who_only_consumes_gives_no_disk_in_any_topology_and_who_says_what_it_gives_gives_no_other() {
    let consumes = [("scaleio-sdc-domains", "d1"), ("scaleio-sdc-d1", "p1")];
    let provides = [("scaleio-sds-domains", "d1"), ("scaleio-sds-d1", "p1"), ("scaleio-sds-p1", "/dev/sdb")];
    let both: Vec<(&str, &str)> = consumes.iter().chain(&provides).copied().collect();
    let disks = &["/dev/sdb", "/dev/sdc"];
    let hosts =
        [host("1", &consumes, disks), host("2", &provides, disks), host("3", &both, disks), host("4", &[], disks)];
    let clients = |desired: &Desired| desired.clients.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");

    let one_pool = desired(&rollout(Topology::OnePool), &hosts);
    let refused = "refused: says by scaleio-sds-* which disks it gives, and topology one_pool would take all of them; \
                   write topology = \"attributes\", or take those attributes away";
    assert_eq!(
        told(&one_pool),
        ["4 default/- /dev/sdb>default /dev/sdc>default".to_owned(), format!("2 {refused}"), format!("3 {refused}")]
    );
    assert_eq!(clients(&one_pool), "1 4");

    let by_attributes = desired(&rollout(Topology::Attributes), &hosts);
    let told_of = ["2 d1/- /dev/sdb>p1", "3 d1/- /dev/sdb>p1", "4 default/- /dev/sdb>default /dev/sdc>default"];
    assert_eq!(told(&by_attributes), told_of);
    assert_eq!(clients(&by_attributes), "1 2 3 4");

    let declared = |pattern: &str| {
        let domains = [("d1".into(), DeclaredDomain { pools: [("p1".into(), Default::default())].into() })].into();
        let rule = NodeRule { fault_set_attribute: None, ..rule("all", &[pattern], &[]) };
        desired(&rollout(Topology::Declared { domains, rules: vec![rule] }), &hosts)
    };
    let all = declared("*");
    let refused = "refused: says by scaleio-sds-* which disks it gives, and rule all decides that; write topology = \
                   \"attributes\", or take those attributes away";
    assert_eq!(
        told(&all),
        ["4 d1/- /dev/sdb>p1 /dev/sdc>p1".to_owned(), format!("2 {refused}"), format!("3 {refused}")]
    );
    assert_eq!(clients(&all), "1 4", "a pattern means no consumer");
    assert_eq!(
        told(&declared("1")),
        [
            "1 refused: says by scaleio-sdc-* that it only consumes, and rule all names it as one that provides; take it \
          out of one of the two"
        ]
    );
    assert_eq!(clients(&declared("4")), "1 2 3 4", "no rule, no disk");
}

#[test]
fn a_fault_set_stays_in_one_domain_and_others_go_on() {
    let in_domain = |domain: &'static str| {
        [
            ("scaleio-fault-set", "rack1"),
            ("scaleio-sds-domains", domain),
            (if domain == "d1" { "scaleio-sds-d1" } else { "scaleio-sds-d2" }, "p"),
            ("scaleio-sds-p", "/dev/sdb"),
        ]
    };
    let hosts = [
        host("1", &in_domain("d1"), &["/dev/sdb"]),
        host("2", &in_domain("d2"), &["/dev/sdb"]),
        host("3", &in_domain("d1"), &["/dev/sdb"]),
    ];
    assert_eq!(
        told(&desired(&rollout(Topology::Attributes), &hosts)),
        [
            "1 d1/rack1 /dev/sdb>p",
            "3 d1/rack1 /dev/sdb>p",
            "2 refused: fault set rack1 is in domain d1, where 1 put it, and a fault set is in one domain; name another one",
        ]
    );
}

#[test]
fn a_node_that_is_not_in_all_networks_is_left_out_and_names_them_and_others_go_on() {
    let mut rollout = rollout(Topology::OnePool);
    rollout.networks.data = vec!["10.1.0.0/24".parse().unwrap(), "10.2.0.0/24".parse().unwrap()];
    let with = |name: &str, ips: &[&str]| {
        let known_at = ips.iter().map(|ip| (*ip).into()).collect();
        Host { known_at, ..host(name, &[], &["/dev/sdb"]) }
    };
    let hosts = [with("1", &["10.0.0.1", "10.1.0.1", "10.2.0.1"]), with("2", &["10.0.0.2", "10.1.0.2"])];
    let desired = desired(&rollout, &hosts);
    assert_eq!(
        told(&desired),
        ["1 default/- /dev/sdb>default", "2 refused: has no address in network 10.2.0.0/24; it has 10.0.0.2, 10.1.0.2"]
    );
    let server = &desired.servers[&NodeName::new("1")];
    let at: Vec<String> = server.addresses.iter().map(ToString::to_string).collect();
    let placed = server.placed.as_ref().map(|placed| (placed.roles, placed.networks.len()));
    assert_eq!((at.join(" ").as_str(), placed), ("10.1.0.1 10.2.0.1", Some((Roles::Widen, 2))));
    assert_eq!(super::desired(&Rollout { topology: Topology::OnePool, ..Rollout::default() }, &hosts).servers.len(), 2);
}
