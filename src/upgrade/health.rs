//! Could each node be worked on now, and what would hold it? Asked of the very gates that a run would meet. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::orders::{self, Desk};
use super::plan::plan;
use crate::model::chore::Found;
use crate::model::hold::{Gate, Hold};
use crate::model::id::{NodeName, RunId};
use crate::model::plan::{Approval, Request};
use crate::model::window::Calendar;
use crate::work::book::Run;
use crate::work::facts::Policy;
use crate::work::gate::Ask;

/// Nodes that are named with one reason.
const NAMED: usize = 5;

/// The table. Windows and blackouts are left out: they say when work is wanted, not whether it is safe.
pub fn table(desk: &Desk<'_>, policy: &Policy) -> Found {
    let policy = Policy { calendar: Calendar::default(), ..policy.clone() };
    let mut held: BTreeMap<NodeName, Vec<Hold>> = BTreeMap::new();
    let mut cannot: Vec<String> = Vec::new();
    let Some(fleet) = orders::fleet(desk) else {
        return Found::unwell("the system has not answered yet, so nothing can be said");
    };
    if fleet.nodes.is_empty() {
        return Found::unwell("no agent of a node was heard, so no node could be worked on; see [agents]");
    }
    let now = desk.facts.now;
    for node in fleet.nodes.keys() {
        let request = Request::Maintain { node: node.clone(), mode: None, minutes: 15, purpose: "health".into() };
        let made = Arc::new(plan(request, &fleet, desk.habits, None, now).plan);
        let id = made.id();
        let approval = Approval::Hash { plan: id.clone(), by: "nobody".into(), at: now };
        let run = Run::of(RunId::new("health"), made, id, approval, orders::baseline(&desk.facts), now);
        for (number, _, task, _) in run.each() {
            let ask = Ask { facts: desk.facts, policy: &policy, book: desk.book, run: &run, number, task };
            match ask.admit() {
                Gate::Go => drop(held.insert(node.clone(), Vec::new())),
                Gate::Hold(holds) => drop(held.insert(node.clone(), holds)),
            }
        }
        if !held.contains_key(node) {
            cannot.push(format!("{node}: it cannot be planned"));
        }
    }
    let mut reasons: BTreeMap<String, Vec<&NodeName>> = BTreeMap::new();
    for (node, hold) in held.iter().flat_map(|(node, holds)| holds.iter().map(move |hold| (node, hold))) {
        let says = format!("{}; clears with: {}", hold.reason, hold.reason.kind().clears());
        reasons.entry(says).or_default().push(node);
    }
    let free = held.values().filter(|holds| holds.is_empty()).count();
    let all = fleet.nodes.len();
    let lines = reasons.into_iter().map(|(says, nodes)| {
        let names: Vec<&str> = nodes.iter().map(|node| node.as_str()).take(NAMED).collect();
        let more = nodes.len().saturating_sub(NAMED);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        format!("{}{more}: {says}", names.join(", "))
    });
    let lines: Vec<String> = lines.chain(cannot).collect();
    let found = if free == all {
        Found::well(format!("each of {all} nodes could be worked on now"))
    } else {
        Found::unwell(format!("{free} of {all} nodes could be worked on now"))
    };
    found.with(lines)
}
