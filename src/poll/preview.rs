//! Converts records that are not stored, for `jhe-ow convert`: the same collector, converters and renderer as a tick.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::common::time::Timestamp;
use crate::config::settings::IngestMode;
use crate::model::catalog::endpoint::Endpoint;
use crate::model::catalog::series::SERIES;
use crate::model::catalog::series_type::{Origin, Series};
use crate::model::catalog::{endpoint, series};
use crate::model::consent_intervals::Interval;
use crate::model::observation::StreamInfo;
use crate::omh::render;
use crate::ow::page::{BadRecord, EventPage, Page, parse_record};
use crate::poll::collect;
use crate::poll::collect::Collector;

/// The patient whose records are converted.
#[derive(Debug)]
pub struct Preview {
    /// The time zone that decides which hours a day has.
    pub zone: TimeZone,
    /// The OW user id, which is part of each identifier. May be empty.
    pub subject: String,
    /// When OW stored the payload: the time of weight and height in raw mode.
    pub stored: Option<Timestamp>,
}

/// The outcome of one line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Converted {
    /// The OMH documents that would be stored.
    pub data_points: Vec<String>,
    /// The reasons why records would be rejected, each once.
    pub rejected: Vec<String>,
}

/// The answer that a record is part of.
enum Source {
    /// `/timeseries`, `/events/…` or `/summaries/activity` of OW.
    Ow(Origin),
    /// An endpoint of the provider, in raw mode.
    Provider(&'static Endpoint),
}

impl Preview {
    /// Converts one line: a record, or a list of records that OW sent together.
    ///
    /// # Errors
    /// A sentence that says why the line is not JSON.
    pub fn convert(&self, line: &str) -> Result<Converted, String> {
        let records = match serde_json::from_str::<Vec<&RawValue>>(line) {
            Ok(records) => records,
            Err(_) => vec![serde_json::from_str::<&RawValue>(line).map_err(|error| {
                // A line is all that was read.
                format!("it is not JSON: {error}").replace(" at line 1 column ", " at column ")
            })?],
        };
        let mut converted = Converted::default();
        // Samples share one collector: two records can make one blood pressure.
        let mut timeseries = self.collector(Origin::Timeseries(&[]));
        for record in records.into_iter().map(RawValue::get) {
            match Source::of(record) {
                Ok(Source::Ow(Origin::Timeseries(_))) => {
                    timeseries.add(&Page { records: vec![parse_record(record)], next_cursor: None });
                }
                Ok(Source::Ow(origin)) => {
                    let mut events = self.collector(origin);
                    let read = serde_json::from_str(record).map_err(|error| BadRecord {
                        reason: format!("it cannot be read: {error}"),
                        text: String::new(),
                    });
                    let always = Interval { from: Timestamp::MIN, until: Timestamp::MAX };
                    events.add_events(&EventPage { records: vec![read], next_cursor: None }, always);
                    self.take(events, IngestMode::Normalized, &mut converted);
                }
                Ok(Source::Provider(endpoint)) => {
                    let series: Vec<_> =
                        endpoint.series.iter().filter_map(|name| series::series(name)).collect();
                    let mut payload = Collector::new(&series, &self.zone);
                    let origin = collect::Origin { endpoint, series: &series, stored: self.stored };
                    if let Err(error) = payload.add_raw(&origin, record.as_bytes()) {
                        converted.reject(error.to_string());
                    }
                    self.take(payload, IngestMode::Raw, &mut converted);
                }
                Err(reason) => converted.reject(reason.to_owned()),
            }
        }
        self.take(timeseries, IngestMode::Normalized, &mut converted);
        Ok(converted)
    }

    /// Returns a collector for everything that comes from where `origin` does.
    fn collector(&self, origin: Origin) -> Collector {
        let rows: Vec<&'static Series> =
            SERIES.iter().filter(|series| series.origin.shares_request(origin)).collect();
        Collector::new(&rows, &self.zone)
    }

    fn take(&self, mut collector: Collector, mode: IngestMode, converted: &mut Converted) {
        let (parts, rejected) = collector.take(true);
        for part in parts {
            let stream = StreamInfo::unstored(&part.key, &self.subject, mode.system());
            for sample in part.samples {
                match render::omh_document(&stream, &sample.into()) {
                    Ok(document) => converted.data_points.push(document),
                    Err(error) => converted.reject(error.to_string()),
                }
            }
        }
        rejected.into_iter().for_each(|one| converted.reject(one.reason));
    }
}

impl Converted {
    fn reject(&mut self, reason: String) {
        // A night is read once for each of its data points, and may be wrong as a whole.
        if !self.rejected.contains(&reason) {
            self.rejected.push(reason);
        }
    }
}

impl Source {
    /// Recognizes a record by its keys. The daemon knows which answer it reads, and of raw payloads without a note it
    /// recognizes them in the same way.
    fn of(record: &str) -> Result<Self, &'static str> {
        let keys: BTreeMap<String, IgnoredAny> =
            serde_json::from_str(record).map_err(|_| "it is not an object")?;
        let has = |key: &str| keys.contains_key(key);
        if let Some(endpoint) = endpoint::endpoint_like(std::iter::once(record.as_bytes())) {
            return Ok(Self::Provider(endpoint));
        }
        Ok(Self::Ow(if has("value") || has("timestamp") && has("type") {
            Origin::Timeseries(&[])
        } else if has("sessions") || has("nap_count") {
            return Err("it is a sleep summary, which the daemon does not read: it reads OW's sleep events");
        } else if has("date") {
            Origin::Activity
        } else if has("start_time") && has("type") {
            Origin::Workouts
        } else if has("start_time") {
            Origin::Sleep
        } else {
            return Err("its keys are those of no record that the daemon reads");
        }))
    }
}
