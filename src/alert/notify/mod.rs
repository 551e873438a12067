//! What is told, to whom, and when?
//!
//! Each alert that fires goes to the routes that take it ([`route`]) and waits
//! there in a group (`group`). What is no news is left out ([`mute`]: silenced,
//! inhibited, explained by work, coming and going). [`mod@step`] asks all groups what
//! is due, and lets a route tell it now, later ([`calendar`]: quiet hours), or in
//! one mail with others (storms, rate limits). [`week`] keeps the books for the
//! weekly report. [`handle`] is what people do: silences, acknowledgements. [`runs`] is the mail at the end of a run.
//!
//! All of it is pure: the time, what fires and the [`memory`] come in; a
//! notification goes out, and the memory that must be stored together with it.

pub mod calendar;
mod collapse;
mod flap;
mod group;
pub mod handle;
pub mod inhibit;
pub mod memory;
pub mod mute;
pub mod observe;
pub mod policy;
pub mod route;
pub mod runs;
pub mod sample;
pub mod step;
#[cfg(test)]
mod tests;
pub mod week;
mod write;

pub use memory::Memory;
pub use observe::observe;
pub use policy::Policy;
pub use step::{next, step};
