//! A poll from beginning to end: the lock, the patients' consents, their turns, and the record of the run.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;

use crate::common::{failure::Failure, time::Timestamp};
use crate::config::settings::{IngestMode, Settings};
use crate::consent::{erase_withdrawn, refresh};
use crate::model::catalog::{code::CODES, series::SERIES, series_type::SeriesType};
use crate::model::{commit_counts::CommitCounts, error_kind::ErrorKind, patient::PatientId};
use crate::ow::{client::Client, error::OwError};
use crate::poll::poller::{PollRequest, Poller, TickContext};
use crate::poll::sweep_schedule::{self, is_due};
use crate::poll::take_lock::{LockOutcome, WAIT_FOR_SLICE, skipped_sentence};
use crate::poll::{patient_turn::Turn, progress::PollProgress, turn_error::TurnError, windows::ReadRange};
use crate::raw::{access::BucketAccess, client::S3Bucket};
use crate::store::operations::hourly_counters::{self, TickResult, Totals};
use crate::store::operations::patient_status::{self, RareReads, TurnResult};
use crate::store::operations::poll_plan::{self, NotPolled, PatientPlan};
use crate::store::operations::run_history;
use crate::store::operations::tick_lock::RunKind;
use crate::store::samples::{code, data_hours};
use crate::store::{error::StoreError, people::patient};
use crate::telemetry::metrics;

/// The reason that is shown for JHE's patients if this process is not connected to a JHE.
const NO_JHE: &str = "JHE owns this patient's consents, and this process has no JHE; set JHE_BASE_URL and JHE_CLIENT_KEY, as for the daemon";

/// The end of a poll that did not fail.
#[derive(Debug)]
pub enum PollOutcome {
    /// Polling is switched off. The text is the sentence for operators.
    Skipped(String),
    /// Another run holds the lock, or this hinted poll gave it up to that run. The text is the sentence for
    /// operators.
    Held(String),
    Complete(PollSummary),
}

/// The results of all turns of a poll.
#[derive(Debug)]
pub struct PollSummary {
    pub mode: IngestMode,
    pub dry_run: bool,
    pub counts: CommitCounts,
    /// Counts per patient, in the order in which their turns ended.
    pub patients: Vec<(PatientId, CommitCounts)>,
    /// Patients in error, with the reason.
    pub failed: Vec<(PatientId, String)>,
    pub not_polled: Vec<(PatientId, NotPolled)>,
    /// Patients with more objects in the bucket than one turn reads.
    pub unfinished: Vec<PatientId>,
}

impl PollSummary {
    /// The sentence that is shown for each unfinished patient.
    pub const UNFINISHED: &'static str = "more objects wait in the bucket; the next tick goes on with them";

    pub(crate) fn new(mode: IngestMode, dry_run: bool) -> Self {
        let (patients, failed, not_polled, unfinished) = Default::default();
        Self { mode, dry_run, counts: CommitCounts::default(), patients, failed, not_polled, unfinished }
    }

    /// Returns the sentence for operators.
    pub fn sentence(&self) -> String {
        let (mode, created) = (self.mode.as_str(), self.counts.created);
        if self.dry_run {
            return format!("OW poll dry run (mode={mode}). Would create {created} observations.");
        }
        format!("OW poll complete (mode={mode}). Created {created} observations.")
    }

    pub(crate) fn add(&mut self, plan: &PatientPlan, turn: &Turn) {
        self.counts += turn.counts;
        if let Some(error) = turn.error_text(plan) {
            self.failed.push((plan.patient, error));
        }
        match self.patients.iter_mut().find(|(patient, _)| *patient == plan.patient) {
            Some((_, counts)) => *counts += turn.counts,
            None => self.patients.push((plan.patient, turn.counts)),
        }
    }

