//! What can be set of a storage pool that is there: how much it does beside serving.

use std::fmt;

/// A setting of a storage pool.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PoolSetting {
    /// How much of each device goes to rebuild.
    Rebuild(Share),
    /// How much of each device goes to rebalance.
    Rebalance(Share),
    /// Jobs of both at once, of one device.
    ParallelJobs(u8),
    /// Whether reads are kept in memory of the servers.
    RmCache(bool),
    /// Whether writes are kept there too.
    RmCacheWrites(bool),
    /// Whether devices are read through for errors, and how fast. None: they are not.
    Scanner(Option<Scan>),
    /// Shares of the capacity in percent, from which the MDM warns, and cries.
    Alerts {
        /// Warns.
        high: u8,
        /// Cries.
        critical: u8,
    },
}

/// How much of each device goes to a background job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share {
    /// `unlimited`, `limitNumOfConcurrentIos` or `favorAppIos`.
    pub policy: &'static str,
    /// Operations at once.
    pub ios: Option<u8>,
    /// KiB/s.
    pub kbps: Option<u32>,
}

/// How devices are read through.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scan {
    /// KiB/s of each device; none: the MDM's own choice.
    pub kbps: Option<u32>,
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.policy)?;
        if let Some(ios) = self.ios {
            write!(f, ", {ios} operations at once")?;
        }
        match self.kbps {
            Some(kbps) => write!(f, ", {kbps} KiB/s of a device"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for PoolSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = |on: &bool| if *on { "on" } else { "off" };
        match self {
            Self::Rebuild(share) => write!(f, "rebuild: {share}"),
            Self::Rebalance(share) => write!(f, "rebalance: {share}"),
            Self::ParallelJobs(limit) => write!(f, "rebuild and rebalance: {limit} jobs of a device at once"),
            Self::RmCache(is_on) => write!(f, "RAM cache: {}", on(is_on)),
            Self::RmCacheWrites(is_on) => write!(f, "writes in the RAM cache: {}", on(is_on)),
            Self::Scanner(None) => f.write_str("scanner: off"),
            Self::Scanner(Some(Scan { kbps: None })) => f.write_str("scanner: on"),
            Self::Scanner(Some(Scan { kbps: Some(kbps) })) => write!(f, "scanner: {kbps} KiB/s of a device"),
            Self::Alerts { high, critical } => write!(f, "alerts of capacity: {high} % and {critical} %"),
        }
    }
}
