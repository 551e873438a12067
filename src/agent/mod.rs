//! What runs on a node: an agent that takes one order at a time, makes it so,
//! and remembers over crashes what it did.
//!
//! ```text
//! order -> memory (admit) -> ledger -> walk: check -> act -> check again -> ledger -> report
//! ```
//!
//! `walk` decides, `steps` knows how each task is checked and done, `recipes`
//! is what is known of the product's packages, `host` is the node itself.

pub mod disks;
pub mod executor;
#[cfg(test)]
mod fixture;
pub mod hooks;
pub mod host;
pub mod ledger;
pub mod link;
pub mod look;
pub mod memory;
pub mod papers;
pub mod preflight;
pub mod probation;
pub mod real;
pub mod recipes;
pub mod run;
pub mod service;
pub mod steps;
mod terminal;
pub mod walk;

/// Bytes as lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
