//! One patient's turn in a tick: reads each window page by page and commits the samples. The next page is
//! fetched while the last one is being committed.

use std::collections::HashSet;

use crate::model::catalog::series_type::{OwEndpoint, SeriesType};
use crate::model::{commit_counts::CommitCounts, consent_intervals::Interval, error_kind::ErrorKind};
use crate::model::{event_census::EventCensus, stream_key::StreamOwner};
use crate::ow::client::{Feed, LONGEST_EVENT, PageRequest};
use crate::ow::error::OwError;
use crate::ow::page::{parse_events, parse_timeseries};
use crate::poll::collect::{BATCH, Collector};
use crate::poll::turn_error::{FailedWindow, TurnError};
use crate::poll::windows::{ReadRange, Window, windows};
use crate::poll::{poller::TickContext, raw::unread_objects::UnreadObjects};
use crate::store::error::StoreError;
use crate::store::operations::patient_status::{self, RareReads, TurnResult};
use crate::store::operations::poll_plan::PatientPlan;
use crate::store::operations::{hourly_counters, tick_lock};
use crate::store::people::{consent, patient};
use crate::store::samples::commit::{self, Batch};
use crate::telemetry::metrics;

/// More pages than the densest sensor fills in one slice (7 days at one sample a second, 100 to a page).
/// After that many OW's pages must be repeating.
const MAX_PAGES: usize = 10_000;

/// The result of one turn, also of one that ended in an error.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    pub(crate) counts: CommitCounts,
    pub(crate) error: Option<TurnError>,
    pub(crate) unread_objects: UnreadObjects,
    /// True if the turn's budget ended before the objects did: the next turn continues.
    pub(crate) is_unfinished: bool,
}

impl Turn {
    pub(crate) fn is_complete(&self) -> bool {
        self.error.is_none() && !self.is_unfinished
    }

    pub(crate) fn ends_tick(&self) -> bool {
        self.error.as_ref().is_some_and(TurnError::ends_tick)
    }

    fn error_kind(&self) -> Option<ErrorKind> {
        let objects = (!self.unread_objects.is_empty()).then_some(ErrorKind::Object);
        self.error.as_ref().and_then(TurnError::kind).or(objects)
    }

    /// Returns everything that went wrong, in one text.
    pub(crate) fn error_text(&self, plan: &PatientPlan) -> Option<String> {
        let error = self.error.as_ref().map(|error| error.describe(plan));
        let texts: Vec<String> = error.into_iter().chain(self.unread_objects.sentence()).collect();
        (!texts.is_empty()).then(|| texts.join(". "))
    }
}

impl TickContext {
    /// Reads `range` from OW or, in raw mode, from the bucket.
    pub(crate) async fn read_range(&self, plan: &PatientPlan, range: ReadRange) -> Turn {
        match &self.bucket {
            None => self.read_windows(plan, &windows(&plan.series, range, self.started)).await,
            Some(bucket) => self.read_objects(bucket, plan, range).await,
        }
    }

    /// Returns whether this tick writes; a dry run does not.
    pub(crate) fn is_live(&self) -> bool {
        self.lock_owner.is_some()
    }

    /// Reads windows in order. A window that fails does not stop those of other types, unless all would fail
    /// alike.
    async fn read_windows(&self, plan: &PatientPlan, windows: &[Window]) -> Turn {
        let mut turn = Turn::default();
        let mut failed: Vec<FailedWindow> = Vec::new();
        for slices in windows.chunk_by(Window::is_followed_by) {
            if let Err(error) = self.read_slices(plan, slices, &mut turn.counts, &mut failed).await {
                turn.error = Some(error);
                return turn;
            }
        }
        turn.error = (!failed.is_empty()).then_some(TurnError::Windows(failed));
        turn
    }

    async fn read_slices(
        &self,
        plan: &PatientPlan,
        slices: &[Window],
        counts: &mut CommitCounts,
        failed: &mut Vec<FailedWindow>,
    ) -> Result<(), TurnError> {
        // The mark of a type that is measured rarely, such as weight, lies far back. The first page may well
        // hold its whole range: one request then saves one per slice.
        let joined = Window::join(slices);
        for (window, one_page) in
            joined.iter().map(|joined| (joined, true)).chain(slices.iter().map(|one| (one, false)))
        {
            if failed.iter().any(|failed| failed.blocks(window)) {
                continue;
            }
            match self.read_window(plan, window, counts, one_page).await {
                Ok(is_read) if one_page && is_read => break,
                Ok(_) => {}
                Err(error) => failed.push(FailedWindow::new(window, error)?),
            }
        }
        Ok(())
    }

