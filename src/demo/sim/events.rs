//! `GET /users/{id}/events/{sleep,workouts}`: newest first, each with an id of OW's own.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};
use uuid::Uuid;

use super::query::{Cursor, Moment, Pairs, Tail, around, cursor_time, cut, date, last, limit};
use super::rows::{Rank, Source, User};
use crate::time::Timestamp;

/// Events per page at most, whatever a page of samples may have.
const CAP: usize = 100;

/// Something that lasts.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When it begins.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
    /// `zone_offset`, such as `+02:00`.
    pub zone: Option<String>,
    /// Where it comes from.
    pub source: Source,
    /// `duration_seconds`: for a sleep the time in bed as the provider says it, which need not be the time
    /// between start and end.
    pub duration_seconds: Option<i64>,
    /// What it is.
    pub what: What,
    /// What is served in its place, as it is written here.
    pub verbatim: Option<String>,
}

/// What an event is.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A night or a nap.
    Sleep(Sleep),
    /// A workout.
    Workout(Workout),
}

/// What OW knows of a sleep.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sleep {
    /// The time asleep in minutes.
    pub asleep_minutes: Option<i64>,
    /// The time in bed in minutes; only the summary shows it.
    pub in_bed_minutes: Option<i64>,
    /// Percent.
    pub efficiency: Option<f64>,
    /// Minutes awake, in light, deep and REM sleep; a provider without stages has 0 of each.
    pub stages: Option<[i64; 4]>,
    /// The stages one by one; none where the provider has no hypnogram.
    pub intervals: Option<Vec<Stage>>,
    /// Whether the provider calls it a nap.
    pub is_nap: bool,
}

/// A stage of a sleep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// `awake`, `light`, `deep`, `rem`; from phones also `in_bed`, `sleeping`, `unknown`.
    pub stage: String,
    /// When it begins.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
}

/// What OW knows of a workout.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Workout {
    /// `running`, `walking`, `cycling`, …
    pub sport: String,
    /// Kilocalories.
    pub calories: Option<f64>,
    /// Meters.
    pub distance: Option<f64>,
    /// Beats per minute.
    pub average_heart_rate: Option<i64>,
    /// Beats per minute.
    pub max_heart_rate: Option<i64>,
    /// Meters.
    pub elevation_gain: Option<f64>,
}

impl Event {
    /// A night of an Oura ring with these stages, one after the other; without stages all of it is asleep.
    pub fn night(start: Timestamp, end: Timestamp, intervals: Vec<Stage>) -> Self {
        let in_bed = minutes(start, end);
        let of = |name: &str| {
            let parts = intervals.iter().filter(|part| part.stage == name);
            parts.map(|part| minutes(part.start, part.end)).sum::<i64>()
        };
        let stages = [of("awake"), of("light"), of("deep"), of("rem")];
        let asleep = if intervals.is_empty() { in_bed } else { stages[1..].iter().sum() };
        #[expect(clippy::cast_precision_loss, reason = "minutes of a night need no more precision")]
        let efficiency = (asleep as f64 * 100.0 / in_bed.max(1) as f64).round();
        let sleep = Sleep {
            asleep_minutes: Some(asleep),
            in_bed_minutes: Some(in_bed),
            efficiency: Some(efficiency),
            stages: Some(stages),
            intervals: Some(intervals),
            is_nap: false,
        };
        Self::of(start, end, What::Sleep(sleep))
    }

    /// A nap of an Oura ring, all of it asleep.
    pub fn nap(start: Timestamp, end: Timestamp) -> Self {
        let mut nap = Self::night(start, end, Vec::new());
        if let What::Sleep(sleep) = &mut nap.what {
            sleep.is_nap = true;
        }
        nap
    }

    /// A workout of an Oura ring, of which nothing else is known.
    pub fn workout(sport: &str, start: Timestamp, end: Timestamp) -> Self {
        Self::of(start, end, What::Workout(Workout { sport: sport.to_owned(), ..Workout::default() }))
    }

