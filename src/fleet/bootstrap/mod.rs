//! What is to be done next, so that the seats of an MDM cluster are taken?
//!
//! A pure step: from the seats and what each node's agent has said of its MDM
//! follow the next orders, or the reasons why there are none. Nothing is
//! remembered between two turns but what the caller has written down, so a
//! controller that was killed anywhere goes on from what the cluster says.
//!
//! ```text
//! install on every seat ─► all managers say "free" ─► create ─► password ─► add who is missing
//!    ─► (who is lost is replaced) ─► switch the mode ─► remove who is lost ─► name ─► licence
//! ```
//!
//! Installing goes on everywhere at once; the cluster is changed by one order
//! at a time. A member is never taken away unless its node was declared lost.

mod wait;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::model::command::{Command, Evidence, GENERATIONS};
use crate::model::id::NodeName;
use crate::model::mdm::{Change, Cluster, Kind, MdmTask, MdmWord, Member, MemberSeen, Mode};
use crate::model::order::{Artefact, Component, Install, Task};
use crate::model::unit::Timestamp;
use crate::model::version::Generation;

use super::name;
use super::networks::OfMember;
use super::roles::Seat;
pub use wait::Wait;
pub(in crate::fleet) use wait::list;

/// What the cluster shall be.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Of which release.
    pub generation: Generation,
    /// Members that vote.
    pub members: Mode,
    /// Who sits where, as it was written down before the first order: a choice made anew might differ.
    pub seats: BTreeMap<NodeName, Seat>,
    /// Nodes that had a seat and are lost; they are replaced and taken out.
    pub lost: BTreeSet<NodeName>,
    /// The system's name.
    pub name: Option<String>,
    /// The licence that it lacks, by its hash.
    pub licence: Option<Box<str>>,
    /// Addresses that move with the leadership.
    pub virtual_ips: Vec<IpAddr>,
}

/// What the controller has written down of earlier turns. Without it nothing is done twice, but more is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Known {
    /// A cluster was made or seen; it is never made a second time.
    pub is_made: bool,
    /// The administrator's password was set.
    pub has_password: bool,
    /// The hash of the licence that was set.
    pub licence: Option<Box<str>>,
}

/// What is known of a node.
#[derive(Clone, Debug)]
pub struct NodeView {
    /// Where its member is found, or why that cannot be said.
    pub at: Result<OfMember, Box<str>>,
    /// All addresses of its host: a member that is there may be found at any.
    pub known_at: BTreeSet<IpAddr>,
    /// Interfaces that carry the virtual addresses.
    pub interfaces: Vec<String>,
    /// Whether its agent was heard lately.
    pub is_heard: bool,
    /// Whether an order is under way there.
    pub is_busy: bool,
    /// What its MDM is installed as; none: not, or not known.
    pub installed: Option<Kind>,
    /// What was said by way of it of the cluster, and when.
    pub word: Option<(Timestamp, MdmWord)>,
}

impl NodeView {
    /// Where its member is found by the others; empty: nowhere.
    fn ips(&self) -> &[IpAddr] {
        self.at.as_ref().map(|at| at.ips.as_slice()).unwrap_or_default()
    }

    /// Whether it is the host of who is found at these addresses.
    fn is_at(&self, ips: &[IpAddr]) -> bool {
        ips.iter().any(|ip| self.known_at.contains(ip) || self.ips().contains(ip))
    }
}

/// An order that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// For which node.
    pub node: NodeName,
    /// What for.
    pub what: What,
}

/// What a node is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// An MDM is installed on it.
    Install(Component),
    /// The cluster is changed or looked at by way of it.
    Cluster {
        /// The change.
        change: Change,
        /// Which managers are asked.
        ask: Vec<IpAddr>,
    },
}

/// What follows from a look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Next {
    /// Orders that are due now; at most one of them changes the cluster.
    pub steps: Vec<Step>,
    /// What keeps it from being done.
    pub waits: Vec<Wait>,
    /// What differs and is left as it is.
    pub notes: Vec<Wait>,
}

impl Next {
    /// Whether all is as wished.
    pub const fn is_done(&self) -> bool {
        self.steps.is_empty() && self.waits.is_empty()
    }
}

