//! May an addition be asked for at this very moment? Pure.
//!
//! A round of additions takes its time, and what it was decided by grows old meanwhile: somebody makes a file system on a
//! disk, takes the approval back, begins a run. So each addition is judged once more right before the MDM is asked. What
//! gets no leave is left out of its round and decided anew; that is no failure.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::decide::FRESH;
use super::record::Judged;
use crate::fleet::diff::Addition;
use crate::model::id::{NodeName, RunId, SystemId};
use crate::model::unit::Timestamp;

/// What a round stands on, renewed with each decision.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The system.
    pub system: SystemId,
    /// Whether it may be changed.
    pub is_approved: bool,
    /// Nodes whose last decision is still that they are added, with how their disks were judged last.
    pub nodes: BTreeMap<NodeName, Option<Judged>>,
    /// Nothing of the round is begun later.
    pub until: Timestamp,
}

/// What else is so at this moment.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The moment.
    pub now: Timestamp,
    /// The run that works on the system.
    pub run: Option<RunId>,
    /// The boot of the node, by its agent's last word; none or empty: it was not told.
    pub boot_id: Option<Box<str>>,
}

/// Why an addition is not asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Against {
    /// The round has lasted long enough; others have their turn.
    RoundOver,
    NotApproved {
        system: SystemId,
    },
    InRun {
        run: RunId,
    },
    /// The node is decided otherwise by now.
    Decided {
        node: NodeName,
    },
    /// Nobody has looked at the disk lately.
    Stale {
        path: Box<str>,
        age: Duration,
    },
    /// The node was started anew since its disks were judged; their names may be others.
    Booted {
        node: NodeName,
    },
    /// Its agent does not tell of such a disk.
    NoSuchDisk {
        path: Box<str>,
    },
    NotFree {
        path: Box<str>,
        because: Box<str>,
    },
    /// Somebody would lose an address while not all is well.
    Unwell {
        what: Box<str>,
    },
}

/// Gives leave.
///
/// # Errors
/// Why it is not asked for now.
pub fn leave(addition: &Addition, ground: &Ground, moment: &Moment) -> Result<(), Against> {
    if moment.now >= ground.until {
        return Err(Against::RoundOver);
    }
    if !ground.is_approved {
        return Err(Against::NotApproved { system: ground.system.clone() });
    }
    if let Some(run) = &moment.run {
        return Err(Against::InRun { run: run.clone() });
    }
    let Some(node) = addition.node() else { return Ok(()) };
    let decided = ground.nodes.get(node).ok_or_else(|| Against::Decided { node: node.clone() })?;
    let Some(path) = addition.device() else { return Ok(()) };
    let judged = decided.as_ref().ok_or_else(|| Against::NoSuchDisk { path: path.into() })?;
    // Of another clock than ours is no age.
    let age = (moment.now - judged.at).to_std().unwrap_or(Duration::MAX);
    if age > FRESH {
        return Err(Against::Stale { path: path.into(), age });
    }
    let boot_id = moment.boot_id.as_deref().filter(|boot_id| !boot_id.is_empty() && !judged.boot_id.is_empty());
    if boot_id.is_some_and(|boot_id| boot_id != &*judged.boot_id) {
        return Err(Against::Booted { node: node.clone() });
    }
    let mut disks = judged.disks.iter();
    let disk = disks.find(|disk| disk.path == path || disk.links.iter().any(|link| link == path));
    match disk {
        None => Err(Against::NoSuchDisk { path: path.into() }),
        Some(disk) if disk.is_free() => Ok(()),
        Some(disk) => Err(Against::NotFree { path: path.into(), because: disk.not_free.join("; ").into() }),
    }
}

impl fmt::Display for Against {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RoundOver => f.write_str("others have their turn first"),
            Self::NotApproved { system } => write!(f, "the rollout of {system} is not approved any more"),
            Self::InRun { run } => write!(f, "run {run} is at work on the system"),
            Self::Decided { node } => write!(f, "{node} is decided otherwise by now"),
            Self::Stale { path, age } => write!(f, "{path} was last looked at {} s ago", age.as_secs()),
            Self::Booted { node } => write!(f, "{node} was started anew since its disks were looked at"),
            Self::NoSuchDisk { path } => write!(f, "the agent does not tell of a disk {path}"),
            Self::NotFree { path, because } => write!(f, "{path} is not free: {because}"),
            Self::Unwell { what } => write!(f, "not all is well: {what}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::findings::Disk;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).unwrap()
    }

