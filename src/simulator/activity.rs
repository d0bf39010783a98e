//! `GET /users/{id}/summaries/activity`: one row per day, made of the samples, without an id of its own.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::common::time::Timestamp;
use crate::simulator::activity_day::ActivityDay;
use crate::simulator::query::{Cursor, Moment, Pairs, Tail, around, cut, date, last, limit};
use crate::simulator::samples_table::Source;
use crate::simulator::user::{Record, User};

/// Days per page at most.
const CAP: usize = 400;
/// What a day of activity is made of.
const PARTS: &[&str] = &[
    "steps",
    "energy",
    "basal_energy",
    "distance_walking_running",
    "flights_climbed",
    "active_time",
    "heart_rate",
];
/// Steps in a minute that make it an active one.
const ACTIVE_STEPS: f64 = 30.0;
/// Beats per minute: where light activity begins, and where light, moderate and vigorous activity end, of
/// somebody whose age OW does not know.
const ZONES: [f64; 4] = [95.0, 119.0, 144.0, 176.0];
const DAY: std::time::Duration = std::time::Duration::from_hours(24);

/// What the samples of one type, day and source come to: the daily totals where there are any, else the parts.
#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    daily: Option<f64>,
    parts: Option<f64>,
    least: f64,
    most: f64,
    count: u32,
}

impl Sum {
    fn add(&mut self, value: f64, is_daily: bool) {
        let sum = if is_daily { &mut self.daily } else { &mut self.parts };
        *sum = Some(sum.unwrap_or(0.0) + value);
        (self.least, self.most) = match self.count {
            0 => (value, value),
            _ => (self.least.min(value), self.most.max(value)),
        };
        self.count += 1;
    }

    fn total(&self) -> Option<f64> {
        self.daily.or(self.parts)
    }
}

/// What the samples of one source and day come to.
#[derive(Debug, Default, Clone)]
struct Day {
    parts: [Sum; PARTS.len()],
    /// Steps that are no total of a day, by minute.
    steps: BTreeMap<i64, f64>,
    /// Heart rates by minute: their sum and their count.
    rates: BTreeMap<i64, (f64, u32)>,
}

impl Day {
    fn add(&mut self, part: usize, at: i64, value: f64, is_daily: bool) {
        self.parts[part].add(value, is_daily);
        let minute = at.div_euclid(60_000_000);
        match PARTS[part] {
            "steps" if !is_daily => *self.steps.entry(minute).or_default() += value,
            "heart_rate" => {
                let (sum, count) = self.rates.entry(minute).or_default();
                (*sum, *count) = (*sum + value, *count + 1);
            }
            _ => {}
        }
    }

    fn total(&self, name: &str) -> Option<f64> {
        PARTS.iter().position(|part| *part == name).and_then(|part| self.parts[part].total())
    }

    /// Minutes with steps enough to be active, and the others that have steps.
    fn minutes(&self) -> Option<(usize, usize)> {
        let active = self.steps.values().filter(|steps| **steps >= ACTIVE_STEPS).count();
        (!self.steps.is_empty()).then(|| (active, self.steps.len() - active))
    }

    fn intensity(&self) -> Option<Value> {
        let means = || self.rates.values().map(|(sum, count)| sum / f64::from(*count));
        let within = |is_in: &dyn Fn(f64) -> bool| means().filter(|rate| is_in(*rate)).count();
        let [low, light, moderate, vigorous] = ZONES;
        (!self.rates.is_empty()).then(|| {
            json!({
                "light": within(&|rate| rate >= low && rate <= light),
                "moderate": within(&|rate| rate > light && rate <= moderate),
                "vigorous": within(&|rate| rate > moderate && rate <= vigorous),
            })
        })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "counts of a day")]
fn whole(number: f64) -> i64 {
    number.round() as i64
}

/// A request, understood.
#[derive(Debug)]
pub(crate) struct Query {
    from: Moment,
    until: Moment,
    limit: usize,
    is_descending: bool,
    cursor: Option<Cursor<(String, String, String)>>,
}

impl Query {
    /// Understands a query, or says what OW says in its 400.
    pub(crate) fn parse(pairs: &Pairs) -> Result<Self, String> {
        let (from, until) = (Moment::required(pairs, "start_date"), Moment::required(pairs, "end_date"));
        let limit = limit(pairs, CAP)?;
        let is_descending = match last(pairs, "sort_order") {
            None | Some("asc") => false,
            Some("desc") => true,
            Some(_) => return Err("String should match pattern '^(asc|desc)$'".into()),
        };
        let cursor = Cursor::parse(pairs, 3, |fields| {
            Moment::parse(fields[0]).ok()?;
            Some((fields[0].to_owned(), fields[1].to_owned(), fields[2].to_owned()))
        })?;
        Ok(Self { from: from?, until: until?, limit, is_descending, cursor })
    }

