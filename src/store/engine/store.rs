//! The SQLite file: every line of SQL, the schema, the one writer and the read-only readers.
//!
//! Functions that read or write take a `&Connection` and are handed to [`Store::read`] or
//! [`Store::write`]: those decide on which thread and in which transaction they run. Instants are
//! [`Timestamp`](crate::common::time::Timestamp)s, kept as microseconds since the Unix epoch.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;

use crate::common::failure::Failure;
use crate::config::settings::Snapshot;
use crate::store::engine::data_directory::FILE_NAME;
use crate::store::engine::file_identity::Place;
use crate::store::engine::writer::Writer;
use crate::store::engine::{inspect, open, setting};
use crate::store::error::StoreError;

/// The open store of one data directory. Cheap to clone; the last clone closes it.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    directory: PathBuf,
    /// Read-only connections that nobody uses at the moment. They are let go before the writer: only the last connection
    /// brings the log into the file, and only where it may write.
    idle: Mutex<Vec<Connection>>,
    writer: Writer,
    place: Place,
    /// The last to be let go: until then nobody restores over this store.
    _claim: File,
}

impl Store {
    /// Opens the store in `directory`, makes both where they are missing, and brings the schema up to
    /// date.
    ///
    /// # Errors
    /// Where the file is not ours, is newer than this program, or cannot be written: a sentence, what to
    /// do, and nothing changed.
    pub fn open(directory: &Path) -> Result<Self, Failure> {
        let (connection, claim) = open::open(directory)?;
        let path = directory.join(FILE_NAME);
        let place = Place::of(&path).map_err(|error| {
            Failure::failed(
                format!("{}: {error}", path.display()),
                "make the data directory readable for this user",
            )
        })?;
        let writer = Writer::start(connection, place.clone()).map_err(|error| {
            Failure::failed(format!("no thread for the writer: {error}"), "raise the limit on threads")
        })?;
        let inner =
            Inner { directory: directory.to_owned(), writer, place, idle: Mutex::default(), _claim: claim };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The data directory.
    pub fn directory(&self) -> &Path {
        &self.inner.directory
    }

    /// Bytes of the database file and of its write-ahead log; nothing where there is none.
    pub fn bytes(&self) -> (u64, u64) {
        let size =
            |name: &str| std::fs::metadata(self.inner.directory.join(name)).map_or(0, |file| file.len());
        (size(FILE_NAME), size(&format!("{FILE_NAME}-wal")))
    }

    /// Runs `work` in the writer's next transaction and answers once that is on the disk. Where `work`
    /// fails, nothing of it is kept.
    ///
    /// # Errors
    /// What `work` returned, or why the transaction did not stand.
    pub async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.inner.writer.write(work).await
    }

    /// Runs `work` on a read-only connection, in one snapshot, off the async threads.
    ///
    /// # Errors
    /// What `work` returned, or why the file could not be read.
    pub async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let store = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut reader = store.inner.reader()?;
            let snapshot = reader.transaction()?;
            let result = work(&snapshot);
            drop(snapshot);
            store.inner.idle.lock().push(reader);
            result
        });
        done.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Reads the settings as they are now.
    ///
    /// # Errors
    /// Where they cannot be read; the defaults must not stand in for them where that would switch something on.
    pub async fn settings(&self) -> Result<Snapshot, StoreError> {
        self.read(setting::all).await
    }
}

impl Inner {
    fn reader(&self) -> Result<Connection, StoreError> {
        let idle = self.idle.lock().pop();
        if let Some(reader) = idle {
            return Ok(reader);
        }
        self.place.check()?;
        inspect::reader(&self.directory.join(FILE_NAME))
    }
}
