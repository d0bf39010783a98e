use jiff::tz::TimeZone;
use maud::{Markup, html};
use warp::reply::Response;

use crate::app::enrolment_stage::Stage;
use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::model::account::Role;
use crate::model::patient::PatientId;
use crate::model::silence::Silence;
use crate::model::study::StudyId;
use crate::secrets::token::TokenHash;
use crate::store::people::consent;
use crate::store::people::consent::Entry;
use crate::store::people::device_connection::Device;
use crate::web::admin::overview::{stage_badge, trouble};
use crate::web::admin::patient::view::View;
use crate::web::admin::patient::{access, polling};
use crate::web::admin::staff::{Staff, note_view, page};
use crate::web::admin::{export, observations};
use crate::web::layout::Column::Text;
use crate::web::layout::{ago, count, local, notice, table_head};
use crate::web::request::Visit;
use crate::web::response::Refusal;

/// `GET /admin/patients/N`.
pub(crate) async fn show(
    app: &App,
    visit: &Visit,
    staff: &Staff,
    id: PatientId,
) -> Result<Response, Refusal> {
    let now = app.clock.now();
    let reach = staff.reach();
    let view = app.store.read(move |db| View::load(db, reach, id, now)).await?;
    note_view(app, staff, "patient.view", Some(id)).await?;
    let (line, zone) = (&view.line, &view.zone);
    let stage = Stage::of(line);
    let may = staff.may(Role::Manager);
    let body = html! {
        div.heading {
            h1 { (view.patient.name) " " span.fine { "patient " (id) } }
            @if may { a.button.quiet href={ "/admin/patients/" (id) "/edit" } { "Change" } }
        }
        (notice(done(visit.query.get("done"))))
        @if let Some(silence) = &view.silence { (silent(silence, now)) }
        (facts(&view, stage))
        section {
            h2 { "Last poll" }
            p { (trouble(now, line, stage)) }
            (polling::section(app, staff, line))
        }
        section {
            h2 { "Measurements" }
            (view.overview.table(&format!("/admin/patients/{id}/charts/")))
            @if !view.newest.is_empty() {
                p { a.button.quiet href={ "/admin/patients/" (id) "/charts" } { "All charts" } }
            }
        }
        section {
            h2 { "Newest observations" }
            (observations::table(zone, &view.newest))
            @if !view.newest.is_empty() {
                p { a.button.quiet href={ "/admin/patients/" (id) "/observations" } { "All observations" } }
            }
        }
        section {
            h2 { "Consents" }
            (consents(id, &view.consents, zone))
        }
        section {
            h2 { "Devices" }
            (devices(&line.devices, zone))
        }
        (view.payloads.section(zone, now, app.payloads.is_unfinished(id)))
        @if let Some(export) = &view.export { (export.section(staff, id, now)) }
        (access::sections(staff, id, &view))
        p { a href={ "/admin/rejected?patient=" (id) } { "Rejected samples of this patient" }
            @if may { " · " a href={ "/admin/audit?patient=" (id) } { "Audit of this patient" } } }
    };
    Ok(page(app, staff, "/admin/patients", &view.patient.name, &body))
}

/// `POST /admin/patients/N/…`.
pub(crate) async fn act(
    app: &App,
    visit: &Visit,
    staff: &Staff,
    id: PatientId,
    action: &str,
) -> Result<Response, Refusal> {
    match action {
        "poll" => polling::poll(app, staff, id).await,
        "backfill" => polling::backfill(app, visit, staff, id).await,
        "invite" => access::invite(app, visit, staff, id).await,
        "revoke" => access::revoke(app, staff, id).await,
        "api-token" => access::make_api_token(app, visit, staff, id).await,
        "revoke-api-token" => access::revoke_api_token(app, visit, staff, id).await,
        "retry-export" => export::retry(app, staff, id).await,
        "end-sessions" => access::end_sessions(app, staff, id).await,
        _ => Err(Refusal::not_found()),
    }
}