    fn device(path: &str) -> Addition {
        Addition::Device { node: NodeName::new("n1"), path: path.into(), pool: "p".into() }
    }

    fn server(node: &str) -> Addition {
        Addition::Server { node: NodeName::new(node), domain: "d".into(), fault_set: None, addresses: Vec::new() }
    }

    fn disk(path: &str, not_free: &[&str]) -> Disk {
        let text = serde_json::json!({
            "path": path, "size": 5, "rotational": false, "not_free": not_free, "links": [format!("/dev/disk/by-id/{path}")],
        });
        serde_json::from_value(text).unwrap()
    }

    fn ground() -> Ground {
        let disks = [disk("/dev/sdb", &[]), disk("/dev/sdc", &["LVM has it"])].into();
        let judged = Judged { at: at(100), disks, boot_id: "b1".into() };
        let nodes = [(NodeName::new("n1"), Some(judged)), (NodeName::new("n2"), None)].into();
        Ground { system: SystemId::new("prod"), is_approved: true, nodes, until: at(1000) }
    }

    fn moment(seconds: i64) -> Moment {
        Moment { now: at(seconds), run: None, boot_id: Some("b1".into()) }
    }

    type Change = fn(&mut Ground, &mut Moment);

    /// What is changed, what is added then, and what is said to it.
    fn cases() -> Vec<(Addition, Change, &'static str)> {
        vec![
            (device("/dev/sdb"), |_, _| (), ""),
            (device("/dev/disk/by-id//dev/sdb"), |_, _| (), ""),
            (device("/dev/sdb"), |_, moment| moment.now = at(160), ""),
            (device("/dev/sdb"), |_, moment| moment.now = at(161), "/dev/sdb was last looked at 61 s ago"),
            (device("/dev/sdb"), |_, moment| moment.now = at(90), "/dev/sdb was last looked at"),
            (device("/dev/sdc"), |_, _| (), "/dev/sdc is not free: LVM has it"),
            (device("/dev/sdz"), |_, _| (), "does not tell of a disk /dev/sdz"),
            (device("/dev/sdb"), |_, moment| moment.boot_id = Some("b2".into()), "started anew"),
            (device("/dev/sdb"), |_, moment| moment.boot_id = None, ""),
            (device("/dev/sdb"), |ground, _| ground.nodes.clear(), "n1 is decided otherwise"),
            (device("/dev/sdb"), |ground, _| ground.is_approved = false, "not approved any more"),
            (device("/dev/sdb"), |_, moment| moment.run = Some(RunId::new("run-7")), "run run-7 is at work"),
            (device("/dev/sdb"), |ground, _| ground.until = at(101), "others have their turn"),
            (server("n2"), |_, moment| moment.now = at(900), ""),
            (server("n3"), |_, _| (), "n3 is decided otherwise"),
            (server("n2"), |_, moment| moment.run = Some(RunId::new("run-7")), "run run-7 is at work"),
            (Addition::Domain { name: "d".into() }, |ground, _| ground.nodes.clear(), ""),
            (Addition::Domain { name: "d".into() }, |ground, _| ground.is_approved = false, "not approved"),
        ]
    }

    #[test]
    fn an_addition_is_judged_by_what_is_so_at_its_own_moment() {
        for (number, (addition, change, said)) in cases().into_iter().enumerate() {
            let (mut ground, mut moment) = (ground(), moment(101));
            change(&mut ground, &mut moment);
            let told = leave(&addition, &ground, &moment).err().map(|against| against.to_string()).unwrap_or_default();
            let fits = if said.is_empty() { told.is_empty() } else { told.contains(said) };
            assert!(fits, "case {number}: {addition}: {told:?}, not {said:?}");
        }
    }
}
