//! Which agents carry ScaleIO, and how do they come to it?
//!
//! [`run`] is the loop between the masters, the store and everybody who wants
//! to know; [`launch`] says what is launched; [`offer`] judges offers;
//! [`attributes`] reads what agents say of themselves; `status` is what is
//! published. [`desired`] lays the topology over the nodes, [`roles`] seats the
//! MDM cluster and [`bootstrap`] says how the seats are taken, [`name`] what the system calls a node,
//! [`networks`] which of its addresses are for what, [`diff`] says what is
//! missing of what is [`shown`], and [`preview`] tells people. [`enrolment`] gives certificates to executors that ask. [`pools`] says which settings of
//! pools are not as declared. [`vote`] says whether
//! an operator of Mesos may take a machine away.

pub mod attributes;
pub mod bootstrap;
pub mod desired;
pub mod diff;
pub mod enrolment;
pub mod filter;
pub mod launch;
pub mod name;
pub mod networks;
pub mod offer;
pub mod pools;
pub mod preview;
pub mod roles;
pub mod rollout;
pub mod run;
pub mod shown;
mod status;
pub mod volumes;
pub mod vote;
pub mod workloads;
