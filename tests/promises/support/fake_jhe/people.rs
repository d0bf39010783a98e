//! Patients at JHE: invitations, tokens, consents, and their OW users.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jhe_ow::common::time::Timestamp;
use jhe_ow::model::catalog::code::CODES;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use warp::reply::Response;

use super::{FakeJhe, STUDY, SYSTEM, State, answer, fields, html};
use crate::support::harness::*;

/// The OAuth client of invitations.
const CLIENT: &str = "ow-client-1";
/// JHE's number of that client.
const CLIENT_ID: i64 = 9;

/// The second study.
const SECOND: i64 = STUDY + 500;

/// The state of an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invited {
    Issued,
    Reissued,
    /// Can be redeemed once more within half a day.
    Redeemed,
    LongRedeemed,
    Cancelled,
    Expired,
}

/// JHE's data about patients.
pub struct People {
    invitations: BTreeMap<String, (i64, Invited)>,
    /// Authorization codes: the patient and the PKCE challenge.
    codes: BTreeMap<String, (i64, String)>,
    access: BTreeMap<String, i64>,
    refresh: BTreeMap<String, i64>,
    drawn: usize,
    pub redeemed: usize,
    pub refreshed: usize,
    /// The invitation address of the client; `None` if not configured.
    pub invitation_url: Option<String>,
    /// The address and key of JHE's own OW, if it has one.
    pub ow: Option<(String, String)>,
    /// The patients' OW users.
    pub identifiers: BTreeMap<i64, String>,
    /// The time of JHE's answers.
    pub now: Timestamp,
    /// Saved consents: method, code, and whether granted.
    pub saved: Vec<(String, String, bool)>,
    /// Codes that the study asks for.
    pub asks: Vec<String>,
    /// The study's description.
    pub description: String,
    /// The delay before JHE answers about consents.
    pub slow: Option<std::time::Duration>,
    /// True if a second study asks for the same code.
    pub second: bool,
    /// Consents to the second study, by patient.
    second_answers: BTreeMap<i64, (bool, Timestamp)>,
    /// Codes that JHE's seed created.
    pub codes_known: Vec<String>,
}

impl Default for People {
    fn default() -> Self {
        Self {
            invitations: BTreeMap::new(),
            codes: BTreeMap::new(),
            access: BTreeMap::new(),
            refresh: BTreeMap::new(),
            drawn: 0,
            redeemed: 0,
            refreshed: 0,
            invitation_url: None,
            ow: None,
            identifiers: BTreeMap::new(),
            now: at("2026-11-21T12:00:00Z"),
            saved: Vec::new(),
            asks: vec![HEART_RATE.to_owned()],
            description: "Heart".to_owned(),
            slow: None,
            second: false,
            second_answers: BTreeMap::new(),
            codes_known: CODES
                .iter()
                .filter(|code| code.in_jhe_seed)
                .map(|code| code.code.to_owned())
                .collect(),
        }
    }
}

impl People {
    fn draw(&mut self) -> usize {
        self.drawn += 1;
        self.drawn
    }

    /// Returns the patient of an access token.
    pub(super) fn caller(&self, token: &str) -> Option<i64> {
        self.access.get(token).copied()
    }

    /// Returns every valid token.
    #[allow(dead_code, reason = "the crash drill shares this module, and looks for none")]
    pub fn granted(&self) -> Vec<String> {
        self.access.keys().chain(self.refresh.keys()).cloned().collect()
    }

    /// Invalidates access tokens; refresh tokens remain valid.
    pub fn end_access(&mut self) {
        self.access.clear();
    }

    fn grant(&mut self, patient: i64) -> Response {
        let (access, refresh) = (format!("person-{}", self.draw()), format!("refresh-{}", self.draw()));
        self.access.insert(access.clone(), patient);
        self.refresh.insert(refresh.clone(), patient);
        answer(
            200,
            &json!({ "access_token": access, "expires_in": 1_209_600, "token_type": "Bearer",
                     "scope": "openid email", "refresh_token": refresh, "id_token": "x.y.z" }),
        )
    }
}

impl FakeJhe {
    /// Adds an accessible patient who has not answered yet.
    pub fn add_undecided(&self, id: i64, user: i64) {
        self.state().patients.insert(id, (user, true));
    }

