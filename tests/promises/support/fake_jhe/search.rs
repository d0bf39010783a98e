//! Searches for observations, and observations of other clients.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jhe_ow::common::time::Timestamp;
use serde_json::{Value, json};
use warp::reply::Response;

use super::{FakeJhe, Kept, OURA, SYSTEM, answer, fields, html, instant, outcome};
use crate::support::harness::{HEART_RATE, at};

/// Default and maximum number of observations on a page.
const PAGE: usize = 20;
const LARGEST_PAGE: usize = 1000;

impl FakeJhe {
    /// Adds an observation of JHE's own poller under a random name; an empty name means none.
    pub fn leave(&self, patient: i64, name: &str, instant: Timestamp, value: f64) {
        let document = json!({
            "header": { "uuid": name },
            "body": { "heart_rate": { "unit": "beats/min", "value": value },
                      "effective_time_frame": { "date_time": instant.to_string().replace('Z', "+00:00") } },
        });
        self.state().kept.push(foreign_observation(patient, name, document));
    }

    /// Adds an observation without a readable instant and value.
    pub fn leave_unreadable(&self, patient: i64, name: &str) {
        let body = json!({ "effective_time_frame": { "time_interval": {} } });
        self.state().kept.push(foreign_observation(patient, name, json!({ "body": body })));
    }

    /// Adds one of these observations after each page served.
    pub fn leave_while_paging(&self, patient: i64, values: &[(Timestamp, f64)]) {
        for (number, (instant, value)) in values.iter().enumerate() {
            self.leave(patient, &format!("late-{number}"), *instant, *value);
        }
        let mut state = self.state();
        let from = state.kept.len() - values.len();
        state.late = state.kept.split_off(from);
    }

    pub(super) fn search(&self, raw: &str) -> Response {
        let query = fields(raw.as_bytes());
        let patient = query["patient"].parse::<i64>().unwrap();
        let is_near = self.state().patients.get(&patient).is_some_and(|(_, near)| *near);
        if !is_near {
            return outcome(403, &format!("Current user is not authorized to access Patient/{patient}."));
        }
        let mixed_up = self.state().mixed_up_search.filter(|(asked, _)| *asked == patient);
        let patient = mixed_up.map_or(patient, |(_, answered)| answered);
        let (system, code) = query["code"].split_once('|').unwrap();
        assert_eq!(system, SYSTEM);
        let mut state = self.state();
        // A map keeps only one value of a repeated field.
        let of_dates = form_urlencoded::parse(raw.as_bytes()).filter(|(name, _)| name == "date");
        let dates: Vec<String> = of_dates.map(|(_, date)| date.into_owned()).collect();
        state.look_ups += usize::from(!dates.is_empty());
        let mut found: Vec<Value> = Vec::new();
        for (number, kept) in state.kept.iter().enumerate().rev() {
            let is_then = dates.iter().all(|date| match date.split_at(2) {
                ("ge", from) => instant(&kept.document) >= at(from),
                ("le", until) => instant(&kept.document) <= at(until),
                _ => instant(&kept.document) == at(date),
            });
            if kept.patient == patient && is_then && kept.code == code {
                found.push(json!({ "resource": resource(number, kept) }));
            }
        }
        let total = found.len();
        let mut bundle = json!({ "resourceType": "Bundle", "type": "searchset", "total": total, "meta": {} });
        if query.get("_summary").is_some_and(|summary| summary == "count") {
            return answer(200, &bundle);
        }
        let count = query.get("_count").map_or(PAGE, |count| count.parse().unwrap()).min(LARGEST_PAGE);
        let page = query.get("_page").map_or(1, |page| page.parse::<usize>().unwrap());
        if page > 1 && (page - 1) * count >= total {
            return outcome(404, "Invalid page.");
        }
        // JHE behind a proxy links to the address that the proxy calls.
        let link = |relation: &str, page: usize| {
            let code = query["code"].replace(':', "%3A").replace('/', "%2F").replace('|', "%7C");
            let dates: Vec<String> =
                dates.iter().map(|date| format!("&date={}", date.replace(':', "%3A"))).collect();
            let dates = dates.concat();
            let url = format!(
                "http://inner.example.org/FHIR/R5/Observation?_count={count}&_page={page}&code={code}{dates}&patient={patient}"
            );
            json!({ "relation": relation, "url": url })
        };
        let mut links = vec![link("self", page)];
        if page > 1 {
            links.push(link("previous", page - 1));
        }
        if page * count < total {
            links.push(link("next", page + 1));
        }
        if state.fails_after_pages.is_some_and(|pages| state.pages >= pages) {
            return html(502);
        }
        bundle["entry"] = found.into_iter().skip((page - 1) * count).take(count).collect();
        bundle["link"] = links.into();
        state.pages += 1;
        if code == HEART_RATE
            && let Some(late) = state.late.pop()
        {
            state.kept.push(late);
        }
        answer(200, &bundle)
    }
}

fn foreign_observation(patient: i64, name: &str, document: Value) -> Kept {
    let system = if name.is_empty() { "" } else { "ow:normalized" };
    let identifier = (system.to_owned(), name.to_owned());
    Kept { patient, code: HEART_RATE.to_owned(), identifier, device: format!("Device/{OURA}"), document }
}

fn resource(number: usize, kept: &Kept) -> Value {
    let Kept { patient, identifier: (system, value), document, .. } = kept;
    let mut resource = json!({
        "resourceType": "Observation", "id": (60000 + number).to_string(), "status": "final",
        "code": { "coding": [{ "system": SYSTEM, "code": kept.code, "display": kept.code }] },
        "subject": { "reference": format!("Patient/{patient}") },
        "valueAttachment": { "contentType": "application/json", "data": STANDARD.encode(document.to_string()) },
    });
    if !value.is_empty() {
        resource["identifier"] = json!([{ "system": system, "value": value }]);
    }
    resource
}
