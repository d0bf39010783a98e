//! Access to the routes of patients, of programs that act for one, and of anybody. The fields of `SignedInPatient` and
//! `ApiClient` are private, and nothing else makes them.

use http::{HeaderValue, StatusCode, header};
use serde_json::json as json_value;

use crate::app::{rate_limit::TooManyRequests, state::App};
use crate::model::account::Actor;
use crate::model::patient::PatientId;
use crate::secrets::token::Token;
use crate::store::people::{api_token, session};
use crate::web::access::{Access, AccessRule, Denied};
use crate::web::request::Request;
use crate::web::response::{Refusal, json};

/// The cookie of a patient's session.
pub(crate) const PATIENT_COOKIE: &str = "jhe_ow_patient";
/// The page with the forms that end consents.
pub(crate) const CHOICES: &str = "/clients/ow/manage";
/// The form that ends a consent. No rate limit applies to it.
pub(crate) const WITHDRAW: &str = "/clients/ow/withdraw";

pub(crate) const OPEN: AccessRule<Anyone> =
    AccessRule(Access::Open, |_, _| Box::pin(async { Ok(Anyone(())) }));
/// Open to anyone, at a limited rate.
pub(crate) const RATE_LIMITED: AccessRule<Anyone> =
    AccessRule(Access::Open, |app, request| Box::pin(admit_anyone(app, request)));
pub(crate) const PATIENT: AccessRule<SignedInPatient> =
    AccessRule(Access::Patient, |app, request| Box::pin(sign_in_patient(app, request)));
pub(crate) const API_CLIENT: AccessRule<ApiClient> =
    AccessRule(Access::ApiClient, |app, request| Box::pin(identify_api_client(app, request)));

/// A caller who need not say who it is.
pub(crate) struct Anyone(());

/// A patient whose browser is signed in.
pub(crate) struct SignedInPatient {
    id: PatientId,
    token: Token,
}

/// A program that acts for one patient.
pub(crate) struct ApiClient(PatientId);

impl SignedInPatient {
    pub(crate) fn id(&self) -> PatientId {
        self.id
    }

    pub(crate) fn token(&self) -> &Token {
        &self.token
    }

    pub(crate) fn actor(&self) -> Actor {
        Actor::Patient(self.id)
    }
}

impl ApiClient {
    pub(crate) fn patient(&self) -> PatientId {
        self.0
    }
}

/// Counts a request of a patient by the session, of anybody else by the address.
async fn admit_anyone(app: &App, request: &Request) -> Result<Anyone, Denied> {
    match find_patient(app, request).await? {
        Some(patient) => app.rate_limits.check_signed_in(patient.token.hash()),
        None => app.rate_limits.check_anonymous(request.client),
    }
    .map_err(|error| request.refusal_response(error.into()))?;
    Ok(Anyone(()))
}

async fn sign_in_patient(app: &App, request: &mut Request) -> Result<SignedInPatient, Denied> {
    let Some(patient) = find_patient(app, request).await? else {
        app.rate_limits.check_anonymous(request.client).map_err(Refusal::from)?;
        let text = "This browser does not know you. Open the link from your study in this browser. If it was \
                    used already, ask the person who sent it for a new one.";
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, "Please open your link again", text).into());
    };
    // Nobody is kept from withdrawing.
    if request.path != WITHDRAW {
        app.rate_limits.check_signed_in(patient.token.hash()).map_err(Refusal::from)?;
    }
    request.form_guard = Some((patient.token.clone(), patient.actor()));
    Ok(patient)
}

/// Returns the patient whose session the browser has, for open pages that greet a known patient.
pub(crate) async fn find_patient(app: &App, request: &Request) -> Result<Option<SignedInPatient>, Refusal> {
    let Some(token) = request.cookie(PATIENT_COOKIE) else { return Ok(None) };
    let (hash, now) = (token.hash(), app.clock.now());
    let id = app.store.read(move |db| session::find_patient(db, hash, now)).await?;
    Ok(id.map(|id| SignedInPatient { id, token }))
}

/// Reads the bearer token alone: a cookie is no credential for the API, as other sites' pages send it along.
async fn identify_api_client(app: &App, request: &Request) -> Result<ApiClient, Denied> {
    let limited = |error: TooManyRequests| request.refusal_response(error.into());
    if let Some(token) = request.bearer() {
        let (hash, now) = (token.hash(), app.clock.now());
        let patient =
            app.store.read(move |db| api_token::find_patient(db, hash, now)).await.map_err(|error| {
                tracing::error!("{error}");
                let text = "The store is not available; try again";
                json(StatusCode::SERVICE_UNAVAILABLE, &json_value!({ "error": text }))
            })?;
        if let Some(patient) = patient {
            app.last_use.api_tokens.record(hash, now);
            app.rate_limits.check_signed_in(hash).map_err(limited)?;
            return Ok(ApiClient(patient));
        }
    }
    app.rate_limits.check_anonymous(request.client).map_err(limited)?;
    let text = "Authentication credentials were not provided or are not valid.";
    let mut response = json(StatusCode::UNAUTHORIZED, &json_value!({ "detail": text }));
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    Err(response.into())
}