/// The next orders. Words from before `fresh_since` are not believed: something was changed since, or they are old.
pub fn next(wish: &Wish, known: &Known, nodes: &BTreeMap<NodeName, NodeView>, fresh_since: Timestamp) -> Next {
    let mut next = Next::default();
    if wish.generation >= Generation::V4 {
        next.waits.push(Wait::Generation { generation: wish.generation });
        return next;
    }
    let turn = Turn { wish, known, nodes, fresh_since };
    turn.installs(&mut next);
    turn.cluster(&mut next);
    next
}

/// The task of an order. `package` is the one for the node's operating system.
pub fn task(
    what: &What,
    generation: Generation,
    package: Option<&Artefact>,
    accepted: &BTreeSet<String>,
    password_in_sight: bool,
) -> Option<Task> {
    Some(match what {
        What::Install(component) => {
            Task::Install(Install { component: *component, artefact: package?.clone(), mdms: Vec::new() })
        }
        What::Cluster { change, ask } => Task::Mdm(MdmTask {
            generation,
            ask: ask.clone(),
            change: change.clone(),
            password_in_sight,
            accepted: accepted.clone(),
        }),
    })
}

/// Commands that a cluster may need, that were never seen in use and that nobody has accepted, each with the releases
/// of which that is so.
pub fn unproven(accepted: &BTreeSet<String>, password_in_sight: bool) -> Vec<String> {
    let (login, set_password) = if password_in_sight {
        (Command::Login, Command::SetPassword)
    } else {
        (Command::LoginAtPrompt, Command::SetPasswordAtPrompt)
    };
    let used = [
        Command::QueryCluster,
        Command::CreateCluster,
        login,
        set_password,
        Command::AddStandby,
        Command::SwitchMode,
        Command::ReplaceMember,
        Command::AddStandbyAgain,
        Command::RemoveStandby,
        Command::RenameSystem,
        Command::SetLicence,
    ];
    let line = |command: Command| {
        let unseen = GENERATIONS
            .into_iter()
            .filter(|generation| command.evidence(*generation).is_some_and(Evidence::is_unproven));
        let unseen: Vec<&str> = unseen.map(Generation::as_str).collect();
        (!unseen.is_empty()).then(|| format!("{command} (release {}): {}", unseen.join(", "), command.shown()))
    };
    used.into_iter().filter(|command| !accepted.contains(command.as_str())).filter_map(line).collect()
}

const fn kind(seat: Seat) -> Kind {
    match seat {
        Seat::Manager | Seat::StandbyManager => Kind::Manager,
        Seat::TieBreaker | Seat::StandbyTieBreaker => Kind::TieBreaker,
    }
}

const fn votes(seat: Seat) -> bool {
    matches!(seat, Seat::Manager | Seat::TieBreaker)
}

struct Turn<'a> {
    wish: &'a Wish,
    known: &'a Known,
    nodes: &'a BTreeMap<NodeName, NodeView>,
    fresh_since: Timestamp,
}

impl<'a> Turn<'a> {
    /// Every seat gets its package, all at once.
    fn installs(&self, next: &mut Next) {
        for (name, seat) in &self.wish.seats {
            let component = match kind(*seat) {
                Kind::Manager => Component::Mdm,
                Kind::TieBreaker => Component::Tb,
            };
            match self.nodes.get(name) {
                None => next.waits.push(Wait::Silent { node: name.clone() }),
                Some(view) if !view.is_heard => next.waits.push(Wait::Silent { node: name.clone() }),
                Some(view) => match view.installed {
                    Some(is) if is == kind(*seat) => {}
                    Some(_) => next.waits.push(Wait::OtherRole { node: name.clone() }),
                    None if view.is_busy => next.waits.push(Wait::Busy { node: name.clone() }),
                    None => next.steps.push(Step { node: name.clone(), what: What::Install(component) }),
                },
            }
        }
    }

