//! Bulk exports in progress, and the files of finished ones. They are in memory and in a temporary directory: after a
//! restart the client starts a new export.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::app::study_data::temporary_directory;
use crate::common::{failure::Failure, time::Timestamp};
use crate::fhir::bulk::{self, BulkFile, BulkRequest, Participants};
use crate::secrets::token::Token;
use crate::store::engine::data_directory::FILE_NAME;
use crate::store::engine::store::Store;
use crate::store::samples::reading;

/// Exports that are made at the same time; each reads a whole study.
const RUNNING: usize = 2;
/// Exports of one token that are kept, running ones included.
const KEPT_PER_TOKEN: usize = 4;
/// The time after which files are removed.
const KEPT_FOR: Duration = Duration::from_hours(24);
/// Estimated bytes of NDJSON for a byte of the database, with a margin.
const NDJSON_FOR_A_BYTE: u64 = 25;

#[derive(Debug, Clone)]
pub struct BulkJobs {
    jobs: Arc<Mutex<HashMap<String, BulkJob>>>,
    running: Arc<Semaphore>,
}

impl Default for BulkJobs {
    fn default() -> Self {
        Self { jobs: Arc::default(), running: Arc::new(Semaphore::new(RUNNING)) }
    }
}

/// An export.
#[derive(Debug, Clone)]
pub(crate) struct BulkJob {
    /// The token that started it. No other one sees it.
    pub(crate) token: i64,
    pub(crate) request: BulkRequest,
    /// The address of the request.
    pub(crate) url: String,
    pub(crate) state: BulkState,
    /// Resources written so far.
    written: Arc<AtomicU64>,
    /// Deleted when the last clone is dropped.
    directory: Arc<TempDir>,
    pub(crate) participants: Arc<Participants>,
    /// Ends the work of an export that was deleted.
    cancel: CancellationToken,
}

#[derive(Debug, Clone)]
pub(crate) enum BulkState {
    Running,
    Finished(Arc<Vec<BulkFile>>),
    /// The log says why.
    Failed,
}

impl BulkJob {
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Returns the time at which the files are removed.
    pub(crate) fn expires(&self) -> Timestamp {
        self.request.now.plus(KEPT_FOR)
    }

    /// Opens a file of a finished export by its name.
    pub(crate) fn open(&self, name: &str) -> Option<(File, u64)> {
        let BulkState::Finished(files) = &self.state else { return None };
        let known = files.iter().find(|file| file.name == name)?;
        Some((File::open(self.directory.path().join(&known.name)).ok()?, known.count))
    }
}

impl BulkJobs {
    /// Starts an export in the background and returns its id; none if too many are running or kept.
    pub(crate) async fn start(
        &self,
        store: &Store,
        token: i64,
        request: BulkRequest,
        url: String,
    ) -> Result<Option<String>, Failure> {
        let Ok(permit) = Arc::clone(&self.running).try_acquire_owned() else { return Ok(None) };
        check_room(store.directory())?;
        let study = request.study;
        let participants = store.read(move |db| reading::list_states(db, study)).await?;
        let job = BulkJob {
            token,
            request,
            url,
            state: BulkState::Running,
            written: Arc::default(),
            directory: Arc::new(temporary_directory(store.directory())?),
            participants: Arc::new(participants),
            cancel: CancellationToken::new(),
        };
        let id = Token::generate()?.hash().hex();
        {
            let mut jobs = self.jobs.lock();
            if jobs.values().filter(|job| job.token == token).count() >= KEPT_PER_TOKEN {
                return Ok(None);
            }
            jobs.insert(id.clone(), job.clone());
        }
        let (jobs, store, key) = (self.clone(), store.clone(), id.clone());
        tokio::spawn(async move {
            let BulkJob { request, participants, directory, written, cancel, .. } = job;
            let making =
                async move { bulk::write(&store, &request, &participants, directory.path(), &written).await };
            // A task of its own, so that a panic is a failure too.
            let making = tokio::spawn(cancel.clone().run_until_cancelled_owned(making));
            let state = match making.await {
                Ok(None) => return,
                Ok(Some(Ok(files))) => BulkState::Finished(Arc::new(files)),
                Ok(Some(Err(failure))) => {
                    tracing::error!(next = failure.remedy, "a bulk export failed: {}", failure.message);
                    BulkState::Failed
                }
                Err(error) => {
                    tracing::error!("a bulk export failed: {error}");
                    BulkState::Failed
                }
            };
            drop(permit);
            if let Some(known) = jobs.jobs.lock().get_mut(&key) {
                known.state = state;
            }
        });
        Ok(Some(id))
    }

    /// Returns an export of this token.
    pub(crate) fn find(&self, id: &str, token: i64, now: Timestamp) -> Option<BulkJob> {
        self.remove_old(now);
        self.jobs.lock().get(id).filter(|job| job.token == token).cloned()
    }

    /// Removes an export with its files.
    pub(crate) fn remove(&self, id: &str) {
        if let Some(job) = self.jobs.lock().remove(id) {
            job.cancel.cancel();
        }
    }

    /// Removes the exports of a token, with their files.
    pub(crate) fn remove_of_token(&self, token: i64) {
        self.remove_where(|job| job.token == token);
    }

    /// Removes the exports that are older than a day.
    pub(crate) fn remove_old(&self, now: Timestamp) {
        self.remove_where(|job| job.expires() <= now);
    }

    fn remove_where(&self, is_over: impl Fn(&BulkJob) -> bool) {
        let removed: Vec<BulkJob> = {
            let mut jobs = self.jobs.lock();
            jobs.extract_if(|_, job| is_over(job)).map(|(_, job)| job).collect()
        };
        for job in removed {
            job.cancel.cancel();
        }
    }
}

/// Refuses an export that could fill the disk of the database.
fn check_room(directory: &Path) -> Result<(), Failure> {
    let failed = |why: String| Failure::failed(why, "free space on the disk of the data directory");
    let disk = rustix::fs::statvfs(directory).map_err(|error| failed(error.to_string()))?;
    let file = std::fs::metadata(directory.join(FILE_NAME)).map_err(|error| failed(error.to_string()))?;
    if disk.f_bavail.saturating_mul(disk.f_frsize) < file.len().saturating_mul(NDJSON_FOR_A_BYTE) {
        return Err(failed("there is no room for a bulk export".to_owned()));
    }
    Ok(())
}
