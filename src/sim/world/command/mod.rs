//! What can be asked of the MDM, and how it answers.
//!
//! Each command is checked completely before anything changes: one that is
//! refused leaves no trace. What takes time only begins here; the steps of the
//! world carry it on.

mod acceleration;
mod cluster;
mod device;
mod domain;
mod fault;
mod maintenance;
mod peer;
mod policy;
mod pool;
mod remote;
mod sdc;
mod sds;
mod snapshot;
mod system;
mod upgrade;
mod user;
mod volume;

pub use acceleration::AccelerationCommand;
pub use cluster::{ClusterCommand, Membership as MdmMembership, NewMdm};
pub use device::{DeviceCommand, NewDevice, Test};
pub use domain::{DomainCommand, FaultSetCommand, NetworkLimits};
pub use fault::VolumeRequest;
pub use maintenance::{MaintenanceCommand, Scope};
pub use peer::PeerCommand;
pub use policy::PolicyCommand;
pub use pool::{NewPool, PoolCommand};
pub use remote::{GroupCommand, NewGroup, PairCommand, SdtCommand};
pub use sdc::SdcCommand;
pub use sds::{NewSds, SdsCommand};
pub use snapshot::NewSnapshot;
pub use system::RemoteSystemCommand;
pub use upgrade::UpgradeCommand;
pub use user::UserCommand;
pub use volume::{NewVolume, RemoveMode, VolumeCommand};

use super::World;
use super::code::Code;
use super::object::{Id, Setting};

/// The longest name, in characters.
const LONGEST_NAME: usize = 31;

/// A command to the MDM.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Command {
    CreateDomain {
        name: String,
    },
    Domain(Id, DomainCommand),
    CreateFaultSet {
        domain: Id,
        name: String,
    },
    FaultSet(Id, FaultSetCommand),
    CreatePool(NewPool),
    Pool(Id, PoolCommand),
    CreateSds(NewSds),
    Sds(Id, SdsCommand),
    CreateDevice(NewDevice),
    Device(Id, DeviceCommand),
    /// Lets a client in, by its GUID or address.
    ApproveSdc {
        guid: Option<String>,
        ip: Option<String>,
        name: Option<String>,
    },
    Sdc(Id, SdcCommand),
    CreateVolume(NewVolume),
    Volume(Id, VolumeCommand),
    SnapshotVolumes(Vec<NewSnapshot>),
    RemoveSnapshotGroup(Id),
    CreatePolicy {
        name: String,
        cadence_minutes: u64,
        retained: Vec<u64>,
        paused: bool,
    },
    Policy(Id, PolicyCommand),
    Cluster(ClusterCommand),
    Maintenance(MaintenanceCommand),
    Upgrade(UpgradeCommand),
    Acceleration(Id, AccelerationCommand),
    Peer(Id, PeerCommand),
    RemoteSystem(Id, RemoteSystemCommand),
    /// What becomes of a user, and by whom.
    User {
        by: Id,
        user: Id,
        command: UserCommand,
    },
    CreateGroup(NewGroup),
    Group(Id, GroupCommand),
    CreatePair {
        group: Id,
        name: Option<String>,
        volume: Id,
        remote_volume: Id,
    },
    Pair(Id, PairCommand),
    SdrMaintenance(Id, bool),
    Sdt(Id, SdtCommand),
    CreateHost {
        name: Option<String>,
        nqn: String,
    },
    RenameSystem(String),
    /// Sets what the system, or an object without rules of its own, says of itself.
    Set {
        object: Id,
        settings: Vec<(&'static str, Setting)>,
    },
    AcknowledgeAlert {
        id: u64,
        by: Option<String>,
    },
    ClearAlert {
        id: u64,
    },
}

/// What the MDM answers to a command that it obeys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is done, or begun.
    Done,
    /// The object that was made.
    Created(Id),
    /// Snapshots that were taken together.
    #[allow(missing_docs)]
    Snapshots { group: Id, volumes: Vec<Id> },
    /// What became of each SDS: nothing, or why it was refused.
    Verdicts(Vec<(Id, Option<Code>)>),
}

/// Why a command was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Refusal {
    #[error("there is no {kind} {name:?}")]
    NotFound { kind: &'static str, name: String },
    #[error("{kind} {name:?} already is {state}")]
    Already { kind: &'static str, name: String, state: &'static str },
    #[error("{}", .0.message())]
    Mdm(Code),
    /// For each part of a command that cannot be done, why.
    #[error("Error with details")]
    Several(Vec<Code>),
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self::Mdm(code)
    }
}

type Answer = Result<Reply, Code>;

