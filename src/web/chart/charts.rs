use std::time::Duration;

use jiff::tz::TimeZone;
use maud::{Markup, html};
use rusqlite::Connection;

use crate::common::time::Timestamp;
use crate::model::catalog::series::SERIES;
use crate::model::catalog::series_type;
use crate::model::catalog::series_type::SeriesType;
use crate::model::chart_data::{ChartStream, PeriodSummary};
use crate::model::consent_intervals::Interval;
use crate::model::day_totals;
use crate::model::day_totals::DayOrEventValue;
use crate::model::patient::PatientId;
use crate::store::error::StoreError;
use crate::store::people::consent;
use crate::store::samples::chart as store;
use crate::web::chart::bars::Sums;
use crate::web::chart::period::{Day, Period};
use crate::web::chart::ranges::Bucket;
use crate::web::chart::{bars, ranges};

/// How far from its day the instant of a whole day may lie: a bare date is kept at midnight UTC, and a sleep at its
/// beginning.
const ASTRAY: Duration = Duration::from_hours(36);

/// The rows of the catalogue that concern a patient.
pub(crate) struct Rows {
    /// Those that there is anything of, each with its streams.
    pub(crate) full: Vec<(&'static SeriesType, Vec<ChartStream>)>,
    /// Those that the patient agreed to share, and nothing has arrived of.
    pub(crate) empty: Vec<&'static SeriesType>,
}

impl Rows {
    pub(crate) fn load(db: &Connection, patient: PatientId) -> Result<Self, StoreError> {
        let lines = store::list_streams(db, patient)?;
        let entries = consent::list(db, patient)?.into_iter();
        let standing: Vec<String> =
            entries.filter(|entry| entry.grant.withdrawn.is_none()).map(|entry| entry.scope.code).collect();
        let (mut full, mut empty) = (Vec::new(), Vec::new());
        for series in SERIES {
            let own: Vec<ChartStream> =
                lines.iter().filter(|line| line.series_type == series.series_type).cloned().collect();
            if !own.is_empty() {
                full.push((series, own));
            } else if standing.iter().any(|code| code == series.code) {
                empty.push(series);
            }
        }
        Ok(Self { full, empty })
    }

    /// The row of this name alone; none where there is nothing of it.
    pub(crate) fn only(mut self, series_type: &str) -> Option<Self> {
        self.full.retain(|(series, _)| series.series_type == series_type);
        self.empty.clear();
        (!self.full.is_empty()).then_some(self)
    }
}

/// What charts show.
pub(crate) struct Charts {
    period: Period,
    zone: TimeZone,
    drawn: Vec<(&'static SeriesType, Drawn)>,
    empty: Vec<&'static SeriesType>,
}

enum Drawn {
    Range(Vec<Bucket>),
    Sum(Sums),
}

impl Charts {
    pub(crate) fn load(
        db: &Connection,
        rows: &Rows,
        (period, zone): (Period, &TimeZone),
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let mut drawn = Vec::with_capacity(rows.full.len());
        for (series, lines) in &rows.full {
            let one = match series.aggregation {
                series_type::Aggregation::Range => {
                    let stretches = period.stretches(zone, now);
                    let streams: Vec<i64> = lines.iter().map(|line| line.stream).collect();
                    let is_double = series.body == series_type::OmhBody::BloodPressure;
                    let parts = store::summarize(db, &streams, &stretches, is_double)?;
                    Drawn::Range(ranges::buckets(series, &stretches, &parts))
                }
                series_type::Aggregation::Sum => {
                    let stretches =
                        if period == Period::Day { period.stretches(zone, now) } else { Vec::new() };
                    Drawn::Sum(sums(db, series, lines, zone, (stretches, period.days(zone, now)))?)
                }
            };
            drawn.push((*series, one));
        }
        Ok(Self { period, zone: zone.clone(), drawn, empty: rows.empty.clone() })
    }

    /// All of it, with the switch between periods; `href` is the page it stands on, with the parameter's name.
    pub(crate) fn section(&self, href: &str) -> Markup {
        html! {
            div #charts {
                nav.tabs aria-label="Period" {
                    ul { @for &one in Period::ALL {
                        li { a href={ (href) (one.as_str()) "#charts" }
                            aria-current=[(one == self.period).then_some("true")] { (one.as_str()) } }
                    } }
                }
                @for (series, drawn) in &self.drawn { (self.one(series, drawn)) }
                (nothing_yet(&self.empty))
            }
        }
    }

    fn one(&self, series: &SeriesType, drawn: &Drawn) -> Markup {
        let drawn = match drawn {
            Drawn::Range(buckets) => ranges::section(series, self.period, &self.zone, buckets),
            Drawn::Sum(sums) => bars::section(series, self.period, &self.zone, sums),
        };
        html! {
            section #(series.series_type) {
                h2 { (series.name) }
                @match drawn {
                    Some(drawn) => (drawn),
                    None => p.empty { "Nothing in " (self.period.title()) "." },
                }
            }
        }
    }
}

/// What was agreed to, and nothing has arrived of.
pub(crate) fn nothing_yet(rows: &[&SeriesType]) -> Markup {
    let names: Vec<&str> = rows.iter().map(|series| series.name).collect();
    html! {
        @if !names.is_empty() { p.fine { "Agreed to, and nothing has arrived of it yet: " (names.join(", ")) "." } }
    }
}

/// What adds up, for these half hours and days.
pub(crate) fn sums(
    db: &Connection,
    series: &SeriesType,
    lines: &[ChartStream],
    zone: &TimeZone,
    (stretches, days): (Vec<Interval>, Vec<Day>),
) -> Result<Sums, StoreError> {
    let is_whole = |line: &&ChartStream| line.daily_total || series.is_by_day();
    let (wholes, fine): (Vec<&ChartStream>, Vec<&ChartStream>) = lines.iter().partition(is_whole);
    let streams = |lines: &[&ChartStream]| lines.iter().map(|line| line.stream).collect::<Vec<_>>();
    let mut parts = Vec::new();
    if !fine.is_empty() {
        let all: Vec<Interval> = stretches.iter().copied().chain(days.iter().map(|day| day.range)).collect();
        parts = store::summarize(db, &streams(&fine), &all, false)?;
    }
    let mut found = Vec::new();
    if let ([first, ..], [.., last], false) = (days.as_slice(), days.as_slice(), wholes.is_empty()) {
        let reach = Interval { from: first.range.from.minus(ASTRAY), until: last.range.until.plus(ASTRAY) };
        for (stream, observation) in store::list_observations(db, &streams(&wholes), reach)? {
            let date = day_totals::counted_date(series, &observation, zone);
            let place = days.iter().position(|day| Some(day.date) == date);
            found.extend(place.map(|period| DayOrEventValue { stream, period, value: observation.value }));
        }
    }
    let all: Vec<&ChartStream> = lines.iter().collect();
    let of_days = |part: &PeriodSummary| {
        Some(PeriodSummary { period: part.period.checked_sub(stretches.len())?, ..*part })
    };
    let day_parts: Vec<PeriodSummary> = parts.iter().filter_map(of_days).collect();
    Ok(Sums {
        by_day: day_totals::totals_by_source(&all, days.len(), &day_parts, &found),
        by_stretch: day_totals::totals_by_source(&fine, stretches.len(), &parts, &[]),
        days,
        stretches,
    })
}
