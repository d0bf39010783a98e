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
use crate::model::catalog::series_type::{SeriesType, canonical_name};
use crate::model::catalog::{method, unit};
use crate::model::sample_details::TimeFrame;
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

/// The longest name of a provider, source, device or event in characters. A longer one would be stored with each stream;
/// a cut one could be that of another device.
const LONGEST_NAME: usize = 200;

impl ConvertedRecord<'_> {
    /// Refuses names that nothing has.
    pub fn check_names(&self) -> Result<(), String> {
        let names = [
            ("provider", self.provider),
            ("source", self.source),
            ("device", self.device),
            ("id", self.sample.event().unwrap_or_default()),
        ];
        let is_long = |name: &str| name.len() > LONGEST_NAME && name.chars().count() > LONGEST_NAME;
        match names.into_iter().find(|(_, name)| is_long(name)) {
            Some((what, _)) => Err(format!("its {what} is longer than {LONGEST_NAME} characters")),
            None => Ok(()),
        }
    }
}

/// Converts one record of a requested type. `zone` is the patient's; it decides the local day of a record
/// without an offset. An offset that cannot be read is reported in `faults`.
pub fn convert<'a>(
    series: &SeriesType,
    record: &'a TimeseriesRecord<'_>,
    zone: &TimeZone,
    faults: &mut Vec<String>,
) -> Result<ConvertedRecord<'a>, String> {
    if let Some(found) = record
        .series_type
        .as_deref()
        .filter(|found| !series.timeseries_types().contains(&canonical_name(found)))
    {
        return Err(format!("its type is '{found}', not '{}'", series.timeseries_types().join("' or '")));
    }
    let instant = parse_time("timestamp", &record.timestamp)?;
    let offset = parse_offset(record.zone_offset.as_deref(), faults);
    let from = |field: for<'b> fn(&'b RecordSource<'_>) -> Option<&'b str>| {
        record.source.as_ref().and_then(field).unwrap_or_default()
    };
    let provider = from(|source| source.provider.as_deref());
    let value = convert_value(series, provider, record)?;
    let daily_total = record.is_daily_total.unwrap_or(false);
    let details = frame(series, provider, daily_total, instant, offset, zone)?.map(over);
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
    // HealthKit gives percentages as fractions. OW converts the others and labels these as percent unchanged.
    let is_unconverted = matches!(series.series_type, "oxygen_saturation" | "weather_humidity");
    let is_fraction = is_unconverted && provider == "apple" && value > 0.0 && value <= 1.0;
    let value = if is_fraction { (value * PRECISION).round() / (PRECISION / 100.0) } else { value };
    if !value.is_finite() {
        return Err(format!("its value {:?} {found} is not a finite number", record.value));
    }
    Ok(value)
}

/// Returns the interval of a value that describes a day, or a part of one; none for an instant.
fn frame(
    series: &SeriesType,
    provider: &str,
    daily_total: bool,
    instant: Timestamp,
    offset: Option<ZoneOffset>,
    zone: &TimeZone,
) -> Result<Option<TimeFrame>, String> {
    let method = method::find(series, provider, daily_total);
    if method.covers_day {
        return day_of_stamp(instant, offset, zone).map(Some);
    }
    Ok(method.interval_seconds.map(|seconds| {
        let end = instant.plus(Duration::from_secs(seconds));
        TimeFrame { start: instant, start_zone: offset, end, end_zone: offset }
    }))
}

/// Parses the local offset of a record. One that cannot be read is reported and not used.
pub(crate) fn parse_offset(text: Option<&str>, faults: &mut Vec<String>) -> Option<ZoneOffset> {
    let offset = ZoneOffset::parse(text?);
    if offset.is_none() {
        let text = text.unwrap_or_default();
        faults.push(format!("its zone_offset '{text}' is no offset, and was not used"));
    }
    offset
}

/// Converts one of Oura's own heart rates (omh-shim 2.1.0, `oura_raw` / `heart_rate` without
/// `bedtime_start`), with the offset of its timestamp and Oura's word for the wearer's activity.
pub fn convert_heart_rate(record: &OuraHeartRate<'_>) -> Result<Sample, String> {
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
        convert(series::find(name).unwrap(), record, &zone, &mut Vec::new()).map(|point| point.sample)
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
        assert_eq!(
            refused(&pulse("2026-11-21T08:20:00Z", f64::NAN)),
            "its value NaN bpm is not a finite number"
        );
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
    fn a_part_of_unknown_length_claims_no_interval() {
        let steps = by("google", record("steps", "count", "2026-10-24T22:00:00Z", 432.0));
        assert_eq!(sample("steps", &steps).unwrap().details, None);
    }

    #[test]
    fn a_value_of_a_day_covers_its_local_day() {
        let start = |record: &TimeseriesRecord| {
            let details = sample(record.series_type.as_deref().unwrap(), record).unwrap().details;
            details.map(|details| details.frame.unwrap().start.to_string())
        };
        let of = |provider, name, unit| by(provider, record(name, unit, "2026-11-21T00:00:00Z", 97.2));
        let day = Some("2026-11-20T23:00:00Z".to_owned());
        assert_eq!(start(&of("oura", "oxygen_saturation", "percent")), day);
        assert_eq!(start(&of("google", "resting_heart_rate", "bpm")), day);
        assert_eq!(start(&of("garmin", "oxygen_saturation", "percent")), None);
    }

    #[test]
    fn a_value_that_its_unit_makes_infinite_is_refused() {
        let height = record("height", "m", "2026-11-27T08:00:00Z", 1e308);
        assert!(sample("height", &height).unwrap_err().contains("1e308 m is not a finite number"));
    }

    #[test]
    fn an_offset_that_cannot_be_read_is_reported() {
        let mut record = pulse("2026-11-21T08:20:00Z", 72.0);
        record.zone_offset = Some("CET".into());
        let mut faults = Vec::new();
        let converted = convert(&series::SERIES[0], &record, &TimeZone::UTC, &mut faults).unwrap();
        assert_eq!(converted.sample.zone, None);
        assert_eq!(faults, ["its zone_offset 'CET' is no offset, and was not used"]);
    }
}
