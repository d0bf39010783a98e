//! Charts of the last day or week over all patients: samples, delay, errors and deliveries. They read hourly counters
//! only, and use UTC because patients live in different time zones.

use jiff::tz::TimeZone;
use maud::{Markup, html};
use rusqlite::Connection;

use crate::common::time::Timestamp;
use crate::i18n::texts::Texts;
use crate::model::consent_intervals::Interval;
use crate::model::error_kind::ErrorKind;
use crate::store::error::StoreError;
use crate::store::operations::hourly_counters::{self, Totals};
use crate::web::chart::axis::{Scale, to_f64};
use crate::web::chart::frame::{BAR_STYLES, Frame, rectangle, render_legend, rows_of, titled, y};
use crate::web::chart::period::{TimeAxis, TimeTick};
use crate::web::layout::{count, format_local};

/// The smallest top of an axis: five whole steps.
const LEAST_TOP: f64 = 5.0;
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
            Self::Week => (48, "%a %-d"),
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
                div.charts {
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
            unit: "samples",
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
            unit: "minutes",
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
            unit: "errors",
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
            unit: "observations",
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
        let sum = |values: &Vec<i64>| to_f64(values.iter().sum::<i64>());
        let scale = Scale::from_zero(chart.values.iter().map(sum).fold(LEAST_TOP, f64::max));
        let axis = self.axis();
        let summary = format!("{}, {}: {}", chart.title, self.period.title(), chart.summary);
        let rows = rows_of(scale);
        let frame = Frame {
            texts: Texts::ENGLISH,
            unit: chart.unit,
            rows,
            axis: &axis,
            missing: None,
            summary: &summary,
        };
        let marks = html! { @for (part, look) in BAR_STYLES.iter().enumerate().take(chart.parts.len()) {
            g class=(look) { @for (slot, values) in self.slots.iter().zip(&chart.values) {
                @if let Some(value) = values.get(part).filter(|value| **value > 0) {
                    @let below = to_f64(values[..part].iter().sum::<i64>());
                    @let (left, right) = frame.bar(slot.range(self.period));
                    @let top = y(scale.share(below + to_f64(*value)));
                    (titled(&rectangle(left, top, right, y(scale.share(below))),
                        &format!("{}: {value} {}", format_hour(slot.hour, "%a %H:%M"), chart.parts[part])))
                }
            } }
        } };
        html! {
            figure.card {
                div.title { h3 { (chart.title) } }
                (frame.render(&marks))
                figcaption {
                    (chart.summary)
                    @if chart.parts.len() > 1 { (render_legend(BAR_STYLES.into_iter().zip(chart.parts))) }
                }
                (self.table(chart))
            }
        }
    }

    /// Returns the axis in UTC, with labels at full hours or midnights.
    fn axis(&self) -> TimeAxis {
        let range = |slot: &Slot| slot.range(self.period);
        let from = self.slots.first().map_or(Timestamp::MIN, |slot| range(slot).from);
        let until = self.slots.last().map_or(from, |slot| range(slot).until);
        let mut axis = TimeAxis { range: Interval { from, until }, ticks: Vec::new(), marks: Vec::new() };
        let (every, label) = self.period.label();
        for slot in self.slots.iter().filter(|slot| slot.hour.rem_euclid(every) == 0) {
            let (at, label) = (axis.share(range(slot).from), format_hour(slot.hour, label));
            axis.ticks.push(TimeTick { at, label });
            axis.marks.push(at);
        }
        axis
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
                                td.number data-label=(part) { (count(*value)) }
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

    fn range(&self, period: ActivityPeriod) -> Interval {
        let (_, hours) = period.slots();
        Interval { from: Timestamp::from_hour(self.hour), until: Timestamp::from_hour(self.hour + hours) }
    }

    fn errors_of_kind(&self, kind: ErrorKind) -> i64 {
        self.errors.iter().filter(|(known, _)| *known == kind).map(|(_, sum)| sum).sum()
    }
}

fn format_hour(hour: i64, format: &str) -> String {
    format_local(&TimeZone::UTC, Timestamp::from_hour(hour), format)
}

/// Lists the sum of each part in a sentence.
fn describe_parts(sums: &[i64], parts: &[&str]) -> String {
    let each = sums.iter().zip(parts).map(|(sum, part)| format!("{} {part}", count(*sum).into_string()));
    format!("{}.", each.collect::<Vec<_>>().join(", "))
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
