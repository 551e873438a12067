//! The nouns: what a ScaleIO system is made of, and what is known about it.
//!
//! Nothing in here does I/O, reads a clock or logs.

pub mod alerting;
pub mod chore;
pub mod cluster;
pub mod command;
pub mod cron;
pub mod dependents;
pub mod enrolment;
pub mod findings;
pub mod framework;
pub mod glance;
pub mod hold;
pub mod hurt;
pub mod id;
pub mod lifecycle;
pub mod mdm;
pub mod mesos;
pub mod network;
pub mod node;
pub mod notice;
pub mod observed;
pub mod offer;
pub mod order;
pub mod overview;
pub mod pattern;
pub mod permit;
pub mod person;
pub mod picture;
pub mod places;
pub mod plan;
pub mod pool;
pub mod preflight;
pub mod rollout;
pub mod schedule;
pub mod snapshot;
pub mod state;
pub mod stats;
pub mod status;
pub mod step;
pub mod unit;
pub mod version;
pub mod window;
pub mod workload;
