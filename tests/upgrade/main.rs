//! Does the product bring a simulated system to another release, by its own gates, and survive whatever happens to it?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod adopted;
#[path = "../support/alertmanager.rs"]
mod alertmanager;
mod asked;
mod back;
mod history;
mod jobs;
mod killed;
mod others;
#[path = "../support/port.rs"]
mod port;
mod removal;
mod report;
mod restarting;
mod runs;
mod site;
mod vendor;