    /// What was said lately by way of a node.
    fn word(&self, name: &NodeName) -> Option<&'a MdmWord> {
        let (at, word) = self.nodes.get(name)?.word.as_ref()?;
        (*at >= self.fresh_since).then_some(word)
    }

    fn is_ready(&self, name: &NodeName) -> bool {
        let seat = self.wish.seats.get(name);
        self.nodes.get(name).is_some_and(|view| view.is_heard && view.installed == seat.map(|seat| kind(*seat)))
    }

    /// Nodes with the seat of a manager.
    fn managers(&self) -> impl Iterator<Item = &'a NodeName> {
        self.wish.seats.iter().filter(|(_, seat)| kind(**seat) == Kind::Manager).map(|(name, _)| name)
    }

    fn cluster(&self, next: &mut Next) {
        let mut told: Vec<(Timestamp, &Cluster)> = self
            .nodes
            .values()
            .filter_map(|view| view.word.as_ref())
            .filter(|(at, _)| *at >= self.fresh_since)
            .filter_map(|(at, word)| match word {
                MdmWord::Cluster(cluster) => Some((*at, cluster)),
                MdmWord::Free | MdmWord::Bound | MdmWord::Unknown => None,
            })
            .collect();
        told.sort_by_key(|(at, _)| *at);
        let Some((_, newest)) = told.last() else { return self.look(next) };
        let shares =
            |other: &Cluster| other.members.iter().any(|one| newest.members.iter().any(|two| one.id == two.id));
        if let Some((_, other)) = told.iter().find(|(_, other)| !shares(other)) {
            next.waits.push(Wait::TwoClusters { one: names(newest), other: names(other) });
            return;
        }
        self.change(newest, next);
    }

    /// Nobody has told of a cluster lately: the managers are asked, and when all are free one of them makes it.
    fn look(&self, next: &mut Next) {
        let mut free = Vec::new();
        let mut all_are_free = true;
        for name in self.managers() {
            if !self.is_ready(name) {
                // Why is among the installs.
                all_are_free = false;
                continue;
            }
            let Some(view) = self.nodes.get(name) else { continue };
            let ask = match self.word(name) {
                Some(MdmWord::Free) => {
                    free.push((name, view));
                    continue;
                }
                None => Vec::new(),
                // It does not lead, so those who may are asked by way of it.
                Some(_) => self
                    .managers()
                    .filter_map(|name| self.nodes.get(name))
                    .flat_map(|view| view.ips().to_vec())
                    .collect(),
            };
            all_are_free = false;
            if view.is_busy {
                next.waits.push(Wait::Busy { node: name.clone() });
            } else {
                next.steps.push(Step { node: name.clone(), what: What::Cluster { change: Change::Look, ask } });
            }
        }
        if !all_are_free {
            return;
        }
        if self.known.is_made {
            next.waits.push(Wait::Vanished);
            return;
        }
        // A manager that only stands by comes later.
        let first = free.into_iter().find(|(name, _)| self.wish.seats.get(*name) == Some(&Seat::Manager));
        match first {
            Some((name, view)) if !self.wish.virtual_ips.is_empty() && view.interfaces.is_empty() => {
                next.waits.push(Wait::NoInterface { node: name.clone() });
            }
            Some((name, view)) if !view.is_busy => {
                let Some(master) = member(name, Kind::Manager, view, next) else { return };
                let change = Change::Create { master, virtual_ips: self.wish.virtual_ips.clone() };
                next.steps.push(Step { node: name.clone(), what: What::Cluster { change, ask: Vec::new() } });
            }
            Some((name, _)) => next.waits.push(Wait::Busy { node: name.clone() }),
            None => next.waits.push(Wait::NoManager),
        }
    }

    /// The member that a node is.
    fn member_of<'c>(&self, name: &NodeName, cluster: &'c Cluster) -> Option<&'c MemberSeen> {
        let view = self.nodes.get(name)?;
        cluster.members.iter().find(|member| view.is_at(&member.ips))
    }

    /// Who gives the commands: the node of the one that leads, else of another manager that is heard.
    fn speaker(&self, cluster: &Cluster) -> Result<&'a NodeName, Wait> {
        let managers = cluster.voters().filter(|member| member.place.kind() == Kind::Manager);
        let owners = managers.filter_map(|member| self.nodes.iter().find(|(_, view)| view.is_at(&member.ips)));
        let owners: Vec<(&NodeName, &NodeView)> = owners.collect();
        if owners.is_empty() {
            return Err(Wait::Foreign { members: names(cluster) });
        }
        let heard = owners.iter().filter(|(_, view)| view.is_heard && view.installed == Some(Kind::Manager));
        match heard.clone().find(|(_, view)| !view.is_busy) {
            Some((name, _)) => Ok(name),
            None => Err(match heard.clone().next().or(owners.first()) {
                Some((name, view)) if view.is_heard && view.installed.is_some() => Wait::Busy { node: (*name).clone() },
                Some((name, _)) => Wait::Silent { node: (*name).clone() },
                None => Wait::Foreign { members: names(cluster) },
            }),
        }
    }

    fn change(&self, cluster: &Cluster, next: &mut Next) {
        let change = match self.due(cluster, next) {
            Some(change) => change,
            None => return,
        };
        // One change at a time: what any node is doing to the cluster ends first.
        match self.speaker(cluster) {
            Ok(node) => {
                let mut managers: Vec<&MemberSeen> = cluster
                    .voters()
                    .filter(|member| member.place.kind() == Kind::Manager && member.is_well())
                    .collect();
                managers.sort_by_key(|member| member.place);
                let ask = managers.iter().flat_map(|member| member.ips.iter().copied()).collect();
                next.steps.push(Step { node: node.clone(), what: What::Cluster { change, ask } });
            }
            Err(wait) => next.waits.push(wait),
        }
    }

    /// The one change that comes next; the reasons why there is none are told.
    fn due(&self, cluster: &Cluster, next: &mut Next) -> Option<Change> {
        if !self.known.has_password {
            return Some(Change::Password);
        }
        if let Some(is) = cluster.virtual_ips.as_ref().filter(|_| !self.wish.virtual_ips.is_empty())
            && is.iter().collect::<BTreeSet<_>>() != self.wish.virtual_ips.iter().collect()
        {
            let wanted = self.wish.virtual_ips.clone();
            next.notes.push(Wait::OtherVirtualIps { is: is.clone(), wanted });
        }
        let is_lost = |member: &&MemberSeen| self.wish.lost.iter().any(|lost| name::in_system(lost) == member.name);
        if let Some(change) = self.missing(cluster, next) {
            return Some(change);
        }
        if let Some(lost) = cluster.voters().filter(|member| !member.is_well()).find(is_lost) {
            match self.substitute(lost, cluster) {
                Some(by) => return Some(by),
                None => next.waits.push(Wait::NoSubstitute { lost: lost.name.clone() }),
            }
        }
        if let Some(change) = self.switch(cluster, next) {
            return Some(change);
        }
        if let Some(gone) = cluster.members.iter().filter(|member| !member.place.votes()).find(is_lost) {
            return Some(Change::RemoveStandby { name: gone.name.clone() });
        }
        if let Some(name) = &self.wish.name
            && cluster.name.as_ref() != Some(name)
        {
            return Some(Change::Rename { name: name.clone() });
        }
        if let Some(sha256) = &self.wish.licence
            && self.known.licence.as_ref() != Some(sha256)
        {
            return Some(Change::Licence { sha256: sha256.to_string() });
        }
        if !cluster.is_normal() {
            next.waits.push(Wait::NotNormal { state: cluster.state.clone() });
        }
        None
    }

    /// Seats whose nodes are no members yet, managers first.
    fn missing(&self, cluster: &Cluster, next: &mut Next) -> Option<Change> {
        let mut due = None;
        // What it has counts, not what was asked for: it was made with them or without.
        let moves = cluster.virtual_ips.as_ref().unwrap_or(&self.wish.virtual_ips);
        let mut seats: Vec<(&NodeName, &Seat)> = self.wish.seats.iter().collect();
        seats.sort_by_key(|(name, seat)| (kind(**seat), *name));
        for (name, seat) in seats {
            let Some(view) = self.nodes.get(name) else { continue };
            match self.member_of(name, cluster) {
                // Its own word is that it belongs to nothing: it was installed anew, and the cluster waits for the old one.
                Some(member) if self.word(name) == Some(&MdmWord::Free) && !member.is_well() => {
                    next.waits.push(Wait::Forgot { node: name.clone() });
                }
                Some(member) => next.notes.extend(otherwise(name, kind(*seat), member, view)),
                None if kind(*seat) == Kind::Manager && !moves.is_empty() && view.interfaces.is_empty() => {
                    next.waits.push(Wait::NoInterface { node: name.clone() });
                }
                None if self.is_ready(name) && due.is_none() => {
                    let Some(mut member) = member(name, kind(*seat), view, next) else { continue };
                    if let Some(is) = self.other_count(&member, cluster) {
                        next.waits.push(Wait::OtherCount { node: name.clone(), wanted: member.ips, is });
                        continue;
                    }
                    member.interfaces.truncate(moves.len());
                    due = Some(Change::AddStandby { member });
                }
                None => {}
            }
        }
        due
    }

    /// At how many addresses the members that are well are found, where none is found at as many as a new one. One that came
    /// by an older configuration keeps those that it was taken in with.
    fn other_count(&self, new: &Member, cluster: &Cluster) -> Option<usize> {
        let counts = || cluster.members.iter().filter(|member| member.is_well()).map(|member| member.ips.len());
        let is_known = |count: &usize| *count > 0;
        if counts().any(|count| count == new.ips.len()) { None } else { counts().find(is_known) }
    }

    /// A member that stands by and has a seat that votes takes the place of a lost one.
    fn substitute(&self, lost: &MemberSeen, cluster: &Cluster) -> Option<Change> {
        let kind = lost.place.kind();
        let by = self.standing_by(cluster, kind).into_iter().next()?;
        Some(Change::Replace { lost: lost.name.clone(), by, kind })
    }

    /// Members of a kind that stand by and shall vote.
    fn standing_by(&self, cluster: &Cluster, wanted: Kind) -> Vec<String> {
        let seats = self.wish.seats.iter().filter(|(_, seat)| votes(**seat) && kind(**seat) == wanted);
        let members = seats.filter_map(|(name, _)| self.member_of(name, cluster));
        members.filter(|member| !member.place.votes() && member.is_well()).map(|member| member.name.clone()).collect()
    }

    fn switch(&self, cluster: &Cluster, next: &mut Next) -> Option<Change> {
        let wanted = self.wish.members;
        let Some(is) = cluster.mode else {
            next.waits.push(Wait::UnknownMode);
            return None;
        };
        if is >= wanted {
            if is > wanted {
                next.waits.push(Wait::Larger { is, wanted });
            }
            return None;
        }
        let (mut managers, mut tie_breakers) =
            (self.standing_by(cluster, Kind::Manager), self.standing_by(cluster, Kind::TieBreaker));
        let lacks = (wanted.managers() - is.managers(), wanted.tie_breakers() - is.tie_breakers());
        if managers.len() < lacks.0 || tie_breakers.len() < lacks.1 {
            next.waits.push(Wait::TooFew { wanted, managers: managers.len(), tie_breakers: tie_breakers.len() });
            return None;
        }
        if !cluster.is_normal() {
            next.waits.push(Wait::NotNormal { state: cluster.state.clone() });
            return None;
        }
        managers.truncate(lacks.0);
        tie_breakers.truncate(lacks.1);
        Some(Change::SwitchMode { mode: wanted, managers, tie_breakers })
    }
}

