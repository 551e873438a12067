//! How does a round of additions begin, go on and end, beside what else works on the system?
//!
//! The work on the system must know first that something is added: then none of its tasks begins, until that is over. And
//! while it has a run, nothing is added. Each side tells before it looks at the other, so one of both sees the other.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::watch;

use super::super::add::{MayAdd, Round, Wish, add};
use super::super::cluster::{ClusterDecision, ClusterRecord};
use super::super::decide::added;
use super::super::leave::{Ground, Moment, leave};
use super::super::record::Record;
use super::super::spread::Last;
use super::cluster::within_s;
use super::{Came, EXPIRES, Rollout};
use crate::clock;
use crate::fleet::desired::Desired;
use crate::fleet::diff::Addition;
use crate::fleet::pools::Wrong;
use crate::model::id::{NodeName, SystemId};
use crate::model::lifecycle::Lifecycle;
use crate::model::mdm::Change;
use crate::model::unit::Timestamp;
use crate::store::StoreError;
use crate::watches::Additions;

/// Nothing of a round is begun later: who waits has its turn in the next one. With the one call that may be under way
/// then, a node that is slow holds up the others for less than a minute.
const ROUND: Duration = Duration::from_secs(20);
/// Settings that were refused are asked for again after this: somebody must change something first.
const AGAIN: TimeDelta = TimeDelta::minutes(10);
/// A setting that was taken shows within this: pools are asked for at least at the slow beat of five minutes.
const SHOWS: TimeDelta = TimeDelta::minutes(6);
/// The work on a system looks at least once a second; whoever is stuck for longer is asked in another round.
const HEEDED: Duration = Duration::from_secs(10);

/// A round that is open.
pub(super) struct Adding {
    nodes: BTreeSet<NodeName>,
    moves: BTreeSet<NodeName>,
    unwell: BTreeSet<String>,
    ground: watch::Sender<Ground>,
}

/// What a turn found to be added.
#[derive(Default)]
pub(super) struct Due {
    /// For which nodes.
    pub(super) nodes: BTreeSet<NodeName>,
    /// Those of them of which it may be changed where their servers are found.
    pub(super) moves: BTreeSet<NodeName>,
    /// What is not well in the system before that.
    pub(super) unwell: BTreeSet<String>,
    /// Whether every server is found where it shall be.
    pub(super) is_spread: bool,
    /// Settings of pools that are asked for now.
    pub(super) settings: BTreeSet<Addition>,
    /// All that are not as they shall be.
    pub(super) differing: BTreeSet<Addition>,
    /// What shall be.
    pub(super) wished: Desired,
}

/// What became of a setting of a pool that was asked for.
pub(super) struct Asked {
    at: Timestamp,
    /// What the MDM told of it before.
    was: String,
    refused: Option<String>,
}

impl Asked {
    /// Whether it is asked for once more. What was taken and does not show is another one's doing, or none of this MDM's: it is
    /// not asked for without end.
    fn is_due(&self, is: &str, now: Timestamp) -> bool {
        if self.refused.is_some() { now >= self.at + AGAIN } else { self.was != is }
    }

    /// Why it is not so yet.
    fn told(&self, wrong: &Wrong, now: Timestamp) -> Option<String> {
        let (addition, is) = (&wrong.addition, &wrong.is);
        match &self.refused {
            Some(why) => Some(format!("{addition}: {why}")),
            None if self.was != *is || now < self.at + SHOWS => None,
            None => Some(format!(
                "{addition}: the MDM took it and still tells {is}; it is asked for again when that changes"
            )),
        }
    }
}

impl Rollout {
    /// Whether additions for a node are on their way to the MDM.
    pub(super) fn is_adding(&self, system: &SystemId, node: &NodeName) -> bool {
        self.adding.get(system).is_some_and(|adding| adding.nodes.contains(node))
    }

    /// Nodes of a round that is open, of which it may be changed where their servers are found.
    pub(super) fn moving_now(&self, system: &SystemId) -> BTreeSet<NodeName> {
        self.adding.get(system).map(|adding| adding.moves.clone()).unwrap_or_default()
    }

