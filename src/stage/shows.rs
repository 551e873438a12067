//! What do the services of machines do to the simulated system, and what do
//! machines see of it?
//!
//! Two truths are joined here: the MDM cluster of bare hosts is that of
//! `sim::scli`, and all else is the world's. A change of the cluster by `scli`
//! shows in the world; one by REST is not told to `scli`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::sim::Handle;
use crate::sim::scli::{Ended, Landscape};
use crate::sim::world::{Component, MdmRole, Refusal, Sds, Seated, World};

/// Where managers are asked by clients, and by each other.
const MANAGER_PORTS: [u16; 3] = [6611, 8611, 9011];

/// A component that is installed on a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Whether it runs.
    pub runs: bool,
    /// Its version, in the words of the MDM.
    pub version: Option<String>,
    /// Counts its starts and those of the machine.
    pub starts: u64,
}

/// What others see of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Its name.
    pub name: String,
    /// Its addresses; it is known by the first one.
    pub ips: Vec<String>,
    /// Its server.
    pub sds: Option<Service>,
    /// Its client.
    pub sdc: Option<Service>,
    /// Its MDM.
    pub mdm: Option<Service>,
    /// Whether its MDM was installed as a manager.
    pub is_manager: bool,
    /// Whom its client knows, one list a system.
    pub managers: Vec<Vec<String>>,
    /// Ports that are open.
    pub ports: BTreeSet<u16>,
}

/// What is around the machines of one system, simulated ones or booted hosts.
pub struct Place {
    world: Handle,
    land: Mutex<Landscape>,
    /// Open ports by address.
    ports: Mutex<BTreeMap<String, BTreeSet<u16>>>,
    known: Mutex<Known>,
}

