//! How `[systems.NAME.volumes]` is read: how tasks of Mesos get volumes of a system.

use super::section::{Found, Section, complain};
use super::{GatewayUrl, Login, system};

/// `[systems.NAME.volumes]`
#[derive(Clone, Debug)]
pub struct Volumes {
    /// Who the driver logs in as; its password lies on every node that consumes.
    pub login: Login,
    /// The gateway that it asks; none: the first one of the system.
    pub gateway: Option<GatewayUrl>,
    /// The protection domain of new volumes; none: that of the rollout.
    pub domain: Option<Box<str>>,
    /// Their pool; none: that of the rollout.
    pub pool: Option<Box<str>>,
    /// Whether they take their space as they are written.
    pub thin: bool,
    /// Whether a volume is taken from a node that still has it.
    pub preempts: bool,
    /// Whether the driver takes the gateway's certificate without looking at it.
    pub trusts_any: bool,
    /// Whether a person accepts it for releases for which it was never seen.
    pub accepted: bool,
    /// What becomes of the flags of Mesos agents.
    pub mesos_flags: MesosFlags,
}

/// Who gives Mesos agents the isolator by which tasks get volumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MesosFlags {
    /// The rollout adds what is missing, and starts an agent again when that changed it.
    Merge,
    /// The site itself.
    Leave,
}

/// Reads the section; nothing when a part that must be there is not.
pub(super) fn read(mut section: Section<'_>) -> Option<Volumes> {
    let gateway = section
        .take("gateway", |found| system::parse_gateway(found.text()?).map_err(|(what, mend)| complain(what, mend)));
    let name = |found: &Found<'_>| match found.text()? {
        "" => Err(complain("the name is empty", "leave the line out for that of the rollout")),
        name => Ok(name.into()),
    };
    let domain = section.take("domain", name);
    let pool = section.take("pool", name);
    let thin = section.take("thin", |found| found.flag()).unwrap_or(true);
    let preempts = section.take("preempt", |found| found.flag()).unwrap_or(true);
    let trusts_any = section.take("trusts_any", |found| found.flag()).unwrap_or_default();
    let accepted = section.take("accept", |found| found.flag()).unwrap_or_default();
    let mesos_flags = section
        .take("mesos_flags", |found| match found.text()? {
            "merge" => Ok(MesosFlags::Merge),
            "leave" => Ok(MesosFlags::Leave),
            _ => Err(complain("is neither of the two ways", "write \"merge\" or \"leave\"")),
        })
        .unwrap_or(MesosFlags::Merge);
    let login = system::login(section)?;
    Some(Volumes { login, gateway, domain, pool, thin, preempts, trusts_any, accepted, mesos_flags })
}
