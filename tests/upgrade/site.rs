//! A controller in a runtime of its own, which can be killed, on a simulated system with hosts.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use scaleio_framework::agent::recipes::os::Books;
use scaleio_framework::app;
use scaleio_framework::clock;
use scaleio_framework::config::Config;
use scaleio_framework::enrol::ca::Authority;
use scaleio_framework::model::lifecycle::{Answer, Lifecycle, PlanShown};
use scaleio_framework::model::order::Component;
use scaleio_framework::model::version::as_reported;
use scaleio_framework::sim::world::Layout;
use scaleio_framework::sim::{Options, Release, Running, Simulation};
use scaleio_framework::stage::{Hosts, package};
use serde_json::{Value, json};

use crate::port::free_port;

/// Long enough for a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(400);

/// What most sites are brought to.
pub(crate) const AFTER: &str = "3.6-0.200";

/// The packages of what is on the hosts at the start, and of what they are brought to.
const fn packaged(release: Release) -> [&'static str; 2] {
    match release {
        Release::V2_0 => ["2.0-13000.0", "2.0-14000.231"],
        Release::V2_6 => ["2.6-11000.0", "2.6-11000.113"],
        Release::V3_0 => ["3.0-200.0", "3.0-1200.101"],
        Release::V3_6 | Release::V4_5 => ["3.6-0.0", AFTER],
    }
}

/// What the new packages are like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum New {
    Good,
    /// Their last scripts fail.
    Broken,
}

pub(crate) struct Site {
    pub(crate) world: Arc<Running>,
    pub(crate) hosts: Hosts,
    /// The new release, as the MDM writes it.
    pub(crate) to: String,
    config: Config,
    folder: tempfile::TempDir,
    controller: Option<(tokio::runtime::Runtime, String)>,
    client: reqwest::Client,
}

impl Site {
    /// Four servers in four fault sets, each with a client on its host; the MDMs are elsewhere and run the new release already.
    pub(crate) async fn new(mode: &str) -> Self {
        Self::with(mode, New::Good).await
    }

    /// With these jobs, written as in the configuration; `DIR` is a folder of the site's.
    pub(crate) async fn with_jobs(mode: &str, jobs: &str) -> Self {
        Self::of(Release::V3_6, mode, New::Good, jobs, |_| {}).await
    }

    /// Of a release that is upgraded by us.
    pub(crate) async fn of_release(release: Release) -> Self {
        Self::of(release, "propose", New::Good, "", |_| {}).await
    }

    /// Of a release that others upgrade: nobody has the new one.
    pub(crate) async fn of_4_5(mode: &str) -> Self {
        Self::of(Release::V4_5, mode, New::Good, "", |_| {}).await
    }

    pub(crate) async fn with(mode: &str, new: New) -> Self {
        Self::of(Release::V3_6, mode, new, "", |_| {}).await
    }

    /// On hosts that were changed before their agents begin.
    pub(crate) async fn on(mode: &str, change: impl FnOnce(&Hosts)) -> Self {
        Self::of(Release::V3_6, mode, New::Good, "", change).await
    }

