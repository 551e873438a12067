//! Which thing is meant: one newtype per kind of object.
//!
//! The MDM names objects by 16 lower-case hexadecimal digits. Those are kept as
//! a number, so that an id costs no allocation; anything else that a newer
//! system may send is kept as its text.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The id of any object as the MDM wrote it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(Repr);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Repr {
    /// Sixteen lower-case hexadecimal digits, the usual form.
    Hex(u64),
    /// Any other text.
    Text(Arc<str>),
}

impl ObjectId {
    /// Takes the text of an id as it was sent.
    pub fn new(text: &str) -> Self {
        let usual = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match u64::from_str_radix(text, 16) {
            Ok(number) if usual => Self(Repr::Hex(number)),
            _ => Self(Repr::Text(text.into())),
        }
    }

    /// The id of an object counted by a number, as the simulated MDM makes them.
    pub const fn from_number(number: u64) -> Self {
        Self(Repr::Hex(number))
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Hex(number) => write!(f, "{number:016x}"),
            Repr::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ObjectId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ObjectId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        Ok(Self::new(&text))
    }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text of a name; who made it has checked its form.
            pub fn new(text: &str) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    )*};
}

names! {
    /// A host that we look after, by the name that Mesos and people give it.
    NodeName,
    /// An agent as the Mesos master names it; a host gets another one when its agent forgets.
    AgentId,
    /// A plan: the hash of all that is in it.
    PlanId,
    /// One execution of a plan.
    RunId,
    /// Our framework as the Mesos masters know it.
    FrameworkId,
    /// An offer of Mesos; used once.
    OfferId,
    /// A task of Mesos.
    TaskId,
    /// An executor on a Mesos agent.
    ExecutorId,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(ObjectId);

        impl $name {
            /// Takes the text of an id as it was sent.
            pub fn new(text: &str) -> Self {
                Self(ObjectId::new(text))
            }

            /// The id without its kind, as statistics are keyed.
            pub const fn object(&self) -> &ObjectId {
                &self.0
            }
        }

        impl From<ObjectId> for $name {
            fn from(id: ObjectId) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    )*};
}

ids! {
    /// A ScaleIO system as its MDM names it (not the name it has in our configuration).
    InstalledSystemId,
    /// A member of the MDM cluster, a manager or a tie-breaker.
    MdmId,
    /// A protection domain.
    ProtectionDomainId,
    /// A fault set.
    FaultSetId,
    /// A storage pool.
    StoragePoolId,
    /// An acceleration pool.
    AccelerationPoolId,
    /// A storage data server.
    SdsId,
    /// A device of an SDS.
    DeviceId,
    /// A storage data client, or an NVMe host.
    SdcId,
    /// A volume or a snapshot.
    VolumeId,
    /// A volume tree.
    VTreeId,
    /// A snapshot policy.
    SnapshotPolicyId,
    /// A replication consistency group.
    ConsistencyGroupId,
    /// A replication pair.
    ReplicationPairId,
    /// The MDM cluster of a replication peer.
    PeerMdmId,
    /// A storage data replicator.
    SdrId,
    /// A storage data target (NVMe over TCP).
    SdtId,
}

/// The name that the configuration gives to a ScaleIO system. It is in every
/// key, metric, path and mail, and is known before the first login.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SystemId(Arc<str>);

impl SystemId {
    /// Takes a configured name; `config` has checked its form.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SystemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_as_it_was_read() {
        for text in
            ["4c8a0b2300000001", "0000000000000000", "4C8A0B2300000001", "", "42", "not an id", "ffffffffffffffff"]
        {
            assert_eq!(ObjectId::new(text).to_string(), text);
        }
    }

    #[test]
    fn upper_and_lower_case_are_two_ids() {
        assert_ne!(ObjectId::new("4C8A0B2300000001"), ObjectId::new("4c8a0b2300000001"));
    }
}
