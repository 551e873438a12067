//! What a controller and the agent of a node say to each other: orders, what
//! became of them, and which versions of that talk go together.
//!
//! Both ends may be one release apart, so every struct takes fields it does
//! not know, and a task it does not know is one it can refuse by name.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::preflight::{Servers, VirtualIp};
use super::unit::Timestamp;
use super::version::Generation;

/// The version of the talk that this release speaks.
pub const PROTOCOL: u16 = 1;

/// Two ends whose versions are too far apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this end speaks version {ours} of the agents' protocol and the other one version {theirs}; only neighbours understand each other, so bring the older end up one release at a time"
)]
#[allow(missing_docs)]
pub struct Mismatch {
    pub ours: u16,
    pub theirs: u16,
}

/// The version in which two ends talk: the older one, when it is at most one behind.
pub const fn common(ours: u16, theirs: u16) -> Result<u16, Mismatch> {
    if ours.abs_diff(theirs) > 1 {
        Err(Mismatch { ours, theirs })
    } else if ours < theirs {
        Ok(ours)
    } else {
        Ok(theirs)
    }
}

/// Which step of a run an order carries out. The controller makes it up, and
/// never gives two steps the same one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderId(String);

impl OrderId {
    /// Takes the id that the controller made.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A password on its way to the package that needs it. It goes over the wire,
/// into no log and into no ledger.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden(Box<str>);

impl Hidden {
    /// Hides a text.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// One step for one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The step.
    pub id: OrderId,
    /// Counts the leaders there were; an agent obeys no leader older than one it has heard.
    pub epoch: u64,
    /// The step is not begun after this moment.
    pub expires: Timestamp,
    /// How long it may take once begun, in seconds.
    pub within_s: u32,
    /// What is to be so afterwards.
    pub task: Task,
    /// What the task needs and nobody else may read.
    #[serde(default, skip_serializing_if = "Secrets::is_empty")]
    pub secrets: Secrets,
}

/// Passwords that a package's install script asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Secrets {
    /// For LIA: what the installation manager shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lia_token: Option<Hidden>,
    /// For the gateway: the password of its administrator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_admin: Option<Hidden>,
    /// For the MDM cluster: the password of its administrator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mdm_admin: Option<Hidden>,
    /// For the driver of volumes: the password of its user at the gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volumes: Option<Hidden>,
    /// For the MDM cluster: the text of its licence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licence: Option<Hidden>,
}

impl Secrets {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        let passwords = [&self.lia_token, &self.gateway_admin, &self.mdm_admin, &self.volumes, &self.licence];
        passwords.iter().all(|password| password.is_none())
    }
}

