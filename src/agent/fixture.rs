//! Orders for tests, and a host that is not there.

use std::collections::{BTreeMap, BTreeSet};

use super::hooks::Owned;
use super::host::{Alone, Call, Host, HostError, Output, Program};
use crate::model::order::{Artefact, Component, Hidden, Install, Order, OrderId, Secrets, Task};
use crate::model::unit::Timestamp;

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

/// Good until a minute later, for ten minutes of work.
pub(super) fn order(id: &str, epoch: u64, task: Task) -> Order {
    Order { id: OrderId::new(id), epoch, expires: at(60), within_s: 600, task, secrets: Secrets::default() }
}

pub(super) fn reboot() -> Task {
    Task::Reboot { boot_id: "boot-1".to_owned() }
}

pub(super) fn secret_install() -> Order {
    let artefact = Artefact {
        name: "EMC-ScaleIO-lia-3.6-100.101.el7.x86_64.rpm".to_owned(),
        sha256: "0".repeat(64),
        size: 1,
        url: None,
    };
    let task = Task::Install(Install { component: Component::Lia, artefact, mdms: Vec::new() });
    let secrets = Secrets { lia_token: Some(Hidden::new("hunter2")), ..Secrets::default() };
    Order { secrets, ..order("lia", 1, task) }
}

/// A program that falls over.
pub(super) const BROKEN: &[u8] = b"broken";

/// A systemd that knows the units of which there are files.
#[derive(Default)]
pub(super) struct Systemd {
    pub(super) active: bool,
    /// What it says of what is not active; nothing: `inactive`.
    pub(super) word: &'static str,
    /// What was asked of it, but for questions.
    pub(super) calls: Vec<String>,
    enabled: bool,
}

impl Systemd {
    fn run(&mut self, args: &[String], works: bool) -> Output {
        let said = |good: bool, word: &str| Output {
            status: Some(if good { 0 } else { 3 }),
            stdout: word.to_owned(),
            stderr: String::new(),
        };
        match args[0].as_str() {
            "is-active" => match (self.active, self.word) {
                (true, _) => said(true, "active"),
                (false, "") => said(false, "inactive"),
                (false, word) => said(false, word),
            },
            "is-enabled" => said(self.enabled, if self.enabled { "enabled" } else { "disabled" }),
            verb => {
                self.calls.push(args.join(" "));
                match verb {
                    "enable" => self.enabled = true,
                    "start" | "restart" => self.active = works,
                    _ => {}
                }
                said(true, "")
            }
        }
    }
}

/// A host of files with a systemd, where other programs end as it was said before.
#[derive(Default)]
pub(super) struct Fake {
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// What would be fetched, by name.
    pub(super) staged: BTreeMap<String, Vec<u8>>,
    /// How programs end, by how they are called.
    pub(super) answers: BTreeMap<String, i32>,
    /// The SHA-256 of what runs.
    pub(super) program_sha: String,
    pub(super) restarts: u32,
    pub(super) systemd: Systemd,
    path: String,
}

impl Fake {
    /// The agent lies at a path.
    pub(super) fn with_program(path: &str, sha256: &str) -> Self {
        let files = [(path.to_owned(), sha256.as_bytes().to_vec())].into();
        Self { files, program_sha: sha256.to_owned(), path: path.to_owned(), ..Self::default() }
    }
}

impl Host for Fake {
    fn run(&mut self, call: &Call) -> Result<Output, HostError> {
        if call.program == "systemctl" {
            let has_unit = self.files.keys().any(|path| path.starts_with("/etc/systemd/system/"));
            let is_broken = self.files.values().any(|content| content == BROKEN);
            return Ok(self.systemd.run(&call.args, has_unit && !is_broken));
        }
        match self.answers.get(&call.shown()) {
            Some(status) => {
                Ok(Output { status: Some(*status), stdout: String::new(), stderr: format!("status {status}") })
            }
            None => Err(HostError::Missing { program: call.shown() }),
        }
    }

    fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, HostError> {
        Ok(self.files.get(path).cloned())
    }

    fn write(&mut self, path: &str, content: &[u8], _mode: u32) -> Result<(), HostError> {
        self.files.insert(path.to_owned(), content.to_vec());
        Ok(())
    }

    fn remove(&mut self, path: &str) -> Result<(), HostError> {
        self.files.remove(path);
        Ok(())
    }

    fn list(&mut self, folder: &str) -> Result<Vec<String>, HostError> {
        let below = self.files.keys().filter_map(|path| path.strip_prefix(folder)?.strip_prefix('/'));
        let names: BTreeSet<&str> = below.filter_map(|rest| rest.split('/').next()).collect();
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    fn exists(&mut self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    fn owned(&mut self, _path: &str) -> Result<Option<Owned>, HostError> {
        Ok(None)
    }

    fn open_alone(&mut self, _device: &str) -> Result<Alone, HostError> {
        Ok(Alone::Held)
    }

    fn stage(&mut self, artefact: &Artefact) -> Result<String, HostError> {
        let content = self.staged.get(&artefact.name).cloned();
        let content = content.ok_or_else(|| HostError::Fetch(format!("there is no {}", artefact.name)))?;
        let path = format!("{}/staged/{}", self.state_folder(), artefact.name);
        self.files.insert(path.clone(), content);
        Ok(path)
    }

    fn staged(&mut self, _artefact: &Artefact) -> Result<Option<String>, HostError> {
        Ok(None)
    }

    fn state_folder(&self) -> String {
        "/x".to_owned()
    }

    fn boot_id(&mut self) -> String {
        "boot-1".to_owned()
    }

    fn program(&mut self) -> Result<Option<Program>, HostError> {
        let args = ["agent", "--folder", "/x"].map(str::to_owned).to_vec();
        Ok(Some(Program { path: self.path.clone(), sha256: self.program_sha.clone(), args }))
    }

    fn restart(&mut self, _program: &Program) -> HostError {
        self.restarts += 1;
        HostError::Fetch("this one would be over".to_owned())
    }
}
