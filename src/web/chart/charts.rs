//! Loads and renders the charts of one patient, one per series type.

use jiff::civil::Date;
use maud::{Markup, html};
use rusqlite::Connection;

use crate::model::catalog::series_type::{Aggregation, OmhBody, SeriesType};
use crate::store::{error::StoreError, samples::chart as store};
use crate::web::chart::bars::{self, ChartTotals};
use crate::web::chart::charted_series::{ChartedSeries, render_series_without_data};
use crate::web::chart::frame::Drawing;
use crate::web::chart::overview::MeasurementOverview;
use crate::web::chart::period::{Period, Window, local_date};
use crate::web::chart::ranges::{self, Bucket};
use crate::web::chart::sleep::{self, Night};
use crate::web::chart::totals::{list_around, load_totals};
use crate::web::chart::words::name_series;

/// The charts of one page.
pub(crate) struct Charts {
    window: Window,
    drawn: Vec<Charted>,
    empty: Vec<&'static SeriesType>,
}

struct Charted {
    series: &'static SeriesType,
    data: ChartData,
    /// The newest value of all, and its time.
    newest: Option<(String, String)>,
    /// The day of the newest value.
    newest_day: Option<Date>,
}

enum ChartData {
    Range(Vec<Bucket>),
    Sum(ChartTotals),
    Sleep(Vec<Night>),
}

impl Charts {
    pub(crate) fn load(
        db: &Connection,
        rows: &ChartedSeries,
        window: Window,
        overview: &MeasurementOverview,
    ) -> Result<Self, StoreError> {
        let mut drawn = Vec::with_capacity(rows.present.len());
        for (series, streams) in &rows.present {
            let ids: Vec<i64> = streams.iter().map(|one| one.stream).collect();
            let data = match (series.aggregation, series.body) {
                (Aggregation::Range, body) => {
                    let intervals = window.cut(window.period.step());
                    let parts = store::summarize(db, &ids, &intervals, body == OmhBody::BloodPressure)?;
                    ChartData::Range(ranges::buckets(&intervals, &parts))
                }
                (_, OmhBody::SleepStages) => {
                    let sleeps = list_around(db, &ids, &window.days())?;
                    ChartData::Sleep(sleep::collect_nights(series, &window, &sleeps))
                }
                (Aggregation::Sum, _) => {
                    let hours = if window.period == Period::Day { window.rows() } else { Vec::new() };
                    let days = (hours, window.days());
                    ChartData::Sum(load_totals(db, series, streams, &window.zone, days)?)
                }
            };
            let newest = overview.newest(series, &window);
            let newest_day = streams.iter().map(|one| local_date(&window.zone, one.newest)).max();
            drawn.push(Charted { series, data, newest, newest_day });
        }
        Ok(Self { window, drawn, empty: rows.empty.clone() })
    }

    /// Renders all charts below links to the other periods; `href` is the page's address. The address of the page of one
    /// chart is `alone` followed by the series type.
    pub(crate) fn render(&self, href: &str, alone: Option<&str>) -> Markup {
        let texts = self.window.texts;
        html! {
            section #charts aria-labelledby="charts-title" {
                div.heading {
                    h2 #charts-title { (texts.get("chart-measurements")) }
                    (self.render_periods(href))
                }
                div.charts { @for one in &self.drawn { (self.render_one(one, href, alone)) } }
                (render_series_without_data(texts, &self.empty))
            }
        }
    }

    fn render_periods(&self, href: &str) -> Markup {
        let Window { period, texts, .. } = self.window;
        let (earlier, later) = self.window.neighbours();
        html! {
            nav.periods aria-label=(texts.get("chart-period")) {
                span.chips { @for &one in Period::ALL {
                    a href=(link_period(href, one, self.window.until())) aria-current=[(one == period).then_some("true")] {
                        (texts.get(&format!("period-{}", one.as_str())))
                    }
                } }
                span.chips {
                    a rel="prev" href=(link_period(href, period, Some(earlier))) { "‹ " (texts.get("chart-earlier")) }
                    strong { (self.window.title()) }
                    @if let Some(later) = later {
                        a rel="next" href=(link_period(href, period, Some(later))) { (texts.get("chart-later")) " ›" }
                    }
                }
            }
        }
    }

    fn render_one(&self, one: &Charted, href: &str, alone: Option<&str>) -> Markup {
        let (series, window) = (one.series, &self.window);
        let texts = window.texts;
        let name = series.series_type;
        let drawing = match &one.data {
            ChartData::Range(buckets) => ranges::draw(series, window, buckets),
            ChartData::Sum(totals) => bars::draw(series, window, totals),
            ChartData::Sleep(nights) => sleep::draw_nights(series, window, nights),
        };
        let newest = html! { @if let Some((value, when)) = &one.newest { p { b { (value) } " " (when) } } };
        let alone = alone.map(|alone| format!("{alone}{name}"));
        let Some(drawing) = drawing else {
            return html! {
                figure.card #(name) {
                    (render_title(&name_series(texts, series), alone.as_deref(), &newest))
                    p.fine { (texts.get("chart-empty")) " "
                        @if let Some(day) = one.newest_day.filter(|day| window.days().iter().all(|one| one.date != *day)) {
                            a href=(link_period(href, window.period, Some(day))) { (texts.get("chart-show-newest")) }
                        }
                    }
                }
            };
        };
        html! {
            (self.render_drawing(name, &drawing, &render_title(&drawing.title, alone.as_deref(), &newest)))
            @if let ChartData::Sleep(nights) = &one.data { (self.render_hypnogram(nights, href)) }
        }
    }

    fn render_hypnogram(&self, nights: &[Night], href: &str) -> Markup {
        let before = |date| link_period(href, Period::Day, Some(date));
        html! { @if let Some(drawing) = sleep::draw_hypnogram(&self.window, nights, before) {
            (self.render_drawing("hypnogram", &drawing, &render_title(&drawing.title, None, &html! {})))
        } }
    }

    fn render_drawing(&self, id: &str, drawing: &Drawing, title: &Markup) -> Markup {
        html! {
            figure.card #(id) {
                (title)
                (drawing.svg)
                figcaption { (drawing.caption) }
                details {
                    summary { (self.window.texts.get("chart-as-table")) span.hidden { ": " (drawing.title) } }
                    table.values { (drawing.table) }
                }
            }
        }
    }
}

fn render_title(title: &str, alone: Option<&str>, newest: &Markup) -> Markup {
    html! { div.title {
        h3 { @match alone { Some(alone) => a href=(alone) { (title) }, None => (title) } }
        (newest)
    } }
}

fn link_period(href: &str, period: Period, until: Option<Date>) -> String {
    let until = until.map(|day| format!("&until={day}")).unwrap_or_default();
    format!("{href}?period={}{until}#charts", period.as_str())
}
