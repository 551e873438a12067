//! Each change of the MDM cluster by way of an agent: done, already so, refused, and after a kill anywhere.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use scaleio_framework::model::command::Command;
use scaleio_framework::model::mdm::{Change, FOUND, Kind, MdmTask, MdmWord, Member, Mode};
use scaleio_framework::model::order::{Finished, Hidden, Order, Outcome, Secrets, Task};
use scaleio_framework::model::version::Generation;
use scaleio_framework::sim::scli::Landscape;
use sha2::{Digest, Sha256};

use super::effects;
use super::simulated::{At, Killed, SimHost, live, order};
use super::tasks::Place;

const PASSWORD: &str = "correct-horse-9";

pub(crate) fn member(name: &str, kind: Kind, ip: &str) -> Member {
    let ips = vec![ip.parse().unwrap()];
    Member { name: name.to_owned(), kind, ips, management_ips: Vec::new(), interfaces: Vec::new() }
}

/// What a person accepted, since the prompts of scli were never seen.
pub(crate) fn accepted() -> BTreeSet<String> {
    [Command::LoginAtPrompt, Command::SetPasswordAtPrompt].map(|command| command.to_string()).into()
}

fn mdm(id: &str, change: Change, ask: &[&str]) -> Order {
    let ask = ask.iter().map(|ip| ip.parse().unwrap()).collect();
    let task = MdmTask { generation: Generation::V3_5, ask, change, password_in_sight: false, accepted: accepted() };
    let text = matches!(task.change, Change::Licence { .. }).then(|| Hidden::new(LICENCE));
    let secrets = Secrets { mdm_admin: Some(Hidden::new(PASSWORD)), licence: text, ..Secrets::default() };
    Order { secrets, ..order(id, Task::Mdm(task)) }
}

/// A host with a manager, in a landscape with two more hosts.
fn host() -> SimHost {
    let mut land = Landscape::default();
    for (ip, is_manager) in [("192.0.2.1", true), ("192.0.2.2", true), ("192.0.2.3", false), ("192.0.2.4", true)] {
        land.install(ip, is_manager);
    }
    let mut host = SimHost::new("centos", "7");
    host.land = Arc::new(Mutex::new(land));
    host
}

fn create() -> Change {
    Change::Create { master: member("m1", Kind::Manager, "192.0.2.1"), virtual_ips: Vec::new() }
}

const LICENCE: &str = "MIID-hunter2";

fn licence(text: &str) -> Change {
    Change::Licence { sha256: format!("{:x}", Sha256::digest(text)) }
}

fn add(name: &str, kind: Kind, ip: &str) -> Change {
    Change::AddStandby { member: member(name, kind, ip) }
}

fn switch() -> Change {
    let (managers, tie_breakers) = (vec!["m2".to_owned()], vec!["t1".to_owned()]);
    Change::SwitchMode { mode: Mode::Three, managers, tie_breakers }
}

fn replace() -> Change {
    Change::Replace { lost: "m2".to_owned(), by: "m4".to_owned(), kind: Kind::Manager }
}

/// From a bare host to three members, renamed, and the second manager replaced.
fn steps() -> Vec<Change> {
    vec![
        create(),
        Change::Password,
        add("m2", Kind::Manager, "192.0.2.2"),
        add("t1", Kind::TieBreaker, "192.0.2.3"),
        switch(),
        Change::Rename { name: "prod".to_owned() },
        add("m4", Kind::Manager, "192.0.2.4"),
        replace(),
        Change::RemoveStandby { name: "m2".to_owned() },
    ]
}

/// The steps, as orders for the host of the first manager.
fn orders() -> Vec<Order> {
    let order = |(number, change): (usize, Change)| {
        let mut order = mdm(&format!("s{number}"), change, &["192.0.2.1"]);
        // That a lost one is replaced was seen for 2.x alone.
        if let Task::Mdm(task) = &mut order.task {
            task.accepted.insert(Command::ReplaceMember.to_string());
        }
        order
    };
    steps().into_iter().enumerate().map(order).collect()
}

