//! What adds up: bars, one for each stretch of time and data source.

use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::model::catalog::series_type::{OwEndpoint, SeriesType};
use crate::model::consent_intervals::Interval;
use crate::model::day_totals::SourceTotals;
use crate::omh::show::format_quantity;
use crate::web::chart::axis::{Scale, Slots, float, frame, point};
use crate::web::chart::period::{Day, Period};
use crate::web::layout::{format_local, local_text};

/// How the bars of each data source look, in words.
const LOOKS: [&str; 3] = ["full", "hollow", "pale"];
/// Part of a stretch that is drawn: the rest parts it from the next.
const FILLED: f64 = 0.8;

/// What there is of one row of the catalogue.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sums {
    pub(crate) days: Vec<Day>,
    /// What each day comes to.
    pub(crate) by_day: Vec<SourceTotals>,
    /// Half hours, in the view of a day.
    pub(crate) stretches: Vec<Interval>,
    /// What each half hour comes to, where anything tells of parts of a day.
    pub(crate) by_stretch: Vec<SourceTotals>,
}

/// The drawing with its table; none where there is nothing to draw.
pub(crate) fn section(series: &SeriesType, period: Period, zone: &TimeZone, sums: &Sums) -> Option<Markup> {
    if sums.by_day.is_empty() && sums.by_stretch.is_empty() {
        return None;
    }
    let days: Vec<Interval> = sums.days.iter().map(|day| day.range).collect();
    let of_days = Bars {
        series,
        zone,
        title: format!("{} of {}", series.name, period.title()),
        stretches: &days,
        label: period.day_label(),
        row: ("Day", |zone, at| format_local(zone, at, "%a, %-d %b %Y")),
        tallies: &sums.by_day,
    };
    if period != Period::Day {
        return Some(of_days.section());
    }
    let of_hours = Bars {
        stretches: &sums.stretches,
        label: period.label(),
        title: format!("{} of {}, half hour by half hour", series.name, period.title()),
        row: ("From", local_text),
        tallies: &sums.by_stretch,
        ..of_days
    };
    Some(html! {
        (two_days(series, sums))
        @if !sums.by_stretch.is_empty() { (of_hours.section()) }
    })
}

/// Today and yesterday as numbers: a bar that is still growing would say less.
fn two_days(series: &SeriesType, sums: &Sums) -> Markup {
    let today = sums.days.len().saturating_sub(1);
    let names = match series.origin {
        OwEndpoint::Sleep => ["The night before", "Last night, and naps"],
        _ => ["Yesterday", "Today so far"],
    };
    let several = sums.by_day.len() > 1;
    html! {
        dl.summary {
            @for (place, name) in [(today, names[1]), (today.saturating_sub(1), names[0])] {
                @for tally in &sums.by_day {
                    @if let Some(value) = tally.values.get(place).copied().flatten() {
                        div {
                            dt { (name) @if several { ", " (tally.source) } }
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
    stretches: &'a [Interval],
    label: &'a str,
    /// What a row of the table is called, and how its stretch is written.
    row: (&'a str, fn(&TimeZone, crate::common::time::Timestamp) -> String),
    tallies: &'a [SourceTotals],
}

impl Bars<'_> {
    fn section(&self) -> Markup {
        let per = self.series.display.per;
        let values = self.tallies.iter().flat_map(|tally| tally.values.iter().flatten());
        let scale = Scale::from_zero(self.series, values.map(|value| value / per).fold(0.0, f64::max));
        let summary = self.summary();
        let night = self.series.origin == OwEndpoint::Sleep;
        html! {
            figure {
                (frame(scale, self.zone, (self.stretches, self.label), &summary, &self.bars(scale)))
                figcaption { (summary) (self.legend())
                    @if night { " A night counts for the day on which it ended." } }
            }
            (self.table())
        }
    }

    fn bars(&self, scale: Scale) -> Markup {
        let slots = Slots::new(self.stretches.len());
        let width = slots.width() * FILLED / float(self.tallies.len().max(1));
        let begin = slots.width() * (1.0 - FILLED) / 2.0;
        let bar = |tally: usize, place: usize, value: f64| {
            let top = scale.y(value / self.series.display.per);
            let left = slots.left(place) + begin + width * float(tally);
            html! {
                rect class={ "bar " (LOOKS[tally % LOOKS.len()]) } x=(point(left)) y=(point(top))
                    width=(point(width - 1.0)) height=(point(scale.y(0.0) - top)) {}
            }
        };
        html! {
            @for (place, tally) in self.tallies.iter().enumerate() {
                @for (stretch, value) in tally.values.iter().enumerate() {
                    @if let Some(value) = value { (bar(place, stretch, *value)) }
                }
            }
        }
    }

    /// What the drawing says, in a sentence: of each source the least, the mean and the greatest.
    fn summary(&self) -> String {
        let several = self.tallies.len() > 1;
        let of_source = |tally: &SourceTotals| {
            let full: Vec<f64> = tally.values.iter().copied().flatten().collect();
            let shown = |value: Option<f64>| format_quantity(value.unwrap_or_default(), self.series.display);
            let (least, most) =
                (full.iter().copied().reduce(f64::min), full.iter().copied().reduce(f64::max));
            let named = if several { format!(" ({})", tally.source) } else { String::new() };
            match full.len() {
                1 => format!("{}{named}", shown(most)),
                _ => format!("{} to {}{named}", shown(least), shown(most)),
            }
        };
        format!("{}: {}.", self.title, self.tallies.iter().map(of_source).collect::<Vec<_>>().join("; "))
    }

    fn legend(&self) -> String {
        match self.tallies {
            [] | [_] => String::new(),
            several => {
                let looks = several.iter().zip(LOOKS.iter().cycle());
                let named: Vec<String> =
                    looks.map(|(tally, look)| format!("{look}: {}", tally.source)).collect();
                format!(" Bars: {}. They may have counted the same, and are not added up.", named.join(", "))
            }
        }
    }

    fn table(&self) -> Markup {
        let value = |tally: &SourceTotals, place: usize| tally.values.get(place).copied().flatten();
        let full = (0..self.stretches.len())
            .filter(|place| self.tallies.iter().any(|tally| value(tally, *place).is_some()));
        let (head, written) = self.row;
        html! {
            details {
                summary { "The same as a table" span.hidden { ": " (self.title) } }
                table {
                    caption { (self.title) }
                    thead { tr {
                        th scope="col" { (head) }
                        @for tally in self.tallies { th.number scope="col" { (tally.source) } }
                    } }
                    tbody { @for place in full { tr {
                        th scope="row" data-label=(head) { (written(self.zone, self.stretches[place].from)) }
                        @for tally in self.tallies {
                            td.number data-label=(tally.source) {
                                @match value(tally, place) {
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
