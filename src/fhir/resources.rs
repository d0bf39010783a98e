//! Renders FHIR resources: observations, and the participants, data sources and study that they refer to. A resource has
//! the fields that its version of FHIR has; at [`Base::R5`] it has JHE's fields.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rusqlite::Connection;
use serde::Serialize;
use serde_json::{Value, json};

use crate::common::time::Timestamp;
use crate::fhir::base::Base;
use crate::fhir::cursor::Cursor;
use crate::fhir::observation_query::ObservationQuery;
use crate::fhir::observation_search::{self, FoundObservation};
use crate::fhir::parameters::OWN_SOURCE;
use crate::model::study::{Study, StudyId};
use crate::omh::body::EffectiveTime;
use crate::omh::render::{identifier_value, omh_document, status};
use crate::omh::vitals::{ServedAs, fhir_vital_signs, participant_system};
use crate::store::error::{StoreError, StoreResult};
use crate::store::people::data_source::StudyDataSource;
use crate::store::samples::reading::ReadableParticipant;

/// JHE's identifier system of users. Its value here is the patient's id.
const USER_SYSTEM: &str = "https://jupyterhealth.org/fhir/identifier/jhe-user-id";

/// A rendered resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    pub kind: &'static str,
    pub id: String,
    pub json: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DocumentObservation<'a> {
    resource_type: &'static str,
    id: &'a str,
    meta: Meta,
    identifier: [SystemValue<'a>; 1],
    status: &'static str,
    code: Concept<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effective_date_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effective_period: Option<Period>,
    subject: Subject<'a>,
    value_attachment: Attachment,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    last_updated: String,
    source: &'static str,
}

#[derive(Serialize)]
struct SystemValue<'a> {
    system: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
struct Concept<'a> {
    coding: [Coding<'a>; 1],
}

#[derive(Serialize)]
struct Coding<'a> {
    system: &'a str,
    code: &'a str,
    display: &'a str,
}

#[derive(Serialize)]
struct Period {
    start: String,
    end: String,
}

#[derive(Serialize)]
struct Subject<'a> {
    reference: String,
    identifier: SystemValue<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Attachment {
    content_type: &'static str,
    data: String,
}

/// Finds up to `limit` observations and renders them. Returns the place of the next page too.
pub fn find_observations(
    db: &Connection,
    study: &Study,
    query: &ObservationQuery,
    limit: usize,
) -> StoreResult<(Vec<Resource>, Option<Cursor>)> {
    let page = observation_search::find_page(db, study, query, limit)?;
    let rendered: Result<Vec<_>, _> = page.found.iter().map(|one| observation(query.base, one)).collect();
    Ok((rendered.map_err(|error| StoreError::Other(error.to_string()))?, page.next))
}

/// Renders an observation. Fails if it is of a series type that only a later version knows.
pub fn observation(base: Base, found: &FoundObservation) -> serde_json::Result<Resource> {
    let FoundObservation { stream, enrolment, observation, last_updated } = found;
    let id = found.id(base.has_documents());
    let json = if base.has_documents() {
        document_observation(&id, found)?
    } else {
        let (enrolments, served) =
            (std::slice::from_ref(&**enrolment), ServedAs { id: &id, last_updated: *last_updated });
        fhir_vital_signs(stream, observation, enrolments, Some(enrolment), Some(served))?
    };
    Ok(Resource { kind: "Observation", id, json })
}

