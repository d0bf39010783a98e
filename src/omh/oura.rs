//! Converts the records of Oura's own payloads.
//!
//! Follows the reference converter (omh-shim 2.1.0, `oura_raw`) in the schemas that JHE has a code for. A
//! sample gets the instant at which OW serves it, so that the samples of both modes are known to be the same.
//! A record without the value that a series type needs gives no sample; an invalid one is refused with a
//! reason.

use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::common::time::{Timestamp, ZoneOffset};
use crate::model::catalog::series_type::{OmhBody, OwEndpoint, SeriesType};
use crate::model::sample::Sample;
use crate::model::sample_details::{Measure, SampleDetails, SleepStage, StageInterval, TimeFrame};
use crate::omh::day::day_of_stamp;
use crate::omh::event_samples::{
    Numbers, SleepRecord, WorkoutRecord, day_activity_sample, event_id, over, parse_day, parse_time, sample,
    text, time_frame,
};

const CM_PER_METRE: f64 = 100.0;

/// Converts one record of an endpoint that `series` comes from. `zone` is the patient's; a date without an offset is a
/// day there. `stored` is the time of storing: the instant of values that Oura gives without a time. Numbers that are
/// left out are reported in `faults`.
pub fn convert_oura(
    series: &SeriesType,
    record: &Value,
    zone: &TimeZone,
    stored: Option<Timestamp>,
    faults: &mut Vec<String>,
) -> Result<Option<Sample>, String> {
    if !record.is_object() {
        return Err("it is not an object".to_owned());
    }
    let mut numbers = Numbers { convert: number_or_text, faults };
    // Oura took a `rest` for a sleep by mistake; the wearer has deleted a `deleted` one.
    let is_no_sleep = matches!(record["type"].as_str(), Some("rest" | "deleted"));
    match (series.origin, series.series_type) {
        (OwEndpoint::Sleep, _) | (_, "respiratory_rate" | "resting_heart_rate") if is_no_sleep => Ok(None),
        (OwEndpoint::Sleep, _) => sleep(series.body, record, numbers),
        (OwEndpoint::Workouts, _) => workout(record, numbers).map(Some),
        (OwEndpoint::Activity, _) => daily_activity(record, zone, numbers),
        (_, "respiratory_rate") => over_sleep(record, "average_breath", numbers),
        (_, "resting_heart_rate") => over_sleep(record, "lowest_heart_rate", numbers),
        (_, "oxygen_saturation") => oxygen_saturation(record, zone, numbers),
        (_, "steps") => steps(record, zone, numbers),
        (_, "weight") => at_storing(numbers.read(record, "weight", f64::MAX), stored),
        (_, "height") => {
            // Rounded to 0.1 mm: the product of a decimal fraction is not exact.
            let height = numbers.read(record, "height", f64::MAX);
            at_storing(height.map(|metres| (metres * CM_PER_METRE * 100.0).round() / 100.0), stored)
        }
        (_, other) => Err(format!("no payload of Oura's tells of '{other}'")),
    }
}

/// Returns the id of a sleep that the wearer has deleted.
pub fn deleted_sleep(record: &Value) -> Option<&str> {
    (record["type"] == "deleted").then(|| record["id"].as_str()).flatten()
}

fn sleep(body: OmhBody, record: &Value, mut numbers: Numbers<'_>) -> Result<Option<Sample>, String> {
    let frame = frame(record, "bedtime_start", "bedtime_end")?;
    let mut seconds = |key, measure| numbers.measure(record, key, measure, 1.0);
    let stages = [
        seconds("light_sleep_duration", Measure::LightSleep),
        seconds("deep_sleep_duration", Measure::DeepSleep),
        seconds("rem_sleep_duration", Measure::RemSleep),
    ];
    let others = [
        seconds("awake_time", Measure::Awake),
        seconds("latency", Measure::Latency),
        seconds("efficiency", Measure::Efficiency),
    ];
    let sleep = SleepRecord {
        frame,
        id: event_id(record),
        is_main_sleep: match record["type"].as_str() {
            Some("long_sleep") => Some(true),
            Some("sleep" | "late_nap") => Some(false),
            _ => None,
        },
        asleep: numbers.read(record, "total_sleep_duration", f64::MAX),
        in_bed: numbers.read(record, "time_in_bed", f64::MAX),
        stages,
        stage_intervals: phases(record, frame),
        others,
    };
    sleep.into_sample(body)
}

