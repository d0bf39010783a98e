//! A patient's consents, as JHE shows them at the moment.

use serde::Deserialize;

use super::http::read;
use super::{Jhe, JheError, Person, Who};
use crate::clock::Clock;
use crate::mirror::Snapshot;
use crate::time::Timestamp;

/// All of a patient's consents.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Consents {
    /// Whose.
    pub patient: Person,
    /// The studies that were answered, with each answer.
    pub studies: Vec<StudyConsents>,
    /// The studies that still ask, with each open question. One that is partly answered is in both lists.
    #[serde(default, rename = "studiesPendingConsent")]
    pub pending: Vec<StudyConsents>,
}

/// A patient's answers to one study.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StudyConsents {
    /// JHE's number of the study.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// What it is about.
    #[serde(default)]
    pub description: Option<String>,
    /// Who asks.
    pub organization: Organization,
    /// The data sources that are attached to it.
    #[serde(default)]
    pub data_sources: Vec<Named>,
    /// Each scope that was answered, or each that is open.
    #[serde(alias = "pendingScopeConsents")]
    pub scope_consents: Vec<ScopeConsent>,
}

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Organization {
    /// JHE's number.
    pub id: i64,
    /// Its name.
    pub name: String,
}

/// Something with a name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Named {
    /// Its name.
    pub name: String,
}

/// An answer to one scope.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScopeConsent {
    /// To what.
    pub code: Code,
    /// Whether the patient agreed; none where the question is open.
    pub consented: Option<bool>,
    /// When it was answered.
    #[serde(default, deserialize_with = "time")]
    pub consented_time: Option<Timestamp>,
}

/// A code of JHE's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Code {
    /// The terminology it belongs to.
    pub coding_system: String,
    /// The code, such as `omh:heart-rate:2.0`.
    pub coding_code: String,
}

impl Consents {
    /// Every study that asks this patient, answered or not, each with its scopes; one that is partly answered
    /// comes once for either part.
    pub fn all(&self) -> impl Iterator<Item = &StudyConsents> {
        self.studies.iter().chain(&self.pending)
    }

    /// What JHE has of the answer to a scope of a study.
    pub fn standing(&self, study: i64, code: &str) -> Standing {
        let of = |list: &[StudyConsents]| {
            let scopes = list.iter().filter(|one| one.id == study).flat_map(|one| &one.scope_consents);
            scopes.clone().find(|scope| scope.code.coding_code == code).map(|scope| scope.consented)
        };
        match (of(&self.studies), of(&self.pending)) {
            (Some(consented), _) => Standing::Answered(consented.unwrap_or(false)),
            (None, Some(_)) => Standing::Open,
            (None, None) => Standing::NotAsked,
        }
    }
}

/// What JHE has of the answer to a scope of a study.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The study does not ask for it.
    NotAsked,
    /// It was not answered yet.
    Open,
    /// It was answered like this.
    Answered(bool),
}

impl Jhe {
    /// The present consents of a patient, and when they were asked for.
    ///
    /// # Errors
    /// As [`JheError`] says.
    pub async fn consents(&self, who: Who<'_>, patient: i64, clock: &Clock) -> Result<Snapshot, JheError> {
        let asked = clock.now();
        let url = self.http.url(&["api", "v1", "patients", &patient.to_string(), "consents"])?;
        Ok(Snapshot { seen: read(&self.get(who, url).await?)?, asked })
    }
}

fn time<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| Timestamp::parse(&text).map_err(serde::de::Error::custom)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_answer_is_read() {
        let consents: Consents = serde_json::from_str(
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
