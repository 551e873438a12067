//! Which agents become the program that this controller gives out, and when?
//!
//! One first; when it works on that one, a few at a time. An agent that has an
//! order is left alone until that is over. One failure ends it all until the
//! controller is started anew, since a person has to look first. Everything is
//! read from what agents say and what came of their orders.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::crew::{Crew, Member, Members};
use crate::clock;
use crate::model::id::NodeName;
use crate::model::order::{Artefact, Order, OrderId, Outcome, Secrets, Task};
use crate::model::unit::Timestamp;

/// An agent that was not heard for so long is not asked.
const SILENT: TimeDelta = TimeDelta::seconds(120);
/// So long an agent may wait with the order; it is not begun later.
const EXPIRES: TimeDelta = TimeDelta::minutes(10);
/// Fetching, the trial beside the old one, and the minute on probation.
const WITHIN_S: u32 = 10 * 60;
/// After the first one, one of so many at once.
const ONE_OF: usize = 20;
/// Between two looks when nobody says anything.
const LOOK: Duration = Duration::from_secs(10);

/// How the agents stand to the program that is given out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renewal {
    /// Agents that are this program.
    pub current: BTreeSet<NodeName>,
    /// Agents that are on their way.
    pub under_way: BTreeSet<NodeName>,
    /// Agents that are another program and wait.
    pub waiting: BTreeSet<NodeName>,
    /// Agents that cannot be renewed by us, each with the reason.
    pub refused: BTreeMap<NodeName, String>,
    /// Agents where it failed, each with the reason; nothing more is begun then.
    pub failed: BTreeMap<NodeName, String>,
    /// Who is next.
    pub next: Vec<NodeName>,
}

