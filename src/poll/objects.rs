//! One patient's turn in raw mode: every page of every listing, and every object in them that is not known yet.
//!
//! An object is noted as read in the transaction that keeps its last samples. One that cannot be read is noted as
//! failed and tried again by each tick, also after the marks have moved past its day.

use std::collections::{HashMap, HashSet};

use super::days::{Span, days};
use super::payload::Unread;
use super::turn::{Turn, TurnError};
use super::windows::Reach;
use super::{Context, Progress, schedule};
use crate::catalog;
use crate::raw::{Bucket, Day, Place, RawError, UNDATED};
use crate::store::commit::Batch;
use crate::store::object::{self, Object, State};
use crate::store::plan::Due;
use crate::store::{StoreError, stream};
use crate::time::Timestamp;

/// So many objects in a row that may be read later end a patient's turn: each took three tries, and the rest would keep
/// everybody else waiting for nothing.
const PASSING: u32 = 3;
/// Failed objects that one tick tries again, of one patient; those longest untried first.
const TRIED_AGAIN: u32 = 1000;
/// More pages than the objects of a day fill in a thousand years: past it the listing goes round in circles.
const MOST_PAGES: usize = 10_000;

/// What is read with, and what came of it.
pub(super) struct Reading<'a> {
    pub(super) context: &'a Context,
    pub(super) bucket: &'a Bucket,
    pub(super) due: &'a Due,
    pub(super) progress: &'a Progress,
    pub(super) turn: Turn,
    /// Newest sample time per type in the objects that were read.
    pub(super) newest: Vec<(&'static str, Timestamp)>,
    /// Whether the object at hand failed before: others that were stored after it may have been read by now.
    pub(super) is_late: bool,
    /// How many objects in a row could not be read, and may be later.
    pub(super) passing: u32,
    /// Objects of other endpoints, which are noted together: they are most of a bucket, and a commit each costs more
    /// than to look at them.
    pub(super) others: Vec<Object>,
}

impl Context {
    /// Reads the objects of a patient that `reach` covers and that were not read before.
    pub(super) async fn read_objects(
        &self,
        bucket: &Bucket,
        due: &Due,
        reach: Reach,
        progress: &Progress,
    ) -> Turn {
        let (turn, newest, others) = (Turn::default(), Vec::new(), Vec::new());
        let mut reading = Reading {
            context: self,
            bucket,
            due,
            progress,
            turn,
            newest,
            others,
            is_late: false,
            passing: 0,
        };
        let read = reading.read(reach).await;
        // Also where the turn ends early.
        let noted = reading.note_others().await;
        reading.turn.error = read.and(noted).err();
        reading.turn
    }
}

