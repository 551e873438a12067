//! scaleio-framework: rolls out, watches and keeps alive Dell EMC ScaleIO
//! (PowerFlex) storage on Apache Mesos. `ARCHITECTURE.md` is the map.

pub mod agent;
pub mod alert;
pub mod app;
pub mod backoff;
pub mod cli;
pub mod clock;
pub mod config;
pub mod enrol;
pub mod fleet;
pub mod gateway;
pub mod jobs;
pub mod keeper;
pub mod mesos;
pub mod metrics;
pub mod model;
pub mod poll;
pub mod proof;
pub mod rest;
pub mod sim;
pub mod stage;
pub mod store;
pub mod switchboard;
pub mod telemetry;
pub mod tls;
pub mod upgrade;
pub mod watches;
pub mod web;
pub mod work;

/// The release of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// This build of it; `build.rs` asks git and the compiler.
pub const BUILD: metrics::Build<'static> =
    metrics::Build { version: VERSION, revision: env!("SIO_REVISION"), rustc: env!("SIO_RUSTC") };
