//! `GET /sync/runs`: what OW has fetched of late, and for whom.

use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::common::time::Timestamp;
use crate::simulator::query::{Pairs, last};
use crate::simulator::responses::{Answer, detail, internal_error, json_answer};
use crate::simulator::run::Run;
use crate::simulator::state::State;

/// How long OW's Redis keeps a run.
const KEPT: std::time::Duration = std::time::Duration::from_hours(24);
/// Runs of an answer: at most, and where the question does not say.
const MOST: usize = 10_000;
const DEFAULT: usize = 50;

pub(crate) fn answer(state: &State, pairs: &Pairs, now: Timestamp) -> Answer {
    if state.queue_broken {
        // Runs live in the same Redis as the queue of tasks.
        return internal_error();
    }
    match list(&state.runs, pairs, now) {
        Ok(runs) => json_answer(StatusCode::OK, runs.to_string()),
        Err(text) => detail(StatusCode::BAD_REQUEST, &text),
    }
}

/// `GET /users/{id}/sync/recent`: what each run noted, the newest first.
pub(crate) fn recent(state: &State, user: &str, pairs: &Pairs) -> Answer {
    if !state.users.contains_key(user) {
        return detail(StatusCode::NOT_FOUND, &format!("User with ID: {user} not found."));
    }
    if last(pairs, "limit").is_some_and(|limit| !limit.parse().is_ok_and(|limit| (1..=200).contains(&limit)))
    {
        return detail(StatusCode::BAD_REQUEST, "Input should be less than or equal to 200");
    }
    let of_user = state.runs.iter().rev().filter(|(_, run)| run.user == user);
    let events: Value = of_user
        .flat_map(|(id, run)| {
            let end = json!({ "run_id": id, "stage": "completed", "status": run.status, "source": run.source,
                              "metadata": { "is_historical": run.from.is_some() } });
            let start = json!({ "run_id": id, "stage": "started", "status": "in_progress", "source": run.source,
                                "metadata": {
                                    "is_historical": run.from.is_some(),
                                    "start_date": run.from.map(|from| from.to_string().replace('Z', "+00:00")),
                                    "end_date": null,
                                } });
            [end, start]
        })
        .collect();
    json_answer(StatusCode::OK, events.to_string())
}

fn list(runs: &[(String, Run)], pairs: &Pairs, now: Timestamp) -> Result<Value, String> {
    let limit = match last(pairs, "limit").map(str::parse::<i64>) {
        None => DEFAULT,
        Some(Err(_)) => {
            return Err("Input should be a valid integer, unable to parse string as an integer".into());
        }
        Some(Ok(limit)) if limit < 1 => return Err("Input should be greater than or equal to 1".into()),
        Some(Ok(limit)) => usize::try_from(limit)
            .ok()
            .filter(|limit| *limit <= MOST)
            .ok_or("Input should be less than or equal to 10000")?,
    };
    let user = last(pairs, "user_id");
    if user.is_some_and(|user| Uuid::try_parse(user).is_err()) {
        return Err("Input should be a valid UUID".into());
    }
    let is = |name: &str, value: &str| last(pairs, name).is_none_or(|wanted| wanted == value);
    let mut wanted: Vec<_> = runs
        .iter()
        .filter(|(_, run)| run.at.plus(KEPT) > now)
        .filter(|(_, run)| is("user_id", &run.user) && is("source", &run.source))
        .filter(|(_, run)| is("status", &run.status) && is("provider", "oura"))
        .collect();
    wanted.sort_by_key(|(_, run)| std::cmp::Reverse(run.at));
    Ok(wanted.into_iter().take(limit).map(|(id, run)| describe(id, run)).collect())
}

fn describe(id: &str, run: &Run) -> Value {
    let is_over = run.status != "in_progress";
    json!({
        "run_id": id,
        "user_id": run.user,
        "provider": "oura",
        "source": run.source,
        "stage": if is_over { "completed" } else { "fetching" },
        "status": run.status,
        "message": format!("Sync from oura completed \u{b7} 0 new, {} updated", run.items.unwrap_or_default()),
        "progress": if is_over { json!(1.0) } else { Value::Null },
        "items_processed": run.items,
        "items_total": null,
        "error": null,
        "primary_user_id": null,
        "started_at": run.at.minus(std::time::Duration::from_secs(1)).to_string(),
        "ended_at": is_over.then(|| run.at.to_string()),
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
            serde_json::from_str(include_str!("../../tests/captures/sync-runs.json")).unwrap();
        let now = at("2026-11-23T22:08:00Z");
        for real in captured["response"]["body"].as_array().unwrap() {
            let run = Run {
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
    fn runs_are_listed_newest_first_for_a_day_and_wrong_questions_are_refused() {
        let now = at("2026-11-21T12:00:00Z");
        let hours = |hours| now.minus(std::time::Duration::from_hours(hours));
        let runs: Vec<_> =
            [2, 1, 25].map(|ago| (ago.to_string(), Run::pull("u", hours(ago)))).into_iter().collect();
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
