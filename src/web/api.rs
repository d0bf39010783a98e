//! The OAuth proxy for API clients and browsers: user creation, authorize, callback. Status codes and
//! messages are those of the predecessor's endpoints.

use http::{Method, StatusCode};
use serde_json::json;
use warp::reply::Response;

use crate::app::connect_device;
use crate::app::connect_device::ConnectError;
use crate::app::state::App;
use crate::model::account::Actor;
use crate::model::patient::PatientId;
use crate::ow::connector::{CallError, Returned};
use crate::secrets::token::TokenHash;
use crate::store::error::StoreError;
use crate::store::people::{device_connection, session};
use crate::store::privacy::audit;
use crate::web::patient::signed_in;
use crate::web::request::Visit;
use crate::web::response::{Refusal, json, see_other};

/// Everything below `/api/v1`.
pub(crate) async fn answer(app: &App, visit: &Visit, path: &[&str]) -> Response {
    if let Err(too_many) = app.limits.open(visit.client) {
        return too_many.into_response();
    }
    match (&visit.method, path) {
        (&Method::POST, ["ow", "users"]) => create_user(app, visit).await,
        (&Method::GET, ["ow", "oauth", provider, "authorize"]) => authorize(app, visit, provider).await,
        (&Method::GET, ["oauth", provider, "callback"]) => match callback(app, visit, provider).await {
            Ok(answer) => answer,
            Err(refusal) => refusal.into_response(),
        },
        (_, ["ow", "users"] | ["ow", "oauth", _, "authorize"] | ["oauth", _, "callback"]) => {
            error(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed")
        }
        _ => error(StatusCode::NOT_FOUND, "Not found"),
    }
}

fn error(status: StatusCode, text: &str) -> Response {
    json(status, &json!({ "error": text }))
}

/// The patient whose bearer token it is. A cookie is no credential here: other sites' pages send it along.
async fn caller(app: &App, visit: &Visit) -> Result<PatientId, Response> {
    let unauthorized = || {
        let text = "Authentication credentials were not provided or are not valid.";
        let mut answer = json(StatusCode::UNAUTHORIZED, &json!({ "detail": text }));
        let scheme = http::HeaderValue::from_static("Bearer");
        answer.headers_mut().insert(http::header::WWW_AUTHENTICATE, scheme);
        answer
    };
    let hash = visit.bearer().ok_or_else(unauthorized)?.hash();
    match app.store.read(move |db| session::api_patient(db, hash)).await {
        Ok(found) => found.ok_or_else(unauthorized),
        Err(trouble) => Err(failed(&trouble.into(), "")),
    }
}

async fn create_user(app: &App, visit: &Visit) -> Response {
    let patient = match caller(app, visit).await {
        Ok(patient) => patient,
        Err(answer) => return answer,
    };
    match connect_device::ensure_user(app, patient, Actor::Patient(patient)).await {
        Ok(user) => json(StatusCode::OK, &json!({ "owUserId": user.as_str() })),
        Err(trouble) => failed(&trouble, "OW API error"),
    }
}

async fn authorize(app: &App, visit: &Visit, provider: &str) -> Response {
    let patient = match caller(app, visit).await {
        Ok(patient) => patient,
        Err(answer) => return answer,
    };
    if !connect_device::is_provider_name(provider) {
        return error(StatusCode::NOT_FOUND, "There is no such provider");
    }
    let ours = connect_device::complete_url(app, provider);
    if visit.query.has("redirect_uri") && visit.query.get("redirect_uri") != ours {
        let text = format!("redirect_uri is not yours to choose: it is {ours}; leave it out");
        return error(StatusCode::BAD_REQUEST, &text);
    }
    match connect_device::authorize(app, patient, provider, None, Actor::Patient(patient)).await {
        Ok(begun) => {
            let body = json!({ "authorizationUrl": begun.authorization_url, "state": begun.state });
            json(StatusCode::OK, &body)
        }
        Err(trouble) => failed(&trouble, "OW OAuth error"),
    }
}

/// The predecessor's statuses: OW's own where it answered, 502 where it did not.
fn failed(trouble: &ConnectError, what: &str) -> Response {
    match trouble {
        ConnectError::NotConfigured => error(StatusCode::INTERNAL_SERVER_ERROR, &trouble.to_string()),
        ConnectError::NoUser => error(StatusCode::BAD_REQUEST, &trouble.to_string()),
        ConnectError::Withdrawn => error(StatusCode::FORBIDDEN, &trouble.to_string()),
        ConnectError::Ow(CallError::Unreachable(why)) => {
            tracing::warn!("{why}");
            error(StatusCode::BAD_GATEWAY, "Failed to reach OW API")
        }
        ConnectError::Ow(CallError::Answered { status, detail }) => {
            tracing::warn!(status, "OW: {detail}");
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY);
            // Our key is not the caller's: a 401 of OW's would send the caller to sign in again.
            let status = if status == StatusCode::UNAUTHORIZED { StatusCode::BAD_GATEWAY } else { status };
            json(status, &json!({ "error": what, "detail": detail }))
        }
        ConnectError::Store(StoreError::Refused(why)) => {
            // The sentence may name another patient: it is for whoever reads the log.
            tracing::error!("{why}");
            let text = "The patient's OW user cannot be linked; ask whoever runs this service";
            error(StatusCode::CONFLICT, text)
        }
        ConnectError::Store(why) => {
            tracing::error!("{why}");
            error(StatusCode::SERVICE_UNAVAILABLE, "The store is not available; try again")
        }
    }
}

