//! What is known of each node of a system in one turn, and what follows?
//!
//! Gathers what [`decide`] reads, and keeps of its answer what people see.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::add::unfit;
use super::super::cluster::ClusterDecision;
use super::super::consume::{self, AtMaster};
use super::super::decide::{Act, View, decide};
use super::super::disks;
use super::super::record::{Flags, Record};
use super::super::spread::Spread;
use super::super::steps::{self, Goal, Lia, StepName, Wanted};
use super::super::view::{self, Missing};
use super::adding::Due;
use super::asked::{Peers, Way, asked};
use super::{Part, Rollout};
use crate::config::Mode;
use crate::config::lia::LiaNodes;
use crate::config::rollout::Networks;
use crate::enrol::crew::{Member, Members, addresses};
use crate::fleet::desired::{Desired, Host, Refusal, desired};
use crate::fleet::diff::{Addition, Difference, Drift, Unseen, between};
use crate::fleet::networks;
use crate::fleet::pools;
use crate::fleet::preview;
use crate::fleet::shown::Shown;
use crate::fleet::volumes::{self, Programs};
use crate::model::framework::FrameworkStatus;
use crate::model::id::{NodeName, RunId, SystemId};
use crate::model::node::Role;
use crate::model::order::Component;
use crate::model::rollout::{MdmPreview, NodeRollout, Preview, Why};
use crate::model::snapshot::{Part as SnapshotPart, Snapshot};
use crate::model::state::Connection;
use crate::model::unit::Timestamp;
use crate::model::workload::{RegisteredAgent, Workloads};

/// What a turn made of one system.
#[derive(Default)]
pub(super) struct Turned {
    pub(super) decided: Vec<(Record, Option<Act>)>,
    pub(super) nodes: BTreeMap<NodeName, NodeRollout>,
    pub(super) preview: Preview,
    pub(super) due: Due,
    /// Whether something waits until the MDM shows it.
    pub(super) is_waiting: bool,
}

/// What a turn has gathered of one system.
#[derive(Clone, Copy)]
struct Look<'a> {
    part: &'a Part,
    members: &'a Members,
    framework: Option<&'a FrameworkStatus>,
    shown: Option<&'a Shown<'a>>,
    others: Option<&'a Peers<'a>>,
    wished: &'a Desired,
    difference: Option<&'a Result<Difference, Unseen>>,
    missing: &'a Missing<'a>,
    now: Timestamp,
}

fn unseen(because: &str) -> Why {
    Why::Unseen { because: because.into() }
}

fn left_out(refusal: &Refusal) -> Why {
    Why::LeftOut { because: refusal.to_string().into() }
}

/// Which of several addresses is meant is seen at what is there; while that is not seen, nobody is to blame.
fn undecided(refusal: &Refusal, snapshot: Option<&Snapshot>) -> Option<Why> {
    let is_seen = snapshot.is_some_and(|snapshot| snapshot.sds.is_some() && snapshot.array.is_some());
    let Refusal::SeveralIn { network, .. } = refusal else { return None };
    let because = format!("the system has not told yet which address in network {network} is in use");
    (!is_seen).then(|| unseen(&because))
}

/// Disks come when the server is there: they would be refused before. Whom its addresses serve is changed once it has all
/// of them.
fn due<'a>(node: &NodeName, additions: Vec<&'a Addition>) -> Vec<&'a Addition> {
    let lacks_server =
        additions.iter().any(|addition| matches!(addition, Addition::Server { node: of, .. } if of == node));
    let lacks_address = additions.iter().any(|addition| matches!(addition, Addition::Address { .. }));
    let is_due = |addition: &&Addition| match addition {
        Addition::Device { .. } => !lacks_server,
        Addition::Role { .. } => !lacks_address,
        Addition::Domain { .. }
        | Addition::FaultSet { .. }
        | Addition::Pool { .. }
        | Addition::Server { .. }
        | Addition::Address { .. }
        | Addition::Setting { .. } => true,
    };
    additions.into_iter().filter(is_due).collect()
}

