//! The upgrade that the demo shows: each server of a system that is there has a host with an agent, and the calendar asks
//! for the next release soon after the start.
//!
//! Clients and servers are brought to it. The MDM cluster is elsewhere and has it already: who owned it would be quiet
//! for ten minutes after it handed over, and nobody watches that long.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{SecondsFormat, TimeDelta};

use super::{Hosts, package};
use crate::agent::recipes::os::Books;
use crate::clock;
use crate::config::{Asks, Config, Job, Login, Secret, Standing, StaticNode};
use crate::enrol::ca::Authority;
use crate::model::cron::CronLine;
use crate::model::id::{NodeName, SystemId};
use crate::model::lifecycle::Mode;
use crate::model::order::Component;
use crate::model::plan::{Request, Risk};
use crate::model::schedule::{Missed, Overlap, Schedule};
use crate::model::step::MaintenanceMode;
use crate::model::version::as_packaged;
use crate::model::window::Zone;
use crate::sim::Running;

/// Everything must be well so long after a node; people watch.
const SOAK: Duration = Duration::from_secs(5);

/// The job.
const JOB: &str = "next-release";

/// Who said yes to it.
const BY: &str = "whoever started the demo";

/// The system, its hosts, and what is to become of them.
pub struct Renewal {
    system: SystemId,
    hosts: Hosts,
    login: Login,
    addresses: BTreeMap<NodeName, String>,
    before: String,
    after: String,
    folder: PathBuf,
}

impl Renewal {
    /// Puts a host under each server.
    ///
    /// # Errors
    /// Files cannot be made; or the servers have a release that has no package of ours.
    pub fn of(world: &Running, system: &str, folder: &Path) -> Result<Self, String> {
        let before = world.world(|world| world.sds.values().next().map(|sds| sds.version.clone()));
        let before = before.ok_or("the system has no server")?;
        // The same release with a higher last number: every generation has such.
        let last = before.rsplit_once('.').and_then(|(head, last)| Some((head, last.parse::<u32>().ok()?)));
        let (head, last) = last.ok_or_else(|| format!("release {before} has no packages that agents install"))?;
        let after = format!("{head}.{}", last + 100);
        let addresses = world.world(|world| {
            for (number, member) in (1..).zip(&mut world.mdm.members) {
                member.version.clone_from(&after);
                member.ips = vec![format!("10.99.0.{number}")];
            }
            let host = |sds: &crate::sim::world::Sds| {
                let address = sds.ips.first().map(|at| at.ip.clone()).unwrap_or_default();
                (NodeName::new(&sds.name.replacen("sds", "host", 1)), address)
            };
            world.sds.values().map(host).collect()
        });
        let hosts = Hosts::of(world, &folder.join("hosts")).map_err(|error| error.to_string())?;
        let admin = world.admin();
        let login = Login { user: admin.user.clone(), password: Secret::new(&admin.password) };
        Ok(Self { system: SystemId::new(system), hosts, login, addresses, before, after, folder: folder.to_owned() })
    }

    /// What the system is brought to.
    pub fn to(&self) -> &str {
        &self.after
    }

    /// Tells a controller of the hosts, of their packages, and of the job that asks for the upgrade after so long. Where
    /// agents come to must be in it already.
    ///
    /// # Errors
    /// Files cannot be made.
    pub fn configure(&self, config: &mut Config, begins: Duration) -> Result<(), String> {
        self.packages(config.artefacts.folder.get_or_insert_with(|| self.folder.join("packages")))?;
        if let Some(system) = config.systems.get_mut(&self.system) {
            system.lifecycle = Some(self.login.clone());
        }
        for (node, address) in &self.addresses {
            let address = address.parse().map_err(|_| format!("{address} is no address of a host"))?;
            let attributes = [("scaleio-system".into(), self.system.as_str().into())].into();
            config.static_nodes.insert(node.clone(), StaticNode { address, attributes });
        }
        // A person said yes by asking for the demo.
        config.lifecycle.mode = Mode::Act;
        config.lifecycle.soak = SOAK;
        config.jobs.push(self.job(begins)?);
        Ok(())
    }

