//! Charts of instantaneous values such as heart rate: mean, minimum and maximum of each interval. A value of which
//! there is one a day is a bar over its day.

use std::fmt::Write as _;

use maud::{Markup, html};

use crate::model::chart_data::{PeriodSummary, ValueSummary};
use crate::model::{catalog::series_type::SeriesType, consent_intervals::Interval};
use crate::web::chart::axis::{Scale, to_f64};
use crate::web::chart::frame::{Drawing, Frame, HEIGHT, polyline, rectangle, rows_of, titled, y};
use crate::web::chart::period::{Period, Window};
use crate::web::chart::words::{name_range, name_series, name_unit};
use crate::web::layout::Column::{Number, Text};
use crate::web::layout::{length, table_head};

/// Minimum, mean and maximum of an interval, in the displayed unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ValueRange {
    pub(crate) min: f64,
    pub(crate) mean: f64,
    pub(crate) max: f64,
}

/// The samples of one interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bucket {
    range: Interval,
    /// `None` without samples.
    value: Option<ValueSummary>,
    /// Set for blood pressure only; `value` is then the systolic pressure.
    diastolic: Option<ValueSummary>,
}

type Part = fn(&Bucket) -> Option<ValueSummary>;
const VALUE: Part = |bucket| bucket.value;
const DIASTOLIC: Part = |bucket| bucket.diastolic;

/// Merges the summaries of all streams, interval by interval.
pub(crate) fn buckets(intervals: &[Interval], parts: &[PeriodSummary]) -> Vec<Bucket> {
    let of_interval = |(place, range): (usize, &Interval)| {
        let here = || parts.iter().filter(|part| part.period == place);
        Bucket {
            range: *range,
            value: here().map(|part| part.value).reduce(merge),
            diastolic: here().filter_map(|part| part.diastolic).reduce(merge),
        }
    };
    intervals.iter().enumerate().map(of_interval).collect()
}

fn merge(one: ValueSummary, other: ValueSummary) -> ValueSummary {
    ValueSummary {
        samples: one.samples + other.samples,
        min: one.min.min(other.min),
        sum: one.sum + other.sum,
        max: one.max.max(other.max),
    }
}

/// Merges intervals into the longer ones that contain them.
fn merge_into(rows: &[Interval], buckets: &[Bucket]) -> Vec<Bucket> {
    let of_row = |range: &Interval| {
        let here =
            || buckets.iter().filter(|one| range.from <= one.range.from && one.range.from < range.until);
        Bucket {
            range: *range,
            value: here().filter_map(VALUE).reduce(merge),
            diastolic: here().filter_map(DIASTOLIC).reduce(merge),
        }
    };
    rows.iter().map(of_row).collect()
}

/// Returns the most values of one day if each value stands for a day. A night's value has the time at which the night
/// began: two may fall on one day and none on the next.
fn values_per_day(days: &[Bucket]) -> Option<i64> {
    let counts: Vec<i64> = days.iter().map(|day| day.value.map_or(0, |value| value.samples)).collect();
    let present = |count: &i64| *count > 0;
    let spanned = &counts[counts.iter().position(present)?..=counts.iter().rposition(present)?];
    let (most, all) = (spanned.iter().copied().max()?, spanned.iter().sum::<i64>());
    let is_of_nights = most == 2 && spanned.len() > 2 && all <= i64::try_from(spanned.len()).ok()? + 1;
    (most == 1 || is_of_nights).then_some(most)
}

/// Draws the chart and its table, or nothing without data.
pub(crate) fn draw(series: &SeriesType, window: &Window, buckets: &[Bucket]) -> Option<Drawing> {
    let per = series.display.per;
    let all = || buckets.iter().flat_map(|bucket| [bucket.value, bucket.diastolic]).flatten();
    let min = all().map(|value| value.min / per).reduce(f64::min)?;
    let max = all().map(|value| value.max / per).reduce(f64::max)?;
    let days: Vec<Interval> = window.days().into_iter().map(|day| day.range).collect();
    let days = merge_into(&days, buckets);
    let rows = merge_into(&window.rows(), buckets);
    let per_day = values_per_day(&days);
    let is_daily = per_day.is_some();
    let lines = if is_daily { &days } else { buckets };
    let has_diastolic = buckets.iter().any(|bucket| bucket.diastolic.is_some());
    let chart = RangeChart { series, window, scale: Scale::around(series, min, max), has_diastolic };
    let summary = chart.summary(buckets);
    let axis = window.axis();
    let last = lines.iter().rev().find(|bucket| bucket.value.is_some()).map(|bucket| bucket.range.until);
    let texts = window.texts;
    let frame = Frame {
        texts,
        unit: &name_unit(texts, series),
        rows: rows_of(chart.scale),
        axis: &axis,
        missing: window.missing_end(last),
        summary: &summary,
    };
    let parts: &[(Part, &str)] =
        if has_diastolic { &[(VALUE, "ln"), (DIASTOLIC, "ln below")] } else { &[(VALUE, "ln")] };
    let marks = html! {
        @for (part, look) in parts {
            @if is_daily { path class={ (look) " of-day" } d=(chart.bars(&frame, lines, *part)) {} }
            @else { (chart.line(&frame, lines, *part, look)) }
        }
        g.hv { @for row in rows.iter().filter(|row| row.value.is_some()) {
            (titled(&rectangle(frame.x(row.range.from), 0, frame.x(row.range.until), HEIGHT), &chart.title(row)))
        } }
    };
    let step = match window.period {
        Period::TwelveWeeks => texts.get("chart-a-day"),
        period => length(period.step()),
    };
    // Neighbours without a gap are joined by a line.
    let has_line = lines.windows(2).any(|pair| pair.iter().all(|bucket| bucket.value.is_some()));
    let caption = match (per_day, has_line, has_diastolic) {
        (Some(1), ..) => "chart-daily",
        (Some(_), ..) => "chart-daily-mean",
        (None, false, false) => "chart-dots",
        (None, false, true) => "chart-dots-pressure",
        (None, true, false) => "chart-line",
        (None, true, true) => "chart-line-pressure",
    };
    let caption = texts.get_with(caption, &[("step", step.into())]);
    Some(Drawing {
        title: name_series(texts, series),
        svg: frame.render(&marks),
        caption: html! { (caption) },
        table: chart.table(&rows),
    })
}