/// Takes out what may not be changed now of where the server of a node is found, and says what that waits for.
fn held_back(node: &NodeName, lacks: &mut Vec<&Addition>, is_heard: bool, spread: &Spread) -> Option<String> {
    let may = |addition: &Addition| match addition.is_about_addresses() {
        false => Ok(()),
        true if !is_heard => Err("its SDS to be connected; then its addresses are changed".to_owned()),
        true => spread.may(node, addition.is_narrower()),
    };
    let waits = lacks.iter().find_map(|addition| may(addition).err());
    lacks.retain(|addition| may(addition).is_ok());
    waits
}

fn drift_of(drift: &Drift) -> Option<&NodeName> {
    match drift {
        Drift::Domain { node, .. }
        | Drift::FaultSet { node, .. }
        | Drift::Pool { node, .. }
        | Drift::Device { node, .. }
        | Drift::Addresses { node, .. }
        | Drift::Address { node, .. }
        | Drift::Role { node, .. }
        | Drift::Twins { node, .. } => Some(node),
        Drift::FaultSetElsewhere { .. } => None,
    }
}

impl Rollout {
    pub(super) fn system(
        &self,
        system: &SystemId,
        members: &Members,
        framework: Option<&FrameworkStatus>,
        snapshot: Option<&Snapshot>,
        cluster: Option<&ClusterDecision>,
        now: Timestamp,
    ) -> Turned {
        let Some(part) = self.settings.parts.get(system) else { return Turned::default() };
        let records: Vec<&Record> = self.records.values().filter(|record| record.system == *system).collect();
        let shown = snapshot.map(Shown::of);
        let mut shared = addresses::shared(members.values().map(|member| &**member));
        shared.extend(moving(part, snapshot));
        let at = |record: &Record| {
            let member = members.get(&record.node).map(|member| &**member);
            addresses::own(record.source.address.as_deref(), member, &shared)
        };
        let found_at: BTreeMap<NodeName, BTreeSet<Box<str>>> =
            records.iter().map(|record| (record.node.clone(), at(record))).collect();
        let nowhere = BTreeSet::new();
        let at = |record: &Record| found_at.get(&record.node).unwrap_or(&nowhere);
        let hosts: Vec<Host> = records
            .iter()
            .map(|record| {
                view::host(record, &self.settings.systems, at(record), shown.as_ref(), part.rollout.device_names)
            })
            .collect();
        let networks_of: BTreeMap<&NodeName, Cow<'_, Networks>> =
            hosts.iter().map(|host| (&host.name, networks::of(&part.rollout, host))).collect();
        let wished = desired(&part.rollout, &hosts);
        let difference = shown.as_ref().map(|shown| between(&wished, shown));
        let missing = match &difference {
            Some(Ok(difference)) => Missing::of(&difference.additions),
            Some(Err(_)) | None => Missing::default(),
        };
        let mut spread = snapshot.map(|snapshot| {
            let additions = difference.iter().flatten().flat_map(|difference| &difference.additions);
            Spread::of(additions, snapshot, self.moved.get(system), self.moving_now(system), now)
        });
        let mut turned = Turned {
            preview: preview::told(&part.rollout, &hosts, &wished, difference.as_ref(), framework),
            ..Turned::default()
        };
        let mut additions = difference.iter().flatten().flat_map(|difference| &difference.additions);
        turned.due.is_spread = matches!(difference, Some(Ok(_))) && !additions.any(Addition::is_about_addresses);
        turned.due.unwell = spread.as_ref().map(Spread::unwell).unwrap_or_default();
        turned.preview.approved = self.approval(system);
        let settings = snapshot.map(|snapshot| pools::due(&part.rollout, snapshot)).unwrap_or_default();
        turned.preview.additions.extend(settings.iter().map(|wrong| wrong.addition.to_string()));
        turned.preview.drift.extend(self.refused(system, &settings, now));
        turned.preview.drift.extend(snapshot.into_iter().flat_map(|snapshot| pools::left(&part.rollout, snapshot)));
        turned.due.differing = settings.iter().map(|wrong| wrong.addition.clone()).collect();
        let may_set = turned.preview.approved.is_some() && part.gateway.is_some() && self.run_of(system).is_none();
        if may_set && snapshot.is_some_and(|snapshot| unfit(snapshot).is_none()) {
            turned.due.settings = self.settings_due(system, &settings, now);
        }
        let nameless = self.nameless.iter().filter(|(_, (of, _))| of == system);
        turned.preview.refused.extend(nameless.map(|(node, (_, because))| (node.clone(), vec![because.clone()])));
        turned.preview.mdm = part.rollout.mdm.as_ref().zip(cluster).and_then(|(wanted, cluster)| {
            let mut seats = preview::seats(cluster.choice.as_ref()?, wanted);
            for (node, at) in &cluster.found_at {
                seats.seats.entry(node.clone()).and_modify(|seat| *seat = format!("{seat} {at}"));
            }
            let warnings = seats.warnings.iter().chain(&cluster.notes).cloned().collect();
            Some(MdmPreview { waits: cluster.waits.clone(), warnings, ..seats })
        });
        for (step, is_good, took) in cluster.iter().flat_map(|cluster| &cluster.settled) {
            (self.settings.on_settled)(step, *is_good, *took);
        }
        let census = self.watched.census.as_ref().map(|(census, _)| Arc::clone(&census.borrow()));
        // Mesos is one cluster, whatever system a node works for.
        let mut flags: BTreeMap<NodeName, Flags> =
            self.records.values().filter_map(|record| Some((record.node.clone(), record.flags.clone()?))).collect();
        let programs = (self.settings.programs)();
        let mut first = self.restarting(system, members, now);
        let others = snapshot.map(Peers::of);
        let look = Look {
            part,
            members,
            framework,
            shown: shown.as_ref(),
            others: others.as_ref(),
            wished: &wished,
            difference: difference.as_ref(),
            missing: &missing,
            now,
        };
        for record in records {
            let networks = networks_of.get(&record.node).map_or(&part.rollout.networks, |networks| networks);
            let mut view = self.view(record, at(record), networks, spread.as_ref(), &look);
            let seen = census.as_ref().and_then(|census| at_mesos(record, census));
            let mesos = seen.and_then(|seen| seen.version.as_deref());
            view.volumes = volumes_of(record, part, &programs, snapshot, mesos, &flags);
            // Without an answer lately nothing is known.
            view.at_master = census.as_ref().and_then(|census| census.begun_at).map(|asked_at| AtMaster {
                asked_at,
                registered: seen.filter(|seen| seen.is_active).and_then(|seen| seen.registered_at),
            });
            if let Some(cluster) = cluster {
                view.held = held(&record.node, cluster);
                let array = snapshot.and_then(|snapshot| snapshot.array.as_ref());
                // What was told while it was being made lacks members.
                let is_whole = |array: &SnapshotPart<_>| match &cluster.record {
                    Some(record) => record.formed_at.is_some_and(|at| array.begun_at >= at),
                    None => true,
                };
                if !array.is_some_and(is_whole) {
                    view.steps = Err(vec![no_cluster(cluster)]);
                }
            }
            view.restart = self.restart_of(record, members, first.as_ref());
            let decision = decide(record, &view);
            let additions = view.additions.iter().flatten();
            let moves = decision.act == Some(Act::Add) && additions.into_iter().any(|one| one.is_about_addresses());
            if let Some(spread) = spread.as_mut().filter(|_| moves) {
                spread.goes(&record.node);
            }
            if decision.act == Some(Act::Restart) {
                first = Some(record.node.clone());
            }
            match &decision.record.flags {
                Some(now) => drop(flags.insert(record.node.clone(), now.clone())),
                None => drop(flags.remove(&record.node)),
            }
            if let Some(settled) = &decision.settled {
                (self.settings.on_settled)(settled.step.as_str(), settled.is_good, settled.took);
            }
            turned.is_waiting |= decision.record.is_joining(now);
            let is_server = wished.servers.contains_key(&record.node);
            let told_of = told_of(&decision.record, is_server, decision.why);
            let progress = told_of.why.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            let phase = told_of.phase.as_str();
            let told = if progress.is_empty() { phase.to_owned() } else { format!("{phase}: {progress}") };
            turned.preview.progress.insert(record.node.clone(), told);
            let judged = decision.record.judged.as_ref();
            let known = &decision.record.known;
            let ours = judged.map(|judged| disks::devices(judged, known, &view.own)).unwrap_or_default();
            let alone: Vec<String> = told_of
                .disks
                .iter()
                .filter(|disk| !disk.is_free() && !ours.contains(disk.path.as_str()))
                .map(|disk| format!("{}: {}", disk.path, disk.not_free.join("; ")))
                .collect();
            if !alone.is_empty() {
                turned.preview.left_alone.insert(record.node.clone(), alone);
            }
            turned.nodes.insert(record.node.clone(), told_of);
            match decision.act {
                Some(Act::Add) => {
                    turned.due.nodes.insert(record.node.clone());
                    if moves {
                        turned.due.moves.insert(record.node.clone());
                    }
                    turned.decided.push((decision.record, None));
                }
                act => turned.decided.push((decision.record, act)),
            }
        }
        turned.due.wished = wished;
        turned
    }

