//! Collects converted samples and rejected records until there are enough for a commit.

use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::common::time::Timestamp;
use crate::model::catalog::series_type::{OmhBody, SeriesType, canonical_name};
use crate::model::catalog::{endpoint::ProviderEndpoint, series::SERIES};
use crate::model::{consent_intervals::Interval, sample::Sample, stream_key::StreamKey};
use crate::omh::convert::{self, ConvertedRecord};
use crate::omh::{event, oura};
use crate::ow::page::{EventPage, InvalidRecord, TimeseriesPage, TimeseriesRecord};
use crate::poll::blood_pressure::BloodPressurePairs;
use crate::raw::body_error::BodyError;
use crate::raw::record::{self, RecordError};
use crate::store::samples::{commit::StreamSamples, rejected::Rejected};

/// Samples per commit: enough that the disk sync costs little, few enough to keep memory small.
pub const BATCH: usize = 1000;

/// Tolerance for samples dated ahead of the clock: a device's clock is wrong, or a local time has no offset.
const AHEAD: Duration = Duration::from_hours(24);
/// Different faults of samples that are listed per window.
const MAX_REPORTED: usize = 20;
/// Characters that are stored of a rejected record.
const TEXT_CHARS: usize = 2000;
/// Characters that are stored of the reason, which may quote the record.
const REASON_CHARS: usize = 300;

/// The origin of the records of a payload.
#[derive(Debug, Clone, Copy)]
pub struct PayloadOrigin<'a> {
    pub endpoint: &'a ProviderEndpoint,
    /// The series types that the records become and the patient consents to.
    pub series: &'a [&'static SeriesType],
    /// The time at which OW stored the payload, if known.
    pub stored: Option<Timestamp>,
}

