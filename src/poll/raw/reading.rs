use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::common::time::Timestamp;
use crate::model::bucket_day::{Day, UNDATED};
use crate::model::catalog::endpoint::{ENDPOINTS, Endpoint};
use crate::poll::patient_turn::Turn;
use crate::poll::poller::Context;
use crate::poll::progress::Progress;
use crate::poll::raw::consented_series::Consented;
use crate::poll::raw::days::{Span, days};
use crate::poll::raw::turn_budget::Budget;
use crate::poll::sweep_schedule;
use crate::poll::turn_error::TurnError;
use crate::poll::windows::Reach;
use crate::raw::body_error::BodyError;
use crate::raw::client::Bucket;
use crate::raw::error::RawError;
use crate::raw::key::Place;
use crate::store::error::StoreError;
use crate::store::operations::poll_plan::{Due, Wanted as Type};
use crate::store::samples::commit::Batch;
use crate::store::samples::raw_object::{Note, Object, State};
use crate::store::samples::{raw_object, stream};

/// What is read with, and what came of it.
pub(crate) struct Reading<'a> {
    pub(crate) context: &'a Context,
    pub(crate) bucket: &'a Bucket,
    pub(crate) due: &'a Due,
    /// The types that the patient consents to and payloads tell of.
    pub(crate) wanted: Vec<Type>,
    pub(crate) progress: &'a Progress,
    pub(crate) reach: Reach,
    pub(crate) turn: Turn,
    pub(crate) budget: Budget,
    /// The day of the newest object that was read before this turn: what is older comes late.
    pub(crate) newest_day: Option<Day>,
    /// Newest sample time in the objects that were read.
    pub(crate) newest: Option<Timestamp>,
    /// Whether others that were stored after the object at hand may have been read.
    pub(crate) is_late: bool,
    /// Samples of the object at hand that consent does not cover.
    pub(crate) withheld: u64,
    /// Objects in a row that could not be read, and may be later: not noted before it is clear that it is they, and not
    /// the bucket.
    pub(crate) passing: Vec<Object>,
    /// What is to be noted of objects.
    pub(crate) notes: Vec<Note>,
}

