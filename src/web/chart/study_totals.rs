//! What the last day or week came to, of all patients together: samples, how late they were, what went wrong, and what
//! was exported. From counters alone, in UTC: the daemon lives in no time zone.

use jiff::tz::TimeZone;
use maud::{Markup, html};
use rusqlite::Connection;

use crate::common::time::Timestamp;
use crate::model::error_kind::ErrorKind;
use crate::store::error::StoreError;
use crate::store::operations::hourly_counters;
use crate::store::operations::hourly_counters::Totals;
use crate::web::chart::axis::{float, point, top};
use crate::web::layout::{count, format_local};

/// Size of a drawing in its own units: two stand side by side on a desk, and one fills a phone.
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 168.0;
/// Room for the numbers at the left and the times below.
const LEFT: f64 = 64.0;
const BOTTOM: f64 = 26.0;
const TOP: f64 = 16.0;
/// What a time takes up below, where letters are largest.
const LABEL: f64 = 56.0;
/// Lines of the scale above nothing.
const LINES: u32 = 2;
/// The part of a slot that a bar fills.
const FILLED: f64 = 0.8;
/// How the parts of a bar are told apart, the lowest first.
const LOOKS: [&str; 3] = ["full", "pale", "hollow"];
const HOUR_MICROS: i64 = 3_600_000_000;

/// How much time is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span {
    Day,
    Week,
}

impl Span {
    const ALL: &[Self] = &[Self::Day, Self::Week];

    pub(crate) fn parse(text: &str) -> Self {
        if text == Self::Week.as_str() { Self::Week } else { Self::Day }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Day => "the last 24 hours",
            Self::Week => "the last 7 days",
        }
    }

    /// Slots, and the hours of each.
    fn cut(self) -> (usize, i64) {
        match self {
            Self::Day => (24, 1),
            Self::Week => (28, 6),
        }
    }

    /// How many hours lie between two times that are written below, and how they are.
    fn label(self) -> (i64, &'static str) {
        match self {
            Self::Day => (4, "%H:%M"),
            Self::Week => (24, "%a"),
        }
    }
}

/// The figures of each slot, the oldest first.
pub(crate) struct Activity {
    span: Span,
    slots: Vec<Slot>,
}

#[derive(Default)]
struct Slot {
    /// The hour it begins with.
    hour: i64,
    totals: Totals,
    errors: Vec<(ErrorKind, i64)>,
}