    /// The same for a controller that reads a file: what is to stand in it, with paths from the folder that it is in.
    ///
    /// # Errors
    /// Files cannot be made.
    pub fn written(
        &self,
        folder: &Path,
        agents: SocketAddr,
        packages: SocketAddr,
        begins: Duration,
    ) -> Result<String, String> {
        self.packages(&folder.join("packages"))?;
        let file =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(folder.join("admin"));
        file.and_then(|mut file| file.write_all(self.login.password.reveal().as_bytes()))
            .map_err(|error| error.to_string())?;
        let (system, user, soak) = (&self.system, &self.login.user, SOAK.as_secs());
        let (line, until) =
            (cron(begins), (clock::now() + TimeDelta::days(1)).to_rfc3339_opts(SecondsFormat::Secs, true));
        let mut text = format!(
            "[systems.{system}.lifecycle]\nuser = {user:?}\npassword_file = \"admin\"\n\
             [poll]\nfast = \"2s\"\nmiddle = \"6s\"\nslow = \"20s\"\n\
             [lifecycle]\nmode = \"act\"\nsoak = \"{soak}s\"\n\
             [agents]\nlisten = \"{agents}\"\nfolder = \"ca\"\nrenew = false\n\
             [artefacts]\nlisten = \"{packages}\"\nfolder = \"packages\"\n\
             [[jobs]]\nname = \"{JOB}\"\nsystem = \"{system}\"\ncron = \"{line}\"\nupgrade_to = {:?}\n\
             approval = {{ by = \"{BY}\", until = \"{until}\", max_risk = \"medium\" }}\n",
            self.after,
        );
        for (node, address) in &self.addresses {
            text += &format!("[fleet.static.{node}]\naddress = \"{address}\"\n");
            text += &format!("attributes = {{ scaleio-system = \"{system}\" }}\n");
        }
        Ok(text)
    }

    /// The releases from before and after, as a controller gives them out.
    fn packages(&self, folder: &Path) -> Result<(), String> {
        std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        for component in [Component::Sds, Component::Sdc] {
            for release in [&self.before, &self.after] {
                let (name, text) = package(component, &as_packaged(release), Books::Rpm);
                std::fs::write(folder.join(name), text).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    fn job(&self, begins: Duration) -> Result<Job, String> {
        let now = clock::now();
        let line = cron(begins);
        let schedule = Schedule {
            name: JOB.into(),
            line: CronLine::parse(&line, Zone::UTC).map_err(|error| error.to_string())?,
            jitter: TimeDelta::zero(),
            late: TimeDelta::minutes(30),
            missed: Missed::Skip,
            overlap: Overlap::Skip,
            calendar: Default::default(),
        };
        let standing = Standing {
            by: BY.into(),
            until: now + TimeDelta::days(1),
            modes: [MaintenanceMode::Instant, MaintenanceMode::Protected].into(),
            max_risk: Risk::Medium,
            accept: Default::default(),
        };
        let asks = Asks::Work(Request::Upgrade { to: self.after.as_str().into(), only: Default::default() });
        Ok(Job { system: Some(self.system.clone()), schedule, asks, standing: Some(standing) })
    }

    /// Lets the agents of the hosts come to a controller that runs.
    ///
    /// # Errors
    /// Their papers cannot be made.
    pub fn begin(&self, config: &Config) -> Result<(), String> {
        let agents = config.agents.as_ref().ok_or("no agent can come: the configuration has no section [agents]")?;
        self.come(&agents.folder, &agents.addresses)
    }

    /// Lets the agents of the hosts come to whatever controller is at these addresses, with papers of the authority in a
    /// folder, which is made when there is none.
    ///
    /// # Errors
    /// Their papers cannot be made.
    pub fn come(&self, authority: &Path, controllers: &[String]) -> Result<(), String> {
        let authority = Authority::open(authority, clock::now()).map_err(|error| error.to_string())?;
        self.hosts.show();
        for host in self.hosts.all() {
            host.enrol(&authority)?;
            host.start_agent(controllers.to_vec());
        }
        Ok(())
    }

    /// The hosts.
    pub const fn hosts(&self) -> &Hosts {
        &self.hosts
    }
}

/// The moment after so long, as the calendar writes it.
fn cron(begins: Duration) -> String {
    (clock::now() + begins).format("%-S %-M %-H %-d %-m *").to_string()
}
