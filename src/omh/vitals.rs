//! Renders observations as FHIR Observations for any server: LOINC and UCUM, valid as R4 and as R5.
//!
//! The fields are those that mean the same in both versions. A revision keeps its `id` and has an identifier of
//! its own; the standard extension `observation-replaces` names the identifier before it.

use serde::Serialize;
use serde_json::{Value, json};

use crate::common::time::Timestamp;
use crate::model::catalog::loinc::{self, Loinc, Unit};
use crate::model::catalog::source::data_source_name;
use crate::model::observation::{Observation, StreamInfo};
use crate::model::study::{Enrolment, StudyId};
use crate::omh::body::{EffectiveTime, series_of};
use crate::omh::identity::observation_uuid;
use crate::omh::render;

const UCUM: &str = "http://unitsofmeasure.org";
const REPLACES: &str = "http://hl7.org/fhir/StructureDefinition/observation-replaces";
/// The series types whose values are all components.
const PANELS: &[&str] =
    &["blood_pressure", "sleep_episode", "sleep_stage_summary", "workout", "daily_activity"];
/// The id of the device within the resource.
const DEVICE: &str = "device";

// The order of the fields is their order on the wire. It must not change.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VitalSign {
    resource_type: &'static str,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contained: Option<[Value; 1]>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    extension: Vec<Value>,
    identifier: [Value; 1],
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<[Value; 1]>,
    code: Value,
    subject: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    effective_date_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effective_period: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_quantity: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_codeable_concept: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    component: Vec<Value>,
}

/// The place of a resource on the server of this daemon.
#[derive(Debug, Clone, Copy)]
pub struct ServedAs<'a> {
    pub id: &'a str,
    pub last_updated: Timestamp,
}

/// Renders an observation as one line of JSON. With `participant`, the subject has the patient's number in
/// that study. A resource that is `served` refers to the patient of this server; others to JHE's. Fails if the stream is
/// of a series type that only a later version knows.
pub fn fhir_vital_signs(
    stream: &StreamInfo,
    observation: &Observation,
    enrolments: &[Enrolment],
    participant: Option<&Enrolment>,
    served: Option<ServedAs<'_>>,
) -> serde_json::Result<String> {
    let series = series_of(stream)?;
    let codes = loinc::find(series.series_type, stream.daily_total);
    let time = EffectiveTime::of(observation);
    let period = time.end.as_ref().map(|end| json!({ "start": time.start, "end": end }));
    let name = observation.details.as_ref().and_then(|details| details.name.as_deref());
    let kind = name.filter(|_| series.series_type == "workout");
    let mut coding: Vec<Value> = codes.loinc.iter().map(loinc_coding).collect();
    coding.push(json!({ "system": stream.code_system, "code": stream.code, "display": stream.display }));
    let mut extension = render::study_extensions(enrolments);
    extension.extend(predecessor(stream, observation));
    let mut subject = match served {
        Some(_) => json!({ "reference": format!("Patient/{}", stream.patient) }),
        None => render::subject(stream),
    };
    if let Some(Enrolment { study, name, participant }) = participant {
        let system = participant_system(*study);
        let assigner = json!({ "display": name });
        subject["identifier"] = json!({ "system": system, "value": participant, "assigner": assigner });
    }
    let is_panel = PANELS.contains(&series.series_type);
    let unit = loinc::find_unit(series.series_type, stream.daily_total, series.unit);
    let resource = VitalSign {
        resource_type: "Observation",
        id: served.map_or_else(|| observation_uuid(stream, observation).to_string(), |one| one.id.to_owned()),
        meta: served.map(
            |one| json!({ "versionId": version(observation), "lastUpdated": one.last_updated.to_string() }),
        ),
        contained: contained_device(stream).map(|device| [device]),
        extension,
        identifier: [identifier(stream, observation)],
        status: render::status(observation),
        category: codes.category.map(|(code, display)| {
            [json!({ "coding": [{ "system": loinc::CATEGORY_SYSTEM, "code": code, "display": display }] })]
        }),
        code: json!({ "coding": coding, "text": kind.unwrap_or(series.name) }),
        subject,
        effective_date_time: period.is_none().then_some(time.start),
        effective_period: period,
        value_quantity: (!is_panel).then(|| quantity(observation.value, unit)),
        value_codeable_concept: kind.map(|kind| json!({ "text": kind })),
        device: contained_device(stream)
            .map(|_| json!({ "reference": format!("#{DEVICE}"), "display": render::manufacturer(stream) })),
        component: components(stream, observation),
    };
    serde_json::to_string(&resource).map(render::escape_non_ascii)
}

