//! Totals by day or period and data source, for charts.
//!
//! Nothing is counted twice. A provider's total of a day replaces its samples of that day. Providers are
//! never added to each other. Of two devices of one provider, which may both have counted the same steps, the
//! one with more counts.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::common::time::{Timestamp, ZoneOffset};
use crate::model::catalog::series_type::{OwEndpoint, SeriesType};
use crate::model::catalog::source;
use crate::model::chart_data::{ChartStream, PeriodSummary};
use crate::model::observation::Observation;

/// The totals of one data source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceTotals {
    /// Name of the data source in the catalogue.
    pub source: String,
    /// One value per period, in the unit of the store; none without data.
    pub values: Vec<Option<f64>>,
}

/// The value of a day or an event, which counts for one period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DayOrEventValue {
    /// Row id of the stream.
    pub stream: i64,
    /// Index of the period.
    pub period: usize,
    pub value: f64,
}

/// Returns the local date of an observation of a day or an event: the day itself, the end of a sleep, or the
/// start of a workout. The local time is that of the sample's offset, or else of `zone`.
pub fn counted_date(series: &SeriesType, observation: &Observation, zone: &TimeZone) -> Option<Date> {
    let (at, offset) = counted_at(series, observation);
    local_date(at, offset, zone)
}

/// Returns the instant for which an observation counts, and its offset if known. A night counts at its end.
pub fn counted_at(series: &SeriesType, observation: &Observation) -> (Timestamp, Option<ZoneOffset>) {
    match observation.frame() {
        Some(frame) if series.origin == OwEndpoint::Sleep => (frame.end, frame.end_zone),
        Some(frame) => (frame.start, frame.start_zone),
        None => (observation.instant, observation.zone),
    }
}

/// Returns the date at `offset`, or else in `zone`.
pub fn local_date(at: Timestamp, offset: Option<ZoneOffset>, zone: &TimeZone) -> Option<Date> {
    let zone = offset.map_or_else(|| zone.clone(), ZoneOffset::time_zone);
    Some(zone.to_datetime(at.to_jiff()?).date())
}

/// Returns the totals of each data source with data. `parts` are sums of samples within a period; a value of
/// `wholes` replaces them.
pub fn totals_by_source(
    streams: &[&ChartStream],
    periods: usize,
    parts: &[PeriodSummary],
    wholes: &[DayOrEventValue],
) -> Vec<SourceTotals> {
    let mut sources: BTreeMap<&str, BTreeMap<i64, DeviceTotals>> = BTreeMap::new();
    for stream in streams {
        let devices = sources.entry(source::data_source_name(&stream.provider)).or_default();
        let device = devices.entry(first_name(streams, stream)).or_insert_with(|| DeviceTotals::new(periods));
        for part in parts.iter().filter(|part| part.stream == stream.stream) {
            add(&mut device.parts, part.period, part.value.sum, false);
        }
        for whole in wholes.iter().filter(|whole| whole.stream == stream.stream) {
            add(&mut device.wholes, whole.period, whole.value, stream.daily_total);
        }
    }
    let of_source = |(source, devices): (&str, BTreeMap<i64, DeviceTotals>)| {
        let max = |of: fn(&DeviceTotals) -> &Vec<Option<f64>>, period: usize| {
            let values = devices.values().filter_map(|device| of(device).get(period).copied().flatten());
            values.reduce(f64::max)
        };
        let value =
            |period| max(|device| &device.wholes, period).or_else(|| max(|device| &device.parts, period));
        SourceTotals { source: source.to_owned(), values: (0..periods).map(value).collect() }
    };
    let totals = sources.into_iter().map(of_source);
    totals.filter(|totals| totals.values.iter().any(Option::is_some)).collect()
}

/// Values of one device by period. A device may have several streams, one for each of its names.
struct DeviceTotals {
    parts: Vec<Option<f64>>,
    wholes: Vec<Option<f64>>,
}

