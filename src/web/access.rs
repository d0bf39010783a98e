//! Access to routes. A handler gets an account or a patient only from the check of its route: the fields of
//! `Staff`, `Operator`, `VisiblePatient` and `VisibleStudy` are private, and nothing else makes them.

use std::ops::Deref;
use std::time::Duration;

use futures_util::future::BoxFuture;
use warp::reply::Response;

use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::model::account::{AccountId, Actor, Role, VisibleTo};
use crate::model::patient::PatientId;
use crate::model::study::{Study, StudyId};
use crate::secrets::token::Token;
use crate::store::engine::setting;
use crate::store::people::{account, account::Account, session, study, visibility};
use crate::store::privacy::erased_identifiers;
use crate::web::layout::local_text;
use crate::web::request::Request;
use crate::web::response::{Refusal, see_other};

/// The cookie of a practitioner's session.
pub(crate) const STAFF_COOKIE: &str = "jhe_ow_session";

/// The callers that a route accepts, as the table of routes lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Open,
    /// A patient's browser.
    Patient,
    /// A program with a patient's bearer token.
    ApiClient,
    /// A program with a study's token for reading.
    StudyReader,
    /// OW, which signs its messages.
    OwSignature,
    /// Any account.
    Staff,
    Coordinator,
    Operator,
    /// An account of at least this role whose holder gave a password or a code within the last ten minutes.
    Confirmed(Role),
}

/// The access of a route, with the check that makes the value which proves it.
pub(crate) struct AccessRule<C>(pub(crate) Access, pub(crate) AccessCheck<C>);

pub(crate) type AccessCheck<C> = for<'a> fn(&'a App, &'a mut Request) -> BoxFuture<'a, Result<C, Denied>>;

/// A request that an access check does not let through.
#[derive(Debug)]
pub(crate) enum Denied {
    Answer(Box<Response>),
    Refused(Box<Refusal>),
    /// An account's form that can be sent later, after the page `before` (sign-in or re-authentication).
    Postponed {
        account: AccountId,
        before: &'static str,
    },
}

impl From<Response> for Denied {
    fn from(response: Response) -> Self {
        Self::Answer(Box::new(response))
    }
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

/// Time for which a password or a code confirms who sits at the browser.
const CONFIRMED_FOR: Duration = Duration::from_mins(10);

/// Any account, also one that came by a one-time link and has no password yet.
pub(crate) const ANY_ACCOUNT: AccessRule<Staff> =
    AccessRule(Access::Staff, |app, request| Box::pin(sign_in_staff(app, request)));
pub(crate) const STAFF: AccessRule<Staff> =
    AccessRule(Access::Staff, |app, request| Box::pin(require_role(app, request, Role::Viewer)));
/// A coordinator of any study.
pub(crate) const COORDINATOR: AccessRule<Staff> =
    AccessRule(Access::Coordinator, |app, request| Box::pin(require_role(app, request, Role::Coordinator)));
pub(crate) const OPERATOR: AccessRule<Operator> = AccessRule(Access::Operator, |app, request| {
    Box::pin(async { require_role(app, request, Role::Operator).await.map(Operator) })
});
/// Any account whose holder has confirmed who it is, for its own sign-in.
pub(crate) const CONFIRMED_ACCOUNT: AccessRule<Confirmed<Staff>> =
    AccessRule(Access::Confirmed(Role::Viewer), |app, request| {
        Box::pin(async {
            let staff = sign_in_staff(app, request).await?;
            confirm(app, request, staff)
        })
    });
pub(crate) const CONFIRMED_OPERATOR: AccessRule<Confirmed<Operator>> =
    AccessRule(Access::Confirmed(Role::Operator), |app, request| {
        Box::pin(async {
            let operator = Operator(require_role(app, request, Role::Operator).await?);
            confirm(app, request, operator)
        })
    });
pub(crate) const CONFIRMED_PATIENT: AccessRule<Confirmed<VisiblePatient>> =
    AccessRule(Access::Confirmed(Role::Coordinator), |app, request| {
        Box::pin(async {
            let patient = require_patient(app, request, Role::Coordinator).await?;
            confirm(app, request, patient)
        })
    });
/// Any account, for the patient that the path names.
pub(crate) const VISIBLE_PATIENT: AccessRule<VisiblePatient> =
    AccessRule(Access::Staff, |app, request| Box::pin(require_patient(app, request, Role::Viewer)));
/// A coordinator, for the patient that the path names.
pub(crate) const COORDINATED_PATIENT: AccessRule<VisiblePatient> =
    AccessRule(Access::Coordinator, |app, request| {
        Box::pin(require_patient(app, request, Role::Coordinator))
    });
/// Any account, for the study that the path names.
pub(crate) const VISIBLE_STUDY: AccessRule<VisibleStudy> =
    AccessRule(Access::Staff, |app, request| Box::pin(require_study(app, request, Role::Viewer)));
/// A coordinator, for the study that the path names.
pub(crate) const COORDINATED_STUDY: AccessRule<VisibleStudy> =
    AccessRule(Access::Coordinator, |app, request| Box::pin(require_study(app, request, Role::Coordinator)));
/// A data manager, for the study that the path names.
pub(crate) const CONFIRMED_STUDY: AccessRule<Confirmed<VisibleStudy>> =
    AccessRule(Access::Confirmed(Role::DataManager), |app, request| {
        Box::pin(async {
            let study = require_study(app, request, Role::DataManager).await?;
            confirm(app, request, study)
        })
    });

/// A practitioner or operator who is signed in.
pub(crate) struct Staff {
    account: Account,
    token: Token,
    /// The last time at which the person gave a password or a code.
    confirmed: Option<Timestamp>,
}

/// A caller who gave a password or a code within the last ten minutes. Nothing else makes this type, so a handler
/// that takes it cannot be reached without.
pub(crate) struct Confirmed<C>(C);

impl<C> Deref for Confirmed<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.0
    }
}

