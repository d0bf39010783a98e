use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use crate::common::clock::Clock;
use crate::common::failpoint;
use crate::common::failure::Failure;
use crate::common::time::Timestamp;
use crate::consent::refresh;
use crate::consent::refresh::Unread;
use crate::export::batch;
use crate::export::batch::{Ready, Sent};
use crate::jhe::client::Jhe;
use crate::jhe::error::JheError;
use crate::model::data_source_names::Naming;
use crate::model::error_kind;
use crate::model::observation::StreamInfo;
use crate::model::patient::PatientId;
use crate::store::engine::restore;
use crate::store::engine::store::Store;
use crate::store::error::StoreError;
use crate::store::operations::hourly_counters;
use crate::store::outbox::one_of_two_modes::Settling;
use crate::store::outbox::outbox::{Still, Verdict, Waiting};
use crate::store::outbox::{one_of_two_modes, outbox};
use crate::store::people::consent;
use crate::telemetry::metrics;

/// Held while the outbox drains: two processes must not send the same sample.
const LOCK: &str = "export.lock";
/// Nobody but the owner has any business in the data directory.
const FILE_MODE: u32 = 0o600;
/// Patients of one batch: so many are asked about before it goes.
const PATIENTS: usize = 20;
/// How often what is not set up at JHE is tried again.
const CONFIGURATION_PAUSE: Duration = Duration::from_hours(1);

/// What drains the outbox.
#[derive(Debug, Clone)]
pub struct Exporter {
    /// Where everything is kept.
    pub store: Store,
    /// Where "now" comes from.
    pub clock: Clock,
    /// Where it goes.
    pub jhe: Arc<Jhe>,
    /// Ends it early; what is on its way is waited for.
    pub cancel: CancellationToken,
}

/// The data sources of JHE.
#[derive(Debug, Clone)]
struct Devices {
    /// Their names and numbers.
    known: Vec<(String, i64)>,
    /// Which of them OW's providers are.
    naming: Naming,
}

/// What a drain came to.
#[derive(Debug, Default)]
pub struct Report {
    /// Observations that JHE has now.
    pub delivered: u64,
    /// Parked until consent returns.
    pub consent: u64,
    /// Parked until somebody mends something.
    pub configuration: u64,
    /// Refused.
    pub dead: u64,
    /// To be sent again later.
    pub again: u64,
    /// What waits until it is still, and was not to be sent yet; whoever tells of it fills it in.
    pub still: Option<Still>,
    /// Why it ended early.
    pub stopped: Option<JheError>,
    /// Patients whose consents could not be read: nothing of theirs was sent.
    pub unread: Vec<Unread>,
}

/// How far a drain has come.
#[derive(Debug, Default)]
pub struct Progress(AtomicU64);