    /// Returns the outcome of the poll; `stopped` is the error that ended it for all patients.
    pub(crate) fn finish(self, stopped: Option<TurnError>) -> Result<PollOutcome, Failure> {
        match stopped {
            None => Ok(PollOutcome::Complete(self)),
            Some(TurnError::Ow(OwError::Unauthorized)) => Err(Failure::failed(
                "ow_poll aborted: 401 Invalid or missing API key",
                "make a new key in OW's admin pages, set OW_API_KEY to it, and poll again",
            )),
            Some(TurnError::Store(error)) => {
                let failure = Failure::from(error);
                Err(Failure { message: format!("ow_poll aborted: {}", failure.message), ..failure })
            }
            Some(error) => Err(Failure::failed(
                format!("ow_poll aborted: {error}"),
                "what was committed stays; the next tick goes on from there",
            )),
        }
    }
}

impl Poller {
    /// Runs one poll. The error of a single patient is part of the summary and does not fail the poll.
    pub async fn poll(
        &self,
        request: &PollRequest,
        progress: &Arc<PollProgress>,
    ) -> Result<PollOutcome, Failure> {
        let settings = self.store.settings().await?;
        let outcome = self.poll_with(request, &settings, progress).await;
        if request.backfill.is_none() && !request.dry_run {
            // Erasure is a duty also while polling is switched off. It comes last, since the tick has
            // refreshed the consents by then.
            match erase_withdrawn::erase_due(&self.store, &settings, self.clock.now()).await {
                Ok(0) => {}
                Ok(erased) => tracing::info!(erased, "withdrawn data were erased"),
                Err(error) => tracing::warn!("withdrawn data could not be erased yet: {error}"),
            }
        }
        outcome
    }

    async fn poll_with(
        &self,
        request: &PollRequest,
        settings: &Settings,
        progress: &Arc<PollProgress>,
    ) -> Result<PollOutcome, Failure> {
        if !settings.is_on() {
            return Ok(PollOutcome::Skipped("OW poll skipped: module.ow=false".to_owned()));
        }
        match &request.backfill {
            _ if request.dry_run => return self.run(request, settings, None, progress).await,
            Some(backfill) => return self.backfill(request, backfill, settings, progress).await,
            None => {}
        }
        match self.take_lock(request.kind(), WAIT_FOR_SLICE).await? {
            LockOutcome::Held(since) => Ok(PollOutcome::Held(skipped_sentence(&since))),
            LockOutcome::Taken(hold) => {
                let owner = hold.token();
                let outcome = if request.hinted.is_empty() {
                    self.run(request, settings, Some(owner), progress).await
                } else {
                    self.run_yielding(request, settings, owner, progress).await
                };
                self.release_lock(hold).await?;
                outcome
            }
        }
    }

    pub(crate) async fn run(
        &self,
        request: &PollRequest,
        settings: &Settings,
        lock_owner: Option<&str>,
        progress: &Arc<PollProgress>,
    ) -> Result<PollOutcome, Failure> {
        let context = match self.context(request, settings, lock_owner, progress).await {
            Ok(context) => context,
            Err(failure) => {
                if lock_owner.is_some() && request.kind() == RunKind::Tick {
                    self.record_failed_tick().await;
                }
                return Err(failure);
            }
        };
        let mut summary = PollSummary::new(context.mode, request.dry_run);
        let plans = context.plan_patients(&mut summary).await?;
        let run = context.begin_run().await?;
        progress.patients.add(plans.len());
        let stopped = context.poll_patients(plans, &mut summary).await;
        context.end_run(run, &summary, stopped.as_ref()).await;
        summary.finish(stopped)
    }

    async fn record_failed_tick(&self) {
        let now = self.clock.now();
        let totals = Totals::tick(TickResult::Failed, Duration::ZERO);
        if let Err(error) = self.store.write(move |db| hourly_counters::add(db, now, &totals)).await {
            // The caller reports the failure of the tick itself.
            tracing::debug!("a tick that could not begin was not recorded: {error}");
        }
    }

