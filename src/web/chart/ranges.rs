//! Line charts for instantaneous values such as heart rate: mean, minimum and maximum of each interval.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::model::chart_data::{PeriodSummary, ValueSummary};
use crate::model::{catalog::series_type::SeriesType, consent_intervals::Interval};
use crate::web::chart::axis::{Scale, Slots, format_coordinate, render_frame, to_f64};
use crate::web::chart::period::Period;
use crate::web::layout::Column::{Number, Text};
use crate::web::layout::{local_text, table_head};

/// Minimum, mean and maximum of an interval, in the displayed unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ValueRange {
    pub(crate) min: f64,
    pub(crate) mean: f64,
    pub(crate) max: f64,
}

/// The samples of one interval, summarized.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bucket {
    pub(crate) range: Interval,
    pub(crate) samples: i64,
    /// `None` without samples.
    pub(crate) value: Option<ValueRange>,
    /// Set for blood pressure only; `value` is then the systolic pressure.
    pub(crate) diastolic: Option<ValueRange>,
}

/// Merges the summaries of all streams, interval by interval.
pub(crate) fn buckets(series: &SeriesType, intervals: &[Interval], parts: &[PeriodSummary]) -> Vec<Bucket> {
    let of_stretch = |(place, range): (usize, &Interval)| {
        let here = || parts.iter().filter(|part| part.period == place);
        Bucket {
            range: *range,
            samples: here().map(|part| part.value.samples).sum(),
            value: merge(series, here().map(|part| part.value)),
            diastolic: merge(series, here().filter_map(|part| part.diastolic)),
        }
    };
    intervals.iter().enumerate().map(of_stretch).collect()
}

fn merge(series: &SeriesType, sums: impl Iterator<Item = ValueSummary>) -> Option<ValueRange> {
    let all = sums.reduce(|one, other| ValueSummary {
        samples: one.samples + other.samples,
        min: one.min.min(other.min),
        sum: one.sum + other.sum,
        max: one.max.max(other.max),
    })?;
    let per = series.display.per;
    let mean = all.sum / to_f64(all.samples) / per;
    Some(ValueRange { min: all.min / per, mean, max: all.max / per })
}

/// Renders the chart and its table, or nothing without data.
pub(crate) fn render(
    series: &SeriesType,
    period: Period,
    zone: &TimeZone,
    buckets: &[Bucket],
) -> Option<Markup> {
    let ranges = || buckets.iter().flat_map(|bucket| [bucket.value, bucket.diastolic]).flatten();
    let min = ranges().map(|range| range.min).reduce(f64::min)?;
    let max = ranges().map(|range| range.max).reduce(f64::max)?;
    let scale = Scale::around(series, min, max);
    let summary = summary(series, period, buckets, scale);
    let has_diastolic = buckets.iter().any(|bucket| bucket.diastolic.is_some());
    let intervals: Vec<Interval> = buckets.iter().map(|bucket| bucket.range).collect();
    let drawn = html! {
        (render_band(buckets, scale, |bucket| bucket.value))
        @if has_diastolic { g.below { (render_band(buckets, scale, |bucket| bucket.diastolic)) } }
    };
    Some(html! {
        figure {
            (render_frame(scale, zone, (&intervals, period.label()), &summary, &drawn))
            figcaption { (summary) " "
                @if has_diastolic { "The line is the systolic average, the broken line the diastolic one. The bars show lowest to highest." }
                @else { "The line is the average. The bars show lowest to highest." }
            }
        }
        (render_table(series, period, zone, (buckets, has_diastolic), scale))
    })
}

fn summary(series: &SeriesType, period: Period, buckets: &[Bucket], scale: Scale) -> String {
    let samples: i64 = buckets.iter().map(|bucket| bucket.samples).sum();
    let range = |of: fn(&Bucket) -> Option<ValueRange>| {
        let ranges = || buckets.iter().filter_map(of);
        let min = ranges().map(|range| range.min).reduce(f64::min)?;
        let max = ranges().map(|range| range.max).reduce(f64::max)?;
        Some(match (scale.format_value(min), scale.format_value(max)) {
            (min, max) if min == max => min,
            (min, max) => format!("{min} to {max}"),
        })
    };
    let values = match (range(|bucket| bucket.value), range(|bucket| bucket.diastolic)) {
        (Some(systolic), Some(diastolic)) => format!("systolic {systolic}, diastolic {diastolic}"),
        (value, _) => value.unwrap_or_default(),
    };
    let plural = if samples == 1 { "" } else { "s" };
    format!(
        "{} of {}: {samples} sample{plural}, {values}\u{a0}{}.",
        series.name,
        period.title(),
        series.display.unit
    )
}

