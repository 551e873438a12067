//! A real Alertmanager, for as long as this is kept.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::port::free_port;

/// Ends when dropped.
pub(crate) struct Alertmanager {
    child: Child,
    #[allow(dead_code, reason = "removed when dropped")]
    folder: tempfile::TempDir,
    pub(crate) port: u16,
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Alertmanager {
    /// It tells what fires to this address; none: to nobody.
    pub(crate) async fn start(port: Option<u16>, hook: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("am.yml");
        let hook = hook.map(|url| format!("    webhook_configs: [{{url: '{url}'}}]\n")).unwrap_or_default();
        let text = format!(
            "route:\n  receiver: theirs\n  group_by: [system, area]\n  group_wait: 100ms\n  group_interval: 1s\n\
             receivers:\n  - name: theirs\n{hook}"
        );
        std::fs::write(&config, text).unwrap();
        let port = port.unwrap_or_else(free_port);
        let child = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a real Alertmanager is needed: apt-get install prometheus-alertmanager");
        let real = Self { child, folder, port };
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "Alertmanager does not listen");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        real
    }

    /// Where it is asked.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
