//! Why does an MDM cluster not become what it shall be?

use std::fmt;
use std::net::IpAddr;

use crate::model::id::NodeName;
use crate::model::mdm::Mode;
use crate::model::version::Generation;

/// What keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Wait {
    /// The release's cluster is made by another program.
    Generation { generation: Generation },
    /// A node's agent is not heard.
    Silent { node: NodeName },
    /// A node's agent is at work.
    Busy { node: NodeName },
    /// Its MDM was installed in the other role.
    OtherRole { node: NodeName },
    /// Its MDM was installed anew, and the cluster waits for the one before.
    Forgot { node: NodeName },
    /// No node has the seat of a manager.
    NoManager,
    /// A cluster was made, and no manager knows of it any more.
    Vanished,
    /// Two nodes tell of clusters that have no member in common.
    TwoClusters { one: Vec<String>, other: Vec<String> },
    /// No member is on a node of ours.
    Foreign { members: Vec<String> },
    /// The cluster is in a mode that this release does not know.
    UnknownMode,
    /// More members vote than shall.
    Larger { is: Mode, wanted: Mode },
    /// Too few members stand by for the mode.
    TooFew { wanted: Mode, managers: usize, tie_breakers: usize },
    /// Nobody stands by who could take the place of a lost one.
    NoSubstitute { lost: String },
    /// Nobody has said by which interface a manager carries the virtual addresses.
    NoInterface { node: NodeName },
    /// It cannot be said where a node's member is found.
    NoAddress { node: NodeName, because: Box<str> },
    /// A member is found elsewhere than it shall be.
    OtherAddresses { node: NodeName, is: Vec<IpAddr>, wanted: Vec<IpAddr> },
    /// A member would be found at more or fewer addresses than those that are there, of which each has as many as the others.
    OtherCount { node: NodeName, wanted: Vec<IpAddr>, is: usize },
    /// The cluster has other virtual addresses than it shall have.
    OtherVirtualIps { is: Vec<IpAddr>, wanted: Vec<IpAddr> },
    /// The cluster itself says that it is not well.
    NotNormal { state: String },
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Generation { generation } => write!(
                f,
                "release {generation}: its MDM cluster is made by PowerFlex Manager; leave out [systems.NAME.rollout.mdm] and let nodes join it"
            ),
            Self::Silent { node } => write!(f, "the agent of {node} has not been heard; see that it runs there"),
            Self::Busy { node } => write!(f, "the agent of {node} is at work"),
            Self::OtherRole { node } => write!(
                f,
                "{node} has an MDM of the other role; take it out of its cluster and remove it, or give the seat to another node"
            ),
            Self::Forgot { node } => write!(
                f,
                "the MDM of {node} was installed anew and knows nothing of the cluster, which still counts the old one; let another node take its seat"
            ),
            Self::NoManager => f.write_str("no node has the seat of a manager"),
            Self::Vanished => f.write_str(
                "a cluster was made before, and no manager knows of it; nothing is made a second time: find out where it is",
            ),
            Self::TwoClusters { one, other } => write!(
                f,
                "the nodes belong to two MDM clusters, of {} and of {}; give one of them to another system",
                one.join(", "),
                other.join(", ")
            ),
            Self::Foreign { members } => write!(
                f,
                "the MDM cluster is on no node of ours ({}); nothing is touched but what is added",
                members.join(", ")
            ),
            Self::UnknownMode => f.write_str("the cluster is in a mode that this release does not know"),
            Self::Larger { is, wanted } => write!(
                f,
                "the cluster is in {}, and {} was asked for; a member is never taken away unasked",
                is.as_str(),
                wanted.as_str()
            ),
            Self::TooFew { wanted, managers, tie_breakers } => write!(
                f,
                "for {} more members must stand by than {managers} managers and {tie_breakers} tie-breakers",
                wanted.as_str()
            ),
            Self::NoSubstitute { lost } => {
                write!(f, "{lost} is lost, and nobody stands by who could take its place; add a node")
            }
            Self::NoInterface { node } => write!(
                f,
                "{node} shall be a manager, and nobody says by which interface it carries the virtual addresses; name it in virtual_ip_interfaces_of"
            ),
            Self::NoAddress { node, because } => write!(f, "{node} shall be a member of the cluster, and {because}"),
            Self::OtherAddresses { node, is, wanted } => {
                write!(
                    f,
                    "the member on {node} is found at {}, and {} were asked for; a member keeps the addresses that it was \
                     taken in with",
                    list(is),
                    list(wanted)
                )
            }
            Self::OtherCount { node, wanted, is } => write!(
                f,
                "{node} would be found at {}, and members of the cluster at {is} each; set networks.mdm to the networks of \
                 the members",
                list(wanted)
            ),
            Self::OtherVirtualIps { is, wanted } => {
                let some = |ips: &[IpAddr]| if ips.is_empty() { "no virtual addresses".to_owned() } else { list(ips) };
                write!(
                    f,
                    "the cluster has {}, and {} were asked for; they are given when it is made, and afterwards left as they are",
                    some(is),
                    some(wanted)
                )
            }
            Self::NotNormal { state } => write!(f, "the cluster says that it is {state}, not Normal"),
        }
    }
}

/// Addresses, as people read them.
pub(in crate::fleet) fn list(ips: &[IpAddr]) -> String {
    ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
