//! One object of the bucket: what it is of, its records, and the transaction that keeps the last of them.

use crate::common::time::Timestamp;
use crate::model::bucket_day::UNDATED;
use crate::model::catalog::endpoint;
use crate::model::catalog::endpoint::Endpoint;
use crate::model::commit_counts::Tally;
use crate::model::stream_key::Owner;
use crate::poll::collect::{Collector, Origin};
use crate::poll::raw::consented_series::Consented;
use crate::poll::raw::reading::{Reading, Unread};
use crate::raw::body::{Body, Found};
use crate::raw::body_error::BodyError;
use crate::store::error::StoreError;
use crate::store::operations::poll_plan::Due;
use crate::store::samples::commit::Batch;
use crate::store::samples::raw_object::{Note, Object, State};
use crate::store::samples::{commit, raw_object};
use crate::telemetry::metrics;

/// Samples of one object that are held back for one commit: all of a page of any provider's, so that an object comes
/// in as a whole, and little memory.
const HELD: usize = 20_000;
/// Rejected records that are held back: each is kept with its text.
const HELD_REJECTED: usize = 1000;
/// Records that are looked at to tell what a payload is of, where nothing else says it: some may be garbage.
const LOOKED_AT: usize = 16;

/// What a payload is of, as far as it is known.
#[derive(Default)]
struct Kind {
    endpoint: Option<&'static Endpoint>,
    /// What its records become.
    consented: Consented,
    /// When it was stored, where that is known.
    stored: Option<Timestamp>,
    /// Its first records, until they tell.
    unknown: Vec<Vec<u8>>,
}

impl Kind {
    /// Takes a record of it into the collector.
    fn add(&self, record: &[u8], collector: &mut Collector) -> Result<(), BodyError> {
        let Some(endpoint) = self.endpoint else { return Ok(()) };
        let origin = Origin { endpoint, series: &self.consented.series, stored: self.stored };
        collector.add_raw(&origin, record)
    }
}

impl Reading<'_> {
    /// Reads an object to its end and keeps its samples; leaves those of other endpoints alone.
    pub(crate) async fn take_in(&mut self, key: &str, object: &mut Object) -> Result<(), Unread> {
        if object.endpoint.is_none() {
            object.endpoint = endpoint::endpoint_in(key).map(str::to_owned);
        }
        if object.endpoint.is_none() {
            object.endpoint = self.bucket.endpoint(key).await?;
        }
        // Without a note of when OW stored it the date in its key has to do.
        let stored = (object.day != UNDATED).then(|| object.day.midnight());
        let mut kind = Kind { stored, ..Kind::default() };
        if let Some(path) = &object.endpoint {
            // What is not consented to is looked at again once it is.
            if !endpoint::endpoint(path).is_some_and(|endpoint| self.is_of(endpoint, &mut kind)) {
                self.note_other(object);
                return Ok(());
            }
        }
        let mut collector = Collector::new(&[], &self.due.zone);
        let mut body = Body::new();
        let mut read = self.read_body(key, &mut body, &mut kind, &mut collector).await;
        if read.is_err() && kind.endpoint.is_none() {
            // What came before the fault may still tell what it is.
            read = self.tell(&mut kind, &mut collector).map_err(Unread::from).and(read);
        }
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
        let newest = collector.newest().iter().map(|(_, newest)| *newest).max();
        self.newest = self.newest.max(newest);
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
        kind.stored = payload.stored().or(kind.stored);
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
        if !body.finish()? {
            return self.collect_one(body.take_object(), kind, collector);
        }
        let is_ours = self.collect(&body.take(), kind, collector)?
            && (kind.endpoint.is_some() || self.tell(kind, collector)?);
        Ok(is_ours)
    }

    /// Takes a payload without a list into the collector, which is one record where its endpoint is such a one; answers
    /// whether it is of ours.
    fn collect_one(
        &self,
        record: Option<Vec<u8>>,
        kind: &mut Kind,
        collector: &mut Collector,
    ) -> Result<bool, Unread> {
        if kind.endpoint.is_some_and(|endpoint| !endpoint.is_single) {
            return Err(Unread::Object("it has no list of records".to_owned()));
        }
        if kind.endpoint.is_none() {
            let like = endpoint::endpoint_like(record.iter().map(Vec::as_slice));
            if !like.is_some_and(|one| one.is_single && self.is_of(one, kind)) {
                return Ok(false);
            }
        }
        let record = record.ok_or(BodyError::LargeRecord)?;
        kind.add(&record, collector)?;
        self.progress.read(collector.take_unreported());
        Ok(true)
    }

    /// Notes which endpoint a payload is of; answers whether the patient consents to anything of it.
    fn is_of(&self, endpoint: &'static Endpoint, kind: &mut Kind) -> bool {
        kind.endpoint = Some(endpoint);
        kind.consented = self.consented(endpoint);
        !kind.consented.is_empty()
    }

    /// Takes records into the collector; answers whether they are of ours, as far as that is known.
    fn collect(&self, found: &Found, kind: &mut Kind, collector: &mut Collector) -> Result<bool, BodyError> {
        for record in found.records() {
            if kind.endpoint.is_some() {
                kind.add(record, collector)?;
                continue;
            }
            kind.unknown.push(record.to_vec());
            if kind.unknown.len() == LOOKED_AT && !self.tell(kind, collector)? {
                return Ok(false);
            }
        }
        self.progress.read(collector.take_unreported());
        Ok(true)
    }

    /// Has the first records tell what a payload is of, and takes them into the collector; answers whether they are of
    /// ours.
    fn tell(&self, kind: &mut Kind, collector: &mut Collector) -> Result<bool, BodyError> {
        let unknown = std::mem::take(&mut kind.unknown);
        let like = endpoint::endpoint_like(unknown.iter().map(Vec::as_slice));
        if !like.is_some_and(|endpoint| self.is_of(endpoint, kind)) {
            return Ok(false);
        }
        unknown.iter().try_for_each(|record| kind.add(record, collector))?;
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

    pub(crate) fn batch(&self) -> Batch {
        let Due { patient, ref subject, link, .. } = *self.due;
        let owner = Owner { patient, subject: subject.clone(), system: self.context.mode.system() };
        let mode = self.context.mode.as_str();
        let (parts, rejected, marks) = (Vec::new(), Vec::new(), Vec::new());
        Batch { owner, link, mode, parts, rejected, marks, fills_only: self.is_late, census: None }
    }

    /// Writes a batch, what is to be noted of other objects, and that `object` was read.
    pub(crate) async fn commit_batch(
        &mut self,
        batch: Batch,
        object: Option<Object>,
    ) -> Result<Tally, StoreError> {
        let poller = &self.context.poller;
        let Some(owner) = self.context.lock_owner.clone() else {
            return poller.store.read(move |db| commit::preview(db, &batch)).await;
        };
        let (now, withheld) = (poller.clock.now(), self.withheld);
        let endpoint = object.as_ref().and_then(|object| endpoint::endpoint(object.endpoint.as_deref()?));
        let consented = endpoint.map(|endpoint| self.consented(endpoint)).unwrap_or_default();
        let mut notes = std::mem::take(&mut self.notes);
        let commit = move |db: &_| {
            let committed = commit::commit(db, &batch, &owner, now)?;
            let withheld = withheld + committed.tally.withheld;
            let error = consented.note(withheld);
            notes.extend(object.map(|object| Note::Put(Object { error, ..object })));
            raw_object::note_all(db, batch.link, &notes)?;
            Ok(committed)
        };
        let committed = poller.store.write(commit).await?;
        metrics::kept(&committed);
        Ok(committed.tally)
    }
}
