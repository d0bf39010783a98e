//! Reads the past in slices. The lock is released between slices, so that ticks do not wait; the progress of
//! each patient is stored, so that a backfill that was killed resumes.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;

use crate::common::failure::Failure;
use crate::config::settings::{IngestMode, Settings};
use crate::model::consent_intervals::Interval;
use crate::poll::poller::{BackfillRequest, PollRequest, Poller, TickContext};
use crate::poll::take_lock::{LockOutcome, skipped_sentence};
use crate::poll::tick::{PollOutcome, PollSummary};
use crate::poll::windows::{ReadRange, SLICE, slices};
use crate::poll::{patient_turn::Turn, progress::PollProgress, turn_error::TurnError};
use crate::store::error::StoreError;
use crate::store::operations::backfill::{self, ReadOrder};
use crate::store::operations::tick_lock::{self, LockOwner, RunKind};
use crate::store::operations::{patient_status::RareReads, poll_plan::PatientPlan};

/// Pause between two slices while a tick waits for the lock: long enough for several of its attempts.
const GAP: Duration = Duration::from_secs(1);

struct PatientBackfill {
    plan: PatientPlan,
    /// The range that is not read yet.
    rest: Interval,
}

impl Poller {
    pub(crate) async fn backfill(
        &self,
        request: &PollRequest,
        backfill: &BackfillRequest,
        settings: &Settings,
        progress: &Arc<PollProgress>,
    ) -> Result<PollOutcome, Failure> {
        let mut context = self.context(request, settings, None, progress).await?;
        let mut summary = PollSummary::new(context.mode, false);
        // The first slice does not wait for a running tick, so that the caller learns of it at once. Later
        // slices wait.
        let mut hold = match self.take_lock(request.kind(), Duration::ZERO).await? {
            LockOutcome::Held(since) => return Ok(PollOutcome::Held(skipped_sentence(&since))),
            LockOutcome::Taken(hold) => Some(hold),
        };
        context.lock_owner = hold.as_ref().map(|hold| hold.token().to_owned());
        let plans = context.plan_patients(&mut summary).await?;
        let ended = context.read_past(&mut hold, plans, backfill, &mut summary).await;
        if let Some(hold) = hold {
            self.release_lock(hold).await?;
        }
        summary.finish(ended?)
    }
}

impl TickContext {
    /// Reads slice after slice of all patients; returns the error that stopped it, if any.
    async fn read_past(
        &mut self,
        hold: &mut Option<LockOwner>,
        plans: Vec<PatientPlan>,
        backfill: &BackfillRequest,
        summary: &mut PollSummary,
    ) -> Result<Option<TurnError>, StoreError> {
        let run = self.begin_run().await?;
        let mut patients = self.start_or_resume(plans, backfill).await?;
        self.progress.patients.add(patients.len());
        self.progress.slices.add(patients.iter().map(|patient| slices(patient.rest).count()).sum());
        let stopped = loop {
            let stopped = self.read_next_slices(&mut patients, backfill, summary).await;
            if stopped.is_some() || patients.is_empty() {
                break stopped;
            }
            if !self.yield_lock(hold, run).await? {
                break Some(StoreError::LockLost.into());
            }
        };
        self.end_run(run, summary, stopped.as_ref()).await;
        Ok(stopped)
    }

    /// Releases the lock and takes it again; returns false if another run still holds it when its lock counts
    /// as stale.
    async fn yield_lock(
        &mut self,
        hold: &mut Option<LockOwner>,
        run: Option<i64>,
    ) -> Result<bool, StoreError> {
        if let Some(hold) = hold.take()
            && self.poller.release_lock(hold).await?
        {
            tokio::time::sleep(GAP).await;
        }
        match self.poller.take_lock(RunKind::Backfill, tick_lock::STALE_AFTER).await? {
            LockOutcome::Held(_) => Ok(false),
            LockOutcome::Taken(taken) => {
                self.lock_owner = Some(taken.token().to_owned());
                *hold = Some(taken);
                if let Some(run) = run {
                    self.write(move |db| tick_lock::set_run(db, run)).await?;
                }
                Ok(true)
            }
        }
    }

