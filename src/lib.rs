//! scaleio-framework: rolls out, watches and keeps alive Dell EMC ScaleIO
//! (PowerFlex) storage on Apache Mesos. `ARCHITECTURE.md` is the map.

pub mod alert;
pub mod backoff;
pub mod clock;
pub mod config;
pub mod model;
pub mod store;
pub mod telemetry;
pub mod tls;
