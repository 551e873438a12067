//! Four real hosts, systemd and rpm in each, become an MDM cluster by the
//! planner's orders; the power of one is cut, and another takes its place.
//!
//! The stub `scli` of each host shows one simulated landscape of MDMs, and
//! reads passwords from its terminal. Hosts use the machine's loopback, each an
//! address of its own on it.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/lab.rs"]
mod lab;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use scaleio_framework::config::rollout::WantedMdm;
use scaleio_framework::enrol::artefacts::Shelf;
use scaleio_framework::enrol::ca::Authority;
use scaleio_framework::enrol::desk::{self, Orderer};
use scaleio_framework::enrol::endpoint::Endpoint;
use scaleio_framework::enrol::token::Tokens;
use scaleio_framework::fleet::bootstrap::{Known, NodeView, Step, What, Wish, next, task};
use scaleio_framework::fleet::networks::OfMember;
use scaleio_framework::fleet::roles::{Candidate, Seat, Warning, choose};
use scaleio_framework::model::id::NodeName;
use scaleio_framework::model::mdm::{Change, FOUND, Kind, MdmWord, Mode};
use scaleio_framework::model::order::{Artefact, Component, Finished, Hidden, Order, OrderId, Outcome, Secrets};
use scaleio_framework::model::unit::{Bytes, Timestamp};
use scaleio_framework::model::version::Generation;
use scaleio_framework::sim::scli::Landscape;
use tokio_util::sync::CancellationToken;

/// Everything here is slow on a busy machine, and nothing waits so long on one that works.
const PATIENCE: Duration = Duration::from_secs(120);

const PASSWORD: &str = "correct-horse-9";
const HOSTS: [&str; 4] = ["m1", "m2", "m3", "m4"];

fn now() -> Timestamp {
    scaleio_framework::clock::now()
}

fn ip(name: &str) -> String {
    format!("127.0.0.1{}", name.trim_start_matches('m'))
}

/// One line of a stub: a service that lives as long as its connection, or a command.
fn answer(stream: &TcpStream, land: &Mutex<Landscape>) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let words: Vec<&str> = line.trim_end_matches('\n').split('\t').collect();
    let parts =
        |text: &'_ str| text.split('\u{1f}').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    match words[..] {
        ["daemon", ip, is_manager, _version] => {
            land.lock().unwrap().install(ip, is_manager == "1");
            // It says nothing more: this ends when its host does.
            let _ = reader.read(&mut [0; 1]);
            land.lock().unwrap().power(ip, false);
        }
        ["scli", ip, args, typed] => {
            let (args, typed) = (parts(args), parts(typed));
            let (args, typed): (Vec<&str>, Vec<&str>) =
                (args.iter().map(String::as_str).collect(), typed.iter().map(String::as_str).collect());
            assert!(!args.iter().any(|arg| arg.contains(PASSWORD)), "{args:?}");
            let ended = land.lock().unwrap().scli(ip, &args, &typed);
            let _ = (&mut &*stream).write_all(format!("{}\n{}", ended.status, ended.text).as_bytes());
        }
        _ => panic!("a stub said {line:?}"),
    }
}

/// Serves the landscape to the stubs of all hosts.
fn serve(land: &Arc<Mutex<Landscape>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let land = land.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let land = land.clone();
            std::thread::spawn(move || answer(&stream.unwrap(), &land));
        }
    });
    port
}

struct Site {
    lab: tempfile::TempDir,
    land: Arc<Mutex<Landscape>>,
    orderer: Orderer,
    package: Artefact,
    alive: BTreeSet<&'static str>,
    seats: BTreeMap<NodeName, Seat>,
    lost: BTreeSet<NodeName>,
    known: Known,
    installed: BTreeMap<NodeName, Kind>,
    words: BTreeMap<NodeName, (Timestamp, MdmWord)>,
    changed_at: Timestamp,
    orders: u32,
    stop: CancellationToken,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.cancel();
        for name in HOSTS {
            lab::host(&["down", name], self.lab.path());
        }
    }
}

