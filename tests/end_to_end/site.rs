//! Hosts on a bridge, a master, a controller, and the system that comes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use scaleio_framework::sim::world::Layout;
use scaleio_framework::sim::{Options, Release, Running, Simulation};
use serde_json::Value;

use crate::disk::Loop;
use crate::hosts;
use crate::master::{Master, dist};
use crate::port::free_port;
use crate::shows::Shows;

/// Everything here is slow on a busy machine, and nothing waits so long on one that works.
const PATIENCE: Duration = Duration::from_secs(180);

/// The release of all packages.
pub(crate) const RELEASE: &str = "3.6-100.101";

/// Where what belongs to the machine listens, at its address on the bridge.
const GATEWAY: u16 = 8443;
const STUBS: u16 = 7000;
const MASTER: u16 = 5050;
const AGENTS: u16 = 9466;
const PROGRAM: u16 = 9467;

/// The commands that were never seen in use with this release.
pub(crate) const ACCEPT: &str =
    "accept = [\"login_at_prompt\", \"set_password_at_prompt\", \"replace_cluster_mdm\", \"remove_standby_mdm\"]\n";

/// The name of a host.
pub(crate) fn name(number: u8) -> String {
    format!("e{number}")
}

fn secret(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// A bridge of the machine; gone at the end.
struct Bridge {
    name: String,
    /// The first three numbers of its addresses.
    net: String,
}

/// Where the next one is looked for: what listened at one that is gone ends with this program.
static NEXT: AtomicU8 = AtomicU8::new(1);

impl Bridge {
    fn new(lab: &Path) -> Self {
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            assert!(number < 250, "no bridge can be made (root, iproute2)");
            let (name, net) = (format!("sio{number}"), format!("198.18.{number}"));
            if hosts::host(&["bridge", &name, &format!("{net}.1/24")], lab).status.success() {
                return Self { name, net };
            }
        }
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "del", &self.name]).status();
    }
}

pub(crate) struct Site {
    lab: tempfile::TempDir,
    bridge: Bridge,
    pub(crate) world: Arc<Running>,
    pub(crate) shows: Arc<Shows>,
    disks: BTreeMap<u8, Loop>,
    master: Option<Master>,
    controller: Option<Child>,
    web: String,
    client: reqwest::Client,
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell();
        }
        self.kill();
        self.shows.end();
        let downs: Vec<Child> = self
            .disks
            .keys()
            .map(|number| {
                let mut down = Command::new(hosts::script("host.sh"));
                down.args(["down", &name(*number)]).env("LAB", self.lab.path());
                down.stderr(Stdio::null()).spawn().unwrap()
            })
            .collect();
        for mut down in downs {
            let _ = down.wait();
        }
        drop(self.master.take());
    }
}

impl Site {
    /// A system that is to be made of hosts. `gateway` carries the way to it; the text is what else the configuration
    /// says of its MDM cluster.
    pub(crate) async fn open(gateway: u8, mdm: &str) -> Self {
        let lab = hosts::open("sio-e2e-");
        let bridge = Bridge::new(lab.path());
        let net = &bridge.net;
        let own = format!("{net}.1");
        let options = Options {
            speed: 10.0,
            listen: vec![format!("{own}:{GATEWAY}").parse().unwrap()],
            ..Options::new(Layout::bare(), Release::V3_6)
        };
        let world = Arc::new(Simulation::start(options).await.unwrap());
        let shows = Shows::open(&world, &format!("{own}:{STUBS}"));
        let master = Master::start(lab.path(), &own, MASTER);

        // As a site would have it: without what only debuggers read.
        let program = lab.path().join("sio-agent");
        let stripped =
            Command::new("objcopy").arg("--strip-debug").arg(env!("CARGO_BIN_EXE_sio")).arg(&program).status();
        assert!(stripped.unwrap().success(), "the program cannot be made smaller (binutils)");
        fs::write(lab.path().join("prod.pem"), world.certificate_pem()).unwrap();
        secret(&lab.path().join("monitor.password"), &world.monitor().password);
        secret(&lab.path().join("admin.password"), &world.admin().password);
        let web = format!("http://127.0.0.1:{}", free_port());
        let text = format!(
            "[web]\nlisten = {:?}\n[control]\nsocket = \"sio.sock\"\n[store]\npath = \"state.db\"\n\
             [poll]\nfast = \"1s\"\nmiddle = \"1s\"\nslow = \"1s\"\n[alerts]\nenabled = false\n\
             [agents]\nlisten = \"{own}:{AGENTS}\"\nfolder = \"ca\"\n\
             [artefacts]\nlisten = \"{own}:{PROGRAM}\"\nfolder = \"packages\"\nprogram = \"sio-agent\"\n\
             [lifecycle]\nmode = \"act\"\n\
             [mesos]\nmasters = [\"http://{own}:{MASTER}\"]\nroles = [\"*\"]\n\
             [systems.prod]\ngateways = [\"https://{net}.{}\"]\nca_file = \"prod.pem\"\n\
             [systems.prod.monitor]\nuser = {:?}\npassword_file = \"monitor.password\"\n\
             [systems.prod.lifecycle]\nuser = {:?}\npassword_file = \"admin.password\"\n\
             [systems.prod.rollout]\ntopology = \"one_pool\"\ndomain = \"bare\"\npool = \"spinning\"\nrelease = \"{RELEASE}\"\n\
             accept = [\"bare_sds\", \"bare_sdc\"]\n\
             [systems.prod.rollout.gateway]\nnode = \"{}\"\n\
             [systems.prod.rollout.mdm]\nname = \"fresh\"\n{ACCEPT}{mdm}",
            web.trim_start_matches("http://"),
            gateway + 10,
            world.monitor().user,
            world.admin().user,
            name(gateway),
        );
        fs::write(lab.path().join("sio.toml"), text).unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let (disks, master) = (BTreeMap::new(), Some(master));
        let mut site = Self { lab, bridge, world, shows, disks, master, controller: None, web, client };
        site.run().await;
        site
    }

