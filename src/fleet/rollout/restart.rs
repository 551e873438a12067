//! Must a node be started anew before the rollout goes on, and who has that done? Pure.
//!
//! The rollout restarts nothing. It asks the work on the system for a restart, whose gates, proof and way back are those
//! of every other one: one node at a time, drained and in maintenance, over when boot, kernel and module show it.
//!
//! ```text
//! the agent's words -> needed -> a plan is proposed -> a person approves it, or the rollout does where it may
//!     -> the run has the node -> other boot, nothing needed: the rollout goes on
//! ```

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::decide::{Act, Next, stuck};
use super::record::Record;
use crate::enrol::crew::Member;
use crate::model::id::{NodeName, PlanId, RunId};
use crate::model::node::NodePhase;
use crate::model::rollout::Why;
use crate::model::step::Component;
use crate::model::unit::Timestamp;

/// What was refused, or came to nothing, is asked for again after this: gates and pictures change in minutes.
const AGAIN: TimeDelta = TimeDelta::seconds(60);

/// What is written down of a restart that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The boot that is to end.
    pub boot_id: Box<str>,
    /// When.
    pub at: Timestamp,
    /// What came of it.
    #[serde(flatten)]
    pub answer: Answer,
}

/// What the work said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
#[allow(missing_docs)]
pub enum Answer {
    /// It has not answered; a life that ended meanwhile never hears it.
    Open,
    /// A plan is on file, and waits for a yes.
    Proposed { plan: PlanId, because: Box<str> },
    /// A run was begun.
    Began { run: RunId },
    /// There is no plan.
    Refused { because: Box<str> },
}

/// What is known when it is decided.
#[derive(Clone, Debug)]
pub struct View {
    /// Why a restart is needed.
    pub because: Box<str>,
    /// The boot of the node.
    pub boot_id: Box<str>,
    /// The run that is open on the system.
    pub run: Option<RunId>,
    /// Plans that wait there for a yes.
    pub plans: Vec<PlanId>,
    /// Another node whose restart comes first.
    pub before: Option<NodeName>,
    /// Whether an answer is on its way.
    pub is_asking: bool,
}

/// Why a restart would help a node; none: nothing says so.
pub fn needed(member: &Member) -> Option<Box<str>> {
    let (facts, host) = (member.facts.as_ref()?, member.host.as_ref()?);
    let next = &facts.next_kernel;
    if host.module.as_deref() == Some(UNLOADING) {
        return Some("its kernel is stuck in the removal of the module scini, and only a restart ends that".into());
    }
    let has = |kernel: &str| facts.modules.contains(kernel);
    let lacks = facts.installed.contains_key(&Component::Sdc) && !facts.running.contains(&Component::Sdc);
    let helps = !next.is_empty() && *next != facts.kernel && has(next) && !has(&facts.kernel);
    (lacks && helps).then(|| {
        format!("the SDC has no module for kernel {}, which runs, and one for {next}, which starts next", facts.kernel)
            .into()
    })
}

/// The kernel's word for a module that goes and cannot.
const UNLOADING: &str = "Unloading";

/// What is next for a node that must be restarted.
pub(super) fn next(record: &mut Record, view: &View, now: Timestamp) -> Next {
    let why = |how: String| vec![Why::Restart { because: view.because.clone(), how: how.into(), run: None }];
    let ask = |record: &mut Record| {
        record.restart = Some(Asked { boot_id: view.boot_id.clone(), at: now, answer: Answer::Open });
        (stuck(why("it is planned".to_owned())).0, why("it is planned".to_owned()), Some(Act::Restart))
    };
    let Some(asked) = record.restart.clone() else {
        return match (&view.run, &view.before) {
            (Some(run), _) => stuck(why(format!("run {run} works on the system, and comes first"))),
            (None, Some(other)) => stuck(why(format!("{other} is to be restarted first; one at a time"))),
            (None, None) => ask(record),
        };
    };
    if asked.boot_id != view.boot_id {
        return stuck(why(
            "it was restarted for that already, which did not help: look at it, then say `sio rollout retry`"
                .to_owned(),
        ));
    }
    let open = |run: &RunId| {
        let (because, how) = (view.because.clone(), format!("run {run} is open").into());
        let why = Why::Restart { because, how, run: Some(run.clone()) };
        (NodePhase::Installing { step: STEP.into() }, vec![why], None)
    };
    let is_over = now - asked.at >= AGAIN && view.run.is_none();
    match asked.answer {
        Answer::Open if view.is_asking => stuck(why("it is planned".to_owned())),
        // What an earlier life asked for may be what runs.
        Answer::Open => match &view.run {
            Some(run) => open(run),
            None => ask(record),
        },
        Answer::Began { run } if view.run.as_ref() == Some(&run) => open(&run),
        Answer::Began { .. } if is_over => ask(record),
        Answer::Began { run } => stuck(why(format!("run {run} ended without it; it is asked for again"))),
        Answer::Proposed { plan, because } if view.plans.contains(&plan) => {
            let because = if because.is_empty() { String::new() } else { format!(" (not by itself: {because})") };
            stuck(why(format!("approve it: `sio approve {:.12}`{because}", plan.as_str())))
        }
        Answer::Proposed { .. } if is_over => ask(record),
        Answer::Proposed { .. } => match &view.run {
            // A person has approved it.
            Some(run) => open(run),
            None => stuck(why("what was proposed is no plan any more; it is planned again".to_owned())),
        },
        Answer::Refused { .. } if is_over => ask(record),
        Answer::Refused { because } => stuck(why(format!("it cannot be planned now: {because}"))),
    }
}

/// How the phase is called meanwhile.
const STEP: &str = "restart";

#[cfg(test)]
mod tests;
