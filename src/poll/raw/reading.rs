//! Reads the objects of one patient in order, retries failed ones, and moves the marks.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::common::time::Timestamp;
use crate::model::bucket_day::{BucketDay, UNDATED};
use crate::model::catalog::endpoint::{ENDPOINTS, ProviderEndpoint};
use crate::poll::raw::days::{ListedDays, plan_days};
use crate::poll::raw::{consented_series::ConsentedSeries, turn_budget::TurnBudget};
use crate::poll::sweep_schedule;
use crate::poll::{patient_turn::Turn, poller::TickContext, turn_error::TurnError, windows::ReadRange};
use crate::raw::{body_error::BodyError, client::S3Bucket, error::RawError, key::KeyPrefix};
use crate::store::error::StoreError;
use crate::store::operations::poll_plan::{PatientPlan, SeriesPlan};
use crate::store::samples::commit::Batch;
use crate::store::samples::raw_object::{self, ObjectState, ObjectUpdate, RawObject};
use crate::store::samples::stream;

/// After this many transient failures in a row, one more object is probed; if that fails too, the bucket is
/// at fault and the turn ends. Each failure took three attempts, and the other patients wait meanwhile.
const TRANSIENT_LIMIT: usize = 3;
/// Failed objects of one patient that one tick considers, those longest untried first.
const RETRIED: u32 = 1000;
/// Object updates written in one transaction: enough that a commit costs little, few enough to keep memory
/// small.
const UPDATES: usize = 1000;
const DAY: Duration = Duration::from_hours(24);

/// Reads the objects of one turn.
pub(crate) struct ObjectReader<'a> {
    pub(crate) context: &'a TickContext,
    pub(crate) bucket: &'a S3Bucket,
    pub(crate) plan: &'a PatientPlan,
    /// Series types that payloads contain and the patient consents to.
    pub(crate) wanted: Vec<SeriesPlan>,
    pub(crate) range: ReadRange,
    pub(crate) turn: Turn,
    pub(crate) budget: TurnBudget,
    /// Day of the newest object read before this turn; objects of earlier days are late.
    pub(crate) newest_day: Option<BucketDay>,
    /// Newest sample time in the objects of this turn.
    pub(crate) newest: Option<Timestamp>,
    /// True if objects stored after the current one may have been read before it.
    pub(crate) is_late: bool,
    /// Samples of the current object that consent does not cover.
    pub(crate) withheld: u64,
    /// The last objects, each with a transient failure. They are recorded as failed only once the bucket is
    /// known to serve other objects.
    pub(crate) transient: Vec<RawObject>,
    /// Updates that are not written yet.
    pub(crate) updates: Vec<ObjectUpdate>,
}

