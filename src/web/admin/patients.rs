//! Patients: the list, and the form to add or change one.

use http::StatusCode;
use maud::{Markup, html};
use warp::reply::Response;

use crate::app::enrolment_stage::Stage;
use crate::app::invite;
use crate::app::state::App;
use crate::model::account::Role;
use crate::model::patient::{PatientId, PatientRef, parse_email, parse_name, parse_zone};
use crate::model::study::{Study, StudyId};
use crate::store::engine::setting;
use crate::store::error::StoreError;
use crate::store::operations::patient_status::Shown;
use crate::store::operations::{patient_status, silence};
use crate::store::people::patient::NewPatient;
use crate::store::people::{patient, study};
use crate::store::privacy::audit;
use crate::web::admin::overview::{flag, stage_badge};
use crate::web::admin::staff::{
    PAGE, PATIENTS_ARE_JHES, Staff, cut, no_patient, nobody_yet, note_view, page,
};
use crate::web::layout::Column::{Number, Text};
use crate::web::layout::{Errors, ago, checkbox, form, table_head};
use crate::web::request::{Fields, Visit};
use crate::web::response::{Refusal, see_other, with_status};

/// Studies that the form offers: more than anybody wants to tick.
pub(crate) const OFFERED: u32 = 200;

/// `GET /admin/patients`.
pub(crate) async fn list(app: &App, visit: &Visit, staff: &Staff) -> Result<Response, Refusal> {
    let now = app.clock.now();
    let (reach, after) = (staff.reach(), visit.query.number("after").unwrap_or(0));
    let only_silent = !visit.query.get("silent").is_empty();
    let read = move |db: &_| {
        let settings = setting::all(db)?;
        let silent = silence::all(db, reach, settings.silence_after(), now)?;
        let among = only_silent.then(|| silent.keys().copied().collect());
        let shown = Shown { reach, after, search: String::new(), until: None, among };
        let lines = patient_status::lines(db, now, &shown, PAGE + 1)?;
        let with_studies =
            |line: patient_status::Line| Ok((study::studies_of(db, reach, line.patient)?, line));
        let lines = lines.into_iter().map(with_studies).collect::<Result<Vec<_>, StoreError>>()?;
        Ok((lines, silent))
    };
    let (lines, silent) = app.store.read(read).await?;
    let (lines, more) = cut(lines);
    note_view(app, staff, "patients.view", None).await?;
    let next = lines.last().filter(|_| more).map(|(_, line)| line.patient);
    let body = html! {
        div.heading {
            h1 { @if only_silent { "Silent patients" } @else { "Patients" } }
            @if only_silent { a.button.quiet href="/admin/patients" { "All patients" } }
            @if staff.may_make() { a.button href="/admin/patients/new" { "Add a patient" } }
        }
        @if lines.is_empty() && only_silent { p.empty { "Nobody is silent." } }
        @else if lines.is_empty() { p.empty { (nobody_yet(staff)) } }
        @else {
            table {
                (table_head(&[
                    Number("Number"), Text("Name"), Text("State"), Text("Studies"),
                    Text("Link"), Text("Newest sample"),
                ]))
                tbody { @for (studies, line) in &lines { tr {
                    td.number data-label="Number" { (line.patient) }
                    th scope="row" data-label="Name" {
                        a href={ "/admin/patients/" (line.patient) } { (line.name) }
                    }
                    td data-label="State" { (stage_badge(Stage::of(line))) }
                    td data-label="Studies" { (names(studies)) }
                    td.id data-label="Link" { (line.link.as_deref().unwrap_or("none")) }
                    td data-label="Newest sample" {
                        (ago(now, line.newest))
                        @if let Some(silence) = silent.get(&line.patient) { (flag(silence)) }
                    }
                } } }
            }
        }
        @if let Some(next) = next { p { a.button href={ "/admin/patients?after=" (next) @if only_silent { "&silent=1" } } { "More patients" } } }
    };
    Ok(page(app, staff, "/admin/patients", "Patients", &body))
}

