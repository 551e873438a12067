//! From what was seen to what people are told: the expression language of the
//! rules ([`promql`]), the texts they carry ([`template`]), and the mails with
//! their outbox ([`mail`], [`outbox`]).

pub mod mail;
pub mod outbox;
pub mod promql;
pub mod template;
