//! What shall the storage look like? The topology that a person decided, laid
//! over the nodes that are there.
//!
//! | topology | who provides what |
//! |---|---|
//! | one pool | each node gives every free disk that the filter lets through to one pool |
//! | attributes | each node says it by its attributes; one that says nothing is as in one pool |
//! | declared | the configuration says it, by selectors; a node that none selects only consumes |
//!
//! A node that says what it consumes and not what it provides only consumes, whatever the topology. One that says which
//! disks it provides is obeyed where attributes decide, and left out where the topology would take others.
//!
//! A node whose wishes contradict each other is left out with the reasons, and
//! no other node waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::config::rollout::{DiskFilter, NodeRule, Rollout, Topology};
use crate::model::id::NodeName;
use crate::model::network::Network;
use crate::model::unit::Bytes;

use super::attributes::Placement;
use super::filter::{self, Filtered};
use super::networks::{self, Placed, Used};

/// A disk of a node that its agent found free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// The name by which the MDM knows it, or gets to know it.
    pub path: Box<str>,
    /// Other names by which a configuration may mean it.
    pub aliases: BTreeSet<Box<str>>,
    /// What the kernel calls it now, where the MDM has no other device of that name.
    pub now: Option<Box<str>>,
    /// Its size.
    pub size: Bytes,
    /// Whether it turns.
    pub rotational: bool,
    /// Whether it is a device of the node's server already.
    pub is_device: bool,
    /// Why it is left alone, whatever a configuration says.
    pub held: Option<Filtered>,
}

impl Disk {
    /// The name by which the MDM gets to know it, when a configuration means it by that one.
    pub fn named(&self, name: &str) -> &str {
        let link = self.aliases.get(name).filter(|name| !self.is_device && name.starts_with(STABLE));
        link.map_or(&self.path, |link| link)
    }
}

/// Names that stay are below this.
pub const STABLE: &str = "/dev/disk/";

/// A node, as far as it matters here.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its name.
    pub name: NodeName,
    /// All of its Mesos attributes, as text.
    pub attributes: BTreeMap<Box<str>, Box<str>>,
    /// What its attributes of ours say, or what is wrong with them.
    pub placement: Result<Placement, Vec<String>>,
    /// The address by which others know it.
    pub addresses: Vec<Address>,
    /// All of its addresses, by which what is there of it may be known.
    pub known_at: BTreeSet<Box<str>>,
    /// Those that parts of the system on it are found at already.
    pub used: Used,
    /// Its free disks, and those that are devices of ours already. None: its agent has not said yet.
    pub disks: Option<Vec<Disk>>,
}

/// An address of an SDS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// The address.
    pub ip: Box<str>,
    /// Whom it serves.
    pub serves: Serves,
}

/// Whom an address of an SDS serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Serves {
    /// Clients and servers.
    All,
    /// Only other servers.
    Servers,
    /// Only clients.
    Clients,
}

impl Serves {
    /// The word of the REST API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Servers => "sdsOnly",
            Self::Clients => "sdcOnly",
        }
    }

    /// What a word of the REST API means. None: a word of another release.
    pub fn of(word: &str) -> Option<Self> {
        [Self::All, Self::Servers, Self::Clients].into_iter().find(|serves| serves.as_str() == word)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.ip)?;
        match self.serves {
            Serves::All => Ok(()),
            Serves::Servers | Serves::Clients => write!(f, " for {}", self.serves),
        }
    }
}

impl fmt::Display for Serves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "all",
            Self::Servers => "servers alone",
            Self::Clients => "clients alone",
        })
    }
}

/// What shall be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// Domains by name.
    pub domains: BTreeMap<Box<str>, Domain>,
    /// Nodes that provide.
    pub servers: BTreeMap<NodeName, Server>,
    /// Nodes that consume; that is every node without a reason against it.
    pub clients: BTreeSet<NodeName>,
    /// Nodes that are left out.
    pub refused: BTreeMap<NodeName, Vec<Refusal>>,
    /// Nodes that would provide, but have nothing to give, with the reason.
    pub idle: BTreeMap<NodeName, Idle>,
}

/// A protection domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Domain {
    /// Names of its fault sets.
    pub fault_sets: BTreeSet<Box<str>>,
    /// Names of its pools.
    pub pools: BTreeSet<Box<str>>,
}