impl Reading<'_> {
    async fn read(&mut self, reach: Reach) -> Result<(), TurnError> {
        let (layout, user) = (&self.bucket.layout, &self.due.ow_user);
        let span = days(&self.due.wanted, reach, self.context.started);
        let dated = Day::all(span.days.clone()).map(|day| layout.of_day(day, user));
        for place in dated.chain(layout.undated(user)) {
            self.read_place(&place).await?;
        }
        if let Reach::Recent { at_least, .. } = reach {
            self.try_again(&span).await?;
            if at_least >= Some(schedule::WIDE) {
                let (link, day) = (self.due.link, *span.days.start());
                self.write(move |db| object::forget_before(db, link, day)).await?;
            }
        }
        self.move_marks(&span, matches!(reach, Reach::Recent { .. })).await
    }

    /// Reads what is listed at a place, page by page: however many keys there are, a thousand are held.
    async fn read_place(&mut self, place: &Place) -> Result<(), TurnError> {
        let (mut next, mut after) = (None, None);
        for _ in 0..MOST_PAGES {
            let mut page = self.bucket.list(place, next.as_deref()).await?;
            let last_key = page.objects.last().map(|object| place.name(&object.key));
            // What was stored later corrects what was stored before; the names say nothing of that.
            page.objects.sort_by(|one, other| one.stored.cmp(&other.stored));
            let listed: Vec<(String, String, String)> = page
                .objects
                .into_iter()
                .map(|object| (place.name(&object.key), object.key, object.etag))
                .collect();
            let last = last_key.or(after.clone());
            let until = if page.next.is_some() { last.clone() } else { None };
            let (link, day, names) = (self.due.link, place.day, place.names.clone());
            let known =
                move |db: &_| object::known(db, link, day, &names, after.as_deref(), until.as_deref());
            let known = self.context.poller.store.read(known).await?;
            let by_name: HashMap<&str, &Object> =
                known.iter().map(|object| (object.name.as_str(), object)).collect();
            for (name, key, etag) in &listed {
                let before = by_name.get(name.as_str()).copied();
                if before.is_none_or(|object| is_wanted(object, etag)) {
                    self.read_object(day, name, key, etag, before).await?;
                }
            }
            let names: HashSet<&str> = listed.iter().map(|(name, ..)| name.as_str()).collect();
            // A page without keys that goes on says nothing of what is gone.
            let is_told = page.next.is_none() || last.is_some();
            for gone in known.iter().filter(|object| is_told && !names.contains(object.name.as_str())) {
                self.forget(gone).await?;
            }
            self.note_others().await?;
            match page.next {
                None => return Ok(()),
                Some(token) if next.as_ref() == Some(&token) => break,
                Some(token) => (next, after) = (Some(token), last),
            }
        }
        Err(RawError::Patient(format!("the listing of {} goes round in circles", place.prefix)).into())
    }

    /// What the bucket does not list any more is forgotten, but not without a word where it was never read.
    async fn forget(&mut self, gone: &Object) -> Result<(), TurnError> {
        let (link, day, name) = (self.due.link, gone.day, gone.name.clone());
        match gone.state {
            State::Read | State::Other => self.write(move |db| object::forget(db, link, day, &name)).await,
            State::Failed => self.lose(gone).await,
            State::Lost => Ok(()),
        }
    }

    async fn lose(&mut self, gone: &Object) -> Result<(), TurnError> {
        let before = gone.error.as_deref().unwrap_or("it could not be read");
        let error = format!("{before}; since then it has gone from the bucket, and cannot be read any more");
        let key = self.bucket.layout.key(gone.day, &self.due.ow_user, &gone.name);
        // First: it is told once only.
        self.turn.unread.insert(0, format!("{key}: {error}"));
        self.note(Object { state: State::Lost, error: Some(error), ..gone.clone() }).await
    }

    /// Tries the failed objects of days that were not listed.
    async fn try_again(&mut self, span: &Span) -> Result<(), TurnError> {
        let link = self.due.link;
        let failed = self.context.poller.store.read(move |db| object::failed(db, link, TRIED_AGAIN)).await?;
        let was_listed = |object: &&Object| span.days.contains(&object.day) || object.day == UNDATED;
        for object in failed.iter().filter(|object| !was_listed(object)) {
            let key = self.bucket.layout.key(object.day, &self.due.ow_user, &object.name);
            self.read_object(object.day, &object.name, &key, &object.etag, Some(object)).await?;
        }
        Ok(())
    }

    /// Reads an object, and notes what became of it. Its own trouble is no error of the turn.
    async fn read_object(
        &mut self,
        day: Day,
        name: &str,
        key: &str,
        etag: &str,
        before: Option<&Object>,
    ) -> Result<(), TurnError> {
        let mut object = Object {
            day,
            name: name.to_owned(),
            etag: etag.to_owned(),
            state: State::Read,
            // Another content may be of another endpoint.
            endpoint: before.filter(|object| object.etag == etag).and_then(|object| object.endpoint.clone()),
            error: None,
        };
        self.is_late = before.is_some_and(|before| before.state == State::Failed);
        let taken = self.take_in(key, &mut object).await;
        self.is_late = false;
        let mut passing = 0;
        let why = match taken {
            Ok(()) => {
                self.passing = 0;
                return Ok(());
            }
            Err(Unread::Turn(error)) => return Err(error),
            Err(Unread::Missing) => match before {
                Some(before) if before.state == State::Failed => return self.lose(before).await,
                _ => "it was listed, and was gone before it could be read (404)".to_owned(),
            },
            Err(Unread::Object(why)) => why,
            Err(Unread::Passing(why)) => {
                passing = self.passing + 1;
                why
            }
        };
        self.passing = passing;
        self.turn.unread.push(format!("{key}: {why}"));
        self.note(Object { state: State::Failed, error: Some(why.clone()), ..object }).await?;
        if self.passing < PASSING {
            return Ok(());
        }
        Err(RawError::Patient(format!("{PASSING} objects in a row could not be read: {why}")).into())
    }

    /// Moves the marks once every day was read. What an earlier turn has kept that did not come to its end counts
    /// too: its objects are not read again.
    async fn move_marks(&mut self, span: &Span, is_recent: bool) -> Result<(), TurnError> {
        if !span.moves_marks || !self.context.is_live() {
            return Ok(());
        }
        let batch = self.batch();
        let (owner, wanted) = (batch.owner.clone(), self.due.wanted.clone());
        let kept = move |db: &_| {
            let newest = wanted.iter().map(|one| stream::newest(db, &owner, one.series.series_type));
            newest.collect::<Result<Vec<_>, _>>()
        };
        let kept = if is_recent { self.context.poller.store.read(kept).await? } else { Vec::new() };
        let mut marks = Vec::new();
        for (place, wanted) in self.due.wanted.iter().enumerate() {
            let series_type = wanted.series.series_type;
            let read = self.newest.iter().find(|(name, _)| *name == series_type).map(|(_, newest)| *newest);
            let newest = read.max(kept.get(place).copied().flatten()).map(|newest| newest.min(span.until));
            if newest > wanted.mark {
                marks.extend(newest.map(|newest| (series_type, newest)));
            }
        }
        if !marks.is_empty() {
            self.commit_batch(Batch { marks, ..batch }, None).await?;
        }
        Ok(())
    }

    async fn note_others(&mut self) -> Result<(), TurnError> {
        let (link, now) = (self.due.link, self.context.poller.clock.now());
        let others = std::mem::take(&mut self.others);
        if others.is_empty() {
            return Ok(());
        }
        self.write(move |db| others.iter().try_for_each(|object| object::note(db, link, object, now))).await
    }

    pub(super) async fn note(&self, object: Object) -> Result<(), TurnError> {
        let (link, now) = (self.due.link, self.context.poller.clock.now());
        self.write(move |db| object::note(db, link, &object, now)).await
    }

    /// Writes something; a dry run does not.
    async fn write(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), TurnError> {
        if self.context.is_live() {
            self.context.write(work).await?;
        }
        Ok(())
    }
}

/// Whether an object that is known has to be read all the same: its content has changed, it was not read, or its
/// endpoint was none of ours in an earlier version.
fn is_wanted(known: &Object, etag: &str) -> bool {
    known.etag != etag
        || match known.state {
            State::Read => false,
            State::Other => known.endpoint.as_deref().and_then(catalog::endpoint).is_some(),
            State::Failed | State::Lost => true,
        }
}
