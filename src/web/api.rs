//! The OAuth proxy for API clients and browsers: user creation, authorize, callback. Status codes and
//! messages are those of the predecessor's endpoints.

use http::StatusCode;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use warp::reply::Response;

use crate::app::connect_device::{self, ConnectError};
use crate::app::state::App;
use crate::i18n::phrase::Phrase;
use crate::model::audit_detail::AuditDetail;
use crate::model::{account::Actor, patient::PatientId};
use crate::ow::connector::{CallError, CallbackOutcome};
use crate::secrets::token::TokenHash;
use crate::store::{error::StoreError, people::device_connection, privacy::audit};
use crate::web::jhe_api::types::Detail;
use crate::web::patient_access::{API_CLIENT, Anyone, ApiClient, PATIENT_COOKIE, RATE_LIMITED};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, json, see_other};
use crate::web::route::{Route, get, post};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        post("/api/v1/ow/users", API_CLIENT, create_user),
        get("/api/v1/ow/oauth/{provider}/authorize", API_CLIENT, authorize),
        get("/api/v1/oauth/{provider}/callback", RATE_LIMITED, callback),
    ]
}

/// The parameters of a provider's redirect that OW reads. Others are not passed on.
const CALLBACK_PARAMETERS: [&str; 4] = ["code", "state", "error", "error_description"];

fn json_error(status: StatusCode, text: &str) -> Response {
    json(status, &json!(ApiError { error: text.to_owned(), detail: None }))
}

/// The answer with the patient's user at OW.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OwUserCreated {
    ow_user_id: String,
}

/// The place to which the patient's browser goes next.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Authorization {
    /// The provider's page.
    authorization_url: String,
    state: String,
}

/// An error.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiError {
    error: String,
    /// OW's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Returns the patient's user at OW, and creates it if there is none. Needs a token of the patient.
#[utoipa::path(post, path = "/api/v1/ow/users", tag = "Connecting a device", responses(
    (status = 200, body = OwUserCreated), (status = 401, body = Detail), (status = "4XX", body = ApiError),
    (status = "5XX", body = ApiError)))]
pub(crate) async fn create_user(app: &App, _: &Request, client: &ApiClient) -> HandlerResult {
    let patient = client.patient();
    Ok(match connect_device::ensure_ow_user(app, patient, Actor::Patient(patient)).await {
        Ok(user) => json(StatusCode::OK, &json!(OwUserCreated { ow_user_id: user.as_str().to_owned() })),
        Err(failure) => failed(&failure, "OW API error"),
    })
}

/// Begins the connection of a device. Needs a token of the patient.
#[utoipa::path(get, path = "/api/v1/ow/oauth/{provider}/authorize", tag = "Connecting a device", params(
    ("provider" = String, Path, description = "The provider's name at OW, such as oura"),
    ("redirect_uri" = Option<String>, Query, description = "Only the address that the server is configured with")),
    responses((status = 200, body = Authorization), (status = 401, body = Detail), (status = "4XX", body = ApiError),
        (status = "5XX", body = ApiError)))]
pub(crate) async fn authorize(app: &App, request: &Request, client: &ApiClient) -> HandlerResult {
    let (patient, provider) = (client.patient(), request.parameter("provider"));
    if !connect_device::is_provider_name(provider) {
        return Ok(json_error(StatusCode::NOT_FOUND, "There is no such provider"));
    }
    let configured = connect_device::completion_url(app, provider);
    if request.query.has("redirect_uri") && request.query.get("redirect_uri") != configured {
        let text = format!("redirect_uri is not yours to choose: it is {configured}; leave it out");
        return Ok(json_error(StatusCode::BAD_REQUEST, &text));
    }
    let authorized = connect_device::authorize(app, patient, provider, None, Actor::Patient(patient)).await;
    Ok(match authorized {
        Ok(started) => {
            let (authorization_url, state) = (started.authorization_url, started.state);
            json(StatusCode::OK, &json!(Authorization { authorization_url, state }))
        }
        Err(failure) => failed(&failure, "OW OAuth error"),
    })
}

