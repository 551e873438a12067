//! How records are kept so that nobody, not even we, can change what was: each
//! entry names the hash of the one before it, and replaying all of them gives the book.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::book::{Book, Misfit, Plans};
use super::mutant;
use super::record::Record;
use crate::model::id::PlanId;
use crate::model::plan::{Plan, hex};
use crate::model::unit::Timestamp;

/// The form of an entry that this version writes. Since 3 plans may take a maintenance over or send nodes back: who does not
/// know that reads no such journal.
pub const FORM: u16 = 3;

/// A record at its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Entry {
    pub form: u16,
    pub number: u64,
    pub at: Timestamp,
    /// Hash of the entry before; empty at the first.
    pub before: Box<str>,
    pub record: Record,
}

/// An entry as it is written down.
#[derive(Serialize)]
struct Written<'a> {
    form: u16,
    number: u64,
    at: Timestamp,
    before: &'a str,
    record: &'a Record,
}

/// The book with the end of the chain that it came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    book: Book,
    next: u64,
    head: Box<str>,
}

/// What entries added up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// All of them.
    pub journal: Journal,
    /// Those before the newest run; none: there is no run among them.
    pub before: Option<Journal>,
    /// Whether the last one was torn, and is left out.
    pub torn: bool,
}

/// Why entries are no journal.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum Broken {
    #[error(
        "entry {number} of the journal has the form {form}, and this version knows forms up to {FORM}; run the newer version that wrote it"
    )]
    Newer { number: u64, form: u16 },
    #[error("entry {number} of the journal cannot be read: {why}")]
    Unreadable { number: u64, why: String },
    #[error("entry {number} of the journal is numbered {found}: one was lost or added")]
    Number { number: u64, found: u64 },
    #[error("entry {number} of the journal does not follow the one before it: something was changed")]
    Chain { number: u64 },
    #[error("what was put away of the journal cannot be read: {why}")]
    Base { why: String },
    #[error("entry {number} of the journal: {misfit}")]
    Misfit { number: u64, misfit: Misfit },
}

impl Journal {
    /// What the records add up to.
    pub const fn book(&self) -> &Book {
        &self.book
    }

    /// How many entries there are.
    pub const fn len(&self) -> u64 {
        self.next
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.next == 0
    }

    /// Hash of the last entry.
    pub fn head(&self) -> &str {
        &self.head
    }

    /// Puts a plan on file, so that a run may be of it. It must be as durable as the record that names it.
    pub fn file(&mut self, plan: Plan) -> PlanId {
        let id = plan.id();
        self.book.plans.entry(id.clone()).or_insert_with(|| Arc::new(plan));
        id
    }

    /// Takes a plan from the file that no run is of.
    pub fn drop_plan(&mut self, id: &PlanId) {
        if self.book.runs.values().all(|run| run.plan_id != *id) {
            self.book.plans.remove(id);
        }
    }

    /// Takes records in, all or none, and gives the entries that must be durable
    /// before anybody acts on them. Time never goes back in a journal.
    pub fn append(&mut self, records: &[Record], now: Timestamp) -> Result<Vec<Vec<u8>>, Broken> {
        let now = self.book.at.map_or(now, |last| now.max(last));
        match records {
            [] => Ok(Vec::new()),
            // One that does not fit changes nothing by itself.
            [record] => Ok(vec![self.write(record, now)?]),
            _ => {
                let mut next = self.clone();
                let lines = records.iter().map(|record| next.write(record, now)).collect::<Result<_, _>>()?;
                *self = next;
                Ok(lines)
            }
        }
    }

    fn write(&mut self, record: &Record, now: Timestamp) -> Result<Vec<u8>, Broken> {
        let number = self.next;
        let written = Written { form: FORM, number, at: now, before: &self.head, record };
        let line =
            serde_json::to_vec(&written).map_err(|error| Broken::Unreadable { number, why: error.to_string() })?;
        self.follow(record, now, &line)?;
        Ok(line)
    }

