//! Whether the files that SQLite has open still lie where the next process will look for them. A system lets a
//! process write to a file that somebody has deleted or replaced, and throws the writing away with its last user.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::store::error::StoreError;

/// Which files were opened.
#[derive(Debug, Clone)]
pub(crate) struct Place(Vec<Known>);

#[derive(Debug, Clone)]
struct Known {
    path: PathBuf,
    /// The device and the number of the file on it.
    identity: (u64, u64),
}

impl Place {
    /// Notes the database at `path` and its log, as they are now.
    ///
    /// # Errors
    /// Where the database cannot be looked at.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let mut files = vec![Known::look(path)?];
        // SQLite makes it with the first look into a store; where it has not, there is nothing to lose in it.
        files.extend(Known::look(Path::new(&log)));
        Ok(Self(files))
    }

    /// # Errors
    /// [`StoreError::Misplaced`] where one of the files is gone or another one.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let lost = self.0.iter().find(|known| !known.is_there());
        lost.map_or(Ok(()), |known| Err(StoreError::Misplaced(known.path.display().to_string())))
    }
}

impl Known {
    fn look(path: &Path) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        Ok(Self { path: path.to_owned(), identity: (found.dev(), found.ino()) })
    }

    /// Whoever may no longer look into the directory cannot tell, and what is open stays open.
    fn is_there(&self) -> bool {
        match fs::metadata(&self.path) {
            Ok(found) => (found.dev(), found.ino()) == self.identity,
            Err(error) => error.kind() != ErrorKind::NotFound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_taken_away_or_replaced_is_missed_until_it_is_back() {
        let directory = tempfile::tempdir().unwrap();
        let (path, aside) = (directory.path().join("a"), directory.path().join("b"));
        fs::write(&path, "1").unwrap();
        fs::write(directory.path().join("a-wal"), "1").unwrap();
        let place = Place::of(&path).unwrap();
        assert_eq!(place.check(), Ok(()));
        fs::rename(&path, &aside).unwrap();
        assert_eq!(place.check(), Err(StoreError::Misplaced(path.display().to_string())));
        fs::write(&path, "2").unwrap();
        assert!(place.check().is_err());
        fs::rename(&aside, &path).unwrap();
        assert_eq!(place.check(), Ok(()));
        fs::remove_file(directory.path().join("a-wal")).unwrap();
        assert!(place.check().is_err());
    }
}
