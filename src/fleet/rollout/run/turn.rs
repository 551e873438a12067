//! What is known of each node of a system in one turn, and what follows?
//!
//! Gathers what [`decide`] reads, and keeps of its answer what people see.

use std::collections::{BTreeMap, BTreeSet};

use super::super::decide::{Act, View, decide};
use super::super::record::Record;
use super::super::steps::{self, Goal, Wanted};
use super::super::view;
use super::{Part, Rollout};
use crate::config::Mode;
use crate::enrol::crew::{Member, Members};
use crate::fleet::desired::{Desired, Host, Refusal, desired};
use crate::fleet::diff::{Addition, Difference, Drift, Unseen, difference};
use crate::fleet::preview;
use crate::model::framework::FrameworkStatus;
use crate::model::id::{NodeName, RunId, SystemId};
use crate::model::node::Role;
use crate::model::rollout::{NodeRollout, Preview, Why};
use crate::model::snapshot::Snapshot;
use crate::model::unit::Timestamp;

/// What a turn made of one system.
#[derive(Default)]
pub(super) struct Turned {
    pub(super) decided: Vec<(Record, Option<Act>)>,
    pub(super) nodes: BTreeMap<NodeName, NodeRollout>,
    pub(super) preview: Preview,
    pub(super) adds: BTreeSet<NodeName>,
    pub(super) wished: Desired,
}

fn unseen(because: &str) -> Why {
    Why::Unseen { because: because.into() }
}

fn left_out(refusal: &Refusal) -> Why {
    Why::LeftOut { because: refusal.to_string().into() }
}

/// Disks come when the server is there: they would be refused before.
fn due<'a>(node: &NodeName, additions: Vec<&'a Addition>) -> Vec<&'a Addition> {
    let lacks_server =
        additions.iter().any(|addition| matches!(addition, Addition::Server { node: of, .. } if of == node));
    let is_due = |addition: &&Addition| !lacks_server || !matches!(addition, Addition::Device { .. });
    additions.into_iter().filter(is_due).collect()
}

