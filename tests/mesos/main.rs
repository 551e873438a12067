//! Whether the framework and its executors do what they promise at a real
//! Mesos: masters, agents and ZooKeeper of release 1.11, each its own process.
//!
//! Stories of one cluster follow each other in one test, since a cluster takes
//! seconds to start.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cluster;
mod controller;
mod crash;
mod failover;
mod login;
mod nodes;