    /// Records an answer that the patient gives on JHE's own pages.
    pub fn answer_there(&self, patient: i64, code: &str, consented: bool) {
        let mut state = self.state();
        let now = state.people.now;
        state.consents.insert((patient, code.to_owned()), (consented, now));
    }

    pub fn count_invitations(&self) -> usize {
        self.state().people.invitations.len()
    }

    /// Creates an invitation as JHE's own pages do; returns its token.
    pub fn make_invitation(&self, patient: i64) -> String {
        let mut state = self.state();
        for (of, status) in state.people.invitations.values_mut() {
            if *of == patient && *status == Invited::Issued {
                *status = Invited::Reissued;
            }
        }
        let token = format!("{:032}", state.people.draw());
        state.people.invitations.insert(token.clone(), (patient, Invited::Issued));
        token
    }

    /// Returns the code in an invitation link.
    pub fn code(&self, token: &str) -> String {
        format!("127.0.0.1%3A{}_{token}", self.port)
    }

    /// Sets the state of an invitation.
    pub fn set_invitation(&self, token: &str, status: Invited) {
        self.state().people.invitations.get_mut(token).unwrap().1 = status;
    }

    pub fn invitation(&self, token: &str) -> Invited {
        self.state().people.invitations[token].1
    }

    /// Returns the profile of the practitioner who owns the client key.
    pub(super) fn own_profile() -> Response {
        answer(
            200,
            &json!({ "id": 10002, "email": "mary@example.com", "firstName": "Mary", "lastName": "Smith",
                     "patient": null, "userType": "practitioner", "isSuperuser": false, "settings": {} }),
        )
    }

    pub(super) fn all_scopes(&self) -> Response {
        let codes = self.state().people.codes_known.clone();
        let scopes: Vec<Value> = codes
            .iter()
            .map(|code| json!({ "id": 50004, "codingSystem": SYSTEM, "codingCode": code, "text": code }))
            .collect();
        answer(200, &json!(scopes))
    }

    pub(super) fn clients(&self) -> Response {
        let url = self.state().people.invitation_url.clone();
        let mut clients = vec![json!({ "id": 1, "name": "CareX", "clientId": "carex",
                                       "invitationUrl": "https://carex.ai/invitation/CODE" })];
        clients.extend(url.map(|url| json!({ "id": CLIENT_ID, "name": "Open Wearables", "clientId": CLIENT, "invitationUrl": url })));
        answer(200, &json!({ "count": clients.len(), "next": null, "previous": null, "results": clients }))
    }

    /// Creates an invitation for any patient, whoever asks.
    pub(super) fn create_invitation(&self, body: &[u8]) -> Response {
        let body: Value = serde_json::from_slice(body).unwrap();
        let (Some(patient), Some(client)) = (body["patientId"].as_i64(), body["client_id"].as_i64()) else {
            return answer(400, &json!({ "client_id": ["This field is required."] }));
        };
        let url = self.state().people.invitation_url.clone().filter(|_| client == CLIENT_ID);
        let (Some(url), true) = (url, self.state().patients.contains_key(&patient)) else {
            return answer(404, &json!({ "detail": "Not found." }));
        };
        let token = self.make_invitation(patient);
        let link = url.replace("CODE", &self.code(&token));
        answer(
            201,
            &json!({ "id": 101, "patientId": patient, "client_id": client, "token": token,
                             "status": "issued", "invitationLink": link }),
        )
    }

    pub(super) fn redeem(&self, token: &str) -> Response {
        let mut state = self.state();
        let detail = |status, text: &str| answer(status, &json!({ "detail": text }));
        let Some((patient, status)) = state.people.invitations.get(token).copied() else {
            return detail(404, "Invitation not found or already used.");
        };
        match status {
            Invited::Issued | Invited::Redeemed => {}
            Invited::Reissued | Invited::LongRedeemed => {
                return detail(409, "Invitation has already been used.");
            }
            Invited::Cancelled => return detail(403, "Invitation has been cancelled."),
            Invited::Expired => return detail(410, "Invitation has expired."),
        }
        state.people.redeemed += 1;
        state.people.invitations.insert(token.to_owned(), (patient, Invited::Redeemed));
        let verifier = URL_SAFE_NO_PAD.encode(token);
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        // A new code invalidates the earlier ones.
        state.people.codes.retain(|_, (of, _)| *of != patient);
        let code = format!("code-{}", state.people.draw());
        state.people.codes.insert(code.clone(), (patient, challenge));
        answer(
            200,
            &json!({ "grant": { "grant_type": "authorization_code", "client_id": CLIENT, "code": code,
                                "redirect_uri": "http://inner.example.org/auth/callback" },
                     "token_endpoint": "http://inner.example.org/o/token/", "expires": "2026-11-23T21:55:35Z" }),
        )
    }

