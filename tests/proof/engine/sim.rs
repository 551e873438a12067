//! The simulated system, without the faces that it shows by wire.

#[path = "../../../src/sim/release.rs"]
mod release;
#[path = "../../../src/sim/world/mod.rs"]
pub mod world;

pub use release::{Release, UnknownRelease};
