//! Is the host ready for the step, and does Mesos know?

use std::collections::BTreeMap;

use super::super::clients::newer;
use super::super::facts::begun;
use super::super::record::Duty;
use super::super::skew::at_least;
use super::super::{mutant, observe};
use super::{Ask, Holds};
use crate::model::hold::Reason;
use crate::model::node::{AgentFacts, AgentState, Carries, NodeFacts};
use crate::model::state::Seen;
use crate::model::step::{Action, Component, StepKind};

impl Ask<'_> {
    pub(super) fn host(&self) -> Option<&NodeFacts> {
        self.facts.nodes.get(&self.task.node)
    }

    fn agent(&self) -> Option<&AgentFacts> {
        self.facts.agents.get(&self.task.node)
    }

    fn drains(&self) -> bool {
        self.task.steps.iter().any(|step| step.action == Action::Drain)
    }

    fn drained_by_us(&self) -> bool {
        let agent = self.task.agent.clone();
        agent.is_some_and(|agent| self.book.obligation(&Duty::Deactivated { agent }).is_some())
    }
}

const fn word(state: &AgentState) -> &'static str {
    match state {
        AgentState::Active => "active",
        AgentState::Deactivated => "deactivated",
        AgentState::Draining { .. } => "draining",
        AgentState::Drained => "drained",
        AgentState::Unreachable => "unreachable",
        AgentState::Gone => "gone",
    }
}

/// Its agent was heard lately.
pub(super) fn is_heard(ask: &Ask<'_>, holds: &mut Holds) {
    holds.seen(ask.host().map(|host| host.seen_at));
    match ask.host() {
        None => holds.push(Reason::NodeUnseen { node: ask.task.node.clone() }),
        Some(host) if ask.facts.now - host.seen_at > ask.policy.fresh_middle => {
            holds.push(Reason::NodeStale { node: ask.task.node.clone(), seen_at: host.seen_at });
        }
        Some(_) => {}
    }
}

/// All that can be known of the host before its task begins.
pub(super) fn may_begin(ask: &Ask<'_>, holds: &mut Holds) {
    is_heard(ask, holds);
    if let Some(phase) = ask.host().and_then(|host| host.unready.clone()) {
        holds.push(Reason::NotReady { node: ask.task.node.clone(), phase });
    }
    let carried = ask.host().map(|host| host.carries.clone()).unwrap_or_default();
    let carries = |what| carried.contains(&what) || ask.task.carries.contains(&what);
    let disturbs = ask.disturbs();
    if disturbs && carries(Carries::Controller) {
        holds.push(Reason::HostsController { node: ask.task.node.clone() });
    }
    for what in [Carries::MesosMaster, Carries::ZooKeeper, Carries::Gateway]
        .into_iter()
        .filter(|what| disturbs && carries(*what))
    {
        for (run, number, task, _) in ask.book.in_work() {
            let theirs = ask.facts.nodes.get(&task.node).is_some_and(|host| host.carries.contains(&what));
            if (theirs || task.carries.contains(&what)) && !(run.id == ask.run.id && number == ask.number) {
                holds.push(Reason::QuorumInWork { what, node: task.node.clone() });
            }
        }
    }
    for step in &ask.task.steps {
        match &step.action {
            Action::Apply { version, components } => {
                let staged_first = ask.task.steps.iter().any(|step| matches!(step.action, Action::Stage { .. }));
                if !staged_first {
                    is_staged(ask, version, components, holds);
                }
                order_of_components(ask, version, components, holds);
            }
            // A server is not drained and taken into maintenance for what cannot be put back there.
            Action::Rollback { version, components } => clients_are_back(ask, version, components, holds),
            Action::Reboot => has_module(ask, holds),
            Action::Drain => agent_is_free(ask, holds),
            _ => {}
        }
    }
    ask.brings_nothing_bad(holds);
}

/// The packages were checked on the node, and nothing is half-installed there.
pub(super) fn is_staged(ask: &Ask<'_>, version: &str, components: &[Component], holds: &mut Holds) {
    let Some(host) = ask.host() else { return };
    holds.seen(Some(host.seen_at));
    for component in components {
        if !host.staged.get(component).is_some_and(|versions| versions.contains(version)) {
            holds.push(Reason::NotStaged { component: *component, version: version.into() });
        }
        if host.installed.get(component).is_some_and(|versions| versions.len() > 1) {
            holds.push(Reason::Ambiguous { component: *component });
        }
    }
}

