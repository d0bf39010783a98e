//! What is measured at instants: mean, least and greatest of each stretch of time.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::model::catalog::series_type::SeriesType;
use crate::model::chart_data::{PeriodSummary, ValueSummary};
use crate::model::consent_intervals::Interval;
use crate::web::chart::axis::{Scale, Slots, frame, point};
use crate::web::chart::period::Period;
use crate::web::layout::Column::{Number, Text};
use crate::web::layout::{local_text, table_head};

/// Values of one stretch, in the unit that is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) mean: f64,
    pub(crate) most: f64,
}

/// What there is of one stretch of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bucket {
    pub(crate) range: Interval,
    /// How many samples there are.
    pub(crate) samples: i64,
    /// Their values; none where there are none.
    pub(crate) value: Option<Spread>,
    /// The diastolic pressures.
    pub(crate) diastolic: Option<Spread>,
}

/// Sums of all streams, stretch by stretch.
pub(crate) fn buckets(series: &SeriesType, stretches: &[Interval], parts: &[PeriodSummary]) -> Vec<Bucket> {
    let of_stretch = |(place, range): (usize, &Interval)| {
        let here = || parts.iter().filter(|part| part.period == place);
        Bucket {
            range: *range,
            samples: here().map(|part| part.value.samples).sum(),
            value: spread(series, here().map(|part| part.value)),
            diastolic: spread(series, here().filter_map(|part| part.diastolic)),
        }
    };
    stretches.iter().enumerate().map(of_stretch).collect()
}

fn spread(series: &SeriesType, sums: impl Iterator<Item = ValueSummary>) -> Option<Spread> {
    let all = sums.reduce(|one, other| ValueSummary {
        samples: one.samples + other.samples,
        min: one.min.min(other.min),
        sum: one.sum + other.sum,
        max: one.max.max(other.max),
    })?;
    let per = series.display.per;
    let mean = all.sum / crate::web::chart::axis::float(all.samples) / per;
    Some(Spread { least: all.min / per, mean, most: all.max / per })
}

/// The drawing with its table; none where there is nothing to draw.
pub(crate) fn section(
    series: &SeriesType,
    period: Period,
    zone: &TimeZone,
    buckets: &[Bucket],
) -> Option<Markup> {
    let spreads = || buckets.iter().flat_map(|bucket| [bucket.value, bucket.diastolic]).flatten();
    let least = spreads().map(|spread| spread.least).reduce(f64::min)?;
    let most = spreads().map(|spread| spread.most).reduce(f64::max)?;
    let scale = Scale::around(series, least, most);
    let summary = summary(series, period, buckets, scale);
    let is_double = buckets.iter().any(|bucket| bucket.diastolic.is_some());
    let stretches: Vec<Interval> = buckets.iter().map(|bucket| bucket.range).collect();
    let drawn = html! {
        (band(buckets, scale, |bucket| bucket.value))
        @if is_double { g.below { (band(buckets, scale, |bucket| bucket.diastolic)) } }
    };
    Some(html! {
        figure {
            (frame(scale, zone, (&stretches, period.label()), &summary, &drawn))
            figcaption { (summary) " "
                @if is_double { "Line: mean systolic; broken line: mean diastolic; bars: lowest to highest." }
                @else { "Line: mean; bars: lowest to highest." }
            }
        }
        (table(series, period, zone, (buckets, is_double), scale))
    })
}

