//! What was done, in the order in which it was: entries of the journal in words, whether a chain of them is whole, and the
//! handle of whoever keeps all of them. Pure but for that handle.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};

use super::journal::Entry;
use super::record::{Duty, Effect, End, Record};
use crate::model::plan::Approval;
use crate::model::step::Answer;
use crate::model::unit::Timestamp;

/// Entries in one answer.
pub const MOST: usize = 2_000;

/// A part of the history of a system, each line as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excerpt {
    /// Entries, one JSON text each; the next one names the SHA-256 of this text.
    pub lines: Vec<String>,
    /// The number of the entry that comes after these; none: these are the last.
    pub next: Option<u64>,
    /// Entries that were ever written.
    pub entries: u64,
    /// The SHA-256 of the last one ever written.
    pub head: String,
}

/// Where a chain is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The number of the first entry that does not follow, where it can be read.
    pub number: Option<u64>,
    /// Its line, from 1.
    pub line: usize,
    /// What is wrong.
    pub why: String,
}

/// What is left of a history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// The number of its first entry; what was before it is not judged.
    pub first: Option<u64>,
    /// The number of the entry that would come next.
    pub next: u64,
    /// The SHA-256 of the last one.
    pub head: String,
    /// Lines so far.
    pub lines: usize,
    /// The first break.
    pub broken: Option<Breach>,
}

impl Chain {
    /// Takes the next line. After a break nothing more is judged.
    pub fn take(&mut self, line: &[u8]) {
        #[derive(Deserialize)]
        struct Link {
            number: u64,
            before: Box<str>,
        }
        self.lines += 1;
        if self.broken.is_some() {
            return;
        }
        let breach = |number, why: String| Some(Breach { number, line: self.lines, why });
        match serde_json::from_slice::<Link>(line) {
            Err(error) => self.broken = breach(None, format!("it cannot be read: {error}")),
            Ok(link) if self.first.is_none() => {
                self.first = Some(link.number);
                self.follow(link.number, line);
            }
            Ok(link) if link.number != self.next => {
                let why = format!("number {} is expected: an entry was lost or added", self.next);
                self.broken = breach(Some(link.number), why);
            }
            Ok(link) if *link.before != *self.head => {
                let why = "it does not follow the entry before it: one of the two was changed".to_owned();
                self.broken = breach(Some(link.number), why);
            }
            Ok(link) => self.follow(link.number, line),
        }
    }

    fn follow(&mut self, number: u64, line: &[u8]) {
        self.next = number + 1;
        self.head = Sha256::digest(line).iter().map(|byte| format!("{byte:02x}")).collect();
    }
}

/// An entry in a sentence.
pub fn in_words(entry: &Entry) -> String {
    let none = |what: &Option<Timestamp>| what.map_or_else(|| "until released".to_owned(), |at| format!("until {at}"));
    match &entry.record {
        Record::Opened { run, plan, approval, .. } => match approval {
            Approval::Hash { by, .. } => format!("{run} of plan {plan} was approved by {by}"),
            Approval::Policy { by, job, .. } => {
                format!("{run} of plan {plan} was begun by job {job}, under the approval of {by}")
            }
        },
        Record::Accepted { run, steps, by } => {
            let steps: Vec<&str> = steps.iter().map(|step| step.as_str()).collect();
            format!("{run}: {by} accepts what was never seen in use: {}", steps.join(", "))
        }
        Record::Began { run, task } => format!("{run}: task {task} was begun"),
        Record::Took { obligation } => format!(
            "{}: {} of {} must be undone by {}{}",
            obligation.run,
            duty(&obligation.duty),
            obligation.node,
            obligation.deadline,
            obligation.handed.as_ref().map(|handed| format!(", {handed}")).unwrap_or_default()
        ),
        Record::Settled { duty: of } => format!("{} is undone", duty(of)),
        Record::Intended { step, effect, epoch, .. } => {
            format!("{step}: ordered {} in epoch {epoch}{}", effect.as_str(), object(effect))
        }
        Record::Answered { step, answer } => match answer {
            Answer::Accepted => format!("{step}: accepted"),
            Answer::AlreadySo => format!("{step}: it was so already"),
            Answer::Refused { why } => format!("{step}: refused: {why}"),
            Answer::Failed { why } => format!("{step}: failed: {why}"),
            Answer::Unknown { why } => format!("{step}: no answer: {why}"),
        },
        Record::Lost { step } => format!("{step}: came to nothing: it is not to be seen, and cannot arrive any more"),
        Record::LeftOut { run, task, place, why } => format!("{run}: step {place} of task {task} is left out: {why}"),
        Record::Confirmed { run, task, place } => format!("{run}: step {place} of task {task} is seen done"),
        Record::Well { run, task, since: Some(_) } => format!("{run}: all is well at task {task}"),
        Record::Well { run, task, since: None } => format!("{run}: all is not well any more at task {task}"),
        Record::Waited { run, task, why } => format!("{run}: task {task} waits: {why}"),
        Record::Failed { run, task, why, .. } => format!("{run}: task {task} is given up and undone: {why}"),
        Record::Overdue { run, task, why } => format!("{run}: the way back of task {task} takes too long: {why}"),
        Record::Halted { run, why } => format!("{run} halts: {why}"),
        Record::Closed { run, end } => match end {
            End::Done => format!("{run} is over: done"),
            End::Cancelled => format!("{run} is over: cancelled"),
            End::Halted { why } => format!("{run} is over: halted, {why}"),
        },
        Record::Paused { run, by } => format!("{run} was paused by {by}"),
        Record::Resumed { run, by } => format!("{run} was resumed by {by}"),
        Record::Cancelled { run, by } => format!("{run} was cancelled by {by}"),
        Record::Skipped { run, task, by } => format!("{run}: task {task} was left out by {by}"),
        Record::HeldNode { node, until, by } => format!("{node} is held by {by} {}", none(until)),
        Record::Released { node, by } => format!("{node} was released by {by}"),
        Record::Overridden { run, given } => {
            let whom = given.node.as_ref().map(|node| format!(" on {node}")).unwrap_or_default();
            let reason = given.reason.as_str();
            format!("{run}: {reason} holds no more{whom} until {}, by {}: {}", given.until, given.by, given.why)
        }
        Record::Quarantined { version, why } => format!("version {version} is quarantined: {why}"),
        Record::Freed { version, by } => format!("version {version} was freed by {by}"),
    }
}

