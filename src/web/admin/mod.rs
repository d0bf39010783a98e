//! Practitioners' and operators' pages.

mod accounts;
mod export;
mod help;
mod jhe_sign_in;
mod lists;
mod observations;
mod overview;
mod patient;
mod patients;
mod payloads;
mod settings;
mod sign_in;
mod studies;

use std::time::Duration;

pub(crate) use accounts::{LINK_AGE, sign_in_link};

use http::Method;
use maud::Markup;
use warp::reply::Response;

use super::answer::{Refusal, TokenCookie, html, see_other, with_cookie};
use super::layout::{self, Shell};
use super::visit::Visit;
use super::{App, guard};
use crate::account::{Actor, Reach, Role};
use crate::patient::PatientId;
use crate::store::account::Account;
use crate::store::{audit, erasure, reach, session};
use crate::time::Timestamp;
use crate::token::Token;

/// The cookie of somebody who is signed in.
const COOKIE: &str = "jhe_ow_staff";
/// A working day.
const SESSION_AGE: Duration = Duration::from_hours(12);
/// What somebody is told who came through JHE and would do here what is done there.
const PATIENTS_ARE_JHES: &str = "You sign in through JHE, which is the truth about patients and about who takes part in \
                                 which study: add and enrol them there.";
const STUDIES_ARE_JHES: &str = "You sign in through JHE, which is the truth about studies: make and change them there. One \
                                that has patients here shows with the next tick.";
/// Lines on one page of a long list.
const PAGE: u32 = 100;

/// A practitioner or operator who is signed in.
struct Staff {
    account: Account,
    token: Token,
}

impl Staff {
    fn actor(&self) -> Actor {
        Actor::Account(self.account.id)
    }

    /// Whose data this account may see and touch.
    fn reach(&self) -> Reach {
        self.account.reach()
    }

    fn may(&self, role: Role) -> bool {
        self.account.role >= role
    }

    /// Whether this account may make studies and add patients: for whom JHE sent, that is done there.
    fn may_make(&self) -> bool {
        self.may(Role::Manager) && !self.account.is_of_jhe()
    }

    fn need(&self, role: Role) -> Result<(), Refusal> {
        if self.may(role) {
            return Ok(());
        }
        let text =
            format!("This takes the role “{role}”; yours is “{}”. Ask an operator.", self.account.role);
        Err(Refusal::forbidden(text).next("/admin", "Overview"))
    }
}

/// Everything below `/admin`.
pub(super) async fn answer(app: &App, visit: &Visit, path: &[&str]) -> Response {
    let answered = match (&visit.method, path) {
        (&Method::GET, ["sign-in"]) => sign_in::show(app, visit).await,
        (&Method::POST, ["sign-in"]) => return sign_in::sign_in(app, visit).await,
        (&Method::GET, ["jhe"]) => jhe_sign_in::begin(app, visit),
        (&Method::GET, ["jhe", "callback"]) => return jhe_sign_in::callback(app, visit).await,
        _ => match signed_in(app, visit).await {
            Ok(Some(staff)) => with_staff(app, visit, path, &staff).await,
            Ok(None) if visit.reads() => Ok(see_other(&sign_in::address(visit))),
            Ok(None) => Err(Refusal::forbidden("You are not signed in any more; nothing was changed.")
                .next("/admin/sign-in", "Sign in")),
            Err(refusal) => Err(refusal),
        },
    };
    answered.unwrap_or_else(Refusal::into_response)
}

async fn signed_in(app: &App, visit: &Visit) -> Result<Option<Staff>, Refusal> {
    let Some(token) = visit.cookie(COOKIE) else { return Ok(None) };
    let (hash, now) = (token.hash(), app.clock.now());
    let account = app.store.read(move |db| session::account(db, hash, now)).await?;
    Ok(account.map(|account| Staff { account, token }))
}

async fn with_staff(app: &App, visit: &Visit, path: &[&str], staff: &Staff) -> Result<Response, Refusal> {
    if !staff.account.is_set_up() && !matches!(path, ["password" | "sign-out"]) {
        // Whoever came by a one-time link sets a password first.
        return Ok(see_other("/admin/password"));
    }
    match visit.method {
        Method::GET => {
            require_reach(app, visit, path, staff).await?;
            read(app, visit, path, staff).await
        }
        Method::POST => {
            guard::check_form(app, visit, Some(&staff.token), staff.actor()).await?;
            require_reach(app, visit, path, staff).await?;
            change(app, visit, path, staff).await
        }
        _ => Err(Refusal::method()),
    }
}

/// The one place that every page and action about a patient goes through: a patient out of reach is one who is not
/// there. And what JHE decides is not decided here by whom JHE sent.
async fn require_reach(app: &App, visit: &Visit, path: &[&str], staff: &Staff) -> Result<(), Refusal> {
    let reach = staff.reach();
    let patient = match path {
        ["patients", "new"] => None,
        ["patients", id, ..] => Some(number(id)?),
        // Lists of one patient. A list of nobody is empty; who runs the place may look for whom was erased.
        _ if reach == Reach::Everybody => None,
        _ => visit.query.number("patient").map(PatientId::new),
    };
    if let Some(patient) = patient
        && !app.store.read(move |db| reach::has_patient(db, reach, patient)).await?
    {
        // Who sees some patients only is told of none of the others.
        return Err(match reach {
            Reach::Everybody => match app.store.read(move |db| erasure::began(db, patient)).await? {
                Some(at) => erased(patient, at),
                None => no_patient(),
            },
            Reach::Shared(_) => no_patient(),
        });
    }
    let theirs = match path {
        ["password"] => Some("You sign in through JHE: your password is changed there."),
        ["patients", "new"] => Some(PATIENTS_ARE_JHES),
        ["studies", "new"] => Some(STUDIES_ARE_JHES),
        ["studies", _] if visit.method == Method::POST => Some(STUDIES_ARE_JHES),
        _ => None,
    };
    match theirs {
        Some(why) if staff.account.is_of_jhe() => Err(Refusal::forbidden(why).next("/admin", "Overview")),
        _ => Ok(()),
    }
}

