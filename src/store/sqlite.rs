//! State in an SQLite file: one writer, durable at each commit, checked at each start.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, TransactionBehavior};
use sha2::{Digest, Sha256};

use super::{Batch, Epoch, Key, State, Store, StoreError, Version};

/// What `file` and a person with `sqlite3` see in the header: "sIOf".
pub const APPLICATION_ID: i32 = 0x7349_4f66;

/// Statement `n` brings format `n` to format `n + 1`. A released one is never changed.
const MIGRATIONS: [&str; 1] = ["
    CREATE TABLE meta (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        version INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        sum BLOB NOT NULL
    ) STRICT;
    CREATE TABLE entry (
        key TEXT NOT NULL PRIMARY KEY,
        value BLOB NOT NULL,
        sum BLOB NOT NULL
    ) STRICT;
"];

const FORMAT: i64 = MIGRATIONS.len() as i64;

/// A person who looks into the file with `sqlite3` holds it for moments; a
/// commit that waits longer is better told to its caller.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const PRIVATE: u32 = 0o600;

/// State in an SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    connection: Connection,
    closed: bool,
    /// Held until the store is dropped. It is a file beside the database:
    /// closing any handle of the database itself would drop SQLite's own locks.
    _lock: File,
}

impl SqliteStore {
    /// Opens the file, or makes it when nothing is there; checks all of it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if !folder(path).is_dir() {
            return Err(StoreError::NoFolder { path: path.to_owned() });
        }
        let lock = lock(path)?;
        match std::fs::metadata(path) {
            Ok(about) if about.len() == 0 => return Err(corrupt(path, "it is empty")),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if beside(path, "-wal").exists() {
                    return Err(corrupt(path, "it is missing, but its -wal is there"));
                }
                make(path)?;
                tracing::info!(path = %path.display(), "a new state file was made");
            }
            Err(error) => return Err(io("open", path)(error)),
        }
        let connection = connect(path)?;
        let mut store = Self { path: path.to_owned(), connection, closed: false, _lock: lock };
        store.check()?;
        Ok(store)
    }

    /// Writes everything into the one file and ends.
    pub fn close(self) -> Result<(), StoreError> {
        let fail = |error| from_sqlite("close", &self.path, error);
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(fail)?;
        self.connection.close().map_err(|(_, error)| fail(error))
    }

    fn check(&mut self) -> Result<(), StoreError> {
        let fail = |error| from_sqlite("check", &self.path, error);
        let integrity = |connection: &Connection| -> rusqlite::Result<Vec<String>> {
            connection.prepare("PRAGMA integrity_check(5)")?.query_map([], |row| row.get(0))?.collect()
        };
        let found = integrity(&self.connection).map_err(fail)?;
        if found != ["ok"] {
            return Err(corrupt(&self.path, &found.join("; ")));
        }
        self.load().map(|_| ())
    }
}

impl Store for SqliteStore {
    fn load(&mut self) -> Result<State, StoreError> {
        if self.closed {
            return Err(StoreError::Closed);
        }
        let fail = |error| from_sqlite("read", &self.path, error);
        // Both tables are read in one transaction, so that they are of one commit.
        let transaction = self.connection.transaction().map_err(fail)?;
        let mut state = read_meta(&transaction, &self.path)?;
        let mut select = transaction.prepare("SELECT key, value, sum FROM entry").map_err(fail)?;
        let mut rows = select.query([]).map_err(fail)?;
        while let Some(row) = rows.next().map_err(fail)? {
            let key: String = row.get(0).map_err(fail)?;
            let value: Vec<u8> = row.get(1).map_err(fail)?;
            let sum: Vec<u8> = row.get(2).map_err(fail)?;
            if sum != entry_sum(&key, &value) {
                return Err(corrupt(&self.path, &format!("the checksum of entry {key:?} is wrong")));
            }
            let key = Key::new(&key).map_err(|error| corrupt(&self.path, &error.to_string()))?;
            state.entries.insert(key, value);
        }
        Ok(state)
    }

    fn commit(&mut self, epoch: Epoch, expected: Version, batch: &Batch) -> Result<Version, StoreError> {
        if self.closed {
            return Err(StoreError::Closed);
        }
        batch.check()?;
        let done = write(&mut self.connection, &self.path, epoch, expected, batch);
        self.closed = done.as_ref().is_err_and(StoreError::is_fatal);
        done
    }

