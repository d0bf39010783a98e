use std::fmt::Write;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::common::time::Timestamp;
use crate::simulator::query::date;
use crate::simulator::samples_table::Source;

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
    pub(crate) fn end_date(&self) -> String {
        date(self.end, self.zone.as_deref())
    }

    pub(crate) fn sleep(&self) -> Option<&Sleep> {
        if let What::Sleep(sleep) = &self.what { Some(sleep) } else { None }
    }

    pub(crate) fn as_workout(&self) -> Option<&Workout> {
        if let What::Workout(workout) = &self.what { Some(workout) } else { None }
    }

    /// OW tells events apart by source, start and end.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (self.start, self.end) == (other.start, other.end)
            && self.source.identity() == other.source.identity()
    }

    pub(crate) fn describe(&self, id: Uuid) -> String {
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

pub(crate) fn minutes(start: Timestamp, end: Timestamp) -> i64 {
    i64::try_from(end.since(start).as_secs() / 60).unwrap_or(0)
}

/// Minutes by stage, as events and summaries have them.
pub(crate) fn stages([awake, light, deep, rem]: [i64; 4]) -> Value {
    json!({ "awake_minutes": awake, "light_minutes": light, "deep_minutes": deep, "rem_minutes": rem })
}

pub(crate) fn list(intervals: &[Stage]) -> Vec<Value> {
    let each = intervals.iter().map(|part| {
        json!({ "stage": part.stage, "start_time": part.start.to_string(), "end_time": part.end.to_string() })
    });
    each.collect()
}
