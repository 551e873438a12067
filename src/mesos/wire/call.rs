//! What do we say to a master? The calls of the scheduler, as JSON.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::model::id::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId};
use crate::model::mesos::Piece;

/// How our framework introduces itself.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct FrameworkInfo {
    /// The user under which tasks run.
    pub user: String,
    pub name: String,
    pub hostname: Option<String>,
    pub principal: Option<String>,
    pub roles: Vec<String>,
    /// How long the masters keep our tasks without us.
    pub failover_timeout: Duration,
    /// Where people find our page.
    pub webui_url: Option<String>,
}

/// A call of the scheduler.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Call {
    Launch {
        offer: OfferId,
        task: Box<LaunchTask>,
        refuse: Duration,
    },
    Decline {
        offers: Vec<OfferId>,
        refuse: Duration,
    },
    AcceptInverse {
        offers: Vec<OfferId>,
        refuse: Duration,
    },
    DeclineInverse {
        offers: Vec<OfferId>,
        refuse: Duration,
    },
    /// An empty list asks of all tasks.
    Reconcile {
        tasks: Vec<(TaskId, Option<AgentId>)>,
    },
    Acknowledge {
        agent: AgentId,
        task: TaskId,
        uuid: Box<str>,
    },
    Kill {
        task: TaskId,
        agent: Option<AgentId>,
    },
    Message {
        agent: AgentId,
        executor: ExecutorId,
        data: Vec<u8>,
    },
    Suppress,
    Revive,
    /// Ends the framework for good, with all its tasks.
    Teardown,
}

/// A task with an executor of its own.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct LaunchTask {
    pub task: TaskId,
    pub agent: AgentId,
    pub executor: ExecutorId,
    pub name: String,
    /// The role whose resources it takes; none without MULTI_ROLE.
    pub role: Option<Box<str>>,
    /// For the executor; the task itself gets the least that Mesos allows.
    pub cpus: f64,
    pub mem: f64,
    /// What is offered, in the order in which it is taken.
    pub pieces: Vec<Piece>,
    /// A command for a shell.
    pub command: String,
    /// Fetched into the sandbox first: address, name there, executable.
    pub uris: Vec<Uri>,
    pub environment: Vec<(String, String)>,
    pub labels: Vec<(String, String)>,
    pub data: Vec<u8>,
    /// How long the executor has to end before it is killed.
    pub grace: Duration,
}

/// A file for the sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Uri {
    pub address: String,
    pub name: String,
    pub is_executable: bool,
}

/// A task of Mesos must have some resources of its own beside its executor.
pub const TASK_CPUS: f64 = 0.01;
/// In MB.
pub const TASK_MEM: f64 = 1.0;

impl Call {
    /// Its name on the wire.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Launch { .. } => "ACCEPT",
            Self::Decline { .. } => "DECLINE",
            Self::AcceptInverse { .. } => "ACCEPT_INVERSE_OFFERS",
            Self::DeclineInverse { .. } => "DECLINE_INVERSE_OFFERS",
            Self::Reconcile { .. } => "RECONCILE",
            Self::Acknowledge { .. } => "ACKNOWLEDGE",
            Self::Kill { .. } => "KILL",
            Self::Message { .. } => "MESSAGE",
            Self::Suppress => "SUPPRESS",
            Self::Revive => "REVIVE",
            Self::Teardown => "TEARDOWN",
        }
    }

    /// Whether it and another may be under way at the same time: neither speaks of what the other does.
    pub const fn may_go_beside(&self, other: &Self) -> bool {
        matches!(
            (self, other),
            (Self::Launch { .. }, Self::Launch { .. })
                | (Self::Acknowledge { .. }, Self::Acknowledge { .. })
                | (Self::Message { .. }, Self::Message { .. })
        )
    }

    /// The JSON of it.
    pub fn body(&self, framework: &FrameworkId) -> Value {
        let refusal = |refuse: &Duration| json!({ "refuse_seconds": refuse.as_secs_f64() });
        let inverse =
            |offers: &[OfferId], refuse| json!({ "inverse_offer_ids": ids(offers), "filters": refusal(refuse) });
        let (key, part) = match self {
            Self::Launch { offer, task, refuse } => (
                "accept",
                json!({
                    "offer_ids": ids(std::slice::from_ref(offer)),
                    "operations": [{ "type": "LAUNCH", "launch": { "task_infos": [task.body(framework)] } }],
                    "filters": refusal(refuse),
                }),
            ),
            Self::Decline { offers, refuse } => {
                ("decline", json!({ "offer_ids": ids(offers), "filters": refusal(refuse) }))
            }
            Self::AcceptInverse { offers, refuse } => ("accept_inverse_offers", inverse(offers, refuse)),
            Self::DeclineInverse { offers, refuse } => ("decline_inverse_offers", inverse(offers, refuse)),
            Self::Reconcile { tasks } => {
                let tasks: Vec<Value> = tasks.iter().map(|(task, agent)| named(task, agent.as_ref())).collect();
                ("reconcile", json!({ "tasks": tasks }))
            }
            Self::Acknowledge { agent, task, uuid } => {
                ("acknowledge", json!({ "agent_id": id(agent.as_str()), "task_id": id(task.as_str()), "uuid": uuid }))
            }
            Self::Kill { task, agent } => ("kill", named(task, agent.as_ref())),
            Self::Message { agent, executor, data } => (
                "message",
                json!({
                    "agent_id": id(agent.as_str()),
                    "executor_id": id(executor.as_str()),
                    "data": STANDARD.encode(data),
                }),
            ),
            Self::Suppress | Self::Revive | Self::Teardown => ("", Value::Null),
        };
        let mut body = json!({ "type": self.name(), "framework_id": id(framework.as_str()) });
        if !key.is_empty() {
            body[key] = part;
        }
        body
    }
}

