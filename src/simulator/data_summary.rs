//! `GET /users/{id}/summaries/data`: how much there is of everything.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::common::time::Timestamp;
use crate::simulator::query::{Moment, Pairs, last};
use crate::simulator::user::{Record, User};

#[derive(Default)]
struct Provider {
    series: BTreeMap<String, u64>,
    workouts: u64,
    sleeps: u64,
}

impl Provider {
    fn samples(&self) -> u64 {
        self.series.values().sum()
    }
}

/// Counts what lies within `start_date` and `end_date`, the end not included, where these are given: samples
/// by their time, events by their start. An end at midnight is that midnight here.
pub(crate) fn counts(user: &User, id: &str, query: &Pairs) -> Result<Value, String> {
    let bound = |name: &str, default: Timestamp| {
        last(query, name).map_or(Ok(default), |text| Moment::parse(text).map(|moment| moment.at))
    };
    let (from, until) = (bound("start_date", Timestamp::MIN)?, bound("end_date", Timestamp::MAX)?);
    let mut providers: BTreeMap<String, Provider> = BTreeMap::new();
    let range = (from < until).then(|| user.records.range((from.micros(), 0)..(until.micros(), 0)));
    for ((_, kind), record) in range.into_iter().flatten() {
        if let (Record::Sample { .. }, Some(kind)) = (record, user.kind(*kind)) {
            let provider = providers.entry(kind.source.provider.clone()).or_default();
            *provider.series.entry(kind.series_type.clone()).or_default() += 1;
        }
    }
    let mut sports: BTreeMap<String, u64> = BTreeMap::new();
    for event in user.events.values().filter(|event| event.start >= from && event.start < until) {
        let provider = providers.entry(event.source.provider.clone()).or_default();
        match event.as_workout() {
            None => provider.sleeps += 1,
            Some(workout) => {
                provider.workouts += 1;
                *sports.entry(workout.sport.clone()).or_default() += 1;
            }
        }
    }
    let mut series: BTreeMap<String, u64> = BTreeMap::new();
    for (name, count) in providers.values().flat_map(|provider| &provider.series) {
        *series.entry(name.clone()).or_default() += count;
    }
    let mut by_provider: Vec<(&String, &Provider)> = providers.iter().collect();
    by_provider.sort_by_key(|(_, it)| std::cmp::Reverse(it.samples() + it.workouts + it.sleeps));
    let by_provider: Vec<Value> = by_provider
        .into_iter()
        .map(|(name, it)| {
            json!({
                "provider": name,
                "data_points": it.samples(),
                "series_counts": falling(&it.series),
                "workout_count": it.workouts,
                "sleep_count": it.sleeps,
            })
        })
        .collect();
    Ok(json!({
        "user_id": id,
        "total_data_points": series.values().sum::<u64>(),
        "total_workouts": providers.values().map(|it| it.workouts).sum::<u64>(),
        "total_sleep_events": providers.values().map(|it| it.sleeps).sum::<u64>(),
        "series_type_counts": falling(&series),
        "workout_type_counts": falling(&sports),
        "by_provider": by_provider,
        "has_womens_health_data": false,
    }))
}

fn falling(counts: &BTreeMap<String, u64>) -> Map<String, Value> {
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    counts.into_iter().map(|(name, count)| (name.clone(), json!(count))).collect()
}