fn duty(duty: &Duty) -> String {
    match duty {
        Duty::Maintenance { sds } => format!("the maintenance of SDS {sds}"),
        Duty::Deactivated { agent } => format!("the drain of Mesos agent {agent}"),
    }
}

fn object(effect: &Effect) -> String {
    match effect {
        Effect::Enter { sds, mode } | Effect::Exit { sds, mode } => format!(" (SDS {sds}, {mode})"),
        Effect::SwitchMdm { to } => format!(" (to MDM {to})"),
        Effect::RemoveSds { sds } | Effect::KeepSds { sds } => format!(" (SDS {sds})"),
        Effect::RemoveSdc { sdc } => format!(" (SDC {sdc})"),
        Effect::Finalise => String::new(),
        Effect::Drain { agent } | Effect::Reactivate { agent } => format!(" (Mesos agent {agent})"),
        Effect::Order { permit, .. } => format!(" ({} on {})", permit.action.kind(), permit.node),
    }
}

/// A question to whoever keeps a history.
#[derive(Debug)]
pub struct Look {
    /// The first entry that is wanted.
    pub from: u64,
    /// None of before that.
    pub since: Option<Timestamp>,
    /// Hears it, or why it cannot be had.
    pub answer: oneshot::Sender<Result<Excerpt, String>>,
}

/// Asks whoever keeps the history of a system.
#[derive(Clone, Debug)]
pub struct Reader(pub mpsc::Sender<Look>);

impl Reader {
    /// What was written from an entry on.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub async fn read(&self, from: u64, since: Option<Timestamp>) -> Result<Excerpt, String> {
        let gone = || "the controller is about to end; ask again when it is back".to_owned();
        let (answer, heard) = oneshot::channel();
        self.0.send(Look { from, since, answer }).await.map_err(|_| gone())?;
        heard.await.unwrap_or_else(|_| Err(gone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::NodeName;
    use crate::work::journal::Journal;

    fn lines() -> Vec<Vec<u8>> {
        let mut journal = Journal::default();
        let at = Timestamp::from_timestamp(5, 0).unwrap();
        let held = |name: &str| Record::HeldNode { node: NodeName::new(name), until: None, by: "me".into() };
        ["a", "b", "c", "d"].iter().flat_map(|name| journal.append(&[held(name)], at).unwrap()).collect()
    }

    fn chain(lines: &[Vec<u8>]) -> Chain {
        let mut chain = Chain::default();
        lines.iter().for_each(|line| chain.take(line));
        chain
    }

    #[test]
    fn the_first_link_that_was_changed_lost_or_added_is_named() {
        let whole = lines();
        let found = chain(&whole);
        assert_eq!((found.first, found.next, found.broken), (Some(0), 4, None));
        // A part is judged by itself.
        assert_eq!(chain(&whole[2..]).broken, None);
        let breach =
            |lines: &[Vec<u8>]| chain(lines).broken.map(|broken| (broken.line, broken.number, broken.why)).unwrap();
        let mut changed = whole.clone();
        changed[1] = String::from_utf8(changed[1].clone()).unwrap().replace("\"me\"", "\"he\"").into_bytes();
        let (line, number, why) = breach(&changed);
        assert!((line, number) == (3, Some(2)) && why.contains("changed"), "{why}");
        let (line, number, why) = breach(&[whole[0].clone(), whole[2].clone()]);
        assert!((line, number) == (2, Some(2)) && why.contains("lost or added"), "{why}");
        let (line, number, _) = breach(&[whole[0].clone(), b"{".to_vec(), whole[1].clone()]);
        assert_eq!((line, number), (2, None));
    }

    #[test]
    fn an_entry_is_told_in_a_sentence() {
        let entry: Entry = serde_json::from_slice(&lines()[1]).unwrap();
        assert_eq!(in_words(&entry), "b is held by me until released");
    }
}