/// Maps an error to the predecessor's statuses: OW's own, or 502 if OW did not answer.
fn failed(failure: &ConnectError, summary: &str) -> Response {
    match failure {
        ConnectError::NotConfigured => json_error(StatusCode::INTERNAL_SERVER_ERROR, &failure.to_string()),
        ConnectError::NoUser => json_error(StatusCode::BAD_REQUEST, &failure.to_string()),
        ConnectError::NoConsent(_) => json_error(StatusCode::FORBIDDEN, &failure.to_string()),
        ConnectError::BadAnswer(_) => {
            tracing::warn!("{failure}");
            json_error(StatusCode::BAD_GATEWAY, &failure.to_string())
        }
        ConnectError::ConsentUnknown => json_error(StatusCode::SERVICE_UNAVAILABLE, &failure.to_string()),
        ConnectError::Ow(CallError::Unreachable(reason)) => {
            tracing::warn!("{reason}");
            json_error(StatusCode::BAD_GATEWAY, "Failed to reach OW API")
        }
        ConnectError::Ow(CallError::Status { status, detail }) => {
            tracing::warn!(status, "OW: {detail}");
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY);
            // OW's 401 is about the daemon's key; passed on, it would send the caller to sign in again.
            let status = if status == StatusCode::UNAUTHORIZED { StatusCode::BAD_GATEWAY } else { status };
            json(status, &json!(ApiError { error: summary.to_owned(), detail: Some(detail.clone()) }))
        }
        ConnectError::Store(StoreError::Refused(reason)) => {
            // The sentence may name another patient, so only the log has it.
            tracing::error!("{reason}");
            let text = "The patient's OW user cannot be linked; ask whoever runs this service";
            json_error(StatusCode::CONFLICT, text)
        }
        ConnectError::Store(error) => {
            tracing::error!("{error}");
            json_error(StatusCode::SERVICE_UNAVAILABLE, "The store is not available; try again")
        }
    }
}

/// Answers a browser that returns from a provider. It gets a page, also where it is refused.
async fn callback(app: &App, request: &Request, _: &Anyone) -> HandlerResult {
    let passed = pass_to_ow(app, request).await;
    Ok(passed.unwrap_or_else(|refusal| refusal.into_page(&request.reader)))
}

/// Passes a browser that returns from a provider on to OW: only one that was sent there by the daemon, and
/// only once.
async fn pass_to_ow(app: &App, request: &Request) -> HandlerResult {
    let provider = request.parameter("provider");
    if !connect_device::is_provider_name(provider) {
        return Err(Refusal::not_found());
    }
    let state = request.query.get("state");
    if state.is_empty() && request.query.get("error") == "access_denied" {
        return Ok(to_complete(provider, "refused"));
    }
    let (hash, now) = (TokenHash::of(state.as_bytes()), app.clock.now());
    let started = app.store.read(move |db| device_connection::find_authorization(db, hash, now)).await?;
    let browser = request.cookie(PATIENT_COOKIE).map(|token| token.hash());
    let Some(started) = started.filter(|started| started.provider == provider) else {
        return Err(stale(app, None, "state unknown, used or too old").await?);
    };
    if started.session.is_some() && started.session != browser {
        return Err(stale(app, Some(started.patient), "state of another browser").await?);
    }
    let Some(ow) = app.live.ow() else { return Ok(to_complete(provider, "failed")) };
    // Consumed before it is passed on, so that a second request finds nothing.
    if !app.store.write(move |db| device_connection::consume_authorization(db, hash)).await? {
        return Err(stale(app, Some(started.patient), "state used twice").await?);
    }
    let complete = connect_device::completion_url(app, provider);
    let outcome = match connect_device::require_consent(app, started.patient).await {
        Ok(()) => {
            let sent = CALLBACK_PARAMETERS.map(|name| (name, request.query.get(name)));
            let outcome = ow.forward_callback(provider, &sent, &complete).await;
            // OW may have connected the device after the patient's last withdrawal, also where it did not answer in time.
            let ended = connect_device::disconnect_without_consent(app, started.patient, provider).await?;
            if let Some(result) = ended {
                return Ok(to_complete(provider, result));
            }
            outcome.unwrap_or_else(|error| CallbackOutcome::Failed(error.to_string()))
        }
        Err(error) => CallbackOutcome::Failed(error.to_string()),
    };
    let (result, action) = match outcome {
        CallbackOutcome::Connected => ("connected", "device.connected"),
        CallbackOutcome::Refused => ("refused", "device.refused"),
        CallbackOutcome::Stale => ("stale", "device.stale"),
        CallbackOutcome::Failed(reason) => {
            tracing::warn!(patient = %started.patient, provider, "the authorization failed: {reason}");
            ("failed", "device.failed")
        }
    };
    let (patient, provider_name) = (started.patient, started.provider);
    let record = move |db: &_| {
        if result != "connected" {
            device_connection::delete_authorizing(db, patient, &provider_name)?;
        }
        let detail = AuditDetail::default().with_provider(&provider_name);
        audit::record(db, now, Actor::Patient(patient), action, Some(patient), detail)
    };
    app.store.write(record).await?;
    Ok(to_complete(provider, result))
}

fn to_complete(provider: &str, result: &str) -> Response {
    see_other(&format!("/clients/ow/complete?provider={provider}&result={result}"))
}

/// Records the refusal only if it concerns a patient: anybody can make up a state.
async fn stale(app: &App, patient: Option<PatientId>, reason: &'static str) -> Result<Refusal, Refusal> {
    let now = app.clock.now();
    if patient.is_some() {
        app.store
            .write(move |db| audit::record(db, now, Actor::Visitor, "device.stale", patient, reason))
            .await?;
    }
    let refusal = Refusal::of_key(StatusCode::BAD_REQUEST, "stale-return", "stale-return-text");
    Ok(refusal.link("/clients/ow/complete", Phrase::key("stale-return-see")))
}
