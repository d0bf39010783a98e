//! Bar charts for quantities that add up, such as steps: one bar per interval and data source.

use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::model::catalog::series_type::{OwEndpoint, SeriesType};
use crate::model::{consent_intervals::Interval, day_totals::SourceTotals};
use crate::omh::show::format_quantity;
use crate::web::chart::axis::{Scale, Slots, format_coordinate, render_frame, to_f64};
use crate::web::chart::period::{Day, Period};
use crate::web::layout::{format_local, local_text};

/// CSS classes that tell data sources apart; the legend uses the same words.
const BAR_STYLES: [&str; 3] = ["full", "hollow", "pale"];
/// Share of a column that its bars fill; the rest separates columns.
const FILLED: f64 = 0.8;

/// The totals of one series type, per day and per half hour.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ChartTotals {
    pub(crate) days: Vec<Day>,
    pub(crate) by_day: Vec<SourceTotals>,
    /// Half hours; empty unless the chart covers one day.
    pub(crate) intervals: Vec<Interval>,
    /// Only streams that report parts of a day have half-hour totals.
    pub(crate) by_interval: Vec<SourceTotals>,
}

/// Renders the chart and its table, or nothing without data.
pub(crate) fn render(
    series: &SeriesType,
    period: Period,
    zone: &TimeZone,
    totals: &ChartTotals,
) -> Option<Markup> {
    if totals.by_day.is_empty() && totals.by_interval.is_empty() {
        return None;
    }
    let days: Vec<Interval> = totals.days.iter().map(|day| day.range).collect();
    let of_days = Bars {
        series,
        zone,
        title: format!("{} of {}", series.name, period.title()),
        intervals: &days,
        label: period.day_label(),
        row: ("Day", |zone, at| format_local(zone, at, "%a, %-d %b %Y")),
        by_source: &totals.by_day,
    };
    if period != Period::Day {
        return Some(of_days.render());
    }
    let of_hours = Bars {
        intervals: &totals.intervals,
        label: period.label(),
        title: format!("{} of {}, half hour by half hour", series.name, period.title()),
        row: ("From", local_text),
        by_source: &totals.by_interval,
        ..of_days
    };
    Some(html! {
        (render_two_days(series, totals))
        @if !totals.by_interval.is_empty() { (of_hours.render()) }
    })
}

/// Renders yesterday and today as numbers, since a bar for an unfinished day misleads.
fn render_two_days(series: &SeriesType, totals: &ChartTotals) -> Markup {
    let today = totals.days.len().saturating_sub(1);
    let names = match series.origin {
        OwEndpoint::Sleep => ["The night before", "Last night, and naps"],
        _ => ["Yesterday", "Today so far"],
    };
    let several = totals.by_day.len() > 1;
    html! {
        dl.summary {
            @for (place, name) in [(today, names[1]), (today.saturating_sub(1), names[0])] {
                @for source in &totals.by_day {
                    @if let Some(value) = source.values.get(place).copied().flatten() {
                        div {
                            dt { (name) @if several { ", " (source.source) } }
                            dd { (format_quantity(value, series.display)) }
                        }
                    }
                }
            }
        }
    }
}

struct Bars<'a> {
    series: &'a SeriesType,
    zone: &'a TimeZone,
    title: String,
    intervals: &'a [Interval],
    label: &'a str,
    /// Heading of the table's first column, and the formatter of its times.
    row: (&'a str, fn(&TimeZone, crate::common::time::Timestamp) -> String),
    by_source: &'a [SourceTotals],
}

impl Bars<'_> {
    fn render(&self) -> Markup {
        let per = self.series.display.per;
        let values = self.by_source.iter().flat_map(|source| source.values.iter().flatten());
        let scale = Scale::from_zero(self.series, values.map(|value| value / per).fold(0.0, f64::max));
        let summary = self.summary();
        let night = self.series.origin == OwEndpoint::Sleep;
        html! {
            figure {
                (render_frame(scale, self.zone, (self.intervals, self.label), &summary, &self.bars(scale)))
                figcaption { (summary) (self.legend())
                    @if night { " A night counts for the day on which it ended." } }
            }
            (self.table())
        }
    }

    fn bars(&self, scale: Scale) -> Markup {
        let slots = Slots::new(self.intervals.len());
        let width = slots.width() * FILLED / to_f64(self.by_source.len().max(1));
        let begin = slots.width() * (1.0 - FILLED) / 2.0;
        let bar = |source: usize, place: usize, value: f64| {
            let top = scale.y(value / self.series.display.per);
            let left = slots.left(place) + begin + width * to_f64(source);
            html! {
                rect class={ "bar " (BAR_STYLES[source % BAR_STYLES.len()]) } x=(format_coordinate(left)) y=(format_coordinate(top))
                    width=(format_coordinate(width - 1.0)) height=(format_coordinate(scale.y(0.0) - top)) {}
            }
        };
        html! {
            @for (place, source) in self.by_source.iter().enumerate() {
                @for (interval, value) in source.values.iter().enumerate() {
                    @if let Some(value) = value { (bar(place, interval, *value)) }
                }
            }
        }
    }

    /// Describes the chart in a sentence: lowest and highest value of each source.
    fn summary(&self) -> String {
        let several = self.by_source.len() > 1;
        let of_source = |source: &SourceTotals| {
            let present: Vec<f64> = source.values.iter().copied().flatten().collect();
            let shown = |value: Option<f64>| format_quantity(value.unwrap_or_default(), self.series.display);
            let (least, most) =
                (present.iter().copied().reduce(f64::min), present.iter().copied().reduce(f64::max));
            let named = if several { format!(" ({})", source.source) } else { String::new() };
            match present.len() {
                1 => format!("{}{named}", shown(most)),
                _ => format!("{} to {}{named}", shown(least), shown(most)),
            }
        };
        format!("{}: {}.", self.title, self.by_source.iter().map(of_source).collect::<Vec<_>>().join("; "))
    }

    fn legend(&self) -> String {
        match self.by_source {
            [] | [_] => String::new(),
            several => {
                let styles = several.iter().zip(BAR_STYLES.iter().cycle());
                let named: Vec<String> =
                    styles.map(|(source, style)| format!("{style}: {}", source.source)).collect();
                format!(
                    " Bars: {}. They may count the same activity, so they are not added up.",
                    named.join(", ")
                )
            }
        }
    }

    fn table(&self) -> Markup {
        let value = |source: &SourceTotals, place: usize| source.values.get(place).copied().flatten();
        let present = (0..self.intervals.len())
            .filter(|place| self.by_source.iter().any(|source| value(source, *place).is_some()));
        let (heading, format_time) = self.row;
        html! {
            details {
                summary { "Show as a table" span.hidden { ": " (self.title) } }
                table {
                    caption { (self.title) }
                    thead { tr {
                        th scope="col" { (heading) }
                        @for source in self.by_source { th.number scope="col" { (source.source) } }
                    } }
                    tbody { @for place in present { tr {
                        th scope="row" data-label=(heading) { (format_time(self.zone, self.intervals[place].from)) }
                        @for source in self.by_source {
                            td.number data-label=(source.source) {
                                @match value(source, place) {
                                    Some(value) => (format_quantity(value, self.series.display)),
                                    None => "none",
                                }
                            }
                        }
                    } } }
                }
            }
        }
    }
}
