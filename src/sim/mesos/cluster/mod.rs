//! What is true in the simulated Mesos, and how it changes? Frameworks, agents,
//! tasks and offers in one place; each file beside this one has one kind of change.
//!
//! Nothing here waits or reads a clock: time comes in by [`Cluster::tick`], what
//! frameworks and executors are told goes into their streams, and what an agent
//! shall start goes out by a channel.

mod agents;
mod executors;
mod frameworks;
mod maintenance;
mod offers;
mod operator;
mod resources;
mod tasks;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::wire::{Machine, record};
use super::{Exit, Start};
use crate::model::unit::Timestamp;
use maintenance::{Mode, Window};
pub use offers::Offered;
use offers::{Inverse, Offer};
use resources::Amounts;
pub(super) use resources::attributes;
use tasks::Task;

/// The release that is played.
const VERSION: &str = "1.11.0";
/// An executor that does not come back to an agent that started again is killed after this.
const EXECUTOR_REREGISTRATION: Duration = Duration::from_secs(2);
/// Agents come back to a new leader after this.
const AGENT_REREGISTRATION: Duration = Duration::from_millis(300);
/// How many ended tasks a framework is remembered with.
const COMPLETED: usize = 200;

/// The times that an operator may set.
#[derive(Clone, Debug)]
pub(super) struct Times {
    pub heartbeat: Duration,
    /// An agent that is silent for so long is unreachable.
    pub ping: Duration,
}

/// What went to a stream, and is now the wire's.
pub(super) type Sink = mpsc::UnboundedSender<Bytes>;

/// Which executor: agent, framework, executor.
pub(super) type ExecutorKey = (String, String, String);

/// How a process of an agent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Process {
    Up,
    /// It hangs: connections are open, and nothing comes.
    Paused,
    Down,
}

/// An answer that is no refusal.
pub(super) enum Answer {
    /// 202: understood.
    Accepted,
    /// 200 with nothing in it.
    Done,
    Json(Value),
    Stream {
        id: Option<String>,
        events: mpsc::UnboundedReceiver<Bytes>,
    },
}

struct Stream {
    id: String,
    sink: Sink,
}

struct Framework {
    info: Value,
    roles: Vec<String>,
    suppressed: BTreeSet<String>,
    is_partition_aware: bool,
    is_checkpointing: bool,
    failover: Duration,
    stream: Option<Stream>,
    /// Since when its stream is gone.
    away_since: Option<Duration>,
    beat_at: Duration,
    tasks: BTreeMap<String, Task>,
    completed: VecDeque<Value>,
    /// What of an agent is not wanted for a role, and until when.
    filters: BTreeMap<(String, String), Vec<(Amounts, Duration)>>,
}

/// Where an agent process may run.
pub(super) struct Machinery {
    pub address: SocketAddr,
    /// Under which it is known to others.
    pub ip: String,
    pub process: watch::Sender<Process>,
    attributes: Vec<Value>,
    total: Amounts,
    /// The id that its work directory holds.
    agent: Option<String>,
    /// It is registered from then on.
    registers_at: Option<Duration>,
    sandboxes: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Connected,
    /// Its connection is lost; the master still has it.
    Disconnected,
    /// In nanoseconds since 1970.
    Unreachable {
        since: i64,
    },
}

struct Agent {
    host: String,
    standing: Standing,
    silent_since: Option<Duration>,
    /// It has not come to the master that leads now.
    is_new_to_master: bool,
    is_deactivated: bool,
    drain: Option<Draining>,
    registered_at: i64,
    reregistered_at: Option<i64>,
    executors: BTreeMap<(String, String), Executor>,
    used: Amounts,
    /// The offer that holds what is free of it.
    offer: Option<String>,
    exits: Vec<((String, String), Exit)>,
}

struct Draining {
    config: Value,
    mark_gone: bool,
    is_drained: bool,
}

struct Executor {
    info: Value,
    is_command: bool,
    container: String,
    amounts: Amounts,
    sink: Option<Sink>,
    /// Events that it gets when it is there and its agent is awake.
    waiting: Vec<Value>,
    grace: Duration,
    kill: CancellationToken,
    kill_at: Option<Duration>,
}

/// Who leads, as the master at hand sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lead {
    /// The master of this number.
    Master(usize),
    /// It leads and is not ready yet.
    Recovering(usize),
    Nobody,
}

