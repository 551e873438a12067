//! Whether seats are written down before anything is done, and what keeps a cluster is told.

use super::*;
use crate::model::mdm::MdmTask;
use crate::model::node::NodeFacts;
use crate::model::order::HostReport;
use crate::model::unit::Bytes;

pub(in crate::fleet::rollout) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

pub(in crate::fleet::rollout) fn node(number: u8) -> NodeName {
    NodeName::new(&format!("n{number}"))
}

pub(in crate::fleet::rollout) fn member(number: u8, seconds: i64) -> Member {
    let host = HostReport { os: "ID=centos\nVERSION_ID=7".to_owned(), ..HostReport::default() };
    Member { facts: Some(NodeFacts::bare(at(seconds))), host: Some(host), ..Member::new(node(number)) }
}

pub(in crate::fleet::rollout) fn candidate(number: u8) -> Candidate {
    Candidate {
        name: node(number),
        machine: [format!("192.0.2.{number}").into()].into(),
        rack: None,
        persona: None,
        cores: 8,
        memory: Bytes::from_gib(32),
        carries: BTreeSet::new(),
        no_member: None,
        no_manager: None,
        takes_packages: true,
    }
}

/// A site of three nodes.
pub(in crate::fleet::rollout) struct Site {
    pub(in crate::fleet::rollout) members: Vec<Member>,
    pub(in crate::fleet::rollout) candidates: Vec<Candidate>,
    pub(in crate::fleet::rollout) wanted: WantedMdm,
    pub(in crate::fleet::rollout) ready: bool,
    pub(in crate::fleet::rollout) may_change: Result<(), Why>,
    pub(in crate::fleet::rollout) run: Option<RunId>,
    gateway: Option<WantedGateway>,
    is_managed_apart: bool,
    licence: licence::Told,
    system: SystemId,
    has_password: bool,
    exists: Option<bool>,
}

impl Site {
    pub(in crate::fleet::rollout) fn new() -> Self {
        Self {
            members: (1..=3).map(|number| member(number, 0)).collect(),
            candidates: (1..=3).map(candidate).collect(),
            wanted: WantedMdm {
                accept: ["login_at_prompt", "set_password_at_prompt"].map(str::to_owned).into(),
                ..WantedMdm::default()
            },
            ready: true,
            may_change: Ok(()),
            run: None,
            gateway: None,
            is_managed_apart: false,
            licence: licence::Told::Nothing,
            system: SystemId::new("new"),
            has_password: true,
            exists: Some(false),
        }
    }

    pub(in crate::fleet::rollout) fn decide(&self, before: Option<&ClusterRecord>, seconds: i64) -> ClusterDecision {
        self.look(seconds, |view| decide(before, view))
    }