impl Renewal {
    /// How many agents there are of each state.
    pub fn counts(&self) -> [(&'static str, usize); 5] {
        [
            ("current", self.current.len()),
            ("under_way", self.under_way.len()),
            ("waiting", self.waiting.len()),
            ("refused", self.refused.len()),
            ("failed", self.failed.len()),
        ]
    }

    /// How one agent stands, in words; none: nobody renews it.
    pub fn of(&self, node: &NodeName) -> Option<String> {
        let is_in = |all: &BTreeSet<NodeName>| all.contains(node);
        if is_in(&self.current) {
            return Some("current".to_owned());
        }
        if is_in(&self.under_way) {
            return Some("under way".to_owned());
        }
        if let Some(why) = self.refused.get(node) {
            return Some(format!("not by us: {why}"));
        }
        if let Some(why) = self.failed.get(node) {
            return Some(format!("failed: {why}"));
        }
        let waits = if self.failed.is_empty() { "waits" } else { "waits, since it failed elsewhere" };
        is_in(&self.waiting).then(|| waits.to_owned())
    }
}

/// Decides. Orders of another epoch were given by a controller that has ended, and count as none.
pub fn decide(members: &Members, program: &Artefact, epoch: u64, now: Timestamp) -> Renewal {
    let id = order_id(program, epoch);
    let mut all = Renewal::default();
    let mut free = Vec::new();
    for (node, member) in members {
        // What was never heard, or does not say what it is, cannot be judged.
        let Some(facts) = member.facts.as_ref().filter(|_| !member.program.is_empty()) else { continue };
        if member.program == program.sha256 {
            all.current.insert(node.clone());
            continue;
        }
        if member.order.as_ref().is_some_and(|order| order.id == id) || member.working_on.as_ref() == Some(&id) {
            all.under_way.insert(node.clone());
            continue;
        }
        match member.outcome(&id).map(|finished| &finished.outcome) {
            Some(Outcome::Refused { why }) => drop(all.refused.insert(node.clone(), why.clone())),
            Some(Outcome::Failed { why }) => drop(all.failed.insert(node.clone(), why.clone())),
            Some(_) => {
                let why = "its agent said that it is renewed, and is still the program from before".to_owned();
                drop(all.failed.insert(node.clone(), why));
            }
            None => {
                all.waiting.insert(node.clone());
                if is_free(member) && now - facts.seen_at <= SILENT {
                    free.push(node.clone());
                }
            }
        }
    }
    if all.failed.is_empty() {
        // An order that was given and is over, on an agent that now is this program: it works.
        let proven = all.current.iter().any(|node| {
            members.get(node).and_then(|member| member.outcome(&id)).is_some_and(|over| over.outcome.is_good())
        });
        let most = if proven { (members.len() / ONE_OF).max(1) } else { 1 };
        free.truncate(most.saturating_sub(all.under_way.len()));
        all.next = free;
    }
    all
}

/// Nothing is open between it and whoever gives it orders.
fn is_free(member: &Member) -> bool {
    member.order.is_none() && member.working_on.is_none() && member.out_of_work.is_none() && !member.stranger
}

fn order_id(program: &Artefact, epoch: u64) -> OrderId {
    OrderId::new(format!("renew.{}.{epoch}", program.name))
}

/// Renews agents until told to stop.
pub async fn run(crew: Crew, program: Artefact, told: watch::Sender<Arc<Renewal>>, stop: CancellationToken) {
    let mut members = crew.members();
    loop {
        let now = clock::now();
        let seen = Arc::clone(&members.borrow_and_update());
        let renewal = decide(&seen, &program, crew.epoch(), now);
        for node in &renewal.next {
            let order = Order {
                id: order_id(&program, crew.epoch()),
                epoch: crew.epoch(),
                expires: now + EXPIRES,
                within_s: WITHIN_S,
                task: Task::RenewAgent { artefact: program.clone() },
                secrets: Secrets::default(),
            };
            match crew.lay_out(node, order).await {
                Ok(_) => info!(%node, program = program.name, "an agent is to be renewed"),
                // Another order came first; it is asked again.
                Err(why) => info!(%node, %why, "an agent is not renewed now"),
            }
        }
        told.send_if_modified(|before| {
            for (node, why) in renewal.failed.iter().filter(|(node, _)| !before.failed.contains_key(*node)) {
                warn!(%node, why, "an agent could not be renewed; no other one is, until this controller is started anew");
            }
            for (node, why) in renewal.refused.iter().filter(|(node, _)| !before.refused.contains_key(*node)) {
                info!(%node, why, "an agent is not renewed by us");
            }
            let is_news = **before != renewal;
            *before = Arc::new(renewal);
            is_news
        });
        tokio::select! {
            () = stop.cancelled() => return,
            changed = members.changed() => if changed.is_err() {
                return stop.cancelled().await;
            },
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::node::NodeFacts;
    use crate::model::order::Finished;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_timestamp(second, 0).unwrap()
    }

    fn program() -> Artefact {
        Artefact { name: "sio-abc".to_owned(), sha256: "new".to_owned(), size: 1, url: None }
    }

    fn member(node: &str, runs: &str) -> Member {
        let facts = Some(NodeFacts::bare(at(100)));
        Member { facts, program: runs.to_owned(), ..Member::new(NodeName::new(node)) }
    }

    fn over(mut member: Member, outcome: Outcome) -> Member {
        member.outcomes.push(Finished { id: order_id(&program(), 1), outcome, at: at(90), found: BTreeMap::new() });
        member
    }

    fn busy(mut member: Member) -> Member {
        member.working_on = Some(OrderId::new("other"));
        member
    }

    fn next(members: impl IntoIterator<Item = Member>) -> Vec<String> {
        let members = members.into_iter().map(|member| (member.node.clone(), Arc::new(member))).collect();
        decide(&members, &program(), 1, at(110)).next.iter().map(ToString::to_string).collect()
    }

    fn failed() -> Outcome {
        Outcome::Failed { why: "it said nothing".to_owned() }
    }

    #[test]
    fn one_is_first_and_more_follow_only_when_it_works_there() {
        let others = || (10..50).map(|number| member(&format!("n{number}"), "old"));
        assert_eq!(next(others()), ["n10"]);
        // An agent that is the new program by another hand proves nothing.
        assert_eq!(next(others().chain([member("a", "new")])), ["n10"]);
        assert_eq!(next(others().chain([over(member("a", "new"), Outcome::Done)])), ["n10", "n11"]);
        assert_eq!(next(others().chain([over(member("a", "old"), failed())])), Vec::<String>::new());
        assert_eq!(next(others().chain([over(member("a", "old"), Outcome::Done)])), Vec::<String>::new());
        let refused = Outcome::Refused { why: "a package's".to_owned() };
        assert_eq!(next(others().chain([over(member("a", "old"), refused)])), ["n10"]);
    }

    #[test]
    fn who_is_busy_silent_or_unknown_is_left_alone() {
        let mut silent = member("s", "old");
        silent.facts.as_mut().unwrap().seen_at = at(-100);
        let unknown = member("u", "");
        let mut laid = member("l", "old");
        laid.order = Some(Order {
            id: OrderId::new("other"),
            epoch: 1,
            expires: at(200),
            within_s: 1,
            task: Task::Stage { artefacts: Vec::new() },
            secrets: Secrets::default(),
        });
        assert_eq!(next([busy(member("b", "old")), silent, unknown, laid]), Vec::<String>::new());
    }

    #[test]
    fn while_one_is_under_way_the_first_time_no_other_is_begun() {
        let mut first = member("a", "old");
        first.working_on = Some(order_id(&program(), 1));
        assert_eq!(next([first, member("b", "old")]), Vec::<String>::new());
    }
}
