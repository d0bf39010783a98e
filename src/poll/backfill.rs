//! A read of the past: slice by slice, the lock let go in between so that ticks are not kept waiting,
//! and each patient's progress kept, so that one that was killed goes on where it was.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;

use crate::common::failure::Failure;
use crate::config::settings::{IngestMode, Snapshot};
use crate::model::consent_intervals::Interval;
use crate::poll::patient_turn::Turn;
use crate::poll::poller::{Ask, Context, Past, Poller};
use crate::poll::progress::Progress;
use crate::poll::take_lock::{Entry, skipped};
use crate::poll::tick::{Outcome, Summary, outcome};
use crate::poll::turn_error::TurnError;
use crate::poll::windows::{Reach, SLICE, slices};
use crate::store::error::StoreError;
use crate::store::operations::backfill::From;
use crate::store::operations::patient_status::Reads;
use crate::store::operations::poll_plan::Due;
use crate::store::operations::tick_lock::{Hold, Kind};
use crate::store::operations::{backfill, tick_lock};

/// How long the lock is free between two slices where a tick waits: it looks several times in it.
const GAP: Duration = Duration::from_secs(1);

/// A patient's part in a backfill.
struct Job {
    due: Due,
    /// What is left to read.
    rest: Interval,
}

impl Poller {
    pub(crate) async fn backfill(
        &self,
        ask: &Ask,
        past: &Past,
        settings: &Snapshot,
        progress: &Arc<Progress>,
    ) -> Result<Outcome, Failure> {
        let mut context = self.context(settings, None).await?;
        let mut summary = Summary::new(context.mode, false);
        // The first slice steps aside for a running tick, as a tick would; later ones wait their turn.
        let mut hold = match self.enter(Kind::Backfill, Duration::ZERO).await? {
            Entry::Held(since) => return Ok(Outcome::Held(skipped(&since))),
            Entry::Taken(hold) => Some(hold),
        };
        context.lock_owner = hold.as_ref().map(|hold| hold.owner().to_owned());
        let all = context.patients(ask, &mut summary).await?;
        let ended = context.rounds(&mut hold, all, past, &mut summary, progress).await;
        if let Some(hold) = hold {
            self.leave(hold).await?;
        }
        outcome(summary, ended?)
    }
}

impl Context {
    /// Reads slice after slice; answers with what stopped it, if anything.
    async fn rounds(
        &mut self,
        hold: &mut Option<Hold>,
        all: Vec<Due>,
        past: &Past,
        summary: &mut Summary,
        progress: &Progress,
    ) -> Result<Option<TurnError>, StoreError> {
        let run = self.begin_run(Kind::Backfill).await?;
        let mut jobs = self.jobs(all, past).await?;
        progress.expect(jobs.len(), jobs.iter().map(|job| slices(job.rest).count()).sum());
        let stopped = loop {
            let stopped = self.round(&mut jobs, past, summary, progress).await;
            if stopped.is_some() || jobs.is_empty() {
                break stopped;
            }
            if !self.let_others_in(hold, run).await? {
                break Some(StoreError::LockLost.into());
            }
        };
        self.end_run(Kind::Backfill, run, summary, stopped.as_ref()).await;
        Ok(stopped)
    }

    /// Lets go of the lock and takes it again; answers whether that was possible. A lock that has not moved
    /// for as long as this waits counts as left behind.
    async fn let_others_in(&mut self, hold: &mut Option<Hold>, run: Option<i64>) -> Result<bool, StoreError> {
        if let Some(hold) = hold.take()
            && self.poller.leave(hold).await?
        {
            tokio::time::sleep(GAP).await;
        }
        match self.poller.enter(Kind::Backfill, tick_lock::STALE).await? {
            Entry::Held(_) => Ok(false),
            Entry::Taken(next) => {
                self.lock_owner = Some(next.owner().to_owned());
                *hold = Some(next);
                if let Some(run) = run {
                    self.write(move |db| tick_lock::set_run(db, run)).await?;
                }
                Ok(true)
            }
        }
    }

