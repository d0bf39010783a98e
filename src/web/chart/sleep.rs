//! Charts of sleep stages: one stacked bar per night, and the stages of one night by time.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::civil::Date;
use maud::html;

use crate::i18n::texts::Texts;
use crate::model::catalog::series_type::SeriesType;
use crate::model::day_totals;
use crate::model::observation::Observation;
use crate::model::sample_details::{Measure, SampleDetails, SleepStage, StageInterval};
use crate::web::chart::axis::{Scale, to_f64};
use crate::web::chart::frame::{Drawing, Frame, HEIGHT, rectangle, render_legend, rows_of, titled, y};
use crate::web::chart::period::{Day, TimeAxis, Window, local_date};
use crate::web::chart::words::{format_date, name_range, name_series, quantity};
use crate::web::layout::Column::{Number, Text};
use crate::web::layout::{format_local, table_head};

/// The stages of a bar from the bottom: measure, CSS class, and key of the name.
const PARTS: [(Measure, &str, &str); 4] = [
    (Measure::DeepSleep, "deep", "stage-deep"),
    (Measure::RemSleep, "rem", "stage-rem"),
    (Measure::LightSleep, "light", "stage-light"),
    (Measure::Awake, "awake", "stage-awake"),
];
/// Stages of the chart of one night from the top; the last column marks those that have a row in any case.
const LEVELS: [(SleepStage, &str, &str, bool); 7] = [
    (SleepStage::Awake, "awake", "stage-awake", true),
    (SleepStage::InBed, "other", "stage-in-bed", false),
    (SleepStage::Rem, "rem", "stage-rem", true),
    (SleepStage::Light, "light", "stage-light", true),
    (SleepStage::Asleep, "other", "stage-asleep", false),
    (SleepStage::Other, "other", "stage-other", false),
    (SleepStage::Deep, "deep", "stage-deep", true),
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
    let texts = window.texts;
    let shown = |seconds: f64| quantity(texts, seconds, series);
    let means: Vec<(&str, String)> = PARTS
        .iter()
        .enumerate()
        .filter_map(|(part, (_, look, key))| {
            let known: Vec<f64> = nights.iter().filter_map(|night| night.parts[part]).collect();
            let mean = known.iter().sum::<f64>() / to_f64(known.len());
            (!known.is_empty()).then(|| (*look, format!("{} {}", texts.get(key), shown(mean))))
        })
        .collect();
    let sentence: Vec<&str> = means.iter().map(|(_, mean)| mean.as_str()).collect();
    let name = name_series(texts, series);
    let mean_of = texts.get_with("chart-mean-of-nights", &[("count", nights.len().into())]);
    let summary = format!("{name}, {}, {mean_of}: {}.", window.title(), sentence.join(", "));
    let axis = window.axis();
    let frame = Frame {
        texts,
        unit: &texts.get("chart-hours"),
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
            let (left, right) = frame.bar(night.day.range);
            path + &rectangle(left, place(high), right, place(low))
        })
    };
    let title = |night: &Night| {
        let part = |(part, (_, _, key)): (usize, &(Measure, &str, &str))| {
            Some(format!("{} {}", texts.get(key), shown(night.parts[part]?)))
        };
        let parts: Vec<String> = PARTS.iter().enumerate().filter_map(part).collect();
        let night = texts.get_with("chart-night-to", &[("day", name_day(texts, night).into())]);
        format!("{night}: {}", parts.join(", "))
    };
    let marks = html! {
        @for (part, (_, look, _)) in PARTS.iter().enumerate() { path class=(look) d=(bars(part)) {} }
        g.hv { @for night in nights {
            @let (left, right) = (frame.x(night.day.range.from), frame.x(night.day.range.until));
            (titled(&rectangle(left, 0, right, HEIGHT), &title(night)))
        } }
    };
    let stages = PARTS.map(|(.., key)| texts.get(key));
    let (first, asleep) = (texts.get("chart-night-column"), texts.get("stage-asleep"));
    let mut columns = vec![Text(&first)];
    columns.extend(stages.iter().chain([&asleep]).map(|name| Number(name)));
    Some(Drawing {
        title: texts.get_with("chart-by-night", &[("name", name.as_str().into())]),
        svg: frame.render(&marks),
        caption: html! {
            (texts.get_with("chart-stack", &[("mean", mean_of.as_str().into())]))
            (render_legend(means.iter().map(|(look, mean)| (*look, mean))))
        },
        table: html! {
            caption { (name) ", " (window.title()) }
            (table_head(&columns))
            tbody { @for night in nights { tr {
                th { (name_day(texts, night)) }
                @for part in night.parts { td { @match part { Some(part) => (shown(part)), None => (texts.get("chart-none")) } } }
                td { (shown(night.asleep)) }
            } } }
        },
    })
}

