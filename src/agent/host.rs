//! What an agent can do to its node: run a program, read and write files.
//!
//! The real node is in `real`; the simulated one keeps its files and
//! packages in memory. Everything above decides, and is the same for both.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::hooks::Owned;
use crate::model::order::{Artefact, Hidden};
use crate::model::unit::Timestamp;

/// How much of a program's output is read; the end of it tells why it failed.
const OUTPUT: u64 = 256 * 1024;

/// Between two looks whether a program has ended.
const LOOK: Duration = Duration::from_millis(10);

/// The variables of every program.
pub(super) const CLEAN: [(&str, &str); 4] = [
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("HOME", "/root"),
    ("LC_ALL", "C"),
    ("DEBIAN_FRONTEND", "noninteractive"),
];

/// A program to be run.
#[derive(Clone, Debug)]
pub struct Call {
    /// The program, found by `PATH`.
    pub program: String,
    /// Its arguments. No secret is among them: everybody on the node can read them.
    pub args: Vec<String>,
    /// Variables for it, besides a clean minimum.
    pub env: BTreeMap<String, Hidden>,
    /// It is killed, with all it started, after this.
    pub within: Duration,
    /// More arguments, which no text shows. Everybody on the node can read them while it runs.
    pub hidden_args: Vec<Hidden>,
    /// What is typed at its prompts, in this order. With any it runs on a terminal of its own,
    /// and all that it writes is in `stdout`.
    pub typed: Vec<Typed>,
}

/// An answer to a prompt.
#[derive(Clone, Debug)]
pub struct Typed {
    /// A word of the prompt, in small letters.
    pub prompt: String,
    /// What is typed.
    pub text: Hidden,
}

impl Call {
    /// A call for a program that answers soon.
    pub fn new<'a>(program: &str, args: impl IntoIterator<Item = &'a str>) -> Self {
        let args = args.into_iter().map(str::to_owned).collect();
        // Queries take milliseconds; on a node that swaps, seconds.
        let within = Duration::from_secs(60);
        let (env, hidden_args, typed) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { program: program.to_owned(), args, env, within, hidden_args, typed }
    }

    /// How people write it.
    pub fn shown(&self) -> String {
        let hidden = self.hidden_args.iter().map(|_| "***");
        std::iter::once(&self.program).chain(&self.args).map(String::as_str).chain(hidden).collect::<Vec<_>>().join(" ")
    }
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its status; none when a signal ended it.
    pub status: Option<i32>,
    /// What it wrote.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

impl Output {
    /// Whether it ended well.
    pub fn is_good(&self) -> bool {
        self.status == Some(0)
    }

    /// The last words, for people.
    pub fn last_words(&self) -> String {
        let text = if self.stderr.trim().is_empty() { &self.stdout } else { &self.stderr };
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = lines[lines.len().saturating_sub(3)..].join("; ");
        let status = self.status.map_or_else(|| "ended by a signal".to_owned(), |status| format!("status {status}"));
        if last.is_empty() { status } else { format!("{status}: {}", last.chars().take(600).collect::<String>()) }
    }
}

/// Why the node did not do it.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum HostError {
    #[error("{program} is not on this node")]
    Missing { program: String },
    #[error("{program} did not end within {within:?} and was killed")]
    TooSlow { program: String, within: Duration },
    #[error("{program} asks for more than is known and was ended: {prompt:?}")]
    Asks { program: String, prompt: String },
    #[error("cannot {operation} {path}: {source}")]
    Io { operation: &'static str, path: String, source: io::Error },
    #[error("{0}")]
    Fetch(String),
}

/// The program that the agent is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Where it lies.
    pub path: String,
    /// The SHA-256 of what runs.
    pub sha256: String,
    /// What it was started with.
    pub args: Vec<String>,
}

/// A node.
pub trait Host {
    /// Runs a program to its end.
    fn run(&mut self, call: &Call) -> Result<Output, HostError>;
    /// The content of a file; none when there is no such file.
    fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, HostError>;
    /// Makes a file durable with its whole content, or leaves the old one. One that is there keeps owner and mode.
    fn write(&mut self, path: &str, content: &[u8], mode: u32) -> Result<(), HostError>;
    /// Makes a file durable that only root can read, whatever there was of its name.
    fn write_secret(&mut self, path: &str, content: &[u8]) -> Result<(), HostError> {
        self.remove(path)?;
        self.write(path, content, 0o600)
    }
    /// Whether only root can read a file. On simulated nodes there is nobody else.
    fn is_secret(&mut self, _path: &str) -> Result<bool, HostError> {
        Ok(true)
    }
    /// Removes a file; it may be gone already.
    fn remove(&mut self, path: &str) -> Result<(), HostError>;
    /// The names in a folder; none when there is no such folder.
    fn list(&mut self, folder: &str) -> Result<Vec<String>, HostError>;
    /// Whether there is something of this name, a device too.
    fn exists(&mut self, path: &str) -> bool;
    /// Where a link leads, through all others; none: it leads nowhere, or cannot be followed.
    fn leads_to(&mut self, _path: &str) -> Option<String> {
        None
    }
    /// Whose a program is; none when there is no such file.
    fn owned(&mut self, path: &str) -> Result<Option<Owned>, HostError>;
    /// Whether a block device can be opened for oneself alone, right now, and is blank at both ends.
    fn open_alone(&mut self, device: &str) -> Result<Alone, HostError>;
    /// Brings a file into the staging folder, and says where it is. It is
    /// there only when its bytes have the right SHA-256.
    fn stage(&mut self, artefact: &Artefact) -> Result<String, HostError>;
    /// Where a file of that name and SHA-256 is staged, when it is.
    fn staged(&mut self, artefact: &Artefact) -> Result<Option<String>, HostError>;
    /// The folder where the agent keeps what must survive.
    fn state_folder(&self) -> String;
    /// Which boot of the node this is.
    fn boot_id(&mut self) -> String;
    /// Waits for a lock that others hold too, and has it until the value is dropped.
    fn hold(&mut self, _path: &str, _within: Duration) -> Result<Held, HostError> {
        Ok(Held::default())
    }
    /// The program that the agent is; none where it is no program of its own.
    fn program(&mut self) -> Result<Option<Program>, HostError> {
        Ok(None)
    }
    /// Becomes the program that lies at the place of this one, with its arguments. It comes back only when that fails.
    fn restart(&mut self, program: &Program) -> HostError {
        let source = io::Error::from(io::ErrorKind::Unsupported);
        HostError::Io { operation: "start", path: program.path.clone(), source }
    }
    /// The node's own clock.
    fn clock(&mut self) -> Timestamp {
        crate::clock::now()
    }
    /// Whether somebody takes a TCP connection at an address. The error says why not.
    fn reach(&mut self, address: &str, within: Duration) -> Result<(), String> {
        reach_from_here(address, within)
    }
}

