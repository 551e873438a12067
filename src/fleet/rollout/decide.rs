//! What is next for a node, and why is it no further? Pure.

use std::time::Duration;

use super::record::{Checked, DISKS, Failures, Judged, Open, ROWS, Record};
use super::restart;
use super::steps::{Step, StepName, about, digest};
use super::{consume, disks};
use crate::backoff::Backoff;
use crate::enrol::crew::Member;
use crate::fleet::diff::Addition;
use crate::model::cluster::Device;
use crate::model::findings::Disk;
use crate::model::id::RunId;
use crate::model::node::NodePhase;
use crate::model::order::{Component, Finished, OrderId, Outcome, Preflight, Task};
use crate::model::preflight::{FOUND, Row, Verdict, read, worst};
use crate::model::rollout::Why;
use crate::model::unit::Timestamp;

/// After so long without a word an agent is silent. It reports every 30 s, and
/// after a restart of either side within a minute.
const SILENT: Duration = Duration::from_secs(120);
/// Disks are looked at again after this, for those that were put in or freed.
const LOOK_AGAIN: Duration = Duration::from_secs(10 * 60);
/// What was red in a preflight is looked at again after this: somebody mends it right now.
const LOOK_SOON: Duration = Duration::from_secs(20);
/// A disk is given to the MDM only if it was free so shortly before.
pub(super) const FRESH: Duration = Duration::from_secs(60);
/// Tries of what failed: the first ones soon, since most trouble passes.
const RETRY: Backoff = Backoff { first: Duration::from_secs(30), ceiling: Duration::from_secs(30 * 60) };
/// After so many failures in a row a person is needed.
const MOST_TRIES: u32 = 6;

/// What is known of a node when it is decided.
#[derive(Debug)]
pub struct View<'a> {
    /// The moment.
    pub now: Timestamp,
    /// From 0 to 1, for pauses.
    pub random: f64,
    /// Whether its agent may be asked to look.
    pub may_look: Result<(), Why>,
    /// Whether the node and the MDM may be changed.
    pub may_change: Result<(), Why>,
    /// How far its agent is on its way, while it was not heard.
    pub start: Option<Why>,
    /// The run that works on it: nothing is done beside that.
    pub in_run: Option<RunId>,
    /// Whether it was taken out for good.
    pub is_retired: bool,
    /// What its agent tells.
    pub member: Option<&'a Member>,
    /// Whether an order is on its way to the crew.
    pub is_laying: bool,
    /// Whether additions for it are on their way to the MDM.
    pub is_adding: bool,
    /// Devices of its own server, as the MDM shows them.
    pub own: Vec<&'a Device>,
    /// What is done to it by another part of the rollout, which has an order there.
    pub held: Option<Why>,
    /// What it is to be good for; none: that cannot be said now.
    pub asked: Option<Preflight>,
    /// Why it takes no part; empty: it does.
    pub left_out: Vec<Why>,
    /// What is to be known of it and does not hold it.
    pub notes: Vec<Why>,
    /// What its agent shall make so.
    pub steps: Result<Vec<Step>, Vec<Why>>,
    /// What the MDM lacks of it, in order.
    pub additions: Result<Vec<&'a Addition>, Why>,
    /// Whether we may log in for changes.
    pub can_add: Result<(), Why>,
    /// What the MDM does not show of it.
    pub not_shown: Vec<Why>,
    /// What it shall have so that its tasks get volumes, or why they get none; none: nobody wants any there.
    pub volumes: Option<Result<consume::Wanted, Why>>,
    /// How the leading master has its Mesos agent; none: no master was heard lately.
    pub at_master: Option<consume::AtMaster>,
    /// That it must be started anew; none: it need not.
    pub restart: Option<restart::View>,
}

/// What is done for a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Its agent gets an order; the record names it as open.
    Order {
        /// For what.
        step: StepName,
        /// What is to be so.
        task: Task,
    },
    /// An order that its agent does not come for is taken back.
    TakeBack {
        /// Which.
        id: OrderId,
    },
    /// The MDM gets what it lacks of the node; said again with each decision while it still shall.
    Add,
    /// The work on the system is asked to have it restarted.
    Restart,
}

/// A step that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Which.
    pub step: StepName,
    /// Whether it is so now.
    pub is_good: bool,
    /// How long it took.
    pub took: Duration,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// To be durable before anything is done.
    pub record: Record,
    /// What is done.
    pub act: Option<Act>,
    /// Why it is no further, and what is to be known.
    pub why: Vec<Why>,
    /// What ended, for the books.
    pub settled: Option<Settled>,
}

