//! A controller in a runtime of its own, which can be killed, on a simulated system with hosts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use scaleio_framework::app;
use scaleio_framework::config::Config;
use scaleio_framework::model::id::SystemId;
use scaleio_framework::model::lifecycle::{Answer, Lifecycle, PlanShown};
use scaleio_framework::sim::world::Layout;
use scaleio_framework::sim::{Options, Release, Running, Simulation};
use serde_json::{Value, json};

use crate::hosts::Hosts;

/// Long enough for a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(400);

pub(crate) struct Site {
    pub(crate) world: Arc<Running>,
    pub(crate) hosts: Arc<Hosts>,
    pub(crate) to: String,
    config: Config,
    _folder: tempfile::TempDir,
    controller: Option<(tokio::runtime::Runtime, String)>,
    client: reqwest::Client,
}

impl Site {
    /// Four servers in four fault sets; its MDMs run the new release already.
    pub(crate) async fn new(mode: &str) -> Self {
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
        let options = Options { speed: 10.0, ..Options::new(layout, Release::V3_6) };
        let world = Arc::new(Simulation::start(options).await.unwrap());
        let to = world.world(|world| {
            let to = format!("{}1", world.release.component());
            for member in &mut world.mdm.members {
                member.version.clone_from(&to);
            }
            to
        });
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder, &world, mode);
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let hosts = Hosts::of(&world);
        let mut site = Self { world, hosts, to, config, _folder: folder, controller: None, client };
        site.start().await;
        site
    }

    /// A controller goes on with what the last one stored.
    pub(crate) async fn start(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (config, hosts) = (self.config.clone(), Arc::clone(&self.hosts));
        let (sender, started) = tokio::sync::oneshot::channel();
        runtime.spawn(async move {
            let joined = BTreeMap::from([(SystemId::new("prod"), hosts.join())]);
            let running = app::start_joined(&config, &joined).await.unwrap();
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

    pub(crate) async fn plan_upgrade(&self) -> PlanShown {
        let order = json!({"order": "plan", "by": "ada", "request": {"request": "upgrade", "to": self.to, "only": []}});
        let (status, text) = self.ask(order).await;
        assert_eq!(status, 200, "{text}");
        match serde_json::from_str(&text).unwrap() {
            Answer::Plan(plan) => *plan,
            other => panic!("{other:?}"),
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

fn config(folder: &tempfile::TempDir, world: &Running, mode: &str) -> Config {
    use std::os::unix::fs::PermissionsExt as _;
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    std::fs::write(path("gateway.pem"), world.certificate_pem()).unwrap();
    for (name, login) in [("monitor", world.monitor()), ("admin", world.admin())] {
        std::fs::write(path(name), &login.password).unwrap();
        std::fs::set_permissions(path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let text = format!(
        r#"
        web.listen = "127.0.0.1:0"
        control.socket = "{socket}"
        store.path = "{store}"
        lifecycle = {{ mode = "{mode}", soak = "1s" }}
        [systems.prod]
        gateways = ["{url}"]
        ca_file = "gateway.pem"
        monitor = {{ user = "{monitor}", password_file = "monitor" }}
        lifecycle = {{ user = "{admin}", password_file = "admin" }}
        "#,
        socket = path("sock").display(),
        store = path("state.db").display(),
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