impl Activity {
    pub(crate) fn load(db: &Connection, span: Span, now: Timestamp) -> Result<Self, StoreError> {
        let (count, hours) = span.cut();
        // Slots of several hours begin where those of a day do.
        let last = now.hour().div_euclid(hours) * hours;
        let first = last - (i64::try_from(count).unwrap_or(0) - 1) * hours;
        let mut slots: Vec<Slot> =
            (first..=last).step_by(usize::try_from(hours).unwrap_or(1)).map(Slot::of).collect();
        let place = |hour: i64| usize::try_from((hour - first).div_euclid(hours)).ok();
        for (hour, totals) in hourly_counters::list_since(db, first)? {
            if let Some(slot) = place(hour).and_then(|place| slots.get_mut(place)) {
                slot.totals += totals;
            }
        }
        for (hour, kind, errors) in hourly_counters::list_errors_since(db, first)? {
            let Some(slot) = place(hour).and_then(|place| slots.get_mut(place)) else { continue };
            match slot.errors.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, sum)) => *sum += errors,
                None => slot.errors.push((kind, errors)),
            }
        }
        Ok(Self { span, slots })
    }

    /// All of it, with the switch between day and week.
    pub(crate) fn section(&self, is_exporting: bool) -> Markup {
        html! {
            section #activity aria-labelledby="activity-title" {
                div.heading {
                    h2 #activity-title { "What happened in " (self.span.title()) }
                    nav.tabs aria-label="Period" {
                        ul { @for &one in Span::ALL {
                            li { a href={ "/admin?period=" (one.as_str()) "#activity" }
                                aria-current=[(one == self.span).then_some("true")] { (one.as_str()) } }
                        } }
                    }
                }
                p.fine { "Of all patients together; times are UTC." }
                div.pair {
                    (self.samples())
                    (self.lag())
                    (self.errors())
                    @if is_exporting { (self.export()) }
                }
            }
        }
    }

    fn samples(&self) -> Markup {
        let of = |totals: &Totals| vec![totals.created, totals.revised, totals.rejected];
        let sums = self.sum(of);
        self.chart(&Chart {
            title: "Samples",
            parts: &["new", "revised", "rejected"],
            unit: "",
            values: self.values(of),
            summary: told(&sums, &["new", "revised", "rejected"]),
        })
    }

    fn lag(&self) -> Markup {
        let mut all = Totals::default();
        self.slots.iter().for_each(|slot| all += slot.totals);
        let minutes = |seconds: i64| seconds / 60;
        let summary = match all.lag.mean() {
            Some(mean) => {
                format!("{} minutes on average, {} at most.", minutes(mean), minutes(all.lag.max_seconds))
            }
            None => "No new samples.".to_owned(),
        };
        self.chart(&Chart {
            title: "Minutes from measurement to here",
            parts: &["minutes, on average"],
            unit: " min",
            values: self.values(|totals| vec![minutes(totals.lag.mean().unwrap_or(0))]),
            summary,
        })
    }

    fn errors(&self) -> Markup {
        let mut kinds: Vec<(ErrorKind, i64)> = Vec::new();
        for &kind in ErrorKind::ALL {
            let sum = self.slots.iter().map(|slot| slot.of_kind(kind)).sum();
            if sum > 0 {
                kinds.push((kind, sum));
            }
        }
        let ticks = self.sum(|totals| vec![totals.ticks, totals.ticks_partial, totals.ticks_failed]);
        let named: Vec<String> =
            kinds.iter().map(|(kind, sum)| format!("{} ({sum})", kind.label())).collect();
        let errors = if named.is_empty() { "No errors".to_owned() } else { named.join(", ") };
        let parts = ["errors"];
        self.chart(&Chart {
            title: "Errors",
            parts: &parts,
            unit: "",
            values: self
                .slots
                .iter()
                .map(|slot| vec![slot.errors.iter().map(|(_, sum)| sum).sum()])
                .collect(),
            summary: format!(
                "{errors}. Ticks: {}; {} left patients out, and {} did not run to their end.",
                ticks[0], ticks[1], ticks[2]
            ),
        })
    }

    fn export(&self) -> Markup {
        let of = |totals: &Totals| vec![totals.delivered, totals.parked, totals.dead];
        let sums = self.sum(of);
        self.chart(&Chart {
            title: "Export to JHE",
            parts: &["delivered", "parked", "refused"],
            unit: "",
            values: self.values(of),
            summary: told(&sums, &["delivered", "parked", "refused"]),
        })
    }

    fn values(&self, of: impl Fn(&Totals) -> Vec<i64>) -> Vec<Vec<i64>> {
        self.slots.iter().map(|slot| of(&slot.totals)).collect()
    }

    fn sum(&self, of: impl Fn(&Totals) -> Vec<i64>) -> Vec<i64> {
        let mut all = Totals::default();
        self.slots.iter().for_each(|slot| all += slot.totals);
        of(&all)
    }

    fn chart(&self, chart: &Chart<'_>) -> Markup {
        let sum = |values: &Vec<i64>| values.iter().sum::<i64>();
        let most = top(float(chart.values.iter().map(sum).max().unwrap_or(0).max(i64::from(LINES))), LINES);
        let width = (WIDTH - LEFT) / float(self.slots.len());
        let y = |value: f64| TOP + (most - value) / most * (HEIGHT - TOP - BOTTOM);
        let lines = (0..=LINES).map(|step| most * f64::from(step) / f64::from(LINES));
        let words = format!("{}, {}: {}", chart.title, self.span.title(), chart.summary);
        let (every, label) = self.span.label();
        let left = |place: usize| LEFT + width * float(place);
        let times = self
            .slots
            .iter()
            .enumerate()
            .filter(|(place, slot)| slot.hour.rem_euclid(every) == 0 && left(*place) + LABEL <= WIDTH);
        html! {
            figure {
                h3 { (chart.title) }
                svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(words) {
                    @for value in lines {
                        line.grid x1=(LEFT) x2=(WIDTH) y1=(point(y(value))) y2=(point(y(value))) {}
                        text.axis x=(LEFT - 6.0) y=(point(y(value) + 4.0)) text-anchor="end" { (short(value)) }
                    }
                    @for (place, slot) in times {
                        text.axis x=(point(left(place))) y=(HEIGHT - 7.0) { (written(slot.hour, label)) }
                    }
                    @for (place, values) in chart.values.iter().enumerate() {
                        (bar(left(place), width, values, &y))
                    }
                }
                figcaption { (chart.summary) (legend(chart.parts)) }
                (self.table(chart))
            }
        }
    }

    fn table(&self, chart: &Chart<'_>) -> Markup {
        let full =
            || self.slots.iter().zip(&chart.values).filter(|(_, values)| values.iter().any(|one| *one > 0));
        html! {
            details {
                summary { "The same as a table" span.hidden { ": " (chart.title) } }
                @if full().next().is_none() { p.fine { "There is nothing to show." } } @else {
                    table {
                        caption { (chart.title) ", " (self.span.title()) }
                        thead { tr {
                            th scope="col" { "From (UTC)" }
                            @for part in chart.parts { th.number scope="col" { (part) } }
                        } }
                        tbody { @for (slot, values) in full() { tr {
                            th scope="row" data-label="From (UTC)" { (written(slot.hour, "%a %H:%M")) }
                            @for (part, value) in chart.parts.iter().zip(values) {
                                td.number data-label=(part) { (count(*value)) (chart.unit) }
                            }
                        } } }
                    }
                }
            }
        }
    }
}

