//! How does the past survive a restart? An append-only file beside the store.
//!
//! A segment begins with the whole history as it was when the segment was made,
//! then comes one record for each poll, which holds only what changed. When the
//! records outgrow the beginning, a new segment is written aside, synced and
//! renamed, and the old one goes: what nobody looks back on any more is gone
//! with it. Each record has a length and a checksum; reading ends at the first
//! that does not fit, so a torn tail costs that tail and no more.
//!
//! A poll is handed to the kernel at once (a killed process loses nothing) and
//! synced every [`SYNC_MS`] (a dead host loses at most that).

mod codec;

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::history::{Bounds, History};
use super::labels::Labels;
use codec::{Entry, Reader, frame};

/// Milliseconds of polls that a dead host may lose. A restart may cost a minute; half of it leaves room for a slow disk.
const SYNC_MS: i64 = 30_000;

/// Bytes of records below which no new segment is worth its writing.
const LOG_BYTES: u64 = 8 << 20;

/// Runs in one record, so that a record stays small however long a series is.
const RUNS_PER_RECORD: usize = 64 << 10;

/// Why the past could not be read or written. Evaluation goes on from memory; the next append tries again.
#[derive(Debug, Error)]
#[error("history: cannot {operation} {}", path.display())]
pub struct HistoryFileError {
    operation: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl HistoryFileError {
    fn of(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { operation, path, source }
    }

    /// Whether the same call may succeed later: a full disk may be emptied, a missing right may not appear.
    pub fn is_retryable(&self) -> bool {
        self.source.kind() != io::ErrorKind::PermissionDenied
    }
}

/// What a restart found.
#[derive(Debug)]
pub struct Recovered {
    /// The past as far as it could be read.
    pub history: History,
    /// Where it goes on.
    pub file: HistoryFile,
    /// Bytes at the end of the newest segment that were not whole: a crash in the middle of a write, or damage.
    pub torn_bytes: u64,
    /// Segments that could not be used at all, oldest first.
    pub unusable: Vec<PathBuf>,
}

/// The open segment.
#[derive(Debug)]
pub struct HistoryFile {
    folder: PathBuf,
    number: u64,
    file: File,
    ids: HashMap<Labels, u32>,
    base_bytes: u64,
    log_bytes: u64,
    synced_at: i64,
    /// The newest poll in it.
    written: Option<u32>,
    /// A write failed half way: nothing may follow it in this segment.
    broken: bool,
}

impl HistoryFile {
    /// Reads what a folder holds and begins a new segment in it. The folder is made when it is missing.
    pub fn open(folder: &Path, bounds: Bounds) -> Result<Recovered, HistoryFileError> {
        fs::create_dir_all(folder).map_err(HistoryFileError::of("create folder", folder))?;
        let mut segments = segments(folder)?;
        let next = segments.last().map_or(0, |(number, _)| number + 1);
        let mut unusable = Vec::new();
        let mut found = None;
        while let Some((_, path)) = segments.pop() {
            let bytes = fs::read(&path).map_err(HistoryFileError::of("read", &path))?;
            match read_segment(&bytes, bounds) {
                Some(read) => {
                    found = Some(read);
                    break;
                }
                None => unusable.insert(0, path),
            }
        }
        let (history, torn_bytes) = found.unwrap_or_else(|| (History::new(bounds), 0));
        let (file, ids, base_bytes) = write_segment(folder, next, &history)?;
        let synced_at = history.newest().unwrap_or(i64::MIN);
        let (folder, written) = (folder.to_owned(), history.newest_poll());
        let file = HistoryFile {
            folder,
            number: next,
            file,
            ids,
            base_bytes,
            log_bytes: 0,
            synced_at,
            written,
            broken: false,
        };
        file.remove_older()?;
        Ok(Recovered { history, file, torn_bytes, unusable })
    }

    /// Writes the newest poll of a history; call it after each [`History::finish`].
    pub fn append(&mut self, history: &History) -> Result<(), HistoryFileError> {
        let (Some(poll), Some(at)) = (history.newest_poll(), history.newest()) else { return Ok(()) };
        // A poll that is there already: the clock was set back, and the past after it was forgotten.
        let again = self.written.is_some_and(|written| poll <= written);
        if self.broken || again || self.log_bytes > self.base_bytes.max(LOG_BYTES) {
            return self.rotate(history, at);
        }
        let mut bytes = Vec::new();
        let mut changes = Vec::new();
        for (labels, keep_ms, runs) in history.series() {
            let Some(run) = runs.last().filter(|run| run.first == poll) else { continue };
            let id = match self.ids.get(labels) {
                Some(&id) => id,
                None => {
                    let id = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
                    frame(&mut bytes, &Entry::Series { id, keep_ms, labels: labels.clone() });
                    self.ids.insert(labels.clone(), id);
                    id
                }
            };
            changes.push((id, run.value));
        }
        frame(&mut bytes, &Entry::Poll { at, changes });
        let path = segment_path(&self.folder, self.number);
        self.file.write_all(&bytes).map_err(|source| {
            self.broken = true;
            HistoryFileError::of("append to", &path)(source)
        })?;
        self.log_bytes += bytes.len() as u64;
        self.written = Some(poll);
        if at.saturating_sub(self.synced_at) >= SYNC_MS {
            self.file.sync_data().map_err(|source| {
                // After a failed sync the kernel may have dropped the pages: only a fresh segment is sure.
                self.broken = true;
                HistoryFileError::of("sync", &path)(source)
            })?;
            self.synced_at = at;
        }
        Ok(())
    }

