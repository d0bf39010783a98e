//! `GET /users/{id}/summaries/data`: counts of samples and events.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::common::time::Timestamp;
use crate::simulator::query::{QueryPairs, TimeBound, parameter};
use crate::simulator::user::{SimulatedUser, StoredRecord};

#[derive(Default)]
struct ProviderTotals {
    series: BTreeMap<String, u64>,
    workouts: u64,
    sleeps: u64,
}

impl ProviderTotals {
    fn samples(&self) -> u64 {
        self.series.values().sum()
    }
}

/// Counts the data within the optional `start_date` and `end_date`, end excluded: samples by their time,
/// events by their start. Unlike in `/timeseries`, an end at midnight is that midnight.
pub(crate) fn respond(user: &SimulatedUser, id: &str, query: &QueryPairs) -> Result<Value, String> {
    let bound = |name: &str, default: Timestamp| {
        parameter(query, name).map_or(Ok(default), |text| TimeBound::parse(text).map(|bound| bound.at))
    };
    let (from, until) = (bound("start_date", Timestamp::MIN)?, bound("end_date", Timestamp::MAX)?);
    let mut providers: BTreeMap<String, ProviderTotals> = BTreeMap::new();
    let range = (from < until).then(|| user.records.range((from.micros(), 0)..(until.micros(), 0)));
    for ((_, series), record) in range.into_iter().flatten() {
        if let (StoredRecord::Sample { .. }, Some(series)) = (record, user.series(*series)) {
            let provider = providers.entry(series.source.provider.clone()).or_default();
            *provider.series.entry(series.series_type.clone()).or_default() += 1;
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
    let mut by_provider: Vec<(&String, &ProviderTotals)> = providers.iter().collect();
    by_provider.sort_by_key(|(_, it)| Reverse(it.samples() + it.workouts + it.sleeps));
    let by_provider: Vec<Value> = by_provider
        .into_iter()
        .map(|(name, it)| {
            json!({
                "provider": name,
                "data_points": it.samples(),
                "series_counts": sort_by_count(&it.series),
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
        "series_type_counts": sort_by_count(&series),
        "workout_type_counts": sort_by_count(&sports),
        "by_provider": by_provider,
        "has_womens_health_data": false,
    }))
}

fn sort_by_count(counts: &BTreeMap<String, u64>) -> Map<String, Value> {
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by_key(|(_, count)| Reverse(**count));
    counts.into_iter().map(|(name, count)| (name.clone(), json!(count))).collect()
}
