//! From a sample of OW's timeseries to what is kept of it.
//!
//! Follows the reference converter (omh-shim 2.1.0, `ow_normalized`): the value as it stands, the instant to the
//! microsecond. It differs where that loses or mislabels: the local offset is kept, a total of a day is the local day's,
//! and a record of another type, of a unit that cannot be converted, or without a finite value, is refused with a reason.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::common::time::{Timestamp, ZoneOffset};
use crate::model::activity_context::Context;
use crate::model::catalog::series_type::{Body, Series};
use crate::model::catalog::{source, unit};
use crate::model::sample::Sample;
use crate::model::sample_details::{Frame, Particulars};
use crate::omh::day::day_of;
use crate::ow::page::{Record, RecordSource};
use crate::raw::record::RawRecord;

/// Parts of a fraction that are kept: OW's own are thousandths.
const PRECISION: f64 = 1e8;

/// A converted record: its sample, and what decides which stream it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Point<'a> {
    /// OW's `source.provider`; empty where OW gives none. So are the next two.
    pub provider: &'a str,
    /// OW's `source.source`.
    pub source: &'a str,
    /// OW's `source.device`.
    pub device: &'a str,
    /// Whether it is the total of a day.
    pub daily_total: bool,
    /// Instant, value and local offset.
    pub sample: Sample,
}

/// Converts one record of a type that was asked for. `zone` is the patient's: it decides what a local day is where the
/// record does not say.
///
/// # Errors
/// A sentence that says what is wrong with the record.
pub fn convert<'a>(series: &Series, record: &'a Record<'_>, zone: &TimeZone) -> Result<Point<'a>, String> {
    if let Some(found) = record.series_type.as_deref().filter(|found| !series.types().contains(found)) {
        return Err(format!("its type is '{found}', not '{}'", series.types().join("' or '")));
    }
    if !record.value.is_finite() {
        return Err(format!("its value {} is not a finite number", record.value));
    }
    let instant = Timestamp::parse(&record.timestamp)
        .map_err(|error| format!("its timestamp '{}' is wrong: {error}", record.timestamp))?;
    let offset = record.zone_offset.as_deref().and_then(ZoneOffset::parse);
    let from = |part: for<'b> fn(&'b RecordSource<'_>) -> Option<&'b str>| {
        record.source.as_ref().and_then(part).unwrap_or_default()
    };
    let provider = from(|source| source.provider.as_deref());
    let value = in_unit(series, provider, record)?;
    let daily_total = record.is_daily_total.unwrap_or(false);
    let particulars = particulars(series, provider, daily_total, instant, offset, zone)?;
    Ok(Point {
        provider,
        source: from(|source| source.source.as_deref()),
        device: from(|source| source.device.as_deref()),
        daily_total,
        sample: Sample {
            instant,
            value,
            zone: offset,
            context: None,
            particulars: particulars.map(Arc::new),
        },
    })
}

/// The value in the unit expected. What OW leaves out is taken to be as it was asked for.
fn in_unit(series: &Series, provider: &str, record: &Record<'_>) -> Result<f64, String> {
    let found = record.unit.as_deref().unwrap_or(series.unit);
    let value = unit::convert(record.value, found, series.unit)
        .ok_or_else(|| format!("its unit is '{found}', not '{}'", series.unit))?;
    // HealthKit's saturation is a fraction, and comes through OW as one, under the name of percent.
    let is_fraction = series.unit == "percent" && provider == "apple" && value > 0.0 && value <= 1.0;
    Ok(if is_fraction { (value * PRECISION).round() / (PRECISION / 100.0) } else { value })
}

/// What there is to say beside the value; for most types nothing.
fn particulars(
    series: &Series,
    provider: &str,
    daily_total: bool,
    instant: Timestamp,
    offset: Option<ZoneOffset>,
    zone: &TimeZone,
) -> Result<Option<Particulars>, String> {
    let over = |frame| Particulars { frame: Some(frame), ..Particulars::default() };
    Ok(match series.body {
        Body::StepCount if daily_total => Some(over(day_of(instant, offset, zone)?)),
        Body::StepCount => {
            let end = instant.plus(Duration::from_secs(source::step_interval(provider)));
            Some(over(Frame { start: instant, start_zone: offset, end, end_zone: offset }))
        }
        // Oura's saturation is the mean of a night, which OW stamps with the bare date.
        _ if series.series_type == "oxygen_saturation" && provider == "oura" && instant.is_utc_midnight() => {
            Some(Particulars { average: true, ..over(day_of(instant, offset, zone)?) })
        }
        _ if series.series_type == "resting_heart_rate" && source::rests_asleep(provider) => {
            Some(Particulars { asleep: true, ..Particulars::default() })
        }
        _ => None,
    })
}

