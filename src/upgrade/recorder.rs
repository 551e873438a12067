//! Keeps all entries of a system's journal in a file that is only ever appended to, also those that the store has put away,
//! and answers who asks for them.
//!
//! The file is beside the store and no part of it: who loses it lacks the past, and nothing else. A line that was torn is cut
//! off; a file that does not fit what the store has (a copy of the state was restored, say) is moved aside and begun anew.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::syslog::{self, Sink};
use crate::model::id::SystemId;
use crate::model::unit::Timestamp;
use crate::work::history::{self, Chain, Excerpt, Look, MOST, Reader};
use crate::work::journal::Entry;

/// Questions that wait.
const QUESTIONS: usize = 16;

/// What the store has of a journal.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// The number of its first entry.
    pub first: u64,
    /// Its entries.
    pub lines: Vec<Vec<u8>>,
}

/// What is asked of the recorder by the work.
#[derive(Debug)]
enum Told {
    /// These were made durable in the store.
    Append(Vec<Vec<u8>>),
    /// Says whether all of it is on the disk.
    Flush(oneshot::Sender<bool>),
}

/// The end of the work.
#[derive(Clone, Debug)]
pub struct Pen(mpsc::UnboundedSender<Told>);

impl Pen {
    /// Gives what was made durable in the store.
    pub fn append(&self, lines: Vec<Vec<u8>>) {
        // Nobody has it when the program is ending; the next life takes it from the store.
        let _ = self.0.send(Told::Append(lines));
    }

    /// Whether all that was given is on the disk, so that the store may put it away.
    pub async fn is_flushed(&self) -> bool {
        let (answer, heard) = oneshot::channel();
        self.0.send(Told::Flush(answer)).is_ok() && heard.await.unwrap_or(false)
    }
}

/// Keeps the history of one system.
pub struct Recorder {
    system: SystemId,
    path: PathBuf,
    /// None after an error: the file is in doubt, and the next life looks at it.
    file: Option<File>,
    chain: Chain,
    syslog: Option<Sink>,
    told: mpsc::UnboundedReceiver<Told>,
    looks: mpsc::Receiver<Look>,
}

/// Opens the history of a system in a folder, and brings it up to what the store has.
///
/// # Errors
/// The file cannot be made, read or written.
pub fn open(
    folder: &Path,
    system: &SystemId,
    stored: &Stored,
    now: Timestamp,
    syslog: Option<Sink>,
) -> io::Result<(Recorder, Pen, Reader)> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join(format!("{system}.jsonl"));
    let (mut file, mut chain) = read(&path)?;
    if !fits(&chain, stored) {
        let aside = folder.join(format!("{system}.until-{}.jsonl", now.format("%Y%m%dT%H%M%SZ")));
        warn!(%system, aside = %aside.display(), "the history does not fit the journal; it is moved aside, and begun anew");
        std::fs::rename(&path, &aside)?;
        (file, chain) = read(&path)?;
    }
    let known =
        if chain.first.is_some() { usize::try_from(chain.next - stored.first).unwrap_or(usize::MAX) } else { 0 };
    let missing = stored.lines.get(known..).unwrap_or_default();
    write(&mut file, missing)?;
    missing.iter().for_each(|line| chain.take(line));
    File::open(folder)?.sync_all()?;
    let (sender, told) = mpsc::unbounded_channel();
    let (asked, looks) = mpsc::channel(QUESTIONS);
    let recorder = Recorder { system: system.clone(), path, file: Some(file), chain, syslog, told, looks };
    Ok((recorder, Pen(sender), Reader(asked)))
}

/// The file with its chain; what was torn at its end is cut off.
fn read(path: &Path) -> io::Result<(File, Chain)> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let mut chain = Chain::default();
    let mut whole = 0_u64;
    let mut reader = BufReader::new(&file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            break;
        }
        whole += read as u64;
        chain.take(&line);
    }
    if file.metadata()?.len() > whole {
        file.set_len(whole)?;
    }
    file.seek(SeekFrom::End(0))?;
    Ok((file, chain))
}

/// Whether what the file has is the beginning of what the store goes on with.
fn fits(chain: &Chain, stored: &Stored) -> bool {
    if chain.first.is_none() {
        return chain.broken.is_none();
    }
    let Some(known) = chain.next.checked_sub(stored.first).and_then(|known| usize::try_from(known).ok()) else {
        return false;
    };
    if chain.broken.is_some() || known > stored.lines.len() {
        return false;
    }
    // Nothing is put away that is not in the file, so the last line of the file is one of the store's, unless it has none.
    let Some(last) = known.checked_sub(1) else { return true };
    let mut own = Chain::default();
    stored.lines.iter().take(last + 1).for_each(|line| own.take(line));
    own.head == chain.head
}

fn write(file: &mut File, lines: &[Vec<u8>]) -> io::Result<()> {
    let mut all = Vec::new();
    for line in lines {
        all.extend_from_slice(line);
        all.push(b'\n');
    }
    file.write_all(&all)
}

