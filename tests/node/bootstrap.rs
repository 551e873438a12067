//! Bare hosts become an MDM cluster by the planner's orders and real agents,
//! whatever is lost on the way: an order, an answer, an agent, or all that the
//! controller knew. The cluster is the same each time, and no command is given
//! twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use scaleio_framework::config::rollout::WantedMdm;
use scaleio_framework::fleet::bootstrap::{Known, Next, NodeView, Step, What, Wish, next, task};
use scaleio_framework::fleet::networks::OfMember;
use scaleio_framework::fleet::roles::{Candidate, Seat, Warning, choose};
use scaleio_framework::model::id::NodeName;
use scaleio_framework::model::mdm::{Change, FOUND, Kind, MdmWord, Mode};
use scaleio_framework::model::order::{Component, Finished, Hidden, Order, Outcome, Secrets};
use scaleio_framework::model::unit::{Bytes, Timestamp};
use scaleio_framework::model::version::Generation;
use scaleio_framework::sim::scli::Landscape;

use super::cluster::accepted;
use super::simulated::{At, Killed, SimHost, at, live, order};
use super::tasks::{Place, package};

/// What goes wrong at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mishap {
    /// The order does not reach its node.
    OrderLost,
    /// The agent is killed before, in or after its so-many-th call, and goes on in its next life.
    AgentKilled(usize, At),
    /// The answer does not come, and the controller asks again.
    AnswerLost,
    /// The controller forgets all that it knew but the seats and who is lost.
    ControllerForgets,
}

/// Hosts with agents, and the controller's part.
struct Site {
    land: Arc<Mutex<Landscape>>,
    hosts: BTreeMap<NodeName, (SimHost, Place)>,
    members: Mode,
    seats: BTreeMap<NodeName, Seat>,
    lost: BTreeSet<NodeName>,
    known: Known,
    installed: BTreeMap<NodeName, Kind>,
    words: BTreeMap<NodeName, (Timestamp, MdmWord)>,
    changed_at: Timestamp,
    time: i64,
    orders: u32,
}

fn ip(number: usize) -> String {
    format!("192.0.2.{number}")
}

impl Site {
    fn new(members: Mode, hosts: usize) -> Self {
        let land: Arc<Mutex<Landscape>> = Arc::default();
        let host = |number: usize| {
            let mut host = SimHost::new("centos", "7");
            (host.land, host.ip) = (land.clone(), ip(number));
            (NodeName::new(&format!("n{number}")), (host, Place::new()))
        };
        Self {
            hosts: (1..=hosts).map(host).collect(),
            land,
            members,
            seats: BTreeMap::new(),
            lost: BTreeSet::new(),
            known: Known::default(),
            installed: BTreeMap::new(),
            words: BTreeMap::new(),
            changed_at: at(0),
            time: 0,
            orders: 0,
        }
    }

    fn views(&self) -> BTreeMap<NodeName, NodeView> {
        let view = |(name, (host, _)): (&NodeName, &(SimHost, Place))| {
            let view = NodeView {
                at: Ok(OfMember { ips: vec![host.ip.parse().unwrap()], ..OfMember::default() }),
                known_at: BTreeSet::new(),
                interfaces: Vec::new(),
                is_heard: true,
                is_busy: false,
                installed: self.installed.get(name).copied(),
                word: self.words.get(name).cloned(),
            };
            (name.clone(), view)
        };
        self.hosts.iter().map(view).collect()
    }

    /// The seats by the product's own choice, which is written down: who sits stays, lost ones are replaced.
    fn wish(&mut self) -> Wish {
        let candidate = |name: &NodeName| Candidate {
            name: name.clone(),
            machine: [name.as_str().into()].into(),
            rack: None,
            persona: None,
            cores: 8,
            memory: Bytes::from_gib(64),
            carries: BTreeSet::new(),
            no_member: None,
            no_manager: None,
            takes_packages: true,
        };
        let candidates: Vec<Candidate> = self.hosts.keys().map(candidate).collect();
        let wanted = WantedMdm { members: self.members, ..WantedMdm::default() };
        let choice = choose(&wanted, &self.seats, &candidates);
        self.lost.extend(choice.warnings.iter().filter_map(|warning| match warning {
            Warning::Replaces { lost, .. } => Some(lost.clone()),
            _ => None,
        }));
        self.seats.clone_from(&choice.seats);
        Wish {
            generation: Generation::V2_0,
            members: self.members,
            seats: choice.seats,
            lost: self.lost.clone(),
            name: Some("prod".to_owned()),
            licence: None,
            virtual_ips: Vec::new(),
        }
    }

