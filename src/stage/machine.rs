//! A machine with an operating system, disks and power, as an agent sees it.
//!
//! Each call of the agent locks it for itself, so that others may look between
//! two of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::hosts::Spec;
use super::shows::{Place, Service, View};
use crate::agent::hooks::Owned;
use crate::agent::host::{Alone, Call, Host, HostError, Output};
use crate::agent::real::Fetch;
use crate::agent::recipes::component::{facts, package_name};
use crate::agent::recipes::os::{Books, Os};
use crate::agent::recipes::release::Release;
use crate::agent::recipes::{driver, drv_cfg};
use crate::model::order::{Artefact, Component};
use crate::sim::node::{MDM_ROLE, SimNode};

/// Where the agent keeps what must survive, on the machine itself.
const STATE: &str = "/var/lib/sio-agent";

/// Its only kernel.
const KERNEL: &str = "3.10.0-1160.el7.x86_64";

/// What is on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// Nothing.
    Blank,
    /// A file system, which every tool sees.
    Data,
}

/// The size of every disk.
const DISK: u64 = 256 << 30;

/// The machine.
pub struct Machine {
    /// Its packages, services and files.
    pub node: SimNode,
    /// Its disks by path.
    pub disks: BTreeMap<String, Disk>,
    /// The number of each disk, by path: what it is known again by.
    serials: BTreeMap<String, String>,
    /// Numbers of disks that its SDS holds, with what the MDM calls each.
    taken: BTreeMap<String, String>,
    /// What was changed on it, as a person would have typed it, in order.
    pub deeds: Vec<String>,
    pub(super) name: String,
    pub(super) ips: Vec<String>,
    place: Arc<Place>,
    /// It is off until then.
    off: Option<Instant>,
    /// The life of the agent on it.
    life: CancellationToken,
    boot: Duration,
    /// The kernel of its next boot, for which nothing has a module.
    pub boots_into: Option<String>,
}

fn said(status: i32, stdout: impl Into<String>) -> Output {
    Output { status: Some(status), stdout: stdout.into(), stderr: String::new() }
}

impl Machine {
    pub(super) fn new(spec: &Spec, place: Arc<Place>) -> Self {
        let mut node = SimNode::new(&spec.os.0, &spec.os.1);
        let mut file = |path: &str, text: String| drop(node.files.insert(path.to_owned(), text.into_bytes()));
        file("/proc/sys/kernel/osrelease", format!("{KERNEL}\n"));
        file("/proc/sys/kernel/hostname", format!("{}\n", spec.name));
        file("/proc/meminfo", format!("MemTotal:       {} kB\n", spec.memory_mib * 1024));
        file("/proc/cpuinfo", (0..spec.cores).map(|core| format!("processor\t: {core}\n")).collect());
        file("/proc/self/mountinfo", "1 0 9:9 / / rw - ext4 root rw\n".to_owned());
        file("/proc/swaps", "Filename Type Size Used Priority\n".to_owned());
        let own: String = spec.ips.iter().map(|ip| format!("     |-- {ip}\n        /32 host LOCAL\n")).collect();
        file("/proc/net/fib_trie", format!("Main:\n{own}"));
        let route = |ip: &String| {
            let ip: Option<std::net::Ipv4Addr> = ip.parse().ok();
            let network = ip.map(|ip| (ip.to_bits() & 0xffff_ff00).swap_bytes());
            network.map(|network| format!("eth0\t{network:08X}\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"))
        };
        let routes: String = spec.ips.iter().filter_map(route).collect();
        file("/proc/net/route", format!("Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n{routes}"));
        file("/sys/class/net/eth0/mtu", "9000\n".to_owned());
        file("/sys/class/net/eth0/speed", "10000\n".to_owned());
        file("/sys/class/net/eth0/carrier", "1\n".to_owned());
        file(&format!("/boot/vmlinuz-{KERNEL}"), String::new());
        Self {
            node,
            disks: spec.disks.iter().cloned().collect(),
            serials: spec
                .disks
                .iter()
                .map(|(path, _)| (path.clone(), format!("{}{}", spec.name, letter(path))))
                .collect(),
            taken: BTreeMap::new(),
            deeds: Vec::new(),
            name: spec.name.clone(),
            ips: spec.ips.clone(),
            place,
            off: None,
            life: CancellationToken::new(),
            boot: spec.boot,
            boots_into: None,
        }
    }

