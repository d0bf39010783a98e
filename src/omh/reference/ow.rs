//! From the records of OW (`ow_normalized`). The order of the steps is the reference converter's: it decides
//! which of two errors is told.

use jiff::tz::TimeZone;

use super::body::{Body, Optional};
use super::error::Raised;
use super::moment::{Frame, Moment};
use super::number::Cast::{Float, Integer, Minutes};
use super::sample::{Inside, Sample};
use super::{Converted, MAIN_SLEEP, SLEEPING};

/// One value at one instant.
fn instant<'a>(sample: &Sample<'a>, name: &'static str, unit: &'static str) -> Converted<'a> {
    let mut body = Body::new();
    body.measure(name, Float.of(&sample.must("value")?)?, unit);
    body.frame(Frame::At(Moment::parse(&sample.must("timestamp")?)?));
    Ok(body)
}

pub(super) fn heart_rate<'a>(sample: &Sample<'a>, _: Option<&TimeZone>) -> Converted<'a> {
    let mut body = instant(sample, "heart_rate", "beats/min")?;
    if sample.may("type")?.is_some_and(|it| it.is("resting_heart_rate")) {
        body.word(SLEEPING.0, SLEEPING.1);
    }
    Ok(body)
}

pub(super) fn heart_rate_variability<'a>(sample: &Sample<'a>, _: Option<&TimeZone>) -> Converted<'a> {
    instant(sample, "heart_rate_variability", "ms")
}

pub(super) fn oxygen_saturation<'a>(sample: &Sample<'a>, _: Option<&TimeZone>) -> Converted<'a> {
    instant(sample, "oxygen_saturation", "%")
}

pub(super) fn blood_glucose<'a>(sample: &Sample<'a>, _: Option<&TimeZone>) -> Converted<'a> {
    instant(sample, "blood_glucose", "mg/dL")
}

pub(super) fn respiratory_rate<'a>(sample: &Sample<'a>, _: Option<&TimeZone>) -> Converted<'a> {
    instant(sample, "respiratory_rate", "breaths/min")
}

pub(super) fn body_weight<'a>(sample: &Sample<'a>, _: Option<&TimeZone>) -> Converted<'a> {
    instant(sample, "body_weight", "kg")
}

pub(super) fn body_height<'a>(sample: &Sample<'a>, _: Option<&TimeZone>) -> Converted<'a> {
    instant(sample, "body_height", "cm")
}

/// A day's total, or the total of the minute before an instant.
pub(super) fn step_count<'a>(sample: &Sample<'a>, zone: Option<&TimeZone>) -> Converted<'a> {
    let (steps, frame) = if sample.has("date") {
        (sample.must("steps")?, Frame::day(&sample.must("date")?, zone)?)
    } else if sample.has("timestamp") && sample.may("type")?.is_some_and(|it| it.is("steps")) {
        (sample.must("value")?, Frame::minute_to(&sample.must("timestamp")?)?)
    } else {
        return Err(Raised::Conversion(
            "ow_normalized step_count input must have either {'date', 'steps'} or {'timestamp', 'type': 'steps', \
             'value'}"
                .into(),
        ));
    };
    let mut body = Body::new();
    body.measure("step_count", Integer.of(&steps)?, "steps");
    body.frame(frame);
    Ok(body)
}

pub(super) fn sleep_duration<'a>(sample: &Sample<'a>, zone: Option<&TimeZone>) -> Converted<'a> {
    let minutes = sample
        .may("duration_minutes")?
        .ok_or(Raised::Conversion("ow_normalized sleep_duration requires 'duration_minutes'".into()))?;
    let mut body = Body::new();
    body.measure("total_sleep_time", Minutes.of(&minutes)?, "sec");
    body.frame(Frame::day(&sample.must("date")?, zone)?);
    body.flag(MAIN_SLEEP, true);
    Ok(body)
}

const STAGES: [Optional; 3] = [
    ("light_sleep_duration", "light_minutes", Minutes, "sec"),
    ("deep_sleep_duration", "deep_minutes", Minutes, "sec"),
    ("rem_sleep_duration", "rem_minutes", Minutes, "sec"),
];
const EFFICIENCY: [Optional; 1] = [("sleep_efficiency_percentage", "efficiency_percent", Float, "%")];