    /// Issues a patient's token; `None` if the request is of another kind.
    pub(super) fn person_token(&self, body: &[u8]) -> Option<Response> {
        let given = fields(body);
        let invalid = || answer(400, &json!({ "error": "invalid_grant" }));
        let mut state = self.state();
        let patient = match given.get("grant_type").map(String::as_str) {
            Some("authorization_code") if given.get("client_id").is_some_and(|client| client == CLIENT) => {
                let known = given.get("code").and_then(|code| state.people.codes.get(code)).cloned();
                let Some((patient, challenge)) = known else { return Some(invalid()) };
                let proof = given.get("code_verifier").map(|it| URL_SAFE_NO_PAD.encode(Sha256::digest(it)));
                let uri = given.get("redirect_uri").map(String::as_str);
                if proof != Some(challenge) || uri != Some("http://inner.example.org/auth/callback") {
                    return Some(invalid());
                }
                state.people.codes.remove(&given["code"]);
                patient
            }
            Some("refresh_token") => {
                let known = given.get("refresh_token").and_then(|it| state.people.refresh.remove(it));
                let Some(patient) = known else { return Some(invalid()) };
                state.people.refreshed += 1;
                patient
            }
            _ => return None,
        };
        Some(state.people.grant(patient))
    }

    pub(super) fn me(&self, patient: i64) -> Response {
        let user = self.state().patients[&patient].0;
        answer(200, &person(patient, user))
    }

    /// Answers after a delay with the consents as of the request.
    pub(super) async fn slow_consents(&self, patient: i64) -> Response {
        let (answer, slow) = (self.consents(patient), self.state().people.slow);
        if let Some(slow) = slow {
            tokio::time::sleep(slow).await;
        }
        answer
    }

    pub(super) fn consents(&self, patient: i64) -> Response {
        let patient = match self.state().mixed_up {
            Some((asked, answered)) if asked == patient => answered,
            _ => patient,
        };
        let mut state = self.state();
        state.asked += 1;
        if state.consents_broken {
            return html(500);
        }
        let Some((user, true)) = state.patients.get(&patient).copied() else {
            let text = "This Practitioner not authorized to access this Patient";
            return answer(403, &json!({ "detail": text }));
        };
        answer(200, &state.staff.placed(patient, all_consents(&state, patient, user)))
    }

    /// Accepts new answers by POST and changed ones by PATCH; the other way round fails, as in JHE.
    pub(super) fn save_consents(&self, method: &str, patient: i64, body: &[u8]) -> Response {
        let body: Value = serde_json::from_slice(body).unwrap();
        let mut state = self.state();
        for study in body["study_scope_consents"].as_array().unwrap() {
            if study["study_id"] == SECOND {
                let scope = &study["scope_consents"][0];
                let answer = (scope["consented"].as_bool().unwrap(), state.people.now);
                if state.people.second_answers.insert(patient, answer).is_some() != (method == "PATCH") {
                    return html(500);
                }
                let code = scope["coding_code"].as_str().unwrap().to_owned();
                state.people.saved.push((method.to_owned(), code, answer.0));
                continue;
            }
            if study["study_id"] != STUDY {
                return html(500);
            }
            for scope in study["scope_consents"].as_array().unwrap() {
                let code = scope["coding_code"].as_str().unwrap().to_owned();
                let known = state.consents.contains_key(&(patient, code.clone()));
                if scope["coding_system"] != SYSTEM || known != (method == "PATCH") {
                    return html(500);
                }
                let (consented, now) = (scope["consented"].as_bool().unwrap(), state.people.now);
                state.consents.insert((patient, code.clone()), (consented, now));
                state.people.saved.push((method.to_owned(), code, consented));
            }
        }
        answer(if method == "POST" { 201 } else { 200 }, &json!({ "studyScopeConsents": [] }))
    }

