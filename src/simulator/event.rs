//! Events: nights, naps and workouts, as OW stores and renders them.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::common::time::Timestamp;
use crate::simulator::{query::local_date, samples_table::Source};

/// A sleep or a workout.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub start: Timestamp,
    pub end: Timestamp,
    /// `zone_offset`, such as `+02:00`.
    pub zone: Option<String>,
    pub source: Source,
    /// For a sleep the time in bed as the provider reports it, which may differ from the time between start
    /// and end.
    pub duration_seconds: Option<i64>,
    pub details: EventDetails,
    /// JSON to serve instead of the fields above.
    pub verbatim: Option<String>,
}

/// The fields that only a sleep or only a workout has.
#[derive(Debug, Clone, PartialEq)]
pub enum EventDetails {
    Sleep(Sleep),
    Workout(Workout),
}

/// A night or a nap.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sleep {
    pub asleep_minutes: Option<i64>,
    /// Shown by the summary only.
    pub in_bed_minutes: Option<i64>,
    /// Percent.
    pub efficiency: Option<f64>,
    /// Minutes awake, in light, deep and REM sleep; a provider without stages has 0 of each.
    pub stages: Option<[i64; 4]>,
    /// The stages one by one; none where the provider has no hypnogram.
    pub intervals: Option<Vec<SleepStage>>,
    pub is_nap: bool,
}

/// One interval of a hypnogram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SleepStage {
    /// `awake`, `light`, `deep`, `rem`; from phones also `in_bed`, `sleeping`, `unknown`.
    pub stage: String,
    pub start: Timestamp,
    pub end: Timestamp,
}

/// A workout.
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
    /// Makes a night of an Oura ring with these consecutive stages; without stages all of it is asleep.
    pub fn night(start: Timestamp, end: Timestamp, intervals: Vec<SleepStage>) -> Self {
        let in_bed = minutes(start, end);
        let minutes_of = |name: &str| {
            let stages = intervals.iter().filter(|stage| stage.stage == name);
            stages.map(|stage| minutes(stage.start, stage.end)).sum::<i64>()
        };
        let stages = ["awake", "light", "deep", "rem"].map(minutes_of);
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
        Self::of(start, end, EventDetails::Sleep(sleep))
    }

    /// Makes a nap of an Oura ring, all of it asleep.
    pub fn nap(start: Timestamp, end: Timestamp) -> Self {
        let mut nap = Self::night(start, end, Vec::new());
        if let EventDetails::Sleep(sleep) = &mut nap.details {
            sleep.is_nap = true;
        }
        nap
    }

    /// Makes a workout of an Oura ring without any measurement.
    pub fn workout(sport: &str, start: Timestamp, end: Timestamp) -> Self {
        let workout = Workout { sport: sport.to_owned(), ..Workout::default() };
        Self::of(start, end, EventDetails::Workout(workout))
    }

    fn of(start: Timestamp, end: Timestamp, details: EventDetails) -> Self {
        let duration_seconds = i64::try_from(end.since(start).as_secs()).ok();
        let (zone, source) = (Some("+00:00".to_owned()), Source::of("oura"));
        Self { start, end, zone, source, duration_seconds, details, verbatim: None }
    }

    #[must_use]
    pub fn with_source(mut self, source: Source) -> Self {
        self.source = source;
        self
    }

    #[must_use]
    pub fn with_zone(mut self, zone: Option<&str>) -> Self {
        self.zone = zone.map(str::to_owned);
        self
    }

    /// Serves this JSON instead of the fields.
    #[must_use]
    pub fn with_json(mut self, json: &str) -> Self {
        self.verbatim = Some(json.to_owned());
        self
    }

    /// Returns the local day on which it ends, which is the day that summaries count it to.
    pub(crate) fn end_date(&self) -> String {
        local_date(self.end, self.zone.as_deref())
    }

    pub(crate) fn as_sleep(&self) -> Option<&Sleep> {
        if let EventDetails::Sleep(sleep) = &self.details { Some(sleep) } else { None }
    }

    pub(crate) fn as_workout(&self) -> Option<&Workout> {
        if let EventDetails::Workout(workout) = &self.details { Some(workout) } else { None }
    }

    /// Compares the key by which OW updates an event in place: source, start and end.
    pub(crate) fn has_same_key(&self, other: &Self) -> bool {
        (self.start, self.end) == (other.start, other.end)
            && self.source.identity() == other.source.identity()
    }

    pub(crate) fn render(&self, id: Uuid) -> String {
        if let Some(json) = &self.verbatim {
            return json.clone();
        }
        let nonzero = |number: Option<f64>| number.filter(|number| *number != 0.0);
        let mut record = match &self.details {
            EventDetails::Sleep(sleep) => json!({
                "duration_seconds": self.duration_seconds.unwrap_or(0),
                "sleep_duration_seconds": sleep.asleep_minutes.map(|minutes| minutes * 60),
                "efficiency_percent": nonzero(sleep.efficiency),
                "stages": sleep.stages.map(render_stages),
                "sleep_stage_intervals": sleep.intervals.as_deref().map(render_intervals),
                "is_nap": sleep.is_nap,
            }),
            EventDetails::Workout(workout) => json!({
                "type": workout.sport,
                "name": null,
                "duration_seconds": self.duration_seconds,
                "calories_kcal": nonzero(workout.calories),
                "distance_meters": nonzero(workout.distance),
                "avg_heart_rate_bpm": workout.average_heart_rate,
                "max_heart_rate_bpm": workout.max_heart_rate,
                "avg_pace_sec_per_km": null,
                "elevation_gain_meters": nonzero(workout.elevation_gain),
            }),
        };
        record["id"] = json!(id);
        record["start_time"] = json!(self.start.to_string());
        record["end_time"] = json!(self.end.to_string());
        record["zone_offset"] = json!(self.zone);
        record["source"] = json!(self.source);
        record.to_string()
    }
}

fn minutes(start: Timestamp, end: Timestamp) -> i64 {
    i64::try_from(end.since(start).as_secs() / 60).unwrap_or(0)
}

/// Renders the minutes by stage, in events and in summaries.
pub(crate) fn render_stages([awake, light, deep, rem]: [i64; 4]) -> Value {
    json!({ "awake_minutes": awake, "light_minutes": light, "deep_minutes": deep, "rem_minutes": rem })
}

fn render_intervals(intervals: &[SleepStage]) -> Vec<Value> {
    let render = |it: &SleepStage| {
        let (start, end) = (it.start.to_string(), it.end.to_string());
        json!({ "stage": it.stage, "start_time": start, "end_time": end })
    };
    intervals.iter().map(render).collect()
}
