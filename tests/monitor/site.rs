//! A controller in this process, on simulated systems whose time stands still.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use scaleio_framework::app;
use scaleio_framework::config::{
    Config, Control, GatewayUrl, Lifecycle, Log, LogFormat, Login, Metrics, Notify, Poll, Secret, Store, System, Trust,
    Web,
};
use scaleio_framework::model::id::SystemId;
use scaleio_framework::sim::world::Layout;
use scaleio_framework::sim::{Options, Release, Running, Simulation};

use crate::exposition::{self, Read};
use crate::truth::{Series, differences, told, truth};

/// Long enough for a machine that does ten other things.
pub const PATIENCE: Duration = Duration::from_secs(45);

/// As small as a system with three fault sets and two pools can be.
pub fn layout() -> Layout {
    Layout { nodes_per_rack: 1, devices_per_node: 2, volumes: 16, sdcs: 4, ..Layout::small() }
}

/// A system in which nothing moves unless it is told to.
pub async fn still(release: Release) -> Running {
    Simulation::start(Options::still(layout(), release)).await.unwrap()
}

/// Waits until a check passes; then gives what it gave, else its last complaint.
pub async fn eventually<T>(what: &str, mut check: impl AsyncFnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match check().await {
            Ok(done) => return done,
            Err(why) if begun.elapsed() > PATIENCE => panic!("{what}: {why}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

pub fn client() -> reqwest::Client {
    builder().build().unwrap()
}

pub fn builder() -> reqwest::ClientBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().timeout(PATIENCE)
}

/// How a controller reaches a simulated system.
pub fn settings(folder: &Path, name: &str, world: &Running) -> System {
    let certificate = folder.join(format!("{name}.pem"));
    std::fs::write(&certificate, world.certificate_pem()).unwrap();
    System {
        gateways: world.addresses().iter().map(|address| GatewayUrl::at(*address)).collect(),
        monitor: Login { user: world.monitor().user.clone(), password: Secret::new(&world.monitor().password) },
        lifecycle: None,
        trust: Trust::CaFile(certificate),
        connect_timeout: Duration::from_secs(10),
        request_timeout: Duration::from_secs(30),
        max_answer_bytes: 4 << 20,
        rollout: None,
        volumes: None,
    }
}

pub struct Site {
    pub folder: tempfile::TempDir,
    pub config: Config,
    pub controller: app::Running,
    client: reqwest::Client,
}

impl Site {
    /// A controller with beats of milliseconds, and whatever the test wants else.
    pub async fn watching(worlds: &[(&str, &Running)], adjust: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let systems = worlds.iter().map(|(name, world)| (SystemId::new(name), settings(folder.path(), name, world)));
        let mut config = Config {
            log: Log { level: "info".to_owned(), format: LogFormat::Text },
            web: Web::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            control: Control { socket: folder.path().join("sio.sock") },
            store: Store { path: folder.path().join("state.db"), zookeeper: None },
            poll: Poll {
                fast: Duration::from_millis(100),
                middle: Duration::from_millis(200),
                slow: Duration::from_millis(400),
                max_age: Duration::from_secs(600),
            },
            metrics: Metrics::all(1_000_000),
            mail: None,
            alertmanager: None,
            webhook: None,
            lifecycle: Lifecycle::default(),
            jobs: Vec::new(),
            mesos: None,
            agents: None,
            artefacts: scaleio_framework::config::Artefacts::default(),
            static_nodes: BTreeMap::new(),
            alerts: scaleio_framework::config::Alerts::default(),
            notify: Notify::default_for(Vec::new()),
            systems: systems.collect(),
        };
        adjust(&mut config);
        let controller = app::start(&config).await.unwrap();
        Self { folder, config, controller, client: client() }
    }

    /// Ends as a service does, and starts on the same store.
    pub async fn restart(self) -> Self {
        let Self { folder, config, controller, client } = self;
        controller.until(async { "the test" }).await.unwrap();
        let controller = app::start(&config).await.unwrap();
        Self { folder, config, controller, client }
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(format!("http://{}{path}", self.controller.web)).send().await.unwrap()
    }

    pub async fn json(&self, path: &str) -> serde_json::Value {
        self.get(path).await.json().await.unwrap()
    }

    pub async fn scrape(&self) -> Scrape {
        Scrape::read(&self.get("/metrics").await.text().await.unwrap())
    }

    /// Waits until the system is up and everything told of it is the truth.
    pub async fn knows(&self, system: &str, world: &Running) -> Scrape {
        let truth = world.world(|world| truth(world));
        eventually(&format!("{system} is not told as it is"), async || {
            let scrape = self.scrape().await;
            scrape.is(system, &truth).map(|()| scrape)
        })
        .await
    }
}

/// What a scraper read.
pub struct Scrape {
    pub families: BTreeMap<String, Read>,
}

impl Scrape {
    pub fn read(text: &str) -> Self {
        Self { families: exposition::read(text) }
    }

    pub fn told(&self, system: &str) -> Series {
        told(&self.families, system)
    }

    /// Whether a system is up and told as the truth is.
    pub fn is(&self, system: &str, truth: &Series) -> Result<(), String> {
        let wrong = differences(&self.told(system), truth);
        if self.value("scaleio_up", &[("system", system)]) != Some(1.0) {
            return Err(format!("it is not up; {wrong:#?}"));
        }
        if wrong.is_empty() { Ok(()) } else { Err(format!("{wrong:#?}")) }
    }

    /// The value of the one series that has these labels.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let family = self.families.get(name)?;
        let fits =
            |sample: &&exposition::Sample| labels.iter().all(|(label, value)| sample.label(label) == Some(value));
        let mut found = family.samples.iter().filter(fits);
        let first = found.next()?;
        assert!(found.next().is_none(), "{name} {labels:?} is not one series");
        Some(first.value)
    }
}
