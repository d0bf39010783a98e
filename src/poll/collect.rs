//! Gathers the samples of pages into batches that can be committed.

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::common::time::Timestamp;
use crate::model::catalog::endpoint::Endpoint;
use crate::model::catalog::series::SERIES;
use crate::model::catalog::series_type::{Body, Series};
use crate::model::consent_intervals::Interval;
use crate::model::sample::Sample;
use crate::model::stream_key::StreamKey;
use crate::omh::convert::Point;
use crate::omh::{convert, event, oura};
use crate::ow::page::{BadRecord, EventPage, Page, Record};
use crate::poll::blood_pressure::Pairs;
use crate::raw::body_error::BodyError;
use crate::raw::record;
use crate::raw::record::Unreadable;
use crate::store::samples::commit::Part;
use crate::store::samples::rejected::Rejected;

/// Samples per commit: enough that the disk's sync costs little, few enough that memory stays small.
pub const BATCH: usize = 1000;

/// Characters of a rejected record that are kept to be looked at.
const TEXT_CHARS: usize = 2000;
/// Characters of the reason, which may quote the record.
const REASON_CHARS: usize = 300;

/// Where the records of a payload come from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The endpoint.
    pub endpoint: &'a Endpoint,
    /// What they become: the rows of the catalogue that the patient consents to.
    pub series: &'a [&'static Series],
    /// When the payload was stored, where that is known.
    pub stored: Option<Timestamp>,
}

