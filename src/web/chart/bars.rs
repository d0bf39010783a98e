//! Bar charts of quantities that add up, such as steps: one bar per day or hour and data source.

use maud::{Markup, html};

use crate::model::catalog::series_type::{OwEndpoint, SeriesType};
use crate::model::{consent_intervals::Interval, day_totals::SourceTotals};
use crate::web::chart::axis::Scale;
use crate::web::chart::frame::{
    BAR_STYLES, Drawing, Frame, HEIGHT, rectangle, render_legend, rows_of, titled, y,
};
use crate::web::chart::period::{Day, Period, Window};
use crate::web::chart::words::{name_range, name_series, name_unit, quantity};

/// The totals of one series type, per day and per hour.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ChartTotals {
    pub(crate) days: Vec<Day>,
    pub(crate) by_day: Vec<SourceTotals>,
    /// Hours; empty unless the chart covers one day.
    pub(crate) intervals: Vec<Interval>,
    /// Only streams that report parts of a day have totals by hour.
    pub(crate) by_interval: Vec<SourceTotals>,
}

/// Draws the chart and its table, or nothing without data.
pub(crate) fn draw(series: &SeriesType, window: &Window, totals: &ChartTotals) -> Option<Drawing> {
    let is_by_hour = window.period == Period::Day && !totals.by_interval.is_empty();
    let days: Vec<Interval> = totals.days.iter().map(|day| day.range).collect();
    let (intervals, by_source) =
        if is_by_hour { (&totals.intervals, &totals.by_interval) } else { (&days, &totals.by_day) };
    if by_source.is_empty() {
        return None;
    }
    let texts = window.texts;
    let is_night = series.origin == OwEndpoint::Sleep;
    let by = match (is_night, is_by_hour) {
        (true, _) => "chart-by-night",
        (_, true) => "chart-by-hour",
        (_, false) => "chart-by-day",
    };
    let title = texts.get_with(by, &[("name", name_series(texts, series).into())]);
    let bars = Bars { series, window, intervals, by_source, is_by_hour };
    let summary = bars.summary(&title);
    let values = by_source.iter().flat_map(|source| source.values.iter().flatten());
    let scale = Scale::from_zero(values.map(|value| value / series.display.per).fold(0.0, f64::max));
    let axis = window.axis();
    let is_present = |place: usize| by_source.iter().any(|source| value_at(source, place).is_some());
    let last = (0..intervals.len()).rev().find(|place| is_present(*place));
    let frame = Frame {
        texts,
        unit: &if series.display.unit == "h" { texts.get("chart-hours") } else { name_unit(texts, series) },
        rows: rows_of(scale),
        axis: &axis,
        missing: window.missing_end(last.map(|place| intervals[place].until)),
        summary: &summary,
    };
    let of_day = totals.by_day.iter().filter(|_| is_by_hour).filter_map(|source| {
        let value = value_at(source, 0)?;
        Some(quantity(texts, value, series) + &bars.named(&source.source))
    });
    let of_day: Vec<String> = of_day.collect();
    Some(Drawing {
        title,
        svg: frame.render(&bars.marks(&frame, scale)),
        caption: html! {
            @if !of_day.is_empty() { (texts.get_with("chart-whole-day", &[("values", of_day.join(", ").into())])) " " }
            @if is_night { (texts.get("chart-night-counts")) " " }
            (bars.legend())
        },
        table: bars.table(&texts.get(if is_by_hour { "chart-from" } else { "chart-day" })),
    })
}

struct Bars<'a> {
    series: &'a SeriesType,
    window: &'a Window,
    intervals: &'a [Interval],
    by_source: &'a [SourceTotals],
    is_by_hour: bool,
}

fn value_at(source: &SourceTotals, place: usize) -> Option<f64> {
    source.values.get(place).copied().flatten()
}

impl Bars<'_> {
    fn marks(&self, frame: &Frame<'_>, scale: Scale) -> Markup {
        let several = i32::try_from(self.by_source.len().max(1)).unwrap_or(1);
        let bar = |of: i32, place: usize, value: f64| {
            let (left, right) = frame.bar(self.intervals[place]);
            let width = (right - left) / several;
            let begin = left + width * of;
            let top = y(scale.share(value / self.series.display.per));
            rectangle(begin, top, begin + width, HEIGHT)
        };
        html! {
            @for ((source, look), of) in self.by_source.iter().zip(BAR_STYLES.iter().cycle()).zip(0..) {
                g class=(look) { @for (place, value) in source.values.iter().enumerate() {
                    @if let Some(value) = value { (titled(&bar(of, place, *value), &self.title(source, place, *value))) }
                } }
            }
        }
    }

    fn title(&self, source: &SourceTotals, place: usize, value: f64) -> String {
        let range = self.intervals[place];
        let texts = self.window.texts;
        let so_far = if range.until > self.window.now { texts.get("chart-so-far") } else { String::new() };
        let (when, named) = (self.window.row_label(range.from), self.named(&source.source));
        let when =
            if self.window.period == Period::Day && !self.is_by_hour { self.window.title() } else { when };
        format!("{when}{so_far}: {}{named}", quantity(texts, value, self.series))
    }

    /// Returns the name of a source in brackets, if there are several.
    fn named(&self, source: &str) -> String {
        if self.by_source.len() > 1 { format!(" ({source})") } else { String::new() }
    }

    /// Describes the chart in a sentence: lowest and highest value of each source.
    fn summary(&self, title: &str) -> String {
        let texts = self.window.texts;
        let of_source = |source: &SourceTotals| {
            let present: Vec<f64> = source.values.iter().copied().flatten().collect();
            let shown = |value: Option<f64>| quantity(texts, value.unwrap_or_default(), self.series);
            let (least, most) =
                (present.iter().copied().reduce(f64::min), present.iter().copied().reduce(f64::max));
            let named = self.named(&source.source);
            match present.len() {
                1 => format!("{}{named}", shown(most)),
                _ => name_range(texts, &shown(least), &shown(most)) + &named,
            }
        };
        let sources: Vec<String> = self.by_source.iter().map(of_source).collect();
        format!("{title}, {}: {}.", self.window.title(), sources.join("; "))
    }

    fn legend(&self) -> Markup {
        html! { @if self.by_source.len() > 1 {
            (render_legend(BAR_STYLES.into_iter().cycle().zip(self.by_source.iter().map(|one| &one.source))))
            (self.window.texts.get("chart-sources"))
        } }
    }

    fn table(&self, heading: &str) -> Markup {
        let texts = self.window.texts;
        let present = (0..self.intervals.len())
            .filter(|place| self.by_source.iter().any(|source| value_at(source, *place).is_some()));
        html! {
            caption { (name_series(texts, self.series)) ", " (self.window.title()) }
            thead { tr {
                th scope="col" { (heading) }
                @for source in self.by_source { th.number scope="col" { (source.source) } }
            } }
            tbody { @for place in present { tr {
                th { (self.window.row_label(self.intervals[place].from)) }
                @for source in self.by_source {
                    td {
                        @match value_at(source, place) {
                            Some(value) => (quantity(texts, value, self.series)),
                            None => (texts.get("chart-none")),
                        }
                    }
                }
            } } }
        }
    }
}
