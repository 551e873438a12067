//! What is next for the MDM cluster that a system shall have, and why is it no
//! further? Pure.
//!
//! ```text
//! nodes are heard -> seats are chosen and written down -> prerequisites -> the planner's orders, one at a time
//!     -> the gateway, where a node shall carry it: installed, then told of the managers
//! ```
//!
//! [`bootstrap`] plans; here is what is remembered
//! between its turns, and how its steps become orders.

mod peer;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::decide::failure;
use super::record::Failures;
use super::{licence, lost};
use crate::config::rollout::{WantedGateway, WantedMdm};
use crate::enrol::crew::Member;
use crate::fleet::bootstrap::{self, Known, NodeView, Step, What, Wish};
use crate::fleet::networks::OfMember;
use crate::fleet::roles::{Candidate, Choice, Seat, choose};
use crate::model::id::{NodeName, RunId, SystemId};
use crate::model::mdm::{Change, FOUND, Kind, MdmWord};
use crate::model::node::FORM;
use crate::model::order::{Artefact, Component, Finished, Install, OrderId, Outcome, Task};
use crate::model::rollout::{Approved, Why};
use crate::model::unit::Timestamp;
use crate::model::version::Generation;
pub use peer::Peer;

/// What is as wished is looked at again after this, and what is not sooner.
const LOOK_AGAIN: Duration = Duration::from_secs(5 * 60);
const LOOK_SOON: Duration = Duration::from_secs(20);

/// All that is written down of the MDM cluster of a system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRecord {
    /// Which form of this record it is.
    pub form: u16,
    /// The system.
    pub system: SystemId,
    /// The release of its packages, chosen with the seats.
    pub release: Box<str>,
    /// Its generation.
    pub generation: Generation,
    /// Who sits where; written down before the first order.
    pub seats: BTreeMap<NodeName, Seat>,
    /// When it was as wished first. Until then no node joins it.
    #[serde(default)]
    pub formed_at: Option<Timestamp>,
    /// Nodes that a person has given up, until the cluster knows them no more.
    #[serde(default)]
    pub given_up: BTreeMap<NodeName, Approved>,
    /// What the planner must not forget.
    #[serde(default)]
    pub known: Known,
    /// Nodes that have what the package of a component needs.
    #[serde(default)]
    pub prepared: BTreeSet<(NodeName, Component)>,
    /// What the MDM of each node was installed as.
    #[serde(default)]
    pub installed: BTreeMap<NodeName, Kind>,
    /// Where clients find whoever leads, as the cluster told of it last.
    #[serde(default)]
    pub managers: Vec<IpAddr>,
    /// Where gateways find whoever leads, where they come by another network than clients.
    #[serde(default)]
    pub managed_at: Vec<IpAddr>,
    /// The managers that the gateway was told; none: it was told nothing.
    #[serde(default)]
    pub gateway_knows: Vec<IpAddr>,
    /// Words of the MDMs from before this are not believed.
    pub changed_at: Timestamp,
    /// Orders that are not settled, by node.
    #[serde(default)]
    pub open: BTreeMap<NodeName, Errand>,
    /// What failed since something went well, by node.
    #[serde(default)]
    pub failures: BTreeMap<NodeName, Failures>,
    /// What was said of the cluster by way of each node. After a restart it is asked anew.
    #[serde(skip)]
    pub words: BTreeMap<NodeName, (Timestamp, MdmWord)>,
}

impl ClusterRecord {
    /// A cluster of which the seats were just chosen, and nothing is done yet.
    pub(super) fn chosen(
        system: SystemId,
        release: Box<str>,
        generation: Generation,
        seats: BTreeMap<NodeName, Seat>,
        now: Timestamp,
    ) -> Self {
        Self {
            form: FORM,
            system,
            release,
            generation,
            seats,
            formed_at: None,
            given_up: BTreeMap::new(),
            known: Known::default(),
            prepared: BTreeSet::new(),
            installed: BTreeMap::new(),
            managers: Vec::new(),
            managed_at: Vec::new(),
            gateway_knows: Vec::new(),
            changed_at: now,
            open: BTreeMap::new(),
            failures: BTreeMap::new(),
            words: BTreeMap::new(),
        }
    }
}