/// `GET /admin/patients/N/consents/HASH`: the words that the patient agreed to.
pub(crate) async fn wording(
    app: &App,
    staff: &Staff,
    id: PatientId,
    hash: &str,
) -> Result<Response, Refusal> {
    note_view(app, staff, "patient.view", Some(id)).await?;
    let wanted = hash.to_owned();
    let find = move |db: &_| {
        let entries = consent::entries(db, id)?;
        let known = entries.into_iter().filter_map(|entry| entry.wording);
        let Some(found) = known.into_iter().find(|(_, _, hash)| hash.hex() == wanted) else {
            return Ok(None);
        };
        Ok(consent::wording(db, found.2)?.map(|text| (found, text)))
    };
    let found: Option<((String, String, TokenHash), String)> = app.store.read(find).await?;
    let ((version, language, hash), text) = found.ok_or_else(Refusal::not_found)?;
    let body = html! {
        h1 { "What was agreed to" }
        p { "Version " (version) ", language " (language) ". SHA-256 of the text: " code { (hash.hex()) } }
        pre lang=(language) { (text) }
        p { a.button href={ "/admin/patients/" (id) } { "Back to the patient" } }
    };
    Ok(page(app, staff, "/admin/patients", "What was agreed to", &body))
}

fn done(word: &str) -> &'static str {
    match word {
        "saved" => "Saved.",
        "polling" => "The poll has started; this page shows how it ends.",
        "busy" => "A poll of this patient runs already.",
        "revoked" => "The invitation is revoked: its link no longer works.",
        "token-revoked" => "The API token is revoked.",
        "export" => "Queued: it is sent with the next export.",
        "ended" => "The patient is signed out in every browser.",
        _ => "",
    }
}

/// That nothing comes in, why, and what to do.
fn silent(silence: &Silence, now: Timestamp) -> Markup {
    html! {
        p.warning {
            strong { "Silent" } ": nothing measured since " (ago(now, Some(silence.since))) " has come in. Likely: "
            (silence.cause.words()) ". " (silence.cause.next())
        }
    }
}

fn facts(view: &View, stage: Stage) -> Markup {
    let (patient, line) = (&view.patient, &view.line);
    html! {
        dl.summary {
            div { dt { "State" } dd { (stage_badge(stage)) } }
            div { dt { "Newest sample" } dd {
                @match line.newest { Some(at) => (local(&view.zone, at)), None => "none yet" }
            } }
            div { dt { "Samples in 24\u{a0}h" } dd { (count(line.last_day)) } }
            div { dt { "Empty polls in a row" } dd { (count(line.empty_polls)) } }
            div { dt { "Time zone" } dd { (patient.time_zone) } }
            div.wide { dt { "OW user" } dd.id { (line.link.as_deref().unwrap_or("not linked")) } }
            div.wide { dt { "Studies" } dd {
                @for (place, study) in view.studies.iter().enumerate() {
                    @if place > 0 { ", " }
                    a href={ "/admin/studies/" (study.id) } { (study.terms.name) }
                }
                @if view.studies.is_empty() { "none" }
            } }
            @if let Some(email) = &patient.email { div.wide { dt { "E-mail" } dd { (email) } } }
        }
    }
}

pub(crate) fn consents(id: PatientId, entries: &[Entry], zone: &TimeZone) -> Markup {
    let study = |study: &Option<(StudyId, String)>| {
        study.as_ref().map_or_else(|| "noted by hand".to_owned(), |(_, name)| name.clone())
    };
    html! {
        @if entries.is_empty() { p.empty { "No consent yet. The patient gives it through an invitation." } } @else {
            table {
                (table_head(&[Text("Scope"), Text("Study"), Text("Granted"), Text("Withdrawn"), Text("Text")]))
                tbody { @for entry in entries { tr {
                    th scope="row" data-label="Scope" { span { (entry.scope.display) " " code { (entry.scope.code) } } }
                    td data-label="Study" { (study(&entry.study)) }
                    td data-label="Granted" {
                        @if entry.grant.is_refusal() && entry.wording.is_none() { "refused" } @else { (local(zone, entry.grant.granted)) }
                    }
                    td data-label="Withdrawn" {
                        @match entry.grant.withdrawn { Some(at) => (local(zone, at)), None => "stands" }
                    }
                    td data-label="Text" {
                        @match &entry.wording {
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

fn devices(devices: &[Device], zone: &TimeZone) -> Markup {
    html! {
        @if devices.is_empty() { p.empty { "No device was connected through these pages yet." } } @else {
            ul { @for device in devices {
                li { (crate::model::catalog::source::data_source(&device.provider)) ": " (device.state.as_str()) ", since "
                     (local(zone, device.changed)) }
            } }
        }
    }
}
