//! What is done to a node or a system in one step, and how far a step is.
//!
//! ```text
//!            gate says go             the effect             a later snapshot shows it
//!  Pending ──────────────► Intended ─────────────► Applied ───────────────► Confirmed
//!                             │  ▲ never acted upon: intended once more        
//!                             └──┘
//! ```
//!
//! An intention is durable before its effect leaves, so after a crash whatever
//! may have happened is written down, and the system itself says whether it did.

use std::fmt;

use serde::{Deserialize, Serialize};

pub use super::alerting::StepKind;
use super::id::{RunId, SdcId};
use super::unit::Timestamp;

/// A piece of software that is installed on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Component {
    // In the order in which they are upgraded: none is ever newer than the one before it.
    Lia,
    Gateway,
    Mdm,
    Sds,
    Sdr,
    Sdt,
    Sdc,
}

impl Component {
    /// Every component, in the order of upgrades.
    pub const ALL: [Self; 7] = [Self::Lia, Self::Gateway, Self::Mdm, Self::Sds, Self::Sdr, Self::Sdt, Self::Sdc];

    /// The component of a word in packages; nothing when we do not know it.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|component| component.as_str() == word)
    }

    /// Its name in packages, metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lia => "lia",
            Self::Gateway => "gateway",
            Self::Mdm => "mdm",
            Self::Sds => "sds",
            Self::Sdr => "sdr",
            Self::Sdt => "sdt",
            Self::Sdc => "sdc",
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the data of an SDS in maintenance is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaintenanceMode {
    /// It stays frozen on the node; the other copy is the only one that serves. For less than 30 minutes.
    Instant,
    /// A third copy is made first, so that two serve. From 3.5 on.
    Protected,
}

impl MaintenanceMode {
    /// Every mode.
    pub const ALL: [Self; 2] = [Self::Instant, Self::Protected];

    /// Its name in configuration and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Instant => "instant",
            Self::Protected => "protected",
        }
    }

    /// The mode of this name.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == word)
    }
}

impl fmt::Display for MaintenanceMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a step does. After it the sentence at its variant is true.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum Action {
    /// The packages of this version are on the node and their digests were checked there.
    #[allow(missing_docs)]
    Stage { version: Box<str>, components: Vec<Component> },
    /// The Mesos agent is drained: it runs no task and gets no offer.
    Drain,
    /// The MDM cluster is owned by another node.
    SwitchMdm,
    /// The node is a member of the MDM cluster.
    AddMember,
    /// The MDM cluster has this many members.
    #[allow(missing_docs)]
    SwitchClusterMode { members: u8 },
    /// The node's SDS is connected and joined.
    AddSds,
    /// This device is in its pool and serves.
    #[allow(missing_docs)]
    AddDevice { path: Box<str> },
    /// The SDS is in maintenance, by our doing.
    #[allow(missing_docs)]
    EnterMaintenance { mode: MaintenanceMode },
    /// These components are installed in this version, and their services run.
    #[allow(missing_docs)]
    Apply { version: Box<str>, components: Vec<Component> },
    /// A person, or a hook of theirs, has worked on the host and said so.
    Handwork,
    /// The host has another boot id, and the kernel it was to start with.
    Reboot,
    /// The node and the MDM both report the wanted versions, connected and joined.
    #[allow(missing_docs)]
    Verify { version: Option<Box<str>>, components: Vec<Component> },
    /// The SDS is in no maintenance.
    ExitMaintenance,
    /// All data of its pools is protected, and nothing waits to be moved for that.
    AwaitResync,
    /// The Mesos agent takes tasks.
    Reactivate,
    /// All has been well for this long without a break.
    #[allow(missing_docs)]
    Soak { seconds: u32 },
    /// No data is left on the SDS, and it is gone from the system.
    Evacuate,
    /// The SDS is no longer about to leave the system, or it has left.
    KeepSds,
    /// None of these components is installed.
    #[allow(missing_docs)]
    Uninstall { components: Vec<Component> },
    /// The client of the node is gone from the system.
    #[allow(missing_docs)]
    RemoveSdc { sdc: SdcId },
    /// The MDM has ended the upgrade; there is no way back.
    Finalise,
    /// The components are installed in this version, the one from before, and their services run.
    #[allow(missing_docs)]
    Rollback { version: Box<str>, components: Vec<Component> },
    /// The vendor's own tool has brought all of the system to this version, and the MDM says that no upgrade is under way.
    #[allow(missing_docs)]
    Vendor { version: Box<str> },
}

