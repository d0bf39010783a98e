//! Converts a record of OW's timeseries, or a heart rate of Oura's, into a sample.
//!
//! Follows the reference converter (omh-shim 2.1.0, `ow_normalized`): the value is unchanged, the instant has
//! microseconds. It differs where that converter loses or mislabels data: it preserves the local offset,
//! assigns a daily total to the local day, and refuses a record of another type, of an inconvertible unit or
//! without a finite value.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::common::time::{Timestamp, ZoneOffset};
use crate::model::catalog::series_type::{OmhBody, SeriesType};
use crate::model::catalog::{source, unit};
use crate::model::sample_details::{SampleDetails, TimeFrame};
use crate::model::{activity_context::ActivityContext, sample::Sample};
use crate::omh::day::day_of_stamp;
use crate::omh::event_samples::{over, parse_time};
use crate::ow::page::{RecordSource, TimeseriesRecord};
use crate::raw::record::OuraHeartRate;

/// A percentage from a fraction is rounded to six decimals: OW's own values have three.
const PRECISION: f64 = 1e8;

/// A sample with the fields of its record that decide its stream.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvertedRecord<'a> {
    /// OW's `source.provider`. Like the next two, it is empty where OW has none.
    pub provider: &'a str,
    /// OW's `source.source`.
    pub source: &'a str,
    /// OW's `source.device`.
    pub device: &'a str,
    pub daily_total: bool,
    pub sample: Sample,
}

/// Converts one record of a requested type. `zone` is the patient's; it decides the local day of a record
/// without an offset.
pub fn convert<'a>(
    series: &SeriesType,
    record: &'a TimeseriesRecord<'_>,
    zone: &TimeZone,
) -> Result<ConvertedRecord<'a>, String> {
    if let Some(found) =
        record.series_type.as_deref().filter(|found| !series.timeseries_types().contains(found))
    {
        return Err(format!("its type is '{found}', not '{}'", series.timeseries_types().join("' or '")));
    }
    if !record.value.is_finite() {
        return Err(format!("its value {} is not a finite number", record.value));
    }
    let instant = parse_time("timestamp", &record.timestamp)?;
    let offset = record.zone_offset.as_deref().and_then(ZoneOffset::parse);
    let from = |field: for<'b> fn(&'b RecordSource<'_>) -> Option<&'b str>| {
        record.source.as_ref().and_then(field).unwrap_or_default()
    };
    let provider = from(|source| source.provider.as_deref());
    let value = convert_value(series, provider, record)?;
    let daily_total = record.is_daily_total.unwrap_or(false);
    let details = details(series, provider, daily_total, instant, offset, zone)?;
    Ok(ConvertedRecord {
        provider,
        source: from(|source| source.source.as_deref()),
        device: from(|source| source.device.as_deref()),
        daily_total,
        sample: Sample { instant, value, zone: offset, context: None, details: details.map(Arc::new) },
    })
}

/// Converts the value to the unit of the series type. A record without a unit has that one.
fn convert_value(series: &SeriesType, provider: &str, record: &TimeseriesRecord<'_>) -> Result<f64, String> {
    let found = record.unit.as_deref().unwrap_or(series.unit);
    let value = unit::convert(record.value, found, series.unit)
        .ok_or_else(|| format!("its unit is '{found}', not '{}'", series.unit))?;
    // HealthKit gives saturation as a fraction, and OW labels that as percent.
    let is_fraction = series.unit == "percent" && provider == "apple" && value > 0.0 && value <= 1.0;
    Ok(if is_fraction { (value * PRECISION).round() / (PRECISION / 100.0) } else { value })
}

fn details(
    series: &SeriesType,
    provider: &str,
    daily_total: bool,
    instant: Timestamp,
    offset: Option<ZoneOffset>,
    zone: &TimeZone,
) -> Result<Option<SampleDetails>, String> {
    Ok(match series.body {
        OmhBody::StepCount if daily_total => Some(over(day_of_stamp(instant, offset, zone)?)),
        OmhBody::StepCount => {
            let end = instant.plus(Duration::from_secs(source::step_interval_seconds(provider)));
            Some(over(TimeFrame { start: instant, start_zone: offset, end, end_zone: offset }))
        }
        // Oura's saturation is the mean of a night, and OW stamps it with the bare date.
        _ if series.is_mean_of_day(provider) && instant.is_utc_midnight() => {
            Some(SampleDetails { average: true, ..over(day_of_stamp(instant, offset, zone)?) })
        }
        _ if series.series_type == "resting_heart_rate" && source::measures_resting_rate_asleep(provider) => {
            Some(SampleDetails { asleep: true, ..SampleDetails::default() })
        }
        _ => None,
    })
}