struct RangeChart<'a> {
    series: &'a SeriesType,
    window: &'a Window,
    scale: Scale,
    has_diastolic: bool,
}

impl RangeChart<'_> {
    fn range(&self, sum: ValueSummary) -> ValueRange {
        let per = self.series.display.per;
        ValueRange { min: sum.min / per, mean: sum.sum / to_f64(sum.samples) / per, max: sum.max / per }
    }

    /// Describes the chart in a sentence.
    fn summary(&self, buckets: &[Bucket]) -> String {
        let texts = self.window.texts;
        let samples: i64 = buckets.iter().filter_map(VALUE).map(|value| value.samples).sum();
        let range = |of: Part| {
            let all = self.range(buckets.iter().filter_map(of).reduce(merge)?);
            Some(match (self.scale.format_value(all.min), self.scale.format_value(all.max)) {
                (min, max) if min == max => min,
                (min, max) => name_range(texts, &min, &max),
            })
        };
        let values = match (range(VALUE), range(DIASTOLIC)) {
            (Some(systolic), Some(diastolic)) => texts.get_with(
                "chart-pressure",
                &[("systolic", systolic.into()), ("diastolic", diastolic.into())],
            ),
            (value, _) => value.unwrap_or_default(),
        };
        let samples = texts.get_with("chart-samples", &[("count", samples.into())]);
        let (name, unit) = (name_series(texts, self.series), name_unit(texts, self.series));
        format!("{name}, {}: {samples}, {values}\u{a0}{unit}.", self.window.title())
    }

    /// Renders the range as a band and the mean as a line. Both end at a gap: a line across it would show values that
    /// do not exist.
    fn line(&self, frame: &Frame<'_>, buckets: &[Bucket], of: Part, look: &str) -> Markup {
        let points: Vec<Option<(i32, ValueRange)>> = buckets
            .iter()
            .map(|bucket| Some((middle(frame, bucket.range), self.range(of(bucket)?))))
            .collect();
        let height = |value: f64| y(self.scale.share(value));
        let [mut band, mut line, mut alone, mut ranges] = [const { String::new() }; 4];
        for run in runs(&points) {
            if let [(x, range)] = run.as_slice() {
                let (low, high) = (height(range.min), height(range.max));
                if low > high {
                    let _ = write!(ranges, "M{x} {low}V{high}");
                }
                let _ = write!(alone, "M{x} {}h.1", height(range.mean));
                continue;
            }
            let top = run.iter().map(|(x, range)| (*x, height(range.max)));
            let bottom = run.iter().rev().map(|(x, range)| (*x, height(range.min)));
            band.push_str(&(polyline(top.chain(bottom)) + "z"));
            line.push_str(&polyline(run.iter().map(|(x, range)| (*x, height(range.mean)))));
        }
        let all: [(&str, String); 4] = [("area", band), ("rng", ranges), (look, line), ("dot", alone)];
        html! { @for (look, path) in all.iter().filter(|(_, path)| !path.is_empty()) { path class=(look) d=(path) {} } }
    }

    /// Returns a bar over each day, at the height of its value.
    fn bars(&self, frame: &Frame<'_>, days: &[Bucket], of: Part) -> String {
        let mut path = String::new();
        for day in days {
            let Some(value) = of(day) else { continue };
            let (from, until) = frame.bar(day.range);
            let height = y(self.scale.share(self.range(value).mean));
            let _ = write!(path, "M{from} {height}H{until}");
        }
        path
    }

    fn title(&self, row: &Bucket) -> String {
        let texts = self.window.texts;
        let (when, unit) = (self.window.row_label(row.range.from), name_unit(texts, self.series));
        let (mean, min, max) = self.cells(row);
        if row.value.is_some_and(|value| value.samples == 1) {
            return format!("{when}: {mean} {unit}");
        }
        let mean = texts.get_with("chart-mean", &[("value", format!("{mean} {unit}").into())]);
        format!("{when}: {mean}, {}", name_range(texts, &min, &max))
    }

    /// Formats mean, lowest and highest value; of blood pressure, each as `120/80`.
    fn cells(&self, row: &Bucket) -> (String, String, String) {
        let ranges = [row.value, row.diastolic].map(|value| value.map(|value| self.range(value)));
        let cell = |of: fn(ValueRange) -> f64| {
            let texts = ranges.iter().flatten().map(|range| self.scale.format_value(of(*range)));
            texts.collect::<Vec<_>>().join("/")
        };
        (cell(|range| range.mean), cell(|range| range.min), cell(|range| range.max))
    }

    fn table(&self, rows: &[Bucket]) -> Markup {
        let texts = self.window.texts;
        let first = if self.window.period == Period::Day { "chart-from" } else { "chart-day" };
        let [first, samples, mean, lowest, highest] =
            [first, "chart-sample-column", "chart-mean-column", "chart-lowest", "chart-highest"]
                .map(|key| texts.get(key));
        let parts = if self.has_diastolic { "chart-in-unit-pressure" } else { "chart-in-unit" };
        let parts = texts.get_with(parts, &[("unit", name_unit(texts, self.series).into())]);
        html! {
            caption { (name_series(texts, self.series)) ", " (parts) ", " (self.window.title()) }
            (table_head(&[Text(&first), Number(&samples), Number(&mean), Number(&lowest), Number(&highest)]))
            tbody { @for row in rows.iter() { @if let Some(value) = row.value {
                @let (mean, min, max) = self.cells(row);
                tr {
                    th { (self.window.row_label(row.range.from)) }
                    td { (value.samples) } td { (mean) } td { (min) } td { (max) }
                }
            } } }
        }
    }
}

