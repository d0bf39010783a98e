//! The only thread that writes. One transaction carries the jobs of many patients. Each job has its own
//! savepoint, so that its failure undoes nothing else, and a caller gets its result only after the commit.

use std::iter;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::common::failpoint;
use crate::store::engine::backup;
use crate::store::engine::file_identity::FileIdentity;
use crate::store::engine::restore_guard::{Position, RestoreGuard};
use crate::store::error::{StoreError, StoreResult};
use crate::store::privacy::erasure;
use crate::store::samples::commit_number;

/// Jobs that may wait while the disk syncs; further senders block. A job holds at most a few thousand rows,
/// so this bounds memory too.
const QUEUE: usize = 64;
/// A transaction takes further jobs for at most this long before it commits, so that no caller waits long.
const GATHER: Duration = Duration::from_millis(50);

/// Pause between two attempts to write while the file is being rewritten.
const PAUSE: Duration = Duration::from_millis(200);

/// Work on a connection with an open transaction.
pub(crate) type Work = Box<dyn FnOnce(&Connection) -> StoreResult<()> + Send>;

struct WriteJob {
    work: Work,
    /// Receives the outcome once that of the commit is known. If the caller is gone, the work is committed all
    /// the same.
    reply: oneshot::Sender<StoreResult<()>>,
}

/// The sending side of the writer thread.
#[derive(Debug)]
pub(crate) struct WriterThread {
    jobs: Option<mpsc::SyncSender<WriteJob>>,
    is_closing: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl WriterThread {
    pub(crate) fn start(
        connection: Connection,
        directory: &Path,
        identity: FileIdentity,
        mut guard: RestoreGuard,
    ) -> std::io::Result<Self> {
        let (jobs, inbox) = mpsc::sync_channel(QUEUE);
        let is_closing = Arc::new(AtomicBool::new(false));
        let (directory, closing) = (directory.to_owned(), Arc::clone(&is_closing));
        let thread = std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || run(&connection, &directory, &closing, &identity, &mut guard, &inbox))?;
        Ok(Self { jobs: Some(jobs), is_closing, thread: Some(thread) })
    }

    /// Runs `work` in the next transaction; returns after its commit.
    pub(crate) async fn write(&self, work: Work) -> StoreResult<()> {
        let (reply, outcome) = oneshot::channel();
        self.send(WriteJob { work, reply }).await?;
        outcome.await.unwrap_or(Err(StoreError::Closed))
    }

    async fn send(&self, job: WriteJob) -> StoreResult<()> {
        let jobs = self.jobs.as_ref().ok_or(StoreError::Closed)?;
        let job = match jobs.try_send(job) {
            Ok(()) => return Ok(()),
            Err(mpsc::TrySendError::Disconnected(_)) => return Err(StoreError::Closed),
            Err(mpsc::TrySendError::Full(job)) => job,
        };
        // The queue is full: wait on a blocking thread, not on an async one.
        let jobs = jobs.clone();
        let sent = tokio::task::spawn_blocking(move || jobs.send(job).is_ok()).await;
        if sent.unwrap_or(false) { Ok(()) } else { Err(StoreError::Closed) }
    }
}

