//! Errors of the store, one variant for each reaction of a caller.

use rusqlite::{ErrorCode, ffi};

use crate::common::failure::Failure;

/// The result of a read or a write.
pub type StoreResult<T> = Result<T, StoreError>;

/// The reason why a read or a write failed. Nothing of a failed write is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another tick took the lock: this one must stop.
    #[error("the lock ow.sync_in_progress was taken or cleared while this tick ran")]
    LockLost,
    /// The link or the consent of these rows is gone, or their time zone is not the patient's any more: drop them, the
    /// next tick reads again.
    #[error("the link, the consent or the time zone changed while the samples were being read")]
    ConsentEnded,
    /// The patient of these rows was erased: drop them.
    #[error("the patient was erased in the meantime")]
    Erased,
    #[error("the disk is full")]
    DiskFull,
    /// The file or its file system refuses writes.
    #[error("the database is read-only")]
    ReadOnly,
    #[error("the disk failed ({0})")]
    Disk(String),
    /// Another process held the write lock longer than [`crate::store::engine::inspect::BUSY_TIMEOUT`].
    #[error("another process kept the database busy")]
    Busy,
    #[error("the database is damaged ({0})")]
    Damaged(String),
    /// The open file was deleted or replaced; its path.
    #[error("{0} was taken away or replaced while it was in use")]
    Misplaced(String),
    /// This user may not open the file or its directory any more.
    #[error("the database cannot be opened")]
    Unreachable,
    /// The caller's input contradicts the stored data; a sentence for the person who gave it.
    #[error("{0}")]
    Refused(String),
    /// The writer has stopped.
    #[error("the store is closed")]
    Closed,
    #[error("SQLite: {0}")]
    Other(String),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let extended = error.sqlite_error().map(|error| error.extended_code);
        if extended == Some(ffi::SQLITE_CONSTRAINT_FOREIGNKEY) {
            return Self::Erased;
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            // The index of the log could not grow: only a full disk causes that.
            Some(ErrorCode::SystemIoFailure) if extended == Some(ffi::SQLITE_IOERR_SHMSIZE) => Self::DiskFull,
            Some(ErrorCode::SystemIoFailure) => {
                Self::Disk(format!("{error}, code {}", extended.unwrap_or_default()))
            }
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            Some(ErrorCode::CannotOpen) => Self::Unreachable,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error.to_string()),
            _ => Self::Other(error.to_string()),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let remedy = match &error {
            StoreError::Refused(sentence) => return Failure::usage(sentence.clone(), ""),
            StoreError::DiskFull => "make room on the disk of the data directory; what was committed is safe",
            StoreError::Disk(_) => {
                "check that the disk is healthy and has free space (df, dmesg); what was committed is safe"
            }
            StoreError::ReadOnly | StoreError::Unreachable => {
                "make the data directory and its files writable for this user"
            }
            StoreError::Busy => "end the other process that uses the data directory, or try again",
            StoreError::Damaged(_) => "keep a copy of the file, then restore a backup",
            StoreError::Misplaced(_) => "put the original file back, or restart to use the new one",
            StoreError::LockLost => "another poll took over; nothing is lost, the next tick reads again",
            StoreError::ConsentEnded => "nothing to do; the next tick reads what is still consented",
            StoreError::Erased => "nothing to do if a patient was erased; otherwise report it with this text",
            StoreError::Closed | StoreError::Other(_) => {
                "try again; if the error persists, report it with this text"
            }
        };
        Failure::failed(error.to_string(), remedy)
    }
}
