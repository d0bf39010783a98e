//! Loads and renders the charts of one patient, one per series type.

use std::time::Duration;

use jiff::tz::TimeZone;
use maud::{Markup, html};
use rusqlite::Connection;

use crate::common::time::Timestamp;
use crate::model::catalog::series::SERIES;
use crate::model::catalog::series_type::{self, SeriesType};
use crate::model::chart_data::{ChartStream, PeriodSummary};
use crate::model::day_totals::{self, DayOrEventValue};
use crate::model::{consent_intervals::Interval, patient::PatientId};
use crate::store::{error::StoreError, people::consent, samples::chart as store};
use crate::web::chart::bars::{self, ChartTotals};
use crate::web::chart::period::{Day, Period};
use crate::web::chart::ranges::{self, Bucket};

/// Largest distance between a day and the stored time of its total: a plain date is stored at midnight UTC, a night
/// at its beginning.
const MAX_DAY_OFFSET: Duration = Duration::from_hours(36);

/// The series types that a patient shares.
pub(crate) struct ChartedSeries {
    /// Series types with data, each with its streams.
    pub(crate) present: Vec<(&'static SeriesType, Vec<ChartStream>)>,
    /// Series types with an active consent and no data yet.
    pub(crate) empty: Vec<&'static SeriesType>,
}

impl ChartedSeries {
    pub(crate) fn load(db: &Connection, patient: PatientId) -> Result<Self, StoreError> {
        let all_streams = store::list_streams(db, patient)?;
        let entries = consent::list(db, patient)?.into_iter();
        let consented: Vec<String> =
            entries.filter(|entry| entry.grant.withdrawn.is_none()).map(|entry| entry.scope.code).collect();
        let (mut present, mut empty) = (Vec::new(), Vec::new());
        for series in SERIES {
            let streams: Vec<ChartStream> =
                all_streams.iter().filter(|one| one.series_type == series.series_type).cloned().collect();
            if !streams.is_empty() {
                present.push((series, streams));
            } else if consented.iter().any(|code| code == series.code) {
                empty.push(series);
            }
        }
        Ok(Self { present, empty })
    }

    /// Keeps one series type only; returns `None` if it has no data.
    pub(crate) fn only(mut self, series_type: &str) -> Option<Self> {
        self.present.retain(|(series, _)| series.series_type == series_type);
        self.empty.clear();
        (!self.present.is_empty()).then_some(self)
    }
}

/// The charts of one page.
pub(crate) struct Charts {
    period: Period,
    zone: TimeZone,
    drawn: Vec<(&'static SeriesType, ChartData)>,
    empty: Vec<&'static SeriesType>,
}

enum ChartData {
    Range(Vec<Bucket>),
    Sum(ChartTotals),
}

impl Charts {
    pub(crate) fn load(
        db: &Connection,
        rows: &ChartedSeries,
        (period, zone): (Period, &TimeZone),
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let mut drawn = Vec::with_capacity(rows.present.len());
        for (series, streams) in &rows.present {
            let data = match series.aggregation {
                series_type::Aggregation::Range => {
                    let intervals = period.intervals(zone, now);
                    let ids: Vec<i64> = streams.iter().map(|one| one.stream).collect();
                    let has_diastolic = series.body == series_type::OmhBody::BloodPressure;
                    let parts = store::summarize(db, &ids, &intervals, has_diastolic)?;
                    ChartData::Range(ranges::buckets(series, &intervals, &parts))
                }
                series_type::Aggregation::Sum => {
                    let intervals =
                        if period == Period::Day { period.intervals(zone, now) } else { Vec::new() };
                    ChartData::Sum(load_totals(
                        db,
                        series,
                        streams,
                        zone,
                        (intervals, period.days(zone, now)),
                    )?)
                }
            };
            drawn.push((*series, data));
        }
        Ok(Self { period, zone: zone.clone(), drawn, empty: rows.empty.clone() })
    }

    /// Renders all charts below links to the other periods; `href` is the page's address up to the period.
    pub(crate) fn render(&self, href: &str) -> Markup {
        html! {
            div #charts {
                nav.tabs aria-label="Period" {
                    ul { @for &one in Period::ALL {
                        li { a href={ (href) (one.as_str()) "#charts" }
                            aria-current=[(one == self.period).then_some("true")] { (one.as_str()) } }
                    } }
                }
                @for (series, data) in &self.drawn { (self.render_one(series, data)) }
                (render_series_without_data(&self.empty))
            }
        }
    }

    fn render_one(&self, series: &SeriesType, data: &ChartData) -> Markup {
        let chart = match data {
            ChartData::Range(buckets) => ranges::render(series, self.period, &self.zone, buckets),
            ChartData::Sum(totals) => bars::render(series, self.period, &self.zone, totals),
        };
        html! {
            section #(series.series_type) {
                h2 { (series.name) }
                @match chart {
                    Some(chart) => (chart),
                    None => p.empty { "Nothing in " (self.period.title()) "." },
                }
            }
        }
    }
}

/// Renders the names of the series types that have a consent and no data.
pub(crate) fn render_series_without_data(rows: &[&SeriesType]) -> Markup {
    let names: Vec<&str> = rows.iter().map(|series| series.name).collect();
    html! {
        @if !names.is_empty() { p.fine { "Agreed to, but no data yet: " (names.join(", ")) "." } }
    }
}

/// Adds up a series per half hour and per day, separately for each data source.
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
    if let ([first, ..], [.., last], false) = (days.as_slice(), days.as_slice(), daily.is_empty()) {
        let range = Interval {
            from: first.range.from.minus(MAX_DAY_OFFSET),
            until: last.range.until.plus(MAX_DAY_OFFSET),
        };
        for (stream, observation) in store::list_observations(db, &ids(&daily), range)? {
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
    // The periods after the half hours are the days.
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