impl Progress {
    /// Observations that were settled in any way.
    pub fn settled(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Report {
    /// The sentence for operators.
    pub fn sentence(&self) -> String {
        let Self { delivered, consent, configuration, dead, again, .. } = self;
        let still = self.still.map_or_else(String::new, |still| format!(" {still}."));
        format!(
            "Export complete. Delivered {delivered} observations; waiting for consent {consent}, for configuration \
             {configuration}, refused {dead}, to be sent again {again}.{still}"
        )
    }

    /// Whether nothing was sent at all.
    pub fn is_empty(&self) -> bool {
        self.delivered + self.consent + self.configuration + self.dead + self.again == 0
    }

    fn add(&mut self, sent: Sent) -> Vec<(Waiting, Verdict)> {
        for (_, verdict) in &sent.settled {
            *match verdict {
                Verdict::Done => &mut self.delivered,
                Verdict::Dead(_) => &mut self.dead,
                Verdict::Consent => &mut self.consent,
                Verdict::Configuration(..) => &mut self.configuration,
                Verdict::Again { .. } | Verdict::Unsent => &mut self.again,
            } += 1;
        }
        self.stopped = self.stopped.take().or(sent.stop);
        sent.settled
    }
}

impl Exporter {
    /// Sends what is due; only of `patient`, where one is given. None where another process is at it.
    ///
    /// # Errors
    /// Where the store fails; what JHE says is in the report.
    pub async fn drain(
        &self,
        patient: Option<PatientId>,
        progress: &Progress,
    ) -> Result<Option<Report>, Failure> {
        let report = self.send_all(patient, progress).await?;
        if report.as_ref().is_some_and(|report| report.stopped.is_some() || !report.unread.is_empty()) {
            let now = self.clock.now();
            self.store.write(move |db| hourly_counters::note_error(db, now, error_kind::Kind::Jhe)).await?;
            metrics::failed(error_kind::Kind::Jhe);
        }
        Ok(report)
    }

    async fn send_all(
        &self,
        patient: Option<PatientId>,
        progress: &Progress,
    ) -> Result<Option<Report>, Failure> {
        let Some(_lock) = lock(&self.store)? else { return Ok(None) };
        failpoint::at("export.locked");
        self.settle_system().await?;
        let settings = self.store.settings().await?;
        let at_once = settings.export_concurrency();
        let mut report = Report::default();
        let devices = match self.jhe.data_sources().await {
            Ok(known) => Devices { known, naming: settings.naming() },
            Err(error) => return Ok(Some(Report { stopped: Some(error), ..report })),
        };
        let mut under_way = FuturesUnordered::new();
        // Patients who have something under way, and those of whom nothing is to be sent in this drain.
        let (mut busy, mut left_out) = (BTreeSet::new(), BTreeSet::new());
        loop {
            while under_way.len() < at_once && report.stopped.is_none() && !self.cancel.is_cancelled() {
                let skip: BTreeSet<PatientId> = busy.union(&left_out).copied().collect();
                let Some(next) = self.next(patient, &skip, &devices, &mut left_out, &mut report).await?
                else {
                    break;
                };
                let patients: BTreeSet<PatientId> = next.iter().map(|ready| ready.stream.patient).collect();
                failpoint::at("export.taken");
                busy.extend(&patients);
                under_way.push(async move { (patients, self.send(next).await) });
            }
            let Some((patients, sent)) = under_way.next().await else { break };
            let settled = report.add(sent);
            progress.0.fetch_add(settled.len() as u64, Ordering::Relaxed);
            let now = self.clock.now();
            self.store.write(move |db| outbox::settle(db, &settled, now)).await?;
            failpoint::at("export.settled");
            busy.retain(|patient| !patients.contains(patient));
        }
        Ok(Some(report))
    }

    /// Puts the outbox right where another system's observations go to JHE than did before.
    async fn settle_system(&self) -> Result<(), StoreError> {
        if self.store.read(one_of_two_modes::is_to_settle).await? {
            let mut settling = Some(self.store.read(Settling::begin).await?);
            while let Some(step) = settling {
                let now = self.clock.now();
                settling = self.store.write(move |db| step.step(db, now)).await?;
            }
        }
        Ok(())
    }

    /// Whether anything is to be sent now.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn has_work(&self) -> Result<bool, StoreError> {
        self.settle_system().await?;
        let now = self.clock.now();
        Ok(!self.store.read(move |db| outbox::ready(db, None, now)).await?.is_empty())
    }

    /// Asks JHE about the patients whose observations wait for consent: it may have returned. Ticks do the same.
    ///
    /// # Errors
    /// Where the store fails. That JHE does not answer leaves them waiting.
    pub async fn look_for_consent(&self) -> Result<(), StoreError> {
        let parked = self.store.read(outbox::parked).await?;
        self.refresh(&parked).await.map(drop)
    }

    async fn refresh(&self, patients: &BTreeSet<PatientId>) -> Result<Vec<Unread>, StoreError> {
        refresh::refresh(&self.jhe, &self.store, &self.clock, Some(patients)).await
    }

    /// The next entries to send, of patients who consent now and have nothing under way; none where there are
    /// none.
    async fn next(
        &self,
        patient: Option<PatientId>,
        skip: &BTreeSet<PatientId>,
        devices: &Devices,
        left_out: &mut BTreeSet<PatientId>,
        report: &mut Report,
    ) -> Result<Option<Vec<Ready>>, StoreError> {
        let mut skip = skip.clone();
        loop {
            let now = self.clock.now();
            let mut streams = self.store.read(move |db| outbox::ready(db, patient, now)).await?;
            streams.retain(|stream| !skip.contains(&stream.patient));
            let patients: BTreeSet<PatientId> =
                streams.iter().map(|stream| stream.patient).take(PATIENTS).collect();
            if patients.is_empty() {
                return Ok(None);
            }
            for (unread, error) in self.refresh(&patients).await? {
                left_out.insert(unread);
                skip.insert(unread);
                report.unread.push((unread, error));
            }
            streams.retain(|stream| patients.contains(&stream.patient) && !skip.contains(&stream.patient));
            let (ready, held) = self.take(streams, devices.clone(), now).await?;
            report.configuration += held;
            if !ready.is_empty() {
                return Ok(Some(ready));
            }
            // Whatever they had was parked in the meantime.
            skip.extend(patients);
        }
    }

    /// Takes entries of these streams, as many as fit into a batch; what cannot be sent is parked. Answers with how many
    /// were until something is mended at JHE.
    async fn take(
        &self,
        streams: Vec<StreamInfo>,
        devices: Devices,
        now: Timestamp,
    ) -> Result<(Vec<Ready>, u64), StoreError> {
        let take = move |db: &_| {
            let (mut ready, mut held) = (Vec::new(), 0);
            let restored = restore::restored(db)?;
            for stream in streams {
                let Some(patient) = stream.jhe_id else { continue };
                if consent::allowed(db, stream.patient, &stream.code)?.is_empty() {
                    outbox::park(db, stream.patient, &stream.code)?;
                    continue;
                }
                let waiting = outbox::take(db, stream.id, now, batch::ENTRIES - ready.len())?;
                let name = devices.naming.at_jhe(&stream.provider);
                let device = devices.known.iter().find(|(known, _)| known == name).map(|(_, id)| *id);
                let Some(device) = device else {
                    let why = format!(
                        "JHE has no data source '{name}': add it there, and attach it to the study, or say with the setting jhe.data_sources what it is called"
                    );
                    let verdict = Verdict::Configuration(why, now.plus(CONFIGURATION_PAUSE));
                    let parked: Vec<_> = waiting.into_iter().map(|one| (one, verdict.clone())).collect();
                    outbox::settle(db, &parked, now)?;
                    held += parked.len() as u64;
                    continue;
                };
                for waiting in waiting {
                    let entry = batch::entry(&stream, &waiting, patient, device)
                        .map_err(|error| StoreError::Other(error.to_string()))?;
                    let may_be_there =
                        restored.is_some_and(|restored| waiting.observation.instant <= restored);
                    ready.push(Ready { stream: stream.clone(), patient, waiting, entry, may_be_there });
                }
                if ready.len() >= batch::ENTRIES {
                    break;
                }
            }
            Ok((ready, held))
        };
        self.store.write(take).await
    }
}

/// The lock of whoever exports; none where another process has it.
pub(crate) fn lock(store: &Store) -> Result<Option<File>, Failure> {
    let path = store.directory().join(LOCK);
    let failed = |error: std::io::Error| {
        Failure::failed(
            format!("{} cannot be locked: {error}", path.display()),
            "see that this user may write there",
        )
    };
    let mut options = File::options();
    options.create(true).truncate(false).write(true).mode(FILE_MODE);
    let file = options.open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}
