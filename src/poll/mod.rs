//! Asking: one loop a system turns gateway answers into snapshots and pictures.
//!
//! ```text
//! schedule (what is due) -> ask (gateway) -> assemble (snapshot) -> picture -> watches
//! ```
//!
//! Systems do not know of each other, and within a system each collector fails
//! alone: the others go on, and its part keeps its age until `max_age`.

pub mod assemble;
pub mod run;
pub mod schedule;