impl Action {
    /// Which kind of step it is.
    pub const fn kind(&self) -> StepKind {
        match self {
            Self::Stage { .. } => StepKind::Stage,
            Self::Drain => StepKind::Drain,
            Self::SwitchMdm => StepKind::SwitchMdm,
            Self::AddMember => StepKind::AddMember,
            Self::SwitchClusterMode { .. } => StepKind::SwitchClusterMode,
            Self::AddSds => StepKind::AddSds,
            Self::AddDevice { .. } => StepKind::AddDevice,
            Self::EnterMaintenance { .. } => StepKind::EnterMaintenance,
            Self::Apply { .. } | Self::Handwork => StepKind::Apply,
            Self::Reboot => StepKind::Reboot,
            Self::Verify { .. } => StepKind::Verify,
            Self::ExitMaintenance => StepKind::ExitMaintenance,
            Self::AwaitResync => StepKind::AwaitResync,
            Self::Reactivate => StepKind::Reactivate,
            Self::Soak { .. } => StepKind::Soak,
            Self::Evacuate => StepKind::Evacuate,
            Self::KeepSds => StepKind::KeepSds,
            Self::Uninstall { .. } => StepKind::Uninstall,
            Self::RemoveSdc { .. } => StepKind::RemoveSdc,
            Self::Finalise => StepKind::Finalise,
            Self::Rollback { .. } => StepKind::Rollback,
            Self::Vendor { .. } => StepKind::Vendor,
        }
    }
}

/// Which step of which run is meant. Whoever has an effect keeps the ids of
/// finished steps, and answers a second order for one with what came of the first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StepId {
    /// The run.
    pub run: RunId,
    /// The task, counted through all stages of the plan.
    pub task: u32,
    /// The place of the step in its task; steps that undo follow those of the plan.
    pub place: u32,
    /// How often it was intended before. A new attempt is a new effect.
    pub attempt: u32,
}

impl StepId {
    /// Reads what `Display` writes, also with a `+` and a name behind it, where a step takes several orders; nothing when it
    /// is the id of something else.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.split_once('+').map_or(text, |(step, _)| step);
        let mut parts = text.rsplitn(4, '/');
        let mut number = || parts.next()?.parse::<u32>().ok();
        let (attempt, place, task) = (number()?, number()?, number()?);
        let run = parts.next().filter(|run| !run.is_empty())?;
        Some(Self { run: RunId::new(run), task, place, attempt })
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.run, self.task, self.place, self.attempt)
    }
}

/// How far a step is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum StepState {
    /// Nothing was done for it.
    Pending,
    /// It was written down that it shall happen; whether it did is not known.
    #[allow(missing_docs)]
    Intended { at: Timestamp, attempt: u32 },
    /// It was accepted by whoever does it; the system does not show it yet.
    #[allow(missing_docs)]
    Applied { at: Timestamp, attempt: u32 },
    /// The system shows that it is done.
    #[allow(missing_docs)]
    Confirmed { at: Timestamp },
}

/// What came of an order, as the one who had it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum Answer {
    /// It is done or begun.
    Accepted,
    /// It was so already.
    AlreadySo,
    /// It was not done, and this is why. Nothing has changed.
    #[allow(missing_docs)]
    Refused { why: Box<str> },
    /// It was tried and went wrong half-way.
    #[allow(missing_docs)]
    Failed { why: Box<str> },
    /// No answer came: it may be done or not, now or later.
    #[allow(missing_docs)]
    Unknown { why: Box<str> },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_s_id_is_read_back_and_that_of_something_else_is_not() {
        let id = StepId { run: RunId::new("a/b"), task: 1, place: 22, attempt: 3 };
        assert_eq!(StepId::read(&format!("{id}+sds")), Some(id.clone()));
        assert_eq!(StepId::read(&id.to_string()), Some(id));
        for other in ["", "a", "a/1/2", "/1/2/3", "a/1/x/3", "rollout.n1.7"] {
            assert_eq!(StepId::read(other), None, "{other}");
        }
    }
}