pub(super) struct Cluster {
    times: Times,
    pub now: Duration,
    epoch: Timestamp,
    rng: ChaCha8Rng,
    id: String,
    pub lead: Lead,
    pub masters: Vec<SocketAddr>,
    frameworks: BTreeMap<String, Framework>,
    removed: BTreeSet<String>,
    agents: BTreeMap<String, Agent>,
    gone: BTreeSet<String>,
    pub hosts: BTreeMap<String, Machinery>,
    offers: BTreeMap<String, Offer>,
    offered: Offered,
    inverse: BTreeMap<String, Inverse>,
    windows: Vec<Window>,
    machines: BTreeMap<Machine, Mode>,
    counts: [u64; 3],
    starts: mpsc::UnboundedSender<(ExecutorKey, Start)>,
}

impl Cluster {
    pub(super) fn new(
        times: Times,
        masters: Vec<SocketAddr>,
        seed: u64,
        epoch: Timestamp,
        starts: mpsc::UnboundedSender<(ExecutorKey, Start)>,
    ) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let id = dashed(&mut rng);
        Self {
            times,
            now: Duration::ZERO,
            epoch,
            rng,
            id,
            lead: Lead::Master(0),
            masters,
            frameworks: BTreeMap::new(),
            removed: BTreeSet::new(),
            agents: BTreeMap::new(),
            gone: BTreeSet::new(),
            hosts: BTreeMap::new(),
            offers: BTreeMap::new(),
            offered: Offered::default(),
            inverse: BTreeMap::new(),
            windows: Vec::new(),
            machines: BTreeMap::new(),
            counts: [0; 3],
            starts,
        }
    }

    /// Time has passed: everything that is due happens.
    pub(super) fn tick(&mut self, now: Duration) {
        self.now = now;
        self.tick_frameworks();
        self.tick_agents();
        self.tick_executors();
        self.tick_updates();
        self.tick_inverse();
        self.allocate();
    }

    /// Another master leads: it knows only what frameworks and agents bring it.
    pub(super) fn fail_over(&mut self, to: usize) {
        self.lead = Lead::Master(to);
        self.id = dashed(&mut self.rng);
        self.counts = [0; 3];
        self.removed.clear();
        self.offers.clear();
        self.inverse.clear();
        let back = self.now + AGENT_REREGISTRATION;
        for framework in self.frameworks.values_mut() {
            framework.stream = None;
            framework.away_since = Some(self.now);
            framework.filters.clear();
            framework.suppressed.clear();
        }
        for agent in self.agents.values_mut() {
            agent.offer = None;
            agent.standing = Standing::Disconnected;
            agent.is_new_to_master = true;
            if let Some(host) = self.hosts.get_mut(&agent.host)
                && *host.process.borrow() != Process::Down
            {
                host.registers_at = Some(back);
            }
        }
    }

    fn wall(&self) -> Timestamp {
        self.epoch + chrono::Duration::from_std(self.now).unwrap_or_default()
    }

    fn nanos(&self) -> i64 {
        self.wall().timestamp_nanos_opt().unwrap_or_default()
    }

    fn seconds(&self) -> f64 {
        self.wall().timestamp_micros() as f64 / 1e6
    }

    fn uuid(&mut self) -> String {
        let mut bytes: [u8; 16] = self.rng.random();
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        STANDARD.encode(bytes)
    }

    fn dashed(&mut self) -> String {
        dashed(&mut self.rng)
    }

    /// The next id of a kind: framework, agent, offer.
    fn next(&mut self, kind: Kind) -> String {
        let (at, letter, width) = match kind {
            Kind::Framework => (0, "", 4),
            Kind::Agent => (1, "S", 0),
            Kind::Offer => (2, "O", 0),
        };
        let number = self.counts[at];
        self.counts[at] += 1;
        format!("{}-{letter}{number:0width$}", self.id)
    }

    /// Says something to a framework that listens.
    fn tell(&self, framework: &str, event: &Value) {
        let stream = self.frameworks.get(framework).and_then(|framework| framework.stream.as_ref());
        if let Some(stream) = stream {
            // One that has just gone is noticed by the next tick.
            let _ = stream.sink.send(record(event));
        }
    }

    fn process(&self, host: &str) -> Process {
        self.hosts.get(host).map_or(Process::Down, |host| *host.process.borrow())
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Framework,
    Agent,
    Offer,
}

fn dashed(rng: &mut ChaCha8Rng) -> String {
    let bytes: [u8; 16] = rng.random();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The event that a framework or executor hears now and then.
fn heartbeat() -> Value {
    json!({ "type": "HEARTBEAT" })
}
