//! From the items of Oura's own API (`oura_raw`). The order of the steps is the reference converter's: it decides
//! which of two errors is told.

use jiff::tz::TimeZone;

use super::body::{Body, Optional};
use super::error::Raised;
use super::moment::{Frame, Moment};
use super::number::Cast::{Float, Integer};
use super::sample::Sample;
use super::value::Value;
use super::{Converted, MAIN_SLEEP, SLEEPING};

/// A heart rate, or the lowest of a sleep.
pub(super) fn heart_rate<'a>(sample: &Sample<'a>, _: Option<&TimeZone>) -> Converted<'a> {
    let mut body = Body::new();
    if sample.has("bedtime_start") {
        let frame = sleep(sample)?;
        let lowest = require(
            sample,
            "lowest_heart_rate",
            "oura_raw heart_rate (sleep record) requires 'lowest_heart_rate'",
        )?;
        body.measure("heart_rate", Float.of(&lowest)?, "beats/min");
        body.frame(frame);
        body.word(SLEEPING.0, SLEEPING.1);
        body.word("descriptive_statistic", "minimum");
    } else {
        body.measure("heart_rate", Float.of(&sample.must("bpm")?)?, "beats/min");
        body.frame(Frame::At(Moment::parse(&sample.must("timestamp")?)?));
    }
    Ok(body)
}

/// Milliseconds, and never the score from 0 to 100 that Oura calls a balance.
pub(super) fn heart_rate_variability<'a>(sample: &Sample<'a>, _: Option<&TimeZone>) -> Converted<'a> {
    let balance = match sample.may("contributors")? {
        Some(Value::Object(object)) => Sample::of(object),
        _ => Sample::default(),
    };
    let value = if sample.has("rmssd") {
        sample.must("rmssd")?
    } else if balance.has("hrv_balance_ms") {
        balance.must("hrv_balance_ms")?
    } else {
        return Err(Raised::Conversion(
            "oura_raw heart_rate_variability requires either 'rmssd' or 'contributors.hrv_balance_ms' \u{2014} the \
             normalized 0-100 hrv_balance score is not a valid HRV measurement in milliseconds"
                .into(),
        ));
    };
    let time = match sample.may("timestamp")?.filter(Value::is_true) {
        Some(timestamp) => Some(timestamp),
        None => sample.may("day")?,
    };
    let time = time
        .ok_or(Raised::Conversion("oura_raw heart_rate_variability requires 'timestamp' or 'day'".into()))?;
    let mut body = Body::new();
    body.measure("heart_rate_variability", Float.of(&value)?, "ms");
    body.frame(Frame::At(Moment::parse(&time)?));
    Ok(body)
}

pub(super) fn step_count<'a>(sample: &Sample<'a>, zone: Option<&TimeZone>) -> Converted<'a> {
    let mut body = Body::new();
    body.measure("step_count", Integer.of(&sample.must("steps")?)?, "steps");
    body.frame(Frame::day(&sample.must("day")?, zone)?);
    Ok(body)
}

pub(super) fn oxygen_saturation<'a>(sample: &Sample<'a>, zone: Option<&TimeZone>) -> Converted<'a> {
    let average = match sample.may("spo2_percentage")? {
        Some(Value::Object(object)) => Sample::of(object).must("average").ok(),
        _ => None,
    };
    let average = average.ok_or(Raised::Conversion(
        "oura_raw oxygen_saturation requires 'spo2_percentage.average' (a nested object with an 'average' field)"
            .into(),
    ))?;
    let mut body = Body::new();
    body.measure("oxygen_saturation", Float.of(&average)?, "%");
    body.frame(Frame::day(&sample.must("day")?, zone)?);
    Ok(body)
}

pub(super) fn sleep_duration<'a>(sample: &Sample<'a>, _: Option<&TimeZone>) -> Converted<'a> {
    let frame = sleep(sample)?;
    let total =
        require(sample, "total_sleep_duration", "oura_raw sleep_duration requires 'total_sleep_duration'")?;
    let mut body = Body::new();
    body.measure("total_sleep_time", Integer.of(&total)?, "sec");
    body.frame(frame);
    main_sleep(&mut body, sample)?;
    Ok(body)
}

const TOTAL: [Optional; 1] = [("total_sleep_time", "total_sleep_duration", Integer, "sec")];
const STAGES: [Optional; 3] = [
    ("light_sleep_duration", "light_sleep_duration", Integer, "sec"),
    ("deep_sleep_duration", "deep_sleep_duration", Integer, "sec"),
    ("rem_sleep_duration", "rem_sleep_duration", Integer, "sec"),
];
const LATENCY_AND_EFFICIENCY: [Optional; 2] = [
    ("latency_to_sleep_onset", "latency", Integer, "sec"),
    ("sleep_efficiency_percentage", "efficiency", Float, "%"),
];

/// What an episode and its summary of stages share, but for what the time awake is called.
fn of_stages<'a>(body: &mut Body<'a>, sample: &Sample<'a>, awake: &'static str) -> Result<(), Raised> {
    body.optional(sample, &STAGES)?;
    body.optional(sample, &[(awake, "awake_time", Integer, "sec")])?;
    body.optional(sample, &LATENCY_AND_EFFICIENCY)
}

pub(super) fn sleep_episode<'a>(sample: &Sample<'a>, _: Option<&TimeZone>) -> Converted<'a> {
    let mut body = Body::new();
    body.frame(sleep(sample)?);
    body.optional(sample, &TOTAL)?;
    of_stages(&mut body, sample, "wake_after_sleep_onset")?;
    main_sleep(&mut body, sample)?;
    Ok(body)
}

