//! Drains the outbox to JHE.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use crate::common::counted::counted;
use crate::common::{clock::Clock, failpoint, failure::Failure, time::Timestamp};
use crate::consent::refresh::{self, FailedRefresh};
use crate::export::batch::{BatchResult, CONFIGURATION_PAUSE, ENTRIES, OutgoingEntry, render_entry};
use crate::jhe::{client::Jhe, error::JheError};
use crate::model::patient::PatientId;
use crate::model::{data_source_names::DataSourceNames, error_kind::ErrorKind, observation::StreamInfo};
use crate::store::engine::store::Store;
use crate::store::outbox::one_of_two_modes::{self, SwitchExportMode};
use crate::store::outbox::outbox::{self, HeldBack, OutboxEntry, Verdict};
use crate::store::{error::StoreError, operations::hourly_counters, people::consent, privacy::restored};
use crate::telemetry::metrics;

/// The file lock that is held while the outbox drains: two processes must not send the same sample.
const LOCK: &str = "export.lock";
/// Only the owner may read or write in the data directory.
const FILE_MODE: u32 = 0o600;
/// After a restore, a patient is read before anything is sent; if that fails for this long, it is sent all the same.
pub(crate) const READ_FIRST: Duration = Duration::from_hours(24);
/// Patients per batch: their consents are refreshed before it is sent.
const PATIENTS: usize = 20;

/// Drains the outbox to JHE.
#[derive(Debug, Clone)]
pub struct Exporter {
    pub store: Store,
    pub clock: Clock,
    pub jhe: Arc<Jhe>,
    /// Ends a drain early, once the requests in flight are answered.
    pub cancel: CancellationToken,
}

/// JHE's ids of its data sources.
#[derive(Debug, Clone)]
struct DataSourceIds {
    ids: Vec<(String, i64)>,
    /// JHE's names of OW's providers.
    names: DataSourceNames,
}

/// Counts of observations by their new state, and the reasons why a drain ended early.
#[derive(Debug, Default)]
pub struct ExportReport {
    pub delivered: u64,
    /// Parked until consent returns.
    pub consent: u64,
    /// Parked until JHE's setup is complete.
    pub configuration: u64,
    pub dead: u64,
    pub retried: u64,
    /// Of the delivered ones, those that JHE has without an identifier.
    pub orphans: u64,
    /// Patients who are read before anything of them is sent, as a backup was restored; the command line fills it in.
    pub unread_since_restore: i64,
    /// Revisions that are not due yet; the command line fills it in.
    pub held_back: Option<HeldBack>,
    pub stopped: Option<JheError>,
    /// Patients whose consents could not be refreshed: nothing of theirs was sent.
    pub unread: Vec<FailedRefresh>,
}

/// Observations between two calls of [`ExportProgress::report`].
const PROGRESS_STEP: u64 = 1000;

/// The number of observations that a running drain has processed.
#[derive(Debug, Default)]
pub struct ExportProgress {
    pub(crate) processed: AtomicU64,
    /// Called after every thousand observations, with their number.
    pub report: Option<fn(u64)>,
}

impl ExportProgress {
    pub fn processed(&self) -> u64 {
        self.processed.load(Ordering::Relaxed)
    }

    fn add(&self, observations: u64) {
        let before = self.processed.fetch_add(observations, Ordering::Relaxed);
        let after = before + observations;
        if let Some(report) = self.report.filter(|_| after / PROGRESS_STEP > before / PROGRESS_STEP) {
            report(after);
        }
    }
}

impl ExportReport {
    /// Returns the sentence for operators.
    pub fn sentence(&self) -> String {
        let Self { delivered, consent, configuration, dead, retried, .. } = self;
        let orphans = match self.orphans {
            0 => String::new(),
            orphans => {
                format!(" JHE has {orphans} of them without an identifier, from a worker that was killed.")
            }
        };
        let held_back = self.held_back.map_or_else(String::new, |held_back| format!(" {held_back}."));
        let unread = match self.unread_since_restore {
            0 => String::new(),
            patients => format!(
                " A backup was restored: {} must be read first (jhe-ow poll), before more is sent.",
                counted(patients, "patient")
            ),
        };
        format!(
            "Export complete. Delivered {delivered} observations; waiting for consent {consent}, for configuration \
             {configuration}, refused {dead}, to be sent again {retried}.{orphans}{held_back}{unread}"
        )
    }

    pub fn is_empty(&self) -> bool {
        self.delivered + self.consent + self.configuration + self.dead + self.retried == 0
    }

