//! Reads one object of the bucket: recognizes its endpoint, converts its records, and commits them.

use crate::common::time::Timestamp;
use crate::model::catalog::endpoint::{self, ProviderEndpoint};
use crate::model::{bucket_day::UNDATED, commit_counts::CommitCounts};
use crate::poll::collect::{Collector, PayloadOrigin};
use crate::poll::raw::consented_series::ConsentedSeries;
use crate::poll::raw::reading::{ObjectError, ObjectReader};
use crate::raw::body::{PayloadDecoder, RecordBatch};
use crate::raw::body_error::BodyError;
use crate::store::error::StoreError;
use crate::store::samples::commit::Batch;
use crate::store::samples::raw_object::{self, ObjectState, ObjectUpdate, RawObject};

/// Samples of one object that wait for a commit: a whole page of any provider, so that an object is committed
/// at once, with little memory.
const PENDING: usize = 20_000;
/// Rejected records that wait for a commit; each holds its text.
const PENDING_REJECTED: usize = 1000;
/// Records used to recognize the endpoint of a payload without metadata; some may be garbage.
const SAMPLED_RECORDS: usize = 16;

/// The known properties of a payload.
#[derive(Default)]
struct PayloadInfo {
    endpoint: Option<&'static ProviderEndpoint>,
    consented: ConsentedSeries,
    stored: Option<Timestamp>,
    /// The first records, until the endpoint is recognized.
    unknown: Vec<Vec<u8>>,
}

impl PayloadInfo {
    fn add(&self, record: &[u8], collector: &mut Collector) -> Result<(), BodyError> {
        let Some(endpoint) = self.endpoint else { return Ok(()) };
        let origin = PayloadOrigin { endpoint, series: &self.consented.series, stored: self.stored };
        collector.add_raw(&origin, record)
    }
}

