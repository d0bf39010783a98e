//! Reads a patient's consents from JHE, and saves the answers to the consent questions of studies.

use std::collections::BTreeMap;

use reqwest::{Method, Url};
use serde_json::{Value, json};

use crate::common::clock::Clock;
use crate::jhe::client::{Caller, Jhe};
use crate::jhe::{error::JheError, http::parse};
use crate::model::consent_reconciliation::JheConsentSnapshot;
use crate::model::jhe_consents::{AnswerStatus, JheConsents};

/// JHE takes a new answer and a changed one by different methods, and somebody else may answer between our
/// reading and our saving.
const TRIES: usize = 3;

/// An answer to one scope of one study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeAnswer {
    /// JHE's id of the study.
    pub study: i64,
    /// The code system.
    pub system: String,
    pub code: String,
    pub consented: bool,
}

/// The answers that JHE does not have yet.
#[derive(Debug, Default, PartialEq, Eq)]
struct UnsavedAnswers<'a> {
    /// Scopes without an answer, for POST.
    new: Vec<&'a ScopeAnswer>,
    /// Scopes with another answer, for PATCH.
    changed: Vec<&'a ScopeAnswer>,
}

impl Jhe {
    pub async fn fetch_consents(
        &self,
        caller: Caller<'_>,
        patient: i64,
        clock: &Clock,
    ) -> Result<JheConsentSnapshot, JheError> {
        // Taken before the request: a consent that changes while it is under way is newer than the snapshot.
        let requested = clock.now();
        let consents: JheConsents = parse(&self.get(caller, self.consents_url(patient)?).await?)?;
        if consents.patient.id != patient {
            let other = consents.patient.id;
            return Err(JheError::invalid(format!("it answered about patient {other}, not {patient}")));
        }
        Ok(JheConsentSnapshot { consents, requested })
    }

    fn consents_url(&self, patient: i64) -> Result<Url, JheError> {
        self.http.url(&["api", "v1", "patients", &patient.to_string(), "consents"])
    }

    /// Saves the answers that differ from JHE's, and returns the consents after that. An equal answer is not
    /// sent: JHE would record it as a new one. After an error some answers may be saved; the same call saves
    /// the rest.
    pub async fn save_consents(
        &self,
        caller: Caller<'_>,
        patient: i64,
        answers: &[ScopeAnswer],
        clock: &Clock,
    ) -> Result<JheConsentSnapshot, JheError> {
        let mut last_error = None;
        for _ in 0..TRIES {
            let snapshot = self.fetch_consents(caller, patient, clock).await?;
            let unsaved = unsaved(&snapshot.consents, answers)?;
            if unsaved == UnsavedAnswers::default() {
                return Ok(snapshot);
            }
            let saved = async {
                self.send_answers(caller, patient, Method::POST, &unsaved.new).await?;
                self.send_answers(caller, patient, Method::PATCH, &unsaved.changed).await
            };
            match saved.await {
                Ok(()) => {}
                // JHE fails with 500 if the answer was created or deleted since the snapshot.
                Err(error @ JheError::Rejected { status: 500, .. }) => last_error = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last_error.unwrap_or_else(|| JheError::invalid("it does not keep the answers")))
    }

    async fn send_answers(
        &self,
        caller: Caller<'_>,
        patient: i64,
        method: Method,
        answers: &[&ScopeAnswer],
    ) -> Result<(), JheError> {
        if answers.is_empty() {
            return Ok(());
        }
        let body = consent_request(answers).to_string();
        self.call(caller, method, self.consents_url(patient)?, Some(body)).await.map(drop)
    }
}

fn unsaved<'a>(seen: &JheConsents, answers: &'a [ScopeAnswer]) -> Result<UnsavedAnswers<'a>, JheError> {
    let mut unsaved = UnsavedAnswers::default();
    for answer in answers {
        match seen.answer_status(answer.study, &answer.code) {
            AnswerStatus::Answered(consented) if consented == answer.consented => {}
            AnswerStatus::Answered(_) => unsaved.changed.push(answer),
            AnswerStatus::Open => unsaved.new.push(answer),
            // A refusal of a scope that the study no longer asks for is already in effect.
            AnswerStatus::NotAsked if !answer.consented => {}
            AnswerStatus::NotAsked => {
                let message = format!("study {} does not ask for {}", answer.study, answer.code);
                return Err(JheError::NotFound(message));
            }
        }
    }
    Ok(unsaved)
}

