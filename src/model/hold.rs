//! Why nothing happens: one reason, with the data it rests on and what would clear it.
//!
//! The same values go to the command line, the API, the page, metrics and the log.

use serde::{Deserialize, Serialize};

use super::id::{NodeName, RunId};
use super::node::Carries;
use super::plan::Risk;
use super::step::{Component, MaintenanceMode};
use super::unit::{Bytes, Timestamp};

/// Whether a person may decide otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hardness {
    /// With a reason, for a named thing, and until a moment.
    Soft,
    /// Nobody can.
    Hard,
}

/// An amount as people read it.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "the form in which the fields of a reason come")]
const fn size(bytes: &u64) -> Bytes {
    Bytes::new(*bytes)
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $name:ident { $($field:ident: $type:ty),* $(,)? } $hardness:ident $says:literal $(($($with:tt)+))? $clears:literal)*) => {
        /// What a gate holds for.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error)]
        #[serde(rename_all = "snake_case", tag = "reason")]
        #[allow(missing_docs)]
        pub enum Reason {
            $($(#[doc = $doc])* #[error($says $(, $($with)+)?)] $name { $($field: $type),* },)*
        }

        /// A reason without its data: what metrics count and overrides name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(missing_docs)]
        pub enum ReasonKind { $($name),* }

        impl ReasonKind {
            /// Every reason there is.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name in metrics and logs.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }

            /// Whether a person may decide otherwise.
            pub const fn hardness(self) -> Hardness {
                match self { $(Self::$name => Hardness::$hardness),* }
            }

            /// What would clear it.
            pub const fn clears(self) -> &'static str {
                match self { $(Self::$name => $clears),* }
            }
        }

        impl Reason {
            /// Which reason it is.
            pub const fn kind(&self) -> ReasonKind {
                match self { $(Self::$name { .. } => ReasonKind::$name),* }
            }
        }
    };
}

