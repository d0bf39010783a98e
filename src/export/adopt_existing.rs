//! Finds observations at JHE that another client has delivered, by instant, code and value, so that they are
//! not sent again.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::common::time::{Timestamp, format_duration};
use crate::common::{clock::Clock, failure::Failure};
use crate::export::{exporter::try_lock, look_up::split_revision};
use crate::jhe::{client::Jhe, error::JheError, observations::JheObservation};
use crate::model::audit_detail::AuditDetail;
use crate::model::catalog::code::{CODES, Code};
use crate::model::{account::Actor, observation::StreamInfo, patient::PatientId};
use crate::omh::identity::sample_uuid;
use crate::omh::read::{is_comparable, parse_measurement};
use crate::store::people::jhe_consent::{self, MirroredPatient};
use crate::store::samples::{code, observation};
use crate::store::{engine::store::Store, error::StoreError, outbox::adopt, privacy::audit};

/// Patients read at the same time: as many as JHE's default workers.
const CONCURRENCY: usize = 2;
/// Pause between two attempts to take the export lock.
const LOCK_CHECK: Duration = Duration::from_millis(100);

/// Adopts observations that another client has delivered.
#[derive(Debug, Clone)]
pub struct Adopter {
    pub store: Store,
    pub clock: Clock,
    pub jhe: Arc<Jhe>,
    /// Ends it early; adopted observations stay adopted.
    pub cancel: CancellationToken,
    pub dry_run: bool,
    /// Maximum wait for a running export.
    pub wait: Duration,
}

/// Counts of the observations at JHE.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AdoptionCounts {
    /// All of them: adopted, ours and unreadable ones.
    pub seen: u64,
    pub adopted: u64,
    /// Delivered by this program.
    pub ours: u64,
    /// Without a single instant and value.
    pub unreadable: u64,
    /// With the instant, code and value of an earlier one.
    pub duplicates: u64,
    /// Rows of the outbox that need not be sent any more.
    pub taken_out: u64,
}

#[derive(Debug, Default)]
pub struct Adoption {
    /// Each patient, with JHE's id.
    pub patients: Vec<(PatientId, i64, AdoptionCounts)>,
    /// Patients who could not be read to the end. Observations adopted before the error stay adopted.
    pub failed: Vec<(PatientId, JheError)>,
}

impl std::ops::AddAssign for AdoptionCounts {
    fn add_assign(&mut self, other: Self) {
        self.seen += other.seen;
        self.adopted += other.adopted;
        self.ours += other.ours;
        self.unreadable += other.unreadable;
        self.duplicates += other.duplicates;
        self.taken_out += other.taken_out;
    }
}

impl AdoptionCounts {
    fn audit_detail(&self) -> AuditDetail {
        let counts = [
            ("seen", self.seen),
            ("adopted", self.adopted),
            ("ours", self.ours),
            ("unreadable", self.unreadable),
            ("duplicates", self.duplicates),
            ("taken-out", self.taken_out),
        ];
        counts.into_iter().fold(AuditDetail::default(), |detail, (name, count)| detail.with(name).with(count))
    }
}

impl fmt::Display for AdoptionCounts {
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
    pub fn sum(&self) -> AdoptionCounts {
        let mut sum = AdoptionCounts::default();
        self.patients.iter().for_each(|(.., counts)| sum += *counts);
        sum
    }
}

