//! What is missing between what is and what shall be?
//!
//! Only additions come out of here, in the order in which the MDM takes them:
//! a domain before its fault sets and pools, a server after its fault set
//! (which cannot be chosen later), a device after its server and pool. What is
//! there but differs is told as drift and left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::config::rollout::Roles;
use crate::model::cluster::Sds;
use crate::model::id::{FaultSetId, NodeName, ProtectionDomainId, StoragePoolId};
use crate::model::pool::PoolSetting;
use crate::model::snapshot::{Collector, Snapshot};

use super::desired::{Address, Desired, Server, Serves};
use super::networks::Placed;
use super::shown::Shown;

/// One addition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Addition {
    Domain {
        name: Box<str>,
    },
    FaultSet {
        domain: Box<str>,
        name: Box<str>,
    },
    Pool {
        domain: Box<str>,
        name: Box<str>,
    },
    Server {
        node: NodeName,
        domain: Box<str>,
        fault_set: Option<Box<str>>,
        addresses: Vec<Address>,
    },
    /// One more address of a server that is there.
    Address {
        node: NodeName,
        address: Address,
    },
    /// An address of a server serves others; first those that then serve more.
    Role {
        node: NodeName,
        is_narrower: bool,
        address: Address,
    },
    Device {
        node: NodeName,
        path: Box<str>,
        pool: Box<str>,
    },
    /// A setting of a pool that is there. No node waits for it.
    Setting {
        domain: Box<str>,
        pool: Box<str>,
        setting: PoolSetting,
    },
}

impl Addition {
    /// The path of a device that is added.
    pub fn device(&self) -> Option<&str> {
        match self {
            Self::Device { path, .. } => Some(path),
            Self::Domain { .. }
            | Self::FaultSet { .. }
            | Self::Pool { .. }
            | Self::Server { .. }
            | Self::Address { .. }
            | Self::Role { .. }
            | Self::Setting { .. } => None,
        }
    }

    /// Whether it changes where a server that is there is found, or by whom.
    pub const fn is_about_addresses(&self) -> bool {
        matches!(self, Self::Address { .. } | Self::Role { .. })
    }

    /// Whether it takes an address away from somebody.
    pub const fn is_narrower(&self) -> bool {
        matches!(self, Self::Role { is_narrower: true, .. })
    }

    /// Its name in logs and in the list of effects.
    pub const fn effect(&self) -> &'static str {
        match self {
            Self::Domain { .. } => "add_domain",
            Self::FaultSet { .. } => "add_fault_set",
            Self::Pool { .. } => "add_pool",
            Self::Server { .. } => "add_sds",
            Self::Address { .. } => "add_sds_ip",
            Self::Role { .. } => "set_sds_ip_role",
            Self::Device { .. } => "add_device",
            Self::Setting { .. } => "set_pool",
        }
    }

    /// The node that it is for alone; none: others stand on it too.
    pub const fn node(&self) -> Option<&NodeName> {
        match self {
            Self::Server { node, .. }
            | Self::Address { node, .. }
            | Self::Role { node, .. }
            | Self::Device { node, .. } => Some(node),
            Self::Domain { .. } | Self::FaultSet { .. } | Self::Pool { .. } | Self::Setting { .. } => None,
        }
    }
}

/// What is there, but not as it was wished. It is never changed unasked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Drift {
    /// A server is in one domain and should be in another: it would have to be removed and added again.
    Domain { node: NodeName, is: Box<str>, wanted: Box<str> },
    /// A server is in another fault set, or in none: it would have to be removed and added again.
    FaultSet { node: NodeName, is: Option<Box<str>>, wanted: Option<Box<str>> },
    /// A fault set of that name is in another domain.
    FaultSetElsewhere { fault_set: Box<str>, is: Box<str>, wanted: Box<str> },
    /// A device is in another pool: it would have to be removed and added again.
    Pool { node: NodeName, path: Box<str>, is: Box<str>, wanted: Box<str> },
    /// A device of the server that nobody wishes any more.
    Device { node: NodeName, path: Box<str> },
    /// Its addresses differ.
    Addresses { node: NodeName, is: BTreeSet<Box<str>>, wanted: BTreeSet<Box<str>> },
    /// An address of the server that is in none of its networks.
    Address { node: NodeName, ip: Box<str> },
    /// An address of the server serves others than it shall.
    Role { node: NodeName, ip: Box<str>, is: Box<str>, wanted: Serves },
    /// Two servers have an address of the node; which one is its own is not known.
    Twins { node: NodeName, servers: Vec<Box<str>> },
}

