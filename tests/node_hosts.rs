//! The agent on real hosts: systemd as process 1, real rpm and dpkg, stub
//! packages with the vendor's names, a controller's endpoint over mutual TLS.
//!
//! Hosts use the machine's loopback, so there is one at a time.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/lab.rs"]
mod lab;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use scaleio_framework::enrol::artefacts::Shelf;
use scaleio_framework::enrol::ca::Authority;
use scaleio_framework::enrol::desk::{self, Orderer};
use scaleio_framework::enrol::endpoint::Endpoint;
use scaleio_framework::enrol::token::Tokens;
use scaleio_framework::model::order::{
    Artefact, Component, Finished, Install, Order, OrderId, Outcome, Report, Secrets, Task,
};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// Everything here is slow on a busy machine, and nothing waits so long on one that works.
const PATIENCE: Duration = Duration::from_secs(90);

/// One host at a time: its services listen on the machine's own ports.
static MACHINE: LazyLock<Mutex<()>> = LazyLock::new(|| Mutex::new(()));

#[derive(Clone, Copy, Debug, PartialEq)]
enum Os {
    El7,
    Ubuntu,
}

/// A host with an agent, and the controller it works for.
struct Site {
    os: Os,
    lab: tempfile::TempDir,
    name: &'static str,
    orderer: Orderer,
    packages: Shelf,
    orders: u32,
    report: Option<Report>,
    stop: CancellationToken,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.cancel();
        lab::host(&["down", self.name], self.lab.path());
    }
}

impl Site {
    async fn open(os: Os) -> Self {
        let lab = lab::open("sio-lab-");
        let name = if os == Os::El7 { "el7" } else { "ubuntu" };
        let now = scaleio_framework::clock::now();
        let authority = Arc::new(Authority::open(&lab.path().join("ca"), now).unwrap());
        let (orderer, counter) = desk::open();
        let shelf = Shelf::scan(&lab.path().join("packages")).unwrap();
        let (address, names) = ("127.0.0.1:0".parse().unwrap(), ["127.0.0.1".to_owned()]);
        let endpoint = Endpoint::bind(address, &names, authority.clone(), counter, shelf.clone(), Tokens::default());
        let endpoint = endpoint.await.unwrap();
        let port = endpoint.local_addr().unwrap().port();
        let stop = CancellationToken::new();
        tokio::spawn(endpoint.serve(stop.clone()));

        lab::make(name, name, name, &authority, port, lab.path());
        lab::host(&["poweron", name], lab.path());
        Self { os, lab, name, orderer, packages: shelf, orders: 0, report: None, stop }
    }

    fn root(&self) -> PathBuf {
        lab::root(self.name, self.lab.path())
    }

    fn inside(&self, args: &[&str]) -> String {
        lab::inside(self.name, args, self.lab.path())
    }