    fn decide(&mut self) -> Next {
        let wish = self.wish();
        next(&wish, &self.known, &self.views(), self.changed_at)
    }

    fn order(&mut self, step: &Step) -> Order {
        self.orders += 1;
        let component = if let What::Install(component) = step.what { component } else { Component::Mdm };
        // A tie-breaker is the manager's package.
        let (mut artefact, content) = package(Component::Mdm, "2.0-13000.211", "centos");
        artefact.name = artefact.name.replace("-tb-", "-mdm-");
        let (host, _) = self.hosts.get_mut(&step.node).unwrap();
        host.served.insert(artefact.name.clone(), content);
        assert!(matches!(component, Component::Mdm | Component::Tb));
        let task = task(&step.what, Generation::V2_0, Some(&artefact), &accepted(), false).unwrap();
        let secrets = Secrets { mdm_admin: Some(Hidden::new("correct-horse-9")), ..Secrets::default() };
        Order { secrets, ..order(&format!("o{}", self.orders), task) }
    }

    /// Carries a step out, through a mishap.
    fn does(&mut self, step: &Step, mishap: Option<Mishap>) {
        self.time += 1;
        let order = self.order(step);
        let (host, place) = self.hosts.get_mut(&step.node).unwrap();
        let finished: Finished = match mishap {
            Some(Mishap::OrderLost) => return,
            Some(Mishap::AgentKilled(call, when)) => {
                (host.calls, host.kill) = (0, Some((call, when)));
                let first = live(&place.ledger(), host, &order);
                host.kill = None;
                match first {
                    Ok(finished) => finished.unwrap(),
                    Err(Killed) => place.does(host, &order),
                }
            }
            _ => place.does(host, &order),
        };
        if let (What::Install(component), true) = (&step.what, finished.outcome.is_good()) {
            self.land.lock().unwrap().install(&host.ip, *component == Component::Mdm);
        }
        match mishap {
            Some(Mishap::AnswerLost) => return,
            Some(Mishap::ControllerForgets) => {
                self.known = Known::default();
                self.words.clear();
                self.installed.clear();
            }
            _ => {}
        }
        assert!(finished.outcome.is_good(), "{step:?}: {finished:?}");
        match &step.what {
            What::Install(component) => {
                let kind = if *component == Component::Mdm { Kind::Manager } else { Kind::TieBreaker };
                self.installed.insert(step.node.clone(), kind);
            }
            What::Cluster { change, .. } => {
                if !matches!(change, Change::Look) && finished.outcome == Outcome::Done {
                    self.changed_at = at(self.time);
                }
                let word = serde_json::from_str(&finished.found[FOUND]).unwrap();
                self.known.is_made |= matches!(word, MdmWord::Cluster(_));
                self.known.has_password |= matches!(change, Change::Password);
                self.words.insert(step.node.clone(), (at(self.time), word));
            }
        }
    }

    /// Turns until nothing is due. The so-many-th step meets the mishap; tells how many there were.
    fn settle(&mut self, mishap: Option<(usize, Mishap)>) -> usize {
        let mut count = 0;
        for _ in 0..200 {
            let next = self.decide();
            if next.steps.is_empty() {
                assert!(next.is_done(), "stuck: {:?}", next.waits);
                return count;
            }
            for step in &next.steps {
                count += 1;
                let now = mishap.filter(|(at, _)| *at == count).map(|(_, mishap)| mishap);
                self.does(step, now);
            }
        }
        panic!("no end after 200 turns: {:?}", self.land.lock().unwrap().changes)
    }

    fn changes(&self) -> Vec<String> {
        self.land.lock().unwrap().changes.clone()
    }

    /// What the cluster tells, by way of the first host that is left.
    fn told(&self) -> String {
        let (host, _) = self.hosts.values().next().unwrap();
        self.land.lock().unwrap().told(&host.ip).unwrap()
    }

