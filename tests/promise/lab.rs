//! Booted hosts with agents, and the controller's end of what they are told.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use scaleio_framework::enrol::artefacts::Shelf;
use scaleio_framework::enrol::ca::Authority;
use scaleio_framework::enrol::desk::{self, Orderer};
use scaleio_framework::enrol::endpoint::Endpoint;
use scaleio_framework::enrol::request::Request;
use scaleio_framework::enrol::token::Tokens;
use scaleio_framework::model::order::{Artefact, Finished, Order, OrderId, Outcome, Report, Secrets, Task};
use tokio::sync::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

/// Everything here is slow on a busy machine, and nothing waits so long on one that works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Services of hosts listen on the machine's own ports.
static MACHINE: LazyLock<Mutex<()>> = LazyLock::new(|| Mutex::new(()));

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts").join(name)
}

fn run(program: &Path, args: &[&str], lab: &Path) -> Output {
    let output = Command::new(program).args(args).env("LAB", lab).output();
    output.unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

#[track_caller]
fn must(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

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
            run(&script("host.sh"), &["down", host], self.folder.path());
        }
    }
}

impl Lab {
    pub(crate) async fn open() -> Self {
        let machine = MACHINE.lock().await;
        let roots = roots();
        let made = run(&script("base.sh"), &[roots.to_str().unwrap()], &roots);
        let told = String::from_utf8_lossy(&made.stderr).into_owned();
        assert!(made.status.success(), "the roots of test hosts cannot be made (root, mmdebstrap, rpm): {told}");
        let folder = tempfile::Builder::new().prefix("sio-promise-").tempdir_in("/tmp").unwrap();
        let packages = folder.path().join("packages");
        std::fs::create_dir(&packages).unwrap();
        must(&run(&script("packages.sh"), &[packages.to_str().unwrap()], folder.path()));

        let authority = Arc::new(Authority::open(&folder.path().join("ca"), scaleio_framework::clock::now()).unwrap());
        let (orderer, counter) = desk::open();
        let shelf = Shelf::scan(&packages).unwrap();
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
        let roots = roots();
        let lower = format!("{}:{}", roots.join(layer).display(), roots.join("base").display());
        self.hosts.push(name.to_owned());
        must(&run(&script("host.sh"), &["up", name, &lower, env!("CARGO_BIN_EXE_sio")], self.folder.path()));
        std::fs::write(self.folder.path().join(name).join("opts"), options).unwrap();
        let now = scaleio_framework::clock::now();
        let request = Request::new(name).unwrap();
        self.write(name, "var/lib/sio-agent/ca.pem", self.authority.pem());
        self.write(name, "var/lib/sio-agent/agent.key", request.key());
        self.write(name, "var/lib/sio-agent/agent.pem", &self.authority.sign(request.pem(), name, now).unwrap());
        let args = format!("SIO_AGENT_ARGS=\"--controller https://127.0.0.1:{}\"\n", self.port);
        self.write(name, "etc/scaleio-framework/agent.env", &args);
        let unit = include_str!("../../packaging/systemd/sio-agent.service");
        self.write(name, "etc/systemd/system/sio-agent.service", unit);
        let wants = self.root(name).join("etc/systemd/system/multi-user.target.wants");
        std::fs::create_dir_all(&wants).unwrap();
        std::os::unix::fs::symlink("/etc/systemd/system/sio-agent.service", wants.join("sio-agent.service")).unwrap();
    }

    pub(crate) fn power(&self, name: &str, on: bool) {
        run(&script("host.sh"), &[if on { "poweron" } else { "poweroff" }, name], self.folder.path());
    }

    pub(crate) fn root(&self, name: &str) -> PathBuf {
        self.folder.path().join(name).join("root")
    }

    /// Writes a file of a host.
    pub(crate) fn write(&self, name: &str, path: &str, text: &str) {
        let path = self.root(name).join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// What a command in a host writes.
    pub(crate) fn inside(&self, name: &str, args: &[&str]) -> String {
        let output = run(&script("host.sh"), &[&["in", name], args].concat(), self.folder.path());
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
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
        self.shelf.find(name).unwrap_or_else(|| panic!("there is no {name}")).0.clone()
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

fn roots() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/hosts")
}

pub(crate) fn why(finished: &Finished) -> &str {
    match &finished.outcome {
        Outcome::Failed { why } | Outcome::Refused { why } => why,
        other => panic!("{other:?}"),
    }
}
