//! Charts of the last day or week over all patients: samples, delay, errors and deliveries. They read hourly counters
//! only, and use UTC because patients live in different time zones.

use jiff::tz::TimeZone;
use maud::{Markup, html};
use rusqlite::Connection;

use crate::common::time::Timestamp;
use crate::model::error_kind::ErrorKind;
use crate::store::error::StoreError;
use crate::store::operations::hourly_counters::{self, Totals};
use crate::web::chart::axis::{format_coordinate, round_up_scale, to_f64};
use crate::web::layout::{count, format_local};

/// Size of a chart in its own units: two fit beside each other on a desktop, one fills a phone.
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 168.0;
/// Space for the value labels on the left and the time labels at the bottom.
const LEFT: f64 = 64.0;
const BOTTOM: f64 = 26.0;
const TOP: f64 = 16.0;
/// Width of a time label on a phone, where letters are largest.
const LABEL: f64 = 56.0;
/// Grid lines above zero.
const LINES: u32 = 2;
/// Share of a column that a bar fills.
const FILLED: f64 = 0.8;
/// CSS classes of the parts of a bar, the lowest first.
const BAR_STYLES: [&str; 3] = ["full", "pale", "hollow"];
const HOUR_MICROS: i64 = 3_600_000_000;

/// A period that ends now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ActivityPeriod {
    Day,
    Week,
}

impl ActivityPeriod {
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

    /// Number of slots, and the hours of each.
    fn slots(self) -> (usize, i64) {
        match self {
            Self::Day => (24, 1),
            Self::Week => (28, 6),
        }
    }

    /// Hours between two time labels, and their format.
    fn label(self) -> (i64, &'static str) {
        match self {
            Self::Day => (4, "%H:%M"),
            Self::Week => (24, "%a"),
        }
    }
}

/// The totals of each slot, the oldest first.
pub(crate) struct Activity {
    period: ActivityPeriod,
    slots: Vec<Slot>,
}

#[derive(Default)]
struct Slot {
    /// First hour, counted from the Unix epoch.
    hour: i64,
    totals: Totals,
    errors: Vec<(ErrorKind, i64)>,
}

impl Activity {
    pub(crate) fn load(db: &Connection, period: ActivityPeriod, now: Timestamp) -> Result<Self, StoreError> {
        let (count, hours) = period.slots();
        // Aligns the slots with midnight UTC, so that they do not shift from hour to hour.
        let last = now.hour().div_euclid(hours) * hours;
        let first = last - (i64::try_from(count).unwrap_or(0) - 1) * hours;
        let mut slots: Vec<Slot> =
            (first..=last).step_by(usize::try_from(hours).unwrap_or(1)).map(Slot::starting_at).collect();
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
        Ok(Self { period, slots })
    }