    /// Waits until something is so in the host.
    async fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}\n{}", self.journal());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn journal(&self) -> String {
        let console = self.lab.path().join(self.name).join("console.log");
        let console = std::fs::read_to_string(console).unwrap_or_default();
        let last: Vec<&str> = console.lines().rev().take(10).collect();
        format!("{}\n{}", self.inside(&["journalctl", "-u", "sio-agent", "-n", "30", "--no-pager"]), last.join("\n"))
    }

    fn package(&self, component: Component, version: &str) -> Artefact {
        let end = if self.os == Os::El7 { "el7.x86_64.rpm" } else { "Ubuntu.18.04.x86_64.deb" };
        self.packages.find(&format!("EMC-ScaleIO-{component}-{version}.{end}")).unwrap().0
    }

    fn install(&self, component: Component, version: &str) -> Task {
        let mdms = vec!["192.0.2.1".parse().unwrap()];
        Task::Install(Install { component, artefact: self.package(component, version), mdms })
    }

    /// Lays an order out.
    fn order(&mut self, task: Task) -> OrderId {
        self.orders += 1;
        let id = OrderId::new(format!("{}.{}", self.name, self.orders));
        let expires = scaleio_framework::clock::now() + Duration::from_secs(60);
        let order = Order { id: id.clone(), epoch: 1, expires, within_s: 60, task, secrets: Secrets::default() };
        self.orderer.order(self.name, order);
        id
    }

    /// Waits for the outcome of an order; acknowledges all that comes.
    async fn outcome(&mut self, id: &OrderId) -> Finished {
        let begun = Instant::now();
        loop {
            let said = tokio::time::timeout(PATIENCE, self.orderer.reports.recv()).await;
            let Ok(Some(said)) = said else { panic!("no report for {id}\n{}", self.journal()) };
            assert_eq!(said.node, self.name);
            self.report = Some(said.report.clone());
            let done: Vec<OrderId> = said.report.finished.iter().map(|finished| finished.id.clone()).collect();
            let found = said.report.finished.into_iter().find(|finished| finished.id == *id);
            let _ = said.acknowledge.send(done);
            if let Some(found) = found {
                self.orderer.withdraw(self.name);
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "{id} is not over\n{}", self.journal());
        }
    }

    async fn does(&mut self, task: Task) -> Finished {
        let id = self.order(task);
        self.outcome(&id).await
    }

    /// What the books say of a component's package: each version that is there.
    fn books(&self, component: Component) -> String {
        match self.os {
            Os::El7 => {
                self.inside(&["rpm", "-q", "--qf", "%{VERSION}-%{RELEASE} ", &format!("EMC-ScaleIO-{component}")])
            }
            Os::Ubuntu => {
                let name = format!("emc-scaleio-{component}");
                self.inside(&["dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Version}", &name])
            }
        }
    }

    #[track_caller]
    fn assert_installed(&self, version: &str) {
        let whole = match self.os {
            Os::El7 => format!("{version}.el7"),
            Os::Ubuntu => format!("ii {version}"),
        };
        assert_eq!(self.books(Component::Sds), whole);
        assert_eq!(self.inside(&["systemctl", "is-active", "sds"]), "active");
    }
}

fn why(finished: &Finished) -> &str {
    match &finished.outcome {
        Outcome::Failed { why } | Outcome::Refused { why } => why,
        other => panic!("{other:?}"),
    }
}