    pub(in crate::fleet::rollout) fn look<T>(&self, seconds: i64, decide: impl FnOnce(&ClusterView<'_>) -> T) -> T {
        let peer = |member: &Member| -> (NodeName, IpAddr) {
            let number = member.node.as_str().trim_start_matches('n').to_owned();
            (member.node.clone(), format!("192.0.2.{number}").parse().unwrap())
        };
        let peers = self.members.iter().map(|member| {
            let (name, ip) = peer(member);
            let at = || Ok(OfMember { ips: vec![ip], ..OfMember::default() });
            let peer = Peer {
                as_manager: at(),
                as_tie_breaker: at(),
                known_at: [ip].into(),
                member: Some(member),
                is_ready: self.ready,
                is_busy: false,
                is_laying: false,
            };
            (name, peer)
        });
        let exactly = |_: &str, release: &str, component: Component| {
            let name = format!("EMC-ScaleIO-{component}-{release}.el7.x86_64.rpm");
            Ok(Artefact { name, sha256: "0".to_owned(), size: 1, url: None })
        };
        let newest = |_: &str, pinned: Option<&str>| Ok((pinned.unwrap_or("3.6-1.1").into(), Generation::V3_5));
        decide(&ClusterView {
            now: at(seconds),
            random: 1.0,
            system: &self.system,
            wanted: &self.wanted,
            gateway: self.gateway.as_ref(),
            is_managed_apart: self.is_managed_apart,
            pinned: None,
            may_change: self.may_change.clone(),
            run: self.run.clone(),
            listening_since: at(0),
            has_password: self.has_password,
            exists: self.exists,
            licence: self.licence,
            candidates: &self.candidates,
            peers: peers.collect(),
            packages: Packages { newest: &newest, exactly: &exactly },
        })
    }

    /// The node's agent ends the order that is open for it.
    fn ends(&mut self, record: &ClusterRecord, number: u8, outcome: Outcome, seconds: i64) {
        let member = &mut self.members[usize::from(number) - 1];
        let id = record.open[&node(number)].id.clone();
        member.outcomes.push(Finished { id, outcome, at: at(seconds), found: BTreeMap::new() });
    }
}

#[test]
fn seats_are_written_down_before_the_first_order_and_only_when_all_can_be_taken() {
    let mut site = Site::new();
    site.candidates.pop();
    let two = site.decide(None, 1);
    assert_eq!((two.record, two.orders.len()), (None, 0));
    assert!(two.waits[0].contains("no node for a tie-breaker: n1 is manager"), "{:?}", two.waits);
    site.candidates.push(candidate(3));

    site.exists = None;
    assert_eq!(site.decide(None, 1).record, None, "nobody knows yet whether there is one");
    site.exists = Some(true);
    let there = site.decide(None, 1);
    assert_eq!((there.record, there.choice, there.waits.len()), (None, None, 0), "it is there by another hand");
    site.exists = Some(false);
    site.has_password = false;
    let told = site.decide(None, 1);
    assert!(told.record.is_none() && told.waits[0].contains("systems.new.lifecycle"), "{:?}", told.waits);
    site.has_password = true;

    let chosen = site.decide(None, 1);
    let record = chosen.record.unwrap();
    assert_eq!((record.seats.len(), &*record.release, chosen.orders.len()), (3, "3.6-1.1", 0));
    let first = site.decide(Some(&record), 2);
    site.run = Some(RunId::new("run-7"));
    let held = site.decide(Some(&record), 2);
    assert_eq!((held.orders.len(), held.record.unwrap().open.len()), (0, 0));
    assert!(held.waits.iter().any(|wait| wait.starts_with("run run-7 to end; then n1 is in")), "{:?}", held.waits);
    site.run = None;
    let mut postponed = site.decide(Some(&record), 2);
    postponed.postpone(Some(&record));
    assert_eq!((postponed.orders.len(), postponed.record.as_ref()), (0, Some(&record)));
    assert_eq!(first.orders.len(), 3, "each seat at once");
    assert!(first.orders.iter().all(|(_, errand)| matches!(errand.task, Task::Prerequisites { .. })));
}

#[test]
fn what_failed_waits_is_told_and_is_tried_again_and_nothing_is_given_twice() {
    let mut site = Site::new();
    let record = site.decide(None, 1).record.unwrap();
    let record = site.decide(Some(&record), 2).record.unwrap();
    // The crew does not know of the orders: they never left.
    let again = site.decide(Some(&record), 3);
    assert_eq!(again.orders.len(), 3);
    let record = again.record.unwrap();
    site.ends(&record, 1, Outcome::Failed { why: "no repository".to_owned() }, 4);
    site.ends(&record, 2, Outcome::Done, 4);
    let next = site.decide(Some(&record), 4);
    assert!(next.waits.iter().any(|why| why.contains("n1: prerequisites failed 1 times: no repository")));
    let to: Vec<(&str, &str)> = next.orders.iter().map(|(node, errand)| (node.as_str(), errand.task.name())).collect();
    assert_eq!(to, [("n2", "install"), ("n3", "prerequisites")]);
    let record = next.record.unwrap();
    let later = site.decide(Some(&record), 60);
    assert!(later.orders.iter().any(|(node, _)| node.as_str() == "n1"), "its pause is over");
}

#[test]
fn a_command_that_nobody_accepted_is_not_ordered_and_the_mend_is_told() {
    let mut site = Site::new();
    site.wanted.accept.clear();
    let mut record = site.decide(None, 1).record.unwrap();
    for number in 1..=3 {
        let kind = if record.seats[&node(number)] == Seat::TieBreaker { Kind::TieBreaker } else { Kind::Manager };
        record.installed.insert(node(number), kind);
        let host = site.members[usize::from(number) - 1].host.as_mut().unwrap();
        host.installed.insert("mdm".to_owned(), ["3.6-1.1".to_owned()].into());
    }
    let cluster = r#"{"mdm":"cluster","name":null,"mode":"1_node","state":"Normal","virtual_ips":[],
        "members":[{"name":"n1","id":"1","place":"master","ips":["192.0.2.1"]}]}"#;
    record.words.insert(node(1), (at(2), serde_json::from_str(cluster).unwrap()));
    let told = site.decide(Some(&record), 3);
    assert_eq!(told.orders.len(), 0, "{:?}", told.orders);
    assert!(told.waits[0].contains("systems.new.rollout.mdm.accept = [\"login_at_prompt\"]"), "{:?}", told.waits);
    site.wanted.accept = ["login_at_prompt", "set_password_at_prompt"].map(str::to_owned).into();
    let given = site.decide(Some(&record), 3);
    let [(to, errand)] = &given.orders[..] else { panic!("{:?}", given.orders) };
    assert!(matches!(&errand.task, Task::Mdm(MdmTask { change: Change::Password, .. })), "{errand:?}");
    assert!(to.as_str() == "n1" && needs_password(&errand.task));
    let stored = serde_json::to_string(&given.record.unwrap()).unwrap();
    let back: ClusterRecord = serde_json::from_str(&stored).unwrap();
    assert_eq!((back.open.len(), back.words.len()), (1, 0), "words are asked anew after a restart");
}

