//! From what was seen to what people are told.

pub mod mail;
pub mod outbox;