impl AsRef<Staff> for Staff {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl AsRef<Staff> for Operator {
    fn as_ref(&self) -> &Staff {
        &self.0
    }
}

impl AsRef<Staff> for VisibleStudy {
    fn as_ref(&self) -> &Staff {
        &self.staff
    }
}

impl AsRef<Staff> for VisiblePatient {
    fn as_ref(&self) -> &Staff {
        &self.staff
    }
}

/// A signed-in account with the role of an operator.
pub(crate) struct Operator(Staff);

/// A patient whom the signed-in account may see.
pub(crate) struct VisiblePatient {
    staff: Staff,
    id: PatientId,
    role: Role,
}

/// A study that the signed-in account may see.
pub(crate) struct VisibleStudy {
    staff: Staff,
    study: Study,
    role: Role,
}

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

    /// Returns whether the account has the role in any study or organization.
    pub(crate) fn may(&self, role: Role) -> bool {
        self.account.role >= role
    }

    /// Returns whether this account may add patients. An account of JHE does so at JHE.
    pub(crate) fn may_add_patients(&self) -> bool {
        self.may(Role::Coordinator) && !self.account.is_of_jhe()
    }

    /// Refuses an account that does not have the role in a study. A study that it may not see counts as missing.
    pub(crate) async fn require_in_study(
        &self,
        app: &App,
        study: StudyId,
        role: Role,
    ) -> Result<(), Refusal> {
        let visible_to = self.visible_to();
        let own = app.store.read(move |db| visibility::find_study_role(db, visible_to, study)).await?;
        require(own.ok_or_else(|| Refusal::bad("There is no such study."))?, role)
    }