impl Reading<'_> {
    pub(crate) async fn read(&mut self) -> Result<(), TurnError> {
        let span = days(&self.wanted, self.reach, self.context.started);
        let link = self.due.link;
        self.newest_day = self.context.poller.store.read(move |db| raw_object::newest_read(db, link)).await?;
        for place in self.places(&span) {
            self.read_place(&place).await?;
            if self.turn.is_unfinished {
                self.settle_passing();
                return self.hold(&span).await;
            }
        }
        if let Reach::Recent { at_least, .. } = self.reach {
            self.try_again(&span).await?;
            self.settle_passing();
            self.write_notes().await?;
            if self.turn.is_unfinished {
                return Ok(());
            }
            if at_least >= Some(sweep_schedule::WIDE) {
                let day = *span.days.start();
                self.write(move |db| raw_object::forget_before(db, link, day)).await?;
            }
        }
        self.settle_passing();
        self.move_marks(&span).await
    }

    /// Where objects are looked for, in the order in which that is done: what stands under no date, and is of an older
    /// OW; then the days of which nothing newer was read, in order; then the older ones, the newest first.
    fn places(&self, span: &Span) -> Vec<Place> {
        let user = &self.due.ow_user;
        let layout = &self.bucket.layout;
        let endpoints = ENDPOINTS.iter().filter(|endpoint| !self.consented(endpoint).is_empty());
        let undated = if span.has_undated { layout.undated(user, endpoints) } else { Vec::new() };
        let (late, in_order): (Vec<Day>, Vec<Day>) =
            Day::all(span.days.clone()).partition(|day| self.newest_day > Some(*day));
        let days = in_order.into_iter().chain(late.into_iter().rev());
        undated.into_iter().chain(days.map(|day| layout.of_day(day, user))).collect()
    }

    async fn read_place(&mut self, place: &Place) -> Result<(), TurnError> {
        let mut in_order = self.list_place(place).await?;
        while let Some(((when, key), wanted)) = in_order.pop_first() {
            if !self.budget.spend(self.context.poller.clock.now()) {
                self.turn.is_unfinished = true;
                return Ok(());
            }
            self.is_late = matches!(when, When::Late(_));
            let another = in_order.last_key_value().map(|((_, key), _)| key.as_str());
            self.read_object(place.day, &key, wanted, another).await?;
        }
        Ok(())
    }

    /// Tries the failed objects of days that were not listed.
    async fn try_again(&mut self, span: &Span) -> Result<(), TurnError> {
        let link = self.due.link;
        let failed =
            self.context.poller.store.read(move |db| raw_object::failed(db, link, TRIED_AGAIN)).await?;
        let was_listed = |day| if day == UNDATED { span.has_undated } else { span.days.contains(&day) };
        let now = self.context.started;
        let mut due: Vec<Object> =
            failed.into_iter().filter(|object| object.is_due(now) && !was_listed(object.day)).collect();
        due.sort_by_key(|object| std::cmp::Reverse(object.day));
        self.is_late = true;
        let key = |object: &Object| self.bucket.layout.key(object.day, &self.due.ow_user, &object.name);
        let last = due.last().map(key);
        let due: Vec<(String, Object)> = due.into_iter().map(|object| (key(&object), object)).collect();
        for (key, object) in due {
            if !self.budget.spend(self.context.poller.clock.now()) {
                self.turn.is_unfinished = true;
                return Ok(());
            }
            let (name, etag) = (object.name.clone(), object.etag.clone());
            let another = last.as_deref().filter(|last| *last != key);
            self.read_object(object.day, &key, Wanted { name, etag, before: Some(object) }, another).await?;
        }
        Ok(())
    }

    /// Reads an object, and notes what became of it. Its own trouble is no error of the turn. `another` is one that is
    /// read later, where there is one.
    async fn read_object(
        &mut self,
        day: Day,
        key: &str,
        wanted: Wanted,
        another: Option<&str>,
    ) -> Result<(), TurnError> {
        let Wanted { name, etag, before } = wanted;
        // Another content may be of another endpoint.
        let same = before.as_ref().filter(|object| object.etag == etag);
        let endpoint = same.and_then(|object| object.endpoint.clone());
        let noted = self.context.poller.clock.now();
        let mut object = Object { day, name, etag, state: State::Read, endpoint, error: None, noted };
        self.withheld = 0;
        let (why, is_passing) = match self.take_in(key, &mut object).await {
            Ok(()) => {
                self.settle_passing();
                return self.write_many_notes().await;
            }
            Err(Unread::Turn(error)) => return Err(error),
            Err(Unread::Missing) => match before {
                Some(before) if before.state == State::Failed => {
                    self.lose(&before);
                    return self.write_many_notes().await;
                }
                _ => ("it was listed, and was gone before it could be read (404)".to_owned(), false),
            },
            Err(Unread::Object(why)) => (why, false),
            Err(Unread::Passing(why)) => (why, true),
        };
        let failed = Object { state: State::Failed, error: Some(why.clone()), ..object };
        if !is_passing {
            self.settle_passing();
            self.turn.told.failed(key, &why);
            self.notes.push(Note::Put(failed));
            return self.write_many_notes().await;
        }
        self.passing.push(failed);
        if self.passing.len() < PASSING {
            return Ok(());
        }
        let is_served = match another {
            Some(another) => self.is_served(another).await,
            None => true,
        };
        if is_served {
            self.settle_passing();
            return Ok(());
        }
        // It is the bucket: the objects stay as they were, and come in their order once it serves again.
        self.passing.clear();
        Err(RawError::Patient(format!("{PASSING} objects in a row could not be read: {why}")).into())
    }

    /// Whether the bucket begins to hand out an object.
    async fn is_served(&self, key: &str) -> bool {
        match self.bucket.get(key).await {
            Ok(mut payload) => payload.next().await.is_ok(),
            Err(error) => !matches!(error, RawError::Passing(_) | RawError::Everybody(_)),
        }
    }

    /// The bucket serves others: it was these objects.
    pub(crate) fn settle_passing(&mut self) {
        for failed in std::mem::take(&mut self.passing) {
            let key = self.bucket.layout.key(failed.day, &self.due.ow_user, &failed.name);
            self.turn.told.failed(&key, failed.error.as_deref().unwrap_or_default());
            self.notes.push(Note::Put(failed));
        }
    }

    /// What the patient consents to of an endpoint's records.
    pub(crate) fn consented(&self, endpoint: &Endpoint) -> Consented {
        Consented::of(endpoint, &self.wanted)
    }

    /// Moves the marks once every day was read: all to the newest sample, of whichever type it is, since what was stored
    /// up to now was read for all types. What an earlier turn has kept that did not come to its end counts too: its
    /// objects are not read again.
    async fn move_marks(&mut self, span: &Span) -> Result<(), TurnError> {
        if !span.moves_marks || !self.context.is_live() {
            return Ok(());
        }
        let batch = self.batch();
        let (owner, wanted) = (batch.owner.clone(), self.wanted.clone());
        let kept = move |db: &_| {
            let newest = wanted.iter().map(|one| stream::newest(db, &owner, one.series.series_type));
            newest.collect::<Result<Vec<_>, _>>()
        };
        let is_recent = matches!(self.reach, Reach::Recent { .. });
        let kept = if is_recent { self.context.poller.store.read(kept).await? } else { Vec::new() };
        let Some(newest) = kept.into_iter().flatten().chain(self.newest).max() else { return Ok(()) };
        let newest = newest.min(span.until);
        let behind = self.wanted.iter().filter(|one| one.mark < Some(newest));
        let marks: Vec<_> = behind.map(|one| (one.series.series_type, newest)).collect();
        if !marks.is_empty() {
            self.commit_batch(Batch { marks, ..batch }, None).await?;
        }
        Ok(())
    }

    /// Where a first turn is not finished, the next one begins with the same day, however late it comes.
    async fn hold(&mut self, span: &Span) -> Result<(), TurnError> {
        if !span.moves_marks || !self.context.is_live() {
            return Ok(());
        }
        let first = span.days.start().midnight().plus(sweep_schedule::DAY).min(self.context.started);
        let unmarked = self.wanted.iter().filter(|one| one.mark.is_none());
        let marks: Vec<_> = unmarked.map(|one| (one.series.series_type, first)).collect();
        if !marks.is_empty() {
            let batch = self.batch();
            self.commit_batch(Batch { marks, ..batch }, None).await?;
        }
        Ok(())
    }

    async fn write_many_notes(&mut self) -> Result<(), TurnError> {
        if self.notes.len() < NOTES {
            return Ok(());
        }
        self.write_notes().await
    }

    /// Writes what is to be noted, in one transaction.
    pub(crate) async fn write_notes(&mut self) -> Result<(), TurnError> {
        let (link, notes) = (self.due.link, std::mem::take(&mut self.notes));
        if notes.is_empty() {
            return Ok(());
        }
        self.write(move |db| raw_object::note_all(db, link, &notes)).await
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

/// When an object is read, among those of its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum When {
    /// In the order of storing, given when that was: nothing that was stored later has been read. It corrects.
    InOrder(String),
    /// After the others, and the newest first: others that were stored after it may have been read. It only fills
    /// what is missing, so that of these too the newest wins.
    Late(Reverse<String>),
}

