//! The planner.

#[path = "../../../src/upgrade/back.rs"]
mod back;
#[path = "../../../src/upgrade/plan.rs"]
pub mod plan;

#[path = "../../../src/upgrade/removal.rs"]
mod removal;
#[path = "../../../src/upgrade/times.rs"]
pub mod times;
#[path = "../../../src/upgrade/vendor.rs"]
mod vendor;