fn names(studies: &[Study]) -> String {
    let names: Vec<&str> = studies.iter().map(|study| study.terms.name.as_str()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// What the form holds, as it was typed.
#[derive(Debug, Default)]
struct Typed {
    name: String,
    email: String,
    zone: String,
    is_of_jhe: bool,
    studies: Vec<String>,
}

impl Typed {
    fn read(fields: &Fields) -> Self {
        Self {
            name: fields.get("name").to_owned(),
            email: fields.get("email").to_owned(),
            zone: fields.get("tz").to_owned(),
            is_of_jhe: false,
            studies: fields.all("study").map(str::to_owned).collect(),
        }
    }

    /// The patient, or what is wrong.
    fn check(&self) -> Result<NewPatient, Errors> {
        let mut errors = Errors::default();
        let name = errors.take("name", parse_name(&self.name).map_err(|why| format!("Name: {why}")));
        let email = Some(self.email.as_str()).filter(|email| !email.is_empty()).map(parse_email).transpose();
        let email = errors.take("email", email.map_err(|why| format!("E-mail: {why}")));
        let zone = errors.take("tz", parse_zone(&self.zone));
        match (name, email, zone) {
            (Some(name), Some(email), Some(time_zone)) => Ok(NewPatient { name, email, time_zone }),
            _ => Err(errors),
        }
    }
}

/// `GET /admin/patients/new`.
pub(crate) async fn ask_new(app: &App, staff: &Staff) -> Result<Response, Refusal> {
    staff.need(Role::Manager)?;
    let typed = Typed { zone: "UTC".to_owned(), ..Typed::default() };
    ask(app, staff, None, &typed, &Errors::default()).await
}

/// `GET /admin/patients/N/edit`.
pub(crate) async fn ask_change(app: &App, staff: &Staff, id: PatientId) -> Result<Response, Refusal> {
    staff.need(Role::Manager)?;
    let found = app.store.read(move |db| patient::find(db, PatientRef::Own(id))).await;
    let patient = found.map_err(|_| no_patient())?;
    let studies = app.store.read(move |db| study::of_patient(db, id)).await?;
    let typed = Typed {
        name: patient.name,
        email: patient.email.unwrap_or_default(),
        zone: patient.time_zone,
        is_of_jhe: patient.jhe_id.is_some(),
        studies: studies.iter().map(|study| study.id.to_string()).collect(),
    };
    ask(app, staff, Some(id), &typed, &Errors::default()).await
}

async fn ask(
    app: &App,
    staff: &Staff,
    id: Option<PatientId>,
    typed: &Typed,
    errors: &Errors,
) -> Result<Response, Refusal> {
    let reach = staff.reach();
    let studies = app.store.read(move |db| study::page(db, reach, 0, OFFERED)).await?;
    let (title, action) = match id {
        Some(id) => ("Change a patient", format!("/admin/patients/{id}/edit")),
        None => ("Add a patient", "/admin/patients/new".to_owned()),
    };
    let body = html! {
        h1 { (title) }
        (errors.summary())
        (form(&action, &staff.token, &html! {
            @if typed.is_of_jhe {
                p.help { "Name and e-mail are JHE's to change." }
                input type="hidden" name="name" value=(typed.name);
                input type="hidden" name="email" value=(typed.email);
            } @else {
                (errors.field("name", "Name", "What you call the patient; a pseudonym does as well.", &typed.name, "text"))
                (errors.field("email", "E-mail (optional)", "For you to write to. It is not passed on.", &typed.email, "email"))
            }
            (errors.field("tz", "Time zone", "Where the patient lives: a name such as Europe/Berlin, or an offset from UTC such as +02:00.", &typed.zone, "text"))
            @if staff.account.is_of_jhe() || typed.is_of_jhe {
                p.help { "Who takes part in which study is decided in JHE." }
            } @else {
                (enrolments(&studies, typed, id.is_some()))
            }
            div.actions {
                button type="submit" { "Save" }
                a href=(id.map_or_else(|| "/admin/patients".to_owned(), |id| format!("/admin/patients/{id}"))) {
                    "Cancel"
                }
            }
        }))
    };
    Ok(page(app, staff, "/admin/patients", title, &body))
}

fn enrolments(studies: &[Study], typed: &Typed, is_known: bool) -> Markup {
    html! {
        fieldset {
            legend { "Studies" }
            @if studies.is_empty() {
                p.help { "There are none yet: " a href="/admin/studies/new" { "make a study" } "." }
            }
            @for study in studies {
                @let value = study.id.to_string();
                @let enrolled = typed.studies.contains(&value);
                (checkbox(&format!("study-{value}"), "study", &value, enrolled, &html! { (study.terms.name) }))
            }
            @if is_known {
                p.help { "A patient who is enrolled stays so; to leave, the patient withdraws the consents." }
            }
        }
    }
}

/// `POST /admin/patients/new`.
pub(crate) async fn add(app: &App, visit: &Visit, staff: &Staff) -> Result<Response, Refusal> {
    save(app, visit, staff, None).await
}

/// `POST /admin/patients/N/edit`.
pub(crate) async fn change(
    app: &App,
    visit: &Visit,
    staff: &Staff,
    id: PatientId,
) -> Result<Response, Refusal> {
    save(app, visit, staff, Some(id)).await
}

async fn save(app: &App, visit: &Visit, staff: &Staff, id: Option<PatientId>) -> Result<Response, Refusal> {
    let typed = Typed::read(&visit.form);
    if staff.account.is_of_jhe() && !typed.studies.is_empty() {
        let next = id.map_or_else(|| "/admin/patients".to_owned(), |id| format!("/admin/patients/{id}"));
        return Err(Refusal::forbidden(PATIENTS_ARE_JHES).next(next, "Back"));
    }
    let new = match typed.check() {
        Ok(new) => new,
        Err(errors) => {
            let page = ask(app, staff, id, &typed, &errors).await?;
            return Ok(with_status(StatusCode::BAD_REQUEST, page));
        }
    };
    let studies: Vec<StudyId> = typed.studies.iter().filter_map(|study| study.parse().ok()).collect();
    let (who, now) = (staff.actor(), app.clock.now());
    let write = move |db: &_| {
        let (patient, action) = match id {
            Some(id) => (id, "patient.change"),
            None => (patient::add(db, &new, now)?, "patient.add"),
        };
        if patient::is_of_jhe(db, patient)? {
            // The rest is JHE's, and comes with its next answer.
            let known = patient::find(db, PatientRef::Own(patient))?;
            let zone = new.time_zone.clone();
            patient::change(
                db,
                patient,
                &NewPatient { name: known.name, email: known.email, time_zone: zone },
            )?;
        } else {
            patient::change(db, patient, &new)?;
        }
        audit::record(db, now, who, action, Some(patient), "")?;
        for study in studies {
            invite::enrol(db, study, patient, who, now)?;
        }
        Ok(patient)
    };
    let patient = app.store.write(write).await?;
    Ok(see_other(&format!("/admin/patients/{patient}?done=saved")))
}