/// A node that provides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its protection domain; one server serves one.
    pub domain: Box<str>,
    /// Its fault set; it can only be chosen when the server is added.
    pub fault_set: Option<Box<str>>,
    /// Its addresses.
    pub addresses: Vec<Address>,
    /// By which networks they were found: one that is there already gets what it lacks of them. None: its addresses stay,
    /// since whoever made it may have chosen others of its host.
    pub placed: Option<Placed>,
    /// Other addresses of its host: a server that is there already may have those.
    pub known_at: BTreeSet<Box<str>>,
    /// Its devices by path, with the pool of each.
    pub devices: BTreeMap<Box<str>, Box<str>>,
    /// Other names of devices that are no devices yet, by which the MDM may show them.
    pub aliases: BTreeMap<Box<str>, Box<str>>,
}

impl Server {
    /// All addresses by which it may be there already.
    pub fn found_at(&self) -> BTreeSet<Box<str>> {
        self.addresses.iter().map(|address| &address.ip).chain(&self.known_at).cloned().collect()
    }

    /// The path of a device that the MDM shows by a name.
    pub fn path_of<'a>(&'a self, shown: &'a str) -> &'a str {
        match self.aliases.get(shown) {
            Some(path) if !self.devices.contains_key(shown) => path,
            _ => shown,
        }
    }
}

/// Why a node is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its attributes are wrong.
    Attributes(String),
    /// It says that it only consumes, and a rule names it as one that provides.
    Consumer(Box<str>),
    /// It says by its attributes which disks it gives, and something else decides that.
    Provides(Decider),
    /// It provides to several domains, which one server cannot.
    Domains(Vec<Box<str>>),
    /// Several rules of the configuration select it.
    Rules(Vec<Box<str>>),
    /// A rule takes the fault set from an attribute that the node has not.
    #[allow(missing_docs)]
    NoFaultSet { rule: Box<str>, attribute: Box<str> },
    /// Another server of the same fault set is in another domain, and a fault set is in one.
    #[allow(missing_docs)]
    FaultSetElsewhere { fault_set: Box<str>, domain: Box<str>, other: NodeName },
    /// It names disks that it does not have, or that are not free.
    Devices(Vec<Box<str>>),
    /// It names a disk that is left alone.
    #[allow(missing_docs)]
    Held { path: Box<str>, because: Filtered },
    /// No address of it is known.
    NoAddress,
    /// It has none in a network in which it shall have one.
    #[allow(missing_docs)]
    NoAddressIn { network: Network, has: Vec<Box<str>> },
    /// It has several there, and nobody says which is meant.
    #[allow(missing_docs)]
    SeveralIn { network: Network, addresses: Vec<Box<str>> },
}

/// Who decides which disks a node gives, where its attributes do not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decider {
    /// One pool takes all.
    OnePool,
    /// A rule.
    Rule(Box<str>),
}

/// Why a node that would provide gives nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Its agent has not yet said what disks there are.
    NotAsked,
    /// None of its disks is free.
    NoDisks,
    /// None of its free disks passes the filter: each with the reason.
    Filtered(BTreeMap<Box<str>, Filtered>),
}

/// What shall be, from what a person decided and what nodes there are.
pub fn desired(rollout: &Rollout, hosts: &[Host]) -> Desired {
    let mut desired = Desired::default();
    if let Topology::Declared { domains, .. } = &rollout.topology {
        // Declared domains are made even before a node has joined them.
        for (name, domain) in domains {
            let made = desired.domains.entry(name.clone()).or_default();
            made.pools.extend(domain.pools.keys().cloned());
        }
    }
    let mut first_of: BTreeMap<Box<str>, (Box<str>, NodeName)> = BTreeMap::new();
    for host in hosts {
        let server = match wish(rollout, host) {
            Ok(Wish::Consumes) => None,
            Ok(Wish::Idle(reason)) => {
                desired.idle.insert(host.name.clone(), reason);
                None
            }
            Ok(Wish::Provides(server)) => Some(server),
            Err(refusals) => {
                desired.refused.insert(host.name.clone(), refusals);
                continue;
            }
        };
        if let Some(server) = server {
            if let Some(fault_set) = &server.fault_set {
                let first =
                    first_of.entry(fault_set.clone()).or_insert_with(|| (server.domain.clone(), host.name.clone()));
                if first.0 != server.domain {
                    let refusal = Refusal::FaultSetElsewhere {
                        fault_set: fault_set.clone(),
                        domain: first.0.clone(),
                        other: first.1.clone(),
                    };
                    desired.refused.insert(host.name.clone(), vec![refusal]);
                    continue;
                }
            }
            let domain = desired.domains.entry(server.domain.clone()).or_default();
            domain.fault_sets.extend(server.fault_set.clone());
            domain.pools.extend(server.devices.values().cloned());
            desired.servers.insert(host.name.clone(), server);
        }
        desired.clients.insert(host.name.clone());
    }
    desired
}