/// What is to be done, and what is left alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// What is added, in this order.
    pub additions: Vec<Addition>,
    /// What differs and stays.
    pub drift: Vec<Drift>,
}

/// Parts of the snapshot that are missing, without which nothing can be said:
/// what is not seen would be added a second time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen(pub Vec<Collector>);

/// Compares with what the MDM shows.
pub fn difference(desired: &Desired, snapshot: &Snapshot) -> Result<Difference, Unseen> {
    between(desired, &Shown::of(snapshot))
}

/// The same of a snapshot that was looked through already.
pub fn between(desired: &Desired, shown: &Shown<'_>) -> Result<Difference, Unseen> {
    let mut difference = Difference::default();
    let actual = Actual::of(shown)?;
    for (name, wanted) in &desired.domains {
        let domain = actual.domains.get(name);
        if domain.is_none() {
            difference.additions.push(Addition::Domain { name: name.clone() });
        }
        for fault_set in &wanted.fault_sets {
            match actual.fault_sets.get(fault_set) {
                None => {
                    let (domain, name) = (name.clone(), fault_set.clone());
                    difference.additions.push(Addition::FaultSet { domain, name });
                }
                Some(is) if is == name => {}
                Some(is) => difference.drift.push(Drift::FaultSetElsewhere {
                    fault_set: fault_set.clone(),
                    is: is.clone(),
                    wanted: name.clone(),
                }),
            }
        }
        for pool in &wanted.pools {
            if !domain.is_some_and(|pools| pools.contains(pool)) {
                difference.additions.push(Addition::Pool { domain: name.clone(), name: pool.clone() });
            }
        }
    }
    for (node, wanted) in &desired.servers {
        server(node, wanted, &actual, &mut difference);
    }
    difference.additions.sort();
    Ok(difference)
}

fn server(node: &NodeName, wanted: &Server, actual: &Actual<'_>, difference: &mut Difference) {
    let ours = wanted.found_at();
    let found: Vec<&Sds> = actual.shown.servers_of(&ours);
    let sds = match found[..] {
        [] => {
            if actual.misplaced(wanted) {
                // The fault set is in another domain: the drift above says it, and the server would be refused.
                return;
            }
            difference.additions.push(Addition::Server {
                node: node.clone(),
                domain: wanted.domain.clone(),
                fault_set: wanted.fault_set.clone(),
                addresses: wanted.addresses.clone(),
            });
            None
        }
        [sds] => Some(sds),
        _ => {
            let servers =
                found.iter().map(|sds| sds.name.clone().unwrap_or_else(|| sds.id.to_string().into())).collect();
            difference.drift.push(Drift::Twins { node: node.clone(), servers });
            return;
        }
    };
    let mut there: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    if let Some(sds) = sds {
        let is = sds.domain.as_ref().and_then(|id| actual.domain_names.get(id).copied()).unwrap_or_default();
        if is != &*wanted.domain {
            difference.drift.push(Drift::Domain { node: node.clone(), is: is.into(), wanted: wanted.domain.clone() });
            return;
        }
        let fault_set = sds.fault_set.as_ref().and_then(|id| actual.fault_set_names.get(id).copied());
        if fault_set != wanted.fault_set.as_deref() {
            let is = fault_set.map(Into::into);
            difference.drift.push(Drift::FaultSet { node: node.clone(), is, wanted: wanted.fault_set.clone() });
        }
        match &wanted.placed {
            Some(placed) => completed(node, wanted, placed, sds, difference),
            None => compared(node, wanted, &ours, sds, difference),
        }
        for device in actual.shown.devices_of(&sds.id) {
            if let Some(path) = device.path.as_deref().map(|path| wanted.path_of(path)) {
                there.insert(path, device.pool.as_ref().and_then(|id| actual.pool_names.get(id).copied()));
            }
        }
    }
    for (path, pool) in &wanted.devices {
        match there.remove(&**path) {
            None => difference.additions.push(Addition::Device {
                node: node.clone(),
                path: path.clone(),
                pool: pool.clone(),
            }),
            Some(Some(is)) if is == &**pool => {}
            Some(is) => difference.drift.push(Drift::Pool {
                node: node.clone(),
                path: path.clone(),
                is: is.unwrap_or("no pool").into(),
                wanted: pool.clone(),
            }),
        }
    }
    for path in there.into_keys() {
        difference.drift.push(Drift::Device { node: node.clone(), path: path.into() });
    }
}

