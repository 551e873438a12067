//! How an agent remembers over crashes and power loss: a file of records, each
//! durable before anything that rests on it is done.
//!
//! A record is a line: a CRC-32 of the text, the text (JSON). A crash can leave
//! a torn end, which was never acted upon and is cut off. A bad line before
//! the end is damage: the agent then takes no order until a person has looked.
//! After a failed write the file's state is unknown, so the process must end.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::memory::{Memory, Record};

/// Beyond this the file is written anew. An order has about a kilobyte.
const LONG: u64 = 1 << 20;

/// A program begins within milliseconds; half a second is enough on a busy host.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Why a ledger cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum LedgerError {
    #[error("{} is in use by another agent; stop it first", path.display())]
    InUse { path: PathBuf },
    #[error("{} is damaged in line {line}; look at the node, then move the file away to begin with nothing known", path.display())]
    Damaged { path: PathBuf, line: usize },
    #[error("{} was written by a newer release (line {line} cannot be read: {why}); run that release", path.display())]
    Newer { path: PathBuf, line: usize, why: String },
    #[error("cannot {operation} {}", path.display())]
    Io {
        operation: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The file and what it says.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: File,
    length: u64,
    memory: Memory,
}

impl Ledger {
    /// Opens a ledger, or begins one; cuts off a torn end.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let fail = |operation| move |source| LedgerError::Io { operation, path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).mode(0o600);
        let mut file = options.open(path).map_err(fail("open"))?;
        let mut tries = 0;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                // A program that its last owner was just starting holds it until it has begun.
                Err(TryLockError::WouldBlock) if tries < LOCK_TRIES => std::thread::sleep(LOCK_PAUSE),
                Err(TryLockError::WouldBlock) => return Err(LedgerError::InUse { path: path.to_owned() }),
                Err(TryLockError::Error(source)) => return Err(fail("lock")(source)),
            }
            tries += 1;
        }
        // An agent that wrote its ledger anew between our two calls has a new file by this name.
        if !is_named(&file, path).map_err(fail("look at"))? {
            return Err(LedgerError::InUse { path: path.to_owned() });
        }
        sync_folder(path).map_err(fail("sync the folder of"))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(fail("read"))?;
        let (memory, good) = replay(path, &bytes)?;
        if good < bytes.len() as u64 {
            file.set_len(good).map_err(fail("cut the torn end of"))?;
            file.sync_all().map_err(fail("sync"))?;
        }
        file.seek(SeekFrom::Start(good)).map_err(fail("seek in"))?;
        Ok(Self { path: path.to_owned(), file, length: good, memory })
    }

    /// What is remembered.
    pub const fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Remembers one thing more. It is on the disk when this returns.
    pub fn write(&mut self, record: Record) -> Result<(), LedgerError> {
        let line = line_of(&record).map_err(self.fail("make a record for"))?;
        self.file.write_all(&line).map_err(self.fail("write"))?;
        self.file.sync_data().map_err(self.fail("sync"))?;
        self.length += line.len() as u64;
        self.memory.take(record);
        if self.length > LONG { self.shorten() } else { Ok(()) }
    }

    /// Writes the file anew beside the old one, which stays until the new one is whole.
    fn shorten(&mut self) -> Result<(), LedgerError> {
        let beside = self.path.with_extension("new");
        let mut lines = Vec::new();
        for record in self.memory.records() {
            lines.extend(line_of(&record).map_err(self.fail("make a record for"))?);
        }
        let write = || -> io::Result<File> {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
            // A second agent may open the new file as soon as it has the name.
            file.lock()?;
            file.write_all(&lines)?;
            file.sync_all()?;
            std::fs::rename(&beside, &self.path)?;
            sync_folder(&self.path)?;
            Ok(file)
        };
        let file = write().map_err(self.fail("write anew"))?;
        self.file = file;
        self.length = lines.len() as u64;
        Ok(())
    }

    fn fail(&self, operation: &'static str) -> impl Fn(io::Error) -> LedgerError + use<> {
        let path = self.path.clone();
        move |source| LedgerError::Io { operation, path: path.clone(), source }
    }
}

/// Whether a file is still the one that has the name.
fn is_named(file: &File, path: &Path) -> io::Result<bool> {
    let (open, named) = (file.metadata()?, std::fs::metadata(path)?);
    Ok((open.dev(), open.ino()) == (named.dev(), named.ino()))
}

/// A file's name is durable only with its folder.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn line_of(record: &Record) -> io::Result<Vec<u8>> {
    let text = serde_json::to_string(record)?;
    Ok(format!("{:08x} {text}\n", crc32fast::hash(text.as_bytes())).into_bytes())
}

