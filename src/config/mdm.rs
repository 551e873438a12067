//! How `[systems.NAME.rollout.mdm]` is read: the MDM cluster that is made.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::load::readable;
use super::rollout::{accepted, name, size};
use super::section::{Complaint, Found, Section, complain};
use super::{Hidden, Secret, system};
use crate::model::id::NodeName;
use crate::model::mdm::Mode;
use crate::model::unit::Bytes;

/// An agent reports every 30 s, and within a minute of a restart of either side.
const SILENT: Duration = Duration::from_secs(120);

/// The kernel takes no longer name of an interface.
const LONGEST_INTERFACE: usize = 15;

/// Licences are a few hundred bytes of text; one that fits here fits into an order too.
const LONGEST_LICENCE: u64 = 16 * 1024;

/// `[systems.NAME.rollout.mdm]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedMdm {
    /// Members that vote.
    pub members: Mode,
    /// Managers that stand by.
    pub standby_managers: usize,
    /// Tie-breakers that stand by.
    pub standby_tie_breakers: usize,
    /// Cores that the host of a manager has at least.
    pub cores: u32,
    /// Memory that the host of a manager has at least.
    pub memory: Bytes,
    /// The attribute of agents that names what fails together.
    pub rack_attribute: Option<Box<str>>,
    /// The name of the system; none: it gets none.
    pub name: Option<Box<str>>,
    /// Addresses that move with the leadership; none: clients know the managers' own.
    pub virtual_ips: Option<VirtualIps>,
    /// The licence of the system; none: it goes on as a trial.
    pub licence: Option<Licence>,
    /// How long the agent of a member must have been silent before it may be given up.
    pub lost_after: Duration,
    /// Words of commands that were never seen in use and that a person has accepted.
    pub accept: BTreeSet<String>,
    /// Whether the administrator's password may be among the arguments of a program on a node.
    pub password_in_sight: bool,
}

impl Default for WantedMdm {
    fn default() -> Self {
        Self {
            members: Mode::Three,
            standby_managers: 0,
            standby_tie_breakers: 0,
            // What the original asked of the host of a manager, rounded up.
            cores: 2,
            memory: Bytes::from_gib(3),
            rack_attribute: None,
            name: None,
            virtual_ips: None,
            licence: None,
            // Longer than the start of a large server.
            lost_after: Duration::from_secs(15 * 60),
            accept: BTreeSet::new(),
            password_in_sight: false,
        }
    }
}

/// Addresses that move with the leadership of the MDM cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualIps {
    /// The addresses.
    pub ips: Vec<IpAddr>,
    /// The interface of each on a manager that nothing else is said of; empty: there is no such manager.
    pub interfaces: Vec<String>,
    /// The interface of each, by manager.
    pub of: BTreeMap<NodeName, Vec<String>>,
}

impl VirtualIps {
    /// The interface of each address on a node; empty: nobody has said.
    pub fn on(&self, node: &NodeName) -> &[String] {
        self.of.get(node).unwrap_or(&self.interfaces)
    }
}

/// A licence of a system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Licence {
    /// Its text, which is in no log.
    pub text: Hidden,
    /// By which it is told from another one.
    pub sha256: Box<str>,
}

pub(super) fn read(mut section: Section<'_>) -> WantedMdm {
    let virtual_ips = virtual_ips(&mut section);
    let default = WantedMdm::default();
    let few = |found: &Found<'_>| match found.number()? {
        few @ 0..=10 => Ok(few as usize),
        other => Err(complain(format!("{other} members stand by"), "write a number from 0 to 10")),
    };
    let mdm = WantedMdm {
        members: section
            .take("members", |found| {
                let count = found.number()?;
                Mode::of(count)
                    .ok_or_else(|| complain(format!("an MDM cluster of {count} does not exist"), "write 1, 3 or 5"))
            })
            .unwrap_or(default.members),
        standby_managers: section.take("standby_managers", few).unwrap_or_default(),
        standby_tie_breakers: section.take("standby_tie_breakers", few).unwrap_or_default(),
        cores: section
            .take("cores", |found| {
                u32::try_from(found.number()?)
                    .map_err(|_| complain("no host has so many cores", "write a number such as 2"))
            })
            .unwrap_or(default.cores),
        memory: section.take("memory", size).unwrap_or(default.memory),
        rack_attribute: section.take("rack_attribute", |found| Ok(found.text()?.into())),
        name: section.take("name", name),
        virtual_ips,
        licence: section.take("licence_file", |found| licence(&found.path()?)),
        lost_after: section
            .take("lost_after", |found| match found.duration()? {
                span if span >= SILENT => Ok(span),
                _ => Err(complain("an agent that is silent for so short may be well", "write \"2m\" or more")),
            })
            .unwrap_or(default.lost_after),
        accept: section.take("accept", accepted).unwrap_or_default(),
        password_in_sight: section.take("password_in_sight", |found| found.flag()).unwrap_or_default(),
    };
    section.finish();
    mdm
}

