//! Does the product bring hosts to work? Its own agents on simulated machines,
//! whose services show in a simulated system.
//!
//! ```text
//! sim::mesos ── launches ──► agent::executor ── papers ──► agent::run ◄── orders ── controller
//!                                                             │
//!                                                  machine: packages, services, disks, boots
//!                                                             │ look
//!                                                  sim::world: SDSs, SDCs, MDMs come and go
//! ```
//!
//! Only the machines are simulated: enrolment, talk, ledger and steps are the
//! product's. The demo and tests import this; the product does not.

mod hosts;
mod machine;
mod package;
pub mod renewal;
pub mod scene;
mod shows;

pub use hosts::{Host, Hosts, Spec, launcher};
pub use machine::{Disk, Machine};
pub use package::package;
pub use shows::{Place, Service, View};