    fn ip(&self) -> &str {
        self.ips.first().map_or("", String::as_str)
    }

    /// From the next boot on, which is now, two disks have each other's names.
    pub fn boot_with_other_names(&mut self, one: &str, other: &str) {
        self.look_at_devices();
        fn swap<T>(of: &mut BTreeMap<String, T>, one: &str, other: &str) {
            if let (Some(first), Some(second)) = (of.remove(one), of.remove(other)) {
                of.insert(one.to_owned(), second);
                of.insert(other.to_owned(), first);
            }
        }
        swap(&mut self.disks, one, other);
        swap(&mut self.serials, one, other);
        self.lose_power(Duration::ZERO);
    }

    /// Which disks the SDS holds. It finds its own again whatever they are called, as by what it wrote on them.
    fn look_at_devices(&mut self) {
        for (path, serial) in &self.serials {
            let names = [path.clone(), link(serial)];
            let shown = names.into_iter().find(|name| self.place.is_device(&self.ips, name));
            if let Some(shown) = shown.filter(|shown| self.taken.values().all(|other| other != shown)) {
                self.taken.insert(serial.clone(), shown);
            }
        }
        self.taken.retain(|_, shown| self.place.is_device(&self.ips, shown));
    }

    /// Whether the SDS holds a disk now.
    pub(super) fn holds(&mut self, path: &str) -> bool {
        self.look_at_devices();
        self.serials.get(path).is_some_and(|serial| self.taken.contains_key(serial))
    }

    /// Names of disks that stay, and where they lead now.
    pub(super) fn links(&self) -> BTreeMap<String, String> {
        self.serials.iter().map(|(path, serial)| (link(serial), path.clone())).collect()
    }

    /// Power is lost, and comes back after so long.
    pub fn lose_power(&mut self, span: Duration) {
        self.off = Some(Instant::now() + span);
        self.life.cancel();
    }

    /// Whether it runs; one whose time without power is over boots now.
    pub fn is_on(&mut self) -> bool {
        if self.off.is_some_and(|until| until <= Instant::now()) {
            self.off = None;
            self.node.boot();
            self.come_up();
        }
        self.off.is_none()
    }

    /// Comes up with its only kernel, for which the client's package has a module, or once with another one.
    fn come_up(&mut self) {
        let other = self.boots_into.take();
        let kernel = other.as_deref().unwrap_or(KERNEL);
        self.node.files.insert("/proc/sys/kernel/osrelease".to_owned(), format!("{kernel}\n").into_bytes());
        let has_client = self.node.version(&package_name(Component::Sdc, self.books())).is_some();
        let runs = self.node.running.contains_key("scini");
        match (&other, has_client) {
            (Some(_), true) if runs => drop(self.node.running.remove("scini")),
            (None, true) if !runs => drop(self.node.run(&["systemctl", "start", "scini"], &BTreeMap::new(), false)),
            _ => return,
        }
        self.changed();
    }

    pub(super) fn begin_life(&mut self, life: CancellationToken) {
        self.life = life;
    }

    fn books(&self) -> Books {
        let text = self.node.read("/etc/os-release").unwrap_or_default();
        Os::read(&String::from_utf8_lossy(&text)).map_or(Books::Rpm, |os| os.books())
    }

