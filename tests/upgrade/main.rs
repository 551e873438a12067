//! Does the product bring a simulated system to another release, by its own gates, and survive whatever happens to it?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod asked;
mod history;
mod jobs;
#[path = "../support/port.rs"]
mod port;
mod removal;
mod restarting;
mod runs;
mod site;
