//! File locks on the data directory. Every open store shares one, a restore holds it exclusively, and the
//! daemon holds a second one. The operating system releases a lock when its process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::common::failure::Failure;
use crate::store::engine::data_directory::{FILE_MODE, create_directory};
use crate::store::engine::inspect;
use crate::store::error::StoreError;

/// Locked by every process that has the store open.
const STORE_LOCK: &str = "store.lock";
/// Locked by the daemon; holds the id of its instance.
const DAEMON_LOCK: &str = "serve.lock";

/// Takes the shared lock, which every process with an open store holds.
pub(crate) fn lock_shared(directory: &Path) -> Result<File, Failure> {
    let file = open_lock(directory, STORE_LOCK)?;
    match file.try_lock_shared() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::failed(
            format!("a backup is being restored into {}", directory.display()),
            "wait until the restore has finished, and start again",
        )),
        Err(TryLockError::Error(error)) => Err(unusable(&directory.join(STORE_LOCK), &error)),
    }
}

/// Locks the directory for a restore; fails if any process has the store open.
pub(crate) fn lock_exclusive(directory: &Path) -> Result<File, Failure> {
    try_lock(directory, STORE_LOCK)?.ok_or_else(|| in_use_failure(directory))
}

/// Locks the directory for a daemon and writes its `instance` into the lock file. Returns none if another
/// daemon holds the lock. Creates a missing directory.
pub fn lock_for_daemon(directory: &Path, instance: &str) -> Result<Option<File>, Failure> {
    create_directory(directory)?;
    let Some(file) = try_lock(directory, DAEMON_LOCK)? else { return Ok(None) };
    let written = file.set_len(0).and_then(|()| (&file).write_all(instance.as_bytes()));
    written.map_err(|error| unusable(&directory.join(DAEMON_LOCK), &error))?;
    Ok(Some(file))
}

/// Returns the instance of the daemon that serves this directory, or of the last one that did. A server that
/// answers with this id is that daemon.
pub fn read_instance(directory: &Path) -> Option<String> {
    std::fs::read_to_string(directory.join(DAEMON_LOCK)).ok().filter(|instance| !instance.is_empty())
}

pub(crate) fn in_use_failure(directory: &Path) -> Failure {
    Failure::failed(
        format!("the store in {} is in use: a daemon or a command has it open", directory.display()),
        "stop the daemon (systemctl stop jhe-ow), wait for the command, and restore again; nothing was \
         changed",
    )
}

/// Takes an exclusive lock on a file; returns none if another process holds one.
fn try_lock(directory: &Path, name: &str) -> Result<Option<File>, Failure> {
    let file = open_lock(directory, name)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(unusable(&directory.join(name), &error)),
    }
}

/// Opens a lock file in `directory`, and creates the file if it is missing.
pub(crate) fn open_lock(directory: &Path, name: &str) -> Result<File, Failure> {
    let path = directory.join(name);
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(FILE_MODE);
    options.open(&path).map_err(|error| unusable(&path, &error))
}

pub(crate) fn unusable(path: &Path, error: &std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::StorageFull {
        return inspect::failure_for(path, &StoreError::DiskFull);
    }
    Failure::failed(
        format!("the data directory cannot be written: {}: {error}", path.display()),
        "make it and its files writable for this user, or name another with --data-dir",
    )
}
