//! A real Mesos on loopback, and a way to wait.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Started by `tests/real-mesos/real-mesos`, ended with the value.
pub(crate) struct Cluster {
    folder: tempfile::TempDir,
    port: u16,
}

fn script(folder: &Path, arguments: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(root.join("tests/real-mesos/real-mesos"))
        .args(arguments)
        .args(["--dir", folder.to_str().unwrap()])
        .env("REAL_MESOS_DIST", root.join(".cache/mesos/dist"))
        .output()
        .unwrap();
    let told = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "real-mesos {arguments:?} failed:\n{}", String::from_utf8_lossy(&told));
}

impl Cluster {
    /// Starts one and waits until its agents are there.
    pub(crate) fn up(ports: std::ops::Range<u16>, options: &[&str]) -> Self {
        let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
        // Masters and ZooKeeper are below, agents above.
        let port = ports.step_by(40).map(|begin| begin + 20).find(|port| (port - 20..port + 20).all(is_free));
        let cluster = Self { folder: tempfile::tempdir().unwrap(), port: port.unwrap() };
        let port = cluster.port.to_string();
        let arguments = [&["up", "--port", &port], options].concat();
        script(cluster.folder.path(), &arguments);
        cluster
    }

    pub(crate) fn master(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        script(self.folder.path(), &["down"]);
    }
}

/// Waits for a condition; what is waited for is told when it does not come.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "waited two minutes for: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
