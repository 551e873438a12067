//! When may a maintenance that somebody else began be handed over to us, and what is written down for it? Pure.

use std::collections::BTreeSet;

use super::orders::{Desk, Obeyed, are_accepted, fleet, may_act, next_run, no, too_many, unproven};
use super::plan::plan;
use crate::model::cluster::Sds;
use crate::model::id::NodeName;
use crate::model::lifecycle::{Answer, Refusal};
use crate::model::plan::Request;
use crate::model::state::{Maintenance, Seen};
use crate::model::step::{MaintenanceMode, StepKind};
use crate::model::version::Generation;
use crate::work::command;
use crate::work::record::Record;

/// Decides.
pub(super) fn adopt(
    node: &NodeName,
    mode: Option<MaintenanceMode>,
    because: &str,
    accept: &BTreeSet<StepKind>,
    by: &str,
    desk: &Desk<'_>,
) -> Result<(Obeyed, Answer), Refusal> {
    if because.trim().is_empty() {
        return Err(Refusal::Wrong("say why it is ours from now on: --because TEXT".to_owned()));
    }
    may_act(desk)?;
    let (book, facts) = (desk.book, &desk.facts);
    let Some(fleet) = fleet(desk) else {
        return Err(Refusal::Unable(
            "the system has not answered yet, so nothing is known of a maintenance".to_owned(),
        ));
    };
    if !fleet.nodes.contains_key(node) {
        return Err(Refusal::Missing(format!("there is no node {node}; see `sio nodes`")));
    }
    let request = |mode| Request::Adopt { node: node.clone(), mode, because: because.into() };
    let propose = |mode| plan(request(mode), &fleet, desk.habits, None, facts.now).plan;
    let own = propose(MaintenanceMode::Instant).tasks().find_map(|(_, _, task)| task.sds.clone());
    let Some((sds, _)) = own.as_ref().and_then(|id| facts.sds(id)) else {
        return Err(Refusal::Missing(format!("the system has no SDS on {node}")));
    };
    if let Some(said) = mode
        && let Some(records) = command::correct(book, node, said, by, because)
    {
        entered_in(mode, sds, fleet.snapshot.generation)?;
        return Ok((Obeyed { records, ..Obeyed::default() }, Answer::Done));
    }
    command::is_theirs(book, facts, node).map_err(|error| no(&error))?;
    is_inside(node, sds)?;
    if let Some(open) = book.open_run() {
        return Err(Refusal::Conflict(format!(
            "{} is not over, and one run at a time has a system in work: wait for it, or cancel it, and plan what is left \
             of it once more after this",
            open.id
        )));
    }
    let plan = propose(entered_in(mode, sds, fleet.snapshot.generation)?);
    let unproven = unproven(&plan, desk);
    are_accepted(&unproven, accept)?;
    let run = next_run(book);
    let baseline = super::orders::baseline(facts);
    let mut records = command::adopt(book, facts, run.clone(), &plan, by, baseline).map_err(|error| no(&error))?;
    if !unproven.is_empty() {
        records.insert(1, Record::Accepted { run: run.clone(), steps: unproven, by: by.into() });
    }
    Ok((Obeyed { plan: Some(plan), forget: too_many(book), records }, Answer::Run { run }))
}

/// Only a maintenance that is whole can be taken over: of one that is on its way somebody still has the end in hand.
fn is_inside(node: &NodeName, sds: &Sds) -> Result<(), Refusal> {
    let text = match &sds.maintenance {
        Seen::Is(Maintenance::In) => return Ok(()),
        Seen::Is(Maintenance::None) => format!("the SDS of {node} is in no maintenance: there is nothing to take over"),
        Seen::Is(Maintenance::Entering) => {
            format!("the SDS of {node} is on its way into maintenance; take it over when it is there")
        }
        Seen::Is(Maintenance::Exiting) => format!("the SDS of {node} is on its way out of maintenance already"),
        Seen::Other(word) => {
            format!("the MDM calls the maintenance of {node} {word:?}, which this version does not know")
        }
    };
    Err(Refusal::Conflict(text))
}

/// The mode in which it was entered, and must be left: by the MDM's word, else by that of whoever hands it over.
fn entered_in(said: Option<MaintenanceMode>, sds: &Sds, generation: Generation) -> Result<MaintenanceMode, Refusal> {
    let word = sds.maintenance_type.as_deref().unwrap_or_default().to_ascii_lowercase();
    let shown = match MaintenanceMode::ALL.into_iter().find(|mode| word.contains(mode.as_str())) {
        // There is no other one.
        None if generation < Generation::V3_5 => Some(MaintenanceMode::Instant),
        shown => shown,
    };
    match (shown, said) {
        (Some(shown), Some(said)) if shown != said => {
            Err(Refusal::Conflict(format!("the maintenance is {shown}, by the word of the MDM, and not {said}")))
        }
        (Some(mode), _) | (None, Some(mode)) => Ok(mode),
        (None, None) => Err(Refusal::Wrong(
            "the MDM does not say in which mode the maintenance was begun, and it must be left in the same: say it with \
             --mode instant or --mode protected"
                .to_owned(),
        )),
    }
}
