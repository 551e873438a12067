//! Does the engine keep its promises, and is it noticed when it does not?
//!
//! The package `engine` holds the product's own files and is optimised, and it can be told to make mistakes:
//! `cargo test --workspace --test proof`. docs/proof.md has the ranges of seeds that were played.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

// The tests know it by the product's name.
extern crate engine as scaleio_framework;

mod adopted;
mod advance;
mod back;
mod cancels;
mod check;
mod crashes;
mod domains;
mod gate;
mod kept;
mod limits;
mod mistakes;
mod planned;
mod plans;
mod removal;
#[allow(dead_code, reason = "tests/jobs asks for more of it")]
mod scene;
mod seeds;
mod speed;
