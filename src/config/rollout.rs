//! How `[systems.NAME.rollout]` is read: what the storage of a system shall look like.

use std::collections::{BTreeMap, BTreeSet};

use super::lia::{self, WantedLia};
pub use super::mdm::{Licence, VirtualIps, WantedMdm};
use super::networks;
pub use super::networks::{Networks, PreflightLimits, Roles};
use super::pool;
use super::section::{Complaint, Found, Section, complain};
use crate::model::command::Command;
use crate::model::id::NodeName;
use crate::model::pool::{Scan, Share};
use crate::model::unit::Bytes;

/// Smaller devices are refused by the MDM.
const SMALLEST_DISK: Bytes = Bytes::from_gib(100);

/// Longer names are refused by the MDM.
const LONGEST_NAME: usize = 31;

/// `[systems.NAME.rollout]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// Who decides which disk goes where.
    pub topology: Topology,
    /// The domain of nodes that nothing else is said of.
    pub domain: Box<str>,
    /// Their pool.
    pub pool: Box<str>,
    /// Which of their disks are taken.
    pub disks: DiskFilter,
    /// By which names disks are given to the MDM.
    pub device_names: DeviceNames,
    /// Which addresses of hosts are for what; with none in it, the one by which a host is known is for all.
    pub networks: Networks,
    /// What is asked of a node before it is touched.
    pub preflight: PreflightLimits,
    /// The MDM cluster that is made; none: it is there already.
    pub mdm: Option<WantedMdm>,
    /// The gateway that is installed on a node of ours; none: it comes by another hand.
    pub gateway: Option<WantedGateway>,
    /// The product's own agent on its nodes; none: it is not brought there.
    pub lia: Option<WantedLia>,
    /// The release of packages; none: the newest that is not newer than the MDM.
    pub release: Option<Box<str>>,
    /// Words of commands on nodes that were never seen in use and that a person has accepted.
    pub accept: BTreeSet<String>,
    /// What becomes of a node that must be started anew.
    pub restarts: Restarts,
}

/// What is done for a node that the rollout cannot go on with before it was started anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restarts {
    /// A plan is made, and a person approves it.
    #[default]
    Propose,
    /// It is approved by itself where `lifecycle.mode` is "act".
    Act,
}

/// `[systems.NAME.rollout.gateway]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedGateway {
    /// The node that carries it.
    pub node: NodeName,
    /// Whether it takes the MDM's certificate without looking at it.
    pub trusts_any: bool,
}

/// Who decides which disk goes where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topology {
    /// Every free disk of every node goes to one pool.
    OnePool,
    /// The attributes of the nodes say it.
    Attributes,
    /// The configuration says it.
    #[allow(missing_docs)]
    Declared { domains: BTreeMap<Box<str>, DeclaredDomain>, rules: Vec<NodeRule> },
}

/// `[systems.NAME.rollout.domains.NAME]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeclaredDomain {
    /// Its pools.
    pub pools: BTreeMap<Box<str>, DeclaredPool>,
}

/// `[systems.NAME.rollout.domains.NAME.pools.NAME]`: what a new pool is made with, and what is set of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeclaredPool {
    /// Its media; needed from 3.0 on.
    pub media: DiskMedia,
    /// Spare capacity in percent; the MDM's own choice when not said.
    pub spare_percent: Option<u8>,
    /// Can only be chosen while the pool is empty.
    pub zero_padding: Option<bool>,
    /// Checksums of data in flight and at rest.
    pub checksum: Option<bool>,
    /// How much of each device goes to rebuild. This and the rest are set of a pool that is there too.
    pub rebuild: Option<Share>,
    /// How much of each device goes to rebalance.
    pub rebalance: Option<Share>,
    /// Jobs of both at once, of one device.
    pub parallel_jobs: Option<u8>,
    /// Whether reads are kept in memory of the servers.
    pub rmcache: Option<bool>,
    /// Whether writes are kept there too.
    pub rmcache_writes: Option<bool>,
    /// Whether devices are read through for errors; the inner one: how.
    pub scanner: Option<Option<Scan>>,
    /// Percent of the capacity from which the MDM warns, and cries.
    pub alerts: Option<(u8, u8)>,
}