/// What the record and the gateway are told once the cluster has said how it is found.
fn gateway_told(mut site: Site, virtual_ips: &str, has_management_ips: bool) -> (Vec<IpAddr>, Vec<IpAddr>) {
    site.gateway = Some(WantedGateway { node: node(1), trusts_any: false });
    let mut record = site.decide(None, 1).record.unwrap();
    let seat = |record: &ClusterRecord, wanted: Seat| {
        record.seats.iter().filter(|(_, seat)| **seat == wanted).map(|(node, _)| node.clone()).collect::<Vec<_>>()
    };
    let (managers, voters) = (seat(&record, Seat::Manager), seat(&record, Seat::TieBreaker));
    for number in 1..=3 {
        let kind = if voters.contains(&node(number)) { Kind::TieBreaker } else { Kind::Manager };
        record.installed.insert(node(number), kind);
        let host = site.members[usize::from(number) - 1].host.as_mut().unwrap();
        host.installed.insert("mdm".to_owned(), ["3.6-1.1".to_owned()].into());
        host.installed.insert("gateway".to_owned(), ["3.6-1.1".to_owned()].into());
    }
    record.known = Known { is_made: true, has_password: true, ..Known::default() };
    let member = |name: &NodeName, place: &str| {
        let number = name.as_str().trim_start_matches('n');
        let managed = if has_management_ips && place != "tie_breaker" {
            format!(r#""198.51.100.{number}""#)
        } else {
            String::new()
        };
        format!(
            r#"{{"name":"{name}","id":"{number}","place":"{place}","ips":["192.0.2.{number}"],"management_ips":[{managed}]}}"#
        )
    };
    let word = format!(
        r#"{{"mdm":"cluster","name":null,"mode":"3_node","state":"Normal","virtual_ips":[{virtual_ips}],"members":[{},{},{}]}}"#,
        member(&managers[0], "master"),
        member(&managers[1], "slave"),
        member(&voters[0], "tie_breaker")
    );
    let look = site.decide(Some(&record), 2);
    let Some((at_node, _)) = look.orders.first().cloned() else { panic!("{:?}", look.waits) };
    let record = look.record.unwrap();
    let id = record.open[&at_node].id.clone();
    let number = at_node.as_str().trim_start_matches('n').parse::<usize>().unwrap();
    // What its look finds is what it says.
    let found = [(FOUND.to_owned(), word)].into();
    site.members[number - 1].outcomes.push(Finished { id, outcome: Outcome::AlreadySo, at: at(3), found });
    let record = site.decide(Some(&record), 3).record.unwrap();
    let told = record.open.values().find_map(|errand| match &errand.task {
        Task::ConnectGateway { mdms, .. } => Some(mdms.clone()),
        _ => None,
    });
    (record.managers.clone(), told.unwrap_or_else(|| panic!("{:?}", record.open)))
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn a_gateway_is_told_the_virtual_addresses_once_the_cluster_has_them() {
    use crate::config::rollout::VirtualIps;

    let moving = VirtualIps { ips: ips(&["192.0.2.100"]), interfaces: vec!["eth0".to_owned()], of: BTreeMap::new() };
    let site = || {
        let mut site = Site::new();
        site.wanted.virtual_ips = Some(moving.clone());
        site
    };
    let one = ips(&["192.0.2.100"]);
    assert_eq!(gateway_told(site(), r#""192.0.2.100""#, false), (one.clone(), one.clone()), "not the managers' own");
    let apart = Site { is_managed_apart: true, ..site() };
    assert_eq!(gateway_told(apart, r#""192.0.2.100""#, true), (one.clone(), one), "they move with the leadership");
}

#[test]
fn a_gateway_comes_by_the_network_for_people_where_there_is_one_and_clients_never_do() {
    let own = ips(&["192.0.2.1", "192.0.2.2"]);
    let apart = || Site { is_managed_apart: true, ..Site::new() };
    assert_eq!(gateway_told(apart(), "", true), (own.clone(), ips(&["198.51.100.1", "198.51.100.2"])));
    assert_eq!(gateway_told(Site::new(), "", true), (own.clone(), own.clone()), "nobody asked for it");
    assert_eq!(gateway_told(apart(), "", false), (own.clone(), own), "the managers tell none there");
}

#[test]
fn two_agents_of_one_host_are_one_host_whatever_their_addresses() {
    let of = |number: u8, ip: Option<&str>, boot_id: &str| {
        let facts = NodeFacts { boot_id: boot_id.into(), ..NodeFacts::bare(at(0)) };
        let member = Member { facts: Some(facts), ..Member::new(node(number)) };
        machine(&node(number), ip.map(Into::into), Some(&member))
    };
    let is_same = |one: &BTreeSet<Box<str>>, other: &BTreeSet<Box<str>>| !one.is_disjoint(other);
    let first = of(1, Some("10.0.0.1"), "b1");
    assert!(is_same(&first, &of(2, Some("10.1.0.1"), "b1")), "by its boot");
    assert!(is_same(&first, &of(2, Some("10.0.0.1"), "b2")), "by its address");
    assert!(!is_same(&first, &of(2, Some("10.0.0.2"), "b2")));
    assert!(!is_same(&of(1, Some("10.0.0.1"), ""), &of(2, Some("10.0.0.2"), "")), "what is not told is nobody's");
    assert!(!is_same(&of(1, None, "b1"), &of(2, None, "b2")));
    // One that has a seat and is silent is known by its last word.
    let mut site = Site::new();
    for member in &mut site.members {
        let boot_id = if member.node == node(3) { "b3" } else { "b1" };
        member.facts.as_mut().unwrap().boot_id = boot_id.into();
    }
    let seats = [(node(1), Seat::Manager)].into();
    let all = site.look(900, |view| with_seats(view, &[], &seats));
    assert!(all[0].machine.contains("boot b1") && all[0].machine.contains("192.0.2.1"), "{all:?}");
}
