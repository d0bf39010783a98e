//! Converts OW's nights, workouts and daily summaries, as OW 0.6 and 0.9 send them.
//!
//! A record without the value that a series type needs gives no sample, which is no error. An invalid record
//! is refused with a reason.

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::common::time::{Timestamp, ZoneOffset};
use crate::model::catalog::series_type::{OmhBody, OwEndpoint, SeriesType};
use crate::model::sample::Sample;
use crate::model::sample_details::{Measure, TimeFrame};
use crate::omh::convert::ConvertedRecord;
use crate::omh::event_samples::{
    self, SleepRecord, day_activity_sample, event_id, has_stages, parse_day, parse_time, text, time_frame,
    workout_sample,
};

const SECONDS_PER_MINUTE: f64 = 60.0;

/// Converts one record of the endpoint that `series` comes from. `zone` is the patient's; a summary's date is
/// a day there.
pub fn convert_event<'a>(
    series: &SeriesType,
    record: &'a Value,
    zone: &TimeZone,
) -> Result<Option<ConvertedRecord<'a>>, String> {
    if !record.is_object() {
        return Err("it is not an object".to_owned());
    }
    let sample = match series.origin {
        OwEndpoint::Sleep => sleep(series.body, record)?,
        OwEndpoint::Workouts => Some(workout(record)?),
        OwEndpoint::Activity => daily_activity(record, zone)?,
        OwEndpoint::Timeseries(_) => return Err(format!("'{}' is no event", series.series_type)),
    };
    let source = |key: &str| record["source"][key].as_str().unwrap_or_default();
    Ok(sample.map(|sample| ConvertedRecord {
        provider: source("provider"),
        source: source("source"),
        device: source("device"),
        daily_total: series.origin == OwEndpoint::Activity,
        sample,
    }))
}

/// Returns the start of an event, if its record has a valid one.
pub fn event_start(record: &Value) -> Option<Timestamp> {
    Timestamp::parse(record["start_time"].as_str()?).ok()
}

fn sleep(body: OmhBody, record: &Value) -> Result<Option<Sample>, String> {
    let frame = frame(record)?;
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
    // OW writes 0 for an unknown stage, so 0 minutes awake are known only together with other stages.
    let awake = stage("awake_minutes")?.filter(|awake| has_stages(&stages) || *awake > 0.0);
    let in_bed = number(record, "time_in_bed_seconds")
        .and_then(|seconds| Ok(seconds.or(number(record, "duration_seconds")?)));
    let sleep = SleepRecord {
        id: event_id(record),
        frame,
        is_main_sleep: Some(!record["is_nap"].as_bool().unwrap_or(false)),
        asleep,
        in_bed,
        stages,
        others: [(Measure::Awake, awake), (Measure::Efficiency, efficiency), (Measure::Latency, None)],
    };
    sleep.into_sample(body)
}

fn workout(record: &Value) -> Result<Sample, String> {
    let frame = frame(record)?;
    Ok(workout_sample(
        event_id(record),
        frame,
        text(record, "type")?,
        number(record, "duration_seconds")?,
        number(record, "distance_meters")?,
        number(record, "calories_kcal")?,
    ))
}

fn daily_activity(record: &Value, zone: &TimeZone) -> Result<Option<Sample>, String> {
    let day = parse_day(record, "date", zone)?;
    let energy = number(record, "active_calories_kcal")?;
    Ok(day_activity_sample(&day, energy, number(record, "distance_meters")?))
}

fn frame(record: &Value) -> Result<TimeFrame, String> {
    let time = |key| parse_time(key, text(record, key)?);
    let (start, end) = (time("start_time")?, time("end_time")?);
    let zone = record["zone_offset"].as_str().and_then(ZoneOffset::parse);
    time_frame((start, zone), (end, zone))
}

fn number(record: &Value, key: &str) -> Result<Option<f64>, String> {
    event_samples::number(record, key, Value::as_f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::series;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn convert(name: &str, record: &Value) -> Result<Option<Sample>, String> {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        Ok(convert_event(series::find(name).unwrap(), record, &zone)?.map(|point| point.sample))
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
        let details = episode.details.unwrap();
        assert_eq!(details.measure(Measure::TotalSleep), Some(23_400.0));
        assert_eq!(details.measure(Measure::Awake), Some(1800.0));
        assert_eq!((details.id.as_deref(), details.is_main_sleep), (Some("e1"), Some(true)));
        let stages = convert("sleep_stage_summary", &night()).unwrap().unwrap().details.unwrap();
        assert_eq!(stages.measure(Measure::RemSleep), Some(5400.0));
    }

    #[test]
    fn values_that_a_night_lacks_are_not_made_up() {
        let mut record = night();
        record["stages"] =
            json!({ "awake_minutes": 0, "light_minutes": 0, "deep_minutes": 0, "rem_minutes": 0 });
        record["sleep_duration_seconds"] = Value::Null;
        assert_eq!(convert("sleep_duration", &record), Ok(None));
        assert_eq!(convert("sleep_stage_summary", &record), Ok(None));
        let episode = convert("sleep_episode", &record).unwrap().unwrap();
        assert_eq!(episode.details.unwrap().measures, BTreeMap::from([(Measure::Efficiency, 92.0)]));
    }

    #[test]
    fn a_day_without_measurements_gives_no_activity() {
        let day = |energy: f64, distance: Value| {
            let record = json!({ "date": "2026-11-21", "active_calories_kcal": energy,
                                 "distance_meters": distance, "source": { "provider": "oura" } });
            convert("daily_activity", &record).unwrap()
        };
        assert_eq!(day(0.0, Value::Null), None);
        let walked = day(310.5, json!(5200)).unwrap();
        assert_eq!(walked.instant.to_string(), "2026-11-21T00:00:00Z");
        assert_eq!(walked.frame().unwrap().start.to_string(), "2026-11-20T23:00:00Z");
        assert_eq!(walked.details.unwrap().measure(Measure::Distance), Some(5200.0));
    }

    #[test]
    fn an_invalid_record_is_refused_with_a_reason() {
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
