//! The other endpoints, and how answers are made.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use uuid::Uuid;

use super::rows::{Record, User};
use super::state::State;
use crate::time::Timestamp;

pub(super) type Body = UnsyncBoxBody<Bytes, std::io::Error>;
pub(super) type Answer = Response<Body>;

pub(super) fn json_answer(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    with_body(status, "application/json", full(body))
}

pub(super) fn detail(status: StatusCode, text: &str) -> Answer {
    json_answer(status, json!({ "detail": text }).to_string())
}

/// OW's 500 is no JSON.
pub(super) fn internal_error() -> Answer {
    with_body(StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", full("Internal Server Error"))
}

pub(super) fn with_body(status: StatusCode, kind: &'static str, body: Body) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    answer
}

pub(super) fn full(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()
}

/// Everything but the pages. `path` is what follows `/api/v1/`.
pub(super) fn answer(
    state: &mut State,
    method: &str,
    path: &[&str],
    query: &[(String, String)],
    now: Timestamp,
) -> Answer {
    let bad_id = path.first() == Some(&"users") && path.get(1).is_some_and(|id| Uuid::try_parse(id).is_err());
    if bad_id {
        return detail(StatusCode::BAD_REQUEST, "Input should be a valid UUID");
    }
    match (method, path) {
        ("GET", ["users", id]) => match state.users.get(*id) {
            Some(user) => json_answer(StatusCode::OK, describe(id, user).to_string()),
            None => detail(StatusCode::NOT_FOUND, &format!("User with ID: {id} not found.")),
        },
        ("GET", ["users", id, "connections"]) => {
            let connections = state.users.contains_key(*id).then(|| connection(id, now));
            json_answer(StatusCode::OK, Value::from_iter(connections).to_string())
        }
        ("GET", ["users", id, "summaries", "data"]) => match counts(state.user(id), id, query) {
            Ok(counts) => json_answer(StatusCode::OK, counts.to_string()),
            Err(text) => detail(StatusCode::BAD_REQUEST, &text),
        },
        ("POST", ["providers", .., "sync", "historical"]) if state.queue_broken => internal_error(),
        ("POST", ["providers", provider, "users", id, "sync", "historical"]) => {
            historical(state, provider, id, query, now)
        }
        ("POST", ["users"]) => {
            let id = state.add_user(None, now);
            let user = describe(&id, state.user(&id));
            json_answer(StatusCode::CREATED, user.to_string())
        }
        _ => detail(StatusCode::NOT_FOUND, "Not Found"),
    }
}

fn describe(id: &str, user: &User) -> Value {
    json!({
        "id": id,
        "created_at": user.created.map(|at| at.to_string()),
        "first_name": null,
        "last_name": null,
        "email": null,
        "external_user_id": user.external_id,
        "last_synced_at": null,
        "last_synced_provider": null,
        "has_active_connection": true,
    })
}

fn connection(id: &str, now: Timestamp) -> Value {
    let at = now.to_string();
    json!({
        "user_id": id,
        "provider": "oura",
        "provider_user_id": "OURA60001",
        "provider_username": null,
        "scope": "daily heartrate",
        "id": "292a017e-e643-4386-8874-bc8ebf9436dc",
        "status": "active",
        "last_synced_at": at,
        "created_at": at,
        "updated_at": at,
        "icon_url": "/static/provider-icons/oura.svg",
        "max_historical_days": null,
        "rest_pull": true,
        "webhook_stream": false,
        "webhook_ping": true,
        "webhook_callback": false,
        "live_sync_mode": "pull",
        "linked_user_ids": [],
    })
}

fn counts(user: &User, id: &str, query: &[(String, String)]) -> Result<Value, String> {
    let bound = |name: &str, default: Timestamp| match query.iter().find(|(key, _)| key == name) {
        None => Ok(default),
        Some((_, text)) => Timestamp::parse(text).map_err(|_| format!("Invalid datetime format: {text}")),
    };
    let (from, until) = (bound("start_date", Timestamp::MIN)?, bound("end_date", Timestamp::MAX)?);
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for ((_, kind), record) in user.records.range((from.micros(), 0)..(until.micros(), 0)) {
        if let (Record::Sample { .. }, Some(kind)) = (record, user.kind(*kind)) {
            *counts.entry(&kind.series_type).or_default() += 1;
        }
    }
    let total: u64 = counts.values().sum();
    Ok(json!({
        "user_id": id,
        "total_data_points": total,
        "total_workouts": 0,
        "total_sleep_events": 0,
        "series_type_counts": counts,
        "workout_type_counts": {},
        "by_provider": [],
        "has_womens_health_data": false,
    }))
}

/// A real OW queues the work; here it is done by the time of the answer.
fn historical(
    state: &mut State,
    provider: &str,
    id: &str,
    query: &[(String, String)],
    now: Timestamp,
) -> Answer {
    let days = query.iter().find(|(key, _)| key == "days").map_or(Ok(90), |(_, days)| days.parse::<u64>());
    let Ok(days @ 1..=365) = days else {
        return detail(StatusCode::BAD_REQUEST, "Input should be less than or equal to 365");
    };
    let from = now.minus(std::time::Duration::from_hours(24 * days));
    state.user(id).sync(from);
    let answer = json!({
        "success": true,
        "provider": provider,
        "user_id": id,
        "method": "pull_api",
        "task_id": "44a29dc0-fa2c-4bef-bc86-3a7c791a0e4c",
        "message": format!("Historical sync queued for {days} days of {provider} data."),
        "days": days,
        "start_date": from.to_string().replace('Z', "+00:00"),
        "end_date": now.to_string().replace('Z', "+00:00"),
    });
    json_answer(StatusCode::OK, answer.to_string())
}
