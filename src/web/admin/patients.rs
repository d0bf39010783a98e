//! Patients: the list, and the form to add or change one.

use http::StatusCode;
use maud::{Markup, html};

use crate::app::{invite, state::App};
use crate::i18n::texts::Texts;
use crate::model::account::Role;
use crate::model::patient::{PatientId, PatientRef, normalize_time_zone, parse_email, parse_name};
use crate::model::study::{Study, StudyId};
use crate::store::people::patient::{self, NewPatient};
use crate::store::people::{study, time_zone};
use crate::store::privacy::audit;
use crate::web::access::{COORDINATED_PATIENT, COORDINATOR, Staff, VisiblePatient};
use crate::web::admin::staff::{PATIENTS_ARE_JHES, render_staff_page};
use crate::web::layout::{FormErrors, checkbox, form, group_error};
use crate::web::request::{FormFields, Request};
use crate::web::response::{HandlerResult, Refusal, see_other, with_status};
use crate::web::route::{Route, get, post};
use crate::web::time_zone_options::render_options;

/// Studies that the form lists.
pub(crate) const MAX_OFFERED_STUDIES: u32 = 200;

/// The box that allows a second patient of one name.
const SAME_NAME: &str = "same-name";
/// Patients of one name that the form names.
const MAX_NAMESAKES: usize = 5;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/admin/patients/new", COORDINATOR, show_new),
        post("/admin/patients/new", COORDINATOR, add),
        get("/admin/patients/{patient}/edit", COORDINATED_PATIENT, show_edit),
        post("/admin/patients/{patient}/edit", COORDINATED_PATIENT, change),
    ]
}

/// The form as submitted, before validation.
#[derive(Debug, Default)]
struct PatientForm {
    name: String,
    email: String,
    zone: String,
    is_of_jhe: bool,
    studies: Vec<String>,
    /// Patients who have the name already.
    namesakes: Vec<PatientId>,
}

impl PatientForm {
    fn parse(fields: &FormFields) -> Self {
        Self {
            name: fields.get("name").to_owned(),
            email: fields.get("email").to_owned(),
            zone: fields.get("tz").to_owned(),
            is_of_jhe: false,
            studies: fields.all("study").map(str::to_owned).collect(),
            namesakes: Vec::new(),
        }
    }

    /// Returns the patient, or the errors per field.
    fn validate(&self) -> Result<NewPatient, FormErrors> {
        let mut errors = FormErrors::default();
        let name = errors.take("name", parse_name(&self.name).map_err(|why| format!("Name: {why}")));
        let email = Some(self.email.as_str()).filter(|email| !email.is_empty()).map(parse_email).transpose();
        let email = errors.take("email", email.map_err(|why| format!("E-mail: {why}")));
        let zone =
            Some(self.zone.as_str()).filter(|zone| !zone.is_empty()).map(normalize_time_zone).transpose();
        let zone = errors.take("tz", zone);
        match (name, email, zone) {
            (Some(name), Some(email), Some(time_zone)) => Ok(NewPatient { name, email, time_zone }),
            _ => Err(errors),
        }
    }
}

/// Shows an empty form; the study of the page that led here is ticked.
async fn show_new(app: &App, request: &Request, staff: &Staff) -> HandlerResult {
    staff.require_local(PATIENTS_ARE_JHES)?;
    let studies = request.query.all("study").map(str::to_owned).collect();
    let form_values = PatientForm { studies, ..PatientForm::default() };
    render_form(app, staff, None, &form_values, &FormErrors::default()).await
}

async fn show_edit(app: &App, _: &Request, patient: &VisiblePatient) -> HandlerResult {
    let (staff, id) = (patient.staff(), patient.id());
    let patient = app.store.read(move |db| patient::find(db, PatientRef::Own(id))).await?;
    let studies = app.store.read(move |db| study::list_of_patient(db, id)).await?;
    let form_values = PatientForm {
        name: patient.name,
        email: patient.email.unwrap_or_default(),
        zone: patient.time_zone,
        is_of_jhe: patient.jhe_id.is_some(),
        studies: studies.iter().map(|study| study.id.to_string()).collect(),
        namesakes: Vec::new(),
    };
    render_form(app, staff, Some(id), &form_values, &FormErrors::default()).await
}