    fn backup(&mut self, to: &Path) -> Result<(), StoreError> {
        // SQLite would make it readable for all.
        let file = new_file(to)?;
        let name = to.to_str().ok_or_else(|| io("make", to)(std::io::Error::other("its path is not UTF-8")))?;
        self.connection.execute("VACUUM INTO ?1", [name]).map_err(|error| from_sqlite("back up to", to, error))?;
        file.sync_all().map_err(io("flush", to))?;
        sync_folder(to)
    }
}

fn new_file(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path).map_err(io("make", path))
}

/// Writes state that lies elsewhere into a file that is not there yet.
pub(super) fn export(state: &State, to: &Path) -> Result<(), StoreError> {
    drop(new_file(to)?);
    make(to)?;
    let fail = |error| from_sqlite("back up to", to, error);
    let mut connection = Connection::open_with_flags(to, flags()).map_err(fail)?;
    let fill = |connection: &mut Connection| -> rusqlite::Result<()> {
        let transaction = connection.transaction()?;
        for (key, value) in &state.entries {
            let row = (key.as_str(), value, entry_sum(key.as_str(), value));
            transaction.execute("INSERT INTO entry (key, value, sum) VALUES (?1, ?2, ?3)", row)?;
        }
        write_meta(&transaction, state.version, state.epoch)?;
        transaction.commit()
    };
    fill(&mut connection).map_err(fail)?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(fail)?;
    connection.close().map_err(|(_, error)| fail(error))?;
    sync_folder(to)
}

fn write(
    connection: &mut Connection,
    path: &Path,
    epoch: Epoch,
    expected: Version,
    batch: &Batch,
) -> Result<Version, StoreError> {
    let fail = |error| from_sqlite("write", path, error);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
    read_meta(&transaction, path)?.admit(epoch, expected)?;
    let change = || -> rusqlite::Result<()> {
        let mut put =
            transaction.prepare_cached("INSERT OR REPLACE INTO entry (key, value, sum) VALUES (?1, ?2, ?3)")?;
        let mut delete = transaction.prepare_cached("DELETE FROM entry WHERE key = ?1")?;
        for (key, value) in batch.changes() {
            match value {
                Some(value) => put.execute((key.as_str(), value, entry_sum(key.as_str(), value)))?,
                None => delete.execute([key.as_str()])?,
            };
        }
        write_meta(&transaction, expected.next(), epoch)
    };
    change().map_err(fail)?;
    transaction.commit().map_err(|error| match from_sqlite("commit to", path, error) {
        // SQLite says this of a commit only when nothing of it can be trusted.
        StoreError::Busy { path } => {
            StoreError::Io { operation: "commit to", path, source: "it was held at the commit".into() }
        }
        other => other,
    })?;
    Ok(expected.next())
}

/// Makes a new file under another name and moves it into place when it is
/// whole: a crash in between leaves nothing under the real name, so that an
/// empty or half-made file there is always damage.
fn make(path: &Path) -> Result<(), StoreError> {
    let new = beside(path, ".new");
    for rest in [new.clone(), beside(&new, "-wal"), beside(&new, "-shm"), beside(&new, "-journal")] {
        match std::fs::remove_file(&rest) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io("remove", &rest)(error)),
            _ => {}
        }
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(&new).map_err(io("make", &new))?;
    let fill = || -> rusqlite::Result<()> {
        let mut connection = Connection::open_with_flags(&new, flags())?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let transaction = connection.transaction()?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        for migration in MIGRATIONS {
            transaction.execute_batch(migration)?;
        }
        transaction.pragma_update(None, "user_version", FORMAT)?;
        write_meta(&transaction, Version::default(), Epoch::default())?;
        transaction.commit()?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.close().map_err(|(_, error)| error)
    };
    fill().map_err(|error| from_sqlite("make", &new, error))?;
    file.sync_all().map_err(io("flush", &new))?;
    std::fs::rename(&new, path).map_err(io("move into place", path))?;
    sync_folder(path)
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    std::fs::set_permissions(path, Permissions::from_mode(PRIVATE)).map_err(io("set the mode of", path))?;
    let fail = |error| from_sqlite("open", path, error);
    let mut connection = Connection::open_with_flags(path, flags()).map_err(fail)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(fail)?;
    let number =
        |connection: &Connection, pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let application = number(&connection, "application_id").map_err(fail)?;
    if application != i64::from(APPLICATION_ID) {
        return Err(StoreError::Foreign {
            path: path.to_owned(),
            what: format!("its application id is {application:#x}"),
        });
    }
    let found = number(&connection, "user_version").map_err(fail)?;
    if found > FORMAT {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: FORMAT });
    }
    let Ok(from @ 1..) = usize::try_from(found) else {
        return Err(corrupt(path, &format!("its format is {found}")));
    };
    let set = |connection: &Connection| -> rusqlite::Result<String> {
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
    };
    let journal = set(&connection).map_err(fail)?;
    if journal != "wal" {
        let source = format!("the filesystem does not carry a write-ahead log (journal mode {journal})").into();
        return Err(StoreError::Io { operation: "open", path: path.to_owned(), source });
    }
    for (format, migration) in (1_i64..).zip(MIGRATIONS).skip(from) {
        let mut migrate = || -> rusqlite::Result<()> {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute_batch(migration)?;
            transaction.pragma_update(None, "user_version", format)?;
            transaction.commit()
        };
        migrate().map_err(|error| from_sqlite("migrate", path, error))?;
    }
    Ok(connection)
}

