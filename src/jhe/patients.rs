//! Patients as JHE knows them.

use serde::Deserialize;

use super::Organization;

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
