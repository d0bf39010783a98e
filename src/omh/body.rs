//! Renders the body of a data point from the columns of an observation. The same row gives the same bytes.
//!
//! Keys, units and their order are the reference converter's (omh-shim 2.1.0). For a schema that only its
//! older version had, they are that version's. Statistic, state of the wearer, duration, intensity and title follow
//! them where known.

use serde::ser::{Error, SerializeMap};
use serde::{Serialize, Serializer};

use crate::model::catalog::method::{self, Statistic, WearerState};
use crate::model::catalog::series;
use crate::model::catalog::series_type::{Aggregation, OmhBody, SeriesType};
use crate::model::observation::{Observation, StreamInfo};
use crate::model::sample_details::{Measure, SampleDetails, TimeFrame};

/// The unit of durations.
const SECONDS: &str = "sec";
const MMHG: &str = "mmHg";

enum FieldValue<'a> {
    Quantity(f64, &'static str),
    /// A quantity that is written without a fraction if it is a whole number.
    Count(f64, &'static str),
    Text(&'a str),
    Flag(bool),
    Object(BodyFields<'a>),
    Time(EffectiveTime),
}

type Field<'a> = (&'static str, FieldValue<'a>);

/// Keys and values in their order on the wire.
pub(crate) struct BodyFields<'a>(Vec<Field<'a>>);

#[derive(Serialize)]
struct Quantity<N: Serialize> {
    value: N,
    unit: &'static str,
}

impl Serialize for BodyFields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            match value {
                FieldValue::Quantity(value, unit) => {
                    map.serialize_entry(key, &Quantity { value: *value, unit })?;
                }
                FieldValue::Count(value, unit) => match whole_number(*value) {
                    Some(value) => map.serialize_entry(key, &Quantity { value, unit })?,
                    None => map.serialize_entry(key, &Quantity { value: *value, unit })?,
                },
                FieldValue::Text(text) => map.serialize_entry(key, text)?,
                FieldValue::Flag(flag) => map.serialize_entry(key, flag)?,
                FieldValue::Time(time) => map.serialize_entry(key, time)?,
                FieldValue::Object(fields) => map.serialize_entry(key, fields)?,
            }
        }
        map.end()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "it is below what a double holds exactly")]
fn whole_number(value: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (value.fract() == 0.0 && value.abs() < EXACT).then_some(value as i64)
}

/// Returns the body of an observation. Fails if the stream is of a series type that only a later version
/// knows.
pub(crate) fn body<'a>(
    stream: &StreamInfo,
    observation: &'a Observation,
) -> serde_json::Result<BodyFields<'a>> {
    let details = observation.details.as_deref();
    let (value, time) = (observation.value, effective_time(observation));
    let series = series_of(stream)?;
    let body = series.body;
    let mut fields = match body {
        OmhBody::Value(key, unit) if series.aggregation == Aggregation::Sum => {
            vec![(key, FieldValue::Quantity(value, unit)), interval(observation)]
        }
        OmhBody::Value(key, unit) => vec![(key, FieldValue::Quantity(value, unit)), time],
        OmhBody::BloodPressure => {
            let mut fields = vec![("systolic_blood_pressure", FieldValue::Quantity(value, MMHG))];
            fields.extend(measure(details, Measure::Diastolic, "diastolic_blood_pressure", MMHG));
            fields.push(time);
            fields
        }
        OmhBody::StepCount => vec![("step_count", FieldValue::Count(value, "steps")), interval(observation)],
        OmhBody::SleepDuration => vec![("sleep_duration", FieldValue::Count(value, SECONDS)), time],
        OmhBody::SleepEpisode => {
            let mut fields = vec![time];
            fields.extend(seconds(details, Measure::TotalSleep, "total_sleep_time"));
            fields.extend(seconds(details, Measure::Awake, "wake_after_sleep_onset"));
            fields.extend(seconds(details, Measure::Latency, "latency_to_sleep_onset"));
            // Not `sleep_maintenance_efficiency_percentage`: that is of the time after falling asleep.
            fields.extend(measure(details, Measure::Efficiency, "sleep_efficiency_percentage", "%"));
            fields
        }
        OmhBody::SleepStages => {
            let mut summary = vec![("total_sleep_time", FieldValue::Count(value, SECONDS))];
            summary.extend(seconds(details, Measure::LightSleep, "light_sleep_duration"));
            summary.extend(seconds(details, Measure::DeepSleep, "deep_sleep_duration"));
            summary.extend(seconds(details, Measure::RemSleep, "rem_sleep_duration"));
            summary.extend(seconds(details, Measure::Awake, "awake_duration"));
            summary.extend(seconds(details, Measure::Latency, "latency_to_sleep_onset"));
            summary.extend(measure(details, Measure::Efficiency, "sleep_efficiency_percentage", "%"));
            vec![("sleep_stage_summary", FieldValue::Object(BodyFields(summary))), time]
        }
        OmhBody::TimeInBed => vec![("time_in_bed", FieldValue::Count(value, SECONDS)), time],
        OmhBody::Activity => {
            let name = details.and_then(|details| details.name.as_deref()).unwrap_or_default();
            let mut fields = vec![("activity_name", FieldValue::Text(name)), time];
            fields.extend(measure(details, Measure::Distance, "distance", "m"));
            fields.extend(measure(details, Measure::Energy, "kcal_burned", "kcal"));
            fields.extend(seconds(details, Measure::Duration, "duration"));
            let intensity = details.and_then(|details| details.intensity);
            let intensity =
                intensity.map(|one| ("reported_activity_intensity", FieldValue::Text(one.as_str())));
            fields.extend(intensity);
            let title = details.and_then(|details| details.title.as_deref());
            fields.extend(title.map(|title| ("activity_title", FieldValue::Text(title))));
            fields
        }
    };
    let method = method::find(series, &stream.provider, stream.daily_total);
    if matches!(body, OmhBody::Value(..) | OmhBody::StepCount) {
        // A part of a total is a sum by nature; the total of a day says so.
        let statistic = method.statistic.filter(|one| *one != Statistic::Sum || stream.daily_total);
        let denominator = statistic.filter(|one| *one == Statistic::Sum).map(|_| "d");
        let (at_rest, asleep) = match method.wearer {
            Some(WearerState::AtRest) => (Some("at rest"), None),
            Some(WearerState::Asleep) => (None, Some("during sleep")),
            None => (None, None),
        };
        let texts = [
            ("descriptive_statistic", statistic.map(Statistic::as_str)),
            ("descriptive_statistic_denominator", denominator),
            ("temporal_relationship_to_physical_activity", at_rest),
            ("temporal_relationship_to_sleep", asleep),
        ];
        fields.extend(texts.into_iter().filter_map(|(key, text)| Some((key, FieldValue::Text(text?)))));
    }
    fields.extend(
        details.and_then(|details| details.is_main_sleep).map(|is| ("is_main_sleep", FieldValue::Flag(is))),
    );
    Ok(BodyFields(fields))
}

