//! Who uses the data directory: every open store shares the claim, and a restore has it alone. The operating system
//! lets go of it when the process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::open::FILE_MODE;
use crate::failure::Failure;

/// Name of the file that is locked.
const FILE: &str = "store.lock";

/// Shares the claim with everybody who has the store open.
///
/// # Errors
/// Where a restore has it, or where the file cannot be made.
pub(super) fn share(directory: &Path) -> Result<File, Failure> {
    let file = file(directory)?;
    match file.try_lock_shared() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::failed(
            format!("a backup is being restored into {}", directory.display()),
            "wait for its end, and start again",
        )),
        Err(TryLockError::Error(error)) => Err(unusable(directory, &error)),
    }
}

/// Takes the claim alone.
///
/// # Errors
/// Where anybody has the store open, or where the file cannot be made.
pub(super) fn alone(directory: &Path) -> Result<File, Failure> {
    let file = file(directory)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(in_use(directory)),
        Err(TryLockError::Error(error)) => Err(unusable(directory, &error)),
    }
}

/// The refusal to replace a store that somebody uses.
pub(super) fn in_use(directory: &Path) -> Failure {
    Failure::failed(
        format!("the store in {} is in use: a daemon or a command has it open", directory.display()),
        "stop the daemon (systemctl stop jhe-ow), wait for the command, and restore again; nothing was changed",
    )
}

fn file(directory: &Path) -> Result<File, Failure> {
    let opened = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(FILE_MODE)
        .open(directory.join(FILE));
    opened.map_err(|error| unusable(directory, &error))
}

fn unusable(directory: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(
        format!("the data directory cannot be written: {}: {error}", directory.join(FILE).display()),
        "make it and its files writable for this user, or name another with --data-dir",
    )
}