/// Decides.
pub fn decide(before: &Record, view: &View<'_>) -> Decision {
    let mut record = before.clone();
    let settled = settle(&mut record, view);
    if let Some(judged) = &record.judged {
        record.known = disks::claimed(&record.known, &judged.disks, &view.own);
    }
    consume::forget(&mut record);
    consume::look(&mut record, view);
    let (phase, mut why, act) = if is_news(before, &record) {
        // What the node shall be was said without knowing of these disks: it is said anew first.
        (record.phase.clone(), vec![Why::InStep { step: StepName::JudgeDisks.as_str().into() }], None)
    } else {
        next(&mut record, view)
    };
    record.enter(phase, view.now);
    why.extend(view.notes.iter().cloned());
    if record.phase != NodePhase::Ready {
        // What helps is in the table.
        let told = |row: &Row| Why::Doubtful { because: format!("{}: {}", row.name, row.found).into() };
        why.extend(rows(&record, Verdict::Warn).map(told));
    }
    if let Some(Act::Order { step, task }) = &act {
        let id = OrderId::new(format!("rollout.{}.{}", view.now.timestamp_millis(), step.as_str()));
        let about = if let Task::Preflight(asked) = task { about(asked).into() } else { "".into() };
        record.open = Some(Open { id, step: *step, at: view.now, about });
    }
    Decision { record, act, why, settled }
}

/// Whether other disks are known of a node than before, or others are devices.
pub(super) fn is_news(before: &Record, after: &Record) -> bool {
    let (old, new) = (before.judged.as_ref(), after.judged.as_ref());
    before.known != after.known || old.map(|judged| &judged.disks) != new.map(|judged| &judged.disks)
}

/// What came of additions for a node.
pub fn added(before: &Record, result: &Result<(), String>, now: Timestamp, random: f64) -> Record {
    let mut record = before.clone();
    match result {
        Ok(()) => drop(record.failures.take_if(|failures| &*failures.step == ADD)),
        Err(because) => fail(&mut record, ADD, because, now, random),
    }
    record
}

/// Steps that only look.
const LOOKS: [&str; 2] = [StepName::JudgeDisks.as_str(), StepName::Preflight.as_str()];

/// What additions are called among steps.
const ADD: &str = "add";

/// A person lets a node be tried again now.
pub fn retried(before: &Record) -> Record {
    let flags = before.flags.clone().filter(|flags| !flags.state.is_open());
    Record { failures: None, restart: None, flags, ..before.clone() }
}

/// Takes in what came of the open order.
fn settle(record: &mut Record, view: &View<'_>) -> Option<Settled> {
    let open = record.open.clone()?;
    let outcome = view.member.and_then(|member| member.outcome(&open.id));
    let Some(finished) = outcome else {
        let is_laid = view.member.is_some_and(|member| {
            member.order.as_ref().is_some_and(|order| order.id == open.id)
                || member.working_on.as_ref() == Some(&open.id)
        });
        // Not known to those who would have given it: it never left, or was taken back.
        if !is_laid && !view.is_laying {
            record.open = None;
        }
        return None;
    };
    record.open = None;
    let is_good = finished.outcome.is_good();
    let table = finished.found.get(FOUND).filter(|_| open.step == StepName::Preflight).and_then(|text| read(text));
    if let Some(mut rows) = table {
        // A red row is no failure of the step: it is looked at again until it is mended.
        rows.truncate(ROWS);
        record.failures.take_if(|failures| *failures.step == *open.step.as_str());
        record.preflight = Some(Checked { at: view.now, about: open.about.clone(), rows: rows.into() });
    } else if is_good {
        done(record, &open, finished, view);
    } else {
        let because = match &finished.outcome {
            Outcome::Failed { why } | Outcome::Refused { why } => why.as_str(),
            Outcome::Done | Outcome::AlreadySo | Outcome::Unknown => "its agent said what this release does not know",
        };
        let is_begun = !matches!(finished.outcome, Outcome::Refused { .. });
        if open.step == StepName::MesosVolumes {
            consume::failed(record, because, is_begun);
        }
        // What was begun is put back first.
        if open.step != StepName::MesosVolumes || !is_begun {
            fail(record, open.step.as_str(), because, view.now, view.random);
        }
    }
    let took = (view.now - open.at).to_std().unwrap_or_default();
    Some(Settled { step: open.step, is_good, took })
}