impl Site {
    async fn open() -> Self {
        let lab = lab::open("sio-mdm-");
        let land: Arc<Mutex<Landscape>> = Arc::default();
        let landscape = serve(&land);

        let authority = Arc::new(Authority::open(&lab.path().join("ca"), now()).unwrap());
        let (orderer, counter) = desk::open();
        let shelf = Shelf::scan(&lab.path().join("packages")).unwrap();
        let (address, names) = ("127.0.0.1:0".parse().unwrap(), ["127.0.0.1".to_owned()]);
        let endpoint = Endpoint::bind(address, &names, authority.clone(), counter, shelf.clone(), Tokens::default());
        let endpoint = endpoint.await.unwrap();
        let port = endpoint.local_addr().unwrap().port();
        let stop = CancellationToken::new();
        tokio::spawn(endpoint.serve(stop.clone()));

        let site = Self {
            package: shelf.find("EMC-ScaleIO-mdm-2.0-13000.211.el7.x86_64.rpm").unwrap().0,
            lab,
            land,
            orderer,
            alive: HOSTS.into(),
            seats: BTreeMap::new(),
            lost: BTreeSet::new(),
            known: Known::default(),
            installed: BTreeMap::new(),
            words: BTreeMap::new(),
            changed_at: now(),
            orders: 0,
            stop,
        };
        for name in HOSTS {
            lab::make(name, "el7", name, &authority, port, site.lab.path());
            lab::write(name, "etc/sio-stub-mdm", &format!("{} 127.0.0.1:{landscape}\n", ip(name)), site.lab.path());
            lab::host(&["poweron", name], site.lab.path());
        }
        site
    }

    fn inside(&self, name: &str, args: &[&str]) -> String {
        lab::inside(name, args, self.lab.path())
    }

    fn wish(&mut self) -> Wish {
        let candidate = |name: &&str| Candidate {
            name: NodeName::new(name),
            machine: [(**name).into()].into(),
            rack: None,
            persona: None,
            cores: 8,
            memory: Bytes::from_gib(64),
            carries: BTreeSet::new(),
            no_member: None,
            no_manager: None,
            takes_packages: true,
        };
        let candidates: Vec<Candidate> = self.alive.iter().map(candidate).collect();
        let wanted = WantedMdm { members: Mode::Three, ..WantedMdm::default() };
        let choice = choose(&wanted, &self.seats, &candidates);
        self.seats.clone_from(&choice.seats);
        self.lost.extend(choice.warnings.iter().filter_map(|warning| match warning {
            Warning::Replaces { lost, .. } => Some(lost.clone()),
            _ => None,
        }));
        Wish {
            generation: Generation::V2_0,
            members: Mode::Three,
            seats: choice.seats,
            lost: self.lost.clone(),
            name: Some("prod".to_owned()),
            licence: None,
            virtual_ips: Vec::new(),
        }
    }

    fn views(&self) -> BTreeMap<NodeName, NodeView> {
        let view = |name: &&str| {
            let node = NodeName::new(name);
            let view = NodeView {
                at: Ok(OfMember { ips: vec![ip(name).parse().unwrap()], ..OfMember::default() }),
                known_at: BTreeSet::new(),
                interfaces: Vec::new(),
                is_heard: true,
                is_busy: false,
                installed: self.installed.get(&node).copied(),
                word: self.words.get(&node).cloned(),
            };
            (node, view)
        };
        self.alive.iter().map(view).collect()
    }

    async fn outcome(&mut self, node: &NodeName, id: &OrderId) -> Finished {
        loop {
            let said = tokio::time::timeout(PATIENCE, self.orderer.reports.recv()).await;
            let Ok(Some(said)) = said else {
                panic!(
                    "no report of {node} for {id}\n{}",
                    self.inside(node.as_str(), &["journalctl", "-n", "40", "--no-pager"])
                )
            };
            let done: Vec<OrderId> = said.report.finished.iter().map(|finished| finished.id.clone()).collect();
            let found = said.report.finished.into_iter().find(|finished| finished.id == *id);
            let _ = said.acknowledge.send(done);
            if let Some(found) = found {
                self.orderer.withdraw(node.as_str());
                return found;
            }
        }
    }

