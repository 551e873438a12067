//! A whole system from nothing: bare hosts join a simulated Mesos, the product
//! makes a ScaleIO cluster of them, and one more host comes later.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Disk, Hosts, Spec, launcher, package};
use crate::agent::recipes::os::Books;
use crate::config::rollout::{Rollout, Topology, WantedMdm};
use crate::config::{Agents, Artefacts, GatewayUrl, Login, MasterUrl, Masters, Mesos, Secret, System, Trust};
use crate::model::command::Command;
use crate::model::order::Component;
use crate::sim::mesos::{MesosError, Options as MesosOptions, SimMesos};
use crate::sim::world::Layout;
use crate::sim::{Options, Release, Running, Simulation, StartError};

/// The release of its packages, as their files name it.
const PACKAGES: &str = "3.6-0.105";

/// Bare hosts at the beginning.
const FIRST: u8 = 3;

/// The disk of the late host that holds data.
pub const DATA_DISK: &str = "/dev/sdc";

/// Why the scene cannot be played.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum SceneError {
    #[error(transparent)]
    System(#[from] StartError),
    #[error(transparent)]
    Mesos(#[from] MesosError),
    #[error("cannot write below {}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
}

/// The scene: a gateway before nothing, a Mesos without agents, and packages.
pub struct Scene {
    /// The system that is to be.
    pub world: Running,
    /// Its hosts.
    pub hosts: Hosts,
    mesos: SimMesos,
    folder: PathBuf,
    name: String,
}

impl Scene {
    /// Opens everything; nobody joins yet. What is kept is below the folder. The name is that of the system, and of its
    /// hosts with a number behind it.
    ///
    /// # Errors
    /// A port cannot be had, or the folder cannot be written.
    pub async fn start(name: &str, folder: &Path, seed: u64, speed: f64) -> Result<Self, SceneError> {
        let options = Options { seed, speed, ..Options::new(Layout::bare(), Release::V3_6) };
        let world = Simulation::start(options).await?;
        let write = |path: PathBuf, text: &str| {
            let made = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&path, text));
            made.map_err(|source| SceneError::Io { path, source })
        };
        for component in [Component::Mdm, Component::Sds, Component::Sdc] {
            let (file, text) = package(component, PACKAGES, Books::Rpm);
            write(folder.join("packages").join(file), &text)?;
        }
        write(folder.join("gateway.pem"), world.certificate_pem())?;
        // Simulated hosts run the agent of this very process, and fetch nothing.
        write(folder.join("program"), "the program for agents\n")?;
        let hosts = Hosts::none(&world, &folder.join("hosts"));
        let found = hosts.clone();
        let launcher = launcher(move |name| found.host(name));
        let mesos = SimMesos::start(MesosOptions::new(launcher, folder.join("sandboxes"))).await?;
        hosts.show();
        Ok(Self { world, hosts, mesos, folder: folder.to_owned(), name: name.to_owned() })
    }

    /// The first hosts join: three bare ones, each in a rack of its own.
    ///
    /// # Errors
    /// As [`Scene::start`].
    pub async fn begin(&self) -> Result<(), SceneError> {
        for number in 1..=FIRST {
            self.join(number, &[("/dev/sdb", Disk::Blank), (DATA_DISK, Disk::Blank)]).await?;
        }
        Ok(())
    }

    /// One more joins, with a disk that holds a file system. The answer is its name.
    ///
    /// # Errors
    /// As [`Scene::start`].
    pub async fn late(&self) -> Result<String, SceneError> {
        self.join(FIRST + 1, &[("/dev/sdb", Disk::Blank), (DATA_DISK, Disk::Data)]).await
    }

    async fn join(&self, number: u8, disks: &[(&str, Disk)]) -> Result<String, SceneError> {
        let name = format!("{}-{number}", self.name);
        let spec = Spec::new(&name, &format!("10.9.0.{number}"));
        let spec = disks.iter().fold(spec, |spec, (path, disk)| spec.disk(path, *disk));
        let host = self.hosts.add(&spec);
        let host = host.map_err(|source| SceneError::Io { path: self.folder.clone(), source })?;
        let attributes = format!("rack:r{number};scaleio-system:{}", self.name);
        self.mesos.join(&host.at_mesos(&attributes)).await?;
        Ok(name)
    }

    /// The system, as a person would configure it: the MDM cluster is made, and all free disks become one pool.
    pub fn system(&self) -> System {
        let login = |user: &str, password: &str| Login { user: user.to_owned(), password: Secret::new(password) };
        let (monitor, admin) = (self.world.monitor(), self.world.admin());
        let gateways = self.world.addresses().iter().map(|address| GatewayUrl::at(*address)).collect();
        let trust = Trust::CaFile(self.folder.join("gateway.pem"));
        let accept = [Command::LoginAtPrompt, Command::SetPasswordAtPrompt].map(|command| command.to_string());
        let mdm = WantedMdm {
            rack_attribute: Some("rack".into()),
            name: Some(self.name.as_str().into()),
            accept: accept.into(),
            ..WantedMdm::default()
        };
        System {
            lifecycle: Some(login(&admin.user, &admin.password)),
            rollout: Some(Rollout { topology: Topology::OnePool, mdm: Some(mdm), ..Rollout::default() }),
            connect_timeout: Duration::from_secs(3),
            ..System::new(gateways, login(&monitor.user, &monitor.password), trust)
        }
    }

    /// The Mesos whose agents these hosts run.
    pub fn mesos(&self) -> Mesos {
        let url = |text: String| MasterUrl { tls: false, address: text.trim_start_matches("http://").to_owned() };
        Mesos {
            cluster: "demo".to_owned(),
            masters: Masters::Addresses(self.mesos.masters().into_iter().map(url).collect()),
            trust: Trust::SystemRoots,
            login: None,
            name: "scaleio-framework".to_owned(),
            user: "root".to_owned(),
            roles: vec!["*".to_owned()],
            failover_timeout: Duration::from_secs(7 * 24 * 60 * 60),
            webui_url: None,
            executor_cpus: 0.1,
            executor_mem: 128.0,
        }
    }

    /// Where its agents come to.
    pub fn agents(&self, listen: SocketAddr) -> Agents {
        Agents {
            listen,
            addresses: vec![format!("https://{listen}")],
            folder: self.folder.join("ca"),
            certificate_life: Duration::from_secs(365 * 24 * 60 * 60),
            // They run the agent of this very process.
            renew: false,
        }
    }

    /// What they are given.
    pub fn artefacts(&self) -> Artefacts {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Artefacts {
            folder: Some(self.folder.join("packages")),
            listen,
            url: format!("http://{listen}"),
            program: Some(self.folder.join("program")),
            ..Artefacts::default()
        }
    }

    /// Which disks of a host are devices of the system now, and what is on its disks by path.
    pub fn disks(&self, host: &str) -> BTreeMap<String, (bool, Disk)> {
        let Some(host) = self.hosts.host(host) else { return BTreeMap::new() };
        let disks = host.machine().disks.clone();
        disks.into_iter().map(|(path, disk)| (path.clone(), (host.has_device(&path), disk))).collect()
    }

    /// Ends it.
    pub async fn stop(self) {
        self.mesos.stop().await;
        self.world.stop().await;
    }
}
