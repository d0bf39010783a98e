//! The list of patients: states, newest data, and the last sync.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::app::enrolment_stage::{self, EnrolmentStage};
use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::model::account::Role;
use crate::model::study::Study;
use crate::model::{patient::PatientId, silence::Silence, time_zones};
use crate::store::operations::patient_status::{self, PatientFilter, PatientOverview};
use crate::store::operations::silence;
use crate::store::{engine::setting, error::StoreError, people::study};
use crate::web::access::{STAFF, Staff};
use crate::web::admin::staff::{PAGE, no_patients_text, record_view, render_staff_page, split_page};
use crate::web::chart::sparkline::render_sparkline;
use crate::web::layout::Column::{Number, Text};
use crate::web::layout::{ago, badge, count, foreign, table_head};
use crate::web::route::{Route, get};
use crate::web::{request::Request, response::HandlerResult};

type SilentPatients = BTreeMap<PatientId, Silence>;

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/admin/patients", STAFF, show)]
}

async fn show(app: &App, request: &Request, staff: &Staff) -> HandlerResult {
    let (now, visible_to) = (app.clock.now(), staff.visible_to());
    let only_silent = !request.query.get("silent").is_empty();
    let shown = PatientFilter {
        visible_to,
        after: request.query.number("after").unwrap_or(0),
        search: request.query.get("search").to_owned(),
        until: None,
        among: None,
    };
    let filter = shown.clone();
    let read = move |db: &_| {
        let silent =
            silence::list_needing_action(db, visible_to, setting::read_all(db)?.silence_after(), now)?;
        let among = only_silent.then(|| silent.keys().copied().collect());
        let lines = patient_status::list(db, now, &PatientFilter { among, ..filter }, PAGE + 1)?.into_iter();
        let with_studies =
            lines.map(|line| Ok((study::list_visible_of_patient(db, visible_to, line.patient)?, line)));
        Ok((with_studies.collect::<Result<Vec<_>, StoreError>>()?, silent))
    };
    let (lines, silent) = app.store.read(read).await?;
    let (lines, more) = split_page(lines);
    record_view(app, staff, "patients.view", None).await?;
    let next = lines.last().filter(|_| more).map(|(_, line)| line.patient);
    let current = |is_current: bool| is_current.then_some("true");
    let body = html! {
        div.heading {
            h1 { "Patients" }
            @if staff.may_add_patients() { a.button href="/admin/patients/new" { "Add a patient" } }
        }
        div.heading {
            nav.chips aria-label="Filter by state" { ul {
                li { a href="/admin/patients" aria-current=[current(!only_silent)] { "All" } }
                li { a href="/admin/patients?silent=1" aria-current=[current(only_silent)] { "Silent " span.fine { (silent.len()) } } }
            } }
            form.search role="search" method="get" {
                label.hidden for="search" { "Name or number" }
                input id="search" name="search" type="search" placeholder="Name or number" value=(shown.search);
                @if only_silent { input type="hidden" name="silent" value="1"; }
                button.quiet type="submit" { "Search" }
            }
        }
        @if lines.is_empty() && only_silent && shown.search.is_empty() { p.empty { "Nobody is silent." } }
        @else if lines.is_empty() { (render_empty_list(&shown, staff)) }
        @else { (render_table(now, &lines, &silent)) }
        @if let Some(next) = next { p { a.button.quiet href={
            "/admin/patients?after=" (next) "&search=" (encode_query(&shown.search)) @if only_silent { "&silent=1" }
        } { "More patients" } } }
    };
    Ok(render_staff_page(app, staff, "/admin/patients", "Patients", &body))
}

fn study_names(studies: &[Study]) -> String {
    let names: Vec<&str> = studies.iter().map(|study| study.terms.name.as_str()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn encode_query(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn render_empty_list(shown: &PatientFilter, staff: &Staff) -> Markup {
    html! {
        div.empty {
            @if shown.search.is_empty() {
                p { (no_patients_text(staff)) }
                @if staff.may_add_patients() {
                    ol {
                        @if staff.may(Role::Operator) {
                            li { a href="/admin/studies/new" { "Add a study" } ": what it asks for, and why" }
                        }
                        li { a href="/admin/patients/new" { "Add a patient" } " to it" }
                        li { "On the patient’s page, make the link that invites, and send it" }
                    }
                }
            } @else {
                p { "Nobody’s name or number has “" (shown.search) "” in it. " a href="/admin/patients" { "Show all" } }
            }
        }
    }
}

fn render_table(now: Timestamp, lines: &[(Vec<Study>, PatientOverview)], silent: &SilentPatients) -> Markup {
    html! {
        table {
            (table_head(&[
                Text("Patient"), Text("Studies"), Text("State"), Text("Newest sample"), Number("Samples in 24\u{a0}h"),
                Text("By hour"), Text("Last sync, and what to do"),
            ]))
            tbody { @for (studies, line) in lines { (render_patient(now, studies, line, silent.get(&line.patient))) } }
        }
    }
}

fn render_patient(
    now: Timestamp,
    studies: &[Study],
    line: &PatientOverview,
    silence: Option<&Silence>,
) -> Markup {
    let stage = EnrolmentStage::of(line);
    html! {
        tr {
            th scope="row" data-label="Patient" { a href={ "/admin/patients/" (line.patient) } {
                (line.patient) " " (line.name)
            } }
            td data-label="Studies" { (study_names(studies)) }
            td data-label="State" { (stage_badge(stage)) }
            td data-label="Newest sample" { (ago(now, line.newest)) @if let Some(silence) = silence { (silence_badge(silence)) } (time_zone_badge(line)) }
            td.number data-label="Samples in 24 h" { (count(line.last_day)) }
            td data-label="By hour" { (render_sparkline(&line.hours)) }
            td data-label="Last sync" { (render_last_poll(now, line, stage)) }
        }
    }
}

pub(crate) fn silence_badge(silence: &Silence) -> Markup {
    html! { " " (badge("bad", "silent")) " " span.fine { (silence.cause.label()) } }
}

/// Renders the contradiction between a patient's samples and time zone, if there is one.
pub(crate) fn time_zone_badge(line: &PatientOverview) -> Markup {
    html! {
        @if let Some(offset) = line.contradicting_offset {
            " " (badge("bad", "time zone"))
            " " span.fine { (time_zones::describe_contradiction(&line.time_zone, offset)) }
        }
    }
}

/// Renders the stage in the colour of its urgency.
pub(crate) fn stage_badge(stage: EnrolmentStage) -> Markup {
    let kind = match stage {
        EnrolmentStage::Connected => "good",
        EnrolmentStage::NeedsRelink => "bad",
        _ => "idle",
    };
    badge(kind, stage.as_str())
}

/// Renders the time of the last poll, with its error or the next step.
pub(crate) fn render_last_poll(now: Timestamp, line: &PatientOverview, stage: EnrolmentStage) -> Markup {
    html! {
        @if let Some(polled) = line.polled { (ago(now, Some(polled))) } @else { "never" }
        @if let Some(error) = enrolment_stage::describe_problem(line) {
            p.bad { (foreign(error)) }
        } @else if !stage.next_step(line).is_empty() {
            p.idle { (stage.next_step(line)) }
        }
    }
}
