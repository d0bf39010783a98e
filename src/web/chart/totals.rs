//! Reads values that count for a day: sums of samples, totals of days, and nights.

use std::time::Duration;

use jiff::tz::TimeZone;
use rusqlite::Connection;

use crate::model::catalog::series_type::SeriesType;
use crate::model::chart_data::{ChartStream, PeriodSummary};
use crate::model::consent_intervals::Interval;
use crate::model::day_totals::{self, DayOrEventValue};
use crate::model::observation::Observation;
use crate::store::{error::StoreError, samples::chart as store};
use crate::web::chart::bars::ChartTotals;
use crate::web::chart::period::Day;

/// Largest distance between a day and the stored time of its total: a plain date is stored at midnight UTC, a night
/// at its beginning.
const MAX_DAY_OFFSET: Duration = Duration::from_hours(36);

/// Lists the observations that may count for these days.
pub(crate) fn list_around(
    db: &Connection,
    streams: &[i64],
    days: &[Day],
) -> Result<Vec<(i64, Observation)>, StoreError> {
    let ([first, ..], [.., last]) = (days, days) else { return Ok(Vec::new()) };
    let range = Interval {
        from: first.range.from.minus(MAX_DAY_OFFSET),
        until: last.range.until.plus(MAX_DAY_OFFSET),
    };
    store::list_observations(db, streams, range)
}

/// Adds up a series per hour and per day, separately for each data source.
pub(crate) fn load_totals(
    db: &Connection,
    series: &SeriesType,
    streams: &[ChartStream],
    zone: &TimeZone,
    (intervals, days): (Vec<Interval>, Vec<Day>),
) -> Result<ChartTotals, StoreError> {
    let is_daily = |one: &&ChartStream| one.daily_total || series.is_by_day();
    let (daily, partial): (Vec<&ChartStream>, Vec<&ChartStream>) = streams.iter().partition(is_daily);
    let ids = |streams: &[&ChartStream]| streams.iter().map(|one| one.stream).collect::<Vec<_>>();
    let mut parts = Vec::new();
    if !partial.is_empty() {
        let all: Vec<Interval> = intervals.iter().copied().chain(days.iter().map(|day| day.range)).collect();
        parts = store::summarize(db, &ids(&partial), &all, false)?;
    }
    let mut daily_values = Vec::new();
    if !daily.is_empty() {
        for (stream, observation) in list_around(db, &ids(&daily), &days)? {
            let date = day_totals::counted_date(series, &observation, zone);
            let place = days.iter().position(|day| Some(day.date) == date);
            daily_values.extend(place.map(|period| DayOrEventValue {
                stream,
                period,
                value: observation.value,
            }));
        }
    }
    let all: Vec<&ChartStream> = streams.iter().collect();
    // The periods after the hours are the days.
    let of_days = |part: &PeriodSummary| {
        Some(PeriodSummary { period: part.period.checked_sub(intervals.len())?, ..*part })
    };
    let day_parts: Vec<PeriodSummary> = parts.iter().filter_map(of_days).collect();
    Ok(ChartTotals {
        by_day: day_totals::totals_by_source(&all, days.len(), &day_parts, &daily_values),
        by_interval: day_totals::totals_by_source(&partial, intervals.len(), &parts, &[]),
        days,
        intervals,
    })
}
