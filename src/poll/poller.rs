//! The poller, the request that it runs, and the values that all parts of one tick share.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::common::{clock::Clock, time::Timestamp};
use crate::config::{load::Config, settings::IngestMode};
use crate::jhe::client::Jhe;
use crate::model::consent_intervals::Interval;
use crate::model::patient::{PatientId, PatientRef};
use crate::ow::client::{Client, OwLimits};
use crate::poll::progress::PollProgress;
use crate::raw::client::S3Bucket;
use crate::store::{engine::store::Store, operations::tick_lock::RunKind};

/// The patients and the time to read in one poll.
#[derive(Debug, Clone, Default)]
pub struct PollRequest {
    /// Limits the poll to one patient.
    pub patient: Option<PatientRef>,
    /// A range of the past to read; none reads new data.
    pub backfill: Option<BackfillRequest>,
    /// Counts what would be created, and writes nothing.
    pub dry_run: bool,
    /// Limits the poll to patients named by hints, unless empty. Such a poll yields the lock to any other
    /// run.
    pub hinted: BTreeSet<PatientId>,
}

impl PollRequest {
    /// Returns the kind of run that takes the lock. A poll of some patients only does not count as a tick.
    pub(crate) fn kind(&self) -> RunKind {
        match self.backfill {
            Some(_) => RunKind::Backfill,
            None if self.patient.is_none() && self.hinted.is_empty() => RunKind::Tick,
            None => RunKind::Part,
        }
    }
}

/// A requested read of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackfillRequest {
    /// Identifies the backfill, such as `window 90d`: a second request of the same name resumes the first.
    pub name: String,
    pub range: Interval,
}

/// Runs ticks and backfills.
#[derive(Debug, Clone)]
pub struct Poller {
    pub store: Store,
    pub clock: Clock,
    pub config: Config,
    /// None where this process is not connected to a JHE.
    pub jhe: Option<Arc<Jhe>>,
    /// Ends a poll early; committed data stay.
    pub cancel: CancellationToken,
    /// The page size that OW accepted, remembered between ticks.
    pub ow_limits: OwLimits,
}

/// The values that all turns of one tick share.
#[derive(Debug)]
pub(crate) struct TickContext {
    pub(crate) poller: Poller,
    pub(crate) request: PollRequest,
    pub(crate) client: Client,
    pub(crate) mode: IngestMode,
    /// The bucket of the provider's payloads; set in raw mode only.
    pub(crate) bucket: Option<S3Bucket>,
    /// The time to read where a data type has no mark yet.
    pub(crate) first_window: Duration,
    pub(crate) concurrency: usize,
    pub(crate) historical_sync: bool,
    pub(crate) reconcile: bool,
    pub(crate) progress: Arc<PollProgress>,
    /// The token of the lock that guards each write; none for a dry run.
    pub(crate) lock_owner: Option<String>,
    pub(crate) started: Timestamp,
}
