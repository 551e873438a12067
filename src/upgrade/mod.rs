//! Plans for upgrades and maintenance. They are carried out by `work`.

pub mod plan;