    /// Starts the controller and waits until it serves.
    pub(crate) async fn run(&mut self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sio"));
        command.args(["run", "--config"]).arg(self.lab.path().join("sio.toml")).env_clear();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.controller = Some(command.spawn().unwrap());
        self.until("the controller to serve", async |site| site.get("/api/v1/status").await).await;
    }

    /// As the kernel does it when memory runs out.
    pub(crate) fn kill(&mut self) {
        if let Some(mut controller) = self.controller.take() {
            let _ = controller.kill();
            let _ = controller.wait();
        }
    }

    fn log(&self) -> PathBuf {
        self.lab.path().join("controller.log")
    }

    pub(crate) fn ip(&self, number: u8) -> String {
        format!("{}.{}", self.bridge.net, 10 + number)
    }

    /// Boots a bare host: a disk, and a Mesos agent that starts with it.
    pub(crate) fn boot(&mut self, number: u8) {
        self.make(number, "el7");
        let usr = hosts::root(&name(number), self.lab.path()).join("usr");
        std::os::unix::fs::symlink("/repository/yum", usr.join("bin/yum")).unwrap();
        self.power(number, true);
    }

    /// Boots one that has no package manager and whose `/usr` cannot be written.
    pub(crate) fn boot_flatcar(&mut self, number: u8) {
        self.make(number, "flatcar");
        let folder = self.lab.path().join(name(number));
        let mut options = fs::OpenOptions::new().append(true).open(folder.join("opts")).unwrap();
        write!(options, " --bind-ro={}:/usr", folder.join("root/usr").display()).unwrap();
        self.power(number, true);
    }

