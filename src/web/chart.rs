//! A patient's heart rate over a day, a week or a month: a drawing, and its twin as a table.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use jiff::{ToSpan, ZonedDateTime};
use maud::{Markup, html};

use super::layout::{format_local, local_text};
use crate::intervals::Interval;
use crate::store::chart::Bucket;
use crate::time::Timestamp;

/// Size of the drawing in its own units; it scales to the width of the page.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 240.0;
/// Room for the numbers at the left and the times below.
const LEFT: f64 = 52.0;
const BOTTOM: f64 = 28.0;
const TOP: f64 = 18.0;
/// Heart rates that the drawing covers at least, so that a calm night is no mountain range.
const SPAN: f64 = 40.0;

/// How much time a chart covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Period {
    Day,
    Week,
    Month,
}

impl Period {
    pub(super) const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    pub(super) fn parse(text: &str) -> Self {
        Self::ALL.into_iter().find(|period| period.as_str() == text).unwrap_or(Self::Day)
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The stretches of time that are summed up, ending now, cut where the patient lives: half hours of a
    /// day, six hours of a week, days of a month.
    pub(super) fn stretches(self, zone: &TimeZone, now: Timestamp) -> Vec<Interval> {
        let Ok(now) = jiff::Timestamp::from_microsecond(now.micros()) else { return Vec::new() };
        let now = now.to_zoned_datetime(zone.clone());
        let (count, step) = match self {
            Self::Day => (48, 30.minutes()),
            Self::Week => (28, 6.hours()),
            Self::Month => (30, 1.day()),
        };
        let end = match self {
            Self::Day => next(&now, 30),
            Self::Week => next(&now, 360),
            Self::Month => next(&now, 1440),
        };
        let mut stretches = Vec::with_capacity(count);
        let mut until = end;
        for _ in 0..count {
            let Ok(from) = until.checked_sub(step) else { break };
            stretches.push(Interval { from: stamp(&from), until: stamp(&until) });
            until = from;
        }
        stretches.reverse();
        stretches
    }

    fn label(self) -> &'static str {
        match self {
            Self::Day => "%H:%M",
            Self::Week => "%a %H:%M",
            Self::Month => "%-d %b",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Day => "the last 24 hours",
            Self::Week => "the last 7 days",
            Self::Month => "the last 30 days",
        }
    }
}

fn stamp(at: &ZonedDateTime) -> Timestamp {
    Timestamp::from_micros(at.timestamp().as_microsecond())
}

/// The next local time that is a multiple of so many minutes after midnight.
fn next(now: &ZonedDateTime, minutes: i64) -> ZonedDateTime {
    let Ok(midnight) = now.start_of_day() else { return now.clone() };
    if minutes == 1440 {
        return midnight.tomorrow().unwrap_or(midnight);
    }
    let passed = (i64::from(now.hour()) * 60 + i64::from(now.minute())) / minutes + 1;
    let wall = midnight.datetime().checked_add((passed * minutes).minutes());
    wall.and_then(|wall| wall.to_zoned_datetime(now.time_zone().clone())).unwrap_or_else(|_| now.clone())
}

/// The chart with its switch between periods; `href` is the page it stands on, with the parameter's name.
pub(super) fn chart(period: Period, zone: &TimeZone, buckets: &[Bucket], href: &str) -> Markup {
    let full: Vec<&Bucket> = buckets.iter().filter(|bucket| bucket.samples > 0).collect();
    html! {
        nav.tabs aria-label="Period" {
            ul { @for one in Period::ALL {
                li { a href={ (href) (one.as_str()) "#chart" } aria-current=[(one == period).then_some("true")] {
                    (one.as_str())
                } }
            } }
        }
        div #chart {
            @if full.is_empty() {
                p.empty { "No heart rate in " (period.title()) "." }
            } @else {
                (drawing(period, zone, buckets, &full))
                (table(period, zone, &full))
            }
        }
    }
}

fn drawing(period: Period, zone: &TimeZone, buckets: &[Bucket], full: &[&Bucket]) -> Markup {
    let (low, high) = scale(full);
    let y = |value: f64| TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM);
    let slot = (WIDTH - LEFT) / float(buckets.len());
    let x = |place: usize| LEFT + slot * (float(place) + 0.5);
    let lines: Vec<f64> = (0..=4).map(|step| low + (high - low) * f64::from(step) / 4.0).collect();
    let every = buckets.len().div_ceil(6);
    let summary = summary(full, period);
    html! {
        figure {
            svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(summary) {
                @for value in &lines {
                    line.grid x1=(LEFT) x2=(WIDTH) y1=(point(y(*value))) y2=(point(y(*value))) {}
                    text.axis x=(LEFT - 6.0) y=(point(y(*value) + 4.0)) text-anchor="end" { (format!("{value:.0}")) }
                }
                @for (place, bucket) in buckets.iter().enumerate().step_by(every) {
                    text.axis x=(point(LEFT + slot * float(place))) y=(HEIGHT - 8.0) {
                        (format_local(zone, bucket.range.from, period.label()))
                    }
                }
                @for (place, bucket) in buckets.iter().enumerate().filter(|(_, bucket)| bucket.samples > 0) {
                    line.range x1=(point(x(place))) x2=(point(x(place)))
                        y1=(point(y(bucket.most) - 1.0)) y2=(point(y(bucket.least) + 1.0)) {}
                }
                @for run in runs(buckets) {
                    polyline.mean points=(points(&run, buckets, &x, &y)) {}
                }
                @for (place, bucket) in buckets.iter().enumerate().filter(|(_, bucket)| bucket.samples > 0) {
                    circle.mean cx=(point(x(place))) cy=(point(y(bucket.mean))) r="2" {}
                }
            }
            figcaption { (summary) " Line: mean; bars: lowest to highest." }
        }
    }
}