/// What is to be so on the node after a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum Task {
    /// The table of what a node must have is filled in; nothing is changed.
    Preflight(Box<Preflight>),
    /// Files lie on the node, complete and with the right SHA-256.
    Stage {
        /// The files.
        artefacts: Vec<Artefact>,
    },
    /// The operating system's packages that components need are installed.
    Prerequisites {
        /// For these components.
        components: Vec<Component>,
        /// Of this generation.
        generation: Generation,
    },
    /// A component is installed in the version of a package, and its service runs.
    Install(Install),
    /// A component lies on a host without a package manager, and its service runs.
    InstallBare {
        /// The component; its file is a bundle of plain files.
        install: Install,
        /// A person has accepted what was not proven.
        #[serde(default)]
        accepted: bool,
    },
    /// The same, also where a newer version is installed: what was tried is taken back.
    PutBack(Install),
    /// A component is gone from the node.
    Remove {
        /// The component.
        component: Component,
    },
    /// A component's service runs, or does not.
    Service {
        /// The component.
        component: Component,
        /// Whether it shall run.
        running: bool,
    },
    /// The SDC knows the managers of these systems, now and after a reboot.
    ConnectSdc {
        /// The addresses of the managers, one list a system.
        systems: Vec<Vec<IpAddr>>,
        /// Of each system, in the same order, how it may be known already; empty: nothing is said of that.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        known: Vec<KnownAs>,
    },
    /// Each disk is looked at by every means there is; nothing is changed.
    JudgeDisks {
        /// Which disks; none: every disk of the node.
        #[serde(default)]
        paths: Vec<String>,
    },
    /// The node has booted again since a boot.
    Reboot {
        /// The boot that is to be over.
        boot_id: String,
    },
    /// The agent itself is this file.
    RenewAgent {
        /// The new program.
        artefact: Artefact,
    },
    /// The MDM cluster is as the order says, seen by way of this node.
    Mdm(super::mdm::MdmTask),
    /// The node's MDM, which is in no cluster, is a manager or a tie-breaker.
    MdmRole {
        /// A manager.
        manager: bool,
        /// Of which release.
        generation: Generation,
        /// A person has accepted what was not proven.
        #[serde(default)]
        accepted: bool,
    },
    /// LIA belongs to a system.
    LinkLia {
        /// The system's installation id, in hexadecimal digits.
        installation: String,
        /// Of which release.
        generation: Generation,
        /// A person has accepted what was not proven.
        #[serde(default)]
        accepted: bool,
    },
    /// The gateway on the node knows the managers.
    ConnectGateway {
        /// Their addresses.
        mdms: Vec<IpAddr>,
        /// Whether it takes the MDM's certificate without looking at it.
        #[serde(default)]
        trusts_any: bool,
    },
    /// Tasks of the node's Mesos agent can get volumes of a system.
    ConsumeVolumes(Box<Consume>),
    /// The node's Mesos agent lets its tasks have volumes. What it has stays; it is started again only when that changes it.
    MesosVolumes(Box<MesosVolumes>),
    /// The Mesos agent is as it was before the last `MesosVolumes` changed it.
    MesosPutBack,
    /// A task of another release.
    #[serde(other)]
    Unknown,
}

impl Task {
    /// The name of a task, as hooks, logs and metrics carry it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Preflight(_) => "preflight",
            Self::Stage { .. } => "stage",
            Self::Prerequisites { .. } => "prerequisites",
            Self::Install(_) => "install",
            Self::InstallBare { .. } => "install_bare",
            Self::PutBack(_) => "put_back",
            Self::Remove { .. } => "remove",
            Self::Service { .. } => "service",
            Self::ConnectSdc { .. } => "connect_sdc",
            Self::JudgeDisks { .. } => "judge_disks",
            Self::Reboot { .. } => "reboot",
            Self::RenewAgent { .. } => "renew_agent",
            Self::Mdm(task) => task.change.name(),
            Self::MdmRole { .. } => "mdm_role",
            Self::LinkLia { .. } => "link_lia",
            Self::ConnectGateway { .. } => "connect_gateway",
            Self::ConsumeVolumes(_) => "consume_volumes",
            Self::MesosVolumes(_) => "mesos_volumes",
            Self::MesosPutBack => "mesos_put_back",
            Self::Unknown => "unknown",
        }
    }
}

/// A file that the controller serves, or that lies at a URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artefact {
    /// Its name, without any folder.
    pub name: String,
    /// What its bytes hash to, in lower-case hexadecimal digits.
    pub sha256: String,
    /// How many bytes it has.
    pub size: u64,
    /// Where it lies when the controller does not serve it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A package to be installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Install {
    /// The component.
    pub component: Component,
    /// The package; its name tells the version.
    pub artefact: Artefact,
    /// The managers of the system, or its virtual addresses.
    #[serde(default)]
    pub mdms: Vec<IpAddr>,
}

/// How an SDC may know a system already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownAs {
    /// The system's id, in hexadecimal digits.
    pub system: String,
    /// Every address that the system has for clients now. What is among them is not gone.
    pub at: Vec<IpAddr>,
}

