//! The rollout alone brings bare Mesos agents to where a task writes and another
//! one reads: real `sio run`, real Mesos, booted hosts that have nothing of ours.
//!
//! The isolator that volumes need comes by new flags: one agent first. That one
//! does not start with them, gets its old ones back, and nobody follows until a
//! person has looked.

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use scaleio_framework::sim::Running;
use serde_json::Value;

use crate::disk::Loop;
use crate::hosts;
use crate::lab::MACHINE;
use crate::master::{Master, dist};
use crate::port::free_port;
use crate::scheduler::Scheduler;
use crate::volumes::{Groups, HOSTS, VOLUME, mapped, service, system};

/// Everything here is slow on a busy machine, and nothing waits so long on one that works.
const PATIENCE: Duration = Duration::from_secs(240);

/// Where the managers of the simulated system answer clients.
const MANAGERS: [&str; 3] = ["127.0.0.31", "127.0.0.32", "127.0.0.33"];

/// What its package starts for a Mesos agent; with a file there it cannot take the isolator.
const STARTS: &str = "#!/bin/sh\nif [ -e /run/broken ]; then case $MESOS_ISOLATION in *docker/volume*) exit 1 ;; esac; fi\n\
                      exec /opt/mesos/mesos-agent \"$@\"\n";

struct Site {
    lab: tempfile::TempDir,
    controller: Child,
    url: String,
    client: reqwest::Client,
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.controller.kill();
        let _ = self.controller.wait();
        if std::thread::panicking() {
            self.tell();
        }
        for host in HOSTS {
            hosts::host(&["down", host], self.lab.path());
        }
    }
}

impl Site {
    #[allow(clippy::print_stderr, reason = "what was said is shown of a test that fails")]
    fn tell(&self) {
        let log = std::fs::read_to_string(self.lab.path().join("controller.log")).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(60).collect();
        last.into_iter().rev().for_each(|line| eprintln!("controller: {line}"));
        for host in HOSTS {
            eprintln!("{host}: {}", self.inside(host, &["journalctl", "-n", "40", "--no-pager"]));
        }
    }

    fn inside(&self, host: &str, args: &[&str]) -> String {
        hosts::inside(host, args, self.lab.path())
    }

    async fn node(&self, host: &str) -> Option<Value> {
        let answer = self.client.get(format!("{}/api/v1/nodes", self.url)).send().await.ok()?;
        let all: Value = serde_json::from_str(&answer.text().await.ok()?).ok()?;
        all.as_array()?.iter().find(|node| node["node"] == host).cloned()
    }

