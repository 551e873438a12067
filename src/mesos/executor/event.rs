//! What does an event of the executor stream say?

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use crate::model::id::TaskId;

/// An event of the executor stream.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Heard {
    Subscribed,
    /// A task, and all that was said of it.
    Launch {
        task: TaskId,
        data: Vec<u8>,
        info: Value,
    },
    Kill {
        task: TaskId,
    },
    Acknowledged {
        task: TaskId,
        uuid: String,
    },
    Message(Vec<u8>),
    Shutdown,
    /// A heartbeat, an error in words, or a type that this version does not know.
    Other,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    launch: Option<LaunchWire>,
    #[serde(default)]
    kill: Option<Named>,
    #[serde(default)]
    acknowledged: Option<Named>,
    #[serde(default)]
    message: Option<MessageWire>,
}

#[derive(Deserialize)]
struct LaunchWire {
    task: Value,
}

#[derive(Deserialize)]
struct Named {
    task_id: Id,
    #[serde(default)]
    uuid: String,
}

#[derive(Deserialize)]
struct Id {
    value: String,
}

#[derive(Deserialize)]
struct MessageWire {
    #[serde(default)]
    data: String,
}

impl Heard {
    /// Reads the JSON of an event.
    pub fn read(json: &[u8]) -> Result<Self, String> {
        let wire: Wire = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let kind = wire.kind.unwrap_or_default();
        let missing = || format!("a {kind} says nothing");
        let bytes = |text: &str| STANDARD.decode(text).map_err(|error| format!("the data of a {kind}: {error}"));
        Ok(match kind.as_str() {
            "SUBSCRIBED" => Self::Subscribed,
            "LAUNCH" => {
                let info = wire.launch.ok_or_else(missing)?.task;
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let task = text(&info["task_id"]["value"]);
                if task.is_empty() {
                    return Err("a LAUNCH names no task".to_owned());
                }
                Self::Launch { task: TaskId::new(&task), data: bytes(&text(&info["data"]))?, info }
            }
            "KILL" => Self::Kill { task: TaskId::new(&wire.kill.ok_or_else(missing)?.task_id.value) },
            "ACKNOWLEDGED" => {
                let Named { task_id, uuid } = wire.acknowledged.ok_or_else(missing)?;
                Self::Acknowledged { task: TaskId::new(&task_id.value), uuid }
            }
            "MESSAGE" => Self::Message(bytes(&wire.message.ok_or_else(missing)?.data)?),
            "SHUTDOWN" => Self::Shutdown,
            _ => Self::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recorded_event_is_read_as_what_it_is() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/mesos");
        let read =
            |name: &str| Heard::read(&std::fs::read(format!("{folder}/executor-event-{name}.json")).unwrap()).unwrap();
        assert_eq!(read("SUBSCRIBED"), Heard::Subscribed);
        assert!(
            matches!(read("LAUNCH"), Heard::Launch { task, data, .. } if task.as_str() == "t-a" && data == b"task data")
        );
        assert!(matches!(read("KILL"), Heard::Kill { .. }));
        assert!(matches!(read("ACKNOWLEDGED"), Heard::Acknowledged { uuid, .. } if !uuid.is_empty()));
        assert!(matches!(read("MESSAGE"), Heard::Message(data) if !data.is_empty()));
        assert_eq!(read("SHUTDOWN"), Heard::Shutdown);
    }

    #[test]
    fn what_cannot_be_read_is_told_and_what_is_unknown_is_no_fault() {
        assert_eq!(Heard::read(br#"{"type":"ASCEND"}"#), Ok(Heard::Other));
        assert_eq!(Heard::read(br#"{"type":"KILL"}"#), Err("a KILL says nothing".to_owned()));
        assert!(Heard::read(br#"{"type":"LAUNCH","launch":{"task":{}}}"#).is_err());
        assert!(Heard::read(b"").is_err());
    }
}