    /// Reads all entries that follow what was put away. The last one may be torn: it was not acknowledged, so
    /// nothing was done for it; it is left out, and the answer says so.
    pub fn replay<'a>(self, plans: Plans, lines: impl IntoIterator<Item = &'a [u8]>) -> Result<Replayed, Broken> {
        let mut journal = Self { book: Book { plans, ..self.book }, ..self };
        let mut before = None;
        let mut lines = lines.into_iter().peekable();
        while let Some(line) = lines.next() {
            let number = journal.next;
            #[derive(Deserialize)]
            struct Form {
                form: u16,
            }
            let entry = match serde_json::from_slice::<Entry>(line) {
                Ok(Entry { form, .. }) if form > FORM => return Err(Broken::Newer { number, form }),
                Ok(_) if lines.peek().is_none() && mutant::is("read all but the last") => break,
                Ok(entry) => entry,
                // Of an entry that cannot be read, its form at least may be.
                Err(error) => match serde_json::from_slice::<Form>(line) {
                    Ok(Form { form }) if form > FORM => return Err(Broken::Newer { number, form }),
                    Err(_) if lines.peek().is_none() => return Ok(Replayed { journal, before, torn: true }),
                    Ok(_) | Err(_) => return Err(Broken::Unreadable { number, why: error.to_string() }),
                },
            };
            if matches!(entry.record, Record::Opened { .. }) {
                before = Some(journal.clone());
            }
            journal.take(&entry, line)?;
        }
        Ok(Replayed { journal, before, torn: false })
    }

    /// Without the runs that were over at an earlier moment of it; of each a line is left.
    pub fn put_away(&mut self, earlier: &Self) -> Vec<PlanId> {
        self.book.put_away(&earlier.book.runs.keys().cloned().collect())
    }

    /// What the entries up to here add up to, as it is kept in their place.
    #[must_use]
    pub fn base(&self) -> Self {
        let mut base = self.clone();
        base.put_away(self);
        base.book.plans = Plans::new();
        base
    }

    fn take(&mut self, entry: &Entry, line: &[u8]) -> Result<(), Broken> {
        let number = self.next;
        if entry.number != number {
            return Err(Broken::Number { number, found: entry.number });
        }
        if entry.before != self.head {
            return Err(Broken::Chain { number });
        }
        self.follow(&entry.record, entry.at, line)
    }

    /// Takes in the next record, which was written down in this line.
    fn follow(&mut self, record: &Record, at: Timestamp, line: &[u8]) -> Result<(), Broken> {
        let number = self.next;
        self.book.apply(record, at).map_err(|misfit| Broken::Misfit { number, misfit })?;
        self.head = hex(&Sha256::digest(line)).into();
        self.next += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::NodeName;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_timestamp(second, 0).unwrap()
    }

    fn three() -> (Journal, Vec<Vec<u8>>) {
        let mut journal = Journal::default();
        let mut lines = Vec::new();
        for name in ["a", "b", "c"] {
            let record = Record::HeldNode { node: NodeName::new(name), until: None, by: "me".into() };
            lines.extend(journal.append(&[record], at(5)).unwrap());
        }
        (journal, lines)
    }

    fn read(lines: &[Vec<u8>]) -> Result<(Journal, bool), Broken> {
        let replayed = Journal::default().replay(Plans::new(), lines.iter().map(Vec::as_slice))?;
        Ok((replayed.journal, replayed.torn))
    }

    #[test]
    fn a_replay_gives_the_same_book_and_the_same_end() {
        let (journal, lines) = three();
        assert_eq!(read(&lines).unwrap(), (journal, false));
    }

    #[test]
    fn a_torn_end_is_left_out_and_a_torn_middle_is_refused() {
        let (_, mut lines) = three();
        lines[2].truncate(20);
        let (journal, torn) = read(&lines).unwrap();
        assert!(torn && journal.len() == 2);
        lines[1].truncate(20);
        assert!(matches!(read(&lines), Err(Broken::Unreadable { number: 1, .. })));
    }

    #[test]
    fn a_changed_lost_or_doubled_entry_is_noticed() {
        let (_, lines) = three();
        let mut changed = lines.clone();
        changed[1] = String::from_utf8(changed[1].clone()).unwrap().replace("\"me\"", "\"he\"").into_bytes();
        assert!(matches!(read(&changed), Err(Broken::Chain { number: 2 })));
        assert!(matches!(read(&[lines[0].clone(), lines[2].clone()]), Err(Broken::Number { number: 1, found: 2 })));
        assert!(matches!(read(&[lines[0].clone(), lines[0].clone()]), Err(Broken::Number { number: 1, found: 0 })));
    }

    #[test]
    fn an_entry_of_a_newer_version_is_refused_by_its_form() {
        let (_, mut lines) = three();
        lines[2] = br#"{"form":7,"what":"ever"}"#.to_vec();
        assert!(matches!(read(&lines), Err(Broken::Newer { number: 2, form: 7 })));
    }

    #[test]
    fn an_entry_of_an_older_version_is_read() {
        let line = br#"{"form":1,"number":0,"at":"1970-01-01T00:00:05Z","before":"","record":{"record":"held_node","node":"a","until":null,"by":"me"}}"#;
        for form in [1, 2] {
            let line = String::from_utf8_lossy(line).replace("\"form\":1", &format!("\"form\":{form}"));
            let (journal, torn) = read(&[line.into_bytes()]).unwrap();
            assert!(!torn && journal.book().held.len() == 1);
        }
    }

    #[test]
    fn what_takes_a_maintenance_over_or_sends_nodes_back_is_no_form_that_older_versions_read() {
        let (_, lines) = three();
        assert!(lines.iter().all(|line| line.starts_with(br#"{"form":3,"#)));
    }

    #[test]
    fn time_does_not_go_back() {
        let (mut journal, mut lines) = three();
        let record = Record::Released { node: NodeName::new("a"), by: "me".into() };
        lines.extend(journal.append(&[record], at(1)).unwrap());
        assert_eq!(journal.book().at, Some(at(5)));
        assert_eq!(read(&lines).unwrap().0, journal);
    }

    #[test]
    fn records_that_do_not_fit_change_nothing() {
        let (mut journal, _) = three();
        let before = journal.clone();
        let run = crate::model::id::RunId::new("none");
        let fine = Record::Released { node: NodeName::new("a"), by: "me".into() };
        assert!(journal.append(&[fine, Record::Began { run, task: 0 }], at(9)).is_err());
        assert_eq!(journal, before);
    }
}
