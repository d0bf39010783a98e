//! `GET /users/{id}/summaries/activity`: one row per local day, computed from samples. A row has no id.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::common::time::Timestamp;
use crate::simulator::activity_day::{ActivityDay, ActivityDayKey};
use crate::simulator::query::{
    Cursor, PageRange, QueryPairs, TimeBound, local_date, page_cursors, parameter, trim_page,
};
use crate::simulator::samples_table::Source;
use crate::simulator::user::{SimulatedUser, StoredRecord};

/// Days per page at most.
const CAP: usize = 400;
/// The series types that a day is computed from.
const SERIES_TYPES: &[&str] = &[
    "steps",
    "energy",
    "basal_energy",
    "distance_walking_running",
    "flights_climbed",
    "active_time",
    "heart_rate",
];
/// A minute with at least so many steps is an active one.
const ACTIVE_STEPS: f64 = 30.0;
/// Beats per minute: the start of light activity, and the ends of light, moderate and vigorous activity, for
/// a person of unknown age.
const ZONES: [f64; 4] = [95.0, 119.0, 144.0, 176.0];
const DAY: std::time::Duration = std::time::Duration::from_hours(24);

/// The samples of one day and source.
#[derive(Debug, Default)]
struct DaySamples {
    /// By series type; daily totals apart from the others.
    values: BTreeMap<(&'static str, bool), Vec<f64>>,
    /// Steps by minute, without daily totals.
    steps: BTreeMap<i64, f64>,
    /// Heart rates by minute.
    heart_rates: BTreeMap<i64, Vec<f64>>,
}

impl DaySamples {
    fn add(&mut self, series_type: &'static str, at: i64, value: f64, is_daily_total: bool) {
        self.values.entry((series_type, is_daily_total)).or_default().push(value);
        let minute = at.div_euclid(60_000_000);
        match series_type {
            "steps" if !is_daily_total => *self.steps.entry(minute).or_default() += value,
            "heart_rate" => self.heart_rates.entry(minute).or_default().push(value),
            _ => {}
        }
    }

    /// Sums the daily totals or, without any, the parts of which they would consist.
    fn total(&self, series_type: &'static str) -> Option<f64> {
        let values = [true, false].iter().find_map(|is_total| self.values.get(&(series_type, *is_total)));
        values.map(|values| values.iter().sum())
    }

    /// Counts the active minutes, and the other minutes with steps.
    fn count_minutes(&self) -> Option<(usize, usize)> {
        let active = self.steps.values().filter(|steps| **steps >= ACTIVE_STEPS).count();
        (!self.steps.is_empty()).then(|| (active, self.steps.len() - active))
    }

    fn intensity_minutes(&self) -> Option<Value> {
        let means = || self.heart_rates.values().map(|rates| mean(rates));
        let count = |is_in: &dyn Fn(f64) -> bool| means().filter(|rate| is_in(*rate)).count();
        let [low, light, moderate, vigorous] = ZONES;
        (!self.heart_rates.is_empty()).then(|| {
            json!({
                "light": count(&|rate| rate >= low && rate <= light),
                "moderate": count(&|rate| rate > light && rate <= moderate),
                "vigorous": count(&|rate| rate > moderate && rate <= vigorous),
            })
        })
    }

    fn heart_rate(&self) -> Option<Value> {
        let rates: Vec<f64> = self.heart_rates.values().flatten().copied().collect();
        let min = rates.iter().copied().reduce(f64::min)?;
        let max = rates.iter().copied().reduce(f64::max)?;
        Some(json!({ "avg_bpm": round(mean(&rates)), "max_bpm": round(max), "min_bpm": round(min) }))
    }
}

fn mean(values: &[f64]) -> f64 {
    let count = values.iter().fold(0.0, |count, _| count + 1.0);
    values.iter().sum::<f64>() / count
}

#[expect(clippy::cast_possible_truncation, reason = "counts of a day")]
fn round(number: f64) -> i64 {
    number.round() as i64
}

#[derive(Debug)]
pub(crate) struct ActivityQuery {
    range: PageRange,
    is_descending: bool,
    cursor: Option<Cursor<ActivityDayKey>>,
}

impl ActivityQuery {
    pub(crate) fn parse(pairs: &QueryPairs) -> Result<Self, String> {
        let range = PageRange::parse(pairs, "start_date", "end_date", CAP)?;
        let is_descending = match parameter(pairs, "sort_order") {
            None | Some("asc") => false,
            Some("desc") => true,
            Some(_) => return Err("String should match pattern '^(asc|desc)$'".into()),
        };
        let cursor = Cursor::parse(pairs, 3, |fields| {
            TimeBound::parse(fields[0]).ok()?;
            Some((fields[0].to_owned(), fields[1].to_owned(), fields[2].to_owned()))
        })?;
        Ok(Self { range, is_descending, cursor })
    }

