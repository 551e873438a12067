//! How all systems are, in short: what the controller answers to `sio status`.
//!
//! Server and client share it. What is not known is absent, never zero.

use serde::{Deserialize, Serialize};

use super::unit::Timestamp;

/// The answer of `/api/v1/status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Status {
    /// Release of the controller.
    pub version: String,
    pub started_at: Timestamp,
    /// Every configured system, in the order of names.
    pub systems: Vec<SystemStatus>,
}

impl Status {
    /// Whether every system is well.
    pub fn is_well(&self) -> bool {
        self.systems.iter().all(SystemStatus::is_well)
    }
}

/// How one system is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SystemStatus {
    /// Its configured name.
    pub system: String,
    /// Whether the last poll was answered.
    pub up: bool,
    /// `2.5`, `3.5` and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<String>,
    /// The release in the MDM's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The address that answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// The MDM cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mdm: Option<MdmBrief>,
    /// Data servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sds: Option<SdsBrief>,
    /// Devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<DevicesBrief>,
    /// Raw capacity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<CapacityBrief>,
    /// Data that is not fully protected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataBrief>,
    /// Rebuild that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuild: Option<RebuildBrief>,
    /// What all of this is based on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotBrief>,
    /// What a person should look at, one sentence each; empty when all is well.
    #[serde(default)]
    pub problems: Vec<String>,
}

impl SystemStatus {
    /// Whether it answers and nothing is wrong with it.
    pub fn is_well(&self) -> bool {
        self.up && self.snapshot.is_some() && self.problems.is_empty()
    }
}

/// The MDM cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct MdmBrief {
    pub state: String,
    pub mode: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good_nodes: Option<u32>,
}

/// Data servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct SdsBrief {
    pub connected: u64,
    pub total: u64,
}

/// Devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct DevicesBrief {
    pub errors: u64,
    pub total: u64,
}

/// Raw capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct CapacityBrief {
    pub max_bytes: u64,
    pub in_use_bytes: u64,
}

/// Data that is not fully protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataBrief {
    /// With one copy left.
    pub degraded_bytes: u64,
    /// With no copy left.
    pub failed_bytes: u64,
}

/// Rebuild that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct RebuildBrief {
    pub left_bytes: u64,
    pub bytes_per_second: f64,
}

/// Which snapshot, and how old.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct SnapshotBrief {
    pub seq: u64,
    pub age_seconds: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_absent_and_read_as_such() {
        let unseen = SystemStatus { system: "prod".to_owned(), ..SystemStatus::default() };
        let text = serde_json::to_string(&unseen).unwrap();
        assert_eq!(text, r#"{"system":"prod","up":false,"problems":[]}"#);
        assert_eq!(serde_json::from_str::<SystemStatus>(&text).unwrap(), unseen);
        assert!(!unseen.is_well());
    }

    #[test]
    fn a_newer_controller_may_say_more() {
        let text = r#"{"version":"9","started_at":"2026-11-24T00:00:00Z","systems":[
            {"system":"prod","up":true,"snapshot":{"seq":1,"age_seconds":2.5,"new":1},"problems":[],"new":{}}],"new":[]}"#;
        assert!(serde_json::from_str::<Status>(text).unwrap().is_well());
    }
}
