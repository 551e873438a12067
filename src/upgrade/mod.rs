//! Upgrades, restarts and maintenances of a system: planned ([`plan`]), asked for
//! ([`orders`]) or by the calendar ([`jobs`]), carried out by the one engine of [`crate::work`] ([`run`], [`hands`], [`mesos`], and on
//! nodes, which [`hosts`] describes to it, by [`foreman`]), kept in the store ([`keep`]), and told ([`show`]).

pub mod foreman;
pub mod hands;
pub mod hosts;
pub mod jobs;
pub mod keep;
pub mod mesos;
pub mod orders;
pub mod plan;
pub mod run;
pub mod show;
