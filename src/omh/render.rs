//! Renders observations as documents. The same row gives the same bytes, every time.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::config::settings::IngestMode;
use crate::model::catalog::method;
use crate::model::catalog::series_type::{OmhBody, SeriesType};
use crate::model::observation::{Observation, StreamInfo};
use crate::model::sample_details::Measure;
use crate::model::study::Enrolment;
use crate::omh::body::{BodyFields, EffectiveTime, body, series_of};
use crate::omh::identity::observation_uuid;

/// The identifier system that names a patient by the OW user id, if JHE does not have the patient.
const OW_PATIENT_SYSTEM: &str = "https://openwearables.io/ns/patient-id";
/// The identifier system of studies: their number in this store.
pub(super) const STUDY_SYSTEM: &str = "ow:study";
/// The manufacturer of raw samples, as omh-shim 2.1.0 writes it; raw mode reads only Oura.
const OURA_RING: &str = "Oura Ring";

pub const CSV_HEADER: [&str; 21] = [
    "patient",
    "code",
    "date_time",
    "value",
    "unit",
    "provider",
    "device",
    "identifier",
    "revision",
    "context",
    "type",
    "end_date_time",
    "measures",
    "participant",
    "study",
    "source",
    "daily_total",
    "offset_minutes",
    "statistic",
    "quality",
    "is_nap",
];

// The order of the fields, here and below, is their order on the wire. It must not change: the bytes are
// stable.
#[derive(Serialize)]
struct Document<'a> {
    header: Header<'a>,
    body: BodyFields<'a>,
}

#[derive(Serialize)]
struct Header<'a> {
    uuid: Uuid,
    schema_id: SchemaId<'a>,
    source_creation_date_time: String,
    modality: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_datasheets: Option<[Datasheet<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    studies: Vec<StudyEntry<'a>>,
}

#[derive(Serialize)]
struct StudyEntry<'a> {
    study: &'a str,
    participant: &'a str,
}

#[derive(Serialize)]
struct SchemaId<'a> {
    namespace: &'a str,
    name: &'a str,
    version: &'a str,
}

#[derive(Serialize)]
struct Datasheet<'a> {
    datasheet_type: &'static str,
    datasheet_reference: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FhirObservation {
    resource_type: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    extension: Vec<Value>,
    status: &'static str,
    code: Value,
    subject: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effective_date_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effective_period: Option<Value>,
    identifier: Value,
    value_attachment: Value,
}

/// Renders the data point as one line of ASCII JSON, with its keys in the reference converter's order. Fails
/// if the stream is of a series type that only a later version knows; so do the other renderers.
pub fn omh_document(stream: &StreamInfo, observation: &Observation) -> serde_json::Result<String> {
    write_document(stream, observation, None, &[])
}

/// Renders the data point for `observations` and downloads: its header also names the patient and the
/// studies.
pub fn omh_line(
    stream: &StreamInfo,
    observation: &Observation,
    enrolments: &[Enrolment],
) -> serde_json::Result<String> {
    write_document(stream, observation, Some(stream.patient.to_string()), enrolments)
}

fn write_document(
    stream: &StreamInfo,
    observation: &Observation,
    user_id: Option<String>,
    enrolments: &[Enrolment],
) -> serde_json::Result<String> {
    let studies = enrolments.iter().map(|one| StudyEntry { study: &one.name, participant: &one.participant });
    let mut schema = stream.code.splitn(3, ':');
    let mut part = || schema.next().unwrap_or_default();
    let document = Document {
        header: Header {
            uuid: observation_uuid(stream, observation),
            schema_id: SchemaId { namespace: part(), name: part(), version: part() },
            source_creation_date_time: observation.instant.to_string(),
            modality: if is_self_reported(stream)? { "self-reported" } else { "sensed" },
            external_datasheets: manufacturer(stream).map(|datasheet_reference| {
                [Datasheet { datasheet_type: "manufacturer", datasheet_reference }]
            }),
            user_id,
            studies: studies.collect(),
        },
        body: body(stream, observation)?,
    };
    serde_json::to_string(&document).map(escape_non_ascii)
}

/// Renders the FHIR R5 Observation that carries the data point, for `observations --format fhir`. Its subject
/// is JHE's patient or, without one, the OW user. JHE receives `export::batch::render_entry`.
pub fn fhir_observation(
    stream: &StreamInfo,
    observation: &Observation,
    enrolments: &[Enrolment],
) -> serde_json::Result<String> {
    let document = omh_document(stream, observation)?;
    let time = EffectiveTime::of(observation);
    let period = time.end.as_ref().map(|end| json!({ "start": time.start, "end": end }));
    let resource = FhirObservation {
        resource_type: "Observation",
        extension: study_extensions(enrolments),
        status: status(observation),
        code: json!({ "coding": [
            { "code": stream.code, "display": stream.display, "system": stream.code_system },
        ] }),
        subject: subject(stream),
        device: manufacturer(stream).map(|name| json!({ "display": name })),
        effective_date_time: period.is_none().then_some(time.start),
        effective_period: period,
        identifier: json!([{ "system": stream.system, "value": identifier_value(stream, observation) }]),
        value_attachment: json!({ "contentType": "application/json", "data": STANDARD.encode(document) }),
    };
    serde_json::to_string(&resource).map(escape_non_ascii)
}

