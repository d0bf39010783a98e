//! Connecting a device: the providers, the authorization, the provider's own page, and the callback.

use std::time::Duration;

use http::StatusCode;
use maud::{DOCTYPE, html};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::common::time::Timestamp;
use crate::simulator::query::{QueryPairs, parameter};
use crate::simulator::responses::{
    SimulatedResponse, error_response, fault_response, full, ok_or_bad_request, redirect, response,
};
use crate::simulator::state::{OwState, PendingAuthorization, random_uuid};
use crate::simulator::user::SimulatedUser;

/// The list of a real OW.
const PROVIDERS: &str = include_str!("providers.json");
/// OW forgets the `state` of an authorization after this time.
const STATE_LIFETIME: Duration = Duration::from_mins(15);
/// The scopes that OW requests from Oura.
const SCOPES: &str = "personal daily activity heartrate workout session spo2 ring_configuration heart_health";
/// The only authorization code that the callback accepts.
const CODE: &str = "simulated-code";

fn list_providers() -> Vec<Value> {
    serde_json::from_str(PROVIDERS).unwrap_or_default()
}

/// Answers a request below `/api/v1/oauth/`, where OW requires no key.
pub(crate) fn respond(
    state: &mut OwState,
    method: &str,
    path: &[&str],
    query: &QueryPairs,
    own_url: &str,
    now: Timestamp,
) -> SimulatedResponse {
    if let Some(status) = state.oauth.fault {
        return fault_response(status);
    }
    match (method, path) {
        ("GET", ["providers"]) => ok_or_bad_request(Ok(list_providers().into())),
        ("GET", ["success"]) => ok_or_bad_request(Ok(json!({ "success": true }))),
        ("GET", ["error"]) => ok_or_bad_request(Ok(json!({ "success": false }))),
        ("GET", [provider, "authorize"]) => {
            ok_or_bad_request(authorize(state, provider, query, own_url, now))
        }
        ("GET", [provider, "callback"]) => complete(state, provider, query, now),
        _ => error_response(StatusCode::NOT_FOUND, "Not Found"),
    }
}

/// Begins an authorization. Like a real OW, it checks neither that the user exists nor the `redirect_uri`.
fn authorize(
    state: &mut OwState,
    provider: &str,
    query: &QueryPairs,
    own_url: &str,
    now: Timestamp,
) -> Result<Value, String> {
    let user = parameter(query, "user_id").ok_or("Field required")?;
    if Uuid::try_parse(user).is_err() {
        return Err("Input should be a valid UUID".to_owned());
    }
    let listed = list_providers().into_iter().find(|listed| listed["provider"] == provider);
    match listed.and_then(|listed| listed["has_cloud_api"].as_bool()) {
        Some(true) => {}
        Some(false) => return Err(format!("Provider '{provider}' does not support OAuth")),
        None => return Err("Input should be a known provider".to_owned()),
    }
    let oauth = &mut state.oauth;
    // A real OW without credentials sends an empty client id, and leaves the error to the provider.
    let client_id = if oauth.configured.contains(provider) {
        format!("simulated-{provider}-client")
    } else {
        String::new()
    };
    let nonce = random_uuid().simple().to_string();
    let callback =
        format!("{}/api/v1/oauth/{provider}/callback", oauth.api_base.as_deref().unwrap_or(own_url));
    let scopes = SCOPES.replace(' ', "%20");
    let page = format!(
        "{own_url}/cloud.ouraring.com/oauth/authorize?response_type=code&client_id={client_id}\
         &redirect_uri={callback}&state={nonce}&scope={scopes}"
    );
    let pending = PendingAuthorization {
        provider: provider.to_owned(),
        user: user.to_owned(),
        redirect_uri: parameter(query, "redirect_uri").map(str::to_owned),
        expires: now.plus(STATE_LIFETIME),
    };
    oauth.pending.insert(nonce.clone(), pending);
    Ok(json!({ "authorization_url": page, "state": nonce }))
}

fn complete(state: &mut OwState, provider: &str, query: &QueryPairs, now: Timestamp) -> SimulatedResponse {
    let see_other = |location: &str| redirect(StatusCode::SEE_OTHER, location);
    if let Some(error) = parameter(query, "error") {
        let description = parameter(query, "error_description").unwrap_or("Unknown+error");
        return see_other(&format!("/api/v1/oauth/error?message={error}:+{description}"));
    }
    let (Some(code), Some(nonce)) = (parameter(query, "code"), parameter(query, "state")) else {
        return see_other("/api/v1/oauth/error?message=Missing+OAuth+parameters");
    };
    let pending = state.oauth.pending.remove(nonce);
    let Some(pending) = pending.filter(|it| it.provider == provider && it.expires > now) else {
        return error_response(StatusCode::BAD_REQUEST, "Invalid or expired state parameter");
    };
    if code != CODE {
        return error_response(StatusCode::BAD_REQUEST, "Failed to exchange authorization code for tokens");
    }
    let PendingAuthorization { user: id, redirect_uri, .. } = pending;
    let Some(user) = state.users.get_mut(&id) else { return fault_response(500) };
    user.connect(provider, now);
    let success = || format!("/api/v1/oauth/success?provider={provider}&user_id={id}");
    see_other(&redirect_uri.unwrap_or_else(success))
}

/// Renders the provider's own page, where the patient agrees, refuses, or provokes an error.
pub(crate) fn provider_page(query: &QueryPairs) -> SimulatedResponse {
    let callback = parameter(query, "redirect_uri").unwrap_or_default();
    let state = parameter(query, "state").unwrap_or_default();
    let choices = [
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
                p { "Here the maker of the ring would ask whether Open Wearables may read its measurements. \
                    This page is simulated; nothing here is real." }
                @for (id, label, query) in choices { a id=(id) href={ (callback) "?" (query) } { (label) } }
            } }
        }
    };
    response(StatusCode::OK, "text/html; charset=utf-8", full(page.into_string()))
}

/// Lists a user's connections. As at OW, those that have ended stay in the list.
pub(crate) fn list_connections(id: &str, user: &SimulatedUser, last_sync: Timestamp) -> Value {
    let connections = user.connections.iter().map(|(provider, connection)| {
        json!({
            "user_id": id,
            "provider": provider,
            "provider_user_id": "OURA60001",
            "provider_username": null,
            "scope": "daily heartrate",
            "id": "292a017e-e643-4386-8874-bc8ebf9436dc",
            "status": if connection.is_active { "active" } else { "revoked" },
            "last_synced_at": last_sync.to_string(),
            "created_at": connection.since.to_string(),
            "updated_at": last_sync.to_string(),
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

pub(crate) fn disconnect(user: Option<&mut SimulatedUser>, provider: &str) -> SimulatedResponse {
    match user.and_then(|user| user.connections.get_mut(provider)) {
        Some(connection) => {
            connection.is_active = false;
            response(StatusCode::NO_CONTENT, "application/json", full(""))
        }
        None => error_response(StatusCode::NOT_FOUND, "Connection not found"),
    }
}
