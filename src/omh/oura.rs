//! From the records of Oura's own payloads to what is kept of them.
//!
//! Follows the reference converter (omh-shim 2.1.0, `oura_raw`), in the schemas that JHE has a code for. A sample is kept
//! under the instant under which OW serves it, so that what both modes bring is known to be the same. A record that says
//! nothing of what a row of the catalogue is about gives nothing; one that cannot be read is refused with a reason.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::common::time::{Timestamp, ZoneOffset};
use crate::model::catalog::series_type::{Body, Origin, Series};
use crate::model::sample::Sample;
use crate::model::sample_details::{Frame, Measure, Particulars};
use crate::omh::day::{day_of, whole_day};
use crate::omh::event::{id, sample, whole_days_activity};

/// Centimetres in a metre.
const CM: f64 = 100.0;

/// Converts one record of an endpoint that `series` comes from. `zone` is the patient's: a date is a day there. `stored`
/// is when the payload was stored, where that is known: the time of what Oura gives none for.
///
/// # Errors
/// A sentence that says what is wrong with the record.
pub fn convert_oura(
    series: &Series,
    record: &Value,
    zone: &TimeZone,
    stored: Option<Timestamp>,
) -> Result<Option<Sample>, String> {
    if !record.is_object() {
        return Err("it is not an object".to_owned());
    }
    match (series.origin, series.series_type) {
        (Origin::Sleep, _) => of_sleep(record, |record| sleep(series.body, record)),
        (Origin::Workouts, _) => workout(record).map(Some),
        (Origin::Activity, _) => daily_activity(record, zone),
        (_, "respiratory_rate") => of_sleep(record, |record| {
            over_sleep(record, "average_breath", Particulars { average: true, ..Particulars::default() })
        }),
        (_, "resting_heart_rate") => of_sleep(record, |record| {
            let said = Particulars { asleep: true, minimum: true, ..Particulars::default() };
            over_sleep(record, "lowest_heart_rate", said)
        }),
        (_, "oxygen_saturation") => oxygen_saturation(record, zone),
        (_, "steps") => steps(record, zone),
        (_, "weight") => Ok(at_storing(number(record, "weight")?, stored)?),
        (_, "height") => {
            Ok(at_storing(number(record, "height")?.map(|metres| (metres * CM * CM).round() / CM), stored)?)
        }
        (_, other) => Err(format!("no payload of Oura's tells of '{other}'")),
    }
}

/// What comes of a sleep, unless it is none: Oura took it for one by mistake, or the wearer has deleted it.
fn of_sleep(
    record: &Value,
    convert: impl FnOnce(&Value) -> Result<Option<Sample>, String>,
) -> Result<Option<Sample>, String> {
    if matches!(record["type"].as_str(), Some("rest" | "deleted")) { Ok(None) } else { convert(record) }
}

fn sleep(body: Body, record: &Value) -> Result<Option<Sample>, String> {
    let (frame, id) = (frame(record, "bedtime_start", "bedtime_end")?, id(record));
    let asleep = number(record, "total_sleep_duration")?;
    let stages = [
        (Measure::LightSleep, number(record, "light_sleep_duration")?),
        (Measure::DeepSleep, number(record, "deep_sleep_duration")?),
        (Measure::RemSleep, number(record, "rem_sleep_duration")?),
    ];
    let around = [
        (Measure::Awake, number(record, "awake_time")?),
        (Measure::Latency, number(record, "latency")?),
        (Measure::Efficiency, number(record, "efficiency")?),
    ];
    let mut measures: BTreeMap<Measure, f64> = BTreeMap::new();
    let mut say = |all: &[(Measure, Option<f64>)]| {
        measures.extend(all.iter().filter_map(|(measure, value)| Some((*measure, (*value)?))));
    };
    let value = match body {
        Body::SleepDuration => asleep,
        Body::SleepEpisode => {
            say(&[(Measure::TotalSleep, asleep)]);
            say(&around);
            asleep.or(Some(frame.end.since(frame.start).as_secs_f64()))
        }
        Body::SleepStages => {
            say(&stages);
            say(&around);
            asleep.filter(|_| stages.iter().any(|(_, seconds)| seconds.is_some_and(|seconds| seconds > 0.0)))
        }
        Body::TimeInBed => number(record, "time_in_bed")?.filter(|seconds| *seconds > 0.0),
        _ => return Err("a sleep is none of that".to_owned()),
    };
    let is_main_sleep = match record["type"].as_str() {
        Some("long_sleep") => Some(true),
        Some("sleep" | "late_nap") => Some(false),
        _ => None,
    };
    let particulars =
        Particulars { id, frame: Some(frame), is_main_sleep, measures, ..Particulars::default() };
    Ok(value.map(|value| sample(frame.start, value, frame.start_zone, particulars)))
}