pub(crate) fn status(observation: &Observation) -> &'static str {
    match (observation.revision, &observation.details) {
        (_, Some(details)) if details.deleted => "entered-in-error",
        (0, _) => "final",
        _ => "corrected",
    }
}

pub(super) fn subject(stream: &StreamInfo) -> Value {
    match stream.jhe_id {
        Some(id) => json!({ "reference": format!("Patient/{id}") }),
        None => json!({ "identifier": { "system": OW_PATIENT_SYSTEM, "value": stream.subject } }),
    }
}

/// Returns FHIR's standard extension for an event of a study, one for each study.
pub(super) fn study_extensions(enrolments: &[Enrolment]) -> Vec<Value> {
    let extension = |one: &Enrolment| {
        json!({
            "url": "http://hl7.org/fhir/StructureDefinition/workflow-researchStudy",
            "valueReference": {
                "identifier": { "system": STUDY_SYSTEM, "value": one.study.to_string() },
                "display": one.name,
            },
        })
    };
    enrolments.iter().map(extension).collect()
}

/// Returns the fields of a CSV row, in the order of [`CSV_HEADER`].
pub fn csv_record(
    stream: &StreamInfo,
    observation: &Observation,
    enrolments: &[Enrolment],
) -> serde_json::Result<[String; 21]> {
    let join = |texts: Vec<&str>| texts.join("; ");
    let series = series_of(stream)?;
    let method = method::find(series, &stream.provider, stream.daily_total);
    let value = known_value(series, observation);
    let is_main_sleep = observation.details.as_deref().and_then(|details| details.is_main_sleep);
    let time = EffectiveTime::of(observation);
    let measures = observation.details.as_deref().map(|details| &details.measures);
    let measures = measures.filter(|measures| !measures.is_empty());
    Ok([
        stream.patient.to_string(),
        stream.code.clone(),
        time.start,
        value.map_or_else(String::new, |value| value.to_string()),
        value_unit(series).to_owned(),
        stream.provider.clone(),
        stream.device.clone(),
        identifier_value(stream, observation),
        observation.revision.to_string(),
        observation.context.map_or_else(String::new, |context| context.as_str().to_owned()),
        stream.series_type.clone(),
        time.end.unwrap_or_default(),
        measures.map(serde_json::to_string).transpose()?.unwrap_or_default(),
        join(enrolments.iter().map(|one| one.participant.as_str()).collect()),
        join(enrolments.iter().map(|one| one.name.as_str()).collect()),
        stream.source.clone(),
        stream.daily_total.to_string(),
        observation.zone.map_or_else(String::new, |zone| zone.minutes().to_string()),
        method.statistic.map_or_else(String::new, |statistic| statistic.as_str().to_owned()),
        series.quality(method, value.into_iter().chain(diastolic(observation))).to_owned(),
        is_main_sleep.map_or_else(String::new, |is_main| (!is_main).to_string()),
    ])
}

/// Returns the value of an observation; none for one that the provider did not give. A night's value is its length then,
/// and a day's energy 0, since a stored row has a number.
fn known_value(series: &SeriesType, observation: &Observation) -> Option<f64> {
    let measure = match (series.body, series.series_type) {
        (OmhBody::SleepEpisode, _) => Measure::TotalSleep,
        (OmhBody::Activity, "daily_activity") => Measure::Energy,
        (OmhBody::Activity, _) => Measure::Duration,
        _ => return Some(observation.value),
    };
    observation.details.as_deref()?.measure(measure)
}

fn diastolic(observation: &Observation) -> Option<f64> {
    observation.details.as_deref()?.measure(Measure::Diastolic)
}

/// Returns the value of the FHIR identifier. JHE has no updates, so each revision is sent under its own
/// identifier.
pub fn identifier_value(stream: &StreamInfo, observation: &Observation) -> String {
    let uuid = observation_uuid(stream, observation);
    match observation.revision {
        0 => uuid.to_string(),
        revision => format!("{uuid}#r{revision}"),
    }
}

fn is_self_reported(stream: &StreamInfo) -> serde_json::Result<bool> {
    Ok(method::find(series_of(stream)?, &stream.provider, stream.daily_total).self_reported)
}

/// Returns the manufacturer by the reference converter's rule: the device or else the provider; for raw
/// samples the ring.
pub(super) fn manufacturer(stream: &StreamInfo) -> Option<&str> {
    if stream.system == IngestMode::Raw.system() {
        return Some(OURA_RING);
    }
    [stream.device.as_str(), stream.provider.as_str()].into_iter().find(|name| !name.is_empty())
}