    /// Installs a package as if it had been there before anybody looked.
    pub(super) fn has(&mut self, component: Component, release: &str) {
        let (file, text) = super::package(component, release, self.books());
        let path = format!("/root/{file}");
        self.node.files.insert(path.clone(), text.into_bytes());
        let role = match component {
            Component::Mdm => Some("1"),
            Component::Tb => Some("0"),
            Component::Sds | Component::Sdc | Component::Lia | Component::Gateway => None,
        };
        let env = role.map(|role| ("MDM_ROLE_IS_MANAGER".to_owned(), role.to_owned())).into_iter().collect();
        let argv: &[&str] = match self.books() {
            Books::Rpm => &["rpm", "-U", &path],
            Books::Dpkg => &["dpkg", "-i", &path],
            // Nothing has it from before where there is no package manager.
            Books::Bare => return,
        };
        self.node.run(argv, &env, false);
        self.node.files.remove(&path);
        self.node.effects.clear();
        self.changed();
    }

    /// Tells its client of managers as if that had been done before.
    pub(super) fn knows(&mut self, managers: &[String]) {
        let (list, file) = (managers.join(","), drv_cfg::FILES[0]);
        let argv = [drv_cfg::PROGRAMS[0], "--add_mdm", "--ip", &list, "--file", file];
        self.node.run(&argv, &BTreeMap::new(), false);
        self.node.effects.clear();
    }

    /// What others see of it.
    pub(super) fn view(&mut self) -> View {
        let is_on = self.is_on();
        let books = self.books();
        let service = |component: Component| {
            let unit = facts(component).unit;
            let version = self.node.version(&package_name(component, books))?;
            Some(Service {
                runs: is_on && self.node.running.contains_key(unit),
                version: super::package::told(version),
                starts: self.node.starts.get(unit).copied().unwrap_or_default() + self.node.boots,
            })
        };
        View {
            sds: service(Component::Sds),
            sdc: service(Component::Sdc),
            mdm: service(Component::Mdm),
            is_manager: self.node.files.get(MDM_ROLE).is_some_and(|text| text.starts_with(b"actor_role_is_manager=1")),
            managers: self.node.mdms.iter().map(|(ips, _)| ips.clone()).collect(),
            ports: if is_on { self.node.running.values().copied().collect() } else { BTreeSet::new() },
            name: self.name.clone(),
            ips: self.ips.clone(),
        }
    }

    /// Something was changed: the others hear of it.
    fn changed(&mut self) {
        let text = self.node.read("/etc/os-release").unwrap_or_default();
        let os = Os::read(&String::from_utf8_lossy(&text)).ok();
        let version = self.node.version(&package_name(Component::Sdc, self.books())).and_then(Release::read);
        // The package brings the module of the only kernel there is.
        if let (Some(os), Some(release)) = (os, version) {
            self.node.files.insert(driver::path(&os, &release, KERNEL), Vec::new());
        }
        let modules = if self.node.running.contains_key("scini") { "scini 1 0\n" } else { "" };
        self.node.files.insert("/proc/modules".to_owned(), modules.as_bytes().to_vec());
        let view = self.view();
        self.place.hears(&view);
    }

    fn lsblk(&self, args: &[&str]) -> Output {
        let Some(path) = args.last().filter(|path| path.starts_with("/dev/")) else {
            let lines: Vec<String> = self.disks.keys().map(|path| format!("NAME=\"{path}\" TYPE=\"disk\"\n")).collect();
            return said(0, lines.concat());
        };
        let kind = if self.disks.get(*path) == Some(&Disk::Data) { "xfs" } else { "" };
        let number = letter(path);
        let serial = self.serials.get(*path).map_or("", String::as_str);
        said(
            0,
            format!(
                "NAME=\"{path}\" KNAME=\"{path}\" TYPE=\"disk\" SIZE=\"{DISK}\" RO=\"0\" RM=\"0\" ROTA=\"1\" \
                 MOUNTPOINT=\"\" FSTYPE=\"{kind}\" MAJ:MIN=\"8:{number}\" MODEL=\"simulated\" SERIAL=\"{serial}\" WWN=\"\"\n"
            ),
        )
    }