    /// Starts the backfill of each patient, or resumes one of the same name.
    async fn start_or_resume(
        &self,
        plans: Vec<PatientPlan>,
        backfill: &BackfillRequest,
    ) -> Result<Vec<PatientBackfill>, StoreError> {
        let range = self.range_to_read(backfill);
        let (name, order, now) = (self.backfill_name(backfill), self.read_order(), self.started);
        let begin = move |db: &_| {
            let patients = plans.into_iter().map(|plan| {
                let rest = backfill::start_or_resume(db, plan.patient, &name, range, order, now)?;
                Ok(PatientBackfill { plan, rest })
            });
            patients.collect()
        };
        self.write(begin).await
    }

    /// Reads the next slice of each patient, several patients at a time. Patients who are finished or in
    /// error leave the list.
    async fn read_next_slices(
        &self,
        patients: &mut Vec<PatientBackfill>,
        backfill: &BackfillRequest,
        summary: &mut PollSummary,
    ) -> Option<TurnError> {
        let mut turns = futures_util::stream::iter(std::mem::take(patients))
            .map(|patient| async move {
                let (slice, rest) = self.split_slice(patient.rest);
                let read = self.read_slice(&patient.plan, slice, rest, backfill);
                let turn = self.unless_stopped(read).await;
                (patient, rest, turn)
            })
            .buffer_unordered(self.concurrency);
        while let Some((mut patient, rest, turn)) = turns.next().await {
            summary.add(&patient.plan, &turn);
            if turn.ends_tick() {
                return turn.error;
            }
            if !turn.is_unfinished {
                patient.rest = rest;
            }
            if turn.error.is_none() && patient.rest.from < patient.rest.until {
                patients.push(patient);
            }
        }
        None
    }

    /// Returns the range to read for a backfill. In raw mode it ends now: an object holds samples from before
    /// it was stored, so any later day may hold requested samples.
    pub(crate) fn range_to_read(&self, backfill: &BackfillRequest) -> Interval {
        let until = match self.mode {
            IngestMode::Normalized => backfill.range.until.min(self.started),
            IngestMode::Raw => self.started,
        };
        Interval { until, ..backfill.range }
    }

    /// Reads one slice, and stores `rest` as what remains of the backfill.
    async fn read_slice(
        &self,
        plan: &PatientPlan,
        slice: Interval,
        rest: Interval,
        backfill: &BackfillRequest,
    ) -> Turn {
        let mut turn = self.read_range(plan, ReadRange::Requested(slice)).await;
        if turn.ends_tick() {
            return turn;
        }
        let recorded = async {
            if turn.error.is_some() || !turn.unread_objects.is_empty() {
                self.record_turn(plan, &turn, RareReads::default()).await?;
            }
            // If objects of the slice are left, the next round continues with the same slice.
            if turn.is_complete() {
                let (patient, name, order) = (plan.patient, self.backfill_name(backfill), self.read_order());
                self.write(move |db| backfill::advance(db, patient, &name, rest, order)).await?;
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = recorded.await {
            turn.error = Some(error.into());
        }
        if !turn.is_unfinished {
            self.progress.slices_done.add(1);
        }
        turn
    }

    /// Returns the stored name of a backfill. It differs by mode, since each mode reads the past for itself.
    fn backfill_name(&self, backfill: &BackfillRequest) -> String {
        match self.mode {
            IngestMode::Normalized => backfill.name.clone(),
            IngestMode::Raw => format!("raw {}", backfill.name),
        }
    }

    /// Returns the order of slices. Of payloads the newest is read first and wins; older ones only fill gaps.
    fn read_order(&self) -> ReadOrder {
        match self.mode {
            IngestMode::Normalized => ReadOrder::OldestFirst,
            IngestMode::Raw => ReadOrder::NewestFirst,
        }
    }

    /// Splits the next slice off a range; returns the slice and the rest.
    fn split_slice(&self, range: Interval) -> (Interval, Interval) {
        match self.read_order() {
            ReadOrder::OldestFirst => {
                let slice = slices(range).next().unwrap_or(range);
                (slice, Interval { from: slice.until, ..range })
            }
            ReadOrder::NewestFirst => {
                let from = range.until.minus(SLICE).max(range.from);
                (Interval { from, ..range }, Interval { until: from, ..range })
            }
        }
    }
}