enum Wish {
    Consumes,
    Idle(Idle),
    Provides(Server),
}

fn wish(rollout: &Rollout, host: &Host) -> Result<Wish, Vec<Refusal>> {
    let placement = host
        .placement
        .as_ref()
        .map_err(|problems| problems.iter().cloned().map(Refusal::Attributes).collect::<Vec<_>>())?;
    let provides = !placement.provides.is_empty();
    // Who only consumes says so: it never becomes a server.
    let only_consumes = !provides && !placement.consumes.is_empty();
    match &rollout.topology {
        Topology::OnePool | Topology::Attributes if only_consumes => Ok(Wish::Consumes),
        // It would give all of its disks, and says that it gives these.
        Topology::OnePool if provides => Err(vec![Refusal::Provides(Decider::OnePool)]),
        Topology::Attributes if provides => by_attributes(rollout, host, placement),
        Topology::OnePool | Topology::Attributes => provide(rollout, host, &Plain::of(rollout, placement)),
        Topology::Declared { rules, .. } => {
            let fitting: Vec<&NodeRule> = rules.iter().filter(|rule| filter::selects(rule, host)).collect();
            if only_consumes {
                // A pattern speaks of many; a name means this one.
                let naming = fitting.iter().find(|rule| filter::names(rule, host));
                return naming.map_or(Ok(Wish::Consumes), |rule| Err(vec![Refusal::Consumer(rule.name.clone())]));
            }
            match fitting[..] {
                [] => Ok(Wish::Consumes),
                [rule] if provides => Err(vec![Refusal::Provides(Decider::Rule(rule.name.clone()))]),
                [rule] => provide(rollout, host, &Plain::declared(rule, host)?),
                _ => Err(vec![Refusal::Rules(fitting.iter().map(|rule| rule.name.clone()).collect())]),
            }
        }
    }
}

/// Where all disks of a node go.
struct Plain<'a> {
    domain: &'a str,
    pool: &'a str,
    fault_set: Option<Box<str>>,
    disks: &'a DiskFilter,
}

impl<'a> Plain<'a> {
    fn of(rollout: &'a Rollout, placement: &Placement) -> Self {
        Self {
            domain: &rollout.domain,
            pool: &rollout.pool,
            fault_set: placement.fault_set.clone(),
            disks: &rollout.disks,
        }
    }

    fn declared(rule: &'a NodeRule, host: &Host) -> Result<Self, Vec<Refusal>> {
        let fault_set =
            match &rule.fault_set_attribute {
                None => rule.fault_set.clone(),
                Some(attribute) => Some(host.attributes.get(attribute).cloned().ok_or_else(|| {
                    vec![Refusal::NoFaultSet { rule: rule.name.clone(), attribute: attribute.clone() }]
                })?),
            };
        Ok(Self { domain: &rule.domain, pool: &rule.pool, fault_set, disks: &rule.disks })
    }
}

fn provide(rollout: &Rollout, host: &Host, plain: &Plain<'_>) -> Result<Wish, Vec<Refusal>> {
    let Some(disks) = &host.disks else { return Ok(Wish::Idle(Idle::NotAsked)) };
    if disks.is_empty() {
        return Ok(Wish::Idle(Idle::NoDisks));
    }
    let mut devices: Vec<(&Disk, Box<str>, Box<str>)> = Vec::new();
    let mut filtered = BTreeMap::new();
    for disk in disks {
        match filter::judge(plain.disks, disk) {
            None => devices.push((disk, filter::name(plain.disks, disk).into(), plain.pool.into())),
            Some(reason) => drop(filtered.insert(disk.path.clone(), reason)),
        }
    }
    if devices.is_empty() {
        return Ok(Wish::Idle(Idle::Filtered(filtered)));
    }
    server(rollout, host, plain.domain, plain.fault_set.clone(), devices)
}

