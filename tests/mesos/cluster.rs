//! A real Mesos on loopback as a place to play cases at.

use std::net::TcpListener;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::site::{Fate, Site, Wanted};

/// Started by `tests/real-mesos/real-mesos`, ended with the value.
pub(crate) struct Cluster {
    folder: tempfile::TempDir,
    pub(crate) port: u16,
}

impl Cluster {
    /// Starts one and waits until its agents are there.
    pub(crate) fn with(ports: Range<u16>, options: &[&str]) -> Self {
        // On the disk: the masters' log wants files that stay.
        let folder = tempfile::tempdir().unwrap();
        let cluster = Self { folder, port: free_ports(ports) };
        let port = cluster.port.to_string();
        let mut arguments = vec!["up", "--port", &port];
        arguments.extend(options);
        cluster.script(&arguments);
        cluster
    }

    /// Runs the script; an error is one of the test.
    pub(crate) fn script(&self, arguments: &[&str]) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let output = Command::new(root.join("tests/real-mesos/real-mesos"))
            .args(arguments)
            .args(["--dir", self.folder.path().to_str().unwrap()])
            .env("REAL_MESOS_DIST", dist())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "real-mesos {arguments:?} failed:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

impl Site for Cluster {
    async fn up(ports: Range<u16>, wanted: Wanted) -> Self {
        let credentials = tempfile::NamedTempFile::new().unwrap();
        let mut options = vec!["--agents".to_owned(), wanted.agents.len().to_string()];
        for (number, attributes) in wanted.agents.iter().enumerate().filter(|(_, attributes)| !attributes.is_empty()) {
            options.extend(["--agent-flag".to_owned(), format!("{}:attributes={attributes}", number + 1)]);
        }
        let mut flags = Vec::new();
        if wanted.quick_ping {
            flags.extend(["agent_ping_timeout=1secs".to_owned(), "max_agent_ping_timeouts=2".to_owned()]);
        }
        if let Some((principal, secret)) = wanted.login {
            let list = json!({ "credentials": [{ "principal": principal, "secret": secret }] });
            std::fs::write(credentials.path(), list.to_string()).unwrap();
            flags.push(format!("credentials=file://{}", credentials.path().display()));
            flags.push("authenticate_http_frameworks=true".to_owned());
            flags.push("http_framework_authenticators=basic".to_owned());
        }
        options.extend(flags.into_iter().flat_map(|flag| ["--master-flag".to_owned(), flag]));
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        Self::with(ports, &options)
    }

    fn master(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn agent(&self, number: usize, fate: Fate) {
        let word = match fate {
            Fate::Kill => "kill",
            Fate::Start => "start",
            Fate::Pause => "pause",
            Fate::Resume => "cont",
            Fate::Forget => "forget",
        };
        self.script(&[word, "agent", &number.to_string()]);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The folder goes with it, so that nothing is to be wiped.
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real-mesos/real-mesos");
        let _ = Command::new(script).arg("down").arg("--dir").arg(self.folder.path()).output();
    }
}

/// The programs of Mesos, built once for all clusters.
fn dist() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/mesos/dist")
}

/// A port with free ones around it: masters and ZooKeeper below, agents above.
/// Each test has a range of its own, so that two never choose the same.
fn free_ports(range: Range<u16>) -> u16 {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    range
        .step_by(40)
        .map(|begin| begin + 20)
        .find(|port| (port - 20..port + 20).all(is_free))
        .expect("no forty free ports in a row")
}