/// Connects to an address, name or number, and closes the connection again.
pub fn reach_from_here(address: &str, within: Duration) -> Result<(), String> {
    let addresses = address.to_socket_addrs().map_err(|error| format!("{address} is no address: {error}"))?;
    let mut why = format!("{address} has no address");
    for one in addresses {
        match TcpStream::connect_timeout(&one, within) {
            Ok(_) => return Ok(()),
            Err(error) => why = error.to_string(),
        }
    }
    Err(why)
}

/// A lock on a file, while it lives. Simulated nodes need none.
#[derive(Debug, Default)]
pub struct Held {
    _file: Option<std::fs::File>,
}

impl Held {
    /// The lock of a file is free again when the file is closed.
    pub const fn by(file: std::fs::File) -> Self {
        Self { _file: Some(file) }
    }
}

/// What an exclusive opening said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alone {
    /// Nobody has it.
    Free {
        /// Whether its first and last megabyte are zeros.
        is_blank: bool,
    },
    /// Somebody holds it: a mount, a journal, a volume manager, a data server.
    Held,
}

/// Runs a program on this machine, with a deadline for it and all it starts.
///
/// Its output goes to files, not pipes: a service that a package's script
/// starts keeps a pipe open long after the script has ended.
pub fn run_here(call: &Call) -> Result<Output, HostError> {
    if !call.typed.is_empty() {
        return super::terminal::run(call);
    }
    let io = |operation| move |source| HostError::Io { operation, path: call.program.clone(), source };
    let mut out = tempfile::tempfile().map_err(io("keep the output of"))?;
    let mut err = tempfile::tempfile().map_err(io("keep the output of"))?;
    let mut child = Command::new(&call.program)
        .args(&call.args)
        .args(call.hidden_args.iter().map(Hidden::reveal))
        .env_clear()
        .envs(CLEAN)
        .envs(call.env.iter().map(|(name, value)| (name, value.reveal())))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(out.try_clone().map_err(io("keep the output of"))?)
        .stderr(err.try_clone().map_err(io("keep the output of"))?)
        // A group of its own: it can be killed whole, and a signal for the agent does not reach it.
        .process_group(0)
        .spawn()
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => HostError::Missing { program: call.program.clone() },
            _ => io("start")(source),
        })?;
    let deadline = Instant::now() + call.within;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(io("wait for"))? {
            break status;
        }
        if Instant::now() >= deadline {
            let group = rustix::process::Pid::from_child(&child);
            // Whoever ended in this moment needs no killing.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            let _ = child.wait();
            return Err(HostError::TooSlow { program: call.program.clone(), within: call.within });
        }
        std::thread::sleep(LOOK);
    };
    let read = |file: &mut std::fs::File| -> io::Result<String> {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(OUTPUT)))?;
        let mut bytes = Vec::new();
        file.take(OUTPUT).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let status = if status.signal().is_some() { None } else { status.code() };
    let stdout = read(&mut out).map_err(io("read the output of"))?;
    let stderr = read(&mut err).map_err(io("read the output of"))?;
    Ok(Output { status, stdout, stderr })
}

/// Writes a file so that after a crash it is the old one or the new one.
pub fn write_durably(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().ok_or_else(|| io::Error::other("it has no folder"))?;
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    let name = path.file_name().ok_or_else(|| io::Error::other("it has no name"))?.to_string_lossy();
    let beside = folder.join(format!(".{name}.new"));
    // What a crash left there may have another mode.
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    // Whatever is masked for the agent's own files is no matter here.
    file.set_permissions(std::fs::Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    std::fs::File::open(folder)?.sync_all()
}

/// Removes a file for good.
pub fn remove_durably(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    match path.parent().map(std::fs::File::open) {
        Some(Ok(folder)) => folder.sync_all(),
        _ => Ok(()),
    }
}