/// Returns the series type of a stream. Fails for one that only a later version knows.
pub(crate) fn series_of(stream: &StreamInfo) -> serde_json::Result<&'static SeriesType> {
    series::find(&stream.series_type).ok_or_else(|| {
        serde_json::Error::custom(format!("this version does not know '{}'", stream.series_type))
    })
}

fn measure<'a>(
    details: Option<&SampleDetails>,
    measure: Measure,
    key: &'static str,
    unit: &'static str,
) -> Option<Field<'a>> {
    Some((key, FieldValue::Quantity(details?.measure(measure)?, unit)))
}

fn seconds<'a>(details: Option<&SampleDetails>, measure: Measure, key: &'static str) -> Option<Field<'a>> {
    Some((key, FieldValue::Count(details?.measure(measure)?, SECONDS)))
}

fn effective_time<'a>(observation: &Observation) -> Field<'a> {
    ("effective_time_frame", FieldValue::Time(EffectiveTime::of(observation)))
}

/// Returns the interval of a sum, as the schemas of sums want it. One of unknown length ends where it begins.
fn interval<'a>(observation: &Observation) -> Field<'a> {
    let EffectiveTime { start, end } = EffectiveTime::of(observation);
    let end = Some(end.unwrap_or_else(|| start.clone()));
    ("effective_time_frame", FieldValue::Time(EffectiveTime { start, end }))
}

/// The time of a measurement as a local clock showed it.
pub(crate) struct EffectiveTime {
    /// The instant, or the start of an interval.
    pub(crate) start: String,
    /// The end of an interval.
    pub(crate) end: Option<String>,
}

impl EffectiveTime {
    /// Returns the time in UTC, as JHE renders it.
    pub(crate) fn in_utc(observation: &Observation) -> Self {
        match observation.frame() {
            None => Self { start: observation.instant.to_string(), end: None },
            Some(TimeFrame { start, end, .. }) => {
                Self { start: start.to_string(), end: Some(end.to_string()) }
            }
        }
    }

    pub(crate) fn of(observation: &Observation) -> Self {
        match observation.frame() {
            None => Self { start: observation.instant.local(observation.zone).to_string(), end: None },
            Some(TimeFrame { start, start_zone, end, end_zone }) => Self {
                start: start.local(start_zone).to_string(),
                end: Some(end.local(end_zone).to_string()),
            },
        }
    }
}

impl Serialize for EffectiveTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct TimeInterval<'a> {
            start_date_time: &'a str,
            end_date_time: &'a str,
        }
        let mut map = serializer.serialize_map(Some(1))?;
        match &self.end {
            None => map.serialize_entry("date_time", &self.start)?,
            Some(end) => map.serialize_entry(
                "time_interval",
                &TimeInterval { start_date_time: &self.start, end_date_time: end },
            )?,
        }
        map.end()
    }
}
