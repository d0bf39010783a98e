use http::Method;
use warp::reply::Response;

use crate::app::state::App;
use crate::model::account::{Reach, Role};
use crate::model::patient::PatientId;
use crate::store::people::visibility;
use crate::store::privacy::erasure;
use crate::web::admin::patient::{charts, show};
use crate::web::admin::staff::{
    PATIENTS_ARE_JHES, STUDIES_ARE_JHES, Staff, erased, no_patient, number, signed_in,
};
use crate::web::admin::{
    accounts, after_sign_in, help, jhe_sign_in, observations, overview, patients, rejected_and_audit,
    settings, sign_in, studies,
};
use crate::web::request::Visit;
use crate::web::response::{Refusal, see_other};
use crate::web::{csrf, layout};

/// Everything below `/admin`.
pub(crate) async fn answer(app: &App, visit: &Visit, path: &[&str]) -> Response {
    let answered = match (&visit.method, path) {
        (&Method::GET, ["sign-in"]) => sign_in::show(app, visit).await,
        (&Method::POST, ["sign-in"]) => return sign_in::sign_in(app, visit).await,
        (&Method::GET, ["jhe"]) => jhe_sign_in::begin(app, visit),
        (&Method::GET, ["jhe", "callback"]) => return jhe_sign_in::callback(app, visit).await,
        _ => match signed_in(app, visit).await {
            Ok(Some(staff)) => with_staff(app, visit, path, &staff).await,
            Ok(None) if visit.reads() => Ok(see_other(&after_sign_in::address(visit))),
            Ok(None) => Err(Refusal::forbidden("You are not signed in any more; nothing was changed.")
                .next("/admin/sign-in", "Sign in")),
            Err(refusal) => Err(refusal),
        },
    };
    answered.unwrap_or_else(Refusal::into_response)
}

pub(crate) async fn with_staff(
    app: &App,
    visit: &Visit,
    path: &[&str],
    staff: &Staff,
) -> Result<Response, Refusal> {
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
            csrf::check_form(app, visit, Some(&staff.token), staff.actor()).await?;
            require_reach(app, visit, path, staff).await?;
            change(app, visit, path, staff).await
        }
        _ => Err(Refusal::method()),
    }
}

/// The one place that every page and action about a patient goes through: a patient out of reach is one who is not
/// there. And what JHE decides is not decided here by whom JHE sent.
pub(crate) async fn require_reach(
    app: &App,
    visit: &Visit,
    path: &[&str],
    staff: &Staff,
) -> Result<(), Refusal> {
    let reach = staff.reach();
    let patient = match path {
        ["patients", "new"] => None,
        ["patients", id, ..] => Some(number(id)?),
        // Lists of one patient. A list of nobody is empty; who runs the place may look for whom was erased.
        _ if reach == Reach::Everybody => None,
        _ => visit.query.number("patient").map(PatientId::new),
    };
    if let Some(patient) = patient
        && !app.store.read(move |db| visibility::has_patient(db, reach, patient)).await?
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

pub(crate) async fn read(
    app: &App,
    visit: &Visit,
    path: &[&str],
    staff: &Staff,
) -> Result<Response, Refusal> {
    match path {
        [] => overview::show(app, visit, staff).await,
        ["password"] => Ok(sign_in::ask_password(app, staff, &layout::Errors::default())),
        ["patients"] => patients::list(app, visit, staff).await,
        ["patients", "new"] => patients::ask_new(app, staff).await,
        ["patients", id] => show::show(app, visit, staff, number(id)?).await,
        ["patients", id, "edit"] => patients::ask_change(app, staff, number(id)?).await,
        ["patients", id, "observations"] => observations::show(app, visit, staff, number(id)?).await,
        ["patients", id, "charts"] => charts::show(app, visit, staff, number(id)?, None).await,
        ["patients", id, "charts", one] => charts::show(app, visit, staff, number(id)?, Some(one)).await,
        ["patients", id, "consents", hash] => show::wording(app, staff, number(id)?, hash).await,
        ["studies"] => studies::list(app, visit, staff).await,
        ["studies", "new"] => studies::ask_new(app, staff).await,
        ["studies", id] => studies::show(app, visit, staff, id).await,
        ["rejected"] => rejected_and_audit::rejected(app, visit, staff).await,
        ["audit"] => rejected_and_audit::audit(app, visit, staff).await,
        ["settings"] => settings::show(app, visit, staff).await,
        ["accounts"] => accounts::show(app, visit, staff).await,
        ["help"] => help::show(app, staff, None),
        ["help", chapter] => help::show(app, staff, Some(chapter)),
        _ => Err(Refusal::not_found()),
    }
}

pub(crate) async fn change(
    app: &App,
    visit: &Visit,
    path: &[&str],
    staff: &Staff,
) -> Result<Response, Refusal> {
    match path {
        ["password"] => return sign_in::set_password(app, visit, staff).await,
        ["sign-out"] => return sign_in::sign_out(app, staff).await,
        ["settings" | "accounts", ..] => staff.need(Role::Operator)?,
        _ => staff.need(Role::Manager)?,
    }
    match path {
        ["patients", "new"] => patients::add(app, visit, staff).await,
        ["patients", id, "edit"] => patients::change(app, visit, staff, number(id)?).await,
        ["patients", id, action] => show::act(app, visit, staff, number(id)?, action).await,
        ["studies", "new"] => studies::add(app, visit, staff).await,
        ["studies", id] => studies::change(app, visit, staff, id).await,
        ["settings"] => settings::set(app, visit, staff).await,
        ["accounts", "new"] => accounts::add(app, visit, staff).await,
        ["accounts", id] => accounts::change(app, visit, staff, id).await,
        _ => Err(Refusal::not_found()),
    }
}