/// `[systems.NAME.rollout.nodes.NAME]`: which nodes give their disks to which pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRule {
    /// Its name.
    pub name: Box<str>,
    /// Patterns of names of nodes; none: any.
    pub hosts: Vec<Box<str>>,
    /// Patterns of values by attribute; all must fit.
    pub attributes: BTreeMap<Box<str>, Box<str>>,
    /// Where their disks go.
    pub domain: Box<str>,
    /// Where their disks go.
    pub pool: Box<str>,
    /// Their fault set.
    pub fault_set: Option<Box<str>>,
    /// The attribute whose value names their fault set.
    pub fault_set_attribute: Option<Box<str>>,
    /// Which of their disks are taken.
    pub disks: DiskFilter,
    /// Which of their addresses are for what; none: as for other nodes.
    pub networks: Option<Networks>,
}

/// Which disks may be taken. Only disks that a node found free are asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskFilter {
    /// Patterns of paths; none: any. Every path of a disk counts, those below /dev/disk too.
    pub allow: Vec<Box<str>>,
    /// Patterns of paths; stronger than `allow`.
    pub deny: Vec<Box<str>>,
    /// The smallest disk.
    pub min_size: Bytes,
    /// The largest disk.
    pub max_size: Option<Bytes>,
    /// Of what kind.
    pub media: DiskMedia,
}

impl Default for DiskFilter {
    fn default() -> Self {
        Self { allow: Vec::new(), deny: Vec::new(), min_size: SMALLEST_DISK, max_size: None, media: DiskMedia::Any }
    }
}

/// Names by which disks are given to the MDM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceNames {
    /// Those of the kernel, such as `/dev/sdb`; and what a configuration names otherwise by its name there.
    #[default]
    Kernel,
    /// Those below `/dev/disk/by-id`, which stay. A disk without one is left alone.
    ById,
}

/// Kinds of disks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiskMedia {
    /// Both.
    #[default]
    Any,
    /// Those that turn.
    Hdd,
    /// Those that do not.
    Ssd,
}

impl Default for Rollout {
    fn default() -> Self {
        Self {
            topology: Topology::Attributes,
            domain: "default".into(),
            pool: "default".into(),
            disks: DiskFilter::default(),
            device_names: DeviceNames::default(),
            networks: Networks::default(),
            preflight: PreflightLimits::default(),
            mdm: None,
            gateway: None,
            lia: None,
            release: None,
            accept: BTreeSet::new(),
            restarts: Restarts::default(),
        }
    }
}