    fn of(start: Timestamp, end: Timestamp, what: What) -> Self {
        let duration_seconds = i64::try_from(end.since(start).as_secs()).ok();
        let source = Source::of("oura");
        Self { start, end, zone: Some("+00:00".to_owned()), source, duration_seconds, what, verbatim: None }
    }

    /// The same event of this source.
    #[must_use]
    pub fn with_source(mut self, source: Source) -> Self {
        self.source = source;
        self
    }

    /// The same event with this local offset, or none.
    #[must_use]
    pub fn with_zone(mut self, zone: Option<&str>) -> Self {
        self.zone = zone.map(str::to_owned);
        self
    }

    /// The same event, served as it is written here.
    #[must_use]
    pub fn with_json(mut self, json: &str) -> Self {
        self.verbatim = Some(json.to_owned());
        self
    }

    /// The local day on which it ends, which is the day that summaries count it to.
    pub(super) fn end_date(&self) -> String {
        date(self.end, self.zone.as_deref())
    }

    pub(super) fn sleep(&self) -> Option<&Sleep> {
        if let What::Sleep(sleep) = &self.what { Some(sleep) } else { None }
    }

    pub(super) fn as_workout(&self) -> Option<&Workout> {
        if let What::Workout(workout) = &self.what { Some(workout) } else { None }
    }

    /// OW tells events apart by source, start and end.
    fn is_same(&self, other: &Self) -> bool {
        (self.start, self.end) == (other.start, other.end)
            && self.source.identity() == other.source.identity()
    }

    fn describe(&self, id: Uuid) -> String {
        if let Some(json) = &self.verbatim {
            return json.clone();
        }
        let mut source = String::new();
        self.source.write(&mut source);
        let mut text = format!(
            "{{\"id\":\"{id}\",\"start_time\":\"{}\",\"end_time\":\"{}\",\"zone_offset\":{},\
             \"source\":{source}",
            self.start,
            self.end,
            json!(self.zone)
        );
        let mut field = |name: &str, value: Value| {
            let _ = write!(text, ",\"{name}\":{value}");
        };
        match &self.what {
            What::Sleep(sleep) => {
                field("duration_seconds", json!(self.duration_seconds.unwrap_or(0)));
                field("sleep_duration_seconds", json!(sleep.asleep_minutes.map(|minutes| minutes * 60)));
                field("efficiency_percent", json!(sleep.efficiency.filter(|percent| *percent != 0.0)));
                field("stages", sleep.stages.map_or(Value::Null, stages));
                field("sleep_stage_intervals", json!(sleep.intervals.as_ref().map(|all| list(all))));
                field("is_nap", json!(sleep.is_nap));
            }
            What::Workout(workout) => {
                let known = |number: Option<f64>| json!(number.filter(|number| *number != 0.0));
                field("type", json!(workout.sport));
                field("name", Value::Null);
                field("duration_seconds", json!(self.duration_seconds));
                field("calories_kcal", known(workout.calories));
                field("distance_meters", known(workout.distance));
                field("avg_heart_rate_bpm", json!(workout.average_heart_rate));
                field("max_heart_rate_bpm", json!(workout.max_heart_rate));
                field("avg_pace_sec_per_km", Value::Null);
                field("elevation_gain_meters", known(workout.elevation_gain));
            }
        }
        text.push('}');
        text
    }
}

fn minutes(start: Timestamp, end: Timestamp) -> i64 {
    i64::try_from(end.since(start).as_secs() / 60).unwrap_or(0)
}

/// Minutes by stage, as events and summaries have them.
pub(super) fn stages([awake, light, deep, rem]: [i64; 4]) -> Value {
    json!({ "awake_minutes": awake, "light_minutes": light, "deep_minutes": deep, "rem_minutes": rem })
}

fn list(intervals: &[Stage]) -> Vec<Value> {
    let each = intervals.iter().map(|part| {
        json!({ "stage": part.stage, "start_time": part.start.to_string(), "end_time": part.end.to_string() })
    });
    each.collect()
}