/// Reads the stages of a sleep from Oura's hypnogram: one digit per five minutes.
fn phases(record: &Value, frame: TimeFrame) -> Vec<StageInterval> {
    const PHASE: Duration = Duration::from_mins(5);
    let mut intervals: Vec<StageInterval> = Vec::new();
    let mut start = frame.start;
    for digit in record["sleep_phase_5_min"].as_str().unwrap_or_default().chars() {
        let stage = match digit {
            '1' => SleepStage::Deep,
            '2' => SleepStage::Light,
            '3' => SleepStage::Rem,
            '4' => SleepStage::Awake,
            _ => SleepStage::Other,
        };
        let end = start.plus(PHASE).min(frame.end);
        match intervals.last_mut() {
            _ if end <= start => break,
            Some(StageInterval(last, _, until)) if *last == stage => *until = end,
            _ => intervals.push(StageInterval(stage, start, end)),
        }
        start = end;
    }
    intervals
}

/// Converts a number that summarizes a whole sleep.
fn over_sleep(record: &Value, key: &str, mut numbers: Numbers<'_>) -> Result<Option<Sample>, String> {
    let frame = frame(record, "bedtime_start", "bedtime_end")?;
    let details = SampleDetails { id: event_id(record), ..over(frame) };
    let value = numbers.read(record, key, f64::MAX);
    Ok(value.map(|value| sample(frame.start, value, frame.start_zone, details)))
}

fn workout(record: &Value, mut numbers: Numbers<'_>) -> Result<Sample, String> {
    let frame = frame(record, "start_datetime", "end_datetime")?;
    let workout = WorkoutRecord {
        id: event_id(record),
        frame,
        kind: text(record, "activity")?,
        title: record["label"].as_str(),
        intensity: record["intensity"].as_str(),
        duration: None,
        distance: numbers.read(record, "distance", f64::MAX),
        energy: numbers.read(record, "calories", f64::MAX),
    };
    Ok(workout.into_sample())
}

fn daily_activity(
    record: &Value,
    zone: &TimeZone,
    mut numbers: Numbers<'_>,
) -> Result<Option<Sample>, String> {
    let mut day = parse_day(record, "day", zone)?;
    let mut offset = None;
    if !record["timestamp"].is_null() {
        let (stamp, own) = instant_and_offset(record, "timestamp")?;
        (offset, day.frame) = (own, day_of_stamp(stamp, own, zone)?);
    }
    let mut number = |key| numbers.read(record, key, f64::MAX);
    let (energy, distance) = (number("active_calories"), number("equivalent_walking_distance"));
    Ok(day_activity_sample(&day, offset, energy, distance))
}

/// Converts the steps of a day. Oura stamps them at four in the morning there.
fn steps(record: &Value, zone: &TimeZone, mut numbers: Numbers<'_>) -> Result<Option<Sample>, String> {
    let (instant, offset, frame) = if record["timestamp"].is_null() {
        let day = parse_day(record, "day", zone)?;
        (day.stamp, None, day.frame)
    } else {
        let (stamp, offset) = instant_and_offset(record, "timestamp")?;
        (stamp, offset, day_of_stamp(stamp, offset, zone)?)
    };
    let steps = numbers.read(record, "steps", f64::MAX);
    Ok(steps.map(|steps| sample(instant, steps, offset, over(frame))))
}

/// Converts the mean of a night, which Oura dates with the day.
fn oxygen_saturation(
    record: &Value,
    zone: &TimeZone,
    mut numbers: Numbers<'_>,
) -> Result<Option<Sample>, String> {
    let day = parse_day(record, "day", zone)?;
    let average = match &record["spo2_percentage"] {
        Value::Null => return Ok(None),
        percentage @ Value::Object(_) => numbers.read(percentage, "average", f64::MAX),
        other => return Err(format!("its spo2_percentage {other} is not an object")),
    };
    Ok(average.map(|average| sample(day.stamp, average, None, over(day.frame))))
}

/// Builds the sample of a value without a time: it was true when OW fetched and stored it.
fn at_storing(value: Option<f64>, stored: Option<Timestamp>) -> Result<Option<Sample>, String> {
    let Some(value) = value else { return Ok(None) };
    let instant = stored.ok_or("nothing says when it was stored")?;
    Ok(Some(Sample { instant, value, zone: None, context: None, details: None }))
}

fn frame(record: &Value, start: &str, end: &str) -> Result<TimeFrame, String> {
    time_frame(instant_and_offset(record, start)?, instant_and_offset(record, end)?)
}

