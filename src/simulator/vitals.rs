//! Data of a ring and a blood pressure cuff besides the heart rate: nights, naps, daily totals and workouts.
//! They depend on the person and the instant alone, and each becomes known when the real one would.

use std::time::Duration;

use crate::common::time::Timestamp;
use crate::simulator::event::{Event, EventDetails, SleepStage};
use crate::simulator::ring::pseudo_random;
use crate::simulator::samples_table::{Row, Source};

const MINUTE: Duration = Duration::from_mins(1);
const FIVE_MINUTES: Duration = Duration::from_mins(5);
const DAY: Duration = Duration::from_hours(24);
/// The simulated people live in UTC.
const ZONE: &str = "+00:00";
/// Oura's day begins at four in the morning, and its daily totals have that time.
const DAY_BEGINS: Duration = Duration::from_hours(4);
/// Hours after midnight at which people begin to walk, and for how many hours they do.
const AWAKE_FROM: f64 = 7.0;
const AWAKE_HOURS: f64 = 15.5;

/// Samples and events of one person.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Vitals {
    /// A daily total that grew is the same row with a higher value.
    pub rows: Vec<Row>,
    pub events: Vec<Event>,
}

/// Computes the data of the person `seed` that become known after `from` and no later than `until`; with a
/// cuff, blood pressure too. Daily totals grow with every minute.
pub fn compute_vitals(seed: u64, has_cuff: bool, from: Timestamp, until: Timestamp) -> Vitals {
    let mut vitals = Vitals::default();
    let mut day = from.midnight();
    while day <= until {
        add_night(seed, day, from, until, &mut vitals);
        add_nap(seed, day, from, until, &mut vitals);
        add_workout(seed, day, from, until, &mut vitals);
        add_daily_totals(seed, day, from, until, &mut vitals.rows);
        if has_cuff {
            add_blood_pressure(seed, day, from, until, &mut vitals.rows);
        }
        day = day.plus(DAY);
    }
    add_weight(seed, from, until, &mut vitals.rows);
    vitals
}

/// Returns a number from 0 to 1 for a person, a day and an index: each random choice below has an index of
/// its own.
fn draw(seed: u64, day: Timestamp, index: u64) -> f64 {
    let days = day.micros().div_euclid(86_400_000_000).unsigned_abs();
    pseudo_random(seed, days.wrapping_mul(1000).wrapping_add(index))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "minutes of a day")]
fn minutes(number: f64) -> Duration {
    MINUTE * number.max(0.0).round() as u32
}