impl User {
    /// Stores an event in place of the one of the same source, start and end; answers with its id.
    pub(super) fn put_event(&mut self, id: Uuid, event: Event) -> Uuid {
        let known = self.events.iter().find(|(_, known)| known.is_same(&event)).map(|(id, _)| *id);
        let id = known.unwrap_or(id);
        self.events.insert(id, event);
        id
    }
}

/// A request, understood.
#[derive(Debug)]
pub(super) struct Query {
    is_sleep: bool,
    only_best: bool,
    sport: Option<String>,
    from: Moment,
    until: Moment,
    limit: usize,
    cursor: Option<Cursor<(Timestamp, Uuid)>>,
}

impl Query {
    /// Understands a query for sleep, or for workouts, or says what OW says in its 400.
    pub(super) fn parse(pairs: &Pairs, is_sleep: bool) -> Result<Self, String> {
        let (from, until) = (Moment::required(pairs, "start_date"), Moment::required(pairs, "end_date"));
        let limit = limit(pairs, CAP)?;
        let cursor = Cursor::parse(pairs, 2, |fields| {
            Some((Moment::parse(fields[0]).ok()?.at, Uuid::try_parse(fields[1]).ok()?))
        })?;
        let only_best = match last(pairs, "filter_by_priority").filter(|_| is_sleep) {
            None | Some("false" | "0") => false,
            Some("true" | "1") => true,
            Some(_) => return Err("Input should be a valid boolean, unable to interpret input".into()),
        };
        let sport = last(pairs, "record_type").filter(|_| !is_sleep).map(str::to_lowercase);
        Ok(Self { is_sleep, only_best, sport, from: from?, until: until?, limit, cursor })
    }

    /// The page, as OW writes it: the bounds are a start and an *end*, so what crosses either is not in it.
    pub(super) fn answer(&self, user: &User) -> String {
        let mut all: Vec<(Timestamp, Uuid, &Event)> = user
            .events
            .iter()
            .filter(|(_, event)| self.is_wanted(event))
            .filter(|(_, event)| event.start >= self.from.at && event.end < self.until.at)
            .map(|(id, event)| (event.start, *id, event))
            .collect();
        if self.only_best {
            let mut best: BTreeMap<String, Rank> = BTreeMap::new();
            for (_, _, event) in &all {
                let rank = event.source.rank();
                let known = best.entry(event.end_date()).or_insert_with(|| rank.clone());
                *known = rank.min(known.clone());
            }
            all.retain(|(_, _, event)| best.get(&event.end_date()) == Some(&event.source.rank()));
        }
        all.sort_by_key(|(start, id, _)| std::cmp::Reverse((*start, *id)));
        let total = all.len();
        match self.cursor {
            Some(Cursor::After(place)) => all.retain(|(start, id, _)| (*start, *id) < place),
            Some(Cursor::Before(place)) => {
                all.retain(|(start, id, _)| (*start, *id) > place);
                all.drain(..all.len().saturating_sub(self.limit + 1));
            }
            None => {}
        }
        let has_more = cut(&mut all, self.limit, self.cursor.as_ref());
        let (next, previous) = around(&all, has_more, self.cursor.as_ref(), |(start, id, _)| {
            format!("{}|{id}", cursor_time(*start))
        });
        let records: Vec<String> = all.iter().map(|(_, id, event)| event.describe(*id)).collect();
        let mut text = format!("{{\"data\":[{}", records.join(","));
        let (from, until) = (self.from, self.until);
        Tail { next, previous, has_more, total: Some(total), from, until }.write(&mut text, records.len());
        text
    }

    fn is_wanted(&self, event: &Event) -> bool {
        match &event.what {
            What::Sleep(_) => self.is_sleep,
            What::Workout(workout) => {
                !self.is_sleep && self.sport.as_ref().is_none_or(|sport| workout.sport.contains(sport))
            }
        }
    }
}
