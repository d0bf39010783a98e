//! Users, their connections, historical syncs, and every other route without pages.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::common::time::Timestamp;
use crate::simulator::endpoints::{data_summary, oauth, sync_runs};
use crate::simulator::query::{QueryPairs, parameter, with_offset};
use crate::simulator::responses::{
    SimulatedResponse, error_response, fault_response, full, json_response, ok_or_bad_request, response,
};
use crate::simulator::{state::OwState, user::SimulatedUser};

/// Answers a request; `path` is the part after `/api/v1/`.
pub(crate) fn respond(
    state: &mut OwState,
    method: &str,
    path: &[&str],
    query: &QueryPairs,
    body: &str,
    now: Timestamp,
) -> SimulatedResponse {
    match state.users_fault {
        Some(409) => return error_response(StatusCode::CONFLICT, "User with this email already exists."),
        Some(status) => return fault_response(status),
        None => {}
    }
    if let ["users", id, ..] = path
        && Uuid::try_parse(id).is_err()
    {
        return invalid_uuid();
    }
    match (method, path) {
        ("GET", ["users", id]) => match state.users.get(*id) {
            Some(user) => json_response(StatusCode::OK, render(id, user).to_string()),
            None => error_response(StatusCode::NOT_FOUND, &format!("User with ID: {id} not found.")),
        },
        ("GET", ["users", id, "connections"]) => {
            let mixed_up = state.mixed_up.as_ref().filter(|(asked, _)| asked == id);
            let id = mixed_up.map_or(*id, |(_, answered)| answered);
            let connections = state.users.get(id).map_or_else(
                || json!([]),
                |user| oauth::list_connections(id, user, state.last_pull.unwrap_or(now)),
            );
            json_response(StatusCode::OK, connections.to_string())
        }
        ("DELETE", ["users", id, "connections", provider]) => {
            oauth::disconnect(state.users.get_mut(*id), provider)
        }
        ("GET", ["users", id, "summaries", "data"]) => {
            ok_or_bad_request(data_summary::respond(state.user(id), id, query))
        }
        ("DELETE", ["users", id, "events", "sleep", event]) => delete_event(state.user(id), true, event),
        ("DELETE", ["users", id, "events", "workouts", event]) => delete_event(state.user(id), false, event),
        ("POST", ["providers", .., "sync", "historical"]) if state.is_queue_broken => fault_response(500),
        ("POST", ["providers", provider, "users", id, "sync", "historical"]) => {
            sync_history(state, provider, id, query, now)
        }
        ("GET", ["users", id, "sync", "recent"]) => sync_runs::respond_recent(state, id, query),
        ("GET", ["sync", "runs"]) => sync_runs::respond(state, query, now),
        ("GET", ["users"]) => json_response(StatusCode::OK, list(state, query).to_string()),
        ("POST", ["users"]) => create(state, body, now),
        _ => error_response(StatusCode::NOT_FOUND, "Not Found"),
    }
}

fn invalid_uuid() -> SimulatedResponse {
    error_response(StatusCode::BAD_REQUEST, "Input should be a valid UUID")
}

fn render(id: &str, user: &SimulatedUser) -> Value {
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

fn list(state: &OwState, query: &QueryPairs) -> Value {
    let wanted = parameter(query, "external_user_id");
    let users =
        state.users.iter().filter(|(_, user)| wanted.is_none() || user.external_id.as_deref() == wanted);
    let items: Vec<Value> = users.map(|(id, user)| render(id, user)).take(20).collect();
    json!({ "total": items.len(), "items": items, "page": 1, "limit": 20, "pages": 1, "has_next": false,
            "has_prev": false })
}

fn create(state: &mut OwState, body: &str, now: Timestamp) -> SimulatedResponse {
    let Ok(request) = serde_json::from_str::<Value>(body) else {
        return error_response(StatusCode::BAD_REQUEST, "JSON decode error");
    };
    let external_id = match &request["external_user_id"] {
        Value::Null => None,
        Value::String(id) => Some(id.clone()),
        _ => return error_response(StatusCode::BAD_REQUEST, "Input should be a valid string"),
    };
    let id = state.add_user(external_id, now);
    let user = render(&id, state.user(&id));
    json_response(StatusCode::CREATED, user.to_string())
}

fn delete_event(user: &mut SimulatedUser, is_sleep: bool, event: &str) -> SimulatedResponse {
    let Ok(id) = Uuid::try_parse(event) else { return invalid_uuid() };
    if user.events.get(&id).is_some_and(|event| event.as_sleep().is_some() == is_sleep) {
        user.events.remove(&id);
        return response(StatusCode::NO_CONTENT, "application/json", full(""));
    }
    let detail = if is_sleep { "Sleep session not found" } else { "Workout not found" };
    error_response(StatusCode::NOT_FOUND, detail)
}

/// Starts a historical sync. A real OW queues the work; here it has ended before the answer.
fn sync_history(
    state: &mut OwState,
    provider: &str,
    id: &str,
    query: &QueryPairs,
    now: Timestamp,
) -> SimulatedResponse {
    let Ok(days @ 1..=365) = parameter(query, "days").map_or(Ok(90), str::parse::<u64>) else {
        return error_response(StatusCode::BAD_REQUEST, "Input should be less than or equal to 365");
    };
    let from = now.minus(Duration::from_hours(24 * days));
    state.user(id).sync_history(from);
    let answer = json!({
        "success": true,
        "provider": provider,
        "user_id": id,
        "method": "pull_api",
        "task_id": "44a29dc0-fa2c-4bef-bc86-3a7c791a0e4c",
        "message": format!("Historical sync queued for {days} days of {provider} data."),
        "days": days,
        "start_date": with_offset(from),
        "end_date": with_offset(now),
    });
    json_response(StatusCode::OK, answer.to_string())
}