fn middle(frame: &Frame<'_>, range: Interval) -> i32 {
    i32::midpoint(frame.x(range.from), frame.x(range.until))
}

/// Splits neighbours at gaps.
fn runs<T: Copy>(points: &[Option<T>]) -> Vec<Vec<T>> {
    let runs = points.split(Option::is_none).filter(|run| !run.is_empty());
    runs.map(|run| run.iter().copied().flatten().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::time::Timestamp;
    use crate::model::catalog::series;

    fn sum(samples: i64, value: f64) -> ValueSummary {
        ValueSummary { samples, min: value, sum: value * to_f64(samples), max: value }
    }

    fn week() -> Window {
        let now = Timestamp::parse("2026-11-21T12:00:00Z").unwrap();
        Window::new((Period::Week, None), &jiff::tz::TimeZone::UTC, now, crate::i18n::texts::Texts::ENGLISH)
    }

    fn drawn(parts: &[(usize, i64, f64)]) -> String {
        let window = week();
        let part = |&(period, samples, value): &(usize, i64, f64)| PeriodSummary {
            stream: 1,
            period,
            value: sum(samples, value),
            diastolic: None,
        };
        let parts: Vec<PeriodSummary> = parts.iter().map(part).collect();
        let buckets = buckets(&window.cut(window.period.step()), &parts);
        draw(series::find("heart_rate").unwrap(), &window, &buckets).unwrap().svg.into_string()
    }

    #[test]
    fn a_gap_is_not_drawn_over() {
        assert_eq!(runs(&[Some(1), Some(2), None, Some(4), None]), [vec![1, 2], vec![4]]);
        let svg = drawn(&[(0, 9, 60.0), (1, 9, 70.0), (3, 9, 60.0), (4, 9, 70.0), (9, 9, 60.0)]);
        let line = svg.split("<path class=\"ln\" d=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(line.matches('M').count(), 2, "two runs: {line}");
        assert!(svg.contains("<path class=\"dot\""), "the third is alone: {svg}");
        assert!(svg.contains("no data"), "six days are missing: {svg}");
    }

    #[test]
    fn one_value_a_day_is_a_bar_of_its_day() {
        let daily = drawn(&[(3, 1, 60.0), (15, 1, 61.0)]);
        assert!(daily.contains("ln of-day\" d=\"M17 ") && !daily.contains("class=\"dot\""), "{daily}");
        assert!(daily.contains("<title>Sun 15 Nov: 60 bpm</title>"), "{daily}");
        assert!(!drawn(&[(3, 1, 60.0), (4, 1, 61.0)]).contains("of-day"), "two on one day");
        let nights = drawn(&[(0, 1, 60.0), (11, 1, 62.0), (25, 1, 61.0), (35, 1, 60.0)]);
        assert!(
            nights.contains("of-day"),
            "a night that began before midnight, and the next one after: {nights}"
        );
    }
}
