//! The simulated gateway, asked over TLS by a plain HTTP client, and held
//! against what real systems sent.

mod caller;
mod logins;
mod reads;
mod recorded;
mod statistics;
mod wire;