fn done(record: &mut Record, open: &Open, finished: &Finished, view: &View<'_>) {
    record.failures.take_if(|failures| *failures.step == *open.step.as_str());
    if open.step == StepName::JudgeDisks {
        // What cannot be read is no disk of ours: it is not taken.
        let mut disks: Vec<Disk> = finished.found.values().filter_map(|text| serde_json::from_str(text).ok()).collect();
        disks.truncate(DISKS);
        record.known = disks::seen(&record.known, &disks);
        let boot_id = view.member.and_then(|member| member.facts.as_ref()).map(|facts| facts.boot_id.clone());
        record.judged = Some(Judged { at: view.now, disks: disks.into(), boot_id: boot_id.unwrap_or_default() });
    } else if let StepName::ConsumeVolumes | StepName::MesosVolumes | StepName::MesosPutBack = open.step {
        consume::done(record, open.step, finished.outcome == Outcome::Done, view);
    } else if let Ok(steps) = &view.steps
        && *record.goal == *digest(steps)
        && steps.get(record.done).is_some_and(|step| step.name == open.step)
    {
        record.done += 1;
    }
}

fn fail(record: &mut Record, step: &str, because: &str, now: Timestamp, random: f64) {
    record.failures = Some(failure(record.failures.as_ref(), step, because, now, random));
}

/// The failures with one more.
pub(super) fn failure(before: Option<&Failures>, step: &str, because: &str, now: Timestamp, random: f64) -> Failures {
    let same = before.filter(|failures| &*failures.step == step);
    let tries = same.map_or(1, |failures| failures.tries.saturating_add(1));
    // At least half of the span: to try in a hurry tells nothing.
    let retry_at = (tries < MOST_TRIES).then(|| now + RETRY.wait(tries, 0.5 + random / 2.0));
    let because: String = because.chars().take(600).collect();
    Failures { step: step.into(), because: because.into(), tries, retry_at }
}

/// Whether an agent that was heard last at a moment is silent now.
pub(super) fn is_silent(seen_at: Timestamp, now: Timestamp) -> bool {
    (now - seen_at).to_std().is_ok_and(|span| span > SILENT)
}

/// What a preflight found of some verdict.
fn rows(record: &Record, verdict: Verdict) -> impl Iterator<Item = &Row> {
    let rows = record.preflight.iter().flat_map(|checked| checked.rows.iter());
    rows.filter(move |row| row.verdict == verdict)
}

/// What keeps a node from being changed, whatever else is so.
fn red(record: &Record) -> Option<Next> {
    let told = |row: &Row| format!("{}: {} ({})", row.name, row.found, row.mend);
    let red: Vec<String> = rows(record, Verdict::Fail).map(told).collect();
    (!red.is_empty()).then(|| stuck(vec![Why::Unfit { because: red.join("; ").into() }]))
}

/// Whether a preflight is due, and what it is about.
fn preflight_due<'a>(record: &Record, view: &'a View<'_>) -> Option<&'a Preflight> {
    let asked = view.asked.as_ref()?;
    let Some(checked) = &record.preflight else { return Some(asked) };
    let age = (view.now - checked.at).to_std().unwrap_or_default();
    let again = if worst(&checked.rows) == Verdict::Fail { LOOK_SOON } else { LOOK_AGAIN };
    (age > again || *checked.about != *about(asked)).then_some(asked)
}

/// The phase, what holds, and what is done.
pub(super) type Next = (NodePhase, Vec<Why>, Option<Act>);

