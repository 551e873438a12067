//! Does the engine keep its promises? One deterministic world runs the very
//! step function that the product runs, with every fault we can think of, and
//! after each event the promises are held against the truth.
//!
//! [`site`] is the truth: the simulated MDM, hosts, Mesos and the disk with the
//! journal. [`view`] is what a poll would show of it. [`controller`] holds what
//! the product's process would hold, and can die at any moment. [`fault`] is
//! what may happen, [`unknown`] what nobody can tell of it, [`judge`] what must hold, [`simulate`] the whole story.

pub mod controller;
pub mod fault;
pub mod host;
pub mod judge;
pub mod simulate;
pub mod site;
pub mod unknown;
pub mod view;
