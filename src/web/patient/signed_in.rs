//! The session cookie of patients, and the frame of their pages.

use std::time::Duration;

use maud::Markup;
use rusqlite::Connection;
use warp::reply::Response;

use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::i18n::language::Language;
use crate::model::audit_detail::AuditDetail;
use crate::model::{account::Actor, patient::PatientId};
use crate::secrets::token::{Token, TokenHash};
use crate::store::people::patient_language;
use crate::store::people::session::{self, Holder};
use crate::store::{error::StoreError, privacy::audit};
use crate::web::layout::{self, PageFrame};
use crate::web::patient_access::PATIENT_COOKIE;
use crate::web::reader::Reader;
use crate::web::response::{TokenCookie, html, with_cookie};

/// The time in which a patient can come back without a new link.
pub(crate) const SESSION_AGE: Duration = Duration::from_hours(30 * 24);

/// Sets the session cookie; None deletes it.
pub(crate) fn with_session(app: &App, response: Response, token: Option<&Token>) -> Response {
    let (name, secure) = (PATIENT_COOKIE, app.is_https());
    with_cookie(response, &TokenCookie { name, token, max_age: SESSION_AGE, secure })
}

pub(crate) fn page_response(app: &App, reader: &Reader, title: &str, body: &Markup) -> Response {
    html(layout::render_page(title, &PageFrame::plain(reader, app.simulated), body))
}

/// Signs a patient out of all browsers and into one.
pub(crate) fn replace_sessions(
    db: &Connection,
    patient: PatientId,
    session: TokenHash,
    language: Language,
    now: Timestamp,
) -> Result<(), StoreError> {
    let ended = session::delete_all(db, Holder::Patient(patient))?;
    session::insert(db, session, Holder::Patient(patient), now, now.plus(SESSION_AGE))?;
    patient_language::set(db, patient, language)?;
    let detail = AuditDetail::from("browsers signed out").with(i64::try_from(ended).unwrap_or(i64::MAX));
    audit::record(db, now, Actor::Patient(patient), "invitation.reopen", Some(patient), detail)
}
