//! One object of the bucket: what it is of, its records, and the transaction that keeps the last of them.

use super::collect::Collector;
use super::objects::Reading;
use super::trouble::TurnError;
use crate::catalog::{self, Endpoint};
use crate::raw::{Body, BodyError, Found, RawError, looks_like_heart_rate};
use crate::store::StoreError;
use crate::store::commit::{self, Batch, Owner, Tally};
use crate::store::object::{self, Note, Object, State};
use crate::store::plan::Due;

/// Samples of one object that are held back for one commit: all of a page of any provider's, so that an object comes
/// in as a whole, and little memory.
const HELD: usize = 20_000;
/// Rejected records that are held back: each is kept with its text.
const HELD_REJECTED: usize = 1000;
/// Records that are looked at to tell what a payload is of, where nothing else says it: the first may be garbage.
const LOOKED_AT: usize = 16;

/// Why an object was not read.
pub(super) enum Unread {
    /// The object's own trouble.
    Object(String),
    /// It may go well later; where it is like that with one after the other, it is not the objects.
    Passing(String),
    /// It is not there.
    Missing,
    /// Not the object's trouble.
    Turn(TurnError),
}

/// What a payload is of, as far as it is known.
#[derive(Default)]
struct Kind {
    endpoint: Option<&'static Endpoint>,
    /// Its first records, until one of them tells.
    unknown: Vec<Vec<u8>>,
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

impl Reading<'_> {
    /// Reads an object to its end and keeps its samples; leaves those of other endpoints alone.
    pub(super) async fn take_in(&mut self, key: &str, object: &mut Object) -> Result<(), Unread> {
        if object.endpoint.is_none() {
            object.endpoint = catalog::endpoint_in(key).map(str::to_owned);
        }
        if object.endpoint.is_none() {
            object.endpoint = self.bucket.endpoint(key).await?;
        }
        let mut kind = Kind::default();
        if let Some(path) = &object.endpoint {
            kind.endpoint = catalog::endpoint(path);
            // What is not consented to is looked at again once it is.
            if kind.endpoint.is_none_or(|endpoint| self.wanted_of(endpoint).is_none()) {
                self.note_other(object);
                return Ok(());
            }
        }
        let mut collector = Collector::new(&[], &self.due.zone);
        let mut body = Body::new();
        let read = self.read_body(key, &mut body, &mut kind, &mut collector).await;
        if let Some(known) = kind.endpoint {
            object.endpoint = Some(known.path.to_owned());
        }
        match read {
            Ok(true) => {}
            Ok(false) => {
                self.note_other(object);
                return Ok(());
            }
            Err(error) => {
                // What comes before the fault is good, unless it was packed: then nobody knows.
                if !body.is_packed() && matches!(error, Unread::Object(_) | Unread::Passing(_)) {
                    self.commit(&mut collector, true, None).await?;
                }
                return Err(error);
            }
        }
        for (series_type, newest) in collector.newest() {
            match self.newest.iter_mut().find(|(name, _)| name == series_type) {
                Some((_, have)) => *have = (*have).max(*newest),
                None => self.newest.push((series_type, *newest)),
            }
        }
        self.settle_passing();
        self.commit(&mut collector, true, Some(object.clone())).await?;
        Ok(())
    }

    fn note_other(&mut self, object: &Object) {
        self.notes.push(Note::Put(Object { state: State::Other, ..object.clone() }));
    }