    fn view<'a>(
        &self,
        record: &Record,
        at: &BTreeSet<Box<str>>,
        networks: &Networks,
        spread: Option<&Spread>,
        look: &Look<'a>,
    ) -> View<'a> {
        let Look { part, members, framework, shown, others, wished, difference, missing, now } = *look;
        let snapshot = shown.map(|shown| shown.snapshot);
        let node = &record.node;
        let system = &record.system;
        let member = members.get(node).map(|member| &**member);
        let server = wished.servers.get(node);
        let refused = || wished.refused.get(node).into_iter().flatten();
        let undecided = refused().find_map(|refusal| undecided(refusal, snapshot));
        let mut left_out: Vec<Why> = match &undecided {
            Some(_) => Vec::new(),
            None => refused().map(left_out).collect(),
        };
        if let Some(twin) = &record.source.twin {
            let because = format!("has the name of {twin}; give each machine a name of its own");
            left_out.push(Why::LeftOut { because: because.into() });
        }
        if !record.source.attributes.contains_key("scaleio-system") && self.settings.parts.len() > 1 {
            let because = "names no system, and several are rolled out; set its attribute scaleio-system";
            left_out.push(Why::LeftOut { because: because.into() });
        }
        let mut notes: Vec<Why> = Vec::new();
        if let Some(idle) = wished.idle.get(node).filter(|_| record.judged.is_some()) {
            notes.push(Why::GivesNothing { because: idle.to_string().into() });
        }
        let additions = match (difference, server) {
            _ if undecided.is_some() => undecided.clone().map_or(Ok(Vec::new()), Err),
            (None, _) => Err(unseen("the system has not answered yet; nothing is added until it does")),
            (Some(Err(error)), _) => Err(unseen(&error.to_string())),
            (Some(Ok(difference)), server) => {
                let of = |drift: &&Drift| drift_of(drift) == Some(node);
                notes.extend(
                    difference.drift.iter().filter(of).map(|drift| Why::Drift { what: drift.to_string().into() }),
                );
                let mut lacks = server.map(|server| due(node, missing.of_node(node, server))).unwrap_or_default();
                let is_heard = shown.is_some_and(|shown| {
                    shown.servers_of(at).iter().all(|sds| sds.connection.is(Connection::Connected))
                });
                let waits = spread.and_then(|spread| held_back(node, &mut lacks, is_heard, spread));
                notes.extend(waits.map(|what| Why::WaitsFor { what: what.into() }));
                match self.run_of(system).filter(|_| !lacks.is_empty()) {
                    // The MDM takes nothing new while a server of the domain is in maintenance.
                    Some(run) => Err(Why::WaitsFor { what: format!("run {run} to end; then it is added").into() }),
                    None => Ok(lacks),
                }
            }
        };
        let not_shown = match shown {
            Some(shown) => view::not_shown(at, server, shown),
            None => vec![unseen("the system has not answered yet")],
        };
        let steps = match undecided {
            Some(why) => Err(vec![why]),
            None => self.steps(part, at, member, snapshot, server.is_some(), &mut notes),
        };
        View {
            now,
            random: rand::random(),
            may_look: if self.settings.mode == Mode::Observe { Err(Why::Observed) } else { Ok(()) },
            may_change: match self.approval(system) {
                Some(_) => Ok(()),
                None => Err(Why::NotApproved { system: system.clone() }),
            },
            start: view::start(record, framework),
            in_run: self.in_run(node),
            member,
            is_laying: self.laying.contains(node),
            own: shown.map(|shown| disks::own(at, shown)).unwrap_or_default(),
            held: None,
            asked: asked(record, at, part, Way { networks, others }, wished, shown, self.clusters.contains_key(system)),
            is_adding: self.is_adding(system, node),
            is_retired: self.is_retired(node),
            left_out,
            notes,
            steps,
            additions,
            can_add: match part.gateway {
                None => Err(Why::NoLogin { system: system.clone() }),
                Some(_) => match snapshot.and_then(unfit) {
                    Some(because) => Err(Why::NoCluster { because: because.into() }),
                    None => Ok(()),
                },
            },
            not_shown,
            volumes: None,
            at_master: None,
            restart: None,
        }
    }

    /// What a node's agent shall make so. What is to be known of it and does not hold it is noted.
    fn steps(
        &self,
        part: &Part,
        at: &BTreeSet<Box<str>>,
        member: Option<&Member>,
        snapshot: Option<&Snapshot>,
        serves: bool,
        notes: &mut Vec<Why>,
    ) -> Result<Vec<steps::Step>, Vec<Why>> {
        let Some(snapshot) = snapshot else { return Err(vec![unseen("the system has not answered yet")]) };
        let Some(array) = &snapshot.array else {
            return Err(vec![unseen("the gateway does not tell of the system itself")]);
        };
        let managers = array.mdm.as_ref().map(steps::managers).unwrap_or_default();
        let known = array.mdm.as_ref().map(|mdm| steps::known_as(&array.id, mdm));
        let host = member.and_then(|member| member.host.as_ref());
        let Some(host) = host else {
            return Err(vec![unseen("its agent does not tell which operating system it has")]);
        };
        let version = array.version.as_str();
        let wanted = Wanted { os: &host.os, mdm: version, pinned: part.rollout.release.as_deref() };
        let lia = wants_lia(at, part, snapshot).then(|| Lia { installation: array.install_id.as_deref() });
        if part.rollout.lia.is_some() {
            let note = |because: &str| Why::Doubtful { because: because.into() };
            notes.extend(steps::no_lia(snapshot.generation).map(note));
            if lia.is_none() && host.installed.contains_key(Component::Lia.as_str()) {
                notes
                    .push(Why::Drift { what: "LIA is installed, and the configuration does not want it there".into() });
            }
        }
        let goal = Goal {
            serves,
            wanted,
            installed: &host.installed,
            generation: snapshot.generation,
            managers: &managers,
            known: known.as_ref(),
            lia,
            accept: &part.rollout.accept,
        };
        let steps = steps::steps(&goal, &*self.settings.choose)?;
        if steps.iter().any(|step| step.name == StepName::InstallLia) {
            notes.extend(steps::lia_is_not_told(&goal).map(|because| Why::Doubtful { because: because.into() }));
        }
        Ok(steps)
    }

    /// The run that has a node in work.
    pub(super) fn in_run(&self, node: &NodeName) -> Option<RunId> {
        self.watched.lines.values().find_map(|line| line.shown.borrow().in_work(node).cloned())
    }

    /// Whether a node was taken out for good.
    fn is_retired(&self, node: &NodeName) -> bool {
        self.watched.lines.values().any(|line| line.shown.borrow().retired.contains(node))
    }

    /// The run that works on a system.
    pub(super) fn run_of(&self, system: &SystemId) -> Option<RunId> {
        self.watched.lines.get(system)?.shown.borrow().run.as_ref().map(|run| run.id.clone())
    }

    /// Who lets this system be changed.
    pub(super) fn approval(&self, system: &SystemId) -> Option<String> {
        match self.settings.mode {
            Mode::Observe => None,
            Mode::Act => Some("lifecycle.mode = \"act\"".to_owned()),
            Mode::Propose => self.approved.get(system).map(|given| format!("{}, {}", given.by, given.at.to_rfc3339())),
        }
    }
}