/// Samples that were read and are not committed yet.
#[derive(Debug)]
pub struct Collector {
    series: Vec<&'static Series>,
    /// The patient's.
    zone: TimeZone,
    pairs: Pairs,
    parts: Vec<Part>,
    rejected: Vec<Rejected>,
    /// Newest sample time per type since the window began.
    newest: Vec<(&'static str, Timestamp)>,
    /// Records since [`Collector::take_unreported`].
    unreported: usize,
    /// Whether a sample came before an older one.
    is_unsorted: bool,
    /// The ids of all events that OW has shown, also of those that are not of the window.
    shown: Vec<Box<str>>,
}

impl Collector {
    /// A collector for a window of these rows of the catalogue, of a patient in `zone`.
    pub fn new(series: &[&'static Series], zone: &TimeZone) -> Self {
        // What cannot be told to be of one of them is noted under the first, whichever was read longest ago.
        let series = SERIES.iter().filter(|row| series.contains(row)).collect();
        Self {
            series,
            zone: zone.clone(),
            pairs: Pairs::default(),
            parts: Vec::new(),
            rejected: Vec::new(),
            newest: Vec::new(),
            unreported: 0,
            is_unsorted: false,
            shown: Vec::new(),
        }
    }

    /// Takes over the records of a page; those that cannot be converted are set apart.
    pub fn add(&mut self, page: &Page<'_>) {
        self.unreported += page.records.len();
        for record in &page.records {
            match record {
                Ok(record) => self.add_record(record),
                Err(BadRecord { reason, text }) => self.reject(None, reason.clone(), text.clone()),
            }
        }
    }

    /// Takes over the events of a page, as far as they begin in `range`: OW was asked for more, since it looks at their
    /// ends too. Each becomes what the rows of the catalogue make of it.
    pub fn add_events(&mut self, page: &EventPage, range: Interval) {
        self.unreported += page.records.len();
        let is_in = |at: Timestamp| range.from <= at && at < range.until;
        let id = |record: &Value| record["id"].as_str().map(Box::from);
        self.shown.extend(page.records.iter().flatten().filter_map(id));
        for record in &page.records {
            match record {
                Ok(record) if event::event_start(record).is_none_or(is_in) => self.add_event(record),
                Ok(_) => {}
                Err(BadRecord { reason, text }) => self.reject(None, reason.clone(), text.clone()),
            }
        }
    }

    fn add_event(&mut self, record: &Value) {
        for series in self.series.clone() {
            match event::convert_event(series, record, &self.zone) {
                Ok(None) => {}
                Ok(Some(event)) => {
                    let (provider, source, device) = (&event.provider, &event.source, &event.device);
                    let (daily_total, sample) = (event.daily_total, event.sample);
                    self.add_point(series, Point { provider, source, device, daily_total, sample });
                }
                Err(reason) => self.reject(Some(series), reason, record.to_string()),
            }
        }
    }

    /// Takes over one record of a payload; one that cannot be converted is set apart.
    ///
    /// # Errors
    /// Where it is no JSON: then the payload is none either.
    pub fn add_raw(&mut self, origin: &Origin<'_>, record: &[u8]) -> Result<(), BodyError> {
        self.unreported += 1;
        let read = match origin.series {
            // There are more of these than of all others, and they have a quick way.
            [series] if series.series_type == "heart_rate" => record::read(record).map(|rate| {
                self.add_converted(origin, series, convert::convert_raw(&rate).map(Some), record)
            }),
            _ => record::read_value(record).map(|value| {
                let mut refused: Vec<String> = Vec::new();
                for series in origin.series {
                    let converted = oura::convert_oura(series, &value, &self.zone, origin.stored);
                    // What is wrong with all of the record is told once.
                    if converted.as_ref().err().is_none_or(|reason| !refused.contains(reason)) {
                        refused.extend(converted.as_ref().err().cloned());
                        self.add_converted(origin, series, converted, record);
                    }
                }
            }),
        };
        match read {
            Ok(()) => Ok(()),
            Err(Unreadable::Body(error)) => Err(error),
            Err(Unreadable::Record(reason, text)) => {
                self.reject(origin.series.first().copied(), reason, text);
                Ok(())
            }
        }
    }

    fn add_converted(
        &mut self,
        Origin { endpoint, .. }: &Origin<'_>,
        series: &'static Series,
        converted: Result<Option<Sample>, String>,
        record: &[u8],
    ) {
        match converted {
            Ok(None) => {}
            Ok(Some(sample)) => {
                let (provider, daily_total) = (endpoint.provider, endpoint.is_daily_total);
                self.add_point(series, Point { provider, source: "", device: "", daily_total, sample });
            }
            Err(reason) => self.reject(Some(series), reason, String::from_utf8_lossy(record).into_owned()),
        }
    }

    /// Takes out the ids of the events that OW has shown.
    pub fn take_shown(&mut self) -> Vec<Box<str>> {
        std::mem::take(&mut self.shown)
    }

    /// How many records were added since this was last asked.
    pub fn take_unreported(&mut self) -> usize {
        std::mem::take(&mut self.unreported)
    }

    /// How many samples and rejects wait.
    pub fn waiting(&self) -> usize {
        self.parts.iter().map(|part| part.samples.len()).sum::<usize>() + self.rejected.len()
    }

    /// How many rejects wait.
    pub fn rejected(&self) -> usize {
        self.rejected.len()
    }

    /// Newest sample time per type since the window began.
    pub fn newest(&self) -> &[(&'static str, Timestamp)] {
        &self.newest
    }

    /// Takes out what can be committed. Before the window's last page the samples of the last instant stay
    /// behind: others of that instant may follow, and the commit has to see them together.
    pub fn take(&mut self, is_last: bool) -> (Vec<Part>, Vec<Rejected>) {
        if is_last {
            let series = self.series.iter().copied().find(|series| series.body == Body::BloodPressure);
            for (reason, text) in self.pairs.alone() {
                self.reject(series, reason, text);
            }
        }
        if std::mem::take(&mut self.is_unsorted) {
            self.parts.iter_mut().for_each(|part| sort(&mut part.samples));
        }
        let edge = self.parts.iter().filter_map(|part| part.samples.last()).map(|last| last.instant).max();
        let mut taken = std::mem::take(&mut self.parts);
        for part in &mut taken {
            if !is_last && part.samples.last().map(|last| last.instant) == edge {
                let behind = part.samples.partition_point(|sample| Some(sample.instant) < edge);
                let samples = part.samples.split_off(behind);
                self.parts.push(Part { key: part.key.clone(), samples });
            }
        }
        taken.retain(|part| !part.samples.is_empty());
        (taken, std::mem::take(&mut self.rejected))
    }

    fn add_record(&mut self, record: &Record<'_>) {
        let series_type = record.series_type.as_deref();
        let series = match series_type {
            Some(name) => self.series.iter().find(|series| series.types().contains(&name)),
            // Which half of a blood pressure it is, nobody can tell.
            None => self.series.first().filter(|one| self.series.len() == 1 && one.types().len() == 1),
        };
        let Some(series) = series.copied() else {
            let reason =
                format!("its type is '{}', which was not asked for", series_type.unwrap_or_default());
            return self.reject(None, reason, describe(record));
        };
        match convert::convert(series, record, &self.zone) {
            Ok(point) if series.body == Body::BloodPressure => {
                let is_systolic = series_type == series.types().first().copied();
                if let Some(sample) = self.pairs.add(&point, is_systolic, describe(record)) {
                    self.add_point(series, Point { sample, ..point });
                }
            }
            Ok(point) => self.add_point(series, point),
            Err(reason) => self.reject(Some(series), reason, describe(record)),
        }
    }

    fn add_point(&mut self, series: &'static Series, point: Point<'_>) {
        let instant = point.sample.instant;
        let is_its = |key: &StreamKey| {
            key.series_type == series.series_type
                && key.provider == point.provider
                && key.source == point.source
                && key.device == point.device
                && key.daily_total == point.daily_total
        };
        match self.parts.iter_mut().find(|part| is_its(&part.key)) {
            Some(part) => self.is_unsorted |= push(&mut part.samples, point.sample),
            None => self.parts.push(Part {
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

    fn reject(&mut self, series: Option<&Series>, reason: String, sample: String) {
        let asked = series.or_else(|| self.series.first().copied());
        let series_type = asked.map_or_else(String::new, |series| series.series_type.to_owned());
        let (reason, sample) = (cut(reason, REASON_CHARS), cut(sample, TEXT_CHARS));
        self.rejected.push(Rejected { series_type, reason, sample });
    }
}

/// Adds a sample; answers whether it comes before one that was added. OW's pages are in the order of time already; of
/// two samples of one instant the last one counts.
fn push(samples: &mut Vec<Sample>, sample: Sample) -> bool {
    match samples.last_mut() {
        Some(last) if is_same(last, &sample) => {
            *last = sample;
            false
        }
        last => {
            let is_before = last.is_some_and(|last| last.instant > sample.instant);
            samples.push(sample);
            is_before
        }
    }
}

/// Puts samples in the order of time, each once.
fn sort(samples: &mut Vec<Sample>) {
    samples.sort_by_key(|sample| sample.instant);
    samples.dedup_by(|later, kept| {
        let is_same = is_same(later, kept);
        if is_same {
            std::mem::swap(kept, later);
        }
        is_same
    });
}

/// Whether one of two samples of a stream stands for the other: of two events that begin at one instant none does.
fn is_same(one: &Sample, other: &Sample) -> bool {
    one.instant == other.instant && one.event() == other.event()
}

/// The beginning of a text, where it is very long.
fn cut(mut text: String, chars: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(chars) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// A record as a text to look at.
fn describe(record: &Record<'_>) -> String {
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

    use crate::ow::page::parse as parse_page;

    fn record(minute: u32, value: &str, device: &str) -> String {
        format!(
            r#"{{"timestamp":"2026-11-21T08:{minute:02}:00Z","type":"heart_rate","value":{value},"unit":"bpm",
                "source":{{"provider":"oura","source":"oura","device":{device}}}}}"#
        )
    }

    fn collect(pages: &[&[String]]) -> Collector {
        let mut collector = Collector::new(&[&series::SERIES[0]], &TimeZone::UTC);
        for page in pages {
            let body = format!(r#"{{"data":[{}],"pagination":{{"has_more":false}}}}"#, page.join(","));
            collector.add(&parse_page(body.as_bytes()).unwrap());
        }
        collector
    }

    fn sizes(parts: &[Part]) -> Vec<(&str, usize)> {
        parts.iter().map(|part| (part.key.device.as_str(), part.samples.len())).collect()
    }

    #[test]
    fn samples_are_gathered_by_stream_and_the_newest_time_is_known() {
        let page = [record(0, "60.0", "null"), record(5, "61.0", "\"Watch\""), record(5, "62.0", "null")];
        let mut collector = collect(&[&page]);
        assert_eq!(collector.newest()[0].1.to_string(), "2026-11-21T08:05:00Z");
        assert_eq!(sizes(&collector.take(true).0), [("", 2), ("Watch", 1)]);
    }

    #[test]
    fn an_instant_is_never_torn_between_two_batches() {
        let first = [record(0, "60.0", "null"), record(5, "61.0", "null")];
        let second = [record(5, "61.0", "\"Ring 4\"")];
        let mut collector = collect(&[&first]);
        assert_eq!(sizes(&collector.take(false).0), [("", 1)]);
        let body = format!(r#"{{"data":[{}]}}"#, second.join(","));
        collector.add(&parse_page(body.as_bytes()).unwrap());
        assert_eq!(sizes(&collector.take(true).0), [("", 1), ("Ring 4", 1)]);
    }

    #[test]
    fn samples_out_of_order_and_of_one_instant_are_put_right() {
        let page = [record(5, "61.0", "null"), record(0, "60.0", "null"), record(5, "63.0", "null")];
        let parts = collect(&[&page]).take(true).0;
        let values: Vec<f64> = parts[0].samples.iter().map(|sample| sample.value).collect();
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
            particulars: None,
        };
        let early = (0..1000).rev().filter(|second| push(&mut samples, sample(*second))).count();
        // Appended, not inserted: an insertion moves every later sample, each time.
        assert!(samples.is_sorted_by(|one, next| one.instant > next.instant) && early == 999);
        sort(&mut samples);
        assert!(samples.is_sorted_by_key(|sample| sample.instant) && samples.len() == 1000);
    }

    #[test]
    fn the_text_and_the_reason_of_a_rejected_record_are_cut() {
        let page = [record(0, &format!("\"{}\"", "ü".repeat(5000)), "null")];
        let (_, rejected) = collect(&[&page]).take(true);
        let chars = |text: &str| text.chars().count();
        assert_eq!(chars(&rejected[0].reason), REASON_CHARS + 1);
        assert_eq!(chars(&rejected[0].sample), TEXT_CHARS + 1);
    }

    #[test]
    fn a_record_that_cannot_be_converted_is_set_apart_with_its_reason() {
        let page = [record(0, "\"high\"", "null"), record(5, "61.0", "null")];
        let (parts, rejected) = collect(&[&page]).take(true);
        assert_eq!((sizes(&parts), rejected.len()), (vec![("", 1)], 1));
        assert_eq!(rejected[0].reason, "its value \"high\" is not a number");
    }
}
