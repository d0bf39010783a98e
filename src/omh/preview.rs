//! What the daemon itself makes of one sample, for `jhe-ow convert`: with units checked, and in the schemas that JHE has
//! codes for. Pure.

use std::sync::Arc;

use jiff::tz::TimeZone;
use serde_json::Value;

use super::day::whole_day;
use super::{EventPoint, convert, convert_event, convert_oura, convert_raw, omh_document};
use crate::catalog::{CODES, Origin, SERIES, Series};
use crate::ow::{BadRecord, Record, parse_record};
use crate::particulars::Particulars;
use crate::patient::PatientId;
use crate::raw::{Unreadable, read_record};
use crate::settings::IngestMode;
use crate::store::commit::Sample;
use crate::store::observation::{Observation, StreamInfo};
use crate::time::Timestamp;

/// The rows of the catalogue that a data type of the reference converter's may be of.
fn rows(data_type: &str, sample: &Value) -> Vec<&'static Series> {
    let is_workout = sample.get("start_time").is_some() || sample.get("activity").is_some();
    let names: &[&str] = match data_type {
        "heart_rate" => &["heart_rate", "resting_heart_rate"],
        "heart_rate_variability" => &["heart_rate_variability_rmssd", "heart_rate_variability_sdnn"],
        "step_count" => &["steps"],
        "body_weight" => &["weight"],
        "body_height" => &["height"],
        "physical_activity" if is_workout => &["workout"],
        "physical_activity" => &["daily_activity"],
        other => &[other],
    };
    let mut rows: Vec<_> = SERIES.iter().filter(|series| names.contains(&series.series_type)).collect();
    // The sample's own type decides, where it names one.
    rows.sort_by_key(|series| sample["type"].as_str() != Some(series.series_type));
    rows
}

/// The schemas that a sample of OW's of this data type can become here.
pub fn schemas(data_type: &str, sample: &Value) -> Vec<&'static str> {
    let mut codes: Vec<_> = rows(data_type, sample).into_iter().map(|series| series.code).collect();
    codes.dedup();
    codes
}

/// The data point of a sample as OW writes it, or as Oura does in raw mode. `zone` is where a day was a day.
///
/// # Errors
/// A sentence that says what is wrong with the sample.
pub fn preview(
    mode: IngestMode,
    data_type: &str,
    sample: &Value,
    zone: Option<&TimeZone>,
) -> Result<String, String> {
    let series = rows(data_type, sample).into_iter().next();
    let series = series.ok_or_else(|| format!("there is no data type '{data_type}' here"))?;
    let is_night = sample.get("bedtime_start").is_some();
    let is_day = sample.get("date").is_some()
        || sample["is_daily_total"] == true
        || (mode == IngestMode::Raw && sample.get("day").is_some() && !is_night);
    let zone = match zone {
        None if is_day => return Err("it is of a day: say with tz where the day was".to_owned()),
        zone => zone.cloned().unwrap_or(TimeZone::UTC),
    };
    let point = match series.origin {
        _ if mode == IngestMode::Raw => of_oura(series, sample, &zone)?,
        Origin::Timeseries(_) => timeseries(series, sample, &zone)?,
        Origin::Sleep if is_day => night(sample, &zone)?,
        Origin::Sleep | Origin::Workouts | Origin::Activity => convert_event(series, sample, &zone)?
            .ok_or_else(|| format!("it says nothing that {} could hold", series.code))?,
    };
    omh_document(&stream(mode, series, &point), &observation(point.sample)).map_err(|error| error.to_string())
}

/// A record of Oura's own. `timestamp` is when it was measured, where Oura gives no time itself.
fn of_oura(series: &Series, sample: &Value, zone: &TimeZone) -> Result<EventPoint, String> {
    let sample = if series.series_type == "heart_rate" {
        let text = sample.to_string();
        let record = read_record(text.as_bytes()).map_err(|unreadable| match unreadable {
            Unreadable::Record(reason, _) => reason,
            Unreadable::Body(error) => error.to_string(),
        })?;
        convert_raw(&record)?
    } else {
        let stored = sample["timestamp"].as_str().and_then(|text| Timestamp::parse(text).ok());
        let converted = convert_oura(series, sample, zone, stored)?;
        converted.ok_or_else(|| format!("it says nothing that {} could hold", series.code))?
    };
    let (provider, source, device) = ("oura".to_owned(), String::new(), String::new());
    Ok(EventPoint { provider, source, device, daily_total: false, sample })
}

fn timeseries(series: &Series, sample: &Value, zone: &TimeZone) -> Result<EventPoint, String> {
    let text = sample.to_string();
    let record: Record<'_> = parse_record(&text).map_err(|BadRecord { reason, .. }| reason)?;
    let point = convert(series, &record, zone)?;
    Ok(EventPoint {
        provider: point.provider.to_owned(),
        source: point.source.to_owned(),
        device: point.device.to_owned(),
        daily_total: point.daily_total,
        sample: point.sample,
    })
}

/// A night as OW's daily summary tells it, which the daemon itself does not read: events say more.
fn night(sample: &Value, zone: &TimeZone) -> Result<EventPoint, String> {
    let date = sample["date"].as_str().and_then(|text| text.parse().ok()).ok_or("its date is no date")?;
    let minutes = sample["duration_minutes"].as_f64().ok_or("its duration_minutes is no number")?;
    let frame = whole_day(date, zone)?;
    let particulars = Particulars { frame: Some(frame), is_main_sleep: Some(true), ..Particulars::default() };
    let from = |part: &str| sample["source"][part].as_str().unwrap_or_default().to_owned();
    Ok(EventPoint {
        provider: from("provider"),
        source: from("source"),
        device: from("device"),
        daily_total: true,
        sample: Sample {
            instant: frame.start,
            value: minutes * 60.0,
            zone: None,
            context: None,
            particulars: Some(Arc::new(particulars)),
        },
    })
}

/// A stream of nobody: the identifier is that of the sample alone.
fn stream(mode: IngestMode, series: &Series, point: &EventPoint) -> StreamInfo {
    let code = CODES.iter().find(|code| code.code == series.code);
    StreamInfo {
        id: 0,
        patient: PatientId::new(0),
        jhe_id: None,
        subject: String::new(),
        system: mode.system().to_owned(),
        series_type: series.series_type.to_owned(),
        provider: point.provider.clone(),
        source: point.source.clone(),
        device: point.device.clone(),
        daily_total: point.daily_total,
        code_system: code.map(|code| code.system).unwrap_or_default().to_owned(),
        code: series.code.to_owned(),
        display: code.map(|code| code.display).unwrap_or_default().to_owned(),
        converter: 1,
    }
}

fn observation(sample: Sample) -> Observation {
    let Sample { instant, value, zone, context, particulars } = sample;
    Observation { instant, value, zone, revision: 0, context, particulars }
}
