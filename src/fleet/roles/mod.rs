//! Which nodes carry the MDM cluster?
//!
//! A pure choice: seats that are held by living nodes stay where they are, and
//! free seats go to the nodes that spread the members best. Nothing here moves
//! a member; a seat whose node is lost is filled, and `work` does the change.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::rollout::WantedMdm;
use crate::model::id::NodeName;
use crate::model::mdm::{Mode, Place};
use crate::model::node::Carries;
use crate::model::unit::Bytes;

use super::attributes::Persona;

/// What a member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seat {
    /// Keeps the repository; one of them owns the cluster.
    Manager,
    /// Votes.
    TieBreaker,
    /// Installed as manager, ready to take a lost one's place.
    StandbyManager,
    /// Installed as tie-breaker, ready to take a lost one's place.
    StandbyTieBreaker,
}

impl Seat {
    /// Whether it keeps the repository.
    pub const fn is_manager(self) -> bool {
        matches!(self, Self::Manager | Self::StandbyManager)
    }

    const fn votes(self) -> bool {
        matches!(self, Self::Manager | Self::TieBreaker)
    }

    /// The seat of a member in its place.
    pub const fn of(place: Place) -> Self {
        match place {
            Place::Master | Place::Slave => Self::Manager,
            Place::TieBreaker => Self::TieBreaker,
            Place::StandbyManager => Self::StandbyManager,
            Place::StandbyTieBreaker => Self::StandbyTieBreaker,
        }
    }

    /// Whether who has this seat waits to take that one.
    pub const fn stands_by_for(self, other: Self) -> bool {
        matches!((self, other), (Self::StandbyManager, Self::Manager) | (Self::StandbyTieBreaker, Self::TieBreaker))
    }
}

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Manager => "manager",
            Self::TieBreaker => "tie-breaker",
            Self::StandbyManager => "standby manager",
            Self::StandbyTieBreaker => "standby tie-breaker",
        })
    }
}

/// The seats of the wanted cluster. Managers first: they ask for more of a host than the others.
fn seats_of(wanted: &WantedMdm) -> impl Iterator<Item = Seat> {
    [
        (Seat::Manager, wanted.members.managers()),
        (Seat::TieBreaker, wanted.members.tie_breakers()),
        (Seat::StandbyManager, wanted.standby_managers),
        (Seat::StandbyTieBreaker, wanted.standby_tie_breakers),
    ]
    .into_iter()
    .flat_map(|(seat, count)| std::iter::repeat_n(seat, count))
}

/// A node that may carry a member.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its name.
    pub name: NodeName,
    /// By what its host is known, as an address and the id of its boot: two agents of one host have some of it in common.
    pub machine: BTreeSet<Box<str>>,
    /// What fails together with it; none: nobody has said.
    pub rack: Option<Box<str>>,
    /// What its attribute says.
    pub persona: Option<Persona>,
    /// Its cores.
    pub cores: u32,
    /// Its memory.
    pub memory: Bytes,
    /// Of what else it carries a part.
    pub carries: BTreeSet<Carries>,
    /// Why it can be no member, where that is no matter of its size; none: nothing is against it.
    pub no_member: Option<Box<str>>,
    /// Why it can be no manager, as what it lacks of virtual addresses; none: nothing is against it.
    pub no_manager: Option<Box<str>>,
    /// Whether it has a package manager, as far as its agent was heard: an MDM comes as a package only.
    pub takes_packages: bool,
}

/// Who sits where, and what is not as it should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Seats by node; those that were held before and those chosen now.
    pub seats: BTreeMap<NodeName, Seat>,
    /// Seats that nobody can take, each with the reason of every node that was asked.
    pub missing: Vec<Missing>,
    /// What is allowed, but should be known.
    pub warnings: Vec<Warning>,
}

/// A seat that stays free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The seat.
    pub seat: Seat,
    /// Why each node cannot take it.
    pub because: BTreeMap<NodeName, Unfit>,
}

/// Why a node cannot take a seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It has another seat.
    Sits(Seat),
    /// Its host carries a member already, under that name.
    SameHost(NodeName),
    /// Its attribute wants it elsewhere.
    Persona(Persona),
    /// Its host takes no packages.
    NoPackages,
    /// Its host is too small.
    #[allow(missing_docs)]
    Cores { has: u32, needs: u32 },
    /// Its host is too small.
    #[allow(missing_docs)]
    Memory { has: Bytes, needs: Bytes },
    /// It lacks something that its part in the cluster needs, as an address.
    Lacks(Box<str>),
}

