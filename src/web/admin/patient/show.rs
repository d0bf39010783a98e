//! The page of one patient, and the text of a consent.

use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::app::{enrolment_stage::EnrolmentStage, state::App};
use crate::common::{counted::counted, time::Timestamp};
use crate::i18n::texts::Texts;
use crate::model::{account::Role, catalog::source, patient::PatientId, study::StudyId};
use crate::secrets::token::TokenHash;
use crate::store::people::consent::{self, ConsentEntry};
use crate::store::people::device_connection::DeviceConnection;
use crate::web::access::{VISIBLE_PATIENT, VisiblePatient};
use crate::web::admin::patient::{
    access, band::render_band, collection, polling, time_zone, view::PatientView,
};
use crate::web::admin::patient_list::{render_last_poll, stage_badge};
use crate::web::admin::staff::{record_view, render_staff_page};
use crate::web::chart::period::{Period, parse_window};
use crate::web::layout::{Column::Text, count, fold, format_local, local, notice, table_head};
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
    let period = parse_window(&request.query, Period::TwoWeeks);
    let read = move |db: &_| PatientView::load(db, visible_to, id, period, now);
    let mut view = app.store.read(read).await?;
    for token in &mut view.access.tokens {
        token.last_used = app.last_use.api_tokens.find(token.hash).or(token.last_used);
    }
    record_view(app, staff, "patient.view", Some(id)).await?;
    let (line, stage) = (&view.line, EnrolmentStage::of(&view.line));
    let may_manage = patient.may(Role::Coordinator);
    let done = request.query.get("done");
    let body = html! {
        div.heading {
            div {
                @if !view.studies.is_empty() { p.fine.crumb { (render_studies(&view)) } }
                h1 { (line.name) " " span.fine { "patient " (id) } }
            }
            @if may_manage { a.button.quiet href={ "/admin/patients/" (id) "/edit" } { "Change" } }
        }
        (notice(notice_text(done)))
        (render_band(patient, line, view.silence.as_ref(), now))
        (time_zone::render_warning(patient, &view.time_zone, now))
        (polling::render_jobs(app, patient))
        (render_facts(&view, stage, now))
        (view.charts.render(&format!("/admin/patients/{id}"), Some(&format!("/admin/patients/{id}/charts/"))))
        (view.history.render(&view.zone))
        section aria-labelledby="more-title" {
            h2 #more-title { "More" }
            (render_folds(app, patient, &view, (opened(request, stage), done)))
        }
    };
    Ok(render_staff_page(app, staff, "/admin/patients", &line.name, &body))
}

/// Returns the id of the part that is shown open: the one that was asked for, or changed, or is next.
fn opened(request: &Request, stage: EnrolmentStage) -> &str {
    match (request.query.get("open"), request.query.get("done")) {
        ("", "revoked") => "invitations",
        ("", "token-revoked") => "api-tokens",
        ("", "ended") => "browsers",
        ("", "export") => "export",
        ("", "mail" | "language") => "mails",
        ("", _) if matches!(stage, EnrolmentStage::Added | EnrolmentStage::Invited) => "invitations",
        (open, _) => open,
    }
}

/// Renders what is rarely needed, each part with its state.
fn render_folds(
    app: &App,
    patient: &VisiblePatient,
    view: &PatientView,
    (open, done): (&str, &str),
) -> Markup {
    let (id, zone, now) = (patient.id(), &view.zone, app.clock.now());
    let may_manage = patient.may(Role::Coordinator);
    let series = counted(view.series, "data type");
    let active = view.consents.iter().filter(|entry| entry.grant.withdrawn.is_none()).count();
    let devices: Vec<String> = view.line.devices.iter().map(describe_device).collect();
    html! {
        div.folds {
            @if may_manage { (polling::render_fold(app, patient, matches!(done, "polling" | "busy"))) }
            (fold("data", "All measurements", &series, open == "data", &html! {
                @if !view.overview.is_empty() || view.series == 0 {
                    (view.overview.render(Texts::ENGLISH, &format!("/admin/patients/{id}/charts/"), zone))
                }
                p.actions {
                    a.button.quiet href={ "/admin/patients/" (id) "/charts" } { "All charts" }
                    a.button.quiet href={ "/admin/patients/" (id) "/observations" } { "All observations" }
                }
            }))
            (fold("consents", "Consents", &format!("{active} active"), open == "consents",
                &render_consents(id, &view.consents, zone)))
            (collection::render_fold(patient, &view.parts, zone, open == "collection", now))
            (fold("devices", "Devices", &devices.join(", "), open == "devices", &render_devices(&view.line.devices, zone)))
            (view.payloads.render(zone, now, app.bucket_status.has_unread_objects(id)))
            @if let Some(export) = &view.export { (export.render(patient, open == "export", now)) }
            @if may_manage {
                (view.mails.render(app, patient, &view.patient, &view.studies, zone, open == "mails"))
                (access::render_folds(patient, view, open))
                (fold("identifiers", "Identifiers and records", "for support", open == "identifiers",
                    &render_identifiers(id, view)))
                (fold("ending", "End of participation", "withdraw, or erase the data", open == "ending", &html! {
                    p { "The patient stops sharing on the page “Your choices”. For a patient who asks you instead, an operator \
                         runs " code { "jhe-ow patient consent " (id) " CODE --withdraw" } "." }
                    p { "All data of the patient are erased for good by " code { "jhe-ow patient erase " (id) } "." }
                }))
            }
        }
    }
}

