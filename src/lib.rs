//! scaleio-framework: rolls out, watches and keeps alive Dell EMC ScaleIO
//! (PowerFlex) storage on Apache Mesos. `ARCHITECTURE.md` is the map.

pub mod app;
pub mod clock;
pub mod config;
pub mod keeper;
pub mod model;
pub mod poll;
pub mod watches;
pub mod web;

/// The release of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
