//! The mails to a patient: a section of the patient page, and the form that sends one.

use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::app::state::App;
use crate::common::counted::counted;
use crate::i18n::language::Language;
use crate::i18n::texts::Texts;
use crate::mail::reminders;
use crate::model::account::Role;
use crate::model::mail::{MailKind, MailState};
use crate::model::patient::{PatientId, PatientRef};
use crate::model::study::{Study, StudyId};
use crate::store::error::StoreError;
use crate::store::people::mail::{self, PatientMail};
use crate::store::people::patient::{self, Patient};
use crate::store::people::{patient_language, reminder, study};
use crate::store::privacy::audit;
use crate::web::access::{COORDINATED_PATIENT, VisiblePatient};
use crate::web::admin::study::invite::list::render_mail_state;
use crate::web::layout::{fold, form, local};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, see_other};
use crate::web::route::{Route, post};

/// Mails that the page lists; the audit has all.
const LISTED: u32 = 20;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        post("/admin/patients/{patient}/mails", COORDINATED_PATIENT, send),
        post("/admin/patients/{patient}/language", COORDINATED_PATIENT, set_language),
    ]
}

/// The mails of the patient page.
pub(crate) struct PatientMails {
    language: Language,
    mails: Vec<PatientMail>,
    /// Studies whose reminders the patient agreed to and may get.
    remindable: Vec<StudyId>,
}

impl PatientMails {
    pub(crate) fn load(
        db: &rusqlite::Connection,
        id: PatientId,
        studies: &[Study],
    ) -> Result<Self, StoreError> {
        let mut remindable = Vec::new();
        for study in studies {
            if reminder::may_remind(db, id, study.id)? {
                remindable.push(study.id);
            }
        }
        Ok(Self { language: patient_language::find(db, id)?, mails: mail::list(db, id, LISTED)?, remindable })
    }

    /// Renders the folded part for a coordinator.
    pub(crate) fn render(
        &self,
        app: &App,
        visible: &VisiblePatient,
        patient: &Patient,
        studies: &[Study],
        zone: &TimeZone,
        is_open: bool,
    ) -> Markup {
        if !visible.may(Role::Coordinator) {
            return html! {};
        }
        let can_send = app.live.config().alerts.mail.is_some() && patient.email.is_some();
        let name =
            |id: StudyId| studies.iter().find(|one| one.id == id).map_or("", |one| one.terms.name.as_str());
        let action = |what: &str| format!("/admin/patients/{}/{what}", visible.id());
        let token = visible.staff().token();
        let button = |study: StudyId, kind: MailKind, label: &str| {
            form(
                &action("mails"),
                token,
                &html! {
                    input type="hidden" name="kind" value=(kind.as_str());
                    input type="hidden" name="study" value=(study);
                    button.quiet type="submit" { (label) @if studies.len() > 1 { " (" (name(study)) ")" } }
                },
            )
        };
        let state =
            if self.mails.is_empty() { "none yet".to_owned() } else { counted(self.mails.len(), "mail") };
        fold(
            "mails",
            "Mails",
            &state,
            is_open,
            &html! {
                @if self.mails.is_empty() { p.empty { "No mail was sent from here." } } @else {
                    ul { @for one in &self.mails { li {
                        @match one.kind {
                            MailKind::Invitation if one.is_new_link => "New link, which the patient asked for, ",
                            MailKind::Invitation => { "Invitation to “" (name(one.study)) "”, " }
                            MailKind::Reminder => { "Reminder of “" (name(one.study)) "”, " }
                        }
                        (local(zone, one.queued)) ": "
                        (render_mail_state(Some(one.state)))
                        @if let Some(error) = &one.last_error { " " span.fine { (error) } }
                        @if one.state == MailState::Waiting && one.attempts > 0 { " Next attempt " (local(zone, one.due)) "." }
                    } } }
                }
                @if patient.jhe_id.is_none() {
                    div.actions {
                        @if can_send { @for study in studies {
                            (button(study.id, MailKind::Invitation, "Mail an invitation"))
                        } }
                        @for study in self.remindable.iter().filter(|_| can_send) {
                            (button(*study, MailKind::Reminder, "Send a reminder"))
                        }
                    }
                    @if !can_send { p.fine { "To send mails, the patient needs an e-mail address, and the service a mail server." } }
                    @else if self.remindable.is_empty() { p.fine { "The patient did not agree to reminders, or shares nothing at present." } }
                    (form(&action("language"), token, &html! {
                        div.inline {
                            label for="language" { "Language of mails and pages" }
                            select id="language" name="language" { @for one in Language::all() {
                                option value=(one) selected[one == self.language] { (Texts::ENGLISH.language_name(one)) }
                            } }
                            button.quiet type="submit" { "Save" }
                        }
                    }))
                }
            },
        )
    }
}

/// Queues a mail. A reminder goes only to a patient who agreed to reminders.
async fn send(app: &App, request: &Request, visible: &VisiblePatient) -> HandlerResult {
    let (staff, id) = (visible.staff(), visible.id());
    let kind: MailKind = request.form().get("kind").parse().map_err(Refusal::bad)?;
    let study: StudyId =
        request.form().get("study").parse().map_err(|_| Refusal::bad("There is no such study."))?;
    staff.require_in_study(app, study, Role::Coordinator).await?;
    if app.live.config().alerts.mail.is_none() {
        return Err(Refusal::bad(
            "No mail server is configured: an operator sets alerts.smtp_url and alerts.mail_from.",
        ));
    }
    let (actor, now) = (staff.actor(), app.clock.now());
    let write = move |db: &rusqlite::Connection| {
        let patient = patient::find(db, PatientRef::Own(id))?;
        patient::check_is_local(db, id, "invite the patient")?;
        if patient.email.is_none() {
            return Err(StoreError::Refused("The patient has no e-mail address: add one first.".to_owned()));
        }
        if !study::list_of_patient(db, id)?.iter().any(|one| one.id == study) {
            return Err(StoreError::Refused("The patient is not in this study.".to_owned()));
        }
        if kind == MailKind::Reminder && !reminder::may_remind(db, id, study)? {
            let why =
                "The patient did not agree to reminders of this study, or shares nothing with it any more.";
            return Err(StoreError::Refused(why.to_owned()));
        }
        reminders::enqueue(db, id, study, kind, actor, now)
    };
    app.store.write(write).await?;
    Ok(see_other(&format!("/admin/patients/{id}?done=mail#mails")))
}

async fn set_language(app: &App, request: &Request, visible: &VisiblePatient) -> HandlerResult {
    let (id, actor, now) = (visible.id(), visible.staff().actor(), app.clock.now());
    let language = Language::find(request.form().get("language"))
        .ok_or_else(|| Refusal::bad("There is no such language. Choose one of the list."))?;
    let write = move |db: &rusqlite::Connection| {
        patient_language::set(db, id, language)?;
        audit::record(db, now, actor, "patient.change", Some(id), "language")
    };
    app.store.write(write).await?;
    Ok(see_other(&format!("/admin/patients/{id}?done=language#mails")))
}
