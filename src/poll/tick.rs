//! A whole tick: the lock, the patients, several at a time, and how it ended.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;

use crate::common::failure::Failure;
use crate::common::time::Timestamp;
use crate::config::settings::{IngestMode, Snapshot};
use crate::consent::{erase_withdrawn, refresh};
use crate::model::catalog::code::CODES;
use crate::model::catalog::series::SERIES;
use crate::model::catalog::series_type::Series;
use crate::model::commit_counts::Tally;
use crate::model::error_kind;
use crate::model::patient::PatientId;
use crate::ow::client::Client;
use crate::ow::error::OwError;
use crate::poll::patient_turn::Turn;
use crate::poll::poller::{Ask, Context, Poller};
use crate::poll::progress::Progress;
use crate::poll::sweep_schedule;
use crate::poll::sweep_schedule::is_due;
use crate::poll::take_lock::{Entry, WAIT_FOR_SLICE, skipped};
use crate::poll::turn_error::TurnError;
use crate::poll::windows::Reach;
use crate::raw::access::Access;
use crate::raw::client::Bucket;
use crate::store::error::StoreError;
use crate::store::operations::hourly_counters::Totals;
use crate::store::operations::patient_status::{Ended, Reads};
use crate::store::operations::poll_plan::{Due, Idle};
use crate::store::operations::tick_lock::Kind;
use crate::store::operations::{hourly_counters, patient_status, poll_plan, run_history};
use crate::store::people::patient;
use crate::store::samples::{code, commit};
use crate::telemetry::metrics;

/// Why JHE's patients are left out where no JHE is known.
const WITHOUT_JHE: &str = "they are JHE's, and no JHE is configured here; set JHE_BASE_URL and JHE_CLIENT_KEY, as for the \
                           daemon";

/// How a tick ended.
#[derive(Debug)]
pub enum Outcome {
    /// The polls are switched off; the sentence says so.
    Skipped(String),
    /// Somebody else has the lock, or waits for it and was let in; the sentence says so.
    Held(String),
    /// It ran.
    Complete(Summary),
}

/// What a tick did.
#[derive(Debug)]
pub struct Summary {
    /// The mode of ingestion.
    pub mode: IngestMode,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// What became of all samples.
    pub tally: Tally,
    /// What became of each patient's, in the order in which they were done.
    pub patients: Vec<(PatientId, Tally)>,
    /// Patients whose turn ended in an error, which is told.
    pub failed: Vec<(PatientId, String)>,
    /// Patients about whom OW was not asked, and why.
    pub idle: Vec<(PatientId, Idle)>,
    /// Patients of whom more waits in the bucket than one turn reads.
    pub unfinished: Vec<PatientId>,
}

impl Summary {
    pub(crate) fn new(mode: IngestMode, dry_run: bool) -> Self {
        let (patients, failed, idle) = (Vec::new(), Vec::new(), Vec::new());
        let unfinished = Vec::new();
        Self { mode, dry_run, tally: Tally::default(), patients, failed, idle, unfinished }
    }

    /// What is said of those whose turn is unfinished.
    pub const UNFINISHED: &'static str = "more objects wait in the bucket; the next tick goes on with them";

    /// The sentence that operators know.
    pub fn sentence(&self) -> String {
        let (mode, created) = (self.mode.as_str(), self.tally.created);
        if self.dry_run {
            return format!("OW poll dry run (mode={mode}). Would create {created} observations.");
        }
        format!("OW poll complete (mode={mode}). Created {created} observations.")
    }

    pub(crate) fn add(&mut self, due: &Due, turn: &Turn) {
        self.tally += turn.tally;
        if let Some(trouble) = turn.trouble(due) {
            self.failed.push((due.patient, trouble));
        }
        match self.patients.iter_mut().find(|(patient, _)| *patient == due.patient) {
            Some((_, tally)) => *tally += turn.tally,
            None => self.patients.push((due.patient, turn.tally)),
        }
    }
}

impl Poller {
    /// Runs one tick.
    ///
    /// # Errors
    /// Why it could not run, or not to its end; one patient's trouble is no error here but in the summary.
    pub async fn poll(&self, ask: &Ask, progress: &Arc<Progress>) -> Result<Outcome, Failure> {
        let settings = self.store.settings().await?;
        let outcome = self.poll_with(ask, &settings, progress).await;
        if ask.past.is_none() && !ask.dry_run {
            // After JHE was asked what is consented to.
            self.erase_withdrawn(&settings).await;
        }
        outcome
    }