fn round_to_tenth(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

fn is_within(known: Timestamp, from: Timestamp, until: Timestamp) -> bool {
    known > from && known <= until
}

fn row(series_type: &str, at: Timestamp, value: f64) -> Row {
    Row::of(series_type, at, value).with_zone(ZONE)
}

/// Adds the night that ends on this day, all of whose data become known when it ends.
fn add_night(seed: u64, day: Timestamp, from: Timestamp, until: Timestamp, vitals: &mut Vitals) {
    let start = day.minus(minutes(110.0 - 100.0 * draw(seed, day, 1)));
    let parts = 84 + if draw(seed, day, 2) > 0.5 { 6 } else { 0 };
    let end = start.plus(FIVE_MINUTES * parts);
    if !is_within(end, from, until) {
        return;
    }
    vitals.events.push(Event::night(start, end, sleep_stages(seed, day, start, parts)).with_zone(Some(ZONE)));
    let resting = (44.0 + 14.0 * pseudo_random(seed, 1) + 4.0 * draw(seed, day, 3)).round();
    vitals.rows.push(row("resting_heart_rate", start, resting));
    vitals.rows.push(row("respiratory_rate", start, round_to_tenth(12.5 + 4.0 * draw(seed, day, 4))));
    let saturation = (9550.0 + 350.0 * draw(seed, day, 5)).round() / 100.0;
    vitals.rows.push(Row::of("oxygen_saturation", day, saturation));
    let base = 25.0 + 50.0 * pseudo_random(seed, 2);
    for part in 0..parts {
        let value = (base + 40.0 * draw(seed, day, 100 + u64::from(part))).round();
        vitals.rows.push(row("heart_rate_variability_rmssd", start.plus(FIVE_MINUTES * part), value));
    }
}

/// Computes stages in cycles of an hour and a half: deep sleep early in the night, REM late.
fn sleep_stages(seed: u64, day: Timestamp, start: Timestamp, parts: u32) -> Vec<SleepStage> {
    let mut all: Vec<SleepStage> = Vec::new();
    for part in 0..parts {
        let chance = draw(seed, day, 300 + u64::from(part));
        let is_late = part > parts / 2;
        let stage = match part % 18 {
            0 => "awake",
            5..=9 if !is_late => "deep",
            14..=17 if is_late || chance > 0.5 => "rem",
            _ => "light",
        };
        let (begin, end) = (start.plus(FIVE_MINUTES * part), start.plus(FIVE_MINUTES * (part + 1)));
        match all.last_mut() {
            Some(last) if last.stage == stage => last.end = end,
            _ => all.push(SleepStage { stage: stage.to_owned(), start: begin, end }),
        }
    }
    all
}

fn add_nap(seed: u64, day: Timestamp, from: Timestamp, until: Timestamp, vitals: &mut Vitals) {
    let start = day.plus(minutes(13.0 * 60.0 + 60.0 * draw(seed, day, 6)));
    let end = start.plus(minutes(20.0 + 25.0 * draw(seed, day, 7)));
    if draw(seed, day, 8) > 0.7 && is_within(end, from, until) {
        vitals.events.push(Event::nap(start, end).with_zone(Some(ZONE)));
        vitals.rows.push(row("resting_heart_rate", start, (52.0 + 14.0 * pseudo_random(seed, 1)).round()));
    }
}

/// Adds a workout every other day.
fn add_workout(seed: u64, day: Timestamp, from: Timestamp, until: Timestamp, vitals: &mut Vitals) {
    let days = day.micros().div_euclid(86_400_000_000).unsigned_abs();
    let start = day.plus(minutes(17.0 * 60.0 + 60.0 * draw(seed, day, 9)));
    let length = 25.0 + 20.0 * draw(seed, day, 10);
    let end = start.plus(minutes(length));
    if !(days + seed).is_multiple_of(2) || !is_within(end, from, until) {
        return;
    }
    let sport = if draw(seed, day, 11) > 0.5 { "running" } else { "walking" };
    let mut event = Event::workout(sport, start, end).with_zone(Some(ZONE));
    if let EventDetails::Workout(workout) = &mut event.details {
        workout.calories = Some(round_to_tenth(length * 9.0));
        workout.distance = Some((length * if sport == "running" { 160.0 } else { 85.0 }).round());
    }
    vitals.events.push(event);
}

fn add_daily_totals(seed: u64, day: Timestamp, from: Timestamp, until: Timestamp, rows: &mut Vec<Row>) {
    let at = day.plus(DAY_BEGINS);
    let share = |known: Timestamp| {
        #[expect(clippy::cast_precision_loss, reason = "minutes of a day")]
        let hours = (known.max(day).since(day).as_secs() / 60) as f64 / 60.0;
        ((hours - AWAKE_FROM) / AWAKE_HOURS).clamp(0.0, 1.0)
    };
    let is_first = is_within(at, from, until);
    if until < at || (!is_first && share(from).to_bits() == share(until).to_bits()) {
        return;
    }
    let steps = (5000.0 + 8000.0 * draw(seed, day, 12)) * share(until);
    let daily = |series_type: &str, value: f64| row(series_type, at, value.round()).with_daily_total(true);
    rows.push(daily("steps", steps));
    rows.push(daily("energy", steps * 0.045));
    rows.push(daily("distance_walking_running", steps * 0.74));
    rows.push(daily("active_time", steps * 0.016));
}

/// Adds readings of Garmin's cuff, morning and evening: two rows each, with the same source and time.
fn add_blood_pressure(seed: u64, day: Timestamp, from: Timestamp, until: Timestamp, rows: &mut Vec<Row>) {
    for (index, hour) in [(20, 8.0), (30, 20.5)] {
        let at = day.plus(minutes(hour * 60.0 + 20.0 * draw(seed, day, index)));
        if is_within(at, from, until) {
            let cuff = |series_type: &str, value: f64| {
                row(series_type, at, value.round()).with_source(Source::of("garmin"))
            };
            rows.push(cuff("blood_pressure_systolic", 114.0 + 22.0 * draw(seed, day, index + 1)));
            rows.push(cuff("blood_pressure_diastolic", 70.0 + 16.0 * draw(seed, day, index + 2)));
        }
    }
}

/// Adds a weight once a day. OW reads the weight at each sync, and stores a changed one with the time of the
/// sync.
fn add_weight(seed: u64, from: Timestamp, until: Timestamp, rows: &mut Vec<Row>) {
    if from.midnight() < until.midnight() {
        let value = 58.0 + 30.0 * pseudo_random(seed, 3) + 1.2 * draw(seed, until.midnight(), 40);
        rows.push(Row::of("weight", until, round_to_tenth(value)));
    }
}
