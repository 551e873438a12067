//! Five real hosts, systemd and rpm in each, with the real agents of the product, a real Mesos that drains them and the
//! real `sio run`: a broken release is put back and quarantined, a cancel at each step ends clean, and then all of them get
//! from one release to another.
//!
//! Hosts use the machine's loopback, each an address of its own on it; the agent of Mesos for a host listens there too.
//! The stub SDS of each host shows in one simulated system.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/lab.rs"]
mod lab;
#[path = "support/port.rs"]
mod port;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use port::free_port;
use scaleio_framework::clock;
use scaleio_framework::enrol::ca::Authority;
use scaleio_framework::model::lifecycle::{Answer, Lifecycle, PlanShown};
use scaleio_framework::model::version::as_reported;
use scaleio_framework::sim::world::{Component, Layout, Maintenance};
use scaleio_framework::sim::{Options, Release, Running, Simulation};
use serde_json::{Value, json};

/// Everything here is slow on a busy machine, and nothing waits so long on one that works.
const PATIENCE: Duration = Duration::from_secs(240);

/// The gates need three; with five a canary and a quorum look as they do in the field.
const HOSTS: usize = 5;

const BEFORE: &str = "3.6-100.101";
/// Its last script fails.
const BROKEN: &str = "3.6-200.1";
const AFTER: &str = "3.6-300.1";

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

fn run(program: &Path, args: &[&str], envs: &[(&str, &Path)]) -> Output {
    let output = Command::new(program).args(args).envs(envs.iter().copied()).output();
    output.unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

fn good(output: &Output, what: &str) {
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
}

fn address(number: usize) -> String {
    format!("127.0.0.{}", 10 + number)
}

/// One stub SDS: it is connected as long as its line is open.
fn show(stream: TcpStream, world: &Running) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let words: Vec<&str> = line.trim_end().split('\t').collect();
    let ["sds", ip, version] = words[..] else { panic!("a stub said {line:?}") };
    let name = world.world(|world| {
        let sds = world.sds.values().find(|sds| sds.ips.iter().any(|at| at.ip == ip)).unwrap();
        let name = sds.name.clone();
        // It was never away when this is the first line of all.
        let _ = world.return_sds(&name);
        world.install(&Component::Sds(name.clone()), &as_reported(version)).unwrap();
        name
    });
    let _ = reader.read(&mut [0; 1]);
    let _ = world.world(|world| world.fail_sds(&name));
}

/// Lets the stubs of all hosts show in the world.
fn serve(world: &Arc<Running>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let world = Arc::clone(world);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let world = Arc::clone(&world);
            std::thread::spawn(move || show(stream.unwrap(), &world));
        }
    });
    port
}

/// As many servers as hosts, each a fault unit; the MDMs run the release that comes.
async fn world() -> Arc<Running> {
    let layout = Layout {
        racks_per_domain: HOSTS as u32,
        nodes_per_rack: 1,
        devices_per_node: 2,
        pools_per_domain: 1,
        volumes: 4,
        sdcs: 2,
        fill: 0.1,
        spare_percent: 34,
        ..Layout::small()
    };
    let world = Simulation::start(Options { speed: 10.0, ..Options::new(layout, Release::V3_6) }).await.unwrap();
    world.world(|world| {
        for member in &mut world.mdm.members {
            member.version = as_reported(AFTER).into();
        }
        for (number, sds) in (1..).zip(world.sds.values_mut()) {
            sds.version = as_reported(BEFORE).into();
            sds.ips.truncate(1);
            sds.ips[0].ip = address(number);
        }
    });
    Arc::new(world)
}

struct Site {
    lab: tempfile::TempDir,
    world: Arc<Running>,
    controller: Child,
    url: String,
    master: String,
    client: reqwest::Client,
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.controller.kill();
        let _ = self.controller.wait();
        let downs: Vec<Child> = (1..=HOSTS)
            .map(|number| {
                let mut down = Command::new(script("hosts/host.sh"));
                down.args(["down", &format!("u{number}")]).env("LAB", self.lab.path());
                down.stderr(Stdio::null()).spawn().unwrap()
            })
            .collect();
        for mut down in downs {
            let _ = down.wait();
        }
        let mesos = self.lab.path().join("mesos");
        run(&script("real-mesos/real-mesos"), &["down", "--dir", mesos.to_str().unwrap()], &[]);
        if std::thread::panicking() {
            self.tell();
        }
    }
}