fn by_attributes(rollout: &Rollout, host: &Host, placement: &Placement) -> Result<Wish, Vec<Refusal>> {
    let mut domains = placement.provides.iter();
    let (Some((domain, pools)), None) = (domains.next(), domains.next()) else {
        return Err(vec![Refusal::Domains(placement.provides.keys().cloned().collect())]);
    };
    let Some(disks) = &host.disks else { return Ok(Wish::Idle(Idle::NotAsked)) };
    let mut devices: Vec<(&Disk, Box<str>, Box<str>)> = Vec::new();
    let (mut absent, mut held) = (Vec::new(), Vec::new());
    for (pool, paths) in pools {
        for path in paths {
            // Devices come first: a name that is one's is nobody else's.
            match disks.iter().find(|disk| disk.path == *path || disk.aliases.contains(path)) {
                Some(Disk { held: Some(because), .. }) => {
                    held.push(Refusal::Held { path: path.clone(), because: *because });
                }
                Some(disk) => devices.push((disk, disk.named(path).into(), pool.clone())),
                None => absent.push(path.clone()),
            }
        }
    }
    if !absent.is_empty() {
        held.push(Refusal::Devices(absent));
    }
    if !held.is_empty() {
        return Err(held);
    }
    if devices.is_empty() {
        return Ok(Wish::Idle(Idle::NoDisks));
    }
    server(rollout, host, domain, placement.fault_set.clone(), devices)
}

fn server(
    rollout: &Rollout,
    host: &Host,
    domain: &str,
    fault_set: Option<Box<str>>,
    chosen: Vec<(&Disk, Box<str>, Box<str>)>,
) -> Result<Wish, Vec<Refusal>> {
    let networks = networks::of(rollout, host);
    let addresses = networks::of_server(&networks, host)?;
    let mut aliases = BTreeMap::new();
    for (disk, path, _) in chosen.iter().filter(|(disk, ..)| !disk.is_device) {
        let names = disk.now.iter().chain(disk.aliases.iter().filter(|name| name.starts_with(STABLE)));
        aliases.extend(names.filter(|name| *name != path).map(|name| (name.clone(), path.clone())));
    }
    let devices = chosen.into_iter().map(|(_, path, pool)| (path, pool)).collect();
    let placed = networks::placed(&networks);
    let (domain, known_at) = (domain.into(), host.known_at.clone());
    Ok(Wish::Provides(Server { domain, fault_set, addresses, placed, known_at, devices, aliases }))
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attributes(problem) => write!(f, "has wrong attributes: {problem}"),
            Self::Consumer(rule) => write!(
                f,
                "says by scaleio-sdc-* that it only consumes, and rule {rule} names it as one that provides; take it out of \
                 one of the two"
            ),
            Self::Provides(decider) => {
                f.write_str("says by scaleio-sds-* which disks it gives, and ")?;
                match decider {
                    Decider::OnePool => f.write_str("topology one_pool would take all of them; write topology = ")?,
                    Decider::Rule(rule) => write!(f, "rule {rule} decides that; write topology = ")?,
                }
                f.write_str("\"attributes\", or take those attributes away")
            }
            Self::Domains(domains) => {
                let names = domains.join(", ");
                write!(f, "provides to the domains {names}, but one server serves one domain; keep one of them")
            }
            Self::Rules(rules) => {
                let names = rules.join(", ");
                write!(f, "is selected by the rules {names}; change their selectors so that one fits")
            }
            Self::NoFaultSet { rule, attribute } => {
                write!(f, "rule {rule} takes the fault set from attribute {attribute}, which the node has not; set it")
            }
            Self::FaultSetElsewhere { fault_set, domain, other } => write!(
                f,
                "fault set {fault_set} is in domain {domain}, where {other} put it, and a fault set is in one domain; \
                 name another one"
            ),
            Self::Devices(paths) => {
                let paths = paths.join(", ");
                write!(f, "names {paths}, which it does not have or which is not free; `sio check node` tells which")
            }
            Self::Held { path, because } => write!(f, "names {path}, which {because}"),
            Self::NoAddress => f.write_str("has no address that others could reach it by"),
            Self::NoAddressIn { network, has } => {
                let has = if has.is_empty() { "none that is known".to_owned() } else { has.join(", ") };
                write!(f, "has no address in network {network}; it has {has}")
            }
            Self::SeveralIn { network, addresses } => write!(
                f,
                "has several addresses in network {network}: {}; name the one that is meant by its attribute \
                 scaleio-ip-all, -sds-only, -sdc-only or -management",
                addresses.join(", ")
            ),
        }
    }
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => f.write_str("its agent has not yet said what disks there are"),
            Self::NoDisks => f.write_str("it has no free disk"),
            Self::Filtered(disks) => {
                let told: Vec<String> = disks.iter().map(|(path, reason)| format!("{path} {reason}")).collect();
                write!(f, "no disk passes the filter: {}", told.join("; "))
            }
        }
    }
}

#[cfg(test)]
mod tests;