/// What was shown before.
#[derive(Default)]
struct Known {
    /// The cluster of bare hosts.
    seats: Vec<Seated>,
    name: Option<String>,
    /// Starts of services, by machine and kind.
    starts: BTreeMap<(String, &'static str), u64>,
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_manager_at(world: &World, ip: &str) -> bool {
    let is_it = |own: &String| own == ip;
    world.mdm.members.iter().any(|mdm| mdm.up && mdm.role == MdmRole::Manager && mdm.ips.iter().any(is_it))
        || world.cluster_ips.iter().any(is_it)
}

impl Place {
    /// Around the machines of this world.
    pub fn new(world: Handle) -> Self {
        Self { world, land: Mutex::default(), ports: Mutex::default(), known: Mutex::default() }
    }

    /// Runs scli of a machine; also tells whether it changed anything.
    pub fn scli(&self, from: &str, args: &[&str], typed: &[&str]) -> (Ended, bool) {
        let mut land = locked(&self.land);
        let before = land.changes.len();
        let ended = land.scli(from, args, typed);
        (ended, land.changes.len() > before)
    }

    /// Commands that changed the MDM cluster of bare hosts, in order.
    pub fn changes(&self) -> Vec<String> {
        locked(&self.land).changes.clone()
    }

    /// The password of the administrator of the cluster that a machine is in.
    pub fn password(&self, ip: &str) -> Option<String> {
        locked(&self.land).password(ip).map(str::to_owned)
    }

    /// Whether an MDM answers a client that knows these addresses.
    pub(super) fn answers(&self, ips: &[String]) -> bool {
        self.world.world(|world| world.answers() && ips.iter().any(|ip| is_manager_at(world, ip)))
    }

    /// Whether a disk of a machine is a device of its SDS.
    pub(super) fn is_device(&self, ips: &[String], path: &str) -> bool {
        self.world.world(|world| {
            let mut own = world.devices.values().filter(|device| device.path == path);
            own.any(|device| {
                let sds = world.sds.get(&device.sds);
                sds.is_some_and(|sds| sds.ips.iter().any(|address| ips.contains(&address.ip)))
            })
        })
    }

    /// Whether somebody listens at an address.
    pub(super) fn reach(&self, address: &str) -> Result<(), String> {
        let at: SocketAddr = address.parse().map_err(|error| format!("{address} is no address: {error}"))?;
        let ip = at.ip().to_string();
        let listens = locked(&self.ports).get(&ip).is_some_and(|open| open.contains(&at.port()))
            || self.world.world(|world| {
                let is_server = |sds: &Sds| {
                    sds.connected() && sds.port == at.port() && sds.ips.iter().any(|address| address.ip == ip)
                };
                // Servers that no machine stands for are reached too.
                (MANAGER_PORTS.contains(&at.port()) && is_manager_at(world, &ip)) || world.sds.values().any(is_server)
            });
        if listens { Ok(()) } else { Err("Connection refused".to_owned()) }
    }

    /// Takes in what a machine is now: its ports, and whether its MDM runs.
    pub(super) fn hears(&self, view: &View) {
        let mut ports = locked(&self.ports);
        for ip in &view.ips {
            ports.insert(ip.clone(), view.ports.clone());
        }
        drop(ports);
        let (Some(ip), Some(mdm)) = (view.ips.first(), &view.mdm) else { return };
        let mut land = locked(&self.land);
        land.is_also_at(ip, &view.ips);
        if mdm.runs {
            land.install(ip, view.is_manager);
        } else {
            land.power(ip, false);
        }
    }

    /// Brings the world up to what the machines are.
    ///
    /// # Errors
    /// The world does not take it.
    pub fn reflect(&self, views: &[View]) -> Result<(), Refusal> {
        views.iter().for_each(|view| self.hears(view));
        let ((name, mut seats), virtual_ips, is_licensed) = {
            let land = locked(&self.land);
            (land.seated(), land.virtual_ips(), land.is_licensed())
        };
        for seat in &mut seats {
            let host = views.iter().find(|view| view.ips.iter().any(|ip| seat.ips.contains(ip)));
            let version = host.and_then(|view| view.mdm.as_ref()?.version.clone());
            seat.version = version.unwrap_or_default();
        }
        let mut known = locked(&self.known);
        self.world.world(|world| {
            // Without a leader nobody tells of the cluster.
            let is_news = membership(&seats) != membership(&known.seats) || name != known.name;
            if is_news && seats.iter().any(|seat| seat.leads) {
                world.seat_mdms(name.as_deref(), &seats);
                world.cluster_ips = virtual_ips;
                (known.seats, known.name) = (seats, name);
            }
            world.system.is_licensed |= is_licensed;
            for view in views {
                show_mdm(world, view, &mut known.starts)?;
                show_sds(world, view, &mut known.starts)?;
                show_sdc(world, view)?;
            }
            Ok(())
        })
    }
}

/// What of the cluster `scli` alone changes.
fn membership(seats: &[Seated]) -> Vec<(&str, bool, bool)> {
    seats.iter().map(|seat| (seat.name.as_str(), seat.standby, seat.leads)).collect()
}

/// Whether a service was started since the last look.
fn started(starts: &mut BTreeMap<(String, &'static str), u64>, view: &View, kind: &'static str, now: u64) -> bool {
    let before = starts.insert((view.name.clone(), kind), now);
    before.is_some_and(|before| before != now)
}

fn show_mdm(world: &mut World, view: &View, starts: &mut BTreeMap<(String, &'static str), u64>) -> Result<(), Refusal> {
    let own = world.mdm.members.iter().find(|mdm| mdm.ips.iter().any(|ip| view.ips.contains(ip)));
    let Some((name, up, version)) = own.map(|mdm| (mdm.name.clone(), mdm.up, mdm.version.clone())) else {
        return Ok(());
    };
    let Some(mdm) = &view.mdm else { return if up { world.fail_mdm(&name) } else { Ok(()) } };
    let anew = started(starts, view, "mdm", mdm.starts);
    match (mdm.runs, up) {
        (true, true) if anew => world.fail_mdm(&name)?,
        (false, true) => world.fail_mdm(&name)?,
        (true, false) => world.return_mdm(&name)?,
        (true, true) | (false, false) => {}
    }
    match &mdm.version {
        Some(now) if mdm.runs && *now != version => world.install(&Component::Mdm(name), now),
        _ => Ok(()),
    }
}

fn show_sds(world: &mut World, view: &View, starts: &mut BTreeMap<(String, &'static str), u64>) -> Result<(), Refusal> {
    let own = world.sds.values().find(|sds| sds.ips.iter().any(|address| view.ips.contains(&address.ip)));
    let Some((name, connected, version)) = own.map(|sds| (sds.name.clone(), sds.connected(), sds.version.clone()))
    else {
        return Ok(());
    };
    let Some(sds) = &view.sds else { return if connected { world.fail_sds(&name) } else { Ok(()) } };
    let anew = started(starts, view, "sds", sds.starts);
    match (sds.runs, connected) {
        (true, true) if anew => world.fail_sds(&name)?,
        (false, true) => world.fail_sds(&name)?,
        (true, false) => world.return_sds(&name)?,
        (true, true) | (false, false) => {}
    }
    match &sds.version {
        Some(now) if sds.runs && *now != version => world.install(&Component::Sds(name), now),
        _ => Ok(()),
    }
}

/// A client that has found an MDM once goes on while nobody answers; it is away when it does not run.
fn show_sdc(world: &mut World, view: &View) -> Result<(), Refusal> {
    let own = world.sdcs.values().find(|sdc| view.ips.contains(&sdc.ip));
    let own = own.map(|sdc| (sdc.ip.clone(), sdc.connected, sdc.version.clone()));
    let runs = view.sdc.as_ref().is_some_and(|sdc| sdc.runs);
    let finds = world.answers() && view.managers.iter().flatten().any(|ip| is_manager_at(world, ip));
    let version = view.sdc.as_ref().and_then(|sdc| sdc.version.clone());
    match own {
        None if runs && finds => {
            let Some(ip) = view.ips.first() else { return Ok(()) };
            // Clients have no names of their own; these are for who looks, and no longer than the MDM takes.
            let name: String = view.name.chars().take(31).collect();
            world.client_appears(ip, &name, &version.unwrap_or_default())
        }
        None => Ok(()),
        Some((ip, true, _)) if !runs => world.set_sdc_connected(&ip, false),
        Some((ip, false, _)) if runs && finds => world.set_sdc_connected(&ip, true),
        Some((ip, _, known)) => match version {
            Some(now) if runs && now != known => world.install(&Component::Sdc(ip), &now),
            _ => Ok(()),
        },
    }
}