/// How the volumes of a system come to the tasks of a node: by REX-Ray, which the `docker/volume`
/// isolator of Mesos asks by way of dvdcli.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consume {
    /// The program `rexray`; none: it is on the node already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rexray: Option<Artefact>,
    /// The program `dvdcli`; none: it is on the node already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dvdcli: Option<Artefact>,
    /// The gateway, `https://host:port`. REX-Ray takes one.
    pub gateway: String,
    /// Who it logs in as there; the password is a secret of the order.
    pub user: String,
    /// The id of the system, in hexadecimal digits. Names may be shared or missing.
    pub system: String,
    /// The protection domain of new volumes.
    pub domain: String,
    /// Their pool.
    pub pool: String,
    /// Whether they take their space as they are written.
    pub thin: bool,
    /// Whether a volume is taken from another node that still has it. The MDM cuts that one off first.
    pub preempts: bool,
    /// Whether the gateway's certificate is taken without looking at it.
    pub trusts_any: bool,
    /// Of which release the system is.
    pub generation: Generation,
    /// A person has accepted what was not proven.
    #[serde(default)]
    pub accepted: bool,
}

/// By what the Mesos agent of a node gives volumes to its tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MesosVolumes {
    /// The module of DVDI for its very version; none: its own isolator `docker/volume`, which came with Mesos 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<Artefact>,
}

/// What a node is asked to be good for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Preflight {
    /// The components it shall carry.
    pub components: Vec<Component>,
    /// Of which generation.
    pub generation: Option<Generation>,
    /// Addresses it must reach, each with a port.
    pub reach: Vec<String>,
    /// Servers that it must reach.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<Servers>,
    /// The smallest MTU on the way to them.
    pub mtu: Option<u32>,
    /// The slowest link it may have, in Mbit/s.
    pub link_mbit: Option<u32>,
    /// The time at the controller when it asked.
    pub now: Option<Timestamp>,
    /// The release of the packages it shall get; the kernel module must fit to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// The name by which the system shall know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Names that are taken in the system, each with an address of who has it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub taken: BTreeMap<String, IpAddr>,
    /// Virtual addresses of the MDM that it shall be able to carry.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub virtual_ips: Vec<VirtualIp>,
    /// The memory it must have, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// Whether tasks of its Mesos agent shall get volumes.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub volumes: bool,
}

/// A part of ScaleIO that a node can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    /// A metadata manager.
    Mdm,
    /// A tie-breaker: the manager's package in its smaller role.
    Tb,
    /// A data server.
    Sds,
    /// A client: a kernel module and what configures it.
    Sdc,
    /// The installation agent, by which the vendor's own tools work.
    Lia,
    /// The REST gateway.
    Gateway,
}

impl Component {
    /// All of them, in the order in which a node gets them.
    pub const ALL: [Self; 6] = [Self::Mdm, Self::Tb, Self::Sds, Self::Sdc, Self::Lia, Self::Gateway];

    /// Its word in commands and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mdm => "mdm",
            Self::Tb => "tb",
            Self::Sds => "sds",
            Self::Sdc => "sdc",
            Self::Lia => "lia",
            Self::Gateway => "gateway",
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It was so before; nothing was done.
    AlreadySo,
    /// It was done, and seen to be so.
    Done,
    /// It is not so. The node stays as the text says.
    Failed {
        /// What is wrong, and the mend.
        why: String,
    },
    /// Nothing was begun.
    Refused {
        /// Why not.
        why: String,
    },
    /// An outcome of another release.
    #[serde(other)]
    Unknown,
}

impl Outcome {
    /// Whether what was ordered is so.
    pub const fn is_good(&self) -> bool {
        matches!(self, Self::AlreadySo | Self::Done)
    }
}

/// An order that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// Which.
    pub id: OrderId,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// When, by the node's clock.
    pub at: Timestamp,
    /// What was found, such as a version or a disk's state, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub found: BTreeMap<String, String>,
}

