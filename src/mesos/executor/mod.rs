//! The executor's side of Mesos: what an agent tells the program that it runs,
//! and how that program reports.
//!
//! [`Protocol`] is what must be remembered, without I/O; [`run`] is the loop. The
//! program itself stands at the other end of two channels: [`Happened`] comes
//! out, [`Say`] goes in.

mod event;
mod run;
mod surroundings;

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::model::id::TaskId;
use crate::model::mesos::TaskState;
use crate::model::unit::Timestamp;

pub use event::Heard;
pub use run::{End, run};
pub use surroundings::{Surroundings, SurroundingsError};

/// What happens to the program.
#[derive(Clone, Debug, PartialEq)]
pub enum Happened {
    /// It is to carry a task.
    Launched {
        /// Which.
        task: TaskId,
        /// What the scheduler gave with it.
        data: Vec<u8>,
    },
    /// It is to end a task.
    Kill {
        /// Which.
        task: TaskId,
    },
    /// The scheduler says something.
    Message(Vec<u8>),
    /// It is to end altogether; its container is killed after the grace period.
    Shutdown,
}

/// What the program says.
#[derive(Clone, Debug, PartialEq)]
pub enum Say {
    /// How a task is.
    State {
        /// Which.
        task: TaskId,
        /// How it is.
        state: TaskState,
        /// Whether what it carries is well, where it can be told.
        healthy: Option<bool>,
        /// In words.
        message: String,
    },
    /// Once; it may get lost.
    Message(Vec<u8>),
    /// Again and again until a message of the scheduler comes.
    Ask(Vec<u8>),
}

/// What must be known over a broken stream: what the agent has not acknowledged.
#[derive(Debug, Default)]
pub struct Protocol {
    /// Tasks of which no update was acknowledged yet, as they were launched.
    tasks: BTreeMap<TaskId, Value>,
    /// Updates that were not acknowledged, in their order.
    updates: Vec<(TaskId, String, Value)>,
}

impl Protocol {
    /// The call that opens a stream, with all that the agent may have missed.
    pub fn subscribe(&self) -> Value {
        let tasks: Vec<&Value> = self.tasks.values().collect();
        let updates: Vec<Value> = self.updates.iter().map(|(_, _, status)| json!({ "status": status })).collect();
        json!({
            "type": "SUBSCRIBE",
            "subscribe": { "unacknowledged_tasks": tasks, "unacknowledged_updates": updates },
        })
    }

    /// Takes in what the agent said; what the program must hear comes out.
    pub fn heard(&mut self, heard: Heard) -> Option<Happened> {
        match heard {
            Heard::Launch { task, data, info } => {
                self.tasks.insert(task.clone(), info);
                Some(Happened::Launched { task, data })
            }
            Heard::Kill { task } => Some(Happened::Kill { task }),
            Heard::Message(data) => Some(Happened::Message(data)),
            Heard::Shutdown => Some(Happened::Shutdown),
            Heard::Acknowledged { task, uuid } => {
                self.tasks.remove(&task);
                self.updates.retain(|(of, known, _)| *of != task || *known != uuid);
                None
            }
            Heard::Subscribed | Heard::Other => None,
        }
    }

    /// An update to be sent, and remembered until it is acknowledged.
    pub fn update(
        &mut self,
        task: &TaskId,
        state: &TaskState,
        healthy: Option<bool>,
        message: &str,
        now: Timestamp,
        random: [u8; 16],
    ) -> Value {
        let uuid = STANDARD.encode(version_4(random));
        let mut status = json!({
            "task_id": { "value": task.as_str() },
            "state": state.as_str(),
            "source": "SOURCE_EXECUTOR",
            "uuid": uuid,
            "timestamp": now.timestamp_millis() as f64 / 1000.0,
            "message": message,
        });
        if let Some(healthy) = healthy {
            status["healthy"] = json!(healthy);
        }
        self.updates.push((task.clone(), uuid, status.clone()));
        json!({ "type": "UPDATE", "update": { "status": status } })
    }

    /// Whether the agent has everything.
    pub fn is_settled(&self) -> bool {
        self.updates.is_empty()
    }
}

/// Marks random bytes as a UUID that is random.
const fn version_4(mut bytes: [u8; 16]) -> [u8; 16] {
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launched(protocol: &mut Protocol) {
        let json = br#"{"type":"LAUNCH","launch":{"task":{"name":"t","task_id":{"value":"t"},"agent_id":{"value":"S1"},"data":"aGk=","resources":[]}}}"#;
        let happened = protocol.heard(Heard::read(json).unwrap());
        assert_eq!(happened, Some(Happened::Launched { task: TaskId::new("t"), data: b"hi".to_vec() }));
    }

    #[test]
    fn what_the_agent_may_have_missed_is_told_at_the_next_subscription_until_it_is_acknowledged() {
        let mut protocol = Protocol::default();
        launched(&mut protocol);
        let subscribe = protocol.subscribe();
        assert_eq!(subscribe["subscribe"]["unacknowledged_tasks"][0]["name"], "t", "the whole task goes back");
        let now = Timestamp::from_timestamp_nanos(1_800_000_000_000_000_000);
        let update = protocol.update(&TaskId::new("t"), &TaskState::Running, Some(true), "well", now, [7; 16]);
        let uuid = update["update"]["status"]["uuid"].as_str().unwrap().to_owned();
        assert_eq!(protocol.subscribe()["subscribe"]["unacknowledged_updates"][0], update["update"]);
        let mut acknowledge = |uuid: &str| {
            protocol.heard(Heard::Acknowledged { task: TaskId::new("t"), uuid: uuid.to_owned() });
            protocol.is_settled()
        };
        assert!(!acknowledge("another"));
        assert!(acknowledge(&uuid));
        assert_eq!(protocol.subscribe()["subscribe"]["unacknowledged_tasks"], json!([]));
    }

    #[test]
    fn an_update_has_a_uuid_of_sixteen_bytes_of_version_4() {
        let mut protocol = Protocol::default();
        let now = Timestamp::from_timestamp_nanos(1_800_000_000_500_000_000);
        let update = protocol.update(&TaskId::new("t"), &TaskState::Starting, None, "", now, [0xff; 16]);
        let status = &update["update"]["status"];
        let uuid = STANDARD.decode(status["uuid"].as_str().unwrap()).unwrap();
        assert_eq!((uuid.len(), uuid[6] >> 4, uuid[8] >> 6), (16, 4, 2));
        assert_eq!(status["timestamp"], 1_800_000_000.5);
        assert!(status.get("healthy").is_none());
    }
}
