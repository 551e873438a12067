//! Does each row say ok, warn and fail where it should, and does a fail name a mend?

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::*;
use crate::agent::recipes::driver::Workshop;
use crate::agent::recipes::os::Os;
use crate::model::preflight::{VirtualIp, carries_no_virtual_ip};

fn os(id: &str, version: &str) -> Result<Os, String> {
    Os::read(&format!("ID={id}\nVERSION_ID={version}\nPRETTY_NAME=\"{id} {version}\"\n"))
}

/// A machine on which everything is well.
fn machine() -> Machine {
    Machine {
        os: os("centos", "7"),
        hostname: "node-1".to_owned(),
        kernel: "3.10.0-1160.el7".to_owned(),
        driver: Driver {
            is_loaded: false,
            cached: vec!["3.6.100.101".to_owned()],
            repository: None,
            workshop: Workshop { flag: false, tools: false, headers: false },
        },
        listening: Some([22].into()),
        running: [].into(),
        links: vec![Link { name: "eth0".to_owned(), mtu: Some(9000), mbit: Some(10_000), is_up: true }],
        addresses: ["192.0.2.11".parse::<IpAddr>().unwrap()].into(),
        clock_ahead_s: Some(0),
        reached: vec![Reached {
            address: "192.0.2.1:6611".to_owned(),
            by: Some("eth0".to_owned()),
            taken: Ok(()),
            whole: Some(Ok(())),
        }],
        servers: Vec::new(),
        space: [("/opt".to_owned(), Ok(50_000)), ("/var".to_owned(), Ok(50_000))].into(),
        memory_mib: Some(16_000),
        moving: Vec::new(),
        mesos: None,
    }
}

fn asked() -> Preflight {
    Preflight {
        components: vec![Component::Mdm, Component::Sds, Component::Sdc],
        release: Some("3.6-100.101".to_owned()),
        mtu: Some(9000),
        link_mbit: Some(10_000),
        ..Preflight::default()
    }
}

/// The rows that are not ok, by name.
fn complaints(asked: &Preflight, machine: &Machine) -> BTreeMap<String, (Verdict, String)> {
    let rows = judge(asked, machine);
    for row in &rows {
        assert_eq!(row.verdict == Verdict::Ok, row.mend.is_empty(), "a row that is not ok says what helps: {row:?}");
        assert!(!row.found.is_empty() && !row.wanted.is_empty(), "{row:?}");
    }
    let bad = rows.into_iter().filter(|row| row.verdict != Verdict::Ok);
    bad.map(|row| (row.name, (row.verdict, format!("{}; {}", row.found, row.mend)))).collect()
}

/// A virtual address that nobody may have yet.
fn moving(interface: &str, is_on: Option<bool>, taken: Option<&str>) -> Moving {
    let asked = VirtualIp { ip: "192.0.2.100".parse().unwrap(), interface: interface.to_owned(), unused: true };
    Moving { asked, is_on, taken: taken.map(str::to_owned) }
}

