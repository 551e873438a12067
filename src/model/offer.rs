//! What becomes of an offer, and why: the same words for the log, the API and metrics.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::id::{SystemId, TaskId};
use super::mesos::NodeTask;
use super::unit::Timestamp;

/// What becomes of an offer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum Verdict {
    /// The executor is launched there.
    Accept,
    /// It goes back.
    Decline {
        /// Why.
        #[serde(flatten)]
        reason: Refusal,
    },
}

/// Why an offer goes back.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum Refusal {
    /// Nothing is to be rolled out now.
    NothingWanted,
    /// Our task is on that agent already.
    AlreadyThere {
        /// Which.
        task: TaskId,
    },
    /// A task was launched there, and Mesos has not said yet what became of it.
    NotSettled {
        /// Which.
        task: TaskId,
    },
    /// A task runs on an agent of the same host name; one of them is wrongly named, or not gone yet.
    NameTaken {
        /// That task.
        task: TaskId,
    },
    /// A task of ours of another life runs there: this controller does not know it, and starts none beside it.
    OfAnotherLife {
        /// That task.
        task: TaskId,
    },
    /// The last launches failed; the next one waits.
    WaitsAfterFailure {
        /// Launches that failed in a row.
        failures: u32,
        /// When it is tried again.
        until: Timestamp,
    },
    /// The agent does not have enough.
    TooSmall {
        /// What is missing, `cpus` or `mem`.
        resource: &'static str,
        /// How much is offered.
        offered: f64,
        /// How much is needed.
        needed: f64,
    },
    /// An operator takes the machine away soon.
    Maintenance {
        /// When it begins.
        start: Timestamp,
    },
    /// The attributes of the agent contradict each other or name what is not there.
    BadAttributes {
        /// Each problem, with its mend.
        problems: Vec<String>,
    },
    /// Nothing can be written down of an agent of that host name.
    BadName {
        /// What is wrong with it.
        because: String,
    },
    /// The offer was made to a role that is not ours.
    ForeignRole {
        /// Which.
        role: Box<str>,
    },
}

/// What an operator is told who wants the machine of an agent back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "vote")]
pub enum Vote {
    /// It may be taken away now.
    MayGo,
    /// It is needed.
    Stays {
        /// Why.
        #[serde(flatten)]
        reason: Stays,
    },
}

/// Why a machine is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum Stays {
    /// Nobody has looked yet.
    NotLookedAt,
    /// No agent of ours tells by which addresses it is found, so nobody knows what is on it.
    Unheard,
    /// What a system has there is not known.
    Unseen {
        /// Which system.
        system: SystemId,
    },
    /// A server there serves data.
    Serves {
        /// Of which system.
        system: SystemId,
        /// Its name.
        sds: Box<str>,
    },
    /// A server there is in a maintenance that nobody asked for to work on the machine by hand: it may end at any moment.
    ForeignMaintenance {
        /// Of which system.
        system: SystemId,
        /// Its name.
        sds: Box<str>,
    },
    /// A member of the MDM cluster that votes is there.
    Votes {
        /// Of which system.
        system: SystemId,
    },
    /// The server there is out of the way, but the MDM cluster needs the member beside it: it lacks another one.
    ClusterNotWell {
        /// Of which system.
        system: SystemId,
    },
}

impl Stays {
    /// Its name in metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NotLookedAt => "not_looked_at",
            Self::Unheard => "unheard",
            Self::Unseen { .. } => "unseen",
            Self::Serves { .. } => "serves",
            Self::ForeignMaintenance { .. } => "foreign_maintenance",
            Self::Votes { .. } => "votes",
            Self::ClusterNotWell { .. } => "cluster_not_well",
        }
    }
}

