//! What is written down for what a person asks, or why it is refused? Pure.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use super::plan::{Fleet, Habits, Verdict, plan};
use super::{adopt, show};
use crate::model::command as evidence;
use crate::model::hold::Override;
use crate::model::id::{NodeName, PlanId, RunId};
use crate::model::lifecycle::{Answer, Mode, Order, PlanShown, Refusal};
use crate::model::plan::{Approval, Plan, Request};
use crate::model::snapshot::Snapshot;
use crate::model::step::StepKind;
use crate::model::version;
use crate::work::book::Book;
use crate::work::check;
use crate::work::command::{self, No};
use crate::work::facts::{AlertName, Facts};
use crate::work::record::Record;
use crate::work::seam::Surroundings;

/// Plans on file that no run is of; the oldest goes for the next.
const ON_FILE: usize = 16;

/// The shortest beginning of a hash that names a plan.
const SHORTEST: usize = 6;

/// Nodes that are named of many.
const NAMED: usize = 3;

/// How a node is told that cannot be planned.
pub(super) const CANNOT: &str = "cannot be planned";

/// What comes of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Obeyed {
    /// To be stored, and put on file, before the records.
    pub plan: Option<Plan>,
    /// To be taken from the file.
    pub forget: Vec<PlanId>,
    /// To be written down.
    pub records: Vec<Record>,
}

/// All that an order is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Desk<'a> {
    /// What is written down.
    pub book: &'a Book,
    /// What is known.
    pub facts: Facts<'a>,
    /// What is known of the hosts.
    pub around: &'a Surroundings,
    /// How long things take here.
    pub habits: &'a Habits,
    /// What may be done.
    pub mode: Mode,
}

/// Decides.
pub fn obey(order: &Order, by: &str, desk: &Desk<'_>) -> Result<(Obeyed, Answer), Refusal> {
    if by.trim().is_empty() {
        return Err(Refusal::Wrong("say who asks: log in, or name yourself with --by".to_owned()));
    }
    let book = desk.book;
    let written = |records: Result<Vec<Record>, No>| {
        let records = records.map_err(|error| no(&error))?;
        Ok((Obeyed { records, ..Obeyed::default() }, Answer::Done))
    };
    let run = || match book.open_run() {
        Some(run) => Ok(run.id.clone()),
        None => Err(Refusal::Missing("no run is open: there is nothing to act on".to_owned())),
    };
    match order {
        Order::Plan { request } => make(request, desk),
        Order::Approve { plan, accept } => approve(plan, accept, by, desk),
        Order::Adopt { node, mode, because, accept } => adopt::adopt(node, *mode, because, accept, by, desk),
        Order::Pause => written(command::pause(book, &run()?, by)),
        Order::Resume => written(command::resume(book, &run()?, by)),
        Order::Cancel => written(command::cancel(book, &run()?, by)),
        Order::Skip { node } => written(command::skip(book, &run()?, node, by)),
        Order::Hold { node, until } => {
            if until.is_some_and(|until| until <= desk.facts.now) {
                return Err(Refusal::Wrong("the end of the hold is over already".to_owned()));
            }
            written(Ok(vec![Record::HeldNode { node: node.clone(), until: *until, by: by.into() }]))
        }
        Order::Release { node } => {
            if !book.held.contains_key(node) && !book.retired.contains(node) {
                return Err(Refusal::Missing(format!("{node} is not held")));
            }
            written(Ok(vec![Record::Released { node: node.clone(), by: by.into() }]))
        }
        Order::Override { reason, node, seconds, why } => {
            let now = desk.facts.now;
            let until = now + TimeDelta::seconds(i64::from(*seconds));
            let given =
                Override { reason: *reason, node: node.clone(), until, by: by.into(), why: why.as_str().into() };
            written(command::lift(book, &run()?, given, now))
        }
        Order::Free { version } => {
            if !book.quarantined.contains_key(version) {
                return Err(Refusal::Missing(format!("version {version} is not quarantined")));
            }
            written(Ok(vec![Record::Freed { version: version.clone(), by: by.into() }]))
        }
    }
}

