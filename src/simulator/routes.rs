use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::common::time::Timestamp;
use crate::simulator::data_summary::counts;
use crate::simulator::oauth::{connections, disconnect};
use crate::simulator::responses::{Answer, detail, full, internal_error, json_answer, with_body};
use crate::simulator::runs;
use crate::simulator::state::State;
use crate::simulator::user::User;

/// Everything but the pages. `path` is what follows `/api/v1/`.
pub(crate) fn answer(
    state: &mut State,
    method: &str,
    path: &[&str],
    query: &[(String, String)],
    body: &str,
    now: Timestamp,
) -> Answer {
    if let Some(status) = state.users_broken {
        return match status {
            500 => internal_error(),
            409 => detail(StatusCode::CONFLICT, "User with this email already exists."),
            status => detail(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY), "Broken"),
        };
    }
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
            let connections = state
                .users
                .get(*id)
                .map_or_else(|| json!([]), |user| connections(id, user, state.pulled.unwrap_or(now)));
            json_answer(StatusCode::OK, connections.to_string())
        }
        ("DELETE", ["users", id, "connections", provider]) => disconnect(state.users.get_mut(*id), provider),
        ("GET", ["users", id, "summaries", "data"]) => match counts(state.user(id), id, query) {
            Ok(counts) => json_answer(StatusCode::OK, counts.to_string()),
            Err(text) => detail(StatusCode::BAD_REQUEST, &text),
        },
        ("DELETE", ["users", id, "events", kind @ ("sleep" | "workouts"), event]) => {
            delete_event(state.user(id), kind, event)
        }
        ("POST", ["providers", .., "sync", "historical"]) if state.queue_broken => internal_error(),
        ("POST", ["providers", provider, "users", id, "sync", "historical"]) => {
            historical(state, provider, id, query, now)
        }
        ("GET", ["users", id, "sync", "recent"]) => runs::recent(state, id, query),
        ("GET", ["sync", "runs"]) => runs::answer(state, query, now),
        ("GET", ["users"]) => json_answer(StatusCode::OK, list(state, query).to_string()),
        ("POST", ["users"]) => create(state, body, now),
        _ => detail(StatusCode::NOT_FOUND, "Not Found"),
    }
}

pub(crate) fn describe(id: &str, user: &User) -> Value {
    json!({
        "id": id,
        "created_at": user.created.map(|at| at.to_string()),
        "first_name": null,
        "last_name": null,
        "email": null,
        "external_user_id": user.external_id,
        "last_synced_at": null,
        "last_synced_provider": null,
        "has_active_connection": user.connections.values().any(|connection| connection.is_active),
    })
}

pub(crate) fn list(state: &State, query: &[(String, String)]) -> Value {
    let wanted = query.iter().find(|(name, _)| name == "external_user_id").map(|(_, id)| id);
    let users =
        state.users.iter().filter(|(_, user)| wanted.is_none() || user.external_id.as_ref() == wanted);
    let items: Vec<Value> = users.map(|(id, user)| describe(id, user)).take(20).collect();
    json!({ "total": items.len(), "items": items, "page": 1, "limit": 20, "pages": 1, "has_next": false,
            "has_prev": false })
}

/// A second user of one external id is the first.
pub(crate) fn create(state: &mut State, body: &str, now: Timestamp) -> Answer {
    let Ok(asked) = serde_json::from_str::<Value>(body) else {
        return detail(StatusCode::BAD_REQUEST, "JSON decode error");
    };
    let external_id = match &asked["external_user_id"] {
        Value::Null => None,
        Value::String(id) => Some(id.clone()),
        _ => return detail(StatusCode::BAD_REQUEST, "Input should be a valid string"),
    };
    let id = state.add_user(external_id, now);
    let user = describe(&id, state.user(&id));
    json_answer(StatusCode::CREATED, user.to_string())
}

pub(crate) fn delete_event(user: &mut User, kind: &str, event: &str) -> Answer {
    let is_sleep = kind == "sleep";
    let Ok(id) = Uuid::try_parse(event) else {
        return detail(StatusCode::BAD_REQUEST, "Input should be a valid UUID");
    };
    match user.events.get(&id).is_some_and(|event| event.sleep().is_some() == is_sleep) {
        true => {
            user.events.remove(&id);
            with_body(StatusCode::NO_CONTENT, "application/json", full(""))
        }
        false if is_sleep => detail(StatusCode::NOT_FOUND, "Sleep session not found"),
        false => detail(StatusCode::NOT_FOUND, "Workout not found"),
    }
}

/// A real OW queues the work; here it is done by the time of the answer.
pub(crate) fn historical(
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
