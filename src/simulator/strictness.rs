//! Checks the flaws and traps of a real OW that no capture shows; each is taken from its source code.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::common::{clock::Clock, time::Timestamp};
use crate::simulator::endpoints::{activity_summaries::ActivityQuery, events::EventsQuery};
use crate::simulator::endpoints::{sleep_summaries::SleepSummaryQuery, timeseries::SamplesQuery};
use crate::simulator::event::{Event, EventDetails};
use crate::simulator::samples_table::{Row, Source};
use crate::simulator::{activity_day::ActivityDay, fault::Fault, request_log::OwRoute};
use crate::simulator::{simulated_ow::SimulatedOw, user::SimulatedUser, vitals::compute_vitals};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn pairs(query: &[(&str, &str)]) -> Vec<(String, String)> {
    query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn sleeps(user: &SimulatedUser, query: &[(&str, &str)]) -> Result<Value, String> {
    EventsQuery::parse(&pairs(query), true).map(|query| parsed(&query.render_page(user)))
}

fn activity(user: &SimulatedUser, query: &[(&str, &str)]) -> Result<Value, String> {
    ActivityQuery::parse(&pairs(query)).map(|query| parsed(&query.render_page(user)))
}

fn sleep_summaries(user: &SimulatedUser, query: &[(&str, &str)]) -> Result<Value, String> {
    SleepSummaryQuery::parse(&pairs(query)).map(|query| parsed(&query.render_page(user)))
}

/// Returns a user with this many nights of eight hours from 10 November on.
fn user_with_nights(nights: u32) -> SimulatedUser {
    let mut user = SimulatedUser::default();
    for night in 0..nights {
        let start = at("2026-11-10T22:00:00Z").plus(DAY * night);
        user.put_event(
            Uuid::from_u128(u128::from(night) + 1),
            Event::night(start, start.plus(HOUR * 8), Vec::new()),
        );
    }
    user
}

fn starts(page: &Value) -> Vec<String> {
    let records = page["data"].as_array().unwrap();
    records.iter().map(|record| record["start_time"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_event_across_the_border_of_two_windows_is_in_neither() {
    let user = user_with_nights(1);
    let count = |from, until| {
        sleeps(&user, &[("start_date", from), ("end_date", until)]).unwrap()["pagination"]["total_count"]
            .as_i64()
            .unwrap()
    };
    assert_eq!(count("2026-11-10", "2026-11-11"), 0);
    assert_eq!(count("2026-11-11", "2026-11-12"), 0, "an end at midnight adds no day here");
    assert_eq!(count("2026-11-10T22:00:00Z", "2026-11-11T06:00:00Z"), 0, "the end is excluded");
    assert_eq!(count("2026-11-10T22:00:00Z", "2026-11-11T06:00:00.000001Z"), 1);
}

#[test]
fn events_come_newest_first_page_by_page_and_back() {
    let user = user_with_nights(5);
    let window = [("start_date", "2026-11-01"), ("end_date", "2026-12-01"), ("limit", "2")];
    let page = |cursor: Option<&str>| {
        let mut query = window.to_vec();
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        sleeps(&user, &query).unwrap()
    };
    let cursor = |page: &Value, name: &str| page["pagination"][name].as_str().map(str::to_owned);
    let first = page(None);
    assert_eq!(starts(&first), ["2026-11-14T22:00:00Z", "2026-11-13T22:00:00Z"]);
    assert_eq!(cursor(&first, "previous_cursor"), None);
    let second = page(cursor(&first, "next_cursor").as_deref());
    let third = page(cursor(&second, "next_cursor").as_deref());
    assert_eq!(starts(&third), ["2026-11-10T22:00:00Z"]);
    assert_eq!(third["pagination"]["has_more"], false);
    assert_eq!(cursor(&third, "next_cursor"), None);
    let back = page(cursor(&third, "previous_cursor").as_deref());
    assert_eq!(starts(&back), starts(&second));
    assert!(cursor(&third, "previous_cursor").unwrap().starts_with("prev_"));
    assert_eq!(first["pagination"]["total_count"], 5);
    assert_eq!(third["pagination"]["total_count"], 5);
}

#[test]
fn samples_have_pages_backwards_too() {
    let mut user = SimulatedUser::default();
    for minute in 0..5 {
        user.put(Row::heart_rate(at("2026-11-21T00:00:00Z").plus(Duration::from_mins(minute)), 60.0));
    }
    let page = |cursor: Option<&str>| {
        let mut query = vec![("start_time", "2026-11-21"), ("end_time", "2026-11-21"), ("limit", "2")];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        parsed(&SamplesQuery::parse(&pairs(&query), 100, &[]).unwrap().render_page(&user))
    };
    let first = page(None);
    let second = page(first["pagination"]["next_cursor"].as_str());
    let third = page(second["pagination"]["next_cursor"].as_str());
    let back = page(third["pagination"]["previous_cursor"].as_str());
    assert_eq!(back["data"], second["data"]);
    assert_eq!(back["pagination"]["has_more"], true);
}

#[test]
fn invalid_requests_for_events_and_summaries_get_the_errors_of_a_real_ow() {
    let user = SimulatedUser::default();
    let bounds = [("start_date", "2026-11-20"), ("end_date", "2026-11-23")];
    let with = |pair| [bounds[0], bounds[1], pair];
    let at_most = |cap: u32| format!("Input should be less than or equal to {cap}");
    assert_eq!(sleeps(&user, &bounds[..1]).unwrap_err(), "Field required");
    assert_eq!(sleeps(&user, &with(("limit", "101"))).unwrap_err(), at_most(100));
    assert_eq!(sleep_summaries(&user, &with(("limit", "101"))).unwrap_err(), at_most(100));
    assert_eq!(activity(&user, &with(("limit", "401"))).unwrap_err(), at_most(400));
    assert!(activity(&user, &with(("limit", "400"))).is_ok());
    assert_eq!(
        sleeps(&user, &with(("limit", "0"))).unwrap_err(),
        "Input should be greater than or equal to 1"
    );
    let garbage = "Invalid cursor format: 'garbage'. Expected 'timestamp|id'.";
    assert_eq!(sleeps(&user, &with(("cursor", "garbage"))).unwrap_err(), garbage);
    assert_eq!(sleeps(&user, &with(("cursor", "prev_garbage"))).unwrap_err(), garbage);
    assert_eq!(
        activity(&user, &with(("sort_order", "up"))).unwrap_err(),
        "String should match pattern '^(asc|desc)$'"
    );
    assert_eq!(
        sleeps(&user, &[bounds[0], ("end_date", "tomorrow")]).unwrap_err(),
        "Invalid datetime format: 'tomorrow'. Expected ISO 8601 format or Unix timestamp."
    );
    let of_events = "MjAyNi0xMS0yMFQwMDowMDowMCswMDowMHxmNTdjYTA2Mi1mNWJkLTRkMmEtYjRmYy0wNjUyODE1MjY0ZmU=";
    assert!(sleeps(&user, &with(("cursor", of_events))).is_ok());
    assert!(activity(&user, &with(("cursor", of_events))).is_err(), "a cursor of events has no third field");
}

#[test]
fn summaries_exclude_the_day_of_the_end_whatever_its_time() {
    let mut user = user_with_nights(1);
    user.put(Row::of("steps", at("2026-11-11T12:00:00Z"), 10.0));
    user.activity.insert("2026-11-12".into(), ActivityDay::of("2026-11-12", 12));
    for (end, count) in [("2026-11-11T23:59:59Z", 0), ("2026-11-12", 1)] {
        let query = [("start_date", "2026-11-11"), ("end_date", end)];
        assert_eq!(activity(&user, &query).unwrap()["metadata"]["sample_count"], count, "{end}");
        assert_eq!(sleep_summaries(&user, &query).unwrap()["metadata"]["sample_count"], count, "{end}");
    }
}

#[test]
fn a_sample_counts_to_its_local_day() {
    let mut user = SimulatedUser::default();
    user.put(Row::of("steps", at("2026-11-10T23:00:00Z"), 7.0).with_zone("+02:00"));
    let day = |date: &str, next: &str| {
        activity(&user, &[("start_date", date), ("end_date", next)]).unwrap()["data"][0]["steps"].clone()
    };
    assert_eq!(day("2026-11-10", "2026-11-11"), Value::Null);
    assert_eq!(day("2026-11-11", "2026-11-12"), 7);
}

#[test]
fn a_day_has_its_totals_or_the_sum_of_its_parts_and_zero_steps_where_there_are_none() {
    let mut user = SimulatedUser::default();
    let noon = at("2026-11-20T12:00:00Z");
    for minute in 0..3 {
        let part = Row::of("steps", noon.plus(Duration::from_mins(minute)), 100.0);
        user.put(part.with_daily_total(false));
    }
    let steps = |user: &SimulatedUser, next: &str, date: &str| {
        activity(user, &[("start_date", date), ("end_date", next)]).unwrap()["data"][0]["steps"].clone()
    };
    assert_eq!(steps(&user, "2026-11-21", "2026-11-20"), 300);
    user.put(Row::of("steps", at("2026-11-20T04:00:00Z"), 5000.0).with_daily_total(true));
    assert_eq!(steps(&user, "2026-11-21", "2026-11-20"), 5000);
    user.put(Row::heart_rate(noon.plus(DAY), 60.0));
    assert_eq!(steps(&user, "2026-11-22", "2026-11-21"), 0);
}

#[test]
fn minutes_are_counted_by_steps_and_heart_rates_where_no_provider_counted_them() {
    let mut user = SimulatedUser::default();
    let noon = at("2026-11-20T12:00:00Z");
    for (minute, steps, rate) in [(0, 29.0, 94.0), (1, 30.0, 95.0), (2, 90.0, 119.5), (3, 80.0, 145.0)] {
        let minute = noon.plus(Duration::from_mins(minute));
        user.put(Row::of("steps", minute, steps).with_daily_total(false));
        user.put(Row::heart_rate(minute, rate));
    }
    let mut hike = Event::workout("hiking", noon, noon.plus(HOUR));
    if let EventDetails::Workout(workout) = &mut hike.details {
        workout.elevation_gain = Some(100.0);
    }
    user.put_event(Uuid::from_u128(1), hike);
    let page = activity(&user, &[("start_date", "2026-11-20"), ("end_date", "2026-11-21")]).unwrap();
    let day = &page["data"][0];
    assert_eq!((day["active_minutes"].as_i64(), day["sedentary_minutes"].as_i64()), (Some(3), Some(1)));
    assert_eq!(day["intensity_minutes"], json!({ "light": 1, "moderate": 1, "vigorous": 1 }));
    assert_eq!((day["elevation_meters"].as_f64(), day["floors_climbed"].as_i64()), (Some(100.0), Some(33)));
}

#[test]
fn a_day_shows_its_best_source_alone() {
    let mut user = SimulatedUser::default();
    let noon = at("2026-11-20T12:00:00Z");
    user.put(Row::of("steps", noon, 4000.0));
    user.put(Row::of("active_time", noon, 60.0));
    user.put(Row::of("steps", noon, 100.0).with_daily_total(true).with_provider("garmin"));
    let page = activity(&user, &[("start_date", "2026-11-20"), ("end_date", "2026-11-21")]).unwrap();
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
    assert_eq!(page["data"][0]["source"]["provider"], "garmin");
    assert_eq!(page["data"][0]["steps"], 100);
    assert_eq!(page["data"][0]["active_minutes"], Value::Null);
    assert_eq!(page["pagination"]["total_count"], Value::Null);
}

#[test]
fn days_of_activity_have_pages_in_either_order() {
    let mut user = SimulatedUser::default();
    for day in 0..5 {
        user.put(Row::of("steps", at("2026-11-20T12:00:00Z").plus(DAY * day), f64::from(day)));
    }
    for (order, expected) in [("asc", [0, 1, 2, 3, 4]), ("desc", [4, 3, 2, 1, 0])] {
        let (mut cursor, mut seen) = (None::<String>, Vec::new());
        loop {
            let mut query = vec![("start_date", "2026-11-20"), ("end_date", "2026-12-01"), ("limit", "2")];
            query.push(("sort_order", order));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page = activity(&user, &query).unwrap();
            seen.extend(page["data"].as_array().unwrap().iter().map(|day| day["steps"].as_i64().unwrap()));
            cursor = page["pagination"]["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, expected, "{order}");
    }
}

#[test]
fn sleep_summaries_lose_pages_where_a_user_has_two_devices() {
    let mut user = user_with_nights(4);
    for (number, night) in (50..).zip(user.events.values().cloned().collect::<Vec<_>>()) {
        let mut other = night.with_source(Source::of("whoop"));
        other.start = other.start.plus(HOUR);
        user.put_event(Uuid::from_u128(number), other);
    }
    let page = |limit| {
        sleep_summaries(&user, &[("start_date", "2026-11-10"), ("end_date", "2026-12-01"), ("limit", limit)])
            .unwrap()
    };
    assert_eq!(page("100")["data"].as_array().unwrap().len(), 4);
    assert_eq!(page("100")["data"][0]["source"]["provider"], "whoop");
    assert_eq!(page("3")["data"].as_array().unwrap().len(), 2);
    assert_eq!(page("3")["pagination"]["has_more"], false, "two more nights follow, and OW does not say so");
    let best = [("start_date", "2026-11-10"), ("end_date", "2026-12-01"), ("filter_by_priority", "true")];
    assert_eq!(sleeps(&user, &best).unwrap()["pagination"]["total_count"], 4);
    assert_eq!(sleeps(&user, &best[..2]).unwrap()["pagination"]["total_count"], 8);
}

#[test]
fn the_key_of_a_row_is_source_type_and_time_without_the_unit() {
    let mut user = SimulatedUser::default();
    let noon = at("2026-11-20T12:00:00Z");
    user.put(Row::of("weight", noon, 80.0));
    user.put(Row::of("weight", noon, 176.4).with_unit("lb"));
    user.put(Row::of("weight", noon, 81.0).with_device("Scale"));
    user.put(Row::of("height", noon, 181.0));
    let query = pairs(&[("start_time", "2026-11-20"), ("end_time", "2026-11-20"), ("types", "weight")]);
    let page = parsed(&SamplesQuery::parse(&query, 100, &[]).unwrap().render_page(&user));
    let shown: Vec<_> = page["data"].as_array().unwrap().iter().map(|row| row["unit"].clone()).collect();
    assert_eq!(shown, ["lb", "kg"]);
}

#[tokio::test]
async fn an_updated_event_keeps_its_id_and_merged_events_get_a_new_one() {
    let sim = SimulatedOw::start(0, Clock::System).unwrap();
    let user = sim.add_user();
    let (start, end) = (at("2026-11-10T22:00:00Z"), at("2026-11-11T02:00:00Z"));
    let first = sim.put_event(&user, Event::night(start, end, Vec::new()));
    assert_eq!(sim.put_event(&user, Event::night(start, end, Vec::new())), first);
    sim.update_event(&user, first, Event::night(start, end.plus(HOUR), Vec::new()));
    let second = sim.put_event(&user, Event::nap(end.plus(HOUR * 2), end.plus(HOUR * 4)));
    let whole = Event::night(start, end.plus(HOUR * 4), Vec::new());
    let merged = sim.replace_events(&user, &[first, second], whole.clone());
    assert_eq!(sim.events(&user), [(merged, whole)]);
    assert!(merged != first && merged != second);
    sim.remove_event(&user, merged);
    assert!(sim.events(&user).is_empty());
}

async fn get(sim: &SimulatedOw, path: &str) -> (u16, Value) {
    let request = reqwest::Client::new().get(format!("{}/api/v1{path}", sim.url()));
    let answer = request.header("X-Open-Wearables-API-Key", sim.key()).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null))
}

#[tokio::test]
async fn a_fault_applies_to_every_route_or_one_and_requests_are_logged() {
    let sim = SimulatedOw::start(0, Clock::System).unwrap();
    let user = sim.add_user();
    sim.put_activity(&user, ActivityDay::of("2026-11-20", 4711));
    let bounds = "start_date=2026-11-20&end_date=2026-11-23";
    let sleep = format!("/users/{user}/events/sleep?{bounds}");
    let activity = format!("/users/{user}/summaries/activity?{bounds}");
    let samples = format!(
        "/users/{user}/timeseries?start_time=2026-11-20&end_time=2026-11-23&types=steps&types=heart_rate"
    );
    sim.set_fault_on(&user, OwRoute::Sleep, Some(Fault::FailFirst { times: 1, status: 503 }));
    assert_eq!(get(&sim, &sleep).await.0, 503);
    assert_eq!(get(&sim, &activity).await.1["data"][0]["steps"], 4711);
    assert_eq!(get(&sim, &sleep).await.0, 200);
    sim.set_fault_on(&user, OwRoute::Sleep, None);
    sim.set_fault(&user, Some(Fault::RepeatCursor));
    for path in [&sleep, &activity, &samples] {
        let next = get(&sim, path).await.1["pagination"]["next_cursor"].as_str().unwrap().to_owned();
        let (status, page) = get(&sim, &format!("{path}&cursor={next}")).await;
        assert_eq!((status, page["pagination"]["next_cursor"].as_str()), (200, Some(next.as_str())));
    }
    let set = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    let expected = [
        (OwRoute::Timeseries, set(&["heart_rate", "steps"])),
        (OwRoute::Sleep, set(&[])),
        (OwRoute::Activity, set(&[])),
    ];
    assert_eq!(sim.requested_types(&user), BTreeMap::from(expected));
    assert!(sim.requested_types("somebody else").is_empty());
    let last = sim.data_requests().pop().unwrap();
    assert!(last.has_cursor);
    assert_eq!((last.from.as_deref(), last.limit), (Some("2026-11-20"), None));
}

/// Returns the rows and the events that OW has after a sync at each of these times.
fn sync_at(steps: &[Timestamp]) -> (Vec<String>, Vec<String>) {
    let mut user = SimulatedUser::default();
    for pair in steps.windows(2) {
        let vitals = compute_vitals(3, true, pair[0], pair[1]);
        for row in vitals.rows.into_iter().filter(|row| row.series.series_type != "weight") {
            user.put(row);
        }
        for (number, event) in (u128::from(pair[0].micros().unsigned_abs()) << 8..).zip(vitals.events) {
            user.put_event(Uuid::from_u128(number), event);
        }
    }
    let series_type = |series: u32| user.series(series).map(|series| series.series_type.clone());
    let mut rows: Vec<_> = user
        .records
        .iter()
        .map(|((at, series), row)| format!("{at} {:?} {row:?}", series_type(*series)))
        .collect();
    rows.sort();
    let mut events: Vec<_> = user.events.values().map(|event| format!("{event:?}")).collect();
    events.sort();
    (rows, events)
}

#[test]
fn measurements_do_not_depend_on_how_often_the_devices_sync() {
    let from = at("2026-11-20T11:00:00Z");
    let once = sync_at(&[from, from.plus(DAY * 4)]);
    let often: Vec<_> = (0..=4 * 24 * 4).map(|quarter| from.plus(HOUR / 4 * quarter)).collect();
    assert_eq!(sync_at(&often), once);
    assert_eq!(once.1.iter().filter(|event| event.contains("is_nap: false")).count(), 4, "a night each day");
    let has =
        |series_type: &str| once.0.iter().filter(|row| row.contains(&format!("\"{series_type}\""))).count();
    assert_eq!((has("oxygen_saturation"), has("blood_pressure_systolic")), (4, 8));
    assert_eq!(has("blood_pressure_diastolic"), has("blood_pressure_systolic"));
    assert!(once.1.iter().any(|event| event.contains("Workout")));
}

#[test]
fn the_steps_of_a_day_grow_in_place() {
    let four = at("2026-11-21T04:00:00Z");
    let steps = |from: &str, until: &str| {
        let rows = compute_vitals(1, false, at(from), at(until)).rows;
        rows.into_iter().find(|row| row.series.series_type == "steps").unwrap()
    };
    let noon = steps("2026-11-21T11:00:00Z", "2026-11-21T12:00:00Z");
    let evening = steps("2026-11-21T12:00:00Z", "2026-11-21T20:00:00Z");
    assert_eq!((noon.at, evening.at), (four, four));
    assert!(noon.value > 0.0 && noon.value < evening.value);
    assert_eq!(noon.daily_total, Some(true));
}
