//! A patient's consents, as JHE shows them at the moment.

use serde::Deserialize;

use super::Person;
use crate::time::Timestamp;

/// All of a patient's consents.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Consents {
    /// Whose.
    pub patient: Person,
    /// The studies that were answered, with each answer.
    pub studies: Vec<StudyConsents>,
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
    /// Each scope that was answered.
    pub scope_consents: Vec<ScopeConsent>,
}

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Organization {
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
    /// The code, such as `omh:heart-rate:2.0`.
    pub coding_code: String,
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