impl Site {
    async fn open() -> Self {
        let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache");
        let lab = lab::open("sio-up-");

        let world = world().await;
        let line = serve(&world);
        let [web, agents, mirror] = std::array::from_fn(|_| free_port());
        let mesos = free_range();
        let dist = cache.join("mesos/dist");
        let started = {
            let (folder, port, hosts) = (lab.path().join("mesos"), mesos.to_string(), HOSTS.to_string());
            let args = ["up", "--dir", folder.to_str().unwrap(), "--port", &port, "--agents", &hosts, "--distinct-ips"];
            run(&script("real-mesos/real-mesos"), &args, &[("REAL_MESOS_DIST", &dist)])
        };
        good(&started, "a real Mesos");

        let config = lab.path().join("sio.toml");
        std::fs::write(&config, configuration(&lab, &world, web, agents, mirror, mesos)).unwrap();
        let log = std::fs::File::create(lab.path().join("controller.log")).unwrap();
        let mut controller = Command::new(env!("CARGO_BIN_EXE_sio"));
        controller.args(["run", "--config"]).arg(&config).env_clear();
        controller.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let controller = controller.spawn().unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let (url, master) = (format!("http://127.0.0.1:{web}"), format!("http://127.0.0.1:{mesos}"));
        let site = Self { lab, world, controller, url, master, client };

        // The controller makes its authority when it starts.
        let ca = site.lab.path().join("ca");
        site.until("the controller to serve", async |site| site.try_get("/api/v1/status").await).await;
        let authority = Authority::open(&ca, clock::now()).unwrap();
        for number in 1..=HOSTS {
            site.boot(number, &authority, agents, line);
        }
        let hosts: Vec<usize> = (1..=HOSTS).collect();
        for number in hosts {
            let service = ["systemctl", "is-active", "sds"];
            site.until("every SDS to run", async |site| (site.inside(number, &service) == "active").then_some(()))
                .await;
        }
        site
    }

