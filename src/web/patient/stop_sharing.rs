//! The end of a consent, or of all: one question on a page of its own, then the withdrawal.

use maud::{Markup, html};
use rusqlite::Connection;
use warp::reply::Response;

use crate::app::{connect_device as devices, connect_device::ConnectError, state::App};
use crate::common::time::Timestamp;
use crate::i18n::phrase::Phrase;
use crate::model::account::{Actor, VisibleTo};
use crate::model::audit_detail::AuditDetail;
use crate::model::patient::PatientId;
use crate::model::study::StudyId;
use crate::store::people::consent::{self, ConsentEntry};
use crate::store::{error::StoreError, privacy::audit};
use crate::web::patient::jhe_consents::JhePatientConsents;
use crate::web::patient::signed_in::page_response;
use crate::web::patient_access::{CHOICES, PATIENT, SignedInPatient, WITHDRAW};
use crate::web::reader::Reader;
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, see_other};
use crate::web::route::{Route, post};
use crate::web::{layout::form, patient::wording::name_entries};

/// The value of the field `scope` that means all data types.
const EVERYTHING: &str = "everything";

pub(crate) fn routes() -> Vec<Route> {
    vec![post(WITHDRAW, PATIENT, withdraw)]
}

/// Renders the button that stops one data type. Its hidden text names the data type.
pub(crate) fn render_button(patient: &SignedInPatient, entry: &StopTarget<'_>) -> Markup {
    let reader = patient.reader();
    let (study, scope, label) = match entry {
        StopTarget::One { study, code, name } => {
            let study = study.map(|id| id.to_string()).unwrap_or_default();
            (study, *code, html! { (reader.get("stop")) span.hidden { ": " (name) } })
        }
        StopTarget::Everything => (String::new(), EVERYTHING, html! { (reader.get("stop-everything")) }),
    };
    form(
        WITHDRAW,
        patient.token(),
        &html! {
            input type="hidden" name="study" value=(study);
            input type="hidden" name="scope" value=(scope);
            button.quiet.danger type="submit" { (label) }
        },
    )
}

/// The consents that a button ends.
pub(crate) enum StopTarget<'a> {
    One { study: Option<StudyId>, code: &'a str, name: String },
    Everything,
}

/// Asks once, then withdraws. The last consent disconnects the device too.
async fn withdraw(app: &App, request: &Request, patient: &SignedInPatient) -> HandlerResult {
    let (id, now) = (patient.id(), app.clock.now());
    let study: Option<StudyId> = request.form().get("study").parse().ok();
    let scope = request.form().get("scope");
    let read = move |db: &_| {
        Ok((consent::list(db, VisibleTo::Everybody, id)?, consent::list_active_deliverable(db, id)?))
    };
    let (mut active, deliverable) = app.store.read(read).await?;
    let known = active.clone();
    active.retain(|entry| entry.grant.withdrawn.is_none());
    let study_of = |entry: &ConsentEntry| entry.study.as_ref().map(|(id, _)| *id);
    let is_meant =
        |entry: &ConsentEntry| scope == EVERYTHING || (entry.scope.code == scope && study_of(entry) == study);
    let (ending, staying): (Vec<ConsentEntry>, Vec<ConsentEntry>) = active.into_iter().partition(is_meant);
    if ending.is_empty() {
        if scope != EVERYTHING && !known.iter().any(is_meant) {
            return Err(Refusal::bad(Phrase::key("withdraw-unknown")).link_to_choices());
        }
        return Ok(see_other(&format!("{CHOICES}?done=withdrawn")));
    }
    let is_delivered =
        |entry: &ConsentEntry| deliverable.contains(&(entry.scope.code.clone(), study_of(entry)));
    let ends_last = ending.iter().any(is_delivered) && !staying.iter().any(is_delivered);
    if request.form().get("sure") != "yes" {
        return Ok(confirm(app, patient, request, (&ending, &staying), ends_last));
    }
    let at_jhe = JhePatientConsents::find(app, patient).await?;
    let mut shares_nothing = false;
    for entry in &ending {
        let (code, study) = (entry.scope.code.clone(), study_of(entry));
        let mut is_changed = false;
        if let (Some(at_jhe), Some(study)) = (&at_jhe, study) {
            at_jhe.withdraw(app, study, code.clone()).await?;
            is_changed = true;
        }
        let write = move |db: &_| record_withdrawal(db, id, (&code, study), is_changed, now);
        shares_nothing = app.store.write(write).await?;
    }
    let done = |word: &str| {
        let what: String = form_urlencoded::byte_serialize(scope.as_bytes()).collect();
        see_other(&format!("{CHOICES}?done={word}&what={what}"))
    };
    if ending.iter().any(|ended| staying.iter().any(|entry| entry.scope == ended.scope)) {
        return Ok(done("shared-elsewhere"));
    }
    if !shares_nothing || !ends_last {
        return Ok(done("withdrawn"));
    }
    match devices::disconnect(app, id, patient.actor()).await {
        Ok(()) | Err(ConnectError::NoUser) => Ok(done("withdrawn")),
        Err(error) => {
            tracing::warn!(patient = %id, "its device could not be disconnected: {error}");
            Ok(done("still-connected"))
        }
    }
}