impl DeviceTotals {
    fn new(periods: usize) -> Self {
        Self { parts: vec![None; periods], wholes: vec![None; periods] }
    }
}

/// Adds a value to its period. Of several totals of the same day, the greatest counts.
fn add(values: &mut [Option<f64>], period: usize, value: f64, is_total: bool) {
    let Some(slot) = values.get_mut(period) else { return };
    *slot = Some(match *slot {
        None => value,
        Some(before) if is_total => before.max(value),
        Some(before) => before + value,
    });
}

/// Returns the device's first stream, by following the renames backwards.
fn first_name(streams: &[&ChartStream], stream: &ChartStream) -> i64 {
    let (mut first, mut before) = (stream.stream, stream.continues);
    // Bounded by the number of streams, in case of a cycle in the data.
    for _ in 0..streams.len() {
        let Some(id) = before else { break };
        first = id;
        before = streams.iter().find(|one| one.stream == id).and_then(|one| one.continues);
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::series;
    use crate::model::chart_data::ValueSummary;

    fn stream(stream: i64, provider: &str, daily_total: bool, continues: Option<i64>) -> ChartStream {
        let (series_type, provider) = ("steps".to_owned(), provider.to_owned());
        ChartStream {
            stream,
            series_type,
            provider,
            daily_total,
            continues,
            newest: Timestamp::from_micros(0),
        }
    }

    fn part(stream: i64, period: usize, sum: f64) -> PeriodSummary {
        PeriodSummary {
            stream,
            period,
            value: ValueSummary { samples: 1, min: 0.0, sum, max: 0.0 },
            diastolic: None,
        }
    }

    #[test]
    fn a_days_total_and_its_samples_are_never_added() {
        let (samples, totals) = (stream(1, "garmin", false, None), stream(2, "garmin", true, None));
        let parts = [part(1, 0, 400.0), part(1, 1, 300.0)];
        let wholes = [DayOrEventValue { stream: 2, period: 0, value: 5000.0 }];
        let found = totals_by_source(&[&samples, &totals], 2, &parts, &wholes);
        let values = vec![Some(5000.0), Some(300.0)];
        assert_eq!(
            found,
            [SourceTotals { source: "Garmin".into(), values }],
            "the second day has no total yet"
        );
    }

    #[test]
    fn neither_two_sources_nor_two_devices_of_one_are_added() {
        let (phone, watch) = (stream(1, "apple", false, None), stream(2, "apple", false, None));
        let (ring, renamed) = (stream(3, "oura", false, None), stream(4, "oura", false, Some(3)));
        let parts = [part(1, 0, 400.0), part(2, 0, 300.0), part(3, 0, 100.0), part(4, 0, 50.0)];
        let found = totals_by_source(&[&phone, &watch, &ring, &renamed], 1, &parts, &[]);
        let of = |source: &str, value| SourceTotals { source: source.into(), values: vec![Some(value)] };
        assert_eq!(found, [of("Apple", 400.0), of("Oura", 150.0)], "one ring of two names is one");
    }

    #[test]
    fn a_night_counts_for_the_day_on_which_it_ended_where_it_was_slept() {
        use crate::model::sample_details::{SampleDetails, TimeFrame};
        let at = |text| Timestamp::parse(text).unwrap();
        let zone = ZoneOffset::from_minutes(-300);
        let frame = TimeFrame {
            start: at("2026-11-21T03:00:00Z"),
            start_zone: zone,
            end: at("2026-11-21T11:00:00Z"),
            end_zone: zone,
        };
        let details =
            Some(std::sync::Arc::new(SampleDetails { frame: Some(frame), ..SampleDetails::default() }));
        let observation =
            Observation { instant: frame.start, value: 25_200.0, zone, revision: 0, context: None, details };
        let of = |name| {
            counted_date(series::find(name).unwrap(), &observation, &TimeZone::UTC).unwrap().to_string()
        };
        assert_eq!((of("sleep_duration"), of("workout")), ("2026-11-21".into(), "2026-11-20".into()));
    }
}
