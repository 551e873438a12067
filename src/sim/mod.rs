//! A simulated ScaleIO system: a world that holds the truth, and the REST
//! face that shows it as a gateway would. Beside it a mail server, where the
//! mails of the demo end.
//!
//! It is written apart from the client and shares no code with it, so that it
//! can judge it: only `sio-demo` and tests import this module, and it imports
//! nothing of the product.

pub mod fault;
mod gateway;
mod mail;
pub mod mesos;
pub mod node;
mod release;
mod run;
pub mod scenario;
pub mod scli;
pub mod world;

pub use fault::{Fault, Faults, When, Word};
pub use gateway::{Exchange, Login, TokenClock};
pub use mail::{Inbox, Kept, MailSink, SinkError};
pub use release::{Release, UnknownRelease};
pub use run::{Handle, Options, Running, Simulation, StartError};
pub use scenario::{Scenario, ScenarioError};

/// Type, name and first release of every action that a gateway serves.
pub fn served_actions() -> impl Iterator<Item = (&'static str, &'static str, Release)> {
    gateway::served()
}
