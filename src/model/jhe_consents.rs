use serde::Deserialize;

use crate::common::time::Timestamp;

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

pub(crate) fn time<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| Timestamp::parse(&text).map_err(serde::de::Error::custom)).transpose()
}

/// A patient of JHE's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// JHE's number of the patient.
    pub id: i64,
    /// JHE's number of the patient's user: OW's `external_user_id`.
    pub jhe_user_id: i64,
    #[serde(default)]
    name_family: Option<String>,
    #[serde(default)]
    name_given: Option<String>,
    #[serde(default, rename = "telecomEmail")]
    /// Where to write to.
    pub email: Option<String>,
    /// The organizations that the patient belongs to.
    #[serde(default)]
    pub organizations: Vec<Organization>,
}

impl Person {
    /// The name as people write it.
    pub fn name(&self) -> String {
        let parts = [self.name_given.as_deref(), self.name_family.as_deref()];
        let name: Vec<&str> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        if name.is_empty() { format!("JHE patient {}", self.id) } else { name.join(" ") }
    }
}
