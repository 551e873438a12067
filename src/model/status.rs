//! How it goes, in a page: what `/api/v1/status` says and `sio status` shows.
//!
//! What is not known is absent.

use serde::{Deserialize, Serialize};

use super::unit::Timestamp;

/// The state of the controller and of every system it watches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Status {
    pub version: String,
    pub started_at: Timestamp,
    pub systems: Vec<SystemStatus>,
    /// Who is told of alerts, and whether that works.
    #[serde(default)]
    pub receivers: Vec<ReceiverStatus>,
    /// What is wrong with the controller itself, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// A way on which alerts are told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReceiverStatus {
    /// Its name.
    pub name: String,
    /// What waits to be told.
    #[serde(default)]
    pub waiting: usize,
    /// Since when the oldest of it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Timestamp>,
    /// What was given up and is kept.
    #[serde(default)]
    pub failed: usize,
    /// When something was taken last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sent: Option<Timestamp>,
    /// What is wrong, in sentences; empty when all is well.
    pub problems: Vec<String>,
}

impl ReceiverStatus {
    /// One of which nothing is known yet.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}

impl Status {
    /// Whether every system is well, the controller too, and people hear when one is not.
    pub fn is_well(&self) -> bool {
        self.problems.is_empty()
            && self.systems.iter().all(SystemStatus::is_well)
            && self.receivers.iter().all(|to| to.problems.is_empty())
    }
}

/// One system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SystemStatus {
    /// Its name in the configuration.
    pub system: String,
    /// Whether the last poll was answered in full.
    pub up: bool,
    /// Family of releases, such as `3.5`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<String>,
    /// The release as the MDM writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The address that answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// The MDM cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mdm: Option<MdmStatus>,
    /// Storage data servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sds: Option<Connected>,
    /// Storage data clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdcs: Option<Connected>,
    /// Devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<DeviceStatus>,
    /// Raw capacity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<CapacityStatus>,
    /// Data that is not fully protected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataStatus>,
    /// Data that is still to be moved to be protected again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuild: Option<RebuildStatus>,
    /// How fresh all this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotStatus>,
    /// What is wrong, in sentences; empty when all is well.
    pub problems: Vec<String>,
}

impl SystemStatus {
    /// Whether it answers and nothing is wrong with it.
    pub fn is_well(&self) -> bool {
        self.up && self.snapshot.is_some() && self.problems.is_empty()
    }
}

/// The MDM cluster in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct MdmStatus {
    pub state: String,
    pub mode: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good_nodes: Option<u32>,
}

/// How many are connected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Connected {
    pub connected: usize,
    pub total: usize,
}

/// How many have errors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct DeviceStatus {
    pub errors: usize,
    pub total: usize,
}

/// Raw capacity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct CapacityStatus {
    pub max_bytes: u64,
    pub in_use_bytes: u64,
}

/// Data with one copy, and data with none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct DataStatus {
    pub degraded_bytes: u64,
    pub failed_bytes: u64,
}

/// Rebuild work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct RebuildStatus {
    pub left_bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<f64>,
}

/// Which snapshot this is from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct SnapshotStatus {
    pub seq: u64,
    pub age_seconds: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_that_was_not_heard_is_not_well() {
        let unheard: SystemStatus = serde_json::from_str(r#"{"system":"prod","up":true,"problems":[]}"#).unwrap();
        assert!(!unheard.is_well());
        assert_eq!(serde_json::to_string(&unheard).unwrap(), r#"{"system":"prod","up":true,"problems":[]}"#);
    }

    #[test]
    fn a_newer_controller_may_say_more() {
        let text = r#"{"version":"9","started_at":"2026-11-24T00:00:00Z","systems":[
            {"system":"prod","up":true,"snapshot":{"seq":1,"age_seconds":2.5,"new":1},"problems":[],"new":{}}],"new":[]}"#;
        assert!(serde_json::from_str::<Status>(text).unwrap().is_well());
    }
}