/// Where nobody says by which networks a server is found: whoever made it may have taken other addresses of the host.
fn compared(node: &NodeName, wanted: &Server, ours: &BTreeSet<Box<str>>, sds: &Sds, difference: &mut Difference) {
    let has: BTreeSet<Box<str>> = sds.addresses.iter().map(|address| address.ip.clone()).collect();
    let wants: BTreeSet<Box<str>> = wanted.addresses.iter().map(|address| address.ip.clone()).collect();
    let has_some = !has.is_disjoint(&wants) && !wants.is_subset(&has);
    if has_some || !has.is_subset(ours) {
        difference.drift.push(Drift::Addresses { node: node.clone(), is: has, wanted: wants });
    }
}

/// What a server lacks of its addresses. None is ever taken away, and what serves somebody goes on doing so unless a
/// person says otherwise.
fn completed(node: &NodeName, wanted: &Server, placed: &Placed, sds: &Sds, difference: &mut Difference) {
    for address in &wanted.addresses {
        let (node, address) = (node.clone(), address.clone());
        let Some(there) = sds.addresses.iter().find(|there| there.ip == address.ip) else {
            difference.additions.push(Addition::Address { node, address });
            continue;
        };
        // A gateway that tells no role is believed to mean the wanted one.
        let Some(word) = &there.role else { continue };
        let is = Serves::of(word);
        if is == Some(address.serves) {
            continue;
        }
        let is_narrower = address.serves != Serves::All;
        if is.is_some() && (!is_narrower || placed.roles == Roles::Exact) {
            difference.additions.push(Addition::Role { node, is_narrower, address });
        } else {
            let is = is.map_or_else(|| word.clone(), |is| is.to_string().into());
            difference.drift.push(Drift::Role { node, ip: address.ip, is, wanted: address.serves });
        }
    }
    for there in &sds.addresses {
        if !placed.networks.iter().any(|network| network.has(&there.ip)) {
            difference.drift.push(Drift::Address { node: node.clone(), ip: there.ip.clone() });
        }
    }
}

/// The part of a snapshot that matters here, by names: people wish by names.
struct Actual<'a> {
    /// Pools by domain.
    domains: BTreeMap<Box<str>, BTreeSet<Box<str>>>,
    /// Domains by fault set.
    fault_sets: BTreeMap<Box<str>, Box<str>>,
    domain_names: BTreeMap<&'a ProtectionDomainId, &'a str>,
    fault_set_names: BTreeMap<&'a FaultSetId, &'a str>,
    pool_names: BTreeMap<&'a StoragePoolId, &'a str>,
    shown: &'a Shown<'a>,
}