impl ObjectReader<'_> {
    pub(crate) async fn read(&mut self) -> Result<(), TurnError> {
        let listed = plan_days(&self.wanted, self.range, self.context.started);
        let link = self.plan.link;
        let find_newest = move |db: &_| raw_object::find_newest_read(db, link);
        self.newest_day = self.context.poller.store.read(find_newest).await?;
        for prefix in self.prefixes(&listed) {
            self.read_prefix(&prefix).await?;
            if self.turn.is_unfinished {
                self.record_transient();
                return self.set_first_marks(&listed).await;
            }
        }
        if let ReadRange::Recent { at_least, .. } = self.range {
            self.retry_failed(&listed).await?;
            self.record_transient();
            self.write_updates().await?;
            if self.turn.is_unfinished {
                return Ok(());
            }
            if at_least >= Some(sweep_schedule::WIDE) {
                let day = *listed.days.start();
                self.write(move |db| raw_object::delete_before(db, link, day)).await?;
            }
        }
        self.record_transient();
        self.move_marks(&listed).await
    }

    /// Returns the prefixes to list, in order: keys without a date, which older versions of OW stored; then
    /// the days from the newest object on, in order; then earlier days, the newest first.
    fn prefixes(&self, listed: &ListedDays) -> Vec<KeyPrefix> {
        let (user, layout) = (&self.plan.ow_user, &self.bucket.layout);
        let endpoints = ENDPOINTS.iter().filter(|endpoint| !self.consented(endpoint).is_empty());
        let undated = if listed.has_undated { layout.without_dates(user, endpoints) } else { Vec::new() };
        let (late, in_order): (Vec<BucketDay>, Vec<BucketDay>) =
            BucketDay::all(listed.days.clone()).partition(|day| self.newest_day > Some(*day));
        let days = in_order.into_iter().chain(late.into_iter().rev());
        undated.into_iter().chain(days.map(|day| layout.for_day(day, user))).collect()
    }

    pub(crate) fn key_of(&self, object: &RawObject) -> String {
        self.bucket.layout.key(object.day, &self.plan.ow_user, &object.name)
    }

    async fn read_prefix(&mut self, prefix: &KeyPrefix) -> Result<(), TurnError> {
        let mut pending = self.list_prefix(prefix).await?;
        while let Some(((order, key), object)) = pending.pop_first() {
            if !self.budget.spend(self.context.poller.clock.now()) {
                self.turn.is_unfinished = true;
                return Ok(());
            }
            self.is_late = matches!(order, ObjectOrder::Late(_));
            let other = pending.last_key_value().map(|((_, key), _)| key.as_str());
            self.read_object(prefix.day, &key, object, other).await?;
        }
        Ok(())
    }

    /// Retries failed objects of days that were not listed.
    async fn retry_failed(&mut self, listed: &ListedDays) -> Result<(), TurnError> {
        let link = self.plan.link;
        let list = move |db: &_| raw_object::list_failed(db, link, RETRIED);
        let mut due = self.context.poller.store.read(list).await?;
        let was_listed = |day| if day == UNDATED { listed.has_undated } else { listed.days.contains(&day) };
        let now = self.context.started;
        due.retain(|object| object.is_due(now) && !was_listed(object.day));
        due.sort_by_key(|object| Reverse(object.day));
        self.is_late = true;
        let last = due.last().map(|object| self.key_of(object));
        for object in due {
            if !self.budget.spend(self.context.poller.clock.now()) {
                self.turn.is_unfinished = true;
                return Ok(());
            }
            let (day, key) = (object.day, self.key_of(&object));
            let (name, etag) = (object.name.clone(), object.etag.clone());
            let other = last.as_deref().filter(|last| *last != key);
            self.read_object(day, &key, PendingObject { name, etag, before: Some(object) }, other).await?;
        }
        Ok(())
    }

    /// Reads an object and records its new state. An error of the object does not end the turn. `other` is
    /// the key of an object that is still to be read, if there is one.
    async fn read_object(
        &mut self,
        day: BucketDay,
        key: &str,
        pending: PendingObject,
        other: Option<&str>,
    ) -> Result<(), TurnError> {
        let PendingObject { name, etag, before } = pending;
        // With new content the object may belong to another endpoint.
        let same = before.as_ref().filter(|object| object.etag == etag);
        let endpoint = same.and_then(|object| object.endpoint.clone());
        let checked = self.context.poller.clock.now();
        let mut object =
            RawObject { day, name, etag, state: ObjectState::Read, endpoint, error: None, checked };
        self.withheld = 0;
        let (error, is_transient) = match self.read_samples(key, &mut object).await {
            Ok(()) => {
                self.record_transient();
                return self.write_full_updates().await;
            }
            Err(ObjectError::Turn(error)) => return Err(error),
            Err(ObjectError::Missing) => match before {
                Some(before) if before.state == ObjectState::Failed => {
                    self.record_lost(&before);
                    return self.write_full_updates().await;
                }
                _ => ("it was listed, and was gone before it could be read (404)".to_owned(), false),
            },
            Err(ObjectError::Unreadable(error)) => (error, false),
            Err(ObjectError::Transient(error)) => (error, true),
        };
        let failed = RawObject { state: ObjectState::Failed, error: Some(error.clone()), ..object };
        if !is_transient {
            self.record_transient();
            self.turn.unread_objects.failed.add(key, &error);
            self.updates.push(ObjectUpdate::Upsert(failed));
            return self.write_full_updates().await;
        }
        self.transient.push(failed);
        if self.transient.len() < TRANSIENT_LIMIT {
            return Ok(());
        }
        let is_served = match other {
            Some(other) => self.can_fetch(other).await,
            None => true,
        };
        if is_served {
            self.record_transient();
            return Ok(());
        }
        // The bucket is at fault. The objects keep their state, so that they are read in order once it works
        // again.
        self.transient.clear();
        Err(RawError::Patient(format!("{TRANSIENT_LIMIT} objects in a row could not be read: {error}"))
            .into())
    }

    /// Returns whether the bucket begins to send an object.
    async fn can_fetch(&self, key: &str) -> bool {
        match self.bucket.fetch_object(key).await {
            Ok(mut body) => body.next().await.is_ok(),
            Err(error) => !matches!(error, RawError::Transient(_) | RawError::Bucket(_)),
        }
    }

    /// Records the objects with a transient failure as failed: the bucket serves others, so the objects are
    /// at fault.
    pub(crate) fn record_transient(&mut self) {
        for failed in std::mem::take(&mut self.transient) {
            let error = failed.error.as_deref().unwrap_or_default();
            self.turn.unread_objects.failed.add(&self.key_of(&failed), error);
            self.updates.push(ObjectUpdate::Upsert(failed));
        }
    }

    pub(crate) fn consented(&self, endpoint: &ProviderEndpoint) -> ConsentedSeries {
        ConsentedSeries::new(endpoint, &self.wanted)
    }

    /// Moves the marks of all types to the newest sample of any type: a day is read for all types at once.
    async fn move_marks(&mut self, listed: &ListedDays) -> Result<(), TurnError> {
        if !listed.moves_marks || !self.context.is_live() {
            return Ok(());
        }
        // Samples of an earlier, unfinished turn count too: their objects are not read again.
        let mut newest = self.newest;
        if let ReadRange::Recent { .. } = self.range {
            let (owner, wanted) = (self.batch().owner, self.wanted.clone());
            let find = move |db: &_| {
                let stored = wanted.iter().map(|one| stream::find_newest(db, &owner, one.series.series_type));
                stored.collect::<Result<Vec<_>, _>>()
            };
            newest = self.context.poller.store.read(find).await?.into_iter().flatten().chain(newest).max();
        }
        let Some(mark) = newest.map(|newest| newest.min(listed.until)) else { return Ok(()) };
        let behind = self.wanted.iter().filter(|one| one.mark < Some(mark));
        let marks = behind.map(|one| (one.series.series_type, mark)).collect();
        self.commit_marks(marks).await
    }

    /// Sets the marks of types without one, so that after an unfinished first turn the next one begins with
    /// the same day, however late it comes.
    async fn set_first_marks(&mut self, listed: &ListedDays) -> Result<(), TurnError> {
        if !listed.moves_marks || !self.context.is_live() {
            return Ok(());
        }
        let mark = listed.days.start().midnight().plus(DAY).min(self.context.started);
        let unmarked = self.wanted.iter().filter(|one| one.mark.is_none());
        let marks = unmarked.map(|one| (one.series.series_type, mark)).collect();
        self.commit_marks(marks).await
    }

    async fn commit_marks(&mut self, marks: Vec<(&'static str, Timestamp)>) -> Result<(), TurnError> {
        if !marks.is_empty() {
            self.commit_batch(Batch { marks, ..self.batch() }, None).await?;
        }
        Ok(())
    }

    async fn write_full_updates(&mut self) -> Result<(), TurnError> {
        if self.updates.len() < UPDATES { Ok(()) } else { self.write_updates().await }
    }

    pub(crate) async fn write_updates(&mut self) -> Result<(), TurnError> {
        let (link, updates) = (self.plan.link, std::mem::take(&mut self.updates));
        if updates.is_empty() {
            return Ok(());
        }
        self.write(move |db| raw_object::apply_updates(db, link, &updates)).await
    }

    /// Runs `work` in a write transaction; a dry run does nothing.
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

/// The rank of an object among those of its prefix. The text is the time of storage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ObjectOrder {
    /// No object that was stored later has been read: this one corrects stored samples. Oldest first.
    InOrder(String),
    /// An object that was stored later may have been read: this one only fills gaps. Newest first, so that
    /// among late objects the newest wins too.
    Late(Reverse<String>),
}

/// An object to read.
#[derive(Debug, Clone)]
pub(crate) struct PendingObject {
    pub(crate) name: String,
    pub(crate) etag: String,
    /// The stored state, if the object is known.
    pub(crate) before: Option<RawObject>,
}

/// The objects of a prefix to read, by order and key.
pub(crate) type PendingObjects = BTreeMap<(ObjectOrder, String), PendingObject>;

/// The reason why an object was not read.
pub(crate) enum ObjectError {
    Unreadable(String),
    /// May succeed later. If it repeats, the bucket is at fault and not the objects.
    Transient(String),
    Missing,
    /// Not an error of the object.
    Turn(TurnError),
}

impl From<RawError> for ObjectError {
    fn from(error: RawError) -> Self {
        match error {
            RawError::Missing => Self::Missing,
            RawError::Object(error) => Self::Unreadable(error),
            RawError::Transient(error) => Self::Transient(error),
            RawError::Bucket(_) | RawError::Patient(_) => Self::Turn(error.into()),
        }
    }
}

impl From<BodyError> for ObjectError {
    fn from(error: BodyError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl From<StoreError> for ObjectError {
    fn from(error: StoreError) -> Self {
        Self::Turn(error.into())
    }
}