/// What an agent says each time it asks for orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The version of the talk that the agent speaks.
    pub protocol: u16,
    /// The agent's release.
    pub release: String,
    /// The SHA-256 of the agent's program.
    #[serde(default)]
    pub program: String,
    /// Which boot of the node this is.
    pub boot_id: String,
    /// The kernel that runs.
    #[serde(default)]
    pub kernel: String,
    /// The highest epoch it obeys.
    pub epoch: u64,
    /// The step it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_on: Option<OrderId>,
    /// What is over and was not acknowledged.
    #[serde(default)]
    pub finished: Vec<Finished>,
    /// Why it takes no orders, when it takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_of_work: Option<String>,
    /// Why its certificate could not be renewed at the last try, when it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub papers_problem: Option<String>,
    /// What it saw when it last looked at its host. Older agents do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostReport>,
}

impl Report {
    /// Orders that the agent has heard of: the step it is in, and what is over.
    pub fn known(&self) -> Vec<OrderId> {
        self.working_on.iter().chain(self.finished.iter().map(|finished| &finished.id)).cloned().collect()
    }
}

/// What an agent sees on its host. Components are given by their words, so that
/// one of another release is no reason not to be understood.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostReport {
    /// The lines `ID`, `VERSION_ID` and `PRETTY_NAME` of os-release.
    pub os: String,
    /// The kernel that the next start will use; empty: it cannot be told.
    pub next_kernel: String,
    /// Kernels for which there is a module of the SDC.
    pub modules: BTreeSet<String>,
    /// Versions in the books of packages, by component.
    pub installed: BTreeMap<String, BTreeSet<String>>,
    /// Versions of package files that were checked on the node, by component.
    pub staged: BTreeMap<String, BTreeSet<String>>,
    /// Components whose services run.
    pub running: BTreeSet<String>,
    /// Volumes that the SDC has; none: it cannot be told.
    pub open_volumes: Option<u32>,
    /// How the kernel has the module of the SDC, by its own word (`Live`, `Loading`, `Unloading`); none: it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Its cores. Older agents do not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cores: Option<u32>,
    /// Its memory in MiB. Older agents do not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// Its addresses without loopback. Older agents do not say them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub addresses: BTreeSet<String>,
}

/// What the controller says to a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The version of the talk from here on.
    pub protocol: u16,
    /// The time at the controller.
    pub now: Timestamp,
    /// Outcomes that the controller has written down.
    #[serde(default)]
    pub acknowledged: Vec<OrderId>,
    /// The next step, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_talk_in_the_older_version_and_others_do_not() {
        assert_eq!(common(3, 3), Ok(3));
        assert_eq!(common(3, 2), Ok(2));
        assert_eq!(common(2, 3), Ok(2));
        assert_eq!(common(3, 1), Err(Mismatch { ours: 3, theirs: 1 }));
        assert_eq!(common(1, 3), Err(Mismatch { ours: 1, theirs: 3 }));
    }

    #[test]
    fn a_neighbour_s_new_fields_tasks_and_outcomes_are_taken() {
        let order = r#"{"id":"r1.4","epoch":7,"expires":"2026-01-01T00:00:00Z","within_s":60,"colour":"red",
            "task":{"task":"polish","cloth":"silk"}}"#;
        let order: Order = serde_json::from_str(order).unwrap();
        assert_eq!(order.task, Task::Unknown);
        let connect = r#"{"task":"connect_sdc","systems":[["192.0.2.1"]],"colour":"red"}"#;
        let before = Task::ConnectSdc { systems: vec![vec!["192.0.2.1".parse().unwrap()]], known: Vec::new() };
        assert_eq!(serde_json::from_str::<Task>(connect).unwrap(), before);
        let finished = r#"{"id":"r1.4","outcome":"evaporated","at":"2026-01-01T00:00:00Z","mood":"fine"}"#;
        let finished: Finished = serde_json::from_str(finished).unwrap();
        assert_eq!((finished.outcome.is_good(), finished.outcome), (false, Outcome::Unknown));
    }

    #[test]
    fn a_secret_is_sent_and_not_shown() {
        let secrets = Secrets { lia_token: Some(Hidden::new("hunter2")), ..Secrets::default() };
        assert!(!format!("{secrets:?}").contains("hunter2"));
        assert_eq!(serde_json::to_string(&secrets).unwrap(), r#"{"lia_token":"hunter2"}"#);
    }
}
