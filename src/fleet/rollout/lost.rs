//! May the seat of a lost member of the MDM cluster be given to another node? Pure.
//!
//! ```text
//! a person gives it up -> the gate here -> written down -> the planner: the next one is taken in, takes the place,
//!     and the lost one is taken out
//! ```
//!
//! Nobody is replaced unasked, and no policy asks. A member that is well again before its place was taken keeps it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::cluster::{ClusterRecord, ClusterView, with_seats};
use crate::fleet::name;
use crate::fleet::roles::{Seat, choose};
use crate::model::id::{NodeName, RunId};
use crate::model::mdm::{Cluster, MdmWord};
use crate::model::unit::Timestamp;

/// What the cluster said is believed for so long. It is asked every 20 s while something is not as wished.
const FRESH: Duration = Duration::from_secs(60);

/// Why a member is not given up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Hold {
    /// The node has no seat.
    NoSeat,
    /// It was given up before.
    GivenUp { by: Box<str> },
    /// Another one was given up, and its place is not taken yet.
    Another { node: NodeName },
    /// Nodes may not be changed now.
    MayNot { why: String },
    /// A run works on the system.
    InRun { run: RunId },
    /// Its agent was heard so shortly before.
    Heard { before: Duration, wanted: Duration },
    /// We have not listened for long enough to know that it is silent.
    Listening { since: Duration, wanted: Duration },
    /// Nobody has told of the cluster lately.
    NotTold,
    /// The cluster does not know it, or says that it is well.
    StillThere,
    /// Others are not well either.
    OthersUnwell { members: Vec<String> },
    /// No node can take its place.
    NoHost { because: String },
    /// The node that would take its place is not ready.
    NotReady { node: NodeName },
}

/// The seats once a node is given up, or all that stands against it.
pub fn give_up(
    node: &NodeName,
    record: &ClusterRecord,
    view: &ClusterView<'_>,
) -> Result<BTreeMap<NodeName, Seat>, Vec<Hold>> {
    let Some(seat) = record.seats.get(node).copied() else { return Err(vec![Hold::NoSeat]) };
    if let Some(given) = record.given_up.get(node) {
        return Err(vec![Hold::GivenUp { by: given.by.clone() }]);
    }
    let mut against = Vec::new();
    against.extend(record.given_up.keys().map(|other| Hold::Another { node: other.clone() }));
    against.extend(view.may_change.clone().err().map(|why| Hold::MayNot { why: why.to_string() }));
    against.extend(view.run.clone().map(|run| Hold::InRun { run }));
    against.extend(silence(node, view));
    let Some(cluster) = newest(record, view.now) else {
        against.push(Hold::NotTold);
        return Err(against);
    };
    let own = name::in_system(node);
    match cluster.named(&own) {
        Some(member) if !member.is_well() && !cluster.is_normal() => {}
        Some(_) | None => against.push(Hold::StillThere),
    }
    let unwell = cluster.voters().filter(|member| member.name != own && !member.is_well());
    let members: Vec<String> = unwell.map(|member| member.name.clone()).collect();
    if !members.is_empty() {
        against.push(Hold::OthersUnwell { members });
    }
    match successor(node, seat, record, view, cluster) {
        Ok(seats) if against.is_empty() => return Ok(seats),
        Ok(_) => {}
        Err(hold) => against.push(hold),
    }
    Err(against)
}

/// Whether its agent has been silent for long enough.
fn silence(node: &NodeName, view: &ClusterView<'_>) -> Option<Hold> {
    let wanted = view.wanted.lost_after;
    let span = |since: Timestamp| (view.now - since).to_std().unwrap_or_default();
    let facts = view.peers.get(node).and_then(|peer| peer.member?.facts.as_ref());
    match facts.map(|facts| span(facts.seen_at)) {
        Some(before) if before < wanted => Some(Hold::Heard { before, wanted }),
        // What was written down of it in another life may be old.
        _ if span(view.listening_since) < wanted => Some(Hold::Listening { since: span(view.listening_since), wanted }),
        _ => None,
    }
}

