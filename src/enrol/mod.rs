//! Who may speak as a node, and how orders and files reach its agent.
//!
//! The controller is a small certificate authority. An agent shows a
//! certificate of it, whose name is the node's, in every connection; the
//! controller shows one too. No password goes between them.

pub mod artefacts;
pub mod ca;
pub mod crew;
pub mod desk;
pub mod endpoint;
mod fetch;
pub mod program;
pub mod renewal;
pub mod request;
mod signature;
pub mod stock;
pub mod token;
