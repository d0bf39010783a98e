//! Reads fields of events, and builds the samples of sleeps, workouts and days of activity. OW's events and
//! Oura's payloads share this code, so that both modes give equal samples.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::common::time::{Timestamp, ZoneOffset};
use crate::model::sample_details::{Intensity, Measure, SampleDetails, StageInterval, TimeFrame};
use crate::model::{catalog::series_type::OmhBody, sample::Sample};
use crate::omh::day::local_day;

/// The name of a day of activity, in the reference converter's words.
const DAY_OF_ACTIVITY: &str = "daily activity summary";

pub(crate) type Measurement = (Measure, Option<f64>);

/// One night or nap. Durations are in seconds.
pub(crate) struct SleepRecord {
    pub(crate) id: Option<Box<str>>,
    pub(crate) frame: TimeFrame,
    pub(crate) is_main_sleep: Option<bool>,
    pub(crate) asleep: Option<f64>,
    pub(crate) in_bed: Option<f64>,
    pub(crate) stages: [Measurement; 3],
    pub(crate) stage_intervals: Vec<StageInterval>,
    pub(crate) others: [Measurement; 3],
}

impl SleepRecord {
    /// Builds the sample for a data point with this body; none where the record lacks its value.
    pub(crate) fn into_sample(self, body: OmhBody) -> Result<Option<Sample>, String> {
        let Self { id, frame, is_main_sleep, asleep, in_bed, stages, stage_intervals, others } = self;
        let (value, measures) = match body {
            OmhBody::SleepDuration => (asleep, BTreeMap::new()),
            OmhBody::SleepEpisode => {
                let total = [(Measure::TotalSleep, asleep)];
                let length = frame.end.since(frame.start).as_secs_f64();
                (Some(asleep.unwrap_or(length)), known(total.into_iter().chain(others)))
            }
            OmhBody::SleepStages => {
                (asleep.filter(|_| has_stages(&stages)), known(stages.into_iter().chain(others)))
            }
            OmhBody::TimeInBed => (in_bed.filter(|seconds| *seconds > 0.0), BTreeMap::new()),
            _ => return Err("a sleep is none of that".to_owned()),
        };
        let stages = if body == OmhBody::SleepStages { stage_intervals } else { Vec::new() };
        let details = SampleDetails { id, is_main_sleep, measures, stages, ..over(frame) };
        Ok(value.map(|value| sample(frame.start, value, frame.start_zone, details)))
    }
}

/// Returns true if a stage is known; 0 seconds count as unknown.
pub(crate) fn has_stages(stages: &[Measurement]) -> bool {
    stages.iter().any(|(_, seconds)| seconds.is_some_and(|seconds| seconds > 0.0))
}

/// One workout. The duration is in seconds, the distance in metres, the energy in kilocalories.
pub(crate) struct WorkoutRecord<'a> {
    pub(crate) id: Option<Box<str>>,
    pub(crate) frame: TimeFrame,
    pub(crate) kind: &'a str,
    pub(crate) title: Option<&'a str>,
    pub(crate) intensity: Option<&'a str>,
    /// Without pauses.
    pub(crate) duration: Option<f64>,
    pub(crate) distance: Option<f64>,
    pub(crate) energy: Option<f64>,
}

impl WorkoutRecord<'_> {
    /// Builds the sample; its value is the duration in seconds, or else the length of the frame.
    pub(crate) fn into_sample(self) -> Sample {
        let measures = known([
            (Measure::Duration, self.duration),
            (Measure::Distance, self.distance),
            (Measure::Energy, self.energy),
        ]);
        let frame = self.frame;
        let details = SampleDetails {
            id: self.id,
            name: Some(self.kind.into()),
            title: self.title.filter(|title| !title.is_empty()).map(Into::into),
            intensity: self.intensity.and_then(Intensity::parse),
            measures,
            ..over(frame)
        };
        let value = self.duration.unwrap_or_else(|| frame.end.since(frame.start).as_secs_f64());
        sample(frame.start, value, frame.start_zone, details)
    }
}

