//! Access to the routes of patients, of programs that act for one, and of anybody. The fields of `SignedInPatient` and
//! `ApiClient` are private, and nothing else makes them.

use std::ops::Deref;

use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::json as json_value;

use crate::app::{rate_limit::TooManyRequests, state::App};
use crate::i18n::language::Language;
use crate::model::account::Actor;
use crate::model::patient::PatientId;
use crate::secrets::token::Token;
use crate::store::people::{api_token, patient_language, session, study_text};
use crate::web::access::{Access, AccessRule, Denied};
use crate::web::reader::{LANGUAGE_FIELD, Reader};
use crate::web::request::Request;
use crate::web::response::{Refusal, json};

/// The cookie of a patient's session.
pub(crate) const PATIENT_COOKIE: &str = "jhe_ow_patient";
/// The page with the forms that end consents.
pub(crate) const CHOICES: &str = "/clients/ow/manage";
/// The form that ends a consent. No rate limit applies to it.
pub(crate) const WITHDRAW: &str = "/clients/ow/withdraw";

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

pub(crate) const OPEN: AccessRule<Anyone> =
    AccessRule(Access::Open, |_, _| Box::pin(async { Ok(Anyone(())) }));
/// Open to anyone, at a limited rate.
pub(crate) const RATE_LIMITED: AccessRule<Anyone> =
    AccessRule(Access::Open, |app, request| Box::pin(admit_anyone(app, request)));
pub(crate) const PATIENT: AccessRule<SignedInPatient> =
    AccessRule(Access::Patient, |app, request| Box::pin(sign_in_patient(app, request)));
/// A patient whose session may grant consents: not one that a used link has opened.
pub(crate) const GRANTING_PATIENT: AccessRule<GrantingPatient> =
    AccessRule(Access::Patient, |app, request| {
        Box::pin(async {
            let patient = sign_in_patient(app, request).await?;
            if patient.may_grant { Ok(GrantingPatient(patient)) } else { Err(may_not_grant().into()) }
        })
    });
pub(crate) const API_CLIENT: AccessRule<ApiClient> =
    AccessRule(Access::ApiClient, |app, request| Box::pin(identify_api_client(app, request)));

/// A caller who need not say who it is.
pub(crate) struct Anyone(());

/// A patient whose browser is signed in.
pub(crate) struct SignedInPatient {
    id: PatientId,
    token: Token,
    may_grant: bool,
    reader: Reader,
}

/// A patient who may agree to something new.
pub(crate) struct GrantingPatient(SignedInPatient);

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

    /// Returns false in a browser that came by a link that was used before.
    pub(crate) fn may_grant(&self) -> bool {
        self.may_grant
    }

    /// Returns the language and the institutions for the patient's pages.
    pub(crate) fn reader(&self) -> &Reader {
        &self.reader
    }
}

impl Deref for GrantingPatient {
    type Target = SignedInPatient;

    fn deref(&self) -> &SignedInPatient {
        &self.0
    }
}

fn may_not_grant() -> Refusal {
    Refusal::of_key(StatusCode::FORBIDDEN, "may-not-grant", "may-not-grant-text").link_to_choices()
}

impl ApiClient {
    pub(crate) fn patient(&self) -> PatientId {
        self.0
    }
}

/// Counts a request of a patient by the session, of anybody else by the address.
async fn admit_anyone(app: &App, request: &mut Request) -> Result<Anyone, Denied> {
    match find_patient(app, request).await? {
        Some(patient) => {
            request.reader = patient.reader.clone();
            app.rate_limits.check_signed_in(patient.token.hash())
        }
        None => app.rate_limits.check_anonymous(request.client),
    }
    .map_err(|error| request.refusal_response(error.into()))?;
    Ok(Anyone(()))
}

async fn sign_in_patient(app: &App, request: &mut Request) -> Result<SignedInPatient, Denied> {
    let Some(patient) = find_patient(app, request).await? else {
        app.rate_limits.check_anonymous(request.client).map_err(Refusal::from)?;
        let refusal = Refusal::of_key(StatusCode::UNAUTHORIZED, "sign-in-again", "sign-in-again-text");
        return Err(refusal.link_to_new_link().into());
    };
    request.reader = patient.reader.clone();
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
    // A link from another site shows a page in a language and does not change the patient's.
    let is_own = request.header(SEC_FETCH_SITE).is_none_or(|site| site != "cross-site");
    let wanted = Language::find(request.query.get(LANGUAGE_FIELD)).filter(|_| request.is_read());
    let read = move |db: &_| {
        let Some((id, may_grant)) = session::find_patient(db, hash, now)? else { return Ok(None) };
        let stored = patient_language::find(db, id)?;
        let institutions = study_text::list_institutions(db, id, None, wanted.unwrap_or(stored))?;
        Ok(Some((id, may_grant, stored, institutions)))
    };
    let Some((id, may_grant, stored, institutions)) = app.store.read(read).await? else { return Ok(None) };
    let language = wanted.unwrap_or(stored);
    if language != stored && is_own {
        app.store.write(move |db| patient_language::set(db, id, language)).await?;
    }
    let here = if request.is_read() { request.reader.clone() } else { request.reader.at(CHOICES) };
    let reader = here.signed_in(language, institutions);
    Ok(Some(SignedInPatient { id, token, may_grant, reader }))
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
