//! What another client of JHE's has delivered is recognised by instant, code and value, and not sent again.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::common::clock::Clock;
use crate::common::failure::Failure;
use crate::common::time::{Timestamp, show_duration};
use crate::export::exporter::lock;
use crate::jhe::client::Jhe;
use crate::jhe::error::JheError;
use crate::jhe::observations::Observed;
use crate::model::account::Actor;
use crate::model::catalog::code::{CODES, Code};
use crate::model::observation::StreamInfo;
use crate::model::patient::PatientId;
use crate::omh::identity::uuid as uuid_at;
use crate::omh::read::{is_measured, measured};
use crate::store::engine::store::Store;
use crate::store::error::StoreError;
use crate::store::outbox::adopt;
use crate::store::people::jhe_consent;
use crate::store::people::jhe_consent::Mirrored;
use crate::store::privacy::audit;
use crate::store::samples::{code, observation};

/// Patients read at the same time: as many as JHE's shipped workers.
const AT_ONCE: usize = 2;
/// How often it is looked whether an export that runs has ended.
const LOOK: Duration = Duration::from_millis(100);

/// What recognises the observations that another client has delivered.
#[derive(Debug, Clone)]
pub struct Adopter {
    /// Where they are remembered.
    pub store: Store,
    /// Where "now" comes from.
    pub clock: Clock,
    /// Where they are.
    pub jhe: Arc<Jhe>,
    /// Ends it early; what was remembered by then stays.
    pub cancel: CancellationToken,
    /// Whether nothing is written.
    pub dry_run: bool,
    /// How long an export that runs is waited for.
    pub wait: Duration,
}

/// What JHE was found to have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// Observations in all: each is adopted, ours or not readable.
    pub seen: u64,
    /// Another client's.
    pub adopted: u64,
    /// Delivered by us.
    pub ours: u64,
    /// Those of which no instant and value can be told.
    pub unreadable: u64,
    /// Those whose instant, code and value were there already.
    pub duplicates: u64,
    /// Our own observations that waited for JHE, and need not be sent any more.
    pub taken_out: u64,
}

/// What an adoption came to.
#[derive(Debug, Default)]
pub struct Adoption {
    /// Each patient that could be read, with JHE's number.
    pub patients: Vec<(PatientId, i64, Found)>,
    /// Those who could not, and why. What was read before stays.
    pub failed: Vec<(PatientId, JheError)>,
}

impl std::ops::AddAssign for Found {
    fn add_assign(&mut self, other: Self) {
        self.seen += other.seen;
        self.adopted += other.adopted;
        self.ours += other.ours;
        self.unreadable += other.unreadable;
        self.duplicates += other.duplicates;
        self.taken_out += other.taken_out;
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seen, adopted, ours, unreadable, duplicates, taken_out } = self;
        write!(
            f,
            "seen {seen}, adopted {adopted}, already ours {ours}, not readable {unreadable}, duplicates {duplicates}; \
             no longer to be sent {taken_out}"
        )
    }
}

impl Adoption {
    /// Everybody's together.
    pub fn sum(&self) -> Found {
        let mut sum = Found::default();
        for (_, _, found) in &self.patients {
            sum += *found;
        }
        sum
    }
}

/// Why a patient's observations were not read to their end.
enum Trouble {
    Jhe(JheError),
    Store(StoreError),
}

