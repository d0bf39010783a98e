use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::common::failure::Failure;

/// Only the owner reads patients' data.
pub(crate) const FILE_MODE: u32 = 0o600;

pub(crate) fn make_directory(directory: &Path) -> Result<(), Failure> {
    let told = |what: &str, error: std::io::Error| {
        Failure::failed(
            format!("the data directory {} cannot be {what}: {error}", directory.display()),
            "name another with --data-dir or JHE_OW_DATA_DIR, or give this user the right to write there",
        )
    };
    if directory.is_dir() {
        return Ok(());
    }
    let made = fs::DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory);
    made.map_err(|error| match fs::metadata(directory) {
        // A link to where this user may not look, such as what systemd makes, is there.
        Err(why) if error.kind() == ErrorKind::AlreadyExists => told("reached", why),
        _ => told("made", error),
    })
}

/// Makes the file with its narrow rights before SQLite sees it: the log beside it inherits them.
pub(crate) fn make_file(path: &Path) -> Result<(), Failure> {
    let made = OpenOptions::new().create_new(true).write(true).mode(FILE_MODE).open(path);
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => narrow_rights(path),
        Err(error) => Err(Failure::failed(
            format!("{} cannot be made: {error}", path.display()),
            "make the data directory writable for this user, or name another with --data-dir",
        )),
    }
}

pub(crate) fn narrow_rights(path: &Path) -> Result<(), Failure> {
    let told = |error: std::io::Error| {
        Failure::failed(format!("{}: {error}", path.display()), "make the file readable for this user")
    };
    let mut rights = fs::metadata(path).map_err(told)?.permissions();
    if rights.mode() & 0o077 != 0 {
        rights.set_mode(FILE_MODE);
        fs::set_permissions(path, rights).map_err(told)?;
    }
    Ok(())
}

/// Name of the database in the data directory.
pub const FILE_NAME: &str = "jhe-ow.sqlite3";

pub(crate) const DIRECTORY_MODE: u32 = 0o700;