/// A browser that comes back from a provider. Only one that left from here is passed on, and only once.
async fn callback(app: &App, visit: &Visit, provider: &str) -> Result<Response, Refusal> {
    if !connect_device::is_provider_name(provider) {
        return Err(Refusal::not_found());
    }
    let state = visit.query.get("state");
    if state.is_empty() && visit.query.get("error") == "access_denied" {
        return Ok(to_complete(provider, "refused"));
    }
    let (hash, now) = (TokenHash::of(state.as_bytes()), app.clock.now());
    let begun = app.store.read(move |db| device_connection::find(db, hash, now)).await?;
    let browser = signed_in::session_token(visit).map(|token| token.hash());
    let Some(begun) = begun.filter(|begun| begun.provider == provider) else {
        return Err(stale(app, None, "state unknown, used or too old").await?);
    };
    if begun.session.is_some() && begun.session != browser {
        return Err(stale(app, Some(begun.patient), "state of another browser").await?);
    }
    let Some(ow) = app.live.ow() else { return Ok(to_complete(provider, "failed")) };
    // Used up before it is passed on: a second one finds nothing.
    if !app.store.write(move |db| device_connection::consume(db, hash)).await? {
        return Err(stale(app, Some(begun.patient), "state used twice").await?);
    }
    let complete = connect_device::complete_url(app, provider);
    let returned = match ow.callback(provider, &visit.raw_query, &complete).await {
        Ok(returned) => returned,
        Err(why) => Returned::Failed(why.to_string()),
    };
    let (how, detail) = match returned {
        Returned::Connected => ("connected", String::new()),
        Returned::Refused => ("refused", String::new()),
        Returned::Stale => ("stale", String::new()),
        Returned::Failed(why) => ("failed", why),
    };
    if !detail.is_empty() {
        tracing::warn!(patient = %begun.patient, provider, "the authorization failed: {detail}");
    }
    let action = format!("device.{how}");
    let (patient, provider_name) = (begun.patient, begun.provider.clone());
    let who = Actor::Patient(patient);
    let note = move |db: &_| {
        if how != "connected" {
            device_connection::abandon(db, patient, &provider_name)?;
        }
        audit::record(db, now, who, &action, Some(patient), &provider_name)
    };
    app.store.write(note).await?;
    Ok(to_complete(provider, how))
}

fn to_complete(provider: &str, how: &str) -> Response {
    see_other(&format!("/clients/ow/complete?provider={provider}&result={how}"))
}

/// Only what concerns somebody is written down: anybody can make up a state.
async fn stale(app: &App, patient: Option<PatientId>, why: &'static str) -> Result<Refusal, Refusal> {
    let now = app.clock.now();
    if patient.is_some() {
        app.store
            .write(move |db| audit::record(db, now, Actor::Visitor, "device.stale", patient, why))
            .await?;
    }
    Ok(Refusal::new(
        StatusCode::BAD_REQUEST,
        "This way back is closed",
        "It was used already, took too long, or began in another browser. It has changed nothing.",
    )
    .next("/clients/ow/complete", "See whether your device is connected"))
}