pub(super) fn no(no: &No) -> Refusal {
    let text = no.to_string();
    match no {
        No::NoRun(_) | No::NoPlan(_) | No::NothingToSkip(_) => Refusal::Missing(text),
        No::NoReason => Refusal::Wrong(text),
        No::Busy(_)
        | No::Unsafe(_)
        | No::Paused(_)
        | No::NotPaused
        | No::Cancelled
        | No::Hard(..)
        | No::InWork { .. }
        | No::BegunAgain { .. }
        | No::Ours { .. } => Refusal::Conflict(text),
    }
}

/// A plan, with everything that is wrong with it.
fn make(request: &Request, desk: &Desk<'_>) -> Result<(Obeyed, Answer), Refusal> {
    let (plan, shown) = propose(request, desk)?;
    let mut obeyed = Obeyed::default();
    // What does nothing cannot be approved.
    if !shown.stages.is_empty() {
        obeyed.forget = too_many(desk.book);
        obeyed.plan = Some(plan);
    }
    Ok((obeyed, Answer::Plan(Box::new(shown))))
}

/// Makes a plan for a request.
pub fn propose(request: &Request, desk: &Desk<'_>) -> Result<(Plan, PlanShown), Refusal> {
    match request {
        Request::Upgrade { .. }
        | Request::Back { .. }
        | Request::Fetch { .. }
        | Request::Reboot { .. }
        | Request::Maintain { .. }
        | Request::Replace { .. }
        | Request::Remove { .. }
        | Request::Finalise { .. } => {}
        Request::Adopt { node, .. } => {
            return Err(Refusal::Wrong(format!(
                "a maintenance is handed over by an order of its own: sio maintenance adopt {node} --because TEXT"
            )));
        }
        Request::RotateSecrets => {
            return Err(Refusal::Wrong(
                "secrets are changed by hand, each in the order that docs/operations.md has under \"Change secrets\": the new one \
                 is there and was seen to work before the old one goes"
                    .to_owned(),
            ));
        }
        Request::Rollout | Request::Expand { .. } => {
            return Err(Refusal::Wrong(
                "this version plans upgrades, restarts, maintenances, removals, replacements and the end of an upgrade; do \
                 the rest by hand, with the node held"
                    .to_owned(),
            ));
        }
    }
    let Some(fleet) = fleet(desk) else {
        return Err(Refusal::Unable("the system has not answered yet, so there is nothing to plan from".to_owned()));
    };
    let proposal = plan(as_reported(request), &fleet, desk.habits, None, desk.facts.now);
    if !proposal.lacking.is_empty() {
        return Err(Refusal::Conflict(lacking(&proposal.lacking)));
    }
    let mut shown = show::plan(&proposal.plan);
    for (node, verdict) in proposal.report {
        let says = match verdict {
            Verdict::Planned(seconds) => format!("planned, {} min", seconds.div_ceil(60)),
            Verdict::AlreadySo => "has nothing to do".to_owned(),
            Verdict::NotAsked => "was not asked for".to_owned(),
            Verdict::Watched => "is upgraded by PowerFlex Manager, and watched".to_owned(),
            Verdict::Cannot(why) => format!("{CANNOT}: {why}"),
        };
        shown.nodes.insert(node, says);
    }
    shown.unproven = unproven(&proposal.plan, desk).iter().map(|step| step.as_str().to_owned()).collect();
    let wrong = check::check(&proposal.plan, &desk.facts, &desk.book.before);
    shown.unsafe_because = wrong.iter().map(ToString::to_string).collect();
    Ok((proposal.plan, shown))
}

/// All that plans are made from; none before the system has answered.
pub(super) fn fleet<'a>(desk: &Desk<'a>) -> Option<Fleet<'a>> {
    Fleet::of(&desk.facts, &desk.around.addresses, &desk.around.packages)
}

/// The request with its release as servers report it, whoever wrote it how.
fn as_reported(request: &Request) -> Request {
    match request.clone() {
        Request::Upgrade { to, only } => Request::Upgrade { to: version::as_reported(&to), only },
        Request::Back { to, only } => Request::Back { to: version::as_reported(&to), only },
        Request::Fetch { to, only } => Request::Fetch { to: version::as_reported(&to), only },
        Request::Finalise { to } => Request::Finalise { to: version::as_reported(&to) },
        other => other,
    }
}

