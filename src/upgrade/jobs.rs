//! What does a job ask for when it fires, and is it carried out at once? Pure.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::health;
use super::orders::{self, Desk, Obeyed};
use crate::config::{Asks, Job, Standing};
use crate::model::chore::{Chore, Found};
use crate::model::id::SystemId;
use crate::model::lifecycle::{JobResult, JobShown, Mode};
use crate::model::plan::{Approval, Plan, Request};
use crate::model::schedule::{Omitted, Settled, Verdict};
use crate::model::unit::Timestamp;
use crate::model::version::as_reported;
use crate::store::{Key, State, StoreError};
use crate::work::check;
use crate::work::facts::Policy;

/// Times that are shown beforehand.
const UPCOMING: usize = 3;

/// Nobody waits longer for rules that are not judged.
const PATIENCE: TimeDelta = TimeDelta::seconds(60);

/// What is kept of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Kept {
    #[serde(flatten)]
    pub settled: Settled,
    /// The last firing that was dealt with, and what came of it.
    #[serde(default)]
    pub last: Option<(Timestamp, String)>,
    /// What that was, in a word; unknown of what an older version kept.
    #[serde(default)]
    pub result: Option<JobResult>,
    /// The last firing of which something good came.
    #[serde(default)]
    pub good_at: Option<Timestamp>,
    /// What was found, what is not well first.
    #[serde(default)]
    pub found: Vec<String>,
    /// The firing for which it is being looked at, by this life or one that ended meanwhile.
    #[serde(default)]
    pub looking: Option<Timestamp>,
}

impl Kept {
    /// Of a job that is seen for the first time: it fires for nothing that was before.
    pub const fn first(until: Timestamp) -> Self {
        Self { settled: Settled { until }, last: None, result: None, good_at: None, found: Vec::new(), looking: None }
    }

    fn then(&self, settled: Settled, due: Timestamp, says: String, result: JobResult) -> Self {
        let good_at = if result.is_good() { Some(due) } else { self.good_at };
        Self { settled, last: Some((due, says)), result: Some(result), good_at, found: Vec::new(), looking: None }
    }

    fn with(self, found: Found) -> Self {
        Self { found: found.lines, ..self }
    }
}

/// What is kept of all jobs of a system, by their names.
pub type Memory = BTreeMap<Box<str>, Kept>;

/// Where it is kept.
pub fn key(system: &SystemId, job: &str) -> Result<Key, StoreError> {
    Key::new(&format!("work/{system}/job/{job}"))
}

/// What was kept. What cannot be read counts as never seen: the job then goes on from now.
pub fn load(state: &State, system: &SystemId) -> Memory {
    let prefix = format!("work/{system}/job/");
    let named = state.entries.iter().filter_map(|(key, value)| Some((key.as_str().strip_prefix(&prefix)?, value)));
    named.filter_map(|(name, value)| Some((name.into(), serde_json::from_slice(value).ok()?))).collect()
}

/// What comes of a job that has something to do.
#[derive(Clone, Debug)]
pub struct Looked {
    /// What is written down.
    pub obeyed: Obeyed,
    /// What is kept of the job, in the same commit.
    pub kept: Kept,
    /// What is to be looked at once that is durable.
    pub chore: Option<Chore>,
}

impl Looked {
    const fn kept(kept: Kept) -> Self {
        Self { obeyed: Obeyed { plan: None, forget: Vec::new(), records: Vec::new() }, kept, chore: None }
    }
}

/// What comes of a look at a job that has something to do; nothing while it has not.
pub fn look(job: &Job, kept: &Kept, desk: &Desk<'_>, policy: &Policy) -> Option<Looked> {
    let now = desk.facts.now;
    let open = match &job.asks {
        // One run at a time: while any is open, a firing overlaps.
        Asks::Work(_) => desk.book.open_run().is_some(),
        Asks::Chore(_) => kept.looking.is_some(),
    };
    match job.schedule.look(kept.settled, open, now) {
        Verdict::Wait { .. } => None,
        // What is not over yet is told when it is.
        Verdict::Omit { settled, .. } if kept.looking.is_some() => Some(Looked::kept(Kept { settled, ..kept.clone() })),
        Verdict::Omit { due, why, settled } => {
            let result = match why {
                Omitted::Missed { .. } => JobResult::Missed,
                Omitted::Overlapped | Omitted::Blackout { .. } => JobResult::LeftOut,
            };
            let says = match why {
                Omitted::Missed { times: 1 } => "missed: the controller was not there in time".to_owned(),
                Omitted::Missed { times } => format!("missed {times} times: the controller was not there in time"),
                Omitted::Overlapped => "left out: a run was open".to_owned(),
                Omitted::Blackout { name } => format!("left out: {name}"),
            };
            Some(Looked::kept(kept.then(settled, due, says, result)))
        }
        Verdict::Fire { due, settled } => match &job.asks {
            Asks::Work(request) => {
                let (obeyed, says, result) = fire(job, request, desk);
                Some(Looked { obeyed, ..Looked::kept(kept.then(settled, due, says, result)) })
            }
            // Alerts are judged a moment after each poll; what they say of this one is waited for.
            Asks::Chore(Chore::HealthCheck) if is_behind(desk) && now - due < PATIENCE => None,
            Asks::Chore(Chore::HealthCheck) => {
                let found = health::table(desk, policy);
                let result = result(&found);
                Some(Looked::kept(kept.then(settled, due, found.says.clone(), result).with(found)))
            }
            Asks::Chore(chore) => {
                // What was found last stands until something else is.
                let kept = Kept { settled, looking: Some(due), ..kept.clone() };
                Some(Looked { chore: Some(chore.clone()), ..Looked::kept(kept) })
            }
        },
    }
}