/// What is changed of a machine on which all is well, the row that says so, how hard, and a word of it.
type Case = (&'static str, fn(&mut Preflight, &mut Machine), &'static str, Verdict, &'static str);

const CASES: &[Case] = &[
    ("an unknown system", |_, m| m.os = os("alpine", "3.19"), "operating system", Verdict::Fail, "alpine"),
    ("no packages by the vendor", |_, m| m.os = os("debian", "12"), "operating system", Verdict::Warn, "vendor"),
    ("no package manager", |_, m| m.os = os("flatcar", "3760.2"), "operating system", Verdict::Warn, "plain files"),
    (
        "no MDM package in 4.x",
        |a, _| a.generation = Some(Generation::V4),
        "release",
        Verdict::Fail,
        "PowerFlex Manager",
    ),
    ("no kernel told", |_, m| m.kernel.clear(), "kernel", Verdict::Fail, ""),
    (
        "a module of another release only",
        |a, _| a.release = Some("3.6-200.1".into()),
        "driver",
        Verdict::Fail,
        "3.10.0",
    ),
    (
        "loaded, and no module of the next",
        |a, m| {
            a.release = Some("3.6-200.1".into());
            m.driver.is_loaded = true;
        },
        "driver",
        Verdict::Fail,
        "3.10.0",
    ),
    ("no SDC yet", |_, m| m.driver.cached.clear(), "driver", Verdict::Warn, "no SDC was installed yet"),
    (
        "a repository",
        |_, m| {
            m.driver.cached.clear();
            m.driver.repository = Some("sftp://mirror".into());
        },
        "driver",
        Verdict::Warn,
        "sftp://mirror",
    ),
    ("a port of others", |_, m| m.listening = Some([7072].into()), "port 7072 (sds)", Verdict::Fail, "sport = :7072"),
    ("sockets not told", |_, m| m.listening = None, "port 7072 (sds)", Verdict::Warn, "sockets"),
    ("a small MTU", |_, m| m.links[0].mtu = Some(1500), "MTU of eth0", Verdict::Fail, "mtu 9000"),
    (
        "a small MTU nobody asked about",
        |a, m| {
            a.mtu = None;
            m.links[0].mtu = Some(1400);
        },
        "MTU of eth0",
        Verdict::Warn,
        "1400",
    ),
    ("a slow link", |_, m| m.links[0].mbit = Some(1000), "speed of eth0", Verdict::Fail, "1000 Mbit/s"),
    ("a virtual link", |_, m| m.links[0].mbit = None, "speed of eth0", Verdict::Warn, "not told"),
    ("no link", |_, m| m.links.clear(), "links", Verdict::Warn, "/sys/class/net"),
    ("a clock a little off", |_, m| m.clock_ahead_s = Some(-30), "clock", Verdict::Warn, "30 s behind"),
    ("a wrong clock", |_, m| m.clock_ahead_s = Some(3600), "clock", Verdict::Fail, "3600 s ahead"),
    ("a clock nobody compared", |_, m| m.clock_ahead_s = None, "clock", Verdict::Warn, "no controller"),
    (
        "a closed port",
        |_, m| m.reached[0].taken = Err("Connection refused".into()),
        "reach 192.0.2.1:6611 (MDM, for clients)",
        Verdict::Fail,
        "firewalls",
    ),
    (
        "packets that are cut",
        |_, m| m.reached[0].whole = Some(Err("message too long".into())),
        "packets to 192.0.2.1:6611",
        Verdict::Warn,
        "switch",
    ),
    ("little space", |_, m| drop(m.space.insert("/opt".into(), Ok(2_000))), "space in /opt", Verdict::Warn, "2000 MiB"),
    ("no space", |_, m| drop(m.space.insert("/opt".into(), Ok(100))), "space in /opt", Verdict::Fail, "make room"),
    (
        "space not told",
        |_, m| drop(m.space.insert("/opt".into(), Err("df failed".into()))),
        "space in /opt",
        Verdict::Warn,
        "df",
    ),
    ("little memory", |_, m| m.memory_mib = Some(2_000), "memory", Verdict::Warn, "2000 MiB"),
    ("far too little memory", |_, m| m.memory_mib = Some(200), "memory", Verdict::Fail, "200 MiB"),
    ("less memory than was asked for", |a, _| a.memory_mib = Some(64_000), "memory", Verdict::Fail, "16000 MiB"),
    (
        "a name of another host",
        |a, _| a.taken = [("node-1".into(), "192.0.2.99".parse().unwrap())].into(),
        "name",
        Verdict::Fail,
        "192.0.2.99",
    ),
    (
        "no interface for a virtual address",
        |_, m| m.moving = vec![moving("eth7", Some(true), None)],
        "virtual address 192.0.2.100",
        Verdict::Warn,
        "there is no interface eth7; give this host that interface",
    ),
    (
        "a virtual address of another network",
        |_, m| m.moving = vec![moving("eth0", Some(false), None)],
        "virtual address 192.0.2.100",
        Verdict::Warn,
        "no network of eth0 has it",
    ),
    (
        "networks not told",
        |_, m| m.moving = vec![moving("eth0", None, None)],
        "virtual address 192.0.2.100",
        Verdict::Warn,
        "cannot be read",
    ),
    (
        "a virtual address that somebody has",
        |_, m| m.moving = vec![moving("eth0", Some(true), Some("a neighbour says that it has it"))],
        "virtual address 192.0.2.100 is free",
        Verdict::Fail,
        "ip neigh show 192.0.2.100",
    ),
    ("no name", |_, m| m.hostname.clear(), "name", Verdict::Fail, "give the host a name"),
];

#[test]
fn a_node_that_cannot_carry_a_virtual_address_is_no_manager_and_one_that_was_not_asked_neither() {
    let told = |moving: Vec<Moving>| carries_no_virtual_ip(&judge(&asked(), &Machine { moving, ..machine() }));
    assert_eq!(told(vec![moving("eth0", Some(true), None)]), None);
    assert_eq!(told(vec![moving("eth0", Some(true), Some("x"))]), None, "whose it is says another row");
    assert!(told(vec![moving("eth0", Some(false), None)]).unwrap().contains("no network of eth0"));
    assert!(told(vec![]).unwrap().contains("not told yet"));
}

#[test]
fn a_good_node_has_no_complaint() {
    assert_eq!(complaints(&asked(), &machine()), BTreeMap::new());
}

#[test]
fn each_thing_that_is_wrong_is_told_in_its_row_alone() {
    for (what, change, row, verdict, words) in CASES {
        let (mut asked, mut machine) = (asked(), machine());
        change(&mut asked, &mut machine);
        let mut told = complaints(&asked, &machine);
        let (as_told, text) = told.remove(*row).unwrap_or_else(|| panic!("{what}: no row {row} in {told:?}"));
        assert_eq!(as_told, *verdict, "{what}: {text}");
        assert!(text.contains(words), "{what}: {text}");
        // One cause may have several effects, but none of them in other kinds of rows.
        let kind = row.split(' ').next().unwrap();
        assert!(told.keys().all(|other| other.starts_with(kind)), "{what}: also {told:?}");
    }
}

#[test]
fn a_host_of_any_length_of_name_is_good_by_the_name_that_the_system_will_know_it_by() {
    let long = Machine { hostname: "ip-10-0-12-34.us-west-2.compute.internal".to_owned(), ..machine() };
    let asked = Preflight { name: Some("ip-10-0-12-34-0123abcd".to_owned()), ..asked() };
    assert_eq!(complaints(&asked, &long), BTreeMap::new());
    assert_eq!(judge(&asked, &long)[0].found, "ip-10-0-12-34-0123abcd");
}

#[test]
fn what_is_ours_already_is_no_conflict() {
    let (asked, mut machine) = (asked(), machine());
    machine.listening = Some([7072, 9011, 6611].into());
    machine.running = [Component::Sds, Component::Tb].into();
    assert_eq!(complaints(&asked, &machine), BTreeMap::new());
    let named = Preflight { taken: [("node-1".into(), "192.0.2.11".parse().unwrap())].into(), ..asked };
    assert_eq!(complaints(&named, &machine), BTreeMap::new(), "the name is its own");
}

#[test]
fn of_several_managers_one_must_answer_and_the_others_are_told() {
    let at = |address: &str, answers: bool| Reached {
        address: address.to_owned(),
        by: Some("eth0".to_owned()),
        taken: if answers { Ok(()) } else { Err("Connection refused".to_owned()) },
        whole: None,
    };
    let told = |reached: Vec<Reached>| {
        let told = complaints(&asked(), &Machine { reached, ..machine() });
        told.into_iter().map(|(name, (verdict, _))| format!("{verdict} {name}")).collect::<Vec<_>>()
    };
    let (one, two) = ("192.0.2.1:6611", "192.0.2.2:6611");
    assert_eq!(told(vec![at(one, true), at(two, false)]), ["warn reach 192.0.2.2:6611 (MDM, for clients)"]);
    let none = ["FAIL reach 192.0.2.1:6611 (MDM, for clients)", "FAIL reach 192.0.2.2:6611 (MDM, for clients)"];
    assert_eq!(told(vec![at(one, false), at(two, false)]), none);
    let gateway = "192.0.2.3:443";
    assert_eq!(told(vec![at(one, true), at(gateway, false)]), ["FAIL reach 192.0.2.3:443 (gateway)"], "no manager");
    assert_eq!(told(vec![at(gateway, true), at(two, false)]), ["FAIL reach 192.0.2.2:6611 (MDM, for clients)"]);
}

#[test]
fn of_the_servers_of_each_network_one_must_answer_where_networks_were_said() {
    let at = |address: &str, answers: bool, whole: Option<Result<(), String>>| Reached {
        address: address.to_owned(),
        by: Some("eth0".to_owned()),
        taken: if answers { Ok(()) } else { Err("Connection refused".to_owned()) },
        whole,
    };
    let told = |must_answer: bool, reached: Vec<Reached>| {
        let servers = vec![Tried { by: "10.1.0.0/24".to_owned(), must_answer, reached }];
        let told = complaints(&asked(), &Machine { servers, ..machine() });
        told.into_iter().map(|(name, (verdict, _))| format!("{verdict} {name}")).collect::<Vec<_>>()
    };
    let (one, two) = ("10.1.0.1:7072", "10.1.0.2:7072");
    assert_eq!(told(true, vec![at(one, true, None), at(two, true, Some(Ok(())))]), [] as [&str; 0]);
    assert_eq!(
        told(true, vec![at(one, true, None), at(two, false, None)]),
        ["warn reach 10.1.0.2:7072 (SDS, by 10.1.0.0/24)"]
    );
    assert_eq!(told(true, vec![at(one, false, None)]), ["FAIL reach 10.1.0.1:7072 (SDS, by 10.1.0.0/24)"]);
    assert_eq!(told(false, vec![at(one, false, None)]), ["warn reach 10.1.0.1:7072 (SDS, by 10.1.0.0/24)"]);
    let cut = Some(Err("message too long".to_owned()));
    assert_eq!(told(true, vec![at(one, true, cut)]), ["warn packets to 10.1.0.1:7072"]);
}
