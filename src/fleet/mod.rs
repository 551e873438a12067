//! Which agents carry ScaleIO, and how do they come to it?
//!
//! [`run`] is the loop between the masters, the store and everybody who wants
//! to know; [`offer`] judges offers; [`attributes`] reads what agents say of
//! themselves.

pub mod attributes;
pub mod launch;
pub mod offer;
pub mod run;
mod status;
