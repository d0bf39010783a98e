//! Charts of sleep stages: one stacked bar per night, and the stages of one night by time.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use maud::html;

use crate::model::catalog::series_type::SeriesType;
use crate::model::day_totals;
use crate::model::observation::Observation;
use crate::model::sample_details::{Measure, SampleDetails, SleepStage, StageInterval};
use crate::omh::show::format_quantity;
use crate::web::chart::axis::{Scale, to_f64};
use crate::web::chart::frame::{Drawing, Frame, HEIGHT, rectangle, rows_of, titled, y};
use crate::web::chart::period::{Day, TimeAxis, Window, local_date};
use crate::web::layout::Column::{Number, Text};
use crate::web::layout::{format_local, table_head};

/// The stages of a bar from the bottom: measure, CSS class and name.
const PARTS: [(Measure, &str, &str); 4] = [
    (Measure::DeepSleep, "deep", "deep"),
    (Measure::RemSleep, "rem", "REM"),
    (Measure::LightSleep, "light", "light"),
    (Measure::Awake, "awake", "awake"),
];
/// Stages of the chart of one night from the top; the first four have a row in any case.
const LEVELS: [(SleepStage, &str, &str, bool); 7] = [
    (SleepStage::Awake, "awake", "Awake", true),
    (SleepStage::InBed, "other", "In bed", false),
    (SleepStage::Rem, "rem", "REM", true),
    (SleepStage::Light, "light", "Light", true),
    (SleepStage::Asleep, "other", "Asleep", false),
    (SleepStage::Other, "other", "Other", false),
    (SleepStage::Deep, "deep", "Deep", true),
];

/// The sleep of one night, with the naps of the day on which it ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Night {
    day: Day,
    /// Seconds asleep.
    asleep: f64,
    /// Seconds of each of [`PARTS`]; none if unknown.
    parts: [Option<f64>; 4],
    /// The intervals of the longest sleep, by time; empty if unknown.
    intervals: Vec<StageInterval>,
}

/// Adds up the sleeps of each day. Of two devices, which may both have recorded the night, the one with more counts.
pub(crate) fn collect_nights(
    series: &SeriesType,
    window: &Window,
    sleeps: &[(i64, Observation)],
) -> Vec<Night> {
    let days = window.days();
    let mut nights: BTreeMap<(usize, i64), (Night, f64)> = BTreeMap::new();
    for (stream, sleep) in sleeps {
        let date = day_totals::counted_date(series, sleep, &window.zone);
        let Some(place) = days.iter().position(|day| Some(day.date) == date) else { continue };
        let none = SampleDetails::default();
        let details = sleep.details.as_deref().unwrap_or(&none);
        if details.deleted {
            continue;
        }
        let empty = Night { day: days[place], asleep: 0.0, parts: [None; 4], intervals: Vec::new() };
        let (night, longest) = nights.entry((place, *stream)).or_insert((empty, 0.0));
        night.asleep += sleep.value;
        for (sum, (measure, ..)) in night.parts.iter_mut().zip(PARTS) {
            *sum = [*sum, details.measure(measure)].into_iter().flatten().reduce(|one, other| one + other);
        }
        if sleep.value > *longest && !details.stages.is_empty() {
            *longest = sleep.value;
            night.intervals.clone_from(&details.stages);
            night.intervals.sort_by_key(|StageInterval(_, start, _)| *start);
        }
    }
    let mut chosen: BTreeMap<usize, Night> = BTreeMap::new();
    for ((place, _), (night, _)) in nights {
        if chosen.get(&place).is_none_or(|known| known.asleep < night.asleep) {
            chosen.insert(place, night);
        }
    }
    chosen.into_values().collect()
}

