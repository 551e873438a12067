//! What is asked of an MDM cluster by way of a node, and what the cluster says of itself.

use core::net::IpAddr;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::command::Command;
use super::version::Generation;

/// A task for the MDM cluster, carried out by the node of one of its managers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MdmTask {
    /// Of which release the cluster is.
    pub generation: Generation,
    /// Managers that live; the one that leads is found among them. Empty: the node's own MDM is asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ask: Vec<IpAddr>,
    /// What is to be so.
    #[serde(flatten)]
    pub change: Change,
    /// The password may be among the arguments of a program, where everybody on the node can read it.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub password_in_sight: bool,
    /// Names of unproven commands that a person has accepted.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub accepted: BTreeSet<String>,
}

impl MdmTask {
    /// The commands that it may need, the one that asks first.
    pub fn commands(&self) -> Vec<Command> {
        let (login, set_password) = if self.password_in_sight {
            (Command::Login, Command::SetPassword)
        } else {
            (Command::LoginAtPrompt, Command::SetPasswordAtPrompt)
        };
        let more = match &self.change {
            Change::Look | Change::Unknown => Vec::new(),
            Change::Create { virtual_ips, .. } if !virtual_ips.is_empty() => {
                vec![Command::CreateCluster, Command::VirtualIps]
            }
            Change::Create { .. } => vec![Command::CreateCluster],
            Change::Password => vec![login, set_password],
            Change::AddStandby { member } if !member.interfaces.is_empty() => {
                vec![Command::AddStandby, Command::VirtualIps, login]
            }
            Change::AddStandby { .. } => vec![Command::AddStandby, login],
            Change::SwitchMode { .. } => vec![Command::SwitchMode, login],
            Change::Replace { .. } => vec![Command::ReplaceMember, login],
            Change::RemoveStandby { .. } => vec![Command::RemoveStandby, login],
            Change::Rename { .. } => vec![Command::RenameSystem, login],
            Change::Licence { .. } => vec![Command::SetLicence, login],
            Change::Ownership { .. } => vec![Command::SwitchOwnership, login],
        };
        std::iter::once(Command::QueryCluster).chain(more).collect()
    }

    /// Whether a command may be given.
    pub fn may(&self, command: Command) -> Result<(), String> {
        super::command::may(command, self.generation, self.accepted.contains(command.as_str()))
    }
}

/// What is to be so in the MDM cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// What it says of itself is in the report; nothing is changed.
    Look,
    /// The node's own MDM leads a cluster of its own.
    Create {
        /// How it appears there.
        master: Member,
        /// Addresses that move with the leadership.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        virtual_ips: Vec<IpAddr>,
    },
    /// The administrator has the password of the order.
    Password,
    /// A member stands by.
    AddStandby {
        /// Who.
        member: Member,
    },
    /// So many members vote.
    SwitchMode {
        /// How many.
        mode: Mode,
        /// Standby managers that vote from then on.
        managers: Vec<String>,
        /// Standby tie-breakers that vote from then on.
        tie_breakers: Vec<String>,
    },
    /// A member that stands by votes in the place of a lost one.
    Replace {
        /// Who is lost.
        lost: String,
        /// Who takes its place.
        by: String,
        /// What both are.
        kind: Kind,
    },
    /// A member stands by no more.
    RemoveStandby {
        /// Who.
        name: String,
    },
    /// The system has a name.
    Rename {
        /// Which.
        name: String,
    },
    /// The system has a licence, whose text is a secret of the order. Agents before that know another form.
    #[serde(rename = "licence_text")]
    Licence {
        /// What the text hashes to, in lower-case hexadecimal digits.
        sha256: String,
    },
    /// A manager leads.
    Ownership {
        /// Which.
        to: String,
    },
    /// Something of another release.
    #[serde(other)]
    Unknown,
}

impl Change {
    /// Its name in hooks, logs and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Look => "mdm_look",
            Self::Create { .. } => "mdm_create",
            Self::Password => "mdm_password",
            Self::AddStandby { .. } => "mdm_add_standby",
            Self::SwitchMode { .. } => "mdm_switch_mode",
            Self::Replace { .. } => "mdm_replace",
            Self::RemoveStandby { .. } => "mdm_remove_standby",
            Self::Rename { .. } => "mdm_rename",
            Self::Licence { .. } => "mdm_licence",
            Self::Ownership { .. } => "mdm_ownership",
            Self::Unknown => "unknown",
        }
    }
}

/// Whether a member keeps the repository or only votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It keeps the repository and may lead.
    Manager,
    /// It only votes.
    TieBreaker,
}

/// A member, as it is made known to the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its addresses for the other members.
    pub ips: Vec<IpAddr>,
    /// Its addresses for people and gateways.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub management_ips: Vec<IpAddr>,
    /// Interfaces that carry the virtual addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<String>,
}

/// How many members vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Mode {
    /// One manager: for trials, nothing survives its loss.
    #[serde(rename = "1_node")]
    One,
    /// Two managers and a tie-breaker: survives one loss.
    #[serde(rename = "3_node")]
    Three,
    /// Three managers and two tie-breakers: survives two losses.
    #[serde(rename = "5_node")]
    Five,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::One, Self::Three, Self::Five];

    /// The cluster of that many members; the MDM knows no other sizes.
    pub const fn of(count: u64) -> Option<Self> {
        match count {
            1 => Some(Self::One),
            3 => Some(Self::Three),
            5 => Some(Self::Five),
            _ => None,
        }
    }

    /// Its word in commands and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::One => "1_node",
            Self::Three => "3_node",
            Self::Five => "5_node",
        }
    }

    /// Managers that vote.
    pub const fn managers(self) -> usize {
        match self {
            Self::One => 1,
            Self::Three => 2,
            Self::Five => 3,
        }
    }

    /// Tie-breakers that vote.
    pub const fn tie_breakers(self) -> usize {
        self.managers() - 1
    }
}