    /// Refuses accounts of JHE, with the reason.
    pub(crate) fn require_local(&self, reason: &str) -> Result<(), Refusal> {
        if self.account.is_of_jhe() {
            return Err(Refusal::forbidden(reason).link("/admin", "Home"));
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
        let (own, erased) = find_patient_role(app, self.visible_to(), id).await?;
        // An operator may look for an erased patient: the list is empty, the audit is not.
        if erased.is_none() {
            require(own.ok_or_else(no_such_patient)?, Role::Coordinator)?;
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

    /// Returns whether the account has the role for this patient.
    pub(crate) fn may(&self, role: Role) -> bool {
        self.role >= role
    }
}

impl VisibleStudy {
    pub(crate) fn staff(&self) -> &Staff {
        &self.staff
    }

    pub(crate) fn study(&self) -> &Study {
        &self.study
    }

    /// Returns whether the account has the role in this study.
    pub(crate) fn may(&self, role: Role) -> bool {
        self.role >= role
    }

    /// Returns whether the account may change the study. An account of JHE changes it at JHE.
    pub(crate) fn may_change(&self) -> bool {
        self.may(Role::Coordinator) && !self.staff.account.is_of_jhe()
    }
}

async fn sign_in_staff(app: &App, request: &mut Request) -> Result<Staff, Denied> {
    let mut ended = None;
    if let Some(token) = request.cookie(STAFF_COOKIE) {
        let (hash, now) = (token.hash(), app.clock.now());
        let read = move |db: &_| {
            let Some(session) = session::find_staff(db, hash)? else { return Ok(None) };
            let account = account::find(db, session.account)?.filter(|account| !account.disabled);
            let idle_end = setting::read_all(db)?.idle_end();
            Ok(account.map(|account| (session, account, idle_end)))
        };
        if let Some((session, account, idle_end)) = app.store.read(read).await.map_err(Refusal::from)? {
            let last_active = app.last_use.sessions.find(hash).unwrap_or(session.last_active);
            request.form_guard = Some((token.clone(), Actor::Account(account.id)));
            if session.expires > now && last_active.plus(idle_end) > now {
                app.last_use.sessions.record(hash, now);
                return Ok(Staff { account, token, confirmed: session.confirmed });
            }
            if session.expires > now {
                // A longer time in the settings does not bring it back.
                app.store.write(move |db| session::expire(db, hash, now)).await.map_err(Refusal::from)?;
            }
            ended = Some(account.id).filter(|_| session.expires.plus(session::ENDED_FOR) > now);
        }
    }
    if request.is_read() {
        return Err(see_other(&with_next("/admin/sign-in", &request.path)).into());
    }
    match ended {
        Some(account) => Err(Denied::Postponed { account, before: "/admin/sign-in" }),
        None => Err(Refusal::forbidden(SIGNED_OUT).link("/admin/sign-in", "Sign in").into()),
    }
}

pub(crate) const SIGNED_OUT: &str = "You are not signed in any more; nothing was changed.";

/// Returns the address of a page that leads on to another one.
pub(crate) fn with_next(page: &str, next: &str) -> String {
    let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
    format!("{page}?next={next}")
}

async fn require_role(app: &App, request: &mut Request, role: Role) -> Result<Staff, Denied> {
    let staff = sign_in_staff(app, request).await?;
    // In the demonstration the password can wait.
    if !staff.account.is_set_up() && !app.simulated {
        let is_first = !staff.account.has_password;
        let page = if is_first { "/admin/password" } else { "/admin/account/second-factor" };
        return Err(see_other(page).into());
    }
    require(staff.account.role, role)?;
    Ok(staff)
}

fn require(own: Role, needed: Role) -> Result<(), Refusal> {
    if own >= needed {
        return Ok(());
    }
    let text = format!("This needs the role “{needed}”. Yours is “{own}”: ask an operator.");
    Err(Refusal::forbidden(text).link("/admin", "Home"))
}

/// Asks for a password or a code, unless the caller has given one within the last ten minutes.
fn confirm<C: AsRef<Staff>>(app: &App, request: &Request, caller: C) -> Result<Confirmed<C>, Denied> {
    let staff = caller.as_ref();
    let now = app.clock.now();
    if staff.confirmed.is_some_and(|at| at.plus(CONFIRMED_FOR) > now) {
        return Ok(Confirmed(caller));
    }
    if request.is_read() {
        return Err(see_other(&with_next(CONFIRM, &request.path)).into());
    }
    Err(Denied::Postponed { account: staff.account.id, before: CONFIRM })
}

/// The page that asks for a password or a code.
pub(crate) const CONFIRM: &str = "/admin/confirm";

async fn require_patient(app: &App, request: &mut Request, role: Role) -> Result<VisiblePatient, Denied> {
    let staff = require_role(app, request, Role::Viewer).await?;
    let id = request.parameter("patient").parse().map(PatientId::new).map_err(|_| Refusal::not_found())?;
    let own = match find_patient_role(app, staff.visible_to(), id).await? {
        (Some(own), _) => own,
        (None, None) => return Err(no_such_patient().into()),
        (None, Some(at)) => {
            let at = local_text(&jiff::tz::TimeZone::UTC, at);
            let text = format!(
                "Everything about patient {id} was erased on {at}, for good. The audit has who did it."
            );
            let title = "The patient was erased".to_owned();
            return Err(Refusal { title: title.into(), text: text.into(), ..no_such_patient() }.into());
        }
    };
    // Last, so that a patient out of reach is answered alike for every role.
    require(own, role)?;
    Ok(VisiblePatient { staff, id, role: own })
}

/// Finds the role for a patient, or the time at which the patient was erased.
async fn find_patient_role(
    app: &App,
    visible_to: VisibleTo,
    id: PatientId,
) -> Result<(Option<Role>, Option<Timestamp>), Refusal> {
    let find = move |db: &_| {
        let own = visibility::find_patient_role(db, visible_to, id)?;
        // An account that sees some patients only learns nothing about the others, not even an erasure.
        let may_learn = own.is_none() && visible_to == VisibleTo::Everybody;
        let erasure = if may_learn { erased_identifiers::find_erasure(db, id)? } else { None };
        Ok((own, erasure.map(|erasure| erasure.started)))
    };
    Ok(app.store.read(find).await?)
}

/// A study that the account may not see counts as missing.
async fn require_study(app: &App, request: &mut Request, role: Role) -> Result<VisibleStudy, Denied> {
    let staff = require_role(app, request, Role::Viewer).await?;
    let id: StudyId = request.parameter("study").parse().map_err(|_| Refusal::not_found())?;
    let visible_to = staff.visible_to();
    let find = move |db: &_| {
        let own = visibility::find_study_role(db, visible_to, id)?;
        own.map(|own| Ok((own, study::find(db, id)?))).transpose()
    };
    let found = app.store.read(find).await.map_err(Refusal::from)?;
    let (own, study) = found.ok_or_else(Refusal::not_found)?;
    require(own, role)?;
    Ok(VisibleStudy { staff, study, role: own })
}

fn no_such_patient() -> Refusal {
    Refusal { title: "There is no such patient".into(), ..Refusal::not_found() }
        .link("/admin/patients", "Patients")
}