pub(super) fn sleep_episode<'a>(sample: &Sample<'a>, _: Option<&TimeZone>) -> Converted<'a> {
    let stages = sample.inside("stages")?;
    let mut body = Body::new();
    body.frame(session(sample)?);
    body.optional(sample, &[("total_sleep_time", "sleep_duration_seconds", Integer, "sec")])?;
    of_stages(&mut body, &stages, "wake_after_sleep_onset")?;
    body.optional(sample, &EFFICIENCY)?;
    body.flag(MAIN_SLEEP, is_main(sample)?);
    Ok(body)
}

pub(super) fn time_in_bed<'a>(sample: &Sample<'a>, _: Option<&TimeZone>) -> Converted<'a> {
    let seconds = sample
        .may("time_in_bed_seconds")?
        .ok_or(Raised::Conversion("ow_normalized time_in_bed requires 'time_in_bed_seconds'".into()))?;
    let mut body = Body::new();
    body.measure("time_in_bed", Integer.of(&seconds)?, "sec");
    body.frame(session(sample)?);
    body.flag(MAIN_SLEEP, is_main(sample)?);
    Ok(body)
}

pub(super) fn sleep_stage_summary<'a>(sample: &Sample<'a>, _: Option<&TimeZone>) -> Converted<'a> {
    let stages = sample.inside("stages")?;
    let total = sample.may("sleep_duration_seconds")?.ok_or(Raised::Conversion(
        "ow_normalized sleep_stage_summary requires 'sleep_duration_seconds'".into(),
    ))?;
    let mut summary = Body::new();
    summary.measure("total_sleep_time", Integer.of(&total)?, "sec");
    of_stages(&mut summary, &stages, "awake_duration")?;
    summary.optional(sample, &EFFICIENCY)?;
    let mut body = Body::new();
    body.inner("sleep_stage_summary", summary);
    body.frame(session(sample)?);
    body.flag(MAIN_SLEEP, is_main(sample)?);
    Ok(body)
}

fn of_stages<'a>(body: &mut Body<'a>, stages: &Inside<'a>, awake: &'static str) -> Result<(), Raised> {
    let stages = stages.fields()?;
    body.optional(stages, &STAGES)?;
    body.optional(stages, &[(awake, "awake_minutes", Minutes, "sec")])
}

fn session(sample: &Sample<'_>) -> Result<Frame, Raised> {
    Frame::between(&sample.must("start_time")?, &sample.must("end_time")?)
}

fn is_main(sample: &Sample<'_>) -> Result<bool, Raised> {
    Ok(!sample.may("is_nap")?.is_some_and(|nap| nap.is_true()))
}

const WORKOUT: [Optional; 4] = [
    ("duration", "duration_seconds", Integer, "sec"),
    ("distance", "distance_meters", Float, "m"),
    ("kcal_burned", "calories_kcal", Float, "kcal"),
    ("base_movement_quantity", "steps_count", Integer, "steps"),
];
const DAY: [Optional; 4] = [
    ("distance", "distance_meters", Float, "m"),
    ("kcal_burned", "active_calories_kcal", Float, "kcal"),
    ("base_movement_quantity", "steps", Integer, "steps"),
    ("duration", "active_minutes", Integer, "min"),
];
const INTENSITY_MINUTES: [Optional; 3] = [
    ("duration_light_activity", "light", Integer, "min"),
    ("duration_moderate_activity", "moderate", Integer, "min"),
    ("duration_vigorous_activity", "vigorous", Integer, "min"),
];

pub(super) fn physical_activity<'a>(sample: &Sample<'a>, zone: Option<&TimeZone>) -> Converted<'a> {
    if sample.has("start_time") && sample.has("end_time") {
        return workout(sample);
    }
    if !sample.has("date") {
        return Err(Raised::Conversion(
            "ow_normalized physical_activity expects an ActivitySummary (with 'date') or a Workout (with 'start_time' \
             and 'end_time')"
                .into(),
        ));
    }
    let mut body = Body::new();
    body.word("activity_name", super::DAILY_ACTIVITY);
    body.frame(Frame::day(&sample.must("date")?, zone)?);
    body.optional(sample, &DAY)?;
    body.optional(sample.inside("intensity_minutes")?.fields()?, &INTENSITY_MINUTES)?;
    Ok(body)
}

fn workout<'a>(sample: &Sample<'a>) -> Converted<'a> {
    let mut body = Body::new();
    body.text("activity_name", sample.must("type")?)?;
    body.frame(session(sample)?);
    body.optional(sample, &WORKOUT)?;
    super::intensity(&mut body, sample, ["low", "moderate", "high"])?;
    Ok(body)
}