/// An order that is not settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errand {
    /// Which.
    pub id: OrderId,
    /// What for.
    pub task: Task,
    /// Since when.
    pub at: Timestamp,
}

/// The newest release of MDMs for an operating system, or the one that is asked for, if there is a package.
pub type Newest = dyn Fn(&str, Option<&str>) -> Result<(Box<str>, Generation), String> + Send + Sync;

/// Chooses packages. The errors say why there is none.
pub struct Packages<'a> {
    /// The release of a new cluster.
    pub newest: &'a Newest,
    /// The package of a component of exactly a release.
    pub exactly: &'a dyn Fn(&str, &str, Component) -> Result<Artefact, String>,
}

/// What is known when it is decided.
pub struct ClusterView<'a> {
    /// The moment.
    pub now: Timestamp,
    /// From 0 to 1, for pauses.
    pub random: f64,
    /// The system.
    pub system: &'a SystemId,
    /// What shall be.
    pub wanted: &'a WantedMdm,
    /// The gateway that shall be installed.
    pub gateway: Option<&'a WantedGateway>,
    /// Whether gateways find managers in a network of their own.
    pub is_managed_apart: bool,
    /// The release that the configuration asks for.
    pub pinned: Option<&'a str>,
    /// Whether nodes may be changed.
    pub may_change: Result<(), Why>,
    /// The run that works on the system.
    pub run: Option<RunId>,
    /// Since when this controller hears agents.
    pub listening_since: Timestamp,
    /// Whether the administrator's password is known.
    pub has_password: bool,
    /// Whether the system tells of an MDM cluster; none: it was not asked yet.
    pub exists: Option<bool>,
    /// What the system says of its licence since its cluster is as it is.
    pub licence: licence::Told,
    /// Who may have a seat, beside those that have one.
    pub candidates: &'a [Candidate],
    /// The nodes of the system.
    pub peers: BTreeMap<NodeName, Peer<'a>>,
    /// Packages.
    pub packages: Packages<'a>,
}

/// What was decided.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterDecision {
    /// To be durable before anything is done; none: there is nothing to be remembered.
    pub record: Option<ClusterRecord>,
    /// Orders for nodes, which the record names as open.
    pub orders: Vec<(NodeName, Errand)>,
    /// Orders of silent agents, to be taken back.
    pub take_back: Vec<(NodeName, OrderId)>,
    /// Who sits where, and what is not as it should be; none: the cluster is there by another hand.
    pub choice: Option<Choice>,
    /// Where members are found, of those for whom somebody said by which networks.
    pub found_at: BTreeMap<NodeName, OfMember>,
    /// Why it is no further; empty: it is as wished.
    pub waits: Vec<String>,
    /// What is to be known of it and keeps nothing.
    pub notes: Vec<String>,
    /// Steps that ended: which, whether it is so, and how long it took.
    pub settled: Vec<(&'static str, bool, Duration)>,
}

impl ClusterDecision {
    /// Leaves everything as it was, to be decided anew: the work on the system does not know of it yet.
    pub fn postpone(&mut self, before: Option<&ClusterRecord>) {
        self.record = before.cloned();
        self.orders.clear();
        self.take_back.clear();
        self.settled.clear();
        self.waits.push("the work on the system to take in that its cluster changes".to_owned());
    }
}

