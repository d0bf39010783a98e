//! The one thread that writes. It commits the work of many patients together: each job runs in a
//! savepoint of its own, so that one that fails takes nothing else with it, and whoever asked hears
//! back only after the commit.

use std::iter;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::common::failpoint;
use crate::store::engine::file_identity::Place;
use crate::store::error::StoreError;
use crate::store::samples::commit_number;

/// Jobs that wait while the disk syncs; the senders of more wait in line. Each holds at most a few
/// thousand rows, so this bounds memory too.
const QUEUE: usize = 64;
/// How long one transaction gathers jobs before it commits, so that nobody waits long for a sync.
const GATHER: Duration = Duration::from_millis(50);

/// Tells the one who asked how it went, once it is known whether the commit stood.
type Reply = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// Work, given a connection with an open transaction or the reason why there is none.
type Job = Box<dyn FnOnce(Result<&Connection, StoreError>) -> Reply + Send>;

/// The sending side of the writer thread.
#[derive(Debug)]
pub(crate) struct Writer {
    jobs: Option<mpsc::SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(connection: Connection, place: Place) -> std::io::Result<Self> {
        let (jobs, inbox) = mpsc::sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || run(&connection, &place, &inbox))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Runs `work` in the next transaction; answers when that is on the disk.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let result = connection.and_then(|connection| in_savepoint(connection, work));
            Box::new(move |committed| {
                // Nobody listens any more: the work stands all the same.
                let _ = answer.send(committed.and(result));
            })
        });
        self.send(job).await?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }

    async fn send(&self, job: Job) -> Result<(), StoreError> {
        let jobs = self.jobs.as_ref().ok_or(StoreError::Closed)?;
        let job = match jobs.try_send(job) {
            Ok(()) => return Ok(()),
            Err(mpsc::TrySendError::Disconnected(_)) => return Err(StoreError::Closed),
            Err(mpsc::TrySendError::Full(job)) => job,
        };
        let jobs = jobs.clone();
        let sent = tokio::task::spawn_blocking(move || jobs.send(job).is_ok()).await;
        if sent.unwrap_or(false) { Ok(()) } else { Err(StoreError::Closed) }
    }
}

impl Drop for Writer {
    /// Waits for the jobs that were accepted.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn in_savepoint<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    connection.execute_batch("SAVEPOINT job")?;
    let result = work(connection);
    failpoint::at("writer.job");
    let end = if result.is_ok() { "RELEASE job" } else { "ROLLBACK TO job; RELEASE job" };
    connection.execute_batch(end)?;
    result
}

fn run(connection: &Connection, place: &Place, inbox: &mpsc::Receiver<Job>) {
    while let Ok(first) = inbox.recv() {
        let began = Instant::now();
        let opened = connection.execute_batch("BEGIN IMMEDIATE");
        if let Err(error) = opened.and_then(|()| commit_number::begin_transaction(connection)) {
            let error = StoreError::from(error);
            // Whoever waited meanwhile hears the same: one after the other they would wait for ever.
            for job in iter::once(first).chain(inbox.try_iter()) {
                job(Err(error.clone()))(Err(error.clone()));
            }
            continue;
        }
        failpoint::at("writer.begun");
        let mut replies = vec![first(Ok(connection))];
        // SQLite ends the transaction itself when the disk is full: then there is nothing to add to.
        while !connection.is_autocommit() && began.elapsed() < GATHER {
            let Ok(job) = inbox.try_recv() else { break };
            replies.push(job(Ok(connection)));
        }
        failpoint::at("writer.commit");
        let committed = commit(connection, place);
        failpoint::at("writer.committed");
        for reply in replies {
            reply(committed.clone());
        }
    }
}

fn commit(connection: &Connection, place: &Place) -> Result<(), StoreError> {
    if connection.is_autocommit() {
        return Err(StoreError::DiskFull);
    }
    let ended = place.check().and_then(|()| Ok(connection.execute_batch("COMMIT")?));
    // SQLite rolls some failed transactions back by itself; then there is none to roll back.
    if ended.is_err() && !connection.is_autocommit() {
        let _ = connection.execute_batch("ROLLBACK");
    }
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_asked_hears_of_a_commit_that_fails() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        let db = Connection::open(&path).unwrap();
        db.execute_batch(
            "PRAGMA foreign_keys = ON; CREATE TEMP TABLE open_commit (number); CREATE TABLE whole (id INTEGER PRIMARY KEY);
             CREATE TABLE part (whole REFERENCES whole (id) DEFERRABLE INITIALLY DEFERRED);",
        )
        .unwrap();
        let writer = Writer::start(db, Place::of(&path).unwrap()).unwrap();
        // What it refers to is looked for at the end of the transaction only.
        let dangling = writer.write(|db| Ok(db.execute("INSERT INTO part VALUES (7)", [])?)).await;
        assert!(dangling.is_err(), "{dangling:?}");
        let kept = writer.write(|db| Ok(db.query_row("SELECT count(*) FROM part", [], |row| row.get(0))?));
        assert_eq!(kept.await, Ok(0_i64));
    }
}
