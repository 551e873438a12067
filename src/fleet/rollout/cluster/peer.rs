//! What is known of a node that has a seat of an MDM cluster, or may get one?

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::super::decide::is_silent;
use crate::enrol::crew::Member;
use crate::fleet::networks::OfMember;
use crate::fleet::roles::Seat;
use crate::model::unit::Timestamp;

/// What is known of a node.
#[derive(Clone, Debug)]
pub struct Peer<'a> {
    /// Where a manager on it is found, or why that cannot be said.
    pub as_manager: Result<OfMember, Box<str>>,
    /// The same of a tie-breaker.
    pub as_tie_breaker: Result<OfMember, Box<str>>,
    /// All of its addresses.
    pub known_at: BTreeSet<IpAddr>,
    /// What its agent tells.
    pub member: Option<&'a Member>,
    /// Whether all that shall be on it is there. What the MDM lacks of it may wait for a cluster that is well.
    pub is_ready: bool,
    /// Whether something of the rollout is under way there, or about to be.
    pub is_busy: bool,
    /// Whether an order for it is on its way to the crew.
    pub is_laying: bool,
}

impl Peer<'_> {
    pub(super) fn is_heard(&self, now: Timestamp) -> bool {
        self.member.is_some_and(|member| {
            let is_ours = member.out_of_work.is_none() && !member.stranger;
            is_ours && member.facts.as_ref().is_some_and(|facts| !is_silent(facts.seen_at, now))
        })
    }

    /// Where its member is found.
    pub(super) fn at(&self, seat: Option<&Seat>) -> Result<OfMember, Box<str>> {
        if seat.is_some_and(|seat| seat.is_manager()) { self.as_manager.clone() } else { self.as_tie_breaker.clone() }
    }

    pub(super) fn is_busy(&self) -> bool {
        let laid = self.member.is_some_and(|member| member.order.is_some() || member.working_on.is_some());
        self.is_busy || self.is_laying || laid
    }

    pub(super) fn has(&self, component: &str) -> bool {
        self.member.and_then(|member| member.host.as_ref()).is_some_and(|host| host.installed.contains_key(component))
    }

    pub(super) fn os(&self) -> Option<&str> {
        self.member.and_then(|member| member.host.as_ref()).map(|host| host.os.as_str())
    }
}