    /// Lets the MDM have what it lacks of some nodes; one round of a system at a time. One that is open goes on with those
    /// of its nodes that are still among them.
    pub(super) fn begin_adding(&mut self, system: &SystemId, due: Due) {
        let Due { nodes, moves, unwell, is_spread, settings, differing, wished } = due;
        if let Some(asked) = self.asked.get_mut(system) {
            asked.retain(|setting, _| differing.contains(setting));
        }
        if is_spread {
            self.moved.remove(system);
        }
        if let Some(adding) = self.adding.get(system) {
            let until = adding.ground.borrow().until;
            let ground = self.ground(system, &nodes, until);
            adding.ground.send_replace(ground);
            return;
        }
        if nodes.is_empty() && settings.is_empty() {
            return;
        }
        let Some(part) = self.settings.parts.get(system) else { return };
        let Some(gateway) = part.gateway.clone() else { return };
        let wish = Wish {
            system: system.clone(),
            rollout: part.rollout.clone(),
            desired: wished,
            nodes: nodes.clone(),
            moves: moves.clone(),
            rotational: self.rotational(),
            after: self.served.get(system).cloned(),
            settings,
        };
        let (ground, stands_on) = watch::channel(self.ground(system, &nodes, clock::now() + ROUND));
        let shown = self.watched.lines.get(system).map(|line| line.shown.clone());
        let (crew, heeded) = (self.watched.crew.clone(), shown.clone());
        let may = move |addition: &Addition| {
            let run = shown.as_ref().and_then(|shown| shown.borrow().run.as_ref().map(|run| run.id.clone()));
            let member = addition.node().and_then(|node| crew.member(node));
            let boot_id = member.and_then(|member| Some(member.facts.as_ref()?.boot_id.clone()));
            leave(addition, &stands_on.borrow(), &Moment { now: clock::now(), run, boot_id })
        };
        self.adding.insert(system.clone(), Adding { nodes, moves, unwell, ground });
        let number = self.announce(system, true);
        let system = system.clone();
        self.begun.spawn(async move {
            let may: &MayAdd = &may;
            let round = if is_heeded(heeded, number, HEEDED).await {
                add(&gateway, &wish, may).await
            } else {
                Round::default()
            };
            Came::Added { system, round }
        });
    }

    /// Settings that are asked for now.
    pub(super) fn settings_due(&self, system: &SystemId, wrong: &[Wrong], now: Timestamp) -> BTreeSet<Addition> {
        let asked = |wrong: &Wrong| self.asked.get(system)?.get(&wrong.addition);
        let is_due = |wrong: &&Wrong| asked(wrong).is_none_or(|asked| asked.is_due(&wrong.is, now));
        wrong.iter().filter(is_due).map(|wrong| wrong.addition.clone()).collect()
    }

    /// Why settings that were asked for are not so yet.
    pub(super) fn refused(&self, system: &SystemId, wrong: &[Wrong], now: Timestamp) -> Vec<String> {
        let told = |wrong: &Wrong| self.asked.get(system)?.get(&wrong.addition)?.told(wrong, now);
        wrong.iter().filter_map(told).collect()
    }

    fn ground(&self, system: &SystemId, nodes: &BTreeSet<NodeName>, until: Timestamp) -> Ground {
        let judged = |node: &NodeName| self.records.get(node).and_then(|record| record.judged.clone());
        Ground {
            system: system.clone(),
            is_approved: self.approval(system).is_some(),
            nodes: nodes.iter().map(|node| (node.clone(), judged(node))).collect(),
            until,
        }
    }

    /// Disks that turn, by every name.
    fn rotational(&self) -> BTreeSet<(NodeName, Box<str>)> {
        let disks = |record: &Record| -> Vec<(NodeName, Box<str>)> {
            let all = record.judged.iter().flat_map(|judged| judged.disks.iter());
            let turning = all.filter(|disk| disk.rotational == Some(true));
            let names = turning.flat_map(|disk| std::iter::once(&disk.path).chain(&disk.links));
            names.map(|name| (record.node.clone(), name.as_str().into())).collect()
        };
        self.records.values().flat_map(disks).collect()
    }

