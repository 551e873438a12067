//! Which agents carry ScaleIO, and how do they come to it?
//!
//! [`attributes`] reads what agents say of themselves, [`desired`] lays the
//! topology over them, [`roles`] seats the MDM cluster, and [`diff`] says what
//! is missing. All of it is pure.

pub mod attributes;
pub mod desired;
pub mod diff;
pub mod filter;
pub mod roles;
