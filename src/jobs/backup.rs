//! A copy of the whole state in a folder of the site's, with its hash beside it, and the oldest ones taken away.
//!
//! | file | what it is |
//! |---|---|
//! | `state-TIME.db` | the state as of that moment, as `sio restore` takes it |
//! | `state-TIME.db.sha256` | its hash, as `sha256sum -c` takes it; it is there last |
//! | `state-TIME.db.part` | a copy that was cut off; the next one takes it away |

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::model::chore::Found;
use crate::model::unit::Timestamp;
use crate::store::look::{self, Seen};
use crate::store::{Desk, StoreError};

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum BackupError {
    #[error("the folder {} is not there; mount or make it", .0.display())]
    NoFolder(PathBuf),
    #[error("cannot {operation} {}", path.display())]
    Io {
        operation: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{} was written and holds no state", .0.display())]
    Empty(PathBuf),
}

fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io { operation, path, source }
}

/// Makes the copy of a firing, unless an earlier life made it, and keeps so many.
pub async fn make(desk: &Desk, folder: &Path, keep: usize, due: Timestamp) -> Found {
    match copy(desk, folder, keep, due).await {
        Ok((path, sum, gone)) => {
            let lines = vec![format!("{sum}  {}", path.display()), format!("{gone} older copies were taken away")];
            Found::well(format!("{} is there", path.display())).with(lines)
        }
        Err(error) => {
            let mut says = error.to_string();
            let mut cause: &dyn std::error::Error = &error;
            while let Some(next) = cause.source() {
                says = format!("{says}: {next}");
                cause = next;
            }
            Found::unwell(says)
        }
    }
}

async fn copy(
    desk: &Desk,
    folder: &Path,
    keep: usize,
    due: Timestamp,
) -> Result<(PathBuf, String, usize), BackupError> {
    if !folder.is_dir() {
        return Err(BackupError::NoFolder(folder.to_owned()));
    }
    let path = folder.join(format!("state-{}.db", due.format("%Y%m%dT%H%M%SZ")));
    let part = beside(&path, ".part");
    let list = beside(&path, ".sha256");
    if !(path.exists() && list.exists()) {
        for rest in [&part, &path] {
            match fs::remove_file(rest) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io("remove", rest)(error)),
                _ => {}
            }
        }
        desk.backup(part.clone()).await?;
        // What cannot be read now could not be restored either.
        if !matches!(look::sqlite(&part)?, Seen::State { .. }) {
            return Err(BackupError::Empty(part));
        }
        let file = File::open(&part).map_err(io("open", &part))?;
        file.sync_all().map_err(io("flush", &part))?;
        fs::rename(&part, &path).map_err(io("move into place", &path))?;
    }
    let (read, named) = (path.clone(), list.clone());
    let sum = tokio::task::spawn_blocking(move || hash(&read)).await;
    let sum = sum.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(io("read", &path))?;
    if !list.exists() {
        write_sum(&named, &sum, &path).map_err(io("write", &named))?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("flush", folder))?;
    }
    let gone = prune(folder, keep)?;
    Ok((path, sum, gone))
}

/// The line that `sha256sum -c` takes.
fn write_sum(list: &Path, sum: &str, path: &Path) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(list)?;
    writeln!(file, "{sum}  {name}")?;
    file.sync_all()
}

/// The SHA-256 of a file, in lower-case hexadecimal digits.
///
/// # Errors
/// It cannot be read.
pub fn hash(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let (mut hash, mut piece) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hash.update(piece.get(..read).unwrap_or_default());
    }
}

/// Takes the oldest copies away.
fn prune(folder: &Path, keep: usize) -> Result<usize, BackupError> {
    let names = fs::read_dir(folder)
        .map_err(io("read", folder))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut ours: Vec<String> = names.filter(|name| is_ours(name)).collect();
    ours.sort();
    let surplus = ours.len().saturating_sub(keep);
    for name in ours.iter().take(surplus) {
        let path = folder.join(name);
        for gone in [beside(&path, ".sha256"), path] {
            match fs::remove_file(&gone) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io("remove", &gone)(error)),
                _ => {}
            }
        }
    }
    Ok(surplus)
}