    /// Checks the configuration that a tick needs, and returns what its turns share.
    pub(crate) async fn context(
        &self,
        request: &PollRequest,
        settings: &Settings,
        lock_owner: Option<&str>,
        progress: &Arc<PollProgress>,
    ) -> Result<TickContext, Failure> {
        let (Some(url), Some(key)) = (&self.config.ow_api_url, &self.config.ow_api_key) else {
            return Err(Failure::failed(
                "ow_poll aborted: OW_API_URL / OW_API_KEY not configured",
                "set both, in the environment, in .env or as ow.api_url and ow.api_key in jhe-ow.toml",
            ));
        };
        let timeout = self.config.ow_timeout;
        let mode = settings.ingest_mode().map_err(|unknown| {
            Failure::failed(
                format!("ow_poll aborted: unknown ow.ingest_mode '{unknown}'"),
                "jhe-ow settings set ow.ingest_mode normalized",
            )
        })?;
        let bucket = match mode {
            IngestMode::Normalized => None,
            IngestMode::Raw => {
                let access = BucketAccess::from_settings(settings, self.config.secret_key.as_ref(), timeout)?;
                Some(S3Bucket::new(&access, &self.clock)?)
            }
        };
        if let Some(missing) = self.store.read(find_missing_code).await? {
            return Err(Failure::failed(missing, "jhe-ow seed"));
        }
        Ok(TickContext {
            poller: self.clone(),
            request: request.clone(),
            client: Client::new(url, key, timeout, self.ow_limits.clone(), &self.clock)?,
            mode,
            bucket,
            first_window: settings.first_connect_window(),
            concurrency: settings.concurrency(),
            historical_sync: settings.daily_historical_sync(),
            reconcile: settings.reconcile_daily(),
            progress: Arc::clone(progress),
            lock_owner: lock_owner.map(str::to_owned),
            started: self.clock.now(),
        })
    }
}

