//! What the operator decides: a typed, checked value before anything starts.
//!
//! `load` reads it from a TOML file and the environment. Only this folder
//! reads the environment.

mod agents;
mod alerts;
mod files;
mod jobs;
pub mod lia;
mod lifecycle;
mod load;
mod mail;
mod mdm;
mod mesos;
mod networks;
mod notify;
mod pool;
mod problem;
mod receiver;
pub mod rollout;
mod secret;
mod section;
mod source;
pub mod sources;
mod system;
pub mod volumes;
mod web;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use crate::model::lifecycle::Mode;
pub use agents::{Agents, Artefacts, StaticNode};
pub use alerts::{Alerts, Limit, Override};
pub use files::{Secrets, secrets};
pub use jobs::{Asks, Job, Standing};
pub use lifecycle::{Lifecycle, Syslog};
pub use load::{DEFAULT_FILE, FILE_VARIABLE, control_socket, find};
pub use mail::{ClientCertificate, LinkKey, Mail, MailHost, MailTls, read_link_key};
pub use mesos::{Hidden, MasterUrl, Masters, MastersInZooKeeper, Mesos, is_in_sandbox};
pub use notify::{Escalate, Inhibit, Notify, Quiet, Route, Weekly};
pub use problem::{ConfigErrors, Place, Problem};
pub use receiver::{AlertGate, Alertmanager, Credentials, HttpWay, Webhook};
pub use secret::Secret;
pub use system::{parse_gateway, parse_name, parse_pin, read_password};
pub use web::{Web, WebProxy, WebToken, WebUser};

use crate::model::id::{NodeName, SystemId};

/// The whole configuration.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Config {
    pub log: Log,
    pub web: Web,
    pub control: Control,
    pub store: Store,
    pub poll: Poll,
    pub metrics: Metrics,
    pub alerts: Alerts,
    pub notify: Notify,
    /// None: no mail is sent.
    pub mail: Option<Mail>,
    /// None: no Alertmanager is told.
    pub alertmanager: Option<Alertmanager>,
    /// None: no webhook is told.
    pub webhook: Option<Webhook>,
    /// None: no Mesos cluster; systems are only watched.
    pub mesos: Option<Mesos>,
    /// None: no node works for us, and nothing is rolled out.
    pub agents: Option<Agents>,
    /// What nodes are given.
    pub artefacts: Artefacts,
    /// How much is done without asking, and when.
    pub lifecycle: Lifecycle,
    /// What is asked for by the calendar.
    pub jobs: Vec<Job>,
    /// Hosts that work for us and are not in Mesos.
    pub static_nodes: BTreeMap<NodeName, StaticNode>,
    pub systems: BTreeMap<SystemId, System>,
}

/// `[log]`
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Log {
    /// A level, or a filter in the syntax of `tracing` (`info,scaleio_framework::gateway=debug`).
    pub level: String,
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people at a terminal.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[control]`: the unix socket that the command line talks to.
#[derive(Clone, Debug)]
pub struct Control {
    /// Path of the socket; made with mode 0600.
    pub socket: PathBuf,
}

/// `[store]`: where state is kept.
#[derive(Clone, Debug)]
pub struct Store {
    /// The SQLite file. With ZooKeeper, only histories are beside it.
    pub path: PathBuf,
    /// None: state is in the SQLite file.
    pub zookeeper: Option<StoreInZooKeeper>,
}

/// State in ZooKeeper, for a controller that may move to another host.
#[derive(Clone, Debug)]
pub struct StoreInZooKeeper {
    /// `host:port,host:port`.
    pub servers: String,
    /// The folder, such as `/scaleio-framework`.
    pub path: String,
    /// `user:password` of the digest scheme.
    pub auth: Option<Hidden>,
    /// How long a controller that is killed keeps its lock.
    pub session_timeout: Duration,
}

/// `[poll]`: how often systems are asked.
#[derive(Clone, Debug)]
pub struct Poll {
    /// States that gates read, and statistics.
    pub fast: Duration,
    /// Devices, clients, events.
    pub middle: Duration,
    /// Volumes, policies, replication.
    pub slow: Duration,
    /// Values older than this say nothing any more and vanish.
    pub max_age: Duration,
}

/// `[metrics]`: what is exported.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Metrics {
    /// A series is dropped, and counted, beyond this many.
    pub max_series: usize,
    pub devices: Export,
    pub sdcs: Export,
    pub volumes: Export,
}

impl Metrics {
    /// Every object of every kind, up to this many series.
    pub const fn all(max_series: usize) -> Self {
        Self { max_series, devices: Export::All, sdcs: Export::All, volumes: Export::All }
    }
}

/// `[metrics.volumes]` and its like: which objects of a kind have series of
/// their own. Histograms and aggregates are made of all objects always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Export {
    /// Every object.
    All,
    /// Every object while there are few, else the top.
    Auto {
        /// How many are few.
        all_up_to: usize,
        /// Which when there are more.
        top: Top,
    },
    /// The busiest and the slowest, and what is unwell.
    Top(Top),
    /// None; only what is counted over all of them.
    Aggregate,
    /// Nothing of the kind.
    Off,
}

/// The objects that matter most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Top {
    /// How many of those with the most operations.
    pub busiest: usize,
    /// How many of those with the longest latency.
    pub slowest: usize,
    /// How long one stays that is no longer among them.
    pub keep: Duration,
}

/// `[systems.NAME]`: one ScaleIO system.
#[derive(Clone, Debug)]
pub struct System {
    /// Base addresses of its gateways, tried in this order; `https://host[:port]`.
    pub gateways: Vec<GatewayUrl>,
    /// The login for monitoring; the role Monitor is enough.
    pub monitor: Login,
    /// The login for changes; none when this system is only watched.
    pub lifecycle: Option<Login>,
    /// Whom to trust as gateway.
    pub trust: Trust,
    /// To connect, TLS included.
    pub connect_timeout: Duration,
    /// For a whole answer.
    pub request_timeout: Duration,
    /// The longest answer that is read, unpacked.
    pub max_answer_bytes: u64,
    /// What the storage shall look like; none: nothing is rolled out.
    pub rollout: Option<rollout::Rollout>,
    /// How tasks of Mesos get its volumes; none: they get none by us.
    pub volumes: Option<volumes::Volumes>,
}

/// The base address of a gateway, without a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayUrl(pub(crate) String);

impl GatewayUrl {
    /// The gateway that listens at an IP address and port.
    pub fn at(address: SocketAddr) -> Self {
        Self(format!("https://{address}"))
    }

    /// `https://host[:port]`, without a slash at the end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for GatewayUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A user of a gateway.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Login {
    pub user: String,
    pub password: Secret,
}

/// How a gateway's certificate is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// By the authorities that the operating system trusts.
    SystemRoots,
    /// By the authorities in a PEM file; a file whose only certificate is the
    /// served one is a pin.
    CaFile(PathBuf),
    /// By the SHA-256 of the served certificate.
    Pin([u8; 32]),
    /// Not at all. Only when the configuration says `insecure = true`.
    Insecure,
}
