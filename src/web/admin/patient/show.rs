//! The page of one patient, and the text of a consent.

use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::app::{enrolment_stage::EnrolmentStage, state::App};
use crate::common::time::Timestamp;
use crate::model::{account::Role, patient::PatientId, silence::Silence, study::StudyId};
use crate::secrets::token::TokenHash;
use crate::store::people::consent::{self, ConsentEntry};
use crate::store::people::device_connection::DeviceConnection;
use crate::web::access::{VISIBLE_PATIENT, VisiblePatient};
use crate::web::admin::observations;
use crate::web::admin::patient::{access, polling, time_zone, view::PatientView};
use crate::web::admin::patient_list::{render_last_poll, stage_badge};
use crate::web::admin::staff::{record_view, render_staff_page};
use crate::web::layout::{Column::Text, ago, count, local, notice, table_head};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal};
use crate::web::route::{Route, get};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/admin/patients/{patient}", VISIBLE_PATIENT, show),
        get("/admin/patients/{patient}/consents/{hash}", VISIBLE_PATIENT, show_consent_text),
    ]
}

async fn show(app: &App, request: &Request, patient: &VisiblePatient) -> HandlerResult {
    let (staff, id) = (patient.staff(), patient.id());
    let now = app.clock.now();
    let visible_to = staff.visible_to();
    let mut view = app.store.read(move |db| PatientView::load(db, visible_to, id, now)).await?;
    for token in &mut view.access.tokens {
        token.last_used = app.last_use.api_tokens.find(token.hash).or(token.last_used);
    }
    record_view(app, staff, "patient.view", Some(id)).await?;
    let (line, zone) = (&view.line, &view.zone);
    let stage = EnrolmentStage::of(line);
    let may_manage = patient.may(Role::Coordinator);
    let body = html! {
        div.heading {
            h1 { (line.name) " " span.fine { "patient " (id) } }
            @if may_manage { a.button.quiet href={ "/admin/patients/" (id) "/edit" } { "Change" } }
        }
        (notice(notice_text(request.query.get("done"))))
        @if let Some(silence) = &view.silence { (render_silence(silence, now)) }
        (time_zone::render_warning(patient, &view.time_zone, now))
        (render_facts(&view, stage, may_manage))
        section {
            h2 { "Last sync" }
            p { (render_last_poll(now, line, stage)) }
            (polling::render_section(app, patient))
        }
        section {
            h2 { "Measurements" }
            (view.overview.render(&format!("/admin/patients/{id}/charts/")))
            @if !view.newest.is_empty() {
                p { a.button.quiet href={ "/admin/patients/" (id) "/charts" } { "All charts" } }
            }
        }
        section {
            h2 { "Newest observations" }
            (observations::render_table(zone, &view.newest, may_manage))
            @if !view.newest.is_empty() {
                p { a.button.quiet href={ "/admin/patients/" (id) "/observations" } { "All observations" } }
            }
        }
        section {
            h2 { "Consents" }
            (render_consents(id, &view.consents, zone))
        }
        section {
            h2 { "Devices" }
            (render_devices(&line.devices, zone))
        }
        (view.payloads.render(zone, now, app.bucket_status.has_unread_objects(id)))
        @if let Some(export) = &view.export { (export.render(patient, now)) }
        (view.mails.render(app, patient, &view.patient, &view.studies, zone))
        (access::render_sections(patient, &view))
        @if may_manage {
            p { a href={ "/admin/rejected?patient=" (id) } { "Rejected samples of this patient" }
                " · " a href={ "/admin/audit?patient=" (id) } { "Audit of this patient" } }
        }
    };
    Ok(render_staff_page(app, staff, "/admin/patients", &line.name, &body))
}

/// Shows the consent text that the patient agreed to.
async fn show_consent_text(app: &App, request: &Request, patient: &VisiblePatient) -> HandlerResult {
    let (staff, id) = (patient.staff(), patient.id());
    record_view(app, staff, "patient.view", Some(id)).await?;
    let wanted = request.parameter("hash").to_owned();
    let find = move |db: &_| {
        let entries = consent::list(db, id)?;
        let known = entries.into_iter().filter_map(|entry| entry.text);
        let Some(found) = known.into_iter().find(|(_, _, hash)| hash.hex() == wanted) else {
            return Ok(None);
        };
        Ok(consent::find_text(db, found.2)?.map(|text| (found, text)))
    };
    let found: Option<((String, String, TokenHash), String)> = app.store.read(find).await?;
    let ((version, language, hash), text) = found.ok_or_else(Refusal::not_found)?;
    let body = html! {
        h1 { "Consent text" }
        p { "Version " (version) ", language " (language) ". SHA-256 of the text: " code { (hash.hex()) } }
        pre lang=(language) { (text) }
        p { a.button href={ "/admin/patients/" (id) } { "Back to the patient" } }
    };
    Ok(render_staff_page(app, staff, "/admin/patients", "Consent text", &body))
}