fn lacking(lacking: &BTreeMap<Box<str>, BTreeSet<NodeName>>) -> String {
    let each = lacking.iter().map(|(why, nodes)| {
        let names: Vec<&str> = nodes.iter().map(NodeName::as_str).take(NAMED).collect();
        let more = nodes.len().saturating_sub(NAMED);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        format!("{why} (needed on {}{more})", names.join(", "))
    });
    format!(
        "packages are missing, so nothing is begun: {}; put them there, those of the release from before too, for the way \
         back, and restart the controller",
        each.collect::<Vec<_>>().join("; ")
    )
}

/// Steps that were only concluded, for the generation of the system.
pub(super) fn unproven(plan: &Plan, desk: &Desk<'_>) -> BTreeSet<StepKind> {
    let Some(generation) = desk.facts.snapshot().map(|snapshot| snapshot.generation) else { return BTreeSet::new() };
    let steps = plan.tasks().flat_map(|(_, _, task)| task.steps.iter().map(|step| step.action.kind()));
    steps.filter(|step| evidence::of_step(*step, generation).is_unproven()).collect()
}

/// Refuses whatever would be done where nothing is ever done.
pub(super) fn may_act(desk: &Desk<'_>) -> Result<(), Refusal> {
    if desk.mode != Mode::Observe {
        return Ok(());
    }
    let text = "lifecycle.mode is \"observe\", so nothing is ever done; set it to \"propose\" to have approved plans carried out";
    Err(Refusal::Conflict(text.to_owned()))
}

fn approve(name: &str, accept: &BTreeSet<StepKind>, by: &str, desk: &Desk<'_>) -> Result<(Obeyed, Answer), Refusal> {
    may_act(desk)?;
    let id = find(name, desk.book)?;
    let approval = Approval::Hash { plan: id.clone(), by: by.into(), at: desk.facts.now };
    begin(&id, approval, accept, desk)
}

