//! States that the MDM reports. One that we do not know is kept as its text,
//! counted, and treated as unsafe by whoever decides.

use std::fmt;

use serde::{Serialize, Serializer};

/// A closed list of states with the MDM's own word for each.
pub trait State: Copy + Eq + fmt::Debug + 'static {
    /// Every state of the list.
    const ALL: &'static [Self];

    /// The word that the MDM uses.
    fn word(self) -> &'static str;
}

/// A state as it was seen: one we know, or the text of one we do not.
#[derive(Clone, PartialEq, Eq)]
pub enum Seen<S> {
    /// A state of the list.
    Is(S),
    /// A word that is not on the list.
    Other(Box<str>),
}

impl<S: State> Seen<S> {
    /// Reads the MDM's word.
    pub fn read(word: &str) -> Self {
        match S::ALL.iter().find(|state| state.word() == word) {
            Some(state) => Self::Is(*state),
            None => Self::Other(word.into()),
        }
    }

    /// Whether it is known to be this state.
    pub fn is(&self, state: S) -> bool {
        matches!(self, Self::Is(seen) if *seen == state)
    }

    /// The MDM's word.
    pub fn word(&self) -> &str {
        match self {
            Self::Is(state) => state.word(),
            Self::Other(word) => word,
        }
    }
}

impl<S: State> fmt::Display for Seen<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl<S: State> fmt::Debug for Seen<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(state) => write!(f, "{state:?}"),
            Self::Other(word) => write!(f, "Other({word:?})"),
        }
    }
}

impl<S: State> Serialize for Seen<S> {
    fn serialize<Ser: Serializer>(&self, serializer: Ser) -> Result<Ser::Ok, Ser::Error> {
        serializer.serialize_str(self.word())
    }
}

macro_rules! states {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs)]
        pub enum $name { $($(#[$vdoc])* $variant),* }

        impl State for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),*];

            fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }
    )*};
}

