//! How a notification becomes a mail, and how a mail reaches a server.
//!
//! [`render`](render::render) is pure: a notification, the settings and the
//! time go in, a whole message comes out, the same one each time. It lays the
//! mail out once as a [`Page`](page::Page), which is then written as text and
//! as HTML, so that both parts say the same. [`smtp`] hands messages to
//! servers and says what became of each recipient; [`run`] is the loop between
//! the outbox and the servers.

mod card;
pub mod headers;
pub mod health;
pub mod html;
mod layout;
pub mod link;
pub mod outcome;
pub mod page;
pub mod render;
mod report;
pub mod run;
mod run_over;
mod show;
pub mod smtp;
mod subject;
pub mod text;
mod wire;

pub use outcome::{Outcome, Reply, Scope, Stage, Trouble};
pub use render::{RenderError, Settings, render};
pub use smtp::Mailer;
