//! How the rollout asks the work on a system for a restart, and what it knows of the last answer.

use std::sync::Arc;

use tracing::{info, warn};

use super::super::decide::is_silent;
use super::super::record::Record;
use super::super::restart::{Answer, View, needed};
use super::{Came, Rollout};
use crate::config::Mode;
use crate::config::rollout::Restarts;
use crate::enrol::crew::Members;
use crate::model::id::{NodeName, SystemId};
use crate::model::lifecycle::{self, Order};
use crate::model::plan::Request;
use crate::model::unit::Timestamp;
use crate::store::StoreError;
use crate::work::seam::Line;

/// Who asks, as it is written down of a run.
const BY: &str = "the rollout (rollout.restarts)";

impl Rollout {
    /// The node of a system whose restart is asked for, and that comes before others.
    pub(super) fn restarting(&self, system: &SystemId, members: &Members, now: Timestamp) -> Option<NodeName> {
        let is_heard = |record: &&Record| {
            let member = members.get(&record.node);
            let facts = member.and_then(|member| member.facts.as_ref());
            facts.is_some_and(|facts| !is_silent(facts.seen_at, now)) && member.is_some_and(|at| needed(at).is_some())
        };
        let asked = self.records.values().filter(|record| record.system == *system && record.restart.is_some());
        asked.filter(is_heard).map(|record| record.node.clone()).next()
    }

    /// What is known of the restart of a node; none: it needs none.
    pub(super) fn restart_of(&self, record: &Record, members: &Members, first: Option<&NodeName>) -> Option<View> {
        let member = members.get(&record.node)?;
        let because = needed(member)?;
        let line = self.watched.lines.get(&record.system);
        let work = line.map(|line| Arc::clone(&line.shown.borrow()));
        Some(View {
            because,
            boot_id: member.facts.as_ref()?.boot_id.clone(),
            run: work.as_ref().and_then(|work| Some(work.run.as_ref()?.id.clone())),
            plans: work.iter().flat_map(|work| &work.plans).map(|plan| plan.id.clone()).collect(),
            before: first.filter(|first| **first != record.node).cloned(),
            is_asking: self.asking.contains(&record.node),
        })
    }

    /// Asks, once that is written down.
    pub(super) fn ask_for_restart(&mut self, record: &Record) {
        let (node, line) = (record.node.clone(), self.watched.lines.get(&record.system).cloned());
        let part = self.settings.parts.get(&record.system);
        let by_itself = part.is_some_and(|part| part.rollout.restarts == Restarts::Act);
        let approves = by_itself && self.settings.mode == Mode::Act;
        self.asking.insert(node.clone());
        self.begun.spawn(async move {
            let answer = match line {
                Some(line) => ask(&line, &node, approves).await,
                None => Answer::Refused { because: "nobody works on the system".into() },
            };
            Came::Planned { node, answer }
        });
    }

    /// Keeps what was answered.
    pub(super) async fn planned(&mut self, node: NodeName, answer: Answer) -> Result<(), StoreError> {
        self.asking.remove(&node);
        match &answer {
            Answer::Refused { because } => warn!(%node, %because, "a restart cannot be planned"),
            Answer::Proposed { plan, .. } => info!(%node, %plan, "a restart is proposed"),
            Answer::Began { run } => info!(%node, %run, "a restart is begun"),
            Answer::Open => {}
        }
        let asked = self.records.get_mut(&node).and_then(|record| record.restart.as_mut());
        // It may be needed no more.
        let Some(asked) = asked else { return Ok(()) };
        asked.answer = answer;
        self.save(&[node].into()).await
    }
}

/// Has it planned, and approved where that may be done without a person.
async fn ask(line: &Line, node: &NodeName, approves: bool) -> Answer {
    let refused = |because: String| Answer::Refused { because: because.into() };
    let request = Request::Reboot { node: node.clone() };
    let plan = match line.ask(Order::Plan { request }, BY.to_owned()).await {
        Ok(lifecycle::Answer::Plan(plan)) if plan.stages.is_empty() => {
            let says = plan.nodes.get(node).map_or("it has nothing to do", String::as_str);
            return refused(says.to_owned());
        }
        Ok(lifecycle::Answer::Plan(plan)) if !plan.unsafe_because.is_empty() => {
            return refused(plan.unsafe_because.join("; "));
        }
        Ok(lifecycle::Answer::Plan(plan)) => plan.id,
        Ok(lifecycle::Answer::Run { .. } | lifecycle::Answer::Done) => return refused("it is no plan".to_owned()),
        Err(refusal) => return refused(refusal.to_string()),
    };
    if !approves {
        return Answer::Proposed { plan, because: "".into() };
    }
    let approve = Order::Approve { plan: plan.to_string(), accept: [].into() };
    match line.ask(approve, BY.to_owned()).await {
        Ok(lifecycle::Answer::Run { run }) => Answer::Began { run },
        Ok(lifecycle::Answer::Plan(_) | lifecycle::Answer::Done) => Answer::Proposed { plan, because: "".into() },
        Err(refusal) => Answer::Proposed { plan, because: refusal.to_string().into() },
    }
}
