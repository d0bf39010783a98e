//! From OW's nights, workouts and daily summaries to what is kept of them.
//!
//! Shapes as OW 0.6 and 0.9 send them. A record that says nothing of what a row of the catalogue is about gives nothing,
//! which is no error; one that cannot be read is refused with a reason.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::common::time::{Timestamp, ZoneOffset};
use crate::model::catalog::series_type::{Body, Origin, Series};
use crate::model::sample::Sample;
use crate::model::sample_details::{Frame, Measure, Particulars};
use crate::omh::day::whole_day;

const SECONDS_PER_MINUTE: f64 = 60.0;

/// What a record of an event became, and the stream it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct EventPoint {
    /// OW's `source.provider`; empty where OW gives none. So are the next two.
    pub provider: String,
    /// OW's `source.source`.
    pub source: String,
    /// OW's `source.device`.
    pub device: String,
    /// Whether it is of a whole day.
    pub daily_total: bool,
    /// What is kept.
    pub sample: Sample,
}

/// Converts one record of where `series` comes from. `zone` is the patient's: a summary's date is a day there.
///
/// # Errors
/// A sentence that says what is wrong with the record.
pub fn convert_event(series: &Series, record: &Value, zone: &TimeZone) -> Result<Option<EventPoint>, String> {
    if !record.is_object() {
        return Err("it is not an object".to_owned());
    }
    let sample = match series.origin {
        Origin::Sleep => sleep(series.body, record)?,
        Origin::Workouts => Some(workout(record)?),
        Origin::Activity => daily_activity(record, zone)?,
        Origin::Timeseries(_) => return Err(format!("'{}' is no event", series.series_type)),
    };
    let from = |part: &str| record["source"][part].as_str().unwrap_or_default().to_owned();
    Ok(sample.map(|sample| EventPoint {
        provider: from("provider"),
        source: from("source"),
        device: from("device"),
        daily_total: series.origin == Origin::Activity,
        sample,
    }))
}

/// The instant at which a record of an event begins, where it says so: to tell which time it is of.
pub fn event_start(record: &Value) -> Option<Timestamp> {
    Timestamp::parse(record["start_time"].as_str()?).ok()
}

fn sleep(body: Body, record: &Value) -> Result<Option<Sample>, String> {
    let (frame, id) = (frame(record)?, id(record));
    let asleep = number(record, "sleep_duration_seconds")?;
    let efficiency = number(record, "efficiency_percent")?;
    let stage = |name: &str| {
        Ok::<_, String>(number(&record["stages"], name)?.map(|minutes| minutes * SECONDS_PER_MINUTE))
    };
    let stages = [
        (Measure::LightSleep, stage("light_minutes")?),
        (Measure::DeepSleep, stage("deep_minutes")?),
        (Measure::RemSleep, stage("rem_minutes")?),
    ];
    // OW writes 0 where a stage is not known: a night without any stage has none that are known.
    let has_stages = stages.iter().any(|(_, seconds)| seconds.is_some_and(|seconds| seconds > 0.0));
    let awake = stage("awake_minutes")?.filter(|awake| has_stages || *awake > 0.0);
    let mut measures: BTreeMap<Measure, f64> = BTreeMap::new();
    let mut say = |measure, value: Option<f64>| measures.extend(value.map(|value| (measure, value)));
    let value = match body {
        Body::SleepDuration => asleep,
        Body::SleepEpisode => {
            say(Measure::TotalSleep, asleep);
            say(Measure::Awake, awake);
            say(Measure::Efficiency, efficiency);
            asleep.or(Some(frame.end.since(frame.start).as_secs_f64()))
        }
        Body::SleepStages => {
            for (measure, seconds) in stages {
                say(measure, seconds);
            }
            say(Measure::Awake, awake);
            say(Measure::Efficiency, efficiency);
            asleep.filter(|_| has_stages)
        }
        Body::TimeInBed => {
            let in_bed = number(record, "time_in_bed_seconds")?;
            in_bed.or(number(record, "duration_seconds")?).filter(|seconds| *seconds > 0.0)
        }
        _ => return Err("a sleep is none of that".to_owned()),
    };
    let particulars = Particulars {
        id,
        frame: Some(frame),
        is_main_sleep: Some(!record["is_nap"].as_bool().unwrap_or(false)),
        measures,
        ..Particulars::default()
    };
    Ok(value.map(|value| sample(frame.start, value, frame.start_zone, particulars)))
}

