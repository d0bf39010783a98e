//! One patient's turn in a tick: every page of every window, into the store. Pages are fetched while the
//! ones before are being committed.

use std::collections::HashSet;

use crate::common::time::Timestamp;
use crate::model::catalog::series_type::{Origin, Series};
use crate::model::commit_counts::Tally;
use crate::model::consent_intervals::Interval;
use crate::model::error_kind;
use crate::model::event_census::Census;
use crate::model::stream_key::Owner;
use crate::ow::client::{Feed, LONGEST_EVENT, PageRequest};
use crate::ow::error::OwError;
use crate::ow::page::{parse as parse_page, parse_events};
use crate::poll::collect::{BATCH, Collector};
use crate::poll::poller::Context;
use crate::poll::progress::Progress;
use crate::poll::raw::unread_objects::Told;
use crate::poll::turn_error::{Failed, TurnError};
use crate::poll::windows::{Reach, Window, windows};
use crate::store::error::StoreError;
use crate::store::operations::poll_plan::Due;
use crate::store::operations::{hourly_counters, patient_status, tick_lock};
use crate::store::people::patient;
use crate::store::samples::commit;
use crate::store::samples::commit::Batch;
use crate::telemetry::metrics;

/// More pages than the densest sensor fills in one slice (7 days at one sample a second, 100 to a page):
/// past it OW is going round in circles.
const MOST_PAGES: usize = 10_000;

/// What one turn brought, also where it ended in an error.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    pub(crate) tally: Tally,
    pub(crate) error: Option<TurnError>,
    /// Objects of the bucket that could not be read.
    pub(crate) told: Told,
    /// Whether objects are left that the next turn reads: this one had its share.
    pub(crate) is_unfinished: bool,
}

impl Turn {
    /// Whose part what went wrong was.
    pub(crate) fn kind(&self) -> Option<error_kind::Kind> {
        let objects = (!self.told.is_empty()).then_some(error_kind::Kind::Object);
        self.error.as_ref().and_then(TurnError::kind).or(objects)
    }

    /// What went wrong, in one sentence.
    pub(crate) fn trouble(&self, due: &Due) -> Option<String> {
        let objects = self.told.sentence();
        match &self.error {
            None => objects,
            Some(error) => {
                let all = [Some(error.describe(due)), objects];
                Some(all.into_iter().flatten().collect::<Vec<_>>().join(". "))
            }
        }
    }

    /// How it ended.
    fn ended(&self, due: &Due) -> patient_status::Ended {
        let told = self.trouble(due);
        match (&self.error, told) {
            (None, error) => patient_status::Ended::Read { brought: self.tally.created > 0, error },
            (Some(TurnError::Ow(_) | TurnError::Parts(_)), Some(error)) => patient_status::Ended::AtOw(error),
            (Some(_), error) => patient_status::Ended::Elsewhere(error.unwrap_or_default()),
        }
    }
}

impl Context {
    /// Reads what `reach` covers, from where the mode says.
    pub(crate) async fn read_reach(&self, due: &Due, reach: Reach, progress: &Progress) -> Turn {
        match &self.bucket {
            None => self.read(due, &windows(&due.wanted, reach, self.started), progress).await,
            Some(bucket) => self.read_objects(bucket, due, reach, progress).await,
        }
    }

    /// Whether anything is written.
    pub(crate) fn is_live(&self) -> bool {
        self.lock_owner.is_some()
    }

    /// Reads windows in order. One that fails leaves those of other types be, unless all would fail alike.
    async fn read(&self, due: &Due, windows: &[Window], progress: &Progress) -> Turn {
        let mut turn = Turn::default();
        let mut failed: Vec<Failed> = Vec::new();
        for slices in windows.chunk_by(Window::goes_on_in) {
            let read = self.read_slices(due, slices, progress, &mut turn.tally, &mut failed).await;
            if let Err(error) = read {
                turn.error = Some(error);
                return turn;
            }
        }
        turn.error = (!failed.is_empty()).then_some(TurnError::Parts(failed));
        turn
    }

    /// Reads the slices of one range. What is measured rarely has a mark of long ago, and one page may hold all of it:
    /// then that one request is enough.
    async fn read_slices(
        &self,
        due: &Due,
        slices: &[Window],
        progress: &Progress,
        tally: &mut Tally,
        failed: &mut Vec<Failed>,
    ) -> Result<(), TurnError> {
        let whole = Window::whole(slices);
        for (window, is_whole) in
            whole.iter().map(|whole| (whole, true)).chain(slices.iter().map(|one| (one, false)))
        {
            if failed.iter().any(|one| one.holds_up(window)) {
                continue;
            }
            match self.read_window(due, window, progress, tally, is_whole).await {
                Ok(is_read) if is_whole && is_read => break,
                Ok(_) => {}
                Err(error) => failed.push(Failed::of(window, error)?),
            }
        }
        Ok(())
    }

