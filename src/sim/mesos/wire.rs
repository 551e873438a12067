//! What do frameworks, executors and operators say to the simulated Mesos?
//! Tolerant as the real one is: fields that it does not know are ignored.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

/// An id on the wire.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Id {
    #[serde(default)]
    pub value: String,
}

/// A call of a scheduler, an executor or an operator: what is in each lies under the name of its type.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Call {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub framework_id: Option<Id>,
    pub executor_id: Option<Id>,
    pub subscribe: Option<Value>,
    pub accept: Option<Accept>,
    pub decline: Option<Refuse>,
    pub accept_inverse_offers: Option<Refuse>,
    pub decline_inverse_offers: Option<Refuse>,
    pub revive: Option<Roles>,
    pub suppress: Option<Roles>,
    pub kill: Option<Named>,
    pub shutdown: Option<Named>,
    pub acknowledge: Option<Named>,
    pub reconcile: Option<Reconcile>,
    pub message: Option<Named>,
    pub update: Option<Value>,
    pub drain_agent: Option<Drain>,
    pub deactivate_agent: Option<Named>,
    pub reactivate_agent: Option<Named>,
    pub mark_agent_gone: Option<Named>,
    pub teardown: Option<Named>,
    pub update_maintenance_schedule: Option<Value>,
    pub start_maintenance: Option<Machines>,
    pub stop_maintenance: Option<Machines>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Accept {
    pub offer_ids: Vec<Id>,
    pub operations: Vec<Operation>,
    pub filters: Option<Filters>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Operation {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub launch: Option<Launch>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Launch {
    pub task_infos: Vec<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Refuse {
    pub offer_ids: Vec<Id>,
    pub inverse_offer_ids: Vec<Id>,
    pub filters: Option<Filters>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Filters {
    pub refuse_seconds: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Roles {
    pub role: Option<String>,
    pub roles: Vec<String>,
}

/// Whatever names a task, an agent, an executor or a framework.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Named {
    pub task_id: Id,
    pub agent_id: Option<Id>,
    pub executor_id: Id,
    pub framework_id: Id,
    pub uuid: Option<String>,
    pub data: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Reconcile {
    pub tasks: Vec<Named>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Drain {
    pub agent_id: Id,
    pub max_grace_period: Option<Value>,
    pub mark_gone: bool,
}

/// A machine of the maintenance schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(default)]
pub(super) struct Machine {
    pub hostname: String,
    pub ip: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Machines {
    pub machines: Vec<Machine>,
}

impl Named {
    pub(super) fn agent(&self) -> &str {
        self.agent_id.as_ref().map_or("", |id| &id.value)
    }
}

impl Machine {
    pub(super) fn json(&self) -> Value {
        json!({ "hostname": self.hostname, "ip": self.ip })
    }
}

impl Refuse {
    pub(super) fn seconds(&self) -> f64 {
        refuse_seconds(self.filters.as_ref())
    }
}

/// How long offers are not wanted: 5 s when nothing is said, at most 365 days.
pub(super) fn refuse_seconds(filters: Option<&Filters>) -> f64 {
    let said = filters.and_then(|filters| filters.refuse_seconds);
    said.filter(|seconds| *seconds >= 0.0).unwrap_or(5.0).min(365.0 * 86_400.0)
}

pub(super) fn id(text: &str) -> Value {
    json!({ "value": text })
}

/// A text somewhere in a JSON; empty when it is not there.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// What is wrong with a field of bytes, in the words of Mesos.
pub(super) fn bytes(field: &str, text: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|_| {
        let is_alphabet = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
        let wrong = text.chars().find(|c| !is_alphabet(c)).map_or_else(String::new, |c| c.to_string());
        format!(
            "Failed to convert JSON into Call protobuf: Failed to base64 decode bytes field '{field}': Invalid character '{wrong}'"
        )
    })
}

/// One record of an event stream.
pub(super) fn record(event: &Value) -> axum::body::Bytes {
    let json = event.to_string();
    format!("{}\n{json}", json.len()).into()
}