    /// What is under way stops at once when the approval is taken back.
    pub(super) fn withdraw(&self, system: &SystemId) {
        if let Some(adding) = self.adding.get(system) {
            adding.ground.send_modify(|ground| ground.is_approved = false);
        }
    }

    /// Takes in what came of a round.
    pub(super) async fn round_is_over(&mut self, system: SystemId, round: Round) -> Result<(), StoreError> {
        let adding = self.adding.remove(&system);
        let unwell = adding.map(|adding| adding.unwell).unwrap_or_default();
        if let Some((node, is_taken)) = round.moved {
            let is_taken = is_taken || self.moved.get(&system).is_some_and(|last| last.is_taken);
            let last = Last { node, at: clock::now(), before: unwell, is_taken };
            self.moved.insert(system.clone(), last);
        }
        for (wrong, refused) in round.settings {
            let asked = Asked { at: clock::now(), was: wrong.is, refused };
            self.asked.entry(system.clone()).or_default().insert(wrong.addition, asked);
        }
        if let Some(last) = round.last {
            self.served.insert(system.clone(), last);
        }
        let changes_cluster = self.changes_cluster(&system);
        self.announce(&system, changes_cluster);
        let now = clock::now();
        let mut changed = BTreeSet::new();
        for (node, result) in round.results {
            let Some(before) = self.records.get(&node) else { continue };
            let after = added(before, &result, now, rand::random());
            if *before != after {
                self.records.insert(node.clone(), after);
                changed.insert(node);
            }
        }
        self.save(&changed).await
    }

    /// Tells the work on a system whether something is added to it. The number is another one each time.
    pub(super) fn announce(&mut self, system: &SystemId, is_adding: bool) -> u64 {
        let mut number = self.additions + 1;
        self.watched.adding.send_if_modified(|systems| tell(systems, system, is_adding.then_some(&mut number)));
        self.additions = self.additions.max(number);
        number
    }

    /// Of a system without a cluster of ours, rounds alone are told.
    pub(super) fn tell_of_rounds(&mut self, system: &SystemId) {
        let is_open = self.adding.contains_key(system);
        self.announce(system, is_open);
    }

    /// Whether an order that changes the MDM cluster of a system is under way.
    pub(super) fn changes_cluster(&self, system: &SystemId) -> bool {
        self.clusters.get(system).is_some_and(|record| is_changing(record, clock::now()))
    }

    /// Whether the orders of a decision may go out: the work on the system knows of them and has no run. Else it is decided
    /// anew once it does.
    pub(super) fn may_change_cluster(&mut self, system: &SystemId, decision: &ClusterDecision) -> bool {
        let is_change = decision.orders.iter().any(|(_, errand)| errand.task.name() != Change::Look.name());
        let stays = decision.record.as_ref().is_some_and(|record| is_changing(record, clock::now()));
        let number = self.announce(system, is_change || stays || self.adding.contains_key(system));
        if !is_change {
            return true;
        }
        let Some(line) = self.watched.lines.get(system) else { return true };
        let (is_heeded, has_run) = {
            let shown = line.shown.borrow();
            (shown.adding == Some(number), shown.run.is_some())
        };
        self.again |= !is_heeded;
        is_heeded && !has_run
    }
}

/// Whether an order that changes an MDM cluster may be under way: it is begun before it expires, and ends in its time.
fn is_changing(record: &ClusterRecord, now: Timestamp) -> bool {
    record.open.values().any(|errand| {
        let ends = errand.at + EXPIRES + Duration::from_secs(within_s(&errand.task).into());
        errand.task.name() != Change::Look.name() && now < ends
    })
}

/// Whether the work on a system has taken in that something is added.
async fn is_heeded(shown: Option<watch::Receiver<Arc<Lifecycle>>>, number: u64, within: Duration) -> bool {
    let Some(mut shown) = shown else { return true };
    let heeded = tokio::time::timeout(within, shown.wait_for(|shown| shown.adding == Some(number))).await;
    matches!(heeded, Ok(Ok(_)))
}

