//! A patient's invitations, signed-in browsers and API tokens: sections of the patient page, and their forms.

use std::time::Duration;

use http::StatusCode;
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use warp::reply::Response;

use crate::app::{invite as inviting, patient_tokens, state::App};
use crate::common::{counted::counted, time::Timestamp};
use crate::mail::outbox;
use crate::model::account::Role;
use crate::model::audit_detail::AuditDetail;
use crate::model::mail::MailKind;
use crate::model::patient::{PatientId, PatientRef, parse_name};
use crate::model::study::{Study, StudyId};
use crate::secrets::token::Token;
use crate::store::people::api_token::{self, NewPatientToken};
use crate::store::people::invitation::{self, Invitation, InvitationState};
use crate::store::people::patient::{self, Patient};
use crate::store::people::session::{self, Holder};
use crate::store::people::study;
use crate::store::{error::StoreError, privacy::audit};
use crate::web::access::{CONFIRMED_PATIENT, COORDINATED_PATIENT, Confirmed, Staff, VisiblePatient};
use crate::web::admin::{patient::view::PatientView, staff::render_staff_page};
use crate::web::layout::{badge, fold, form, local, local_text};
use crate::web::qr;
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, see_other};
use crate::web::route::{Route, post};

/// The lives of an API token that the form offers, in days, with their names; one without days does not expire.
const TOKEN_LIVES: [(Option<u64>, &str); 3] =
    [(Some(90), "90 days"), (Some(365), "a year"), (None, "as long as it is not revoked")];

pub(crate) fn routes() -> Vec<Route> {
    vec![
        post("/admin/patients/{patient}/invite", COORDINATED_PATIENT, invite),
        post("/admin/patients/{patient}/revoke", COORDINATED_PATIENT, revoke),
        post("/admin/patients/{patient}/api-token", CONFIRMED_PATIENT, make_api_token),
        post("/admin/patients/{patient}/revoke-api-token", COORDINATED_PATIENT, revoke_api_token),
        post("/admin/patients/{patient}/end-sessions", COORDINATED_PATIENT, end_sessions),
    ]
}

/// Renders the folded parts for a coordinator; `open` is the id of the one to show.
pub(crate) fn render_folds(patient: &VisiblePatient, view: &PatientView, open: &str) -> Markup {
    let (staff, id) = (patient.staff(), patient.id());
    let newest = view.access.invitations.first();
    let invited = match newest.map(|(_, state)| state) {
        Some(InvitationState::Open) => "one is open",
        Some(_) => "none is open",
        None => "not invited yet",
    };
    let browsers = match view.access.sessions {
        0 => "not signed in".to_owned(),
        number => format!("signed in in {}", counted(number, "browser")),
    };
    let valid = view.access.tokens.iter().filter(|token| token.revoked.is_none()).count();
    html! {
        (fold("invitations", "Invitations", invited, open == "invitations", &html! {
            (render_invitation_form(staff, id, view))
            (render_invitations(staff, id, view))
        }))
        (fold("browsers", "Browsers", &browsers, open == "browsers", &html! {
            p { "The patient is " (browsers) "." }
            @if view.access.sessions > 0 {
                (form(&format!("/admin/patients/{id}/end-sessions"), staff.token(), &html! {
                    button.quiet type="submit" { "Sign the patient out everywhere" }
                }))
            }
        }))
        (fold("api-tokens", "API tokens", &format!("{valid} valid"), open == "api-tokens", &html! {
            p.fine { "For a program that connects the device on the patient’s behalf through " code { "/api/v1" } "." }
            (render_api_tokens(staff, id, view))
            @if !staff.account().is_of_jhe() { (render_api_token_form(staff, id)) }
        }))
    }
}

fn render_invitation_form(staff: &Staff, id: PatientId, view: &PatientView) -> Markup {
    if view.patient.jhe_id.is_some() {
        return html! {
            (form(&format!("/admin/patients/{id}/invite"), staff.token(), &html! {
                button type="submit" { "Have JHE make a link" }
            }))
            p.fine { "A new link asks for every study that the patient is enrolled in at JHE, and ends an earlier one." }
        };
    }
    if view.offered.is_empty() {
        return html! { p.empty { "To invite, " a href="/admin/studies/new" { "add a study" } " first." } };
    }
    let enrolled = |study: &Study| view.studies.contains(study);
    let has_no_study = view.studies.is_empty();
    // A form that is sent twice makes one link: the server derives the link from the form.
    let form_id = Token::generate().ok();
    html! {
        (form(&format!("/admin/patients/{id}/invite"), staff.token(), &html! {
            @if let Some(form_id) = &form_id { input type="hidden" name="form_id" value=(form_id.expose()); }
            div.inline {
                label for="study" { "Invite to" }
                select id="study" name="study" {
                    @if !has_no_study && staff.may(Role::Operator) { option value="" { "every study of the patient" } }
                    @for study in &view.offered {
                        option value=(study.id) {
                            (study.terms.name) @if !enrolled(study) { " (enrols the patient)" }
                        }
                    }
                }
                button type="submit" { "Make a link" }
            }
        }))
        p.fine { "A new link replaces the earlier one. It works for seven days, or until a device is connected." }
    }
}

