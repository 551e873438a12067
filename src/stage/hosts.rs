//! The hosts of a simulated system, each with an agent, and how those come to
//! their papers.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::machine::{Disk, Machine, Seat};
use super::package::named;
use super::shows::{Place, View};
use crate::agent::executor::{Body, Briefing, carry};
use crate::agent::papers;
use crate::agent::run::{Settings, fetcher, link, run_on};
use crate::clock;
use crate::enrol::ca::Authority;
use crate::enrol::request::Request;
use crate::mesos::executor::Surroundings;
use crate::model::enrolment;
use crate::model::order::Component;
use crate::sim::mesos::{Exit, Launcher, Start};
use crate::sim::world::MdmRole;
use crate::sim::{Running, mesos};

/// How often the machines show in the world: twice within a step of its time.
const LOOK: Duration = Duration::from_millis(400);
/// Between two looks whether a host is on again, or has papers now.
const PAUSE: Duration = Duration::from_millis(100);

/// A host to be.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Spec {
    pub name: String,
    /// The first one is that by which it is known.
    pub ips: Vec<String>,
    /// `ID` and `VERSION_ID` of os-release.
    pub os: (String, String),
    pub disks: Vec<(String, Disk)>,
    pub cores: u32,
    pub memory_mib: u64,
    /// How long a restart takes.
    pub boot: Duration,
}

impl Spec {
    /// CentOS 7 with eight cores, 32 GiB and no disks.
    pub fn new(name: &str, ip: &str) -> Self {
        Self {
            name: name.to_owned(),
            ips: vec![ip.to_owned()],
            os: ("centos".to_owned(), "7".to_owned()),
            disks: Vec::new(),
            cores: 8,
            memory_mib: 32 * 1024,
            boot: Duration::from_secs(2),
        }
    }

    /// With another operating system.
    #[must_use]
    pub fn os(mut self, id: &str, version: &str) -> Self {
        self.os = (id.to_owned(), version.to_owned());
        self
    }

    /// With one more disk.
    #[must_use]
    pub fn disk(mut self, path: &str, disk: Disk) -> Self {
        self.disks.push((path.to_owned(), disk));
        self
    }
}

/// A host with an agent.
pub struct Host {
    /// Its name.
    pub name: String,
    /// Where the papers and the ledger of its agent are, on this machine.
    pub folder: PathBuf,
    machine: Arc<Mutex<Machine>>,
    place: Arc<Place>,
    ip: String,
    /// The present agent.
    agent: Mutex<CancellationToken>,
    runs: Arc<AtomicBool>,
    stop: CancellationToken,
}

impl Host {
    /// The machine. Its agent waits while this is held.
    pub fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The address by which it is known.
    pub fn address(&self) -> &str {
        &self.ip
    }

    /// As Mesos knows it.
    pub fn at_mesos(&self, attributes: &str) -> mesos::Host {
        let machine = self.machine();
        let number = |path: &str| machine.node.read(path).map(|text| String::from_utf8_lossy(&text).into_owned());
        let cores = number("/proc/cpuinfo").map_or(1, |text| text.lines().count());
        let ip: Option<IpAddr> = self.ip.parse().ok();
        mesos::Host { cpus: cores as f64, mem: 16_384.0, ip, ..mesos::Host::new(self.name.as_str(), attributes) }
    }

    /// The password of the administrator of the MDM cluster that the host is in, where bare hosts made it.
    pub fn mdm_password(&self) -> Option<String> {
        self.place.password(&self.ip)
    }

    /// Whether its SDS holds the disk of a name now, whatever the MDM calls it.
    pub fn holds(&self, path: &str) -> bool {
        self.machine().holds(path)
    }

    /// Whether a disk is a device of its SDS now.
    pub fn has_device(&self, path: &str) -> bool {
        let ips = self.machine().ips.clone();
        self.place.is_device(&ips, path)
    }

    /// Gives it papers of a controller on this very machine, as if it had joined before.
    ///
    /// # Errors
    /// They cannot be made or written.
    pub fn enrol(&self, authority: &Authority) -> Result<(), String> {
        let request = Request::new(&self.name).map_err(|error| error.to_string())?;
        let signed = authority.sign(request.pem(), &self.name, clock::now()).map_err(|error| error.to_string())?;
        papers::keep(&self.folder, &request, &signed, authority.pem(), &authority.fingerprint())
    }