fn flags() -> OpenFlags {
    // Never CREATE: a file that vanished between two lines must not come back empty.
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let name = beside(path, ".lock");
    let open = OpenOptions::new().write(true).create(true).truncate(false).mode(PRIVATE).open(&name);
    let file = open.map_err(io("open", &name))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(io("lock", &name)(error)),
    }
}

fn read_meta(transaction: &Transaction<'_>, path: &Path) -> Result<State, StoreError> {
    let row = transaction
        .query_row("SELECT version, epoch, sum FROM meta", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Vec<u8>>(2)?))
        })
        .optional()
        .map_err(|error| from_sqlite("read", path, error))?;
    let Some((version, epoch, sum)) = row else { return Err(corrupt(path, "its version is missing")) };
    let (version, epoch) = (Version(version.cast_unsigned()), Epoch(epoch.cast_unsigned()));
    if sum != meta_sum(version, epoch) {
        return Err(corrupt(path, "the checksum of its version is wrong"));
    }
    Ok(State { version, epoch, ..State::default() })
}

fn write_meta(transaction: &Transaction<'_>, version: Version, epoch: Epoch) -> rusqlite::Result<()> {
    let row = (version.0.cast_signed(), epoch.0.cast_signed(), meta_sum(version, epoch));
    transaction
        .prepare_cached("INSERT OR REPLACE INTO meta (id, version, epoch, sum) VALUES (1, ?1, ?2, ?3)")?
        .execute(row)
        .map(|_| ())
}

/// SQLite's own check sees broken pages, not a flipped bit in a value.
fn entry_sum(key: &str, value: &[u8]) -> Vec<u8> {
    short(Sha256::new().chain_update(key).chain_update([0]).chain_update(value))
}

fn meta_sum(version: Version, epoch: Epoch) -> Vec<u8> {
    short(Sha256::new().chain_update(version.0.to_be_bytes()).chain_update(epoch.0.to_be_bytes()))
}

fn short(hash: Sha256) -> Vec<u8> {
    hash.finalize().iter().take(8).copied().collect()
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync_folder(path: &Path) -> Result<(), StoreError> {
    let folder = folder(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("flush", folder))
}

/// The path with something at its end.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn corrupt(path: &Path, what: &str) -> StoreError {
    StoreError::Corrupt { path: path.to_owned(), what: what.to_owned() }
}

fn io(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    move |source| StoreError::Io { operation, path: path.to_owned(), source: source.into() }
}

fn from_sqlite(operation: &'static str, path: &Path, error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy { path: path.to_owned() },
        // Our statements are right: a table or column that is not there was there once.
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::Unknown) => corrupt(path, &error.to_string()),
        Some(ErrorCode::NotADatabase) => StoreError::Foreign {
            path: path.to_owned(),
            what: "no SQLite file, or its first page is damaged".to_owned(),
        },
        Some(_) => StoreError::Io { operation, path: path.to_owned(), source: error.into() },
        // Not said by SQLite: a column holds another type.
        None => corrupt(path, &error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pragma(store: &SqliteStore, name: &str) -> String {
        let text = |row: &rusqlite::Row<'_>| Ok(format!("{:?}", row.get_ref(0)?));
        store.connection.pragma_query_value(None, name, text).unwrap()
    }

    #[test]
    fn each_commit_waits_for_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        for _ in ["made", "opened"] {
            let store = SqliteStore::open(&folder.path().join("state.db")).unwrap();
            // 2 is FULL; NORMAL (1) loses the last commits when power fails.
            assert_eq!(pragma(&store, "synchronous"), "Integer(2)");
            assert_eq!(pragma(&store, "journal_mode"), r#"Text([119, 97, 108])"#);
            assert_eq!(pragma(&store, "application_id"), format!("Integer({APPLICATION_ID})"));
            assert_eq!(pragma(&store, "user_version"), format!("Integer({FORMAT})"));
        }
    }
}
