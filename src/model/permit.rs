//! The right to do one step: what an agent must be shown before it stops,
//! changes or restarts anything.
//!
//! A permit is short-lived on purpose: what the gate saw is true for a minute,
//! not for an hour. An agent that was cut off finds its permit run out.

use std::fmt;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::id::NodeName;
use super::step::{Action, StepId};
use super::unit::Timestamp;

/// How long a permit is good. Long enough for an order to reach an agent that
/// polls every 10 s, short enough that the gate's word is still true.
pub const LIFE: TimeDelta = TimeDelta::seconds(60);

/// The right of one node to do one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Permit {
    pub node: NodeName,
    pub step: StepId,
    pub action: Action,
    /// Which leader gave it. An agent keeps the highest it has seen and refuses lower ones.
    pub epoch: u64,
    /// Hash of what the gate was told and what it said, for the books.
    pub gate: Box<str>,
    pub expires: Timestamp,
}

/// Why an agent does not act on a permit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[allow(missing_docs)]
pub enum NotPermitted {
    #[error("the permit is for {0}, not for this node")]
    OtherNode(NodeName),
    #[error("the permit is of epoch {given}, and epoch {seen} has spoken since")]
    OldEpoch { given: u64, seen: u64 },
    #[error("the permit ran out at {0}")]
    Expired(Timestamp),
}

impl Permit {
    /// Whether a node that has seen this epoch may act on it now.
    pub fn admits(&self, node: &NodeName, seen_epoch: u64, now: Timestamp) -> Result<(), NotPermitted> {
        if self.node != *node {
            return Err(NotPermitted::OtherNode(self.node.clone()));
        }
        if self.epoch < seen_epoch {
            return Err(NotPermitted::OldEpoch { given: self.epoch, seen: seen_epoch });
        }
        if now >= self.expires {
            return Err(NotPermitted::Expired(self.expires));
        }
        Ok(())
    }
}

impl fmt::Display for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {} until {}", self.action.kind(), self.node, self.expires)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::RunId;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_timestamp(second, 0).unwrap()
    }

    #[test]
    fn a_permit_is_for_its_node_its_epoch_and_its_minute() {
        let node = NodeName::new("n1");
        let step = StepId { run: RunId::new("r"), task: 0, place: 0, attempt: 0 };
        let permit =
            Permit { node: node.clone(), step, action: Action::Reboot, epoch: 4, gate: "".into(), expires: at(60) };
        assert_eq!(permit.admits(&node, 4, at(59)), Ok(()));
        assert_eq!(permit.admits(&node, 3, at(59)), Ok(()));
        assert_eq!(permit.admits(&node, 5, at(59)), Err(NotPermitted::OldEpoch { given: 4, seen: 5 }));
        assert_eq!(permit.admits(&node, 4, at(60)), Err(NotPermitted::Expired(at(60))));
        assert!(matches!(permit.admits(&NodeName::new("n2"), 4, at(0)), Err(NotPermitted::OtherNode(_))));
    }
}