/// Decides.
pub fn decide(before: Option<&ClusterRecord>, view: &ClusterView<'_>) -> ClusterDecision {
    let mut decision = ClusterDecision::default();
    match before {
        None => begin(view, &mut decision),
        Some(before) => after(before, view, &mut decision),
    }
    let seats = decision.choice.iter().flat_map(|choice| &choice.seats);
    let at = |(node, seat): (&NodeName, &Seat)| {
        let at = view.peers.get(node)?.at(Some(seat)).ok().filter(|at| at.by_networks)?;
        Some((node.clone(), at))
    };
    decision.found_at = seats.filter_map(at).collect();
    decision
}

/// Seats were chosen and written down before.
fn after(before: &ClusterRecord, view: &ClusterView<'_>, decision: &mut ClusterDecision) {
    let mut record = before.clone();
    settle(&mut record, view, decision);
    lost::settle(&mut record, view.now);
    // Who was given up has no seat any more, and gets none while the cluster still knows it.
    let others = view.candidates.iter().filter(|one| !record.given_up.contains_key(&one.name));
    let others: Vec<Candidate> = others.cloned().collect();
    let choice = choose(view.wanted, &record.seats, &with_seats(view, &others, &record.seats));
    // Once there is a cluster, seats that are free are filled as soon as somebody can sit there.
    record.seats.clone_from(&choice.seats);
    decision.choice = Some(choice);
    match &view.may_change {
        Ok(()) => go_on(&mut record, view, decision),
        Err(why) => decision.waits.push(why.to_string()),
    }
    decision.record = Some(record);
}

/// By what the host of a node is known.
pub(super) fn machine(node: &NodeName, address: Option<Box<str>>, member: Option<&Member>) -> BTreeSet<Box<str>> {
    // The kernel's id of a boot is one host's alone, however many addresses and agents it has.
    let boot_id = member.and_then(|member| member.facts.as_ref()).map(|facts| &facts.boot_id);
    let boot_id = boot_id.filter(|boot_id| !boot_id.is_empty()).map(|boot_id| format!("boot {boot_id}").into());
    address.or_else(|| Some(node.as_str().into())).into_iter().chain(boot_id).collect()
}

/// The candidates, with those that have a seat already though nothing is known of their host.
pub(super) fn with_seats(
    view: &ClusterView<'_>,
    candidates: &[Candidate],
    held: &BTreeMap<NodeName, Seat>,
) -> Vec<Candidate> {
    let mut all = candidates.to_vec();
    for node in held.keys().filter(|node| candidates.iter().all(|one| one.name != **node)) {
        let peer = view.peers.get(node);
        let mut machine = machine(node, None, peer.and_then(|peer| peer.member));
        machine.extend(peer.iter().flat_map(|peer| &peer.known_at).map(|ip| ip.to_string().into()));
        all.push(Candidate {
            name: node.clone(),
            machine,
            rack: None,
            persona: None,
            cores: 0,
            memory: crate::model::unit::Bytes::new(0),
            carries: BTreeSet::new(),
            no_member: None,
            no_manager: None,
            takes_packages: true,
        });
    }
    all
}

/// Nothing was written down yet: seats are chosen once all of them can be taken.
fn begin(view: &ClusterView<'_>, decision: &mut ClusterDecision) {
    match view.exists {
        Some(true) => return,
        Some(false) => {}
        None => decision.waits.push("the gateway was not asked yet whether there is one".to_owned()),
    }
    let choice = choose(view.wanted, &BTreeMap::new(), view.candidates);
    if let Err(why) = &view.may_change {
        decision.waits.push(why.to_string());
    }
    if !view.has_password {
        let system = view.system;
        decision.waits.push(format!(
            "the administrator of the MDM cluster has no password; write systems.{system}.lifecycle with the user admin"
        ));
    }
    for missing in &choice.missing {
        decision.waits.push(missing.to_string());
    }
    if decision.waits.is_empty() {
        let first = choice.seats.keys().filter_map(|node| view.peers.get(node)?.os()).next();
        let release = first.ok_or_else(|| "no agent tells which operating system its host has".to_owned());
        match release.and_then(|os| (view.packages.newest)(os, view.pinned)) {
            Ok((release, generation)) => {
                let record =
                    ClusterRecord::chosen(view.system.clone(), release, generation, choice.seats.clone(), view.now);
                decision.record = Some(record);
                // The orders come with the next turn, when the seats are written down.
                decision.waits.push("the seats were just chosen".to_owned());
            }
            Err(why) => decision.waits.push(why),
        }
    }
    decision.choice = Some(choice);
}

