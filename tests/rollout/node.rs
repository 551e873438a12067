//! A node whose machine is simulated: the product's own agent code walks its
//! steps on it and talks to the real endpoint; its services show in the
//! simulated system.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use scaleio_framework::agent::hooks::Owned;
use scaleio_framework::agent::host::{Alone, Call, Host, HostError, Output};
use scaleio_framework::agent::ledger::Ledger;
use scaleio_framework::agent::link::{Link, Papers};
use scaleio_framework::agent::look::look;
use scaleio_framework::agent::memory::{Admission, Record, refused, without_secrets};
use scaleio_framework::agent::walk::{Around, walk};
use scaleio_framework::clock;
use scaleio_framework::enrol::ca::Authority;
use scaleio_framework::enrol::request::Request;
use scaleio_framework::model::order::{Artefact, PROTOCOL, Report};
use scaleio_framework::sim::node::SimNode;
use tokio::runtime::Handle;

use crate::site::Site;

const STATE: &str = "/var/lib/sio-agent";

/// What is on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disk {
    Blank,
    /// A file system, which every tool sees.
    Data,
}

/// Brings a file from the controller.
type Fetch = Box<dyn FnMut(&Artefact) -> Result<Vec<u8>, String> + Send>;

/// The machine.
pub(crate) struct Machine {
    pub(crate) node: SimNode,
    disks: BTreeMap<String, Disk>,
    /// Disks that a data server has, as the simulated system shows it.
    taken: Arc<Mutex<BTreeSet<String>>>,
    fetch: Fetch,
}

fn said(status: i32, stdout: impl Into<String>) -> Output {
    Output { status: Some(status), stdout: stdout.into(), stderr: String::new() }
}

impl Machine {
    fn lsblk(&self, args: &[&str]) -> Output {
        let Some(path) = args.last().filter(|path| path.starts_with("/dev/")) else {
            let lines: Vec<String> = self.disks.keys().map(|path| format!("NAME=\"{path}\" TYPE=\"disk\"\n")).collect();
            return said(0, lines.concat());
        };
        let kind = if self.disks.get(*path) == Some(&Disk::Data) { "xfs" } else { "" };
        let number = path.bytes().last().unwrap_or(b'a') - b'a';
        said(
            0,
            format!(
                "NAME=\"{path}\" KNAME=\"{path}\" TYPE=\"disk\" SIZE=\"214748364800\" RO=\"0\" RM=\"0\" ROTA=\"1\" \
                 MOUNTPOINT=\"\" FSTYPE=\"{kind}\" MAJ:MIN=\"8:{number}\" MODEL=\"m\" SERIAL=\"s\"\n"
            ),
        )
    }
}

impl Host for Machine {
    fn run(&mut self, call: &Call) -> Result<Output, HostError> {
        let args: Vec<&str> = call.args.iter().map(String::as_str).collect();
        let on = |path: &str| self.disks.get(path).copied();
        match (call.program.as_str(), &args[..]) {
            ("lsblk", args) => return Ok(self.lsblk(args)),
            ("blkid", [_, path]) if on(path) == Some(Disk::Data) => {
                return Ok(said(0, format!("{path}: UUID=\"1\" TYPE=\"xfs\" USAGE=\"filesystem\"\n")));
            }
            ("blkid", _) => return Ok(said(2, "")),
            ("wipefs", [_, path]) if on(path) == Some(Disk::Data) => return Ok(said(0, "sdx 0x0 xfs 1\n")),
            ("wipefs", _) => return Ok(said(0, "")),
            // The operating system's own packages are there.
            ("rpm", ["-q", .., name]) if !name.starts_with("EMC-") => return Ok(said(0, "1.0-1\n")),
            _ => {}
        }
        let env = call.env.iter().map(|(name, value)| (name.clone(), value.reveal().to_owned())).collect();
        let argv: Vec<&str> = std::iter::once(call.program.as_str()).chain(args).collect();
        let ended = self.node.run(&argv, &env, false);
        match ended.status {
            127 => Err(HostError::Missing { program: call.program.clone() }),
            status => Ok(Output { status: Some(status), stdout: ended.stdout, stderr: ended.stderr }),
        }
    }

    fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, HostError> {
        Ok(match path {
            "/proc/self/mountinfo" => Some(b"1 0 9:9 / / rw - ext4 root rw\n".to_vec()),
            "/proc/swaps" => Some(b"Filename Type Size Used Priority\n".to_vec()),
            _ => self.node.read(path),
        })
    }

    fn write(&mut self, path: &str, content: &[u8], _mode: u32) -> Result<(), HostError> {
        self.node.files.insert(path.to_owned(), content.to_vec());
        Ok(())
    }

    fn remove(&mut self, path: &str) -> Result<(), HostError> {
        self.node.files.remove(path);
        Ok(())
    }

    fn list(&mut self, folder: &str) -> Result<Vec<String>, HostError> {
        let inside = format!("{folder}/");
        let under = |path: &String| Some(path.strip_prefix(&inside)?.split('/').next()?.to_owned());
        Ok(self.node.files.keys().filter_map(under).collect())
    }

    fn exists(&mut self, path: &str) -> bool {
        path.starts_with("/sys/class/block/") || self.node.files.contains_key(path)
    }

    fn owned(&mut self, _path: &str) -> Result<Option<Owned>, HostError> {
        Ok(None)
    }

