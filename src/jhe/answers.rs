//! A patient's answers to what studies ask, saved at JHE.

use reqwest::Method;
use serde::Serialize;

use crate::common::clock::Clock;
use crate::jhe::client::{Jhe, Who};
use crate::jhe::error::JheError;
use crate::model::consent_reconciliation::Snapshot;
use crate::model::jhe_consents::{Consents, Standing};

/// How often answers are tried: JHE takes a new one and a changed one by different methods, and somebody else
/// may have answered since it was asked which it is.
const TRIES: usize = 3;

/// An answer to one scope of one study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeAnswer {
    /// JHE's number of the study.
    pub study: i64,
    /// The terminology of the code.
    pub system: String,
    /// The code.
    pub code: String,
    /// Whether the patient agrees.
    pub consented: bool,
}

#[derive(Serialize)]
struct Body<'a> {
    study_scope_consents: Vec<OfStudy<'a>>,
}

#[derive(Serialize)]
struct OfStudy<'a> {
    study_id: i64,
    scope_consents: Vec<OfScope<'a>>,
}

#[derive(Serialize)]
struct OfScope<'a> {
    coding_system: &'a str,
    coding_code: &'a str,
    consented: bool,
}

/// What is still to be saved.
#[derive(Debug, Default, PartialEq, Eq)]
struct Remaining<'a> {
    /// Not answered before: POST.
    new: Vec<&'a ScopeAnswer>,
    /// Answered otherwise before: PATCH.
    changed: Vec<&'a ScopeAnswer>,
}

impl Jhe {
    /// Saves answers, and only what they change: JHE takes an answer that is given once more for a new one.
    /// Answers with the consents as they stand then.
    ///
    /// # Errors
    /// As [`JheError`] says; some of the answers may be saved then, and the same call goes on from there.
    pub async fn answer_consents(
        &self,
        who: Who<'_>,
        patient: i64,
        answers: &[ScopeAnswer],
        clock: &Clock,
    ) -> Result<Snapshot, JheError> {
        let mut trouble = None;
        for _ in 0..TRIES {
            let snapshot = self.consents(who, patient, clock).await?;
            let remaining = remaining(&snapshot.seen, answers)?;
            if remaining == Remaining::default() {
                return Ok(snapshot);
            }
            let saved = async {
                self.save(who, patient, Method::POST, &remaining.new).await?;
                self.save(who, patient, Method::PATCH, &remaining.changed).await
            };
            match saved.await {
                Ok(()) => {}
                // What it breaks on is a row that has come or gone in the meantime.
                Err(error @ JheError::Rejected { status: 500, .. }) => trouble = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(trouble.unwrap_or_else(|| JheError::Wrong("it does not keep the answers".to_owned())))
    }

    async fn save(
        &self,
        who: Who<'_>,
        patient: i64,
        method: Method,
        answers: &[&ScopeAnswer],
    ) -> Result<(), JheError> {
        if answers.is_empty() {
            return Ok(());
        }
        let url = self.http.url(&["api", "v1", "patients", &patient.to_string(), "consents"])?;
        let body =
            serde_json::to_string(&body(answers)).map_err(|error| JheError::Wrong(error.to_string()))?;
        self.call(who, method, url, Some(body)).await.map(drop)
    }
}

fn remaining<'a>(seen: &Consents, answers: &'a [ScopeAnswer]) -> Result<Remaining<'a>, JheError> {
    let mut remaining = Remaining::default();
    for answer in answers {
        match seen.standing(answer.study, &answer.code) {
            Standing::Answered(consented) if consented == answer.consented => {}
            Standing::Answered(_) => remaining.changed.push(answer),
            Standing::Open => remaining.new.push(answer),
            // What is no longer asked for needs no stopping.
            Standing::NotAsked if !answer.consented => {}
            Standing::NotAsked => {
                let what = format!("study {} does not ask for {}", answer.study, answer.code);
                return Err(JheError::NotFound(what));
            }
        }
    }
    Ok(remaining)
}

fn body<'a>(answers: &[&'a ScopeAnswer]) -> Body<'a> {
    let mut body = Body { study_scope_consents: Vec::new() };
    for answer in answers {
        let scope =
            OfScope { coding_system: &answer.system, coding_code: &answer.code, consented: answer.consented };
        match body.study_scope_consents.iter_mut().find(|one| one.study_id == answer.study) {
            Some(study) => study.scope_consents.push(scope),
            None => body
                .study_scope_consents
                .push(OfStudy { study_id: answer.study, scope_consents: vec![scope] }),
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: &str, consented: bool) -> ScopeAnswer {
        ScopeAnswer { study: 30001, system: "s".into(), code: code.into(), consented }
    }

    fn seen() -> Consents {
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
    fn only_what_changes_is_saved_by_the_method_that_jhe_takes_it_by() {
        let (same, change, new) = (answer("yes", true), answer("no", true), answer("open", false));
        let answers = [same, change.clone(), new.clone()];
        let remaining = remaining(&seen(), &answers).unwrap();
        assert_eq!((remaining.new, remaining.changed), (vec![&new], vec![&change]));
    }

    #[test]
    fn what_no_study_asks_for_is_not_answered() {
        assert!(matches!(remaining(&seen(), &[answer("other", true)]), Err(JheError::NotFound(_))));
    }

    #[test]
    fn the_answers_to_one_study_go_together() {
        let (one, other) = (answer("a", true), answer("b", false));
        let text = serde_json::to_string(&body(&[&one, &other])).unwrap();
        assert_eq!(
            text,
            r#"{"study_scope_consents":[{"study_id":30001,"scope_consents":[{"coding_system":"s","coding_code":"a","consented":true},{"coding_system":"s","coding_code":"b","consented":false}]}]}"#
        );
    }
}