    /// Reads a window. With `one_page`, gives up a window of several pages after the first, and returns
    /// false.
    async fn read_window(
        &self,
        plan: &PatientPlan,
        window: &Window,
        counts: &mut CommitCounts,
        one_page: bool,
    ) -> Result<bool, TurnError> {
        let mut collector = Collector::new(&window.series, &plan.zone, self.started);
        let feed = feed(&window.series);
        let is_timeseries = matches!(feed, Feed::Timeseries(_));
        let batch = |collector: &mut Collector, is_last: bool| {
            let (streams, rejected) = collector.take_batch(is_last);
            Batch { streams, rejected, ..self.empty_batch(plan) }
        };
        let mut ready: Option<Batch> = None;
        let mut cursors = CursorTracker::default();
        loop {
            let request = PageRequest {
                user: &plan.ow_user,
                feed: &feed,
                range: window.range,
                cursor: cursors.current(),
            };
            let fetch = async {
                self.check_consent(plan).await?;
                Ok::<_, StoreError>(self.fetch_page(&request, &mut collector).await)
            };
            let (fetched, committed) = tokio::join!(fetch, self.commit(ready.take()));
            *counts += committed?;
            let fetched = fetched?;
            let has_next = match fetched.and_then(|next| cursors.accept(next)) {
                Ok(has_next) => has_next,
                Err(error) => {
                    // Samples before the error are good, and the mark stays where it is. Events are dropped:
                    // the last page decides whether one of them has replaced another.
                    if is_timeseries {
                        *counts += self.commit(Some(batch(&mut collector, false))).await?;
                    }
                    return Err(error.into());
                }
            };
            if one_page && has_next {
                return Ok(false);
            }
            self.progress.samples.add(collector.take_uncounted());
            // Events are few and come newest first; only after the last page is it known which of them are
            // gone. So all events of a window are committed together.
            if has_next && (collector.pending() < BATCH || !is_timeseries) {
                continue;
            }
            let next_batch = batch(&mut collector, !has_next);
            if !has_next {
                let newest = collector.newest().iter().filter(|_| window.moves_marks);
                // A sample time in the future, of a device whose clock is ahead, must not hide later samples.
                let marks = newest.map(|(name, newest)| (*name, (*newest).min(self.started))).collect();
                // The pages hold all events up to this time, which is after the window: OW filters by their
                // ends.
                let within = Interval { until: window.range.until.plus(LONGEST_EVENT), ..window.range };
                let census = Some(EventCensus { within, ids: collector.take_event_ids() });
                *counts += self.commit(Some(Batch { census, marks, ..next_batch })).await?;
                return Ok(true);
            }
            ready = Some(next_batch);
        }
    }

    /// Fails if a grant that the plan rests on has ended since: no further page is fetched.
    async fn check_consent(&self, plan: &PatientPlan) -> Result<(), StoreError> {
        let patient = plan.patient;
        let active = self.poller.store.read(move |db| consent::list_active_grants(db, patient)).await?;
        let is_active = plan.grants.iter().all(|grant| active.contains(grant));
        if is_active { Ok(()) } else { Err(StoreError::ConsentEnded) }
    }

    /// Fetches one page into the collector; returns the cursor of the next one.
    async fn fetch_page(
        &self,
        request: &PageRequest<'_>,
        collector: &mut Collector,
    ) -> Result<Option<String>, OwError> {
        let body = self.client.fetch_page(request).await?;
        if let Feed::Timeseries(_) = request.feed {
            let page = parse_timeseries(&body)?;
            collector.add(&page);
            return Ok(page.next_cursor);
        }
        let page = parse_events(&body)?;
        collector.add_events(&page, request.range);
        Ok(page.next_cursor)
    }