impl World {
    /// Does what the MDM is told to do, or says why it does not.
    pub fn command(&mut self, command: Command) -> Result<Reply, Refusal> {
        let reply = self.obey(command)?;
        self.settle();
        Ok(reply)
    }

    fn obey(&mut self, command: Command) -> Result<Reply, Refusal> {
        let answer = match command {
            Command::CreateDomain { name } => self.create_domain(name),
            Command::Domain(id, command) => self.domain_command(id, command),
            Command::CreateFaultSet { domain, name } => self.create_fault_set(domain, name),
            Command::FaultSet(id, command) => self.fault_set_command(id, command),
            Command::CreatePool(new) => self.create_pool(new),
            Command::Pool(id, command) => self.pool_command(id, command),
            Command::CreateSds(new) => self.create_sds(new),
            Command::Sds(id, command) => self.sds_command(id, command),
            Command::CreateDevice(new) => self.create_device(new),
            Command::Device(id, command) => self.device_command(id, command),
            Command::ApproveSdc { guid, ip, name } => self.approve_sdc(guid, ip, name),
            Command::Sdc(id, command) => self.sdc_command(id, command),
            Command::CreateVolume(new) => self.new_volume(new),
            Command::Volume(id, command) => self.volume_command(id, command),
            Command::SnapshotVolumes(wanted) => return self.snapshot_volumes(wanted),
            Command::RemoveSnapshotGroup(group) => self.remove_snapshot_group(group),
            Command::CreatePolicy { name, cadence_minutes, retained, paused } => {
                self.create_policy(name, cadence_minutes, retained, paused)
            }
            Command::Policy(id, command) => self.policy_command(id, command),
            Command::Cluster(command) => self.cluster_command(command),
            Command::Maintenance(command) => self.maintenance_command(command),
            Command::Upgrade(command) => self.upgrade_command(command),
            Command::Acceleration(id, command) => self.acceleration_command(id, command),
            Command::Peer(id, command) => self.peer_command(id, command),
            Command::RemoteSystem(id, command) => self.remote_system_command(id, command),
            Command::User { by, user, command } => self.user_command(by, user, command),
            Command::CreateGroup(new) => self.create_group(new),
            Command::Group(id, command) => self.group_command(id, command),
            Command::CreatePair { group, name, volume, remote_volume } => {
                self.create_pair(group, name, volume, remote_volume)
            }
            Command::Pair(id, command) => self.pair_command(id, command),
            Command::SdrMaintenance(id, enter) => self.sdr_maintenance(id, enter),
            Command::Sdt(id, command) => self.sdt_command(id, command),
            Command::CreateHost { name, nqn } => self.create_host(name, nqn),
            Command::RenameSystem(name) => fits(&name).map(|()| {
                self.system.name = name;
                Reply::Done
            }),
            Command::Set { object, settings } => {
                for (name, value) in settings {
                    self.set(object, name, value);
                }
                Ok(Reply::Done)
            }
            Command::AcknowledgeAlert { id, by } => self.acknowledge_alert(id, by),
            Command::ClearAlert { id } => self.clear_alert(id),
        };
        answer.map_err(Refusal::Mdm)
    }

    /// Writes down what an object shall say of itself.
    pub(super) fn set(&mut self, object: Id, name: &'static str, value: Setting) {
        self.settings.entry(object).or_default().insert(name, value);
    }

    /// What was set on an object.
    pub fn setting(&self, object: Id, name: &str) -> Option<&Setting> {
        self.settings.get(&object)?.get(name)
    }

    fn acknowledge_alert(&mut self, id: u64, by: Option<String>) -> Answer {
        let now = self.wall(self.now);
        self.alarms.acknowledge(id, by, now).then_some(Reply::Done).ok_or(Code::NotFound)
    }

    fn clear_alert(&mut self, id: u64) -> Answer {
        let now = self.wall(self.now);
        self.alarms.clear(id, now).then_some(Reply::Done).ok_or(Code::NotFound)
    }

    /// Shows what a command changed at once, without letting time pass.
    pub(super) fn settle(&mut self) {
        self.settled.0 = None;
        self.draw_up();
        self.raise_alerts();
    }
}

/// Whether a name may be given to an object.
fn fits(name: &str) -> Result<(), Code> {
    if name.chars().count() > LONGEST_NAME {
        return Err(Code::LongName);
    }
    if name.trim().is_empty() || name.chars().any(char::is_control) { Err(Code::InvalidName) } else { Ok(()) }
}

/// The id after the last one: both halves count up. The first of a type
/// begins where no other type does.
fn next<'a>(ids: impl DoubleEndedIterator<Item = &'a Id>, first: u64) -> Id {
    ids.max().map_or(Id(first << 48), |last| Id(last.0.wrapping_add((1 << 32) + 1)))
}