    async fn of(release: Release, mode: &str, new: New, jobs: &str, change: impl FnOnce(&Hosts)) -> Self {
        let layout = Layout {
            racks_per_domain: 4,
            nodes_per_rack: 1,
            devices_per_node: 2,
            pools_per_domain: 1,
            volumes: 4,
            sdcs: 2,
            fill: 0.1,
            spare_percent: 34,
            ..Layout::small()
        };
        let options = Options { speed: 10.0, ..Options::new(layout, release) };
        let world = Arc::new(Simulation::start(options).await.unwrap());
        let to = match release {
            Release::V4_5 => format!("{}1", release.component()),
            _ => String::from(as_reported(packaged(release)[1])),
        };
        world.world(|world| {
            for (number, member) in (1..).zip(&mut world.mdm.members) {
                if release != Release::V4_5 {
                    member.version.clone_from(&to);
                }
                member.ips = vec![format!("10.99.0.{number}")];
            }
            let servers: Vec<String> = world.sds.values().map(|sds| sds.ips[0].ip.clone()).collect();
            for (client, ip) in world.sdcs.values_mut().zip(servers) {
                client.ip = ip;
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let hosts = Hosts::of(&world, &folder.path().join("hosts")).unwrap();
        change(&hosts);
        hosts.show();
        packages(&folder.path().join("packages"), release, new);
        let agents = free_port();
        let config = config(folder.path(), &world, mode, agents, jobs);
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let mut site = Self { world, hosts, to, config, folder, controller: None, client };
        site.start().await;
        let authority = Authority::open(&site.config.agents.as_ref().unwrap().folder, clock::now()).unwrap();
        for host in site.hosts.all() {
            host.enrol(&authority).unwrap();
            host.start_agent(vec![format!("https://127.0.0.1:{agents}")]);
        }
        site
    }

    /// A controller goes on with what the last one stored.
    pub(crate) async fn start(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let config = self.config.clone();
        let (sender, started) = tokio::sync::oneshot::channel();
        runtime.spawn(async move {
            let running = app::start(&config).await.unwrap();
            sender.send(running.web.to_string()).unwrap();
            running.until(std::future::pending()).await.unwrap();
        });
        self.controller = Some((runtime, started.await.unwrap()));
        // The first pictures come before anything can be planned.
        self.eventually("a picture", |_, status: &Value| {
            (status["systems"][0]["up"] == true).then_some(()).ok_or_else(|| status.to_string())
        })
        .await;
    }

    /// The controller is gone at once, in the middle of whatever it does.
    pub(crate) async fn kill(&mut self) {
        let (runtime, _) = self.controller.take().unwrap();
        tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(20))).await.unwrap();
    }

    /// What the command line says, with the status of its end.
    pub(crate) fn sio(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut sio = Command::new(env!("CARGO_BIN_EXE_sio"));
        let done = sio.arg("--config").arg(self.path("sio.toml")).args(arguments).output().unwrap();
        (done.status.code(), String::from_utf8([done.stdout, done.stderr].concat()).unwrap())
    }

    /// A file of the site's.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.controller.as_ref().unwrap().1)
    }

    pub(crate) async fn get(&self, path: &str) -> String {
        self.client.get(self.url(path)).send().await.unwrap().text().await.unwrap()
    }

    pub(crate) async fn lifecycle(&self) -> Lifecycle {
        serde_json::from_str(&self.get("/api/v1/systems/prod/runs").await).unwrap()
    }

