//! What do people see of all pictures? Pure: pictures come in, a status goes out.

pub use crate::model::glance::system;
use crate::model::status::Status;
use crate::model::unit::Timestamp;
use crate::watches::Pictures;

/// The state of everything at `now`; `problems` are those of the controller itself.
pub fn status(
    pictures: &Pictures,
    problems: Vec<String>,
    version: &str,
    started_at: Timestamp,
    now: Timestamp,
) -> Status {
    Status {
        version: version.to_owned(),
        started_at,
        problems,
        systems: pictures.values().map(|picture| system(picture, now)).collect(),
        receivers: Vec::new(),
    }
}