/// Takes in what came of open orders.
fn settle(record: &mut ClusterRecord, view: &ClusterView<'_>, decision: &mut ClusterDecision) {
    for (node, errand) in std::mem::take(&mut record.open) {
        let peer = view.peers.get(&node);
        let member = peer.and_then(|peer| peer.member);
        if let Some(finished) = member.and_then(|member| member.outcome(&errand.id)) {
            let took = (view.now - errand.at).to_std().unwrap_or_default();
            decision.settled.push((errand.task.name(), finished.outcome.is_good(), took));
            if finished.outcome.is_good() {
                record.failures.remove(&node);
                done(record, &node, &errand, finished, view.now);
            } else {
                let because = match &finished.outcome {
                    Outcome::Failed { why } | Outcome::Refused { why } => why.as_str(),
                    Outcome::Done | Outcome::AlreadySo | Outcome::Unknown => {
                        "its agent said what this release does not know"
                    }
                };
                let step = errand.task.name();
                let failures = failure(record.failures.get(&node), step, because, view.now, view.random);
                record.failures.insert(node, failures);
                // What it left is asked for anew.
                record.changed_at = view.now;
            }
            continue;
        }
        let works = member.is_some_and(|member| member.working_on.as_ref() == Some(&errand.id));
        let is_laid = works
            || member.is_some_and(|member| member.order.as_ref().is_some_and(|order| order.id == errand.id))
            || peer.is_some_and(|peer| peer.is_laying);
        if is_laid && !works && peer.is_some_and(|peer| !peer.is_laying && !peer.is_heard(view.now)) {
            decision.take_back.push((node, errand.id));
        } else if is_laid {
            record.open.insert(node, errand);
        }
    }
}

fn done(record: &mut ClusterRecord, node: &NodeName, errand: &Errand, finished: &Finished, now: Timestamp) {
    match &errand.task {
        Task::Prerequisites { components, .. } => {
            record.prepared.extend(components.iter().map(|component| (node.clone(), *component)));
        }
        Task::Install(install) => {
            let kind = match install.component {
                Component::Mdm => Some(Kind::Manager),
                Component::Tb => Some(Kind::TieBreaker),
                Component::Sds | Component::Sdc | Component::Lia | Component::Gateway => None,
            };
            record.installed.extend(kind.map(|kind| (node.clone(), kind)));
        }
        Task::ConnectGateway { mdms, .. } => record.gateway_knows.clone_from(mdms),
        Task::Mdm(task) => {
            if !matches!(task.change, Change::Look) && finished.outcome == Outcome::Done {
                record.changed_at = now;
            }
            record.known.has_password |= matches!(task.change, Change::Password);
            if let Change::Licence { sha256 } = &task.change {
                record.known.licence = Some(sha256.as_str().into());
            }
            // What cannot be read is asked again.
            if let Some(word) = finished.found.get(FOUND).and_then(|text| serde_json::from_str(text).ok()) {
                if let MdmWord::Cluster(cluster) = &word {
                    record.known.is_made = true;
                    let mut managers = cluster.found_at();
                    managers.sort_unstable();
                    record.managers = managers;
                    record.managed_at = cluster.managed_at();
                    record.managed_at.sort_unstable();
                }
                record.words.insert(node.clone(), (now, word));
            }
        }
        _ => {}
    }
}