/// Returns the identifier system of a study's participants.
pub fn participant_system(study: StudyId) -> String {
    format!("{}:{study}:participant", render::STUDY_SYSTEM)
}

/// Returns the version of a resource whose revisions share one id.
fn version(observation: &Observation) -> String {
    (observation.revision + 1).to_string()
}

/// Returns the meaning of the value of a panel; none if its measures repeat the value.
fn value_code(series_type: &str) -> Option<(Loinc, Unit)> {
    match series_type {
        "blood_pressure" => Some((loinc::SYSTOLIC, loinc::MMHG)),
        "sleep_stage_summary" => Some((loinc::SLEEP_DURATION, loinc::SECONDS)),
        _ => None,
    }
}

fn components(stream: &StreamInfo, observation: &Observation) -> Vec<Value> {
    let value = value_code(&stream.series_type);
    let value = value.map(|(code, unit)| component(code.display, Some(code), observation.value, unit));
    let details = observation.details.iter();
    let measures = details.flat_map(|details| &details.measures).map(|(measure, value)| {
        let (name, code, unit) = loinc::describe(*measure);
        component(name, code, *value, unit)
    });
    value.into_iter().chain(measures).collect()
}

fn component(name: &str, code: Option<Loinc>, value: f64, unit: Unit) -> Value {
    let mut concept = json!({ "text": name });
    if let Some(code) = code {
        concept["coding"] = json!([loinc_coding(&code)]);
    }
    json!({ "code": concept, "valueQuantity": quantity(value, Some(unit)) })
}

fn loinc_coding(code: &Loinc) -> Value {
    json!({ "system": loinc::SYSTEM, "code": code.code, "display": code.display })
}

/// Returns a FHIR Quantity. A whole number has no fraction.
fn quantity(value: f64, unit: Option<Unit>) -> Value {
    let number: Value = serde_json::from_str(&value.to_string()).unwrap_or_else(|_| json!(value));
    match unit {
        Some(Unit { ucum, text }) => json!({ "value": number, "unit": text, "system": UCUM, "code": ucum }),
        None => json!({ "value": number }),
    }
}

fn identifier(stream: &StreamInfo, observation: &Observation) -> Value {
    json!({ "system": stream.system, "value": render::identifier_value(stream, observation) })
}

fn predecessor(stream: &StreamInfo, observation: &Observation) -> Option<Value> {
    let revision = observation.revision.checked_sub(1).filter(|revision| *revision >= 0)?;
    let earlier = Observation { revision, ..observation.clone() };
    let reference = json!({ "type": "Observation", "identifier": identifier(stream, &earlier) });
    Some(json!({ "url": REPLACES, "valueReference": reference }))
}

