//! Whether alert mails arrive, say what they should, and are never lost:
//! against a real mail server, and against one that misbehaves on purpose.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

#[path = "../support/alertmanager.rs"]
mod alertmanager;
mod background;
mod content;
mod crash;
mod demo;
mod killed;
mod life;
#[path = "../support/pictures.rs"]
mod pictures;
#[path = "../support/port.rs"]
mod port;
mod post;
mod real;
mod receivers;
mod server;
mod smtp;
mod tell;
mod weekly;
mod world;