/// Converts one of Oura's own heart rates (omh-shim 2.1.0, `oura_raw` / `heart_rate` without `bedtime_start`). The
/// offset that the timestamp carries is kept, and Oura's word for what the wearer did.
///
/// # Errors
/// A sentence that says what is wrong with the record.
pub fn convert_raw(record: &RawRecord<'_>) -> Result<Sample, String> {
    if !record.bpm.is_finite() {
        return Err(format!("its bpm {} is not a finite number", record.bpm));
    }
    let instant = Timestamp::parse(&record.timestamp)
        .map_err(|error| format!("its timestamp '{}' is wrong: {error}", record.timestamp))?;
    Ok(Sample {
        instant,
        value: record.bpm,
        zone: ZoneOffset::of(&record.timestamp),
        context: record.source.as_deref().map(Context::parse),
        particulars: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::series::series;

    fn record<'a>(series_type: &'a str, unit: &'a str, timestamp: &'a str, value: f64) -> Record<'a> {
        Record {
            timestamp: timestamp.into(),
            zone_offset: None,
            series_type: Some(series_type.into()),
            value,
            unit: Some(unit.into()),
            source: None,
            is_daily_total: None,
        }
    }

    fn pulse(timestamp: &str, value: f64) -> Record<'_> {
        record("heart_rate", "bpm", timestamp, value)
    }

    fn sample(name: &str, record: &Record<'_>) -> Result<Sample, String> {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        convert(series(name).unwrap(), record, &zone).map(|point| point.sample)
    }

    fn by<'a>(provider: &'a str, record: Record<'a>) -> Record<'a> {
        let source = RecordSource { provider: Some(provider.into()), ..RecordSource::default() };
        Record { source: Some(source), ..record }
    }

    #[test]
    fn a_sample_keeps_its_instant_value_and_local_offset() {
        let mut record = pulse("2026-11-21T08:20:00.123456Z", 72.5);
        record.zone_offset = Some("+02:00".into());
        let sample = sample("heart_rate", &record).unwrap();
        assert_eq!(sample.instant.to_string(), "2026-11-21T08:20:00.123456Z");
        assert_eq!((sample.value, sample.zone), (72.5, ZoneOffset::from_minutes(120)));
        assert_eq!(sample.particulars, None);
    }

    #[test]
    fn what_cannot_be_converted_says_why() {
        let refused = |record: &Record| sample("heart_rate", record).unwrap_err();
        assert_eq!(refused(&pulse("2026-11-21T08:20:00Z", f64::NAN)), "its value NaN is not a finite number");
        assert_eq!(
            refused(&pulse("2026-11-21T08:20:00", 72.0)),
            "its timestamp '2026-11-21T08:20:00' is wrong: no time zone offset"
        );
        let steps = record("steps", "bpm", "2026-11-21T08:20:00Z", 72.0);
        assert_eq!(refused(&steps), "its type is 'steps', not 'heart_rate'");
        let hertz = record("heart_rate", "Hz", "2026-11-21T08:20:00Z", 1.2);
        assert_eq!(refused(&hertz), "its unit is 'Hz', not 'bpm'");
    }

    #[test]
    fn another_unit_is_converted_or_refused_and_never_mislabelled() {
        let weigh = |unit, value| sample("weight", &record("weight", unit, "2026-11-21T08:20:00Z", value));
        assert!((weigh("lb", 150.0).unwrap().value - 68.038_855_5).abs() < 1e-9);
        assert_eq!(weigh("count", 8000.0).unwrap_err(), "its unit is 'count', not 'kg'");
        let fraction = by("apple", record("oxygen_saturation", "percent", "2026-11-21T08:20:00Z", 0.56));
        assert_eq!(sample("oxygen_saturation", &fraction).unwrap().value.to_string(), "56");
    }

    #[test]
    fn the_total_of_a_day_is_the_local_days_and_other_steps_are_of_their_interval() {
        let mut steps = by("garmin", record("steps", "count", "2026-10-24T22:00:00Z", 8432.0));
        steps.zone_offset = Some("+02:00".into());
        let interval = sample("steps", &steps).unwrap().frame().unwrap();
        assert_eq!(interval.end.since(interval.start), Duration::from_mins(15));
        steps.is_daily_total = Some(true);
        let day = sample("steps", &steps).unwrap().frame().unwrap();
        assert_eq!(day.start.local(day.start_zone).to_string(), "2026-10-25T00:00:00+02:00");
        assert_eq!(day.end.local(day.end_zone).to_string(), "2026-10-26T00:00:00+01:00");
    }

    #[test]
    fn a_resting_heart_rate_was_taken_asleep_only_where_the_provider_takes_it_so() {
        let asleep = |provider| {
            let record = by(provider, record("resting_heart_rate", "bpm", "2026-11-21T05:00:00Z", 52.0));
            sample("resting_heart_rate", &record).unwrap().particulars.is_some_and(|said| said.asleep)
        };
        assert!(asleep("oura") && asleep("whoop") && !asleep("garmin") && !asleep("apple"));
    }

    #[test]
    fn ouras_saturation_is_the_mean_of_its_day() {
        let mean = by("oura", record("oxygen_saturation", "percent", "2026-11-21T00:00:00Z", 97.2));
        let said = sample("oxygen_saturation", &mean).unwrap().particulars.unwrap();
        assert!(said.average && said.frame.unwrap().start.to_string() == "2026-11-20T23:00:00Z");
        let garmin = by("garmin", record("oxygen_saturation", "percent", "2026-11-21T00:00:00Z", 97.2));
        assert_eq!(sample("oxygen_saturation", &garmin).unwrap().particulars, None);
    }
}
