//! What is served: metrics to Prometheus, health to supervisors, the API to
//! people and programs.

pub mod access;
pub mod actions;
pub mod api;
pub mod discover;
mod etag;
mod figures;
mod handling;
pub mod listener;
pub mod live;
mod login;
pub mod mesos;
pub mod nodes;
pub mod openapi;
mod overview;
pub mod page;
pub mod past;
pub mod problem;
pub mod routes;
mod schema;
pub mod view;
mod work;