/// Addresses that move with the leadership of the MDM cluster: no host is known by them.
pub(super) fn moving(part: &Part, snapshot: Option<&Snapshot>) -> BTreeSet<Box<str>> {
    let wanted = part.rollout.mdm.as_ref().and_then(|mdm| mdm.virtual_ips.as_ref());
    let wanted = wanted.into_iter().flat_map(|moving| &moving.ips).map(|ip| ip.to_string().into());
    let cluster = snapshot.and_then(|snapshot| snapshot.array.as_ref()).and_then(|array| array.mdm.as_ref());
    wanted.chain(cluster.into_iter().flat_map(|mdm| mdm.virtual_ips.iter().cloned())).collect()
}

/// What a node shall have, so that tasks of its Mesos agent get volumes.
fn volumes_of(
    record: &Record,
    part: &Part,
    programs: &Programs,
    snapshot: Option<&Snapshot>,
    mesos: Option<&str>,
    flags: &BTreeMap<NodeName, Flags>,
) -> Option<Result<consume::Wanted, Why>> {
    part.system.volumes.as_ref()?;
    // No task asks for a volume where no Mesos agent is.
    record.source.agent.as_ref()?;
    let array = snapshot.and_then(|snapshot| Some((snapshot.generation, snapshot.array.as_ref()?)));
    let Some((generation, array)) = array else { return Some(Err(unseen("the system has not answered yet"))) };
    let id = array.id.to_string();
    let steps = volumes::steps(&part.system, programs, &id, generation, mesos)?;
    Some(steps.map(|steps| {
        let about = consume::about(&steps).unwrap_or_default();
        consume::Wanted { gate: consume::gate(&record.node, &about, flags), steps }
    }))
}