    /// Renders the page. Only the dates of the bounds count, and the last day is excluded.
    pub(crate) fn render_page(&self, user: &SimulatedUser) -> String {
        let mut days = self.list_days(user);
        if self.is_descending {
            days.reverse();
        }
        if let Some(cursor @ (Cursor::After(key) | Cursor::Before(key))) = &self.cursor {
            let is_later = cursor.is_backward() == self.is_descending;
            days.retain(|(day, _)| if is_later { day > key } else { day < key });
            // A real OW reverses the page here and trims it afterwards, as if it went forwards.
            if cursor.is_backward() {
                days.reverse();
            }
        }
        let has_more = trim_page::<_, ()>(&mut days, self.range.limit, None);
        let forwards = self.cursor.is_some().then_some(Cursor::After(()));
        let cursors = page_cursors(&days, has_more, forwards.as_ref(), |((date, source, device), _)| {
            format!("{date}|{source}|{device}")
        });
        let records: Vec<String> = days.into_iter().map(|(_, json)| json).collect();
        self.range.render_page(&records, &cursors, has_more, None)
    }

    /// Lists the days in the order of time, with their JSON. A day shows its best source alone.
    fn list_days(&self, user: &SimulatedUser) -> Vec<(ActivityDayKey, String)> {
        let (first, end) = (self.range.from.date(), self.range.until.date());
        let mut best: BTreeMap<String, (Source, DaySamples)> = BTreeMap::new();
        for ((date, source), samples) in self.group_by_source(user, &first, &end) {
            if best.get(&date).is_none_or(|(known, _)| source.rank() < known.rank()) {
                best.insert(date, (source, samples));
            }
        }
        let mut days: BTreeMap<String, (ActivityDayKey, String)> = best
            .into_iter()
            .map(|(date, (source, samples))| {
                let day = compute_day(&date, source, &samples);
                let climbed = elevation_gain(user, &day);
                (date, (day.key(), render(&day, &samples, climbed)))
            })
            .collect();
        for (date, day) in user.activity.range(first..).filter(|(date, _)| **date < end) {
            days.insert(date.clone(), (day.key(), render(day, &DaySamples::default(), None)));
        }
        days.into_values().collect()
    }

    fn group_by_source(
        &self,
        user: &SimulatedUser,
        first: &str,
        end: &str,
    ) -> BTreeMap<(String, Source), DaySamples> {
        let mut days: BTreeMap<(String, Source), DaySamples> = BTreeMap::new();
        // A day more on either side: a local day begins up to 14 hours from the UTC one.
        let low = (self.range.from.at.minus(DAY).micros(), 0);
        let high = (self.range.until.at.plus(DAY).plus(DAY).micros(), 0);
        let range = (low < high).then(|| user.records.range(low..high));
        for ((at, series), record) in range.into_iter().flatten() {
            let (StoredRecord::Sample { value, zone, daily_total, .. }, Some(series)) =
                (record, user.series(*series))
            else {
                continue;
            };
            let Some(name) = SERIES_TYPES.iter().find(|name| **name == series.series_type) else {
                continue;
            };
            let date = local_date(Timestamp::from_micros(*at), zone.as_deref());
            if (first..end).contains(&date.as_str()) {
                let day = days.entry((date, series.source.clone())).or_default();
                day.add(name, *at, *value, *daily_total == Some(true));
            }
        }
        days
    }
}

/// Computes the fields that a test can set too. Like a real OW, it has 0 steps and 0.0 kcal where there are
/// no samples.
fn compute_day(date: &str, source: Source, samples: &DaySamples) -> ActivityDay {
    let active = || samples.count_minutes().and_then(|(active, _)| i64::try_from(active).ok());
    ActivityDay {
        date: date.to_owned(),
        source,
        steps: Some(round(samples.total("steps").unwrap_or(0.0))),
        distance: samples.total("distance_walking_running"),
        active_calories: Some(samples.total("energy").unwrap_or(0.0)),
        active_minutes: samples.total("active_time").map(round).or_else(active),
        verbatim: None,
    }
}

/// Returns the meters climbed in the workouts of the same source that ended on the day.
fn elevation_gain(user: &SimulatedUser, day: &ActivityDay) -> Option<f64> {
    let workouts = user
        .events
        .values()
        .filter(|event| event.source.identity() == day.source.identity() && event.end_date() == day.date);
    let gains: Vec<f64> = workouts.filter_map(|event| event.as_workout()?.elevation_gain).collect();
    (!gains.is_empty()).then(|| gains.iter().sum())
}

fn render(day: &ActivityDay, samples: &DaySamples, climbed: Option<f64>) -> String {
    if let Some(json) = &day.verbatim {
        return json.clone();
    }
    let basal = samples.total("basal_energy").unwrap_or(0.0);
    // OW takes three meters as a floor where no device counted floors.
    let floors = climbed.filter(|meters| *meters > 0.0).map(|meters| (meters / 3.0).floor());
    json!({
        "date": day.date,
        "source": day.source,
        "steps": day.steps,
        "distance_meters": day.distance,
        "floors_climbed": samples.total("flights_climbed").or(floors).map(round),
        "elevation_meters": climbed,
        "active_calories_kcal": day.active_calories,
        "total_calories_kcal": day.active_calories.map(|active| active + basal),
        "active_minutes": day.active_minutes,
        "sedentary_minutes": samples.count_minutes().map(|(_, others)| others),
        "intensity_minutes": samples.intensity_minutes(),
        "heart_rate": samples.heart_rate(),
    })
    .to_string()
}
