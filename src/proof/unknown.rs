//! What nobody can tell: which maintenance of somebody else looks to everybody like ours. Kept by the truth, for the judge.

use std::collections::BTreeMap;

use crate::model::step::{Answer, StepId, StepKind};
use crate::model::unit::Timestamp;
use crate::sim::world::Id;
use crate::work::book::SETTLE;

/// The book of it.
#[derive(Clone, Debug, Default)]
pub struct Unknown {
    /// Servers in a maintenance of somebody else that nobody can tell from ours, and which order of ours is why.
    pub alike: BTreeMap<Id, StepKind>,
    /// Orders to enter maintenance that were not answered and, for all that was seen, may have been obeyed.
    open_enters: BTreeMap<StepId, (Id, Timestamp)>,
    /// Maintenance of ours that somebody else ended, which nobody saw; and when ours began.
    unseen_ends: BTreeMap<Id, Timestamp>,
    /// Orders to leave it that were obeyed, which nobody heard or saw.
    unheard_exits: BTreeMap<Id, StepId>,
}

impl Unknown {
    /// An order to enter maintenance is to leave the controller. Somebody else may have been quicker since it last looked.
    pub(super) fn ordered(&mut self, step: &StepId, sds: Id, is_foreign: bool, now: Timestamp) {
        self.open_enters.insert(step.clone(), (sds, now));
        if is_foreign {
            self.alike.insert(sds, StepKind::EnterMaintenance);
        }
    }

    /// An order to leave it was obeyed.
    pub(super) fn left(&mut self, step: &StepId, sds: Id) {
        self.unheard_exits.insert(sds, step.clone());
    }

    /// Somebody else ended one that we had begun.
    pub(super) fn ended(&mut self, sds: Id, began_at: Timestamp) {
        self.unseen_ends.insert(sds, began_at);
    }

    /// The controller, which is alive, heard what came of an order.
    pub(super) fn answered(&mut self, step: &StepId, answer: &Answer) {
        let entered = self.open_enters.remove(step).map(|(sds, _)| sds);
        // Whoever was refused knows that what it sees is not its own.
        if let Some(sds) = entered.filter(|_| matches!(answer, Answer::Refused { .. }))
            && !self.may_look_like_ours(sds)
        {
            self.alike.remove(&sds);
        }
        let exit = self.unheard_exits.iter().find(|(_, exit)| *exit == step);
        if let Some(id) = exit.map(|(id, _)| *id) {
            self.unheard_exits.remove(&id);
            self.open_enters.retain(|_, (entered, _)| *entered != id);
        }
    }

    /// The controller saw how the servers are now, and wrote down what follows. Of one outside of maintenance it knows that
    /// no order keeps it in.
    pub(super) fn looked(&mut self, now: Timestamp, outside: impl Fn(Id) -> bool) {
        self.open_enters.retain(|_, (id, at)| !outside(*id) || now <= *at + SETTLE);
        self.unseen_ends.retain(|id, at| !outside(*id) || now <= *at + SETTLE);
        self.unheard_exits.retain(|id, _| !outside(*id));
    }

    /// Somebody else put a server into maintenance.
    pub(super) fn entered(&mut self, sds: Id) {
        if self.may_look_like_ours(sds) {
            self.alike.insert(sds, StepKind::EnterMaintenance);
        } else if self.unheard_exits.contains_key(&sds) {
            self.alike.insert(sds, StepKind::ExitMaintenance);
        }
    }

    fn may_look_like_ours(&self, sds: Id) -> bool {
        self.open_enters.values().any(|(at, _)| *at == sds) || self.unseen_ends.contains_key(&sds)
    }
}
