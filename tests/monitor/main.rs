//! The controller at work on simulated systems, from the wire of the gateway
//! to the series that a scraper reads.

// Helpers of tests are tests too: they may panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

mod alerts;
mod api;
mod bundle;
mod child;
mod cli;
mod crash;
mod deletion;
mod doctor;
mod ending;
mod faults;
mod handling;
mod live;
mod prometheus;
mod releases;
mod reload;
mod scrapes;
mod secrets;
mod site;
mod story;
mod truth;

#[path = "../support/exposition.rs"]
mod exposition;
#[path = "../support/mailing.rs"]
mod mailing;