/// Builds the sample of a day's activity. A day without energy and distance gives none: OW writes 0 where
/// nothing was measured.
pub(crate) fn day_activity_sample(
    day: &RecordDay,
    zone: Option<ZoneOffset>,
    energy: Option<f64>,
    distance: Option<f64>,
) -> Option<Sample> {
    let mut measures = known([(Measure::Distance, distance), (Measure::Energy, energy)]);
    measures.retain(|_, value| *value > 0.0);
    if measures.is_empty() {
        return None;
    }
    let value = measures.get(&Measure::Energy).copied().unwrap_or(0.0);
    let details = SampleDetails { name: Some(DAY_OF_ACTIVITY.into()), measures, ..over(day.frame) };
    Some(sample(day.stamp, value, zone, details))
}

fn known(measurements: impl IntoIterator<Item = Measurement>) -> BTreeMap<Measure, f64> {
    measurements.into_iter().filter_map(|(measure, value)| Some((measure, value?))).collect()
}

/// Returns the details of a sample that was measured over an interval.
pub(crate) fn over(frame: TimeFrame) -> SampleDetails {
    SampleDetails { frame: Some(frame), ..SampleDetails::default() }
}

pub(crate) fn sample(
    instant: Timestamp,
    value: f64,
    zone: Option<ZoneOffset>,
    details: SampleDetails,
) -> Sample {
    Sample { instant, value, zone, context: None, details: Some(Arc::new(details)) }
}

/// Returns the id of an event, which its later versions share. An event without one is identified by its
/// start.
pub(crate) fn event_id(record: &Value) -> Option<Box<str>> {
    record["id"].as_str().filter(|id| !id.is_empty()).map(Into::into)
}

/// The date of a record.
pub(crate) struct RecordDay {
    /// Midnight UTC of the date, whatever the time zone: the instant that identifies the day.
    pub(crate) stamp: Timestamp,
    /// The local day.
    pub(crate) frame: TimeFrame,
}

pub(crate) fn parse_day(record: &Value, key: &str, zone: &TimeZone) -> Result<RecordDay, String> {
    let text = text(record, key)?;
    let date: Date = text.parse().map_err(|_| format!("its {key} '{text}' is no date"))?;
    Ok(RecordDay { stamp: local_day(date, &TimeZone::UTC)?.start, frame: local_day(date, zone)? })
}

pub(crate) fn time_frame(
    (start, start_zone): (Timestamp, Option<ZoneOffset>),
    (end, end_zone): (Timestamp, Option<ZoneOffset>),
) -> Result<TimeFrame, String> {
    if end < start {
        return Err("it ends before it begins".to_owned());
    }
    Ok(TimeFrame { start, start_zone, end, end_zone })
}

pub(crate) fn text<'a>(record: &'a Value, key: &str) -> Result<&'a str, String> {
    record[key].as_str().ok_or_else(|| format!("it has no {key}"))
}

pub(crate) fn parse_time(key: &str, text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|error| format!("its {key} '{text}' is wrong: {error}"))
}

/// A reader of a record's numbers. A number that cannot be measured is left out and reported.
pub(crate) struct Numbers<'a> {
    /// Converts a JSON value to a number.
    pub(crate) convert: fn(&Value) -> Option<f64>,
    pub(crate) faults: &'a mut Vec<String>,
}

impl Numbers<'_> {
    /// Reads a number from 0 to `max`; none if it is absent or cannot be measured.
    pub(crate) fn read(&mut self, record: &Value, key: &str, max: f64) -> Option<f64> {
        let value = &record[key];
        if value.is_null() {
            return None;
        }
        let number =
            (self.convert)(value).filter(|number| number.is_finite() && (0.0..=max).contains(number));
        if number.is_none() {
            let range = if max < f64::MAX { format!("from 0 to {max}") } else { "from 0 on".to_owned() };
            self.faults.push(format!("its {key} {value} is not a number {range}"));
        }
        number
    }

    /// Reads the value of a further measure, in units of `unit` of the measure's own.
    pub(crate) fn measure(&mut self, record: &Value, key: &str, measure: Measure, unit: f64) -> Measurement {
        (measure, self.read(record, key, measure.max()).map(|number| number * unit))
    }
}
