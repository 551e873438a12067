//! How do the journal and its plans lie in the store, whose values are short?
//!
//! | key | value |
//! |---|---|
//! | `work/SYSTEM/journal/NUMBER` | an entry of the journal |
//! | `work/SYSTEM/journal/NUMBER/PART` | the rest of one that is longer than a value may be |
//! | `work/SYSTEM/plan/HASH/PART` | a piece of a plan |
//! | `work/SYSTEM/times` | how long steps took |
//! | `work/SYSTEM/base/PART` | a piece of what the entries added up to that are not there any more |
//!
//! A plan is stored before the record that names its hash, in as many commits
//! as it takes: half a plan has no hash that anybody could name.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::times::Times;
use crate::model::id::{PlanId, SystemId};
use crate::model::plan::{FORM, Plan};
use crate::store::{Batch, Key, MAX_BATCH, MAX_VALUE, OPERATION_COST, State, StoreError};
use crate::work::book::Plans;
use crate::work::journal::{Broken, FORM as JOURNAL_FORM, Journal, Replayed};

/// Bytes of a piece. A batch of eight with its keys is well below the limit.
const PIECE: usize = 60 * 1024;

/// Entries that are taken away in one commit.
const DELETED_AT_ONCE: usize = 1_000;

/// What was found in the store.
#[derive(Debug, Default)]
pub struct Kept {
    /// The journal, with all plans that are whole.
    pub journal: Journal,
    /// It before its newest run; none: no run is in it.
    pub before: Option<Journal>,
    /// Its entries, and the number of the first of them.
    pub lines: Vec<Vec<u8>>,
    /// The number of the first of them.
    pub first: u64,
    /// Pieces of what was put away.
    pub pieces: usize,
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
    let fail = |source| KeepError::Journal { system: system.clone(), source };
    let (base, pieces) = base(state, system).map_err(fail)?;
    let first = base.len();
    let prefix = format!("work/{system}/journal/");
    let mut lines: Vec<Vec<u8>> = Vec::new();
    let mut left = false;
    for (key, value) in &state.entries {
        // In the order of keys an entry comes right before its parts.
        let Some(place) = key.as_str().strip_prefix(&prefix) else { continue };
        match place.split_once('/') {
            Some(_) if left => {}
            Some(_) => lines.last_mut().into_iter().for_each(|line| line.extend_from_slice(value)),
            None => {
                // What was put away and not taken away any more, when the last life ended.
                left = place.parse::<u64>().is_ok_and(|number| number < first);
                if !left {
                    lines.push(value.clone());
                }
            }
        }
    }
    let Replayed { journal, before, torn } = base.replay(plans, lines.iter().map(Vec::as_slice)).map_err(fail)?;
    if torn {
        lines.pop();
    }
    Ok(Kept { journal, before, lines, first, pieces, torn, broken })
}

/// What was put away, with the number of its pieces; nothing, where nothing was.
fn base(state: &State, system: &SystemId) -> Result<(Journal, usize), Broken> {
    let prefix = format!("work/{system}/base/");
    let pieces = || state.entries.iter().filter(|(key, _)| key.as_str().starts_with(&prefix));
    let text: Vec<u8> = pieces().flat_map(|(_, value)| value.iter().copied()).collect();
    if text.is_empty() {
        return Ok((Journal::default(), 0));
    }
    let read = serde_json::from_slice::<Base>(&text).map_err(|error| Broken::Base { why: error.to_string() })?;
    if read.form > JOURNAL_FORM {
        return Err(Broken::Newer { number: read.journal.len(), form: read.form });
    }
    Ok((read.journal, pieces().count()))
}

/// What the entries of before add up to.
#[derive(Debug, Serialize, Deserialize)]
struct Base {
    form: u16,
    journal: Journal,
}

/// The commits that put away everything before a moment of the journal, in this order: the first one has all that must be
/// together. The entries of that time have numbers from `first` on, and these are the numbers of pieces of those that have
/// several; what was put away before has so many pieces, and the plans are no others' any more. Also gives how many pieces
/// there are then.
pub fn put_away(
    system: &SystemId,
    earlier: &Journal,
    first: u64,
    long: &BTreeMap<u64, usize>,
    pieces: usize,
    plans: &[Arc<Plan>],
) -> Result<(Vec<Batch>, usize), StoreError> {
    let base = Base { form: JOURNAL_FORM, journal: earlier.base() };
    // Maps with text keys and numbers: writing it down cannot fail.
    let text = serde_json::to_vec(&base).unwrap_or_default();
    let mut batch = Batch::new();
    for (part, piece) in text.chunks(PIECE).enumerate() {
        batch = batch.put(Key::new(&format!("work/{system}/base/{part:04}"))?, piece);
    }
    // A base that was longer before leaves no piece behind.
    let now = text.len().div_ceil(PIECE);
    for part in now..pieces {
        batch = batch.delete(Key::new(&format!("work/{system}/base/{part:04}"))?);
    }
    for plan in plans {
        for (key, _) in forget(system, plan)?.changes() {
            batch = batch.delete(key.clone());
        }
    }
    let mut batches = vec![batch];
    let mut gone = Vec::new();
    for number in first..earlier.len() {
        let name = format!("work/{system}/journal/{number:012}");
        gone.push(Key::new(&name)?);
        for part in 0..long.get(&number).map_or(0, |pieces| pieces.saturating_sub(1)) {
            gone.push(Key::new(&format!("{name}/{part:04}"))?);
        }
    }
    batches.extend(gone.chunks(DELETED_AT_ONCE).map(|keys| keys.iter().cloned().fold(Batch::new(), Batch::delete)));
    Ok((batches, now))
}

