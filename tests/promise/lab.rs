//! Booted hosts with agents, and the controller's end of what they are told.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use scaleio_framework::enrol::artefacts::Shelf;
use scaleio_framework::enrol::ca::Authority;
use scaleio_framework::enrol::desk::{self, Orderer};
use scaleio_framework::enrol::endpoint::Endpoint;
use scaleio_framework::enrol::token::Tokens;
use scaleio_framework::model::order::{Artefact, Finished, Order, OrderId, Outcome, Report, Secrets, Task};
use tokio::sync::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use crate::hosts as lab;

/// Everything here is slow on a busy machine, and nothing waits so long on one that works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Services of hosts listen on the machine's own ports.
pub(crate) static MACHINE: LazyLock<Mutex<()>> = LazyLock::new(|| Mutex::new(()));

/// Hosts, and the controller that they work for.
pub(crate) struct Lab {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) reports: std::collections::BTreeMap<String, Report>,
    hosts: Vec<String>,
    orderer: Orderer,
    shelf: Shelf,
    authority: Arc<Authority>,
    port: u16,
    orders: u32,
    stop: CancellationToken,
    _machine: MutexGuard<'static, ()>,
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.stop.cancel();
        for host in &self.hosts {
            lab::host(&["down", host], self.folder.path());
        }
    }
}

impl Lab {
    pub(crate) async fn open() -> Self {
        let machine = MACHINE.lock().await;
        let folder = lab::open("sio-promise-");
        let authority = Arc::new(Authority::open(&folder.path().join("ca"), scaleio_framework::clock::now()).unwrap());
        let (orderer, counter) = desk::open();
        let shelf = Shelf::scan(&folder.path().join("packages")).unwrap();
        let (address, names) = ("127.0.0.1:0".parse().unwrap(), ["127.0.0.1".to_owned()]);
        let endpoint = Endpoint::bind(address, &names, authority.clone(), counter, shelf.clone(), Tokens::default());
        let endpoint = endpoint.await.unwrap();
        let port = endpoint.local_addr().unwrap().port();
        let stop = CancellationToken::new();
        tokio::spawn(endpoint.serve(stop.clone()));
        let (reports, hosts) = (std::collections::BTreeMap::new(), Vec::new());
        Self { folder, reports, hosts, orderer, shelf, authority, port, orders: 0, stop, _machine: machine }
    }

    /// Makes a host of a layer over the base, with more options for it and an agent that starts with it.
    pub(crate) fn make(&mut self, name: &str, layer: &str, options: &str) {
        self.hosts.push(name.to_owned());
        lab::make(name, layer, name, &self.authority, self.port, self.folder.path());
        std::fs::write(self.folder.path().join(name).join("opts"), options).unwrap();
    }

    pub(crate) fn power(&self, name: &str, on: bool) {
        lab::host(&[if on { "poweron" } else { "poweroff" }, name], self.folder.path());
    }

    pub(crate) fn root(&self, name: &str) -> PathBuf {
        lab::root(name, self.folder.path())
    }

    /// Writes a file of a host.
    pub(crate) fn write(&self, name: &str, path: &str, text: &str) {
        lab::write(name, path, text, self.folder.path());
    }

    /// What a command in a host writes.
    pub(crate) fn inside(&self, name: &str, args: &[&str]) -> String {
        lab::inside(name, args, self.folder.path())
    }

    pub(crate) fn journal(&self, name: &str) -> String {
        let console = std::fs::read_to_string(self.folder.path().join(name).join("console.log")).unwrap_or_default();
        let mut last: Vec<&str> = console.lines().rev().take(10).collect();
        last.reverse();
        format!("{}\n{}", self.inside(name, &["journalctl", "-n", "60", "--no-pager"]), last.join("\n"))
    }

    /// Waits until something is so.
    pub(crate) async fn until(&self, name: &str, what: &str, mut is_so: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}\n{}", self.journal(name));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn artefact(&self, name: &str) -> Artefact {
        self.shelf.find(name).unwrap_or_else(|| panic!("there is no {name}")).0
    }

    /// Lays an order out.
    pub(crate) fn order(&mut self, name: &str, task: Task, secrets: Secrets) -> OrderId {
        self.orders += 1;
        let id = OrderId::new(format!("{name}.{}", self.orders));
        let expires = scaleio_framework::clock::now() + PATIENCE;
        let order = Order { id: id.clone(), epoch: 1, expires, within_s: 60, task, secrets };
        self.orderer.order(name, order);
        id
    }

    /// Takes one report in, within a time.
    pub(crate) async fn hear(&mut self, within: Duration) -> Option<(String, Vec<Finished>)> {
        let said = tokio::time::timeout(within, self.orderer.reports.recv()).await.ok()??;
        let done = said.report.finished.iter().map(|finished| finished.id.clone()).collect();
        self.reports.insert(said.node.clone(), said.report.clone());
        let _ = said.acknowledge.send(done);
        Some((said.node, said.report.finished))
    }

    /// Waits for the outcome of an order.
    pub(crate) async fn outcome(&mut self, name: &str, id: &OrderId) -> Finished {
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < PATIENCE, "{id} is not over\n{}", self.journal(name));
            let Some((_, finished)) = self.hear(PATIENCE).await else { continue };
            if let Some(found) = finished.into_iter().find(|finished| finished.id == *id) {
                self.orderer.withdraw(name);
                return found;
            }
        }
    }

    pub(crate) async fn does(&mut self, name: &str, task: Task, secrets: Secrets) -> Finished {
        let id = self.order(name, task, secrets);
        self.outcome(name, &id).await
    }

    /// Orders something that must be so afterwards, and was not so before.
    pub(crate) async fn done(&mut self, name: &str, task: Task, secrets: Secrets) -> Finished {
        let finished = self.does(name, task, secrets).await;
        assert_eq!(finished.outcome, Outcome::Done, "{}", self.journal(name));
        finished
    }
}

pub(crate) fn why(finished: &Finished) -> &str {
    match &finished.outcome {
        Outcome::Failed { why } | Outcome::Refused { why } => why,
        other => panic!("{other:?}"),
    }
}
