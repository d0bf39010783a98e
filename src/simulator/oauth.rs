//! Connecting a device: providers, authorization, the provider's own page, and the way back.

use std::time::Duration;

use http::StatusCode;
use maud::{DOCTYPE, html};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::common::time::Timestamp;
use crate::simulator::oauth_state::{Begun, Connection};
use crate::simulator::responses::{Answer, detail, full, internal_error, json_answer, with_body};
use crate::simulator::state::{State, random};
use crate::simulator::user::User;

/// What a real OW lists.
const PROVIDERS: &str = include_str!("providers.json");
/// How long a state is remembered.
const STATE_AGE: Duration = Duration::from_mins(15);
/// What Oura is asked for.
const SCOPES: &str = "personal daily activity heartrate workout session spo2 ring_configuration heart_health";
/// The code with which the simulated provider sends somebody back who agreed; any other is refused.
const CODE: &str = "simulated-code";

type Pairs = [(String, String)];

fn value<'a>(query: &'a Pairs, name: &str) -> Option<&'a str> {
    query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

pub(crate) fn providers() -> Vec<Value> {
    serde_json::from_str(PROVIDERS).unwrap_or_default()
}

fn is_oauth(provider: &str) -> Option<bool> {
    let known = providers().into_iter().find(|one| one["provider"] == provider)?;
    known["has_cloud_api"].as_bool()
}

/// Everything below `/api/v1/oauth/`; none of it asks for the key. `own` is this server's address.
pub(crate) fn answer(
    state: &mut State,
    method: &str,
    path: &[&str],
    query: &Pairs,
    own: &str,
    now: Timestamp,
) -> Answer {
    if let Some(status) = state.oauth.broken {
        return match status {
            500 => internal_error(),
            status => detail(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY), "Broken"),
        };
    }
    match (method, path) {
        ("GET", ["providers"]) => json_answer(StatusCode::OK, Value::from(providers()).to_string()),
        ("GET", ["success"]) => json_answer(StatusCode::OK, json!({ "success": true }).to_string()),
        ("GET", ["error"]) => json_answer(StatusCode::OK, json!({ "success": false }).to_string()),
        ("GET", [provider, "authorize"]) => match authorize(state, provider, query, own, now) {
            Ok(begun) => json_answer(StatusCode::OK, begun.to_string()),
            Err(text) => detail(StatusCode::BAD_REQUEST, &text),
        },
        ("GET", [provider, "callback"]) => callback(state, provider, query, now),
        _ => detail(StatusCode::NOT_FOUND, "Not Found"),
    }
}

/// Whether the user exists is not looked at, nor where it shall end.
fn authorize(
    state: &mut State,
    provider: &str,
    query: &Pairs,
    own: &str,
    now: Timestamp,
) -> Result<Value, String> {
    let user = value(query, "user_id").ok_or("Field required")?;
    if Uuid::try_parse(user).is_err() {
        return Err("Input should be a valid UUID".to_owned());
    }
    match is_oauth(provider) {
        Some(true) => {}
        Some(false) => return Err(format!("Provider '{provider}' does not support OAuth")),
        None => return Err("Input should be a known provider".to_owned()),
    }
    let oauth = &mut state.oauth;
    let id = if oauth.configured.contains(provider) {
        format!("simulated-{provider}-client")
    } else {
        String::new()
    };
    let name = random().simple().to_string();
    let back = format!("{}/api/v1/oauth/{provider}/callback", oauth.api_base.as_deref().unwrap_or(own));
    let scopes = SCOPES.replace(' ', "%20");
    let page = format!(
        "{own}/cloud.ouraring.com/oauth/authorize?response_type=code&client_id={id}&redirect_uri={back}\
         &state={name}&scope={scopes}"
    );
    let redirect_uri = value(query, "redirect_uri").map(str::to_owned);
    let (provider, user) = (provider.to_owned(), user.to_owned());
    let begun = Begun { provider, user, redirect_uri, expires: now.plus(STATE_AGE) };
    oauth.states.insert(name.clone(), begun);
    Ok(json!({ "authorization_url": page, "state": name }))
}