async fn read(app: &App, visit: &Visit, path: &[&str], staff: &Staff) -> Result<Response, Refusal> {
    match path {
        [] => overview::show(app, visit, staff).await,
        ["password"] => Ok(sign_in::ask_password(app, staff, &layout::Errors::default())),
        ["patients"] => patients::list(app, visit, staff).await,
        ["patients", "new"] => patients::ask_new(app, staff).await,
        ["patients", id] => patient::show(app, visit, staff, number(id)?).await,
        ["patients", id, "edit"] => patients::ask_change(app, staff, number(id)?).await,
        ["patients", id, "observations"] => observations::show(app, visit, staff, number(id)?).await,
        ["patients", id, "charts"] => patient::charts::show(app, visit, staff, number(id)?, None).await,
        ["patients", id, "charts", one] => {
            patient::charts::show(app, visit, staff, number(id)?, Some(one)).await
        }
        ["patients", id, "consents", hash] => patient::wording(app, staff, number(id)?, hash).await,
        ["studies"] => studies::list(app, visit, staff).await,
        ["studies", "new"] => studies::ask_new(app, staff).await,
        ["studies", id] => studies::show(app, visit, staff, id).await,
        ["rejected"] => lists::rejected(app, visit, staff).await,
        ["audit"] => lists::audit(app, visit, staff).await,
        ["settings"] => settings::show(app, visit, staff).await,
        ["accounts"] => accounts::show(app, visit, staff).await,
        ["help"] => help::show(app, staff, None),
        ["help", chapter] => help::show(app, staff, Some(chapter)),
        _ => Err(Refusal::not_found()),
    }
}

async fn change(app: &App, visit: &Visit, path: &[&str], staff: &Staff) -> Result<Response, Refusal> {
    match path {
        ["password"] => return sign_in::set_password(app, visit, staff).await,
        ["sign-out"] => return sign_in::sign_out(app, staff).await,
        ["settings" | "accounts", ..] => staff.need(Role::Operator)?,
        _ => staff.need(Role::Manager)?,
    }
    match path {
        ["patients", "new"] => patients::add(app, visit, staff).await,
        ["patients", id, "edit"] => patients::change(app, visit, staff, number(id)?).await,
        ["patients", id, action] => patient::act(app, visit, staff, number(id)?, action).await,
        ["studies", "new"] => studies::add(app, visit, staff).await,
        ["studies", id] => studies::change(app, visit, staff, id).await,
        ["settings"] => settings::set(app, visit, staff).await,
        ["accounts", "new"] => accounts::add(app, visit, staff).await,
        ["accounts", id] => accounts::change(app, visit, staff, id).await,
        _ => Err(Refusal::not_found()),
    }
}

fn number(text: &str) -> Result<PatientId, Refusal> {
    text.parse().map(PatientId::new).map_err(|_| Refusal::not_found())
}

/// Who looked at whose data is written down.
async fn note_view(
    app: &App,
    staff: &Staff,
    what: &'static str,
    patient: Option<PatientId>,
) -> Result<(), Refusal> {
    let (who, now) = (staff.actor(), app.clock.now());
    Ok(app.store.write(move |db| audit::record(db, now, who, what, patient, "")).await?)
}

/// A page of a list of which one line more than that was asked for, and whether there are more.
fn cut<T>(mut lines: Vec<T>) -> (Vec<T>, bool) {
    let more = lines.len() > PAGE as usize;
    lines.truncate(PAGE as usize);
    (lines, more)
}

/// A patient who is not there is a page that is not there.
fn no_patient() -> Refusal {
    Refusal { title: "There is no such patient".to_owned(), ..Refusal::not_found() }
        .next("/admin/patients", "Patients")
}

/// Nobody wonders for long where a patient is whom a link leads to.
fn erased(id: PatientId, at: Timestamp) -> Refusal {
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
fn nobody_yet(staff: &Staff) -> &'static str {
    if staff.account.is_of_jhe() {
        "No patient of your organizations is here yet. Patients come here from JHE; ask an operator where one is \
         missing."
    } else {
        "There are no patients yet."
    }
}

fn page(app: &App, staff: &Staff, here: &str, title: &str, body: &Markup) -> Response {
    page_that_renews(app, staff, here, title, body, None)
}

/// A page that the browser asks for anew after so many seconds.
fn page_that_renews(
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
fn with_session(app: &App, answer: Response, token: &Token, max_age: Duration) -> Response {
    let secure = app.is_https();
    with_cookie(answer, &TokenCookie { name: COOKIE, token: Some(token), path: "/admin", max_age, secure })
}

fn without_session(app: &App, answer: Response) -> Response {
    let (max_age, secure) = (Duration::ZERO, app.is_https());
    with_cookie(answer, &TokenCookie { name: COOKIE, token: None, path: "/admin", max_age, secure })
}