async fn packages(os: Os) {
    let _machine = MACHINE.lock().await;
    let mut site = Site::open(os).await;
    let install = |site: &Site, version| site.install(Component::Sds, version);

    // In, a second time, and up.
    let task = install(&site, "3.5-1.1");
    assert_eq!(site.does(task).await.outcome, Outcome::Done, "{}", site.journal());
    site.assert_installed("3.5-1.1");
    assert_eq!(site.inside(&["cat", "/run/seen"]), "MDM_IP=192.0.2.1");
    let task = install(&site, "3.5-1.1");
    assert_eq!(site.does(task).await.outcome, Outcome::AlreadySo);
    assert_eq!(site.inside(&["cat", "/run/seen"]), "MDM_IP=192.0.2.1", "its script ran once");
    let task = install(&site, "3.6-100.101");
    assert_eq!(site.does(task).await.outcome, Outcome::Done);
    site.assert_installed("3.6-100.101");

    // Not down, not with another hash.
    let task = install(&site, "3.5-1.1");
    assert!(why(&site.does(task).await).contains("newer than 3.5-1.1"));
    let mut artefact = site.package(Component::Sds, "3.6-300.1");
    artefact.sha256 = "0".repeat(64);
    let task = Task::Install(Install { component: Component::Sds, artefact, mdms: Vec::new() });
    assert!(why(&site.does(task).await).contains("it was thrown away"));
    site.assert_installed("3.6-100.101");

    // A script that fails is told, and not taken for installed; a better package mends it.
    let task = install(&site, "3.6-200.1");
    let failed = site.does(task).await;
    assert!(matches!(failed.outcome, Outcome::Failed { .. }), "{failed:?}");
    let task = install(&site, "3.6-200.1");
    assert!(matches!(site.does(task).await.outcome, Outcome::Failed { .. }), "it is not AlreadySo");
    let task = install(&site, "3.6-300.1");
    assert_eq!(site.does(task).await.outcome, Outcome::Done);
    site.assert_installed("3.6-300.1");

    // A file of another package is not overwritten.
    let task = site.install(Component::Sdc, "3.6-200.1");
    let failed = site.does(task).await;
    assert!(why(&failed).contains("conflicts") || why(&failed).contains("overwrite"), "{failed:?}");
    site.assert_installed("3.6-300.1");

    // No room.
    site.inside(&["mount", "-t", "tmpfs", "-o", "nr_inodes=1", "tmpfs", "/opt/emc/scaleio/sds/bin"]);
    let task = install(&site, "3.6-400.1");
    let failed = site.does(task).await;
    assert!(matches!(failed.outcome, Outcome::Failed { .. }), "{failed:?}");
    site.inside(&["umount", "/opt/emc/scaleio/sds/bin"]);

    // The agent is killed while a script runs, and goes on when it is back.
    site.inside(&["rm", "-f", "/run/post.pid", "/run/go"]);
    let task = install(&site, "3.6-400.1");
    let id = site.order(task);
    let pid = site.root().join("run/post.pid");
    let begun = Instant::now();
    let site = kill_in_script(site, &id, begun, &pid).await;
    let mut site = site;
    site.assert_installed("3.6-400.1");

    // Out; and the next one finds nothing.
    let remove = Task::Remove { component: Component::Sds };
    assert_eq!(site.does(remove.clone()).await.outcome, Outcome::Done, "{}", site.journal());
    assert!(!site.inside(&["sh", "-c", "ls /opt/emc/scaleio/sds/bin 2>&1"]).contains("sds\n"));
    assert_eq!(site.does(remove).await.outcome, Outcome::AlreadySo);

    // A client: in, told its managers, and over a reboot.
    let task = site.install(Component::Sdc, "3.6-100.101");
    assert_eq!(site.does(task).await.outcome, Outcome::Done, "{}", site.journal());
    let connect = Task::ConnectSdc { systems: vec![vec!["192.0.2.1".parse().unwrap()]], known: Vec::new() };
    assert_eq!(site.does(connect.clone()).await.outcome, Outcome::Done);
    assert_eq!(site.does(connect.clone()).await.outcome, Outcome::AlreadySo);
    let before = site.report.as_ref().unwrap().boot_id.clone();
    let rebooted = site.does(Task::Reboot { boot_id: before.clone() }).await;
    assert_eq!(rebooted.outcome, Outcome::Done);
    assert_ne!(site.report.as_ref().unwrap().boot_id, before);
    assert_eq!(site.does(connect).await.outcome, Outcome::AlreadySo);
    let key = site.root().join("var/lib/sio-agent/ledger");
    assert_eq!(std::fs::metadata(key).unwrap().permissions().mode() & 0o077, 0, "the ledger is root's alone");
}

/// Kills the agent while the script of its package waits, then lets the script go on.
async fn kill_in_script(mut site: Site, id: &OrderId, begun: Instant, pid: &Path) -> Site {
    // Reports are answered meanwhile, or the order would not go out.
    while site.inside(&["cat", "/run/post.pid"]).is_empty() {
        assert!(begun.elapsed() < PATIENCE, "{} did not appear\n{}", pid.display(), site.journal());
        if let Ok(Some(said)) = tokio::time::timeout(Duration::from_millis(50), site.orderer.reports.recv()).await {
            let _ = said.acknowledge.send(Vec::new());
        }
    }
    let agent = site.inside(&["systemctl", "show", "-p", "MainPID", "sio-agent"]);
    site.inside(&["kill", "-9", agent.trim_start_matches("MainPID=")]);
    site.until("the agent is started again", || {
        let now = site.inside(&["systemctl", "show", "-p", "MainPID", "sio-agent"]);
        now != agent && now != "MainPID=0"
    })
    .await;
    site.inside(&["touch", "/run/go"]);
    let finished = site.outcome(id).await;
    assert_eq!(finished.outcome, Outcome::Done, "{}", site.journal());
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn an_el7_host_gets_keeps_changes_and_loses_packages_as_ordered() {
    packages(Os::El7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ubuntu_host_gets_keeps_changes_and_loses_packages_as_ordered() {
    packages(Os::Ubuntu).await;
}