    /// Gets it papers by a token. `ca` is the file with the authority's certificate.
    ///
    /// # Errors
    /// The controller does not give them.
    pub async fn join(&self, controller: &str, ca: &Path, token: &str) -> Result<(), String> {
        papers::join(&self.folder, ca, controller, &self.name, token).await
    }

    /// Starts its agent, in the place of the one that runs. It outlives whoever starts it and boots of the host.
    pub fn start_agent(&self, controllers: Vec<String>) {
        let mine = self.stop.child_token();
        let mut agent = self.agent.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *agent, mine.clone()).cancel();
        let settings = Settings { controllers, folder: self.folder.clone() };
        tokio::spawn(live(settings, Arc::clone(&self.machine), Arc::clone(&self.place), Arc::clone(&self.runs), mine));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Lives of an agent, one after the other: each ends with the power of its host.
async fn live(
    settings: Settings,
    machine: Arc<Mutex<Machine>>,
    place: Arc<Place>,
    runs: Arc<AtomicBool>,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        let life = stop.child_token();
        let is_on = {
            let mut machine = machine.lock().unwrap_or_else(PoisonError::into_inner);
            let is_on = machine.is_on();
            if is_on {
                machine.begin_life(life.clone());
            }
            is_on
        };
        if is_on {
            match link(&settings) {
                Ok(link) => {
                    let (fetch, part) = (fetcher(&settings, &link), settings.folder.join("part"));
                    let seat = Seat::new(Arc::clone(&machine), Arc::clone(&place), fetch, part);
                    runs.store(true, Ordering::Relaxed);
                    if let Err(error) = run_on(settings.clone(), link, Box::new(seat), life).await {
                        warn!(%error, "a simulated agent ended");
                    }
                    runs.store(false, Ordering::Relaxed);
                }
                Err(error) => warn!(%error, "a simulated agent has no papers"),
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// The agent of a simulated host, for its executor.
struct Simulated(Arc<Host>);

impl Body for Simulated {
    async fn settle(&mut self, briefing: &Briefing, new_papers: bool) -> Result<(), String> {
        if new_papers || !self.0.runs.load(Ordering::Relaxed) {
            self.0.start_agent(briefing.controllers.clone());
        }
        Ok(())
    }

    async fn health(&mut self, _briefing: &Briefing) -> Result<(), String> {
        if self.0.machine().is_on() { Ok(()) } else { Err("the host is down".to_owned()) }
    }

    fn ends_with_us(&self) -> bool {
        false
    }
}

/// What runs executors of a simulated Mesos on simulated hosts, which are found by name.
pub fn launcher(find: impl Fn(&str) -> Option<Arc<Host>> + Send + Sync + 'static) -> Launcher {
    Arc::new(move |start| {
        let host = find(&start.hostname);
        Box::pin(async move {
            match host {
                Some(host) => execute(start, host).await,
                None => Exit::NotStarted { why: format!("there is no machine {}", start.hostname) },
            }
        })
    })
}

async fn execute(start: Start, host: Arc<Host>) -> Exit {
    let mut variables = start.environment;
    variables.push((enrolment::FOLDER.to_owned(), host.folder.display().to_string()));
    let surroundings = match Surroundings::read(&variables) {
        Ok(surroundings) => surroundings,
        Err(error) => return Exit::NotStarted { why: error.to_string() },
    };
    let carried = carry(&surroundings, Briefing::read(&variables), Simulated(host));
    tokio::select! {
        () = start.kill.cancelled() => Exit::Status(9),
        ended = carried => match ended {
            Ok(_) => Exit::Status(0),
            Err(error) => {
                warn!(%error, "a simulated executor failed");
                Exit::Status(1 << 8)
            }
        },
    }
}

/// The hosts of one system. They and their agents end when the last of these is dropped.
#[derive(Clone)]
pub struct Hosts(Arc<Inner>);

struct Inner {
    place: Arc<Place>,
    folder: PathBuf,
    hosts: Mutex<BTreeMap<String, Arc<Host>>>,
    stop: CancellationToken,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Hosts {
    /// None yet. What agents must keep is below the folder.
    pub fn none(world: &Running, folder: &Path) -> Self {
        Self(Arc::new(Inner {
            place: Arc::new(Place::new(world.handle())),
            folder: folder.to_owned(),
            hosts: Mutex::default(),
            stop: CancellationToken::new(),
        }))
    }

    /// One for each SDS, with all packages that its part in the system asks for, in the version that runs.
    /// `sds-1-2` is on `host-1-2`.
    ///
    /// # Errors
    /// A folder cannot be made.
    pub fn of(world: &Running, folder: &Path) -> std::io::Result<Self> {
        struct Part {
            spec: Spec,
            version: String,
            mdm: Option<MdmRole>,
            managers: Vec<String>,
        }
        let hosts = Self::none(world, folder);
        let parts: Vec<Part> = world.world(|world| {
            let is_manager = |role: MdmRole| role == MdmRole::Manager;
            let voters = world.mdm.voters().filter(|mdm| is_manager(mdm.role));
            let managers: Vec<String> = voters.flat_map(|mdm| mdm.ips.clone()).collect();
            let part = |sds: &crate::sim::world::Sds| {
                let mut ips: Vec<String> = sds.ips.iter().map(|address| address.ip.clone()).collect();
                // Clients are in a network of their own, where a host has the same number.
                let number = ips.first().and_then(|ip| ip.rsplit_once('.')).map(|(_, number)| format!(".{number}"));
                let client = number.and_then(|number| world.sdcs.values().find(|sdc| sdc.ip.ends_with(&number)));
                ips.extend(client.map(|sdc| sdc.ip.clone()));
                let mdm = world.mdm.members.iter().find(|mdm| mdm.ips.iter().any(|ip| ips.contains(ip)));
                let name = sds.name.replacen("sds", "host", 1);
                let mut spec = Spec { ips: ips.clone(), ..Spec::new(&name, "") };
                let devices = world.devices.values().filter(|device| device.sds == sds.id);
                spec.disks = devices.map(|device| (device.path.clone(), Disk::Blank)).collect();
                Part { spec, version: sds.version.clone(), mdm: mdm.map(|mdm| mdm.role), managers: managers.clone() }
            };
            world.sds.values().map(part).collect()
        });
        for Part { spec, version, mdm, managers } in parts {
            let host = hosts.add(&spec)?;
            let release = named(&version).unwrap_or(version);
            let mut machine = host.machine();
            match mdm {
                Some(MdmRole::Manager) => machine.has(Component::Mdm, &release),
                Some(MdmRole::TieBreaker) => machine.has(Component::Tb, &release),
                None => {}
            }
            machine.has(Component::Sds, &release);
            machine.has(Component::Sdc, &release);
            machine.knows(&managers);
        }
        Ok(hosts)
    }

    /// One more host.
    ///
    /// # Errors
    /// Its folder cannot be made.
    pub fn add(&self, spec: &Spec) -> std::io::Result<Arc<Host>> {
        let folder = self.0.folder.join(&spec.name);
        std::fs::create_dir_all(&folder)?;
        let host = Arc::new(Host {
            name: spec.name.clone(),
            folder,
            machine: Arc::new(Mutex::new(Machine::new(spec, Arc::clone(&self.0.place)))),
            place: Arc::clone(&self.0.place),
            ip: spec.ips.first().cloned().unwrap_or_default(),
            agent: Mutex::default(),
            runs: Arc::default(),
            stop: self.0.stop.child_token(),
        });
        self.hosts().insert(spec.name.clone(), Arc::clone(&host));
        Ok(host)
    }

    fn hosts(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Host>>> {
        self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The host of a name.
    pub fn host(&self, name: &str) -> Option<Arc<Host>> {
        self.hosts().get(name).cloned()
    }

    /// All of them, by name.
    pub fn all(&self) -> Vec<Arc<Host>> {
        self.hosts().values().cloned().collect()
    }

    /// Commands that changed the MDM cluster of bare hosts, in order.
    pub fn mdm_changes(&self) -> Vec<String> {
        self.0.place.changes()
    }

    /// Lets the machines show in the world now.
    pub fn look(&self) {
        let views: Vec<View> = self.all().iter().map(|host| host.machine().view()).collect();
        if let Err(refusal) = self.0.place.reflect(&views) {
            warn!(%refusal, "the simulated system does not show its hosts");
        }
    }

    /// Lets them show all the time, until the hosts end.
    pub fn show(&self) {
        let (hosts, stop) = (Arc::downgrade(&self.0), self.0.stop.clone());
        tokio::spawn(async move {
            while !stop.is_cancelled() {
                let Some(inner) = hosts.upgrade() else { return };
                let looked = tokio::task::spawn_blocking(move || Self(inner).look());
                if looked.await.is_err() {
                    return;
                }
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
        });
    }
}