/// Reads an instant and the local offset that it is written in.
fn instant_and_offset(record: &Value, key: &str) -> Result<(Timestamp, Option<ZoneOffset>), String> {
    let text = text(record, key)?;
    Ok((parse_time(key, text)?, ZoneOffset::from_date_time(text)))
}

/// Converts a number. As in the reference converter, it may be written as a string.
fn number_or_text(value: &Value) -> Option<f64> {
    match value {
        Value::String(digits) => digits.trim().parse().ok(),
        value => value.as_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::series;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn convert(name: &str, record: &Value) -> Result<Option<Sample>, String> {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let stored = Some(at("2026-11-23T21:56:48.10499Z"));
        convert_oura(series::find(name).unwrap(), record, &zone, stored, &mut Vec::new())
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
    fn a_captured_night_gives_all_its_samples_at_its_start() {
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
        let stages = converted("sleep_stage_summary", night).details.unwrap();
        let measures = [
            (Measure::LightSleep, 12_600.0),
            (Measure::DeepSleep, 5400.0),
            (Measure::RemSleep, 5400.0),
            (Measure::Awake, 1800.0),
            (Measure::Latency, 300.0),
            (Measure::Efficiency, 92.0),
        ];
        assert_eq!((stages.measures.clone(), stages.is_main_sleep), (BTreeMap::from(measures), Some(true)));
    }

    #[test]
    fn a_rest_gives_no_sample_and_a_nap_is_not_the_main_sleep() {
        let mut record = captured("sleep")[0].clone();
        for kind in ["rest", "deleted"] {
            record["type"] = kind.into();
            assert!(OF_SLEEP.iter().all(|name| convert(name, &record) == Ok(None)), "{kind}");
        }
        for (kind, is_main) in
            [(json!("sleep"), Some(false)), (json!("late_nap"), Some(false)), (Value::Null, None)]
        {
            record["type"] = kind;
            assert_eq!(converted("sleep_episode", &record).details.unwrap().is_main_sleep, is_main);
        }
    }

    #[test]
    fn values_that_a_night_lacks_are_not_made_up() {
        let record = json!({ "id": "a", "bedtime_start": "2026-11-20T00:10:00+01:00",
                             "bedtime_end": "2026-11-20T07:10:00+02:00", "rem_sleep_duration": null });
        let episode = converted("sleep_episode", &record);
        assert_eq!((episode.value.to_string(), episode.details.unwrap().measures.len()), ("21600".into(), 0));
        for name in OF_SLEEP.iter().filter(|name| **name != "sleep_episode") {
            assert_eq!(convert(name, &record), Ok(None), "{name}");
        }
    }

    #[test]
    fn a_captured_day_gives_steps_at_ouras_stamp_and_activity_at_its_date() {
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
        assert_eq!(activity.details.unwrap().measure(Measure::Distance), Some(4377.0));
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
        let details = sample.details.unwrap();
        assert_eq!(details.frame.unwrap().start, at("2026-11-19T23:00:00Z"));
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
        let details = run.details.unwrap();
        assert_eq!((details.name.as_deref(), details.id.is_some()), (Some("running"), true));
        assert_eq!(details.measures, BTreeMap::from([(Measure::Distance, 5012.0), (Measure::Energy, 320.5)]));
    }

    #[test]
    fn weight_and_height_get_the_time_of_storing_and_height_is_in_centimetres() {
        let person = json!({ "age": 31, "weight": "70.5", "height": 1.755, "email": null });
        let (weight, height) = (converted("weight", &person), converted("height", &person));
        assert_eq!((weight.value.to_string(), height.value.to_string()), ("70.5".into(), "175.5".into()));
        assert_eq!(weight.instant, at("2026-11-23T21:56:48.10499Z"));
        assert_eq!(convert("weight", &json!({ "weight": null })), Ok(None));
        let undated =
            convert_oura(series::find("weight").unwrap(), &person, &TimeZone::UTC, None, &mut Vec::new());
        assert_eq!(undated.unwrap_err(), "nothing says when it was stored");
    }

    #[test]
    fn an_invalid_record_is_refused_with_a_reason() {
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
        assert_eq!(refused("workout", "workout", "activity", Value::Null), "it has no activity");
        let naive = refused("workout", "workout", "start_datetime", json!("2026-11-22T17:00:00"));
        assert!(naive.contains("no time zone offset"), "{naive}");
        assert_eq!(refused("daily_activity", "daily_activity", "day", json!("x")), "its day 'x' is no date");
        assert_eq!(convert("weight", &json!(7)).unwrap_err(), "it is not an object");
    }
}