/// One number of a sleep, which is of all of it.
fn over_sleep(record: &Value, key: &str, said: Particulars) -> Result<Option<Sample>, String> {
    let (frame, id) = (frame(record, "bedtime_start", "bedtime_end")?, id(record));
    let particulars = Particulars { id, frame: Some(frame), ..said };
    Ok(number(record, key)?.map(|value| sample(frame.start, value, frame.start_zone, particulars)))
}

fn workout(record: &Value) -> Result<Sample, String> {
    let (frame, id) = (frame(record, "start_datetime", "end_datetime")?, id(record));
    let name = record["activity"].as_str().ok_or("it has no activity")?;
    let mut measures = BTreeMap::new();
    measures.extend(number(record, "distance")?.map(|distance| (Measure::Distance, distance)));
    measures.extend(number(record, "calories")?.map(|energy| (Measure::Energy, energy)));
    let particulars =
        Particulars { id, frame: Some(frame), name: Some(name.into()), measures, ..Particulars::default() };
    let lasted = frame.end.since(frame.start).as_secs_f64();
    Ok(sample(frame.start, lasted, frame.start_zone, particulars))
}

/// A day without energy and without distance is one on which nothing was measured, as in normalized mode.
fn daily_activity(record: &Value, zone: &TimeZone) -> Result<Option<Sample>, String> {
    let (place, frame) = day(record, zone)?;
    let energy = number(record, "active_calories")?;
    Ok(whole_days_activity(place, frame, energy, number(record, "equivalent_walking_distance")?))
}

/// The steps of a day, under Oura's own stamp of it: four in the morning there.
fn steps(record: &Value, zone: &TimeZone) -> Result<Option<Sample>, String> {
    let (instant, offset, frame) = match record.get("timestamp") {
        None | Some(Value::Null) => {
            let (place, frame) = day(record, zone)?;
            (place, None, frame)
        }
        Some(_) => {
            let (stamp, offset) = moment(record, "timestamp")?;
            (stamp, offset, day_of(stamp, offset, zone)?)
        }
    };
    let particulars = Particulars { frame: Some(frame), ..Particulars::default() };
    Ok(number(record, "steps")?.map(|steps| sample(instant, steps, offset, particulars)))
}

/// The mean of a night, which Oura gives for the day.
fn oxygen_saturation(record: &Value, zone: &TimeZone) -> Result<Option<Sample>, String> {
    let (place, frame) = day(record, zone)?;
    let average = match &record["spo2_percentage"] {
        Value::Null => return Ok(None),
        percentage @ Value::Object(_) => number(percentage, "average")?,
        other => return Err(format!("its spo2_percentage {other} is not an object")),
    };
    let particulars = Particulars { frame: Some(frame), average: true, ..Particulars::default() };
    Ok(average.map(|average| sample(place, average, None, particulars)))
}

/// What Oura tells without a time was so when it was asked.
fn at_storing(value: Option<f64>, stored: Option<Timestamp>) -> Result<Option<Sample>, String> {
    let Some(value) = value else { return Ok(None) };
    let instant = stored.ok_or("nothing says when it was stored")?;
    Ok(Some(Sample { instant, value, zone: None, context: None, particulars: None }))
}

/// The day of a record: the name of its date, which is midnight UTC whatever the patient's zone is, and its length there.
fn day(record: &Value, zone: &TimeZone) -> Result<(Timestamp, Frame), String> {
    let text = record["day"].as_str().ok_or("it has no day")?;
    let date: Date = text.parse().map_err(|_| format!("its day '{text}' is no date"))?;
    Ok((whole_day(date, &TimeZone::UTC)?.start, whole_day(date, zone)?))
}

fn frame(record: &Value, from: &str, until: &str) -> Result<Frame, String> {
    let ((start, start_zone), (end, end_zone)) = (moment(record, from)?, moment(record, until)?);
    if end < start {
        return Err("it ends before it begins".to_owned());
    }
    Ok(Frame { start, start_zone, end, end_zone })
}

/// An instant, and the local offset that it is written in.
fn moment(record: &Value, key: &str) -> Result<(Timestamp, Option<ZoneOffset>), String> {
    let text = record[key].as_str().ok_or_else(|| format!("it has no {key}"))?;
    let at = Timestamp::parse(text).map_err(|error| format!("its {key} '{text}' is wrong: {error}"))?;
    Ok((at, ZoneOffset::of(text)))
}

