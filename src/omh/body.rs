//! The body of a data point, from the columns of an observation: the same row, the same bytes.
//!
//! Keys, units and their order are the reference converter's; for the schemas that only its older version had, that
//! version's.

use std::collections::BTreeMap;

use serde::ser::{Error, SerializeMap};
use serde::{Serialize, Serializer};

use crate::model::catalog::series;
use crate::model::catalog::series_type::{Body, Series};
use crate::model::observation::{Observation, StreamInfo};
use crate::model::sample_details::{Frame, Measure, Particulars};

/// A part of a body.
enum Part<'a> {
    Quantity(f64, &'static str),
    /// A quantity that is written without a fraction, where it has none.
    Count(f64, &'static str),
    Text(&'a str),
    Flag(bool),
    Fields(Fields<'a>),
    Frame(Times),
}

/// Keys and their parts, in the order on the wire.
pub(crate) struct Fields<'a>(Vec<(&'static str, Part<'a>)>);

#[derive(Serialize)]
struct Quantity<N: Serialize> {
    value: N,
    unit: &'static str,
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, part) in &self.0 {
            match part {
                Part::Quantity(value, unit) => map.serialize_entry(key, &Quantity { value: *value, unit })?,
                Part::Count(value, unit) => match whole(*value) {
                    Some(value) => map.serialize_entry(key, &Quantity { value, unit })?,
                    None => map.serialize_entry(key, &Quantity { value: *value, unit })?,
                },
                Part::Text(text) => map.serialize_entry(key, text)?,
                Part::Flag(flag) => map.serialize_entry(key, flag)?,
                Part::Frame(times) => map.serialize_entry(key, times)?,
                Part::Fields(fields) => map.serialize_entry(key, fields)?,
            }
        }
        map.end()
    }
}

/// The whole number that a value is.
#[expect(clippy::cast_possible_truncation, reason = "it is below what a double holds exactly")]
fn whole(value: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (value.fract() == 0.0 && value.abs() < EXACT).then_some(value as i64)
}

/// The body of an observation.
///
/// # Errors
/// Where the catalogue has no row for the stream: it is a later version's.
pub(crate) fn body<'a>(stream: &StreamInfo, observation: &'a Observation) -> serde_json::Result<Fields<'a>> {
    let series = row(stream)?;
    let none = const { &NOTHING };
    let said = observation.particulars.as_deref().unwrap_or(none);
    Ok(Fields(match series.body {
        Body::Value(key, unit) => value(key, unit, observation, said),
        Body::BloodPressure => blood_pressure(observation, said),
        Body::StepCount => vec![("step_count", Part::Count(observation.value, "steps")), frame(observation)],
        Body::SleepDuration => {
            vec![("sleep_duration", Part::Count(observation.value, SECONDS)), frame(observation)]
        }
        Body::SleepEpisode => sleep_episode(observation, said),
        Body::SleepStages => sleep_stages(observation, said),
        Body::TimeInBed => {
            let mut parts =
                vec![("time_in_bed", Part::Count(observation.value, SECONDS)), frame(observation)];
            is_main_sleep(&mut parts, said);
            parts
        }
        Body::Activity => activity(observation, said),
    }))
}

/// The row of the catalogue that a stream is of.
///
/// # Errors
/// Where there is none: it is a later version's.
pub(crate) fn row(stream: &StreamInfo) -> serde_json::Result<&'static Series> {
    series::series(&stream.series_type).ok_or_else(|| {
        serde_json::Error::custom(format!("this version does not know '{}'", stream.series_type))
    })
}

/// The unit of durations.
const SECONDS: &str = "sec";
const NOTHING: Particulars = Particulars {
    id: None,
    frame: None,
    name: None,
    is_main_sleep: None,
    asleep: false,
    average: false,
    minimum: false,
    measures: BTreeMap::new(),
};

type Parts<'a> = Vec<(&'static str, Part<'a>)>;

fn value<'a>(
    key: &'static str,
    unit: &'static str,
    observation: &Observation,
    said: &Particulars,
) -> Parts<'a> {
    let mut parts = vec![(key, Part::Quantity(observation.value, unit)), frame(observation)];
    if said.asleep {
        parts.push(("temporal_relationship_to_sleep", Part::Text("during sleep")));
    }
    if said.average {
        parts.push(("descriptive_statistic", Part::Text("average")));
    }
    if said.minimum {
        parts.push(("descriptive_statistic", Part::Text("minimum")));
    }
    parts
}