/// Converts one of Oura's own heart rates (omh-shim 2.1.0, `oura_raw` / `heart_rate` without
/// `bedtime_start`), with the offset of its timestamp and Oura's word for the wearer's activity.
pub fn convert_heart_rate(record: &OuraHeartRate<'_>) -> Result<Sample, String> {
    if !record.bpm.is_finite() {
        return Err(format!("its bpm {} is not a finite number", record.bpm));
    }
    Ok(Sample {
        instant: parse_time("timestamp", &record.timestamp)?,
        value: record.bpm,
        zone: ZoneOffset::from_date_time(&record.timestamp),
        context: record.source.as_deref().map(ActivityContext::parse),
        details: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::series;

    fn record<'a>(
        series_type: &'a str,
        unit: &'a str,
        timestamp: &'a str,
        value: f64,
    ) -> TimeseriesRecord<'a> {
        TimeseriesRecord {
            timestamp: timestamp.into(),
            zone_offset: None,
            series_type: Some(series_type.into()),
            value,
            unit: Some(unit.into()),
            source: None,
            is_daily_total: None,
        }
    }

    fn pulse(timestamp: &str, value: f64) -> TimeseriesRecord<'_> {
        record("heart_rate", "bpm", timestamp, value)
    }

    fn sample(name: &str, record: &TimeseriesRecord<'_>) -> Result<Sample, String> {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        convert(series::find(name).unwrap(), record, &zone).map(|point| point.sample)
    }

    fn by<'a>(provider: &'a str, record: TimeseriesRecord<'a>) -> TimeseriesRecord<'a> {
        let source = RecordSource { provider: Some(provider.into()), ..RecordSource::default() };
        TimeseriesRecord { source: Some(source), ..record }
    }

    #[test]
    fn a_sample_has_the_instant_value_and_local_offset_of_its_record() {
        let mut record = pulse("2026-11-21T08:20:00.123456Z", 72.5);
        record.zone_offset = Some("+02:00".into());
        let sample = sample("heart_rate", &record).unwrap();
        assert_eq!(sample.instant.to_string(), "2026-11-21T08:20:00.123456Z");
        assert_eq!((sample.value, sample.zone), (72.5, ZoneOffset::from_minutes(120)));
        assert_eq!(sample.details, None);
    }

    #[test]
    fn an_inconvertible_record_is_refused_with_a_reason() {
        let refused = |record: &TimeseriesRecord| sample("heart_rate", record).unwrap_err();
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
    fn a_daily_total_covers_the_local_day_and_other_steps_an_interval() {
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
    fn a_resting_heart_rate_is_marked_asleep_for_providers_that_measure_it_so() {
        let asleep = |provider| {
            let record = by(provider, record("resting_heart_rate", "bpm", "2026-11-21T05:00:00Z", 52.0));
            sample("resting_heart_rate", &record).unwrap().details.is_some_and(|details| details.asleep)
        };
        assert!(asleep("oura") && asleep("whoop") && !asleep("garmin") && !asleep("apple"));
    }

    #[test]
    fn the_saturation_of_oura_is_the_mean_of_its_day() {
        let mean = by("oura", record("oxygen_saturation", "percent", "2026-11-21T00:00:00Z", 97.2));
        let details = sample("oxygen_saturation", &mean).unwrap().details.unwrap();
        assert!(details.average && details.frame.unwrap().start.to_string() == "2026-11-20T23:00:00Z");
        let garmin = by("garmin", record("oxygen_saturation", "percent", "2026-11-21T00:00:00Z", 97.2));
        assert_eq!(sample("oxygen_saturation", &garmin).unwrap().details, None);
    }
}
