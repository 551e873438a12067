//! Whether bare hosts at a real Mesos become a whole system, with nothing done by hand: booted hosts with systemd, rpm
//! and a Mesos agent in each, a real master, the real `sio run`, and the product's own program on the hosts from the
//! first offer on.
//!
//! Each story has hosts on a bridge of its own, and one simulated system, in which the stub services of the hosts show.
//! The gateway of that system is reached through the stub gateway that the rollout installs.

#![allow(clippy::unwrap_used, clippy::panic)]
#![allow(clippy::print_stderr, reason = "what was said is shown of a test that fails")]

#[path = "../support/disk.rs"]
mod disk;
#[allow(dead_code, reason = "shared with tests whose hosts have their agents from before")]
#[path = "../support/lab.rs"]
mod hosts;
#[path = "../support/master.rs"]
mod master;
#[path = "../support/port.rs"]
mod port;

mod others;
mod shows;
mod site;
mod three;
