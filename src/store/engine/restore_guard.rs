//! Detects that the database was replaced by an older copy of itself, by whatever program.
//!
//! A file beside the database holds the numbers of its last commit and of its last audit entry. They only grow, so
//! a database with smaller ones was restored. The file is written after each commit and may be a commit behind.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::common::failure::Failure;
use crate::store::engine::data_directory::FILE_MODE;
use crate::store::engine::directory_lock::unusable;
use crate::store::error::StoreResult;
use crate::store::operations::counter;

const FILE_NAME: &str = "last-commit";
/// The counter that says that the file was written once: a database that has it and no file came from elsewhere.
const IS_GUARDED: &str = "has_restore_guard";

/// The numbers of the last commit and of the last audit entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Position {
    commit: i64,
    audit: i64,
}

/// The open file.
#[derive(Debug)]
pub(crate) struct RestoreGuard {
    file: File,
    saved: Position,
}

impl Position {
    pub(crate) fn read(db: &Connection) -> StoreResult<Self> {
        let mut query = db.prepare_cached(
            "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'commits'), 0),
                    coalesce((SELECT last_entry_id FROM audit_chain_head), 0)",
        )?;
        Ok(query.query_row([], |row| Ok(Self { commit: row.get(0)?, audit: row.get(1)? }))?)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split_whitespace().map(|number| number.parse().ok());
        Some(Self { commit: numbers.next()??, audit: numbers.next()?? })
    }

    /// Formats the numbers at a fixed length, so that they can be overwritten in place.
    fn render(self) -> String {
        format!("{:20} {:20}\n", self.commit, self.audit)
    }
}

impl RestoreGuard {
    /// Opens or creates the file. The second value is true if the database is older than the file, or is a copy
    /// that has no file.
    pub(crate) fn open(db: &Connection, directory: &Path) -> Result<(Self, bool), Failure> {
        let path = path_in(directory);
        let failed = |error: std::io::Error| unusable(&path, &error);
        // The file comes first: another process may commit between the two.
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        let store_failure = |error| super::inspect::failure_for(directory, &error);
        let position = Position::read(db).map_err(store_failure)?;
        let is_guarded = counter::find(db, IS_GUARDED).map_err(store_failure)?.is_some();
        // A file that a crash has emptied says nothing.
        let saved = text.as_deref().map(|text| Position::parse(text).unwrap_or_default());
        let is_restored =
            saved.map_or(is_guarded, |saved| position.commit < saved.commit || position.audit < saved.audit);
        let mut options = OpenOptions::new();
        let file =
            options.create(true).truncate(false).write(true).mode(FILE_MODE).open(&path).map_err(failed)?;
        if !is_guarded {
            counter::set(db, IS_GUARDED, 1).map_err(store_failure)?;
        }
        let guard = Self { file, saved: saved.unwrap_or_default() };
        Ok((guard, is_restored))
    }

    /// Saves the position of a commit. An error is ignored: the file is then a commit behind.
    pub(crate) fn save(&mut self, position: Position) {
        if position != self.saved && self.file.write_all_at(position.render().as_bytes(), 0).is_ok() {
            self.saved = position;
        }
    }
}

/// Writes the file for a database that is put in place with this position.
pub(crate) fn write(directory: &Path, position: Position) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(true).write(true).mode(FILE_MODE).open(path_in(directory))?;
    file.write_all_at(position.render().as_bytes(), 0)?;
    file.sync_all()
}

fn path_in(directory: &Path) -> PathBuf {
    directory.join(FILE_NAME)
}