    /// Each patient's part; what an earlier backfill of the same question has read is left out.
    async fn jobs(&self, all: Vec<Due>, past: &Past) -> Result<Vec<Job>, StoreError> {
        let range = self.asked(past);
        let (asked, from, now) = (self.question(past), self.from(), self.started);
        let begin = move |db: &_| {
            let jobs = all.into_iter().map(|due| {
                let rest = backfill::begin(db, due.patient, &asked, range, from, now)?;
                Ok(Job { due, rest })
            });
            jobs.collect()
        };
        self.write(begin).await
    }

    /// Reads the next slice of every patient, several patients at a time; those who are done, or in error,
    /// leave the list.
    async fn round(
        &self,
        jobs: &mut Vec<Job>,
        past: &Past,
        summary: &mut Summary,
        progress: &Progress,
    ) -> Option<TurnError> {
        let mut turns = futures_util::stream::iter(std::mem::take(jobs))
            .map(|job| async move {
                let slice = self.next_slice(job.rest);
                let turn = self.unless_stopped(self.slice(&job, slice, past, progress)).await;
                (job, slice, turn)
            })
            .buffer_unordered(self.concurrency);
        while let Some((mut job, slice, turn)) = turns.next().await {
            summary.add(&job.due, &turn);
            if turn.error.as_ref().is_some_and(TurnError::ends_tick) {
                return turn.error;
            }
            if !turn.is_unfinished {
                job.rest = self.after(job.rest, slice);
            }
            if turn.error.is_none() && job.rest.from < job.rest.until {
                jobs.push(job);
            }
        }
        None
    }

    /// The time that is read. An object holds samples from before it was stored: in raw mode every day up to now
    /// may hold what was asked for.
    pub(crate) fn asked(&self, past: &Past) -> Interval {
        let until = match self.mode {
            IngestMode::Normalized => past.range.until.min(self.started),
            IngestMode::Raw => self.started,
        };
        Interval { until, ..past.range }
    }

    async fn slice(&self, job: &Job, slice: Interval, past: &Past, progress: &Progress) -> Turn {
        let mut turn = self.read_reach(&job.due, Reach::Asked(slice), progress).await;
        let noted = match &turn.error {
            Some(error) if error.ends_tick() => return turn,
            Some(_) => self.note(&job.due, &turn, Reads::default()).await,
            None if !turn.told.is_empty() => match self.note(&job.due, &turn, Reads::default()).await {
                Ok(()) => self.advance(job, past, slice, &turn).await,
                Err(error) => Err(error),
            },
            None => self.advance(job, past, slice, &turn).await,
        };
        if let Err(error) = noted {
            turn.error = Some(error.into());
        }
        if !turn.is_unfinished {
            progress.slice_done();
        }
        turn
    }

    /// A slice that had its share of objects, and has more, is read on in the next round.
    async fn advance(&self, job: &Job, past: &Past, slice: Interval, turn: &Turn) -> Result<(), StoreError> {
        if turn.is_unfinished {
            return Ok(());
        }
        let (patient, asked, from) = (job.due.patient, self.question(past), self.from());
        let rest = self.after(job.rest, slice);
        self.write(move |db| backfill::advance(db, patient, &asked, rest, from)).await
    }

    /// Under which name a backfill is resumed: what one mode has read, the other has not.
    fn question(&self, past: &Past) -> String {
        match self.mode {
            IngestMode::Normalized => past.asked.clone(),
            IngestMode::Raw => format!("raw {}", past.asked),
        }
    }

    /// Of the payloads the newest come first, and the older ones only fill: what was stored later stands.
    fn from(&self) -> From {
        match self.mode {
            IngestMode::Normalized => From::Oldest,
            IngestMode::Raw => From::Newest,
        }
    }

    fn next_slice(&self, rest: Interval) -> Interval {
        match self.from() {
            From::Oldest => slices(rest).next().unwrap_or(rest),
            From::Newest => Interval { from: rest.until.minus(SLICE).max(rest.from), ..rest },
        }
    }

    fn after(&self, rest: Interval, slice: Interval) -> Interval {
        match self.from() {
            From::Oldest => Interval { from: slice.until, ..rest },
            From::Newest => Interval { until: slice.from, ..rest },
        }
    }
}
