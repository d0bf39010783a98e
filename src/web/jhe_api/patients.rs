//! The participants of the token's study, and their consents.

use std::collections::BTreeMap;

use http::StatusCode;
use rusqlite::Connection;
use serde_json::json;

use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::fhir::cursor;
use crate::fhir::parameters::MAX_COUNT;
use crate::fhir::resources::{patient_identifiers, split_name};
use crate::model::patient::PatientId;
use crate::model::study::Study;
use crate::store::people::data_source::{self, CodeRow};
use crate::store::samples::dataset::{self, ConsentRow};
use crate::store::samples::reading::{self, ReadableParticipant};
use crate::web::fhir::answer::public_base;
use crate::web::jhe_api::studies::{answer, no_such, number};
use crate::web::jhe_api::types::{
    self, AnsweredStudy, Detail, Page, Patient, PatientConsents, PatientIdentifier, PendingStudy,
    ScopeConsent,
};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, json as json_response};
use crate::web::study_reader::StudyReader;

/// JHE's size of a page where a request names none.
const PAGE_SIZE: usize = 20;

fn patient(reader: &StudyReader, one: &ReadableParticipant) -> Patient {
    let id = one.patient.get();
    let shows_names = reader.token().shows_names;
    let (given, family) = if shows_names { split_name(&one.name) } else { ("", one.participant.as_str()) };
    let identifiers = (1..).zip(patient_identifiers(reader.study().id, one));
    Patient {
        id,
        jhe_user_id: id,
        identifiers: identifiers
            .map(|(id, (system, value))| PatientIdentifier { id, system, value })
            .collect(),
        name_family: family.to_owned(),
        name_given: given.to_owned(),
        birth_date: None,
        telecom_phone: None,
        telecom_email: one.email.clone().filter(|_| shows_names),
        organizations: vec![types::organization(reader.study())],
    }
}

/// The participants of the study whose consent is active, by id.
#[utoipa::path(get, operation_id = "list_patients", path = "/api/v1/patients", tag = "Reading", params(
    ("organization_id" = Option<i64>, Query, description = "Only patients of this organization"),
    ("study_id" = Option<i64>, Query, description = "Only patients of this study"),
    ("page_size" = Option<i64>, Query, minimum = 0, description = "Patients of a page: 20 if it is not given, at most 1000"),
    ("cursor" = Option<String>, Query, description = "The place of a page, from the address 'next'")),
    responses((status = 200, body = Page<Patient>), (status = 400, body = Detail), (status = 401, body = Detail),
        (status = 404, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn list(app: &App, request: &Request, reader: &StudyReader) -> HandlerResult {
    let study = reader.study().id;
    let named = [number(request, "organization_id")?, number(request, "study_id")?];
    let size = number(request, "page_size")?.map_or(Ok(PAGE_SIZE), usize::try_from);
    let size = size.map_err(|_| Refusal::bad("page_size: give a whole number; 0 stands for 20."))?;
    let size = if size == 0 { PAGE_SIZE } else { size.min(MAX_COUNT) };
    let cursor = Some(request.query.get("cursor")).filter(|cursor| !cursor.is_empty());
    let after = cursor.map_or(Some([i64::MIN]), cursor::decode);
    let Some([after]) = after.filter(|_| matches!(request.query.get("page"), "" | "1")) else {
        // JHE's status. Its pages have numbers, these have none.
        let text = "Invalid page. Follow the address 'next' of the page before.";
        return Ok(json_response(StatusCode::NOT_FOUND, &json!({ "detail": text })));
    };
    if named.into_iter().flatten().any(|named| named != study.get()) {
        return answer(&Page::<Patient>::of(Vec::new()));
    }
    let read = move |db: &Connection| {
        let (mut found, mut after) = (Vec::with_capacity(size), after);
        while found.len() <= size {
            let Some(one) = reading::find_next(db, study, after)? else { break };
            after = one.patient.get();
            found.push(one);
        }
        Ok((found, reading::count(db, study)?))
    };
    let (mut found, count) = reader.read(app, read).await?;
    let has_next = found.len() > size;
    found.truncate(size);
    reader.record_read(app, "patients", found.len()).await?;
    let next = found.last().filter(|_| has_next).map(|last| {
        let (base, cursor) = (public_base(app, request), cursor::encode([last.patient.get()]));
        format!("{base}/api/v1/patients?page_size={size}&cursor={cursor}")
    });
    let results = found.iter().map(|one| patient(reader, one)).collect();
    answer(&Page { count, next, previous: None, results })
}

/// A participant of the study whose consent is active.
#[utoipa::path(get, operation_id = "get_patient", path = "/api/v1/patients/{patient}", tag = "Reading", params(
    ("patient" = i64, Path, description = "Id of the patient")),
    responses((status = 200, body = Patient), (status = 401, body = Detail), (status = 404, body = Detail),
        (status = 429, body = Detail)))]