/// What is allowed, but should be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// So many of the voting members fail with one rack that no majority is left.
    #[allow(missing_docs)]
    RackHoldsMajority { rack: Box<str>, members: Vec<NodeName> },
    /// One host carries a member of the cluster and of other quorums.
    #[allow(missing_docs)]
    SharedHost { node: NodeName, carries: Vec<Carries> },
    /// Nobody has said in which racks the members are.
    NoRacks,
    /// A member has no living node behind it, and another was chosen in its place.
    #[allow(missing_docs)]
    Replaces { lost: NodeName, seat: Seat },
}

/// Chooses. `held` are the seats of today; those of nodes that are no
/// candidates are lost.
pub fn choose(wanted: &WantedMdm, held: &BTreeMap<NodeName, Seat>, candidates: &[Candidate]) -> Choice {
    let by_name: BTreeMap<&NodeName, &Candidate> = candidates.iter().map(|one| (&one.name, one)).collect();
    let mut choice = Choice::default();
    let mut free: Vec<Seat> = seats_of(wanted).collect();
    for (name, seat) in held {
        // A member beyond the wanted number keeps its seat as well: taking one away is never done unasked.
        if by_name.contains_key(name) {
            choice.seats.insert(name.clone(), *seat);
            if let Some(place) = free.iter().position(|wanted| wanted == seat) {
                free.remove(place);
            }
        } else {
            choice.warnings.push(Warning::Replaces { lost: name.clone(), seat: *seat });
        }
    }
    for seat in free {
        let mut because = BTreeMap::new();
        let mut fit = Vec::new();
        for candidate in candidates {
            match unfit(wanted, seat, candidate, &choice.seats, &by_name) {
                Some(reason) => drop(because.insert(candidate.name.clone(), reason)),
                None => fit.push(candidate),
            }
        }
        match fit.into_iter().min_by_key(|candidate| rank(seat, candidate, &choice.seats, &by_name)) {
            Some(best) => drop(choice.seats.insert(best.name.clone(), seat)),
            None => choice.missing.push(Missing { seat, because }),
        }
    }
    choice.warnings.extend(warnings(wanted, &choice.seats, &by_name));
    choice
}

fn unfit(
    wanted: &WantedMdm,
    seat: Seat,
    candidate: &Candidate,
    seats: &BTreeMap<NodeName, Seat>,
    by_name: &BTreeMap<&NodeName, &Candidate>,
) -> Option<Unfit> {
    if let Some(other) = seats.get(&candidate.name) {
        return Some(Unfit::Sits(*other));
    }
    let same_host =
        |name: &&NodeName| by_name.get(*name).is_some_and(|other| !other.machine.is_disjoint(&candidate.machine));
    if let Some(other) = seats.keys().find(same_host) {
        return Some(Unfit::SameHost(other.clone()));
    }
    let persona_fits = match candidate.persona {
        None => true,
        Some(Persona::Primary | Persona::Secondary) => seat.is_manager(),
        Some(Persona::TieBreaker) => !seat.is_manager(),
        Some(Persona::Data) => false,
    };
    if let (false, Some(persona)) = (persona_fits, candidate.persona) {
        return Some(Unfit::Persona(persona));
    }
    if !candidate.takes_packages {
        return Some(Unfit::NoPackages);
    }
    if let Some(why) = &candidate.no_member {
        return Some(Unfit::Lacks(why.clone()));
    }
    if seat.is_manager() {
        if candidate.cores < wanted.cores {
            return Some(Unfit::Cores { has: candidate.cores, needs: wanted.cores });
        }
        if candidate.memory < wanted.memory {
            return Some(Unfit::Memory { has: candidate.memory, needs: wanted.memory });
        }
        if let Some(why) = &candidate.no_manager {
            return Some(Unfit::Lacks(why.clone()));
        }
    }
    None
}

