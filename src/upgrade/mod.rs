//! Upgrades, restarts and maintenances of a system: planned ([`plan`]; `back` to the release from before, `removal` for good, `vendor` where others install), asked for
//! ([`orders`]; `adopt` takes over what others began) or by the calendar ([`jobs`]), carried out by the one engine of [`crate::work`] ([`run`], [`hands`], [`mesos`], and on
//! nodes, which [`hosts`] describes to it, by [`foreman`]), kept in the store ([`keep`]), and told ([`show`]; [`recorder`] and [`syslog`] keep it for later, [`times`]
//! lets plans learn from it). [`health`] asks the gates without a plan, and
//! [`alertmanager`] brings what the site's own alerts say to them.

mod adopt;
pub mod alertmanager;
mod back;
pub mod foreman;
pub mod hands;
pub mod health;
pub mod hosts;
pub mod jobs;
pub mod keep;
pub mod mesos;
pub mod orders;
pub mod plan;
pub mod recorder;
mod removal;
pub mod run;
pub mod show;
pub mod syslog;
pub mod times;
mod vendor;
