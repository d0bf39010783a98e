//! Compares the answers of the simulated OW, field by field, with those recorded from a real one.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::common::time::Timestamp;
use crate::simulator::endpoints::data_summary;
use crate::simulator::endpoints::{activity_summaries::ActivityQuery, events::EventsQuery};
use crate::simulator::endpoints::{sleep_summaries::SleepSummaryQuery, timeseries::SamplesQuery};
use crate::simulator::event::{Event, EventDetails, Sleep, SleepStage, Workout};
use crate::simulator::samples_table::{Row, Source};
use crate::simulator::user::SimulatedUser;

macro_rules! capture {
    ($name:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!("../../tests/captures/", $name, ".json"))).unwrap()
    };
}

fn at(value: &Value) -> Timestamp {
    Timestamp::parse(value.as_str().unwrap()).unwrap()
}

/// Returns the query of the captured request.
fn request_pairs(capture: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let query = capture["request"]["query"].as_object().unwrap();
    let pairs = query.iter().flat_map(|(name, value)| {
        let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        values.iter().map(|value| (name.clone(), text(value))).collect::<Vec<_>>()
    });
    pairs.collect()
}

fn response_body(capture: &Value) -> &Value {
    &capture["response"]["body"]
}

fn records(capture: &Value) -> &Vec<Value> {
    response_body(capture)["data"].as_array().unwrap()
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn put(user: &mut SimulatedUser, series_type: &str, at: Timestamp, value: f64) {
    user.put(Row::of(series_type, at, value));
}

fn event(record: &Value, details: EventDetails) -> Event {
    Event {
        start: at(&record["start_time"]),
        end: at(&record["end_time"]),
        zone: record["zone_offset"].as_str().map(str::to_owned),
        source: Source::of("oura"),
        duration_seconds: record["duration_seconds"].as_i64(),
        details,
        verbatim: None,
    }
}

fn sleep(record: &Value) -> Event {
    let minutes = |name: &str| record["stages"][name].as_i64().unwrap();
    let intervals = record["sleep_stage_intervals"].as_array().map(|all| {
        let each = all.iter().map(|part| SleepStage {
            stage: part["stage"].as_str().unwrap().to_owned(),
            start: at(&part["start_time"]),
            end: at(&part["end_time"]),
        });
        each.collect()
    });
    let sleep = Sleep {
        asleep_minutes: record["sleep_duration_seconds"].as_i64().map(|seconds| seconds / 60),
        in_bed_minutes: record["duration_seconds"].as_i64().map(|seconds| seconds / 60),
        efficiency: record["efficiency_percent"].as_f64(),
        stages: Some(["awake_minutes", "light_minutes", "deep_minutes", "rem_minutes"].map(minutes)),
        intervals,
        is_nap: record["is_nap"].as_bool().unwrap(),
    };
    event(record, EventDetails::Sleep(sleep))
}

fn id(record: &Value) -> Uuid {
    record["id"].as_str().unwrap().parse().unwrap()
}

#[test]
fn sleep_events_are_served_as_a_real_ow_does() {
    let capture = capture!("events-sleep");
    let mut user = SimulatedUser::default();
    for record in records(&capture) {
        user.put_event(id(record), sleep(record));
    }
    let served = EventsQuery::parse(&request_pairs(&capture), true).unwrap().render_page(&user);
    assert_eq!(parsed(&served), *response_body(&capture));
}

#[test]
fn workouts_are_served_as_a_real_ow_does() {
    let capture = capture!("events-workouts");
    let mut user = SimulatedUser::default();
    for record in records(&capture) {
        let workout = Workout {
            sport: record["type"].as_str().unwrap().to_owned(),
            calories: record["calories_kcal"].as_f64(),
            distance: record["distance_meters"].as_f64(),
            average_heart_rate: record["avg_heart_rate_bpm"].as_i64(),
            ..Workout::default()
        };
        user.put_event(id(record), event(record, EventDetails::Workout(workout)));
    }
    let served = EventsQuery::parse(&request_pairs(&capture), false).unwrap().render_page(&user);
    assert_eq!(parsed(&served), *response_body(&capture));
}

#[test]
fn days_of_activity_are_computed_from_samples_as_a_real_ow_does() {
    let capture = capture!("summaries-activity");
    let mut user = SimulatedUser::default();
    for record in records(&capture) {
        let four = at(&json!(format!("{}T04:00:00Z", record["date"].as_str().unwrap())));
        for (series_type, field) in [
            ("steps", "steps"),
            ("energy", "active_calories_kcal"),
            ("distance_walking_running", "distance_meters"),
            ("active_time", "active_minutes"),
        ] {
            let total = Row::of(series_type, four, record[field].as_f64().unwrap());
            user.put(total.with_daily_total(true).with_zone("+00:00"));
        }
        let rate = |name: &str| record["heart_rate"][name].as_f64().unwrap();
        let (least, most, mean) = (rate("min_bpm"), rate("max_bpm"), rate("avg_bpm"));
        let minute = std::time::Duration::from_mins(1);
        for (step, value) in (1..).zip([least, most, 3.0 * mean - least - most]) {
            put(&mut user, "heart_rate", four.plus(minute * step), value);
        }
    }
    let served = ActivityQuery::parse(&request_pairs(&capture)).unwrap().render_page(&user);
    assert_eq!(parsed(&served), *response_body(&capture));
}

#[test]
fn nights_are_summarized_as_a_real_ow_does() {
    let capture = capture!("summaries-sleep");
    let mut user = SimulatedUser::default();
    for (number, record) in (1..).zip(records(&capture)) {
        let mut event = sleep(&json!({
            "start_time": record["start_time"],
            "end_time": record["end_time"],
            "zone_offset": record["zone_offset"],
            "duration_seconds": record["time_in_bed_minutes"].as_i64().unwrap() * 60,
            "sleep_duration_seconds": record["duration_minutes"].as_i64().unwrap() * 60,
            "efficiency_percent": record["efficiency_percent"],
            "stages": record["stages"],
            "is_nap": false,
        }));
        event.source = Source::of("oura");
        let start = event.start;
        user.put_event(Uuid::from_u128(number), event);
        for (series_type, field) in [
            ("heart_rate", "avg_heart_rate_bpm"),
            ("heart_rate_variability_rmssd", "avg_hrv_rmssd_ms"),
            ("respiratory_rate", "avg_respiratory_rate"),
        ] {
            put(&mut user, series_type, start, record[field].as_f64().unwrap());
        }
    }
    let served = SleepSummaryQuery::parse(&request_pairs(&capture)).unwrap().render_page(&user);
    assert_eq!(parsed(&served), *response_body(&capture));
}

#[test]
fn data_are_counted_as_a_real_ow_does() {
    let capture = capture!("summaries-data");
    let body = response_body(&capture);
    let mut user = SimulatedUser::default();
    let start = Timestamp::parse("2026-11-20T00:10:00Z").unwrap();
    let minute = std::time::Duration::from_mins(1);
    for (series_type, count) in body["series_type_counts"].as_object().unwrap() {
        for step in 0..u32::try_from(count.as_u64().unwrap()).unwrap() {
            put(&mut user, series_type, start.plus(minute * step), 1.0);
        }
    }
    for number in 0..3_u32 {
        let start = start.plus(minute * (1440 * number));
        let night = Event::night(start, start.plus(minute * 420), Vec::new());
        user.put_event(Uuid::from_u128(u128::from(number)), night);
    }
    user.put_event(Uuid::from_u128(9), Event::workout("running", start, start.plus(minute)));
    let served =
        data_summary::respond(&user, body["user_id"].as_str().unwrap(), &request_pairs(&capture)).unwrap();
    assert_eq!(served, *body);
}

/// Sorts the records: those of one instant are in the order of their ids, which are random at a real OW.
fn sort_records(mut body: Value) -> Value {
    let records = body["data"].as_array_mut().unwrap();
    records.sort_by_key(|record| (record["timestamp"].to_string(), record["type"].to_string()));
    body
}

fn check_samples(capture: &Value) {
    let mut user = SimulatedUser::default();
    for record in records(capture) {
        let mut row = Row::of(
            record["type"].as_str().unwrap(),
            at(&record["timestamp"]),
            record["value"].as_f64().unwrap(),
        );
        row.zone = record["zone_offset"].as_str().map(str::to_owned);
        row.daily_total = record["is_daily_total"].as_bool();
        user.put(row);
    }
    put(&mut user, "weight", Timestamp::parse("2026-11-19T00:00:00Z").unwrap(), 80.0);
    let served = SamplesQuery::parse(&request_pairs(capture), 100, &[]).unwrap().render_page(&user);
    assert_eq!(sort_records(parsed(&served)), sort_records(response_body(capture).clone()));
}

#[test]
fn samples_of_every_type_are_served_as_a_real_ow_does() {
    check_samples(&capture!("timeseries-all-types"));
    check_samples(&capture!("timeseries-two-types"));
}

#[test]
fn an_unknown_series_type_gets_the_error_of_a_real_ow() {
    let capture = capture!("timeseries-comma-types");
    let refused = SamplesQuery::parse(&request_pairs(&capture), 100, &[]).unwrap_err();
    assert_eq!(json!({ "detail": refused }), *response_body(&capture));
}