fn name_day(texts: Texts, night: &Night) -> String {
    format_date(texts, night.day.date, "%a %-d %b")
}

/// Returns the bottom and the top of a part, in seconds.
fn stack(parts: &[Option<f64>; 4], part: usize) -> (f64, f64) {
    let below: f64 = parts[..part].iter().flatten().sum();
    (below, below + parts[part].unwrap_or(0.0))
}

/// Draws the stages of the newest night with intervals, or nothing if no night has any. The caption ends in the link to
/// the night before, whose address `href` returns.
pub(crate) fn draw_hypnogram(
    window: &Window,
    nights: &[Night],
    href: impl FnOnce(Date) -> String,
) -> Option<Drawing> {
    let night = nights.iter().rev().find(|night| !night.intervals.is_empty())?;
    let (zone, texts) = (&window.zone, window.texts);
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
    let day = format_date(texts, local_date(zone, last), &texts.get("day-long"));
    let title = texts.get_with("chart-night-to", &[("day", day.into())]);
    let times = name_range(texts, &clock(first), &clock(last));
    let wakes = night.intervals.iter().filter(|StageInterval(stage, ..)| *stage == SleepStage::Awake).count();
    let counts = [("count", night.intervals.len().into()), ("wakes", wakes.into())];
    let summary = format!("{title}, {times}: {}.", texts.get_with("chart-intervals", &counts));
    let axis = TimeAxis::of_hours(range, zone);
    let share = |stage| level_of(stage).map(|level| 1.0 - f64::from(level) / f64::from(HEIGHT));
    let rows = levels.iter().filter_map(|(stage, _, key, _)| Some((share(*stage)?, texts.get(key))));
    let unit = texts.get_with("chart-time", &[("zone", format_local(zone, last, "%Z").into())]);
    let frame =
        Frame { texts, unit: &unit, rows: rows.collect(), axis: &axis, missing: None, summary: &summary };
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
        @for (stage, look, key, _) in levels.iter().filter(|(stage, ..)| has(*stage)) {
            g class=(look) { @for one in night.intervals.iter().filter(|one| one.0 == *stage) {
                (titled(&block(one), &format!("{}, {}", texts.get(key), name_range(texts, &clock(one.1), &clock(one.2)))))
            } }
        }
    };
    let name =
        |stage: SleepStage| LEVELS.iter().find(|(one, ..)| *one == stage).map_or("", |(_, _, key, _)| *key);
    let [from, until, stage] = ["chart-from", "chart-until", "chart-stage"].map(|key| texts.get(key));
    Some(Drawing {
        svg: frame.render(&marks),
        caption: html! {
            (times) ". " (texts.get("chart-blocks")) " "
            @if let Ok(before) = night.day.date.yesterday() { a href=(href(before)) { (texts.get("chart-night-before")) } }
        },
        table: html! {
            caption { (title) }
            (table_head(&[Text(&from), Text(&until), Text(&stage)]))
            tbody { @for StageInterval(stage, start, end) in &night.intervals {
                tr { th { (clock(*start)) } td { (clock(*end)) } td { (texts.get(name(*stage))) } }
            } }
        },
        title,
    })
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
        let window = Window::new(
            (Period::Week, None),
            &jiff::tz::TimeZone::UTC,
            at("2026-11-21T12:00:00Z"),
            Texts::ENGLISH,
        );
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
            svg.contains("<title>Night to Fri 20 Nov: Deep 1\u{a0}h, REM 1\u{a0}h, Light 3\u{a0}h</title>"),
            "{svg}"
        );
        assert!(drawn.caption.into_string().contains("Deep 1\u{a0}h"));
        let hypnogram = draw_hypnogram(&window, &nights, |day| day.to_string()).unwrap();
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
