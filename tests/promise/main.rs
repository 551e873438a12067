//! On booted hosts: a task of Mesos finds on another node what it wrote on the
//! first, by orders one by one and by the rollout alone; LIA and gateway come and
//! go as packages; and a host without a package manager carries ScaleIO too.
//!
//! Hosts have systemd as process 1 and the product's agent; they share the
//! machine's loopback, so there is one story at a time.

#![allow(clippy::unwrap_used, clippy::panic)]

mod bare;
#[path = "../support/disk.rs"]
mod disk;
#[path = "../support/lab.rs"]
mod hosts;
mod lab;
#[path = "../support/master.rs"]
mod master;
#[path = "../support/port.rs"]
mod port;
mod rollout;
mod scheduler;
mod services;
mod volumes;
