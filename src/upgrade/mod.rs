//! Upgrades, restarts and maintenances of a system: planned ([`plan`]), asked for
//! ([`orders`]), carried out by the one engine of [`crate::work`] ([`run`], [`hands`]),
//! and told ([`show`]).

pub mod hands;
pub mod orders;
pub mod plan;
pub mod run;
pub mod show;
