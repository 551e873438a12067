//! What is written down: each record is one thing that was decided, ordered or
//! seen, and the book is their sum.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::facts::AlertName;
use crate::model::hold::Override;
use crate::model::id::{AgentId, MdmId, NodeName, PlanId, RunId, SdcId, SdsId};
use crate::model::permit::Permit;
use crate::model::plan::{Approval, Step};
use crate::model::step::{Answer, MaintenanceMode, StepId, StepKind};
use crate::model::unit::Timestamp;

/// What is done to the world. Nothing else is: this list is what tests kill
/// the controller before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "effect")]
#[allow(missing_docs)]
pub enum Effect {
    /// To the MDM: an SDS goes into maintenance.
    Enter { sds: SdsId, mode: MaintenanceMode },
    /// To the MDM: an SDS leaves maintenance.
    Exit { sds: SdsId, mode: MaintenanceMode },
    /// To the MDM: another member owns the cluster.
    SwitchMdm { to: MdmId },
    /// To the MDM: the data of an SDS moves elsewhere, and the SDS is gone then.
    RemoveSds { sds: SdsId },
    /// To the MDM: an SDS that is about to leave stays.
    KeepSds { sds: SdsId },
    /// To the MDM: a client is gone.
    RemoveSdc { sdc: SdcId },
    /// To the MDM: the upgrade is final.
    Finalise,
    /// To Mesos: the agent ends its tasks and gets no more.
    Drain { agent: AgentId },
    /// To Mesos: the agent takes tasks.
    Reactivate { agent: AgentId },
    /// To the agent of a node: do this step. The boot id tells later whether the host was restarted since.
    Order { permit: Permit, boot_id: Box<str> },
}

impl Effect {
    /// Its name in logs and in the list of effects.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Enter { .. } => "enter",
            Self::Exit { .. } => "exit",
            Self::SwitchMdm { .. } => "switch_mdm",
            Self::RemoveSds { .. } => "remove_sds",
            Self::KeepSds { .. } => "keep_sds",
            Self::RemoveSdc { .. } => "remove_sdc",
            Self::Finalise => "finalise",
            Self::Drain { .. } => "drain",
            Self::Reactivate { .. } => "reactivate",
            Self::Order { .. } => "order",
        }
    }
}

/// What must be undone later.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "duty")]
#[allow(missing_docs)]
pub enum Duty {
    /// The SDS must leave maintenance.
    Maintenance { sds: SdsId },
    /// The agent must take tasks again.
    Deactivated { agent: AgentId },
}

/// A duty with whose it is and how long it may last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Obligation {
    pub duty: Duty,
    pub run: RunId,
    pub task: u32,
    pub node: NodeName,
    /// The mode, of a maintenance: it must be left as it was entered.
    pub mode: Option<MaintenanceMode>,
    pub since: Timestamp,
    /// From then on an alert fires.
    pub deadline: Timestamp,
    /// Who handed it over to us, of what somebody else began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed: Option<Handed>,
}

/// A person made something our duty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Handed {
    pub by: Box<str>,
    pub because: Box<str>,
}

impl fmt::Display for Handed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "handed over by {}: {}", self.by, self.because)
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "end")]
#[allow(missing_docs)]
pub enum End {
    /// Every task is done or was skipped.
    Done,
    /// A person wished so; all that was begun was undone.
    Cancelled,
    /// It failed, for this; all that was begun was undone.
    Halted { why: Box<str> },
}

/// One thing that was decided, ordered or seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "record")]
#[allow(missing_docs)]
pub enum Record {
    /// A run of an approved plan begins; these alerts were there before. The plan is on file.
    Opened {
        run: RunId,
        plan: PlanId,
        approval: Approval,
        baseline: BTreeSet<AlertName>,
    },
    /// Who approved it knows that these steps were only concluded, and never seen.
    Accepted {
        run: RunId,
        steps: BTreeSet<StepKind>,
        by: Box<str>,
    },
    /// A task is in work.
    Began {
        run: RunId,
        task: u32,
    },
    /// Something will have to be undone.
    Took {
        obligation: Obligation,
    },
    /// It was undone, or never came to be.
    Settled {
        duty: Duty,
    },
    /// This effect shall happen next.
    Intended {
        step: StepId,
        epoch: u64,
        effect: Effect,
        gate: Box<str>,
    },
    /// This came of it.
    Answered {
        step: StepId,
        answer: Answer,
    },
    /// What was seen when it could not arrive any more does not show it: this order came to nothing.
    Lost {
        step: StepId,
    },
    /// The system shows that the step at hand is done; the next one begins.
    Confirmed {
        run: RunId,
        task: u32,
        place: u32,
    },
    /// Since then all has been well at a task that soaks; nothing: it is not.
    Well {
        run: RunId,
        task: u32,
        since: Option<Timestamp>,
    },
    /// A task has waited for this for a while.
    Waited {
        run: RunId,
        task: u32,
        why: Box<str>,
    },
    /// A task is given up, and these steps lead back.
    Failed {
        run: RunId,
        task: u32,
        why: Box<str>,
        undo: Vec<Step>,
        counts: bool,
    },
    /// A step that leads back is not done, since what it was to be done in is over; the next one begins.
    LeftOut {
        run: RunId,
        task: u32,
        place: u32,
        why: Box<str>,
    },
    /// A step that leads back takes longer than it may; it goes on, and a person is told.
    Overdue {
        run: RunId,
        task: u32,
        why: Box<str>,
    },
    /// Nothing more is begun.
    Halted {
        run: RunId,
        why: Box<str>,
    },
    /// The run is over.
    Closed {
        run: RunId,
        end: End,
    },
    Paused {
        run: RunId,
        by: Box<str>,
    },
    Resumed {
        run: RunId,
        by: Box<str>,
    },
    Cancelled {
        run: RunId,
        by: Box<str>,
    },
    /// A task that was not begun is left out.
    Skipped {
        run: RunId,
        task: u32,
        by: Box<str>,
    },
    /// A node is left alone until then.
    HeldNode {
        node: NodeName,
        until: Option<Timestamp>,
        by: Box<str>,
    },
    Released {
        node: NodeName,
        by: Box<str>,
    },
    Overridden {
        run: RunId,
        given: Override,
    },
    /// A version is not installed anywhere any more.
    Quarantined {
        version: Box<str>,
        why: Box<str>,
    },
    Freed {
        version: Box<str>,
        by: Box<str>,
    },
}
