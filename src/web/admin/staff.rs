use std::time::Duration;

use maud::Markup;
use warp::reply::Response;

use crate::app::state::App;
use crate::model::patient::PatientId;
use crate::secrets::token::Token;
use crate::store::privacy::audit;
use crate::web::access::{STAFF_COOKIE, Staff};
use crate::web::layout::{self, PageFrame};
use crate::web::response::{Refusal, TokenCookie, html, with_cookie};

/// A working day.
pub(crate) const SESSION_AGE: Duration = Duration::from_hours(12);
/// What somebody is told who came through JHE and would do here what is done there.
pub(crate) const PATIENTS_ARE_JHES: &str = "You sign in through JHE, which is the truth about patients and about who takes part in \
                                 which study: add and enrol them there.";
pub(crate) const STUDIES_ARE_JHES: &str = "You sign in through JHE, which is the truth about studies: make and change them there. One \
                                that has patients here shows with the next tick.";
/// Lines on one page of a long list.
pub(crate) const PAGE: u32 = 100;

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

/// What stands where the list of patients would.
pub(crate) fn nobody_yet(staff: &Staff) -> &'static str {
    if staff.account().is_of_jhe() {
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
    let (account, token) = (staff.account(), staff.token());
    let shell = PageFrame::Staff { account, token, here, simulated: app.simulated, renews };
    html(layout::render_page(title, &shell, body))
}

/// Gives a browser the cookie of a session that lasts as long as this.
pub(crate) fn with_session(app: &App, answer: Response, token: &Token, max_age: Duration) -> Response {
    let secure = app.is_https();
    with_cookie(
        answer,
        &TokenCookie { name: STAFF_COOKIE, token: Some(token), path: "/admin", max_age, secure },
    )
}

pub(crate) fn without_session(app: &App, answer: Response) -> Response {
    let (max_age, secure) = (Duration::ZERO, app.is_https());
    with_cookie(answer, &TokenCookie { name: STAFF_COOKIE, token: None, path: "/admin", max_age, secure })
}