/// The planner's orders that may be given now.
fn go_on(record: &mut ClusterRecord, view: &ClusterView<'_>, decision: &mut ClusterDecision) {
    let told = if record.formed_at.is_some() { view.licence } else { licence::Told::Nothing };
    let licence = licence::due(view.wanted.licence.as_ref(), record.known.licence.as_deref(), told);
    decision.notes.extend(licence.note);
    let wish = Wish {
        generation: record.generation,
        members: view.wanted.members,
        seats: record.seats.clone(),
        lost: record.given_up.keys().cloned().collect(),
        name: view.wanted.name.as_deref().map(str::to_owned),
        licence: licence.set,
        virtual_ips: view.wanted.virtual_ips.as_ref().map(|moving| moving.ips.clone()).unwrap_or_default(),
    };
    let interfaces = |node: &NodeName| view.wanted.virtual_ips.as_ref().map(|moving| moving.on(node).to_vec());
    let nodes: BTreeMap<NodeName, NodeView> = view
        .peers
        .iter()
        .map(|(node, peer)| {
            let view = NodeView {
                at: peer.at(record.seats.get(node)),
                known_at: peer.known_at.clone(),
                interfaces: interfaces(node).unwrap_or_default(),
                is_heard: peer.is_heard(view.now) && !record.given_up.contains_key(node),
                is_busy: peer.is_busy() || record.open.contains_key(node),
                installed: record.installed.get(node).copied().filter(|_| peer.has("mdm")),
                word: record.words.get(node).cloned(),
            };
            (node.clone(), view)
        })
        .collect();
    let fresh = |span: Duration| record.changed_at.max(view.now - span);
    let mut next = bootstrap::next(&wish, &record.known, &nodes, fresh(LOOK_AGAIN));
    if !next.waits.is_empty() && next.steps.is_empty() {
        // What is not as it should be may have mended itself.
        next = bootstrap::next(&wish, &record.known, &nodes, fresh(LOOK_SOON));
    }
    if next.is_done() {
        record.formed_at.get_or_insert(view.now);
    }
    decision.waits.extend(next.waits.iter().map(ToString::to_string));
    decision.notes.extend(next.notes.iter().map(ToString::to_string));
    decision.waits.extend(record.given_up.iter().map(|(node, given)| {
        format!("{node} was given up by {}; another node takes its place in the MDM cluster", given.by)
    }));
    for step in &next.steps {
        match task(record, view, step) {
            Ok(task) => order(record, view, &step.node, task, decision),
            Err(why) => decision.waits.push(format!("{}: {why}", step.node)),
        }
    }
    if let Some(wanted) = view.gateway.filter(|_| next.is_done()) {
        gateway(record, view, wanted, decision);
    }
}

/// The task of a step.
fn task(record: &ClusterRecord, view: &ClusterView<'_>, step: &Step) -> Result<Task, String> {
    let package = match &step.what {
        What::Install(component) if !record.prepared.contains(&(step.node.clone(), *component)) => {
            let components = vec![*component];
            return Ok(Task::Prerequisites { components, generation: record.generation });
        }
        What::Install(component) => Some(package(record, view, &step.node, *component)?),
        What::Cluster { .. } => None,
    };
    let WantedMdm { accept, password_in_sight, .. } = view.wanted;
    let task = bootstrap::task(&step.what, record.generation, package.as_ref(), accept, *password_in_sight);
    let task = task.ok_or_else(|| "no package".to_owned())?;
    if let Task::Mdm(mdm) = &task {
        let waiting = mdm.commands().into_iter().find_map(|command| Some((command, mdm.may(command).err()?)));
        if let Some((command, why)) = waiting {
            let system = view.system;
            return Err(format!("{why}: systems.{system}.rollout.mdm.accept = [\"{command}\"]"));
        }
        if !view.has_password && !matches!(mdm.change, Change::Look | Change::Create { .. }) {
            return Err("the password of the MDM's administrator is not known any more".to_owned());
        }
    }
    Ok(task)
}

