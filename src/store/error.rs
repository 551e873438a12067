//! Why a store said no, and whether it may be asked again.

use std::path::PathBuf;

use super::{Epoch, MAX_BATCH, MAX_KEY, MAX_VALUE, Version};

/// Why a store said no.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum StoreError {
    /// Somebody else committed since the state was loaded. Nothing was changed.
    #[error("the commit is based on version {}, but the store is at version {}; load again", expected.0, stored.0)]
    Conflict { expected: Version, stored: Version },
    /// Another leader took over. Nothing was changed, and this one must stop.
    #[error("epoch {} was replaced by epoch {}; this controller leads no more", given.0, stored.0)]
    Fenced { given: Epoch, stored: Epoch },
    /// A key has a form that not every store can hold. Nothing was changed.
    #[error(
        "{key:?} is no key: at most {MAX_KEY} of a-z, 0-9, `-`, `_`, `.` and `/`, no empty or dotted part between slashes"
    )]
    Key { key: String },
    /// A value is too large. Nothing was changed.
    #[error("the value of {key} has {size} bytes, and a value has at most {MAX_VALUE}")]
    ValueTooLarge { key: String, size: usize },
    /// The changes are too large together. Nothing was changed.
    #[error(
        "the batch has {size} bytes in {operations} changes, and a batch has at most {MAX_BATCH}; the largest is {largest}"
    )]
    BatchTooLarge { size: usize, operations: usize, largest: String },
    /// Somebody holds the file for a moment, such as a person with `sqlite3`. Nothing was changed.
    #[error("{} is held by another program; let it end its transaction", path.display())]
    Busy { path: PathBuf },
    /// A second controller on the same file.
    #[error("{} is in use by another process; stop the other `sio run`, or set store.path to a file of its own", path.display())]
    InUse { path: PathBuf },
    /// The folder is missing; it may be a filesystem that is not mounted, so it is not made.
    #[error("the folder of {} is not there; mount or make it, or set store.path to another file", path.display())]
    NoFolder { path: PathBuf },
    /// The file was written by a newer release.
    #[error("{} has format {found}, and this release knows formats up to {known}; run the newer release, or restore the backup made before the upgrade", path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    /// The file is something else.
    #[error("{} is not a state file of this product ({what}); set store.path to another file", path.display())]
    Foreign { path: PathBuf, what: String },
    /// The file is damaged. It is never replaced by a new one on its own.
    #[error("{} is damaged: {what}; restore a backup, or move the file away to begin with nothing known", path.display())]
    Corrupt { path: PathBuf, what: String },
    /// The disk or the filesystem said no. What became of a commit is not known.
    #[error("cannot {operation} {}", path.display())]
    Io {
        operation: &'static str,
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An earlier call failed in a way that leaves the state on disk unknown.
    #[error("the store is closed since an earlier error; end the process and start again")]
    Closed,
}

impl StoreError {
    /// Whether the state on disk is unknown, so that the process must end and load again.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Conflict { .. }
            | Self::Fenced { .. }
            | Self::Key { .. }
            | Self::ValueTooLarge { .. }
            | Self::BatchTooLarge { .. }
            | Self::Busy { .. } => false,
            Self::InUse { .. }
            | Self::NoFolder { .. }
            | Self::Newer { .. }
            | Self::Foreign { .. }
            | Self::Corrupt { .. }
            | Self::Io { .. }
            | Self::Closed => true,
        }
    }

    /// Whether the same call may succeed later in this process.
    pub fn may_retry(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }
}
