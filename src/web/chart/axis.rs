//! The vertical axis of a chart: round bounds and at most six labels.

use crate::model::catalog::series_type::SeriesType;

/// Intervals between labels, at most; six labels have five.
const MOST_STEPS: f64 = 5.0;
const NEAR: f64 = 1e-9;
/// An axis covers at least this part of the series' usual range, so that small changes look small.
const LEAST_PART: f64 = 15.0;

/// The value range of a chart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
    step: f64,
}

impl Scale {
    /// Returns round bounds around all values.
    pub(crate) fn around(series: &SeriesType, least: f64, most: f64) -> Self {
        let (floor, ceiling) = series.limits.chart;
        let more = ((ceiling - floor) / LEAST_PART - (most - least)).max(0.0);
        let (mut low, mut high) = (least - more / 2.0, most + more / 2.0);
        // A value at its physical maximum, such as 100 % oxygen saturation, needs no space above it.
        if most <= ceiling && high > ceiling {
            (low, high) = (low - (high - ceiling), ceiling);
        }
        if least >= floor && low < floor {
            (low, high) = (floor, high + (floor - low));
        }
        Self::fit(low, high)
    }

    /// Returns a scale from zero to a round number above the greatest value.
    pub(crate) fn from_zero(most: f64) -> Self {
        Self::fit(0.0, if most > 0.0 { most } else { 1.0 })
    }

    /// Chooses the smallest step of 1, 2 or 5 times a power of ten that gives few enough labels.
    fn fit(low: f64, high: f64) -> Self {
        let mut power = 10_f64.powf(((high - low) / MOST_STEPS).log10().floor());
        if !power.is_normal() {
            return Self { low, high: low + 1.0, step: 1.0 };
        }
        loop {
            for digit in [1.0, 2.0, 5.0] {
                let step = digit * power;
                // Division leaves 362.999… of 36.3 / 0.1.
                let (from, until) = ((low / step + NEAR).floor(), (high / step - NEAR).ceil());
                if until - from <= MOST_STEPS {
                    return Self { low: from * step, high: until * step, step };
                }
            }
            power *= 10.0;
        }
    }

    /// Returns the labelled values, the lowest first.
    pub(crate) fn ticks(self) -> Vec<f64> {
        // Multiples of the step: a sum would reach 0 as -0.0000001.
        let (first, last) = ((self.low / self.step).round(), (self.high / self.step).round());
        let places = (0_u32..).map(|place| first + f64::from(place)).take_while(|place| *place <= last);
        places.map(|place| place * self.step).collect()
    }

    /// Returns the height of a value, from 0 at the bottom to 1 at the top.
    pub(crate) fn share(self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// Formats a label, with as many decimals as the step needs.
    pub(crate) fn format_label(self, value: f64) -> String {
        let text = format!("{value:.*}", decimals(self.step));
        let digits = text.trim_start_matches('-').split('.').next().map_or(0, str::len);
        if digits < 5 { text } else { group_thousands(&text) }
    }

    /// Formats a value a little finer than the labels.
    pub(crate) fn format_value(self, value: f64) -> String {
        let factor = 10_f64.powi(i32::try_from(decimals(self.step / 10.0)).unwrap_or(0).min(2));
        ((value * factor).round() / factor).to_string()
    }
}

/// Returns the decimals of a number that is 1, 2 or 5 times a power of ten.
fn decimals(step: f64) -> usize {
    (0..6_u8).find(|places| step * 10_f64.powi(i32::from(*places)) > 0.99).map_or(6, usize::from)
}

fn group_thousands(text: &str) -> String {
    let (whole, rest) = text.split_once('.').map_or((text, ""), |(whole, _)| (whole, &text[whole.len()..]));
    let mut grouped = String::with_capacity(text.len() + 4);
    for (place, digit) in whole.chars().enumerate() {
        let left = whole.len() - place;
        if digit != '-' && place > 0 && left.is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped + rest
}

/// Converts a count; counts beyond `u32` do not occur in charts.
pub(crate) fn to_f64(count: impl TryInto<u32>) -> f64 {
    f64::from(count.try_into().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::series::{self, SERIES};

    fn labels(scale: Scale) -> Vec<String> {
        scale.ticks().into_iter().map(|value| scale.format_label(value)).collect()
    }

    fn around(name: &str, least: f64, most: f64) -> Vec<String> {
        labels(Scale::around(series::find(name).unwrap(), least, most))
    }

    #[test]
    fn a_scale_is_round_around_everything_and_has_at_most_six_labels() {
        assert_eq!(around("heart_rate", 61.0, 63.0), ["55", "60", "65", "70"]);
        assert_eq!(around("heart_rate", 48.0, 131.0), ["40", "60", "80", "100", "120", "140"]);
        assert_eq!(around("oxygen_saturation", 99.0, 100.0), ["98.0", "98.5", "99.0", "99.5", "100.0"]);
        assert_eq!(around("body_temperature", 36.6, 36.6), ["36.2", "36.4", "36.6", "36.8", "37.0"]);
        assert_eq!(around("skin_temperature_deviation", -0.4, 0.3), ["-0.4", "-0.2", "0.0", "0.2", "0.4"]);
        for one in SERIES {
            let (floor, ceiling) = one.limits.chart;
            for (least, most) in [(floor, ceiling), (floor, floor), (ceiling, ceiling), (0.0, 1e9)] {
                let scale = Scale::around(one, least, most);
                let ticks = scale.ticks();
                assert!((2..=6).contains(&ticks.len()), "{}: {ticks:?}", one.series_type);
                assert!(
                    scale.low <= least + NEAR && scale.high >= most - NEAR,
                    "{}: {scale:?}",
                    one.series_type
                );
            }
        }
    }

    #[test]
    fn bars_begin_at_nothing_and_large_numbers_are_readable() {
        let top = |most| labels(Scale::from_zero(most)).pop().unwrap();
        assert_eq!((top(9120.0), top(0.0), top(7.4)), ("10\u{202f}000".into(), "1.0".into(), "8".into()));
        assert_eq!(top(7400.0), "8000");
        assert_eq!(group_thousands("-123456.5"), "-123\u{202f}456.5");
    }

    #[test]
    fn a_value_is_shown_finer_than_the_labels() {
        let scale = Scale::from_zero(9120.0);
        assert_eq!(scale.format_value(7421.4), "7421");
        let narrow = Scale::around(series::find("weight").unwrap(), 71.2, 71.9);
        assert_eq!(narrow.format_value(71.449), "71.4");
    }
}