/// The values that the drawing covers: round numbers around all of them.
fn scale(full: &[&Bucket]) -> (f64, f64) {
    let low = full.iter().map(|bucket| bucket.least).fold(f64::INFINITY, f64::min);
    let high = full.iter().map(|bucket| bucket.most).fold(f64::NEG_INFINITY, f64::max);
    let low = (low / 20.0).floor() * 20.0;
    (low, ((high / 20.0).ceil() * 20.0).max(low + SPAN))
}

fn summary(full: &[&Bucket], period: Period) -> String {
    let samples: i64 = full.iter().map(|bucket| bucket.samples).sum();
    let low = full.iter().map(|bucket| bucket.least).fold(f64::INFINITY, f64::min);
    let high = full.iter().map(|bucket| bucket.most).fold(f64::NEG_INFINITY, f64::max);
    format!("Heart rate of {}: {samples} samples, {low:.0} to {high:.0} beats/min.", period.title())
}

/// Stretches without a gap: a line across a gap would be invented.
fn runs(buckets: &[Bucket]) -> Vec<Vec<usize>> {
    let mut runs: Vec<Vec<usize>> = Vec::new();
    for (place, _) in buckets.iter().enumerate().filter(|(_, bucket)| bucket.samples > 0) {
        match runs.last_mut() {
            Some(run) if run.last() == Some(&(place.wrapping_sub(1))) => run.push(place),
            _ => runs.push(vec![place]),
        }
    }
    runs
}

fn points(run: &[usize], buckets: &[Bucket], x: &impl Fn(usize) -> f64, y: &impl Fn(f64) -> f64) -> String {
    run.iter().fold(String::new(), |mut text, &place| {
        let _ = write!(text, "{},{} ", point(x(place)), point(y(buckets[place].mean)));
        text
    })
}

/// A count as a length; none that is drawn comes near the limit.
fn float(count: impl TryInto<u32>) -> f64 {
    f64::from(count.try_into().unwrap_or(u32::MAX))
}

/// A coordinate with as many digits as anybody can see.
fn point(value: f64) -> String {
    format!("{value:.1}")
}

fn table(period: Period, zone: &TimeZone, full: &[&Bucket]) -> Markup {
    html! {
        details {
            summary { "The same as a table" }
            table {
                caption { "Heart rate in beats/min, " (period.title()) }
                thead { tr {
                    th scope="col" { "From" }
                    th.number scope="col" { "Samples" }
                    th.number scope="col" { "Lowest" }
                    th.number scope="col" { "Mean" }
                    th.number scope="col" { "Highest" }
                } }
                tbody { @for bucket in full { tr {
                    th scope="row" data-label="From" { (local_text(zone, bucket.range.from)) }
                    td.number data-label="Samples" { (bucket.samples) }
                    td.number data-label="Lowest" { (format!("{:.0}", bucket.least)) }
                    td.number data-label="Mean" { (format!("{:.0}", bucket.mean)) }
                    td.number data-label="Highest" { (format!("{:.0}", bucket.most)) }
                } } }
            }
        }
    }
}

/// Samples per hour as small bars: whether data arrive can be seen at a glance.
pub(super) fn sparkline(hours: &[i64]) -> Markup {
    let most = float(hours.iter().copied().max().unwrap_or(0).max(1));
    let empty = hours.iter().rev().take_while(|&&samples| samples == 0).count();
    let words = match empty {
        0 => "samples in the last hour".to_owned(),
        _ if empty == hours.len() => format!("no samples in {empty} hours"),
        _ => format!("no samples for {empty} hours"),
    };
    html! {
        svg.spark viewBox={ "0 0 " (hours.len() * 4) " 20" } role="img" aria-label=(words) {
            line.grid x1="0" x2=(hours.len() * 4) y1="19.5" y2="19.5" {}
            @for (place, &samples) in hours.iter().enumerate().filter(|(_, samples)| **samples > 0) {
                @let height = (float(samples) / most * 18.0).max(2.0);
                rect x=(place * 4) y=(point(19.0 - height)) width="3" height=(point(height)) {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn a_period_is_cut_where_the_patient_lives() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let month = Period::Month.stretches(&berlin, at("2026-11-21T12:00:00Z"));
        assert_eq!(month.len(), 30);
        assert_eq!(month[29].from, at("2026-11-20T23:00:00Z"), "midnight in Berlin");
        assert_eq!(month[0].from, at("2026-10-22T22:00:00Z"), "in October it is two hours ahead");
        let day = Period::Day.stretches(&berlin, at("2026-11-21T12:10:00Z"));
        assert_eq!((day.len(), day[47].until), (48, at("2026-11-21T12:30:00Z")));
        assert!(day.windows(2).all(|pair| pair[0].until == pair[1].from));
    }

    #[test]
    fn a_gap_is_not_drawn_over() {
        let bucket = |samples| Bucket {
            range: Interval { from: at("2026-11-21T12:00:00Z"), until: at("2026-11-21T12:30:00Z") },
            samples,
            least: 50.0,
            mean: 60.0,
            most: 70.0,
        };
        assert_eq!(runs(&[bucket(1), bucket(1), bucket(0), bucket(1)]), [vec![0, 1], vec![3]]);
    }
}
