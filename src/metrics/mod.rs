//! What is exported to Prometheus?
//!
//! [`families`] is the catalogue: each family once, with how it is made. The
//! [`Encoder`] turns the newest pictures into an [`Exposition`], once a poll:
//! sample lines that are ready to be sent, the same ones in both formats.
//! [`Own`] counts what we do ourselves and is written at every scrape.
//!
//! Nothing here asks a system, reads a clock or opens a socket.

mod catalog;
mod choose;
mod derive;
mod docs;
mod encode;
mod labels;
mod naming;
mod own;
mod view;
mod work;

pub use catalog::{Family, Scope, Type, families, is_scope};
pub use derive::LATENCY_BOUNDS;
pub use docs::markdown;
pub use encode::{Body, Encoder, Exposition, Format};
pub use own::{Build, Own};
