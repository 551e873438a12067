//! scaleio-framework: rolls out, watches and keeps alive Dell EMC ScaleIO
//! (PowerFlex) storage on Apache Mesos. `ARCHITECTURE.md` is the map.

<<<<<<< HEAD
pub mod app;
=======
pub mod backoff;
>>>>>>> shell
pub mod clock;
pub mod config;
<<<<<<< HEAD
<<<<<<< HEAD
pub mod keeper;
=======
pub mod gateway;
>>>>>>> gateway
=======
pub mod metrics;
>>>>>>> metrics
pub mod model;
<<<<<<< HEAD
pub mod poll;
pub mod watches;
pub mod web;

/// The release of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
=======
pub mod store;
pub mod telemetry;
>>>>>>> shell
