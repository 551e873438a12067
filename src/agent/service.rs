//! How does the agent become a service of its host, and is it one?
//!
//! The executor does this, again and again without harm: what is there already
//! is left alone. The agent outlives the executor, drains and restarts. A
//! program of another release that works stays: who gets another one, when, and
//! on trial, is the business of a renewal.

use std::path::Path;
use std::time::Duration;

use super::host::{Call, Host, HostError, Output};

/// Where the program is put. `/usr` cannot be written everywhere.
pub const PROGRAM: &str = "/opt/scaleio-framework/sio";
const UNIT: &str = "/etc/systemd/system/sio-agent.service";
const SETTINGS: &str = "/etc/scaleio-framework/agent.env";
const NAME: &str = "sio-agent.service";

/// The unit as packages ship it.
const SHIPPED: &str = include_str!("../../packaging/systemd/sio-agent.service");
/// The program's place in it.
const SHIPPED_PROGRAM: &str = "/usr/local/bin/sio";

/// A restart waits for the agent to end what it is in the middle of.
const WITHIN: Duration = Duration::from_secs(120);

/// What the service is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The controllers, `https://host:port`.
    pub controllers: Vec<String>,
    /// Where the agent keeps what must survive.
    pub folder: String,
}

/// Whether a host starts its services by systemd. Others are refused what needs it.
pub fn has_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

impl Service {
    fn settings(&self) -> String {
        let controllers: String = self.controllers.iter().map(|url| format!("--controller {url} ")).collect();
        format!("SIO_AGENT_ARGS=\"{controllers}--folder {}\"\n", self.folder)
    }

    /// Makes it so, with this program where none works. With new papers a running agent is started again, to show them.
    /// True: something was changed.
    ///
    /// # Errors
    /// In words for people, with what helps where that is known.
    pub fn settle(&self, program: &[u8], new_papers: bool, host: &mut dyn Host) -> Result<bool, String> {
        let unit = SHIPPED.replace(SHIPPED_PROGRAM, PROGRAM);
        let settings = self.settings();
        let there = host.read(PROGRAM).map_err(|error| error.to_string())?;
        let is_other = there.as_deref() != Some(program);
        // One that systemd has given up does not work.
        let installs = is_other && (there.is_none() || state(host)? == FAILED);
        let mut changed = false;
        if installs {
            host.write(PROGRAM, program, 0o755).map_err(|error| error.to_string())?;
            changed = true;
        }
        for (path, content, mode) in [(SETTINGS, settings.as_bytes(), 0o600), (UNIT, unit.as_bytes(), 0o644)] {
            let there = host.read(path).map_err(|error| error.to_string())?;
            if there.as_deref() != Some(content) {
                host.write(path, content, mode).map_err(|error| error.to_string())?;
                changed = true;
            }
        }
        if changed {
            run(host, &["daemon-reload"])?;
        }
        let enabled = ask(host, &["is-enabled", NAME])?;
        if enabled.stdout.trim() != "enabled" {
            run(host, &["enable", NAME])?;
            changed = true;
        }
        let works = health(host).is_ok();
        let started = if changed || new_papers {
            changed = true;
            run(host, &["restart", NAME])
        } else if !works {
            changed = true;
            run(host, &["start", NAME])
        } else {
            Ok(())
        };
        if installs || !is_other {
            return started.map(|()| changed);
        }
        match started.and_then(|()| health(host)) {
            Ok(()) => Ok(changed),
            // It has worked just now: it makes room when it still does not at the next try.
            Err(why) if works => Err(why),
            Err(_) => {
                host.write(PROGRAM, program, 0o755).map_err(|error| error.to_string())?;
                run(host, &["restart", NAME])?;
                Ok(true)
            }
        }
    }
}

/// Whether the agent's service runs.
///
/// # Errors
/// Why it does not, in words for people.
pub fn health(host: &mut dyn Host) -> Result<(), String> {
    match state(host)?.as_str() {
        "active" | "reloading" => Ok(()),
        word => Err(format!("the service {NAME} is {word:?}; see journalctl -u {NAME}")),
    }
}

/// systemd's word for a service that ended badly and is not started again.
const FAILED: &str = "failed";

/// What systemd says of the service.
fn state(host: &mut dyn Host) -> Result<String, String> {
    Ok(ask(host, &["is-active", NAME])?.stdout.trim().to_owned())
}

fn ask(host: &mut dyn Host, args: &[&str]) -> Result<Output, String> {
    let call = Call { within: WITHIN, ..Call::new("systemctl", args.iter().copied()) };
    host.run(&call).map_err(|error: HostError| error.to_string())
}