    async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut(&Self) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look(self).await {
                return found;
            }
            if begun.elapsed() > PATIENCE {
                let nodes = [self.node("a1").await, self.node("a2").await];
                panic!("waited in vain for {what}: {nodes:?}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until a node is in a phase with this among its reasons.
    async fn is(&self, host: &str, phase: &str, because: &str) -> String {
        self.until(&format!("{host} to be {phase} ({because})"), async |site| {
            let node = site.node(host).await?;
            let told = node["because"].to_string();
            (node["phase"] == phase && told.contains(because)).then_some(told)
        })
        .await
    }
}

/// What a host's image has: packages that ScaleIO's need, and a Mesos agent that gives no volumes.
fn furnish(at: usize, master: &str, lab: &Path) {
    let host = HOSTS[at];
    let build = lab.join("prerequisites");
    for name in ["numactl", "libaio"] {
        let rpm = build.join(format!("{name}.rpm"));
        if !rpm.exists() {
            std::fs::create_dir_all(&build).unwrap();
            let spec = build.join("one.spec");
            let text = format!(
                "Name: {name}\nVersion: 1\nRelease: 1\nSummary: stub\nLicense: none\nBuildArch: noarch\n%description\nStub.\n%files\n"
            );
            std::fs::write(&spec, text).unwrap();
            let define = |name: &str, value: &Path| format!("{name} {}", value.display());
            let made = Command::new("rpmbuild")
                .args([
                    "--quiet",
                    "-bb",
                    "--define",
                    &define("_topdir", &build),
                    "--define",
                    &define("_rpmdir", &build),
                ])
                .args(["--define", "_build_name_fmt %%{NAME}.rpm"])
                .arg(&spec)
                .output()
                .unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        let root = hosts::root(host, lab);
        std::fs::copy(&rpm, root.join(format!("{name}.rpm"))).unwrap();
        let install = ["-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "chroot", root.to_str().unwrap(), "rpm", "-U"];
        let done = Command::new("env").args(install).arg(format!("/{name}.rpm")).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    hosts::write(host, "usr/bin/start-mesos", STARTS, lab);
    let program = hosts::root(host, lab).join("usr/bin/start-mesos");
    std::fs::set_permissions(program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let unit = service(at, master, "/usr/bin/start-mesos", "");
    // As a package's unit says it; a drop-in is read after it.
    let unit = unit.replace("[Service]\n", "[Service]\nEnvironment=MESOS_ISOLATION=posix/cpu,posix/mem\n");
    hosts::write(host, "etc/systemd/system/mesos-slave.service", &unit, lab);
}

fn configuration(lab: &Path, system: &Running, ports: [u16; 3], master: &str) -> String {
    std::fs::write(lab.join("prod.pem"), system.certificate_pem()).unwrap();
    for (name, login) in [("monitor.password", system.monitor()), ("admin.password", system.admin())] {
        let mut file = std::fs::OpenOptions::new();
        let mut file = file.write(true).create_new(true).mode(0o600).open(lab.join(name)).unwrap();
        std::io::Write::write_all(&mut file, login.password.as_bytes()).unwrap();
    }
    let (domain, pool) = system.world(|world| {
        let pool = world.pools.values().next().unwrap();
        (world.domains[&pool.domain].name.clone(), pool.name.clone())
    });
    let [web, agents, mirror] = ports;
    let (urls, monitor, admin) = (system.urls(), &system.monitor().user, &system.admin().user);
    format!(
        "[web]\nlisten = \"127.0.0.1:{web}\"\n[control]\nsocket = \"sio.sock\"\n[store]\npath = \"state.db\"\n\
         [poll]\nfast = \"1s\"\nmiddle = \"1s\"\nslow = \"1s\"\n[alerts]\nenabled = false\n\
         [agents]\nlisten = \"127.0.0.1:{agents}\"\nfolder = \"ca\"\n\
         [artefacts]\nlisten = \"127.0.0.1:{mirror}\"\nurl = \"http://127.0.0.1:{mirror}\"\nfolder = \"packages\"\n\
         [mesos]\nmasters = [\"http://{master}\"]\nroles = [\"*\"]\n[lifecycle]\nmode = \"act\"\n\
         [systems.prod]\ngateways = {urls:?}\nca_file = \"prod.pem\"\n\
         [systems.prod.monitor]\nuser = {monitor:?}\npassword_file = \"monitor.password\"\n\
         [systems.prod.lifecycle]\nuser = {admin:?}\npassword_file = \"admin.password\"\n\
         [systems.prod.volumes]\nuser = {admin:?}\npassword_file = \"admin.password\"\ndomain = {domain:?}\n\
         pool = {pool:?}\ntrusts_any = true\n\
         [systems.prod.rollout]\ntopology = \"one_pool\"\nrelease = \"3.6-100.101\"\n\
         [systems.prod.rollout.disks]\ndeny = [\"*\"]\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn bare_mesos_agents_give_volumes_to_tasks_by_the_rollout_alone() {
    let _machine = MACHINE.lock().await;
    let lab = hosts::open("sio-consume-");
    let system = system().await;
    system.world(|world| {
        for (number, client) in (21..).zip(world.sdcs.values_mut()) {
            client.ip = format!("127.0.0.{number}");
        }
        for (ip, member) in MANAGERS.iter().cycle().zip(&mut world.mdm.members) {
            member.ips = vec![(*ip).to_owned()];
        }
    });
    let _managers = MANAGERS.map(|ip| TcpListener::bind((ip, 6611)).unwrap());
    let device = Loop::new(&lab.path().join("volume"), 64 << 20);
    let _groups = Groups;
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let _master = Master::start(lab.path(), "127.0.0.1", port);
    let master = format!("127.0.0.1:{port}");
    for (at, host) in HOSTS.iter().enumerate() {
        hosts::bare(host, "el7", lab.path());
        let options = format!("--bind={}:/dev/scinia --bind-ro={}:/opt/mesos", device.0, dist().display());
        std::fs::write(lab.path().join(host).join("opts"), options).unwrap();
        hosts::write(host, "etc/sio-stub-guid", crate::volumes::GUIDS[at], lab.path());
        furnish(at, &master, lab.path());
        hosts::host(&["poweron", host], lab.path());
    }
    let ports = std::array::from_fn(|_| free_port());
    let config = lab.path().join("sio.toml");
    std::fs::write(&config, configuration(lab.path(), &system, ports, &master)).unwrap();
    let log = File::create(lab.path().join("controller.log")).unwrap();
    let mut controller = Command::new(env!("CARGO_BIN_EXE_sio"));
    controller.args(["run", "--config"]).arg(&config).env_clear();
    let controller = controller.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let site = Site { lab, controller, url: format!("http://127.0.0.1:{}", ports[0]), client };

    for host in HOSTS {
        site.until("a host to be up", async |site| {
            (site.inside(host, &["systemctl", "is-active", "dbus"]) == "active").then_some(())
        })
        .await;
        site.inside(host, &["touch", "/run/broken"]);
        site.inside(host, &["systemctl", "start", "mesos-slave"]);
    }
    // The first agent does not start with the isolator: it has its old flags again, and no other one is tried.
    let first = site
        .until("one to fail", async |site| {
            for host in HOSTS {
                if site.node(host).await.is_some_and(|node| node["phase"] == "failed") {
                    return Some(host);
                }
            }
            None
        })
        .await;
    let other = HOSTS.into_iter().find(|host| *host != first).unwrap();
    let told = site.is(first, "failed", "its old flags are back").await;
    assert!(told.contains("mesos-slave is failed"), "{told}");
    assert_eq!(site.inside(first, &["systemctl", "is-active", "mesos-slave"]), "active");
    let told = site.is(other, "ready", &format!("{first}: its Mesos agent did not come back with new flags")).await;
    assert!(told.contains(&format!("sio rollout retry {first}")), "{told}");
    assert_eq!(site.inside(other, &["sh", "-c", "ls /etc/scaleio-framework/mesos-agent.env 2>/dev/null"]), "");

    // Somebody mends it.
    for host in HOSTS {
        site.inside(host, &["rm", "/run/broken"]);
    }
    let retry = Command::new(env!("CARGO_BIN_EXE_sio"))
        .args(["rollout", "retry", first, "--config"])
        .arg(&config)
        .env_clear()
        .output()
        .unwrap();
    assert!(retry.status.success(), "{}", String::from_utf8_lossy(&retry.stderr));
    for host in HOSTS {
        site.until("its tasks to get volumes", async |site| {
            let node = site.node(host).await?;
            let waits = node["because"].to_string().contains("waits for");
            let flags = site.inside(host, &["cat", "/etc/scaleio-framework/mesos-agent.env"]);
            (node["phase"] == "ready" && !waits && flags.contains("docker/volume")).then_some(())
        })
        .await;
        let flags = site.inside(host, &["cat", "/etc/scaleio-framework/mesos-agent.env"]);
        assert_eq!(flags, "MESOS_ISOLATION=posix/cpu,posix/mem,filesystem/linux,docker/volume", "what it had stays");
    }

    let mut scheduler = Scheduler::subscribe(&format!("http://{master}")).await;
    scheduler.launch("writer", "a1", VOLUME, "echo promised > data/file && sync && exec sleep 1000").await;
    let (state, said) = scheduler.state("writer", &["TASK_RUNNING", "TASK_FAILED"]).await;
    assert_eq!(state, "TASK_RUNNING", "{said}");
    let file = format!("/var/lib/rexray/volumes/{VOLUME}/data/file");
    site.until("the file", async |site| (site.inside("a1", &["cat", &file]) == "promised").then_some(())).await;
    scheduler.kill("writer").await;
    scheduler.state("writer", &["TASK_KILLED"]).await;
    site.until("the volume to be given back", async |_| mapped(&system).is_empty().then_some(())).await;
    scheduler.launch("reader", "a2", VOLUME, "grep -qx promised data/file").await;
    let (state, said) = scheduler.state("reader", &["TASK_FINISHED", "TASK_FAILED"]).await;
    assert_eq!(state, "TASK_FINISHED", "{said}");
    // The hosts end before the master, whose end clears up behind them.
    drop(site);
}