fn next(record: &mut Record, view: &View<'_>) -> Next {
    let Some((member, facts)) = view.member.and_then(|member| Some((member, member.facts.as_ref()?))) else {
        let is_launching = matches!(view.start, Some(Why::Starting { .. }));
        let phase = if is_launching { NodePhase::Launching } else { NodePhase::Wanted };
        let why = view.may_look.clone().err().into_iter().chain(view.start.clone());
        return (phase, why.collect(), None);
    };
    let is_silent = is_silent(facts.seen_at, view.now);
    let silent = || vec![Why::Silent { seen_at: facts.seen_at }];
    if let Some(open) = &record.open {
        if is_silent && member.working_on.as_ref() != Some(&open.id) {
            let act = Act::TakeBack { id: open.id.clone() };
            record.open = None;
            return (NodePhase::Lost, silent(), Some(act));
        }
        if is_silent {
            return (NodePhase::Lost, silent(), None);
        }
        let why = vec![Why::InStep { step: open.step.as_str().into() }];
        return (during(record, open.step), why, None);
    }
    if let Some(run) = &view.in_run {
        return (NodePhase::InMaintenance { run: run.clone() }, vec![Why::InRun { run: run.clone() }], None);
    }
    if view.is_retired {
        let because = format!("was taken out for good; `sio release {}` lets it come back", member.node).into();
        return (NodePhase::Retired, vec![Why::LeftOut { because }], None);
    }
    if is_silent {
        return (NodePhase::Lost, silent(), None);
    }
    if member.stranger {
        return (NodePhase::Wanted, vec![Why::Stranger { epoch: facts.epoch }], None);
    }
    if let Some(because) = &member.out_of_work {
        return stuck(vec![Why::OutOfWork { because: because.as_str().into() }]);
    }
    if let Err(why) = &view.may_look {
        return (at_rest(record, view), vec![why.clone()], None);
    }
    if !view.left_out.is_empty() {
        return stuck(view.left_out.clone());
    }
    if let Some(held) = &view.held {
        let phase = match (&record.phase, held) {
            (NodePhase::Ready | NodePhase::Joining, _) => record.phase.clone(),
            (_, Why::InStep { step }) => NodePhase::Installing { step: step.clone() },
            (phase, _) => phase.clone(),
        };
        return (phase, vec![held.clone()], None);
    }
    let laid = member.order.as_ref().map(|order| &order.id);
    let busy = laid.or(member.working_on.as_ref());
    match (&view.restart, &view.may_change) {
        (None, _) => record.restart = None,
        // Whatever failed, this comes before another try.
        (Some(restart), Ok(())) if busy.is_none() => return restart::next(record, restart, view.now),
        (Some(_), _) => {}
    }
    if let Some(failures) = &record.failures
        && failures.retry_at.is_none_or(|at| view.now < at)
    {
        return failed(failures);
    }
    if let Some(with) = busy {
        return (record.phase.clone(), vec![Why::Busy { with: with.as_str().into() }], None);
    }
    // Nobody is asked for what only undoes.
    if let Some(act) = consume::back(record) {
        let step = StepName::MesosPutBack;
        return (during(record, step), vec![Why::InStep { step: step.as_str().into() }], Some(act));
    }
    if let Some(asked) = preflight_due(record, view) {
        return look(record, StepName::Preflight, Task::Preflight(Box::new(asked.clone())));
    }
    let age = record.judged.as_ref().map(|judged| (view.now - judged.at).to_std().unwrap_or_default());
    // After a boot disks may have other names.
    let has_booted = |judged: &Judged| !judged.boot_id.is_empty() && judged.boot_id != facts.boot_id;
    if age.is_none_or(|age| age > LOOK_AGAIN) || record.judged.as_ref().is_some_and(has_booted) {
        return judge_disks(record);
    }
    if let Err(why) = &view.may_change {
        return (at_rest(record, view), vec![why.clone()], None);
    }
    let steps = match &view.steps {
        Ok(steps) => steps,
        Err(why) if why.iter().any(Why::needs_a_person) => return stuck(why.clone()),
        Err(why) => {
            let waits = why.iter().any(|why| matches!(why, Why::NoCluster { .. }));
            if let Some(red) = red(record).filter(|_| waits) {
                return red;
            }
            let phase = match &record.phase {
                // Its turn of the cluster comes again.
                phase @ NodePhase::Installing { step } if waits && !LOOKS.contains(&&**step) => phase.clone(),
                _ => at_rest(record, view),
            };
            return (phase, why.clone(), None);
        }
    };
    let goal = digest(steps);
    // What was done before counts only while it is there: somebody may take it away between two steps.
    if *record.goal != *goal || lacks(member, steps.get(..record.done).unwrap_or(steps)) {
        record.goal = goal.into();
        record.done = 0;
    }
    if let Some(step) = steps.get(record.done) {
        if let Some(red) = red(record) {
            return red;
        }
        let why = vec![Why::InStep { step: step.name.as_str().into() }];
        let act = Act::Order { step: step.name, task: step.task.clone() };
        return (during(record, step.name), why, Some(act));
    }
    join(record, view, age.unwrap_or(Duration::MAX))
}