reasons! {
    // What is not known.
    Unseen { what: Box<str> } Hard
        "{what} was never seen" "an answer to that question"
    Stale { what: Box<str>, taken_at: Timestamp } Hard
        "{what} was last seen at {taken_at}, too long ago" "a newer answer to that question"
    BeforeEffect { what: Box<str>, taken_at: Timestamp } Hard
        "{what} was asked at {taken_at}, before the last change of ours was over" "an answer to a question that is asked after it"
    UnknownState { what: Box<str>, word: Box<str> } Hard
        "{what} is in the state {word:?}, which this version does not know" "a known state, or a version that knows this one"
    AlertsBehind { seq: u64 } Hard
        "alerts were not evaluated on snapshot {seq}" "an evaluation of the rules on the newest snapshot"
    // The MDM cluster.
    MdmNotNormal { state: Box<str> } Hard
        "the MDM cluster is {state}" "all members of the MDM cluster up and in sync"
    MdmMemberBad { member: Box<str>, status: Box<str> } Hard
        "MDM {member} is {status}" "that member up and in sync"
    MdmChanged { at: Timestamp } Hard
        "the MDM cluster changed hands at {at}" "ten minutes without another change"
    MdmInWork { node: NodeName } Hard
        "another member of the MDM cluster, on {node}, is in work" "the end of that work"
    MdmOwned { node: NodeName } Hard
        "{node} owns the MDM cluster" "ownership seen at another node"
    UpgradeState { state: Box<str> } Hard
        "the system says of its upgrade: {state}" "the end of the upgrade that runs"
    NotUpgraded { what: Box<str>, version: Box<str>, to: Box<str> } Hard
        "{what} is at {version}, and not at {to}" "an upgrade of it; there is no way back after the end"
    // The servers.
    SdsAway { sds: Box<str>, state: Box<str> } Hard
        "SDS {sds} of the same protection domain is {state}" "that SDS connected, joined and normal"
    SdsAwayElsewhere { sds: Box<str>, state: Box<str> } Soft
        "SDS {sds} of another protection domain is {state}" "that SDS connected, joined and normal"
    OwnSdsAway { sds: Box<str>, state: Box<str> } Hard
        "the SDS itself, {sds}, is {state}: that is a repair, not a maintenance" "the SDS connected, joined and normal"
    MaintenanceForeign { sds: Box<str> } Hard
        "SDS {sds} is in maintenance, and not by us" "its end: by whoever began it, or by a person at the MDM (scli --exit_maintenance_mode), or by us once it is handed over: `sio maintenance adopt NODE`; `sio skip NODE` leaves its node out"
    MaintenanceElsewhere { sds: Box<str> } Hard
        "SDS {sds} of the same protection domain and another fault set is in maintenance" "its end"
    NotInMaintenance { sds: Box<str>, state: Box<str> } Hard
        "SDS {sds} is not in our maintenance but {state}" "the maintenance reached"
    TooFewHealthySds { healthy: u32 } Hard
        "only {healthy} more SDSs of the protection domain are healthy, and 2 are needed" "more healthy SDSs"
    TooFewFaultUnits { pool: Box<str>, units: u32 } Hard
        "pool {pool} has devices of only {units} fault units, and 3 are needed" "devices of a third fault set, or of a third SDS"
    // The data.
    DataUnprotected { pool: Box<str>, kind: Box<str>, bytes: u64 } Hard
        "pool {pool} has {} of {kind} data" (size(.bytes)) "that all data of the pool is protected"
    Moving { pool: Box<str>, kind: Box<str>, bytes: u64 } Hard
        "pool {pool} has {} to move for {kind}" (size(.bytes)) "the end of that movement"
    Rebalancing { pool: Box<str>, bytes: u64 } Soft
        "pool {pool} evens out {}" (size(.bytes)) "the end of the rebalance"
    RebuildDisabled { pool: Box<str> } Hard
        "rebuild is switched off in pool {pool}" "that somebody switches it on"
    DeviceError { device: Box<str> } Hard
        "device {device} has an error" "that the device is well, or was removed"
    DeviceState { device: Box<str>, state: Box<str> } Hard
        "device {device} is {state}" "the device in normal use"
    NoRoom { pool: Box<str>, free: u64, needed: u64 } Hard
        "pool {pool} has room for {}, and the loss of this fault unit needs {}" (size(.free), size(.needed)) "more capacity, or less data"
    DomainNotActive { domain: Box<str>, state: Box<str> } Hard
        "protection domain {domain} is {state}" "the domain active"
    MdmAlert { name: Box<str>, object: Box<str> } Hard
        "the MDM raises {name} for {object}" "the end of that alert"
    MdmAlertMild { name: Box<str>, object: Box<str> } Soft
        "the MDM raises {name} for {object}" "the end of that alert"
    Firing { name: Box<str>, object: Box<str> } Hard
        "the critical alert {name} fires for {object}" "the end of that alert"
    FiringMild { name: Box<str>, object: Box<str> } Soft
        "the alert {name} fires for {object} and did not when the run began" "the end of that alert"
    // The node.
    NodeUnseen { node: NodeName } Hard
        "the agent of {node} was never heard" "a word of that agent"
    NodeStale { node: NodeName, seen_at: Timestamp } Hard
        "the agent of {node} was last heard at {seen_at}" "a newer word of that agent"
    NotStaged { component: Component, version: Box<str> } Hard
        "{component} {version} was not checked on the node" "the packages on the node, with the right digest"
    Ambiguous { component: Component } Hard
        "{component} is installed in more than one version" "that the half-done installation is mended"
    NoModule { kernel: Box<str> } Hard
        "there is no module of the SDC for kernel {kernel}" "a signed module for that kernel on the node"
    VolumesOpen { count: u32 } Hard
        "{count} volumes are open on the node" "the end of what uses them"
    VolumesMapped { count: u32 } Hard
        "{count} volumes are mapped to the client of the node" "that they are unmapped"
    ClientConnected { sdc: Box<str> } Hard
        "the client {sdc} is connected" "the client gone from its host"
    NoRoomLeft { pool: Box<str>, usable: u64, used: u64 } Hard
        "pool {pool} has {} in use, and the rest of it can hold {} with its spare kept" (size(.used), size(.usable)) "more capacity, or less data"
    OrderOfComponents { component: Component, newer_than: Component } Hard
        "{component} would be newer than {newer_than}" "that the other one is upgraded first"
    NotReady { node: NodeName, phase: Box<str> } Hard
        "the rollout has {node} in work: it is {phase}" "the node ready, see `sio nodes`"
    // Mesos.
    NotDrained { node: NodeName, state: Box<str> } Hard
        "the Mesos agent of {node} is {state}" "the agent drained"
    DrainWaits { framework: Box<str> } Hard
        "the drain waits for {framework}" "that this framework acknowledges the end of its tasks, or is torn down"
    ForeignSchedule { node: NodeName } Hard
        "a maintenance schedule that is not ours covers {node}" "the end of that maintenance"
    AgentForeign { node: NodeName, state: Box<str> } Hard
        "the Mesos agent of {node} is {state}, and not by us" "the agent active"
    // The work.
    InWork { node: NodeName } Hard
        "{node} goes first" "the end of the work there"
    HostsController { node: NodeName } Hard
        "{node} carries this controller" "that the controller is moved to another host"
    QuorumInWork { what: Carries, node: NodeName } Hard
        "{node} carries a part of the same quorum and is in work" "the end of that work"
    TooLong { mode: MaintenanceMode, predicted_seconds: u32 } Hard
        "{predicted_seconds} s are predicted, too long for one copy alone" "a protected maintenance, or less to do"
    ModeMissing { mode: MaintenanceMode } Hard
        "this generation has no {mode} maintenance" "another mode"
    OutsideWindow { opens: Option<Timestamp> } Soft
        "no window is open" "the next window, or a longer one"
    WindowTooShort { ends: Timestamp, predicted_end: Timestamp } Soft
        "the work would be over at {predicted_end}, after the window ends at {ends}" "a window that is long enough"
    Blackout { name: Box<str>, until: Timestamp } Hard
        "nothing is begun in {name}, until {until}" "its end"
    Paused { by: Box<str> } Hard
        "the run was paused by {by}" "that somebody resumes it"
    Held { node: NodeName, until: Option<Timestamp> } Hard
        "{node} is held by a person" "that moment, or that the hold is lifted"
    Cancelled { run: RunId } Hard
        "the run is cancelled" "another run"
    ApprovalOver { at: Timestamp } Hard
        "the approval ran out at {at}" "another approval"
    NotApproved { risk: Risk } Hard
        "the plan was not approved" "that a person approves its hash"
    Superseded { run: RunId } Hard
        "the facts that the plan was made from have changed" "another plan"
    BudgetSpent { failures: u32 } Hard
        "{failures} tasks failed, as many as may" "that a person looks, and makes another run"
    Quarantined { version: Box<str> } Hard
        "version {version} failed and is quarantined" "that a person frees it"
    Regressed { node: NodeName } Hard
        "{node}, which was done, is not well any more" "that this node is well"
    WaitsForEffect { what: Box<str> } Hard
        "it waits for {what}" "the system showing it"
}

