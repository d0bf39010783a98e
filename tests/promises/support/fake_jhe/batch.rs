//! Batches of observations.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use warp::reply::Response;

use super::{FakeJhe, Fault, Kept, OURA, SYSTEM, answer, html, outcome, refusal, spoiled};

impl FakeJhe {
    pub(super) async fn batch(&self, headers: &HeaderMap, body: &[u8]) -> Response {
        if headers.get("content-type").is_none_or(|kind| kind != "application/json") {
            return outcome(415, "Unsupported media type in request.");
        }
        let bundle: Value = serde_json::from_slice(body).unwrap();
        let entries = bundle["entry"].as_array().unwrap().clone();
        let names: BTreeSet<String> = entries.iter().map(|entry| identifier(entry).1).collect();
        let fault = {
            let mut state = self.state();
            state.batches.push(entries.len());
            let subject =
                |entry: &Value| entry["resource"]["subject"]["reference"].as_str().unwrap().to_owned();
            let patients = entries.iter().map(subject).collect();
            state.of.push(patients);
            state.under_way += 1;
            state.most_batches = state.most_batches.max(state.under_way);
            let overlaps = names.iter().filter(|name| state.in_flight.contains(*name)).count();
            state.overlaps += overlaps;
            state.in_flight.extend(names.iter().cloned());
            state.faults.pop_front()
        };
        let (jhe, latency) = (self.clone(), self.state().latency);
        // A separate task: a JHE worker continues after its client has disconnected.
        let worker = tokio::spawn(async move {
            tokio::time::sleep(latency).await;
            let answer = jhe.work(&entries, fault);
            let mut state = jhe.state();
            state.under_way -= 1;
            state.in_flight.retain(|name| !names.contains(name));
            answer
        });
        let answer = worker.await.unwrap();
        match fault {
            Some(fault @ (Fault::Cut | Fault::Hang)) => spoiled(fault).await,
            _ => answer,
        }
    }

    fn work(&self, entries: &[Value], fault: Option<Fault>) -> Response {
        match fault {
            Some(Fault::Status(status)) => return html(status),
            Some(Fault::Busy(retry_after)) => return refusal(503, retry_after),
            Some(Fault::Proxy(status, retry_after)) => return refusal(status, retry_after),
            Some(Fault::Killed) => {
                let half = entries.len() / 2;
                for entry in &entries[..half] {
                    self.create(entry);
                }
                if let Ok(kept) = self.check(&entries[half]) {
                    self.state().kept.push(Kept { identifier: <(String, String)>::default(), ..kept });
                }
                return html(502);
            }
            Some(Fault::Lost | Fault::Cut | Fault::Hang | Fault::Echo(_)) | None => {}
        }
        let broken = |entry: &Value| {
            entry["resource"]["status"].is_null()
                || entry["request"]["method"] != "POST"
                || self.is_poison(entry)
        };
        if entries.iter().any(broken) {
            return html(500);
        }
        let results: Vec<Value> = entries.iter().map(|entry| self.create(entry)).collect();
        if fault == Some(Fault::Lost) {
            return html(502);
        }
        answer(200, &json!({ "resourceType": "Bundle", "type": "batch-response", "entry": results }))
    }

    fn is_poison(&self, entry: &Value) -> bool {
        let value = document(entry).and_then(|document| document["body"]["heart_rate"]["value"].as_f64());
        value.is_some_and(|value| self.state().poison.contains(&value))
    }

    fn create(&self, entry: &Value) -> Value {
        match self.check(entry) {
            Ok(kept) => {
                let mut state = self.state();
                state.kept.push(kept);
                let id = state.kept.len().to_string();
                json!({ "resource": { "resourceType": "Resource", "id": id }, "response": { "status": "201 Created" } })
            }
            Err((status, words)) => {
                let issue = json!([{ "severity": "error", "code": "processing", "diagnostics": words }]);
                let reason = StatusCode::from_u16(status).unwrap().to_string();
                json!({ "response": { "status": reason, "outcome": { "resourceType": "OperationOutcome", "issue": issue } } })
            }
        }
    }