impl Recorder {
    /// The loop.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                told = self.told.recv() => match told {
                    Some(Told::Append(lines)) => self = self.append(lines).await,
                    Some(Told::Flush(answer)) => {
                        let flushed = self.file.as_ref().is_some_and(|file| file.sync_all().is_ok());
                        let _ = answer.send(flushed);
                    }
                    None => return,
                },
                Some(look) = self.looks.recv() => {
                    let (path, entries, head) = (self.path.clone(), self.chain.next, self.chain.head.clone());
                    tokio::task::spawn_blocking(move || {
                        let found = excerpt(&path, look.from, look.since, entries, head);
                        let _ = look.answer.send(found.map_err(|error| format!("{}: {error}", path.display())));
                    });
                }
            }
        }
    }

    async fn append(mut self, lines: Vec<Vec<u8>>) -> Self {
        if let Some(syslog) = &self.syslog {
            let lost = lines.iter().filter(|line| !to_syslog(syslog, &self.system, line)).count();
            if lost > 0 {
                warn!(system = %self.system, lost, "the system log is too slow for the history");
            }
        }
        let Some(mut file) = self.file.take() else { return self };
        lines.iter().for_each(|line| self.chain.take(line));
        let written = tokio::task::spawn_blocking(move || write(&mut file, &lines).map(|()| file)).await;
        match written.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(file) => self.file = Some(file),
            Err(error) => {
                warn!(system = %self.system, path = %self.path.display(), %error, "the history cannot be written; the store keeps all until it can, after a restart");
            }
        }
        self
    }
}

fn to_syslog(sink: &Sink, system: &SystemId, line: &[u8]) -> bool {
    match serde_json::from_slice::<Entry>(line) {
        Ok(entry) => {
            let text = history::in_words(&entry);
            sink.send(syslog::Line { at: entry.at, system: system.to_string(), number: entry.number, text })
        }
        Err(error) => {
            info!(%error, "an entry of the history cannot be told");
            true
        }
    }
}

fn excerpt(path: &Path, from: u64, since: Option<Timestamp>, entries: u64, head: String) -> io::Result<Excerpt> {
    #[derive(serde::Deserialize)]
    struct Place {
        number: u64,
        at: Timestamp,
    }
    let (mut lines, mut next) = (Vec::new(), None);
    for line in BufReader::new(File::open(path)?).lines() {
        let line = line?;
        let Ok(place) = serde_json::from_str::<Place>(&line) else { continue };
        if place.number < from || since.is_some_and(|since| place.at < since) {
            continue;
        }
        if lines.len() >= MOST {
            next = Some(place.number);
            break;
        }
        lines.push(line);
    }
    Ok(Excerpt { lines, next, entries, head })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::NodeName;
    use crate::work::journal::Journal;
    use crate::work::record::Record;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_timestamp(second, 0).unwrap()
    }

    /// Entries, one a second.
    fn entries(count: i64, by: &str) -> Vec<Vec<u8>> {
        let mut journal = Journal::default();
        let each = (0..count).map(|second| {
            let record = Record::HeldNode { node: NodeName::new("n"), until: None, by: by.into() };
            journal.append(&[record], at(second)).unwrap().remove(0)
        });
        each.collect()
    }

    fn stored(first: u64, lines: &[Vec<u8>]) -> Stored {
        Stored { first, lines: lines.to_vec() }
    }

    fn lines(folder: &Path) -> usize {
        std::fs::read_to_string(folder.join("prod.jsonl")).unwrap().lines().count()
    }

    fn opened(folder: &Path, stored: &Stored) -> (Recorder, Pen, Reader) {
        open(folder, &SystemId::new("prod"), stored, at(99), None).unwrap()
    }

    #[tokio::test]
    async fn what_the_store_has_and_what_comes_is_kept_also_when_the_store_puts_it_away() {
        let folder = tempfile::tempdir().unwrap();
        let all = entries(9, "me");
        drop(opened(folder.path(), &stored(0, &all[..3])));
        assert_eq!(lines(folder.path()), 3);
        // Something was written to the store after the last line here; and of the file the end was torn.
        let mut file = OpenOptions::new().append(true).open(folder.path().join("prod.jsonl")).unwrap();
        file.write_all(&all[3][..20]).unwrap();
        drop(opened(folder.path(), &stored(0, &all[..5])));
        assert_eq!(lines(folder.path()), 5);
        // The store put the first four away.
        let (recorder, pen, reader) = opened(folder.path(), &stored(4, &all[4..6]));
        let stop = CancellationToken::new();
        let task = tokio::spawn(recorder.run(stop.clone()));
        pen.append(all[6..].to_vec());
        assert!(pen.is_flushed().await);
        let excerpt = reader.read(0, None).await.unwrap();
        assert_eq!((excerpt.lines.len(), excerpt.next, excerpt.entries), (9, None, 9));
        let mut chain = Chain::default();
        excerpt.lines.iter().for_each(|line| chain.take(line.as_bytes()));
        assert_eq!((chain.broken, chain.head), (None, excerpt.head));
        assert_eq!(reader.read(7, None).await.unwrap().lines.len(), 2);
        assert_eq!(reader.read(0, Some(at(6))).await.unwrap().lines.len(), 3);
        stop.cancel();
        task.await.unwrap();
        assert!(!pen.is_flushed().await, "nobody keeps it any more");
    }

    #[test]
    fn a_history_of_another_time_is_moved_aside_and_begun_anew() {
        for other in
            [stored(0, &entries(2, "he")), stored(0, &entries(9, "me")[..3]), stored(6, &entries(9, "me")[6..])]
        {
            let folder = tempfile::tempdir().unwrap();
            drop(opened(folder.path(), &stored(0, &entries(5, "me"))));
            drop(opened(folder.path(), &other));
            assert_eq!(lines(folder.path()), other.lines.len());
            assert!(folder.path().join("prod.until-19700101T000139Z.jsonl").exists());
        }
    }
}