/// Withdraws a consent, and records it if that changed anything, here or before at JHE. Returns whether the patient now
/// shares nothing.
fn record_withdrawal(
    db: &Connection,
    id: PatientId,
    (code, study): (&str, Option<StudyId>),
    is_changed_at_jhe: bool,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if consent::withdraw(db, id, code, consent::WithdrawFrom::Study(study), now)? || is_changed_at_jhe {
        let detail = AuditDetail::default().with_code(code).with("study");
        let detail = match study {
            Some(study) => detail.with(study),
            None => detail.with("none"),
        };
        audit::record(db, now, Actor::Patient(id), "consent.withdraw", Some(id), detail)?;
    }
    Ok(!consent::find_standing(db, id, now)?.is_active())
}

/// Renders the question, with what follows from it.
fn confirm(
    app: &App,
    patient: &SignedInPatient,
    request: &Request,
    (ending, staying): (&[ConsentEntry], &[ConsentEntry]),
    ends_last: bool,
) -> Response {
    let reader = patient.reader();
    let types = [("types", &*name_entries(reader.texts, ending))];
    let title = reader.get_with("stop-title", &types);
    let others = name_entries(reader.texts, staying);
    let label = reader.get(if ends_last { "stop-and-disconnect" } else { "stop" });
    let body = html! {
        h1 { (title) }
        ul.card.points {
            li { (reader.get_with("stop-from-now", &types)) }
            li { (reader.get("stop-meanwhile")) }
            @if !staying.is_empty() { li { (reader.get_with("stop-others", &[("types", &others)])) } }
            @if ends_last { li { (reader.get("stop-last")) } }
            li { (reader.get("stop-before")) }
        }
        (form(WITHDRAW, patient.token(), &html! {
            input type="hidden" name="study" value=(request.form().get("study"));
            input type="hidden" name="scope" value=(request.form().get("scope"));
            input type="hidden" name="sure" value="yes";
            div.pair-of-buttons {
                button.danger type="submit" { (label) }
                a.button.quiet href=(CHOICES) { (reader.get("stop-keep")) }
            }
        }))
    };
    page_response(app, reader, &title, &body)
}

/// Returns the notice after a withdrawal, with the names of the data types that ended.
pub(crate) fn done_notice(reader: &Reader, word: &str, what: &str, known: &[ConsentEntry]) -> Option<String> {
    let last = known.iter().filter_map(|entry| entry.grant.withdrawn).max();
    let is_named = |entry: &&ConsentEntry| {
        let ended = entry.grant.withdrawn;
        ended.is_some() && (entry.scope.code == what || (what == EVERYTHING && ended == last))
    };
    let ended: Vec<ConsentEntry> = known.iter().filter(is_named).cloned().collect();
    let types = name_entries(reader.texts, &ended);
    let key = match word {
        "withdrawn" if ended.is_empty() => return Some(reader.get("done-withdrawn-unnamed")),
        "withdrawn" => "done-withdrawn",
        "shared-elsewhere" => "done-shared-elsewhere",
        "still-connected" => "done-still-connected",
        _ => return None,
    };
    Some(reader.get_with(key, &[("types", &types)]))
}
