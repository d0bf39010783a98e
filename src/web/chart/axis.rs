//! The frame of a chart: scale, grid lines and axis labels.

use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::model::{catalog::series_type::SeriesType, consent_intervals::Interval};
use crate::web::layout::format_local;

/// Size of the drawing in its own units; it scales to the width of the page.
pub(crate) const WIDTH: f64 = 720.0;
pub(crate) const HEIGHT: f64 = 240.0;
/// Space for the value labels on the left and the time labels at the bottom.
pub(crate) const LEFT: f64 = 52.0;
const BOTTOM: f64 = 28.0;
const TOP: f64 = 18.0;
/// Grid lines divide the height into this many parts.
const PARTS: u32 = 4;
/// Divides a series' plausible range into steps: a range of 190 beats per minute gives a step of 20.
const STEPS: f64 = 10.0;
/// Number of time labels below a chart.
const TIMES: usize = 6;

/// The value range of a chart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Scale {
    /// Returns round bounds around all values, at least two steps apart, so that small changes look small.
    pub(crate) fn around(series: &SeriesType, least: f64, most: f64) -> Self {
        let (from, until) = series.limits.chart;
        let step = round_step((until - from) / STEPS);
        let low = (least / step).floor() * step;
        let high = (most / step).ceil() * step;
        if high - low >= 2.0 * step {
            return Self { low, high };
        }
        // A value at its physical maximum, such as 100 % oxygen saturation, needs no space above it.
        if most <= until && low + 2.0 * step > until {
            return Self { low: until - 2.0 * step, high: until };
        }
        Self { low, high: low + 2.0 * step }
    }

    /// Returns a scale from zero to a round number above the greatest value, and at least one step high.
    pub(crate) fn from_zero(series: &SeriesType, most: f64) -> Self {
        Self { low: 0.0, high: round_up_scale(most.max(series.limits.chart.1 / STEPS), PARTS) }
    }

    /// Returns the vertical coordinate of a value, measured from the top.
    pub(crate) fn y(self, value: f64) -> f64 {
        TOP + (self.high - value) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)
    }

    /// Formats a value with the precision that this scale shows.
    pub(crate) fn format_value(self, value: f64) -> String {
        let span = self.high - self.low;
        let digits = if span >= 40.0 { 1.0 } else { 100.0 };
        ((value * digits).round() / digits).to_string()
    }
}

/// Returns the upper bound of a scale from zero that covers `most` in equal, round steps.
pub(crate) fn round_up_scale(most: f64, steps: u32) -> f64 {
    let (exponent, _) = split_exponent(most / f64::from(steps));
    let round = [1.0, 2.0, 2.5, 5.0, 10.0].map(|digit| digit * exponent);
    let step = round.into_iter().find(|step| step * f64::from(steps) >= most).unwrap_or(most);
    step * f64::from(steps)
}

/// Splits a number into a power of ten and a factor from 1 to below 10.
fn split_exponent(value: f64) -> (f64, f64) {
    let exponent = 10_f64.powf(value.log10().floor());
    (exponent, value / exponent)
}

/// Returns the nearest 1, 2, 5 or 10 times a power of ten, compared on a logarithmic scale.
fn round_step(value: f64) -> f64 {
    let (exponent, digit) = split_exponent(value);
    let near = if digit < 2_f64.sqrt() {
        1.0
    } else if digit < 10_f64.sqrt() {
        2.0
    } else if digit < 50_f64.sqrt() {
        5.0
    } else {
        10.0
    };
    near * exponent
}

/// Equally wide columns of a chart, one per time interval.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slots(usize);

impl Slots {
    pub(crate) fn new(count: usize) -> Self {
        Self(count.max(1))
    }

    pub(crate) fn width(self) -> f64 {
        (WIDTH - LEFT) / to_f64(self.0)
    }

    pub(crate) fn left(self, place: usize) -> f64 {
        LEFT + self.width() * to_f64(place)
    }

    pub(crate) fn middle(self, place: usize) -> f64 {
        self.left(place) + self.width() / 2.0
    }
}

/// Renders a chart: grid lines and labels around the given marks.
pub(crate) fn render_frame(
    scale: Scale,
    zone: &TimeZone,
    (intervals, label): (&[Interval], &str),
    summary: &str,
    marks: &Markup,
) -> Markup {
    let slots = Slots::new(intervals.len());
    let lines =
        (0..=PARTS).map(|step| scale.low + (scale.high - scale.low) * f64::from(step) / f64::from(PARTS));
    let every = intervals.len().div_ceil(TIMES).max(1);
    html! {
        svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(summary) {
            @for value in lines {
                line.grid x1=(LEFT) x2=(WIDTH) y1=(format_coordinate(scale.y(value))) y2=(format_coordinate(scale.y(value))) {}
                text.axis x=(LEFT - 6.0) y=(format_coordinate(scale.y(value) + 4.0)) text-anchor="end" { (format_axis_label(scale, value)) }
            }
            @for (place, range) in intervals.iter().enumerate().step_by(every) {
                text.axis x=(format_coordinate(slots.left(place))) y=(HEIGHT - 8.0) { (format_local(zone, range.from, label)) }
            }
            (marks)
        }
    }
}

/// Formats an axis label; thousands are shortened to fit.
fn format_axis_label(scale: Scale, value: f64) -> String {
    if scale.high >= 10_000.0 && value > 0.0 {
        format!("{}k", value / 1000.0)
    } else {
        ((value * 100.0).round() / 100.0).to_string()
    }
}

/// Converts a count to a coordinate; counts beyond `u32` do not occur in charts.
pub(crate) fn to_f64(count: impl TryInto<u32>) -> f64 {
    f64::from(count.try_into().unwrap_or(u32::MAX))
}

/// Formats a coordinate; finer digits than this are invisible.
pub(crate) fn format_coordinate(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::series;
    use crate::model::catalog::series::SERIES;

    fn around(name: &str, least: f64, most: f64) -> (f64, f64) {
        let scale = Scale::around(series::find(name).unwrap(), least, most);
        (scale.low, scale.high)
    }

    #[test]
    fn a_scale_is_round_wide_and_around_everything() {
        assert_eq!(around("heart_rate", 61.0, 63.0), (60.0, 100.0));
        assert_eq!(around("heart_rate", 48.0, 131.0), (40.0, 140.0));
        assert_eq!(around("oxygen_saturation", 97.0, 99.0), (96.0, 100.0));
        assert_eq!(around("body_temperature", 36.6, 36.6), (36.0, 38.0));
        assert_eq!(around("weight", 71.9, 72.4), (60.0, 100.0));
        for one in SERIES {
            let scale = Scale::around(one, one.limits.chart.0, one.limits.chart.1);
            assert!(
                scale.low <= one.limits.chart.0 && scale.high >= one.limits.chart.1,
                "{}",
                one.series_type
            );
        }
    }

    #[test]
    fn bars_begin_at_nothing() {
        let top = |name, most| Scale::from_zero(series::find(name).unwrap(), most).high;
        assert_eq!((top("steps", 9120.0), top("steps", 0.0)), (10_000.0, 8000.0));
        assert_eq!((top("sleep_duration", 7.4), top("sleep_duration", 9.0)), (8.0, 10.0));
    }
}
