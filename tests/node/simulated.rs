//! The simulated node behind the agent's own seam, with a power switch.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use scaleio_framework::agent::hooks::Owned;
use scaleio_framework::agent::host::{Alone, Call, Host, HostError, Output, Program};
use scaleio_framework::agent::ledger::Ledger;
use scaleio_framework::agent::memory::{Admission, Record, without_secrets};
use scaleio_framework::agent::walk::{Around, walk};
use scaleio_framework::model::order::{Artefact, Finished, Order, OrderId, Secrets, Task};
use scaleio_framework::model::unit::Timestamp;
use scaleio_framework::sim::node::SimNode;
use scaleio_framework::sim::scli::Landscape;

pub(crate) const STATE: &str = "/var/lib/sio-agent";

/// Where the agent is killed in the middle of a call to the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Before,
    During,
    After,
}

/// The agent was killed.
#[derive(Debug)]
pub(crate) struct Killed;

pub(crate) struct SimHost {
    pub(crate) node: SimNode,
    /// What the controller serves.
    pub(crate) served: BTreeMap<String, String>,
    /// Kill the agent at this call.
    pub(crate) kill: Option<(usize, At)>,
    pub(crate) calls: usize,
    pub(crate) hooks: BTreeMap<String, (Owned, i32)>,
    /// Programs that do not answer.
    pub(crate) mute: Vec<&'static str>,
    /// The MDMs of all hosts, and the address of this one.
    pub(crate) land: Arc<Mutex<Landscape>>,
    pub(crate) ip: String,
    /// What scli was told, as everybody on the host could read it.
    pub(crate) seen_args: Vec<String>,
    /// Addresses with a port at which somebody answers.
    pub(crate) answers: Vec<String>,
    /// Where the agent's own program lies, and the bytes of what runs.
    pub(crate) program: Option<(String, String)>,
}

impl SimHost {
    pub(crate) fn new(id: &str, version: &str) -> Self {
        let node = SimNode::new(id, version);
        let (served, hooks) = (BTreeMap::new(), BTreeMap::new());
        let (land, ip) = (Arc::default(), "192.0.2.1".to_owned());
        let (mute, seen_args, answers) = (Vec::new(), Vec::new(), Vec::new());
        Self { node, served, kill: None, calls: 0, hooks, mute, land, ip, seen_args, answers, program: None }
    }

    /// scli on this host, which all hosts' MDMs answer. A kill in its middle leaves the command to its end.
    fn scli(&mut self, call: &Call) -> Output {
        let (land, ip) = (self.land.clone(), self.ip.clone());
        let args: Vec<&str> =
            call.args.iter().map(String::as_str).chain(call.hidden_args.iter().map(|arg| arg.reveal())).collect();
        self.seen_args.push(args.join(" "));
        let named = args.iter().skip_while(|arg| **arg != "--license_file").nth(1);
        if named.is_some_and(|path| self.node.read(path).is_none_or(|text| text.is_empty())) {
            return Output { status: Some(1), stdout: String::new(), stderr: "no license file".to_owned() };
        }
        let typed: Vec<&str> = call.typed.iter().map(|typed| typed.text.reveal()).collect();
        let ended = self.call(|_, _| land.lock().unwrap().scli(&ip, &args, &typed));
        Output { status: Some(ended.status), stdout: ended.text, stderr: String::new() }
    }

    fn call<T>(&mut self, act: impl FnOnce(&mut SimNode, bool) -> T) -> T {
        self.calls += 1;
        let now = self.kill.filter(|(at, _)| *at == self.calls).map(|(_, at)| at);
        if now == Some(At::Before) {
            panic_any(Killed);
        }
        let done = act(&mut self.node, now == Some(At::During));
        if now.is_some() {
            panic_any(Killed);
        }
        done
    }
}

impl Host for SimHost {
    fn run(&mut self, call: &Call) -> Result<Output, HostError> {
        if self.mute.contains(&call.program.as_str()) {
            return Ok(Output { status: Some(0), stdout: String::new(), stderr: String::new() });
        }
        if call.program == "scli" {
            return Ok(self.scli(call));
        }
        // A program is tried beside this one, and works.
        if call.program.ends_with(".new") {
            self.call(|_, _| ());
            return Ok(Output { status: Some(0), stdout: String::new(), stderr: String::new() });
        }
        if let Some((_, status)) = self.hooks.get(&call.program) {
            return Ok(Output { status: Some(*status), stdout: String::new(), stderr: "the owner's words".to_owned() });
        }
        let env = call.env.iter().map(|(name, value)| (name.clone(), value.reveal().to_owned())).collect();
        let argv: Vec<&str> = std::iter::once(&call.program).chain(&call.args).map(String::as_str).collect();
        let ended = self.call(|node, killed| node.run(&argv, &env, killed));
        match ended.status {
            127 => Err(HostError::Missing { program: call.program.clone() }),
            status => Ok(Output { status: Some(status), stdout: ended.stdout, stderr: ended.stderr }),
        }
    }

    fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, HostError> {
        Ok(self.call(|node, _| node.read(path)))
    }

    fn write(&mut self, path: &str, content: &[u8], _mode: u32) -> Result<(), HostError> {
        // Written whole or not at all, so a kill in its middle is one before it.
        self.call(|node, killed| {
            if !killed {
                node.files.insert(path.to_owned(), content.to_vec());
            }
        });
        Ok(())
    }

    fn remove(&mut self, path: &str) -> Result<(), HostError> {
        self.call(|node, _| node.remove(path));
        Ok(())
    }

    fn list(&mut self, folder: &str) -> Result<Vec<String>, HostError> {
        Ok(self.node.list(folder))
    }

    fn exists(&mut self, path: &str) -> bool {
        self.node.has(path)
    }

    fn owned(&mut self, path: &str) -> Result<Option<Owned>, HostError> {
        Ok(self.hooks.get(path).map(|(owned, _)| *owned))
    }

    fn open_alone(&mut self, _device: &str) -> Result<Alone, HostError> {
        Ok(Alone::Free { is_blank: true })
    }

    fn stage(&mut self, artefact: &Artefact) -> Result<String, HostError> {
        let content = self.served.get(&artefact.name).cloned();
        let content = content.ok_or_else(|| HostError::Fetch(format!("{} is not served", artefact.name)))?;
        let path = format!("{STATE}/staged/{}", artefact.name);
        self.call(|node, killed| {
            if !killed {
                node.files.insert(path.clone(), content.into_bytes());
            }
        });
        Ok(path)
    }

    fn staged(&mut self, artefact: &Artefact) -> Result<Option<String>, HostError> {
        let path = format!("{STATE}/staged/{}", artefact.name);
        Ok(self.node.files.contains_key(&path).then_some(path))
    }

    fn state_folder(&self) -> String {
        STATE.to_owned()
    }

    fn program(&mut self) -> Result<Option<Program>, HostError> {
        let program =
            self.program.clone().map(|(path, sha256)| Program { path, sha256, args: vec!["agent".to_owned()] });
        Ok(program)
    }

    fn restart(&mut self, _program: &Program) -> HostError {
        // This life is over, whatever comes next.
        panic_any(Killed)
    }

    fn reach(&mut self, address: &str, _within: Duration) -> Result<(), String> {
        if self.answers.iter().any(|open| open == address) { Ok(()) } else { Err("No route to host".to_owned()) }
    }

    fn boot_id(&mut self) -> String {
        self.node.boot_id()
    }
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

pub(crate) fn order(id: &str, task: Task) -> Order {
    Order { id: OrderId::new(id), epoch: 1, expires: at(60), within_s: 600, task, secrets: Secrets::default() }
}

/// One life of an agent: takes an order, or goes on with the one of its last
/// life, and walks to its end. The clock moves on by each pause.
pub(crate) fn live(ledger: &Path, host: &mut SimHost, order: &Order) -> Result<Option<Finished>, Killed> {
    let begun = std::cell::Cell::new(0_i64);
    let life = AssertUnwindSafe(|| {
        let mut ledger = Ledger::open(ledger).unwrap();
        match ledger.memory().admit(order, at(1)) {
            Admission::Begin => ledger.write(Record::Begun { order: without_secrets(order), at: at(1) }).unwrap(),
            Admission::Continue => {}
            Admission::Repeat(finished) => return Some(finished),
            Admission::Refuse(why) => panic!("{why}"),
        }
        let now = || at(1 + begun.get());
        let pause = |_: Duration| {
            begun.set(begun.get() + 1);
            begun.get() < 10_000
        };
        walk(&mut ledger, host, &order.secrets, &Around { now: &now, pause: &pause }).unwrap()
    });
    match catch_unwind(life) {
        Ok(finished) => Ok(finished),
        Err(thrown) if thrown.is::<Killed>() => Err(Killed),
        Err(other) => std::panic::resume_unwind(other),
    }
}