fn workout(record: &Value) -> Result<Sample, String> {
    let (frame, id) = (frame(record)?, id(record));
    let name = record["type"].as_str().ok_or("it has no type")?;
    let lasted = number(record, "duration_seconds")?;
    let mut measures = BTreeMap::new();
    measures.extend(number(record, "distance_meters")?.map(|distance| (Measure::Distance, distance)));
    measures.extend(number(record, "calories_kcal")?.map(|energy| (Measure::Energy, energy)));
    let particulars =
        Particulars { id, frame: Some(frame), name: Some(name.into()), measures, ..Particulars::default() };
    let value = lasted.unwrap_or_else(|| frame.end.since(frame.start).as_secs_f64());
    Ok(sample(frame.start, value, frame.start_zone, particulars))
}

/// The name of what is no workout but the whole of a day, in the reference converter's words.
const ALL_DAY: &str = "daily activity summary";

/// A day without energy and without distance is one on which nothing of it was measured: OW writes 0 then.
fn daily_activity(record: &Value, zone: &TimeZone) -> Result<Option<Sample>, String> {
    let text = record["date"].as_str().ok_or("it has no date")?;
    let date = text.parse::<jiff::civil::Date>().map_err(|_| format!("its date '{text}' is no date"))?;
    let frame = whole_day(date, zone)?;
    // The name of the day, whatever the patient's zone is: midnight UTC of its date.
    let place = whole_day(date, &TimeZone::UTC)?.start;
    let (energy, distance) = (number(record, "active_calories_kcal")?, number(record, "distance_meters")?);
    Ok(whole_days_activity(place, frame, energy, distance))
}

/// What a day's activity came to; none where it came to nothing, since then nothing was measured.
pub(crate) fn whole_days_activity(
    place: Timestamp,
    frame: Frame,
    energy: Option<f64>,
    distance: Option<f64>,
) -> Option<Sample> {
    let moved = [(Measure::Distance, distance), (Measure::Energy, energy)];
    let told = moved.into_iter().filter_map(|(measure, value)| Some((measure, value?)));
    let measures: BTreeMap<Measure, f64> = told.filter(|(_, value)| *value > 0.0).collect();
    if measures.is_empty() {
        return None;
    }
    let value = measures.get(&Measure::Energy).copied().unwrap_or(0.0);
    let particulars =
        Particulars { frame: Some(frame), name: Some(ALL_DAY.into()), measures, ..Particulars::default() };
    Some(sample(place, value, None, particulars))
}

/// A sample that says more than its value.
pub(crate) fn sample(
    instant: Timestamp,
    value: f64,
    zone: Option<ZoneOffset>,
    particulars: Particulars,
) -> Sample {
    Sample { instant, value, zone, context: None, particulars: Some(Arc::new(particulars)) }
}

/// The id of an event, which a later version of it has too; where there is none the beginning tells one from another.
pub(crate) fn id(record: &Value) -> Option<Box<str>> {
    record["id"].as_str().filter(|id| !id.is_empty()).map(Into::into)
}

fn frame(record: &Value) -> Result<Frame, String> {
    let (start, end) = (time(record, "start_time")?, time(record, "end_time")?);
    if end < start {
        return Err("it ends before it begins".to_owned());
    }
    let zone = record["zone_offset"].as_str().and_then(ZoneOffset::parse);
    Ok(Frame { start, start_zone: zone, end, end_zone: zone })
}

fn time(record: &Value, key: &str) -> Result<Timestamp, String> {
    let text = record[key].as_str().ok_or_else(|| format!("it has no {key}"))?;
    Timestamp::parse(text).map_err(|error| format!("its {key} '{text}' is wrong: {error}"))
}