    /// The page, as OW writes it. Only the dates of the bounds count, and the last one is not in it.
    pub(crate) fn answer(&self, user: &User) -> String {
        let mut days = self.days(user);
        if self.is_descending {
            days.reverse();
        }
        match &self.cursor {
            Some(cursor @ (Cursor::After(place) | Cursor::Before(place))) => {
                let is_later = cursor.is_backward() == self.is_descending;
                days.retain(|(key, _)| if is_later { key > place } else { key < place });
                // A real OW turns the page round here and cuts it afterwards.
                if cursor.is_backward() {
                    days.reverse();
                }
            }
            None => {}
        }
        let has_more = cut::<_, ()>(&mut days, self.limit, None);
        let is_known = self.cursor.is_some().then_some(Cursor::After(()));
        let (next, previous) = around(&days, has_more, is_known.as_ref(), |((date, source, device), _)| {
            format!("{date}|{source}|{device}")
        });
        let records: Vec<&str> = days.iter().map(|(_, json)| json.as_str()).collect();
        let mut text = format!("{{\"data\":[{}", records.join(","));
        let (from, until) = (self.from, self.until);
        Tail { next, previous, has_more, total: None, from, until }.write(&mut text, records.len());
        text
    }

    /// The days in the order of time, each with its place and what is served: of several sources of one day
    /// the first by rank has it whole.
    fn days(&self, user: &User) -> Vec<((String, String, String), String)> {
        let (first, end) = (self.from.date(), self.until.date());
        let mut days: BTreeMap<String, (Source, Day)> = BTreeMap::new();
        for ((date, source), day) in self.by_source(user, &first, &end) {
            let known = days.get(&date).is_some_and(|(known, _)| known.rank() <= source.rank());
            if !known {
                days.insert(date, (source, day));
            }
        }
        let mut served: BTreeMap<String, ((String, String, String), String)> = days
            .into_iter()
            .map(|(date, (source, day))| {
                let made = made_of(&date, source, &day);
                let climbed = climbed(user, &made);
                (date, (made.place(), describe(&made, &day, climbed)))
            })
            .collect();
        for (day, written) in user.activity.range(first..).filter(|(day, _)| **day < end) {
            served.insert(day.clone(), (written.place(), describe(written, &Day::default(), None)));
        }
        served.into_values().collect()
    }

    fn by_source(&self, user: &User, first: &str, end: &str) -> BTreeMap<(String, Source), Day> {
        let mut days: BTreeMap<(String, Source), Day> = BTreeMap::new();
        let low = (self.from.at.minus(DAY).micros(), 0);
        let high = (self.until.at.plus(DAY).plus(DAY).micros(), 0);
        let range = (low < high).then(|| user.records.range(low..high));
        for ((at, kind), record) in range.into_iter().flatten() {
            let (Record::Sample { value, zone, daily_total, .. }, Some(kind)) = (record, user.kind(*kind))
            else {
                continue;
            };
            let Some(part) = PARTS.iter().position(|part| *part == kind.series_type) else { continue };
            let day = date(Timestamp::from_micros(*at), zone.as_deref());
            if day.as_str() < first || day.as_str() >= end {
                continue;
            }
            let day = days.entry((day, kind.source.clone())).or_default();
            day.add(part, *at, *value, *daily_total == Some(true));
        }
        days
    }
}

/// Without steps a real OW says 0, and without energy 0.0: none only where there is no other number.
fn made_of(date: &str, source: Source, day: &Day) -> ActivityDay {
    let active = || day.minutes().and_then(|(active, _)| i64::try_from(active).ok());
    ActivityDay {
        date: date.to_owned(),
        source,
        steps: Some(whole(day.total("steps").unwrap_or(0.0))),
        distance: day.total("distance_walking_running"),
        active_calories: Some(day.total("energy").unwrap_or(0.0)),
        active_minutes: day.total("active_time").map(whole).or_else(active),
        verbatim: None,
    }
}

/// Meters, of the same source's workouts that ended on the day.
fn climbed(user: &User, day: &ActivityDay) -> Option<f64> {
    let workouts = user
        .events
        .values()
        .filter(|event| event.source.identity() == day.source.identity() && event.end_date() == day.date);
    let heights: Vec<f64> = workouts.filter_map(|event| event.as_workout()?.elevation_gain).collect();
    (!heights.is_empty()).then(|| heights.iter().sum())
}

/// Three meters are a floor, where nobody counted the floors.
fn floors(day: &Day, climbed: Option<f64>) -> Option<i64> {
    let floors = climbed.filter(|meters| *meters > 0.0).map(|meters| (meters / 3.0).floor());
    day.total("flights_climbed").or(floors).map(whole)
}

fn describe(shown: &ActivityDay, day: &Day, climbed: Option<f64>) -> String {
    if let Some(json) = &shown.verbatim {
        return json.clone();
    }
    let basal = day.total("basal_energy").unwrap_or(0.0);
    let rates = PARTS.iter().position(|part| *part == "heart_rate").map(|part| day.parts[part]);
    let rates = rates.filter(|rates| rates.count > 0).map(|rates| {
        let average = rates.parts.unwrap_or(0.0) / f64::from(rates.count);
        json!({ "avg_bpm": whole(average), "max_bpm": whole(rates.most), "min_bpm": whole(rates.least) })
    });
    json!({
        "date": shown.date,
        "source": shown.source.to_json(),
        "steps": shown.steps,
        "distance_meters": shown.distance,
        "floors_climbed": floors(day, climbed),
        "elevation_meters": climbed,
        "active_calories_kcal": shown.active_calories,
        "total_calories_kcal": shown.active_calories.map(|active| active + basal),
        "active_minutes": shown.active_minutes,
        "sedentary_minutes": day.minutes().map(|(_, others)| others),
        "intensity_minutes": day.intensity(),
        "heart_rate": rates,
    })
    .to_string()
}
