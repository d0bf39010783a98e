//! The newest of everything at a glance, each leading to its chart.

use std::time::Duration;

use jiff::tz::TimeZone;
use maud::{Markup, html};
use rusqlite::Connection;

use crate::common::time::Timestamp;
use crate::model::catalog::series_type::{Aggregation, SeriesType};
use crate::model::chart_data::ChartStream;
use crate::model::consent_intervals::Interval;
use crate::model::observation::StreamInfo;
use crate::model::patient::PatientId;
use crate::omh::show;
use crate::store::error::StoreError;
use crate::store::samples::observation::ObservationFilter;
use crate::store::samples::{chart as store, observation};
use crate::web::chart::charts::{Rows, nothing_yet, sums};
use crate::web::chart::period::around;
use crate::web::layout::Column::{Number, Text};
use crate::web::layout::{count, format_local, local_text, table_head};

/// Of which time samples are counted.
const COUNTED: Duration = Duration::from_hours(24);

/// The newest of each row of the catalogue that there is anything of.
pub(crate) struct Overview {
    lines: Vec<Newest>,
    empty: Vec<&'static SeriesType>,
}

struct Newest {
    series: &'static SeriesType,
    /// Its value, and when it was measured or which day it is of.
    found: Option<(String, String)>,
    last_day: i64,
}

impl Overview {
    pub(crate) fn load(
        db: &Connection,
        rows: &Rows,
        patient: PatientId,
        zone: &TimeZone,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let infos = observation::list_streams(
            db,
            &ObservationFilter { patient: Some(patient), ..ObservationFilter::default() },
        )?;
        let all: Vec<i64> = infos.iter().map(|info| info.id).collect();
        let day = Interval { from: now.minus(COUNTED), until: Timestamp::from_micros(now.micros() + 1) };
        let counted = store::summarize(db, &all, &[day], false)?;
        let mut lines = Vec::with_capacity(rows.full.len());
        for (series, own) in &rows.full {
            let is_own = |stream: i64| own.iter().any(|line| line.stream == stream);
            let found = match series.aggregation {
                Aggregation::Range => newest_sample(db, &infos, &is_own, zone)?,
                Aggregation::Sum => newest_day(db, series, own, zone)?,
            };
            let last_day =
                counted.iter().filter(|part| is_own(part.stream)).map(|part| part.value.samples).sum();
            lines.push(Newest { series, found, last_day });
        }
        Ok(Self { lines, empty: rows.empty.clone() })
    }

    /// As a table; `href` is what the address of a chart begins with.
    pub(crate) fn table(&self, href: &str) -> Markup {
        html! {
            @if self.lines.is_empty() {
                p.empty { "Nothing has arrived yet. It does once a device is connected and its maker has data." }
            } @else {
                table.compact {
                    (table_head(&[Text("Measurement"), Text("Newest"), Text("When"), Number("Samples in 24\u{a0}h")]))
                    tbody { @for Newest { series, found, last_day } in &self.lines { tr {
                        th scope="row" data-label="Measurement" {
                            a href={ (href) (series.series_type) } { (series.name) }
                        }
                        td.value data-label="Newest" {
                            @match found { Some((value, _)) => (value), None => "none" }
                        }
                        td data-label="When" {
                            @match found { Some((_, when)) => (when), None => "" }
                        }
                        td.number data-label="Samples in 24\u{a0}h" { (count(*last_day)) }
                    } } }
                }
            }
            (nothing_yet(&self.empty))
        }
    }
}

fn newest_sample(
    db: &Connection,
    infos: &[StreamInfo],
    is_own: &dyn Fn(i64) -> bool,
    zone: &TimeZone,
) -> Result<Option<(String, String)>, StoreError> {
    let own: Vec<StreamInfo> = infos.iter().filter(|info| is_own(info.id)).cloned().collect();
    let newest = observation::list_newest(db, &own, None, 1)?.pop();
    Ok(newest.map(|(place, one)| (show::format_value(&own[place], &one), local_text(zone, one.instant))))
}

/// What the newest day comes to: of several sources the one that has most.
fn newest_day(
    db: &Connection,
    series: &SeriesType,
    lines: &[ChartStream],
    zone: &TimeZone,
) -> Result<Option<(String, String)>, StoreError> {
    let Some(newest) = lines.iter().map(|line| line.newest).max() else { return Ok(None) };
    let sums = sums(db, series, lines, zone, (Vec::new(), around(zone, newest)))?;
    let of_day = |place: usize| {
        let values = sums.by_day.iter().filter_map(|tally| tally.values.get(place).copied().flatten());
        values.reduce(f64::max)
    };
    let found = sums.days.iter().enumerate().rev().find_map(|(place, day)| Some((day, of_day(place)?)));
    Ok(found.map(|(day, value)| {
        (show::format_quantity(value, series.display), format_local(zone, day.range.from, "%a, %-d %b %Y"))
    }))
}