/// A number that may be absent. It may be written as a string, as the reference converter allows.
fn number(record: &Value, key: &str) -> Result<Option<f64>, String> {
    let found = match record.get(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(digits)) => digits.trim().parse().ok(),
        Some(value) => value.as_f64(),
    };
    match found.filter(|number: &f64| number.is_finite() && *number >= 0.0) {
        Some(number) => Ok(Some(number)),
        None => Err(format!("its {key} {} is not a number from 0 on", record[key])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::series::series;
    use serde_json::json;

    fn convert(name: &str, record: &Value) -> Result<Option<Sample>, String> {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        convert_oura(series(name).unwrap(), record, &zone, Some(at("2026-11-23T21:56:48.10499Z")))
    }

    fn converted(name: &str, record: &Value) -> Sample {
        convert(name, record).unwrap().unwrap()
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    /// The records of a captured payload.
    fn captured(name: &str) -> Vec<Value> {
        let path = format!("{}/tests/captures/raw-{name}.json", env!("CARGO_MANIFEST_DIR"));
        let capture: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        capture["body"]["data"].as_array().unwrap().clone()
    }

    const OF_SLEEP: &[&str] = &[
        "sleep_duration",
        "sleep_episode",
        "sleep_stage_summary",
        "time_in_bed",
        "respiratory_rate",
        "resting_heart_rate",
    ];

    #[test]
    fn a_captured_night_becomes_all_that_it_tells_under_the_instant_at_which_it_begins() {
        let night = &captured("sleep")[0];
        let values: Vec<String> =
            OF_SLEEP.iter().map(|name| converted(name, night).value.to_string()).collect();
        assert_eq!(values, ["23400", "23400", "23400", "25200", "14.5", "49"]);
        for &name in OF_SLEEP {
            let sample = converted(name, night);
            assert_eq!(sample.instant, at("2026-11-19T23:10:00Z"), "{name}");
            assert_eq!(sample.zone, ZoneOffset::from_minutes(60));
            assert_eq!(sample.event(), night["id"].as_str());
            assert_eq!(sample.frame().unwrap().end, at("2026-11-20T06:10:00Z"));
        }
        let stages = converted("sleep_stage_summary", night).particulars.unwrap();
        let measures = [
            (Measure::LightSleep, 12_600.0),
            (Measure::DeepSleep, 5400.0),
            (Measure::RemSleep, 5400.0),
            (Measure::Awake, 1800.0),
            (Measure::Latency, 300.0),
            (Measure::Efficiency, 92.0),
        ];
        assert_eq!((stages.measures.clone(), stages.is_main_sleep), (BTreeMap::from(measures), Some(true)));
        let (breath, pulse) = (converted("respiratory_rate", night), converted("resting_heart_rate", night));
        assert!(breath.particulars.is_some_and(|said| said.average && !said.asleep));
        assert!(pulse.particulars.is_some_and(|said| said.minimum && said.asleep));
    }

    #[test]
    fn what_is_no_sleep_is_dropped_and_a_nap_is_not_the_main_one() {
        let mut record = captured("sleep")[0].clone();
        for kind in ["rest", "deleted"] {
            record["type"] = kind.into();
            assert!(OF_SLEEP.iter().all(|name| convert(name, &record) == Ok(None)), "{kind}");
        }
        for (kind, is_main) in
            [(json!("sleep"), Some(false)), (json!("late_nap"), Some(false)), (Value::Null, None)]
        {
            record["type"] = kind;
            assert_eq!(converted("sleep_episode", &record).particulars.unwrap().is_main_sleep, is_main);
        }
    }

    #[test]
    fn what_a_night_does_not_tell_is_not_made_up() {
        let record = json!({ "id": "a", "bedtime_start": "2026-11-20T00:10:00+01:00",
                             "bedtime_end": "2026-11-20T07:10:00+02:00", "rem_sleep_duration": null });
        let episode = converted("sleep_episode", &record);
        assert_eq!(
            (episode.value.to_string(), episode.particulars.unwrap().measures.len()),
            ("21600".into(), 0)
        );
        for name in OF_SLEEP.iter().filter(|name| **name != "sleep_episode") {
            assert_eq!(convert(name, &record), Ok(None), "{name}");
        }
    }

    #[test]
    fn a_captured_day_becomes_its_steps_at_ouras_stamp_and_its_activity_at_its_date() {
        let day = &captured("daily_activity")[0];
        let steps = converted("steps", day);
        assert_eq!((steps.instant, steps.value.to_string()), (at("2026-11-20T03:00:00Z"), "9637".into()));
        let activity = converted("daily_activity", day);
        assert_eq!(
            (activity.instant, activity.value.to_string()),
            (at("2026-11-20T00:00:00Z"), "502".into())
        );
        for sample in [&steps, &activity] {
            let frame = sample.frame().unwrap();
            assert_eq!((frame.start, frame.end), (at("2026-11-19T23:00:00Z"), at("2026-11-20T23:00:00Z")));
        }
        assert_eq!(activity.particulars.unwrap().measure(Measure::Distance), Some(4377.0));
        let unstamped = json!({ "day": "2026-10-25", "steps": 7 });
        let steps = converted("steps", &unstamped);
        assert_eq!(steps.instant, at("2026-10-25T00:00:00Z"));
        assert_eq!(steps.frame().unwrap().end, at("2026-10-25T23:00:00Z"), "a day of 25 hours");
        assert_eq!(convert("daily_activity", &unstamped), Ok(None));
    }

    #[test]
    fn a_captured_saturation_is_the_mean_of_its_day() {
        let sample = converted("oxygen_saturation", &captured("daily_spo2")[0]);
        assert_eq!((sample.instant, sample.value.to_string()), (at("2026-11-20T00:00:00Z"), "98.45".into()));
        let said = sample.particulars.unwrap();
        assert!(said.average && said.frame.unwrap().start == at("2026-11-19T23:00:00Z"));
        let none = json!({ "day": "2026-11-20", "spo2_percentage": null });
        assert_eq!(convert("oxygen_saturation", &none), Ok(None));
        let bad = json!({ "day": "2026-11-20", "spo2_percentage": 98 });
        assert_eq!(
            convert("oxygen_saturation", &bad).unwrap_err(),
            "its spo2_percentage 98 is not an object"
        );
    }

    #[test]
    fn a_captured_workout_keeps_its_name_its_length_and_what_was_measured() {
        let run = converted("workout", &captured("workout")[0]);
        assert_eq!((run.instant, run.value.to_string()), (at("2026-11-22T16:00:00Z"), "1860".into()));
        let said = run.particulars.unwrap();
        assert_eq!((said.name.as_deref(), said.id.is_some()), (Some("running"), true));
        assert_eq!(said.measures, BTreeMap::from([(Measure::Distance, 5012.0), (Measure::Energy, 320.5)]));
    }

    #[test]
    fn weight_and_height_are_of_when_they_were_stored_and_height_is_in_centimetres() {
        let person = json!({ "age": 31, "weight": "70.5", "height": 1.755, "email": null });
        let (weight, height) = (converted("weight", &person), converted("height", &person));
        assert_eq!((weight.value.to_string(), height.value.to_string()), ("70.5".into(), "175.5".into()));
        assert_eq!(weight.instant, at("2026-11-23T21:56:48.10499Z"));
        assert_eq!(convert("weight", &json!({ "weight": null })), Ok(None));
        let undated = convert_oura(series("weight").unwrap(), &person, &TimeZone::UTC, None);
        assert_eq!(undated.unwrap_err(), "nothing says when it was stored");
    }

    #[test]
    fn a_record_that_cannot_be_read_says_why() {
        let refused = |name: &str, of: &str, key: &str, value: Value| {
            let mut record = captured(of)[0].clone();
            record[key] = value;
            convert(name, &record).unwrap_err()
        };
        assert_eq!(
            refused("sleep_episode", "sleep", "bedtime_start", Value::Null),
            "it has no bedtime_start"
        );
        assert_eq!(
            refused("respiratory_rate", "sleep", "bedtime_end", json!("2026-11-19T20:00:00Z")),
            "it ends before it begins"
        );
        assert_eq!(
            refused("resting_heart_rate", "sleep", "lowest_heart_rate", json!(-1)),
            "its lowest_heart_rate -1 is not a number from 0 on"
        );
        assert_eq!(refused("workout", "workout", "activity", Value::Null), "it has no activity");
        let naive = refused("workout", "workout", "start_datetime", json!("2026-11-22T17:00:00"));
        assert!(naive.contains("no time zone offset"), "{naive}");
        assert_eq!(
            refused("steps", "daily_activity", "steps", json!("many")),
            "its steps \"many\" is not a number from 0 on"
        );
        assert_eq!(refused("daily_activity", "daily_activity", "day", json!("x")), "its day 'x' is no date");
        assert_eq!(convert("weight", &json!(7)).unwrap_err(), "it is not an object");
    }
}