/// Returns the unit of an observation's value, as its schema writes it.
fn value_unit(series: &SeriesType) -> &'static str {
    match series.body {
        OmhBody::Value(_, unit) => unit,
        OmhBody::BloodPressure => "mmHg",
        OmhBody::StepCount => "steps",
        OmhBody::Activity if series.unit == "kcal" => "kcal",
        OmhBody::SleepDuration
        | OmhBody::SleepEpisode
        | OmhBody::SleepStages
        | OmhBody::TimeInBed
        | OmhBody::Activity => "sec",
    }
}

/// Escapes non-ASCII characters as \uXXXX: JHE takes attachments in ASCII only. In JSON they occur within
/// strings alone, where each character may be escaped.
pub(super) fn escape_non_ascii(json: String) -> String {
    if json.is_ascii() {
        return json;
    }
    let escape = |unit: &u16| format!("\\u{unit:04x}");
    let written = json.chars().map(|character| match character {
        plain if plain.is_ascii() => plain.to_string(),
        other => other.encode_utf16(&mut [0; 2]).iter().map(escape).collect(),
    });
    written.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::time::Timestamp;
    use crate::common::time::ZoneOffset;
    use crate::model::activity_context::ActivityContext;
    use crate::model::patient::PatientId;

    fn stream() -> StreamInfo {
        StreamInfo {
            id: 1,
            patient: PatientId::new(7),
            jhe_id: None,
            subject: "009edd1e-49f6-4e35-a7b9-952f45e501e9".into(),
            system: "ow:normalized".into(),
            series_type: "heart_rate".into(),
            provider: "oura".into(),
            source: "oura".into(),
            device: String::new(),
            daily_total: false,
            code_system: "https://w3id.org/openmhealth".into(),
            code: "omh:heart-rate:2.0".into(),
            display: "Heart Rate".into(),
            converter: 1,
        }
    }

    fn observation() -> Observation {
        let instant = Timestamp::parse("2026-11-21T08:20:00Z").unwrap();
        Observation { instant, value: 72.0, zone: None, revision: 0, context: None, details: None }
    }

    #[test]
    fn the_document_of_a_sample_never_changes() {
        let expected = concat!(
            r#"{"header":{"uuid":"606a4c38-7f6a-5288-83d1-602074f374d9","schema_id":{"namespace":"omh","name":"heart-rate","version":"2.0"},"#,
            r#""source_creation_date_time":"2026-11-21T08:20:00Z","modality":"sensed","#,
            r#""external_datasheets":[{"datasheet_type":"manufacturer","datasheet_reference":"oura"}]},"#,
            r#""body":{"heart_rate":{"value":72.0,"unit":"beats/min"},"#,
            r#""effective_time_frame":{"date_time":"2026-11-21T08:20:00Z"}}}"#,
        );
        assert_eq!(omh_document(&stream(), &observation()).unwrap(), expected);
    }

    #[test]
    fn a_raw_sample_is_rendered_as_by_the_reference_converter() {
        let stream = StreamInfo { system: "ow:raw".into(), source: String::new(), ..stream() };
        let observation = Observation { context: Some(ActivityContext::Sleep), ..observation() };
        let expected = concat!(
            r#""modality":"sensed","external_datasheets":[{"datasheet_type":"manufacturer","#,
            r#""datasheet_reference":"Oura Ring"}]},"body":{"heart_rate":{"value":72.0,"unit":"beats/min"},"#,
            r#""effective_time_frame":{"date_time":"2026-11-21T08:20:00Z"}}}"#,
        );
        let document = omh_document(&stream, &observation).unwrap();
        assert!(document.ends_with(expected), "{document}");
    }

    #[test]
    fn local_time_is_written_if_the_sample_has_an_offset() {
        let observation = Observation { zone: ZoneOffset::from_minutes(120), ..observation() };
        let document = omh_document(&stream(), &observation).unwrap();
        assert!(document.contains(r#""date_time":"2026-11-21T10:20:00+02:00""#), "{document}");
    }

    #[test]
    fn a_document_is_ascii_for_any_device_name() {
        let stream = StreamInfo { device: "Ōura \u{1F48D}".into(), ..stream() };
        let document = omh_document(&stream, &observation()).unwrap();
        assert!(document.is_ascii());
        let read: serde_json::Value = serde_json::from_str(&document).unwrap();
        assert_eq!(read["header"]["external_datasheets"][0]["datasheet_reference"], "Ōura \u{1F48D}");
    }

    #[test]
    fn the_fhir_resource_carries_the_document_and_names_a_revision() {
        let observation = Observation { revision: 2, ..observation() };
        let stream = StreamInfo { jhe_id: Some(40001), ..stream() };
        let resource: serde_json::Value =
            serde_json::from_str(&fhir_observation(&stream, &observation, &[]).unwrap()).unwrap();
        assert_eq!(resource["status"], "corrected");
        assert_eq!(resource["subject"]["reference"], "Patient/40001");
        let name = format!("{}#r2", observation_uuid(&stream, &observation));
        assert_eq!(resource["identifier"][0]["value"], name);
        let attachment = STANDARD.decode(resource["valueAttachment"]["data"].as_str().unwrap()).unwrap();
        assert_eq!(attachment, omh_document(&stream, &observation).unwrap().as_bytes());
    }
}