    fn open_alone(&mut self, device: &str) -> Result<Alone, HostError> {
        if self.taken.lock().unwrap().contains(device) {
            return Ok(Alone::Held);
        }
        Ok(Alone::Free { is_blank: self.disks.get(device) == Some(&Disk::Blank) })
    }

    fn stage(&mut self, artefact: &Artefact) -> Result<String, HostError> {
        let content = (self.fetch)(artefact).map_err(HostError::Fetch)?;
        let path = format!("{STATE}/staged/{}", artefact.name);
        self.node.files.insert(path.clone(), content);
        Ok(path)
    }

    fn staged(&mut self, artefact: &Artefact) -> Result<Option<String>, HostError> {
        let path = format!("{STATE}/staged/{}", artefact.name);
        Ok(self.node.files.contains_key(&path).then_some(path))
    }

    fn state_folder(&self) -> String {
        STATE.to_owned()
    }

    fn boot_id(&mut self) -> String {
        self.node.boot_id()
    }
}

/// The node with its agent at work, until the value goes.
pub(crate) struct Node {
    pub(crate) machine: Arc<Mutex<Machine>>,
    pub(crate) taken: Arc<Mutex<BTreeSet<String>>>,
    /// How often a step was begun.
    pub(crate) begun: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    _folder: tempfile::TempDir,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Node {
    /// Starts the agent of a node with papers of the site's authority.
    pub(crate) fn start(site: &Site, name: &str, os: (&str, &str), disks: &[(&str, Disk)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let papers = Papers::of(folder.path());
        let authority = Authority::open(&site.folder.path().join("ca"), clock::now()).unwrap();
        let request = Request::new(name).unwrap();
        std::fs::write(&papers.ca, authority.pem()).unwrap();
        std::fs::write(&papers.own.key, request.key()).unwrap();
        std::fs::write(&papers.own.certificate, authority.sign(request.pem(), name, clock::now()).unwrap()).unwrap();
        let link = Link::new(&papers.ca, Some(&papers.own)).unwrap();
        let taken: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let (handle, url, fetching) = (Handle::current(), site.agents.clone(), link.clone());
        let part = folder.path().join("part");
        let fetch = move |artefact: &Artefact| {
            handle.block_on(fetching.fetch(&url, artefact, &part)).map_err(|error| error.to_string())?;
            std::fs::read(&part).map_err(|error| error.to_string())
        };
        let machine = Arc::new(Mutex::new(Machine {
            node: SimNode::new(os.0, os.1),
            disks: disks.iter().map(|(path, disk)| ((*path).to_owned(), *disk)).collect(),
            taken: taken.clone(),
            fetch: Box::new(fetch),
        }));
        let stop = Arc::new(AtomicBool::new(false));
        let begun: Arc<Mutex<Vec<String>>> = Arc::default();
        let agent = Agent {
            link,
            url: site.agents.clone(),
            ledger: folder.path().join("ledger"),
            machine: machine.clone(),
            begun: begun.clone(),
            stop: stop.clone(),
        };
        let runtime = Handle::current();
        std::thread::spawn(move || agent.live(&runtime));
        Self { machine, taken, begun, stop, _folder: folder }
    }
}

struct Agent {
    link: Link,
    url: String,
    ledger: PathBuf,
    machine: Arc<Mutex<Machine>>,
    begun: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
}

impl Agent {
    /// The agent's loop, as plain as it can be: report, take what comes, walk.
    fn live(&self, runtime: &Handle) {
        let mut ledger = Ledger::open(&self.ledger).unwrap();
        while !self.stop.load(Ordering::Relaxed) {
            let report = {
                let mut machine = self.machine.lock().unwrap();
                Report {
                    protocol: PROTOCOL,
                    release: "test".to_owned(),
                    program: String::new(),
                    boot_id: machine.boot_id(),
                    kernel: "5".to_owned(),
                    epoch: ledger.memory().epoch(),
                    working_on: None,
                    finished: ledger.memory().unacknowledged(),
                    out_of_work: None,
                    host: Some(look(&mut *machine)),
                }
            };
            let answer = runtime.block_on(self.link.report(&self.url, &report));
            let Ok(answer) = answer else {
                std::thread::sleep(Duration::from_millis(100));
                continue;
            };
            for id in answer.acknowledged {
                ledger.write(Record::Acknowledged { id }).unwrap();
            }
            let Some(order) = answer.order else { continue };
            match ledger.memory().admit(&order, clock::now()) {
                Admission::Begin => {
                    self.begun.lock().unwrap().push(order.task.name().to_owned());
                    let begun = Record::Begun { order: without_secrets(&order), at: clock::now() };
                    ledger.write(begun).unwrap();
                    let around = Around {
                        now: &clock::now,
                        pause: &|span| {
                            std::thread::sleep(span);
                            true
                        },
                    };
                    walk(&mut ledger, &mut *self.machine.lock().unwrap(), &order.secrets, &around).unwrap();
                }
                Admission::Refuse(why) => {
                    let digest = scaleio_framework::agent::memory::digest(&order);
                    let result = refused(&order, why, clock::now());
                    ledger.write(Record::Finished { epoch: order.epoch, digest, result }).unwrap();
                }
                Admission::Continue | Admission::Repeat(_) => {}
            }
        }
    }
}