    fn add(&mut self, result: BatchResult) -> Vec<(OutboxEntry, Verdict)> {
        for (_, verdict) in &result.verdicts {
            self.orphans += u64::from(*verdict == Verdict::Orphan);
            *match verdict {
                Verdict::Delivered | Verdict::Orphan => &mut self.delivered,
                Verdict::Dead(_) => &mut self.dead,
                Verdict::NoConsent => &mut self.consent,
                Verdict::Configuration(..) => &mut self.configuration,
                Verdict::Retry { .. } | Verdict::Differs { .. } | Verdict::Unsent => &mut self.retried,
            } += 1;
        }
        self.stopped = self.stopped.take().or(result.stop);
        result.verdicts
    }
}

impl Exporter {
    /// Sends all due entries, of one patient or of all. Returns none if another process is draining the
    /// outbox. An error of JHE is part of the report.
    pub async fn drain(
        &self,
        patient: Option<PatientId>,
        progress: &ExportProgress,
    ) -> Result<Option<ExportReport>, Failure> {
        let report = self.send_all(patient, progress).await?;
        if report.as_ref().is_some_and(|report| report.stopped.is_some() || !report.unread.is_empty()) {
            let now = self.clock.now();
            self.store.write(move |db| hourly_counters::record_error(db, now, ErrorKind::Jhe)).await?;
            metrics::count_error(ErrorKind::Jhe);
        }
        Ok(report)
    }

    async fn send_all(
        &self,
        patient: Option<PatientId>,
        progress: &ExportProgress,
    ) -> Result<Option<ExportReport>, Failure> {
        let Some(_lock) = try_lock(&self.store)? else { return Ok(None) };
        failpoint::at("export.locked");
        self.apply_export_mode().await?;
        let settings = self.store.settings().await?;
        let concurrency = settings.export_concurrency();
        let mut report = ExportReport::default();
        let sources = match self.jhe.list_data_sources().await {
            Ok(ids) => DataSourceIds { ids, names: settings.data_source_names() },
            Err(error) => return Ok(Some(ExportReport { stopped: Some(error), ..report })),
        };
        let mut in_flight = FuturesUnordered::new();
        // Patients of requests in flight, and patients to skip until the next drain.
        let (mut busy, mut skipped) = (BTreeSet::new(), BTreeSet::new());
        loop {
            while in_flight.len() < concurrency && report.stopped.is_none() && !self.cancel.is_cancelled() {
                let next = self.next_entries(patient, &busy, &sources, &mut skipped, &mut report).await?;
                let Some(entries) = next else { break };
                let patients: BTreeSet<PatientId> =
                    entries.iter().map(|entry| entry.stream.patient).collect();
                failpoint::at("export.taken");
                busy.extend(&patients);
                in_flight.push(async move { (patients, self.send(entries).await) });
            }
            let Some((patients, result)) = in_flight.next().await else { break };
            let verdicts = report.add(result);
            progress.add(verdicts.len() as u64);
            let now = self.clock.now();
            self.store.write(move |db| outbox::apply_verdicts(db, &verdicts, now)).await?;
            failpoint::at("export.settled");
            busy.retain(|patient| !patients.contains(patient));
        }
        Ok(Some(report))
    }

    /// Rebuilds the outbox in steps if the setting now exports another mode's observations.
    async fn apply_export_mode(&self) -> Result<(), StoreError> {
        if self.store.read(one_of_two_modes::needs_switch).await? {
            let mut switch = Some(self.store.read(SwitchExportMode::begin).await?);
            while let Some(step) = switch {
                let now = self.clock.now();
                switch = self.store.write(move |db| step.step(db, now)).await?;
            }
        }
        Ok(())
    }

    /// Returns whether an entry is due.
    pub async fn has_work(&self) -> Result<bool, StoreError> {
        self.apply_export_mode().await?;
        let now = self.clock.now();
        Ok(!self.store.read(move |db| outbox::list_ready_streams(db, None, now)).await?.is_empty())
    }

    /// Refreshes the consents of patients with observations that wait for consent, as each tick does. If JHE
    /// does not answer, they wait on.
    pub async fn refresh_missing_consents(&self) -> Result<(), StoreError> {
        let patients = self.store.read(outbox::list_patients_without_consent).await?;
        self.refresh(&patients).await.map(drop)
    }

