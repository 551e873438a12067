//! scaleio-framework: rolls out, watches and keeps alive Dell EMC ScaleIO
//! (PowerFlex) storage on Apache Mesos. `ARCHITECTURE.md` is the map.

pub mod alert;
pub mod clock;
pub mod config;
pub mod model;