fn virtual_ips(section: &mut Section<'_>) -> Option<VirtualIps> {
    let ips = section.take("virtual_ips", |found| {
        let mut ips: Vec<IpAddr> = Vec::new();
        for text in found.list()? {
            let wrong =
                |what: &str| Err(complain(format!("{text:?} {what}"), "write free addresses of the MDM's network"));
            match text.parse::<IpAddr>() {
                Ok(ip) if ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() => {
                    return wrong("is no address of a host in a network");
                }
                Ok(ip) if ips.contains(&ip) => return wrong("is there twice"),
                Ok(ip) => ips.push(ip),
                Err(_) => return wrong("is no address"),
            }
        }
        Ok(ips)
    });
    let one = |text: &str| {
        let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | ',' | ':');
        if text.is_empty() || text.len() > LONGEST_INTERFACE || !text.chars().all(is_plain) {
            return Err(complain(format!("{text:?} is no name of an interface"), "write it as `ip link` shows it"));
        }
        Ok(text.to_owned())
    };
    let interfaces: Vec<String> = section
        .take("virtual_ip_interfaces", |found: &Found<'_>| found.list()?.into_iter().map(one).collect())
        .unwrap_or_default();
    let mut of = BTreeMap::new();
    for (node, text) in section.section("virtual_ip_interfaces_of").texts() {
        let key = format!("virtual_ip_interfaces_of.{node}");
        if let Some(complaint) = super::agents::judge_node(&node) {
            section.note(&key, complaint);
            continue;
        }
        match text.split(',').map(|text| one(text.trim())).collect::<Result<Vec<_>, _>>() {
            Ok(interfaces) => drop(of.insert(NodeName::new(&node), interfaces)),
            Err(complaint) => section.note(&key, complaint),
        }
    }
    let ips = ips.filter(|ips| !ips.is_empty());
    let Some(ips) = ips else {
        if section.is_well("virtual_ips") && !(interfaces.is_empty() && of.is_empty()) {
            let what = "interfaces are named, and no virtual address";
            section
                .note("virtual_ips", complain(what, "write virtual_ips = [\"ADDRESS\"], or leave the interfaces out"));
        }
        return None;
    };
    let all = of.values().chain((!interfaces.is_empty() || of.is_empty()).then_some(&interfaces));
    if let Some(wrong) = all.into_iter().find(|names| names.len() != ips.len())
        && section.is_well("virtual_ip_interfaces")
    {
        let what = format!("{} interfaces stand beside {} virtual addresses", wrong.len(), ips.len());
        section.note(
            "virtual_ip_interfaces",
            complain(what, "name one interface for each virtual address, in their order"),
        );
    }
    Some(VirtualIps { ips, interfaces, of })
}

fn licence(path: &Path) -> Result<Licence, Complaint> {
    let path = readable(path.to_owned())?;
    let shown = path.display();
    let read = || {
        let file = std::fs::File::open(&path)?;
        let mode = file.metadata()?.mode();
        let mut text = String::new();
        file.take(LONGEST_LICENCE + 1).read_to_string(&mut text)?;
        Ok((mode, text))
    };
    let (mode, text) = read().map_err(|error: std::io::Error| {
        complain(format!("{shown} cannot be read: {error}"), "save the licence there as the vendor sent it")
    })?;
    system::judge_mode(mode, &path).map_err(|(what, mend)| complain(what, mend))?;
    if text.trim().is_empty() || text.len() as u64 > LONGEST_LICENCE {
        let what = format!("{shown} is no licence: it is empty, or has more than {LONGEST_LICENCE} bytes");
        return Err(complain(what, "save the licence there as the vendor sent it"));
    }
    let sha256 = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Ok(Licence { text: Hidden(Secret::new(&text)), sha256: sha256.into() })
}
