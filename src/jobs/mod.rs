//! What is begun by the calendar, without anybody asking for it?

pub mod schedule;