/// LIA, MDM, SDS, SDC: none becomes newer than what comes before it.
pub(super) fn order_of_components(ask: &Ask<'_>, version: &str, components: &[Component], holds: &mut Holds) {
    let Some(snapshot) = ask.facts.snapshot() else { return };
    let lia = ask.host().and_then(|host| host.installed.get(&Component::Lia));
    let old_lia = lia.is_some_and(|versions| !versions.iter().all(|lia| at_least(lia, version)));
    let mdms = snapshot.array.as_ref().and_then(|array| array.mdm.as_ref()).map(|mdm| mdm.members.as_slice());
    let old = |seen: Option<&crate::model::version::ProductVersion>| {
        seen.is_none_or(|seen| !at_least(seen.as_str(), version))
    };
    let old_mdm = mdms.is_none_or(|members| members.iter().any(|member| old(member.version.as_ref())));
    let sds = snapshot.sds.as_ref().map(|part| part.value.as_slice());
    let old_sds = sds.is_none_or(|all| all.iter().any(|sds| old(sds.version.as_ref())));
    for component in components {
        let newer_than = match component {
            Component::Mdm if old_lia && !components.contains(&Component::Lia) => Component::Lia,
            Component::Sds if old_mdm => Component::Mdm,
            Component::Sdr | Component::Sdt if old_mdm => Component::Mdm,
            // On one node both change together; the others must have it before.
            Component::Sdc if old_sds && !components.contains(&Component::Sds) => Component::Sds,
            _ => continue,
        };
        holds.push(Reason::OrderOfComponents { component: *component, newer_than });
    }
}

/// No server becomes older than a client, of our hosts or of others.
pub(super) fn clients_are_back(ask: &Ask<'_>, version: &str, components: &[Component], holds: &mut Holds) {
    if !components.contains(&Component::Sds) {
        return;
    }
    let begun_at = ask.facts.snapshot().and_then(|snapshot| begun(&snapshot.sdcs));
    holds.seen(begun_at);
    match begun_at {
        None => holds.push(Reason::Unseen { what: "the list of clients".into() }),
        Some(taken_at) if ask.facts.now - taken_at > ask.policy.fresh_middle => {
            holds.push(Reason::Stale { what: "the list of clients".into(), taken_at });
        }
        Some(_) => {}
    }
    if !newer(&ask.facts, version, &BTreeMap::new()).is_empty() {
        holds.push(Reason::OrderOfComponents { component: Component::Sdc, newer_than: Component::Sds });
    }
}

/// The SDC will find its module after a start.
pub(super) fn has_module(ask: &Ask<'_>, holds: &mut Holds) {
    let Some(host) = ask.host() else { return };
    holds.seen(Some(host.seen_at));
    if host.installed.contains_key(&Component::Sdc) && !host.modules.contains(&host.next_kernel) {
        holds.push(Reason::NoModule { kernel: host.next_kernel.clone() });
    }
}

fn agent_is_free(ask: &Ask<'_>, holds: &mut Holds) {
    let Some(agent) = ask.agent() else {
        holds.push(Reason::NotDrained { node: ask.task.node.clone(), state: "unknown".into() });
        return;
    };
    holds.seen(Some(agent.begun_at));
    if ask.facts.now - agent.begun_at > ask.policy.fresh_middle {
        holds.push(Reason::Stale { what: "the list of Mesos agents".into(), taken_at: agent.begun_at });
    }
    if agent.scheduled_by_others {
        holds.push(Reason::ForeignSchedule { node: ask.task.node.clone() });
    }
    if agent.state != AgentState::Active && !ask.drained_by_us() {
        holds.push(Reason::AgentForeign { node: ask.task.node.clone(), state: word(&agent.state).into() });
    }
    if ask.task.agent.as_ref() != Some(&agent.agent) {
        holds.push(Reason::AgentForeign { node: ask.task.node.clone(), state: "known by another id".into() });
    }
}

/// The agent takes tasks, and nobody else has plans with it.
pub(super) fn may_drain(ask: &Ask<'_>, holds: &mut Holds) {
    agent_is_free(ask, holds);
}

