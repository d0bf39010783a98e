//! From a record of OW to what is kept of it.
//!
//! Follows the reference converter (omh-shim 2.1.0, `ow_normalized` / `heart_rate`): the value as it
//! stands, the instant to the microsecond. It differs where that loses or mislabels: the local offset is
//! kept, and a record of another type or unit, or without a finite value, is refused with a reason.

use crate::catalog::Series;
use crate::context::Context;
use crate::ow::{Record, RecordSource};
use crate::raw::RawRecord;
use crate::store::commit::Sample;
use crate::time::{Timestamp, ZoneOffset};

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

/// Converts one record of the type that was asked for.
///
/// # Errors
/// A sentence that says what is wrong with the record.
pub fn convert<'a>(series: &Series, record: &'a Record<'_>) -> Result<Point<'a>, String> {
    expect("type", record.series_type.as_deref(), series.series_type)?;
    expect("unit", record.unit.as_deref(), series.unit)?;
    if !record.value.is_finite() {
        return Err(format!("its value {} is not a finite number", record.value));
    }
    let instant = Timestamp::parse(&record.timestamp)
        .map_err(|error| format!("its timestamp '{}' is wrong: {error}", record.timestamp))?;
    let zone = record.zone_offset.as_deref().and_then(ZoneOffset::parse);
    let from = |part: for<'b> fn(&'b RecordSource<'_>) -> Option<&'b str>| {
        record.source.as_ref().and_then(part).unwrap_or_default()
    };
    Ok(Point {
        provider: from(|source| source.provider.as_deref()),
        source: from(|source| source.source.as_deref()),
        device: from(|source| source.device.as_deref()),
        daily_total: record.is_daily_total.unwrap_or(false),
        sample: Sample { instant, value: record.value, zone, context: None },
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
    })
}

/// What OW leaves out is taken to be as it was asked for.
fn expect(what: &str, found: Option<&str>, expected: &str) -> Result<(), String> {
    match found {
        Some(found) if found != expected => Err(format!("its {what} is '{found}', not '{expected}'")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::SERIES;

    fn record(timestamp: &str, value: f64) -> Record<'_> {
        Record {
            timestamp: timestamp.into(),
            zone_offset: None,
            series_type: Some("heart_rate".into()),
            value,
            unit: Some("bpm".into()),
            source: None,
            is_daily_total: None,
        }
    }

    #[test]
    fn a_sample_keeps_its_instant_value_and_local_offset() {
        let mut record = record("2026-11-21T08:20:00.123456Z", 72.5);
        record.zone_offset = Some("+02:00".into());
        let point = convert(&SERIES[0], &record).unwrap();
        assert_eq!(point.sample.instant.to_string(), "2026-11-21T08:20:00.123456Z");
        assert_eq!((point.sample.value, point.sample.zone), (72.5, ZoneOffset::from_minutes(120)));
    }

    #[test]
    fn what_cannot_be_converted_says_why() {
        let refused = |record: &Record| convert(&SERIES[0], record).unwrap_err();
        assert_eq!(
            refused(&record("2026-11-21T08:20:00Z", f64::NAN)),
            "its value NaN is not a finite number"
        );
        assert_eq!(
            refused(&record("2026-11-21T08:20:00", 72.0)),
            "its timestamp '2026-11-21T08:20:00' is wrong: no time zone offset"
        );
        let steps = Record { series_type: Some("steps".into()), ..record("2026-11-21T08:20:00Z", 72.0) };
        assert_eq!(refused(&steps), "its type is 'steps', not 'heart_rate'");
        let hertz = Record { unit: Some("Hz".into()), ..record("2026-11-21T08:20:00Z", 1.2) };
        assert_eq!(refused(&hertz), "its unit is 'Hz', not 'bpm'");
    }
}