    /// A host with the release from before on it and an agent that has papers.
    fn boot(&self, number: usize, authority: &Authority, agents: u16, line: u16) {
        let (machine, node) = (format!("u{number}"), address(number));
        let lab = self.lab.path();
        lab::make(&machine, "el7", &node, authority, agents, lab);
        lab::write(&machine, "etc/sio-stub-sds", &format!("{node} 127.0.0.1:{line}\n"), lab);
        let root = lab::root(&machine, lab);
        let file = format!("EMC-ScaleIO-sds-{BEFORE}.el7.x86_64.rpm");
        std::fs::copy(lab.join("packages").join(&file), root.join(&file)).unwrap();
        // Before systemd is there, as an image would have it: the script only enables the service.
        let (package, bare) = (format!("/{file}"), "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
        let install = ["-i", bare, "chroot", root.to_str().unwrap(), "rpm", "-U", &package];
        good(&run(Path::new("env"), &install, &[]), "the release from before");
        lab::host(&["poweron", &machine], lab);
    }

    fn inside(&self, number: usize, args: &[&str]) -> String {
        lab::inside(&format!("u{number}"), args, self.lab.path())
    }

    /// What rpm has on each host.
    fn books(&self) -> Vec<String> {
        let ask = ["rpm", "-q", "--qf", "%{VERSION}-%{RELEASE} ", "EMC-ScaleIO-sds"];
        (1..=HOSTS).map(|number| self.inside(number, &ask).trim_end_matches(".el7").to_owned()).collect()
    }

    #[allow(clippy::print_stderr, reason = "what was said is shown of a test that fails")]
    fn tell(&self) {
        let log = std::fs::read_to_string(self.lab.path().join("controller.log")).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(80).collect();
        for line in last.into_iter().rev() {
            eprintln!("controller: {line}");
        }
    }

    async fn try_get(&self, path: &str) -> Option<String> {
        self.client.get(format!("{}{path}", self.url)).send().await.ok()?.text().await.ok()
    }

    async fn lifecycle(&self) -> Lifecycle {
        serde_json::from_str(&self.try_get("/api/v1/systems/prod/runs").await.unwrap()).unwrap()
    }

    async fn ask(&self, order: Value) -> (u16, String) {
        let request = self.client.post(format!("{}/api/v1/systems/prod/runs", self.url));
        let request = request.header("content-type", "application/json").body(order.to_string());
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut(&Self) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look(self).await {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// A plan for so many hosts that have the old release, once all that it needs is known.
    async fn plan(&self, to: &str, hosts: usize) -> PlanShown {
        self.until("a plan that is safe", async |site| {
            let request = json!({"request": "upgrade", "to": to, "only": []});
            let (status, text) = site.ask(json!({"order": "plan", "by": "ada", "request": request})).await;
            if status != 200 {
                return None;
            }
            let Ok(Answer::Plan(plan)) = serde_json::from_str(&text) else { panic!("{text}") };
            let tasks = plan.stages.iter().find(|stage| stage.name == "sds").map_or(0, |stage| stage.tasks.len());
            (tasks == hosts && plan.unsafe_because.is_empty()).then_some(*plan)
        })
        .await
    }

    async fn approve(&self, plan: &PlanShown) {
        self.until("the run to begin", async |site| {
            let (status, _) = site.ask(json!({"order": "approve", "by": "ada", "plan": plan.id})).await;
            (status == 200).then_some(())
        })
        .await;
    }

    /// Hosts that have the old release.
    fn old(&self) -> usize {
        self.books().iter().filter(|version| **version == BEFORE).count()
    }

    fn rebuild(&self, on: bool) {
        self.world.world(|world| {
            world.pools.values_mut().for_each(|pool| pool.rebuild_enabled = on);
        });
    }

    /// A person thinks better of an upgrade while a host is at this step. All that was begun is ended.
    async fn cancel_at(&self, step: &str) {
        self.approve(&self.plan(AFTER, self.old()).await).await;
        let begun = Instant::now();
        loop {
            let run =
                self.lifecycle().await.run.unwrap_or_else(|| panic!("the run is over, and no host was at {step}"));
            let at_hand = |step: &str| {
                let working = run.tasks.iter().filter(|task| task.stage == "sds" && task.standing == "working");
                working.filter_map(|task| task.step.as_ref()).any(|at| at.starts_with(step))
            };
            if at_hand(step) {
                break;
            }
            // So little data is back in no time; where nothing is rebuilt, it is waited for.
            if step == "await" && at_hand("exit") {
                self.rebuild(false);
            }
            assert!(begun.elapsed() < PATIENCE, "no host was at {step}: {run:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let (status, text) = self.ask(json!({"order": "cancel", "by": "ada"})).await;
        assert_eq!(status, 200, "{text}");
        self.rebuild(true);
        assert_eq!(self.ended().await, ("cancelled".to_owned(), "by ada".to_owned()), "at {step}");
        self.is_clean().await;
    }

    /// How the run ended.
    async fn ended(&self) -> (String, String) {
        self.until("the end of the run", async |site| {
            let work = site.lifecycle().await;
            let past = work.past.first().filter(|_| work.run.is_none())?;
            Some((past.end.clone(), past.why.clone().unwrap_or_default().into()))
        })
        .await
    }

    /// Nothing of ours is left: in the system, at Mesos, and on the list of duties.
    async fn is_clean(&self) {
        let well = self
            .world
            .world(|world| world.sds.values().all(|sds| sds.maintenance == Maintenance::None && sds.connected()));
        assert!(well, "an SDS is away or in maintenance");
        let work = self.lifecycle().await;
        assert_eq!((&work.obligations[..], &work.problems[..]), (&[][..], &[][..]));
        let call = self.client.post(format!("{}/api/v1", self.master)).header("content-type", "application/json");
        let call = call.header("accept", "application/json").body(r#"{"type":"GET_AGENTS"}"#);
        let told: Value = serde_json::from_str(&call.send().await.unwrap().text().await.unwrap()).unwrap();
        let agents = told["get_agents"]["agents"].as_array().unwrap();
        assert_eq!(agents.len(), HOSTS);
        for agent in agents {
            let free = agent["active"] == true && agent["deactivated"] != true && agent["drain_info"].is_null();
            assert!(free, "Mesos still has an agent out of work: {agent}");
        }
    }
}

/// A port with as many free ones behind it as there are agents.
fn free_range() -> u16 {
    let is_free = |port: u16| TcpListener::bind(("0.0.0.0", port)).is_ok();
    (9_800..10_400).step_by(40).find(|from| (*from..from + 20).all(is_free)).unwrap()
}

fn configuration(lab: &tempfile::TempDir, world: &Running, web: u16, agents: u16, mirror: u16, mesos: u16) -> String {
    let path = |name: &str| lab.path().join(name);
    std::fs::write(path("prod.pem"), world.certificate_pem()).unwrap();
    for (name, login) in [("monitor.password", world.monitor()), ("admin.password", world.admin())] {
        let mut file = std::fs::OpenOptions::new();
        let mut file = file.write(true).create_new(true).mode(0o600).open(path(name)).unwrap();
        std::io::Write::write_all(&mut file, login.password.as_bytes()).unwrap();
    }
    format!(
        "[web]\nlisten = \"127.0.0.1:{web}\"\n[control]\nsocket = \"sio.sock\"\n[store]\npath = \"state.db\"\n\
         [poll]\nfast = \"1s\"\nmiddle = \"1s\"\nslow = \"2s\"\n\
         [agents]\nlisten = \"127.0.0.1:{agents}\"\nfolder = \"ca\"\n\
         [artefacts]\nlisten = \"127.0.0.1:{mirror}\"\nfolder = \"packages\"\n\
         [lifecycle]\nsoak = \"1s\"\n\
         [mesos]\nmasters = [\"http://127.0.0.1:{mesos}\"]\n\
         [systems.prod]\ngateways = {:?}\nca_file = \"prod.pem\"\n\
         [systems.prod.monitor]\nuser = {:?}\npassword_file = \"monitor.password\"\n\
         [systems.prod.lifecycle]\nuser = {:?}\npassword_file = \"admin.password\"\n",
        world.urls(),
        world.monitor().user,
        world.admin().user,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn five_real_hosts_take_back_what_is_broken_end_each_cancel_clean_and_get_to_the_other_release() {
    let site = Site::open().await;

    // Who asks for what is not there is told the file, and nothing is begun.
    let told = site
        .until("a refusal that names the file", async |site| {
            let request = json!({"request": "upgrade", "to": "3.6-250.1", "only": []});
            let (status, text) = site.ask(json!({"order": "plan", "by": "ada", "request": request})).await;
            (status == 409).then_some(text)
        })
        .await;
    assert!(told.contains("EMC-ScaleIO-sds-3.6-250.1.el7.x86_64.rpm") && told.contains("CentOS Linux 7"), "{told}");

    let plan = site.plan(BROKEN, HOSTS).await;
    let steps = &plan.stages.iter().find(|stage| stage.name == "sds").unwrap().tasks[0].steps;
    assert!(steps.iter().any(|step| step == "drain") && steps.iter().any(|step| step == "reactivate"), "{steps:?}");
    site.approve(&plan).await;
    let (end, why) = site.ended().await;
    assert_eq!(end, "halted", "{why}");
    assert!(why.contains("script"), "{why}");
    site.is_clean().await;
    assert_eq!(site.books(), vec![BEFORE; HOSTS]);
    let work = site.lifecycle().await;
    assert!(work.quarantined.contains_key(&as_reported(BROKEN)), "{:?}", work.quarantined);

    for step in ["drain", "enter", "install", "verify"] {
        site.cancel_at(step).await;
        assert_eq!(site.books(), vec![BEFORE; HOSTS], "cancelled at {step}");
    }
    // A server that was told to leave maintenance is not stopped once more: its host keeps what it has.
    for step in ["exit", "await", "reactivate", "watch"] {
        site.cancel_at(step).await;
        let books = site.books();
        assert!(books.iter().all(|version| [BEFORE, AFTER].contains(&version.as_str())), "{step}: {books:?}");
    }
    assert!((1..HOSTS).contains(&site.old()), "{:?}", site.books());

    let plan = site.plan(AFTER, site.old()).await;
    site.approve(&plan).await;
    let (end, why) = site.ended().await;
    assert_eq!((end.as_str(), why.as_str()), ("done", ""));
    site.is_clean().await;
    assert_eq!(site.books(), vec![AFTER; HOSTS]);
    let versions: BTreeMap<String, String> =
        site.world.world(|world| world.sds.values().map(|sds| (sds.name.clone(), sds.version.clone())).collect());
    assert!(versions.values().all(|version| **version == *as_reported(AFTER)), "{versions:?}");
}