/// How many pieces an entry has, when that is more than one.
pub fn pieces(line: &[u8]) -> Option<usize> {
    Some(line.len().div_ceil(PIECE)).filter(|pieces| *pieces > 1)
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
    let mut texts: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
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

/// Where it is kept how long steps took.
pub fn times_key(system: &SystemId) -> Result<Key, StoreError> {
    Key::new(&format!("work/{system}/times"))
}

/// How long steps took; what cannot be read counts as nothing.
pub fn times(state: &State, system: &SystemId) -> Times {
    let value = times_key(system).ok().and_then(|key| state.entries.get(&key));
    value.and_then(|value| serde_json::from_slice(value).ok()).unwrap_or_default()
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
                domains: 1,
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
        assert_eq!(kept.before.unwrap().len(), 1, "what was before the run");
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
    fn what_was_put_away_leaves_its_sum_also_when_taking_it_away_was_cut_off() {
        let mut written = Written::new();
        written.write(Written::held("kept"));
        let mut marks = Vec::new();
        for number in 0..3 {
            let id = written.file(Plan { made_at: at(number), ..plan_of(300) });
            marks.push(written.journal.clone());
            let run = RunId::new(&format!("run-{number}"));
            let approval = Approval::Hash { plan: id.clone(), by: "me".into(), at: at(1) };
            let many =
                (0..1500).map(|n| (format!("Alert{n}").into(), "an object with a long name in it".into())).collect();
            written.write(Record::Opened { run: run.clone(), plan: id, approval, baseline: many });
            for task in 0..3 {
                written.write(Record::Skipped { run: run.clone(), task, by: "me".into() });
            }
            written.write(Record::Closed { run, end: crate::work::record::End::Cancelled });
        }
        let before = load(&written.state, &system()).unwrap();
        assert_eq!(before.before.as_ref().unwrap().len(), marks[2].len());
        let long: BTreeMap<u64, usize> =
            (before.first..).zip(&before.lines).filter_map(|(number, line)| Some((number, pieces(line)?))).collect();
        assert!(!long.is_empty());
        let plans: Vec<_> = marks[2].book().plans.values().cloned().collect();
        let mine = marks[2].book().runs.values().map(|run| run.plan_id.clone()).collect::<BTreeSet<_>>();
        let gone: Vec<_> = plans.into_iter().filter(|plan| mine.contains(&plan.id())).collect();
        let entries = written.state.entries.len();
        let (batches, pieces) = put_away(&system(), &marks[2], 0, &long, before.pieces, &gone).unwrap();
        written.journal.put_away(&marks[2]);
        for (number, batch) in batches.iter().enumerate() {
            written.commit(batch);
            // Whenever the life ends, the next one knows the same.
            let again = load(&written.state, &system()).unwrap();
            assert_eq!(again.journal, written.journal, "after commit {number}");
            assert_eq!((again.first, again.pieces), (marks[2].len(), pieces));
            assert!(again.broken.is_empty());
        }
        assert!(written.state.entries.len() < entries / 2);
        let book = written.journal.book();
        assert_eq!((book.put_away, book.runs.len(), book.past.len(), book.held.len()), (2, 1, 2, 1));
        // It goes on as if nothing had been put away, and puts away again.
        written.write(Written::held("later"));
        assert_eq!(load(&written.state, &system()).unwrap().journal, written.journal);
    }

    #[test]
    fn what_was_put_away_leaves_no_piece_when_it_becomes_shorter() {
        let mut written = Written::new();
        let nodes: Vec<NodeName> = (0..4_700).map(|number| NodeName::new(&format!("node-{number:090}"))).collect();
        for node in &nodes {
            written.write(Record::HeldNode { node: node.clone(), until: None, by: "me".into() });
        }
        let put = |written: &mut Written| {
            let kept = load(&written.state, &system()).unwrap();
            let journal = written.journal.clone();
            let (batches, pieces) =
                put_away(&system(), &journal, kept.first, &BTreeMap::new(), kept.pieces, &[]).unwrap();
            batches.iter().for_each(|batch| written.commit(batch));
            let again = load(&written.state, &system()).unwrap();
            assert_eq!((again.journal, again.pieces), (journal, pieces));
            pieces
        };
        let many = put(&mut written);
        assert!(many > 7, "{many}");
        for node in nodes {
            written.write(Record::Released { node, by: "me".into() });
        }
        assert_eq!(put(&mut written), 1);
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
