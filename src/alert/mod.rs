//! What do the alert rules say about the polled data? The expression language
//! they are written in ([`promql`]) and the texts they carry ([`template`]).

pub mod promql;
pub mod template;
//! From what was seen to what people are told.

pub mod mail;
pub mod outbox;