/// How the leading master has the agent of a node, which may have come back under another id.
fn at_mesos<'a>(record: &Record, census: &'a Workloads) -> Option<&'a RegisteredAgent> {
    let is_it = |seen: &&RegisteredAgent| *seen.hostname == *record.node.as_str();
    census.agents.get(record.source.agent.as_ref()?).or_else(|| census.agents.values().find(is_it))
}

/// What is done to a node for the MDM cluster.
fn held(node: &NodeName, cluster: &ClusterDecision) -> Option<Why> {
    let record = cluster.record.as_ref()?;
    let step = record.open.get(node)?.task.name();
    Some(Why::InStep { step: step.into() })
}

/// Why there is no system yet that a node could join.
fn no_cluster(cluster: &ClusterDecision) -> Why {
    let because = match &cluster.waits[..] {
        [] => "it is made, and its gateway does not answer yet".to_owned(),
        [one] => one.clone(),
        [one, more @ ..] => format!("{one} (and {} more, which `sio plan rollout` tells)", more.len()),
    };
    Why::NoCluster { because: because.into() }
}

/// Whether a node shall have LIA.
pub(super) fn wants_lia(at: &BTreeSet<Box<str>>, part: &Part, snapshot: &Snapshot) -> bool {
    let Some(wanted) = &part.rollout.lia else { return false };
    if steps::no_lia(snapshot.generation).is_some() {
        return false;
    }
    match wanted.nodes {
        LiaNodes::All => true,
        LiaNodes::Mdm => {
            let mdm = snapshot.array.as_ref().and_then(|array| array.mdm.as_ref());
            let mut members = mdm.into_iter().flat_map(|mdm| &mdm.members);
            members.any(|member| member.ips.iter().any(|ip| at.contains(ip)))
        }
    }
}

fn told_of(record: &Record, is_server: bool, why: Vec<Why>) -> NodeRollout {
    let server = is_server.then_some(Role::Sds);
    NodeRollout {
        system: record.system.clone(),
        node: record.node.clone(),
        agent: record.source.agent.clone(),
        roles: server.into_iter().chain([Role::Sdc]).collect(),
        phase: record.phase.clone(),
        since: record.changed_at,
        why,
        disks: record.judged.as_ref().map(|judged| Arc::clone(&judged.disks)).unwrap_or_default(),
        preflight: record.preflight.as_ref().map(|checked| Arc::clone(&checked.rows)).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