/// Draws the nights as stacked bars, or nothing without data.
pub(crate) fn draw_nights(series: &SeriesType, window: &Window, nights: &[Night]) -> Option<Drawing> {
    let last = nights.last()?;
    let per = series.display.per;
    let most = nights.iter().map(|night| night.parts.iter().flatten().sum::<f64>() / per).fold(0.0, f64::max);
    let scale = Scale::from_zero(most);
    let shown = |seconds: f64| format_quantity(seconds, series.display);
    let means: Vec<(&str, &str, String)> = PARTS
        .iter()
        .enumerate()
        .filter_map(|(part, (_, look, name))| {
            let known: Vec<f64> = nights.iter().filter_map(|night| night.parts[part]).collect();
            let mean = known.iter().sum::<f64>() / to_f64(known.len());
            (!known.is_empty()).then(|| (*look, *name, shown(mean)))
        })
        .collect();
    let sentence: Vec<String> = means.iter().map(|(_, name, mean)| format!("{name} {mean}")).collect();
    let nights_count =
        if nights.len() == 1 { "1 night".to_owned() } else { format!("{} nights", nights.len()) };
    let summary =
        format!("Sleep stages of {nights_count}, {}: mean {}.", window.title(), sentence.join(", "));
    let axis = window.axis();
    let frame = Frame {
        unit: "hours",
        rows: rows_of(scale),
        axis: &axis,
        missing: window.missing_end(Some(last.day.range.until)),
        summary: &summary,
    };
    let place = |seconds: f64| y(scale.share(seconds / per));
    let bars = |part: usize| {
        let known = nights.iter().filter(|night| night.parts[part].is_some());
        known.fold(String::new(), |path, night| {
            let (low, high) = stack(&night.parts, part);
            let (left, right) = (frame.x(night.day.range.from), frame.x(night.day.range.until));
            let inset = (right - left) / 8;
            path + &rectangle(left + inset, place(high), right - inset, place(low))
        })
    };
    let title = |night: &Night| {
        let part = |(part, (_, _, name)): (usize, &(Measure, &str, &str))| {
            Some(format!("{name} {}", shown(night.parts[part]?)))
        };
        let parts: Vec<String> = PARTS.iter().enumerate().filter_map(part).collect();
        format!("Night to {}: {}", name_day(night), parts.join(", "))
    };
    let marks = html! {
        @for (part, (_, look, _)) in PARTS.iter().enumerate() { path class=(look) d=(bars(part)) {} }
        g.hv { @for night in nights {
            @let (left, right) = (frame.x(night.day.range.from), frame.x(night.day.range.until));
            (titled(&rectangle(left, 0, right, HEIGHT), &title(night)))
        } }
    };
    Some(Drawing {
        title: "Sleep stages by night".to_owned(),
        svg: frame.render(&marks),
        caption: html! {
            "From the bottom, with the mean of " (nights_count) ":"
            ul.keys { @for (look, name, mean) in &means { li { i class=(look) {} (name) " " (mean) } } }
        },
        table: html! {
            caption { "Sleep stages, " (window.title()) }
            (table_head(&[Text("Night to"), Number("Deep"), Number("REM"), Number("Light"), Number("Awake"), Number("Asleep")]))
            tbody { @for night in nights { tr {
                th { (name_day(night)) }
                @for part in night.parts { td { @match part { Some(part) => (shown(part)), None => "none" } } }
                td { (shown(night.asleep)) }
            } } }
        },
    })
}

fn name_day(night: &Night) -> String {
    night.day.date.strftime("%a %-d %b").to_string()
}

/// Returns the bottom and the top of a part, in seconds.
fn stack(parts: &[Option<f64>; 4], part: usize) -> (f64, f64) {
    let below: f64 = parts[..part].iter().flatten().sum();
    (below, below + parts[part].unwrap_or(0.0))
}

/// Draws the stages of the newest night with intervals, or nothing if no night has any.
pub(crate) fn draw_hypnogram(window: &Window, nights: &[Night]) -> Option<Drawing> {
    let night = nights.iter().rev().find(|night| !night.intervals.is_empty())?;
    let zone = &window.zone;
    let first = night.intervals.iter().map(|StageInterval(_, start, _)| *start).min()?;
    let last = night.intervals.iter().map(|StageInterval(.., end)| *end).max()?;
    let range = crate::model::consent_intervals::Interval { from: first, until: last };
    let has = |stage: SleepStage| night.intervals.iter().any(|StageInterval(one, ..)| *one == stage);
    let levels: Vec<_> = LEVELS.iter().filter(|(stage, _, _, always)| *always || has(*stage)).collect();
    let height = HEIGHT / i32::try_from(levels.len()).unwrap_or(4);
    let level_of = |stage: SleepStage| {
        let level = levels.iter().position(|(one, ..)| *one == stage)?;
        Some(i32::try_from(level).ok()? * height + height / 2)
    };
    let clock = |at| format_local(zone, at, "%H:%M");
    let day = local_date(zone, last).strftime("%A %-d %B");
    let times = format!("{} to {}", clock(first), clock(last));
    let wakes = night.intervals.iter().filter(|StageInterval(stage, ..)| *stage == SleepStage::Awake).count();
    let summary = format!(
        "Stages of the night to {day}, {times}: {} intervals, of which awake {wakes}.",
        night.intervals.len()
    );
    let axis = TimeAxis::of_hours(range, zone);
    let share = |stage| level_of(stage).map(|level| 1.0 - f64::from(level) / f64::from(HEIGHT));
    let rows = levels.iter().filter_map(|(stage, _, name, _)| Some((share(*stage)?, (*name).to_owned())));
    let place = format_local(zone, last, "%Z");
    let unit = format!("time, {place}");
    let frame = Frame { unit: &unit, rows: rows.collect(), axis: &axis, missing: None, summary: &summary };
    let mut ties = String::new();
    for pair in night.intervals.windows(2) {
        let [StageInterval(before, _, end), StageInterval(after, start, _)] = pair else { continue };
        // A line joins only stages that follow each other; between others there is a gap.
        if let (true, Some(from), Some(to)) = (end == start, level_of(*before), level_of(*after)) {
            let _ = write!(ties, "M{} {from}V{to}", frame.x(*start));
        }
    }
    let block = |StageInterval(stage, start, end): &StageInterval| {
        let level = level_of(*stage).unwrap_or(0);
        rectangle(frame.x(*start), level - height / 4, frame.x(*end), level + height / 4)
    };
    let marks = html! {
        path.tie d=(ties) {}
        @for (stage, look, name, _) in levels.iter().filter(|(stage, ..)| has(*stage)) {
            g class=(look) { @for one in night.intervals.iter().filter(|one| one.0 == *stage) {
                (titled(&block(one), &format!("{name}, {} to {}", clock(one.1), clock(one.2))))
            } }
        }
    };
    let name =
        |stage: SleepStage| LEVELS.iter().find(|(one, ..)| *one == stage).map_or("", |(_, _, name, _)| *name);
    Some(Drawing {
        title: format!("Night to {day}"),
        svg: frame.render(&marks),
        caption: html! { (times) ". Each block is one interval." },
        table: html! {
            caption { "Stages of the night to " (day) }
            (table_head(&[Text("From"), Text("Until"), Text("Stage")]))
            tbody { @for StageInterval(stage, start, end) in &night.intervals {
                tr { th { (clock(*start)) } td { (clock(*end)) } td { (name(*stage)) } }
            } }
        },
    })
}

