//! Which work is under way, as far as it may explain what people see?

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::id::SystemId;
use crate::model::unit::Timestamp;

/// What is done in one step of a rollout, an upgrade or a maintenance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Packages are brought to the host; nothing that runs is touched.
    Stage,
    /// Tasks leave the Mesos agent.
    Drain,
    /// Another MDM becomes the primary.
    SwitchMdm,
    /// A member joins the MDM cluster.
    AddMember,
    /// The MDM cluster changes the number of its members.
    SwitchClusterMode,
    /// An SDS joins its protection domain.
    AddSds,
    /// A device joins its storage pool.
    AddDevice,
    /// The SDS goes into maintenance; it still serves.
    EnterMaintenance,
    /// Packages or settings are changed, or a person works on the host: what runs there may be away.
    Apply,
    /// The host restarts.
    Reboot,
    /// What was away has to come back as it should be.
    Verify,
    /// The SDS leaves maintenance; it serves again.
    ExitMaintenance,
    /// What was written meanwhile is copied.
    AwaitResync,
    /// Tasks may come back to the Mesos agent.
    Reactivate,
    /// Nothing is done; the system is watched for a while.
    Soak,
    /// Data leaves the SDS, and the SDS the system, for good.
    Evacuate,
    /// An SDS that was about to leave stays.
    KeepSds,
    /// What was installed is taken away.
    Uninstall,
    /// The client leaves the system for good.
    RemoveSdc,
    /// The upgrade is made final.
    Finalise,
    /// What was changed is changed back: what runs there may be away.
    Rollback,
    /// The vendor's own tool upgrades the system; it is only watched.
    Vendor,
}

impl StepKind {
    /// Every kind.
    pub const ALL: [Self; 22] = [
        Self::Stage,
        Self::Drain,
        Self::SwitchMdm,
        Self::AddMember,
        Self::SwitchClusterMode,
        Self::AddSds,
        Self::AddDevice,
        Self::EnterMaintenance,
        Self::Apply,
        Self::Reboot,
        Self::Verify,
        Self::ExitMaintenance,
        Self::AwaitResync,
        Self::Reactivate,
        Self::Soak,
        Self::Evacuate,
        Self::KeepSds,
        Self::Uninstall,
        Self::RemoveSdc,
        Self::Finalise,
        Self::Rollback,
        Self::Vendor,
    ];

    /// Whether the agent of a node does it, by an order that it is given.
    pub const fn is_for_agent(self) -> bool {
        matches!(self, Self::Stage | Self::Apply | Self::Rollback | Self::Reboot | Self::Uninstall)
    }

    /// Its name in logs and mails.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stage => "stage",
            Self::Drain => "drain",
            Self::SwitchMdm => "switch_mdm",
            Self::AddMember => "add_member",
            Self::SwitchClusterMode => "switch_cluster_mode",
            Self::AddSds => "add_sds",
            Self::AddDevice => "add_device",
            Self::EnterMaintenance => "enter_maintenance",
            Self::Apply => "apply",
            Self::Reboot => "reboot",
            Self::Verify => "verify",
            Self::ExitMaintenance => "exit_maintenance",
            Self::AwaitResync => "await_resync",
            Self::Reactivate => "reactivate",
            Self::Soak => "soak",
            Self::Evacuate => "evacuate",
            Self::KeepSds => "keep_sds",
            Self::Uninstall => "uninstall",
            Self::RemoveSdc => "remove_sdc",
            Self::Finalise => "finalise",
            Self::Rollback => "rollback",
            Self::Vendor => "vendor",
        }
    }
}

impl fmt::Display for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The objects that a step works on, by the names they have in the labels of metrics and alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    /// The system they all belong to.
    pub system: SystemId,
    /// SDSs, each by its protection domain and its own name.
    #[serde(default)]
    pub sds: BTreeSet<(String, String)>,
    /// Members of the MDM cluster.
    #[serde(default)]
    pub mdms: BTreeSet<String>,
    /// SDCs.
    #[serde(default)]
    pub sdcs: BTreeSet<String>,
}

impl Touched {
    /// Nothing of this system.
    pub const fn nothing(system: SystemId) -> Self {
        Self { system, sds: BTreeSet::new(), mdms: BTreeSet::new(), sdcs: BTreeSet::new() }
    }
}

/// A step that was begun and not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Underway {
    /// What is done.
    pub step: StepKind,
    /// To what.
    pub touched: Touched,
    /// When it should be over at the latest; from then on it explains nothing.
    pub until: Timestamp,
}
