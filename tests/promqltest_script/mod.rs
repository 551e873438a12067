//! How is a script in the language of Prometheus' `promqltest` read and judged?

pub mod judge;
pub mod script;
pub mod series;