/// Returns the newest night with intervals, for a link to the one before.
pub(crate) fn hypnogram_date(nights: &[Night]) -> Option<jiff::civil::Date> {
    nights.iter().rev().find(|night| !night.intervals.is_empty()).map(|night| night.day.date)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::common::time::Timestamp;
    use crate::model::catalog::series;
    use crate::model::sample_details::TimeFrame;
    use crate::web::chart::period::Period;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    /// A night of stages of an hour each.
    fn night(start: &str, stages: &[SleepStage]) -> Observation {
        let start = at(start);
        let hour = |place: usize| start.plus(Duration::from_hours(u64::try_from(place).unwrap()));
        let intervals: Vec<StageInterval> = stages
            .iter()
            .enumerate()
            .map(|(place, stage)| StageInterval(*stage, hour(place), hour(place + 1)))
            .collect();
        let seconds = |stage| 3600.0 * to_f64(stages.iter().filter(|one| **one == stage).count());
        let measures = BTreeMap::from([
            (Measure::DeepSleep, seconds(SleepStage::Deep)),
            (Measure::LightSleep, seconds(SleepStage::Light)),
            (Measure::RemSleep, seconds(SleepStage::Rem)),
        ]);
        let frame = TimeFrame { start, start_zone: None, end: hour(stages.len()), end_zone: None };
        let details =
            SampleDetails { frame: Some(frame), measures, stages: intervals, ..SampleDetails::default() };
        let (value, details) = (3600.0 * to_f64(stages.len()), Some(Arc::new(details)));
        Observation { instant: start, value, zone: None, revision: 0, context: None, details }
    }

    #[test]
    fn stages_are_stacked_and_a_night_of_two_devices_counts_once() {
        use SleepStage::{Deep, Light, Rem};
        let series = series::find("sleep_stage_summary").unwrap();
        let window = Window::new((Period::Week, None), &jiff::tz::TimeZone::UTC, at("2026-11-21T12:00:00Z"));
        let sleeps = [
            (1, night("2026-11-19T23:00:00Z", &[Deep, Light, Light, Rem])),
            (1, night("2026-11-20T13:00:00Z", &[Light])),
            (2, night("2026-11-19T23:00:00Z", &[Light, Light, Light])),
            (1, night("2026-11-01T23:00:00Z", &[Light])),
        ];
        let nights = collect_nights(series, &window, &sleeps);
        assert_eq!(nights.len(), 1, "{nights:?}");
        let hours = |part: usize| nights[0].parts[part].map(|seconds| seconds / 3600.0);
        assert_eq!([hours(0), hours(1), hours(2), hours(3)], [Some(1.0), Some(1.0), Some(3.0), None]);
        assert_eq!(stack(&nights[0].parts, 2), (7200.0, 18_000.0), "light lies on deep and REM");
        assert_eq!(nights[0].intervals.len(), 4, "the nap is no part of the night");
        let drawn = draw_nights(series, &window, &nights).unwrap();
        let svg = drawn.svg.into_string();
        assert!(
            svg.contains("<title>Night to Fri 20 Nov: deep 1\u{a0}h, REM 1\u{a0}h, light 3\u{a0}h</title>"),
            "{svg}"
        );
        assert!(drawn.caption.into_string().contains("deep 1\u{a0}h"));
        let hypnogram = draw_hypnogram(&window, &nights).unwrap();
        assert_eq!(hypnogram.title, "Night to Friday 20 November");
        let svg = hypnogram.svg.into_string();
        let top = |name: &str| {
            let label = svg.split(&format!("\">{name}</text>")).next().unwrap();
            label.rsplit("y=\"").next().unwrap().parse::<f64>().unwrap()
        };
        assert!(
            top("Awake") < top("REM") && top("REM") < top("Light") && top("Light") < top("Deep"),
            "{svg}"
        );
        assert!(svg.contains("<title>Deep, 23:00 to 00:00</title>"), "{svg}");
    }
}
