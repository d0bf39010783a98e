//! The patient's own time zone: a question of the consent form, and a form of "Your choices".

use maud::{Markup, html};

use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::i18n::phrase::Phrase;
use crate::model::account::Actor;
use crate::model::patient::{PatientId, normalize_time_zone};
use crate::store::people::time_zone;
use crate::store::{error::StoreError, privacy::audit};
use crate::web::layout::{FormErrors, form};
use crate::web::patient_access::{PATIENT, SignedInPatient};
use crate::web::response::{HandlerResult, Refusal, see_other};
use crate::web::route::{Route, post};
use crate::web::time_zone_options::render_options;
use crate::web::{reader::Reader, request::Request};

/// The name of the field.
pub(crate) const FIELD: &str = "tz";

pub(crate) fn routes() -> Vec<Route> {
    vec![post("/clients/ow/time-zone", PATIENT, change)]
}

/// Renders the question, with the patient's zone or the one that the form has sent.
pub(crate) async fn load_question(
    app: &App,
    reader: &Reader,
    patient: PatientId,
    sent: &str,
) -> Result<Markup, Refusal> {
    let known = app.store.read(move |db| time_zone::find(db, patient)).await?;
    let (now, sent) = (app.clock.now(), normalize_time_zone(sent).ok());
    let correction = known.correction(now);
    let in_use = known.of_studies.iter().chain(&correction).map(String::as_str);
    let options = render_options(reader.texts, sent.as_deref().unwrap_or(known.proposed()), in_use, now);
    let (label, why) = (reader.get("time-zone"), reader.get("time-zone-why"));
    Ok(FormErrors::default().select(FIELD, &label, &why, &options))
}

/// Saves the patient's answer. A form without one changes nothing.
pub(crate) fn save(
    db: &rusqlite::Connection,
    patient: PatientId,
    sent: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Ok(zone) = normalize_time_zone(sent) else { return Ok(()) };
    time_zone::set(db, patient, &zone, now)?;
    audit::record(db, now, Actor::Patient(patient), "patient.time-zone", Some(patient), "")
}

/// Renders the form of "Your choices".
pub(crate) async fn render_section(app: &App, patient: &SignedInPatient) -> Result<Markup, Refusal> {
    let inside = html! {
        (load_question(app, patient.reader(), patient.id(), "").await?)
        button.quiet type="submit" { (patient.reader().get("save")) }
    };
    Ok(html! { section.card { (form("/clients/ow/time-zone", patient.token(), &inside)) } })
}

async fn change(app: &App, request: &Request, patient: &SignedInPatient) -> HandlerResult {
    let (id, now, sent) = (patient.id(), app.clock.now(), request.form().get(FIELD).to_owned());
    normalize_time_zone(&sent)
        .map_err(|_| Refusal::bad(Phrase::key("time-zone-unknown")).link_to_choices())?;
    app.store.write(move |db| save(db, id, &sent, now)).await?;
    Ok(see_other("/clients/ow/manage?done=time-zone"))
}
