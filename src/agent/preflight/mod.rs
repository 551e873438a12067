//! Can this node carry what is wanted, and if not, what helps?
//!
//! `gather` looks and judges nothing; `judge` decides over what was gathered,
//! and touches nothing. What could not be measured warns and never passes for
//! good.

pub mod gather;
mod judge;
mod needs;
pub(super) mod proc;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::recipes::driver::Workshop;
use super::recipes::mesos::MesosAgent;
use super::recipes::os::Os;
use crate::model::order::Component;
use crate::model::preflight::VirtualIp;

pub use gather::{answers, gather};
pub use judge::judge;

/// What was seen of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its operating system, or why we do not work there.
    pub os: Result<Os, String>,
    /// Its name for itself.
    pub hostname: String,
    /// The kernel that runs.
    pub kernel: String,
    /// Of the SDC's kernel module.
    pub driver: Driver,
    /// Ports that somebody listens on; none: the kernel's table could not be read.
    pub listening: Option<BTreeSet<u16>>,
    /// Components whose service runs here already.
    pub running: BTreeSet<Component>,
    /// Its network interfaces, without the loopback.
    pub links: Vec<Link>,
    /// Its own addresses.
    pub addresses: BTreeSet<IpAddr>,
    /// By how many seconds its clock is ahead of the controller's; none: no controller said the time.
    pub clock_ahead_s: Option<i64>,
    /// What became of a connection to each address that it must reach, and by which interface it goes.
    pub reached: Vec<Reached>,
    /// The same of servers, by network.
    pub servers: Vec<Tried>,
    /// Free MiB by folder; an error says why that could not be told.
    pub space: BTreeMap<String, Result<u64, String>>,
    /// Its memory in MiB.
    pub memory_mib: Option<u64>,
    /// Virtual addresses that it shall be able to carry.
    pub moving: Vec<Moving>,
    /// How its Mesos agent works, and where that finds dvdcli; none: none runs here, or nobody asked.
    pub mesos: Option<(MesosAgent, Option<String>)>,
}

/// What there is of the SDC's kernel module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Driver {
    /// Whether it is loaded.
    pub is_loaded: bool,
    /// Releases whose module for this very kernel lies in the cache.
    pub cached: Vec<String>,
    /// The repository that the SDC asks at its start.
    pub repository: Option<String>,
    /// What it has for building one.
    pub workshop: Workshop,
}

/// A virtual address on a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moving {
    /// What is asked.
    pub asked: VirtualIp,
    /// Whether the interface is in the network of the address; none: the kernel's tables could not be read.
    pub is_on: Option<bool>,
    /// Who answers at the address, where nobody may.
    pub taken: Option<String>,
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Its largest packet.
    pub mtu: Option<u32>,
    /// Its speed in Mbit/s; virtual ones have none.
    pub mbit: Option<u32>,
    /// Whether it has a carrier.
    pub is_up: bool,
}

/// Servers that were tried by one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// By which, in words.
    pub by: String,
    /// Whether one of them must answer.
    pub must_answer: bool,
    /// What became of each.
    pub reached: Vec<Reached>,
}

/// An address that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Host and port.
    pub address: String,
    /// The interface by which it goes.
    pub by: Option<String>,
    /// Whether somebody took the connection; the error says why not.
    pub taken: Result<(), String>,
    /// Whether a packet of the wanted size came back whole; none: not tried.
    pub whole: Option<Result<(), String>>,
}
