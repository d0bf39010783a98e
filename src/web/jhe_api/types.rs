//! The objects of JHE's API, with its field names.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::study::Study;
use crate::store::people::data_source::{CodeRow, StudyDataSource};

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// Objects of all pages.
    pub(crate) count: i64,
    /// The address of the next page.
    pub(crate) next: Option<String>,
    /// Always null: pages are read forwards.
    pub(crate) previous: Option<String>,
    pub(crate) results: Vec<T>,
}

impl<T> Page<T> {
    /// Returns the only page of a list.
    pub(crate) fn of(results: Vec<T>) -> Self {
        let count = i64::try_from(results.len()).unwrap_or(i64::MAX);
        Self { count, next: None, previous: None, results }
    }
}

/// An error.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Detail {
    /// The reason, and the way out of it.
    pub(crate) detail: String,
}

/// The user for whom the token reads.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Profile {
    /// Number of the token.
    pub(crate) id: i64,
    pub(crate) email: Option<String>,
    pub(crate) first_name: String,
    /// Name of the token.
    pub(crate) last_name: String,
    /// Always null: the reader is no patient.
    pub(crate) patient: Option<Patient>,
    /// Always `practitioner`.
    pub(crate) user_type: &'static str,
    pub(crate) is_superuser: bool,
    pub(crate) settings: ProfileSettings,
}

/// The study and the organization that the token reads.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProfileSettings {
    pub(crate) current_study_id: i64,
    pub(crate) current_organization_id: i64,
}

/// A participant.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Patient {
    pub(crate) id: i64,
    /// The same as `id`.
    pub(crate) jhe_user_id: i64,
    pub(crate) identifiers: Vec<PatientIdentifier>,
    /// The study number where the token shows no names.
    pub(crate) name_family: String,
    pub(crate) name_given: String,
    /// Always null: it is not known.
    pub(crate) birth_date: Option<String>,
    pub(crate) telecom_phone: Option<String>,
    pub(crate) telecom_email: Option<String>,
    pub(crate) organizations: Vec<Organization>,
}

/// An identifier of a participant.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PatientIdentifier {
    pub(crate) id: i64,
    pub(crate) system: String,
    pub(crate) value: String,
}

/// An organization. Here it is the one that a study names, and has the study's number.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Organization {
    pub(crate) id: i64,
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) part_of: Option<i64>,
    pub(crate) current_user_role: Option<&'static str>,
    /// Always empty.
    #[schema(value_type = Vec<Object>)]
    pub(crate) children: [(); 0],
}

/// An organization without its place among others.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrganizationName {
    pub(crate) id: i64,
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
}

/// A study.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StudyObject {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) organization: OrganizationName,
    /// Always null.
    pub(crate) icon_url: Option<String>,
}

/// A data type.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Scope {
    pub(crate) id: i64,
    pub(crate) coding_system: String,
    pub(crate) coding_code: String,
    pub(crate) text: String,
}

/// A data source with the data types that it delivers to the study.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DataSource {
    pub(crate) id: i64,
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) supported_scopes: Vec<Scope>,
}

/// The consents of a participant.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PatientConsents {
    pub(crate) patient: Patient,
    /// The data types that the participant shares now.
    pub(crate) consolidated_consented_scopes: Vec<Scope>,
    pub(crate) studies_pending_consent: Vec<PendingStudy>,
    pub(crate) studies: Vec<AnsweredStudy>,
}

/// A study with data types that the participant has answered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AnsweredStudy {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) organization: OrganizationName,
    pub(crate) data_sources: Vec<DataSource>,
    pub(crate) scope_consents: Vec<ScopeConsent>,
}

/// A study with data types that the participant has not answered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PendingStudy {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) organization: OrganizationName,
    pub(crate) data_sources: Vec<DataSource>,
    pub(crate) pending_scope_consents: Vec<ScopeConsent>,
}

/// The answer for one data type.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ScopeConsent {
    pub(crate) code: Scope,
    /// Null if it is not answered.
    pub(crate) consented: Option<bool>,
    /// The time of the answer, in UTC.
    pub(crate) consented_time: Option<String>,
}

/// JHE's word for an organization of another kind.
const OTHER: &str = "other";

pub(crate) fn organization(study: &Study) -> Organization {
    let name = study.terms.organization.clone();
    let current_user_role = Some("viewer");
    Organization { id: study.id.get(), name, kind: OTHER, part_of: None, current_user_role, children: [] }
}

pub(crate) fn organization_name(study: &Study) -> OrganizationName {
    OrganizationName { id: study.id.get(), name: study.terms.organization.clone(), kind: OTHER }
}

pub(crate) fn study_object(study: &Study) -> StudyObject {
    StudyObject {
        id: study.id.get(),
        name: study.terms.name.clone(),
        description: study.terms.purpose.clone(),
        organization: organization_name(study),
        icon_url: None,
    }
}

pub(crate) fn scope(row: CodeRow) -> Scope {
    Scope { id: row.id, coding_system: row.system, coding_code: row.code, text: row.display }
}

pub(crate) fn data_source(source: StudyDataSource) -> DataSource {
    let StudyDataSource { id, name, kind, codes } = source;
    DataSource { id, name, kind, supported_scopes: codes.into_iter().map(scope).collect() }
}
