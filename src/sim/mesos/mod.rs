//! A small Mesos: a leading master with its scheduler and operator API, agents
//! with their executor API, and masters that only name the leader.
//!
//! `cluster` keeps the rules and the refusals, as they were seen at a real
//! Mesos 1.11; `http` is its wire. What an executor does is decided by a
//! [`Launcher`]: [`processes`] runs its command, the demo runs it in a simulated
//! node. It imports nothing of the product, and the product's tests run the
//! same cases here and at a real Mesos.
//!
//! Not played: ZooKeeper, reservations and volumes (operations other than
//! LAUNCH do nothing), quota, task groups, containers, and v0 of the API.

mod cluster;
mod http;
mod process;
mod refusal;
mod run;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

pub use cluster::Offered;
pub use process::processes;
pub use run::{Host, MesosError, Options, SimMesos};

/// An executor, or a task with a command of its own, that an agent starts.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Start {
    pub hostname: String,
    /// What the agent sets, beside what the framework asked for.
    pub environment: Vec<(String, String)>,
    /// For a shell.
    pub command: String,
    /// To be fetched first.
    pub uris: Vec<Fetch>,
    /// Its working directory.
    pub sandbox: PathBuf,
    /// It is to be killed now.
    pub kill: CancellationToken,
}

/// A file for the sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Fetch {
    pub address: String,
    /// Its name in the sandbox; absent: the last part of the address.
    pub name: Option<String>,
    pub is_executable: bool,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With the raw status of `wait`.
    Status(i32),
    /// It was never started.
    NotStarted {
        /// Why not.
        why: String,
    },
}

/// Runs what an agent starts, to its end. Dropped, it is killed.
pub type Launcher = Arc<dyn Fn(Start) -> BoxFuture<'static, Exit> + Send + Sync>;