    /// Reads the bytes of an object into the collector; answers whether it is one of ours.
    async fn read_body(
        &mut self,
        key: &str,
        body: &mut Body,
        kind: &mut Kind,
        collector: &mut Collector,
    ) -> Result<bool, Unread> {
        let mut payload = self.bucket.get(key).await?;
        while let Some(chunk) = payload.next().await? {
            let mut rest = &chunk[..];
            while !rest.is_empty() {
                let (step, after) = rest.split_at(body.step().min(rest.len()));
                let fed = body.feed(step);
                if !self.collect(&body.take(), kind, collector)? {
                    return Ok(false);
                }
                fed?;
                if collector.waiting() >= HELD || collector.rejected() >= HELD_REJECTED {
                    self.commit(collector, false, None).await?;
                }
                rest = after;
            }
        }
        let has_list = body.finish()?;
        match (self.collect(&body.take(), kind, collector)?, has_list, kind.endpoint) {
            (true, true, Some(_)) => Ok(true),
            (true, false, Some(_)) => Err(Unread::Object("it has no list of records".to_owned())),
            _ => Ok(false),
        }
    }

    /// Takes records into the collector; answers whether they are of ours. Where nothing else says it, one of the
    /// first does.
    fn collect(&self, found: &Found, kind: &mut Kind, collector: &mut Collector) -> Result<bool, BodyError> {
        for record in found.records() {
            if kind.endpoint.is_none() && looks_like_heart_rate(record) {
                kind.endpoint = catalog::ENDPOINTS.first();
            }
            let Some(endpoint) = kind.endpoint else {
                kind.unknown.push(record.to_vec());
                if kind.unknown.len() < LOOKED_AT {
                    continue;
                }
                return Ok(false);
            };
            let Some(wanted) = self.wanted_of(endpoint) else { return Ok(false) };
            for before in std::mem::take(&mut kind.unknown) {
                collector.add_raw(endpoint, wanted.series, &before)?;
            }
            collector.add_raw(endpoint, wanted.series, record)?;
        }
        self.progress.read(collector.take_unreported());
        Ok(true)
    }

    /// Keeps what was collected; with `object` in the same transaction that all of it is kept. Before the end of an
    /// object the samples of the last instant wait for others of it.
    async fn commit(
        &mut self,
        collector: &mut Collector,
        is_last: bool,
        object: Option<Object>,
    ) -> Result<(), StoreError> {
        let (parts, rejected) = collector.take(is_last);
        if parts.is_empty() && rejected.is_empty() && object.is_none() {
            return Ok(());
        }
        let batch = Batch { parts, rejected, ..self.batch() };
        let tally = self.commit_batch(batch, object).await?;
        self.withheld += tally.withheld;
        self.turn.tally += tally;
        Ok(())
    }

    pub(super) fn batch(&self) -> Batch {
        let Due { patient, ref subject, link, .. } = *self.due;
        let owner = Owner { patient, subject: subject.clone(), system: self.context.mode.system() };
        let mode = self.context.mode.as_str();
        let (parts, rejected, marks) = (Vec::new(), Vec::new(), Vec::new());
        Batch { owner, link, mode, parts, rejected, marks, fills_only: self.is_late, census: None }
    }

    /// Writes a batch, what is to be noted of other objects, and that `object` was read.
    pub(super) async fn commit_batch(
        &mut self,
        batch: Batch,
        object: Option<Object>,
    ) -> Result<Tally, StoreError> {
        let poller = &self.context.poller;
        let Some(owner) = self.context.lock_owner.clone() else {
            return poller.store.read(move |db| commit::preview(db, &batch)).await;
        };
        let (now, withheld) = (poller.clock.now(), self.withheld);
        let endpoint = object.as_ref().and_then(|object| catalog::endpoint(object.endpoint.as_deref()?));
        let allowed = endpoint.and_then(|endpoint| self.wanted_of(endpoint)).map(|one| one.allowed.clone());
        let mut notes = std::mem::take(&mut self.notes);
        let commit = move |db: &_| {
            let tally = commit::commit(db, &batch, &owner, now)?;
            let withheld = withheld + tally.withheld;
            notes.extend(object.map(|object| {
                let error =
                    allowed.filter(|_| withheld > 0).map(|allowed| object::withheld(withheld, &allowed));
                Note::Put(Object { error, ..object })
            }));
            object::note_all(db, batch.link, &notes)?;
            Ok(tally)
        };
        poller.store.write(commit).await
    }
}