fn render_invitations(staff: &Staff, id: PatientId, view: &PatientView) -> Markup {
    let name = |study: Option<StudyId>| match study {
        None => "every study".to_owned(),
        Some(id) => {
            let known = view.offered.iter().chain(&view.studies).find(|one| one.id == id);
            known.map_or_else(|| format!("study {id}"), |study| study.terms.name.clone())
        }
    };
    html! {
        @if view.access.invitations.is_empty() { p.empty {
            @if view.patient.jhe_id.is_some() {
                "No invitation is recorded here. Invitations that JHE made itself are shown in JHE."
            } @else { "The patient was not invited yet." }
        } } @else {
            table {
                thead { tr {
                    th scope="col" { "Made" }
                    th scope="col" { "To" }
                    th scope="col" { "State" }
                    th scope="col" { "" span.hidden { "Actions" } }
                } }
                tbody { @for (one, state) in &view.access.invitations { tr {
                    th scope="row" data-label="Made" { (local(&view.zone, one.issued)) }
                    td data-label="To" { (name(one.study)) }
                    td data-label="State" { (render_invitation_state(one, *state, view)) }
                    td data-label="" {
                        @if matches!(state, InvitationState::Open | InvitationState::Reopenable) {
                            (form(&format!("/admin/patients/{id}/revoke"), staff.token(), &html! {
                                button.quiet type="submit" { "Revoke" }
                            }))
                        }
                    }
                } } }
            }
        }
    }
}

fn render_invitation_state(one: &Invitation, state: InvitationState, view: &PatientView) -> Markup {
    let at = |at: Option<Timestamp>| at.map(|at| local_text(&view.zone, at)).unwrap_or_default();
    match state {
        InvitationState::Open => html! { (badge("good", "open")) " until " (local(&view.zone, one.expires)) },
        InvitationState::Reopenable => html! {
            (badge("idle", "used")) " " (at(one.used)) "; opens again until " (local(&view.zone, one.expires))
        },
        InvitationState::Used => html! { (badge("idle", "used")) " " (at(one.used)) },
        InvitationState::Revoked => html! { (badge("idle", "revoked")) " " (at(one.revoked)) },
        InvitationState::Expired => html! { (badge("idle", "expired")) " " (local(&view.zone, one.expires)) },
    }
}

fn render_api_tokens(staff: &Staff, id: PatientId, view: &PatientView) -> Markup {
    html! {
        @if !view.access.tokens.is_empty() {
            ul { @for token in &view.access.tokens { li {
                (token.name) ", made " (local(&view.zone, token.created))
                @match token.last_used {
                    Some(at) => { ", last used " (local(&view.zone, at)) }
                    None => ", never used"
                }
                @if let Some(at) = token.expires { ", expires " (local(&view.zone, at)) }
                @match token.revoked {
                    Some(at) => { ", revoked " (local(&view.zone, at)) }
                    None => {
                        (form(&format!("/admin/patients/{id}/revoke-api-token"), staff.token(), &html! {
                            input type="hidden" name="token" value=(token.id);
                            button.quiet type="submit" { "Revoke" span.hidden { " the token " (token.name) } }
                        }))
                    }
                }
            } } }
        }
    }
}

fn render_api_token_form(staff: &Staff, id: PatientId) -> Markup {
    form(
        &format!("/admin/patients/{id}/api-token"),
        staff.token(),
        &html! {
            div.inline {
                label for="label" { "What it is for" }
                input id="label" name="label" type="text" required autocomplete="off";
                label for="days" { "It works for" }
                select id="days" name="days" {
                    @for (days, name) in TOKEN_LIVES {
                        option value=(days_value(days)) selected[days == Some(365)] { (name) }
                    }
                }
                button.quiet type="submit" { "Make a token" }
            }
        },
    )
}

fn days_value(days: Option<u64>) -> String {
    days.map_or_else(String::new, |days| days.to_string())
}