fn document_observation(id: &str, found: &FoundObservation) -> serde_json::Result<String> {
    let FoundObservation { stream, observation, last_updated, .. } = found;
    let (user, identifier) = (stream.patient.to_string(), identifier_value(stream, observation));
    // JHE renders times in UTC.
    let time = EffectiveTime::in_utc(observation);
    let is_instant = time.end.is_none();
    serde_json::to_string(&DocumentObservation {
        resource_type: "Observation",
        id,
        meta: Meta { last_updated: last_updated.to_string(), source: OWN_SOURCE },
        identifier: [SystemValue { system: &stream.system, value: &identifier }],
        status: match status(observation) {
            // JHE stores this status and answers with the other one; the identifier tells a revision.
            "corrected" => "final",
            status => status,
        },
        code: Concept {
            coding: [Coding { system: &stream.code_system, code: &stream.code, display: &stream.display }],
        },
        effective_date_time: is_instant.then(|| time.start.clone()),
        effective_period: time.end.map(|end| Period { start: time.start, end }),
        subject: Subject {
            reference: format!("Patient/{user}"),
            identifier: SystemValue { system: USER_SYSTEM, value: &user },
        },
        value_attachment: Attachment {
            content_type: "application/json",
            data: STANDARD.encode(omh_document(stream, observation)?),
        },
    })
}

/// A participant's name as JHE splits it: the last word is the family name.
pub fn split_name(name: &str) -> (&str, &str) {
    name.trim().rsplit_once(' ').map_or(("", name.trim()), |(given, family)| (given.trim_end(), family))
}

/// Returns system and value of each identifier of a participant.
pub fn patient_identifiers(study: StudyId, one: &ReadableParticipant) -> [(String, String); 2] {
    [(participant_system(study), one.participant.clone()), (USER_SYSTEM.to_owned(), one.patient.to_string())]
}

/// Renders a participant, with name and address if the token shows names.
pub fn patient(study: &Study, one: &ReadableParticipant, shows_names: bool) -> Resource {
    let (id, identifiers) = (one.patient.to_string(), patient_identifiers(study.id, one));
    let mut resource = json!({
        "resourceType": "Patient",
        "id": id,
        "meta": { "lastUpdated": one.enrolled.to_string(), "source": OWN_SOURCE },
        "identifier": identifiers.map(|(system, value)| json!({ "system": system, "value": value })),
        "active": true,
    });
    if shows_names {
        let (given, family) = split_name(&one.name);
        resource["name"] = json!([{ "text": one.name, "family": family }]);
        if !given.is_empty() {
            resource["name"][0]["given"] = json!([given]);
        }
        if let Some(email) = &one.email {
            resource["telecom"] = json!([{ "system": "email", "value": email, "use": "home" }]);
        }
    }
    Resource { kind: "Patient", id, json: resource.to_string() }
}

/// Renders a data source as a device, as JHE does.
pub fn device(base: Base, source: &StudyDataSource) -> Resource {
    let id = source.id.to_string();
    let name = match base {
        Base::R4 => json!({ "deviceName": [{ "name": source.name, "type": "user-friendly-name" }] }),
        Base::R5 | Base::R5Vitals => {
            json!({ "name": [{ "value": source.name, "type": "user-friendly-name" }] })
        }
    };
    let mut resource = json!({ "resourceType": "Device", "id": id, "manufacturer": source.name });
    merge(&mut resource, name);
    Resource { kind: "Device", id, json: resource.to_string() }
}

/// Renders the study as a group of so many participants.
pub fn group(base: Base, study: &Study, participants: i64, created: Timestamp) -> Resource {
    let id = study.id.to_string();
    let mut resource = json!({
        "resourceType": "Group",
        "id": id,
        "meta": { "lastUpdated": created.to_string() },
        "type": "person",
        "name": study.terms.name,
        "quantity": participants,
    });
    merge(
        &mut resource,
        match base {
            Base::R4 => json!({ "actual": true, "active": true }),
            Base::R5 | Base::R5Vitals => json!({ "membership": "enumerated", "active": true }),
        },
    );
    Resource { kind: "Group", id, json: resource.to_string() }
}

fn merge(into: &mut Value, fields: Value) {
    if let (Some(into), Value::Object(fields)) = (into.as_object_mut(), fields) {
        into.extend(fields);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_of_a_name_is_the_family_name() {
        assert_eq!(split_name("Ada Maria Example"), ("Ada Maria", "Example"));
        assert_eq!(split_name(" Ada "), ("", "Ada"));
    }
}