/// The call that opens a stream.
pub fn subscribe(info: &FrameworkInfo, framework: Option<&FrameworkId>, is_suppressed: bool) -> Value {
    // A kill of our task needs no state of its own, and regions are no concern of ours.
    let capabilities = ["MULTI_ROLE", "PARTITION_AWARE", "TASK_KILLING_STATE", "RESERVATION_REFINEMENT"];
    let mut body = json!({
        "type": "SUBSCRIBE",
        "subscribe": {
            "framework_info": {
                "user": info.user,
                "name": info.name,
                "roles": info.roles,
                "capabilities": capabilities.map(|kind| json!({ "type": kind })),
                "failover_timeout": info.failover_timeout.as_secs_f64(),
                "checkpoint": true,
            },
            "suppressed_roles": if is_suppressed { info.roles.as_slice() } else { &[] },
        },
    });
    let said = &mut body["subscribe"]["framework_info"];
    for (key, value) in [("hostname", &info.hostname), ("principal", &info.principal), ("webui_url", &info.webui_url)] {
        if let Some(value) = value {
            said[key] = json!(value);
        }
    }
    if let Some(framework) = framework {
        said["id"] = id(framework.as_str());
        body["framework_id"] = id(framework.as_str());
    }
    body
}

impl LaunchTask {
    fn body(&self, framework: &FrameworkId) -> Value {
        let mut left = Left::of(&self.pieces);
        let mut take = |cpus: f64, mem: f64| {
            let mut taken = left.take("cpus", cpus);
            taken.extend(left.take("mem", mem));
            if let Some(role) = &self.role {
                taken.iter_mut().for_each(|resource| resource["allocation_info"] = json!({ "role": role }));
            }
            taken
        };
        let (for_task, for_executor) = (take(TASK_CPUS, TASK_MEM), take(self.cpus, self.mem));
        let pairs = |key: &str, pairs: &[(String, String)]| -> Vec<Value> {
            pairs.iter().map(|(name, value)| json!({ key: name, "value": value })).collect()
        };
        let uris: Vec<Value> = self
            .uris
            .iter()
            .map(|uri| {
                json!({
                    "value": uri.address, "output_file": uri.name,
                    "executable": uri.is_executable, "extract": false, "cache": false,
                })
            })
            .collect();
        json!({
            "name": self.name,
            "task_id": id(self.task.as_str()),
            "agent_id": id(self.agent.as_str()),
            "resources": for_task,
            "executor": {
                "type": "CUSTOM",
                "executor_id": id(self.executor.as_str()),
                "framework_id": id(framework.as_str()),
                "name": self.name,
                "resources": for_executor,
                "command": {
                    "value": self.command,
                    "environment": { "variables": pairs("name", &self.environment) },
                    "uris": uris,
                },
                "shutdown_grace_period": { "nanoseconds": u64::try_from(self.grace.as_nanos()).unwrap_or(u64::MAX) },
            },
            "data": STANDARD.encode(&self.data),
            "labels": { "labels": pairs("key", &self.labels) },
        })
    }
}

/// What is left of an offer, in thousandths, in which Mesos counts.
struct Left<'a>(Vec<(&'a Piece, i64)>);

fn thousandths(amount: f64) -> i64 {
    (amount * 1000.0).round() as i64
}

impl<'a> Left<'a> {
    fn of(pieces: &'a [Piece]) -> Self {
        Self(pieces.iter().map(|piece| (piece, thousandths(piece.amount))).collect())
    }

    /// Takes so much of one resource, each piece with its own reservation. What is not there is asked for all the same: the
    /// master says that it is not.
    fn take(&mut self, name: &str, amount: f64) -> Vec<Value> {
        let scalar =
            |amount: i64| json!({ "name": name, "type": "SCALAR", "scalar": { "value": amount as f64 / 1000.0 } });
        let (mut wanted, mut taken) = (thousandths(amount), Vec::new());
        for (piece, left) in self.0.iter_mut().filter(|(piece, left)| &*piece.name == name && *left > 0) {
            let share = wanted.min(*left);
            if share <= 0 {
                break;
            }
            let mut resource = scalar(share);
            for (field, said) in piece.reserved.iter().flatten() {
                resource[field.as_str()] = said.clone();
            }
            taken.push(resource);
            *left -= share;
            wanted -= share;
        }
        if wanted > 0 {
            taken.push(scalar(wanted));
        }
        taken
    }
}

fn id(text: &str) -> Value {
    json!({ "value": text })
}

fn ids(offers: &[OfferId]) -> Vec<Value> {
    offers.iter().map(|offer| id(offer.as_str())).collect()
}

fn named(task: &TaskId, agent: Option<&AgentId>) -> Value {
    let mut named = json!({ "task_id": id(task.as_str()) });
    if let Some(agent) = agent {
        named["agent_id"] = id(agent.as_str());
    }
    named
}
