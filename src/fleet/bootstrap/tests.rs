//! Does each situation lead to the one right order, or to its reason?

use super::*;
use crate::model::mdm::Place;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

fn ip(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

/// Node `n1` has the address that ends with 1.
fn view(last: u8, installed: Option<Kind>, word: Option<MdmWord>) -> NodeView {
    NodeView {
        at: Ok(OfMember { ips: vec![ip(last)], ..OfMember::default() }),
        known_at: BTreeSet::new(),
        interfaces: Vec::new(),
        is_heard: true,
        is_busy: false,
        installed,
        word: word.map(|word| (at(10), word)),
    }
}

const M: Option<Kind> = Some(Kind::Manager);
const T: Option<Kind> = Some(Kind::TieBreaker);

fn wish(seats: &[(&str, Seat)]) -> Wish {
    Wish {
        generation: Generation::V3_5,
        members: Mode::Three,
        seats: seats.iter().map(|(name, seat)| (NodeName::new(name), *seat)).collect(),
        lost: BTreeSet::new(),
        name: None,
        licence: None,
        virtual_ips: Vec::new(),
    }
}

const THREE: [(&str, Seat); 3] = [("n1", Seat::Manager), ("n2", Seat::Manager), ("n3", Seat::TieBreaker)];

fn nodes(views: Vec<(&str, NodeView)>) -> BTreeMap<NodeName, NodeView> {
    views.into_iter().map(|(name, view)| (NodeName::new(name), view)).collect()
}

fn cluster(mode: Mode, state: &str, members: &[(&str, Place, u8, Option<&str>)]) -> MdmWord {
    let member = |(name, place, last, status): &(&str, Place, u8, Option<&str>)| MemberSeen {
        name: (*name).to_owned(),
        id: format!("0x{last}"),
        place: *place,
        ips: vec![ip(*last)],
        management_ips: Vec::new(),
        status: status.map(str::to_owned),
        version: None,
    };
    MdmWord::Cluster(Cluster {
        name: None,
        mode: Some(mode),
        state: state.to_owned(),
        virtual_ips: None,
        members: members.iter().map(member).collect(),
    })
}

const MADE: Known = Known { is_made: true, has_password: true, licence: None };

/// The steps as `node: what`, and the reasons.
fn told(next: &Next) -> (Vec<String>, Vec<String>) {
    let step = |step: &Step| match &step.what {
        What::Install(component) => format!("{}: install {component}", step.node),
        What::Cluster { change, .. } => format!("{}: {}", step.node, change.name()),
    };
    (next.steps.iter().map(step).collect(), next.waits.iter().map(ToString::to_string).collect())
}

fn decide(wish: &Wish, known: &Known, nodes: &BTreeMap<NodeName, NodeView>) -> (Vec<String>, Vec<String>) {
    told(&next(wish, known, nodes, at(5)))
}

#[test]
fn bare_nodes_are_all_installed_at_once_and_nothing_is_made_before_all_managers_are_free() {
    let wish = wish(&THREE);
    let bare = nodes(vec![("n1", view(1, None, None)), ("n2", view(2, None, None)), ("n3", view(3, None, None))]);
    assert_eq!(decide(&wish, &Known::default(), &bare).0, ["n1: install mdm", "n2: install mdm", "n3: install tb"]);
    let half = nodes(vec![("n1", view(1, M, Some(MdmWord::Free))), ("n2", view(2, M, None)), ("n3", view(3, T, None))]);
    assert_eq!(decide(&wish, &Known::default(), &half).0, ["n2: mdm_look"]);
    let mut silent = half;
    silent.get_mut(&NodeName::new("n2")).unwrap().is_heard = false;
    let (steps, waits) = decide(&wish, &Known::default(), &silent);
    assert!(steps.is_empty() && waits[0].contains("n2"), "a manager that is not heard may have a cluster: {waits:?}");
    let free = |last| view(last, M, Some(MdmWord::Free));
    let ready = nodes(vec![("n1", free(1)), ("n2", free(2)), ("n3", view(3, T, None))]);
    assert_eq!(decide(&wish, &Known::default(), &ready).0, ["n1: mdm_create"]);
    let (steps, waits) = decide(&wish, &MADE, &ready);
    assert!(steps.is_empty() && waits[0].contains("a second time"), "{waits:?}");
    let old = told(&next(&wish, &Known::default(), &ready, at(11)));
    assert_eq!(old.0, ["n1: mdm_look", "n2: mdm_look"], "old words are not believed");
}

#[test]
fn a_manager_that_does_not_lead_is_used_to_find_the_one_that_does() {
    let nodes = nodes(vec![
        ("n1", view(1, M, Some(MdmWord::Free))),
        ("n2", view(2, M, Some(MdmWord::Bound))),
        ("n3", view(3, T, None)),
    ]);
    let next = next(&wish(&THREE), &Known::default(), &nodes, at(5));
    let ask = vec![ip(1), ip(2)];
    assert_eq!(next.steps, [Step { node: NodeName::new("n2"), what: What::Cluster { change: Change::Look, ask } }]);
}

#[test]
fn a_cluster_grows_member_by_member_and_switches_once() {
    let one = |members: &[(&str, Place, u8, Option<&str>)]| {
        let mut all = vec![("n1", Place::Master, 1, None)];
        all.extend(members);
        cluster(Mode::One, "Normal", &all)
    };
    let steps = |known: &Known, word: MdmWord| {
        let nodes = nodes(vec![("n1", view(1, M, Some(word))), ("n2", view(2, M, None)), ("n3", view(3, T, None))]);
        decide(&wish(&THREE), known, &nodes).0
    };
    let (n2, n3) = (("n2", Place::StandbyManager, 2, None), ("n3", Place::StandbyTieBreaker, 3, None));
    assert_eq!(steps(&Known::default(), one(&[])), ["n1: mdm_password"]);
    assert_eq!(steps(&MADE, one(&[])), ["n1: mdm_add_standby"]);
    assert_eq!(steps(&MADE, one(&[n2])), ["n1: mdm_add_standby"]);
    assert_eq!(steps(&MADE, one(&[n2, n3])), ["n1: mdm_switch_mode"]);
    assert_eq!(
        steps(
            &MADE,
            cluster(
                Mode::Three,
                "Normal",
                &[
                    ("n1", Place::Master, 1, None),
                    ("n2", Place::Slave, 2, Some("Normal")),
                    ("n3", Place::TieBreaker, 3, Some("Normal")),
                ]
            )
        ),
        [] as [&str; 0]
    );
}

#[test]
fn a_lost_member_is_replaced_and_then_taken_out_but_only_when_it_was_declared_lost() {
    let hurt = |lost: Place, n4: Place| {
        cluster(
            Mode::Three,
            "Degraded",
            &[
                ("n1", Place::Master, 1, None),
                ("n2", lost, 2, Some("Disconnected")),
                ("n3", Place::TieBreaker, 3, Some("Normal")),
                ("n4", n4, 4, None),
            ],
        )
    };
    let at_work =
        |word: MdmWord| nodes(vec![("n1", view(1, M, Some(word))), ("n3", view(3, T, None)), ("n4", view(4, M, None))]);
    let seats = [("n1", Seat::Manager), ("n3", Seat::TieBreaker), ("n4", Seat::Manager)];
    let undeclared = wish(&seats);
    let declared = Wish { lost: [NodeName::new("n2")].into(), ..undeclared.clone() };
    let word = hurt(Place::Slave, Place::StandbyManager);
    assert_eq!(decide(&declared, &MADE, &at_work(word.clone())).0, ["n1: mdm_replace"]);
    let (steps, waits) = decide(&undeclared, &MADE, &at_work(word));
    assert!(steps.is_empty() && waits.iter().any(|wait| wait.contains("Degraded")), "{steps:?} {waits:?}");
    let replaced = hurt(Place::StandbyManager, Place::Slave);
    assert_eq!(decide(&declared, &MADE, &at_work(replaced.clone())).0, ["n1: mdm_remove_standby"]);
    assert_eq!(decide(&undeclared, &MADE, &at_work(replaced)).0, [] as [&str; 0]);
}

#[test]
fn a_node_of_a_long_name_is_a_member_by_a_short_one_and_is_known_by_it_when_it_is_lost() {
    const LONG: &str = "ip-10-0-12-34.us-west-2.compute.internal";
    let short = name::in_system(&NodeName::new(LONG));
    let seats = [(LONG, Seat::Manager), ("n3", Seat::TieBreaker), ("n4", Seat::Manager)];
    let free = |last| view(last, M, Some(MdmWord::Free));
    let ready = nodes(vec![(LONG, free(1)), ("n3", view(3, T, None)), ("n4", free(4))]);
    let [Step { what: What::Cluster { change: Change::Create { master, .. }, .. }, .. }] =
        &next(&wish(&seats), &Known::default(), &ready, at(5)).steps[..]
    else {
        panic!()
    };
    assert!(master.name == short && short.len() <= 31 && short.starts_with("ip-10-0-12-34-"), "{master:?}");

    let hurt = cluster(
        Mode::Three,
        "Degraded",
        &[
            (&short, Place::Slave, 1, Some("Disconnected")),
            ("n3", Place::TieBreaker, 3, Some("Normal")),
            ("n4", Place::Master, 4, None),
            ("n5", Place::StandbyManager, 5, None),
        ],
    );
    let at_work = nodes(vec![("n3", view(3, T, None)), ("n4", view(4, M, Some(hurt))), ("n5", view(5, M, None))]);
    let seats = [("n3", Seat::TieBreaker), ("n4", Seat::Manager), ("n5", Seat::Manager)];
    let declared = Wish { lost: [NodeName::new(LONG)].into(), ..wish(&seats) };
    assert_eq!(decide(&declared, &MADE, &at_work).0, ["n4: mdm_replace"]);
}

#[test]
fn what_is_not_ours_or_not_clear_is_told_and_left_alone() {
    let ours = cluster(Mode::Three, "Normal", &[("n1", Place::Master, 1, None)]);
    let far = cluster(Mode::Three, "Normal", &[("x1", Place::Master, 99, None)]);
    let three = |n1: Option<MdmWord>, n2: Option<MdmWord>| {
        nodes(vec![("n1", view(1, M, n1)), ("n2", view(2, M, n2)), ("n3", view(3, T, None))])
    };
    let wish_three = wish(&THREE);
    for (wish, nodes, words) in [
        (wish_three.clone(), three(Some(ours), Some(far.clone())), "two MDM clusters"),
        (wish_three.clone(), three(Some(far), None), "no node of ours"),
        (Wish { generation: Generation::V4, ..wish_three.clone() }, three(None, None), "PowerFlex Manager"),
        (
            Wish { members: Mode::One, ..wish(&[("n1", Seat::Manager)]) },
            three(
                Some(cluster(
                    Mode::Three,
                    "Normal",
                    &[
                        ("n1", Place::Master, 1, None),
                        ("n2", Place::Slave, 2, None),
                        ("n3", Place::TieBreaker, 3, None),
                    ],
                )),
                None,
            ),
            "never taken away",
        ),
        (
            wish_three,
            nodes(vec![("n1", view(1, T, None)), ("n2", view(2, M, None)), ("n3", view(3, T, None))]),
            "other role",
        ),
    ] {
        let (steps, waits) = decide(&wish, &MADE, &nodes);
        assert!(waits.iter().any(|wait| wait.contains(words)), "{words}: {steps:?} {waits:?}");
        assert!(steps.iter().all(|step| step.ends_with("look")), "{words}: {steps:?}");
    }
}

#[test]
fn virtual_addresses_are_given_when_it_is_made_and_each_manager_gets_its_interface() {
    let moving = vec![ip(100)];
    let wish = Wish { virtual_ips: moving.clone(), ..wish(&THREE) };
    let by = |last, kind, word| NodeView { interfaces: vec!["bond0".to_owned()], ..view(last, kind, word) };
    let steps = |nodes: &BTreeMap<NodeName, NodeView>, wish: &Wish, known: &Known| next(wish, known, nodes, at(5));
    let change = |next: &Next| match &next.steps[..] {
        [Step { what: What::Cluster { change, .. }, .. }] => change.clone(),
        other => panic!("{other:?} {:?}", next.waits),
    };
    let free = || Some(MdmWord::Free);
    let ready = nodes(vec![("n1", by(1, M, free())), ("n2", by(2, M, free())), ("n3", view(3, T, None))]);
    let Change::Create { master, virtual_ips } = change(&steps(&ready, &wish, &Known::default())) else { panic!() };
    assert_eq!((master.interfaces, virtual_ips), (vec!["bond0".to_owned()], moving.clone()));
    // Nobody says by which interface: it is not made.
    let without = nodes(vec![("n1", view(1, M, free())), ("n2", by(2, M, free())), ("n3", view(3, T, None))]);
    let (none, waits) = told(&steps(&without, &wish, &Known::default()));
    assert!(none.is_empty() && waits[0].contains("virtual_ip_interfaces_of"), "{none:?} {waits:?}");

    let made = |virtual_ips: Option<Vec<IpAddr>>, members: &[(&str, Place, u8, Option<&str>)]| {
        let MdmWord::Cluster(cluster) = cluster(Mode::One, "Normal", members) else { panic!() };
        MdmWord::Cluster(Cluster { virtual_ips, ..cluster })
    };
    let alone = [("n1", Place::Master, 1, None)];
    let second =
        |word: MdmWord, n2: NodeView| nodes(vec![("n1", by(1, M, Some(word))), ("n2", n2), ("n3", view(3, T, None))]);
    let with = second(made(Some(moving.clone()), &alone), by(2, M, None));
    let next = steps(&with, &wish, &MADE);
    assert!(matches!(change(&next), Change::AddStandby { member } if member.interfaces == ["bond0"]), "{next:?}");
    assert!(next.notes.is_empty(), "{:?}", next.notes);
    // What the cluster has counts: one without any takes a manager without an interface, and the difference is told.
    let plain = steps(&second(made(Some(Vec::new()), &alone), by(2, M, None)), &wish, &MADE);
    assert!(matches!(change(&plain), Change::AddStandby { member } if member.interfaces.is_empty()), "{plain:?}");
    let told_of = plain.notes[0].to_string();
    assert!(told_of.contains("has no virtual addresses, and 192.0.2.100 were asked for"), "{told_of}");
    assert!(plain.waits.is_empty(), "that keeps nothing: {:?}", plain.waits);
    let unasked = Wish { virtual_ips: Vec::new(), ..wish };
    let lacking = steps(&second(made(Some(moving), &alone), view(2, M, None)), &unasked, &MADE);
    let (_, waits) = told(&lacking);
    assert!(waits.iter().any(|wait| wait.contains("n2 shall be a manager")), "it could not lead: {waits:?}");
}

#[test]
fn a_member_is_taken_in_with_the_addresses_of_its_networks_and_keeps_those_it_was_taken_in_with() {
    let by_networks = |last: u8, data: u8, word: Option<MdmWord>| {
        let data = IpAddr::from([10, 1, 0, data]);
        let at = OfMember { ips: vec![data], management_ips: vec![ip(last)], by_networks: true };
        NodeView { at: Ok(at), known_at: [ip(last), data].into(), ..view(last, M, word) }
    };
    let free = || Some(MdmWord::Free);
    let ready =
        nodes(vec![("n1", by_networks(1, 1, free())), ("n2", by_networks(2, 2, free())), ("n3", view(3, T, None))]);
    let made = next(&wish(&THREE), &Known::default(), &ready, at(5));
    let [Step { what: What::Cluster { change: Change::Create { master, .. }, .. }, .. }] = &made.steps[..] else {
        panic!("{made:?}")
    };
    assert_eq!((&master.ips[..], &master.management_ips[..]), (&[IpAddr::from([10, 1, 0, 1])][..], &[ip(1)][..]));
    // Nobody knows where it is found: nothing is made.
    let mut without = ready;
    without.get_mut(&NodeName::new("n1")).unwrap().at = Err("has no address in network 10.1.0.0/24".into());
    let (steps, waits) = decide(&wish(&THREE), &Known::default(), &without);
    assert!(
        steps.is_empty() && waits[0].contains("n1 shall be a member of the cluster, and has no address"),
        "{waits:?}"
    );
    // One that was taken in by another address of its host is that member, and is told of.
    let there = cluster(Mode::One, "Normal", &[("n1", Place::Master, 1, None)]);
    let known =
        nodes(vec![("n1", by_networks(1, 1, Some(there))), ("n2", by_networks(2, 2, None)), ("n3", view(3, T, None))]);
    let on = next(&wish(&THREE), &MADE, &known, at(5));
    assert!(
        matches!(&on.steps[..], [Step { what: What::Cluster { change: Change::AddStandby { member }, .. }, .. }] if member.name == "n2"),
        "{on:?}"
    );
    let told_of = on.notes[0].to_string();
    assert!(told_of.contains("member on n1 is found at 192.0.2.1, and 10.1.0.1 were asked for"), "{told_of}");
}

#[test]
fn a_member_that_would_be_found_at_more_addresses_than_those_that_are_there_is_not_taken_in() {
    let word = cluster(Mode::One, "Normal", &[("n1", Place::Master, 1, None)]);
    let mut nodes =
        nodes(vec![("n1", view(1, M, Some(word))), ("n2", view(2, M, Some(MdmWord::Free))), ("n3", view(3, T, None))]);
    assert_eq!(decide(&wish(&THREE), &MADE, &nodes).0, ["n1: mdm_add_standby"]);
    for (name, last) in [("n2", 2), ("n3", 3)] {
        let two = OfMember { ips: vec![ip(last), ip(last + 100)], by_networks: true, ..OfMember::default() };
        nodes.get_mut(&NodeName::new(name)).unwrap().at = Ok(two);
    }
    let (steps, waits) = decide(&wish(&THREE), &MADE, &nodes);
    assert!(steps.is_empty(), "{steps:?}");
    let told = "members of the cluster at 1 each; set networks.mdm to the networks of the members";
    assert!(waits[0].starts_with("n2 would be found at") && waits[0].ends_with(told), "{waits:?}");
}
