//! What a rollout would do, and why it does no more, in words for people.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::id::NodeName;

/// What would be done now. Nothing of it happens by being looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// What would be added, in this order.
    pub additions: Vec<String>,
    /// What differs from the wishes and is left alone.
    pub drift: Vec<String>,
    /// Nodes that are left out, each with the reasons.
    pub refused: BTreeMap<NodeName, Vec<String>>,
    /// Nodes that would provide storage but give nothing, with the reason.
    pub idle: BTreeMap<NodeName, String>,
    /// Nodes that provide or consume.
    pub nodes: Vec<NodeName>,
    /// Who would carry the MDM cluster; none where it exists already.
    pub mdm: Option<MdmPreview>,
    /// Why nothing can be said of additions, where that is so.
    pub unseen: Option<String>,
}

/// Who would carry the MDM cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MdmPreview {
    /// Seats by node.
    pub seats: BTreeMap<NodeName, String>,
    /// Seats that nobody can take, with the reasons of every node.
    pub missing: Vec<String>,
    /// What is allowed, but should be known.
    pub warnings: Vec<String>,
    /// Commands that would be given and were never seen in use; each waits until a person accepts it by its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unproven: Vec<String>,
}