    pub(crate) fn empty_batch(&self, plan: &PatientPlan) -> Batch {
        let &PatientPlan { patient, link, ref subject, ref zone, .. } = plan;
        let (streams, rejected, deleted, marks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let owner = StreamOwner { patient, subject: subject.clone(), system: self.mode.system() };
        Batch {
            owner,
            link,
            zone: zone.clone(),
            mode: self.mode.as_str(),
            streams,
            rejected,
            deleted,
            insert_only: false,
            census: None,
            marks,
        }
    }

    async fn commit(&self, batch: Option<Batch>) -> Result<CommitCounts, StoreError> {
        let Some(batch) = batch else { return Ok(CommitCounts::default()) };
        self.commit_with(batch, |_, _| Ok(())).await
    }

    /// Commits a batch, and in the same transaction the writes of `more`. A dry run writes nothing and counts
    /// only.
    pub(crate) async fn commit_with(
        &self,
        batch: Batch,
        more: impl FnOnce(&rusqlite::Connection, CommitCounts) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<CommitCounts, StoreError> {
        let store = &self.poller.store;
        let Some(owner) = self.lock_owner.clone() else {
            return store.read(move |db| commit::preview(db, &batch)).await;
        };
        let now = self.poller.clock.now();
        let commit = move |db: &_| {
            let committed = commit::commit(db, &batch, &owner, now)?;
            more(db, committed.total)?;
            Ok(committed)
        };
        let committed = store.write(commit).await?;
        metrics::count_samples(&committed);
        Ok(committed.total)
    }

    /// Records how a turn ended, for the pages; a dry run records nothing.
    pub(crate) async fn record_turn(
        &self,
        plan: &PatientPlan,
        turn: &Turn,
        reads: RareReads,
    ) -> Result<(), StoreError> {
        if !self.is_live() {
            return Ok(());
        }
        let (patient, link, now) = (plan.patient, plan.link, self.poller.clock.now());
        let is_unknown = matches!(turn.error, Some(TurnError::Ow(OwError::UnknownUser)));
        let result = match (&turn.error, turn.error_text(plan)) {
            (None, error) => TurnResult::Read { has_new_samples: turn.counts.created > 0, error },
            (Some(TurnError::Ow(_) | TurnError::Windows(_)), Some(error)) => TurnResult::FailedAtOw(error),
            (Some(_), error) => TurnResult::FailedElsewhere(error.unwrap_or_default()),
        };
        let kind = turn.error_kind();
        kind.into_iter().for_each(metrics::count_error);
        let record = move |db: &_| {
            if is_unknown {
                patient::mark_needs_relink(db, link)?;
            }
            if let Some(kind) = kind {
                hourly_counters::record_error(db, now, kind)?;
            }
            patient_status::record_turn(db, patient, &result, reads, now)
        };
        self.write(record).await
    }

    /// Runs `work` in a write transaction, after a check that this tick still holds the lock.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let owner = self.lock_owner.clone().ok_or(StoreError::LockLost)?;
        let now = self.poller.clock.now();
        let fenced = move |db: &_| {
            tick_lock::check(db, &owner, now)?;
            work(db)
        };
        self.poller.store.write(fenced).await
    }
}

/// Returns the OW feed of series types that share their responses.
fn feed(series: &[&'static SeriesType]) -> Feed {
    match series.first().map(|series| series.origin) {
        Some(OwEndpoint::Sleep) => Feed::Sleep,
        Some(OwEndpoint::Workouts) => Feed::Workouts,
        Some(OwEndpoint::Activity) => Feed::Activity,
        Some(OwEndpoint::Timeseries(_)) | None => {
            Feed::Timeseries(series.iter().flat_map(|series| series.timeseries_types()).copied().collect())
        }
    }
}

/// The cursors of one window; detects pages that repeat.
#[derive(Debug, Default)]
pub(crate) struct CursorTracker {
    seen: HashSet<String>,
    current: Option<String>,
}

impl CursorTracker {
    pub(crate) fn current(&self) -> Option<&str> {
        self.current.as_deref()
    }

    /// Takes the next cursor; returns whether there is one.
    pub(crate) fn accept(&mut self, next: Option<String>) -> Result<bool, OwError> {
        let Some(next) = next else { return Ok(false) };
        if !self.seen.insert(next.clone()) || self.seen.len() > MAX_PAGES {
            return Err(OwError::Permanent("OW's pages repeat: the same cursor came twice".to_owned()));
        }
        self.current = Some(next);
        Ok(true)
    }
}