    fn run(&mut self, call: &Call) -> Result<Output, HostError> {
        let args: Vec<&str> = call.args.iter().map(String::as_str).collect();
        let on = |path: &str| self.disks.get(path).copied();
        match (call.program.as_str(), &args[..]) {
            ("lsblk", args) => return Ok(self.lsblk(args)),
            ("blkid", [_, path]) if on(path) == Some(Disk::Data) => {
                return Ok(said(0, format!("{path}: UUID=\"1\" TYPE=\"xfs\" USAGE=\"filesystem\"\n")));
            }
            ("blkid", _) => return Ok(said(2, "")),
            ("wipefs", [_, path]) if on(path) == Some(Disk::Data) => return Ok(said(0, "sdx 0x0 xfs 1\n")),
            ("wipefs", _) => return Ok(said(0, "")),
            ("df", _) => {
                let head = "Filesystem 1024-blocks Used Available Capacity Mounted on\n";
                return Ok(said(0, format!("{head}/dev/sda1 52428800 1 41943040 1% /\n")));
            }
            // The operating system's own packages are there.
            ("rpm", ["-q", .., name]) if !name.starts_with("EMC-") => return Ok(said(0, "1.0-1\n")),
            ("dpkg-query", [.., name]) if !name.starts_with("emc-") => return Ok(said(0, "ii |1.0\n")),
            ("scli", _) => return self.scli(call),
            ("systemctl", ["--no-block", "reboot"]) => {
                *self.node.effects.entry("reboot".to_owned()).or_default() += 1;
                self.deeds.push(call.shown());
                self.lose_power(self.boot);
                return Ok(said(0, ""));
            }
            (program, ["--query_mdms"]) if program.ends_with("drv_cfg") => {
                for (ips, answers) in &mut self.node.mdms {
                    *answers = self.place.answers(ips);
                }
            }
            _ => {}
        }
        let env = call.env.iter().map(|(name, value)| (name.clone(), value.reveal().to_owned())).collect();
        let argv: Vec<&str> = std::iter::once(call.program.as_str()).chain(args).collect();
        let changes = changes(&argv);
        let ended = self.node.run(&argv, &env, false);
        if changes && ended.status != 127 {
            self.deeds.push(call.shown());
            self.changed();
        }
        match ended.status {
            127 => Err(HostError::Missing { program: call.program.clone() }),
            status => Ok(Output { status: Some(status), stdout: ended.stdout, stderr: ended.stderr }),
        }
    }

    /// scli comes with the MDM's package.
    fn scli(&mut self, call: &Call) -> Result<Output, HostError> {
        if self.node.version(&package_name(Component::Mdm, self.books())).is_none() {
            return Err(HostError::Missing { program: call.program.clone() });
        }
        let args: Vec<&str> =
            call.args.iter().map(String::as_str).chain(call.hidden_args.iter().map(|arg| arg.reveal())).collect();
        let named = args.iter().skip_while(|arg| **arg != "--license_file").nth(1);
        if named.is_some_and(|path| self.node.read(path).is_none_or(|text| text.is_empty())) {
            return Ok(said(1, "Error: the license file cannot be read\n"));
        }
        let typed: Vec<&str> = call.typed.iter().map(|typed| typed.text.reveal()).collect();
        let (ended, changed) = self.place.scli(self.ip(), &args, &typed);
        if changed {
            self.deeds.push(call.shown());
        }
        Ok(said(ended.status, ended.text))
    }
}

/// The number that the last letter of a disk's name stands for.
fn letter(path: &str) -> u8 {
    path.bytes().last().unwrap_or(b'a').saturating_sub(b'a')
}

/// The folder of names that stay.
const BY_ID: &str = "/dev/disk/by-id";

fn link(serial: &str) -> String {
    format!("{BY_ID}/scsi-{serial}")
}