/// Shows the consent text that the patient agreed to.
async fn show_consent_text(app: &App, request: &Request, patient: &VisiblePatient) -> HandlerResult {
    let (staff, id) = (patient.staff(), patient.id());
    record_view(app, staff, "patient.view", Some(id)).await?;
    let (visible_to, wanted) = (staff.visible_to(), request.parameter("hash").to_owned());
    let find = move |db: &_| {
        let entries = consent::list(db, visible_to, id)?;
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
        "saved" | "language" => "Saved.",
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

fn render_studies(view: &PatientView) -> Markup {
    html! { @for (place, study) in view.studies.iter().enumerate() {
        @if place > 0 { ", " }
        a href={ "/admin/studies/" (study.id) } { (study.terms.name) }
    } }
}

fn render_facts(view: &PatientView, stage: EnrolmentStage, now: Timestamp) -> Markup {
    let line = &view.line;
    let newest = line.newest.map(|at| local(&view.zone, at));
    html! {
        dl.summary {
            div { dt { "State" } dd { (stage_badge(stage)) } }
            div { dt { "Newest sample" } dd { @match newest { Some(at) => (at), None => "none yet" } } }
            div { dt { "Samples in 24\u{a0}h" } dd { (count(line.last_day)) } }
            div { dt { "Last sync" } dd { (render_last_poll(now, line, stage)) } }
            div { dt { "Empty syncs in a row" } dd { (count(line.empty_polls)) } }
            div { dt { "Time zone" } dd { (view.patient.time_zone) ", now " (format_local(&view.zone, now, "%H:%M")) } }
            @if view.studies.is_empty() { div { dt { "Studies" } dd { "none" } } }
        }
    }
}

/// The OW user and the e-mail address say who the patient is: only a coordinator sees them.
fn render_identifiers(id: PatientId, view: &PatientView) -> Markup {
    html! {
        dl.terms {
            dt { "OW user" } dd.id { (view.line.link.as_deref().unwrap_or("not linked")) }
            @if let Some(email) = &view.patient.email { dt { "E-mail" } dd { (email) } }
        }
        p { a href={ "/admin/rejected?patient=" (id) } { "Rejected samples of this patient" }
            " · " a href={ "/admin/audit?patient=" (id) } { "Audit of this patient" } }
    }
}

fn describe_device(device: &DeviceConnection) -> String {
    format!("{}: {}", source::data_source_name(&device.provider), device.state.as_str())
}

/// Lists the grants; those of the same study, time and text are one row.
fn render_consents(id: PatientId, entries: &[ConsentEntry], zone: &TimeZone) -> Markup {
    let study = |study: &Option<(StudyId, String)>| {
        study.as_ref().map_or_else(|| "recorded by hand".to_owned(), |(_, name)| name.clone())
    };
    let is_same = |one: &ConsentEntry, other: &ConsentEntry| {
        let key = |entry: &ConsentEntry| (entry.grant.granted, entry.grant.withdrawn);
        key(one) == key(other) && one.study == other.study && one.text == other.text
    };
    let names = |group: &[ConsentEntry]| {
        group.iter().map(|entry| entry.scope.display.as_str()).collect::<Vec<_>>().join(", ")
    };
    html! {
        @if entries.is_empty() { p.empty { "No consent yet. The patient gives it through an invitation." } } @else {
            table {
                (table_head(&[Text("Data types"), Text("Study"), Text("Granted"), Text("Withdrawn"), Text("Text")]))
                tbody { @for group in entries.chunk_by(is_same) { @if let Some(entry) = group.first() { tr {
                    th scope="row" data-label="Data types" { span { (names(group)) } }
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
                } } } }
            }
        }
    }
}

fn render_devices(devices: &[DeviceConnection], zone: &TimeZone) -> Markup {
    html! {
        @if devices.is_empty() { p.empty { "No device was connected through these pages yet." } } @else {
            ul { @for device in devices {
                li { (describe_device(device)) ", since " (local(zone, device.changed)) }
            } }
        }
    }
}