    fn make(&mut self, number: u8, layer: &str) {
        let (name, ip, own) = (name(number), self.ip(number), format!("{}.1", self.bridge.net));
        let lab = self.lab.path();
        // Smaller ones the MDM does not take.
        let disk = Loop::new(&lab.join(format!("disk{number}")), 120 << 30);
        hosts::bare(&name, layer, lab);
        let wired = hosts::host(&["wire", &name, &self.bridge.name, &format!("{ip}/24")], lab);
        assert!(wired.status.success(), "{}", String::from_utf8_lossy(&wired.stderr));
        let repository = lab.join("packages/os").display().to_string();
        let options =
            format!("--bind={} --bind-ro={}:/opt/mesos --bind-ro={repository}:/repository", disk.0, dist().display());
        fs::write(lab.join(&name).join("opts"), options).unwrap();
        for stub in ["mdm", "sds", "sdc"] {
            hosts::write(&name, &format!("etc/sio-stub-{stub}"), &format!("{ip} {own}:{STUBS}\n"), lab);
        }
        hosts::write(&name, "etc/sio-stub-gateway", &format!("{ip} {own}:{GATEWAY}\n"), lab);
        // Loop devices stand for disks, and only its own is one of the host.
        let lsblk = format!(
            "#!/bin/sh\n/usr/bin/lsblk \"$@\" | grep 'NAME=\"{}\"' | sed 's/TYPE=\"loop\"/TYPE=\"disk\"/'\n",
            disk.0
        );
        hosts::write(&name, "usr/local/bin/lsblk", &lsblk, lab);
        let program = hosts::root(&name, lab).join("usr/local/bin/lsblk");
        fs::set_permissions(program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let unit = format!(
            "[Service]\nEnvironment=PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8\n\
             ExecStart=/opt/mesos/mesos-agent --master={own}:{MASTER} --work_dir=/var/lib/mesos --ip={ip} --port=5051 \
             --hostname={name} --resources=cpus:2;mem:512;disk:512 --launcher_dir=/opt/mesos --containerizers=mesos \
             --launcher=posix --isolation=posix/cpu,posix/mem --no-systemd_enable_support --no-hostname_lookup\n\
             Restart=always\nRestartSec=1\nKillMode=process\n[Install]\nWantedBy=multi-user.target\n"
        );
        hosts::write(&name, "etc/systemd/system/mesos-agent.service", &unit, lab);
        let wants = hosts::root(&name, lab).join("etc/systemd/system/multi-user.target.wants");
        fs::create_dir_all(&wants).unwrap();
        let link = wants.join("mesos-agent.service");
        std::os::unix::fs::symlink("/etc/systemd/system/mesos-agent.service", link).unwrap();
        self.disks.insert(number, disk);
    }

    pub(crate) fn power(&self, number: u8, on: bool) {
        hosts::host(&[if on { "poweron" } else { "poweroff" }, &name(number)], self.lab.path());
    }

    /// What a command in a host writes.
    pub(crate) fn inside(&self, number: u8, args: &[&str]) -> String {
        hosts::inside(&name(number), args, self.lab.path())
    }

    pub(crate) fn root(&self, number: u8) -> PathBuf {
        hosts::root(&name(number), self.lab.path())
    }

    /// The device of a host.
    pub(crate) fn disk(&self, number: u8) -> &str {
        &self.disks[&number].0
    }

    fn tell(&self) {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        for line in log.lines().rev().take(60).collect::<Vec<_>>().into_iter().rev() {
            eprintln!("controller: {line}");
        }
        for number in self.disks.keys() {
            let journal =
                self.inside(*number, &["journalctl", "-n", "25", "--no-pager", "-o", "cat", "-u", "sio-agent"]);
            eprintln!("{}: {journal}", name(*number));
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Option<String> {
        self.client.get(format!("{}{path}", self.web)).send().await.ok()?.text().await.ok()
    }

    /// What is shown of a host.
    pub(crate) async fn node(&self, number: u8) -> Option<Value> {
        let all: Value = serde_json::from_str(&self.get("/api/v1/nodes").await?).ok()?;
        all.as_array()?.iter().find(|node| node["node"] == *name(number)).cloned()
    }

    /// What `sio` says to these arguments about this controller.
    pub(crate) fn sio(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sio"));
        command.args(arguments).arg("--config").arg(self.lab.path().join("sio.toml")).env_clear();
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text)
    }

    pub(crate) async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut(&Self) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look(self).await {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}\n{}", self.sio(&["nodes"]).1);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) async fn ready(&self, numbers: impl IntoIterator<Item = u8>) {
        for number in numbers {
            self.until(&format!("{} to be ready", name(number)), async |site| {
                site.node(number).await.filter(|node| node["phase"] == "ready")
            })
            .await;
        }
    }

    /// A host is all that it shall be: in the pool with its disk, its client connected, its agent a service, and each
    /// script of a package ran once.
    pub(crate) fn assert_whole(&self, number: u8) {
        self.assert_whole_after(number, 0);
    }

    /// The same of a host whose power was cut in the middle of so many packages: what rpm had not written down then is
    /// done once more, and its script may have run before.
    pub(crate) fn assert_whole_after(&self, number: u8, cuts: usize) {
        let (name, ip, path) = (name(number), self.ip(number), self.disk(number));
        self.world.world(|world| {
            let servers: Vec<_> = world.sds.values().filter(|sds| sds.ips.iter().any(|at| at.ip == ip)).collect();
            assert!(servers.len() == 1 && servers[0].connected(), "{name}: {servers:?}");
            let devices: Vec<&str> = world
                .devices
                .values()
                .filter(|device| device.sds == servers[0].id)
                .map(|device| device.path.as_str())
                .collect();
            assert_eq!(devices, [path], "{name}");
            let clients: Vec<_> = world.sdcs.values().filter(|sdc| sdc.ip == ip).collect();
            assert!(clients.len() == 1 && clients[0].connected, "{name}: {clients:?}");
        });
        assert_eq!(self.inside(number, &["systemctl", "is-enabled", "sio-agent"]), "enabled", "{name}");
        let scripts = self.inside(number, &["cat", "/var/log/stub-scripts"]);
        let once: BTreeSet<&str> = scripts.lines().collect();
        assert!(scripts.lines().count() <= once.len() + cuts, "{name}: a package was installed twice: {scripts}");
        let ledger = fs::read_to_string(self.root(number).join("var/lib/sio-agent/ledger")).unwrap();
        let journal = self.inside(number, &["journalctl", "--no-pager"]);
        let password = &self.world.admin().password;
        assert!(
            !ledger.contains(password) && !journal.contains(password),
            "{name}: a password is in ledger or journal"
        );
    }

    /// Whether its server and its client are connected.
    pub(crate) fn serves(&self, number: u8) -> bool {
        let ip = self.ip(number);
        self.world.world(|world| {
            let server = world.sds.values().any(|sds| sds.connected() && sds.ips.iter().any(|at| at.ip == ip));
            server && world.sdcs.values().any(|sdc| sdc.connected && sdc.ip == ip)
        })
    }

    /// The mode and the state of the MDM cluster, as the system itself has them.
    pub(crate) fn cluster(&self) -> (&'static str, &'static str) {
        self.world.world(|world| {
            let state = if world.mdm.normal(world.now()) { "ClusteredNormal" } else { "ClusteredDegraded" };
            (world.mdm.mode(), state)
        })
    }
}
