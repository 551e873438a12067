//! Commands to storage pools.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Answer, Reply, fits, next};
use crate::sim::world::World;
use crate::sim::world::code::Code;
use crate::sim::world::figures::PoolFigures;
use crate::sim::world::load::Traffic;
use crate::sim::world::object::{Id, Pool, Setting};

/// Spare capacity of a pool that nobody set, in percent.
const USUAL_SPARE: u64 = 10;
/// No pool keeps more than this free.
const MOST_SPARE: u64 = 90;

/// A storage pool to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct NewPool {
    pub domain: Id,
    pub name: Option<String>,
    pub ssd: bool,
    pub spare_percent: Option<u64>,
    pub settings: Vec<(&'static str, Setting)>,
}

/// A command to a storage pool.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum PoolCommand {
    Rename(String),
    Spare(u64),
    Rebuild(bool),
    Rebalance(bool),
    Thresholds {
        high: u64,
        critical: u64,
    },
    /// What people may set at once only.
    IoPriority {
        fields: [&'static str; 3],
        policy: String,
        ios: Option<u64>,
        kbps: Option<u64>,
    },
    Parallelism(u64),
    ZeroPadding(bool),
    Media {
        ssd: bool,
    },
    Set(Vec<(&'static str, Setting)>),
    Remove,
}

impl World {
    pub(super) fn create_pool(&mut self, new: NewPool) -> Answer {
        if !self.domains.contains_key(&new.domain) {
            return Err(Code::DomainNotFound);
        }
        if let Some(name) = &new.name {
            fits(name)?;
            self.pool_name_is_free(new.domain, name)?;
        }
        let spare_percent = new.spare_percent.unwrap_or(USUAL_SPARE);
        if spare_percent > MOST_SPARE {
            return Err(Code::InvalidSpare);
        }
        let id = next(self.pools.keys(), 0x2d03);
        let pool = Pool {
            id,
            name: new.name.unwrap_or_default(),
            domain: new.domain,
            ssd: new.ssd,
            spare_percent,
            rebuild_enabled: true,
            rebalance_enabled: true,
            high_percent: 80,
            critical_percent: 90,
            homeless: BTreeMap::new(),
            balancing: false,
            stuck_for: Duration::ZERO,
            figures: PoolFigures::default(),
            settled: Default::default(),
            traffic: Traffic::default(),
        };
        self.pools.insert(id, pool);
        for (name, value) in new.settings {
            self.set(id, name, value);
        }
        Ok(Reply::Created(id))
    }

    fn pool_name_is_free(&self, domain: Id, name: &str) -> Result<(), Code> {
        let taken = self.pools.values().any(|pool| pool.domain == domain && pool.name == name);
        if taken { Err(Code::PoolNameInUse) } else { Ok(()) }
    }

    pub(super) fn pool_command(&mut self, id: Id, command: PoolCommand) -> Answer {
        let pool = self.pools.get(&id).ok_or(Code::PoolNotFound)?;
        let has_devices = self.devices.values().any(|device| device.pool == id);
        match command {
            PoolCommand::Rename(name) => {
                fits(&name)?;
                self.pool_name_is_free(pool.domain, &name)?;
                self.pools.entry(id).and_modify(|pool| pool.name = name);
            }
            PoolCommand::Spare(percent) => {
                if percent > MOST_SPARE {
                    return Err(Code::InvalidSpare);
                }
                let usable = pool.figures.limit - pool.figures.limit / 100 * percent;
                if pool.figures.in_use > usable {
                    return Err(Code::NoSpares);
                }
                if pool.figures.in_use * 100 >= usable.max(1) * pool.critical_percent && percent > pool.spare_percent {
                    return Err(Code::WouldBeCritical);
                }
                self.pools.entry(id).and_modify(|pool| pool.spare_percent = percent);
            }
            PoolCommand::Rebuild(on) => {
                self.pools.entry(id).and_modify(|pool| pool.rebuild_enabled = on);
            }
            PoolCommand::Rebalance(on) => {
                self.pools.entry(id).and_modify(|pool| pool.rebalance_enabled = on);
            }
            PoolCommand::Thresholds { high, critical } => {
                if high >= critical || critical > 100 {
                    return Err(Code::BadThreshold);
                }
                self.pools.entry(id).and_modify(|pool| {
                    pool.high_percent = high;
                    pool.critical_percent = critical;
                });
            }
            PoolCommand::IoPriority { fields, policy, ios, kbps } => {
                if ios.is_some_and(|ios| !(1..=20).contains(&ios))
                    || kbps.is_some_and(|kbps| !(1024..=1_048_576).contains(&kbps))
                {
                    return Err(Code::OutOfRange);
                }
                let number = |value: Option<u64>| value.map(Setting::Number);
                for (field, value) in fields.into_iter().zip([Some(Setting::Text(policy)), number(ios), number(kbps)]) {
                    if let Some(value) = value {
                        self.set(id, field, value);
                    }
                }
            }
            PoolCommand::Parallelism(limit) => {
                if !(1..=10).contains(&limit) {
                    return Err(Code::OutOfRange);
                }
                self.set(id, "numOfParallelRebuildRebalanceJobsPerDevice", Setting::Number(limit));
            }
            PoolCommand::ZeroPadding(on) => {
                if has_devices {
                    return Err(Code::PoolHasDevicesAlready);
                }
                self.set(id, "zeroPaddingEnabled", Setting::Bool(on));
            }
            PoolCommand::Media { ssd } => {
                self.pools.entry(id).and_modify(|pool| pool.ssd = ssd);
            }
            PoolCommand::Set(settings) => {
                for (name, value) in settings {
                    self.set(id, name, value);
                }
            }
            PoolCommand::Remove => {
                if self.volumes.values().any(|volume| volume.pool == id) {
                    return Err(Code::PoolHasVolumes);
                }
                if has_devices {
                    return Err(Code::PoolHasDevices);
                }
                self.pools.remove(&id);
                self.settings.remove(&id);
            }
        }
        Ok(Reply::Done)
    }
}