/// What an MDM said when it was asked for its cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mdm", rename_all = "snake_case")]
pub enum MdmWord {
    /// It belongs to no cluster.
    Free,
    /// It belongs to one that could not be asked: its own word is that it does not lead.
    Bound,
    /// It told of its cluster.
    Cluster(Cluster),
    /// A word of another release.
    #[serde(other)]
    Unknown,
}

/// The name under which it travels in what an agent found.
pub const FOUND: &str = "cluster";

/// A cluster, as it tells of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// The system's name; none: it has none.
    #[serde(default)]
    pub name: Option<String>,
    /// How many vote; none: a mode that this release does not know.
    pub mode: Option<Mode>,
    /// `Normal`, or in its words what is wrong.
    pub state: String,
    /// Addresses that move with the leadership; none: it does not tell.
    #[serde(default)]
    pub virtual_ips: Option<Vec<IpAddr>>,
    /// Members, the leading one first.
    pub members: Vec<MemberSeen>,
}

/// A member, as the cluster tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberSeen {
    /// Its name.
    pub name: String,
    /// The cluster's number for it.
    pub id: String,
    /// Where it sits.
    pub place: Place,
    /// Its addresses for the other members.
    pub ips: Vec<IpAddr>,
    /// Its addresses for people and gateways; empty: not told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub management_ips: Vec<IpAddr>,
    /// `Normal`, or in the cluster's words what is wrong; none: not told, as of the one that leads.
    #[serde(default)]
    pub status: Option<String>,
    /// Its release.
    #[serde(default)]
    pub version: Option<String>,
}

/// Where a member sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// It leads.
    Master,
    /// It keeps the repository.
    Slave,
    /// It votes.
    TieBreaker,
    /// It stands by as manager.
    StandbyManager,
    /// It stands by as tie-breaker.
    StandbyTieBreaker,
}

impl Place {
    /// What it is.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Master | Self::Slave | Self::StandbyManager => Kind::Manager,
            Self::TieBreaker | Self::StandbyTieBreaker => Kind::TieBreaker,
        }
    }

    /// Whether it votes.
    pub const fn votes(self) -> bool {
        matches!(self, Self::Master | Self::Slave | Self::TieBreaker)
    }
}

impl MemberSeen {
    /// Whether the cluster complains of it. A word that is not known is a complaint.
    pub fn is_well(&self) -> bool {
        self.status.as_deref().is_none_or(|status| status.eq_ignore_ascii_case("normal"))
    }
}

impl Cluster {
    /// The member of a name.
    pub fn named(&self, name: &str) -> Option<&MemberSeen> {
        self.members.iter().find(|member| member.name == name)
    }

    /// Members that vote.
    pub fn voters(&self) -> impl Iterator<Item = &MemberSeen> {
        self.members.iter().filter(|member| member.place.votes())
    }

    /// Whether it says that all is well.
    pub fn is_normal(&self) -> bool {
        self.state.eq_ignore_ascii_case("normal")
    }

    /// Where clients and gateways find whoever leads: by the virtual addresses where it has some, else by the managers'.
    pub fn found_at(&self) -> Vec<IpAddr> {
        let virtual_ips = self.virtual_ips.as_ref().filter(|ips| !ips.is_empty());
        virtual_ips.cloned().unwrap_or_else(|| self.managers())
    }

    /// Where gateways find whoever leads, where they shall come by another network than clients. A manager that tells no
    /// address there is found as by clients.
    pub fn managed_at(&self) -> Vec<IpAddr> {
        let managers = self.voters().filter(|member| member.place.kind() == Kind::Manager);
        let at = |member: &MemberSeen| match &member.management_ips[..] {
            [] => member.ips.clone(),
            ips => ips.to_vec(),
        };
        managers.flat_map(at).collect()
    }

    /// Addresses of the managers that vote. Tie-breakers are not among them.
    pub fn managers(&self) -> Vec<IpAddr> {
        let managers = self.voters().filter(|member| member.place.kind() == Kind::Manager);
        managers.flat_map(|member| member.ips.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_s_changes_and_words_are_taken() {
        let task = r#"{"generation":"3.0","change":"polish","cloth":"silk"}"#;
        let task: MdmTask = serde_json::from_str(task).unwrap();
        assert_eq!(task.change, Change::Unknown);
        assert_eq!(serde_json::from_str::<MdmWord>(r#"{"mdm":"asleep"}"#).unwrap(), MdmWord::Unknown);
        let task = MdmTask {
            generation: Generation::V2_0,
            ask: vec!["192.0.2.1".parse().unwrap()],
            change: Change::Rename { name: "prod".to_owned() },
            password_in_sight: false,
            accepted: BTreeSet::new(),
        };
        let text = serde_json::to_string(&task).unwrap();
        assert_eq!(text, r#"{"generation":"2.0","ask":["192.0.2.1"],"change":"rename","name":"prod"}"#);
        assert_eq!(serde_json::from_str::<MdmTask>(&text).unwrap(), task);
    }
}
