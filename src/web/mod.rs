//! What is served: metrics to Prometheus, health to supervisors, the API to
//! people and programs.

pub mod access;
pub mod api;
pub mod discover;
mod handling;
pub mod listener;
pub mod mesos;
pub mod nodes;
pub mod page;
pub mod problem;
pub mod view;