/// If the task drains its agent, that is done.
pub(super) fn is_drained(ask: &Ask<'_>, holds: &mut Holds) {
    if !ask.drains() {
        return;
    }
    holds.seen(ask.agent().map(|agent| agent.begun_at));
    let stale = ask.agent().is_none_or(|agent| ask.facts.now - agent.begun_at > ask.policy.fresh_middle);
    match ask.agent().map(|agent| &agent.state) {
        Some(AgentState::Drained) if ask.drained_by_us() && !stale => {}
        state => {
            let state = if stale { "not known" } else { state.map_or("unknown", word) };
            holds.push(Reason::NotDrained { node: ask.task.node.clone(), state: state.into() });
        }
    }
    if let Some(AgentState::Draining { waits_for }) = ask.agent().map(|agent| &agent.state) {
        for framework in waits_for {
            holds.push(Reason::DrainWaits { framework: framework.clone() });
        }
    }
}

/// Nothing uses a volume through this host.
pub(super) fn volumes_are_closed(ask: &Ask<'_>, holds: &mut Holds) {
    let Some(host) = ask.host() else { return };
    holds.seen(Some(host.seen_at));
    if host.open_volumes > 0 {
        holds.push(Reason::VolumesOpen { count: host.open_volumes });
    }
}

/// So long after an order its agent may be at work on it: a permit is good for a minute, and what was begun by it is given up
/// after 25.
const AT_WORK: chrono::TimeDelta = chrono::TimeDelta::minutes(27);

/// Nothing that was ordered of its agent may stop anything there any more: a step that was given up goes on to its end.
pub(super) fn has_ended(ask: &Ask<'_>, holds: &mut Holds) {
    let kinds = [StepKind::Apply, StepKind::Rollback, StepKind::Reboot, StepKind::Uninstall];
    let state = ask.run.tasks.get(ask.number as usize);
    let ordered = state.and_then(|state| kinds.iter().filter_map(|kind| state.touched.get(kind)).max().copied());
    let Some(ordered) = ordered.filter(|ordered| ask.facts.now < *ordered + AT_WORK) else { return };
    let host = ask.host().filter(|host| host.seen_at > ordered);
    if host.is_none_or(|host| host.working.is_some()) && !mutant::is("leave at once") {
        holds.seen(host.map(|host| host.seen_at));
        let what = format!("the agent of {} at the end of what it was ordered", ask.task.node);
        holds.push(Reason::WaitsForEffect { what: what.into() });
    }
}

/// The master accepts it: not while the agent drains.
pub(super) fn may_reactivate(ask: &Ask<'_>, holds: &mut Holds) {
    let Some(agent) = ask.agent() else {
        holds.push(Reason::NotDrained { node: ask.task.node.clone(), state: "unknown".into() });
        return;
    };
    holds.seen(Some(agent.begun_at));
    if ask.facts.now - agent.begun_at > ask.policy.fresh_middle {
        holds.push(Reason::Stale { what: "the list of Mesos agents".into(), taken_at: agent.begun_at });
    }
    if let AgentState::Draining { waits_for } = &agent.state {
        holds.push(Reason::NotDrained { node: ask.task.node.clone(), state: "draining".into() });
        for framework in waits_for {
            holds.push(Reason::DrainWaits { framework: framework.clone() });
        }
    }
}

/// What ran on the host before runs there, as the MDM and the agent see it.
pub(super) fn is_well(ask: &Ask<'_>, holds: &mut Holds) {
    is_heard(ask, holds);
    let Some(host) = ask.host() else { return };
    for component in host.installed.keys().filter(|component| !host.running.contains(component)) {
        holds.push(Reason::WaitsForEffect { what: format!("{component} on {} running", ask.task.node).into() });
    }
    if let Some(sdc) = observe::sdc_of(&ask.facts, &ask.task.node, ask.task.sds.as_ref())
        && !sdc
            .connection
            .as_ref()
            .is_some_and(|seen| matches!(seen, Seen::Is(crate::model::state::Connection::Connected)))
    {
        holds.push(Reason::WaitsForEffect { what: format!("the SDC of {} connected", ask.task.node).into() });
    }
}
