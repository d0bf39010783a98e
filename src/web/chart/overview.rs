//! A table of the newest value of each series type, with links to the charts.

use std::time::Duration;

use jiff::tz::TimeZone;
use maud::{Markup, html};
use rusqlite::Connection;

use crate::common::time::Timestamp;
use crate::i18n::texts::Texts;
use crate::model::account::VisibleTo;
use crate::model::catalog::series_type::{Aggregation, SeriesType};
use crate::model::patient::PatientId;
use crate::model::{chart_data::ChartStream, consent_intervals::Interval, observation::StreamInfo};
use crate::omh::show;
use crate::store::error::StoreError;
use crate::store::samples::chart as store;
use crate::store::samples::observation::{self, ObservationFilter};
use crate::web::chart::charted_series::{ChartedSeries, render_series_without_data};
use crate::web::chart::period::{Window, days_around};
use crate::web::chart::totals::load_totals;
use crate::web::chart::words::{format_time, name_series, translate_unit};
use crate::web::layout::Column::{Number, Text};
use crate::web::layout::{count, table_head};

const COUNT_RANGE: Duration = Duration::from_hours(24);

/// The newest value of each series type that has data.
pub(crate) struct MeasurementOverview {
    lines: Vec<NewestValue>,
    empty: Vec<&'static SeriesType>,
}

struct NewestValue {
    series: &'static SeriesType,
    found: Option<Newest>,
    last_day: i64,
}

/// The newest value of a series type.
struct Newest {
    value: String,
    at: Timestamp,
    /// The value is that of the day that begins at this time.
    is_of_day: bool,
}

impl MeasurementOverview {
    pub(crate) fn load(
        db: &Connection,
        viewer: VisibleTo,
        rows: &ChartedSeries,
        patient: PatientId,
        (zone, now): (&TimeZone, Timestamp),
    ) -> Result<Self, StoreError> {
        let infos = observation::list_streams(
            db,
            viewer,
            &ObservationFilter { patient: Some(patient), ..ObservationFilter::default() },
        )?;
        let all: Vec<i64> = infos.iter().map(|info| info.id).collect();
        let day = Interval { from: now.minus(COUNT_RANGE), until: Timestamp::from_micros(now.micros() + 1) };
        let counted = store::summarize(db, &all, &[day], false)?;
        let mut lines = Vec::with_capacity(rows.present.len());
        for (series, own) in &rows.present {
            let is_own = |stream: i64| own.iter().any(|line| line.stream == stream);
            let found = match series.aggregation {
                Aggregation::Range => newest_sample(db, &infos, &is_own)?,
                Aggregation::Sum => newest_day(db, series, own, zone)?,
            };
            let last_day =
                counted.iter().filter(|part| is_own(part.stream)).map(|part| part.value.samples).sum();
            lines.push(NewestValue { series, found, last_day });
        }
        Ok(Self { lines, empty: rows.empty.clone() })
    }

    /// Returns the newest value of a series type and its time, in short.
    pub(crate) fn newest(&self, series: &SeriesType, window: &Window) -> Option<(String, String)> {
        let line = self.lines.iter().find(|line| line.series.series_type == series.series_type)?;
        let newest = line.found.as_ref()?;
        let format = if newest.is_of_day { "%a %-d %b" } else { "%a %-d %b, %H:%M" };
        let (texts, zone) = (window.texts, &window.zone);
        Some((translate_unit(texts, &newest.value, series), format_time(texts, zone, newest.at, format)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Leaves out the series types that a page shows as charts.
    pub(crate) fn without(mut self, charted: &ChartedSeries) -> Self {
        let is_charted = |series: &SeriesType| {
            charted.present.iter().any(|(one, _)| one.series_type == series.series_type)
        };
        self.lines.retain(|line| !is_charted(line.series));
        self.empty.clear();
        self
    }

    /// Renders the table; a chart's address is `href` followed by the series type.
    pub(crate) fn render(&self, texts: Texts, href: &str, zone: &TimeZone) -> Markup {
        let when = |newest: &Newest| {
            let format = if newest.is_of_day { "%a, %-d %b %Y" } else { "%-d %b %Y, %H:%M %Z" };
            format_time(texts, zone, newest.at, format)
        };
        let [measurement, newest, at, samples, of_day] =
            ["chart-measurement", "chart-newest", "chart-when", "chart-samples-of-day", "chart-of-day"]
                .map(|key| texts.get(key));
        html! {
            @if self.lines.is_empty() {
                p.empty { (texts.get("chart-no-measurements")) }
            } @else {
                table.compact {
                    (table_head(&[Text(&measurement), Text(&newest), Text(&at), Number(&samples)]))
                    tbody { @for NewestValue { series, found, last_day } in &self.lines { tr {
                        th scope="row" { a href={ (href) (series.series_type) } { (name_series(texts, series)) } }
                        td.value {
                            @match found {
                                Some(newest) => (translate_unit(texts, &newest.value, series)),
                                None => (texts.get("chart-none")),
                            }
                        }
                        td { @match found { Some(newest) => (when(newest)), None => "" } }
                        td.number data-label=(of_day) { (count(*last_day)) }
                    } } }
                }
            }
            (render_series_without_data(texts, &self.empty))
        }
    }
}

fn newest_sample(
    db: &Connection,
    infos: &[StreamInfo],
    is_own: &dyn Fn(i64) -> bool,
) -> Result<Option<Newest>, StoreError> {
    let own: Vec<StreamInfo> = infos.iter().filter(|info| is_own(info.id)).cloned().collect();
    let newest = observation::list_newest(db, &own, None, 1)?.pop();
    Ok(newest.map(|(place, one)| Newest {
        value: show::format_value(&own[place], &one),
        at: one.instant,
        is_of_day: false,
    }))
}

/// Returns the total of the newest day with data. With several sources, the greatest counts: they may overlap.
fn newest_day(
    db: &Connection,
    series: &SeriesType,
    streams: &[ChartStream],
    zone: &TimeZone,
) -> Result<Option<Newest>, StoreError> {
    let Some(newest) = streams.iter().map(|one| one.newest).max() else { return Ok(None) };
    let totals = load_totals(db, series, streams, zone, (Vec::new(), days_around(zone, newest)))?;
    let of_day = |place: usize| {
        let values = totals.by_day.iter().filter_map(|source| source.values.get(place).copied().flatten());
        values.reduce(f64::max)
    };
    let found = totals.days.iter().enumerate().rev().find_map(|(place, day)| Some((day, of_day(place)?)));
    Ok(found.map(|(day, value)| Newest {
        value: show::format_quantity(value, series.display),
        at: day.range.from,
        is_of_day: true,
    }))
}
