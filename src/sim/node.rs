//! A simulated node: files, packages, services and boots in memory, with the
//! manners of the real tools that were seen on real hosts.
//!
//! A package file is text: `name`, `version`, `unit`, `port`, one a line, and
//! `fails` when its last script does.

use std::collections::{BTreeMap, BTreeSet};

/// Where an MDM keeps whether it is a manager. An upgrade leaves it as it is.
pub const MDM_ROLE: &str = "/opt/emc/scaleio/mdm/cfg/conf.txt";

/// Where LIA's package keeps what its tools must show, and of which system it is told that it belongs to it.
pub const LIA_TOKEN: &str = "/opt/emc/scaleio/lia/cfg/conf.txt";
/// See [`LIA_TOKEN`].
pub const LIA_ID: &str = "/opt/emc/scaleio/lia/cfg/installation_id.txt";

/// How a program ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Ended {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

fn ended(status: i32, stdout: impl Into<String>, stderr: impl Into<String>) -> Ended {
    Ended { status, stdout: stdout.into(), stderr: stderr.into() }
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SimNode {
    /// Files by path.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Services that run, with the port each listens on.
    pub running: BTreeMap<String, u16>,
    /// Which MDMs the SDC knows, and whether they answer.
    pub mdms: Vec<(Vec<String>, bool)>,
    /// How often it was booted.
    pub boots: u64,
    /// How often each service was started.
    pub starts: BTreeMap<String, u64>,
    /// How often each effect was asked for.
    pub effects: BTreeMap<String, u32>,
    /// What the scripts of packages saw of the variables they know.
    pub seen: Vec<String>,
    packages: BTreeMap<String, Package>,
    links: BTreeMap<String, String>,
    is_dpkg: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Package {
    versions: BTreeSet<String>,
    is_half: bool,
    unit: String,
}

/// The Mesos agent of a node, its service, and where its packages keep its isolation.
const MESOS: &str = "mesos-slave";
const MESOS_ISOLATION: &str = "/etc/mesos-slave/isolation";
const MESOS_PROCESS: &str = "/proc/77";

impl SimNode {
    /// With a Mesos agent, as its packages set one up.
    #[must_use]
    pub fn with_mesos(mut self) -> Self {
        for (name, text) in [
            ("comm", "mesos-slave\n"),
            ("environ", "PATH=/usr/sbin:/usr/bin\0"),
            ("cgroup", "0::/system.slice/mesos-slave.service\n"),
        ] {
            self.files.insert(format!("{MESOS_PROCESS}/{name}"), text.as_bytes().to_vec());
        }
        self.start_mesos();
        self
    }

    /// Its packages make arguments of files.
    fn start_mesos(&mut self) {
        let isolation = self.files.get(MESOS_ISOLATION).map(|text| String::from_utf8_lossy(text).trim().to_owned());
        let isolation = isolation.map(|isolation| format!("--isolation={isolation}\0")).unwrap_or_default();
        let line = format!("/usr/sbin/mesos-slave\0--master=m\0{isolation}");
        self.files.insert(format!("{MESOS_PROCESS}/cmdline"), line.into_bytes());
    }

    fn has_mesos(&self) -> bool {
        self.files.contains_key(&format!("{MESOS_PROCESS}/cmdline"))
    }

    /// A node with an operating system.
    pub fn new(id: &str, version: &str) -> Self {
        let mut node = Self { is_dpkg: matches!(id, "ubuntu" | "debian"), ..Self::default() };
        node.files.insert("/etc/os-release".to_owned(), format!("ID={id}\nVERSION_ID={version}\n").into_bytes());
        node
    }

    /// The kernel's id of this boot.
    pub fn boot_id(&self) -> String {
        format!("boot-{}", self.boots)
    }

    /// The version of a package that is installed whole.
    pub fn version(&self, name: &str) -> Option<&str> {
        let package = self.packages.get(name).filter(|package| !package.is_half)?;
        let mut versions = package.versions.iter();
        versions.next().filter(|_| versions.next().is_none()).map(String::as_str)
    }

    fn start(&mut self, unit: &str) {
        let port = self.port(unit);
        self.running.insert(unit.to_owned(), port);
        *self.starts.entry(unit.to_owned()).or_default() += 1;
    }

    /// The kernel's table of listening sockets.
    fn sockets(&self) -> String {
        let mut table = "  sl  local_address rem_address   st\n".to_owned();
        for port in self.running.values() {
            table += &format!("   0: 00000000:{port:04X} 00000000:0000 0A\n");
        }
        table
    }

    /// The content of a file.
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        match path {
            "/proc/net/tcp" => Some(self.sockets().into_bytes()),
            _ => self.files.get(&self.real(path)).cloned(),
        }
    }

    /// Where a path leads.
    fn real(&self, path: &str) -> String {
        let through = |(link, to): (&String, &String)| {
            let rest = path.strip_prefix(link.as_str())?;
            rest.starts_with('/').then(|| format!("{to}{rest}"))
        };
        self.links.iter().find_map(through).unwrap_or_else(|| path.to_owned())
    }

    /// Whether there is something of this name: a file, a folder, a link that leads somewhere.
    pub fn has(&self, path: &str) -> bool {
        let path = self.links.get(path).cloned().unwrap_or_else(|| self.real(path));
        let inside = format!("{path}/");
        self.files.contains_key(&path) || self.files.keys().any(|file| file.starts_with(&inside))
    }

    /// The names in a folder.
    pub fn list(&self, folder: &str) -> Vec<String> {
        let inside = format!("{}/", self.real(folder));
        let under = |path: &String| Some(path.strip_prefix(&inside)?.split('/').next()?.to_owned());
        self.files.keys().filter_map(under).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Removes a file or a link.
    pub fn remove(&mut self, path: &str) {
        if self.links.remove(path).is_none() {
            self.files.remove(&self.real(path));
        }
    }

    /// What is done to plain files. A kill in its middle leaves a part of it.
    fn plain_files(&mut self, argv: &[&str], killed: bool) -> Option<Ended> {
        match argv {
            ["sh", "-c", _, "sh", _] => {}
            // A bundle is text that lists its files.
            ["tar", "-xzf", file, "-C", folder] => {
                self.effect("unpack");
                let list = self.files.get(*file).map(|text| String::from_utf8_lossy(text).into_owned())?;
                for name in list.lines().take(if killed { 1 } else { usize::MAX }) {
                    self.files.insert(format!("{folder}/{name}"), Vec::new());
                }
            }
            ["ln", "-sfn", to, link] => drop(self.links.insert((*link).to_owned(), (*to).to_owned())),
            ["mv", "-fT", from, link] => {
                self.effect("switch");
                let to = self.links.remove(*from)?;
                self.links.insert((*link).to_owned(), to);
            }
            ["rm", "-rf", folder] => {
                let inside = format!("{folder}/");
                self.files.retain(|path, _| !path.starts_with(&inside));
            }
            _ => return None,
        }
        Some(ended(0, "", ""))
    }

    /// Packages of the operating system, from its own repositories.
    fn prerequisites(&mut self, names: &[&str], killed: bool) -> Ended {
        self.effect("prerequisites");
        for name in names.iter().take(if killed { 1 } else { usize::MAX }) {
            let version = BTreeSet::from(["1.0-1".to_owned()]);
            self.packages.entry((*name).to_owned()).or_default().versions = version;
        }
        ended(0, "", "")
    }

    /// Power is lost and comes back: what is durable stays.
    pub fn boot(&mut self) {
        self.boots += 1;
    }

    fn effect(&mut self, name: &str) {
        *self.effects.entry(name.to_owned()).or_default() += 1;
    }

    /// Runs a program. With `killed`, it is killed in its middle: what it began stays half done.
    pub fn run(&mut self, argv: &[&str], env: &BTreeMap<String, String>, killed: bool) -> Ended {
        match argv {
            ["rpm", "-q", "--qf", _, name] if !self.is_dpkg => match self.packages.get(*name) {
                Some(package) => {
                    let lines: Vec<String> = package.versions.iter().map(|version| format!("{version}\n")).collect();
                    ended(0, lines.concat(), "")
                }
                None => ended(1, format!("package {name} is not installed\n"), ""),
            },
            ["dpkg-query", "-W", "-f", _, name] if self.is_dpkg => match self.packages.get(*name) {
                Some(package) => {
                    let state = if package.is_half { "iF " } else { "ii " };
                    let version = package.versions.last().cloned().unwrap_or_default();
                    ended(0, format!("{state}|{version}\n"), "")
                }
                None => ended(1, "", format!("dpkg-query: no packages found matching {name}\n")),
            },
            ["rpm", "-U", rest @ .., file] if !self.is_dpkg => {
                if let Some(newer) = self.newer_than(file).filter(|_| !rest.contains(&"--oldpackage")) {
                    return ended(
                        2,
                        "",
                        format!("\tpackage {newer} (which is newer than {file}) is already installed"),
                    );
                }
                self.install(file, rest.contains(&"--replacepkgs"), env, killed)
            }
            // dpkg goes back with no more than a warning.
            ["dpkg", .., "-i", file] if self.is_dpkg => self.install(file, true, env, killed),
            ["rpm", "-e", .., name] | ["dpkg", "-P", name] => self.erase(name, env),
            ["systemctl", "is-active", unit] => match self.running.contains_key(*unit) {
                true => ended(0, "active\n", ""),
                false => ended(3, "inactive\n", ""),
            },
            ["systemctl", "start", unit] => {
                self.effect("start");
                let has_unit = self.files.contains_key(&format!("/etc/systemd/system/{unit}.service"));
                match self.packages.values().find(|package| package.unit == *unit) {
                    Some(_) => {
                        self.start(unit);
                        ended(0, "", "")
                    }
                    None if has_unit => {
                        self.start(unit);
                        ended(0, "", "")
                    }
                    None => ended(5, "", format!("Failed to start {unit}.service: Unit {unit}.service not found.")),
                }
            }
            ["systemctl", "stop", unit] | ["systemctl", "disable", "--now", unit] => {
                self.effect("stop");
                self.running.remove(*unit);
                ended(0, "", "")
            }
            ["systemctl", "restart", unit] if self.running.contains_key(*unit) => {
                self.effect("restart");
                self.start(unit);
                ended(0, "", "")
            }
            ["systemctl", "restart", MESOS] if self.has_mesos() => {
                self.effect("restart_mesos");
                self.start_mesos();
                ended(0, "", "")
            }
            ["systemctl", "show", "--property=ExecStart", MESOS] if self.has_mesos() => ended(
                0,
                "ExecStart={ path=/usr/bin/mesos-init-wrapper ; argv[]=/usr/bin/mesos-init-wrapper slave }\n",
                "",
            ),
            ["systemctl", "try-restart", unit] => {
                if self.running.contains_key(*unit) {
                    self.effect("restart");
                    self.start(unit);
                }
                ended(0, "", "")
            }
            ["systemctl", "daemon-reload"] | ["systemctl", "enable", _] => ended(0, "", ""),
            ["systemctl", "restart", unit]
                if self.files.contains_key(&format!("/etc/systemd/system/{unit}.service")) =>
            {
                self.effect("restart");
                self.start(unit);
                // A plug-in for volumes answers at a socket.
                self.files.insert(format!("/run/docker/plugins/{unit}.sock"), Vec::new());
                ended(0, "", "")
            }
            ["systemctl", "--no-block", "reboot"] => {
                self.effect("reboot");
                self.boot();
                ended(0, "", "")
            }
            ["yum" | "dnf", "-y", "install", names @ ..] if !self.is_dpkg => self.prerequisites(names, killed),
            ["apt-get", "-y", _, "install", names @ ..] if self.is_dpkg => self.prerequisites(names, killed),
            [program, rest @ ..] if program.ends_with("drv_cfg") => self.drv_cfg(rest),
            _ => match self.plain_files(argv, killed) {
                Some(done) => done,
                None => ended(127, "", format!("{}: command not found", argv.join(" "))),
            },
        }
    }

    fn port(&self, unit: &str) -> u16 {
        match unit {
            "mdm" => 9011,
            "sds" => 7072,
            "lia" => 9099,
            _ => 443,
        }
    }

    /// The installed package of a file's name, if that is newer.
    fn newer_than(&self, file: &str) -> Option<String> {
        let content = String::from_utf8_lossy(self.files.get(file)?).into_owned();
        let field = |name: &str| content.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let numbers =
            |version: &str| -> Vec<u64> { version.split(['.', '-']).map_while(|part| part.parse().ok()).collect() };
        let (name, version) = (field("name")?, field("version")?);
        let newest = self.packages.get(name)?.versions.iter().max_by_key(|version| numbers(version))?;
        (numbers(newest) > numbers(version)).then(|| format!("{name}-{newest}"))
    }

    fn install(&mut self, file: &str, again: bool, env: &BTreeMap<String, String>, killed: bool) -> Ended {
        let Some(content) = self.files.get(file).map(|bytes| String::from_utf8_lossy(bytes).into_owned()) else {
            return ended(1, "", format!("error: open of {file} failed: No such file or directory"));
        };
        let field = |name: &str| {
            content.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default().to_owned()
        };
        let (name, version, unit) = (field("name"), field("version"), field("unit"));
        let package = self.packages.entry(name.clone()).or_default();
        if !again && package.versions.contains(&version) {
            return ended(1, "", format!("\tpackage {name}-{version} is already installed"));
        }
        package.unit.clone_from(&unit);
        package.versions.insert(version.clone());
        let fails = content.contains("fails");
        if killed || (fails && self.is_dpkg) {
            package.is_half = true;
            self.effect("install");
            return ended(1, "", "dpkg: error processing package (--install): post-installation script returned 3");
        }
        package.versions = [version].into();
        package.is_half = false;
        self.effect("install");
        for (name, value) in env {
            self.seen.push(format!("{name}={value}"));
        }
        if name.ends_with("sdc") {
            self.files.insert("/opt/emc/scaleio/sdc/bin/drv_cfg".to_owned(), Vec::new());
        }
        if let Some(role) = env.get("MDM_ROLE_IS_MANAGER").filter(|_| name.ends_with("mdm")) {
            let text = format!("actor_role_is_manager={role}\n");
            self.files.entry(MDM_ROLE.to_owned()).or_insert_with(|| text.into_bytes());
        }
        if name.ends_with("lia") {
            let token = env.get("TOKEN").map(String::as_str).unwrap_or_default();
            self.files.insert(LIA_TOKEN.to_owned(), format!("lia_token={token}\n").into_bytes());
        }
        if fails {
            return ended(0, "", format!("warning: %post({name}) scriptlet failed, exit status 3"));
        }
        self.start(&unit);
        ended(0, "", "")
    }

    fn erase(&mut self, name: &str, env: &BTreeMap<String, String>) -> Ended {
        if env.get("I_AM_SURE").map(String::as_str) != Some("1") {
            return ended(1, "", "the package asks for I_AM_SURE=1");
        }
        self.effect("erase");
        match self.packages.remove(name) {
            Some(package) => {
                self.running.remove(&package.unit);
                for path in match &*package.unit {
                    "mdm" => &[MDM_ROLE][..],
                    "lia" => &[LIA_TOKEN, LIA_ID],
                    _ => &[],
                } {
                    self.files.remove(*path);
                }
                ended(0, "", "")
            }
            None => ended(1, "", format!("error: package {name} is not installed")),
        }
    }

    fn drv_cfg(&mut self, args: &[&str]) -> Ended {
        const FILE: &str = "/etc/emc/scaleio/drv_cfg.txt";
        let list = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        match args {
            ["--query_vols"] => ended(0, "Retrieved 0 volume(s)\n", ""),
            ["--query_mdms"] => {
                let mut text = format!("Retrieved {} mdm(s)\n", self.mdms.len());
                for (ips, answers) in &self.mdms {
                    let id = if *answers { "4c8a0b2300000001" } else { "0000000000000000" };
                    let ips: Vec<String> = ips.iter().enumerate().map(|(at, ip)| format!("[{at}]-{ip}")).collect();
                    text += &format!("MDM-ID {id} SDC ID {id} INSTALLATION ID {id} IPs {}\n", ips.join(" "));
                }
                ended(0, text, "")
            }
            ["--add_mdm", "--ip", ips, "--file", FILE] => {
                self.effect("add_mdm");
                self.mdms.push((list(ips), true));
                self.keep(FILE)
            }
            ["--mod_mdm_ip", "--ip", old, "--new_mdm_ip", ips, "--file", FILE] => {
                self.effect("mod_mdm");
                match self.mdms.iter_mut().find(|(known, _)| known.iter().any(|ip| ip == old)) {
                    Some((known, _)) => *known = list(ips),
                    None => return ended(1, "", "the MDM is not known"),
                }
                self.keep(FILE)
            }
            _ => ended(1, "", "usage: drv_cfg ..."),
        }
    }

    fn keep(&mut self, file: &str) -> Ended {
        let lines: Vec<String> = self.mdms.iter().map(|(ips, _)| format!("mdm {}\n", ips.join(","))).collect();
        self.files.insert(file.to_owned(), lines.concat().into_bytes());
        ended(0, "", "")
    }
}