/// What a reason is about, in the order in which people want to hear of it: what one of them did, what is broken, what
/// that brings about, and last what passes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Matter {
    /// A person decided it, or has to decide.
    Decision,
    /// Something is broken or away.
    Fault,
    /// Data has too few copies, or moves.
    Data,
    /// There is too little to spare, or what is wanted does not go.
    Means,
    /// A moment has to come.
    Calendar,
    /// It is not known how something stands.
    Unknown,
    /// An alert of it, which the others explain better.
    Alert,
    /// What is under way, and passes.
    Underway,
}

impl ReasonKind {
    /// What it is about.
    pub const fn matter(self) -> Matter {
        match self {
            Self::Paused
            | Self::Held
            | Self::Cancelled
            | Self::ApprovalOver
            | Self::NotApproved
            | Self::Superseded
            | Self::BudgetSpent
            | Self::Quarantined
            | Self::MaintenanceForeign
            | Self::ForeignSchedule
            | Self::AgentForeign => Matter::Decision,
            Self::MdmNotNormal
            | Self::MdmMemberBad
            | Self::SdsAway
            | Self::SdsAwayElsewhere
            | Self::OwnSdsAway
            | Self::DeviceError
            | Self::DeviceState
            | Self::DomainNotActive
            | Self::RebuildDisabled
            | Self::Ambiguous
            | Self::Regressed => Matter::Fault,
            Self::DataUnprotected | Self::Moving | Self::Rebalancing => Matter::Data,
            Self::TooFewHealthySds
            | Self::TooFewFaultUnits
            | Self::NoRoom
            | Self::NoRoomLeft
            | Self::VolumesMapped
            | Self::NotStaged
            | Self::NoModule
            | Self::VolumesOpen
            | Self::OrderOfComponents
            | Self::NotUpgraded
            | Self::HostsController
            | Self::TooLong
            | Self::ModeMissing => Matter::Means,
            Self::MdmChanged | Self::OutsideWindow | Self::WindowTooShort | Self::Blackout => Matter::Calendar,
            Self::Unseen
            | Self::Stale
            | Self::BeforeEffect
            | Self::UnknownState
            | Self::AlertsBehind
            | Self::NodeUnseen
            | Self::NodeStale => Matter::Unknown,
            Self::MdmAlert | Self::MdmAlertMild | Self::Firing | Self::FiringMild => Matter::Alert,
            Self::MdmInWork
            | Self::MdmOwned
            | Self::UpgradeState
            | Self::MaintenanceElsewhere
            | Self::NotInMaintenance
            | Self::NotReady
            | Self::NotDrained
            | Self::DrainWaits
            | Self::InWork
            | Self::QuorumInWork
            | Self::ClientConnected
            | Self::WaitsForEffect => Matter::Underway,
        }
    }
}