/// Whether a file is one of our copies: what else lies there is left alone.
fn is_ours(name: &str) -> bool {
    let time = name.strip_prefix("state-").and_then(|rest| rest.strip_suffix(".db"));
    time.is_some_and(|time| chrono::NaiveDateTime::parse_from_str(time, "%Y%m%dT%H%M%SZ").is_ok())
}

/// The hash that a copy has by the file beside it; none: there is no such file.
///
/// # Errors
/// The file cannot be read.
pub fn noted(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(beside(path, ".sha256")) {
        Ok(text) => Ok(text.split_whitespace().next().map(str::to_ascii_lowercase)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The file beside another one whose name goes on like this.
pub fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Batch, Disk, Key, Owner, SqliteStore, Store};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_timestamp(1_700_000_000 + second, 0).unwrap()
    }

    /// A desk on a store in memory, so that the export for ZooKeeper is tried too, and one on a file.
    fn desks(folder: &Path) -> Vec<Desk> {
        let stores: Vec<Box<dyn Store>> =
            vec![Box::new(Disk::new().open().unwrap()), Box::new(SqliteStore::open(&folder.join("live.db")).unwrap())];
        let opened = stores.into_iter().map(|mut store| {
            let state = store.load().unwrap();
            let (owner, desk) = Owner::new(store, &state);
            tokio::spawn(owner.run());
            desk
        });
        opened.collect()
    }

    #[tokio::test]
    async fn a_copy_opens_as_the_state_it_was_made_of_and_only_so_many_are_kept() {
        let live = tempfile::tempdir().unwrap();
        for desk in desks(live.path()) {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("state-of-mine.db"), "left alone").unwrap();
            for second in 0..4 {
                let key = Key::new("a/b").unwrap();
                desk.commit(Batch::new().put(key, second.to_string())).await.unwrap();
                let found = make(&desk, folder.path(), 2, at(second)).await;
                assert!(found.is_well, "{found:?}");
            }
            let mut names: Vec<String> = fs::read_dir(folder.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            let kept = ["state-20231114T221322Z.db", "state-20231114T221323Z.db"];
            let wanted: Vec<String> =
                kept.iter().flat_map(|name| [(*name).to_owned(), format!("{name}.sha256")]).collect();
            assert_eq!(names, [wanted, vec!["state-of-mine.db".to_owned()]].concat());
            for (name, value) in kept.iter().zip(["2", "3"]) {
                let path = folder.path().join(name);
                assert_eq!(noted(&path).unwrap(), Some(hash(&path).unwrap()));
                let state = SqliteStore::open(&path).unwrap().load().unwrap();
                assert_eq!(state.entries.values().next().map(Vec::as_slice), Some(value.as_bytes()));
            }
        }
    }

    #[tokio::test]
    async fn a_copy_that_was_cut_off_is_made_anew_and_one_that_is_whole_is_not() {
        let live = tempfile::tempdir().unwrap();
        let desk = desks(live.path()).remove(1);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state-20231114T221320Z.db");
        fs::write(beside(&path, ".part"), "half").unwrap();
        fs::write(&path, "half").unwrap();
        assert!(make(&desk, folder.path(), 9, at(0)).await.is_well);
        let first = hash(&path).unwrap();
        desk.commit(Batch::new().put(Key::new("c").unwrap(), "1")).await.unwrap();
        assert!(make(&desk, folder.path(), 9, at(0)).await.is_well);
        assert_eq!(hash(&path).unwrap(), first, "a firing has one copy");
        let gone = make(&desk, &folder.path().join("not-mounted"), 9, at(1)).await;
        assert!(!gone.is_well && gone.says.contains("mount or make it"), "{gone:?}");
    }
}
