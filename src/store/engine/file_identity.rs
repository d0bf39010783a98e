//! Detects that the open database file was deleted or replaced. The system lets a process go on writing to
//! such a file and discards the writes when the last process closes it.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::store::engine::inspect::wal_path;
use crate::store::error::{StoreError, StoreResult};

/// The database and its log, as they were when the store was opened.
#[derive(Debug, Clone)]
pub(crate) struct FileIdentity(Vec<OpenFile>);

#[derive(Debug, Clone)]
struct OpenFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl FileIdentity {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let mut files = vec![OpenFile::stat(path)?];
        // SQLite creates the log at the first read. A log that does not exist yet holds nothing to lose.
        files.extend(OpenFile::stat(&wal_path(path)));
        Ok(Self(files))
    }

    /// Fails with [`StoreError::Misplaced`] if one of the files was deleted or replaced.
    pub(crate) fn check(&self) -> StoreResult<()> {
        let missing = self.0.iter().find(|file| !file.is_in_place());
        missing.map_or(Ok(()), |file| Err(StoreError::Misplaced(file.path.display().to_string())))
    }
}

impl OpenFile {
    fn stat(path: &Path) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        Ok(Self { path: path.to_owned(), identity: (found.dev(), found.ino()) })
    }

    fn is_in_place(&self) -> bool {
        match fs::metadata(&self.path) {
            Ok(found) => (found.dev(), found.ino()) == self.identity,
            // Lost permissions on the directory do not mean that the file is gone.
            Err(error) => error.kind() != ErrorKind::NotFound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deleted_or_replaced_file_is_detected_until_it_is_back() {
        let directory = tempfile::tempdir().unwrap();
        let (path, aside) = (directory.path().join("a"), directory.path().join("b"));
        fs::write(&path, "1").unwrap();
        fs::write(directory.path().join("a-wal"), "1").unwrap();
        let identity = FileIdentity::of(&path).unwrap();
        assert_eq!(identity.check(), Ok(()));
        fs::rename(&path, &aside).unwrap();
        assert_eq!(identity.check(), Err(StoreError::Misplaced(path.display().to_string())));
        fs::write(&path, "2").unwrap();
        assert!(identity.check().is_err());
        fs::rename(&aside, &path).unwrap();
        assert_eq!(identity.check(), Ok(()));
        fs::remove_file(directory.path().join("a-wal")).unwrap();
        assert!(identity.check().is_err());
    }
}
