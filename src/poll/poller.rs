use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::common::clock::Clock;
use crate::config::load::Config;
use crate::jhe::client::Jhe;
use crate::model::consent_intervals::Interval;
use crate::model::patient::{PatientId, PatientRef};
use crate::ow::client::{Client, PageSize};
use crate::raw::client::Bucket;
use crate::store::engine::store::Store;
use crate::store::operations::tick_lock::Kind;

/// What a tick is asked to do.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// Only this patient.
    pub patient: Option<PatientRef>,
    /// Only this time; none for what is new.
    pub past: Option<Past>,
    /// Say what would be created, and write nothing.
    pub dry_run: bool,
    /// Only these patients, where there are any, and whoever waits for the lock comes first.
    pub hinted: BTreeSet<PatientId>,
}

impl Ask {
    /// What the lock is taken for, where nothing of the past is asked for: what reads some patients only is no tick.
    pub(crate) fn kind(&self) -> Kind {
        if self.patient.is_none() && self.hinted.is_empty() { Kind::Tick } else { Kind::Part }
    }
}

/// A stretch of the past that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// The question, in the words it was put in: it names the backfill that can be resumed.
    pub asked: String,
    /// The answer to it.
    pub range: Interval,
}

/// What a tick works with.
#[derive(Debug, Clone)]
pub struct Poller {
    /// Where everything is kept.
    pub store: Store,
    /// Where "now" comes from.
    pub clock: Clock,
    /// Where OW is, and its key.
    pub config: Config,
    /// JHE, where the daemon is connected to one: the truth about consent.
    pub jhe: Option<Arc<Jhe>>,
    /// Ends the tick early; what is committed by then stays.
    pub cancel: CancellationToken,
    /// What OW was found to give per page, remembered from tick to tick.
    pub page_size: PageSize,
}

/// How OW is reached, and what of the settings a turn needs.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) poller: Poller,
    pub(crate) client: Client,
    pub(crate) mode: crate::config::settings::IngestMode,
    /// Where the provider's payloads are, in raw mode.
    pub(crate) bucket: Option<Bucket>,
    pub(crate) first: Duration,
    pub(crate) concurrency: usize,
    pub(crate) historical_sync: bool,
    pub(crate) reconcile: bool,
    /// The lock under which everything is written; none for a dry run, which writes nothing.
    pub(crate) lock_owner: Option<String>,
    pub(crate) started: crate::common::time::Timestamp,
}
