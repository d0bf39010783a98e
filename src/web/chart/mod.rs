//! A patient's data as drawings, each with its twin as a table: one for each row of the catalogue that there is
//! anything of. What is measured at instants is drawn as it lies; what adds up, as bars.

mod axis;
mod overview;
mod period;
mod range;
mod spark;
mod sum;
mod totals;

use std::time::Duration;

use jiff::tz::TimeZone;
use maud::{Markup, html};
use rusqlite::Connection;

pub(super) use overview::Overview;
pub(super) use period::Period;
pub(super) use spark::sparkline;
pub(super) use totals::{Activity, Span};

use crate::catalog::{self, SERIES, Series};
use crate::intervals::Interval;
use crate::patient::PatientId;
use crate::store::chart::{self as store, Line, Part};
use crate::store::{StoreError, consent};
use crate::tally::{self, Whole};
use crate::time::Timestamp;
use period::Day;
use range::Bucket;
use sum::Sums;

/// How far from its day the instant of a whole day may lie: a bare date is kept at midnight UTC, and a sleep at its
/// beginning.
const ASTRAY: Duration = Duration::from_hours(36);

/// The rows of the catalogue that concern a patient.
pub(super) struct Rows {
    /// Those that there is anything of, each with its streams.
    full: Vec<(&'static Series, Vec<Line>)>,
    /// Those that the patient agreed to share, and nothing has arrived of.
    empty: Vec<&'static Series>,
}

impl Rows {
    pub(super) fn load(db: &Connection, patient: PatientId) -> Result<Self, StoreError> {
        let lines = store::lines(db, patient)?;
        let entries = consent::entries(db, patient)?.into_iter();
        let standing: Vec<String> =
            entries.filter(|entry| entry.grant.withdrawn.is_none()).map(|entry| entry.scope.code).collect();
        let (mut full, mut empty) = (Vec::new(), Vec::new());
        for series in SERIES {
            let own: Vec<Line> =
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
    pub(super) fn only(mut self, series_type: &str) -> Option<Self> {
        self.full.retain(|(series, _)| series.series_type == series_type);
        self.empty.clear();
        (!self.full.is_empty()).then_some(self)
    }
}

/// What charts show.
pub(super) struct Charts {
    period: Period,
    zone: TimeZone,
    drawn: Vec<(&'static Series, Drawn)>,
    empty: Vec<&'static Series>,
}

enum Drawn {
    Range(Vec<Bucket>),
    Sum(Sums),
}

impl Charts {
    pub(super) fn load(
        db: &Connection,
        rows: &Rows,
        (period, zone): (Period, &TimeZone),
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let mut drawn = Vec::with_capacity(rows.full.len());
        for (series, lines) in &rows.full {
            let one = match series.chart {
                catalog::Chart::Range => {
                    let stretches = period.stretches(zone, now);
                    let streams: Vec<i64> = lines.iter().map(|line| line.stream).collect();
                    let is_double = series.body == catalog::Body::BloodPressure;
                    let parts = store::parts(db, &streams, &stretches, is_double)?;
                    Drawn::Range(range::buckets(series, &stretches, &parts))
                }
                catalog::Chart::Sum => {
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
    pub(super) fn section(&self, href: &str) -> Markup {
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

    fn one(&self, series: &Series, drawn: &Drawn) -> Markup {
        let drawn = match drawn {
            Drawn::Range(buckets) => range::section(series, self.period, &self.zone, buckets),
            Drawn::Sum(sums) => sum::section(series, self.period, &self.zone, sums),
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
fn nothing_yet(rows: &[&Series]) -> Markup {
    let names: Vec<&str> = rows.iter().map(|series| series.name).collect();
    html! {
        @if !names.is_empty() { p.fine { "Agreed to, and nothing has arrived of it yet: " (names.join(", ")) "." } }
    }
}

/// What adds up, for these half hours and days.
fn sums(
    db: &Connection,
    series: &Series,
    lines: &[Line],
    zone: &TimeZone,
    (stretches, days): (Vec<Interval>, Vec<Day>),
) -> Result<Sums, StoreError> {
    let is_whole = |line: &&Line| line.daily_total || series.is_by_day();
    let (wholes, fine): (Vec<&Line>, Vec<&Line>) = lines.iter().partition(is_whole);
    let streams = |lines: &[&Line]| lines.iter().map(|line| line.stream).collect::<Vec<_>>();
    let mut parts = Vec::new();
    if !fine.is_empty() {
        let all: Vec<Interval> = stretches.iter().copied().chain(days.iter().map(|day| day.range)).collect();
        parts = store::parts(db, &streams(&fine), &all, false)?;
    }
    let mut found = Vec::new();
    if let ([first, ..], [.., last], false) = (days.as_slice(), days.as_slice(), wholes.is_empty()) {
        let reach = Interval { from: first.range.from.minus(ASTRAY), until: last.range.until.plus(ASTRAY) };
        for (stream, observation) in store::between(db, &streams(&wholes), reach)? {
            let date = tally::date_of(series, &observation, zone);
            let place = days.iter().position(|day| Some(day.date) == date);
            found.extend(place.map(|place| Whole { stream, place, value: observation.value }));
        }
    }
    let all: Vec<&Line> = lines.iter().collect();
    let of_days = |part: &Part| Some(Part { place: part.place.checked_sub(stretches.len())?, ..*part });
    let day_parts: Vec<Part> = parts.iter().filter_map(of_days).collect();
    Ok(Sums {
        by_day: tally::tally(&all, days.len(), &day_parts, &found),
        by_stretch: tally::tally(&fine, stretches.len(), &parts, &[]),
        days,
        stretches,
    })
}