/// Whether the rules were not yet judged by the newest snapshot.
fn is_behind(desk: &Desk<'_>) -> bool {
    desk.facts.snapshot().is_some_and(|snapshot| snapshot.seq != desk.facts.firing.seq)
}

const fn result(found: &Found) -> JobResult {
    if found.is_well { JobResult::Well } else { JobResult::Unwell }
}

/// What follows from what was found. Packages that are whole here are asked for on the nodes.
pub fn heard(job: &Job, kept: &Kept, found: Found, desk: &Desk<'_>) -> Looked {
    let due = kept.looking.unwrap_or(desk.facts.now);
    let (mut says, mut of, mut obeyed) = (found.says.clone(), result(&found), Obeyed::default());
    if let (Asks::Chore(Chore::ArtefactPrefetch { to: Some(to), only }), true) = (&job.asks, found.is_well) {
        let request = Request::Fetch { to: to.clone(), only: only.clone() };
        let then;
        (obeyed, then, of) = fire(job, &request, desk);
        says = format!("{says}; {then}");
    }
    Looked { obeyed, ..Looked::kept(kept.then(kept.settled, due, says, of).with(found)) }
}

fn fire(job: &Job, request: &Request, desk: &Desk<'_>) -> (Obeyed, String, JobResult) {
    if let Request::Upgrade { to, .. } = request
        && let Some((version, why)) = desk.book.quarantined.get_key_value(&as_reported(to))
    {
        let says = format!("no plan: version {version} is quarantined: {why}; `sio free {version}` lifts that");
        return (Obeyed::default(), says, JobResult::Refused);
    }
    let (plan, shown) = match orders::propose(request, desk) {
        Ok(proposed) => proposed,
        Err(refusal) => return (Obeyed::default(), format!("no plan: {refusal}"), JobResult::Refused),
    };
    if shown.stages.is_empty() {
        let cannot = shown.nodes.iter().find(|(_, says)| says.starts_with(orders::CANNOT));
        return match cannot {
            Some((node, says)) => (Obeyed::default(), format!("no plan: {node} {says}"), JobResult::Refused),
            None => (Obeyed::default(), "nothing was to be done".to_owned(), JobResult::Nothing),
        };
    }
    if !shown.unsafe_because.is_empty() {
        return (Obeyed::default(), format!("no plan: {}", shown.unsafe_because.join("; ")), JobResult::Refused);
    }
    let id = plan.id();
    let proposed = |why: &str| format!("proposed plan {id}, which waits for a yes{why}");
    let filed = |plan: Plan| Obeyed { plan: Some(plan), forget: orders::too_many(desk.book), records: Vec::new() };
    let Some(standing) = job.standing.as_ref().filter(|_| desk.mode == Mode::Act) else {
        let says = proposed("");
        return (filed(plan), says, JobResult::Proposed);
    };
    let approval = approval(job, standing);
    let not: BTreeSet<_> = check::covers(&approval, &plan, &desk.facts);
    if let Some(why) = not.first() {
        let says = proposed(&format!(": {why}"));
        return (filed(plan), says, JobResult::Proposed);
    }
    // As if it were on file already; the loop puts it there before the record.
    let mut book = desk.book.clone();
    book.plans.insert(id.clone(), std::sync::Arc::new(plan.clone()));
    match orders::begin(&id, approval, &standing.accept, &Desk { book: &book, ..*desk }) {
        Ok((begun, _)) => {
            // As much of it as people type.
            let says = format!("began a run of plan {:.12}", id.as_str());
            (Obeyed { records: begun.records, ..filed(plan) }, says, JobResult::Began)
        }
        Err(refusal) => {
            let says = proposed(&format!(": {refusal}"));
            (filed(plan), says, JobResult::Proposed)
        }
    }
}

/// What the standing yes of a job covers: what the job is configured for, whatever the plan turned out to be.
fn approval(job: &Job, standing: &Standing) -> Approval {
    Approval::Policy {
        job: job.schedule.name.clone(),
        to: match &job.asks {
            Asks::Work(Request::Upgrade { to, .. }) | Asks::Chore(Chore::ArtefactPrefetch { to: Some(to), .. }) => {
                as_reported(to)
            }
            Asks::Work(_) | Asks::Chore(_) => "".into(),
        },
        selection: match &job.asks {
            Asks::Work(Request::Upgrade { only, .. } | Request::Fetch { only, .. })
            | Asks::Chore(Chore::ArtefactPrefetch { only, .. }) => only.clone(),
            Asks::Work(Request::Reboot { node } | Request::Maintain { node, .. }) => [node.clone()].into(),
            // Nothing else is covered by a standing yes.
            Asks::Work(_) | Asks::Chore(_) => BTreeSet::new(),
        },
        modes: standing.modes.clone(),
        max_risk: standing.max_risk,
        until: standing.until,
        by: standing.by.clone(),
    }
}

/// A job as people see it.
pub fn shown(job: &Job, kept: Option<&Kept>, now: Timestamp) -> JobShown {
    let last = kept.and_then(|kept| kept.last.clone());
    JobShown {
        name: job.schedule.name.to_string(),
        kind: job.asks.kind().to_owned(),
        what: job.asks.in_words(),
        line: job.schedule.line.to_string(),
        next: job
            .schedule
            .upcoming(now)
            .take(UPCOMING)
            .map(|(at, blackout)| (at, blackout.map(String::from)))
            .collect(),
        last_due: last.as_ref().map(|(due, _)| *due),
        last_result: last.map(|(_, says)| says),
        result: kept.and_then(|kept| kept.result),
        found: kept.map(|kept| kept.found.clone()).unwrap_or_default(),
        looking: kept.and_then(|kept| kept.looking),
        last_success: kept.and_then(|kept| kept.good_at),
    }
}
