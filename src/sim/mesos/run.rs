//! Runs a simulated Mesos: its masters and agents on real sockets, in real time.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::cluster::{Cluster, ExecutorKey, Lead, Offered, Times};
use super::http::{Face, Shared, serve, serve_agent};
use super::{Launcher, Start};
use crate::clock;

/// How often what is due is done.
const TICK: Duration = Duration::from_millis(20);

/// What to simulate.
#[derive(Clone)]
pub struct Options {
    /// Where each master listens; the first one leads.
    pub masters: Vec<SocketAddr>,
    /// Between two heartbeats to a framework.
    pub heartbeat: Duration,
    /// An agent that is silent for so long is unreachable.
    pub ping: Duration,
    /// Principal and secret that a framework must show; none: everybody may register.
    pub login: Option<(String, String)>,
    /// Below it are the sandboxes of executors.
    pub sandboxes: PathBuf,
    /// What runs executors.
    pub launcher: Launcher,
    /// Ids follow from it.
    pub seed: u64,
}

impl Options {
    /// One master on a free port of this machine, with the times of a real one.
    pub fn new(launcher: Launcher, sandboxes: PathBuf) -> Self {
        Self {
            masters: vec![any()],
            heartbeat: Duration::from_secs(15),
            ping: Duration::from_secs(75),
            login: None,
            sandboxes,
            launcher,
            seed: 1,
        }
    }

    /// This many masters on free ports of this machine.
    #[must_use]
    pub fn masters(mut self, count: usize) -> Self {
        self.masters = vec![any(); count];
        self
    }
}

const fn any() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)
}

/// A machine with a Mesos agent.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Host {
    pub name: String,
    /// As the agent's flag has them: `rack:r1;scaleio-sds-pool:ssd`.
    pub attributes: String,
    pub cpus: f64,
    /// In MB.
    pub mem: f64,
    /// Where its agent listens; port 0 takes any that is free.
    pub listen: SocketAddr,
    /// Under which address it is known; none: where it listens.
    pub ip: Option<IpAddr>,
}

impl Host {
    /// One with four CPUs and 4 GB on this machine.
    pub fn new(name: impl Into<String>, attributes: impl Into<String>) -> Self {
        Self { name: name.into(), attributes: attributes.into(), cpus: 4.0, mem: 4096.0, listen: any(), ip: None }
    }
}

/// Why a simulated Mesos did not start.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum MesosError {
    #[error("cannot listen on {address}; choose a free address, or port 0")]
    Listen { address: SocketAddr, source: std::io::Error },
}

/// A simulated Mesos that runs. It ends when this is dropped, and every executor with it.
pub struct SimMesos {
    shared: Arc<Shared>,
    masters: Vec<SocketAddr>,
    sandboxes: PathBuf,
    stop: CancellationToken,
    tasks: Mutex<JoinSet<()>>,
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), MesosError> {
    let fail = |source| MesosError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(fail)?;
    let bound = listener.local_addr().map_err(fail)?;
    Ok((listener, bound))
}

impl SimMesos {
    /// Opens the masters; agents join later.
    pub async fn start(options: Options) -> Result<Self, MesosError> {
        let mut listeners = Vec::new();
        let mut masters = Vec::new();
        for address in &options.masters {
            let (listener, bound) = listen(*address).await?;
            listeners.push(listener);
            masters.push(bound);
        }
        let (starts, started) = mpsc::unbounded_channel();
        let times = Times { heartbeat: options.heartbeat, ping: options.ping };
        let cluster = Cluster::new(times, masters.clone(), options.seed, clock::now(), starts);
        let shared = Arc::new(Shared::new(cluster, options.login));
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for (number, listener) in listeners.into_iter().enumerate() {
            tasks.spawn(serve(listener, Face::Master(number), Arc::clone(&shared), stop.clone()));
        }
        tasks.spawn(tick(Arc::clone(&shared), stop.clone()));
        tasks.spawn(launch(options.launcher, started, Arc::clone(&shared), stop.clone()));
        Ok(Self { shared, masters, sandboxes: options.sandboxes, stop, tasks: Mutex::new(tasks) })
    }

    /// The masters as base URLs.
    pub fn masters(&self) -> Vec<String> {
        self.masters.iter().map(|address| format!("http://{address}")).collect()
    }

    /// A machine joins: its agent registers.
    pub async fn join(&self, host: &Host) -> Result<SocketAddr, MesosError> {
        let (listener, address) = listen(host.listen).await?;
        let described = (host.attributes.as_str(), (host.cpus, host.mem));
        let known_as = host.ip.unwrap_or_else(|| address.ip());
        let process =
            self.shared.cluster().add_host(&host.name, (address, known_as), described, self.sandboxes.clone());
        let (shared, stop) = (Arc::clone(&self.shared), self.stop.clone());
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(serve_agent(listener, host.name.clone(), process, shared, stop));
        Ok(address)
    }

    /// The agent process of a host is killed; its executors go on.
    pub fn kill_agent(&self, host: &str) {
        self.shared.cluster().kill_agent(host);
    }

    /// The agent process of a host starts again.
    pub fn start_agent(&self, host: &str) {
        self.shared.cluster().start_agent(host);
    }

    /// The agent process of a host hangs.
    pub fn pause_agent(&self, host: &str) {
        self.shared.cluster().pause_agent(host, true);
    }

    /// The agent process of a host goes on.
    pub fn resume_agent(&self, host: &str) {
        self.shared.cluster().pause_agent(host, false);
    }

    /// The agent process of a host ends and loses its memory; started, it is another agent.
    pub fn forget_agent(&self, host: &str) {
        self.shared.cluster().forget_agent(host);
    }

    /// Another master leads from now on, and knows nothing yet.
    pub fn lead(&self, number: usize) {
        self.shared.cluster().fail_over(number);
    }

    /// No master leads, until one does.
    pub fn lose_leader(&self) {
        let mut cluster = self.shared.cluster();
        cluster.fail_over(0);
        cluster.lead = Lead::Nobody;
    }

    /// The first master leads and has not read its registry yet.
    pub fn recover_leader(&self) {
        let mut cluster = self.shared.cluster();
        cluster.fail_over(0);
        cluster.lead = Lead::Recovering(0);
    }

    /// How frameworks answered offers so far.
    pub fn offered(&self) -> Offered {
        self.shared.cluster().offered()
    }

    /// The master says an error to each framework, and leaves its stream open.
    pub fn say_error(&self, message: &str) {
        self.shared.cluster().say_error(message);
    }

    /// Closes everything; executors are killed.
    pub async fn stop(self) {
        self.stop.cancel();
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        while tasks.join_next().await.is_some() {}
    }
}

impl Drop for SimMesos {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn tick(shared: Arc<Shared>, stop: CancellationToken) {
    let mut every = tokio::time::interval(TICK);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = every.tick() => {}
        }
        let now = shared.begun.elapsed();
        shared.cluster().tick(now);
    }
}

/// Starts what agents want started, and tells them when it has ended.
async fn launch(
    launcher: Launcher,
    mut started: mpsc::UnboundedReceiver<(ExecutorKey, Start)>,
    shared: Arc<Shared>,
    stop: CancellationToken,
) {
    let mut running = JoinSet::new();
    loop {
        let (key, start) = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = running.join_next() => continue,
            start = started.recv() => match start {
                Some(start) => start,
                None => break,
            },
        };
        let (running_one, shared) = (launcher(start), Arc::clone(&shared));
        running.spawn(async move {
            let exit = running_one.await;
            shared.cluster().exited(key, exit);
        });
    }
    running.shutdown().await;
}
