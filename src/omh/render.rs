//! Observations as documents: the same row gives the same bytes, every time.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::config::settings::IngestMode;
use crate::model::catalog::series_type::{Body, Series};
use crate::model::observation::{Observation, StreamInfo};
use crate::omh::body::{Fields, Times, body, row};
use crate::omh::identity::identifier;

/// The system under which a patient without a number in JHE is named: by the OW user id.
const OW_PATIENT_SYSTEM: &str = "https://openwearables.io/ns/patient-id";

/// The columns of [`csv_record`].
pub const CSV_HEADER: [&str; 13] = [
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
];

/// Field order is the order on the wire, here and below: the bytes are part of the promise.
#[derive(Serialize)]
struct Document<'a> {
    header: Header<'a>,
    body: Fields<'a>,
}

#[derive(Serialize)]
struct Header<'a> {
    uuid: Uuid,
    schema_id: SchemaId<'a>,
    source_creation_date_time: String,
    modality: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_datasheets: Option<[Datasheet<'a>; 1]>,
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
struct Resource {
    #[serde(rename = "resourceType")]
    kind: &'static str,
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

/// Who made what comes in raw mode, as the reference converter names it: it takes Oura's payloads only.
const OURA_RING: &str = "Oura Ring";

/// The data point: one line of ASCII JSON, its keys in the reference converter's order.
///
/// # Errors
/// Where the catalogue has no row for the stream: it is a later version's.
pub fn omh_document(stream: &StreamInfo, observation: &Observation) -> serde_json::Result<String> {
    let mut schema = stream.code.splitn(3, ':');
    let mut part = || schema.next().unwrap_or_default();
    let document = Document {
        header: Header {
            uuid: identifier(stream, observation),
            schema_id: SchemaId { namespace: part(), name: part(), version: part() },
            source_creation_date_time: observation.instant.to_string(),
            modality: "sensed",
            external_datasheets: manufacturer(stream).map(|datasheet_reference| {
                [Datasheet { datasheet_type: "manufacturer", datasheet_reference }]
            }),
        },
        body: body(stream, observation)?,
    };
    serde_json::to_string(&document).map(ascii)
}

/// The FHIR R5 Observation that carries the data point. `subject` names JHE's patient, where JHE knows the
/// patient, and else the OW user.
///
/// # Errors
/// As [`omh_document`].
pub fn fhir_observation(stream: &StreamInfo, observation: &Observation) -> serde_json::Result<String> {
    let document = omh_document(stream, observation)?;
    let times = Times::of(observation);
    let period = times.end.as_ref().map(|end| json!({ "start": times.start, "end": end }));
    let resource = Resource {
        kind: "Observation",
        status: if observation.revision == 0 { "final" } else { "corrected" },
        code: json!({ "coding": [
            { "code": stream.code, "display": stream.display, "system": stream.code_system },
        ] }),
        subject: match stream.jhe_id {
            Some(id) => json!({ "reference": format!("Patient/{id}") }),
            None => json!({ "identifier": { "system": OW_PATIENT_SYSTEM, "value": stream.subject } }),
        },
        device: manufacturer(stream).map(|name| json!({ "display": name })),
        effective_date_time: period.is_none().then_some(times.start),
        effective_period: period,
        identifier: json!([{ "system": stream.system, "value": identifier_value(stream, observation) }]),
        value_attachment: json!({ "contentType": "application/json", "data": STANDARD.encode(document) }),
    };
    serde_json::to_string(&resource).map(ascii)
}

/// The fields of one row of a table, in the order of [`CSV_HEADER`].
///
/// # Errors
/// As [`omh_document`].
pub fn csv_record(stream: &StreamInfo, observation: &Observation) -> serde_json::Result<[String; 13]> {
    let (times, said) = (Times::of(observation), observation.particulars.as_deref());
    let measures = said.filter(|said| !said.measures.is_empty());
    Ok([
        stream.patient.to_string(),
        stream.code.clone(),
        times.start,
        observation.value.to_string(),
        unit(row(stream)?).to_owned(),
        stream.provider.clone(),
        stream.device.clone(),
        identifier_value(stream, observation),
        observation.revision.to_string(),
        observation.context.map_or_else(String::new, |context| context.as_str().to_owned()),
        stream.series_type.clone(),
        times.end.unwrap_or_default(),
        measures.map(|said| serde_json::to_string(&said.measures)).transpose()?.unwrap_or_default(),
    ])
}

/// What an observation is identified by. JHE knows no update: each revision goes there under a name of its own.
pub fn identifier_value(stream: &StreamInfo, observation: &Observation) -> String {
    let uuid = identifier(stream, observation);
    match observation.revision {
        0 => uuid.to_string(),
        revision => format!("{uuid}#r{revision}"),
    }
}

/// The reference converter's rule: the device, else the provider; for what Oura itself wrote its ring.
fn manufacturer(stream: &StreamInfo) -> Option<&str> {
    if stream.system == IngestMode::Raw.system() {
        return Some(OURA_RING);
    }
    [stream.device.as_str(), stream.provider.as_str()].into_iter().find(|name| !name.is_empty())
}

/// The unit of a row's first value, as its schema writes it.
pub fn unit(series: &Series) -> &'static str {
    match series.body {
        Body::Value(_, unit) => unit,
        Body::BloodPressure => "mmHg",
        Body::StepCount => "steps",
        Body::Activity if series.unit == "kcal" => "kcal",
        Body::SleepDuration | Body::SleepEpisode | Body::SleepStages | Body::TimeInBed | Body::Activity => {
            "sec"
        }
    }
}

/// JHE takes attachments in ASCII only. Outside of strings JSON is ASCII anyway, and inside of them every
/// character may be written as an escape.
fn ascii(json: String) -> String {
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
    use crate::model::activity_context::Context;
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
        Observation { instant, value: 72.0, zone: None, revision: 0, context: None, particulars: None }
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
    fn a_raw_sample_becomes_what_the_reference_converter_makes_of_it() {
        let stream = StreamInfo { system: "ow:raw".into(), source: String::new(), ..stream() };
        let observation = Observation { context: Some(Context::Sleep), ..observation() };
        let expected = concat!(
            r#""modality":"sensed","external_datasheets":[{"datasheet_type":"manufacturer","#,
            r#""datasheet_reference":"Oura Ring"}]},"body":{"heart_rate":{"value":72.0,"unit":"beats/min"},"#,
            r#""effective_time_frame":{"date_time":"2026-11-21T08:20:00Z"}}}"#,
        );
        let document = omh_document(&stream, &observation).unwrap();
        assert!(document.ends_with(expected), "{document}");
    }

    #[test]
    fn local_time_is_written_where_the_sample_told_it() {
        let observation = Observation { zone: ZoneOffset::from_minutes(120), ..observation() };
        let document = omh_document(&stream(), &observation).unwrap();
        assert!(document.contains(r#""date_time":"2026-11-21T10:20:00+02:00""#), "{document}");
    }

    #[test]
    fn a_document_is_ascii_whatever_the_device_is_called() {
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
            serde_json::from_str(&fhir_observation(&stream, &observation).unwrap()).unwrap();
        assert_eq!(resource["status"], "corrected");
        assert_eq!(resource["subject"]["reference"], "Patient/40001");
        let name = format!("{}#r2", identifier(&stream, &observation));
        assert_eq!(resource["identifier"][0]["value"], name);
        let attachment = STANDARD.decode(resource["valueAttachment"]["data"].as_str().unwrap()).unwrap();
        assert_eq!(attachment, omh_document(&stream, &observation).unwrap().as_bytes());
    }
}