fn callback(state: &mut State, provider: &str, query: &Pairs, now: Timestamp) -> Answer {
    if let Some(error) = value(query, "error") {
        let described = value(query, "error_description").unwrap_or("Unknown+error");
        return see_other(&format!("/api/v1/oauth/error?message={error}:+{described}"));
    }
    let (Some(code), Some(name)) = (value(query, "code"), value(query, "state")) else {
        return see_other("/api/v1/oauth/error?message=Missing+OAuth+parameters");
    };
    let begun =
        state.oauth.states.remove(name).filter(|begun| begun.provider == provider && begun.expires > now);
    let Some(begun) = begun else {
        return detail(StatusCode::BAD_REQUEST, "Invalid or expired state parameter");
    };
    if code != CODE {
        return detail(StatusCode::BAD_REQUEST, "Failed to exchange authorization code for tokens");
    }
    let Some(user) = state.users.get_mut(&begun.user) else { return internal_error() };
    user.connections.insert(begun.provider, Connection { is_active: true, since: now });
    see_other(
        &begun
            .redirect_uri
            .unwrap_or_else(|| format!("/api/v1/oauth/success?provider={provider}&user_id={}", begun.user)),
    )
}

fn see_other(to: &str) -> Answer {
    let mut answer = with_body(StatusCode::SEE_OTHER, "text/plain", full(""));
    if let Ok(to) = to.parse() {
        answer.headers_mut().insert(http::header::LOCATION, to);
    }
    answer
}

/// The provider's own page: whoever wears the ring agrees, refuses, or meets an error.
pub(crate) fn provider_page(query: &Pairs) -> Answer {
    let back = value(query, "redirect_uri").unwrap_or_default();
    let state = value(query, "state").unwrap_or_default();
    let ways = [
        ("agree", "Agree", format!("code={CODE}&state={state}&scope={SCOPES}")),
        ("refuse", "Refuse", format!("error=access_denied&state={state}")),
        ("fail", "Make it fail", format!("error=server_error&error_description=Try+later&state={state}")),
    ];
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Simulated provider" }
                style { "body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:2rem auto;padding:0 1rem}\
                         a{display:block;margin:.75rem 0;padding:.75rem;border:1px solid;border-radius:.5rem}" }
            }
            body { main {
                h1 { "Simulated provider" }
                p { "Here the maker of the ring would ask whether Open Wearables may read its measurements. This page \
                     is simulated; nothing here is real." }
                @for (id, words, query) in ways { a id=(id) href={ (back) "?" (query) } { (words) } }
            } }
        }
    };
    with_body(StatusCode::OK, "text/html; charset=utf-8", full(page.into_string()))
}

/// A user's connections, as OW lists them; ended ones stay in the list.
pub(crate) fn connections(id: &str, user: &User, now: Timestamp) -> Value {
    let connections = user.connections.iter().map(|(provider, connection)| {
        json!({
            "user_id": id,
            "provider": provider,
            "provider_user_id": "OURA60001",
            "provider_username": null,
            "scope": "daily heartrate",
            "id": "292a017e-e643-4386-8874-bc8ebf9436dc",
            "status": if connection.is_active { "active" } else { "revoked" },
            "last_synced_at": now.to_string(),
            "created_at": connection.since.to_string(),
            "updated_at": now.to_string(),
            "icon_url": format!("/static/provider-icons/{provider}.svg"),
            "max_historical_days": null,
            "rest_pull": true,
            "webhook_stream": false,
            "webhook_ping": true,
            "webhook_callback": false,
            "live_sync_mode": "pull",
            "linked_user_ids": [],
        })
    });
    connections.collect()
}

/// Ends a connection.
pub(crate) fn disconnect(user: Option<&mut User>, provider: &str) -> Answer {
    match user.and_then(|user| user.connections.get_mut(provider)) {
        Some(connection) => {
            connection.is_active = false;
            with_body(StatusCode::NO_CONTENT, "application/json", full(""))
        }
        None => detail(StatusCode::NOT_FOUND, "Connection not found"),
    }
}