states! {
    /// Where the whole system stands in an upgrade (`System.upgradeState`).
    UpgradeState {
        NoUpgrade = "NoUpgrade",
        MdmUpgradeInProgress = "MdmUpgradeInProgress",
        UpgradeInProgress = "UpgradeInProgress",
        PostProcessing = "UpgradePostProcessingInProgress",
        PostProcessingDone = "UpgradePostProcessingDone",
        SdrUpgradeInProgress = "SdrUpgradeInProgress",
    }
    /// How many members the MDM cluster is made of.
    ClusterMode {
        /// Not told, or not formed yet.
        Invalid = "Invalid",
        OneNode = "OneNode",
        ThreeNodes = "ThreeNodes",
        FiveNodes = "FiveNodes",
    }
    /// Whether the MDM cluster has all its members.
    ClusterState {
        Invalid = "Invalid",
        /// All members and replicas are good.
        Normal = "ClusteredNormal",
        /// A member is missing or out of sync.
        Degraded = "ClusteredDegraded",
        /// A single MDM without a cluster.
        NotClustered = "NotClustered",
    }
    /// The health of one member of the MDM cluster.
    MdmStatus {
        Normal = "Normal",
        Error = "Error",
        Disconnected = "Disconnected",
        OutOfSync = "OutOfSync",
        Invalid = "Invalid",
    }
    /// Whether clients reach servers (`clientServerConnectivityStatus`).
    Connectivity {
        AllConnected = "AllConnected",
        OneClientFromOneServer = "OneClientFromOneServer",
        OneClientFromOneServerIp = "OneClientFromOneServerIp",
        OneClientFromAllServer = "OneClientFromAllServer",
        AllClientFromOneServer = "AllClientFromOneServer",
        AllClientFromOneServerIp = "AllClientFromOneServerIp",
        AllClientFromAllServer = "AllClientFromAllServer",
        Multiple = "MultipleDisconnections",
    }
    /// Whether a protection domain serves data.
    DomainState {
        Active = "Active",
        ActivePending = "ActivePending",
        Inactive = "Inactive",
        InactivePending = "InactivePending",
    }
    /// How full a pool is by the MDM's own thresholds.
    UsageState { Normal = "Normal", High = "High", Critical = "Critical", Full = "Full" }
    /// Media of a pool or a device.
    MediaType { Hdd = "HDD", Ssd = "SSD", Nvdimm = "NVDIMM", Transitional = "Transitional" }
    /// How a pool lays out data.
    DataLayout {
        MediumGranularity = "MediumGranularity",
        FineGranularity = "FineGranularity",
        ErasureCoding = "ErasureCoding",
        Invalid = "InvalidLayout",
    }
    /// Whether an SDS stays or leaves.
    SdsState { Normal = "Normal", RemovePending = "RemovePending" }
    /// Whether an SDS, SDR or SDT takes part in its domain.
    Membership { JoinPending = "JoinPending", Joined = "Joined", Decoupled = "Decoupled" }
    /// Whether the MDM hears a component.
    Connection { Connected = "Connected", Disconnected = "Disconnected" }
    /// Where an SDS stands in maintenance mode.
    Maintenance {
        None = "NoMaintenance",
        Entering = "SetMaintenanceInProgress",
        In = "InMaintenance",
        Exiting = "ExitMaintenanceInProgress",
    }
    /// Where a device stands.
    DeviceState {
        Init = "DeviceInit",
        Recovery = "DeviceRecovery",
        InitialTest = "InitialTest",
        InitialTestDone = "InitialTestDone",
        Normal = "Normal",
        NormalTesting = "NormalTesting",
        RemovePending = "RemovePending",
    }
    /// The error of a device.
    DeviceError {
        None = "None",
        Error = "Error",
        Warning = "Warning",
        Notice = "Notice",
        Info = "Info",
        Acceleration = "Acceleration",
        Unrecoverable = "Unrecoverable",
    }
    /// A SMART verdict.
    Smart { NeverFailed = "NeverFailed", FailedNow = "FailedNow", FailedPast = "FailedPast" }
    /// What a volume is.
    VolumeType {
        Thick = "ThickProvisioned",
        Thin = "ThinProvisioned",
        Snapshot = "Snapshot",
        ThinClone = "ThinClone",
    }
    /// Whether a volume tree moves between pools.
    MigrationStatus {
        None = "NotInMigration",
        Normal = "MigrationNormal",
        InternalPausing = "InternalPausing",
        GracefullyPausing = "GracefullyPausing",
        Paused = "Paused",
        PendingMigration = "PendingMigration",
        PendingRebalance = "PendingRebalance",
    }
    /// Whether a snapshot policy works.
    PolicyState { Active = "Active", Paused = "Paused", RemovePending = "RemovePending" }
    /// The verdict of the MDM on a replication consistency group.
    ReplicationState {
        Ok = "Ok",
        RpoViolation = "RpoViolation",
        Error = "Error",
        StoppedByUser = "StoppedByUser",
    }
    /// Whether the target of a consistency group can be used.
    Consistency {
        Consistent = "Consistent",
        Pending = "ConsistentPending",
        Inconsistent = "Inconsistent",
        Partial = "PartiallyConsistent",
    }
    /// Where the first copy of a replication pair stands.
    InitialCopy {
        Uninitialized = "Uninitialized",
        AwaitsConclude = "AwaitsConclude",
        Paused = "Paused",
        DuringPause = "DuringPause",
        Queued = "Queued",
        Active = "Active",
        Done = "Done",
    }
    /// What an entry of the SDC list is.
    HostType { Sdc = "SdcHost", Nvme = "NVMeHost" }
    /// How grave an alert is, in the words used from 4.0 on.
    Severity {
        Information = "INFORMATION",
        Minor = "MINOR",
        Major = "MAJOR",
        Critical = "CRITICAL",
    }
}

impl Seen<Maintenance> {
    /// What it does, as people say it of a server.
    pub fn says(&self) -> String {
        match self {
            Self::Is(Maintenance::None) => "is in no maintenance".to_owned(),
            Self::Is(Maintenance::Entering) => "goes into maintenance".to_owned(),
            Self::Is(Maintenance::In) => "is in maintenance".to_owned(),
            Self::Is(Maintenance::Exiting) => "comes back from maintenance".to_owned(),
            Self::Other(word) => format!("is in the maintenance state {word}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_state_keeps_its_word_and_is_no_known_one() {
        let seen = Seen::<Maintenance>::read("HalfInMaintenance");
        assert_eq!(seen, Seen::Other("HalfInMaintenance".into()));
        assert_eq!(seen.word(), "HalfInMaintenance");
        assert!(Maintenance::ALL.iter().all(|state| !seen.is(*state)));
    }

    #[test]
    fn every_known_word_is_read_as_its_state() {
        for state in SdsState::ALL {
            assert!(Seen::<SdsState>::read(state.word()).is(*state));
        }
    }
}