    /// Renders all charts below the links to the other period.
    pub(crate) fn render(&self, is_exporting: bool) -> Markup {
        html! {
            section #activity aria-labelledby="activity-title" {
                div.heading {
                    h2 #activity-title { "What happened in " (self.period.title()) }
                    nav.chips aria-label="Period" {
                        ul { @for &one in ActivityPeriod::ALL {
                            li { a href={ "/admin/system?period=" (one.as_str()) "#activity" }
                                aria-current=[(one == self.period).then_some("true")] { (one.as_str()) } }
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
        self.chart(&ActivityChart {
            title: "Samples",
            parts: &["new", "revised", "rejected"],
            unit: "",
            values: self.values(of),
            summary: describe_parts(&sums, &["new", "revised", "rejected"]),
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
        self.chart(&ActivityChart {
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
            let sum = self.slots.iter().map(|slot| slot.errors_of_kind(kind)).sum();
            if sum > 0 {
                kinds.push((kind, sum));
            }
        }
        let ticks = self.sum(|totals| vec![totals.ticks, totals.ticks_partial, totals.ticks_failed]);
        let named: Vec<String> =
            kinds.iter().map(|(kind, sum)| format!("{} ({sum})", kind.label())).collect();
        let errors = if named.is_empty() { "No errors".to_owned() } else { named.join(", ") };
        let parts = ["errors"];
        self.chart(&ActivityChart {
            title: "Errors",
            parts: &parts,
            unit: "",
            values: self
                .slots
                .iter()
                .map(|slot| vec![slot.errors.iter().map(|(_, sum)| sum).sum()])
                .collect(),
            summary: format!(
                "{errors}. Syncs: {}; {} left patients out, and {} did not finish.",
                ticks[0], ticks[1], ticks[2]
            ),
        })
    }

    fn export(&self) -> Markup {
        let of = |totals: &Totals| vec![totals.delivered, totals.parked, totals.dead];
        let sums = self.sum(of);
        self.chart(&ActivityChart {
            title: "Export to JHE",
            parts: &["delivered", "parked", "refused"],
            unit: "",
            values: self.values(of),
            summary: describe_parts(&sums, &["delivered", "parked", "refused"]),
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

    fn chart(&self, chart: &ActivityChart<'_>) -> Markup {
        let sum = |values: &Vec<i64>| values.iter().sum::<i64>();
        let most = round_up_scale(
            to_f64(chart.values.iter().map(sum).max().unwrap_or(0).max(i64::from(LINES))),
            LINES,
        );
        let width = (WIDTH - LEFT) / to_f64(self.slots.len());
        let y = |value: f64| TOP + (most - value) / most * (HEIGHT - TOP - BOTTOM);
        let lines = (0..=LINES).map(|step| most * f64::from(step) / f64::from(LINES));
        let description = format!("{}, {}: {}", chart.title, self.period.title(), chart.summary);
        let (every, label) = self.period.label();
        let left = |place: usize| LEFT + width * to_f64(place);
        let times = self
            .slots
            .iter()
            .enumerate()
            .filter(|(place, slot)| slot.hour.rem_euclid(every) == 0 && left(*place) + LABEL <= WIDTH);
        html! {
            figure {
                h3 { (chart.title) }
                svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(description) {
                    @for value in lines {
                        line.grid x1=(LEFT) x2=(WIDTH) y1=(format_coordinate(y(value))) y2=(format_coordinate(y(value))) {}
                        text.axis x=(LEFT - 6.0) y=(format_coordinate(y(value) + 4.0)) text-anchor="end" { (shorten_number(value)) }
                    }
                    @for (place, slot) in times {
                        text.axis x=(format_coordinate(left(place))) y=(HEIGHT - 7.0) { (format_hour(slot.hour, label)) }
                    }
                    @for (place, values) in chart.values.iter().enumerate() {
                        (render_bar(left(place), width, values, &y))
                    }
                }
                figcaption { (chart.summary) (render_legend(chart.parts)) }
                (self.table(chart))
            }
        }
    }

    fn table(&self, chart: &ActivityChart<'_>) -> Markup {
        let full =
            || self.slots.iter().zip(&chart.values).filter(|(_, values)| values.iter().any(|one| *one > 0));
        html! {
            details {
                summary { "Show as a table" span.hidden { ": " (chart.title) } }
                @if full().next().is_none() { p.fine { "There is nothing to show." } } @else {
                    table {
                        caption { (chart.title) ", " (self.period.title()) }
                        thead { tr {
                            th scope="col" { "From (UTC)" }
                            @for part in chart.parts { th.number scope="col" { (part) } }
                        } }
                        tbody { @for (slot, values) in full() { tr {
                            th scope="row" data-label="From (UTC)" { (format_hour(slot.hour, "%a %H:%M")) }
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

struct ActivityChart<'a> {
    title: &'a str,
    /// Names of the parts of a bar, the lowest first.
    parts: &'a [&'a str],
    /// Suffix of each number in the table.
    unit: &'a str,
    /// Per slot, one value per part.
    values: Vec<Vec<i64>>,
    /// Describes the chart in a sentence.
    summary: String,
}

impl Slot {
    fn starting_at(hour: i64) -> Self {
        Self { hour, ..Self::default() }
    }

    fn errors_of_kind(&self, kind: ErrorKind) -> i64 {
        self.errors.iter().filter(|(known, _)| *known == kind).map(|(_, sum)| sum).sum()
    }
}

/// Renders a bar; each part is stacked on the one before.
fn render_bar(left: f64, width: f64, values: &[i64], y: &dyn Fn(f64) -> f64) -> Markup {
    let mut below = 0.0;
    let parts: Vec<(&str, f64, f64)> = values
        .iter()
        .zip(BAR_STYLES)
        .map(|(value, look)| {
            let (low, high) = (y(below), y(below + to_f64((*value).max(0))));
            below += to_f64((*value).max(0));
            (look, high, low - high)
        })
        .collect();
    html! {
        @for (look, top, height) in parts.into_iter().filter(|(_, _, height)| *height > 0.0) {
            rect class={ "bar " (look) } x=(format_coordinate(left + width * (1.0 - FILLED) / 2.0)) y=(format_coordinate(top))
                width=(format_coordinate(width * FILLED)) height=(format_coordinate(height.max(1.0))) {}
        }
    }
}

fn render_legend(parts: &[&str]) -> Markup {
    html! {
        @if parts.len() > 1 {
            span.legend aria-hidden="true" {
                @for (part, look) in parts.iter().zip(BAR_STYLES) {
                    " " span { svg.key viewBox="0 0 12 12" { rect class={ "bar " (look) } x="1" y="1" width="10" height="10" {} } "\u{a0}" (part) }
                }
            }
        }
    }
}

fn format_hour(hour: i64, format: &str) -> String {
    format_local(&TimeZone::UTC, Timestamp::from_micros(hour.saturating_mul(HOUR_MICROS)), format)
}

/// Lists the sum of each part in a sentence.
fn describe_parts(sums: &[i64], parts: &[&str]) -> String {
    let each = sums.iter().zip(parts).map(|(sum, part)| format!("{} {part}", count(*sum).into_string()));
    format!("{}.", each.collect::<Vec<_>>().join(", "))
}

/// Formats an axis label; thousands and millions are shortened to fit.
fn shorten_number(value: f64) -> String {
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
        let of = |period| {
            let activity = Activity::load(&db, period, now).unwrap();
            let full = activity.slots.iter().enumerate().filter(|(_, slot)| slot.totals.created > 0);
            (
                activity.slots.len(),
                full.map(|(place, slot)| (place, slot.totals.created, slot.errors_of_kind(ErrorKind::Jhe)))
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(of(ActivityPeriod::Day), (24, vec![(22, 1, 1), (23, 1, 1)]));
        assert_eq!(
            of(ActivityPeriod::Week),
            (28, vec![(27, 2, 2)]),
            "noon to six: one slot; a week ago is the one before the first"
        );
        let page = Activity::load(&db, ActivityPeriod::Day, now).unwrap().render(false).into_string();
        assert!(page.contains("Samples, the last 24 hours: 2 new, 0 revised, 0 rejected."), "{page}");
        assert!(!page.contains("Export to JHE"), "{page}");
    }
}