fn notice_text(word: &str) -> &'static str {
    match word {
        "saved" => "Saved.",
        "mail" => "The mail is on its way; this page shows what becomes of it.",
        "polling" => "The sync is queued; this page shows its result.",
        "busy" => "The same sync of this patient waits already.",
        "revoked" => "The invitation is revoked: its link no longer works.",
        "token-revoked" => "The API token is revoked.",
        "export" => "Queued: it is sent with the next export.",
        "ended" => "The patient is signed out in every browser.",
        _ => "",
    }
}

fn render_silence(silence: &Silence, now: Timestamp) -> Markup {
    html! {
        p.warning {
            strong { "Silent" } ": no data measured since " (ago(now, Some(silence.since))) " have arrived. Likely cause: "
            (silence.cause.label()) ". " (silence.cause.remedy())
        }
    }
}

/// The OW user and the e-mail address say who the patient is: only a coordinator sees them.
fn render_facts(view: &PatientView, stage: EnrolmentStage, sees_names: bool) -> Markup {
    let (patient, line) = (&view.patient, &view.line);
    html! {
        dl.summary {
            div { dt { "State" } dd { (stage_badge(stage)) } }
            div { dt { "Newest sample" } dd {
                @match line.newest { Some(at) => (local(&view.zone, at)), None => "none yet" }
            } }
            div { dt { "Samples in 24\u{a0}h" } dd { (count(line.last_day)) } }
            div { dt { "Empty syncs in a row" } dd { (count(line.empty_polls)) } }
            div { dt { "Time zone" } dd { (patient.time_zone) } }
            @if sees_names {
                div.wide { dt { "OW user" } dd.id { (line.link.as_deref().unwrap_or("not linked")) } }
            }
            div.wide { dt { "Studies" } dd {
                @for (place, study) in view.studies.iter().enumerate() {
                    @if place > 0 { ", " }
                    a href={ "/admin/studies/" (study.id) } { (study.terms.name) }
                }
                @if view.studies.is_empty() { "none" }
            } }
            @if let Some(email) = patient.email.as_ref().filter(|_| sees_names) { div.wide { dt { "E-mail" } dd { (email) } } }
        }
    }
}

fn render_consents(id: PatientId, entries: &[ConsentEntry], zone: &TimeZone) -> Markup {
    let study = |study: &Option<(StudyId, String)>| {
        study.as_ref().map_or_else(|| "recorded by hand".to_owned(), |(_, name)| name.clone())
    };
    html! {
        @if entries.is_empty() { p.empty { "No consent yet. The patient gives it through an invitation." } } @else {
            table {
                (table_head(&[Text("Data type"), Text("Study"), Text("Granted"), Text("Withdrawn"), Text("Text")]))
                tbody { @for entry in entries { tr {
                    th scope="row" data-label="Data type" { span { (entry.scope.display) " " code { (entry.scope.code) } } }
                    td data-label="Study" { (study(&entry.study)) }
                    td data-label="Granted" {
                        @if entry.grant.is_refusal() && entry.text.is_none() { "refused" } @else { (local(zone, entry.grant.granted)) }
                    }
                    td data-label="Withdrawn" {
                        @match entry.grant.withdrawn { Some(at) => (local(zone, at)), None => "not withdrawn" }
                    }
                    td data-label="Text" {
                        @match &entry.text {
                            Some((version, language, hash)) => {
                                a href={ "/admin/patients/" (id) "/consents/" (hash.hex()) } {
                                    (version) " (" (language) "), " (hash.hex()[..12]) "…"
                                }
                            }
                            None => "none",
                        }
                    }
                } } }
            }
        }
    }
}

fn render_devices(devices: &[DeviceConnection], zone: &TimeZone) -> Markup {
    html! {
        @if devices.is_empty() { p.empty { "No device was connected through these pages yet." } } @else {
            ul { @for device in devices {
                li { (crate::model::catalog::source::data_source_name(&device.provider)) ": " (device.state.as_str()) ", since "
                     (local(zone, device.changed)) }
            } }
        }
    }
}
