//! Converts OW's nights, workouts and daily summaries, as OW 0.6 and 0.9 send them.
//!
//! A record without the value that a series type needs gives no sample, which is no error. An invalid record
//! is refused with a reason.

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::common::time::{Timestamp, offset_at};
use crate::model::catalog::series_type::{OmhBody, OwEndpoint, SeriesType};
use crate::model::sample::Sample;
use crate::model::sample_details::{Measure, SleepStage, StageInterval, TimeFrame};
use crate::omh::convert::{ConvertedRecord, parse_offset};
use crate::omh::event_samples::{
    Numbers, SleepRecord, WorkoutRecord, day_activity_sample, event_id, has_stages, parse_day, parse_time,
    text, time_frame,
};

const SECONDS_PER_MINUTE: f64 = 60.0;
const ASLEEP: &[SleepStage] = &[SleepStage::Light, SleepStage::Deep, SleepStage::Rem, SleepStage::Asleep];

/// Converts one record of the endpoint that `series` comes from. `zone` is the patient's; a summary's date is
/// a day there. Parts of the record that are left out are reported in `faults`.
pub fn convert_event<'a>(
    series: &SeriesType,
    record: &'a Value,
    zone: &TimeZone,
    faults: &mut Vec<String>,
) -> Result<Option<ConvertedRecord<'a>>, String> {
    if !record.is_object() {
        return Err("it is not an object".to_owned());
    }
    let numbers = Numbers { convert: Value::as_f64, faults };
    let sample = match series.origin {
        OwEndpoint::Sleep => sleep(series.body, record, zone, numbers)?,
        OwEndpoint::Workouts => Some(workout(record, zone, numbers)?),
        OwEndpoint::Activity => daily_activity(record, zone, numbers)?,
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

fn sleep(
    body: OmhBody,
    record: &Value,
    zone: &TimeZone,
    mut numbers: Numbers<'_>,
) -> Result<Option<Sample>, String> {
    let frame = frame(record, zone, &mut numbers)?;
    let stages = &record["stages"];
    let mut minutes = |key, measure| numbers.measure(stages, key, measure, SECONDS_PER_MINUTE);
    let (light, deep) =
        (minutes("light_minutes", Measure::LightSleep), minutes("deep_minutes", Measure::DeepSleep));
    let (rem, awake) = (minutes("rem_minutes", Measure::RemSleep), minutes("awake_minutes", Measure::Awake));
    let intervals = stage_intervals(record);
    let mut stages = [light, deep, rem];
    if record["stages"].is_null() {
        // OW gave the stages one by one and no sums.
        for (sum, stage) in stages.iter_mut().zip([SleepStage::Light, SleepStage::Deep, SleepStage::Rem]) {
            sum.1 = sum_of(&intervals, &[stage]);
        }
    }
    // OW writes 0 for an unknown stage, so 0 minutes awake are known only together with other stages.
    let awake = awake.1.filter(|awake| has_stages(&stages) || *awake > 0.0);
    let mut seconds = |key| numbers.read(record, key, f64::MAX);
    let sleep = SleepRecord {
        id: event_id(record),
        frame,
        is_main_sleep: record["is_nap"].as_bool().map(|is_nap| !is_nap),
        asleep: seconds("sleep_duration_seconds").or_else(|| sum_of(&intervals, ASLEEP)),
        in_bed: seconds("time_in_bed_seconds").or_else(|| seconds("duration_seconds")),
        stages,
        stage_intervals: intervals,
        others: [
            (Measure::Awake, awake),
            numbers.measure(record, "efficiency_percent", Measure::Efficiency, 1.0),
            (Measure::Latency, None),
        ],
    };
    sleep.into_sample(body)
}

/// Returns the time in seconds that a night spent in these stages; none if it has no intervals.
fn sum_of(intervals: &[StageInterval], stages: &[SleepStage]) -> Option<f64> {
    let of_stages = intervals.iter().filter(|StageInterval(stage, ..)| stages.contains(stage));
    let length = |StageInterval(_, start, end): &StageInterval| end.since(*start).as_secs_f64();
    (!intervals.is_empty()).then(|| of_stages.map(length).sum())
}

/// Reads the intervals of a night's stages. One without a valid start and end is left out: the record also has the sums.
fn stage_intervals(record: &Value) -> Vec<StageInterval> {
    let interval = |interval: &Value| {
        let time = |key: &str| Timestamp::parse(interval[key].as_str()?).ok();
        let stage = SleepStage::parse(interval["stage"].as_str()?);
        let (start, end) = (time("start_time")?, time("end_time")?);
        (start < end).then_some(StageInterval(stage, start, end))
    };
    record["sleep_stage_intervals"].as_array().into_iter().flatten().filter_map(interval).collect()
}

fn workout(record: &Value, zone: &TimeZone, mut numbers: Numbers<'_>) -> Result<Sample, String> {
    let frame = frame(record, zone, &mut numbers)?;
    let mut number = |key| numbers.read(record, key, f64::MAX);
    let workout = WorkoutRecord {
        id: event_id(record),
        frame,
        kind: text(record, "type")?,
        title: record["name"].as_str(),
        intensity: record["intensity"].as_str(),
        duration: number("duration_seconds"),
        distance: number("distance_meters"),
        energy: number("calories_kcal"),
    };
    Ok(workout.into_sample())
}

fn daily_activity(
    record: &Value,
    zone: &TimeZone,
    mut numbers: Numbers<'_>,
) -> Result<Option<Sample>, String> {
    let day = parse_day(record, "date", zone)?;
    let mut number = |key| numbers.read(record, key, f64::MAX);
    let (energy, distance) = (number("active_calories_kcal"), number("distance_meters"));
    Ok(day_activity_sample(&day, None, energy, distance))
}

/// Reads the interval of an event. OW sends one offset for both ends. If it is that of the patient's zone at one end,
/// the zone decides the other: the clocks may change in the night.
fn frame(record: &Value, zone: &TimeZone, numbers: &mut Numbers<'_>) -> Result<TimeFrame, String> {
    let time = |key| parse_time(key, text(record, key)?);
    let (start, end) = (time("start_time")?, time("end_time")?);
    let offset = parse_offset(record["zone_offset"].as_str(), numbers.faults);
    let ends = (offset_at(zone, start), offset_at(zone, end));
    let (start_zone, end_zone) = match offset {
        Some(offset) if offset == ends.0 || offset == ends.1 => (Some(ends.0), Some(ends.1)),
        offset => (offset, offset),
    };
    time_frame((start, start_zone), (end, end_zone))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::time::ZoneOffset;
    use crate::model::catalog::series;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn convert(name: &str, record: &Value) -> Result<Option<Sample>, String> {
        convert_with_faults(name, record, &mut Vec::new())
    }

    fn convert_with_faults(
        name: &str,
        record: &Value,
        faults: &mut Vec<String>,
    ) -> Result<Option<Sample>, String> {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        Ok(convert_event(series::find(name).unwrap(), record, &zone, faults)?.map(|point| point.sample))
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
        assert_eq!(convert("workout", &json!(7)).unwrap_err(), "it is not an object");
    }

    #[test]
    fn an_impossible_number_costs_that_number_and_not_the_event() {
        let mut record = night();
        record["efficiency_percent"] = json!(870);
        record["stages"]["rem_minutes"] = json!(-5);
        let mut faults = Vec::new();
        let stages = convert_with_faults("sleep_stage_summary", &record, &mut faults).unwrap().unwrap();
        assert_eq!(stages.details.unwrap().measures.len(), 3, "light, deep and awake remain");
        assert_eq!(
            faults,
            [
                "its rem_minutes -5 is not a number from 0 on",
                "its efficiency_percent 870 is not a number from 0 to 100"
            ]
        );
    }

    #[test]
    fn a_night_over_a_change_of_the_clocks_ends_in_the_offset_of_its_end() {
        let mut record = night();
        record["start_time"] = json!("2026-10-24T21:00:00Z");
        record["end_time"] = json!("2026-10-25T05:00:00Z");
        for offset in ["+02:00", "+01:00"] {
            record["zone_offset"] = json!(offset);
            let frame = convert("sleep_episode", &record).unwrap().unwrap().frame().unwrap();
            let minutes = |zone: Option<ZoneOffset>| zone.map(ZoneOffset::minutes);
            assert_eq!(
                (minutes(frame.start_zone), minutes(frame.end_zone)),
                (Some(120), Some(60)),
                "{offset}"
            );
        }
        record["zone_offset"] = json!("-05:00");
        let frame = convert("sleep_episode", &record).unwrap().unwrap().frame().unwrap();
        assert_eq!(frame.start_zone, frame.end_zone, "a traveller's offset is not the zone's");
    }
}