    async fn poll_with(
        &self,
        ask: &Ask,
        settings: &Snapshot,
        progress: &Arc<Progress>,
    ) -> Result<Outcome, Failure> {
        if !settings.is_on() {
            return Ok(Outcome::Skipped("OW poll skipped: module.ow=false".to_owned()));
        }
        match &ask.past {
            _ if ask.dry_run => return self.run(ask, settings, None, progress).await,
            Some(past) => return self.backfill(ask, past, settings, progress).await,
            None => {}
        }
        match self.enter(ask.kind(), WAIT_FOR_SLICE).await? {
            Entry::Held(since) => Ok(Outcome::Held(skipped(&since))),
            Entry::Taken(hold) => {
                let owner = hold.owner();
                let outcome = if ask.hinted.is_empty() {
                    self.run(ask, settings, Some(owner), progress).await
                } else {
                    self.run_until_wanted(ask, settings, owner, progress).await
                };
                self.leave(hold).await?;
                outcome
            }
        }
    }

    /// Erases what was withdrawn and is due, also while the polls are switched off. That it cannot be done now stops no
    /// tick.
    async fn erase_withdrawn(&self, settings: &Snapshot) {
        match erase_withdrawn::sweep(&self.store, settings, self.clock.now()).await {
            Ok(0) => {}
            Ok(decided) => tracing::info!(decided, "what had been withdrawn was erased"),
            Err(error) => tracing::warn!("what had been withdrawn could not be erased yet: {error}"),
        }
    }

    pub(crate) async fn run(
        &self,
        ask: &Ask,
        settings: &Snapshot,
        lock_owner: Option<&str>,
        progress: &Arc<Progress>,
    ) -> Result<Outcome, Failure> {
        let context = match self.context(settings, lock_owner).await {
            Ok(context) => context,
            Err(failure) => {
                if lock_owner.is_some() && ask.kind() == Kind::Tick {
                    self.note_failed().await;
                }
                return Err(failure);
            }
        };
        let mut summary = Summary::new(context.mode, ask.dry_run);
        let all = context.patients(ask, &mut summary).await?;
        let run = context.begin_run(ask.kind()).await?;
        progress.expect(all.len(), 0);
        let stopped = context.read_all(all, ask, &mut summary, progress).await;
        context.end_run(ask.kind(), run, &summary, stopped.as_ref()).await;
        outcome(summary, stopped)
    }

    /// Notes a tick that could not begin. That this cannot be noted is told by what follows.
    async fn note_failed(&self) {
        let now = self.clock.now();
        let note = move |db: &_| {
            hourly_counters::add(db, now, &Totals::tick(hourly_counters::Ended::Failed, Duration::ZERO))
        };
        if let Err(error) = self.store.write(note).await {
            tracing::debug!("a tick that could not begin was not noted: {error}");
        }
    }

    /// Checks what a tick cannot do without.
    pub(crate) async fn context(
        &self,
        settings: &Snapshot,
        lock_owner: Option<&str>,
    ) -> Result<Context, Failure> {
        let (Some(url), Some(key)) = (&self.config.ow_api_url, &self.config.ow_api_key) else {
            return Err(Failure::failed(
                "ow_poll aborted: OW_API_URL / OW_API_KEY not configured",
                "set both, in the environment, in .env or as ow.api_url and ow.api_key in jhe-ow.toml",
            ));
        };
        let mode = mode(settings)?;
        let bucket = match mode {
            IngestMode::Normalized => None,
            IngestMode::Raw => {
                let (key, silence) = (self.config.secret_key.as_ref(), self.config.ow_timeout);
                Some(Bucket::new(&Access::of(settings, key, silence)?, &self.clock)?)
            }
        };
        if let Some(missing) = self.store.read(missing_code).await? {
            return Err(Failure::failed(missing, "jhe-ow seed"));
        }
        Ok(Context {
            poller: self.clone(),
            client: Client::new(url, key, self.config.ow_timeout, self.page_size.clone(), &self.clock)?,
            mode,
            bucket,
            first: settings.first_connect_window(),
            concurrency: settings.concurrency(),
            historical_sync: settings.daily_historical_sync(),
            reconcile: settings.reconcile_daily(),
            lock_owner: lock_owner.map(str::to_owned),
            started: self.clock.now(),
        })
    }
}

fn mode(settings: &Snapshot) -> Result<IngestMode, Failure> {
    settings.ingest_mode().map_err(|unknown| {
        Failure::failed(
            format!("ow_poll aborted: unknown ow.ingest_mode '{unknown}'"),
            "jhe-ow settings set ow.ingest_mode normalized",
        )
    })
}

