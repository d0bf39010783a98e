//! A tick: who is linked and consents, which time ranges to read, and every page of them into the store.
//!
//! `windows`, `days`, `schedule` and `collect` are pure; `turn` reads one patient, in raw mode with `listing`,
//! `objects` and `payload`; `daily` looks after it once a day; `entry` takes the lock; `tick` lets patients in and says how
//! it ended; `hinted` breaks off where somebody else wants it; `backfill` reads the past in slices;
//! `preview` converts records that are not stored.

mod backfill;
mod budget;
pub mod collect;
mod consented;
mod daily;
mod days;
mod entry;
mod hinted;
mod listing;
mod objects;
mod pairs;
mod payload;
mod preview;
mod progress;
mod schedule;
mod tick;
mod told;
mod trouble;
mod turn;
mod windows;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use preview::{Converted, Preview};
pub use progress::Progress;
pub use schedule::WIDE as FURTHEST_SWEEP;
pub use tick::{Outcome, Summary};
pub(crate) use turn::Cursors;

use crate::clock::Clock;
use crate::config::Config;
use crate::intervals::Interval;
use crate::jhe::Jhe;
use crate::ow::{Client, PageSize};
use crate::patient::{PatientId, PatientRef};
use crate::raw::Bucket;
use crate::store::Store;
use crate::store::lock::Kind;

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
    fn kind(&self) -> Kind {
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
struct Context {
    poller: Poller,
    client: Client,
    mode: crate::settings::IngestMode,
    /// Where the provider's payloads are, in raw mode.
    bucket: Option<Bucket>,
    first: Duration,
    concurrency: usize,
    historical_sync: bool,
    reconcile: bool,
    /// The lock under which everything is written; none for a dry run, which writes nothing.
    lock_owner: Option<String>,
    started: crate::time::Timestamp,
}