fn run(host: &mut dyn Host, args: &[&str]) -> Result<(), String> {
    let output = ask(host, args)?;
    if output.is_good() {
        Ok(())
    } else {
        Err(format!("systemctl {} ended with {}", args.join(" "), output.last_words()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{BROKEN, Fake};
    use super::*;

    #[test]
    fn the_service_is_made_once_and_left_alone_until_something_differs() {
        let service = Service { controllers: vec!["https://c:1".into()], folder: "/var/lib/sio-agent".into() };
        let mut host = Fake::default();
        assert_eq!(service.settle(b"one", false, &mut host), Ok(true));
        assert_eq!(host.systemd.calls, ["daemon-reload", "enable sio-agent.service", "restart sio-agent.service"]);
        assert_eq!(health(&mut host), Ok(()));
        let unit = String::from_utf8(host.files[UNIT].clone()).unwrap();
        assert!(unit.contains(&format!("ExecStart={PROGRAM} agent $SIO_AGENT_ARGS")), "{unit}");
        let settings = String::from_utf8(host.files[SETTINGS].clone()).unwrap();
        assert_eq!(settings, "SIO_AGENT_ARGS=\"--controller https://c:1 --folder /var/lib/sio-agent\"\n");

        host.systemd.calls.clear();
        assert_eq!(service.settle(b"one", false, &mut host), Ok(false));
        assert_eq!(host.systemd.calls, [] as [&str; 0]);

        host.systemd.active = false;
        assert!(health(&mut host).unwrap_err().contains("journalctl"));
        assert_eq!(service.settle(b"one", false, &mut host), Ok(true));
        assert_eq!(host.systemd.calls, ["start sio-agent.service"]);

        host.systemd.calls.clear();
        assert_eq!(service.settle(b"one", true, &mut host), Ok(true));
        assert_eq!(host.systemd.calls, ["restart sio-agent.service"], "an agent shows new papers only after a start");
    }

    /// A host whose agent became a program of another release.
    fn renewed(program: &[u8]) -> (Service, Fake) {
        let service = Service { controllers: vec!["https://c:1".into()], folder: "/var/lib/sio-agent".into() };
        let mut host = Fake::default();
        service.settle(b"one", false, &mut host).unwrap();
        host.files.insert(PROGRAM.to_owned(), program.to_vec());
        host.systemd.calls.clear();
        (service, host)
    }

    #[test]
    fn a_program_of_another_release_that_works_is_never_replaced() {
        let (service, mut host) = renewed(b"two");
        assert_eq!(service.settle(b"one", false, &mut host), Ok(false));
        assert_eq!(host.systemd.calls, [] as [&str; 0]);
        assert_eq!(service.settle(b"one", true, &mut host), Ok(true), "it shows its new papers");
        let elsewhere = Service { controllers: vec!["https://d:1".into()], ..service.clone() };
        assert_eq!(elsewhere.settle(b"one", false, &mut host), Ok(true));
        host.systemd.active = false;
        assert_eq!(elsewhere.settle(b"one", false, &mut host), Ok(true), "one that was stopped is started");
        let restart = "restart sio-agent.service";
        assert_eq!(host.systemd.calls, [restart, "daemon-reload", restart, "start sio-agent.service"]);
        assert_eq!(host.files[PROGRAM], b"two");
    }

    #[test]
    fn a_program_that_does_not_work_makes_room() {
        for (word, calls) in [
            ("failed", &["daemon-reload", "restart sio-agent.service"][..]),
            ("inactive", &["start sio-agent.service", "restart sio-agent.service"]),
        ] {
            let (service, mut host) = renewed(BROKEN);
            (host.systemd.active, host.systemd.word) = (false, word);
            assert_eq!(service.settle(b"one", false, &mut host), Ok(true));
            assert_eq!(host.systemd.calls, calls, "{word}");
            assert_eq!(host.files[PROGRAM], b"one", "{word}");
            assert_eq!(health(&mut host), Ok(()));
        }
        // One that worked a moment ago is not judged by one look.
        let (service, mut host) = renewed(BROKEN);
        assert!(service.settle(b"one", true, &mut host).unwrap_err().contains("inactive"));
        assert_eq!(host.files[PROGRAM], BROKEN);
        assert_eq!(service.settle(b"one", false, &mut host), Ok(true));
        assert_eq!(host.files[PROGRAM], b"one");
    }
}
