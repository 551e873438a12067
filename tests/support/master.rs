//! A real master of Mesos, whose agents are in hosts.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;

/// A master; it ends with the value.
pub(crate) struct Master(Child);

impl Master {
    /// Starts one that keeps what it must below a folder.
    pub(crate) fn start(folder: &Path, ip: &str, port: u16) -> Self {
        // Stories that begin at once would build it beside each other.
        static BUILT: Once = Once::new();
        let dist = dist();
        BUILT.call_once(|| {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real-mesos/real-mesos");
            let made = Command::new(script).arg("setup").arg("--dir").arg(dist.parent().unwrap()).output().unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        });
        let log = File::create(folder.join("master.log")).unwrap();
        let child = Command::new(dist.join("mesos-master"))
            .arg(format!("--work_dir={}", folder.join("master").display()))
            .args([&format!("--ip={ip}"), &format!("--hostname={ip}"), &format!("--port={port}")])
            // A host without power is told after 4 s.
            .args(["--agent_ping_timeout=2secs", "--max_agent_ping_timeouts=2"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The programs of Mesos.
pub(crate) fn dist() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/mesos/dist")
}