/// What was told of the cluster last, if that is not long ago.
pub(super) fn newest(record: &ClusterRecord, now: Timestamp) -> Option<&Cluster> {
    let fresh = record.changed_at.max(now - FRESH);
    let told = record.words.values().filter(|(at, _)| *at >= fresh).filter_map(|(at, word)| match word {
        MdmWord::Cluster(cluster) => Some((*at, cluster)),
        MdmWord::Free | MdmWord::Bound | MdmWord::Unknown => None,
    });
    told.max_by_key(|(at, _)| *at).map(|(_, cluster)| cluster)
}

/// The seats with another node in its place: one that stands by, else one that is chosen.
fn successor(
    node: &NodeName,
    seat: Seat,
    record: &ClusterRecord,
    view: &ClusterView<'_>,
    cluster: &Cluster,
) -> Result<BTreeMap<NodeName, Seat>, Hold> {
    let mut seats = record.seats.clone();
    seats.remove(node);
    let stands_by = |other: &NodeName| {
        let member = cluster.named(&name::in_system(other));
        member.is_some_and(|member| !member.place.votes() && member.is_well())
    };
    let spare = seats.iter().find(|(other, has)| has.stands_by_for(seat) && stands_by(other));
    let by = match spare.map(|(other, _)| other.clone()) {
        Some(other) => {
            seats.insert(other.clone(), seat);
            other
        }
        None => {
            let candidates: Vec<_> = view.candidates.iter().filter(|one| one.name != *node).cloned().collect();
            let choice = choose(view.wanted, &seats, &with_seats(view, &candidates, &seats));
            let new = choice.seats.iter().find(|(other, has)| **has == seat && !seats.contains_key(*other));
            let Some(other) = new.map(|(other, _)| other.clone()) else {
                let missing = choice.missing.iter().filter(|missing| missing.seat == seat);
                let because: Vec<String> = missing.map(ToString::to_string).collect();
                return Err(Hold::NoHost { because: because.join("; ") });
            };
            seats = choice.seats;
            other
        }
    };
    if view.peers.get(&by).is_some_and(|peer| peer.is_ready) { Ok(seats) } else { Err(Hold::NotReady { node: by }) }
}

/// Takes back what is over: a member that is well again keeps its place, and one that is out is forgotten.
pub(super) fn settle(record: &mut ClusterRecord, now: Timestamp) {
    let Some(cluster) = newest(record, now) else { return };
    let mut given_up = record.given_up.clone();
    let mut back = Vec::new();
    given_up.retain(|node, _| match cluster.named(&name::in_system(node)) {
        None => false,
        Some(member) if member.is_well() && member.place.votes() => {
            back.push((node.clone(), Seat::of(member.place)));
            false
        }
        Some(_) => true,
    });
    record.given_up = given_up;
    record.seats.extend(back);
}

/// All that stands against it, in one sentence for a person.
pub fn told(node: &NodeName, against: &[Hold]) -> String {
    let against: Vec<String> = against.iter().map(ToString::to_string).collect();
    format!("{node} is not given up: {}", against.join("; "))
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSeat => f.write_str("it has no seat in an MDM cluster that we made"),
            Self::GivenUp { by } => write!(f, "{by} has given it up already; its place is being taken"),
            Self::Another { node } => write!(f, "{node} was given up and is not replaced yet; one at a time"),
            Self::MayNot { why } => f.write_str(why),
            Self::InRun { run } => write!(f, "run {run} works on the system; let it end, or cancel it"),
            Self::Heard { before, wanted } => write!(
                f,
                "its agent was heard {} s ago; it counts as gone after {} s (rollout.mdm.lost_after)",
                before.as_secs(),
                wanted.as_secs()
            ),
            Self::Listening { since, wanted } => write!(
                f,
                "this controller has listened for {} s only; after {} s it knows that the agent is silent",
                since.as_secs(),
                wanted.as_secs()
            ),
            Self::NotTold => f.write_str("no manager has told of the cluster within a minute"),
            Self::StillThere => f.write_str("the cluster does not say that it is away"),
            Self::OthersUnwell { members } => {
                write!(f, "{} are not well either; the cluster would not survive a mistake", members.join(", "))
            }
            Self::NoHost { because } => write!(f, "nobody can take its place ({because}); add a node"),
            Self::NotReady { node } => write!(f, "{node} would take its place and is not ready"),
        }
    }
}

#[cfg(test)]
mod tests;