    async fn refresh(&self, patients: &BTreeSet<PatientId>) -> Result<Vec<FailedRefresh>, StoreError> {
        refresh::refresh(&self.jhe, &self.store, &self.clock, Some(patients)).await
    }

    /// Returns the next entries to send, of patients who consent now and are not `busy`. Adds patients whose
    /// consents could not be refreshed to `skipped`.
    async fn next_entries(
        &self,
        patient: Option<PatientId>,
        busy: &BTreeSet<PatientId>,
        sources: &DataSourceIds,
        skipped: &mut BTreeSet<PatientId>,
        report: &mut ExportReport,
    ) -> Result<Option<Vec<OutgoingEntry>>, StoreError> {
        let mut skip: BTreeSet<PatientId> = busy.union(skipped).copied().collect();
        loop {
            let now = self.clock.now();
            let mut streams = self.store.read(move |db| outbox::list_ready_streams(db, patient, now)).await?;
            streams.retain(|stream| !skip.contains(&stream.patient));
            let patients: BTreeSet<PatientId> =
                streams.iter().map(|stream| stream.patient).take(PATIENTS).collect();
            if patients.is_empty() {
                return Ok(None);
            }
            for (unread, error) in self.refresh(&patients).await? {
                skipped.insert(unread);
                skip.insert(unread);
                report.unread.push((unread, error));
            }
            streams.retain(|stream| patients.contains(&stream.patient) && !skip.contains(&stream.patient));
            // The refresh may have taken minutes, and a lease begins with the request.
            let now = self.clock.now();
            let (entries, parked) = self.lease_entries(streams, sources.clone(), now).await?;
            report.configuration += parked;
            if !entries.is_empty() {
                return Ok(Some(entries));
            }
            // All entries of these patients have just been parked.
            skip.extend(patients);
        }
    }

    /// Leases one batch of entries of these streams, and parks those that cannot be sent. Returns how many
    /// were parked for want of a data source at JHE.
    async fn lease_entries(
        &self,
        streams: Vec<StreamInfo>,
        sources: DataSourceIds,
        now: Timestamp,
    ) -> Result<(Vec<OutgoingEntry>, u64), StoreError> {
        let lease = move |db: &_| {
            let (mut entries, mut parked) = (Vec::new(), 0);
            let restored = restored::find_last_restore(db)?;
            for stream in streams {
                let Some(patient) = stream.jhe_id else { continue };
                if restored.is_some_and(|at| now < at.plus(READ_FIRST))
                    && !restored::is_read_since(db, stream.patient)?
                {
                    // OW may have newer values than the backup, and JHE may have them already.
                    continue;
                }
                if consent::find_allowed(db, stream.patient, &stream.code)?.is_empty() {
                    outbox::park(db, stream.patient, &stream.code)?;
                    continue;
                }
                let leased = outbox::lease(db, stream.id, now, ENTRIES - entries.len())?;
                let name = sources.names.jhe_name(&stream.provider);
                let Some((_, device)) = sources.ids.iter().find(|(known, _)| known == name) else {
                    let why = format!(
                        "JHE has no data source '{name}': add it there, and attach it to the study, or say with the setting jhe.data_sources what it is called"
                    );
                    let verdict = Verdict::Configuration(why, now.plus(CONFIGURATION_PAUSE));
                    parked += leased.len() as u64;
                    let verdicts: Vec<_> = leased.into_iter().map(|one| (one, verdict.clone())).collect();
                    outbox::apply_verdicts(db, &verdicts, now)?;
                    continue;
                };
                for waiting in leased {
                    let is_older = restored.is_some_and(|at| waiting.observation.instant <= at);
                    let may_exist = waiting.ambiguous || is_older;
                    let json = render_entry(&stream, &waiting, patient, *device)
                        .map_err(|error| StoreError::Other(error.to_string()))?;
                    entries.push(OutgoingEntry { stream: stream.clone(), patient, waiting, json, may_exist });
                }
                if entries.len() >= ENTRIES {
                    break;
                }
            }
            Ok((entries, parked))
        };
        self.store.write(lease).await
    }
}

/// Takes the export lock; returns none if another process holds it.
pub(crate) fn try_lock(store: &Store) -> Result<Option<File>, Failure> {
    let path = store.directory().join(LOCK);
    let failed = |error: std::io::Error| {
        Failure::failed(
            format!("{} cannot be locked: {error}", path.display()),
            "see that this user may write there",
        )
    };
    let file = File::options().create(true).truncate(false).write(true).mode(FILE_MODE).open(&path);
    let file = file.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}