fn drift_of(drift: &Drift) -> Option<&NodeName> {
    match drift {
        Drift::Domain { node, .. }
        | Drift::FaultSet { node, .. }
        | Drift::Pool { node, .. }
        | Drift::Device { node, .. }
        | Drift::Addresses { node, .. }
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
        now: Timestamp,
    ) -> Turned {
        let Some(part) = self.settings.parts.get(system) else { return Turned::default() };
        let records: Vec<&Record> = self.records.values().filter(|record| record.system == *system).collect();
        let hosts: Vec<Host> =
            records.iter().map(|record| view::host(record, &self.settings.systems, snapshot)).collect();
        let wished = desired(&part.rollout, &hosts);
        let difference = snapshot.map(|snapshot| difference(&wished, snapshot));
        let mut turned = Turned {
            preview: preview::told(&part.rollout, &hosts, &wished, difference.as_ref(), framework),
            ..Turned::default()
        };
        turned.preview.approved = self.approval(system);
        for record in records {
            let view = self.view(record, part, members, framework, snapshot, &wished, difference.as_ref(), now);
            let decision = decide(record, &view);
            if let Some(settled) = &decision.settled {
                (self.settings.on_settled)(settled);
            }
            let is_server = wished.servers.contains_key(&record.node);
            let shown = shown(&decision.record, is_server, decision.why);
            let progress = shown.why.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            let phase = shown.phase.as_str();
            let told = if progress.is_empty() { phase.to_owned() } else { format!("{phase}: {progress}") };
            turned.preview.progress.insert(record.node.clone(), told);
            let own = snapshot.map(|snapshot| view::own_devices(&record.source, snapshot)).unwrap_or_default();
            let alone: Vec<String> = shown
                .disks
                .iter()
                .filter(|disk| !disk.is_free() && !own.contains_key(disk.path.as_str()))
                .map(|disk| format!("{}: {}", disk.path, disk.not_free.join("; ")))
                .collect();
            if !alone.is_empty() {
                turned.preview.left_alone.insert(record.node.clone(), alone);
            }
            turned.nodes.insert(record.node.clone(), shown);
            match decision.act {
                Some(Act::Add) => {
                    turned.adds.insert(record.node.clone());
                    turned.decided.push((decision.record, None));
                }
                act => turned.decided.push((decision.record, act)),
            }
        }
        turned.wished = wished;
        turned
    }

    #[allow(clippy::too_many_arguments, reason = "it only gathers what the decision reads")]
    fn view<'a>(
        &self,
        record: &Record,
        part: &Part,
        members: &'a Members,
        framework: Option<&FrameworkStatus>,
        snapshot: Option<&Snapshot>,
        wished: &Desired,
        difference: Option<&'a Result<Difference, Unseen>>,
        now: Timestamp,
    ) -> View<'a> {
        let node = &record.node;
        let system = &record.system;
        let member = members.get(node).map(|member| &**member);
        let server = wished.servers.get(node);
        let mut left_out: Vec<Why> = wished.refused.get(node).into_iter().flatten().map(left_out).collect();
        if !record.source.attributes.contains_key("scaleio-system") && self.settings.parts.len() > 1 {
            let because = "names no system, and several are rolled out; set its attribute scaleio-system";
            left_out.push(Why::LeftOut { because: because.into() });
        }
        let mut notes: Vec<Why> = Vec::new();
        if let Some(idle) = wished.idle.get(node).filter(|_| record.judged.is_some()) {
            notes.push(Why::GivesNothing { because: idle.to_string().into() });
        }
        let additions = match (difference, server) {
            (None, _) => Err(unseen("the system has not answered yet; nothing is added until it does")),
            (Some(Err(error)), _) => Err(unseen(&error.to_string())),
            (Some(Ok(difference)), server) => {
                let of = |drift: &&Drift| drift_of(drift) == Some(node);
                notes.extend(
                    difference.drift.iter().filter(of).map(|drift| Why::Drift { what: drift.to_string().into() }),
                );
                let lacks = server
                    .map(|server| due(node, view::of_node(node, server, &difference.additions)))
                    .unwrap_or_default();
                match self.run_of(system).filter(|_| !lacks.is_empty()) {
                    // The MDM takes nothing new while a server of the domain is in maintenance.
                    Some(run) => Err(Why::WaitsFor { what: format!("run {run} to end; then it is added").into() }),
                    None => Ok(lacks),
                }
            }
        };
        let not_shown = match snapshot {
            Some(snapshot) => view::not_shown(record, server, snapshot),
            None => vec![unseen("the system has not answered yet")],
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
            is_adding: self.adding.get(system).is_some_and(|nodes| nodes.contains(node)),
            left_out,
            notes,
            steps: self.steps(part, member, snapshot, server.is_some()),
            additions,
            can_add: match part.gateway {
                Some(_) => Ok(()),
                None => Err(Why::NoLogin { system: system.clone() }),
            },
            not_shown,
        }
    }

    fn steps(
        &self,
        part: &Part,
        member: Option<&Member>,
        snapshot: Option<&Snapshot>,
        serves: bool,
    ) -> Result<Vec<steps::Step>, Vec<Why>> {
        let Some(snapshot) = snapshot else { return Err(vec![unseen("the system has not answered yet")]) };
        let Some(array) = &snapshot.array else {
            return Err(vec![unseen("the gateway does not tell of the system itself")]);
        };
        let managers = array.mdm.as_ref().map(steps::managers).unwrap_or_default();
        let host = member.and_then(|member| member.host.as_ref());
        let Some(host) = host else {
            return Err(vec![unseen("its agent does not tell which operating system it has")]);
        };
        let version = array.version.as_str();
        let wanted = Wanted { os: &host.os, mdm: version, pinned: part.rollout.release.as_deref() };
        let goal =
            Goal { serves, wanted, installed: &host.installed, generation: snapshot.generation, managers: &managers };
        steps::steps(&goal, &*self.settings.choose)
    }

    /// The run that has a node in work.
    fn in_run(&self, node: &NodeName) -> Option<RunId> {
        self.watched.works.values().find_map(|work| work.borrow().in_work(node).cloned())
    }

    /// The run that works on a system.
    fn run_of(&self, system: &SystemId) -> Option<RunId> {
        self.watched.works.get(system)?.borrow().run.as_ref().map(|run| run.id.clone())
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

fn shown(record: &Record, is_server: bool, why: Vec<Why>) -> NodeRollout {
    let server = is_server.then_some(Role::Sds);
    NodeRollout {
        system: record.system.clone(),
        node: record.node.clone(),
        agent: record.source.agent.clone(),
        roles: server.into_iter().chain([Role::Sdc]).collect(),
        phase: record.phase.clone(),
        since: record.changed_at,
        why,
        disks: record.judged.as_ref().map(|judged| judged.disks.clone()).unwrap_or_default(),
    }
}
