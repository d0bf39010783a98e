//! A patient's consents as JHE's API returns them.

use serde::Deserialize;

use crate::common::time::Timestamp;
use crate::common::visible::strip_misleading;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JheConsents {
    pub patient: JhePatient,
    /// Studies with answers.
    pub studies: Vec<StudyConsents>,
    /// Studies with open questions. A partly answered study is in both lists.
    #[serde(default, rename = "studiesPendingConsent")]
    pub pending: Vec<StudyConsents>,
}

/// The answers or the open questions of one study.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StudyConsents {
    pub id: i64,
    pub name: String,
    #[serde(default)]
    pub description: Option<String>,
    pub organization: Organization,
    #[serde(default)]
    pub data_sources: Vec<AttachedDataSource>,
    #[serde(alias = "pendingScopeConsents")]
    pub scope_consents: Vec<ScopeConsent>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Organization {
    pub id: i64,
    pub name: String,
}

/// A data source that is attached to a study.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AttachedDataSource {
    pub name: String,
}

/// An answer to one scope, or an open question.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScopeConsent {
    pub code: Coding,
    /// None if the question is open.
    pub consented: Option<bool>,
    #[serde(default, deserialize_with = "deserialize_time")]
    pub consented_time: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Coding {
    pub coding_system: String,
    /// Such as `omh:heart-rate:2.0`.
    pub coding_code: String,
}

impl JheConsents {
    /// Returns all studies of both lists. A partly answered study appears twice.
    pub fn all_studies(&self) -> impl Iterator<Item = &StudyConsents> {
        self.studies.iter().chain(&self.pending)
    }

    pub fn answer_status(&self, study: i64, code: &str) -> AnswerStatus {
        let of = |list: &[StudyConsents]| {
            let mut scopes = list.iter().filter(|one| one.id == study).flat_map(|one| &one.scope_consents);
            scopes.find(|scope| scope.code.coding_code == code).map(|scope| scope.consented)
        };
        match (of(&self.studies), of(&self.pending)) {
            (Some(consented), _) => AnswerStatus::Answered(consented.unwrap_or(false)),
            (None, Some(_)) => AnswerStatus::Open,
            (None, None) => AnswerStatus::NotAsked,
        }
    }
}

/// JHE's state of the answer to a scope of a study.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerStatus {
    /// The study does not ask for the scope.
    NotAsked,
    Open,
    /// True if the patient agreed.
    Answered(bool),
}

pub(crate) fn deserialize_time<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| Timestamp::parse(&text).map_err(serde::de::Error::custom)).transpose()
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JhePatient {
    pub id: i64,
    /// JHE's user id of the patient: OW's `external_user_id`.
    pub jhe_user_id: i64,
    #[serde(default)]
    name_family: Option<String>,
    #[serde(default)]
    name_given: Option<String>,
    #[serde(default, rename = "telecomEmail")]
    pub email: Option<String>,
    #[serde(default)]
    pub organizations: Vec<Organization>,
}

impl JhePatient {
    /// Returns given and family name, without characters that change the text around them.
    pub fn name(&self) -> String {
        let parts = [self.name_given.as_deref(), self.name_family.as_deref()];
        let name: Vec<&str> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        if name.is_empty() { format!("JHE patient {}", self.id) } else { strip_misleading(&name.join(" ")) }
    }
}
