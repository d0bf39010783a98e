use std::time::Duration;

use maud::Markup;
use warp::reply::Response;

use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::model::account::{Actor, Reach, Role};
use crate::model::patient::PatientId;
use crate::secrets::token::Token;
use crate::store::people::account::Account;
use crate::store::people::session;
use crate::store::privacy::audit;
use crate::web::layout;
use crate::web::layout::Shell;
use crate::web::request::Visit;
use crate::web::response::{Refusal, TokenCookie, html, with_cookie};

/// The cookie of somebody who is signed in.
const COOKIE: &str = "jhe_ow_staff";
/// A working day.
pub(crate) const SESSION_AGE: Duration = Duration::from_hours(12);
/// What somebody is told who came through JHE and would do here what is done there.
pub(crate) const PATIENTS_ARE_JHES: &str = "You sign in through JHE, which is the truth about patients and about who takes part in \
                                 which study: add and enrol them there.";
pub(crate) const STUDIES_ARE_JHES: &str = "You sign in through JHE, which is the truth about studies: make and change them there. One \
                                that has patients here shows with the next tick.";
/// Lines on one page of a long list.
pub(crate) const PAGE: u32 = 100;

/// A practitioner or operator who is signed in.
pub(crate) struct Staff {
    pub(crate) account: Account,
    pub(crate) token: Token,
}

impl Staff {
    pub(crate) fn actor(&self) -> Actor {
        Actor::Account(self.account.id)
    }

    /// Whose data this account may see and touch.
    pub(crate) fn reach(&self) -> Reach {
        self.account.reach()
    }

    pub(crate) fn may(&self, role: Role) -> bool {
        self.account.role >= role
    }

    /// Whether this account may make studies and add patients: for whom JHE sent, that is done there.
    pub(crate) fn may_make(&self) -> bool {
        self.may(Role::Manager) && !self.account.is_of_jhe()
    }

    pub(crate) fn need(&self, role: Role) -> Result<(), Refusal> {
        if self.may(role) {
            return Ok(());
        }
        let text =
            format!("This takes the role “{role}”; yours is “{}”. Ask an operator.", self.account.role);
        Err(Refusal::forbidden(text).next("/admin", "Overview"))
    }
}

pub(crate) async fn signed_in(app: &App, visit: &Visit) -> Result<Option<Staff>, Refusal> {
    let Some(token) = visit.cookie(COOKIE) else { return Ok(None) };
    let (hash, now) = (token.hash(), app.clock.now());
    let account = app.store.read(move |db| session::account(db, hash, now)).await?;
    Ok(account.map(|account| Staff { account, token }))
}

pub(crate) fn number(text: &str) -> Result<PatientId, Refusal> {
    text.parse().map(PatientId::new).map_err(|_| Refusal::not_found())
}

/// Who looked at whose data is written down.
pub(crate) async fn note_view(
    app: &App,
    staff: &Staff,
    what: &'static str,
    patient: Option<PatientId>,
) -> Result<(), Refusal> {
    let (who, now) = (staff.actor(), app.clock.now());
    Ok(app.store.write(move |db| audit::record(db, now, who, what, patient, "")).await?)
}

/// A page of a list of which one line more than that was asked for, and whether there are more.
pub(crate) fn cut<T>(mut lines: Vec<T>) -> (Vec<T>, bool) {
    let more = lines.len() > PAGE as usize;
    lines.truncate(PAGE as usize);
    (lines, more)
}

/// A patient who is not there is a page that is not there.
pub(crate) fn no_patient() -> Refusal {
    Refusal { title: "There is no such patient".to_owned(), ..Refusal::not_found() }
        .next("/admin/patients", "Patients")
}

/// Nobody wonders for long where a patient is whom a link leads to.
pub(crate) fn erased(id: PatientId, at: Timestamp) -> Refusal {
    let at = layout::local_text(&jiff::tz::TimeZone::UTC, at);
    Refusal {
        title: "The patient was erased".to_owned(),
        text: format!(
            "Everything about patient {id} was erased on {at}, for good. The audit has who did it."
        ),
        ..no_patient()
    }
}

/// What stands where the list of patients would.
pub(crate) fn nobody_yet(staff: &Staff) -> &'static str {
    if staff.account.is_of_jhe() {
        "No patient of your organizations is here yet. Patients come here from JHE; ask an operator where one is \
         missing."
    } else {
        "There are no patients yet."
    }
}

pub(crate) fn page(app: &App, staff: &Staff, here: &str, title: &str, body: &Markup) -> Response {
    page_that_renews(app, staff, here, title, body, None)
}

/// A page that the browser asks for anew after so many seconds.
pub(crate) fn page_that_renews(
    app: &App,
    staff: &Staff,
    here: &str,
    title: &str,
    body: &Markup,
    renews: Option<u32>,
) -> Response {
    let (account, token) = (&staff.account, &staff.token);
    let shell = Shell::Staff { account, token, here, simulated: app.simulated, renews };
    html(layout::page(title, &shell, body))
}

/// Gives a browser the cookie of a session that lasts as long as this.
pub(crate) fn with_session(app: &App, answer: Response, token: &Token, max_age: Duration) -> Response {
    let secure = app.is_https();
    with_cookie(answer, &TokenCookie { name: COOKIE, token: Some(token), path: "/admin", max_age, secure })
}

pub(crate) fn without_session(app: &App, answer: Response) -> Response {
    let (max_age, secure) = (Duration::ZERO, app.is_https());
    with_cookie(answer, &TokenCookie { name: COOKIE, token: None, path: "/admin", max_age, secure })
}
