//! The frame of a drawing: which values it covers, its lines, and what is written beside them.

use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::model::catalog::series_type::SeriesType;
use crate::model::consent_intervals::Interval;
use crate::web::layout::format_local;

/// Size of the drawing in its own units; it scales to the width of the page.
pub(crate) const WIDTH: f64 = 720.0;
pub(crate) const HEIGHT: f64 = 240.0;
/// Room for the numbers at the left and the times below.
pub(crate) const LEFT: f64 = 52.0;
const BOTTOM: f64 = 28.0;
const TOP: f64 = 18.0;
/// Parts of the height between two lines.
const PARTS: u32 = 4;
/// Parts of what is plausible that make a step of the scale: 20 beats of the 190 of a heart rate.
const STEPS: f64 = 10.0;
/// Times that are written below.
const TIMES: usize = 6;

/// The values that a drawing covers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Scale {
    /// Round numbers around all values, and two steps apart at least, so that a calm night is no mountain range.
    pub(crate) fn around(series: &SeriesType, least: f64, most: f64) -> Self {
        let (from, until) = series.chart_range;
        let step = round((until - from) / STEPS);
        let low = (least / step).floor() * step;
        let high = (most / step).ceil() * step;
        if high - low >= 2.0 * step {
            return Self { low, high };
        }
        // What cannot be more than it is, such as a saturation of 100 %, leaves the room below.
        if most <= until && low + 2.0 * step > until {
            return Self { low: until - 2.0 * step, high: until };
        }
        Self { low, high: low + 2.0 * step }
    }

    /// From nothing to a round number above the greatest value, and above a part of what is plausible.
    pub(crate) fn from_zero(series: &SeriesType, most: f64) -> Self {
        Self { low: 0.0, high: top(most.max(series.chart_range.1 / STEPS), PARTS) }
    }

    /// How far down a value is drawn.
    pub(crate) fn y(self, value: f64) -> f64 {
        TOP + (self.high - value) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)
    }

    /// A value as finely as it can be told on this scale.
    pub(crate) fn number(self, value: f64) -> String {
        let span = self.high - self.low;
        let digits = if span >= 40.0 { 1.0 } else { 100.0 };
        ((value * digits).round() / digits).to_string()
    }
}

/// The end of a scale from nothing to `most` at least, which so many steps of round numbers lead up to.
pub(crate) fn top(most: f64, steps: u32) -> f64 {
    let (exponent, _) = parts(most / f64::from(steps));
    let round = [1.0, 2.0, 2.5, 5.0, 10.0].map(|digit| digit * exponent);
    let step = round.into_iter().find(|step| step * f64::from(steps) >= most).unwrap_or(most);
    step * f64::from(steps)
}

/// The power of ten of a number, and what is left of it: from 1 to below 10.
fn parts(value: f64) -> (f64, f64) {
    let exponent = 10_f64.powf(value.log10().floor());
    (exponent, value / exponent)
}

/// The number of one digit that is 1, 2 or 5 and comes nearest, as steps are told apart.
fn round(value: f64) -> f64 {
    let (exponent, digit) = parts(value);
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

/// Where stretches of time stand beside each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slots(usize);

impl Slots {
    pub(crate) fn new(count: usize) -> Self {
        Self(count.max(1))
    }

    pub(crate) fn width(self) -> f64 {
        (WIDTH - LEFT) / float(self.0)
    }

    pub(crate) fn left(self, place: usize) -> f64 {
        LEFT + self.width() * float(place)
    }

    pub(crate) fn middle(self, place: usize) -> f64 {
        self.left(place) + self.width() / 2.0
    }
}

/// The drawing with its lines and numbers, around what is drawn in it.
pub(crate) fn frame(
    scale: Scale,
    zone: &TimeZone,
    (stretches, label): (&[Interval], &str),
    summary: &str,
    inside: &Markup,
) -> Markup {
    let slots = Slots::new(stretches.len());
    let lines =
        (0..=PARTS).map(|step| scale.low + (scale.high - scale.low) * f64::from(step) / f64::from(PARTS));
    let every = stretches.len().div_ceil(TIMES).max(1);
    html! {
        svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(summary) {
            @for value in lines {
                line.grid x1=(LEFT) x2=(WIDTH) y1=(point(scale.y(value))) y2=(point(scale.y(value))) {}
                text.axis x=(LEFT - 6.0) y=(point(scale.y(value) + 4.0)) text-anchor="end" { (written(scale, value)) }
            }
            @for (place, range) in stretches.iter().enumerate().step_by(every) {
                text.axis x=(point(slots.left(place))) y=(HEIGHT - 8.0) { (format_local(zone, range.from, label)) }
            }
            (inside)
        }
    }
}

/// A number beside a line: thousands are short, so that they fit there.
fn written(scale: Scale, value: f64) -> String {
    if scale.high >= 10_000.0 && value > 0.0 {
        format!("{}k", value / 1000.0)
    } else {
        ((value * 100.0).round() / 100.0).to_string()
    }
}

/// A count as a length; none that is drawn comes near the limit.
pub(crate) fn float(count: impl TryInto<u32>) -> f64 {
    f64::from(count.try_into().unwrap_or(u32::MAX))
}

/// A coordinate with as many digits as anybody can see.
pub(crate) fn point(value: f64) -> String {
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
            let scale = Scale::around(one, one.chart_range.0, one.chart_range.1);
            assert!(scale.low <= one.chart_range.0 && scale.high >= one.chart_range.1, "{}", one.series_type);
        }
    }

    #[test]
    fn bars_begin_at_nothing() {
        let top = |name, most| Scale::from_zero(series::find(name).unwrap(), most).high;
        assert_eq!((top("steps", 9120.0), top("steps", 0.0)), (10_000.0, 8000.0));
        assert_eq!((top("sleep_duration", 7.4), top("sleep_duration", 9.0)), (8.0, 10.0));
    }
}
