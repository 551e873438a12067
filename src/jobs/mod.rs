//! What the calendar has looked at or kept while nothing is changed: certificates ([`certificates`]), files that nodes are
//! given ([`files`]), copies of the state ([`backup`]); and whoever is asked for the rest ([`run`]).

pub mod backup;
pub mod certificates;
pub mod files;
pub mod run;
