//! What days and shorter stretches of time come to, source by source. Pure.
//!
//! Nothing is counted twice: what a provider says of a whole day stands beside its samples of that day and is never
//! added to them; two providers are never added to each other; and of two devices of one provider, which may both
//! have counted the same, the one that has more counts.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::common::time::{Timestamp, ZoneOffset};
use crate::model::catalog::series_type::{Origin, Series};
use crate::model::catalog::source;
use crate::model::chart_data::{Line, Part};
use crate::model::observation::Observation;

/// What one data source says of each stretch of time, in the store's unit; none where it says nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally {
    /// JHE's name of the data source.
    pub source: String,
    /// The values, stretch by stretch.
    pub values: Vec<Option<f64>>,
}

/// A whole day or an event, and the stretch it belongs to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Whole {
    /// The stream's row.
    pub stream: i64,
    /// The place of its stretch.
    pub place: usize,
    /// Its value.
    pub value: f64,
}

/// The date that an observation of a day or of an event counts for: that of the day itself, that on which a sleep
/// ended, or that on which a workout began. Clocks are those that the sample tells of, else those of `zone`.
pub fn date_of(series: &Series, observation: &Observation, zone: &TimeZone) -> Option<Date> {
    let (at, offset) = moment_of(series, observation);
    date(at, offset, zone)
}

/// The moment for which an observation counts, and the offset there where it says: a night's is its end.
pub fn moment_of(series: &Series, observation: &Observation) -> (Timestamp, Option<ZoneOffset>) {
    match observation.frame() {
        Some(frame) if series.origin == Origin::Sleep => (frame.end, frame.end_zone),
        Some(frame) => (frame.start, frame.start_zone),
        None => (observation.instant, observation.zone),
    }
}

/// The date that a clock reads.
pub fn date(at: Timestamp, offset: Option<ZoneOffset>, zone: &TimeZone) -> Option<Date> {
    let moment = jiff::Timestamp::from_microsecond(at.micros()).ok()?;
    let zone = match offset {
        Some(offset) => offset.time_zone(),
        None => zone.clone(),
    };
    Some(zone.to_datetime(moment).date())
}

/// What each stretch comes to: `parts` are sums of samples in it, `wholes` what was said of it as a whole, which counts
/// instead of the parts where there is one.
pub fn tally(lines: &[&Line], stretches: usize, parts: &[Part], wholes: &[Whole]) -> Vec<Tally> {
    let mut sources: BTreeMap<&str, BTreeMap<i64, Device>> = BTreeMap::new();
    for line in lines {
        let devices = sources.entry(source::data_source(&line.provider)).or_default();
        let device = devices.entry(first(lines, line)).or_insert_with(|| Device::new(stretches));
        for part in parts.iter().filter(|part| part.stream == line.stream) {
            add(&mut device.parts, part.place, part.value.total, false);
        }
        for whole in wholes.iter().filter(|whole| whole.stream == line.stream) {
            add(&mut device.wholes, whole.place, whole.value, line.daily_total);
        }
    }
    let of_source = |(source, devices): (&str, BTreeMap<i64, Device>)| {
        let most = |of: fn(&Device) -> &Vec<Option<f64>>, place: usize| {
            let values = devices.values().filter_map(|device| of(device).get(place).copied().flatten());
            values.reduce(f64::max)
        };
        let value =
            |place| most(|device| &device.wholes, place).or_else(|| most(|device| &device.parts, place));
        Tally { source: source.to_owned(), values: (0..stretches).map(value).collect() }
    };
    let tallies = sources.into_iter().map(of_source);
    tallies.filter(|tally| tally.values.iter().any(Option::is_some)).collect()
}

/// What one device of a source has: all streams that go on with each other.
struct Device {
    parts: Vec<Option<f64>>,
    wholes: Vec<Option<f64>>,
}

impl Device {
    fn new(stretches: usize) -> Self {
        Self { parts: vec![None; stretches], wholes: vec![None; stretches] }
    }
}

/// Of totals of the same day the greatest counts; everything else adds up.
fn add(values: &mut [Option<f64>], place: usize, value: f64, is_total: bool) {
    let Some(slot) = values.get_mut(place) else { return };
    *slot = Some(match *slot {
        None => value,
        Some(before) if is_total => before.max(value),
        Some(before) => before + value,
    });
}

/// The first of the streams that this one goes on with.
fn first(lines: &[&Line], line: &Line) -> i64 {
    let (mut first, mut before) = (line.stream, line.continues);
    // Each step leads to another stream; there are no more than that.
    for _ in 0..lines.len() {
        let Some(stream) = before else { break };
        first = stream;
        before = lines.iter().find(|line| line.stream == stream).and_then(|line| line.continues);
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::series;

    use crate::model::chart_data::Sum;

    fn line(stream: i64, provider: &str, daily_total: bool, continues: Option<i64>) -> Line {
        let (series_type, provider) = ("steps".to_owned(), provider.to_owned());
        Line { stream, series_type, provider, daily_total, continues, newest: Timestamp::from_micros(0) }
    }

    fn part(stream: i64, place: usize, total: f64) -> Part {
        Part { stream, place, value: Sum { samples: 1, least: 0.0, total, most: 0.0 }, diastolic: None }
    }

    #[test]
    fn a_days_total_and_its_samples_are_never_added() {
        let (samples, totals) = (line(1, "garmin", false, None), line(2, "garmin", true, None));
        let parts = [part(1, 0, 400.0), part(1, 1, 300.0)];
        let wholes = [Whole { stream: 2, place: 0, value: 5000.0 }];
        let found = tally(&[&samples, &totals], 2, &parts, &wholes);
        let values = vec![Some(5000.0), Some(300.0)];
        assert_eq!(found, [Tally { source: "Garmin".into(), values }], "the second day has no total yet");
    }

    #[test]
    fn neither_two_sources_nor_two_devices_of_one_are_added() {
        let (phone, watch) = (line(1, "apple", false, None), line(2, "apple", false, None));
        let (ring, renamed) = (line(3, "oura", false, None), line(4, "oura", false, Some(3)));
        let parts = [part(1, 0, 400.0), part(2, 0, 300.0), part(3, 0, 100.0), part(4, 0, 50.0)];
        let found = tally(&[&phone, &watch, &ring, &renamed], 1, &parts, &[]);
        let of = |source: &str, value| Tally { source: source.into(), values: vec![Some(value)] };
        assert_eq!(found, [of("Apple", 400.0), of("Oura", 150.0)], "one ring of two names is one");
    }

    #[test]
    fn a_night_counts_for_the_day_on_which_it_ended_where_it_was_slept() {
        use crate::model::sample_details::Frame;
        use crate::model::sample_details::Particulars;
        let at = |text| Timestamp::parse(text).unwrap();
        let zone = ZoneOffset::from_minutes(-300);
        let frame = Frame {
            start: at("2026-11-21T03:00:00Z"),
            start_zone: zone,
            end: at("2026-11-21T11:00:00Z"),
            end_zone: zone,
        };
        let particulars =
            Some(std::sync::Arc::new(Particulars { frame: Some(frame), ..Particulars::default() }));
        let observation = Observation {
            instant: frame.start,
            value: 25_200.0,
            zone,
            revision: 0,
            context: None,
            particulars,
        };
        let of =
            |name| date_of(series::series(name).unwrap(), &observation, &TimeZone::UTC).unwrap().to_string();
        assert_eq!((of("sleep_duration"), of("workout")), ("2026-11-21".into(), "2026-11-20".into()));
    }
}