async fn render_form(
    app: &App,
    staff: &Staff,
    id: Option<PatientId>,
    form_values: &PatientForm,
    errors: &FormErrors,
) -> HandlerResult {
    let visible_to = staff.visible_to();
    let studies = app
        .store
        .read(move |db| study::list(db, visible_to, Role::Coordinator, 0, MAX_OFFERED_STUDIES))
        .await?;
    let (title, action) = match id {
        Some(id) => ("Change a patient", format!("/admin/patients/{id}/edit")),
        None => ("Add a patient", "/admin/patients/new".to_owned()),
    };
    let cancel = match (id, form_values.studies.as_slice()) {
        (Some(id), _) => format!("/admin/patients/{id}"),
        (None, [study]) if studies.iter().any(|one| one.id.to_string() == *study) => {
            format!("/admin/studies/{study}")
        }
        (None, _) => "/admin/patients".to_owned(),
    };
    let in_use = studies.iter().map(|study| study.terms.time_zone.as_str());
    let zones = html! {
        @if id.is_none() { option value="" { "The study’s time zone" } }
        (render_options(Texts::ENGLISH, &form_values.zone, in_use, app.clock.now()))
    };
    let body = html! {
        h1 { (title) }
        (errors.summary())
        (form(&action, staff.token(), &html! {
            @if form_values.is_of_jhe {
                p.help { "Name and e-mail are changed in JHE." }
                input type="hidden" name="name" value=(form_values.name);
                input type="hidden" name="email" value=(form_values.email);
            } @else {
                (errors.field("name", "Name", "What you call the patient; a pseudonym does as well.", &form_values.name, "text").required())
                (render_namesakes(&form_values.namesakes))
                (errors.field("email", "E-mail (optional)", "For you to write to. It is not passed on.", &form_values.email, "email"))
            }
            (errors.select("tz", "Time zone", "Where the patient lives. The patient confirms or changes it before agreeing.", &zones))
            @if staff.account().is_of_jhe() || form_values.is_of_jhe {
                p.help { "Studies of this patient are assigned in JHE." }
            } @else {
                (render_studies(&studies, form_values, errors, id.is_some()))
            }
            div.actions {
                button type="submit" { "Save" }
                a href=(cancel) {
                    "Cancel"
                }
            }
        }))
    };
    Ok(render_staff_page(app, staff, "/admin/patients", title, &body))
}

/// Renders the patients who have the name already, and the box that allows one more.
fn render_namesakes(namesakes: &[PatientId]) -> Markup {
    html! { @if !namesakes.is_empty() {
        div.warning {
            p { "Of this name: " @for (place, id) in namesakes.iter().enumerate() {
                @if place > 0 { ", " }
                a href={ "/admin/patients/" (id) } { "patient " (id) }
            } "." }
            (checkbox(SAME_NAME, SAME_NAME, "yes", false, &html! { "This is another person: add the patient anyway" }))
        }
    } }
}

fn render_studies(
    studies: &[Study],
    form_values: &PatientForm,
    errors: &FormErrors,
    is_known: bool,
) -> Markup {
    html! {
        fieldset #study {
            legend { "Studies" }
            (group_error(errors, "study"))
            @if studies.is_empty() {
                p.help { "There are none yet: an operator adds a study." }
            }
            @for study in studies {
                @let value = study.id.to_string();
                @let enrolled = form_values.studies.contains(&value);
                (checkbox(&format!("study-{value}"), "study", &value, enrolled, &html! { (study.terms.name) }))
            }
            @if is_known {
                p.help { "An enrolled patient stays enrolled; to leave a study, the patient withdraws the consents." }
            }
        }
    }
}

async fn add(app: &App, request: &Request, staff: &Staff) -> HandlerResult {
    staff.require_local(PATIENTS_ARE_JHES)?;
    save(app, request, staff, None).await
}

async fn change(app: &App, request: &Request, patient: &VisiblePatient) -> HandlerResult {
    save(app, request, patient.staff(), Some(patient.id())).await
}

async fn save(app: &App, request: &Request, staff: &Staff, id: Option<PatientId>) -> HandlerResult {
    let mut form_values = PatientForm::parse(request.form());
    if staff.account().is_of_jhe() && !form_values.studies.is_empty() {
        let next = id.map_or_else(|| "/admin/patients".to_owned(), |id| format!("/admin/patients/{id}"));
        return Err(Refusal::forbidden(PATIENTS_ARE_JHES).link(next, "Back"));
    }
    let new = match form_values.validate() {
        Ok(new) => new,
        Err(errors) => {
            let page = render_form(app, staff, id, &form_values, &errors).await?;
            return Ok(with_status(StatusCode::BAD_REQUEST, page));
        }
    };
    let studies: Vec<StudyId> = form_values.studies.iter().filter_map(|study| study.parse().ok()).collect();
    for study in &studies {
        staff.require_in_study(app, *study, Role::Coordinator).await?;
    }
    if id.is_none() && studies.is_empty() && !staff.may(Role::Operator) {
        let mut errors = FormErrors::default();
        errors.add("study", "Studies: tick at least one, or only operators see the patient");
        let page = render_form(app, staff, id, &form_values, &errors).await?;
        return Ok(with_status(StatusCode::BAD_REQUEST, page));
    }
    if id.is_none() && !request.form().has(SAME_NAME) {
        let (name, visible_to) = (new.name.clone(), staff.visible_to());
        let read = move |db: &_| patient::list_by_name(db, visible_to, &name, MAX_NAMESAKES);
        form_values.namesakes = app.store.read(read).await?;
        if !form_values.namesakes.is_empty() {
            let mut errors = FormErrors::default();
            errors.add("name", "Name: a patient has this name already");
            let page = render_form(app, staff, id, &form_values, &errors).await?;
            return Ok(with_status(StatusCode::BAD_REQUEST, page));
        }
    }
    let (who, now) = (staff.actor(), app.clock.now());
    let write = move |db: &_| {
        let (patient, action) = match id {
            Some(id) => (id, "patient.change"),
            None => (patient::insert(db, &new, now)?, "patient.add"),
        };
        let known = patient::find(db, PatientRef::Own(patient))?;
        // JHE owns name and e-mail of its patients.
        if known.jhe_id.is_none() {
            patient::rename(db, patient, &new.name, new.email.as_deref())?;
        }
        if let Some(zone) = new.time_zone.filter(|zone| *zone != known.time_zone) {
            time_zone::set(db, patient, &zone, now)?;
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
