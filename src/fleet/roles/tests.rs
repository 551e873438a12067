//! Who sits where, and which reasons are told.

use super::*;

use proptest::prelude::*;

fn wanted(members: Mode) -> WantedMdm {
    WantedMdm { members, cores: 2, memory: Bytes::from_gib(3), ..WantedMdm::default() }
}

fn node(name: &str, rack: &str) -> Candidate {
    Candidate {
        name: NodeName::new(name),
        machine: [name.into()].into(),
        rack: (!rack.is_empty()).then(|| rack.into()),
        persona: None,
        cores: 4,
        memory: Bytes::from_gib(8),
        carries: BTreeSet::new(),
        no_member: None,
        no_manager: None,
        takes_packages: true,
    }
}

fn held(seats: &[(&str, Seat)]) -> BTreeMap<NodeName, Seat> {
    seats.iter().map(|(name, seat)| (NodeName::new(name), *seat)).collect()
}

fn told(choice: &Choice) -> Vec<String> {
    choice.seats.iter().map(|(name, seat)| format!("{name} {seat}")).collect()
}

fn warned(choice: &Choice) -> Vec<String> {
    choice.warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn three_members_go_to_three_racks() {
    let nodes = [node("a", "r1"), node("b", "r1"), node("c", "r2"), node("d", "r3")];
    let choice = choose(&wanted(Mode::Three), &BTreeMap::new(), &nodes);
    assert_eq!(told(&choice), ["a manager", "c manager", "d tie-breaker"]);
    assert_eq!(warned(&choice), Vec::<String>::new());
}

#[test]
fn a_rack_whose_loss_stops_the_cluster_is_told() {
    let nodes = [node("a", "r1"), node("b", "r1"), node("c", "r2")];
    let choice = choose(&wanted(Mode::Three), &BTreeMap::new(), &nodes);
    assert_eq!(warned(&choice), ["the loss of rack r1 stops the MDM cluster: it holds a, b; add nodes in other racks"]);
    let choice = choose(&wanted(Mode::Three), &BTreeMap::new(), &[node("a", ""), node("b", ""), node("c", "")]);
    assert_eq!(choice.warnings, [Warning::NoRacks]);
}

#[test]
fn living_members_stay_and_a_lost_one_is_replaced() {
    let nodes = [node("a", "r1"), node("b", "r2"), node("c", "r3"), node("d", "r2")];
    let before = held(&[("b", Seat::Manager), ("gone", Seat::Manager), ("c", Seat::TieBreaker)]);
    let choice = choose(&wanted(Mode::Three), &before, &nodes);
    assert_eq!(told(&choice), ["a manager", "b manager", "c tie-breaker"]);
    assert_eq!(warned(&choice), ["gone, which was manager, is lost; its seat is filled anew"]);
}

#[test]
fn a_member_beyond_the_wanted_number_is_not_taken_away() {
    let before = held(&[("a", Seat::Manager), ("b", Seat::Manager), ("c", Seat::TieBreaker)]);
    let nodes = [node("a", "r1"), node("b", "r2"), node("c", "r3")];
    assert_eq!(choose(&wanted(Mode::One), &before, &nodes).seats, before);
}

#[test]
fn who_was_named_comes_first_and_data_nodes_never_sit() {
    let mut nodes = [node("a", "r1"), node("b", "r1"), node("c", "r1"), node("d", "r2"), node("e", "r3")];
    nodes[1].persona = Some(Persona::Primary);
    nodes[2].persona = Some(Persona::TieBreaker);
    nodes[3].persona = Some(Persona::Data);
    let choice = choose(&wanted(Mode::Three), &BTreeMap::new(), &nodes);
    assert_eq!(told(&choice), ["b manager", "c tie-breaker", "e manager"]);
}

#[test]
fn two_agents_of_one_host_never_sit_together_and_each_refusal_is_told() {
    let mut nodes = [node("a", "r1"), node("b", "r2"), node("c", "r3"), node("d", "r4"), node("e", "r5")];
    // By another address, and of the same boot.
    nodes[0].machine.insert("boot of a".into());
    nodes[1].machine.insert("boot of a".into());
    nodes[2].cores = 1;
    nodes[2].persona = Some(Persona::Secondary);
    nodes[3].memory = Bytes::from_gib(2);
    nodes[4].takes_packages = false;
    let choice = choose(&wanted(Mode::Three), &BTreeMap::new(), &nodes);
    assert_eq!(told(&choice), ["a manager", "d tie-breaker"]);
    let [missing] = &choice.missing[..] else { panic!("{choice:?}") };
    let because: Vec<String> = missing.because.iter().map(|(name, why)| format!("{name} {why}")).collect();
    assert_eq!(
        (missing.seat, &because[..]),
        (
            Seat::Manager,
            &[
                "a is manager".to_owned(),
                "b is on the host of a, and one host carries one member".to_owned(),
                "c has 1 cores; a manager needs 2".to_owned(),
                "d has 2.0 GiB of memory; a manager needs 3.0 GiB".to_owned(),
                "e has no package manager, and an MDM comes as a package only".to_owned(),
            ][..]
        )
    );
}

#[test]
fn hosts_of_other_quorums_are_taken_last_and_told() {
    let mut nodes = [node("a", "r1"), node("b", "r2"), node("c", "r3"), node("d", "r4")];
    nodes[0].carries = [Carries::MesosMaster, Carries::ZooKeeper].into();
    nodes[1].carries = [Carries::ZooKeeper].into();
    let choice = choose(&wanted(Mode::Three), &BTreeMap::new(), &nodes);
    assert_eq!(told(&choice), ["b tie-breaker", "c manager", "d manager"]);
    assert_eq!(warned(&choice), ["b carries a member of the MDM cluster and a ZooKeeper server"]);
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let one = (0..4_u8, 0..5_u8, 0..6_u8, 1..6_u32, 1..10_u64);
    prop::collection::vec(one, 0..14).prop_map(|all| {
        let personas = [None, None, None, Some(Persona::Primary), Some(Persona::TieBreaker), Some(Persona::Data)];
        let make = |(place, (rack, machine, persona, cores, memory)): (usize, (u8, u8, u8, u32, u64))| Candidate {
            name: NodeName::new(&format!("n{place}")),
            // Some share a host.
            machine: [if machine == 0 { "shared".into() } else { format!("m{place}").into() }].into(),
            rack: (rack > 0).then(|| format!("r{rack}").into()),
            persona: personas[usize::from(persona)],
            cores,
            memory: Bytes::from_gib(memory),
            carries: BTreeSet::new(),
            no_member: None,
            no_manager: None,
            takes_packages: true,
        };
        all.into_iter().enumerate().map(make).collect()
    })
}

proptest! {
    #[test]
    fn whatever_the_nodes_no_host_sits_twice_and_every_free_seat_has_its_reasons(nodes in candidates(), five in any::<bool>()) {
        let wanted = WantedMdm { standby_managers: 1, ..wanted(if five { Mode::Five } else { Mode::Three }) };
        let choice = choose(&wanted, &BTreeMap::new(), &nodes);
        let of = |name: &NodeName| nodes.iter().find(|node| node.name == *name).unwrap();
        let machines: BTreeSet<_> = choice.seats.keys().map(|name| &of(name).machine).collect();
        prop_assert_eq!(machines.len(), choice.seats.len());
        prop_assert_eq!(choice.seats.len() + choice.missing.len(), seats_of(&wanted).count());
        for (name, seat) in &choice.seats {
            let node = of(name);
            prop_assert!(node.persona != Some(Persona::Data));
            prop_assert!(!seat.is_manager() || (node.cores >= wanted.cores && node.memory >= wanted.memory));
        }
        for missing in &choice.missing {
            prop_assert_eq!(missing.because.len(), nodes.len());
        }
        // Who sits stays, whatever the order in which the nodes are told.
        let mut turned = nodes.clone();
        turned.reverse();
        let again = choose(&wanted, &choice.seats, &turned);
        prop_assert_eq!(again.seats, choice.seats);
    }
}