/// The member that a node becomes. None: it is told why it cannot.
fn member(name: &NodeName, kind: Kind, view: &NodeView, next: &mut Next) -> Option<Member> {
    let at = match &view.at {
        Ok(at) => at.clone(),
        Err(because) => {
            next.waits.push(Wait::NoAddress { node: name.clone(), because: because.clone() });
            return None;
        }
    };
    let (management_ips, interfaces) = match kind {
        Kind::Manager => (at.management_ips, view.interfaces.clone()),
        Kind::TieBreaker => (Vec::new(), Vec::new()),
    };
    Some(Member { name: name::in_system(name), kind, ips: at.ips, management_ips, interfaces })
}

/// What of a member's addresses is not as it was asked for. A cluster does not take others of who is in it already.
fn otherwise(node: &NodeName, kind: Kind, is: &MemberSeen, view: &NodeView) -> Option<Wait> {
    let at = view.at.as_ref().ok().filter(|at| at.by_networks)?;
    let differ =
        |is: &[IpAddr], wanted: &[IpAddr]| is.iter().collect::<BTreeSet<_>>() != wanted.iter().collect::<BTreeSet<_>>();
    let is_managed = kind == Kind::Manager && !is.management_ips.is_empty() && !at.management_ips.is_empty();
    let (is, wanted) = if differ(&is.ips, &at.ips) {
        (is.ips.clone(), at.ips.clone())
    } else if is_managed && differ(&is.management_ips, &at.management_ips) {
        (is.management_ips.clone(), at.management_ips.clone())
    } else {
        return None;
    };
    Some(Wait::OtherAddresses { node: node.clone(), is, wanted })
}

fn names(cluster: &Cluster) -> Vec<String> {
    cluster.members.iter().map(|member| member.name.clone()).collect()
}

#[cfg(test)]
mod tests;
