//! `GET /sync/runs` and `GET /users/{id}/sync/recent`: the syncs that OW ran lately.

use std::cmp::Reverse;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::common::time::Timestamp;
use crate::simulator::query::{QueryPairs, parameter, parse_limit, with_offset};
use crate::simulator::responses::{SimulatedResponse, error_response, fault_response, ok_or_bad_request};
use crate::simulator::{state::OwState, sync_run::SimulatedRun};

/// The lifetime of a run in OW's Redis.
const RUN_LIFETIME: Duration = Duration::from_hours(24);
/// Runs and stages of an answer at most.
const RUNS_CAP: usize = 10_000;
const STAGES_CAP: usize = 200;

pub(crate) fn respond(state: &OwState, pairs: &QueryPairs, now: Timestamp) -> SimulatedResponse {
    if state.is_queue_broken {
        return fault_response(500);
    }
    ok_or_bad_request(list(&state.sync_runs, pairs, now))
}

/// Lists the stages of a user's runs, newest first.
pub(crate) fn respond_recent(state: &OwState, user: &str, pairs: &QueryPairs) -> SimulatedResponse {
    if !state.users.contains_key(user) {
        return error_response(StatusCode::NOT_FOUND, &format!("User with ID: {user} not found."));
    }
    let runs = state.sync_runs.iter().rev().filter(|(_, run)| run.user == user);
    let stages = runs.flat_map(|(id, run)| {
        let is_historical = run.from.is_some();
        [
            json!({ "run_id": id, "stage": "completed", "status": run.status, "source": run.source,
                    "metadata": { "is_historical": is_historical } }),
            json!({ "run_id": id, "stage": "started", "status": "in_progress", "source": run.source,
                    "metadata": { "is_historical": is_historical, "start_date": run.from.map(with_offset),
                                  "end_date": null } }),
        ]
    });
    ok_or_bad_request(parse_limit(pairs, STAGES_CAP).map(|_| stages.collect()))
}

fn list(runs: &[(String, SimulatedRun)], pairs: &QueryPairs, now: Timestamp) -> Result<Value, String> {
    let limit = parse_limit(pairs, RUNS_CAP)?;
    if parameter(pairs, "user_id").is_some_and(|user| Uuid::try_parse(user).is_err()) {
        return Err("Input should be a valid UUID".into());
    }
    let is = |name: &str, value: &str| parameter(pairs, name).is_none_or(|wanted| wanted == value);
    let mut found: Vec<_> = runs
        .iter()
        .filter(|(_, run)| run.at.plus(RUN_LIFETIME) > now)
        .filter(|(_, run)| is("user_id", &run.user) && is("source", &run.source))
        .filter(|(_, run)| is("status", &run.status) && is("provider", "oura"))
        .collect();
    found.sort_by_key(|(_, run)| Reverse(run.at));
    Ok(found.into_iter().take(limit).map(|(id, run)| render(id, run)).collect())
}

fn render(id: &str, run: &SimulatedRun) -> Value {
    let updated = run.items.unwrap_or_default();
    let has_ended = run.status != "in_progress";
    json!({
        "run_id": id,
        "user_id": run.user,
        "provider": "oura",
        "source": run.source,
        "stage": if has_ended { "completed" } else { "fetching" },
        "status": run.status,
        "message": format!("Sync from oura completed \u{b7} 0 new, {updated} updated"),
        "progress": has_ended.then_some(1.0),
        "items_processed": run.items,
        "items_total": null,
        "error": null,
        "primary_user_id": null,
        "started_at": run.at.minus(Duration::from_secs(1)).to_string(),
        "ended_at": has_ended.then(|| run.at.to_string()),
        "last_update": run.at.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_run_has_the_fields_of_a_real_one() {
        let captured: Value =
            serde_json::from_str(include_str!("../../../tests/captures/sync-runs.json")).unwrap();
        let now = at("2026-11-23T22:08:00Z");
        for real in captured["response"]["body"].as_array().unwrap() {
            let run = SimulatedRun {
                user: real["user_id"].as_str().unwrap().to_owned(),
                source: real["source"].as_str().unwrap().to_owned(),
                status: real["status"].as_str().unwrap().to_owned(),
                items: real["items_processed"].as_u64(),
                from: None,
                at: at(real["last_update"].as_str().unwrap()),
            };
            let ours = list(&[(real["run_id"].as_str().unwrap().to_owned(), run)], &[], now).unwrap();
            let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(&ours[0]), names(real));
            for name in ["run_id", "user_id", "source", "status", "items_processed", "last_update", "stage"] {
                assert_eq!(ours[0][name], real[name], "{name}");
            }
        }
    }

    #[test]
    fn runs_are_listed_newest_first_for_a_day_and_invalid_queries_are_refused() {
        let now = at("2026-11-21T12:00:00Z");
        let hours = |hours| now.minus(Duration::from_hours(hours));
        let runs: Vec<_> = [2, 1, 25]
            .map(|ago| (ago.to_string(), SimulatedRun::pull("u", hours(ago))))
            .into_iter()
            .collect();
        let ids = |query: &[(&str, &str)]| {
            list(&runs, &pairs(query), now).map(|found| {
                found.as_array().unwrap().iter().map(|run| run["run_id"].clone()).collect::<Vec<_>>()
            })
        };
        assert_eq!(ids(&[]).unwrap(), ["1", "2"]);
        assert_eq!(ids(&[("limit", "1")]).unwrap(), ["1"]);
        assert!(ids(&[("source", "backfill")]).unwrap().is_empty());
        assert_eq!(ids(&[("limit", "0")]).unwrap_err(), "Input should be greater than or equal to 1");
        assert_eq!(ids(&[("limit", "10001")]).unwrap_err(), "Input should be less than or equal to 10000");
        assert_eq!(ids(&[("user_id", "u")]).unwrap_err(), "Input should be a valid UUID");
    }
}
