//! From what was seen to what people are told: the rules ([`rules`]) with their
//! expression language ([`promql`]) and texts ([`template`]), what they say of
//! the newest samples ([`sample`], [`engine`], [`run`]), what of it the work under way
//! explains ([`explain`]), what readers need to know besides ([`background`]), the mails
//! with their outbox ([`mail`], [`outbox`]), what people do about it ([`notify`], [`orders`]), and
//! programs that are told too ([`receiver`]). [`trial`] tries the rules by their own tests.

pub mod background;
pub mod engine;
pub mod explain;
pub mod mail;
pub mod notify;
pub mod orders;
pub mod outbox;
pub mod promql;
pub mod receiver;
pub mod reload;
mod rule_file;
pub mod rules;
pub mod run;
pub mod sample;
mod shipped;
pub mod tell;
pub mod template;
mod thresholds;
pub mod trial;
mod tune;
