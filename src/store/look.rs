//! What a store looks like from outside: read without taking it, making it, or leaving anything behind.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use zookeeper_client::{Client, Error};

use super::StoreError;
use super::sqlite::APPLICATION_ID;
use crate::config::StoreInZooKeeper;

/// For all of it; the client tries every server of the list.
const PATIENCE: Duration = Duration::from_secs(10);

/// What stands where the store should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing yet: the first start makes it.
    Nothing,
    /// State, after so many commits.
    State {
        /// Commits that made it.
        version: u64,
        /// Whether a controller holds it; none when that cannot be told.
        held: Option<bool>,
    },
}

/// Looks at an SQLite file, whether or not a controller runs on it.
pub fn sqlite(path: &Path) -> Result<Seen, StoreError> {
    let corrupt = |what: String| StoreError::Corrupt { path: path.to_owned(), what };
    let folder = path.parent().unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(StoreError::NoFolder { path: path.to_owned() });
    }
    if !path.exists() {
        return Ok(Seen::Nothing);
    }
    let fail =
        |error: rusqlite::Error| StoreError::Io { operation: "look at", path: path.to_owned(), source: error.into() };
    // A file that nobody has open is read as it is, so that no -wal and -shm are made beside it.
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let asked = if Path::new(&wal).exists() { "mode=ro" } else { "mode=ro&immutable=1" };
    let mut address = url::Url::from_file_path(std::path::absolute(path).map_err(|error| corrupt(error.to_string()))?)
        .map_err(|()| corrupt("its path cannot be written as an address".to_owned()))?;
    address.set_query(Some(asked));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(address.as_str(), flags).map_err(fail)?;
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(fail)?;
    if application != APPLICATION_ID {
        return Err(StoreError::Foreign { path: path.to_owned(), what: format!("its mark is {application}") });
    }
    let judged: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(fail)?;
    if judged != "ok" {
        return Err(corrupt(judged));
    }
    let version: i64 = connection.query_row("SELECT version FROM meta", [], |row| row.get(0)).map_err(fail)?;
    Ok(Seen::State { version: version.unsigned_abs(), held: None })
}

/// Looks at a folder in ZooKeeper.
pub async fn zookeeper(settings: &StoreInZooKeeper) -> Result<Seen, StoreError> {
    let shown = || format!("zk://{}{}", settings.servers, settings.path).into();
    let fail = |source: Error| StoreError::Io { operation: "look at", path: shown(), source: source.into() };
    tokio::time::timeout(PATIENCE, look(settings)).await.unwrap_or(Err(Error::Timeout)).map_err(fail)
}

async fn look(settings: &StoreInZooKeeper) -> Result<Seen, Error> {
    let mut connector = Client::connector().with_session_timeout(PATIENCE).with_fail_eagerly();
    if let Some(auth) = &settings.auth {
        connector = connector.with_auth("digest", auth.0.reveal().as_bytes());
    }
    let client = connector.connect(&settings.servers).await?;
    let meta = match client.get_data(&format!("{}/meta", settings.path)).await {
        Ok((meta, _)) => meta,
        Err(Error::NoNode) => return Ok(Seen::Nothing),
        Err(error) => return Err(error),
    };
    #[derive(serde::Deserialize)]
    struct Meta {
        version: u64,
    }
    let meta: Meta = serde_json::from_slice(&meta)
        .map_err(|error| Error::UnexpectedError(format!("meta cannot be read: {error}")))?;
    let held = client.check_stat(&format!("{}/lock", settings.path)).await?.is_some();
    Ok(Seen::State { version: meta.version, held: Some(held) })
}