/// Finds a code that is not seeded yet, and returns the sentence for operators. A code that is not in JHE's
/// seed may be missing: an older version of this program may have seeded the database.
fn find_missing_code(db: &rusqlite::Connection) -> Result<Option<String>, StoreError> {
    let is_of_jhe =
        |series: &&SeriesType| CODES.iter().any(|code| code.code == series.code && code.in_jhe_seed);
    for series in SERIES.iter().filter(is_of_jhe) {
        match code::require(db, series.code) {
            Ok(_) => {}
            Err(StoreError::Refused(sentence)) => return Ok(Some(sentence)),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

impl TickContext {
    /// Refreshes consents and lists the patients to poll; adds the others to the summary, with the reason.
    pub(crate) async fn plan_patients(&self, summary: &mut PollSummary) -> Result<Vec<PatientPlan>, Failure> {
        let store = &self.poller.store;
        let PollRequest { patient: wanted, ref hinted, .. } = self.request;
        let find = move |db: &_| wanted.map(|patient| patient::find(db, patient)).transpose();
        let patient = store.read(find).await?.map(|patient| patient.id);
        let only: Option<BTreeSet<PatientId>> = match patient {
            Some(patient) => Some(BTreeSet::from([patient])),
            None => (!hinted.is_empty()).then(|| hinted.clone()),
        };
        let failed = self.refresh_consents(only.as_ref()).await?;
        let (mode, system) = (self.mode.as_str(), self.mode.system());
        let now = self.started;
        let list = move |db: &_| {
            let plans = poll_plan::list(db, patient, mode, system, now)?;
            Ok((plans, poll_plan::list_not_polled(db, patient, now)?))
        };
        let mut plans;
        (plans, summary.not_polled) = store.read(list).await?;
        plans.retain(|plan| {
            only.as_ref().is_none_or(|only| only.contains(&plan.patient))
                && failed.iter().all(|(patient, _)| *patient != plan.patient)
        });
        summary.failed.extend(failed);
        Ok(plans)
    }

    /// Refreshes consents from JHE; returns the patients whose consents are unknown, with the reason. They
    /// are skipped in this tick, as are all of JHE's patients if this process is not connected to a JHE, such
    /// as a command in another terminal.
    async fn refresh_consents(
        &self,
        only: Option<&BTreeSet<PatientId>>,
    ) -> Result<Vec<(PatientId, String)>, StoreError> {
        let Poller { store, clock, jhe, .. } = &self.poller;
        if !self.is_live() {
            return Ok(Vec::new());
        }
        let mut failed: Vec<(PatientId, String)> = if let Some(jhe) = jhe {
            let failed = refresh::refresh(jhe, store, clock, only).await?;
            failed.into_iter().map(|(patient, error)| (patient, error.to_string())).collect()
        } else {
            let patients = refresh::list_jhe_patients(store, only).await?;
            patients.into_iter().map(|one| (one.patient, NO_JHE.to_owned())).collect()
        };
        for (patient, error) in &mut failed {
            *error = format!("not read in this tick, as the consents could not be read: {error}");
            let (patient, now) = (*patient, self.started);
            let result = TurnResult::FailedElsewhere(error.clone());
            let record = move |db: &_| {
                hourly_counters::record_error(db, now, ErrorKind::Jhe)?;
                patient_status::record_turn(db, patient, &result, RareReads::default(), now)
            };
            self.write(record).await?;
            metrics::count_error(ErrorKind::Jhe);
        }
        Ok(failed)
    }

    pub(crate) async fn begin_run(&self) -> Result<Option<i64>, StoreError> {
        if !self.is_live() {
            return Ok(None);
        }
        let (kind, mode, now) = (self.request.kind(), self.mode.as_str(), self.started);
        self.write(move |db| run_history::insert(db, kind, mode, now)).await.map(Some)
    }

    /// Records how the run ended. A failure to do so is logged only, since the data are committed already.
    pub(crate) async fn end_run(&self, run: Option<i64>, summary: &PollSummary, stopped: Option<&TurnError>) {
        let Some(run) = run else { return };
        let sentence = stopped.map_or_else(|| summary.sentence(), ToString::to_string);
        let (patients, failed) = (summary.patients.len() as u64, summary.failed.len() as u64);
        let (kind, counts, now) = (self.request.kind(), summary.counts, self.poller.clock.now());
        let result = match (stopped, failed) {
            (None | Some(TurnError::Stopped), 0) => TickResult::Complete,
            (None | Some(TurnError::Stopped), _) => TickResult::Partial,
            (Some(_), _) => TickResult::Failed,
        };
        let error = stopped.and_then(TurnError::kind);
        error.into_iter().for_each(metrics::count_error);
        let totals = Totals::tick(result, now.since(self.started));
        let end = move |db: &_| {
            data_hours::trim(db, now)?;
            hourly_counters::delete_old(db, now)?;
            if kind == RunKind::Tick {
                hourly_counters::add(db, now, &totals)?;
            }
            if let Some(error) = error {
                hourly_counters::record_error(db, now, error)?;
            }
            run_history::finish(db, run, &sentence, patients, failed, &counts, now)
        };
        // `self.write` would check the lock, and a run that has lost it must record its end too.
        if let Err(error) = self.poller.store.write(end).await {
            tracing::warn!("the end of the tick could not be recorded: {error}");
        }
    }

    /// Gives each patient a turn, several at a time; returns the error that ended the tick, if any.
    async fn poll_patients(&self, plans: Vec<PatientPlan>, summary: &mut PollSummary) -> Option<TurnError> {
        let turns = futures_util::stream::iter(plans)
            .map(|plan| async move {
                let turn = self.unless_stopped(self.poll_patient(&plan)).await;
                (plan, turn)
            })
            .buffer_unordered(self.concurrency);
        let mut turns = std::pin::pin!(turns);
        while let Some((plan, turn)) = turns.next().await {
            summary.add(&plan, &turn);
            self.progress.patients_done.add(1);
            if turn.ends_tick() {
                return turn.error;
            }
            if turn.is_unfinished {
                summary.unfinished.push(plan.patient);
            }
        }
        let unfinished = summary.unfinished.clone();
        if unfinished.is_empty() || !self.is_live() {
            return None;
        }
        // Patients with a long backlog come last in the next tick, so that they do not delay the others
        // again.
        let put_last =
            move |db: &_| unfinished.iter().try_for_each(|patient| patient_status::move_to_end(db, *patient));
        self.write(put_last).await.err().map(TurnError::from)
    }

    async fn poll_patient(&self, plan: &PatientPlan) -> Turn {
        let mut reads = self.due_reads(plan);
        let mut checked =
            if reads.checked && self.is_live() { self.check_user(plan).await } else { Ok(true) };
        if let Err(TurnError::Ow(error)) = &checked
            && self.bucket.is_some()
            && !matches!(error, OwError::Unauthorized | OwError::UnknownUser)
        {
            // The bucket can be read without OW.
            tracing::warn!(patient = %plan.patient, "OW could not be asked about the user: {error}");
            checked = Ok(false);
        }
        reads.checked &= checked == Ok(true);
        let mut turn = match checked {
            Ok(_) => self.read_range(plan, self.range_of(plan, reads)).await,
            Err(error) => Turn { error: Some(error), ..Turn::default() },
        };
        if turn.is_complete() && reads.checked && self.reconcile && self.is_live() {
            self.reconcile(plan, &mut turn).await;
        }
        if turn.is_complete() && reads.checked && self.is_live() {
            self.check_time_zone(plan).await;
        }
        if turn.error.is_none() && turn.counts.created == 0 && self.is_live() {
            self.refresh_device_status(plan).await;
        }
        if !turn.is_complete() {
            // An incomplete sweep is still due. The daily check is done, even if the read failed afterwards.
            reads = RareReads { checked: reads.checked, ..RareReads::default() };
        }
        if turn.ends_tick() {
            // The error is not this patient's, so the patient's status stays as it is.
            return turn;
        }
        if let Err(error) = self.record_turn(plan, &turn, reads).await {
            turn.error = Some(error.into());
        }
        turn
    }

    /// Runs a turn until the tick is cancelled.
    pub(crate) async fn unless_stopped(&self, turn: impl Future<Output = Turn>) -> Turn {
        tokio::select! {
            biased;
            () = self.poller.cancel.cancelled() => Turn { error: Some(TurnError::Stopped), ..Turn::default() },
            turn = turn => turn,
        }
    }

    fn due_reads(&self, plan: &PatientPlan) -> RareReads {
        let is_due = |last: Option<Timestamp>, every| {
            is_due(plan.patient, last.unwrap_or(plan.linked), every, self.started)
        };
        let wide = is_due(plan.wide, sweep_schedule::WIDE_EVERY);
        RareReads {
            wide,
            deep: wide || is_due(plan.deep, sweep_schedule::DEEP_EVERY),
            checked: plan.checked.is_none() || is_due(plan.checked, sweep_schedule::CHECK_EVERY),
        }
    }

    fn range_of(&self, plan: &PatientPlan, reads: RareReads) -> ReadRange {
        let at_least = match reads {
            RareReads { wide: true, .. } => Some(sweep_schedule::WIDE),
            RareReads { deep: true, .. } => Some(sweep_schedule::DEEP),
            _ => None,
        };
        let first = plan.first_window(self.first_window, self.started);
        let recent = ReadRange::Recent { at_least, first };
        self.request
            .backfill
            .as_ref()
            .map_or(recent, |backfill| ReadRange::Requested(self.range_to_read(backfill)))
    }
}
