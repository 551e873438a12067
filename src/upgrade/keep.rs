//! How do the journal and its plans lie in the store, whose values are short?
//!
//! | key | value |
//! |---|---|
//! | `work/SYSTEM/journal/NUMBER` | an entry of the journal |
//! | `work/SYSTEM/journal/NUMBER/PART` | the rest of one that is longer than a value may be |
//! | `work/SYSTEM/plan/HASH/PART` | a piece of a plan |
//!
//! A plan is stored before the record that names its hash, in as many commits
//! as it takes: half a plan has no hash that anybody could name.

use std::sync::Arc;

use serde::Deserialize;

use crate::model::id::{PlanId, SystemId};
use crate::model::plan::{FORM, Plan};
use crate::store::{Batch, Key, MAX_BATCH, MAX_VALUE, OPERATION_COST, State, StoreError};
use crate::work::book::Plans;
use crate::work::journal::{Broken, Journal};

/// Bytes of a piece. A batch of eight with its keys is well below the limit.
const PIECE: usize = 60 * 1024;

/// What was found in the store.
#[derive(Debug, Default)]
pub struct Kept {
    /// The journal, with all plans that are whole.
    pub journal: Journal,
    /// Whether the last entry was torn, and was left out.
    pub torn: bool,
    /// Plans that are not whole, or not what their hash says. No run is of them, or the journal is refused.
    pub broken: Vec<PlanId>,
}

