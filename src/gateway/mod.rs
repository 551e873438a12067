//! The gateway of a ScaleIO system, as a client sees it.
//!
//! [`Gateway`] asks, over TLS, with a session that renews itself and several
//! addresses to fall back on. What comes back is read tolerantly (`wire`) and
//! made into the model once ([`convert`], [`statistics`]); nothing outside of
//! this folder sees what gateways really send.
//!
//! ```text
//! ops (one question each) -> client (addresses, fail-over) -> session (login, renewal)
//!  |                          `-> crate::tls (trust)           `-> request (one HTTP request)
//!  `-> convert, statistics -> wire
//! ```

#[macro_use]
mod wire;

mod act;
mod adds;
mod client;
pub mod convert;
mod error;
mod ops;
mod pools;
mod request;
mod session;
pub mod statistics;

pub use act::Acted;
pub use adds::NewPool;
pub use client::{Gateway, OnRequest, RequestSeen, Role};
pub use convert::{Answer, Unknown};
pub use error::GatewayError;
pub use wire::{Fields, known_fields};
