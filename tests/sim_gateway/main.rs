//! The simulated gateway, asked over TLS by a plain HTTP client, and held
//! against what real systems sent.

// Helpers of tests are tests too: they may panic and print.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod actions;
mod caller;
mod logins;
mod people;
mod reads;
mod recorded;
mod statistics;
mod wire;