    /// Creates the user at JHE's own OW, with the patient's e-mail address.
    pub(super) async fn ow_user(&self, patient: i64) -> Response {
        let (ow, user) = {
            let state = self.state();
            (state.people.ow.clone(), state.patients[&patient].0)
        };
        let Some((url, key)) = ow else {
            return answer(500, &json!({ "error": "OW integration not configured" }));
        };
        let known = self.state().people.identifiers.get(&patient).cloned();
        if let Some(known) = known {
            return answer(200, &json!({ "owUserId": known.trim_start_matches("ow:") }));
        }
        let body =
            json!({ "email": format!("p{patient}@example.com"), "external_user_id": user.to_string() });
        let asked = reqwest::Client::new()
            .post(format!("{url}/api/v1/users"))
            .header("X-Open-Wearables-API-Key", key)
            .header("content-type", "application/json")
            .body(body.to_string());
        let made: Value = serde_json::from_str(&asked.send().await.unwrap().text().await.unwrap()).unwrap();
        let id = made["id"].as_str().unwrap().to_owned();
        self.state().people.identifiers.insert(patient, format!("ow:{id}"));
        answer(200, &json!({ "owUserId": id }))
    }
}

fn person(patient: i64, user: i64) -> Value {
    json!({ "id": patient, "jheUserId": user, "identifiers": [], "nameFamily": "Doe",
            "nameGiven": format!("P{patient}"), "telecomEmail": format!("p{patient}@example.com"),
            "organizations": [{ "id": 1, "name": "Lab", "type": "laboratory", "partOf": null,
                                "currentUserRole": null, "children": [] }] })
}

/// The data sources attached to the study.
fn data_sources(state: &State) -> Value {
    let attached = if state.has_oura {
        vec![json!({ "id": 70004, "name": "Oura", "type": "personal_device" })]
    } else {
        vec![]
    };
    json!(attached)
}

fn all_consents(state: &State, patient: i64, user: i64) -> Value {
    let code = |code: &str| json!({ "id": 50004, "codingSystem": SYSTEM, "codingCode": code, "text": code });
    let study = |list: &str, scopes: Vec<Value>| {
        if scopes.is_empty() {
            return json!([]);
        }
        json!([{ "id": STUDY, "name": "Lifespan", "description": state.people.description, "dataSources": data_sources(state),
                 "organization": { "id": 1, "name": "Lab", "type": "laboratory" }, list: scopes }])
    };
    let of_patient = state.consents.iter().filter(|((id, _), _)| *id == patient);
    let answered: Vec<Value> = of_patient
        .map(|((_, name), (consented, at))| {
            json!({ "code": code(name), "consented": consented, "consentedTime": at.to_string() })
        })
        .collect();
    let open =
        state.people.asks.iter().filter(|name| !state.consents.contains_key(&(patient, (*name).clone())));
    let open: Vec<Value> =
        open.map(|name| json!({ "code": code(name), "consented": null, "consentedTime": null })).collect();
    let (mut pending, mut studies) = (study("pendingScopeConsents", open), study("scopeConsents", answered));
    if state.people.second {
        let (list, answer) = match state.people.second_answers.get(&patient) {
            Some((consented, at)) => {
                ("scopeConsents", json!({ "consented": consented, "consentedTime": at.to_string() }))
            }
            None => ("pendingScopeConsents", json!({ "consented": null, "consentedTime": null })),
        };
        let mut scope = answer;
        scope["code"] = code(HEART_RATE);
        let mut second = study(list, vec![scope])[0].clone();
        (second["id"], second["name"]) = (json!(SECOND), json!("Second study"));
        let place = if list == "scopeConsents" { &mut studies } else { &mut pending };
        place.as_array_mut().unwrap().push(second);
    }
    json!({ "patient": person(patient, user), "consolidatedConsentedScopes": [],
            "studiesPendingConsent": pending, "studies": studies })
}
