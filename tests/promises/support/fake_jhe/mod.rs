//! A JHE that answers as recorded from a real one and is equally strict.

mod batch;
mod people;
mod practitioner;
mod search;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jhe_ow::common::time::Timestamp;
use serde_json::{Value, json};
use warp::Filter;
use warp::path::FullPath;
use warp::reply::{Reply, Response};

use crate::support::harness::*;
use crate::support::running_daemon::spawn;

pub use people::{Invited, People};
pub use practitioner::CLIENT;

/// The API key issued by JHE.
pub const KEY: &str = "aWQ6c2VjcmV0";
/// The study that includes every patient.
pub const STUDY: i64 = 30001;
const OURA: i64 = 70004;
const SYSTEM: &str = "https://w3id.org/openmhealth";

/// A fault for the next batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "some faults are the crash drill's, which shares this module")]
pub enum Fault {
    /// Answers this status and stores nothing.
    Status(u16),
    /// Stores everything and loses the answer.
    Lost,
    /// Simulates a killed worker: the first half is stored, the next observation lacks its identifier, the rest is not
    /// stored.
    Killed,
    /// A proxy before JHE answers this status and `Retry-After`.
    Proxy(u16, &'static str),
    /// Answers 503 with this `Retry-After`.
    Busy(&'static str),
    /// Stores everything and breaks the connection in the middle of the answer.
    Cut,
    /// Stores everything and never answers.
    Hang,
    /// Answers this status with the request in the error text; 207 does so for each entry of a batch.
    Echo(u16),
}

/// Returns the fault of a request's path, if any.
pub type Trouble = Box<dyn FnMut(&str) -> Option<Fault> + Send>;

/// A stored observation.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    pub patient: i64,
    pub code: String,
    pub identifier: (String, String),
    pub device: String,
    pub document: Value,
}

impl Kept {
    pub fn instant(&self) -> Timestamp {
        instant(&self.document)
    }