/// Reads all records; tells where the good ones end.
fn replay(path: &Path, bytes: &[u8]) -> Result<(Memory, u64), LedgerError> {
    let mut memory = Memory::default();
    let mut good = 0;
    let mut bad = None;
    for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        match (text_of(line), bad) {
            // Something whole after something bad: that was no torn end.
            (Some(_), Some(line)) => return Err(LedgerError::Damaged { path: path.to_owned(), line }),
            (None, _) => bad = bad.or(Some(number + 1)),
            (Some(text), None) => {
                let record = serde_json::from_str(text).map_err(|error| LedgerError::Newer {
                    path: path.to_owned(),
                    line: number + 1,
                    why: error.to_string(),
                })?;
                memory.take(record);
                good += line.len() as u64;
            }
        }
    }
    Ok((memory, good))
}

fn text_of(line: &[u8]) -> Option<&str> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (sum, text) = line.split_once(' ')?;
    (u32::from_str_radix(sum, 16).ok()? == crc32fast::hash(text.as_bytes())).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{at, order, reboot};
    use super::super::memory::without_secrets;
    use super::*;

    fn begun(id: &str) -> Record {
        Record::Begun { order: without_secrets(&order(id, 3, reboot())), at: at(0) }
    }

    fn written(records: &[Record]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let mut ledger = Ledger::open(&path).unwrap();
        records.iter().for_each(|record| ledger.write(record.clone()).unwrap());
        (folder, path)
    }

    #[test]
    fn what_was_written_is_remembered_after_a_start() {
        let (_folder, path) = written(&[Record::Epoch { epoch: 7 }, begun("a")]);
        let ledger = Ledger::open(&path).unwrap();
        assert_eq!((ledger.memory().epoch(), ledger.memory().current().unwrap().order.id.as_str()), (7, "a"));
    }

    #[test]
    fn wherever_the_end_is_torn_the_records_before_it_stay_and_new_ones_follow() {
        let (_folder, path) = written(&[Record::Epoch { epoch: 7 }]);
        let first = std::fs::read(&path).unwrap();
        Ledger::open(&path).unwrap().write(begun("a")).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in first.len()..whole.len() {
            for garbage in [&b""[..], b"\0\0\0\0", b"\0\0\n", b"{\n"] {
                std::fs::write(&path, [&whole[..length], garbage].concat()).unwrap();
                let mut ledger = Ledger::open(&path).unwrap();
                assert_eq!((ledger.memory().epoch(), ledger.memory().current()), (7, None), "cut at {length}");
                ledger.write(begun("b")).unwrap();
                drop(ledger);
                assert_eq!(Ledger::open(&path).unwrap().memory().current().unwrap().order.id.as_str(), "b");
            }
        }
    }

    #[test]
    fn damage_before_the_end_is_told_with_its_line_and_changes_nothing() {
        let (_folder, path) = written(&[Record::Epoch { epoch: 7 }, Record::Epoch { epoch: 8 }, begun("a")]);
        let mut bytes = std::fs::read(&path).unwrap();
        let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 12;
        bytes[second] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(Ledger::open(&path), Err(LedgerError::Damaged { line: 2, .. })));
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }

    #[test]
    fn a_record_of_a_newer_release_is_not_taken_for_damage() {
        let (_folder, path) = written(&[]);
        let text = r#"{"record":"prayed"}"#;
        std::fs::write(&path, format!("{:08x} {text}\n", crc32fast::hash(text.as_bytes()))).unwrap();
        assert!(matches!(Ledger::open(&path), Err(LedgerError::Newer { line: 1, .. })));
    }

    #[test]
    fn two_agents_cannot_have_it() {
        let (_folder, path) = written(&[]);
        let _first = Ledger::open(&path).unwrap();
        assert!(matches!(Ledger::open(&path), Err(LedgerError::InUse { .. })));
    }

    #[test]
    fn it_stays_short_and_locked_however_much_is_written() {
        let (_folder, path) = written(&[begun("a")]);
        let mut ledger = Ledger::open(&path).unwrap();
        for epoch in 0..100 {
            ledger.write(Record::Epoch { epoch }).unwrap();
        }
        ledger.shorten().unwrap();
        let before = ledger.memory().clone();
        assert!(matches!(Ledger::open(&path), Err(LedgerError::InUse { .. })), "the new file is locked too");
        ledger.write(Record::Epoch { epoch: 500 }).unwrap();
        drop(ledger);
        assert!(std::fs::read(&path).unwrap().len() < 1_000);
        let after = Ledger::open(&path).unwrap();
        assert_eq!(after.memory().current(), before.current());
        assert_eq!(after.memory().epoch(), 500);
    }
}
