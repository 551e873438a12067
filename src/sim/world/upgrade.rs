//! How far an upgrade is, and what a package on a node changes.

use std::time::Duration;

use super::World;
use super::command::Refusal;
use super::object::Id;

/// How long the MDM works on after an upgrade was finished.
pub(super) const POST_PROCESSING: Duration = Duration::from_secs(15);

/// The upgrade of a system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Upgrade {
    /// There is none.
    #[default]
    None,
    /// Components are being upgraded.
    #[allow(missing_docs)]
    Running { from: String, commands_allowed: bool },
    /// All are; the MDM still works on it.
    #[allow(missing_docs)]
    PostProcessing { until: Duration },
    /// The last one is over.
    Finished,
}

/// What runs on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Component {
    Mdm(String),
    Sds(String),
    Sdc(String),
    Sdr(String),
    Sdt(String),
}

impl World {
    /// Another version of a component was installed and runs. Components go by
    /// name, clients also by address or id.
    pub fn install(&mut self, component: &Component, version: &str) -> Result<(), Refusal> {
        let version = version.to_owned();
        let not_found = |kind, name: &str| Refusal::NotFound { kind, name: name.to_owned() };
        match component {
            Component::Mdm(name) => {
                let mdm = self.mdm.members.iter_mut().find(|mdm| mdm.name == *name);
                mdm.ok_or_else(|| not_found("MDM", name))?.version = version;
            }
            Component::Sds(name) => self.sds_named(name)?.version = version,
            Component::Sdc(name) => {
                let id: Id = self.sdc_named(name)?;
                self.sdcs.entry(id).and_modify(|sdc| sdc.version = version);
            }
            Component::Sdr(name) => {
                let sdr = self.sdrs.values_mut().find(|sdr| sdr.name == *name);
                sdr.ok_or_else(|| not_found("SDR", name))?.version = version;
            }
            Component::Sdt(name) => {
                let sdt = self.sdts.values_mut().find(|sdt| sdt.name == *name);
                sdt.ok_or_else(|| not_found("SDT", name))?.version = version;
            }
        }
        Ok(())
    }

    pub(super) fn carry_on_upgrade(&mut self) {
        if matches!(self.upgrade, Upgrade::PostProcessing { until } if self.now >= until) {
            self.upgrade = Upgrade::Finished;
        }
    }
}