fn render_band(buckets: &[Bucket], scale: Scale, of: fn(&Bucket) -> Option<ValueRange>) -> Markup {
    let slots = Slots::new(buckets.len());
    let ranges: Vec<Option<ValueRange>> = buckets.iter().map(of).collect();
    let present = || ranges.iter().enumerate().filter_map(|(place, range)| Some((place, (*range)?)));
    html! {
        @for (place, range) in present() {
            line.range x1=(format_coordinate(slots.middle(place))) x2=(format_coordinate(slots.middle(place)))
                y1=(format_coordinate(scale.y(range.max) - 1.0)) y2=(format_coordinate(scale.y(range.min) + 1.0)) {}
        }
        @for run in runs(&ranges) {
            polyline.mean points=(points(&run, scale, slots)) {}
        }
        @for (place, range) in present() {
            circle.mean cx=(format_coordinate(slots.middle(place))) cy=(format_coordinate(scale.y(range.mean))) r=(radius(&ranges, place)) {}
        }
    }
}

/// Returns the radius of a dot; one without a line to a neighbour is larger, so that it is visible.
fn radius(ranges: &[Option<ValueRange>], place: usize) -> &'static str {
    let is_present =
        |place: Option<usize>| place.and_then(|place| ranges.get(place)).is_some_and(Option::is_some);
    if is_present(place.checked_sub(1)) || is_present(Some(place + 1)) { "2" } else { "4" }
}

/// Splits the intervals at gaps: a line across a gap would show values that do not exist.
fn runs(ranges: &[Option<ValueRange>]) -> Vec<Vec<(usize, f64)>> {
    let mut runs: Vec<Vec<(usize, f64)>> = Vec::new();
    for (place, range) in ranges.iter().enumerate() {
        let Some(range) = range else { continue };
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|(last, _)| last + 1 == place) => {
                run.push((place, range.mean));
            }
            _ => runs.push(vec![(place, range.mean)]),
        }
    }
    runs
}

fn points(run: &[(usize, f64)], scale: Scale, slots: Slots) -> String {
    run.iter().fold(String::new(), |mut text, (place, mean)| {
        let _ = write!(
            text,
            "{},{} ",
            format_coordinate(slots.middle(*place)),
            format_coordinate(scale.y(*mean))
        );
        text
    })
}

fn render_table(
    series: &SeriesType,
    period: Period,
    zone: &TimeZone,
    (buckets, has_diastolic): (&[Bucket], bool),
    scale: Scale,
) -> Markup {
    let parts = if has_diastolic { "systolic/diastolic " } else { "" };
    let cell = |bucket: &Bucket, of: fn(ValueRange) -> f64| {
        let number = |range: Option<ValueRange>| range.map(|range| scale.format_value(of(range)));
        let both = [number(bucket.value), number(bucket.diastolic)];
        both.into_iter().flatten().collect::<Vec<_>>().join("/")
    };
    html! {
        details {
            summary { "Show as a table" span.hidden { ": " (series.name) } }
            table {
                caption { (series.name) ", " (parts) "in " (series.display.unit) ", " (period.title()) }
                (table_head(&[Text("From"), Number("Samples"), Number("Lowest"), Number("Mean"), Number("Highest")]))
                tbody { @for bucket in buckets.iter().filter(|bucket| bucket.value.is_some()) { tr {
                    th scope="row" data-label="From" { (local_text(zone, bucket.range.from)) }
                    td.number data-label="Samples" { (bucket.samples) }
                    td.number data-label="Lowest" { (cell(bucket, |range| range.min)) }
                    td.number data-label="Mean" { (cell(bucket, |range| range.mean)) }
                    td.number data-label="Highest" { (cell(bucket, |range| range.max)) }
                } } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_not_drawn_over() {
        let full = Some(ValueRange { min: 50.0, mean: 60.0, max: 70.0 });
        let runs = runs(&[full, full, None, full]);
        let places: Vec<Vec<usize>> =
            runs.iter().map(|run| run.iter().map(|(place, _)| *place).collect()).collect();
        assert_eq!(places, [vec![0, 1], vec![3]]);
    }
}