impl fmt::Display for Stays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLookedAt => f.write_str("nobody has looked yet at what is on it"),
            Self::Unheard => f.write_str(
                "no agent of ours tells by which addresses it is found, so what is on it is not known; look for its SDS and its member of an MDM cluster by hand",
            ),
            Self::Unseen { system } => {
                write!(f, "system {system} was not seen lately, so what it has there is not known")
            }
            Self::Serves { system, sds } => write!(
                f,
                "SDS {sds} of {system} serves there; keep it in maintenance meanwhile (`sio maintenance`), or remove the node"
            ),
            Self::ForeignMaintenance { system, sds } => {
                write!(f, "SDS {sds} of {system} is in a maintenance that may end at any moment; ask for one to work there by hand (`sio maintenance`)")
            }
            Self::Votes { system } => {
                write!(f, "a member of the MDM cluster of {system} that votes is there; let another node take its seat")
            }
            Self::ClusterNotWell { system } => write!(
                f,
                "a member of the MDM cluster of {system} that votes is there, and the cluster is not whole without it"
            ),
        }
    }
}

impl fmt::Display for Vote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MayGo => f.write_str("it may go"),
            Self::Stays { reason } => write!(f, "{reason}"),
        }
    }
}

impl Refusal {
    /// Its name in metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NothingWanted => "nothing_wanted",
            Self::AlreadyThere { .. } => "already_there",
            Self::NotSettled { .. } => "not_settled",
            Self::NameTaken { .. } => "name_taken",
            Self::OfAnotherLife { .. } => "of_another_life",
            Self::WaitsAfterFailure { .. } => "waits_after_failure",
            Self::TooSmall { .. } => "too_small",
            Self::Maintenance { .. } => "maintenance",
            Self::BadAttributes { .. } => "bad_attributes",
            Self::BadName { .. } => "bad_name",
            Self::ForeignRole { .. } => "foreign_role",
        }
    }

    /// How long Mesos may keep the resources from us. Whatever ends such a
    /// reason early revives all offers, so that a long span delays nothing.
    pub const fn refuse_for(&self) -> Duration {
        Duration::from_secs(match self {
            // Ends with an answer of the masters, usually within a second.
            Self::NotSettled { .. } => 2,
            // The other agent may be declared gone at any moment.
            Self::NameTaken { .. } => 10,
            // What other frameworks give back comes as a new offer after this.
            Self::TooSmall { .. } | Self::Maintenance { .. } | Self::OfAnotherLife { .. } => 60,
            // An agent can change these only by a restart, after which its offers are new.
            Self::BadAttributes { .. } | Self::BadName { .. } | Self::ForeignRole { .. } => 600,
            Self::NothingWanted | Self::AlreadyThere { .. } | Self::WaitsAfterFailure { .. } => 3600,
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingWanted => f.write_str("nothing is to be rolled out"),
            Self::AlreadyThere { task } => write!(f, "task {task} is there already"),
            Self::NotSettled { task } => write!(f, "Mesos has not said yet what became of task {task}"),
            Self::NameTaken { task } => {
                write!(f, "task {task} is on another agent of the same host name; give each agent a name of its own")
            }
            Self::OfAnotherLife { task } => write!(
                f,
                "task {task} of a framework of our name runs there, which lost its place; its agent is heard all the same, and none is started beside it"
            ),
            Self::WaitsAfterFailure { failures, until } => {
                write!(f, "the last {failures} launches failed; the next one is at {until:?}")
            }
            Self::TooSmall { resource, offered, needed } => {
                write!(f, "{offered} {resource} are offered, and {needed} are needed")
            }
            Self::Maintenance { start } => write!(f, "maintenance of the machine is scheduled for {start:?}"),
            Self::BadAttributes { problems } => f.write_str(&problems.join("; ")),
            Self::BadName { because } => f.write_str(because),
            Self::ForeignRole { role } => write!(f, "it was made to role {role:?}, which is not in mesos.roles"),
        }
    }
}

/// What is known when an offer is judged.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// Our task on that agent.
    pub here: Option<&'a NodeTask>,
    /// Our task on another agent of the same host name.
    pub namesake: Option<&'a NodeTask>,
    /// A task there of a framework of our name that is none of ours.
    pub of_another_life: Option<&'a TaskId>,
}
