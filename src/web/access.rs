//! Access to routes. A handler gets an account or a patient only from the check of its route: the fields of
//! `Staff`, `Operator`, `VisiblePatient` and `SignedInPatient` are private, and nothing else makes them.

use futures_util::future::BoxFuture;
use http::{HeaderValue, StatusCode, header};
use serde_json::json as json_value;
use warp::reply::Response;

use crate::app::{rate_limit::TooManyRequests, state::App};
use crate::model::account::{Actor, Role, VisibleTo};
use crate::model::patient::PatientId;
use crate::secrets::token::Token;
use crate::store::people::{account::Account, session, visibility};
use crate::store::privacy::erased_identifiers;
use crate::web::response::{Refusal, json, see_other};
use crate::web::{layout::local_text, request::Request};

/// The cookie of a practitioner's session.
pub(crate) const STAFF_COOKIE: &str = "jhe_ow_staff";
/// The cookie of a patient's session.
pub(crate) const PATIENT_COOKIE: &str = "jhe_ow_patient";
/// The form that ends a consent. No limit applies to it.
pub(crate) const WITHDRAW: &str = "/clients/ow/withdraw";

/// The callers that a route accepts, as the table of routes lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Open,
    /// A patient's browser.
    Patient,
    /// A program with a patient's bearer token.
    ApiClient,
    /// OW, which signs its messages.
    OwSignature,
    /// Any account.
    Staff,
    Manager,
    Operator,
}

/// The access of a route, with the check that makes the value which proves it.
pub(crate) struct AccessRule<C>(pub(crate) Access, pub(crate) AccessCheck<C>);

pub(crate) type AccessCheck<C> = for<'a> fn(&'a App, &'a mut Request) -> BoxFuture<'a, Result<C, Response>>;

pub(crate) const OPEN: AccessRule<Anyone> =
    AccessRule(Access::Open, |_, _| Box::pin(async { Ok(Anyone(())) }));
/// Open to anyone, at a limited rate.
pub(crate) const RATE_LIMITED: AccessRule<Anyone> =
    AccessRule(Access::Open, |app, request| Box::pin(admit_anyone(app, request)));
pub(crate) const PATIENT: AccessRule<SignedInPatient> =
    AccessRule(Access::Patient, |app, request| Box::pin(sign_in_patient(app, request)));
pub(crate) const API_CLIENT: AccessRule<ApiClient> =
    AccessRule(Access::ApiClient, |app, request| Box::pin(identify_api_client(app, request)));
/// Any account, also one that came by a one-time link and has no password yet.
pub(crate) const ANY_ACCOUNT: AccessRule<Staff> =
    AccessRule(Access::Staff, |app, request| Box::pin(sign_in_staff(app, request)));
pub(crate) const STAFF: AccessRule<Staff> =
    AccessRule(Access::Staff, |app, request| Box::pin(require_role(app, request, Role::Viewer)));
pub(crate) const MANAGER: AccessRule<Staff> =
    AccessRule(Access::Manager, |app, request| Box::pin(require_role(app, request, Role::Manager)));
pub(crate) const OPERATOR: AccessRule<Operator> = AccessRule(Access::Operator, |app, request| {
    Box::pin(async { require_role(app, request, Role::Operator).await.map(Operator) })
});
/// Any account, for the patient that the path names.
pub(crate) const VISIBLE_PATIENT: AccessRule<VisiblePatient> =
    AccessRule(Access::Staff, |app, request| Box::pin(require_patient(app, request, Role::Viewer)));
/// A manager, for the patient that the path names.
pub(crate) const MANAGED_PATIENT: AccessRule<VisiblePatient> =
    AccessRule(Access::Manager, |app, request| Box::pin(require_patient(app, request, Role::Manager)));

/// A caller who need not say who it is.
pub(crate) struct Anyone(());

/// A practitioner or operator who is signed in.
pub(crate) struct Staff {
    account: Account,
    token: Token,
}

/// A signed-in account with the role of an operator.
pub(crate) struct Operator(Staff);

/// A patient whom the signed-in account may see.
pub(crate) struct VisiblePatient {
    staff: Staff,
    id: PatientId,
}

/// A patient whose browser is signed in.
pub(crate) struct SignedInPatient {
    id: PatientId,
    token: Token,
}

/// A program that acts for one patient.
pub(crate) struct ApiClient(PatientId);

impl Staff {
    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    pub(crate) fn token(&self) -> &Token {
        &self.token
    }

    pub(crate) fn actor(&self) -> Actor {
        Actor::Account(self.account.id)
    }

    /// Returns the patients whom this account may see.
    pub(crate) fn visible_to(&self) -> VisibleTo {
        self.account.visible_to()
    }

    pub(crate) fn may(&self, role: Role) -> bool {
        self.account.role >= role
    }

    fn require(&self, role: Role) -> Result<(), Refusal> {
        if self.may(role) {
            return Ok(());
        }
        let text =
            format!("This needs the role “{role}”. Yours is “{}”: ask an operator.", self.account.role);
        Err(Refusal::forbidden(text).link("/admin", "Overview"))
    }

    /// Returns whether this account may create studies and add patients. An account of JHE does both at JHE.
    pub(crate) fn may_create(&self) -> bool {
        self.may(Role::Manager) && !self.account.is_of_jhe()
    }