struct Chart<'a> {
    title: &'a str,
    /// What each part of a bar is, the lowest first.
    parts: &'a [&'a str],
    /// What stands behind each number of the table.
    unit: &'a str,
    /// The parts of each slot.
    values: Vec<Vec<i64>>,
    /// What it says, in a sentence.
    summary: String,
}

impl Slot {
    fn of(hour: i64) -> Self {
        Self { hour, ..Self::default() }
    }

    fn of_kind(&self, kind: ErrorKind) -> i64 {
        self.errors.iter().filter(|(known, _)| *known == kind).map(|(_, sum)| sum).sum()
    }
}

/// The parts of a bar, each on top of the one before.
fn bar(left: f64, width: f64, values: &[i64], y: &dyn Fn(f64) -> f64) -> Markup {
    let mut below = 0.0;
    let parts: Vec<(&str, f64, f64)> = values
        .iter()
        .zip(LOOKS)
        .map(|(value, look)| {
            let (low, high) = (y(below), y(below + float((*value).max(0))));
            below += float((*value).max(0));
            (look, high, low - high)
        })
        .collect();
    html! {
        @for (look, top, height) in parts.into_iter().filter(|(_, _, height)| *height > 0.0) {
            rect class={ "bar " (look) } x=(point(left + width * (1.0 - FILLED) / 2.0)) y=(point(top))
                width=(point(width * FILLED)) height=(point(height.max(1.0))) {}
        }
    }
}

fn legend(parts: &[&str]) -> Markup {
    html! {
        @if parts.len() > 1 {
            span.legend aria-hidden="true" {
                @for (part, look) in parts.iter().zip(LOOKS) {
                    " " span { svg.key viewBox="0 0 12 12" { rect class={ "bar " (look) } x="1" y="1" width="10" height="10" {} } "\u{a0}" (part) }
                }
            }
        }
    }
}

fn written(hour: i64, format: &str) -> String {
    format_local(&TimeZone::UTC, Timestamp::from_micros(hour.saturating_mul(HOUR_MICROS)), format)
}

/// How much of each part there is, in a sentence.
fn told(sums: &[i64], parts: &[&str]) -> String {
    let each = sums.iter().zip(parts).map(|(sum, part)| format!("{} {part}", count(*sum).into_string()));
    format!("{}.", each.collect::<Vec<_>>().join(", "))
}

/// A number of the scale: thousands and millions are short, so that they fit there.
fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", value / 1e6),
        value if value >= 1e4 => format!("{}k", value / 1e3),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::open::in_memory;

    #[test]
    fn an_hour_counts_for_the_slot_it_lies_in_and_older_ones_for_none() {
        let db = in_memory();
        let now = Timestamp::parse("2026-11-21T13:10:00Z").unwrap();
        let one = Totals { created: 1, ..Totals::default() };
        for hours in [0, 1, 7 * 24, 8 * 24] {
            let then = now.minus(std::time::Duration::from_hours(hours));
            hourly_counters::add(&db, then, &one).unwrap();
            hourly_counters::record_error(&db, then, ErrorKind::Jhe).unwrap();
        }
        let of = |span| {
            let activity = Activity::load(&db, span, now).unwrap();
            let full = activity.slots.iter().enumerate().filter(|(_, slot)| slot.totals.created > 0);
            (
                activity.slots.len(),
                full.map(|(place, slot)| (place, slot.totals.created, slot.of_kind(ErrorKind::Jhe)))
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(of(Span::Day), (24, vec![(22, 1, 1), (23, 1, 1)]));
        assert_eq!(
            of(Span::Week),
            (28, vec![(27, 2, 2)]),
            "noon to six: one slot; a week ago is the one before the first"
        );
        let page = Activity::load(&db, Span::Day, now).unwrap().section(false).into_string();
        assert!(page.contains("Samples, the last 24 hours: 2 new, 0 revised, 0 rejected."), "{page}");
        assert!(!page.contains("Export to JHE"), "{page}");
    }
}