/// Less is better. Who was named by a person comes first, then who shares its
/// rack with the fewest members, then who carries the least of other quorums.
fn rank<'a>(
    seat: Seat,
    candidate: &'a Candidate,
    seats: &BTreeMap<NodeName, Seat>,
    by_name: &BTreeMap<&NodeName, &Candidate>,
) -> (u8, usize, usize, usize, std::cmp::Reverse<u64>, &'a NodeName) {
    let named = match (candidate.persona, seat) {
        (Some(Persona::Primary), Seat::Manager) => 0,
        (Some(Persona::Secondary), Seat::Manager) | (Some(Persona::TieBreaker), Seat::TieBreaker) => 1,
        (Some(_), _) => 2,
        (None, _) => 3,
    };
    let in_rack = |wanted: fn(Seat) -> bool| {
        let with_us = |(name, seat): &(&NodeName, &Seat)| {
            wanted(**seat) && by_name.get(*name).is_some_and(|other| other.rack == candidate.rack)
        };
        if candidate.rack.is_some() { seats.iter().filter(with_us).count() } else { 0 }
    };
    (
        named,
        in_rack(Seat::votes),
        in_rack(|_| true),
        candidate.carries.iter().filter(|other| **other != Carries::Mdm).count(),
        std::cmp::Reverse(candidate.memory.get()),
        &candidate.name,
    )
}

fn warnings(
    wanted: &WantedMdm,
    seats: &BTreeMap<NodeName, Seat>,
    by_name: &BTreeMap<&NodeName, &Candidate>,
) -> Vec<Warning> {
    let mut told = Vec::new();
    let voters: Vec<&Candidate> =
        seats.iter().filter(|(_, seat)| seat.votes()).filter_map(|(name, _)| by_name.get(name).copied()).collect();
    let mut racks: BTreeMap<&str, Vec<NodeName>> = BTreeMap::new();
    for voter in &voters {
        if let Some(rack) = &voter.rack {
            racks.entry(rack).or_default().push(voter.name.clone());
        }
    }
    if wanted.members != Mode::One {
        if racks.is_empty() && !voters.is_empty() {
            told.push(Warning::NoRacks);
        }
        for (rack, members) in racks {
            if (voters.len() - members.len()) * 2 <= voters.len() {
                told.push(Warning::RackHoldsMajority { rack: rack.into(), members });
            }
        }
    }
    for voter in voters {
        let carries: Vec<Carries> = voter.carries.iter().copied().filter(|other| *other != Carries::Mdm).collect();
        if !carries.is_empty() {
            told.push(Warning::SharedHost { node: voter.name.clone(), carries });
        }
    }
    told
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sits(seat) => write!(f, "is {seat}"),
            Self::SameHost(name) => write!(f, "is on the host of {name}, and one host carries one member"),
            Self::Persona(persona) => {
                let word = match persona {
                    Persona::Primary => "primary",
                    Persona::Secondary => "secondary",
                    Persona::TieBreaker => "tiebreaker",
                    Persona::Data => "data",
                };
                write!(f, "its attribute scaleio-persona is {word}")
            }
            Self::NoPackages => f.write_str("has no package manager, and an MDM comes as a package only"),
            Self::Cores { has, needs } => write!(f, "has {has} cores; a manager needs {needs}"),
            Self::Memory { has, needs } => write!(f, "has {has} of memory; a manager needs {needs}"),
            Self::Lacks(why) => f.write_str(why),
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let because: Vec<String> = self.because.iter().map(|(name, why)| format!("{name} {why}")).collect();
        write!(f, "no node for a {}", self.seat)?;
        if because.is_empty() { Ok(()) } else { write!(f, ": {}", because.join("; ")) }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RackHoldsMajority { rack, members } => {
                let names: Vec<String> = members.iter().map(ToString::to_string).collect();
                let names = names.join(", ");
                write!(f, "the loss of rack {rack} stops the MDM cluster: it holds {names}; add nodes in other racks")
            }
            Self::SharedHost { node, carries } => {
                let names: Vec<&str> = carries.iter().map(|other| other.as_str()).collect();
                write!(f, "{node} carries a member of the MDM cluster and {}", names.join(" and "))
            }
            Self::NoRacks => f.write_str("no member has a rack, so nothing keeps them apart; set the rack attribute"),
            Self::Replaces { lost, seat } => write!(f, "{lost}, which was {seat}, is lost; its seat is filled anew"),
        }
    }
}

#[cfg(test)]
mod tests;