    /// A host is gone for good. The controller hears of its silence, and looks again.
    fn lose(&mut self, name: &str) {
        let name = NodeName::new(name);
        let (host, _) = self.hosts.remove(&name).unwrap();
        self.land.lock().unwrap().lose(&host.ip);
        self.installed.remove(&name);
        self.words.remove(&name);
        self.time += 1;
        self.changed_at = at(self.time);
    }
}

#[test]
fn one_three_and_five_members_are_made_of_bare_hosts() {
    for (members, hosts, mode) in [(Mode::One, 1, "1_node"), (Mode::Three, 3, "3_node"), (Mode::Five, 5, "5_node")] {
        let mut site = Site::new(members, hosts);
        site.settle(None);
        let told = site.told();
        assert!(told.contains(&format!("Name: prod, Mode: {mode}, State: Normal")), "{told}");
        assert_eq!(site.land.lock().unwrap().clusters(), 1);
    }
}

#[test]
fn a_cluster_of_three_becomes_one_of_five() {
    let mut site = Site::new(Mode::Three, 5);
    site.settle(None);
    site.members = Mode::Five;
    site.settle(None);
    assert!(site.told().contains("Mode: 5_node, State: Normal, Active: 5/5, Replicas: 3/3"), "{}", site.told());
    let switches: Vec<String> = site.changes().into_iter().filter(|change| change.starts_with("switch")).collect();
    assert_eq!(switches, ["switch 3", "switch 5"]);
}

/// Every mishap at every step leads to the same cluster by the same commands, each given once.
fn whatever_is_lost(begin: &dyn Fn() -> Site) {
    let mut plain = begin();
    let steps = plain.settle(None);
    let (told, changes) = (plain.told(), plain.changes());
    assert!(changes.len() == changes.iter().collect::<BTreeSet<_>>().len(), "each command once: {changes:?}");
    let mut mishaps = vec![Mishap::OrderLost, Mishap::AnswerLost, Mishap::ControllerForgets];
    for call in [2, 4, 5, 6, 7] {
        mishaps.extend([At::Before, At::During, At::After].map(|when| Mishap::AgentKilled(call, when)));
    }
    for step in 1..=steps {
        for mishap in &mishaps {
            let mut site = begin();
            site.settle(Some((step, *mishap)));
            assert_eq!(site.told(), told, "{mishap:?} at step {step}");
            assert_eq!(site.changes(), changes, "{mishap:?} at step {step}");
        }
    }
}

#[test]
fn bootstrap_is_the_same_whatever_is_lost_on_the_way() {
    whatever_is_lost(&|| Site::new(Mode::Three, 3));
}

#[test]
fn a_bootstrap_of_five_is_the_same_whatever_is_lost_on_the_way() {
    whatever_is_lost(&|| Site::new(Mode::Five, 5));
}

#[test]
fn a_lost_host_is_replaced_whatever_is_lost_on_the_way() {
    for lost in ["n1", "n2", "n3"] {
        whatever_is_lost(&|| {
            let mut site = Site::new(Mode::Three, 4);
            site.settle(None);
            site.lose(lost);
            site
        });
    }
}

#[test]
fn the_replaced_one_is_taken_out_and_the_cluster_is_normal_again() {
    let mut site = Site::new(Mode::Three, 4);
    site.settle(None);
    let before = site.changes().len();
    site.lose("n1");
    site.settle(None);
    assert_eq!(site.changes()[before..], ["add n4", "replace n1 by n4", "remove n1"]);
    let told = site.told();
    assert!(told.contains("Mode: 3_node, State: Normal, Active: 3/3, Replicas: 2/2"), "{told}");
    assert!(!told.contains("n1"), "{told}");
}

#[test]
fn while_no_majority_is_left_nothing_is_made_anew() {
    let mut site = Site::new(Mode::Three, 5);
    site.settle(None);
    let before = site.changes();
    for name in ["n1", "n2"] {
        site.lose(name);
    }
    for _ in 0..5 {
        let next = site.decide();
        for step in next.steps {
            assert!(
                matches!(&step.what, What::Install(_) | What::Cluster { change: Change::Look, .. }),
                "nothing but looking: {step:?}"
            );
            if let What::Install(_) = step.what {
                site.does(&step, None);
            }
        }
    }
    assert_eq!(site.changes(), before);
}
