//! The handle of an open store: runs work on the writer thread or on a pooled read-only connection.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;

use crate::common::failure::Failure;
use crate::config::settings::Settings;
use crate::store::engine::open::{self, OpenedFile};
use crate::store::engine::writer::{Work, WriterThread};
use crate::store::engine::{data_directory::FILE_NAME, file_identity::FileIdentity};
use crate::store::engine::{inspect, setting};
use crate::store::error::{StoreError, StoreResult};

/// The open store of one data directory. Cheap to clone; dropping the last clone closes it.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

// Fields are dropped in this order.
#[derive(Debug)]
struct Inner {
    directory: PathBuf,
    /// Unused read-only connections. They close before the writer: the last connection to close writes the
    /// log into the database, which a read-only one cannot do.
    idle: Mutex<Vec<Connection>>,
    writer: WriterThread,
    identity: FileIdentity,
    /// Released last, so that no restore replaces a store that is still open.
    _lock: File,
}

impl Store {
    /// Opens the store in `directory`, creates both if they are missing, and brings the schema up to date.
    pub fn open(directory: &Path) -> Result<Self, Failure> {
        let OpenedFile { connection, guard, lock } = open::open(directory)?;
        let path = directory.join(FILE_NAME);
        let identity = FileIdentity::of(&path).map_err(|error| {
            Failure::failed(
                format!("{}: {error}", path.display()),
                "make the data directory readable for this user",
            )
        })?;
        let writer =
            WriterThread::start(connection, directory, identity.clone(), guard).map_err(|error| {
                Failure::failed(
                    format!("the writer thread cannot be started: {error}"),
                    "raise the limit on threads",
                )
            })?;
        let (directory, idle) = (directory.to_owned(), Mutex::default());
        Ok(Self { inner: Arc::new(Inner { directory, idle, writer, identity, _lock: lock }) })
    }

    /// Returns the data directory.
    pub fn directory(&self) -> &Path {
        &self.inner.directory
    }

    /// Returns the bytes of the database file and of its write-ahead log; a missing file counts 0.
    pub fn bytes(&self) -> (u64, u64) {
        let path = self.inner.directory.join(FILE_NAME);
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        (size(&path), size(&inspect::wal_path(&path)))
    }

    /// Runs `work` in the writer's next transaction and returns after its commit. If `work` fails, nothing of
    /// it is stored.
    pub async fn write<T, F>(&self, work: F) -> StoreResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> StoreResult<T> + Send + 'static,
    {
        let (work, result) = with_result(work);
        self.inner.writer.write(work).await?;
        result.lock().take().ok_or(StoreError::Closed)
    }

    /// Runs `work` on a read-only connection, in one snapshot, off the async threads.
    pub async fn read<T, F>(&self, work: F) -> StoreResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> StoreResult<T> + Send + 'static,
    {
        let (work, result) = with_result(work);
        self.run_read(work).await?;
        result.lock().take().ok_or(StoreError::Closed)
    }

    async fn run_read(&self, work: Work) -> StoreResult<()> {
        let inner = self.inner.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let mut reader = inner.reader()?;
            let snapshot = reader.transaction()?;
            let result = work(&snapshot);
            drop(snapshot);
            inner.idle.lock().push(reader);
            result
        });
        reading.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Reads the current settings. After an error, a caller must not use defaults that switch something on.
    pub async fn settings(&self) -> StoreResult<Settings> {
        self.read(setting::read_all).await
    }
}

/// Separates work from the place of its result. What runs the work is then compiled once, not for each of some
/// two hundred closures.
fn with_result<T: Send + 'static>(
    work: impl FnOnce(&Connection) -> StoreResult<T> + Send + 'static,
) -> (Work, Arc<Mutex<Option<T>>>) {
    let result = Arc::new(Mutex::new(None));
    let place = Arc::clone(&result);
    let work = move |connection: &Connection| {
        *place.lock() = Some(work(connection)?);
        Ok(())
    };
    (Box::new(work), result)
}

impl Inner {
    fn reader(&self) -> StoreResult<Connection> {
        let idle = self.idle.lock().pop();
        if let Some(reader) = idle {
            return Ok(reader);
        }
        // A new connection would silently open the file that replaced ours.
        self.identity.check()?;
        inspect::open_reader(&self.directory.join(FILE_NAME))
    }
}