#[derive(Debug, thiserror::Error)]
enum AdoptError {
    #[error(transparent)]
    Jhe(#[from] JheError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Adopter {
    /// Reads the observations that JHE has of the linked patients, or of `patient` only, and adopts those of
    /// other clients. The export waits meanwhile. Adopting twice does no harm.
    pub async fn adopt(&self, patient: Option<PatientId>) -> Result<Adoption, Failure> {
        let _lock = if self.dry_run { None } else { Some(self.wait_for_lock().await?) };
        let linked = self.store.read(move |db| jhe_consent::list_linked(db, patient)).await?;
        let mut reads = futures_util::stream::iter(linked)
            .map(|one| async move { (one, self.adopt_patient(one).await) })
            .buffer_unordered(CONCURRENCY);
        let mut adoption = Adoption::default();
        while let Some((one, result)) = reads.next().await {
            match result {
                Ok(counts) => adoption.patients.push((one.patient, one.jhe_id, counts)),
                Err(AdoptError::Jhe(error)) => adoption.failed.push((one.patient, error)),
                Err(AdoptError::Store(error)) => return Err(error.into()),
            }
        }
        adoption.patients.sort_by_key(|(patient, ..)| *patient);
        adoption.failed.sort_by_key(|(patient, _)| *patient);
        Ok(adoption)
    }

    async fn wait_for_lock(&self) -> Result<File, Failure> {
        let until = Instant::now() + self.wait;
        loop {
            if let Some(lock) = try_lock(&self.store)? {
                return Ok(lock);
            }
            if Instant::now() >= until || self.cancel.is_cancelled() {
                return Err(Failure::failed(
                    format!("an export runs, and has not ended within {}", format_duration(self.wait)),
                    "stop the daemon while you adopt, or give a longer --wait",
                ));
            }
            tokio::time::sleep(LOCK_CHECK).await;
        }
    }

    async fn adopt_patient(&self, one: MirroredPatient) -> Result<AdoptionCounts, AdoptError> {
        let mut counts = AdoptionCounts::default();
        for code in CODES.iter().filter(|code| code.in_jhe_seed && is_comparable(code.code)) {
            counts += self.adopt_code(one, code).await?;
        }
        if !self.dry_run {
            let now = self.clock.now();
            let record = move |db: &_| {
                audit::record(
                    db,
                    now,
                    Actor::CommandLine,
                    "export.adopt",
                    Some(one.patient),
                    counts.audit_detail(),
                )
            };
            self.store.write(record).await?;
        }
        Ok(counts)
    }

    async fn adopt_code(
        &self,
        one: MirroredPatient,
        code: &'static Code,
    ) -> Result<AdoptionCounts, AdoptError> {
        let token = format!("{}|{}", code.system, code.code);
        let retry = |message: String| Err(JheError::Unavailable { message, retry_after: None }.into());
        let mut counts = AdoptionCounts::default();
        // Memory holds the ids and the measurements of a patient and code, but no observation.
        let (mut ids, mut measurements) = (HashSet::new(), Measurements::new());
        let (mut total, mut next) = (None, None::<String>);
        loop {
            if self.cancel.is_cancelled() {
                return retry(
                    "it was stopped; what was remembered stays, and the same goes on from there".to_owned(),
                );
            }
            let page = self.jhe.fetch_observations(one.jhe_id, &token, next.as_deref()).await?;
            let total = *total.get_or_insert(page.total);
            let mut new = page.observations;
            // Observations that arrive during the read shift the pages, so that some come twice.
            new.retain(|observation| ids.insert(observation.id.clone()));
            let list = move |db: &_| observation::list_all_streams(db, one.patient, code.code);
            let streams = self.store.read(list).await?;
            let values = count_page(&new, code, &streams, &mut measurements, &mut counts);
            // Of the outbox, the rows with these values need not be sent any more.
            let find_code = move |db: &_| code::require(db, code.code);
            counts.taken_out += if self.dry_run {
                let count = move |db: &_| adopt::count_pending(db, one.patient, find_code(db)?, &values);
                self.store.read(count).await?
            } else {
                let record = move |db: &_| adopt::record(db, one.patient, find_code(db)?, &values);
                self.store.write(record).await?
            } as u64;
            next = page.next;
            if next.is_none() {
                if ids.len() < total {
                    return retry(format!(
                        "JHE has {total} observations and showed {} of them, as some went while it was read: adopt \
                         once more",
                        ids.len()
                    ));
                }
                return Ok(counts);
            }
        }
    }
}

/// The measurements seen at JHE, by instant and bits of the value; true if another client has delivered one
/// of them.
type Measurements = HashMap<(Timestamp, u64), bool>;

/// Counts the observations of a page; returns the values of another client that are new, each once.
fn count_page(
    page: &[JheObservation],
    code: &Code,
    streams: &[StreamInfo],
    measurements: &mut Measurements,
    counts: &mut AdoptionCounts,
) -> Vec<(Timestamp, f64)> {
    let mut values = Vec::new();
    for observation in page {
        counts.seen += 1;
        let measurement =
            observation.document.as_ref().and_then(|document| parse_measurement(code.code, document));
        let Some((instant, value)) = measurement else {
            counts.unreadable += 1;
            continue;
        };
        let is_ours = is_ours(observation, streams, instant);
        let before = measurements.get(&(instant, value.to_bits())).copied();
        counts.duplicates += u64::from(before.is_some());
        if is_ours {
            counts.ours += 1;
        } else {
            counts.adopted += 1;
            if before != Some(true) {
                values.push((instant, value));
            }
        }
        measurements.insert((instant, value.to_bits()), !is_ours || before == Some(true));
    }
    values
}

/// Returns whether the identifier of an observation is that of one of our streams at this instant.
fn is_ours(observation: &JheObservation, streams: &[StreamInfo], instant: Timestamp) -> bool {
    observation.identifiers.iter().any(|(system, value)| {
        let (uuid, _) = split_revision(value);
        let mut streams = streams.iter().filter(|stream| stream.system == *system);
        streams.any(|stream| sample_uuid(stream, instant, None).to_string() == uuid)
    })
}
