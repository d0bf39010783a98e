//! Who uses the data directory: every open store shares the claim, and a restore has it alone; one daemon serves it.
//! The operating system lets go of a claim when the process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::common::failure::Failure;
use crate::store::engine::data_directory::{FILE_MODE, make_directory};
use crate::store::error::StoreError;

/// The file that everybody locks who has the store open.
const STORE: &str = "store.lock";
/// The file that the daemon locks.
const DAEMON: &str = "serve.lock";

/// Shares the claim with everybody who has the store open.
///
/// # Errors
/// Where a restore has it, or where the file cannot be made.
pub(crate) fn share(directory: &Path) -> Result<File, Failure> {
    let file = file(directory, STORE)?;
    match file.try_lock_shared() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::failed(
            format!("a backup is being restored into {}", directory.display()),
            "wait for its end, and start again",
        )),
        Err(TryLockError::Error(error)) => Err(unusable(&directory.join(STORE), &error)),
    }
}

/// Takes the claim alone.
///
/// # Errors
/// Where anybody has the store open, or where the file cannot be made.
pub(crate) fn alone(directory: &Path) -> Result<File, Failure> {
    let file = file(directory, STORE)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(in_use(directory)),
        Err(TryLockError::Error(error)) => Err(unusable(&directory.join(STORE), &error)),
    }
}

/// Takes the place of the one daemon of a data directory for this `instance` of it; none where another has it. The
/// directory is made where it is missing.
///
/// # Errors
/// Where the file cannot be made.
pub fn daemon(directory: &Path, instance: &str) -> Result<Option<File>, Failure> {
    make_directory(directory)?;
    let file = file(directory, DAEMON)?;
    match file.try_lock() {
        Ok(()) => {
            let note = file.set_len(0).and_then(|()| (&file).write_all(instance.as_bytes()));
            note.map_err(|error| unusable(&directory.join(DAEMON), &error))?;
            Ok(Some(file))
        }
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(unusable(&directory.join(DAEMON), &error)),
    }
}

/// The instance of the daemon that serves a data directory, or that was the last to; none where none has. Whoever answers
/// with it is that daemon.
pub fn instance(directory: &Path) -> Option<String> {
    let noted = std::fs::read_to_string(directory.join(DAEMON)).ok()?;
    Some(noted).filter(|noted| !noted.is_empty())
}

/// The refusal to replace a store that somebody uses.
pub(crate) fn in_use(directory: &Path) -> Failure {
    Failure::failed(
        format!("the store in {} is in use: a daemon or a command has it open", directory.display()),
        "stop the daemon (systemctl stop jhe-ow), wait for the command, and restore again; nothing was changed",
    )
}

fn file(directory: &Path, name: &str) -> Result<File, Failure> {
    let path = directory.join(name);
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(FILE_MODE);
    options.open(&path).map_err(|error| unusable(&path, &error))
}

fn unusable(path: &Path, error: &std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::StorageFull {
        let mut failure = Failure::from(StoreError::DiskFull);
        failure.what = format!("{}: {}", path.display(), failure.what);
        return failure;
    }
    Failure::failed(
        format!("the data directory cannot be written: {}: {error}", path.display()),
        "make it and its files writable for this user, or name another with --data-dir",
    )
}