/// A reason, and when what it rests on was seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hold {
    /// Why.
    #[serde(flatten)]
    pub reason: Reason,
    /// When the data of it was taken; its age is counted from there.
    pub seen_at: Option<Timestamp>,
}

impl Hold {
    /// Whether a person may decide otherwise.
    pub const fn hardness(&self) -> Hardness {
        self.reason.kind().hardness()
    }
}

/// What a gate says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "gate", content = "holds")]
pub enum Gate {
    /// All that was asked is known and well.
    Go,
    /// Not now, for all of these.
    Hold(Vec<Hold>),
}

impl Gate {
    /// What it holds for.
    pub fn holds(&self) -> &[Hold] {
        match self {
            Self::Go => &[],
            Self::Hold(holds) => holds,
        }
    }
}

/// A person's decision that a soft hold shall not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Override {
    pub reason: ReasonKind,
    /// For this node only, or for the whole run.
    pub node: Option<NodeName>,
    pub until: Timestamp,
    pub by: Box<str>,
    pub why: Box<str>,
}

impl Override {
    /// Whether it lifts this hold at a node now. Never a hard one.
    pub fn lifts(&self, hold: &Hold, node: &NodeName, now: Timestamp) -> bool {
        hold.hardness() == Hardness::Soft
            && hold.reason.kind() == self.reason
            && self.node.as_ref().is_none_or(|only| only == node)
            && now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_override_lifts_a_hard_hold() {
        let at = Timestamp::from_timestamp(0, 0).unwrap();
        let node = NodeName::new("n");
        let lifts = |hold: Reason| {
            let hold = Hold { reason: hold, seen_at: None };
            let given = Override {
                reason: hold.reason.kind(),
                node: None,
                until: Timestamp::MAX_UTC,
                by: "x".into(),
                why: "y".into(),
            };
            given.lifts(&hold, &node, at)
        };
        assert!(lifts(Reason::OutsideWindow { opens: None }));
        assert!(!lifts(Reason::RebuildDisabled { pool: "p".into() }));
    }

    #[test]
    fn amounts_are_told_as_people_read_them() {
        let told = Reason::NoRoom { pool: "p".into(), free: 1 << 30, needed: 3 << 40 }.to_string();
        assert_eq!(told, "pool p has room for 1.0 GiB, and the loss of this fault unit needs 3.0 TiB");
    }

    #[test]
    fn a_hold_is_read_back_as_it_was_written() {
        let hold = Hold { reason: Reason::TooFewHealthySds { healthy: 1 }, seen_at: None };
        let text = serde_json::to_string(&hold).unwrap();
        assert_eq!(text, r#"{"reason":"too_few_healthy_sds","healthy":1,"seen_at":null}"#);
        assert_eq!(serde_json::from_str::<Hold>(&text).unwrap(), hold);
    }
}