/// Refuses steps that were only concluded and that nobody accepted.
pub(super) fn are_accepted(unproven: &BTreeSet<StepKind>, accept: &BTreeSet<StepKind>) -> Result<(), Refusal> {
    let missing: Vec<&str> = unproven.difference(accept).map(|step| step.as_str()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let each: Vec<String> = missing.iter().map(|step| format!("--accept-unproven {step}")).collect();
    Err(Refusal::Conflict(format!(
        "in this generation some steps were only concluded, and never seen in use: {}; who accepts them says so: {}",
        missing.join(", "),
        each.join(" ")
    )))
}

/// The name of the next run.
pub(super) fn next_run(book: &Book) -> RunId {
    RunId::new(&format!("run-{:04}", book.runs_ever() + 1))
}

/// A run of a plan that is on file.
pub fn begin(
    id: &PlanId,
    approval: Approval,
    accept: &BTreeSet<StepKind>,
    desk: &Desk<'_>,
) -> Result<(Obeyed, Answer), Refusal> {
    let (book, facts) = (desk.book, &desk.facts);
    if let (Some(plan), Some(snapshot)) = (book.plans.get(id), facts.snapshot()) {
        let changed = changed(plan, snapshot);
        if !changed.is_empty() {
            let text = format!("what the plan was made from has changed ({}); make another plan", changed.join(", "));
            return Err(Refusal::Conflict(text));
        }
    }
    let unproven = book.plans.get(id).map(|plan| unproven(plan, desk)).unwrap_or_default();
    are_accepted(&unproven, accept)?;
    let by: Box<str> = match &approval {
        Approval::Hash { by, .. } | Approval::Policy { by, .. } => by.clone(),
    };
    let run = next_run(book);
    let opened = command::open(book, facts, run.clone(), id, approval, baseline(facts));
    let mut records = opened.map_err(|error| no(&error))?;
    if !unproven.is_empty() {
        records.push(Record::Accepted { run: run.clone(), steps: unproven, by });
    }
    Ok((Obeyed { records, ..Obeyed::default() }, Answer::Run { run }))
}

/// The plan of this hash, or the only one on file that begins so.
fn find(name: &str, book: &Book) -> Result<PlanId, Refusal> {
    let missing = || Refusal::Missing(format!("no plan on file has a hash that begins with {name:?}; see `sio runs`"));
    let mut fit = book.plans.keys().filter(|id| id.as_str().starts_with(name));
    let first = fit.next().filter(|_| name.len() >= SHORTEST).ok_or_else(missing)?;
    match fit.next() {
        None => Ok(first.clone()),
        Some(_) => Err(Refusal::Wrong(format!("more than one plan begins with {name:?}; write more of the hash"))),
    }
}

/// What is not as it was when a plan was made, in words.
fn changed(plan: &Plan, snapshot: &Snapshot) -> Vec<String> {
    let mut changed = Vec::new();
    let now: BTreeMap<_, _> = snapshot.sds.iter().flat_map(|part| part.iter()).map(|sds| (&sds.id, sds)).collect();
    let name = |id| now.get(id).and_then(|sds| sds.name.as_deref()).map_or_else(|| format!("{id}"), str::to_owned);
    for (id, (domain, fault_set, version)) in &plan.based_on.topology {
        match now.get(id) {
            None => changed.push(format!("SDS {id} is gone")),
            Some(sds) if sds.domain != *domain || sds.fault_set != *fault_set => {
                changed.push(format!("SDS {} lies elsewhere", name(id)));
            }
            Some(sds) if sds.version.as_ref().is_some_and(|seen| seen.as_str() != &**version) => {
                changed.push(format!("SDS {} has another version", name(id)));
            }
            Some(_) => {}
        }
    }
    for id in now.keys().filter(|id| !plan.based_on.topology.contains_key(**id)) {
        changed.push(format!("SDS {} is new", name(id)));
    }
    let cluster = snapshot.array.as_ref().and_then(|array| array.mdm.as_ref());
    let members: BTreeMap<_, _> = cluster.iter().flat_map(|mdm| &mdm.members).map(|at| (&at.id, at)).collect();
    let called = |id| members.get(id).and_then(|at| at.name.as_deref()).map_or_else(|| format!("{id}"), str::to_owned);
    for (id, version) in &plan.based_on.mdms {
        match members.get(id) {
            None => changed.push(format!("MDM {id} is no member any more")),
            Some(at) if at.version.as_ref().is_some_and(|seen| seen.as_str() != &**version) => {
                changed.push(format!("MDM {} has another version", called(id)));
            }
            Some(_) => {}
        }
    }
    for id in members.keys().filter(|id| !plan.based_on.mdms.contains_key(**id)) {
        changed.push(format!("MDM {} is a new member", called(id)));
    }
    changed
}

/// The alerts that are there when a run is approved.
pub(super) fn baseline(facts: &Facts<'_>) -> BTreeSet<AlertName> {
    let alerts = facts.snapshot().into_iter().flat_map(|snapshot| snapshot.alerts.iter());
    let of_mdm = alerts.flat_map(|part| part.value.iter()).map(|alert| {
        let object = alert.resource_name.clone().or_else(|| alert.resource_id.clone()).unwrap_or_default();
        (alert.name.clone(), object)
    });
    let others = facts.firing.others.iter().flat_map(|others| others.mild.iter().cloned());
    of_mdm.chain(facts.firing.mild.iter().cloned()).chain(others).collect()
}

/// Plans that make room for one more.
pub fn too_many(book: &Book) -> Vec<PlanId> {
    let used: BTreeSet<&PlanId> = book.runs.values().map(|run| &run.plan_id).collect();
    let mut unused: Vec<(&PlanId, &Plan)> =
        book.plans.iter().filter(|(id, _)| !used.contains(id)).map(|(id, plan)| (id, &**plan)).collect();
    unused.sort_by_key(|(_, plan)| plan.made_at);
    let surplus = (unused.len() + 1).saturating_sub(ON_FILE);
    unused.into_iter().take(surplus).map(|(id, _)| id.clone()).collect()
}
