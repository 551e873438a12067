//! The upgrade as the MDM sees it: begun, finished, or given up.

use super::{Answer, Reply};
use crate::sim::world::World;
use crate::sim::world::code::Code;
use crate::sim::world::object::Maintenance;
use crate::sim::world::upgrade::{POST_PROCESSING, Upgrade};

/// A command about the upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum UpgradeCommand {
    Start,
    /// Lets commands to the MDM cluster through while it runs.
    AllowCommands,
    Finalize,
    Abort,
}

impl World {
    pub(super) fn upgrade_command(&mut self, command: UpgradeCommand) -> Answer {
        let now = self.now;
        match command {
            UpgradeCommand::Start => match self.upgrade {
                Upgrade::None if !self.mdm.normal(now) => return Err(Code::ClusterDegraded),
                Upgrade::None | Upgrade::Finished => {
                    let from = self.mdm.master().map(|mdm| mdm.version.clone()).unwrap_or_default();
                    self.upgrade = Upgrade::Running { from, commands_allowed: false };
                }
                Upgrade::Running { .. } => return Err(Code::UpgradeRunning),
                Upgrade::PostProcessing { .. } => return Err(Code::PostProcessing),
            },
            UpgradeCommand::AllowCommands => match &mut self.upgrade {
                Upgrade::Running { commands_allowed, .. } => *commands_allowed = true,
                Upgrade::PostProcessing { .. } => return Err(Code::PostProcessing),
                Upgrade::None | Upgrade::Finished => return Err(Code::UpgradeNotStarted),
            },
            UpgradeCommand::Finalize => {
                match &self.upgrade {
                    Upgrade::Running { .. } => {}
                    Upgrade::PostProcessing { .. } => return Err(Code::PostProcessing),
                    Upgrade::None | Upgrade::Finished => return Err(Code::UpgradeNotStarted),
                }
                let target = self.mdm.master().map(|mdm| mdm.version.clone()).unwrap_or_default();
                if self.mdm.voters().any(|mdm| mdm.version != target) {
                    return Err(Code::ClusterNotUpgraded);
                }
                if self.sds.values().any(|sds| sds.version != target) {
                    return Err(Code::NotAllSdsUpgraded);
                }
                if self.sds.values().any(|sds| sds.maintenance != Maintenance::None) {
                    return Err(Code::UpgradeNotFinished);
                }
                if !self.mdm.normal(now) {
                    return Err(Code::ClusterDegraded);
                }
                self.upgrade = Upgrade::PostProcessing { until: now + POST_PROCESSING };
            }
            UpgradeCommand::Abort => {
                let Upgrade::Running { from, .. } = &self.upgrade else { return Err(Code::UpgradeNotStarted) };
                let began = |version: &String| version != from;
                if self.mdm.members.iter().any(|mdm| began(&mdm.version))
                    || self.sds.values().any(|sds| began(&sds.version))
                {
                    return Err(Code::WrongUpgradeState);
                }
                self.upgrade = Upgrade::None;
            }
        }
        Ok(Reply::Done)
    }

    /// Commands to the cluster wait while an upgrade runs.
    pub(super) fn cluster_is_open(&self) -> Result<(), Code> {
        match self.upgrade {
            Upgrade::None | Upgrade::Finished | Upgrade::Running { commands_allowed: true, .. } => Ok(()),
            Upgrade::Running { .. } => Err(Code::ClusterBlocked),
            Upgrade::PostProcessing { .. } => Err(Code::PostProcessing),
        }
    }
}