impl From<JheError> for Trouble {
    fn from(error: JheError) -> Self {
        Self::Jhe(error)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Adopter {
    /// Reads what JHE has of the linked patients, of `patient` only where one is given, and remembers it. Nothing
    /// is sent in the meantime. Doing it twice does no harm.
    ///
    /// # Errors
    /// Where an export does not end in time, or the store fails.
    pub async fn adopt(&self, patient: Option<PatientId>) -> Result<Adoption, Failure> {
        let _lock = if self.dry_run { None } else { Some(self.wait_for_lock().await?) };
        let linked = self.store.read(move |db| jhe_consent::linked(db, patient)).await?;
        let mut reads = futures_util::stream::iter(linked)
            .map(|one| async move { (one, self.adopt_one(one).await) })
            .buffer_unordered(AT_ONCE);
        let mut adoption = Adoption::default();
        while let Some((one, outcome)) = reads.next().await {
            match outcome {
                Ok(found) => adoption.patients.push((one.patient, one.jhe_id, found)),
                Err(Trouble::Jhe(error)) => adoption.failed.push((one.patient, error)),
                Err(Trouble::Store(error)) => return Err(error.into()),
            }
        }
        adoption.patients.sort_by_key(|(patient, ..)| *patient);
        adoption.failed.sort_by_key(|(patient, _)| *patient);
        Ok(adoption)
    }

    async fn wait_for_lock(&self) -> Result<File, Failure> {
        let until = Instant::now() + self.wait;
        loop {
            if let Some(lock) = lock(&self.store)? {
                return Ok(lock);
            }
            if Instant::now() >= until || self.cancel.is_cancelled() {
                return Err(Failure::failed(
                    format!("an export runs, and has not ended within {}", show_duration(self.wait)),
                    "stop the daemon while you adopt, or give a longer --wait",
                ));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn adopt_one(&self, one: Mirrored) -> Result<Found, Trouble> {
        let mut found = Found::default();
        for code in CODES.iter().filter(|code| code.is_of_jhe && is_measured(code.code)) {
            found += self.adopt_code(one, code).await?;
        }
        if !self.dry_run {
            let now = self.clock.now();
            let note = move |db: &_| {
                let detail = found.to_string();
                audit::record(db, now, Actor::CommandLine, "export.adopt", Some(one.patient), &detail)
            };
            self.store.write(note).await?;
        }
        Ok(found)
    }

    async fn adopt_code(&self, one: Mirrored, code: &'static Code) -> Result<Found, Trouble> {
        let named = format!("{}|{}", code.system, code.code);
        let mut found = Found::default();
        // What was seen, by JHE's numbers and by what was measured: of observations no more than this is held.
        let (mut ids, mut measurements) = (HashSet::new(), Measurements::new());
        let (mut expected, mut next) = (None, None::<String>);
        loop {
            if self.cancel.is_cancelled() {
                let what =
                    "it was stopped; what was remembered stays, and the same goes on from there".to_owned();
                return Err(JheError::Later { what, retry_after: None }.into());
            }
            let page = self.jhe.observations(one.jhe_id, &named, next.as_deref()).await?;
            let expected = *expected.get_or_insert(page.total);
            let mut fresh = page.observations;
            fresh.retain(|observed| ids.insert(observed.id.clone()));
            let read = move |db: &_| observation::all_streams(db, one.patient, code.code);
            let streams = self.store.read(read).await?;
            let values = sort_out(&fresh, code, &streams, &mut measurements, &mut found);
            found.taken_out += self.keep(one.patient, code, values).await?;
            next = page.next;
            if next.is_none() {
                if ids.len() < expected {
                    let what = format!(
                        "JHE has {expected} observations and showed {} of them, as some went while it was read: adopt \
                         once more",
                        ids.len()
                    );
                    return Err(JheError::Later { what, retry_after: None }.into());
                }
                return Ok(found);
            }
        }
    }

    async fn keep(
        &self,
        patient: PatientId,
        code: &'static Code,
        values: Vec<(Timestamp, f64)>,
    ) -> Result<u64, StoreError> {
        let rows = if self.dry_run {
            let read = move |db: &_| adopt::waiting(db, patient, code::require(db, code.code)?, &values);
            self.store.read(read).await?
        } else {
            let write = move |db: &_| adopt::keep(db, patient, code::require(db, code.code)?, &values);
            self.store.write(write).await?
        };
        Ok(rows as u64)
    }
}

/// What was seen of a patient and a code, and whether it is to be remembered.
type Measurements = HashMap<(Timestamp, u64), bool>;

/// Counts what is new of a page; answers with what another client has measured, each measurement once.
fn sort_out(
    page: &[Observed],
    code: &Code,
    streams: &[StreamInfo],
    measurements: &mut Measurements,
    found: &mut Found,
) -> Vec<(Timestamp, f64)> {
    let mut values = Vec::new();
    for observed in page {
        found.seen += 1;
        let read = observed.document.as_ref().and_then(|document| measured(code.code, document));
        let Some((instant, value)) = read else {
            found.unreadable += 1;
            continue;
        };
        let is_ours = is_ours(observed, streams, instant);
        let before = measurements.get(&(instant, value.to_bits())).copied();
        found.duplicates += u64::from(before.is_some());
        if is_ours {
            found.ours += 1;
        } else {
            found.adopted += 1;
        }
        if !is_ours && before != Some(true) {
            values.push((instant, value));
        }
        measurements.insert((instant, value.to_bits()), !is_ours || before == Some(true));
    }
    values
}

/// Whether one of our streams gives an observation of this instant the name that this one has.
fn is_ours(observed: &Observed, streams: &[StreamInfo], instant: Timestamp) -> bool {
    observed.identifiers.iter().any(|(system, name)| {
        let uuid = match name.split_once("#r") {
            Some((uuid, revision)) if revision.parse::<u64>().is_ok() => uuid,
            _ => name,
        };
        let mut streams = streams.iter().filter(|stream| stream.system == *system);
        streams.any(|stream| uuid_at(stream, instant, None).to_string() == uuid)
    })
}