fn blood_pressure<'a>(observation: &Observation, said: &Particulars) -> Parts<'a> {
    const MMHG: &str = "mmHg";
    let diastolic = said.measure(Measure::Diastolic);
    let mut parts = vec![("systolic_blood_pressure", Part::Quantity(observation.value, MMHG))];
    parts.extend(diastolic.map(|value| ("diastolic_blood_pressure", Part::Quantity(value, MMHG))));
    parts.push(frame(observation));
    parts
}

fn sleep_episode<'a>(observation: &Observation, said: &Particulars) -> Parts<'a> {
    let mut parts = vec![frame(observation)];
    seconds(
        &mut parts,
        said,
        &[
            (Measure::TotalSleep, "total_sleep_time"),
            (Measure::Awake, "wake_after_sleep_onset"),
            (Measure::Latency, "latency_to_sleep_onset"),
        ],
    );
    percent(&mut parts, said, "sleep_maintenance_efficiency_percentage");
    is_main_sleep(&mut parts, said);
    parts
}

fn sleep_stages<'a>(observation: &Observation, said: &Particulars) -> Parts<'a> {
    let mut summary = vec![("total_sleep_time", Part::Count(observation.value, SECONDS))];
    seconds(
        &mut summary,
        said,
        &[
            (Measure::LightSleep, "light_sleep_duration"),
            (Measure::DeepSleep, "deep_sleep_duration"),
            (Measure::RemSleep, "rem_sleep_duration"),
            (Measure::Awake, "awake_duration"),
            (Measure::Latency, "latency_to_sleep_onset"),
        ],
    );
    percent(&mut summary, said, "sleep_efficiency_percentage");
    let mut parts = vec![("sleep_stage_summary", Part::Fields(Fields(summary))), frame(observation)];
    is_main_sleep(&mut parts, said);
    parts
}

fn activity<'a>(observation: &Observation, said: &'a Particulars) -> Parts<'a> {
    let mut parts =
        vec![("activity_name", Part::Text(said.name.as_deref().unwrap_or_default())), frame(observation)];
    let measured = [(Measure::Distance, "distance", "m"), (Measure::Energy, "kcal_burned", "kcal")];
    for (measure, key, unit) in measured {
        parts.extend(said.measure(measure).map(|value| (key, Part::Quantity(value, unit))));
    }
    parts
}

fn seconds(parts: &mut Parts<'_>, said: &Particulars, measures: &[(Measure, &'static str)]) {
    for (measure, key) in measures {
        parts.extend(said.measure(*measure).map(|value| (*key, Part::Count(value, SECONDS))));
    }
}

fn percent(parts: &mut Parts<'_>, said: &Particulars, key: &'static str) {
    parts.extend(said.measure(Measure::Efficiency).map(|value| (key, Part::Quantity(value, "%"))));
}

fn is_main_sleep(parts: &mut Parts<'_>, said: &Particulars) {
    parts.extend(said.is_main_sleep.map(|is| ("is_main_sleep", Part::Flag(is))));
}

fn frame<'a>(observation: &Observation) -> (&'static str, Part<'a>) {
    ("effective_time_frame", Part::Frame(Times::of(observation)))
}

/// When an observation was measured, as a local clock read it.
pub(crate) struct Times {
    /// The instant, or the beginning.
    pub(crate) start: String,
    /// The end of an interval.
    pub(crate) end: Option<String>,
}

impl Times {
    pub(crate) fn of(observation: &Observation) -> Self {
        match observation.frame() {
            None => Self { start: observation.instant.local(observation.zone).to_string(), end: None },
            Some(Frame { start, start_zone, end, end_zone }) => Self {
                start: start.local(start_zone).to_string(),
                end: Some(end.local(end_zone).to_string()),
            },
        }
    }
}

impl Serialize for Times {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Interval<'a> {
            start_date_time: &'a str,
            end_date_time: &'a str,
        }
        let mut map = serializer.serialize_map(Some(1))?;
        match &self.end {
            None => map.serialize_entry("date_time", &self.start)?,
            Some(end) => map.serialize_entry(
                "time_interval",
                &Interval { start_date_time: &self.start, end_date_time: end },
            )?,
        }
        map.end()
    }
}