impl<'a> Actual<'a> {
    fn of(shown: &'a Shown<'a>) -> Result<Self, Unseen> {
        let snapshot = shown.snapshot;
        let (Some(domains), Some(fault_sets), Some(pools), Some(_), Some(_)) =
            (&snapshot.domains, &snapshot.fault_sets, &snapshot.pools, &snapshot.sds, &snapshot.devices)
        else {
            let there = [
                (Collector::ProtectionDomains, snapshot.domains.is_some()),
                (Collector::FaultSets, snapshot.fault_sets.is_some()),
                (Collector::StoragePools, snapshot.pools.is_some()),
                (Collector::Sds, snapshot.sds.is_some()),
                (Collector::Devices, snapshot.devices.is_some()),
            ];
            return Err(Unseen(there.into_iter().filter(|(_, there)| !there).map(|(part, _)| part).collect()));
        };
        let domain_names: BTreeMap<_, _> =
            domains.iter().map(|domain| (&domain.id, domain.name.as_deref().unwrap_or_default())).collect();
        let name_of = |id: &Option<ProtectionDomainId>| id.as_ref().and_then(|id| domain_names.get(id).copied());
        let mut pools_of: BTreeMap<Box<str>, BTreeSet<Box<str>>> =
            domain_names.values().map(|name| ((*name).into(), BTreeSet::new())).collect();
        for pool in pools.iter() {
            if let (Some(domain), Some(name)) = (name_of(&pool.domain), &pool.name) {
                pools_of.entry(domain.into()).or_default().insert(name.clone());
            }
        }
        let fault_sets_by_name =
            fault_sets.iter().filter_map(|set| Some((set.name.clone()?, name_of(&set.domain)?.into()))).collect();
        Ok(Self {
            domains: pools_of,
            fault_sets: fault_sets_by_name,
            fault_set_names: fault_sets.iter().filter_map(|set| Some((&set.id, set.name.as_deref()?))).collect(),
            pool_names: pools.iter().filter_map(|pool| Some((&pool.id, pool.name.as_deref()?))).collect(),
            domain_names,
            shown,
        })
    }

    /// Whether the fault set that a server wishes is in another domain.
    fn misplaced(&self, wanted: &Server) -> bool {
        wanted.fault_set.as_ref().and_then(|name| self.fault_sets.get(name)).is_some_and(|is| *is != wanted.domain)
    }
}

impl fmt::Display for Addition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain { name } => write!(f, "add protection domain {name}"),
            Self::FaultSet { domain, name } => write!(f, "add fault set {name} to domain {domain}"),
            Self::Pool { domain, name } => write!(f, "add storage pool {name} to domain {domain}"),
            Self::Server { node, domain, fault_set, addresses } => {
                write!(f, "add {node} as SDS to domain {domain}")?;
                if let Some(set) = fault_set {
                    write!(f, ", fault set {set}")?;
                }
                match &addresses[..] {
                    [] | [Address { serves: Serves::All, .. }] => Ok(()),
                    all => write!(f, ", at {}", all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
                }
            }
            Self::Address { node, address } => write!(f, "add {address} to the SDS of {node}"),
            Self::Role { node, address, .. } => {
                write!(f, "let {} of the SDS of {node} serve {}", address.ip, address.serves)
            }
            Self::Device { node, path, pool } => write!(f, "add {path} of {node} to pool {pool}"),
            Self::Setting { domain, pool, setting } => write!(f, "set of pool {pool} in domain {domain}: {setting}"),
        }
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |addresses: &BTreeSet<Box<str>>| addresses.iter().map(|ip| &**ip).collect::<Vec<_>>().join(", ");
        match self {
            Self::Domain { node, is, wanted } => write!(f, "{node} is in domain {is}, not in {wanted}"),
            Self::FaultSet { node, is, wanted } => {
                let show = |set: &Option<Box<str>>| {
                    set.as_deref().map_or("no fault set".into(), |set| format!("fault set {set}"))
                };
                write!(f, "{node} is in {}, not in {}", show(is), show(wanted))
            }
            Self::FaultSetElsewhere { fault_set, is, wanted } => {
                write!(f, "fault set {fault_set} is in domain {is}, not in {wanted}")
            }
            Self::Pool { node, path, is, wanted } => write!(f, "{path} of {node} is in {is}, not in {wanted}"),
            Self::Device { node, path } => write!(f, "{path} of {node} is a device that nobody wishes"),
            Self::Addresses { node, is, wanted } => {
                write!(f, "{node} has the addresses {}, not {}", join(is), join(wanted))
            }
            Self::Address { node, ip } => write!(f, "{ip} of the SDS of {node} is in none of its networks"),
            Self::Role { node, ip, is, wanted } => {
                write!(f, "{ip} of the SDS of {node} serves {is}, not {wanted}")?;
                f.write_str("; with networks.roles = \"exact\" that is changed")
            }
            Self::Twins { node, servers } => {
                write!(f, "addresses of {node} belong to several SDSs: {}", servers.join(", "))
            }
        }
    }
}

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<&str> = self.0.iter().map(|part| part.as_str()).collect();
        write!(f, "the gateway has not answered for {}; nothing is added until it does", parts.join(", "))
    }
}

#[cfg(test)]
mod tests;