    /// Bytes of the segment on disk.
    pub fn bytes(&self) -> u64 {
        self.base_bytes + self.log_bytes
    }

    fn rotate(&mut self, history: &History, at: i64) -> Result<(), HistoryFileError> {
        let number = self.number + 1;
        let (file, ids, base_bytes) = write_segment(&self.folder, number, history)?;
        (self.number, self.file, self.ids) = (number, file, ids);
        (self.base_bytes, self.log_bytes, self.synced_at, self.broken) = (base_bytes, 0, at, false);
        self.written = history.newest_poll();
        self.remove_older()
    }

    fn remove_older(&self) -> Result<(), HistoryFileError> {
        for (number, path) in segments(&self.folder)? {
            if number < self.number {
                fs::remove_file(&path).map_err(HistoryFileError::of("remove", &path))?;
            }
        }
        Ok(())
    }
}

fn segment_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:012}.history"))
}

/// Segments by number. Files of other names, half-written ones too, are none of them.
fn segments(folder: &Path) -> Result<Vec<(u64, PathBuf)>, HistoryFileError> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).map_err(HistoryFileError::of("list", folder))? {
        let path = entry.map_err(HistoryFileError::of("list", folder))?.path();
        let is_segment = path.extension().is_some_and(|extension| extension == "history");
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        if let (true, Some(number)) = (is_segment, number) {
            out.push((number, path));
        }
    }
    out.sort();
    Ok(out)
}

type Written = (File, HashMap<Labels, u32>, u64);

/// Writes a segment that begins with the whole history, whole or not at all.
fn write_segment(folder: &Path, number: u64, history: &History) -> Result<Written, HistoryFileError> {
    let path = segment_path(folder, number);
    let draft = path.with_extension("draft");
    let written = draft_segment(&draft, history).map_err(HistoryFileError::of("write", &draft))?;
    fs::rename(&draft, &path).map_err(HistoryFileError::of("rename", &draft))?;
    // The name must be as durable as the bytes.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(HistoryFileError::of("sync folder", folder))?;
    Ok(written)
}

fn draft_segment(draft: &Path, history: &History) -> io::Result<Written> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(draft)?;
    let mut out = BufWriter::new(file);
    let mut total = 0;
    let mut put = |entry: &Entry| {
        let mut bytes = Vec::new();
        frame(&mut bytes, entry);
        total += bytes.len() as u64;
        out.write_all(&bytes)
    };
    let (first_poll, polls) = history.polls();
    put(&Entry::Begin { first_poll })?;
    for times in polls.chunks(RUNS_PER_RECORD) {
        put(&Entry::Times(times.to_vec()))?;
    }
    let mut ids = HashMap::new();
    for (id, (labels, keep_ms, runs)) in (0..).zip(history.series()) {
        put(&Entry::Series { id, keep_ms, labels: labels.clone() })?;
        for runs in runs.chunks(RUNS_PER_RECORD) {
            put(&Entry::Runs { id, runs: runs.to_vec() })?;
        }
        ids.insert(labels.clone(), id);
    }
    put(&Entry::Whole)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok((file, ids, total))
}

/// The history of a segment and the bytes at its end that do not fit. `None`: not even its beginning is whole.
fn read_segment(bytes: &[u8], bounds: Bounds) -> Option<(History, u64)> {
    let mut reader = Reader::new(bytes);
    let Some(Entry::Begin { first_poll }) = reader.next() else { return None };
    let mut polls = Vec::new();
    let mut series = Vec::new();
    loop {
        match reader.next()? {
            Entry::Times(times) => polls.extend(times),
            Entry::Series { id, keep_ms, labels } if id as usize == series.len() => {
                series.push((labels, keep_ms, Vec::new()));
            }
            Entry::Runs { id, runs } => series.get_mut(id as usize)?.2.extend(runs),
            Entry::Whole => break,
            Entry::Begin { .. } | Entry::Poll { .. } | Entry::Series { .. } => return None,
        }
    }
    let sound = polls.is_sorted_by(|a, b| a < b)
        && u32::try_from(polls.len()).is_ok_and(|count| first_poll.checked_add(count).is_some())
        && series.iter().all(|(_, _, runs)| runs.is_sorted_by(|a, b| a.last < b.first));
    if !sound {
        return None;
    }
    // What a series was at the last poll, to go on with when a record does not mention it.
    let mut alive: Vec<(Labels, i64, Option<f64>)> = Vec::with_capacity(series.len());
    let newest = (first_poll + u32::try_from(polls.len()).ok()?).checked_sub(1);
    for (labels, keep_ms, runs) in &series {
        let last = runs.last().filter(|run| Some(run.last) == newest && !super::is_stale(run.value));
        alive.push((labels.clone(), *keep_ms, last.map(|run| run.value)));
    }
    let mut history = History::restored(bounds, first_poll, polls, series);
    let mut good = reader.position();
    while let Some(entry) = reader.next() {
        match entry {
            Entry::Series { id, keep_ms, labels } if id as usize == alive.len() => alive.push((labels, keep_ms, None)),
            Entry::Poll { at, changes } => {
                if !history.begin(at) {
                    break;
                }
                for (id, value) in changes {
                    if let Some((_, _, last)) = alive.get_mut(id as usize) {
                        *last = Some(value);
                    }
                }
                for (labels, keep_ms, last) in &mut alive {
                    let Some(value) = *last else { continue };
                    history.keep(labels, value, *keep_ms);
                    if super::is_stale(value) {
                        *last = None;
                    }
                }
                history.finish();
            }
            _ => break,
        }
        good = reader.position();
    }
    Some((history, (bytes.len() - good) as u64))
}

#[cfg(test)]
mod tests;