/// Whether a program changes a machine.
fn changes(argv: &[&str]) -> bool {
    match argv {
        ["rpm", "-U" | "-e", ..] | ["dpkg", ..] => true,
        ["systemctl", verb, ..] => *verb != "is-active",
        [program, verb, ..] if program.ends_with("drv_cfg") => !verb.starts_with("--query"),
        _ => false,
    }
}

/// The machine as its agent has it.
pub(super) struct Seat {
    machine: Arc<Mutex<Machine>>,
    place: Arc<Place>,
    fetch: Fetch,
    /// Where a file lies until the machine has it.
    part: PathBuf,
}

impl Seat {
    pub(super) fn new(machine: Arc<Mutex<Machine>>, place: Arc<Place>, fetch: Fetch, part: PathBuf) -> Self {
        Self { machine, place, fetch, part }
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host for Seat {
    fn run(&mut self, call: &Call) -> Result<Output, HostError> {
        self.machine().run(call)
    }

    fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, HostError> {
        Ok(self.machine().node.read(path))
    }

    fn write(&mut self, path: &str, content: &[u8], _mode: u32) -> Result<(), HostError> {
        self.machine().node.files.insert(path.to_owned(), content.to_vec());
        Ok(())
    }

    fn remove(&mut self, path: &str) -> Result<(), HostError> {
        self.machine().node.files.remove(path);
        Ok(())
    }

    fn list(&mut self, folder: &str) -> Result<Vec<String>, HostError> {
        if folder == BY_ID {
            let links = self.machine().links();
            return Ok(links.keys().filter_map(|link| Some(link.rsplit_once('/')?.1.to_owned())).collect());
        }
        let inside = format!("{folder}/");
        let under = |path: &String| Some(path.strip_prefix(&inside)?.split('/').next()?.to_owned());
        let names: BTreeSet<String> = self.machine().node.files.keys().filter_map(under).collect();
        Ok(names.into_iter().collect())
    }

    fn exists(&mut self, path: &str) -> bool {
        let machine = self.machine();
        let disk = path.strip_prefix("/sys/class/block/").map(|name| format!("/dev/{name}"));
        disk.map_or_else(|| machine.node.files.contains_key(path), |disk| machine.disks.contains_key(&disk))
    }

    fn leads_to(&mut self, path: &str) -> Option<String> {
        self.machine().links().remove(path)
    }

    fn owned(&mut self, _path: &str) -> Result<Option<Owned>, HostError> {
        Ok(None)
    }

    fn open_alone(&mut self, device: &str) -> Result<Alone, HostError> {
        let mut machine = self.machine();
        if machine.holds(device) {
            return Ok(Alone::Held);
        }
        Ok(Alone::Free { is_blank: machine.disks.get(device) == Some(&Disk::Blank) })
    }

    fn stage(&mut self, artefact: &Artefact) -> Result<String, HostError> {
        let path = format!("{STATE}/staged/{}", artefact.name);
        if self.machine().node.files.contains_key(&path) {
            return Ok(path);
        }
        (self.fetch)(artefact, &self.part).map_err(HostError::Fetch)?;
        let content = std::fs::read(&self.part).map_err(|source| HostError::Io {
            operation: "read",
            path: self.part.display().to_string(),
            source,
        })?;
        let mut machine = self.machine();
        machine.node.files.insert(path.clone(), content);
        machine.deeds.push(format!("stage {}", artefact.name));
        Ok(path)
    }

    fn staged(&mut self, artefact: &Artefact) -> Result<Option<String>, HostError> {
        let path = format!("{STATE}/staged/{}", artefact.name);
        Ok(self.machine().node.files.contains_key(&path).then_some(path))
    }

    fn state_folder(&self) -> String {
        STATE.to_owned()
    }

    fn boot_id(&mut self) -> String {
        let machine = self.machine();
        // No two hosts have the same one.
        format!("{}-{}", machine.name, machine.node.boot_id())
    }

    fn reach(&mut self, address: &str, _within: Duration) -> Result<(), String> {
        self.place.reach(address)
    }
}
