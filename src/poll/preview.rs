//! Converts records without storing them, for `jhe-ow convert`, with the collector, converters and renderer
//! of a tick.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::common::time::Timestamp;
use crate::config::settings::IngestMode;
use crate::model::catalog::endpoint::{self, ProviderEndpoint};
use crate::model::catalog::series::{self, SERIES};
use crate::model::catalog::series_type::{OwEndpoint, SeriesType};
use crate::model::{consent_intervals::Interval, observation::StreamInfo};
use crate::omh::render;
use crate::ow::page::{EventPage, InvalidRecord, TimeseriesPage, parse_record};
use crate::poll::collect::{Collector, PayloadOrigin};

/// The properties of the patient whose records are converted.
#[derive(Debug)]
pub struct Preview {
    /// The time zone that decides when a day begins.
    pub zone: TimeZone,
    /// The OW user id, which is part of each identifier. May be empty.
    pub subject: String,
    /// The time at which OW stored the payload, which dates weight and height in raw mode.
    pub stored: Option<Timestamp>,
    /// Records dated more than a day later are rejected.
    pub now: Timestamp,
}

/// The data points and errors of one line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Converted {
    /// The OMH documents that would be stored.
    pub data_points: Vec<String>,
    /// The reasons of rejected records, each once.
    pub rejected: Vec<String>,
}

/// The response that a record is part of.
enum RecordOrigin {
    /// `/timeseries`, `/events/…` or `/summaries/activity` of OW.
    Ow(OwEndpoint),
    /// An endpoint of the provider, in raw mode.
    Provider(&'static ProviderEndpoint),
}

impl Preview {
    /// Converts one line: a record, or a list of records that OW sent together. The error says why it is not
    /// JSON.
    pub fn convert(&self, line: &str) -> Result<Converted, String> {
        let records = match serde_json::from_str::<Vec<&RawValue>>(line) {
            Ok(records) => records,
            Err(_) => vec![serde_json::from_str::<&RawValue>(line).map_err(|error| {
                // The input is a single line.
                format!("it is not JSON: {error}").replace(" at line 1 column ", " at column ")
            })?],
        };
        let mut converted = Converted::default();
        // Samples share one collector: two records can make one blood pressure.
        let mut timeseries = self.collector(OwEndpoint::Timeseries(&[]));
        for record in records.into_iter().map(RawValue::get) {
            match RecordOrigin::recognize(record) {
                Ok(RecordOrigin::Ow(OwEndpoint::Timeseries(_))) => {
                    timeseries
                        .add(&TimeseriesPage { records: vec![parse_record(record)], next_cursor: None });
                }
                Ok(RecordOrigin::Ow(origin)) => {
                    let mut events = self.collector(origin);
                    let read = serde_json::from_str(record).map_err(|error| InvalidRecord {
                        reason: format!("it cannot be read: {error}"),
                        text: String::new(),
                    });
                    let always = Interval { from: Timestamp::MIN, until: Timestamp::MAX };
                    events.add_events(&EventPage { records: vec![read], next_cursor: None }, always);
                    self.render(events, IngestMode::Normalized, &mut converted);
                }
                Ok(RecordOrigin::Provider(endpoint)) => {
                    let series: Vec<_> =
                        endpoint.series.iter().filter_map(|name| series::find(name)).collect();
                    let mut payload = Collector::new(&series, &self.zone, self.now);
                    let origin = PayloadOrigin { endpoint, series: &series, stored: self.stored };
                    if let Err(error) = payload.add_raw(&origin, record.as_bytes()) {
                        converted.reject(error.to_string());
                    }
                    self.render(payload, IngestMode::Raw, &mut converted);
                }
                Err(reason) => converted.reject(reason.to_owned()),
            }
        }
        self.render(timeseries, IngestMode::Normalized, &mut converted);
        Ok(converted)
    }

    /// Returns a collector for all series types of a response of `origin`.
    fn collector(&self, origin: OwEndpoint) -> Collector {
        let rows: Vec<&'static SeriesType> =
            SERIES.iter().filter(|series| series.origin.shares_request(origin)).collect();
        Collector::new(&rows, &self.zone, self.now)
    }

    fn render(&self, mut collector: Collector, mode: IngestMode, converted: &mut Converted) {
        let (streams, rejected) = collector.take_batch(true);
        for stream_samples in streams {
            let stream = StreamInfo::unstored(&stream_samples.key, &self.subject, mode.system());
            for sample in stream_samples.samples {
                match render::omh_document(&stream, &sample.into()) {
                    Ok(document) => converted.data_points.push(document),
                    Err(error) => converted.reject(error.to_string()),
                }
            }
        }
        for record in rejected {
            converted.reject(record.reason);
        }
    }
}

impl Converted {
    fn reject(&mut self, reason: String) {
        // A night is converted once per data point: an error of the whole record occurs several times.
        if !self.rejected.contains(&reason) {
            self.rejected.push(reason);
        }
    }
}

impl RecordOrigin {
    /// Recognizes a record by its keys. The daemon recognizes raw payloads without metadata in the same way;
    /// otherwise it knows which response it reads.
    fn recognize(record: &str) -> Result<Self, &'static str> {
        // Only the keys matter: the values are skipped.
        #[expect(clippy::zero_sized_map_values, reason = "serde reads an object into a map only")]
        let keys: BTreeMap<String, IgnoredAny> =
            serde_json::from_str(record).map_err(|_| "it is not an object")?;
        let has = |key: &str| keys.contains_key(key);
        if let Some(endpoint) = endpoint::guess_from_records(std::iter::once(record.as_bytes())) {
            return Ok(Self::Provider(endpoint));
        }
        Ok(Self::Ow(if has("value") || has("timestamp") && has("type") {
            OwEndpoint::Timeseries(&[])
        } else if has("sessions") || has("nap_count") {
            return Err("it is a sleep summary, which the daemon does not read: it reads OW's sleep events");
        } else if has("date") {
            OwEndpoint::Activity
        } else if has("start_time") && has("type") {
            OwEndpoint::Workouts
        } else if has("start_time") {
            OwEndpoint::Sleep
        } else {
            return Err("its keys are those of no record that the daemon reads");
        }))
    }
}