impl ObjectReader<'_> {
    /// Reads an object and commits its samples; skips objects of endpoints that are unknown or have no
    /// consent.
    pub(crate) async fn read_samples(
        &mut self,
        key: &str,
        object: &mut RawObject,
    ) -> Result<(), ObjectError> {
        if object.endpoint.is_none() {
            object.endpoint = endpoint::path_in_key(key).map(str::to_owned);
        }
        if object.endpoint.is_none() {
            object.endpoint = self.bucket.fetch_endpoint(key).await?;
        }
        // If OW's metadata lack the time of storage, the date in the key replaces it.
        let stored = (object.day != UNDATED).then(|| object.day.midnight());
        let mut info = PayloadInfo { stored, ..PayloadInfo::default() };
        if let Some(path) = &object.endpoint
            && !endpoint::find(path).is_some_and(|endpoint| self.set_endpoint(endpoint, &mut info))
        {
            self.record_skipped(object);
            return Ok(());
        }
        let mut collector = Collector::new(&[], &self.plan.zone, self.context.started);
        let mut decoder = PayloadDecoder::new();
        let mut read = self.read_body(key, &mut decoder, &mut info, &mut collector).await;
        if read.is_err() && info.endpoint.is_none() {
            // The records before the error may still identify the endpoint.
            read = self.recognize(&mut info, &mut collector).map_err(ObjectError::from).and(read);
        }
        if let Some(known) = info.endpoint {
            object.endpoint = Some(known.path.to_owned());
        }
        match read {
            Ok(true) => {}
            Ok(false) => {
                self.record_skipped(object);
                return Ok(());
            }
            Err(error) => {
                // Records before the error are good, unless the body is compressed: then they may be corrupt
                // too.
                if !decoder.is_gzip()
                    && matches!(error, ObjectError::Unreadable(_) | ObjectError::Transient(_))
                {
                    self.commit(&mut collector, true, None).await?;
                }
                return Err(error);
            }
        }
        let newest = collector.newest().iter().map(|(_, newest)| *newest).max();
        self.newest = self.newest.max(newest);
        self.record_transient();
        self.commit(&mut collector, true, Some(object.clone())).await?;
        Ok(())
    }

    fn record_skipped(&mut self, object: &RawObject) {
        self.updates.push(ObjectUpdate::Upsert(RawObject { state: ObjectState::Other, ..object.clone() }));
    }

    /// Reads the body of an object into the collector; returns false if it belongs to no wanted endpoint.
    async fn read_body(
        &mut self,
        key: &str,
        decoder: &mut PayloadDecoder,
        info: &mut PayloadInfo,
        collector: &mut Collector,
    ) -> Result<bool, ObjectError> {
        let mut body = self.bucket.fetch_object(key).await?;
        info.stored = body.stored_at().or(info.stored);
        while let Some(chunk) = body.next().await? {
            let mut rest = &chunk[..];
            while !rest.is_empty() {
                let (step, after) = rest.split_at(decoder.step().min(rest.len()));
                let fed = decoder.feed(step);
                // The records before an error are collected first.
                if !self.collect(&decoder.take_records(), info, collector)? {
                    return Ok(false);
                }
                fed?;
                if collector.pending() >= PENDING || collector.pending_rejected() >= PENDING_REJECTED {
                    self.commit(collector, false, None).await?;
                }
                rest = after;
            }
        }
        if !decoder.finish()? {
            return self.collect_single(decoder.take_object(), info, collector);
        }
        Ok(self.collect(&decoder.take_records(), info, collector)?
            && (info.endpoint.is_some() || self.recognize(info, collector)?))
    }

    /// Collects a payload without a list, which some endpoints send for a single record; returns false if it
    /// belongs to no wanted endpoint.
    fn collect_single(
        &self,
        record: Option<Vec<u8>>,
        info: &mut PayloadInfo,
        collector: &mut Collector,
    ) -> Result<bool, ObjectError> {
        if info.endpoint.is_some_and(|endpoint| !endpoint.is_single) {
            return Err(ObjectError::Unreadable("it has no list of records".to_owned()));
        }
        if info.endpoint.is_none() {
            let guess = endpoint::guess_from_records(record.iter().map(Vec::as_slice));
            if !guess.is_some_and(|endpoint| endpoint.is_single && self.set_endpoint(endpoint, info)) {
                return Ok(false);
            }
        }
        let record = record.ok_or(BodyError::LargeRecord)?;
        info.add(&record, collector)?;
        self.context.progress.samples.add(collector.take_uncounted());
        Ok(true)
    }

    /// Sets the endpoint of a payload; returns whether the patient consents to any of its series types.
    fn set_endpoint(&self, endpoint: &'static ProviderEndpoint, info: &mut PayloadInfo) -> bool {
        info.endpoint = Some(endpoint);
        info.consented = self.consented(endpoint);
        !info.consented.is_empty()
    }

    /// Collects records; returns false once it is known that they belong to no wanted endpoint.
    fn collect(
        &self,
        batch: &RecordBatch,
        info: &mut PayloadInfo,
        collector: &mut Collector,
    ) -> Result<bool, BodyError> {
        for record in batch.records() {
            if info.endpoint.is_some() {
                info.add(record, collector)?;
                continue;
            }
            info.unknown.push(record.to_vec());
            if info.unknown.len() == SAMPLED_RECORDS && !self.recognize(info, collector)? {
                return Ok(false);
            }
        }
        self.context.progress.samples.add(collector.take_uncounted());
        Ok(true)
    }

    /// Recognizes the endpoint by the first records, and collects them; returns false if it is not a wanted
    /// one.
    fn recognize(&self, info: &mut PayloadInfo, collector: &mut Collector) -> Result<bool, BodyError> {
        let unknown = std::mem::take(&mut info.unknown);
        let guess = endpoint::guess_from_records(unknown.iter().map(Vec::as_slice));
        if !guess.is_some_and(|endpoint| self.set_endpoint(endpoint, info)) {
            return Ok(false);
        }
        unknown.iter().try_for_each(|record| info.add(record, collector))?;
        Ok(true)
    }

    /// Commits the collected samples. `object` is given with the last of them, and recorded as read in the
    /// same transaction.
    async fn commit(
        &mut self,
        collector: &mut Collector,
        is_last: bool,
        object: Option<RawObject>,
    ) -> Result<(), StoreError> {
        let (streams, rejected) = collector.take_batch(is_last);
        let deleted = collector.take_deleted();
        if streams.is_empty() && rejected.is_empty() && deleted.is_empty() && object.is_none() {
            return Ok(());
        }
        let batch = Batch { streams, rejected, deleted, ..self.batch() };
        let counts = self.commit_batch(batch, object).await?;
        self.withheld += counts.withheld;
        self.turn.counts += counts;
        Ok(())
    }

    pub(crate) fn batch(&self) -> Batch {
        Batch { insert_only: self.is_late, ..self.context.empty_batch(self.plan) }
    }

    /// Commits a batch, the pending updates of objects, and `object` as read.
    pub(crate) async fn commit_batch(
        &mut self,
        batch: Batch,
        object: Option<RawObject>,
    ) -> Result<CommitCounts, StoreError> {
        let endpoint = object.as_ref().and_then(|object| endpoint::find(object.endpoint.as_deref()?));
        let consented = endpoint.map(|endpoint| self.consented(endpoint)).unwrap_or_default();
        let (link, withheld) = (batch.link, self.withheld);
        let mut updates = std::mem::take(&mut self.updates);
        let update = move |db: &_, counts: CommitCounts| {
            let error = consented.withheld_text(withheld + counts.withheld);
            updates.extend(object.map(|object| ObjectUpdate::Upsert(RawObject { error, ..object })));
            raw_object::apply_updates(db, link, &updates)
        };
        self.context.commit_with(batch, update).await
    }
}
