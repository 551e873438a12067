//! What waits to be sent, and what becomes of it: no mail is lost, and none
//! goes out under two ids.
//!
//! ```text
//!            add                 next                 sent for all
//!   (none) -------> Queued ---------------> Sending ---------------> (none)
//!                     ^  ^                   |  |
//!                     |  +-- no for now -----+  +-- no for good, or 48 h over
//!                     |                      |                  |
//!                     +---- crash: load -----+                  v
//!                     +---------------- flush --------------- Failed
//! ```
//!
//! [`Outbox::step`] is pure: it says which entries change, which mail is to be
//! handed over, and what is worth telling. The caller commits the changes, in
//! one batch with the alert changes that caused them, and only then calls
//! [`Outbox::apply`] and acts. What is stored is all there is: an outbox that is
//! loaded again goes on where the last one was. A mail that was being sent when
//! the process ended is sent again under the same `Message-ID`.

mod collapse;
mod entry;
mod fit;
mod step;
#[cfg(test)]
mod tests;

pub use entry::{Entry, MAILS, POSTS, Progress, StoredError, key};
pub use fit::{MAX_ENTRY, chunks, fit};
pub use step::{Event, Input, Limits, Outbox, Step, Wait};
