//! Whether a node's agent brings a node to what was ordered, from wherever it
//! stands and through every crash.

#![allow(clippy::unwrap_used, clippy::panic)]

mod bootstrap;
mod cluster;
mod crash;
mod simulated;
mod tasks;