    /// Refuses accounts of JHE, with the reason.
    pub(crate) fn require_local(&self, reason: &str) -> Result<(), Refusal> {
        if self.account.is_of_jhe() {
            return Err(Refusal::forbidden(reason).link("/admin", "Overview"));
        }
        Ok(())
    }

    /// Returns the patient to whom a list is limited by its query, if any.
    pub(crate) async fn listed_patient(
        &self,
        app: &App,
        request: &Request,
    ) -> Result<Option<PatientId>, Refusal> {
        let Some(id) = request.query.number("patient").map(PatientId::new) else { return Ok(None) };
        let visible_to = self.visible_to();
        // An operator may look for an erased patient: the list is empty, the audit is not.
        if visible_to != VisibleTo::Everybody
            && !app.store.read(move |db| visibility::is_patient_visible(db, visible_to, id)).await?
        {
            return Err(no_such_patient());
        }
        Ok(Some(id))
    }
}

impl Operator {
    pub(crate) fn staff(&self) -> &Staff {
        &self.0
    }
}

impl VisiblePatient {
    pub(crate) fn staff(&self) -> &Staff {
        &self.staff
    }

    pub(crate) fn id(&self) -> PatientId {
        self.id
    }
}

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
async fn admit_anyone(app: &App, request: &Request) -> Result<Anyone, Response> {
    match find_patient(app, request).await? {
        Some(patient) => app.rate_limits.check_signed_in(patient.token.hash()),
        None => app.rate_limits.check_anonymous(request.client),
    }
    .map_err(|error| request.refusal_response(error.into()))?;
    Ok(Anyone(()))
}

async fn sign_in_staff(app: &App, request: &mut Request) -> Result<Staff, Response> {
    if let Some(token) = request.cookie(STAFF_COOKIE) {
        let (hash, now) = (token.hash(), app.clock.now());
        let account = app.store.read(move |db| session::find_account(db, hash, now)).await;
        if let Some(account) = account.map_err(Refusal::from)? {
            request.form_guard = Some((token.clone(), Actor::Account(account.id)));
            return Ok(Staff { account, token });
        }
    }
    if request.is_read() {
        let next: String = form_urlencoded::byte_serialize(request.path.as_bytes()).collect();
        return Err(see_other(&format!("/admin/sign-in?next={next}")));
    }
    let text = "You are not signed in any more; nothing was changed.";
    Err(Refusal::forbidden(text).link("/admin/sign-in", "Sign in").into())
}

async fn require_role(app: &App, request: &mut Request, role: Role) -> Result<Staff, Response> {
    let staff = sign_in_staff(app, request).await?;
    if !staff.account.is_set_up() {
        return Err(see_other("/admin/password"));
    }
    staff.require(role)?;
    Ok(staff)
}

async fn require_patient(app: &App, request: &mut Request, role: Role) -> Result<VisiblePatient, Response> {
    let staff = require_role(app, request, Role::Viewer).await?;
    let id = request.parameter("patient").parse().map(PatientId::new).map_err(|_| Refusal::not_found())?;
    let visible_to = staff.visible_to();
    let find = move |db: &_| {
        let is_visible = visibility::is_patient_visible(db, visible_to, id)?;
        // An account that sees some patients only learns nothing about the others, not even an erasure.
        let may_learn = !is_visible && visible_to == VisibleTo::Everybody;
        let erasure = if may_learn { erased_identifiers::find_erasure(db, id)? } else { None };
        Ok((is_visible, erasure.map(|erasure| erasure.started)))
    };
    match app.store.read(find).await.map_err(Refusal::from)? {
        (true, _) => {}
        (false, None) => return Err(no_such_patient().into()),
        (false, Some(at)) => {
            let at = local_text(&jiff::tz::TimeZone::UTC, at);
            let text = format!(
                "Everything about patient {id} was erased on {at}, for good. The audit has who did it."
            );
            let title = "The patient was erased".to_owned();
            return Err(Refusal { title, text, ..no_such_patient() }.into());
        }
    }
    // Last, so that a patient out of reach is answered alike for every role.
    staff.require(role)?;
    Ok(VisiblePatient { staff, id })
}

fn no_such_patient() -> Refusal {
    Refusal { title: "There is no such patient".to_owned(), ..Refusal::not_found() }
        .link("/admin/patients", "Patients")
}

async fn sign_in_patient(app: &App, request: &mut Request) -> Result<SignedInPatient, Response> {
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
async fn identify_api_client(app: &App, request: &Request) -> Result<ApiClient, Response> {
    let limited = |error: TooManyRequests| request.refusal_response(error.into());
    if let Some(token) = request.bearer() {
        let hash = token.hash();
        let patient =
            app.store.read(move |db| session::find_api_patient(db, hash)).await.map_err(|error| {
                tracing::error!("{error}");
                let text = "The store is not available; try again";
                json(StatusCode::SERVICE_UNAVAILABLE, &json_value!({ "error": text }))
            })?;
        if let Some(patient) = patient {
            app.rate_limits.check_signed_in(hash).map_err(limited)?;
            return Ok(ApiClient(patient));
        }
    }
    app.rate_limits.check_anonymous(request.client).map_err(limited)?;
    let text = "Authentication credentials were not provided or are not valid.";
    let mut response = json(StatusCode::UNAUTHORIZED, &json_value!({ "detail": text }));
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    Err(response)
}
