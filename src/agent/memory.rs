//! What an agent must not forget, and what follows for an order that comes in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::order::{Finished, Order, OrderId, Outcome};
use crate::model::unit::Timestamp;

/// Finished orders whose outcomes are kept. The controller repeats an order
/// only until it has the outcome, so this is many times what it can ask for.
const REMEMBERED: usize = 1_000;

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// A leader of this epoch was heard; none of an older one is obeyed from here on.
    Epoch {
        /// The epoch.
        epoch: u64,
    },
    /// The agent is in a step. Secrets are taken out of the order.
    Begun {
        /// The order.
        order: Order,
        /// Since when.
        at: Timestamp,
    },
    /// The next thing done to the node belongs to this step.
    Acting {
        /// The step.
        id: OrderId,
        /// The boot it is done in.
        boot_id: String,
    },
    /// A step is over.
    Finished {
        /// The epoch it was ordered in.
        epoch: u64,
        /// What was ordered, in short.
        digest: String,
        /// How it ended.
        result: Finished,
    },
    /// The controller has the outcome.
    Acknowledged {
        /// Of this step.
        id: OrderId,
    },
}

/// The step an agent is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// What was ordered. Its secrets are there only until the agent is started again.
    pub order: Order,
    /// Since when.
    pub begun_at: Timestamp,
    /// How often something was done to the node.
    pub acts: u32,
    /// The boot in which that was last.
    pub acted_in: Option<String>,
}

/// A step that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Past {
    epoch: u64,
    digest: String,
    result: Finished,
    acknowledged: bool,
    number: u64,
}

/// All that the ledger says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    epoch: u64,
    current: Option<Current>,
    past: BTreeMap<OrderId, Past>,
    counted: u64,
}

/// What becomes of an order that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is the next step.
    Begin,
    /// It is the step the agent is in.
    Continue,
    /// It is over; this is how it ended.
    Repeat(Finished),
    /// It is not obeyed.
    Refuse(String),
}

impl Memory {
    /// The highest epoch heard of.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The step the agent is in.
    pub const fn current(&self) -> Option<&Current> {
        self.current.as_ref()
    }

    /// What is over and not acknowledged, the oldest first.
    pub fn unacknowledged(&self) -> Vec<Finished> {
        let mut past: Vec<&Past> = self.past.values().filter(|past| !past.acknowledged).collect();
        past.sort_by_key(|past| past.number);
        past.into_iter().map(|past| past.result.clone()).collect()
    }

    /// What is done with an order that came in at a moment.
    pub fn admit(&self, order: &Order, now: Timestamp) -> Admission {
        if order.epoch < self.epoch {
            return Admission::Refuse(format!(
                "it comes from a controller of epoch {}, and epoch {} was heard since; a controller that was replaced gives no orders",
                order.epoch, self.epoch
            ));
        }
        if let Some(past) = self.past.get(&order.id) {
            return if past.digest == digest(order) {
                Admission::Repeat(past.result.clone())
            } else {
                Admission::Refuse("another order of this id is over already; an id is given once".to_owned())
            };
        }
        match &self.current {
            Some(current) if current.order.id == order.id && digest(&current.order) == digest(order) => {
                Admission::Continue
            }
            Some(current) if current.order.id == order.id => {
                Admission::Refuse("another order of this id is under way; an id is given once".to_owned())
            }
            Some(current) => {
                Admission::Refuse(format!("the agent is in step {}, and does one at a time", current.order.id))
            }
            None if order.expires <= now => Admission::Refuse(format!(
                "it was to be begun before {}, and it is {}; the controller must look again whether it is safe",
                order.expires.to_rfc3339(),
                now.to_rfc3339()
            )),
            None => Admission::Begin,
        }
    }

    /// Takes a record in. One that does not fit to those before it changes nothing.
    pub fn take(&mut self, record: Record) {
        match record {
            Record::Epoch { epoch } => self.epoch = self.epoch.max(epoch),
            Record::Begun { order, at } => {
                self.epoch = self.epoch.max(order.epoch);
                self.current = Some(Current { order, begun_at: at, acts: 0, acted_in: None });
            }
            Record::Acting { id, boot_id } => {
                if let Some(current) = self.current.as_mut().filter(|current| current.order.id == id) {
                    current.acts = current.acts.saturating_add(1);
                    current.acted_in = Some(boot_id);
                }
            }
            Record::Finished { epoch, digest, result } => {
                self.current.take_if(|current| current.order.id == result.id);
                self.counted += 1;
                let past = Past { epoch, digest, acknowledged: false, number: self.counted, result };
                self.past.insert(past.result.id.clone(), past);
                self.forget();
            }
            Record::Acknowledged { id } => {
                if let Some(past) = self.past.get_mut(&id) {
                    past.acknowledged = true;
                }
            }
        }
    }

    /// Lets go of the oldest outcomes that the controller has.
    fn forget(&mut self) {
        if self.past.len() <= REMEMBERED {
            return;
        }
        let oldest = self.past.values().filter(|past| past.acknowledged).min_by_key(|past| past.number);
        if let Some(id) = oldest.map(|past| past.result.id.clone()) {
            self.past.remove(&id);
        }
    }