/// The same, and what is no part of a bootstrap: another leader, and a licence.
fn all_orders() -> Vec<Order> {
    let more = [Change::Ownership { to: "m4".to_owned() }, licence(LICENCE)];
    let more = more.into_iter().enumerate().map(|(number, change)| {
        let mut order = mdm(&format!("m{number}"), change, &["192.0.2.1", "192.0.2.4"]);
        if let Task::Mdm(task) = &mut order.task {
            task.accepted.insert(Command::SwitchOwnership.to_string());
        }
        order
    });
    orders().into_iter().chain(more).collect()
}

const CHANGES: [&str; 11] = [
    "create m1",
    "set_password",
    "add m2",
    "add t1",
    "switch 3",
    "rename prod",
    "add m4",
    "replace m2 by m4",
    "remove m2",
    "owner m4",
    "licence",
];

fn why(finished: &Finished) -> &str {
    match &finished.outcome {
        Outcome::Failed { why } | Outcome::Refused { why } => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_bare_manager_becomes_a_cluster_step_by_step_and_each_step_is_done_once() {
    let (place, mut host) = (Place::new(), host());
    for order in orders() {
        let finished = place.does(&mut host, &order);
        assert_eq!(finished.outcome, Outcome::Done, "{order:?}: {finished:?}");
        let word: MdmWord = serde_json::from_str(&finished.found[FOUND]).unwrap();
        assert!(matches!(word, MdmWord::Cluster(_)), "the cluster is in every report: {word:?}");
    }
    assert_eq!(host.land.lock().unwrap().changes, CHANGES[..orders().len()]);
    for (number, order) in orders().into_iter().enumerate() {
        // What later steps undid is not so any more.
        if matches!(number, 2 | 4) {
            continue;
        }
        let again = Order { id: scaleio_framework::model::order::OrderId::new(format!("again{number}")), ..order };
        let finished = place.does(&mut host, &again);
        assert_eq!(finished.outcome, Outcome::AlreadySo, "{again:?}: {finished:?}");
    }
    assert_eq!(host.land.lock().unwrap().changes, CHANGES[..orders().len()]);
    let told = host.land.lock().unwrap().told("192.0.2.1").unwrap();
    assert!(told.contains("Name: prod, Mode: 3_node, State: Normal"), "{told}");
    for args in &host.seen_args {
        assert!(!args.contains(PASSWORD), "no password is among the arguments: {args}");
    }
}

#[test]
fn a_password_is_among_the_arguments_only_when_the_order_allows_it() {
    let (place, mut host) = (Place::new(), host());
    for (number, change) in [create(), Change::Password].into_iter().enumerate() {
        let mut order = mdm(&format!("s{number}"), change, &["192.0.2.1"]);
        if let Task::Mdm(task) = &mut order.task {
            task.password_in_sight = true;
            task.accepted.clear();
        }
        assert_eq!(place.does(&mut host, &order).outcome, Outcome::Done, "seen in use, so nobody has to accept it");
    }
    assert!(host.seen_args.iter().any(|args| args.contains(&format!("--password {PASSWORD}"))));
}

#[test]
fn after_a_kill_anywhere_each_step_is_ended_and_no_command_is_given_twice() {
    let (mut kills, mut killed) = (0, BTreeSet::new());
    for step in 0..all_orders().len() {
        for at in [At::Before, At::During, At::After] {
            for call in 1.. {
                let (place, mut host) = (Place::new(), host());
                for order in all_orders().iter().take(step) {
                    assert!(place.does(&mut host, order).outcome.is_good());
                }
                host.calls = 0;
                host.kill = Some((call, at));
                let order = all_orders().swap_remove(step);
                match live(&place.ledger(), &mut host, &order) {
                    Ok(_) => break,
                    Err(Killed) => host.kill = None,
                }
                let finished = place.does(&mut host, &order);
                assert!(finished.outcome.is_good(), "step {step}, killed {at:?} call {call}: {finished:?}");
                let mut changes = host.land.lock().unwrap().changes.clone();
                // Which licence a system has is nowhere told, so it is set once more; that is as good as once.
                changes.dedup_by(|next, before| next == before && before == "licence");
                assert_eq!(changes, CHANGES[..=step], "killed {at:?} call {call}");
                let left = host.node.files.values().any(|text| String::from_utf8_lossy(text).contains(LICENCE));
                assert!(!left, "killed {at:?} call {call}: a licence lies on the node");
                kills += 1;
                killed.insert(order.task.name().to_owned());
            }
        }
    }
    assert!(kills > 100, "{kills} kills");
    assert_eq!(killed, effects::of("after_a_kill_anywhere_each_step_is_ended_and_no_command_is_given_twice"));
}

#[test]
fn what_was_never_seen_is_not_given_unless_accepted_and_4_x_is_refused_by_name() {
    let (place, mut host) = (Place::new(), host());
    let own = Change::Ownership { to: "m2".to_owned() };
    let refused = place.does(&mut host, &mdm("1", own, &["192.0.2.1"]));
    assert!(why(&refused).contains("switch_mdm_ownership"), "{refused:?}");
    let mut order = mdm("2", Change::Password, &[]);
    if let Task::Mdm(task) = &mut order.task {
        task.accepted.clear();
    }
    let refused = place.does(&mut host, &order);
    assert!(why(&refused).contains("login_at_prompt"), "{refused:?}");
    let mut order = mdm("3", create(), &[]);
    if let Task::Mdm(task) = &mut order.task {
        task.generation = Generation::V4;
    }
    let refused = place.does(&mut host, &order);
    assert!(why(&refused).contains("4.x") && why(&refused).contains("PowerFlex Manager"), "{refused:?}");
    let refused = place.does(&mut host, &mdm("4", Change::Unknown, &[]));
    assert!(why(&refused).contains("another release"), "{refused:?}");
    assert!(host.seen_args.is_empty(), "nothing was asked or done");
}

#[test]
fn a_host_of_another_cluster_is_never_forced_and_one_of_ours_is_cleaned() {
    let (place, mut host) = (Place::new(), host());
    for order in orders().into_iter().take(3) {
        place.does(&mut host, &order);
    }
    // Another cluster is made at 192.0.2.4.
    let words: Vec<&str> =
        "--create_mdm_cluster --master_mdm_ip 192.0.2.4 --master_mdm_name x1 --accept_license --approve_certificate"
            .split(' ')
            .collect();
    assert_eq!(host.land.lock().unwrap().scli("192.0.2.4", &words, &[]).status, 0);
    let failed = place.does(&mut host, &mdm("a", add("m4", Kind::Manager, "192.0.2.4"), &["192.0.2.1"]));
    assert!(why(&failed).contains("another cluster") && why(&failed).contains("look there"), "{failed:?}");
    // Not created a second time either, on the host that has one.
    host.ip = "192.0.2.4".to_owned();
    let refused = place.does(&mut host, &mdm("b", create(), &[]));
    assert!(why(&refused).contains("x1"), "{refused:?}");
    host.ip = "192.0.2.1".to_owned();
    // One that was removed while it was down has something of its time here.
    host.land.lock().unwrap().power("192.0.2.2", false);
    let gone = mdm("c", Change::RemoveStandby { name: "m2".to_owned() }, &["192.0.2.1"]);
    assert_eq!(place.does(&mut host, &gone).outcome, Outcome::Done);
    host.land.lock().unwrap().power("192.0.2.2", true);
    let mut back = mdm("d", add("m2", Kind::Manager, "192.0.2.2"), &["192.0.2.1"]);
    let failed = place.does(&mut host, &back);
    assert!(why(&failed).contains("add_standby_mdm_force_clean"), "not seen for 3.5, and not accepted: {failed:?}");
    back.id = scaleio_framework::model::order::OrderId::new("e");
    if let Task::Mdm(task) = &mut back.task {
        task.generation = Generation::V2_0;
    }
    assert_eq!(place.does(&mut host, &back).outcome, Outcome::Done);
}

#[test]
fn a_wrong_password_and_a_host_without_scli_are_told() {
    let (place, mut host) = (Place::new(), host());
    for order in orders().into_iter().take(2) {
        place.does(&mut host, &order);
    }
    let mut order = mdm("w1", Change::Rename { name: "prod".to_owned() }, &["192.0.2.1"]);
    order.secrets.mdm_admin = Some(Hidden::new("wrong-one-1"));
    assert!(why(&place.does(&mut host, &order)).contains("does not take the password"));
    let mut order = mdm("w2", Change::Password, &["192.0.2.1"]);
    order.secrets.mdm_admin = Some(Hidden::new("wrong-one-1"));
    assert!(why(&place.does(&mut host, &order)).contains("neither"));
    let bare = mdm("w3", Change::Look, &[]);
    host.ip = "192.0.2.99".to_owned();
    assert!(why(&place.does(&mut host, &bare)).contains("no MDM answers"));
}

#[test]
fn a_cluster_gets_its_virtual_address_only_while_nobody_has_it() {
    let (place, mut host) = (Place::new(), host());
    let moving = || vec!["192.0.2.100".parse().unwrap()];
    let by = |member: Member| Member { interfaces: vec!["eth0".to_owned()], ..member };
    let make = || Change::Create { master: by(member("m1", Kind::Manager, "192.0.2.1")), virtual_ips: moving() };
    host.answers.push("192.0.2.100:9011".to_owned());
    let refused = place.does(&mut host, &mdm("1", make(), &[]));
    assert!(why(&refused).contains("192.0.2.100 shall be a virtual address"), "{refused:?}");
    host.answers.clear();
    // One that only says as a neighbour that it is there.
    let neighbour = "IP address HW type Flags HW address Mask Device\n192.0.2.100 0x1 0x2 52:54:00:12:34:56 * eth0\n";
    host.node.files.insert("/proc/net/arp".to_owned(), neighbour.as_bytes().to_vec());
    let refused = place.does(&mut host, &mdm("2", make(), &[]));
    assert!(why(&refused).contains("a neighbour"), "{refused:?}");
    assert!(host.land.lock().unwrap().changes.is_empty(), "nothing was made");
    host.node.files.remove("/proc/net/arp");
    assert_eq!(place.does(&mut host, &mdm("3", make(), &[])).outcome, Outcome::Done);
    // It answers now, since whoever leads has it: that is no reason against what is so.
    host.answers.push("192.0.2.100:9011".to_owned());
    let again = place.does(&mut host, &mdm("4", make(), &[]));
    assert_eq!(again.outcome, Outcome::AlreadySo);
    let word: MdmWord = serde_json::from_str(&again.found[FOUND]).unwrap();
    assert!(matches!(word, MdmWord::Cluster(cluster) if cluster.found_at() == moving()));
    assert_eq!(place.does(&mut host, &mdm("5", Change::Password, &["192.0.2.1"])).outcome, Outcome::Done);
    let lacking = mdm("6", add("m2", Kind::Manager, "192.0.2.2"), &["192.0.2.1"]);
    assert!(why(&place.does(&mut host, &lacking)).contains("needs an interface"));
    let second = Change::AddStandby { member: by(member("m2", Kind::Manager, "192.0.2.2")) };
    assert_eq!(place.does(&mut host, &mdm("7", second, &["192.0.2.1"])).outcome, Outcome::Done);
    let told = host.land.lock().unwrap().told("192.0.2.1").unwrap();
    assert!(told.contains("Virtual IPs: 192.0.2.100\n") && told.contains("Virtual IP interfaces: eth0"), "{told}");
}

#[test]
fn a_licence_is_on_the_node_only_while_it_is_set_and_a_wrong_one_is_refused() {
    let (place, mut host) = (Place::new(), host());
    for order in orders().into_iter().take(2) {
        place.does(&mut host, &order);
    }
    let none = mdm("1", licence(LICENCE), &["192.0.2.1"]);
    let none = Order { secrets: Secrets { licence: None, ..none.secrets.clone() }, ..none };
    assert!(why(&place.does(&mut host, &none)).contains("has no licence"));
    let other = mdm("2", licence("another"), &["192.0.2.1"]);
    assert!(why(&place.does(&mut host, &other)).contains("another one than it names"));
    assert_eq!(place.does(&mut host, &mdm("3", licence(LICENCE), &["192.0.2.1"])).outcome, Outcome::Done);
    assert_eq!(place.does(&mut host, &mdm("4", licence(LICENCE), &["192.0.2.1"])).outcome, Outcome::AlreadySo);
    assert_eq!(host.land.lock().unwrap().changes.last().map(String::as_str), Some("licence"));
    let ledger = std::fs::read_to_string(place.ledger()).unwrap();
    assert!(!ledger.contains(LICENCE) && host.seen_args.iter().all(|args| !args.contains(LICENCE)));
    assert!(host.node.files.values().all(|text| !String::from_utf8_lossy(text).contains(LICENCE)));
}
