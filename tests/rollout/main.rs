//! Whether the controller brings nodes to work: real `sio run`, real agents'
//! endpoint, a simulated system behind a simulated gateway.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../mesos/cluster.rs"]
#[allow(dead_code, reason = "another program of tests needs more of it")]
mod cluster;
mod adding;
mod joining;
mod node;
mod ready;
mod site;