    /// The shortest ledger that says the same.
    pub fn records(&self) -> Vec<Record> {
        let mut records = vec![Record::Epoch { epoch: self.epoch }];
        let mut past: Vec<&Past> = self.past.values().collect();
        past.sort_by_key(|past| past.number);
        for past in past {
            records.push(Record::Finished {
                epoch: past.epoch,
                digest: past.digest.clone(),
                result: past.result.clone(),
            });
            if past.acknowledged {
                records.push(Record::Acknowledged { id: past.result.id.clone() });
            }
        }
        if let Some(current) = &self.current {
            records.push(Record::Begun { order: without_secrets(&current.order), at: current.begun_at });
            let boot_id = current.acted_in.clone().unwrap_or_default();
            let acting = Record::Acting { id: current.order.id.clone(), boot_id };
            records.extend(std::iter::repeat_n(acting, current.acts as usize));
        }
        records
    }
}

/// An order as the ledger keeps it.
pub fn without_secrets(order: &Order) -> Order {
    Order { secrets: Default::default(), ..order.clone() }
}

/// What was ordered, whoever leads and however long the permit lasts.
pub fn digest(order: &Order) -> String {
    use sha2::{Digest, Sha256};
    // A task is plain data, and always has a JSON form.
    let task = serde_json::to_vec(&order.task).unwrap_or_default();
    super::hex(&Sha256::digest(task))
}

/// A step that never began.
pub fn refused(order: &Order, why: String, at: Timestamp) -> Finished {
    Finished { id: order.id.clone(), outcome: Outcome::Refused { why }, at, found: BTreeMap::new() }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{at, order, reboot, secret_install};
    use super::*;

    fn begun(order: &Order) -> Record {
        Record::Begun { order: without_secrets(order), at: at(0) }
    }

    fn finished(order: &Order) -> Record {
        let result = Finished { id: order.id.clone(), outcome: Outcome::Done, at: at(9), found: BTreeMap::new() };
        Record::Finished { epoch: order.epoch, digest: digest(order), result }
    }

    fn memory(records: impl IntoIterator<Item = Record>) -> Memory {
        let mut memory = Memory::default();
        records.into_iter().for_each(|record| memory.take(record));
        memory
    }

    #[test]
    fn a_controller_that_was_replaced_is_not_obeyed() {
        let old = order("a", 4, reboot());
        let memory = memory([Record::Epoch { epoch: 5 }]);
        assert!(matches!(memory.admit(&old, at(1)), Admission::Refuse(why) if why.contains("epoch 5")));
        assert_eq!(memory.admit(&Order { epoch: 5, ..old }, at(1)), Admission::Begin);
    }

    #[test]
    fn a_step_that_is_over_gives_its_stored_outcome_again_under_a_new_leader_too() {
        let done = order("a", 4, reboot());
        let memory = memory([begun(&done), finished(&done)]);
        let again = Order { epoch: 9, expires: at(10_000), ..done.clone() };
        assert!(matches!(memory.admit(&again, at(1)), Admission::Repeat(result) if result.outcome == Outcome::Done));
        let other = Order { task: secret_install().task, ..done };
        assert!(matches!(memory.admit(&other, at(1)), Admission::Refuse(why) if why.contains("given once")));
    }

    #[test]
    fn one_step_at_a_time_and_none_after_its_permit_ended() {
        let (first, second) = (order("a", 4, reboot()), order("b", 4, reboot()));
        let busy = memory([begun(&first)]);
        assert_eq!(busy.admit(&first, at(9_999)), Admission::Continue, "it was begun in time");
        assert!(matches!(busy.admit(&second, at(1)), Admission::Refuse(why) if why.contains("one at a time")));
        let idle = Memory::default();
        assert!(matches!(idle.admit(&first, first.expires), Admission::Refuse(why) if why.contains("look again")));
    }

    #[test]
    fn the_shortest_ledger_says_the_same() {
        let (first, second) = (order("a", 4, reboot()), order("b", 6, reboot()));
        let acting = Record::Acting { id: second.id.clone(), boot_id: "boot".to_owned() };
        let whole = memory([
            begun(&first),
            finished(&first),
            Record::Acknowledged { id: first.id.clone() },
            begun(&second),
            acting.clone(),
            acting,
        ]);
        assert_eq!(memory(whole.records()), whole);
        assert_eq!(whole.current().map(|current| current.acts), Some(2));
    }

    #[test]
    fn outcomes_the_controller_does_not_have_are_never_forgotten() {
        let mut memory = Memory::default();
        for number in 0..REMEMBERED + 50 {
            let order = order(&format!("s{number}"), 1, reboot());
            memory.take(finished(&order));
            if number != 3 {
                memory.take(Record::Acknowledged { id: order.id });
            }
        }
        assert_eq!(memory.past.len(), REMEMBERED);
        assert_eq!(memory.unacknowledged().iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["s3"]);
    }

    #[test]
    fn no_secret_is_kept() {
        let order = secret_install();
        assert!(serde_json::to_string(&order).unwrap().contains("hunter2"));
        assert!(!serde_json::to_string(&begun(&order)).unwrap().contains("hunter2"));
    }
}
