//! The planner.

#[path = "../../../src/upgrade/plan.rs"]
pub mod plan;