    fn check(&self, entry: &Value) -> Result<Kept, (u16, String)> {
        let resource = &entry["resource"];
        let state = self.state();
        let subject = resource["subject"]["reference"].as_str().unwrap().strip_prefix("Patient/").unwrap();
        let patient: i64 = subject.parse().unwrap();
        match state.patients.get(&patient) {
            None => return Err((400, format!("Patient id={patient} can not be found."))),
            Some((_, false)) => return Err((403, "Current user doesn't have access to the Patient.".into())),
            Some(_) => {}
        }
        let device = resource["device"]["reference"].as_str().unwrap_or_default().to_owned();
        if !state.has_oura || state.has_just_lost_oura || device != format!("Device/{OURA}") {
            return Err((400, format!("Device Data Source id={device} can not be found.")));
        }
        if resource["code"]["coding"][0]["system"] != SYSTEM {
            return Err((400, "A FhirSource is required to write this resource: send the header".into()));
        }
        let code = resource["code"]["coding"][0]["code"].as_str().unwrap().to_owned();
        if !state.consents.get(&(patient, code.clone())).is_some_and(|(consented, _)| *consented) {
            drop(state);
            self.state().unconsented += 1;
            let words = format!(
                "Observation data with coding_system={SYSTEM} coding_code={code} has not been consented for any studies by this Patient."
            );
            return Err((403, words));
        }
        let Some(document) = document(entry) else {
            return Err((400, "valueAttachment.data must be Base 64 Encoded Binary JSON.".into()));
        };
        if document["body"]["heart_rate"]["value"]
            .as_f64()
            .is_some_and(|value| state.refused.contains(&value))
        {
            return Err((422, "{'omh_data': ['a value that this JHE will not have']}".to_owned()));
        }
        let rate = document["body"]["heart_rate"]["value"].as_f64();
        if let Some((_, words)) = state.strange.iter().find(|(value, _)| Some(*value) == rate) {
            return Err((422, (*words).to_owned()));
        }
        if let Err(words) = conforms(&code, &document) {
            return Err((422, format!("{{'omh_data': [\"{words}\"]}}")));
        }
        let identifier = identifier(entry);
        if state.kept.iter().any(|kept| kept.identifier == identifier) {
            let (system, value) = identifier;
            return Err((409, format!("Identifier already exists: system={system} value={value}")));
        }
        Ok(Kept { patient, code, identifier, device, document })
    }
}

/// Checks a document against JHE's schemas: a number for each measure, the right time frame, the schema of the header.
fn conforms(code: &str, document: &Value) -> Result<(), String> {
    let (measure, is_interval) = match code {
        "omh:heart-rate:2.0" => ("/heart_rate/value", false),
        "omh:blood-glucose:4.0" => ("/blood_glucose/value", false),
        "omh:oxygen-saturation:2.0" => ("/oxygen_saturation/value", false),
        "omh:respiratory-rate:2.0" => ("/respiratory_rate/value", false),
        "omh:body-weight:3.0" => ("/body_weight/value", false),
        "omh:body-temperature:4.0" => ("/body_temperature/value", false),
        "omh:forced-vital-capacity:1.0" => ("/forced_vital_capacity/value", false),
        "omh:forced-expiratory-volume-1-second:1.0" => ("/forced_expiratory_volume_1_second/value", false),
        "omh:blood-pressure:4.0" => ("/diastolic_blood_pressure/value", false),
        "omh:step-count:3.0" => ("/step_count/value", true),
        "omh:sleep-duration:2.0" => ("/sleep_duration/value", true),
        "omh:sleep-episode:1.1" => ("", true),
        "ieee:sleep-stage-summary:1.0" => ("/sleep_stage_summary/total_sleep_time/value", true),
        "omh:physical-activity:1.2" => ("/activity_name", true),
        _ => return Err(format!("{code} has no schema")),
    };
    let body = &document["body"];
    let found = body.pointer(measure).ok_or_else(|| format!("'{measure}' is a required property"))?;
    let is_right =
        found.is_number() || (code == "omh:physical-activity:1.2" && found.is_string()) || measure.is_empty();
    if !is_right {
        return Err(format!("{found} is not of type 'number'"));
    }
    if is_interval && !body["effective_time_frame"]["time_interval"]["end_date_time"].is_string() {
        return Err("'time_interval' is a required property".into());
    }
    if schema(document) == code { Ok(()) } else { Err(format!("{code} was expected")) }
}

/// Returns the schema code in a document's header.
fn schema(document: &Value) -> String {
    let part = |name: &str| document["header"]["schema_id"][name].as_str().unwrap_or_default().to_owned();
    format!("{}:{}:{}", part("namespace"), part("name"), part("version"))
}

fn identifier(entry: &Value) -> (String, String) {
    let identifier = &entry["resource"]["identifier"][0];
    let text = |name: &str| identifier[name].as_str().unwrap().to_owned();
    (text("system"), text("value"))
}

/// Decodes the data point; `None` if it is not ASCII JSON in base64.
fn document(entry: &Value) -> Option<Value> {
    let bytes = STANDARD.decode(entry["resource"]["valueAttachment"]["data"].as_str()?).ok()?;
    bytes.is_ascii().then(|| serde_json::from_slice(&bytes).ok()).flatten()
}