fn package(
    record: &ClusterRecord,
    view: &ClusterView<'_>,
    node: &NodeName,
    component: Component,
) -> Result<Artefact, String> {
    let os = view.peers.get(node).and_then(Peer::os);
    let os = os.ok_or_else(|| "its agent does not tell which operating system it has".to_owned())?;
    (view.packages.exactly)(os, &record.release, component)
}

/// Lets a node have an order, unless what failed there waits still.
fn order(
    record: &mut ClusterRecord,
    view: &ClusterView<'_>,
    node: &NodeName,
    task: Task,
    decision: &mut ClusterDecision,
) {
    if let Some(failures) = record.failures.get(node)
        && failures.retry_at.is_none_or(|at| view.now < at)
    {
        let Failures { step, because, tries, .. } = failures;
        let mend = if failures.retry_at.is_none() {
            format!("; `sio rollout retry {node}` tries again")
        } else {
            String::new()
        };
        decision.waits.push(format!("{node}: {step} failed {tries} times: {because}{mend}"));
        return;
    }
    let is_look = matches!(&task, Task::Mdm(task) if matches!(task.change, Change::Look));
    if let Some(run) = view.run.as_ref().filter(|_| !is_look) {
        decision.waits.push(format!("run {run} to end; then {node} is in {}", task.name()));
        return;
    }
    let id = OrderId::new(format!("mdm.{}.{}", view.now.timestamp_millis(), task.name()));
    let errand = Errand { id, task, at: view.now };
    decision.waits.push(format!("{node} is in {}", errand.task.name()));
    record.open.insert(node.clone(), errand.clone());
    decision.orders.push((node.clone(), errand));
}

/// The gateway's package, then its managers.
fn gateway(record: &mut ClusterRecord, view: &ClusterView<'_>, wanted: &WantedGateway, decision: &mut ClusterDecision) {
    let node = &wanted.node;
    let Some(peer) = view.peers.get(node).filter(|peer| peer.is_heard(view.now)) else {
        decision.waits.push(format!("the agent of {node}, which shall carry the gateway, has not been heard"));
        return;
    };
    let is_there = peer.has("gateway");
    // Where there are addresses that move, the gateway finds the cluster by those.
    let moves = view.wanted.virtual_ips.is_some();
    let is_apart = view.is_managed_apart && !moves && !record.managed_at.is_empty();
    let managers = if is_apart { record.managed_at.clone() } else { record.managers.clone() };
    if (is_there && record.gateway_knows == managers) || managers.is_empty() {
        return;
    }
    if peer.is_busy() || record.open.contains_key(node) {
        decision.waits.push(format!("{node}, which shall carry the gateway, is at work"));
        return;
    }
    let components = vec![Component::Gateway];
    let task = if is_there {
        Ok(Task::ConnectGateway { mdms: managers, trusts_any: wanted.trusts_any })
    } else if view.has_password {
        package(record, view, node, Component::Gateway)
            .map(|artefact| Task::Install(Install { component: Component::Gateway, artefact, mdms: managers }))
    } else {
        Err("the password of the MDM's administrator is not known any more".to_owned())
    };
    match task {
        Ok(Task::Install(_)) if !record.prepared.contains(&(node.clone(), Component::Gateway)) => {
            order(record, view, node, Task::Prerequisites { components, generation: record.generation }, decision);
        }
        Ok(task) => order(record, view, node, task, decision),
        Err(why) => decision.waits.push(format!("{node}: {why}")),
    }
}

/// Whether an order needs the administrator's password.
pub const fn needs_password(task: &Task) -> bool {
    match task {
        Task::Mdm(task) => !matches!(task.change, Change::Create { .. }),
        Task::Install(install) => matches!(install.component, Component::Gateway),
        _ => false,
    }
}

#[cfg(test)]
pub(super) mod tests;
