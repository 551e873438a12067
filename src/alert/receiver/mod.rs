//! Who else is told, besides people by mail?
//!
//! An [`alertmanager`] gets everything that fires, again and again, and decides
//! by itself what it makes of it. A [`webhook`] gets what people are told, once
//! each, from an outbox of its own: it may be away without holding up mails.

pub mod alertmanager;
mod http;
pub mod webhook;

pub use http::{SetupError, Target};