    pub fn value(&self) -> f64 {
        self.document["body"]["heart_rate"]["value"].as_f64().unwrap()
    }
}

#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
#[derive(Default)]
pub struct State {
    tokens: BTreeSet<String>,
    pub logins: usize,
    /// By JHE's patient number: the user's number, and whether the practitioner shares an organization with the
    /// patient.
    patients: BTreeMap<i64, (i64, bool)>,
    /// By patient and code.
    consents: BTreeMap<(i64, String), (bool, Timestamp)>,
    pub kept: Vec<Kept>,
    /// Observations that arrive while a client reads the pages.
    late: Vec<Kept>,
    /// Number of observation pages served.
    pub pages: usize,
    /// Serves no more observation pages after this many.
    pub fails_after_pages: Option<usize>,
    pub batches: Vec<usize>,
    /// The patients of each received batch.
    pub of: Vec<BTreeSet<String>>,
    pub faults: VecDeque<Fault>,
    /// Values that crash JHE.
    pub poison: Vec<f64>,
    /// Values that JHE rejects.
    pub refused: Vec<f64>,
    /// Values that JHE rejects with these undocumented diagnostics.
    pub strange: Vec<(f64, &'static str)>,
    /// Two patients: a request for the first one's consents returns the second one's.
    pub mixed_up: Option<(i64, i64)>,
    /// Two patients: a search for the first one's observations returns the second one's.
    pub mixed_up_search: Option<(i64, i64)>,
    /// Each page of the patient list links to a next page.
    pub is_endless: bool,
    /// Number of patient list pages served.
    pub patient_pages: usize,
    pub has_oura: bool,
    /// JHE lists Oura and no longer knows it when Oura observations arrive.
    pub has_just_lost_oura: bool,
    pub consents_broken: bool,
    pub asked: usize,
    /// Number of searches with a date range.
    pub look_ups: usize,
    in_flight: BTreeSet<String>,
    pub overlaps: usize,
    /// Number of received entries whose patient did not consent at that time.
    pub unconsented: usize,
    pub most_batches: usize,
    under_way: usize,
    pub people: People,
    pub latency: std::time::Duration,
    pub staff: practitioner::Staff,
    /// Called for every request.
    pub trouble: Option<Trouble>,
}

/// The server. It runs until the tests end.
#[derive(Clone)]
pub struct FakeJhe {
    state: Arc<Mutex<State>>,
    pub port: u16,
}

impl FakeJhe {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State { has_oura: true, ..State::default() }));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        let jhe = Self { state, port };
        let served = jhe.clone();
        let query = warp::query::raw().or(warp::any().map(String::new)).unify();
        let routes = warp::any()
            .and(warp::method())
            .and(warp::path::full())
            .and(query)
            .and(warp::header::headers_cloned())
            .and(warp::body::bytes())
            .then(move |method, path: FullPath, query, headers, body| {
                let jhe = served.clone();
                async move { jhe.answer(&method, path.as_str(), query, &headers, body).await }
            });
        spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            warp::serve(routes).incoming(listener).run().await;
        });
        jhe
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Adds an accessible patient who consented at this time.
    pub fn add_patient(&self, id: i64, user: i64, at: Timestamp) {
        self.state().patients.insert(id, (user, true));
        self.consent(id, true, at);
    }

    pub fn consent(&self, patient: i64, consented: bool, at: Timestamp) {
        self.consent_to(patient, HEART_RATE, consented, at);
    }

    pub fn consent_to(&self, patient: i64, code: &str, consented: bool, at: Timestamp) {
        self.state().consents.insert((patient, code.to_owned()), (consented, at));
    }

    /// Makes a patient inaccessible, or accessible again.
    pub fn hide(&self, patient: i64, hidden: bool) {
        self.state().patients.get_mut(&patient).unwrap().1 = !hidden;
    }

    /// Invalidates every issued token.
    pub fn forget_tokens(&self) {
        self.state().tokens.clear();
    }

    /// Waits until all requests are handled.
    pub async fn wait_until_idle(&self) {
        while self.state().under_way > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    /// Waits until this many batches have arrived in total.
    pub async fn begun(&self, batches: usize) {
        while self.state().batches.len() < batches {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    /// Adds an observation stored by another client or an earlier installation.
    pub fn put(&self, patient: i64, identifier: &str, instant: Timestamp) {
        let document = json!({ "body": { "effective_time_frame": { "date_time": instant.to_string() } } });
        let identifier = ("ow:normalized".to_owned(), identifier.to_owned());
        let device = format!("Device/{OURA}");
        self.state().kept.push(Kept { patient, code: HEART_RATE.to_owned(), identifier, device, document });
    }

    /// Returns the sorted instants of a patient's observations, duplicates included.
    pub fn instants(&self, patient: i64) -> Vec<Timestamp> {
        let state = self.state();
        let of_patient = state.kept.iter().filter(|kept| kept.patient == patient);
        let mut instants: Vec<Timestamp> = of_patient.map(|kept| instant(&kept.document)).collect();
        instants.sort();
        instants
    }

    async fn answer(
        &self,
        method: &Method,
        path: &str,
        query: String,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Response {
        let trouble = self.state().trouble.as_mut().and_then(|trouble| trouble(path));
        match trouble {
            Some(Fault::Echo(status)) => return echo(status, headers, &body),
            Some(fault) if path.trim_end_matches('/') == "/FHIR/R5" => self.state().faults.push_back(fault),
            Some(fault) => return spoiled(fault).await,
            None => {}
        }
        if let Some(answer) = self.answer_staff(method, path, &query, headers, &body) {
            return answer;
        }
        let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        if (method, segments.as_slice()) == (&Method::POST, &["o", "token"]) {
            return self.person_token(&body).unwrap_or_else(|| self.token(headers, &body));
        }
        if let ("POST", ["api", "v1", "invitation", token]) = (method.as_str(), segments.as_slice()) {
            return self.redeem(token);
        }
        let given = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let token = given.strip_prefix("Bearer ").unwrap_or_default();
        let caller = self.state().people.caller(token);
        if let Some(patient) = caller {
            return self.answer_patient(method, &segments, patient, &body).await;
        }
        if !self.state().tokens.contains(token) {
            return outcome(401, "Authentication credentials were not provided.");
        }
        match (method.as_str(), segments.as_slice()) {
            ("GET", ["api", "v1", "data_sources"]) => self.data_sources(),
            ("GET", ["api", "v1", "data_sources", "all_scopes"]) => self.all_scopes(),
            ("GET", ["api", "v1", "users", "profile"]) => Self::own_profile(),
            ("GET", ["api", "v1", "users", "organizations"]) => answer(200, &json!([])),
            ("GET", ["api", "v1", "patients"]) => self.patients(&query),
            ("GET", ["api", "v1", "patients", id, "consents"]) => {
                self.slow_consents(id.parse().unwrap()).await
            }
            (method @ ("POST" | "PATCH"), ["api", "v1", "patients", id, "consents"]) => {
                self.save_consents(method, id.parse().unwrap(), &body)
            }
            ("GET", ["api", "v1", "clients"]) => self.clients(),
            ("POST", ["api", "v1", "invitation"]) => self.create_invitation(&body),
            ("GET", ["FHIR", "R5", "Observation"]) => self.search(&query),
            ("POST", ["FHIR", "R5"]) => self.batch(headers, &body).await,
            _ => outcome(404, "Not found."),
        }
    }

    /// Answers a patient, who may only ask about themselves.
    async fn answer_patient(
        &self,
        method: &Method,
        segments: &[&str],
        patient: i64,
        body: &[u8],
    ) -> Response {
        match (method.as_str(), segments) {
            ("GET", ["api", "v1", "patients", "me"]) => self.me(patient),
            (_, ["api", "v1", "patients", id, "consents"]) if id.parse() != Ok(patient) => {
                answer(403, &json!({ "detail": "The Patient does not match the current patient user." }))
            }
            ("GET", ["api", "v1", "patients", _, "consents"]) => self.consents(patient),
            (method @ ("POST" | "PATCH"), ["api", "v1", "patients", _, "consents"]) => {
                self.save_consents(method, patient, body)
            }
            ("POST", ["api", "v1", "ow", "users"]) => self.ow_user(patient).await,
            _ => outcome(404, "Not found."),
        }
    }

    fn token(&self, headers: &HeaderMap, body: &[u8]) -> Response {
        let basic = headers.get("authorization").and_then(|value| value.to_str().ok());
        if basic != Some(&format!("Basic {KEY}")) || body != b"grant_type=client_credentials" {
            return answer(401, &json!({ "error": "invalid_client" }));
        }
        let mut state = self.state();
        state.logins += 1;
        let token = format!("token-{}", state.logins);
        state.tokens.insert(token.clone());
        answer(200, &json!({ "access_token": token, "expires_in": 1_209_600, "token_type": "Bearer" }))
    }

    fn data_sources(&self) -> Response {
        let mut sources = vec![json!({ "id": 70001, "name": "CareX", "type": "personal_device" })];
        if self.state().has_oura {
            sources.push(json!({ "id": OURA, "name": "Oura", "type": "personal_device" }));
        }
        answer(200, &json!({ "count": sources.len(), "next": null, "previous": null, "results": sources }))
    }

    /// Returns a page of patients; pages are small, so that there are several.
    fn patients(&self, query: &str) -> Response {
        let query = fields(query.as_bytes());
        let page: usize = query.get("page").map_or(1, |page| page.parse().unwrap());
        let mut state = self.state();
        state.patient_pages += 1;
        let all: Vec<(i64, i64)> = state
            .patients
            .iter()
            .filter(|(_, (_, near))| *near)
            .map(|(id, (user, _))| (*id, *user))
            .collect();
        let results: Vec<Value> = all
            .iter()
            .skip((page - 1) * 2)
            .take(2)
            .map(|(id, user)| {
                json!({ "id": id, "jheUserId": user, "nameFamily": "Doe", "nameGiven": format!("P{id}"),
                                      "telecomEmail": format!("p{id}@example.org") })
            })
            .collect();
        let next = (page * 2 < all.len() || state.is_endless)
            .then(|| format!("http://inner.example.org/api/v1/patients?page={}&page_size=1000", page + 1));
        answer(200, &json!({ "count": all.len(), "next": next, "previous": null, "results": results }))
    }
}

/// Returns the instant of a data point, or the start of its interval.
fn instant(document: &Value) -> Timestamp {
    let frame = &document["body"]["effective_time_frame"];
    let begins = frame["time_interval"]["start_date_time"].as_str();
    at(frame["date_time"].as_str().or(begins).unwrap())
}

/// Parses the fields of a query or a form.
fn fields(text: &[u8]) -> BTreeMap<String, String> {
    form_urlencoded::parse(text).into_owned().collect()
}

fn answer(status: u16, body: &Value) -> Response {
    let mut answer = body.to_string().into_response();
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer
}

fn outcome(status: u16, words: &str) -> Response {
    let issue = json!([{ "severity": "error", "code": "processing", "diagnostics": words }]);
    answer(status, &json!({ "resourceType": "OperationOutcome", "issue": issue }))
}

/// Returns the answer that a fault leaves.
async fn spoiled(fault: Fault) -> Response {
    match fault {
        Fault::Status(status) | Fault::Echo(status) => html(status),
        Fault::Lost | Fault::Killed => html(502),
        Fault::Busy(retry_after) => refusal(503, retry_after),
        Fault::Proxy(status, retry_after) => refusal(status, retry_after),
        Fault::Cut => {
            let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
            let parts = [Ok(Bytes::from_static(b"{\"resourceType\":")), Err(broken)];
            warp::reply::stream(futures_util::stream::iter(parts)).into_response()
        }
        Fault::Hang => std::future::pending().await,
    }
}

/// Echoes the whole request, as a careless server does.
fn echo(status: u16, headers: &HeaderMap, body: &[u8]) -> Response {
    let text = String::from_utf8_lossy(body);
    // The attachment comes first, so that a truncated error text still contains it.
    let attached = text.split_once("\"data\":\"").map_or("", |(_, rest)| rest.split('"').next().unwrap());
    let sent = format!("{attached} {headers:?} {text}");
    if status != 207 {
        return outcome(status, &sent);
    }
    let batch: Value = serde_json::from_slice(body).unwrap();
    let of_each = batch["entry"].as_array().unwrap().iter().map(|entry| {
        let data = entry["resource"]["valueAttachment"]["data"].as_str().unwrap();
        let document = String::from_utf8(STANDARD.decode(data).unwrap()).unwrap();
        let issue = json!([{ "diagnostics": format!("not valid: {document} in {sent}") }]);
        json!({ "response": { "status": "422 Unprocessable", "outcome": { "issue": issue } } })
    });
    let entries: Vec<Value> = of_each.collect();
    answer(200, &json!({ "resourceType": "Bundle", "type": "batch-response", "entry": entries }))
}

fn refusal(status: u16, retry_after: &'static str) -> Response {
    let mut answer = html(status);
    answer.headers_mut().insert("retry-after", HeaderValue::from_static(retry_after));
    answer
}

fn html(status: u16) -> Response {
    let mut answer = "<h1>Server Error</h1>".into_response();
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer
}
