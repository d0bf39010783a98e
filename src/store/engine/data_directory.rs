//! Creates the data directory and the database file, readable by their owner only.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::common::failure::Failure;

/// Name of the database in the data directory.
pub const FILE_NAME: &str = "jhe-ow.sqlite3";
/// The file that marks a data directory as one of a demonstration.
pub(crate) const DEMONSTRATION_FILE: &str = "demonstration";

/// Permissions of every file with patients' data.
pub(crate) const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

pub(crate) fn create_directory(directory: &Path) -> Result<(), Failure> {
    let failure = |done: &str, error: std::io::Error| {
        Failure::failed(
            format!("the data directory {} cannot be {done}: {error}", directory.display()),
            "name another with --data-dir or JHE_OW_DATA_DIR, or give this user the right to write there",
        )
    };
    if directory.is_dir() {
        return Ok(());
    }
    let created = fs::DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory);
    created.map_err(|error| match fs::metadata(directory) {
        // The path is a symbolic link, such as systemd creates, to a directory that this user may not read.
        Err(cause) if error.kind() == ErrorKind::AlreadyExists => failure("reached", cause),
        _ => failure("made", error),
    })
}

/// Creates the database file, readable by its owner only, before SQLite opens it: SQLite gives the log the
/// same permissions.
pub(crate) fn create_file(path: &Path) -> Result<(), Failure> {
    match OpenOptions::new().create_new(true).write(true).mode(FILE_MODE).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => restrict_permissions(path),
        Err(error) => Err(Failure::failed(
            format!("{} cannot be made: {error}", path.display()),
            "make the data directory writable for this user, or name another with --data-dir",
        )),
    }
}

fn restrict_permissions(path: &Path) -> Result<(), Failure> {
    let restrict = || {
        let mut permissions = fs::metadata(path)?.permissions();
        if permissions.mode() & 0o077 != 0 {
            permissions.set_mode(FILE_MODE);
            fs::set_permissions(path, permissions)?;
        }
        Ok(())
    };
    restrict().map_err(|error: std::io::Error| {
        Failure::failed(format!("{}: {error}", path.display()), "make the file readable for this user")
    })
}
