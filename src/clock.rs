//! The wall clock. Everything that decides takes `now` as an argument; loops
//! at the edge read it here.

use crate::model::unit::Timestamp;

/// The time now.
pub fn now() -> Timestamp {
    chrono::Utc::now()
}
