//! A booted host without anything of ours, in which packages are installed.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Instant;

use crate::{PATIENCE, project, told};

/// Which package manager a host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Os {
    El7,
    Ubuntu,
}

/// A host with systemd as process 1, on the machine's own loopback.
pub(crate) struct Host {
    lab: tempfile::TempDir,
    name: &'static str,
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.host(&["down", self.name]);
    }
}

impl Host {
    /// Boots one.
    pub(crate) fn boot(os: Os) -> Self {
        let roots = project(".cache/hosts");
        let made = Command::new(project("tests/hosts/base.sh")).arg(&roots).output().unwrap();
        assert!(
            made.status.success(),
            "the roots of test hosts cannot be made (root, mmdebstrap, rpm): {}",
            told(&made)
        );
        let lab = tempfile::Builder::new().prefix("sio-lab-").tempdir_in("/tmp").unwrap();
        let host = Self { lab, name: if os == Os::El7 { "el7" } else { "ubuntu" } };
        let lower = format!("{}:{}", roots.join(host.name).display(), roots.join("base").display());
        // Nothing of ours is there before the package is.
        let up = host.host(&["up", host.name, &lower, "/bin/false"]);
        assert!(up.status.success(), "{}", told(&up));
        host.host(&["poweron", host.name]);
        host.until("it has booted", || {
            matches!(host.says("systemctl is-system-running").as_str(), "running" | "degraded")
        });
        host
    }

    fn host(&self, args: &[&str]) -> Output {
        Command::new(project("tests/hosts/host.sh")).args(args).env("LAB", self.lab.path()).output().unwrap()
    }

    /// Where its files are.
    pub(crate) fn root(&self) -> PathBuf {
        self.lab.path().join(self.name).join("root")
    }

    /// Runs a line of shell in it.
    pub(crate) fn run(&self, line: &str) -> Output {
        self.host(&["in", self.name, "sh", "-c", line])
    }

    /// What a line prints, whatever its status.
    pub(crate) fn says(&self, line: &str) -> String {
        String::from_utf8_lossy(&self.run(line).stdout).trim().to_owned()
    }

    /// What a line prints that must end well.
    pub(crate) fn does(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {}\n{}", told(&output), self.journal());
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Waits until something is so in it.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}\n{}", self.journal());
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }

    fn journal(&self) -> String {
        self.says("journalctl -u sio -n 40 --no-pager; systemctl status sio --no-pager")
    }
}