    /// Asks; gives the status and the answer.
    pub(crate) async fn ask(&self, order: Value) -> (u16, String) {
        let request = self.client.post(self.url("/api/v1/systems/prod/runs"));
        let request = request.header("content-type", "application/json").body(order.to_string());
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// A plan for all of them, once every agent was heard.
    pub(crate) async fn plan_upgrade(&self) -> PlanShown {
        let begun = Instant::now();
        loop {
            let request = json!({"request": "upgrade", "to": self.to, "only": []});
            let (status, text) = self.ask(json!({"order": "plan", "by": "ada", "request": request})).await;
            assert_eq!(status, 200, "{text}");
            let Answer::Plan(plan) = serde_json::from_str(&text).unwrap() else { panic!("{text}") };
            let all = plan.stages.first().is_some_and(|stage| stage.tasks.len() == self.hosts.all().len());
            if all && plan.unsafe_because.is_empty() {
                return *plan;
            }
            assert!(begun.elapsed() < PATIENCE, "{plan:#?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    pub(crate) async fn approve(&self, plan: &PlanShown) -> (u16, String) {
        self.ask(json!({"order": "approve", "by": "ada", "plan": plan.id})).await
    }

    /// Waits until a check of the work and of the status passes.
    pub(crate) async fn eventually<T>(
        &self,
        what: &str,
        mut check: impl FnMut(&Lifecycle, &Value) -> Result<T, String>,
    ) -> T {
        let begun = Instant::now();
        loop {
            let status: Value = serde_json::from_str(&self.get("/api/v1/status").await).unwrap();
            let work = self.lifecycle().await;
            match check(&work, &status) {
                Ok(done) => return done,
                Err(why) if begun.elapsed() > PATIENCE => panic!("{what}: {why}\n{work:#?}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    /// The run that is over, when it is.
    pub(crate) async fn ended(&self) -> (String, Option<Box<str>>) {
        self.eventually("the end of the run", |work, _| {
            let over = work.past.first().filter(|_| work.run.is_none());
            over.map(|past| (past.end.clone(), past.why.clone())).ok_or_else(|| "it goes on".to_owned())
        })
        .await
    }

    /// What the system shows of each server.
    pub(crate) fn versions(&self) -> Vec<String> {
        self.world.world(|world| world.sds.values().map(|sds| sds.version.clone()).collect())
    }

    /// How often each host had a package installed.
    pub(crate) fn installed(&self) -> Vec<u32> {
        let of = |host: &Arc<scaleio_framework::stage::Host>| {
            host.machine().node.effects.get("install").copied().unwrap_or_default()
        };
        self.hosts.all().iter().map(of).collect()
    }

    /// Nothing of ours is left in the world.
    pub(crate) fn is_clean(&self) -> bool {
        use scaleio_framework::sim::world::Maintenance;
        self.world.world(|world| world.sds.values().all(|sds| sds.maintenance == Maintenance::None && sds.connected()))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some((runtime, _)) = self.controller.take() {
            runtime.shutdown_background();
        }
    }
}

/// The releases from before and after, as the controller serves them.
fn packages(folder: &Path, release: Release, new: New) {
    std::fs::create_dir(folder).unwrap();
    let [_, after] = packaged(release);
    for component in [Component::Sds, Component::Sdc] {
        for version in packaged(release) {
            let (name, text) = package(component, version, Books::Rpm);
            let fails = version == after && new == New::Broken;
            std::fs::write(folder.join(name), if fails { text + "fails\n" } else { text }).unwrap();
        }
    }
}

fn config(folder: &Path, world: &Running, mode: &str, agents: u16, jobs: &str) -> Config {
    use std::os::unix::fs::PermissionsExt as _;
    let path = |name: &str| -> PathBuf { folder.join(name) };
    std::fs::write(path("gateway.pem"), world.certificate_pem()).unwrap();
    for (name, login) in [("monitor", world.monitor()), ("admin", world.admin())] {
        std::fs::write(path(name), &login.password).unwrap();
        std::fs::set_permissions(path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let hosts: String = world.world(|world| {
        let host = |sds: &scaleio_framework::sim::world::Sds| {
            let name = sds.name.replacen("sds", "host", 1);
            format!("[fleet.static.{name}]\naddress = \"{}\"\n", sds.ips[0].ip)
        };
        world.sds.values().map(host).collect()
    });
    let text = format!(
        r#"
        web.listen = "127.0.0.1:0"
        control.socket = "{socket}"
        store.path = "{store}"
        lifecycle.mode = "{mode}"
        lifecycle.soak = "1s"
        agents = {{ listen = "127.0.0.1:{agents}", folder = "{ca}", renew = false }}
        artefacts = {{ listen = "127.0.0.1:{mirror}", folder = "{packages}" }}
        [systems.prod]
        gateways = ["{url}"]
        ca_file = "gateway.pem"
        monitor = {{ user = "{monitor}", password_file = "monitor" }}
        lifecycle = {{ user = "{admin}", password_file = "admin" }}
        {hosts}
        {jobs}
        "#,
        jobs = jobs.replace("DIR", &folder.display().to_string()),
        socket = path("sock").display(),
        store = path("state.db").display(),
        ca = path("ca").display(),
        packages = path("packages").display(),
        mirror = free_port(),
        url = world.urls()[0],
        monitor = world.monitor().user,
        admin = world.admin().user,
    );
    std::fs::write(path("sio.toml"), text).unwrap();
    let mut config = Config::load(Some(&path("sio.toml")), std::iter::empty()).unwrap();
    config.poll.fast = Duration::from_millis(1500);
    config.poll.middle = Duration::from_millis(1500);
    config
}
