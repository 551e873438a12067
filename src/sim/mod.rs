//! A simulated ScaleIO system: a world that holds the truth, and the REST
//! face that shows it as a gateway would.
//!
//! It is written apart from the client and shares no code with it, so that it
//! can judge it: only `sio-demo` and tests import this module, and it imports
//! nothing of the product.

mod release;
pub mod world;

pub use release::{Release, UnknownRelease};
