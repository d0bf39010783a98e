//! `GET /users/{id}/summaries/activity`: one row per day, made of the samples, without an id of its own.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::query::{Cursor, Moment, Pairs, Tail, around, cut, date, last, limit};
use super::rows::{Record, Source, User};
use crate::time::Timestamp;

/// Days per page at most.
const CAP: usize = 400;
/// What a day of activity is made of.
const PARTS: [&str; 7] = [
    "steps",
    "energy",
    "basal_energy",
    "distance_walking_running",
    "flights_climbed",
    "active_time",
    "heart_rate",
];
const DAY: std::time::Duration = std::time::Duration::from_hours(24);

/// A day of activity that is served as a test says, and not as the samples say.
#[derive(Debug, Clone, PartialEq)]
pub struct ActivityDay {
    /// The local day, such as `2026-11-21`.
    pub date: String,
    /// Where it comes from.
    pub source: Source,
    /// Steps.
    pub steps: Option<i64>,
    /// Meters.
    pub distance: Option<f64>,
    /// Kilocalories.
    pub active_calories: Option<f64>,
    /// Minutes.
    pub active_minutes: Option<i64>,
    /// What is served in its place, as it is written here.
    pub verbatim: Option<String>,
}

impl ActivityDay {
    /// A day of an Oura ring with so many steps, of which nothing else is known.
    pub fn of(date: &str, steps: i64) -> Self {
        Self {
            date: date.to_owned(),
            source: Source::of("oura"),
            steps: Some(steps),
            distance: None,
            active_calories: None,
            active_minutes: None,
            verbatim: None,
        }
    }

    fn place(&self) -> (String, String, String) {
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        (self.date.clone(), part(&self.source.source), part(&self.source.device))
    }
}

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

#[expect(clippy::cast_possible_truncation, reason = "counts of a day")]
fn whole(number: f64) -> i64 {
    number.round() as i64
}

/// A request, understood.
#[derive(Debug)]
pub(super) struct Query {
    from: Moment,
    until: Moment,
    limit: usize,
    is_descending: bool,
    cursor: Option<Cursor<(String, String, String)>>,
}

impl Query {
    /// Understands a query, or says what OW says in its 400.
    pub(super) fn parse(pairs: &Pairs) -> Result<Self, String> {
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
    pub(super) fn answer(&self, user: &User) -> String {
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
        let mut days: BTreeMap<String, (Source, [Sum; PARTS.len()])> = BTreeMap::new();
        for (day, source, sums) in self.sums(user, &first, &end) {
            let known = days.get(&day).is_some_and(|(known, _)| known.rank() <= source.rank());
            if !known {
                days.insert(day, (source, sums));
            }
        }
        let mut served: BTreeMap<String, ((String, String, String), String)> = days
            .into_iter()
            .map(|(day, (source, sums))| {
                let made = made_of(&day, source, &sums);
                (day, (made.place(), describe(&made, Some(&sums))))
            })
            .collect();
        for (day, written) in user.activity.range(first..).filter(|(day, _)| **day < end) {
            served.insert(day.clone(), (written.place(), describe(written, None)));
        }
        served.into_values().collect()
    }

    fn sums(&self, user: &User, first: &str, end: &str) -> Vec<(String, Source, [Sum; PARTS.len()])> {
        let mut sums: BTreeMap<(String, Source), [Sum; PARTS.len()]> = BTreeMap::new();
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
            let sums = sums.entry((day, kind.source.clone())).or_default();
            sums[part].add(*value, *daily_total == Some(true));
        }
        sums.into_iter().map(|((day, source), sums)| (day, source, sums)).collect()
    }
}

/// Without steps a real OW says 0, and without energy 0.0: none only where there is no other number.
fn made_of(day: &str, source: Source, sums: &[Sum; PARTS.len()]) -> ActivityDay {
    ActivityDay {
        date: day.to_owned(),
        source,
        steps: Some(whole(sums[0].total().unwrap_or(0.0))),
        distance: sums[3].total(),
        active_calories: Some(sums[1].total().unwrap_or(0.0)),
        active_minutes: sums[5].total().map(whole),
        verbatim: None,
    }
}

fn describe(day: &ActivityDay, sums: Option<&[Sum; PARTS.len()]>) -> String {
    if let Some(json) = &day.verbatim {
        return json.clone();
    }
    let total = |part: usize| sums.and_then(|sums| sums[part].total());
    let heart_rate = sums.map(|sums| sums[6]).filter(|rates| rates.count > 0);
    let source = {
        let mut text = String::new();
        day.source.write(&mut text);
        serde_json::from_str(&text).unwrap_or(Value::Null)
    };
    let rates = heart_rate.map(|rates| {
        let average = rates.total().unwrap_or(0.0) / f64::from(rates.count);
        json!({ "avg_bpm": whole(average), "max_bpm": whole(rates.most), "min_bpm": whole(rates.least) })
    });
    json!({
        "date": day.date,
        "source": source,
        "steps": day.steps,
        "distance_meters": day.distance,
        "floors_climbed": total(4).map(whole),
        "elevation_meters": null,
        "active_calories_kcal": day.active_calories,
        "total_calories_kcal": day.active_calories.map(|active| active + total(2).unwrap_or(0.0)),
        "active_minutes": day.active_minutes,
        "sedentary_minutes": null,
        "intensity_minutes": heart_rate.map(|_| json!({ "light": 0, "moderate": 0, "vigorous": 0 })),
        "heart_rate": rates,
    })
    .to_string()
}