/// Everything on the node is done; the MDM's side.
fn join(record: &mut Record, view: &View<'_>, age: Duration) -> Next {
    let additions = match &view.additions {
        Ok(additions) => additions,
        // Nothing is concluded from a system that does not answer.
        Err(why) => return (kept(record), vec![why.clone()], None),
    };
    let is_taking = || vec![Why::WaitsFor { what: "the MDM to take what was added".into() }];
    if additions.is_empty() && view.is_adding {
        return (NodePhase::Joining, is_taking(), None);
    }
    if !additions.is_empty() {
        match &view.can_add {
            Ok(()) => {}
            Err(why) if why.needs_a_person() => return stuck(vec![why.clone()]),
            Err(why) => return (NodePhase::Joining, vec![why.clone()], None),
        }
        if let Some(red) = red(record) {
            return red;
        }
        if view.is_adding {
            return (NodePhase::Joining, is_taking(), Some(Act::Add));
        }
        let takes_disks = additions.iter().any(|addition| matches!(addition, Addition::Device { .. }));
        if takes_disks && age > FRESH {
            return judge_disks(record);
        }
        let paths: Vec<&str> = additions.iter().filter_map(|addition| addition.device()).collect();
        if let Some(judged) = &record.judged {
            // Which disk is meant is written down before the MDM is asked: a boot may change its name meanwhile.
            record.known = disks::adding(&record.known, &judged.disks, &paths);
        }
        let what = additions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let why = Why::WaitsFor { what: format!("the MDM: {what}").into() };
        return (NodePhase::Joining, vec![why], Some(Act::Add));
    }
    if view.not_shown.is_empty() {
        consume::next(record, view)
    } else {
        (NodePhase::Joining, view.not_shown.clone(), None)
    }
}

fn judge_disks(record: &Record) -> Next {
    look(record, StepName::JudgeDisks, Task::JudgeDisks { paths: Vec::new() })
}

/// To look changes nothing, so a node that is ready stays so meanwhile.
fn look(record: &Record, step: StepName, task: Task) -> Next {
    let why = vec![Why::InStep { step: step.as_str().into() }];
    (during(record, step), why, Some(Act::Order { step, task }))
}

fn during(record: &Record, step: StepName) -> NodePhase {
    match &record.phase {
        phase @ (NodePhase::Ready | NodePhase::Joining)
            if matches!(step, StepName::JudgeDisks | StepName::Preflight) =>
        {
            phase.clone()
        }
        _ => NodePhase::Installing { step: step.as_str().into() },
    }
}

/// As far as it was, when the system says nothing.
fn kept(record: &Record) -> NodePhase {
    if record.phase == NodePhase::Ready { NodePhase::Ready } else { NodePhase::Joining }
}

/// Where a node stands at which nothing may be done: it may be ready by another hand.
fn at_rest(record: &Record, view: &View<'_>) -> NodePhase {
    if view.additions.is_err() && record.phase == NodePhase::Ready {
        return NodePhase::Ready;
    }
    let nothing_lacks = view.additions.as_ref().is_ok_and(Vec::is_empty) && view.not_shown.is_empty();
    match &record.phase {
        NodePhase::Ready | NodePhase::Joining if !nothing_lacks => NodePhase::Joining,
        _ if nothing_lacks => NodePhase::Ready,
        _ => NodePhase::Wanted,
    }
}

/// Only a person helps.
pub(super) fn stuck(why: Vec<Why>) -> Next {
    let told = why.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    (NodePhase::Failed { why: told.into(), tries: 0, retry_at: None }, why, None)
}

fn failed(failures: &Failures) -> Next {
    let Failures { step, because, tries, retry_at } = failures.clone();
    let phase = NodePhase::Failed { why: because.clone(), tries, retry_at };
    (phase, vec![Why::Failed { step, because, tries, retry_at }], None)
}

/// Whether a component that was installed is there no more, as the agent sees it, or is down and nobody else would
/// tell: the MDM shows its servers and clients, and nothing of LIA.
fn lacks(member: &Member, steps: &[Step]) -> bool {
    let Some(host) = &member.host else { return false };
    steps.iter().any(|step| match &step.task {
        Task::Install(install) | Task::InstallBare { install, .. } => {
            let word = install.component.as_str();
            let is_down = install.component == Component::Lia && !host.running.contains(word);
            is_down || !host.installed.contains_key(word)
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests;