/// The sentence of a code that no seed has made yet. Those that JHE's own seed does not make may be missing: they came
/// with a later version.
fn missing_code(db: &rusqlite::Connection) -> Result<Option<String>, StoreError> {
    let of_jhe = |series: &&Series| CODES.iter().any(|code| code.code == series.code && code.is_of_jhe);
    for series in SERIES.iter().filter(of_jhe) {
        match code::require(db, series.code) {
            Ok(_) => {}
            Err(StoreError::Refused(sentence)) => return Ok(Some(sentence)),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// What a tick comes to. `stopped` is what ended it for everybody.
pub(crate) fn outcome(summary: Summary, stopped: Option<TurnError>) -> Result<Outcome, Failure> {
    match stopped {
        None => Ok(Outcome::Complete(summary)),
        Some(TurnError::Ow(OwError::Unauthorized)) => Err(Failure::failed(
            "ow_poll aborted: 401 Invalid or missing API key",
            "make a new key in OW's admin pages, set OW_API_KEY to it, and poll again",
        )),
        Some(TurnError::Store(error)) => {
            let failure = Failure::from(error);
            Err(Failure { what: format!("ow_poll aborted: {}", failure.what), ..failure })
        }
        Some(error) => Err(Failure::failed(
            format!("ow_poll aborted: {error}"),
            "what was committed stays; the next tick goes on from there",
        )),
    }
}

impl Context {
    /// Who takes part, and who does not and why: the latter goes into the summary.
    pub(crate) async fn patients(&self, ask: &Ask, summary: &mut Summary) -> Result<Vec<Due>, Failure> {
        let store = &self.poller.store;
        let who = ask.patient;
        let find = move |db: &_| who.map(|who| patient::find(db, who)).transpose();
        let patient = store.read(find).await?.map(|patient| patient.id);
        let only: Option<BTreeSet<PatientId>> = match patient {
            Some(patient) => Some(BTreeSet::from([patient])),
            None if ask.hinted.is_empty() => None,
            None => Some(ask.hinted.clone()),
        };
        let unread = self.refresh_consents(only.as_ref()).await?;
        let (mode, system) = (self.mode.as_str(), self.mode.system());
        let read =
            move |db: &_| Ok((poll_plan::due(db, patient, mode, system)?, poll_plan::idle(db, patient)?));
        let (mut due, idle) = store.read(read).await?;
        summary.idle = idle;
        due.retain(|due| only.as_ref().is_none_or(|only| only.contains(&due.patient)));
        due.retain(|due| !unread.iter().any(|(patient, _)| *patient == due.patient));
        summary.failed.extend(unread);
        Ok(due)
    }

    /// Asks JHE, where it is the truth, who consents now. Whoever it does not answer about is left out of this
    /// tick, with the reason on the page; so are JHE's patients in a process that knows no JHE, as a command in another
    /// terminal may be.
    async fn refresh_consents(
        &self,
        only: Option<&BTreeSet<PatientId>>,
    ) -> Result<Vec<(PatientId, String)>, StoreError> {
        let Poller { store, clock, jhe, .. } = &self.poller;
        if !self.is_live() {
            return Ok(Vec::new());
        }
        let refreshed: Vec<(PatientId, String)> = if let Some(jhe) = jhe {
            let unread = refresh::refresh(jhe, store, clock, only).await?;
            unread.into_iter().map(|(patient, error)| (patient, error.to_string())).collect()
        } else {
            let theirs = refresh::of_jhe(store, only).await?;
            theirs.into_iter().map(|patient| (patient, WITHOUT_JHE.to_owned())).collect()
        };
        let mut unread = Vec::new();
        for (patient, error) in refreshed {
            let why = format!("not read in this tick, as the consents could not be: {error}");
            let (note, now) = (Ended::Elsewhere(why.clone()), self.started);
            let write = move |db: &_| {
                hourly_counters::note_error(db, now, error_kind::Kind::Jhe)?;
                patient_status::note_turn(db, patient, &note, Reads::default(), now)
            };
            self.write(write).await?;
            metrics::failed(error_kind::Kind::Jhe);
            unread.push((patient, why));
        }
        Ok(unread)
    }

    pub(crate) async fn begin_run(&self, kind: Kind) -> Result<Option<i64>, StoreError> {
        if !self.is_live() {
            return Ok(None);
        }
        let (mode, now) = (self.mode.as_str(), self.started);
        self.write(move |db| run_history::begin(db, kind, mode, now)).await.map(Some)
    }

    /// Notes how the run ended. That it cannot be noted does not undo what it did.
    pub(crate) async fn end_run(
        &self,
        kind: Kind,
        run: Option<i64>,
        summary: &Summary,
        stopped: Option<&TurnError>,
    ) {
        let Some(run) = run else { return };
        let outcome = stopped.map_or_else(|| summary.sentence(), ToString::to_string);
        let (patients, failed) = (summary.patients.len() as u64, summary.failed.len() as u64);
        let (tally, now) = (summary.tally, self.poller.clock.now());
        let ended = match (stopped, failed) {
            (None | Some(TurnError::Stopped), 0) => hourly_counters::Ended::Complete,
            (None | Some(TurnError::Stopped), _) => hourly_counters::Ended::Partial,
            (Some(_), _) => hourly_counters::Ended::Failed,
        };
        let error = stopped.and_then(TurnError::kind);
        error.into_iter().for_each(metrics::failed);
        let totals = Totals::tick(ended, now.since(self.started));
        let end = move |db: &_| {
            commit::trim_hours(db, now)?;
            hourly_counters::trim(db, now)?;
            if kind == Kind::Tick {
                hourly_counters::add(db, now, &totals)?;
            }
            if let Some(error) = error {
                hourly_counters::note_error(db, now, error)?;
            }
            run_history::end(db, run, &outcome, patients, failed, &tally, now)
        };
        if let Err(error) = self.poller.store.write(end).await {
            tracing::warn!("the end of the tick could not be noted: {error}");
        }
    }

    /// Lets every patient have a turn, several at a time; answers with what stopped the tick, if anything.
    async fn read_all(
        &self,
        all: Vec<Due>,
        ask: &Ask,
        summary: &mut Summary,
        progress: &Progress,
    ) -> Option<TurnError> {
        let turns = futures_util::stream::iter(all)
            .map(|due| async move {
                let turn = self.unless_stopped(self.turn(&due, ask, progress)).await;
                (due, turn)
            })
            .buffer_unordered(self.concurrency);
        let mut turns = std::pin::pin!(turns);
        while let Some((due, turn)) = turns.next().await {
            summary.add(&due, &turn);
            progress.patient_done();
            if turn.error.as_ref().is_some_and(TurnError::ends_tick) {
                return turn.error;
            }
            if turn.is_unfinished {
                summary.unfinished.push(due.patient);
            }
        }
        let unfinished = summary.unfinished.clone();
        if unfinished.is_empty() || !self.is_live() {
            return None;
        }
        let put_last =
            move |db: &_| unfinished.iter().try_for_each(|patient| patient_status::put_last(db, *patient));
        self.write(put_last).await.err().map(TurnError::from)
    }

    async fn turn(&self, due: &Due, ask: &Ask, progress: &Progress) -> Turn {
        let mut reads = self.reads(due);
        let mut checked = if reads.checked && self.is_live() { self.check(due).await } else { Ok(true) };
        if let (
            Some(_),
            Err(TurnError::Ow(error @ (OwError::Away(_) | OwError::Later(_) | OwError::Wrong(_)))),
        ) = (&self.bucket, &checked)
        {
            // The payloads can be read without OW.
            tracing::warn!(patient = %due.patient, "OW could not be asked about the user: {error}");
            checked = Ok(false);
        }
        reads.checked &= checked == Ok(true);
        let mut turn = match checked {
            Ok(_) => self.read_reach(due, self.reach(ask, reads), progress).await,
            Err(error) => Turn { error: Some(error), ..Turn::default() },
        };
        let is_whole = turn.error.is_none() && !turn.is_unfinished;
        if is_whole && reads.checked && self.reconcile && self.is_live() {
            self.reconcile(due, &mut turn, progress).await;
        }
        if turn.error.is_none() && turn.tally.created == 0 && self.is_live() {
            self.look_at_devices(due).await;
        }
        if turn.error.is_some() || turn.is_unfinished {
            // A sweep that did not come to its end is still due; what OW was asked once today was asked.
            reads = Reads { checked: reads.checked, ..Reads::default() };
        }
        if turn.error.as_ref().is_some_and(TurnError::ends_tick) {
            // That is not this patient's trouble.
            return turn;
        }
        if let Err(error) = self.note(due, &turn, reads).await {
            turn.error = Some(error.into());
        }
        turn
    }

    /// Lets a turn go on for as long as the tick does.
    pub(crate) async fn unless_stopped(&self, turn: impl Future<Output = Turn>) -> Turn {
        tokio::select! {
            biased;
            () = self.poller.cancel.cancelled() => Turn { error: Some(TurnError::Stopped), ..Turn::default() },
            turn = turn => turn,
        }
    }

    fn reads(&self, due: &Due) -> Reads {
        let is_due = |last: Option<Timestamp>, every| {
            is_due(due.patient, last.unwrap_or(due.linked), every, self.started)
        };
        let wide = is_due(due.wide, sweep_schedule::WIDE_EVERY);
        Reads {
            wide,
            deep: wide || is_due(due.deep, sweep_schedule::DEEP_EVERY),
            checked: due.checked.is_none() || is_due(due.checked, sweep_schedule::CHECK_EVERY),
        }
    }

    fn reach(&self, ask: &Ask, reads: Reads) -> Reach {
        let at_least = match reads {
            Reads { wide: true, .. } => Some(sweep_schedule::WIDE),
            Reads { deep: true, .. } => Some(sweep_schedule::DEEP),
            _ => None,
        };
        let recent = Reach::Recent { at_least, first: self.first };
        ask.past.as_ref().map_or(recent, |past| Reach::Asked(self.asked(past)))
    }
}
