//! A controller as a process of its own, the system it works for, and what people see of it.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use scaleio_framework::sim::world::Layout;
use scaleio_framework::sim::{Options, Release, Running, Simulation};
use serde_json::Value;

use crate::cluster::until;
use crate::port::free_port;

pub(crate) struct Site {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) world: Running,
    /// Where agents come to.
    pub(crate) agents: String,
    child: Child,
    web: String,
    starts: u32,
}

#[allow(clippy::print_stderr, reason = "what the controller said is shown of a test that fails")]
impl Drop for Site {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            for number in 1..=self.starts {
                let log = fs::read_to_string(self.log(number)).unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(60).collect();
                for line in last.into_iter().rev() {
                    eprintln!("controller {number}: {line}");
                }
            }
        }
    }
}

fn secret(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// As small as a system with three fault sets can be, with room for more nodes.
pub(crate) fn layout() -> Layout {
    Layout { nodes_per_rack: 1, devices_per_node: 2, volumes: 2, sdcs: 1, ..Layout::small() }
}

impl Site {
    /// Starts it. The text is what the configuration says besides where things are.
    pub(crate) async fn start(more: &str) -> Self {
        Self::of(layout(), more).await
    }

    /// The same before another system.
    pub(crate) async fn of(layout: Layout, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = Simulation::start(Options::still(layout, Release::V3_6)).await.unwrap();
        fs::write(folder.path().join("prod.pem"), world.certificate_pem()).unwrap();
        secret(&folder.path().join("monitor.password"), &world.monitor().password);
        secret(&folder.path().join("admin.password"), &world.admin().password);
        fs::create_dir_all(folder.path().join("packages")).unwrap();
        let (agents, mirror) = (free_port(), free_port());
        let text = format!(
            "[web]\nlisten = \"127.0.0.1:0\"\n[control]\nsocket = \"sio.sock\"\n[store]\npath = \"state.db\"\n\
             [poll]\nfast = \"1s\"\nmiddle = \"1s\"\nslow = \"1s\"\n[alerts]\nenabled = false\n\
             [agents]\nlisten = \"127.0.0.1:{agents}\"\nfolder = \"ca\"\n\
             [artefacts]\nlisten = \"127.0.0.1:{mirror}\"\nfolder = \"packages\"\n\
             [systems.prod]\ngateways = {:?}\nca_file = \"prod.pem\"\n\
             [systems.prod.monitor]\nuser = {:?}\npassword_file = \"monitor.password\"\n\
             [systems.prod.lifecycle]\nuser = {:?}\npassword_file = \"admin.password\"\n{more}",
            world.urls(),
            world.monitor().user,
            world.admin().user,
        );
        fs::write(folder.path().join("sio.toml"), text).unwrap();
        let child = Command::new("true").spawn().unwrap();
        let agents = format!("https://127.0.0.1:{agents}");
        let mut site = Self { folder, world, agents, child, web: String::new(), starts: 0 };
        site.run().await;
        site
    }

    fn log(&self, number: u32) -> PathBuf {
        self.folder.path().join(format!("controller-{number}.log"))
    }

    /// Starts the controller and waits until it serves.
    pub(crate) async fn run(&mut self) {
        self.starts += 1;
        let log = self.log(self.starts);
        let file = fs::File::create(&log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sio"));
        command.args(["run", "--config"]).arg(self.folder.path().join("sio.toml")).env_clear();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        self.child = command.spawn().unwrap();
        self.web = until("the controller to serve", async || {
            let text = fs::read_to_string(&log).unwrap();
            let line = text.lines().find(|line| line.contains("started") && line.contains("web="))?;
            let at = line.split("web=").nth(1)?.split_whitespace().next()?;
            Some(format!("http://{at}"))
        })
        .await;
    }

    /// As the kernel does it when memory runs out.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let text = self.text(path).await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
    }

    pub(crate) async fn text(&self, path: &str) -> String {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(format!("{}{path}", self.web)).send().await.unwrap().text().await.unwrap()
    }

    /// What is shown of a node.
    pub(crate) async fn node(&self, name: &str) -> Option<Value> {
        let all = self.get("/api/v1/nodes").await;
        all.as_array().unwrap().iter().find(|node| node["node"] == name).cloned()
    }

    /// What `sio` says to these arguments about this controller.
    pub(crate) async fn sio(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sio"));
        command.args(arguments).arg("--config").arg(self.folder.path().join("sio.toml")).env_clear();
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text)
    }
}