fn summary(series: &SeriesType, period: Period, buckets: &[Bucket], scale: Scale) -> String {
    let samples: i64 = buckets.iter().map(|bucket| bucket.samples).sum();
    let reach = |of: fn(&Bucket) -> Option<Spread>| {
        let spreads = || buckets.iter().filter_map(of);
        let least = spreads().map(|spread| spread.least).reduce(f64::min)?;
        let most = spreads().map(|spread| spread.most).reduce(f64::max)?;
        Some(match (scale.number(least), scale.number(most)) {
            (least, most) if least == most => least,
            (least, most) => format!("{least} to {most}"),
        })
    };
    let values = match (reach(|bucket| bucket.value), reach(|bucket| bucket.diastolic)) {
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

fn band(buckets: &[Bucket], scale: Scale, of: fn(&Bucket) -> Option<Spread>) -> Markup {
    let slots = Slots::new(buckets.len());
    let spreads: Vec<Option<Spread>> = buckets.iter().map(of).collect();
    let full = || spreads.iter().enumerate().filter_map(|(place, spread)| Some((place, (*spread)?)));
    html! {
        @for (place, spread) in full() {
            line.range x1=(point(slots.middle(place))) x2=(point(slots.middle(place)))
                y1=(point(scale.y(spread.most) - 1.0)) y2=(point(scale.y(spread.least) + 1.0)) {}
        }
        @for run in runs(&spreads) {
            polyline.mean points=(points(&run, scale, slots)) {}
        }
        @for (place, spread) in full() {
            circle.mean cx=(point(slots.middle(place))) cy=(point(scale.y(spread.mean))) r=(radius(&spreads, place)) {}
        }
    }
}

/// A dot that no line leads to has to be seen by itself.
fn radius(spreads: &[Option<Spread>], place: usize) -> &'static str {
    let is_full =
        |place: Option<usize>| place.and_then(|place| spreads.get(place)).is_some_and(Option::is_some);
    if is_full(place.checked_sub(1)) || is_full(Some(place + 1)) { "2" } else { "4" }
}

/// Stretches without a gap: a line across a gap would be invented.
fn runs(spreads: &[Option<Spread>]) -> Vec<Vec<(usize, f64)>> {
    let mut runs: Vec<Vec<(usize, f64)>> = Vec::new();
    for (place, spread) in spreads.iter().enumerate() {
        let Some(spread) = spread else { continue };
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|(last, _)| last + 1 == place) => {
                run.push((place, spread.mean));
            }
            _ => runs.push(vec![(place, spread.mean)]),
        }
    }
    runs
}

fn points(run: &[(usize, f64)], scale: Scale, slots: Slots) -> String {
    run.iter().fold(String::new(), |mut text, (place, mean)| {
        let _ = write!(text, "{},{} ", point(slots.middle(*place)), point(scale.y(*mean)));
        text
    })
}

fn table(
    series: &SeriesType,
    period: Period,
    zone: &TimeZone,
    (buckets, is_double): (&[Bucket], bool),
    scale: Scale,
) -> Markup {
    let parts = if is_double { "systolic/diastolic " } else { "" };
    let cell = |bucket: &Bucket, of: fn(Spread) -> f64| {
        let number = |spread: Option<Spread>| spread.map(|spread| scale.number(of(spread)));
        let both = [number(bucket.value), number(bucket.diastolic)];
        both.into_iter().flatten().collect::<Vec<_>>().join("/")
    };
    html! {
        details {
            summary { "The same as a table" span.hidden { ": " (series.name) } }
            table {
                caption { (series.name) ", " (parts) "in " (series.display.unit) ", " (period.title()) }
                (table_head(&[Text("From"), Number("Samples"), Number("Lowest"), Number("Mean"), Number("Highest")]))
                tbody { @for bucket in buckets.iter().filter(|bucket| bucket.value.is_some()) { tr {
                    th scope="row" data-label="From" { (local_text(zone, bucket.range.from)) }
                    td.number data-label="Samples" { (bucket.samples) }
                    td.number data-label="Lowest" { (cell(bucket, |spread| spread.least)) }
                    td.number data-label="Mean" { (cell(bucket, |spread| spread.mean)) }
                    td.number data-label="Highest" { (cell(bucket, |spread| spread.most)) }
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
        let full = Some(Spread { least: 50.0, mean: 60.0, most: 70.0 });
        let runs = runs(&[full, full, None, full]);
        let places: Vec<Vec<usize>> =
            runs.iter().map(|run| run.iter().map(|(place, _)| *place).collect()).collect();
        assert_eq!(places, [vec![0, 1], vec![3]]);
    }
}
