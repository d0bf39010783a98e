//! The code in a link of an invitation, its reader, and the reasons why a link does not open.

use http::StatusCode;

use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::jhe::invitation::InvitationCode;
use crate::secrets::token::Token;
use crate::store::people::invitation::{Invitation, InvitationState};
use crate::store::people::{patient_language, study_text};
use crate::web::patient::jhe_invitation;
use crate::web::reader::Reader;
use crate::web::request::Request;
use crate::web::response::Refusal;

/// The code in a link.
pub(crate) enum LinkCode {
    Own(Token),
    /// An invitation of the configured JHE.
    Jhe(InvitationCode),
}

pub(crate) fn read_code(app: &App, text: &str) -> Result<LinkCode, Refusal> {
    let incomplete = |text| Refusal::of_key(StatusCode::BAD_REQUEST, "link-incomplete", text);
    if text.is_empty() {
        return Err(incomplete("link-incomplete-missing"));
    }
    match InvitationCode::parse(text) {
        // First: a host name can make the whole code look like a token of the daemon.
        Some(code) if jhe_invitation::is_of_configured_jhe(app, &code) => Ok(LinkCode::Jhe(code)),
        of_jhe => match (Token::parse(text), of_jhe) {
            (Some(token), _) => Ok(LinkCode::Own(token)),
            (None, Some(foreign)) => Err(jhe_invitation::foreign_link(&foreign)),
            (None, None) => Err(incomplete("link-incomplete-changed")),
        },
    }
}

pub(crate) fn unknown_link() -> Refusal {
    Refusal::of_key(StatusCode::NOT_FOUND, "link-unknown", "link-unknown-text").link_to_new_link()
}

pub(crate) fn closed_invitation(invitation: &Invitation, now: Timestamp) -> Refusal {
    let (status, title, text) = match invitation.state(now) {
        InvitationState::Revoked => (StatusCode::FORBIDDEN, "link-revoked", "link-revoked-text"),
        InvitationState::Expired => (StatusCode::GONE, "link-expired", "link-expired-text"),
        _ if invitation.completed.is_none() => (StatusCode::CONFLICT, "link-used", "link-used-text"),
        _ => (StatusCode::CONFLICT, "link-completed", "link-completed-text"),
    };
    Refusal::of_key(status, title, text).link_to_new_link()
}

/// Finds the language and the institutions of an invitation's patient.
pub(crate) async fn find_reader(
    app: &App,
    request: &Request,
    invitation: &Invitation,
) -> Result<Reader, Refusal> {
    let (id, study, reader) = (invitation.patient, invitation.study, request.reader.clone());
    let read = move |db: &_| {
        let mut reader = reader.invited(patient_language::find(db, id)?);
        reader.institutions = study_text::list_institutions(db, id, study, reader.texts.language())?;
        Ok(reader)
    };
    Ok(app.store.read(read).await?)
}

/// Returns the address of the page that a link opens.
pub(crate) fn launch_page(code: &Token) -> String {
    format!("/clients/ow/launch?code={}", code.expose())
}