/// Returns the device in the fields that R4 and R5 share: the name of a device is in different fields.
fn contained_device(stream: &StreamInfo) -> Option<Value> {
    let mut device = json!({ "resourceType": "Device", "id": DEVICE });
    if !stream.provider.is_empty() {
        device["manufacturer"] = data_source_name(&stream.provider).into();
    }
    if !stream.device.is_empty() {
        device["modelNumber"] = stream.device.as_str().into();
    }
    (device.as_object()?.len() > 2).then_some(device)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::catalog::series::SERIES;
    use crate::model::sample_details::{Measure, SampleDetails};
    use crate::model::stream_key::StreamKey;

    fn stream(series_type: &'static str) -> StreamInfo {
        let key = StreamKey {
            series_type,
            provider: "oura".into(),
            source: "oura".into(),
            device: "Ring 4".into(),
            daily_total: false,
        };
        StreamInfo::unstored(&key, "009edd1e-49f6-4e35-a7b9-952f45e501e9", "ow:normalized")
    }

    fn observation(value: f64) -> Observation {
        let instant = Timestamp::parse("2026-11-21T08:20:00Z").unwrap();
        Observation { instant, value, zone: None, revision: 0, context: None, details: None }
    }

    fn render(stream: &StreamInfo, observation: &Observation) -> Value {
        serde_json::from_str(&fhir_vital_signs(stream, observation, &[], None, None).unwrap()).unwrap()
    }

    #[test]
    fn a_heart_rate_is_a_vital_sign_with_loinc_and_ucum() {
        let resource = render(&stream("heart_rate"), &observation(72.0));
        assert_eq!(resource["category"][0]["coding"][0]["code"], "vital-signs");
        let codes: Vec<&str> = resource["code"]["coding"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["code"].as_str().unwrap())
            .collect();
        assert_eq!(codes, ["8867-4", "omh:heart-rate:2.0"]);
        let quantity =
            r#"{"code":"/min","system":"http://unitsofmeasure.org","unit":"beats/min","value":72}"#;
        assert_eq!(resource["valueQuantity"].to_string(), quantity);
        assert_eq!(resource["effectiveDateTime"], "2026-11-21T08:20:00Z");
        assert_eq!(resource["contained"][0]["modelNumber"], "Ring 4");
        assert_eq!(resource["device"]["reference"], "#device");
        assert_eq!(resource["status"], "final");
    }

    #[test]
    fn a_revision_keeps_its_id_and_names_its_predecessor() {
        let first = render(&stream("weight"), &observation(70.25));
        let second = render(&stream("weight"), &Observation { revision: 1, ..observation(71.0) });
        let replaced = |resource: &Value| resource["extension"][0]["valueReference"]["identifier"].clone();
        assert_eq!(first["valueQuantity"]["value"], 70.25);
        assert_eq!((&second["id"], second["status"].as_str()), (&first["id"], Some("corrected")));
        assert_eq!(replaced(&second), first["identifier"][0]);
        let third = render(&stream("weight"), &Observation { revision: 2, ..observation(72.0) });
        assert_eq!(replaced(&third), second["identifier"][0]);
        assert_eq!(first.get("extension"), None);
    }

    #[test]
    fn blood_pressure_has_two_components_and_no_value() {
        let measures = [(Measure::Diastolic, 80.0)].into();
        let details = Some(Arc::new(SampleDetails { measures, ..SampleDetails::default() }));
        let resource = render(&stream("blood_pressure"), &Observation { details, ..observation(120.0) });
        let found: Vec<_> = resource["component"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                (one["code"]["coding"][0]["code"].as_str().unwrap(), one["valueQuantity"]["value"].as_i64())
            })
            .collect();
        assert_eq!(found, [("8480-6", Some(120)), ("8462-4", Some(80))]);
        assert_eq!(resource.get("valueQuantity"), None);
    }

    #[test]
    fn a_study_is_named_and_the_participant_on_request() {
        let enrolment = Enrolment { study: StudyId(3), name: "Hearts".into(), participant: "007".into() };
        let enrolments = [enrolment];
        let stream = StreamInfo { jhe_id: Some(40001), ..stream("heart_rate") };
        let line =
            fhir_vital_signs(&stream, &observation(60.0), &enrolments, enrolments.first(), None).unwrap();
        let resource: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(resource["subject"]["reference"], "Patient/40001");
        assert_eq!(resource["subject"]["identifier"]["value"], "007");
        assert_eq!(resource["extension"][0]["valueReference"]["display"], "Hearts");
    }

    #[test]
    fn each_series_type_is_rendered_with_a_value_or_components() {
        for series in SERIES {
            let measures = [(Measure::Energy, 1.5)].into();
            let details = SampleDetails { measures, name: None, ..SampleDetails::default() };
            let one = Observation { details: Some(Arc::new(details)), ..observation(1.0) };
            let resource = render(&stream(series.series_type), &one);
            let value = resource.get("valueQuantity").is_some();
            assert!(value || resource.get("component").is_some(), "{}", series.series_type);
        }
    }
}