pub(super) fn sleep_stage_summary<'a>(sample: &Sample<'a>, _: Option<&TimeZone>) -> Converted<'a> {
    let frame = sleep(sample)?;
    let total = require(
        sample,
        "total_sleep_duration",
        "oura_raw sleep_stage_summary requires 'total_sleep_duration'",
    )?;
    let mut summary = Body::new();
    summary.measure("total_sleep_time", Integer.of(&total)?, "sec");
    of_stages(&mut summary, sample, "awake_duration")?;
    let mut body = Body::new();
    body.inner("sleep_stage_summary", summary);
    body.frame(frame);
    main_sleep(&mut body, sample)?;
    Ok(body)
}

pub(super) fn time_in_bed<'a>(sample: &Sample<'a>, _: Option<&TimeZone>) -> Converted<'a> {
    let frame = sleep(sample)?;
    let seconds = require(sample, "time_in_bed", "oura_raw time_in_bed requires 'time_in_bed'")?;
    let mut body = Body::new();
    body.measure("time_in_bed", Integer.of(&seconds)?, "sec");
    body.frame(frame);
    main_sleep(&mut body, sample)?;
    Ok(body)
}

pub(super) fn respiratory_rate<'a>(sample: &Sample<'a>, _: Option<&TimeZone>) -> Converted<'a> {
    let frame = sleep(sample)?;
    let breaths = require(sample, "average_breath", "oura_raw respiratory_rate requires 'average_breath'")?;
    let mut body = Body::new();
    body.measure("respiratory_rate", Float.of(&breaths)?, "breaths/min");
    body.frame(frame);
    body.word("descriptive_statistic", "average");
    Ok(body)
}

/// The time in bed. What the wearer rejected or deleted is no sleep.
fn sleep(sample: &Sample<'_>) -> Result<Frame, Raised> {
    if let Some(kind) = sample.may("type")?
        && let word @ ("rest" | "deleted") = kind.word()?
    {
        return Err(Raised::Conversion(
            format!("oura_raw sleep record type '{word}' is not converted").into(),
        ));
    }
    Frame::between(&sample.must("bedtime_start")?, &sample.must("bedtime_end")?)
}

/// A type that Oura has not published says nothing of whether it was the night.
fn main_sleep(body: &mut Body<'_>, sample: &Sample<'_>) -> Result<(), Raised> {
    if let Some(kind) = sample.may("type")? {
        match kind.word()? {
            "long_sleep" => body.flag(MAIN_SLEEP, true),
            "sleep" | "late_nap" => body.flag(MAIN_SLEEP, false),
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn body_weight<'a>(sample: &Sample<'a>, _: Option<&TimeZone>) -> Converted<'a> {
    let weight = require(sample, "weight", "oura_raw body_weight requires 'weight'")?;
    let untimed =
        "oura_raw body_weight requires a caller-supplied 'timestamp'; Oura personal_info carries none";
    profile(sample, "body_weight", &weight, "kg", untimed)
}

pub(super) fn body_height<'a>(sample: &Sample<'a>, _: Option<&TimeZone>) -> Converted<'a> {
    let height = require(sample, "height", "oura_raw body_height requires 'height'")?;
    let untimed =
        "oura_raw body_height requires a caller-supplied 'timestamp'; Oura personal_info carries none";
    profile(sample, "body_height", &height, "m", untimed)
}

/// What Oura knows of a person has no time of its own.
fn profile<'a>(
    sample: &Sample<'a>,
    name: &'static str,
    value: &Value<'_>,
    unit: &'static str,
    untimed: &'static str,
) -> Converted<'a> {
    let mut body = Body::new();
    body.measure(name, Float.of(value)?, unit);
    body.frame(Frame::At(Moment::parse(&require(sample, "timestamp", untimed)?)?));
    Ok(body)
}

fn require<'a>(sample: &Sample<'a>, field: &str, otherwise: &'static str) -> Result<Value<'a>, Raised> {
    sample.may(field)?.ok_or(Raised::Conversion(otherwise.into()))
}

const WORKOUT: [Optional; 2] =
    [("distance", "distance", Float, "m"), ("kcal_burned", "calories", Float, "kcal")];
const DAY: [Optional; 6] = [
    ("distance", "equivalent_walking_distance", Float, "m"),
    ("kcal_burned", "active_calories", Float, "kcal"),
    ("base_movement_quantity", "steps", Integer, "steps"),
    ("duration_light_activity", "low_activity_time", Integer, "sec"),
    ("duration_moderate_activity", "medium_activity_time", Integer, "sec"),
    ("duration_vigorous_activity", "high_activity_time", Integer, "sec"),
];

/// A workout has a day as well, so it is asked for first.
pub(super) fn physical_activity<'a>(sample: &Sample<'a>, zone: Option<&TimeZone>) -> Converted<'a> {
    let mut body = Body::new();
    if sample.has("activity") && sample.has("start_datetime") {
        body.text("activity_name", sample.must("activity")?)?;
        let (start, end) = (sample.must("start_datetime")?, sample.must("end_datetime")?);
        body.frame(Frame::between(&start, &end)?);
        body.optional(sample, &WORKOUT)?;
        super::intensity(&mut body, sample, ["easy", "moderate", "hard"])?;
    } else if sample.has("day") {
        body.word("activity_name", super::DAILY_ACTIVITY);
        body.frame(Frame::day(&sample.must("day")?, zone)?);
        body.optional(sample, &DAY)?;
    } else {
        return Err(Raised::Conversion(
            "oura_raw physical_activity expects a daily_activity item (with 'day') or a workout item (with 'activity' \
             and 'start_datetime')"
                .into(),
        ));
    }
    Ok(body)
}