/// Puts a system among those to which something is added, or takes it out. The number is of what was under way already, if
/// it was. True: that is news.
fn tell(systems: &mut Additions, system: &SystemId, number: Option<&mut u64>) -> bool {
    match (systems.get(system), number) {
        (None, Some(number)) => systems.insert(system.clone(), *number).is_none(),
        (Some(_), None) => systems.remove(system).is_some(),
        (Some(there), Some(number)) => {
            *number = *there;
            false
        }
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::cluster::Errand;
    use super::*;
    use crate::model::lifecycle::Mode;
    use crate::model::mdm::MdmTask;
    use crate::model::order::{OrderId, Task};
    use crate::model::version::Generation;
    use std::collections::BTreeMap;

    #[test]
    fn an_addition_keeps_its_number_while_it_lasts_and_the_next_one_has_another() {
        let (mut systems, system) = (Additions::new(), SystemId::new("prod"));
        let mut one = 1;
        assert!(tell(&mut systems, &system, Some(&mut one)));
        let mut again = 2;
        assert!(!tell(&mut systems, &system, Some(&mut again)));
        assert_eq!((one, again), (1, 1));
        assert!(tell(&mut systems, &system, None) && !tell(&mut systems, &system, None));
        let mut next = 2;
        assert!(tell(&mut systems, &system, Some(&mut next)));
        assert_eq!(systems, [(system, 2)].into());
    }

    #[test]
    fn an_order_for_the_cluster_counts_until_it_must_be_over_and_a_look_never_does() {
        let at = |seconds: i64| Timestamp::from_timestamp(seconds, 0).unwrap();
        let changing = |change: Change, seconds: i64| {
            let task = MdmTask {
                generation: Generation::V3_5,
                ask: Vec::new(),
                change,
                password_in_sight: false,
                accepted: BTreeSet::new(),
            };
            let errand = Errand { id: OrderId::new("mdm.1"), task: Task::Mdm(task), at: at(0) };
            let mut record = ClusterRecord::chosen(
                SystemId::new("prod"),
                "3.6-1.1".into(),
                Generation::V3_5,
                BTreeMap::new(),
                at(0),
            );
            record.open.insert(NodeName::new("n1"), errand);
            is_changing(&record, at(seconds))
        };
        assert!(changing(Change::Password, 1) && !changing(Change::Look, 1));
        assert!(changing(Change::Password, 20 * 60 - 1) && !changing(Change::Password, 20 * 60), "its host is gone");
    }

    #[test]
    fn a_setting_that_was_taken_and_does_not_show_is_asked_for_no_more_and_one_that_was_refused_after_a_while() {
        let at = |minutes: i64| Timestamp::UNIX_EPOCH + TimeDelta::minutes(minutes);
        let setting = crate::model::pool::PoolSetting::RmCache(true);
        let addition = Addition::Setting { domain: "d".into(), pool: "p".into(), setting };
        let wrong = Wrong { addition, is: "false".to_owned() };
        let taken = Asked { at: at(0), was: "false".to_owned(), refused: None };
        assert!(!taken.is_due("false", at(60)) && taken.is_due("true", at(1)), "somebody changed it since");
        assert_eq!(taken.told(&wrong, at(5)), None, "nobody has looked yet");
        let told = taken.told(&wrong, at(6)).unwrap();
        assert!(told.contains("the MDM took it and still tells false"), "{told}");
        let refused = Asked { refused: Some("no".to_owned()), ..taken };
        assert!(!refused.is_due("false", at(9)) && refused.is_due("false", at(10)));
        assert!(refused.told(&wrong, at(0)).unwrap().ends_with(": no"));
    }

    #[tokio::test]
    async fn nothing_is_added_before_the_work_has_taken_in_this_very_addition() {
        let with = |adding| {
            let nothing = Lifecycle::nothing(SystemId::new("prod"), Mode::Act, Timestamp::UNIX_EPOCH);
            Arc::new(Lifecycle { adding, ..nothing })
        };
        let work = watch::Sender::new(with(Some(1)));
        assert!(!is_heeded(Some(work.subscribe()), 2, Duration::ZERO).await, "what it knew of was the one before");
        let waiting = tokio::spawn(is_heeded(Some(work.subscribe()), 2, HEEDED));
        work.send_replace(with(Some(2)));
        assert!(waiting.await.unwrap());
        assert!(is_heeded(None, 1, HEEDED).await, "nobody works on the system");
    }
}