/// Reads the section.
pub(super) fn read(mut section: Section<'_>) -> Rollout {
    let default = Rollout::default();
    let kind = section.take("topology", |found| match found.text()? {
        word @ ("one_pool" | "attributes" | "declared") => Ok(word.to_owned()),
        other => {
            Err(complain(format!("{other:?} is no topology"), "write \"one_pool\", \"attributes\" or \"declared\""))
        }
    });
    let domain = section.take("domain", name);
    let pool = section.take("pool", name);
    let disks = disks(section.section("disks"));
    let device_names = section.take("device_names", |found| match found.text()? {
        "kernel" => Ok(DeviceNames::Kernel),
        "by_id" => Ok(DeviceNames::ById),
        other => Err(complain(format!("{other:?} are no names of disks"), "write \"kernel\" or \"by_id\"")),
    });
    let networks = networks::read(section.section("networks"));
    let preflight = networks::preflight(section.section("preflight"));
    let mdm = section.optional_section("mdm").map(super::mdm::read);
    let gateway = section.optional_section("gateway").and_then(gateway);
    let lia = section.optional_section("lia").and_then(lia::read);
    let release = section.take("release", |found| match found.text()? {
        text if text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('.') => Ok(text.into()),
        other => Err(complain(format!("{other:?} is no release"), "write it as package files do: \"3.6-700.103\"")),
    });
    let accept = section.take("accept", accepted).unwrap_or_default();
    let restarts = section.take("restarts", |found| match found.text()? {
        "propose" => Ok(Restarts::Propose),
        "act" => Ok(Restarts::Act),
        other => Err(complain(format!("{other:?} is nothing to do about restarts"), "write \"propose\" or \"act\"")),
    });
    let domains: BTreeMap<Box<str>, DeclaredDomain> =
        section.section("domains").named_sections().into_iter().filter_map(declared_domain).collect();
    let rules: Vec<NodeRule> = section
        .section("nodes")
        .named_sections()
        .into_iter()
        .filter_map(|(name, section)| rule(&name, section, &domains))
        .collect();
    let declared = kind.as_deref() == Some("declared");
    if !declared && (!domains.is_empty() || !rules.is_empty()) {
        section.note(
            "topology",
            complain(
                "domains or nodes are declared, but the topology does not read them",
                "write topology = \"declared\"",
            ),
        );
    }
    if declared && rules.is_empty() && section.is_well("nodes") {
        section.note("topology", complain("no rule says which nodes give disks", "add a section nodes.NAME"));
    }
    section.finish();
    let topology = match kind.as_deref() {
        Some("one_pool") => Topology::OnePool,
        Some("declared") => Topology::Declared { domains, rules },
        _ => Topology::Attributes,
    };
    Rollout {
        topology,
        domain: domain.unwrap_or(default.domain),
        pool: pool.unwrap_or(default.pool),
        disks,
        device_names: device_names.unwrap_or_default(),
        networks,
        preflight,
        mdm,
        gateway,
        lia,
        release,
        accept,
        restarts: restarts.unwrap_or_default(),
    }
}

fn gateway(mut section: Section<'_>) -> Option<WantedGateway> {
    let node = section.require("node", "name the node that shall carry the gateway", |found| {
        let text = found.text()?;
        super::agents::judge_node(text).map_or_else(|| Ok(NodeName::new(text)), Err)
    });
    let trusts_any = section.take("trusts_any", |found| found.flag()).unwrap_or_default();
    section.finish();
    Some(WantedGateway { node: node?, trusts_any })
}

/// A command that may be accepted, by its word.
pub(super) fn accepted(found: &Found<'_>) -> Result<BTreeSet<String>, Complaint> {
    let one = |word: &str| {
        let known = Command::ALL.iter().map(|command| command.as_str()).collect::<Vec<_>>().join(", ");
        Command::of(word).map(|command| command.to_string()).ok_or_else(|| {
            complain(format!("there is no command {word:?} to accept"), format!("write some of {known}"))
        })
    };
    found.list()?.into_iter().map(one).collect()
}

