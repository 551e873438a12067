//! What was decided before anything fires: the configuration, made ready.

use super::inhibit;
use crate::config::{Inhibit, Notify};

/// Who is told of what, and what makes what no news.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What the operator decided.
    pub notify: Notify,
    /// The inhibitions of the operator and those that the program brings along.
    pub inhibit: Vec<Inhibit>,
    /// The right side of ids of mails.
    pub domain: String,
}

impl Policy {
    /// A policy by this configuration.
    pub fn new(notify: Notify, domain: &str) -> Self {
        let mut inhibit = inhibit::shipped();
        inhibit.extend(notify.inhibit.iter().cloned());
        Self { notify, inhibit, domain: domain.to_owned() }
    }
}