/// Why the journal cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum KeepError {
    #[error(
        "the journal of system {system} is broken; restore a backup, or, when nothing is in maintenance, move the store away"
    )]
    Journal {
        system: SystemId,
        #[source]
        source: Broken,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads the journal of a system.
pub fn load(state: &State, system: &SystemId) -> Result<Kept, KeepError> {
    let (plans, broken) = plans(state, system);
    let prefix = format!("work/{system}/journal/");
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for (key, value) in &state.entries {
        // In the order of keys an entry comes right before its parts.
        let Some(place) = key.as_str().strip_prefix(&prefix) else { continue };
        match lines.last_mut().filter(|_| place.contains('/')) {
            Some(line) => line.extend_from_slice(value),
            None => lines.push(value.clone()),
        }
    }
    let replayed = Journal::replay(plans, lines.iter().map(Vec::as_slice));
    let (journal, torn) = replayed.map_err(|source| KeepError::Journal { system: system.clone(), source })?;
    Ok(Kept { journal, torn, broken })
}

/// The highest epoch under which anything was ordered in any system. Journals of before are not read for it: one that
/// cannot be is told when it is loaded.
pub fn last_epoch(state: &State) -> u64 {
    #[derive(Deserialize)]
    struct Ordered {
        record: WithEpoch,
    }
    #[derive(Deserialize)]
    struct WithEpoch {
        #[serde(default)]
        epoch: u64,
    }
    let entries = state.entries.iter().filter(|(key, _)| key.as_str().starts_with("work/"));
    entries
        .filter_map(|(_, value)| Some(serde_json::from_slice::<Ordered>(value).ok()?.record.epoch))
        .max()
        .unwrap_or(0)
}

fn plans(state: &State, system: &SystemId) -> (Plans, Vec<PlanId>) {
    let prefix = format!("work/{system}/plan/");
    let mut texts: std::collections::BTreeMap<&str, Vec<u8>> = std::collections::BTreeMap::new();
    for (key, value) in &state.entries {
        let Some((id, _)) = key.as_str().strip_prefix(&prefix).and_then(|place| place.split_once('/')) else {
            continue;
        };
        texts.entry(id).or_default().extend_from_slice(value);
    }
    let (mut plans, mut broken) = (Plans::new(), Vec::new());
    for (id, text) in texts {
        let id = PlanId::new(id);
        match serde_json::from_slice::<Plan>(&text) {
            Ok(plan) if plan.form <= FORM && plan.id() == id => {
                plans.insert(id, Arc::new(plan));
            }
            Ok(_) | Err(_) => broken.push(id),
        }
    }
    (plans, broken)
}

/// The commit that makes entries durable; the first of them has this number.
pub fn entries(system: &SystemId, first: u64, lines: &[Vec<u8>]) -> Result<Batch, StoreError> {
    let mut batch = Batch::new();
    for (number, line) in (first..).zip(lines) {
        let name = format!("work/{system}/journal/{number:012}");
        let mut pieces = line.chunks(PIECE);
        batch = batch.put(Key::new(&name)?, pieces.next().unwrap_or_default());
        for (part, piece) in pieces.enumerate() {
            batch = batch.put(Key::new(&format!("{name}/{part:04}"))?, piece);
        }
    }
    Ok(batch)
}

/// The commits that make a plan durable, in this order.
pub fn plan(system: &SystemId, plan: &Plan) -> Result<Vec<Batch>, StoreError> {
    const AT_ONCE: usize = MAX_BATCH / (MAX_VALUE + OPERATION_COST + 200);
    let (name, text) = (name(system, &plan.id()), text(plan));
    let pieces: Vec<(usize, &[u8])> = text.chunks(PIECE).enumerate().collect();
    pieces
        .chunks(AT_ONCE)
        .map(|pieces| {
            let put = |batch: Batch, (part, piece): &(usize, &[u8])| {
                Ok(batch.put(Key::new(&format!("{name}/{part:04}"))?, *piece))
            };
            pieces.iter().try_fold(Batch::new(), put)
        })
        .collect()
}

/// The commit that takes a plan out of the store.
pub fn forget(system: &SystemId, plan: &Plan) -> Result<Batch, StoreError> {
    let (name, pieces) = (name(system, &plan.id()), text(plan).len().div_ceil(PIECE));
    (0..pieces).try_fold(Batch::new(), |batch, part| Ok(batch.delete(Key::new(&format!("{name}/{part:04}"))?)))
}

fn name(system: &SystemId, id: &PlanId) -> String {
    format!("work/{system}/plan/{id}")
}

/// The very text that is hashed.
fn text(plan: &Plan) -> Vec<u8> {
    // A plan is made of maps with text keys and of numbers: writing it down cannot fail.
    serde_json::to_vec(plan).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::id::{NodeName, RunId};
    use crate::model::plan::{Approval, Basis, Limits, Parallel, Request, Risk, Stage, Step, Task};
    use crate::model::step::Action;
    use crate::model::unit::Timestamp;
    use crate::store::{Disk, Store as _};
    use crate::work::record::Record;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_timestamp(second, 0).unwrap()
    }

    fn system() -> SystemId {
        SystemId::new("prod")
    }

    /// A plan for so many nodes.
    fn plan_of(nodes: usize) -> Plan {
        let task = |number: usize| Task {
            node: NodeName::new(&format!("node-{number:05}-with-a-long-name.example.org")),
            agent: None,
            sds: None,
            domain: None,
            fault_set: None,
            mdm: None,
            carries: BTreeSet::new(),
            from: None,
            steps: vec![Step {
                action: Action::Soak { seconds: 60 },
                deadline_seconds: 60,
                predicted_seconds: 60,
                risk: Risk::None,
            }],
        };
        Plan {
            form: FORM,
            system: system(),
            request: Request::Rollout,
            made_at: at(0),
            parent: None,
            based_on: Basis::default(),
            limits: Limits::default(),
            stages: vec![Stage {
                name: "work".into(),
                parallel: Parallel::All,
                most: 9,
                canary: false,
                tasks: (0..nodes).map(task).collect(),
            }],
        }
    }

    struct Written {
        store: crate::store::MemoryStore,
        state: State,
        journal: Journal,
    }

    impl Written {
        fn new() -> Self {
            let mut store = Disk::new().open().unwrap();
            let state = store.load().unwrap();
            Self { store, state, journal: Journal::default() }
        }

        fn commit(&mut self, batch: &Batch) {
            let (epoch, version) = (self.state.epoch, self.state.version);
            self.store.commit(epoch, version, batch).unwrap();
            self.state = self.store.load().unwrap();
        }

        fn file(&mut self, filed: Plan) -> PlanId {
            for batch in plan(&system(), &filed).unwrap() {
                self.commit(&batch);
            }
            self.journal.file(filed)
        }

        fn write(&mut self, record: Record) {
            let first = self.journal.len();
            let lines = self.journal.append(&[record], at(5)).unwrap();
            self.commit(&entries(&system(), first, &lines).unwrap());
        }

        fn held(name: &str) -> Record {
            Record::HeldNode { node: NodeName::new(name), until: None, by: "me".into() }
        }
    }

    #[test]
    fn a_journal_with_a_plan_of_a_thousand_nodes_is_read_back_as_it_was() {
        let mut written = Written::new();
        let id = written.file(plan_of(1024));
        assert!(written.state.entries.len() > 3, "the plan is longer than a value may be");
        written.write(Written::held("a"));
        let approval = Approval::Hash { plan: id.clone(), by: "me".into(), at: at(1) };
        let many = (0..4000).map(|n| (format!("Alert{n}").into(), "an object with a name".into())).collect();
        written.write(Record::Opened { run: RunId::new("r"), plan: id, approval, baseline: many });
        for number in 0..40 {
            written.write(Record::Began { run: RunId::new("r"), task: number });
        }
        let kept = load(&written.state, &system()).unwrap();
        assert_eq!(kept.journal, written.journal);
        assert!(!kept.torn && kept.broken.is_empty());
        // Another system has a journal of its own.
        assert_eq!(load(&written.state, &SystemId::new("lab")).unwrap().journal, Journal::default());
    }

    #[test]
    fn a_torn_last_entry_is_left_out_and_the_next_one_takes_its_place() {
        let mut written = Written::new();
        written.write(Written::held("a"));
        written.write(Written::held("b"));
        let last = Key::new("work/prod/journal/000000000001").unwrap();
        let torn = written.state.entries.get(&last).unwrap()[..20].to_vec();
        written.commit(&Batch::new().put(last, torn));
        let kept = load(&written.state, &system()).unwrap();
        assert!(kept.torn);
        assert_eq!(kept.journal.len(), 1);
        written.journal = kept.journal;
        written.write(Written::held("c"));
        let again = load(&written.state, &system()).unwrap();
        assert!(!again.torn);
        assert_eq!(again.journal, written.journal);
    }

    #[test]
    fn a_lost_entry_refuses_the_journal_with_a_mend() {
        let mut written = Written::new();
        for name in ["a", "b", "c"] {
            written.write(Written::held(name));
        }
        written.commit(&Batch::new().delete(Key::new("work/prod/journal/000000000001").unwrap()));
        let error = load(&written.state, &system()).unwrap_err();
        assert!(error.to_string().contains("restore a backup"), "{error}");
    }

    #[test]
    fn half_a_plan_is_named_and_harms_nobody_until_a_run_is_of_it() {
        let mut written = Written::new();
        let filed = plan_of(1024);
        let id = filed.id();
        let batches = plan(&system(), &filed).unwrap();
        written.commit(&batches[0]);
        written.commit(&Batch::new().delete(Key::new(&format!("work/prod/plan/{id}/0001")).unwrap()));
        let kept = load(&written.state, &system()).unwrap();
        assert_eq!(kept.broken, std::slice::from_ref(&id));
        assert!(kept.journal.book().plans.is_empty());
        // A run of it, written by somebody who had all of it.
        written.journal.file(filed);
        let approval = Approval::Hash { plan: id.clone(), by: "me".into(), at: at(1) };
        written.write(Record::Opened { run: RunId::new("r"), plan: id, approval, baseline: BTreeSet::new() });
        assert!(load(&written.state, &system()).is_err());
    }

    #[test]
    fn a_forgotten_plan_leaves_nothing_behind() {
        let mut written = Written::new();
        let filed = plan_of(1024);
        written.file(filed.clone());
        written.commit(&forget(&system(), &filed).unwrap());
        assert!(written.state.entries.is_empty());
    }
}