/// Samples and rejected records of one window that are not committed yet.
#[derive(Debug)]
pub struct Collector {
    series: Vec<&'static SeriesType>,
    zone: TimeZone,
    /// The latest time that a sample may have.
    latest: Timestamp,
    pairs: BloodPressurePairs,
    streams: Vec<StreamSamples>,
    rejected: Vec<Rejected>,
    /// Newest sample time per type, over the whole window.
    newest: Vec<(&'static str, Timestamp)>,
    uncounted: usize,
    is_unsorted: bool,
    /// Ids of all events on the pages, also of those outside of the window.
    event_ids: Vec<Box<str>>,
    /// Ids of events that the provider has deleted.
    deleted: Vec<Box<str>>,
    /// Faults of samples that were reported in this window.
    reported: Vec<String>,
}

impl Collector {
    /// Returns a collector for `series` of a patient who lives in `zone`. Records dated more than [`AHEAD`] after `now`
    /// are rejected.
    pub fn new(series: &[&'static SeriesType], zone: &TimeZone, now: Timestamp) -> Self {
        // A record of an unclear type is rejected under the first type: its order must not depend on the
        // marks.
        let series = SERIES.iter().filter(|row| series.contains(row)).collect();
        Self {
            series,
            zone: zone.clone(),
            latest: now.plus(AHEAD),
            pairs: BloodPressurePairs::default(),
            streams: Vec::new(),
            rejected: Vec::new(),
            newest: Vec::new(),
            uncounted: 0,
            is_unsorted: false,
            event_ids: Vec::new(),
            deleted: Vec::new(),
            reported: Vec::new(),
        }
    }

    /// Converts and adds the records of a page.
    pub fn add(&mut self, page: &TimeseriesPage<'_>) {
        self.uncounted += page.records.len();
        for record in &page.records {
            match record {
                Ok(record) => self.add_record(record),
                Err(InvalidRecord { reason, text }) => self.reject(None, reason.clone(), text.clone()),
            }
        }
    }

    /// Converts and adds the events of a page that begin in `range`. A page holds later events too, since OW
    /// filters by the end of an event.
    pub fn add_events(&mut self, page: &EventPage, range: Interval) {
        self.uncounted += page.records.len();
        let is_in = |at: Timestamp| range.from <= at && at < range.until;
        let id = |record: &Value| record["id"].as_str().map(Box::from);
        self.event_ids.extend(page.records.iter().flatten().filter_map(id));
        for record in &page.records {
            match record {
                Ok(record) if event::event_start(record).is_none_or(is_in) => self.add_event(record),
                Ok(_) => {}
                Err(InvalidRecord { reason, text }) => self.reject(None, reason.clone(), text.clone()),
            }
        }
    }

    fn add_event(&mut self, record: &Value) {
        let mut faults = Vec::new();
        for series in self.series.clone() {
            match event::convert_event(series, record, &self.zone, &mut faults) {
                Ok(None) => {}
                Ok(Some(point)) => self.add_point(series, point, || record.to_string()),
                Err(reason) => self.reject(Some(series), reason, record.to_string()),
            }
        }
        self.report(None, faults, || record.to_string());
    }

    /// Lists the parts of a record that were left out, once per record.
    fn report(
        &mut self,
        series: Option<&SeriesType>,
        mut faults: Vec<String>,
        record: impl FnOnce() -> String,
    ) {
        if !faults.is_empty() {
            // A night is converted once per data point, with the same faults each time.
            let mut seen = Vec::new();
            faults.retain(|fault| {
                !seen.contains(fault) && {
                    seen.push(fault.clone());
                    true
                }
            });
            self.reject(series, faults.join("; "), record());
        }
    }

    /// Converts and adds one record of a payload. A record that is not JSON is an error of the whole payload.
    pub fn add_raw(&mut self, origin: &PayloadOrigin<'_>, record: &[u8]) -> Result<(), BodyError> {
        self.uncounted += 1;
        let read = match origin.series {
            // Most records are heart rates, so they are parsed without a JSON tree.
            [series] if series.series_type == "heart_rate" => record::parse_heart_rate(record).map(|rate| {
                self.add_converted(origin, series, convert::convert_heart_rate(&rate).map(Some), record);
            }),
            _ => record::parse_value(record).map(|value| {
                self.deleted.extend(oura::deleted_sleep(&value).map(Box::from));
                let (mut refused, mut faults): (Vec<String>, _) = (Vec::new(), Vec::new());
                for series in origin.series {
                    let converted =
                        oura::convert_oura(series, &value, &self.zone, origin.stored, &mut faults);
                    // An error of the record as a whole is reported once, not once per series type.
                    if converted.as_ref().err().is_none_or(|reason| !refused.contains(reason)) {
                        refused.extend(converted.as_ref().err().cloned());
                        self.add_converted(origin, series, converted, record);
                    }
                }
                let text = || String::from_utf8_lossy(record).into_owned();
                self.report(origin.series.first().copied(), faults, text);
            }),
        };
        match read {
            Ok(()) => Ok(()),
            Err(RecordError::Payload(error)) => Err(error),
            Err(RecordError::Record(reason, text)) => {
                self.reject(origin.series.first().copied(), reason, text);
                Ok(())
            }
        }
    }

    fn add_converted(
        &mut self,
        PayloadOrigin { endpoint, .. }: &PayloadOrigin<'_>,
        series: &'static SeriesType,
        converted: Result<Option<Sample>, String>,
        record: &[u8],
    ) {
        match converted {
            Ok(None) => {}
            Ok(Some(sample)) => {
                let (provider, daily_total) = (endpoint.provider, endpoint.is_daily_total);
                self.add_point(
                    series,
                    ConvertedRecord { provider, source: "", device: "", daily_total, sample },
                    || String::from_utf8_lossy(record).into_owned(),
                );
            }
            Err(reason) => self.reject(Some(series), reason, String::from_utf8_lossy(record).into_owned()),
        }
    }

    /// Removes and returns the ids of deleted events.
    pub fn take_deleted(&mut self) -> Vec<Box<str>> {
        std::mem::take(&mut self.deleted)
    }

    pub fn take_event_ids(&mut self) -> Vec<Box<str>> {
        std::mem::take(&mut self.event_ids)
    }

    /// Returns the number of records added since the last call.
    pub fn take_uncounted(&mut self) -> usize {
        std::mem::take(&mut self.uncounted)
    }

    /// Returns the number of samples and rejected records that wait for a commit.
    pub fn pending(&self) -> usize {
        self.streams.iter().map(|stream| stream.samples.len()).sum::<usize>() + self.rejected.len()
    }

    pub fn pending_rejected(&self) -> usize {
        self.rejected.len()
    }

    /// Returns the newest sample time per type, over the whole window.
    pub fn newest(&self) -> &[(&'static str, Timestamp)] {
        &self.newest
    }

    /// Removes and returns everything that can be committed. Until the last page the samples of the newest
    /// instant remain: the commit needs all samples of an instant at once to recognize a renamed stream.
    pub fn take_batch(&mut self, is_last: bool) -> (Vec<StreamSamples>, Vec<Rejected>) {
        if is_last {
            let series = self.series.iter().copied().find(|series| series.body == OmhBody::BloodPressure);
            for (reason, text) in self.pairs.take_unpaired() {
                self.reject(series, reason, text);
            }
        }
        if std::mem::take(&mut self.is_unsorted) {
            self.streams.iter_mut().for_each(|stream| sort(&mut stream.samples));
        }
        let edge =
            self.streams.iter().filter_map(|stream| stream.samples.last()).map(|last| last.instant).max();
        let mut taken = std::mem::take(&mut self.streams);
        for stream in &mut taken {
            if !is_last && stream.samples.last().map(|last| last.instant) == edge {
                let behind = stream.samples.partition_point(|sample| Some(sample.instant) < edge);
                let samples = stream.samples.split_off(behind);
                self.streams.push(StreamSamples { key: stream.key.clone(), samples });
            }
        }
        taken.retain(|stream| !stream.samples.is_empty());
        (taken, std::mem::take(&mut self.rejected))
    }

    fn add_record(&mut self, record: &TimeseriesRecord<'_>) {
        let series_type = record.series_type.as_deref().map(canonical_name);
        let series = match series_type {
            Some(name) => self.series.iter().find(|series| series.timeseries_types().contains(&name)),
            // Without a type, systolic and diastolic samples cannot be told apart.
            None => {
                self.series.first().filter(|one| self.series.len() == 1 && one.timeseries_types().len() == 1)
            }
        };
        let Some(series) = series.copied() else {
            let reason =
                format!("its type is '{}', which was not asked for", series_type.unwrap_or_default());
            return self.reject(None, reason, describe(record));
        };
        let mut faults = Vec::new();
        let converted = convert::convert(series, record, &self.zone, &mut faults);
        match converted {
            Ok(point) if series.body == OmhBody::BloodPressure => {
                if let Err(reason) = series.check(point.sample.value) {
                    return self.reject(Some(series), reason, describe(record));
                }
                let is_systolic = series_type == series.timeseries_types().first().copied();
                if let Some(sample) = self.pairs.add(&point, is_systolic, describe(record)) {
                    self.add_point(series, ConvertedRecord { sample, ..point }, || describe(record));
                }
            }
            Ok(point) => self.add_point(series, point, || describe(record)),
            Err(reason) => self.reject(Some(series), reason, describe(record)),
        }
        // One entry per cause: each sample of a device may have it.
        faults.retain(|fault| self.reported.len() < MAX_REPORTED && !self.reported.contains(fault));
        self.reported.extend(faults.iter().cloned());
        self.report(Some(series), faults, || describe(record));
    }

    /// Adds a sample; `record` renders its record if the sample is rejected.
    fn add_point(
        &mut self,
        series: &'static SeriesType,
        point: ConvertedRecord<'_>,
        record: impl FnOnce() -> String,
    ) {
        let instant = point.sample.instant;
        if instant > self.latest {
            return self.reject(
                Some(series),
                format!("it is dated {instant}, more than a day ahead"),
                record(),
            );
        }
        if let Err(reason) = point.check_names().and_then(|()| series.check(point.sample.value)) {
            return self.reject(Some(series), reason, record());
        }
        let is_same_stream = |key: &StreamKey| {
            key.series_type == series.series_type
                && key.provider == point.provider
                && key.source == point.source
                && key.device == point.device
                && key.daily_total == point.daily_total
        };
        match self.streams.iter_mut().find(|stream| is_same_stream(&stream.key)) {
            Some(stream) => self.is_unsorted |= push(&mut stream.samples, point.sample),
            None => self.streams.push(StreamSamples {
                key: StreamKey {
                    series_type: series.series_type,
                    provider: point.provider.to_owned(),
                    source: point.source.to_owned(),
                    device: point.device.to_owned(),
                    daily_total: point.daily_total,
                },
                samples: vec![point.sample],
            }),
        }
        match self.newest.iter_mut().find(|(name, _)| *name == series.series_type) {
            Some((_, newest)) => *newest = instant.max(*newest),
            None => self.newest.push((series.series_type, instant)),
        }
    }

    fn reject(&mut self, series: Option<&SeriesType>, reason: String, sample: String) {
        let series = series.or_else(|| self.series.first().copied());
        let series_type = series.map_or_else(String::new, |series| series.series_type.to_owned());
        let (reason, sample) = (truncate(reason, REASON_CHARS), truncate(sample, TEXT_CHARS));
        self.rejected.push(Rejected { series_type, reason, sample });
    }
}

/// Appends a sample, and returns whether that breaks the order of time. A sample of the same instant as the
/// last one replaces it.
fn push(samples: &mut Vec<Sample>, sample: Sample) -> bool {
    let is_before = samples.last().is_some_and(|last| last.instant > sample.instant);
    match samples.last_mut() {
        Some(last) if is_same(last, &sample) => *last = sample,
        _ => samples.push(sample),
    }
    is_before
}

/// Sorts samples by time; of duplicates the last one remains.
fn sort(samples: &mut Vec<Sample>) {
    samples.sort_by_key(|sample| sample.instant);
    samples.dedup_by(|later, earlier| {
        let is_same = is_same(later, earlier);
        if is_same {
            std::mem::swap(earlier, later);
        }
        is_same
    });
}

/// Returns whether two samples of a stream are duplicates. Two events may begin at the same instant.
fn is_same(one: &Sample, other: &Sample) -> bool {
    one.instant == other.instant && one.event() == other.event()
}

fn truncate(mut text: String, chars: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(chars) {
        text.truncate(end);
        text.push('…');
        // A provider decides how long the text was: its memory must not wait for the commit.
        text.shrink_to_fit();
    }
    text
}

/// Renders a record for the list of rejected records.
fn describe(record: &TimeseriesRecord<'_>) -> String {
    let source = record.source.as_ref();
    serde_json::json!({
        "timestamp": record.timestamp,
        "zone_offset": record.zone_offset,
        "type": record.series_type,
        "value": record.value,
        "unit": record.unit,
        "provider": source.and_then(|source| source.provider.as_deref()),
        "source": source.and_then(|source| source.source.as_deref()),
        "device": source.and_then(|source| source.device.as_deref()),
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::series;

    use crate::ow::page::parse_timeseries;

    fn record(minute: u32, value: &str, device: &str) -> String {
        format!(
            r#"{{"timestamp":"2026-11-21T08:{minute:02}:00Z","type":"heart_rate","value":{value},"unit":"bpm",
                "source":{{"provider":"oura","source":"oura","device":{device}}}}}"#
        )
    }

    fn collect(pages: &[&[String]]) -> Collector {
        let mut collector = Collector::new(&[&series::SERIES[0]], &TimeZone::UTC, Timestamp::MAX);
        for page in pages {
            let body = format!(r#"{{"data":[{}],"pagination":{{"has_more":false}}}}"#, page.join(","));
            collector.add(&parse_timeseries(body.as_bytes()).unwrap());
        }
        collector
    }

    fn sizes(streams: &[StreamSamples]) -> Vec<(&str, usize)> {
        streams.iter().map(|stream| (stream.key.device.as_str(), stream.samples.len())).collect()
    }

    #[test]
    fn samples_are_grouped_by_stream_and_the_newest_time_is_known() {
        let page = [record(0, "60.0", "null"), record(5, "61.0", "\"Watch\""), record(5, "62.0", "null")];
        let mut collector = collect(&[&page]);
        assert_eq!(collector.newest()[0].1.to_string(), "2026-11-21T08:05:00Z");
        assert_eq!(sizes(&collector.take_batch(true).0), [("", 2), ("Watch", 1)]);
    }

    #[test]
    fn an_instant_is_never_torn_between_two_batches() {
        let first = [record(0, "60.0", "null"), record(5, "61.0", "null")];
        let second = [record(5, "61.0", "\"Ring 4\"")];
        let mut collector = collect(&[&first]);
        assert_eq!(sizes(&collector.take_batch(false).0), [("", 1)]);
        let body = format!(r#"{{"data":[{}]}}"#, second.join(","));
        collector.add(&parse_timeseries(body.as_bytes()).unwrap());
        assert_eq!(sizes(&collector.take_batch(true).0), [("", 1), ("Ring 4", 1)]);
    }

    #[test]
    fn samples_are_sorted_and_of_one_instant_the_last_remains() {
        let page = [record(5, "61.0", "null"), record(0, "60.0", "null"), record(5, "63.0", "null")];
        let streams = collect(&[&page]).take_batch(true).0;
        let values: Vec<f64> = streams[0].samples.iter().map(|sample| sample.value).collect();
        assert_eq!(values, [60.0, 63.0]);
    }

    #[test]
    fn a_payload_in_reverse_order_is_sorted_once_at_its_end() {
        let mut samples = Vec::new();
        let sample = |second: i64| Sample {
            instant: Timestamp::from_micros(second * 1_000_000),
            value: 60.0,
            zone: None,
            context: None,
            details: None,
        };
        let early = (0..1000).rev().filter(|second| push(&mut samples, sample(*second))).count();
        // Samples are appended, not inserted: an insertion would move all later ones each time.
        assert!(samples.is_sorted_by(|one, next| one.instant > next.instant) && early == 999);
        sort(&mut samples);
        assert!(samples.is_sorted_by_key(|sample| sample.instant) && samples.len() == 1000);
    }

    #[test]
    fn the_text_and_the_reason_of_a_rejected_record_are_truncated() {
        let page = [record(0, &format!("\"{}\"", "ü".repeat(5000)), "null")];
        let (_, rejected) = collect(&[&page]).take_batch(true);
        let chars = |text: &str| text.chars().count();
        assert_eq!(chars(&rejected[0].reason), REASON_CHARS + 1);
        assert_eq!(chars(&rejected[0].sample), TEXT_CHARS + 1);
    }

    #[test]
    fn a_record_that_cannot_be_converted_is_rejected_with_its_reason() {
        let page = [record(0, "\"high\"", "null"), record(5, "61.0", "null")];
        let (streams, rejected) = collect(&[&page]).take_batch(true);
        assert_eq!((sizes(&streams), rejected.len()), (vec![("", 1)], 1));
        assert_eq!(rejected[0].reason, "its value \"high\" is not a number");
    }
}