/// A number that may be absent.
fn number(record: &Value, key: &str) -> Result<Option<f64>, String> {
    match record.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64().filter(|number| number.is_finite() && *number >= 0.0) {
            Some(number) => Ok(Some(number)),
            None => Err(format!("its {key} {value} is not a number from 0 on")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::series::series;
    use serde_json::json;

    fn convert(name: &str, record: &Value) -> Result<Option<Sample>, String> {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        Ok(convert_event(series(name).unwrap(), record, &zone)?.map(|point| point.sample))
    }

    fn night() -> Value {
        json!({
            "id": "e1", "start_time": "2026-11-20T22:10:00Z", "end_time": "2026-11-21T05:10:00Z",
            "zone_offset": "+01:00", "source": { "provider": "oura", "source": "oura", "device": null },
            "duration_seconds": 25200, "sleep_duration_seconds": 23400, "efficiency_percent": 92.0,
            "stages": { "awake_minutes": 30, "light_minutes": 210, "deep_minutes": 90, "rem_minutes": 90 },
            "is_nap": false,
        })
    }

    #[test]
    fn a_night_becomes_its_duration_its_episode_its_stages_and_the_time_in_bed() {
        let seconds = |name| convert(name, &night()).unwrap().unwrap().value.to_string();
        assert_eq!((seconds("sleep_duration"), seconds("time_in_bed")), ("23400".into(), "25200".into()));
        let episode = convert("sleep_episode", &night()).unwrap().unwrap();
        let said = episode.particulars.unwrap();
        assert_eq!(said.measure(Measure::TotalSleep), Some(23_400.0));
        assert_eq!(said.measure(Measure::Awake), Some(1800.0));
        assert_eq!((said.id.as_deref(), said.is_main_sleep), (Some("e1"), Some(true)));
        let stages = convert("sleep_stage_summary", &night()).unwrap().unwrap().particulars.unwrap();
        assert_eq!(stages.measure(Measure::RemSleep), Some(5400.0));
    }

    #[test]
    fn what_a_night_does_not_tell_is_not_made_up() {
        let mut record = night();
        record["stages"] =
            json!({ "awake_minutes": 0, "light_minutes": 0, "deep_minutes": 0, "rem_minutes": 0 });
        record["sleep_duration_seconds"] = Value::Null;
        assert_eq!(convert("sleep_duration", &record), Ok(None));
        assert_eq!(convert("sleep_stage_summary", &record), Ok(None));
        let episode = convert("sleep_episode", &record).unwrap().unwrap();
        assert_eq!(episode.particulars.unwrap().measures, BTreeMap::from([(Measure::Efficiency, 92.0)]));
    }

    #[test]
    fn a_day_on_which_nothing_was_measured_is_no_activity() {
        let day = |energy: f64, distance: Value| {
            let record = json!({ "date": "2026-11-21", "active_calories_kcal": energy,
                                 "distance_meters": distance, "source": { "provider": "oura" } });
            convert("daily_activity", &record).unwrap()
        };
        assert_eq!(day(0.0, Value::Null), None);
        let walked = day(310.5, json!(5200)).unwrap();
        assert_eq!(walked.instant.to_string(), "2026-11-21T00:00:00Z");
        assert_eq!(walked.frame().unwrap().start.to_string(), "2026-11-20T23:00:00Z");
        assert_eq!(walked.particulars.unwrap().measure(Measure::Distance), Some(5200.0));
    }

    #[test]
    fn a_record_that_cannot_be_read_says_why() {
        let refused = |key: &str, value: Value| {
            let mut record = night();
            record[key] = value;
            convert("sleep_episode", &record).unwrap_err()
        };
        assert_eq!(refused("start_time", Value::Null), "it has no start_time");
        assert_eq!(refused("end_time", json!("2026-11-20T20:00:00Z")), "it ends before it begins");
        assert_eq!(
            refused("efficiency_percent", json!("good")),
            "its efficiency_percent \"good\" is not a number from 0 on"
        );
        assert_eq!(convert("workout", &json!(7)).unwrap_err(), "it is not an object");
    }
}
