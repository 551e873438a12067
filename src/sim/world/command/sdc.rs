//! Commands to clients.

use super::{Answer, Reply, fits, next};
use crate::sim::world::World;
use crate::sim::world::code::Code;
use crate::sim::world::load::Traffic;
use crate::sim::world::object::{Id, Sdc, Setting};

/// A command to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SdcCommand {
    Rename(String),
    Set(Vec<(&'static str, Setting)>),
    Remove,
}

impl World {
    pub(super) fn approve_sdc(&mut self, guid: Option<String>, ip: Option<String>, name: Option<String>) -> Answer {
        if let Some(name) = &name {
            fits(name)?;
            self.sdc_name_is_free(name)?;
        }
        let known = self
            .sdcs
            .values()
            .find(|sdc| guid.as_ref() == Some(&sdc.guid) || ip.as_ref() == Some(&sdc.ip))
            .map(|sdc| sdc.id);
        if let Some(id) = known {
            if self.setting(id, "sdcApproved") != Some(&Setting::Bool(false)) {
                return Err(Code::SdcApproved);
            }
            self.set(id, "sdcApproved", Setting::Bool(true));
            return Ok(Reply::Created(id));
        }
        // One that nobody has seen yet may come later.
        let id = next(self.sdcs.keys(), 0x2d06);
        let sdc = Sdc {
            id,
            name,
            guid: guid.unwrap_or_else(|| format!("00000000-0000-0000-0000-{:012X}", id.0 & 0xffff_ffff_ffff)),
            ip: ip.unwrap_or_else(|| "0.0.0.0".to_owned()),
            connected: false,
            version: self.release.component().to_owned(),
            mapped: Vec::new(),
            traffic: Traffic::default(),
        };
        self.sdcs.insert(id, sdc);
        Ok(Reply::Created(id))
    }

    fn sdc_name_is_free(&self, name: &str) -> Result<(), Code> {
        let taken = self.sdcs.values().any(|sdc| sdc.name.as_deref() == Some(name))
            || self.hosts.values().any(|host| host.name == name);
        if taken { Err(Code::SdcNameInUse) } else { Ok(()) }
    }

    pub(super) fn sdc_command(&mut self, id: Id, command: SdcCommand) -> Answer {
        let Some(sdc) = self.sdcs.get(&id) else { return self.host_command(id, command) };
        match command {
            SdcCommand::Rename(name) => {
                fits(&name)?;
                self.sdc_name_is_free(&name)?;
                self.sdcs.entry(id).and_modify(|sdc| sdc.name = Some(name));
            }
            SdcCommand::Set(settings) => {
                for (name, value) in settings {
                    self.set(id, name, value);
                }
            }
            SdcCommand::Remove => {
                if !sdc.mapped.is_empty() {
                    return Err(Code::SdcHasMappings);
                }
                if sdc.connected {
                    return Err(Code::SdcMustBeAway);
                }
                self.sdcs.remove(&id);
                self.settings.remove(&id);
            }
        }
        Ok(Reply::Done)
    }

    /// NVMe hosts are clients too, though nothing of ours runs on them.
    fn host_command(&mut self, id: Id, command: SdcCommand) -> Answer {
        let host = self.hosts.get(&id).ok_or(Code::SdcNotFound)?;
        match command {
            SdcCommand::Rename(name) => {
                fits(&name)?;
                self.sdc_name_is_free(&name)?;
                self.hosts.entry(id).and_modify(|host| host.name = name);
            }
            SdcCommand::Set(_) => return Err(Code::NotSupported),
            SdcCommand::Remove => {
                if !host.mapped.is_empty() {
                    return Err(Code::SdcHasMappings);
                }
                self.hosts.remove(&id);
                self.settings.remove(&id);
            }
        }
        Ok(Reply::Done)
    }
}