/// An object that has to be read.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) etag: String,
    /// As it was known until now.
    pub(crate) before: Option<Object>,
}

/// The objects of a place that have to be read, by when and by their keys.
pub(crate) type InOrder = BTreeMap<(When, String), Wanted>;

/// Why an object was not read.
pub(crate) enum Unread {
    /// The object's own trouble.
    Object(String),
    /// It may go well later; where it is like that with one after the other, it is not the objects.
    Passing(String),
    /// It is not there.
    Missing,
    /// Not the object's trouble.
    Turn(TurnError),
}

impl From<RawError> for Unread {
    fn from(error: RawError) -> Self {
        match error {
            RawError::Missing => Self::Missing,
            RawError::Object(why) => Self::Object(why),
            RawError::Passing(why) => Self::Passing(why),
            RawError::Everybody(_) | RawError::Patient(_) => Self::Turn(error.into()),
        }
    }
}

impl From<BodyError> for Unread {
    fn from(error: BodyError) -> Self {
        Self::Object(error.to_string())
    }
}

impl From<StoreError> for Unread {
    fn from(error: StoreError) -> Self {
        Self::Turn(error.into())
    }
}

/// So many objects in a row that may be read later, and one more that is not handed out either, end a patient's turn:
/// each took three tries, and the rest would keep everybody else waiting for nothing.
pub(crate) const PASSING: usize = 3;

/// Failed objects that one tick looks at, of one patient; those longest untried first.
pub(crate) const TRIED_AGAIN: u32 = 1000;

/// Notes that are written together: enough that a commit costs little, few enough that they take no memory.
pub(crate) const NOTES: usize = 1000;