async fn invite(app: &App, request: &Request, patient: &VisiblePatient) -> HandlerResult {
    let (staff, id) = (patient.staff(), patient.id());
    let patient = app.store.read(move |db| patient::find(db, PatientRef::Own(id))).await?;
    if let Some(jhe_id) = patient.jhe_id {
        return invite_through_jhe(app, staff, id, jhe_id).await;
    }
    let study = match request.form().get("study") {
        // It would ask for the studies of others too.
        "" if !staff.may(Role::Operator) => return Err(Refusal::bad("Choose the study to invite to.")),
        "" => None,
        text => Some(text.parse::<StudyId>().map_err(|_| Refusal::bad("There is no such study."))?),
    };
    if let Some(study) = study {
        staff.require_in_study(app, study, Role::Coordinator).await?;
    }
    let token = reuse_or_generate_token(app, request, staff.token(), id).await?;
    let (hash, who, now) = (token.hash(), staff.actor(), app.clock.now());
    let expires = app.store.write(move |db| inviting::invite(db, hash, id, study, who, now)).await?;
    let config = app.live.config();
    let link = invitation::link(&config.public_base(), &token);
    let until = local_text(&jiff::tz::TimeZone::UTC, expires);
    Ok(render_one_time_secret(
        app,
        staff,
        id,
        &OneTimeSecret {
            title: "The invitation",
            label: "The link to send to the patient",
            secret: &link,
            about: &format!(
                "It works until {until}, or until a device is connected. Whoever opens it acts as this patient: send it to \
                 nobody else. It is shown only now; if it is lost, make another."
            ),
            warning: config.public_url_warning(),
            mail_to: Some(load_mail_to(app, &patient, study, &link, expires).await?),
        },
    ))
}

/// Returns the address of a mail with the link, for the person's own mail program: the study's text in the patient's
/// language.
async fn load_mail_to(
    app: &App,
    patient: &Patient,
    study: Option<StudyId>,
    link: &str,
    until: Timestamp,
) -> Result<String, Refusal> {
    let (patient, link) = (patient.clone(), link.to_owned());
    let to = patient.email.clone().unwrap_or_default();
    let render = move |db: &_| {
        let first = study::list_of_patient(db, patient.id)?.first().map(|study| study.id);
        let study = study.or(first).ok_or(StoreError::Erased)?;
        outbox::render(db, &patient, study, MailKind::Invitation, &link, until)
    };
    let text = app.store.read(render).await?;
    // In a mailto: address a plus sign stands for itself (RFC 6068).
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let body = encode(&text.body.replace('\n', "\r\n"));
    Ok(format!("mailto:{}?subject={}&body={body}", encode(&to), encode(&text.subject)))
}

async fn invite_through_jhe(app: &App, staff: &Staff, id: PatientId, jhe_id: i64) -> HandlerResult {
    let back = format!("/admin/patients/{id}");
    let jhe = app.live.jhe().ok_or_else(|| {
        let text = "Only JHE can invite this patient, and JHE_BASE_URL is not set.";
        Refusal::bad(text).link(back.clone(), "Back to the patient")
    })?;
    let config = app.live.config();
    let made =
        inviting::invite_through_jhe(&jhe, &app.store, &config, jhe_id, staff.actor(), &app.clock).await;
    let made = made.map_err(|failure| {
        tracing::warn!(patient = %id, "{}", failure.message);
        let text = format!("{}. Next: {}.", failure.message, failure.remedy);
        Refusal::new(StatusCode::BAD_GATEWAY, "JHE made no link", text).link(back, "Back to the patient")
    })?;
    let about = "It works for seven days, and for half a day after the patient first uses it. Whoever uses it acts as \
                 this patient: send it to nobody else. It is shown only now; if it is lost, make another.";
    let shown = OneTimeSecret {
        title: "The invitation",
        label: "The link to send to the patient",
        secret: &made.link,
        about,
        warning: config.public_url_warning(),
        mail_to: Some(format!("mailto:?body={}", utf8_percent_encode(&made.link, NON_ALPHANUMERIC))),
    };
    Ok(render_one_time_secret(app, staff, id, &shown))
}

/// Returns the token that belongs to this form and session if it is unused or that of an open invitation of this
/// patient, so that a form sent twice makes one link. Otherwise returns a new one. The sender chooses none of it.
async fn reuse_or_generate_token(
    app: &App,
    request: &Request,
    session: &Token,
    id: PatientId,
) -> Result<Token, Refusal> {
    let Some(form_id) = Token::parse(request.form().get("form_id")) else { return Ok(Token::generate()?) };
    let token = session.invitation_token(&form_id);
    let (hash, now) = (token.hash(), app.clock.now());
    let known = app.store.read(move |db| invitation::find(db, hash)).await?;
    let is_usable =
        known.is_none_or(|known| known.patient == id && known.state(now) == InvitationState::Open);
    if is_usable { Ok(token) } else { Ok(Token::generate()?) }
}