    async fn does(&mut self, step: &Step) {
        self.orders += 1;
        let id = OrderId::new(format!("o{}", self.orders));
        let accepted = ["login_at_prompt", "set_password_at_prompt"].map(str::to_owned).into();
        let task = task(&step.what, Generation::V2_0, Some(&self.package), &accepted, false).unwrap();
        let secrets = Secrets { mdm_admin: Some(Hidden::new(PASSWORD)), ..Secrets::default() };
        let order = Order { id: id.clone(), epoch: 1, expires: now() + PATIENCE, within_s: 60, task, secrets };
        self.orderer.order(step.node.as_str(), order);
        let finished = self.outcome(&step.node, &id).await;
        assert!(finished.outcome.is_good(), "{step:?}: {finished:?}");
        match &step.what {
            What::Install(component) => {
                let kind = if *component == Component::Mdm { Kind::Manager } else { Kind::TieBreaker };
                self.installed.insert(step.node.clone(), kind);
            }
            What::Cluster { change, .. } => {
                if !matches!(change, Change::Look) && finished.outcome == Outcome::Done {
                    self.changed_at = finished.at;
                }
                let word = serde_json::from_str(&finished.found[FOUND]).unwrap();
                self.known.is_made |= matches!(word, MdmWord::Cluster(_));
                self.known.has_password |= matches!(change, Change::Password);
                self.words.insert(step.node.clone(), (finished.at, word));
            }
        }
    }

    async fn settle(&mut self) {
        for _ in 0..60 {
            let wish = self.wish();
            let next = next(&wish, &self.known, &self.views(), self.changed_at);
            if next.steps.is_empty() {
                assert!(next.is_done(), "stuck: {:?}", next.waits);
                return;
            }
            for step in &next.steps {
                self.does(step).await;
            }
        }
        panic!("no end: {:?}", self.land.lock().unwrap().changes)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_bare_hosts_become_a_cluster_and_a_host_without_power_is_replaced() {
    let mut site = Site::open().await;
    site.settle().await;
    let told = site.land.lock().unwrap().told(&ip("m1")).unwrap();
    assert!(told.contains("Name: prod, Mode: 3_node, State: Normal, Active: 3/3, Replicas: 2/2"), "{told}");
    let made = ["create m1", "set_password", "add m2", "add m3", "switch 3", "rename prod"];
    assert_eq!(site.land.lock().unwrap().changes, made);
    assert_eq!(site.inside("m3", &["cat", "/opt/emc/scaleio/mdm/cfg/conf.txt"]), "actor_role_is_manager=0");
    assert_eq!(site.inside("m1", &["systemctl", "is-active", "mdm"]), "active");
    let journal = site.inside("m1", &["journalctl", "--no-pager"]);
    assert!(journal.contains("a step is over") && !journal.contains(PASSWORD), "no password is in the journal");
    let ledger = std::fs::read_to_string(site.lab.path().join("m1/root/var/lib/sio-agent/ledger")).unwrap();
    assert!(ledger.contains("o1") || ledger.contains("finished"), "{ledger}");
    assert!(!ledger.contains(PASSWORD), "no password is in the ledger");

    // The leader's power is cut.
    lab::host(&["poweroff", "m1"], site.lab.path());
    let begun = Instant::now();
    while site.land.lock().unwrap().is_up(&ip("m1")) {
        assert!(begun.elapsed() < PATIENCE, "the landscape does not hear of it");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    site.alive.remove("m1");
    let gone = NodeName::new("m1");
    site.installed.remove(&gone);
    site.words.remove(&gone);
    site.changed_at = now();
    site.settle().await;
    let told = site.land.lock().unwrap().told(&ip("m2")).unwrap();
    assert!(told.contains("Name: prod, Mode: 3_node, State: Normal, Active: 3/3, Replicas: 2/2"), "{told}");
    assert!(!told.contains("m1"), "{told}");
    assert_eq!(site.land.lock().unwrap().changes[made.len()..], ["add m4", "replace m1 by m4", "remove m1"]);
}
