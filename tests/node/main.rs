//! Whether a node's agent brings a node to what was ordered, from wherever it
//! stands and through every crash.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../support/effects.rs"]
mod effects;

mod bootstrap;
mod cluster;
mod crash;
mod executor;
mod simulated;
mod tasks;