impl Drop for WriterThread {
    /// Waits until the accepted jobs have ended.
    fn drop(&mut self) {
        self.jobs = None;
        self.is_closing.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn in_savepoint(connection: &Connection, work: Work) -> StoreResult<()> {
    execute(connection, "SAVEPOINT job")?;
    let result = work(connection);
    failpoint::at("writer.job");
    if result.is_err() {
        execute(connection, "ROLLBACK TO job")?;
    }
    execute(connection, "RELEASE job")?;
    result
}

/// Runs a statement that every transaction needs, and keeps it prepared.
fn execute(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}

fn run(
    connection: &Connection,
    directory: &Path,
    is_closing: &AtomicBool,
    identity: &FileIdentity,
    guard: &mut RestoreGuard,
    inbox: &mpsc::Receiver<WriteJob>,
) {
    while let Ok(first) = inbox.recv() {
        let began = Instant::now();
        let opened = begin(connection, directory, is_closing);
        if let Err(error) = opened.and_then(|()| commit_number::begin_transaction(connection)) {
            let error = StoreError::from(error);
            // Fail all queued jobs at once: one after the other, each would wait for the full busy timeout.
            for job in iter::once(first).chain(inbox.try_iter()) {
                let _ = job.reply.send(Err(error.clone()));
            }
            continue;
        }
        failpoint::at("writer.begun");
        let mut done = vec![(in_savepoint(connection, first.work), first.reply)];
        // SQLite ends the transaction itself if the disk is full: further jobs would run outside of it.
        while !connection.is_autocommit() && began.elapsed() < GATHER {
            let Ok(job) = inbox.try_recv() else { break };
            done.push((in_savepoint(connection, job.work), job.reply));
        }
        failpoint::at("writer.commit");
        let committed = commit(connection, identity, guard);
        failpoint::at("writer.committed");
        for (result, reply) in done {
            let _ = reply.send(committed.clone().and(result));
        }
    }
}

/// Opens a transaction. While another process rewrites the file after an erasure, which takes minutes for a large one,
/// it waits for longer than SQLite's busy timeout, until the store is closed.
fn begin(connection: &Connection, directory: &Path, is_closing: &AtomicBool) -> rusqlite::Result<()> {
    let mut is_logged = false;
    loop {
        let opened = execute(connection, "BEGIN IMMEDIATE");
        let is_busy = opened.as_ref().is_err_and(backup::is_busy);
        if !is_busy || is_closing.load(Ordering::Relaxed) || !erasure::is_vacuuming(directory) {
            return opened;
        }
        if !is_logged {
            tracing::info!("the file is being rewritten after an erasure; writes wait until that has ended");
            is_logged = true;
        }
        std::thread::sleep(PAUSE);
    }
}

fn commit(connection: &Connection, identity: &FileIdentity, guard: &mut RestoreGuard) -> StoreResult<()> {
    if connection.is_autocommit() {
        return Err(StoreError::DiskFull);
    }
    let position = Position::read(connection);
    let ended = identity.check().and_then(|()| Ok(execute(connection, "COMMIT")?));
    if let (Ok(()), Ok(position)) = (&ended, position) {
        guard.save(position);
    }
    // SQLite rolls some failed transactions back by itself; then there is none to roll back.
    if ended.is_err() && !connection.is_autocommit() {
        let _ = connection.execute_batch("ROLLBACK");
    }
    ended
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::inspect;

    #[tokio::test]
    async fn a_write_waits_for_as_long_as_the_file_is_rewritten_after_an_erasure() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        let open = |patience| {
            let db = Connection::open(&path).unwrap();
            db.busy_timeout(patience).unwrap();
            db
        };
        let mut db = open(Duration::ZERO);
        db.pragma_update(None, "journal_mode", "WAL").unwrap();
        inspect::runner().run(&mut db).unwrap();
        commit_number::prepare(&db).unwrap();
        let (guard, _) = RestoreGuard::open(&db, directory.path()).unwrap();
        let writer =
            WriterThread::start(db, directory.path(), FileIdentity::of(&path).unwrap(), guard).unwrap();
        let other = open(Duration::from_secs(10));
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let vacuum = std::fs::File::create(directory.path().join("vacuum.lock")).unwrap();
        vacuum.lock().unwrap();
        let write = writer.write(Box::new(|_| Ok(())));
        tokio::pin!(write);
        assert!(tokio::time::timeout(PAUSE, &mut write).await.is_err(), "it waits");
        other.execute_batch("ROLLBACK").unwrap();
        assert_eq!(write.await, Ok(()));
        // A process that is killed lets go of the lock: another lock is an error.
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        drop(vacuum);
        assert!(writer.write(Box::new(|_| Ok(()))).await.is_err());
    }

    #[tokio::test]
    async fn a_caller_learns_that_its_commit_failed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        let mut db = Connection::open(&path).unwrap();
        inspect::runner().run(&mut db).unwrap();
        let (guard, _) = RestoreGuard::open(&db, directory.path()).unwrap();
        db.execute_batch(
            "PRAGMA foreign_keys = ON; CREATE TEMP TABLE open_commit (number);
             CREATE TABLE parent (id INTEGER PRIMARY KEY);
             CREATE TABLE child (parent REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);",
        )
        .unwrap();
        let writer =
            WriterThread::start(db, directory.path(), FileIdentity::of(&path).unwrap(), guard).unwrap();
        // The deferred foreign key is checked at the end of the transaction only.
        let insert = |db: &Connection| Ok(db.execute_batch("INSERT INTO child VALUES (7)")?);
        let dangling = writer.write(Box::new(insert)).await;
        assert!(dangling.is_err(), "{dangling:?}");
        assert_eq!(writer.write(Box::new(|_| Ok(()))).await, Ok(()), "the transaction is over");
        drop(writer);
        let db = Connection::open(&path).unwrap();
        assert_eq!(db.query_row("SELECT count(*) FROM child", [], |row| row.get(0)), Ok(0_i64));
    }
}
