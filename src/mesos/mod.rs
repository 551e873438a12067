//! What do Mesos masters and agents say, in our words? The v1 HTTP API in JSON.
//!
//! [`scheduler`] is the framework's side as a state machine without I/O;
//! [`client`] carries its calls and the stream of events; [`master`] finds the
//! leader; [`operator`] asks as an operator does, and [`census`] what runs. [`executor`] is the other side, on an agent.

pub mod census;
pub mod client;
pub mod executor;
mod leader;
pub mod master;
pub mod operator;
pub mod recordio;
pub mod scheduler;
pub mod wire;
mod zookeeper;

mod error;

pub use error::MesosError;