pub(crate) async fn show(app: &App, request: &Request, reader: &StudyReader) -> HandlerResult {
    let found = find(app, request, reader).await?;
    reader.record_read(app, "patients", usize::from(found.is_some())).await?;
    found.map_or_else(|| Ok(no_such("Patient")), |one| answer(&patient(reader, &one)))
}

async fn find(
    app: &App,
    request: &Request,
    reader: &StudyReader,
) -> Result<Option<ReadableParticipant>, Refusal> {
    let study = reader.study().id;
    let Ok(id) = request.parameter("patient").parse().map(PatientId::new) else { return Ok(None) };
    reader.read(app, move |db| reading::find(db, study, id)).await
}

/// The participants with a mail address, for a token that shows names.
#[utoipa::path(get, operation_id = "look_up_patients", path = "/api/v1/patients/global_lookup", tag = "Reading", params(
    ("email" = String, Query, description = "The whole address")),
    responses((status = 200, body = Vec<Patient>), (status = 400, body = Detail), (status = 401, body = Detail),
        (status = 403, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn look_up(app: &App, request: &Request, reader: &StudyReader) -> HandlerResult {
    if !request.query.has("email") {
        return Err(Refusal::bad("email: give an address."));
    }
    let email = request.query.get("email").to_owned();
    if !reader.token().shows_names {
        let text = "This token shows no names and no addresses. Look for study numbers.";
        return Ok(json_response(StatusCode::FORBIDDEN, &json!({ "detail": text })));
    }
    let study = reader.study().id;
    let found = reader.read(app, move |db| reading::find_by_email(db, study, &email)).await?;
    reader.record_read(app, "patients", found.len()).await?;
    answer(&found.iter().map(|one| patient(reader, one)).collect::<Vec<_>>())
}

/// The consents that a participant has given to the study.
#[utoipa::path(get, operation_id = "get_patient_consents", path = "/api/v1/patients/{patient}/consents", tag = "Reading", params(
    ("patient" = i64, Path, description = "Id of the patient")),
    responses((status = 200, body = PatientConsents), (status = 401, body = Detail), (status = 404, body = Detail),
        (status = 429, body = Detail)))]
pub(crate) async fn consents(app: &App, request: &Request, reader: &StudyReader) -> HandlerResult {
    let found = find(app, request, reader).await?;
    reader.record_read(app, "consents", usize::from(found.is_some())).await?;
    let Some(participant) = found else { return Ok(no_such("Patient")) };
    let (study, id) = (reader.study().id, participant.patient);
    let read = move |db: &Connection| {
        let sources = data_source::list(db, study)?;
        Ok((data_source::list_codes(db, study, None)?, sources, dataset::list_consents(db, study, id)?))
    };
    let (codes, sources, given) = reader.read(app, read).await?;
    let answers = answers_by_code(&given);
    let (mut answered, mut pending, mut shared) = (Vec::new(), Vec::new(), Vec::new());
    for code in codes {
        if participant.allowed.contains_key(&code.code) {
            shared.push(types::scope(code.clone()));
        }
        match answers.get(code.code.as_str()) {
            Some(answer) => answered.push(scope_consent(code, Some(*answer))),
            None => pending.push(scope_consent(code, None)),
        }
    }
    let sources: Vec<_> = sources.into_iter().map(types::data_source).collect();
    let Study { terms, id, .. } = reader.study();
    let (id, name, description) = (id.get(), terms.name.clone(), terms.purpose.clone());
    let organization = || types::organization_name(reader.study());
    let studies_pending_consent = (!pending.is_empty()).then(|| PendingStudy {
        id,
        name: name.clone(),
        description: description.clone(),
        organization: organization(),
        data_sources: sources.clone(),
        pending_scope_consents: pending,
    });
    let studies = (!answered.is_empty()).then(|| AnsweredStudy {
        id,
        name: name.clone(),
        description: description.clone(),
        organization: organization(),
        data_sources: sources.clone(),
        scope_consents: answered,
    });
    answer(&PatientConsents {
        patient: patient(reader, &participant),
        consolidated_consented_scopes: shared,
        studies_pending_consent: studies_pending_consent.into_iter().collect(),
        studies: studies.into_iter().collect(),
    })
}

/// Returns the last answer for each code: agreed or not, and when.
fn answers_by_code(given: &[ConsentRow]) -> BTreeMap<&str, (bool, Timestamp)> {
    let mut answers = BTreeMap::<&str, (bool, Timestamp)>::new();
    for ConsentRow { code, grant, .. } in given {
        let answer = (grant.withdrawn.is_none(), grant.withdrawn.unwrap_or(grant.granted));
        let known = answers.entry(code).or_insert(answer);
        // An active grant counts more than one that has ended.
        *known = (*known).max(answer);
    }
    answers
}

fn scope_consent(code: CodeRow, answer: Option<(bool, Timestamp)>) -> ScopeConsent {
    ScopeConsent {
        code: types::scope(code),
        consented: answer.map(|(is_agreed, _)| is_agreed),
        consented_time: answer.map(|(_, at)| at.to_string()),
    }
}