fn consent_request(answers: &[&ScopeAnswer]) -> Value {
    let mut studies: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
    for ScopeAnswer { study, system, code, consented } in answers {
        let scope = json!({ "coding_system": system, "coding_code": code, "consented": consented });
        studies.entry(*study).or_default().push(scope);
    }
    let studies = studies.into_iter().map(|(id, scopes)| json!({ "study_id": id, "scope_consents": scopes }));
    json!({ "study_scope_consents": studies.collect::<Vec<Value>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: &str, consented: bool) -> ScopeAnswer {
        ScopeAnswer { study: 30001, system: "s".into(), code: code.into(), consented }
    }

    fn seen() -> JheConsents {
        let scope = |code: &str, consented: &str| {
            format!(
                r#"{{"code":{{"codingSystem":"s","codingCode":"{code}"}},"consented":{consented},"consentedTime":null}}"#
            )
        };
        let study = |list: &str, scopes: String| {
            format!(r#"{{"id":30001,"name":"S","organization":{{"id":1,"name":"O"}},"{list}":[{scopes}]}}"#)
        };
        let text = format!(
            r#"{{"patient":{{"id":40001,"jheUserId":10006}},"studies":[{}],"studiesPendingConsent":[{}]}}"#,
            study("scopeConsents", [scope("yes", "true"), scope("no", "false")].join(",")),
            study("pendingScopeConsents", scope("open", "null")),
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn new_answers_are_posted_and_changed_ones_are_patched() {
        let (same, change, new) = (answer("yes", true), answer("no", true), answer("open", false));
        let answers = [same, change.clone(), new.clone()];
        let unsaved = unsaved(&seen(), &answers).unwrap();
        assert_eq!((unsaved.new, unsaved.changed), (vec![&new], vec![&change]));
    }

    #[test]
    fn a_consent_that_no_study_asks_for_is_refused() {
        assert!(matches!(unsaved(&seen(), &[answer("other", true)]), Err(JheError::NotFound(_))));
    }

    #[test]
    fn the_answers_to_one_study_are_sent_together() {
        let (one, other) = (answer("a", true), answer("b", false));
        let request = json!({ "study_scope_consents": [{ "study_id": 30001, "scope_consents": [
            { "coding_system": "s", "coding_code": "a", "consented": true },
            { "coding_system": "s", "coding_code": "b", "consented": false },
        ] }] });
        assert_eq!(consent_request(&[&one, &other]), request);
    }

    #[test]
    fn a_response_of_a_real_jhe_is_parsed() {
        let consents: JheConsents = serde_json::from_str(
            r#"{"patient":{"id":40001,"jheUserId":10006,"nameFamily":"Randall","nameGiven":"Peter","telecomEmail":"p@example.com"},
                "consolidatedConsentedScopes":[],"studiesPendingConsent":[],
                "studies":[{"id":30001,"name":"BP & HR","description":"Both","organization":{"id":20003,"name":"Lifespan Lab","type":"laboratory"},
                  "dataSources":[{"id":70004,"name":"Oura","type":"personal_device","supportedScopes":[]}],
                  "scopeConsents":[{"code":{"id":50004,"codingSystem":"https://w3id.org/openmhealth","codingCode":"omh:heart-rate:2.0","text":"Heart Rate"},
                    "consented":true,"consentedTime":"2026-11-23T22:06:42.875158Z"}]}]}"#,
        )
        .unwrap();
        assert_eq!(
            (consents.patient.name().as_str(), consents.patient.jhe_user_id),
            ("Peter Randall", 10006)
        );
        let scope = &consents.studies[0].scope_consents[0];
        assert_eq!((scope.code.coding_code.as_str(), scope.consented), ("omh:heart-rate:2.0", Some(true)));
        assert_eq!(scope.consented_time.unwrap().to_string(), "2026-11-23T22:06:42.875158Z");
    }
}