    /// Reads a window; answers whether it was read: where it is to be `one_page` and is more, it was not.
    async fn read_window(
        &self,
        due: &Due,
        window: &Window,
        progress: &Progress,
        tally: &mut Tally,
        one_page: bool,
    ) -> Result<bool, TurnError> {
        let mut collector = Collector::new(&window.series, &due.zone);
        let feed = feed(&window.series);
        let mut ready: Option<Batch> = None;
        let mut cursors = Cursors::default();
        loop {
            let request = PageRequest {
                user: &due.ow_user,
                feed: &feed,
                range: window.range,
                cursor: cursors.current(),
            };
            let fetch = self.fetch(&request, &mut collector);
            let (fetched, committed) = tokio::join!(fetch, self.commit(ready.take()));
            *tally += committed?;
            let next = match fetched.and_then(|next| cursors.accept(next)) {
                Ok(next) => next,
                Err(error) => {
                    // What came before the trouble is good; the mark stays where it is. Not so of events: whether one
                    // has taken the place of another is known after the last page.
                    if matches!(feed, Feed::Timeseries(_)) {
                        *tally += self.commit(Some(self.batch(due, &mut collector, false))).await?;
                    }
                    return Err(error.into());
                }
            };
            if one_page && next {
                return Ok(false);
            }
            progress.read(collector.take_unreported());
            // Of events the newest come first, and whether one is gone is known after the last: they are few.
            if next && (collector.waiting() < BATCH || !matches!(feed, Feed::Timeseries(_))) {
                continue;
            }
            let mut batch = self.batch(due, &mut collector, !next);
            if !next {
                batch.marks = self.marks(window, &collector);
                batch.census = Some(census(window, &mut collector));
                *tally += self.commit(Some(batch)).await?;
                return Ok(true);
            }
            ready = Some(batch);
        }
    }

    /// Fetches one page into the collector; answers where the next one begins.
    async fn fetch(
        &self,
        request: &PageRequest<'_>,
        collector: &mut Collector,
    ) -> Result<Option<String>, OwError> {
        let body = self.client.page(request).await?;
        if let Feed::Timeseries(_) = request.feed {
            let page = parse_page(&body)?;
            collector.add(&page);
            return Ok(page.next_cursor);
        }
        let page = parse_events(&body)?;
        collector.add_events(&page, request.range);
        Ok(page.next_cursor)
    }

    fn batch(&self, due: &Due, collector: &mut Collector, is_last: bool) -> Batch {
        let (parts, rejected) = collector.take(is_last);
        Batch {
            fills_only: false,
            census: None,
            owner: Owner { patient: due.patient, subject: due.subject.clone(), system: self.mode.system() },
            link: due.link,
            mode: self.mode.as_str(),
            parts,
            rejected,
            marks: Vec::new(),
        }
    }

    /// What may be said once all of a window is kept.
    fn marks(&self, window: &Window, collector: &Collector) -> Vec<(&'static str, Timestamp)> {
        let marks = collector.newest().iter().filter(|_| window.moves_marks);
        marks.map(|(series_type, newest)| (*series_type, (*newest).min(self.started))).collect()
    }

    async fn commit(&self, batch: Option<Batch>) -> Result<Tally, StoreError> {
        let Some(batch) = batch else { return Ok(Tally::default()) };
        let store = &self.poller.store;
        let Some(owner) = self.lock_owner.clone() else {
            return store.read(move |db| commit::preview(db, &batch)).await;
        };
        let now = self.poller.clock.now();
        let committed = store.write(move |db| commit::commit(db, &batch, &owner, now)).await?;
        metrics::kept(&committed);
        Ok(committed.tally)
    }

    /// Notes how a turn ended, for the pages; a dry run notes nothing.
    pub(crate) async fn note(
        &self,
        due: &Due,
        turn: &Turn,
        reads: patient_status::Reads,
    ) -> Result<(), StoreError> {
        if !self.is_live() {
            return Ok(());
        }
        let (who, link, now) = (due.patient, due.link, self.poller.clock.now());
        let gone = matches!(turn.error, Some(TurnError::Ow(OwError::UnknownUser)));
        let (ended, kind) = (turn.ended(due), turn.kind());
        kind.into_iter().for_each(metrics::failed);
        let note = move |db: &_| {
            if gone {
                patient::needs_relink(db, link)?;
            }
            if let Some(kind) = kind {
                hourly_counters::note_error(db, now, kind)?;
            }
            patient_status::note_turn(db, who, &ended, reads, now)
        };
        self.write(note).await
    }

    /// Writes something, as long as this tick holds the lock.
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

/// Where OW tells of these rows of the catalogue, which share their answers.
fn feed(series: &[&'static Series]) -> Feed {
    match series.first().map(|series| series.origin) {
        Some(Origin::Sleep) => Feed::Sleep,
        Some(Origin::Workouts) => Feed::Workouts,
        Some(Origin::Activity) => Feed::Activity,
        Some(Origin::Timeseries(_)) | None => {
            Feed::Timeseries(series.iter().flat_map(|series| series.types()).copied().collect())
        }
    }
}

/// Which events OW has, after the last page of a window. OW was asked for more than the window's own.
fn census(window: &Window, collector: &mut Collector) -> Census {
    let Interval { from, until } = window.range;
    Census { within: Interval { from, until: until.plus(LONGEST_EVENT) }, ids: collector.take_shown() }
}

/// The cursors of one window, to notice when they go round in circles.
#[derive(Debug, Default)]
pub(crate) struct Cursors {
    seen: HashSet<String>,
    current: Option<String>,
}

impl Cursors {
    pub(crate) fn current(&self) -> Option<&str> {
        self.current.as_deref()
    }

    /// Takes the next cursor; answers whether there is one.
    pub(crate) fn accept(&mut self, next: Option<String>) -> Result<bool, OwError> {
        let Some(next) = next else { return Ok(false) };
        if !self.seen.insert(next.clone()) || self.seen.len() > MOST_PAGES {
            return Err(OwError::Wrong("OW's pages repeat: the same cursor came twice".to_owned()));
        }
        self.current = Some(next);
        Ok(true)
    }
}
