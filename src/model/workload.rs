//! What runs in the Mesos cluster, and what of it needs which volumes?
//!
//! A task is found at a client by the agent that carries it: its address is one
//! of the client's, or its name is the client's. A task that names its volumes
//! (REX-Ray, dvdcli) needs these and no others; of one that names none, only
//! the client is known.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::hurt::Hurt;
use super::id::{AgentId, SdcId, TaskId};
use super::mesos::TaskState;
use super::snapshot::Snapshot;
use super::unit::Timestamp;

/// What the leading master said last.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Workloads {
    /// When it said so; none: it was not heard yet, or for too long.
    pub taken_at: Option<Timestamp>,
    /// Why it was not heard at the last try.
    pub problem: Option<Box<str>>,
    /// Every task that has not ended.
    pub tasks: Vec<RunningTask>,
    /// When it was asked: nothing of it is older.
    #[serde(skip)]
    pub begun_at: Option<Timestamp>,
    /// Every agent that is registered.
    #[serde(skip)]
    pub agents: BTreeMap<AgentId, RegisteredAgent>,
}

/// An agent, as the leading master has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredAgent {
    /// Its name.
    pub hostname: Box<str>,
    /// When it registered last, by the master's clock; after each start of the agent it does so again.
    pub registered_at: Option<Timestamp>,
    /// Its version of Mesos.
    pub version: Option<Box<str>>,
    /// Whether the master has a connection to it.
    pub is_active: bool,
}

/// A task of any framework.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct RunningTask {
    pub task: TaskId,
    pub name: Box<str>,
    /// The name of its framework.
    pub framework: Box<str>,
    /// The Marathon application it belongs to, if it is one's.
    pub application: Option<Box<str>>,
    pub agent: AgentId,
    pub hostname: Option<Box<str>>,
    /// The IP address of its agent.
    pub address: Option<Box<str>>,
    pub state: TaskState,
    /// Names of volumes that it asked a volume driver for.
    pub volumes: BTreeSet<Box<str>>,
}

/// A task that needs something that is hurt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Workload {
    /// The client it runs on, where that is known.
    pub client: Option<SdcId>,
    /// The Mesos task.
    pub task: Box<str>,
    /// The name of its framework.
    pub framework: Box<str>,
    /// The Marathon application it belongs to, if it is one's.
    pub application: Option<Box<str>>,
    /// Hurt volumes that it names; empty: it names none, and only its client is known.
    pub volumes: Vec<Box<str>>,
}

/// Adds the workloads to who is hurt.
pub fn add_workloads(hurt: &mut Hurt, snapshot: &Snapshot, workloads: &Workloads) {
    if workloads.taken_at.is_none() {
        let why = workloads.problem.clone();
        hurt.workloads_unknown = Some(why.unwrap_or_else(|| "the Mesos master has not answered yet".into()));
        return;
    }
    let volumes: BTreeSet<&str> = hurt.volumes.iter().filter_map(|volume| volume.name.as_deref()).collect();
    let found = workloads.tasks.iter().filter_map(|task| {
        let client = client_of(snapshot, task);
        let is_hurt_client = client.as_ref().is_some_and(|id| hurt.clients.iter().any(|client| client.id == *id));
        let named: Vec<Box<str>> = task.volumes.iter().filter(|name| volumes.contains(&***name)).cloned().collect();
        let is_hurt = if task.volumes.is_empty() { is_hurt_client } else { !named.is_empty() };
        is_hurt.then(|| Workload {
            client,
            task: task.task.as_str().into(),
            framework: task.framework.clone(),
            application: task.application.clone(),
            volumes: named,
        })
    });
    hurt.workloads = Some(found.collect());
}

/// The client on the machine of a task.
fn client_of(snapshot: &Snapshot, task: &RunningTask) -> Option<SdcId> {
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    let mut clients = snapshot.sdcs.iter().flat_map(|part| part.iter());
    let places: Vec<&str> = [&task.address, &task.hostname].into_iter().flatten().map(|place| &**place).collect();
    let at = clients.find(|client| {
        let known = client.addresses.iter().chain(&client.name);
        known.into_iter().any(|known| places.iter().any(|place| same(known, place)))
    });
    at.map(|client| client.id.clone())
}

/// The application that a task of Marathon belongs to: Marathon writes it before
/// the first dot of the task's id, with `_` for `/`. Names may hold dots
/// themselves, so what follows is looked for instead.
pub fn application(framework: &str, task: &str) -> Option<Box<str>> {
    if !framework.to_ascii_lowercase().starts_with("marathon") {
        return None;
    }
    let marks = [".instance-", ".marathon-"];
    let end = marks.iter().find_map(|mark| task.find(mark)).or_else(|| {
        // As before release 1.8: the name, a dot, and a UUID.
        let (name, last) = task.rsplit_once('.')?;
        let is_uuid = last.len() == 36 && last.chars().all(|c| c == '-' || c.is_ascii_hexdigit());
        is_uuid.then_some(name.len())
    })?;
    let name = task.get(..end).filter(|name| !name.is_empty())?;
    Some(format!("/{}", name.replace('_', "/")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_application_is_read_from_the_task_of_marathon_only() {
        let uuid = "5be8c3a2-9d1f-11ee-a1b2-0242ac120002";
        for (framework, task, wanted) in [
            ("marathon", format!("shop_cart.instance-{uuid}._app.1"), Some("/shop/cart")),
            ("marathon", format!("shop_v1.2.instance-{uuid}.web"), Some("/shop/v1.2")),
            ("Marathon-eu", format!("db.marathon-{uuid}"), Some("/db")),
            ("marathon", format!("old_app.{uuid}"), Some("/old/app")),
            ("marathon", "made-by-hand".to_owned(), None),
            ("marathon", format!(".instance-{uuid}"), None),
            ("chronos", format!("shop_cart.instance-{uuid}"), None),
        ] {
            assert_eq!(application(framework, &task).as_deref(), wanted, "{framework} {task}");
        }
    }
}