fn declared_domain((called, mut section): (String, Section<'_>)) -> Option<(Box<str>, DeclaredDomain)> {
    let pools = section
        .section("pools")
        .named_sections()
        .into_iter()
        .filter_map(|(called, section)| Some((named(&called, &section)?, pool::read(section))))
        .collect();
    let called = named(&called, &section);
    section.finish();
    Some((called?, DeclaredDomain { pools }))
}

fn rule(called: &str, mut section: Section<'_>, domains: &BTreeMap<Box<str>, DeclaredDomain>) -> Option<NodeRule> {
    let hosts = section.take("hosts", patterns).unwrap_or_default();
    let selected = section.section("attributes").texts();
    let selected =
        selected.into_iter().map(|(name, pattern)| (name.into(), pattern.into())).collect::<BTreeMap<_, _>>();
    if hosts.is_empty() && selected.is_empty() && section.is_well("hosts") && !section.said("attributes") {
        section.note_self(complain(
            "the rule selects no node",
            "add hosts = [\"PATTERN\"] or attributes = { NAME = \"PATTERN\" }; [\"*\"] is every node",
        ));
    }
    let domain = section.require("domain", "name a section of domains", name);
    let pool = section.require("pool", "name a pool of that domain", name);
    if let (Some(domain), Some(pool)) = (&domain, &pool) {
        match domains.get(domain) {
            None => section.note(
                "domain",
                complain(format!("domain {domain} is not declared"), format!("add a section domains.{domain}")),
            ),
            Some(declared) if !declared.pools.contains_key(pool) => section.note(
                "pool",
                complain(
                    format!("domain {domain} has no pool {pool}"),
                    format!("add a section domains.{domain}.pools.{pool}"),
                ),
            ),
            Some(_) => {}
        }
    }
    let fault_set = section.take("fault_set", name);
    let fault_set_attribute = section.take("fault_set_attribute", |found| Ok(found.text()?.into()));
    if fault_set.is_some() && fault_set_attribute.is_some() {
        section.note("fault_set", complain("the fault set is given twice", "keep fault_set or fault_set_attribute"));
    }
    let disks = disks(section.section("disks"));
    let networks = section.optional_section("networks").map(networks::read);
    section.finish();
    Some(NodeRule {
        name: called.into(),
        hosts,
        attributes: selected,
        domain: domain?,
        pool: pool?,
        fault_set,
        fault_set_attribute,
        disks,
        networks,
    })
}

fn disks(mut section: Section<'_>) -> DiskFilter {
    let default = DiskFilter::default();
    let min_size = section.take("min_size", size).unwrap_or(default.min_size);
    let max_size = section.take("max_size", size);
    if max_size.is_some_and(|max| max < min_size) {
        section.note("max_size", complain("no disk is that small and that large", "make max_size the larger one"));
    }
    let filter = DiskFilter {
        allow: section.take("allow", patterns).unwrap_or_default(),
        deny: section.take("deny", patterns).unwrap_or_default(),
        min_size,
        max_size,
        media: section.take("media", media).unwrap_or_default(),
    };
    section.finish();
    filter
}

fn patterns(found: &Found<'_>) -> Result<Vec<Box<str>>, Complaint> {
    let patterns = found.list()?;
    if patterns.iter().any(|pattern| pattern.is_empty()) {
        return Err(complain("a pattern is empty", "write a name, with * for any characters and ? for one"));
    }
    Ok(patterns.into_iter().map(Into::into).collect())
}

pub(super) fn media(found: &Found<'_>) -> Result<DiskMedia, Complaint> {
    match found.text()? {
        "any" => Ok(DiskMedia::Any),
        "hdd" => Ok(DiskMedia::Hdd),
        "ssd" => Ok(DiskMedia::Ssd),
        other => Err(complain(format!("{other:?} is no media type"), "write \"any\", \"hdd\" or \"ssd\"")),
    }
}

/// `100GiB`, `2TiB`.
pub(super) fn size(found: &Found<'_>) -> Result<Bytes, Complaint> {
    let text = found.text()?;
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim_end();
    let unit = match text[digits.len()..].trim_start() {
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1_u64 << 40,
        _ => 0,
    };
    match digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)) {
        Some(bytes) if bytes > 0 => Ok(Bytes::new(bytes)),
        _ => Err(complain(format!("{text:?} is no size"), "write a whole number and its unit: MiB, GiB or TiB")),
    }
}

pub(super) fn name(found: &Found<'_>) -> Result<Box<str>, Complaint> {
    let text = found.text()?;
    judge_name(text)?;
    Ok(text.into())
}

fn named(called: &str, section: &Section<'_>) -> Option<Box<str>> {
    match judge_name(called) {
        Ok(()) => Some(called.into()),
        Err(complaint) => {
            section.note_self(complaint);
            None
        }
    }
}

fn judge_name(text: &str) -> Result<(), Complaint> {
    let plain = |c: char| c.is_ascii_graphic();
    if text.is_empty() || text.len() > LONGEST_NAME || !text.chars().all(plain) {
        return Err(complain(
            format!("{text:?} is no name that the MDM takes"),
            format!("choose 1 to {LONGEST_NAME} letters, digits and signs without blanks"),
        ));
    }
    Ok(())
}