async fn revoke(app: &App, _: &Request, patient: &VisiblePatient) -> HandlerResult {
    let (staff, id) = (patient.staff(), patient.id());
    let (who, now) = (staff.actor(), app.clock.now());
    let write = move |db: &_| {
        if invitation::revoke_open(db, id, now)? > 0 {
            audit::record(db, now, who, "invitation.revoke", Some(id), "")?;
        }
        Ok(())
    };
    app.store.write(write).await?;
    Ok(see_other(&format!("/admin/patients/{id}?done=revoked#invitations")))
}

async fn make_api_token(app: &App, request: &Request, patient: &Confirmed<VisiblePatient>) -> HandlerResult {
    let (staff, id) = (patient.staff(), patient.id());
    if staff.account().is_of_jhe() {
        // A token would outlive the practitioner's membership in the organization.
        let text = "Tokens are made by accounts of this service. Ask an operator.";
        return Err(Refusal::forbidden(text).link(format!("/admin/patients/{id}"), "Back to the patient"));
    }
    let label = parse_name(request.form().get("label"))
        .map_err(|_| Refusal::bad("Say what the token is for, in one line."))?;
    let token = Token::generate()?;
    let (hash, who, now) = (token.hash(), staff.actor(), app.clock.now());
    let chosen = request.form().get("days");
    let life = TOKEN_LIVES.iter().find(|(days, _)| days_value(*days) == chosen);
    let (days, _) = life.ok_or_else(|| Refusal::bad("Choose one of the times that the form offers."))?;
    let expires = days.map(|days| now.plus(Duration::from_hours(24 * days)));
    let new = NewPatientToken { hash, patient: id, name: label, created_by: staff.account().id, expires };
    let write = move |db: &_| {
        let token = api_token::insert(db, &new, now)?;
        audit::record(db, now, who, "api-token.make", Some(id), AuditDetail::from("token").with(token))
    };
    app.store.write(write).await?;
    Ok(render_one_time_secret(
        app,
        staff,
        id,
        &OneTimeSecret {
            title: "The API token",
            label: "The token, to be sent as Authorization: Bearer …",
            secret: token.expose(),
            about: "It acts for this patient until it expires or is revoked. It is shown only now; if it is lost, make another.",
            warning: None,
            mail_to: None,
        },
    ))
}

async fn revoke_api_token(app: &App, request: &Request, patient: &VisiblePatient) -> HandlerResult {
    let (staff, id) = (patient.staff(), patient.id());
    let token = request.form().number("token").ok_or_else(|| Refusal::bad("There is no such token."))?;
    let (who, now) = (staff.actor(), app.clock.now());
    let write = move |db: &_| {
        if api_token::revoke(db, id, token, now)? {
            audit::record(
                db,
                now,
                who,
                "api-token.revoke",
                Some(id),
                AuditDetail::from("token").with(token),
            )?;
        }
        Ok(())
    };
    app.store.write(write).await?;
    Ok(see_other(&format!("/admin/patients/{id}?done=token-revoked#api-tokens")))
}

async fn end_sessions(app: &App, _: &Request, patient: &VisiblePatient) -> HandlerResult {
    let (staff, id) = (patient.staff(), patient.id());
    let (who, now) = (staff.actor(), app.clock.now());
    let write = move |db: &_| {
        session::delete_all(db, Holder::Patient(id))?;
        // Otherwise the browser that used an invitation could begin a new session with it.
        invitation::revoke_used(db, id, now)?;
        audit::record(db, now, who, "session.end", Some(id), "")
    };
    app.store.write(write).await?;
    patient_tokens::forget(app, id).await?;
    Ok(see_other(&format!("/admin/patients/{id}?done=ended#browsers")))
}

/// A secret that is shown only once.
struct OneTimeSecret<'a> {
    title: &'a str,
    label: &'a str,
    secret: &'a str,
    about: &'a str,
    warning: Option<String>,
    /// The address of a mail with the link. None for a secret that is no link.
    mail_to: Option<String>,
}

fn render_one_time_secret(app: &App, staff: &Staff, id: PatientId, shown: &OneTimeSecret<'_>) -> Response {
    let body = html! {
        h1 { (shown.title) }
        @if let Some(warning) = &shown.warning { p.warning { "Careful: " (warning) "." } }
        (crate::web::layout::to_copy("secret", shown.label, shown.secret))
        @if let Some(mail_to) = &shown.mail_to {
            div.actions { a.button.quiet href=(mail_to) { "Write a mail with it" } }
            div.qr { (qr::render(shown.secret, "QR code of the link")) }
        }
        p { (shown.about) }
        p { a.button href={ "/admin/patients/" (id) } { "Back to the patient" } }
    };
    render_staff_page(app, staff, "/admin/patients", shown.title, &body)
}
