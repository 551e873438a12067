//! How quickly do many hosts become ready? Bare hosts before a controller of its own: they join a simulated Mesos at
//! once, and what their world saw of it is told, in numbers.
//!
//! Their agents are the product's, on simulated machines, where an installation takes no time. What the simulated system
//! takes for itself is told apart: the test of each new device.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use scaleio_framework::agent::recipes::os::Books;
use scaleio_framework::clock;
use scaleio_framework::model::order::Component;
use scaleio_framework::model::unit::Timestamp;
use scaleio_framework::model::version::as_packaged;
use scaleio_framework::sim::Running;
use scaleio_framework::sim::mesos::{Options, SimMesos};
use scaleio_framework::sim::world::{DeviceState, World};
use scaleio_framework::stage::{Disk, Host, Hosts, Spec, launcher, package};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};

/// Between two looks at the devices of the hosts.
const LOOK: Duration = Duration::from_millis(50);

/// The only disk of each host.
const DISK: &str = "/dev/sdb";

/// When a device was there, and when its test was over.
#[derive(Clone, Copy)]
struct Tested {
    added_at: Timestamp,
    normal_at: Option<Timestamp>,
}

/// The hosts, their Mesos, and what was seen.
pub(crate) struct Fleet {
    mesos: SimMesos,
    hosts: Vec<Arc<Host>>,
    /// By address.
    devices: Arc<Mutex<BTreeMap<String, Tested>>>,
    /// They end with it.
    _all: Hosts,
}

impl Fleet {
    /// The hosts, which do not join yet, and packages of the release that runs.
    pub(crate) async fn start(world: &Running, folder: &Path, count: u32) -> anyhow::Result<Self> {
        let release = world.world(|world| world.sds.values().next().map(|sds| sds.version.clone()));
        let release = as_packaged(&release.context("the system has no server")?);
        let packages = folder.join("packages");
        std::fs::create_dir_all(&packages).with_context(|| format!("cannot make {}", packages.display()))?;
        for component in [Component::Sds, Component::Sdc] {
            let (name, text) = package(component, &release, Books::Rpm);
            std::fs::write(packages.join(name), text)?;
        }
        // Simulated hosts run the agent of this very process, and fetch nothing.
        std::fs::write(folder.join("program"), "the program for agents\n")?;
        let all = Hosts::none(world, &folder.join("hosts"));
        let hosts: std::io::Result<Vec<Arc<Host>>> = (0..count)
            .map(|number| {
                let (high, low) = (number / 250, number % 250 + 1);
                all.add(
                    &Spec::new(&format!("bare-{}", number + 1), &format!("10.77.{high}.{low}")).disk(DISK, Disk::Blank),
                )
            })
            .collect();
        let found = all.clone();
        let launcher = launcher(move |name| found.host(name));
        let mesos = SimMesos::start(Options::new(launcher, folder.join("sandboxes"))).await?;
        all.show();
        let devices = Arc::default();
        tokio::spawn(look(world.handle(), Arc::clone(&devices)));
        Ok(Self { mesos, hosts: hosts?, devices, _all: all })
    }

    /// What the configuration of the controller says beside the system, with where it hears agents and gives out packages.
    pub(crate) fn settings(&self, agents: SocketAddr, mirror: SocketAddr) -> anyhow::Result<String> {
        let masters = self.mesos.masters();
        let mut text = String::new();
        writeln!(text, "[systems.demo.rollout]\ntopology = \"one_pool\"\n[lifecycle]\nmode = \"act\"")?;
        writeln!(text, "[mesos]\nmasters = {masters:?}\nroles = [\"*\"]")?;
        writeln!(
            text,
            "[agents]\nlisten = \"{agents}\"\naddresses = [\"https://{agents}\"]\nfolder = \"ca\"\nrenew = false"
        )?;
        let folder = "folder = \"packages\"\nprogram = \"program\"";
        writeln!(text, "[artefacts]\nlisten = \"{mirror}\"\nurl = \"http://{mirror}\"\n{folder}")?;
        Ok(text)
    }

    /// Obeys lines: `join` lets all hosts join at once, `tell` prints what was seen so far in one line of JSON.
    pub(crate) async fn obey(&self) -> anyhow::Result<()> {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        while let Some(line) = lines.next_line().await? {
            match line.trim() {
                "join" => {
                    for host in &self.hosts {
                        self.mesos.join(&host.at_mesos("")).await?;
                    }
                }
                "tell" => println!("{}", self.told()),
                other => println!("{other:?} is neither join nor tell"),
            }
        }
        // Who started it has gone; it ends by its other ways.
        std::future::pending().await
    }

    fn told(&self) -> serde_json::Value {
        let offers = self.mesos.offered();
        let devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let hosts: serde_json::Map<String, serde_json::Value> = self
            .hosts
            .iter()
            .map(|host| {
                let device = devices.get(host.address()).copied();
                let told = json!({
                    "offered_at": offers.first.get(&host.name),
                    "device_at": device.map(|device| device.added_at),
                    "tested_at": device.and_then(|device| device.normal_at),
                });
                (host.name.clone(), told)
            })
            .collect();
        json!({
            "answered": offers.answered,
            "open": offers.open,
            "longest_answer_s": offers.longest.as_secs_f64(),
            "hosts": hosts,
        })
    }

    /// Ends it.
    pub(crate) async fn stop(self) {
        self.mesos.stop().await;
    }
}

/// Sees when devices come and when their tests are over.
async fn look(world: scaleio_framework::sim::Handle, devices: Arc<Mutex<BTreeMap<String, Tested>>>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let seen = world.world(|world| tested(world));
        let now = clock::now();
        let mut devices = devices.lock().unwrap_or_else(PoisonError::into_inner);
        for (ip, is_normal) in seen {
            let device = devices.entry(ip).or_insert(Tested { added_at: now, normal_at: None });
            if is_normal && device.normal_at.is_none() {
                device.normal_at = Some(now);
            }
        }
    }
}

/// The address of each server with a device of that name, and whether the test is over.
fn tested(world: &World) -> Vec<(String, bool)> {
    let ours = world.devices.values().filter(|device| device.path == DISK);
    let of = ours.filter_map(|device| {
        let ip = world.sds.get(&device.sds)?.ips.first()?.ip.clone();
        Some((ip, device.state == DeviceState::Normal))
    });
    of.collect()
}
